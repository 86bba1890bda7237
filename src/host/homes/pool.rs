//! A few threads that take one job after another. A job that does not end in time costs its thread, not the update:
//! a home on a file system that hangs holds a thread in the kernel, where nobody can reach it.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{panic, thread};

use super::super::Stop;
use super::super::identity::{Actor, Identity};
use super::left_behind::LeftBehind;

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
    /// It did not end in time, nor before all others had, or it panicked; its thread was left behind.
    Silent,
    /// A thread that was left behind earlier still hangs at the same place: not tried.
    StillSilent,
    /// No thread was free for it: too many are left behind, or none can be started.
    NotTried,
    /// A stop came first.
    Stopped,
}

/// The bounds of a pool.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    /// How many threads work at once, as long as none is slow.
    pub(super) workers: usize,
    /// How long a job may take; one that calls [`Hand::beat`] begins anew. One that is late costs nothing as long as
    /// others are at work: only when no other is open it is given up.
    pub(super) limit: Duration,
    /// How long all threads may be late at once before the jobs that none has begun are given up. A disk that stalls
    /// holds up everybody, and it comes back.
    pub(super) patience: Duration,
    /// With so many threads slow or late in one run, no further one is replaced.
    pub(super) replaced: usize,
    /// Nor with so many that hang in the whole process.
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
    pub(super) fn acting_as<T>(&self, who: Identity, groups: &[u32], f: impl FnOnce() -> T) -> rustix::io::Result<T> {
        self.actor.acting_as(who, groups, f)
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
        let (mut lost, mut all_late) = (0, None::<Instant>);
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
            hands.retain(|hand| !matches!(*lock(hand), State::Ended | State::Abandoned));
            let paces: Vec<Pace> = hands.iter().map(|hand| self.pace(hand, limit)).collect();
            let count = |pace: Pace| paces.iter().filter(|one| **one == pace).count();
            let (ready, slow, late) = (count(Pace::Ready), count(Pace::Slow), count(Pace::Late));
            lost += count(Pace::Lost);
            let left = lock(&queue).len();
            let troubled = lost + late + slow;
            let may_spare = troubled < self.replaced && self.left_behind.count() + late + slow < self.hanging;
            let is_helped =
                left > 0 && ready < self.workers && may_spare && self.spawn(&queue, &work, &board, &mut hands);
            if left == 0 || ready + slow > 0 || is_helped {
                all_late = None;
            } else if hands.is_empty() || all_late.get_or_insert(looked).elapsed() >= self.patience {
                for (index, ..) in lock(&queue).drain(..) {
                    settle(&mut answers, &mut open, index, Answer::NotTried);
                }
            }
            // Nothing is open but what is late.
            if open > 0 && open <= late {
                for index in hands.iter().filter_map(|hand| self.give_up(hand, limit)) {
                    let answer = if stopped.is_some() { Answer::Stopped } else { Answer::Silent };
                    settle(&mut answers, &mut open, index, answer);
                }
            }
        }
        answers.into_iter().map(|answer| answer.unwrap_or(Answer::NotTried)).collect()
    }

    /// How a thread is getting on.
    fn pace(&self, hand: &Mutex<State>, limit: Duration) -> Pace {
        let mut state = lock(hand);
        match &*state {
            State::Ended | State::Abandoned => Pace::Gone,
            // A thread that was started may panic before it is ours, where memory is short: it never takes a job.
            State::Idle { since } if since.elapsed() >= limit => {
                *state = State::Abandoned;
                Pace::Lost
            }
            State::Idle { .. } => Pace::Ready,
            State::Busy { since, .. } => match since.elapsed() {
                age if age >= limit => Pace::Late,
                age if age >= self.limit / 10 => Pace::Slow,
                _ => Pace::Ready,
            },
        }
    }

    /// Leaves a late thread behind, under its lock, so that it cannot end its job unseen. Returns the job.
    fn give_up(&self, hand: &Mutex<State>, limit: Duration) -> Option<usize> {
        let mut state = lock(hand);
        let State::Busy { job, place, since } = &*state else { return None };
        if since.elapsed() < limit {
            return None;
        }
        let job = *job;
        self.left_behind.add(Arc::clone(place));
        *state = State::Abandoned;
        Some(job)
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    Ready,
    Slow,
    Late,
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
