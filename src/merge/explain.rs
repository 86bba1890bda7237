//! Why an account looks as it does: the rules that it passed, the lines that the files hold. Pure, without secrets.

use super::Policy;
use super::users::NOBODY;
use crate::account::{Day, Group, GroupMembers, User};
use crate::error::printable;
use crate::etc::{Databases, Entry, Found, Lines};
use crate::ledger::Ledger;

/// A label and what belongs to it, fit for one line.
pub type Row = (String, String);

fn row(label: impl Into<String>, text: impl Into<String>) -> Row {
    (label.into(), text.into())
}

/// The rules that the user passed or that say something of it; those that it did not pass are refusals of the plan.
#[must_use]
pub fn user_rules(user: &User, before: &Databases, ledger: &Ledger, policy: &Policy) -> Vec<Row> {
    let (name, uid) = (user.name.as_str(), user.uid.get());
    let mut rows = Vec::new();
    if uid >= policy.uid_min && uid != NOBODY {
        rows.push(row("ok", format!("UID {uid} is not a system account's (UID_MIN is {})", policy.uid_min)));
    } else if policy.allow_system_accounts {
        rows.push(row("ok", format!("UID {uid} is a system account's, and allow_system_accounts is true")));
    }
    let record = ledger.users.get(name);
    match before.passwd.find(name) {
        Found::Absent => rows.push(row("ok", "no account of that name is here yet, so it is made")),
        Found::Entry(entry) if entry.uid == uid => {
            let whose = match record {
                Some(record) if record.created => "ddum made it",
                Some(_) => "ddum took it over",
                None => "ddum never managed it, and takes it over for its UID",
            };
            rows.push(row("ok", format!("the account is here with the UID of the item: {whose}")));
        }
        Found::Entry(entry) if record.is_some() => {
            rows.push(row(
                "ok",
                format!("ddum manages the account, so its UID may become {uid} (it is {})", entry.uid),
            ));
        }
        Found::Entry(_) | Found::Unclear { .. } => {}
    }
    let others = holders(&before.passwd, uid, name);
    match (&others[..], policy.allow_duplicate_ids) {
        ([], _) => rows.push(row("ok", format!("nobody else here has UID {uid}"))),
        (others, true) => {
            let others = others.join(", ");
            rows.push(row("ok", format!("UID {uid} is also that of {others}, and allow_duplicate_ids is true")));
        }
        _ => {}
    }
    if user.is_expired(policy.today) {
        let since = user.expire_date.map(|day| day.to_string()).unwrap_or_default();
        rows.push(row(
            "ok",
            format!("AccountExpireDate {since} has come (today is {}): no keys, no login", policy.today),
        ));
    }
    if user.password.is_none() {
        rows.push(row("ok", "without Password nobody logs in by one; what the host has that opens no login stays"));
    }
    rows
}

/// The same for a group.
#[must_use]
pub fn group_rules(group: &Group, before: &Databases, ledger: &Ledger, policy: &Policy) -> Vec<Row> {
    let (name, gid) = (group.name.as_str(), group.gid.get());
    let mut rows = Vec::new();
    let record = ledger.groups.get(name);
    let local = before.group.find(name);
    let is_system = |gid: u32| gid < policy.gid_min || gid == NOBODY;
    match &local {
        Found::Entry(entry) if is_system(entry.gid) && !policy.allow_system_accounts => {
            let text = format!(
                "it is a system group here (GID_MIN is {}): it keeps GID {}, the item's members are taken",
                policy.gid_min, entry.gid
            );
            rows.push(row("ok", text));
        }
        _ if !is_system(gid) => {
            rows.push(row("ok", format!("GID {gid} is not a system group's (GID_MIN is {})", policy.gid_min)));
        }
        _ if policy.allow_system_accounts => {
            rows.push(row("ok", format!("GID {gid} is a system group's, and allow_system_accounts is true")));
        }
        _ => {}
    }
    let created = match (&local, record) {
        (Found::Absent, _) => {
            rows.push(row("ok", "no group of that name is here yet, so it is made"));
            true
        }
        (_, Some(record)) => {
            rows.push(row(
                "ok",
                if record.created { "ddum made the group" } else { "the host had the group; ddum manages it" },
            ));
            record.created
        }
        (_, None) => false,
    };
    let members = match policy.group_members {
        GroupMembers::Exact => "exact: the item's list is the whole list",
        GroupMembers::Merge => "merge: the item's members are added, only users that ddum manages are taken out",
        GroupMembers::Auto if created => "auto, and ddum made the group: the item's list is the whole list",
        GroupMembers::Auto => "auto, and the host had the group: members are added, only managed users are taken out",
    };
    rows.push(row("ok", format!("group_members is {members}")));
    if holders(&before.group, gid, name).is_empty() {
        rows.push(row("ok", format!("no other group here has GID {gid}")));
    }
    rows
}

fn holders<E: Entry>(lines: &Lines<E>, id: u32, name: &str) -> Vec<String> {
    let others = lines.ids().into_iter().filter(|(held, whose, _)| *held == id && whose != name);
    others.filter(|(_, whose, _)| !whose.starts_with('#')).map(|(_, whose, _)| printable(&whose)).collect()
}

/// What passwd, shadow and group say of a user.
#[must_use]
pub fn user_lines(name: &str, files: &Databases) -> Vec<Row> {
    let mut rows = Vec::new();
    match place(&files.passwd, name) {
        Ok((place, Some(entry))) => {
            let text = |field: &[u8]| or_none(&String::from_utf8_lossy(field));
            let (gecos, home, shell) = (text(&entry.gecos), text(&entry.home), text(&entry.shell));
            let password = if entry.password == b"x" { "" } else { "; the password is here and not in shadow" };
            let (uid, gid) = (entry.uid, entry.gid);
            rows.push((
                place,
                format!("uid {uid}, gid {gid}, real name {gecos}, home {home}, shell {shell}{password}"),
            ));
        }
        Ok((place, None)) => rows.push(row(place, "no line")),
        Err(row) => rows.push(row),
    }
    match place(&files.shadow, name) {
        Ok((place, Some(entry))) => {
            let day =
                |field: &[u8]| Day::from_shadow_field(field).map_or_else(|| "none".to_owned(), |day| day.to_string());
            let days = |field: &[u8]| {
                if field.is_empty() { "none".to_owned() } else { or_none(&String::from_utf8_lossy(field)) }
            };
            rows.push((
                place,
                format!(
                    "password {}, last change {}, expires {}, ageing min {} max {} warn {} inactive {}",
                    state_of(&entry.password),
                    day(&entry.last_change),
                    day(&entry.expire_date),
                    days(&entry.min_age),
                    days(&entry.max_age),
                    days(&entry.warn_period),
                    days(&entry.inactivity_period)
                ),
            ));
        }
        Ok((place, None)) => rows.push(row(place, "no line")),
        Err(row) => rows.push(row),
    }
    for group in groups_of(name, files) {
        if let Ok((place, Some(entry))) = place(&files.group, &group) {
            let primary = files.passwd.find(name);
            let is_primary = matches!(primary, Found::Entry(user) if user.gid == entry.gid);
            let what = if is_primary { "primary group" } else { "member of" };
            rows.push((place, format!("{what} {} (gid {})", printable(&group), entry.gid)));
        }
    }
    rows
}

/// What group and gshadow say of a group.
#[must_use]
pub fn group_lines(name: &str, files: &Databases) -> Vec<Row> {
    let names = |list: &[Vec<u8>]| {
        or_none(&list.iter().map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>().join(", "))
    };
    let mut rows = Vec::new();
    match place(&files.group, name) {
        Ok((place, Some(entry))) => {
            rows.push((place, format!("gid {}, members {}", entry.gid, names(&entry.members))));
            let users: Vec<String> =
                files.passwd.entries().filter(|user| user.gid == entry.gid).map(|user| printable(&user.name)).collect();
            if !users.is_empty() {
                rows.push(row("/etc/passwd", format!("primary group of {}", shortened(&users))));
            }
        }
        Ok((place, None)) => rows.push(row(place, "no line")),
        Err(row) => rows.push(row),
    }
    match files.gshadow.as_ref().map(|gshadow| place(gshadow, name)) {
        Some(Ok((place, Some(entry)))) => rows.push((
            place,
            format!("password {}, administrators {}", state_of(&entry.password), names(&entry.administrators)),
        )),
        Some(Ok((place, None))) => rows.push(row(place, "no line")),
        Some(Err(row)) => rows.push(row),
        None => rows.push(row("/etc/gshadow", "this host has none")),
    }
    rows
}

/// Where the name is, and its entry; or a row that says why that is unclear.
fn place<E: Entry>(lines: &Lines<E>, name: &str) -> Result<(String, Option<E>), Row> {
    let file = format!("/etc/{}", E::FILE);
    match lines.find(name) {
        Found::Absent => Ok((file, None)),
        Found::Unclear { line, why } => Err(row(format!("{file}:{line}"), why)),
        Found::Entry(entry) => {
            let place = lines.line_of(name).map_or(file.clone(), |line| format!("{file}:{line}"));
            Ok((place, Some(entry)))
        }
    }
}

/// The groups that a user is in, the primary one first.
#[must_use]
pub fn groups_of(name: &str, files: &Databases) -> Vec<String> {
    let gid = match files.passwd.find(name) {
        Found::Entry(user) => Some(user.gid),
        Found::Absent | Found::Unclear { .. } => None,
    };
    let (mut primary, mut others) = (Vec::new(), Vec::new());
    for entry in files.group.entries() {
        if Some(entry.gid) == gid {
            primary.push(entry.name);
        } else if entry.members.iter().any(|member| member == name.as_bytes()) {
            others.push(entry.name);
        }
    }
    primary.append(&mut others);
    primary
}

/// What a field of a password says, and nothing of it.
fn state_of(field: &[u8]) -> &'static str {
    match field {
        [] => "empty",
        [b'!', ..] => "locked",
        [b'*', ..] => "none",
        [b'$' | b'_', ..] => "set",
        other if other.len() == 13 => "set",
        _ => "none",
    }
}

fn or_none(text: &str) -> String {
    if text.is_empty() { "(none)".to_owned() } else { printable(text) }
}

fn shortened(names: &[String]) -> String {
    match names.get(..10) {
        Some(first) if names.len() > 10 => format!("{} and {} more", first.join(", "), names.len() - 10),
        _ => names.join(", "),
    }
}
