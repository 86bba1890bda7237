//! `ddum user …`.

use std::ops::RangeInclusive;

use super::line::{Line, wrong};
use super::options::Flag;
pub use super::verbs::Attributes;
use super::verbs::{self, Verbs, argument, arguments, list, option};
use crate::config::Source;
use crate::error::Error;

/// Where `--uid auto` looks, unless `--uid-range` says otherwise: above what people give by hand and what systems have
/// of their own, below what systemd takes for itself (60001 on, systemd's UIDS-GIDS).
pub const UID_RANGE: RangeInclusive<u32> = 2000..=59_999;

/// What to do with items of the Users table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Print a line for each.
    List(Filter, Form),
    /// Print all of one.
    Show(String, Form),
    /// Put a new one in.
    Add(Box<New>),
    /// Change attributes.
    Set(String, Attributes, Writing),
    /// Let the account expire on a date, or yesterday.
    Expire(String, Option<String>, Writing),
    /// Take the date away.
    Enable(String, Writing),
    /// Delete the item.
    Delete(String, Writing),
}

/// How something is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How something is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writing {
    /// Only print what would be written.
    pub dry_run: bool,
    /// Do not ask.
    pub yes: bool,
    /// Print what was written for programs.
    pub json: bool,
}

/// Which users are listed: those that fit all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of these, where `*` stands for anything; all when there is none.
    pub patterns: Vec<String>,
    /// Whose account has expired.
    pub expired: bool,
    /// Who has no key.
    pub without_keys: bool,
    /// Who is in this group.
    pub group: Option<String>,
    /// Whose UID is in this range.
    pub uids: Option<RangeInclusive<u32>>,
}

/// A user to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct New {
    /// The name.
    pub name: String,
    /// Attributes, but for the UID when it is to be found.
    pub attributes: Attributes,
    /// Find a free UID in this range.
    pub auto: Option<RangeInclusive<u32>>,
    /// The name of the primary group.
    pub group: Option<String>,
    /// Groups to be a member of.
    pub groups: Vec<String>,
    /// Files with keys.
    pub keys: Vec<Source>,
    /// How.
    pub writing: Writing,
}

#[derive(Clone, Copy)]
enum Word {
    List,
    Show,
    Add,
    Set,
    Expire,
    Enable,
    Delete,
}

const ATTRIBUTES: [(Flag, &str); 11] = [
    (Flag::Uid, "UID"),
    (Flag::Gid, "GID"),
    (Flag::RealName, "RealName"),
    (Flag::Home, "Home"),
    (Flag::Shell, "Shell"),
    (Flag::PasswordChanged, "LastPasswordChangeDate"),
    (Flag::MinDays, "PasswordAgeMinDays"),
    (Flag::MaxDays, "PasswordAgeMaxDays"),
    (Flag::WarnDays, "PasswordWarnDays"),
    (Flag::DisableDays, "PasswordDisableDays"),
    (Flag::Expires, "AccountExpireDate"),
];

const VERBS: &Verbs<Word> = &[
    ("list", Word::List, &[Flag::Json, Flag::Expired, Flag::WithoutKeys, Flag::Group, Flag::UidRange]),
    ("show", Word::Show, &[Flag::Json]),
    (
        "add",
        Word::Add,
        &[
            Flag::Uid,
            Flag::UidRange,
            Flag::Gid,
            Flag::Group,
            Flag::RealName,
            Flag::Home,
            Flag::Shell,
            Flag::Key,
            Flag::PasswordHashStdin,
            Flag::PasswordChanged,
            Flag::MinDays,
            Flag::MaxDays,
            Flag::WarnDays,
            Flag::DisableDays,
            Flag::Groups,
            Flag::Expires,
            Flag::DryRun,
            Flag::Json,
        ],
    ),
    (
        "set",
        Word::Set,
        &[
            Flag::Uid,
            Flag::Gid,
            Flag::RealName,
            Flag::Home,
            Flag::Shell,
            Flag::PasswordHashStdin,
            Flag::PasswordChanged,
            Flag::MinDays,
            Flag::MaxDays,
            Flag::WarnDays,
            Flag::DisableDays,
            Flag::Expires,
            Flag::Unset,
            Flag::DryRun,
            Flag::Json,
            Flag::Yes,
        ],
    ),
    ("expire", Word::Expire, &[Flag::DryRun, Flag::Json, Flag::Yes]),
    ("enable", Word::Enable, &[Flag::DryRun, Flag::Json]),
    ("delete", Word::Delete, &[Flag::DryRun, Flag::Json, Flag::Yes]),
];

pub(super) fn parse(line: &Line) -> Result<Verb, Error> {
    let name = || argument(line, "the name of a user");
    let writing = writing(line);
    Ok(match verbs::verb(line, VERBS)? {
        Word::List => {
            let filter = Filter {
                patterns: arguments(line, &(0..=usize::MAX), "names")?,
                expired: line.has(Flag::Expired),
                without_keys: line.has(Flag::WithoutKeys),
                group: option(line, Flag::Group)?,
                uids: verbs::range(line, Flag::UidRange)?,
            };
            Verb::List(filter, form(line))
        }
        Word::Show => Verb::Show(name()?, form(line)),
        Word::Add => Verb::Add(Box::new(new(line, name()?)?)),
        Word::Set => {
            let attributes = verbs::attributes(line, &ATTRIBUTES)?;
            if attributes.is_empty() {
                return Err(wrong("what is to be set must follow, such as '--shell /bin/bash'", line.word()));
            }
            Verb::Set(name()?, attributes, writing)
        }
        Word::Expire => {
            let mut arguments = arguments(line, &(1..=2), "the name of a user")?;
            let date = (arguments.len() == 2).then(|| arguments.pop()).flatten();
            Verb::Expire(arguments.remove(0), date, writing)
        }
        Word::Enable => Verb::Enable(name()?, writing),
        Word::Delete => Verb::Delete(name()?, writing),
    })
}

fn new(line: &Line, name: String) -> Result<New, Error> {
    let mut attributes = verbs::attributes(line, &ATTRIBUTES)?;
    let range = verbs::range(line, Flag::UidRange)?;
    // Who gives no UID wants one; "auto" is for those who like to say so.
    attributes.set.retain(|(attribute, value)| !(*attribute == "UID" && value == "auto"));
    let given = attributes.set.iter().any(|(attribute, _)| *attribute == "UID");
    if given && range.is_some() {
        return Err(wrong("'--uid-range' is for '--uid auto'", line.word()));
    }
    let group = option(line, Flag::Group)?;
    if group.is_some() && line.has(Flag::Gid) {
        return Err(wrong("'--gid' and '--group' both name the primary group: give one", line.word()));
    }
    let keys = verbs::sources(line, Flag::Key);
    let from_stdin = keys.iter().filter(|key| **key == Source::Stdin).count();
    if from_stdin + usize::from(attributes.password_from_stdin) > 1 {
        return Err(wrong("standard input can be only one thing", line.word()));
    }
    Ok(New {
        name,
        attributes,
        auto: (!given).then(|| range.unwrap_or(UID_RANGE)),
        group,
        groups: list(&option(line, Flag::Groups)?.unwrap_or_default()),
        keys,
        writing: writing(line),
    })
}

pub(super) fn form(line: &Line) -> Form {
    if line.has(Flag::Json) { Form::Json } else { Form::Text }
}

pub(super) fn writing(line: &Line) -> Writing {
    Writing { dry_run: line.has(Flag::DryRun), yes: line.has(Flag::Yes), json: line.has(Flag::Json) }
}
