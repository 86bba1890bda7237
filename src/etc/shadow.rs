//! shadow(5).

use std::fmt;

use super::Entry;
use super::field::{self, HIDDEN, Text};

/// A line of `/etc/shadow`, each field as it stands: an empty one is not the same as a number.
#[derive(Clone, PartialEq, Eq)]
pub struct ShadowEntry {
    /// Login name.
    pub name: String,
    /// Password hash, or what stands for none.
    pub password: Vec<u8>,
    /// Day of the last password change, counted from 1970-01-01; 0 asks for a change at the next login.
    pub last_change: Vec<u8>,
    /// Days before the password may be changed again.
    pub min_age: Vec<u8>,
    /// Days after which it must be changed.
    pub max_age: Vec<u8>,
    /// Days of warning before that.
    pub warn_period: Vec<u8>,
    /// Days after that in which the old password still lets one change it.
    pub inactivity_period: Vec<u8>,
    /// Day on which the account expires, counted from 1970-01-01.
    pub expire_date: Vec<u8>,
    /// The ninth field, which has no meaning yet.
    pub reserved: Vec<u8>,
}

impl Entry for ShadowEntry {
    const FILE: &'static str = "shadow";
    const FIELDS: usize = 9;
    const TOO_LONG: usize = 32768;

    // nss_files: five fields are the old form; otherwise a line may end after the eighth, but not with it empty.
    fn c_library_reads(line: &[u8]) -> bool {
        let fields = field::fields(line);
        let takes = |number: &[u8]| number.is_empty() || field::c_integer(number).is_some();
        let is_there = |at: usize| fields.get(at).is_some_and(|f| at + 1 < fields.len() || !f.is_empty());
        if !(2..5).all(|at| is_there(at) && takes(fields[at])) {
            return false;
        }
        match fields[5..] {
            [] => true,
            [warn] if field::trim_start(warn).is_empty() => true,
            [warn, inactive, expire, ..] => {
                let flag_is_fine = match fields[8..] {
                    [] => true,
                    [flag] => takes(flag),
                    _ => false,
                };
                is_there(7) && takes(field::trim_start(warn)) && takes(inactive) && takes(expire) && flag_is_fine
            }
            _ => false,
        }
    }

    fn shadow_tools_read(line: &[u8]) -> bool {
        let fields = field::fields(line);
        matches!(fields.len(), 5 | 8 | 9) && fields[2..].iter().all(|number| field::is_plain_count(number))
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let fields = field::fields(line);
        let text = |at: usize| fields.get(at).map(|field| field.to_vec()).unwrap_or_default();
        Some(Self {
            name: field::name(field::name_of(line))?,
            password: text(1),
            last_change: text(2),
            min_age: text(3),
            max_age: text(4),
            warn_period: text(5),
            inactivity_period: text(6),
            expire_date: text(7),
            reserved: text(8),
        })
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn write(&self, line: &mut Vec<u8>) {
        line.extend_from_slice(self.name.as_bytes());
        line.push(b':');
        line.extend_from_slice(&self.password);
        for text in self.ageing() {
            line.push(b':');
            line.extend_from_slice(text);
        }
    }
}

impl ShadowEntry {
    fn ageing(&self) -> [&[u8]; 7] {
        [
            &self.last_change,
            &self.min_age,
            &self.max_age,
            &self.warn_period,
            &self.inactivity_period,
            &self.expire_date,
            &self.reserved,
        ]
    }
}

impl fmt::Debug for ShadowEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShadowEntry")
            .field("name", &self.name)
            .field("password", &HIDDEN)
            .field("last_change", &Text(&self.last_change))
            .field("min_age", &Text(&self.min_age))
            .field("max_age", &Text(&self.max_age))
            .field("warn_period", &Text(&self.warn_period))
            .field("inactivity_period", &Text(&self.inactivity_period))
            .field("expire_date", &Text(&self.expire_date))
            .field("reserved", &Text(&self.reserved))
            .finish()
    }
}
