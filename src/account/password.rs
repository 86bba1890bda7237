//! Password hashes, which no message, log or debugging output ever shows.

use std::fmt;

/// The longest password field, in bytes; the longest hash of crypt(5) needs about 130.
const LONGEST: usize = 512;

/// The password field of shadow(5) or gshadow(5): a hash of crypt(5), `*` for none, or either locked by `!` or `!!`
/// before it. `!` and `!!` alone are locked too. Its debugging output hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Box<str>);

impl PasswordHash {
    /// Takes a password hash.
    ///
    /// # Errors
    /// The reason why it is none, which never quotes any of it: it may be somebody's password.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty, which would let anybody in without a password".into());
        }
        if text.len() > LONGEST {
            return Err(format!("it is {} bytes long, more than {LONGEST}", text.len()));
        }
        if text.contains(|c: char| !c.is_ascii_graphic() || c == ':') {
            return Err("it holds white space, a colon, a control or a non-ASCII character, which no hash does".into());
        }
        // Debian's `passwd -l` puts one before the hash, Red Hat's two.
        let hash = text.strip_prefix('!').map_or(text, |rest| rest.strip_prefix('!').unwrap_or(rest));
        let locked = hash.len() < text.len();
        if hash == "*" || is_hash(hash) || (locked && hash.is_empty()) {
            Ok(Self(text.into()))
        } else {
            Err("it is not a hash of crypt(5), as 'openssl passwd -6' or mkpasswd(1) make them".into())
        }
    }

    /// The field, for writing it to its file and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// `$id$…`, `_` and 19 characters (BSDi), or 13 characters (DES), in the alphabet that crypt(5) promises. Which ids
/// there are is left to the host's libcrypt: a list here would refuse tomorrow's.
fn is_hash(text: &str) -> bool {
    let alphanumeric = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'));
    if let Some((id, rest)) = text.strip_prefix('$').and_then(|text| text.split_once('$')) {
        let is_id = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b',' | b'=');
        return !id.is_empty() && id.bytes().all(is_id) && !rest.is_empty() && !rest.contains(['!', '*', ';', '\\']);
    }
    match text.strip_prefix('_') {
        Some(rest) => rest.len() == 19 && alphanumeric(rest),
        None => text.len() == 13 && alphanumeric(text),
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA512: &str =
        "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";

    #[test]
    fn hashes_of_every_age_are_taken() {
        for text in [
            SHA512,
            "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
            "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "$6$rounds=5000$usesomesillystri$D4IrlXatmP7rx3P3InaxBeoomnAihCKRVQAr/36eYYs",
            "$md5,rounds=904$Vc3VgyFx44iS8.Yu$Scf90iLWN6O6mT9TA06NK/",
            "$3$$8846f7eaee8fb117ad06bdd830b7586c",
            "_J9..K0AyUubDrfOgO4s",
            "rl.3StKT.4T8M",
        ] {
            for field in [text.to_owned(), format!("!{text}"), format!("!!{text}")] {
                assert_eq!(PasswordHash::new(&field).unwrap().expose(), field);
            }
        }
    }

    #[test]
    fn fields_that_let_nobody_in_are_taken() {
        for text in ["*", "!", "!!", "!*"] {
            assert_eq!(PasswordHash::new(text).unwrap().expose(), text);
        }
    }

    #[test]
    fn what_is_no_hash_is_refused_without_quoting_it() {
        let too_long = format!("$6$salt${}", "x".repeat(505));
        for text in [
            "hunter2",
            "correct horse battery staple",
            "x",
            "!hunter2",
            "!!!",
            "**",
            "*hunter2",
            "$hunter2",
            "$$hunter2",
            "$6$",
            "$6$hunter2\n",
            "$6$hunter2:0:0",
            "$6$hunter2!",
            "$6$hun ter2",
            "$hun.ter$2",
            "$6$pässwort",
            "hunter2hunter!",
            too_long.as_str(),
        ] {
            let reason = PasswordHash::new(text).unwrap_err();
            assert!(!reason.contains("hunter") && !reason.contains("horse") && !reason.contains("xxx"), "{reason}");
        }
        assert!(PasswordHash::new("").unwrap_err().contains("without a password"));
    }

    #[test]
    fn debugging_output_hides_the_hash() {
        let hash = PasswordHash::new(SHA512).unwrap();
        assert_eq!(format!("{hash:?} {hash:#?}"), "PasswordHash(…) PasswordHash(…)");
    }
}
