//! `ddum explain` as an administrator runs it: the real binary on a tree of its own.
#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]
#![expect(clippy::disallowed_methods, reason = "the tree of a test is its own")]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::emulator::Emulator;
use support::{group_item, user_item};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBfzUc9s53y3Ig1NMYEI6otXwfhAKwVfblkUccnKCpEI laptop";
const FINGERPRINT: &str = "SHA256:";
const HASH: &str = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";

/// A tree with accounts, programs and tables in files.
struct Host(PathBuf);

impl Host {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("explain-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        let host = Self(path);
        host.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\ngames:x:5:5::/usr/games:/bin/sh\n");
        host.write("etc/shadow", &format!("root:{HASH}:20000:0:99999:7:::\ngames:*:20000::::::\n"));
        host.write("etc/group", "root:x:0:\nwheel:x:10:root\n");
        host.write("etc/gshadow", "root:*::\nwheel:!::root\n");
        host.write("etc/ssh/sshd_config", "UsePAM yes\n");
        host.write("bin/sh", "");
        std::fs::set_permissions(host.0.join("root/bin/sh"), PermissionsExt::from_mode(0o755)).unwrap();
        host
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join("root").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn tables(&self, users: &[Value], groups: &[Value]) {
        std::fs::write(self.0.join("users.json"), json!(users).to_string()).unwrap();
        std::fs::write(self.0.join("groups.json"), json!(groups).to_string()).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let tables = ["--users", "users.json", "--groups", "groups.json"];
        self.run_on(arguments, &tables)
    }

    fn run_on(&self, arguments: &[&str], tables: &[&str]) -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_ddum"))
            .args(arguments)
            .args(["--root", "root"])
            .args(tables)
            .current_dir(&self.0)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(!out.contains("$6$") && !err.contains("$6$"), "{out}{err}");
        (output.status.code().unwrap(), out + &err)
    }

    /// Path, inode, change time and size of everything in the tree: equal means that nothing was touched.
    fn state(&self) -> BTreeMap<PathBuf, (u64, i64, i64, u64)> {
        let mut out = BTreeMap::new();
        let mut pending = vec![self.0.join("root")];
        while let Some(path) = pending.pop() {
            let meta = std::fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                pending.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            out.insert(path, (meta.ino(), meta.ctime(), meta.ctime_nsec(), meta.size()));
        }
        out
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

fn with_key(name: &str, uid: u32) -> Value {
    let mut item = user_item(name, uid);
    item["SSHPublicKeys"] = json!({"SS": [KEY]});
    item
}

/// Asserts that all of `wanted` are lines of `text`, blanks between columns aside.
fn assert_lines(text: &str, wanted: &[&str]) {
    let squeezed: Vec<String> =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for want in wanted {
        assert!(squeezed.iter().any(|line| line.starts_with(want)), "{want:?} is not in\n{text}");
    }
}

#[test]
fn a_new_user_is_explained_from_item_to_login_and_nothing_is_touched() {
    let host = Host::new("new");
    let mut ann = with_key("ann", 2001);
    ann["Password"] = json!({"S": HASH});
    host.tables(
        &[ann, user_item("bob", 2002)],
        &[group_item("wheel", 10, &["ann"]), group_item("ops", 3000, &["ann"])],
    );
    let before = host.state();
    let (status, out) = host.run(&["explain", "ann"]);
    assert_eq!(status, 0, "{out}");
    assert_lines(
        &out,
        &[
            "user ann: its item is new to this host",
            "UID 2001",
            "Password set",
            &format!("SSHPublicKeys {FINGERPRINT}"),
            "ok UID 2001 is not a system account's (UID_MIN is 1000)",
            "ok no account of that name is here yet, so it is made",
            "UID_MIN 1000 (login.defs)",
            "ledger has no record of it",
            "/etc/passwd no line",
            "+ user uid 2001, gid 2001, home /home/ann, shell /bin/sh",
            "~ group wheel +ann",
            "+ group ops gid 3000, members ann",
            "+ home /home/ann",
            "~ keys +SHA256:",
            "- nothing is seen here that keeps them out",
        ],
    );
    assert!(!out.contains("bob"), "{out}");
    assert_eq!(host.state(), before);
    assert_eq!(host.run(&["sync"]).0, 0);
    let (status, out) = host.run(&["explain", "ann"]);
    assert_eq!(status, 0, "{out}");
    assert_lines(
        &out,
        &[
            "user ann: its item is taken",
            "ok the account is here with the UID of the item: ddum made it",
            "/etc/passwd:3 uid 2001, gid 2001, real name (none), home /home/ann, shell /bin/sh",
            "/etc/shadow:3 password set, last change",
            "/etc/group:2 member of wheel (gid 10)",
            "/home/ann authorized_keys: SHA256:",
            "- changes nothing of it",
        ],
    );
}

#[test]
fn what_is_refused_exits_with_3_and_what_nobody_knows_with_1() {
    let host = Host::new("refused");
    let mut bad_key = with_key("dora", 2004);
    bad_key["SSHPublicKeys"] = json!({"SS": ["ssh-rsa AAAA junk"]});
    let mut bad_home = user_item("fred", 2005);
    bad_home["Home"] = json!({"S": "../x"});
    let (twin, other) = (user_item("twin", 2006), user_item("other", 2006));
    let users = [user_item("games", 5), user_item("low", 999), bad_key, bad_home, twin, other];
    host.tables(&users, &[group_item("wheel", 4000, &["low"]), group_item("low", 3, &[])]);
    for (name, status, wanted) in [
        (
            "games",
            3,
            &["user games: its item is refused", "refused UID 5 is below UID_MIN, 1000", "/etc/passwd:2 uid 5"][..],
        ),
        (
            "low",
            3,
            &["refused UID 999 is below UID_MIN", "group low: its item is refused", "refused GID 3 is below GID_MIN"],
        ),
        (
            "dora",
            3,
            &["user dora: a part of its item is refused", "refused SSHPublicKeys: ", "may fail it has neither a key"],
        ),
        (
            "fred",
            3,
            &["user fred: its item is refused", "Home ../x", "refused Home: ", "may fail there is no such account"],
        ),
        ("twin", 3, &["refused UID 2006 is claimed by other and twin"]),
        (
            "wheel",
            3,
            &[
                "group wheel: a part of its item is refused",
                "refused GID 4000 not taken",
                "ok it is a system group here",
            ],
        ),
        (
            "root",
            0,
            &["user root: only on this host", "- there is no user of that name", "group root: only on this host"],
        ),
        ("nosuch", 1, &["ddum: nosuch is neither in users.json and groups.json nor on this host"]),
    ] {
        let (found, out) = host.run(&["explain", name]);
        assert_eq!(found, status, "{name}: {out}");
        assert_lines(&out, wanted);
    }
    assert_eq!(host.run(&["explain"]).0, 2);
    assert_eq!(host.run(&["explain", "a", "b"]).0, 2);
}

#[test]
fn why_a_login_may_fail_is_told() {
    let host = Host::new("logins");
    let mut locked = with_key("ann", 2001);
    locked["Password"] = json!({"S": format!("!{HASH}")});
    let mut late = with_key("late", 2003);
    late["AccountExpireDate"] = json!({"S": "2025-01-01"});
    let mut shell = with_key("shell", 2004);
    shell["Shell"] = json!({"S": "/bin/gone"});
    host.tables(&[locked, user_item("bob", 2002), late, shell, with_key("open", 2005)], &[]);
    assert_eq!(host.run(&["sync"]).0, 0);
    let home = host.0.join("root/home/open");
    std::fs::set_permissions(&home, PermissionsExt::from_mode(0o770)).unwrap();
    host.write("etc/ssh/sshd_config", "UsePAM no\nAllowUsers ann bob late shell open\n");
    host.write("etc/nsswitch.conf", "passwd: sss files\n");
    for (name, want) in [
        ("ann", "may fail its password is locked, and sshd with UsePAM no then refuses keys too"),
        ("ann", "may fail nsswitch.conf: sss is asked before files"),
        ("bob", "may fail it has neither a key nor a password"),
        ("late", "may fail it expired on 2025-01-01"),
        ("shell", "may fail shell /bin/gone is no program on this host"),
        ("open", "may fail root/home/open can be written by its group (mode 0770)"),
        ("games", "may fail sshd: AllowUsers keeps it out"),
    ] {
        let (status, out) = host.run(&["explain", name]);
        assert_eq!(status, 0, "{name}: {out}");
        assert_lines(&out, &[want]);
    }
    host.write("etc/nologin", "closed\n");
    assert_lines(&host.run(&["explain", "ann"]).1, &["may fail /etc/nologin is there"]);
    // Who may give files away can also see whose home is another's.
    if std::fs::metadata(&host.0).unwrap().uid() == 0 {
        chown(&home, Some(4321), Some(4321)).unwrap();
        let (status, out) = host.run(&["explain", "open"]);
        assert_eq!(status, 3, "{out}");
        assert_lines(
            &out,
            &["refused cannot open the home root/home/open", "may fail root/home/open belongs to uid 4321"],
        );
    }
}

#[test]
fn programs_get_json_and_the_tables_are_asked() {
    let host = Host::new("json");
    let emulator = Emulator::with_tables();
    emulator.put(
        "Users",
        &[json!({"Name": {"S": "ann"}, "UID": {"N": "2001"}, "GID": {"N": "2001"}, "Note": {"S": "x"},
                               "DisabledSSHPublicKeys": {"SS": [KEY]}})],
    );
    emulator.put("Groups", &[group_item("ann", 2001, &[])]);
    let config = json!({
        "endpoint_url": emulator.url(), "aws_region": "eu-west-1", "aws_access_key": "AKIDEXAMPLE",
        "aws_secret_key": "planted", "user_defaults": {"Home": "/home/{name}", "Shell": "/bin/sh", "Password": HASH},
    });
    host.write("etc/dynamodb-user-manager.cfg", &config.to_string());
    let (status, out) = host.run_on(&["explain", "ann", "--json", "-q"], &[]);
    assert_eq!(status, 0, "{out}");
    let start = out.find("[\n").unwrap();
    let accounts: Value = serde_json::Deserializer::from_str(&out[start..]).into_iter().next().unwrap().unwrap();
    assert_eq!(
        (&accounts[0]["kind"], &accounts[1]["kind"], &accounts[0]["refused"]),
        (&json!("user"), &json!("group"), &json!(false))
    );
    let item = &accounts[0]["sections"][0];
    assert_eq!(item["title"], "Item (tables Users and Groups in eu-west-1)");
    let rows = item["rows"].as_array().unwrap();
    for (label, text) in [
        ("Home", "/home/ann (from user_defaults)"),
        ("Password", "set (from user_defaults)"),
        ("DisabledSSHPublicKeys", "SHA256:gPGLqA2Zxx89t5tMe3cDLDVHS9v5TUM+mw6E2yD4ejw (laptop)"),
        ("others", "Note (no meaning to ddum)"),
    ] {
        assert!(rows.contains(&json!({"label": label, "text": text})), "{item}");
    }
}
