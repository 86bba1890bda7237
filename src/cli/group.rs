//! `ddum group …`.

use super::line::{Line, wrong};
use super::options::Flag;
use super::user::{Form, Writing, form, writing};
use super::verbs::{self, Attributes, Verbs, argument, arguments};
use crate::error::Error;

/// What to do with items of the Groups table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Print a line for each that fits one of the patterns.
    List(Vec<String>, Form),
    /// Print all of one.
    Show(String, Form),
    /// Put a new one in.
    Add(String, Attributes, Writing),
    /// Change attributes.
    Set(String, Attributes, Writing),
    /// Make users members, or administrators.
    Join(Membership),
    /// Take them out.
    Leave(Membership),
    /// Delete the item.
    Delete(String, Writing),
}

/// Who joins or leaves a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The group.
    pub group: String,
    /// The users.
    pub users: Vec<String>,
    /// Administrators, not members.
    pub administrators: bool,
    /// How.
    pub writing: Writing,
}

#[derive(Clone, Copy)]
enum Word {
    List,
    Show,
    Add,
    Set,
    Join,
    Leave,
    Delete,
}

const ATTRIBUTES: [(Flag, &str); 3] =
    [(Flag::Gid, "GID"), (Flag::Members, "Members"), (Flag::Administrators, "Administrators")];

const VERBS: &Verbs<Word> = &[
    ("list", Word::List, &[Flag::Json]),
    ("show", Word::Show, &[Flag::Json]),
    (
        "add",
        Word::Add,
        &[Flag::Gid, Flag::Members, Flag::Administrators, Flag::PasswordHashStdin, Flag::DryRun, Flag::Json],
    ),
    (
        "set",
        Word::Set,
        &[
            Flag::Gid,
            Flag::Members,
            Flag::Administrators,
            Flag::PasswordHashStdin,
            Flag::Unset,
            Flag::DryRun,
            Flag::Json,
            Flag::Yes,
        ],
    ),
    ("join", Word::Join, &[Flag::AsAdministrators, Flag::DryRun, Flag::Json]),
    ("leave", Word::Leave, &[Flag::AsAdministrators, Flag::DryRun, Flag::Json, Flag::Yes]),
    ("delete", Word::Delete, &[Flag::DryRun, Flag::Json, Flag::Yes]),
];

pub(super) fn parse(line: &Line) -> Result<Verb, Error> {
    let name = || argument(line, "the name of a group");
    let attributes = || verbs::attributes(line, &ATTRIBUTES);
    Ok(match verbs::verb(line, VERBS)? {
        Word::List => Verb::List(arguments(line, &(0..=usize::MAX), "names")?, form(line)),
        Word::Show => Verb::Show(name()?, form(line)),
        Word::Add => Verb::Add(name()?, attributes()?, writing(line)),
        Word::Set => {
            let attributes = attributes()?;
            if attributes.is_empty() {
                return Err(wrong("what is to be set must follow, such as '--members alice,bob'", line.word()));
            }
            Verb::Set(name()?, attributes, writing(line))
        }
        Word::Join => Verb::Join(membership(line)?),
        Word::Leave => Verb::Leave(membership(line)?),
        Word::Delete => Verb::Delete(name()?, writing(line)),
    })
}

fn membership(line: &Line) -> Result<Membership, Error> {
    let mut users = arguments(line, &(2..=usize::MAX), "the name of a group and of users")?;
    let group = users.remove(0);
    Ok(Membership { group, users, administrators: line.has(Flag::AsAdministrators), writing: writing(line) })
}
