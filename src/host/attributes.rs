//! Extended attributes: the access list, the label and whatever else an administrator put on a file.

use std::ffi::CString;
use std::os::fd::AsFd;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::label;

/// POSIX access control lists are an extended attribute (acl(5)).
pub(super) const ACCESS_LIST: &str = "system.posix_acl_access";

/// The kernel's own limit for a list of names and for a value (xattr(7)).
const LARGEST: usize = 65536;

/// An extended attribute and its value.
pub(super) type Attribute = (CString, Vec<u8>);

/// What is carried over to a file's successor. The others would not fit it: a hash of the content (`security.ima`,
/// `security.evm`), rights of a program (`security.capability`), a directory's default list, overlayfs's own notes.
fn is_carried_over(name: &[u8]) -> bool {
    name == ACCESS_LIST.as_bytes()
        || name == label::LABEL.as_bytes()
        || name.starts_with(b"security.SMACK64")
        || name.starts_with(b"user.")
        || (name.starts_with(b"trusted.") && !name.starts_with(b"trusted.overlay."))
}

/// The value of one attribute; `ENODATA` when there is none.
pub(super) fn value(fd: impl AsFd, name: &str) -> Result<Vec<u8>, Errno> {
    let mut value = Vec::with_capacity(LARGEST);
    rustix::fs::fgetxattr(fd, name, rustix::buffer::spare_capacity(&mut value))?;
    value.shrink_to_fit();
    Ok(value)
}

/// What a successor of this file has to carry. Empty where the file system knows no attributes.
pub(super) fn read(fd: impl AsFd) -> Result<Vec<Attribute>, Errno> {
    let mut list = Vec::with_capacity(LARGEST);
    match rustix::fs::flistxattr(&fd, rustix::buffer::spare_capacity(&mut list)) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for name in list.split(|byte| *byte == 0).filter(|name| is_carried_over(name)) {
        let Ok(name) = CString::new(name) else { continue };
        match value(&fd, &name.to_string_lossy()) {
            Ok(value) => found.push((name, value)),
            Err(Errno::NODATA) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(found)
}

/// Takes away an access list that the new file inherited from its directory.
pub(super) fn clear_access_list(fd: impl AsFd) -> Result<(), Errno> {
    match rustix::fs::fremovexattr(fd, ACCESS_LIST) {
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        other => other,
    }
}

/// Puts attributes on a new file. Those that nothing depends on may be lost, and are named in the answer: a service
/// without `CAP_SYS_ADMIN`, or an ordinary user, may not set every one.
///
/// # Errors
/// The attribute and the refusal, where going on would change who may use the file.
pub(super) fn write(fd: impl AsFd, attributes: &[Attribute], strict: bool) -> Result<Vec<String>, (String, Errno)> {
    let mut lost = Vec::new();
    for (name, value) in attributes {
        let shown = name.to_string_lossy();
        let outcome = if shown == label::LABEL {
            label::ensure(&fd, value)
        } else {
            rustix::fs::fsetxattr(&fd, name.as_c_str(), value, XattrFlags::empty())
        };
        match outcome {
            Ok(()) => {}
            Err(Errno::PERM | Errno::OPNOTSUPP) if !strict || is_optional(&shown) => {
                lost.push(format!("the attribute {shown} could not be carried over"));
            }
            Err(errno) => return Err((shown.into_owned(), errno)),
        }
    }
    Ok(lost)
}

fn is_optional(name: &str) -> bool {
    name.starts_with("trusted.") || name.starts_with("security.SMACK64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_content_or_to_a_program_is_not_carried_over() {
        for (name, want) in [
            ("system.posix_acl_access", true),
            ("system.posix_acl_default", false),
            ("security.selinux", true),
            ("security.SMACK64EXEC", true),
            ("security.ima", false),
            ("security.evm", false),
            ("security.capability", false),
            ("user.comment", true),
            ("trusted.comment", true),
            ("trusted.overlay.origin", false),
        ] {
            assert_eq!(is_carried_over(name.as_bytes()), want, "{name}");
        }
    }
}
