//! One value of the configuration file, which knows its key and its line, so that what is said about it names both.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind, printable};

/// The file: what its values find their lines in.
#[derive(Clone, Copy)]
pub(super) struct Document<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

/// One value and where it stands.
pub(super) struct Setting<'a> {
    document: Document<'a>,
    /// The key, with those of the objects around it before it: `logging.root.level`.
    pub(super) key: String,
    raw: &'a RawValue,
    secret: bool,
}

impl<'a> Document<'a> {
    /// The keys and values of the object that the file is, in their order.
    pub(super) fn settings(self) -> Result<Vec<Setting<'a>>, Error> {
        let pairs: Pairs<'a> = serde_json::from_str(self.text).map_err(|error| {
            // Not serde_json's own words for an object that is something else: they would quote what may be a secret.
            let what = if error.is_data() {
                "the file must hold one JSON object, {\"key\": value, …}".to_owned()
            } else {
                let text = error.to_string();
                text.rsplit_once(" at line").map_or(text.clone(), |(what, _)| format!("not valid JSON: {what}"))
            };
            let (line, column) = (error.line(), error.column());
            Error::new(ErrorKind::Config, format!("{} line {line} column {column}: {what}", self.path.display()))
        })?;
        settings(self, "", pairs, false)
    }
}

impl<'a> Setting<'a> {
    /// Keeps the value out of messages.
    pub(super) fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// `FILE line N: "KEY"`, the beginning of every message about this value.
    pub(super) fn place(&self) -> String {
        format!("{} line {}: \"{}\"", self.document.path.display(), self.line(), printable(&self.key))
    }

    /// The error that says what the value is and what is `allowed` instead.
    pub(super) fn wrong(&self, allowed: &str) -> Error {
        if self.secret {
            return self.hidden(allowed);
        }
        let value = printable(self.raw.get());
        Error::new(ErrorKind::Config, format!("{} is {value}, must be {allowed}", self.place()))
    }

    fn hidden(&self, allowed: &str) -> Error {
        Error::new(ErrorKind::Config, format!("{} must be {allowed}", self.place()))
    }

    pub(super) fn is_null(&self) -> bool {
        self.raw.get() == "null"
    }

    /// Whether one of these stands in the value.
    pub(super) fn holds(&self, any: [char; 3]) -> bool {
        self.raw.get().contains(any)
    }

    /// Whether the value is a string.
    pub(super) fn is_text(&self) -> bool {
        self.raw.get().starts_with('"')
    }

    pub(super) fn boolean(&self) -> Result<bool, Error> {
        serde_json::from_str(self.raw.get()).map_err(|_| self.wrong("true or false"))
    }

    /// A string without NUL, of which no setting has a use.
    pub(super) fn text(&self) -> Result<String, Error> {
        self.text_as("a string")
    }

    /// A string that messages do not show.
    pub(super) fn secret_text(&self) -> Result<String, Error> {
        serde_json::from_str(self.raw.get()).map_err(|_| self.hidden("a string"))
    }

    pub(super) fn text_as(&self, allowed: &str) -> Result<String, Error> {
        let text: String = serde_json::from_str(self.raw.get()).map_err(|_| self.wrong(allowed))?;
        if text.contains('\0') { Err(self.wrong(allowed)) } else { Ok(text) }
    }

    /// A string; `null` and `""` mean that there is none, as they do to the AWS SDKs.
    pub(super) fn optional_text(&self) -> Result<Option<String>, Error> {
        if self.is_null() { Ok(None) } else { Ok(Some(self.text()?).filter(|text| !text.is_empty())) }
    }

    /// A string for which `rule` holds.
    pub(super) fn text_that(&self, allowed: &str, rule: impl Fn(&str) -> bool) -> Result<String, Error> {
        let text = self.text_as(allowed)?;
        if rule(&text) { Ok(text) } else { Err(self.wrong(allowed)) }
    }

    /// A whole number in `range`, also one written like `3600.0`.
    pub(super) fn whole(&self, unit: &str, range: RangeInclusive<u64>) -> Result<u64, Error> {
        let number = self.number().and_then(|n| u64::try_from(n).ok()).filter(|n| range.contains(n));
        let unit = if unit.is_empty() { String::new() } else { format!(" of {unit}") };
        number.ok_or_else(|| self.wrong(&format!("a whole number{unit} from {} to {}", range.start(), range.end())))
    }

    /// The whole number that this is.
    pub(super) fn number(&self) -> Option<i64> {
        if let Ok(number) = serde_json::from_str::<i64>(self.raw.get()) {
            return Some(number);
        }
        let float = serde_json::from_str::<f64>(self.raw.get()).ok().filter(|f| f.fract() == 0.0 && f.abs() < 1e15)?;
        // By way of its digits: a cast would be the one place in the program that may truncate.
        format!("{float:.0}").parse().ok()
    }

    /// An absolute path.
    pub(super) fn path(&self) -> Result<PathBuf, Error> {
        self.text_that("an absolute path", |text| text.starts_with('/')).map(PathBuf::from)
    }

    /// The values of a list.
    pub(super) fn list(&self, allowed: &str) -> Result<Vec<Setting<'a>>, Error> {
        let raws: Vec<&'a RawValue> = serde_json::from_str(self.raw.get()).map_err(|_| self.wrong(allowed))?;
        let part = |raw| Setting { document: self.document, key: self.key.clone(), raw, secret: self.secret };
        Ok(raws.into_iter().map(part).collect())
    }

    /// The keys and values of an object.
    pub(super) fn object(&self) -> Result<Vec<Setting<'a>>, Error> {
        let pairs = serde_json::from_str(self.raw.get()).map_err(|_| self.wrong("an object, {…}"))?;
        settings(self.document, &format!("{}.", self.key), pairs, self.secret)
    }

    /// The last component of the key.
    pub(super) fn name(&self, parent: &Setting<'_>) -> String {
        self.key.get(parent.key.len() + 1..).unwrap_or_default().to_owned()
    }

    fn line(&self) -> usize {
        // The raw value is a part of the text, so its distance from the beginning says where.
        let offset = (self.raw.get().as_ptr() as usize).saturating_sub(self.document.text.as_ptr() as usize);
        1 + self.document.text.bytes().take(offset).filter(|b| *b == b'\n').count()
    }
}

/// An object's keys and values, in order, with those that stand twice.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(All)
    }
}

fn settings<'a>(
    document: Document<'a>,
    prefix: &str,
    pairs: Pairs<'a>,
    secret: bool,
) -> Result<Vec<Setting<'a>>, Error> {
    let mut seen: Vec<Setting<'a>> = Vec::with_capacity(pairs.0.len());
    for (key, raw) in pairs.0 {
        let setting = Setting { document, key: format!("{prefix}{key}"), raw, secret };
        // JSON leaves open which of two counts; the reader of the file and the program must not disagree about it.
        if let Some(first) = seen.iter().find(|other| other.key == setting.key) {
            let message = format!("{} is also on line {}; which of them counts?", setting.place(), first.line());
            return Err(Error::new(ErrorKind::Config, message));
        }
        seen.push(setting);
    }
    Ok(seen)
}
