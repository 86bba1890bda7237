//! The file tree that is acted on: this machine's, or one under `--root`.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::Dir;
use crate::error::{Context, Error, ErrorKind};

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// As many links as the kernel follows in one path (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// The open directory that stands for `/`. Absolute paths and absolute links are resolved below it, `..` never leads
/// out of it.
#[derive(Debug)]
pub struct Root {
    dir: Dir,
    is_host: bool,
    /// Who may own a directory that is trusted, beside root: ourselves, as an ordinary user under `--root`.
    user: u32,
}

/// What a walk demands of the directories on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Every directory passed is root's and only root can write in it: nobody can swap what the walk finds.
    Trusted,
    /// Any directory may be passed, as the user who walks; a link is followed only where a trusted walk would.
    TrustedLinks,
}

impl Root {
    /// Opens the tree under `path`; `/` is this machine.
    ///
    /// # Errors
    /// When the directory cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).at("cannot open the root directory", path)?;
        let stat = rustix::fs::fstat(&fd).at("cannot look at the root directory", path)?;
        let host = rustix::fs::stat("/").at("cannot look at", "/")?;
        Ok(Self {
            dir: Dir::from_fd(fd, path.to_owned()),
            is_host: (stat.st_dev, stat.st_ino) == (host.st_dev, host.st_ino),
            user: rustix::process::geteuid().as_raw(),
        })
    }

    /// Another handle of the same tree, for a thread that may outlive its caller.
    ///
    /// # Errors
    /// When there are too many open files.
    pub fn duplicate(&self) -> Result<Self, Error> {
        let dir = self.dir.duplicate().at("cannot open again", self.dir.own_path())?;
        Ok(Self { dir, is_host: self.is_host, user: self.user })
    }

    /// As [`Root::open`], but a directory that is not there is made, with those above it: for the tree of a new image.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    pub fn open_new(path: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(path).at("cannot make the root directory", path)?;
        Self::open(path)
    }

    /// Whether the tree is the one that this process's `/` is: caches are flushed and ids mean what the kernel says.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.is_host
    }

    /// Whether we may give files away and act as others.
    #[must_use]
    pub fn is_superuser(&self) -> bool {
        self.user == 0
    }

    /// The uid that we run as.
    #[must_use]
    pub fn own_uid(&self) -> u32 {
        self.user
    }

    /// The path by which messages call `path` of this tree.
    #[must_use]
    pub fn display(&self, path: &Path) -> PathBuf {
        if self.is_host { path.to_owned() } else { self.dir.own_path().join(path.strip_prefix("/").unwrap_or(path)) }
    }

    /// Whether only root (or, without its rights, we) can change what is in a directory.
    #[must_use]
    pub fn is_trusted(&self, stat: &Stat) -> bool {
        (stat.st_uid == 0 || stat.st_uid == self.user) && stat.st_mode & 0o022 == 0
    }

    /// Opens the directory at the absolute `path` of this tree.
    ///
    /// # Errors
    /// [`ErrorKind::Unsafe`] when the demand is not met, [`ErrorKind::File`] when a component is missing or no
    /// directory.
    pub fn walk(&self, path: &Path, demand: Demand) -> Result<Dir, Error> {
        self.try_walk(path, demand)?.at("cannot open", self.display(path))
    }

    /// As [`Root::walk`], with the system's own refusal kept apart for callers to which a missing directory is no
    /// error.
    ///
    /// # Errors
    /// [`ErrorKind::Unsafe`] when the demand is not met.
    pub fn try_walk(&self, path: &Path, demand: Demand) -> Result<rustix::io::Result<Dir>, Error> {
        match self.descend(path, demand) {
            Ok(dir) => Ok(Ok(dir)),
            Err(Stop::System(errno)) => Ok(Err(errno)),
            Err(Stop::Untrusted(at)) => Err(Error::new(
                ErrorKind::Unsafe,
                format!(
                    "{}: others than root own or can write {}, so what it leads to is not trusted",
                    self.display(path).display(),
                    at.display()
                ),
            )),
        }
    }

    /// The whole way in one call, where the kernel has openat2(2) and no link is on it. `None`: to be walked.
    fn leap(&self, path: &Path) -> Option<rustix::io::Result<Dir>> {
        let relative = path.strip_prefix("/").ok()?;
        if !relative.components().all(|c| matches!(c, Component::Normal(_))) || relative.as_os_str().is_empty() {
            return None;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::BENEATH;
        match rustix::fs::openat2(self.dir.as_fd(), relative, flags, Mode::empty(), resolve) {
            Ok(fd) => Some(Ok(Dir::from_fd(fd, self.display(path)))),
            Err(Errno::NOENT) => Some(Err(Errno::NOENT)),
            Err(_) => None,
        }
    }

    fn descend(&self, path: &Path, demand: Demand) -> Result<Dir, Stop> {
        if demand == Demand::TrustedLinks
            && let Some(leapt) = self.leap(path)
        {
            return leapt.map_err(Stop::System);
        }
        let mut stack = vec![self.dir.duplicate()?];
        // Whether everything from the root to the directory on top of the stack is trusted.
        let mut trusted = vec![self.is_trusted(&self.dir.stat()?)];
        let mut pending: Vec<PathBuf> = components(path);
        let mut links = 0;
        while let Some(name) = pending.pop() {
            let top = stack.last().ok_or(Errno::NOENT)?;
            let safe = trusted.last().copied().unwrap_or(false);
            if demand == Demand::Trusted && !safe {
                return Err(Stop::Untrusted(top.own_path().to_owned()));
            }
            if name == Path::new("/") {
                stack.truncate(1);
                trusted.truncate(1);
                continue;
            }
            if name == Path::new("..") {
                if stack.len() > 1 {
                    stack.pop();
                    trusted.pop();
                }
                continue;
            }
            match step(top, &name)? {
                Step::Dir(dir, stat) => {
                    trusted.push(safe && self.is_trusted(&stat));
                    stack.push(dir);
                }
                Step::Link(target) => {
                    links += 1;
                    if !safe {
                        return Err(Stop::Untrusted(top.own_path().to_owned()));
                    }
                    if links > MAX_LINKS {
                        return Err(Stop::System(Errno::LOOP));
                    }
                    pending.extend(components(&target));
                }
            }
        }
        let last = stack.pop().ok_or(Errno::NOENT)?;
        if demand == Demand::Trusted && trusted.last() != Some(&true) {
            return Err(Stop::Untrusted(last.own_path().to_owned()));
        }
        // The way was gone with O_PATH, which needs no permission to read. Where we may only pass through the end of
        // it, that is what we get: what is in it can be reached by its name, and sshd needs no more.
        let open = |way| rustix::fs::openat(last.as_fd(), ".", DIRECTORY | way, Mode::empty());
        let fd = match open(OFlags::RDONLY) {
            Err(Errno::ACCESS) => open(OFlags::PATH)?,
            fd => fd?,
        };
        Ok(Dir::from_fd(fd, self.display(path)))
    }
}

enum Step {
    Dir(Dir, Stat),
    Link(PathBuf),
}

enum Stop {
    System(Errno),
    Untrusted(PathBuf),
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}

/// The components of `path`, last first, so that they can be popped in order. A leading `/` is kept as one.
fn components(path: &Path) -> Vec<PathBuf> {
    let keep = |c: &Component<'_>| !matches!(c, Component::CurDir | Component::Prefix(_));
    path.components().filter(keep).map(|c| PathBuf::from(c.as_os_str())).rev().collect()
}

fn step(parent: &Dir, name: &Path) -> rustix::io::Result<Step> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(parent.as_fd(), name, flags, Mode::empty()) {
        Ok(fd) => {
            let stat = rustix::fs::fstat(&fd)?;
            Ok(Step::Dir(Dir::from_fd(fd, parent.own_path().join(name)), stat))
        }
        Err(errno @ (Errno::NOTDIR | Errno::LOOP)) => {
            let stat = rustix::fs::statat(parent.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                return Err(errno);
            }
            let target = rustix::fs::readlinkat(parent.as_fd(), name, Vec::new())?;
            Ok(Step::Link(PathBuf::from(OsStr::from_bytes(target.to_bytes()))))
        }
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn absolute_links_and_dotdot_stay_in_the_tree_and_open_directories_are_not_trusted() {
        let base = std::env::temp_dir().join(format!("ddum-root-{}-{}", std::process::id(), fastrand::u64(..)));
        std::fs::create_dir_all(base.join("var/home/alice")).unwrap();
        std::fs::create_dir_all(base.join("open/inner")).unwrap();
        symlink("/var/home", base.join("home")).unwrap();
        symlink("/var", base.join("open/link")).unwrap();
        for dir in ["", "var", "var/home", "open/inner"] {
            std::fs::set_permissions(base.join(dir), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        std::fs::set_permissions(base.join("open"), std::fs::Permissions::from_mode(0o777)).unwrap();
        let root = Root::open(&base).unwrap();
        let inode = |path: &str| root.walk(Path::new(path), Demand::TrustedLinks).map(|d| d.stat().unwrap().st_ino);
        let want = inode("/var/home/alice").unwrap();
        assert_eq!(inode("/home/alice").unwrap(), want);
        assert_eq!(inode("/../../home/../home/alice").unwrap(), want);
        assert!(inode("/open/inner").is_ok());
        assert_eq!(inode("/open/link").unwrap_err().kind(), ErrorKind::Unsafe);
        assert_eq!(root.walk(Path::new("/open/inner"), Demand::Trusted).unwrap_err().kind(), ErrorKind::Unsafe);
        assert_eq!(inode("/nowhere").unwrap_err().kind(), ErrorKind::File);
        std::fs::remove_dir_all(&base).unwrap();
    }
}
