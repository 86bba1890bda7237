//! The transaction: every new file and every backup complete and on disk before the first name changes, and passwd's
//! name last.

use rustix::fs::Stat;

use super::accounts::NewFiles;
use super::live::{FILES, Live, Meta};
use super::replace::Temp;
use super::{Dir, label};
use crate::error::{Context, Error, ErrorKind};

/// How a commit ended that did not fail before it changed anything.
#[derive(Debug)]
pub(super) enum Outcome {
    Done,
    /// The file was edited by a program that takes no lock; nothing was changed.
    Overtaken(&'static str),
    /// Some files are new, the others are not, or may be lost with the power. What is new is whole, and an update that
    /// comes later goes on from it.
    Partly(Trouble),
}

/// What went wrong after some files had got their names.
#[derive(Debug)]
pub struct Trouble {
    /// What, and what is in place.
    pub error: Error,
    /// The files that are new.
    pub done: Vec<&'static str>,
    /// Those that are not, and were to be.
    pub left: Vec<&'static str>,
}

/// A new file beside the ones that count.
struct Staged<'a> {
    /// The account file that it is, or is the backup of.
    name: &'static str,
    temp: Temp<'a>,
    bytes: &'a [u8],
}

/// Replaces the files that `new` holds. `strict` is false for an ordinary user, who cannot give files away.
///
/// # Errors
/// Whatever is found or refused before the first account file is replaced: all of them are as they were.
pub(super) fn commit(
    etc: &Dir,
    live: &Live,
    new: &NewFiles,
    strict: bool,
    notes: &mut Vec<String>,
) -> Result<Outcome, Error> {
    let mut files = Vec::new();
    let mut backups = Vec::new();
    for ((name, old), new) in FILES.into_iter().zip(live.in_order()).zip(new.in_order()) {
        let path = etc.path(name);
        let Some((meta, old)) = old else {
            if new.is_some() {
                let message = format!("{} does not exist, so it cannot be replaced", path.display());
                return Err(Error::new(ErrorKind::Internal, message));
            }
            continue;
        };
        if let Some(new) = new {
            check(old, new).map_err(|why| {
                Error::new(ErrorKind::Internal, format!("{} is not replaced: its new content {why}", path.display()))
            })?;
            // The kernel would refuse the rename, and perhaps after another file's was done.
            if meta.is_immutable {
                let message = format!("{} is immutable or append-only; chattr -ia lifts that", path.display());
                return Err(Error::new(ErrorKind::Unsafe, message));
            }
            let temp = stage(etc, name, meta, new, strict, notes)?;
            files.push(Staged { name, temp, bytes: new });
        }
        // vipw leaves both names on one file for a moment, and useradd empties the backup before it writes it: were it
        // killed then, the live file would be empty too. So the names are parted even when the live file stays.
        if new.is_some() || shares_its_backup(etc, name, meta) {
            // What is lost from the backup is lost from the file too, and was noted there.
            let temp = stage(etc, &backup(name), meta, old, strict, &mut Vec::new())?;
            temp.set_times(&meta.stat)?;
            backups.push(Staged { name, temp, bytes: old });
        }
    }
    // Only when all are written: their waits for the disk overlap.
    for staged in files.iter_mut().chain(&mut backups) {
        staged.temp.finish(staged.bytes)?;
    }
    if let Some(name) = live.changed_since(etc)? {
        return Ok(Outcome::Overtaken(name));
    }
    for staged in backups {
        staged.temp.rename(&backup(staged.name))?;
    }
    etc.sync().at("cannot put on disk", etc.own_path())?;
    Ok(rename(etc, files, || etc.sync().at("cannot put on disk", etc.own_path())))
}

fn backup(name: &str) -> String {
    format!("{name}-")
}

fn stage<'d>(
    etc: &'d Dir,
    name: &str,
    from: &Meta,
    bytes: &[u8],
    strict: bool,
    notes: &mut Vec<String>,
) -> Result<Temp<'d>, Error> {
    let file_label = from.attributes.iter().find(|(name, _)| name.to_bytes() == label::LABEL.as_bytes());
    let mut temp = Temp::create(etc, name, file_label.map(|(_, value)| value.as_slice()))?;
    temp.write(bytes)?;
    let mut own_notes = Vec::new();
    temp.inherit(from, strict, &mut own_notes)?;
    let path = etc.path(name);
    notes.extend(own_notes.into_iter().map(|note| format!("{}: {note}", path.display())));
    Ok(temp)
}

/// Gives the files their names, one after the other, with a `sync` of the directory after each.
fn rename(etc: &Dir, files: Vec<Staged<'_>>, mut sync: impl FnMut() -> Result<(), Error>) -> Outcome {
    let mut done: Vec<&'static str> = Vec::new();
    let mut files = files.into_iter();
    while let Some(Staged { name, temp, .. }) = files.next() {
        let renamed = temp.rename(name);
        let is_new = renamed.is_ok();
        let outcome = renamed.and_then(|()| {
            done.push(name);
            sync()
        });
        if let Err(error) = outcome {
            let left: Vec<_> = (!is_new).then_some(name).into_iter().chain(files.map(|staged| staged.name)).collect();
            let paths: Vec<String> = done.iter().map(|name| etc.path(name).display().to_string()).collect();
            let state = match (paths.len(), left.is_empty()) {
                (0, _) => "accounts left as they were".to_owned(),
                (_, true) => {
                    format!("all new files are in place ({}), but may be lost with the power", paths.join(", "))
                }
                (count, _) => {
                    let (paths, are) = (paths.join(", "), if count == 1 { "is" } else { "are" });
                    format!("{paths} {are} already new, the rest is as it was; the next update does what is left")
                }
            };
            let error = Error::new(error.kind(), format!("{error}; {state}"));
            return Outcome::Partly(Trouble { error, done, left });
        }
    }
    Outcome::Done
}

/// What must hold of any new content, whatever planned it: we add and change lines, and never remove one.
fn check(old: &[u8], new: &[u8]) -> Result<(), String> {
    let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    // A last line without its newline counts as one when it gets one.
    let had = lines(old) + usize::from(old.last().is_some_and(|byte| *byte != b'\n'));
    if new.is_empty() {
        return Err("is empty".to_owned());
    }
    if new.last() != Some(&b'\n') {
        return Err("does not end with a newline".to_owned());
    }
    if new.contains(&0) {
        return Err("has a NUL byte".to_owned());
    }
    if lines(new) < had { Err(format!("has {} lines, the old one has {had}", lines(new))) } else { Ok(()) }
}

fn shares_its_backup(etc: &Dir, name: &str, meta: &Meta) -> bool {
    let key = |stat: &Stat| (stat.st_dev, stat.st_ino);
    etc.stat_child(&backup(name)).is_ok_and(|stat| key(&stat) == key(&meta.stat))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Tree;
    use super::*;

    #[test]
    fn a_rename_that_fails_between_others_says_which_files_are_new() {
        let tree = Tree::with_accounts();
        std::fs::remove_file(tree.path("etc/shadow")).unwrap();
        std::fs::create_dir(tree.path("etc/shadow")).unwrap();
        let etc = tree.etc();
        let staged = |name| Staged { name, temp: Temp::create(&etc, name, None).unwrap(), bytes: b"" };
        let files = || FILES.map(staged).into_iter().collect();
        let Outcome::Partly(trouble) = rename(&etc, files(), || Ok(())) else { panic!("done") };
        assert_eq!((trouble.done, trouble.left), (vec!["gshadow", "group"], vec!["shadow", "passwd"]));
        let error = trouble.error;
        let at = |name: &str| tree.path("etc").join(name).display().to_string();
        let end = format!(
            "{}, {} are already new, the rest is as it was; the next update does what is left",
            at("gshadow"),
            at("group")
        );
        assert!(error.to_string().starts_with("cannot rename ") && error.to_string().ends_with(&end), "{error}");
        assert!(tree.read("etc/group").is_empty() && !tree.read("etc/passwd").is_empty());
        assert_eq!(tree.names("etc"), ["group", "gshadow", "passwd", "shadow"]);
        // A disk that fails after the last rename takes nothing back.
        std::fs::remove_dir(tree.path("etc/shadow")).unwrap();
        let mut syncs = 0;
        let failing = || {
            syncs += 1;
            if syncs == FILES.len() {
                Err(Error::new(ErrorKind::File, "cannot put on disk /etc: failed"))
            } else {
                Ok(())
            }
        };
        let Outcome::Partly(Trouble { error, done, left }) = rename(&etc, files(), failing) else { panic!("done") };
        assert_eq!((done, left), (FILES.to_vec(), Vec::new()));
        assert!(error.to_string().ends_with("passwd), but may be lost with the power"), "{error}");
    }

    #[test]
    fn content_that_loses_something_is_refused() {
        for (old, new, good) in [
            ("a\nb\n", "a\nb\n", true),
            ("a\nb", "a\nb\n", true),
            ("", "a\n", true),
            ("a\n", "", false),
            ("a\n", "a\nb", false),
            ("a\nb\n", "a\n", false),
            ("a\nb", "a\n", false),
            ("a\n", "a\0\n", false),
        ] {
            assert_eq!(check(old.as_bytes(), new.as_bytes()).is_ok(), good, "{old:?} {new:?}");
        }
    }
}
