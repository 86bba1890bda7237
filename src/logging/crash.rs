//! What is said when the program itself is wrong. The words of a panic may quote what it was at: an item, a line of
//! shadow. Its place in the source tells as much to whoever mends it, and nothing to anybody else.

use std::io::{self, Write};
use std::panic;
use std::thread;

/// From here on a panic is told by its place alone, on standard error.
///
/// Not through the logger, which may be what panicked. A thread's panic is an error of its user or its update, and that
/// is logged as every other.
pub fn withhold_words() {
    panic::set_hook(Box::new(|about| {
        let place = about.location().map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
        let thread = thread::current();
        let name = thread.name().unwrap_or("without a name");
        let text = format!("ddum: internal error{place} in the thread {name}; its words are withheld\n");
        // Nobody may be there to read it.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }));
}
