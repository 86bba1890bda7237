//! How the daemon starts, from whatever state its caller leaves it in, and what it leaves when it ends.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use super::tree::*;

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
