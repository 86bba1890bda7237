//! Where the environment matters. A process has only one: this test program runs itself.

use std::env;
use std::process::Command;
use std::time::{Duration, Instant};

use ddum::config::Config;
use serde_json::json;

use super::scan::*;
use super::support::http::{HttpServer, Reply};

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
        .args(["--exact", "environment::child", "--ignored", "--nocapture"])
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
