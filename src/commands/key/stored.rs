//! Keys as an item holds them: lines of sets, found by what people call a key.

use super::super::desk::failed;
use super::shown::named;
use crate::account::{Name, PublicKey};
use crate::error::{Error, Table, printable};
use crate::table::edit::{Change, Stored};

/// Takes these lines out of a set, if all are in it.
pub(super) fn leaving(name: &Name, attribute: &'static str, lines: &[String]) -> Change {
    let change = Change::of(Table::Users, name).deleting(attribute, lines.to_vec());
    lines.iter().fold(change, |change, line| change.containing(attribute, line))
}

/// The stored lines of the key with this fingerprint or comment. There are several when the key is there with other
/// options or another comment as well: each of them lets it in.
pub(super) fn find(item: &Stored, attribute: &str, name: &Name, wanted: &str) -> Result<Vec<String>, Error> {
    let print = |line: &str| PublicKey::of_file_line(line.as_bytes()).map(|key| key.fingerprint());
    let is_wanted = |line: &&String| {
        let key = PublicKey::of_file_line(line.as_bytes());
        key.is_some_and(|key| key.fingerprint() == wanted || (!wanted.is_empty() && key.comment() == wanted))
    };
    let found: Vec<&String> = item.texts(attribute).iter().filter(is_wanted).collect();
    let Some(first) = found.first().and_then(|line| print(line)) else { return Ok(Vec::new()) };
    if found.iter().any(|line| print(line).as_ref() != Some(&first)) {
        return Err(failed(format!(
            "{name} has {} keys called \"{}\"; give the fingerprint, as 'ddum key list {name}' shows it",
            found.len(),
            printable(wanted)
        )));
    }
    let mut lines = item.texts(attribute).to_vec();
    lines.retain(|line| is_same(line, &first));
    lines.sort_unstable();
    Ok(lines)
}

/// `+SHA256:… (laptop) +SHA256:… (desk)`.
pub(super) fn told(lines: &[String], sign: &str) -> String {
    lines.iter().map(|line| format!("{sign}{}", named(line))).collect::<Vec<_>>().join(" ")
}

pub(super) fn already(item: &Stored, attribute: &str, name: &Name, wanted: &str, state: &str) -> Result<(), Error> {
    match find(item, attribute, name, wanted)?.first() {
        Some(line) => {
            log::info!("{} of {name} is {state} already", named(line));
            Ok(())
        }
        None => Err(unknown(name, wanted)),
    }
}

pub(super) fn unknown(name: &Name, wanted: &str) -> Error {
    let wanted = printable(wanted);
    failed(format!("{name} has no key \"{wanted}\"; 'ddum key list {name}' shows those there are"))
}

pub(super) fn has_all(item: &Stored, attribute: &str, lines: &[String]) -> bool {
    lines.iter().all(|line| item.texts(attribute).contains(line))
}

pub(super) fn has_none(item: &Stored, attribute: &str, lines: &[String]) -> bool {
    !lines.iter().any(|line| item.texts(attribute).contains(line))
}

pub(super) fn is_same(line: &str, fingerprint: &str) -> bool {
    PublicKey::of_file_line(line.as_bytes()).is_some_and(|key| key.fingerprint() == fingerprint)
}
