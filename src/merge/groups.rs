//! Groups into group and gshadow entries.

use std::collections::{BTreeSet, HashSet};

use super::ids::{Claim, holders, settle};
use super::users::{NOBODY, clear};
use super::{Change, Planning, Refusal};
use crate::account::{Group, GroupMembers, Name};
use crate::error::printable;
use crate::etc::{GroupEntry, GshadowEntry};
use crate::ledger::GroupRecord;

/// What the account files hold under a group's name, and the GID and the members that it will have.
struct Local {
    group: Option<GroupEntry>,
    gshadow: Option<GshadowEntry>,
    gid: u32,
    /// Whether ddum made the group, or is about to.
    created: bool,
    /// Whether the item's lists are the whole lists.
    exact: bool,
    members: Vec<Vec<u8>>,
}

/// Edits group and gshadow; gives the number of groups that are taken.
pub(super) fn apply(planning: &mut Planning<'_>, groups: &[Group]) -> usize {
    let mut candidates: Vec<(&Group, Local)> = Vec::with_capacity(groups.len());
    for group in groups {
        match admit(planning, group) {
            Ok(local) => candidates.push((group, local)),
            Err(reason) => planning.refusals.push(Refusal::item("group", group.name.as_str(), reason)),
        }
    }
    if !planning.policy.allow_duplicate_ids {
        let claims: Vec<Claim<'_>> = candidates
            .iter()
            .map(|(group, local)| Claim {
                name: group.name.as_str(),
                id: local.gid,
                current: local.group.as_ref().map(|g| g.gid),
            })
            .collect();
        let holders = holders(planning.databases.group.ids());
        let mut refused = settle("GID", &holders, &claims);
        let mut index = 0;
        candidates.retain(|(group, _)| {
            let reason = refused.remove(&index);
            index += 1;
            reason.is_none_or(|reason| {
                planning.refusals.push(Refusal::item("group", group.name.as_str(), reason));
                false
            })
        });
    }
    for (group, local) in &candidates {
        take(planning, group, local);
    }
    candidates.len()
}

/// Whether this host may have the group, and with which GID.
fn admit(planning: &mut Planning<'_>, group: &Group) -> Result<Local, String> {
    let policy = planning.policy;
    let name = group.name.as_str();
    let wanted = group.gid.get();
    let entry = clear(planning.databases.group.find(name), "group")?;
    let gshadow = match &planning.databases.gshadow {
        Some(lines) => clear(lines.find(name), "gshadow")?,
        None => None,
    };
    let is_system = |gid: u32| gid < policy.gid_min || gid == NOBODY;
    let gid = match &entry {
        Some(local) if is_system(local.gid) && !policy.allow_system_accounts => {
            if local.gid == 0 {
                return Err("is the group of root".into());
            }
            if local.gid != wanted {
                let reason = format!(
                    "GID {wanted} not taken: a system group of this host keeps its own, {}; the members are",
                    local.gid
                );
                planning.refusals.push(Refusal::part("group", name, reason));
            }
            local.gid
        }
        local if is_system(wanted) && !policy.allow_system_accounts => {
            return Err(match (wanted, local) {
                (0, _) => "GID 0 is reserved for root".into(),
                (NOBODY, _) => format!("GID {wanted} is reserved for nogroup"),
                _ => format!("GID {wanted} is below GID_MIN, {}, and so a system group's", policy.gid_min),
            });
        }
        Some(local) if local.gid != wanted => {
            let record = planning.ledger.groups.get(name);
            if !record.is_some_and(|r| r.gid == local.gid || r.gid == wanted) {
                return Err(format!(
                    "GID is {wanted}, but this host has a group of that name with GID {}, which ddum never managed",
                    local.gid
                ));
            }
            wanted
        }
        _ => wanted,
    };
    let created = entry.is_none() || planning.ledger.groups.get(name).is_some_and(|r| r.created);
    let exact = match policy.group_members {
        GroupMembers::Exact => true,
        GroupMembers::Merge => false,
        GroupMembers::Auto => created,
    };
    let members = list(planning, &group.members, entry.as_ref().map_or(&[][..], |g| &g.members), exact);
    // Not a name of the tables, but one that somebody wrote into the file: sorted to the end it would join lines.
    if members.last().is_some_and(|name| name.ends_with(b"\\")) {
        return Err("its last member would end in a backslash, which joins lines for some tools".into());
    }
    Ok(Local { group: entry, gshadow, gid, created, exact, members })
}

fn take(planning: &mut Planning<'_>, group: &Group, local: &Local) {
    let name = group.name.as_str();
    let Local { created, exact, .. } = *local;
    let members = local.members.clone();
    let has_gshadow = planning.databases.gshadow.is_some();
    let password_before = local.group.as_ref().map(|g| g.password.clone());
    let entry = GroupEntry {
        name: name.to_owned(),
        password: match &password_before {
            // A password in group itself would be an error to grpck(8) where gshadow has a line too.
            Some(text) if !has_gshadow => text.clone(),
            _ => b"x".to_vec(),
        },
        gid: local.gid,
        members: members.clone(),
    };
    let mut parts = local.group.as_ref().map(|before| differences(before, &entry)).unwrap_or_default();
    let gshadow = has_gshadow.then(|| {
        let before = local.gshadow.as_ref();
        let admins_before = before.map_or(&[][..], |g| &g.administrators);
        let moved = password_before.filter(|text| !text.is_empty() && text != b"x");
        GshadowEntry {
            name: name.to_owned(),
            password: match (&group.password, before) {
                (Some(hash), _) => hash.expose().as_bytes().to_vec(),
                (None, Some(entry)) => entry.password.clone(),
                (None, None) => moved.unwrap_or_else(|| b"!".to_vec()),
            },
            administrators: list(planning, &group.administrators, admins_before, exact),
            members,
        }
    });
    match &gshadow {
        Some(after) => gshadow_differences(local.gshadow.as_ref(), after, &mut parts),
        None if group.password.is_some() || !group.administrators.is_empty() => planning.notes.push(format!(
            "group {name}: this host has no gshadow file, so its password and administrators are not used"
        )),
        None => {}
    }
    match &local.group {
        None => {
            let text = format!("gid {}, members {}", local.gid, names(&entry.members));
            planning.changes.push(Change::new('+', "group", name, text));
        }
        Some(_) if !parts.is_empty() => planning.changes.push(Change::new('~', "group", name, parts.join("; "))),
        Some(_) => {}
    }
    planning.databases.group.set(&entry);
    if let (Some(lines), Some(after)) = (&mut planning.databases.gshadow, gshadow) {
        lines.set(&after);
    }
    planning
        .ledger
        .groups
        .insert(name.to_owned(), GroupRecord { gid: local.gid, created, pending: local.group.is_none() });
}

/// The members (or administrators) that a group ends with.
///
/// A user whose item was refused stays as it was here too: in if in, out if out. Names that nobody knows stay in the
/// item's list, as in the original: they may come from another source of nsswitch.conf(5).
fn list(planning: &Planning<'_>, item: &[Name], before: &[Vec<u8>], exact: bool) -> Vec<Vec<u8>> {
    let had: HashSet<&[u8]> = before.iter().map(Vec::as_slice).collect();
    let mut after: BTreeSet<Vec<u8>> = BTreeSet::new();
    for name in item {
        let bytes = name.as_str().as_bytes();
        if !planning.refused_users.contains(name.as_str()) || had.contains(bytes) {
            after.insert(bytes.to_vec());
        }
    }
    if !exact {
        let managed = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(|n| planning.ledger.users.contains_key(n));
        let foreign = before.iter().filter(|bytes| !managed(bytes));
        after.extend(foreign.filter(|bytes| !bytes.is_empty()).cloned());
    }
    let same = after.len() == before.len() && before.iter().all(|bytes| after.contains(bytes));
    if same { before.to_vec() } else { after.into_iter().collect() }
}

fn differences(before: &GroupEntry, after: &GroupEntry) -> Vec<String> {
    let mut parts = Vec::new();
    if before.gid != after.gid {
        parts.push(format!("gid {} -> {}", before.gid, after.gid));
    }
    if before.members != after.members {
        parts.push(membership(&before.members, &after.members));
    }
    if before.password != after.password {
        parts.push("password moved to gshadow".into());
    }
    parts
}

fn gshadow_differences(before: Option<&GshadowEntry>, after: &GshadowEntry, parts: &mut Vec<String>) {
    let Some(before) = before else {
        parts.push("gshadow line added".into());
        return;
    };
    if before.password != after.password {
        parts.push("password changed".into());
    }
    if before.administrators != after.administrators {
        parts.push(format!("administrators {}", membership(&before.administrators, &after.administrators)));
    }
    // Members follow those of the group line; worth a word only where that one is right already.
    if parts.is_empty() && before.members != after.members {
        parts.push("gshadow members brought in line".into());
    }
}

/// `+alice -bob`, each in the order of names.
fn membership(before: &[Vec<u8>], after: &[Vec<u8>]) -> String {
    let (old, new): (BTreeSet<&Vec<u8>>, BTreeSet<&Vec<u8>>) = (before.iter().collect(), after.iter().collect());
    let show = |sign: char, bytes: &Vec<u8>| format!("{sign}{}", printable(&String::from_utf8_lossy(bytes)));
    let mut parts: Vec<String> = new.difference(&old).map(|b| show('+', b)).collect();
    parts.extend(old.difference(&new).map(|b| show('-', b)));
    if parts.is_empty() { "order of members".into() } else { parts.join(" ") }
}

fn names(members: &[Vec<u8>]) -> String {
    if members.is_empty() {
        return "(none)".into();
    }
    members.iter().map(|m| printable(&String::from_utf8_lossy(m))).collect::<Vec<_>>().join(",")
}
