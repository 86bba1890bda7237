//! Single values of DynamoDB's JSON, read without more memory than they may have.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A whole number; `None` for anything else.
pub(super) struct Number;

impl<'de> DeserializeSeed<'de> for Number {
    type Value = Option<u64>;

    fn deserialize<D: de::Deserializer<'de>>(self, json: D) -> Result<Option<u64>, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Number {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Option<u64>, E> {
        Ok(Some(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<u64>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<u64>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// Texts, as long as there is room for them; an empty one, which no set holds, takes some too.
struct Texts<'r>(&'r mut usize);

impl<'de> DeserializeSeed<'de> for Texts<'_> {
    type Value = Vec<String>;

    fn deserialize<D: de::Deserializer<'de>>(self, json: D) -> Result<Vec<String>, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Texts<'_> {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = seq.next_element::<String>()? {
            *self.0 = self.0.saturating_sub(text.len().max(1));
            if *self.0 == 0 {
                return Err(de::Error::custom("too large"));
            }
            texts.push(text);
        }
        Ok(texts)
    }
}

/// A value such as `{"S": "text"}`. Of the types that no attribute of ours has, only the type is kept. Holds the room
/// for the texts of a set, which is none when there are too many.
pub(super) struct Attribute<'r>(pub(super) &'r mut usize);

impl<'de> DeserializeSeed<'de> for Attribute<'_> {
    type Value = AttributeValue;

    fn deserialize<D: de::Deserializer<'de>>(self, json: D) -> Result<AttributeValue, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Attribute<'_> {
    type Value = AttributeValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a typed value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AttributeValue, A::Error> {
        let Some(kind) = map.next_key::<String>()? else {
            return Err(de::Error::custom("no type"));
        };
        let value = match kind.as_str() {
            "S" => AttributeValue::S(map.next_value()?),
            "N" => AttributeValue::N(map.next_value()?),
            "SS" => AttributeValue::Ss(map.next_value_seed(Texts(self.0))?),
            "NS" => AttributeValue::Ns(map.next_value_seed(Texts(self.0))?),
            "BOOL" => AttributeValue::Bool(map.next_value()?),
            "NULL" => AttributeValue::Null(map.next_value()?),
            other => {
                let value = match other {
                    "B" => AttributeValue::B(Blob::new([])),
                    "BS" => AttributeValue::Bs(Vec::new()),
                    "L" => AttributeValue::L(Vec::new()),
                    "M" => AttributeValue::M(HashMap::new()),
                    _ => return Err(de::Error::custom("no type")),
                };
                map.next_value::<IgnoredAny>()?;
                value
            }
        };
        if map.next_key::<IgnoredAny>()?.is_some() {
            return Err(de::Error::custom("two types"));
        }
        Ok(value)
    }
}
