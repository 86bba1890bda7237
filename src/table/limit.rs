//! What is taken of an answer, whoever gives it: the tables, and the services that give credentials. A page has at most
//! 1 MB of items, and as JSON at most some times that; whoever sends more (a proxy gone wrong, somebody at the
//! endpoint's address) must not fill this host's memory, nor the stack, nor set its clock.

use std::error::Error as StdError;
use std::fmt;

use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::{DateTime, Format};
use http_body_util::{BodyExt, LengthLimitError, Limited};

/// A page of nothing but nulls in a map, whose JSON is the longest for its bytes, has about 10 MB.
const LONGEST: usize = 32 << 20;

/// The most brackets and commas. A page of nothing but empty strings in lists has two for each of its 1,000,000 bytes.
const MOST_MARKS: usize = 2_200_000;

/// The most brackets within each other. DynamoDB nests 32 lists or maps, each of which is two in JSON.
const DEEPEST: usize = 100;

/// The years that a server's clock is believed to show, as seconds since 1970: 2020 to 2099.
const YEARS: std::ops::Range<i64> = 1_577_836_800..4_102_444_800;

/// Why an answer is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TooMuch {
    Bytes,
    Values,
    Depth,
}

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => write!(f, "the answer is longer than {} MiB, which no page is", LONGEST >> 20),
            Self::Values => f.write_str("the answer holds more values than any page"),
            Self::Depth => f.write_str("the answer is nested deeper than any item"),
        }
    }
}

impl StdError for TooMuch {}

/// A client whose answers are whole, bounded and without an odd date.
#[derive(Debug)]
pub(super) struct Bounded(pub(super) SharedHttpClient);

#[derive(Debug)]
struct Connector(SharedHttpConnector);

impl HttpClient for Bounded {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector(self.0.http_connector(settings, components)))
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move { bounded(answer.await?).await })
    }
}

async fn bounded(mut answer: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    // The SDK signs its next requests by this clock, and panics when it leads past the year 9999.
    if answer.headers().get("date").is_some_and(|date| !is_believed(date)) {
        answer.headers_mut().remove("date");
    }
    let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
    let body = match Limited::new(body, LONGEST).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(refused(TooMuch::Bytes)),
        Err(error) => return Err(ConnectorError::io(error)),
    };
    check(&body).map_err(refused)?;
    *answer.body_mut() = SdkBody::from(body);
    Ok(answer)
}

/// Not tried again at once: the next answer will be like this one.
fn refused(why: TooMuch) -> ConnectorError {
    ConnectorError::other(why.into(), None)
}

fn is_believed(date: &str) -> bool {
    DateTime::from_str(date, Format::HttpDate).is_ok_and(|date| YEARS.contains(&date.secs()))
}

/// Whether JSON can be read without a surprise: the SDK keeps a hundred bytes for a value of two, and calls itself for
/// each level. What is no JSON it refuses at its first byte.
fn check(text: &[u8]) -> Result<(), TooMuch> {
    if !matches!(text.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return Ok(());
    }
    let (mut depth, mut marks) = (0_usize, 0);
    let (mut is_text, mut is_escaped) = (false, false);
    for byte in text {
        if is_text {
            is_text = is_escaped || *byte != b'"';
            is_escaped = !is_escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b'"' => is_text = true,
            b'{' | b'[' => {
                marks += 1;
                depth += 1;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => marks += 1,
            _ => {}
        }
        if depth > DEEPEST {
            return Err(TooMuch::Depth);
        }
        if marks > MOST_MARKS {
            return Err(TooMuch::Values);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_levels_are_counted_outside_of_texts() {
        let many = |what: &str, count: usize| check(what.repeat(count).as_bytes());
        assert_eq!(many("{\"S\":\"\"},", MOST_MARKS / 2), Ok(()));
        assert_eq!(many("{\"S\":\"\"},", MOST_MARKS / 2 + 1), Err(TooMuch::Values));
        assert_eq!(many("[", DEEPEST), Ok(()));
        assert_eq!(many("[", DEEPEST + 1), Err(TooMuch::Depth));
        assert_eq!(many("[{}],", DEEPEST + 1), Ok(()));
        let after = |start: &str, what: &str, count: usize| check([start, &what.repeat(count)].concat().as_bytes());
        assert_eq!(after("[", r#""[[[{{\"[[[\\","#, MOST_MARKS / 2), Ok(()));
        assert_eq!(after(" [", r#""\\"[["#, DEEPEST / 2 + 1), Err(TooMuch::Depth));
        assert_eq!(after("<html>", "[", DEEPEST + 1), Ok(()), "no JSON");
    }

    #[test]
    fn a_date_is_believed_within_this_century() {
        assert!(is_believed("Sun, 22 Nov 2026 08:49:37 GMT"));
        for odd in ["Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "tomorrow", ""] {
            assert!(!is_believed(odd), "{odd}");
        }
    }
}
