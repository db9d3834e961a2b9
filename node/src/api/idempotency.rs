//! `Idempotency-Key` on writes: the same key with the same request gives the same answer, and the act
//! happens once.
//!
//! Answers are kept in memory, per session, the oldest leaving first; after a restart sessions are gone too.
//! Neither a PIN nor what hashes to one is ever kept: those paths don't pass here. Server errors are not
//! kept, so that they can be tried again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hospes_protocol::ids::sha256;

use super::caller::token_of;
use super::codes::Code;
use super::problem::{Answer, Problem};
use super::state::Api;

/// The header.
pub(crate) const HEADER: &str = "idempotency-key";
/// Answers that are kept, all sessions together.
const ANSWERS_MAX: usize = 4096;
/// Answers of one session that are kept.
const SESSION_ANSWERS_MAX: usize = 256;
/// An answer that is kept has at most this many bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// A JSON body has at most this many bytes.
pub(crate) const JSON_BYTES_MAX: usize = 256 * 1024;
/// Characters of a key.
const KEY_CHARS_MAX: usize = 128;

/// Session and key, hashed.
pub(crate) type Place = ([u8; 32], [u8; 32]);

#[derive(Clone)]
struct Kept {
    fingerprint: [u8; 32],
    /// The hash of an uploaded file.
    upload: Option<[u8; 32]>,
    /// Null while the first request is under way.
    answer: Option<(StatusCode, Option<HeaderValue>, Bytes)>,
}

#[derive(Default)]
struct Book {
    kept: BTreeMap<Place, Kept>,
    order: VecDeque<Place>,
}

/// Answers by key.
#[derive(Default)]
pub(crate) struct Answers(Mutex<Book>);

/// What a key finds.
pub(crate) enum Found {
    /// Nothing: the caller goes on, and its place is taken.
    Fresh,
    /// The answer to the same request.
    Same(Response),
}

impl Answers {
    /// Looks a key up and takes its place where it is fresh.
    ///
    /// # Errors
    /// `idempotency-key-reused`, `idempotency-key-in-flight`.
    pub(crate) fn begin(&self, place: Place, fingerprint: [u8; 32]) -> Answer<Found> {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = book.kept.get(&place) {
            if kept.fingerprint != fingerprint {
                return Err(Code::KeyReused.into());
            }
            let (status, kind, bytes) = kept.answer.clone().ok_or(Code::KeyInFlight)?;
            return Ok(Found::Same(rebuilt(status, kind, bytes)));
        }
        book.make_room(&place.0);
        book.kept.insert(place, Kept { fingerprint, upload: None, answer: None });
        book.order.push_back(place);
        Ok(Found::Fresh)
    }

    /// Keeps the answer, or frees the place where it is no lasting one.
    pub(crate) async fn end(&self, place: Place, response: Response) -> Response {
        let (parts, body) = response.into_parts();
        let lasting = !parts.status.is_server_error() && parts.status != StatusCode::TOO_MANY_REQUESTS;
        let Ok(bytes) = to_bytes(body, ANSWER_BYTES_MAX).await else {
            self.forget(&place);
            return Problem::of(Code::Unreadable).into_response();
        };
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lasting && let Some(kept) = book.kept.get_mut(&place) {
            kept.answer =
                Some((parts.status, parts.headers.get(header::CONTENT_TYPE).cloned(), bytes.clone()));
        } else {
            book.forget(&place);
        }
        Response::from_parts(parts, Body::from(bytes))
    }

    /// Notes the hash of the file that came with a key.
    pub(crate) fn note_upload(&self, place: &Place, hash: [u8; 32]) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = book.kept.get_mut(place) {
            kept.upload = Some(hash);
        }
    }

    /// The hash of the file that came with a key.
    pub(crate) fn upload(&self, place: &Place) -> Option<[u8; 32]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).kept.get(place)?.upload
    }

    /// Frees a place.
    pub(crate) fn forget(&self, place: &Place) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).forget(place);
    }
}

impl Book {
    fn forget(&mut self, place: &Place) {
        self.kept.remove(place);
        self.order.retain(|p| p != place);
    }

    // The oldest of the same session leaves first, then the oldest of all.
    fn make_room(&mut self, session: &[u8; 32]) {
        let own = self.order.iter().filter(|p| p.0 == *session).count();
        let oldest = if own >= SESSION_ANSWERS_MAX {
            self.order.iter().find(|p| p.0 == *session).copied()
        } else if self.order.len() >= ANSWERS_MAX {
            self.order.front().copied()
        } else {
            None
        };
        if let Some(place) = oldest {
            self.forget(&place);
        }
    }
}

fn rebuilt(status: StatusCode, kind: Option<HeaderValue>, bytes: Bytes) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    if let Some(kind) = kind {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// The place of a request; null without the header.
///
/// # Errors
/// `idempotency-key-form`.
pub(crate) fn place_of(headers: &HeaderMap) -> Answer<Option<Place>> {
    let Some(key) = headers.get(HEADER) else { return Ok(None) };
    let key = key.to_str().map_err(|_| Code::KeyForm)?;
    if key.is_empty() || key.len() > KEY_CHARS_MAX {
        return Err(Code::KeyForm.into());
    }
    let session = sha256(&[b"session", token_of(headers).unwrap_or_default().as_bytes()]);
    Ok(Some((session, sha256(&[b"key", key.as_bytes()]))))
}

/// What makes two requests the same: method, path with query, body.
pub(crate) fn fingerprint(method: &Method, target: &str, body: &[u8; 32]) -> [u8; 32] {
    sha256(&[method.as_str().as_bytes(), &[0], target.as_bytes(), &[0], body])
}

/// The middleware of writes whose bodies are JSON.
pub(crate) async fn pass(State(api): State<Api>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    keyed(&api, request, next).await.unwrap_or_else(IntoResponse::into_response)
}

async fn keyed(api: &Api, request: Request, next: Next) -> Answer<Response> {
    let Some(place) = place_of(request.headers())? else { return Ok(next.run(request).await) };
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, JSON_BYTES_MAX).await.map_err(|_| Code::BodyTooLarge)?;
    let target = parts.uri.path_and_query().map_or("", |p| p.as_str());
    let fingerprint = fingerprint(&parts.method, target, &sha256(&[&body]));
    match api.answers.begin(place, fingerprint)? {
        Found::Same(response) => Ok(response),
        Found::Fresh => {
            let request = Request::from_parts(parts, Body::from(body));
            to_its_end(api.clone(), place, next.run(request)).await
        }
    }
}

/// Runs a keyed act to its end, also when its caller goes away, and keeps the answer.
pub(crate) async fn to_its_end(
    api: Api,
    place: Place,
    act: impl Future<Output = Response> + Send + 'static,
) -> Answer<Response> {
    let keeper = api.clone();
    let run = tokio::spawn(async move { keeper.answers.end(place, act.await).await });
    run.await.map_err(|_| {
        api.answers.forget(&place);
        Problem::of(Code::Stopping)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = ([1; 32], [2; 32]);

    #[tokio::test]
    async fn the_same_request_gets_the_same_answer_and_another_is_refused() {
        let answers = Answers::default();
        assert!(matches!(answers.begin(PLACE, [0; 32]), Ok(Found::Fresh)), "the first goes on");
        assert!(answers.begin(PLACE, [0; 32]).is_err(), "the second waits for the first");
        answers.end(PLACE, (StatusCode::CREATED, "made").into_response()).await;
        let Ok(Found::Same(again)) = answers.begin(PLACE, [0; 32]) else { panic!("the same answer") };
        assert_eq!(again.status(), StatusCode::CREATED, "with its status");
        let body = to_bytes(again.into_body(), 64).await.expect("a body");
        assert_eq!(&body[..], b"made", "and its body");
        assert!(answers.begin(PLACE, [9; 32]).is_err(), "another request under the key is refused");
    }

    #[tokio::test]
    async fn a_server_error_may_be_tried_again() {
        let answers = Answers::default();
        assert!(matches!(answers.begin(PLACE, [0; 32]), Ok(Found::Fresh)), "the first goes on");
        answers.end(PLACE, StatusCode::SERVICE_UNAVAILABLE.into_response()).await;
        assert!(matches!(answers.begin(PLACE, [0; 32]), Ok(Found::Fresh)), "and again");
    }

    #[test]
    fn one_session_cannot_push_out_the_answers_of_another() {
        let answers = Answers::default();
        assert!(answers.begin(PLACE, [0; 32]).is_ok(), "ours");
        for n in 0..2 * SESSION_ANSWERS_MAX as u64 {
            let key = sha256(&[&n.to_be_bytes()]);
            assert!(answers.begin(([7; 32], key), [0; 32]).is_ok(), "theirs");
        }
        assert!(answers.begin(PLACE, [0; 32]).is_err(), "ours is still under way");
        let held = answers.0.lock().unwrap_or_else(PoisonError::into_inner).kept.len();
        assert_eq!(held, SESSION_ANSWERS_MAX + 1, "and theirs are bounded");
    }
}
