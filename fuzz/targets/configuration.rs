//! Any configuration is taken or refused in one line that shows no secret and forges no log.
#![no_main]

use std::path::Path;

use ddum::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Config::parse(bytes, Path::new("/etc/x.cfg")) {
        Ok((config, warnings)) => {
            for warning in warnings {
                assert!(!warning.contains(char::is_control), "{warning:?}");
            }
            let shown = format!("{config:?}");
            for secret in [&config.aws_secret_key, &config.aws_session_token].into_iter().flatten() {
                // A short one may be part of anything.
                assert!(secret.expose().len() < 12 || !shown.contains(secret.expose()), "a secret in Debug");
            }
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
    }
});
