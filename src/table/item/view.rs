//! An item as people may see it: its attributes without what is secret in them.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Defaults, GROUP_ATTRIBUTES, USER_ATTRIBUTES, known_as, letters};
use crate::config::DefaultValue;
use crate::error::{Table, printable};
use crate::table::scan::Item;

/// An item of the name that a scan watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Where it is.
    pub table: Table,
    /// What it says, and what `user_defaults` say where it says nothing.
    pub attributes: Vec<Attribute>,
}

/// One attribute, or one element of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its value, fit for one line; of a password only whether there is one.
    pub text: String,
    /// Whether it comes from `user_defaults` and not from the item.
    pub is_default: bool,
}

/// The keys that were put aside.
const DISABLED: &str = "DisabledSSHPublicKeys";

impl Watched {
    pub(in crate::table) fn new(table: Table, item: &Item, defaults: &Defaults) -> Self {
        let known: &[&str] = match table {
            Table::Users => &USER_ATTRIBUTES,
            Table::Groups => &GROUP_ATTRIBUTES,
        };
        let mut attributes = Vec::new();
        for name in known {
            match item.get(*name).filter(|value| !matches!(value, AttributeValue::Null(_))) {
                Some(value) => attributes.extend(shown(name, value)),
                None if table == Table::Users => {
                    attributes.extend(defaults.get(*name).map(|value| filled(name, value, item)));
                }
                None => {}
            }
        }
        // Not one that a host reads, but what was put aside may be just what somebody looks for.
        let aside = item.get(DISABLED).filter(|_| table == Table::Users).filter(|value| value.is_ss());
        attributes.extend(aside.into_iter().flat_map(|value| shown(DISABLED, value)));
        let known = |name: &&str| known.contains(name) || (aside.is_some() && *name == DISABLED);
        let mut others: Vec<&str> = item.keys().map(String::as_str).filter(|name| !known(name)).collect();
        others.sort_unstable();
        if !others.is_empty() {
            let names: Vec<String> = others.into_iter().map(printable).collect();
            let text = format!("{} (no meaning to ddum)", names.join(", "));
            attributes.push(Attribute { name: "others".to_owned(), text, is_default: false });
        }
        Self { table, attributes }
    }
}

fn shown(name: &str, value: &AttributeValue) -> Vec<Attribute> {
    let texts = match value {
        AttributeValue::S(text) if name == "Password" => vec![password(text).to_owned()],
        AttributeValue::S(text) if text.is_empty() => vec!["(empty)".to_owned()],
        AttributeValue::S(text) | AttributeValue::N(text) => vec![printable(text)],
        AttributeValue::Ss(texts) if matches!(name, "SSHPublicKeys" | DISABLED) => {
            let mut keys: Vec<String> = texts.iter().map(|text| known_as(text)).collect();
            keys.sort_unstable();
            keys
        }
        AttributeValue::Ss(texts) => {
            let mut texts: Vec<String> = texts.iter().map(|text| printable(text)).collect();
            texts.sort_unstable();
            vec![texts.join(", ")]
        }
        other => vec![format!("(of type {})", letters(other))],
    };
    texts.into_iter().map(|text| Attribute { name: name.to_owned(), text, is_default: false }).collect()
}

/// What a password is, and nothing of it.
fn password(text: &str) -> &'static str {
    match text {
        "" => "empty",
        "*" => "none (*)",
        text if text.starts_with('!') => "locked",
        _ => "set",
    }
}

fn filled(name: &str, value: &DefaultValue, item: &Item) -> Attribute {
    let user = item.get("Name").and_then(|value| value.as_s().ok()).map_or("", String::as_str);
    let fill = |text: &String| text.replace("{name}", user);
    let text = match value {
        DefaultValue::Text(_) if name == "Password" => "set".to_owned(),
        DefaultValue::Text(text) => printable(&fill(text)),
        DefaultValue::List(texts) if name == "SSHPublicKeys" => {
            texts.iter().map(|text| known_as(&fill(text))).collect::<Vec<_>>().join(", ")
        }
        DefaultValue::List(texts) => texts.iter().map(|text| printable(&fill(text))).collect::<Vec<_>>().join(", "),
    };
    Attribute { name: name.to_owned(), text, is_default: true }
}
