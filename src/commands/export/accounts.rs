//! The accounts of a host, read to be exported.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::update::{read_login_defs, today};
use super::Report;
use crate::account::{Group, Name, PublicKey, User};
use crate::cli::{Export, Options, Part};
use crate::error::{Context, Error, ErrorKind, printable};
use crate::etc::{Entry, Lines, LoginDefs};
use crate::host::{self, HomeLook, HomeOf, Root, Stop};
use crate::merge::{self, Files, Refusal, Reversed, Which};
use crate::table::Record;

/// No account file is larger, in bytes.
const LARGEST: u64 = 64 << 20;

/// The accounts as items, each with what a line says of it.
pub(super) fn records(options: &Options, export: &Export) -> Result<(Vec<(Record, String)>, Report), Error> {
    let root = Root::open(options.root.as_deref().unwrap_or(Path::new("/")))?;
    let LoginDefs { uid_min, gid_min, .. } = read_login_defs(&root)?;
    let users_too = |part: &Part| if export.passwd == Part::No { Part::No } else { part.clone() };
    let groups_too = |part: &Part| if export.group == Part::No { Part::No } else { part.clone() };
    let files = Files {
        passwd: lines(&root, &export.passwd, "passwd")?,
        shadow: lines(&root, &users_too(&export.shadow), "shadow")?,
        group: lines(&root, &export.group, "group")?,
        gshadow: lines(&root, &groups_too(&export.gshadow), "gshadow")?,
    };
    let which = Which { uid_min, gid_min, all: export.all, today: today()? };
    let Reversed { mut users, groups, refusals, notes } = merge::reverse(&files, which);
    let mut report = Report { refusals, notes, ..Report::default() };
    let keys_known = if export.passwd == Part::Host {
        read_keys(&root, &mut users, &mut report)?
    } else {
        if !users.is_empty() {
            report.notes.push("the users are not of this host, so they are exported without SSH keys".to_owned());
        }
        BTreeSet::new()
    };
    let users = users.iter().map(|user| {
        // A host takes the keys of an expired account away, so that it has none says nothing.
        let taken_away = user.keys.is_empty() && user.is_expired(which.today);
        let keys = keys_known.contains(user.name.as_str()) && !taken_away;
        (Record::user(user, files.shadow.is_some(), keys), told_user(user, files.shadow.is_some()))
    });
    let groups = groups.iter().map(|group| (Record::group(group, files.gshadow.is_some()), told_group(group)));
    Ok((users.chain(groups).collect(), report))
}

/// One of the account files; without gshadow a host can do.
fn lines<E: Entry>(root: &Root, part: &Part, name: &str) -> Result<Option<Lines<E>>, Error> {
    let bytes = match part {
        Part::No => return Ok(None),
        Part::File(path) => {
            let size = std::fs::metadata(path).at("cannot read", path)?.len();
            if size > LARGEST {
                return Err(Error::new(ErrorKind::File, format!("{} has more than 64 MiB", path.display())));
            }
            std::fs::read(path).at("cannot read", path)?
        }
        Part::Host => {
            let path = Path::new("/etc").join(name);
            match host::read_account_file(root, &path)? {
                Some(bytes) => bytes,
                None if name == "gshadow" => return Ok(None),
                None => {
                    let path = root.display(&path);
                    return Err(Error::new(ErrorKind::File, format!("{} is missing", path.display())));
                }
            }
        }
    };
    Lines::parse(bytes).map(Some).map_err(|why| Error::new(ErrorKind::Unsafe, format!("{why}; nothing is exported")))
}

/// Gives the users their keys. The names in the answer are those whose keys are known, be it that there are none.
fn read_keys(root: &Root, users: &mut [User], report: &mut Report) -> Result<BTreeSet<String>, Error> {
    let homes: Vec<HomeOf<'_>> = users
        .iter()
        .map(|u| HomeOf { name: u.name.as_str(), uid: u.uid.get(), gid: u.gid.get(), home: u.home.as_str() })
        .collect();
    // Who has no home of his own has no keys there either.
    let has_home = |user: &User| !user.home.is_none_like() || user.uid.get() == 0;
    let asked: Vec<HomeOf<'_>> =
        homes.into_iter().zip(users.iter()).filter(|(_, user)| has_home(user)).map(|(home, _)| home).collect();
    let looks = host::look_at_homes(root, &asked, &Stop::default())?;
    let mut looks = looks.into_iter();
    let mut known = BTreeSet::new();
    for user in users.iter_mut() {
        let look = if has_home(user) { looks.next().unwrap_or_default() } else { HomeLook::default() };
        let name = user.name.as_str().to_owned();
        if let Some(trouble) = look.trouble {
            let reason = format!("{trouble}; exported without keys");
            report.refusals.push(Refusal::part("keys", &name, reason));
            continue;
        }
        if has_home(user) && !look.exists {
            report.notes.push(format!("user {name}: has no home {}, so no keys", printable(user.home.as_str())));
        }
        if look.has_second {
            report.notes.push(format!("user {name}: .ssh/authorized_keys2 is not exported; hosts write one file"));
        }
        user.keys = parse_keys(&name, &look.keys.unwrap_or_default(), report);
        known.insert(name);
    }
    Ok(known)
}

fn parse_keys(name: &str, bytes: &[u8], report: &mut Report) -> Vec<PublicKey> {
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let key = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned()).and_then(PublicKey::new);
        match key {
            Ok(key) => keys.push(key),
            Err(why) => {
                let reason = format!("authorized_keys line {number}: {why}; not exported");
                report.refusals.push(Refusal::part("keys", name, reason));
            }
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn told_user(user: &User, shadow: bool) -> String {
    let keys = match user.keys.len() {
        0 => "no keys".to_owned(),
        1 => "1 key".to_owned(),
        count => format!("{count} keys"),
    };
    let password = match &user.password {
        _ if !shadow => "password not read",
        None => "no password",
        Some(hash) if hash.expose().starts_with(['!', '*']) => "password locked",
        Some(_) => "password set",
    };
    format!("uid {}, gid {}, {keys}, {password}", user.uid, user.gid)
}

fn told_group(group: &Group) -> String {
    let members: Vec<&str> = group.members.iter().map(Name::as_str).collect();
    let members = if members.is_empty() { "(none)".to_owned() } else { members.join(",") };
    format!("gid {}, members {members}", group.gid)
}
