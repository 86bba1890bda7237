//! What is written, what is not, and what is asked before.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::office::*;
use super::support::emulator::Emulator;
use super::support::proxy::Proxy;
use super::support::{group_item, user_item};

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
        ("user list --dry-run", 2, "'--dry-run' does not belong to 'list'"),
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
        ("key add bob", 1, "'ddum key add bob FILE' adds keys of a user bob"),
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

#[test]
fn programs_are_told_what_was_written() {
    let emulator = Emulator::with_tables();
    let office = Office::new("json", &emulator.url());
    for (line, dry, changes, more) in [
        ("group add dev", false, "+ group dev", json!({"gid": 2000})),
        ("group add dev2 --dry-run", true, "+ group dev2", json!({"gid": 2001})),
        (
            "user add alice --groups dev --key laptop.pub",
            false,
            "+ user alice, + group alice, ~ group dev, ~ keys alice",
            json!({"uid": 2001, "gid": 2001}),
        ),
        ("user set alice --shell /bin/zsh", false, "~ user alice", json!({})),
        ("user set alice --shell /bin/zsh", false, "", json!({})),
        ("user expire alice 2031-01-01", false, "~ user alice", json!({})),
        ("user expire alice 2031-01-01", false, "", json!({})),
        ("user enable alice", false, "~ user alice", json!({})),
        ("user enable alice", false, "", json!({})),
        ("group join dev alice", false, "", json!({})),
        ("group leave dev alice", false, "~ group dev", json!({})),
        ("group leave dev alice", false, "", json!({})),
        ("group join dev alice", false, "~ group dev", json!({})),
        ("group set dev --administrators alice", false, "~ group dev", json!({})),
        ("group set dev --administrators alice", false, "", json!({})),
        ("key add alice phone.pub", false, "~ keys alice", json!({})),
        ("key add alice phone.pub", false, "", json!({})),
        ("key disable alice phone", false, "~ keys alice", json!({})),
        ("key disable alice phone", false, "", json!({})),
        ("key enable alice phone", false, "~ keys alice", json!({})),
        ("key enable alice phone", false, "", json!({})),
        ("key delete alice phone --dry-run", true, "~ keys alice", json!({})),
        ("key delete alice phone", false, "~ keys alice", json!({})),
        ("user delete alice --yes", false, "- user alice", json!({})),
        ("group delete dev --yes", false, "- group dev", json!({})),
        ("tables create --no-protection --no-backups", false, "", json!({})),
    ] {
        let told: Value = serde_json::from_str(&office.done(&format!("{line} --json"))).unwrap();
        let list: Vec<String> = told["changes"].as_array().unwrap().iter().map(short).collect();
        assert_eq!((list.join(", "), &told["dry_run"]), (changes.to_owned(), &json!(dry)), "{line}: {told}");
        for (name, value) in more.as_object().unwrap() {
            assert_eq!(&told[name], value, "{line}: {told}");
        }
    }
    let other = Emulator::start();
    let office = Office::new("json-tables", &other.url());
    let told: Value = serde_json::from_str(&office.done("tables create --no-backups --json")).unwrap();
    let list: Vec<String> = told["changes"].as_array().unwrap().iter().map(short).collect();
    assert_eq!(list, ["+ table Users", "+ table Groups"]);
}

fn short(change: &Value) -> String {
    ["sign", "kind", "name"].map(|part| change[part].as_str().unwrap()).join(" ")
}

#[test]
fn what_is_over_before_it_begins_is_said_to_be() {
    let emulator = Emulator::with_tables();
    let office = Office::new("past", &emulator.url());
    let (_, _, err) = office.run("user add alice --expires 2020-01-01 --key laptop.pub");
    assert!(err.contains("warning: the account is closed from the start; 'ddum user enable alice' opens it"), "{err}");
    office.done("user enable alice");
    let (_, _, err) = office.run("user set alice --expires 2020-01-01");
    assert!(
        err.contains("warning: hosts close the account of alice with their next update; 'ddum user enable"),
        "{err}"
    );
    assert!(!office.run("user set alice --expires 2020-01-02").2.contains("close the account"));
    let (_, _, err) = office.run("key add alice phone.pub --expires 2020-01-01");
    assert!(err.contains("warning: sshd takes no key that expires on 2020-01-01: that day has begun"), "{err}");
    let list = office.done("key list alice");
    assert!(list.lines().any(|line| line.contains("  2020-01-01, past  enabled  phone")), "{list}");
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
        "key delete alice laptop",
        "user set alice --expires 2020-01-01",
        "user set alice --unset Shell",
        "group set dev --members bob",
        "group set dev --unset Members",
    ];
    for line in lines {
        for answer in ["n\n", "\n", "\u{4}"] {
            let Some((status, said)) = at_a_terminal(&office, line, answer) else {
                not_checked("questions at a terminal; there is no script(1) here");
                return;
            };
            assert!(status == 0 && said.contains("[y/N]") && said.contains("nothing was written"), "{line}: {said}");
        }
    }
    assert_eq!((items(&emulator, "Users"), items(&emulator, "Groups")), before);
    for line in
        ["user set alice --shell /bin/zsh", "group set dev --members alice,bob", "user set alice --unset Home -y"]
    {
        let (status, said) = at_a_terminal(&office, line, "").unwrap();
        assert!(status == 0 && !said.contains("[y/N]") && said.contains('~'), "{line}: {said}");
    }
    let (status, said) = at_a_terminal(&office, "user delete alice", "y\n").unwrap();
    assert!(status == 0 && said.contains("- user alice"), "{said}");
    let (status, said) = at_a_terminal(&office, "group delete dev --yes", "").unwrap();
    assert!(status == 0 && !said.contains("[y/N]"), "{said}");
    assert_eq!(items(&emulator, "Users").len() + items(&emulator, "Groups").len(), 0);
}
