//! The handlers of `logging`: the places that log lines go to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use log::LevelFilter;

use super::format::Format;
use super::logging::level;
use super::value::Setting;
use crate::error::{Error, printable};

/// One place that log lines go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handler {
    /// What the dictionary calls it.
    pub name: String,
    /// What it is.
    pub kind: HandlerKind,
    /// What it takes of what is logged.
    pub level: LevelFilter,
    /// What a line of it looks like; `None` when nothing is said about it.
    pub format: Option<Format>,
    /// It takes ddum's records.
    pub own: bool,
    /// It takes the libraries' records.
    pub others: bool,
}

/// The kinds of places that log lines go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandlerKind {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// A file that is appended to, opened again when it was moved away.
    File {
        /// Where.
        path: PathBuf,
        /// It is rotated before it grows beyond as many bytes; 0: never.
        max_bytes: u64,
        /// As many old files are kept.
        backup_count: u32,
    },
    /// A syslog daemon.
    Syslog {
        /// Where it listens.
        address: SyslogAddress,
        /// Whose messages these are.
        facility: Facility,
    },
    /// Nowhere.
    Null,
}

/// Where a syslog daemon listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogAddress {
    /// A Unix datagram socket.
    Socket(PathBuf),
    /// A UDP port of a host.
    Udp(String, u16),
}

/// A syslog facility, by its number in RFC 5424, 0 to 23.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(u8);

/// The names that Python's `SysLogHandler` knows, in the order of their numbers; an empty name has none.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "security", "console", "solcron", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

impl Facility {
    /// Of programs that nobody said anything about.
    pub const USER: Self = Self(1);
    /// Of daemons.
    pub const DAEMON: Self = Self(3);

    /// Its number.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    fn parse(setting: &Setting<'_>) -> Result<Self, Error> {
        let allowed = "a syslog facility: a name like \"daemon\" or a number from 0 to 23";
        let number = if setting.is_text() {
            let name = setting.text()?.to_ascii_lowercase();
            FACILITIES.iter().position(|facility| *facility == name).and_then(|number| u8::try_from(number).ok())
        } else {
            setting.number().and_then(|number| u8::try_from(number).ok()).filter(|number| *number < 24)
        };
        number.map(Self).ok_or_else(|| setting.wrong(allowed))
    }
}

/// One handler; `None` when it is of a kind that ddum does not have.
pub(super) fn handler(
    part: &Setting<'_>,
    name: String,
    formats: &BTreeMap<String, Format>,
    warnings: &mut Vec<String>,
) -> Result<Option<Handler>, Error> {
    let settings = part.object()?;
    let find = |wanted: &str| settings.iter().find(|setting| setting.name(part) == wanted);
    let class = find("class").ok_or_else(|| part.wrong("an object with a \"class\""))?.text()?;
    let short = class.rsplit('.').next().unwrap_or_default();
    let mut honoured = vec!["class", "level", "formatter"];
    let kind = match short {
        _ if !class.starts_with("logging.") && class.contains('.') => None,
        "StreamHandler" => {
            honoured.push("stream");
            match find("stream").map(Setting::text).transpose()?.as_deref() {
                None | Some("ext://sys.stderr") => Some(HandlerKind::Stderr),
                Some("ext://sys.stdout") => Some(HandlerKind::Stdout),
                Some(_) => None,
            }
        }
        "FileHandler" | "WatchedFileHandler" | "RotatingFileHandler" | "TimedRotatingFileHandler" => {
            honoured.extend(["filename", "encoding", "delay", "errors"]);
            let path = find("filename").ok_or_else(|| part.wrong("an object with a \"filename\""))?.path()?;
            let (mut max_bytes, mut backup_count) = (0, 0);
            if short == "RotatingFileHandler" {
                honoured.extend(["maxBytes", "backupCount"]);
                let number = |key, most| find(key).map_or(Ok(0), |setting| setting.whole("", 0..=most));
                max_bytes = number("maxBytes", u64::MAX / 2)?;
                backup_count = u32::try_from(number("backupCount", 1000)?).unwrap_or(1000);
                // As Python has it: without old files to keep, there is no rotation.
                if backup_count == 0 {
                    max_bytes = 0;
                }
            }
            if short == "TimedRotatingFileHandler" {
                honoured.extend(["when", "interval", "backupCount", "utc", "atTime"]);
                warnings.push(format!("{}: ddum does not rotate by time, but follows logrotate(8)", part.place()));
            }
            if find("mode").map(Setting::text).transpose()?.is_none_or(|mode| mode.starts_with('a')) {
                honoured.push("mode");
            }
            Some(HandlerKind::File { path, max_bytes, backup_count })
        }
        "SysLogHandler" => {
            honoured.extend(["address", "facility"]);
            let facility = find("facility").map_or(Ok(Facility::USER), Facility::parse)?;
            let address = find("address").map_or(Ok(SyslogAddress::Udp("localhost".to_owned(), 514)), address)?;
            Some(HandlerKind::Syslog { address, facility })
        }
        "NullHandler" => Some(HandlerKind::Null),
        _ => None,
    };
    let Some(kind) = kind else {
        warnings.push(format!("{}: ddum has no handler {}; nothing goes there", part.place(), printable(&class)));
        return Ok(None);
    };
    let format = match find("formatter").filter(|setting| !setting.is_null()) {
        Some(setting) => {
            let name = setting.text_that("the name of a formatter", |name| formats.contains_key(name))?;
            formats.get(&name).cloned()
        }
        None => None,
    };
    let level = find("level").map_or(Ok(None), level)?.unwrap_or(LevelFilter::Trace);
    for setting in settings.iter().filter(|setting| !honoured.contains(&setting.name(part).as_str())) {
        warnings.push(format!("{} is not honoured", setting.place()));
    }
    Ok(Some(Handler { name, kind, level, format, own: false, others: false }))
}

fn address(setting: &Setting<'_>) -> Result<SyslogAddress, Error> {
    let allowed = "a socket's path like \"/dev/log\" or a host and port like [\"localhost\", 514]";
    if setting.is_text() {
        return setting.text_that(allowed, |text| text.starts_with('/')).map(|path| SyslogAddress::Socket(path.into()));
    }
    match setting.list(allowed)?.as_slice() {
        [host, port] => {
            let number = port.number().and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
            let number = number.ok_or_else(|| setting.wrong(allowed))?;
            Ok(SyslogAddress::Udp(host.text_that(allowed, |host| !host.is_empty())?, number))
        }
        _ => Err(setting.wrong(allowed)),
    }
}
