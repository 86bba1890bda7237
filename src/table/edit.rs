//! Writing items: one at a time or several as one, each only where it is as the writer last saw it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnValue, TransactWriteItem, Update};

use super::fault::Act;
use super::item::encode::{self, Field, Fields};
use super::item::{self, Defaults};
use super::scan::{Item, projection};
use super::{Collection, Scan, Tables, scan};
use crate::account::{Day, Group, Name, User};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Rejection, Table};

/// What a failed read before a write leaves behind.
pub(super) const NOTHING_WRITTEN: &str = "nothing was written";
/// What a failed write leaves behind: an answer that was lost may have been a yes.
const PERHAPS_WRITTEN: &str = "look before you try again: it may have been written";

const GET: Act = Act { what: "read an item of table", action: "dynamodb:GetItem", follows: NOTHING_WRITTEN };
const READ: Act = Act { what: "read table", action: "dynamodb:Scan", follows: NOTHING_WRITTEN };
const PUT: Act = Act { what: "add to table", action: "dynamodb:PutItem", follows: PERHAPS_WRITTEN };
const UPDATE: Act = Act { what: "change an item of table", action: "dynamodb:UpdateItem", follows: PERHAPS_WRITTEN };
const DELETE: Act = Act { what: "delete from table", action: "dynamodb:DeleteItem", follows: PERHAPS_WRITTEN };

/// How often a write is tried that met another transaction's, and how long is waited between, at most.
const MEETINGS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(250);

/// An item, or a part of one, as it is or is to be stored.
#[derive(Clone, PartialEq)]
pub struct Stored {
    table: Table,
    item: Item,
}

// Not derived: it may hold a password hash.
impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

/// How a write ended that DynamoDB answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// All of it is stored.
    Done,
    /// Nothing is: the item at this place among those to be written is not as was expected.
    Conflict(usize),
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
    table: Table,
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

    fn key(&self) -> AttributeValue {
        AttributeValue::S(self.name.to_string())
    }

    fn expressions(&self) -> Expressions {
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
struct Expressions {
    update: String,
    condition: String,
    names: std::cell::RefCell<HashMap<String, String>>,
    values: std::cell::RefCell<HashMap<String, AttributeValue>>,
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

    fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        Some(self.values.take()).filter(|values| !values.is_empty())
    }
}

impl Tables {
    /// All items of one table, as an update of a host reads them; the other table counts as empty.
    ///
    /// # Errors
    /// When the table cannot be read completely.
    pub async fn read(&self, table: Table, config: &Config, today: Day) -> Result<Scan, Error> {
        let what = scan::What { consistent: true, attributes: &[] };
        let mut tally = scan::Tally::default();
        let mut collection = Collection::new(&config.user_defaults, today, None);
        let doing = self.doing(&READ, table);
        let each = |item: &Item| collection.add(table, item);
        scan::scan(&self.client, &doing, &what, &self.patience, &mut tally, each).await?;
        Ok(collection.finish(tally, format!("table {} in {}", self.name_of(table), self.region)))
    }

    /// One item as it is now, or those of its attributes that are named (Name is always read).
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn item(&self, table: Table, name: &Name, attributes: &[&str]) -> Result<Option<Stored>, Error> {
        let mut named = attributes.to_vec();
        if !named.is_empty() && !named.contains(&"Name") {
            named.push("Name");
        }
        let (projection, names) = projection(&named);
        let answer = self
            .client
            .get_item()
            .table_name(self.name_of(table))
            .key("Name", AttributeValue::S(name.to_string()))
            .consistent_read(true)
            .set_projection_expression(projection)
            .set_expression_attribute_names(names)
            .send()
            .await
            .map_err(|error| self.doing(&GET, table).fault(&error))?;
        Ok(answer.item.map(|item| Stored { table, item }))
    }

    /// Adds items that are not there yet and makes changes of others, all or nothing. A conflict is counted in that
    /// order: `new` first.
    ///
    /// A transaction even for one item: it has a token, so that a repeated request whose first answer was lost is not
    /// taken for a conflict with oneself.
    ///
    /// # Errors
    /// When DynamoDB did not answer, or not with yes or no.
    pub async fn add(&self, new: &[Stored], changes: &[Change]) -> Result<Written, Error> {
        let mut request = self.client.transact_write_items();
        for stored in new {
            let put = Put::builder()
                .table_name(self.name_of(stored.table))
                .set_item(Some(stored.item.clone()))
                .condition_expression("attribute_not_exists(#name)")
                .expression_attribute_names("#name", "Name");
            let put = put.build().map_err(|error| incomplete(&error))?;
            request = request.transact_items(TransactWriteItem::builder().put(put).build());
        }
        for change in changes {
            let expressions = change.expressions();
            let update = Update::builder()
                .table_name(self.name_of(change.table))
                .key("Name", change.key())
                .update_expression(&expressions.update)
                .condition_expression(&expressions.condition)
                .set_expression_attribute_values(expressions.values())
                .set_expression_attribute_names(Some(expressions.names.take()));
            let update = update.build().map_err(|error| incomplete(&error))?;
            request = request.transact_items(TransactWriteItem::builder().update(update).build());
        }
        let (act, table) = match new.first() {
            Some(stored) => (&PUT, stored.table),
            None => (&UPDATE, changes.first().map_or(Table::Users, |change| change.table)),
        };
        for _ in 0..MEETINGS {
            match request.clone().send().await {
                Ok(_) => return Ok(Written::Done),
                Err(error) => match cancelled_by(&error) {
                    Some(Cancelled::Condition(place)) => return Ok(Written::Conflict(place)),
                    Some(Cancelled::Meeting) => pause().await,
                    None => return Err(self.doing(act, table).fault(&error)),
                },
            }
        }
        let why = "other writers are at the same items again and again";
        Err(self.doing(act, table).error(ErrorKind::Unreachable, why))
    }

    /// Changes one item.
    ///
    /// # Errors
    /// When DynamoDB did not answer, or not with yes or no.
    pub async fn change(&self, change: &Change) -> Result<Written, Error> {
        let expressions = change.expressions();
        let request = self
            .client
            .update_item()
            .table_name(self.name_of(change.table))
            .key("Name", change.key())
            .update_expression(&expressions.update)
            .condition_expression(&expressions.condition)
            .set_expression_attribute_values(expressions.values())
            .set_expression_attribute_names(Some(expressions.names.take()))
            // Never more: who may change nothing but his keys may see nothing else.
            .return_values(ReturnValue::UpdatedNew);
        let doing = self.doing(&UPDATE, change.table);
        for _ in 0..MEETINGS {
            match request.clone().send().await {
                Ok(_) => return Ok(Written::Done),
                Err(error) if code(&error) == Some("ConditionalCheckFailedException") => {
                    return Ok(Written::Conflict(0));
                }
                Err(error) if code(&error) == Some("TransactionConflictException") => pause().await,
                Err(error) => return Err(doing.fault(&error)),
            }
        }
        Err(doing.error(ErrorKind::Unreachable, "other writers are at the same item again and again"))
    }

    /// Deletes an item, if these attributes are still as they were.
    ///
    /// # Errors
    /// When DynamoDB did not answer, or not with yes or no.
    pub async fn delete(&self, name: &Name, before: &Stored, attributes: &[&'static str]) -> Result<Written, Error> {
        let change = attributes
            .iter()
            .fold(Change::of(before.table, name), |change, attribute| change.expecting(attribute, before));
        let expressions = change.expressions();
        let request = self
            .client
            .delete_item()
            .table_name(self.name_of(before.table))
            .key("Name", change.key())
            .condition_expression(&expressions.condition)
            .set_expression_attribute_values(expressions.values())
            .set_expression_attribute_names(Some(expressions.names.take()));
        match request.send().await {
            Ok(_) => Ok(Written::Done),
            Err(error) if code(&error) == Some("ConditionalCheckFailedException") => Ok(Written::Conflict(0)),
            Err(error) => Err(self.doing(&DELETE, before.table).fault(&error)),
        }
    }
}

/// Less than a third of a second, so that two who met do not meet again.
pub(super) async fn pause() {
    tokio::time::sleep(PAUSE.mul_f64(fastrand::f64())).await;
}

fn incomplete(error: &dyn std::error::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("cannot write such a request: {error}"))
}

fn code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    match error {
        SdkError::ServiceError(context) => context.err().code(),
        _ => None,
    }
}

enum Cancelled {
    /// The condition of the item at this place did not hold.
    Condition(usize),
    /// Another transaction was at one of the items.
    Meeting,
}

fn cancelled_by(error: &SdkError<TransactWriteItemsError, HttpResponse>) -> Option<Cancelled> {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error.as_service_error()? else {
        return None;
    };
    let codes: Vec<&str> = cancelled.cancellation_reasons().iter().map(|why| why.code().unwrap_or_default()).collect();
    match codes.iter().position(|code| *code == "ConditionalCheckFailed") {
        Some(place) => Some(Cancelled::Condition(place)),
        None => codes.contains(&"TransactionConflict").then_some(Cancelled::Meeting),
    }
}
