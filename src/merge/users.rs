//! Users into passwd and shadow entries.

use std::collections::{BTreeMap, BTreeSet};

use super::entries::{Local, passwd_differences, passwd_entry, shadow_differences, shadow_entry, shown};
use super::ids::{Claim, holders, settle};
use super::{Change, Planning, Policy, Present, Refusal};
use crate::account::{Accounts, User};
use crate::error::printable;
use crate::etc::{Entry, Found, Lines, PasswdEntry};
use crate::ledger::{Ids, Ledger, UserRecord};

/// Longest passwd line that careless callers of getpwnam_r(3), which start with 1024 bytes, still read.
const LONGEST_LINE: usize = 1000;

/// The UID and GID of `nobody` and `nogroup`, which the kernel shows for ids it cannot map.
pub(super) const NOBODY: u32 = 65534;

/// A user that is taken, and the ids that files in its home may still have.
pub(super) struct Taken<'a> {
    pub(super) user: &'a User,
    pub(super) moved_from: Vec<Ids>,
}

/// Edits passwd and shadow; gives the users that the host now has as their items say.
pub(super) fn apply<'a>(planning: &mut Planning<'_>, users: &'a [User]) -> Vec<Taken<'a>> {
    planning.awaited = awaited(planning, users);
    let mut candidates: Vec<(&User, Local)> = Vec::with_capacity(users.len());
    for user in users {
        match admit(planning, user) {
            Ok(local) => candidates.push((user, local)),
            Err(reason) => planning.refuse_user(user.name.as_str(), reason),
        }
    }
    if !planning.policy.allow_duplicate_ids {
        let claims: Vec<Claim<'_>> = candidates
            .iter()
            .map(|(user, local)| Claim {
                name: user.name.as_str(),
                id: user.uid.get(),
                current: local.passwd.as_ref().map(|p| p.uid),
            })
            .collect();
        let holders = holders(planning.databases.passwd.ids());
        let mut refused = settle("UID", &holders, &claims);
        let mut index = 0;
        candidates.retain(|(user, _)| {
            let reason = refused.remove(&index);
            index += 1;
            reason.is_none_or(|reason| {
                planning.refuse_user(user.name.as_str(), reason);
                false
            })
        });
    }
    let strangers = strangers(planning);
    candidates.into_iter().map(|(user, local)| take(planning, user, &local, &strangers)).collect()
}

/// The old UIDs whose files have yet to follow. One that its account still has is not among them: it is left, and free,
/// only with this plan. Nor are those of accounts that are gone: their files follow nobody.
fn awaited(planning: &Planning<'_>, users: &[User]) -> BTreeSet<(u32, String)> {
    let mut awaited = BTreeSet::new();
    for (name, record) in planning.ledger.users.iter().filter(|(_, record)| !record.moving_from.is_empty()) {
        let has = match planning.databases.passwd.find(name) {
            Found::Entry(entry) => Some(entry.uid),
            Found::Absent
                if users.binary_search_by(|user| user.name.as_str().cmp(name)).is_err()
                    && !planning.refused_users.contains(name) =>
            {
                continue;
            }
            _ => None,
        };
        let left = record.moving_from.iter().map(|ids| ids.uid).filter(|uid| has != Some(*uid));
        awaited.extend(left.map(|uid| (uid, name.clone())));
    }
    awaited
}

/// Which of the awaited UIDs accounts have that are not managed, and the names of these.
fn strangers(planning: &Planning<'_>) -> BTreeMap<u32, String> {
    if planning.awaited.is_empty() {
        return BTreeMap::new();
    }
    let is_awaited = |uid: u32| planning.awaited.range((uid, String::new())..).next().is_some_and(|(u, _)| *u == uid);
    unmanaged(&planning.databases.passwd, &planning.ledger).filter(|(uid, _)| is_awaited(*uid)).collect()
}

/// The UIDs of the accounts that are not managed, with their names.
fn unmanaged(passwd: &Lines<PasswdEntry>, ledger: &Ledger) -> impl Iterator<Item = (u32, String)> {
    holders(passwd.ids()).into_iter().filter(|(_, name)| !ledger.users.contains_key(name))
}

/// The users that passwd has exactly as their items say, and that the policy lets items touch: whose keys can follow
/// the table although no plan can be made.
#[must_use]
pub fn already_present<'a>(
    accounts: &'a Accounts,
    ledger: &Ledger,
    passwd: &Lines<PasswdEntry>,
    policy: &Policy,
) -> Vec<Present<'a>> {
    let is_here = |user: &&User| {
        let Found::Entry(entry) = passwd.find(user.name.as_str()) else { return false };
        entry.uid == user.uid.get()
            && entry.gid == user.gid.get()
            && entry.home == user.home.as_str().as_bytes()
            && (policy.allow_system_accounts || !is_system(entry.uid, policy))
    };
    let is_moving = ledger.users.values().any(|record| !record.moving_from.is_empty());
    let lost: BTreeSet<u32> =
        if is_moving { unmanaged(passwd, ledger).map(|(uid, _)| uid).collect() } else { BTreeSet::new() };
    let moved_from = |user: &User| -> Vec<Ids> {
        let name = user.name.as_str();
        let old =
            ledger.users.get(name).filter(|record| record.uid == user.uid.get()).map(|record| &record.moving_from);
        let is_left = |ids: &&Ids| (ids.uid, ids.gid) != (user.uid.get(), user.gid.get()) && !lost.contains(&ids.uid);
        old.into_iter().flatten().filter(is_left).copied().collect()
    };
    accounts.users.iter().filter(is_here).map(|user| Present { user, moved_from: moved_from(user) }).collect()
}

fn is_system(uid: u32, policy: &Policy) -> bool {
    uid < policy.uid_min || uid == NOBODY
}

/// Whether this host may have the user at all, as far as that does not depend on other items.
fn admit(planning: &Planning<'_>, user: &User) -> Result<Local, String> {
    let policy = planning.policy;
    let uid = user.uid.get();
    if !policy.allow_system_accounts {
        if uid == 0 {
            return Err("UID 0 is reserved for root".into());
        }
        if uid < policy.uid_min {
            return Err(format!("UID {uid} is below UID_MIN, {}, and so a system account's", policy.uid_min));
        }
        if uid == NOBODY {
            return Err(format!("UID {uid} is reserved for nobody"));
        }
    }
    let passwd = clear(planning.databases.passwd.find(user.name.as_str()), "passwd")?;
    let shadow = clear(planning.databases.shadow.find(user.name.as_str()), "shadow")?;
    if let Some(entry) = &passwd {
        if is_system(entry.uid, policy) && !policy.allow_system_accounts {
            return Err(format!("is a system account of this host, with UID {}", entry.uid));
        }
        if entry.uid != uid {
            let record = planning.ledger.users.get(user.name.as_str());
            if !record.is_some_and(|r| r.uid == uid || r.has_given(entry.uid)) {
                return Err(format!(
                    "UID is {uid}, but this host has an account of that name with UID {}, which ddum never managed",
                    entry.uid
                ));
            }
        }
    }
    if !policy.allow_duplicate_ids
        && passwd.as_ref().is_none_or(|entry| entry.uid != uid)
        && let Some((_, other)) = planning
            .awaited
            .range((uid, String::new())..)
            .take_while(|(awaited, _)| *awaited == uid)
            .find(|(_, other)| other != user.name.as_str())
    {
        return Err(format!(
            "UID {uid} was that of {other}, and files in the home have yet to follow {other}'s new one"
        ));
    }
    let mut line = Vec::new();
    passwd_entry(user).write(&mut line);
    let length = line.len();
    if length > LONGEST_LINE {
        return Err(format!("its passwd line has {length} bytes, more than {LONGEST_LINE}"));
    }
    Ok(Local { passwd, shadow })
}

/// The one entry of a name, or none; otherwise why it cannot be told.
pub(super) fn clear<E>(found: Found<E>, file: &str) -> Result<Option<E>, String> {
    match found {
        Found::Absent => Ok(None),
        Found::Entry(entry) => Ok(Some(entry)),
        Found::Unclear { line, why } => Err(format!("/etc/{file} line {line}: {why}")),
    }
}

fn take<'a>(
    planning: &mut Planning<'_>,
    user: &'a User,
    local: &Local,
    strangers: &BTreeMap<u32, String>,
) -> Taken<'a> {
    let name = user.name.as_str();
    let passwd = passwd_entry(user);
    let shadow = shadow_entry(user, local, planning.policy.today);
    match &local.passwd {
        None => {
            let text = format!(
                "uid {}, gid {}, home {}, shell {}",
                user.uid,
                user.gid,
                shown(user.home.as_str()),
                shown(user.shell.as_str())
            );
            planning.changes.push(Change::new('+', "user", name, text));
        }
        Some(before) => {
            let mut parts = passwd_differences(before, &passwd);
            parts.extend(shadow_differences(local.shadow.as_ref(), &shadow));
            if !parts.is_empty() {
                planning.changes.push(Change::new('~', "user", name, parts.join("; ")));
            }
        }
    }
    planning.databases.passwd.set(&passwd);
    planning.databases.shadow.set(&shadow);
    let ids = Ids { uid: user.uid.get(), gid: user.gid.get() };
    let has = local.passwd.as_ref().map(|p| Ids { uid: p.uid, gid: p.gid });
    let before = planning.ledger.users.remove(name);
    let pending = local.passwd.is_none();
    // An account that vanished and is made again is ours, whoever made the first one.
    let created = pending || before.as_ref().is_some_and(|record| record.created);
    let mut moving_from = before.map(|record| record.moving_from).unwrap_or_default();
    if let Some(has) = has.filter(|has| *has != ids)
        && !moving_from.contains(&has)
    {
        moving_from.push(has);
    }
    // Back to ids of before, these stay with the others: were this update cut off, files would still have them.
    if moving_from.iter().all(|old| *old == ids) {
        moving_from.clear();
    }
    let mut moved_from = moving_from.clone();
    moved_from.retain(|old| *old != ids);
    // What an account has taken meanwhile may own its own files there. That it had the id all along is another matter.
    moved_from.retain(|old| match strangers.get(&old.uid).filter(|_| has.is_none_or(|has| has.uid != old.uid)) {
        Some(other) => {
            let other = printable(other);
            planning.notes.push(format!(
                "user {name}: files of UID {} in the home do not follow, as {other} has that UID now",
                old.uid
            ));
            false
        }
        None => true,
    });
    let Ids { uid, gid } = ids;
    planning.ledger.users.insert(name.to_owned(), UserRecord { uid, gid, created, pending, moving_from });
    Taken { user, moved_from }
}

impl Planning<'_> {
    fn refuse_user(&mut self, name: &str, reason: String) {
        self.refusals.push(Refusal::item("user", name, reason));
        self.refused_users.insert(name.to_owned());
    }
}
