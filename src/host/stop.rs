//! The wish to stop, as a signal handler or a caller expresses it and long work hears it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, ErrorKind};

/// A flag that is set once. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks everyone who holds a clone to stop.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// For work that can be left between two steps: an error once somebody asked.
    ///
    /// # Errors
    /// [`ErrorKind::Stopped`].
    pub fn check(&self) -> Result<(), Error> {
        if self.is_set() { Err(Error::new(ErrorKind::Stopped, "told to stop")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_hears_the_wish() {
        let stop = Stop::default();
        let other = stop.clone();
        assert!(other.check().is_ok());
        stop.set();
        assert_eq!(other.check().unwrap_err().kind(), ErrorKind::Stopped);
    }
}
