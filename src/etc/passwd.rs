//! passwd(5).

use std::fmt;

use super::Entry;
use super::field::{self, HIDDEN, Text};

/// A line of `/etc/passwd`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswdEntry {
    /// Login name.
    pub name: String,
    /// `x` where the password is in shadow, as it nearly always is; but it may be a hash.
    pub password: Vec<u8>,
    /// User id.
    pub uid: u32,
    /// Id of the primary group.
    pub gid: u32,
    /// Real name and more, in whatever encoding.
    pub gecos: Vec<u8>,
    /// Home directory.
    pub home: Vec<u8>,
    /// Login shell; empty stands for `/bin/sh`.
    pub shell: Vec<u8>,
}

impl Entry for PasswdEntry {
    const FILE: &'static str = "passwd";
    const FIELDS: usize = 7;
    const TOO_LONG: usize = 32768;

    // nss_files: the fields after the gid may be missing, and the shell is all the rest, colons included.
    fn c_library_reads(line: &[u8]) -> bool {
        let fields = field::fields(line);
        matches!(fields[..], [_, _, uid, gid, ..] if field::c_id(uid).is_some() && field::c_id(gid).is_some())
    }

    fn shadow_tools_read(line: &[u8]) -> bool {
        let fields = field::fields(line);
        matches!(fields[..], [_, _, uid, gid, _, _, _] if field::is_plain_id(uid) && field::is_plain_id(gid))
    }

    fn id_on(line: &[u8]) -> Option<u32> {
        field::fields(line).get(2).and_then(|uid| field::c_id(uid))
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let fields = field::fields(line);
        let [name, password, uid, gid, gecos, home, shell] = fields[..] else { return None };
        Some(Self {
            name: field::name(name)?,
            password: password.to_vec(),
            uid: field::c_id(uid)?,
            gid: field::c_id(gid)?,
            gecos: gecos.to_vec(),
            home: home.to_vec(),
            shell: shell.to_vec(),
        })
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn write(&self, line: &mut Vec<u8>) {
        line.extend_from_slice(self.name.as_bytes());
        line.push(b':');
        line.extend_from_slice(&self.password);
        for id in [self.uid, self.gid] {
            line.push(b':');
            field::write_number(id, line);
        }
        for text in [&self.gecos, &self.home, &self.shell] {
            line.push(b':');
            line.extend_from_slice(text);
        }
    }
}

impl fmt::Debug for PasswdEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswdEntry")
            .field("name", &self.name)
            .field("password", &HIDDEN)
            .field("uid", &self.uid)
            .field("gid", &self.gid)
            .field("gecos", &Text(&self.gecos))
            .field("home", &Text(&self.home))
            .field("shell", &Text(&self.shell))
            .finish()
    }
}
