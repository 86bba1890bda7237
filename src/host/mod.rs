//! The machine: the only code that changes it, and so the only code that may use what `clippy.toml` forbids.
//!
//! Everything is done relative to open directories ([`Dir`]), never by a path that somebody could swap meanwhile.
#![expect(clippy::disallowed_methods, reason = "this is the room where the machine is changed")]

mod accounts;
mod attributes;
mod caches;
mod commit;
mod dir;
mod homes;
mod identity;
mod label;
mod live;
mod lock;
mod lock_files;
mod log_file;
mod look;
mod notify;
mod output;
mod pidfile;
mod process;
mod replace;
mod root;
mod state;
mod stop;
mod streams;
#[cfg(test)]
mod testing;
mod turn;

pub use accounts::{
    AccountFiles, NewFiles, Updated, create_empty, read as read_accounts, read_file as read_account_file, read_passwd,
    update as update_accounts,
};
pub use caches::flush as flush_caches;
pub use commit::Trouble;
pub use dir::Dir;
pub use homes::{
    HomeChange, HomeLook, HomeOf, HomeOutcome, HomePolicy, HomeWish, contain_panics, ensure as ensure_homes,
    look as look_at_homes,
};
pub use log_file::LogFile;
pub use look::{is_program, matching};
pub use notify::Notifier;
pub use output::write_private;
pub use pidfile::Pidfile;
pub use process::{close_inherited, end_children, keep_memory_private, lift_limits, unblock_signals, use_own_umask};
pub use root::{Demand, Root};
pub use state::{load, store};
pub use stop::Stop;
pub use streams::detach_streams;
pub use turn::{Claim, Turn};
