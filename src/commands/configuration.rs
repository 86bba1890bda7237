//! The configuration file, found and read.

use std::fs::File;
use std::io::ErrorKind::{NotFound, PermissionDenied};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::cli::Options;
use crate::config::{Config, DEFAULT_PATH};
use crate::error::{Context, Error, ErrorKind};

/// No configuration is longer, in bytes; what is longer is another file.
const LONGEST: u64 = 1 << 20;

/// The configuration that the command line names or that is where it usually is, and warnings about it. With tables
/// from files, the usual one may be missing.
///
/// # Errors
/// [`ErrorKind::Config`] when it cannot be read, or is wrong.
pub fn load(options: &Options) -> Result<(Config, Vec<String>), Error> {
    load_from(options, options.users.is_some())
}

/// The same for those who work with the tables: they may sit at a machine that no table knows of, so the usual file
/// may be missing.
///
/// # Errors
/// As [`load`].
pub fn load_if_there(options: &Options) -> Result<(Config, Vec<String>), Error> {
    load_from(options, true)
}

fn load_from(options: &Options, may_be_missing: bool) -> Result<(Config, Vec<String>), Error> {
    let path = &path(options);
    let (text, mode) = match read(path) {
        Err(error) if error.kind() == NotFound && options.config.is_none() && may_be_missing => {
            return Ok((Config::default(), Vec::new()));
        }
        read => read.context(ErrorKind::Config, format!("cannot read the configuration {}", path.display()))?,
    };
    let (config, mut warnings) = Config::parse(&text, path)?;
    warnings.extend(config.doubts_about_mode(path, mode));
    Ok((config, warnings))
}

/// Where the last update left its report. Who may not read the configuration, as it holds a secret, may read the
/// report where it usually is.
///
/// # Errors
/// As [`load`].
pub fn status_file(options: &Options) -> Result<PathBuf, Error> {
    match read(&path(options)) {
        Err(error) if error.kind() == PermissionDenied || (error.kind() == NotFound && options.config.is_none()) => {
            Ok(Config::default().status_file)
        }
        _ => Ok(load(options)?.0.status_file),
    }
}

/// Under `--root`, the usual one is that of the tree: this host's configuration is not the image's.
fn path(options: &Options) -> PathBuf {
    match (&options.config, &options.root) {
        (Some(named), _) => named.clone(),
        (None, Some(root)) => root.join(DEFAULT_PATH.trim_start_matches('/')),
        (None, None) => DEFAULT_PATH.into(),
    }
}

/// The bytes of the file and its mode.
fn read(path: &Path) -> std::io::Result<(Vec<u8>, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.mode();
    let mut text = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(std::io::Error::other(format!("it is longer than {LONGEST} bytes")));
    }
    Ok((text, mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    #[test]
    fn a_file_that_is_named_must_be_there_and_be_one() {
        for (path, want) in [("/nonexistent/x.cfg", "No such file"), ("/", "directory"), ("/dev/zero", "longer than")] {
            let source = Some(Source::Stdin);
            let options = Options { config: Some(path.into()), users: source, ..Options::default() };
            for error in [load(&options).unwrap_err(), status_file(&options).unwrap_err()] {
                assert_eq!(error.kind(), ErrorKind::Config);
                assert!(error.to_string().contains(want) && error.to_string().contains(path), "{error}");
            }
        }
    }
}
