//! Making a home: filled under another name in a directory that only root can write in, then given to its user,
//! then renamed. A home is seen whole or not at all.

use std::path::Path;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, FileType, Mode};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::super::identity::Identity;
use super::super::{Demand, Dir};
use super::existing::write_new;
use super::pool::Hand;
use super::skeleton::Skeleton;
use super::ssh_dir::make_ssh;
use super::sync::FileSystems;
use super::{Site, Wish, cannot, leftovers, selinux};

/// The mode of parents that are made, as useradd(8) makes them.
const PARENT_MODE: u32 = 0o755;

/// What became of making a home under its temporary name.
#[derive(Debug)]
pub(super) enum Made {
    /// There is something at the final name: it is to be treated as a home that exists.
    Exists,
    /// It waits for its rename.
    Prepared(NewHome),
}

/// A home that is whole, but for its name.
#[derive(Debug)]
pub(super) struct NewHome {
    temporary: String,
    /// The file system that it is on.
    pub(super) device: u64,
    /// What an administrator should know.
    pub(super) note: Option<String>,
}

/// Gives files to a user, as far as we may.
#[derive(Debug)]
pub(super) struct Giver {
    uid: Uid,
    gid: Gid,
    superuser: bool,
    /// Whether something stayed ours because we are not root.
    pub(super) kept: bool,
}

impl Giver {
    fn new(site: &Site, user: Identity) -> Self {
        let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
        Self { uid, gid, superuser: site.root.is_superuser(), kept: false }
    }

    /// Makes an open file the user's.
    pub(super) fn give(&mut self, fd: impl AsFd) -> rustix::io::Result<()> {
        self.settle(rustix::fs::fchown(fd, Some(self.uid), Some(self.gid)))
    }

    /// The same for a link, which cannot be opened.
    pub(super) fn give_named(&mut self, dir: BorrowedFd<'_>, name: &str, flags: AtFlags) -> rustix::io::Result<()> {
        self.settle(rustix::fs::chownat(dir, name, Some(self.uid), Some(self.gid), flags))
    }

    fn settle(&mut self, done: rustix::io::Result<()>) -> rustix::io::Result<()> {
        match done {
            Err(Errno::PERM) if !self.superuser => {
                self.kept = true;
                Ok(())
            }
            other => other,
        }
    }
}

/// Makes the directory that homes are in, and those above it, where they are missing, and removes what killed runs
/// left in it. Everything on the way must be root's alone.
pub(super) fn ensure_parent(site: &Site, path: &Path, hand: &Hand) -> Result<(), String> {
    let mut missing: Vec<&str> = Vec::new();
    let mut at = path;
    let mut dir = loop {
        match site.root.try_walk(at, Demand::Trusted) {
            Ok(Ok(dir)) => break dir,
            Ok(Err(Errno::NOENT)) => match (at.parent(), at.file_name().and_then(|name| name.to_str())) {
                (Some(parent), Some(name)) => {
                    missing.push(name);
                    at = parent;
                }
                _ => return Err(cannot("open", &site.root.display(at), Errno::NOENT)),
            },
            Ok(Err(errno)) => return Err(cannot("open", &site.root.display(at), errno)),
            Err(error) => return Err(error.to_string()),
        }
    };
    if site.policy.look_only {
        return Ok(());
    }
    for name in missing.into_iter().rev() {
        hand.check()?;
        let path = dir.path(name);
        dir = match dir.create_dir(name, Mode::from_raw_mode(PARENT_MODE)) {
            Ok(made) => {
                let mode = rustix::fs::fchmod(&made, Mode::from_raw_mode(PARENT_MODE));
                mode.map_err(|errno| cannot("set the mode of", &path, errno))?;
                made
            }
            Err(errno) => return Err(cannot("make", &path, errno)),
        };
    }
    leftovers::clean_homes(&dir, hand);
    Ok(())
}

/// Makes the home of `wish` under a temporary name, whole, and gives it to the user.
pub(super) fn prepare(
    site: &Site,
    wish: &Wish,
    skeleton: &Skeleton,
    file_systems: &FileSystems,
    hand: &Hand,
) -> Result<Made, String> {
    let would_make = Made::Prepared(NewHome { temporary: String::new(), device: 0, note: None });
    let (path, name) = place(wish)?;
    let parent = match site.root.try_walk(path, Demand::Trusted).map_err(|error| error.to_string())? {
        Ok(parent) => parent,
        Err(Errno::NOENT) if site.policy.look_only => return Ok(would_make),
        Err(errno) => return Err(cannot("open", &site.root.display(path), errno)),
    };
    match parent.stat_child(name) {
        Err(Errno::NOENT) if site.policy.look_only => return Ok(would_make),
        Err(Errno::NOENT) => {}
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
            return Err(format!("{} is a link that leads nowhere", super::shown(&parent.path(name))));
        }
        Ok(_) => return Ok(Made::Exists),
        Err(errno) => return Err(cannot("look at", &parent.path(name), errno)),
    }
    hand.check()?;
    let temporary = leftovers::temporary_name();
    let mut giver = Giver::new(site, wish.user);
    let device = selinux::labelled(&parent, selinux::HOME, || parent.create_dir(&temporary, Mode::RWXU))
        .and_then(|home| fill(site, wish, skeleton, &home, &mut giver))
        .and_then(|()| file_systems.note_tree(&parent));
    let device = device.map_err(|errno| {
        let _ = leftovers::remove_tree(&parent, &temporary, hand);
        cannot("make the home", &parent.path(name), errno)
    })?;
    let note = giver.kept.then(|| format!("owner stays uid {}: not running as root", site.root.own_uid()));
    Ok(Made::Prepared(NewHome { temporary, device, note }))
}

fn fill(site: &Site, wish: &Wish, skeleton: &Skeleton, home: &Dir, giver: &mut Giver) -> rustix::io::Result<()> {
    skeleton.write(home, giver)?;
    if wish.has_keys {
        let ssh = make_ssh(home)?;
        giver.give(write_new(&ssh, &wish.content)?)?;
        giver.give(&ssh)?;
    }
    // Last: until here root alone could reach what is in it.
    giver.give(home)?;
    rustix::fs::fchmod(home, Mode::from_raw_mode(site.policy.mode & 0o7777))
}

/// Gives the home its name. False when somebody made one meanwhile: theirs stays, ours is removed.
pub(super) fn finish(site: &Site, wish: &Wish, home: &NewHome, hand: &Hand) -> Result<bool, String> {
    let (parent, name) = open_parent(site, wish)?;
    hand.check()?;
    let renamed = match parent.rename_new(&home.temporary, name) {
        // NFS knows no such rename. In a directory that is root's alone nobody races us for the name.
        Err(Errno::INVAL | Errno::NOSYS) => match parent.stat_child(name) {
            Err(Errno::NOENT) => parent.rename(&home.temporary, name),
            Ok(_) => Err(Errno::EXIST),
            Err(errno) => Err(errno),
        },
        other => other,
    };
    match renamed {
        Ok(()) => Ok(true),
        Err(errno) => {
            let _ = leftovers::remove_tree(&parent, &home.temporary, hand);
            if errno == Errno::EXIST { Ok(false) } else { Err(cannot("make the home", &parent.path(name), errno)) }
        }
    }
}

/// Removes a home that will not be used.
pub(super) fn discard(site: &Site, wish: &Wish, home: &NewHome, hand: &Hand) -> Result<(), String> {
    let (parent, _) = open_parent(site, wish)?;
    leftovers::remove_tree(&parent, &home.temporary, hand)
        .map_err(|errno| cannot("remove", &parent.path(&home.temporary), errno))
}

fn open_parent<'a>(site: &Site, wish: &'a Wish) -> Result<(Dir, &'a str), String> {
    let (path, name) = place(wish)?;
    Ok((site.root.walk(path, Demand::Trusted).map_err(|error| error.to_string())?, name))
}

/// The directory that the home is to be in, and its name there.
fn place(wish: &Wish) -> Result<(&Path, &str), String> {
    let name = wish.home().file_name().and_then(|name| name.to_str());
    wish.home().parent().zip(name).ok_or_else(|| format!("{} is no place for a home", super::shown(wish.home())))
}
