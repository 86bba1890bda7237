//! Any file as both tables: read whole or refused whole, and every item that is taken is well formed. The items of a
//! live table take the same way from their attributes on.
#![no_main]

#[path = "shared/scan.rs"]
mod scan;

use std::path::PathBuf;
use std::sync::LazyLock;

use ddum::account::Day;
use ddum::config::{Config, Source};
use libfuzzer_sys::fuzz_target;

static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
    folder.join(format!("ddum-fuzz-{}.json", std::process::id()))
});
static CONFIG: LazyLock<Config> = LazyLock::new(Config::default);

fuzz_target!(|bytes: &[u8]| {
    std::fs::write(&*FILE, bytes).unwrap();
    let source = Source::File(FILE.clone());
    let scan = match ddum::table::snapshot::read(&source, &source, &CONFIG, Day::from_unix(1_800_000_000)) {
        Ok(scan) => scan,
        Err(error) => {
            assert!(!error.to_string().contains(char::is_control), "{error}");
            return;
        }
    };
    scan::judge(&scan);
});
