//! The documents against the program: its help, its command line, its keys, its exit statuses and its signals are in
//! the manual pages, the README and the completions, and nothing else is.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that panics is a test that fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const MANUAL: &str = include_str!("../man/ddum.8");
const FORMAT: &str = include_str!("../man/dynamodb-user-manager.cfg.5");
const README: &str = include_str!("../README.md");
const BASH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/completions/ddum.bash");
const ZSH: &str = include_str!("../completions/_ddum");
const FISH: &str = include_str!("../completions/ddum.fish");

type Set = BTreeSet<String>;

fn set<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Set {
    names.into_iter().map(Into::into).collect()
}

/// What is between two texts, the second of which may be the end.
fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from:?}"));
    rest.split_once(to).map_or(rest, |(found, _)| found)
}

/// What `ddum WORDS` says, on both streams.
fn ddum(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ddum")).args(words).env("LC_ALL", "C").output().unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

/// The help of a command, without what all helps have in common. The daemon's is that of no command.
fn help(command: &str) -> String {
    let text = if command == "daemon" { ddum(&["--help"]) } else { ddum(&[command, "--help"]) };
    text.split_once("\nCommon options").unwrap().0.to_owned()
}

fn common_help() -> String {
    between(&ddum(&["--help"]), "\nCommon options", "\nExit status").to_owned()
}

/// Every `--option` in a text.
fn long_options(text: &str) -> Set {
    let starts =
        text.match_indices("--").filter(|(at, _)| !text[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '-'));
    let names = starts.map(|(at, _)| {
        let rest = &text[at + 2..];
        &rest[..rest.find(|c: char| !(c.is_ascii_lowercase() || c == '-')).unwrap_or(rest.len())]
    });
    set(names.filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase())).map(|name| format!("--{name}")))
}

/// The commands of the program, the daemon first.
fn commands() -> Vec<String> {
    let main = ddum(&["--help"]);
    let listed = between(&main, "\nCommands:\n", "\n\n").lines().map(|line| line.split_whitespace().next().unwrap());
    std::iter::once("daemon").chain(listed).map(str::to_owned).collect()
}

/// The verbs of a command, from how its help begins.
fn verbs(command: &str) -> Vec<String> {
    let begin = format!("ddum {command} ");
    let help = help(command);
    let usage = help.split("\n\n").next().unwrap();
    let verb = |line: &str| line.split_once(&begin)?.1.split_whitespace().next().map(str::to_owned);
    let verbs = usage.lines().filter_map(verb).filter(|verb| verb.bytes().all(|byte| byte.is_ascii_lowercase()));
    verbs.collect()
}

/// Whether an option is followed by a value: one that is not refuses it.
fn takes_value(command: &str, option: &str) -> bool {
    !ddum(&[command, &format!("{option}=1"), "--help"]).contains("unexpected argument for option")
}

/// The options of a verb: those of its command that the program does not call foreign to it.
fn options_of_verb(command: &str, verb: &str) -> Set {
    let all = long_options(&help(command));
    let words = |option: &str| match takes_value(command, option) {
        true => vec![option.to_owned(), "1".to_owned()],
        false => vec![option.to_owned()],
    };
    // Of several options that do not belong, the first is named. Nothing is done: the configuration is missing.
    let refuses = |given: &[String], option: &str| {
        let head = ["-c", "/nonexistent/x", command, verb];
        let line: Vec<&str> = head.into_iter().chain(given.iter().map(String::as_str)).collect();
        ddum(&line).contains(&format!("option '{option}' does not belong to '{verb}'"))
    };
    let belongs = |option: &&String| !refuses(&words(option), option);
    let own: Set = all.iter().filter(belongs).cloned().collect();
    assert!(own.len() < all.len(), "{command} {verb} has every option of {command}");
    own
}

/// The options of every command without verbs and of every verb, by `user add` and the like.
fn options() -> BTreeMap<String, Set> {
    let mut all = BTreeMap::new();
    for command in commands() {
        let verbs = verbs(&command);
        for verb in &verbs {
            all.insert(format!("{command} {verb}"), options_of_verb(&command, verb));
        }
        if verbs.is_empty() {
            all.insert(command.clone(), long_options(&help(&command)));
        }
    }
    all
}

/// The subsections or sections of a manual page, by name.
fn sections<'t>(text: &'t str, level: &str) -> BTreeMap<&'t str, &'t str> {
    let begin = format!("\n{level} ");
    text.split(&begin).skip(1).map(|part| part.split_once('\n').unwrap()).collect()
}

/// What the entries of a manual page's lists name with a macro: `.It Fl c , Fl -config Ar file` has two of `Fl`.
fn entries(text: &str, name: &str) -> Set {
    let lines = text.lines().filter_map(|line| line.strip_prefix(".It "));
    let mut found = Set::new();
    for line in lines {
        let mut is_named = false;
        let mut escaped = false;
        for word in line.split_whitespace() {
            match word {
                "Ar" | "No" | "Ns" | "Cm" | "Fl" | "Li" | "Ev" | "Dv" | "Pa" => {
                    is_named = word == name;
                    escaped = is_named;
                }
                "," => is_named = escaped,
                word if is_named => {
                    found.insert(word.to_owned());
                }
                _ => {}
            }
        }
    }
    found
}

fn manual_options(section: &str) -> Set {
    set(entries(section, "Fl").iter().filter_map(|flag| flag.strip_prefix('-')).map(|name| format!("--{name}")))
}

#[test]
fn the_manual_has_every_command_verb_and_option() {
    let page = between(MANUAL, "\n.Sh COMMANDS\n", "\n.Sh ");
    let page = format!("\n{page}");
    let sections = sections(&page, ".Ss");
    let mut names = set(sections.keys().copied());
    assert!(names.remove("The daemon") && names.insert("daemon".to_owned()));
    assert_eq!(names, set(commands()));
    for command in commands() {
        let section = sections[if command == "daemon" { "The daemon" } else { &command }];
        assert_eq!(manual_options(section), long_options(&help(&command)), "{command}");
        let verbs = set(verbs(&command));
        let listed = if verbs.is_empty() { Set::new() } else { entries(section, "Cm") };
        assert_eq!(listed, verbs, "{command}");
        for verb in verbs {
            assert!(section.contains(&format!("\n.Cm {command} {verb}\n")), "the synopsis lacks {command} {verb}");
        }
    }
    let common = between(MANUAL, "\n.Sh COMMON OPTIONS\n", "\n.Sh ");
    assert_eq!(manual_options(common), long_options(&common_help()));
}

#[test]
fn the_manual_has_every_letter_of_an_option() {
    let letters = |text: &str| {
        let lines = text.lines().map(str::trim_start).filter(|line| line.starts_with('-') && !line.starts_with("--"));
        set(lines.map(|line| line[1..2].to_owned()))
    };
    let mut all: Set = letters(&common_help());
    for command in commands() {
        all.extend(letters(&help(&command)));
    }
    let shown = set(entries(MANUAL, "Fl").into_iter().filter(|flag| flag.len() == 1));
    assert_eq!(shown, all);
}

#[test]
fn the_readme_has_every_command_and_common_option() {
    let table = between(README, "\n## Commands\n", "\n## ");
    for command in commands() {
        let shown = if command == "daemon" { "`ddum [-f]".to_owned() } else { format!("`ddum {command}") };
        assert!(table.contains(&shown), "{command}");
        for verb in verbs(&command) {
            let row = table.lines().find(|line| line.starts_with(&format!("| `ddum {command} ")));
            assert!(row.is_some_and(|row| row.contains(&verb)), "{command} {verb}");
        }
    }
    for option in long_options(&common_help()) {
        assert!(table.contains(&format!("`{option}")), "{option}");
    }
}

#[test]
fn bash_completes_what_the_program_takes() {
    let complete = |words: &[&str]| {
        let script = format!(
            "set -eu; source {BASH}; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _ddum; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").args(["--norc", "-c", &script, "bash"]).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        set(String::from_utf8(output.stdout).unwrap().split_whitespace())
    };
    let common = long_options(&common_help());
    for (place, mut options) in options() {
        options.extend(common.clone());
        let words: Vec<&str> =
            std::iter::once("ddum").chain(place.split(' ').filter(|word| *word != "daemon")).collect();
        assert_eq!(complete(&[&words[..], &["--"]].concat()), options, "{place}");
        // Behind what takes a value, in either form, it is the same place.
        let spaced = [&words[..1], &["--config", "sync"], &words[1..], &["--"]].concat();
        let joined = [&words[..1], &["--root", "=", "sync"], &words[1..], &["--"]].concat();
        assert_eq!([complete(&spaced), complete(&joined)], [options.clone(), options], "{place}");
    }
    let words = set(commands().into_iter().filter(|command| command != "daemon"));
    assert_eq!([complete(&["ddum", ""]), complete(&["ddum", "help", ""])], [words.clone(), words.clone()]);
    for command in words {
        if !verbs(&command).is_empty() {
            assert_eq!(complete(&["ddum", &command, ""]), set(verbs(&command)), "{command}");
        }
    }
    assert_eq!(complete(&["ddum", "tables", "policy", ""]), set(["reader", "admin", "self"]));
    let export = complete(&["/usr/bin/dynamodb-user-export", "--no"]);
    assert_eq!(export, set(["--no-passwd", "--no-password", "--no-shadow", "--no-group", "--no-gshadow"]));
    assert!(complete(&["ddum", "-c", "/etc/pass"]).contains("/etc/passwd"));
}

#[test]
fn zsh_completes_what_the_program_takes() {
    // What the variables of the file hold: `files=(` … `)` on lines of their own, or `json='…'`.
    let mut variables = BTreeMap::new();
    for (at, _) in ZSH.match_indices("=(\n") {
        let name = ZSH[..at].rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap();
        variables.entry(name).or_insert_with(|| ZSH[at..].split("\n  )\n").next().unwrap());
    }
    for (at, _) in ZSH.match_indices("='") {
        let name = ZSH[..at].rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap();
        variables.entry(name).or_insert_with(|| ZSH[at + 2..].split('\'').next().unwrap());
    }
    fn expanded(text: &str, variables: &BTreeMap<&str, &str>) -> Set {
        let mut found = long_options(text);
        for word in text.split('$').skip(1) {
            let name = word.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap();
            found.extend(variables.get(name).map_or_else(Set::new, |text| expanded(text, variables)));
        }
        found
    }
    let cases = between(ZSH, "\n  case \"$command", "\n  esac");
    let mut shown = BTreeMap::new();
    for case in cases.split(";;") {
        let Some((labels, body)) = case.split_once(')').filter(|_| !case.trim().is_empty()) else { continue };
        let labels = labels.lines().last().unwrap();
        for label in labels.split('|').map(|label| label.trim().trim_matches('\'')) {
            let place = if label.is_empty() { "daemon" } else { label };
            shown.insert(place.to_owned(), expanded(body, &variables));
        }
    }
    let mut all = options();
    // A command that still waits for its verb.
    all.extend(
        commands().into_iter().filter(|command| !verbs(command).is_empty()).map(|command| (command, Set::new())),
    );
    assert_eq!(shown, all);
    assert_eq!(expanded("$common", &variables), long_options(&common_help()));
    for command in commands().into_iter().filter(|command| !verbs(command).is_empty()) {
        let verbs = verbs(&command).join(" ");
        assert!(cases.contains(&format!("    {command}) rest=('*:what to do:({verbs})') ;;")), "{command}: {verbs}");
    }
    let words = commands()[1..].join(" ");
    assert_eq!(cases.matches(&format!("command:({words})")).count(), 2, "{words}");
}

#[test]
fn fish_completes_what_the_program_takes() {
    let mut shown: BTreeMap<String, Set> = BTreeMap::new();
    let mut common = Set::new();
    let mut words = Set::new();
    let mut places: Vec<String> = Vec::new();
    for line in FISH.lines().map(str::trim) {
        if let Some(list) = line.strip_prefix("for at in ") {
            places = list.split(' ').map(str::to_owned).collect();
        }
        let Some(line) = line.strip_prefix("complete -c $name ") else { continue };
        let option = line.split(" -l ").nth(1).or_else(|| line.strip_prefix("-l ")).map(|rest| {
            let name = rest.split(' ').next().unwrap();
            format!("--{name}")
        });
        let Some(condition) = line.strip_prefix("-n ") else {
            common.extend(option);
            continue;
        };
        let condition = between(condition, "__ddum_at ", &condition[..1]);
        let at: Vec<String> = match condition.split(' ').collect::<Vec<_>>()[..] {
            ["$at"] => places.clone(),
            [command] => vec![command.to_owned()],
            [command, ref verbs @ ..] => verbs.iter().map(|verb| format!("{command} {verb}")).collect(),
            [] => Vec::new(),
        };
        match option {
            Some(option) => {
                for at in at {
                    shown.entry(at).or_default().insert(option.clone());
                }
            }
            None if at == ["daemon", "help"] => {
                words.extend(line.split(" -a ").nth(1).unwrap().split(' ').next().map(str::to_owned));
            }
            None => {}
        }
    }
    let mut all = options();
    all.retain(|_, options| !options.is_empty());
    assert_eq!(shown, all);
    assert_eq!(common, long_options(&common_help()));
    assert_eq!(words, set(commands().into_iter().skip(1)));
    for command in commands().into_iter().filter(|command| !verbs(command).is_empty()) {
        let line = format!("-n '__ddum_at {command}' -a '{}'", verbs(&command).join(" "));
        assert!(FISH.contains(&line), "{line}");
    }
}

/// The keys that the program knows, as its source lists them: those that have an effect, and those of later versions.
fn keys() -> (Set, Set) {
    let source = include_str!("../src/config/keys.rs");
    let quoted = |name: &str| {
        let list = between(between(source, &format!("const {name}: [&str; "), "];"), "[", "]");
        set(list.lines().filter_map(|line| Some(line.trim().strip_prefix('"')?.split_once('"')?.0.to_owned())))
    };
    (quoted("KEYS"), quoted("LATER"))
}

#[test]
fn the_keys_of_the_configuration_are_documented() {
    let (known, later) = keys();
    assert!(known.len() > 20 && later.len() > 5);
    let page = between(FORMAT, "\n.Sh KEYS\n", "\n.Sh ");
    let (now, then) = page.split_once("\n.Ss Keys of later versions\n").unwrap();
    assert_eq!(entries(now, "Li"), known);
    assert_eq!(entries(then, "Li"), later);

    let text = between(README, "\n## Configuration\n", "\n## ");
    let ticked = |text: &str| set(text.split('`').skip(1).step_by(2));
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let first_cells = rows.map(|row| row.split('|').nth(1).unwrap());
    assert_eq!(first_cells.flat_map(ticked).collect::<Set>(), known);
    assert_eq!(ticked(between(text, "errors in this one:", ".\n")), later);
}

#[test]
fn the_program_takes_the_keys_that_the_documents_name() {
    let (known, _) = keys();
    let text = format!("{{{}}}", known.iter().map(|key| format!("\"{key}\": 1")).collect::<Vec<_>>().join(", "));
    let (config, path) = (ddum::config::Config::parse, std::path::Path::new("x"));
    // Not one of them is unknown: what is wrong with a value is an error, and an unknown key would be a warning.
    for key in &known {
        let told = match config(format!("{{\"{key}\": 1}}").as_bytes(), path) {
            Ok((_, warnings)) => warnings.join("\n"),
            Err(error) => error.to_string(),
        };
        assert!(!told.contains("is no key that ddum knows"), "{told}");
    }
    let shipped = include_bytes!("../packaging/dynamodb-user-manager.cfg");
    for file in [&shipped[..], include_bytes!("../examples/dynamodb-user-manager.cfg"), b"{}"] {
        let (_, warnings) = config(file, path).unwrap();
        assert_eq!(warnings, Vec::<String>::new());
    }
    // What is shipped changes no default.
    let (shipped, _) = config(shipped, path).unwrap();
    assert_eq!(format!("{shipped:?}"), format!("{:?}", ddum::config::Config::default()));
    for example in FORMAT.split("\n.Bd -literal").skip(1) {
        let example = between(example, "\n", "\n.Ed");
        assert_eq!(config(example.as_bytes(), path).unwrap().1, Vec::<String>::new(), "{example}");
    }
    assert!(config(text.as_bytes(), path).is_err());
}

#[test]
fn the_attributes_of_the_tables_are_the_same_everywhere() {
    let page = format!("\n{}", between(FORMAT, "\n.Sh TABLES\n", "\n.Sh "));
    let sections = sections(&page, ".Ss");
    for (table, heading) in [("Users", "\n## Users table\n"), ("Groups", "\n## Groups table\n")] {
        let rows = between(README, heading, "\n## ").lines().filter_map(|line| line.strip_prefix("| `"));
        let mut named = set(rows.map(|row| row.split('`').next().unwrap()));
        if table == "Users" {
            named.insert("DisabledSSHPublicKeys".to_owned());
        }
        assert_eq!(entries(sections[table], "Li"), named, "{table}");
    }
}

#[test]
fn exit_statuses_and_signals_are_documented() {
    let source = between(include_str!("../src/error.rs"), "pub mod exit {", "\n}");
    let of_source = source.lines().filter_map(|line| line.trim().strip_prefix("pub const ")?.split(" = ").nth(1));
    let statuses = set(of_source.map(|number| number.trim_end_matches(';')));
    assert_eq!(statuses.len(), 5);
    let page = between(MANUAL, "\n.Sh EXIT STATUS\n", "\n.Sh ");
    assert_eq!(set(page.lines().filter_map(|line| line.strip_prefix(".It "))), statuses);
    let table = between(README, "\n| exit status | meaning |\n", "\n\n");
    assert_eq!(set(table.lines().skip(1).map(|row| row.split('|').nth(1).unwrap().trim())), statuses);
    let help = ddum(&["--help"]);
    let help = between(&help, "\nExit status: ", "\x00").replace(';', " ");
    assert_eq!(set(help.split_whitespace().filter(|word| word.bytes().all(|b| b.is_ascii_digit()))), statuses);

    let source = include_str!("../src/commands/daemon/signals.rs");
    let signals = source.split("SignalKind::").skip(1).map(|rest| match rest.split('(').next().unwrap() {
        "terminate" => "SIGTERM",
        "interrupt" => "SIGINT",
        "hangup" => "SIGHUP",
        "user_defined1" => "SIGUSR1",
        other => panic!("which signal is {other}?"),
    });
    let signals = set(signals.take(4));
    assert_eq!(entries(between(MANUAL, "\n.Sh SIGNALS\n", "\n.Sh "), "Dv"), signals);
    let table = between(README, "\n| signal to the daemon | what it does |\n", "\n\n");
    let cells = table.lines().skip(1).flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2));
    assert_eq!(set(cells), signals);
}

#[test]
fn the_changelogs_of_the_packages_are_of_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    let debian = include_str!("../debian/changelog");
    assert!(debian.starts_with(&format!("ddum ({version}) ")), "{debian}");
    let spec = include_str!("../rpm/ddum.spec");
    assert!(between(spec, "%changelog\n* ", "\n").ends_with(&format!("> - {version}-1")));
    assert!(include_str!("../CHANGELOG.md").contains(&format!("\n## [{version}]")));
}
