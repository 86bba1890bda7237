//! Addresses of names, by the system's resolver.

use std::net::{IpAddr, ToSocketAddrs};
use std::{io, thread};

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use tokio::sync::oneshot;

/// Asks getaddrinfo(3), each time on a thread of its own, which is left behind when nobody waits for it any more.
///
/// Not the HTTP client's own, which panics where the kernel refuses another thread.
#[derive(Clone, Debug)]
pub(super) struct Names;

impl ResolveDns for Names {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        let name = name.to_owned();
        DnsFuture::new(async move { addresses(name).await.map_err(ResolveDnsError::new) })
    }
}

async fn addresses(name: String) -> io::Result<Vec<IpAddr>> {
    let (sender, receiver) = oneshot::channel();
    let ask = move || {
        let found = (name.as_str(), 0).to_socket_addrs();
        // Who gave up waiting wants no answer.
        let _ = sender.send(found.map(|found| found.map(|address| address.ip()).collect()));
    };
    thread::Builder::new()
        .name("ddum-names".to_owned())
        .spawn(ask)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot start a thread to resolve names: {error}")))?;
    receiver.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_its_addresses() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let found = runtime.block_on(Names.resolve_dns("localhost")).unwrap();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
        assert!(runtime.block_on(Names.resolve_dns("nobody.invalid")).is_err());
    }
}
