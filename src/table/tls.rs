//! The HTTP client: whose certificates it trusts, and which proxy it goes through.

use std::env;

use aws_sdk_dynamodb::config::{RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};

use super::limit::Bounded;
use super::names::Names;
use crate::error::{Error, ErrorKind};

/// Amazon Root CA 1 to 4 and Starfield Services Root G2: the five that <https://www.amazontrust.com/repository/>
/// asks clients to include.
const AMAZON_ROOTS: &[u8] = include_bytes!("roots.pem");

/// A client for everything that AWS answers.
///
/// It trusts the system's root certificates. Only a system that has none (a minimal image without `ca-certificates`)
/// gets the built-in ones of Amazon: an administrator who narrowed the system's store meant it.
///
/// # Errors
/// [`ErrorKind::Config`] when the environment names a proxy that is none.
pub(super) fn http_client() -> Result<SharedHttpClient, Error> {
    let proxy = proxy(|name| env::var(name).ok())?;
    let context = TlsContext::builder()
        .with_trust_store(trust_store(!rustls_native_certs::load_native_certs().certs.is_empty()))
        .build()
        .map_err(|_| Error::new(ErrorKind::Internal, "cannot prepare the TLS client"))?;
    let client = Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder();
        connector.set_connector_settings(settings.cloned());
        connector.set_proxy_config(Some(proxy.clone()));
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(context.clone())
            .build_with_resolver(Names)
    });
    Ok(SharedHttpClient::new(Bounded(client)))
}

fn trust_store(system_has_roots: bool) -> TrustStore {
    let store = TrustStore::empty().with_native_roots(system_has_roots);
    if system_has_roots { store } else { store.with_pem_certificate(AMAZON_ROOTS) }
}

/// The proxy for `https:` addresses, from `HTTPS_PROXY` or `ALL_PROXY` with `NO_PROXY`, in either case of letters.
///
/// Not the SDK's own reading of the environment: that would also send `http:` requests through `HTTP_PROXY`, and
/// those are the ones to the instance metadata and container credential services, which only this host can reach.
fn proxy(variable: impl Fn(&str) -> Option<String>) -> Result<ProxyConfig, Error> {
    let set = |name: &'static str| {
        let value = variable(name).or_else(|| variable(&name.to_ascii_lowercase()))?;
        (!value.trim().is_empty()).then(|| (name, value.trim().to_owned()))
    };
    let Some((name, address)) = set("HTTPS_PROXY").or_else(|| set("ALL_PROXY")) else {
        return Ok(ProxyConfig::disabled());
    };
    let address = if address.contains("://") { address } else { format!("http://{address}") };
    // The address stays out of the message: it may hold the proxy's password.
    let proxy = ProxyConfig::https(address).map_err(|_| {
        Error::new(ErrorKind::Config, format!("the environment's {name} is not the URL of an http or https proxy"))
    })?;
    Ok(match set("NO_PROXY") {
        // The library takes the asterisk for names only, not for addresses.
        Some((_, rules)) if rules == "*" => ProxyConfig::disabled(),
        Some((_, rules)) => proxy.no_proxy(rules),
        None => proxy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy_of(variables: &[(&str, &str)]) -> Result<ProxyConfig, Error> {
        proxy(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn only_the_variables_for_https_name_a_proxy() {
        for none in [
            &[][..],
            &[("HTTP_PROXY", "http://p:1")],
            &[("HTTPS_PROXY", " ")],
            &[("NO_PROXY", "x")],
            &[("ALL_PROXY", "p:1"), ("no_proxy", "*")],
        ] {
            assert!(proxy_of(none).unwrap().is_disabled(), "{none:?}");
        }
        for some in [("HTTPS_PROXY", "http://p:3128"), ("https_proxy", "p:3128"), ("ALL_PROXY", "https://u:pw@p:1")] {
            assert!(!proxy_of(&[some, ("no_proxy", "a,b")]).unwrap().is_disabled(), "{some:?}");
        }
    }

    #[test]
    fn a_bad_proxy_is_named_by_its_variable_and_not_by_its_value() {
        for bad in ["socks5://user:hunter2@p:1080", "http://hunter2 x", "://hunter2"] {
            let error = proxy_of(&[("HTTPS_PROXY", bad)]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
            assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_built_in_roots_are_five_certificates() {
        let text = std::str::from_utf8(AMAZON_ROOTS).unwrap();
        assert_eq!(text.matches("-----BEGIN CERTIFICATE-----").count(), 5);
        assert_eq!(text.matches("-----END CERTIFICATE-----").count(), 5);
        assert!(text.is_ascii());
    }
}
