//! `ddum tables`: the two tables themselves.

use std::time::{Duration, Instant};

use serde_json::json;

use super::desk::{Desk, Told, failed};
use super::say;
use crate::cli::Options;
use crate::cli::tables::{Create, Role, Verb};
use crate::cli::user::{Form, Writing};
use crate::error::{Error, ErrorKind, Table, exit};
use crate::table::policy;
use crate::table::schema::Description;

const BOTH: [Table; 2] = [Table::Users, Table::Groups];

/// Longest wait for a table to become active, and for DynamoDB to be ready for its backups.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// US dollars for a million read units, on demand, in us-east-1 since November 2024. Other regions ask a little more.
const PRICE: f64 = 0.125;

/// Runs the command and gives the exit status.
///
/// # Errors
/// When DynamoDB did not do what was asked.
pub async fn run(options: &Options, verb: Verb) -> Result<u8, Error> {
    let desk = Desk::open(options).await?;
    match verb {
        Verb::Create(create) => self::create(&desk, &create).await,
        Verb::Describe(form) => describe(&desk, form).await,
        Verb::Policy(role, account) => policy(&desk, role, account.as_deref()),
    }
}

async fn create(desk: &Desk, create: &Create) -> Result<u8, Error> {
    let mut told = Vec::new();
    // What was made before something failed is told, too.
    let made = make(desk, create, &mut told).await;
    if made.is_ok() || !told.is_empty() {
        desk.tell(Writing { dry_run: create.dry_run, yes: false, json: create.json }, &told)?;
    }
    made
}

async fn make(desk: &Desk, create: &Create, told: &mut Vec<Told>) -> Result<u8, Error> {
    let mut status = exit::DONE;
    for table in BOTH {
        let name = desk.tables.name_of(table);
        if let Some(description) = desk.tables.describe(table).await? {
            let faults = faults(desk, table, &description, create).await;
            if faults.is_empty() {
                log::info!("table \"{name}\" is there already, as it should be");
            } else {
                status = exit::REFUSED;
            }
            told.extend(faults);
            continue;
        }
        if !create.dry_run {
            desk.tables.create(table, !create.no_protection, &create.tags).await?;
            wait(desk, table).await?;
        }
        let mut with = vec!["on demand"];
        if !create.no_protection {
            with.push("protected from deletion");
        }
        let backups = match create.no_backups || create.dry_run {
            true => Ok(()),
            false => turn_on_backups(desk, table).await,
        };
        match backups {
            Ok(()) if !create.no_backups => with.push("point-in-time recovery"),
            Ok(()) => {}
            Err(error) => {
                status = exit::REFUSED;
                log::warn!("{error}");
            }
        }
        told.push(Told::new('+', "table", name, with.join(", ")));
    }
    Ok(status)
}

/// What is not as it would be if we had made it.
async fn faults(desk: &Desk, table: Table, description: &Description, create: &Create) -> Vec<Told> {
    let name = desk.tables.name_of(table);
    let mut faults: Vec<String> = description.fault.iter().cloned().collect();
    if !description.protected && !create.no_protection {
        faults.push(format!(
            "it is not protected from deletion; 'aws dynamodb update-table --table-name {name} \
             --deletion-protection-enabled' protects it"
        ));
    }
    if !create.no_backups && desk.tables.has_backups(table).await == Some(false) {
        faults.push(format!(
            "it has no point-in-time recovery; 'aws dynamodb update-continuous-backups --table-name {name} \
             --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true' turns it on"
        ));
    }
    faults.into_iter().map(|fault| Told::new('!', "table", name, fault)).collect()
}

async fn wait(desk: &Desk, table: Table) -> Result<(), Error> {
    let name = desk.tables.name_of(table);
    let started = Instant::now();
    let mut told = 0;
    while started.elapsed() < PATIENCE {
        if desk.tables.describe(table).await?.is_some_and(|description| description.is_active()) {
            return Ok(());
        }
        let seconds = started.elapsed().as_secs();
        if seconds >= told + 5 {
            told = seconds;
            log::info!("table \"{name}\" is being made, for {seconds} s now");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let message = format!("table \"{name}\" was not active within {PATIENCE:?}; see 'ddum tables describe'");
    Err(Error::new(ErrorKind::Unreachable, message))
}

async fn turn_on_backups(desk: &Desk, table: Table) -> Result<(), Error> {
    let started = Instant::now();
    while !desk.tables.turn_on_backups(table).await? {
        if started.elapsed() > PATIENCE {
            let name = desk.tables.name_of(table);
            let message = format!("table \"{name}\" is not ready for point-in-time recovery; run the command again");
            return Err(Error::new(ErrorKind::Unreachable, message));
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    Ok(())
}

async fn describe(desk: &Desk, form: Form) -> Result<u8, Error> {
    let consistent = desk.config.consistent_read;
    let mut lines = Vec::new();
    let mut all = Vec::new();
    let mut units = 0.0;
    let mut status = exit::DONE;
    for table in BOTH {
        let name = desk.tables.name_of(table);
        let Some(description) = desk.tables.describe(table).await? else {
            let message =
                format!("there is no table \"{name}\" in {}; 'ddum tables create' makes it", desk.tables.region());
            return Err(failed(message));
        };
        let backups = desk.tables.has_backups(table).await;
        let Description { status: state, items, bytes, on_demand, protected, fault } = &description;
        let cost = description.read_units(consistent);
        units += cost;
        all.push(json!({
            "table": name, "status": state, "items": items, "bytes": bytes, "on_demand": on_demand,
            "deletion_protection": protected, "point_in_time_recovery": backups, "scan_read_units": cost, "fault": fault,
        }));
        let yes = |yes: bool| if yes { "yes" } else { "no" };
        lines.extend([
            format!("Table {name} in {}: {state}", desk.tables.region()),
            format!("  Items:                   {items}, {bytes} bytes, when last counted (every six hours or so)"),
            format!("  Billing:                 {}", if *on_demand { "on demand" } else { "provisioned capacity" }),
            format!("  Protected from deletion: {}", yes(*protected)),
            format!("  Point-in-time recovery:  {}", backups.map_or("not known", yes)),
            format!("  A full scan costs:       {cost} read units"),
        ]);
        if let Some(fault) = fault {
            status = exit::REFUSED;
            lines.push(format!("! table {name}: {fault}"));
        }
    }
    let dollars = units * PRICE / 1e6;
    let hours = 730.0;
    lines.push(format!(
        "An update of one host costs {units} read units, about ${dollars:.8}; hourly updates of a hundred hosts about \
         ${:.2} a month (at ${PRICE} a million, on demand in us-east-1).",
        dollars * hours * 100.0
    ));
    match form {
        Form::Text => say::lines(lines)?,
        Form::Json => say::json(&json!({
            "region": desk.tables.region(), "tables": all, "update_read_units": units, "update_dollars": dollars,
        }))?,
    }
    Ok(status)
}

fn policy(desk: &Desk, role: Role, account: Option<&str>) -> Result<u8, Error> {
    let placeholder = "ACCOUNT_ID";
    let arn = |table| policy::arn(desk.tables.name_of(table), desk.tables.region(), account.unwrap_or(placeholder));
    let (users, groups) = (arn(Table::Users), arn(Table::Groups));
    if users.contains(placeholder) || groups.contains(placeholder) {
        log::info!("{placeholder} stands for the number of the AWS account; --account puts it in");
    }
    say::json(&match role {
        Role::Reader => policy::reader(&users, &groups),
        Role::Admin => policy::admin(&users, &groups),
        Role::Own => policy::own(&users),
    })?;
    Ok(exit::DONE)
}
