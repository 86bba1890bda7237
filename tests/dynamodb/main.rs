//! The tables, read from an emulator that works and from a server that does not.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod environment;
mod faults;
mod items;
mod scan;
