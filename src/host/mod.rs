//! The machine: the only code that changes it, and so the only code that may use what `clippy.toml` forbids.
//!
//! Everything is done relative to open directories ([`Dir`]), never by a path that somebody could swap meanwhile.
#![expect(clippy::disallowed_methods, reason = "this is the room where the machine is changed")]

mod dir;
mod lock;
mod lock_files;
mod process;
mod root;
mod stop;
#[cfg(test)]
mod testing;

pub use dir::Dir;
pub use root::{Demand, Root};
pub use stop::Stop;
