//! The order of the steps: look at all homes, make the missing ones, sync, rename, sync.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::{Root, Stop};
use super::groups::Memberships;
use super::pool::{Answer, Hand, Pool};
use super::slow;
use super::steps::LOOK;
use super::sync::FileSystems;
use super::{HomeOutcome, HomePolicy, HomeWish, Settings, Site, Wish, shown};
use crate::error::Error;

/// What all wishes came to.
pub(super) struct Done {
    pub(super) outcomes: Vec<HomeOutcome>,
    /// How many calls waited for a disk.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test holds the bound on it"))]
    pub(super) syncs: usize,
}

/// An update of all homes, as far as it is.
pub(super) struct Round {
    pub(super) site: Arc<Site>,
    pub(super) stop: Stop,
    pub(super) wishes: Vec<Arc<Wish>>,
    pub(super) outcomes: Vec<HomeOutcome>,
    pub(super) syncs: usize,
}

/// What follows for the user when a step did not succeed, and when nobody can say whether it did.
#[derive(Clone, Copy)]
pub(super) struct Consequence {
    pub(super) refused: &'static str,
    pub(super) silent: &'static str,
}

pub(super) fn run(
    root: &Root,
    wishes: &[HomeWish<'_>],
    policy: &HomePolicy,
    stop: &Stop,
    settings: &Settings,
) -> Result<Done, Error> {
    let site = Site { root: root.duplicate()?, policy: policy.clone(), settings: settings.clone() };
    let memberships = Memberships::read(root);
    let mut round = Round {
        site: Arc::new(site),
        stop: stop.clone(),
        wishes: wishes.iter().map(|wish| Arc::new(Wish::new(wish, &memberships))).collect(),
        outcomes: vec![HomeOutcome::default(); wishes.len()],
        syncs: 0,
    };
    let mounts = slow::served_mounts(&std::fs::read("/proc/self/mountinfo").unwrap_or_default());
    let claims = round.claims();
    let mut order: Vec<usize> = (0..wishes.len()).collect();
    order.sort_by_key(|index| {
        let wish = &round.wishes[*index];
        settings.left_behind.knows(&wish.place) || slow::is_served(&mounts, wish.home())
    });
    // A change of owner may take minutes, and nobody else's revoked key shall work so much longer.
    let (moved, mut settled): (Vec<_>, Vec<_>) =
        order.into_iter().partition(|index| !round.wishes[*index].moved_from.is_empty());
    let is_claimed = |index: &usize| claims.binary_search(index).is_ok();
    settled.retain(is_claimed);
    round.ensure(settled)?;
    // Also where another user has the keys: the files follow all the same.
    let mut moved = round.follow(moved)?;
    moved.retain(is_claimed);
    round.ensure(moved)?;
    Ok(Done { outcomes: round.outcomes, syncs: round.syncs })
}

impl Round {
    /// The wishes that can be tried: of several users with one uid and one home only one can have the keys there.
    fn claims(&mut self) -> Vec<usize> {
        let mut holders: BTreeMap<(&str, u32), usize> = BTreeMap::new();
        let mut order: Vec<usize> = (0..self.wishes.len()).collect();
        order.sort_by_key(|index| !self.wishes[*index].has_keys);
        let mut claims = Vec::with_capacity(order.len());
        for index in order {
            let wish = &self.wishes[index];
            let refusal = match (&*wish.place, holders.get(&(wish.place.trim_end_matches('/'), wish.user.uid))) {
                ("", _) => "the user has no home; keys not written".to_owned(),
                (_, Some(other)) => {
                    let (home, other) = (shown(wish.home()), &self.wishes[*other].name);
                    format!("the home {home} and the uid are those of {other}, too; keys not written")
                }
                (place, None) => {
                    holders.insert((place.trim_end_matches('/'), wish.user.uid), index);
                    claims.push(index);
                    continue;
                }
            };
            self.outcomes[index].refusal = wish.has_keys.then_some(refusal);
        }
        claims.sort_unstable();
        claims
    }

    fn ensure(&mut self, indices: Vec<usize>) -> Result<(), Error> {
        let again = self.pass(indices, true)?;
        // Somebody made these homes while we did: they are like any that exists.
        self.pass(again, false).map(drop)
    }

    fn pass(&mut self, indices: Vec<usize>, may_create: bool) -> Result<Vec<usize>, Error> {
        if indices.is_empty() {
            return Ok(indices);
        }
        let file_systems = Arc::new(FileSystems::default());
        let outcome = self.pass_on(indices, may_create, &file_systems);
        self.syncs += file_systems.calls();
        outcome
    }

    fn pass_on(
        &mut self,
        indices: Vec<usize>,
        may_create: bool,
        file_systems: &Arc<FileSystems>,
    ) -> Result<Vec<usize>, Error> {
        let (mut ready, missing) = self.look(indices, may_create, file_systems);
        let mut again = if missing.is_empty() { Vec::new() } else { self.create(missing, &mut ready, file_systems) };
        if let Err(stopped) = self.stop.check() {
            self.discard(ready);
            return Err(stopped);
        }
        if self.site.policy.look_only {
            return Ok(again);
        }
        // Before a name leads to it, everything that was written must be on disk: else power loss could leave an
        // empty file where a full one was.
        let failed = file_systems.sync(&self.site.settings, &self.stop);
        let (lost, ready): (Vec<_>, Vec<_>) =
            ready.into_iter().partition(|(index, what)| failed.of(what.device(), &self.wishes[*index].place).is_some());
        if let Err(stopped) = self.stop.check() {
            self.discard(lost.into_iter().chain(ready).collect());
            return Err(stopped);
        }
        for (index, what) in &lost {
            let reason = failed.of(what.device(), &self.wishes[*index].place).unwrap_or_default().to_owned();
            self.refuse(*index, &reason, LOOK.refused);
        }
        self.discard(lost);
        if ready.is_empty() {
            return Ok(again);
        }
        let devices: Vec<(usize, u64)> = ready.iter().map(|(index, what)| (*index, what.device())).collect();
        again.extend(self.finish(ready, file_systems));
        self.stop.check()?;
        let failed = file_systems.sync(&self.site.settings, &self.stop);
        for (index, device) in devices {
            if let Some(reason) = failed.of(device, &self.wishes[index].place) {
                self.outcomes[index].notes.push(format!("{reason}: what changed may be lost with the power"));
            }
        }
        Ok(again)
    }

    /// Runs one step for some users on the pool, and keeps what it says of them. Returns the results of those for whom
    /// it succeeded.
    pub(super) fn step<J: Send + 'static, T: Send + 'static>(
        &mut self,
        jobs: Vec<(usize, J)>,
        consequence: Consequence,
        work: impl Fn(&Site, &Wish, J, &Hand) -> (HomeOutcome, Result<T, String>) + Send + Sync + 'static,
    ) -> Vec<(usize, T)> {
        let indices: Vec<usize> = jobs.iter().map(|(index, _)| *index).collect();
        let jobs = jobs.into_iter().map(|(index, job)| {
            let wish = Arc::clone(&self.wishes[index]);
            (Arc::clone(&wish.place), (wish, job))
        });
        let site = Arc::clone(&self.site);
        let pool = self.pool(self.site.settings.limit, &self.stop);
        let answers = pool.run(jobs.collect(), move |(wish, job), hand| work(&site, &wish, job, hand));
        let mut results = Vec::with_capacity(indices.len());
        for (index, answer) in indices.into_iter().zip(answers) {
            let Consequence { refused, silent } = consequence;
            match answer {
                Answer::Done((said, result)) => {
                    let outcome = &mut self.outcomes[index];
                    outcome.changes.extend(said.changes);
                    outcome.notes.extend(said.notes);
                    match result {
                        Ok(result) => results.push((index, result)),
                        Err(reason) => self.refuse(index, &reason, refused),
                    }
                }
                Answer::Silent => {
                    let limit = self.site.settings.limit.as_secs_f32();
                    self.refuse(index, &format!("the home did not answer within {limit} s"), silent);
                }
                Answer::StillSilent => {
                    self.refuse(index, "the home has not answered since an earlier attempt", refused);
                }
                Answer::NotTried => {
                    self.refuse(index, "too many homes do not answer, or no thread can be started: not tried", refused);
                }
                Answer::Stopped => {}
            }
        }
        results
    }

    pub(super) fn pool(&self, limit: Duration, stop: &Stop) -> Pool {
        self.site.settings.pool(limit, self.site.root.is_superuser(), stop)
    }

    pub(super) fn refuse(&mut self, index: usize, reason: &str, consequence: &str) {
        self.outcomes[index].refusal = Some(format!("{reason}; {consequence}"));
    }
}
