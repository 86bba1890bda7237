//! The tables: the only code that speaks to AWS.
//!
//! [`Tables`] scans both tables, or fails; [`snapshot::read`] takes the same items from files. Both end in a [`Scan`]:
//! the well-formed accounts, and what was refused.

mod change;
mod client;
mod credentials;
pub mod edit;
mod fault;
mod identity;
pub mod ids;
pub mod item;
mod limit;
mod names;
pub mod policy;
mod scan;
pub mod schema;
pub mod snapshot;
mod store;
mod tls;

use aws_sdk_dynamodb::Client;

use crate::account::{Accounts, Day, Group, User};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Rejection, Table};
use fault::{Act, Doing};
use item::Defaults;
use scan::{Item, Tally, What};

pub use client::Patience;
pub use identity::caller;
pub use item::view::{Attribute, Watched};
pub use snapshot::Document;
pub use store::{Outcome, Record};

/// All items of a table, for whoever leaves the host alone.
const READ: Act = Act { what: "scan table", action: "dynamodb:Scan", follows: "nothing was written" };

/// The two tables, and a client for them.
///
/// Made anew for each update: the SDK remembers credentials that failed or were revoked for as long as they would
/// have lasted.
#[derive(Debug)]
pub struct Tables {
    client: Client,
    region: String,
    patience: Patience,
    users: String,
    groups: String,
    role: Option<String>,
}

/// What the tables say, whole.
#[derive(Debug)]
pub struct Scan {
    /// The well-formed accounts.
    pub accounts: Accounts,
    /// What was refused: items, and single keys. In order of table and name.
    pub rejections: Vec<Rejection>,
    /// Items seen in the Users table, the refused ones too.
    pub users: usize,
    /// Items seen in the Groups table, the refused ones too.
    pub groups: usize,
    /// Pages read; 0 when the items came from files.
    pub pages: usize,
    /// Read capacity units that the pages cost.
    pub consumed_capacity: f64,
    /// Where the items came from, such as `tables Users and Groups in us-east-1`.
    pub source: String,
    /// The items of the name that was watched, the refused ones too.
    pub watched: Vec<Watched>,
}

impl Tables {
    /// Finds region and credentials as `config` and the environment have them. DynamoDB is asked by [`scan`](Self::scan).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when what was found makes no client: a region or an endpoint that is none, half a key.
    pub async fn connect(config: &Config) -> Result<Self, Error> {
        Self::connect_with(config, Patience::default()).await
    }

    /// The same, with other limits on waiting.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_with(config: &Config, patience: Patience) -> Result<Self, Error> {
        let (client, region) = client::connect(config, &patience).await?;
        Ok(Self {
            client,
            region,
            patience,
            users: config.user_table_name.clone(),
            groups: config.group_table_name.clone(),
            role: config.assume_role_arn.clone(),
        })
    }

    /// The region of the tables.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Reads both tables to their ends. The names of the tables, `consistent_read` and `user_defaults` come from
    /// `config`; `today` tells which dates are in the future.
    ///
    /// # Errors
    /// [`ErrorKind::Table`] when a table is missing or denied, when credentials are missing or refused, or when an
    /// answer is not what a table holds; [`ErrorKind::Unreachable`] when waiting may help. Half a table is never used.
    pub async fn scan(&self, config: &Config, today: Day) -> Result<Scan, Error> {
        self.scan_watching(config, today, None).await
    }

    /// The same, with the items of one name shown.
    ///
    /// # Errors
    /// As [`scan`](Self::scan).
    pub async fn scan_watching(&self, config: &Config, today: Day, name: Option<&str>) -> Result<Scan, Error> {
        let mut collection = Collection::new(&config.user_defaults, today, name);
        let tally = self.items(config, &Act::SCAN, |table, item| collection.add(table, item)).await?;
        let source = format!("tables {} and {} in {}", self.users, self.groups, self.region);
        Ok(collection.finish(tally, source))
    }

    /// Both tables to their ends, as documents that [`snapshot::read`] takes.
    ///
    /// # Errors
    /// As [`scan`](Self::scan).
    pub async fn documents(&self, config: &Config) -> Result<[Document; 2], Error> {
        let mut documents = [Document::default(), Document::default()];
        let [users, groups] = &mut documents;
        self.items(config, &READ, |table, item| match table {
            Table::Users => users.add(item),
            Table::Groups => groups.add(item),
        })
        .await?;
        Ok(documents)
    }

    /// Hands every item of both tables to `each`; on an error, what `each` was given must be thrown away.
    async fn items(&self, config: &Config, act: &Act, mut each: impl FnMut(Table, &Item)) -> Result<Tally, Error> {
        let limit = self.patience.scan;
        match tokio::time::timeout(limit, self.items_of_both(config, act, &mut each)).await {
            Ok(result) => result,
            Err(_) => {
                let message = format!("the tables were not read within {limit:?}; {}", act.follows);
                Err(Error::new(ErrorKind::Unreachable, message))
            }
        }
    }

    async fn items_of_both(
        &self,
        config: &Config,
        act: &Act,
        each: &mut impl FnMut(Table, &Item),
    ) -> Result<Tally, Error> {
        let what = What { consistent: config.consistent_read, attributes: &[] };
        let mut tally = Tally::default();
        // One after the other: at the same time they would need two pages of memory and twice the read capacity at once.
        for table in [Table::Users, Table::Groups] {
            let doing = self.doing(act, table);
            let each = |item: &Item| each(table, item);
            scan::scan(&self.client, &doing, &what, &self.patience, &mut tally, each).await?;
        }
        Ok(tally)
    }

    /// The name that the configuration gives a table.
    #[must_use]
    pub fn name_of(&self, table: Table) -> &str {
        match table {
            Table::Users => &self.users,
            Table::Groups => &self.groups,
        }
    }

    fn doing<'a>(&'a self, act: &'a Act, table: Table) -> Doing<'a> {
        let key = match table {
            Table::Users => "user_table_name",
            Table::Groups => "group_table_name",
        };
        Doing { act, table: self.name_of(table), key, region: &self.region, role: self.role.as_deref() }
    }
}

/// Turns items into accounts one by one, so that none outlives its page.
struct Collection<'a> {
    defaults: &'a Defaults,
    today: Day,
    users: Vec<User>,
    groups: Vec<Group>,
    rejections: Vec<Rejection>,
    users_seen: usize,
    groups_seen: usize,
    /// The name whose items are shown.
    name: Option<&'a str>,
    watched: Vec<Watched>,
}

impl<'a> Collection<'a> {
    fn new(defaults: &'a Defaults, today: Day, name: Option<&'a str>) -> Self {
        Self {
            defaults,
            today,
            users: Vec::new(),
            groups: Vec::new(),
            rejections: Vec::new(),
            users_seen: 0,
            groups_seen: 0,
            name,
            watched: Vec::new(),
        }
    }

    fn add(&mut self, table: Table, item: &Item) {
        if let Some(name) = self.name
            && item.get("Name").and_then(|value| value.as_s().ok()).is_some_and(|text| text == name)
        {
            self.watched.push(Watched::new(table, item, self.defaults));
        }
        match table {
            Table::Users => self.user(item),
            Table::Groups => self.group(item),
        }
    }

    fn user(&mut self, item: &Item) {
        self.users_seen += 1;
        match item::user(item, self.defaults, self.today) {
            Ok((user, mut bad_keys)) => {
                self.users.push(user);
                self.rejections.append(&mut bad_keys);
            }
            Err(rejection) => self.rejections.push(rejection),
        }
    }

    fn group(&mut self, item: &Item) {
        self.groups_seen += 1;
        match item::group(item) {
            Ok(group) => self.groups.push(group),
            Err(rejection) => self.rejections.push(rejection),
        }
    }

    fn finish(mut self, tally: Tally, source: String) -> Scan {
        let accounts = Accounts::new(self.users, self.groups, &mut self.rejections);
        self.rejections.sort_unstable();
        Scan {
            accounts,
            rejections: self.rejections,
            users: self.users_seen,
            groups: self.groups_seen,
            pages: tally.pages,
            consumed_capacity: tally.consumed_capacity,
            source,
            watched: self.watched,
        }
    }
}
