//! Pages that do not come as they should.

use std::time::{Duration, Instant};

use ddum::config::Config;
use ddum::error::ErrorKind;
use ddum::table::Patience;

use super::scan::*;
use super::support::emulator::Emulator;
use super::support::faults::Fault;

#[test]
fn a_missing_table_is_told_with_its_key() {
    let emulator = Emulator::start();
    let error = scan_with(&config_for(&emulator.url()), Patience::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Table);
    assert!(error.to_string().contains("ResourceNotFoundException"), "{error}");
    assert!(error.to_string().contains("user_table_name"), "{error}");

    let (error, server) = error_of("Groups", 1, Fault::Missing);
    assert!(error.to_string().contains("group_table_name"), "{error}");
    assert_eq!(server.scans_of("Groups").len(), 1, "a missing table is not asked for again");
}

#[test]
fn what_waiting_does_not_mend_is_told_at_once() {
    for (fault, sign) in [
        (
            Fault::Denied,
            "AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/web/i-0 is not authorized",
        ),
        (Fault::Denied, "dynamodb:Scan on the table must be allowed"),
        (Fault::Expired, "ExpiredTokenException: The security token included in the request is expired"),
        (Fault::BadSignature, "the secret key does not fit the access key, or the clock is wrong"),
        (Fault::Html, "the answer (HTTP status 200) is not DynamoDB's"),
        (Fault::Garbage, "the answer (HTTP status 200) is not DynamoDB's"),
        (Fault::WrongTypes, "the answer (HTTP status 200) is not DynamoDB's"),
        (Fault::Redirect(301), "the answer (HTTP status 301) is not DynamoDB's"),
        (Fault::Redirect(307), "the answer (HTTP status 307) is not DynamoDB's"),
        (Fault::Skewed, "RequestTimeTooSkewed"),
        (Fault::Empty, "a page came without items"),
        (Fault::WrongCount, "a page came with 2 items and says 3"),
    ] {
        let (error, server) = error_of("Users", 1, fault);
        assert_eq!(error.kind(), ErrorKind::Table, "{fault:?}");
        assert!(error.to_string().contains(sign), "{fault:?}: {error}");
        assert_eq!(server.scans_of("Users").len(), 1, "{fault:?}");
        assert_eq!(server.scans_of("Groups").len(), 0, "{fault:?}");
    }
}

#[test]
fn what_passes_is_waited_for() {
    for fault in
        [Fault::Throttled, Fault::Drop, Fault::Truncated, Fault::InternalError, Fault::Unavailable, Fault::Hang]
    {
        let server = two_tables().fault("Users", 2, 2, fault).start();
        let scan = scan_with(&config_for(&server.url()), patience_for(fault));
        let scan = scan.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!((scan.users, scan.groups), (4, 1), "{fault:?}");
        assert_eq!(server.scans_of("Users").len(), 5, "{fault:?}");
    }
}

#[test]
fn half_a_table_is_never_used() {
    for fault in [
        Fault::Throttled,
        Fault::Drop,
        Fault::Truncated,
        Fault::InternalError,
        Fault::Unavailable,
        Fault::Hang,
        Fault::Drip,
    ] {
        let start = Instant::now();
        let (error, server) = error_of("Users", 2, fault);
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{fault:?}: {error}");
        assert!(start.elapsed() < LONG, "{fault:?}: {:?}", start.elapsed());
        assert_eq!(server.scans_of("Groups").len(), 0, "{fault:?}");
    }
    for fault in [Fault::Expired, Fault::Denied, Fault::Garbage, Fault::Redirect(302)] {
        let (error, server) = error_of("Users", 2, fault);
        assert_eq!(error.kind(), ErrorKind::Table, "{fault:?}: {error}");
        assert_eq!((server.scans_of("Users").len(), server.scans_of("Groups").len()), (2, 0), "{fault:?}");
    }
    let (error, _) = error_of("Users", 3, Fault::WrongCount);
    assert_eq!(error.kind(), ErrorKind::Table);
}

#[test]
fn a_throttled_page_is_tried_longer_than_others() {
    // Three attempts of the SDK, three times over; only the tenth would be one too many.
    let server = two_tables().fault("Users", 1, 8, Fault::Throttled).start();
    assert_eq!(scan(&config_for(&server.url())).unwrap().users, 4);
    let (error, server) = error_of("Users", 1, Fault::Throttled);
    assert!(error.to_string().contains("ProvisionedThroughputExceededException"), "{error}");
    assert_eq!(server.scans_of("Users").len(), 9);
}

#[test]
fn pages_that_go_round_in_a_circle_are_noticed() {
    let (error, server) = error_of("Users", 2, Fault::RepeatedKey);
    assert_eq!(error.kind(), ErrorKind::Table);
    assert!(error.to_string().contains("the same page came twice"), "{error}");
    assert!(server.scans_of("Users").len() <= 3);
}

#[test]
fn pages_without_items_for_ever_are_given_up() {
    let (error, server) = error_of("Users", 2, Fault::Hollow);
    assert_eq!(error.kind(), ErrorKind::Table);
    assert!(error.to_string().contains("101 pages in a row came without an item"), "{error}");
    assert_eq!(server.scans_of("Users").len(), 102);
}

#[test]
fn an_odd_date_neither_harms_nor_stays() {
    for date in [
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Mon, 01 Jan -001 00:00:00 GMT",
        "Sat, 31 Feb 2026 99:99:99 GMT",
        "Sun, 28 Nov 2060 00:00:00 GMT",
        "yesterday",
        "",
    ] {
        let server = two_tables().fault("Users", 2, 2, Fault::Dated(date)).start();
        let scan = scan(&config_for(&server.url())).unwrap_or_else(|error| panic!("{date}: {error}"));
        assert_eq!(scan.users, 4, "{date}");
        let signed = server.requests().last().unwrap().header("x-amz-date").to_owned();
        assert!(signed.len() == 16 && signed.starts_with("20"), "{date}: {signed}");
    }
}

#[test]
fn the_whole_scan_is_bounded() {
    let server = two_tables().fault("Users", 1, usize::MAX, Fault::Hang).start();
    let config = config_for(&server.url());
    let patience = Patience { scan: Duration::from_millis(300), ..impatient() };
    let start = Instant::now();
    let error = scan_with(&config, patience).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
    assert_eq!(error.to_string(), "the tables were not read within 300ms; accounts left as they were");
}

#[test]
fn nobody_there_is_told_as_such() {
    // Not a port that was free a moment ago: another test may have it by now.
    let error = scan(&config_for("http://127.0.0.1:9")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().to_lowercase().contains("connection refused"), "{error}");
}

#[test]
fn a_name_that_nobody_knows_is_told_as_such() {
    let start = Instant::now();
    let error = scan_with(&config_for("http://dynamodb.invalid"), hasty()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
}

#[test]
fn an_endpoint_without_tls_where_tls_was_meant_is_an_error_and_no_panic() {
    let server = two_tables().start();
    let error = scan_with(&config_for(&server.url().replace("http:", "https:")), hasty()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
}

#[test]
fn settings_that_make_no_client_are_told_before_anything_is_asked() {
    let server = two_tables().start();
    let good = || config_for(&server.url());
    for (config, sign) in [
        (Config { aws_region: Some("eu west".to_owned()), ..good() }, "aws_region \"eu west\""),
        (Config { endpoint_url: Some(String::new()), ..good() }, "endpoint_url \"\""),
        (Config { endpoint_url: Some("localhost:8000".to_owned()), ..good() }, "endpoint_url \"localhost:8000\""),
        (Config { aws_secret_key: None, ..good() }, "aws_access_key but not aws_secret_key"),
    ] {
        let error = scan(&config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(sign), "{error}");
    }
    assert_eq!(server.requests().len(), 0);
}
