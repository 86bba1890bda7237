//! From an item to an account: types and presence are checked here, everything else by the types of [`account`]. The
//! way back is in [`encode`].
//!
//! An attribute must have the type that the original documents for it. A list of strings where a string set belongs,
//! or digits in a string where a number belongs, are refused and not guessed at: the tables stay readable for every
//! program that keeps to the documentation. A `NULL` counts as absent, which is what whoever wrote it means.
//!
//! [`account`]: crate::account

pub mod encode;
pub mod view;

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::scan::Item;
use crate::account::{Day, Gecos, Gid, Group, HomeDir, Name, PasswordHash, PublicKey, Shell, Uid, User, ageing_days};
use crate::config::DefaultValue;
use crate::error::{Rejection, Table, printable};

/// Values for attributes that an item lacks, by attribute.
pub type Defaults = BTreeMap<String, DefaultValue>;

/// The attributes of a Users item that mean something.
pub const USER_ATTRIBUTES: [&str; 14] = [
    "Name",
    "UID",
    "GID",
    "RealName",
    "Home",
    "Shell",
    "Password",
    "LastPasswordChangeDate",
    "PasswordAgeMinDays",
    "PasswordAgeMaxDays",
    "PasswordWarnDays",
    "PasswordDisableDays",
    "AccountExpireDate",
    "SSHPublicKeys",
];

/// The attributes of a Groups item that mean something.
pub const GROUP_ATTRIBUTES: [&str; 5] = ["Name", "GID", "Password", "Administrators", "Members"];

/// The user that an item of the Users table describes, and a rejection for each of its keys that cannot be used.
///
/// Keys must be a string set. When they are anything else the item is refused, not taken without keys: a mistyped
/// attribute must not close the door that the mistyper came through.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn user(item: &Item, defaults: &Defaults, today: Day) -> Result<(User, Vec<Rejection>), Rejection> {
    let fields = Fields::of(Table::Users, item, defaults)?;
    let last_change = fields.optional("LastPasswordChangeDate", Type::S, Day::parse)?;
    // Tomorrow has begun where the one lives who wrote the date.
    if last_change.is_some_and(|date| date.number() > today.number() + 1) {
        return Err(fields.refusal("LastPasswordChangeDate", "it is in the future"));
    }
    let days = |attribute| Ok(fields.optional(attribute, Type::N, ageing_days)?.flatten());
    let (keys, bad_keys) = fields.keys()?;
    let user = User {
        uid: fields.required("UID", Type::N, Uid::parse)?,
        gid: fields.required("GID", Type::N, Gid::parse)?,
        real_name: fields.optional("RealName", Type::S, Gecos::new)?.unwrap_or_default(),
        home: fields.optional("Home", Type::S, HomeDir::new)?.unwrap_or_default(),
        shell: fields.optional("Shell", Type::S, Shell::new)?.unwrap_or_default(),
        password: fields.optional("Password", Type::S, PasswordHash::new)?,
        last_change,
        min_age: days("PasswordAgeMinDays")?,
        max_age: days("PasswordAgeMaxDays")?,
        warn_period: days("PasswordWarnDays")?,
        inactivity_period: days("PasswordDisableDays")?,
        expire_date: fields.optional("AccountExpireDate", Type::S, Day::parse)?,
        keys,
        name: fields.name,
    };
    Ok((user, bad_keys))
}

/// The group that an item of the Groups table describes.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn group(item: &Item) -> Result<Group, Rejection> {
    let defaults = Defaults::new();
    let fields = Fields::of(Table::Groups, item, &defaults)?;
    Ok(Group {
        gid: fields.required("GID", Type::N, Gid::parse)?,
        password: fields.optional("Password", Type::S, PasswordHash::new)?,
        administrators: fields.names("Administrators")?,
        members: fields.names("Members")?,
        name: fields.name,
    })
}

/// The types that an attribute can have to have, called as DynamoDB calls them.
#[derive(Clone, Copy, Debug)]
enum Type {
    S,
    N,
}

/// The fields of one item, and the values for those that it lacks.
struct Fields<'a> {
    table: Table,
    name: Name,
    item: &'a Item,
    defaults: &'a Defaults,
}

impl<'a> Fields<'a> {
    fn of(table: Table, item: &'a Item, defaults: &'a Defaults) -> Result<Self, Rejection> {
        let refusal = |name: &str, reason: String| Rejection {
            table,
            name: printable(name),
            attribute: Some("Name"),
            reason,
            whole_item: true,
        };
        match item.get("Name") {
            Some(AttributeValue::S(name)) => match Name::new(name) {
                Ok(name) => Ok(Self { table, name, item, defaults }),
                Err(reason) => Err(refusal(name, reason)),
            },
            None | Some(AttributeValue::Null(_)) => Err(refusal("", "it is missing".to_owned())),
            // DynamoDB itself has no such item: the type of the key belongs to the table.
            Some(other) => Err(refusal("", wrong_type(other, "S"))),
        }
    }

    fn refusal(&self, attribute: &'static str, reason: impl Into<String>) -> Rejection {
        Rejection {
            table: self.table,
            name: self.name.to_string(),
            attribute: Some(attribute),
            reason: reason.into(),
            whole_item: true,
        }
    }

    /// The item's own value; `None` for one that it lacks.
    fn own(&self, attribute: &str) -> Option<&'a AttributeValue> {
        self.item.get(attribute).filter(|value| !matches!(value, AttributeValue::Null(_)))
    }

    fn filled(&self, default: &str) -> String {
        default.replace("{name}", self.name.as_str())
    }

    fn required<T>(
        &self,
        attribute: &'static str,
        kind: Type,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Rejection> {
        self.optional(attribute, kind, parse)?.ok_or_else(|| self.refusal(attribute, "it is missing"))
    }

    fn optional<T>(
        &self,
        attribute: &'static str,
        kind: Type,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Rejection> {
        let parsed = match (self.own(attribute), kind) {
            (Some(AttributeValue::S(text)), Type::S) | (Some(AttributeValue::N(text)), Type::N) => parse(text),
            (Some(other), Type::S) => Err(wrong_type(other, "S")),
            (Some(other), Type::N) => Err(wrong_type(other, "N")),
            (None, _) => match self.defaults.get(attribute) {
                Some(DefaultValue::Text(text)) => parse(&self.filled(text)).map_err(|reason| of_default(&reason)),
                Some(DefaultValue::List(_)) => Err(of_default("it must not be a list")),
                None => return Ok(None),
            },
        };
        parsed.map(Some).map_err(|reason| self.refusal(attribute, reason))
    }

    fn texts(&self, attribute: &'static str) -> Result<Vec<String>, Rejection> {
        match self.own(attribute) {
            Some(AttributeValue::Ss(texts)) => Ok(texts.clone()),
            Some(other) => Err(self.refusal(attribute, wrong_type(other, "SS"))),
            None => match self.defaults.get(attribute) {
                Some(DefaultValue::List(texts)) => Ok(texts.iter().map(|text| self.filled(text)).collect()),
                Some(DefaultValue::Text(_)) => Err(self.refusal(attribute, of_default("it must be a list"))),
                None => Ok(Vec::new()),
            },
        }
    }

    fn names(&self, attribute: &'static str) -> Result<Vec<Name>, Rejection> {
        let mut names = Vec::new();
        for text in self.texts(attribute)? {
            let name = Name::new(&text);
            names.push(name.map_err(|why| self.refusal(attribute, format!("\"{}\": {why}", printable(&text))))?);
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn keys(&self) -> Result<(Vec<PublicKey>, Vec<Rejection>), Rejection> {
        const ATTRIBUTE: &str = "SSHPublicKeys";
        let mut keys = Vec::new();
        let mut bad = Vec::new();
        for text in self.texts(ATTRIBUTE)? {
            match PublicKey::new(&text) {
                Ok(key) => keys.push(key),
                Err(why) => {
                    let reason = format!("{}: {why}; key skipped", known_as(&text));
                    bad.push(Rejection { whole_item: false, ..self.refusal(ATTRIBUTE, reason) });
                }
            }
        }
        keys.sort_unstable();
        keys.dedup();
        // A set has no order, and a report that changes from one update to the next looks like news.
        bad.sort_unstable();
        Ok((keys, bad))
    }
}

/// What to call a key that cannot be used. Its text is not quoted: people have pasted private keys, also below
/// the public one.
fn known_as(text: &str) -> String {
    let first_line = text.trim().lines().next().unwrap_or_default();
    match PublicKey::of_file_line(first_line.as_bytes()) {
        Some(key) if key.comment().is_empty() => key.fingerprint(),
        Some(key) => format!("{} ({})", key.fingerprint(), printable(key.comment())),
        None => "a value".to_owned(),
    }
}

fn wrong_type(value: &AttributeValue, wanted: &str) -> String {
    format!("its type is {}, not {wanted}", letters(value))
}

fn of_default(reason: &str) -> String {
    format!("the value in user_defaults: {reason}")
}

/// DynamoDB's name for the type of a value.
fn letters(value: &AttributeValue) -> &'static str {
    match value {
        AttributeValue::S(_) => "S",
        AttributeValue::N(_) => "N",
        AttributeValue::Ss(_) => "SS",
        AttributeValue::Ns(_) => "NS",
        AttributeValue::Bool(_) => "BOOL",
        AttributeValue::Null(_) => "NULL",
        AttributeValue::B(_) => "B",
        AttributeValue::Bs(_) => "BS",
        AttributeValue::L(_) => "L",
        AttributeValue::M(_) => "M",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests;
