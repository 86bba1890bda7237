//! The formats of passwd(5), shadow(5), group(5) and gshadow(5), of login.defs(5) and of sshd_config(5). Formats only:
//! nothing here opens a file, and nothing here knows what an account is.
//!
//! The four account files have two readers that disagree, the C library and the shadow tools (useradd, usermod,
//! vipw, …). Entries here are lines that both read alike; every other line is kept byte for byte, and a name on it is
//! [`Found::Unclear`].

mod field;
mod group;
mod gshadow;
mod lines;
mod login_defs;
mod nsswitch;
mod passwd;
mod reading;
mod shadow;
mod sshd_access;
mod sshd_config;

use std::fmt::Debug;

pub use group::GroupEntry;
pub use gshadow::GshadowEntry;
pub use lines::Lines;
pub use login_defs::LoginDefs;
pub use nsswitch::sources;
pub use passwd::PasswdEntry;
pub use shadow::ShadowEntry;
pub use sshd_access::{SshdAccess, matches};
pub use sshd_config::SshdConfig;

/// One line of one of the four files. Its `Debug` never shows a password.
pub trait Entry: Clone + Debug + PartialEq {
    /// The file's name in `/etc`.
    const FILE: &'static str;

    /// How many fields a line has.
    const FIELDS: usize;

    /// A line as long as this, its newline not counted, is one that the shadow tools do not read
    /// (`PASSWD_ENTRY_MAX_LENGTH`).
    const TOO_LONG: usize = usize::MAX;

    /// True where the shadow tools, up to 4.13 at least, join a line that ends in a backslash with the next one.
    const JOINS: bool = false;

    /// Does the C library's files service take this line? It comes without blanks before the name, and is no comment
    /// and no NIS line.
    fn c_library_reads(line: &[u8]) -> bool;

    /// Do the shadow tools take this line? It is no NIS line and not too long.
    fn shadow_tools_read(line: &[u8]) -> bool;

    /// The user's or group's own number on a line that at least one of the two takes.
    fn id_on(_line: &[u8]) -> Option<u32> {
        None
    }

    /// The entry on a line that both take; none when the name is not UTF-8.
    fn parse(line: &[u8]) -> Option<Self>;

    /// The user's or group's name.
    fn name(&self) -> &str;

    /// Appends the line, without its newline.
    fn write(&self, line: &mut Vec<u8>);
}

/// What a file says of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<E> {
    /// Nobody reads the name anywhere.
    Absent,
    /// One line, which everybody reads alike.
    Entry(E),
    /// The name is there, but it is not safe to say what is meant: whoever edits it must be a person.
    Unclear {
        /// Counted from 1, in the file as it was read.
        line: usize,
        /// What is wrong with that line, in words that quote nothing of it.
        why: String,
    },
}

/// The four files, edited side by side.
#[derive(Debug)]
pub struct Databases {
    /// `/etc/passwd`.
    pub passwd: Lines<PasswdEntry>,
    /// `/etc/shadow`.
    pub shadow: Lines<ShadowEntry>,
    /// `/etc/group`.
    pub group: Lines<GroupEntry>,
    /// `/etc/gshadow`, which some systems do not have.
    pub gshadow: Option<Lines<GshadowEntry>>,
}

impl Databases {
    /// Reads the four files.
    ///
    /// # Errors
    /// Those of [`Lines::parse`].
    pub fn parse(passwd: Vec<u8>, shadow: Vec<u8>, group: Vec<u8>, gshadow: Option<Vec<u8>>) -> Result<Self, String> {
        Ok(Self {
            passwd: Lines::parse(passwd)?,
            shadow: Lines::parse(shadow)?,
            group: Lines::parse(group)?,
            gshadow: gshadow.map(Lines::parse).transpose()?,
        })
    }

    /// Would anything be written?
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.passwd.is_changed()
            || self.shadow.is_changed()
            || self.group.is_changed()
            || self.gshadow.as_ref().is_some_and(Lines::is_changed)
    }
}

#[cfg(test)]
mod tests;
