//! The daemon as an administrator meets it: the real binary on a tree of its own, its tables in files.
#![expect(clippy::unwrap_used, reason = "a test that panics is a test that fails")]
#![expect(clippy::disallowed_methods, reason = "a test makes its own files")]

mod hanging;
mod start;
mod tree;
mod updates;
