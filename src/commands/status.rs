//! `ddum status`: what the last update did, from the file that it left.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use serde::Deserialize;

use super::configuration;
use crate::account::timestamp;
use crate::cli::Options;
use crate::error::{Context, Error, ErrorKind, exit, one_line};
use crate::host::{self, Root};

/// No report is longer, in bytes: a hundred thousand refusals.
const LONGEST: u64 = 64 << 20;

/// A report as any version of ddum may have stored it: what is missing is not shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Stored {
    finished: u64,
    duration_seconds: f64,
    result: String,
    error: Option<String>,
    last_success: Option<u64>,
    next_update: Option<u64>,
    source: String,
    user_items: u64,
    group_items: u64,
    users: Counts,
    groups: Counts,
    keys_changed: u64,
    homes_created: u64,
    refused: Vec<Refused>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Counts {
    added: u64,
    changed: u64,
    unchanged: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refused {
    kind: String,
    name: String,
    reason: String,
}

/// Runs the command, and gives the exit status: that of the update.
///
/// # Errors
/// When there is no report, or it cannot be read.
pub fn run(options: &Options, json: bool) -> Result<u8, Error> {
    let file = configuration::status_file(options)?;
    let root = Root::open(options.root.as_deref().unwrap_or(Path::new("/")))?;
    let path = root.display(&file);
    let Some(bytes) = host::load(&root, &file, LONGEST)? else {
        let message = format!("no update has run on this host yet, there is no {}; run ddum sync", path.display());
        return Err(Error::new(ErrorKind::File, message));
    };
    let report: Stored =
        serde_json::from_slice(&bytes).context(ErrorKind::File, format!("{} is no report", path.display()))?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let shown = if json { bytes } else { text(&report, now).into_bytes() };
    match std::io::stdout().lock().write_all(&shown) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context(ErrorKind::File, "cannot write to standard output")
        }
        _ => Ok(exit_status(&report)),
    }
}

fn exit_status(report: &Stored) -> u8 {
    match report.result.as_str() {
        "done" => exit::DONE,
        "refused" => exit::REFUSED,
        _ => exit::FAILED,
    }
}

/// What people read. Everything foreign in it stays on its line.
fn text(report: &Stored, now: u64) -> String {
    let mut out = String::new();
    let result = match report.result.as_str() {
        "done" => "done",
        "refused" => "done, but for what is refused below",
        "failed" => "FAILED",
        _ => "not known",
    };
    // Writing to a String cannot fail.
    let mut line = |what: &str, text: &str| {
        let _ = writeln!(out, "{what:<13} {}", one_line(text));
    };
    line("Last update:", &format!("{}, took {:.1} s", moment(report.finished, now), report.duration_seconds));
    line("Result:", result);
    if let Some(error) = &report.error {
        line("Error:", error);
        line("Last success:", &report.last_success.map_or_else(|| "none".to_owned(), |at| moment(at, now)));
    }
    if !report.source.is_empty() {
        let (users, groups) = (report.user_items, report.group_items);
        line("Source:", &format!("{} ({users} user items, {groups} group items)", report.source));
        for (what, counts) in [("Users:", &report.users), ("Groups:", &report.groups)] {
            let Counts { added, changed, unchanged } = counts;
            line(what, &format!("{added} added, {changed} changed, {unchanged} unchanged"));
        }
        line("Homes:", &format!("{} created", report.homes_created));
        line("Keys:", &format!("{} users' changed", report.keys_changed));
    }
    match report.next_update {
        Some(at) if at.saturating_add(OVERDUE) < now => {
            line("Next update:", &format!("was due {}; does the daemon run?", moment(at, now)));
        }
        Some(at) => line("Next update:", &moment(at, now)),
        None => {}
    }
    if !report.refused.is_empty() {
        let _ = writeln!(out, "Refused:      {}", report.refused.len());
        for Refused { kind, name, reason } in &report.refused {
            let name = if name.is_empty() { "(without a name)" } else { name };
            let _ = writeln!(out, "  ! {}", one_line(&format!("{kind} {name}: {reason}")));
        }
    }
    out
}

/// An update may last so long, in seconds, before it is missed.
const OVERDUE: u64 = 15 * 60;

/// `2026-11-22T01:02:03Z, 12 minutes ago`.
fn moment(at: u64, now: u64) -> String {
    let apart = now.abs_diff(at);
    let (count, unit) = match apart {
        0..120 => (apart, "second"),
        120..7200 => (apart / 60, "minute"),
        7200..172_800 => (apart / 3600, "hour"),
        _ => (apart / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    match at > now {
        true => format!("{}, in {count} {unit}{plural}", timestamp(at)),
        false => format!("{}, {count} {unit}{plural} ago", timestamp(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_780_272_907;

    fn stored(json: &str) -> Stored {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_report_is_told_with_what_was_refused() {
        let report = stored(
            r#"{"version": "1.0.0", "pid": 7, "started": 1780272000, "finished": 1780272127, "duration_seconds": 1.25,
            "result": "refused", "error": null, "last_success": 1780272127, "next_update": 1780275727,
            "source": "tables Users and Groups in us-east-1", "user_items": 4, "group_items": 1,
            "consumed_capacity": 2.0, "users": {"added": 2, "changed": 1, "unchanged": 0},
            "groups": {"added": 0, "changed": 0, "unchanged": 1}, "keys_changed": 1, "homes_created": 2,
            "refused": [{"kind": "user", "name": "mallory", "reason": "UID 0 is root's\nroot: fine"},
                        {"kind": "user", "name": "", "reason": "no Name"}]}"#,
        );
        let want = "\
Last update:  2026-06-01T00:02:07Z, 13 minutes ago, took 1.2 s
Result:       done, but for what is refused below
Source:       tables Users and Groups in us-east-1 (4 user items, 1 group items)
Users:        2 added, 1 changed, 0 unchanged
Groups:       0 added, 0 changed, 1 unchanged
Homes:        2 created
Keys:         1 users' changed
Next update:  2026-06-01T01:02:07Z, in 47 minutes
Refused:      2
  ! user mallory: UID 0 is root's\\u{a}root: fine
  ! user (without a name): no Name
";
        assert_eq!(text(&report, NOW), want);
        assert_eq!(exit_status(&report), exit::REFUSED);
    }

    #[test]
    fn a_failure_is_told_with_its_error_and_the_last_success() {
        let failed = r#"{"finished": 1780272000, "result": "failed", "error": "no route", "next_update": 1780272005}"#;
        let report = stored(failed);
        let want = "\
Last update:  2026-06-01T00:00:00Z, 15 minutes ago, took 0.0 s
Result:       FAILED
Error:        no route
Last success: none
Next update:  was due 2026-06-01T00:00:05Z, 15 minutes ago; does the daemon run?
";
        assert_eq!(text(&report, NOW), want);
        assert_eq!(exit_status(&report), exit::FAILED);
        let later = stored(&failed.replace("\"next", "\"last_success\": 1780100000, \"next"));
        assert!(text(&later, NOW).contains("Last success: 2026-05-30T00:13:20Z, 2 days ago\n"));
        assert_eq!(exit_status(&stored("{}")), exit::FAILED);
        assert_eq!(exit_status(&stored(r#"{"result": "done"}"#)), exit::DONE);
    }

    #[test]
    fn a_moment_is_said_in_the_unit_that_fits() {
        for (apart, want) in [(0, "0 seconds"), (1, "1 second"), (119, "119 seconds"), (120, "2 minutes")] {
            assert!(moment(NOW - apart, NOW).ends_with(&format!(", {want} ago")), "{apart}");
        }
        for (apart, want) in [(1, "1 second"), (7200, "2 hours"), (172_800, "2 days"), (31_536_000, "365 days")] {
            assert!(moment(NOW + apart, NOW).ends_with(&format!(", in {want}")), "{apart}");
        }
    }
}
