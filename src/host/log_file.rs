//! A file that log lines are appended to: found again when logrotate(8) moves it, rotated by size when that is asked
//! for, as Python's `RotatingFileHandler` does it.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{Dir, Root, state};
use crate::error::{Context, Error, ErrorKind};

/// Log lines name users and what was refused them; that is for root and its group.
const MODE: u32 = 0o640;

/// An open log file.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    max_bytes: u64,
    backup_count: u32,
    open: Open,
}

/// The file as it was opened last.
#[derive(Debug)]
struct Open {
    dir: Dir,
    name: String,
    file: File,
    key: (u64, u64),
    /// A device like `/dev/null` is written to, and never rotated.
    is_regular: bool,
}

impl LogFile {
    /// Opens the file, or makes it (mode 0640). It is rotated before it reaches `max_bytes`, and `backup_count` old
    /// ones are kept as `PATH.1` (the newest) and so on; if either is 0, it grows.
    ///
    /// # Errors
    /// [`ErrorKind::File`] when it cannot be opened, [`ErrorKind::Unsafe`] when it is a link in a directory that others
    /// than root can write, or neither file nor device.
    pub fn open(path: &Path, max_bytes: u64, backup_count: u32) -> Result<Self, Error> {
        let path = std::path::absolute(path).at("cannot find", path)?;
        let open = open(&path)?;
        Ok(Self { path, max_bytes, backup_count, open })
    }

    /// Appends `line` and a newline in one write, so that lines of several processes do not mix.
    ///
    /// # Errors
    /// When the file cannot be written, or was moved away and cannot be made again; then the line went to the old one.
    pub fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        let mut text = Vec::with_capacity(line.len() + 1);
        text.extend_from_slice(line);
        text.push(b'\n');
        let mut found = Ok(());
        if self.is_moved() {
            found = self.reopen();
        }
        if found.is_ok() && self.is_full(text.len() as u64) {
            found = self.rotate();
        }
        self.open.file.write_all(&text)?;
        found
    }

    /// The name is followed here, but only to compare: a link to the log, or a directory above it, may have moved too.
    fn is_moved(&self) -> bool {
        !rustix::fs::stat(&self.path).is_ok_and(|stat| key(&stat) == self.open.key)
    }

    fn is_full(&self, more: u64) -> bool {
        let size = || rustix::fs::fstat(&self.open.file).map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0));
        let is_limited = self.max_bytes > 0 && self.backup_count > 0 && self.open.is_regular;
        // A line that is longer than the limit gets a file of its own, not an empty one before it.
        is_limited && (1..).contains(&size()) && size() + more >= self.max_bytes
    }

    fn rotate(&mut self) -> io::Result<()> {
        let Open { dir, name, .. } = &self.open;
        for number in (1..self.backup_count).rev() {
            match dir.rename(&format!("{name}.{number}"), &format!("{name}.{}", number + 1)) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        dir.rename(name, &format!("{name}.1"))?;
        self.reopen()
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.open = open(&self.path).map_err(io::Error::other)?;
        Ok(())
    }
}

fn key(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

fn open(path: &Path) -> Result<Open, Error> {
    let root = Root::open(Path::new("/"))?;
    let (dir, name) = state::resolve(&root, path)?.at("cannot open the log file", path)?;
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // A FIFO without a reader would stop the daemon.
    let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY;
    let refuse = || Error::new(ErrorKind::Unsafe, format!("{} is neither a file nor a device", path.display()));
    let file = match rustix::fs::openat(&dir, name.as_str(), flags, Mode::from_raw_mode(MODE)) {
        Ok(fd) => File::from(fd),
        Err(Errno::ISDIR | Errno::NXIO) => return Err(refuse()),
        Err(errno) => return Err(errno).at("cannot open the log file", path),
    };
    let stat = rustix::fs::fstat(&file).at("cannot look at", path)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if !matches!(kind, FileType::RegularFile | FileType::CharacterDevice) {
        return Err(refuse());
    }
    Ok(Open { dir, name, file, key: key(&stat), is_regular: kind == FileType::RegularFile })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Tree;
    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_made_again() {
        let tree = Tree::new();
        let path = tree.path("etc/log");
        let mut log = LogFile::open(&path, 0, 0).unwrap();
        assert_eq!(tree.mode("etc/log") & 0o027, 0);
        log.write_line(b"one").unwrap();
        std::fs::rename(&path, tree.path("etc/log.old")).unwrap();
        log.write_line(b"two").unwrap();
        log.write_line(b"three").unwrap();
        assert_eq!(tree.read("etc/log.old"), b"one\n");
        assert_eq!(tree.read("etc/log"), b"two\nthree\n");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(log.write_line(b"four").is_err());
        std::fs::remove_dir(&path).unwrap();
        LogFile::open(&path, 0, 0).unwrap().write_line(b"five").unwrap();
        log.write_line(b"six").unwrap();
        assert_eq!(tree.read("etc/log"), b"five\nsix\n");
    }

    #[test]
    fn it_is_rotated_before_it_reaches_its_limit() {
        let tree = Tree::new();
        let mut log = LogFile::open(&tree.path("etc/log"), 10, 2).unwrap();
        for line in ["aaaa", "bbb", "cc", "dddddddddddddd", "e"] {
            log.write_line(line.as_bytes()).unwrap();
        }
        assert_eq!(tree.names("etc"), ["log", "log.1", "log.2"]);
        assert_eq!(tree.read("etc/log"), b"e\n");
        assert_eq!(tree.read("etc/log.1"), b"dddddddddddddd\n");
        assert_eq!(tree.read("etc/log.2"), b"cc\n");
        for (max_bytes, backup_count) in [(10, 0), (0, 2)] {
            let mut log = LogFile::open(&tree.path("etc/log"), max_bytes, backup_count).unwrap();
            log.write_line(b"ffffffffffffff").unwrap();
        }
        assert_eq!(tree.read("etc/log"), b"e\nffffffffffffff\nffffffffffffff\n");
    }

    #[test]
    fn a_device_is_written_to_and_a_fifo_or_a_strangers_link_refused() {
        LogFile::open(Path::new("/dev/null"), 1, 1).unwrap().write_line(b"line").unwrap();
        assert!(Path::new("/dev/null").exists());
        let tree = Tree::new();
        assert!(std::process::Command::new("mkfifo").arg(tree.path("etc/fifo")).status().unwrap().success());
        assert_eq!(LogFile::open(&tree.path("etc/fifo"), 0, 0).unwrap_err().kind(), ErrorKind::Unsafe);
        std::os::unix::fs::symlink(tree.path("victim"), tree.path("etc/link")).unwrap();
        tree.set_mode("etc", 0o777);
        assert_eq!(LogFile::open(&tree.path("etc/link"), 0, 0).unwrap_err().kind(), ErrorKind::Unsafe);
        assert!(!tree.path("victim").exists());
    }
}
