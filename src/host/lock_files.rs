//! The `.lock` files of shadow-utils: `/etc/passwd.lock` and its like.
//!
//! We make none. Whoever makes them holds `/etc/.pwd.lock` as well, and a `.lock` file that survives a kill blocks
//! every tool once its number is another process's. But one that lives is honoured. Of what killed programs left, the
//! new files that never got their names included, one is told once.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;

use super::{Dir, process};
use crate::error::{Error, ErrorKind};

/// As much of a `.lock` file as shadow-utils reads.
const LONGEST: u64 = 31;

/// How much later than the file its process may seem to have started: /proc counts in seconds and ticks.
const CLOCK_SLACK: u64 = 2;

/// What was told of already, by its directory's path, its name, inode and time.
static TOLD: Mutex<BTreeSet<(String, u64, i64, u64)>> = Mutex::new(BTreeSet::new());

/// Looks at the `.lock` files of `names`, under the lock that their makers hold. What is stale is left alone, and named
/// in the answer the first time that this process meets it.
///
/// # Errors
/// [`ErrorKind::Busy`] when a process that lives holds one.
pub(super) fn honour<'n>(etc: &Dir, names: impl IntoIterator<Item = &'n str>) -> Result<Vec<String>, Error> {
    let mut notes = Vec::new();
    for name in names {
        let lock = format!("{name}.lock");
        let path = etc.path(&lock);
        match holder(etc, &lock) {
            Ok(Holder::Nobody) => {}
            Ok(Holder::Process(pid)) => {
                let who = process::describe(pid);
                let message = format!("account database busy: {} is held by {who}", path.display());
                return Err(Error::new(ErrorKind::Busy, message));
            }
            Ok(Holder::Stale(why)) => {
                let note = format!("{} is stale ({why}); left alone, it may keep other programs out", path.display());
                notes.push((lock, note));
            }
            Err(errno) => notes.push((lock, format!("{} cannot be read ({errno}); left alone", path.display()))),
        }
        // What shadow-utils writes before it renames; the lock is ours, so nobody is at it.
        let unfinished = format!("{name}+");
        let note =
            format!("{} was left by a program that did not end well; left alone", etc.path(&unfinished).display());
        notes.push((unfinished, note));
    }
    Ok(notes.into_iter().filter(|(name, _)| is_news(etc, name)).map(|(_, note)| note).collect())
}

/// Whether the file is there and was not told of.
fn is_news(etc: &Dir, name: &str) -> bool {
    let Ok(stat) = etc.stat_child(name) else { return false };
    let key = (etc.path(name).display().to_string(), stat.st_ino, stat.st_mtime, stat.st_mtime_nsec);
    TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(key)
}

enum Holder {
    Nobody,
    Process(i32),
    Stale(&'static str),
}

fn holder(etc: &Dir, lock: &str) -> Result<Holder, Errno> {
    let (file, stat) = match etc.open_file(lock) {
        Ok(found) => found,
        Err(Errno::NOENT) => return Ok(Holder::Nobody),
        Err(Errno::LOOP | Errno::INVAL) => return Ok(Holder::Stale("no regular file")),
        Err(errno) => return Err(errno),
    };
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
    let Some(pid) = parse_pid(&text) else { return Ok(Holder::Stale("it names no process")) };
    if u32::try_from(pid) == Ok(std::process::id()) {
        // In a container a number comes back: this is what an earlier process of our number left.
        return Ok(Holder::Stale("it names ourselves"));
    }
    if !process::is_alive(pid) {
        return Ok(Holder::Stale("its process is gone"));
    }
    let made = u64::try_from(stat.st_mtime).unwrap_or(0);
    match process::started(pid) {
        Some(started) if started > made + CLOCK_SLACK => Ok(Holder::Stale("its process is younger than it")),
        _ => Ok(Holder::Process(pid)),
    }
}

/// The number in a `.lock` file: shadow-utils ends it with a NUL byte, people with a newline.
fn parse_pid(text: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(text).ok()?.trim_end_matches(['\0', '\n']);
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|pid| *pid > 0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Tree, sleeper};
    use super::*;

    #[test]
    fn only_a_living_older_process_that_is_not_us_holds_a_lock_file() {
        let tree = Tree::new();
        let etc = tree.etc();
        let mut child = sleeper();
        let alive = child.id();
        let own = std::process::id();
        let texts = ["", "0", "abc", "2147483647\0", "2147483647", "99999999999999999999\0", &format!("{own}\0")];
        for text in texts {
            tree.write("etc/group.lock", text.as_bytes());
            let notes = honour(&etc, ["passwd", "group"]).unwrap_or_else(|e| panic!("{text:?}: {e}"));
            assert_eq!(notes.len(), 1, "{text:?}: {notes:?}");
            assert_eq!(honour(&etc, ["group"]).unwrap(), [""; 0], "{text:?} is told of again");
            assert_eq!(tree.read("etc/group.lock"), text.as_bytes());
        }
        for text in [format!("{alive}\0"), format!("{alive}"), format!("{alive}\n")] {
            tree.write("etc/group.lock", text.as_bytes());
            let error = honour(&etc, ["passwd", "group"]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Busy);
            assert!(error.to_string().contains(&format!("process {alive} (")), "{error}");
            assert!(
                honour(&etc, ["passwd", "shadow"]).unwrap().is_empty(),
                "a lock of a file that is not ours to write"
            );
        }
        // The number was another process's when the file was made.
        tree.age("etc/group.lock", 3600);
        assert_eq!(honour(&etc, ["group"]).unwrap().len(), 1);
        std::os::unix::fs::symlink("nowhere", tree.path("etc/passwd.lock")).unwrap();
        assert_eq!(honour(&etc, ["passwd"]).unwrap().len(), 1);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn what_a_killed_program_left_is_told_of_once_and_stays() {
        let tree = Tree::new();
        let etc = tree.etc();
        for name in ["passwd+", "shadow+"] {
            tree.write(&format!("etc/{name}"), b"left");
        }
        let notes = honour(&etc, ["passwd", "shadow", "group"]).unwrap();
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(
            notes[0].ends_with("/etc/passwd+ was left by a program that did not end well; left alone"),
            "{notes:?}"
        );
        assert_eq!(honour(&etc, ["passwd", "shadow", "group"]).unwrap(), [""; 0]);
        // Another one of the same name is news.
        tree.age("etc/passwd+", 60);
        assert_eq!(honour(&etc, ["passwd", "shadow", "group"]).unwrap().len(), 1);
        assert_eq!(tree.read("etc/shadow+"), b"left");
    }
}
