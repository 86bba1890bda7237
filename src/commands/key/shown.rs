//! `ddum key list`, and how keys are told.

use serde_json::{Value, json};

use super::super::desk::{Desk, columns};
use super::super::say;
use super::{DISABLED, KEYS};
use crate::account::{Day, PublicKey};
use crate::cli::key::Who;
use crate::cli::user::Form;
use crate::error::{Error, exit, printable};

pub(super) async fn list(desk: &Desk, who: &Who, form: Form) -> Result<u8, Error> {
    let (name, item) = desk.keys_of(who).await?;
    if form == Form::Json {
        say::json(&json!({"user": name.as_str(), "keys": values(item.texts(KEYS)),
                          "disabled_keys": values(item.texts(DISABLED))}))?;
        return Ok(exit::DONE);
    }
    let mut rows = vec![["FINGERPRINT", "BITS", "TYPE", "EXPIRES", "STATE", "COMMENT"].map(str::to_owned).to_vec()];
    for (attribute, state) in [(KEYS, "enabled"), (DISABLED, "disabled")] {
        for text in sorted(item.texts(attribute)) {
            rows.push(match PublicKey::new(text) {
                Ok(key) => {
                    let (bits, comment) = (key.bits().map_or("-".into(), |bits| bits.to_string()), key.comment());
                    let expires = match expiry(&key) {
                        Some(expiry) if is_past(&expiry, desk.today) => format!("{expiry}, past"),
                        Some(expiry) => expiry,
                        None => "never".to_owned(),
                    };
                    let kind = kind(&key).to_owned();
                    vec![key.fingerprint(), bits, kind, expires, state.into(), printable(comment)]
                }
                Err(why) => vec!["(no key)".into(), "-".into(), "-".into(), "-".into(), "refused".into(), why],
            });
        }
    }
    say::lines(columns(&rows))?;
    Ok(exit::DONE)
}

/// The first moment that an `expiry-time` option names.
pub(super) fn expiry(key: &PublicKey) -> Option<String> {
    let lower = key.options().to_ascii_lowercase();
    let values = lower.match_indices("expiry-time=\"").filter_map(|(at, name)| {
        let value = key.options().get(at + name.len()..)?;
        value.split_once('"').map(|(value, _)| value)
    });
    let first = values.min()?;
    let date = first.get(..8).and_then(|date| Day::parse(date).ok())?;
    let time = first.get(8..).filter(|time| !time.is_empty()).map_or(String::new(), |time| format!(" {time}"));
    Some(format!("{date}{time}"))
}

/// Whether the day of an expiry has begun. Of a day that has an hour with it, only the end counts: hosts have time
/// zones of their own.
fn is_past(expiry: &str, today: Day) -> bool {
    match expiry.split_once(' ') {
        Some((date, _)) => Day::parse(date).is_ok_and(|date| date < today),
        None => Day::parse(expiry).is_ok_and(|date| date <= today),
    }
}

/// The type as `ssh-keygen -l` prints it, where it has a name for it.
fn kind(key: &PublicKey) -> &str {
    match key.key_type() {
        "ssh-rsa" => "RSA",
        "ssh-dss" => "DSA",
        "ssh-ed25519" => "ED25519",
        "sk-ssh-ed25519@openssh.com" => "ED25519-SK",
        "sk-ecdsa-sha2-nistp256@openssh.com" => "ECDSA-SK",
        "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521" => "ECDSA",
        other => other,
    }
}

/// `SHA256:… (laptop)`.
pub(in crate::commands) fn known_as(key: &PublicKey) -> String {
    let comment = Some(key.comment()).filter(|comment| !comment.is_empty());
    format!("{}{}", key.fingerprint(), comment.map_or(String::new(), |comment| format!(" ({})", printable(comment))))
}

pub(super) fn named(line: &str) -> String {
    PublicKey::of_file_line(line.as_bytes()).map_or_else(|| "a value that is no key".to_owned(), |key| known_as(&key))
}

fn sorted(texts: &[String]) -> Vec<&String> {
    let mut texts: Vec<&String> = texts.iter().collect();
    texts.sort_unstable();
    texts
}

/// One line a key, the first with a heading.
pub(in crate::commands) fn lines(heading: &str, keys: &[String]) -> Vec<String> {
    let line = |(place, text): (usize, &String)| {
        let bits = PublicKey::new(text).ok().map(|key| {
            let bits = key.bits().map_or(String::new(), |bits| format!(" {bits}"));
            let expires = expiry(&key).map_or(String::new(), |date| format!(", until {date}"));
            format!("{}{bits}{expires}", kind(&key))
        });
        let heading = if place == 0 { heading } else { "" };
        format!("{heading:<11} {}{}", named(text), bits.map_or(String::new(), |bits| format!(", {bits}")))
    };
    sorted(keys).into_iter().enumerate().map(line).collect()
}

/// Keys for programs; a value that is no key says why.
pub(in crate::commands) fn values(keys: &[String]) -> Value {
    sorted(keys)
        .into_iter()
        .map(|text| match PublicKey::new(text) {
            Ok(key) => json!({
                "fingerprint": key.fingerprint(), "type": key.key_type(), "bits": key.bits(),
                "comment": key.comment(), "options": key.options(), "expires": expiry(&key),
            }),
            Err(why) => json!({"refused": why}),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA+WWckC5HovqsNXGLGG/vIPqy97mAHpc3xSmzlXbY+t my laptop";

    #[test]
    fn the_earliest_of_several_expiries_counts() {
        let key = |options: &str| PublicKey::new(&format!("{options} {KEY}")).unwrap();
        let several = key("expiry-time=\"20990101\",EXPIRY-TIME=\"203001011200Z\"");
        assert_eq!(expiry(&several).unwrap(), "2030-01-01 1200Z");
        assert_eq!(expiry(&key("restrict")), None);
    }
}
