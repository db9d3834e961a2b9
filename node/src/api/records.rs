//! `/records`: what a patient's records are, filing one, and looking into a file before it is filed.
//!
//! A list shows what a decision would permit the caller to read, and nothing else; for whoever may not read a
//! record it does not exist. The upload is sealed by the desk as it streams.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use hospes_protocol::ids::{ContentId, PatientId};
use hospes_protocol::limits::RECORD_BYTES_MAX;
use hospes_protocol::personal::{Category, Purpose};
use hospes_protocol::policy::{Act, Decision, Request};
use hospes_service::service::Service;
use serde::Deserialize;
use utoipa::IntoParams;

use super::caller::Caller;
use super::codes::Code;
use super::idempotency::{self, Found, Place};
use super::input::{Params, id, word};
use super::page::{Page, Paging};
use super::problem::{Answer, Problem, denied};
use super::shown::Record;
use super::state::Api;
use super::taps::{Tap, begun};
use crate::desk::AddRecord;
use crate::words::{CATEGORIES, LABELS, PURPOSES};

/// Bytes of a refused upload that are still taken in.
const REFUSED_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How long an upload may stand still.
const STALL: Duration = Duration::from_secs(60);

/// Whether the caller may read a record now for a purpose, by the same decision as opening it.
pub(crate) fn judge(
    service: &Service,
    caller: &Caller,
    (patient, record): (PatientId, ContentId),
    purpose: Purpose,
) -> Answer<()> {
    if caller.is_patient(&patient) {
        return Ok(());
    }
    let actor = caller.actor().ok_or(Code::NotPermitted)?;
    let request = Request { patient, actor, act: Act::Read(record), purpose, code: None, access: None };
    match service.decide(&request) {
        Decision::Permit(_) => Ok(()),
        Decision::Deny(why) => Err(denied(&why)),
    }
}

/// Whether the caller may read a record for any purpose: then it may be listed.
fn may_read(service: &Service, caller: &Caller, patient: PatientId, record: ContentId) -> bool {
    PURPOSES.iter().any(|(_, purpose)| judge(service, caller, (patient, record), *purpose).is_ok())
}

/// Which records.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RecordsQuery {
    /// The patient's pseudonym.
    patient: String,
    /// Only this category.
    category: Option<String>,
    /// Entries, at most; 1 to 1000, 100 where absent.
    limit: Option<usize>,
    /// Where the page before ended; opaque.
    cursor: Option<String>,
}

/// A patient's records, as far as the caller may read them.
#[utoipa::path(get, path = "/records", params(RecordsQuery), tag = "records",
    responses((status = 200, body = Page<Record>), (status = 401, body = Problem)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<RecordsQuery>,
) -> Answer<Json<Page<Record>>> {
    let patient: PatientId = id("patient", &query.patient)?;
    let only = query.category.as_deref().map(|c| word("category", &CATEGORIES, c)).transpose()?;
    let paging = Paging { limit: query.limit, cursor: query.cursor };
    let page = api.ask(move |service| page_of(service, &caller, patient, only, &paging)).await?;
    Ok(Json(page))
}

fn page_of(
    service: &Service,
    caller: &Caller,
    patient: PatientId,
    only: Option<Category>,
    paging: &Paging,
) -> Answer<Page<Record>> {
    let wanted = |c: Category| only.is_none_or(|only| only == c);
    let mut all = service.records_of(&patient)?;
    all.retain(|r| wanted(r.entry.category) && may_read(service, caller, patient, r.content));
    let page = paging.of(all)?;
    let items = page.items.iter().map(|r| Record::of(r, service)).collect();
    Ok(Page { items, next_cursor: page.next_cursor })
}

/// What a record says of itself.
#[utoipa::path(get, path = "/records/{content}", tag = "records",
    params(("content" = String, Path, description = "The record's content id.")),
    responses((status = 200, body = Record), (status = 401, body = Problem),
        (status = 403, description = "Not permitted, or no such record.", body = Problem)))]
pub(crate) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path(content): Path<String>,
) -> Answer<Json<Record>> {
    let content: ContentId = id("content", &content)?;
    api.ask(move |service| one(service, &caller, content)).await.map(Json)
}

/// A record that the caller may read; absent and denied are one answer.
pub(crate) fn one(service: &Service, caller: &Caller, content: ContentId) -> Answer<Record> {
    let record = service.record(&content)?.ok_or(Code::NotPermitted)?;
    let patient = record.entry.patient;
    if !may_read(service, caller, patient, content) {
        judge(service, caller, (patient, content), Purpose::Treatment)?;
    }
    Ok(Record::of(&record, service))
}

/// What an uploaded record is.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AddQuery {
    /// The patient's pseudonym.
    patient: String,
    /// Its category.
    category: String,
    /// Its label; `normal` where absent.
    label: Option<String>,
    /// A short title.
    title: String,
    /// The media type (RFC 6838).
    media_type: String,
    /// The system that it comes from.
    source: Option<String>,
    /// Whether to derive an emergency summary from it, in the same tap.
    #[serde(default)]
    derive_summary: bool,
}

impl AddQuery {
    fn read(self) -> Answer<AddRecord> {
        Ok(AddRecord {
            patient: id("patient", &self.patient)?,
            category: word("category", &CATEGORIES, &self.category)?,
            label: word("label", &LABELS, self.label.as_deref().unwrap_or("normal"))?,
            title: self.title,
            media_type: self.media_type,
            source: self.source.unwrap_or_default(),
            derive_summary: self.derive_summary,
        })
    }
}

/// Files a record. The body is the file as it is.
///
/// It is sealed while it arrives; the tap signs it. The tap's result is `{records: [{content, record, category,
/// derived_from}]}`.
#[utoipa::path(post, path = "/records", params(AddQuery), tag = "records",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = Tap), (status = 401, body = Problem),
        (status = 403, description = "Not permitted.", body = Problem), (status = 413, body = Problem)))]
pub(crate) async fn add(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<AddQuery>,
    (method, uri, headers): (Method, Uri, HeaderMap),
    body: Body,
) -> Answer<Response> {
    let asked = query.read()?;
    let declared = headers.get("content-length").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    if declared.is_some_and(|size: u64| size > RECORD_BYTES_MAX) {
        return Err(Code::BodyTooLarge.into());
    }
    let Some(place) = idempotency::place_of(&headers)? else {
        return file(&api, &caller, asked, upload(body)).await;
    };
    let target = uri.path_and_query().map_or("", |p| p.as_str());
    // The file's hash is known at its end only; what is said of it comes first, the hash follows.
    let said = idempotency::fingerprint(&method, target, &[0; 32]);
    match api.answers.begin(place, said)? {
        Found::Same(response) => {
            if api.answers.upload(&place) == Some(drain(upload(body)).await?) {
                return Ok(response);
            }
            Err(Code::KeyReused.into())
        }
        Found::Fresh => {
            idempotency::to_its_end(api.clone(), place, keyed(api, place, caller, asked, body)).await
        }
    }
}

/// Files the upload and notes its hash under the key.
async fn keyed(api: Api, place: Place, caller: Caller, asked: AddRecord, body: Body) -> Response {
    let hasher = Arc::new(Mutex::new(blake3::Hasher::new()));
    let seen = hasher.clone();
    let hashed = upload(body).inspect_ok(move |part| {
        seen.lock().unwrap_or_else(PoisonError::into_inner).update(part);
    });
    let answer = file(&api, &caller, asked, hashed.boxed()).await;
    let hash = hasher.lock().unwrap_or_else(PoisonError::into_inner).finalize();
    api.answers.note_upload(&place, *hash.as_bytes());
    answer.unwrap_or_else(IntoResponse::into_response)
}

/// A file as it arrives.
type Upload = BoxStream<'static, std::io::Result<Bytes>>;

async fn file(api: &Api, caller: &Caller, asked: AddRecord, mut upload: Upload) -> Answer<Response> {
    let desk = &api.parts.desk;
    let mut sealing = desk.begin_record(&caller.session, asked).await?;
    while let Some(part) = upload.next().await {
        // Sealing that failed ends below, where it says why; dropped, it leaves nothing behind.
        if sealing.push(part.map_err(broken)?.to_vec()).await.is_err() {
            break;
        }
    }
    let filed = desk.finish_record(&caller.session, sealing).await;
    if filed.is_err() {
        take_in(upload).await;
    }
    Ok(begun(filed?))
}

/// Reads on, so that who is still sending gets to read the refusal; at some length it is cut off.
async fn take_in(mut upload: Upload) {
    let mut taken = 0;
    while let Some(Ok(part)) = upload.next().await {
        taken += part.len();
        if taken > REFUSED_BYTES_MAX {
            return;
        }
    }
}

fn broken(error: std::io::Error) -> Problem {
    match error.kind() {
        std::io::ErrorKind::FileTooLarge => Code::BodyTooLarge.into(),
        std::io::ErrorKind::TimedOut => Code::Stalled.into(),
        _ => Problem::of(Code::BadRequest).detail("The upload broke off."),
    }
}

/// The body, which may take long but not stand still, and ends at the limit of a record.
fn upload(body: Body) -> Upload {
    let stream = (body.into_data_stream(), 0_u64);
    futures::stream::try_unfold(stream, |(mut stream, so_far)| async move {
        let stalled = |_| std::io::Error::new(std::io::ErrorKind::TimedOut, "the upload stands still");
        let Some(part) = tokio::time::timeout(STALL, stream.next()).await.map_err(stalled)? else {
            return Ok(None);
        };
        let part = part.map_err(std::io::Error::other)?;
        let so_far = so_far.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
        if so_far > RECORD_BYTES_MAX {
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "larger than a record may be"));
        }
        Ok(Some((part, (stream, so_far))))
    })
    .boxed()
}

/// Reads an upload to its end; gives its hash.
async fn drain(mut upload: Upload) -> Answer<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    while let Some(part) = upload.next().await {
        hasher.update(&part.map_err(broken)?);
    }
    Ok(*hasher.finalize().as_bytes())
}

/// The purpose of reading, by its name; treatment, or the patient's own request, where absent.
pub(crate) fn purpose_of(caller: &Caller, name: Option<&str>) -> Answer<Purpose> {
    match name {
        Some(name) => word("purpose", &PURPOSES, name),
        None if caller.patient().is_some() => Ok(Purpose::PatientRequest),
        None => Ok(Purpose::Treatment),
    }
}
