//! SELinux: a new file gets the label of its place, from its first moment and not only when it is complete.
//!
//! The policy has no rule for our temporary names, and a rename keeps the label: without this, `/etc/shadow` would
//! come out as `etc_t`, which many confined programs may read. Nothing is written where SELinux is absent.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::attributes;

/// The extended attribute that holds a file's label.
pub(super) const LABEL: &str = "security.selinux";

const ENFORCE: &str = "/sys/fs/selinux/enforce";

/// Whether this kernel acts on labels.
pub(super) fn is_enabled() -> bool {
    Path::new(ENFORCE).exists()
}

fn is_enforcing() -> bool {
    std::fs::read(ENFORCE).is_ok_and(|text| text.first() == Some(&b'1'))
}

/// The label of an open file, if it has one.
pub(super) fn of(fd: impl AsFd) -> Option<Vec<u8>> {
    attributes::value(fd, LABEL).ok().filter(|label| !label.is_empty())
}

/// Runs `make` such that what it creates on this thread has `label` at once. Where the policy refuses that, what is
/// made has the label of its directory, and [`ensure`] is to mend it.
///
/// # Errors
/// When the wish cannot be taken back: everything that this thread makes later would get the label too.
pub(super) fn creating<T>(label: Option<&[u8]>, make: impl FnOnce() -> T) -> Result<T, Errno> {
    let Some(label) = label.filter(|_| is_enabled()) else { return Ok(make()) };
    let wished = wish(label).is_ok();
    let made = make();
    if wished {
        wish(b"")?;
    }
    Ok(made)
}

/// proc(5): the wish belongs to the thread, hence thread-self; an empty write takes it back.
fn wish(label: &[u8]) -> Result<(), Errno> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let fd = rustix::fs::open("/proc/thread-self/attr/fscreate", flags, Mode::empty())?;
    // Not std's write_all, which makes no system call for an empty buffer.
    rustix::io::write(&fd, label).map(drop)
}

/// Sees to it that an open file has `label`.
///
/// # Errors
/// When it cannot, and the kernel would act on the wrong one.
pub(super) fn ensure(fd: impl AsFd, label: &[u8]) -> Result<(), Errno> {
    let bare = |text: &[u8]| text.strip_suffix(b"\0").unwrap_or(text).to_vec();
    let has = |fd: &dyn AsFd| of(fd.as_fd()).is_some_and(|found| bare(&found) == bare(label));
    if has(&fd) {
        return Ok(());
    }
    let outcome = rustix::fs::fsetxattr(&fd, LABEL, label, XattrFlags::empty());
    match outcome {
        Ok(()) if has(&fd) => Ok(()),
        _ if !is_enabled() || !is_enforcing() => Ok(()),
        Ok(()) => Err(Errno::ACCESS),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_selinux_making_a_file_needs_no_label() {
        if is_enabled() {
            super::super::testing::not_tested("SELinux is enabled here");
            return;
        }
        assert_eq!(creating(Some(b"u:r:t:s0"), || 7), Ok(7));
    }
}
