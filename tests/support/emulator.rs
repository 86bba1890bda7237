//! dynoxide, a DynamoDB emulator that is not ours, in a thread of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};
use tokio::sync::oneshot;

/// A DynamoDB that works.
pub struct Emulator {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Emulator {
    /// Without tables.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let database = dynoxide::Database::memory().unwrap();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    _ = dynoxide::server::serve_on(listener, database) => {},
                    _ = stopped => {},
                }
            });
        });
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    /// With empty tables `Users` and `Groups`.
    pub fn with_tables() -> Self {
        let emulator = Self::start();
        emulator.create_table("Users");
        emulator.create_table("Groups");
        emulator
    }

    /// What to give as `endpoint_url`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A table with the key `Name`.
    pub fn create_table(&self, name: &str) {
        self.call(
            "CreateTable",
            &json!({
                "TableName": name, "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "Name", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "Name", "KeyType": "HASH"}],
            }),
        );
    }

    /// Puts items, written as DynamoDB's JSON.
    pub fn put(&self, table: &str, items: &[Value]) {
        for batch in items.chunks(25) {
            let puts: Vec<Value> = batch.iter().map(|item| json!({"PutRequest": {"Item": item}})).collect();
            let answer = self.call("BatchWriteItem", &json!({"RequestItems": {table: puts}}));
            assert!(answer["UnprocessedItems"].as_object().is_none_or(serde_json::Map::is_empty), "{answer}");
        }
    }

    /// Deletes the item with this name.
    pub fn delete(&self, table: &str, name: &str) {
        self.call("DeleteItem", &json!({"TableName": table, "Key": {"Name": {"S": name}}}));
    }

    /// Any operation of DynamoDB. Panics unless it succeeds.
    pub fn call(&self, operation: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut stream = TcpStream::connect(self.address).unwrap();
        // The emulator wants a signature and does not check it.
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\n\
             Content-Type: application/x-amz-json-1.0\r\nX-Amz-Date: 20261122T000000Z\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20261122/us-east-1/dynamodb/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature=0000\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{operation}: {answer}");
        serde_json::from_str(body).unwrap()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
