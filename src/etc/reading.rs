//! Which of the two readers of the account files takes a line, and what it takes it for.

use super::{Entry, field};

/// Who reads a name on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    Both,
    CLibrary,
    ShadowTools,
    Neither,
    /// The line takes part in a join: what it says depends on the version of the shadow tools.
    Joined,
}

/// `+…` and `-…` stand for entries of NIS.
pub(super) fn is_nis(line: &[u8]) -> bool {
    matches!(line, [b'+' | b'-', ..])
}

/// A blank line, a comment or a NIS line: nothing in it is a name of this host.
pub(super) fn is_remark(bare: &[u8]) -> bool {
    matches!(bare, [] | [b'#', ..]) || is_nis(bare)
}

/// What the C library takes a line for, if it takes it (nss_readline of glibc, then the file's own parser).
pub(super) fn c_library_text<E: Entry>(line: &[u8]) -> Option<&[u8]> {
    let bare = field::trim_start(line);
    (!is_remark(bare) && E::c_library_reads(bare)).then_some(bare)
}

/// What the shadow tools take a line for, if they take it: they know neither comments nor blanks.
pub(super) fn shadow_tools_text<E: Entry>(line: &[u8]) -> Option<&[u8]> {
    (!is_nis(line) && line.len() < E::TOO_LONG && E::shadow_tools_read(line)).then_some(line)
}

/// Why a line is unclear, without a byte of it.
pub(super) fn fault<E: Entry>(line: &[u8], readers: Readers) -> String {
    let fields = line.split(|&byte| byte == b':').count();
    let what = if line.first().is_some_and(|&byte| field::is_blank(byte)) {
        "it begins with a blank".to_owned()
    } else if line.len() >= E::TOO_LONG {
        format!("it is {} bytes long", line.len())
    } else if fields != E::FIELDS {
        format!("it has {fields} fields instead of {}", E::FIELDS)
    } else {
        "a number in it is malformed".to_owned()
    };
    match readers {
        Readers::Joined => "it or the line before it ends in a backslash, which joins lines for some tools".to_owned(),
        Readers::CLibrary => format!("{what}: the C library reads it, but the shadow tools do not"),
        Readers::ShadowTools => format!("{what}: the shadow tools read it, but the C library does not"),
        Readers::Both | Readers::Neither => format!("{what}: nothing can read it"),
    }
}
