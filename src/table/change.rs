//! Items as they are stored, and changes of them with what they expect: the expressions of DynamoDB's requests.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Write as _};

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::encode::{self, Field, Fields};
use super::item::{self, Defaults};
use super::scan::Item;
use crate::account::{Day, Group, Name, User};
use crate::error::{Rejection, Table};

/// An item, or a part of one, as it is or is to be stored.
#[derive(Clone, PartialEq)]
pub struct Stored {
    pub(super) table: Table,
    pub(super) item: Item,
}

// Not derived: it may hold a password hash.
impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stored({:?})", self.table)
    }
}

/// Attributes to set, and attributes to take away.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// New values.
    pub set: Fields,
    /// Without a value from now on.
    pub remove: Vec<&'static str>,
}

impl Stored {
    /// A new item.
    #[must_use]
    pub fn new(table: Table, fields: &[(&'static str, Field)]) -> Self {
        Self { table, item: encode::item(fields) }
    }

    /// The user in it, as a host reads it.
    ///
    /// # Errors
    /// What a host would refuse.
    pub fn user(&self, defaults: &Defaults, today: Day) -> Result<(User, Vec<Rejection>), Rejection> {
        item::user(&self.item, defaults, today)
    }

    /// The group in it, as a host reads it.
    ///
    /// # Errors
    /// What a host would refuse.
    pub fn group(&self) -> Result<Group, Rejection> {
        item::group(&self.item)
    }

    /// Whether it has the attribute.
    #[must_use]
    pub fn has(&self, attribute: &str) -> bool {
        self.item.contains_key(attribute)
    }

    /// A string or the digits of a number.
    #[must_use]
    pub fn text(&self, attribute: &str) -> Option<&str> {
        match self.item.get(attribute) {
            Some(AttributeValue::S(text) | AttributeValue::N(text)) => Some(text),
            _ => None,
        }
    }

    /// The strings of a set; none when there is none.
    #[must_use]
    pub fn texts(&self, attribute: &str) -> &[String] {
        match self.item.get(attribute) {
            Some(AttributeValue::Ss(texts)) => texts,
            _ => &[],
        }
    }

    /// The item after the edit.
    #[must_use]
    pub fn with(&self, edit: &Edit) -> Self {
        let mut item = self.item.clone();
        item.extend(encode::item(&edit.set));
        item.retain(|attribute, _| !edit.remove.contains(&attribute.as_str()));
        Self { table: self.table, item }
    }

    /// The attributes that differ between this and `other`.
    #[must_use]
    pub fn differing(&self, other: &Self, attributes: &[&'static str]) -> Vec<&'static str> {
        let mut differing = attributes.to_vec();
        differing.retain(|attribute| self.item.get(*attribute) != other.item.get(*attribute));
        differing
    }
}

/// A change of one item, and what it expects of it: that it is there, at least.
#[derive(Clone)]
pub struct Change {
    pub(super) table: Table,
    name: Name,
    edit: Edit,
    add: Fields,
    delete: Fields,
    expected: Vec<(&'static str, Option<AttributeValue>)>,
    containing: Vec<(&'static str, String)>,
}

impl Change {
    /// Changes the item with this name, if there is one.
    #[must_use]
    pub fn of(table: Table, name: &Name) -> Self {
        let (name, edit) = (name.clone(), Edit::default());
        let (add, delete) = (Fields::new(), Fields::new());
        Self { table, name, edit, add, delete, expected: Vec::new(), containing: Vec::new() }
    }

    /// Makes the edit, if all attributes that it touches are as in `before`.
    #[must_use]
    pub fn edit(mut self, edit: Edit, before: &Stored) -> Self {
        let touched = edit.set.iter().map(|(attribute, _)| *attribute).chain(edit.remove.iter().copied());
        self.expected.extend(touched.map(|attribute| (attribute, before.item.get(attribute).cloned())));
        self.edit = edit;
        self
    }

    /// Expects the attribute to be as in `before`.
    #[must_use]
    pub fn expecting(mut self, attribute: &'static str, before: &Stored) -> Self {
        self.expected.push((attribute, before.item.get(attribute).cloned()));
        self
    }

    /// Adds strings to a set, whatever else is in it.
    #[must_use]
    pub fn adding(mut self, attribute: &'static str, texts: Vec<String>) -> Self {
        self.add.push((attribute, Field::Set(texts)));
        self
    }

    /// Takes strings out of a set, whatever else is in it.
    #[must_use]
    pub fn deleting(mut self, attribute: &'static str, texts: Vec<String>) -> Self {
        self.delete.push((attribute, Field::Set(texts)));
        self
    }

    /// Expects a string in a set.
    #[must_use]
    pub fn containing(mut self, attribute: &'static str, text: &str) -> Self {
        self.containing.push((attribute, text.to_owned()));
        self
    }

    /// The value of the key.
    pub(super) fn key(&self) -> AttributeValue {
        AttributeValue::S(self.name.to_string())
    }

    pub(super) fn expressions(&self) -> Expressions {
        let mut out = Expressions::default();
        let mut update = String::new();
        let mut clause = |word: &str, parts: Vec<String>| {
            if !parts.is_empty() {
                // Writing to a String cannot fail.
                let _ = write!(update, "{}{word} {}", if update.is_empty() { "" } else { " " }, parts.join(", "));
            }
        };
        let sets = self.edit.set.iter().map(|(a, field)| format!("{} = {}", out.name(a), out.value(field)));
        clause("SET", sets.collect());
        clause("REMOVE", self.edit.remove.iter().map(|a| out.name(a)).collect());
        let adds = self.add.iter().map(|(a, field)| format!("{} {}", out.name(a), out.value(field)));
        clause("ADD", adds.collect());
        let deletes = self.delete.iter().map(|(a, field)| format!("{} {}", out.name(a), out.value(field)));
        clause("DELETE", deletes.collect());
        let mut condition = format!("attribute_exists({})", out.name("Name"));
        for (attribute, value) in &self.expected {
            let name = out.name(attribute);
            let _ = match value {
                Some(value) => write!(condition, " AND {name} = {}", out.raw(value.clone())),
                None => write!(condition, " AND attribute_not_exists({name})"),
            };
        }
        for (attribute, text) in &self.containing {
            let (name, value) = (out.name(attribute), out.value(&Field::Text(text.clone())));
            let _ = write!(condition, " AND contains({name}, {value})");
        }
        out.update = update;
        out.condition = condition;
        out
    }
}

/// The expressions of a request. Attributes are always aliased: Name is a reserved word, and others may become one.
#[derive(Default)]
pub(super) struct Expressions {
    pub(super) update: String,
    pub(super) condition: String,
    names: RefCell<HashMap<String, String>>,
    values: RefCell<HashMap<String, AttributeValue>>,
}

impl Expressions {
    fn name(&self, attribute: &str) -> String {
        let alias = format!("#{}", attribute.to_ascii_lowercase());
        self.names.borrow_mut().insert(alias.clone(), attribute.to_owned());
        alias
    }

    fn value(&self, field: &Field) -> String {
        self.raw(encode::value(field))
    }

    fn raw(&self, value: AttributeValue) -> String {
        let mut values = self.values.borrow_mut();
        let alias = format!(":v{}", values.len());
        values.insert(alias.clone(), value);
        alias
    }

    pub(super) fn names(&self) -> Option<HashMap<String, String>> {
        Some(self.names.take())
    }

    /// DynamoDB does not take an empty map of values.
    pub(super) fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        Some(self.values.take()).filter(|values| !values.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Field {
        Field::Text(text.to_owned())
    }

    #[test]
    fn a_change_expects_what_it_touches_to_be_as_it_was_read() {
        let before = Stored::new(Table::Users, &[("Name", text("alice")), ("Shell", text("/bin/sh"))]);
        let edit = Edit { set: vec![("Shell", text("/bin/zsh"))], remove: vec!["Home"] };
        let change = Change::of(Table::Users, &Name::new("alice").unwrap()).edit(edit, &before);
        let expressions = change.expressions();
        assert_eq!(expressions.update, "SET #shell = :v0 REMOVE #home");
        assert_eq!(expressions.condition, "attribute_exists(#name) AND #shell = :v1 AND attribute_not_exists(#home)");
        let names = expressions.names().unwrap();
        assert_eq!((names.len(), names["#shell"].as_str(), names["#name"].as_str()), (3, "Shell", "Name"));
        assert_eq!(expressions.values().unwrap()[":v1"], AttributeValue::S("/bin/sh".to_owned()));
    }

    #[test]
    fn a_move_between_sets_is_one_request() {
        let line = || vec!["a key".to_owned()];
        let change = Change::of(Table::Users, &Name::new("alice").unwrap())
            .containing("SSHPublicKeys", "a key")
            .deleting("SSHPublicKeys", line())
            .adding("DisabledSSHPublicKeys", line());
        let expressions = change.expressions();
        assert_eq!(expressions.update, "ADD #disabledsshpublickeys :v0 DELETE #sshpublickeys :v1");
        assert_eq!(expressions.condition, "attribute_exists(#name) AND contains(#sshpublickeys, :v2)");
    }

    #[test]
    fn a_request_without_values_has_none() {
        let expressions = Change::of(Table::Users, &Name::new("alice").unwrap()).expressions();
        assert_eq!((expressions.update.as_str(), expressions.values()), ("", None));
    }
}
