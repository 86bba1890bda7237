//! Any configuration is taken or refused in one line that shows no secret and forges no log.
#![no_main]

use std::path::Path;

use ddum::config::{Config, Secret};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Config::parse(bytes, Path::new("/etc/x.cfg")) {
        Ok((config, warnings)) => {
            for warning in warnings {
                assert!(!warning.contains(char::is_control), "{warning:?}");
            }
            // Not a search for the secret: a name of a key may be one.
            let mut other = config.clone();
            for secret in [&mut other.aws_secret_key, &mut other.aws_session_token].into_iter().flatten() {
                *secret = Secret::new("another".to_owned());
            }
            assert_eq!(format!("{config:?}"), format!("{other:?}"), "a secret in Debug");
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
    }
});
