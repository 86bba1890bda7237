//! Homes that did not answer, remembered from one update to the next.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::pool::lock;

/// The places that did not answer in time while this process lives: true where a thread still hangs.
#[derive(Clone, Debug, Default)]
pub(super) struct LeftBehind(Arc<Mutex<BTreeMap<Arc<str>, bool>>>);

impl LeftBehind {
    /// How many threads hang.
    pub(super) fn count(&self) -> usize {
        lock(&self.0).values().filter(|hangs| **hangs).count()
    }

    /// Whether the place did not answer when it was last tried. Such places are better tried last.
    pub(super) fn knows(&self, place: &str) -> bool {
        lock(&self.0).contains_key(place)
    }

    pub(super) fn hangs(&self, place: &str) -> bool {
        lock(&self.0).get(place).is_some_and(|hangs| *hangs)
    }

    pub(super) fn add(&self, place: Arc<str>) {
        lock(&self.0).insert(place, true);
    }

    pub(super) fn end(&self, place: &str) {
        if let Some(hangs) = lock(&self.0).get_mut(place) {
            *hangs = false;
        }
    }

    pub(super) fn answered(&self, place: &str) {
        lock(&self.0).remove(place);
    }
}
