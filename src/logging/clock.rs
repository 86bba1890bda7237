//! The time of a log line, in UTC: the local zone would have to be read from files that a rescue system lacks, and a
//! fleet's lines are compared across zones.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::account::Day;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Seconds since 1970, and the milliseconds after them.
pub(super) fn since_1970(time: SystemTime) -> (u64, u32) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs(), since.subsec_millis())
}

/// `2026-11-22 01:02:03,004`, as Python's logging writes it.
pub(super) fn usual(time: SystemTime) -> String {
    format!("{},{:03}", date(time, "%Y-%m-%d %H:%M:%S"), since_1970(time).1)
}

/// `format` as strftime(3) fills it in, in English; what this does not know stays as it is.
pub(super) fn date(time: SystemTime, format: &str) -> String {
    let (seconds, _) = since_1970(time);
    let day = Day::from_unix(seconds);
    let text = day.to_string();
    let (year, month, of_month) =
        (&text[..text.len() - 6], &text[text.len() - 5..text.len() - 3], &text[text.len() - 2..]);
    let month_name = month.parse().ok().and_then(|month: usize| MONTHS.get(month.wrapping_sub(1))).unwrap_or(&"");
    // 1970-01-01 was a Thursday.
    let weekday = usize::try_from((day.number() + 4).rem_euclid(7)).unwrap_or(0);
    let weekday_name = WEEKDAYS.get(weekday).unwrap_or(&"");
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let half_day = (hour + 11) % 12 + 1;
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        // Writing to a String cannot fail.
        let _ = match chars.next() {
            Some('Y') => write!(out, "{year}"),
            Some('y') => write!(out, "{}", &year[year.len() - 2..]),
            Some('m') => write!(out, "{month}"),
            Some('d') => write!(out, "{of_month}"),
            Some('e') => write!(out, "{:>2}", of_month.trim_start_matches('0')),
            Some('B') => write!(out, "{month_name}"),
            Some('b' | 'h') => write!(out, "{}", &month_name[..3.min(month_name.len())]),
            Some('A') => write!(out, "{weekday_name}"),
            Some('a') => write!(out, "{}", &weekday_name[..3.min(weekday_name.len())]),
            Some('H') => write!(out, "{hour:02}"),
            Some('I') => write!(out, "{half_day:02}"),
            Some('p') => write!(out, "{}", if hour < 12 { "AM" } else { "PM" }),
            Some('M') => write!(out, "{minute:02}"),
            Some('S') => write!(out, "{second:02}"),
            Some('s') => write!(out, "{seconds}"),
            Some('F') => write!(out, "{text}"),
            Some('T') => write!(out, "{hour:02}:{minute:02}:{second:02}"),
            Some('z') => write!(out, "+0000"),
            Some('Z') => write!(out, "UTC"),
            Some('%') => write!(out, "%"),
            Some(other) => write!(out, "%{other}"),
            None => write!(out, "%"),
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_time_is_written_as_strftime_writes_it() {
        let time = UNIX_EPOCH + Duration::from_millis(1_780_272_907_045);
        for (format, want) in [
            ("%Y-%m-%d %H:%M:%S", "2026-06-01 00:15:07"),
            ("%a %b %e %I:%M %p %y", "Mon Jun  1 12:15 AM 26"),
            ("%A %B %d %T %z %Z", "Monday June 01 00:15:07 +0000 UTC"),
            ("%F %s %% %q %", "2026-06-01 1780272907 % %q %"),
        ] {
            assert_eq!(date(time, format), want);
        }
        assert_eq!(usual(time), "2026-06-01 00:15:07,045");
        assert_eq!(usual(UNIX_EPOCH), "1970-01-01 00:00:00,000");
    }
}
