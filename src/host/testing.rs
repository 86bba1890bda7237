//! Trees and other processes for the tests of this room.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use super::{Demand, Dir, Root};

/// A tree with an empty `etc`, removed in the end.
pub(super) struct Tree {
    base: PathBuf,
}

impl Tree {
    pub(super) fn new() -> Self {
        let base = std::env::temp_dir().join(format!("ddum-test-{}-{:016x}", std::process::id(), fastrand::u64(..)));
        for dir in [base.clone(), base.join("etc")] {
            std::fs::create_dir(&dir).unwrap();
            std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { base }
    }

    /// A tree with the four files, as a distribution has them.
    pub(super) fn with_accounts() -> Self {
        let tree = Self::new();
        for (name, text, mode) in [
            ("passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644),
            ("group", "root:x:0:\n", 0o644),
            ("shadow", "root:*:19000:0:99999:7:::\n", 0o640),
            ("gshadow", "root:*::\n", 0o640),
        ] {
            tree.write(&format!("etc/{name}"), text.as_bytes());
            tree.set_mode(&format!("etc/{name}"), mode);
        }
        tree
    }

    pub(super) fn root(&self) -> Root {
        Root::open(&self.base).unwrap()
    }

    pub(super) fn etc(&self) -> Dir {
        self.root().walk(Path::new("/etc"), Demand::TrustedLinks).unwrap()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub(super) fn set_mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(super) fn mode(&self, name: &str) -> u32 {
        self.path(name).symlink_metadata().unwrap().mode() & 0o7777
    }

    pub(super) fn inode(&self, name: &str) -> u64 {
        self.path(name).symlink_metadata().unwrap().ino()
    }

    /// Makes a file look `seconds` old.
    pub(super) fn age(&self, name: &str, seconds: u64) {
        let then = SystemTime::now() - Duration::from_secs(seconds);
        std::fs::File::options().write(true).open(self.path(name)).unwrap().set_modified(then).unwrap();
    }

    /// The names in `dir`, sorted.
    pub(super) fn names(&self, dir: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(dir)).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.base).ok();
    }
}

/// Says aloud, past the test harness that swallows what a test prints, that a test could not be made here.
pub(super) fn not_tested(why: &str) {
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    writeln!(std::io::stderr(), "NOT TESTED: {name}: {why}").unwrap();
}

/// A process that does nothing for a while.
pub(super) fn sleeper() -> Child {
    Command::new("sleep").arg("60").spawn().expect("sleep(1) is needed to have another process")
}

/// A Python program that runs beside the test.
pub(super) struct Beside {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Beside {
    pub(super) fn start(program: &str, path: &Path) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", program])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed: the tests of locks need a second process");
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// A process that holds a POSIX write lock on `path` until it is let go.
    pub(super) fn holding(path: &Path) -> Self {
        let program = "import fcntl, os, sys\n\
            fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)\n\
            fcntl.lockf(fd, fcntl.LOCK_EX)\n\
            print('held', flush=True)\n\
            sys.stdin.read()\n";
        let mut beside = Self::start(program, path);
        assert_eq!(beside.told(), "held");
        beside
    }

    pub(super) fn told(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn let_go(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Whether another process finds `path` locked.
pub(super) fn is_locked(path: &Path) -> bool {
    let program = "import fcntl, os, sys\n\
        fd = os.open(sys.argv[1], os.O_RDWR)\n\
        try:\n    fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)\n    print('free', flush=True)\n\
        except OSError:\n    print('locked', flush=True)\n";
    Beside::start(program, path).told() == "locked"
}
