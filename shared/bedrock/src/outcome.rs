//! Bedrock's errors and stops, put into the classes that every provider has.

use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_bedrockruntime::types::StopReason;
use aws_smithy_types::event_stream::RawMessage;
use llm::outcome::of_status;
use llm::{CallError, Failure};
use std::time::Duration;

type Response = aws_sdk_bedrockruntime::config::http::HttpResponse;

/// A call that was answered with an error, or not at all.
pub fn failed<E: ProvideErrorMetadata>(error: &SdkError<E, Response>) -> CallError {
    match error {
        SdkError::ServiceError(refused) => {
            let status = refused.raw().status().as_u16();
            let retry_after = refused.raw().headers().get("retry-after").and_then(|text| text.parse().ok());
            let failure = class(refused.err(), status, retry_after.map(Duration::from_secs));
            CallError::refused(status, failure)
        }
        SdkError::TimeoutError(_) => CallError::unknown(Failure::TimedOut),
        // Nobody to sign as, or a model's name that makes no address: nothing was sent.
        SdkError::ConstructionFailure(_) => CallError::free(Failure::Rejected),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => CallError::free(Failure::Down),
        // The connection was refused or broke; whether the request had arrived by then nobody knows.
        SdkError::DispatchFailure(_) => CallError::unknown(Failure::Down),
        _ => CallError::unknown(Failure::Malformed),
    }
}

/// A stream that broke off.
pub fn broken<E: ProvideErrorMetadata>(error: &SdkError<E, RawMessage>) -> CallError {
    let failure = match error {
        SdkError::ServiceError(refused) => class(refused.err(), 500, None),
        SdkError::TimeoutError(_) => Failure::TimedOut,
        SdkError::DispatchFailure(_) => Failure::Cut,
        // A frame that is none, or whose checksum is wrong; also a connection that ended within one.
        _ => Failure::Malformed,
    };
    CallError::unknown(failure)
}

fn class(error: &impl ProvideErrorMetadata, status: u16, retry_after: Option<Duration>) -> Failure {
    match error.code() {
        Some("AccessDeniedException" | "UnrecognizedClientException" | "ExpiredTokenException" | "InvalidSignatureException") => {
            Failure::Forbidden
        }
        Some("ResourceNotFoundException") => Failure::Retired,
        Some("ThrottlingException" | "TooManyRequestsException" | "ServiceQuotaExceededException") => {
            Failure::RateLimited { retry_after }
        }
        Some("ModelTimeoutException") => Failure::TimedOut,
        Some("ModelNotReadyException" | "ModelErrorException" | "InternalServerException" | "ServiceUnavailableException") => {
            Failure::Down
        }
        Some("ModelStreamErrorException") => Failure::Cut,
        // One code for every mistake in a request; which one is only in its words.
        Some("ValidationException") => match error.message().unwrap_or_default() {
            message if message.contains("model identifier is invalid") => Failure::Retired,
            message if message.contains("too long") || message.contains("too many tokens") => Failure::TooLarge,
            _ => Failure::Rejected,
        },
        _ => of_status(status, retry_after),
    }
}

/// Whether an answer that stopped so was cut at its bound; an error if it is no answer.
pub fn ended(stop: &StopReason) -> Result<bool, Failure> {
    match stop {
        StopReason::EndTurn | StopReason::StopSequence => Ok(false),
        StopReason::MaxTokens | StopReason::ModelContextWindowExceeded => Ok(true),
        StopReason::ContentFiltered | StopReason::GuardrailIntervened => Err(Failure::Blocked),
        // A tool call, or a reason that did not exist when this was written.
        _ => Err(Failure::Diverted),
    }
}
