//! A server before the emulator that keeps every request, and can do something of its own before one is answered.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::http::{HttpServer, Reply, Request};

/// The server.
pub struct Proxy {
    server: HttpServer,
}

impl Proxy {
    /// Stands before the emulator at `url`; `before` is called with each request before it goes on, unless it answers.
    pub fn start(url: &str, before: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let address = url.trim_start_matches("http://").to_owned();
        let server = HttpServer::start(move |request| before(request).unwrap_or_else(|| forward(&address, request)));
        Self { server }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// All requests so far, as operation and body.
    pub fn calls(&self) -> Vec<(String, serde_json::Value)> {
        self.server.requests().iter().map(|request| (operation(request).to_owned(), request.json())).collect()
    }
}

/// `UpdateItem` of `DynamoDB_20120810.UpdateItem`.
pub fn operation(request: &Request) -> &str {
    request.header("x-amz-target").rsplit('.').next().unwrap_or_default()
}

/// The answer of the emulator at `address`.
pub fn forward(address: &str, request: &Request) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut head = format!("POST / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in &request.headers {
        if name.starts_with("x-amz") || matches!(name.as_str(), "authorization" | "content-type") {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    write!(stream, "{head}Content-Length: {}\r\n\r\n{}", request.body.len(), request.body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply::Answer(status, "Content-Type: application/x-amz-json-1.0\r\n".to_owned(), body.to_owned())
}
