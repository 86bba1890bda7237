//! A file written beside the one that it is to replace: complete, on disk and compared before it gets the name.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::PathBuf;

use rustix::fs::{Gid, Mode, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::attributes::{self, ACCESS_LIST};
use super::live::Meta;
use super::process::temporary_digits;
use super::{Dir, label};
use crate::error::{Context, Error, ErrorKind};

/// How our temporary files begin. shadow-utils, PAM, systemd and vipw use none like it.
pub(super) const PREFIX: &str = ".ddum.";

/// The permissions that an account file keeps; nobody has a use for others, and shadow-utils drops them too.
const KEPT: u32 = 0o664;

/// How many random names are tried; that even one is taken means that somebody plants them.
const NAMES_TRIED: usize = 8;

/// A new file without its final name. Dropped before [`Temp::rename`], it is removed.
#[derive(Debug)]
pub(super) struct Temp<'d> {
    dir: &'d Dir,
    name: String,
    file: File,
    pending: bool,
}

impl<'d> Temp<'d> {
    /// Makes an empty file of mode 0600 beside `name`.
    ///
    /// # Errors
    /// The step that failed.
    pub(super) fn create(dir: &'d Dir, name: &str, file_label: Option<&[u8]>) -> Result<Self, Error> {
        let mut tries = NAMES_TRIED;
        loop {
            let temp = format!("{PREFIX}{name}.{}", temporary_digits());
            let path = dir.path(&temp);
            let make = || dir.create_file(&temp, Mode::RUSR | Mode::WUSR);
            match label::creating(file_label, make).at("cannot take back the wish for a label of", &path)? {
                Err(Errno::EXIST) if tries > 0 => tries -= 1,
                made => return Ok(Self { dir, name: temp, file: made.at("cannot create", &path)?, pending: true }),
            }
        }
    }

    /// Writes the whole content.
    ///
    /// # Errors
    /// When it does not fit, for one.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).at("cannot write", self.path())
    }

    /// Gives the file the owner, the permissions and the attributes of the one it replaces. In this order: a new
    /// owner may clear permissions, and permissions rewrite the access list's mask.
    ///
    /// # Errors
    /// When the new file would be usable by others than the old one. An ordinary user, who cannot give files away,
    /// gets a note instead.
    pub(super) fn inherit(&self, from: &Meta, strict: bool, notes: &mut Vec<String>) -> Result<(), Error> {
        let path = self.path();
        let own = rustix::fs::fstat(&self.file).at("cannot look at", &path)?;
        let (uid, gid) = (from.stat.st_uid, from.stat.st_gid);
        if (own.st_uid, own.st_gid) != (uid, gid) {
            match rustix::fs::fchown(&self.file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))) {
                Err(Errno::PERM) if !strict => {
                    notes.push(format!("the owner {uid}:{gid} could not be carried over"));
                }
                outcome => outcome.at("cannot set the owner of", &path)?,
            }
        }
        if !from.attributes.iter().any(|(name, _)| name.to_bytes() == ACCESS_LIST.as_bytes()) {
            attributes::clear_access_list(&self.file).at("cannot clear the access list of", &path)?;
        }
        let mode = from.stat.st_mode & 0o7777;
        if mode & !KEPT != 0 {
            let kept = mode & KEPT;
            notes.push(format!("of the mode {mode:04o}, {kept:04o} is kept"));
        }
        self.set_mode(mode & KEPT)?;
        match attributes::write(&self.file, &from.attributes, strict) {
            Ok(lost) => notes.extend(lost),
            Err((name, errno)) => return Err(errno).at(&format!("cannot set the attribute {name} of"), &path),
        }
        Ok(())
    }

    /// Sets the permissions, whatever the umask.
    ///
    /// # Errors
    /// The system's refusal.
    pub(super) fn set_mode(&self, mode: u32) -> Result<(), Error> {
        rustix::fs::fchmod(&self.file, Mode::from_raw_mode(mode)).at("cannot set the mode of", self.path())
    }

    /// Gives the file the times of `of`, as a backup has them.
    ///
    /// # Errors
    /// The system's refusal.
    pub(super) fn set_times(&self, of: &Stat) -> Result<(), Error> {
        let time = |secs: i64, nanos: u64| Timespec { tv_sec: secs, tv_nsec: i64::try_from(nanos).unwrap_or(0) };
        let times = Timestamps {
            last_access: time(of.st_atime, of.st_atime_nsec),
            last_modification: time(of.st_mtime, of.st_mtime_nsec),
        };
        rustix::fs::futimens(&self.file, &times).at("cannot set the times of", self.path())
    }

    /// Puts content and attributes on disk and reads the content back. Every error of a write that was put off, also
    /// those that close(2) would tell, comes out here.
    ///
    /// # Errors
    /// When it is not on disk, or not what was written.
    pub(super) fn finish(&mut self, bytes: &[u8]) -> Result<(), Error> {
        rustix::fs::fsync(&self.file).at("cannot put on disk", self.path())?;
        self.compare(bytes)
    }

    /// As [`Temp::finish`], for what need not outlive a power failure.
    ///
    /// # Errors
    /// When it is not what was written.
    pub(super) fn compare(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path();
        let mut found = Vec::with_capacity(bytes.len() + 1);
        self.file.rewind().at("cannot read back", &path)?;
        self.file.read_to_end(&mut found).at("cannot read back", &path)?;
        if found == bytes {
            return Ok(());
        }
        Err(Error::new(ErrorKind::File, format!("{} does not hold what was written to it", path.display())))
    }

    /// Gives the file its name, over whatever has it.
    ///
    /// # Errors
    /// The system's refusal; the file is removed then.
    pub(super) fn rename(mut self, to: &str) -> Result<(), Error> {
        let what = format!("cannot rename {} to", self.path().display());
        match self.dir.rename(&self.name, to) {
            Ok(()) => {
                self.pending = false;
                Ok(())
            }
            Err(Errno::BUSY) => {
                let path = self.dir.path(to);
                let why = "it is a mount point; mount the directory instead";
                Err(Error::new(ErrorKind::Unsafe, format!("{what} {}: {why}", path.display())))
            }
            Err(errno) => Err(errno).at(&what, self.dir.path(to)),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path(&self.name)
    }
}

impl Drop for Temp<'_> {
    fn drop(&mut self) {
        if self.pending {
            // What cannot be removed is found as a leftover by the next update.
            self.dir.remove_file(&self.name).ok();
        }
    }
}
