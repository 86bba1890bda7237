//! group(5).

use std::fmt;

use super::Entry;
use super::field::{self, HIDDEN, Names};

/// A line of `/etc/group`.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupEntry {
    /// Group name.
    pub name: String,
    /// `x` where the password is in gshadow; but it may be a hash.
    pub password: Vec<u8>,
    /// Group id.
    pub gid: u32,
    /// The members, in the order of the file, without the empty ones.
    pub members: Vec<Vec<u8>>,
}

impl Entry for GroupEntry {
    const FILE: &'static str = "group";
    const FIELDS: usize = 4;
    const JOINS: bool = true;

    // nss_files: the members may be missing, and colons among them are part of a name.
    fn c_library_reads(line: &[u8]) -> bool {
        matches!(field::fields(line)[..], [_, _, gid, ..] if field::c_id(gid).is_some())
    }

    fn shadow_tools_read(line: &[u8]) -> bool {
        matches!(field::fields(line)[..], [_, _, gid, _] if field::is_plain_id(gid))
    }

    fn id_on(line: &[u8]) -> Option<u32> {
        field::fields(line).get(2).and_then(|gid| field::c_id(gid))
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let fields = field::fields(line);
        let [name, password, gid, members] = fields[..] else { return None };
        Some(Self {
            name: field::name(name)?,
            password: password.to_vec(),
            gid: field::c_id(gid)?,
            members: field::list(members),
        })
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn write(&self, line: &mut Vec<u8>) {
        line.extend_from_slice(self.name.as_bytes());
        line.push(b':');
        line.extend_from_slice(&self.password);
        line.push(b':');
        field::write_number(self.gid, line);
        line.push(b':');
        field::write_list(&self.members, line);
    }
}

impl fmt::Debug for GroupEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupEntry")
            .field("name", &self.name)
            .field("password", &HIDDEN)
            .field("gid", &self.gid)
            .field("members", &Names(&self.members))
            .finish()
    }
}
