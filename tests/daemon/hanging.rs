//! A daemon whose tables, log or credentials hang.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Pid, Signal};

use super::tree::*;

#[test]
fn sigterm_ends_a_daemon_whose_tables_are_files_that_hang() {
    let tree = Tree::new("hangs");
    std::fs::remove_file(tree.path("users.json")).unwrap();
    // Nobody ever writes to it: open(2) waits.
    assert!(Command::new("mkfifo").arg(tree.path("users.json")).status().unwrap().success());
    let mut daemon = tree.foreground();
    assert!(soon(|| tree.logged("started") == 1), "{}", tree.read("log"));
    let tasks = format!("/proc/{}/task", daemon.0.id());
    let named = |task: PathBuf| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name == "ddum-scan\n");
    let is_scanning = || std::fs::read_dir(&tasks).unwrap().any(|task| named(task.unwrap().path()));
    assert!(soon(is_scanning), "{}", tree.read("log"));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end(), Some(0), "{}", tree.read("log"));
    assert!(!tree.path("root/run/ddum.pid").exists());
}

/// A server at a free port, and what it was asked: `answer` is all that it ever says.
fn server(answer: Option<&'static str>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            if let Some(answer) = answer {
                let mut request = [0; 16 << 10];
                let _ = stream.read(&mut request);
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{answer}",
                    answer.len()
                );
            } else {
                silent.push(stream);
            }
        }
    });
    (url, asked)
}

#[test]
fn sighup_leaves_a_scan_that_hangs_for_the_one_that_is_configured_now() {
    let tree = Tree::new("leaves");
    let (silent, asked) = server(None);
    let (good, _) = server(Some(r#"{"Items":[],"Count":0,"ScannedCount":0}"#));
    let keys = r#""aws_access_key": "AKIATEST", "aws_secret_key": "TESTSECRET", "aws_region": "test-1""#;
    let configure = |url: &str| tree.configure(&format!(r#"{keys}, "endpoint_url": "{url}""#));
    configure(&silent);
    let mut command = tree.ddum(&["-p", "/run/ddum.pid", "-f"]);
    let mut daemon = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    assert!(soon(|| asked.load(Ordering::SeqCst) > 0), "{}", tree.read("log"));
    configure(&good);
    daemon.signal(Signal::HUP);
    assert!(soon(|| tree.logged("0 users and 0 groups from tables") == 1), "{}", tree.read("log"));
    let log = tree.read("log");
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("{text}: {log}"));
    assert!(at("update left before its end") < at("configuration read again"), "{log}");
    assert!(!log.contains("update failed"), "{log}");

    configure(&silent);
    let before = asked.load(Ordering::SeqCst);
    daemon.signal(Signal::HUP);
    assert!(soon(|| asked.load(Ordering::SeqCst) > before), "{}", tree.read("log"));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end(), Some(0));
}

/// Log outputs that take nothing for a while: the update is made, the end comes in time, and what was lost is told.
#[test]
fn no_update_waits_for_a_log_that_nobody_reads() {
    let tree = Tree::new("unread");
    let socket = std::env::temp_dir().join(format!("ddum-unread-{}", std::process::id()));
    let _ = std::fs::remove_file(&socket);
    // It is there, and nobody takes what it gets.
    let syslog = UnixDatagram::bind(&socket).unwrap();
    tree.write(
        "config",
        &format!(
            r#"{{"full_update_jitter": 0, "create_home": false, "logging": {{"version": 1, "handlers": {{
            "stream": {{"class": "logging.StreamHandler"}},
            "syslog": {{"class": "logging.handlers.SysLogHandler", "address": "{}"}}}},
            "root": {{"level": "INFO", "handlers": ["stream", "syslog"]}}}}}}"#,
            socket.display()
        ),
    );
    let names: Vec<String> = (0..20_000).map(|number| format!("user{number:05}")).collect();
    tree.users(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut command = tree.daemon(&["-f"]);
    // A pipe that is full after 64 KiB, of 1.5 MB that the first update has to say.
    let mut daemon = Running(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    assert!(soon(|| tree.has_user("user19999")), "the update is made");
    let status = || tree.read("root/run/ddum/status.json").contains(r#""result": "done""#);
    assert!(soon(status), "{}", tree.read("root/run/ddum/status.json"));
    std::fs::remove_file(tree.path("users.json")).unwrap();
    daemon.signal(Signal::USR1);
    let status = || tree.read("root/run/ddum/status.json").contains(r#""result": "failed""#);
    assert!(soon(status), "the next one too");

    // Somebody reads again.
    let mut stderr = daemon.0.stderr.take().unwrap();
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let paper = Arc::clone(&told);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stderr.read(&mut buffer) {
            paper.lock().unwrap().extend_from_slice(&buffer[..length]);
        }
    });
    let told = || String::from_utf8_lossy(&told.lock().unwrap()).into_owned();
    assert!(
        soon(|| {
            daemon.signal(Signal::USR1);
            told().contains("log lines that could not be written here and are lost: ")
        }),
        "{}",
        told().lines().count()
    );
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end(), Some(0));
    drop(syslog);
    std::fs::remove_file(&socket).unwrap();
}

#[test]
fn sigterm_ends_a_daemon_whose_log_nobody_reads() {
    let tree = Tree::new("full");
    tree.write("config", r#"{"full_update_jitter": 0, "create_home": false}"#);
    let names: Vec<String> = (0..4_000).map(|number| format!("user{number:04}")).collect();
    tree.users(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut command = tree.daemon(&["-f"]);
    let mut daemon = Running(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    assert!(soon(|| tree.read("root/run/ddum/status.json").contains("done")));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end(), Some(0));
    assert!(!tree.path("root/run/ddum.pid").exists());
}

#[test]
fn a_credential_process_that_hangs_ends_with_its_scan() {
    let tree = Tree::new("credentials");
    let (url, _) = server(None);
    tree.write("ask", "echo $$ >\"$1\"\nexec sleep 600\n");
    let (ask, pid) = (tree.path("ask"), tree.path("asked"));
    tree.write("aws", &format!("[profile slow]\ncredential_process = sh {} {}\n", ask.display(), pid.display()));
    let configure = |more: &str| {
        tree.configure(&format!(r#""aws_region": "test-1", "endpoint_url": "{url}"{more}"#));
    };
    configure(r#", "aws_profile": "slow""#);
    let mut command = tree.ddum(&["-p", "/run/ddum.pid", "-f"]);
    command.env("AWS_CONFIG_FILE", tree.path("aws")).env("AWS_EC2_METADATA_DISABLED", "true");
    let mut daemon = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let asked = || Pid::from_raw(tree.read("asked").trim().parse().ok()?);
    assert!(soon(|| asked().is_some()), "{}", tree.read("log"));
    let asked = asked().unwrap();
    assert!(alive(asked));
    configure(r#", "aws_access_key": "AKIATEST", "aws_secret_key": "TESTSECRET""#);
    daemon.signal(Signal::HUP);
    assert!(soon(|| !alive(asked)), "{}", tree.read("log"));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end(), Some(0));
}
