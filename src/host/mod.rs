//! The machine: the only code that changes it, and so the only code that may use what `clippy.toml` forbids.
//!
//! Everything is done relative to open directories ([`Dir`]), never by a path that somebody could swap meanwhile.
#![expect(clippy::disallowed_methods, reason = "this is the room where the machine is changed")]

mod dir;
mod homes;
mod identity;
mod root;
mod stop;

pub use dir::Dir;
pub use homes::{HomeChange, HomeOutcome, HomePolicy, HomeWish, ensure};
pub use root::{Demand, Root};
pub use stop::Stop;
