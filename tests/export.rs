//! `ddum export` as an administrator runs it: the real binary, trees of its own, and a DynamoDB that is not ours.
#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]
#![expect(clippy::disallowed_methods, reason = "the tree of a test is its own")]

mod support;

use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::emulator::Emulator;
use support::http::Reply;
use support::proxy::{Proxy, operation};
use support::{group_item, user_item};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBfzUc9s53y3Ig1NMYEI6otXwfhAKwVfblkUccnKCpEI laptop";
const OTHER: &str =
    "from=\"192.0.2.0/24\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILJjVc9qa2ORpiMJ5uRQPxDr7xRxwmn1iwbhpN1eeRKL phone";

const HASH: &str = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";

/// A directory with a tree `root` in it and whatever else a test needs.
struct Host(PathBuf);

impl Host {
    /// With the accounts of a small server.
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("export-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("root/etc")).unwrap();
        let host = Self(path);
        host.write(
            "passwd",
            "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n\
             nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n\
             ann:x:1001:1001:Ann,Room 1:/home/ann:/bin/bash\nbob:x:1002:100:Böb:/home/bob:/bin/sh\n\
             carl:x:1003:1001::/home/carl:\n",
        );
        host.write(
            "shadow",
            &format!(
                "root:{HASH}:20000:0:99999:7:::\ndaemon:*:20000:0:99999:7:::\nnobody:*:20000:0:99999:7:::\n\
                 ann:{HASH}:20156:1:90:7:14:22000:\nbob:!{HASH}:20000:0:99999:7:::\ncarl:!:19000:::::21000:\n"
            ),
        );
        host.write("group", "root:x:0:\nsudo:x:27:ann\nusers:x:100:\nann:x:1001:\nops:x:3000:ann,bob\n");
        host.write("gshadow", &format!("root:*::\nsudo:*::ann\nusers:*::\nann:!::\nops:{HASH}:ann:ann,bob\n"));
        host.home("ann", 1001, &format!("# mine\n{OTHER}\n\n{KEY}\n"));
        host.home("bob", 1002, "");
        host
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.0.join("root/etc").join(file), text).unwrap();
    }

    /// A home with a file of keys, owned by the user where we may give files away.
    fn home(&self, name: &str, uid: u32, keys: &str) {
        let home = self.0.join("root/home").join(name);
        std::fs::create_dir_all(home.join(".ssh")).unwrap();
        std::fs::write(home.join(".ssh/authorized_keys"), keys).unwrap();
        self.own(&home, uid);
        self.own(&home.join(".ssh"), uid);
        self.own(&home.join(".ssh/authorized_keys"), uid);
    }

    fn own(&self, path: &Path, uid: u32) {
        if std::fs::metadata(&self.0).unwrap().uid() == 0 {
            chown(path, Some(uid), Some(uid)).unwrap();
        }
    }

    fn configure(&self, emulator: &Emulator) {
        self.configure_at(&emulator.url());
    }

    fn configure_at(&self, url: &str) {
        let config = json!({
            "endpoint_url": url, "aws_region": "eu-west-1",
            "aws_access_key": "AKIDEXAMPLE", "aws_secret_key": "planted-secret-key",
        });
        std::fs::write(self.0.join("root/etc/dynamodb-user-manager.cfg"), config.to_string()).unwrap();
    }

    /// Status, standard output and standard error, in which no hash may be.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let (status, out, err) = self.run_openly(arguments);
        for text in [&out, &err] {
            assert!(!text.contains("$6$") && !text.contains("planted-secret"), "{arguments:?}: {text}");
        }
        (status, out, err)
    }

    fn run_openly(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_ddum"))
            .args(arguments)
            .args(if arguments.contains(&"--root") { vec![] } else { vec!["--root", "root"] })
            .current_dir(&self.0)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    fn lines(&self, path: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.0.join(path)).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

fn items(emulator: &Emulator, table: &str) -> Vec<Value> {
    let answer = emulator.call("Scan", &json!({"TableName": table}));
    let mut items = answer["Items"].as_array().unwrap().clone();
    items.sort_by_key(|item| item["Name"]["S"].as_str().unwrap().to_owned());
    items
}

fn names(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["Name"]["S"].as_str().unwrap()).collect()
}

/// The lines of the accounts that an export takes from [`Host::new`].
fn managed(host: &Host, root: &str, file: &str) -> Vec<String> {
    let is_managed = |line: &String| {
        let name = line.split(':').next().unwrap();
        ["ann", "bob", "carl", "ops"].contains(&name)
    };
    host.lines(&format!("{root}/etc/{file}")).into_iter().filter(is_managed).collect()
}

fn assert_same_accounts(host: &Host) {
    for file in ["passwd", "shadow", "group", "gshadow"] {
        assert_eq!(managed(host, "new", file), managed(host, "root", file), "{file}");
    }
    for (name, want) in [("ann", vec![OTHER, KEY]), ("bob", vec![])] {
        let path = format!("new/home/{name}/.ssh/authorized_keys");
        let keys = if host.0.join(&path).exists() { host.lines(&path) } else { vec![] };
        let keys: Vec<String> = keys.into_iter().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(keys, want, "{name}");
    }
}

#[test]
fn an_export_to_files_and_a_sync_into_an_empty_tree_give_the_same_accounts() {
    let host = Host::new("files");
    let (status, out, err) = host.run(&["export", "--to-files", "users.json", "groups.json"]);
    assert_eq!(status, 0, "{out}{err}");
    let text = "+ user ann: uid 1001, gid 1001, 2 keys, password set";
    assert!(out.contains(text) && out.contains("+ group ops: gid 3000, members ann,bob\n"), "{out}");
    assert!(err.contains("group sudo: GID 27 is a system group's; not exported, with members ann"), "{err}");
    assert!(err.contains("user carl: has no home /home/carl, so no keys"), "{err}");
    for file in ["users.json", "groups.json"] {
        assert_eq!(std::fs::metadata(host.0.join(file)).unwrap().permissions().mode() & 0o7777, 0o600);
    }
    let (status, out, err) = host.run(&["sync", "--users", "users.json", "--groups", "groups.json", "--root", "new"]);
    assert_eq!(status, 0, "{out}{err}");
    assert_same_accounts(&host);
}

#[test]
fn an_export_to_tables_and_a_sync_into_an_empty_tree_give_the_same_accounts() {
    let host = Host::new("tables");
    let emulator = Emulator::with_tables();
    host.configure(&emulator);
    let (status, out, err) = host.run(&["export", "--dry-run"]);
    assert_eq!((status, items(&emulator, "Users").len()), (0, 0), "{out}{err}");
    assert!(out.contains("+ user ann") && err.contains("dry run: 5 items added"), "{out}{err}");
    let (status, out, err) = host.run(&["export"]);
    assert_eq!(status, 0, "{out}{err}");
    assert!(err.contains("5 items added, 0 changed, 0 already as here, 0 refused"), "{err}");
    assert_eq!(names(&items(&emulator, "Users")), ["ann", "bob", "carl"]);
    assert_eq!(names(&items(&emulator, "Groups")), ["ann", "ops"]);
    assert_eq!(items(&emulator, "Users")[0]["PasswordDisableDays"], json!({"N": "14"}));
    let config = host.0.join("root/etc/dynamodb-user-manager.cfg");
    let (status, out, err) = host.run(&["sync", "--root", "new", "-c", config.to_str().unwrap()]);
    assert_eq!(status, 0, "{out}{err}");
    assert_same_accounts(&host);
    let (status, out, err) = host.run(&["export", "--json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, report["unchanged"].as_array().unwrap().len()), (0, 5), "{out}{err}");
}

#[test]
fn an_item_that_is_there_is_left_alone_unless_it_is_asked_for_and_keeps_what_is_not_ours() {
    let host = Host::new("overwrite");
    let emulator = Emulator::with_tables();
    host.configure(&emulator);
    let mut ann = user_item("ann", 7);
    ann["Comment"] = json!({"S": "kept"});
    ann["SSHPublicKeys"] = json!({"SS": [KEY]});
    emulator.put("Users", &[ann.clone()]);
    for arguments in [&["export"][..], &["export", "--dry-run"]] {
        let (status, out, err) = host.run(arguments);
        assert_eq!(status, 3, "{out}{err}");
        let want =
            "! user ann: the table has an item of that name with other values (UID, GID, RealName, Shell, Password";
        assert!(out.contains(want) && out.contains("left as it is, --overwrite changes it"), "{out}");
        assert_eq!(items(&emulator, "Users")[0], ann);
    }
    let (status, out, err) = host.run(&["export", "--overwrite", "--dry-run"]);
    assert_eq!((status, &items(&emulator, "Users")[0]), (0, &ann), "{out}{err}");
    // Without shadow and with a home that cannot be looked at, nothing is known of passwords and keys.
    let home = host.0.join("root/home/ann");
    std::fs::rename(home.join(".ssh"), home.join("away")).unwrap();
    symlink("away", home.join(".ssh")).unwrap();
    emulator.call(
        "UpdateItem",
        &json!({"TableName": "Users", "Key": {"Name": {"S": "ann"}}, "UpdateExpression": "SET Password = :p",
                "ExpressionAttributeValues": {":p": {"S": "$6$x$y"}}}),
    );
    let (status, out, err) = host.run(&["export", "--overwrite", "--no-shadow"]);
    assert_eq!(status, 3, "{out}{err}");
    assert!(out.contains("~ user ann: UID, GID, RealName, Shell\n"), "{out}");
    assert!(out.contains("! keys ann: ") && out.contains(".ssh is a symbolic link, which is not followed"), "{out}");
    let now = &items(&emulator, "Users")[0];
    assert_eq!(
        (&now["UID"]["N"], &now["Comment"]["S"], &now["Password"]["S"]),
        (&json!("1001"), &json!("kept"), &json!("$6$x$y"))
    );
    assert_eq!(now["SSHPublicKeys"], json!({"SS": [KEY]}));
    std::fs::remove_file(home.join(".ssh")).unwrap();
    std::fs::rename(home.join("away"), home.join(".ssh")).unwrap();
    let (status, out, err) = host.run(&["export", "--overwrite"]);
    assert_eq!(status, 0, "{out}{err}");
    let now = &items(&emulator, "Users")[0];
    assert_eq!((&now["Password"]["S"], &now["Comment"]["S"]), (&json!(HASH), &json!("kept")));
    assert_eq!(now["SSHPublicKeys"]["SS"].as_array().unwrap().len(), 2);
}

#[test]
fn a_host_that_follows_the_tables_has_nothing_to_export() {
    let host = Host::new("follows");
    let emulator = Emulator::with_tables();
    host.configure(&emulator);
    let mut zoe = user_item("zoe", 2002);
    zoe["Password"] = json!({"S": HASH});
    zoe["LastPasswordChangeDate"] = json!({"S": "2026-01-02"});
    // Of eve the item says neither password nor date: what the host has in their place is not news.
    // Hosts take the keys of an expired account away; the item keeps them for the day it is opened again.
    let mut old = user_item("old", 2003);
    old["GID"] = json!({"N": "2001"});
    old["AccountExpireDate"] = json!({"S": "2020-01-01"});
    old["SSHPublicKeys"] = json!({"SS": [KEY]});
    emulator.put("Users", &[user_item("eve", 2001), old, zoe]);
    emulator.put("Groups", &[group_item("eve", 2001, &[]), group_item("zoe", 2002, &["eve"])]);
    let config = host.0.join("root/etc/dynamodb-user-manager.cfg");
    let config = config.to_str().unwrap();
    assert_eq!(host.run(&["sync", "--root", "new", "-c", config]).0, 0);
    for arguments in [&["export", "--json"][..], &["export", "--json", "--overwrite"]] {
        let (status, out, err) = host.run(&[arguments, &["--root", "new", "-c", config]].concat());
        let report: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((status, report["unchanged"].as_array().unwrap().len()), (0, 5), "{out}{err}");
    }
    assert!(items(&emulator, "Users")[0].get("Password").is_none());
    // A password that was set on the host is.
    let shadow = std::fs::read_to_string(host.0.join("new/etc/shadow")).unwrap();
    std::fs::write(host.0.join("new/etc/shadow"), shadow.replace("eve:*:", &format!("eve:{HASH}:"))).unwrap();
    let (status, out, err) = host.run(&["export", "--root", "new", "-c", config]);
    assert!(
        status == 3 && out.contains("user eve: ") && out.contains("(Password, LastPasswordChangeDate)"),
        "{out}{err}"
    );
}

#[test]
fn an_overwrite_leaves_what_somebody_else_changes_at_the_same_time() {
    let host = Host::new("meanwhile");
    let emulator = std::sync::Arc::new(Emulator::with_tables());
    let behind = std::sync::Arc::clone(&emulator);
    // Somebody else is quicker with ann, and says of bob what we say. Nobody is at carl but a transaction that ends.
    let meetings = std::sync::atomic::AtomicUsize::new(0);
    let change = |name: &str, expression: &str, value: &str| {
        json!({"TableName": "Users", "Key": {"Name": {"S": name}}, "UpdateExpression": expression,
               "ExpressionAttributeValues": {":v": {"S": value}}})
    };
    let proxy = Proxy::start(&emulator.url(), move |request| {
        if operation(request) != "UpdateItem" {
            return None;
        }
        match request.json()["Key"]["Name"]["S"].as_str().unwrap() {
            "ann" => _ = behind.call("UpdateItem", &change("ann", "SET Shell = :v", "/bin/zsh")),
            "bob" => _ = behind.call("UpdateItem", &change("bob", "SET Shell = :v", "/bin/sh")),
            _ if meetings.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 => {
                let kind = "com.amazonaws.dynamodb.v20120810#TransactionConflictException";
                return Some(Reply::json(
                    400,
                    &json!({"__type": kind, "message": "Transaction is ongoing for the item"}),
                ));
            }
            _ => {}
        }
        None
    });
    host.configure_at(&proxy.url());
    assert_eq!(host.run(&["export"]).0, 0);
    for (name, attribute, value) in [("ann", "Shell", "/bin/ksh"), ("bob", "Shell", "/bin/ksh"), ("carl", "Home", "/x")]
    {
        emulator.call("UpdateItem", &change(name, &format!("SET {attribute} = :v"), value));
    }
    let (status, out, err) = host.run(&["export", "--overwrite"]);
    assert_eq!(status, 3, "{out}{err}");
    let want = "! user ann: somebody else changed the item in the meantime (Shell); left as it is";
    assert!(out.contains(want) && out.contains("'ddum export --overwrite' again"), "{out}");
    assert!(out.contains("~ user bob: Shell\n") && out.contains("~ user carl: Home\n"), "{out}");
    let users = items(&emulator, "Users");
    assert_eq!((&users[0]["Shell"]["S"], &users[1]["Shell"]["S"]), (&json!("/bin/zsh"), &json!("/bin/sh")));
    assert_eq!(users[2]["Home"]["S"], "/home/carl");
}

#[test]
fn bad_accounts_keys_and_homes_are_refused_alone() {
    let host = Host::new("bad");
    let mut passwd = std::fs::read_to_string(host.0.join("root/etc/passwd")).unwrap();
    passwd.push_str("dave$:x:1004:1004::/home/dave:/bin/sh\neve:x:1005:1005::/home/eve:/bin/sh\nfay:x:1006:1006::/home/fay:/bin/sh\n");
    host.write("passwd", &passwd);
    host.home("eve", 1005, &format!("{KEY}\nssh-rsa AAAA broken\n"));
    host.home("fay", 1006, "");
    let keys = host.0.join("root/home/fay/.ssh/authorized_keys");
    std::fs::remove_file(&keys).unwrap();
    symlink("/etc/shadow", &keys).unwrap();
    let (status, out, err) = host.run(&["export", "--to-files", "users.json", "groups.json"]);
    assert_eq!(status, 3, "{out}{err}");
    assert!(out.contains("! user dave$: Name: it holds '$'"), "{out}");
    assert!(out.contains("! keys eve: authorized_keys line 2: "), "{out}");
    assert!(out.contains("! keys fay: ") && out.contains("is a symbolic link, which is not followed"), "{out}");
    assert!(err.contains("user eve: has no line in shadow"), "{err}");
    assert!(out.contains("+ user eve: uid 1005, gid 1005, 1 key, no password"), "{out}");
    assert!(err.contains("3 refused"), "{err}");
}

#[test]
fn the_systems_accounts_come_only_when_asked_for_and_not_silently() {
    let host = Host::new("all");
    let (status, out, err) = host.run(&["export", "--all", "--to-files", "users.json", "groups.json"]);
    assert_eq!(status, 0, "{out}{err}");
    for line in ["+ user root: uid 0", "+ user nobody: uid 65534", "+ group sudo: gid 27"] {
        assert!(out.contains(line), "{out}");
    }
    assert!(err.contains("3 system users are included, root among them; hosts refuse such items"), "{err}");
    host.write("login.defs", "UID_MIN 1002\nGID_MIN 2000\n");
    let (_, out, _) = host.run(&["export", "--to-files", "users.json", "groups.json"]);
    assert!(!out.contains("user ann") && out.contains("user bob") && !out.contains("group ann"), "{out}");
}

#[test]
fn the_originals_options_choose_files_and_parts() {
    let host = Host::new("parts");
    std::fs::write(host.0.join("p"), "zoe:x:1500:1500:Zoe:/home/ann:/bin/sh\n").unwrap();
    let (status, out, err) =
        host.run(&["export", "--passwd", "p", "--no-shadow", "--no-group", "--to-files", "users.json", "groups.json"]);
    assert_eq!(status, 0, "{out}{err}");
    assert!(
        out.contains("+ user zoe: uid 1500, gid 1500, no keys, password not read\n") && !out.contains("group"),
        "{out}"
    );
    assert!(err.contains("not of this host, so they are exported without SSH keys"), "{err}");
    let (status, out, err) = host.run(&["export", "--no-passwd", "--no-gshadow", "--to-files", "u", "g"]);
    assert_eq!(status, 0, "{out}{err}");
    assert!(!out.contains("user") && !std::fs::read_to_string(host.0.join("g")).unwrap().contains("$6$"), "{out}");
    let emulator = Emulator::start();
    for table in ["Users", "Groups", "People", "Teams"] {
        emulator.create_table(table);
    }
    host.configure(&emulator);
    let (status, out, err) = host.run(&["export", "--users-table", "People", "--group-table", "Teams"]);
    assert_eq!((status, items(&emulator, "Users").len(), items(&emulator, "People").len()), (0, 0, 3), "{out}{err}");
}

#[test]
fn standard_output_holds_a_table_and_nothing_else() {
    let host = Host::new("stdout");
    let (status, out, err) = host.run_openly(&["export", "--to-files", "-", "groups.json"]);
    assert_eq!(status, 0, "{err}");
    let table: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(table["Count"], 3);
    assert!(!err.contains("$6$"), "{err}");
}

#[test]
fn one_item_that_the_table_does_not_take_is_named_and_a_missing_table_ends_it() {
    let host = Host::new("failures");
    let emulator = Emulator::start();
    emulator.create_table("Users");
    host.configure(&emulator);
    let mut keys = String::new();
    for n in 0..5000 {
        writeln!(keys, "{KEY}-{n:020}").unwrap();
    }
    host.home("bob", 1002, &keys);
    let (status, out, err) = host.run(&["export", "--no-group"]);
    assert_eq!(status, 3, "{out}{err}");
    assert!(out.contains("! user bob: ValidationException") && out.contains("+ user ann"), "{out}");
    assert_eq!(names(&items(&emulator, "Users")), ["ann", "carl"]);
    host.home("bob", 1002, "");
    let (status, out, err) = host.run(&["export"]);
    assert_eq!(status, 1, "{out}{err}");
    assert!(err.contains("to table \"Groups\" in eu-west-1: ResourceNotFoundException"), "{err}");
    assert!(err.contains("what is there stays; 3 items were done before"), "{err}");
}

#[test]
fn of_two_hosts_that_export_at_once_each_item_has_one_winner_and_both_are_told() {
    let (one, two) = (Host::new("race-1"), Host::new("race-2"));
    let mut passwd = String::new();
    for n in 0..40 {
        writeln!(passwd, "u{n:02}:x:{}:100::/home/u:/bin/sh", 2000 + n).unwrap();
    }
    one.write("passwd", &passwd);
    two.write("passwd", &passwd.replace("/bin/sh", "/bin/bash"));
    for _ in 0..4 {
        let emulator = Emulator::with_tables();
        let run = |host: &Host| {
            host.configure(&emulator);
            let (status, out, err) = host.run(&["export", "--no-shadow", "--no-group", "--json"]);
            let report: Value = serde_json::from_str(&out).unwrap();
            let added = report["added"].as_array().unwrap().len();
            assert_eq!(
                (status, added + report["refused"].as_array().unwrap().len()),
                (if added < 40 { 3 } else { 0 }, 40),
                "{err}"
            );
            added
        };
        let added: usize = std::thread::scope(|scope| {
            let racers = [scope.spawn(|| run(&one)), scope.spawn(|| run(&two))];
            racers.into_iter().map(|racer| racer.join().unwrap()).sum()
        });
        assert_eq!((added, items(&emulator, "Users").len()), (40, 40));
    }
}

#[test]
fn a_snapshot_of_the_tables_is_whole_or_not_there() {
    let host = Host::new("snapshot");
    let emulator = Emulator::with_tables();
    host.configure(&emulator);
    let mut people: Vec<Value> = (0..2500).map(|n| user_item(&format!("u{n:04}"), 2000 + n)).collect();
    people[7]["Password"] = json!({"S": HASH});
    people[7]["Blob"] = json!({"B": "aGkK"});
    emulator.put("Users", &people);
    emulator.put("Groups", &[group_item("crew", 9000, &["u0001", "u0002"])]);
    let arguments = ["export", "--from-tables", "--to-files", "users.json", "groups.json"];
    let (status, out, err) = host.run(&arguments);
    assert_eq!(status, 0, "{out}{err}");
    assert!(err.contains("2500 users and 1 group of tables Users and Groups in eu-west-1 written"), "{err}");
    let table: Value = serde_json::from_str(&host.lines("users.json").join("\n")).unwrap();
    assert_eq!((&table["Count"], &table["Items"][7]), (&json!(2500), &people[7]));
    let dry = ["sync", "--dry-run", "--users", "users.json", "--groups", "groups.json"];
    let (status, out, err) = host.run(&dry);
    assert_eq!((status, out.matches("+ user u").count()), (0, 2500), "{err}");
    let before = host.lines("users.json");
    emulator.call("DeleteTable", &json!({"TableName": "Groups"}));
    let (status, _, err) = host.run(&arguments);
    assert_eq!((status, host.lines("users.json")), (1, before), "{err}");
    std::fs::remove_file(host.0.join("users.json")).unwrap();
    let _ = host.run(&arguments);
    assert!(!host.0.join("users.json").exists());
}
