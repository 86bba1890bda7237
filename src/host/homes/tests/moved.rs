//! Changes of uid and gid.

use std::os::unix::fs::symlink;

use super::*;

fn set_gid(path: &Path, gid: u32) {
    rustix::fs::chown(path, None, Some(Gid::from_raw(gid))).unwrap();
}

#[test]
fn files_follow_a_change_of_ids_within_the_home_only() {
    if !is_root() {
        return;
    }
    let (base, root) = tree("moved");
    let (old, new, other) = (UID, UID + 1, UID + 2);
    let home = base.join("home/alice");
    mkdir(&home, old);
    mkdir(&home.join("docs"), old);
    file(&home.join("docs/a"), old, 0o640, b"a");
    file(&home.join("docs/others"), other, 0o644, b"o");
    file(&home.join("docs/old-group"), other, 0o644, b"g");
    set_gid(&home.join("docs/old-group"), old);
    file(&home.join("docs/my-other-group"), old, 0o644, b"g");
    set_gid(&home.join("docs/my-other-group"), other);
    file(&base.join("shadow"), 0, 0o600, b"secret");
    std::fs::hard_link(base.join("shadow"), home.join("docs/hard")).unwrap();
    file(&base.join("outside"), old, 0o600, b"mine, but not in the home");
    symlink(base.join("outside"), home.join("link")).unwrap();
    chown(&home.join("link"), old);
    let deep = home.join("d/".repeat(250));
    std::fs::create_dir_all(&deep).unwrap();

    let person = Person { moved_from: vec![Ids { uid: old, gid: old }], ..Person::new("alice", new, &[1]) };
    let bystander = Person::new("bob", other, &[2]);
    mkdir(&base.join("home/bob"), other);
    let people = [person, bystander];
    let before = snapshot(&base);
    let looked = run(&root, &people, true);
    assert_eq!(snapshot(&base), before);
    let done = run(&root, &people, false);
    assert_eq!(looked.outcomes[0].changes, done.outcomes[0].changes);
    assert_eq!(done.outcomes[0].changes[0], HomeChange::Reowned { files: 5 });
    assert!(done.outcomes[0].notes[0].contains("too deep"), "{:?}", done.outcomes[0]);
    people.iter().for_each(|person| assert_keys(&base, person));
    let ids = |path: &str| {
        let meta = std::fs::symlink_metadata(base.join(path)).unwrap();
        (meta.uid(), meta.gid())
    };
    for (path, wanted) in [
        ("home/alice", (new, new)),
        ("home/alice/docs", (new, new)),
        ("home/alice/docs/a", (new, new)),
        ("home/alice/link", (new, new)),
        ("home/alice/docs/my-other-group", (new, other)),
        ("home/alice/docs/others", (other, other)),
        ("home/alice/docs/old-group", (other, old)),
        ("shadow", (0, 0)),
        ("outside", (old, old)),
    ] {
        assert_eq!(ids(path), wanted, "{path}");
    }
    let again = run(&root, &people, false);
    assert_eq!(again.outcomes[0].changes, []);
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn files_of_every_id_that_the_user_had_follow() {
    if !is_root() {
        return;
    }
    let (base, root) = tree("ids");
    let [first, second, new] = [UID, UID + 1, UID + 2];
    mkdir(&base.join("home/alice"), first);
    for (name, uid) in [("first", first), ("second", second), ("new", new), ("other", UID + 3)] {
        file(&base.join("home/alice").join(name), uid, 0o600, b"");
    }
    set_gid(&base.join("home/alice/new"), first);
    let moved_from = [first, second].map(|id| Ids { uid: id, gid: id }).to_vec();
    let person = [Person { moved_from, ..Person::new("alice", new, &[1]) }];
    let looked = run(&root, &person, true);
    assert!(!looked.outcomes[0].has_followed, "a look changes nothing");
    let done = run(&root, &person, false);
    assert_eq!(looked.outcomes[0].changes, done.outcomes[0].changes);
    assert!(done.outcomes[0].has_followed && done.outcomes[0].refusal.is_none(), "{:?}", done.outcomes);
    let ids = |name: &str| {
        let meta = std::fs::symlink_metadata(base.join("home").join(name)).unwrap();
        (meta.uid(), meta.gid())
    };
    let all = ["alice", "alice/first", "alice/second", "alice/new", "alice/other"].map(ids);
    assert_eq!(all, [(new, new), (new, new), (new, new), (new, new), (UID + 3, UID + 3)]);
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn files_have_followed_although_the_keys_are_refused_and_not_when_the_walk_is() {
    if !is_root() {
        return;
    }
    let (base, root) = tree("keyless");
    let moved_from = || vec![Ids { uid: UID, gid: UID }];
    mkdir(&base.join("home/alice"), UID + 2);
    mkdir(&base.join("home/bob"), UID);
    mkdir(&base.join("elsewhere"), UID);
    symlink("../elsewhere", base.join("home/bob/link")).unwrap();
    let mut bob = Person { moved_from: moved_from(), ..Person::new("bob", UID + 1, &[1]) };
    bob.home = "/home/bob/link".to_owned();
    let alice = Person { moved_from: moved_from(), ..Person::new("alice", UID + 1, &[1]) };
    let done = run(&root, &[alice, bob], false);
    let told: Vec<_> = done.outcomes.iter().map(|o| (o.refusal.is_some(), o.has_followed)).collect();
    assert_eq!(told, [(true, true), (true, false)], "{:?}", done.outcomes);
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn a_home_of_a_third_user_is_left_alone() {
    if !is_root() {
        return;
    }
    let (base, root) = tree("third");
    mkdir(&base.join("home/alice"), UID + 2);
    file(&base.join("home/alice/f"), UID, 0o600, b"");
    let before = snapshot(&base);
    let person = Person { moved_from: vec![Ids { uid: UID, gid: UID }], ..Person::new("alice", UID + 1, &[1]) };
    let done = run(&root, &[person], false);
    assert!(done.outcomes[0].refusal.as_deref().unwrap().contains("belongs to uid"), "{:?}", done.outcomes);
    assert_eq!(snapshot(&base), before);
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn a_file_system_in_the_home_is_left_out_by_name() {
    if !is_root() {
        return;
    }
    let (base, root) = tree("mounted");
    let home = base.join("home/alice");
    mkdir(&home, UID);
    mkdir(&home.join("disks"), UID);
    mkdir(&base.join("bound"), UID);
    let mut mounted = Vec::new();
    for (at, arguments) in
        [("tmpfs", &["-t", "tmpfs", "none"][..]), ("bound", &["--bind", base.join("bound").to_str().unwrap()])]
    {
        let at = home.join("disks").join(at);
        mkdir(&at, UID);
        if !std::process::Command::new("mount").args(arguments).arg(&at).status().is_ok_and(|status| status.success()) {
            eprintln!("NOT TESTED: mount {arguments:?} needs a kernel that lets it");
            continue;
        }
        file(&at.join("file"), UID, 0o600, b"");
        mounted.push(at);
    }
    let person = Person { moved_from: vec![Ids { uid: UID, gid: UID }], ..Person::new("alice", UID + 1, &[1]) };
    let done = run(&root, std::slice::from_ref(&person), false);
    let owners: Vec<u32> = mounted.iter().map(|at| std::fs::metadata(at.join("file")).unwrap().uid()).collect();
    for at in &mounted {
        assert!(std::process::Command::new("umount").arg(at).status().unwrap().success());
    }
    assert_keys(&base, &person);
    assert!(owners.iter().all(|owner| *owner == UID), "{owners:?}");
    let mut notes = done.outcomes[0].notes.clone();
    notes.sort();
    let mut wanted: Vec<String> = mounted
        .iter()
        .map(|at| format!("{} is another file system: what is there keeps its owner", at.display()))
        .collect();
    wanted.sort();
    assert_eq!(notes, wanted);
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn a_walk_that_was_killed_is_begun_again_because_the_home_comes_last() {
    if !is_root() {
        return;
    }
    let (base, root) = tree("again");
    let (old, new) = (UID, UID + 1);
    let home = base.join("home/alice");
    mkdir(&home, old);
    for n in 0..300 {
        file(&home.join(format!("file{n}")), old, 0o600, b"");
    }
    let person = Person { moved_from: vec![Ids { uid: old, gid: old }], ..Person::new("alice", new, &[1]) };
    let hasty = Settings { walk_limit: Duration::ZERO, ..settings() };
    let done = run_with(&root, std::slice::from_ref(&person), false, &hasty);
    let refusal = done.outcomes[0].refusal.as_deref().unwrap();
    assert!(refusal.contains("was not gone through in 0 s") && refusal.ends_with("keys unchanged"), "{refusal}");
    let owner_of = |path: &Path| std::fs::metadata(path).unwrap().uid();
    assert_eq!(owner_of(&home), old);
    // As far as a walk came that was killed.
    for n in 0..100 {
        chown(&home.join(format!("file{n}")), new);
    }
    let done = run(&root, std::slice::from_ref(&person), false);
    assert_eq!(done.outcomes[0].changes[0], HomeChange::Reowned { files: 201 });
    assert!(snapshot(&home).values().all(|facts| facts[1] == u64::from(new)));
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn what_the_new_holder_of_the_old_uid_owns_cannot_be_had_by_a_link() {
    if !is_root() {
        return;
    }
    let (base, root) = tree("reused");
    let (old, new) = (UID, UID + 1);
    for (home, uid) in [("home/alice", old), ("home/bob", old)] {
        mkdir(&base.join(home), uid);
    }
    file(&base.join("home/bob/letter"), old, 0o666, b"to bob");
    std::fs::hard_link(base.join("home/bob/letter"), base.join("home/alice/letter")).unwrap();
    file(&base.join("home/alice/own"), old, 0o600, b"");
    let alice = Person { moved_from: vec![Ids { uid: old, gid: old }], ..Person::new("alice", new, &[1]) };
    let done = run(&root, &[alice, Person::new("bob", old, &[2])], false);
    let owner_of = |path: &str| std::fs::metadata(base.join(path)).unwrap().uid();
    assert_eq!((owner_of("home/bob/letter"), owner_of("home/alice/own")), (old, new));
    assert!(done.outcomes[0].notes[0].contains("has another user now"), "{:?}", done.outcomes);
    std::fs::remove_dir_all(base).unwrap();
}
