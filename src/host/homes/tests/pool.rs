//! What a pool does with a job that is late, or panics.

use std::thread;

use super::super::pool::{Answer, Hand, Pool, contain_panics};
use super::*;

fn pool(workers: usize, limit: Duration, spare: usize) -> Pool {
    Pool {
        workers,
        limit,
        patience: Duration::from_secs(60),
        replaced: spare,
        hanging: spare,
        left_behind: LeftBehind::default(),
        switches: false,
        stop: Stop::default(),
    }
}

#[test]
fn a_thread_that_comes_back_late_has_done_its_job_and_does_others() {
    let pool = pool(2, Duration::from_secs(4), 0);
    let jobs = (0..20).map(|job| (Arc::from(format!("/home/{job}")), job)).collect();
    let answers = pool.run(jobs, |job: u32, hand: &Hand| {
        if job < 2 {
            // A disk that stalls for all.
            thread::sleep(Duration::from_secs(9));
        }
        hand.check().map(|()| job)
    });
    for (job, answer) in answers.iter().enumerate() {
        assert!(matches!(answer, Answer::Done(Ok(done)) if *done as usize == job), "{job}: {answer:?}");
    }
    assert!(pool.left_behind.count() == 0 && !pool.left_behind.knows("/home/0"));
}

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
    let pool = pool(1, Duration::from_secs(2), 2);
    let run = || {
        let jobs = ["/home/a", "/home/b", "/home/c"].map(|place| (Arc::from(place), place)).to_vec();
        pool.run(jobs, |place, _| if place == "/home/b" { panic!("on purpose") } else { place.len() })
    };
    let first = matches!(run()[..], [Answer::Done(7), Answer::Silent, Answer::Done(7)]);
    let second = matches!(run()[..], [Answer::Done(7), Answer::StillSilent, Answer::Done(7)]);
    std::process::exit(if first && second { 7 } else { 8 });
}
