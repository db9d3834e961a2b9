//! What comes in: JSON bodies, queries and ids in paths, each refused as a problem.

use axum::body::Bytes;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use hospes_card::CardSerial;
use serde::de::DeserializeOwned;

use super::codes::Code;
use super::problem::{Answer, Problem};
use super::state::Api;

/// A JSON body; `Content-Type: application/json` is demanded, so that no page of another origin sends one.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Api> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Answer<Self> {
        match axum::Json::<T>::from_request(request, api).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(JsonRejection::MissingJsonContentType(_)) => Err(Code::WrongMediaType.into()),
            Err(e) if e.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(Code::BodyTooLarge.into()),
            Err(e) => Err(Problem::of(Code::BadRequest).detail(e.body_text())),
        }
    }
}

/// A query.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Api> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Answer<Self> {
        let refused = |e: QueryRejection| Problem::of(Code::BadRequest).detail(e.body_text());
        Query::<T>::from_request_parts(parts, api).await.map(|Query(v)| Self(v)).map_err(refused)
    }
}

/// An id of 32 bytes from its 64 hexadecimal digits.
///
/// # Errors
/// `bad-request`, naming `what`.
pub(crate) fn id<T: std::str::FromStr>(what: &str, text: &str) -> Answer<T> {
    let wrong = |_| Problem::of(Code::BadRequest).detail(format!("{what} must be 64 hexadecimal digits."));
    text.parse().map_err(wrong)
}

/// A card's serial.
///
/// # Errors
/// `bad-request`.
pub(crate) fn serial(text: &str) -> Answer<CardSerial> {
    text.parse()
        .map_err(|_| Problem::of(Code::BadRequest).detail("A card is named by its serial, from /cards."))
}

/// A word of a closed list, by its name in the API.
///
/// # Errors
/// `bad-request`, naming `what` and the list.
pub(crate) fn word<T: Copy>(what: &str, list: &[(&str, T)], text: &str) -> Answer<T> {
    let found = list.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names: Vec<_> = list.iter().map(|(name, _)| *name).collect();
        Problem::of(Code::BadRequest).detail(format!("{what} must be one of {}.", names.join(", ")))
    })
}

/// Bytes from base64 (RFC 4648, 4).
///
/// # Errors
/// `bad-request`, naming `what`.
pub(crate) fn base64(what: &str, text: &str) -> Answer<Bytes> {
    let decoded = data_encoding::BASE64.decode(text.as_bytes());
    decoded
        .map(Bytes::from)
        .map_err(|_| Problem::of(Code::BadRequest).detail(format!("{what} must be base64.")))
}
