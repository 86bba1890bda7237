//! What a new home is filled with. Read once, then written from memory into as many homes as there are to make.

use std::io::Write;
use std::path::Path;

use rustix::fd::AsFd;
use rustix::fs::{AtFlags, FileType, Mode, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use super::super::{Demand, Dir, Root};
use super::create::Giver;
use super::{cannot, shown};

/// A skeleton is a few files of settings. What is over these bounds is a mistake in the configuration, and would be
/// multiplied by the users.
const MOST_ENTRIES: usize = 4096;
const MOST_BYTES: u64 = 16 * 1024 * 1024;
const DEPTH: usize = 16;

/// The content of a skeleton directory.
#[derive(Debug, Default)]
pub(super) struct Skeleton {
    entries: Vec<Entry>,
    /// What was left out.
    pub(super) notes: Vec<String>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    what: What,
}

#[derive(Debug)]
enum What {
    File { bytes: Vec<u8>, mode: u32, modified: Timespec },
    Dir { entries: Vec<Entry>, mode: u32 },
    Link(std::ffi::CString),
}

struct Bounds {
    entries: usize,
    bytes: u64,
}

impl Skeleton {
    /// Reads the directory at `path`. One that is missing is empty, as useradd(8) takes it.
    pub(super) fn read(root: &Root, path: &Path) -> Result<Self, String> {
        let dir = match root.try_walk(path, Demand::Trusted) {
            Ok(Ok(dir)) => dir,
            Ok(Err(Errno::NOENT)) => return Ok(Self::default()),
            Ok(Err(errno)) => return Err(cannot("open the skeleton", &root.display(path), errno)),
            Err(error) => return Err(format!("the skeleton cannot be used: {error}")),
        };
        let mut notes = Vec::new();
        let mut bounds = Bounds { entries: MOST_ENTRIES, bytes: MOST_BYTES };
        let entries = read_entries(&dir, &mut bounds, &mut notes, 0)?;
        Ok(Self { entries, notes })
    }

    /// Makes a copy in `home`, which nobody else can reach yet.
    pub(super) fn write(&self, home: &Dir, giver: &mut Giver) -> rustix::io::Result<()> {
        write_entries(&self.entries, home, giver)
    }
}

fn read_entries(dir: &Dir, bounds: &mut Bounds, notes: &mut Vec<String>, depth: usize) -> Result<Vec<Entry>, String> {
    let too_much = || format!("the skeleton {} is too large or too deep", shown(dir.own_path()));
    if depth == DEPTH {
        return Err(too_much());
    }
    let names = dir.names(bounds.entries).map_err(|errno| match errno {
        Errno::OVERFLOW => too_much(),
        errno => cannot("read", dir.own_path(), errno),
    })?;
    bounds.entries -= names.len();
    let mut entries = Vec::with_capacity(names.len());
    for name in names {
        let Ok(name) = name.into_string() else {
            notes.push(format!("a name in the skeleton {} is not UTF-8: left out", shown(dir.own_path())));
            continue;
        };
        let path = dir.path(&name);
        let trouble = |errno| cannot("read", &path, errno);
        let stat = dir.stat_child(&name).map_err(trouble)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let mode = stat.st_mode & 0o777;
        // The keys of a new user are the item's, and its .ssh is a directory.
        let is_ssh = depth == 0 && name == ".ssh";
        let what = match kind {
            FileType::Directory => {
                let mut entries = read_entries(&dir.open_dir(&name).map_err(trouble)?, bounds, notes, depth + 1)?;
                if is_ssh {
                    entries.retain(|entry| !entry.name.starts_with("authorized_keys"));
                }
                What::Dir { entries, mode }
            }
            FileType::RegularFile if !is_ssh => {
                let (bytes, stat) = dir.read_file(&name, bounds.bytes).map_err(|errno| match errno {
                    Errno::FBIG => too_much(),
                    errno => trouble(errno),
                })?;
                bounds.bytes = bounds.bytes.saturating_sub(bytes.len() as u64);
                What::File { bytes, mode, modified: modified(&stat) }
            }
            FileType::Symlink if !is_ssh => {
                What::Link(rustix::fs::readlinkat(dir, &name, Vec::new()).map_err(trouble)?)
            }
            _ => {
                notes.push(format!("{} is not what a skeleton may hold: left out", shown(&path)));
                continue;
            }
        };
        entries.push(Entry { name, what });
    }
    Ok(entries)
}

fn modified(stat: &rustix::fs::Stat) -> Timespec {
    Timespec { tv_sec: stat.st_mtime, tv_nsec: i64::try_from(stat.st_mtime_nsec).unwrap_or(0) }
}

fn write_entries(entries: &[Entry], dir: &Dir, giver: &mut Giver) -> rustix::io::Result<()> {
    for Entry { name, what } in entries {
        match what {
            What::File { bytes, mode, modified } => {
                let mut file = dir.create_file(name, Mode::RUSR | Mode::WUSR)?;
                file.write_all(bytes).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
                giver.give(&file)?;
                rustix::fs::fchmod(&file, Mode::from_raw_mode(*mode))?;
                let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
                rustix::fs::futimens(&file, &Timestamps { last_access: omit, last_modification: *modified })?;
            }
            What::Dir { entries, mode } => {
                let child = dir.create_dir(name, Mode::RWXU)?;
                write_entries(entries, &child, giver)?;
                giver.give(&child)?;
                rustix::fs::fchmod(&child, Mode::from_raw_mode(*mode))?;
            }
            What::Link(target) => {
                rustix::fs::symlinkat(target, dir, name.as_str())?;
                giver.give_named(dir.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    fn tree() -> (std::path::PathBuf, Root) {
        super::super::tests::tree("skeleton")
    }

    #[test]
    fn a_skeleton_over_its_bounds_is_refused_and_odd_files_are_left_out() {
        let (base, root) = tree();
        let skel = base.join("etc/skel");
        std::fs::create_dir_all(skel.join(".ssh")).unwrap();
        std::fs::write(skel.join(".ssh/authorized_keys"), "ssh-ed25519 AAAA planted\n").unwrap();
        std::fs::write(skel.join(".ssh/config"), "Host *\n").unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, skel.join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let name = std::ffi::OsStr::from_bytes(b"latin\xe9");
        std::fs::write(skel.join(name), "").unwrap();
        let read = Skeleton::read(&root, Path::new("/etc/skel")).unwrap();
        assert_eq!(read.notes.len(), 2, "{:?}", read.notes);
        let What::Dir { entries, .. } = &read.entries[0].what else { panic!("{:?}", read.entries) };
        assert_eq!((read.entries.len(), entries.len(), entries[0].name.as_str()), (1, 1, "config"));

        assert!(Skeleton::read(&root, Path::new("/etc/none")).unwrap().entries.is_empty());
        let sparse = std::fs::File::create(skel.join("large")).unwrap();
        sparse.set_len(MOST_BYTES + 1).unwrap();
        assert!(Skeleton::read(&root, Path::new("/etc/skel")).unwrap_err().contains("too large"));
        std::fs::remove_file(skel.join("large")).unwrap();
        std::fs::create_dir_all(skel.join("a/".repeat(DEPTH))).unwrap();
        assert!(Skeleton::read(&root, Path::new("/etc/skel")).unwrap_err().contains("too deep"));
        std::fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn a_skeleton_that_others_can_write_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let (base, root) = tree();
        let skel = base.join("etc/skel");
        std::fs::create_dir_all(&skel).unwrap();
        std::fs::set_permissions(&skel, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(Skeleton::read(&root, Path::new("/etc/skel")).unwrap_err().contains("not trusted"));
        std::fs::remove_dir_all(base).unwrap();
    }
}
