//! The lock that useradd(8), passwd(1), PAM and systemd take before they edit the account files.
//!
//! It is a POSIX write lock on all of `/etc/.pwd.lock`, taken here by hand: musl's `lckpwdf(3)` is an empty stub, and
//! `flock(2)`, which is what `File::lock` takes, does not exclude an `fcntl(2)` lock.
//!
//! A POSIX lock belongs to the process: closing *any* descriptor of the file drops it, and a second one is granted at
//! once. So this is the only place that opens the file, and a [`Place`] sees to it that there is one open of it at a
//! time, however many threads want the lock.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::{Dir, Stop, process};
use crate::error::{Context, Error, ErrorKind};

pub(super) const LOCK_FILE: &str = ".pwd.lock";

/// How often a wait looks whether it shall stop. The lock itself is never polled for: whoever polls starves beside
/// those who queue.
const LOOK_FOR_STOP: Duration = Duration::from_millis(50);

/// The shortest wait: a free lock must be had even by who does not want to wait at all.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// How often the file may be swapped under a waiter before it gives up.
const SWAPS: usize = 100;

/// The account files are ours until this is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    place: Arc<Place>,
    since: Instant,
}

/// One lock file, and who in this process wants it.
#[derive(Debug, Default)]
struct Place {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    seat: Seat,
    /// How many threads are in [`Lock::acquire`] for it. A lock that is granted when nobody is, is dropped at once.
    interested: usize,
}

#[derive(Debug, Default)]
enum Seat {
    #[default]
    Free,
    /// A thread of ours is in `fcntl(F_SETLKW)`. It cannot be called back, so whoever comes next shares it.
    Waiting,
    /// The lock is ours and nobody took it up yet.
    Granted(OwnedFd),
    Failed(Error),
    /// A [`Lock`] exists.
    Held(#[expect(dead_code, reason = "kept open: closing it is what unlocks")] OwnedFd),
}

/// Every lock file that this process has wanted, by device and inode of its directory.
static PLACES: Mutex<BTreeMap<(u64, u64), Arc<Place>>> = Mutex::new(BTreeMap::new());

impl Lock {
    /// Waits until no other program, and no other thread of this one, edits the account files in `etc`.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] when `wait` is over, [`ErrorKind::Stopped`] when `stop` is set meanwhile,
    /// [`ErrorKind::File`] when the lock file cannot be opened (a read-only file system), [`ErrorKind::Unsafe`] when
    /// it is no plain file.
    pub(super) fn acquire(etc: &Dir, wait: Duration, stop: &Stop) -> Result<Self, Error> {
        stop.check()?;
        let place = Place::of(etc)?;
        let wait = wait.max(SHORTEST_WAIT);
        let started = Instant::now();
        let mut state = place.lock();
        state.interested += 1;
        let granted = loop {
            match std::mem::take(&mut state.seat) {
                Seat::Free => {
                    if let Err(error) = place.send_waiter(etc) {
                        break Err(error);
                    }
                    state.seat = Seat::Waiting;
                }
                Seat::Granted(fd) => {
                    state.seat = Seat::Held(fd);
                    break Ok(());
                }
                Seat::Failed(error) => break Err(error),
                taken @ (Seat::Waiting | Seat::Held(_)) => state.seat = taken,
            }
            let waited = started.elapsed();
            if let Err(error) = stop.check() {
                break Err(error);
            }
            if waited >= wait {
                break Err(busy(etc, wait));
            }
            let pause = LOOK_FOR_STOP.min(wait - waited);
            state = place.changed.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
        };
        state.interested -= 1;
        drop(state);
        granted.map(|()| Self { place, since: Instant::now() })
    }

    /// For how long the lock has been held.
    pub(super) fn held(&self) -> Duration {
        self.since.elapsed()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closed while the state is ours: an open by the next thread before this close would be unlocked by it.
        self.place.lock().seat = Seat::Free;
        self.place.changed.notify_all();
    }
}

impl Place {
    fn of(etc: &Dir) -> Result<Arc<Self>, Error> {
        let stat = etc.stat().at("cannot look at", etc.own_path())?;
        let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(places.entry((stat.st_dev, stat.st_ino)).or_default()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the thread that waits in the kernel's queue.
    fn send_waiter(self: &Arc<Self>, etc: &Dir) -> Result<(), Error> {
        let etc = etc.duplicate().at("cannot open", etc.own_path())?;
        let place = Arc::clone(self);
        std::thread::Builder::new()
            .name("ddum-lock".to_owned())
            .spawn(move || place.wait(etc))
            .map(drop)
            .context(ErrorKind::File, "cannot start the thread that waits for the lock")
    }

    /// The waiting thread: gets the lock and leaves it to whoever is interested by then.
    fn wait(&self, etc: Dir) {
        let outcome = self.wait_for_grant(&etc);
        // Before the outcome is known: nobody shall find the directory in use by a thread that has nothing left to do.
        drop(etc);
        let mut state = self.lock();
        state.seat = match outcome {
            Ok(fd) if state.interested > 0 => Seat::Granted(fd),
            Err(error) if state.interested > 0 => Seat::Failed(error),
            // Granted after the last deadline: holding it for nobody would keep everyone else out. Closed while the
            // state is ours, as in [`Lock`]'s drop.
            unwanted => {
                drop(unwanted);
                Seat::Free
            }
        };
        drop(state);
        self.changed.notify_all();
    }

    fn wait_for_grant(&self, etc: &Dir) -> Result<OwnedFd, Error> {
        let path = etc.path(LOCK_FILE);
        for _ in 0..SWAPS {
            let fd = open(etc)?;
            while let Err(errno) = rustix::fs::fcntl_lock(&fd, FlockOperation::LockExclusive) {
                if errno != Errno::INTR {
                    return Err(errno).at("cannot lock", &path);
                }
            }
            // Somebody may have unlinked the file while we waited. Then others lock the new one: so must we.
            let ours = rustix::fs::fstat(&fd).at("cannot look at", &path)?;
            match etc.stat_child(LOCK_FILE) {
                Ok(named) if (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino) => return Ok(fd),
                Ok(_) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno).at("cannot look at", &path),
            }
            if self.lock().interested == 0 {
                break;
            }
        }
        Err(Error::new(ErrorKind::Busy, format!("{} is replaced again and again by another program", path.display())))
    }
}

/// The one open of the lock file, as lckpwdf(3) does it; never through a link, never waiting for a FIFO's reader.
fn open(etc: &Dir) -> Result<OwnedFd, Error> {
    let path = etc.path(LOCK_FILE);
    let flags = OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::CLOEXEC);
    let flags = flags.union(OFlags::NOCTTY).union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK);
    let unsafe_kind = || Error::new(ErrorKind::Unsafe, format!("{} is no regular file", path.display()));
    let fd = match rustix::fs::openat(etc, LOCK_FILE, flags, Mode::RUSR.union(Mode::WUSR)) {
        Ok(fd) => fd,
        Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => return Err(unsafe_kind()),
        Err(errno) => return Err(errno).at("cannot open the lock file of the account files,", &path),
    };
    let stat = rustix::fs::fstat(&fd).at("cannot look at", &path)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile { Ok(fd) } else { Err(unsafe_kind()) }
}

fn busy(etc: &Dir, waited: Duration) -> Error {
    let holder = etc.stat_child(LOCK_FILE).ok().and_then(|stat| process::lock_holder(&stat));
    let holder = holder.map_or_else(|| "another process".to_owned(), process::describe);
    let path = etc.path(LOCK_FILE);
    let message = format!("account database busy: {} is held by {holder}; gave up after {waited:.0?}", path.display());
    Error::new(ErrorKind::Busy, message)
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
