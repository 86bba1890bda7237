//! Any login.defs gives a mode that is one.
#![no_main]

use ddum::etc::LoginDefs;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = LoginDefs::parse(bytes);
    assert!(read.new_home_mode() <= 0o7777);
    assert_eq!(LoginDefs::parse(bytes).uid_min, read.uid_min);
});
