//! Ids that change, and whose an account is.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::tree::*;

#[test]
fn an_id_that_its_item_changes_takes_the_files_of_the_home_along() {
    let tree = Tree::of("moved", "debian");
    let owner = |path: &str| {
        let meta = std::fs::symlink_metadata(tree.path("root").join(path)).unwrap();
        (meta.uid(), meta.gid())
    };
    tree.tables(&[user("alice", 2001, &keys(&[KEY]))], &[]);
    assert_eq!(tree.run(&["sync"]).0, 0);
    if owner("home/alice") != (2001, 2001) {
        eprintln!("NOT TESTED without root: files that follow a new UID");
        return;
    }
    std::fs::write(tree.path("root/home/alice/mine"), "x").unwrap();
    std::fs::write(tree.path("root/home/alice/foreign"), "x").unwrap();
    std::os::unix::fs::chown(tree.path("root/home/alice/mine"), Some(2001), Some(2001)).unwrap();
    std::os::unix::fs::chown(tree.path("root/home/alice/foreign"), Some(3333), Some(3333)).unwrap();
    tree.tables(&[user("alice", 2005, &keys(&[KEY]))], &[]);
    let (status, out, err) = tree.run(&["sync"]);
    assert_eq!(status, 0, "{out}{err}");
    assert!(out.contains("~ user alice: uid 2001 -> 2005; gid 2001 -> 2005"), "{out}");
    assert_eq!(owner("home/alice"), (2005, 2005));
    assert_eq!(owner("home/alice/mine"), (2005, 2005));
    assert_eq!(owner("home/alice/.ssh/authorized_keys"), (2005, 2005));
    assert_eq!(owner("home/alice/foreign"), (3333, 3333));
    assert!(!tree.read("var/lib/ddum/ledger.json").contains("moving_from"), "the move is over");
    assert_eq!(tree.run(&["sync"]).1, "");
}

#[test]
fn files_follow_also_from_ids_of_a_change_that_did_not_come_to_its_end() {
    let tree = Tree::of("twice", "debian");
    let owner = |path: &str| std::fs::symlink_metadata(tree.path("root").join(path)).unwrap().uid();
    let sync = |id: u32| {
        tree.tables(&[user("alice", id, &keys(&[KEY]))], &[]);
        tree.run(&["sync"])
    };
    assert_eq!(sync(2001).0, 0);
    if owner("home/alice") != 2001 {
        eprintln!("NOT TESTED without root: files that follow a new UID");
        return;
    }
    for (second, third) in [(2005, 2006), (2007, 2006), (2008, 2008)] {
        let before = owner("home/alice");
        std::fs::write(tree.path("root/home/alice/mine"), "x").unwrap();
        std::os::unix::fs::chown(tree.path("root/home/alice/mine"), Some(before), Some(before)).unwrap();
        // A link where anybody may put one is followed by nobody: the home fails.
        let [home, aside] = ["root/home/alice", "root/home/aside"].map(|path| tree.path(path));
        std::fs::rename(&home, &aside).unwrap();
        std::os::unix::fs::symlink("aside", &home).unwrap();
        let mode = |mode| std::fs::set_permissions(tree.path("root/home"), PermissionsExt::from_mode(mode)).unwrap();
        mode(0o777);
        let (status, out, err) = sync(second);
        assert_eq!(status, 3, "{out}{err}");
        assert!(tree.read("etc/passwd").contains(&format!("alice:x:{second}:")), "{out}{err}");
        assert_eq!(owner("home/aside/mine"), before, "{out}{err}");
        mode(0o755);
        std::fs::remove_file(&home).unwrap();
        std::fs::rename(&aside, &home).unwrap();
        let (status, out, err) = sync(third);
        assert_eq!(status, 0, "{out}{err}");
        for file in ["home/alice", "home/alice/mine", "home/alice/.ssh/authorized_keys"] {
            assert_eq!(owner(file), third, "{before} {second} {third} {file}: {out}{err}");
        }
        assert!(!tree.read("var/lib/ddum/ledger.json").contains("moving_from"), "the move is over");
    }
}

#[test]
fn an_account_that_an_update_did_not_get_to_make_is_not_ddum_s() {
    let tree = Tree::of("pending", "debian");
    tree.tables(&[user("alice", 2001, "")], &[group("crew", 3000, &["alice"])]);
    // Immutable files are not to be had everywhere; a directory in the place of the backup fails as late.
    std::fs::create_dir(tree.path("root/etc/gshadow-")).unwrap();
    let (status, out, err) = tree.run(&["sync"]);
    assert!(status == 1 && out.is_empty() && err.contains("left as they were"), "{out}{err}");
    std::fs::remove_dir(tree.path("root/etc/gshadow-")).unwrap();
    tree.add_lines("passwd", "alice:x:1500:1500::/home/alice:/bin/sh\n");
    tree.add_lines("shadow", "alice:*:19000::::::\n");
    tree.add_lines("group", "crew:x:3000:guest\n");
    tree.add_lines("gshadow", "crew:!::guest\n");
    let (status, out, err) = tree.run(&["sync"]);
    assert_eq!(status, 3, "{out}{err}");
    assert!(out.contains("! user alice: UID is 2001, but this host has an account of that name"), "{out}");
    assert!(tree.read("etc/passwd").contains("alice:x:1500:"), "{out}");
    assert!(tree.read("etc/group").contains("crew:x:3000:guest\n"), "the members of a local group stay: {out}");
    let ledger = tree.read("var/lib/ddum/ledger.json");
    assert!(!ledger.contains("alice") && !ledger.contains("pending"), "{ledger}");
}
