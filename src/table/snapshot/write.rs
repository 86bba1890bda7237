//! A table into a file that [`read`](super::read) takes: `{"Items": [` , one item a line in order of name, `], "Count": n}`.
//! The count tells a file that was cut off between two items from a whole one.

use aws_sdk_dynamodb::types::AttributeValue;
use base64_simd::STANDARD;
use serde_json::{Map, Value, json};

use super::super::scan::Item;

/// The items of one table, as text already.
#[derive(Default)]
pub struct Document {
    items: Vec<(String, String)>,
}

// Not derived: items hold password hashes.
impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Document({} items)", self.items.len())
    }
}

impl Document {
    pub(in crate::table) fn add(&mut self, item: &Item) {
        let name = item.get("Name").and_then(|name| name.as_s().ok()).cloned().unwrap_or_default();
        // In order of attribute: the same table gives the same file.
        let mut attributes: Vec<(&String, &AttributeValue)> = item.iter().collect();
        attributes.sort_unstable_by_key(|(attribute, _)| (*attribute != "Name", *attribute));
        let fields: Vec<String> = attributes
            .into_iter()
            .map(|(attribute, value)| format!("{}: {}", json!(attribute), typed(value)))
            .collect();
        self.items.push((name, format!("{{{}}}", fields.join(", "))));
    }

    /// A record as an item of its table.
    pub fn add_record(&mut self, record: &crate::table::Record) {
        self.add(&record.item());
    }

    /// How many items there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.items.len()
    }

    /// The whole file.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.items.sort_unstable();
        let count = self.items.len();
        let lines: Vec<String> = self.items.into_iter().map(|(_, item)| item).collect();
        format!("{{\"Items\": [\n{}\n], \"Count\": {count}}}\n", lines.join(",\n")).into_bytes()
    }
}

/// A value as DynamoDB's JSON has it.
fn typed(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(digits) => json!({"N": digits}),
        AttributeValue::Ss(texts) => json!({"SS": sorted(texts)}),
        AttributeValue::Ns(numbers) => json!({"NS": sorted(numbers)}),
        AttributeValue::Bool(flag) => json!({"BOOL": flag}),
        AttributeValue::B(blob) => json!({"B": STANDARD.encode_to_string(blob)}),
        AttributeValue::Bs(blobs) => {
            json!({"BS": blobs.iter().map(|blob| STANDARD.encode_to_string(blob)).collect::<Vec<_>>()})
        }
        AttributeValue::L(values) => json!({"L": values.iter().map(typed).collect::<Vec<_>>()}),
        AttributeValue::M(values) => {
            json!({"M": values.iter().map(|(key, value)| (key.clone(), typed(value))).collect::<Map<_, _>>()})
        }
        // NULL, and what a later DynamoDB may have, which no attribute of ours is.
        _ => json!({"NULL": true}),
    }
}

fn sorted(texts: &[String]) -> Vec<&String> {
    let mut texts: Vec<&String> = texts.iter().collect();
    texts.sort_unstable();
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_sorted_and_every_type_is_written() {
        let mut document = Document::default();
        for name in ["bob", "ann"] {
            let mut item = Item::new();
            item.insert("Name".into(), AttributeValue::S(name.into()));
            item.insert("B".into(), AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new("hi\n")));
            item.insert("Keys".into(), AttributeValue::Ss(vec!["z".into(), "a\"".into()]));
            item.insert(
                "Map".into(),
                AttributeValue::M([("x".into(), AttributeValue::L(vec![AttributeValue::Null(true)]))].into()),
            );
            document.add(&item);
        }
        let line = |name: &str| {
            format!(
                r#"{{"Name": {{"S":"{name}"}}, "B": {{"B":"aGkK"}}, "Keys": {{"SS":["a\"","z"]}}, "Map": {{"M":{{"x":{{"L":[{{"NULL":true}}]}}}}}}}}"#
            )
        };
        let want = format!("{{\"Items\": [\n{},\n{}\n], \"Count\": 2}}\n", line("ann"), line("bob"));
        assert_eq!(String::from_utf8(document.into_bytes()).unwrap(), want);
        assert_eq!(Document::default().into_bytes(), b"{\"Items\": [\n\n], \"Count\": 0}\n");
    }
}
