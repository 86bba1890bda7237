//! Why a login may fail, as far as the files of a host tell.

use super::explain::groups_of;
use crate::account::Day;
use crate::error::printable;
use crate::etc::{Databases, Found, PasswdEntry, ShadowEntry, SshdConfig};

/// What decides beside the account files.
pub struct Login<'a> {
    /// Today, in UTC.
    pub today: Day,
    /// Whether a program stands at an absolute path and may be run.
    pub is_program: &'a dyn Fn(&str) -> bool,
    /// sshd's configuration, where there is one.
    pub sshd: Option<&'a SshdConfig>,
    /// Who is asked for users, in order (nsswitch.conf).
    pub sources: &'a [String],
    /// How many keys may log in; `None` when that is not known.
    pub keys: Option<usize>,
}

/// What stands in the way of a login of `name`, one line each, by the account files as they are in `files`.
#[must_use]
pub fn login_doubts(name: &str, files: &Databases, login: &Login<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let passwd = match files.passwd.find(name) {
        Found::Entry(entry) => entry,
        Found::Absent => return vec!["there is no such account on this host".to_owned()],
        Found::Unclear { line, why } => return vec![format!("/etc/passwd line {line}: {why}")],
    };
    sources(login.sources, &mut out);
    let shadow = match files.shadow.find(name) {
        Found::Entry(entry) => Some(entry),
        Found::Absent if passwd.password == b"x" => {
            out.push("it has no line in /etc/shadow, so PAM lets it in in no way".to_owned());
            None
        }
        Found::Absent => None,
        Found::Unclear { line, why } => {
            out.push(format!("/etc/shadow line {line}: {why}"));
            None
        }
    };
    if let Some(shadow) = &shadow {
        ageing(shadow, login.today, &mut out);
    }
    shell(&passwd, login, &mut out);
    credentials(&passwd, shadow.as_ref(), login, &mut out);
    if let Some(sshd) = login.sshd {
        if let Some(keyword) = sshd.access.refuses(name, &groups_of(name, files)) {
            out.push(format!("sshd: {keyword} keeps it out"));
        }
        if !sshd.pubkey_authentication {
            out.push("sshd: PubkeyAuthentication is no, so no key opens a login".to_owned());
        }
        let own = |file: &String| file.strip_prefix("%h/").unwrap_or(file) == ".ssh/authorized_keys";
        if !sshd.authorized_keys_file.iter().any(own) {
            let files = printable(&sshd.authorized_keys_file.join(" "));
            out.push(format!("sshd: AuthorizedKeysFile is {files}, so the keys in .ssh/authorized_keys are not read"));
        }
    }
    out
}

fn sources(sources: &[String], out: &mut Vec<String>) {
    // Both read the same files; systemd's and the like are asked for names that are theirs alone.
    let ours = |source: &String| matches!(source.as_str(), "files" | "compat");
    match sources.iter().position(ours) {
        None => out.push(format!(
            "nsswitch.conf: passwd is {}, so the account files are not asked",
            or_nothing(&sources.join(" "))
        )),
        Some(0) => {}
        Some(at) => {
            let before = printable(&sources[..at].join(" and "));
            out.push(format!(
                "nsswitch.conf: {before} is asked before files: if it knows the name, its account counts and not this one"
            ));
        }
    }
}

fn or_nothing(text: &str) -> String {
    if text.is_empty() { "empty".to_owned() } else { printable(text) }
}

fn ageing(shadow: &ShadowEntry, today: Day, out: &mut Vec<String>) {
    let number = |field: &[u8]| std::str::from_utf8(field).ok().and_then(|text| text.parse::<i64>().ok());
    let now = today.number();
    if let Some(expires) = number(&shadow.expire_date)
        && expires <= now
    {
        let since = Day::from_shadow_field(&shadow.expire_date).map(|day| day.to_string()).unwrap_or_default();
        out.push(format!("it expired on {since}"));
    }
    match number(&shadow.last_change) {
        Some(0) => out.push("its password must be changed at the next login, keys or not".to_owned()),
        Some(changed) if changed > now => out.push("its last password change is in the future".to_owned()),
        Some(changed) => {
            let Some(due) = number(&shadow.max_age).map(|days| changed.saturating_add(days)) else { return };
            let closed = number(&shadow.inactivity_period).map(|days| due.saturating_add(days));
            if closed.is_some_and(|day| day < now) {
                out.push("it is closed, because its password was not changed in time (PasswordDisableDays)".to_owned());
            } else if due < now {
                let days = now - due;
                out.push(format!("its password is {days} days too old and must be changed at login, keys or not"));
            }
        }
        None => {}
    }
}

fn shell(passwd: &PasswdEntry, login: &Login<'_>, out: &mut Vec<String>) {
    let shell = String::from_utf8_lossy(&passwd.shell);
    let shell = if shell.is_empty() { "/bin/sh" } else { &shell };
    let last = shell.rsplit('/').next().unwrap_or_default();
    if !(login.is_program)(shell) {
        out.push(format!("shell {} is no program on this host, so sshd refuses", printable(shell)));
    } else if matches!(last, "nologin" | "false") {
        out.push(format!("shell {} ends every session", printable(shell)));
    }
}

fn credentials(passwd: &PasswdEntry, shadow: Option<&ShadowEntry>, login: &Login<'_>, out: &mut Vec<String>) {
    let password = match shadow {
        _ if passwd.password != b"x" => &passwd.password[..],
        Some(shadow) => &shadow.password,
        None => b"*",
    };
    let opens = super::entries::opens_a_login(password);
    if opens && password.is_empty() {
        out.push("its password is empty: sshd refuses it, the console does not".to_owned());
    }
    if password.starts_with(b"!") && login.sshd.is_some_and(|sshd| !sshd.use_pam) {
        out.push("its password is locked, and sshd with UsePAM no then refuses keys too".to_owned());
    }
    if login.keys == Some(0) {
        out.push(
            if opens {
                "it has no key, so only its password opens a login"
            } else {
                "it has neither a key nor a password, so there is no way to log in"
            }
            .to_owned(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubts(passwd: &str, shadow: &str, sshd: &str, sources: &[&str], keys: usize) -> String {
        let file = |text: &str| text.as_bytes().to_vec();
        let files = Databases::parse(file(passwd), file(shadow), file("ops:x:3000:ann\n"), None).unwrap();
        let sshd = SshdConfig::parse(sshd.as_bytes(), |_| Vec::new());
        let sources: Vec<String> = sources.iter().map(|source| (*source).to_owned()).collect();
        let login = Login {
            today: Day::parse("2026-11-22").unwrap(),
            is_program: &|path| path != "/bin/gone",
            sshd: Some(&sshd),
            sources: &sources,
            keys: Some(keys),
        };
        login_doubts("ann", &files, &login).join("\n")
    }

    #[test]
    fn each_obstacle_is_told_and_a_good_account_has_none() {
        const PASSWD: &str = "ann:x:1001:1001::/home/ann:/bin/sh\n";
        const SHADOW: &str = "ann:*:20000::::::\n";
        let today = Day::parse("2026-11-22").unwrap().number();
        let shadow = |fields: &str| format!("ann:{fields}\n");
        let pam = "UsePAM yes";
        for (passwd, shadow, sshd, sources, keys, want) in [
            (PASSWD, SHADOW.to_owned(), pam, &["files"][..], 1, ""),
            (PASSWD, SHADOW.to_owned(), pam, &["compat", "sss"], 1, ""),
            ("", SHADOW.to_owned(), pam, &["files"], 1, "there is no such account on this host"),
            (PASSWD, String::new(), pam, &["files"], 1, "it has no line in /etc/shadow, so PAM lets it in in no way"),
            (
                PASSWD,
                SHADOW.to_owned(),
                pam,
                &["files"],
                0,
                "it has neither a key nor a password, so there is no way to log in",
            ),
            (
                PASSWD,
                shadow("$6$a$b:20000::::::"),
                pam,
                &["files"],
                0,
                "it has no key, so only its password opens a login",
            ),
            (PASSWD, shadow("*:20000:::::20596:"), pam, &["files"], 1, "it expired on 2026-05-23"),
            (
                PASSWD,
                shadow("*:0::::::"),
                pam,
                &["files"],
                1,
                "its password must be changed at the next login, keys or not",
            ),
            (
                PASSWD,
                shadow(&format!("*:{}:0:90::::", today - 95)),
                pam,
                &["files"],
                1,
                "its password is 5 days too old and must be changed at login, keys or not",
            ),
            (
                PASSWD,
                shadow(&format!("*:{}:0:90::3::", today - 95)),
                pam,
                &["files"],
                1,
                "it is closed, because its password was not changed in time (PasswordDisableDays)",
            ),
            (
                PASSWD,
                shadow("!:20000::::::"),
                "UsePAM no",
                &["files"],
                1,
                "its password is locked, and sshd with UsePAM no then refuses keys too",
            ),
            (PASSWD, shadow("!:20000::::::"), pam, &["files"], 1, ""),
            (
                "ann:x:1:1::/h:/bin/gone\n",
                SHADOW.to_owned(),
                pam,
                &["files"],
                1,
                "shell /bin/gone is no program on this host, so sshd refuses",
            ),
            (
                "ann:x:1:1::/h:/sbin/nologin\n",
                SHADOW.to_owned(),
                pam,
                &["files"],
                1,
                "shell /sbin/nologin ends every session",
            ),
            (
                PASSWD,
                SHADOW.to_owned(),
                "UsePAM yes\nAllowGroups wheel",
                &["files"],
                1,
                "sshd: AllowGroups keeps it out",
            ),
            (PASSWD, SHADOW.to_owned(), "UsePAM yes\nAllowGroups ops", &["files"], 1, ""),
            (
                PASSWD,
                SHADOW.to_owned(),
                "UsePAM yes\nPubkeyAuthentication no",
                &["files"],
                1,
                "sshd: PubkeyAuthentication is no, so no key opens a login",
            ),
            (
                PASSWD,
                SHADOW.to_owned(),
                "UsePAM yes\nAuthorizedKeysFile /keys/%u",
                &["files"],
                1,
                "sshd: AuthorizedKeysFile is /keys/%u, so the keys in .ssh/authorized_keys are not read",
            ),
            (
                PASSWD,
                SHADOW.to_owned(),
                pam,
                &["sss", "files"],
                1,
                "nsswitch.conf: sss is asked before files: if it knows the name, its account counts and not this one",
            ),
            (
                PASSWD,
                SHADOW.to_owned(),
                pam,
                &["sss"],
                1,
                "nsswitch.conf: passwd is sss, so the account files are not asked",
            ),
        ] {
            assert_eq!(doubts(passwd, &shadow, sshd, sources, keys), want, "{passwd}{shadow}{sshd}");
        }
    }
}
