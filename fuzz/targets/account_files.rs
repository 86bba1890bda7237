//! Any bytes as each of the four account files: they come back as they were, and one that is set changes its line only.
#![no_main]

use ddum::etc::{Entry, Found, GroupEntry, GshadowEntry, Lines, PasswdEntry, ShadowEntry};
use libfuzzer_sys::fuzz_target;

fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if bytes.is_empty() { Vec::new() } else { text.split(|&byte| byte == b'\n').collect() }
}

fn holds<E: Entry>(file: &[u8], entry: &E) {
    let Ok(mut parsed) = Lines::<E>::parse(file.to_vec()) else {
        assert!(file.contains(&0));
        return;
    };
    assert_eq!(parsed.to_bytes(), file);
    assert!(!parsed.is_changed());
    let _ = parsed.ids();
    for each in parsed.entries() {
        assert_eq!(parsed.find(each.name()), Found::Entry(each));
    }
    let found = parsed.find(entry.name());
    let is_clear = !matches!(found, Found::Unclear { .. });
    let changes = parsed.set(entry);
    assert_eq!(parsed.is_changed(), changes);
    parsed.verify().unwrap();
    let bytes = parsed.to_bytes();
    let (before, after) = (lines(file), lines(&bytes));
    match found {
        Found::Unclear { .. } => assert!(!changes),
        Found::Absent => {
            assert_eq!(after.len(), before.len() + 1);
            let same = before.iter().zip(&after).take_while(|(old, new)| old == new).count();
            assert_eq!(before[same..], after[same + 1..]);
        }
        Found::Entry(old) => {
            assert_eq!(after.len(), before.len());
            let mut differing = before.iter().zip(&after).filter(|(old, new)| old != new);
            if let Some((line, _)) = differing.next() {
                assert!(line.starts_with(format!("{}:", old.name()).as_bytes()), "{}", line.escape_ascii());
            }
            assert!(differing.next().is_none());
            assert_eq!(before != after, old != *entry);
        }
    }
    // What is written is what was meant, and who reads it finds nothing left to do.
    if is_clear {
        let mut again = Lines::<E>::parse(bytes.clone()).unwrap();
        assert!(matches!(again.find(entry.name()), Found::Entry(there) if there == *entry));
        assert!(!again.set(entry));
        assert_eq!(again.to_bytes(), bytes);
    }
}

fuzz_target!(|file: &[u8]| {
    let name = || "alice".to_owned();
    holds(
        file,
        &PasswdEntry {
            name: name(),
            password: b"x".to_vec(),
            uid: 2001,
            gid: 2001,
            gecos: Vec::new(),
            home: b"/home/alice".to_vec(),
            shell: b"/bin/sh".to_vec(),
        },
    );
    holds(
        file,
        &ShadowEntry {
            name: name(),
            password: b"*".to_vec(),
            last_change: b"20000".to_vec(),
            min_age: Vec::new(),
            max_age: b"99999".to_vec(),
            warn_period: b"7".to_vec(),
            inactivity_period: Vec::new(),
            expire_date: Vec::new(),
            reserved: Vec::new(),
        },
    );
    let members = vec![b"alice".to_vec(), b"bob".to_vec()];
    holds(file, &GroupEntry { name: name(), password: b"x".to_vec(), gid: 2001, members: members.clone() });
    holds(file, &GshadowEntry { name: name(), password: b"!".to_vec(), administrators: Vec::new(), members });
});
