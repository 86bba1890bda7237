//! The account files: planned from a look, planned again under the lock, written.

use std::time::Duration;

use super::ledger::LEDGER;
use super::{Update, parse, untouched};
use crate::error::{Error, ErrorKind};
use crate::etc::{Databases, Lines};
use crate::host::{self, NewFiles, Trouble, Turn};
use crate::ledger::{Ledger, UserRecord};
use crate::merge::{self, Change, Plan, Policy};
use crate::table::Scan;

/// Longest wait for another program's lock. glibc's lckpwdf(3) gives up after 15 s; waiting less than that would lose
/// to every useradd(8) that is merely slow.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// What became of the account files.
pub(super) struct Written<'s> {
    pub(super) plan: Plan<'s>,
    /// Whether the plan's ledger is on disk already.
    pub(super) is_saved: bool,
    pub(super) trouble: Option<Trouble>,
}

impl Update<'_> {
    /// Plans from an unlocked look; only if that finds something to do, locks, looks again, plans again and writes.
    pub(super) fn files<'s>(
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
    pub(super) fn check_turn(&self) -> Result<(), Error> {
        self.turn.map_or(Ok(()), Turn::check)
    }

    /// What can be done although the account files could not be planned: homes and keys of the users that are here
    /// exactly as their items say, so that a key is revoked whatever is wrong with /etc/shadow.
    pub(super) fn unplanned<'s>(&self, scan: &'s Scan, policy: &Policy) -> Plan<'s> {
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
}

/// Whether a change is in place when only these files are new. A change of an account may be so in part, and is told
/// then; the next update tells what was left of it.
pub(super) fn is_in_place(change: &Change, done: &[&str]) -> bool {
    let (visible, other) = if change.noun == "user" { ("passwd", "shadow") } else { ("group", "gshadow") };
    done.contains(&visible) || (change.sign == '~' && done.contains(&other))
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
