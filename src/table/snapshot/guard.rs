//! What is let through to the JSON reader, which keeps a text whole and a mark for each level.

use std::cell::RefCell;
use std::io::{self, Read};

use super::json::LARGEST_ITEM;

/// The longest text, in bytes of JSON: each of an item's may be written as `\u00e9`.
const LONGEST_TEXT: usize = 6 * LARGEST_ITEM;

/// The most brackets within each other. DynamoDB nests 32 lists or maps, each of which is two in JSON.
const DEEPEST: usize = 100;

/// Reads as `input` does, and fails where the JSON in it asks for memory without end.
pub(super) struct Guard<'a, R> {
    input: R,
    line: usize,
    depth: usize,
    /// Bytes of the text that is open.
    text: Option<usize>,
    is_escaped: bool,
    /// Why it failed, for those who only learn that it did.
    why: &'a RefCell<Option<String>>,
}

impl<'a, R> Guard<'a, R> {
    pub(super) fn new(input: R, why: &'a RefCell<Option<String>>) -> Self {
        Self { input, line: 1, depth: 0, text: None, is_escaped: false, why }
    }

    /// What is wrong, if anything is.
    fn pass(&mut self, byte: u8) -> Option<&'static str> {
        self.line += usize::from(byte == b'\n');
        if let Some(length) = self.text {
            let is_end = byte == b'"' && !self.is_escaped;
            self.is_escaped = byte == b'\\' && !self.is_escaped;
            self.text = (!is_end).then_some(length + 1);
            return (length > LONGEST_TEXT).then_some("a text is longer than an item can be");
        }
        match byte {
            b'"' => self.text = Some(0),
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        (self.depth > DEEPEST).then_some("it is nested deeper than an item can be")
    }
}

impl<R: Read> Read for Guard<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(buffer)?;
        for byte in &buffer[..length] {
            if let Some(what) = self.pass(*byte) {
                *self.why.borrow_mut() = Some(format!("line {}: {what}", self.line));
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(length)
    }
}
