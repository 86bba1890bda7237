//! The command `ddum`.

use std::process::ExitCode;

use ddum::cli::{self, Command, Options};
use ddum::commands::sync::{Updater, event_loop};
use ddum::commands::{check, configuration, daemon, explain, export, group, key, say, status, sync, tables, user};
use ddum::config::Verbosity;
use ddum::error::{Error, exit};
use ddum::host;
use ddum::logging::{self, Place};

fn main() -> ExitCode {
    logging::withhold_words();
    host::keep_memory_private();
    host::use_own_umask();
    host::contain_panics();
    // Until the command line is understood, whatever is to be said goes to standard error.
    let early = logging::start(Place::Foreground, Verbosity::default(), None);
    debug_assert!(early.is_empty());
    let ended = run();
    logging::finish();
    ExitCode::from(ended.unwrap_or_else(|error| {
        say::error(&error);
        error.exit_status()
    }))
}

fn run() -> Result<u8, Error> {
    let (options, command) = cli::parse_called(std::env::args_os())?;
    match command {
        Command::Help(text) => say::text(text).map(|()| exit::DONE),
        Command::Version => say::text(concat!("ddum ", env!("CARGO_PKG_VERSION"), "\n")).map(|()| exit::DONE),
        Command::Status { json } => status::run(&options, json),
        Command::Sync { dry_run } => {
            let updater = updater(&options, !dry_run)?;
            block_on(sync::run(&updater, dry_run, is_quiet(&options)))
        }
        Command::Check => {
            let updater = updater(&options, false)?;
            block_on(check::run(&updater, is_quiet(&options)))
        }
        Command::Tables(verb) => block_on(tables::run(&options, verb)),
        Command::User(verb) => block_on(user::run(&options, verb)),
        Command::Group(verb) => block_on(group::run(&options, verb)),
        Command::Key(verb) => block_on(key::run(&options, verb)),
        Command::Daemon { foreground, pidfile } => daemon::run(&options, foreground, &pidfile),
        Command::Explain { name, json } => {
            let updater = updater(&options, false)?;
            block_on(explain::run(&updater, &name, json))
        }
        Command::Export(what) => {
            for doubt in logging::start(Place::Foreground, options.verbosity, None) {
                log::warn!("{doubt}");
            }
            block_on(export::run(&options, &what))
        }
    }
}

fn is_quiet(options: &Options) -> bool {
    options.verbosity == Verbosity::Quiet
}

/// What an update is made by. With `begin`, a tree without account files gets empty ones.
fn updater(options: &Options, begin: bool) -> Result<Updater, Error> {
    let doubts = logging::start(Place::Foreground, options.verbosity, None);
    let (config, warnings) = configuration::load(options)?;
    for warning in doubts.iter().chain(&warnings) {
        log::warn!("{warning}");
    }
    Updater::new(options, config, begin)
}

fn block_on(command: impl Future<Output = Result<u8, Error>>) -> Result<u8, Error> {
    let runtime = event_loop()?;
    let status = runtime.block_on(command);
    // Not dropped: that would wait for a resolver thread that still hangs in getaddrinfo(3).
    runtime.shutdown_background();
    status
}
