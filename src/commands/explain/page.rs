//! An explanation as people and programs get it.

use serde::Serialize;

use crate::account::PublicKey;
use crate::error::printable;
use crate::host::HomeLook;
use crate::merge::Row;

/// What is known of a name as a user, or as a group.
#[derive(Debug, Serialize)]
pub(super) struct Account {
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) verdict: &'static str,
    /// Whether the item, or a part of it, is refused.
    pub(super) refused: bool,
    pub(super) sections: Vec<Section>,
}

#[derive(Debug, Serialize)]
pub(super) struct Section {
    pub(super) title: String,
    pub(super) rows: Vec<Line>,
}

#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) label: String,
    pub(super) text: String,
}

/// A section; `otherwise` is what it says without rows.
pub(super) fn section(title: impl Into<String>, rows: Vec<Row>, otherwise: &str) -> Section {
    let mut rows: Vec<Line> = rows.into_iter().map(|(label, text)| Line { label, text }).collect();
    if rows.is_empty() {
        rows.push(Line { label: "-".to_owned(), text: otherwise.to_owned() });
    }
    Section { title: title.into(), rows }
}

impl Account {
    /// The lines for a person.
    pub(super) fn lines(&self, is_further: bool) -> Vec<String> {
        let mut lines = Vec::new();
        if is_further {
            lines.push(String::new());
        }
        lines.push(format!("{} {}: {}", self.kind, self.name, self.verdict));
        for Section { title, rows } in &self.sections {
            lines.push(String::new());
            lines.push(title.clone());
            let width = rows.iter().map(|row| row.label.chars().count()).max().unwrap_or(0);
            for Line { label, text } in rows {
                lines.push(format!("  {label:width$}  {text}").trim_end().to_owned());
            }
        }
        lines
    }
}

/// The keys in a home.
pub(super) fn key_lines(look: &HomeLook) -> impl Iterator<Item = PublicKey> {
    look.keys.as_deref().unwrap_or_default().split(|byte| *byte == b'\n').filter_map(PublicKey::of_file_line)
}

/// What a home holds.
pub(super) fn home_row(home: &str, look: &HomeLook) -> Row {
    let names: Vec<String> = key_lines(look)
        .map(|key| match key.comment() {
            "" => key.fingerprint(),
            comment => format!("{} ({})", key.fingerprint(), printable(comment)),
        })
        .collect();
    let text = match (&look.trouble, look.exists, &look.keys) {
        (Some(trouble), ..) => trouble.clone(),
        (None, false, _) => "there is no such home".to_owned(),
        (None, true, None) => "there are no authorized_keys".to_owned(),
        (None, true, Some(_)) if names.is_empty() => "authorized_keys without a key".to_owned(),
        (None, true, Some(_)) => format!("authorized_keys: {}", names.join(", ")),
    };
    (printable(home), text)
}

/// Whether the text of a group's change names the member.
pub(super) fn concerns(text: &str, name: &str) -> bool {
    text.split([' ', ',', ';']).any(|word| word.trim_start_matches(['+', '-']) == name)
}
