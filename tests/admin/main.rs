//! `ddum user`, `group`, `key` and `tables`: the real binary against an emulator that is not ours.
#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]
#![expect(clippy::disallowed_methods, reason = "the files of a test are its own")]

#[path = "../support/mod.rs"]
mod support;

mod faults;
mod fingerprints;
mod group;
mod key;
mod office;
mod policies;
mod races;
mod shown;
mod tables;
mod user;
mod writing;
