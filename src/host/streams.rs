//! The standard streams of a process that nobody watches any more.

use rustix::fs::{Mode, OFlags};

use crate::error::{Context, Error};

/// Lets standard input, output and error lead to `/dev/null`, so that whoever waits for their end waits no longer.
///
/// # Errors
/// When there is no `/dev/null`.
pub fn detach_streams() -> Result<(), Error> {
    let what = "cannot lead the standard streams to";
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).at(what, "/dev/null")?;
    rustix::stdio::dup2_stdin(&null).at(what, "/dev/null")?;
    rustix::stdio::dup2_stdout(&null).at(what, "/dev/null")?;
    rustix::stdio::dup2_stderr(&null).at(what, "/dev/null")
}
