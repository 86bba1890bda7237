//! Trees in a temporary directory. As root with real users' ids, as an ordinary user with that user's.

mod bounds;
mod created;
mod hostile;
mod moved;
mod pool;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{IFlags, Mode, OFlags};
use rustix::process::{Gid, Uid};

use super::round::{self, Done};
use super::*;

/// Ids that no distribution gives to anybody.
const UID: u32 = 1_900_000_000;

/// A tree of its own under the temporary directory, as root's and nobody else's.
pub(super) fn tree(name: &str) -> (PathBuf, Root) {
    tree_in(&std::env::temp_dir(), name)
}

fn tree_in(place: &Path, name: &str) -> (PathBuf, Root) {
    let base = place.join(format!("ddum-{name}-{}-{}", std::process::id(), fastrand::u64(..)));
    for dir in ["", "home", "etc"] {
        std::fs::create_dir_all(base.join(dir)).unwrap();
        chmod(&base.join(dir), 0o755);
    }
    let root = Root::open(&base).unwrap();
    (base, root)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Who owns what the user `uid` owns, where the tests run.
fn owner(uid: u32) -> u32 {
    if is_root() { uid } else { rustix::process::geteuid().as_raw() }
}

fn chmod(path: &Path, mode: u32) {
    rustix::fs::chmod(path, Mode::from_raw_mode(mode)).unwrap();
}

fn chown(path: &Path, uid: u32) {
    if is_root() {
        rustix::fs::chownat(
            rustix::fs::CWD,
            path,
            Some(Uid::from_raw(uid)),
            Some(Gid::from_raw(uid)),
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        )
        .unwrap();
    }
}

/// Makes a directory of `uid`.
fn mkdir(path: &Path, uid: u32) {
    std::fs::create_dir(path).unwrap();
    chmod(path, 0o755);
    chown(path, uid);
}

/// Makes a file of `uid`.
fn file(path: &Path, uid: u32, mode: u32, content: &[u8]) {
    std::fs::write(path, content).unwrap();
    chown(path, uid);
    chmod(path, mode);
}

/// Whether the file system has such a flag.
fn set_immutable(path: &Path, on: bool) -> bool {
    let fd = rustix::fs::open(path, OFlags::RDONLY, Mode::empty()).unwrap();
    let flags = if on { IFlags::IMMUTABLE } else { IFlags::empty() };
    rustix::fs::ioctl_setflags(fd, flags).is_ok()
}

/// The key number `n`.
pub(super) fn key(n: u8) -> PublicKey {
    let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
    blob.extend([n; 32]);
    let text = base64_simd::STANDARD.encode_to_string(&blob);
    PublicKey::new(&format!("ssh-ed25519 {text} key-{n}")).unwrap()
}

/// A user to be, who lives in `/home/NAME`.
struct Person {
    name: String,
    home: String,
    uid: u32,
    keys: Vec<PublicKey>,
    create: bool,
    moved_from: Vec<Ids>,
}

impl Person {
    fn new(name: &str, uid: u32, keys: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            home: format!("/home/{name}"),
            uid,
            keys: keys.iter().map(|n| key(*n)).collect(),
            create: false,
            moved_from: Vec::new(),
        }
    }

    fn wish(&self) -> HomeWish<'_> {
        HomeWish {
            name: &self.name,
            uid: self.uid,
            gid: self.uid,
            home: &self.home,
            keys: &self.keys,
            create: self.create,
            moved_from: &self.moved_from,
        }
    }

    fn content(&self) -> String {
        String::from_utf8(authorized_keys::content(&self.keys)).unwrap()
    }
}

fn policy(look_only: bool) -> HomePolicy {
    HomePolicy { skeleton: Some(PathBuf::from("/etc/skel")), mode: 0o750, look_only }
}

fn settings() -> Settings {
    // Of its own, so that a test with a thread left behind disturbs no other.
    Settings { left_behind: LeftBehind::default(), ..Settings::default() }
}

fn run(root: &Root, people: &[Person], look_only: bool) -> Done {
    run_with(root, people, look_only, &settings())
}

fn run_with(root: &Root, people: &[Person], look_only: bool, settings: &Settings) -> Done {
    let wishes: Vec<HomeWish<'_>> = people.iter().map(Person::wish).collect();
    round::run(root, &wishes, &policy(look_only), &Stop::default(), settings).unwrap()
}

/// All that a write would change, for every file below `base`.
fn snapshot(base: &Path) -> BTreeMap<PathBuf, [u64; 7]> {
    let mut all = BTreeMap::new();
    let mut pending = vec![base.to_owned()];
    while let Some(path) = pending.pop() {
        let meta = std::fs::symlink_metadata(&path).unwrap();
        let time = |seconds: i64, nanos: i64| u64::try_from(seconds * 1_000_000_000 + nanos).unwrap();
        let facts = [
            meta.ino(),
            u64::from(meta.uid()),
            u64::from(meta.gid()),
            u64::from(meta.mode()),
            meta.size(),
            time(meta.mtime(), meta.mtime_nsec()),
            time(meta.ctime(), meta.ctime_nsec()),
        ];
        if meta.is_dir() {
            pending.extend(std::fs::read_dir(&path).into_iter().flatten().map(|entry| entry.unwrap().path()));
        }
        all.insert(path, facts);
    }
    all
}

/// Asserts that the keys of `person` are in place as sshd wants them.
fn assert_keys(base: &Path, person: &Person) {
    let home = base.join(person.home.trim_start_matches('/'));
    let path = home.join(".ssh/authorized_keys");
    let ssh = std::fs::symlink_metadata(home.join(".ssh")).unwrap();
    let meta = std::fs::symlink_metadata(&path).unwrap();
    let owner = owner(person.uid);
    assert!(ssh.is_dir() && ssh.uid() == owner && ssh.mode() & 0o022 == 0, "{}: {ssh:?}", person.name);
    assert!(meta.is_file() && meta.nlink() == 1 && meta.mode() & 0o7777 == 0o600, "{}: {meta:?}", person.name);
    assert_eq!(meta.uid(), owner, "{}", person.name);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), person.content(), "{}", person.name);
    let names: Vec<_> = std::fs::read_dir(home.join(".ssh")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_str().unwrap().starts_with(".ddum-")), "{names:?}");
}
