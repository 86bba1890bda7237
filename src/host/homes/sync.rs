//! What was written, and the few calls that put it on disk. They wait for the disk and for all that other programs
//! wrote there, so they are no part of what one user's home may take.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::super::{Dir, Stop};
use super::Settings;
use super::pool::{Answer, Hand, lock};

/// Up to so many changed files and directories of a file system are synced one by one, which does not wait for what
/// other programs wrote there; beyond, the whole file system is synced at once.
const SINGLY: usize = 8;

/// What is to be put on disk of one file system.
#[derive(Debug, Default)]
struct Changes {
    single: Vec<Single>,
    /// Something open on the file system, when it is to be synced at once.
    bulk: Option<Arc<OwnedFd>>,
}

/// An open file or directory.
#[derive(Debug)]
struct Single {
    /// The home that it belongs to.
    place: Arc<str>,
    inode: u64,
    fd: OwnedFd,
}

/// What was written where since the last sync.
#[derive(Debug, Default)]
pub(super) struct FileSystems {
    known: Mutex<BTreeMap<u64, Changes>>,
    /// How many calls waited for a disk.
    calls: AtomicUsize,
}

/// What could not be put on disk, and why: whole file systems, and what belongs to single homes.
#[derive(Debug, Default)]
pub(super) struct Failed {
    file_systems: BTreeMap<u64, String>,
    homes: BTreeMap<(u64, Arc<str>), String>,
}

impl Failed {
    /// Why that which belongs to a home may not be on disk.
    pub(super) fn of(&self, device: u64, place: &Arc<str>) -> Option<&str> {
        let reason = self.file_systems.get(&device).or_else(|| self.homes.get(&(device, Arc::clone(place))));
        reason.map(String::as_str)
    }
}

enum Job {
    Singly(Vec<Single>),
    Bulk(Arc<OwnedFd>),
}

impl FileSystems {
    /// Notes that a file or directory changed that belongs to the home at `place`, and says on which file system.
    pub(super) fn note(&self, changed: impl AsFd, place: &Arc<str>) -> rustix::io::Result<u64> {
        let stat = rustix::fs::fstat(&changed)?;
        let mut known = lock(&self.known);
        let changes = known.entry(stat.st_dev).or_default();
        if changes.bulk.is_none() && !changes.single.iter().any(|one| one.inode == stat.st_ino) {
            let fd = rustix::io::fcntl_dupfd_cloexec(changed, 3)?;
            if changes.single.len() < SINGLY {
                changes.single.push(Single { place: Arc::clone(place), inode: stat.st_ino, fd });
            } else {
                changes.bulk = Some(Arc::new(fd));
                changes.single.clear();
            }
        }
        Ok(stat.st_dev)
    }

    /// Notes that a tree of files changed in a directory.
    pub(super) fn note_tree(&self, dir: &Dir) -> rustix::io::Result<u64> {
        let device = dir.stat()?.st_dev;
        let mut known = lock(&self.known);
        let changes = known.entry(device).or_default();
        if changes.bulk.is_none() {
            changes.bulk = Some(Arc::new(dir.duplicate()?.into_fd()));
            changes.single.clear();
        }
        Ok(device)
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Puts on disk what was noted since the last call, and file systems with many changes as wholes.
    pub(super) fn sync(&self, settings: &Settings, stop: &Stop) -> Failed {
        let mut devices = Vec::new();
        let mut jobs = Vec::new();
        for (device, changes) in lock(&self.known).iter_mut() {
            let job = match &changes.bulk {
                Some(fd) => Job::Bulk(Arc::clone(fd)),
                None if changes.single.is_empty() => continue,
                None => Job::Singly(std::mem::take(&mut changes.single)),
            };
            let calls = if let Job::Singly(single) = &job { single.len() } else { 1 };
            self.calls.fetch_add(calls, Ordering::Relaxed);
            devices.push(*device);
            jobs.push((Arc::from(format!("device {device}")), job));
        }
        #[cfg(test)]
        let syncing = settings.syncing;
        let answers = settings.pool(settings.sync_limit, false, stop).run(jobs, move |job, hand| {
            #[cfg(test)]
            if let Some(syncing) = syncing {
                syncing();
            }
            job.run(hand)
        });
        let mut failed = Failed::default();
        for (device, answer) in devices.into_iter().zip(answers) {
            let reason = match answer {
                Answer::Done(Ok(homes)) => {
                    failed.homes.extend(homes.into_iter().map(|(place, errno)| {
                        ((device, place), format!("what was written cannot be put on disk: {errno}"))
                    }));
                    continue;
                }
                Answer::Done(Err(errno)) => format!("its file system cannot be synced: {errno}"),
                Answer::Silent | Answer::StillSilent => "its file system did not sync in time".to_owned(),
                Answer::Stopped => "told to stop before its file system was synced".to_owned(),
                Answer::NotTried => "no thread could sync its file system".to_owned(),
            };
            failed.file_systems.insert(device, reason);
        }
        failed
    }
}

impl Job {
    /// As root: fsync(2) and syncfs(2) go by what is open, no name below a user's directory is resolved. Returns the
    /// homes for which it failed.
    fn run(self, hand: &Hand) -> rustix::io::Result<Vec<(Arc<str>, Errno)>> {
        match self {
            Self::Bulk(fd) => readable(fd.as_fd(), |fd| rustix::fs::syncfs(fd)).map(|()| Vec::new()),
            Self::Singly(single) => {
                let mut failed = Vec::new();
                for Single { place, fd, .. } in single {
                    if let Err(errno) = readable(fd.as_fd(), |fd| rustix::fs::fsync(fd)) {
                        failed.push((place, errno));
                    }
                    hand.beat();
                }
                Ok(failed)
            }
        }
    }
}

/// Syncs a directory also when its user may only pass through it, so that it is open by `O_PATH` alone.
fn readable(fd: BorrowedFd<'_>, sync: impl Fn(BorrowedFd<'_>) -> rustix::io::Result<()>) -> rustix::io::Result<()> {
    match sync(fd) {
        Err(Errno::BADF) => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            sync(rustix::fs::openat(fd, ".", flags, Mode::empty())?.as_fd())
        }
        other => other,
    }
}
