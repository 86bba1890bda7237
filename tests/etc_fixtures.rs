//! The account files of real distributions, and one set that nobody should have, are read and written back.
//! Passwords in them are made up.
#![expect(clippy::unwrap_used, clippy::panic, reason = "functions shared by tests are not tests to clippy")]

use std::path::Path;

use ddum::etc::{Entry, Found, GroupEntry, GshadowEntry, Lines, PasswdEntry, ShadowEntry};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const SYSTEMS: [&str; 5] = ["debian", "fedora", "amazonlinux", "alpine", "ugly"];

/// The file of the fixture, or none where such a system has none.
fn read<E: Entry>(system: &str) -> Option<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/etc").join(system).join(E::FILE);
    path.exists().then(|| std::fs::read(&path).unwrap())
}

fn lines_of(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|&byte| byte == b'\n').collect()
}

fn user(name: &str) -> PasswdEntry {
    PasswdEntry {
        name: name.to_owned(),
        password: b"x".to_vec(),
        uid: 4242,
        gid: 4242,
        gecos: "Zoë".into(),
        home: b"/home/zoe".to_vec(),
        shell: b"/bin/sh".to_vec(),
    }
}

fn shadow(name: &str) -> ShadowEntry {
    ShadowEntry {
        name: name.to_owned(),
        password: b"*".to_vec(),
        last_change: b"20000".to_vec(),
        min_age: Vec::new(),
        max_age: b"99999".to_vec(),
        warn_period: b"7".to_vec(),
        inactivity_period: Vec::new(),
        expire_date: Vec::new(),
        reserved: Vec::new(),
    }
}

fn group(name: &str) -> GroupEntry {
    GroupEntry {
        name: name.to_owned(),
        password: b"x".to_vec(),
        gid: 4242,
        members: vec![b"rene".to_vec(), b"zoe".to_vec()],
    }
}

fn gshadow(name: &str) -> GshadowEntry {
    let GroupEntry { name, members, .. } = group(name);
    GshadowEntry { name, password: b"!".to_vec(), administrators: Vec::new(), members }
}

fn written<E: Entry>(entry: &E) -> Vec<u8> {
    let mut line = Vec::new();
    entry.write(&mut line);
    line
}

/// Reads and writes back, adds an entry, changes an entry: nothing else may move.
fn check<E: Entry>(system: &str, old: &str, make: fn(&str) -> E) {
    let Some(file) = read::<E>(system) else {
        assert_eq!((system, E::FILE), ("alpine", "gshadow"), "a fixture is missing");
        return;
    };
    let what = format!("{system}/{}", E::FILE);
    let before = lines_of(&file);
    let mut lines = Lines::<E>::parse(file.clone()).unwrap();
    assert!(lines.to_bytes() == file, "{what}: not written back as it was");

    let new = make("zoe");
    assert_eq!(lines.find("zoe"), Found::Absent, "{what}");
    assert!(lines.set(&new));
    assert_eq!(lines.find("zoe"), Found::Entry(new.clone()), "{what}");
    lines.verify().unwrap();
    let bytes = lines.to_bytes();
    let added = written(&new);
    let mut after = lines_of(&bytes);
    let at = after.iter().position(|line| *line == added).unwrap();
    let nis = before.iter().position(|line| line.starts_with(b"+") || line.starts_with(b"-"));
    assert_eq!(at, nis.unwrap_or(before.len()), "{what}: added in the wrong place");
    after.remove(at);
    assert!(after == before, "{what}: adding an entry changed another line");
    assert!(bytes.ends_with(b"\n"), "{what}");

    let mut lines = Lines::<E>::parse(file.clone()).unwrap();
    let changed = make(old);
    assert!(matches!(lines.find(old), Found::Entry(_)), "{what}: {:?}", lines.find(old));
    assert!(lines.set(&changed), "{what}");
    lines.verify().unwrap();
    let bytes = lines.to_bytes();
    let after = lines_of(&bytes);
    assert_eq!(after.len(), before.len(), "{what}");
    let differing: Vec<_> = (0..before.len()).filter(|&at| before[at] != after[at]).collect();
    let [at] = differing[..] else { panic!("{what}: lines {differing:?} differ") };
    assert_eq!(after[at], written(&changed), "{what}");
    assert!(before[at].starts_with(format!("{old}:").as_bytes()), "{what}");
}

#[test]
fn files_of_every_system_are_kept_line_by_line() {
    for system in SYSTEMS {
        let old = if system == "ugly" { "rene" } else { "daemon" };
        check(system, old, user);
        check(system, old, shadow);
        check(system, old, group);
        check(system, old, gshadow);
    }
}

#[test]
fn a_fresh_system_has_no_unclear_line() {
    fn clear<E: Entry>(system: &str) {
        let Some(file) = read::<E>(system) else { return };
        let lines = Lines::<E>::parse(file.clone()).unwrap();
        assert_eq!(lines.entries().count(), lines_of(&file).len(), "{system}/{}", E::FILE);
        for entry in lines.entries() {
            let line = written(&entry);
            assert!(lines_of(&file).contains(&&line[..]), "{system}: {entry:?} is not written as it was read");
        }
    }
    for system in &SYSTEMS[..4] {
        clear::<PasswdEntry>(system);
        clear::<ShadowEntry>(system);
        clear::<GroupEntry>(system);
        clear::<GshadowEntry>(system);
    }
}

/// The lines of the ugly fixture that nobody but a person may edit, and the names that are no problem.
#[test]
fn names_on_ugly_lines_are_unclear() {
    fn check<E: Entry>(unclear: &[(&str, usize)], clear: &[&str]) {
        let lines = Lines::<E>::parse(read::<E>("ugly").unwrap()).unwrap();
        for (name, expected) in unclear {
            match lines.find(name) {
                Found::Unclear { line, .. } => assert_eq!(line, *expected, "{}: {name}", E::FILE),
                other => panic!("{}: {name}: {other:?}", E::FILE),
            }
        }
        for name in clear {
            assert!(matches!(lines.find(name), Found::Entry(_)), "{}: {name}: {:?}", E::FILE, lines.find(name));
        }
        for name in ["alice", "mallory", "retired", "nobody-at-all", "#", "+"] {
            assert_eq!(lines.find(name), Found::Absent, "{}: {name}", E::FILE);
        }
    }
    check::<PasswdEntry>(
        &[
            ("lead", 10),
            ("short", 11),
            ("six", 12),
            ("eight", 13),
            ("nouid", 14),
            ("plus", 15),
            ("hex", 16),
            ("minus", 17),
            ("last", 18),
            ("beyond", 19),
            ("word", 20),
            ("twice", 24),
        ],
        &["root", "rene", "windows", "open", "HOST$", "user@corp", "CORP\\user", "back", "zeros", "after"],
    );
    check::<ShadowEntry>(
        &[("windows", 6), ("lead", 7), ("eight", 10), ("plus", 11), ("word", 13), ("octal", 16), ("twice", 18)],
        &["root", "rene", "short", "ninth", "open", "force", "HOST$", "user@corp", "CORP\\user", "eightfields"],
    );
    check::<GroupEntry>(
        &[
            ("wheel", 4),
            ("three", 9),
            ("five", 10),
            ("lead", 12),
            ("plus", 13),
            ("hex", 14),
            ("minus", 15),
            ("last", 16),
            ("twice", 18),
            ("joined", 19),
            ("b,c", 20),
        ],
        &["root", "everyone", "blanks", "hash", "windows", "HOST$", "domain users", "name\\only", "open", "after"],
    );
    check::<GshadowEntry>(
        &[("three", 7), ("five", 8), ("lead", 10), ("twice", 12), ("joined", 13)],
        &["root", "everyone", "blanks", "admins", "windows", "open", "HOST$", "after"],
    );
}

#[test]
fn a_large_group_and_a_ninth_field_are_read_whole() {
    let lines = Lines::<GroupEntry>::parse(read::<GroupEntry>("ugly").unwrap()).unwrap();
    let Found::Entry(everyone) = lines.find("everyone") else { panic!() };
    assert_eq!((everyone.gid, everyone.members.len(), &everyone.members[1999][..]), (3000, 2000, &b"u1999"[..]));
    let lines = Lines::<ShadowEntry>::parse(read::<ShadowEntry>("ugly").unwrap()).unwrap();
    let Found::Entry(ninth) = lines.find("ninth") else { panic!() };
    assert_eq!(ninth.reserved, b"134540356");
}

/// Bytes that look enough like account files to be interesting, and any others but NUL.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "a", "b", "zoe", "root", ":", "::", ":x:", "1000", "0", "-1", ":::::::", "\n", "\n", "\n", "\n+", "\n-", "\n#",
            "\n ", "\\\n", "\r\n", ",", " ", "\t", "a:x:1:1:::\n", "a:*:1:0:9:7:::\n", "a:x:1:b,c\n", "a:!::b\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(1..=u8::MAX, 0..8),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// What must hold of every file: it comes back, and setting an entry moves nothing else.
fn holds<E: Entry>(file: &[u8], entry: &E) -> Result<(), TestCaseError> {
    let before = file.strip_suffix(b"\n").unwrap_or(file).split(|&byte| byte == b'\n');
    let before: Vec<&[u8]> = if file.is_empty() { Vec::new() } else { before.collect() };
    let mut lines = Lines::<E>::parse(file.to_vec()).unwrap();
    prop_assert_eq!(lines.to_bytes(), file);
    let found = lines.find(entry.name());
    let names = lines.names().filter(|name| *name == entry.name().as_bytes()).count();
    lines.set(entry);
    prop_assert_eq!(lines.verify(), Ok(()));
    let bytes = lines.to_bytes();
    let mut after = lines_of(&bytes);
    match found {
        Found::Absent => {
            prop_assert_eq!(names, 0);
            let line = written(entry);
            let at = after.iter().position(|candidate| *candidate == line);
            prop_assert!(at.is_some(), "the new line is missing");
            after.remove(at.unwrap());
            prop_assert_eq!(after, before);
            prop_assert!(bytes.ends_with(b"\n"));
        }
        Found::Entry(old) => {
            prop_assert_eq!(names, 1);
            prop_assert_eq!(after.len(), before.len());
            let differing = (0..before.len()).filter(|&at| before[at] != after[at]).count();
            prop_assert_eq!(differing, usize::from(lines.is_changed()));
            prop_assert!(lines.is_changed() || old == *entry);
        }
        Found::Unclear { line, .. } => {
            prop_assert!((1..=before.len()).contains(&line));
            prop_assert_eq!(bytes, file);
        }
    }
    Ok(())
}

proptest! {
    // The same cases every time, so that a change is judged by itself.
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(20_261_122), ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_come_back_and_a_set_entry_moves_nothing_else(file in file(), name in prop::sample::select(vec!["a", "zoe"])) {
        holds(&file, &user(name))?;
        holds(&file, &shadow(name))?;
        holds(&file, &group(name))?;
        holds(&file, &gshadow(name))?;
    }
}
