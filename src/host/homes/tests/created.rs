//! Homes that are made.

use std::os::unix::fs::symlink;

use super::super::super::identity::Actor;
use super::*;

fn newcomer(name: &str, n: u32) -> Person {
    Person { create: true, ..Person::new(name, UID + n, &[1]) }
}

fn skeleton(base: &Path) {
    let skel = base.join("etc/skel");
    mkdir(&skel, 0);
    file(&skel.join(".bashrc"), 0, 0o644, b"alias ll='ls -l'\n");
    file(&skel.join("tool"), 0, 0o4755, b"#!/bin/sh\n");
    symlink("/etc/motd", skel.join("motd")).unwrap();
    mkdir(&skel.join(".config"), 0);
    chmod(&skel.join(".config"), 0o700);
    file(&skel.join(".config/x"), 0, 0o600, b"");
    mkdir(&skel.join(".ssh"), 0);
    file(&skel.join(".ssh/authorized_keys"), 0, 0o600, key(99).line().as_bytes());
    file(&skel.join(".ssh/config"), 0, 0o600, b"Host *\n");
}

/// Each path in a home with its mode.
fn listing(home: &Path, uid: u32) -> Vec<(String, u32)> {
    let mut all = Vec::new();
    for (path, facts) in snapshot(home) {
        assert_eq!(facts[1], u64::from(owner(uid)), "{path:?}");
        let name = path.strip_prefix(home).unwrap().to_str().unwrap().to_owned();
        all.push((name, u32::try_from(facts[3]).unwrap() & 0o7777));
    }
    all
}

#[test]
fn missing_homes_and_their_parents_are_made_whole_with_two_waits_for_the_disk() {
    let (base, root) = tree("made");
    skeleton(&base);
    let mut people: Vec<Person> = (0..6).map(|n| newcomer(&format!("user{n}"), n)).collect();
    people.push(Person { home: "/srv/people/anna".to_owned(), ..newcomer("anna", 10) });
    people.push(Person { keys: vec![], ..newcomer("keyless", 11) });
    let before = snapshot(&base);
    let looked = run(&root, &people, true);
    assert_eq!(snapshot(&base), before, "a look changed something");
    let done = run(&root, &people, false);
    assert_eq!(
        looked.outcomes.iter().map(|o| &o.changes).collect::<Vec<_>>(),
        done.outcomes.iter().map(|o| &o.changes).collect::<Vec<_>>()
    );
    assert_eq!(done.syncs, 2);
    let keys = HomeChange::Keys { added: vec![format!("{} (key-1)", key(1).fingerprint())], removed: vec![] };
    assert_eq!(done.outcomes[6].changes, [HomeChange::Created, keys]);
    assert_eq!(done.outcomes[7].changes, [HomeChange::Created]);
    for person in &people[..7] {
        assert_keys(&base, person);
    }
    let expected = [
        ("", 0o750),
        (".bashrc", 0o644),
        (".config", 0o700),
        (".config/x", 0o600),
        (".ssh", 0o755),
        (".ssh/config", 0o600),
        ("motd", 0o777),
        ("tool", 0o755),
    ];
    let expected: Vec<(String, u32)> = expected.iter().map(|(name, mode)| ((*name).to_owned(), *mode)).collect();
    assert_eq!(listing(&base.join("home/keyless"), people[7].uid), expected);
    let parent = std::fs::metadata(base.join("srv/people")).unwrap();
    assert_eq!((parent.uid(), parent.mode() & 0o7777), (owner(0), 0o755));
    if !is_root() {
        let uid = rustix::process::geteuid().as_raw();
        assert_eq!(done.outcomes[0].notes, [format!("owner stays uid {uid}: not running as root")]);
    }
    let before = snapshot(&base);
    let again = run(&root, &people, false);
    assert!(again.outcomes.iter().all(|outcome| *outcome == HomeOutcome::default()), "{:?}", again.outcomes);
    assert_eq!((again.syncs, snapshot(&base)), (0, before));
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn a_home_is_not_made_where_others_could_swap_it_or_where_none_is_meant_to_be() {
    let (base, root) = tree("refused");
    mkdir(&base.join("open"), 0);
    chmod(&base.join("open"), 0o1777);
    symlink("nowhere", base.join("home/dangling")).unwrap();
    let table = [
        ("/open/eve", true, "not trusted; no home was made"),
        ("/open/deep/er/eve", true, "not trusted; no home was made"),
        ("/home/dangling", true, "leads nowhere; no home was made"),
        ("/nonexistent", true, "is not to be made; keys not written"),
        ("/home/absent", false, "is not to be made; keys not written"),
        ("", true, "the user has no home; keys not written"),
    ];
    let mut people: Vec<Person> = Vec::new();
    for (n, (home, create, _)) in table.iter().enumerate() {
        let name = format!("user{n}");
        people.push(Person { home: (*home).to_owned(), create: *create, ..newcomer(&name, u32::try_from(n).unwrap()) });
    }
    let before = snapshot(&base);
    let done = run(&root, &people, false);
    for ((home, _, reason), outcome) in table.iter().zip(&done.outcomes) {
        assert!(outcome.refusal.as_deref().unwrap_or_default().ends_with(reason), "{home}: {outcome:?}");
    }
    assert_eq!(snapshot(&base), before);
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn what_a_killed_run_left_is_removed_and_what_a_live_one_makes_is_not() {
    let (base, root) = tree("killed");
    let home = base.join("home");
    let dead = home.join(".ddum-7fffffff00000001");
    mkdir(&dead, 0);
    chmod(&dead, 0o700);
    file(&dead.join(".bashrc"), UID, 0o644, b"");
    let given = home.join(".ddum-7fffffff00000002");
    mkdir(&given, UID);
    mkdir(&given.join("moved-in"), 0);
    chmod(&given.join("moved-in"), 0o755);
    file(&given.join("moved-in/of-root"), 0, 0o644, b"");
    let live = home.join(".ddum-0000000100000001");
    mkdir(&live, 0);
    let open = home.join(".ddum-7fffffff00000004");
    mkdir(&open, 0);
    let foreign = home.join(".ddum-backup");
    mkdir(&foreign, 0);
    mkdir(&home.join("bob"), UID + 1);
    mkdir(&home.join("bob/.ssh"), UID + 1);
    file(&home.join("bob/.ssh/.ddum-7fffffff00000003"), UID + 1, 0o600, b"");
    let people = [newcomer("alice", 0), newcomer("bob", 1)];
    let done = run(&root, &people, false);
    assert!(done.outcomes.iter().all(|outcome| outcome.refusal.is_none()), "{:?}", done.outcomes);
    people.iter().for_each(|person| assert_keys(&base, person));
    assert!(!dead.exists() && live.exists() && foreign.exists());
    if is_root() {
        // Removed as the user, who may not remove what root owns: a tree of root's that was moved in survives.
        assert!(given.join("moved-in/of-root").exists());
        assert!(open.exists(), "an open directory was never ours");
    }
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn without_roots_rights_everything_works_but_the_owner() {
    let (base, _) = tree("ordinary");
    skeleton(&base);
    for dir in ["", "home", "etc", "etc/skel"] {
        chown(&base.join(dir), UID);
    }
    for path in ["etc/skel/.ssh/authorized_keys", "etc/skel/.ssh/config", "etc/skel/.config", "etc/skel/.config/x"] {
        chown(&base.join(path), UID);
    }
    let uid = owner(UID);
    std::thread::scope(|scope| {
        let twice = || {
            let root = Root::open(&base).unwrap();
            assert!(!root.is_superuser());
            let people = [newcomer("alice", 5), Person { create: true, ..Person::new("bob", UID + 6, &[]) }];
            let done = run(&root, &people, false);
            let again = run(&root, &people, false);
            (done.outcomes, again.outcomes)
        };
        let as_other = move || Actor::new(is_root()).acting_as(Identity { uid: UID, gid: UID }, &[], twice).unwrap();
        let (done, again) = scope.spawn(as_other).join().unwrap();
        for outcome in &done {
            assert_eq!(outcome.refusal, None);
            assert_eq!(outcome.notes, [format!("owner stays uid {uid}: not running as root")]);
        }
        assert!(again.iter().all(|outcome| *outcome == HomeOutcome::default()), "{again:?}");
    });
    let keys = base.join("home/alice/.ssh/authorized_keys");
    assert_eq!(std::fs::metadata(keys).unwrap().uid(), uid);
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn an_open_home_is_told_of_but_not_changed_and_root_may_have_keys() {
    let (base, root) = tree("open");
    let modes = [0o777, 0o775, 0o755];
    let mut people = Vec::new();
    for (n, mode) in modes.iter().enumerate() {
        let n = u32::try_from(n).unwrap();
        people.push(newcomer(&format!("user{n}"), n));
        mkdir(&base.join(format!("home/user{n}")), UID + n);
        chmod(&base.join(format!("home/user{n}")), *mode);
    }
    mkdir(&base.join("root"), 0);
    people.push(Person { home: "/root".to_owned(), ..Person::new("root", 0, &[1]) });
    let done = run(&root, &people, false);
    people.iter().for_each(|person| assert_keys(&base, person));
    let notes: Vec<&str> =
        done.outcomes.iter().map(|outcome| outcome.notes.first().map_or("", String::as_str)).collect();
    assert!(
        notes[0].contains("has mode 0777: sshd refuses") && notes[1].contains("0775: sshd may refuse"),
        "{notes:?}"
    );
    assert_eq!(notes[2..], ["", ""]);
    for (n, mode) in modes.iter().enumerate() {
        assert_eq!(std::fs::metadata(base.join(format!("home/user{n}"))).unwrap().mode() & 0o7777, *mode);
    }
    std::fs::remove_dir_all(base).unwrap();
}
