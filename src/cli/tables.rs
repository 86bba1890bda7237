//! `ddum tables …`.

use super::line::{Line, wrong};
use super::options::Flag;
use super::user::{Form, form};
use super::verbs::{self, Verbs, argument, arguments, option};
use crate::error::{Error, printable};

/// What to do with the tables themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Make those that are missing, and check the others.
    Create(Create),
    /// Print what they are like.
    Describe(Form),
    /// Print an IAM policy for them.
    Policy(Role, Option<String>),
}

/// How tables are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Create {
    /// Tags, as key and value.
    pub tags: Vec<(String, String)>,
    /// No point-in-time recovery.
    pub no_backups: bool,
    /// No deletion protection.
    pub no_protection: bool,
    /// Only print what would be made.
    pub dry_run: bool,
    /// Print what was made for programs.
    pub json: bool,
}

/// Who a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A host: may scan.
    Reader,
    /// Who runs `ddum tables`, `user`, `group` and `key`.
    Admin,
    /// Who may change nothing but the keys of his own item.
    Own,
}

#[derive(Clone, Copy)]
enum Word {
    Create,
    Describe,
    Policy,
}

const VERBS: &Verbs<Word> = &[
    ("create", Word::Create, &[Flag::Tag, Flag::NoBackups, Flag::NoProtection, Flag::DryRun, Flag::Json]),
    ("describe", Word::Describe, &[Flag::Json]),
    ("policy", Word::Policy, &[Flag::Account, Flag::Json]),
];

pub(super) fn parse(line: &Line) -> Result<Verb, Error> {
    Ok(match verbs::verb(line, VERBS)? {
        Word::Create => {
            arguments(line, &(0..=0), "")?;
            let tags = verbs::options(line, Flag::Tag)?;
            let tags = tags.iter().map(|tag| match tag.split_once('=') {
                Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
                _ => Err(wrong(&format!("'{}' is no tag such as team=ops", printable(tag)), line.word())),
            });
            Verb::Create(Create {
                tags: tags.collect::<Result<_, _>>()?,
                no_backups: line.has(Flag::NoBackups),
                no_protection: line.has(Flag::NoProtection),
                dry_run: line.has(Flag::DryRun),
                json: line.has(Flag::Json),
            })
        }
        Word::Describe => {
            arguments(line, &(0..=0), "")?;
            Verb::Describe(form(line))
        }
        Word::Policy => {
            let account = option(line, Flag::Account)?;
            if let Some(account) =
                account.as_ref().filter(|id| id.len() != 12 || !id.bytes().all(|b| b.is_ascii_digit()))
            {
                let message = format!("'{}' is no account, which has 12 digits", printable(account));
                return Err(wrong(&message, line.word()));
            }
            let role = match argument(line, "one of reader, admin, self")?.as_str() {
                "reader" => Role::Reader,
                "admin" => Role::Admin,
                "self" => Role::Own,
                other => {
                    let message = format!("'{}' is none of reader, admin, self", printable(other));
                    return Err(wrong(&message, line.word()));
                }
            };
            Verb::Policy(role, account)
        }
    })
}
