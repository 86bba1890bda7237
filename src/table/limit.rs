//! The longest answer that is taken. A page has at most 1 MB of items, and as JSON at most some times that; whoever
//! sends more without end (a proxy gone wrong, somebody at the endpoint's address) must not fill this host's memory.

use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;

/// What an answer that is cut off here fails with.
pub(super) use http_body_util::LengthLimitError;

/// A page of nothing but nulls in a map, whose JSON is the longest for its bytes, has about 10 MB.
pub(super) const LONGEST: usize = 32 << 20;

/// Ends every answer at [`LONGEST`], with an error.
#[derive(Debug)]
pub(super) struct LimitedAnswers;

impl Intercept for LimitedAnswers {
    fn name(&self) -> &'static str {
        "LimitedAnswers"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().body_mut();
        let whole = std::mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(Limited::new(whole, LONGEST));
        Ok(())
    }
}
