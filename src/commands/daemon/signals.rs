//! What the daemon is asked to do while it runs.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Context, Error, ErrorKind};

/// What somebody wants; the later ones include the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    /// An update now.
    Update,
    /// The configuration read anew, and an update now.
    Reload,
    /// The end.
    Stop,
}

/// The signals that mean something to the daemon.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user1: Signal,
}

impl Signals {
    /// From here on the signals no longer kill the process.
    pub(super) fn install() -> Result<Self, Error> {
        let listen = |kind| signal(kind).context(ErrorKind::Internal, "cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
            user1: listen(SignalKind::user_defined1())?,
        })
    }

    /// Waits for the next wish. Nothing is lost when the waiting is given up.
    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hangup.recv() => Wish::Reload,
            _ = self.user1.recv() => Wish::Update,
        }
    }
}
