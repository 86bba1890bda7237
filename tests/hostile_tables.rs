//! Tables that somebody filled to do harm: every attribute with every wrong type and with text of every evil kind.
//! Exactly the bad items are refused, each by its name and attribute, and no text forges a line of a file or an output.
#![expect(clippy::disallowed_methods, reason = "the tree of a test is its own")]
#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

const MARK: &str = "plantedmarker";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBfzUc9s53y3Ig1NMYEI6otXwfhAKwVfblkUccnKCpEI laptop";
const FILES: [(&str, usize); 4] = [("passwd", 7), ("shadow", 9), ("group", 4), ("gshadow", 4)];

/// What each attribute of an item has to be, and a value that it may have.
fn right(attribute: &str) -> (&'static str, Value) {
    match attribute {
        "UID" | "GID" => ("N", json!("2000")),
        "PasswordAgeMinDays" | "PasswordAgeMaxDays" | "PasswordWarnDays" | "PasswordDisableDays" => ("N", json!("7")),
        "LastPasswordChangeDate" | "AccountExpireDate" => ("S", json!("2026-01-15")),
        "Home" => ("S", json!("/home/somebody")),
        "Shell" => ("S", json!("/bin/sh")),
        "Password" => ("S", json!(format!("$6${MARK}$x"))),
        "SSHPublicKeys" => ("SS", json!([KEY])),
        "Members" | "Administrators" => ("SS", json!(["good"])),
        _ => ("S", json!("Some Body")),
    }
}

/// A value of each type.
fn of_each_type() -> Vec<(&'static str, Value)> {
    vec![
        ("S", json!("text")),
        ("N", json!("7")),
        ("B", json!("dGV4dA==")),
        ("SS", json!(["text"])),
        ("NS", json!(["7"])),
        ("BS", json!(["dGV4dA=="])),
        ("BOOL", json!(true)),
        ("L", json!([{"S": "text"}])),
        ("M", json!({"S": {"S": "text"}})),
    ]
}

/// Texts that no attribute must let through into a file or a log as they are.
fn evil() -> Vec<String> {
    let mut all: Vec<String> = (0..0x20).chain([0x7f]).filter_map(char::from_u32).map(|c| format!("a{c}b")).collect();
    all.extend(
        ["\u{85}", "\u{2028}", "\u{2029}", "\u{9b}31m", "\u{202e}", "\u{2066}", "\u{feff}", "\u{fffe}"]
            .map(|c| format!("a{c}b")),
    );
    for line in ["eve:x:0:0::/root:/bin/sh", "+ user root: /bin/sh", "ddum: error: all is lost"] {
        all.extend([format!("a\n{line}\n"), format!("a\r\n{line}"), format!("\n{line}")]);
    }
    all.extend(
        ["a:b:c", "a\\", "\\\n", "a\\nb", "../../etc", "%s%n", "$(reboot)", "'\"`;|&", "\u{1b}[2J\u{1b}]0;x\u{7}"]
            .map(str::to_owned),
    );
    all.extend(
        ["", " ", "-1", "-0", "1.5", "1e3", "0x10", "4294967296", "99999999999999999999", "NaN", "٣"]
            .map(str::to_owned),
    );
    all.extend(["x".repeat(300), "x".repeat(5_000), "é".repeat(40_000), "9".repeat(400)]);
    all
}

struct Tree(PathBuf);

impl Tree {
    fn new() -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile-tables-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("root/etc")).unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/etc/debian");
        for (file, _) in FILES {
            std::fs::copy(from.join(file), path.join("root/etc").join(file)).unwrap();
        }
        Self(path)
    }

    fn sync(&self, users: &[Value], groups: &[Value]) -> (Option<i32>, String, String) {
        std::fs::write(self.0.join("users.json"), json!(users).to_string()).unwrap();
        std::fs::write(self.0.join("groups.json"), json!(groups).to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ddum"));
        command.args(["-v", "sync", "--root"]).arg(self.0.join("root"));
        command.arg("--users").arg(self.0.join("users.json")).arg("--groups").arg(self.0.join("groups.json"));
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = std::fs::read(self.0.join("root/etc").join(file)).unwrap();
        String::from_utf8(text).unwrap().split_terminator('\n').map(str::to_owned).collect()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// What would break a line of output, or show something else than what is there.
fn is_forging(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[test]
fn exactly_the_bad_items_are_refused_and_no_text_forges_a_line() {
    let tree = Tree::new();
    let before: Vec<Vec<String>> = FILES.iter().map(|(file, _)| tree.lines(file)).collect();
    let good = |number: usize| {
        json!({"Name": {"S": format!("u{number}")}, "UID": {"N": (3000 + number).to_string()}, "GID": {"N": "2000"},
               "Home": {"S": format!("/home/u{number}")}, "Password": {"S": format!("$6${MARK}$y")}})
    };
    // By name: which attribute is wrong, and whether it must be refused whatever its text.
    let (mut users, mut groups, mut tried) = (vec![good(0)], Vec::new(), BTreeMap::new());
    let attributes = [
        "UID",
        "GID",
        "RealName",
        "Home",
        "Shell",
        "Password",
        "LastPasswordChangeDate",
        "PasswordAgeMinDays",
        "PasswordAgeMaxDays",
        "PasswordWarnDays",
        "PasswordDisableDays",
        "AccountExpireDate",
        "SSHPublicKeys",
        "Members",
        "Administrators",
        "Unknown",
    ];
    for attribute in attributes {
        let (kind, value) = right(attribute);
        let types = of_each_type().into_iter().filter(|(other, _)| *other != kind);
        let mut values: Vec<(bool, Value)> =
            types.map(|(other, value)| (attribute != "Unknown", json!({other: value}))).collect();
        values.extend(
            evil()
                .into_iter()
                .map(|text| (false, if kind == "SS" { json!({kind: [text]}) } else { json!({kind: text}) })),
        );
        values.extend([(false, json!({"NULL": true})), (false, json!({kind: value}))]);
        for (is_wrong, value) in values {
            let number = tried.len() + 1;
            let is_group = matches!(attribute, "Members" | "Administrators");
            let mut item = if is_group {
                json!({"Name": {"S": format!("g{number}")}, "GID": {"N": (3000 + number).to_string()}})
            } else {
                good(number)
            };
            item[attribute] = value;
            tried.insert(item["Name"]["S"].as_str().unwrap().to_owned(), (attribute, is_wrong));
            if is_group { groups.push(item) } else { users.push(item) }
        }
    }
    // And names: refused by their own text, which is all that names them.
    let names = evil();
    users.extend(names.iter().map(|name| json!({"Name": {"S": name}, "UID": {"N": "9000"}, "GID": {"N": "2000"}})));
    groups.extend(names.iter().map(|name| json!({"Name": {"S": name}, "GID": {"N": "9000"}})));
    groups.push(json!({"Name": {"S": "people"}, "GID": {"N": "2000"}, "Members": {"SS": ["u0"]}}));

    let (status, out, err) = tree.sync(&users, &groups);
    assert_eq!(status, Some(3), "{err}");
    let said = format!("{out}{err}");
    assert!(!said.contains(MARK), "a password was shown");
    for line in said.lines() {
        assert!(!line.contains(is_forging), "{line:?}");
        let begins = [
            "+ user u",
            "+ group g",
            "+ group people",
            "+ home u",
            "~ keys u",
            "! user ",
            "! group ",
            "! home u",
            "ddum: ",
        ];
        assert!(begins.iter().any(|begin| line.starts_with(begin)), "{line:?}");
        assert!(!line.contains("all is lost\"") || line.starts_with("! "), "{line:?}");
        assert!(line.len() < 2_000, "{} bytes: {}", line.len(), &line[..200]);
    }
    let known: BTreeSet<&str> = ["u0", "people"].into_iter().chain(tried.keys().map(String::as_str)).collect();
    for ((file, fields), before) in FILES.into_iter().zip(&before) {
        let lines = tree.lines(file);
        assert_eq!(lines[..before.len()], before[..], "{file}");
        for line in &lines[before.len()..] {
            let parts: Vec<&str> = line.split(':').collect();
            assert!(parts.len() == fields && known.contains(parts[0]), "{file}: {line:?}");
            // Names may be written from right to left; only output must not.
            let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
            assert!(!line.contains(breaks), "{file}: {line:?}");
        }
    }
    let passwd: BTreeSet<String> = [tree.lines("passwd"), tree.lines("group")]
        .concat()
        .iter()
        .map(|l| l.split(':').next().unwrap().to_owned())
        .collect();
    assert!(passwd.contains("u0") && passwd.contains("people"));
    let mut refused = 0;
    for (name, (attribute, is_wrong)) in &tried {
        let kind = if name.starts_with('g') { "group" } else { "user" };
        let is_told = said.lines().any(|line| line.starts_with(&format!("! {kind} {name}: {attribute}: ")));
        // A key that is none is refused alone, its user is not.
        let is_here = passwd.contains(name);
        assert!(
            is_here != is_told || *attribute == "SSHPublicKeys",
            "{name}: {attribute}: here {is_here}, told {is_told}"
        );
        assert!(!(*is_wrong && is_here), "{name}: {attribute} has a wrong type and was taken");
        refused += usize::from(is_told);
    }
    let taken = tried.len() - refused;
    eprintln!("{} items, {refused} refused, {taken} taken, {} names", tried.len(), names.len() * 2);
    assert!(refused > 500 && taken > 100, "{refused} {taken}");
    // The same tables again: what was taken is as it should be.
    let (status, out, _) = tree.sync(&users, &groups);
    assert!(status == Some(3) && !out.lines().any(|line| line.starts_with(['+', '~'])), "{out}");
}
