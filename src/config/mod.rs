//! The configuration file, `/etc/dynamodb-user-manager.cfg`: a JSON object with the keys of the Python program that
//! ddum replaces and keys of its own.

mod defaults;
mod endpoint;
mod format;
mod handler;
mod keys;
mod logging;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use crate::account::GroupMembers;
use crate::error::{Error, ErrorKind, printable};

pub use defaults::DefaultValue;
pub use endpoint::is_endpoint;
pub use format::{Field, Format, Piece};
pub use handler::{Facility, Handler, HandlerKind, SyslogAddress};
pub use logging::{Logging, Verbosity};
use value::Document;

/// Where the configuration is, unless `-c` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/dynamodb-user-manager.cfg";

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

#[cfg(test)]
mod tests;
