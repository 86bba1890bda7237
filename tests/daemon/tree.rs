//! Where a daemon works: a root, a configuration and two tables, gone when the test is over.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A directory of its own with a configuration, two tables and a root; gone when the test is over, with the daemon
/// that its pidfile names.
pub struct Tree(pub PathBuf);

impl Tree {
    pub fn new(name: &str) -> Self {
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

    pub fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    /// Whole at once, as a daemon may be reading.
    pub fn write(&self, path: &str, text: &str) {
        std::fs::write(self.path("new"), text).unwrap();
        std::fs::rename(self.path("new"), self.path(path)).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    /// The configuration, with `more` keys and a log in `log`.
    pub fn configure(&self, more: &str) {
        let comma = if more.is_empty() { "" } else { "," };
        let text = format!(
            r#"{{"full_update_jitter": 0, "create_home": false, "logging": {{"version": 1,
            "handlers": {{"file": {{"class": "logging.handlers.WatchedFileHandler", "filename": "{}"}}}},
            "root": {{"level": "INFO", "handlers": ["file"]}}}}{comma}{more}}}"#,
            self.path("log").display()
        );
        self.write("config", &text);
    }

    pub fn users(&self, names: &[&str]) {
        let item = |(index, name): (usize, &&str)| {
            let id = 2000 + index;
            format!(
                r#"{{"Name":{{"S":"{name}"}},"UID":{{"N":"{id}"}},"GID":{{"N":"2000"}},"Home":{{"S":"/home/{name}"}}}}"#
            )
        };
        self.write("users.json", &format!("[{}]", names.iter().enumerate().map(item).collect::<Vec<_>>().join(",")));
    }

    pub fn ddum(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ddum"));
        command.arg("-c").arg(self.path("config")).arg("--root").arg(self.path("root")).args(arguments);
        command.stdin(Stdio::null()).env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC");
        command
    }

    /// The daemon's command line.
    pub fn daemon(&self, arguments: &[&str]) -> Command {
        let mut command = self.ddum(&["-p", "/run/ddum.pid"]);
        command.arg("--users").arg(self.path("users.json")).arg("--groups").arg(self.path("groups.json"));
        command.args(arguments);
        command
    }

    pub fn foreground(&self) -> Running {
        let mut command = self.daemon(&["-f"]);
        Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// The process that the pidfile names.
    pub fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.read("root/run/ddum.pid").trim().parse().ok()?)
    }

    pub fn has_user(&self, name: &str) -> bool {
        self.read("root/etc/passwd").contains(&format!("\n{name}:x:"))
    }

    pub fn logged(&self, text: &str) -> usize {
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
pub struct Running(pub Child);

impl Running {
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Its exit status, if it ends.
    pub fn end(&mut self) -> Option<i32> {
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
pub const LONG: Duration = Duration::from_secs(120);

/// Whether something comes true.
pub fn soon(mut condition: impl FnMut() -> bool) -> bool {
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
pub fn alive(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next()).is_some_and(|state| state != "Z")
}

pub fn told(output: &Output) -> (i32, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}
