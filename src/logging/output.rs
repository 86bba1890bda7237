//! An output that may hang, and those who do not wait for it.
//!
//! A file system that went away, a FIFO or a socket that nobody reads, a terminal that was stopped: write(2) would wait,
//! and with it the update that has something to say. So each output has a thread that writes; whoever logs waits for
//! it for a moment, as lines should stand in order beside what others write, and then goes on without it.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use log::Level;

use crate::error::{Context, Error, ErrorKind};

/// What is written at once.
pub(super) struct Text {
    pub(super) level: Level,
    pub(super) target: String,
    pub(super) body: String,
}

/// Writes one text.
pub(super) type Write = Box<dyn FnMut(&Text) -> io::Result<()> + Send>;

/// Finds out how to write.
pub(super) type Open = Box<dyn FnOnce() -> Result<Write, Error> + Send>;

/// As long all outputs may be waited for.
const MOST: Duration = Duration::from_secs(1);

/// The most bytes that are kept for an output that nobody waits for any more.
const MOST_BYTES: usize = 1 << 20;

/// What is left of the waiting: a second, and a tenth of the time that passes.
pub(super) struct Patience {
    left: Duration,
    since: Option<Instant>,
}

impl Patience {
    pub(super) const fn new() -> Self {
        Self { left: MOST, since: None }
    }

    /// For a program that ends.
    pub(super) fn last() -> Self {
        Self { left: MOST / 3, since: Some(Instant::now()) }
    }

    /// Waits for `answer`.
    fn wait<T>(&mut self, answer: &Receiver<T>) -> Option<T> {
        let begun = Instant::now();
        let earned = self.since.replace(begun).map_or(MOST, |since| since.elapsed() / 10);
        self.left = (self.left + earned).min(MOST);
        let answer = answer.recv_timeout(self.left).ok();
        self.left = self.left.saturating_sub(begun.elapsed());
        answer
    }
}

/// An output.
pub(super) struct Output {
    way: Way,
    /// Texts that were not written, and of which nothing was said yet.
    lost: usize,
}

enum Way {
    /// Not used yet.
    Closed(Open),
    Thread(Thread),
    /// Where the kernel refused a thread.
    Here(Write),
    /// Nobody wants it, or it cannot be had.
    Nowhere,
}

struct Thread {
    jobs: Sender<Vec<Text>>,
    answers: Receiver<Result<(), Error>>,
    /// What it has not answered yet.
    open: VecDeque<Job>,
}

#[derive(Clone, Copy)]
enum Job {
    Open,
    Write {
        bytes: usize,
        /// Texts that are lost if this is.
        texts: usize,
    },
}

impl Output {
    pub(super) fn new(open: Open) -> Self {
        Self { way: Way::Closed(open), lost: 0 }
    }

    pub(super) fn nowhere() -> Self {
        Self { way: Way::Nowhere, lost: 0 }
    }

    /// Opens the output, which otherwise happens when there is something to write.
    ///
    /// # Errors
    /// When it cannot be opened, or not in time; then it is used when it can be.
    pub(super) fn open(&mut self, patience: &mut Patience) -> Result<(), Error> {
        let open = match std::mem::replace(&mut self.way, Way::Nowhere) {
            Way::Closed(open) => open,
            other => {
                self.way = other;
                return Ok(());
            }
        };
        let (offer, offered) = mpsc::channel::<Open>();
        let (jobs, todo) = mpsc::channel::<Vec<Text>>();
        let (answer, answers) = mpsc::channel();
        let body = move || {
            let Ok(open) = offered.recv() else { return };
            let (mut write, opened) = match open() {
                Ok(write) => (write, Ok(())),
                Err(error) => return drop(answer.send(Err(error))),
            };
            let mut said = answer.send(opened);
            while said.is_ok()
                && let Ok(texts) = todo.recv()
            {
                let written = texts.iter().try_for_each(&mut write);
                said = answer.send(written.context(ErrorKind::File, "cannot write a log line"));
            }
        };
        if thread::Builder::new().name("ddum-log".to_owned()).spawn(body).is_err() {
            self.way = Way::Here(open()?);
            return Ok(());
        }
        // The thread lives until it has it.
        let _ = offer.send(open);
        let opened = patience.wait(&answers);
        let open = if opened.is_none() { VecDeque::from([Job::Open]) } else { VecDeque::new() };
        self.way = Way::Thread(Thread { jobs, answers, open });
        opened.unwrap_or_else(|| Err(Error::new(ErrorKind::File, "it does not answer yet")))
    }

    /// Writes `text`, or counts it. Once texts were lost, `notice` says so before the next one.
    pub(super) fn write(&mut self, text: Text, notice: impl FnOnce(usize) -> Text, patience: &mut Patience) {
        if matches!(self.way, Way::Closed(_)) {
            // Whoever could be told would be told by a log line.
            let _ = self.open(patience);
        }
        self.settle();
        let bytes = text.body.len();
        if let Way::Thread(thread) = &self.way
            && !thread.has_room(bytes)
        {
            self.lost += 1;
            return;
        }
        let job = Job::Write { bytes, texts: self.lost + 1 };
        let texts = if self.lost == 0 { vec![text] } else { vec![notice(self.lost), text] };
        let is_taken = match &mut self.way {
            Way::Thread(thread) => {
                let is_sent = thread.jobs.send(texts).is_ok();
                thread.open.extend(is_sent.then_some(job));
                is_sent
            }
            Way::Here(write) => texts.iter().try_for_each(write).is_ok(),
            Way::Closed(_) | Way::Nowhere => false,
        };
        self.lost = if is_taken { 0 } else { self.lost + 1 };
        self.finish(patience);
    }

    /// Waits for what is being written, as long as there is patience.
    pub(super) fn finish(&mut self, patience: &mut Patience) {
        while let Way::Thread(thread) = &mut self.way
            && !thread.open.is_empty()
            && let Some(answer) = patience.wait(&thread.answers)
        {
            self.answered(&answer);
        }
    }

    /// Whether the thread is still at what it got before.
    pub(super) fn is_busy(&mut self) -> bool {
        self.settle();
        matches!(&self.way, Way::Thread(thread) if !thread.open.is_empty())
    }

    /// Takes the answers that are there.
    fn settle(&mut self) {
        while let Way::Thread(thread) = &self.way
            && let Ok(answer) = thread.answers.try_recv()
        {
            self.answered(&answer);
        }
    }

    fn answered(&mut self, answer: &Result<(), Error>) {
        let Way::Thread(thread) = &mut self.way else { return };
        if let (Some(Job::Write { texts, .. }), Err(_)) = (thread.open.pop_front(), answer) {
            self.lost += texts;
        }
    }
}

impl Thread {
    fn has_room(&self, more: usize) -> bool {
        let bytes = |job: &Job| if let Job::Write { bytes, .. } = job { *bytes } else { 0 };
        self.open.is_empty() || self.open.iter().map(bytes).sum::<usize>() + more <= MOST_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    type Paper = Arc<Mutex<Vec<String>>>;

    fn text(body: &str) -> Text {
        Text { level: Level::Info, target: "ddum".to_owned(), body: body.to_owned() }
    }

    fn log(output: &mut Output, body: &str, patience: &mut Patience) {
        output.write(text(body), |lost| text(&format!("{lost} lost")), patience);
    }

    /// An output that waits before each text until the gate is open, and what it wrote.
    fn gated() -> (Output, Arc<Mutex<()>>, Paper) {
        let (gate, written) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(Vec::new())));
        let (through, paper) = (Arc::clone(&gate), Arc::clone(&written));
        let write = move |text: &Text| {
            drop(through.lock().unwrap());
            paper.lock().unwrap().push(text.body.clone());
            Ok(())
        };
        (Output::new(Box::new(|| Ok(Box::new(write)))), gate, written)
    }

    #[test]
    fn an_output_that_hangs_is_waited_for_once_and_tells_what_it_lost() {
        let (mut output, gate, written) = gated();
        let mut patience = Patience::new();
        log(&mut output, "first", &mut patience);
        assert_eq!(*written.lock().unwrap(), ["first"], "it is written when the caller goes on");
        let closed = gate.lock().unwrap();
        let begun = Instant::now();
        let long = "x".repeat(MOST_BYTES / 4);
        for _ in 0..1000 {
            log(&mut output, &long, &mut patience);
        }
        let took = begun.elapsed();
        assert!(took >= MOST / 2 && took < MOST * 10, "{took:?}");
        assert_eq!(written.lock().unwrap().len(), 1);
        drop(closed);
        while output.is_busy() {
            thread::yield_now();
        }
        log(&mut output, "last", &mut patience);
        log(&mut output, "after", &mut patience);
        while output.is_busy() {
            thread::yield_now();
        }
        let mut written = written.lock().unwrap().clone();
        assert_eq!(written.drain(1..5).filter(|text| *text == long).count(), 4, "they were kept");
        assert_eq!(written, ["first", "996 lost", "last", "after"]);
    }

    #[test]
    fn an_output_that_cannot_be_written_is_tried_again_with_each_text() {
        let mut failures = 3;
        let written = Arc::new(Mutex::new(Vec::new()));
        let paper = Arc::clone(&written);
        let write = move |text: &Text| {
            if failures > 0 {
                failures -= 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
            paper.lock().unwrap().push(text.body.clone());
            Ok(())
        };
        let mut output = Output::new(Box::new(|| Ok(Box::new(write))));
        for number in 0..5 {
            log(&mut output, &number.to_string(), &mut Patience::new());
        }
        assert_eq!(*written.lock().unwrap(), ["3 lost", "3", "4"]);
    }

    #[test]
    fn an_output_that_cannot_be_opened_in_time_is_used_when_it_can() {
        let gate = Arc::new(Mutex::new(()));
        let (through, written) = (Arc::clone(&gate), Arc::new(Mutex::new(Vec::new())));
        let paper = Arc::clone(&written);
        let closed = gate.lock().unwrap();
        let mut output = Output::new(Box::new(move || {
            drop(through.lock().unwrap());
            Ok(Box::new(move |text: &Text| {
                paper.lock().unwrap().push(text.body.clone());
                Ok(())
            }))
        }));
        let mut patience = Patience::new();
        assert!(output.open(&mut patience).unwrap_err().to_string().contains("does not answer"));
        log(&mut output, "early", &mut patience);
        drop(closed);
        while output.is_busy() {
            thread::yield_now();
        }
        log(&mut output, "late", &mut Patience::new());
        assert_eq!(*written.lock().unwrap(), ["early", "late"]);
    }
}
