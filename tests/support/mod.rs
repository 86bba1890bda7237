//! What the integration tests share: a DynamoDB that works ([`emulator`]), one that does not ([`faults`]), and the
//! HTTP server under it ([`http`]).
//!
//! Everything here is synchronous and runs in threads of its own, so that the code under test has its runtime alone.

#![expect(dead_code, reason = "each test program uses a part")]

pub mod emulator;
pub mod faults;
pub mod http;
pub mod proxy;

use serde_json::{Value, json};

/// A Users item with what is required and a home and a shell.
pub fn user_item(name: &str, uid: u32) -> Value {
    json!({
        "Name": {"S": name}, "UID": {"N": uid.to_string()}, "GID": {"N": uid.to_string()},
        "RealName": {"S": ""}, "Home": {"S": format!("/home/{name}")}, "Shell": {"S": "/bin/sh"},
    })
}

/// A Groups item.
pub fn group_item(name: &str, gid: u32, members: &[&str]) -> Value {
    let mut item = json!({"Name": {"S": name}, "GID": {"N": gid.to_string()}});
    if !members.is_empty() {
        item["Members"] = json!({"SS": members});
    }
    item
}
