//! The words and options of one command line, and what they mean together.

use std::ffi::OsString;
use std::path::PathBuf;

use super::options::{Flag, Known, OPTIONS};
use super::{Command, DEFAULT_PIDFILE, Options, WORDS, Word, group, key, tables, user};
use crate::config::{Source, Verbosity};
use crate::error::{Error, ErrorKind, printable};
use crate::spelling::nearest;
use crate::usage;

/// What has been read of the command line.
#[derive(Default)]
pub(super) struct Line {
    /// The options, in their order; the values of those without one are empty.
    pub(super) given: Vec<(Flag, OsString)>,
    words: Vec<Word>,
    /// What follows the command word and is no option.
    pub(super) arguments: Vec<OsString>,
}

impl Line {
    pub(super) fn word(&self) -> Word {
        self.words.first().copied().unwrap_or(Word::Daemon)
    }

    pub(super) fn has(&self, flag: Flag) -> bool {
        self.given.iter().any(|(given, _)| *given == flag)
    }

    /// The value of an option; the last one, if it is there several times.
    pub(super) fn value(&self, flag: Flag) -> Option<&OsString> {
        self.given.iter().rfind(|(given, _)| *given == flag).map(|(_, value)| value)
    }

    pub(super) fn take_word(&mut self, value: OsString) -> Result<(), Error> {
        if self.words.len() == 1 && self.word().takes_arguments() {
            self.arguments.push(value);
            return Ok(());
        }
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

    pub(super) fn finish(self) -> Result<(Options, Command), Error> {
        let word = self.word();
        let mut options = self.options();
        // Before all else: who asks how it is done need not have done it right.
        if self.has(Flag::Help) || word == Word::Help {
            let about = if word == Word::Help && !self.has(Flag::Help) { Word::Daemon } else { word };
            let about = self.words.get(1).copied().unwrap_or(about);
            return Ok((options, Command::Help(about.usage())));
        }
        if self.has(Flag::Version) {
            return Ok((options, Command::Version));
        }
        let foreign = OPTIONS.iter().find(|known| self.has(known.flag) && !known.words.contains(&word));
        if let Some(Known { name, .. }) = foreign {
            return Err(wrong(&format!("option '--{name}' does not belong to this command"), word));
        }
        if matches!(word, Word::Daemon | Word::Sync | Word::Check | Word::Explain) {
            options.users = self.value(Flag::Users).map(source);
            options.groups = self.value(Flag::Groups).map(source);
        }
        match (&options.users, &options.groups) {
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
                foreground: self.has(Flag::Foreground),
                pidfile: self.value(Flag::Pidfile).map_or_else(|| DEFAULT_PIDFILE.into(), PathBuf::from),
            },
            Word::Sync => Command::Sync { dry_run: self.has(Flag::DryRun) },
            Word::Check => Command::Check,
            Word::Status => Command::Status { json: self.has(Flag::Json) },
            Word::Explain => Command::Explain { name: self.one_name()?, json: self.has(Flag::Json) },
            Word::Export => Command::Export(Box::new(super::export::of(&self)?)),
            Word::Help => Command::Help(usage::MAIN),
            Word::Tables => Command::Tables(tables::parse(&self)?),
            Word::User => Command::User(user::parse(&self)?),
            Word::Group => Command::Group(group::parse(&self)?),
            Word::Key => Command::Key(key::parse(&self)?),
        };
        Ok((options, command))
    }

    /// The one argument of a command that has one.
    fn one_name(&self) -> Result<String, Error> {
        match &self.arguments[..] {
            [name] => Ok(name.to_string_lossy().into_owned()),
            [] => Err(wrong("the name is missing", self.word())),
            [_, more, ..] => Err(unexpected(more, self.word())),
        }
    }

    /// The options that every command has.
    fn options(&self) -> Options {
        let verbosity = self.given.iter().rev().find_map(|(flag, _)| match flag {
            Flag::Verbose => Some(Verbosity::Verbose),
            Flag::Quiet => Some(Verbosity::Quiet),
            _ => None,
        });
        Options {
            config: self.value(Flag::Config).map(PathBuf::from),
            root: self.value(Flag::Root).map(PathBuf::from),
            users: None,
            groups: None,
            verbosity: verbosity.unwrap_or_default(),
        }
    }
}

pub(super) fn source(value: &OsString) -> Source {
    if value == "-" { Source::Stdin } else { Source::File(value.into()) }
}

/// An argument too many.
pub(super) fn unexpected(argument: &OsString, word: Word) -> Error {
    wrong(&format!("unexpected argument '{}'", printable(&argument.to_string_lossy())), word)
}

/// A command line that is not understood: what is wrong with it, and where help is.
pub(super) fn wrong(message: &str, word: Word) -> Error {
    Error::new(ErrorKind::Usage, format!("{message}; see '{}'", word.help()))
}

pub(super) fn unknown_option(short: Option<char>, long: Option<&str>, word: Word) -> Error {
    let (name, hint) = match (short, long) {
        (Some(letter), _) => (format!("-{letter}"), String::new()),
        (None, name) => {
            let name = name.unwrap_or_default();
            (format!("--{name}"), suggestion(name, OPTIONS.iter().map(|known| known.name), "--"))
        }
    };
    wrong(&format!("unknown option '{}'{hint}", printable(&name)), word)
}

/// `, did you mean '--dry-run'?`, if it is clear what was meant.
pub(super) fn suggestion(text: &str, known: impl Iterator<Item = &'static str> + Clone, prefix: &str) -> String {
    let begun = known.clone().find(|name| text.len() > 1 && name.starts_with(text));
    begun.or_else(|| nearest(text, known)).map_or(String::new(), |name| format!(", did you mean '{prefix}{name}'?"))
}
