//! What is in the tables arrives, and is asked for as the configuration says.

use ddum::config::Config;
use ddum::table::Patience;
use serde_json::json;

use super::scan::*;
use super::support::emulator::Emulator;
use super::support::{group_item, user_item};

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
