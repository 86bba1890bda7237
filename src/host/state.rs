//! Files of our own: the ledger, the status, the metrics. And other small files that are read whole.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{FileType, Mode, Stat};
use rustix::io::Errno;

use super::live::read_all;
use super::process::maker_is_gone;
use super::replace::{PREFIX, Temp};
use super::{Demand, Dir, Root};
use crate::error::{Context, Error, ErrorKind};

/// The one directory of ours that only root may look into.
pub(super) const PRIVATE: &str = "/var/lib/ddum";

/// As many links as the last component of a path may be, one after the other.
const MOST_LINKS: usize = 8;

/// As many names as are looked through for such files.
const MOST_NAMES: usize = 4096;

/// Replaces the file at the absolute `path` of the tree with `bytes`, or makes it, with missing directories. Whatever
/// has the name is replaced, never written into: a link or a FIFO too. With `durable`, it outlives a power failure.
///
/// # Errors
/// The step that failed; the old file is as it was then.
pub fn store(root: &Root, path: &Path, bytes: &[u8], mode: u32, durable: bool) -> Result<(), Error> {
    let shown = root.display(path);
    let (parent, name) = split(path, &shown)?;
    let dir = make_dir(root, parent, durable)?;
    remove_leftovers(&dir, name);
    let mut temp = Temp::create(&dir, name, None)?;
    temp.write(bytes)?;
    temp.set_mode(mode)?;
    if durable {
        temp.finish(bytes)?;
    } else {
        temp.compare(bytes)?;
    }
    temp.rename(name)?;
    if durable { dir.sync().at("cannot put on disk", dir.own_path()) } else { Ok(()) }
}

/// The content of the file at the absolute `path` of the tree; `None` when there is none. A link is followed where
/// only root can have made it.
///
/// # Errors
/// [`ErrorKind::Unsafe`] when others than root (or, for an ordinary user, we) can have written it,
/// [`ErrorKind::File`] when it is larger than `limit` bytes or cannot be read.
pub fn load(root: &Root, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
    let shown = root.display(path);
    let Some((file, stat)) = open(root, path)? else { return Ok(None) };
    if !is_trusted(root, &stat)? {
        let message = format!("{}: others than root own or can write it, so it is not trusted", shown.display());
        return Err(Error::new(ErrorKind::Unsafe, message));
    }
    read_all(&file, &stat, limit).at("cannot read", &shown).map(Some)
}

/// Opens a regular file for reading, through links that only root can have made; `None` when there is none.
pub(super) fn open(root: &Root, path: &Path) -> Result<Option<(File, Stat)>, Error> {
    let shown = root.display(path);
    let (dir, name) = match resolve(root, path)? {
        Ok(found) => found,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(Errno::LOOP) => {
            return Err(Error::new(ErrorKind::Unsafe, format!("{} is a link that leads nowhere", shown.display())));
        }
        Err(errno) => return Err(errno).at("cannot open", &shown),
    };
    match dir.open_file(&name) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::INVAL | Errno::NXIO) => {
            Err(Error::new(ErrorKind::Unsafe, format!("{} is no regular file", shown.display())))
        }
        Err(errno) => Err(errno).at("cannot open", &shown),
    }
}

/// The directory that the file at `path` is in, and its name there, which is no link at this moment and need not
/// exist. Links are followed where only root can have made them.
pub(super) fn resolve(root: &Root, path: &Path) -> Result<rustix::io::Result<(Dir, String)>, Error> {
    let shown = root.display(path);
    let mut path = path.to_owned();
    for _ in 0..=MOST_LINKS {
        let (parent, name) = split(&path, &shown)?;
        let dir = match root.try_walk(parent, Demand::TrustedLinks)? {
            Ok(dir) => dir,
            Err(errno) => return Ok(Err(errno)),
        };
        let is_link = |stat: Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        if !dir.stat_child(name).is_ok_and(is_link) {
            return Ok(Ok((dir, name.to_owned())));
        }
        // A link is as good as the directories that it lies in.
        let dir = root.walk(parent, Demand::Trusted)?;
        let target = rustix::fs::readlinkat(&dir, name, Vec::new()).at("cannot read the link", &shown)?;
        path = parent.join(OsStr::from_bytes(target.to_bytes()));
    }
    Ok(Err(Errno::LOOP))
}

/// Whether only root, we, or whom the whole tree belongs to can have written a file.
fn is_trusted(root: &Root, file: &Stat) -> Result<bool, Error> {
    let top = root.walk(Path::new("/"), Demand::TrustedLinks)?;
    let top = top.stat().at("cannot look at", top.own_path())?;
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let by_group = file.st_mode & 0o020 != 0 && ![0, gid].contains(&file.st_gid);
    Ok([0, uid, top.st_uid].contains(&file.st_uid) && file.st_mode & 0o002 == 0 && !by_group)
}

pub(super) fn split<'p>(path: &'p Path, shown: &Path) -> Result<(&'p Path, &'p str), Error> {
    match (path.parent(), path.file_name().map(OsStr::to_str)) {
        (Some(parent), Some(Some(name))) => Ok((parent, name)),
        _ => Err(Error::new(ErrorKind::File, format!("{} is no name of a file in UTF-8", shown.display()))),
    }
}

/// The directory at `path`, made with its parents where it is missing.
pub(super) fn make_dir(root: &Root, path: &Path, durable: bool) -> Result<Dir, Error> {
    let shown = root.display(path);
    match root.try_walk(path, Demand::TrustedLinks)? {
        Err(Errno::NOENT) => {}
        found => return found.at("cannot open", &shown),
    }
    let (parent, name) = split(path, &shown)?;
    let parent = make_dir(root, parent, durable)?;
    // With its final mode from the start: a run killed before the next step leaves one that others can enter.
    let mode = Mode::from_raw_mode(if path == Path::new(PRIVATE) { 0o700 } else { 0o755 });
    let dir = match parent.create_dir(name, mode) {
        // Another run was faster.
        Err(Errno::EXIST) => return root.walk(path, Demand::TrustedLinks),
        made => made.at("cannot make the directory", &shown)?,
    };
    rustix::fs::fchmod(&dir, mode).at("cannot set the mode of", &shown)?;
    if durable {
        parent.sync().at("cannot put on disk", parent.own_path())?;
    }
    Ok(dir)
}

/// What killed runs left beside the file, as far as it can be removed.
fn remove_leftovers(dir: &Dir, name: &str) {
    let ours = format!("{PREFIX}{name}.");
    let own = rustix::process::geteuid().as_raw();
    for found in dir.names(MOST_NAMES).unwrap_or_default() {
        let Ok(found) = found.into_string() else { continue };
        if found.strip_prefix(&ours).is_some_and(maker_is_gone)
            && dir.stat_child(&found).is_ok_and(|stat| stat.st_uid == own)
        {
            dir.remove_file(&found).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Tree;
    use super::*;
    use std::os::unix::fs::symlink;

    const LEDGER: &str = "/var/lib/ddum/ledger.json";

    #[test]
    fn directories_are_made_and_the_file_is_as_wanted() {
        let tree = Tree::new();
        let root = tree.root();
        assert_eq!(load(&root, Path::new(LEDGER), 10).unwrap(), None);
        for text in ["one", "second"] {
            store(&root, Path::new(LEDGER), text.as_bytes(), 0o600, true).unwrap();
            assert_eq!(load(&root, Path::new(LEDGER), 10).unwrap().unwrap(), text.as_bytes());
        }
        store(&root, Path::new("/run/ddum/status.json"), b"{}", 0o644, false).unwrap();
        let modes = ["var/lib", "var/lib/ddum", "var/lib/ddum/ledger.json", "run/ddum", "run/ddum/status.json"];
        assert_eq!(modes.map(|name| tree.mode(name)), [0o755, 0o700, 0o600, 0o755, 0o644]);
        assert_eq!(tree.names("var/lib/ddum"), ["ledger.json"]);
        assert_eq!(load(&root, Path::new(LEDGER), 5).unwrap_err().kind(), ErrorKind::File);
    }

    #[test]
    fn a_link_or_fifo_in_place_of_the_file_is_replaced_and_not_followed() {
        let tree = Tree::new();
        tree.write("victim", b"precious");
        symlink("/victim", tree.path("etc/link")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(tree.path("etc/fifo")).status().unwrap().success());
        for name in ["link", "fifo"] {
            store(&tree.root(), &Path::new("/etc").join(name), b"new", 0o644, false).unwrap();
            assert!(tree.path(&format!("etc/{name}")).symlink_metadata().unwrap().is_file());
            assert_eq!(tree.read(&format!("etc/{name}")), b"new");
        }
        assert_eq!(tree.read("victim"), b"precious");
        std::fs::create_dir(tree.path("etc/dir")).unwrap();
        let error = store(&tree.root(), Path::new("/etc/dir"), b"new", 0o644, false).unwrap_err();
        assert!(error.to_string().contains("Is a directory"), "{error}");
        assert_eq!(tree.names("etc"), ["dir", "fifo", "link"]);
    }

    #[test]
    fn only_links_that_root_made_are_followed_to_read() {
        let tree = Tree::new();
        tree.write("target", b"text");
        symlink("../etc/second", tree.path("etc/first")).unwrap();
        symlink("/target", tree.path("etc/second")).unwrap();
        symlink("loop", tree.path("etc/loop")).unwrap();
        let load = |name: &str| load(&tree.root(), &Path::new("/etc").join(name), 100);
        assert_eq!(load("first").unwrap().unwrap(), b"text");
        assert_eq!(load("loop").unwrap_err().kind(), ErrorKind::Unsafe);
        assert_eq!(load("missing/file").unwrap(), None);
        tree.set_mode("etc", 0o777);
        assert_eq!(load("first").unwrap_err().kind(), ErrorKind::Unsafe);
    }

    #[test]
    fn a_file_that_others_can_write_is_not_loaded() {
        let tree = Tree::new();
        tree.write("etc/state", b"text");
        for (mode, good) in [(0o600, true), (0o644, true), (0o666, false), (0o646, false)] {
            tree.set_mode("etc/state", mode);
            assert_eq!(load(&tree.root(), Path::new("/etc/state"), 100).is_ok(), good, "{mode:o}");
        }
    }

    #[test]
    fn what_a_killed_run_left_is_removed_at_once_and_what_another_run_writes_stays() {
        let tree = Tree::new();
        // Above every pid_max (4194304), so nobody's; and init's.
        let names = [".ddum.state.7fffffff00000001", ".ddum.state.0000000100000001", ".ddum.other.7fffffff00000001"];
        for name in names {
            tree.write(&format!("etc/{name}"), b"");
        }
        store(&tree.root(), Path::new("/etc/state"), b"new", 0o644, false).unwrap();
        assert_eq!(tree.names("etc"), [names[2], names[1], "state"]);
    }
}
