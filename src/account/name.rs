//! Login and group names.

use std::borrow::Borrow;
use std::fmt;

use crate::error::printable;

/// The longest name that is taken, in characters. useradd(8) stops at 32 on most systems; the tables always took 256.
const LONGEST: usize = 256;

/// A login or group name: 1 to 256 ASCII letters, digits, `.`, `_` and `-`, not starting with `-`, not `.` or `..`,
/// and not a number. Names are compared byte for byte: `Eve` is not `eve`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// Takes a name from a table or a file.
    ///
    /// # Errors
    /// The reason why it is none, fit for a log.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty".into());
        }
        if let Some(other) = text.chars().find(|&c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-')) {
            let other = printable(&other.to_string());
            return Err(format!("it holds '{other}'; a name is made of ASCII letters, digits, '.', '_' and '-'"));
        }
        if text.len() > LONGEST {
            return Err(format!("it is {} characters long, more than {LONGEST}", text.len()));
        }
        if text.starts_with('-') {
            return Err("it starts with '-', which commands take for an option".into());
        }
        if matches!(text, "." | "..") {
            return Err(format!("'{text}' is a directory wherever a name becomes a path"));
        }
        if is_number(text) {
            return Err(format!("'{text}' is a number, which chown and systemd take for an id"));
        }
        Ok(Self(text.into()))
    }

    /// The name as it is written in the account files.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Hexadecimal too: Debian's and Red Hat's useradd refuse `0x1f`, because `strtoul` reads it as an id.
fn is_number(text: &str) -> bool {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    text.bytes().all(|b| b.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_people_have_are_taken() {
        let longest = "n".repeat(256);
        for name in ["alice", "a", "Alice.Smith", "_apt", ".hidden", "web-01", "1password", "0xen", "x", "a..b", "..."]
            .into_iter()
            .chain([longest.as_str()])
        {
            assert_eq!(Name::new(name).as_ref().map(Name::as_str), Ok(name));
        }
    }

    #[test]
    fn what_would_break_a_line_or_a_path_is_refused() {
        let too_long = "n".repeat(257);
        for (text, why) in [
            ("", "empty"),
            ("eve\n", "\\u{a}"),
            ("root:x", "':'"),
            ("a b", "' '"),
            ("a/b", "'/'"),
            ("host$", "'$'"),
            ("+eve", "'+'"),
            ("jürgen", "'ü'"),
            ("eve\u{202e}", "\\u{202e}"),
            ("eve\0", "\\u{0}"),
            ("-rf", "starts with '-'"),
            (".", "directory"),
            ("..", "directory"),
            (too_long.as_str(), "257 characters"),
        ] {
            let reason = Name::new(text).unwrap_err();
            assert!(reason.contains(why), "{text:?}: {reason}");
            assert!(!reason.contains(char::is_control), "{reason:?}");
        }
    }

    #[test]
    fn a_name_that_is_a_number_is_refused() {
        for text in ["0", "1234", "007", "0x1f", "0X1F", "0x"] {
            assert!(Name::new(text).unwrap_err().contains("number"), "{text}");
        }
    }

    #[test]
    fn names_that_differ_in_case_are_different() {
        assert_ne!(Name::new("Eve"), Name::new("eve"));
    }
}
