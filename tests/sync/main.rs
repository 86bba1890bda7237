//! `ddum sync` and `ddum check` as a user runs them: the real binary on a tree of its own, tables from files.
#![expect(clippy::disallowed_methods, reason = "the tree of a test is its own")]
#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

mod check;
mod damaged;
mod ids;
mod tree;
mod update;
