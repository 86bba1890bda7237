//! Which ids the tables have given away, and to whom.
//!
//! No condition on one item can see that another has its UID, and an item that reserves one would be a bad item to
//! every host. So whoever takes an id writes it, then reads all ids again, strongly consistent, and gives it up when
//! somebody else has it too. Of two who take one id at the same time, the one whose write ends last sees the other's,
//! so never do both keep it; both may give it up, and try another.

use std::ops::RangeInclusive;

use aws_sdk_dynamodb::types::AttributeValue;

use super::fault::Act;
use super::scan::{self, Item, Tally, What};
use super::{Tables, edit};
use crate::account::Name;
use crate::error::{Error, Table};

const READ: Act = Act { what: "read the ids of table", action: "dynamodb:Scan", follows: edit::NOTHING_WRITTEN };

/// The ids of both tables. Items that hosts refuse count too: mended, they want their ids.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    uids: Vec<(u32, String)>,
    gids: Vec<(u32, String)>,
    primary_gids: Vec<u32>,
}

impl Tables {
    /// All ids that items have now.
    ///
    /// # Errors
    /// When a table cannot be read completely.
    pub async fn ids(&self) -> Result<Ids, Error> {
        let mut ids = Ids::default();
        for (table, attributes) in [(Table::Users, &["Name", "UID", "GID"][..]), (Table::Groups, &["Name", "GID"])] {
            let what = What { consistent: true, attributes };
            let doing = self.doing(&READ, table);
            let each = |item: &Item| ids.note(table, item);
            scan::scan(&self.client, &doing, &what, &self.patience, &mut Tally::default(), each).await?;
        }
        Ok(ids)
    }
}

impl Ids {
    fn note(&mut self, table: Table, item: &Item) {
        let Some(AttributeValue::S(name)) = item.get("Name") else { return };
        // A number in a string is a mistake that will be mended.
        let id = |attribute| match item.get(attribute) {
            Some(AttributeValue::N(text) | AttributeValue::S(text)) => text.parse::<u32>().ok(),
            _ => None,
        };
        match table {
            Table::Users => {
                self.uids.extend(id("UID").map(|uid| (uid, name.clone())));
                self.primary_gids.extend(id("GID"));
            }
            Table::Groups => self.gids.extend(id("GID").map(|gid| (gid, name.clone()))),
        }
    }

    /// Who else than `name` has this UID.
    #[must_use]
    pub fn other_user(&self, uid: u32, name: &Name) -> Option<&str> {
        other(&self.uids, uid, name)
    }

    /// Which other group than `name` has this GID.
    #[must_use]
    pub fn other_group(&self, gid: u32, name: &Name) -> Option<&str> {
        other(&self.gids, gid, name)
    }

    /// Whether a user with this name has an id.
    #[must_use]
    pub fn has_user(&self, name: &Name) -> bool {
        self.uids.iter().any(|(_, owner)| owner == name.as_str())
    }

    /// A number of `range` that is neither a UID nor a GID, so that a user's own group can have it as well. It is
    /// above all that are taken, as long as there is room: hosts keep the accounts of items that are gone, and so the
    /// files of their UIDs. `skip` passes over as many free ones.
    #[must_use]
    pub fn free(&self, range: &RangeInclusive<u32>, skip: usize) -> Option<u32> {
        let mut taken: Vec<u32> = self.uids.iter().chain(&self.gids).map(|(id, _)| *id).collect();
        taken.extend(&self.primary_gids);
        // "No id" to the kernel.
        taken.extend([65_535, u32::MAX]);
        taken.sort_unstable();
        taken.dedup();
        let is_free = |id: &u32| taken.binary_search(id).is_err();
        let highest = self.uids.iter().chain(&self.gids).map(|(id, _)| *id).filter(|id| range.contains(id)).max();
        let above = highest.map_or(Some(*range.start()), |id| id.checked_add(1));
        let above = above.map(|from| from..=*range.end());
        let above = above.and_then(|mut above| above.by_ref().filter(is_free).nth(skip));
        above.or_else(|| range.clone().find(is_free))
    }
}

fn other<'a>(ids: &'a [(u32, String)], id: u32, name: &Name) -> Option<&'a str> {
    ids.iter().find(|(taken, owner)| *taken == id && owner != name.as_str()).map(|(_, owner)| owner.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(uids: &[u32], gids: &[u32]) -> Ids {
        let named = |ids: &[u32]| ids.iter().map(|id| (*id, format!("n{id}"))).collect();
        Ids { uids: named(uids), gids: named(gids), primary_gids: vec![2050] }
    }

    #[test]
    fn a_free_id_is_above_all_that_are_taken_while_there_is_room() {
        for (uids, gids, range, skip, want) in [
            (&[][..], &[][..], 2000..=2100, 0, Some(2000)),
            (&[2001, 2007], &[], 2000..=2100, 0, Some(2008)),
            (&[2001, 2007], &[2008], 2000..=2100, 2, Some(2011)),
            (&[2049], &[], 2000..=2100, 0, Some(2051)),
            (&[9999, 12], &[], 2000..=2100, 0, Some(2000)),
            (&[2000, 2002], &[], 2000..=2002, 5, Some(2001)),
            (&[2000, 2002], &[2001], 2000..=2002, 0, None),
            (&[65_534], &[], 65_000..=70_000, 0, Some(65_536)),
            (&[u32::MAX - 1], &[], u32::MAX - 1..=u32::MAX, 0, None),
        ] {
            assert_eq!(ids(uids, gids).free(&range, skip), want, "{uids:?} {gids:?} {range:?}");
        }
    }

    #[test]
    fn items_that_hosts_refuse_keep_their_ids() {
        let mut found = Ids::default();
        let item = |uid: AttributeValue| {
            Item::from([("Name".to_owned(), AttributeValue::S("a b".into())), ("UID".to_owned(), uid)])
        };
        found.note(Table::Users, &item(AttributeValue::S("2001".into())));
        found.note(Table::Users, &item(AttributeValue::N("2002".into())));
        found.note(Table::Users, &item(AttributeValue::Bool(true)));
        assert_eq!(found.free(&(2001..=2003), 0), Some(2003));
        assert_eq!(found.other_user(2001, &Name::new("bob").unwrap()), Some("a b"));
    }
}
