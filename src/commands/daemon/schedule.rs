//! When the next update is due. Pure: the dice are handed in.

use std::time::Duration;

use crate::config::Config;

/// The wait after the first failure.
const FIRST_RETRY: Duration = Duration::from_secs(5);

/// How often in a row updates failed.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    failures: u32,
}

/// How long to wait for the next update, by how the one before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// When it came to its end.
    pub after_success: Duration,
    /// When it failed.
    pub after_failure: Duration,
}

impl Schedule {
    /// Draws the waits for the update that is about to be made. `random` gives a number from 0 to its argument.
    pub(super) fn draw(&self, config: &Config, mut random: impl FnMut(u64) -> u64) -> Next {
        let mut up_to =
            |most: Duration| Duration::from_millis(random(u64::try_from(most.as_millis()).unwrap_or(u64::MAX)));
        let after_success = config.full_update_period + up_to(config.full_update_jitter);
        let retry = FIRST_RETRY.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        // Half of it at random: hosts that lost the tables in one moment must not come back in one moment.
        let after_failure = retry.saturating_add(up_to(retry.min(config.full_update_period) / 2)).min(after_success);
        Next { after_success, after_failure }
    }

    /// Takes note of how an update ended, and gives the wait for the next one.
    pub(super) fn ended(&mut self, failed: bool, next: Next) -> Duration {
        self.failures = if failed { self.failures.saturating_add(1) } else { 0 };
        if failed { next.after_failure } else { next.after_success }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(period: u64, jitter: u64) -> Config {
        Config {
            full_update_period: Duration::from_secs(period),
            full_update_jitter: Duration::from_secs(jitter),
            ..Config::default()
        }
    }

    #[test]
    fn after_a_success_the_wait_is_the_period_and_a_part_of_the_jitter() {
        let mut schedule = Schedule::default();
        for (dice, want) in [(0, 3600), (1, 4200)] {
            let next = schedule.draw(&config(3600, 600), |most| most * dice);
            assert_eq!(schedule.ended(false, next).as_secs(), want);
        }
    }

    #[test]
    fn failures_are_retried_after_five_seconds_and_twice_as_late_each_time_up_to_the_period() {
        let mut schedule = Schedule::default();
        let mut waits = Vec::new();
        for _ in 0..100 {
            let next = schedule.draw(&config(100, 0), |_| 0);
            waits.push(schedule.ended(true, next).as_secs());
        }
        assert_eq!(waits[..7], [5, 10, 20, 40, 80, 100, 100]);
        assert!(waits[7..].iter().all(|wait| *wait == 100), "{waits:?}");
        let next = schedule.draw(&config(100, 0), |_| 0);
        assert_eq!(schedule.ended(false, next).as_secs(), 100);
        let next = schedule.draw(&config(100, 0), |most| most);
        assert_eq!(schedule.ended(true, next), Duration::from_millis(7500), "a success forgives all failures");
        assert_eq!(schedule.draw(&config(2, 0), |most| most).after_failure.as_secs(), 2, "never later than usual");
    }
}
