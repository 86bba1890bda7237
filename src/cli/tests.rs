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
fn the_name_of_the_export_program_stands_for_its_command() {
    let called = |text: &str| parse_called(text.split(' ').map(OsString::from));
    for (text, want) in [
        ("/usr/bin/dynamodb-user-export --passwd p --no-shadow", "export --passwd p --no-shadow"),
        ("dynamodb-user-export --region r", "--region r export"),
        ("dynamodb-user-export -h", "export -h"),
        ("dynamodb-user-manager -f -p /p", "-f -p /p"),
        ("/usr/sbin/ddum sync", "sync"),
        ("/opt/dynamodb-user-export/ddum check", "check"),
    ] {
        assert_eq!(called(text).unwrap(), line(want).unwrap(), "{text}");
    }
    let error = called("dynamodb-user-export sync").unwrap_err();
    assert!(error.to_string().contains("unexpected argument 'sync'; see 'ddum export --help'"), "{error}");
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
fn a_verb_has_its_own_options_and_arguments() {
    for (text, want) in [
        ("user", "one of list, show, add, set, expire, enable, delete must follow; see 'ddum user --help'"),
        ("user ad", "'ad' is none of list, show, add, set, expire, enable, delete, did you mean 'add'?"),
        ("user add", "the name of a user must follow"),
        ("user add alice bob", "unexpected argument 'bob'"),
        ("user list --dry-run", "option '--dry-run' does not belong to 'list'"),
        ("group add x --uid 7", "option '--uid' does not belong to this command; see 'ddum group --help'"),
        ("user add x --uid 7 --uid-range 1-9", "'--uid-range' is for '--uid auto'"),
        ("user add x --gid 7 --group y", "give one"),
        ("user add x --key - --password-hash-stdin", "standard input can be only one thing"),
        ("user add x --uid-range 9", "'9' is no range"),
        ("user list --uid-range 9-+10", "'9-+10' is no range"),
        ("user set x --unset shel", "'shel' is no attribute that can be unset, did you mean 'Shell'?"),
        ("user set x --shell /bin/sh --unset Shell", "Shell cannot be set and unset at once"),
        ("user set x --password-hash-stdin --unset password", "Password cannot be set and unset at once"),
        ("group join dev", "the name of a group and of users must follow"),
        ("key list a b", "unexpected argument 'b'"),
        ("key add", "a file with a public key, or '-' must follow"),
        ("key list alice --me-from-env", "'--me-from-env' is for when no user is named"),
        ("tables create now", "unexpected argument 'now'"),
        ("tables create --tag =x", "'=x' is no tag"),
        ("tables policy", "one of reader, admin, self must follow"),
        ("tables policy root", "'root' is none of reader, admin, self"),
        ("tables policy self --account 12", "'12' is no account"),
        ("user list --users x", "option '--users' does not belong to this command"),
    ] {
        let error = line(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
        assert!(error.to_string().contains(want), "{text}: {error}");
    }
}

#[test]
fn what_a_verb_means_reaches_its_fields() {
    let (_, command) =
        line("user add x --uid auto --groups a,,b --key - --key f --shell /s --max-days -1 --dry-run").unwrap();
    let Command::User(user::Verb::Add(new)) = command else { unreachable!("{command:?}") };
    assert_eq!((new.auto, new.groups), (Some(user::UID_RANGE), vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(new.keys, [Source::Stdin, Source::File("f".into())]);
    let set = [("Shell", "/s".to_owned()), ("PasswordAgeMaxDays", "-1".to_owned())];
    assert_eq!((&new.attributes.set[..], new.writing.dry_run), (&set[..], true));
    let me = |who| Command::Key(key::Verb::List(who, user::Form::Json));
    assert_eq!(line("key list --json").unwrap().1, me(key::Who::Me));
    assert_eq!(line("key list --json --me-from-env").unwrap().1, me(key::Who::MeFromEnvironment));
    assert_eq!(line("--json key list bob").unwrap().1, me(key::Who::User("bob".into())));
    assert_eq!(line("user --help add").unwrap().1, Command::Help(usage::USER));
    assert_eq!(line("help tables").unwrap().1, Command::Help(usage::TABLES));
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
