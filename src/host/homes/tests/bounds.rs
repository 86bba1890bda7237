//! Time, threads and waits for the disk are bounded.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::error::ErrorKind;

fn crowd(base: &Path, count: u32, keys: &[u8]) -> Vec<Person> {
    (0..count)
        .map(|n| {
            let person = Person::new(&format!("user{n}"), UID + n, keys);
            let home = base.join("home").join(&person.name);
            if !home.exists() {
                mkdir(&home, person.uid);
            }
            person
        })
        .collect()
}

/// What a file system does that does not answer.
fn hang_while(held: &AtomicBool, name: &str) {
    while name.starts_with("hangs") && held.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn wait_for(what: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !what() {
        assert!(started.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn waits_for_the_disk_do_not_grow_with_the_users_and_nothing_new_writes_nothing() {
    let (base, root) = tree("syncs");
    let few = run(&root, &crowd(&base, 3, &[1]), false);
    assert_eq!(few.syncs, 9, "a file, .ssh and the home of each");
    for (count, keys) in [(20, &[1, 2]), (150, &[1, 3])] {
        let people = crowd(&base, count, keys);
        let done = run(&root, &people, false);
        assert_eq!(done.syncs, 2);
        assert!(done.outcomes.iter().all(|outcome| outcome.refusal.is_none() && outcome.changes.len() == 1));
        people.iter().for_each(|person| assert_keys(&base, person));
        let before = snapshot(&base);
        let again = run(&root, &people, false);
        assert_eq!((again.syncs, snapshot(&base)), (0, before));
        assert!(again.outcomes.iter().all(|outcome| *outcome == HomeOutcome::default()));
    }
    let two = run(&root, &crowd(&base, 2, &[9]), false);
    assert_eq!(two.syncs, 4, "a file and .ssh of each");
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn a_home_that_does_not_answer_costs_its_user_and_no_other() {
    let (base, root) = tree("hung");
    let mut people = crowd(&base, 12, &[1]);
    for person in &mut people[2..6] {
        person.name = format!("hangs-{}", person.name);
    }
    static HELD: AtomicBool = AtomicBool::new(true);
    let slow = Settings {
        workers: 2,
        limit: Duration::from_secs(3),
        before: Some(|name| hang_while(&HELD, name)),
        ..settings()
    };
    let done = run_with(&root, &people, false, &slow);
    assert_eq!(slow.left_behind.count(), 4);
    for (person, outcome) in people.iter().zip(&done.outcomes) {
        if person.name.starts_with("hangs") {
            let reason = "the home did not answer within 3 s; keys unchanged";
            assert_eq!(outcome.refusal.as_deref(), Some(reason), "{}", person.name);
        } else {
            assert_eq!(outcome.refusal, None);
            assert_keys(&base, person);
        }
    }
    let again = run_with(&root, &people, false, &slow);
    let reason = "the home has not answered since an earlier attempt; keys unchanged";
    assert_eq!(again.outcomes[3].refusal.as_deref(), Some(reason));
    assert_eq!(slow.left_behind.count(), 4, "no second thread hangs at the same home");

    HELD.store(false, Ordering::Relaxed);
    wait_for(|| slow.left_behind.count() == 0);
    for person in &people[2..6] {
        let ssh = base.join(&person.home[1..]).join(".ssh");
        assert!(!ssh.exists(), "a job that was given up went on with {}", person.name);
    }
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn when_too_many_homes_hang_the_rest_is_refused_by_name() {
    let (base, root) = tree("cap");
    let mut people = crowd(&base, 5, &[1]);
    for person in &mut people[..3] {
        person.name = format!("hangs-{}", person.name);
    }
    static HELD: AtomicBool = AtomicBool::new(true);
    let slow = Settings {
        workers: 1,
        replaced: 2,
        limit: Duration::from_secs(2),
        patience: Duration::from_secs(2),
        before: Some(|name| hang_while(&HELD, name)),
        ..settings()
    };
    let done = run_with(&root, &people, false, &slow);
    for outcome in &done.outcomes[3..] {
        assert!(outcome.refusal.as_deref().unwrap().starts_with("too many homes do not answer"), "{outcome:?}");
    }
    // Those that hang are known now, so they take no thread from the others.
    let again = run_with(&root, &people, false, &slow);
    assert!(again.outcomes[3..].iter().all(|outcome| outcome.refusal.is_none()), "{:?}", again.outcomes);
    HELD.store(false, Ordering::Relaxed);
    wait_for(|| slow.left_behind.count() == 0);
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn a_stop_leaves_whole_files_and_nothing_beside_them() {
    let (base, root) = tree("stop");
    let people = crowd(&base, 40, &[1]);
    run(&root, &people, false);
    let people = crowd(&base, 40, &[2]);
    let wishes: Vec<HomeWish<'_>> = people.iter().map(Person::wish).collect();
    let stop = Stop::default();
    let settings =
        Settings { workers: 1, before: Some(|_| std::thread::sleep(Duration::from_millis(25))), ..settings() };
    let result = std::thread::scope(|scope| {
        let flag = stop.clone();
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(60));
            flag.set();
        });
        round::run(&root, &wishes, &policy(false), &stop, &settings)
    });
    assert_eq!(result.err().unwrap().kind(), ErrorKind::Stopped);
    for person in crowd(&base, 40, &[1]) {
        assert_keys(&base, &person);
    }
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn a_job_that_panics_refuses_its_user_alone() {
    let (base, root) = tree("panic");
    let people = crowd(&base, 3, &[1]);
    let settings = Settings { before: Some(|name| assert!(name != "user1")), ..settings() };
    let done = run_with(&root, &people, false, &settings);
    let refused: Vec<_> = done.outcomes.iter().map(|outcome| outcome.refusal.as_deref()).collect();
    let silent = format!("the home did not answer within {} s; keys unchanged", settings.limit.as_secs_f32());
    assert_eq!(refused, [None, Some(silent.as_str()), None]);
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn of_two_users_with_one_uid_and_home_one_has_the_keys() {
    let (base, root) = tree("shared");
    let mut people = crowd(&base, 1, &[1]);
    people.push(Person { home: "/home/user0/".to_owned(), ..Person::new("twin", UID, &[2]) });
    let done = run(&root, &people, false);
    assert_keys(&base, &people[0]);
    assert!(done.outcomes[1].refusal.as_deref().unwrap().contains("those of user0, too"), "{:?}", done.outcomes);
    assert_eq!(run(&root, &people, false).outcomes[0].changes, []);
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn a_disk_that_is_slow_to_sync_does_not_count_against_the_users_on_it() {
    let (base, root) = tree("disk");
    let slow = Settings {
        workers: 2,
        replaced: 1,
        limit: Duration::from_secs(3),
        syncing: Some(|| std::thread::sleep(Duration::from_secs(4))),
        ..settings()
    };
    for (count, keys) in [(3, &[1]), (20, &[2])] {
        let people = crowd(&base, count, keys);
        let done = run_with(&root, &people, false, &slow);
        assert!(done.outcomes.iter().all(|outcome| outcome.refusal.is_none()), "{:?}", done.outcomes);
        people.iter().for_each(|person| assert_keys(&base, person));
        assert!(slow.left_behind.count() == 0 && !slow.left_behind.knows("/home/user0"));
    }
    std::fs::remove_dir_all(base).unwrap();
}
