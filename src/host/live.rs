//! The account files as they stand: their content, what a successor has to inherit, and what forbids replacing them.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use rustix::fs::{AtFlags, Stat, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use super::Dir;
use super::accounts::AccountFiles;
use super::attributes::{self, Attribute};
use super::replace::PREFIX;
use crate::error::{Context, Error, ErrorKind};

/// The account files in the order in which they are replaced. passwd is last: its line is what makes an account
/// exist, so a crash in between leaves no user without a shadow line or a group.
pub(super) const FILES: [&str; 4] = ["gshadow", "group", "shadow", "passwd"];

/// No account file is larger; one that claims to be is not read into memory.
pub(super) const LARGEST: u64 = 64 << 20;

/// As many names as are looked through for what a killed run left.
const MOST_NAMES: usize = 65_536;

/// What is known of a file beside its content.
pub(super) struct Meta {
    pub(super) stat: Stat,
    pub(super) attributes: Vec<Attribute>,
    /// `chattr +i` or `+a`: the kernel would refuse the rename, perhaps after another file's has happened.
    pub(super) is_immutable: bool,
}

/// One reading of all four files.
pub(super) struct Live {
    pub(super) files: AccountFiles,
    metas: [Option<Meta>; 4],
}

impl Live {
    /// Reads the files.
    ///
    /// # Errors
    /// When a file is missing (gshadow may be), a link, no regular file, too large, or cannot be read.
    pub(super) fn read(etc: &Dir) -> Result<Self, Error> {
        let mut obstacles = Vec::new();
        let mut metas = [None, None, None, None];
        let mut contents = [None, None, None, None];
        let mount = mount_of(etc);
        // In an append-only directory new files can be made, and then neither renamed nor removed.
        if is_immutable(etc) {
            let path = etc.own_path().display();
            obstacles.push(format!(
                "{path} is append-only or immutable: nothing in it can be replaced; chattr -a -i lifts that"
            ));
        }
        for ((name, meta), content) in FILES.into_iter().zip(&mut metas).zip(&mut contents) {
            let path = etc.path(name);
            match etc.open_file(name) {
                Ok((file, stat)) => {
                    *content = Some(read_all(&file, &stat, LARGEST).at("cannot read", &path)?);
                    let attributes = attributes::read(&file).at("cannot read the attributes of", &path)?;
                    if mount_of(&file) != mount {
                        obstacles.push(format!("{} is a mount point; mount the directory instead", path.display()));
                    }
                    *meta = Some(Meta { stat, attributes, is_immutable: is_immutable(&file) });
                }
                Err(Errno::NOENT) if name == "gshadow" => {}
                Err(errno) => return Err(refuse(name, &path, errno)),
            }
        }
        let [gshadow, group, shadow, passwd] = contents;
        let files = AccountFiles {
            passwd: passwd.unwrap_or_default(),
            shadow: shadow.unwrap_or_default(),
            group: group.unwrap_or_default(),
            gshadow,
            obstacles,
            leftovers: !leftovers(etc).is_empty(),
        };
        Ok(Self { files, metas })
    }

    /// What each of [`FILES`] was, and its content; `None` for a gshadow that is missing.
    pub(super) fn in_order(&self) -> [Option<(&Meta, &[u8])>; 4] {
        let AccountFiles { passwd, shadow, group, gshadow, .. } = &self.files;
        let contents = [gshadow.as_deref().unwrap_or_default(), group, shadow, passwd];
        let mut contents = contents.into_iter();
        self.metas.each_ref().map(|meta| meta.as_ref().zip(contents.next()))
    }

    /// The first file that is not what was read, be it edited in place, replaced, removed or new.
    pub(super) fn changed_since(&self, etc: &Dir) -> Result<Option<&'static str>, Error> {
        for (name, meta) in FILES.into_iter().zip(&self.metas) {
            let same = match (etc.stat_child(name), meta) {
                (Ok(now), Some(meta)) => is_same(&now, &meta.stat),
                (Err(Errno::NOENT), None) => true,
                (Ok(_), None) | (Err(Errno::NOENT), Some(_)) => false,
                (Err(errno), _) => return Err(errno).at("cannot look at", etc.path(name)),
            };
            if !same {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

/// Why a file that cannot be opened keeps all four from being replaced.
fn refuse(name: &str, path: &Path, errno: Errno) -> Error {
    let path = path.display();
    let why = match (errno, name) {
        (Errno::LOOP, _) => format!("{path} is a symbolic link; put the file itself there"),
        (Errno::INVAL | Errno::NXIO, _) => format!("{path} is no regular file"),
        (Errno::NOENT, "shadow") => format!("{path} is missing: shadow passwords are off; pwconv(8) turns them on"),
        (Errno::NOENT, _) => format!("{path} is missing"),
        _ => return Error::new(ErrorKind::File, format!("cannot open {path}: {errno}")),
    };
    Error::new(ErrorKind::Unsafe, why)
}

/// The change time is in it: an edit in place that keeps the size and sets the old times back cannot hide from it.
fn is_same(a: &Stat, b: &Stat) -> bool {
    let key = |s: &Stat| {
        let times = (s.st_mtime, s.st_mtime_nsec, s.st_ctime, s.st_ctime_nsec);
        ((s.st_dev, s.st_ino, s.st_size), times, (s.st_mode, s.st_uid, s.st_gid))
    };
    key(a) == key(b)
}

/// The content of an open file; `EFBIG` when it has more than `limit` bytes.
pub(super) fn read_all(file: &File, stat: &Stat, limit: u64) -> Result<Vec<u8>, Errno> {
    let expected = u64::try_from(stat.st_size).unwrap_or(0);
    if expected > limit {
        return Err(Errno::FBIG);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0) + 1);
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
    if bytes.len() as u64 > limit { Err(Errno::FBIG) } else { Ok(bytes) }
}

/// The mount that an open file is in. statx(2) tells since Linux 5.8, /proc before. Device numbers do not: overlayfs
/// and btrfs number a file apart from its directory. Where nothing tells, the rename's `EBUSY` has the last word.
fn mount_of(fd: impl AsFd) -> Option<u64> {
    match rustix::fs::statx(&fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID) {
        Ok(found) if found.stx_mask & StatxFlags::MNT_ID.bits() != 0 => Some(found.stx_mnt_id),
        _ => {
            let info = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
            let info = std::fs::read_to_string(info).ok()?;
            info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()
        }
    }
}

/// Whether `chattr +i` or `+a` was done to an open file or directory.
fn is_immutable(file: impl AsFd) -> bool {
    let fixed = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
    rustix::fs::statx(&file, "", AtFlags::EMPTY_PATH, StatxFlags::empty())
        .is_ok_and(|found| found.stx_attributes.intersects(fixed))
}

/// What a killed run left in `etc`: files of ours that only root can have made.
pub(super) fn leftovers(etc: &Dir) -> Vec<String> {
    let user = rustix::process::geteuid().as_raw();
    let is_ours = |name: &str| {
        etc.stat_child(name).is_ok_and(|stat| {
            let regular = rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile;
            regular && (stat.st_uid == 0 || stat.st_uid == user)
        })
    };
    let names = etc.names(MOST_NAMES).unwrap_or_default();
    let names = names.into_iter().filter_map(|name| name.into_string().ok());
    names.filter(|name| name.starts_with(PREFIX) && is_ours(name)).collect()
}
