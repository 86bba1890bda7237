//! The walk backwards: from the lines of the account files to the accounts that a table would describe by them.

use std::collections::BTreeMap;

use super::Refusal;
use super::users::NOBODY;
use crate::account::{Day, Gecos, Gid, Group, HomeDir, Name, PasswordHash, Shell, Uid, User};
use crate::error::printable;
use crate::etc::{Found, GroupEntry, GshadowEntry, Lines, PasswdEntry, ShadowEntry};

/// The most days that an ageing attribute can have.
const MOST_DAYS: u32 = 99_999;

/// The account files that are walked; one that is left out is not known.
#[derive(Debug, Default)]
pub struct Files {
    /// `/etc/passwd`; without it there are no users.
    pub passwd: Option<Lines<PasswdEntry>>,
    /// `/etc/shadow`; without it nothing is known of passwords and ageing.
    pub shadow: Option<Lines<ShadowEntry>>,
    /// `/etc/group`; without it there are no groups.
    pub group: Option<Lines<GroupEntry>>,
    /// `/etc/gshadow`; without it nothing is known of group passwords and administrators.
    pub gshadow: Option<Lines<GshadowEntry>>,
}

/// Which accounts are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Which {
    /// `UID_MIN` of login.defs(5): below it are the system's users.
    pub uid_min: u32,
    /// `GID_MIN` of login.defs(5): below it are the system's groups.
    pub gid_min: u32,
    /// The system's accounts too.
    pub all: bool,
    /// Today, in UTC: a table holds no later date of a password change.
    pub today: Day,
}

/// The accounts that the files describe.
#[derive(Debug, Default)]
pub struct Reversed {
    /// Sorted by name; without keys, which are in no account file.
    pub users: Vec<User>,
    /// Sorted by name.
    pub groups: Vec<Group>,
    /// Accounts that no item can describe, or whose lines cannot be told.
    pub refusals: Vec<Refusal>,
    /// What an item says otherwise than the line did, and what else is worth a word.
    pub notes: Vec<String>,
}

impl Which {
    fn wants(self, id: u32, min: u32) -> bool {
        self.all || !is_system(id, min)
    }
}

/// 4294967294 is what some systems number their nobody with, -2.
fn is_system(id: u32, min: u32) -> bool {
    id < min || id == NOBODY || id == u32::MAX - 1
}

/// The accounts of the files, as far as they are wanted.
#[must_use]
pub fn reverse(files: &Files, which: Which) -> Reversed {
    let mut out = Reversed::default();
    if let Some(passwd) = &files.passwd {
        for name in wanted(passwd.ids(), |uid| which.wants(uid, which.uid_min)) {
            match found(passwd.find(&name), "passwd").and_then(|entry| user(&entry, files, which, &mut out.notes)) {
                Ok(user) => out.users.push(user),
                Err(why) => out.refuse("user", &name, &why),
            }
        }
    }
    if let Some(group) = &files.group {
        for name in wanted(group.ids(), |gid| which.wants(gid, which.gid_min)) {
            match found(group.find(&name), "group").and_then(|entry| one_group(&entry, files, &mut out.notes)) {
                Ok(group) => out.groups.push(group),
                Err(why) => out.refuse("group", &name, &why),
            }
        }
        if !which.all {
            out.note_memberships(group, which);
        }
    }
    if which.all {
        out.note_system_accounts(which);
    }
    out
}

/// The names that hold a wanted id on any line, each once.
fn wanted(ids: Vec<(u32, String, usize)>, wants: impl Fn(u32) -> bool) -> impl Iterator<Item = String> {
    let mut names: BTreeMap<String, ()> = BTreeMap::new();
    for (id, name, _) in ids {
        // A line that an administrator has commented out is no account.
        if wants(id) && !name.starts_with('#') {
            names.insert(name, ());
        }
    }
    names.into_keys()
}

fn found<E>(found: Found<E>, file: &str) -> Result<E, String> {
    match found {
        Found::Entry(entry) => Ok(entry),
        Found::Absent => Err("its name is not UTF-8".to_owned()),
        Found::Unclear { line, why } => Err(format!("/etc/{file} line {line}: {why}")),
    }
}

fn user(entry: &PasswdEntry, files: &Files, which: Which, notes: &mut Vec<String>) -> Result<User, String> {
    let of = |attribute: &'static str| move |why: String| format!("{attribute}: {why}");
    let name = Name::new(&entry.name).map_err(of("Name"))?;
    let mut note = |text: String| notes.push(format!("user {name}: {text}"));
    let mut user = User {
        uid: Uid::parse(&entry.uid.to_string()).map_err(of("UID"))?,
        gid: Gid::parse(&entry.gid.to_string()).map_err(of("GID"))?,
        real_name: Gecos::new(text(&entry.gecos).map_err(of("RealName"))?).map_err(of("RealName"))?,
        home: HomeDir::new(text(&entry.home).map_err(of("Home"))?).map_err(of("Home"))?,
        shell: Shell::new(text(&entry.shell).map_err(of("Shell"))?).map_err(of("Shell"))?,
        password: None,
        last_change: None,
        min_age: None,
        max_age: None,
        warn_period: None,
        inactivity_period: None,
        expire_date: None,
        keys: Vec::new(),
        name: name.clone(),
    };
    let Some(shadow) = &files.shadow else { return Ok(user) };
    let shadow = match shadow.find(&entry.name) {
        Found::Absent => None,
        other => Some(found(other, "shadow")?),
    };
    let password = match &shadow {
        // What stands in passwd itself is the password; a program that reads shadow is sent there by an x.
        _ if entry.password != b"x" => &entry.password,
        Some(shadow) => &shadow.password,
        None => {
            note("has no line in shadow; exported without Password".to_owned());
            return Ok(user);
        }
    };
    user.password = hash(password, "hosts let nobody in by a password", &mut note);
    let Some(shadow) = &shadow else { return Ok(user) };
    user.last_change = match date(&shadow.last_change) {
        Some(day) if day.number() == 0 => {
            note(
                "must change its password at the next login, which no item can say; hosts write 1970-01-02".to_owned(),
            );
            Some(day)
        }
        Some(day) if day.number() > which.today.number() => {
            note("its last password change is in the future; exported without LastPasswordChangeDate".to_owned());
            None
        }
        other => other,
    };
    let mut days = |attribute: &str, field: &[u8]| {
        let days: Option<u64> = std::str::from_utf8(field).ok().and_then(|text| text.parse().ok());
        let days = days.map(|days| u32::try_from(days).unwrap_or(u32::MAX));
        if let Some(more) = days.filter(|days| *days > MOST_DAYS) {
            note(format!("{attribute} is {more}; exported as {MOST_DAYS}"));
        }
        days.map(|days| days.min(MOST_DAYS))
    };
    user.min_age = days("PasswordAgeMinDays", &shadow.min_age);
    user.max_age = days("PasswordAgeMaxDays", &shadow.max_age);
    user.warn_period = days("PasswordWarnDays", &shadow.warn_period);
    user.inactivity_period = days("PasswordDisableDays", &shadow.inactivity_period);
    user.expire_date = date(&shadow.expire_date);
    if user.expire_date.is_none() && !shadow.expire_date.is_empty() {
        note("expires later than a date can be written; exported without AccountExpireDate".to_owned());
    }
    Ok(user)
}

fn one_group(entry: &GroupEntry, files: &Files, notes: &mut Vec<String>) -> Result<Group, String> {
    let name = Name::new(&entry.name).map_err(|why| format!("Name: {why}"))?;
    let gid = Gid::parse(&entry.gid.to_string()).map_err(|why| format!("GID: {why}"))?;
    let mut note = |text: String| notes.push(format!("group {name}: {text}"));
    let members = names("member", &entry.members, &mut note);
    let mut group = Group { name: name.clone(), gid, password: None, administrators: Vec::new(), members };
    let Some(gshadow) = &files.gshadow else { return Ok(group) };
    let gshadow = match gshadow.find(&entry.name) {
        Found::Absent => None,
        other => Some(found(other, "gshadow")?),
    };
    let password = match &gshadow {
        _ if entry.password != b"x" && !entry.password.is_empty() => &entry.password[..],
        Some(gshadow) => &gshadow.password,
        None => b"!",
    };
    // Both say that only members may join, as a group without Password says it too.
    if !matches!(password, b"" | b"!") {
        group.password = hash(password, "nobody joins by a password", &mut note);
    }
    group.administrators = names("administrator", gshadow.as_ref().map_or(&[], |g| &g.administrators), &mut note);
    Ok(group)
}

fn text(field: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(field).map_err(|_| "it is not UTF-8".to_owned())
}

/// The password, unless it is empty or no hash of anything; both are said, and neither is quoted.
fn hash(field: &[u8], follows: &str, note: &mut impl FnMut(String)) -> Option<PasswordHash> {
    if field.is_empty() {
        note(format!("its password is empty, which no item can say; exported without Password, so {follows}"));
        return None;
    }
    let hash = std::str::from_utf8(field).ok().and_then(|text| PasswordHash::new(text).ok());
    if hash.is_none() {
        note(format!("its password field is no hash of crypt(5); exported without Password, so {follows}"));
    }
    hash
}

/// A day that can be written with four digits for its year.
fn date(field: &[u8]) -> Option<Day> {
    Day::from_shadow_field(field).filter(|day| Day::parse(&day.to_string()).is_ok())
}

fn names(label: &str, list: &[Vec<u8>], note: &mut impl FnMut(String)) -> Vec<Name> {
    let mut names = Vec::with_capacity(list.len());
    for bytes in list {
        let text = String::from_utf8_lossy(bytes);
        match Name::new(&text) {
            Ok(name) => names.push(name),
            Err(why) => note(format!("{label} \"{}\" left out: {why}", printable(&text))),
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

impl Reversed {
    fn refuse(&mut self, kind: &'static str, name: &str, why: &str) {
        self.refusals.push(Refusal::part(kind, &printable(name), format!("{why}; not exported")));
    }

    /// Who loses sight of the administrators' group loses its members.
    fn note_memberships(&mut self, groups: &Lines<GroupEntry>, which: Which) {
        let is_exported = |name: &[u8]| self.users.binary_search_by(|u| u.name.as_str().as_bytes().cmp(name)).is_ok();
        let mut notes = Vec::new();
        for entry in groups.entries().filter(|entry| is_system(entry.gid, which.gid_min)) {
            let members: Vec<String> = entry
                .members
                .iter()
                .filter(|member| is_exported(member))
                .map(|member| printable(&String::from_utf8_lossy(member)))
                .collect();
            if !members.is_empty() {
                let (name, gid, members) = (printable(&entry.name), entry.gid, members.join(", "));
                notes
                    .push(format!("group {name}: GID {gid} is a system group's; not exported, with members {members}"));
            }
        }
        notes.sort_unstable();
        self.notes.append(&mut notes);
    }

    fn note_system_accounts(&mut self, which: Which) {
        let users = self.users.iter().filter(|u| is_system(u.uid.get(), which.uid_min)).map(|u| u.name.as_str());
        let groups = self.groups.iter().filter(|g| is_system(g.gid.get(), which.gid_min)).map(|g| g.name.as_str());
        let mut notes = Vec::new();
        for (label, names) in [("users", users.collect::<Vec<_>>()), ("groups", groups.collect())] {
            if let Some(first) = names.first() {
                let first = if names.contains(&"root") { "root" } else { first };
                notes.push(format!(
                    "{} system {label} are included, {first} among them; hosts refuse such items, or their ids, unless \
                     allow_system_accounts is true",
                    names.len()
                ));
            }
        }
        self.notes.append(&mut notes);
    }
}

#[cfg(test)]
mod tests;
