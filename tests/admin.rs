//! `ddum user`, `group`, `key` and `tables`: the real binary against an emulator that is not ours.
#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]
#![expect(clippy::disallowed_methods, reason = "the files of a test are its own")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use serde_json::{Value, json};
use support::emulator::Emulator;
use support::http::{HttpServer, Reply};
use support::proxy::{Proxy, operation};
use support::{group_item, user_item};

const LAPTOP: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA+WWckC5HovqsNXGLGG/vIPqy97mAHpc3xSmzlXbY+t laptop";
const PHONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMq2fu8Z0lBIrpi1MC1EAtSzXZHrUvk9Y5UX7GSkO3bH phone";
const LAPTOP_PRINT: &str = "SHA256:LC1z12W2qiHZ5LIf4DF47TDUwe/fwLgCK3iegfTx6rQ";
const HASH: &str = "$6$planted$secrethash";

/// Where somebody sits who administers the tables at one address.
struct Office(PathBuf);

impl Office {
    fn new(name: &str, url: &str) -> Self {
        Self::configured(name, url, &json!({}))
    }

    fn configured(name: &str, url: &str, more: &Value) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("admin-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        let mut config = json!({
            "endpoint_url": url, "aws_region": "eu-west-1",
            "aws_access_key": "AKIDEXAMPLE", "aws_secret_key": "planted-secret-key",
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        std::fs::write(path.join("ddum.cfg"), config.to_string()).unwrap();
        std::fs::set_permissions(path.join("ddum.cfg"), Permissions::from_mode(0o600)).unwrap();
        std::fs::write(path.join("laptop.pub"), format!("{LAPTOP}\n")).unwrap();
        std::fs::write(path.join("phone.pub"), format!("{PHONE}\n")).unwrap();
        Self(path)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ddum"));
        command.args(line.split_whitespace()).arg("-c").arg(self.0.join("ddum.cfg")).current_dir(&self.0);
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("USER", "alice");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn start(&self, line: &str) -> Child {
        self.command(line).spawn().unwrap()
    }

    fn given(&self, line: &str, input: &str) -> (i32, String, String) {
        let mut child = self.start(line);
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        end(line, child)
    }

    fn run(&self, line: &str) -> (i32, String, String) {
        self.given(line, "")
    }

    /// Standard output of a command that must do what was asked.
    fn done(&self, line: &str) -> String {
        let (status, out, err) = self.run(line);
        assert_eq!(status, 0, "{line}: {out}{err}");
        out
    }

    /// Standard error of a command that must end with this status.
    fn fails(&self, line: &str, want: i32) -> String {
        let (status, out, err) = self.run(line);
        assert_eq!(status, want, "{line}: {out}{err}");
        assert!(err.starts_with("ddum: ") && err.lines().count() == 1 && out.is_empty(), "{line}: {out}{err}");
        err
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

fn end(line: &str, child: Child) -> (i32, String, String) {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    for secret in ["planted", "$6$"] {
        assert!(!out.contains(secret) && !err.contains(secret), "{line} tells a secret: {out}{err}");
    }
    (output.status.code().unwrap(), out, err)
}

fn items(emulator: &Emulator, table: &str) -> BTreeMap<String, Value> {
    let scan = emulator.call("Scan", &json!({"TableName": table, "ConsistentRead": true}));
    let items = scan["Items"].as_array().unwrap().iter();
    items.map(|item| (item["Name"]["S"].as_str().unwrap().to_owned(), item.clone())).collect()
}

fn item(emulator: &Emulator, table: &str, name: &str) -> Value {
    items(emulator, table).remove(name).unwrap_or_default()
}

fn uids(emulator: &Emulator) -> Vec<String> {
    items(emulator, "Users").values().map(|item| item["UID"]["N"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_user_is_added_with_what_hosts_need() {
    let emulator = Emulator::with_tables();
    let office = Office::new("add", &emulator.url());
    assert_eq!(
        office.done("user add alice --key laptop.pub"),
        format!(
            "+ user alice: uid 2000, gid 2000, home /home/alice, shell /bin/bash\n+ group alice: gid 2000\n\
             ~ keys alice: +{LAPTOP_PRINT} (laptop)\n"
        )
    );
    let want = json!({
        "Name": {"S": "alice"}, "UID": {"N": "2000"}, "GID": {"N": "2000"}, "RealName": {"S": ""},
        "Home": {"S": "/home/alice"}, "Shell": {"S": "/bin/bash"}, "SSHPublicKeys": {"SS": [LAPTOP]},
    });
    assert_eq!(item(&emulator, "Users", "alice"), want);
    assert_eq!(item(&emulator, "Groups", "alice"), json!({"Name": {"S": "alice"}, "GID": {"N": "2000"}}));

    office.done("group add dev --gid 3000");
    office.done("group add ops");
    let line = "user add bob --uid 2500 --group dev --groups ops,dev --real-name Bob --home /srv//bob/ --shell /bin/sh \
                --expires 20311231 --min-days 1 --max-days 90 --warn-days 7 --disable-days 30 --password-hash-stdin";
    let (status, out, err) = office.given(line, &format!("{HASH}\n"));
    assert_eq!(status, 0, "{out}{err}");
    assert_eq!(
        out,
        "+ user bob: uid 2500, gid 3000, home /srv/bob, shell /bin/sh, expires 2031-12-31\n~ group ops: +bob\n\
         ~ group dev: +bob\n"
    );
    let bob = item(&emulator, "Users", "bob");
    for (attribute, value) in [
        ("GID", json!({"N": "3000"})),
        ("Home", json!({"S": "/srv/bob"})),
        ("AccountExpireDate", json!({"S": "2031-12-31"})),
        ("PasswordAgeMinDays", json!({"N": "1"})),
        ("PasswordAgeMaxDays", json!({"N": "90"})),
        ("PasswordWarnDays", json!({"N": "7"})),
        ("PasswordDisableDays", json!({"N": "30"})),
        ("Password", json!({"S": HASH})),
    ] {
        assert_eq!(bob[attribute], value, "{attribute}");
    }
    assert!(bob["LastPasswordChangeDate"]["S"].as_str().unwrap().len() == 10);
    assert_eq!(item(&emulator, "Groups", "ops")["Members"], json!({"SS": ["bob"]}));
    // Above all that are taken, groups included.
    assert!(office.done("user add carol").starts_with("+ user carol: uid 3002, gid 3002,"));
    assert!(office.given("user add dave --gid 100 --key -", PHONE).1.contains("(phone)"));
}

#[test]
fn what_a_host_would_refuse_is_not_written() {
    let emulator = Emulator::with_tables();
    emulator.put("Users", &[user_item("alice", 2001)]);
    emulator.put("Groups", &[group_item("alice", 2001, &[]), group_item("dev", 3000, &[])]);
    let office = Office::new("refuse", &emulator.url());
    let before = (items(&emulator, "Users"), items(&emulator, "Groups"));
    std::fs::write(office.0.join("private"), "-----BEGIN OPENSSH PRIVATE KEY-----\nplanted\n").unwrap();
    std::fs::write(office.0.join("empty"), "# nothing\n").unwrap();
    for (line, status, says) in [
        ("user add 1234", 2, "number"),
        ("user add root", 2, "root"),
        ("user add bob --uid 0", 2, "allow_system_accounts"),
        ("user add bob --uid 999", 2, "below 1000"),
        ("user add bob --uid 65535", 2, "--uid: 65535 means"),
        ("user add bob --uid 2001", 1, "UID 2001 is that of alice"),
        ("user add bob --uid 3000 --gid x", 2, "GID: \"x\""),
        ("user add bob --uid 3000", 1, "3000 is that of dev"),
        ("user add bob --shell bash", 2, "Shell: \"bash\" is not an absolute path"),
        ("user add bob --home /a/../b", 2, "Home: "),
        ("user add bob --real-name a:b", 2, "RealName: it holds a colon"),
        ("user add bob --expires 2031-02-30", 2, "AccountExpireDate: there is no 2031-02-30"),
        ("user add bob --password-changed 2999-01-01", 2, "in the future"),
        ("user add bob --max-days 100000", 2, "PasswordAgeMaxDays"),
        ("user add bob --group nobody", 1, "there is no group nobody"),
        ("user add bob --groups dev,nobody", 1, "there is no group nobody"),
        ("user add bob --key private", 2, "private key"),
        ("user add bob --key empty", 2, "no key"),
        ("user add bob --key /nonexistent", 1, "No such file"),
        ("user add bob --uid-range 2000-1000", 2, "range"),
        ("user add bob --uid-range 2001-2001", 1, "no UID from 2001 to 2001 is free"),
        ("user add alice", 1, "there is a user alice already"),
        ("user set alice --shell bash", 2, "Shell: "),
        ("user set alice --uid 0", 2, "allow_system_accounts"),
        ("user set alice --unset UID", 2, "cannot be unset"),
        ("user set alice", 2, "what is to be set must follow"),
        ("user set bob --shell /bin/sh", 1, "there is no user bob"),
        ("user expire alice 2031-13-01", 2, "not a date"),
        ("user delete alice", 2, "say --yes"),
        ("user frobnicate", 2, "none of list, show, add"),
        ("user add bob --json", 2, "'--json' does not belong to 'add'"),
        ("user", 2, "one of list, show, add"),
        ("group add dev", 1, "there is a group dev already"),
        ("group add ops --gid 0", 2, "GID 0"),
        ("group add ops --gid 3000", 1, "GID 3000 is that of group dev"),
        ("group add ops --members al!ce", 2, "Members: "),
        ("group set dev --gid 2001", 1, "GID 2001 is that of group alice"),
        ("group set dev --unset gid", 2, "cannot be unset"),
        ("group join dev al!ce", 2, "is no name"),
        ("group join nobody alice", 1, "there is no group nobody"),
        ("group join dev", 2, "must follow"),
        ("group delete dev", 2, "say --yes"),
        ("key add alice private", 2, "private key"),
        ("key add bob laptop.pub", 1, "there is no user bob"),
        ("key add alice laptop.pub --expires soon", 2, "--expires: "),
        ("key disable alice nothing", 1, "alice has no key \"nothing\""),
        ("key delete alice nothing", 1, "ddum key list alice"),
    ] {
        let err = office.fails(line, status);
        assert!(err.contains(says), "{line}: {err}");
    }
    let (status, _, err) = office.given("user set alice --password-hash-stdin", "hunter2\n");
    assert!(status == 2 && !err.contains("hunter2"), "{err}");
    assert_eq!((items(&emulator, "Users"), items(&emulator, "Groups")), before);
}

#[test]
fn attributes_are_set_and_unset_and_told() {
    let emulator = Emulator::with_tables();
    let mut alice = user_item("alice", 2001);
    alice["Custom"] = json!({"S": "kept"});
    emulator.put("Users", &[alice]);
    let office = Office::new("set", &emulator.url());
    for (line, want) in [
        (
            "user set alice --shell /bin/zsh --real-name Alice",
            "~ user alice: real name Alice; shell /bin/sh -> /bin/zsh\n",
        ),
        ("user set alice --shell /bin/zsh", ""),
        (
            "user set alice --uid 2002 --gid 100 --max-days 90",
            "~ user alice: uid 2001 -> 2002; gid 2001 -> 100; max days 90\n",
        ),
        (
            "user set alice --unset max-days --unset RealName",
            "~ user alice: real name Alice removed; max days 90 removed\n",
        ),
        ("user expire alice 20300101", "~ user alice: expires 2030-01-01\n"),
        ("user expire alice 2030-01-01", ""),
        ("user enable alice", "~ user alice: expires 2030-01-01 removed\n"),
        ("user enable alice", ""),
    ] {
        assert_eq!(office.done(line), want, "{line}");
    }
    let (_, out, _) = office.given("user set alice --password-hash-stdin", HASH);
    assert!(out.starts_with("~ user alice: password changed; password of 20"), "{out}");
    assert_eq!(office.done("user set alice --unset Password --unset password-changed").matches("removed").count(), 2);
    office.done("user expire alice");
    let shown = office.done("user show alice");
    assert!(shown.lines().any(|line| line.starts_with("Expires: ") && line.ends_with(", closed")), "{shown}");
    assert_eq!(office.done("user list --expired").lines().count(), 2);
    assert_eq!(item(&emulator, "Users", "alice")["Custom"], json!({"S": "kept"}));

    let (status, out, err) = office.run("user delete alice --yes");
    assert_eq!((status, out.as_str()), (0, "- user alice\n"), "{err}");
    assert_eq!(items(&emulator, "Users").len(), 0);
    emulator.put("Users", &[user_item("bob", 2001)]);
    emulator.put("Groups", &[group_item("dev", 3000, &["bob"])]);
    let (_, _, err) = office.run("user delete bob --yes");
    assert!(err.contains("hosts keep the account") && err.contains("ddum user expire bob"), "{err}");
    assert!(err.contains("ddum group leave dev bob"), "{err}");
}

#[test]
fn groups_change_by_their_members() {
    let emulator = Emulator::with_tables();
    emulator.put("Users", &[user_item("alice", 2001), user_item("bob", 2002)]);
    let office = Office::new("group", &emulator.url());
    for (line, want) in [
        ("group add dev --members alice --administrators bob,alice", "+ group dev: gid 2003, members alice\n"),
        ("group join dev bob alice bob", "~ group dev: +bob\n"),
        ("group join dev bob", ""),
        ("group leave dev alice carol", "~ group dev: -alice\n"),
        ("group join dev carol --as-administrators", "~ group dev: administrators +carol\n"),
        ("group leave dev carol alice --as-administrators", "~ group dev: administrators -alice -carol\n"),
        ("group set dev --gid 4000 --members alice", "~ group dev: GID 2003 -> 4000; +alice -bob\n"),
        ("group leave dev alice", "~ group dev: -alice\n"),
        ("group set dev --members alice,bob --unset administrators", "~ group dev: administrators -bob; +alice +bob\n"),
    ] {
        assert_eq!(office.done(line).replace("gid 2003 ->", "GID 2003 ->"), want, "{line}");
    }
    assert_eq!(
        item(&emulator, "Groups", "dev"),
        json!({"Name": {"S": "dev"}, "GID": {"N": "4000"}, "Members": {"SS": ["alice", "bob"]}})
    );
    assert!(office.run("group join dev stranger").2.contains("no user stranger"));
    assert_eq!(
        office.done("group list d* x"),
        "NAME  GID   MEMBERS             ADMINISTRATORS\ndev   4000  alice,bob,stranger  -\n"
    );
    assert!(office.done("group show dev").contains("Members:         alice,bob,stranger\n"));
    let (status, out, err) = office.run("group delete dev --yes");
    assert!(status == 0 && out == "- group dev\n" && err.contains("hosts keep the group"), "{out}{err}");
}

#[test]
fn lists_and_items_are_shown_for_people_and_programs() {
    let emulator = Emulator::with_tables();
    let mut alice = user_item("alice", 2001);
    alice["Password"] = json!({"S": HASH});
    alice["SSHPublicKeys"] = json!({"SS": [LAPTOP, "nonsense"]});
    alice["DisabledSSHPublicKeys"] = json!({"SS": [PHONE]});
    let mut eve = user_item("eve", 2003);
    eve["Shell"] = json!({"S": "bash"});
    eve["Password"] = json!({"S": HASH});
    emulator.put("Users", &[alice, user_item("bob", 2002), eve]);
    emulator.put("Groups", &[group_item("dev", 3000, &["alice"]), group_item("bob", 2002, &[])]);
    let office = Office::new("show", &emulator.url());
    let (status, out, _) = office.run("user list");
    assert_eq!(status, 3);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "NAME   UID   GID   KEYS  EXPIRES  HOME         SHELL    REAL NAME");
    assert_eq!(lines[1], "alice  2001  2001  1     never    /home/alice  /bin/sh");
    assert!(lines[3].starts_with("! user alice: SSHPublicKeys") && lines[4].starts_with("! user eve: Shell"), "{out}");
    for (filter, want) in [
        ("--without-keys", "bob"),
        ("--group dev", "alice"),
        ("--group bob", "bob"),
        ("a*", "alice"),
        ("bob nobody", "bob"),
        ("--uid-range 2002-2002", "bob"),
        ("--expired", ""),
    ] {
        let (_, out, err) = office.run(&format!("user list --json {filter}"));
        let list: Value = serde_json::from_str(&out).unwrap_or_else(|why| panic!("{filter}: {why}: {out}{err}"));
        let names: Vec<&str> = list["users"].as_array().unwrap().iter().map(|u| u["name"].as_str().unwrap()).collect();
        assert_eq!(names.join(" "), want, "{filter}");
    }
    let (_, out, _) = office.run("user show alice --json");
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&shown["uid"], &shown["password"], &shown["groups"]), (&json!(2001), &json!("set"), &json!(["dev"])));
    assert_eq!((&shown["keys"][0]["fingerprint"], &shown["keys"][0]["bits"]), (&json!(LAPTOP_PRINT), &json!(256)));
    assert_eq!(shown["disabled_keys"][0]["comment"], "phone");
    let (status, out, _) = office.run("user show eve");
    assert!(status == 3 && out.contains("Shell:      bash\n") && out.contains("! user eve: Shell: "), "{out}");
    for line in ["group list --json", "group show dev --json", "key list alice --json", "key list bob --json"] {
        assert!(serde_json::from_str::<Value>(&office.done(line)).unwrap().is_object(), "{line}");
    }
    assert_eq!(office.done("user show bob").lines().next(), Some("Name:       bob"));
    // What is wrong is mended by the command that sets it.
    assert_eq!(office.done("user set eve --shell /bin/bash"), "~ user eve: shell bash -> /bin/bash\n");
}

#[test]
fn a_dry_run_says_the_same_and_writes_nothing() {
    let emulator = Emulator::with_tables();
    let mut alice = user_item("alice", 2001);
    alice["SSHPublicKeys"] = json!({"SS": [LAPTOP]});
    alice["DisabledSSHPublicKeys"] = json!({"SS": [PHONE]});
    alice["AccountExpireDate"] = json!({"S": "2031-12-31"});
    emulator.put("Users", &[alice]);
    emulator.put("Groups", &[group_item("dev", 3000, &["alice"])]);
    let proxy = Proxy::start(&emulator.url(), |_| None);
    let office = Office::new("dry", &proxy.url());
    std::fs::write(office.0.join("rsa.pub"), LAPTOP.replace("Y+t", "Y+s")).unwrap();
    let before = (items(&emulator, "Users"), items(&emulator, "Groups"));
    let lines = [
        "user add bob --groups dev --key phone.pub",
        "user set alice --shell /bin/zsh --uid 2005",
        "user expire alice",
        "user enable alice",
        "user delete alice",
        "group add ops --members alice",
        "group set dev --gid 3001",
        "group join dev bob",
        "group leave dev alice",
        "group delete dev",
        "key disable alice laptop",
        "key enable alice phone",
        "key add alice rsa.pub",
        "key delete alice laptop",
    ];
    for line in lines {
        let (status, out, err) = office.run(&format!("{line} --dry-run"));
        assert!(status == 0 && !out.is_empty() && err.contains("dry run: nothing was written"), "{line}: {out}{err}");
    }
    let written: BTreeSet<String> = proxy.calls().into_iter().map(|(operation, _)| operation).collect();
    assert_eq!(written.into_iter().collect::<Vec<_>>(), ["GetItem", "Scan"]);
    assert_eq!((items(&emulator, "Users"), items(&emulator, "Groups")), before);
    let dry = office.done("user set alice --shell /bin/zsh --dry-run");
    assert_eq!(office.done("user set alice --shell /bin/zsh"), dry);
}

#[test]
fn of_two_who_change_an_item_the_second_gets_a_conflict() {
    for (line, change, status, says) in [
        (
            "user set alice --shell /bin/zsh",
            json!({"UpdateExpression": "SET Shell = :v", "ExpressionAttributeValues": {":v": {"S": "/bin/ksh"}}}),
            1,
            "conflict: somebody else changed Shell of user alice in the meantime; nothing was written; see 'ddum user show alice'",
        ),
        // What is not touched may change.
        (
            "user set alice --shell /bin/zsh",
            json!({"UpdateExpression": "SET Home = :v", "ExpressionAttributeValues": {":v": {"S": "/x"}}}),
            0,
            "",
        ),
        // The other one did the same.
        (
            "user set alice --shell /bin/zsh",
            json!({"UpdateExpression": "SET Shell = :v", "ExpressionAttributeValues": {":v": {"S": "/bin/zsh"}}}),
            0,
            "",
        ),
        (
            "user expire alice 2030-01-01",
            json!({"UpdateExpression": "SET AccountExpireDate = :v", "ExpressionAttributeValues": {":v": {"S": "2020-01-01"}}}),
            1,
            "somebody else changed AccountExpireDate",
        ),
        (
            "user delete alice --yes",
            json!({"UpdateExpression": "SET UID = :v", "ExpressionAttributeValues": {":v": {"N": "2009"}}}),
            1,
            "nothing was deleted",
        ),
        (
            "key disable alice laptop",
            json!({"UpdateExpression": "DELETE SSHPublicKeys :v", "ExpressionAttributeValues": {":v": {"SS": [LAPTOP]}}}),
            1,
            "somebody else changed the keys of alice",
        ),
        // As when the answer is lost and the request is made again.
        (
            "key disable alice laptop",
            json!({
                "UpdateExpression": "DELETE SSHPublicKeys :v ADD DisabledSSHPublicKeys :v",
                "ExpressionAttributeValues": {":v": {"SS": [LAPTOP]}},
            }),
            0,
            "",
        ),
    ] {
        let emulator = std::sync::Arc::new(Emulator::with_tables());
        let mut alice = user_item("alice", 2001);
        alice["SSHPublicKeys"] = json!({"SS": [LAPTOP]});
        emulator.put("Users", &[alice]);
        let mut change = change;
        change["TableName"] = json!("Users");
        change["Key"] = json!({"Name": {"S": "alice"}});
        let once = Mutex::new(Some(change));
        let behind = std::sync::Arc::clone(&emulator);
        let proxy = Proxy::start(&emulator.url(), move |request| {
            if matches!(operation(request), "UpdateItem" | "DeleteItem")
                && let Some(change) = once.lock().unwrap().take()
            {
                behind.call("UpdateItem", &change);
            }
            None
        });
        let office = Office::new("conflict", &proxy.url());
        let (got, out, err) = office.run(line);
        assert_eq!(got, status, "{line}: {out}{err}");
        assert!(err.contains(says), "{line}: {err}");
        assert!(status == 0 || out.is_empty(), "{line}: {out}");
    }
}

#[test]
fn an_item_that_is_gone_is_not_half_made_again() {
    let emulator = std::sync::Arc::new(Emulator::with_tables());
    let behind = std::sync::Arc::clone(&emulator);
    let proxy = Proxy::start(&emulator.url(), move |request| {
        if operation(request) == "UpdateItem" {
            behind.delete("Users", "alice");
            behind.delete("Groups", "dev");
        }
        None
    });
    let office = Office::new("gone", &proxy.url());
    for (line, says) in [
        ("user set alice --shell /bin/zsh", "somebody deleted user alice"),
        ("key add alice laptop.pub", "there is no user alice"),
        ("group join dev alice", "there is no group dev"),
    ] {
        emulator.put("Users", &[user_item("alice", 2001)]);
        emulator.put("Groups", &[group_item("dev", 3000, &[])]);
        let (status, out, err) = office.run(line);
        assert!(status == 1 && err.contains(says), "{line}: {out}{err}");
        assert!(items(&emulator, "Users").len() + items(&emulator, "Groups").len() <= 1, "{line}");
    }
}

#[test]
fn who_adds_at_the_same_time_never_gets_the_same_uid() {
    let emulator = Emulator::with_tables();
    let office = Office::new("race", &emulator.url());
    for round in 0..12 {
        let lines = [format!("user add a{round}"), format!("user add b{round}")];
        let children: Vec<Child> = lines.iter().map(|line| office.start(line)).collect();
        for (line, child) in lines.iter().zip(children) {
            let (status, out, err) = end(line, child);
            assert_eq!(status, 0, "{line}: {out}{err}");
            // What is told is what is stored.
            let name = line.rsplit(' ').next().unwrap();
            let uid = item(&emulator, "Users", name)["UID"]["N"].as_str().unwrap().to_owned();
            assert!(out.starts_with(&format!("+ user {name}: uid {uid}, gid {uid}, ")), "{out}");
            assert_eq!(item(&emulator, "Groups", name)["GID"]["N"], uid.as_str());
        }
        let uids = uids(&emulator);
        assert_eq!(uids.iter().collect::<BTreeSet<_>>().len(), uids.len(), "round {round}: {uids:?}");
    }
}

#[test]
fn a_uid_that_two_ask_for_is_never_given_to_both() {
    let emulator = Emulator::with_tables();
    let office = Office::new("claim", &emulator.url());
    for round in 0..10 {
        let lines = ["a", "b"].map(|name| format!("user add {name}{round} --uid {}", 3000 + round));
        let children: Vec<Child> = lines.iter().map(|line| office.start(line)).collect();
        let mut done = 0;
        for (line, child) in lines.iter().zip(children) {
            let (status, out, err) = end(line, child);
            match status {
                0 => done += 1,
                1 => assert!(err.contains("at the same time") || err.contains("is that of"), "{line}: {out}{err}"),
                _ => panic!("{line}: {out}{err}"),
            }
        }
        let have = uids(&emulator).iter().filter(|uid| **uid == (3000 + round).to_string()).count();
        assert_eq!(have, done, "round {round}");
        assert!(have <= 1, "round {round}");
    }
}

#[test]
fn of_two_who_add_one_name_one_succeeds() {
    let emulator = Emulator::with_tables();
    let office = Office::new("name", &emulator.url());
    for round in 0..8 {
        let lines = ["/bin/sh", "/bin/zsh"].map(|shell| format!("user add u{round} --shell {shell}"));
        let children: Vec<Child> = lines.iter().map(|line| office.start(line)).collect();
        let ends: Vec<_> = lines.iter().zip(children).map(|(line, child)| end(line, child)).collect();
        let won: Vec<_> = ends.iter().filter(|(status, ..)| *status == 0).collect();
        assert_eq!(won.len(), 1, "{ends:?}");
        let lost = ends.iter().find(|(status, ..)| *status == 1).unwrap();
        assert!(lost.2.contains(&format!("there is a user u{round} already")), "{lost:?}");
        let shell = item(&emulator, "Users", &format!("u{round}"))["Shell"]["S"].as_str().unwrap().to_owned();
        assert!(won[0].1.contains(&format!("shell {shell}\n")), "{won:?}");
    }
}

#[test]
fn many_join_a_group_at_once_and_none_is_lost() {
    let emulator = Emulator::with_tables();
    emulator.put("Groups", &[group_item("dev", 3000, &["gone0", "gone1", "gone2"])]);
    let office = Office::new("join", &emulator.url());
    let lines: Vec<String> = (0..6)
        .map(|n| format!("group join dev new{n}"))
        .chain((0..3).map(|n| format!("group leave dev gone{n}")))
        .collect();
    let children: Vec<Child> = lines.iter().map(|line| office.start(line)).collect();
    for (line, child) in lines.iter().zip(children) {
        let (status, out, err) = end(line, child);
        assert_eq!(status, 0, "{line}: {out}{err}");
    }
    let members = json!({"SS": (0..6).map(|n| format!("new{n}")).collect::<Vec<_>>()});
    assert_eq!(item(&emulator, "Groups", "dev")["Members"], members);
}

#[test]
fn keys_come_and_go_by_fingerprint_or_comment() {
    let emulator = Emulator::with_tables();
    emulator.put("Users", &[user_item("alice", 2001)]);
    let office = Office::new("key", &emulator.url());
    let known = format!("{LAPTOP_PRINT} (laptop)");
    assert_eq!(office.done("key add alice laptop.pub"), format!("~ keys alice: +{known}\n"));
    assert_eq!(office.done("key add alice laptop.pub"), "");
    let both = format!("# mine\n{LAPTOP}\n{PHONE}\n");
    assert!(office.given("key add alice - --expires 2031-01-02", &both).1.contains("(phone)"));
    let keys = item(&emulator, "Users", "alice")["SSHPublicKeys"]["SS"].clone();
    let expiring = |key: &str| format!("expiry-time=\"20310102\" {key}");
    assert_eq!(keys, json!([expiring(LAPTOP), expiring(PHONE)]), "the same key with another option takes its place");

    assert_eq!(office.done(&format!("key disable alice {LAPTOP_PRINT}")), format!("~ keys alice: -{known}\n"));
    assert_eq!(office.done("key disable alice laptop"), "");
    let alice = item(&emulator, "Users", "alice");
    assert_eq!(alice["DisabledSSHPublicKeys"], json!({"SS": [expiring(LAPTOP)]}));
    assert_eq!(alice["SSHPublicKeys"], json!({"SS": [expiring(PHONE)]}));
    let list = office.done("key list alice");
    assert!(list.lines().nth(2).unwrap().ends_with("2031-01-02  disabled  laptop"), "{list}");
    assert!(office.fails("key add alice laptop.pub", 1).contains("is disabled; 'ddum key enable alice SHA256:"));
    assert_eq!(office.done("key enable alice laptop"), format!("~ keys alice: +{known}\n"));
    assert_eq!(office.done("key enable alice laptop"), "");
    assert!(item(&emulator, "Users", "alice").get("DisabledSSHPublicKeys").is_none());
    office.done("key disable alice laptop");
    office.done("key delete alice laptop");
    let (_, out, err) = office.run("key delete alice phone");
    assert!(out.contains("(phone)") && err.contains("that was the last key of alice"), "{out}{err}");
    assert_eq!(item(&emulator, "Users", "alice"), user_item("alice", 2001));

    // Two keys with one comment are told apart by their fingerprints alone.
    office.given("key add alice -", &format!("{LAPTOP}\n{}", PHONE.replace("phone", "laptop")));
    assert!(office.fails("key delete alice laptop", 1).contains("2 keys called \"laptop\"; give the fingerprint"));
    // A value that is no key can be taken away too.
    let mut bob = user_item("bob", 2002);
    bob["SSHPublicKeys"] = json!({"SS": [LAPTOP.replace("ssh-ed25519", "ssh-rsa")]});
    emulator.put("Users", &[bob]);
    assert!(office.done("key list bob").contains("refused"));
}

#[test]
fn one_s_own_keys_need_no_name() {
    let emulator = Emulator::with_tables();
    emulator.put("Users", &[user_item("alice", 2001), user_item("bob", 2002)]);
    let office = Office::new("self", &emulator.url());
    assert!(office.done("key add laptop.pub --me-from-env").starts_with("~ keys alice: +"));
    for (arn, want) in [
        ("arn:aws:iam::123456789012:user/staff/bob", Ok("~ keys bob: +")),
        ("arn:aws:sts::123456789012:assumed-role/web/i-0123", Err("no IAM user; name the user")),
    ] {
        let sts = HttpServer::start(move |request| {
            assert!(request.body.contains("Action=GetCallerIdentity"), "{}", request.body);
            let body = format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                 <Arn>{arn}</Arn><UserId>AIDA</UserId><Account>123456789012</Account></GetCallerIdentityResult>\
                 <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
            );
            Reply::Answer(200, "Content-Type: text/xml\r\n".to_owned(), body)
        });
        let child = office.command("key add phone.pub").env("AWS_ENDPOINT_URL_STS", sts.url()).spawn().unwrap();
        let (status, out, err) = end("key add", child);
        match want {
            Ok(start) => assert!(status == 0 && out.starts_with(start), "{out}{err}"),
            Err(says) => assert!(status == 2 && err.contains(says), "{out}{err}"),
        }
    }
}

#[test]
fn fingerprints_are_those_of_ssh_keygen() {
    let emulator = Emulator::with_tables();
    emulator.put("Users", &[user_item("alice", 2001)]);
    let office = Office::new("keygen", &emulator.url());
    let mut compared = 0;
    let kinds = [("rsa", "1024"), ("rsa", "2048"), ("rsa", "3072"), ("dsa", "1024"), ("ed25519", "256")];
    for (kind, bits) in kinds.into_iter().chain([("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521")]) {
        let file = office.0.join(format!("{kind}{bits}"));
        let made = Command::new("ssh-keygen")
            .args(["-q", "-N", "", "-C", &format!("{kind} {bits}"), "-t", kind, "-b", bits, "-f"])
            .arg(&file)
            .status();
        // Not everywhere, and newer ones make no DSA keys.
        if !made.is_ok_and(|status| status.success()) {
            continue;
        }
        let output = Command::new("ssh-keygen").arg("-lf").arg(file.with_extension("pub")).output().unwrap();
        let line = String::from_utf8(output.stdout).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        office.done(&format!("key add alice {kind}{bits}.pub"));
        let list = office.done("key list alice");
        let ours = list.lines().find(|line| line.contains(words[1])).unwrap_or_else(|| panic!("{line}{list}"));
        let ours: Vec<&str> = ours.split_whitespace().collect();
        let theirs = [words[1], words[0], words[4].trim_matches(['(', ')']), "never", "enabled", words[2], words[3]];
        assert_eq!(ours, theirs);
        compared += 1;
    }
    assert!(compared > 3 || Command::new("ssh-keygen").arg("-?").output().is_err(), "only {compared} kinds");
}

#[test]
fn what_is_added_becomes_an_account() {
    let emulator = Emulator::with_tables();
    let office = Office::new("sync", &emulator.url());
    office.done("group add dev");
    let (status, _, err) = office.given("user add alice --groups dev --key laptop.pub --password-hash-stdin", HASH);
    assert_eq!(status, 0, "{err}");
    let root = office.0.join("root");
    std::fs::create_dir(&root).unwrap();
    let sync = format!("sync --root {}", root.display());
    let (_, out, _) = office.run(&sync);
    assert!(out.contains("+ user alice: uid 2001, gid 2001, home /home/alice, shell /bin/bash\n"), "{out}");
    let file = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    assert!(file("etc/passwd").contains("alice:x:2001:2001::/home/alice:/bin/bash\n"));
    assert!(file("etc/shadow").contains(&format!("alice:{HASH}:")));
    assert!(file("etc/group").contains("dev:x:2000:alice\n") && file("etc/group").contains("alice:x:2001:\n"));
    assert!(file("home/alice/.ssh/authorized_keys").contains(LAPTOP));
    office.done("key disable alice laptop");
    let (_, out, _) = office.run(&sync);
    assert_eq!(out, format!("~ keys alice: -{LAPTOP_PRINT} (laptop)\n"));
    assert!(!file("home/alice/.ssh/authorized_keys").contains("ssh-ed25519"));
}

/// DynamoDB's point-in-time recovery, which the emulator does not have.
fn with_backups(emulator: &Emulator) -> Proxy {
    let enabled = Mutex::new(BTreeSet::new());
    let asked = Mutex::new(BTreeSet::new());
    Proxy::start(&emulator.url(), move |request| {
        let table = request.json()["TableName"].as_str().unwrap_or_default().to_owned();
        let status = |on: bool| if on { "ENABLED" } else { "DISABLED" };
        let answer = |on: bool| {
            let description = json!({"ContinuousBackupsDescription": {
                "ContinuousBackupsStatus": "ENABLED",
                "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": status(on)},
            }});
            Some(Reply::json(200, &description))
        };
        match operation(request) {
            "UpdateContinuousBackups" if asked.lock().unwrap().insert(table.clone()) => {
                let kind = "com.amazonaws.dynamodb.v20120810#ContinuousBackupsUnavailableException";
                Some(Reply::json(400, &json!({"__type": kind, "message": "Backups are being enabled"})))
            }
            "UpdateContinuousBackups" => {
                enabled.lock().unwrap().insert(table);
                answer(true)
            }
            "DescribeContinuousBackups" => answer(enabled.lock().unwrap().contains(&table)),
            _ => None,
        }
    })
}

#[test]
fn tables_are_made_once_and_checked_after() {
    let emulator = Emulator::start();
    let proxy = with_backups(&emulator);
    let office = Office::new("create", &proxy.url());
    assert!(office.fails("tables describe", 1).contains("'ddum tables create' makes it"));
    assert!(office.fails("user list", 1).contains("user_table_name"));
    let want = "on demand, protected from deletion, point-in-time recovery";
    let dry = office.done("tables create --dry-run");
    assert!(!proxy.calls().iter().any(|(operation, _)| operation == "CreateTable"));
    assert_eq!(dry, format!("+ table Users: {want}\n+ table Groups: {want}\n"));
    assert_eq!(office.done("tables create --tag team=ops --tag cost-center="), dry);
    let made: Vec<Value> =
        proxy.calls().into_iter().filter(|(operation, _)| operation == "CreateTable").map(|(_, body)| body).collect();
    assert_eq!(made.len(), 2);
    assert_eq!(made[0]["Tags"], json!([{"Key": "team", "Value": "ops"}, {"Key": "cost-center", "Value": ""}]));
    assert_eq!(
        (&made[0]["DeletionProtectionEnabled"], &made[0]["BillingMode"]),
        (&json!(true), &json!("PAY_PER_REQUEST"))
    );
    assert_eq!(made[0]["KeySchema"], json!([{"AttributeName": "Name", "KeyType": "HASH"}]));
    assert_eq!(office.done("tables create"), "", "what is right is left alone");

    office.done("user add alice");
    let shown = office.done("tables describe");
    for line in [
        "Table Users in eu-west-1: ACTIVE",
        "  Billing:                 on demand",
        "  Protected from deletion: yes",
        "  Point-in-time recovery:  yes",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    assert!(shown.contains("An update of one host costs 2 read units, about $0.00000025; "), "{shown}");
    let described: Value = serde_json::from_str(&office.done("tables describe --json")).unwrap();
    assert_eq!(described["tables"][1]["table"], "Groups");
    assert_eq!(described["tables"][0]["point_in_time_recovery"], true);
}

#[test]
fn tables_that_others_made_are_named_where_they_are_not_right() {
    let emulator = Emulator::start();
    emulator.create_table("Users");
    emulator.call(
        "CreateTable",
        &json!({
            "TableName": "Groups", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
        }),
    );
    let proxy = with_backups(&emulator);
    let office = Office::new("others", &proxy.url());
    let (status, out, _) = office.run("tables create");
    assert_eq!(status, 3);
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines[0].starts_with("! table Users: it is not protected from deletion; 'aws dynamodb update-table"),
        "{out}"
    );
    assert!(lines[1].starts_with("! table Users: it has no point-in-time recovery; 'aws "), "{out}");
    assert_eq!(lines[2], "! table Groups: its key must be the string \"Name\" alone, and is Id");
    assert_eq!(office.run("tables create --no-backups --no-protection").1.lines().count(), 1);
    assert_eq!(office.run("tables describe").0, 3);
    assert!(
        !proxy.calls().iter().any(|(operation, _)| operation.starts_with("Create") || operation.starts_with("Update"))
    );
}

/// The permissions that a request needs, and the attributes that it names.
fn needs(operation: &str, body: &Value) -> (Vec<String>, BTreeSet<String>) {
    let parts: Vec<(&str, &Value)> = match operation {
        "TransactWriteItems" => body["TransactItems"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|item| item.as_object().unwrap())
            .map(|(kind, part)| (kind.as_str(), part))
            .collect(),
        _ => vec![(operation, body)],
    };
    let mut actions = Vec::new();
    let mut attributes = BTreeSet::new();
    for (kind, part) in parts {
        let is_part = matches!(kind, "Put" | "Update" | "Delete");
        actions.push(format!("dynamodb:{kind}{}", if is_part { "Item" } else { "" }));
        let names = part["ExpressionAttributeNames"].as_object();
        attributes.extend(names.into_iter().flatten().map(|(_, name)| name.as_str().unwrap().to_owned()));
        attributes.extend(part["Key"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
        // What an expression names is aliased, so nothing else is named.
        for expression in ["UpdateExpression", "ConditionExpression", "ProjectionExpression"] {
            let text = part[expression].as_str().unwrap_or_default();
            for word in text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '#' | ':')) {
                let known = [
                    "SET",
                    "REMOVE",
                    "ADD",
                    "DELETE",
                    "AND",
                    "contains",
                    "attribute_exists",
                    "attribute_not_exists",
                    "",
                ];
                assert!(word.starts_with(['#', ':']) || known.contains(&word), "{word} in {text}");
            }
        }
    }
    (actions, attributes)
}

fn policy(office: &Office, role: &str) -> (Value, Vec<String>) {
    let policy: Value =
        serde_json::from_str(&office.done(&format!("tables policy {role} --account 123456789012"))).unwrap();
    let statements = policy["Statement"].as_array().unwrap().clone();
    let actions = statements.iter().flat_map(|statement| statement["Action"].as_array().unwrap().clone());
    let actions = actions.map(|action| action.as_str().unwrap().to_owned()).collect();
    assert_eq!(policy["Version"], "2012-10-17");
    (policy, actions)
}

#[test]
fn the_policies_allow_what_the_commands_send_and_hardly_more() {
    let emulator = Emulator::start();
    let proxy = with_backups(&emulator);
    let office = Office::new("policy", &proxy.url());
    office.done("tables create --tag a=b");
    office.done("tables describe");
    office.done("group add dev");
    office.done("user add alice --groups dev --key laptop.pub");
    office.done("user set alice --shell /bin/zsh");
    office.done("user list");
    office.done("user show alice");
    office.done("group leave dev alice");
    office.done("group delete dev --yes");
    let (document, allowed) = policy(&office, "admin");
    let needed: BTreeSet<String> =
        proxy.calls().iter().flat_map(|(operation, body)| needs(operation, body).0).collect();
    for action in &needed {
        assert!(allowed.contains(action), "{action}");
    }
    // Tags are set by CreateTable and listed by people.
    let spare: Vec<&String> = allowed.iter().filter(|action| !needed.contains(*action)).collect();
    assert_eq!(spare, ["dynamodb:TagResource", "dynamodb:ListTagsOfResource"]);
    let arn = |table: &str| format!("arn:aws:dynamodb:eu-west-1:123456789012:table/{table}");
    assert_eq!(document["Statement"][0]["Resource"], json!([arn("Users"), arn("Groups")]));

    let (_, allowed) = policy(&office, "reader");
    assert_eq!(allowed, ["dynamodb:Scan"]);
    let before = proxy.calls().len();
    let root = office.0.join("root");
    std::fs::create_dir(&root).unwrap();
    office.run(&format!("sync --root {}", root.display()));
    let calls = proxy.calls();
    assert!(calls.len() > before && calls[before..].iter().all(|(operation, _)| operation == "Scan"));

    let (document, allowed) = policy(&office, "self");
    let before = proxy.calls().len();
    for line in [
        "key list alice",
        "key add alice phone.pub",
        "key add alice phone.pub --expires 2031-01-01",
        "key disable alice laptop",
        "key enable alice laptop",
        "key disable alice phone",
        "key delete alice phone",
        "key delete alice laptop",
    ] {
        office.done(line);
    }
    let statement = |sid: &str| {
        let statements = document["Statement"].as_array().unwrap();
        statements.iter().find(|statement| statement["Sid"] == sid).unwrap()["Condition"].clone()
    };
    let calls = proxy.calls();
    let mut seen = BTreeSet::new();
    for (operation, body) in &calls[before..] {
        let (actions, attributes) = needs(operation, body);
        assert!(actions.iter().all(|action| allowed.contains(action)), "{actions:?}");
        let condition = statement(if operation == "GetItem" { "ReadOwnKeys" } else { "WriteOwnKeys" });
        let own = condition["ForAllValues:StringEquals"]["dynamodb:Attributes"].as_array().unwrap();
        assert!(attributes.iter().all(|attribute| own.contains(&json!(attribute))), "{attributes:?}");
        assert_eq!(condition["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"], json!(["${aws:username}"]));
        assert_eq!(condition["Null"], json!({"dynamodb:LeadingKeys": "false", "dynamodb:Attributes": "false"}));
        assert_eq!(body["Key"], json!({"Name": {"S": "alice"}}));
        match operation.as_str() {
            // Select is SPECIFIC_ATTRIBUTES exactly when attributes are projected.
            "GetItem" => assert!(body["ProjectionExpression"].is_string(), "{body}"),
            _ => {
                let returned = condition["StringEquals"]["dynamodb:ReturnValues"].as_array().unwrap();
                assert!(returned.contains(&body["ReturnValues"]), "{body}");
                assert!(body["ConditionExpression"].as_str().unwrap().starts_with("attribute_exists(#name)"), "{body}");
            }
        }
        seen.insert(operation.clone());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["GetItem", "UpdateItem"]);
}

/// The command at a terminal, where `answer` is typed; none where there is no script(1).
fn at_a_terminal(office: &Office, line: &str, answer: &str) -> Option<(i32, String)> {
    let command = format!("{} {line} -c {}", env!("CARGO_BIN_EXE_ddum"), office.0.join("ddum.cfg").display());
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = script.spawn().ok()?;
    child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
    let (status, out, err) = end(line, child);
    Some((status, out + &err))
}

#[test]
fn who_sits_at_a_terminal_is_asked_before_something_is_taken_away() {
    let emulator = Emulator::with_tables();
    let mut alice = user_item("alice", 2001);
    alice["SSHPublicKeys"] = json!({"SS": [LAPTOP]});
    emulator.put("Users", &[alice]);
    emulator.put("Groups", &[group_item("dev", 3000, &["alice"])]);
    let office = Office::new("terminal", &emulator.url());
    let before = (items(&emulator, "Users"), items(&emulator, "Groups"));
    let lines = [
        "user delete alice",
        "user expire alice",
        "group leave dev alice",
        "group delete dev",
        "key disable alice laptop",
    ];
    for line in lines {
        for answer in ["n\n", "\n", "\u{4}"] {
            let Some((status, said)) = at_a_terminal(&office, line, answer) else { return };
            assert!(status == 0 && said.contains("[y/N]") && said.contains("nothing was written"), "{line}: {said}");
        }
    }
    assert_eq!((items(&emulator, "Users"), items(&emulator, "Groups")), before);
    let (status, said) = at_a_terminal(&office, "user delete alice", "y\n").unwrap();
    assert!(status == 0 && said.contains("- user alice"), "{said}");
    let (status, said) = at_a_terminal(&office, "group delete dev --yes", "").unwrap();
    assert!(status == 0 && !said.contains("[y/N]"), "{said}");
    assert_eq!(items(&emulator, "Users").len() + items(&emulator, "Groups").len(), 0);
}
