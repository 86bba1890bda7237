//! How changes and lists are told to people.

use std::fmt;

use serde::Serialize;

use crate::error::printable;
use crate::table::edit::Stored;

/// What happened to one user, group, table or set of keys.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Told {
    /// `+`, `-` or `~`; `!` for what is not as it should be.
    sign: char,
    kind: &'static str,
    name: String,
    /// What, without secrets.
    text: String,
}

impl Told {
    pub(super) fn new(sign: char, kind: &'static str, name: impl fmt::Display, text: impl Into<String>) -> Self {
        Self { sign, kind, name: name.to_string(), text: text.into() }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sign, kind, name, text } = self;
        let colon = if text.is_empty() { "" } else { ": " };
        write!(f, "{sign} {kind} {name}{colon}{text}")
    }
}

/// `shell /bin/sh -> /bin/bash; password changed`.
pub(super) fn differences(before: &Stored, after: &Stored, attributes: &[&'static str]) -> Option<String> {
    let mut out = Vec::new();
    for attribute in before.differing(after, attributes) {
        let sets = before.texts(attribute).iter().chain(after.texts(attribute)).next().is_some();
        let change = match (before.text(attribute), after.text(attribute)) {
            _ if attribute == "Password" && !after.has(attribute) => "password removed".to_owned(),
            _ if attribute == "Password" => "password changed".to_owned(),
            _ if sets => {
                let label = if attribute == "Administrators" { "administrators " } else { "" };
                let gone = before.texts(attribute).iter().filter(|text| !after.texts(attribute).contains(text));
                let come = after.texts(attribute).iter().filter(|text| !before.texts(attribute).contains(text));
                let parts = come.map(|text| format!("+{}", printable(text)));
                let parts: Vec<_> = parts.chain(gone.map(|text| format!("-{}", printable(text)))).collect();
                format!("{label}{}", parts.join(" "))
            }
            (old, Some(new)) => {
                let old = old.filter(|old| !old.is_empty()).map(|old| format!("{} -> ", printable(old)));
                format!("{} {}{}", label(attribute), old.unwrap_or_default(), shown(new))
            }
            (Some(old), None) => format!("{} {} removed", label(attribute), shown(old)),
            (None, None) => format!("{} removed", label(attribute)),
        };
        out.push(change);
    }
    (!out.is_empty()).then(|| out.join("; "))
}

/// Whether an attribute, or a string of a set, is no longer there.
pub(super) fn takes_away(before: &Stored, after: &Stored, attributes: &[&'static str]) -> bool {
    attributes.iter().any(|attribute| {
        let kept = |text: &String| after.texts(attribute).contains(text);
        (before.has(attribute) && !after.has(attribute)) || !before.texts(attribute).iter().all(kept)
    })
}

/// A value that may be empty.
pub(super) fn shown(text: &str) -> String {
    if text.is_empty() { "(none)".to_owned() } else { printable(text) }
}

/// What an attribute is called in a change.
fn label(attribute: &str) -> &str {
    match attribute {
        "UID" => "uid",
        "GID" => "gid",
        "RealName" => "real name",
        "Home" => "home",
        "Shell" => "shell",
        "LastPasswordChangeDate" => "password of",
        "PasswordAgeMinDays" => "min days",
        "PasswordAgeMaxDays" => "max days",
        "PasswordWarnDays" => "warn days",
        "PasswordDisableDays" => "disable days",
        "AccountExpireDate" => "expires",
        other => other,
    }
}

/// Rows with their columns aligned; the first is the heading.
pub(super) fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Whether `text` fits a pattern in which `*` stands for anything.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => match text.strip_prefix(start) {
            None => false,
            Some(text) => {
                let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
                ends.into_iter().any(|at| fits(rest, &text[at..]))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Table;
    use crate::table::edit::Edit;
    use crate::table::item::encode::Field;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, want) in [
            ("alice", "alice", true),
            ("alice", "alice2", false),
            ("a*", "alice", true),
            ("*e", "alice", true),
            ("a*i*e", "alice", true),
            ("*", "x", true),
            ("b*", "alice", false),
            ("*x*", "alice", false),
        ] {
            assert_eq!(fits(pattern, text), want, "{pattern} {text}");
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["NAME", "UID", "X"], ["zoë", "2001", ""]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(columns(&rows), ["NAME  UID   X", "zoë   2001"]);
    }

    #[test]
    fn a_change_is_told_without_the_password() {
        let text = |text: &str| Field::Text(text.to_owned());
        let set = |names: &[&str]| Field::Set(names.iter().map(|name| (*name).to_owned()).collect());
        let before = Stored::new(
            Table::Users,
            &[("Shell", text("/bin/sh")), ("Password", text("$6$a$b")), ("Members", set(&["a", "b"]))],
        );
        let edit = Edit {
            set: vec![
                ("Shell", text("/bin/bash")),
                ("Password", text("$6$a$c")),
                ("Home", text("")),
                ("Members", set(&["b", "c"])),
            ],
            remove: Vec::new(),
        };
        let told = differences(&before, &before.with(&edit), &["Home", "Shell", "Password", "Members", "UID"]);
        assert_eq!(told.unwrap(), "home (none); shell /bin/sh -> /bin/bash; password changed; +c -a");
        assert_eq!(differences(&before, &before, &["Shell"]), None);
    }
}
