//! The file systems that were written to, and the few calls that put them on disk.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::super::{Dir, Stop};
use super::Settings;
use super::pool::{Answer, lock};

/// Up to so many changed files of a file system are synced one by one, which does not wait for what other programs
/// wrote there; beyond, the whole file system is synced at once.
const SINGLY: usize = 4;

#[derive(Debug, Default)]
struct Changes {
    files: usize,
    /// A directory of the file system, opened when it is to be synced at once.
    bulk: Option<Arc<Dir>>,
}

/// What was written where since the last sync.
#[derive(Debug, Default)]
pub(super) struct FileSystems {
    known: Mutex<BTreeMap<u64, Changes>>,
    /// How many calls waited for a disk.
    calls: AtomicUsize,
}

impl FileSystems {
    /// Notes that one file changed on the file system of `dir`, and says which that is.
    pub(super) fn note(&self, dir: &Dir) -> rustix::io::Result<u64> {
        self.add(dir, 1)
    }

    /// Notes that a tree of files changed there.
    pub(super) fn note_tree(&self, dir: &Dir) -> rustix::io::Result<u64> {
        self.add(dir, SINGLY + 1)
    }

    fn add(&self, dir: &Dir, files: usize) -> rustix::io::Result<u64> {
        let device = dir.stat()?.st_dev;
        let mut known = lock(&self.known);
        let changes = known.entry(device).or_default();
        changes.files += files;
        if changes.files > SINGLY && changes.bulk.is_none() {
            changes.bulk = Some(Arc::new(dir.duplicate()?));
        }
        Ok(device)
    }

    /// Whether the file system is synced as a whole, so that single files must not be.
    pub(super) fn is_bulk(&self, device: u64) -> bool {
        lock(&self.known).get(&device).is_some_and(|changes| changes.bulk.is_some())
    }

    /// Counts a sync of a single file or directory.
    pub(super) fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Puts the file systems with many changes on disk, each by one call. Returns those that failed, and why.
    pub(super) fn sync(&self, settings: &Settings, stop: &Stop) -> BTreeMap<u64, String> {
        let dirs: Vec<(u64, Arc<Dir>)> = lock(&self.known)
            .iter()
            .filter_map(|(device, changes)| Some((*device, Arc::clone(changes.bulk.as_ref()?))))
            .collect();
        self.calls.fetch_add(dirs.len(), Ordering::Relaxed);
        let devices: Vec<u64> = dirs.iter().map(|(device, _)| *device).collect();
        let jobs = dirs.into_iter().map(|(device, dir)| (Arc::from(format!("device {device}")), dir)).collect();
        // As root: syncfs(2) goes by the open directory, no name below a user's directory is resolved.
        let answers = settings.pool(settings.sync_limit, false, stop).run(jobs, |dir, _| dir.sync_file_system());
        let reason = |answer| match answer {
            Answer::Done(Ok(())) => None,
            Answer::Done(Err(errno)) => Some(format!("its file system cannot be synced: {errno}")),
            Answer::Silent | Answer::StillSilent => Some("its file system did not sync in time".to_owned()),
            Answer::Stopped => Some("told to stop before its file system was synced".to_owned()),
            Answer::NotTried => Some("no thread could sync its file system".to_owned()),
        };
        devices.into_iter().zip(answers).filter_map(|(device, answer)| Some((device, reason(answer)?))).collect()
    }
}
