//! Of what the ledger says was about to be made: what is here, what is not yet, and what is somebody else's.

use super::Found;
use crate::account::Accounts;
use crate::etc::Databases;
use crate::ledger::Ledger;

/// Looks for the pending records of `ledger` in the files: those whose account is there with its id are pending no
/// more, those whose name somebody else took are dropped, the others go on waiting.
pub fn settle(ledger: &mut Ledger, accounts: &Accounts, databases: &Databases) {
    ledger.users.retain(|name, record| {
        if record.pending
            && let Found::Entry(entry) = databases.passwd.find(name)
        {
            record.pending = false;
            return entry.uid == record.uid;
        }
        true
    });
    let Ledger { users, groups } = ledger;
    groups.retain(|name, record| {
        if record.pending
            && let Found::Entry(entry) = databases.group.find(name)
        {
            record.pending = false;
            // We made it with members that its item names. One with others may be somebody else's, who will miss them.
            let item = accounts.groups.binary_search_by(|group| group.name.as_str().cmp(name)).ok();
            let item = item.map_or(&[][..], |at| &accounts.groups[at].members);
            record.created &= entry.members.iter().all(|member| {
                let is_ours = |member: &str| users.contains_key(member) || item.iter().any(|n| n.as_str() == member);
                std::str::from_utf8(member).is_ok_and(is_ours)
            });
            return entry.gid == record.gid;
        }
        true
    });
}
