//! Any sshd_config, and one that includes itself, is read to its end.
#![no_main]

use ddum::etc::SshdConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    SshdConfig::parse(bytes, |_| Vec::new());
    // One level is enough: includes of includes multiply.
    let mut left = 1;
    SshdConfig::parse(bytes, |_| {
        left -= 1;
        if left < 0 { Vec::new() } else { vec![bytes.to_vec()] }
    });
});
