//! The wish to stop, as signal handlers tell it to work in progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, ErrorKind};

/// A flag that is set once, by a signal, and looked at between steps that must not be torn apart. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the stop.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether the stop was asked for.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// For the `?` between two steps.
    ///
    /// # Errors
    /// [`ErrorKind::Stopped`] once the stop was asked for.
    pub fn check(&self) -> Result<(), Error> {
        if self.is_set() { Err(Error::new(ErrorKind::Stopped, "told to stop")) } else { Ok(()) }
    }
}
