//! An HTTP/1.1 server for tests: as many threads as connections, up to a limit, all of them gone when it is dropped.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Connections served at a time; more are closed.
const MOST: usize = 32;

/// A request, as far as tests care.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Request {
    /// A header, empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON, null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// What the server does about a request.
pub enum Reply {
    /// Answers: status, further header lines (each ended by CRLF), body.
    Answer(u16, String, String),
    /// Announces all of the body, sends half, closes.
    Truncated(String),
    /// Closes without a word.
    Drop,
    /// Never answers.
    Hang,
    /// Sends the body a byte at a time, with this between two.
    Drip(String, Duration),
    /// Begins a body and goes on with blanks for ever.
    Endless(String),
}

impl Reply {
    /// An answer in JSON.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::Answer(status, "Content-Type: application/x-amz-json-1.0\r\n".to_owned(), body.to_string())
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// The server. It answers until it is dropped.
pub struct HttpServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    requests: Arc<Mutex<Vec<Request>>>,
    acceptor: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Listens on a free port of the loopback interface.
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let handler: Arc<Handler> = Arc::new(handler);
        let acceptor = thread::spawn({
            let (stop, requests) = (Arc::clone(&stop), Arc::clone(&requests));
            move || {
                let busy = Arc::new(AtomicUsize::new(0));
                for stream in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    if busy.fetch_add(1, Ordering::SeqCst) >= MOST {
                        busy.fetch_sub(1, Ordering::SeqCst);
                        continue;
                    }
                    let (stop, requests, busy) = (Arc::clone(&stop), Arc::clone(&requests), Arc::clone(&busy));
                    let handler = Arc::clone(&handler);
                    thread::spawn(move || {
                        // A client that goes away is no fault of the test.
                        let _ = serve(stream, &*handler, &requests, &stop);
                        busy.fetch_sub(1, Ordering::SeqCst);
                    });
                }
            }
        });
        Self { address, stop, requests, acceptor: Some(acceptor) }
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes accept(2).
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn serve(
    mut stream: TcpStream,
    handler: &Handler,
    requests: &Mutex<Vec<Request>>,
    stop: &AtomicBool,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_millis(50)))?;
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer, stop)? {
        requests.lock().unwrap().push(request.clone());
        match handler(&request) {
            Reply::Answer(status, headers, body) => {
                let length = body.len();
                write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{headers}\r\n{body}")?;
            }
            Reply::Truncated(body) => {
                let half = &body[..body.len() / 2];
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{half}", body.len())?;
                return Ok(());
            }
            Reply::Drop => return Ok(()),
            Reply::Hang => {
                while !stop.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(20));
                }
                return Ok(());
            }
            Reply::Endless(body) => {
                write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n", body.len())?;
                let chunk = [b"100000\r\n", &[b' '; 1 << 20][..], b"\r\n"].concat();
                while !stop.load(Ordering::SeqCst) {
                    stream.write_all(&chunk)?;
                }
                return Ok(());
            }
            Reply::Drip(body, pause) => {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
                for byte in body.bytes() {
                    if stop.load(Ordering::SeqCst) {
                        return Ok(());
                    }
                    stream.write_all(&[byte])?;
                    thread::sleep(pause);
                }
            }
        }
        stream.flush()?;
    }
    Ok(())
}

/// The next request of a connection, `None` at its end.
fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>, stop: &AtomicBool) -> io::Result<Option<Request>> {
    loop {
        if let Some((request, length)) = parse(buffer) {
            buffer.drain(..length);
            return Ok(Some(request));
        }
        if stop.load(Ordering::SeqCst) {
            return Ok(None);
        }
        let mut chunk = [0; 16 * 1024];
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(None),
            Ok(length) => buffer.extend_from_slice(&chunk[..length]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
}

/// A whole request at the start of `buffer`, and its length there.
fn parse(buffer: &[u8]) -> Option<(Request, usize)> {
    let end = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    let body = buffer.get(end..end + length)?;
    let body = String::from_utf8_lossy(body).into_owned();
    Some((Request { method, path, headers, body }, end + length))
}
