//! Where log lines go: standard error, the journal, syslog, or what the configuration's `logging` names.
//!
//! A record becomes one line, whatever is in it. The libraries' records are held at warnings, even with `-v`: at
//! finer levels the AWS SDK prints items, and with them password hashes.

mod clock;
mod crash;
mod line;
mod standard;
mod syslog;

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use log::{LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;

use crate::config::{Facility, Format, Handler, HandlerKind, Logging, SyslogAddress, Verbosity};
use crate::error::{Error, one_line};
use crate::host::LogFile;
pub use crash::withhold_words;
use line::Line;
use standard::Stream;
use syslog::Syslog;

/// Whether somebody may be listening on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A terminal, a service manager, a script.
    Foreground,
    /// Nobody: the standard streams lead to `/dev/null`.
    Background,
}

/// The one logger of the process. Its destinations can be exchanged, for a daemon that reads its configuration anew.
static LOGGER: Logger = Logger { destinations: Mutex::new(Vec::new()) };

/// Makes log lines go where the configuration and the command line say, from now on; what was opened before is
/// closed. Without a `logging` of the configuration, that is standard error in the foreground and syslog in the
/// background.
///
/// What could not be opened is said in the result, and is not fatal: accounts matter more than log lines.
#[must_use]
pub fn start(place: Place, verbosity: Verbosity, logging: Option<&Logging>) -> Vec<String> {
    let mut doubts = Vec::new();
    let mut destinations = Vec::new();
    let (own, others) = levels(verbosity, logging);
    for handler in logging.map_or(&[][..], |logging| &logging.handlers) {
        if place == Place::Background && matches!(handler.kind, HandlerKind::Stderr | HandlerKind::Stdout) {
            doubts.push(format!(
                "log handler {:?} writes to a stream that a daemon in the background lacks",
                handler.name
            ));
            continue;
        }
        match Destination::open(handler, own, others) {
            Ok(destination) => destinations.push(destination),
            Err(error) => doubts.push(format!("log handler {:?} gets nothing: {error}", handler.name)),
        }
    }
    if destinations.is_empty() {
        destinations.push(Destination::usual(place, own, others));
    }
    let most = destinations.iter().map(|destination| destination.own.max(destination.others)).max();
    *LOGGER.destinations.lock().unwrap_or_else(PoisonError::into_inner) = destinations;
    // The second time it is set already, to the same.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(most.unwrap_or(LevelFilter::Off));
    doubts
}

/// What is logged of ddum, and of the libraries.
fn levels(verbosity: Verbosity, logging: Option<&Logging>) -> (LevelFilter, LevelFilter) {
    let own = match (verbosity, logging) {
        (Verbosity::Normal, Some(logging)) => logging.own,
        (Verbosity::Verbose, Some(logging)) => logging.own.max(verbosity.level()),
        (Verbosity::Quiet, Some(logging)) => logging.own.min(verbosity.level()),
        (_, None) => verbosity.level(),
    };
    let others = logging.map_or(LevelFilter::Warn, |logging| logging.others).min(LevelFilter::Warn).min(own);
    (own, others)
}

struct Logger {
    destinations: Mutex<Vec<Destination>>,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let destinations = self.destinations.lock().unwrap_or_else(PoisonError::into_inner);
        destinations.iter().any(|destination| destination.takes(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        let message = one_line(&record.args().to_string());
        let line = Line { record, message: &message, time: SystemTime::now() };
        let mut destinations = self.destinations.lock().unwrap_or_else(PoisonError::into_inner);
        for destination in destinations.iter_mut().filter(|destination| destination.takes(record.metadata())) {
            destination.write(&line);
        }
    }

    fn flush(&self) {}
}

/// One place that log lines go to.
struct Destination {
    sink: Sink,
    own: LevelFilter,
    others: LevelFilter,
    format: Option<Format>,
}

enum Sink {
    Terminal(Box<SimpleLogger>),
    Standard(Stream),
    File(Box<LogFile>),
    Syslog(Syslog),
    Null,
}

impl Destination {
    fn open(handler: &Handler, own: LevelFilter, others: LevelFilter) -> Result<Self, Error> {
        let sink = match &handler.kind {
            HandlerKind::Stderr => Sink::Standard(Stream::stderr()),
            HandlerKind::Stdout => Sink::Standard(Stream::stdout()),
            HandlerKind::File { path, max_bytes, backup_count } => {
                Sink::File(Box::new(LogFile::open(path, *max_bytes, *backup_count)?))
            }
            HandlerKind::Syslog { address, facility } => Sink::Syslog(Syslog::new(address.clone(), *facility)),
            HandlerKind::Null => Sink::Null,
        };
        let most = |takes: bool, level: LevelFilter| if takes { level.min(handler.level) } else { LevelFilter::Off };
        // Python's default; here, the standard streams and syslog have their own.
        let format = match handler.kind {
            HandlerKind::File { .. } => Some(handler.format.clone().unwrap_or_default()),
            _ => handler.format.clone(),
        };
        Ok(Self { sink, own: most(handler.own, own), others: most(handler.others, others), format })
    }

    /// Where log lines go when nobody said so.
    fn usual(place: Place, own: LevelFilter, others: LevelFilter) -> Self {
        let sink = match place {
            Place::Background => Sink::Syslog(Syslog::new(SyslogAddress::Socket("/dev/log".into()), Facility::DAEMON)),
            Place::Foreground if standard::is_terminal() => Sink::Terminal(Box::default()),
            Place::Foreground => Sink::Standard(Stream::stderr()),
        };
        Self { sink, own, others, format: None }
    }

    fn takes(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let is_own = target.strip_prefix("ddum").is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        metadata.level() <= if is_own { self.own } else { self.others }
    }

    fn write(&mut self, line: &Line<'_>) {
        let format = self.format.as_ref();
        match &mut self.sink {
            // simple_logger panics when it cannot write, as after the terminal of a daemon was closed.
            Sink::Terminal(terminal) if standard::is_terminal() => {
                let mut builder = Record::builder();
                let record = builder.metadata(line.record.metadata().clone());
                terminal.log(&record.args(format_args!("{}", line.message)).build());
            }
            Sink::Terminal(_) | Sink::Null => {}
            Sink::Standard(stream) => stream.write(line, format),
            Sink::File(file) => {
                let text = line.formatted(format.unwrap_or(&Format::default()));
                // Whoever could be told would be told by a log line.
                let _ = file.write_line(text.as_bytes());
            }
            Sink::Syslog(syslog) => syslog.write(line, format),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(destination: &Destination, target: &str, level: log::Level) -> bool {
        destination.takes(&Metadata::builder().target(target).level(level).build())
    }

    #[test]
    fn the_libraries_are_held_at_warnings_whatever_is_asked_for() {
        let all = Logging { own: LevelFilter::Trace, others: LevelFilter::Trace, handlers: Vec::new() };
        for (verbosity, logging, want) in [
            (Verbosity::Normal, None, (LevelFilter::Info, LevelFilter::Warn)),
            (Verbosity::Verbose, None, (LevelFilter::Debug, LevelFilter::Warn)),
            (Verbosity::Quiet, None, (LevelFilter::Warn, LevelFilter::Warn)),
            (Verbosity::Normal, Some(&all), (LevelFilter::Trace, LevelFilter::Warn)),
            (Verbosity::Verbose, Some(&all), (LevelFilter::Trace, LevelFilter::Warn)),
            (Verbosity::Quiet, Some(&all), (LevelFilter::Warn, LevelFilter::Warn)),
        ] {
            assert_eq!(levels(verbosity, logging), want, "{verbosity:?}");
        }
        let destination = Destination::usual(Place::Foreground, LevelFilter::Debug, LevelFilter::Warn);
        for (target, level, want) in [
            ("ddum", log::Level::Debug, true),
            ("ddum::commands::sync", log::Level::Debug, true),
            ("ddum::commands::sync", log::Level::Trace, false),
            ("ddumb", log::Level::Info, false),
            ("aws_smithy_runtime::client", log::Level::Info, false),
            ("rustls", log::Level::Warn, true),
        ] {
            assert_eq!(takes(&destination, target, level), want, "{target} {level}");
        }
    }

    #[test]
    fn a_handler_takes_what_its_loggers_and_its_own_level_let_through() {
        let handler = Handler {
            name: "h".to_owned(),
            kind: HandlerKind::Null,
            level: LevelFilter::Warn,
            format: None,
            own: true,
            others: false,
        };
        let destination = Destination::open(&handler, LevelFilter::Debug, LevelFilter::Warn).unwrap();
        assert!(takes(&destination, "ddum", log::Level::Warn));
        assert!(!takes(&destination, "ddum", log::Level::Info));
        assert!(!takes(&destination, "hyper", log::Level::Error));
    }
}
