//! Tables from files: what `aws dynamodb scan` prints, or the lines of an export to S3, unpacked.
//!
//! A file is read as a stream, so that of its text no more than one item is in memory.

mod guard;
mod json;
mod value;
mod write;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::item::{GROUP_ATTRIBUTES, USER_ATTRIBUTES};
use super::scan::Tally;
use super::{Collection, Scan};
use crate::account::Day;
use crate::config::{Config, Source};
use crate::error::{Context, Error, ErrorKind, Table};

pub use write::Document;

/// The most bytes taken from one file. A table of 1,000,000 users has 700 MB.
const LONGEST: u64 = 2 << 30;

/// Reads both tables from files. `user_defaults` comes from `config`; `today` tells which dates are in the future.
///
/// A file holds one object with `Items` (as `aws dynamodb scan` prints it), an array of items (`--query Items`), or
/// one item a line, bare or as `{"Item": …}` (an export to S3). A directory stands for all of the `.json` files in it,
/// in order of name.
///
/// # Errors
/// [`ErrorKind::Usage`] when both are standard input, [`ErrorKind::File`] when a file cannot be read, and
/// [`ErrorKind::Table`] when it is not the whole of a table.
pub fn read(users: &Source, groups: &Source, config: &Config, today: Day) -> Result<Scan, Error> {
    read_watching(users, groups, config, today, None)
}

/// The same, with the items of one name shown.
///
/// # Errors
/// As [`read`].
pub fn read_watching(
    users: &Source,
    groups: &Source,
    config: &Config,
    today: Day,
    name: Option<&str>,
) -> Result<Scan, Error> {
    if *users == Source::Stdin && *groups == Source::Stdin {
        let message = "users and groups cannot both come from standard input; put one of them into a file";
        return Err(Error::new(ErrorKind::Usage, message));
    }
    let mut collection = Collection::new(&config.user_defaults, today, name);
    read_one(users, Table::Users, &mut collection)?;
    read_one(groups, Table::Groups, &mut collection)?;
    let source = format!("{} and {}", called(users), called(groups));
    Ok(collection.finish(Tally::default(), source))
}

fn called(source: &Source) -> String {
    match source {
        Source::File(path) => path.display().to_string(),
        Source::Stdin => "standard input".to_owned(),
    }
}

fn read_one(source: &Source, table: Table, collection: &mut Collection<'_>) -> Result<(), Error> {
    match source {
        Source::Stdin => read_stream(io::stdin().lock(), "standard input", table, false, collection),
        Source::File(path) => {
            let metadata = fs::metadata(path).at("cannot read", path)?;
            if !metadata.is_dir() {
                return read_file(path, table, false, collection);
            }
            for file in files_of(path)? {
                // A part of an export without items has no bytes either.
                read_file(&file, table, true, collection)?;
            }
            Ok(())
        }
    }
}

fn read_file(path: &Path, table: Table, may_be_empty: bool, collection: &mut Collection<'_>) -> Result<(), Error> {
    let file = File::open(path).at("cannot open", path)?;
    read_stream(BufReader::new(file), &path.display().to_string(), table, may_be_empty, collection)
}

/// The data files in the directory of an export.
fn files_of(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).at("cannot read", directory)? {
        let path = entry.at("cannot read", directory)?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => return Err(packed(&path.display().to_string())),
            Some("json") => files.push(path),
            _ => {}
        }
    }
    files.sort_unstable();
    if files.is_empty() {
        let message = format!("{} holds no .json file; accounts left as they were", directory.display());
        return Err(Error::new(ErrorKind::Table, message));
    }
    Ok(files)
}

fn packed(name: &str) -> Error {
    Error::new(ErrorKind::Table, format!("{name} is compressed; unpack it with gunzip first"))
}

fn read_stream(
    mut input: impl BufRead,
    name: &str,
    table: Table,
    may_be_empty: bool,
    collection: &mut Collection<'_>,
) -> Result<(), Error> {
    let bad = |why: String| Error::new(ErrorKind::Table, format!("{name}: {why}; accounts left as they were"));
    let mut start = [0; 3];
    let length = read_up_to(&mut input, &mut start).at("cannot read", name)?;
    let mut start = &start[..length];
    match *start {
        [0x1f, 0x8b, ..] => return Err(packed(name)),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Err(bad("it is UTF-16 text, and must be UTF-8".to_owned())),
        [0xef, 0xbb, 0xbf] => start = &[],
        _ => {}
    }
    let attributes: &[&str] = match table {
        Table::Users => &USER_ATTRIBUTES,
        Table::Groups => &GROUP_ATTRIBUTES,
    };
    let mut limited = start.chain(input).take(LONGEST);
    let documents = json::read(&mut limited, attributes, |item| collection.add(table, &item));
    if limited.limit() == 0 {
        return Err(bad(format!("it has {LONGEST} bytes or more")));
    }
    match documents {
        // What a failed command leaves behind must not pass for a table without items.
        Ok(0) if !may_be_empty => Err(bad("it is empty; a table without items is {\"Items\": []}".to_owned())),
        Ok(_) => Ok(()),
        Err(json::Fault::Read(error)) => Err(error).at("cannot read", name),
        Err(json::Fault::Content(why)) => Err(bad(why)),
    }
}

/// Fills `buffer` as far as the input goes. A pipe may give its first bytes one at a time.
fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match input.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests;
