use super::*;
use crate::account::{Gecos, Gid, Group, HomeDir, Name, PasswordHash, Shell, Uid};
use crate::etc::Lines;
use crate::ledger::{GroupRecord, UserRecord};

const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\nlocal:x:1000:1000::/home/local:/bin/sh\n";
const SHADOW: &str = "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\nlocal:$6$l$l:19000:0:99999:7:::\n";
const GROUP: &str = "root:x:0:\nwheel:x:10:local\nlocal:x:1000:\n";
const GSHADOW: &str = "root:*::\nwheel:!::local\nlocal:!::\n";

/// A host, what is managed on it, and what decides.
struct Machine {
    passwd: String,
    shadow: String,
    group: String,
    gshadow: Option<String>,
    ledger: Ledger,
    policy: Policy,
    changes: Vec<String>,
    refusals: Vec<String>,
    moves: Vec<(String, Vec<Ids>)>,
}

fn machine() -> Machine {
    Machine {
        passwd: PASSWD.into(),
        shadow: SHADOW.into(),
        group: GROUP.into(),
        gshadow: Some(GSHADOW.into()),
        ledger: Ledger::default(),
        policy: Policy {
            today: Day::parse("2026-11-22").unwrap(),
            uid_min: 1000,
            gid_min: 1000,
            allow_system_accounts: false,
            allow_duplicate_ids: false,
            group_members: GroupMembers::Auto,
        },
        changes: Vec::new(),
        refusals: Vec::new(),
        moves: Vec::new(),
    }
}

impl Machine {
    /// Plans and applies once, then plans again: whatever the case, the second plan must be empty.
    fn update(&mut self, users: Vec<User>, groups: Vec<Group>) -> &mut Self {
        let mut rejections = Vec::new();
        let accounts = Accounts::new(users, groups, &mut rejections);
        self.once(&accounts);
        let (changes, files) = (self.changes.clone(), self.files());
        self.once(&accounts);
        assert_eq!(self.changes, Vec::<String>::new(), "a second plan is empty");
        assert_eq!(self.files(), files, "a second plan leaves the files");
        self.changes = changes;
        self
    }

    fn once(&mut self, accounts: &Accounts) {
        let lines = |text: &str| text.as_bytes().to_vec();
        let mut databases = Databases {
            passwd: Lines::parse(lines(&self.passwd)).unwrap(),
            shadow: Lines::parse(lines(&self.shadow)).unwrap(),
            group: Lines::parse(lines(&self.group)).unwrap(),
            gshadow: self.gshadow.as_ref().map(|g| Lines::parse(lines(g)).unwrap()),
        };
        let plan = plan(accounts, &self.ledger, &mut databases, &self.policy);
        self.changes = plan.changes.iter().map(ToString::to_string).collect();
        self.refusals = plan.refusals.iter().map(ToString::to_string).collect();
        let moved = plan.present.iter().filter(|p| !p.moved_from.is_empty());
        self.moves = moved.map(|p| (p.user.name.to_string(), p.moved_from.clone())).collect();
        self.ledger = plan.ledger;
        settle(&mut self.ledger, accounts, &databases);
        for record in self.ledger.users.values_mut() {
            record.moving_from.clear();
        }
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        self.passwd = text(databases.passwd.to_bytes());
        self.shadow = text(databases.shadow.to_bytes());
        self.group = text(databases.group.to_bytes());
        self.gshadow = databases.gshadow.map(|g| text(g.to_bytes()));
    }

    fn files(&self) -> [String; 4] {
        [self.passwd.clone(), self.shadow.clone(), self.group.clone(), self.gshadow.clone().unwrap_or_default()]
    }

    fn managed(mut self, name: &str, uid: u32) -> Self {
        let record = UserRecord { uid, gid: uid, created: true, pending: false, moving_from: Vec::new() };
        self.ledger.users.insert(name.into(), record);
        self
    }

    fn with(mut self, passwd: &str, shadow: &str) -> Self {
        self.passwd.push_str(passwd);
        self.shadow.push_str(shadow);
        self
    }
}

fn user(name: &str, id: u32) -> User {
    User {
        name: Name::new(name).unwrap(),
        uid: Uid::from_raw(id),
        gid: Gid::from_raw(id),
        real_name: Gecos::new("").unwrap(),
        home: HomeDir::new(&format!("/home/{name}")).unwrap(),
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
        members: members.iter().map(|m| Name::new(m).unwrap()).collect(),
    }
}

#[test]
fn a_new_user_is_added_at_the_end_and_nothing_else_moves() {
    let mut host = machine();
    host.update(vec![user("alice", 2001)], vec![]);
    assert_eq!(host.passwd, format!("{PASSWD}alice:x:2001:2001::/home/alice:/bin/sh\n"));
    assert_eq!(host.shadow, format!("{SHADOW}alice:*:20779::::::\n"));
    assert_eq!(host.group, GROUP);
    assert_eq!(host.changes, ["+ user alice: uid 2001, gid 2001, home /home/alice, shell /bin/sh"]);
    assert!(host.ledger.users["alice"].created);
}

#[test]
fn every_attribute_reaches_its_field_and_an_absent_one_clears_it() {
    let mut host = machine();
    let mut alice = user("alice", 2001);
    alice.real_name = Gecos::new("Alice Müller").unwrap();
    alice.password = Some(PasswordHash::new("$6$salt$hash").unwrap());
    alice.last_change = Some(Day::parse("2026-01-01").unwrap());
    (alice.min_age, alice.max_age, alice.warn_period, alice.inactivity_period) = (Some(1), Some(90), Some(7), Some(30));
    alice.expire_date = Some(Day::parse("2031-12-31").unwrap());
    host.update(vec![alice], vec![]);
    assert!(host.passwd.ends_with("alice:x:2001:2001:Alice Müller:/home/alice:/bin/sh\n"));
    assert!(host.shadow.ends_with("alice:$6$salt$hash:20454:1:90:7:30:22644:\n"), "{}", host.shadow);

    host.update(vec![user("alice", 2001)], vec![]);
    assert!(host.shadow.ends_with("alice:*:20454::::::\n"), "the change date stays: {}", host.shadow);
    let line = host.changes.concat();
    assert!(line.contains("real name Alice Müller -> (none)") && line.contains("password removed"), "{line}");
    assert!(line.contains("no longer expires") && !line.contains('$'), "{line}");
}

#[test]
fn a_password_that_opens_nothing_stays_and_one_that_does_goes_with_its_attribute() {
    for (before, after) in [
        ("!", "!"),
        ("!!", "!!"),
        ("*", "*"),
        ("!$6$a$b", "!$6$a$b"),
        ("*LK*", "*LK*"),
        ("x", "x"),
        ("$6$a$b", "*"),
        ("$y$j9T$a$b", "*"),
        ("abJnggxhB/yWI", "*"),
        ("", "*"),
    ] {
        let mut host = machine().with("bob:x:2002:2002::/home/bob:/bin/sh\n", &format!("bob:{before}:19000::::::\n"));
        host.update(vec![user("bob", 2002)], vec![]);
        assert!(host.shadow.ends_with(&format!("bob:{after}:19000::::::\n")), "{before}: {}", host.shadow);
    }
    // From an item, the lock is the same; and an item can end it.
    let mut host = machine().with("", "");
    for (password, after) in
        [(Some("$6$a$b"), "$6$a$b"), (Some("!$6$a$b"), "!$6$a$b"), (None, "!$6$a$b"), (Some("*"), "*"), (None, "*")]
    {
        let mut bob = user("bob", 2002);
        bob.password = password.map(|text| PasswordHash::new(text).unwrap());
        host.update(vec![bob], vec![]);
        assert!(host.shadow.contains(&format!("\nbob:{after}:")), "{password:?}: {}", host.shadow);
    }
}

#[test]
fn a_hash_in_passwd_moves_out_of_it() {
    let mut host = machine().with("bob:$6$a$b:2002:2002::/home/bob:/bin/sh\n", "");
    let mut bob = user("bob", 2002);
    bob.password = Some(PasswordHash::new("$6$new$hash").unwrap());
    host.update(vec![bob], vec![]);
    assert!(host.passwd.ends_with("bob:x:2002:2002::/home/bob:/bin/sh\n"));
    assert!(host.shadow.contains("bob:$6$new$hash:"));
}

#[test]
fn system_accounts_and_foreign_ids_are_refused_one_by_one() {
    for (name, id, why) in [
        ("mallory", 0, "! user mallory: UID 0 is reserved for root; item skipped"),
        ("root", 2000, "! user root: is a system account of this host, with UID 0; item skipped"),
        ("daemon", 2000, "! user daemon: is a system account of this host, with UID 1; item skipped"),
        ("eve", 999, "! user eve: UID 999 is below UID_MIN, 1000, and so a system account's; item skipped"),
        ("eve", 65534, "! user eve: UID 65534 is reserved for nobody; item skipped"),
        ("eve", 1000, "! user eve: UID 1000 belongs to local on this host; item skipped"),
        (
            "local",
            2000,
            "! user local: UID is 2000, but this host has an account of that name with UID 1000, which ddum never \
             managed; item skipped",
        ),
    ] {
        let mut host = machine();
        host.update(vec![user(name, id), user("fine", 3000)], vec![]);
        assert_eq!(host.refusals, [why]);
        assert_eq!(host.changes.len(), 1, "fine goes on: {:?}", host.changes);
        assert!(host.passwd.starts_with(PASSWD) && host.shadow.starts_with(SHADOW));
    }
}

#[test]
fn two_new_items_with_one_uid_are_both_refused_unless_that_is_allowed() {
    let mut host = machine();
    host.update(vec![user("alice", 2001), user("bob", 2001)], vec![]);
    assert_eq!(host.refusals.len(), 2);
    assert_eq!(host.passwd, PASSWD);
    let mut host = machine();
    host.policy.allow_duplicate_ids = true;
    host.update(vec![user("alice", 2001), user("bob", 2001), user("carol", 1000)], vec![]);
    assert_eq!(host.changes.len(), 3);
}

#[test]
fn the_ledger_decides_whether_an_id_may_change() {
    let here = ("alice:x:2001:2001::/home/alice:/bin/sh\n", "alice:*:19000::::::\n");
    // The item changed: the account follows, and so do its files.
    let mut host = machine().with(here.0, here.1).managed("alice", 2001);
    let mut rejections = Vec::new();
    host.once(&Accounts::new(vec![user("alice", 2005)], vec![], &mut rejections));
    assert_eq!(host.changes, ["~ user alice: uid 2001 -> 2005; gid 2001 -> 2005"]);
    assert_eq!(host.moves, [("alice".to_owned(), vec![Ids { uid: 2001, gid: 2001 }])]);
    // Somebody changed the account here: it is set back.
    let mut host = machine().with(here.0, here.1).managed("alice", 2005);
    host.update(vec![user("alice", 2005)], vec![]);
    assert!(host.passwd.contains("alice:x:2005:"));
    // An update was killed between the files and the homes: the move goes on.
    let mut host = machine().with(here.0, here.1).managed("alice", 2001);
    if let Some(record) = host.ledger.users.get_mut("alice") {
        record.moving_from = vec![Ids { uid: 2000, gid: 2000 }];
    }
    host.once(&Accounts::new(vec![user("alice", 2001)], vec![], &mut rejections));
    assert_eq!(host.moves, [("alice".to_owned(), vec![Ids { uid: 2000, gid: 2000 }])]);
}

#[test]
fn a_name_on_a_line_that_cannot_be_told_is_left_alone() {
    for line in ["alice:x:2001:2001::/home/alice\n", "alice:x:2001:2001::/a:/bin/sh\nalice:x:2001:2001::/b:/bin/sh\n"] {
        let mut host = machine().with(line, "");
        host.update(vec![user("alice", 2001)], vec![]);
        assert_eq!(host.passwd, format!("{PASSWD}{line}"));
        assert_eq!(host.shadow, SHADOW);
        assert!(host.refusals[0].contains("/etc/passwd line "), "{:?}", host.refusals);
    }
}

#[test]
fn a_new_group_is_exact_and_a_local_one_is_merged_into() {
    let mut host = machine();
    let users = || vec![user("alice", 2001), user("bob", 2002)];
    host.update(users(), vec![group("devs", 3000, &["bob", "alice"]), group("wheel", 10, &["alice"])]);
    assert_eq!(host.group, GROUP.replace("wheel:x:10:local", "wheel:x:10:alice,local") + "devs:x:3000:alice,bob\n");
    assert!(host.gshadow.as_ref().unwrap().contains("wheel:!::alice,local\n"));
    assert!(host.gshadow.as_ref().unwrap().ends_with("devs:!::alice,bob\n"));
    assert!(host.changes.contains(&"~ group wheel: +alice".to_owned()), "{:?}", host.changes);
    // Somebody adds a local member to each; the managed one leaves the table's list.
    host.group = host.group.replace("alice,bob", "alice,bob,local");
    host.update(users(), vec![group("devs", 3000, &["bob"]), group("wheel", 10, &["bob"])]);
    assert!(host.group.contains("devs:x:3000:bob\n"), "created by ddum, so exact: {}", host.group);
    assert!(host.group.contains("wheel:x:10:bob,local\n"), "merged, managed alice leaves: {}", host.group);
    host.policy.group_members = GroupMembers::Exact;
    host.update(users(), vec![group("devs", 3000, &["bob"]), group("wheel", 10, &["bob"])]);
    assert!(host.group.contains("wheel:x:10:bob\n"));
}

#[test]
fn a_system_group_takes_members_but_keeps_its_gid() {
    let mut host = machine();
    host.update(vec![user("alice", 2001)], vec![group("wheel", 3010, &["alice"]), group("root", 0, &["alice"])]);
    assert!(host.group.contains("wheel:x:10:alice,local\n"));
    assert_eq!(host.refusals.len(), 2, "{:?}", host.refusals);
    assert!(host.refusals[0].contains("is the group of root") && host.refusals[1].contains("GID 3010 not taken"));
    for (name, gid) in [("fresh", 0), ("fresh", 999), ("fresh", 65534), ("fresh", 1000), ("local", 1005)] {
        let mut host = machine();
        host.update(vec![], vec![group(name, gid, &[])]);
        assert_eq!(host.group, GROUP, "{name} {gid}");
        assert_eq!(host.refusals.len(), 1);
    }
}

#[test]
fn a_managed_group_follows_its_items_gid() {
    let mut host = machine();
    host.ledger.groups.insert("local".into(), GroupRecord { gid: 1000, created: true, pending: false });
    host.update(vec![], vec![group("local", 1005, &[])]);
    assert!(host.group.contains("local:x:1005:\n"), "{:?}", host.refusals);
}

#[test]
fn refused_users_keep_the_memberships_that_they_have_and_get_no_new_ones() {
    let mut host = machine();
    host.update(vec![user("eve", 0)], vec![group("wheel", 10, &["eve", "local", "stranger"])]);
    assert!(host.group.contains("wheel:x:10:local,stranger\n"), "{}", host.group);
    let mut host = machine().managed("eve", 2009);
    host.group = host.group.replace("10:local", "10:eve,local");
    host.gshadow = Some(GSHADOW.replace("::local", "::eve,local"));
    host.update(vec![user("eve", 0)], vec![group("wheel", 10, &["eve", "local"])]);
    assert!(host.group.contains("wheel:x:10:eve,local\n"), "{}", host.group);
}

#[test]
fn group_passwords_of_the_host_stay_unless_the_item_has_one() {
    let mut host = machine();
    host.gshadow = Some(GSHADOW.replace("wheel:!:", "wheel:$6$g$h:"));
    host.update(vec![], vec![group("wheel", 10, &["local"])]);
    assert!(host.gshadow.as_ref().unwrap().contains("wheel:$6$g$h::local\n"));
    let mut wheel = group("wheel", 10, &["local"]);
    wheel.password = Some(PasswordHash::new("$6$new$hash").unwrap());
    host.update(vec![], vec![wheel]);
    assert!(host.gshadow.as_ref().unwrap().contains("wheel:$6$new$hash::local\n"));
    assert!(!host.changes.concat().contains('$'));
}

#[test]
fn a_host_without_gshadow_gets_none() {
    let mut host = machine();
    host.gshadow = None;
    host.update(vec![user("alice", 2001)], vec![group("devs", 3000, &["alice"])]);
    assert_eq!(host.gshadow, None);
    assert!(host.group.ends_with("devs:x:3000:alice\n"));
}

#[test]
fn without_the_ledger_an_account_is_taken_over_by_its_uid() {
    let mut host = machine();
    host.update(vec![user("alice", 2001)], vec![group("devs", 3000, &["alice"])]);
    let files = host.files();
    host.ledger = Ledger::default();
    host.update(vec![user("alice", 2001)], vec![group("devs", 3000, &["alice"])]);
    assert_eq!(host.files(), files);
    assert!(!host.ledger.users["alice"].created);
}

#[test]
fn a_member_that_says_the_same_in_other_bytes_stays_as_it_is_written() {
    let mut host = machine();
    host.group = host.group.replace("10:local", "10: local,");
    host.gshadow = Some(GSHADOW.replace("::local", ":: local,"));
    let files = host.files();
    host.update(vec![], vec![group("wheel", 10, &["local"])]);
    assert_eq!(host.files(), files);
}

#[test]
fn a_member_whose_backslash_would_end_the_line_costs_its_group_alone() {
    let mut host = machine();
    host.group = host.group.replace("10:local", "10:zed\\,local");
    host.gshadow = Some(GSHADOW.replace("::local", "::zed\\,local"));
    let (group_file, gshadow) = (host.group.clone(), host.gshadow.clone().unwrap());
    host.update(vec![user("alice", 2001)], vec![group("wheel", 10, &["alice"]), group("devs", 3000, &["alice"])]);
    assert!(host.refusals[0].contains("wheel") && host.refusals[0].contains("backslash"), "{:?}", host.refusals);
    assert_eq!(host.group, group_file + "devs:x:3000:alice\n");
    assert_eq!(host.gshadow.unwrap(), gshadow + "devs:!::alice\n");
}

#[test]
fn without_a_plan_only_users_who_are_here_as_their_items_say_and_no_system_accounts_are_looked_after() {
    let passwd = format!("{PASSWD}alice:x:2001:2001::/home/alice:/bin/sh\nbob:x:2002:2002::/srv/bob:/bin/sh\n");
    let passwd = Lines::parse(passwd.into_bytes()).unwrap();
    let daemon = User { home: HomeDir::new("/").unwrap(), ..user("daemon", 1) };
    let users = vec![user("alice", 2001), user("bob", 2002), user("carol", 2003), user("local", 1001), daemon];
    let accounts = Accounts::new(users, vec![], &mut Vec::new());
    let names = |policy: &Policy| -> Vec<String> {
        already_present(&accounts, &Ledger::default(), &passwd, policy)
            .iter()
            .map(|p| p.user.name.to_string())
            .collect()
    };
    let mut policy = machine().policy;
    assert_eq!(names(&policy), ["alice"]);
    policy.allow_system_accounts = true;
    assert_eq!(names(&policy), ["alice", "daemon"]);
}

#[test]
fn who_is_gone_is_remembered_as_long_as_a_group_names_them() {
    let mut host = machine().managed("bob", 2002);
    host.group = GROUP.replace("10:local", "10:local\\,bob");
    host.update(vec![], vec![group("wheel", 10, &[])]);
    assert!(host.refusals[0].contains("backslash"), "{:?}", host.refusals);
    assert!(host.ledger.users.contains_key("bob"), "still in wheel, and ours to take out");
    let mut host = machine().managed("bob", 2002);
    host.update(vec![], vec![]);
    assert!(!host.ledger.users.contains_key("bob"), "no account, no item, no membership");
}

/// An update of alice's ids that is cut off after so many steps, and the UIDs of her files.
fn cut_off(host: &mut Machine, files: &mut [u32], want: u32, steps: usize) {
    let accounts = Accounts::new(vec![user("alice", want)], vec![], &mut Vec::new());
    let text = |text: &str| text.as_bytes().to_vec();
    let mut databases = Databases::parse(text(&host.passwd), text(&host.shadow), text(&host.group), None).unwrap();
    let mut plan = plan(&accounts, &host.ledger, &mut databases, &host.policy);
    assert!(plan.refusals.is_empty(), "{:?}", plan.refusals);
    let early = plan.ledger.with_all_of(&host.ledger).into_owned();
    settle(&mut plan.ledger, &accounts, &databases);
    if steps == 0 {
        return;
    }
    host.ledger = early;
    if steps == 1 {
        return;
    }
    host.shadow = String::from_utf8(databases.shadow.to_bytes()).unwrap();
    host.passwd = String::from_utf8(databases.passwd.to_bytes()).unwrap();
    for file in files.iter_mut().take(steps - 2) {
        if plan.present[0].moved_from.iter().any(|ids| ids.uid == *file) {
            *file = want;
        }
    }
    if steps > files.len() + 2 {
        plan.ledger.users.get_mut("alice").unwrap().forget(&plan.present[0].moved_from);
        host.ledger = plan.ledger;
    }
}

#[test]
fn changes_of_ids_that_are_cut_off_anywhere_again_and_again_end_with_the_wanted_ids() {
    const WHOLE: usize = 6;
    let wants = [2001, 2002, 2003];
    let cuts = || 0..=WHOLE;
    let mut tried = 0;
    for (first, second, last) in wants.iter().flat_map(|a| wants.iter().flat_map(move |b| wants.map(|c| (*a, *b, c)))) {
        for (one, two) in cuts().flat_map(|one| cuts().map(move |two| (one, two))) {
            let mut host = machine();
            let mut files = [2001; 3];
            cut_off(&mut host, &mut files, 2001, WHOLE);
            cut_off(&mut host, &mut files, first, one);
            cut_off(&mut host, &mut files, second, two);
            cut_off(&mut host, &mut files, last, WHOLE);
            let what = format!("{first} cut at {one}, {second} at {two}, {last}");
            assert!(host.passwd.contains(&format!("alice:x:{last}:{last}:")), "{what}: {}", host.passwd);
            assert_eq!(files, [last; 3], "{what}");
            assert!(host.ledger.users["alice"].moving_from.is_empty(), "{what}");
            tried += 1;
        }
    }
    assert_eq!(tried, 27 * 49);
}

#[test]
fn what_was_about_to_be_made_is_ours_only_once_it_is_seen() {
    let (alice, crew) = (|| vec![user("alice", 2001)], || vec![group("crew", 3000, &["alice"])]);
    let mut host = machine();
    // Only the ledger was stored.
    let pending = |host: &mut Machine| {
        let record = UserRecord { uid: 2001, gid: 2001, created: true, pending: true, moving_from: Vec::new() };
        host.ledger.users.insert("alice".into(), record);
        host.ledger.groups.insert("crew".into(), GroupRecord { gid: 3000, created: true, pending: true });
    };
    pending(&mut host);
    host.update(alice(), crew());
    assert!(host.ledger.users.values().all(|record| record.created && !record.pending), "{:?}", host.ledger);
    assert!(host.ledger.groups.values().all(|record| record.created && !record.pending), "{:?}", host.ledger);
    // All was done, and an item changes before that is known.
    pending(&mut host);
    host.update(vec![user("alice", 2002)], crew());
    assert!(host.passwd.contains("alice:x:2002:"), "{:?}", host.refusals);
    // Somebody else made accounts of those names.
    for (uid, refused) in [(1500, true), (2001, false)] {
        let mut host = machine().with(&format!("alice:x:{uid}:{uid}::/home/alice:/bin/sh\n"), "alice:*:19000::::::\n");
        host.group.push_str("crew:x:3000:guest\n");
        host.gshadow.as_mut().unwrap().push_str("crew:!::guest\n");
        host.group = host.group.replace("10:local", "10:alice,local");
        pending(&mut host);
        host.update(alice(), vec![group("crew", 3000, &["alice"]), group("wheel", 10, &[])]);
        assert_eq!(host.refusals.len(), usize::from(refused), "{:?}", host.refusals);
        assert!(host.passwd.contains(&format!("alice:x:{uid}:")), "{}", host.passwd);
        assert_eq!(host.ledger.users.contains_key("alice"), !refused);
        assert!(host.group.contains("guest\n"), "the guest stays in a group that is not ours: {}", host.group);
        assert_eq!(host.group.contains("wheel:x:10:alice,local"), refused, "{}", host.group);
        assert!(!host.ledger.groups["crew"].created);
    }
    // A membership that a killed update made of an account that it did not is ours to end.
    let mut host = machine();
    pending(&mut host);
    host.group = host.group.replace("10:local", "10:alice,local");
    host.update(vec![], vec![group("wheel", 10, &[])]);
    assert!(host.group.contains("wheel:x:10:local\n"), "{}", host.group);
}

#[test]
fn an_old_uid_is_nobody_elses_until_the_files_have_followed() {
    let awaiting = || {
        let mut host = machine().with("alice:x:2005:2005::/home/alice:/bin/sh\n", "alice:*:19000::::::\n");
        let moving_from = vec![Ids { uid: 2001, gid: 2001 }];
        let record = UserRecord { uid: 2005, gid: 2005, created: true, pending: false, moving_from };
        host.ledger.users.insert("alice".into(), record);
        host
    };
    let once = |host: &mut Machine, users: Vec<User>| {
        host.once(&Accounts::new(users, vec![], &mut Vec::new()));
    };
    let mut host = awaiting();
    once(&mut host, vec![user("alice", 2005), user("bob", 2001)]);
    assert!(host.refusals[0].starts_with("! user bob: UID 2001 was that of alice"), "{:?}", host.refusals);
    assert!(!host.passwd.contains("bob") && host.moves.len() == 1);
    // The files have followed, as the machine of these tests has it.
    once(&mut host, vec![user("alice", 2005), user("bob", 2001)]);
    assert!(host.passwd.contains("bob:x:2001:"), "{:?}", host.refusals);
    // Alice herself may go back.
    let mut host = awaiting();
    once(&mut host, vec![user("alice", 2001)]);
    assert_eq!(host.moves, [("alice".to_owned(), vec![Ids { uid: 2005, gid: 2005 }])]);
    // A local account took the old UID: what it owns is not given to alice, as long as it has it.
    let mut host = awaiting().with("guest:x:2001:2001::/home/guest:/bin/sh\n", "guest:*:19000::::::\n");
    once(&mut host, vec![user("alice", 2005)]);
    assert!(host.moves.is_empty(), "{:?}", host.moves);
    // Of one update, ids can be handed on: whoever has the UID now has it of ddum.
    let mut host = machine().with("alice:x:2001:2001::/home/alice:/bin/sh\n", "alice:*:19000::::::\n");
    host = host.managed("alice", 2001);
    once(&mut host, vec![user("alice", 2005), user("bob", 2001)]);
    assert!(host.passwd.contains("bob:x:2001:") && host.moves.len() == 1, "{:?}", host.refusals);
}
