use super::options::EVERY;
use super::*;
use crate::error::ErrorKind;

fn line(text: &str) -> Result<(Options, Command), Error> {
    parse(text.split_whitespace().map(OsString::from))
}

fn daemon(foreground: bool, pidfile: &str) -> Command {
    Command::Daemon { foreground, pidfile: pidfile.into() }
}

#[test]
fn options_stand_before_or_after_the_command() {
    for (text, want) in [
        ("", daemon(false, DEFAULT_PIDFILE)),
        ("-f", daemon(true, DEFAULT_PIDFILE)),
        ("-fp/run/x", daemon(true, "/run/x")),
        ("--foreground --pidfile=/run/x", daemon(true, "/run/x")),
        ("sync", Command::Sync { dry_run: false }),
        ("sync --dry-run", Command::Sync { dry_run: true }),
        ("--dry-run sync", Command::Sync { dry_run: true }),
        ("-v check", Command::Check),
        ("status --json", Command::Status { json: true }),
        ("help", Command::Help(usage::MAIN)),
        ("help sync", Command::Help(usage::SYNC)),
        ("help --help", Command::Help(usage::HELP)),
        ("--help", Command::Help(usage::MAIN)),
        ("-h check", Command::Help(usage::CHECK)),
        ("status --users x -h", Command::Help(usage::STATUS)),
        ("sync -V", Command::Version),
    ] {
        assert_eq!(line(text).unwrap().1, want, "{text}");
    }
}

#[test]
fn common_options_reach_their_fields() {
    let (options, _) = line("-c /c --root /r sync --users u --groups - -q").unwrap();
    let want = Options {
        config: Some("/c".into()),
        root: Some("/r".into()),
        users: Some(Source::File("u".into())),
        groups: Some(Source::Stdin),
        verbosity: Verbosity::Quiet,
    };
    assert_eq!(options, want);
    assert_eq!(line("-v -q -v").unwrap().0.verbosity, Verbosity::Verbose);
}

#[test]
fn a_wrong_line_is_refused_with_the_nearest_name_and_where_help_is() {
    for (text, want) in [
        ("snyc", "unknown command 'snyc', did you mean 'sync'?; see 'ddum --help'"),
        ("daemon", "unknown command 'daemon'; see 'ddum --help'"),
        ("sync now", "unexpected argument 'now'; see 'ddum sync --help'"),
        ("sync --dryrun", "unknown option '--dryrun', did you mean '--dry-run'?; see 'ddum sync --help'"),
        ("--fore", "unknown option '--fore', did you mean '--foreground'?; see 'ddum --help'"),
        ("-x", "unknown option '-x'; see 'ddum --help'"),
        ("check --dry-run", "option '--dry-run' does not belong to this command; see 'ddum check --help'"),
        ("sync -p x", "option '--pidfile' does not belong to this command; see 'ddum sync --help'"),
        ("status --users a --groups b", "option '--users' does not belong to this command"),
        ("sync --users a", "'--users' and '--groups' only work together"),
        ("sync --users - --groups -", "standard input cannot be both tables"),
        ("--users - --groups x", "a daemon reads its tables again and again"),
        ("sync -c", "missing argument for option '-c'; see 'ddum sync --help'"),
        ("--foreground=yes", "unexpected argument for option '--foreground'"),
        ("help daemon", "unknown command 'daemon'"),
    ] {
        let error = line(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
        assert!(error.to_string().contains(want), "{text}: {error}");
    }
}

#[test]
fn every_option_is_in_the_help_of_its_commands_and_no_other_is() {
    for word in EVERY {
        let text = word.usage();
        let options = text.split_once("\n\n").unwrap().1;
        // Whole names: --group is not in the help because --groups is.
        let named = |text: &str, name: &str| {
            let is_end = |c: char| !c.is_ascii_lowercase() && c != '-';
            text.match_indices(name).any(|(at, _)| text[at + name.len()..].chars().next().is_none_or(is_end))
        };
        for Known { letter, name, words, .. } in OPTIONS {
            let belongs = words.contains(word);
            assert_eq!(named(options, &format!("--{name}")), belongs, "{name} in {word:?}");
            if let Some(letter) = letter.filter(|_| belongs) {
                assert!(options.contains(&format!("-{letter}, --{name}")), "{letter} in {word:?}");
            }
        }
        for name in text.split("--").skip(1) {
            let name = name.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap();
            assert!(OPTIONS.iter().any(|known| known.name == name), "--{name} in {word:?}");
        }
        assert!(text.lines().all(|line| line.len() <= 80) && text.ends_with('\n'), "{word:?}");
    }
    for (name, _) in WORDS {
        assert!(usage::MAIN.contains(&format!("\n  {name} ")), "{name}");
    }
}
