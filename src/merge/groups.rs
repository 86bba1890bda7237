//! Groups into group and gshadow entries.

use std::collections::BTreeSet;

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
}

/// A group that this host may have. Not its entries: of all groups at once they are more than everything else together.
struct Candidate {
    gid: u32,
    current: Option<u32>,
}

/// Edits group and gshadow; gives the number of groups that are taken.
pub(super) fn apply(planning: &mut Planning<'_>, groups: &[Group]) -> usize {
    let mut candidates: Vec<(&Group, Candidate)> = Vec::with_capacity(groups.len());
    for group in groups {
        match admit(planning, group) {
            Ok(candidate) => candidates.push((group, candidate)),
            Err(reason) => planning.refusals.push(Refusal::item("group", group.name.as_str(), reason)),
        }
    }
    if !planning.policy.allow_duplicate_ids {
        let claims: Vec<Claim<'_>> = candidates
            .iter()
            .map(|(group, Candidate { gid, current })| Claim { name: group.name.as_str(), id: *gid, current: *current })
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
    let count = candidates.len();
    for (group, Candidate { gid, .. }) in candidates {
        if let Ok((entry, gshadow)) = entries(planning, group) {
            let (created, exact) = ownership(planning, group, entry.is_some());
            take(planning, group, &Local { group: entry, gshadow, gid, created, exact });
        }
    }
    count
}

/// What both files hold under the group's name; otherwise why it cannot be told.
fn entries(planning: &Planning<'_>, group: &Group) -> Result<(Option<GroupEntry>, Option<GshadowEntry>), String> {
    let name = group.name.as_str();
    let entry = clear(planning.databases.group.find(name), "group")?;
    let gshadow = match &planning.databases.gshadow {
        Some(lines) => clear(lines.find(name), "gshadow")?,
        None => None,
    };
    Ok((entry, gshadow))
}

/// Whether ddum made the group, or is about to; and whether the item's lists are the whole lists.
fn ownership(planning: &Planning<'_>, group: &Group, is_here: bool) -> (bool, bool) {
    let created = !is_here || planning.ledger.groups.get(group.name.as_str()).is_some_and(|record| record.created);
    let exact = match planning.policy.group_members {
        GroupMembers::Exact => true,
        GroupMembers::Merge => false,
        GroupMembers::Auto => created,
    };
    (created, exact)
}

/// Whether this host may have the group, and with which GID.
fn admit(planning: &mut Planning<'_>, group: &Group) -> Result<Candidate, String> {
    let policy = planning.policy;
    let name = group.name.as_str();
    let wanted = group.gid.get();
    let (entry, _) = entries(planning, group)?;
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
    let (_, exact) = ownership(planning, group, entry.is_some());
    let before = entry.as_ref().map_or(&[][..], |g| &g.members);
    let members =
        list(planning, &group.members, before, exact).unwrap_or_else(|| before.iter().map(Vec::as_slice).collect());
    // Not a name of the tables, but one that somebody wrote into the file: sorted to the end it would join lines.
    if members.last().is_some_and(|name| name.ends_with(b"\\")) {
        return Err("its last member would end in a backslash, which joins lines for some tools".into());
    }
    Ok(Candidate { gid, current: entry.as_ref().map(|g| g.gid) })
}

fn take(planning: &mut Planning<'_>, group: &Group, local: &Local) {
    let name = group.name.as_str();
    let Local { created, exact, .. } = *local;
    let owned = |list: Option<Vec<&[u8]>>, before: &[Vec<u8>]| {
        list.map_or_else(|| before.to_vec(), |names| names.into_iter().map(<[u8]>::to_vec).collect())
    };
    let before = local.group.as_ref().map_or(&[][..], |g| &g.members);
    let members: Vec<Vec<u8>> = owned(list(planning, &group.members, before, exact), before);
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
            administrators: owned(list(planning, &group.administrators, admins_before, exact), admins_before),
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
///
/// None where they are those that it has. Borrowed, and in vectors rather than sets: a thousand groups of a thousand
/// members are a million names.
fn list<'n>(planning: &Planning<'_>, item: &'n [Name], before: &'n [Vec<u8>], exact: bool) -> Option<Vec<&'n [u8]>> {
    let mut had: Vec<&[u8]> = before.iter().map(Vec::as_slice).collect();
    had.sort_unstable();
    let is_wanted = |name: &&Name| {
        !planning.refused_users.contains(name.as_str()) || had.binary_search(&name.as_str().as_bytes()).is_ok()
    };
    let mut after: Vec<&[u8]> = item.iter().filter(is_wanted).map(|name| name.as_str().as_bytes()).collect();
    if !exact {
        let managed = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(|n| planning.ledger.users.contains_key(n));
        after.extend(had.iter().filter(|bytes| !bytes.is_empty() && !managed(bytes)));
    }
    after.sort_unstable();
    after.dedup();
    (after != had).then_some(after)
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
