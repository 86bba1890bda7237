//! What a well-formed account is. Pure: it opens nothing, asks no clock, logs nothing.

mod day;
mod fields;
mod group;
mod key;
mod name;
mod password;
mod user;

use std::collections::BTreeSet;

pub use day::{Day, timestamp};
pub use fields::{Gecos, Gid, HomeDir, Shell, Uid, ageing_days};
pub use group::{Group, GroupMembers};
pub use key::PublicKey;
pub use name::Name;
pub use password::PasswordHash;
pub use user::User;

use crate::error::{Rejection, Table};

/// What the tables want of every host: users and groups, sorted by name, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// The users.
    pub users: Vec<User>,
    /// The groups.
    pub groups: Vec<Group>,
    /// Who has an item in the Users table that is not used. Their accounts stay as they are: they are not gone.
    pub refused_users: BTreeSet<String>,
    /// Which groups have an item in the Groups table that is not used.
    pub refused_groups: BTreeSet<String>,
}

impl Accounts {
    /// Sorts users and groups, and refuses all items of a name that several items of one table claim: which of them
    /// means it cannot be known. `rejections` tells what was refused before, and gets what is refused here.
    ///
    /// Ids that are there twice are no matter of this: who may keep one depends on the host.
    pub fn new(users: Vec<User>, groups: Vec<Group>, rejections: &mut Vec<Rejection>) -> Self {
        let (users, refused_users) = each_name_once(Table::Users, users, |user| &user.name, rejections);
        let (groups, refused_groups) = each_name_once(Table::Groups, groups, |group| &group.name, rejections);
        Self { users, groups, refused_users, refused_groups }
    }
}

fn each_name_once<T>(
    table: Table,
    mut items: Vec<T>,
    name_of: fn(&T) -> &Name,
    rejections: &mut Vec<Rejection>,
) -> (Vec<T>, BTreeSet<String>) {
    items.sort_by(|one, other| name_of(one).cmp(name_of(other)));
    let refused_before = rejections.iter().filter(|refused| refused.table == table && refused.whole_item);
    let mut refused: BTreeSet<String> =
        refused_before.map(|refused| refused.name.clone()).filter(|name| !name.is_empty()).collect();

    let twice: BTreeSet<Name> = items
        .chunk_by(|one, other| name_of(one) == name_of(other))
        .filter(|same| same.len() > 1 || refused.contains(name_of(&same[0]).as_str()))
        .map(|same| name_of(&same[0]).clone())
        .collect();
    items.retain(|item| !twice.contains(name_of(item)));
    for name in twice {
        rejections.push(Rejection {
            table,
            name: name.as_str().to_owned(),
            attribute: Some("Name"),
            reason: "several items have this name, and none of them is used".into(),
            whole_item: true,
        });
        refused.insert(name.as_str().to_owned());
    }
    (items, refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A user with nothing but what is required.
    pub(super) fn user(name: &str) -> User {
        User {
            name: Name::new(name).unwrap(),
            uid: Uid::from_raw(1000),
            gid: Gid::from_raw(1000),
            real_name: Gecos::default(),
            home: HomeDir::default(),
            shell: Shell::default(),
            password: None,
            last_change: None,
            min_age: None,
            max_age: None,
            warn_period: None,
            inactivity_period: None,
            expire_date: None,
            keys: Vec::new(),
        }
    }

    fn group(name: &str) -> Group {
        Group {
            name: Name::new(name).unwrap(),
            gid: Gid::from_raw(1000),
            password: None,
            administrators: Vec::new(),
            members: Vec::new(),
        }
    }

    fn refused(table: Table, name: &str, whole_item: bool) -> Rejection {
        Rejection { table, name: name.into(), attribute: None, reason: "it is bad".into(), whole_item }
    }

    fn names<T>(items: &[T], name_of: fn(&T) -> &Name) -> Vec<&str> {
        items.iter().map(|item| name_of(item).as_str()).collect()
    }

    #[test]
    fn accounts_are_sorted_and_ids_are_not_compared() {
        let mut rejections = Vec::new();
        let accounts =
            Accounts::new(vec![user("bob"), user("alice")], vec![group("ops"), group("dev")], &mut rejections);
        assert_eq!(names(&accounts.users, |user| &user.name), ["alice", "bob"]);
        assert_eq!(names(&accounts.groups, |group| &group.name), ["dev", "ops"]);
        assert!(rejections.is_empty() && accounts.refused_users.is_empty() && accounts.refused_groups.is_empty());
    }

    #[test]
    fn a_name_that_is_there_twice_is_refused_altogether() {
        let mut rejections = Vec::new();
        let users = vec![user("eve"), user("bob"), user("eve"), user("eve")];
        let accounts = Accounts::new(users, vec![group("eve")], &mut rejections);
        assert_eq!(names(&accounts.users, |user| &user.name), ["bob"]);
        assert_eq!(names(&accounts.groups, |group| &group.name), ["eve"], "a group may be named as a user is");
        assert_eq!(accounts.refused_users, BTreeSet::from(["eve".to_owned()]));
        assert_eq!(
            rejections.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["user eve: Name: several items have this name, and none of them is used; item skipped"]
        );
    }

    #[test]
    fn what_was_refused_before_is_remembered() {
        let mut rejections = vec![
            refused(Table::Users, "mallory", true),
            refused(Table::Users, "bob", false),
            refused(Table::Users, "", true),
            refused(Table::Groups, "ops", true),
            refused(Table::Users, "eve", true),
        ];
        let accounts = Accounts::new(vec![user("bob"), user("eve"), user("ops")], vec![], &mut rejections);
        assert_eq!(names(&accounts.users, |user| &user.name), ["bob", "ops"], "eve's other item was refused");
        assert_eq!(accounts.refused_users, BTreeSet::from(["eve".to_owned(), "mallory".to_owned()]));
        assert_eq!(accounts.refused_groups, BTreeSet::from(["ops".to_owned()]));
    }
}
