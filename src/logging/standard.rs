//! The standard streams, which may be a pipe, a file or the journal.

use std::io::{self, IsTerminal};

use rustix::io::Errno;

use super::line::{Line, level};
use crate::config::Format;

/// Standard error or standard output.
#[derive(Clone, Copy)]
pub(super) struct Stream {
    is_stdout: bool,
    is_journal: bool,
}

/// Whether a person reads standard error.
pub(super) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

impl Stream {
    pub(super) fn stderr() -> Self {
        Self { is_stdout: false, is_journal: is_journal(rustix::stdio::stderr()) }
    }

    pub(super) fn stdout() -> Self {
        Self { is_stdout: true, is_journal: is_journal(rustix::stdio::stdout()) }
    }

    pub(super) fn line(self, line: &Line<'_>, format: Option<&Format>) -> String {
        text(line, format, self.is_journal) + "\n"
    }

    /// One write a line, so that lines of several processes do not mix. Not through std: whoever else has to say
    /// something there would wait for its lock as long as this waits.
    pub(super) fn write(self, text: &str) -> io::Result<()> {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let stream = if self.is_stdout { rustix::stdio::stdout() } else { rustix::stdio::stderr() };
            match rustix::io::write(stream, rest) {
                Ok(length) => rest = &rest[length..],
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

/// What one line is. The journal takes the priority from a prefix (sd-daemon(3)) and strips it.
fn text(line: &Line<'_>, format: Option<&Format>, is_journal: bool) -> String {
    let (_, _, severity) = level(line.record.level());
    match (format, is_journal) {
        (Some(format), true) => format!("<{severity}>{}", line.formatted(format)),
        (Some(format), false) => line.formatted(format),
        (None, true) => format!("<{severity}>{}", line.message),
        (None, false) => match severity {
            3 => format!("ddum: error: {}", line.message),
            4 => format!("ddum: warning: {}", line.message),
            _ => format!("ddum: {}", line.message),
        },
    }
}

/// Whether the journal reads `stream`: `JOURNAL_STREAM` holds the device and inode of what systemd connected. The
/// variable alone says nothing: a child whose output goes elsewhere inherits it (systemd.exec(5)).
fn is_journal(stream: rustix::fd::BorrowedFd<'_>) -> bool {
    let announced = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    rustix::fs::fstat(stream).is_ok_and(|stat| announced == format!("{}:{}", stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_gets_a_priority_and_a_pipe_gets_words() {
        let (format, _) = Format::parse("[%(levelname)s] %(message)s", None).unwrap();
        for (level, is_journal, format, want) in [
            (log::Level::Error, false, None, "ddum: error: m"),
            (log::Level::Warn, false, None, "ddum: warning: m"),
            (log::Level::Info, false, None, "ddum: m"),
            (log::Level::Info, true, None, "<6>m"),
            (log::Level::Error, true, Some(&format), "<3>[ERROR] m"),
            (log::Level::Debug, false, Some(&format), "[DEBUG] m"),
        ] {
            let record = log::Record::builder().level(level).build();
            let line = Line { record: &record, message: "m", time: std::time::UNIX_EPOCH };
            assert_eq!(text(&line, format, is_journal), want);
        }
    }
}
