//! The keys in a home that exists. Everything here runs as the user, so whatever the user put there leads no further
//! than the user could go alone.

use std::fs::File;
use std::io::{Read, Write};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::process::Gid;

use super::super::{Demand, Dir};
use super::authorized_keys::{self, difference};
use super::pool::Hand;
use super::ssh_dir::{SSH, Ssh};
use super::sync::FileSystems;
use super::{HomeChange, HomeOutcome, Site, Wish, cannot, leftovers, shown};

pub(super) const KEYS: &str = "authorized_keys";

/// No file of ours is longer; what is gets replaced without being read.
const LIMIT: u64 = 1024 * 1024;

const KEYS_MODE: u32 = 0o600;

/// What is to be done after the look at a home.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing more.
    Settled,
    /// There is no home.
    Missing,
    /// The new keys lie beside the old ones.
    Prepared(Prepared),
}

/// A written file that waits for its rename.
#[derive(Debug)]
pub(super) struct Prepared {
    temporary: String,
    /// The file system that it is on.
    pub(super) device: u64,
    /// What will have changed with the rename.
    changes: Vec<HomeChange>,
}

/// One user's home during one step.
pub(super) struct Visit<'a> {
    pub(super) site: &'a Site,
    pub(super) wish: &'a Wish,
    pub(super) hand: &'a Hand,
    pub(super) outcome: HomeOutcome,
}

/// The state of `authorized_keys`.
#[derive(Default)]
struct Current {
    /// Its content, if it could be read.
    bytes: Option<Vec<u8>>,
    exists: bool,
    /// What is wrong beside the content.
    wrong: Option<String>,
    /// Whether a rename over it is impossible or would destroy what is not the user's.
    in_the_way: bool,
}

impl Visit<'_> {
    /// Compares what is with what is wished, and writes the new file beside the old one when they differ.
    pub(super) fn look(&mut self, file_systems: &FileSystems, may_create: bool) -> Result<Found, String> {
        let home = match self.site.root.try_walk(self.wish.home(), Demand::TrustedLinks) {
            Ok(Ok(home)) => home,
            Ok(Err(Errno::NOENT)) => return Ok(Found::Missing),
            // The user may not look there; whether there is a home is for root to see.
            Ok(Err(Errno::ACCESS)) if may_create && self.wish.create => return Ok(Found::Missing),
            Ok(Err(Errno::NOTDIR)) if !self.wish.has_keys => return Ok(Found::Settled),
            Ok(Err(errno)) => return Err(cannot("open the home", &self.site.root.display(self.wish.home()), errno)),
            Err(error) => return Err(error.to_string()),
        };
        self.hand.beat();
        let stat = home.stat().map_err(|errno| cannot("look at", home.own_path(), errno))?;
        if stat.st_uid != self.owner() {
            let stay = keys_for_sshd(&home);
            if !self.wish.has_keys && !stay {
                return Ok(Found::Settled);
            }
            let (path, owner, own) = (shown(home.own_path()), stat.st_uid, self.owner());
            let mut reason = format!("the home {path} belongs to uid {owner}, not to uid {own}");
            if stay {
                let keys = shown(&home.path(".ssh/authorized_keys"));
                reason += &format!(
                    ", and sshd may go on taking the keys in {keys}: remove that file, or give the home to uid {own}"
                );
            }
            return Err(reason);
        }
        if self.wish.has_keys && stat.st_mode & 0o022 != 0 {
            // With its members in view, Debian's sshd lets a private group pass (misc.c, secure_permissions).
            let refuses = if stat.st_mode & 0o002 != 0 { "refuses" } else { "may refuse" };
            self.outcome.notes.push(format!(
                "the home {} has mode {:04o}: sshd {refuses} keys where others can write (StrictModes)",
                shown(home.own_path()),
                stat.st_mode & 0o7777
            ));
        }
        let Ssh::Open { dir: ssh, made } = self.open_ssh(&home, file_systems)? else {
            if self.wish.has_keys {
                self.outcome.changes.extend(difference(None, &self.wish.content));
            }
            return Ok(Found::Settled);
        };
        self.hand.beat();
        let current = self.current(&ssh);
        self.hand.beat();
        let unchanged = current.wrong.is_none() && current.bytes.as_ref() == Some(&self.wish.content);
        if unchanged || (!current.exists && !self.wish.has_keys) {
            return Ok(Found::Settled);
        }
        let mut changes: Vec<HomeChange> = current.wrong.clone().map(HomeChange::Repaired).into_iter().collect();
        changes.extend(difference(current.bytes.as_deref(), &self.wish.content));
        if self.site.policy.look_only {
            if current.in_the_way {
                self.move_aside(&ssh, KEYS, file_systems)?;
            }
            self.outcome.changes.extend(changes);
            return Ok(Found::Settled);
        }
        let (temporary, file) = self.write_beside(&ssh)?;
        let noted = if made { file_systems.note(&home, &self.wish.place).map(drop) } else { Ok(()) };
        let device = noted.and_then(|()| file_systems.note(&file, &self.wish.place)).map_err(|errno| {
            let _ = ssh.remove_file(&temporary);
            cannot("look at", ssh.own_path(), errno)
        })?;
        Ok(Found::Prepared(Prepared { temporary, device, changes }))
    }

    /// Puts the new file, which is on disk, in the place of the old one.
    pub(super) fn finish(&mut self, prepared: &Prepared, file_systems: &FileSystems) -> Result<(), String> {
        let ssh = self.again()?;
        let path = ssh.path(KEYS);
        self.hand.beat();
        self.hand.check()?;
        if self.current(&ssh).in_the_way {
            self.move_aside(&ssh, KEYS, file_systems)?;
        }
        ssh.rename(&prepared.temporary, KEYS).map_err(|errno| {
            let _ = ssh.remove_file(&prepared.temporary);
            cannot("replace", &path, errno)
        })?;
        self.outcome.changes.extend(prepared.changes.iter().cloned());
        if let Err(errno) = file_systems.note(&ssh, &self.wish.place) {
            self.outcome.notes.push(cannot("put on disk", ssh.own_path(), errno));
        }
        Ok(())
    }

    /// Removes the new file, which will not be used.
    pub(super) fn discard(&self, prepared: &Prepared) -> Result<(), String> {
        let ssh = self.again()?;
        ssh.remove_file(&prepared.temporary).map_err(|errno| cannot("remove", &ssh.path(&prepared.temporary), errno))
    }

    /// Opens `.ssh` once more.
    fn again(&self) -> Result<Dir, String> {
        let home = self.site.root.walk(self.wish.home(), Demand::TrustedLinks).map_err(|error| error.to_string())?;
        let ssh = home.open_dir(SSH).map_err(|errno| cannot("open", &home.path(SSH), errno))?;
        for dir in [&home, &ssh] {
            let stat = dir.stat().map_err(|errno| cannot("look at", dir.own_path(), errno))?;
            if stat.st_uid != self.owner() {
                return Err(format!("{} is not the user's any more", shown(dir.own_path())));
            }
        }
        Ok(ssh)
    }

    pub(super) fn owner(&self) -> u32 {
        self.site.owner(self.wish.user)
    }

    fn current(&self, ssh: &Dir) -> Current {
        let path = shown(&ssh.path(KEYS));
        let (bytes, stat, trouble) = match ssh.read_file(KEYS, LIMIT) {
            Ok((bytes, stat)) => (Some(bytes), stat, None),
            Err(Errno::NOENT) => return Current::default(),
            Err(errno) => match ssh.stat_child(KEYS) {
                Ok(stat) => (None, stat, Some(errno)),
                Err(_) => return Current::default(),
            },
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let regular = kind == FileType::RegularFile;
        let foreign = stat.st_uid != self.owner();
        let mode = stat.st_mode & 0o7777;
        let group = self.site.root.is_superuser() && stat.st_gid != self.wish.user.gid;
        let wrong = if !regular {
            Some(format!("{path} was {}", kind_name(kind)))
        } else if stat.st_nlink > 1 {
            Some(format!("{path} was a hard link"))
        } else if foreign {
            Some(format!("{path} belonged to uid {}", stat.st_uid))
        } else if mode != KEYS_MODE {
            Some(format!("{path} had mode {mode:04o}"))
        } else if group {
            Some(format!("{path} had gid {}", stat.st_gid))
        } else {
            trouble.map(|errno| format!("{path} could not be read: {errno}"))
        };
        // A link of someone else's file only loses a name; the only name of one would take its content with it.
        let in_the_way = kind == FileType::Directory || (regular && foreign && stat.st_nlink == 1);
        Current { bytes, exists: true, wrong, in_the_way }
    }

    /// Writes the wished content to a new file in `.ssh` and returns its name.
    fn write_beside(&self, ssh: &Dir) -> Result<(String, File), String> {
        self.hand.check()?;
        leftovers::clean_files(ssh);
        let name = leftovers::temporary_name();
        let file = ssh
            .create_file(&name, Mode::from_raw_mode(KEYS_MODE))
            .map_err(|errno| cannot("make a file in", ssh.own_path(), errno))?;
        fill(&file, &self.wish.content, self.wish.user.gid).map_err(|errno| {
            let _ = ssh.remove_file(&name);
            cannot("write", &ssh.path(KEYS), errno)
        })?;
        Ok((name, file))
    }
}

/// Whether a home that is somebody else's has keys that the user, and so sshd, can read. One that is root's passes its
/// StrictModes. A link may lead to some.
fn keys_for_sshd(home: &Dir) -> bool {
    const PATH: &str = ".ssh/authorized_keys";
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let opened = match rustix::fs::openat2(home, PATH, flags, Mode::empty(), resolve) {
        // Old sandboxes refuse the call.
        Err(Errno::NOSYS | Errno::PERM) => rustix::fs::openat(home, PATH, flags, Mode::empty()),
        other => other,
    };
    let file = match opened {
        Ok(fd) => File::from(fd),
        Err(errno) => return !matches!(errno, Errno::NOENT | Errno::ACCESS | Errno::NOTDIR | Errno::NXIO),
    };
    let is_regular =
        rustix::fs::fstat(&file).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    let mut bytes = Vec::new();
    is_regular && (file.take(LIMIT).read_to_end(&mut bytes).is_err() || authorized_keys::is_key_in(&bytes))
}

fn fill(mut file: &File, content: &[u8], gid: u32) -> rustix::io::Result<()> {
    file.write_all(content).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    // The umask and a set-group-ID directory may have had their say. Who may not choose the group keeps the other one.
    let _ = rustix::fs::fchown(file, None, Some(Gid::from_raw(gid)));
    rustix::fs::fchmod(file, Mode::from_raw_mode(KEYS_MODE))
}

/// Makes `authorized_keys` in a `.ssh` that nobody else can reach yet.
pub(super) fn write_new(ssh: &Dir, content: &[u8]) -> rustix::io::Result<File> {
    let mut file = ssh.create_file(KEYS, Mode::from_raw_mode(KEYS_MODE))?;
    file.write_all(content).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(KEYS_MODE))?;
    Ok(file)
}

fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::Symlink => "a symbolic link",
        FileType::Directory => "a directory",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::RegularFile | FileType::Unknown => "of an unknown kind",
    }
}
