//! `ddum group`.

use serde_json::json;

use super::office::*;
use super::support::emulator::Emulator;
use super::support::user_item;

#[test]
fn groups_change_by_their_members() {
    let emulator = Emulator::with_tables();
    emulator.put("Users", &[user_item("alice", 2001), user_item("bob", 2002)]);
    let office = Office::new("group", &emulator.url());
    for (line, want) in [
        ("group add dev --members alice --administrators bob,alice", "+ group dev: gid 2003, members alice\n"),
        ("group join dev bob alice bob", "~ group dev: +bob\n"),
        ("group join dev bob", ""),
        ("group leave dev alice carol", "~ group dev: -alice\n"),
        ("group join dev carol --as-administrators", "~ group dev: administrators +carol\n"),
        ("group leave dev carol alice --as-administrators", "~ group dev: administrators -alice -carol\n"),
        ("group set dev --gid 4000 --members alice", "~ group dev: GID 2003 -> 4000; +alice -bob\n"),
        ("group leave dev alice", "~ group dev: -alice\n"),
        ("group set dev --members alice,bob --unset administrators", "~ group dev: administrators -bob; +alice +bob\n"),
    ] {
        assert_eq!(office.done(line).replace("gid 2003 ->", "GID 2003 ->"), want, "{line}");
    }
    assert_eq!(
        item(&emulator, "Groups", "dev"),
        json!({"Name": {"S": "dev"}, "GID": {"N": "4000"}, "Members": {"SS": ["alice", "bob"]}})
    );
    assert!(office.run("group join dev stranger").2.contains("no user stranger"));
    assert_eq!(
        office.done("group list d* x"),
        "NAME  GID   MEMBERS             ADMINISTRATORS\ndev   4000  alice,bob,stranger  -\n"
    );
    assert!(office.done("group show dev").contains("Members:         alice,bob,stranger\n"));
    let (status, out, err) = office.run("group delete dev --yes");
    assert!(status == 0 && out == "- group dev\n" && err.contains("hosts keep the group"), "{out}{err}");
}
