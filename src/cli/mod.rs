//! The command line: arguments in, options and a command out. Nothing is done here.

mod export;
pub mod group;
pub mod key;
mod line;
mod options;
pub mod tables;
#[cfg(test)]
mod tests;
pub mod user;
mod verbs;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::config::{Source, Verbosity};
use crate::error::Error;
use crate::usage;
pub use export::{Export, Part, Target};
use line::{Line, unknown_option, wrong};
use options::{Known, OPTIONS};

/// Where the daemon's process id is, unless `-p` says otherwise.
pub const DEFAULT_PIDFILE: &str = "/var/run/dynamodb-user-manager.pid";

/// The options that commands have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The configuration file, if one is named: only then must it exist.
    pub config: Option<PathBuf>,
    /// The file tree to act on, if not this host's.
    pub root: Option<PathBuf>,
    /// What to read the Users table from instead of DynamoDB; there is one exactly if `groups` is one.
    pub users: Option<Source>,
    /// What to read the Groups table from.
    pub groups: Option<Source>,
    /// How much is said.
    pub verbosity: Verbosity,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Update again and again.
    Daemon {
        /// Stay attached to the terminal or the service manager.
        foreground: bool,
        /// One daemon runs for each.
        pidfile: PathBuf,
    },
    /// Update once.
    Sync {
        /// Only print what would change.
        dry_run: bool,
    },
    /// Print what an update would do and everything doubtful.
    Check,
    /// Print what the last update did.
    Status {
        /// As it was stored.
        json: bool,
    },
    /// Tell what decides how one name looks on this host.
    Explain {
        /// The name of a user, a group or both.
        name: String,
        /// For programs.
        json: bool,
    },
    /// Accounts of this host to the tables, or to files.
    Export(Box<Export>),
    /// Make the tables, or show them.
    Tables(tables::Verb),
    /// Show or change items of the Users table.
    User(user::Verb),
    /// Show or change items of the Groups table.
    Group(group::Verb),
    /// Show or change the keys of a user.
    Key(key::Verb),
    /// Print this text.
    Help(&'static str),
    /// Print the version.
    Version,
}

/// The words that name commands; the daemon has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Daemon,
    Sync,
    Check,
    Status,
    Explain,
    Export,
    Help,
    Tables,
    User,
    Group,
    Key,
}

const WORDS: [(&str, Word); 10] = [
    ("sync", Word::Sync),
    ("check", Word::Check),
    ("status", Word::Status),
    ("explain", Word::Explain),
    ("export", Word::Export),
    ("help", Word::Help),
    ("tables", Word::Tables),
    ("user", Word::User),
    ("group", Word::Group),
    ("key", Word::Key),
];

impl Word {
    fn usage(self) -> &'static str {
        match self {
            Self::Daemon => usage::MAIN,
            Self::Sync => usage::SYNC,
            Self::Check => usage::CHECK,
            Self::Status => usage::STATUS,
            Self::Explain => usage::EXPLAIN,
            Self::Export => usage::EXPORT,
            Self::Help => usage::HELP,
            Self::Tables => usage::TABLES,
            Self::User => usage::USER,
            Self::Group => usage::GROUP,
            Self::Key => usage::KEY,
        }
    }

    /// The command that prints its help, for messages.
    fn help(self) -> String {
        match WORDS.iter().find(|(_, word)| *word == self) {
            Some((name, _)) => format!("ddum {name} --help"),
            None => "ddum --help".to_owned(),
        }
    }

    /// Whether words may follow that are no commands.
    fn takes_arguments(self) -> bool {
        match self {
            Self::Explain | Self::Export => true,
            Self::Daemon | Self::Sync | Self::Check | Self::Status | Self::Help => false,
            Self::Tables | Self::User | Self::Group | Self::Key => true,
        }
    }
}

/// The name under which hosts of the Python program call its export.
const EXPORT_NAME: &str = "dynamodb-user-export";

/// What `args` ask for, the name first by which the program was called.
///
/// # Errors
/// As [`parse`].
pub fn parse_called(mut args: impl Iterator<Item = OsString>) -> Result<(Options, Command), Error> {
    let name = args.next();
    let is_export = name.is_some_and(|name| Path::new(&name).file_name() == Some(OsStr::new(EXPORT_NAME)));
    parse(is_export.then(|| OsString::from("export")).into_iter().chain(args))
}

/// What `args`, without the program's own name, ask for.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::error::ErrorKind::Usage), naming what is wrong and where help is.
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<(Options, Command), Error> {
    let mut parser = lexopt::Parser::from_args(args);
    let mut line = Line::default();
    while let Some(arg) = parser.next().map_err(|error| wrong(&error.to_string(), line.word()))? {
        let (short, long) = match arg {
            lexopt::Arg::Value(value) => {
                line.take_word(value)?;
                continue;
            }
            lexopt::Arg::Short(letter) => (Some(letter), None),
            lexopt::Arg::Long(name) => (None, Some(name.to_owned())),
        };
        let known = OPTIONS.iter().find(|known| match &long {
            Some(long) => long == known.name,
            None => short == known.letter,
        });
        let Some(Known { flag, takes_value, .. }) = known else {
            return Err(unknown_option(short, long.as_deref(), line.word()));
        };
        let value = match takes_value {
            true => parser.value().map_err(|error| wrong(&error.to_string(), line.word()))?,
            false => OsString::new(),
        };
        line.given.push((*flag, value));
    }
    line.finish()
}
