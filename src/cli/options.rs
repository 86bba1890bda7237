//! Every option, and the commands that have it.

use super::Word;

/// What an option is called in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    Config,
    Foreground,
    Pidfile,
    Root,
    Users,
    Groups,
    DryRun,
    Json,
    Verbose,
    Quiet,
    Version,
    Help,
    Passwd,
    NoPasswd,
    Shadow,
    NoShadow,
    Group,
    NoGroup,
    Gshadow,
    NoGshadow,
    UserTable,
    GroupTable,
    Region,
    Profile,
    All,
    Overwrite,
    ToFiles,
    FromTables,
    Yes,
    Uid,
    UidRange,
    Gid,
    RealName,
    Home,
    Shell,
    Key,
    PasswordHashStdin,
    PasswordChanged,
    MinDays,
    MaxDays,
    WarnDays,
    DisableDays,
    Expires,
    Unset,
    Expired,
    WithoutKeys,
    Members,
    Administrators,
    AsAdministrators,
    MeFromEnv,
    Account,
    Tag,
    NoBackups,
    NoProtection,
}

/// An option.
pub(super) struct Known {
    pub(super) flag: Flag,
    pub(super) letter: Option<char>,
    pub(super) name: &'static str,
    pub(super) takes_value: bool,
    /// The commands that have it.
    pub(super) words: &'static [Word],
}

const fn flag(flag: Flag, letter: Option<char>, name: &'static str, words: &'static [Word]) -> Known {
    Known { flag, letter, name, takes_value: false, words }
}

const fn value(flag: Flag, letter: Option<char>, name: &'static str, words: &'static [Word]) -> Known {
    Known { flag, letter, name, takes_value: true, words }
}

pub(super) const EVERY: &[Word] = &[
    Word::Daemon,
    Word::Sync,
    Word::Check,
    Word::Status,
    Word::Explain,
    Word::Export,
    Word::Help,
    Word::Tables,
    Word::User,
    Word::Group,
    Word::Key,
];
const USER: &[Word] = &[Word::User];
const GROUP: &[Word] = &[Word::Group];
const ACCOUNTS: &[Word] = &[Word::User, Word::Group];
const TABLES: &[Word] = &[Word::Tables];
const READERS: &[Word] = &[Word::Daemon, Word::Sync, Word::Check, Word::Explain];
const EXPORT: &[Word] = &[Word::Export];

/// Every option: its letter, its name, the commands that have it. The parser takes none but these.
pub(super) const OPTIONS: &[Known] = &[
    value(Flag::Config, Some('c'), "config", EVERY),
    flag(Flag::Foreground, Some('f'), "foreground", &[Word::Daemon]),
    value(Flag::Pidfile, Some('p'), "pidfile", &[Word::Daemon]),
    value(Flag::Root, None, "root", EVERY),
    value(Flag::Users, None, "users", READERS),
    value(Flag::Groups, None, "groups", &[Word::Daemon, Word::Sync, Word::Check, Word::Explain, Word::User]),
    flag(Flag::DryRun, None, "dry-run", &[Word::Sync, Word::Export, Word::Tables, Word::User, Word::Group, Word::Key]),
    flag(
        Flag::Json,
        None,
        "json",
        &[Word::Status, Word::Explain, Word::Export, Word::Tables, Word::User, Word::Group, Word::Key],
    ),
    flag(Flag::Verbose, Some('v'), "verbose", EVERY),
    flag(Flag::Quiet, Some('q'), "quiet", EVERY),
    flag(Flag::Version, Some('V'), "version", EVERY),
    flag(Flag::Help, Some('h'), "help", EVERY),
    value(Flag::Passwd, None, "passwd", EXPORT),
    value(Flag::Passwd, None, "password", EXPORT),
    flag(Flag::NoPasswd, None, "no-passwd", EXPORT),
    flag(Flag::NoPasswd, None, "no-password", EXPORT),
    value(Flag::Shadow, None, "shadow", EXPORT),
    flag(Flag::NoShadow, None, "no-shadow", EXPORT),
    value(Flag::Group, None, "group", &[Word::User, Word::Export]),
    flag(Flag::NoGroup, None, "no-group", EXPORT),
    value(Flag::Gshadow, None, "gshadow", EXPORT),
    flag(Flag::NoGshadow, None, "no-gshadow", EXPORT),
    value(Flag::UserTable, None, "user-table", EXPORT),
    value(Flag::UserTable, None, "users-table", EXPORT),
    value(Flag::GroupTable, None, "group-table", EXPORT),
    value(Flag::GroupTable, None, "groups-table", EXPORT),
    value(Flag::Region, None, "region", EXPORT),
    value(Flag::Profile, None, "profile", EXPORT),
    flag(Flag::All, None, "all", EXPORT),
    flag(Flag::Overwrite, None, "overwrite", EXPORT),
    flag(Flag::ToFiles, None, "to-files", EXPORT),
    flag(Flag::FromTables, None, "from-tables", EXPORT),
    flag(Flag::Yes, Some('y'), "yes", &[Word::User, Word::Group, Word::Key]),
    value(Flag::Uid, None, "uid", USER),
    value(Flag::UidRange, None, "uid-range", USER),
    value(Flag::Gid, None, "gid", ACCOUNTS),
    value(Flag::RealName, None, "real-name", USER),
    value(Flag::Home, None, "home", USER),
    value(Flag::Shell, None, "shell", USER),
    value(Flag::Key, None, "key", USER),
    flag(Flag::PasswordHashStdin, None, "password-hash-stdin", ACCOUNTS),
    value(Flag::PasswordChanged, None, "password-changed", USER),
    value(Flag::MinDays, None, "min-days", USER),
    value(Flag::MaxDays, None, "max-days", USER),
    value(Flag::WarnDays, None, "warn-days", USER),
    value(Flag::DisableDays, None, "disable-days", USER),
    value(Flag::Expires, None, "expires", &[Word::User, Word::Key]),
    value(Flag::Unset, None, "unset", ACCOUNTS),
    flag(Flag::Expired, None, "expired", USER),
    flag(Flag::WithoutKeys, None, "without-keys", USER),
    value(Flag::Members, None, "members", GROUP),
    value(Flag::Administrators, None, "administrators", GROUP),
    flag(Flag::AsAdministrators, None, "as-administrators", GROUP),
    flag(Flag::MeFromEnv, None, "me-from-env", &[Word::Key]),
    value(Flag::Account, None, "account", TABLES),
    value(Flag::Tag, None, "tag", TABLES),
    flag(Flag::NoBackups, None, "no-backups", TABLES),
    flag(Flag::NoProtection, None, "no-protection", TABLES),
];
