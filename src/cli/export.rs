//! The options of `ddum export`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::Word;
use super::line::{Line, unexpected, wrong};
use super::options::Flag;
use crate::error::Error;

/// What `ddum export` is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Export {
    /// Where users come from.
    pub passwd: Part,
    /// Where their passwords and ageing come from.
    pub shadow: Part,
    /// Where groups come from.
    pub group: Part,
    /// Where their passwords and administrators come from.
    pub gshadow: Part,
    /// The table of users, if not the configuration's.
    pub user_table: Option<String>,
    /// The table of groups, if not the configuration's.
    pub group_table: Option<String>,
    /// The region, if not the configuration's.
    pub region: Option<String>,
    /// The profile, if not the configuration's.
    pub profile: Option<String>,
    /// System accounts too.
    pub all: bool,
    /// Change items that are there.
    pub overwrite: bool,
    /// Only print what would be written.
    pub dry_run: bool,
    /// Print the report for programs.
    pub json: bool,
    /// Write what the tables hold.
    pub from_tables: bool,
    /// Users and groups to files instead of the tables.
    pub to_files: Option<[Target; 2]>,
}

/// Where a part of the accounts comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// The host's own file.
    #[default]
    Host,
    /// This file.
    File(PathBuf),
    /// It is left out.
    No,
}

/// Where a table is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file.
    File(PathBuf),
    /// Standard output.
    Stdout,
}

/// What the line asks for.
pub(super) fn of(line: &Line) -> Result<Export, Error> {
    let error = |message: &str| Err(wrong(message, Word::Export));
    let text = |flag: Flag| line.value(flag).map(|value| value.to_string_lossy().into_owned());
    let export = Export {
        passwd: part(line, Flag::Passwd, Flag::NoPasswd),
        shadow: part(line, Flag::Shadow, Flag::NoShadow),
        group: part(line, Flag::Group, Flag::NoGroup),
        gshadow: part(line, Flag::Gshadow, Flag::NoGshadow),
        user_table: text(Flag::UserTable),
        group_table: text(Flag::GroupTable),
        region: text(Flag::Region),
        profile: text(Flag::Profile),
        all: line.has(Flag::All),
        overwrite: line.has(Flag::Overwrite),
        dry_run: line.has(Flag::DryRun),
        json: line.has(Flag::Json),
        from_tables: line.has(Flag::FromTables),
        to_files: targets(line)?,
    };
    let is_file = |part: &Part| matches!(part, Part::File(_));
    if is_file(&export.passwd) && export.shadow == Part::Host {
        // Somebody of that name here would lend his password to somebody elsewhere.
        return error("'--passwd FILE' needs '--shadow FILE' or '--no-shadow': this host's shadow is of other users");
    }
    if is_file(&export.group) && export.gshadow == Part::Host {
        return error(
            "'--group FILE' needs '--gshadow FILE' or '--no-gshadow': this host's gshadow is of other groups",
        );
    }
    if export.passwd == Part::No && export.group == Part::No {
        return error("'--no-passwd' and '--no-group' leave nothing to export");
    }
    match (&export.to_files, export.from_tables) {
        (None, true) => return error("'--from-tables' needs '--to-files USERS GROUPS'"),
        (Some(_), _) if export.overwrite => return error("'--overwrite' is about items of tables, not about files"),
        (Some(targets), _) if export.json && targets.contains(&Target::Stdout) => {
            return error("standard output cannot be both the report and a table");
        }
        _ => {}
    }
    let host = [&export.passwd, &export.shadow, &export.group, &export.gshadow];
    if export.from_tables && (export.all || host.into_iter().any(|part| *part != Part::Host)) {
        return error("'--from-tables' writes all of the tables; '--all' and the account files do not belong to it");
    }
    Ok(export)
}

/// Of several options about one part, the last one counts.
fn part(line: &Line, with: Flag, without: Flag) -> Part {
    match line.given.iter().rfind(|(flag, _)| *flag == with || *flag == without) {
        Some((flag, value)) if *flag == with => Part::File(value.into()),
        Some(_) => Part::No,
        None => Part::Host,
    }
}

fn targets(line: &Line) -> Result<Option<[Target; 2]>, Error> {
    let target = |value: &OsString| if value == "-" { Target::Stdout } else { Target::File(value.into()) };
    match (&line.arguments[..], line.has(Flag::ToFiles)) {
        ([], false) => Ok(None),
        ([first, ..], false) | ([_, _, first, ..], true) => Err(unexpected(first, Word::Export)),
        ([users, groups], true) => match [target(users), target(groups)] {
            [Target::Stdout, Target::Stdout] => Err(wrong("standard output cannot be both tables", Word::Export)),
            [users, groups] if users == groups => Err(wrong("one file cannot be both tables", Word::Export)),
            targets => Ok(Some(targets)),
        },
        ([] | [_], true) => Err(wrong("'--to-files' needs two names, USERS and GROUPS", Word::Export)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Command, parse};
    use super::*;

    fn export(text: &str) -> Result<Export, String> {
        match parse(format!("export {text}").split_whitespace().map(OsString::from)) {
            Ok((_, Command::Export(export))) => Ok(*export),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_originals_options_mean_what_they_meant() {
        let file = |name: &str| Part::File(name.into());
        assert_eq!(export("").unwrap(), Export::default());
        let all = export(
            "--password p --shadow s --group g --gshadow h --users-table U --groups-table G --region r --profile q",
        );
        let want = Export {
            passwd: file("p"),
            shadow: file("s"),
            group: file("g"),
            gshadow: file("h"),
            user_table: Some("U".into()),
            group_table: Some("G".into()),
            region: Some("r".into()),
            profile: Some("q".into()),
            ..Export::default()
        };
        assert_eq!(all.unwrap(), want);
        let no = export("--passwd p --no-password --no-shadow --no-gshadow --user-table U").unwrap();
        assert_eq!((no.passwd, no.shadow, no.gshadow), (Part::No, Part::No, Part::No));
        let files = export("--to-files --from-tables u -").unwrap();
        assert_eq!(files.to_files, Some([Target::File("u".into()), Target::Stdout]));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for (text, want) in [
            ("x", "unexpected argument 'x'"),
            ("--to-files u", "needs two names"),
            ("--to-files u g x", "unexpected argument 'x'"),
            ("--to-files - -", "standard output cannot be both tables"),
            ("--to-files u u", "one file cannot be both tables"),
            ("--to-files u g --overwrite", "'--overwrite' is about"),
            ("--to-files u - --json", "cannot be both the report"),
            ("--from-tables", "needs '--to-files"),
            ("--from-tables --to-files u g --all", "do not belong to it"),
            ("--from-tables --to-files u g --no-shadow", "do not belong to it"),
            ("--passwd p", "needs '--shadow FILE' or '--no-shadow'"),
            ("--group p", "needs '--gshadow FILE' or '--no-gshadow'"),
            ("--no-passwd --no-group", "leave nothing"),
            ("--users u --groups g", "option '--users' does not belong"),
        ] {
            let error = export(text).unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
