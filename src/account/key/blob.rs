//! The binary public key that the base64 of an `authorized_keys` line holds (RFC 4253 section 6.6, RFC 5656, RFC 8709,
//! OpenSSH's PROTOCOL.u2f).

use crate::error::printable;

/// What sshd takes of an RSA modulus, in bits (`SSH_RSA_MINIMUM_MODULUS_SIZE`, `OPENSSL_RSA_MAX_MODULUS_BITS`).
const RSA_BITS: std::ops::RangeInclusive<u32> = 1024..=16384;

/// The key types that OpenSSH has known for years.
pub(super) const KNOWN: [&str; 8] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-dss",
];

/// The type that a key says it is of: the string that every key starts with.
pub(super) fn named_type(blob: &[u8]) -> Option<&[u8]> {
    Reader(blob).string()
}

/// The size of a key in bits, as `ssh-keygen -l` counts it; `None` for a type that is not [`KNOWN`].
///
/// # Errors
/// The reason why this is no whole key of this type.
pub(super) fn bits(key_type: &str, blob: &[u8]) -> Result<Option<u32>, String> {
    let mut reader = Reader(blob);
    let cut_short = || "its data is cut short".to_owned();
    let named = reader.string().ok_or_else(cut_short)?;
    if named != key_type.as_bytes() {
        return Err(format!("its data is of type {}, not {key_type}", printable(&String::from_utf8_lossy(named))));
    }
    let bits = match key_type {
        "ssh-ed25519" => reader.ed25519(),
        "sk-ssh-ed25519@openssh.com" => reader.ed25519().filter(|_| reader.string().is_some()),
        "ecdsa-sha2-nistp256" => reader.ecdsa("nistp256", 256),
        "ecdsa-sha2-nistp384" => reader.ecdsa("nistp384", 384),
        "ecdsa-sha2-nistp521" => reader.ecdsa("nistp521", 521),
        "sk-ecdsa-sha2-nistp256@openssh.com" => reader.ecdsa("nistp256", 256).filter(|_| reader.string().is_some()),
        "ssh-rsa" => reader.number_bits().and_then(|_exponent| reader.number_bits()),
        "ssh-dss" => {
            let prime = reader.number_bits();
            prime.filter(|_| (0..3).all(|_| reader.number_bits().is_some()))
        }
        _ => return Ok(None),
    };
    let bits = bits.ok_or_else(|| format!("its data is not a whole {key_type} key"))?;
    if !reader.0.is_empty() {
        return Err("its data goes on after the key".into());
    }
    if key_type == "ssh-rsa" && !RSA_BITS.contains(&bits) {
        return Err(format!("it is an RSA key of {bits} bits, and sshd takes 1024 to 16384"));
    }
    Ok(Some(bits))
}

/// Reads the length-prefixed strings of RFC 4251 section 5.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn string(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (string, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        self.0 = rest;
        Some(string)
    }

    fn ed25519(&mut self) -> Option<u32> {
        self.string().filter(|point| point.len() == 32).map(|_| 256)
    }

    /// Only the uncompressed form of a point, as sshd.
    fn ecdsa(&mut self, curve: &str, bits: u32) -> Option<u32> {
        let name = self.string()?;
        let (form, coordinates) = self.string()?.split_first()?;
        let length = usize::try_from(bits.div_ceil(8) * 2).ok()?;
        (name == curve.as_bytes() && *form == 4 && coordinates.len() == length).then_some(bits)
    }

    /// The bits of a positive number; `None` for a negative one, which sshd does not take either.
    fn number_bits(&mut self) -> Option<u32> {
        let number = self.string()?;
        if number.first().is_some_and(|first| first & 0x80 != 0) {
            return None;
        }
        let digits = number.iter().position(|&byte| byte != 0).map_or(&[][..], |start| &number[start..]);
        let first = digits.first()?;
        u32::try_from(digits.len() * 8).ok()?.checked_sub(first.leading_zeros())
    }
}
