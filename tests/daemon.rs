//! The daemon as an administrator meets it: the real binary on a tree of its own, its tables in files.
#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]
#![expect(clippy::disallowed_methods, reason = "a test makes its own files")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A directory of its own with a configuration, two tables and a root; gone when the test is over, with the daemon
/// that its pidfile names.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let tree = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("daemon-{name}-{}", std::process::id())));
        let _ = std::fs::remove_dir_all(&tree.0);
        for directory in ["root/etc", "root/run", "root/home"] {
            std::fs::create_dir_all(tree.path(directory)).unwrap();
            std::fs::set_permissions(tree.path(directory), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        for (file, text, mode) in [
            ("passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644),
            ("shadow", "root:*:19000:0:99999:7:::\n", 0o640),
            ("group", "root:x:0:\n", 0o644),
            ("gshadow", "root:*::\n", 0o640),
        ] {
            let path = tree.path("root/etc").join(file);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        tree.write("groups.json", r#"[{"Name":{"S":"people"},"GID":{"N":"2000"}}]"#);
        tree.users(&["alice"]);
        tree.configure("");
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    /// Whole at once, as a daemon may be reading.
    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.path("new"), text).unwrap();
        std::fs::rename(self.path("new"), self.path(path)).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    /// The configuration, with `more` keys and a log in `log`.
    fn configure(&self, more: &str) {
        let comma = if more.is_empty() { "" } else { "," };
        let text = format!(
            r#"{{"full_update_jitter": 0, "create_home": false, "logging": {{"version": 1,
            "handlers": {{"file": {{"class": "logging.handlers.WatchedFileHandler", "filename": "{}"}}}},
            "root": {{"level": "INFO", "handlers": ["file"]}}}}{comma}{more}}}"#,
            self.path("log").display()
        );
        self.write("config", &text);
    }

    fn users(&self, names: &[&str]) {
        let item = |(index, name): (usize, &&str)| {
            let id = 2000 + index;
            format!(
                r#"{{"Name":{{"S":"{name}"}},"UID":{{"N":"{id}"}},"GID":{{"N":"2000"}},"Home":{{"S":"/home/{name}"}}}}"#
            )
        };
        self.write("users.json", &format!("[{}]", names.iter().enumerate().map(item).collect::<Vec<_>>().join(",")));
    }

    fn ddum(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ddum"));
        command.arg("-c").arg(self.path("config")).arg("--root").arg(self.path("root")).args(arguments);
        command.stdin(Stdio::null()).env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC");
        command
    }

    /// The daemon's command line.
    fn daemon(&self, arguments: &[&str]) -> Command {
        let mut command = self.ddum(&["-p", "/run/ddum.pid"]);
        command.arg("--users").arg(self.path("users.json")).arg("--groups").arg(self.path("groups.json"));
        command.args(arguments);
        command
    }

    fn foreground(&self) -> Running {
        let mut command = self.daemon(&["-f"]);
        Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// The process that the pidfile names.
    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.read("root/run/ddum.pid").trim().parse().ok()?)
    }

    fn has_user(&self, name: &str) -> bool {
        self.read("root/etc/passwd").contains(&format!("\n{name}:x:"))
    }

    fn logged(&self, text: &str) -> usize {
        self.read("log").matches(text).count()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            let _ = kill_process(pid, Signal::KILL);
        }
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// A daemon in the foreground.
struct Running(Child);

impl Running {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Its exit status, if it ends.
    fn end(&mut self) -> Option<i32> {
        let mut status = None;
        soon(|| {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What does not come within this time does not come. A machine that builds something else meanwhile is slow.
const LONG: Duration = Duration::from_secs(120);

/// Whether something comes true.
fn soon(mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + LONG;
    while Instant::now() < end {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    condition()
}

/// A process that is there and more than a zombie.
fn alive(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next()).is_some_and(|state| state != "Z")
}

fn told(output: &Output) -> (i32, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn in_the_background_the_parent_returns_when_the_daemon_runs_and_sigterm_leaves_nothing() {
    let tree = Tree::new("background");
    let started = Instant::now();
    // output() waits for the end of both streams: a daemon that kept them would hold us here.
    let (status, said) = told(&tree.daemon(&[]).output().unwrap());
    assert_eq!((status, said.as_str()), (0, ""));
    assert!(started.elapsed() < LONG);
    let pid = tree.pid().unwrap();
    assert!(alive(pid));
    assert_eq!(rustix::process::getsid(Some(pid)).unwrap(), pid);
    assert_eq!(std::fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero())).unwrap(), "ddum\n");
    assert_eq!(std::fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).unwrap(), Path::new("/"));
    assert!(soon(|| tree.has_user("alice")), "the first update comes at once: {}", tree.read("log"));

    let (status, said) = told(&tree.daemon(&[]).output().unwrap());
    assert_eq!(status, 75, "{said}");
    assert!(said.starts_with("ddum: ") && said.contains(&pid.as_raw_nonzero().to_string()), "{said}");
    assert!(alive(pid) && tree.pid() == Some(pid), "the first daemon goes on");

    kill_process(pid, Signal::TERM).unwrap();
    assert!(soon(|| !alive(pid)), "SIGTERM ends it");
    assert!(!tree.path("root/run/ddum.pid").exists());
    assert_eq!(tree.logged("stopped"), 1, "{}", tree.read("log"));
}

#[test]
fn a_daemon_that_cannot_start_says_why_and_leaves_nothing() {
    let tree = Tree::new("failure");
    for (config, pidfile, want, message) in [
        ("{", "/run/ddum.pid", 2, "config line 1"),
        (r#"{"full_update_period": "often"}"#, "/run/ddum.pid", 2, "full_update_period"),
        (r#"{"removed_users": "disable"}"#, "/run/ddum.pid", 2, "not supported"),
        ("{}", "/etc/passwd/ddum.pid", 1, "/etc/passwd"),
        ("{}", "/run", 1, "/run"),
    ] {
        tree.write("config", config);
        for foreground in [&["-p", pidfile][..], &["-f", "-p", pidfile]] {
            let (status, said) = told(&tree.daemon(foreground).output().unwrap());
            assert_eq!(status, want, "{config} {pidfile}: {said}");
            assert!(said.starts_with("ddum: ") && said.lines().count() == 1, "said once: {said}");
            assert!(said.contains(message), "{said}");
        }
    }
    let (status, said) = told(&tree.daemon(&["-c", "/nonexistent/ddum.cfg"]).output().unwrap());
    assert!(status == 2 && said.contains("/nonexistent/ddum.cfg"), "{status} {said}");
    assert!(!tree.has_user("alice") && !tree.path("root/run/ddum.pid").exists());
}

#[test]
fn a_killed_daemon_s_pidfile_is_no_obstacle() {
    let tree = Tree::new("stale");
    let mut first = tree.foreground();
    assert!(soon(|| tree.logged("started") == 1), "{}", tree.read("log"));
    first.signal(Signal::KILL);
    first.end();
    assert!(tree.path("root/run/ddum.pid").exists());
    let mut second = tree.foreground();
    assert!(soon(|| tree.logged("started") == 2), "{}", tree.read("log"));
    assert_eq!(tree.pid(), Some(Pid::from_child(&second.0)));
    second.signal(Signal::INT);
    assert_eq!(second.end(), Some(0));
    assert!(!tree.path("root/run/ddum.pid").exists());
}

#[test]
fn sighup_reads_the_configuration_and_sigusr1_only_updates() {
    let tree = Tree::new("signals");
    let mut daemon = tree.foreground();
    assert!(soon(|| tree.has_user("alice")), "{}", tree.read("log"));

    tree.users(&["alice", "bob"]);
    daemon.signal(Signal::USR1);
    assert!(soon(|| tree.has_user("bob")), "{}", tree.read("log"));
    assert_eq!(tree.logged("configuration read again"), 0);

    tree.configure(r#""user_defaults": {"Shell": "/bin/dash"}"#);
    daemon.signal(Signal::HUP);
    assert!(soon(|| tree.read("root/etc/passwd").matches(":/bin/dash\n").count() == 2), "{}", tree.read("log"));

    tree.write("config", "{\n\"user_defaults\": {\"Shell\": 7}}");
    tree.users(&["alice", "bob", "carol"]);
    daemon.signal(Signal::HUP);
    assert!(soon(|| tree.has_user("carol")), "a broken configuration keeps nobody out: {}", tree.read("log"));
    assert_eq!(tree.logged("config line 2: \"user_defaults.Shell\" is 7, must be a string"), 1, "{}", tree.read("log"));
    assert!(tree.read("root/etc/passwd").contains("carol:x:2002:2000::/home/carol:/bin/dash\n"), "the old one is kept");

    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end(), Some(0));
}

#[test]
fn sigterm_in_the_middle_of_an_update_leaves_whole_files_and_the_next_update_ends_the_work() {
    let tree = Tree::new("middle");
    let names: Vec<String> = (0..4000).map(|number| format!("user{number:04}")).collect();
    tree.users(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut early = 0;
    for delay in [20, 60, 100, 150, 200, 300, 500] {
        let mut daemon = tree.foreground();
        assert!(soon(|| tree.path("root/run/ddum.pid").exists()), "{}", tree.read("log"));
        std::thread::sleep(Duration::from_millis(delay));
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.end(), Some(0), "after {delay} ms");
        assert!(!tree.path("root/run/ddum.pid").exists());
        let _ = std::fs::remove_file(tree.path("log"));
        for entry in std::fs::read_dir(tree.path("root/etc")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let is_left = name.contains("ddum") || (name.ends_with(".lock") && name != ".pwd.lock");
            assert!(!is_left, "{name} is left after {delay} ms");
        }
        let count = |file: &str| tree.read(file).lines().filter(|line| line.starts_with("user")).count();
        let (passwd, shadow) = (count("root/etc/passwd"), count("root/etc/shadow"));
        for (file, entries) in [("root/etc/passwd", passwd), ("root/etc/shadow", shadow)] {
            assert!([0, 4000].contains(&entries), "after {delay} ms {file} has {entries} of 4000");
            assert!(tree.read(file).starts_with("root:"), "after {delay} ms");
        }
        assert!(shadow >= passwd, "no account without its shadow entry");
        early += usize::from(passwd == 0);
        // Stopping a daemon is no failure of its update.
        let (code, said) = told(&tree.ddum(&["status"]).output().unwrap());
        assert!(code == 0 || said.contains("no update has run on this host yet"), "{code} {said}");
    }
    assert!(early > 0, "every signal came after the update; this tests nothing");
    let mut daemon = tree.foreground();
    assert!(soon(|| tree.logged("4000 users and 1 group") > 0), "{}", tree.read("log"));
    assert!(tree.has_user("user0000") && tree.has_user("user3999"));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end(), Some(0));
}

#[test]
fn the_service_manager_hears_how_the_daemon_is() {
    let tree = Tree::new("notify");
    let name = format!("ddum-daemon-{}", std::process::id());
    // A socket's path has 107 bytes at most, and the tree's may have more.
    let path = std::env::temp_dir().join(&name);
    let _ = std::fs::remove_file(&path);
    for (variable, address) in [
        (path.to_str().unwrap().to_owned(), SocketAddr::from_pathname(&path).unwrap()),
        (format!("@{name}"), SocketAddr::from_abstract_name(&name).unwrap()),
    ] {
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        manager.set_read_timeout(Some(LONG)).unwrap();
        let hear = |want: &str| {
            let mut buffer = [0; 4096];
            for _ in 0..100 {
                let length = manager.recv(&mut buffer).unwrap_or_else(|e| panic!("waiting for {want}: {e}"));
                let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if message.starts_with(want) {
                    return message;
                }
            }
            panic!("never heard {want}");
        };
        let mut command = tree.daemon(&["-f"]);
        command.env("NOTIFY_SOCKET", variable).env("WATCHDOG_USEC", "200000").env_remove("WATCHDOG_PID");
        let mut daemon = Running(command.stderr(Stdio::null()).spawn().unwrap());
        hear("READY=1");
        assert!(hear("STATUS=").starts_with("STATUS=Updating"));
        assert!(hear("STATUS=").contains("; next update 20"), "the status tells when it goes on");
        let beats = Instant::now();
        for _ in 0..6 {
            hear("WATCHDOG=1");
        }
        assert!(beats.elapsed() < LONG, "{:?}", beats.elapsed());
        daemon.signal(Signal::HUP);
        let reloading = hear("RELOADING=1\nMONOTONIC_USEC=");
        assert!(reloading.rsplit('=').next().unwrap().parse::<u64>().unwrap() > 0);
        hear("READY=1");
        daemon.signal(Signal::TERM);
        hear("STOPPING=1");
        assert_eq!(daemon.end(), Some(0));
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_failed_update_is_tried_again_soon_and_status_tells_of_it() {
    let tree = Tree::new("retry");
    let status = || told(&tree.ddum(&["status"]).output().unwrap());
    let (code, said) = status();
    assert!(code == 1 && said.contains("no update has run on this host yet"), "{code} {said}");
    std::fs::remove_file(tree.path("users.json")).unwrap();
    let started = Instant::now();
    let mut daemon = tree.foreground();
    assert!(soon(|| tree.logged("trying again in ") == 1), "{}", tree.read("log"));
    let waits = ["5", "6", "7"].map(|wait| tree.logged(&format!("; trying again in {wait} s\n")));
    assert_eq!(waits.iter().sum::<usize>(), 1, "{}", tree.read("log"));
    let (code, said) = status();
    assert!(code == 1 && said.contains("FAILED") && said.contains("users.json"), "{code} {said}");
    tree.users(&["alice"]);
    assert!(soon(|| tree.has_user("alice")), "{}", tree.read("log"));
    // Never earlier than told; how much later is the machine's matter.
    assert!(started.elapsed() >= Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(soon(|| status().0 == 0), "{:?}", status());
    let (code, said) = told(&tree.ddum(&["status", "--json"]).output().unwrap());
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &report["result"]), (0, &"done".into()), "{said}");
    let seconds = |key: &str| report[key].as_u64().unwrap();
    assert_eq!(seconds("next_update"), seconds("finished") + 3600, "{said}");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end(), Some(0));
}

#[test]
fn the_next_update_comes_when_the_period_is_over() {
    let tree = Tree::new("period");
    tree.configure(r#""full_update_period": 1"#);
    let mut daemon = tree.foreground();
    assert!(soon(|| tree.has_user("alice")), "{}", tree.read("log"));
    tree.users(&["alice", "bob"]);
    assert!(soon(|| tree.has_user("bob")), "{}", tree.read("log"));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end(), Some(0));
}

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

/// Brings a process into the worst state that a caller can leave it in, then runs the program that its arguments name.
const BAD_START: &str = r"
import os, resource, signal, sys
os.umask(int(sys.argv[1], 8))
for limit, value in [(resource.RLIMIT_FSIZE, 64), (resource.RLIMIT_NOFILE, 16), (resource.RLIMIT_CORE, None)]:
    hard = resource.getrlimit(limit)[1]
    resource.setrlimit(limit, (hard if value is None else value, hard))
for number in [signal.SIGPIPE, signal.SIGCHLD, signal.SIGHUP, signal.SIGXFSZ]:
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, set(range(1, 32)))
os.mkdir('gone')
os.chdir('gone')
os.rmdir('../gone')
for stream in range(3):
    os.close(stream)
os.execv(sys.argv[2], sys.argv[2:])
";

#[test]
fn whatever_state_it_is_started_in_the_daemon_works_and_its_files_have_their_modes() {
    for (umask, foreground) in [("000", false), ("077", false), ("000", true), ("077", true)] {
        let tree = Tree::new(&format!("state-{umask}-{foreground}"));
        let config = tree.read("config").replace(r#""create_home": false"#, r#""create_home": true"#);
        tree.write("config", &config);
        let users = tree.read("users.json").replace("/home/", "/srv/people/");
        // More than a file may have under the limit that the daemon is started with.
        let users = users.replace(r#""GID""#, &format!(r#""RealName":{{"S":"{}"}},"GID""#, "a".repeat(200)));
        tree.write("users.json", &users);
        let daemon = tree.daemon(if foreground { &["-f"] } else { &[] });
        let mut command = Command::new("python3");
        command.args(["-c", BAD_START, umask]).arg(daemon.get_program()).args(daemon.get_args());
        let mut child = Running(command.current_dir(&tree.0).env_remove("NOTIFY_SOCKET").spawn().unwrap());
        if !foreground {
            assert_eq!(child.end(), Some(0), "{umask}: {}", tree.read("log"));
        }
        assert!(soon(|| tree.logged("1 user added") == 1), "{umask} {foreground}: {}", tree.read("log"));
        let pid = tree.pid().unwrap();
        assert_eq!(foreground, pid == Pid::from_child(&child.0));
        for (path, mode) in [
            ("root/run/ddum.pid", 0o644),
            ("root/run/ddum", 0o755),
            ("root/run/ddum/status.json", 0o644),
            ("root/srv", 0o755),
            ("root/srv/people", 0o755),
            ("root/srv/people/alice", 0o700),
            ("root/var/lib", 0o755),
            ("root/var/lib/ddum", 0o700),
            ("root/etc/passwd", 0o644),
            ("log", 0o640),
        ] {
            let meta = std::fs::metadata(tree.path(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
            assert_eq!(meta.permissions().mode() & 0o7777, mode, "{path} with umask {umask}");
        }
        // A pipe to a program is stopped by no limit but this one (core(5)), and not to be dumpable is over when a
        // thread takes a user's ids.
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", pid.as_raw_nonzero())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["1", "1"], "{limits}");
        assert_eq!(std::fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero())).unwrap(), "ddum\n");

        tree.users(&["alice", "bob"]);
        kill_process(pid, Signal::HUP).unwrap();
        assert!(soon(|| tree.has_user("bob")), "{umask} {foreground}: {}", tree.read("log"));
        kill_process(pid, Signal::TERM).unwrap();
        assert!(soon(|| !alive(pid)), "SIGTERM ends it: {}", tree.read("log"));
        assert!(!tree.path("root/run/ddum.pid").exists());
        if foreground {
            assert_eq!(child.end(), Some(0));
        }
    }
}

#[test]
fn a_daemon_that_cannot_start_says_why_although_nobody_may_wait_for_it() {
    let tree = Tree::new("unwaited");
    let mut first = tree.foreground();
    assert!(soon(|| tree.logged("started") == 1), "{}", tree.read("log"));
    let daemon = tree.daemon(&[]);
    let script =
        "import os, signal, sys\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nos.execv(sys.argv[1], sys.argv[1:])";
    let mut command = Command::new("python3");
    let output = command.args(["-c", script]).arg(daemon.get_program()).args(daemon.get_args()).output().unwrap();
    let (status, said) = told(&output);
    assert!(status == 75 && said.contains("ddum runs already"), "{status} {said}");
    first.signal(Signal::TERM);
    assert_eq!(first.end(), Some(0));
}

#[test]
fn what_the_caller_left_open_is_closed_in_the_background() {
    let tree = Tree::new("inherited");
    let daemon = tree.daemon(&[]);
    // A pipe on a number of its own, as `x=$(exec 7>&1; ddum)` has it; cat ends when nobody has it open any more.
    let mut command = Command::new("bash");
    command.args(["-c", r#"exec 7> >(cat; echo over >over); "$0" "$@""#]).arg(daemon.get_program());
    let mut child = Running(command.args(daemon.get_args()).current_dir(&tree.0).spawn().unwrap());
    assert_eq!(child.end(), Some(0), "{}", tree.read("log"));
    assert!(soon(|| tree.read("over") == "over\n"), "the daemon keeps the caller's pipe");
    let pid = tree.pid().unwrap();
    assert!(alive(pid) && soon(|| tree.has_user("alice")), "{}", tree.read("log"));
    kill_process(pid, Signal::TERM).unwrap();
    assert!(soon(|| !alive(pid)), "{}", tree.read("log"));
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
