//! What users plant in their homes, and what an update makes of it.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, FileType, RenameFlags};

use super::*;

/// How a user's home is to look before the update; `victim` is a directory of root's outside.
type Plant = fn(home: &Path, victim: &Path, uid: u32);

enum After {
    /// The keys are in place.
    Keys,
    /// The keys are in place and something was moved aside.
    Aside,
    /// Refused, saying this.
    Refused(&'static str),
}

fn fifo(path: &Path, uid: u32) {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    chown(path, uid);
}

fn ssh(home: &Path, uid: u32) -> PathBuf {
    let path = home.join(".ssh");
    mkdir(&path, uid);
    chmod(&path, 0o700);
    path
}

const PLANTS: &[(&str, Plant, After)] = &[
    ("clean", |_, _, _| {}, After::Keys),
    ("ssh-link-to-root", |home, victim, _| symlink(victim.join("root-ssh"), home.join(".ssh")).unwrap(), After::Aside),
    ("ssh-link-to-etc", |home, victim, _| symlink(victim, home.join(".ssh")).unwrap(), After::Aside),
    ("ssh-link-to-nothing", |home, _, _| symlink("nowhere", home.join(".ssh")).unwrap(), After::Aside),
    ("ssh-file", |home, _, uid| file(&home.join(".ssh"), uid, 0o600, b"x"), After::Aside),
    ("ssh-fifo", |home, _, uid| fifo(&home.join(".ssh"), uid), After::Aside),
    ("ssh-of-root", |home, _, _| mkdir(&home.join(".ssh"), 0), After::Aside),
    ("ssh-of-root-closed", |home, _, _| chmod(&ssh(home, 0), 0o700), After::Aside),
    ("ssh-mode-000", |home, _, uid| chmod(&ssh(home, uid), 0), After::Keys),
    ("ssh-mode-500", |home, _, uid| chmod(&ssh(home, uid), 0o500), After::Keys),
    ("ssh-mode-777", |home, _, uid| chmod(&ssh(home, uid), 0o777), After::Keys),
    (
        "keys-link",
        |home, victim, uid| symlink(victim.join("secret"), ssh(home, uid).join("authorized_keys")).unwrap(),
        After::Keys,
    ),
    (
        "keys-hard-link",
        |home, victim, uid| {
            std::fs::hard_link(victim.join("secret"), ssh(home, uid).join("authorized_keys")).unwrap();
        },
        After::Keys,
    ),
    ("keys-fifo", |home, _, uid| fifo(&ssh(home, uid).join("authorized_keys"), uid), After::Keys),
    (
        "keys-socket",
        |home, _, uid| drop(std::os::unix::net::UnixListener::bind(short(&ssh(home, uid))).unwrap()),
        After::Keys,
    ),
    ("keys-directory", |home, _, uid| mkdir(&ssh(home, uid).join("authorized_keys"), uid), After::Aside),
    (
        "keys-of-root",
        |home, _, uid| file(&ssh(home, uid).join("authorized_keys"), 0, 0o644, b"ssh-ed25519 AAAA admin\n"),
        After::Aside,
    ),
    (
        "keys-mode-000",
        |home, _, uid| file(&ssh(home, uid).join("authorized_keys"), uid, 0, b"ssh-ed25519 AAAA mine\n"),
        After::Keys,
    ),
    (
        "keys-endless",
        |home, _, uid| {
            let path = ssh(home, uid).join("authorized_keys");
            file(&path, uid, 0o600, b"");
            std::fs::File::options().write(true).open(path).unwrap().set_len(1 << 40).unwrap();
        },
        After::Keys,
    ),
    (
        "keys-immutable",
        |home, _, uid| {
            let path = ssh(home, uid).join("authorized_keys");
            file(&path, uid, 0o600, b"x");
            assert!(set_immutable(&path, true));
        },
        After::Refused("cannot replace"),
    ),
    (
        "home-link-of-root",
        |home, victim, uid| {
            let real = victim.with_file_name("elsewhere");
            mkdir(&real, uid);
            std::fs::remove_dir(home).unwrap();
            symlink("../elsewhere", home).unwrap();
        },
        After::Keys,
    ),
    (
        "home-mode-100",
        |home, _, uid| {
            file(&ssh(home, uid).join("authorized_keys"), uid, 0o600, b"ssh-ed25519 AAAA mine\n");
            chmod(home, 0o100);
        },
        After::Keys,
    ),
    ("home-mode-300", |home, _, _| chmod(home, 0o300), After::Keys),
    ("home-of-root", |home, _, _| chown(home, 0), After::Refused("belongs to uid 0")),
    ("home-closed", |home, _, _| chmod(home, 0), After::Refused("Permission denied")),
];

fn can_be_immutable(base: &Path) -> bool {
    let probe = base.join("probe");
    file(&probe, 0, 0o600, b"");
    let can = set_immutable(&probe, true);
    set_immutable(&probe, false);
    can
}

/// A socket's path may only have 108 bytes.
fn short(ssh: &Path) -> PathBuf {
    let fd = rustix::fs::open(ssh, OFlags::PATH, Mode::empty()).unwrap();
    let path = format!("/proc/self/fd/{}/authorized_keys", std::os::fd::AsRawFd::as_raw_fd(&fd));
    std::mem::forget(fd);
    PathBuf::from(path)
}

#[test]
fn no_planted_file_hangs_an_update_or_leads_it_out_of_the_home() {
    let (base, root) = tree("hostile");
    let victim = base.join("victim");
    mkdir(&victim, 0);
    mkdir(&victim.join("root-ssh"), 0);
    file(&victim.join("root-ssh/authorized_keys"), 0, 0o600, b"root's\n");
    file(&victim.join("secret"), 0, 0o600, b"secret\n");
    let mut people = Vec::new();
    let mut expected = Vec::new();
    for (n, (name, plant, after)) in PLANTS.iter().enumerate() {
        // What needs another owner or another's rights cannot be planted by an ordinary user.
        if !is_root() && ["root", "immutable", "home-mode"].iter().any(|word| name.contains(word)) {
            continue;
        }
        if name.contains("immutable") && !can_be_immutable(&base) {
            continue;
        }
        let uid = UID + u32::try_from(n).unwrap();
        mkdir(&base.join("home").join(name), uid);
        plant(&base.join("home").join(name), &victim, uid);
        people.push(Person::new(name, uid, &[1, 2]));
        expected.push(after);
    }
    let links = |path: &str| std::fs::metadata(victim.join(path)).unwrap().nlink();
    let before = (snapshot(&victim.join("root-ssh")), std::fs::read(victim.join("secret")).unwrap());

    let homes = snapshot(&base);
    let looked = run(&root, &people, true);
    assert_eq!(snapshot(&base), homes, "a look changed something");
    let started = std::time::Instant::now();
    let done = run(&root, &people, false);
    assert!(started.elapsed() < settings().limit, "{:?}", started.elapsed());

    for ((person, outcome), after) in people.iter().zip(&done.outcomes).zip(&expected) {
        let aside = outcome.changes.iter().any(|change| matches!(change, HomeChange::MovedAside { .. }));
        match after {
            After::Refused(reason) => {
                let refusal = outcome.refusal.as_deref().unwrap_or_default();
                assert!(
                    refusal.contains(reason) && refusal.ends_with("keys unchanged"),
                    "{}: {outcome:?}",
                    person.name
                );
                assert_eq!(outcome.changes, [], "{}", person.name);
            }
            After::Keys | After::Aside => {
                assert_eq!(outcome.refusal, None, "{}", person.name);
                assert_eq!(aside, matches!(after, After::Aside), "{}: {outcome:?}", person.name);
                assert_keys(&base, person);
            }
        }
    }
    for ((person, real), look) in people.iter().zip(&done.outcomes).zip(&looked.outcomes) {
        // A rename over an immutable file has to be tried to be refused.
        if person.name != "keys-immutable" {
            assert_eq!(kinds(look), kinds(real), "{}", person.name);
            assert_eq!(look.refusal, real.refusal, "{}", person.name);
        }
    }
    assert_eq!((snapshot(&victim.join("root-ssh")), std::fs::read(victim.join("secret")).unwrap()), before);
    assert_eq!(std::fs::metadata(victim.join("secret")).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(links("secret"), 1);

    let homes = snapshot(&base.join("home"));
    let again = run(&root, &people, false);
    for (person, outcome) in people.iter().zip(&again.outcomes) {
        assert_eq!(outcome.changes, [], "{}", person.name);
    }
    let immutable = base.join("home/keys-immutable/.ssh/authorized_keys");
    if immutable.exists() {
        assert!(set_immutable(&immutable, false));
        assert_eq!(run(&root, &people, false).outcomes.iter().filter(|o| !o.changes.is_empty()).count(), 1);
    } else {
        assert_eq!(snapshot(&base.join("home")), homes, "an update with nothing new wrote something");
    }
    if !is_root() {
        chmod(&base.join("home/home-closed"), 0o700);
    }
    std::fs::remove_dir_all(base).unwrap();
}

/// The changes without the names that chance made.
fn kinds(outcome: &HomeOutcome) -> Vec<HomeChange> {
    let plain = |change: &HomeChange| match change {
        HomeChange::MovedAside { from, .. } => HomeChange::MovedAside { from: from.clone(), to: String::new() },
        other => other.clone(),
    };
    let mut changes: Vec<_> = outcome.changes.iter().map(plain).collect();
    changes.sort_by_key(|change| format!("{change:?}"));
    changes
}

#[test]
fn without_keys_what_could_still_let_someone_in_is_gone_and_the_rest_stays() {
    let (base, root) = tree("keyless");
    let elsewhere = |home: &Path, uid| {
        mkdir(&home.join("keys"), uid);
        file(&home.join("keys/authorized_keys"), uid, 0o600, b"ssh-ed25519 AAAA old\n");
    };
    let names = ["none", "empty-ssh", "keys", "ssh-link", "ssh-file", "keys-link"];
    let mut people = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let uid = UID + u32::try_from(n).unwrap();
        let home = base.join("home").join(name);
        mkdir(&home, uid);
        match *name {
            "empty-ssh" => drop(ssh(&home, uid)),
            "keys" => file(&ssh(&home, uid).join("authorized_keys"), uid, 0o600, key(7).line().as_bytes()),
            "ssh-link" => {
                elsewhere(&home, uid);
                symlink("keys", home.join(".ssh")).unwrap();
            }
            "ssh-file" => file(&home.join(".ssh"), uid, 0o600, b""),
            "keys-link" => {
                elsewhere(&home, uid);
                symlink("../keys/authorized_keys", ssh(&home, uid).join("authorized_keys")).unwrap();
            }
            _ => {}
        }
        people.push(Person::new(name, uid, &[]));
    }
    people.push(Person { home: "/nonexistent".to_owned(), ..Person::new("nowhere", UID + 50, &[]) });
    people.push(Person { home: String::new(), ..Person::new("homeless", UID + 51, &[]) });
    people.push(Person { home: "/etc".to_owned(), ..Person::new("system", if is_root() { UID + 52 } else { 0 }, &[]) });
    let done = run(&root, &people, false);
    let changed: Vec<&str> = people
        .iter()
        .zip(&done.outcomes)
        .filter(|(_, o)| !o.changes.is_empty())
        .map(|(p, _)| p.name.as_str())
        .collect();
    assert_eq!(changed, ["keys", "ssh-link", "keys-link"]);
    assert!(done.outcomes.iter().all(|outcome| outcome.refusal.is_none()), "{:?}", done.outcomes);
    assert_eq!(
        done.outcomes[2].changes,
        [HomeChange::Keys { added: vec![], removed: vec![format!("{} (key-7)", key(7).fingerprint())] }]
    );
    for name in ["keys", "keys-link"] {
        let text = std::fs::read_to_string(base.join("home").join(name).join(".ssh/authorized_keys")).unwrap();
        assert_eq!(text, authorized_keys::HEADER);
    }
    for name in ["none", "ssh-link"] {
        assert!(std::fs::symlink_metadata(base.join("home").join(name).join(".ssh")).is_err(), "{name}");
    }
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn a_home_that_swaps_its_directory_for_a_link_leads_no_write_outside() {
    // In memory, where a sync costs nothing: the race is in the names.
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let (base, root) = tree_in(&place, "swap");
    let (victim, home) = (base.join("victim"), base.join("home/mallory"));
    mkdir(&victim, UID);
    // The victim has a file that the user may write: only care keeps us from it, not the user's rights.
    file(&victim.join("authorized_keys"), UID, 0o600, b"victim\n");
    mkdir(&home, UID);
    ssh(&home, UID);
    symlink(&victim, home.join("link")).unwrap();
    chown(&home.join("link"), UID);
    let before = snapshot(&victim);
    let stop = AtomicBool::new(false);
    let (swaps, written) = std::thread::scope(|scope| {
        let swapper = scope.spawn(|| {
            let mut swaps = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                let (a, b) = (home.join(".ssh"), home.join("link"));
                swaps += u32::from(rustix::fs::renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).is_ok());
            }
            swaps
        });
        let mut written = 0;
        for n in 0..2000_u32 {
            let people = [Person::new("mallory", UID, &[u8::try_from(n % 200).unwrap()])];
            written += u32::from(!run(&root, &people, false).outcomes[0].changes.is_empty());
            if n % 8 == 0 {
                // What was moved aside would end the swapping.
                let _ = std::fs::remove_file(home.join("link"));
                let _ = symlink(&victim, home.join("link"));
            }
        }
        stop.store(true, Ordering::Relaxed);
        (swapper.join().unwrap(), written)
    });
    assert_eq!(snapshot(&victim), before, "{swaps} swaps, {written} writes");
    assert!(swaps > 100 && written > 100, "{swaps} swaps, {written} writes");
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn what_is_moved_aside_stays_there_when_the_power_fails() {
    let (base, root) = tree("aside");
    let table: [(&str, &[u8], Plant, usize); 3] = [
        // The home alone.
        ("keyless", &[], |home, victim, _| symlink(victim, home.join(".ssh")).unwrap(), 1),
        // The home, the new file, `.ssh`.
        ("link", &[1], |home, victim, _| symlink(victim, home.join(".ssh")).unwrap(), 3),
        // The new file, `.ssh`.
        ("directory", &[1], |home, _, uid| mkdir(&ssh(home, uid).join("authorized_keys"), uid), 2),
    ];
    for (name, keys, plant, wanted) in table {
        let home = base.join("home").join(name);
        mkdir(&home, UID);
        plant(&home, &base.join("etc"), UID);
        let done = run(&root, &[Person::new(name, UID, keys)], false);
        assert!(matches!(done.outcomes[0].changes[0], HomeChange::MovedAside { .. }), "{:?}", done.outcomes);
        assert_eq!(done.syncs, wanted, "{name}");
    }
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn a_home_that_only_a_group_may_reach_is_reached_as_sshd_reaches_it() {
    if !is_root() {
        return;
    }
    let (base, root) = tree("group");
    let gid = UID + 7;
    std::fs::write(base.join("etc/group"), format!("staff:x:{gid}:bob,alice\nother:x:{}:\n", gid + 1)).unwrap();
    for (dir, gid) in [("home/staff", gid), ("home/closed", gid + 1)] {
        mkdir(&base.join(dir), 0);
        chmod(&base.join(dir), 0o710);
        rustix::fs::chown(base.join(dir), None, Some(Gid::from_raw(gid))).unwrap();
    }
    let mut people = Vec::new();
    for (n, home) in ["home/staff/alice", "home/closed/bob"].iter().enumerate() {
        let uid = UID + u32::try_from(n).unwrap();
        mkdir(&base.join(home), uid);
        file(&ssh(&base.join(home), uid).join("authorized_keys"), uid, 0o600, key(7).line().as_bytes());
        let name = home.rsplit('/').next().unwrap();
        people.push(Person { home: format!("/{home}"), ..Person::new(name, uid, &[1]) });
    }
    let done = run(&root, &people, false);
    assert_keys(&base, &people[0]);
    assert!(done.outcomes[1].refusal.as_deref().unwrap().contains("Permission denied"), "{:?}", done.outcomes);
    let of = HomeOf { name: "alice", uid: UID, gid: UID, home: "/home/staff/alice" };
    let look = look(&root, &[of], &Stop::default()).unwrap().remove(0);
    assert_eq!(look.keys.as_deref(), Some(people[0].content().as_bytes()), "{look:?}");
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn keys_that_stay_in_a_home_of_somebody_else_are_told_of() {
    if !is_root() {
        return;
    }
    let (base, root) = tree("foreign");
    let elsewhere = base.join("elsewhere");
    mkdir(&elsewhere, 0);
    file(&elsewhere.join("authorized_keys"), 0, 0o644, key(8).line().as_bytes());
    let old = key(7);
    let table: [(&str, &[u8], bool); 6] = [
        ("open", old.line().as_bytes(), true),
        ("passed", old.line().as_bytes(), true),
        ("linked", b"", true),
        ("closed", old.line().as_bytes(), false),
        ("empty", b"# nobody\n\n", false),
        ("none", b"", false),
    ];
    let mut people = Vec::new();
    for (name, content, _) in table {
        let home = base.join("home").join(name);
        mkdir(&home, 0);
        match name {
            "linked" => symlink(&elsewhere, home.join(".ssh")).unwrap(),
            "none" => {}
            _ => {
                let ssh = ssh(&home, 0);
                chmod(&ssh, if name == "passed" { 0o711 } else { 0o755 });
                let mode = if name == "closed" { 0o600 } else { 0o644 };
                file(&ssh.join("authorized_keys"), 0, mode, content);
            }
        }
        people.push(Person::new(name, UID, &[]));
        people.push(Person::new(name, UID + 1, &[1]));
    }
    let before = snapshot(&base);
    let done = run(&root, &people, false);
    assert_eq!(snapshot(&base), before);
    for ((name, _, stays), outcomes) in table.iter().zip(done.outcomes.chunks(2)) {
        let [keyless, keyed] = outcomes else { panic!() };
        let says = |outcome: &HomeOutcome| {
            let refusal = outcome.refusal.as_deref().unwrap_or_default();
            assert!(refusal.is_empty() || refusal.contains("belongs to uid 0, not to uid"), "{name}: {refusal}");
            refusal.contains("sshd may go on taking the keys in") && refusal.ends_with("; keys unchanged")
        };
        assert_eq!((says(keyless), says(keyed)), (*stays, *stays), "{name}: {outcomes:?}");
        assert_eq!((keyless.refusal.is_some(), keyed.refusal.is_some()), (*stays, true), "{name}");
    }
    std::fs::remove_dir_all(base).unwrap();
}
