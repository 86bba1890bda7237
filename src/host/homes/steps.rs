//! What an update does in each step, for all homes that the step is for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::Stop;
use super::authorized_keys::difference;
use super::create::{self, Made, NewHome};
use super::existing::{Found, Prepared, Visit};
use super::ownership::{self, Reowned};
use super::pool::{Hand, Pool};
use super::round::{Consequence, Round};
use super::skeleton::Skeleton;
use super::sync::FileSystems;
use super::{HomeChange, HomeOutcome, Site, Wish, shown};
use crate::error::Error;

pub(super) const LOOK: Consequence = Consequence { refused: "keys unchanged", silent: "keys unchanged" };
const CREATE: Consequence = Consequence { refused: "no home was made", silent: "no home was made" };
const FINISH: Consequence =
    Consequence { refused: "keys unchanged", silent: "it is not known whether the new keys are in place" };
const FOLLOW: Consequence = Consequence {
    refused: "the home has files of the old ids, keys unchanged",
    silent: "the home has files of the old ids, keys unchanged",
};

/// How long it may take to remove what is not used.
const DISCARD: Duration = Duration::from_secs(1);

/// What waits for its rename.
#[derive(Debug)]
pub(super) enum Ready {
    Keys(Prepared),
    Home(NewHome),
}

impl Ready {
    /// The file system that it is on.
    pub(super) fn device(&self) -> u64 {
        match self {
            Self::Keys(prepared) => prepared.device,
            Self::Home(home) => home.device,
        }
    }
}

impl Round {
    pub(super) fn look(
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
                    let reason = format!("the home {} does not exist and is not to be made", shown(wish.home()));
                    self.refuse(index, &reason, "keys not written");
                }
                Found::Missing => {}
            }
        }
        (ready, missing)
    }

    /// Makes the missing homes, but for their names. Returns those that are not missing after all.
    pub(super) fn create(
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
                        self.outcomes[index].changes.append(&mut creation(&self.wishes[index]));
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
            first.entry(self.wishes[index].home().parent().map(ToOwned::to_owned)).or_default().push(index);
        }
        let jobs = first.values().map(|indices| (indices[0], ())).collect();
        let done: BTreeMap<usize, ()> = self
            .step(jobs, CREATE, |site, wish, (), hand| {
                let parent = wish.home().parent().unwrap_or(wish.home());
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
    pub(super) fn finish(&mut self, ready: Vec<(usize, Arc<Ready>)>, file_systems: &Arc<FileSystems>) -> Vec<usize> {
        let file_systems = Arc::clone(file_systems);
        let jobs = ready.iter().map(|(index, what)| (*index, Arc::clone(what))).collect();
        let finished: BTreeMap<usize, bool> = self
            .step(jobs, FINISH, move |site, wish, what: Arc<Ready>, hand| match &*what {
                Ready::Keys(prepared) => {
                    as_user(site, wish, hand, |visit| visit.finish(prepared, &file_systems).map(|()| true))
                }
                Ready::Home(home) => (HomeOutcome::default(), create::finish(site, wish, home, hand)),
            })
            .into_iter()
            .collect();
        let mut again = Vec::new();
        let mut unfinished = Vec::new();
        for (index, what) in ready {
            match (finished.get(&index), &*what) {
                (Some(true), Ready::Home(_)) => self.outcomes[index].changes.append(&mut creation(&self.wishes[index])),
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

    /// Removes what will not get its name, as far as that is done soon: the next write removes the rest.
    pub(super) fn discard(&mut self, ready: Vec<(usize, Arc<Ready>)>) {
        // Also after a stop, if it is quick: nothing else would remove it before another change.
        let deadline = Instant::now() + DISCARD;
        let pool = Pool { patience: Duration::ZERO, ..self.pool(DISCARD, &Stop::default()) };
        let site = Arc::clone(&self.site);
        let jobs = ready.into_iter().map(|(index, what)| {
            let wish = Arc::clone(&self.wishes[index]);
            (Arc::clone(&wish.place), (wish, what))
        });
        pool.run(jobs.collect(), move |(wish, what), hand| {
            if Instant::now() > deadline {
                return;
            }
            let _ = match &*what {
                Ready::Keys(prepared) => as_user(&site, &wish, hand, |visit| visit.discard(prepared)).1,
                Ready::Home(home) => create::discard(&site, &wish, home, hand),
            };
        });
    }

    /// Lets the files in homes follow their users' ids. Returns the wishes to go on with.
    pub(super) fn follow(&mut self, moved: Vec<usize>) -> Result<Vec<usize>, Error> {
        let (moved, homeless): (Vec<_>, Vec<_>) =
            moved.into_iter().partition(|index| !self.wishes[*index].place.is_empty());
        for index in homeless {
            self.outcomes[index].has_followed = !self.site.policy.look_only;
        }
        let uids: BTreeSet<u32> = self.wishes.iter().map(|wish| wish.user.uid).collect();
        let job = |index: usize| {
            let wish = &self.wishes[index];
            let old = wish.moved_from.iter().map(|old| old.uid);
            (index, old.filter(|uid| *uid != wish.user.uid && uids.contains(uid)).collect::<Vec<_>>())
        };
        let jobs: Vec<_> = moved.into_iter().map(job).collect();
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let file_systems = Arc::new(FileSystems::default());
        let noted = Arc::clone(&file_systems);
        let walked = self.step(jobs, FOLLOW, move |site, wish, reused, hand| {
            let walked = ownership::follow(site, wish, &reused, hand);
            if let Ok(Reowned { home: Some(home), .. }) = &walked {
                // The owner of a file is not worth a refusal when it cannot be put on disk.
                let _ = noted.note_tree(home);
            }
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
            outcome.has_followed = !self.site.policy.look_only;
            if self.site.policy.look_only
                && let Some(old) = done.owner
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
}

/// What a new home means for its user.
fn creation(wish: &Wish) -> Vec<HomeChange> {
    let keys = if wish.has_keys { difference(None, &wish.content) } else { Vec::new() };
    // Of the exact size: ten thousand new homes are the most that one update remembers.
    let mut changes = Vec::with_capacity(1 + keys.len());
    changes.push(HomeChange::Created);
    changes.extend(keys);
    changes
}

fn as_user<T>(
    site: &Site,
    wish: &Wish,
    hand: &Hand,
    work: impl FnOnce(&mut Visit<'_>) -> Result<T, String>,
) -> (HomeOutcome, Result<T, String>) {
    let mut visit = Visit { site, wish, hand, outcome: HomeOutcome::default() };
    let result = hand.acting_as(wish.user, &wish.groups, || work(&mut visit));
    let result = result.unwrap_or_else(|errno| Err(format!("cannot act as uid {}: {errno}", wish.user.uid)));
    (visit.outcome, result)
}
