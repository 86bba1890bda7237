use super::super::testing::{Beside, Tree, is_locked};
use super::*;

const SOON: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(20);

/// How many threads of ours stand in the kernel's queue for the file.
fn waiters(tree: &Tree) -> usize {
    let inode = tree.inode("etc/.pwd.lock");
    let table = std::fs::read_to_string("/proc/locks").unwrap();
    let own = std::process::id().to_string();
    let is_waiter = |line: &&str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        words.get(1) == Some(&"->") && words.get(5) == Some(&own.as_str()) && line.contains(&format!(":{inode} "))
    };
    table.lines().filter(is_waiter).count()
}

fn until(what: impl Fn() -> bool) {
    let started = Instant::now();
    while !what() {
        assert!(started.elapsed() < LONG, "did not come to pass");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_free_lock_is_had_at_once_and_others_see_it_until_it_is_dropped() {
    let tree = Tree::new();
    let lock = Lock::acquire(&tree.etc(), Duration::ZERO, &Stop::default()).unwrap();
    assert!(is_locked(&tree.path("etc/.pwd.lock")));
    assert_eq!(tree.mode("etc/.pwd.lock"), 0o600);
    drop(lock);
    assert!(!is_locked(&tree.path("etc/.pwd.lock")));
    assert_eq!(tree.names("etc"), [".pwd.lock"], "the lock file is never unlinked");
}

#[test]
fn a_lock_that_another_process_holds_is_waited_for() {
    let tree = Tree::new();
    let mut other = Beside::holding(&tree.path("etc/.pwd.lock"));
    let etc = tree.etc();
    let ours = std::thread::spawn(move || Lock::acquire(&etc, LONG, &Stop::default()).map(drop));
    until(|| waiters(&tree) == 1);
    assert!(!ours.is_finished());
    other.let_go();
    ours.join().unwrap().unwrap();
}

#[test]
fn a_missed_deadline_names_the_holder_leaves_one_waiter_and_drops_the_late_lock() {
    let tree = Tree::new();
    let path = tree.path("etc/.pwd.lock");
    let mut other = Beside::holding(&path);
    for _ in 0..3 {
        let error = Lock::acquire(&tree.etc(), SOON, &Stop::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains(&format!("process {} (python3", other.id())), "{error}");
        assert_eq!(waiters(&tree), 1, "every miss adds a thread");
    }
    other.let_go();
    // The waiter is granted what nobody waits for any more.
    until(|| waiters(&tree) == 0 && !is_locked(&path));
    Lock::acquire(&tree.etc(), Duration::ZERO, &Stop::default()).unwrap();
}

#[test]
fn a_wait_takes_over_the_waiter_of_one_that_gave_up() {
    let tree = Tree::new();
    let path = tree.path("etc/.pwd.lock");
    let mut other = Beside::holding(&path);
    Lock::acquire(&tree.etc(), SOON, &Stop::default()).unwrap_err();
    let etc = tree.etc();
    let ours = std::thread::spawn(move || Lock::acquire(&etc, LONG, &Stop::default()));
    std::thread::sleep(SOON);
    assert_eq!(waiters(&tree), 1);
    other.let_go();
    let lock = ours.join().unwrap().unwrap();
    assert!(is_locked(&path));
    drop(lock);
    assert!(!is_locked(&path));
}

#[test]
fn threads_of_one_process_exclude_each_other_though_the_kernel_would_let_them_in() {
    let tree = Tree::new();
    let path = tree.path("etc/.pwd.lock");
    let lock = Lock::acquire(&tree.etc(), SOON, &Stop::default()).unwrap();
    let error = Lock::acquire(&tree.etc(), SOON, &Stop::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    // A second open of the file, closed again, would have dropped the first one's lock.
    assert!(is_locked(&path));
    drop(lock);
    Lock::acquire(&tree.etc(), SOON, &Stop::default()).unwrap();
}

#[test]
fn a_wish_to_stop_ends_the_wait() {
    let tree = Tree::new();
    let _other = Beside::holding(&tree.path("etc/.pwd.lock"));
    let stop = Stop::default();
    let (etc, asked) = (tree.etc(), stop.clone());
    let ours = std::thread::spawn(move || Lock::acquire(&etc, LONG, &asked).map(drop));
    until(|| waiters(&tree) == 1);
    let started = Instant::now();
    stop.set();
    assert_eq!(ours.join().unwrap().unwrap_err().kind(), ErrorKind::Stopped);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_file_that_was_swapped_during_the_wait_is_not_the_lock() {
    let tree = Tree::new();
    let path = tree.path("etc/.pwd.lock");
    let mut other = Beside::holding(&path);
    let etc = tree.etc();
    let ours = std::thread::spawn(move || Lock::acquire(&etc, LONG, &Stop::default()));
    until(|| waiters(&tree) == 1);
    std::fs::remove_file(&path).unwrap();
    let mut second = Beside::holding(&path);
    other.let_go();
    until(|| waiters(&tree) == 1);
    assert!(!ours.is_finished(), "the lock of a file without a name keeps nobody out");
    second.let_go();
    let lock = ours.join().unwrap().unwrap();
    assert!(is_locked(&path));
    drop(lock);
}

#[test]
fn what_is_no_plain_file_is_not_opened_as_a_lock() {
    let plant: [fn(&std::path::Path); 3] = [
        |path| std::os::unix::fs::symlink("victim", path).unwrap(),
        |path| std::fs::create_dir(path).unwrap(),
        |path| assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success()),
    ];
    for plant in plant {
        let tree = Tree::new();
        plant(&tree.path("etc/.pwd.lock"));
        let error = Lock::acquire(&tree.etc(), LONG, &Stop::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsafe, "{error}");
        assert!(!tree.path("etc/victim").exists());
    }
}
