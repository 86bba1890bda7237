//! When the daemon updates, what it hears while it does, and what it tells.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::tree::*;

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
