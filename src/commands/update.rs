//! One update, in one line: accounts, files, plan, commit, homes, keys.

use std::path::Path;
use std::time::Duration;

use crate::account::Day;
use crate::config::Config;
use crate::error::{Context, Error, ErrorKind};
use crate::etc::{Databases, Lines, LoginDefs};
use crate::host::{self, AccountFiles, HomeChange, HomePolicy, HomeWish, NewFiles, Root, Stop, Trouble, Turn};
use crate::ledger::{Ledger, UserRecord};
use crate::merge::{self, Change, Plan, Policy, Present, Refusal};
use crate::table::Scan;

/// Where the ledger is.
const LEDGER: &str = "/var/lib/ddum/ledger.json";

/// Where one is kept that is no ledger.
const UNREADABLE: &str = "/var/lib/ddum/ledger.json.unreadable";

/// Longest wait for another program's lock. glibc's lckpwdf(3) gives up after 15 s; waiting less than that would lose
/// to every useradd(8) that is merely slow.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// The largest small file that is read: login.defs, the ledger of a hundred thousand accounts.
pub(super) const STATE_LIMIT: u64 = 64 << 20;

/// What an update did, or in a dry run would do.
#[derive(Debug, Default)]
pub struct Applied {
    /// Users, groups, homes, keys; each sorted by name.
    pub changes: Vec<Change>,
    /// Everything that was refused, of tables and host.
    pub refusals: Vec<Refusal>,
    /// What an administrator might wonder about.
    pub notes: Vec<String>,
    /// Users that the host has as their items say.
    pub users: usize,
    /// Groups that the host has as their items say, or but for a part that was refused.
    pub groups: usize,
    /// Why the account files could not be brought in line. Homes and keys of accounts that exist were.
    pub error: Option<Error>,
}

impl Applied {
    /// One line a change, unless `quiet`, then one a refusal.
    pub fn lines(&self, quiet: bool) -> impl Iterator<Item = String> {
        let changes = self.changes.iter().filter(move |_| !quiet).map(ToString::to_string);
        changes.chain(self.refusals.iter().map(ToString::to_string))
    }
}

/// What an update works with.
pub struct Update<'a> {
    /// The tree that is changed.
    pub root: &'a Root,
    /// The configuration.
    pub config: &'a Config,
    /// Set to end the update early.
    pub stop: &'a Stop,
    /// The turn that the scan was made in, where there are turns.
    pub turn: Option<&'a Turn>,
    /// Today, in UTC.
    pub today: Day,
    /// Only look.
    pub dry_run: bool,
}

impl Update<'_> {
    /// Brings the host in line with the tables.
    #[must_use]
    pub fn apply(&self, scan: &Scan) -> Applied {
        let mut applied =
            Applied { refusals: scan.rejections.iter().map(Refusal::from).collect(), ..Applied::default() };
        let login_defs = self.login_defs(&mut applied.notes);
        let policy = self.policy(&login_defs);
        let (ledger, is_replaceable) = self.load_ledger(!self.dry_run, &mut applied.notes);
        let files = self.files(scan, &ledger, is_replaceable, &policy, &mut applied.notes);
        let Written { mut plan, mut is_saved, trouble } = files.unwrap_or_else(|error| {
            applied.error = Some(error);
            Written { plan: self.unplanned(scan, &policy), is_saved: true, trouble: None }
        });
        if let Some(Trouble { error, done, left }) = trouble {
            applied.error = Some(error);
            if !left.is_empty() {
                // What is in place is told now or never; whose keys can be looked after, passwd as it is now tells.
                let Plan { mut changes, refusals, notes, .. } = plan;
                changes.retain(|change| is_in_place(change, &done));
                plan = Plan { changes, refusals, notes, ..self.unplanned(scan, &policy) };
                is_saved = true;
            }
        }
        // Before the homes, which may take long: who asks for a new account must find it now.
        if !self.dry_run && !plan.changes.is_empty() {
            for remark in host::flush_caches(self.root, self.stop) {
                log::debug!("{remark}");
            }
        }
        applied.users = plan.present.len();
        applied.groups = plan.groups;
        applied.changes.append(&mut plan.changes);
        applied.refusals.append(&mut plan.refusals);
        applied.notes.append(&mut plan.notes);
        match (self.homes(&mut plan, &login_defs, &mut applied), applied.error.take()) {
            (Ok(has_moved), error) => {
                is_saved &= !has_moved;
                let has_keys = !plan.present.is_empty() && !self.dry_run;
                applied.error = error.map(|error| if has_keys { also_keys(&error) } else { error });
            }
            (Err(error), None) => {
                applied.error = Some(Error::new(
                    error.kind(),
                    format!("{error}; the next update does what is left of homes and keys"),
                ));
            }
            (Err(error), Some(first)) => {
                applied.error = Some(first);
                applied.notes.push(format!("{error}; the next update does what is left of homes and keys"));
            }
        }
        if !is_saved
            && is_replaceable
            && !self.dry_run
            && let Err(error) = self.store_ledger(&plan.ledger)
        {
            applied.notes.push(format!("{error}; the next update writes it again"));
        }
        applied.refusals.sort();
        applied
    }

    /// The account files as the plan leaves them, and the plan, for those who only look.
    ///
    /// # Errors
    /// When the files cannot be read, or are not what they should be.
    pub fn look<'s>(&self, scan: &'s Scan, login_defs: &LoginDefs) -> Result<(Databases, Plan<'s>), Error> {
        let (ledger, _) = self.load_ledger(false, &mut Vec::new());
        let mut databases = parse(host::read_accounts(self.root)?)?;
        let plan = merge::plan(&scan.accounts, &ledger, &mut databases, &self.policy(login_defs));
        Ok((databases, plan))
    }

    /// The host's login.defs(5), or what useradd(8) takes for it: that the file cannot be read, or trusted, must not keep
    /// a key from being revoked.
    pub fn login_defs(&self, notes: &mut Vec<String>) -> LoginDefs {
        let bytes = host::load(self.root, Path::new("/etc/login.defs"), STATE_LIMIT).unwrap_or_else(|error| {
            let LoginDefs { uid_min, gid_min, .. } = LoginDefs::default();
            notes.push(format!(
                "{error}; UID_MIN counts as {uid_min}, GID_MIN as {gid_min}, new homes are closed to others"
            ));
            None
        });
        LoginDefs::parse(&bytes.unwrap_or_default())
    }

    /// What the configuration and the host decide.
    #[must_use]
    pub fn policy(&self, login_defs: &LoginDefs) -> Policy {
        Policy {
            today: self.today,
            uid_min: login_defs.uid_min,
            gid_min: login_defs.gid_min,
            allow_system_accounts: self.config.allow_system_accounts,
            allow_duplicate_ids: self.config.allow_duplicate_ids,
            group_members: self.config.group_members,
        }
    }

    /// Plans from an unlocked look; only if that finds something to do, locks, looks again, plans again and writes.
    fn files<'s>(
        &self,
        scan: &'s Scan,
        ledger: &Ledger,
        is_replaceable: bool,
        policy: &Policy,
        notes: &mut Vec<String>,
    ) -> Result<Written<'s>, Error> {
        let files = host::read_accounts(self.root).map_err(|e| untouched(&e))?;
        let leftovers = files.leftovers;
        if self.dry_run {
            notes.extend(files.obstacles.iter().map(|why| format!("{why}; a sync would leave the account files")));
        }
        let mut databases = parse(files).map_err(|e| untouched(&e))?;
        let plan = merge::plan(&scan.accounts, ledger, &mut databases, policy);
        if self.dry_run || !(databases.is_changed() || leftovers) {
            let is_saved = plan.ledger == *ledger;
            return Ok(Written { plan, is_saved, trouble: None });
        }
        self.stop.check().and_then(|()| self.check_turn()).map_err(|e| untouched(&e))?;
        // Other programs wait for the lock, so they shall not wait for the ledger's disk too. What is foreseen is nearly
        // always what is planned under the lock; if it is not, or could not be stored, the ledger is stored there.
        let foreseen = plan.ledger.with_all_of(ledger).into_owned();
        let is_stored = foreseen != *ledger && is_replaceable && self.store_ledger(&foreseen).is_ok();
        let on_disk = if is_stored { &foreseen } else { ledger };
        // They are made anew under the lock, and two of each at once would be the most memory that an update takes.
        drop((databases, plan));
        let updated = host::update_accounts(self.root, LOCK_WAIT, self.stop, |files| {
            self.check_turn()?;
            let mut databases = parse(files)?;
            let mut plan = merge::plan(&scan.accounts, ledger, &mut databases, policy);
            // Before the files: were we killed in between, a ledger that came second would not know that the new
            // accounts are ours, or whose homes still hold files of an old id. It still has the records that the plan
            // forgets: without them the next plan would take members who are gone for somebody else's.
            let early = plan.ledger.with_all_of(ledger).into_owned();
            merge::settle(&mut plan.ledger, &scan.accounts, &databases);
            let mut is_saved = plan.ledger == *on_disk;
            if early != *on_disk {
                let is_news = |(name, record): (&String, &UserRecord)| {
                    !record.moving_from.is_empty() && ledger.users.get(name) != Some(record)
                };
                let moves = early.users.iter().any(is_news);
                let kept =
                    || Err(Error::new(ErrorKind::File, format!("{LEDGER} cannot be read, so it is not replaced")));
                match if is_replaceable { self.store_ledger(&early) } else { kept() } {
                    Err(error) if moves => return Err(error.context("ids cannot be changed without the ledger")),
                    Err(error) => log::warn!("{error}; the accounts are written all the same"),
                    Ok(()) => is_saved = early == plan.ledger,
                }
            }
            Ok((new_files(&databases)?, (plan, is_saved)))
        })?;
        notes.extend(updated.notes);
        let (plan, is_saved) = updated.value;
        Ok(Written { plan, is_saved, trouble: updated.trouble })
    }

    /// Whoever hung and was overtaken must not take back what a later scan brought.
    fn check_turn(&self) -> Result<(), Error> {
        self.turn.map_or(Ok(()), Turn::check)
    }

    /// What can be done although the account files could not be planned: homes and keys of the users that are here
    /// exactly as their items say, so that a key is revoked whatever is wrong with /etc/shadow.
    fn unplanned<'s>(&self, scan: &'s Scan, policy: &Policy) -> Plan<'s> {
        // As it is on the disk now: an update that failed late has written to it.
        let (ledger, _) = self.load_ledger(false, &mut Vec::new());
        let passwd = host::read_passwd(self.root).ok().and_then(|mut bytes| {
            // A line with a NUL byte is of nobody whom we know; the others count.
            bytes.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b'?');
            Lines::parse(bytes).ok()
        });
        let present = passwd.map(|passwd| merge::already_present(&scan.accounts, &ledger, &passwd, policy));
        Plan {
            changes: Vec::new(),
            refusals: Vec::new(),
            notes: Vec::new(),
            present: present.unwrap_or_default(),
            groups: 0,
            ledger,
        }
    }

    /// Brings homes and keys in line. Says whether files followed new ids, so that the ledger may forget the old ones.
    fn homes(&self, plan: &mut Plan<'_>, login_defs: &LoginDefs, applied: &mut Applied) -> Result<bool, Error> {
        let wishes: Vec<HomeWish<'_>> = plan.present.iter().map(|present| self.wish(present)).collect();
        let policy = HomePolicy {
            skeleton: self.config.skeleton.clone(),
            mode: login_defs.new_home_mode(),
            look_only: self.dry_run,
        };
        self.check_turn().map_err(|error| error.context("homes and keys left as they were"))?;
        let mut outcomes = host::ensure_homes(self.root, &wishes, &policy, self.stop)?;
        let mut has_moved = false;
        applied.changes.reserve_exact(outcomes.iter().map(|outcome| outcome.changes.len()).sum());
        for (present, outcome) in plan.present.iter().zip(&mut outcomes) {
            let (name, home) = (present.user.name.as_str(), present.user.home.as_str());
            let is_keys = |change: &HomeChange| matches!(change, HomeChange::Keys { .. });
            let (keys, others): (Vec<_>, Vec<_>) = std::mem::take(&mut outcome.changes).into_iter().partition(is_keys);
            outcome.changes = keys;
            applied.changes.extend(others.into_iter().map(|change| line(name, home, change)));
            applied.notes.extend(outcome.notes.drain(..).map(|note| format!("user {name}: {note}")));
            if let Some(reason) = outcome.refusal.take() {
                applied.refusals.push(Refusal::part("home", name, reason));
            }
            if outcome.has_followed
                && let Some(record) = plan.ledger.users.get_mut(name)
            {
                record.forget(&present.moved_from);
                has_moved = true;
            }
        }
        for (present, outcome) in plan.present.iter().zip(outcomes) {
            let (name, home) = (present.user.name.as_str(), present.user.home.as_str());
            applied.changes.extend(outcome.changes.into_iter().map(|change| line(name, home, change)));
        }
        Ok(has_moved)
    }

    fn wish<'p>(&self, present: &'p Present<'p>) -> HomeWish<'p> {
        let user = present.user;
        let expired = user.is_expired(self.today);
        HomeWish {
            name: user.name.as_str(),
            uid: user.uid.get(),
            gid: user.gid.get(),
            home: user.home.as_str(),
            keys: if expired { &[] } else { &user.keys },
            create: self.config.create_home && !expired,
            moved_from: &present.moved_from,
        }
    }

    /// The ledger, and whether a new one may take its place: not where the old one is there and a disk or a want of
    /// memory keeps it from us. It may be read again next time, and no host would know which ids are ours.
    /// With `keep`, one that is no ledger is kept beside the next one, for a person to look at.
    pub(super) fn load_ledger(&self, keep: bool, notes: &mut Vec<String>) -> (Ledger, bool) {
        let loaded = match host::load(self.root, Path::new(LEDGER), STATE_LIMIT) {
            Ok(None) => return (Ledger::default(), true),
            Ok(Some(bytes)) => Ledger::parse(&bytes).map_err(|why| {
                match keep.then(|| host::store(self.root, Path::new(UNREADABLE), &bytes, 0o600, true)) {
                    None => (why, true),
                    Some(Ok(())) => (format!("{why}; kept as {UNREADABLE}"), true),
                    Some(Err(error)) => (format!("{why}; {error}"), true),
                }
            }),
            Err(error) => Err((error.to_string(), error.kind() != ErrorKind::File)),
        };
        loaded.map(|ledger| (ledger, true)).unwrap_or_else(|(why, is_replaceable)| {
            notes.push(format!("{LEDGER}: {why}; accounts are taken over again by their UID"));
            (Ledger::default(), is_replaceable)
        })
    }

    fn store_ledger(&self, ledger: &Ledger) -> Result<(), Error> {
        host::store(self.root, Path::new(LEDGER), &ledger.to_bytes(), 0o600, true)
    }
}

/// Today, in UTC.
///
/// # Errors
/// When the clock stands before 1970.
pub fn today() -> Result<Day, Error> {
    Ok(Day::from_unix(now()?))
}

/// Seconds since 1970.
///
/// # Errors
/// When the clock stands before that.
pub fn now() -> Result<u64, Error> {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map(|d| d.as_secs())
        .context(ErrorKind::Internal, "the clock stands before 1970, so no expiry date can be judged")
}

/// What became of the account files.
struct Written<'s> {
    plan: Plan<'s>,
    /// Whether the plan's ledger is on disk already.
    is_saved: bool,
    trouble: Option<Trouble>,
}

/// Whether a change is in place when only these files are new. A change of an account may be so in part, and is told
/// then; the next update tells what was left of it.
fn is_in_place(change: &Change, done: &[&str]) -> bool {
    let (visible, other) = if change.noun == "user" { ("passwd", "shadow") } else { ("group", "gshadow") };
    done.contains(&visible) || (change.sign == '~' && done.contains(&other))
}

/// What was done although the account files are not, or not surely, as they should be.
fn also_keys(error: &Error) -> Error {
    Error::new(
        error.kind(),
        format!("{error}; homes and keys of accounts that are here were looked after all the same"),
    )
}

/// What follows of an error before the lock is taken; after that, [`host::update_accounts`] says it.
pub(super) fn untouched(error: &Error) -> Error {
    let (text, follows) = (error.to_string(), "accounts left as they were");
    Error::new(error.kind(), if text.contains(follows) { text } else { format!("{text}; {follows}") })
}

pub(super) fn parse(files: AccountFiles) -> Result<Databases, Error> {
    Databases::parse(files.passwd, files.shadow, files.group, files.gshadow)
        .map_err(|why| Error::new(ErrorKind::Unsafe, format!("/etc/{why}")))
}

/// The files to write, each read once more as both kinds of readers would.
fn new_files(databases: &Databases) -> Result<NewFiles, Error> {
    let wrong = |why: String| Error::new(ErrorKind::Internal, format!("/etc/{why}"));
    databases.passwd.verify().map_err(wrong)?;
    databases.shadow.verify().map_err(wrong)?;
    databases.group.verify().map_err(wrong)?;
    databases.gshadow.as_ref().map_or(Ok(()), Lines::verify).map_err(wrong)?;
    Ok(NewFiles {
        gshadow: databases.gshadow.as_ref().filter(|g| g.is_changed()).map(Lines::to_bytes),
        group: databases.group.is_changed().then(|| databases.group.to_bytes()),
        shadow: databases.shadow.is_changed().then(|| databases.shadow.to_bytes()),
        passwd: databases.passwd.is_changed().then(|| databases.passwd.to_bytes()),
    })
}

fn line(name: &str, home: &str, change: HomeChange) -> Change {
    match change {
        HomeChange::Created => Change::new('+', "home", name, home.to_owned()),
        HomeChange::Keys { added, removed } => {
            let mut parts: Vec<String> = added.iter().map(|key| format!("+{key}")).collect();
            parts.extend(removed.iter().map(|key| format!("-{key}")));
            if parts.is_empty() {
                parts.push("file brought in line".into());
            }
            Change::new('~', "keys", name, parts.join(" "))
        }
        HomeChange::Repaired(what) => Change::new('~', "home", name, what),
        HomeChange::MovedAside { from, to } => Change::new('~', "home", name, format!("{from} moved aside to {to}")),
        HomeChange::Reowned { files } => Change::new('~', "home", name, format!("{files} files follow the new ids")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_plan_that_stopped_between_renames_what_is_in_place_is_told() {
        let order = ["gshadow", "group", "shadow", "passwd"];
        for (sign, noun, first) in [('+', "group", 2), ('~', "group", 1), ('+', "user", 4), ('~', "user", 3)] {
            let change = Change::new(sign, noun, "alice", String::new());
            let told = (0..=4).find(|done| is_in_place(&change, &order[..*done]));
            assert_eq!(told, Some(first), "{sign} {noun}");
        }
    }
}
