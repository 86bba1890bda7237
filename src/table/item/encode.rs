//! From an account to an item: what [`user`](super::user) and [`group`](super::group) read back as the same account.

use std::collections::BTreeSet;
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;

use super::Item;
use crate::account::{Day, Group, Name, PasswordHash, PublicKey, User};

/// The value of an attribute.
#[derive(Clone, PartialEq, Eq)]
pub enum Field {
    /// A string.
    Text(String),
    /// The digits of a number.
    Number(String),
    /// A set of strings, in order.
    Set(Vec<String>),
}

// Not derived: it may be a password hash.
impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(…)",
            Self::Number(_) => "Number(…)",
            Self::Set(_) => "Set(…)",
        })
    }
}

/// Attributes and what they are.
pub type Fields = Vec<(&'static str, Field)>;

/// The attributes of a user. Those without a value are left out, but for the three that the original's documentation
/// calls required.
#[must_use]
pub fn of_user(user: &User) -> Fields {
    let text = |text: &str| Field::Text(text.to_owned());
    let day = |day: Option<Day>| day.map(|day| Field::Text(day.to_string()));
    let days = |days: Option<u32>| days.map(|days| Field::Number(days.to_string()));
    let keys: Vec<String> = user.keys.iter().map(|key| key.line().to_owned()).collect();
    [
        ("Name", Some(text(user.name.as_str()))),
        ("UID", Some(Field::Number(user.uid.to_string()))),
        ("GID", Some(Field::Number(user.gid.to_string()))),
        ("RealName", Some(text(user.real_name.as_str()))),
        ("Home", Some(text(user.home.as_str()))),
        ("Shell", Some(text(user.shell.as_str()))),
        ("Password", user.password.as_ref().map(hash)),
        ("LastPasswordChangeDate", day(user.last_change)),
        ("PasswordAgeMinDays", days(user.min_age)),
        ("PasswordAgeMaxDays", days(user.max_age)),
        ("PasswordWarnDays", days(user.warn_period)),
        ("PasswordDisableDays", days(user.inactivity_period)),
        ("AccountExpireDate", day(user.expire_date)),
        // DynamoDB has no empty sets.
        ("SSHPublicKeys", (!keys.is_empty()).then_some(Field::Set(keys))),
    ]
    .into_iter()
    .filter_map(|(attribute, field)| Some((attribute, field?)))
    .collect()
}

/// The attributes of a group. Those without a value are left out.
#[must_use]
pub fn of_group(group: &Group) -> Fields {
    let set = |names: &[Name]| (!names.is_empty()).then(|| Field::Set(names.iter().map(Name::to_string).collect()));
    [
        ("Name", Some(Field::Text(group.name.to_string()))),
        ("GID", Some(Field::Number(group.gid.to_string()))),
        ("Password", group.password.as_ref().map(hash)),
        ("Administrators", set(&group.administrators)),
        ("Members", set(&group.members)),
    ]
    .into_iter()
    .filter_map(|(attribute, field)| Some((attribute, field?)))
    .collect()
}

/// The set of keys as it is stored.
#[must_use]
pub fn of_keys(keys: &[PublicKey]) -> Field {
    Field::Set(keys.iter().map(|key| key.line().to_owned()).collect())
}

/// What somebody typed as the value of an attribute, with the type that the attribute must have; for a set, parts with
/// commas between. Whether it is a good value is asked by reading the item.
#[must_use]
pub fn typed(attribute: &str, text: &str) -> Field {
    match attribute {
        "UID" | "GID" | "PasswordAgeMinDays" | "PasswordAgeMaxDays" | "PasswordWarnDays" | "PasswordDisableDays" => {
            Field::Number(text.to_owned())
        }
        "Members" | "Administrators" => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Field::Set(parts.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect())
        }
        _ => Field::Text(text.to_owned()),
    }
}

fn hash(hash: &PasswordHash) -> Field {
    Field::Text(hash.expose().to_owned())
}

/// The item with these attributes.
#[must_use]
pub fn item(fields: &[(&'static str, Field)]) -> Item {
    fields.iter().map(|(attribute, field)| ((*attribute).to_owned(), value(field))).collect()
}

/// The field as DynamoDB has it.
pub(in crate::table) fn value(field: &Field) -> AttributeValue {
    match field {
        Field::Text(text) => AttributeValue::S(text.clone()),
        Field::Number(digits) => AttributeValue::N(digits.clone()),
        Field::Set(texts) => AttributeValue::Ss(texts.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Defaults, GROUP_ATTRIBUTES, USER_ATTRIBUTES, group, user};
    use super::*;
    use crate::account::{Gecos, Gid, HomeDir, Shell, Uid};

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    /// A user whose optional attributes are there where a bit of `bits` is set.
    fn some_user(bits: u32) -> User {
        let has = |bit: u32| bits & (1 << bit) != 0;
        let keys = ["A+WWckC5HovqsNXGLGG/vIPqy97mAHpc3xSmzlXbY+t", "Mq2fu8Z0lBIrpi1MC1EAtSzXZHrUvk9Y5UX7GSkO3bH"];
        let key = |data: &str| PublicKey::new(&format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{data} é")).unwrap();
        User {
            name: name("alice"),
            uid: Uid::from_raw(2001),
            gid: Gid::from_raw(u32::MAX - 1),
            real_name: Gecos::new(if has(0) { "Zoë, Room 1" } else { "" }).unwrap(),
            home: HomeDir::new(if has(1) { "/home/alice" } else { "" }).unwrap(),
            shell: Shell::new(if has(2) { "/bin/bash" } else { "" }).unwrap(),
            password: has(3).then(|| PasswordHash::new("!$6$salt$hash").unwrap()),
            last_change: has(4).then(|| day("2026-11-22")),
            min_age: has(5).then_some(0),
            max_age: has(6).then_some(99_999),
            warn_period: has(7).then_some(7),
            inactivity_period: has(8).then_some(1),
            expire_date: has(9).then(|| day("0001-01-01")),
            keys: if has(10) { keys.map(key).to_vec() } else { Vec::new() },
        }
    }

    #[test]
    fn a_user_comes_back_from_its_item_whatever_it_lacks() {
        for bits in 0..1 << 11 {
            let before = some_user(bits);
            let fields = of_user(&before);
            let (after, bad_keys) = user(&item(&fields), &Defaults::new(), day("2026-11-22")).unwrap();
            assert_eq!((&after, bad_keys.len()), (&before, 0), "{bits:b}");
            assert!(fields.iter().all(|(attribute, _)| USER_ATTRIBUTES.contains(attribute)));
        }
        assert_eq!(of_user(&some_user(u32::MAX)).len(), USER_ATTRIBUTES.len(), "every attribute can be written");
    }

    #[test]
    fn a_group_comes_back_from_its_item_whatever_it_lacks() {
        for bits in 0..8_u32 {
            let has = |bit: u32| bits & (1 << bit) != 0;
            let before = Group {
                name: name("ops"),
                gid: Gid::from_raw(3000),
                password: has(0).then(|| PasswordHash::new("!").unwrap()),
                administrators: if has(1) { vec![name("eve")] } else { Vec::new() },
                members: if has(2) { vec![name("alice"), name("bob")] } else { Vec::new() },
            };
            let fields = of_group(&before);
            assert_eq!(group(&item(&fields)).unwrap(), before, "{bits:b}");
            assert!(fields.iter().all(|(attribute, _)| GROUP_ATTRIBUTES.contains(attribute)));
        }
    }

    #[test]
    fn debugging_output_hides_what_a_field_holds() {
        let shown = format!("{:?}", of_user(&some_user(u32::MAX)));
        assert!(!shown.contains("$6$") && !shown.contains("alice"), "{shown}");
    }
}
