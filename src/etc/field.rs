//! Fields of a line, and the numbers in them as the C library and as the shadow tools read them.

use std::fmt;

/// isspace(3) in the C locale. Not `is_ascii_whitespace`, which lacks the vertical tab.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// The text from its first byte that is not blank.
pub(super) fn trim_start(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|&&byte| is_blank(byte)).count();
    text.get(blanks..).unwrap_or_default()
}

/// The fields between the colons: always at least one.
pub(super) fn fields(line: &[u8]) -> Vec<&[u8]> {
    line.split(|&byte| byte == b':').collect()
}

/// What is before the first colon.
pub(super) fn name_of(line: &[u8]) -> &[u8] {
    line.split(|&byte| byte == b':').next().unwrap_or_default()
}

/// strtoul(3) to base 10 over the whole field: leading blanks and a sign are fine, and a negative number wraps.
/// Saturates as strtoul does.
pub(super) fn c_integer(field: &[u8]) -> Option<u64> {
    let field = trim_start(field);
    let (negative, digits) = match field {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut value = Some(0_u64);
    for digit in digits {
        value = value.and_then(|v| v.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    }
    Some(value.map_or(u64::MAX, |value| if negative { value.wrapping_neg() } else { value }))
}

/// A uid or gid as the C library takes it. A line with a number beyond 32 bits is one that it skips.
pub(super) fn c_id(field: &[u8]) -> Option<u32> {
    c_integer(field).and_then(|id| u32::try_from(id).ok())
}

/// A uid or gid as the shadow tools take it: digits only, and not the one that means "no change" to chown(2).
pub(super) fn is_plain_id(field: &[u8]) -> bool {
    field.iter().all(u8::is_ascii_digit) && c_id(field).is_some_and(|id| id != u32::MAX)
}

/// An ageing field that means the same to base 10 (the C library) and to base 0 (the shadow tools), or an empty one.
pub(super) fn is_plain_count(field: &[u8]) -> bool {
    match field {
        [] | [b'0'] => true,
        [first, ..] => *first != b'0' && field.len() <= 18 && field.iter().all(u8::is_ascii_digit),
    }
}

/// A list of names as the C library reads it: blanks before a name and empty names do not count.
pub(super) fn list(field: &[u8]) -> Vec<Vec<u8>> {
    let names = field.split(|&byte| byte == b',').map(trim_start);
    names.filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()
}

/// Writes what [`list`] reads.
pub(super) fn write_list(names: &[Vec<u8>], line: &mut Vec<u8>) {
    for (position, name) in names.iter().enumerate() {
        if position > 0 {
            line.push(b',');
        }
        line.extend_from_slice(name);
    }
}

/// Writes a number that follows a colon.
pub(super) fn write_number(number: u32, line: &mut Vec<u8>) {
    line.extend_from_slice(number.to_string().as_bytes());
}

/// A name that can be looked for, as ours can: UTF-8.
pub(super) fn name(field: &[u8]) -> Option<String> {
    std::str::from_utf8(field).ok().map(str::to_owned)
}

/// Bytes of a file as `Debug` shows them.
pub(super) struct Text<'a>(pub(super) &'a [u8]);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// What `Debug` shows of a list.
pub(super) struct Names<'a>(pub(super) &'a [Vec<u8>]);

impl fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|name| Text(name))).finish()
    }
}

/// What `Debug` shows of a password, a locked or empty one included: which of them it is may be a secret too.
pub(super) const HIDDEN: &str = "(hidden)";
