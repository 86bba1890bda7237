//! `ddum export`: the accounts of this host to the tables or to files, or the tables to files.

mod accounts;

use serde::Serialize;

use super::{configuration, say};
use crate::cli::{Export, Options, Target};
use crate::config::{Config, Verbosity};
use crate::error::{Error, ErrorKind, Table, exit, printable};
use crate::host;
use crate::merge::{Change, Refusal};
use crate::table::{Document, Outcome, Record, Tables};
use accounts::records;

/// What an export did, or in a dry run would do.
#[derive(Debug, Default)]
struct Report {
    changes: Vec<Change>,
    /// Accounts that the table has as they are here.
    unchanged: Vec<String>,
    refusals: Vec<Refusal>,
    notes: Vec<String>,
    /// Where it went.
    target: String,
}

/// Runs the command and gives the exit status: [`exit::REFUSED`] when an account was not exported whole.
///
/// # Errors
/// When the accounts cannot be read, or nothing more can be written.
pub async fn run(options: &Options, export: &Export) -> Result<u8, Error> {
    let quiet = options.verbosity == Verbosity::Quiet;
    let mut report = match &export.to_files {
        Some(targets) if export.from_tables => snapshot(options, export, targets).await?,
        Some(targets) => to_files(options, export, targets)?,
        None => to_tables(options, export, quiet).await?,
    };
    report.refusals.sort();
    for note in &report.notes {
        log::warn!("{note}");
    }
    let holds_data = export.to_files.as_ref().is_some_and(|targets| targets.contains(&Target::Stdout));
    if export.json {
        say::lines([report.to_json(export.dry_run)])?;
    } else if holds_data {
        // Standard output is a table now.
        for refusal in &report.refusals {
            log::warn!("{refusal}");
        }
    } else if !quiet {
        let unchanged = report.unchanged.iter().filter(|_| options.verbosity == Verbosity::Verbose);
        let changes = report.changes.iter().map(ToString::to_string);
        let unchanged = unchanged.map(|name| format!("= {name}: as the table has it"));
        say::lines(changes.chain(unchanged).chain(report.refusals.iter().map(ToString::to_string)))?;
    }
    log::info!("{}", report.summary(export.dry_run));
    Ok(if report.refusals.is_empty() { exit::DONE } else { exit::REFUSED })
}

/// The configuration with what the command line says otherwise.
fn config(options: &Options, export: &Export) -> Result<Config, Error> {
    let (mut config, warnings) = configuration::load_if_there(options)?;
    for warning in &warnings {
        log::warn!("{warning}");
    }
    let set = |setting: &mut String, value: &Option<String>| {
        if let Some(value) = value {
            setting.clone_from(value);
        }
    };
    set(&mut config.user_table_name, &export.user_table);
    set(&mut config.group_table_name, &export.group_table);
    config.aws_region = export.region.clone().or(config.aws_region);
    if export.profile.is_some() {
        // Who names a profile means its credentials, not those of the configuration.
        (config.aws_access_key, config.aws_secret_key, config.aws_session_token) = (None, None, None);
        config.aws_profile.clone_from(&export.profile);
    }
    if config.user_table_name == config.group_table_name {
        let table = printable(&config.user_table_name);
        let message = format!("\"{table}\" cannot be both the Users and the Groups table");
        return Err(Error::new(ErrorKind::Usage, message));
    }
    Ok(config)
}

async fn snapshot(options: &Options, export: &Export, targets: &[Target; 2]) -> Result<Report, Error> {
    let config = config(options, export)?;
    let tables = Tables::connect(&config).await?;
    let documents = tables.documents(&config).await?;
    let target = format!(
        "{} of tables {} and {} in {}",
        counted(&documents),
        config.user_table_name,
        config.group_table_name,
        tables.region()
    );
    write(documents, targets, export.dry_run)?;
    Ok(Report { target, ..Report::default() })
}

fn to_files(options: &Options, export: &Export, targets: &[Target; 2]) -> Result<Report, Error> {
    let (records, mut report) = records(options, export)?;
    let mut documents = [Document::default(), Document::default()];
    for (record, text) in &records {
        let [users, groups] = &mut documents;
        match record.table() {
            Table::Users => users.add_record(record),
            Table::Groups => groups.add_record(record),
        }
        report.changes.push(Change::new('+', record.table().noun(), record.name(), text.clone()));
    }
    report.target = counted(&documents);
    write(documents, targets, export.dry_run)?;
    Ok(report)
}

/// `1 user and 2 groups`.
fn counted([users, groups]: &[Document; 2]) -> String {
    let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    format!("{} and {}", plural(users.count(), "user"), plural(groups.count(), "group"))
}

/// Writes both or neither.
fn write([users, groups]: [Document; 2], targets: &[Target; 2], dry_run: bool) -> Result<(), Error> {
    if dry_run {
        return Ok(());
    }
    let tables = [users.into_bytes(), groups.into_bytes()];
    let mut files = Vec::new();
    let mut out = None;
    for (target, bytes) in targets.iter().zip(&tables) {
        match target {
            Target::File(path) => files.push((path.as_path(), bytes.as_slice())),
            Target::Stdout => out = Some(bytes),
        }
    }
    host::write_private(&files)?;
    out.map_or(Ok(()), |bytes| say::bytes(bytes))
}

async fn to_tables(options: &Options, export: &Export, quiet: bool) -> Result<Report, Error> {
    let config = config(options, export)?;
    let (records, mut report) = records(options, export)?;
    let (records, texts): (Vec<Record>, Vec<String>) = records.into_iter().unzip();
    let tables = Tables::connect(&config).await?;
    let stored = if export.dry_run {
        tables.compare(&config, &records, export.overwrite).await?
    } else {
        let mut progress = say::Progress::new("items written", records.len(), quiet || export.json);
        tables.store(&records, export.overwrite, |done| progress.show(done)).await?
    };
    for ((record, text), stored) in records.iter().zip(texts).zip(stored) {
        let (kind, name) = (record.table().noun(), record.name());
        match stored {
            Outcome::Added => report.changes.push(Change::new('+', kind, name, text)),
            Outcome::Same => report.unchanged.push(format!("{kind} {name}")),
            Outcome::Changed(attributes) => {
                report.changes.push(Change::new('~', kind, name, attributes.join(", ")));
            }
            Outcome::Differs(attributes) => {
                let attributes = attributes.join(", ");
                let reason = format!(
                    "the table has an item of that name with other values ({attributes}); left as it is, --overwrite \
                     changes it"
                );
                report.refusals.push(Refusal::part(kind, name, reason));
            }
            Outcome::Conflict(attributes) => {
                let attributes = attributes.join(", ");
                let reason = format!(
                    "somebody else changed the item in the meantime ({attributes}); left as it is; look at it, then run \
                     'ddum export --overwrite' again"
                );
                report.refusals.push(Refusal::part(kind, name, reason));
            }
            Outcome::Failed(why) => report.refusals.push(Refusal::part(kind, name, format!("{why}; not exported"))),
        }
    }
    let region = tables.region();
    report.target = format!("tables {} and {} in {region}", config.user_table_name, config.group_table_name);
    Ok(report)
}

/// The report for programs.
#[derive(Serialize)]
struct Json<'a> {
    dry_run: bool,
    added: Vec<String>,
    changed: Vec<String>,
    unchanged: &'a [String],
    refused: &'a [Refusal],
    notes: &'a [String],
}

impl Report {
    fn to_json(&self, dry_run: bool) -> String {
        let of = |sign: char| {
            let changes = self.changes.iter().filter(|change| change.sign == sign);
            changes.map(|change| format!("{} {}", change.noun, change.name)).collect()
        };
        let (unchanged, refused, notes) = (&self.unchanged[..], &self.refusals[..], &self.notes[..]);
        let json = Json { dry_run, added: of('+'), changed: of('~'), unchanged, refused, notes };
        // Texts and lists of texts always serialise.
        serde_json::to_string_pretty(&json).unwrap_or_default()
    }

    fn summary(&self, dry_run: bool) -> String {
        let count = |sign: char| self.changes.iter().filter(|change| change.sign == sign).count();
        let (added, changed, unchanged) = (count('+'), count('~'), self.unchanged.len());
        let start = if dry_run { "dry run: " } else { "" };
        let refused = self.refusals.len();
        if self.target.starts_with("tables") {
            format!(
                "{start}{added} items added, {changed} changed, {unchanged} already as here, {refused} refused; {}",
                self.target
            )
        } else {
            format!("{start}{} written, {refused} refused", self.target)
        }
    }
}
