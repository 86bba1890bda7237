//! Accounts and files in, a plan out. Pure, and the only room that knows both.
//!
//! The four files are edited side by side, line by line; they are never joined into objects, so nothing of a line
//! that is not ours can be lost on the way.

mod doubts;
mod entries;
mod explain;
mod groups;
mod ids;
mod logins;
mod reverse;
mod settle;
mod users;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::account::{Accounts, Day, GroupMembers, User};
use crate::error::Rejection;
use crate::etc::{Databases, Found, Lines};
use crate::ledger::{Ids, Ledger};

pub use doubts::{Host, doubts};
pub use explain::{Row, group_lines, group_rules, groups_of, user_lines, user_rules};
pub use logins::{Login, login_doubts};
pub use reverse::{Files, Reversed, Which, reverse};
pub use settle::settle;
pub use users::already_present;

/// What decides, beside the items and the files.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Today, in UTC.
    pub today: Day,
    /// `UID_MIN` of login.defs(5): below it are the system's users.
    pub uid_min: u32,
    /// `GID_MIN` of login.defs(5): below it are the system's groups.
    pub gid_min: u32,
    /// Whether items may touch system accounts.
    pub allow_system_accounts: bool,
    /// Whether an item may take an id that another account has.
    pub allow_duplicate_ids: bool,
    /// Whose members a group ends with.
    pub group_members: GroupMembers,
}

/// One line of what an update changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// `user`, `group`, `home` or `keys`.
    pub noun: &'static str,
    /// Whose.
    pub name: String,
    /// `+` for something new, `~` for something changed.
    pub sign: char,
    /// What, without secrets.
    pub text: String,
}

impl Change {
    /// A change of the account, group, home or keys called `name`.
    #[must_use]
    pub fn new(sign: char, noun: &'static str, name: &str, text: String) -> Self {
        Self { noun, name: name.to_owned(), sign, text }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}: {}", self.sign, self.noun, self.name, self.text)
    }
}

/// Something that an update leaves as it is although a table asks for more, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Refusal {
    /// `user`, `group`, `home` or `keys`.
    pub kind: &'static str,
    /// Whose; empty for an item without a name.
    pub name: String,
    /// Why, and what follows.
    pub reason: String,
}

impl Refusal {
    /// An item that is not used at all.
    #[must_use]
    pub fn item(kind: &'static str, name: &str, reason: impl fmt::Display) -> Self {
        Self::part(kind, name, format!("{reason}; item skipped"))
    }

    /// A part of an item that is not used; the rest is.
    #[must_use]
    pub fn part(kind: &'static str, name: &str, reason: String) -> Self {
        Self { kind, name: name.to_owned(), reason }
    }
}

impl From<&Rejection> for Refusal {
    fn from(rejection: &Rejection) -> Self {
        let attribute = rejection.attribute.map(|a| format!("{a}: ")).unwrap_or_default();
        let reason = format!("{attribute}{}", rejection.reason);
        match rejection.whole_item {
            true => Self::item(rejection.table.noun(), &rejection.name, reason),
            false => Self::part(rejection.table.noun(), &rejection.name, reason),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { "(without a name)" } else { &self.name };
        write!(f, "! {} {name}: {}", self.kind, self.reason)
    }
}

/// A user that this host has as its item says, once the plan is carried out.
#[derive(Clone, Debug)]
pub struct Present<'a> {
    /// The account.
    pub user: &'a User,
    /// The ids that files in the home may still have, when the account's ids changed.
    pub moved_from: Vec<Ids>,
}

/// What an update would do to the account files. Nothing is left to decide.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Changes of users, then of groups, each sorted by name.
    pub changes: Vec<Change>,
    /// What this host refuses, sorted.
    pub refusals: Vec<Refusal>,
    /// What an administrator might wonder about.
    pub notes: Vec<String>,
    /// The users whose homes and keys are to be brought in line.
    pub present: Vec<Present<'a>>,
    /// How many groups the host has as their items say, or but for a part that is refused.
    pub groups: usize,
    /// What is managed afterwards; accounts that the files did not have are pending until [`settle`] sees them there.
    pub ledger: Ledger,
}

/// The plan in the making.
struct Planning<'p> {
    policy: &'p Policy,
    databases: &'p mut Databases,
    ledger: Ledger,
    refused_users: BTreeSet<String>,
    changes: Vec<Change>,
    refusals: Vec<Refusal>,
    notes: Vec<String>,
    /// UIDs that files in homes still have, each with the name of the user whom they are to follow.
    awaited: BTreeSet<(u32, String)>,
}

/// Edits `databases` into what the accounts ask for, as far as the policy and this host allow.
#[must_use]
pub fn plan<'a>(accounts: &'a Accounts, ledger: &Ledger, databases: &mut Databases, policy: &Policy) -> Plan<'a> {
    let mut planning = Planning {
        policy,
        databases,
        ledger: ledger.clone(),
        awaited: BTreeSet::new(),
        refused_users: accounts.refused_users.clone(),
        changes: Vec::new(),
        refusals: Vec::new(),
        notes: Vec::new(),
    };
    settle(&mut planning.ledger, accounts, planning.databases);
    let taken = users::apply(&mut planning, &accounts.users);
    let groups = groups::apply(&mut planning, &accounts.groups);
    let Planning { mut ledger, mut changes, mut refusals, notes, databases, .. } = planning;
    forget_the_gone(&mut ledger, accounts, databases);
    changes.sort_by(|a, b| (a.noun != "user", &a.name).cmp(&(b.noun != "user", &b.name)));
    refusals.sort();
    let present = taken.into_iter().map(|t| Present { user: t.user, moved_from: t.moved_from }).collect();
    Plan { changes, refusals, notes, present, groups, ledger }
}

/// A record whose account is neither here nor in its table says nothing any more, once no group names the user either:
/// until then it tells that the membership is ours to end.
fn forget_the_gone(ledger: &mut Ledger, accounts: &Accounts, databases: &Databases) {
    let is_gone = |name: &str| {
        accounts.users.binary_search_by(|u| u.name.as_str().cmp(name)).is_err()
            && !accounts.refused_users.contains(name)
            && databases.passwd.find(name) == Found::Absent
    };
    let mut gone: BTreeSet<String> = ledger.users.keys().filter(|name| is_gone(name)).cloned().collect();
    if !gone.is_empty() {
        let members = databases.group.entries().flat_map(|group| group.members);
        let administrators = databases.gshadow.iter().flat_map(Lines::entries).flat_map(|group| group.administrators);
        for name in members.chain(administrators) {
            if let Ok(name) = std::str::from_utf8(&name) {
                gone.remove(name);
            }
        }
        ledger.users.retain(|name, _| !gone.contains(name));
    }
    ledger.groups.retain(|name, _| {
        accounts.groups.binary_search_by(|g| g.name.as_str().cmp(name)).is_ok()
            || accounts.refused_groups.contains(name)
            || databases.group.find(name) != Found::Absent
    });
}

#[cfg(test)]
mod tests;
