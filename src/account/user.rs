//! A user, as an item of the Users table describes it.

use super::{Day, Gecos, Gid, HomeDir, Name, PasswordHash, PublicKey, Shell, Uid};

/// A well-formed user. The ageing fields are shadow(5)'s, in days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The login name.
    pub name: Name,
    /// The user id.
    pub uid: Uid,
    /// The id of the primary group, which this host may lack.
    pub gid: Gid,
    /// The real name.
    pub real_name: Gecos,
    /// The home directory.
    pub home: HomeDir,
    /// The login shell.
    pub shell: Shell,
    /// The password; `None` for no login by password.
    pub password: Option<PasswordHash>,
    /// When the password was last changed; `None` leaves it to the host.
    pub last_change: Option<Day>,
    /// How old a password must be before it may be changed.
    pub min_age: Option<u32>,
    /// How old a password may become.
    pub max_age: Option<u32>,
    /// How long before that the user is warned.
    pub warn_period: Option<u32>,
    /// How long after that the user can still log in to change it.
    pub inactivity_period: Option<u32>,
    /// The first day on which the account is closed.
    pub expire_date: Option<Day>,
    /// The authorised keys, sorted, each once.
    pub keys: Vec<PublicKey>,
}

impl User {
    /// True from 00:00 UTC of the day of expiry. PAM closes the account on that day, sshd by itself a day later.
    #[must_use]
    pub fn is_expired(&self, today: Day) -> bool {
        self.expire_date.is_some_and(|date| date <= today)
    }
}

#[cfg(test)]
mod tests {
    use crate::account::tests::user;

    use super::*;

    #[test]
    fn an_account_is_closed_from_its_day_of_expiry_on() {
        let day = |text| Day::parse(text).unwrap();
        let mut alice = user("alice");
        assert!(!alice.is_expired(day("9999-12-31")));
        alice.expire_date = Some(day("2026-11-22"));
        for (today, expired) in [("2026-11-21", false), ("2026-11-22", true), ("2026-11-23", true)] {
            assert_eq!(alice.is_expired(day(today)), expired, "{today}");
        }
    }
}
