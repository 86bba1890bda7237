//! `ddum sync` against tables: the real binary, a DynamoDB that is not ours, and one that misbehaves.
#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]
#![expect(clippy::disallowed_methods, reason = "the tree of a test is its own")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::emulator::Emulator;
use support::faults::{Fault, FaultServer};
use support::{group_item, user_item};

const KEYS: [&str; 2] = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA+WWckC5HovqsNXGLGG/vIPqy97mAHpc3xSmzlXbY+t laptop",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMq2fu8Z0lBIrpi1MC1EAtSzXZHrUvk9Y5UX7GSkO3bH phone",
];

/// A host in a directory of its own, following the tables at one address.
struct Host(PathBuf);

impl Host {
    fn new(name: &str, url: &str, more: &Value) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tables-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        let etc = path.join("root/etc");
        std::fs::create_dir_all(&etc).unwrap();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/etc/debian");
        for file in ["passwd", "shadow", "group", "gshadow"] {
            std::fs::copy(fixture.join(file), etc.join(file)).unwrap();
        }
        let host = Self(path);
        host.configure(url, more);
        host
    }

    fn configure(&self, url: &str, more: &Value) {
        let mut config = json!({
            "endpoint_url": url, "aws_region": "eu-west-1",
            "aws_access_key": "AKIDEXAMPLE", "aws_secret_key": "planted-secret-key",
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        std::fs::write(self.0.join("ddum.cfg"), config.to_string()).unwrap();
    }

    fn sync(&self) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_ddum"))
            .args(["-v", "sync", "-c"])
            .arg(self.0.join("ddum.cfg"))
            .arg("--root")
            .arg(self.0.join("root"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(!out.contains("planted-secret") && !err.contains("planted-secret"), "{out}{err}");
        assert!(!out.contains("$6$") && !err.contains("$6$"), "{out}{err}");
        (output.status.code().unwrap(), out, err)
    }

    /// Every file of the tree but the reports of updates, with its content.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut out = BTreeMap::new();
        let mut pending = vec![self.0.join("root")];
        while let Some(path) = pending.pop() {
            if path.is_dir() {
                pending.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            } else if !path.starts_with(self.0.join("root/run")) {
                out.insert(path.clone(), std::fs::read(&path).unwrap());
            }
        }
        out
    }

    fn read(&self, path: &str) -> String {
        String::from_utf8(std::fs::read(self.0.join("root").join(path)).unwrap()).unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

fn with_keys(mut item: Value, keys: &[&str]) -> Value {
    item["SSHPublicKeys"] = json!({"SS": keys});
    item
}

#[test]
fn a_host_follows_tables_of_many_pages() {
    let emulator = Emulator::with_tables();
    // 400 items of about 5 kB: two pages of 1 MB, whatever limit of items a page has.
    let filler: Vec<Value> = (0..400)
        .map(|i| {
            let mut item = user_item(&format!("user{i:03}"), 20000 + i);
            item["Ignored"] = json!({"S": "x".repeat(5000)});
            item["Password"] = json!({"S": "$6$planted$secrethash"});
            with_keys(item, &KEYS)
        })
        .collect();
    emulator.put("Users", &filler);
    emulator.put("Groups", &[group_item("crew", 9000, &["user000", "user399"]), group_item("sudo", 27, &["user007"])]);
    let host = Host::new("pages", &emulator.url(), &json!({}));
    let (status, out, err) = host.sync();
    assert_eq!(status, 0, "{out}{err}");
    assert_eq!(out.lines().filter(|l| l.starts_with("+ user ")).count(), 400);
    assert!(host.read("etc/group").contains("crew:x:9000:user000,user399\n"));
    assert!(host.read("etc/group").lines().any(|l| l.starts_with("sudo:x:27:") && l.ends_with("user007")));
    assert_eq!(host.read("home/user399/.ssh/authorized_keys").matches("ssh-ed25519").count(), 2);
    assert!(host.read("run/ddum/status.json").contains("\"source\": \"tables Users and Groups in eu-west-1\""));

    let before = host.files();
    let (status, out, _) = host.sync();
    assert_eq!((status, out.as_str()), (0, ""));
    assert_eq!(host.files(), before);

    // A key goes, a user expires, a member leaves: all in the next update.
    emulator.put("Users", &[with_keys(user_item("user000", 20000), &KEYS[..1])]);
    let mut expired = with_keys(user_item("user001", 20001), &KEYS);
    expired["AccountExpireDate"] = json!({"S": "2020-01-01"});
    emulator.put("Users", &[expired]);
    emulator.put("Groups", &[group_item("crew", 9000, &["user399"])]);
    emulator.delete("Users", "user002");
    let (status, out, err) = host.sync();
    assert_eq!(status, 0, "{out}{err}");
    assert!(!host.read("home/user000/.ssh/authorized_keys").contains("phone"));
    assert!(!host.read("home/user001/.ssh/authorized_keys").contains("ssh-"));
    assert!(host.read("etc/group").contains("crew:x:9000:user399\n"));
    assert!(host.read("etc/passwd").contains("user002:"), "an account is never deleted");
}

#[test]
fn whatever_goes_wrong_with_a_scan_leaves_the_accounts_as_they_were() {
    let pages = |count: u32| -> Vec<Vec<Value>> {
        (0..count).map(|page| vec![user_item(&format!("user{page}"), 20000 + page)]).collect()
    };
    let groups = || vec![vec![group_item("crew", 9000, &["user0"])]];
    for (name, table, page, fault, status, says) in [
        ("dropped", "Users", 2, Fault::Drop, 75, "cannot scan table \"Users\""),
        ("truncated", "Users", 2, Fault::Truncated, 75, "cannot scan table \"Users\""),
        ("broken", "Users", 3, Fault::InternalError, 75, "cannot scan table \"Users\""),
        ("html", "Users", 2, Fault::Html, 1, "cannot scan table \"Users\""),
        ("empty", "Users", 1, Fault::Empty, 1, "cannot scan table \"Users\""),
        ("circle", "Users", 2, Fault::RepeatedKey, 1, "cannot scan table \"Users\""),
        ("denied", "Groups", 1, Fault::Denied, 1, "dynamodb:Scan"),
        ("missing", "Groups", 1, Fault::Missing, 1, "group_table_name"),
        ("expired", "Users", 1, Fault::Expired, 1, "cannot scan table \"Users\""),
    ] {
        let server = FaultServer::builder().pages("Users", pages(3)).pages("Groups", groups());
        let server = server.fault(table, page, usize::MAX, fault).start();
        let host = Host::new(name, &server.url(), &json!({}));
        let before = host.files();
        let (got, out, err) = host.sync();
        assert_eq!(got, status, "{name}: {out}{err}");
        let line = err
            .lines()
            .find(|l| l.starts_with("ddum: ") && l.contains(says))
            .unwrap_or_else(|| panic!("{name}: {err}"));
        assert!(line.contains("accounts left as they were"), "{name}: {line}");
        assert_eq!(host.files(), before, "{name}");
        assert!(host.read("run/ddum/status.json").contains("\"result\": \"failed\""), "{name}");
    }
}

#[test]
fn an_answer_that_would_fill_the_memory_or_the_stack_is_given_up_before_it_does() {
    for (name, fault, says) in [
        ("endless", Fault::Endless, "longer than 32 MiB"),
        ("many", Fault::ManyValues, "more values than any page"),
        ("deep", Fault::Deep, "deeper than any item"),
    ] {
        let pages = vec![vec![user_item("alice", 20000)], vec![user_item("bob", 20001)]];
        let server = FaultServer::builder().pages("Users", pages).pages("Groups", vec![vec![]]);
        let server = server.fault("Users", 2, usize::MAX, fault).start();
        let host = Host::new(name, &server.url(), &json!({}));
        let before = host.files();
        let started = Instant::now();
        // The kernel's word for "no more": an allocation that fails ends the program by a signal.
        let output = Command::new("sh")
            .args(["-c", "ulimit -v 1000000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_ddum"), "sync", "-c"])
            .arg(host.0.join("ddum.cfg"))
            .arg("--root")
            .arg(host.0.join("root"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(75), "{name} {:?}: {said}", output.status);
        assert!(said.contains("accounts left as they were") && said.contains(says), "{name}: {said}");
        assert!(started.elapsed() < Duration::from_secs(300), "{name} {:?}", started.elapsed());
        assert_eq!(host.files(), before, "{name}");
    }
}

#[test]
fn a_scan_that_is_throttled_for_a_while_goes_through() {
    let server = FaultServer::builder()
        .pages("Users", vec![vec![user_item("alice", 20000)], vec![user_item("bob", 20001)]])
        .pages("Groups", vec![vec![]])
        .fault("Users", 2, 2, Fault::Throttled)
        .start();
    let host = Host::new("throttled", &server.url(), &json!({"consistent_read": false}));
    let (status, out, err) = host.sync();
    assert_eq!(status, 0, "{out}{err}");
    assert!(host.read("etc/passwd").contains("bob:"));
    assert!(server.scans_of("Users").iter().all(|scan| scan["ConsistentRead"] != json!(true)));
}

#[test]
fn a_missing_table_and_a_wrong_endpoint_are_told_in_time() {
    let emulator = Emulator::with_tables();
    let host = Host::new("names", &emulator.url(), &json!({"user_table_name": "Nobody"}));
    let before = host.files();
    let (status, _, err) = host.sync();
    assert!(status == 1 && err.contains("\"Nobody\"") && err.contains("user_table_name"), "{status} {err}");
    // Port 9 of loopback: refused at once.
    host.configure("http://127.0.0.1:9/", &json!({}));
    let started = Instant::now();
    let (status, _, err) = host.sync();
    assert!(status == 75 && err.contains("accounts left as they were"), "{status} {err}");
    assert!(started.elapsed() < Duration::from_secs(120));
    assert_eq!(host.files(), before);
}

#[test]
fn user_defaults_fill_what_items_lack() {
    let emulator = Emulator::with_tables();
    emulator.put("Users", &[json!({"Name": {"S": "alice"}, "UID": {"N": "20000"}})]);
    let defaults =
        json!({"user_defaults": {"GID": 100, "Home": "/srv/{name}", "Shell": "/bin/zsh", "RealName": "{name} of us"}});
    let host = Host::new("defaults", &emulator.url(), &defaults);
    let (status, out, err) = host.sync();
    assert_eq!(status, 0, "{out}{err}");
    assert!(host.read("etc/passwd").contains("alice:x:20000:100:alice of us:/srv/alice:/bin/zsh\n"));
    host.configure(&emulator.url(), &json!({}));
    let (status, out, _) = host.sync();
    assert!(status == 3 && out.contains("! user alice: GID"), "{out}");
    assert!(host.read("etc/passwd").contains("alice of us"), "a refused item leaves its account");
}
