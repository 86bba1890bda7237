//! DynamoDB's JSON, item by item.
//!
//! serde_json's own messages about content quote it, and the content may be a password hash: only what is said here,
//! and its messages about syntax, get out.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, BufReader, Read};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::super::scan::Item;
use super::guard::Guard;
use super::value::{Attribute, Number};
use crate::error::printable;

/// The most bytes of text in the attributes of an item that mean something: DynamoDB's limit for the whole of one.
pub(super) const LARGEST_ITEM: usize = 400 * 1024;

/// Why a file is no snapshot.
#[derive(Debug)]
pub(super) enum Fault {
    /// It could not be read.
    Read(io::Error),
    /// It holds something else; one line, without any value.
    Content(String),
}

/// Hands every item to `each`, with those of its attributes that are among `attributes`. Returns how many JSON
/// documents there were.
pub(super) fn read(input: impl Read, attributes: &[&str], each: impl FnMut(Item)) -> Result<usize, Fault> {
    let refused = RefCell::new(None);
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(Guard::new(input, &refused)));
    let mut reader = Reader { attributes, each, why: None, documents: 0, is_whole: false };
    // end() says whether anything but white space is left, without taking it.
    while json.end().is_err() {
        if let Err(error) = Document(&mut reader).deserialize(&mut json) {
            let place = format!("line {}", error.line());
            return Err(match error.classify() {
                Category::Io => match refused.take() {
                    Some(why) => Fault::Content(why),
                    None => Fault::Read(error.into()),
                },
                Category::Eof => Fault::Content(format!("it is cut off in {place}")),
                Category::Syntax => Fault::Content(format!("not JSON: {error}")),
                Category::Data => {
                    let why = reader.why.as_deref().unwrap_or("not an item of a table");
                    Fault::Content(format!("{place}: {why}"))
                }
            });
        }
        reader.documents += 1;
    }
    Ok(reader.documents)
}

struct Reader<'a, F> {
    attributes: &'a [&'a str],
    each: F,
    /// What is wrong, when it is one of the things that are told from each other here.
    why: Option<String>,
    documents: usize,
    /// True after a document that is a whole table.
    is_whole: bool,
}

impl<F: FnMut(Item)> Reader<'_, F> {
    /// An error for serde to carry out; its text is kept here.
    fn fault<E: de::Error>(&mut self, why: impl Into<String>) -> E {
        self.why = Some(why.into());
        E::custom("")
    }

    fn attribute<'de, A: MapAccess<'de>>(&mut self, key: String, map: &mut A, item: &mut Item) -> Result<(), A::Error> {
        if !self.attributes.contains(&key.as_str()) {
            map.next_value::<IgnoredAny>()?;
            return Ok(());
        }
        let mut room = LARGEST_ITEM;
        let value = map.next_value_seed(Attribute(&mut room));
        let value = value.inspect_err(|_| {
            let example = r#"{"S": "text"} or {"N": "1"}"#;
            self.why = Some(match room {
                0 => format!("attribute {key} has more than 400 KB"),
                _ => format!("attribute {key} is not written as DynamoDB's JSON, such as {example}"),
            });
        })?;
        if item.contains_key(&key) {
            return Err(self.fault(format!("an item has the attribute {key} twice")));
        }
        item.insert(key, value);
        Ok(())
    }

    fn item<E: de::Error>(&mut self, item: Item) -> Result<(), E> {
        if !item.contains_key("Name") {
            return Err(self.fault("an item without Name: this is not the output of aws dynamodb scan, nor an export"));
        }
        let size: usize = item.values().map(size).sum();
        if size > LARGEST_ITEM {
            let name = item.get("Name").and_then(|name| name.as_s().ok()).map_or("", String::as_str);
            return Err(self.fault(format!("item \"{}\" has more than 400 KB", printable(name))));
        }
        (self.each)(item);
        Ok(())
    }
}

fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        AttributeValue::Ss(texts) | AttributeValue::Ns(texts) => texts.iter().map(String::len).sum(),
        _ => 0,
    }
}

/// An object with `Items`, an array of items, an object with `Item`, or an item.
struct Document<'r, 'a, F>(&'r mut Reader<'a, F>);

impl<'de, F: FnMut(Item)> DeserializeSeed<'de> for Document<'_, '_, F> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Item)> Visitor<'de> for Document<'_, '_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        whole(self.0)?;
        Items(self.0).visit_seq(seq).map(drop)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let reader = self.0;
        let mut items = None;
        let mut count = None;
        let mut more = None;
        let mut wrapped = false;
        let mut item = Item::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "Items" => items = map.next_value_seed(Items(reader))?.or(items),
                "Item" => {
                    map.next_value_seed(One(reader))?;
                    wrapped = true;
                }
                "Count" => count = map.next_value_seed(Number)?,
                "LastEvaluatedKey" | "NextToken" => {
                    if map.next_value::<Option<IgnoredAny>>()?.is_some() {
                        more = Some(key);
                    }
                }
                "NewImage" | "OldImage" => {
                    return Err(reader.fault("this is an incremental export; only a full one holds the whole table"));
                }
                _ => reader.attribute(key, &mut map, &mut item)?,
            }
        }
        match (items, wrapped) {
            (Some(items), _) => {
                whole(reader)?;
                if let Some(key) = more {
                    return Err(reader.fault(format!("it has {key}, so this is only a part of the table")));
                }
                match count {
                    Some(count) if count != items => {
                        Err(reader.fault(format!("it has {items} items and says {count}; is this the whole table?")))
                    }
                    _ => Ok(()),
                }
            }
            (None, true) => after_part(reader),
            (None, false) => {
                after_part(reader)?;
                reader.item(item)
            }
        }
    }
}

/// A document that is a whole table must be the only one.
fn whole<F: FnMut(Item), E: de::Error>(reader: &mut Reader<'_, F>) -> Result<(), E> {
    reader.is_whole = true;
    if reader.documents == 0 { Ok(()) } else { Err(reader.fault("more than one table in one file")) }
}

fn after_part<F: FnMut(Item), E: de::Error>(reader: &mut Reader<'_, F>) -> Result<(), E> {
    if reader.is_whole { Err(reader.fault("an item after the end of the table")) } else { Ok(()) }
}

/// The items of an array; `None` when it is not an array (an attribute may be called `Items`).
struct Items<'r, 'a, F>(&'r mut Reader<'a, F>);

impl<'de, F: FnMut(Item)> DeserializeSeed<'de> for Items<'_, '_, F> {
    type Value = Option<u64>;

    fn deserialize<D: de::Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Item)> Visitor<'de> for Items<'_, '_, F> {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut count = 0;
        while seq.next_element_seed(One(self.0))?.is_some() {
            count += 1;
        }
        Ok(Some(count))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// One item.
struct One<'r, 'a, F>(&'r mut Reader<'a, F>);

impl<'de, F: FnMut(Item)> DeserializeSeed<'de> for One<'_, '_, F> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, F: FnMut(Item)> Visitor<'de> for One<'_, '_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut item = Item::new();
        while let Some(key) = map.next_key::<String>()? {
            self.0.attribute(key, &mut map, &mut item)?;
        }
        self.0.item(item)
    }
}
