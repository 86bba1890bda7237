//! The four account files: read by whoever looks, changed by [`update`] alone.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::io::Errno;

use super::commit::{self, Outcome, Trouble};
use super::live::{self, FILES, Live};
use super::lock::Lock;
use super::{Demand, Dir, Root, Stop, lock_files, state};
use crate::error::{Context, Error, ErrorKind};

const ETC: &str = "/etc";

/// How often an update starts again because a program that takes no lock edited a file meanwhile.
const RETRIES: usize = 3;

/// Others give up after 15 s (lckpwdf(3)); holding the lock for longer than this is worth a remark.
const LONG_HOLD: Duration = Duration::from_secs(10);

/// The content of the account files.
#[derive(Clone, Default)]
pub struct AccountFiles {
    /// `/etc/passwd`.
    pub passwd: Vec<u8>,
    /// `/etc/shadow`.
    pub shadow: Vec<u8>,
    /// `/etc/group`.
    pub group: Vec<u8>,
    /// `/etc/gshadow`, which a system may lack.
    pub gshadow: Option<Vec<u8>>,
    /// Why [`update`] would refuse to write any of them: mount points, an append-only directory. One sentence each.
    pub obstacles: Vec<String>,
    /// Whether a killed run left temporary files. [`update`] removes them, even when its plan holds nothing.
    pub leftovers: bool,
}

/// New content for the files that shall change.
#[derive(Clone, Default)]
pub struct NewFiles {
    /// `/etc/gshadow`, replaced first.
    pub gshadow: Option<Vec<u8>>,
    /// `/etc/group`.
    pub group: Option<Vec<u8>>,
    /// `/etc/shadow`.
    pub shadow: Option<Vec<u8>>,
    /// `/etc/passwd`, replaced last: its line is what makes an account exist.
    pub passwd: Option<Vec<u8>>,
}

impl NewFiles {
    /// Whether nothing shall change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.in_order().iter().all(Option::is_none)
    }

    pub(super) fn in_order(&self) -> [Option<&[u8]>; 4] {
        [self.gshadow.as_deref(), self.group.as_deref(), self.shadow.as_deref(), self.passwd.as_deref()]
    }

    /// A file that would be what it is stays untouched, with its inode and its times.
    fn without_unchanged(mut self, files: &AccountFiles) -> Self {
        let olds = [files.gshadow.as_deref().unwrap_or_default(), &files.group, &files.shadow, &files.passwd];
        let news = [&mut self.gshadow, &mut self.group, &mut self.shadow, &mut self.passwd];
        for (old, new) in olds.into_iter().zip(news) {
            if new.as_deref() == Some(old) {
                *new = None;
            }
        }
        self
    }
}

/// Only sizes: the files hold password hashes.
impl fmt::Debug for AccountFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = (self.passwd.len(), self.shadow.len(), self.group.len(), self.gshadow.as_ref().map(Vec::len));
        let mut out = f.debug_struct("AccountFiles");
        out.field("sizes", &sizes).field("obstacles", &self.obstacles).finish_non_exhaustive()
    }
}

/// Only sizes: the files hold password hashes.
impl fmt::Debug for NewFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(FILES.into_iter().zip(self.in_order().map(|new| new.map(<[u8]>::len)))).finish()
    }
}

/// Reads the account files for whoever only looks. No lock is taken, so two files may be of different moments.
///
/// # Errors
/// [`ErrorKind::Unsafe`] when a file is missing (gshadow may be), a link, or no regular file; [`ErrorKind::File`] when
/// it is larger than 64 MiB or cannot be read.
pub fn read(root: &Root) -> Result<AccountFiles, Error> {
    Ok(Live::read(&open_etc(root)?)?.files)
}

/// The content of `/etc/passwd` alone, through links that root made: homes and keys of the accounts that exist are
/// looked after even when the account files cannot be.
///
/// # Errors
/// When it is missing or cannot be read.
pub fn read_passwd(root: &Root) -> Result<Vec<u8>, Error> {
    let path = Path::new("/etc/passwd");
    let missing = || Error::new(ErrorKind::File, format!("{} is missing", root.display(path).display()));
    read_file(root, path)?.ok_or_else(missing)
}

/// The content of one account file, through links that root made, for whoever needs no others and may not be let
/// read them; `None` when it is missing.
///
/// # Errors
/// [`ErrorKind::Unsafe`] when it is no regular file; [`ErrorKind::File`] when it cannot be read.
pub fn read_file(root: &Root, path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let Some((file, stat)) = state::open(root, path)? else { return Ok(None) };
    live::read_all(&file, &stat, live::LARGEST).at("cannot read", root.display(path)).map(Some)
}

/// Changes the account files: waits up to `wait` for the lock that all such programs take, reads, lets `plan` say what
/// shall change, writes that and releases the lock. `plan` is called again, at most three times in all, when a program
/// that ignores the lock was faster. Nothing is written when it plans nothing.
///
/// # Errors
/// [`ErrorKind::Busy`] when the lock was not to be had, [`ErrorKind::Stopped`], [`ErrorKind::Unsafe`] for an obstacle,
/// [`ErrorKind::File`] for what the system refused, and the plan's own. The accounts are as they were then. What comes
/// after the first file is new is in the answer.
pub fn update<T>(
    root: &Root,
    wait: Duration,
    stop: &Stop,
    plan: impl FnMut(AccountFiles) -> Result<(NewFiles, T), Error>,
) -> Result<Updated<T>, Error> {
    locked_update(root, wait, stop, plan)
        .map_err(|error| Error::new(error.kind(), format!("{error}; accounts left as they were")))
}

/// What became of a plan.
#[derive(Debug)]
pub struct Updated<T> {
    /// What the plan gave beside the new files.
    pub value: T,
    /// Stale lock files, what could not be carried over.
    pub notes: Vec<String>,
    /// What went wrong when some files were new already.
    pub trouble: Option<Trouble>,
}

/// An error means that no account file was touched.
fn locked_update<T>(
    root: &Root,
    wait: Duration,
    stop: &Stop,
    mut plan: impl FnMut(AccountFiles) -> Result<(NewFiles, T), Error>,
) -> Result<Updated<T>, Error> {
    let etc = open_etc(root)?;
    let lock = Lock::acquire(&etc, wait, stop)?;
    let mut overtaken = "";
    for _ in 0..RETRIES {
        let mut notes = remove_leftovers(&etc);
        stop.check()?;
        let live = Live::read(&etc)?;
        let (new, value) = plan(live.files.clone())?;
        let new = new.without_unchanged(&live.files);
        if new.is_empty() {
            return Ok(Updated { value, notes, trouble: None });
        }
        if !live.files.obstacles.is_empty() {
            return Err(Error::new(ErrorKind::Unsafe, live.files.obstacles.join("; ")));
        }
        let names = FILES.into_iter().zip(new.in_order()).filter_map(|(name, new)| new.map(|_| name));
        notes.extend(lock_files::honour(&etc, names)?);
        stop.check()?;
        match commit::commit(&etc, &live, &new, root.is_superuser(), &mut notes)? {
            Outcome::Done => {
                if lock.held() > LONG_HOLD {
                    notes.push(format!("the account files were locked for {:.0?}", lock.held()));
                }
                return Ok(Updated { value, notes, trouble: None });
            }
            Outcome::Partly(trouble) => return Ok(Updated { value, notes, trouble: Some(trouble) }),
            Outcome::Overtaken(name) => overtaken = name,
        }
    }
    let path = etc.path(overtaken);
    let message = format!("{} was changed {RETRIES} times by a program that takes no lock", path.display());
    Err(Error::new(ErrorKind::Busy, message))
}

fn open_etc(root: &Root) -> Result<Dir, Error> {
    // Whoever could swap what is in /etc already is root; refusing an /etc that a group may write would help nobody.
    root.walk(Path::new(ETC), Demand::TrustedLinks)
}

/// Only under the lock: another run's temporary files are no leftovers.
fn remove_leftovers(etc: &Dir) -> Vec<String> {
    let mut notes = Vec::new();
    for name in live::leftovers(etc) {
        if let Err(errno) = etc.remove_file(&name) {
            notes.push(format!("{} of a killed run cannot be removed: {errno}", etc.path(&name).display()));
        }
    }
    notes
}

/// Makes the account files of a tree that has none: `/etc` and four empty files. Says whether it did; a tree that has
/// any of them, and this machine's own, are left alone.
///
/// # Errors
/// [`ErrorKind::File`] when they cannot be made.
pub fn create_empty(root: &Root) -> Result<bool, Error> {
    if root.is_host() {
        return Ok(false);
    }
    let etc = match root.try_walk(Path::new(ETC), Demand::TrustedLinks)? {
        Err(Errno::NOENT) => {
            let top = root.walk(Path::new("/"), Demand::TrustedLinks)?;
            let etc = top.create_dir("etc", Mode::from_raw_mode(0o755)).at("cannot make", top.path("etc"))?;
            rustix::fs::fchmod(&etc, Mode::from_raw_mode(0o755)).at("cannot set the mode of", etc.own_path())?;
            top.sync().at("cannot put on disk", top.own_path())?;
            etc
        }
        other => other.at("cannot open", root.display(Path::new(ETC)))?,
    };
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for name in FILES {
        match etc.stat_child(name) {
            // An empty one is what a run that was killed here left.
            Ok(stat) if stat.st_size == 0 => {}
            Ok(_) => found.push(name),
            Err(Errno::NOENT) => missing.push(name),
            Err(errno) => return Err(errno).at("cannot look at", etc.path(name)),
        }
    }
    // A tree that has some of them is somebody's: what is missing there is for an update to refuse, not to make up.
    if missing.is_empty() || missing == ["gshadow"] || !found.is_empty() {
        return Ok(false);
    }
    for (name, mode) in FILES.into_iter().zip([0o640, 0o644, 0o640, 0o644]) {
        if !missing.contains(&name) {
            continue;
        }
        let file = etc.create_file(name, Mode::RUSR | Mode::WUSR).at("cannot create", etc.path(name))?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).at("cannot set the mode of", etc.path(name))?;
    }
    etc.sync().at("cannot put on disk", etc.own_path())?;
    Ok(true)
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
