//! Where log lines go: standard error, the journal, syslog, or what the configuration's `logging` names.
//!
//! A record becomes one line, whatever is in it. The libraries' records are held at warnings, even with `-v`: at
//! finer levels the AWS SDK prints items, and with them password hashes.

mod clock;
mod crash;
mod line;
mod output;
mod standard;
mod syslog;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use log::{Level, LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;

use crate::config::{Facility, Format, Handler, HandlerKind, Logging, SyslogAddress, Verbosity};
use crate::error::{Error, one_line};
use crate::host::LogFile;
pub use crash::withhold_words;
use line::Line;
use output::{Output, Patience, Text, Write};
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
static LOGGER: Logger = Logger { outputs: Mutex::new(Outputs { destinations: Vec::new(), patience: Patience::new() }) };

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
    let mut patience = Patience::new();
    for handler in logging.map_or(&[][..], |logging| &logging.handlers) {
        if place == Place::Background && matches!(handler.kind, HandlerKind::Stderr | HandlerKind::Stdout) {
            doubts.push(format!(
                "log handler {:?} writes to a stream that a daemon in the background lacks",
                handler.name
            ));
            continue;
        }
        let mut destination = Destination::of(handler, own, others);
        let opened = destination.open(&mut patience);
        if let Err(error) = &opened {
            doubts.push(format!("log handler {:?} gets nothing: {error}", handler.name));
        }
        if opened.is_ok() || destination.is_slow() {
            destinations.push(destination);
        }
    }
    if destinations.is_empty() {
        destinations.push(Destination::usual(place, own, others));
    }
    let most = destinations.iter().map(|destination| destination.own.max(destination.others)).max();
    *LOGGER.outputs() = Outputs { destinations, patience };
    // The second time it is set already, to the same.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(most.unwrap_or(LevelFilter::Off));
    doubts
}

/// Waits a moment for what is still being written, as the program ends.
pub fn finish() {
    LOGGER.flush();
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
    outputs: Mutex<Outputs>,
}

struct Outputs {
    destinations: Vec<Destination>,
    /// For all of them.
    patience: Patience,
}

impl Logger {
    fn outputs(&self) -> MutexGuard<'_, Outputs> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.outputs().destinations.iter().any(|destination| destination.takes(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        let message = one_line(&record.args().to_string());
        let line = Line { record, message: &message, time: SystemTime::now() };
        let Outputs { destinations, patience } = &mut *self.outputs();
        for destination in destinations.iter_mut().filter(|destination| destination.takes(record.metadata())) {
            destination.write(&line, patience);
        }
    }

    fn flush(&self) {
        let mut patience = Patience::last();
        for destination in &mut self.outputs().destinations {
            destination.output.finish(&mut patience);
        }
    }
}

/// One place that log lines go to.
struct Destination {
    shape: Shape,
    output: Output,
    own: LevelFilter,
    others: LevelFilter,
    format: Option<Format>,
}

/// What a line looks like there.
enum Shape {
    Bare,
    Standard(Stream),
    Syslog(Facility),
}

impl Destination {
    fn of(handler: &Handler, own: LevelFilter, others: LevelFilter) -> Self {
        let most = |takes: bool, level: LevelFilter| if takes { level.min(handler.level) } else { LevelFilter::Off };
        let (own, others) = (most(handler.own, own), most(handler.others, others));
        // Python's default for a file; the standard streams and syslog have their own.
        let format = match handler.kind {
            HandlerKind::File { .. } => Some(handler.format.clone().unwrap_or_default()),
            _ => handler.format.clone(),
        };
        let (shape, output) = match handler.kind.clone() {
            HandlerKind::Stderr => standard(Stream::stderr()),
            HandlerKind::Stdout => standard(Stream::stdout()),
            HandlerKind::File { path, max_bytes, backup_count } => {
                let open = move || {
                    let mut file = LogFile::open(&path, max_bytes, backup_count)?;
                    Ok(Box::new(move |text: &Text| file.write_line(text.body.as_bytes())) as Write)
                };
                (Shape::Bare, Output::new(Box::new(open)))
            }
            HandlerKind::Syslog { address, facility } => syslog(address, facility),
            HandlerKind::Null => (Shape::Bare, Output::nowhere()),
        };
        Self { shape, output, own, others, format }
    }

    /// Where log lines go when nobody said so.
    fn usual(place: Place, own: LevelFilter, others: LevelFilter) -> Self {
        let (shape, output) = match place {
            Place::Background => syslog(SyslogAddress::Socket("/dev/log".into()), Facility::DAEMON),
            Place::Foreground if standard::is_terminal() => (Shape::Bare, Output::new(Box::new(|| Ok(terminal())))),
            Place::Foreground => standard(Stream::stderr()),
        };
        Self { shape, output, own, others, format: None }
    }

    /// Opens what must be there from the beginning, so that it is known now when it is not.
    fn open(&mut self, patience: &mut Patience) -> Result<(), Error> {
        if self.format.is_some() && matches!(self.shape, Shape::Bare) { self.output.open(patience) } else { Ok(()) }
    }

    fn is_slow(&mut self) -> bool {
        self.output.is_busy()
    }

    fn takes(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let is_own = target.strip_prefix("ddum").is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        metadata.level() <= if is_own { self.own } else { self.others }
    }

    fn write(&mut self, line: &Line<'_>, patience: &mut Patience) {
        let Self { shape, output, format, .. } = self;
        let text = |line: &Line<'_>| Text {
            level: line.record.level(),
            target: line.record.target().to_owned(),
            body: shape.body(line, format.as_ref()),
        };
        let notice = |lost: usize| {
            let record = Record::builder().level(Level::Warn).target(module_path!()).build();
            let message = format!("log lines that could not be written here and are lost: {lost}");
            text(&Line { record: &record, message: &message, time: line.time })
        };
        output.write(text(line), notice, patience);
    }
}

impl Shape {
    fn body(&self, line: &Line<'_>, format: Option<&Format>) -> String {
        match (self, format) {
            (Self::Bare, Some(format)) => line.formatted(format),
            (Self::Bare, None) => line.message.to_owned(),
            (Self::Standard(stream), format) => stream.line(line, format),
            (Self::Syslog(facility), format) => syslog::message(*facility, line, format),
        }
    }
}

fn standard(stream: Stream) -> (Shape, Output) {
    let write = move |text: &Text| stream.write(&text.body);
    (Shape::Standard(stream), Output::new(Box::new(move || Ok(Box::new(write)))))
}

fn syslog(address: SyslogAddress, facility: Facility) -> (Shape, Output) {
    let mut syslog = Syslog::new(address);
    let write = move |text: &Text| syslog.write(text.body.as_bytes());
    (Shape::Syslog(facility), Output::new(Box::new(move || Ok(Box::new(write)))))
}

/// A person's terminal.
fn terminal() -> Write {
    let terminal = SimpleLogger::default();
    Box::new(move |text| {
        // simple_logger panics when it cannot write, as after the terminal of a daemon was closed.
        if standard::is_terminal() {
            let mut record = Record::builder();
            let record = record.level(text.level).target(&text.target);
            terminal.log(&record.args(format_args!("{}", text.body)).build());
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(destination: &Destination, target: &str, level: Level) -> bool {
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
            ("ddum", Level::Debug, true),
            ("ddum::commands::sync", Level::Debug, true),
            ("ddum::commands::sync", Level::Trace, false),
            ("ddumb", Level::Info, false),
            ("aws_smithy_runtime::client", Level::Info, false),
            ("rustls", Level::Warn, true),
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
        let destination = Destination::of(&handler, LevelFilter::Debug, LevelFilter::Warn);
        assert!(takes(&destination, "ddum", Level::Warn));
        assert!(!takes(&destination, "ddum", Level::Info));
        assert!(!takes(&destination, "hyper", Level::Error));
    }
}
