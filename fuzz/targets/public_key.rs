//! Any text is refused as a key, or its line is one line that reads back as the same key.
#![no_main]

use ddum::account::PublicKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = PublicKey::of_file_line(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match PublicKey::new(text) {
        Ok(key) => {
            let line = key.line();
            assert!(!line.contains(['\n', '\r', '\0']), "{line:?}");
            assert!(!line.starts_with('#') && !line.is_empty());
            let again = PublicKey::new(line).unwrap();
            assert_eq!(again, key);
            assert_eq!(again.fingerprint(), key.fingerprint());
            assert_eq!((again.options(), again.key_type()), (key.options(), key.key_type()));
            assert_eq!(PublicKey::of_file_line(line.as_bytes()).map(|key| key.fingerprint()), Some(key.fingerprint()));
            let _ = key.warnings();
            let _ = key.bits();
        }
        Err(why) => assert!(!why.contains(char::is_control), "{why:?}"),
    }
});
