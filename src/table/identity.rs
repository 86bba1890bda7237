//! Who is asking, as AWS sees it.

use super::client::{self, Patience};
use super::fault::{Act, Doing};
use crate::config::Config;
use crate::error::{Error, ErrorKind, printable};

const WHO: Act = Act { what: "ask", action: "sts:GetCallerIdentity", follows: "name the user" };

/// The name of the IAM user whose credentials are in use, before any role is assumed.
///
/// # Errors
/// [`ErrorKind::Usage`] when the caller is no IAM user: a role is not a person. Otherwise why STS did not say.
pub async fn caller(config: &Config) -> Result<String, Error> {
    client::check_sts()?;
    let patience = Patience::default();
    let (sdk, region) = client::sdk(config, &patience).await?;
    let doing = Doing { act: &WHO, table: "STS", key: "", region: &region, role: None };
    let answer = aws_sdk_sts::Client::new(&sdk).get_caller_identity().send().await;
    let answer = answer.map_err(|error| doing.fault(&error))?;
    user_of(answer.arn().unwrap_or_default()).map(str::to_owned)
}

/// `alice` of `arn:aws:iam::123456789012:user/staff/alice`.
fn user_of(arn: &str) -> Result<&str, Error> {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    match resource.strip_prefix("user/").and_then(|path| path.rsplit('/').next()).filter(|name| !name.is_empty()) {
        Some(name) => Ok(name),
        None => {
            let why = format!("AWS knows the caller as {}, which is no IAM user; name the user", printable(arn));
            Err(Error::new(ErrorKind::Usage, why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_iam_user_is_somebody() {
        for (arn, name) in [
            ("arn:aws:iam::123456789012:user/alice", Some("alice")),
            ("arn:aws-cn:iam::123456789012:user/staff/bob.b", Some("bob.b")),
            ("arn:aws:sts::123456789012:assumed-role/admin/alice", None),
            ("arn:aws:iam::123456789012:root", None),
            ("arn:aws:iam::123456789012:user/", None),
            ("", None),
        ] {
            assert_eq!(user_of(arn).ok(), name, "{arn}");
        }
    }
}
