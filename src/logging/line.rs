//! From a record to a line.

use std::fmt::Write;
use std::time::SystemTime;

use log::{Level, Record};

use super::clock;
use crate::config::{Field, Format, Piece};
use crate::error::one_line;

/// A record whose message is one line.
pub(super) struct Line<'a> {
    pub(super) record: &'a Record<'a>,
    pub(super) message: &'a str,
    pub(super) time: SystemTime,
}

/// A level's name and number in Python's logging, and its severity in syslog(3).
pub(super) fn level(level: Level) -> (&'static str, u8, u8) {
    match level {
        Level::Error => ("ERROR", 40, 3),
        Level::Warn => ("WARNING", 30, 4),
        Level::Info => ("INFO", 20, 6),
        Level::Debug | Level::Trace => ("DEBUG", 10, 7),
    }
}

impl Line<'_> {
    /// The line that `format` makes of the record.
    pub(super) fn formatted(&self, format: &Format) -> String {
        let mut out = String::new();
        for piece in &format.pieces {
            match piece {
                Piece::Text(text) => out.push_str(&one_line(text)),
                Piece::Field { field, width, left } => {
                    let text = self.field(*field, format.date.as_deref());
                    // Writing to a String cannot fail.
                    let _ = if *left { write!(out, "{text:<width$}") } else { write!(out, "{text:>width$}") };
                }
            }
        }
        out
    }

    fn field(&self, field: Field, date: Option<&str>) -> String {
        let (name, number, _) = level(self.record.level());
        let (seconds, milliseconds) = clock::since_1970(self.time);
        let path = self.record.file().unwrap_or_default();
        match field {
            Field::Time => date.map_or_else(|| clock::usual(self.time), |date| clock::date(self.time, date)),
            Field::Created => format!("{seconds}.{milliseconds:03}"),
            Field::Milliseconds => format!("{milliseconds:03}"),
            Field::LevelName => name.to_owned(),
            Field::LevelNumber => number.to_string(),
            Field::Name => self.record.target().replace("::", "."),
            Field::Message => self.message.to_owned(),
            Field::Process => std::process::id().to_string(),
            Field::ProcessName => "ddum".to_owned(),
            Field::FileName => path.rsplit('/').next().unwrap_or_default().to_owned(),
            Field::PathName => path.to_owned(),
            Field::LineNumber => self.record.line().unwrap_or(0).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_fills_in_a_format_and_stays_one_line() {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_780_272_907_045);
        let message = one_line("two\nlines \u{1b}[31m\u{2028}é");
        for (format, date, want) in [
            ("%(message)s", None, "two\\u{a}lines \\u{1b}[31m\\u{2028}é"),
            ("%(asctime)s|%(levelname)-8s|%(levelno)4s", None, "2026-06-01 00:15:07,045|WARNING |  30"),
            ("%(asctime)s %(name)s", Some("%H:%M"), "00:15 ddum.commands.sync"),
            ("%(filename)s:%(lineno)d %(pathname)s", None, "sync.rs:7 src/commands/sync.rs"),
            ("%(created)f %(msecs)03d %(processName)s%(nonsense)s", None, "1780272907.045 045 ddum"),
        ] {
            let record = Record::builder()
                .level(Level::Warn)
                .target("ddum::commands::sync")
                .file(Some("src/commands/sync.rs"))
                .line(Some(7))
                .build();
            let line = Line { record: &record, message: &message, time };
            let (format, _) = Format::parse(format, date.map(str::to_owned)).unwrap();
            assert_eq!(line.formatted(&format), want);
        }
    }
}
