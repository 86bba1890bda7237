//! `logging`: a dictionary as Python's `logging.config.dictConfig` takes it, as far as it can be honoured.

use std::collections::BTreeMap;

use log::LevelFilter;

use super::format::Format;
use super::handler::{Handler, handler};
use super::value::Setting;
use crate::error::{Error, printable};

/// The logger of the Python program; its settings are ours.
const OWN: &str = "dynamodbusermanager";

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Only what went wrong.
    Quiet,
    /// What happened.
    #[default]
    Normal,
    /// What was looked at, too.
    Verbose,
}

impl Verbosity {
    /// The level of log lines that it lets through.
    #[must_use]
    pub fn level(self) -> LevelFilter {
        match self {
            Self::Quiet => LevelFilter::Warn,
            Self::Normal => LevelFilter::Info,
            Self::Verbose => LevelFilter::Debug,
        }
    }
}

/// Where log lines go and which of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// What of ddum is logged.
    pub own: LevelFilter,
    /// What of the libraries is logged.
    pub others: LevelFilter,
    /// Where to. Empty when the dictionary names no handler that ddum has.
    pub handlers: Vec<Handler>,
}

/// What the dictionary says about one logger.
struct Logger {
    level: Option<LevelFilter>,
    handlers: Vec<String>,
    propagate: bool,
}

impl Default for Logger {
    fn default() -> Self {
        Self { level: None, handlers: Vec::new(), propagate: true }
    }
}

impl Logging {
    /// The `logging` that the configuration has; what is not honoured is added to `warnings`.
    pub(super) fn parse(dictionary: &Setting<'_>, warnings: &mut Vec<String>) -> Result<Self, Error> {
        let parts = dictionary.object()?;
        let (mut root, mut own) = (Logger::default(), Logger::default());
        let formats = match parts.iter().find(|part| part.name(dictionary) == "formatters") {
            Some(part) => formatters(part, warnings)?,
            None => BTreeMap::new(),
        };
        let mut handlers = Vec::new();
        let mut names = Vec::new();
        if let Some(part) = parts.iter().find(|part| part.name(dictionary) == "handlers") {
            for setting in part.object()? {
                names.push(setting.name(part));
                handlers.extend(handler(&setting, setting.name(part), &formats, warnings)?);
            }
        }
        for part in &parts {
            match part.name(dictionary).as_str() {
                "version" if part.number() != Some(1) => return Err(part.wrong("1")),
                "version" | "formatters" | "handlers" | "disable_existing_loggers" => {}
                "incremental" if !part.boolean()? => {}
                "root" => root = logger(part, &names, warnings)?,
                "loggers" => {
                    for setting in part.object()? {
                        match setting.name(part).as_str() {
                            OWN => own = logger(&setting, &names, warnings)?,
                            "root" | "" => root = logger(&setting, &names, warnings)?,
                            _ => warnings.push(format!("{} is no logger that ddum has; ignored", setting.place())),
                        }
                    }
                }
                _ => warnings.push(format!("{} is not honoured", part.place())),
            }
        }
        for handler in &mut handlers {
            let of_root = root.handlers.contains(&handler.name);
            handler.own = own.handlers.contains(&handler.name) || (own.propagate && of_root);
            handler.others = of_root;
        }
        handlers.retain(|handler| handler.own || handler.others);
        // The root logger of Python starts at WARNING.
        let others = root.level.unwrap_or(LevelFilter::Warn);
        Ok(Self { own: own.level.unwrap_or(others), others, handlers })
    }
}

fn formatters(part: &Setting<'_>, warnings: &mut Vec<String>) -> Result<BTreeMap<String, Format>, Error> {
    let mut formats = BTreeMap::new();
    for formatter in part.object()? {
        let mut format = None;
        let mut date = None;
        let mut foreign = false;
        for setting in formatter.object()? {
            match setting.name(&formatter).as_str() {
                "format" | "fmt" => format = Some(setting),
                "datefmt" => date = setting.optional_text()?,
                "validate" => {}
                "style" if setting.text()? == "%" => {}
                "class" if setting.text()? == "logging.Formatter" => {}
                name => {
                    foreign |= name == "style";
                    warnings.push(format!("{} is not honoured", setting.place()));
                }
            }
        }
        let name = formatter.name(part);
        match format {
            Some(setting) if !foreign && !setting.is_null() => {
                let (format, unknown) = Format::parse(&setting.text()?, date).map_err(|why| {
                    setting.wrong(&format!("a format like \"%(levelname)s %(message)s\": it has {why}"))
                })?;
                if !unknown.is_empty() {
                    let unknown = printable(&unknown.join(", "));
                    warnings.push(format!("{}: ddum has no {unknown}; left empty", setting.place()));
                }
                formats.insert(name, format);
            }
            _ => drop(formats.insert(name, Format { date, ..Format::default() })),
        }
    }
    Ok(formats)
}

fn logger(part: &Setting<'_>, names: &[String], warnings: &mut Vec<String>) -> Result<Logger, Error> {
    let mut logger = Logger::default();
    for setting in part.object()? {
        match setting.name(part).as_str() {
            "level" => logger.level = level(&setting)?,
            "propagate" => {
                logger.propagate = setting.boolean().or_else(|e| setting.number().map(|n| n != 0).ok_or(e))?;
            }
            "handlers" => {
                for name in setting.list("a list of handlers' names")? {
                    let name = name.text_that("the name of a handler", |name| names.iter().any(|n| n == name))?;
                    logger.handlers.push(name);
                }
            }
            _ => warnings.push(format!("{} is not honoured", setting.place())),
        }
    }
    Ok(logger)
}

/// A level by its name or number; `None` for `NOTSET`.
pub(super) fn level(setting: &Setting<'_>) -> Result<Option<LevelFilter>, Error> {
    if setting.is_null() {
        return Ok(None);
    }
    let allowed = "\"DEBUG\", \"INFO\", \"WARNING\", \"ERROR\", \"CRITICAL\" or a number";
    if setting.is_text() {
        return match setting.text()?.as_str() {
            "NOTSET" => Ok(None),
            "DEBUG" => Ok(Some(LevelFilter::Debug)),
            "INFO" => Ok(Some(LevelFilter::Info)),
            "WARNING" | "WARN" => Ok(Some(LevelFilter::Warn)),
            // ddum has nothing above errors, and who asks for the worst asks for them.
            "ERROR" | "CRITICAL" | "FATAL" => Ok(Some(LevelFilter::Error)),
            _ => Err(setting.wrong(allowed)),
        };
    }
    match setting.number() {
        Some(0) => Ok(None),
        Some(1..=10) => Ok(Some(LevelFilter::Debug)),
        Some(11..=20) => Ok(Some(LevelFilter::Info)),
        Some(21..=30) => Ok(Some(LevelFilter::Warn)),
        Some(31..=50) => Ok(Some(LevelFilter::Error)),
        Some(51..) => Ok(Some(LevelFilter::Off)),
        Some(_) | None => Err(setting.wrong(allowed)),
    }
}
