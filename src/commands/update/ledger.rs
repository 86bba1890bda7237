//! Where the ledger is kept, and what becomes of one that cannot be read.

use std::path::Path;

use super::{STATE_LIMIT, Update};
use crate::error::{Error, ErrorKind};
use crate::host;
use crate::ledger::Ledger;

/// Where the ledger is.
pub(super) const LEDGER: &str = "/var/lib/ddum/ledger.json";

/// Where one is kept that is no ledger.
const UNREADABLE: &str = "/var/lib/ddum/ledger.json.unreadable";

impl Update<'_> {
    /// The ledger, and whether a new one may take its place: not where the old one is there and a disk or a want of
    /// memory keeps it from us. It may be read again next time, and no host would know which ids are ours.
    /// With `keep`, one that is no ledger is kept beside the next one, for a person to look at.
    pub(in crate::commands) fn load_ledger(&self, keep: bool, notes: &mut Vec<String>) -> (Ledger, bool) {
        let loaded = match host::load(self.root, Path::new(LEDGER), STATE_LIMIT) {
            Ok(None) => return (Ledger::default(), true),
            Ok(Some(bytes)) => Ledger::parse(&bytes).map_err(|why| {
                match keep.then(|| host::store(self.root, Path::new(UNREADABLE), &bytes, 0o600, true)) {
                    None => (why, true),
                    Some(Ok(())) => (format!("{why}; kept as {UNREADABLE}"), true),
                    Some(Err(error)) => (format!("{why}; {error}"), true),
                }
            }),
            Err(error) => Err((error.to_string(), error.kind() != ErrorKind::File)),
        };
        loaded.map(|ledger| (ledger, true)).unwrap_or_else(|(why, is_replaceable)| {
            notes.push(format!("{LEDGER}: {why}; accounts are taken over again by their UID"));
            (Ledger::default(), is_replaceable)
        })
    }

    pub(super) fn store_ledger(&self, ledger: &Ledger) -> Result<(), Error> {
        host::store(self.root, Path::new(LEDGER), &ledger.to_bytes(), 0o600, true)
    }
}
