//! A group, as an item of the Groups table describes it.

use super::{Gid, Name, PasswordHash};

/// A well-formed group. Whether its members have accounts is asked where the host is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The name of the group.
    pub name: Name,
    /// The group id.
    pub gid: Gid,
    /// The password that newgrp(1) asks for; `None` leaves it to the host.
    pub password: Option<PasswordHash>,
    /// Who may change the membership by gpasswd(1); sorted, each once. They need not be members.
    pub administrators: Vec<Name>,
    /// The members; sorted, each once.
    pub members: Vec<Name>,
}

/// How the members of an existing group are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupMembers {
    /// Exact for groups that ddum created, merge for groups that the host had.
    #[default]
    Auto,
    /// The item's list is the whole list.
    Exact,
    /// The item's members are added, and only users that ddum manages are removed.
    Merge,
}
