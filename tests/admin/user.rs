//! `ddum user`.

use serde_json::json;

use super::office::*;
use super::support::emulator::Emulator;
use super::support::{group_item, user_item};

#[test]
fn a_user_is_added_with_what_hosts_need() {
    let emulator = Emulator::with_tables();
    let office = Office::new("add", &emulator.url());
    assert_eq!(
        office.done("user add alice --key laptop.pub"),
        format!(
            "+ user alice: uid 2000, gid 2000, home /home/alice, shell /bin/bash\n+ group alice: gid 2000\n\
             ~ keys alice: +{LAPTOP_PRINT} (laptop)\n"
        )
    );
    let want = json!({
        "Name": {"S": "alice"}, "UID": {"N": "2000"}, "GID": {"N": "2000"}, "RealName": {"S": ""},
        "Home": {"S": "/home/alice"}, "Shell": {"S": "/bin/bash"}, "SSHPublicKeys": {"SS": [LAPTOP]},
    });
    assert_eq!(item(&emulator, "Users", "alice"), want);
    assert_eq!(item(&emulator, "Groups", "alice"), json!({"Name": {"S": "alice"}, "GID": {"N": "2000"}}));

    office.done("group add dev --gid 3000");
    office.done("group add ops");
    let line = "user add bob --uid 2500 --group dev --groups ops,dev --real-name Bob --home /srv//bob/ --shell /bin/sh \
                --expires 20311231 --min-days 1 --max-days 90 --warn-days 7 --disable-days 30 --password-hash-stdin";
    let (status, out, err) = office.given(line, &format!("{HASH}\n"));
    assert_eq!(status, 0, "{out}{err}");
    assert_eq!(
        out,
        "+ user bob: uid 2500, gid 3000, home /srv/bob, shell /bin/sh, expires 2031-12-31\n~ group ops: +bob\n\
         ~ group dev: +bob\n"
    );
    let bob = item(&emulator, "Users", "bob");
    for (attribute, value) in [
        ("GID", json!({"N": "3000"})),
        ("Home", json!({"S": "/srv/bob"})),
        ("AccountExpireDate", json!({"S": "2031-12-31"})),
        ("PasswordAgeMinDays", json!({"N": "1"})),
        ("PasswordAgeMaxDays", json!({"N": "90"})),
        ("PasswordWarnDays", json!({"N": "7"})),
        ("PasswordDisableDays", json!({"N": "30"})),
        ("Password", json!({"S": HASH})),
    ] {
        assert_eq!(bob[attribute], value, "{attribute}");
    }
    assert!(bob["LastPasswordChangeDate"]["S"].as_str().unwrap().len() == 10);
    assert_eq!(item(&emulator, "Groups", "ops")["Members"], json!({"SS": ["bob"]}));
    // Above all that are taken, groups included.
    assert!(office.done("user add carol").starts_with("+ user carol: uid 3002, gid 3002,"));
    assert!(office.given("user add dave --gid 100 --key -", PHONE).1.contains("(phone)"));
}

#[test]
fn attributes_are_set_and_unset_and_told() {
    let emulator = Emulator::with_tables();
    let mut alice = user_item("alice", 2001);
    alice["Custom"] = json!({"S": "kept"});
    emulator.put("Users", &[alice]);
    let office = Office::new("set", &emulator.url());
    for (line, want) in [
        (
            "user set alice --shell /bin/zsh --real-name Alice",
            "~ user alice: real name Alice; shell /bin/sh -> /bin/zsh\n",
        ),
        ("user set alice --shell /bin/zsh", ""),
        (
            "user set alice --uid 2002 --gid 100 --max-days 90",
            "~ user alice: uid 2001 -> 2002; gid 2001 -> 100; max days 90\n",
        ),
        (
            "user set alice --unset max-days --unset RealName",
            "~ user alice: real name Alice removed; max days 90 removed\n",
        ),
        ("user expire alice 20300101", "~ user alice: expires 2030-01-01\n"),
        ("user expire alice 2030-01-01", ""),
        ("user enable alice", "~ user alice: expires 2030-01-01 removed\n"),
        ("user enable alice", ""),
    ] {
        assert_eq!(office.done(line), want, "{line}");
    }
    let (_, out, _) = office.given("user set alice --password-hash-stdin", HASH);
    assert!(out.starts_with("~ user alice: password changed; password of 20"), "{out}");
    assert_eq!(office.done("user set alice --unset Password --unset password-changed").matches("removed").count(), 2);
    office.done("user expire alice");
    let shown = office.done("user show alice");
    assert!(shown.lines().any(|line| line.starts_with("Expires: ") && line.ends_with(", closed")), "{shown}");
    assert_eq!(office.done("user list --expired").lines().count(), 2);
    assert_eq!(item(&emulator, "Users", "alice")["Custom"], json!({"S": "kept"}));

    let (status, out, err) = office.run("user delete alice --yes");
    assert_eq!((status, out.as_str()), (0, "- user alice\n"), "{err}");
    assert_eq!(items(&emulator, "Users").len(), 0);
    emulator.put("Users", &[user_item("bob", 2001)]);
    emulator.put("Groups", &[group_item("dev", 3000, &["bob"])]);
    let (_, _, err) = office.run("user delete bob --yes");
    assert!(err.contains("hosts keep the account") && err.contains("ddum user expire bob"), "{err}");
    assert!(err.contains("ddum group leave dev bob"), "{err}");
}
