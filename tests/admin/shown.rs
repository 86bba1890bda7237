//! What `list` and `show` print.

use serde_json::{Value, json};

use super::office::*;
use super::support::emulator::Emulator;
use super::support::{group_item, user_item};

#[test]
fn lists_and_items_are_shown_for_people_and_programs() {
    let emulator = Emulator::with_tables();
    let mut alice = user_item("alice", 2001);
    alice["Password"] = json!({"S": HASH});
    alice["SSHPublicKeys"] = json!({"SS": [LAPTOP, "nonsense"]});
    alice["DisabledSSHPublicKeys"] = json!({"SS": [PHONE]});
    let mut eve = user_item("eve", 2003);
    eve["Shell"] = json!({"S": "bash"});
    eve["Password"] = json!({"S": HASH});
    emulator.put("Users", &[alice, user_item("bob", 2002), eve]);
    emulator.put("Groups", &[group_item("dev", 3000, &["alice"]), group_item("bob", 2002, &[])]);
    let office = Office::new("show", &emulator.url());
    let (status, out, _) = office.run("user list");
    assert_eq!(status, 3);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "NAME   UID   GID   KEYS  EXPIRES  HOME         SHELL    REAL NAME");
    assert_eq!(lines[1], "alice  2001  2001  1     never    /home/alice  /bin/sh");
    assert!(lines[3].starts_with("! user alice: SSHPublicKeys") && lines[4].starts_with("! user eve: Shell"), "{out}");
    for (filter, want) in [
        ("--without-keys", "bob"),
        ("--group dev", "alice"),
        ("--group bob", "bob"),
        ("a*", "alice"),
        ("bob nobody", "bob"),
        ("--uid-range 2002-2002", "bob"),
        ("--expired", ""),
    ] {
        let (_, out, err) = office.run(&format!("user list --json {filter}"));
        let list: Value = serde_json::from_str(&out).unwrap_or_else(|why| panic!("{filter}: {why}: {out}{err}"));
        let names: Vec<&str> = list["users"].as_array().unwrap().iter().map(|u| u["name"].as_str().unwrap()).collect();
        assert_eq!(names.join(" "), want, "{filter}");
    }
    let (_, out, _) = office.run("user show alice --json");
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&shown["uid"], &shown["password"], &shown["groups"]), (&json!(2001), &json!("set"), &json!(["dev"])));
    assert_eq!((&shown["keys"][0]["fingerprint"], &shown["keys"][0]["bits"]), (&json!(LAPTOP_PRINT), &json!(256)));
    assert_eq!(shown["disabled_keys"][0]["comment"], "phone");
    let (status, out, _) = office.run("user show eve");
    assert!(status == 3 && out.contains("Shell:      bash\n") && out.contains("! user eve: Shell: "), "{out}");
    for line in ["group list --json", "group show dev --json", "key list alice --json", "key list bob --json"] {
        assert!(serde_json::from_str::<Value>(&office.done(line)).unwrap().is_object(), "{line}");
    }
    assert_eq!(office.done("user show bob").lines().next(), Some("Name:       bob"));
    // As a process leaves them that was killed while it looked for another number.
    emulator.put("Users", &[user_item("carl", 2002)]);
    emulator.put("Groups", &[group_item("ops", 3000, &[])]);
    let (status, out, _) = office.run("user list");
    assert_eq!(status, 3);
    let want = "! user carl: UID: 2002 is also that of bob, and hosts refuse whom they do not know with it; 'ddum user set \
                carl --uid auto' gives another\n";
    assert!(out.contains(want) && out.contains("! user bob: UID: 2002 is also that of carl, "), "{out}");
    assert_eq!(office.done("user set carl --uid auto"), "~ user carl: uid 2002 -> 3001\n");
    let (status, out, _) = office.run("group list");
    assert!(status == 3 && out.contains("! group dev: GID: 3000 is also that of ops, "), "{out}");
    let told: Value = serde_json::from_str(&office.done("group set ops --gid auto --json")).unwrap();
    assert_eq!(told["changes"][0]["text"], "gid 3000 -> 3002");
    // What is wrong is mended by the command that sets it.
    assert_eq!(office.done("user set eve --shell /bin/bash"), "~ user eve: shell bash -> /bin/bash\n");
}
