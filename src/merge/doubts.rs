//! What is allowed and still doubtful: things that `check` tells an administrator and that no update stops at.

use std::collections::{BTreeMap, BTreeSet};

use super::{Plan, Policy};
use crate::account::{Accounts, User};
use crate::error::printable;
use crate::etc::{Databases, SshdConfig};

/// Longest name that utmp(5) holds whole.
const LONGEST_COMMON_NAME: usize = 32;

/// Ids that systemd hands out by itself (its UIDS-GIDS document), and what for.
const SYSTEMD_RANGES: [(u32, u32, &str); 4] = [
    (60001, 60577, "systemd's home directories and nspawn"),
    (61184, 65519, "systemd's dynamic users"),
    (524_288, 1_879_048_191, "containers"),
    (2_147_483_648, u32::MAX, "programs that take ids for signed numbers"),
];

/// What the doubts ask of the host beside its account files.
pub struct Host<'a> {
    /// Whether a program stands at an absolute path and may be run.
    pub is_program: &'a dyn Fn(&str) -> bool,
    /// sshd's configuration, where there is one.
    pub sshd: Option<&'a SshdConfig>,
}

/// What looks wrong, one line each, once `databases` are as the plan leaves them.
#[must_use]
pub fn doubts(
    accounts: &Accounts,
    plan: &Plan<'_>,
    databases: &Databases,
    policy: &Policy,
    host: &Host<'_>,
) -> Vec<String> {
    let mut out = Vec::new();
    let users: Vec<&User> = plan.present.iter().map(|p| p.user).collect();
    ids_used_twice("UID", &databases.passwd.ids(), &mut out);
    ids_used_twice("GID", &databases.group.ids(), &mut out);
    let gids: BTreeSet<u32> = databases.group.ids().iter().map(|(gid, ..)| *gid).collect();
    let mut shells: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for user in &users {
        one_user(user, policy, &gids, &mut out);
        shells.entry(user.shell.as_str()).or_default().push(user.name.as_str());
    }
    for (shell, names) in shells.into_iter().filter(|(shell, _)| !shell.is_empty() && !(host.is_program)(shell)) {
        out.push(format!("shell {} is no program on this host, so sshd refuses {}", printable(shell), some(&names)));
    }
    members(accounts, plan, databases, &mut out);
    shared_keys(&users, &mut out);
    if let Some(sshd) = host.sshd {
        daemon_settings(sshd, &users, &mut out);
    }
    out
}

/// The first names of many.
fn some(names: &[&str]) -> String {
    match names {
        [first @ .., _, _, _] if first.len() >= 3 => {
            format!("{} and {} more", names[..3].join(", "), names.len() - 3)
        }
        _ => names.join(", "),
    }
}

fn ids_used_twice(label: &str, ids: &[(u32, String, usize)], out: &mut Vec<String>) {
    let mut holders: BTreeMap<u32, BTreeSet<&str>> = BTreeMap::new();
    for (id, name, _) in ids.iter().filter(|(_, name, _)| !name.starts_with('#')) {
        holders.entry(*id).or_default().insert(name);
    }
    for (id, names) in holders.into_iter().filter(|(_, names)| names.len() > 1) {
        let names: Vec<String> = names.into_iter().map(printable).collect();
        out.push(format!("{label} {id} is shared by {}", names.join(", ")));
    }
}

fn one_user(user: &User, policy: &Policy, gids: &BTreeSet<u32>, out: &mut Vec<String>) {
    let name = &user.name;
    let gid = user.gid.get();
    if !gids.contains(&gid) {
        out.push(format!("user {name}: primary group {gid} is neither in the tables nor on this host"));
    } else if gid == 0 {
        out.push(format!("user {name}: primary group is root's"));
    }
    if name.as_str().len() > LONGEST_COMMON_NAME {
        out.push(format!("user {name}: name is longer than {LONGEST_COMMON_NAME} characters; some tools refuse it"));
    }
    for (label, id) in [("UID", user.uid.get()), ("GID", gid)] {
        if let Some((.., whose)) = SYSTEMD_RANGES.iter().find(|(low, high, _)| (*low..=*high).contains(&id)) {
            out.push(format!("user {name}: {label} {id} is in the range of {whose}"));
        }
    }
    if user.is_expired(policy.today) {
        let since = user.expire_date.map(|d| d.to_string()).unwrap_or_default();
        out.push(format!("user {name}: expired since {since}; no keys, no login"));
    } else if user.keys.is_empty() && user.password.is_none() {
        out.push(format!("user {name}: neither a key nor a password, so no way to log in"));
    } else if user.password.is_none() && user.max_age.is_some_and(|days| days < 99_999) {
        out.push(format!(
            "user {name}: PasswordAgeMaxDays without Password locks a key login out once that age is reached"
        ));
    }
    for key in &user.keys {
        out.extend(key.warnings().into_iter().map(|w| format!("user {name}: key {}: {w}", key.fingerprint())));
    }
}

fn members(accounts: &Accounts, plan: &Plan<'_>, databases: &Databases, out: &mut Vec<String>) {
    let known: BTreeSet<&[u8]> = databases.passwd.names().collect();
    let refused: BTreeSet<&str> = plan.refusals.iter().filter(|r| r.kind == "user").map(|r| r.name.as_str()).collect();
    for group in &accounts.groups {
        for (label, names) in [("member", &group.members), ("administrator", &group.administrators)] {
            for name in names.iter().filter(|n| !known.contains(n.as_str().as_bytes())) {
                let why = if refused.contains(name.as_str()) || accounts.refused_users.contains(name.as_str()) {
                    "has no account here, because its item is refused; left out"
                } else {
                    "is neither in the tables nor on this host"
                };
                out.push(format!("group {}: {label} {name} {why}", group.name));
            }
        }
        if group.name.as_str().len() > LONGEST_COMMON_NAME {
            out.push(format!("group {}: name is longer than {LONGEST_COMMON_NAME} characters", group.name));
        }
    }
}

fn shared_keys(users: &[&User], out: &mut Vec<String>) {
    let mut holders: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for user in users {
        for key in &user.keys {
            holders.entry(key.fingerprint()).or_default().insert(user.name.as_str());
        }
    }
    for (fingerprint, names) in holders.into_iter().filter(|(_, names)| names.len() > 1) {
        out.push(format!("key {fingerprint} is used by {}", names.into_iter().collect::<Vec<_>>().join(", ")));
    }
}

fn daemon_settings(sshd: &SshdConfig, users: &[&User], out: &mut Vec<String>) {
    let own = |file: &str| matches!(file.strip_prefix("%h/").unwrap_or(file), ".ssh/authorized_keys");
    if !sshd.authorized_keys_file.iter().any(|file| own(file)) {
        out.push(format!(
            "sshd: AuthorizedKeysFile is {}, so the keys in .ssh/authorized_keys are not read",
            printable(&sshd.authorized_keys_file.join(" "))
        ));
    }
    for other in sshd.authorized_keys_file.iter().filter(|file| !own(file) && *file != "none") {
        out.push(format!(
            "sshd: AuthorizedKeysFile also names {}, whose keys ddum does not revoke; set it to .ssh/authorized_keys alone",
            printable(other)
        ));
    }
    if let Some(command) = &sshd.authorized_keys_command {
        out.push(format!("sshd: AuthorizedKeysCommand {} adds keys that ddum does not revoke", printable(command)));
    }
    if !sshd.pubkey_authentication {
        out.push("sshd: PubkeyAuthentication is no, so no key opens a login".into());
    }
    if !sshd.strict_modes {
        out.push("sshd: StrictModes is no, so a file that others can write opens a login too".into());
    }
    if !sshd.use_pam {
        out.push(
            "sshd: UsePAM is no, so an expired account ends a day later, and a password of ! keeps keys out".into(),
        );
        for user in users {
            if user.password.as_ref().is_some_and(|p| p.expose().starts_with('!')) {
                out.push(format!(
                    "user {}: Password starts with !, and sshd without PAM then refuses keys too",
                    user.name
                ));
            }
        }
    }
}
