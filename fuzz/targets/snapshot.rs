//! Any file as both tables: read whole or refused whole, and every item that is taken is well formed. The items of a
//! live table take the same way from their attributes on.
#![no_main]

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
    for rejection in &scan.rejections {
        assert!(!rejection.to_string().contains(char::is_control), "{rejection}");
    }
    let accounts = &scan.accounts;
    assert!(accounts.users.is_sorted_by(|a, b| a.name < b.name));
    assert!(accounts.groups.is_sorted_by(|a, b| a.name < b.name));
    for user in &accounts.users {
        for text in [user.name.as_str(), user.real_name.as_str(), user.home.as_str(), user.shell.as_str()] {
            assert!(!text.contains([':', '\n', '\r', '\0', '\u{b}', '\u{c}']), "{text:?}");
        }
        let hash = user.password.as_ref().map_or("*", |hash| hash.expose());
        assert!(!hash.is_empty() && !hash.contains([':', '\n', '\r', '\0', ' ']));
        assert!(user.uid.get() != 65535 && user.uid.get() != u32::MAX);
        for key in &user.keys {
            assert!(!key.line().contains(['\n', '\r', '\0']));
        }
    }
    for group in &accounts.groups {
        assert!(group.members.iter().all(|name| !name.as_str().contains([':', ',', '\n'])));
    }
});
