//! What can be the address of a service.

/// Whether `url` is `http://` or `https://`, a host and at most a port and a path, without a user or a query.
#[must_use]
pub fn is_endpoint(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return false;
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/:".contains(&b));
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => (address, None),
        Some((address, port)) => (address, Some(port.strip_prefix(':').unwrap_or("no port"))),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    !host.is_empty()
        && plain(host)
        && plain(path)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0) && !port.starts_with('+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_absolute_url() {
        for good in [
            "https://dynamodb.eu-west-1.amazonaws.com",
            "http://127.0.0.1:8000/",
            "http://[::1]:8000",
            "https://vpce-0a1b.dynamodb.eu-west-1.vpce.amazonaws.com/path",
        ] {
            assert!(is_endpoint(good), "{good}");
        }
        for bad in [
            "",
            "dynamodb.eu-west-1.amazonaws.com",
            "//host",
            "ftp://host",
            "http://",
            "http:///path",
            "http://:8000",
            "http://host:0",
            "http://host:65536",
            "http://host:+1",
            "http://[::1]8000",
            "http://user:secret@host",
            "http://host name",
            "http://host/?q",
            "http://host\n",
            "http://hôst",
        ] {
            assert!(!is_endpoint(bad), "{bad:?}");
        }
    }
}
