//! A few threads that take one job after another. A job that does not end in time costs its thread, not the update:
//! a home on a file system that hangs holds a thread in the kernel, where nobody can reach it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{panic, thread};

use super::super::Stop;
use super::super::identity::{Actor, Identity};

/// Enough for the deepest walk here; the default of 2 MiB would only be address space, but there may be many threads.
const STACK: usize = 512 * 1024;

/// How long jobs that are under way may go on once a stop was asked for: a daemon that is told to end has 3 s.
const GRACE: Duration = Duration::from_millis(500);

/// How often threads that are slow, and a stop, are looked for at the least.
const TICK: Duration = Duration::from_millis(100);

/// The name of every thread of a pool, as ps(1) shows it.
const THREAD: &str = "ddum-home";

/// Lets a fault in ddum itself cost one home and not the daemon: a thread of a pool that panics is held where it is,
/// and its job is given up as that of a home that hangs. Catching the panic would tell the same, but the tables that
/// unwinding needs make the binary a sixth larger.
pub fn contain_panics() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |fault| {
        report(fault);
        if thread::current().name() == Some(THREAD) {
            let place =
                fault.location().map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
            log::error!("internal error{place}, at work on a home");
            loop {
                thread::park();
            }
        }
    }));
}

/// What became of a job.
#[derive(Debug)]
pub(super) enum Answer<R> {
    /// It ended.
    Done(R),
    /// It did not end in time, or panicked, and its thread was left behind.
    Silent,
    /// A thread that was left behind earlier still hangs at the same place: not tried.
    StillSilent,
    /// No thread was free for it: too many are left behind, or none can be started.
    NotTried,
    /// A stop came first.
    Stopped,
}

/// The places that did not answer in time while this process lives: true where a thread still hangs.
#[derive(Clone, Debug, Default)]
pub(super) struct LeftBehind(Arc<Mutex<BTreeMap<Arc<str>, bool>>>);

impl LeftBehind {
    /// How many threads hang.
    pub(super) fn count(&self) -> usize {
        lock(&self.0).values().filter(|hangs| **hangs).count()
    }

    /// Whether the place did not answer when it was last tried. Such places are better tried last.
    pub(super) fn knows(&self, place: &str) -> bool {
        lock(&self.0).contains_key(place)
    }

    fn hangs(&self, place: &str) -> bool {
        lock(&self.0).get(place).is_some_and(|hangs| *hangs)
    }

    fn add(&self, place: Arc<str>) {
        lock(&self.0).insert(place, true);
    }

    fn end(&self, place: &str) {
        if let Some(hangs) = lock(&self.0).get_mut(place) {
            *hangs = false;
        }
    }

    fn answered(&self, place: &str) {
        lock(&self.0).remove(place);
    }
}

/// The bounds of a pool.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    /// How many threads work at once, as long as none is slow.
    pub(super) workers: usize,
    /// How long a job may take; one that calls [`Hand::beat`] begins anew.
    pub(super) limit: Duration,
    /// After so many threads were left behind in one run, a slow one is not replaced any more.
    pub(super) replaced: usize,
    /// Nor with so many left behind in the whole process.
    pub(super) hanging: usize,
    /// Who was left behind, in the whole process.
    pub(super) left_behind: LeftBehind,
    /// Whether jobs act as others.
    pub(super) switches: bool,
    /// When set, no further job is begun.
    pub(super) stop: Stop,
}

enum State {
    /// Between two jobs, or not begun yet.
    Idle {
        since: Instant,
    },
    Busy {
        job: usize,
        place: Arc<str>,
        since: Instant,
    },
    Abandoned,
    Ended,
}

/// What a job has of its thread.
pub(super) struct Hand {
    actor: Actor,
    state: Arc<Mutex<State>>,
}

impl Hand {
    /// As [`Actor::acting_as`].
    pub(super) fn acting_as<T>(&self, who: Identity, f: impl FnOnce() -> T) -> rustix::io::Result<T> {
        self.actor.acting_as(who, f)
    }

    /// To be asked before a change: a job that was given up must not go on when its file system wakes, hours later.
    pub(super) fn check(&self) -> Result<(), String> {
        match *lock(&self.state) {
            State::Abandoned => Err("given up, the home answered too late".to_owned()),
            State::Idle { .. } | State::Busy { .. } | State::Ended => Ok(()),
        }
    }

    /// Tells that the job advances.
    pub(super) fn beat(&self) {
        if let State::Busy { since, .. } = &mut *lock(&self.state) {
            *since = Instant::now();
        }
    }
}

/// Where threads put their answers. The bell is rung by a thread that ends, not for every answer: waking the caller
/// ten thousand times would take longer than the jobs.
struct Board<R> {
    answers: Answers<R>,
    bell: mpsc::Sender<()>,
}

type Answers<R> = Arc<Mutex<Vec<(usize, Answer<R>)>>>;
type Queue<J> = Arc<Mutex<VecDeque<(usize, Arc<str>, J)>>>;

impl Pool {
    /// Runs `work` on every job; a job's place is what hangs if the job hangs. One answer a job, in order.
    pub(super) fn run<J, R>(
        &self,
        jobs: Vec<(Arc<str>, J)>,
        work: impl Fn(J, &Hand) -> R + Send + Sync + 'static,
    ) -> Vec<Answer<R>>
    where
        J: Send + 'static,
        R: Send + 'static,
    {
        let mut answers: Vec<Option<Answer<R>>> = jobs.iter().map(|_| None).collect();
        let mut queue = VecDeque::with_capacity(jobs.len());
        for (index, (place, job)) in jobs.into_iter().enumerate() {
            if self.left_behind.hangs(&place) {
                answers[index] = Some(Answer::StillSilent);
            } else {
                queue.push_back((index, place, job));
            }
        }
        let mut open = queue.len();
        let queue: Queue<J> = Arc::new(Mutex::new(queue));
        let work = Arc::new(work);
        let (ring, bell) = mpsc::channel();
        let board = Board { answers: Arc::default(), bell: ring };
        let mut hands: Vec<Arc<Mutex<State>>> = Vec::new();
        let tick = (self.limit / 20).min(TICK);
        let mut looked = Instant::now();
        let mut stopped: Option<Instant> = None;
        let mut lost = 0;
        let first = self.workers.min(open);
        while hands.len() < first && self.spawn(&queue, &work, &board, &mut hands) {}
        while open > 0 {
            // Rung or not, there may be answers.
            let _ = bell.recv_timeout(tick);
            for (index, answer) in std::mem::take(&mut *lock(&board.answers)) {
                settle(&mut answers, &mut open, index, answer);
            }
            if self.stop.is_set() && stopped.is_none() {
                stopped = Some(Instant::now());
                for (index, ..) in lock(&queue).drain(..) {
                    settle(&mut answers, &mut open, index, Answer::Stopped);
                }
            }
            if looked.elapsed() < tick {
                continue;
            }
            looked = Instant::now();
            let limit = stopped.map_or(self.limit, |since| GRACE.saturating_sub(since.elapsed()));
            let (mut ready, mut slow) = (0, 0);
            for hand in &hands {
                match self.look_over(hand, limit) {
                    Pace::Ready => ready += 1,
                    Pace::Slow => slow += 1,
                    Pace::Gone => {}
                    Pace::Lost => lost += 1,
                    Pace::Overdue(index) => {
                        lost += 1;
                        let answer = if stopped.is_some() { Answer::Stopped } else { Answer::Silent };
                        settle(&mut answers, &mut open, index, answer);
                    }
                }
            }
            hands.retain(|hand| !matches!(*lock(hand), State::Ended | State::Abandoned));
            let left = lock(&queue).len();
            let may_spare = lost + slow < self.replaced && self.left_behind.count() + slow < self.hanging;
            if left > 0 && ready < self.workers && may_spare {
                self.spawn(&queue, &work, &board, &mut hands);
            }
            if left > 0 && hands.is_empty() {
                for (index, ..) in lock(&queue).drain(..) {
                    settle(&mut answers, &mut open, index, Answer::NotTried);
                }
            }
        }
        answers.into_iter().map(|answer| answer.unwrap_or(Answer::NotTried)).collect()
    }

    /// How a thread is getting on. One that is overdue is given up here, under its lock, so that it cannot end its
    /// job unseen.
    fn look_over(&self, hand: &Mutex<State>, limit: Duration) -> Pace {
        let mut state = lock(hand);
        match &*state {
            State::Ended | State::Abandoned => Pace::Gone,
            // A thread that was started may panic before it is ours, where memory is short: it never takes a job.
            State::Idle { since } if since.elapsed() >= limit => {
                *state = State::Abandoned;
                Pace::Lost
            }
            State::Idle { .. } => Pace::Ready,
            State::Busy { job, place, since } => {
                let age = since.elapsed();
                if age >= limit {
                    let job = *job;
                    self.left_behind.add(Arc::clone(place));
                    *state = State::Abandoned;
                    Pace::Overdue(job)
                } else if age >= self.limit / 10 {
                    Pace::Slow
                } else {
                    Pace::Ready
                }
            }
        }
    }

    fn spawn<J, R>(
        &self,
        queue: &Queue<J>,
        work: &Arc<impl Fn(J, &Hand) -> R + Send + Sync + 'static>,
        board: &Board<R>,
        hands: &mut Vec<Arc<Mutex<State>>>,
    ) -> bool
    where
        J: Send + 'static,
        R: Send + 'static,
    {
        let state = Arc::new(Mutex::new(State::Idle { since: Instant::now() }));
        let (queue, work) = (Arc::clone(queue), Arc::clone(work));
        let (answers, bell) = (Arc::clone(&board.answers), board.bell.clone());
        let (left_behind, switches, own) = (self.left_behind.clone(), self.switches, Arc::clone(&state));
        let body = move || {
            let hand = Hand { actor: Actor::new(switches), state: own };
            loop {
                let Some((job, place, what)) = take(&queue, &hand.state) else { break };
                let answer = Answer::Done(work(what, &hand));
                let mut state = lock(&hand.state);
                if matches!(*state, State::Abandoned) {
                    left_behind.end(&place);
                    return;
                }
                left_behind.answered(&place);
                // A thread that could not take its own ids again must do nothing more.
                let goes_on = hand.actor.is_itself();
                *state = if goes_on { State::Idle { since: Instant::now() } } else { State::Ended };
                drop(state);
                lock(&answers).push((job, answer));
                if !goes_on {
                    break;
                }
            }
            // Nobody listens any more when a stop was faster.
            let _ = bell.send(());
        };
        let started = thread::Builder::new().name(THREAD.to_owned()).stack_size(STACK).spawn(body).is_ok();
        if started {
            hands.push(state);
        }
        started
    }
}

enum Pace {
    Ready,
    Slow,
    Overdue(usize),
    Lost,
    Gone,
}

/// The next job, noted in the thread's state before it can hang.
fn take<J>(queue: &Queue<J>, state: &Mutex<State>) -> Option<(usize, Arc<str>, J)> {
    let mut queue = lock(queue);
    let mut state = lock(state);
    if matches!(*state, State::Abandoned) {
        return None;
    }
    let next = queue.pop_front();
    *state = match &next {
        Some((job, place, _)) => State::Busy { job: *job, place: Arc::clone(place), since: Instant::now() },
        None => State::Ended,
    };
    next
}

fn settle<R>(answers: &mut [Option<Answer<R>>], open: &mut usize, index: usize, answer: Answer<R>) {
    if answers[index].is_none() {
        answers[index] = Some(answer);
        *open -= 1;
    }
}

/// A panic poisons nothing that is not consistent.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a process of its own, which it ends itself: the hook holds a lock that the test runner wants at its end.
    #[test]
    fn a_panic_costs_the_job_that_it_happens_in_and_no_other() {
        const INSIDE: &str = "DDUM_TEST_PANIC";
        if std::env::var_os(INSIDE).is_none() {
            let mut again = std::process::Command::new(std::env::current_exe().unwrap());
            again.args(["a_panic_costs_the_job_that_it_happens_in_and_no_other", "--nocapture"]).env(INSIDE, "1");
            let output = again.output().unwrap();
            assert_eq!(output.status.code(), Some(7), "{output:?}");
            return;
        }
        contain_panics();
        let pool = Pool {
            workers: 1,
            limit: Duration::from_millis(200),
            replaced: 2,
            hanging: 2,
            left_behind: LeftBehind::default(),
            switches: false,
            stop: Stop::default(),
        };
        let run = || {
            let jobs = ["/home/a", "/home/b", "/home/c"].map(|place| (Arc::from(place), place)).to_vec();
            pool.run(jobs, |place, _| if place == "/home/b" { panic!("on purpose") } else { place.len() })
        };
        let first = matches!(run()[..], [Answer::Done(7), Answer::Silent, Answer::Done(7)]);
        let second = matches!(run()[..], [Answer::Done(7), Answer::StillSilent, Answer::Done(7)]);
        std::process::exit(if first && second { 7 } else { 8 });
    }
}
