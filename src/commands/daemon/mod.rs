//! The daemon: `ddum sync` in a loop.

mod background;
mod cycle;
mod schedule;
mod signals;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::configuration;
use super::sync::{Updater, event_loop};
use crate::cli::Options;
use crate::config::Source;
use crate::error::{Context, Error, exit};
use crate::host::{self, Notifier, Pidfile};
use crate::logging::{self, Place};
use cycle::Cycle;
pub use schedule::Next;
use signals::Signals;

/// Runs the daemon, and returns when it was told to stop; or, for the background, when it runs there.
///
/// # Errors
/// When it cannot start.
pub fn run(options: &Options, foreground: bool, pidfile: &Path) -> Result<u8, Error> {
    host::lift_limits();
    host::unblock_signals();
    if foreground {
        return serve(options, Place::Foreground, pidfile).map(|()| exit::DONE);
    }
    if !background::is_second() {
        return background::start().map(|()| exit::DONE);
    }
    match serve(options, Place::Background, pidfile) {
        Ok(()) => Ok(exit::DONE),
        // The first process prints it.
        Err(error) => {
            background::report(&error);
            Ok(error.exit_status())
        }
    }
}

fn serve(options: &Options, place: Place, pidfile: &Path) -> Result<(), Error> {
    let options = fixed(options)?;
    // Without a root of its own, the pidfile too is relative to where we are; in one, it is relative to that.
    let pidfile = if options.root.is_none() { absolute(pidfile)? } else { Path::new("/").join(pidfile) };
    if place == Place::Background {
        background::leave()?;
    }
    let (config, warnings) = configuration::load(&options)?;
    let updater = Updater::new(&options, config, true)?;
    let runtime = event_loop()?;
    // Before the pidfile: whoever finds a number in it may send it a signal.
    let signals = runtime.block_on(async { Signals::install() })?;
    // Held until the end of this function, on every way out of it.
    let _pidfile = Pidfile::take(&updater.root, &pidfile)?;
    let doubts = logging::start(place, options.verbosity, updater.config.logging.as_ref());
    let notifier = match place {
        Place::Foreground => Notifier::from_environment(),
        Place::Background => {
            background::report_ready()?;
            Notifier::nobody()
        }
    };
    notifier.ready();
    log::info!("ddum {} started", env!("CARGO_PKG_VERSION"));
    for warning in warnings.iter().chain(&doubts) {
        log::warn!("{warning}");
    }
    let cycle = Cycle { updater, signals, notifier, options, place };
    runtime.block_on(cycle.run());
    // A thread that hangs on somebody's file system is left behind; its files are replaced whole or not at all.
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(())
}

/// The options with paths that do not depend on the working directory, which a daemon leaves.
fn fixed(options: &Options) -> Result<Options, Error> {
    let optional = |path: &Option<PathBuf>| path.as_deref().map(absolute).transpose();
    let source = |source: &Option<Source>| match source {
        Some(Source::File(path)) => Ok(Some(Source::File(absolute(path)?))),
        other => Ok(other.clone()),
    };
    Ok(Options {
        config: optional(&options.config)?,
        root: optional(&options.root)?,
        users: source(&options.users)?,
        groups: source(&options.groups)?,
        verbosity: options.verbosity,
    })
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).at("cannot find", path)
}
