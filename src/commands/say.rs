//! The last word of a command: on standard output what was asked for, on standard error what went wrong.

use std::io::{ErrorKind as IoErrorKind, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind};

/// Prints lines to standard output. A reader that left early, as `head` does, is no error.
///
/// # Errors
/// When standard output cannot be written.
pub fn lines<T: std::fmt::Display>(lines: impl IntoIterator<Item = T>) -> Result<(), Error> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let written = lines.into_iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush());
    match written {
        Err(e) if e.kind() != IoErrorKind::BrokenPipe => {
            Err(Error::new(ErrorKind::File, format!("cannot write to standard output: {e}")))
        }
        _ => Ok(()),
    }
}

/// Prints a text that ends in a newline.
///
/// # Errors
/// When standard output cannot be written.
pub fn text(text: &str) -> Result<(), Error> {
    lines(text.lines())
}

/// Prints a value for programs.
///
/// # Errors
/// When standard output cannot be written.
pub fn json(value: &serde_json::Value) -> Result<(), Error> {
    lines([format!("{value:#}")])
}

/// Prints why the command ends. Nothing else prints an error, so it is said once.
pub fn error(error: &Error) {
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "ddum: {error}");
}

/// Writes a file to standard output. Here a reader that left early has not got what was asked for.
///
/// # Errors
/// When not all of it was written.
pub fn bytes(bytes: &[u8]) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|e| Error::new(ErrorKind::File, format!("cannot write to standard output: {e}")))
}

/// How far long work is, on one line of a terminal that is gone when the work is done. Elsewhere nothing is shown.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    total: usize,
    is_shown: bool,
    last: Option<Instant>,
}

impl Progress {
    /// For `total` things of which `what` is said, such as `items written`.
    #[must_use]
    pub fn new(what: &'static str, total: usize, quiet: bool) -> Self {
        Self { what, total, is_shown: !quiet && std::io::stderr().is_terminal(), last: None }
    }

    /// Tells how many are done, at most ten times a second.
    pub fn show(&mut self, done: usize) {
        if self.is_shown && self.last.is_none_or(|last| last.elapsed() > Duration::from_millis(100)) {
            self.last = Some(Instant::now());
            // Who cannot be told can still be served.
            let _ = write!(std::io::stderr(), "\r{done} of {} {}", self.total, self.what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.last.is_some() {
            // Erases the line (ECMA-48, EL).
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}
