//! A program that crashes keeps its secrets: in its words, and in the memory that a kernel may write to a file.
#![expect(clippy::disallowed_methods, reason = "the tree of a test is its own")]

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MARK: &str = "plantedmarker";

#[test]
#[ignore = "run by the test below, as a process that may crash"]
fn child() {
    ddum::logging::withhold_words();
    let line = format!("alice:$6${MARK}$é:20000::::::");
    let worker = std::thread::Builder::new().name("worker".to_owned());
    // The kind of mistake that quotes what it was at.
    let inside = line.find('é').unwrap() + 1;
    let quoting = worker.spawn(move || line.split_at(inside).0.len());
    assert!(quoting.unwrap().join().is_err());
    panic!("{MARK}");
}

#[test]
fn a_panic_tells_its_place_and_nothing_that_it_was_at() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env("RUST_BACKTRACE", "full")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains(MARK), "{said}");
    assert!(said.contains("internal error at tests/crash.rs:") && said.contains("in the thread worker;"), "{said}");
}

#[test]
fn no_core_file_may_hold_the_memory() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("NOT TESTED: core files; only root can become another user here");
        return;
    }
    let tree = std::env::temp_dir().join(format!("ddum-crash-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&tree);
    std::fs::create_dir_all(&tree).unwrap();
    std::os::unix::fs::chown(&tree, Some(2001), Some(2001)).unwrap();
    // Below the build's directory another user may reach nothing, not even the program.
    let program = tree.join("ddum");
    std::fs::copy(env!("CARGO_BIN_EXE_ddum"), &program).unwrap();
    // Waiting for its tables on standard input. The kernel gives /proc/PID to root when the process may not be dumped;
    // one that may belongs to its user.
    let start = || {
        Command::new(&program)
            .arg("--root")
            .arg(&tree)
            .args(["--users", "-", "--groups", "/dev/null", "sync", "--dry-run"])
            .uid(2001)
            .gid(2001)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
    };
    let until = Instant::now() + Duration::from_secs(60);
    let mut child = loop {
        match start() {
            Ok(child) => break child,
            // What the test beside this one is just starting still has the descriptor that the copy was written by.
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => panic!("{error}"),
        }
    };
    let environ = format!("/proc/{}/environ", child.id());
    let owner = || std::fs::metadata(&environ).unwrap().uid();
    while owner() != 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    let found = owner();
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_dir_all(&tree).unwrap();
    assert_eq!(found, 0, "the process may be dumped");
}
