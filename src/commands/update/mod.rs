//! One update, in one line: accounts, files, plan, commit, homes, keys.

mod files;
mod homes;
mod ledger;

use std::path::Path;

use self::files::{Written, is_in_place};
use crate::account::Day;
use crate::config::Config;
use crate::error::{Context, Error, ErrorKind};
use crate::etc::{Databases, LoginDefs};
use crate::host::{self, AccountFiles, Root, Stop, Trouble, Turn};
use crate::merge::{self, Change, Plan, Policy, Refusal};
use crate::table::Scan;

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
        let (login_defs, unread) = match read_login_defs(self.root) {
            Ok(login_defs) => (login_defs, None),
            // What a disk or a want of memory keeps from us may be read next time. A home made by a guess would keep its
            // mode, and a user its id.
            Err(error) if error.kind() == ErrorKind::File => (LoginDefs::default(), Some(untouched(&error))),
            Err(error) => (guessed(&error, &mut applied.notes), None),
        };
        let home_mode = unread.is_none().then(|| login_defs.new_home_mode());
        let policy = self.policy(&login_defs);
        let (ledger, is_replaceable) = self.load_ledger(!self.dry_run, &mut applied.notes);
        let files = match unread {
            Some(error) => Err(error),
            None => self.files(scan, &ledger, is_replaceable, &policy, &mut applied.notes),
        };
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
        match (self.homes(&mut plan, home_mode, &mut applied), applied.error.take()) {
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
        read_login_defs(self.root).unwrap_or_else(|error| guessed(&error, notes))
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
}

/// The host's login.defs(5); where there is none, what useradd(8) takes for it.
///
/// # Errors
/// When it cannot be read, or trusted.
pub(super) fn read_login_defs(root: &Root) -> Result<LoginDefs, Error> {
    let bytes = host::load(root, Path::new("/etc/login.defs"), STATE_LIMIT)?;
    Ok(LoginDefs::parse(&bytes.unwrap_or_default()))
}

/// What useradd(8) takes for a login.defs(5) that says nothing.
fn guessed(error: &Error, notes: &mut Vec<String>) -> LoginDefs {
    let login_defs = LoginDefs::parse(&[]);
    let LoginDefs { uid_min, gid_min, .. } = login_defs;
    notes.push(format!("{error}; UID_MIN counts as {uid_min}, GID_MIN as {gid_min}, new homes are closed to others"));
    login_defs
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

/// What follows of an error before the lock is taken; after that, [`host::update_accounts`] says it.
pub(super) fn untouched(error: &Error) -> Error {
    let (text, follows) = (error.to_string(), "accounts left as they were");
    Error::new(error.kind(), if text.contains(follows) { text } else { format!("{text}; {follows}") })
}

pub(super) fn parse(files: AccountFiles) -> Result<Databases, Error> {
    Databases::parse(files.passwd, files.shadow, files.group, files.gshadow)
        .map_err(|why| Error::new(ErrorKind::Unsafe, format!("/etc/{why}")))
}

/// What was done although the account files are not, or not surely, as they should be.
fn also_keys(error: &Error) -> Error {
    Error::new(
        error.kind(),
        format!("{error}; homes and keys of accounts that are here were looked after all the same"),
    )
}
