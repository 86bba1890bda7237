//! The daemon at work: an update, a wait, an update.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::schedule::{Next, Schedule};
use super::signals::{Signals, Wish};
use crate::account::timestamp;
use crate::cli::Options;
use crate::commands::configuration;
use crate::commands::sync::{UpdateOutcome, Updater};
use crate::error::ErrorKind;
use crate::host::{Notifier, Stop};
use crate::logging::{self, Place};

/// How long an update may take to leave its work after it was told to stop. Less than three seconds, which is what
/// the daemon promises for its whole end.
const GRACE: Duration = Duration::from_millis(2500);

/// An update that takes longer hangs, and the service manager may know: it gets no more signs of life.
const LONGEST_UPDATE: Duration = Duration::from_secs(15 * 60);

/// A daemon that runs.
pub(super) struct Cycle {
    pub(super) updater: Updater,
    pub(super) signals: Signals,
    pub(super) notifier: Notifier,
    pub(super) options: Options,
    pub(super) place: Place,
}

impl Cycle {
    /// Updates until told to stop.
    pub(super) async fn run(mut self) {
        let mut schedule = Schedule::default();
        loop {
            let next = schedule.draw(&self.updater.config, |most| fastrand::u64(0..=most));
            let (outcome, wish) = self.update(next).await;
            let wait = outcome.map_or(Duration::ZERO, |outcome| {
                let is_left = outcome.error.as_ref().is_some_and(|error| error.kind() == ErrorKind::Stopped);
                let wait = if is_left { Duration::ZERO } else { schedule.ended(outcome.error.is_some(), next) };
                self.tell(&outcome, wait);
                wait
            });
            let wish = match wish {
                Some(wish) => wish,
                None => self.wait(wait).await,
            };
            match wish {
                Wish::Stop => break,
                Wish::Reload => self.reload(),
                Wish::Update => {}
            }
        }
        self.notifier.stopping();
        log::info!("stopped");
    }

    /// One update, and what was wished for meanwhile. Without an outcome, it was left behind.
    async fn update(&mut self, next: Next) -> (Option<UpdateOutcome>, Option<Wish>) {
        self.notifier.status("Updating");
        self.updater.leave = Stop::default();
        let updater = self.updater.clone();
        let update = updater.run(Some(next));
        tokio::pin!(update);
        let started = Instant::now();
        let mut signs = signs_of_life(&self.notifier);
        let mut wish = None;
        loop {
            tokio::select! {
                outcome = &mut update => return (Some(outcome), wish),
                later = self.signals.next() => {
                    wish = wish.max(Some(later));
                    match later {
                        Wish::Stop => {
                            self.updater.stop.set();
                            return (timeout(GRACE, &mut update).await.ok(), wish);
                        }
                        // What it waits for may be just what the new configuration mends.
                        Wish::Reload => self.updater.leave.set(),
                        Wish::Update => {}
                    }
                }
                _ = signs.tick() => {
                    if started.elapsed() < LONGEST_UPDATE {
                        self.notifier.alive();
                    }
                }
            }
        }
    }

    /// Waits for the time of the next update, or for somebody who wants something before it.
    async fn wait(&mut self, wait: Duration) -> Wish {
        let due = Instant::now() + wait;
        let mut signs = signs_of_life(&self.notifier);
        loop {
            tokio::select! {
                () = sleep_until(due) => return Wish::Update,
                wish = self.signals.next() => return wish,
                _ = signs.tick() => self.notifier.alive(),
            }
        }
    }

    /// Reads the configuration anew. One that is wrong changes nothing.
    fn reload(&mut self) {
        self.notifier.reloading();
        match configuration::load(&self.options) {
            Ok((config, warnings)) => {
                let doubts = logging::start(self.place, self.options.verbosity, config.logging.as_ref());
                for warning in warnings.iter().chain(&doubts) {
                    log::warn!("{warning}");
                }
                self.updater.config = Arc::new(config);
                log::info!("configuration read again");
            }
            Err(error) => log::error!("{error}; going on with the configuration as it was"),
        }
        self.notifier.ready();
    }

    fn tell(&self, outcome: &UpdateOutcome, wait: Duration) {
        for change in &outcome.applied.changes {
            log::info!("{change}");
        }
        for refusal in &outcome.applied.refusals {
            log::warn!("{refusal}");
        }
        for note in &outcome.applied.notes {
            log::warn!("{note}");
        }
        let seconds = wait.as_secs();
        match &outcome.error {
            Some(error) if error.kind() == ErrorKind::Stopped => log::info!("update left before its end"),
            Some(error) => log::error!("update failed: {error}; trying again in {seconds} s"),
            None => log::info!("{}", outcome.summary),
        }
        let due = std::time::SystemTime::now() + wait;
        let due = due.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.notifier.status(&format!("{}; next update {}", outcome.summary, timestamp(due)));
    }
}

/// Ticks twice as often as the service manager wants a sign of life.
fn signs_of_life(notifier: &Notifier) -> tokio::time::Interval {
    // Without a watchdog the ticks go nowhere; once an hour they cost nothing.
    let period = notifier.watchdog().map_or(Duration::from_secs(3600), |period| period / 2);
    let mut ticks = interval(period.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
