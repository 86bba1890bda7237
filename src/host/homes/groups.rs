//! Which groups users are members of. sshd reads keys with all of a user's groups: where only a group may enter, a
//! worker without them could not take away a key that sshd goes on taking.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::{Root, accounts};
use crate::etc::{GroupEntry, Lines};

/// Who is a member of which groups, as `/etc/group` of the tree has it now.
#[derive(Debug, Default)]
pub(super) struct Memberships(BTreeMap<Vec<u8>, Vec<u32>>);

impl Memberships {
    /// Reads the file. Where it cannot be read, nobody is a member of anything, and what can be done without is done.
    pub(super) fn read(root: &Root) -> Self {
        let bytes = accounts::read_file(root, Path::new("/etc/group")).ok().flatten().unwrap_or_default();
        let mut all: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
        for group in Lines::<GroupEntry>::parse(bytes).iter().flat_map(Lines::entries) {
            for member in group.members {
                all.entry(member).or_default().push(group.gid);
            }
        }
        Self(all)
    }

    /// The groups of one user, beside the primary one.
    pub(super) fn of(&self, name: &str) -> Vec<u32> {
        self.0.get(name.as_bytes()).cloned().unwrap_or_default()
    }
}
