//! What the service manager is told: sd_notify(3), whose protocol is one datagram of `KEY=value` lines.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The way to the service manager, if there is one.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// The service manager that the environment names.
    #[must_use]
    pub fn from_environment() -> Self {
        let name = std::env::var_os("NOTIFY_SOCKET").unwrap_or_default();
        let number = |variable: &str| std::env::var(variable).ok()?.parse::<u64>().ok();
        // WATCHDOG_PID tells the process that is meant from its children, which inherit the variables.
        let is_meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        Self {
            socket: address(name.as_bytes()).and_then(|address| Some((socket().ok()?, address))),
            watchdog: number("WATCHDOG_USEC").filter(|&usec| is_meant && usec > 0).map(Duration::from_micros),
        }
    }

    /// Nobody: for a daemon in the background, which is not the process that the service manager knows.
    #[must_use]
    pub fn nobody() -> Self {
        Self { socket: None, watchdog: None }
    }

    /// How often [`Notifier::alive`] must be called, at least.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog.filter(|_| self.socket.is_some())
    }

    /// The daemon runs, or runs with its new configuration.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The configuration is being read anew; [`Notifier::ready`] follows.
    pub fn reloading(&self) {
        // systemd takes the answer to a reload for an older one without the time.
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// The daemon is about to end.
    pub fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=Stopping");
    }

    /// One line for people, without a line end.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={text}"));
    }

    /// Not hung.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    fn send(&self, message: &str) {
        if let Some((socket, address)) = &self.socket {
            // A service manager that does not listen is no reason to stop working.
            let _ = socket.send_to_addr(message.as_bytes(), address);
        }
    }
}

fn socket() -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // Full buffers of a hung service manager must not hang the daemon.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A path, or `@` and a name in the abstract namespace of Linux.
fn address(name: &[u8]) -> Option<SocketAddr> {
    match name.split_first()? {
        (b'@', name) => SocketAddr::from_abstract_name(name).ok(),
        (b'/', _) => SocketAddr::from_pathname(Path::new(std::ffi::OsStr::from_bytes(name))).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reaches_a_socket_in_either_namespace() {
        let unique = format!("ddum-notify-{}-{}", std::process::id(), fastrand::u64(..));
        let path = std::env::temp_dir().join(&unique);
        for name in [format!("@{unique}"), path.to_str().unwrap().to_owned()] {
            let address = address(name.as_bytes()).unwrap();
            let server = UnixDatagram::bind_addr(&address).unwrap();
            let notifier = Notifier { socket: Some((socket().unwrap(), address)), watchdog: None };
            let mut buffer = [0; 200];
            for (tell, want) in [
                (Notifier::ready as fn(&Notifier), "READY=1"),
                (Notifier::reloading, "RELOADING=1\nMONOTONIC_USEC="),
                (Notifier::stopping, "STOPPING=1\n"),
                (Notifier::alive, "WATCHDOG=1"),
            ] {
                tell(&notifier);
                let length = server.recv(&mut buffer).unwrap();
                assert!(buffer[..length].starts_with(want.as_bytes()), "{want}");
            }
        }
        std::fs::remove_file(&path).unwrap();
        for name in ["", "relative", "vsock:2:1234"] {
            assert!(address(name.as_bytes()).is_none(), "{name}");
        }
    }
}
