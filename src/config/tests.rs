use log::LevelFilter;

use super::keys::{KEYS, LATER};
use super::*;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBfzUc9s53y3Ig1NMYEI6otXwfhAKwVfblkUccnKCpEI {name}";

fn parse(text: &str) -> Result<(Config, Vec<String>), Error> {
    Config::parse(text.as_bytes(), Path::new("/etc/x.cfg"))
}

fn error(text: &str) -> String {
    match parse(text) {
        Ok(_) => panic!("taken: {text}"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Config, "{text}");
            error.to_string()
        }
    }
}

#[test]
fn an_empty_object_means_the_defaults_of_the_python_program() {
    let (config, warnings) = parse("\u{feff}{}").unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(config.full_update_period.as_secs(), 3600);
    assert_eq!(config.full_update_jitter.as_secs(), 600);
    assert_eq!((config.user_table_name.as_str(), config.group_table_name.as_str()), ("Users", "Groups"));
    assert!(config.consistent_read && config.create_home && config.logging.is_none());
}

#[test]
fn every_key_reaches_its_field() {
    let (config, warnings) = parse(
        r#"{"aws_access_key": "AKIA1", "aws_secret_key": "s1", "aws_session_token": "t1", "aws_profile": "p",
        "aws_region": "eu-west-1", "full_update_period": 60, "full_update_jitter": 0.0, "group_table_name": "G.1",
        "user_table_name": "arn:aws:dynamodb:us-east-1:123456789012:table/Users", "logging": null,
        "endpoint_url": "http://127.0.0.1:8000", "assume_role_arn": "arn:aws-cn:iam::123456789012:role/x/reader",
        "consistent_read": false, "allow_system_accounts": true, "allow_duplicate_ids": true,
        "group_members": "merge", "user_defaults": {"Shell": "/bin/bash", "GID": 100, "SSHPublicKeys": ["KEY"]},
        "create_home": false, "skeleton": null, "status_file": "/s", "metrics_file": "/m", "_comment": 1}"#
            .replace("G.1", "Groups.1")
            .replace("KEY", KEY)
            .as_str(),
    )
    .unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(config.aws_access_key.as_deref(), Some("AKIA1"));
    assert_eq!(config.aws_secret_key.as_ref().map(Secret::expose), Some("s1"));
    assert_eq!(config.aws_session_token.as_ref().map(Secret::expose), Some("t1"));
    assert_eq!(config.aws_profile.as_deref(), Some("p"));
    assert_eq!(config.aws_region.as_deref(), Some("eu-west-1"));
    assert_eq!((config.full_update_period.as_secs(), config.full_update_jitter.as_secs()), (60, 0));
    assert_eq!(config.group_table_name, "Groups.1");
    assert_eq!(config.user_table_name, "arn:aws:dynamodb:us-east-1:123456789012:table/Users");
    assert_eq!(config.endpoint_url.as_deref(), Some("http://127.0.0.1:8000"));
    assert_eq!(config.assume_role_arn.as_deref(), Some("arn:aws-cn:iam::123456789012:role/x/reader"));
    assert!(!config.consistent_read && config.allow_system_accounts && config.allow_duplicate_ids);
    assert!(!config.create_home && config.skeleton.is_none());
    assert_eq!(config.group_members, GroupMembers::Merge);
    assert_eq!(config.user_defaults["Shell"], DefaultValue::Text("/bin/bash".to_owned()));
    assert_eq!(config.user_defaults["GID"], DefaultValue::Text("100".to_owned()));
    assert_eq!(config.user_defaults["SSHPublicKeys"], DefaultValue::List(vec![KEY.to_owned()]));
    assert_eq!(config.status_file, Path::new("/s"));
    assert_eq!(config.metrics_file.as_deref(), Some(Path::new("/m")));
}

#[test]
fn what_is_wrong_names_line_key_value_and_what_is_allowed() {
    for (text, want) in [
        (
            "{\n\n\"full_update_period\":\n \"soon\"}",
            r#"/etc/x.cfg line 4: "full_update_period" is "soon", must be a whole number of seconds from 1 to 31536000"#,
        ),
        (r#"{"full_update_period": 0}"#, "is 0, must be a whole number of seconds from 1 to"),
        (r#"{"full_update_period": 1.5}"#, "is 1.5, must be a whole number"),
        (r#"{"full_update_period": null}"#, "is null, must be a whole number"),
        (r#"{"full_update_jitter": -1}"#, "is -1, must be a whole number of seconds from 0 to"),
        (r#"{"consistent_read": "yes"}"#, r#""consistent_read" is "yes", must be true or false"#),
        (r#"{"group_members": "some"}"#, r#"must be "auto", "exact" or "merge""#),
        (r#"{"aws_region": "US East"}"#, "must be a region like"),
        (r#"{"user_table_name": "U"}"#, "3 to 255"),
        (r#"{"user_table_name": ""}"#, "3 to 255"),
        (r#"{"user_table_name": "Groups"}"#, "cannot be both"),
        (r#"{"endpoint_url": "dynamodb"}"#, "must be an address"),
        (r#"{"endpoint_url": "https://user:secret@host"}"#, "must be an address"),
        (r#"{"endpoint_url": "http://host:99999"}"#, "must be an address"),
        (r#"{"endpoint_url": "http://host/?AKIASECRET"}"#, "must be an address"),
        (r#"{"endpoint_url": "http://host/#x"}"#, "must be an address"),
        (r#"{"endpoint_url": "https://user:AKIASECRET@host"}"#, "without user, password or query"),
        (r#"{"endpoint_url": "http://two words"}"#, "\"endpoint_url\" is \"http://two words\", must be"),
        (r#"{"assume_role_arn": "admin"}"#, "must be a role"),
        (r#"{"status_file": "status.json"}"#, "must be an absolute path"),
        (r#"{"skeleton": ""}"#, "must be an absolute path"),
        (r#"{"aws_access_key": "AKIA1"}"#, "only work together"),
        (r#"{"user_defaults": {"Shel": "x"}}"#, r#"did you mean "Shell"?"#),
        (r#"{"user_defaults": {"UID": 1}}"#, "cannot have a default"),
        (r#"{"user_defaults": {"Home": 1}}"#, r#""user_defaults.Home" is 1, must be a string"#),
        (r#"{"user_defaults": {"SSHPublicKeys": "k"}}"#, "must be a list of strings"),
        (r#"{"user_defaults": {"Shell": "bash"}}"#, r#"line 1: "user_defaults.Shell": "#),
        (r#"{"user_defaults": {"Home": "/home/{name}/../x"}}"#, r#""user_defaults.Home": "#),
        (r#"{"user_defaults": {"GID": 65535}}"#, r#""user_defaults.GID": "#),
        (r#"{"user_defaults": {"AccountExpireDate": "2030-02-30"}}"#, r#""user_defaults.AccountExpireDate": "#),
        (r#"{"user_defaults": {"SSHPublicKeys": ["ssh-rsa"]}}"#, r#""user_defaults.SSHPublicKeys": "#),
        (r#"{"user_defaults": []}"#, r#""user_defaults" is [], must be an object"#),
        (r#"{"removed_users": "keep"}"#, "not supported by this version"),
        ("{\"aws_profile\": \"a\",\n\"aws_profile\": \"b\"}", "line 2: \"aws_profile\" is also on line 1"),
        ("[]", "line 1 column 0: the file must hold one JSON object"),
        ("\"AKIASECRET\"", "the file must hold one JSON object"),
        ("", "not valid JSON: EOF"),
        ("{} {}", "not valid JSON: trailing characters"),
        ("{\"aws_profile\": \"a\",}", "not valid JSON: trailing comma"),
    ] {
        let message = error(text);
        assert!(message.contains(want), "{text}: {message}");
        assert!(message.starts_with("/etc/x.cfg"), "{text}: {message}");
        assert!(!message.contains('\n') && !message.contains("AKIASECRET"), "{text}: {message}");
    }
    let not_utf8 = Config::parse(b"{\n\"aws_profile\": \"\xff\"}", Path::new("/etc/x.cfg")).unwrap_err().to_string();
    assert_eq!(not_utf8, "/etc/x.cfg line 2: not UTF-8 text");
}

#[test]
fn a_secret_is_neither_in_a_message_nor_in_debug_output() {
    for text in [
        r#"{"aws_secret_key": ["hunter2"]}"#,
        r#"{"aws_session_token": {"hunter2": 1}}"#,
        r#"{"aws_access_key": "AKIA", "aws_secret_key": "hunter2\u0000"}"#,
        r#"{"aws_secret_key": "hunter2"}"#,
        r#"{"user_defaults": {"Password": ["hunter2"]}}"#,
        r#"{"user_defaults": {"Password": "hunter2:"}}"#,
        r#"{"user_defaults": {"Password": "hunter2 "}}"#,
        r#"{"aws_secret_key": "hunter2" "x": 1}"#,
    ] {
        let message = error(text);
        assert!(!message.contains("hunter2"), "{message}");
    }
    let text = r#"{"aws_access_key": "A", "aws_secret_key": "hunter2", "aws_session_token": "hunter2",
        "user_defaults": {"Password": "$6$hunter2$hunter2"}}"#;
    let debug = format!("{:?}", parse(text).unwrap().0);
    assert!(!debug.contains("hunter2"), "{debug}");
}

#[test]
fn an_unknown_key_is_a_warning_with_the_nearest_known_one() {
    let (_, warnings) = parse("{\n\"full_update_perod\": 5, \"colour\": 1, \"aws_session_token\": \"t\"}").unwrap();
    assert_eq!(
        warnings,
        [
            "/etc/x.cfg line 2: \"full_update_perod\" is no key that ddum knows, did you mean \"full_update_period\"?; ignored",
            "/etc/x.cfg line 2: \"colour\" is no key that ddum knows; ignored",
            "/etc/x.cfg: \"aws_session_token\" without \"aws_access_key\" has no effect",
        ]
    );
}

#[test]
fn the_list_of_keys_is_what_the_parser_takes() {
    for key in KEYS {
        let known = match parse(&format!("{{\"{key}\": {{}}}}")) {
            Ok((_, warnings)) => warnings.iter().all(|warning| !warning.contains("no key")),
            Err(error) => error.to_string().contains("must be"),
        };
        assert!(known, "{key}");
    }
    for key in LATER {
        assert!(error(&format!("{{\"{key}\": null}}")).contains("not supported by this version"), "{key}");
    }
}

#[test]
fn a_file_that_others_can_read_or_change_is_doubtful() {
    let plain = parse("{}").unwrap().0;
    let secret = parse(r#"{"aws_access_key": "A", "aws_secret_key": "b"}"#).unwrap().0;
    for (config, mode, want) in [
        (&plain, 0o100_644, None),
        (&secret, 0o100_640, None),
        (&secret, 0o100_600, None),
        (&secret, 0o100_644, Some("everybody can read it (mode 0644)")),
        (&plain, 0o100_664, Some("can be changed by others than its owner (mode 0664)")),
    ] {
        let doubt = config.doubts_about_mode(Path::new("/etc/x.cfg"), mode);
        match want {
            None => assert_eq!(doubt, None),
            Some(want) => assert!(doubt.as_ref().is_some_and(|doubt| doubt.contains(want)), "{mode:o}: {doubt:?}"),
        }
    }
}

const DICTIONARY: &str = r#"{"logging": {"version": 1, "disable_existing_loggers": false,
  "formatters": {"long": {"format": "%(asctime)s %(threadName)s %(message)s", "datefmt": "%H:%M"}},
  "handlers": {
    "console": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "level": "DEBUG"},
    "file": {"class": "logging.handlers.RotatingFileHandler", "filename": "/var/log/d.log", "maxBytes": 1000000,
      "backupCount": 3, "formatter": "long"},
    "syslog": {"class": "logging.handlers.SysLogHandler", "address": "/dev/log", "facility": "local3", "level": 30},
    "cloud": {"class": "watchtower.CloudWatchLogHandler", "log_group": "x"},
    "unused": {"class": "logging.NullHandler"}},
  "root": {"level": "WARNING", "handlers": ["console", "cloud"]},
  "loggers": {"dynamodbusermanager": {"level": "DEBUG", "handlers": ["file", "syslog"]}, "boto3": {"level": 10}}}}"#;

#[test]
fn a_logging_dictionary_is_honoured_where_it_can_be() {
    let (config, warnings) = parse(DICTIONARY).unwrap();
    let logging = config.logging.unwrap();
    assert_eq!((logging.own, logging.others), (LevelFilter::Debug, LevelFilter::Warn));
    let [console, file, syslog] = logging.handlers.as_slice() else { panic!("{:?}", logging.handlers) };
    assert_eq!(console.kind, HandlerKind::Stdout);
    assert!(console.own && console.others && console.format.is_none());
    assert_eq!(file.kind, HandlerKind::File { path: "/var/log/d.log".into(), max_bytes: 1_000_000, backup_count: 3 });
    assert!(file.own && !file.others);
    assert_eq!(file.format.as_ref().and_then(|format| format.date.as_deref()), Some("%H:%M"));
    assert_eq!(syslog.level, LevelFilter::Warn);
    let HandlerKind::Syslog { facility, .. } = syslog.kind else { panic!("{:?}", syslog.kind) };
    assert_eq!(facility.number(), 19);
    assert_eq!(syslog.kind, HandlerKind::Syslog { address: SyslogAddress::Socket("/dev/log".into()), facility });
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].contains("ddum has no threadName; left empty"), "{warnings:?}");
    assert!(warnings[1].contains("ddum has no handler watchtower.CloudWatchLogHandler"), "{warnings:?}");
    assert!(warnings[2].contains("\"logging.loggers.boto3\" is no logger"), "{warnings:?}");
}

#[test]
fn a_logger_without_a_level_has_the_root_s_and_one_that_does_not_propagate_keeps_to_itself() {
    let dictionary = DICTIONARY
        .replace("\"level\": \"DEBUG\", \"handlers\": [\"file\"", "\"propagate\": false, \"handlers\": [\"file\"");
    let logging = parse(&dictionary).unwrap().0.logging.unwrap();
    assert_eq!(logging.own, LevelFilter::Warn);
    assert!(!logging.handlers[0].own && logging.handlers[0].others);
}

#[test]
fn what_python_would_refuse_in_a_logging_dictionary_is_refused() {
    let handler = |handler: &str| format!(r#"{{"logging": {{"version": 1, "handlers": {{"h": {handler}}}}}}}"#);
    for (text, want) in [
        (r#"{"logging": {"version": 2}}"#.to_owned(), r#""logging.version" is 2, must be 1"#),
        (r#"{"logging": "INFO"}"#.to_owned(), "must be an object"),
        (
            r#"{"logging": {"root": {"level": "LOUD"}}}"#.to_owned(),
            r#""logging.root.level" is "LOUD", must be "DEBUG""#,
        ),
        (r#"{"logging": {"root": {"handlers": ["h"]}}}"#.to_owned(), "must be the name of a handler"),
        (r#"{"logging": {"formatters": {"f": {"format": "%s"}}}}"#.to_owned(), "begins no %(name)s"),
        (handler("{}"), "must be an object with a \"class\""),
        (handler(r#"{"class": "logging.FileHandler"}"#), "with a \"filename\""),
        (handler(r#"{"class": "logging.FileHandler", "filename": "d.log"}"#), "must be an absolute path"),
        (handler(r#"{"class": "logging.StreamHandler", "formatter": "f"}"#), "must be the name of a formatter"),
        (handler(r#"{"class": "logging.handlers.SysLogHandler", "facility": "mine"}"#), "must be a syslog facility"),
        (handler(r#"{"class": "logging.handlers.SysLogHandler", "address": ["h"]}"#), "must be a socket's path"),
    ] {
        let message = error(&text);
        assert!(message.contains(want), "{text}: {message}");
    }
}
