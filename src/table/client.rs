//! The DynamoDB client: every wait bounded, nothing in the environment able to make the SDK panic.

use std::env;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::SdkConfig;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{AppName, IdentityCache, SharedCredentialsProvider, StalledStreamProtectionConfig};

use super::{credentials, tls};
use crate::config::{Config, is_endpoint};
use crate::error::{Error, ErrorKind, printable};

/// How long to wait for AWS. The default suits the daemon and a person alike: an endpoint that swallows everything
/// fails within a minute, a busy table gets its time.
#[derive(Clone, Debug)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the first byte of an answer.
    pub read: Duration,
    /// For one attempt at one page. The first finds the credentials too, so it takes more than
    /// [`credentials`](Self::credentials).
    pub attempt: Duration,
    /// For all attempts at one page.
    pub page: Duration,
    /// For both tables.
    pub scan: Duration,
    /// For credentials: the services that give them, and the role to assume.
    pub credentials: Duration,
    /// Attempts at one page, at least 1.
    pub attempts: u32,
    /// At most this long before the second attempt at a page; it doubles up to [`longest_pause`](Self::longest_pause).
    pub first_pause: Duration,
    /// At most this long between two attempts at a page.
    pub longest_pause: Duration,
    /// When all attempts at a page were throttled, it is tried again after each of these, give or take a quarter.
    /// Beginning the whole scan anew would only add to the load that the table complains about.
    pub throttled_pauses: Vec<Duration>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            read: Duration::from_secs(10),
            attempt: Duration::from_secs(15),
            page: Duration::from_secs(40),
            scan: Duration::from_secs(15 * 60),
            credentials: Duration::from_secs(10),
            attempts: 4,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(5),
            throttled_pauses: [3, 6, 12].map(Duration::from_secs).to_vec(),
        }
    }
}

/// A client for the tables that `config` names, and the region it speaks to. Nothing has been asked of DynamoDB yet.
///
/// # Errors
/// [`ErrorKind::Config`] when a setting or an environment variable makes no client.
pub(super) async fn connect(config: &Config, patience: &Patience) -> Result<(Client, String), Error> {
    let endpoint = endpoint(config, |name| env::var(name).ok())?;
    let (mut sdk, region) = sdk(config, patience).await?;
    if let Some(role) = &config.assume_role_arn {
        check_sts()?;
        sdk = assume(role, sdk, patience).await;
    }

    let mut builder = aws_sdk_dynamodb::config::Builder::from(&sdk);
    match endpoint {
        Endpoint::Given(url) => builder = builder.endpoint_url(url),
        Endpoint::Regional => {
            builder.set_endpoint_url(None);
        }
        Endpoint::Environment => {
            if let Some(url) = sdk.endpoint_url() {
                checked("the profile's endpoint_url", url)?;
            }
        }
    }
    Ok((Client::from_conf(builder.build()), region))
}

/// What clients of every service start from, with the credentials that no role has taken the place of yet.
///
/// # Errors
/// As [`connect`].
pub(super) async fn sdk(config: &Config, patience: &Patience) -> Result<(SdkConfig, String), Error> {
    let http = tls::http_client()?;
    let provider = ProviderConfig::without_region().with_http_client(http.clone());
    let metadata = credentials::metadata_client(&provider);
    let region = credentials::region(config, &provider, &metadata).await?;
    let provider = provider.with_region(Some(region.clone()));
    let identity = credentials::provider(config, &provider, metadata)?;

    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .region(region.clone())
        .credentials_provider(identity)
        // Both always given: left to itself the SDK reads them from the environment and panics at what it finds odd.
        .retry_config(retries(patience))
        .timeout_config(timeouts(patience))
        // An answer is whole when the SDK gets it, so there is no stream that could stall.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .identity_cache(IdentityCache::lazy().load_timeout(patience.credentials).build());
    if let Some(profile) = &config.aws_profile {
        loader = loader.profile_name(profile);
    }
    if let Ok(name) = AppName::new(concat!("ddum-", env!("CARGO_PKG_VERSION"))) {
        loader = loader.app_name(name);
    }
    // With an account id in the credentials the SDK would call <account>.ddb.<region>.amazonaws.com, a name that no
    // firewall or proxy that let the original through has heard of.
    if env::var_os("AWS_ACCOUNT_ID_ENDPOINT_MODE").is_none()
        && let Ok(mode) = "disabled".parse()
    {
        loader = loader.account_id_endpoint_mode(mode);
    }
    Ok((loader.load().await, region.to_string()))
}

/// The same configuration with the credentials of `role`.
async fn assume(role: &str, sdk: SdkConfig, patience: &Patience) -> SdkConfig {
    // Shorter than the limit for all of the credentials, so that the message tells what STS did.
    let limit = patience.credentials.mul_f32(0.9);
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(patience.connect)
        .read_timeout(patience.read.min(limit / 2))
        .operation_attempt_timeout(limit / 2)
        .operation_timeout(limit)
        .build();
    let sts = sdk.to_builder().timeout_config(timeouts).build();
    let provider = AssumeRoleProvider::builder(role).session_name("ddum").configure(&sts).build().await;
    sdk.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
}

fn retries(patience: &Patience) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(patience.attempts)
        .with_initial_backoff(patience.first_pause)
        .with_max_backoff(patience.longest_pause)
}

fn timeouts(patience: &Patience) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(patience.connect)
        .read_timeout(patience.read)
        .operation_attempt_timeout(patience.attempt)
        .operation_timeout(patience.page)
        .build()
}

#[derive(Debug, PartialEq)]
enum Endpoint {
    /// The configuration's.
    Given(String),
    /// What the environment or the profile says, else the region's.
    Environment,
    /// The region's, whatever the environment says.
    Regional,
}

/// The endpoint, checked: the SDK panics at an empty one, and takes what is no URL for a network failure.
fn endpoint(config: &Config, variable: impl Fn(&str) -> Option<String>) -> Result<Endpoint, Error> {
    if let Some(url) = &config.endpoint_url {
        checked("endpoint_url", url)?;
        return Ok(Endpoint::Given(url.clone()));
    }
    for name in ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"] {
        match variable(name) {
            None => {}
            // The SDK takes an empty variable for an address.
            Some(url) if url.is_empty() => return Ok(Endpoint::Regional),
            Some(url) => {
                checked(name, &url)?;
                return Ok(Endpoint::Environment);
            }
        }
    }
    Ok(Endpoint::Environment)
}

pub(super) fn checked(source: &str, url: &str) -> Result<(), Error> {
    if is_endpoint(url) {
        return Ok(());
    }
    // What stands before an @ or after a ? may be a password or a token.
    let url = if url.contains(['@', '?']) { "…".to_owned() } else { printable(url) };
    let example = "https://dynamodb.eu-west-1.amazonaws.com, without user, password or query";
    Err(Error::new(ErrorKind::Config, format!("{source} \"{url}\" is not an http or https URL such as {example}")))
}

/// The address of STS, if the environment has one.
pub(super) fn check_sts() -> Result<(), Error> {
    for name in ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"] {
        if let Ok(url) = env::var(name) {
            checked(name, &url)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint_of(configured: Option<&str>, variables: &[(&str, &str)]) -> Result<Endpoint, Error> {
        let config = Config { endpoint_url: configured.map(str::to_owned), ..Config::default() };
        endpoint(&config, |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_configured_endpoint_goes_before_the_environment() {
        let variables = [("AWS_ENDPOINT_URL", "nonsense")];
        assert_eq!(endpoint_of(Some("http://a"), &variables).unwrap(), Endpoint::Given("http://a".to_owned()));
        assert_eq!(endpoint_of(None, &[("AWS_ENDPOINT_URL", "")]).unwrap(), Endpoint::Regional);
        assert_eq!(endpoint_of(None, &[("AWS_ENDPOINT_URL", "http://b")]).unwrap(), Endpoint::Environment);
    }

    #[test]
    fn a_bad_endpoint_is_named_by_where_it_stands() {
        for (configured, variables, source) in [
            (Some(""), &[][..], "endpoint_url"),
            (None, &[("AWS_ENDPOINT_URL_DYNAMODB", "x")][..], "AWS_ENDPOINT_URL_DYNAMODB"),
            (None, &[("AWS_ENDPOINT_URL", "x\ny")][..], "AWS_ENDPOINT_URL"),
        ] {
            let error = endpoint_of(configured, variables).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().starts_with(&format!("{source} \"")), "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}
