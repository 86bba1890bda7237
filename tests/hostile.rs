//! Users who fight an update from processes of their own, and secrets that must not get out whatever fails.
#![expect(clippy::disallowed_methods, reason = "the tree of a test is its own")]
#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

use std::fmt::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};

const KEYS: [&str; 2] = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBfzUc9s53y3Ig1NMYEI6otXwfhAKwVfblkUccnKCpEI laptop",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILJjVc9qa2ORpiMJ5uRQPxDr7xRxwmn1iwbhpN1eeRKL phone",
];

/// In every password and secret here, so that one search finds each leak.
const MARK: &str = "plantedmarker";

/// How long the users fight; `DDUM_HOSTILE_SECONDS` says otherwise.
const FIGHT: u64 = 15;

/// Twice the bound of one step in one home, and what the rest of an update takes on a busy machine.
const LONGEST: Duration = Duration::from_secs(60);

/// Gone when the test is over. Not below the build's directory, which other users may not enter.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ddum-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        for folder in ["root/etc", "root/root/.ssh", "root/home", "root/victim"] {
            std::fs::create_dir_all(path.join(folder)).unwrap();
        }
        for (file, text, mode) in [
            ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644),
            ("etc/shadow", &format!("root:$6${MARK}$root:19000::::::\n"), 0o640),
            ("etc/group", "root:x:0:\n", 0o644),
            ("etc/gshadow", &format!("root:$6${MARK}$group::\n"), 0o640),
            ("root/.ssh/authorized_keys", "the key of root\n", 0o600),
            ("victim/open", "anybody may read this\n", 0o644),
            ("victim/closed", "nobody may\n", 0o600),
        ] {
            let file = path.join("root").join(file);
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        std::fs::set_permissions(path.join("root/root"), std::fs::Permissions::from_mode(0o700)).unwrap();
        Self(path)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    fn users(&self, users: &[(&str, u32)], key: &str, more: &str) {
        let mut items = String::new();
        for (name, uid) in users {
            let comma = if items.is_empty() { "" } else { "," };
            write!(
                items,
                r#"{comma}{{"Name":{{"S":"{name}"}},"UID":{{"N":"{uid}"}},"GID":{{"N":"2000"}},"Home":{{"S":"/home/{name}"}},
                "Password":{{"S":"$6${MARK}$hash"}},"SSHPublicKeys":{{"SS":["{key}"]}}{more}}}"#
            )
            .unwrap();
        }
        std::fs::write(self.path("users.json"), format!("[{items}]")).unwrap();
        let groups =
            format!(r#"[{{"Name":{{"S":"people"}},"GID":{{"N":"2000"}},"Password":{{"S":"$6${MARK}$team"}}}}]"#);
        std::fs::write(self.path("groups.json"), groups).unwrap();
    }

    fn ddum(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ddum"));
        command.arg("--root").arg(self.path("root")).args(arguments).stdin(Stdio::null());
        command.arg("--users").arg(self.path("users.json")).arg("--groups").arg(self.path("groups.json"));
        command
    }

    /// A shell of the user's own that does this in its home again and again.
    fn fighter(&self, name: &str, uid: u32, what: &str) -> Fighter {
        let script =
            format!("cd '{}' || exit 1; while :; do {what}; done", self.path("root/home").join(name).display());
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).uid(uid).gid(2000).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Fighter(command.spawn().unwrap())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Looks at places all the time, and counts.
struct Watcher {
    over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<usize>,
}

impl Watcher {
    fn start(places: &[PathBuf]) -> Self {
        let (over, places) = (Arc::new(AtomicBool::new(false)), places.to_vec());
        let before: Vec<_> = places.iter().map(|place| seen(place)).collect();
        let is_over = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut looks = 0;
            while !is_over.load(Ordering::Relaxed) {
                for (place, before) in places.iter().zip(&before) {
                    assert!(seen(place) == *before, "{} changed", place.display());
                }
                looks += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
            looks
        });
        Self { over, thread }
    }

    /// How often it looked and saw nothing change.
    fn end(self) -> usize {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

struct Fighter(Child);

impl Drop for Fighter {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
        // What the shell had started was killed too, and may be at its last system call.
        for _ in 0..200 {
            if test_kill_process_group(Pid::from_child(&self.0)).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Path, mode, owner and group, time, content and extended attributes.
type Seen = (PathBuf, [u32; 3], (i64, i64), Vec<u8>, Vec<(String, Vec<u8>)>);

/// Everything about what is at a path and below that an attack would change. Not the number of links: where the kernel
/// lets users link what is not theirs, they do.
fn seen(path: &Path) -> Vec<Seen> {
    let meta = path.symlink_metadata().unwrap();
    let content = if meta.is_file() { std::fs::read(path).unwrap() } else { Vec::new() };
    let (ids, time) = ([meta.mode(), meta.uid(), meta.gid()], (meta.mtime(), meta.mtime_nsec()));
    let mut all = vec![(path.to_owned(), ids, time, content, attributes(path))];
    if meta.is_dir() {
        let mut names: Vec<PathBuf> = std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).collect();
        names.sort();
        all.extend(names.iter().flat_map(|name| seen(name)));
    }
    all
}

fn attributes(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let value = |name: &[u8]| {
        let name = String::from_utf8(name.to_vec()).unwrap();
        let mut value = vec![0; 4096];
        let length = rustix::fs::lgetxattr(path, name.as_str(), &mut value[..]).unwrap_or(0);
        value.truncate(length);
        (name, value)
    };
    let mut all: Vec<_> = names.map(value).collect();
    all.sort();
    all
}

#[test]
fn users_who_fight_an_update_gain_nothing_and_keep_nobody_waiting() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("NOT TESTED: hostile users; only root can act as another user");
        return;
    }
    let tree = Tree::new("hostile");
    let fighters =
        [("dora", 2001), ("eve", 2002), ("mallory", 2003), ("trudy", 2004), ("victor", 2005), ("walter", 2006)];
    let others = [("alice", 2010), ("bob", 2011), ("carol", 2012), ("yves", 2013), ("zoe", 2014)];
    let mut all: Vec<(&str, u32)> = fighters.into_iter().chain(others).collect();
    tree.users(&all, KEYS[0], "");
    assert_eq!(tree.ddum(&["sync"]).status().unwrap().code(), Some(0));
    let (victim, roots) = (tree.path("root/victim"), tree.path("root/root"));
    // Alice lets everybody write to it, so everybody may link it, too.
    let letter = victim.join("letter");
    std::fs::write(&letter, "to alice\n").unwrap();
    rustix::fs::chown(&letter, Some(rustix::process::Uid::from_raw(2010)), None).unwrap();
    std::fs::set_permissions(&letter, std::fs::Permissions::from_mode(0o666)).unwrap();
    if rustix::fs::setxattr(&letter, "user.ddum", b"hers", rustix::fs::XattrFlags::empty()).is_err() {
        eprintln!("NOT TESTED: extended attributes; the file system has none");
    }
    let device = tree.path("root/home/victor/zero");
    let zero = rustix::fs::makedev(1, 5);
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    match rustix::fs::mknodat(rustix::fs::CWD, &device, rustix::fs::FileType::CharacterDevice, mode, zero) {
        Ok(()) => rustix::fs::chown(&device, Some(rustix::process::Uid::from_raw(2005)), None).unwrap(),
        Err(errno) => eprintln!("NOT TESTED: a device in a home; {errno}"),
    }
    let before = (seen(&victim), seen(&roots));

    let (victim_at, root_at) = (victim.display(), roots.display());
    let alice = tree.path("root/home/alice").display().to_string();
    let fight: Vec<Fighter> = [
        // Directory, link to root's, link to the victim, link to another user's.
        format!("mv .ssh real; ln -sn {root_at}/.ssh .ssh; rm .ssh; ln -sn {victim_at} .ssh; rm .ssh; ln -sn {alice}/.ssh .ssh; rm .ssh; mv real .ssh; [ -d .ssh ] || mkdir .ssh"),
        // The file: links of both kinds, FIFO, directory, nothing.
        format!("k=.ssh/authorized_keys; rm -rf $k; ln -s {victim_at}/closed $k; rm -f $k; ln {victim_at}/open $k; rm -f $k; mkfifo $k; sleep 0.01; rm -f $k; mkdir $k; touch $k/x; rm -rf $k"),
        // Modes, and the temporary files of whoever writes there.
        format!("chmod 000 .ssh; chmod 777 .ssh; chmod 700 .ssh; for f in .ssh/.ddum-*; do rm -rf $f; ln -s {victim_at}/closed $f; done; rm -f .ssh/.ddum-*; chmod 000 .; chmod 755 ."),
        // The whole: FIFO, file, sparse giant, many names.
        "rm -rf .ssh; mkfifo .ssh; sleep 0.01; rm -f .ssh; : >.ssh; rm -f .ssh; mkdir -m 700 .ssh; truncate -s 1T .ssh/authorized_keys; sleep 0.01".to_owned(),
        // The file: another's that may be linked, a device.
        format!("k=.ssh/authorized_keys; ln -f {victim_at}/letter $k; sleep 0.01; rm -rf $k; ln zero $k; sleep 0.01; rm -rf $k .ssh.ddum*"),
        // Two directories in each other's place, and every mode that a home may have.
        "mkdir -p a b; mv .ssh c; mv a .ssh; mv .ssh b; mv c .ssh; rm -rf a b c; chmod 100 .; chmod 300 .; chmod 2711 .; chmod 500 .; chmod 700 .; chmod 100 .ssh; chmod 2750 .ssh; sleep 0.01".to_owned(),
    ]
    .iter()
    .zip(fighters)
    .map(|(what, (name, uid))| tree.fighter(name, uid, what))
    .collect();

    let fight_for = std::env::var("DDUM_HOSTILE_SECONDS").map_or(FIGHT, |seconds| seconds.parse().unwrap());
    let (started, mut runs) = (Instant::now(), 0);
    // While an update is under way, too, nothing outside is another than it was for a moment.
    let watcher = Watcher::start(&[victim.clone(), roots.clone()]);
    let newcomers: Vec<String> = (0..20_000).map(|n| format!("new{n}")).collect();
    while started.elapsed() < Duration::from_secs(fight_for) || runs < 3 {
        runs += 1;
        let key = KEYS[runs % 2];
        all.push((&newcomers[runs], 3000 + u32::try_from(runs).unwrap()));
        tree.users(&all, key, "");
        let begun = Instant::now();
        let output = tree.ddum(&["-v", "sync"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 3)), "{:?}: {said}", output.status);
        assert!(begun.elapsed() < LONGEST, "{:?}: {said}", begun.elapsed());
        assert!(!said.contains(MARK), "{said}");
        for (name, uid) in &all[fighters.len()..] {
            let file = tree.path("root/home").join(name).join(".ssh/authorized_keys");
            let keys = std::fs::read_to_string(&file).unwrap();
            assert!(keys.contains(key) && keys.lines().count() == 2, "run {runs}, {name}: {keys}\n{said}");
            let meta = file.symlink_metadata().unwrap();
            assert_eq!((meta.uid(), meta.mode() & 0o7777), (*uid, 0o600), "run {runs}, {name}");
        }
        assert!(seen(&victim) == before.0, "run {runs}: the victim changed\n{said}");
        assert!(seen(&roots) == before.1, "run {runs}: root's own changed\n{said}");
    }
    drop(fight);
    eprintln!("{runs} updates in {:?}, {} looks at what is outside", started.elapsed(), watcher.end());
    // Mallory's last blow may have been to close the home, which is not for an update to open: no existing home gets
    // another mode. Whoever opens it again lets the keys in.
    let home = tree.path("root/home/mallory");
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o000)).unwrap();
    let output = tree.ddum(&["sync"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.code() == Some(3) && said.contains("! home mallory: cannot open the home"), "{said}");
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(tree.path("root/home/walter"), std::fs::Permissions::from_mode(0o755)).unwrap();
    // Peace: the keys arrive there too, whatever was left.
    tree.users(&all, KEYS[0], "");
    let output = tree.ddum(&["sync"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    for (name, uid) in fighters {
        let file = tree.path("root/home").join(name).join(".ssh/authorized_keys");
        let meta = file.symlink_metadata().unwrap();
        assert!(meta.is_file() && meta.uid() == uid && meta.mode() & 0o777 == 0o600, "{name}: {meta:?}\n{said}");
        assert!(std::fs::read_to_string(&file).unwrap().contains(KEYS[0]), "{name}: {said}");
    }
    assert!(seen(&victim) == before.0 && seen(&roots) == before.1);
}

#[test]
fn no_password_and_no_secret_gets_out_whatever_fails() {
    let tree = Tree::new("secrets");
    let config = format!(
        r#"{{"aws_access_key": "AKIA{MARK}", "aws_secret_key": "{MARK}-secret", "aws_session_token": "{MARK}-token",
        "metrics_file": "/run/metrics.prom", "skeleton": null, "endpoint_url": "http://127.0.0.1:9",
        "logging": {{"version": 1, "handlers": {{"file": {{"class": "logging.FileHandler", "level": "DEBUG",
        "filename": "{}"}}}}, "root": {{"level": "DEBUG", "handlers": ["file"]}}}}}}"#,
        tree.path("log").display()
    );
    std::fs::write(tree.path("config"), config).unwrap();
    let config = tree.path("config").display().to_string();
    let ids: u32 = if rustix::process::geteuid().is_root() { 2010 } else { rustix::process::geteuid().as_raw() };
    let mut said = String::new();
    let mut run = |arguments: &[&str], from_tables: bool| {
        let mut command = match from_tables {
            true => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_ddum"));
                command.arg("--root").arg(tree.path("root")).args(arguments).stdin(Stdio::null());
                command
            }
            false => tree.ddum(arguments),
        };
        let output = command.arg("-v").arg("-c").arg(&config).env("RUST_BACKTRACE", "full").output().unwrap();
        writeln!(said, "$ {arguments:?} [{:?}]", output.status.code()).unwrap();
        said += &String::from_utf8_lossy(&output.stdout);
        said += &String::from_utf8_lossy(&output.stderr);
        output.status.code().unwrap()
    };
    let etc = tree.path("root/etc");
    let users: &[(&str, u32)] = &[("alice", ids), ("bob", ids + 1)];

    // Passwords that are none are refused; in every other attribute one may have slipped in by mistake.
    tree.users(users, KEYS[0], &format!(r#","RealName":{{"S":"x:$6${MARK}$y"}}"#));
    run(&["sync"], false);
    for bad in [format!("{MARK} with blanks"), format!("a:{MARK}"), format!("{MARK}\\n{MARK}"), format!("$6${MARK}é")]
    {
        tree.users(users, KEYS[0], "");
        let text = std::fs::read_to_string(tree.path("users.json")).unwrap();
        std::fs::write(tree.path("users.json"), text.replace(&format!("$6${MARK}$hash"), &bad)).unwrap();
        assert_eq!(run(&["sync"], false), 3);
    }
    // Files that cannot be used, with hashes on the very lines that are complained of.
    tree.users(users, KEYS[0], "");
    let shadow = std::fs::read(etc.join("shadow")).unwrap();
    for line in [&b"nul\0$6$"[..], b"alice:$6$", b"alice:x:$6$", b"alice\\\n$6$"] {
        let text = [&shadow[..], line, MARK.as_bytes(), b":1:2:3:4:5:6:7:8:9\n"].concat();
        for file in ["passwd", "shadow", "group", "gshadow"] {
            let kept = std::fs::read(etc.join(file)).unwrap();
            std::fs::write(etc.join(file), &text).unwrap();
            run(&["sync"], false);
            run(&["check"], false);
            std::fs::write(etc.join(file), kept).unwrap();
        }
    }
    std::fs::rename(etc.join("shadow"), etc.join("elsewhere")).unwrap();
    symlink("elsewhere", etc.join("shadow")).unwrap();
    assert_eq!(run(&["sync"], false), 1);
    std::fs::rename(etc.join("elsewhere"), etc.join("shadow")).unwrap();
    std::fs::create_dir_all(tree.path("root/var/lib/ddum")).unwrap();
    std::fs::write(tree.path("root/var/lib/ddum/ledger.json"), format!("{{{MARK}")).unwrap();
    assert!(matches!(run(&["sync"], false), 0 | 3));
    tree.users(users, KEYS[1], "");
    let text = std::fs::read_to_string(tree.path("users.json")).unwrap();
    std::fs::write(tree.path("users.json"), text.replace("$hash", "$other")).unwrap();
    assert!(matches!(run(&["sync", "--dry-run"], false), 0 | 3));
    assert!(matches!(run(&["sync"], false), 0 | 3));
    run(&["status"], true);
    // The daemon logs to a file, and talks more than a sync.
    let mut daemon = tree.ddum(&["-f", "-v", "-c", &config, "-p", "/run/ddum.pid"]);
    let mut daemon = daemon.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + LONGEST;
    while !std::fs::read_to_string(tree.path("log")).is_ok_and(|log| log.contains("2 users")) {
        assert!(Instant::now() < until, "the daemon logs no update: {:?}", std::fs::read_to_string(tree.path("log")));
        std::thread::sleep(Duration::from_millis(50));
    }
    kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
    assert!(daemon.wait().unwrap().success());
    // A table file that is cut off in a password, and an endpoint where nobody is.
    let text = std::fs::read_to_string(tree.path("users.json")).unwrap();
    std::fs::write(tree.path("users.json"), &text[..text.find(MARK).unwrap() + MARK.len()]).unwrap();
    assert_eq!(run(&["sync"], false), 1);
    for broken in [format!(r#"{{"aws_secret_key": "{MARK}"#), format!(r#"{{"aws_secret_key": ["{MARK}"]}}"#)] {
        std::fs::write(tree.path("config"), broken).unwrap();
        assert_eq!(run(&["sync"], false), 2);
    }

    let hash = format!("alice:$6${MARK}$other:");
    for file in ["log", "root/run/metrics.prom", "root/run/ddum/status.json"] {
        writeln!(said, "== {file}").unwrap();
        said += &String::from_utf8_lossy(&std::fs::read(tree.path(file)).unwrap());
    }
    assert!(std::fs::read_to_string(etc.join("shadow")).unwrap().contains(&hash));
    let leaks: Vec<&str> = said.lines().filter(|line| line.contains(MARK) && !line.starts_with('$')).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}
