//! The format strings of Python's `logging.Formatter`: `%(asctime)s %(levelname)-8s %(message)s`.

use crate::error::printable;

/// How a record becomes a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// What the line consists of.
    pub pieces: Vec<Piece>,
    /// The strftime(3) format of the time, if not `2026-11-22 01:02:03,004`.
    pub date: Option<String>,
}

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// A property of the record.
    Field {
        /// Which.
        field: Field,
        /// Filled up with blanks to as many characters.
        width: usize,
        /// The blanks come after the text.
        left: bool,
    },
}

/// The properties of a record that a line can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The date and time.
    Time,
    /// Seconds since 1970.
    Created,
    /// The milliseconds of the time.
    Milliseconds,
    /// `WARNING`.
    LevelName,
    /// `30`.
    LevelNumber,
    /// The part of the program.
    Name,
    /// What happened.
    Message,
    /// The process id.
    Process,
    /// `ddum`.
    ProcessName,
    /// The source file's name.
    FileName,
    /// The source file's path.
    PathName,
    /// The source line.
    LineNumber,
}

impl Default for Format {
    fn default() -> Self {
        Self { pieces: vec![Piece::Field { field: Field::Message, width: 0, left: false }], date: None }
    }
}

impl Format {
    /// The format that `text` describes, and the names in it that ddum cannot fill in: they are left empty.
    ///
    /// # Errors
    /// What is wrong with `text`, which Python would refuse too.
    pub fn parse(text: &str, date: Option<String>) -> Result<(Self, Vec<String>), String> {
        let mut pieces = Vec::new();
        let mut unknown = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            literal.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                literal.push('%');
                rest = after;
                continue;
            }
            let (name, after) = rest
                .strip_prefix('(')
                .and_then(|rest| rest.split_once(')'))
                .ok_or_else(|| "a \"%\" that begins no %(name)s".to_owned())?;
            let end = after
                .find(|c: char| c.is_ascii_alphabetic())
                .ok_or_else(|| format!("%({name}) without its type, as in %({name})s", name = printable(name)))?;
            let (flags, tail) = after.split_at(end);
            rest = &tail[1..];
            let Some(field) = field(name) else {
                unknown.push(name.to_owned());
                continue;
            };
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            // The precision, after the dot, is left alone: it shortens, and a shortened line says less.
            let width = flags.split('.').next().unwrap_or_default().trim_start_matches(['-', '0', ' ', '+', '#']);
            let width = width.parse().unwrap_or(0).min(80);
            pieces.push(Piece::Field { field, width, left: flags.starts_with('-') });
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok((Self { pieces, date }, unknown))
    }
}

fn field(name: &str) -> Option<Field> {
    Some(match name {
        "asctime" => Field::Time,
        "created" => Field::Created,
        "msecs" => Field::Milliseconds,
        "levelname" => Field::LevelName,
        "levelno" => Field::LevelNumber,
        "name" | "module" => Field::Name,
        "message" => Field::Message,
        "process" => Field::Process,
        "processName" => Field::ProcessName,
        "filename" => Field::FileName,
        "pathname" => Field::PathName,
        "lineno" => Field::LineNumber,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(field: Field) -> Piece {
        Piece::Field { field, width: 0, left: false }
    }

    #[test]
    fn a_format_becomes_its_pieces_and_names_what_it_cannot_fill_in() {
        let text = |text: &str| Piece::Text(text.to_owned());
        for (format, want, unknown) in [
            ("", vec![], vec![]),
            ("%(message)s", vec![plain(Field::Message)], vec![]),
            (
                "[%(process)d] %(levelname)-8s %(lineno)5d: %(message)s%%",
                vec![
                    text("["),
                    plain(Field::Process),
                    text("] "),
                    Piece::Field { field: Field::LevelName, width: 8, left: true },
                    text(" "),
                    Piece::Field { field: Field::LineNumber, width: 5, left: false },
                    text(": "),
                    plain(Field::Message),
                    text("%"),
                ],
                vec![],
            ),
            ("%(threadName)s é %(message).100s", vec![text(" é "), plain(Field::Message)], vec!["threadName"]),
        ] {
            let (parsed, missing) = Format::parse(format, None).unwrap();
            assert_eq!(parsed.pieces, want, "{format}");
            assert_eq!(missing, unknown, "{format}");
        }
        for format in ["%", "100%", "%s", "%(message", "%(message)", "%(message)5", "%(\x7fname\nerror: forged)"] {
            let why = Format::parse(format, None).unwrap_err();
            assert!(!why.contains(char::is_control), "{why:?}");
        }
    }
}
