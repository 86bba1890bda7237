//! The names under which we make what is renamed later, and the removal of what a killed run left under them.

use std::ffi::CString;

use rustix::fd::AsFd;
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::super::Dir;
use super::super::identity::Identity;
use super::super::process::{maker_is_gone, temporary_digits};
use super::pool::Hand;

const PREFIX: &str = ".ddum-";

/// More names in one directory are not searched: what is left behind does no harm.
const MOST: usize = 200_000;

/// A tree that we made is not deeper; a user who got it before the rename may have made it so.
const DEPTH: usize = 32;

/// `.ddum-` and 16 hex digits, which tell who made it.
pub(super) fn temporary_name() -> String {
    format!("{PREFIX}{}", temporary_digits())
}

/// A name for what is moved aside.
pub(super) fn aside_name(name: &str) -> String {
    format!("{name}.ddum-aside-{:016x}", fastrand::u64(..))
}

/// Whether `name` is one of ours and its maker is gone.
fn is_left_over(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(maker_is_gone)
}

fn left_over_names(dir: &Dir) -> Vec<String> {
    let names = dir.names(MOST).unwrap_or_default();
    names.into_iter().filter_map(|name| name.into_string().ok()).filter(|name| is_left_over(name)).collect()
}

/// Removes what killed runs left in a user's `.ssh`. Runs as the user.
pub(super) fn clean_files(ssh: &Dir) {
    for name in left_over_names(ssh) {
        // Directories are not ours here, and fail to be unlinked.
        let _ = ssh.remove_file(&name);
    }
}

/// Removes the homes that killed runs left unfinished in `parent`, a trusted directory. Runs as root.
pub(super) fn clean_homes(parent: &Dir, hand: &Hand) {
    for name in left_over_names(parent) {
        let _ = remove_tree(parent, &name, hand);
    }
}

/// Removes the directory `name` of a trusted `parent`, with what is in it. One that already is a user's is emptied
/// as that user, who may have moved anything into it.
pub(super) fn remove_tree(parent: &Dir, name: &str, hand: &Hand) -> rustix::io::Result<()> {
    let dir = parent.open_dir(name)?;
    let (stat, own) = (dir.stat()?, rustix::process::geteuid());
    if stat.st_uid == own.as_raw() {
        // Until it is given away ours is closed, and no user reaches what is theirs in it. An open one is not ours.
        if own.is_root() && stat.st_mode & 0o077 != 0 {
            return Err(Errno::PERM);
        }
        empty(&dir, DEPTH)?;
    } else {
        hand.acting_as(Identity { uid: stat.st_uid, gid: stat.st_gid }, &[], || empty(&dir, DEPTH))??;
    }
    parent.remove_dir(name)
}

fn empty(dir: &Dir, depth: usize) -> rustix::io::Result<()> {
    for name in dir.names(MOST)? {
        let is_dir = rustix::fs::statat(dir.as_fd(), &name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
        if is_dir {
            if depth == 0 {
                return Err(Errno::OVERFLOW);
            }
            empty(&open(dir, &name)?, depth - 1)?;
            rustix::fs::unlinkat(dir.as_fd(), &name, AtFlags::REMOVEDIR)?;
        } else {
            rustix::fs::unlinkat(dir.as_fd(), &name, AtFlags::empty())?;
        }
    }
    Ok(())
}

fn open(dir: &Dir, name: &CString) -> rustix::io::Result<Dir> {
    // A name that is not UTF-8 is a user's, and stays.
    dir.open_dir(name.to_str().map_err(|_| Errno::ILSEQ)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_dead_processes_and_of_our_own_are_left_over() {
        let init = format!("{PREFIX}{:08x}{:08x}", 1, 5);
        // Above every pid_max (4194304), so nobody's.
        let nobody = format!("{PREFIX}{:08x}{:08x}", 0x7fff_ffff, 5);
        let table = [
            (temporary_name(), true),
            (nobody.clone(), true),
            (init, false),
            (format!("{nobody}0"), false),
            (nobody.to_uppercase(), false),
            (".ddum-".to_owned(), false),
            (".ddum-00000000deadbeef".to_owned(), false),
            (aside_name(".ssh"), false),
        ];
        for (name, wanted) in table {
            assert_eq!(is_left_over(&name), wanted, "{name}");
        }
    }
}
