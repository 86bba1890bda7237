//! IAM policies with the least that hosts, administrators and users need.
//!
//! Everything that changes items is conditional and names its attributes, so who may change nothing but his own keys
//! can be held to that by IAM: by the key of the item and by the attributes that a request names.

use serde_json::{Value, json};

/// What an administrator's commands send, about items and about the tables. Transactions have no permission of their
/// own: they need those of their parts.
pub const ADMIN: [&str; 11] = [
    "dynamodb:Scan",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:CreateTable",
    "dynamodb:UpdateContinuousBackups",
    "dynamodb:TagResource",
    "dynamodb:ListTagsOfResource",
];

/// The attributes of a Users item that the user himself may read and change. The key is named by every request.
pub const OWN: [&str; 3] = ["Name", "SSHPublicKeys", "DisabledSSHPublicKeys"];

/// The ARN of a table, which the configuration may have given as one.
#[must_use]
pub fn arn(table: &str, region: &str, account: &str) -> String {
    let partition = match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    if table.starts_with("arn:") {
        return table.to_owned();
    }
    format!("arn:{partition}:dynamodb:{region}:{account}:table/{table}")
}

/// For hosts: they scan, and do nothing else.
#[must_use]
pub fn reader(users: &str, groups: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "ReadAccounts", "Effect": "Allow", "Action": ["dynamodb:Scan"], "Resource": [users, groups]},
    ]})
}

/// For administrators. It cannot delete the tables.
#[must_use]
pub fn admin(users: &str, groups: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "ManageAccounts", "Effect": "Allow", "Action": ADMIN, "Resource": [users, groups]},
    ]})
}

/// For IAM users who manage the keys of the item that has their name.
///
/// `ForAllValues` holds for a request that names none, so `Null` makes sure that it names some. An update that gave
/// back the whole item, and a read that names no attributes, would show the password hash.
#[must_use]
pub fn own(users: &str) -> Value {
    let mine = |one_more: (&str, Value)| {
        let mut condition = json!({
            "Null": {"dynamodb:LeadingKeys": "false", "dynamodb:Attributes": "false"},
            "ForAllValues:StringEquals": {
                "dynamodb:LeadingKeys": ["${aws:username}"],
                "dynamodb:Attributes": OWN,
            },
        });
        condition["StringEquals"] = json!({one_more.0: one_more.1});
        condition
    };
    json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "ReadOwnKeys", "Effect": "Allow", "Action": ["dynamodb:GetItem"], "Resource": [users],
         "Condition": mine(("dynamodb:Select", json!("SPECIFIC_ATTRIBUTES")))},
        {"Sid": "WriteOwnKeys", "Effect": "Allow", "Action": ["dynamodb:UpdateItem"], "Resource": [users],
         "Condition": mine(("dynamodb:ReturnValues", json!(["NONE", "UPDATED_OLD", "UPDATED_NEW"])))},
    ]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_named_by_its_arn() {
        for (table, region, want) in [
            ("Users", "eu-west-1", "arn:aws:dynamodb:eu-west-1:123456789012:table/Users"),
            ("Users", "cn-north-1", "arn:aws-cn:dynamodb:cn-north-1:123456789012:table/Users"),
            ("Users", "us-gov-west-1", "arn:aws-us-gov:dynamodb:us-gov-west-1:123456789012:table/Users"),
            ("arn:aws:dynamodb:x:1:table/U", "eu-west-1", "arn:aws:dynamodb:x:1:table/U"),
        ] {
            assert_eq!(arn(table, region, "123456789012"), want);
        }
    }
}
