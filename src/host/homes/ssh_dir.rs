//! The directory `.ssh` of a user, who may have put anything there. As in [`existing`](super::existing), everything
//! runs as the user.

use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::super::Dir;
use super::existing::{KEYS, Visit};
use super::sync::FileSystems;
use super::{HomeChange, cannot, leftovers, selinux, shown};

pub(super) const SSH: &str = ".ssh";

const MODE: u32 = 0o700;

/// A user who plants something again each time it is moved aside is refused after so many times.
const PATIENCE: usize = 3;

/// What is called `.ssh`.
pub(super) enum Ssh {
    /// It is not there, and shall not be or would only be made.
    Absent,
    /// It is the user's, and may be new.
    Open { dir: Dir, made: bool },
}

impl Visit<'_> {
    /// Opens `.ssh`, or makes it if there are keys to write.
    pub(super) fn open_ssh(&mut self, home: &Dir, file_systems: &FileSystems) -> Result<Ssh, String> {
        let path = home.path(SSH);
        let mut made = false;
        for _ in 0..PATIENCE {
            let errno = match home.open_dir(SSH) {
                Ok(dir) => {
                    let stat = dir.stat().map_err(|errno| cannot("look at", &path, errno))?;
                    if stat.st_uid == self.owner() {
                        self.repair_mode(&dir, &stat)?;
                        return Ok(Ssh::Open { dir, made });
                    }
                    if !self.wish.has_keys && dir.stat_child(KEYS).is_err() {
                        // Nobody logs in by keys that are not there, or that the user may not read.
                        return Ok(Ssh::Absent);
                    }
                    Errno::NOTDIR
                }
                Err(errno) => errno,
            };
            match errno {
                Errno::NOENT if !self.wish.has_keys || self.site.policy.look_only => return Ok(Ssh::Absent),
                Errno::NOENT => {
                    self.hand.check()?;
                    // What is opened afterwards may be another directory, so it is looked at like any other.
                    match selinux::labelled(home, selinux::SSH, || home.create_dir(SSH, Mode::from_raw_mode(MODE))) {
                        Ok(_) => made = true,
                        Err(Errno::EXIST | Errno::NOTDIR | Errno::LOOP) => {}
                        Err(errno) => return Err(cannot("make", &path, errno)),
                    }
                }
                Errno::ACCESS | Errno::NOTDIR | Errno::LOOP => {
                    let stat = home.stat_child(SSH).map_err(|errno| cannot("look at", &path, errno))?;
                    let kind = FileType::from_raw_mode(stat.st_mode);
                    if kind == FileType::Directory && stat.st_uid == self.owner() {
                        if errno == Errno::ACCESS {
                            self.repair_closed(home)?;
                            if self.site.policy.look_only {
                                return Ok(Ssh::Absent);
                            }
                        }
                        continue;
                    }
                    // Without keys only what can lead sshd to some matters: a link, or a directory that opened.
                    let leads_nowhere =
                        errno == Errno::ACCESS || !matches!(kind, FileType::Symlink | FileType::Directory);
                    if !self.wish.has_keys && leads_nowhere {
                        return Ok(Ssh::Absent);
                    }
                    self.move_aside(home, SSH, file_systems)?;
                    if self.site.policy.look_only {
                        return Ok(Ssh::Absent);
                    }
                }
                errno => return Err(cannot("open", &path, errno)),
            }
        }
        Err(format!("{} changes while it is looked at", shown(&path)))
    }

    /// sshd refuses a `.ssh` in which others can write; without the owner's bits we cannot work in it.
    fn repair_mode(&mut self, ssh: &Dir, stat: &Stat) -> Result<(), String> {
        let mode = stat.st_mode & 0o7777;
        if mode & 0o022 == 0 && mode & MODE == MODE {
            return Ok(());
        }
        if !self.site.policy.look_only {
            self.hand.check()?;
            rustix::fs::fchmod(ssh, Mode::from_raw_mode(MODE))
                .map_err(|errno| cannot("set the mode of", ssh.own_path(), errno))?;
        }
        self.outcome.changes.push(mode_was(ssh.own_path(), mode));
        Ok(())
    }

    /// The same for a directory that cannot even be opened.
    fn repair_closed(&mut self, home: &Dir) -> Result<(), String> {
        let path = home.path(SSH);
        let trouble = |errno| cannot("set the mode of", &path, errno);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let ssh = rustix::fs::openat(home, SSH, flags, Mode::empty()).map_err(trouble)?;
        let stat = rustix::fs::fstat(&ssh).map_err(trouble)?;
        if stat.st_uid != self.owner() {
            return Ok(());
        }
        if !self.site.policy.look_only {
            self.hand.check()?;
            // fchmod(2) refuses such a descriptor and chmod(2) by name follows a link that is swapped in: this is the
            // way between (open(2), O_PATH).
            let name = format!("/proc/thread-self/fd/{}", ssh.as_raw_fd());
            rustix::fs::chmod(name, Mode::from_raw_mode(MODE)).map_err(trouble)?;
        }
        self.outcome.changes.push(mode_was(&path, stat.st_mode & 0o7777));
        Ok(())
    }

    /// Gives `name` another name in the same directory, which is to be put on disk: else power loss could bring back
    /// what was planted, and with it a way in.
    pub(super) fn move_aside(&mut self, dir: &Dir, name: &str, file_systems: &FileSystems) -> Result<(), String> {
        let from = dir.path(name);
        if self.site.policy.look_only {
            self.outcome.changes.push(moved(&from, &dir.path(&format!("{name}.ddum-aside-…"))));
            return Ok(());
        }
        self.hand.check()?;
        let aside = leftovers::aside_name(name);
        let done = match dir.rename_new(name, &aside) {
            // NFS knows no such rename; the name is random enough.
            Err(Errno::INVAL | Errno::NOSYS) => dir.rename(name, &aside),
            other => other,
        };
        match done {
            Ok(()) => {
                self.outcome.changes.push(moved(&from, &dir.path(&aside)));
                if let Err(errno) = file_systems.note(dir, &self.wish.place) {
                    self.outcome.notes.push(cannot("put on disk", dir.own_path(), errno));
                }
            }
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(cannot("move aside", &from, errno)),
        }
        Ok(())
    }
}

/// Makes or opens `.ssh` in a home that nobody else can reach yet.
pub(super) fn make_ssh(home: &Dir) -> rustix::io::Result<Dir> {
    let ssh = match selinux::labelled(home, selinux::SSH, || home.create_dir(SSH, Mode::from_raw_mode(MODE))) {
        Err(Errno::EXIST) => home.open_dir(SSH)?,
        other => other?,
    };
    rustix::fs::fchmod(&ssh, Mode::from_raw_mode(MODE))?;
    Ok(ssh)
}

pub(super) fn moved(from: &Path, to: &Path) -> HomeChange {
    HomeChange::MovedAside { from: shown(from), to: shown(to) }
}

fn mode_was(path: &Path, mode: u32) -> HomeChange {
    HomeChange::Repaired(format!("{} had mode {mode:04o}", shown(path)))
}
