//! What a user owns in the home follows a change of the user's ids, as with `usermod -u`.
//!
//! This is the one work that root does below a user's directory, because only root can. A file is opened without a
//! way to read or write it (`O_PATH`), looked at, and given on by that descriptor: whatever the user renames or links
//! meanwhile, only a file that the old ids own is touched.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::super::identity::Identity;
use super::super::{Demand, Dir};
use super::pool::Hand;
use super::{Site, Wish, cannot, shown};

/// Deeper directories keep their owner, and are reported; each level holds a descriptor.
const DEPTH: usize = 200;

/// So many mount points in a home are named.
const NAMED: usize = 10;

const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const READ: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What was done in one home.
#[derive(Debug, Default)]
pub(super) struct Reowned {
    /// How many files changed hands, or would.
    pub(super) files: u64,
    /// Why some did not.
    pub(super) notes: Vec<String>,
    /// The old ids of the home itself, if it had such.
    pub(super) owner: Option<Identity>,
    /// The home, if something in it changed.
    pub(super) home: Option<Dir>,
}

struct Walk<'a> {
    site: &'a Site,
    old: &'a [Identity],
    new: Identity,
    device: u64,
    deadline: Instant,
    reused: &'a [u32],
    hand: &'a Hand,
    /// How many mount points were met.
    left_out: usize,
    done: Reowned,
}

/// Gives the home of `wish` and what is in it from the old ids to the new ones, on one file system.
///
/// From a uid that is `reused`, a file with several links stays: it may be the new holder's, linked into the home.
pub(super) fn follow(site: &Site, wish: &Wish, reused: &[u32], hand: &Hand) -> Result<Reowned, String> {
    let home = match site.root.try_walk(wish.home(), Demand::TrustedLinks) {
        Ok(Ok(home)) => home,
        Ok(Err(Errno::NOENT | Errno::NOTDIR)) => return Ok(Reowned::default()),
        Ok(Err(errno)) => return Err(cannot("open the home", &site.root.display(wish.home()), errno)),
        Err(error) => return Err(error.to_string()),
    };
    let stat = home.stat().map_err(|errno| cannot("look at", home.own_path(), errno))?;
    let owner = wish.moved_from.iter().find(|old| old.uid == stat.st_uid && old.uid != wish.user.uid).copied();
    if owner.is_none() && stat.st_uid != wish.user.uid {
        // Somebody else's directory that passwd happens to name.
        return Ok(Reowned::default());
    }
    let deadline = Instant::now() + site.settings.walk_limit;
    let done = Reowned { owner, ..Reowned::default() };
    let (old, device) = (wish.moved_from.as_slice(), stat.st_dev);
    let mut walk = Walk { site, old, new: wish.user, device, deadline, reused, hand, left_out: 0, done };
    walk.tree(&home).map_err(|reason| {
        format!("{reason}; {} files of {} got their new owner", walk.done.files, shown(home.own_path()))
    })?;
    walk.give(home.as_fd(), &stat).map_err(|errno| cannot("give to its new owner", home.own_path(), errno))?;
    if walk.done.files > 0 {
        walk.done.home = Some(home);
    }
    Ok(walk.done)
}

impl Walk<'_> {
    fn tree(&mut self, home: &Dir) -> Result<(), String> {
        let trouble = |errno| cannot("read", home.own_path(), errno);
        let mut stack = vec![rustix::fs::Dir::new(home.duplicate().map_err(trouble)?.into_fd()).map_err(trouble)?];
        // Where the walk is, for messages only.
        let mut path = home.own_path().to_owned();
        let mut seen = 0_u32;
        while let Some(dir) = stack.last_mut() {
            let entry = match dir.read() {
                Some(Ok(entry)) => entry,
                Some(Err(errno)) => return Err(trouble(errno)),
                None => {
                    stack.pop();
                    path.pop();
                    continue;
                }
            };
            seen = seen.wrapping_add(1);
            if seen % 64 == 1 {
                self.hand.beat();
                self.hand.check()?;
                if Instant::now() > self.deadline {
                    let limit: Duration = self.site.settings.walk_limit;
                    return Err(format!("the home was not gone through in {} s", limit.as_secs()));
                }
            }
            let name = entry.file_name();
            if name.to_bytes() == b"." || name.to_bytes() == b".." {
                continue;
            }
            let file = match look(dir.fd().map_err(trouble)?, name) {
                Ok(file) => file,
                // Gone meanwhile.
                Err(Errno::NOENT | Errno::LOOP) => continue,
                Err(Errno::XDEV) => {
                    self.leave_out(&path, name);
                    continue;
                }
                Err(Errno::ACCESS) => {
                    self.note(denied(home));
                    continue;
                }
                Err(errno) => return Err(trouble(errno)),
            };
            let stat = rustix::fs::fstat(&file).map_err(trouble)?;
            if stat.st_dev != self.device {
                self.leave_out(&path, name);
                continue;
            }
            self.give(file.as_fd(), &stat)
                .map_err(|errno| cannot("give to its new owner a file in", home.own_path(), errno))?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                if stack.len() == DEPTH {
                    self.note(format!("{} is too deep: what is far down keeps its owner", shown(home.own_path())));
                    continue;
                }
                match rustix::fs::openat(&file, ".", READ, Mode::empty()) {
                    Ok(fd) => {
                        stack.push(rustix::fs::Dir::new(fd).map_err(trouble)?);
                        path.push(OsStr::from_bytes(name.to_bytes()));
                    }
                    Err(Errno::NOENT) => {}
                    Err(Errno::ACCESS) => self.note(denied(home)),
                    // Said to be done, the rest would belong to the old uid for ever.
                    Err(errno) => return Err(trouble(errno)),
                }
            }
        }
        Ok(())
    }

    /// Files of other uids stay, whatever their group: a hard link to one may have been put there.
    fn give(&mut self, file: impl AsFd, stat: &Stat) -> rustix::io::Result<()> {
        let (new, mut old) = (self.new, self.old.iter());
        let is_old = stat.st_uid != new.uid && old.clone().any(|ids| ids.uid == stat.st_uid);
        if !is_old && stat.st_uid != new.uid {
            return Ok(());
        }
        let is_linked = stat.st_nlink > 1 && FileType::from_raw_mode(stat.st_mode) != FileType::Directory;
        if is_old && is_linked && self.reused.contains(&stat.st_uid) {
            let uid = stat.st_uid;
            self.note(format!("uid {uid} has another user now: files with several hard links keep their owner"));
            return Ok(());
        }
        let is_of_old_group = stat.st_gid != new.gid && old.any(|ids| ids.gid == stat.st_gid);
        let uid = is_old.then(|| Uid::from_raw(new.uid));
        let gid = is_of_old_group.then(|| Gid::from_raw(new.gid));
        if uid.is_none() && gid.is_none() {
            return Ok(());
        }
        if !self.site.policy.look_only {
            match rustix::fs::chownat(file, c"", uid, gid, AtFlags::EMPTY_PATH) {
                Err(Errno::PERM) if !self.site.root.is_superuser() => {
                    let uid = self.site.root.own_uid();
                    self.note(format!("owner stays uid {uid}: not running as root"));
                    return Ok(());
                }
                done => done?,
            }
        }
        self.done.files += 1;
        Ok(())
    }

    /// Says that a mount point is not crossed. What is there is not the home's, and may be a whole disk.
    fn leave_out(&mut self, dir: &Path, name: &CStr) {
        self.left_out += 1;
        match self.left_out {
            1..=NAMED => {
                let path = shown(&dir.join(OsStr::from_bytes(name.to_bytes())));
                self.note(format!("{path} is another file system: what is there keeps its owner"));
            }
            more if more == NAMED + 1 => self.note("and so are more places in the home".to_owned()),
            _ => {}
        }
    }

    fn note(&mut self, note: String) {
        if !self.done.notes.contains(&note) {
            self.done.notes.push(note);
        }
    }
}

/// A server that holds the files may deny even root.
fn denied(home: &Dir) -> String {
    format!("not all of {} may be looked at: what is there keeps its owner", shown(home.own_path()))
}

/// Opens what is called `name`, be it a link, but not across a mount.
fn look(dir: impl AsFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let stay = ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(dir.as_fd(), name, LOOK, Mode::empty(), stay) {
        // Old sandboxes refuse the call. Only bind mounts of the same file system are crossed then.
        Err(Errno::NOSYS | Errno::PERM) => rustix::fs::openat(dir, name, LOOK, Mode::empty()),
        other => other,
    }
}
