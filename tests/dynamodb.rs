//! The tables, read from an emulator that works and from a server that does not.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::env;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ddum::account::Day;
use ddum::config::{Config, Secret};
use ddum::error::{Error, ErrorKind};
use ddum::table::{Patience, Scan, Tables};
use serde_json::json;
use support::emulator::Emulator;
use support::faults::{Builder, Fault, FaultServer};
use support::http::{HttpServer, Reply};
use support::{group_item, user_item};

/// A configuration for the tables at `url`.
fn config_for(url: &str) -> Config {
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
fn impatient() -> Patience {
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
fn hasty() -> Patience {
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
const LONG: Duration = Duration::from_secs(100);

fn today() -> Day {
    Day::parse("2026-11-22").unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn scan(config: &Config) -> Result<Scan, Error> {
    scan_with(config, impatient())
}

fn scan_with(config: &Config, patience: Patience) -> Result<Scan, Error> {
    run(async { Tables::connect_with(config, patience).await?.scan(config, today()).await })
}

/// Three pages of users, one of groups.
fn two_tables() -> Builder {
    let page = |names: &[&str]| names.iter().map(|name| user_item(name, 2001)).collect::<Vec<_>>();
    FaultServer::builder()
        .pages("Users", vec![page(&["alice", "bob"]), page(&["carol"]), page(&["dave"])])
        .pages("Groups", vec![vec![group_item("ops", 3000, &["alice"])]])
}

fn patience_for(fault: Fault) -> Patience {
    if matches!(fault, Fault::Hang | Fault::Drip) { hasty() } else { impatient() }
}

/// The error of a scan where a page goes wrong for good.
fn error_of(table: &'static str, page: usize, fault: Fault) -> (Error, FaultServer) {
    let server = two_tables().fault(table, page, usize::MAX, fault).start();
    let error = scan_with(&config_for(&server.url()), patience_for(fault)).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(&format!("cannot scan table \"{table}\" in test-")), "{fault:?}: {text}");
    assert!(text.ends_with("; accounts left as they were"), "{fault:?}: {text}");
    assert!(!text.contains('\n') && !text.contains("SECRET") && text.len() < 700, "{fault:?}: {text}");
    (error, server)
}

#[test]
fn a_table_of_many_pages_is_read_to_its_end() {
    let emulator = Emulator::with_tables();
    let users: Vec<_> = (0..2500)
        .map(|number| {
            let mut item = user_item(&format!("user{number:04}"), 10_000 + number);
            item["Filler"] = json!({"S": "x".repeat(900)});
            item
        })
        .collect();
    emulator.put("Users", &users);
    emulator.put("Groups", &[group_item("ops", 3000, &["user0001", "user0000"])]);
    let scan = scan_with(&config_for(&emulator.url()), Patience::default()).unwrap();
    assert_eq!((scan.users, scan.groups, scan.rejections.len()), (2500, 1, 0));
    assert_eq!(scan.accounts.users.len(), 2500);
    assert!(scan.accounts.users.is_sorted_by(|one, other| one.name < other.name));
    assert!(scan.pages >= 4, "{}", scan.pages);
    // 2.5 MB at one unit for 4 KB, and one for the group.
    assert!((580.0..620.0).contains(&scan.consumed_capacity), "{}", scan.consumed_capacity);
    assert!(scan.source.starts_with("tables Users and Groups in test-"), "{}", scan.source);
}

#[test]
fn items_arrive_as_they_were_put() {
    let emulator = Emulator::with_tables();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8C1kVh3VGg5kPBPBPO0yPbZ2j4h4Yw7Yo0rk4o8m2k laptop";
    let mut alice = user_item("alice", 2001);
    alice["SSHPublicKeys"] = json!({"SS": [key, "nonsense"]});
    alice["PasswordAgeMaxDays"] = json!({"N": "090"});
    alice["Shell"] = json!({"NULL": true});
    let mut bob = user_item("bob", 2002);
    bob["UID"] = json!({"S": "2002"});
    emulator.put("Users", &[alice, bob, json!({"Name": {"S": "_marker"}, "Version": {"N": "7"}})]);
    emulator.put("Groups", &[group_item("ops", 3000, &["bob", "alice"])]);
    let scan = scan_with(&config_for(&emulator.url()), Patience::default()).unwrap();
    let [alice] = &scan.accounts.users[..] else { panic!("{:?}", scan.accounts) };
    assert_eq!(alice.keys[0].line(), key);
    assert_eq!((alice.max_age, alice.shell.as_str()), (Some(90), ""));
    let members: Vec<_> = scan.accounts.groups[0].members.iter().map(ddum::account::Name::as_str).collect();
    assert_eq!(members, ["alice", "bob"]);
    let rejections: Vec<_> = scan.rejections.iter().map(ToString::to_string).collect();
    assert_eq!(rejections.len(), 3, "{rejections:?}");
    assert_eq!(rejections[0], "user _marker: UID: it is missing; item skipped");
    assert!(rejections[1].starts_with("user alice: SSHPublicKeys: "), "{rejections:?}");
    assert_eq!(rejections[2], "user bob: UID: its type is S, not N; item skipped");
    assert_eq!(scan.accounts.refused_users.iter().collect::<Vec<_>>(), ["_marker", "bob"]);
}

#[test]
fn the_request_is_what_the_configuration_says() {
    for consistent_read in [true, false] {
        let server = two_tables().start();
        let scan = scan(&Config { consistent_read, ..config_for(&server.url()) }).unwrap();
        assert_eq!((scan.users, scan.groups, scan.pages), (4, 1, 4));
        assert!((scan.consumed_capacity - 6.0).abs() < 1e-9, "{}", scan.consumed_capacity);
        assert_eq!(server.scans_of("Users").len(), 3);
        for request in server.scans_of("Users").iter().chain(&server.scans_of("Groups")) {
            assert_eq!(request["ConsistentRead"], json!(consistent_read), "{request}");
            assert_eq!((&request["ReturnConsumedCapacity"], &request["Limit"]), (&json!("TOTAL"), &json!(1000)));
        }
    }
}

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

// From here on the environment matters, and a process has only one: this test program runs itself.

/// Scans as the environment says and prints what came of it.
#[test]
#[ignore = "run by the tests below, with an environment made for it"]
fn child() {
    let config = Config {
        endpoint_url: env::var("TEST_ENDPOINT").ok(),
        aws_profile: env::var("TEST_PROFILE").ok(),
        assume_role_arn: env::var("TEST_ROLE").ok(),
        ..Config::default()
    };
    let patience = if env::var_os("TEST_HASTE").is_some() { hasty() } else { impatient() };
    match scan_with(&config, patience) {
        Ok(scan) => println!("RESULT ok {} users from {}", scan.users, scan.source),
        Err(error) => println!("RESULT {:?} {error}", error.kind()),
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("MOST {}", most.trim().trim_end_matches(" kB"));
}

/// What [`child`] said in an environment of these variables only.
fn said_in_environment(variables: &[(&str, &str)]) -> String {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr)
}

/// What it said after this word.
fn after<'a>(said: &'a str, word: &str) -> &'a str {
    said.lines().find_map(|line| line.split_once(word)).unwrap_or_else(|| panic!("{said}")).1
}

/// How its scan ended, and how long it took.
fn in_environment(variables: &[(&str, &str)]) -> (String, Duration) {
    let start = Instant::now();
    let said = said_in_environment(variables);
    (after(&said, "RESULT ").to_owned(), start.elapsed())
}

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", "ENVSECRET")];

#[test]
fn no_variable_makes_the_sdk_panic() {
    let server = two_tables().start();
    let url = server.url();
    for odd in [
        ("AWS_MAX_ATTEMPTS", "abc"),
        ("AWS_MAX_ATTEMPTS", "0"),
        ("AWS_RETRY_MODE", "legacy"),
        ("AWS_DEFAULTS_MODE", "odd"),
        ("AWS_USE_FIPS_ENDPOINT", "odd"),
        ("AWS_ENDPOINT_URL", "odd"),
        ("AWS_ENDPOINT_URL_DYNAMODB", ""),
        ("AWS_CONFIG_FILE", "/proc/self/exe"),
        ("AWS_PROFILE", "missing"),
        ("AWS_REGION", ""),
        ("AWS_ACCOUNT_ID_ENDPOINT_MODE", "odd"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "odd"),
        ("HTTP_PROXY", "http://127.0.0.1:9"),
    ] {
        let (result, _) = in_environment(&[KEYS[0], KEYS[1], ("TEST_ENDPOINT", &url), odd]);
        assert_eq!(result, "ok 4 users from tables Users and Groups in us-east-1", "{odd:?}");
    }
    let (result, _) = in_environment(&[KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL", "odd")]);
    assert!(result.starts_with("Config AWS_ENDPOINT_URL \"odd\" is not"), "{result}");
    for odd in ["", "odd", "http://u:hunter2@h"] {
        let role = ("TEST_ROLE", "arn:aws:iam::123456789012:role/reader");
        let (result, _) =
            in_environment(&[KEYS[0], KEYS[1], role, ("TEST_ENDPOINT", &url), ("AWS_ENDPOINT_URL_STS", odd)]);
        assert!(result.starts_with("Config AWS_ENDPOINT_URL_STS \"") && !result.contains("hunter2"), "{result}");
    }
    let (result, _) = in_environment(&[KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL", "http://u:hunter2@h")]);
    assert!(result.starts_with("Config AWS_ENDPOINT_URL \"") && !result.contains("hunter2"), "{result}");
    let (result, _) = in_environment(&[KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL", &url)]);
    assert!(result.starts_with("ok 4 users"), "{result}");
    let secure = url.replace("http:", "https:");
    let (nowhere, no_directory) = (("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent"));
    let (result, _) =
        in_environment(&[KEYS[0], KEYS[1], ("TEST_ENDPOINT", &secure), ("TEST_HASTE", "yes"), nowhere, no_directory]);
    assert!(result.starts_with("Unreachable cannot scan table"), "the built-in roots must load: {result}");
}

#[test]
fn the_tables_are_reached_through_the_proxy_and_the_metadata_service_is_not() {
    let proxy = HttpServer::start(|_| Reply::Answer(403, String::new(), String::new()));
    let metadata = metadata_server();
    let (proxy_url, imds) = (proxy.url(), metadata.url());
    let (result, _) = in_environment(&[
        ("HTTPS_PROXY", &proxy_url),
        ("HTTP_PROXY", &proxy_url),
        // Empty: the region's own endpoint.
        ("AWS_ENDPOINT_URL", ""),
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &imds),
    ]);
    assert!(result.starts_with("Unreachable cannot scan table \"Users\" in eu-instance-1: "), "{result}");
    let asked: Vec<_> = proxy.requests().into_iter().map(|request| (request.method, request.path)).collect();
    assert!(!asked.is_empty(), "{result}");
    for (method, path) in asked {
        assert_eq!((method.as_str(), path.as_str()), ("CONNECT", "dynamodb.eu-instance-1.amazonaws.com:443"));
    }
    let secret = proxy_url.replace("http://", "http://user:hunter2@");
    let here = ("AWS_ENDPOINT_URL", "https://127.0.0.1:9");
    for (excluded, is_asked) in [("127.0.0.1", false), ("*", false), ("example.com", true)] {
        let before = proxy.requests().len();
        let (result, _) = in_environment(&[("https_proxy", &secret), ("no_proxy", excluded), here, KEYS[0], KEYS[1]]);
        assert_eq!(proxy.requests().len() > before, is_asked, "{excluded}");
        assert!(!result.contains("hunter2"), "{result}");
    }
}

#[test]
fn the_region_comes_from_the_first_source_that_has_one() {
    let server = two_tables().start();
    let metadata = metadata_server();
    let (url, imds) = (server.url(), metadata.url());
    let mut variables = vec![
        ("TEST_ENDPOINT", url.as_str()),
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &imds),
    ];
    for (variable, region) in [
        (("UNUSED", ""), "eu-instance-1"),
        (("AWS_DEFAULT_REGION", "eu-default-1"), "eu-default-1"),
        (("AWS_REGION", "eu-first-1"), "eu-first-1"),
        (("AWS_REGION", ""), "eu-default-1"),
    ] {
        variables.push(variable);
        let (result, _) = in_environment(&variables);
        assert_eq!(result, format!("ok 4 users from tables Users and Groups in {region}"));
    }
    let requests = server.requests();
    assert!(requests[0].header("authorization").contains("Credential=ASIAINSTANCE/"), "{requests:?}");
}

/// The instance metadata service of an instance with a role, version 2.
fn metadata_server() -> HttpServer {
    HttpServer::start(|request| {
        let body = match request.path.as_str() {
            "/latest/api/token" => "TOKEN".to_owned(),
            _ if request.header("x-aws-ec2-metadata-token") != "TOKEN" => {
                return Reply::Answer(401, String::new(), String::new());
            }
            "/latest/meta-data/placement/region" => "eu-instance-1".to_owned(),
            "/latest/meta-data/iam/security-credentials/" => "web".to_owned(),
            "/latest/meta-data/iam/security-credentials/web" => json!({
                "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIAINSTANCE", "SecretAccessKey": "S",
                "Token": "T", "LastUpdated": "2026-11-22T00:00:00Z", "Expiration": "2099-11-22T00:00:00Z",
            })
            .to_string(),
            _ => return Reply::Answer(404, String::new(), String::new()),
        };
        Reply::Answer(200, "X-aws-ec2-metadata-token-ttl-seconds: 21600\r\n".to_owned(), body)
    })
}

#[test]
fn without_credentials_the_sources_are_told_in_time() {
    let server = two_tables().start();
    let silent = HttpServer::start(|_| Reply::Hang);
    let (url, imds) = (server.url(), silent.url());
    let (result, took) = in_environment(&[
        ("TEST_ENDPOINT", &url),
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &imds),
        ("TEST_HASTE", "yes"),
    ]);
    assert!(took < LONG, "{took:?}");
    let beginning = "Table cannot scan table \"Users\" in us-east-1: no AWS credentials in the environment";
    assert!(result.starts_with(beginning), "{result}");
    for source in ["the profile", "a web identity token", "the container", "the instance", "aws_access_key"] {
        assert!(result.contains(source), "{source}: {result}");
    }
    assert!(result.ends_with("; accounts left as they were"), "{result}");
    assert_eq!(server.requests().len(), 0);

    // One that is not there, and one of before 2019, which gives everybody credentials without a token: asking it as
    // anybody can be made to ask is what version 2 is there to prevent.
    let old = HttpServer::start(|request| match request.path.as_str() {
        "/latest/api/token" => Reply::Answer(404, String::new(), String::new()),
        path if path.ends_with("/security-credentials/") => Reply::Answer(200, String::new(), "web".to_owned()),
        _ => Reply::json(200, &json!({"Code": "Success", "AccessKeyId": "ASIAOLD", "SecretAccessKey": "S"})),
    });
    let old_url = old.url();
    for imds in ["http://127.0.0.1:9", &old_url] {
        let (result, took) = in_environment(&[
            ("TEST_ENDPOINT", &url),
            ("AWS_EC2_METADATA_DISABLED", "false"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds),
            ("TEST_HASTE", "yes"),
        ]);
        assert!(took < LONG, "{took:?}");
        assert!(
            result.contains("accounts left as they were")
                && ["the instance", "IMDS"].iter().any(|sign| result.contains(sign)),
            "{imds}: {result}"
        );
    }
    assert!(old.requests().iter().all(|request| request.path == "/latest/api/token"), "{:?}", old.requests());
    assert_eq!(server.requests().len(), 0);

    let (result, _) = in_environment(&[("TEST_ENDPOINT", &url), ("TEST_PROFILE", "web"), KEYS[0], KEYS[1]]);
    assert!(result.contains("no AWS credentials in the profile \"web\""), "the profile shuts out the keys: {result}");
}

#[test]
fn those_who_give_credentials_cannot_fill_the_memory_either() {
    let server = two_tables().start();
    let endless = HttpServer::start(|_| Reply::Endless("{\"Code\":".to_owned()));
    let (url, evil) = (server.url(), endless.url());
    let container = format!("{evil}/credentials");
    let role = ("TEST_ROLE", "arn:aws:iam::123456789012:role/reader");
    for (what, variables) in [
        ("the instance", &[("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*evil)][..]),
        ("the container", &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*container)]),
        ("STS", &[KEYS[0], KEYS[1], role, ("AWS_ENDPOINT_URL_STS", &*evil)]),
    ] {
        let before = endless.requests().len();
        let said = said_in_environment(&[variables, &[("TEST_ENDPOINT", &url)]].concat());
        let result = after(&said, "RESULT ");
        assert!(endless.requests().len() > before, "{what}: {result}");
        assert!(result.contains("cannot scan table"), "{what}: {result}");
        assert!(result.contains("longer than 32 MiB") || what == "the instance", "{what}: {result}");
        let memory: u64 = after(&said, "MOST ").parse().unwrap();
        assert!(memory < 250_000, "{what}: {memory} kB");
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_role_is_assumed_for_the_tables_only() {
    let server = two_tables().start();
    let sts = HttpServer::start(|request| {
        assert!(request.body.contains("RoleSessionName=ddum"), "{request:?}");
        let body = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
             <AssumedRoleUser><AssumedRoleId>AROA:ddum</AssumedRoleId>\
             <Arn>arn:aws:sts::123456789012:assumed-role/reader/ddum</Arn></AssumedRoleUser>\
             <Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>S</SecretAccessKey>\
             <SessionToken>T</SessionToken><Expiration>2099-11-22T00:00:00Z</Expiration></Credentials>\
             </AssumeRoleResult></AssumeRoleResponse>";
        Reply::Answer(200, "Content-Type: text/xml\r\n".to_owned(), body.to_owned())
    });
    let (url, sts_url) = (server.url(), sts.url());
    let role = ("TEST_ROLE", "arn:aws:iam::123456789012:role/reader");
    let (result, _) =
        in_environment(&[KEYS[0], KEYS[1], role, ("TEST_ENDPOINT", &url), ("AWS_ENDPOINT_URL_STS", &sts_url)]);
    assert!(result.starts_with("ok 4 users"), "{result}");
    assert!(sts.requests()[0].header("authorization").contains("Credential=AKIAENV/"));
    assert!(server.requests()[0].header("authorization").contains("Credential=ASIAROLE/"));

    let denied = HttpServer::start(|_| {
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/x \
             is not authorized to perform: sts:AssumeRole</Message></Error><RequestId>r</RequestId></ErrorResponse>";
        Reply::Answer(403, "Content-Type: text/xml\r\n".to_owned(), body.to_owned())
    });
    let silent = HttpServer::start(|_| Reply::Hang);
    for (sts, kind, sign) in [(&denied, "Table ", "sts:AssumeRole"), (&silent, "Unreachable ", "cannot assume arn:")] {
        let sts_url = sts.url();
        let (here, there) = (("TEST_ENDPOINT", url.as_str()), ("AWS_ENDPOINT_URL_STS", sts_url.as_str()));
        let (result, _) = in_environment(&[KEYS[0], KEYS[1], role, here, there, ("TEST_HASTE", "yes")]);
        assert!(result.starts_with(kind) && result.contains(sign), "{result}");
    }
}
