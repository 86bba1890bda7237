//! Dates, as the tables write them and as shadow(5) counts them.

use std::fmt;

use crate::error::printable;

const SECONDS_A_DAY: u64 = 86_400;

/// A day in UTC, counted from 1970-01-01. No local zone: PAM and sshd compare days of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    /// Takes a date from 0001-01-01 to 9999-12-31, written `YYYY-MM-DD` or `YYYYMMDD`.
    ///
    /// # Errors
    /// The reason why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let date = match text.as_bytes() {
            [year @ .., b'-', m1, m2, b'-', d1, d2] => civil(year, [*m1, *m2], [*d1, *d2]),
            [year @ .., m1, m2, d1, d2] => civil(year, [*m1, *m2], [*d1, *d2]),
            _ => None,
        };
        let (year, month, day) = date.ok_or_else(|| format!("\"{}\" is not a date as 2026-11-22", printable(text)))?;
        if day == 0 || day > days_in(year, month) {
            return Err(format!("there is no {}", printable(text)));
        }
        Ok(Self(number_of(year, month, day)))
    }

    /// The day of a moment, given in seconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub fn from_unix(seconds: u64) -> Self {
        Self(i64::try_from(seconds / SECONDS_A_DAY).unwrap_or(i64::MAX))
    }

    /// The day in a date field of shadow(5); `None` when the field is empty or no number that glibc takes.
    #[must_use]
    pub fn from_shadow_field(field: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(field).ok()?;
        let is_number = text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u32>().ok().filter(|_| is_number).map(|days| Self(days.into()))
    }

    /// The day before.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Days since 1970-01-01, negative before it.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0
    }

    /// What shadow(5) gets: never under 1. There, 0 is "must change the password now" or "should not be used", and a
    /// negative number makes glibc drop the whole line.
    #[must_use]
    pub fn shadow_field(self) -> i64 {
        self.0.max(1)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(self.0);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// A moment, given in seconds since 1970-01-01 00:00 UTC, as `2026-11-22T01:02:03Z` (RFC 3339).
#[must_use]
pub fn timestamp(unix_seconds: u64) -> String {
    let second = unix_seconds % SECONDS_A_DAY;
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{}T{hour:02}:{minute:02}:{:02}Z", Day::from_unix(unix_seconds), second % 60)
}

/// Year, month and day, if all of it is digits, the year four of them and the month a real one.
fn civil(year: &[u8], month: [u8; 2], day: [u8; 2]) -> Option<(i64, i64, i64)> {
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
    };
    // First its length: the sum of any number of digits would not fit.
    let year = Some(year).filter(|year| year.len() == 4).and_then(number).filter(|&value| value > 0)?;
    let month = number(&month).filter(|value| (1..=12).contains(value))?;
    Some((year, month, number(&day)?))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

// The Gregorian calendar repeats every 400 years, which are 146097 days. Years are counted from the first of March,
// so that the leap day is the last of its year and (153 m + 2) / 5 is the day on which month m starts.

fn number_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year * 365 + year / 4 - year / 100 + day_of_year - 719_468
}

fn date_of(number: i64) -> (i64, i64, i64) {
    let days = number.saturating_add(719_468);
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days_have_their_numbers() {
        for (text, number) in [
            ("1970-01-01", 0),
            ("1970-01-02", 1),
            ("1969-12-31", -1),
            ("2000-02-29", 11_016),
            ("2025-03-09", 20_156), // as chage -E wrote it
            ("20250309", 20_156),
            ("9999-12-31", 2_932_896),
            ("0001-01-01", -719_162),
        ] {
            assert_eq!(Day::parse(text).map(Day::number), Ok(number), "{text}");
        }
    }

    #[test]
    fn every_day_of_eight_centuries_follows_the_one_before() {
        let mut number = Day::parse("1600-01-01").unwrap().number();
        for year in 1600..2400 {
            for month in 1..=12 {
                for day in 1..=days_in(year, month) {
                    let text = format!("{year:04}-{month:02}-{day:02}");
                    let parsed = Day::parse(&text).unwrap();
                    assert_eq!((parsed.number(), parsed.to_string()), (number, text));
                    number += 1;
                }
            }
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2026",
            "2026-1-2",
            "26-01-02",
            "2026/01/02",
            "2026-01-02 ",
            "2026-01-02\n",
            "2026-0102",
            "202601-02",
            "20260102T00",
            "2026-00-01",
            "2026-13-01",
            "2026-99-01",
            "2026-01-00",
            "2026-01-32",
            "2026-02-30",
            "2025-02-29",
            "1900-02-29",
            "0000-01-01",
            "-026-01-01",
            "+2026-01-01",
            "12026-01-01",
            "120260101",
            "99999999999999999999999999-01-01",
            "2026-+1-01",
            "２０２６-01-01",
            "never",
            "--------",
        ] {
            let reason = Day::parse(text).unwrap_err();
            assert!(!reason.contains('\n'), "{reason:?}");
        }
    }

    #[test]
    fn shadow_gets_no_day_under_one() {
        for (text, field) in [("1969-01-01", 1), ("1970-01-01", 1), ("1970-01-02", 1), ("1970-01-03", 2)] {
            assert_eq!(Day::parse(text).unwrap().shadow_field(), field, "{text}");
        }
    }

    #[test]
    fn a_field_of_shadow_is_a_day_or_nothing() {
        assert_eq!(Day::from_shadow_field(b"20156").unwrap().to_string(), "2025-03-09");
        assert_eq!(Day::from_shadow_field(b"0").map(Day::number), Some(0));
        for field in [&b""[..], b"-1", b"+1", b" 1", b"1 ", b"zz", b"99999999999", b"\xff"] {
            assert_eq!(Day::from_shadow_field(field), None, "{field:?}");
        }
    }

    #[test]
    fn a_moment_is_written_in_utc() {
        for (seconds, text) in
            [(0, "1970-01-01T00:00:00Z"), (86_399, "1970-01-01T23:59:59Z"), (1_795_309_323, "2026-11-22T01:02:03Z")]
        {
            assert_eq!(timestamp(seconds), text);
        }
        assert!(timestamp(u64::MAX).ends_with('Z'));
    }
}
