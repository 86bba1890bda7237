//! Any four files, a few accounts: the plan can be written, is told, leaves every other line as it is, and is empty the
//! second time. Files are parted by
//! a byte of 255; the first byte chooses the policy.
#![no_main]

use ddum::account::{Accounts, Day, Gecos, Gid, Group, GroupMembers, HomeDir, Name, Shell, Uid, User};
use ddum::etc::{Databases, Lines};
use ddum::ledger::Ledger;
use ddum::merge::{Policy, plan};
use libfuzzer_sys::fuzz_target;

fn user(name: &str, uid: u32) -> User {
    User {
        name: Name::new(name).unwrap(),
        uid: Uid::from_raw(uid),
        gid: Gid::from_raw(2000),
        real_name: Gecos::default(),
        home: HomeDir::new("/home/x").unwrap(),
        shell: Shell::new("/bin/sh").unwrap(),
        password: None,
        last_change: None,
        min_age: None,
        max_age: None,
        warn_period: None,
        inactivity_period: None,
        expire_date: None,
        keys: Vec::new(),
    }
}

fn group(name: &str, gid: u32, members: &[&str]) -> Group {
    Group {
        name: Name::new(name).unwrap(),
        gid: Gid::from_raw(gid),
        password: None,
        administrators: Vec::new(),
        members: members.iter().map(|name| Name::new(name).unwrap()).collect(),
    }
}

/// The lines of everybody but `named`, as they stand.
fn others<'a>(file: &'a [u8], named: &[&str]) -> Vec<&'a [u8]> {
    let text = file.strip_suffix(b"\n").unwrap_or(file);
    let name = |line: &'a [u8]| line.split(|&byte| byte == b':').next().unwrap_or_default();
    let lines = text.split(|&byte| byte == b'\n');
    lines.filter(|line| !named.iter().any(|each| each.as_bytes() == name(line)) && !line.is_empty()).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, rest)) = bytes.split_first() else { return };
    let files: Vec<&[u8]> = rest.splitn(4, |&byte| byte == 255).collect();
    let file = |at: usize| files.get(at).copied().unwrap_or_default().to_vec();
    let Ok(mut databases) = Databases::parse(file(0), file(1), file(2), files.get(3).map(|text| text.to_vec())) else {
        return;
    };
    let users = vec![user("alice", 2001), user("bob", 2002), user("root", 2003)];
    let groups = vec![group("people", 2000, &["alice", "bob"]), group("wheel", 10, &["alice"]), group("a", 1001, &[])];
    let accounts = Accounts::new(users, groups, &mut Vec::new());
    let policy = Policy {
        today: Day::from_unix(1_800_000_000),
        uid_min: 1000,
        gid_min: 1000,
        allow_system_accounts: choice & 1 != 0,
        allow_duplicate_ids: choice & 2 != 0,
        group_members: [GroupMembers::Auto, GroupMembers::Exact, GroupMembers::Merge][usize::from(choice / 4) % 3],
    };
    let first = plan(&accounts, &Ledger::default(), &mut databases, &policy);
    assert_eq!(first.changes.is_empty(), !databases.is_changed());
    for change in &first.changes {
        assert!(!change.to_string().contains(char::is_control), "{change}");
    }
    for refusal in &first.refusals {
        assert!(!refusal.to_string().contains(char::is_control), "{refusal}");
    }
    databases.passwd.verify().unwrap();
    databases.shadow.verify().unwrap();
    databases.group.verify().unwrap();
    databases.gshadow.as_ref().map_or(Ok(()), Lines::verify).unwrap();
    let gshadow = databases.gshadow.as_ref().map(Lines::to_bytes);
    for (at, new) in [databases.passwd.to_bytes(), databases.shadow.to_bytes()].iter().enumerate() {
        assert!(others(&file(at), &["alice", "bob", "root"]) == others(new, &["alice", "bob", "root"]));
    }
    for (at, new) in [databases.group.to_bytes(), gshadow.unwrap_or_default()].iter().enumerate() {
        assert!(others(&file(at + 2), &["people", "wheel", "a"]) == others(new, &["people", "wheel", "a"]));
    }
    let mut again = Databases::parse(
        databases.passwd.to_bytes(),
        databases.shadow.to_bytes(),
        databases.group.to_bytes(),
        databases.gshadow.as_ref().map(Lines::to_bytes),
    )
    .unwrap();
    let second = plan(&accounts, &first.ledger, &mut again, &policy);
    assert!(second.changes.is_empty() && !again.is_changed(), "{:?}", second.changes);
});
