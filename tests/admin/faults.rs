//! What is said, and how it ends, when DynamoDB does not do what it is asked.

use serde_json::json;

use super::office::*;
use super::support::emulator::Emulator;
use super::support::http::Reply;
use super::support::proxy::{Proxy, operation};
use super::support::{group_item, user_item};

const WRITES: [(&str, &str); 13] = [
    ("user add bob", "dynamodb:PutItem"),
    ("user set alice --shell /bin/zsh", "dynamodb:UpdateItem"),
    ("user expire alice", "dynamodb:UpdateItem"),
    ("user enable alice", "dynamodb:UpdateItem"),
    ("user delete alice --yes", "dynamodb:DeleteItem"),
    ("group add ops", "dynamodb:PutItem"),
    ("group set dev --gid 3001", "dynamodb:UpdateItem"),
    ("group join dev alice --as-administrators", "dynamodb:UpdateItem"),
    ("group leave dev alice", "dynamodb:UpdateItem"),
    ("group delete dev --yes", "dynamodb:DeleteItem"),
    ("key add alice phone.pub", "dynamodb:UpdateItem"),
    ("key disable alice laptop", "dynamodb:UpdateItem"),
    ("key delete alice laptop", "dynamodb:UpdateItem"),
];

const READS: [(&str, &str); 7] = [
    ("user list", "dynamodb:Scan"),
    ("user show alice", "dynamodb:GetItem"),
    ("group list", "dynamodb:Scan"),
    ("group show dev", "dynamodb:GetItem"),
    ("key list alice", "dynamodb:GetItem"),
    ("tables describe", "dynamodb:DescribeTable"),
    ("tables create", "dynamodb:DescribeTable"),
];

fn emulator() -> Emulator {
    let emulator = Emulator::with_tables();
    let mut alice = user_item("alice", 2001);
    alice["SSHPublicKeys"] = json!({"SS": [LAPTOP]});
    alice["AccountExpireDate"] = json!({"S": "2031-01-01"});
    emulator.put("Users", &[alice]);
    emulator.put("Groups", &[group_item("dev", 3000, &["alice"])]);
    emulator
}

/// An error of DynamoDB's.
fn exception(code: &str, message: &str) -> Reply {
    Reply::json(400, &json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message}))
}

fn is_write(operation: &str) -> bool {
    matches!(operation, "UpdateItem" | "DeleteItem" | "PutItem" | "TransactWriteItems")
}

#[test]
fn a_denial_names_the_permission_that_is_missing() {
    let emulator = emulator();
    let before = (items(&emulator, "Users"), items(&emulator, "Groups"));
    let deny = || exception("AccessDeniedException", "User: arn:aws:iam::123456789012:user/eve is not authorized");
    let writes = Proxy::start(&emulator.url(), move |request| is_write(operation(request)).then(deny));
    let office = Office::new("denied", &writes.url());
    for (line, action) in WRITES {
        let err = office.fails(line, 1);
        assert!(err.contains("AccessDeniedException: ") && err.contains("user/eve"), "{line}: {err}");
        // A refusal is an answer.
        assert!(err.ends_with("; nothing was written\n"), "{line}: {err}");
        assert!(err.contains(&format!("({action} on the table must be allowed)")), "{line}: {err}");
    }
    let all = Proxy::start(&emulator.url(), move |_| Some(deny()));
    let office = Office::new("denied-all", &all.url());
    for (line, action) in READS {
        let err = office.fails(line, 1);
        assert!(err.contains(&format!("({action} on the table must be allowed)")), "{line}: {err}");
    }
    assert_eq!((items(&emulator, "Users"), items(&emulator, "Groups")), before);
}

#[test]
fn who_is_to_be_patient_is_told_so_and_no_write_is_made_twice() {
    let emulator = emulator();
    for code in ["ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"] {
        let proxy = Proxy::start(&emulator.url(), move |request| {
            is_write(operation(request)).then(|| exception(code, "Slow down"))
        });
        let office = Office::new("throttled", &proxy.url());
        for line in [
            "user set alice --shell /bin/zsh",
            "key disable alice laptop",
            "group join dev alice --as-administrators",
            "user add bob",
        ] {
            let err = office.fails(line, 75);
            assert!(err.contains(code) && err.contains("look before you try again"), "{line}: {err}");
        }
    }
    // An answer that is lost after the write: asked again, it is no conflict with oneself.
    for line in [
        "user set alice --shell /bin/zsh",
        "key disable alice laptop",
        "group join dev alice --as-administrators",
        "user add bob",
    ] {
        let behind = emulator.url();
        let lost = std::sync::atomic::AtomicBool::new(false);
        let proxy = Proxy::start(&emulator.url(), move |request| {
            if !is_write(operation(request)) || lost.swap(true, std::sync::atomic::Ordering::SeqCst) {
                return None;
            }
            super::support::proxy::forward(behind.trim_start_matches("http://"), request);
            Some(Reply::Drop)
        });
        let office = Office::new("lost", &proxy.url());
        assert!(!office.done(line).is_empty(), "{line}");
    }
    let (users, groups) = (items(&emulator, "Users"), items(&emulator, "Groups"));
    assert_eq!(users["alice"]["Shell"]["S"], "/bin/zsh");
    assert_eq!(users["alice"]["DisabledSSHPublicKeys"], json!({"SS": [LAPTOP]}));
    assert_eq!((users.len(), groups["dev"]["Administrators"].clone()), (2, json!({"SS": ["alice"]})));
}

#[test]
fn what_is_wrong_with_the_place_or_the_credentials_is_said() {
    let emulator = Emulator::start();
    let office = Office::new("place", &emulator.url());
    for line in ["user list", "user show alice", "user add alice", "group join dev alice", "key list alice"] {
        let err = office.fails(line, 1);
        assert!(
            err.contains("in eu-west-1: ResourceNotFoundException") && err.contains("the region aws_region"),
            "{err}"
        );
        assert!(err.contains("'ddum tables create' makes missing tables"), "{line}: {err}");
    }
    let nobody = Office::configured("nobody", "http://127.0.0.1:9", &json!({}));
    let err = nobody.fails("user list", 75);
    assert!(err.contains("Connection refused"), "{err}");
    let config = json!({"endpoint_url": emulator.url(), "aws_region": "eu-west-1"});
    std::fs::write(nobody.0.join("ddum.cfg"), config.to_string()).unwrap();
    let mut command = nobody.command("user list");
    command.env_clear().env("HOME", &nobody.0).env("AWS_EC2_METADATA_DISABLED", "true");
    let (status, out, err) = end("user list", command.spawn().unwrap());
    assert!(status == 1 && err.contains("no AWS credentials") && err.contains("aws_access_key"), "{out}{err}");
    for (code, says) in [
        ("ExpiredTokenException", "need renewal"),
        ("UnrecognizedClientException", "is not known in eu-west-1"),
        ("InvalidSignatureException", "the clock is wrong"),
    ] {
        let proxy = Proxy::start(&emulator.url(), move |_| Some(exception(code, "No")));
        let err = Office::new("credentials", &proxy.url()).fails("user set alice --shell /bin/sh", 1);
        assert!(err.contains(says), "{err}");
    }
}
