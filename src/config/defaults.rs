//! `user_defaults`: values for attributes that an item of the Users table lacks.

use std::collections::BTreeMap;

use super::value::Setting;
use crate::account::{Day, Gecos, Gid, HomeDir, PasswordHash, PublicKey, Shell, ageing_days};
use crate::error::{Error, ErrorKind};
use crate::spelling::nearest;

/// What an attribute is when the item does not say. Numbers are text, as they are in DynamoDB.
#[derive(Clone, PartialEq, Eq)]
pub enum DefaultValue {
    /// A string or a number.
    Text(String),
    /// A set of strings.
    List(Vec<String>),
}

// Not derived: one of the values may be a password hash.
impl std::fmt::Debug for DefaultValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(…)",
            Self::List(_) => "List(…)",
        })
    }
}

/// What an attribute is in JSON.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    List,
}

type Check = fn(&str) -> Result<(), String>;

/// The attributes that may have a default, and who says what may be in them.
const ATTRIBUTES: [(&str, Kind, Check); 12] = [
    ("AccountExpireDate", Kind::Text, |text| Day::parse(text).map(drop)),
    ("GID", Kind::Number, |text| Gid::parse(text).map(drop)),
    ("Home", Kind::Text, |text| HomeDir::new(text).map(drop)),
    ("LastPasswordChangeDate", Kind::Text, |text| Day::parse(text).map(drop)),
    ("Password", Kind::Text, |text| PasswordHash::new(text).map(drop)),
    ("PasswordAgeMaxDays", Kind::Number, |text| ageing_days(text).map(drop)),
    ("PasswordAgeMinDays", Kind::Number, |text| ageing_days(text).map(drop)),
    ("PasswordDisableDays", Kind::Number, |text| ageing_days(text).map(drop)),
    ("PasswordWarnDays", Kind::Number, |text| ageing_days(text).map(drop)),
    ("RealName", Kind::Text, |text| Gecos::new(text).map(drop)),
    ("Shell", Kind::Text, |text| Shell::new(text).map(drop)),
    ("SSHPublicKeys", Kind::List, |text| PublicKey::new(text).map(drop)),
];

pub(super) fn parse(object: &Setting<'_>) -> Result<BTreeMap<String, DefaultValue>, Error> {
    let mut defaults = BTreeMap::new();
    for setting in object.object()? {
        let name = setting.name(object);
        let Some((_, kind, check)) = ATTRIBUTES.iter().find(|(known, ..)| *known == name) else {
            return Err(unknown(&setting, &name));
        };
        // A default that no user can have is better refused here than once for every user.
        let checked = |text: String| match check(&text.replace("{name}", "name")) {
            Ok(()) => Ok(text),
            Err(why) => Err(Error::new(ErrorKind::Config, format!("{}: {why}", setting.place()))),
        };
        let value = match kind {
            Kind::Text if name == "Password" => DefaultValue::Text(checked(setting.secret_text()?)?),
            Kind::Text => DefaultValue::Text(checked(setting.text()?)?),
            Kind::Number => {
                let number = setting.number().ok_or_else(|| setting.wrong("a whole number"))?;
                DefaultValue::Text(checked(number.to_string())?)
            }
            Kind::List => {
                let allowed = "a list of strings";
                let texts = setting.list(allowed)?.into_iter().map(|part| checked(part.text_as(allowed)?));
                DefaultValue::List(texts.collect::<Result<_, _>>()?)
            }
        };
        defaults.insert(name, value);
    }
    Ok(defaults)
}

fn unknown(setting: &Setting<'_>, name: &str) -> Error {
    let why = match name {
        "Name" | "UID" => "is what every user has of their own; it cannot have a default".to_owned(),
        _ => {
            let known = || ATTRIBUTES.into_iter().map(|(name, ..)| name);
            let hint = nearest(name, known()).map_or_else(
                || format!("known are {}", known().collect::<Vec<_>>().join(", ")),
                |known| format!("did you mean \"{known}\"?"),
            );
            format!("is no attribute of the Users table that can have a default; {hint}")
        }
    };
    Error::new(ErrorKind::Config, format!("{} {why}", setting.place()))
}
