//! A file of entries: every line is kept, and only those that were set differ when it is written back.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::marker::PhantomData;

use super::reading::{Readers, c_library_text, fault, is_nis, is_remark, shadow_tools_text};
use super::{Entry, Found, field};

/// One of the four files, line by line.
#[derive(Clone)]
pub struct Lines<E> {
    /// The file; after it, names that stand in it only across two joined lines.
    bytes: Vec<u8>,
    /// Where each line ends, its newline included.
    ends: Vec<u32>,
    /// Every name on every line, sorted by name, then by line.
    index: Vec<Sighting>,
    /// Lines that were set, by position, without newline.
    replaced: BTreeMap<usize, Vec<u8>>,
    /// Lines that were added, without newline.
    added: Vec<Vec<u8>>,
    added_names: HashMap<String, usize>,
    entry: PhantomData<E>,
}

/// A name on a line. Offsets of 32 bits, since a directory of users may have 100,000 lines.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    start: u32,
    length: u32,
    line: u32,
    readers: Readers,
}

impl<E: Entry> Lines<E> {
    /// Takes the content of a file apart.
    ///
    /// # Errors
    /// The content holds a NUL byte, at which the shadow tools would join two lines and lose a user, or it is over
    /// 2 GiB. The message names the file and the line.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        if let Some(position) = bytes.iter().position(|&byte| byte == 0) {
            let line = 1 + bytes.iter().take(position).filter(|&&byte| byte == b'\n').count();
            return Err(format!("{}: line {line} holds a NUL byte, the file is not written", E::FILE));
        }
        // Half of what an offset can say, because joined names come on top of the file.
        if bytes.len() > small(usize::MAX) as usize / 2 {
            return Err(format!("{}: the file is over 2 GiB", E::FILE));
        }
        let mut ends: Vec<u32> = Vec::with_capacity(bytes.len() / 64);
        ends.extend(bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| small(at + 1)));
        if bytes.last().is_some_and(|&byte| byte != b'\n') {
            ends.push(small(bytes.len()));
        }
        let mut lines = Self {
            bytes,
            ends,
            index: Vec::new(),
            replaced: BTreeMap::new(),
            added: Vec::new(),
            added_names: HashMap::new(),
            entry: PhantomData,
        };
        lines.build_index();
        Ok(lines)
    }

    /// What the file, as changed so far, says of `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Found<E> {
        if let Some(&at) = self.added_names.get(name) {
            return self.added.get(at).and_then(|line| E::parse(line)).map_or(Found::Absent, Found::Entry);
        }
        let seen = self.sightings(name.as_bytes());
        let Some(first) = seen.first() else { return Found::Absent };
        if let Some(second) = seen.iter().find(|sighting| sighting.line != first.line) {
            let why = format!("the name is also on line {}", first.line + 1);
            return Found::Unclear { line: second.line as usize + 1, why };
        }
        let at = first.line as usize;
        match E::parse(self.line(at)) {
            Some(entry) if first.readers == Readers::Both => Found::Entry(entry),
            _ => Found::Unclear { line: at + 1, why: fault::<E>(self.line(at), first.readers) },
        }
    }

    /// Makes `entry` what the file says of its name: its line is replaced where it stands, or a new one is added
    /// before the first NIS line (as the shadow tools do), else at the end. Fields must be free of colons and
    /// newlines. True when that changed a byte: a line
    /// that says the same in other words stays as it is. Does nothing to a name that [`Self::find`] calls unclear.
    pub fn set(&mut self, entry: &E) -> bool {
        let mut line = Vec::new();
        entry.write(&mut line);
        if let Some(old) = self.added_names.get(entry.name()).and_then(|&at| self.added.get_mut(at)) {
            let changes = *old != line;
            *old = line;
            return changes;
        }
        match self.sightings(entry.name().as_bytes()) {
            [] => {
                self.added_names.insert(entry.name().to_owned(), self.added.len());
                self.added.push(line);
                true
            }
            &[Sighting { line: at, readers: Readers::Both, .. }] => {
                let at = at as usize;
                // A line that says the same in other bytes (blanks between members, zeros before a number) stays too.
                if E::parse(self.original(at)).as_ref() == Some(entry) {
                    self.replaced.remove(&at).is_some()
                } else if self.line(at) == line {
                    false
                } else {
                    self.replaced.insert(at, line);
                    true
                }
            }
            _ => false,
        }
    }

    /// The line of a name that stands in the file as it was read, counted from 1; of several the first.
    #[must_use]
    pub fn line_of(&self, name: &str) -> Option<usize> {
        self.sightings(name.as_bytes()).first().map(|sighting| sighting.line as usize + 1)
    }

    /// All clear entries as changed so far: those of the file by name, then those that were added. Names that are not
    /// UTF-8 are left out.
    pub fn entries(&self) -> impl Iterator<Item = E> {
        let clear = |seen: &[Sighting]| match seen {
            [only] if only.readers == Readers::Both => E::parse(self.line(only.line as usize)),
            _ => None,
        };
        let by_name = self.index.chunk_by(|a, b| self.name(a) == self.name(b)).filter_map(clear);
        by_name.chain(self.added.iter().filter_map(|line| E::parse(line)))
    }

    /// Every id that at least one reader sees, with the name and the line that has it: counted from 1 in the file as
    /// it was read, 0 for an added one. Empty for shadow and gshadow.
    #[must_use]
    pub fn ids(&self) -> Vec<(u32, String, usize)> {
        let mut ids = Vec::new();
        let mut take = |text: &[u8], line: usize| {
            if let Some(id) = E::id_on(text) {
                ids.push((id, String::from_utf8_lossy(field::name_of(text)).into_owned(), line));
            }
        };
        for at in 0..self.ends.len() {
            let line = self.line(at);
            match (c_library_text::<E>(line), shadow_tools_text::<E>(line)) {
                (Some(text), _) | (None, Some(text)) => take(text, at + 1),
                (None, None) => {}
            }
            if self.starts_join(at) {
                let joined = self.joined(at);
                shadow_tools_text::<E>(&joined).into_iter().for_each(|text| take(text, at + 1));
            }
        }
        self.added.iter().for_each(|line| take(line, 0));
        ids
    }

    /// Every name that at least one reader sees, in no order that matters; a name that occurs twice comes twice.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        let seen = self.index.iter().filter(|sighting| sighting.readers != Readers::Neither);
        seen.map(|sighting| self.name(sighting)).chain(self.added.iter().map(|line| field::name_of(line)))
    }

    /// Does what would be written differ from what was read?
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.replaced.is_empty() || !self.added.is_empty()
    }

    /// The file to write. Lines that were not set are as they were; a missing final newline is supplied, but only if
    /// there is a change.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let file = self.bytes.get(..self.start(self.ends.len())).unwrap_or_default();
        if !self.is_changed() {
            return file.to_vec();
        }
        let more: usize = self.added.iter().chain(self.replaced.values()).map(|line| line.len() + 1).sum();
        let mut out = Vec::with_capacity(file.len() + more + 1);
        let place = self.place_of_added();
        for at in 0..=self.ends.len() {
            if at == place {
                for line in &self.added {
                    out.extend_from_slice(line);
                    out.push(b'\n');
                }
            }
            if at < self.ends.len() {
                out.extend_from_slice(self.line(at));
                out.push(b'\n');
            }
        }
        out
    }

    /// Reads what [`Self::to_bytes`] gives once more and compares: every line that was not set is there, in its order,
    /// and every entry that was set is found again, once. The last check before a file is replaced.
    ///
    /// # Errors
    /// What differs, which would be a mistake of ours.
    pub fn verify(&self) -> Result<(), String> {
        let new = Self::parse(self.to_bytes())?;
        let wrong = |what: &str| Err(format!("{}: {what} in what would be written, the file is not written", E::FILE));
        if new.ends.len() != self.ends.len() + self.added.len() {
            return wrong("lines are missing or too many");
        }
        let place = self.place_of_added();
        for at in 0..self.ends.len() {
            let moved = if at < place { at } else { at + self.added.len() };
            if new.original(moved) != self.line(at) {
                return wrong("a line is not as it was");
            }
        }
        for line in self.replaced.values().chain(&self.added) {
            let Some(entry) = E::parse(line) else { return wrong("a new line is malformed") };
            if new.find(entry.name()) != Found::Entry(entry) {
                return wrong("a new line is not read as it was meant");
            }
        }
        Ok(())
    }

    fn build_index(&mut self) {
        let mut index = Vec::with_capacity(self.ends.len());
        let mut joined_names = Vec::new();
        for at in 0..self.ends.len() {
            let start = self.start(at);
            let line = self.original(at);
            let indent = line.len() - field::trim_start(line).len();
            let c_library = c_library_text::<E>(line).is_some();
            let shadow_tools = shadow_tools_text::<E>(line).is_some();
            let mut see = |start: usize, length: usize, readers| {
                index.push(Sighting { start: small(start), length: small(length), line: small(at), readers });
            };
            let bare = line.get(indent..).unwrap_or_default();
            let length = field::name_of(bare).len();
            if self.is_joined(at) {
                see(start + indent, length, Readers::Joined);
            } else {
                match (c_library, shadow_tools) {
                    (true, true) if indent == 0 => see(start, length, Readers::Both),
                    (true, false) => see(start + indent, length, Readers::CLibrary),
                    (false, true) => see(start, field::name_of(line).len(), Readers::ShadowTools),
                    (true, true) => {
                        see(start + indent, length, Readers::CLibrary);
                        see(start, field::name_of(line).len(), Readers::ShadowTools);
                    }
                    (false, false) if !is_remark(bare) => see(start + indent, length, Readers::Neither),
                    (false, false) => {}
                }
            }
            if self.starts_join(at) {
                let joined = self.joined(at);
                let name = field::name_of(&joined);
                see(self.bytes.len() + joined_names.len(), name.len(), Readers::Joined);
                joined_names.extend_from_slice(name);
            }
        }
        self.bytes.extend_from_slice(&joined_names);
        let bytes = &self.bytes;
        index.sort_unstable_by(|a, b| text_of(bytes, a).cmp(text_of(bytes, b)).then(a.line.cmp(&b.line)));
        self.index = index;
    }

    fn name(&self, sighting: &Sighting) -> &[u8] {
        text_of(&self.bytes, sighting)
    }

    fn sightings(&self, name: &[u8]) -> &[Sighting] {
        let from = self.index.partition_point(|sighting| self.name(sighting) < name);
        let rest = self.index.get(from..).unwrap_or_default();
        let count = rest.partition_point(|sighting| self.name(sighting) == name);
        rest.get(..count).unwrap_or_default()
    }

    fn start(&self, at: usize) -> usize {
        at.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |&end| end as usize)
    }

    /// The line as it was read, without its newline.
    fn original(&self, at: usize) -> &[u8] {
        let line = self.bytes.get(self.start(at)..self.start(at + 1)).unwrap_or_default();
        line.strip_suffix(b"\n").unwrap_or(line)
    }

    /// The line as it would be written, without its newline.
    fn line(&self, at: usize) -> &[u8] {
        self.replaced.get(&at).map_or_else(|| self.original(at), Vec::as_slice)
    }

    fn ends_in_backslash(&self, at: usize) -> bool {
        E::JOINS && self.original(at).ends_with(b"\\")
    }

    fn follows_backslash(&self, at: usize) -> bool {
        at.checked_sub(1).is_some_and(|before| self.ends_in_backslash(before))
    }

    fn is_joined(&self, at: usize) -> bool {
        self.ends_in_backslash(at) || self.follows_backslash(at)
    }

    fn starts_join(&self, at: usize) -> bool {
        self.ends_in_backslash(at) && !self.follows_backslash(at)
    }

    /// The one line that the lines from `at` on are to the shadow tools.
    fn joined(&self, at: usize) -> Vec<u8> {
        let mut joined = Vec::new();
        for at in at..self.ends.len() {
            let line = self.original(at);
            joined.extend_from_slice(line.strip_suffix(b"\\").unwrap_or(line));
            if !self.ends_in_backslash(at) {
                break;
            }
        }
        joined
    }

    /// Before which line added ones go. Never behind a backslash: they would be joined to it.
    fn place_of_added(&self) -> usize {
        let mut place = (0..self.ends.len()).find(|&at| is_nis(self.original(at))).unwrap_or(self.ends.len());
        while self.follows_backslash(place) {
            place -= 1;
        }
        place
    }
}

impl<E: Entry> fmt::Debug for Lines<E> {
    // Not derived: a buffer with password hashes in it must not get into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Lines({}: {} lines, {} set, {} added)",
            E::FILE,
            self.ends.len(),
            self.replaced.len(),
            self.added.len()
        )
    }
}

fn text_of<'a>(bytes: &'a [u8], sighting: &Sighting) -> &'a [u8] {
    let start = sighting.start as usize;
    bytes.get(start..start + sighting.length as usize).unwrap_or_default()
}

/// An offset or a count within a file that `parse` has found short enough.
fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
