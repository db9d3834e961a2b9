//! `/records/{content}/content`: the plain file, whole or in one range (RFC 9110, 14).
//!
//! The desk decides, files the access and opens the record; here its bytes go out as they are decrypted.
//! Nothing of them is kept, and the connection's caches are told so.

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hospes_protocol::ids::{ContentId, StudyId};
use serde::Deserialize;
use utoipa::IntoParams;
use zeroize::Zeroizing;

use super::caller::Caller;
use super::codes::Code;
use super::input::{Params, id};
use super::problem::{Answer, Problem};
use super::records::purpose_of;
use super::state::Api;
use crate::desk::{DeskError, Errand, RecordReader};

/// Bytes that are decrypted at a time.
const PART_BYTES: u64 = 1024 * 1024;

/// The access entry that was filed for this answer.
const ACCESS: HeaderName = HeaderName::from_static("hospes-access");

/// Why the record is read.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReadQuery {
    /// For what; treatment, or the patient's own request, where absent.
    purpose: Option<String>,
    /// The study that it leaves for, 64 hexadecimal digits: takes a right to share for that study. Its bytes leave
    /// as they are, so a consent that asks for anonymity refuses.
    study: Option<String>,
}

impl ReadQuery {
    fn errand(&self, caller: &Caller) -> Answer<Errand> {
        match (&self.study, &self.purpose) {
            (None, purpose) => purpose_of(caller, purpose.as_deref()).map(Errand::from),
            (Some(study), None) => id::<StudyId>("study", study).map(Errand::from),
            (Some(_), Some(_)) => Err(Problem::of(Code::BadRequest)
                .detail("A record leaves for a study or for a purpose, not both.")),
        }
    }
}

/// Which bytes a request asks for, of `size`; null for all of them.
///
/// Several ranges are answered with the whole, as RFC 9110, 14.2 allows.
fn range_of(header: Option<&HeaderValue>, size: u64) -> Answer<Option<(u64, u64)>> {
    let spec = header.and_then(|h| h.to_str().ok()).and_then(|h| h.strip_prefix("bytes="));
    let Some((first, last)) = spec.filter(|s| !s.contains(',')).and_then(|s| s.split_once('-')) else {
        return Ok(None);
    };
    let (first, last) = (first.trim(), last.trim());
    let bounds = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1).min(size)),
        (Ok(first), Err(_)) if last.is_empty() => (first, size),
        (Err(_), Ok(suffix)) if first.is_empty() && suffix > 0 => (size.saturating_sub(suffix), size),
        _ => return Ok(None),
    };
    if bounds.0 < bounds.1 { Ok(Some(bounds)) } else { Err(Code::RangeNotSatisfiable.into()) }
}

/// The plain file.
///
/// A range is answered with 206. Every request files an access entry, which the patient sees; the header
/// `Hospes-Access` names it.
#[utoipa::path(get, path = "/records/{content}/content", tag = "records",
    params(("content" = String, Path, description = "The record's content id."), ReadQuery,
        ("range" = Option<String>, Header, description = "One range of bytes (RFC 9110, 14.2).")),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The range.", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 401, body = Problem),
        (status = 403, description = "Not permitted, or no such record.", body = Problem),
        (status = 416, body = Problem),
        (status = 503, description = "Its bytes are not here yet.", body = Problem)))]
pub(crate) async fn content(
    State(api): State<Api>,
    caller: Caller,
    Path(content): Path<String>,
    Params(query): Params<ReadQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let content: ContentId = id("content", &content)?;
    let errand = query.errand(&caller)?;
    let opened = api.parts.desk.read_record(&caller.session, content, errand).await;
    let reader = opened.map_err(|error| match error {
        // Whether there is such a record is not told.
        DeskError::Unknown(_) => Code::NotPermitted.into(),
        error => Problem::from(error),
    })?;
    let size = reader.size;
    let range = range_of(headers.get(header::RANGE), size)?;
    let (from, to) = range.unwrap_or((0, size));
    // What can't be opened at all is refused by its code instead of breaking off.
    let first = reader.read_range(from..from.saturating_add(PART_BYTES).min(to)).await?;
    let kind = HeaderValue::from_str(&reader.media_type)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let access = HeaderValue::from_str(&reader.access.to_string()).ok();
    let mut response = Response::new(Body::from_stream(parts(reader, first, from, to)));
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, kind);
    out.insert(header::CONTENT_LENGTH, HeaderValue::from(to - from));
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // What a file says it is never runs in the portal's origin.
    out.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    out.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    if let Some(access) = access {
        out.insert(ACCESS, access);
    }
    if range.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let text = format!("bytes {from}-{}/{size}", to - 1);
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().insert(header::CONTENT_RANGE, value);
        }
    }
    Ok(response.into_response())
}

/// The bytes from `from` up to, not including, `to`. A part that can't be opened breaks the answer off, so a
/// wrong byte is never shown as the end of the file.
fn parts(
    reader: RecordReader,
    first: Zeroizing<Vec<u8>>,
    from: u64,
    to: u64,
) -> impl futures::Stream<Item = std::io::Result<Bytes>> {
    futures::stream::try_unfold((reader, Some(first), from), move |(reader, first, at)| async move {
        if at >= to {
            return Ok(None);
        }
        let end = at.saturating_add(PART_BYTES).min(to);
        let read = match first {
            Some(first) => Ok(first),
            None => reader.read_range(at..end).await,
        };
        match read {
            Ok(bytes) if !bytes.is_empty() => {
                let next = at + u64::try_from(bytes.len()).unwrap_or(PART_BYTES);
                // Wiped when the connection has taken it.
                Ok(Some((Bytes::from_owner(bytes), (reader, None, next))))
            }
            Ok(_) => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)),
            Err(error) => {
                tracing::warn!(code = error.code(), "a record broke off while it was read");
                Err(std::io::Error::other("the record could not be read to its end"))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &'static str, size: u64) -> Answer<Option<(u64, u64)>> {
        range_of(Some(&HeaderValue::from_static(text)), size)
    }

    #[test]
    fn one_range_is_cut_to_the_size() {
        assert_eq!(range("bytes=0-99", 1000).ok(), Some(Some((0, 100))), "the first hundred");
        assert_eq!(range("bytes=900-5000", 1000).ok(), Some(Some((900, 1000))), "cut at the end");
        assert_eq!(range("bytes=900-", 1000).ok(), Some(Some((900, 1000))), "to the end");
        assert_eq!(range("bytes=-10", 1000).ok(), Some(Some((990, 1000))), "the last ten");
    }

    #[test]
    fn a_range_behind_the_end_is_refused_and_nonsense_is_the_whole() {
        assert!(range("bytes=1000-", 1000).is_err(), "behind the end");
        assert_eq!(range("bytes=5-1", 1000).ok(), Some(None), "backwards: ignored");
        assert_eq!(range("bytes=0-1,5-6", 1000).ok(), Some(None), "several: the whole");
        assert_eq!(range("lines=1-2", 1000).ok(), Some(None), "another unit: ignored");
    }
}
