//! The kinds of bad news. An [`Error`] ends an update; a [`Rejection`] is data: one item, key or home that is not
//! used while everything else goes on.

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;

/// What a caller may branch on: the exit status, and whether trying again soon can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The command line is wrong.
    Usage,
    /// The configuration, or something that it names, is wrong.
    Config,
    /// The tables answered, but not with their items: denied, missing, or not understood.
    Table,
    /// The tables could not be reached, or asked for patience.
    Unreachable,
    /// Another program holds the account files.
    Busy,
    /// A file is not what a careful program may touch: a link, a mount point, a foreign owner.
    Unsafe,
    /// The operating system refused something.
    File,
    /// Told to stop before the work was done.
    Stopped,
    /// A fault in ddum itself.
    Internal,
}

/// Why an update could not go on. Prints as one line, `context: context: cause`, without secrets.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error that starts here. `message` is lower case, without a full stop: what, why, what follows.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), cause: None }
    }

    /// What kind of trouble it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The same trouble, with what was being done put before it.
    #[must_use]
    pub fn context(self, message: impl Into<String>) -> Self {
        Self { kind: self.kind, message: message.into(), cause: Some(Box::new(self)) }
    }

    /// The exit status of a command that ends with this error (the table is in ddum(8), EXIT STATUS).
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self.kind {
            ErrorKind::Usage | ErrorKind::Config => exit::USAGE,
            ErrorKind::Busy | ErrorKind::Unreachable => exit::TRY_LATER,
            ErrorKind::Table | ErrorKind::Unsafe | ErrorKind::File | ErrorKind::Stopped | ErrorKind::Internal => {
                exit::FAILED
            }
        }
    }
}

/// Exit statuses, as scripts rely on them.
pub mod exit {
    /// Done.
    pub const DONE: u8 = 0;
    /// Failed, accounts left as they were unless the error says otherwise.
    pub const FAILED: u8 = 1;
    /// The command line or the configuration is wrong.
    pub const USAGE: u8 = 2;
    /// Done, but some items, keys or homes were refused.
    pub const REFUSED: u8 = 3;
    /// Try again later: a lock is held, or the tables cannot be reached (`EX_TEMPFAIL` of sysexits.h).
    pub const TRY_LATER: u8 = 75;
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

// No source(): Display already prints the whole chain, and a printer that walks it too would say everything twice.
impl StdError for Error {}

/// Turns a foreign error into ours. There is no `From<io::Error>`, so no message can lack what it is about.
pub trait Context<T> {
    /// For the operating system's errors: `what` is a verb phrase, `path` what it was about.
    /// Reads `cannot open /etc/shadow: Permission denied`.
    ///
    /// # Errors
    /// The error, wrapped, of kind [`ErrorKind::File`].
    fn at(self, what: &str, path: impl AsRef<Path>) -> Result<T, Error>;

    /// For everything else.
    ///
    /// # Errors
    /// The error, wrapped.
    fn context(self, kind: ErrorKind, message: impl Into<String>) -> Result<T, Error>;
}

impl<T, E: StdError + Send + Sync + 'static> Context<T> for Result<T, E> {
    fn at(self, what: &str, path: impl AsRef<Path>) -> Result<T, Error> {
        self.context(ErrorKind::File, format!("{what} {}", path.as_ref().display()))
    }

    fn context(self, kind: ErrorKind, message: impl Into<String>) -> Result<T, Error> {
        self.map_err(|cause| Error { kind, message: message.into(), cause: Some(Box::new(cause)) })
    }
}

/// The two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// The table of users.
    Users,
    /// The table of groups.
    Groups,
}

impl Table {
    /// `user` or `group`: what one item of the table is.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Users => "user",
            Self::Groups => "group",
        }
    }
}

/// An item, or one value of it, that will not be used, and why. It never holds a secret or a control character.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rejection {
    /// Where the item is.
    pub table: Table,
    /// The item's name, made printable by [`printable`]; empty when it has none.
    pub name: String,
    /// The attribute at fault, if one is.
    pub attribute: Option<&'static str>,
    /// What is wrong: one line, lower case, no full stop.
    pub reason: String,
    /// True when the whole item is left out, false when only a value of it is (one bad key).
    pub whole_item: bool,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.table.noun(), if self.name.is_empty() { "(without a name)" } else { &self.name })?;
        if let Some(attribute) = self.attribute {
            write!(f, "{attribute}: ")?;
        }
        f.write_str(&self.reason)?;
        if self.whole_item { f.write_str("; item skipped") } else { Ok(()) }
    }
}

/// Foreign text made fit for one line of a log: control and bidirectional characters are escaped, and what is over
/// 80 characters is cut. Without it an item could forge log lines. A password hash that stands in the wrong place is
/// left out, and what follows it.
#[must_use]
pub fn printable(text: &str) -> String {
    const HASH: &str = "(a password hash, not shown)";
    if is_old_hash(text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '/' | '!'))) {
        return HASH.to_owned();
    }
    if let Some(start) = hash_in(text) {
        return printable(&text[..start]) + HASH;
    }
    let mut out = String::with_capacity(text.len().min(96));
    for (count, c) in text.chars().enumerate() {
        if count == 80 {
            out.push('…');
            break;
        }
        let bidirectional = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || bidirectional || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Where a hash of crypt(5) begins in `text`: `$id$…`.
#[must_use]
pub fn hash_in(text: &str) -> Option<usize> {
    let is_id = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b',' | b'=');
    text.match_indices('$').map(|(start, _)| start).find(|start| {
        let (id, rest) = text[start + 1..].split_once('$').unwrap_or_default();
        (1..=32).contains(&id.len()) && id.bytes().all(is_id) && rest.starts_with(|c: char| c.is_ascii_graphic())
    })
}

/// Whether `text` looks like a hash of BSDi: `_` and 19 characters. Those of DES look like names.
fn is_old_hash(text: &str) -> bool {
    let is_hash = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'));
    text.strip_prefix('_').is_some_and(|rest| rest.len() == 19 && is_hash(rest))
}

/// Text without what would end its line or steer the terminal that shows it; not cut.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_prints_its_chain_once() {
        let cause: Result<(), _> = Err(std::io::Error::from_raw_os_error(13));
        let error = cause.at("cannot open", "/etc/shadow").unwrap_err().context("cannot read the account files");
        let text = error.to_string();
        assert_eq!(text.matches("cannot open /etc/shadow: ").count(), 1, "{text}");
        assert!(
            text.starts_with("cannot read the account files: cannot open /etc/shadow: Permission denied"),
            "{text}"
        );
        assert_eq!(error.exit_status(), exit::FAILED);
    }

    #[test]
    fn foreign_text_cannot_forge_a_line() {
        assert_eq!(printable("eve\nroot: all well\u{202e}"), "eve\\u{a}root: all well\\u{202e}");
        assert_eq!(printable(&"x".repeat(100)).chars().count(), 81);
    }

    #[test]
    fn a_hash_in_the_wrong_place_is_left_out() {
        const HASH: &str = "(a password hash, not shown)";
        for (text, want) in [
            ("$6$salt$hash", HASH.to_owned()),
            ("x \n$y$j9T$sa\nlt$hash", format!("x \\u{{a}}{HASH}")),
            ("$$5 $2b$05$x", format!("$$5 {HASH}")),
            ("_J9..rasmBYk8r9AiWNc", HASH.to_owned()),
            (" \"_J9..rasmBYk8r9AiWNc\" ", HASH.to_owned()),
            ("JohnSmith2024", "JohnSmith2024".to_owned()),
            ("$HOME/$USER", "$HOME/$USER".to_owned()),
            ("$5 and $6", "$5 and $6".to_owned()),
        ] {
            assert_eq!(printable(text), want);
        }
    }
}
