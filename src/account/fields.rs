//! The fields of passwd(5) and group(5): ids, the real name, the home, the shell; and the ageing numbers of shadow(5).

use std::fmt;

use crate::error::{hash_in, printable};

/// The longest real name, in bytes. Longer ones break `getpwnam_r` callers that use `_SC_GETPW_R_SIZE_MAX` once.
const LONGEST_GECOS: usize = 256;
/// The longest path of a home or shell, in bytes.
const LONGEST_PATH: usize = 255;
/// The largest ageing value: 99999 days is what `login.defs` calls never.
const MOST_DAYS: u32 = 99_999;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// Takes the digits of a number attribute: no sign, fraction or exponent.
            ///
            /// # Errors
            /// The reason why they are no id.
            pub fn parse(text: &str) -> Result<Self, String> {
                id(text).map(Self)
            }

            /// An id that the host or the ledger already has, whatever it is.
            #[must_use]
            pub fn from_raw(id: u32) -> Self {
                Self(id)
            }

            /// The number.
            #[must_use]
            pub fn get(self) -> u32 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

id! {
    /// A user id: 0 to 4294967294, without 65535.
    Uid
}
id! {
    /// A group id: 0 to 4294967294, without 65535.
    Gid
}

fn id(text: &str) -> Result<u32, String> {
    match digits(text) {
        // 65535 was -1 in 16 bits; 4294967295 is -1 in 32: setresuid(2) takes it for "leave this one as it is".
        Some(id @ (65535 | u32::MAX)) => Err(format!("{id} means \"no id\" to the kernel")),
        Some(id) => Ok(id),
        None => Err(format!("\"{}\" is not a whole number from 0 to 4294967294", printable(text))),
    }
}

/// `str::parse` alone would also take `+5`.
fn digits(text: &str) -> Option<u32> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// An ageing value of shadow(5), in days: 0 to 99999; `None` for -1, which says that there is none.
///
/// # Errors
/// The reason why it is none.
pub fn ageing_days(text: &str) -> Result<Option<u32>, String> {
    match digits(text) {
        _ if text == "-1" => Ok(None),
        Some(days @ 0..=MOST_DAYS) => Ok(Some(days)),
        _ => Err(format!("\"{}\" is not a whole number of days from -1 to {MOST_DAYS}", printable(text))),
    }
}

macro_rules! text_field {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The field as it is written in the account files.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text_field! {
    /// The real name, or all of the comment field: at most 256 bytes of UTF-8, possibly empty.
    Gecos
}
text_field! {
    /// The home directory: empty, or an absolute path of at most 255 bytes without `.`, `..`, empty components or a
    /// slash at its end.
    HomeDir
}
text_field! {
    /// The login shell: empty, which means `/bin/sh`, or an absolute path of at most 255 bytes.
    Shell
}

impl Gecos {
    /// Takes a real name.
    ///
    /// # Errors
    /// The reason why it cannot be in passwd(5).
    pub fn new(text: &str) -> Result<Self, String> {
        fits_in_a_field(text, LONGEST_GECOS)?;
        Ok(Self(text.into()))
    }
}

impl HomeDir {
    /// Takes a home directory. Slashes that mean nothing, doubled or at the end, are left out: programs that compare
    /// homes as text would see another directory.
    ///
    /// # Errors
    /// The reason why it is none.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        absolute(text)?;
        let mut path = String::with_capacity(text.len());
        for component in text.split('/').filter(|component| !component.is_empty()) {
            if matches!(component, "." | "..") {
                return Err(format!("\"{}\" has a '{component}' component", printable(text)));
            }
            path.push('/');
            path.push_str(component);
        }
        if path.is_empty() {
            path.push('/');
        }
        fits_in_a_field(&path, LONGEST_PATH)?;
        Ok(Self(path.into()))
    }

    /// True for the places that stand for having no home, or that are not one user's: nothing is made or written there.
    #[must_use]
    pub fn is_none_like(&self) -> bool {
        matches!(self.as_str(), "" | "/" | "/nonexistent" | "/dev/null" | "/var/empty" | "/root")
    }
}

impl Shell {
    /// Takes a login shell. Whether the host has it is asked elsewhere.
    ///
    /// # Errors
    /// The reason why it is none.
    pub fn new(text: &str) -> Result<Self, String> {
        if !text.is_empty() {
            absolute(text)?;
        }
        fits_in_a_field(text, LONGEST_PATH)?;
        Ok(Self(text.into()))
    }
}

fn absolute(path: &str) -> Result<(), String> {
    if path.starts_with('/') { Ok(()) } else { Err(format!("\"{}\" is not an absolute path", printable(path))) }
}

/// Shadow-utils refuses to write what holds a control character, glibc's putpwent(3) what holds ':' or a newline; a
/// backslash at the end of a line joins it to the next when shadow-utils 4.13 reads it.
fn fits_in_a_field(text: &str, longest: usize) -> Result<(), String> {
    if text.len() > longest {
        return Err(format!("it is {} bytes long, more than {longest}", text.len()));
    }
    if hash_in(text).is_some() {
        return Err("it holds a password hash, which everybody could read there".into());
    }
    if let Some(c) = text.chars().find(|&c| c == ':' || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        let what = match c {
            ':' => "a colon".into(),
            '\n' => "a newline".into(),
            '\r' => "a carriage return".into(),
            '\0' => "a NUL character".into(),
            other => format!("the control character U+{:04X}", u32::from(other)),
        };
        return Err(format!("it holds {what}, which the account files cannot"));
    }
    if text.ends_with('\\') {
        return Err("it ends with a backslash, which can join two lines of an account file".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_whole_numbers() {
        for (text, id) in [("0", 0), ("1000", 1000), ("65534", 65534), ("65536", 65536), ("4294967294", u32::MAX - 1)] {
            assert_eq!(Uid::parse(text).map(Uid::get), Ok(id));
            assert_eq!(Gid::parse(text).map(Gid::get), Ok(id));
        }
        for text in ["", "65535", "4294967295", "4294967296", "1e3", "1.0", "-1", "+5", " 5", "5 ", "5\n", "0x10", "١"]
        {
            let reason = Uid::parse(text).unwrap_err();
            assert_eq!(Gid::parse(text).unwrap_err(), reason);
            assert!(!reason.contains('\n'), "{reason:?}");
        }
    }

    #[test]
    fn minus_one_is_no_ageing_at_all() {
        for (text, days) in [("-1", None), ("0", Some(0)), ("90", Some(90)), ("99999", Some(99_999))] {
            assert_eq!(ageing_days(text), Ok(days));
        }
        for text in ["", "-2", "-0", "100000", "99999999999", "7.5", "1e2", "+7", "7 "] {
            assert!(ageing_days(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn no_field_can_break_its_line() {
        for bad in [":", "\n", "\r", "\u{b}", "\u{c}", "\0", "\t", "\u{7f}", "\u{85}", "\u{9b}", "\u{2028}", "\u{2029}"]
        {
            let path = format!("/x{bad}y");
            assert!(Gecos::new(&format!("Eve{bad}")).is_err(), "{bad:?}");
            assert!(HomeDir::new(&path).is_err(), "{bad:?}");
            assert!(Shell::new(&path).is_err(), "{bad:?}");
        }
        for reason in [Gecos::new("Eve\\"), HomeDir::new("/x\\").map(|_| Gecos::default())] {
            assert!(reason.unwrap_err().contains("backslash"));
        }
        assert!(Shell::new("/x\\").unwrap_err().contains("backslash"));
    }

    #[test]
    fn a_real_name_is_up_to_256_bytes_of_utf8() {
        for name in ["", "Zoë Müller,Room 1,+43 1,", "back\\slash", "李小龍", &"é".repeat(128)] {
            assert_eq!(Gecos::new(name).unwrap().as_str(), name);
        }
        assert!(Gecos::new(&"é".repeat(129)).unwrap_err().contains("258 bytes"));
    }

    #[test]
    fn a_home_is_empty_or_an_absolute_path() {
        let longest = format!("/{}", "h".repeat(254));
        for (text, home) in [
            ("", ""),
            ("/", "/"),
            ("//", "/"),
            ("/home/bob", "/home/bob"),
            ("/home/bob/", "/home/bob"),
            ("//home///bob//", "/home/bob"),
            ("/home/...", "/home/..."),
            ("/home/.bob", "/home/.bob"),
            ("/home/bob smith", "/home/bob smith"),
            (longest.as_str(), longest.as_str()),
        ] {
            assert_eq!(HomeDir::new(text).unwrap().as_str(), home);
        }
        for text in ["home/bob", "~", "/home/../etc", "/home/./bob", "/..", "/home/bob/.", " /home/bob"] {
            assert!(HomeDir::new(text).is_err(), "{text}");
        }
        assert!(HomeDir::new(&format!("{longest}h")).unwrap_err().contains("256 bytes"));
    }

    #[test]
    fn some_homes_stand_for_none() {
        for text in ["", "/", "///", "/nonexistent", "/dev/null", "/var/empty/", "/root"] {
            assert!(HomeDir::new(text).unwrap().is_none_like(), "{text}");
        }
        for text in ["/home/bob", "/root/bob", "/var/empty/bob", "/srv"] {
            assert!(!HomeDir::new(text).unwrap().is_none_like(), "{text}");
        }
    }

    #[test]
    fn a_shell_is_empty_or_an_absolute_path() {
        for text in ["", "/bin/bash", "/usr/sbin/nologin"] {
            assert_eq!(Shell::new(text).unwrap().as_str(), text);
        }
        for text in ["bash", "bin/bash", &format!("/{}", "s".repeat(255))] {
            assert!(Shell::new(text).is_err(), "{text}");
        }
    }
}
