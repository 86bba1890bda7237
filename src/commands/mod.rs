//! One file a command.

pub mod check;
pub mod configuration;
pub mod daemon;
pub mod explain;
pub mod export;
pub mod report;
pub mod say;
pub mod status;
pub mod sync;
pub mod update;
