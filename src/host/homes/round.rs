//! The order of the steps: look at all homes, make the missing ones, sync, rename, sync.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::{Root, Stop};
use super::authorized_keys::difference;
use super::create::{self, Made, NewHome};
use super::existing::{Found, Prepared, Visit};
use super::ownership;
use super::pool::{Answer, Hand, Pool};
use super::skeleton::Skeleton;
use super::slow;
use super::sync::FileSystems;
use super::{HomeChange, HomeOutcome, HomePolicy, HomeWish, Settings, Site, Wish, shown};
use crate::error::Error;

/// What all wishes came to.
pub(super) struct Done {
    pub(super) outcomes: Vec<HomeOutcome>,
    /// How many calls waited for a disk.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test holds the bound on it"))]
    pub(super) syncs: usize,
}

struct Round {
    site: Arc<Site>,
    stop: Stop,
    wishes: Vec<Arc<Wish>>,
    outcomes: Vec<HomeOutcome>,
    syncs: usize,
}

/// What waits for its rename.
#[derive(Debug)]
enum Ready {
    Keys(Prepared),
    Home(NewHome),
}

impl Ready {
    fn device(&self) -> u64 {
        match self {
            Self::Keys(prepared) => prepared.device,
            Self::Home(home) => home.device,
        }
    }
}

/// What follows for the user when a step did not succeed, and when nobody can say whether it did.
#[derive(Clone, Copy)]
struct Consequence {
    refused: &'static str,
    silent: &'static str,
}

const LOOK: Consequence = Consequence { refused: "keys unchanged", silent: "keys unchanged" };
const CREATE: Consequence = Consequence { refused: "no home was made", silent: "no home was made" };
const FINISH: Consequence =
    Consequence { refused: "keys unchanged", silent: "it is not known whether the new keys are in place" };
const FOLLOW: Consequence = Consequence {
    refused: "the home has files of the old ids, keys unchanged",
    silent: "the home has files of the old ids, keys unchanged",
};

pub(super) fn run(
    root: &Root,
    wishes: &[HomeWish<'_>],
    policy: &HomePolicy,
    stop: &Stop,
    settings: &Settings,
) -> Result<Done, Error> {
    let site = Site { root: root.duplicate()?, policy: policy.clone(), settings: settings.clone() };
    let mut round = Round {
        site: Arc::new(site),
        stop: stop.clone(),
        wishes: wishes.iter().map(|wish| Arc::new(Wish::new(wish))).collect(),
        outcomes: vec![HomeOutcome::default(); wishes.len()],
        syncs: 0,
    };
    let mounts = slow::served_mounts(&std::fs::read("/proc/self/mountinfo").unwrap_or_default());
    let mut order = round.claims();
    order.sort_by_key(|index| slow::is_served(&mounts, &round.wishes[*index].home));
    // A change of owner may take minutes, and nobody else's revoked key shall work so much longer.
    let (moved, settled) = order.into_iter().partition(|index| round.wishes[*index].moved_from.is_some());
    round.ensure(settled)?;
    let moved = round.follow(moved)?;
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
                    let (home, other) = (shown(&wish.home), &self.wishes[*other].name);
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
        if self.site.policy.look_only || ready.is_empty() {
            return Ok(again);
        }
        // Before a name leads to it, everything that was written must be on disk: else power loss could leave an
        // empty file where a full one was.
        let failed = file_systems.sync(&self.site.settings, &self.stop);
        let (lost, ready): (Vec<_>, Vec<_>) =
            ready.into_iter().partition(|(_, what)| failed.contains_key(&what.device()));
        if let Err(stopped) = self.stop.check() {
            self.discard(lost.into_iter().chain(ready).collect());
            return Err(stopped);
        }
        for (index, what) in &lost {
            let reason = failed.get(&what.device()).map_or("", String::as_str);
            self.refuse(*index, reason, LOOK.refused);
        }
        self.discard(lost);
        let devices: Vec<(usize, u64)> = ready.iter().map(|(index, what)| (*index, what.device())).collect();
        again.extend(self.finish(ready, file_systems));
        self.stop.check()?;
        let failed = file_systems.sync(&self.site.settings, &self.stop);
        for (index, device) in devices {
            if let Some(reason) = failed.get(&device) {
                self.outcomes[index].notes.push(format!("{reason}: what changed may be lost with the power"));
            }
        }
        Ok(again)
    }

    fn look(
        &mut self,
        indices: Vec<usize>,
        may_create: bool,
        file_systems: &Arc<FileSystems>,
    ) -> (Vec<(usize, Arc<Ready>)>, Vec<usize>) {
        let file_systems = Arc::clone(file_systems);
        let jobs = indices.into_iter().map(|index| (index, ())).collect();
        let looked = self.step(jobs, LOOK, move |site, wish, (), hand| {
            #[cfg(test)]
            if let Some(before) = site.settings.before {
                before(&wish.name);
            }
            as_user(site, wish, hand, |visit| visit.look(&file_systems, may_create))
        });
        let (mut ready, mut missing) = (Vec::new(), Vec::new());
        for (index, found) in looked {
            let wish = &self.wishes[index];
            match found {
                Found::Settled => {}
                Found::Prepared(prepared) => ready.push((index, Arc::new(Ready::Keys(prepared)))),
                Found::Missing if wish.create && may_create => missing.push(index),
                Found::Missing if wish.has_keys => {
                    let reason = format!("the home {} does not exist and is not to be made", shown(&wish.home));
                    self.refuse(index, &reason, "keys not written");
                }
                Found::Missing => {}
            }
        }
        (ready, missing)
    }

    /// Makes the missing homes, but for their names. Returns those that are not missing after all.
    fn create(
        &mut self,
        missing: Vec<usize>,
        ready: &mut Vec<(usize, Arc<Ready>)>,
        file_systems: &Arc<FileSystems>,
    ) -> Vec<usize> {
        let skeleton = match &self.site.policy.skeleton {
            Some(path) => Skeleton::read(&self.site.root, path),
            None => Ok(Skeleton::default()),
        };
        let skeleton = match skeleton {
            Ok(skeleton) => Arc::new(skeleton),
            Err(reason) => {
                for index in missing {
                    self.refuse(index, &reason, CREATE.refused);
                }
                return Vec::new();
            }
        };
        let missing = self.ensure_parents(missing);
        let (file_systems, content) = (Arc::clone(file_systems), Arc::clone(&skeleton));
        let jobs = missing.into_iter().map(|index| (index, ())).collect();
        let made = self.step(jobs, CREATE, move |site, wish, (), hand| {
            (HomeOutcome::default(), create::prepare(site, wish, &content, &file_systems, hand))
        });
        let mut again = Vec::new();
        for (index, made) in made {
            match made {
                Made::Exists => again.push(index),
                Made::Prepared(home) => {
                    let notes = &mut self.outcomes[index].notes;
                    notes.extend(home.note.clone());
                    notes.extend(skeleton.notes.iter().cloned());
                    if self.site.policy.look_only {
                        self.outcomes[index].changes.extend(creation(&self.wishes[index]));
                    } else {
                        ready.push((index, Arc::new(Ready::Home(home))));
                    }
                }
            }
        }
        again
    }

    /// Makes each directory that homes are missing in once, whatever number of homes. Returns the wishes for which
    /// that worked.
    fn ensure_parents(&mut self, missing: Vec<usize>) -> Vec<usize> {
        let mut first: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for index in missing {
            first.entry(self.wishes[index].home.parent().map(ToOwned::to_owned)).or_default().push(index);
        }
        let jobs = first.values().map(|indices| (indices[0], ())).collect();
        let done: BTreeMap<usize, ()> = self
            .step(jobs, CREATE, |site, wish, (), hand| {
                let parent = wish.home.parent().unwrap_or(&wish.home);
                (HomeOutcome::default(), create::ensure_parent(site, parent, hand))
            })
            .into_iter()
            .collect();
        let mut ensured = Vec::new();
        for indices in first.into_values() {
            if done.contains_key(&indices[0]) {
                ensured.extend(indices);
            } else {
                let refusal = self.outcomes[indices[0]].refusal.clone();
                for index in indices.into_iter().skip(1) {
                    self.outcomes[index].refusal.clone_from(&refusal);
                }
            }
        }
        ensured
    }

    /// Renames what is ready. Returns the wishes whose home somebody else made meanwhile.
    fn finish(&mut self, ready: Vec<(usize, Arc<Ready>)>, file_systems: &Arc<FileSystems>) -> Vec<usize> {
        let file_systems = Arc::clone(file_systems);
        let jobs = ready.iter().map(|(index, what)| (*index, Arc::clone(what))).collect();
        let finished: BTreeMap<usize, bool> = self
            .step(jobs, FINISH, move |site, wish, what: Arc<Ready>, hand| match &*what {
                Ready::Keys(prepared) => {
                    let singly = !file_systems.is_bulk(prepared.device);
                    as_user(site, wish, hand, |visit| visit.finish(prepared, singly, &file_systems).map(|()| true))
                }
                Ready::Home(home) => (HomeOutcome::default(), create::finish(site, wish, home, hand)),
            })
            .into_iter()
            .collect();
        let mut again = Vec::new();
        let mut unfinished = Vec::new();
        for (index, what) in ready {
            match (finished.get(&index), &*what) {
                (Some(true), Ready::Home(_)) => self.outcomes[index].changes.extend(creation(&self.wishes[index])),
                (Some(true), Ready::Keys(_)) => {}
                (Some(false), _) => again.push(index),
                (None, _) => unfinished.push((index, what)),
            }
        }
        if self.stop.is_set() {
            self.discard(unfinished);
        }
        again
    }

    /// Removes what will not get its name, as far as that is done soon; the next write removes the rest.
    fn discard(&mut self, ready: Vec<(usize, Arc<Ready>)>) {
        // Also after a stop: nothing else would remove it before another change.
        let pool = self.pool(Duration::from_secs(1), &Stop::default());
        let site = Arc::clone(&self.site);
        let jobs = ready.into_iter().map(|(index, what)| {
            let wish = Arc::clone(&self.wishes[index]);
            (Arc::clone(&wish.place), (wish, what))
        });
        pool.run(jobs.collect(), move |(wish, what), hand| {
            let _ = match &*what {
                Ready::Keys(prepared) => as_user(&site, &wish, hand, |visit| visit.discard(prepared)).1,
                Ready::Home(home) => create::discard(&site, &wish, home, hand),
            };
        });
    }

    /// Lets the files in homes follow their users' ids. Returns the wishes to go on with.
    fn follow(&mut self, moved: Vec<usize>) -> Result<Vec<usize>, Error> {
        let jobs: Vec<_> =
            moved.into_iter().filter_map(|index| Some((index, self.wishes[index].moved_from?))).collect();
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let file_systems = Arc::new(FileSystems::default());
        let noted = Arc::clone(&file_systems);
        let walked = self.step(jobs, FOLLOW, move |site, wish, old, hand| {
            let walked = ownership::follow(site, wish, old, hand).map(|done| {
                if let Some(home) = &done.home {
                    // It is only not synced otherwise.
                    let _ = noted.note_tree(home);
                }
                done
            });
            (HomeOutcome::default(), walked)
        });
        self.stop.check()?;
        let mut go_on = Vec::new();
        for (index, done) in walked {
            let outcome = &mut self.outcomes[index];
            if done.files > 0 {
                outcome.changes.push(HomeChange::Reowned { files: done.files });
            }
            outcome.notes.extend(done.notes);
            if self.site.policy.look_only
                && done.is_old
                && let Some(old) = self.wishes[index].moved_from
            {
                // Nothing changed hands, so what there is can only be looked at as the one who has it.
                let mut wish = Wish::clone(&self.wishes[index]);
                wish.user = old;
                self.wishes[index] = Arc::new(wish);
            }
            go_on.push(index);
        }
        if !self.site.policy.look_only {
            file_systems.sync(&self.site.settings, &self.stop);
            self.syncs += file_systems.calls();
        }
        Ok(go_on)
    }

    /// Runs one step for some users on the pool, and keeps what it says of them. Returns the results of those for whom
    /// it succeeded.
    fn step<J: Send + 'static, T: Send + 'static>(
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
                Answer::NotTried => self.refuse(index, "too many homes do not answer, this one was not tried", refused),
                Answer::Broken => self.refuse(index, "a fault in ddum itself", silent),
                Answer::Stopped => {}
            }
        }
        results
    }

    fn pool(&self, limit: Duration, stop: &Stop) -> Pool {
        self.site.settings.pool(limit, self.site.root.is_superuser(), stop)
    }

    fn refuse(&mut self, index: usize, reason: &str, consequence: &str) {
        self.outcomes[index].refusal = Some(format!("{reason}; {consequence}"));
    }
}

/// What a new home means for its user.
fn creation(wish: &Wish) -> Vec<HomeChange> {
    let mut changes = vec![HomeChange::Created];
    if wish.has_keys {
        changes.extend(difference(None, &wish.content));
    }
    changes
}

fn as_user<T>(
    site: &Site,
    wish: &Wish,
    hand: &Hand,
    work: impl FnOnce(&mut Visit<'_>) -> Result<T, String>,
) -> (HomeOutcome, Result<T, String>) {
    let mut visit = Visit { site, wish, hand, outcome: HomeOutcome::default() };
    let result = hand.acting_as(wish.user, || work(&mut visit));
    let result = result.unwrap_or_else(|errno| Err(format!("cannot act as uid {}: {errno}", wish.user.uid)));
    (visit.outcome, result)
}
