//! Two at the same item, or after the same number.

use std::collections::BTreeSet;
use std::process::Child;
use std::sync::Mutex;

use serde_json::json;

use super::office::*;
use super::support::emulator::Emulator;
use super::support::proxy::{Proxy, operation};
use super::support::{group_item, user_item};

#[test]
fn of_two_who_change_an_item_the_second_gets_a_conflict() {
    for (line, change, status, says) in [
        (
            "user set alice --shell /bin/zsh",
            json!({"UpdateExpression": "SET Shell = :v", "ExpressionAttributeValues": {":v": {"S": "/bin/ksh"}}}),
            1,
            "conflict: somebody else changed Shell of user alice in the meantime; nothing was written; see 'ddum user show alice'",
        ),
        // What is not touched may change.
        (
            "user set alice --shell /bin/zsh",
            json!({"UpdateExpression": "SET Home = :v", "ExpressionAttributeValues": {":v": {"S": "/x"}}}),
            0,
            "",
        ),
        // The other one did the same.
        (
            "user set alice --shell /bin/zsh",
            json!({"UpdateExpression": "SET Shell = :v", "ExpressionAttributeValues": {":v": {"S": "/bin/zsh"}}}),
            0,
            "",
        ),
        (
            "user expire alice 2030-01-01",
            json!({"UpdateExpression": "SET AccountExpireDate = :v", "ExpressionAttributeValues": {":v": {"S": "2020-01-01"}}}),
            1,
            "somebody else changed AccountExpireDate",
        ),
        (
            "user delete alice --yes",
            json!({"UpdateExpression": "SET UID = :v", "ExpressionAttributeValues": {":v": {"N": "2009"}}}),
            1,
            "nothing was deleted",
        ),
        (
            "key disable alice laptop",
            json!({"UpdateExpression": "DELETE SSHPublicKeys :v", "ExpressionAttributeValues": {":v": {"SS": [LAPTOP]}}}),
            1,
            "somebody else changed the keys of alice",
        ),
        // As when the answer is lost and the request is made again.
        (
            "key disable alice laptop",
            json!({
                "UpdateExpression": "DELETE SSHPublicKeys :v ADD DisabledSSHPublicKeys :v",
                "ExpressionAttributeValues": {":v": {"SS": [LAPTOP]}},
            }),
            0,
            "",
        ),
    ] {
        let emulator = std::sync::Arc::new(Emulator::with_tables());
        let mut alice = user_item("alice", 2001);
        alice["SSHPublicKeys"] = json!({"SS": [LAPTOP]});
        emulator.put("Users", &[alice]);
        let mut change = change;
        change["TableName"] = json!("Users");
        change["Key"] = json!({"Name": {"S": "alice"}});
        let once = Mutex::new(Some(change));
        let behind = std::sync::Arc::clone(&emulator);
        let proxy = Proxy::start(&emulator.url(), move |request| {
            if matches!(operation(request), "UpdateItem" | "DeleteItem")
                && let Some(change) = once.lock().unwrap().take()
            {
                behind.call("UpdateItem", &change);
            }
            None
        });
        let office = Office::new("conflict", &proxy.url());
        let (got, out, err) = office.run(line);
        assert_eq!(got, status, "{line}: {out}{err}");
        assert!(err.contains(says), "{line}: {err}");
        assert!(status == 0 || out.is_empty(), "{line}: {out}");
    }
}

#[test]
fn an_item_that_is_gone_is_not_half_made_again() {
    let emulator = std::sync::Arc::new(Emulator::with_tables());
    let behind = std::sync::Arc::clone(&emulator);
    let proxy = Proxy::start(&emulator.url(), move |request| {
        if operation(request) == "UpdateItem" {
            behind.delete("Users", "alice");
            behind.delete("Groups", "dev");
        }
        None
    });
    let office = Office::new("gone", &proxy.url());
    for (line, says) in [
        ("user set alice --shell /bin/zsh", "somebody deleted user alice"),
        ("key add alice laptop.pub", "there is no user alice"),
        ("group join dev alice", "there is no group dev"),
    ] {
        emulator.put("Users", &[user_item("alice", 2001)]);
        emulator.put("Groups", &[group_item("dev", 3000, &[])]);
        let (status, out, err) = office.run(line);
        assert!(status == 1 && err.contains(says), "{line}: {out}{err}");
        assert!(items(&emulator, "Users").len() + items(&emulator, "Groups").len() <= 1, "{line}");
    }
}

#[test]
fn who_adds_at_the_same_time_never_gets_the_same_uid() {
    let emulator = Emulator::with_tables();
    let office = Office::new("race", &emulator.url());
    for round in 0..12 {
        let lines = [format!("user add a{round}"), format!("user add b{round}")];
        let children: Vec<Child> = lines.iter().map(|line| office.start(line)).collect();
        for (line, child) in lines.iter().zip(children) {
            let (status, out, err) = end(line, child);
            assert_eq!(status, 0, "{line}: {out}{err}");
            // What is told is what is stored.
            let name = line.rsplit(' ').next().unwrap();
            let uid = item(&emulator, "Users", name)["UID"]["N"].as_str().unwrap().to_owned();
            assert!(out.starts_with(&format!("+ user {name}: uid {uid}, gid {uid}, ")), "{out}");
            assert_eq!(item(&emulator, "Groups", name)["GID"]["N"], uid.as_str());
        }
        let uids = uids(&emulator);
        assert_eq!(uids.iter().collect::<BTreeSet<_>>().len(), uids.len(), "round {round}: {uids:?}");
    }
}

#[test]
fn a_uid_that_two_ask_for_is_never_given_to_both() {
    let emulator = Emulator::with_tables();
    let office = Office::new("claim", &emulator.url());
    for round in 0..10 {
        let lines = ["a", "b"].map(|name| format!("user add {name}{round} --uid {}", 3000 + round));
        let children: Vec<Child> = lines.iter().map(|line| office.start(line)).collect();
        let mut done = 0;
        for (line, child) in lines.iter().zip(children) {
            let (status, out, err) = end(line, child);
            match status {
                0 => done += 1,
                1 => assert!(err.contains("at the same time") || err.contains("is that of"), "{line}: {out}{err}"),
                _ => panic!("{line}: {out}{err}"),
            }
        }
        let have = uids(&emulator).iter().filter(|uid| **uid == (3000 + round).to_string()).count();
        assert_eq!(have, done, "round {round}");
        assert!(have <= 1, "round {round}");
    }
}

#[test]
fn of_two_who_add_one_name_one_succeeds() {
    let emulator = Emulator::with_tables();
    let office = Office::new("name", &emulator.url());
    for round in 0..8 {
        let lines = ["/bin/sh", "/bin/zsh"].map(|shell| format!("user add u{round} --shell {shell}"));
        let children: Vec<Child> = lines.iter().map(|line| office.start(line)).collect();
        let ends: Vec<_> = lines.iter().zip(children).map(|(line, child)| end(line, child)).collect();
        let won: Vec<_> = ends.iter().filter(|(status, ..)| *status == 0).collect();
        assert_eq!(won.len(), 1, "{ends:?}");
        let lost = ends.iter().find(|(status, ..)| *status == 1).unwrap();
        assert!(lost.2.contains(&format!("there is a user u{round} already")), "{lost:?}");
        let shell = item(&emulator, "Users", &format!("u{round}"))["Shell"]["S"].as_str().unwrap().to_owned();
        assert!(won[0].1.contains(&format!("shell {shell}\n")), "{won:?}");
    }
}

#[test]
fn many_join_a_group_at_once_and_none_is_lost() {
    let emulator = Emulator::with_tables();
    emulator.put("Groups", &[group_item("dev", 3000, &["gone0", "gone1", "gone2"])]);
    let office = Office::new("join", &emulator.url());
    let lines: Vec<String> = (0..6)
        .map(|n| format!("group join dev new{n}"))
        .chain((0..3).map(|n| format!("group leave dev gone{n}")))
        .collect();
    let children: Vec<Child> = lines.iter().map(|line| office.start(line)).collect();
    for (line, child) in lines.iter().zip(children) {
        let (status, out, err) = end(line, child);
        assert_eq!(status, 0, "{line}: {out}{err}");
    }
    let members = json!({"SS": (0..6).map(|n| format!("new{n}")).collect::<Vec<_>>()});
    assert_eq!(item(&emulator, "Groups", "dev")["Members"], members);
}
