//! Homes and keys, and how what happened to them is told.

use super::{Applied, Update};
use crate::error::Error;
use crate::host::{self, HomeChange, HomePolicy, HomeWish};
use crate::merge::{Change, Plan, Present, Refusal};

impl Update<'_> {
    /// Brings homes and keys in line, and makes none without a mode. Says whether files followed new ids, so that the
    /// ledger may forget the old ones.
    pub(super) fn homes(
        &self,
        plan: &mut Plan<'_>,
        new_mode: Option<u32>,
        applied: &mut Applied,
    ) -> Result<bool, Error> {
        let wishes: Vec<HomeWish<'_>> =
            plan.present.iter().map(|present| self.wish(present, new_mode.is_some())).collect();
        let policy = HomePolicy {
            skeleton: self.config.skeleton.clone(),
            mode: new_mode.unwrap_or(0o700),
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

    fn wish<'p>(&self, present: &'p Present<'p>, may_create: bool) -> HomeWish<'p> {
        let user = present.user;
        let expired = user.is_expired(self.today);
        HomeWish {
            name: user.name.as_str(),
            uid: user.uid.get(),
            gid: user.gid.get(),
            home: user.home.as_str(),
            keys: if expired { &[] } else { &user.keys },
            create: self.config.create_home && may_create && !expired,
            moved_from: &present.moved_from,
        }
    }
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
