//! `user_defaults`: values for attributes that an item of the Users table lacks.

use std::collections::BTreeMap;

use super::value::Setting;
use crate::error::{Error, ErrorKind, printable};
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

const TEXTS: [&str; 6] = ["RealName", "Home", "Shell", "Password", "LastPasswordChangeDate", "AccountExpireDate"];
const NUMBERS: [&str; 5] =
    ["GID", "PasswordAgeMinDays", "PasswordAgeMaxDays", "PasswordWarnDays", "PasswordDisableDays"];
const LISTS: [&str; 1] = ["SSHPublicKeys"];

pub(super) fn parse(object: &Setting<'_>) -> Result<BTreeMap<String, DefaultValue>, Error> {
    let mut defaults = BTreeMap::new();
    for setting in object.object()? {
        let name = setting.name(object);
        let setting = if name == "Password" { setting.secret() } else { setting };
        let value = if TEXTS.contains(&name.as_str()) {
            DefaultValue::Text(setting.text()?)
        } else if NUMBERS.contains(&name.as_str()) {
            let number = setting.number().ok_or_else(|| setting.wrong("a whole number"))?;
            DefaultValue::Text(number.to_string())
        } else if LISTS.contains(&name.as_str()) {
            let allowed = "a list of strings";
            let values = setting.list(allowed)?;
            DefaultValue::List(values.iter().map(|value| value.text_as(allowed)).collect::<Result<_, _>>()?)
        } else {
            return Err(unknown(&setting, &name));
        };
        defaults.insert(name, value);
    }
    Ok(defaults)
}

fn unknown(setting: &Setting<'_>, name: &str) -> Error {
    let why = match name {
        "Name" | "UID" => "is what every user has of their own; it cannot have a default".to_owned(),
        _ => {
            let known = || TEXTS.into_iter().chain(NUMBERS).chain(LISTS);
            let hint = nearest(name, known()).map_or_else(
                || format!("known are {}", known().collect::<Vec<_>>().join(", ")),
                |known| format!("did you mean \"{}\"?", printable(known)),
            );
            format!("is no attribute of the Users table; {hint}")
        }
    };
    Error::new(ErrorKind::Config, format!("{} {why}", setting.place()))
}
