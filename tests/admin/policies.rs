//! The IAM policies, held against the requests that the commands send.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::office::*;
use super::support::emulator::Emulator;

/// The permissions that a request needs, and the attributes that it names.
fn needs(operation: &str, body: &Value) -> (Vec<String>, BTreeSet<String>) {
    let parts: Vec<(&str, &Value)> = match operation {
        "TransactWriteItems" => body["TransactItems"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|item| item.as_object().unwrap())
            .map(|(kind, part)| (kind.as_str(), part))
            .collect(),
        _ => vec![(operation, body)],
    };
    let mut actions = Vec::new();
    let mut attributes = BTreeSet::new();
    for (kind, part) in parts {
        let is_part = matches!(kind, "Put" | "Update" | "Delete");
        actions.push(format!("dynamodb:{kind}{}", if is_part { "Item" } else { "" }));
        let names = part["ExpressionAttributeNames"].as_object();
        attributes.extend(names.into_iter().flatten().map(|(_, name)| name.as_str().unwrap().to_owned()));
        attributes.extend(part["Key"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
        // What an expression names is aliased, so nothing else is named.
        for expression in ["UpdateExpression", "ConditionExpression", "ProjectionExpression"] {
            let text = part[expression].as_str().unwrap_or_default();
            for word in text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '#' | ':')) {
                let known = [
                    "SET",
                    "REMOVE",
                    "ADD",
                    "DELETE",
                    "AND",
                    "contains",
                    "attribute_exists",
                    "attribute_not_exists",
                    "",
                ];
                assert!(word.starts_with(['#', ':']) || known.contains(&word), "{word} in {text}");
            }
        }
    }
    (actions, attributes)
}

fn policy(office: &Office, role: &str) -> (Value, Vec<String>) {
    let policy: Value =
        serde_json::from_str(&office.done(&format!("tables policy {role} --account 123456789012"))).unwrap();
    let statements = policy["Statement"].as_array().unwrap().clone();
    let actions = statements.iter().flat_map(|statement| statement["Action"].as_array().unwrap().clone());
    let actions = actions.map(|action| action.as_str().unwrap().to_owned()).collect();
    assert_eq!(policy["Version"], "2012-10-17");
    (policy, actions)
}

#[test]
fn the_policies_allow_what_the_commands_send_and_hardly_more() {
    let emulator = Emulator::start();
    let proxy = with_backups(&emulator);
    let office = Office::new("policy", &proxy.url());
    office.done("tables create --tag a=b");
    office.done("tables describe");
    office.done("group add dev");
    office.done("user add alice --groups dev --key laptop.pub");
    office.done("user set alice --shell /bin/zsh");
    office.done("user list");
    office.done("user show alice");
    for line in [
        "user expire alice 2031-01-01",
        "user enable alice",
        "user add bob --uid 3000",
        "user delete bob --yes",
        "group join dev alice",
        "group set dev --gid 4000",
        "group list",
        "group show dev",
        "group leave dev alice",
        "group delete dev --yes",
        "key add alice phone.pub",
        "key list alice",
        "key disable alice phone",
        "key enable alice phone",
        "key delete alice phone",
    ] {
        office.done(line);
    }
    let etc = office.0.join("host/etc");
    std::fs::create_dir_all(&etc).unwrap();
    let passwd =
        |shell: &str| std::fs::write(etc.join("passwd"), format!("ann:x:1500:1500::/home/ann:{shell}\n")).unwrap();
    std::fs::write(etc.join("group"), "ann:x:1500:\n").unwrap();
    for (shell, line) in
        [("/bin/sh", "export"), ("/bin/zsh", "export --overwrite"), ("/bin/sh", "export --overwrite --dry-run")]
    {
        passwd(shell);
        office.done(&format!("{line} --no-shadow --no-gshadow --root host"));
    }
    office.done("export --from-tables --to-files users.json groups.json");
    let (document, allowed) = policy(&office, "admin");
    let needed: BTreeSet<String> =
        proxy.calls().iter().flat_map(|(operation, body)| needs(operation, body).0).collect();
    for action in &needed {
        assert!(allowed.contains(action), "{action}");
    }
    // Tags are set by CreateTable and listed by people.
    let spare: Vec<&String> = allowed.iter().filter(|action| !needed.contains(*action)).collect();
    assert_eq!(spare, ["dynamodb:TagResource", "dynamodb:ListTagsOfResource"]);
    let arn = |table: &str| format!("arn:aws:dynamodb:eu-west-1:123456789012:table/{table}");
    assert_eq!(document["Statement"][0]["Resource"], json!([arn("Users"), arn("Groups")]));

    let (_, allowed) = policy(&office, "reader");
    assert_eq!(allowed, ["dynamodb:Scan"]);
    let before = proxy.calls().len();
    let root = office.0.join("root");
    std::fs::create_dir(&root).unwrap();
    for line in ["sync", "check", "explain alice", "sync --dry-run"] {
        office.run(&format!("{line} --root {}", root.display()));
    }
    let calls = proxy.calls();
    assert!(calls.len() > before && calls[before..].iter().all(|(operation, _)| operation == "Scan"));

    let (document, allowed) = policy(&office, "self");
    let before = proxy.calls().len();
    for line in [
        "key list alice",
        "key add alice phone.pub",
        "key add alice phone.pub --expires 2031-01-01",
        "key disable alice laptop",
        "key enable alice laptop",
        "key disable alice phone",
        "key delete alice phone",
        "key delete alice laptop",
    ] {
        office.done(line);
    }
    let statement = |sid: &str| {
        let statements = document["Statement"].as_array().unwrap();
        statements.iter().find(|statement| statement["Sid"] == sid).unwrap()["Condition"].clone()
    };
    let calls = proxy.calls();
    let mut seen = BTreeSet::new();
    for (operation, body) in &calls[before..] {
        let (actions, attributes) = needs(operation, body);
        assert!(actions.iter().all(|action| allowed.contains(action)), "{actions:?}");
        let condition = statement(if operation == "GetItem" { "ReadOwnKeys" } else { "WriteOwnKeys" });
        let own = condition["ForAllValues:StringEquals"]["dynamodb:Attributes"].as_array().unwrap();
        assert!(attributes.iter().all(|attribute| own.contains(&json!(attribute))), "{attributes:?}");
        assert_eq!(condition["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"], json!(["${aws:username}"]));
        assert_eq!(condition["Null"], json!({"dynamodb:LeadingKeys": "false", "dynamodb:Attributes": "false"}));
        assert_eq!(body["Key"], json!({"Name": {"S": "alice"}}));
        match operation.as_str() {
            // Select is SPECIFIC_ATTRIBUTES exactly when attributes are projected.
            "GetItem" => assert!(body["ProjectionExpression"].is_string(), "{body}"),
            _ => {
                let returned = condition["StringEquals"]["dynamodb:ReturnValues"].as_array().unwrap();
                assert!(returned.contains(&body["ReturnValues"]), "{body}");
                assert!(body["ConditionExpression"].as_str().unwrap().starts_with("attribute_exists(#name)"), "{body}");
            }
        }
        seen.insert(operation.clone());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["GetItem", "UpdateItem"]);
}
