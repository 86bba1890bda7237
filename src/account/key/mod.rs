//! One line of `authorized_keys` (sshd(8), AUTHORIZED_KEYS FILE FORMAT).

mod blob;
mod options;
#[cfg(test)]
mod tests;

use base64_simd::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

use crate::error::printable;

/// The longest line that is taken, in bytes; the longest key that sshd takes, RSA of 16384 bits, needs 2800.
const LONGEST: usize = 16 * 1024;
/// The longest name of an algorithm, in characters (RFC 4251 section 6).
const LONGEST_TYPE: usize = 64;

/// A public key, with the options before it and the comment after it. Sorts by its line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey {
    line: Box<str>,
    type_start: usize,
    type_end: usize,
    data_end: usize,
    bits: Option<u32>,
}

/// The parts of a line, as they stand in it.
struct Parts<'a> {
    options: &'a str,
    key_type: &'a str,
    data: &'a str,
    comment: &'a str,
}

impl PublicKey {
    /// Takes one key. What sshd would not take is refused, but for a type that is not known here and says so itself:
    /// tomorrow's keys are kept.
    ///
    /// # Errors
    /// The reason why it is no key, which quotes nothing that may be secret.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = trim(text);
        check_text(text)?;
        let text = text.replace('\t', " ");
        let parts = split(&text)?;
        let bits = check_key(&parts)?;
        Ok(Self::from_parts(&parts, bits))
    }

    /// Names the key of a line that stands in a file, whether or not sshd would take it; `None` for a line without a
    /// key. Use it for telling people what was there, not for writing it anew.
    #[must_use]
    pub fn of_file_line(line: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(line);
        let text = trim(&text);
        if text.starts_with('#') {
            return None;
        }
        if let Ok(key) = Self::new(text) {
            return Some(key);
        }
        let text = text.replace(|c: char| c.is_control(), " ");
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let start = text.len() - rest.len();
            let (key_type, after) = word(rest);
            let (data, comment) = word(after);
            if is_of_type(key_type, data) {
                let parts = Parts { options: text[..start].trim_end_matches(' '), key_type, data, comment };
                return Some(Self::from_parts(&parts, check_key(&parts).ok().flatten()));
            }
            rest = after;
        }
        None
    }

    fn from_parts(parts: &Parts<'_>, bits: Option<u32>) -> Self {
        let Parts { options, key_type, data, comment } = parts;
        let mut line = String::with_capacity(options.len() + key_type.len() + data.len() + comment.len() + 3);
        if !options.is_empty() {
            line.push_str(options);
            line.push(' ');
        }
        let type_start = line.len();
        line.push_str(key_type);
        let type_end = line.len();
        line.push(' ');
        line.push_str(data);
        let data_end = line.len();
        if !comment.is_empty() {
            line.push(' ');
            line.push_str(comment);
        }
        Self { line: line.into(), type_start, type_end, data_end, bits }
    }

    /// The line as it is written to `authorized_keys`, without its newline.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The options before the key; empty when there are none.
    #[must_use]
    pub fn options(&self) -> &str {
        self.line[..self.type_start].trim_end_matches(' ')
    }

    /// The type, such as `ssh-ed25519`.
    #[must_use]
    pub fn key_type(&self) -> &str {
        &self.line[self.type_start..self.type_end]
    }

    /// The comment after the key; empty when there is none.
    #[must_use]
    pub fn comment(&self) -> &str {
        self.line[self.data_end..].trim_start_matches(' ')
    }

    /// The size in bits, as `ssh-keygen -l` prints it; `None` for a type that is not known here.
    #[must_use]
    pub fn bits(&self) -> Option<u32> {
        self.bits
    }

    /// The fingerprint as `ssh-keygen -l` prints it, `SHA256:` and 43 characters of base64.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let blob = decode(&self.line[self.type_end + 1..self.data_end]).unwrap_or_default();
        format!("SHA256:{}", STANDARD_NO_PAD.encode_to_string(Sha256::digest(blob)))
    }

    /// What whoever maintains the table should know about a key that is taken all the same.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        match (self.key_type(), self.bits) {
            ("ssh-rsa", Some(bits @ ..2048)) => {
                warnings.push(format!("an RSA key of {bits} bits is weak, and many systems refuse it"));
            }
            ("ssh-dss", _) => {
                warnings.push(
                    "a DSA key is weak; an old sshd refuses it unless it is told otherwise, a new one always".into(),
                );
            }
            (other, None) if !blob::KNOWN.contains(&other) => {
                warnings
                    .push(format!("the key type {other} is not known, and an sshd that does not know it ignores it"));
            }
            _ => {}
        }
        for option in options::names(self.options()).unwrap_or_default() {
            let what = match option.as_str() {
                "cert-authority" => "lets in whoever has a certificate that this key signed, and not the key itself",
                "environment" => "can change what the user's programs load, where sshd permits it",
                "tunnel" => "connects networks, where sshd permits it",
                _ => continue,
            };
            warnings.push(format!("the option {option} {what}"));
        }
        warnings
    }
}

/// A byte order mark, too: with it, sshd would not know the first word of the file.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r', '\u{feff}'])
}

fn check_text(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    if text.len() > LONGEST {
        return Err(format!("it is {} bytes long, more than {LONGEST}", text.len()));
    }
    if text.starts_with("PuTTY-User-Key-File") || (text.starts_with("-----BEGIN ") && text.contains("PRIVATE KEY")) {
        return Err("it is a private key, no longer secret now; the public key belongs here".into());
    }
    if text.starts_with("---- BEGIN") || text.starts_with("-----BEGIN ") {
        return Err("it is not in the format of OpenSSH; 'ssh-keygen -i' converts it".into());
    }
    if text.contains(['\n', '\r']) {
        return Err("it has several lines, and a key is one".into());
    }
    if text.contains(|c: char| (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err("it holds a control character".into());
    }
    if text.starts_with('#') {
        return Err("it is a comment".into());
    }
    Ok(())
}

/// As sshd: what does not start with a key starts with options.
fn split(text: &str) -> Result<Parts<'_>, String> {
    let (first, after) = word(text);
    let is_type = ["ssh-", "ecdsa-", "sk-", "rsa-sha2-"].iter().any(|prefix| first.starts_with(prefix));
    let (options, rest) = if is_type || is_of_type(first, word(after).0) {
        ("", text)
    } else {
        let end = options::length(text).ok_or("a quote in its options is not closed")?;
        let options = &text[..end];
        options::names(options)?;
        (options, text[end..].trim_start_matches(' '))
    };
    let (key_type, rest) = word(rest);
    let (data, comment) = word(rest);
    Ok(Parts { options, key_type, data, comment })
}

/// The size of the key in bits, if its type is known.
fn check_key(parts: &Parts<'_>) -> Result<Option<u32>, String> {
    let Parts { options, key_type, data, .. } = *parts;
    if key_type.is_empty() {
        return Err(if options.is_empty() { "it is empty" } else { "no key follows its options" }.into());
    }
    if key_type.len() > LONGEST_TYPE || !key_type.bytes().all(|b| b.is_ascii_graphic() && b != b',' && b != b'"') {
        return Err("the word before its data names no key type".into());
    }
    if key_type.ends_with("-cert-v01@openssh.com") || key_type.ends_with("-cert-v00@openssh.com") {
        return Err("it is a certificate, which sshd never matches with a listed key; list the key itself".into());
    }
    if data.is_empty() {
        return Err(format!("no key follows the type \"{}\"", printable(key_type)));
    }
    let blob = decode(data).ok_or("its data is not base64, or is cut short")?;
    blob::bits(key_type, &blob)
}

fn is_of_type(key_type: &str, data: &str) -> bool {
    // A valid blob is at least as long as its type, so most words that are no data need not be decoded.
    !key_type.is_empty()
        && data.len() > key_type.len()
        && decode(data).is_some_and(|blob| blob::named_type(&blob) == Some(key_type.as_bytes()))
}

/// Padded and canonical base64 only, as sshd takes it.
fn decode(data: &str) -> Option<Vec<u8>> {
    STANDARD.decode_to_vec(data).ok()
}

/// The first word, and what follows it without the blanks between.
fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    (word, rest.trim_start_matches(' '))
}
