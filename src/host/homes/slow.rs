//! Which homes may not answer: those that a program or another machine serves. They are done last, so that a few
//! users whose own file systems hang can only take the threads from each other.

use std::os::unix::ffi::OsStrExt;

/// File systems of which a process or another machine is the server.
const SERVED: [&str; 9] = ["fuse", "nfs", "cifs", "smb", "9p", "ceph", "afs", "lustre", "autofs"];

/// Where file systems of that kind are mounted, from the text of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
pub(super) fn served_mounts(mountinfo: &[u8]) -> Vec<Vec<u8>> {
    let mut mounts = Vec::new();
    for line in mountinfo.split(|byte| *byte == b'\n') {
        // `36 35 98:0 /root /mount/point options optional… - type source options`
        let mut fields = line.split(|byte| *byte == b' ');
        let Some(point) = fields.nth(4) else { continue };
        let kind = fields.skip_while(|field| *field != b"-").nth(1).unwrap_or_default();
        if SERVED.iter().any(|served| kind.starts_with(served.as_bytes())) {
            mounts.push(unescaped(point));
        }
    }
    mounts
}

/// Whether such a mount is above, at or below `home`. A mount point has no links in its path, a home may: so a home
/// also counts when its path is the end of the mount point's (`/home` may be a link to `/var/home`). A wrong guess
/// only costs the place in the row.
pub(super) fn is_served(mounts: &[Vec<u8>], home: &std::path::Path) -> bool {
    let home = home.as_os_str().as_bytes();
    mounts.iter().any(|mount| {
        let above = mount != b"/" && home.strip_prefix(mount.as_slice()).is_some_and(starts_component);
        let below = mount
            .windows(home.len().max(1))
            .enumerate()
            .any(|(at, window)| window == home && starts_component(&mount[at + home.len()..]));
        above || below
    })
}

fn starts_component(rest: &[u8]) -> bool {
    rest.is_empty() || rest[0] == b'/'
}

/// Blanks and backslashes of a path are written as `\040`.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                out.push(byte);
                rest = &tail[3..];
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn homes_at_above_and_below_served_mounts_are_known() {
        let text = b"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
            30 22 0:40 / /var/home/eve/.ssh rw - fuse.sshfs eve rw\n\
            31 22 0:41 / /srv/a\\040b rw shared:2 master:1 - nfs4 server:/ rw\n";
        let mounts = served_mounts(text);
        assert_eq!(mounts, [b"/var/home/eve/.ssh".to_vec(), b"/srv/a b".to_vec()]);
        for (home, wanted) in [
            ("/home/eve", true),
            ("/var/home/eve", true),
            ("/home/ev", false),
            ("/home/alice", false),
            ("/srv/a b/bob", true),
            ("/srv/a bc", false),
            ("/srv/a", false),
            ("", false),
        ] {
            assert_eq!(is_served(&mounts, Path::new(home)), wanted, "{home}");
        }
    }
}
