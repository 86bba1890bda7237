//! The SELinux labels of homes. The policy of the daemon's own domain has no transition for them, so a home that was
//! made like any directory would have a label under which sshd may not read its keys.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::LazyLock;

use rustix::fd::AsFd;
use rustix::io::Errno;

/// The type of a home (the policy's userdomain.fc).
pub(super) const HOME: &str = "user_home_dir_t";
/// The type of `.ssh` and what is in it (the policy's ssh.fc).
pub(super) const SSH: &str = "ssh_home_t";

/// The label for the next file that this thread makes; an empty one means the policy's own choice.
const FSCREATE: &str = "/proc/thread-self/attr/fscreate";

/// Without SELinux the file above refuses every write.
static ENABLED: LazyLock<bool> = LazyLock::new(|| Path::new("/sys/fs/selinux/enforce").exists());

/// Runs `make`, whose new file gets the label of `parent` with the type `kind`. A label that cannot be set is left to
/// the policy: where it is enforced, sshd's refusal is what the administrator sees, and restorecon(8) mends it.
pub(super) fn labelled<T>(parent: impl AsFd, kind: &str, make: impl FnOnce() -> T) -> T {
    let _label =
        if *ENABLED { read_label(parent).and_then(|label| Label::set(&with_type(&label, kind)?)) } else { None };
    make()
}

struct Label;

impl Label {
    fn set(label: &str) -> Option<Self> {
        write(label).then_some(Self)
    }
}

impl Drop for Label {
    fn drop(&mut self) {
        write("");
    }
}

fn write(label: &str) -> bool {
    // The kernel takes a line end for no label, too (selinux_setprocattr); an empty `write_all` would not reach it.
    let file = std::fs::OpenOptions::new().write(true).open(FSCREATE);
    file.and_then(|mut file| file.write(if label.is_empty() { b"\n" } else { label.as_bytes() })).is_ok()
}

fn read_label(fd: impl AsFd) -> Option<String> {
    const LABEL: &str = "security.selinux";
    let mut label = vec![0; 512];
    let length = match rustix::fs::fgetxattr(&fd, LABEL, &mut label[..]) {
        // A directory that its user may only pass through, open by O_PATH.
        Err(Errno::BADF) => {
            let path = format!("/proc/thread-self/fd/{}", fd.as_fd().as_raw_fd());
            rustix::fs::getxattr(path, LABEL, &mut label[..])
        }
        length => length,
    };
    let length = length.ok()?;
    label.truncate(length);
    String::from_utf8(label).ok().map(|label| label.trim_end_matches('\0').to_owned())
}

/// A context is `user:role:type` or `user:role:type:range`, and the range may hold colons.
fn with_type(context: &str, kind: &str) -> Option<String> {
    let mut parts = context.splitn(4, ':');
    let (user, role, _) = (parts.next()?, parts.next()?, parts.next()?);
    Some(match parts.next() {
        Some(range) => format!("{user}:{role}:{kind}:{range}"),
        None => format!("{user}:{role}:{kind}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_keeps_its_user_role_and_range() {
        let table = [
            ("system_u:object_r:home_root_t:s0", Some("system_u:object_r:user_home_dir_t:s0")),
            ("u:r:t:s0-s0:c0.c1023", Some("u:r:user_home_dir_t:s0-s0:c0.c1023")),
            ("u:r:t", Some("u:r:user_home_dir_t")),
            ("unlabeled", None),
        ];
        for (context, wanted) in table {
            assert_eq!(with_type(context, HOME).as_deref(), wanted, "{context}");
        }
    }
}
