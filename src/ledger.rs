//! The ledger: which accounts of this host ddum created or took over, and with which ids.
//!
//! It answers one question that the account files cannot: whether an account whose id differs from its item's is ours
//! to change. Without it nothing is harmed: accounts are taken over again by their UID, and groups are merged into.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The managed accounts by name, as `/var/lib/ddum/ledger.json` holds them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The users that ddum created or took over.
    #[serde(default)]
    pub users: BTreeMap<String, UserRecord>,
    /// The groups that ddum created or changed.
    #[serde(default)]
    pub groups: BTreeMap<String, GroupRecord>,
}

/// What ddum gave a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// The UID that its item had at the last update.
    pub uid: u32,
    /// The GID that its item had at the last update.
    pub gid: u32,
    /// Whether ddum created the account; otherwise it was here and was taken over.
    pub created: bool,
    /// Written before the account was: until it is seen in the files, it may be that it was never made, and one of that
    /// name be somebody else's.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pending: bool,
    /// All ids that files in the home may still have: set before the ids change, cleared when the files have followed,
    /// so that an update killed in between is finished by the next one, whatever ids that one is to give.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moving_from: Vec<Ids>,
}

impl UserRecord {
    /// The ids of an account that are known to be of ddum's giving.
    pub fn has_given(&self, uid: u32) -> bool {
        self.uid == uid || self.moving_from.iter().any(|ids| ids.uid == uid)
    }

    /// Forgets the old ids from which files have followed.
    pub fn forget(&mut self, followed: &[Ids]) {
        let now = Ids { uid: self.uid, gid: self.gid };
        self.moving_from.retain(|ids| *ids != now && !followed.contains(ids));
    }
}

/// A user's two ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ids {
    /// The UID.
    pub uid: u32,
    /// The primary GID.
    pub gid: u32,
}

/// What ddum gave a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// The GID that its item had at the last update.
    pub gid: u32,
    /// Whether ddum created the group: then `group_members` `auto` means `exact`.
    pub created: bool,
    /// As for a user.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pending: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Ledger {
    /// Reads the ledger's file.
    ///
    /// # Errors
    /// The reason, when it is not a ledger.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|e| format!("not a ledger: {e}"))
    }

    /// This ledger, and the records of `other` whose accounts it has none of.
    #[must_use]
    pub fn with_all_of(&self, other: &Self) -> Cow<'_, Self> {
        let is_known = |name| self.users.contains_key(name);
        if other.users.keys().all(is_known) && other.groups.keys().all(|name| self.groups.contains_key(name)) {
            return Cow::Borrowed(self);
        }
        let mut all = other.clone();
        all.users.extend(self.users.iter().map(|(name, record)| (name.clone(), record.clone())));
        all.groups.extend(self.groups.iter().map(|(name, record)| (name.clone(), *record)));
        Cow::Owned(all)
    }

    /// The ledger's file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Maps with text keys and plain numbers always serialise; an empty ledger would be as harmless as none.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_reads_back_as_it_was_written() {
        let mut ledger = Ledger::default();
        let moving_from = vec![Ids { uid: 2000, gid: 100 }, Ids { uid: 2001, gid: 100 }];
        let alice = UserRecord { uid: 2001, gid: 2001, created: true, pending: true, moving_from };
        ledger.users.insert("alice".into(), alice);
        ledger.groups.insert("wheel".into(), GroupRecord { gid: 10, created: false, pending: true });
        assert_eq!(Ledger::parse(&ledger.to_bytes()).unwrap(), ledger);
        let settled = Ledger::parse(
            br#"{"users":{"bob":{"uid":1,"gid":2,"created":true}},"groups":{"ops":{"gid":2,"created":true}}}"#,
        );
        let settled = settled.unwrap();
        assert!(!settled.users["bob"].pending && !settled.groups["ops"].pending);
        assert!(!String::from_utf8(settled.to_bytes()).unwrap().contains("pending"), "said only of those that are");
    }

    #[test]
    fn a_broken_ledger_is_an_error_and_an_empty_object_is_an_empty_ledger() {
        assert!(Ledger::parse(b"").is_err());
        assert!(Ledger::parse(b"[1").is_err());
        assert_eq!(Ledger::parse(b"{}").unwrap(), Ledger::default());
    }

    #[test]
    fn of_two_ledgers_the_newer_record_counts_and_none_is_lost() {
        let record = |uid| UserRecord { uid, gid: 1, created: true, pending: false, moving_from: Vec::new() };
        let mut old = Ledger::default();
        old.users.insert("alice".into(), record(1));
        old.users.insert("gone".into(), record(2));
        let mut new = Ledger::default();
        new.users.insert("alice".into(), record(3));
        let both = new.with_all_of(&old);
        assert_eq!((both.users["alice"].uid, both.users["gone"].uid), (3, 2));
    }
}
