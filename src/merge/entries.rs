//! A user's entries in passwd and shadow, and how they are told to differ from those that are there.

use crate::account::{Day, User};
use crate::error::printable;
use crate::etc::{PasswdEntry, ShadowEntry};

/// What the account files hold under a user's name.
pub(super) struct Local {
    pub(super) passwd: Option<PasswdEntry>,
    pub(super) shadow: Option<ShadowEntry>,
}

pub(super) fn passwd_entry(user: &User) -> PasswdEntry {
    PasswdEntry {
        name: user.name.as_str().to_owned(),
        password: b"x".to_vec(),
        uid: user.uid.get(),
        gid: user.gid.get(),
        gecos: user.real_name.as_str().into(),
        home: user.home.as_str().into(),
        shell: user.shell.as_str().into(),
    }
}

pub(super) fn shadow_entry(user: &User, local: &Local, today: Day) -> ShadowEntry {
    let number = |days: Option<u32>| days.map(|d| d.to_string().into_bytes()).unwrap_or_default();
    let date = |day: Option<Day>| day.map(|d| d.shadow_field().to_string().into_bytes()).unwrap_or_default();
    let before = local.shadow.as_ref();
    // A hash that stands in passwd itself counts where shadow has no line: taking the account over must not lose it
    // sooner than the item says.
    let password_before = before
        .map(|s| s.password.as_slice())
        .or_else(|| local.passwd.as_ref().map(|p| p.password.as_slice()).filter(|p| *p != b"x"));
    let password = match (&user.password, password_before) {
        (Some(hash), _) => hash.expose().as_bytes().to_vec(),
        (None, Some(text)) if !opens_a_login(text) => text.to_vec(),
        // Not "!": sshd without PAM refuses key logins to an account that is locked that way.
        (None, _) => b"*".to_vec(),
    };
    let last_change = match (user.last_change, before) {
        (Some(day), _) => date(Some(day)),
        (None, Some(entry)) => entry.last_change.clone(),
        (None, None) => date(Some(today)),
    };
    ShadowEntry {
        name: user.name.as_str().to_owned(),
        password,
        last_change,
        min_age: number(user.min_age),
        max_age: number(user.max_age),
        warn_period: number(user.warn_period),
        inactivity_period: number(user.inactivity_period),
        expire_date: date(user.expire_date),
        reserved: before.map(|s| s.reserved.clone()).unwrap_or_default(),
    }
}

/// Whether somebody could log in with a password: shadow(5) leaves the field empty for no password at all, and
/// crypt(5) knows `$id$…`, BSDi's `_…` and DES's 13 characters. Anything else is no hash of anything.
pub(super) fn opens_a_login(password: &[u8]) -> bool {
    match password {
        [] | [b'$' | b'_', ..] => true,
        text => text.len() == 13 && text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/')),
    }
}

pub(super) fn passwd_differences(before: &PasswdEntry, after: &PasswdEntry) -> Vec<String> {
    let mut parts = Vec::new();
    let mut compare = |label: &str, old: &[u8], new: &[u8]| {
        if old != new {
            let text = |bytes: &[u8]| shown(&String::from_utf8_lossy(bytes));
            parts.push(format!("{label} {} -> {}", text(old), text(new)));
        }
    };
    compare("uid", before.uid.to_string().as_bytes(), after.uid.to_string().as_bytes());
    compare("gid", before.gid.to_string().as_bytes(), after.gid.to_string().as_bytes());
    compare("real name", &before.gecos, &after.gecos);
    compare("home", &before.home, &after.home);
    compare("shell", &before.shell, &after.shell);
    if before.password != after.password {
        parts.push("password moved to shadow".into());
    }
    parts
}

pub(super) fn shadow_differences(before: Option<&ShadowEntry>, after: &ShadowEntry) -> Vec<String> {
    let Some(before) = before else { return vec!["shadow line added".into()] };
    let mut parts = Vec::new();
    if before.password != after.password {
        parts.push(if after.password == b"*" { "password removed" } else { "password changed" }.into());
    }
    let day = |field: &[u8]| Day::from_shadow_field(field).map_or_else(|| "none".into(), |d| d.to_string());
    let days = |field: &[u8]| if field.is_empty() { "none".into() } else { printable(&String::from_utf8_lossy(field)) };
    if before.last_change != after.last_change {
        parts.push(format!("last password change {}", day(&after.last_change)));
    }
    for (label, old, new) in [
        ("minimum password age", &before.min_age, &after.min_age),
        ("maximum password age", &before.max_age, &after.max_age),
        ("password warning", &before.warn_period, &after.warn_period),
        ("password inactivity", &before.inactivity_period, &after.inactivity_period),
    ] {
        if old != new {
            parts.push(format!("{label} {} -> {}", days(old), days(new)));
        }
    }
    if before.expire_date != after.expire_date {
        parts.push(if after.expire_date.is_empty() {
            "no longer expires".into()
        } else {
            format!("expires {}", day(&after.expire_date))
        });
    }
    parts
}

/// A field as people read it.
pub(super) fn shown(field: &str) -> String {
    if field.is_empty() { "(none)".into() } else { printable(field) }
}
