//! The keys of the configuration file, and what each takes.

use std::path::PathBuf;
use std::time::Duration;

use super::logging::Logging;
use super::value::Setting;
use super::{Config, GroupMembers, Secret, defaults, is_endpoint};
use crate::error::{Error, ErrorKind};
use crate::spelling::nearest;

/// A year of seconds: longer periods are mistakes.
const LONGEST: u64 = 31_536_000;

/// Every key that has an effect.
pub(super) const KEYS: [&str; 24] = [
    "allow_duplicate_ids",
    "allow_system_accounts",
    "assume_role_arn",
    "aws_access_key",
    "aws_profile",
    "aws_region",
    "aws_secret_key",
    "aws_session_token",
    "consistent_read",
    "create_home",
    "endpoint_url",
    "full_update_jitter",
    "full_update_period",
    "group_members",
    "group_table_name",
    "logging",
    "metrics_file",
    "skeleton",
    "status_file",
    "user_defaults",
    "user_table_name",
    // Comments, which JSON lacks.
    "_comment",
    "comment",
    "//",
];

/// Keys that mean something to a later version. Not a warning: somebody who limits a host to some groups must not
/// get a host that admits everybody.
pub(super) const LATER: [&str; 8] = [
    "authorized_groups",
    "authorized_groups_tag",
    "authorized_keys_dir",
    "change_check_period",
    "manage_sudoers",
    "removal_limit",
    "removed_users",
    "state_table_name",
];

impl Config {
    /// Takes one value.
    pub(super) fn set(&mut self, setting: Setting<'_>, warnings: &mut Vec<String>) -> Result<(), Error> {
        let key = setting.key.clone();
        match key.as_str() {
            "aws_access_key" => self.aws_access_key = setting.secret().optional_text()?,
            "aws_secret_key" => self.aws_secret_key = setting.secret().optional_text()?.map(Secret),
            "aws_session_token" => self.aws_session_token = setting.secret().optional_text()?.map(Secret),
            "aws_profile" => self.aws_profile = setting.optional_text()?,
            "aws_region" => self.aws_region = optional(&setting, "a region like \"us-east-1\"", is_region)?,
            "full_update_period" => {
                self.full_update_period = Duration::from_secs(setting.whole("seconds", 1..=LONGEST)?);
            }
            "full_update_jitter" => {
                self.full_update_jitter = Duration::from_secs(setting.whole("seconds", 0..=LONGEST)?);
            }
            "group_table_name" => self.group_table_name = setting.text_that(TABLE_NAME, is_table)?,
            "user_table_name" => self.user_table_name = setting.text_that(TABLE_NAME, is_table)?,
            "logging" if setting.is_null() => self.logging = None,
            "logging" => self.logging = Some(Logging::parse(&setting, warnings)?),
            "endpoint_url" => {
                // Where somebody put a password into it, no message shows it.
                let setting = if setting.holds(['@', '?', '\\']) { setting.secret() } else { setting };
                let allowed = "an address like \"https://host:port\", without user, password or query";
                self.endpoint_url = optional(&setting, allowed, is_endpoint)?;
            }
            "assume_role_arn" => {
                self.assume_role_arn =
                    optional(&setting, "a role like \"arn:aws:iam::123456789012:role/NAME\"", is_role)?;
            }
            "consistent_read" => self.consistent_read = setting.boolean()?,
            "allow_system_accounts" => self.allow_system_accounts = setting.boolean()?,
            "allow_duplicate_ids" => self.allow_duplicate_ids = setting.boolean()?,
            "group_members" => {
                let allowed = "\"auto\", \"exact\" or \"merge\"";
                self.group_members = match setting.text_as(allowed)?.as_str() {
                    "auto" => GroupMembers::Auto,
                    "exact" => GroupMembers::Exact,
                    "merge" => GroupMembers::Merge,
                    _ => return Err(setting.wrong(allowed)),
                }
            }
            "user_defaults" => self.user_defaults = defaults::parse(&setting)?,
            "create_home" => self.create_home = setting.boolean()?,
            "skeleton" => self.skeleton = optional_path(&setting)?,
            "status_file" => self.status_file = setting.path()?,
            "metrics_file" => self.metrics_file = optional_path(&setting)?,
            "_comment" | "comment" | "//" => {}
            key if LATER.contains(&key) => {
                let message = format!("{} is not supported by this version of ddum", setting.place());
                return Err(Error::new(ErrorKind::Config, message));
            }
            key => {
                let known = nearest(key, KEYS.into_iter().chain(LATER));
                let hint = known.map_or(String::new(), |known| format!(", did you mean \"{known}\"?"));
                warnings.push(format!("{} is no key that ddum knows{hint}; ignored", setting.place()));
            }
        }
        Ok(())
    }
}

const TABLE_NAME: &str = "a table's name (3 to 255 letters, digits, \".\", \"_\" and \"-\") or its ARN";

fn optional(setting: &Setting<'_>, allowed: &str, rule: fn(&str) -> bool) -> Result<Option<String>, Error> {
    let text = setting.optional_text()?;
    if text.as_deref().is_none_or(rule) { Ok(text) } else { Err(setting.wrong(allowed)) }
}

fn optional_path(setting: &Setting<'_>) -> Result<Option<PathBuf>, Error> {
    if setting.is_null() { Ok(None) } else { setting.path().map(Some) }
}

fn is_region(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') && !text.starts_with('-')
}

fn is_table(text: &str) -> bool {
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    match text.strip_prefix("arn:").and_then(|arn| arn.split_once(":table/")) {
        Some((owner, name)) => owner.contains(":dynamodb:") && (3..=255).contains(&name.len()) && plain(name),
        None => (3..=255).contains(&text.len()) && plain(text),
    }
}

fn is_role(text: &str) -> bool {
    let (service, role) = text.split_once(":role/").unwrap_or_default();
    service.starts_with("arn:") && service.contains(":iam:") && !role.is_empty()
}
