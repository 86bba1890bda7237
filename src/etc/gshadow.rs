//! gshadow(5).

use std::fmt;

use super::Entry;
use super::field::{self, HIDDEN, Names};

/// A line of `/etc/gshadow`.
#[derive(Clone, PartialEq, Eq)]
pub struct GshadowEntry {
    /// Group name.
    pub name: String,
    /// Password hash, or what stands for none.
    pub password: Vec<u8>,
    /// Who may change the password and the members, in the order of the file, without empty ones.
    pub administrators: Vec<Vec<u8>>,
    /// The members; they should be those of `/etc/group`.
    pub members: Vec<Vec<u8>>,
}

impl Entry for GshadowEntry {
    const FILE: &'static str = "gshadow";
    const FIELDS: usize = 4;
    const JOINS: bool = true;

    // glibc's gshadow parser: strings and lists, none of which it minds missing.
    fn c_library_reads(_line: &[u8]) -> bool {
        true
    }

    fn shadow_tools_read(line: &[u8]) -> bool {
        field::fields(line).len() == Self::FIELDS
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let fields = field::fields(line);
        let [name, password, administrators, members] = fields[..] else { return None };
        Some(Self {
            name: field::name(name)?,
            password: password.to_vec(),
            administrators: field::list(administrators),
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
        for names in [&self.administrators, &self.members] {
            line.push(b':');
            field::write_list(names, line);
        }
    }
}

impl fmt::Debug for GshadowEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GshadowEntry")
            .field("name", &self.name)
            .field("password", &HIDDEN)
            .field("administrators", &Names(&self.administrators))
            .field("members", &Names(&self.members))
            .finish()
    }
}
