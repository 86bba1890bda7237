use super::*;

fn files(passwd: &str, shadow: &str, group: &str, gshadow: &str) -> Files {
    Files {
        passwd: Some(Lines::parse(passwd.into()).unwrap()),
        shadow: Some(Lines::parse(shadow.into()).unwrap()),
        group: Some(Lines::parse(group.into()).unwrap()),
        gshadow: Some(Lines::parse(gshadow.into()).unwrap()),
    }
}

fn which(all: bool) -> Which {
    Which { uid_min: 1000, gid_min: 1000, all, today: Day::parse("2026-11-22").unwrap() }
}

fn told(reversed: &Reversed) -> Vec<String> {
    reversed.refusals.iter().map(ToString::to_string).chain(reversed.notes.iter().cloned()).collect()
}

#[test]
fn every_field_becomes_its_attribute() {
    let files = files(
        "root:x:0:0:root:/root:/bin/bash\nann:x:1001:100:Ann:/home/ann:/bin/sh\n",
        "ann:$6$s$h:20156:1:90:7:14:21000:\n",
        "ops:x:3000:ann\n",
        "ops:$6$g$h:ann:ann\n",
    );
    let reversed = reverse(&files, which(false));
    let [ann] = &reversed.users[..] else { panic!("{reversed:?}") };
    assert_eq!((ann.uid.get(), ann.gid.get(), ann.home.as_str()), (1001, 100, "/home/ann"));
    assert_eq!(ann.password.as_ref().unwrap().expose(), "$6$s$h");
    assert_eq!(
        (ann.min_age, ann.max_age, ann.warn_period, ann.inactivity_period),
        (Some(1), Some(90), Some(7), Some(14))
    );
    assert_eq!(ann.last_change.unwrap().to_string(), "2025-03-09");
    assert_eq!(ann.expire_date.unwrap().number(), 21000);
    let [ops] = &reversed.groups[..] else { panic!("{reversed:?}") };
    assert_eq!(ops.password.as_ref().unwrap().expose(), "$6$g$h");
    assert_eq!((ops.administrators.len(), ops.members[0].as_str()), (1, "ann"));
    assert_eq!(told(&reversed), Vec::<String>::new());
}

#[test]
fn what_an_item_cannot_say_is_said() {
    let long = "9".repeat(9);
    let passwd = |name: &str| format!("{name}:x:1001:1001::/home/x:/bin/sh\n");
    for (line, shadow, want) in [
        (passwd("ann"), "", "has no line in shadow"),
        (passwd("ann"), "ann::1::::::\n", "password is empty"),
        (passwd("ann"), "ann:hunter2:1::::::\n", "no hash of crypt(5)"),
        (passwd("ann"), "ann:*:0::::::\n", "must change its password"),
        (passwd("ann"), "ann:*:99999::::::\n", "in the future"),
        (passwd("ann"), &format!("ann:*:1:{long}:::::\n"), "PasswordAgeMinDays is 999999999; exported as 99999"),
        (passwd("ann"), &format!("ann:*:1:::::{long}:\n"), "without AccountExpireDate"),
        (format!(" {}", passwd("ann")), "", "line 1: it begins with a blank"),
        (passwd("ann$"), "", "! user ann$: Name: it holds '$'"),
        ("ann:x:1001:65535::/h:/bin/sh\n".into(), "", "GID: 65535"),
        ("ann:x:1001:1:a\tb:/h:/bin/sh\n".into(), "", "RealName: "),
        ("ann:x:1001:1::h:/bin/sh\n".into(), "", "Home: "),
        (format!("{}{}", passwd("ann"), passwd("ann")), "", "the name is also on line 1; not exported"),
    ] {
        let reversed = reverse(&files(&line, shadow, "", ""), which(false));
        let told = told(&reversed).join("\n");
        assert!(told.contains(want), "{line}{shadow}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn the_systems_own_are_left_out_or_named_and_memberships_in_them_are_told() {
    let files = files(
        "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n#old:x:1002:1::/h:/s\nann:x:1001:1::/h:/s\n",
        "root:*:1::::::\nnobody:*:1::::::\nann:*:1::::::\n",
        "root:x:0:\nwheel:x:10:ann,root\nann:x:1001:\n",
        "wheel:!::ann,root\nann:!::\n",
    );
    let some = reverse(&files, which(false));
    assert_eq!((some.users.len(), some.groups.len()), (1, 1));
    assert_eq!(told(&some), ["group wheel: GID 10 is a system group's; not exported, with members ann"]);
    let all = reverse(&files, which(true));
    assert_eq!((all.users.len(), all.groups.len()), (3, 3));
    assert!(told(&all)[0].starts_with("2 system users are included, root among them; hosts refuse"), "{all:?}");
    assert_eq!(all.groups[2].password, None);
}
