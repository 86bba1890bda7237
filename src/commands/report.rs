//! What an update tells of itself: the status file that `ddum status` reads, and the metrics for Prometheus.

use std::fmt::Write;

use serde::Serialize;

use crate::merge::{Change, Refusal};

/// How an update ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything is as the tables say.
    Done,
    /// Everything but what is listed as refused.
    Refused,
    /// The update stopped; the error says what was left as it was.
    Failed,
}

/// How many of one kind were added, changed and left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// New on this host.
    pub added: usize,
    /// Changed.
    pub changed: usize,
    /// As the table has them already.
    pub unchanged: usize,
}

impl Counts {
    /// Counts the changes of one noun among `present` that the host has now.
    #[must_use]
    pub fn of(noun: &str, changes: &[Change], present: usize) -> Self {
        let count = |sign| changes.iter().filter(|c| c.noun == noun && c.sign == sign).count();
        let (added, changed) = (count('+'), count('~'));
        Self { added, changed, unchanged: present.saturating_sub(added + changed) }
    }
}

/// One update, as the status file holds it. Names and reasons are printable; there is no secret in it, so that anyone
/// on the host may read it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version of ddum.
    pub version: &'static str,
    /// The process that made the update.
    pub pid: u32,
    /// When it began, in seconds since 1970.
    pub started: u64,
    /// When it ended, in seconds since 1970.
    pub finished: u64,
    /// How long it took.
    pub duration_seconds: f64,
    /// How it ended.
    pub result: Verdict,
    /// Why it stopped.
    pub error: Option<String>,
    /// When an update last came to its end, in seconds since 1970.
    pub last_success: Option<u64>,
    /// When the daemon means to make the next one, in seconds since 1970.
    pub next_update: Option<u64>,
    /// Where the items came from.
    pub source: String,
    /// Items in the Users table.
    pub user_items: usize,
    /// Items in the Groups table.
    pub group_items: usize,
    /// Read units that the scans cost.
    pub consumed_capacity: f64,
    /// The users of this host.
    pub users: Counts,
    /// The groups of this host.
    pub groups: Counts,
    /// Users whose authorised keys changed.
    pub keys_changed: usize,
    /// Homes that were made.
    pub homes_created: usize,
    /// What was refused.
    pub refused: Vec<Refusal>,
}

impl Report {
    /// One line for people: what changed, what was refused.
    #[must_use]
    pub fn summary(&self) -> String {
        if let Some(error) = &self.error {
            return format!("update failed: {error}");
        }
        let mut parts = Vec::new();
        for (noun, counts) in [("user", self.users), ("group", self.groups)] {
            if counts.added > 0 {
                parts.push(format!("{} added", plural(counts.added, noun)));
            }
            if counts.changed > 0 {
                parts.push(format!("{} changed", plural(counts.changed, noun)));
            }
        }
        if self.homes_created > 0 {
            parts.push(format!("{} made", plural(self.homes_created, "home")));
        }
        if self.keys_changed > 0 {
            parts.push(format!("keys of {} changed", plural(self.keys_changed, "user")));
        }
        if parts.is_empty() {
            parts.push("nothing to change".into());
        }
        let refused = match self.refused.len() {
            0 => String::new(),
            count => format!("; {count} refused"),
        };
        format!(
            "{}; {} and {} from {}{refused}",
            parts.join(", "),
            plural(self.user_items, "user"),
            plural(self.group_items, "group"),
            self.source
        )
    }

    /// The status file.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// The metrics file, in Prometheus's text format. Gauges only: the file is made anew by every update, and a
    /// counter that a restart resets to what this update did would lie.
    #[must_use]
    pub fn to_metrics(&self) -> String {
        let mut out = String::new();
        let mut gauge = |name: &str, help: &str, rows: &[(&str, f64)]| {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "# HELP ddum_{name} {help}\n# TYPE ddum_{name} gauge");
            for (labels, value) in rows {
                let _ = writeln!(out, "ddum_{name}{labels} {value}");
            }
        };
        let seconds = |at: Option<u64>| at.map_or(0.0, count_u64);
        gauge("last_update_timestamp_seconds", "When the last update ended.", &[("", count_u64(self.finished))]);
        gauge(
            "last_success_timestamp_seconds",
            "When an update last came to its end, refusals or not.",
            &[("", seconds(self.last_success))],
        );
        gauge(
            "next_update_timestamp_seconds",
            "When the next update is due; 0 if none is.",
            &[("", seconds(self.next_update))],
        );
        gauge("last_update_duration_seconds", "How long the last update took.", &[("", self.duration_seconds)]);
        let failed = if self.result == Verdict::Failed { 1.0 } else { 0.0 };
        gauge("last_update_failed", "1 if the last update failed.", &[("", failed)]);
        gauge(
            "items",
            "Items in the tables.",
            &[("{table=\"users\"}", count(self.user_items)), ("{table=\"groups\"}", count(self.group_items))],
        );
        gauge(
            "refused",
            "Items, keys and homes that the last update refused.",
            &[
                ("{kind=\"user\"}", self.refusals_of("user")),
                ("{kind=\"group\"}", self.refusals_of("group")),
                ("{kind=\"home\"}", self.refusals_of("home")),
            ],
        );
        gauge(
            "changes",
            "What the last update changed.",
            &[
                ("{kind=\"users_added\"}", count(self.users.added)),
                ("{kind=\"users_changed\"}", count(self.users.changed)),
                ("{kind=\"groups_added\"}", count(self.groups.added)),
                ("{kind=\"groups_changed\"}", count(self.groups.changed)),
                ("{kind=\"homes_created\"}", count(self.homes_created)),
                ("{kind=\"keys_changed\"}", count(self.keys_changed)),
            ],
        );
        gauge("consumed_read_units", "Read units that the last update's scans cost.", &[("", self.consumed_capacity)]);
        gauge(
            "build_info",
            "The version that made the update.",
            &[(&format!("{{version=\"{}\"}}", self.version), 1.0)],
        );
        out
    }

    fn refusals_of(&self, kind: &str) -> f64 {
        count(self.refused.iter().filter(|r| r.kind == kind).count())
    }
}

/// A count as the float that a metric is.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn count(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn count_u64(number: u64) -> f64 {
    number as f64
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
