//! `ddum explain NAME`: what decides how one name looks on this host. Changes nothing.

mod page;

use std::path::Path;

use super::check::sshd_config;
use super::say;
use super::sync::Updater;
use super::update::{Applied, STATE_LIMIT, Update, parse, today};
use crate::account::{HomeDir, User};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Table, exit, printable};
use crate::etc::{Databases, Found, LoginDefs, SshdConfig, sources};
use crate::host::{self, HomeLook, HomeOf, Root, Stop};
use crate::ledger::Ledger;
use crate::merge::{self, Login, Plan, Policy, Row};
use crate::table::{Attribute, Scan, Watched};
use page::{Account, Section, concerns, home_row, key_lines, section};

/// Everything that an explanation is drawn from.
struct View<'a> {
    name: &'a str,
    root: &'a Root,
    config: &'a Config,
    policy: Policy,
    login_defs: LoginDefs,
    ledger: Ledger,
    scan: &'a Scan,
    /// The account files as they are.
    before: Databases,
    /// The account files as the next update leaves them.
    after: Databases,
    plan: Plan<'a>,
    applied: Applied,
    sshd: Option<SshdConfig>,
}

/// Runs the command and gives the exit status: [`exit::REFUSED`] when something of the name is refused.
///
/// # Errors
/// When the tables or the account files cannot be read, or the name is known nowhere.
pub async fn run(updater: &Updater, name: &str, json: bool) -> Result<u8, Error> {
    let today = today()?;
    let scan = updater.scan_watching(today, Some(name)).await?;
    let update =
        Update { root: &updater.root, config: &updater.config, stop: &updater.stop, turn: None, today, dry_run: true };
    let mut notes = Vec::new();
    let login_defs = update.login_defs(&mut notes);
    let (after, plan) = update.look(&scan, &login_defs)?;
    let view = View {
        name,
        root: &updater.root,
        config: &updater.config,
        policy: update.policy(&login_defs),
        login_defs,
        ledger: update.load_ledger(false, &mut notes).0,
        scan: &scan,
        before: parse(host::read_accounts(&updater.root)?)?,
        after,
        plan,
        applied: update.apply(&scan),
        sshd: sshd_config(updater)?,
    };
    for note in notes {
        log::warn!("{note}");
    }
    let accounts: Vec<Account> = [view.user()?, view.group()].into_iter().flatten().collect();
    if accounts.is_empty() {
        let message = format!("{} is neither in {} nor on this host", printable(name), scan.source);
        return Err(Error::new(ErrorKind::Table, message));
    }
    if json {
        // Texts always serialise.
        say::lines([serde_json::to_string_pretty(&accounts).unwrap_or_default()])?;
    } else {
        say::lines(accounts.iter().enumerate().flat_map(|(index, account)| account.lines(index > 0)))?;
    }
    Ok(if accounts.iter().any(|account| account.refused) { exit::REFUSED } else { exit::DONE })
}

impl View<'_> {
    /// What is known of the name as a user; nothing, if there is none.
    fn user(&self) -> Result<Option<Account>, Error> {
        let items = self.items(Table::Users);
        let is_here = self.before.passwd.find(self.name) != Found::Absent
            || self.before.shadow.find(self.name) != Found::Absent
            || self.ledger.users.contains_key(self.name);
        if items.is_empty() && !is_here {
            return Ok(None);
        }
        let account = self.scan.accounts.users.iter().find(|user| user.name.as_str() == self.name);
        let mut rules =
            account.map(|user| merge::user_rules(user, &self.before, &self.ledger, &self.policy)).unwrap_or_default();
        let kinds = ["user", "home", "keys"];
        rules.extend(self.refusals(&kinds));
        let mut files = merge::user_lines(self.name, &self.before);
        let look = self.home()?;
        files.extend(look.as_ref().map(|(home, look)| home_row(home, look)));
        let sections = vec![
            self.item(&items, Table::Users),
            section("Rules", rules, "there is no item, so ddum leaves the account as it is"),
            section("Host settings", self.user_settings(), ""),
            section("Files", files, "nothing"),
            section("Next update", self.next(&kinds), "changes nothing of it"),
            section("Logins", self.logins(account, look.as_ref()), "nothing is seen here that keeps them out"),
        ];
        Ok(Some(self.account("user", &items, is_here, &kinds, sections)))
    }

    /// What is known of the name as a group; nothing, if there is none.
    fn group(&self) -> Option<Account> {
        let items = self.items(Table::Groups);
        let in_gshadow = self.before.gshadow.as_ref().is_some_and(|lines| lines.find(self.name) != Found::Absent);
        let is_here = self.before.group.find(self.name) != Found::Absent
            || in_gshadow
            || self.ledger.groups.contains_key(self.name);
        if items.is_empty() && !is_here {
            return None;
        }
        let account = self.scan.accounts.groups.iter().find(|group| group.name.as_str() == self.name);
        let mut rules = account
            .map(|group| merge::group_rules(group, &self.before, &self.ledger, &self.policy))
            .unwrap_or_default();
        rules.extend(self.refusals(&["group"]));
        let sections = vec![
            self.item(&items, Table::Groups),
            section("Rules", rules, "there is no item, so ddum leaves the group as it is"),
            section("Host settings", self.group_settings(), ""),
            section("Files", merge::group_lines(self.name, &self.before), "nothing"),
            section("Next update", self.next(&["group"]), "changes nothing of it"),
        ];
        Some(self.account("group", &items, is_here, &["group"], sections))
    }

    fn account(
        &self,
        kind: &'static str,
        items: &[&Watched],
        is_here: bool,
        kinds: &[&str],
        sections: Vec<Section>,
    ) -> Account {
        let mut refusals = self.applied.refusals.iter().filter(|r| r.name == self.name && kinds.contains(&r.kind));
        let refused = refusals.next().is_some();
        let whole = self
            .applied
            .refusals
            .iter()
            .any(|r| r.name == self.name && r.kind == kind && r.reason.ends_with("; item skipped"));
        let verdict = match (items.is_empty(), is_here) {
            (true, _) => "only on this host",
            _ if whole => "its item is refused",
            _ if refused => "a part of its item is refused",
            (false, false) => "its item is new to this host",
            (false, true) => "its item is taken",
        };
        Account { kind, name: printable(self.name), verdict, refused, sections }
    }

    fn items(&self, table: Table) -> Vec<&Watched> {
        self.scan.watched.iter().filter(|item| item.table == table).collect()
    }

    fn item(&self, items: &[&Watched], table: Table) -> Section {
        let mut rows = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                rows.push(("and another".to_owned(), String::new()));
            }
            rows.extend(item.attributes.iter().map(|Attribute { name, text, is_default }| {
                (name.clone(), format!("{text}{}", if *is_default { " (from user_defaults)" } else { "" }))
            }));
        }
        let absent = format!("there is no {} of that name", table.noun());
        section(format!("Item ({})", self.scan.source), rows, &absent)
    }

    fn refusals(&self, kinds: &[&str]) -> Vec<Row> {
        let refusals = self.applied.refusals.iter().filter(|r| r.name == self.name && kinds.contains(&r.kind));
        refusals.map(|r| ("refused".to_owned(), r.reason.clone())).collect()
    }

    fn user_settings(&self) -> Vec<Row> {
        let record = self.ledger.users.get(self.name).map_or("has no record of it".to_owned(), |record| {
            let whose = if record.created { "made by ddum" } else { "taken over by ddum" };
            format!("{whose}, with UID {} and GID {}", record.uid, record.gid)
        });
        let defaults: Vec<&str> = self.config.user_defaults.keys().map(String::as_str).collect();
        let home = format!("{}, mode {:04o}", self.config.create_home, self.login_defs.new_home_mode());
        vec![
            ("UID_MIN".to_owned(), format!("{} (login.defs)", self.policy.uid_min)),
            ("allow_system_accounts".to_owned(), self.policy.allow_system_accounts.to_string()),
            ("allow_duplicate_ids".to_owned(), self.policy.allow_duplicate_ids.to_string()),
            ("user_defaults".to_owned(), if defaults.is_empty() { "none".to_owned() } else { defaults.join(", ") }),
            ("create_home".to_owned(), home),
            ("ledger".to_owned(), record),
        ]
    }

    fn group_settings(&self) -> Vec<Row> {
        let record = self.ledger.groups.get(self.name).map_or("has no record of it".to_owned(), |record| {
            let whose = if record.created { "made by ddum" } else { "the host had it" };
            format!("{whose}, with GID {}", record.gid)
        });
        vec![
            ("GID_MIN".to_owned(), format!("{} (login.defs)", self.policy.gid_min)),
            ("group_members".to_owned(), format!("{:?}", self.policy.group_members).to_lowercase()),
            ("allow_system_accounts".to_owned(), self.policy.allow_system_accounts.to_string()),
            ("allow_duplicate_ids".to_owned(), self.policy.allow_duplicate_ids.to_string()),
            ("ledger".to_owned(), record),
        ]
    }

    /// What the next update would change of the name, and of groups for it.
    fn next(&self, kinds: &[&str]) -> Vec<Row> {
        let is_user = kinds.contains(&"user");
        let mut rows = Vec::new();
        if let Some(error) = &self.applied.error {
            rows.push(("fails".to_owned(), error.to_string()));
        }
        for change in &self.applied.changes {
            let own = change.name == self.name && kinds.contains(&change.noun);
            let member = is_user && change.noun == "group" && concerns(&change.text, self.name);
            if own || member {
                let name = if own { String::new() } else { format!(" {}", change.name) };
                rows.push((format!("{} {}{name}", change.sign, change.noun), change.text.clone()));
            }
        }
        let start = format!("{} {}: ", kinds.first().copied().unwrap_or_default(), self.name);
        let notes = self.applied.notes.iter().filter_map(|note| note.strip_prefix(&start));
        rows.extend(notes.map(|note| ("note".to_owned(), note.to_owned())));
        rows
    }

    /// The home of the account as the next update leaves it, looked at now.
    fn home(&self) -> Result<Option<(String, HomeLook)>, Error> {
        let Found::Entry(entry) = self.after.passwd.find(self.name) else { return Ok(None) };
        let Ok(home) = String::from_utf8(entry.home) else { return Ok(None) };
        let is_none = HomeDir::new(&home).map_or(true, |home| home.is_none_like() && entry.uid != 0);
        if is_none {
            return Ok(None);
        }
        let of = HomeOf { name: self.name, uid: entry.uid, gid: entry.gid, home: &home };
        let look = host::look_at_homes(self.root, &[of], &Stop::default())?.pop().unwrap_or_default();
        Ok(Some((home, look)))
    }

    fn logins(&self, account: Option<&User>, look: Option<&(String, HomeLook)>) -> Vec<Row> {
        let is_present = self.plan.present.iter().any(|present| present.user.name.as_str() == self.name);
        let expired = account.is_some_and(|user| user.is_expired(self.policy.today));
        let home_fails = self.applied.refusals.iter().any(|r| r.kind == "home" && r.name == self.name);
        let keys = match account.filter(|_| is_present) {
            // That says enough.
            Some(_) if expired => None,
            Some(user) if !home_fails => Some(user.keys.len()),
            _ => look.map(|(_, look)| key_lines(look).count()).or(Some(0)),
        };
        let nsswitch = host::load(self.root, Path::new("/etc/nsswitch.conf"), STATE_LIMIT).ok().flatten();
        let login = Login {
            today: self.policy.today,
            is_program: &|path| host::is_program(self.root, Path::new(path)),
            sshd: self.sshd.as_ref(),
            sources: &sources(&nsswitch.unwrap_or_default(), "passwd"),
            keys,
        };
        let mut doubts = merge::login_doubts(self.name, &self.after, &login);
        if let Some((home, look)) = look {
            let created = self.applied.changes.iter().any(|c| c.noun == "home" && c.sign == '+' && c.name == self.name);
            if let Some(trouble) = &look.trouble {
                doubts.push(trouble.clone());
            } else if !look.exists && !created {
                doubts.push(format!("it has no home {}", printable(home)));
            }
            doubts.extend(look.doubts.iter().cloned());
        }
        for path in ["/etc/nologin", "/run/nologin"] {
            if host::load(self.root, Path::new(path), STATE_LIMIT).is_ok_and(|file| file.is_some()) {
                doubts.push(format!("{path} is there, so nobody but root logs in"));
            }
        }
        doubts.into_iter().map(|doubt| ("may fail".to_owned(), doubt)).collect()
    }
}
