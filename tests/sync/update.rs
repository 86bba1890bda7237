//! What an update does, and says.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::tree::*;

#[test]
fn the_example_of_the_readme_leaves_a_tree_to_look_at_and_is_done_the_second_time() {
    let tree = Tree::new("example");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for table in ["users.json", "groups.json"] {
        std::fs::copy(examples.join(table), tree.path(table)).unwrap();
    }
    let (status, out, err) = tree.run(&["sync"]);
    assert_eq!(status, 0, "{out}{err}");
    assert!(out.contains("+ user alice: uid 2001, gid 2001, home /home/alice, shell /bin/bash"), "{out}");
    assert!(tree.read("etc/passwd").contains("bob:x:2002:2002:Bob Beispiel, Zürich:/home/bob:/bin/sh\n"));
    assert!(tree.read("etc/group").contains("developers:x:3000:alice,bob,dave\n"));
    let keys = tree.read("home/alice/.ssh/authorized_keys");
    assert_eq!(keys.lines().filter(|l| l.starts_with("ssh-ed25519 ")).count(), 2, "{keys}");
    assert!(tree.path("root/srv/build/dave/.ssh/authorized_keys").exists());
    assert!(!tree.path("root/home/carol").exists(), "expired: neither keys nor a home");
    let mode = |path: &str| std::fs::metadata(tree.path("root").join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("home/alice/.ssh"), mode("home/alice/.ssh/authorized_keys")), (0o700, 0o600));
    assert_eq!(mode("var/lib/ddum/ledger.json"), 0o600);
    assert!(!out.contains("$6$") && !err.contains("$6$"));

    let before = tree.state();
    let (status, out, err) = tree.run(&["sync"]);
    assert_eq!((status, out.as_str()), (0, ""), "{err}");
    let mut after = tree.state();
    let status_file = tree.path("root/run/ddum/status.json");
    assert!(after.remove(&status_file).is_some());
    let changed: Vec<_> =
        after.iter().filter(|(path, state)| before.get(*path) != Some(state) && !path.ends_with("run/ddum")).collect();
    assert!(changed.is_empty(), "a second update writes nothing: {changed:?}");
}

#[test]
fn a_dry_run_says_what_a_sync_then_does_and_changes_nothing() {
    let tree = Tree::of("dry", "debian");
    tree.tables(&[user("alice", 2001, &keys(&[KEY]))], &[group("devs", 3000, &["alice"])]);
    let before = tree.state();
    let (status, planned, _) = tree.run(&["sync", "--dry-run"]);
    assert_eq!(status, 0);
    assert_eq!(tree.state(), before);
    let (status, done, err) = tree.run(&["sync"]);
    assert_eq!(status, 0, "{err}");
    assert_eq!(planned, done);
    assert_eq!(done.lines().count(), 4, "user, group, home, keys: {done}");
}

#[test]
fn on_every_distribution_a_sync_changes_exactly_the_lines_that_it_must() {
    for distribution in ["debian", "fedora", "amazonlinux", "alpine", "ugly"] {
        let tree = Tree::of("lines", distribution);
        let etc = |file: &str| std::fs::read(tree.path("root/etc").join(file)).ok();
        let files = ["passwd", "shadow", "group", "gshadow"];
        let before: Vec<_> = files.map(etc).into();
        tree.tables(&[user("zoe", 54001, &keys(&[KEY]))], &[group("zoe", 54001, &[]), group("crew", 54002, &["zoe"])]);
        let (status, out, err) = tree.run(&["sync"]);
        assert_eq!(status, 0, "{distribution}: {out}{err}");
        for ((file, before), added) in files.iter().zip(before).zip([1, 1, 2, 2]) {
            let after = etc(file);
            let Some(before) = before else {
                assert!(after.is_none(), "{distribution}: {file} was not there and is not made");
                continue;
            };
            let lines = |bytes: &[u8]| bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
            let (old, new) = (lines(&before), lines(&after.unwrap()));
            let mut rest = new.iter();
            for line in old.iter().filter(|l| !l.is_empty()) {
                assert!(rest.any(|l| l == line), "{distribution}: a line of {file} is gone or moved: {}", line.len());
            }
            let count = |lines: &[Vec<u8>]| lines.iter().filter(|l| !l.is_empty()).count();
            assert_eq!(count(&new), count(&old) + added, "{distribution} {file}");
        }
        let before = tree.state();
        let (status, out, _) = tree.run(&["sync"]);
        assert_eq!((status, out.as_str()), (0, ""), "{distribution}");
        let etc = tree.path("root/etc");
        let in_etc = |state: BTreeMap<PathBuf, _>| {
            state.into_iter().filter(|(p, _)| p.starts_with(&etc)).collect::<BTreeMap<_, _>>()
        };
        assert_eq!(in_etc(tree.state()), in_etc(before), "{distribution}");
    }
}

#[test]
fn a_bad_item_is_refused_alone_and_named() {
    let tree = Tree::of("bad", "debian");
    let root = user("mallory", 0, "");
    let injected =
        r#"{"Name":{"S":"eve"},"UID":{"N":"2002"},"GID":{"N":"2002"},"RealName":{"S":"Eve\nroot2:x:0:0::/:/bin/sh"}}"#;
    let shapeless = r#"{"Name":{"S":"carol"},"UID":{"S":"2003"},"GID":{"N":"2003"}}"#;
    let half = user("dave", 2004, &keys(&[KEY, "ssh-ed25519 AAAA junk"]));
    tree.tables(
        &[root, injected.into(), shapeless.into(), half, user("alice", 2001, "")],
        &[group("devs", 3000, &["eve", "alice"])],
    );
    let (status, out, err) = tree.run(&["sync"]);
    assert_eq!(status, 3, "{out}{err}");
    for (name, attribute) in [("mallory", "UID"), ("eve", "RealName"), ("carol", "UID"), ("dave", "SSHPublicKeys")] {
        let line = out.lines().find(|l| l.starts_with(&format!("! user {name}: "))).unwrap_or_default();
        assert!(line.contains(attribute), "{name}: {out}");
    }
    assert_eq!(out.lines().filter(|l| l.starts_with('!')).count(), 4, "{out}");
    let passwd = tree.read("etc/passwd");
    assert!(passwd.contains("alice:x:2001") && passwd.contains("dave:x:2004"));
    assert!(!["root2", "eve", "mallory", "carol"].iter().any(|name| passwd.contains(name)), "{passwd}");
    assert!(tree.read("etc/group").contains("devs:x:3000:alice\n"));
    assert!(tree.read("home/dave/.ssh/authorized_keys").contains(KEY));
}

#[test]
fn a_revoked_key_and_an_expired_account_lose_the_file_s_content_in_the_same_update() {
    let tree = Tree::of("revoked", "debian");
    let file = "home/alice/.ssh/authorized_keys";
    tree.tables(&[user("alice", 2001, &keys(&[KEY, OTHER]))], &[]);
    assert_eq!(tree.run(&["sync"]).0, 0);
    assert!(tree.read(file).contains(KEY) && tree.read(file).contains(OTHER));
    tree.tables(&[user("alice", 2001, &keys(&[KEY]))], &[]);
    let (status, out, _) = tree.run(&["sync"]);
    assert!(status == 0 && out.starts_with("~ keys alice: -SHA256:") && out.contains("(phone)"), "{out}");
    assert!(tree.read(file).contains(KEY) && !tree.read(file).contains(OTHER));
    tree.tables(&[user("alice", 2001, &(keys(&[KEY]) + r#","AccountExpireDate":{"S":"2020-01-01"}"#))], &[]);
    let (status, out, _) = tree.run(&["sync"]);
    assert!(status == 0 && out.contains("~ user alice: expires 2020-01-01"), "{out}");
    let left = tree.read(file);
    assert!(left.lines().all(|line| line.starts_with('#')), "{left}");
    tree.tables(&[user("alice", 2001, &keys(&[OTHER]))], &[]);
    assert_eq!(tree.run(&["sync"]).0, 0);
    assert!(tree.read(file).contains(OTHER), "enabled again");
}

#[test]
fn files_that_are_no_complete_scan_change_nothing() {
    let tree = Tree::of("partial", "debian");
    let item = user("alice", 2001, "");
    let before = tree.state();
    for users in [
        format!(r#"{{"Items":[{item}],"Count":1,"LastEvaluatedKey":{{"Name":{{"S":"alice"}}}}}}"#),
        format!(r#"{{"Items":[{item}],"Count":3,"NextToken":"x"}}"#),
        format!(r#"{{"Items":[{item}],"Count":2}}"#),
        format!(r#"{{"Items":[{item}"#),
        "{}".into(),
        "<html>".into(),
    ] {
        std::fs::write(tree.path("users.json"), &users).unwrap();
        std::fs::write(tree.path("groups.json"), "[]").unwrap();
        let (status, out, err) = tree.run(&["sync"]);
        assert!(status == 1 || status == 2, "{status} {users}: {out}{err}");
        assert!(err.starts_with("ddum: ") && err.contains("users.json"), "{err}");
        let mut after = tree.state();
        after.retain(|path, _| !path.starts_with(tree.path("root/run")) && *path != tree.path("root"));
        let mut want = before.clone();
        want.remove(&tree.path("root"));
        assert_eq!(after, want, "{users}");
    }
}

#[test]
fn users_may_come_from_standard_input() {
    let tree = Tree::of("stdin", "debian");
    tree.tables(&[], &[]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ddum"));
    command
        .args(["sync", "--users", "-", "--groups"])
        .arg(tree.path("groups.json"))
        .arg("--root")
        .arg(tree.path("root"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = String::new();
    for name in ["alice", "bob"] {
        let id = if name == "alice" { 2001 } else { 2002 };
        writeln!(lines, r#"{{"Item":{}}}"#, user(name, id, "")).unwrap();
    }
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let (status, out, err) = told(&child.wait_with_output().unwrap());
    assert_eq!(status, 0, "{err}");
    assert!(out.contains("+ user alice") && out.contains("+ user bob"), "{out}");
}

#[test]
fn the_status_counts_a_group_of_which_only_a_part_was_refused() {
    let tree = Tree::of("counts", "debian");
    tree.tables(&[], &[group("sudo", 3027, &["admin"]), group("crew", 3000, &[]), group("root", 0, &[])]);
    let (status, out, _) = tree.run(&["sync"]);
    assert_eq!(status, 3, "{out}");
    let report: serde_json::Value = serde_json::from_str(&tree.read("run/ddum/status.json")).unwrap();
    assert_eq!(report["groups"], serde_json::json!({"added": 1, "changed": 0, "unchanged": 1}), "{out}");
    assert_eq!(report["refused"].as_array().unwrap().len(), 2);
}
