//! Homes and the authorized keys in them.
//!
//! Nothing is done by root below a directory that a user owns, but for the change of owner after a change of ids:
//! what exists is read and written as its user, and a new home is filled before it is the user's. All new keys are
//! written, put on disk by one syncfs(2) a file system, renamed, and put on disk again: power loss leaves the old
//! keys or the new ones, and the number of calls that wait for the disk does not grow with the users.

mod authorized_keys;
mod create;
mod existing;
mod groups;
mod left_behind;
mod leftovers;
mod ownership;
mod pool;
mod read;
mod round;
mod selinux;
mod skeleton;
mod slow;
mod ssh_dir;
mod steps;
mod sync;
#[cfg(test)]
mod tests;

pub use pool::contain_panics;
pub use read::{HomeLook, HomeOf, look};

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rustix::io::Errno;

use self::groups::Memberships;
use self::left_behind::LeftBehind;
use self::pool::Pool;
use super::identity::Identity;
use super::{Root, Stop};
use crate::account::{HomeDir, PublicKey};
use crate::error::{Error, printable};
use crate::ledger::Ids;

/// What a user's home is to be.
#[derive(Clone, Copy, Debug)]
pub struct HomeWish<'a> {
    /// The user's name, for messages.
    pub name: &'a str,
    /// The user's uid, as it is in passwd now.
    pub uid: u32,
    /// The user's primary gid, as it is in passwd now.
    pub gid: u32,
    /// The home directory; may be empty.
    pub home: &'a str,
    /// The keys that may log in; empty for none.
    pub keys: &'a [PublicKey],
    /// Whether a missing home is made.
    pub create: bool,
    /// The ids that the user had until now, if they changed: what they own in the home follows.
    pub moved_from: &'a [Ids],
}

/// How homes are made, and whether anything is.
#[derive(Clone, Debug)]
pub struct HomePolicy {
    /// The directory whose content a new home gets; none: new homes are empty.
    pub skeleton: Option<PathBuf>,
    /// The mode of a new home.
    pub mode: u32,
    /// Report what would change, and change nothing.
    pub look_only: bool,
}

/// One thing that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HomeChange {
    /// The home was made.
    Created,
    /// Keys came or went, named as `SHA256:… (comment)`.
    Keys {
        /// The keys that may log in from now on.
        added: Vec<String>,
        /// The keys that may not any more.
        removed: Vec<String>,
    },
    /// A mode, an owner, a kind of file or an order of lines was put right; says which.
    Repaired(String),
    /// Something was in the way and got another name.
    MovedAside {
        /// Its path before.
        from: String,
        /// Its path now.
        to: String,
    },
    /// Files in the home followed a change of ids.
    Reowned {
        /// How many.
        files: u64,
    },
}

/// What became of one wish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HomeOutcome {
    /// What changed, or with `look_only` would change, in the order of doing.
    pub changes: Vec<HomeChange>,
    /// What was refused: one line, what, why, what follows.
    pub refusal: Option<String>,
    /// What an administrator should know beside it.
    pub notes: Vec<String>,
    /// Whether nothing in the home has to follow new ids any more, whatever became of the keys.
    pub has_followed: bool,
}

/// Ensures the homes and keys of all users: one outcome a wish, in the same order. No user's trouble stops another's.
///
/// # Errors
/// [`ErrorKind::Stopped`](crate::error::ErrorKind::Stopped) when `stop` was set before the end: every file is whole,
/// the old or the new, and the next update does what is left. Else only when the root cannot be opened again.
pub fn ensure(
    root: &Root,
    wishes: &[HomeWish<'_>],
    policy: &HomePolicy,
    stop: &Stop,
) -> Result<Vec<HomeOutcome>, Error> {
    Ok(round::run(root, wishes, policy, stop, &Settings::default())?.outcomes)
}

/// The bounds that everything here keeps.
#[derive(Clone)]
struct Settings {
    workers: usize,
    /// How long one step in one home may take.
    limit: Duration,
    /// How long all homes may be late at once before the others are not tried any more.
    patience: Duration,
    /// How long one file system may take to put its data on disk, other programs' too.
    sync_limit: Duration,
    /// How long the change of owner in one home may take in all.
    walk_limit: Duration,
    /// With so many homes of one update late, no thread is started in place of one that is.
    replaced: usize,
    /// The same for all that hang since the process began.
    hanging: usize,
    left_behind: LeftBehind,
    /// Called before a user's home is looked at.
    #[cfg(test)]
    before: Option<fn(&str)>,
    /// Called before anything is put on disk.
    #[cfg(test)]
    syncing: Option<fn()>,
}

impl Default for Settings {
    fn default() -> Self {
        static LEFT_BEHIND: LazyLock<LeftBehind> = LazyLock::new(LeftBehind::default);
        Self {
            workers: std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 4),
            limit: Duration::from_secs(5),
            patience: Duration::from_secs(20),
            sync_limit: Duration::from_secs(120),
            walk_limit: Duration::from_secs(300),
            replaced: 8,
            hanging: 64,
            left_behind: LEFT_BEHIND.clone(),
            #[cfg(test)]
            before: None,
            #[cfg(test)]
            syncing: None,
        }
    }
}

impl Settings {
    fn pool(&self, limit: Duration, switches: bool, stop: &Stop) -> Pool {
        Pool {
            workers: self.workers,
            limit,
            patience: self.patience,
            replaced: self.replaced,
            hanging: self.hanging,
            left_behind: self.left_behind.clone(),
            switches,
            stop: stop.clone(),
        }
    }
}

/// What every job needs to know.
struct Site {
    root: Root,
    policy: HomePolicy,
    settings: Settings,
}

impl Site {
    /// Who must own what the user with these ids owns: without root's rights everything is ours.
    fn owner(&self, user: Identity) -> u32 {
        if self.root.is_superuser() { user.uid } else { self.root.own_uid() }
    }
}

/// A [`HomeWish`] that a thread which is left behind can keep.
#[derive(Clone, Debug)]
struct Wish {
    name: String,
    /// The path of the home, shared with whoever notes that it does not answer.
    place: Arc<str>,
    user: Identity,
    /// The groups beside the primary one.
    groups: Vec<u32>,
    /// The whole `authorized_keys` to be.
    content: Vec<u8>,
    has_keys: bool,
    create: bool,
    moved_from: Vec<Identity>,
}

impl Wish {
    fn home(&self) -> &Path {
        Path::new(&*self.place)
    }

    fn new(wish: &HomeWish<'_>, memberships: &Memberships) -> Self {
        Self {
            name: wish.name.to_owned(),
            place: Arc::from(wish.home),
            user: Identity { uid: wish.uid, gid: wish.gid },
            groups: memberships.of(wish.name),
            content: authorized_keys::content(wish.keys),
            has_keys: !wish.keys.is_empty(),
            create: wish.create && HomeDir::new(wish.home).is_ok_and(|home| !home.is_none_like()),
            moved_from: wish.moved_from.iter().map(|ids| Identity { uid: ids.uid, gid: ids.gid }).collect(),
        }
    }
}

/// `cannot open /home/alice: Permission denied (os error 13)`.
fn cannot(what: &str, path: &Path, errno: Errno) -> String {
    format!("cannot {what} {}: {errno}", shown(path))
}

/// A path fit for one line of a log.
fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}
