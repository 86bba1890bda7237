//! `ddum sync` and `ddum check` as a user runs them: the real binary on a tree of its own, tables from files.
#![expect(clippy::disallowed_methods, reason = "the tree of a test is its own")]
#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBfzUc9s53y3Ig1NMYEI6otXwfhAKwVfblkUccnKCpEI laptop";
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILJjVc9qa2ORpiMJ5uRQPxDr7xRxwmn1iwbhpN1eeRKL phone";
const DSA: &str = "ssh-dss AAAAB3NzaC1kc3MAAACBAKaRug92S44swtY2qz198XiQKk+RpTU3uVdt/IJKp00oMbmDNxl4BkOf53VOrWU8rAOmQApu+XKSkirc4Qv1tj5pVDI9DHBgYwz6tkWOF+1H2n3qR9il4G6UEsb+pM2UVW7f71YBlbqJuO0liGyzcvhWXRsK87OhnqLFI9HUu/4ZAAAAFQCtATpBgqvcV4gt6JPMINu/PZHtXQAAAIBm7bnD3NxvDpioEVWXpPoO6atIUhq+4l4bV1RXbhNXb4R/odatKf+wirH15Ye/WQRrNGs2LpjSjIZGe+jiDL62sIiK3ZnZeCl7PDRbTUAlXDAzwEKBINHASjPSb4b9QPTiu8cFicMU1aLtpHRSetNJlro1uo+ax83IVCAR7BLK6QAAAIB8yZNY8mYJGX3/urMS1yJqpJYLfjdifqYsYQ2JYIyePOEHCKzj7jDNA/5wuuqhnFWrRYS3FmINSqoBzpi7WProxBP5bJmL7MyiQrsHVnvZYK7Thnfz5iMGgOFyiUnVshKYHeCqiINJ4iYEEWEFrVJ3h2pNKYZYGl0DMLoO5VdPBA== dsa-1024@example.org";

/// A directory of its own, gone when the test is over.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// With the account files of a distribution.
    fn of(name: &str, distribution: &str) -> Self {
        let tree = Self::new(&format!("{name}-{distribution}"));
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/etc").join(distribution);
        std::fs::create_dir_all(tree.path("root/etc")).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = tree.path("root/etc").join(entry.file_name());
            std::fs::copy(entry.path(), &to).unwrap();
            let secret = entry.file_name().to_str().unwrap().ends_with("shadow");
            std::fs::set_permissions(&to, std::fs::Permissions::from_mode(if secret { 0o640 } else { 0o644 })).unwrap();
        }
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    fn read(&self, path: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path("root").join(path)).unwrap()).into_owned()
    }

    fn tables(&self, users: &[String], groups: &[String]) {
        std::fs::write(self.path("users.json"), format!("[{}]", users.join(","))).unwrap();
        std::fs::write(self.path("groups.json"), format!("[{}]", groups.join(","))).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ddum"));
        command.arg("--root").arg(self.path("root")).args(arguments).stdin(Stdio::null());
        command.arg("--users").arg(self.path("users.json")).arg("--groups").arg(self.path("groups.json"));
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        told(&self.command(arguments).output().unwrap())
    }

    /// Path, inode, change time, size, mode of everything in the tree: equal means that nothing was touched.
    fn state(&self) -> BTreeMap<PathBuf, (u64, i64, i64, u64, u32)> {
        let mut out = BTreeMap::new();
        let mut pending = vec![self.path("root")];
        while let Some(path) = pending.pop() {
            let meta = std::fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                pending.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            }
            out.insert(path, (meta.ino(), meta.ctime(), meta.ctime_nsec(), meta.size(), meta.mode()));
        }
        out
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// The id that files may be given here: anyone's for root, else only our own.
fn user(name: &str, id: u32, more: &str) -> String {
    format!(
        r#"{{"Name":{{"S":"{name}"}},"UID":{{"N":"{id}"}},"GID":{{"N":"{id}"}},"Home":{{"S":"/home/{name}"}},"Shell":{{"S":"/bin/sh"}}{more}}}"#
    )
}

fn keys(keys: &[&str]) -> String {
    let list: Vec<String> = keys.iter().map(|k| format!("\"{k}\"")).collect();
    format!(r#","SSHPublicKeys":{{"SS":[{}]}}"#, list.join(","))
}

fn group(name: &str, gid: u32, members: &[&str]) -> String {
    let list: Vec<String> = members.iter().map(|m| format!("\"{m}\"")).collect();
    let members = if list.is_empty() { String::new() } else { format!(r#","Members":{{"SS":[{}]}}"#, list.join(",")) };
    format!(r#"{{"Name":{{"S":"{name}"}},"GID":{{"N":"{gid}"}}{members}}}"#)
}

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
fn check_tells_what_a_sync_would_do_and_what_is_doubtful() {
    let tree = Tree::of("check", "debian");
    std::fs::create_dir_all(tree.path("root/etc/ssh/sshd_config.d")).unwrap();
    std::fs::write(tree.path("root/etc/ssh/sshd_config"), "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM no\n")
        .unwrap();
    std::fs::write(tree.path("root/etc/ssh/sshd_config.d/x.conf"), "AuthorizedKeysFile /etc/keys/%u\n").unwrap();
    let weak = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCjiXO6GHKkMe2EsBpbZnSkOBbIktYXWFNHXdRKwogf2R7+qTjsF6mO0nWDSCpj1tGgePzFXdu50N51Q9DoHFkYWKVCYUZy5yvPGGrkU7wcH4Xc226CLcPSBGHFjH2u3IL6imEtRLrQ47omynGkRvIrUsxoGwaT/9cGNOWqx+yJiw== weak";
    let long = "a-name-that-is-longer-than-thirty-two-characters";
    tree.tables(
        &[
            user("alice", 2001, &keys(&[KEY, weak])),
            user("bob", 61200, &keys(&[KEY])),
            user("gone", 2003, r#","AccountExpireDate":{"S":"2020-01-01"}"#),
            user(long, 2005, ""),
        ],
        &[group("alice", 2001, &["stranger"])],
    );
    let before = tree.state();
    let (status, out, err) = tree.run(&["check"]);
    assert_eq!(status, 0, "{out}{err}");
    assert_eq!(tree.state(), before, "check changes nothing");
    assert!(out.contains("+ user alice: "), "{out}");
    for doubt in [
        "user bob: primary group 61200 is neither",
        "user bob: UID 61200 is in the range of systemd",
        "user gone: expired since 2020-01-01",
        "shell /bin/sh is no program on this host",
        "name is longer than 32 characters",
        "member stranger is neither",
        "is used by alice, bob",
        "AuthorizedKeysFile is /etc/keys/%u",
        "UsePAM is no",
    ] {
        assert!(out.lines().any(|l| l.starts_with("? ") && l.contains(doubt)), "{doubt}:\n{out}");
    }
    assert!(out.lines().any(|l| l.starts_with("? user alice: key SHA256:")), "the weak key:\n{out}");
}

#[test]
fn check_doubts_shared_ids_weak_kinds_of_keys_and_careless_settings_of_sshd() {
    let tree = Tree::of("doubts", "debian");
    std::fs::create_dir_all(tree.path("root/etc/ssh")).unwrap();
    let settings = "StrictModes no\nPubkeyAuthentication no\nAuthorizedKeysCommand /bin/keys\nUsePAM yes\n";
    std::fs::write(tree.path("root/etc/ssh/sshd_config"), settings).unwrap();
    let local = |file: &str, lines: &str| {
        let path = tree.path("root/etc").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, text + lines).unwrap();
    };
    local("passwd", "twin:x:1700:1700::/:/bin/sh\nother:x:1700:1700::/:/bin/sh\n");
    local("group", "twins:x:1700:\npair:x:1700:\n");
    tree.tables(
        &[
            user("alice", 2001, &keys(&[DSA])),
            user("aged", 2002, &format!(r#"{},"PasswordAgeMaxDays":{{"N":"90"}}"#, keys(&[KEY]))),
            user("bare", 2003, ""),
            user("locked", 2004, &format!(r#"{},"Password":{{"S":"!"}}"#, keys(&[KEY]))),
        ],
        &[],
    );
    let doubts = |tree: &Tree| {
        let (status, out, err) = tree.run(&["check"]);
        assert_eq!(status, 0, "{out}{err}");
        out.lines().filter_map(|line| line.strip_prefix("? ")).fold(String::new(), |all, line| all + line + "\n")
    };
    let told = doubts(&tree);
    for doubt in [
        "UID 1700 is shared by other, twin\n",
        "GID 1700 is shared by pair, twins\n",
        "a DSA key is weak; an old sshd refuses it unless it is told otherwise, a new one always\n",
        "user aged: PasswordAgeMaxDays without Password locks a key login out once that age is reached\n",
        "user bare: neither a key nor a password, so no way to log in\n",
        "sshd: StrictModes is no, so a file that others can write opens a login too\n",
        "sshd: PubkeyAuthentication is no, so no key opens a login\n",
        "sshd: AuthorizedKeysCommand /bin/keys adds keys that ddum does not revoke\n",
    ] {
        assert!(told.contains(doubt), "{doubt}{told}");
    }
    assert!(!told.contains("user locked: Password"), "with PAM a lock is no doubt:\n{told}");

    // What is well is no doubt; and without PAM the lock is one.
    std::fs::write(tree.path("root/etc/ssh/sshd_config"), "AuthorizedKeysFile .ssh/authorized_keys\nUsePAM no\n")
        .unwrap();
    let told = doubts(&tree);
    assert!(told.contains("user locked: Password starts with !, and sshd without PAM then refuses keys too"), "{told}");
    for well in ["StrictModes", "PubkeyAuthentication", "AuthorizedKeysCommand", "AuthorizedKeysFile"] {
        assert!(!told.contains(well), "{well}:\n{told}");
    }
}

#[test]
fn a_broken_or_foreign_account_file_stops_the_files_but_not_the_keys() {
    let tree = Tree::of("foreign", "debian");
    tree.tables(&[user("alice", 2001, &keys(&[KEY, OTHER]))], &[]);
    assert_eq!(tree.run(&["sync"]).0, 0);
    let shadow = tree.path("root/etc/shadow");
    std::fs::rename(&shadow, tree.path("root/etc/real")).unwrap();
    std::os::unix::fs::symlink("real", &shadow).unwrap();
    tree.tables(&[user("alice", 2001, &keys(&[KEY])), user("bob", 2002, "")], &[]);
    let (status, out, err) = tree.run(&["sync"]);
    assert_eq!(status, 1, "{out}{err}");
    assert!(err.contains("/etc/shadow") && err.contains("left as they were"), "{err}");
    assert!(!tree.read("etc/passwd").contains("bob"));
    assert!(!tree.read("home/alice/.ssh/authorized_keys").contains(OTHER), "the revoked key is gone all the same");
}

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
fn the_status_counts_a_group_of_which_only_a_part_was_refused() {
    let tree = Tree::of("counts", "debian");
    tree.tables(&[], &[group("sudo", 3027, &["admin"]), group("crew", 3000, &[]), group("root", 0, &[])]);
    let (status, out, _) = tree.run(&["sync"]);
    assert_eq!(status, 3, "{out}");
    let report: serde_json::Value = serde_json::from_str(&tree.read("run/ddum/status.json")).unwrap();
    assert_eq!(report["groups"], serde_json::json!({"added": 1, "changed": 0, "unchanged": 1}), "{out}");
    assert_eq!(report["refused"].as_array().unwrap().len(), 2);
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
    let local = |file: &str, line: &str| {
        let path = tree.path("root/etc").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, text + line).unwrap();
    };
    local("passwd", "alice:x:1500:1500::/home/alice:/bin/sh\n");
    local("shadow", "alice:*:19000::::::\n");
    local("group", "crew:x:3000:guest\n");
    local("gshadow", "crew:!::guest\n");
    let (status, out, err) = tree.run(&["sync"]);
    assert_eq!(status, 3, "{out}{err}");
    assert!(out.contains("! user alice: UID is 2001, but this host has an account of that name"), "{out}");
    assert!(tree.read("etc/passwd").contains("alice:x:1500:"), "{out}");
    assert!(tree.read("etc/group").contains("crew:x:3000:guest\n"), "the members of a local group stay: {out}");
    let ledger = tree.read("var/lib/ddum/ledger.json");
    assert!(!ledger.contains("alice") && !ledger.contains("pending"), "{ledger}");
}

#[test]
fn a_login_defs_that_is_not_to_be_trusted_and_a_nul_in_passwd_stop_no_revocation() {
    let tree = Tree::of("revoke", "debian");
    let defs = tree.path("root/etc/login.defs");
    let passwd = tree.path("root/etc/passwd");
    let good = std::fs::read(&defs).unwrap_or_default();
    for case in ["others can write it", "a link", "a directory", "no login.defs at all", "too large", "nul"] {
        let _ = std::fs::remove_dir(&defs);
        let _ = std::fs::remove_file(&defs);
        std::fs::write(&defs, &good).unwrap();
        tree.tables(&[user("alice", 2001, &keys(&[KEY, OTHER]))], &[]);
        assert_eq!(tree.run(&["sync"]).0, 0);
        let accounts = std::fs::read(&passwd).unwrap();
        match case {
            "too large" => std::fs::File::options().write(true).open(&defs).unwrap().set_len(65 << 20).unwrap(),
            "others can write it" => std::fs::set_permissions(&defs, PermissionsExt::from_mode(0o666)).unwrap(),
            "nul" => {
                let mut bytes = accounts.clone();
                bytes.extend(b"nul\0:x:4000:4000::/:/bin/sh\n");
                std::fs::write(&passwd, bytes).unwrap();
            }
            other => {
                std::fs::remove_file(&defs).unwrap();
                match other {
                    "a link" => std::os::unix::fs::symlink("login.defs", &defs).unwrap(),
                    "a directory" => std::fs::create_dir(&defs).unwrap(),
                    _ => {}
                }
            }
        }
        tree.tables(&[user("alice", 2001, &keys(&[KEY])), user("bob", 2002, &keys(&[KEY]))], &[]);
        let (status, out, err) = tree.run(&["sync"]);
        let left = tree.read("home/alice/.ssh/authorized_keys");
        assert!(!left.contains(OTHER) && left.contains(KEY), "{case}: {out}{err}");
        let has_bob = String::from_utf8_lossy(&std::fs::read(&passwd).unwrap()).contains("bob:");
        match case {
            "nul" => {
                assert_eq!((status, has_bob), (1, false), "{out}{err}");
                assert!(err.contains("/etc/passwd: line") && err.contains("NUL byte"), "{err}");
                let follows = "accounts left as they were; homes and keys of accounts that are here were looked after";
                assert!(err.contains(follows), "{err}");
            }
            "no login.defs at all" => assert_eq!((status, has_bob), (0, true), "{out}{err}"),
            "too large" => {
                assert_eq!((status, has_bob), (1, false), "{out}{err}");
                assert!(err.contains("/etc/login.defs") && err.contains("accounts left as they were"), "{err}");
            }
            _ => {
                assert_eq!((status, has_bob), (0, true), "{case}: {out}{err}");
                assert!(err.contains("login.defs") && err.contains("UID_MIN counts as 1000"), "{case}: {err}");
                let (status, out, _) = tree.run(&["check"]);
                assert!(status == 0 && out.contains("UID_MIN counts as 1000"), "{case}: {out}");
            }
        }
        std::fs::write(&passwd, accounts).unwrap();
    }
}

#[test]
fn an_unreadable_ledger_is_kept_beside_the_new_one() {
    let tree = Tree::of("ledger", "debian");
    tree.tables(&[user("alice", 2001, "")], &[]);
    for text in ["{broken", "again"] {
        assert_eq!(tree.run(&["sync"]).0, 0);
        std::fs::write(tree.path("root/var/lib/ddum/ledger.json"), text).unwrap();
        let (status, out, err) = tree.run(&["sync"]);
        assert_eq!((status, out.as_str()), (0, ""), "{err}");
        assert!(err.contains("ledger.json.unreadable"), "{err}");
        assert_eq!(tree.read("var/lib/ddum/ledger.json.unreadable"), text);
        assert!(tree.read("var/lib/ddum/ledger.json").contains("alice"));
        let mode = std::fs::metadata(tree.path("root/var/lib/ddum/ledger.json.unreadable")).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o600);
    }
    assert!(!tree.run(&["sync"]).2.contains("unreadable"));
}
