//! One file a command.

mod apart;
pub mod check;
pub mod configuration;
pub mod daemon;
pub mod desk;
pub mod explain;
pub mod export;
pub mod group;
pub mod key;
pub mod report;
pub mod say;
pub mod status;
pub mod sync;
pub mod tables;
mod told;
pub mod update;
pub mod user;
