//! The command line: arguments in, options and a command out. Nothing is done here.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::config::{Source, Verbosity};
use crate::error::{Error, ErrorKind, printable};
use crate::spelling::nearest;
use crate::usage;

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
    Help,
}

const WORDS: [(&str, Word); 4] =
    [("sync", Word::Sync), ("check", Word::Check), ("status", Word::Status), ("help", Word::Help)];

impl Word {
    fn usage(self) -> &'static str {
        match self {
            Self::Daemon => usage::MAIN,
            Self::Sync => usage::SYNC,
            Self::Check => usage::CHECK,
            Self::Status => usage::STATUS,
            Self::Help => usage::HELP,
        }
    }

    /// The command that prints its help, for messages.
    fn help(self) -> String {
        match WORDS.iter().find(|(_, word)| *word == self) {
            Some((name, _)) => format!("ddum {name} --help"),
            None => "ddum --help".to_owned(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flag {
    Config,
    Foreground,
    Pidfile,
    Root,
    Users,
    Groups,
    DryRun,
    Json,
    Verbose,
    Quiet,
    Version,
    Help,
}

const EVERY: &[Word] = &[Word::Daemon, Word::Sync, Word::Check, Word::Status, Word::Help];
const READERS: &[Word] = &[Word::Daemon, Word::Sync, Word::Check];

/// Every option: its letter, its name, the commands that have it. The parser takes none but these.
const OPTIONS: [(Flag, Option<char>, &str, &[Word]); 12] = [
    (Flag::Config, Some('c'), "config", EVERY),
    (Flag::Foreground, Some('f'), "foreground", &[Word::Daemon]),
    (Flag::Pidfile, Some('p'), "pidfile", &[Word::Daemon]),
    (Flag::Root, None, "root", EVERY),
    (Flag::Users, None, "users", READERS),
    (Flag::Groups, None, "groups", READERS),
    (Flag::DryRun, None, "dry-run", &[Word::Sync]),
    (Flag::Json, None, "json", &[Word::Status]),
    (Flag::Verbose, Some('v'), "verbose", EVERY),
    (Flag::Quiet, Some('q'), "quiet", EVERY),
    (Flag::Version, Some('V'), "version", EVERY),
    (Flag::Help, Some('h'), "help", EVERY),
];

/// What `args`, without the program's own name, ask for.
///
/// # Errors
/// [`ErrorKind::Usage`], naming what is wrong and where help is.
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<(Options, Command), Error> {
    let mut parser = lexopt::Parser::from_args(args);
    let mut line = Line::default();
    while let Some(arg) = parser.next().map_err(|error| wrong(&error.to_string(), line.word()))? {
        let (short, long) = match arg {
            lexopt::Arg::Value(value) => {
                line.take_word(&value)?;
                continue;
            }
            lexopt::Arg::Short(letter) => (Some(letter), None),
            lexopt::Arg::Long(name) => (None, Some(name.to_owned())),
        };
        let known = OPTIONS.iter().find(|(_, letter, name, _)| match &long {
            Some(long) => long == name,
            None => short == *letter,
        });
        let Some((flag, ..)) = known else {
            return Err(unknown_option(short, long.as_deref(), line.word()));
        };
        let mut value = || parser.value().map_err(|error| wrong(&error.to_string(), line.word()));
        match flag {
            Flag::Config => line.options.config = Some(value()?.into()),
            Flag::Pidfile => line.pidfile = Some(value()?.into()),
            Flag::Root => line.options.root = Some(value()?.into()),
            Flag::Users => line.options.users = Some(source(value()?)),
            Flag::Groups => line.options.groups = Some(source(value()?)),
            Flag::Verbose => line.options.verbosity = Verbosity::Verbose,
            Flag::Quiet => line.options.verbosity = Verbosity::Quiet,
            Flag::Foreground | Flag::DryRun | Flag::Json | Flag::Version | Flag::Help => {}
        }
        line.flags.push(*flag);
    }
    line.finish()
}

/// What has been read of the command line.
#[derive(Default)]
struct Line {
    options: Options,
    pidfile: Option<PathBuf>,
    flags: Vec<Flag>,
    words: Vec<Word>,
}

impl Line {
    fn word(&self) -> Word {
        self.words.first().copied().unwrap_or(Word::Daemon)
    }

    fn take_word(&mut self, value: &OsStr) -> Result<(), Error> {
        let text = value.to_string_lossy();
        // Only help takes a word, the one it is about.
        if !(self.words.is_empty() || self.words == [Word::Help]) {
            return Err(wrong(&format!("unexpected argument '{}'", printable(&text)), self.word()));
        }
        let Some((_, word)) = WORDS.iter().find(|(name, _)| *name == text) else {
            let hint = suggestion(&text, WORDS.iter().map(|(name, _)| *name), "");
            return Err(wrong(&format!("unknown command '{}'{hint}", printable(&text)), Word::Daemon));
        };
        self.words.push(*word);
        Ok(())
    }

    fn finish(self) -> Result<(Options, Command), Error> {
        let word = self.word();
        let has = |flag: Flag| self.flags.contains(&flag);
        // Before all else: who asks how it is done need not have done it right.
        if has(Flag::Help) || word == Word::Help {
            let about = if word == Word::Help && !has(Flag::Help) { Word::Daemon } else { word };
            let about = self.words.get(1).copied().unwrap_or(about);
            return Ok((self.options, Command::Help(about.usage())));
        }
        if has(Flag::Version) {
            return Ok((self.options, Command::Version));
        }
        let foreign = OPTIONS.iter().find(|(flag, _, _, words)| has(*flag) && !words.contains(&word));
        if let Some((_, _, name, _)) = foreign {
            return Err(wrong(&format!("option '--{name}' does not belong to this command"), word));
        }
        match (&self.options.users, &self.options.groups) {
            (Some(_), None) | (None, Some(_)) => {
                return Err(wrong("'--users' and '--groups' only work together", word));
            }
            (Some(Source::Stdin), Some(Source::Stdin)) => {
                return Err(wrong("standard input cannot be both tables", word));
            }
            (Some(Source::Stdin), _) | (_, Some(Source::Stdin)) if word == Word::Daemon => {
                return Err(wrong("a daemon reads its tables again and again, standard input only once", word));
            }
            _ => {}
        }
        let command = match word {
            Word::Daemon => Command::Daemon {
                foreground: has(Flag::Foreground),
                pidfile: self.pidfile.unwrap_or_else(|| PathBuf::from(DEFAULT_PIDFILE)),
            },
            Word::Sync => Command::Sync { dry_run: has(Flag::DryRun) },
            Word::Check => Command::Check,
            Word::Status => Command::Status { json: has(Flag::Json) },
            Word::Help => Command::Help(usage::MAIN),
        };
        Ok((self.options, command))
    }
}

fn source(value: OsString) -> Source {
    if value == "-" { Source::Stdin } else { Source::File(value.into()) }
}

fn wrong(message: &str, word: Word) -> Error {
    Error::new(ErrorKind::Usage, format!("{message}; see '{}'", word.help()))
}

fn unknown_option(short: Option<char>, long: Option<&str>, word: Word) -> Error {
    let (name, hint) = match (short, long) {
        (Some(letter), _) => (format!("-{letter}"), String::new()),
        (None, name) => {
            let name = name.unwrap_or_default();
            (format!("--{name}"), suggestion(name, OPTIONS.iter().map(|(_, _, name, _)| *name), "--"))
        }
    };
    wrong(&format!("unknown option '{}'{hint}", printable(&name)), word)
}

/// `, did you mean '--dry-run'?`, if it is clear what was meant.
fn suggestion(text: &str, known: impl Iterator<Item = &'static str> + Clone, prefix: &str) -> String {
    let begun = known.clone().find(|name| text.len() > 1 && name.starts_with(text));
    begun.or_else(|| nearest(text, known)).map_or(String::new(), |name| format!(", did you mean '{prefix}{name}'?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<(Options, Command), Error> {
        parse(text.split_whitespace().map(OsString::from))
    }

    fn daemon(foreground: bool, pidfile: &str) -> Command {
        Command::Daemon { foreground, pidfile: pidfile.into() }
    }

    #[test]
    fn options_stand_before_or_after_the_command() {
        for (text, want) in [
            ("", daemon(false, DEFAULT_PIDFILE)),
            ("-f", daemon(true, DEFAULT_PIDFILE)),
            ("-fp/run/x", daemon(true, "/run/x")),
            ("--foreground --pidfile=/run/x", daemon(true, "/run/x")),
            ("sync", Command::Sync { dry_run: false }),
            ("sync --dry-run", Command::Sync { dry_run: true }),
            ("--dry-run sync", Command::Sync { dry_run: true }),
            ("-v check", Command::Check),
            ("status --json", Command::Status { json: true }),
            ("help", Command::Help(usage::MAIN)),
            ("help sync", Command::Help(usage::SYNC)),
            ("help --help", Command::Help(usage::HELP)),
            ("--help", Command::Help(usage::MAIN)),
            ("-h check", Command::Help(usage::CHECK)),
            ("status --users x -h", Command::Help(usage::STATUS)),
            ("sync -V", Command::Version),
        ] {
            assert_eq!(line(text).unwrap().1, want, "{text}");
        }
    }

    #[test]
    fn common_options_reach_their_fields() {
        let (options, _) = line("-c /c --root /r sync --users u --groups - -q").unwrap();
        let want = Options {
            config: Some("/c".into()),
            root: Some("/r".into()),
            users: Some(Source::File("u".into())),
            groups: Some(Source::Stdin),
            verbosity: Verbosity::Quiet,
        };
        assert_eq!(options, want);
        assert_eq!(line("-v -q -v").unwrap().0.verbosity, Verbosity::Verbose);
    }

    #[test]
    fn a_wrong_line_is_refused_with_the_nearest_name_and_where_help_is() {
        for (text, want) in [
            ("snyc", "unknown command 'snyc', did you mean 'sync'?; see 'ddum --help'"),
            ("daemon", "unknown command 'daemon'; see 'ddum --help'"),
            ("sync now", "unexpected argument 'now'; see 'ddum sync --help'"),
            ("sync --dryrun", "unknown option '--dryrun', did you mean '--dry-run'?; see 'ddum sync --help'"),
            ("--fore", "unknown option '--fore', did you mean '--foreground'?; see 'ddum --help'"),
            ("-x", "unknown option '-x'; see 'ddum --help'"),
            ("check --dry-run", "option '--dry-run' does not belong to this command; see 'ddum check --help'"),
            ("sync -p x", "option '--pidfile' does not belong to this command; see 'ddum sync --help'"),
            ("status --users a --groups b", "option '--users' does not belong to this command"),
            ("sync --users a", "'--users' and '--groups' only work together"),
            ("sync --users - --groups -", "standard input cannot be both tables"),
            ("--users - --groups x", "a daemon reads its tables again and again"),
            ("sync -c", "missing argument for option '-c'; see 'ddum sync --help'"),
            ("--foreground=yes", "unexpected argument for option '--foreground'"),
            ("help daemon", "unknown command 'daemon'"),
        ] {
            let error = line(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
            assert!(error.to_string().contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn every_option_is_in_the_help_of_its_commands_and_no_other_is() {
        for word in EVERY {
            let text = word.usage();
            let options = text.split_once("\n\n").unwrap().1;
            for (_, letter, name, words) in OPTIONS {
                let belongs = words.contains(word);
                assert_eq!(options.contains(&format!("--{name}")), belongs, "{name} in {word:?}");
                if let Some(letter) = letter.filter(|_| belongs) {
                    assert!(options.contains(&format!("-{letter}, --{name}")), "{letter} in {word:?}");
                }
            }
            for name in text.split("--").skip(1) {
                let name = name.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap();
                assert!(OPTIONS.iter().any(|(_, _, known, _)| *known == name), "--{name} in {word:?}");
            }
            assert!(text.lines().all(|line| line.len() <= 80) && text.ends_with('\n'), "{word:?}");
        }
        for (name, _) in WORDS {
            assert!(usage::MAIN.contains(&format!("\n  {name} ")), "{name}");
        }
    }
}
