//! `ddum tables`.

use super::desk::Desk;
use crate::cli::Options;
use crate::cli::tables::Verb;
use crate::error::{Error, exit};

/// Runs the command and gives the exit status.
///
/// # Errors
/// When the tables did not do what was asked.
pub async fn run(options: &Options, _verb: Verb) -> Result<u8, Error> {
    Desk::open(options).await?;
    Ok(exit::DONE)
}
