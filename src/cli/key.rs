//! `ddum key …`.

use std::ffi::OsString;

use super::line::{Line, source, wrong};
use super::options::Flag;
use super::user::{Form, Writing, form, writing};
use super::verbs::{self, Verbs, arguments, option};
use crate::config::Source;
use crate::error::Error;

/// What to do with the keys of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Print a line for each.
    List(Who, Form),
    /// Add those in a file.
    Add {
        /// Whose.
        who: Who,
        /// The file.
        file: Source,
        /// They expire on this date.
        expires: Option<String>,
        /// How.
        writing: Writing,
    },
    /// Put one aside, for hosts to take away.
    Disable(Chosen),
    /// Put one back.
    Enable(Chosen),
    /// Take one away for good.
    Delete(Chosen),
}

/// Whose keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// This user's.
    User(String),
    /// The caller's, as AWS knows him.
    Me,
    /// The caller's, as `$USER` says.
    MeFromEnvironment,
}

/// One key of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Whose.
    pub who: Who,
    /// The fingerprint or the comment.
    pub key: String,
    /// How.
    pub writing: Writing,
}

#[derive(Clone, Copy)]
enum Word {
    List,
    Add,
    Disable,
    Enable,
    Delete,
}

const VERBS: &Verbs<Word> = &[
    ("list", Word::List, &[Flag::Json, Flag::MeFromEnv]),
    ("add", Word::Add, &[Flag::Expires, Flag::DryRun, Flag::Json, Flag::MeFromEnv]),
    ("disable", Word::Disable, &[Flag::DryRun, Flag::Json, Flag::Yes, Flag::MeFromEnv]),
    ("enable", Word::Enable, &[Flag::DryRun, Flag::Json, Flag::MeFromEnv]),
    ("delete", Word::Delete, &[Flag::DryRun, Flag::Json, Flag::Yes, Flag::MeFromEnv]),
];

pub(super) fn parse(line: &Line) -> Result<Verb, Error> {
    const KEY: &str = "the fingerprint or the comment of a key";
    Ok(match verbs::verb(line, VERBS)? {
        Word::List => Verb::List(who(line, arguments(line, &(0..=1), "")?.pop())?, form(line)),
        Word::Add => {
            let (who, file) = who_and(line, "a file with a public key, or '-'")?;
            let file = source(&OsString::from(file));
            Verb::Add { who, file, expires: option(line, Flag::Expires)?, writing: writing(line) }
        }
        Word::Disable => Verb::Disable(chosen(line, KEY)?),
        Word::Enable => Verb::Enable(chosen(line, KEY)?),
        Word::Delete => Verb::Delete(chosen(line, KEY)?),
    })
}

fn chosen(line: &Line, what: &str) -> Result<Chosen, Error> {
    let (who, key) = who_and(line, what)?;
    Ok(Chosen { who, key, writing: writing(line) })
}

/// A user, if two arguments are there, and what comes last.
fn who_and(line: &Line, what: &str) -> Result<(Who, String), Error> {
    let mut arguments = arguments(line, &(1..=2), what)?;
    let last = arguments.pop().unwrap_or_default();
    Ok((who(line, arguments.pop())?, last))
}

fn who(line: &Line, name: Option<String>) -> Result<Who, Error> {
    match name {
        Some(_) if line.has(Flag::MeFromEnv) => Err(wrong("'--me-from-env' is for when no user is named", line.word())),
        Some(name) => Ok(Who::User(name)),
        None if line.has(Flag::MeFromEnv) => Ok(Who::MeFromEnvironment),
        None => Ok(Who::Me),
    }
}
