//! Answers.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::problem::{Class, Problem};

/// Seconds after which a request that found no place may be sent again.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// What an error looks like.
#[derive(Serialize)]
struct Failure<'p> {
    error: &'p Problem,
}

/// A JSON object.
pub(super) fn json(status: u16, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => bytes_of(status, "application/json", bytes),
        Err(error) => Problem::bug(&format!("an answer has no JSON: {error}")).into_response(),
    }
}

/// Bytes of a type.
pub(super) fn bytes_of(status: u16, kind: &'static str, bytes: Vec<u8>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, HeaderValue::from_static(kind))], bytes).into_response()
}

impl Class {
    const fn status(self) -> u16 {
        match self {
            Self::BadInput => 400,
            Self::Unauthorised => 401,
            Self::NotFound => 404,
            Self::NoMethod => 405,
            Self::TooSlow => 408,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::OtherType => 415,
            Self::Busy => 429,
            Self::Bug => 500,
            Self::Unsupported | Self::WouldNotFit => 503,
            Self::Storage => 507,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = json(self.class.status(), &Failure { error: &self });
        let headers = response.headers_mut();
        match self.class {
            Class::Busy | Class::Storage | Class::Unsupported | Class::WouldNotFit => {
                headers.insert(RETRY_AFTER, RETRY_SECONDS);
            }
            Class::Unauthorised => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Class::BadInput
            | Class::Bug
            | Class::NotFound
            | Class::NoMethod
            | Class::TooLarge
            | Class::TooSlow
            | Class::OtherType
            | Class::Conflict => {}
        }
        response
    }
}
