//! The tables themselves: made, and described.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, ContinuousBackupsStatus, KeySchemaElement, KeyType,
    PointInTimeRecoverySpecification, PointInTimeRecoveryStatus, ScalarAttributeType, TableDescription, TableStatus,
    Tag,
};

use super::Tables;
use super::edit::NOTHING_WRITTEN;
use super::fault::Act;
use crate::error::{Error, ErrorKind, Table};

const DESCRIBE: Act = Act { what: "describe table", action: "dynamodb:DescribeTable", follows: NOTHING_WRITTEN };
const CREATE: Act = Act { what: "create table", action: "dynamodb:CreateTable", follows: NOTHING_WRITTEN };
const BACKUPS: Act = Act {
    what: "turn on point-in-time recovery of table",
    action: "dynamodb:UpdateContinuousBackups",
    follows: "the table is there without it",
};

/// How a table is.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// `ACTIVE`, when it can be used.
    pub status: String,
    /// How many items it had when DynamoDB last counted, every six hours or so.
    pub items: u64,
    /// How long they were together, in bytes.
    pub bytes: u64,
    /// Billed by request, not by provisioned capacity.
    pub on_demand: bool,
    /// Cannot be deleted.
    pub protected: bool,
    /// Why hosts cannot use it.
    pub fault: Option<String>,
}

impl Description {
    /// Whether it can be used.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status == TableStatus::Active.as_str()
    }

    /// Read units that a full scan costs: one for 4 KB, half of that when it need not see the latest writes.
    #[must_use]
    pub fn read_units(&self, consistent: bool) -> f64 {
        let blocks = self.bytes.div_ceil(4096).max(1);
        // A table has less than 2^52 blocks.
        let blocks = u32::try_from(blocks).map_or(f64::from(u32::MAX), f64::from);
        if consistent { blocks } else { blocks / 2.0 }
    }
}

impl Tables {
    /// How the table is; `None` when there is none.
    ///
    /// # Errors
    /// When DynamoDB does not say.
    pub async fn describe(&self, table: Table) -> Result<Option<Description>, Error> {
        match self.client.describe_table().table_name(self.name_of(table)).send().await {
            Ok(answer) => {
                let doing = self.doing(&DESCRIBE, table);
                let table = answer.table.ok_or_else(|| doing.error(ErrorKind::Table, "the answer has no table"))?;
                Ok(Some(description(&table)))
            }
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(self.doing(&DESCRIBE, table).fault(&error)),
        }
    }

    /// Makes the table, billed on demand. It takes some seconds until it is active. False when somebody else has just
    /// made it.
    ///
    /// # Errors
    /// When DynamoDB does not.
    pub async fn create(&self, table: Table, protected: bool, tags: &[(String, String)]) -> Result<bool, Error> {
        let doing = self.doing(&CREATE, table);
        let incomplete =
            |error: aws_sdk_dynamodb::error::BuildError| doing.error(ErrorKind::Internal, &error.to_string());
        let key = KeySchemaElement::builder().attribute_name("Name").key_type(KeyType::Hash);
        let attribute = AttributeDefinition::builder().attribute_name("Name").attribute_type(ScalarAttributeType::S);
        let mut request = self
            .client
            .create_table()
            .table_name(self.name_of(table))
            .billing_mode(BillingMode::PayPerRequest)
            .key_schema(key.build().map_err(incomplete)?)
            .attribute_definitions(attribute.build().map_err(incomplete)?)
            .deletion_protection_enabled(protected);
        for (key, value) in tags {
            request = request.tags(Tag::builder().key(key).value(value).build().map_err(incomplete)?);
        }
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("ResourceInUseException") => Ok(false),
            Err(error) => Err(doing.fault(&error)),
        }
    }

    /// Whether the table can be restored as it was at any moment of the last weeks; `None` when DynamoDB, or what
    /// stands in for it, does not say.
    pub async fn has_backups(&self, table: Table) -> Option<bool> {
        let answer = self.client.describe_continuous_backups().table_name(self.name_of(table)).send().await;
        let backups = answer.ok()?.continuous_backups_description?;
        let recovery = backups.point_in_time_recovery_description?.point_in_time_recovery_status?;
        Some(
            backups.continuous_backups_status == ContinuousBackupsStatus::Enabled
                && recovery == PointInTimeRecoveryStatus::Enabled,
        )
    }

    /// Turns point-in-time recovery on. False when it cannot be done yet: DynamoDB prepares a new table for it.
    ///
    /// # Errors
    /// When DynamoDB does not do it.
    pub async fn turn_on_backups(&self, table: Table) -> Result<bool, Error> {
        let doing = self.doing(&BACKUPS, table);
        let specification = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build();
        let specification = specification.map_err(|error| doing.error(ErrorKind::Internal, &error.to_string()))?;
        let request = self.client.update_continuous_backups().table_name(self.name_of(table));
        match request.point_in_time_recovery_specification(specification).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("ContinuousBackupsUnavailableException") => Ok(false),
            Err(error) => Err(doing.fault(&error)),
        }
    }
}

fn description(table: &TableDescription) -> Description {
    let billing = table.billing_mode_summary().and_then(|summary| summary.billing_mode());
    Description {
        status: table.table_status().map_or("unknown", TableStatus::as_str).to_owned(),
        items: table.item_count().and_then(|count| u64::try_from(count).ok()).unwrap_or(0),
        bytes: table.table_size_bytes().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
        on_demand: billing == Some(&BillingMode::PayPerRequest),
        protected: table.deletion_protection_enabled().unwrap_or(false),
        fault: fault(table),
    }
}

fn fault(table: &TableDescription) -> Option<String> {
    let keys: Vec<(&str, &KeyType)> =
        table.key_schema().iter().map(|key| (key.attribute_name(), key.key_type())).collect();
    let is_text = table
        .attribute_definitions()
        .iter()
        .any(|attribute| attribute.attribute_name() == "Name" && *attribute.attribute_type() == ScalarAttributeType::S);
    match keys[..] {
        [("Name", KeyType::Hash)] if is_text => None,
        _ => {
            let names: Vec<&str> = keys.iter().map(|(name, _)| *name).collect();
            Some(format!("its key must be the string \"Name\" alone, and is {}", names.join(", ")))
        }
    }
}
