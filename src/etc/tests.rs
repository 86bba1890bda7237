use super::*;

/// What `find` says, in short.
fn verdict<E: Entry>(file: &[u8], name: &str) -> &'static str {
    match Lines::<E>::parse(file.to_vec()).unwrap().find(name) {
        Found::Absent => "absent",
        Found::Entry(_) => "entry",
        Found::Unclear { why, .. } if why.contains("the shadow tools do not") => "C library only",
        Found::Unclear { why, .. } if why.contains("the C library does not") => "shadow tools only",
        Found::Unclear { why, .. } if why.contains("nothing can read it") => "nobody",
        Found::Unclear { why, .. } if why.contains("backslash") => "joined",
        Found::Unclear { why, .. } if why.contains("is also on line") => "twice",
        Found::Unclear { why, .. } => panic!("{why}"),
    }
}

fn person(name: &str) -> PasswdEntry {
    PasswdEntry {
        name: name.to_owned(),
        password: b"x".to_vec(),
        uid: 4000,
        gid: 4000,
        gecos: Vec::new(),
        home: b"/home/a".to_vec(),
        shell: Vec::new(),
    }
}

fn team(name: &str) -> GroupEntry {
    GroupEntry {
        name: name.to_owned(),
        password: b"x".to_vec(),
        gid: 4000,
        members: vec![b"a".to_vec(), b"b".to_vec()],
    }
}

#[test]
fn a_line_of_passwd_is_an_entry_only_where_both_readers_take_it() {
    for (line, expected) in [
        ("a:x:1:2:g:/h:/s", "entry"),
        ("a:x:1:2:g:/h:/s\r", "entry"),
        ("a:x:001:2:::", "entry"),
        ("a::1:2:::", "entry"),
        ("a:x:4294967294:0:::", "entry"),
        ("a:x:4294967295:0:::", "C library only"),
        ("a:x:4294967296:0:::", "nobody"),
        ("a:x:1:2:g:/h", "C library only"),
        ("a:x:1:2", "C library only"),
        ("a:x:1:2:g:/h:/s:", "C library only"),
        ("a:x:+1:2:::", "C library only"),
        ("a:x: 1:2:::", "C library only"),
        ("a:x:-1:2:::", "nobody"),
        ("a:x:0x10:2:::", "nobody"),
        ("a:x:1:two:::", "nobody"),
        ("a:x:1 :2:::", "nobody"),
        ("a:x::2:::", "nobody"),
        ("a:x:1", "nobody"),
        ("a", "nobody"),
        (" a:x:1:2:::", "C library only"),
        ("\x0ba:x:1:2:::", "C library only"),
        ("#a:x:1:2:::", "absent"),
        ("+a:x:1:2:::", "absent"),
        ("-a", "absent"),
        ("A:x:1:2:::", "absent"),
        ("a:x:1:2:::\na:x:3:4:::", "twice"),
        ("a:x:1:2:::\n a:x:3:4:::", "twice"),
        ("a:x:1:2:::\na", "twice"),
        ("", "absent"),
        ("\n\n", "absent"),
    ] {
        assert_eq!(verdict::<PasswdEntry>(line.as_bytes(), "a"), expected, "{line:?}");
    }
}

#[test]
fn a_line_that_is_too_long_for_the_shadow_tools_is_unclear() {
    for (length, expected) in [(32767, "entry"), (32768, "C library only")] {
        let line = format!("a:x:1:2:{}:/:", "g".repeat(length - 11));
        assert_eq!(line.len(), length);
        assert_eq!(verdict::<PasswdEntry>(line.as_bytes(), "a"), expected);
        let line = format!("a:{}:::::::", "h".repeat(length - 9));
        assert_eq!(verdict::<ShadowEntry>(line.as_bytes(), "a"), expected);
        let line = format!("a:x:1:{}", "m".repeat(length - 6));
        assert_eq!(verdict::<GroupEntry>(line.as_bytes(), "a"), "entry");
    }
}

#[test]
fn a_line_of_shadow_is_an_entry_only_where_both_readers_take_it() {
    for (line, expected) in [
        ("a:*:19000:0:99999:7:::", "entry"),
        ("a:::::::: ", "nobody"),
        ("a::::::::", "entry"),
        ("a:*:19000:0:99999:7:10:20000:134", "entry"),
        ("a:*:19000:0:99999", "entry"),
        ("a:*:19000:0:99999:7:10:20000", "entry"),
        ("a:*:19000:0:99999:7::", "shadow tools only"),
        ("a:*:19000:0:99999:", "C library only"),
        ("a:*:19000:0:", "shadow tools only"),
        ("a:*:19000:0:99999:7", "nobody"),
        ("a:*:-1:0:99999:7:::", "C library only"),
        ("a:*:+1:0:99999:7:::", "C library only"),
        ("a:*:010:0:99999:7:::", "C library only"),
        ("a:*:19000:0:99999:7:::\r", "nobody"),
        ("a:*:x:0:99999:7:::", "nobody"),
        ("a:*:19000:0:99999:7::::", "nobody"),
        ("a:*", "nobody"),
    ] {
        assert_eq!(verdict::<ShadowEntry>(line.as_bytes(), "a"), expected, "{line:?}");
    }
}

#[test]
fn a_line_of_group_or_gshadow_is_an_entry_only_where_both_readers_take_it() {
    for (line, expected) in [
        ("a:x:1:", "entry"),
        ("a:x:1: m , ,n,\r", "entry"),
        ("a:x:1", "C library only"),
        ("a:x:1:m:n", "C library only"),
        ("a:x:+1:m", "C library only"),
        ("a:x::m", "nobody"),
        ("a:x:1:m\\", "joined"),
        ("b:x:1:\\\na:x:2:", "joined"),
        ("b\\\na:x:2:\nc:x:3:", "joined"),
        ("# b \\\n\\\na:x:2:", "joined"),
        ("b:x:1:\\\nc:x:2:\na:x:3:", "entry"),
        ("b:x:1:\\\r\na:x:3:", "entry"),
    ] {
        assert_eq!(verdict::<GroupEntry>(line.as_bytes(), "a"), expected, "{line:?}");
    }
    assert_eq!(verdict::<GroupEntry>(b"b\\\na:x:2:\nc:x:3:", "ba"), "joined");
    for (line, expected) in [
        ("a:!::", "entry"),
        ("a:!:x,y:z", "entry"),
        ("a:!:", "C library only"),
        ("a:!:::", "C library only"),
        ("a:!::\\", "joined"),
    ] {
        assert_eq!(verdict::<GshadowEntry>(line.as_bytes(), "a"), expected, "{line:?}");
    }
}

#[test]
fn the_line_at_fault_is_named_and_not_quoted() {
    let file = b"#\na:$6$secret:1:0:9:7:::\nb:$6$secret:1\na:$6$secret:1:0:9:7:::\n";
    let lines = Lines::<ShadowEntry>::parse(file.to_vec()).unwrap();
    let twice = Found::Unclear { line: 4, why: "the name is also on line 2".to_owned() };
    assert_eq!(lines.find("a"), twice);
    let Found::Unclear { line: 3, why } = lines.find("b") else { panic!("{:?}", lines.find("b")) };
    assert_eq!(why, "it has 3 fields instead of 9: nothing can read it");
    let error = Lines::<ShadowEntry>::parse(b"a\n$6$secret\0".to_vec()).unwrap_err();
    assert_eq!(error, "shadow: line 2 holds a NUL byte, the file is not written");
}

#[test]
fn no_debug_output_holds_a_password() {
    let shadow = Lines::<ShadowEntry>::parse(b"a:$6$secret:1:0:9:7:::\n".to_vec()).unwrap();
    let gshadow = Lines::<GshadowEntry>::parse(b"a:$6$secret:b:c\n".to_vec()).unwrap();
    let passwd = Lines::<PasswdEntry>::parse(b"a:$6$secret:1:2:::\n".to_vec()).unwrap();
    let group = Lines::<GroupEntry>::parse(b"a:$6$secret:1:b\n".to_vec()).unwrap();
    let found = format!("{:?}{:?}{:?}{:?}", shadow.find("a"), gshadow.find("a"), passwd.find("a"), group.find("a"));
    assert_eq!(found.matches("password: \"(hidden)\"").count(), 4, "{found}");
    let all = found + &format!("{:?}", Databases { passwd, shadow, group, gshadow: Some(gshadow) });
    assert!(!all.contains("secret"), "{all}");
}

#[test]
fn ids_are_taken_if_either_reader_sees_them() {
    let file = "a:x:1:100:::\nb:x:+2:100\n c:x:3:100:::\n#d:x:4:100:::\n+e:x:5:100:::\nf:x:0x6:100:::\n\
                g:x:-18446744073709551609:100\nh:x:4294967295:1:::\nj:x:9:none:::\n";
    let mut lines = Lines::<PasswdEntry>::parse(file.into()).unwrap();
    lines.set(&person("a"));
    lines.set(&PasswdEntry { uid: 4001, ..person("z") });
    let ids: Vec<String> = lines.ids().iter().map(|(id, name, line)| format!("{id} {name} {line}")).collect();
    assert_eq!(ids, ["4000 a 1", "2 b 2", "3 c 3", "4 #d 4", "7 g 7", "4294967295 h 8", "4001 z 0"]);

    let lines = Lines::<GroupEntry>::parse(b"a:x:5\\\n0:\nb:x:6:\n".to_vec()).unwrap();
    let ids: Vec<u32> = lines.ids().into_iter().map(|(id, ..)| id).collect();
    assert_eq!(ids, [50, 6], "the first two lines are the group a with gid 50 to some shadow tools");
}

#[test]
fn names_are_what_either_reader_sees_and_entries_what_both_see_once() {
    let file = b"b:x:1:1:::\na:x:1:1:::\n c:x:1:1:::\nd:x:1:1\ne\n#\nb:x:1:1:::\n\xff:x:1:1:::\n+\n".to_vec();
    let mut lines = Lines::<PasswdEntry>::parse(file).unwrap();
    assert!(lines.set(&person("n")));
    let names: Vec<String> = lines.names().map(|name| name.escape_ascii().to_string()).collect();
    assert_eq!(names, [" c", "a", "b", "b", "c", "d", "\\xff", "n"]);
    let entries: Vec<String> = lines.entries().map(|entry| entry.name).collect();
    assert_eq!(entries, ["a", "n"]);
}

#[test]
fn a_new_line_goes_before_nis_lines_and_never_behind_a_backslash() {
    for (before, after) in [
        ("", "n:x:4000:a,b\n"),
        ("x:x:1:", "x:x:1:\nn:x:4000:a,b\n"),
        ("x:x:1:\n+\n", "x:x:1:\nn:x:4000:a,b\n+\n"),
        ("-x\n\n+", "n:x:4000:a,b\n-x\n\n+\n"),
        ("x:x:1:\ny:x:2:\\\n", "x:x:1:\nn:x:4000:a,b\ny:x:2:\\\n"),
        ("x:x:1:\\\ny:x:2:\\\n+\n", "n:x:4000:a,b\nx:x:1:\\\ny:x:2:\\\n+\n"),
        ("x:x:1:\r\n# end", "x:x:1:\r\n# end\nn:x:4000:a,b\n"),
    ] {
        let mut lines = Lines::<GroupEntry>::parse(before.into()).unwrap();
        assert!(lines.set(&team("n")));
        assert_eq!(String::from_utf8(lines.to_bytes()).unwrap(), after);
        assert_eq!(lines.verify(), Ok(()));
    }
}

#[test]
fn a_line_is_changed_only_where_a_byte_of_it_is() {
    let mut lines = Lines::<PasswdEntry>::parse(b"# a\na:x:4000:4000::/home/a:\nb:x:1:1:::".to_vec()).unwrap();
    assert!(!lines.set(&person("a")));
    assert!(!lines.is_changed());
    assert!(lines.to_bytes().ends_with(b"b:x:1:1:::"), "no change, no final newline");

    assert!(lines.set(&PasswdEntry { uid: 5, ..person("a") }));
    assert!(!lines.set(&PasswdEntry { uid: 5, ..person("a") }));
    assert_eq!(lines.to_bytes(), b"# a\na:x:5:4000::/home/a:\nb:x:1:1:::\n");
    assert_eq!(lines.find("a"), Found::Entry(PasswdEntry { uid: 5, ..person("a") }));

    assert!(lines.set(&person("a")), "and back again");
    assert!(!lines.is_changed());

    assert!(lines.set(&person("n")));
    assert!(lines.set(&PasswdEntry { uid: 6, ..person("n") }));
    assert!(!lines.set(&PasswdEntry { uid: 6, ..person("n") }));
    assert!(lines.to_bytes().ends_with(b"b:x:1:1:::\nn:x:6:4000::/home/a:\n"));
}

#[test]
fn a_name_that_is_unclear_is_not_touched() {
    for file in ["a:x:1\n", "a:x:1:2:::\na:x:1:2:::\n", " a:x:1:2:::\n", "a:x:+1:2:::\n"] {
        let mut lines = Lines::<PasswdEntry>::parse(file.into()).unwrap();
        assert!(!lines.set(&person("a")), "{file}");
        assert!(!lines.is_changed(), "{file}");
    }
}

#[test]
fn an_entry_that_is_no_single_line_does_not_pass_the_last_check() {
    for shell in ["/bin/sh\nroot2:x:0:0:::", "/bin/sh:"] {
        let mut lines = Lines::<PasswdEntry>::parse(b"b:x:1:1:::\n".to_vec()).unwrap();
        lines.set(&PasswdEntry { shell: shell.into(), ..person("a") });
        assert!(lines.verify().is_err(), "{shell}");
    }
}

#[test]
fn members_are_read_as_the_c_library_reads_them() {
    let lines = Lines::<GroupEntry>::parse(b"g:x:5:alice, daemon , ,bin\n".to_vec()).unwrap();
    let Found::Entry(group) = lines.find("g") else { panic!() };
    assert_eq!(group.members, [&b"alice"[..], b"daemon ", b"bin"]);
}

#[test]
fn a_line_that_says_the_same_in_other_bytes_is_left() {
    let mut lines = Lines::<GroupEntry>::parse(b"team:x:004000: a,b,\n".to_vec()).unwrap();
    assert!(!lines.set(&team("team")) && !lines.is_changed());
    let mut other = team("team");
    other.members.pop();
    assert!(lines.set(&other) && lines.is_changed());
    assert!(lines.set(&team("team")) && !lines.is_changed(), "set back: the line as it was");
}
