//! The last word of a command: on standard output what was asked for, on standard error what went wrong.

use std::io::{ErrorKind as IoErrorKind, Write};

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
