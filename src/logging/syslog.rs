//! A syslog daemon, on a Unix datagram socket or a UDP port.

use std::io::{self, Error, ErrorKind};
use std::net::{ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use super::line::{Line, level};
use crate::config::{Facility, Format, SyslogAddress};

/// As long one line may wait for a syslog daemon that does not read.
const PATIENCE: Duration = Duration::from_secs(1);

/// After that, as long no further line is tried: an update that logs a thousand lines must not wait for each.
const SILENCE: Duration = Duration::from_secs(10);

/// The longest message. Receivers must take 2048 bytes (RFC 5424, 6.1), and the usual ones take 8 KiB.
const LONGEST: usize = 8192;

pub(super) struct Syslog {
    address: SyslogAddress,
    socket: Option<Socket>,
    silent_until: Option<Instant>,
}

enum Socket {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

impl Syslog {
    /// Connects when there is something to say, so that a syslog daemon may start after ddum.
    pub(super) fn new(address: SyslogAddress) -> Self {
        Self { address, socket: None, silent_until: None }
    }

    pub(super) fn write(&mut self, message: &[u8]) -> io::Result<()> {
        if self.silent_until.is_some_and(|until| Instant::now() < until) {
            return Err(ErrorKind::TimedOut.into());
        }
        // A second try, on a new socket: the daemon may have been restarted since the last line.
        let sent = self.send(message).or_else(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Err(error),
            _ => {
                self.socket = None;
                self.send(message)
            }
        });
        if sent.is_err() {
            self.socket = None;
            self.silent_until = Some(Instant::now() + SILENCE);
        }
        sent
    }

    fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => connect(&self.address)?,
        };
        let sent = match &socket {
            Socket::Unix(socket) => socket.send(message),
            Socket::Udp(socket) => socket.send(message),
        };
        self.socket = Some(socket);
        sent.map(drop)
    }
}

fn connect(address: &SyslogAddress) -> Result<Socket, Error> {
    match address {
        SyslogAddress::Socket(path) => {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(Socket::Unix(socket))
        }
        SyslogAddress::Udp(host, port) => {
            let to = (host.as_str(), *port).to_socket_addrs()?.next().ok_or(ErrorKind::NotFound)?;
            let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
            socket.connect(to)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(Socket::Udp(socket))
        }
    }
}

/// What is sent: `<30>ddum[4127]: …`. No time: the receiver notes when it got the message, and one of ours would have
/// to be in the host's local time.
pub(super) fn message(facility: Facility, line: &Line<'_>, format: Option<&Format>) -> String {
    let (_, _, severity) = level(line.record.level());
    let priority = u16::from(facility.number()) * 8 + u16::from(severity);
    let text = match format {
        Some(format) => line.formatted(format),
        None => format!("ddum[{}]: {}", std::process::id(), line.message),
    };
    let mut message = format!("<{priority}>{text}");
    while message.len() > LONGEST {
        message.pop();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(write: impl FnOnce(&Line<'_>)) {
        let record = log::Record::builder().level(log::Level::Warn).build();
        write(&Line { record: &record, message: "é".repeat(3).as_str(), time: std::time::UNIX_EPOCH });
    }

    #[test]
    fn a_message_begins_with_facility_and_severity() {
        line(|line| {
            let id = std::process::id();
            assert_eq!(message(Facility::DAEMON, line, None), format!("<28>ddum[{id}]: ééé"));
            let (format, _) = Format::parse("tag: %(message)s", None).unwrap();
            assert_eq!(message(Facility::USER, line, Some(&format)), "<12>tag: ééé");
        });
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test clears up after itself")]
    fn a_daemon_that_comes_back_gets_the_next_line_and_one_that_does_not_read_costs_a_second_once() {
        let path = std::env::temp_dir().join(format!("ddum-syslog-{}-{}", std::process::id(), fastrand::u64(..)));
        let mut syslog = Syslog::new(SyslogAddress::Socket(path.clone()));
        let mut buffer = [0; 100];
        for _ in 0..2 {
            let server = UnixDatagram::bind(&path).unwrap();
            line(|line| syslog.write(message(Facility::DAEMON, line, None).as_bytes()).unwrap());
            let length = server.recv(&mut buffer).unwrap();
            assert!(buffer[..length].starts_with(b"<28>ddum["));
            drop(server);
            std::fs::remove_file(&path).unwrap();
        }
        let server = UnixDatagram::bind(&path).unwrap();
        let started = Instant::now();
        for _ in 0..2000 {
            let _ = syslog.write(b"<28>ddum: line");
        }
        let took = started.elapsed();
        assert!(took >= PATIENCE && took < PATIENCE * 3, "{took:?}");
        drop(server);
        std::fs::remove_file(&path).unwrap();
    }
}
