//! Writing items: one at a time or several as one, each only where it is as the writer last saw it.

use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnValue, TransactWriteItem, Update};

use super::fault::{Act, Doing};
use super::scan::{Item, projection};
use super::{Collection, Scan, Tables, scan};
use crate::account::{Day, Name};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Table};

pub use super::change::{Change, Edit, Stored};

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

/// How a write ended that DynamoDB answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// All of it is stored.
    Done,
    /// Nothing is: the item at this place among those to be written is not as was expected.
    Conflict(usize),
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
                .set_expression_attribute_names(expressions.names());
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
                    None => return Err(not_done(&self.doing(act, table), &error)),
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
            .set_expression_attribute_names(expressions.names())
            // Never more: who may change nothing but his keys may see nothing else.
            .return_values(ReturnValue::UpdatedNew);
        settled(&self.doing(&UPDATE, change.table), async || request.clone().send().await).await
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
            .set_expression_attribute_names(expressions.names());
        settled(&self.doing(&DELETE, before.table), async || request.clone().send().await).await
    }
}

/// Sends the write of one item until nobody else is at it.
async fn settled<T, E: std::error::Error + ProvideErrorMetadata + 'static>(
    doing: &Doing<'_>,
    send: impl AsyncFn() -> Result<T, SdkError<E, HttpResponse>>,
) -> Result<Written, Error> {
    for _ in 0..MEETINGS {
        match send().await {
            Ok(_) => return Ok(Written::Done),
            Err(error) if code(&error) == Some("ConditionalCheckFailedException") => return Ok(Written::Conflict(0)),
            Err(error) if code(&error) == Some("TransactionConflictException") => pause().await,
            Err(error) => return Err(not_done(doing, &error)),
        }
    }
    Err(doing.error(ErrorKind::Unreachable, "other writers are at the same item again and again"))
}

/// Less than a third of a second, so that two who met do not meet again.
pub(super) async fn pause() {
    tokio::time::sleep(PAUSE.mul_f64(fastrand::f64())).await;
}

/// A write that did not come about. Only what is no answer leaves open whether it did: a lost one may have been a yes.
fn not_done<E>(doing: &Doing<'_>, error: &SdkError<E, HttpResponse>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let (kind, why) = doing.why(error);
    if kind == ErrorKind::Unreachable {
        return doing.error(kind, &why);
    }
    let act = Act { follows: NOTHING_WRITTEN, ..*doing.act };
    Doing { act: &act, ..*doing }.error(kind, &why)
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
