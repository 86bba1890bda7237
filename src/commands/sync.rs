//! `ddum sync`: one full update. The daemon makes the same one, again and again.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::apart::apart;
use super::daemon::Next;
use super::report::{Counts, Report, Verdict};
use super::say;
use super::update::{Applied, STATE_LIMIT, Update, now, today, untouched};
use crate::account::Day;
use crate::cli::Options;
use crate::config::{Config, Source};
use crate::error::{Context, Error, ErrorKind, exit};
use crate::host::{self, Claim, Root, Stop, Turn};
use crate::table::{self, Scan, Tables};

/// How long another ddum may take for its update until it counts as hanging. No step of one may take longer.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// How often is looked whether it has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How often the tables are scanned again because another ddum used a later scan.
const SCANS: usize = 3;

/// Where the items come from.
#[derive(Clone, Debug)]
pub enum Where {
    /// The tables that the configuration names.
    Tables,
    /// Two files in their place.
    Files {
        /// The Users table.
        users: Source,
        /// The Groups table.
        groups: Source,
    },
}

/// Makes updates of one tree from one place.
#[derive(Clone, Debug)]
pub struct Updater {
    /// The tree that is brought in line.
    pub root: Arc<Root>,
    /// The configuration.
    pub config: Arc<Config>,
    /// Where the items come from.
    pub source: Where,
    /// Set to end an update early.
    pub stop: Stop,
    /// Set to leave an update that still waits for the tables; one that has begun to write goes on.
    pub leave: Stop,
}

/// How one update ended.
#[derive(Debug)]
pub struct UpdateOutcome {
    /// Why it stopped, if it did.
    pub error: Option<Error>,
    /// What changed, or would.
    pub applied: Applied,
    /// One line for people.
    pub summary: String,
    /// What a command that made this update exits with.
    pub exit: u8,
}

impl Updater {
    /// Everything that an update needs, as the command line and the configuration have it. With `begin`, a tree
    /// without account files gets empty ones.
    ///
    /// # Errors
    /// When the tree cannot be opened, or begun.
    pub fn new(options: &Options, config: Config, begin: bool) -> Result<Self, Error> {
        let root = match &options.root {
            None => Root::open(Path::new("/"))?,
            Some(path) if begin => {
                let root = Root::open_new(path)?;
                if host::create_empty(&root)? {
                    log::info!("{} had no account files, so empty ones were made", path.display());
                }
                root
            }
            Some(path) => Root::open(path)?,
        };
        let source = match (&options.users, &options.groups) {
            (Some(users), Some(groups)) => Where::Files { users: users.clone(), groups: groups.clone() },
            _ => Where::Tables,
        };
        let (root, config) = (Arc::new(root), Arc::new(config));
        Ok(Self { root, config, source, stop: Stop::default(), leave: Stop::default() })
    }

    /// One update. Its report is in the status file and the metrics file when this returns; `next` is when the daemon
    /// means to make the next one, by how this one ends.
    pub async fn run(&self, next: Option<Next>) -> UpdateOutcome {
        let started = Instant::now();
        // The turn ends with the report, or an earlier one would take the place of a later one.
        let (scan, applied, _turn) = match self.update(false).await {
            Ok((scan, applied, turn)) => (Some(scan), applied, turn),
            Err(error) => (None, Applied { error: Some(error), ..Applied::default() }, None),
        };
        self.finish(scan.as_ref(), applied, started.elapsed(), next)
    }

    /// Reads the tables and brings the host in line, or only looks.
    async fn update(&self, dry_run: bool) -> Result<(Scan, Applied, Option<Turn>), Error> {
        let today = today().map_err(|error| untouched(&error))?;
        let scanned = if dry_run {
            self.scan(today).await.map(|scan| (scan, None))
        } else {
            stoppable(&[self.stop.clone(), self.leave.clone()], self.scan_in_turn(today)).await
        };
        let (scan, turn) =
            scanned.and_then(|scanned| self.stop.check().map(|()| scanned)).map_err(|e| untouched(&e))?;
        let (root, config, stop) = (Arc::clone(&self.root), Arc::clone(&self.config), self.stop.clone());
        // From here on nothing is awaited: the files are written by one thread that nobody can cancel half way.
        apart("ddum-update", move || {
            let update = Update { root: &root, config: &config, stop: &stop, turn: turn.as_ref(), today, dry_run };
            let applied = update.apply(&scan);
            (scan, applied, turn)
        })
        .await
        .map_err(|error| match error.kind() {
            ErrorKind::Internal => {
                let follows = "each file is whole, the old or the new, and the next update does what is left";
                Error::new(ErrorKind::Internal, format!("{error}; {follows}"))
            }
            _ => untouched(&error),
        })
    }

    /// A scan that no other ddum's scan is later than, and the turn to use it.
    async fn scan_in_turn(&self, today: Day) -> Result<(Scan, Option<Turn>), Error> {
        let mut turn = self.turn(false).await;
        for _ in 0..SCANS {
            let scan = self.scan(today).await?;
            if turn.is_none() {
                // Nothing is made on a host before there is something to write. Meanwhile another may have been first.
                turn = self.turn(true).await;
                if turn.as_ref().is_some_and(|turn| !turn.is_first()) {
                    continue;
                }
            }
            match turn.as_ref().map_or(Ok(()), Turn::using) {
                Ok(()) => return Ok((scan, turn)),
                Err(why) => log::warn!("{why}; scanning again"),
            }
            drop(turn.take());
            turn = self.turn(false).await;
        }
        let message =
            "other ddums went on scanning the tables later; accounts left as they were, or as those bring them";
        Err(Error::new(ErrorKind::Busy, message))
    }

    /// Waits for our turn; without one, if there is nothing to wait for.
    async fn turn(&self, make: bool) -> Option<Turn> {
        let started = Instant::now();
        let mut is_told = false;
        loop {
            let holder = match Turn::claim(&self.root, make) {
                Claim::Ours(turn) => return Some(turn),
                Claim::Nowhere => return None,
                Claim::Others(holder) => holder,
            };
            if !is_told {
                log::warn!("waiting until {holder} ends its update of this host");
                is_told = true;
            }
            if started.elapsed() > LONGEST_WAIT {
                let waited = LONGEST_WAIT.as_secs();
                log::warn!("{holder} has not ended its update of this host for {waited} s; going on beside it");
                return Turn::without(&self.root);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// All items of both tables, or an error: half a table is never used.
    ///
    /// # Errors
    /// When one of the tables cannot be read completely.
    pub async fn scan(&self, today: Day) -> Result<Scan, Error> {
        self.scan_watching(today, None).await
    }

    /// The same, with the items of one name shown.
    ///
    /// # Errors
    /// As [`scan`](Self::scan).
    pub async fn scan_watching(&self, today: Day, name: Option<&str>) -> Result<Scan, Error> {
        let (config, source, name) = (Arc::clone(&self.config), self.source.clone(), name.map(str::to_owned));
        let stops = [self.stop.clone(), self.leave.clone()];
        // On a thread of its own, with an event loop of its own: a page takes a while to read, and a file may be on a
        // server that does not answer, while the daemon must hear its signals and tell that it is alive.
        let scan = apart("ddum-scan", move || {
            let scan = async {
                match source {
                    Where::Tables => {
                        Tables::connect(&config).await?.scan_watching(&config, today, name.as_deref()).await
                    }
                    Where::Files { users, groups } => {
                        table::snapshot::read_watching(&users, &groups, &config, today, name.as_deref())
                    }
                }
            };
            let runtime = event_loop()?;
            let scan = runtime.block_on(stoppable(&stops, scan));
            runtime.shutdown_background();
            host::end_children();
            scan
        });
        // Left from here too: that thread may hang where it cannot hear the wish.
        stoppable(&[self.stop.clone(), self.leave.clone()], async { scan.await? }).await
    }

    fn finish(&self, scan: Option<&Scan>, mut applied: Applied, took: Duration, next: Option<Next>) -> UpdateOutcome {
        let next = next.map(|next| if applied.error.is_some() { next.after_failure } else { next.after_success });
        let report = self.report(scan, &applied, took, next);
        // An update that somebody stopped has nothing to tell; what the one before told still holds.
        let is_stopped = applied.error.as_ref().is_some_and(|error| error.kind() == ErrorKind::Stopped);
        let files = if is_stopped { Vec::new() } else { self.files_of(&report) };
        for (path, bytes) in files {
            if let Err(error) = host::store(&self.root, path, &bytes, 0o644, false) {
                applied.notes.push(error.to_string());
            }
        }
        let exit = match (&applied.error, report.result) {
            (Some(error), _) => error.exit_status(),
            (None, Verdict::Refused) => exit::REFUSED,
            (None, _) => exit::DONE,
        };
        UpdateOutcome { error: applied.error.take(), summary: report.summary(), exit, applied }
    }

    fn report(&self, scan: Option<&Scan>, applied: &Applied, took: Duration, next: Option<Duration>) -> Report {
        let finished = now().unwrap_or(0);
        let result = match (&applied.error, applied.refusals.is_empty()) {
            (Some(_), _) => Verdict::Failed,
            (None, false) => Verdict::Refused,
            (None, true) => Verdict::Done,
        };
        let changes_of =
            |noun: &str, sign: char| applied.changes.iter().filter(|c| c.noun == noun && c.sign == sign).count();
        Report {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            started: finished.saturating_sub(took.as_secs()),
            finished,
            duration_seconds: took.as_secs_f64(),
            result,
            error: applied.error.as_ref().map(ToString::to_string),
            last_success: if result == Verdict::Failed { self.last_success() } else { Some(finished) },
            next_update: next.map(|wait| finished + wait.as_secs()),
            source: scan.map(|s| s.source.clone()).unwrap_or_default(),
            user_items: scan.map_or(0, |s| s.users),
            group_items: scan.map_or(0, |s| s.groups),
            consumed_capacity: scan.map_or(0.0, |s| s.consumed_capacity),
            users: Counts::of("user", &applied.changes, applied.users),
            groups: Counts::of("group", &applied.changes, applied.groups),
            keys_changed: changes_of("keys", '~'),
            homes_created: changes_of("home", '+'),
            refused: applied.refusals.clone(),
        }
    }

    /// When an update last came to its end, as the status file that this update is about to replace has it.
    fn last_success(&self) -> Option<u64> {
        let bytes = host::load(&self.root, &self.config.status_file, STATE_LIMIT).ok()??;
        let before: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        before.get("last_success")?.as_u64()
    }

    fn files_of<'a>(&'a self, report: &Report) -> Vec<(&'a Path, Vec<u8>)> {
        let mut files = vec![(self.config.status_file.as_path(), report.to_json())];
        if let Some(path) = &self.config.metrics_file {
            files.push((path, report.to_metrics().into_bytes()));
        }
        files
    }
}

/// `work`, left at once when somebody asks to stop: it only waits for the tables.
async fn stoppable<T>(stops: &[Stop], work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let stopped = async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if let Some(error) = stops.iter().find_map(|stop| stop.check().err()) {
                return error;
            }
        }
    };
    tokio::select! {
        done = work => done,
        error = stopped => Err(error),
    }
}

/// An event loop for the thread that runs it.
///
/// # Errors
/// When the system has no room for another.
pub fn event_loop() -> Result<Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context(ErrorKind::Internal, "cannot start the event loop")
}

/// Runs the command: prints the changes, sorted, and gives the exit status.
///
/// # Errors
/// When the update failed; what could be done has been done and printed.
pub async fn run(updater: &Updater, dry_run: bool, quiet: bool) -> Result<u8, Error> {
    let outcome = if dry_run {
        let (scan, applied, _) = updater.update(true).await?;
        let report = updater.report(Some(&scan), &applied, Duration::ZERO, None);
        let exit = if applied.refusals.is_empty() { exit::DONE } else { exit::REFUSED };
        let summary = format!("dry run: {}", report.summary());
        let mut applied = applied;
        UpdateOutcome { error: applied.error.take(), applied, summary, exit }
    } else {
        updater.run(None).await
    };
    for note in &outcome.applied.notes {
        log::warn!("{note}");
    }
    say::lines(outcome.applied.lines(quiet))?;
    match outcome.error {
        Some(error) => Err(error),
        None => {
            log::info!("{}", outcome.summary);
            Ok(outcome.exit)
        }
    }
}
