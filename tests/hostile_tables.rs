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

/// Whether `text` must be refused there; `None` where it depends on more than is said here.
fn is_wrong(attribute: &str, text: &str) -> Option<bool> {
    let breaks = |c: char| c == ':' || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    match attribute {
        "Unknown" => Some(false),
        "RealName" => Some(text.contains(breaks) || text.len() > 256 || text.ends_with('\\')),
        "Home" | "Shell" => Some(!text.is_empty()),
        // No ageing.
        name if name.ends_with("Days") && text == "-1" => Some(false),
        "Members" | "Administrators" => None,
        _ => Some(true),
    }
}

struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile-{name}-{}", std::process::id()));
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
        self.ddum(&["-v", "sync"])
    }

    fn ddum(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ddum"));
        command.args(words).arg("--root").arg(self.0.join("root"));
        command.arg("--users").arg(self.0.join("users.json")).arg("--groups").arg(self.0.join("groups.json"));
        outcome(&mut command)
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

fn outcome(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// What would break a line of output, or show something else than what is there.
fn is_forging(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[test]
fn exactly_the_bad_items_are_refused_and_no_text_forges_a_line() {
    let tree = Tree::new("tables");
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
        let mut values: Vec<(Option<bool>, Value)> =
            types.map(|(other, value)| (Some(attribute != "Unknown"), json!({other: value}))).collect();
        values.extend(evil().into_iter().map(|text| {
            let is_wrong = is_wrong(attribute, &text);
            (is_wrong, if kind == "SS" { json!({kind: [text]}) } else { json!({kind: text}) })
        }));
        // Without them there is no user.
        let is_required = matches!(attribute, "UID" | "GID");
        values.extend([(Some(is_required), json!({"NULL": true}))]);
        values.extend([((attribute != "UID").then_some(false), json!({kind: value}))]);
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
        assert!(
            is_wrong.is_none_or(|is_wrong| is_wrong == is_told),
            "{name}: {attribute}: {is_wrong:?}, told {is_told}"
        );
        refused += usize::from(is_told);
    }
    let taken = tried.len() - refused;
    eprintln!("{} items, {refused} refused, {taken} taken, {} names", tried.len(), names.len() * 2);
    assert!(refused > 500 && taken > 100, "{refused} {taken}");
    // The same tables again: what was taken is as it should be.
    let (status, out, _) = tree.sync(&users, &groups);
    assert!(status == Some(3) && !out.lines().any(|line| line.starts_with(['+', '~'])), "{out}");
}

/// Hashes of crypt(5), each with one of these in it.
const HASHES: [&str; 5] = [
    "$6$plantedmarker$3Jk1VvQeWcG8oZ0yq5l7n2bA9dXfMhTtRrUuSs",
    "!$y$j9T$plantedmarker$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5r",
    "$2b$05$plantedmarkerCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    "$6$rounds=5000$plantedmarker$D4IrlXatmP7rx3P3InaxBeo",
    "_J9..rasmPlantedMark",
];
const MARKS: [&str; 2] = [MARK, "PlantedMark"];

fn marked(text: &str) -> Option<&'static str> {
    MARKS.into_iter().find(|mark| text.contains(mark))
}

#[test]
fn a_hash_in_the_wrong_place_is_shown_nowhere() {
    let tree = Tree::new("hashes");
    let config = |more: &str| {
        let log = tree.0.join("log");
        let text = format!(
            r#"{{"status_file": "/run/status.json", "metrics_file": "/run/metrics.prom", "logging": {{"version": 1,
            "handlers": {{"file": {{"class": "logging.FileHandler", "filename": "{}"}},
            "stream": {{"class": "logging.StreamHandler"}}}},
            "root": {{"level": "DEBUG", "handlers": ["file", "stream"]}}}}{more}}}"#,
            log.display()
        );
        std::fs::create_dir_all(tree.0.join("root/etc")).unwrap();
        std::fs::write(tree.0.join("root/etc/dynamodb-user-manager.cfg"), text).unwrap();
    };
    config("");
    std::fs::create_dir_all(tree.0.join("root/run")).unwrap();
    let attributes = ["UID", "GID", "RealName", "Home", "Shell", "LastPasswordChangeDate", "PasswordAgeMinDays"];
    let attributes = [&attributes[..], &["AccountExpireDate", "SSHPublicKeys", "Members", "Administrators"]].concat();
    let (mut users, mut groups, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for attribute in attributes {
        let (kind, _) = right(attribute);
        for hash in HASHES {
            let texts =
                [hash.to_owned(), format!(" {hash}"), format!("{hash}\n"), format!("/x{hash}"), format!("x {hash}")];
            for text in texts {
                let number = wrong.len();
                let value = if kind == "SS" { json!({kind: [text]}) } else { json!({kind: text}) };
                let is_group = matches!(attribute, "Members" | "Administrators");
                let name = format!("{}{number}", if is_group { 'g' } else { 'u' });
                let mut item = json!({"Name": {"S": name}, "UID": {"N": (3000 + number).to_string()},
                                      "GID": {"N": (3000 + number).to_string()}, "Home": {"S": format!("/home/{name}")}});
                item[attribute] = value;
                wrong.push((name, attribute, text));
                if is_group { groups.push(item) } else { users.push(item) }
            }
        }
    }
    users.extend(HASHES.map(|hash| json!({"Name": {"S": hash}, "UID": {"N": "2999"}, "GID": {"N": "2000"}})));
    let (status, out, err) = tree.sync(&users, &groups);
    assert_eq!(status, Some(3), "{err}");
    let mut said = format!("{out}{err}");
    let (_, out, err) = tree.ddum(&["-v", "check"]);
    said += &(out + &err);
    for name in ["u0", "u60", "u100", "u200"] {
        let (_, out, err) = tree.ddum(&["-v", "explain", name]);
        said += &(out + &err);
    }
    for words in [&["status"][..], &["status", "--json"]] {
        let (_, out, err) =
            outcome(Command::new(env!("CARGO_BIN_EXE_ddum")).args(words).arg("--root").arg(tree.0.join("root")));
        said += &(out + &err);
    }
    for file in ["root/run/status.json", "root/run/metrics.prom", "log"] {
        said.push_str(&std::fs::read_to_string(tree.0.join(file)).unwrap_or_default());
    }
    for line in said.lines() {
        // What only looks like a path, or like words, is told from nothing else.
        assert!(marked(line).is_none_or(|mark| mark != MARK && !line.contains(&format!("\"{mark}"))), "{line}");
    }
    // Everybody can read these two.
    for line in [tree.lines("passwd"), tree.lines("group")].concat() {
        assert!(!line.contains(MARK), "{line}");
    }
    // And in the configuration, where the place of a value is told and not what it is.
    for (more, place) in [
        (r#", "aws_secret_key": ["plantedmarker"]"#, "aws_secret_key"),
        (r#", "aws_access_key": {"a": "plantedmarker"}"#, "aws_access_key"),
        (r#", "aws_session_token": 12345plantedmarker"#, "line"),
        (r#", "endpoint_url": "https://user:plantedmarker@host""#, "endpoint_url"),
        (r#", "user_defaults": {"Password": ["plantedmarker"]}"#, "user_defaults.Password"),
        (r#", "user_defaults": {"Password": "plantedmarker plantedmarker"}"#, "user_defaults.Password"),
        (r#", "user_defaults": {"RealName": "$6$plantedmarker$x"}"#, "user_defaults.RealName"),
        (r#", "user_defaults": {"Shell": "$6$plantedmarker$x"}"#, "user_defaults.Shell"),
        (r#", "user_defaults": {"SSHPublicKeys": ["$6$plantedmarker$x"]}"#, "user_defaults.SSHPublicKeys"),
        (r#", "aws_region": "$y$j9T$plantedmarker$x""#, "aws_region"),
        (r#", "aws_secret_key": plantedmarker"#, "line"),
        (r#", "aws_secret_key": "plantedmarker"#, "line"),
        (r#", "aws_secret_key": "plantedmarker", "aws_secret_key": "plantedmarker2""#, "also on line"),
        (r#", "aws_secret_key": "plantedmarker""#, "only work together"),
        (r#", "aws_secret_kex": "plantedmarker", "consistent_read": 1"#, "consistent_read"),
    ] {
        config(more);
        let (status, out, err) = tree.ddum(&["-v", "sync"]);
        assert_eq!(status, Some(2), "{more}: {err}");
        assert!(err.contains(place) && marked(&out).or(marked(&err)).is_none(), "{more}: {out}{err}");
    }
}
