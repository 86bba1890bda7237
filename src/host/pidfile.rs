//! The pidfile: one daemon for each, and a number for scripts to send signals to.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{Demand, Dir, Root, process, state};
use crate::error::{Context, Error, ErrorKind};

/// How often a file that somebody locked, but whose process is not there, is looked at again, and how long between:
/// a daemon that starts locks the file a moment before it writes its number.
const LOOKS: usize = 50;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// The pidfile, ours while this lives. Dropped, it is unlinked.
///
/// It is locked by flock(2), which outlives a fork and ends with the process, however that ends: a file that nobody
/// locks is stale, whatever number is in it.
#[derive(Debug)]
pub struct Pidfile {
    dir: Dir,
    name: String,
    file: File,
}

impl Pidfile {
    /// Makes the pidfile at the absolute `path` of the tree, or takes over a stale one. Missing directories are made
    /// where a boot empties them, below `/run` or `/var/run`, and nowhere else: there the path is a slip of the pen.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] when another daemon has it, [`ErrorKind::Unsafe`] when it is a link, no regular file or not
    /// ours, [`ErrorKind::File`] otherwise.
    pub fn take(root: &Root, path: &Path) -> Result<Self, Error> {
        let shown = root.display(path);
        let (parent, name) = state::split(path, &shown)?;
        let is_volatile = ["/run", "/var/run"].iter().any(|run| parent.starts_with(run));
        let dir =
            if is_volatile { state::make_dir(root, parent, false) } else { root.walk(parent, Demand::TrustedLinks) };
        let dir = dir.map_err(|error| error.context(format!("cannot make the pidfile {}", shown.display())))?;
        let mut looks = 0;
        loop {
            let mut file = open(&dir, name, &shown)?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) if is_named(&dir, name, &file) => {
                    write(&mut file).at("cannot write", &shown)?;
                    return Ok(Self { dir, name: name.to_owned(), file });
                }
                // Its owner unlinked it between our open and our lock.
                Ok(()) => continue,
                Err(Errno::AGAIN) => {}
                Err(errno) => return Err(errno).at("cannot lock", &shown),
            }
            let inode = rustix::fs::fstat(&file).at("cannot look at", &shown)?.st_ino;
            let holder = read(&mut file).filter(|pid| process::has_flock(*pid, inode));
            looks += 1;
            if holder.is_some() || looks > LOOKS {
                let holder = holder.map_or_else(|| "another process".to_owned(), process::describe);
                let message = format!("ddum runs already: {} is held by {holder}", shown.display());
                return Err(Error::new(ErrorKind::Busy, message));
            }
            if looks == LOOKS && read(&mut file).is_some() && is_named(&dir, name, &file) {
                // Anyone who may read the file may lock it too. After a crash that must not keep us from starting.
                dir.remove_file(name).at("cannot remove the stale", &shown)?;
            } else {
                std::thread::sleep(BETWEEN_LOOKS);
            }
        }
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        // Still locked while it is unlinked: whoever opened it before finds that it has no name, and makes a new one.
        if is_named(&self.dir, &self.name, &self.file) {
            self.dir.remove_file(&self.name).ok();
        }
    }
}

fn open(dir: &Dir, name: &str, shown: &Path) -> Result<File, Error> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let refuse = |why: &str| Err(Error::new(ErrorKind::Unsafe, format!("{} {why}", shown.display())));
    let file = match rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o644)) {
        Ok(fd) => File::from(fd),
        Err(Errno::LOOP) => return refuse("is a symbolic link"),
        Err(Errno::ISDIR | Errno::NXIO) => return refuse("is no regular file"),
        Err(errno) => return Err(errno).at("cannot open the pidfile", shown),
    };
    let stat = rustix::fs::fstat(&file).at("cannot look at", shown)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return refuse("is no regular file");
    }
    let own = rustix::process::geteuid().as_raw();
    if ![0, own].contains(&stat.st_uid) { refuse("belongs to another user") } else { Ok(file) }
}

fn is_named(dir: &Dir, name: &str, file: &File) -> bool {
    let key = |stat: Stat| (stat.st_dev, stat.st_ino);
    match (rustix::fs::fstat(file), dir.stat_child(name)) {
        (Ok(ours), Ok(named)) => key(ours) == key(named),
        _ => false,
    }
}

fn read(file: &mut File) -> Option<i32> {
    use std::io::Seek;
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|pid| *pid > 0)
}

fn write(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
    Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(0o644))?)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Beside, Tree, sleeper};
    use super::*;

    const PATH: &str = "/run/ddum/ddum.pid";

    /// Locks the file named by its argument for as long as it is let.
    const FLOCK: &str = "import fcntl, sys\nf = open(sys.argv[1])\nfcntl.flock(f, fcntl.LOCK_EX)\n\
                         print('held', flush=True)\nsys.stdin.read()\n";

    fn take(tree: &Tree) -> Result<Pidfile, Error> {
        Pidfile::take(&tree.root(), Path::new(PATH))
    }

    #[test]
    fn there_is_one_daemon_for_each_pidfile_and_it_cleans_up() {
        let tree = Tree::new();
        let ours = take(&tree).unwrap();
        let own = std::process::id();
        assert_eq!(tree.read("run/ddum/ddum.pid"), format!("{own}\n").as_bytes());
        assert_eq!(tree.mode("run/ddum/ddum.pid"), 0o644);
        let error = take(&tree).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains(&format!("process {own} (")), "{error}");
        drop(ours);
        assert!(tree.names("run/ddum").is_empty());
        drop(take(&tree).unwrap());
    }

    #[test]
    fn a_stale_file_is_taken_over_even_when_its_number_lives_or_a_stranger_locks_it() {
        let tree = Tree::new();
        drop(take(&tree).unwrap());
        let mut other = sleeper();
        for text in [format!("{}\n", other.id()), "2147483647 and more\n".to_owned(), String::new()] {
            tree.write("run/ddum/ddum.pid", text.as_bytes());
            drop(take(&tree).unwrap());
        }
        other.kill().unwrap();
        other.wait().unwrap();
        tree.write("run/ddum/ddum.pid", b"2147483647\n");
        let mut stranger = Beside::start(FLOCK, &tree.path("run/ddum/ddum.pid"));
        assert_eq!(stranger.told(), "held");
        let ours = take(&tree).unwrap();
        stranger.let_go();
        drop(ours);
        assert!(tree.names("run/ddum").is_empty());
    }

    #[test]
    fn a_number_of_a_zombie_or_of_another_program_keeps_nobody_from_starting() {
        let tree = Tree::new();
        drop(take(&tree).unwrap());
        let (mut zombie, mut other) = (sleeper(), sleeper());
        zombie.kill().unwrap();
        for pid in [zombie.id(), other.id()] {
            tree.write("run/ddum/ddum.pid", format!("{pid}\n").as_bytes());
            let mut stranger = Beside::start(FLOCK, &tree.path("run/ddum/ddum.pid"));
            assert_eq!(stranger.told(), "held");
            let ours = take(&tree).unwrap();
            stranger.let_go();
            drop(ours);
        }
        zombie.wait().unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn a_file_that_somebody_else_put_in_place_is_not_unlinked() {
        let tree = Tree::new();
        let ours = take(&tree).unwrap();
        std::fs::remove_file(tree.path("run/ddum/ddum.pid")).unwrap();
        let second = take(&tree).unwrap();
        drop(ours);
        assert_eq!(tree.names("run/ddum"), ["ddum.pid"]);
        drop(second);
    }

    #[test]
    fn of_many_that_start_and_end_at_once_no_two_have_it() {
        let tree = Tree::new();
        let holders = std::sync::atomic::AtomicU32::new(0);
        let order = std::sync::atomic::Ordering::SeqCst;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..300 {
                        if let Ok(ours) = take(&tree) {
                            assert_eq!(holders.fetch_add(1, order), 0);
                            std::thread::yield_now();
                            holders.fetch_sub(1, order);
                            drop(ours);
                        }
                    }
                });
            }
        });
    }

    #[test]
    fn directories_are_made_below_run_alone_and_an_error_names_the_pidfile() {
        let tree = Tree::new();
        let root = tree.root();
        for path in ["/run/ddum.pid", "/run/a/b/ddum.pid", "/var/run/ddum/ddum.pid", "/etc/ddum.pid"] {
            drop(Pidfile::take(&root, Path::new(path)).unwrap());
        }
        tree.write("etc/hostname", b"host");
        for path in ["/nonexistent/ddum.pid", "/running/ddum.pid", "/etc/a/b/ddum.pid", "/etc/hostname/ddum.pid"] {
            let error = Pidfile::take(&root, Path::new(path)).unwrap_err().to_string();
            assert!(
                error.starts_with(
                    &format!("cannot make the pidfile {}{path}: ", tree.path("").display()).replace("//", "/")
                ),
                "{error}"
            );
        }
        assert_eq!(tree.names(""), ["etc", "run", "var"]);
        assert_eq!(tree.names("etc"), ["hostname"]);
    }

    #[test]
    fn a_link_is_not_followed() {
        let tree = Tree::new();
        drop(take(&tree).unwrap());
        tree.write("victim", b"precious");
        std::os::unix::fs::symlink("/victim", tree.path("run/ddum/ddum.pid")).unwrap();
        assert_eq!(take(&tree).unwrap_err().kind(), ErrorKind::Unsafe);
        assert_eq!(tree.read("victim"), b"precious");
    }
}
