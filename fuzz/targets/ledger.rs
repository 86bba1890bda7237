//! Any file as the ledger: refused in one line, or it reads back, and what is planned with it is done after one update.
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

fn files() -> Databases {
    // Alice has another id here than in the table, bob has his own, old is in no table any more.
    let passwd = "root:x:0:0::/root:/bin/sh\nalice:x:2009:2000::/home/x:/bin/sh\nbob:x:2002:2000::/home/x:/bin/sh\n\
                  old:x:2005:2000::/home/old:/bin/sh\n";
    let shadow = "root:*:1::::::\nalice:*:1::::::\nbob:*:1::::::\nold:*:1::::::\n";
    let group = "root:x:0:\npeople:x:2007:old,alice\nwheel:x:10:root,old,bob\n";
    let gshadow = "root:*::\npeople:!::old,alice\nwheel:!::root,old,bob\n";
    Databases::parse(passwd.into(), shadow.into(), group.into(), Some(gshadow.into())).unwrap()
}

fuzz_target!(|bytes: &[u8]| {
    let ledger = match Ledger::parse(bytes) {
        Ok(ledger) => ledger,
        Err(why) => {
            assert!(!why.contains(char::is_control), "{why:?}");
            return;
        }
    };
    assert_eq!(Ledger::parse(&ledger.to_bytes()).as_ref(), Ok(&ledger));
    let group = |name: &str, gid, members: &[&str]| Group {
        name: Name::new(name).unwrap(),
        gid: Gid::from_raw(gid),
        password: None,
        administrators: Vec::new(),
        members: members.iter().map(|name| Name::new(name).unwrap()).collect(),
    };
    let users = vec![user("alice", 2001), user("bob", 2002)];
    let groups = vec![group("people", 2000, &["alice"]), group("wheel", 10, &["alice"])];
    let accounts = Accounts::new(users, groups, &mut Vec::new());
    let policy = Policy {
        today: Day::from_unix(1_800_000_000),
        uid_min: 1000,
        gid_min: 1000,
        allow_system_accounts: bytes.len() % 2 == 0,
        allow_duplicate_ids: bytes.len() % 3 == 0,
        group_members: GroupMembers::Auto,
    };
    let mut databases = files();
    let first = plan(&accounts, &ledger, &mut databases, &policy);
    for told in first.changes.iter().map(ToString::to_string).chain(first.refusals.iter().map(ToString::to_string)) {
        assert!(!told.contains(char::is_control), "{told}");
    }
    databases.passwd.verify().unwrap();
    let bytes = |lines: Option<Vec<u8>>| lines.unwrap_or_default();
    let mut again = Databases::parse(
        databases.passwd.to_bytes(),
        databases.shadow.to_bytes(),
        databases.group.to_bytes(),
        Some(bytes(databases.gshadow.as_ref().map(Lines::to_bytes))),
    )
    .unwrap();
    let saved = Ledger::parse(&first.ledger.to_bytes()).unwrap();
    let second = plan(&accounts, &saved, &mut again, &policy);
    assert!(second.changes.is_empty() && !again.is_changed(), "{:?}", second.changes);
});
