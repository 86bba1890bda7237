//! Two ddums on one host take turns: what was scanned earlier never comes over what was scanned later.
#![expect(clippy::disallowed_methods, reason = "the tree of a test is its own")]
#![expect(clippy::unwrap_used, reason = "functions shared by tests are not tests to clippy")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBfzUc9s53y3Ig1NMYEI6otXwfhAKwVfblkUccnKCpEI laptop";
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILJjVc9qa2ORpiMJ5uRQPxDr7xRxwmn1iwbhpN1eeRKL phone";

/// Far more than any step takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A tree that is gone when the test is over.
struct Host(PathBuf);

impl Host {
    fn new(name: &str) -> Self {
        let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("turns-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&base);
        std::fs::create_dir_all(&base).unwrap();
        std::fs::write(base.join("groups.json"), "[]").unwrap();
        Self(base)
    }

    /// A ddum that reads the users from its standard input, and so scans for as long as we like.
    fn start(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_ddum"))
            .arg("--root")
            .arg(self.0.join("root"))
            .args(["--users", "-", "--groups"])
            .arg(self.0.join("groups.json"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// One that has its turn, and scans.
    fn scanning(&self) -> Child {
        let child = self.start(&["sync"]);
        let pid = child.id().to_string();
        let is_its = |line: &str| line.contains("FLOCK") && line.split_ascii_whitespace().any(|word| word == pid);
        let until = Instant::now() + PATIENCE;
        while !std::fs::read_to_string("/proc/locks").unwrap().lines().any(is_its) {
            assert!(Instant::now() < until, "it takes no turn");
            std::thread::sleep(Duration::from_millis(10));
        }
        child
    }

    fn keys(&self) -> String {
        std::fs::read_to_string(self.0.join("root/home/alice/.ssh/authorized_keys")).unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Ends the scan of `child`, which finds alice with these keys, and gives its exit status with all that it said.
fn finish(mut child: Child, keys: &[&str]) -> (Option<i32>, String) {
    let keys: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
    let item = format!(
        r#"[{{"Name":{{"S":"alice"}},"UID":{{"N":"2001"}},"GID":{{"N":"2001"}},"Home":{{"S":"/home/alice"}},"SSHPublicKeys":{{"SS":[{}]}}}}]"#,
        keys.join(",")
    );
    child.stdin.take().unwrap().write_all(item.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said.into_owned())
}

/// Reads what a ddum says until it waits. Everything after that can still be read.
fn says_that_it_waits(child: &mut Child) -> BufReader<ChildStderr> {
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        sender.send((line, said))
    });
    let (line, said) = receiver.recv_timeout(PATIENCE).unwrap();
    assert!(line.contains("waiting until process ") && line.contains(" ends its update of this host"), "{line}");
    said
}

#[test]
fn a_sync_that_scanned_earlier_does_not_bring_a_revoked_key_back() {
    let host = Host::new("order");
    assert_eq!(finish(host.start(&["sync"]), &[KEY, OTHER]).0, Some(0));
    let early = host.scanning();
    let mut late = host.start(&["sync"]);
    let mut said = says_that_it_waits(&mut late);
    // Who only looks waits for nobody.
    for arguments in [&["sync", "--dry-run"][..], &["check"]] {
        let (status, words) = finish(host.start(arguments), &[KEY]);
        assert!(status == Some(0) && !words.contains("waiting"), "{words}");
    }
    let (status, words) = finish(early, &[KEY, OTHER]);
    assert_eq!(status, Some(0), "{words}");
    let status = finish(late, &[KEY]).0;
    let mut words = String::new();
    said.read_to_string(&mut words).unwrap();
    assert_eq!(status, Some(0), "{words}");
    assert!(host.keys().contains(KEY) && !host.keys().contains(OTHER), "{}", host.keys());
}

#[test]
fn a_killed_one_leaves_its_turn_to_the_next() {
    let host = Host::new("killed");
    assert_eq!(finish(host.start(&["sync"]), &[KEY, OTHER]).0, Some(0));
    let mut early = host.scanning();
    let mut late = host.start(&["sync"]);
    let _said = says_that_it_waits(&mut late);
    early.kill().unwrap();
    early.wait().unwrap();
    assert_eq!(finish(late, &[KEY]).0, Some(0));
    assert!(!host.keys().contains(OTHER));
}
