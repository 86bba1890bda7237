//! Who we are to AWS, and in which region.

use std::env;
use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_sdk_dynamodb::config::{Credentials, Region, SharedCredentialsProvider};

use crate::config::Config;
use crate::error::{Error, ErrorKind, printable};

/// Used when nothing names a region, as the original did.
const LAST_RESORT: &str = "us-east-1";

/// A client of the instance metadata service (IMDSv2 only), shared by region and credentials so that it asks for one
/// session token. Its limits are short: off EC2 nobody answers, and an administrator waits for the message.
pub(super) fn metadata_client(provider: &ProviderConfig) -> imds::Client {
    let second = Duration::from_secs(1);
    imds::Client::builder()
        .configure(provider)
        .max_attempts(2)
        .connect_timeout(second)
        .read_timeout(second)
        // More than the two above: their ends are final, but an attempt that runs out of time would be made again.
        .operation_attempt_timeout(3 * second / 2)
        .operation_timeout(2 * second)
        .build()
}

/// The region: `aws_region`, else `AWS_REGION`, else `AWS_DEFAULT_REGION`, else the profile's, else the instance's,
/// else us-east-1. Empty variables count as unset.
///
/// # Errors
/// [`ErrorKind::Config`] naming the source whose value is no region name. The SDK would build a host name from it.
pub(super) async fn region(
    config: &Config,
    provider: &ProviderConfig,
    metadata: &imds::Client,
) -> Result<Region, Error> {
    if let Some(region) = named("aws_region", config.aws_region.clone())? {
        return Ok(region);
    }
    for variable in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        if let Some(region) = named(variable, env::var(variable).ok())? {
            return Ok(region);
        }
    }
    let mut profile = ProfileFileRegionProvider::builder().configure(provider);
    if let Some(name) = &config.aws_profile {
        profile = profile.profile_name(name);
    }
    let region = profile.build().region().await.map(|region| region.as_ref().to_owned());
    if let Some(region) = named("the profile's region", region)? {
        return Ok(region);
    }
    let instance = imds::region::ImdsRegionProvider::builder().configure(provider).imds_client(metadata.clone());
    let region = instance.build().region().await.map(|region| region.as_ref().to_owned());
    Ok(named("the instance's region", region)?.unwrap_or(Region::from_static(LAST_RESORT)))
}

/// `value` as a region, `None` when it is empty.
fn named(source: &str, value: Option<String>) -> Result<Option<Region>, Error> {
    let Some(value) = value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    if value.len() <= 64 && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Ok(Some(Region::new(value)));
    }
    let message = format!("{source} {:?} is not the name of a region, such as eu-west-1", printable(&value));
    Err(Error::new(ErrorKind::Config, message))
}

/// Where credentials come from: the keys in the configuration; else the profile that it names; else the environment,
/// the default profile, a web identity token, the container's, the instance's.
///
/// A named profile goes before the environment and shuts it out, as in the original (its botocore session did so).
///
/// # Errors
/// [`ErrorKind::Config`] when only one of the two keys is there.
pub(super) fn provider(
    config: &Config,
    provider: &ProviderConfig,
    metadata: imds::Client,
) -> Result<SharedCredentialsProvider, Error> {
    match (&config.aws_access_key, &config.aws_secret_key) {
        (Some(access), Some(secret)) => {
            let token = config.aws_session_token.as_ref().map(|token| token.expose().to_owned());
            return Ok(SharedCredentialsProvider::new(Credentials::new(
                access.as_str(),
                secret.expose(),
                token,
                None,
                "configuration",
            )));
        }
        (Some(_), None) => return Err(half_a_key("aws_access_key", "aws_secret_key")),
        (None, Some(_)) => return Err(half_a_key("aws_secret_key", "aws_access_key")),
        (None, None) => {}
    }
    let mut profile = ProfileFileCredentialsProvider::builder().configure(provider);
    let chain = match &config.aws_profile {
        Some(name) => {
            profile = profile.profile_name(name);
            CredentialsProviderChain::first_try(format!("the profile {:?}", printable(name)), profile.build())
        }
        None => CredentialsProviderChain::first_try("the environment", EnvironmentVariableCredentialsProvider::new())
            .or_else("the profile", profile.build()),
    };
    Ok(SharedCredentialsProvider::new(
        chain
            .or_else("a web identity token", WebIdentityTokenCredentialsProvider::builder().configure(provider).build())
            .or_else("the container", EcsCredentialsProvider::builder().configure(provider).build())
            .or_else(
                "the instance",
                imds::credentials::ImdsCredentialsProvider::builder().configure(provider).imds_client(metadata).build(),
            ),
    ))
}

fn half_a_key(present: &str, missing: &str) -> Error {
    Error::new(ErrorKind::Config, format!("the configuration has {present} but not {missing}: both are needed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_region_counts_as_unset() {
        for empty in [None, Some(""), Some("  "), Some("\n")] {
            assert_eq!(named("AWS_REGION", empty.map(str::to_owned)).unwrap(), None, "{empty:?}");
        }
        let region = named("AWS_REGION", Some("eu-west-1\n".to_owned())).unwrap().unwrap();
        assert_eq!(region.as_ref(), "eu-west-1");
    }

    #[test]
    fn a_region_that_would_change_the_host_name_is_refused() {
        for odd in ["eu west", "eu-west-1.evil.example", "a/b", "a\nb", "é", &"x".repeat(65)] {
            let error = named("AWS_REGION", Some(odd.to_owned())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{odd}");
            assert!(error.to_string().starts_with("AWS_REGION \""), "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}
