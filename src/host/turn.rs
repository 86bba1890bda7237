//! Turns of several ddums on one host: a sync beside the daemon, or two syncs.
//!
//! Each scans and then writes. Were the one that scanned first the last to write, a revoked key would come back. So the
//! directory of the ledger is locked with flock(2) over both; a killed process leaves no lock. Whoever goes on without
//! its turn, because another one hangs, makes a file of two numbers: of the scan that began last, and of the one in
//! use. From then on no scan is used after a later one. Without that file nobody writes anything for a turn.

use std::path::Path;

use rustix::fs::FlockOperation;

use super::state::{PRIVATE, load, make_dir, store};
use super::{Demand, Dir, Root, process};
use crate::error::{Error, ErrorKind};

const NUMBERS: &str = "/var/lib/ddum/turns";

/// Two numbers and what is between them.
const LONGEST: u64 = 64;

/// What is to be had.
#[derive(Debug)]
pub enum Claim {
    /// It is our turn until this is dropped.
    Ours(Turn),
    /// Another process has it, which is named.
    Others(String),
    /// No ddum has ever written here, or nothing can be locked.
    Nowhere,
}

/// The right to scan and write, while no other ddum does.
#[derive(Debug)]
pub struct Turn {
    root: Root,
    /// Closing it is what unlocks; none for who goes on without.
    _lock: Option<Dir>,
    number: u64,
    made: bool,
}

impl Turn {
    /// Takes the turn if nobody has it; with `make`, also where there is no ledger yet.
    #[must_use]
    pub fn claim(root: &Root, make: bool) -> Claim {
        let path = Path::new(PRIVATE);
        let found = root.try_walk(path, Demand::TrustedLinks).ok().and_then(Result::ok);
        let made = make && found.is_none();
        let dir = if made { make_dir(root, path, true).ok() } else { found };
        let Some(dir) = dir else { return Claim::Nowhere };
        match rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                let numbers = numbers(root);
                let number = numbers.map_or(0, |(begun, _)| begun).saturating_add(1);
                if let Some((_, used)) = numbers {
                    note(root, number, used);
                }
                let root = root.duplicate();
                root.map_or(Claim::Nowhere, |root| Claim::Ours(Self { root, _lock: Some(dir), number, made }))
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let holder = dir.stat().ok().and_then(|stat| process::lock_holder(&stat));
                Claim::Others(holder.map_or_else(|| "another process".to_owned(), process::describe))
            }
            Err(_) => Claim::Nowhere,
        }
    }

    /// Goes on although another has the turn.
    #[must_use]
    pub fn without(root: &Root) -> Option<Self> {
        // Who has the turn has the number 1 as long as there is no file.
        let (begun, used) = numbers(root).unwrap_or((1, 0));
        let turn = Self { root: root.duplicate().ok()?, _lock: None, number: begun.saturating_add(1), made: false };
        note(root, turn.number, used);
        Some(turn)
    }

    /// Whether no ddum wrote here before.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.made
    }

    /// Notes that our scan is used from now on.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] when a later one is.
    pub fn using(&self) -> Result<(), Error> {
        self.check()?;
        if let Some((begun, _)) = numbers(&self.root) {
            note(&self.root, begun.max(self.number), self.number);
        }
        Ok(())
    }

    /// Whether our scan may still be used.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] when a later one is in use.
    pub fn check(&self) -> Result<(), Error> {
        if numbers(&self.root).is_none_or(|(_, used)| used <= self.number) {
            return Ok(());
        }
        let message = "another ddum scanned the tables later and brings this host in line with what it found";
        Err(Error::new(ErrorKind::Busy, message))
    }
}

/// A host that cannot keep a note has turns all the same, and says elsewhere what is wrong with its directory.
fn note(root: &Root, begun: u64, used: u64) {
    store(root, Path::new(NUMBERS), format!("{begun} {used}\n").as_bytes(), 0o600, false).ok();
}

/// The scan that began last and the one in use, where somebody wrote that down.
fn numbers(root: &Root) -> Option<(u64, u64)> {
    let bytes = load(root, Path::new(NUMBERS), LONGEST).ok()??;
    let text = String::from_utf8_lossy(&bytes);
    let mut numbers = text.split_ascii_whitespace().map(|word| word.parse().unwrap_or(0));
    Some((numbers.next()?, numbers.next()?))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Tree;
    use super::*;

    fn ours(claim: Claim) -> Turn {
        match claim {
            Claim::Ours(turn) => turn,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_has_the_turn_until_it_is_dropped() {
        let tree = Tree::new();
        let root = tree.root();
        assert!(matches!(Turn::claim(&root, false), Claim::Nowhere), "nothing is made by who only looks");
        let first = ours(Turn::claim(&root, true));
        assert!(first.is_first());
        let Claim::Others(who) = Turn::claim(&root, true) else { panic!("two turns at once") };
        assert!(who.contains("process"), "{who}");
        drop(first);
        assert!(!ours(Turn::claim(&root, true)).is_first());
        assert_eq!(tree.names("var/lib/ddum"), [""; 0], "nothing is written for a turn");
    }

    #[test]
    fn who_goes_on_without_the_turn_overtakes_who_has_it_and_hangs() {
        let tree = Tree::new();
        let root = tree.root();
        let hanging = ours(Turn::claim(&root, true));
        let later = Turn::without(&root).unwrap();
        // Begun is not used: as long as the later scan is not, the earlier one is as good as any.
        hanging.using().unwrap();
        later.using().unwrap();
        for outcome in [hanging.check(), hanging.using()] {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Busy);
        }
        later.check().unwrap();
        drop(hanging);
        ours(Turn::claim(&root, false)).using().unwrap();
        assert!(later.check().is_err());
        // Whatever stands in the file, nobody is kept out for ever.
        for text in ["", "x y", "18446744073709551615 18446744073709551615", "99999999999999999999999999"] {
            tree.write("var/lib/ddum/turns", text.as_bytes());
            ours(Turn::claim(&root, false)).using().unwrap();
        }
    }
}
