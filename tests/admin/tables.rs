//! `ddum tables create` and `describe`.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::office::*;
use super::support::emulator::Emulator;
use super::support::http::Reply;
use super::support::proxy::{Proxy, operation};

#[test]
fn tables_are_made_once_and_checked_after() {
    let emulator = Emulator::start();
    let proxy = with_backups(&emulator);
    let office = Office::new("create", &proxy.url());
    assert!(office.fails("tables describe", 1).contains("'ddum tables create' makes it"));
    assert!(office.fails("user list", 1).contains("user_table_name"));
    let want = "on demand, protected from deletion, point-in-time recovery";
    let dry = office.done("tables create --dry-run");
    assert!(!proxy.calls().iter().any(|(operation, _)| operation == "CreateTable"));
    assert_eq!(dry, format!("+ table Users: {want}\n+ table Groups: {want}\n"));
    assert_eq!(office.done("tables create --tag team=ops --tag cost-center="), dry);
    let made: Vec<Value> =
        proxy.calls().into_iter().filter(|(operation, _)| operation == "CreateTable").map(|(_, body)| body).collect();
    assert_eq!(made.len(), 2);
    assert_eq!(made[0]["Tags"], json!([{"Key": "team", "Value": "ops"}, {"Key": "cost-center", "Value": ""}]));
    assert_eq!(
        (&made[0]["DeletionProtectionEnabled"], &made[0]["BillingMode"]),
        (&json!(true), &json!("PAY_PER_REQUEST"))
    );
    assert_eq!(made[0]["KeySchema"], json!([{"AttributeName": "Name", "KeyType": "HASH"}]));
    assert_eq!(office.done("tables create"), "", "what is right is left alone");

    office.done("user add alice");
    let shown = office.done("tables describe");
    for line in [
        "Table Users in eu-west-1: ACTIVE",
        "  Billing:                 on demand",
        "  Protected from deletion: yes",
        "  Point-in-time recovery:  yes",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    assert!(shown.contains("An update of one host costs 2 read units, about $0.00000025; "), "{shown}");
    let described: Value = serde_json::from_str(&office.done("tables describe --json")).unwrap();
    assert_eq!(described["tables"][1]["table"], "Groups");
    assert_eq!(described["tables"][0]["point_in_time_recovery"], true);
}

#[test]
fn a_table_that_takes_its_time_is_waited_for_and_that_is_said() {
    let emulator = Emulator::start();
    let since = Mutex::new(None);
    let proxy = Proxy::start(&emulator.url(), move |request| {
        let mut since = since.lock().unwrap();
        let is_new = since.is_some_and(|since: Instant| since.elapsed() < Duration::from_secs(8));
        match operation(request) {
            "CreateTable" if since.is_none() => {
                *since = Some(Instant::now());
                None
            }
            "DescribeTable" if is_new => {
                let table = json!({"TableName": "Users", "TableStatus": "CREATING"});
                Some(Reply::json(200, &json!({"Table": table})))
            }
            _ => None,
        }
    });
    let office = Office::new("wait", &proxy.url());
    let (status, out, err) = office.run("tables create --no-backups");
    assert_eq!((status, out.lines().count()), (0, 2), "{out}{err}");
    // 5 s, or the moment after it that a busy machine got to it.
    assert!(err.contains("table \"Users\" is being made, for ") && err.contains(" s now"), "{err}");
    assert!(serde_json::from_str::<Value>(&office.done("tables policy reader --json")).is_ok());
}

#[test]
fn tables_that_others_made_are_named_where_they_are_not_right() {
    let emulator = Emulator::start();
    emulator.create_table("Users");
    emulator.call(
        "CreateTable",
        &json!({
            "TableName": "Groups", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
        }),
    );
    let proxy = with_backups(&emulator);
    let office = Office::new("others", &proxy.url());
    let (status, out, _) = office.run("tables create");
    assert_eq!(status, 3);
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines[0].starts_with("! table Users: it is not protected from deletion; 'aws dynamodb update-table"),
        "{out}"
    );
    assert!(lines[1].starts_with("! table Users: it has no point-in-time recovery; 'aws "), "{out}");
    assert_eq!(lines[2], "! table Groups: its key must be the string \"Name\" alone, and is Id");
    assert_eq!(office.run("tables create --no-backups --no-protection").1.lines().count(), 1);
    assert_eq!(office.run("tables describe").0, 3);
    assert!(
        !proxy.calls().iter().any(|(operation, _)| operation.starts_with("Create") || operation.starts_with("Update"))
    );
}
