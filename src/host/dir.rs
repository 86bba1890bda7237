//! An open directory. What is done through it stays in it, whatever is renamed or linked around it meanwhile.

use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::{Errno, Result};

/// An open directory and the path that messages call it by. Names given to its methods are single components; a
/// name that is a symbolic link is never followed.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

/// How a directory is opened: readable, never through a link.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How a file of unknown kind is opened for reading: a FIFO or a terminal may neither block nor adopt us.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// How a new file is made: it must not exist, not even as a link. What is written to it can be read back.
const CREATE: OFlags =
    OFlags::RDWR.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Dir {
    /// Wraps a descriptor that already is an open directory.
    pub(super) fn from_fd(fd: OwnedFd, path: PathBuf) -> Self {
        Self { fd, path }
    }

    /// The path of `name` in this directory, for messages only.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The path of the directory itself, for messages only.
    #[must_use]
    pub fn own_path(&self) -> &Path {
        &self.path
    }

    /// Another descriptor of the same directory.
    pub fn duplicate(&self) -> Result<Self> {
        Ok(Self { fd: rustix::io::fcntl_dupfd_cloexec(&self.fd, 3)?, path: self.path.clone() })
    }

    /// The descriptor itself.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// fstat(2) of the directory.
    pub fn stat(&self) -> Result<Stat> {
        rustix::fs::fstat(&self.fd)
    }

    /// lstat(2) of what is called `name` here.
    pub fn stat_child(&self, name: &str) -> Result<Stat> {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Opens the directory `name`. A link gives `ELOOP` or `ENOTDIR`.
    pub fn open_dir(&self, name: &str) -> Result<Self> {
        let fd = rustix::fs::openat(&self.fd, name, DIRECTORY, Mode::empty())?;
        Ok(Self { fd, path: self.path(name) })
    }

    /// Opens `name` for reading if it is a regular file: `ELOOP` for a link, `EINVAL` for anything else.
    pub fn open_file(&self, name: &str) -> Result<(File, Stat)> {
        let fd = rustix::fs::openat(&self.fd, name, READ, Mode::empty())?;
        let stat = rustix::fs::fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Errno::INVAL);
        }
        Ok((File::from(fd), stat))
    }

    /// The content of the regular file `name`, at most `limit` bytes of it: one that is longer gives `EFBIG`.
    pub fn read_file(&self, name: &str, limit: u64) -> Result<(Vec<u8>, Stat)> {
        let (file, stat) = self.open_file(name)?;
        let expected = u64::try_from(stat.st_size).unwrap_or(0);
        if expected > limit {
            return Err(Errno::FBIG);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0) + 1);
        // One more than the limit: a file that grows while it is read must not pass for one that fits.
        file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
        if bytes.len() as u64 > limit { Err(Errno::FBIG) } else { Ok((bytes, stat)) }
    }

    /// Makes the file `name`, which must not exist, open for writing and reading. The mode is not subject to the umask of the
    /// process for bits of the owner; callers set the final one by descriptor.
    pub fn create_file(&self, name: &str, mode: Mode) -> Result<File> {
        Ok(File::from(rustix::fs::openat(&self.fd, name, CREATE, mode)?))
    }

    /// Makes the directory `name`, which must not exist, and opens it.
    pub fn create_dir(&self, name: &str, mode: Mode) -> Result<Self> {
        rustix::fs::mkdirat(&self.fd, name, mode)?;
        self.open_dir(name)
    }

    /// Renames within this directory, over whatever is called `to`.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to)
    }

    /// Renames within this directory; `EEXIST` when something is called `to`.
    pub fn rename_new(&self, from: &str, to: &str) -> Result<()> {
        rustix::fs::renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE)
    }

    /// Removes the file, link or special file `name`.
    pub fn remove_file(&self, name: &str) -> Result<()> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())
    }

    /// Removes the empty directory `name`.
    pub fn remove_dir(&self, name: &str) -> Result<()> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)
    }

    /// Puts what was renamed, made or removed here on disk.
    pub fn sync(&self) -> Result<()> {
        rustix::fs::fsync(&self.fd)
    }

    /// Puts everything on this directory's file system on disk, in one call however much it is.
    pub fn sync_file_system(&self) -> Result<()> {
        rustix::fs::syncfs(&self.fd)
    }

    /// The names in this directory, without `.` and `..`, at most `limit` of them, in no order.
    pub fn names(&self, limit: usize) -> Result<Vec<CString>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_bytes() != b"." && name.to_bytes() != b".." {
                if names.len() == limit {
                    return Err(Errno::OVERFLOW);
                }
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
