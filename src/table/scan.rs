//! Every page of a table, or an error.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity, ReturnConsumedCapacity};

use super::client::Patience;
use super::fault::{Doing, is_throttled};
use crate::error::{Error, ErrorKind};

/// An item as DynamoDB gives it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// Items in a page. A page of 1 MB would hold 2,000 to 5,000 and cost 0.1 % less, at half as much memory again.
const PAGE: i32 = 1000;

/// As many pages in a row may come without an item. Without a filter there is hardly ever one.
const MOST_HOLLOW: usize = 100;

/// What a scan reads.
pub(super) struct What<'a> {
    /// Strongly consistent: all that was written before is there.
    pub consistent: bool,
    /// The attributes; all of them when none is named. It costs the same.
    pub attributes: &'a [&'a str],
}

/// What a scan took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub pages: usize,
    pub consumed_capacity: f64,
}

/// Hands every item of the table to `each`, page by page, so that no more than one page is in memory.
///
/// Not the SDK's paginator: it ends without an error when a key comes twice, and half a table would pass for a whole.
///
/// # Errors
/// When a page cannot be had, or cannot be what the table holds. What `each` was given must then be thrown away.
pub(super) async fn scan(
    client: &Client,
    doing: &Doing<'_>,
    what: &What<'_>,
    patience: &Patience,
    tally: &mut Tally,
    mut each: impl FnMut(&Item),
) -> Result<(), Error> {
    let mut start = None;
    let (mut keys, mut hollow) = (BTreeSet::new(), 0);
    loop {
        let page = page(client, doing, what, start.take(), patience).await?;
        tally.pages += 1;
        tally.consumed_capacity += page.consumed_capacity().and_then(ConsumedCapacity::capacity_units).unwrap_or(0.0);
        // An answer of "{}" has the SDK's blessing too.
        let Some(items) = page.items else {
            return Err(doing.error(ErrorKind::Table, "a page came without items"));
        };
        if usize::try_from(page.count) != Ok(items.len()) {
            let why = format!("a page came with {} items and says {}", items.len(), page.count);
            return Err(doing.error(ErrorKind::Table, &why));
        }
        hollow = if items.is_empty() { hollow + 1 } else { 0 };
        if hollow > MOST_HOLLOW {
            let why = format!("{hollow} pages in a row came without an item");
            return Err(doing.error(ErrorKind::Table, &why));
        }
        for item in items {
            each(&item);
        }
        match page.last_evaluated_key.filter(|key| !key.is_empty()) {
            None => return Ok(()),
            Some(key) => {
                if !keys.insert(digest(&key)) {
                    return Err(doing.error(ErrorKind::Table, "the same page came twice"));
                }
                start = Some(key);
            }
        }
    }
}

/// One page. The SDK retries it; only throttling is given more time here.
async fn page(
    client: &Client,
    doing: &Doing<'_>,
    what: &What<'_>,
    start: Option<Item>,
    patience: &Patience,
) -> Result<ScanOutput, Error> {
    let (projection, names) = projection(what.attributes);
    let request = client
        .scan()
        .table_name(doing.table)
        .set_projection_expression(projection)
        .set_expression_attribute_names(names)
        .consistent_read(what.consistent)
        .limit(PAGE)
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .set_exclusive_start_key(start);
    let mut pauses = patience.throttled_pauses.iter();
    loop {
        match request.clone().send().await {
            Ok(page) => return Ok(page),
            Err(error) if is_throttled(&error) => match pauses.next() {
                Some(pause) => tokio::time::sleep(jittered(*pause)).await,
                None => return Err(doing.fault(&error)),
            },
            Err(error) => return Err(doing.fault(&error)),
        }
    }
}

/// The expression that reads these attributes, and the names in it: Name is a reserved word, and others may become one.
pub(super) fn projection(attributes: &[&str]) -> (Option<String>, Option<HashMap<String, String>>) {
    if attributes.is_empty() {
        return (None, None);
    }
    let names = (0..).zip(attributes).map(|(place, attribute)| (format!("#a{place}"), (*attribute).to_owned()));
    let names: BTreeMap<String, String> = names.collect();
    let expression = names.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    (Some(expression), Some(names.into_iter().collect()))
}

/// Three to five quarters of `pause`, so that hosts that were throttled together do not come back together.
pub(super) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.75 + 0.5 * fastrand::f64())
}

/// A key in a form that can be compared, and is short: whoever sends pages without end sends their keys too. `Debug` is
/// no format to store, but it does not change within one scan.
fn digest(key: &Item) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{:?}", key.iter().collect::<BTreeMap<_, _>>()).hash(&mut hasher);
    hasher.finish()
}
