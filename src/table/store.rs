//! Accounts into the tables: one conditional write an item, several at a time.
//!
//! An item that is there is never replaced unasked. When it is asked for, only the attributes that the record knows
//! are changed, so that what others keep in the item survives, and only if they are as they were just read.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use tokio::task::JoinSet;

use super::Tables;
use super::change::{Change, Edit, Stored};
use super::fault::{Act, is_throttled};
use super::item::encode::{self, Fields};
use super::item::{GROUP_ATTRIBUTES, USER_ATTRIBUTES};
use super::scan::{Item, jittered};
use crate::account::{Group, Name, User};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Table};

const STORE: Act = Act {
    what: "write to table",
    action: "dynamodb:PutItem and, to overwrite, dynamodb:UpdateItem",
    follows: "what is there stays",
};

/// Writes under way at a time: enough to hide the way to the region, too few to trouble a small table.
const AT_ONCE: usize = 16;

/// The attributes of a user that are in shadow(5).
const SHADOW: [&str; 7] = [
    "Password",
    "LastPasswordChangeDate",
    "PasswordAgeMinDays",
    "PasswordAgeMaxDays",
    "PasswordWarnDays",
    "PasswordDisableDays",
    "AccountExpireDate",
];

/// The attributes of a group that are in gshadow(5).
const GSHADOW: [&str; 2] = ["Password", "Administrators"];

/// An account on its way into a table.
#[derive(Clone, Debug)]
pub struct Record {
    table: Table,
    name: Name,
    fields: Fields,
    /// The attributes whose value is known, be it that there is none.
    known: Vec<&'static str>,
}

impl Record {
    /// A user. Without `shadow` nothing is known of its password and ageing, without `keys` nothing of its keys.
    #[must_use]
    pub fn user(user: &User, shadow: bool, keys: bool) -> Self {
        let known =
            |attribute: &&str| (shadow || !SHADOW.contains(attribute)) && (keys || *attribute != "SSHPublicKeys");
        let known: Vec<&str> = USER_ATTRIBUTES.into_iter().filter(known).collect();
        Self::new(Table::Users, &user.name, encode::of_user(user), known)
    }

    /// A group. Without `gshadow` nothing is known of its password and administrators.
    #[must_use]
    pub fn group(group: &Group, gshadow: bool) -> Self {
        let known = GROUP_ATTRIBUTES.into_iter().filter(|attribute| gshadow || !GSHADOW.contains(attribute)).collect();
        Self::new(Table::Groups, &group.name, encode::of_group(group), known)
    }

    fn new(table: Table, name: &Name, mut fields: Fields, known: Vec<&'static str>) -> Self {
        fields.retain(|(attribute, _)| known.contains(attribute));
        Self { table, name: name.clone(), fields, known }
    }

    /// The table that it belongs to.
    #[must_use]
    pub fn table(&self) -> Table {
        self.table
    }

    /// The account's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    pub(super) fn item(&self) -> Item {
        encode::item(&self.fields)
    }

    /// The known attributes that the item in the table has otherwise.
    fn differences(&self, there: &Item) -> Vec<&'static str> {
        let here = self.item();
        // An item without a password leaves its field and its date to the host, unless the host has a password.
        let is_left = self.table == Table::Users
            && there.get("Password").is_none()
            && matches!(here.get("Password"), Some(AttributeValue::S(text)) if text.bytes().all(|b| b"!*".contains(&b)));
        let differs = |attribute: &&'static str| match (*attribute, there.get(*attribute)) {
            ("Password" | "LastPasswordChangeDate", None) if is_left => false,
            (attribute, value) => !same(here.get(attribute), value),
        };
        self.known.iter().copied().filter(differs).collect()
    }

    fn compare(&self, there: Option<&Item>) -> Outcome {
        match there.map(|item| self.differences(item)) {
            None => Outcome::Added,
            Some(differences) if differences.is_empty() => Outcome::Same,
            Some(differences) => Outcome::Differs(differences),
        }
    }
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The table had no item of that name.
    Added,
    /// The table had the same.
    Same,
    /// These attributes of the item were changed.
    Changed(Vec<&'static str>),
    /// The item is there with other values of these attributes, and was left as it is.
    Differs(Vec<&'static str>),
    /// Somebody else changed the item while these attributes were to be changed, and nothing was.
    Conflict(Vec<&'static str>),
    /// The table did not take it; one line, without a value.
    Failed(String),
}

impl Tables {
    /// Writes each record, telling `progress` how many are done, and says what became of each.
    ///
    /// # Errors
    /// When a table is missing, denied or cannot be reached. What was written until then stays.
    pub async fn store(
        &self,
        records: &[Record],
        overwrite: bool,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<Outcome>, Error> {
        let mut stored: Vec<Option<Outcome>> = records.iter().map(|_| None).collect();
        let mut waiting: VecDeque<usize> = (0..records.len()).collect();
        let mut running = JoinSet::new();
        let mut done = 0;
        loop {
            while running.len() < AT_ONCE
                && let Some(index) = waiting.pop_front()
            {
                let record = records[index].clone();
                let writer = Writer {
                    client: self.client.clone(),
                    table: self.name_of(record.table).to_owned(),
                    pauses: self.patience.throttled_pauses.clone(),
                };
                running.spawn(async move { (index, writer.store(&record, overwrite).await) });
            }
            let Some(joined) = running.join_next().await else { break };
            let (index, outcome) =
                joined.map_err(|e| Error::new(ErrorKind::Internal, format!("a write stopped in the middle: {e}")))?;
            let record = &records[index];
            stored[index] = Some(match outcome {
                Ok(stored) => stored,
                Err(fault) => self.fault(record, &fault, done)?,
            });
            done += 1;
            progress(done);
        }
        Ok(stored.into_iter().map(|s| s.unwrap_or(Outcome::Failed("not tried".to_owned()))).collect())
    }

    /// What [`store`](Self::store) would find, by a scan of both tables.
    ///
    /// # Errors
    /// As [`scan`](Self::scan).
    pub async fn compare(&self, config: &Config, records: &[Record], overwrite: bool) -> Result<Vec<Outcome>, Error> {
        let mut there: HashMap<(Table, String), Item> = HashMap::new();
        let wanted: std::collections::HashSet<(Table, &str)> =
            records.iter().map(|record| (record.table, record.name())).collect();
        self.items(config, &super::READ, |table, item| {
            if let Some(AttributeValue::S(name)) = item.get("Name")
                && wanted.contains(&(table, name.as_str()))
            {
                there.insert((table, name.clone()), item.clone());
            }
        })
        .await?;
        let outcome = |record: &Record| match record.compare(there.get(&(record.table, record.name.to_string()))) {
            Outcome::Differs(attributes) if overwrite => Outcome::Changed(attributes),
            other => other,
        };
        Ok(records.iter().map(outcome).collect())
    }

    /// One item's trouble, or an error when it is everybody's.
    fn fault(&self, record: &Record, fault: &Fault, done: usize) -> Result<Outcome, Error> {
        let doing = self.doing(&STORE, record.table);
        let ((kind, why), code) = match fault {
            Fault::Put(error) => (doing.why(error), error.code()),
            Fault::Update(error) => (doing.why(error), error.code()),
        };
        // A table without the key Name answers so, too; but then to everybody, and it is said for each.
        if code == Some("ValidationException") {
            return Ok(Outcome::Failed(why));
        }
        let error = doing.error(kind, &why);
        let (noun, name) = (record.table.noun(), &record.name);
        Err(Error::new(kind, format!("{noun} {name}: {error}; {done} items were done before")))
    }
}

enum Fault {
    Put(SdkError<PutItemError>),
    Update(SdkError<UpdateItemError>),
}

/// What one write needs.
struct Writer {
    client: Client,
    table: String,
    pauses: Vec<Duration>,
}

impl Writer {
    async fn store(&self, record: &Record, overwrite: bool) -> Result<Outcome, Fault> {
        let mut pauses = self.pauses.iter();
        loop {
            match self.try_store(record, overwrite).await {
                Err(Fault::Put(error)) if must_wait(&error) => match pauses.next() {
                    Some(pause) => tokio::time::sleep(jittered(*pause)).await,
                    None => return Err(Fault::Put(error)),
                },
                Err(Fault::Update(error)) if must_wait(&error) => match pauses.next() {
                    Some(pause) => tokio::time::sleep(jittered(*pause)).await,
                    None => return Err(Fault::Update(error)),
                },
                other => return other,
            }
        }
    }

    async fn try_store(&self, record: &Record, overwrite: bool) -> Result<Outcome, Fault> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(record.item()))
            .condition_expression("attribute_not_exists(#name)")
            .expression_attribute_names("#name", "Name")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let there = match put.send().await {
            Ok(_) => return Ok(Outcome::Added),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    failed.item().cloned().unwrap_or_default()
                }
                _ => return Err(Fault::Put(error)),
            },
        };
        match record.compare(Some(&there)) {
            Outcome::Differs(attributes) if overwrite => self.update(record, attributes, there).await,
            other => Ok(other),
        }
    }

    /// Changes these attributes and no other, if they are still as they were `there`.
    async fn update(&self, record: &Record, attributes: Vec<&'static str>, there: Item) -> Result<Outcome, Fault> {
        let set: Fields =
            record.fields.iter().filter(|(attribute, _)| attributes.contains(attribute)).cloned().collect();
        let has = |attribute: &&'static str| set.iter().any(|(known, _)| known == attribute);
        let remove = attributes.iter().copied().filter(|attribute| !has(attribute)).collect();
        let before = Stored { table: record.table, item: there };
        let change = Change::of(record.table, &record.name).edit(Edit { set, remove }, &before);
        let expressions = change.expressions();
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("Name", change.key())
            .update_expression(&expressions.update)
            .condition_expression(&expressions.condition)
            .set_expression_attribute_values(expressions.values())
            .set_expression_attribute_names(expressions.names())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match update.send().await {
            Ok(_) => Ok(Outcome::Changed(attributes)),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    let now = failed.item().cloned().unwrap_or_default();
                    let left = record.differences(&now);
                    // An answer that was lost and asked for again is no conflict.
                    let is_done = !attributes.iter().any(|attribute| left.contains(attribute));
                    Ok(if is_done { Outcome::Changed(attributes) } else { Outcome::Conflict(attributes) })
                }
                _ => Err(Fault::Update(error)),
            },
        }
    }
}

/// Whether the table asked for patience, or a transaction is at the item.
fn must_wait<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    is_throttled(error) || error.code() == Some("TransactionConflictException")
}

/// Whether two values mean the same: sets have no order, and `NULL` and an empty text are as good as nothing.
fn same(one: Option<&AttributeValue>, other: Option<&AttributeValue>) -> bool {
    let something = |value: &&AttributeValue| match value {
        AttributeValue::Null(_) => false,
        AttributeValue::S(text) => !text.is_empty(),
        _ => true,
    };
    match (one.filter(something), other.filter(something)) {
        (None, None) => true,
        (Some(AttributeValue::Ss(one)), Some(AttributeValue::Ss(other))) => {
            one.len() == other.len() && one.iter().all(|text| other.contains(text))
        }
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}
