//! One scan, by a configuration made for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ddum::account::Day;
use ddum::config::{Config, Secret};
use ddum::error::Error;
use ddum::table::{Patience, Scan, Tables};

use super::support::faults::{Builder, Fault, FaultServer};
use super::support::{group_item, user_item};

/// A configuration for the tables at `url`.
pub fn config_for(url: &str) -> Config {
    // The SDK counts the retries of a process by region: in one region, the tests would use up each other's.
    static REGION: AtomicUsize = AtomicUsize::new(1);
    Config {
        aws_access_key: Some("AKIATEST".to_owned()),
        aws_secret_key: Some(Secret::new("TESTSECRET".to_owned())),
        aws_region: Some(format!("test-{}", REGION.fetch_add(1, Ordering::SeqCst))),
        endpoint_url: Some(url.to_owned()),
        ..Config::default()
    }
}

/// Pauses as short as tests can, and waits for whoever answers at all, on however busy a machine.
pub fn impatient() -> Patience {
    let ms = Duration::from_millis;
    Patience {
        connect: ms(20_000),
        read: ms(20_000),
        attempt: ms(50_000),
        page: ms(60_000),
        scan: ms(120_000),
        credentials: ms(40_000),
        attempts: 3,
        first_pause: ms(10),
        longest_pause: ms(20),
        throttled_pauses: vec![ms(10), ms(10)],
    }
}

/// For servers that keep one waiting.
pub fn hasty() -> Patience {
    let ms = Duration::from_millis;
    Patience {
        connect: ms(2000),
        read: ms(2000),
        attempt: ms(3000),
        page: ms(20_000),
        credentials: ms(1500),
        ..impatient()
    }
}

/// What is not over by then never is.
pub const LONG: Duration = Duration::from_secs(100);

fn today() -> Day {
    Day::parse("2026-11-22").unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub fn scan(config: &Config) -> Result<Scan, Error> {
    scan_with(config, impatient())
}

pub fn scan_with(config: &Config, patience: Patience) -> Result<Scan, Error> {
    run(async { Tables::connect_with(config, patience).await?.scan(config, today()).await })
}

/// Three pages of users, one of groups.
pub fn two_tables() -> Builder {
    let page = |names: &[&str]| names.iter().map(|name| user_item(name, 2001)).collect::<Vec<_>>();
    FaultServer::builder()
        .pages("Users", vec![page(&["alice", "bob"]), page(&["carol"]), page(&["dave"])])
        .pages("Groups", vec![vec![group_item("ops", 3000, &["alice"])]])
}

pub fn patience_for(fault: Fault) -> Patience {
    if matches!(fault, Fault::Hang | Fault::Drip) { hasty() } else { impatient() }
}

/// The error of a scan where a page goes wrong for good.
pub fn error_of(table: &'static str, page: usize, fault: Fault) -> (Error, FaultServer) {
    let server = two_tables().fault(table, page, usize::MAX, fault).start();
    let error = scan_with(&config_for(&server.url()), patience_for(fault)).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(&format!("cannot scan table \"{table}\" in test-")), "{fault:?}: {text}");
    assert!(text.ends_with("; accounts left as they were"), "{fault:?}: {text}");
    assert!(!text.contains('\n') && !text.contains("SECRET") && text.len() < 700, "{fault:?}: {text}");
    (error, server)
}
