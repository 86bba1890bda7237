//! What an `authorized_keys` file holds, and in what two of them differ. Pure.

use std::collections::BTreeMap;

use super::HomeChange;
use crate::account::PublicKey;
use crate::error::printable;

/// The first line of every file that we write.
pub(super) const HEADER: &str = "# Written by ddum from the Users table; changes made here are overwritten.\n";

/// As many keys of a user are named as have come or gone; a planted file may hold a hundred thousand.
const NAMED: usize = 50;

/// The whole file for these keys: sorted, each once, every line ended.
pub(super) fn content(keys: &[PublicKey]) -> Vec<u8> {
    let mut lines: Vec<&str> = keys.iter().map(PublicKey::line).collect();
    lines.sort_unstable();
    lines.dedup();
    let mut bytes = Vec::with_capacity(HEADER.len() + lines.iter().map(|line| line.len() + 1).sum::<usize>());
    bytes.extend_from_slice(HEADER.as_bytes());
    for line in lines {
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

/// In what the file to be differs from the one that is, if there is one that can be read.
pub(super) fn difference(old: Option<&[u8]>, new: &[u8]) -> Vec<HomeChange> {
    let before = named(old.unwrap_or_default());
    let after = named(new);
    let missing = |here: &BTreeMap<Vec<u8>, String>, there: &BTreeMap<Vec<u8>, String>| {
        let mut names: Vec<String> =
            here.iter().filter(|(line, _)| !there.contains_key(*line)).map(|(_, name)| name.clone()).collect();
        if names.len() > NAMED {
            let more = names.len() - NAMED;
            names.truncate(NAMED);
            names.push(format!("and {more} more"));
        }
        names
    };
    let (added, removed) = (missing(&after, &before), missing(&before, &after));
    match old {
        Some(old) if added.is_empty() && removed.is_empty() => {
            if old == new {
                Vec::new()
            } else {
                vec![HomeChange::Repaired("comments or order of the lines in authorized_keys".to_owned())]
            }
        }
        None if added.is_empty() => Vec::new(),
        Some(_) | None => vec![HomeChange::Keys { added, removed }],
    }
}

/// Whether sshd may find a key there.
pub(super) fn is_key_in(bytes: &[u8]) -> bool {
    bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).any(|line| !line.is_empty() && !line.starts_with(b"#"))
}

/// The lines that say something, each with what to call it in a report.
fn named(bytes: &[u8]) -> BTreeMap<Vec<u8>, String> {
    let mut lines = BTreeMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let Some(key) = PublicKey::of_file_line(line) else {
            lines.insert(line.to_vec(), "a line that is no key".to_owned());
            continue;
        };
        let name = match key.comment() {
            "" => key.fingerprint(),
            comment => format!("{} ({})", key.fingerprint(), printable(comment)),
        };
        lines.insert(key.line().as_bytes().to_vec(), name);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::tests::key;
    use super::*;

    #[test]
    fn a_file_is_sorted_without_doubles_and_ends_with_a_newline() {
        let bytes = content(&[key(2), key(1), key(2)]);
        assert_eq!(bytes, format!("{HEADER}{}\n{}\n", key(1).line(), key(2).line()).into_bytes());
        assert_eq!(content(&[]), HEADER.as_bytes());
    }

    #[test]
    fn a_difference_names_keys_by_fingerprint_and_nothing_else() {
        let name = |n| format!("{} (key-{n})", key(n).fingerprint());
        let keys = |added: &[u8], removed: Vec<String>| {
            vec![HomeChange::Keys { added: added.iter().map(|n| name(*n)).collect(), removed }]
        };
        let order = vec![HomeChange::Repaired("comments or order of the lines in authorized_keys".to_owned())];
        let new = content(&[key(1), key(2)]);
        let crlf = String::from_utf8(new.clone()).unwrap().replace('\n', "\r\n").into_bytes();
        let junk = format!("{}\njunk \u{1b}[2J\n", key(1).line()).into_bytes();
        let bad = format!("{}\nssh-ed25519 AAAA evil\u{202e}\n", key(1).line()).into_bytes();
        let table: [(Option<&[u8]>, Vec<HomeChange>); 7] = [
            (None, keys(&[1, 2], vec![])),
            (Some(b""), keys(&[1, 2], vec![])),
            (Some(&content(&[key(1), key(3)])), keys(&[2], vec![name(3)])),
            (Some(&crlf), order.clone()),
            (Some(&new[HEADER.len()..]), order),
            (Some(&junk), keys(&[2], vec!["a line that is no key".to_owned()])),
            (Some(&new), vec![]),
        ];
        for (old, wanted) in table {
            assert_eq!(difference(old, &new), wanted, "{:?}", old.map(String::from_utf8_lossy));
        }
        let HomeChange::Keys { removed, .. } = &difference(Some(&bad), &new)[0] else { panic!() };
        assert!(removed.len() == 1 && !removed[0].contains('\u{202e}'), "{removed:?}");
        assert_eq!(difference(None, &content(&[])), []);
        let many: Vec<u8> = (0..500).flat_map(|n| format!("junk {n}\n").into_bytes()).collect();
        let HomeChange::Keys { removed, .. } = &difference(Some(&many), &new)[0] else { panic!() };
        assert_eq!((removed.len(), removed[NAMED].as_str()), (NAMED + 1, "and 450 more"));
    }
}
