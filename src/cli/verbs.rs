//! What the commands with a second word have in common: `ddum user add alice` is a word, a verb and its arguments.

use std::ffi::OsString;
use std::ops::RangeInclusive;

use super::line::{Line, source, suggestion, wrong};
use super::options::{Flag, OPTIONS};
use crate::config::Source;
use crate::error::{Error, printable};

/// The verbs of a word, and the options that each has besides those of every command.
pub(super) type Verbs<T> = [(&'static str, T, &'static [Flag])];

const COMMON: [Flag; 6] = [Flag::Config, Flag::Root, Flag::Verbose, Flag::Quiet, Flag::Version, Flag::Help];

/// The values of the account that `add` and `set` take, by attribute of the tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Attributes with their values as they were typed; several for a set, separated by commas.
    pub set: Vec<(&'static str, String)>,
    /// Attributes to take away.
    pub unset: Vec<&'static str>,
    /// The password hash comes on standard input.
    pub password_from_stdin: bool,
}

impl Attributes {
    /// Whether nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.unset.is_empty() && !self.password_from_stdin
    }
}

/// Which verb the first argument is; all options must be its own.
pub(super) fn verb<T: Copy>(line: &Line, verbs: &'static Verbs<T>) -> Result<T, Error> {
    let names = || verbs.iter().map(|(name, ..)| *name);
    let Some(given) = line.arguments.first() else {
        return Err(wrong(&format!("one of {} must follow", names().collect::<Vec<_>>().join(", ")), line.word()));
    };
    let given = given.to_string_lossy();
    let Some((name, verb, flags)) = verbs.iter().find(|(name, ..)| *name == given) else {
        let hint = suggestion(&given, names(), "");
        let known = names().collect::<Vec<_>>().join(", ");
        return Err(wrong(&format!("'{}' is none of {known}{hint}", printable(&given)), line.word()));
    };
    let foreign = line.given.iter().find(|(flag, _)| !flags.contains(flag) && !COMMON.contains(flag));
    match foreign.and_then(|(flag, _)| OPTIONS.iter().find(|known| known.flag == *flag)) {
        Some(known) => {
            let message = format!("option '--{}' does not belong to '{name}'", known.name);
            Err(wrong(&message, line.word()))
        }
        None => Ok(*verb),
    }
}

/// The arguments after the verb, of which there must be as many as `range` says; `what` tells what they are.
pub(super) fn arguments(line: &Line, range: &RangeInclusive<usize>, what: &str) -> Result<Vec<String>, Error> {
    let given = line.arguments.get(1..).unwrap_or_default();
    if given.len() < *range.start() {
        return Err(wrong(&format!("{what} must follow"), line.word()));
    }
    if let Some(surplus) = given.get(*range.end()) {
        let surplus = printable(&surplus.to_string_lossy());
        return Err(wrong(&format!("unexpected argument '{surplus}'"), line.word()));
    }
    given.iter().map(|argument| text(line, argument)).collect()
}

/// The only argument after the verb.
pub(super) fn argument(line: &Line, what: &str) -> Result<String, Error> {
    Ok(arguments(line, &(1..=1), what)?.remove(0))
}

/// The value of an option, if it is there.
pub(super) fn option(line: &Line, flag: Flag) -> Result<Option<String>, Error> {
    line.value(flag).map(|value| text(line, value)).transpose()
}

/// All values of an option that may be there several times.
pub(super) fn options(line: &Line, flag: Flag) -> Result<Vec<String>, Error> {
    line.given.iter().filter(|(given, _)| *given == flag).map(|(_, value)| text(line, value)).collect()
}

/// The files that an option names.
pub(super) fn sources(line: &Line, flag: Flag) -> Vec<Source> {
    line.given.iter().filter(|(given, _)| *given == flag).map(|(_, value)| source(value)).collect()
}

/// The parts of a list with commas between, without empty ones.
#[must_use]
pub fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The attributes that the options of `table` set, and those that `--unset` names, by attribute or by option.
pub(super) fn attributes(line: &Line, table: &[(Flag, &'static str)]) -> Result<Attributes, Error> {
    let mut out = Attributes { password_from_stdin: line.has(Flag::PasswordHashStdin), ..Attributes::default() };
    for (flag, attribute) in table {
        if let Some(value) = option(line, *flag)? {
            out.set.push((attribute, value));
        }
    }
    for name in options(line, Flag::Unset)? {
        let of_option = |flag: Flag| OPTIONS.iter().find(|known| known.flag == flag).map(|known| known.name);
        let known = || table.iter().chain(&[(Flag::PasswordHashStdin, "Password")]);
        let found = known().find(|(flag, attribute)| {
            attribute.eq_ignore_ascii_case(&name) || of_option(*flag).is_some_and(|option| option == name)
        });
        let Some((_, attribute)) = found else {
            let hint = suggestion(&name, known().map(|(_, attribute)| *attribute), "");
            return Err(wrong(&format!("'{}' is no attribute that can be unset{hint}", printable(&name)), line.word()));
        };
        if out.set.iter().any(|(set, _)| set == attribute) || (*attribute == "Password" && out.password_from_stdin) {
            return Err(wrong(&format!("{attribute} cannot be set and unset at once"), line.word()));
        }
        out.unset.push(attribute);
    }
    Ok(out)
}

/// `LOW-HIGH`.
pub(super) fn range(line: &Line, flag: Flag) -> Result<Option<RangeInclusive<u32>>, Error> {
    let Some(text) = option(line, flag)? else { return Ok(None) };
    let range = text.split_once('-').and_then(|(low, high)| {
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        (digits(low) && digits(high)).then(|| Some(low.parse().ok()?..=high.parse().ok()?)).flatten()
    });
    match range {
        Some(range) if !range.is_empty() => Ok(Some(range)),
        _ => Err(wrong(&format!("'{}' is no range such as 2000-59999", printable(&text)), line.word())),
    }
}

fn text(line: &Line, value: &OsString) -> Result<String, Error> {
    let text = value.to_str().map(str::to_owned);
    text.ok_or_else(|| wrong(&format!("'{}' is not UTF-8 text", printable(&value.to_string_lossy())), line.word()))
}
