//! One file a command.

pub mod configuration;
pub mod status;
