//! Items of any attributes with any types, without the JSON that `snapshot` has to guess first. Parts end with a byte of
//! 255; the first byte of each chooses the attribute, the second the type, the rest is the value.
#![no_main]

#[path = "shared/scan.rs"]
mod scan;

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::LazyLock;

use ddum::account::Day;
use ddum::config::{Config, Source};
use ddum::table::item::USER_ATTRIBUTES;
use libfuzzer_sys::fuzz_target;

const GROUP_ATTRIBUTES: [&str; 2] = ["Administrators", "Members"];

static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
    folder.join(format!("ddum-fuzz-item-{}.json", std::process::id()))
});
static CONFIG: LazyLock<Config> = LazyLock::new(Config::default);

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for each in text.chars() {
        match each {
            '"' | '\\' => out.extend(['\\', each]),
            _ if each.is_control() => write!(out, "\\u{:04x}", u32::from(each)).unwrap(),
            _ => out.push(each),
        }
    }
    out.push('"');
    out
}

fn value(kind: u8, text: &str) -> String {
    let several = || text.split('\u{1f}').map(quoted).collect::<Vec<_>>().join(",");
    match kind % 8 {
        0 | 1 => format!(r#"{{"S":{}}}"#, quoted(text)),
        2 => format!(r#"{{"N":{}}}"#, quoted(text)),
        3 => format!(r#"{{"SS":[{}]}}"#, several()),
        4 => r#"{"NULL":true}"#.to_owned(),
        5 => format!(r#"{{"NS":[{}]}}"#, several()),
        6 => format!(r#"{{"L":[{{"S":{}}}]}}"#, quoted(text)),
        _ => format!(r#"{{"M":{{{}:{{"BOOL":true}}}}}}"#, quoted(text)),
    }
}

fuzz_target!(|bytes: &[u8]| {
    // What an item has to have comes first, so that one that is given counts, and one that is not is right.
    let mut attributes = vec![("Name", r#"{"S":"alice"}"#.to_owned())];
    attributes.extend([("UID", r#"{"N":"2001"}"#.to_owned()), ("GID", r#"{"N":"2001"}"#.to_owned())]);
    for part in bytes.split(|&byte| byte == 255) {
        let [which, kind, text @ ..] = part else { continue };
        let names: Vec<&str> = USER_ATTRIBUTES.into_iter().chain(GROUP_ATTRIBUTES).collect();
        let name = names[usize::from(*which) % names.len()];
        attributes.retain(|(other, _)| *other != name);
        attributes.push((name, value(*kind, &String::from_utf8_lossy(text))));
    }
    let members: Vec<String> = attributes.iter().map(|(name, value)| format!("{}:{value}", quoted(name))).collect();
    std::fs::write(&*FILE, format!("[{{{}}}]", members.join(","))).unwrap();
    let source = Source::File(FILE.clone());
    let scan = ddum::table::snapshot::read(&source, &source, &CONFIG, Day::from_unix(1_800_000_000)).unwrap();
    assert!(scan.rejections.len() >= 2 - scan.accounts.users.len() - scan.accounts.groups.len());
    scan::judge(&scan);
});
