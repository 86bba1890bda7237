//! Who may import whom. The structure that the crate's documentation promises, held by a test.
#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// For each room of `src`, the rooms that its code may name. `etc` and `account` know nothing of each other; only
/// `merge` and the commands know both.
const ALLOWED: [(&str, &[&str]); 14] = [
    ("error", &[]),
    ("spelling", &[]),
    ("account", &["error"]),
    ("etc", &["error"]),
    ("ledger", &["account", "error"]),
    ("merge", &["account", "error", "etc", "ledger"]),
    ("config", &["account", "error", "spelling"]),
    ("table", &["account", "config", "error"]),
    ("host", &["account", "error", "etc", "ledger"]),
    ("logging", &["account", "config", "error", "host"]),
    ("usage", &["error", "spelling"]),
    ("cli", &["config", "error", "spelling", "usage"]),
    ("commands", &["account", "cli", "config", "error", "etc", "host", "ledger", "logging", "merge", "table", "usage"]),
    ("lib", &[]),
];

/// What the pure rooms may not touch: they neither look at the world nor tell it anything.
const IMPURE: [&str; 9] =
    ["std::fs", "std::env", "std::net", "std::process", "std::time::SystemTime", "log::", "rustix", "tokio", "aws_"];

const PURE: [&str; 4] = ["account", "etc", "merge", "ledger"];

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// Each source file with the room it is in, and its code without comments.
fn rooms() -> Vec<(String, PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 20, "found only {} source files", files.len());
    let strip = |text: String| -> String {
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
    };
    files
        .into_iter()
        .map(|path| {
            let room = path.strip_prefix(&src).unwrap().components().next().unwrap();
            let room = Path::new(room.as_os_str()).file_stem().unwrap().to_str().unwrap().to_owned();
            let text = strip(std::fs::read_to_string(&path).unwrap());
            (room, path, text)
        })
        .collect()
}

/// The rooms that a text names as `crate::room`, also within braces.
fn named(text: &str) -> BTreeSet<String> {
    let word = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for after in text.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            None => drop(found.insert(word(after))),
            Some(list) => {
                let mut depth = 0;
                for part in list.split_inclusive([',', '{', '}']) {
                    if depth == 0 {
                        found.insert(word(part.trim()));
                    }
                    depth += part.matches('{').count();
                    match part.matches('}').count() {
                        0 => {}
                        _ if depth == 0 => break,
                        closed => depth -= closed,
                    }
                }
            }
        }
    }
    found.remove("");
    found
}

#[test]
fn every_room_imports_only_what_it_may() {
    let mut wrong = Vec::new();
    for (room, path, text) in rooms() {
        if room == "main" {
            continue;
        }
        let allowed = ALLOWED.iter().find(|(name, _)| *name == room);
        let Some((_, allowed)) = allowed else {
            wrong.push(format!("{}: no rule for the room {room}", path.display()));
            continue;
        };
        for other in named(&text) {
            if other != room && !allowed.contains(&other.as_str()) {
                wrong.push(format!("{}: {room} must not know {other}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_pure_rooms_neither_look_at_the_world_nor_speak() {
    let mut wrong = Vec::new();
    for (room, path, text) in rooms() {
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        for impure in IMPURE.iter().filter(|_| PURE.contains(&room.as_str())) {
            if product.contains(impure) {
                wrong.push(format!("{}: {room} is pure and uses {impure}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn only_the_table_room_speaks_to_aws_and_unsafe_is_forbidden() {
    for (room, path, text) in rooms() {
        assert!(room == "table" || !text.contains("aws_sdk"), "{}: only src/table speaks to AWS", path.display());
    }
    let lib = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    assert!(lib.contains("#![forbid(unsafe_code)]"));
}

#[test]
fn the_rule_finds_what_it_forbids() {
    let found = named("use crate::{error::{Error, Context}, host};\nlet x = crate::table::scan();");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["error", "host", "table"]);
}
