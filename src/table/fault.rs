//! The SDK's errors in our words.
//!
//! The SDK's own long form is never used: it quotes the raw answer, and an answer holds password hashes.

use std::error::Error as StdError;
use std::iter;

use aws_config::meta::ProviderChainError;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};

use super::limit::TooMuch;
use crate::error::{Error, ErrorKind};

/// Characters of a foreign message that are shown. A denial with two ARNs in it has about 250.
const LONGEST: usize = 400;

/// Codes that ask for patience (those with a status of 500 and above need no list).
const THROTTLED: [&str; 7] = [
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "Throttling",
    "LimitExceededException",
    "TooManyRequestsException",
    "TransactionInProgressException",
];

/// How the SDK says that a service which gives credentials could not be reached.
const UNREACHABLE: [&str; 3] = ["dispatch failure", "response error", "timeout"];

/// What is asked of a table.
pub(super) struct Act {
    /// With the table's name after it, such as `scan table`.
    pub what: &'static str,
    /// The permission that it takes.
    pub action: &'static str,
    /// What follows when it fails.
    pub follows: &'static str,
}

impl Act {
    /// All items of a table, for an update of the host.
    pub(super) const SCAN: Self =
        Self { what: "scan table", action: "dynamodb:Scan", follows: "accounts left as they were" };
}

/// What is being done, for the message.
pub(super) struct Doing<'a> {
    /// What is asked.
    pub act: &'a Act,
    /// The table's name.
    pub table: &'a str,
    /// The key of the configuration that names it.
    pub key: &'static str,
    /// Where it is looked for.
    pub region: &'a str,
    /// The role that is assumed for it.
    pub role: Option<&'a str>,
}

impl Doing<'_> {
    /// An error: what, why, what follows.
    pub(super) fn error(&self, kind: ErrorKind, why: &str) -> Error {
        let Self { act: Act { what, follows, .. }, table, region, .. } = self;
        Error::new(kind, format!("cannot {what} \"{table}\" in {region}: {why}; {follows}"))
    }

    /// The SDK's error.
    pub(super) fn fault<E>(&self, error: &SdkError<E, HttpResponse>) -> Error
    where
        E: StdError + ProvideErrorMetadata + 'static,
    {
        let (kind, why) = self.why(error);
        self.error(kind, &why)
    }

    /// The cause alone.
    pub(super) fn why<E>(&self, error: &SdkError<E, HttpResponse>) -> (ErrorKind, String)
    where
        E: StdError + ProvideErrorMetadata + 'static,
    {
        if let Some(credentials) = find::<CredentialsError>(error) {
            return self.of_credentials(credentials);
        }
        if let Some(too_much) = find::<TooMuch>(error) {
            return (ErrorKind::Unreachable, too_much.to_string());
        }
        match error {
            SdkError::ServiceError(context) => {
                let status = context.raw().status().as_u16();
                self.of_service(context.err().code(), context.err().message(), status)
            }
            SdkError::ConstructionFailure(_) => (ErrorKind::Config, chain(error)),
            _ => (ErrorKind::Unreachable, chain(error)),
        }
    }

    fn of_service(&self, code: Option<&str>, message: Option<&str>, status: u16) -> (ErrorKind, String) {
        let Some(code) = code else {
            return if status >= 500 {
                (ErrorKind::Unreachable, format!("the answer has the HTTP status {status}"))
            } else {
                (
                    ErrorKind::Table,
                    format!("the answer (HTTP status {status}) is not DynamoDB's; is the endpoint right?"),
                )
            };
        };
        let mut why = one_line(code);
        if let Some(message) = message.map(one_line).filter(|message| !message.is_empty()) {
            why = format!("{why}: {message}");
        }
        let Self { act: Act { action, .. }, key, region, .. } = self;
        match code {
            code if THROTTLED.contains(&code) || status >= 500 => return (ErrorKind::Unreachable, why),
            "ResourceNotFoundException" => {
                why = format!(
                    "{why} (the table's name is {key} in the configuration, the region aws_region; 'ddum tables create' makes missing tables)"
                );
            }
            "AccessDeniedException" => why = format!("{why} ({action} on the table must be allowed)"),
            "ExpiredTokenException" => why = format!("{why} (the credentials are temporary and need renewal)"),
            "UnrecognizedClientException" => {
                why = format!("{why} (the access key is not known in {region}, or its session token does not fit)");
            }
            "InvalidSignatureException" => {
                why = format!("{why} (the secret key does not fit the access key, or the clock is wrong)");
            }
            _ => {}
        }
        (ErrorKind::Table, why)
    }

    fn of_credentials(&self, error: &CredentialsError) -> (ErrorKind, String) {
        if let Some(tried) = find::<ProviderChainError<CredentialsError>>(error) {
            let tried: Vec<String> = tried
                .attempts()
                .iter()
                .map(|attempt| match attempt.error().source() {
                    Some(source) => format!("{} ({})", attempt.name(), chain(source)),
                    None => attempt.name().to_owned(),
                })
                .collect();
            let fix = "set aws_access_key and aws_secret_key, or give the instance a role";
            return (ErrorKind::Table, format!("no AWS credentials in {}; {fix}", tried.join(", ")));
        }
        let what = match self.role {
            Some(role) => format!("cannot assume {}", one_line(role)),
            None => "no AWS credentials".to_owned(),
        };
        if let Some(answer) = find::<ErrorMetadata>(error)
            && let Some(code) = answer.code()
        {
            let kind = if THROTTLED.contains(&code) { ErrorKind::Unreachable } else { ErrorKind::Table };
            return (kind, format!("{what}: {}: {}", one_line(code), one_line(answer.message().unwrap_or_default())));
        }
        let why = chain(error.source().unwrap_or(error));
        // The types of the services that give credentials are not ours to name, so their words have to do.
        let is_unreachable = matches!(error, CredentialsError::ProviderTimedOut(_))
            || pieces(error).iter().any(|piece| UNREACHABLE.contains(&piece.as_str()) || piece.contains("timed out"));
        let kind = if is_unreachable { ErrorKind::Unreachable } else { ErrorKind::Table };
        (kind, format!("{what}: {why}"))
    }
}

/// Whether the table asked for patience.
pub(super) fn is_throttled<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    matches!(error, SdkError::ServiceError(context) if context.err().code().is_some_and(|code| THROTTLED.contains(&code)))
}

/// The first error of type `E` among `error` and its causes.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// `error` and its causes.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    iter::successors(Some(error), |&error| error.source())
}

/// What the SDK's layers call themselves before they come to the point.
const WRAPPERS: [&str; 6] =
    ["dispatch failure", "response error", "service error", "io error", "other", "client error (Connect)"];

/// The error and its causes, each said once, without the wrappers.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = String::new();
    let pieces = pieces(error);
    for (place, piece) in pieces.iter().enumerate() {
        let is_last = place + 1 == pieces.len();
        if text.contains(piece.as_str()) || (!is_last && WRAPPERS.contains(&piece.as_str())) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(piece);
    }
    cut(&text)
}

fn pieces(error: &(dyn StdError + 'static)) -> Vec<String> {
    causes(error).map(|error| one_line(&error.to_string())).collect()
}

/// The first line of a foreign message, fit for one line of a log.
///
/// The first only: below it AWS quotes the request that it could not verify, session token included. What a
/// credential process wrote on its standard error is left out for the same reason.
fn one_line(text: &str) -> String {
    let text = text.split("Stderr:").next().unwrap_or_default();
    let text = text.trim().split(['\n', '\r']).next().unwrap_or_default();
    // A message that was printed by Debug has its newlines escaped.
    let text = text.split("\\n").next().unwrap_or_default();
    cut(&text.chars().filter(|c| !c.is_control()).collect::<String>()).trim_end_matches(['.', ' ', ':']).to_owned()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOING: Doing<'_> =
        Doing { act: &Act::SCAN, table: "Users", key: "user_table_name", region: "eu-west-1", role: None };

    #[test]
    fn what_can_pass_is_told_from_what_must_be_mended() {
        use ErrorKind::{Table, Unreachable};
        for (code, status, kind) in [
            (Some("AccessDeniedException"), 400, Table),
            (Some("ResourceNotFoundException"), 400, Table),
            (Some("UnrecognizedClientException"), 400, Table),
            (Some("ExpiredTokenException"), 400, Table),
            (Some("ValidationException"), 400, Table),
            (Some("ProvisionedThroughputExceededException"), 400, Unreachable),
            (Some("ThrottlingException"), 400, Unreachable),
            (Some("RequestLimitExceeded"), 400, Unreachable),
            (Some("InternalServerError"), 500, Unreachable),
            (None, 503, Unreachable),
            (None, 200, Table),
            (None, 404, Table),
        ] {
            assert_eq!(DOING.of_service(code, None, status).0, kind, "{code:?} {status}");
        }
    }

    #[test]
    fn a_message_names_table_region_cause_fix_and_consequence() {
        let (kind, why) =
            DOING.of_service(Some("ResourceNotFoundException"), Some("Requested resource not found"), 400);
        assert_eq!(
            DOING.error(kind, &why).to_string(),
            "cannot scan table \"Users\" in eu-west-1: ResourceNotFoundException: Requested resource not found (the \
             table's name is user_table_name in the configuration, the region aws_region; 'ddum tables create' makes \
             missing tables); accounts left as they were"
        );
    }

    #[test]
    fn a_role_that_cannot_be_assumed_is_named() {
        let doing = Doing { role: Some("arn:aws:iam::1:role/x"), ..DOING };
        for (code, kind) in [("AccessDenied", ErrorKind::Table), ("Throttling", ErrorKind::Unreachable)] {
            let answer = ErrorMetadata::builder().code(code).message("not so.\nx-amz-security-token:SECRET").build();
            let error = CredentialsError::provider_error(answer);
            assert_eq!(
                doing.of_credentials(&error),
                (kind, format!("cannot assume arn:aws:iam::1:role/x: {code}: not so"))
            );
        }
        let error = CredentialsError::provider_timed_out(std::time::Duration::from_secs(1));
        assert_eq!(DOING.of_credentials(&error).0, ErrorKind::Unreachable);
        let error = CredentialsError::invalid_configuration("loop of profiles");
        assert_eq!(DOING.of_credentials(&error), (ErrorKind::Table, "no AWS credentials: loop of profiles".to_owned()));
    }

    #[test]
    fn what_aws_quotes_below_the_first_line_is_not_shown() {
        let message = "The request signature does not match.\n\nThe Canonical String was\nx-amz-security-token:SECRET";
        assert_eq!(one_line(message), "The request signature does not match");
        assert_eq!(one_line(&format!("{message:?}")), "\"The request signature does not match");
        assert_eq!(one_line("exited with code 1. Stderr: SECRET"), "exited with code 1");
        assert_eq!(one_line(&"x".repeat(1000)).chars().count(), LONGEST + 1);
        assert_eq!(one_line("a\u{7}b"), "ab");
    }

    #[test]
    fn a_chain_says_everything_once() {
        let inner = std::io::Error::other("connection refused");
        let outer = Error::new(ErrorKind::File, "connect failed: connection refused");
        assert_eq!(chain(&inner), "connection refused");
        assert_eq!(chain(&outer), "connect failed: connection refused");
    }
}
