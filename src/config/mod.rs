//! The configuration file, `/etc/dynamodb-user-manager.cfg`: a JSON object with the keys of the Python program that
//! ddum replaces and keys of its own.

mod defaults;
mod format;
mod logging;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use crate::account::GroupMembers;
use crate::error::{Error, ErrorKind, printable};
use crate::spelling::nearest;

pub use defaults::DefaultValue;
pub use format::{Field, Format, Piece};
pub use logging::{Facility, Handler, HandlerKind, Logging, SyslogAddress, Verbosity};
use value::{Document, Setting};

/// Where the configuration is, unless `-c` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/dynamodb-user-manager.cfg";

/// A year of seconds: longer periods are mistakes.
const LONGEST: u64 = 31_536_000;

/// Every key that has an effect.
const KEYS: [&str; 24] = [
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
    // Not documented: comments, which JSON lacks.
    "_comment",
    "comment",
    "//",
];

/// Keys that mean something to a later version. Not a warning: somebody who limits a host to some groups must not
/// get a host that admits everybody.
const LATER: [&str; 8] = [
    "authorized_groups",
    "authorized_groups_tag",
    "authorized_keys_dir",
    "change_check_period",
    "manage_sudoers",
    "removal_limit",
    "removed_users",
    "state_table_name",
];

/// A value that must not be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The value, for the one who needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where the items of a table are read from instead of DynamoDB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

/// What the configuration file says, with the defaults for what it does not.
#[derive(Clone, Debug)]
pub struct Config {
    /// The id of an access key; comes with `aws_secret_key`.
    pub aws_access_key: Option<String>,
    /// The access key's secret.
    pub aws_secret_key: Option<Secret>,
    /// The session token of temporary credentials.
    pub aws_session_token: Option<Secret>,
    /// A profile of the AWS configuration files.
    pub aws_profile: Option<String>,
    /// The region of the tables.
    pub aws_region: Option<String>,
    /// From the end of one update to the next, 1 s to a year.
    pub full_update_period: Duration,
    /// At most this much, at random, is added to the period, so that a fleet does not scan in step.
    pub full_update_jitter: Duration,
    /// The name or ARN of the Groups table.
    pub group_table_name: String,
    /// The name or ARN of the Users table.
    pub user_table_name: String,
    /// Where log lines go; `None`: standard error in the foreground, syslog in the background.
    pub logging: Option<Logging>,
    /// Where DynamoDB answers, if not at the region's usual address.
    pub endpoint_url: Option<String>,
    /// A role to take on for reading the tables.
    pub assume_role_arn: Option<String>,
    /// Strongly consistent scans, at twice the cost of the others.
    pub consistent_read: bool,
    /// Items may touch UID 0 and what is below `UID_MIN` and `GID_MIN`.
    pub allow_system_accounts: bool,
    /// Items may take a UID or GID that another account has.
    pub allow_duplicate_ids: bool,
    /// How the members of an existing group are set.
    pub group_members: GroupMembers,
    /// Values for attributes that a Users item lacks; `{name}` in them stands for the user's name.
    pub user_defaults: BTreeMap<String, DefaultValue>,
    /// Missing homes are created.
    pub create_home: bool,
    /// What a new home starts with.
    pub skeleton: Option<PathBuf>,
    /// Where the report of the last update is kept.
    pub status_file: PathBuf,
    /// Where metrics for Prometheus are written.
    pub metrics_file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            aws_access_key: None,
            aws_secret_key: None,
            aws_session_token: None,
            aws_profile: None,
            aws_region: None,
            full_update_period: Duration::from_secs(3600),
            full_update_jitter: Duration::from_secs(600),
            group_table_name: "Groups".to_owned(),
            user_table_name: "Users".to_owned(),
            logging: None,
            endpoint_url: None,
            assume_role_arn: None,
            consistent_read: true,
            allow_system_accounts: false,
            allow_duplicate_ids: false,
            group_members: GroupMembers::Auto,
            user_defaults: BTreeMap::new(),
            create_home: true,
            skeleton: Some(PathBuf::from("/etc/skel")),
            status_file: PathBuf::from("/run/ddum/status.json"),
            metrics_file: None,
        }
    }
}

impl Config {
    /// What the bytes of the file at `path` say, and warnings about what in it has no effect.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming line, key, value and what is allowed. The values of secrets are not shown.
    pub fn parse(text: &[u8], path: &Path) -> Result<(Self, Vec<String>), Error> {
        let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        let text = std::str::from_utf8(text).map_err(|e| {
            let line = 1 + text[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count();
            Error::new(ErrorKind::Config, format!("{} line {line}: not UTF-8 text", path.display()))
        })?;
        let mut config = Self::default();
        let mut warnings = Vec::new();
        for setting in (Document { path, text }).settings()? {
            config.set(setting, &mut warnings)?;
        }
        config.check(path, &mut warnings)?;
        Ok((config, warnings))
    }

    fn set(&mut self, setting: Setting<'_>, warnings: &mut Vec<String>) -> Result<(), Error> {
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
                self.endpoint_url = optional(&setting, "an address like \"https://host:port\"", is_url)?;
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

    /// What no single value can tell.
    fn check(&self, path: &Path, warnings: &mut Vec<String>) -> Result<(), Error> {
        let path = path.display();
        if self.aws_access_key.is_some() != self.aws_secret_key.is_some() {
            let message = format!("{path}: \"aws_access_key\" and \"aws_secret_key\" only work together");
            return Err(Error::new(ErrorKind::Config, message));
        }
        if self.aws_session_token.is_some() && self.aws_access_key.is_none() {
            warnings.push(format!("{path}: \"aws_session_token\" without \"aws_access_key\" has no effect"));
        }
        if self.user_table_name == self.group_table_name {
            let table = printable(&self.user_table_name);
            let message = format!("{path}: \"{table}\" cannot be both the Users and the Groups table");
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok(())
    }

    /// What is doubtful about who may read and write the file at `path`, by its mode.
    #[must_use]
    pub fn doubts_about_mode(&self, path: &Path, mode: u32) -> Option<String> {
        let path = path.display();
        let mode = mode & 0o7777;
        let secrets = self.aws_secret_key.is_some() || self.aws_session_token.is_some();
        if mode & 0o022 != 0 {
            Some(format!("{path} can be changed by others than its owner (mode {mode:04o}): chmod go-w {path}"))
        } else if secrets && mode & 0o004 != 0 {
            Some(format!("{path} holds a secret key and everybody can read it (mode {mode:04o}): chmod o-r {path}"))
        } else {
            None
        }
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

fn is_url(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| {
        !host.is_empty() && !host.starts_with('/') && host.bytes().all(|b| b.is_ascii_graphic() && b != b'@')
    })
}

fn is_role(text: &str) -> bool {
    let (service, role) = text.split_once(":role/").unwrap_or_default();
    service.starts_with("arn:") && service.contains(":iam:") && !role.is_empty()
}

#[cfg(test)]
mod tests;
