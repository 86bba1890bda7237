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

pub(super) const EVERY: &[Word] =
    &[Word::Daemon, Word::Sync, Word::Check, Word::Status, Word::Explain, Word::Export, Word::Help];
const READERS: &[Word] = &[Word::Daemon, Word::Sync, Word::Check, Word::Explain];
const EXPORT: &[Word] = &[Word::Export];

/// Every option: its letter, its name, the commands that have it. The parser takes none but these.
pub(super) const OPTIONS: &[Known] = &[
    value(Flag::Config, Some('c'), "config", EVERY),
    flag(Flag::Foreground, Some('f'), "foreground", &[Word::Daemon]),
    value(Flag::Pidfile, Some('p'), "pidfile", &[Word::Daemon]),
    value(Flag::Root, None, "root", EVERY),
    value(Flag::Users, None, "users", READERS),
    value(Flag::Groups, None, "groups", READERS),
    flag(Flag::DryRun, None, "dry-run", &[Word::Sync, Word::Export]),
    flag(Flag::Json, None, "json", &[Word::Status, Word::Explain, Word::Export]),
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
    value(Flag::Group, None, "group", EXPORT),
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
];
