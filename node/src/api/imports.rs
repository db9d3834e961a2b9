//! `/imports`: looks into a file and proposes how to file it. Nothing is kept and nothing is filed.

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use hospes_import::{Imported, PatientIdentity};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::codes::{Code, Family};
use super::input::Params;
use super::problem::{Answer, Problem};
use super::state::Api;
use crate::words::{CATEGORIES, LABELS, name};

/// What is looked into is read into memory; larger files are filed without a proposal.
const LOOK_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Files that are looked into at once.
const LOOKS_MAX: usize = 2;
static LOOKS: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(LOOKS_MAX);

/// What the file is called.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportQuery {
    /// The file's name, without a path.
    file_name: Option<String>,
}

/// How a file could be filed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Proposal {
    /// The media type under which to file it.
    media_type: String,
    /// The proposed category.
    category: &'static str,
    /// The proposed label.
    label: &'static str,
    /// A title for lists.
    title: String,
    /// The date of care: `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    date: Option<String>,
    /// The DICOM modality.
    modality: Option<String>,
    /// The system that it comes from.
    source: Option<String>,
    /// Whom the file names.
    patients: Vec<NamedPatient>,
    /// What a person should look at before filing.
    warnings: Vec<String>,
}

/// Someone whom a file names.
#[derive(Serialize, ToSchema)]
pub(crate) struct NamedPatient {
    /// Given names.
    given: Vec<String>,
    /// The family name.
    family: String,
    /// The date of birth.
    birth_date: Option<String>,
}

impl Proposal {
    fn of(imported: Imported) -> Self {
        let named = |p: &PatientIdentity| NamedPatient {
            given: p.given.clone(),
            family: p.family.clone(),
            birth_date: p.birth_date.clone(),
        };
        Self {
            media_type: imported.media_type,
            category: name(&CATEGORIES, &imported.category),
            label: name(&LABELS, &imported.label),
            title: imported.title,
            date: imported.date,
            modality: imported.modality,
            source: imported.source_system,
            patients: imported.patients.iter().map(named).collect(),
            warnings: imported.warnings,
        }
    }
}

/// Proposes how to file a file. The body is the file as it is.
#[utoipa::path(post, path = "/imports", params(ImportQuery), tag = "records",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Proposal), (status = 401, body = Problem), (status = 413, body = Problem),
        (status = 422, description = "A damaged file.", body = Problem)))]
pub(crate) async fn inspect(
    State(_api): State<Api>,
    _caller: Caller,
    Params(query): Params<ImportQuery>,
    body: Body,
) -> Answer<Json<Proposal>> {
    let _turn = LOOKS.try_acquire().map_err(|_| Code::TooMany)?;
    let bytes = to_bytes(body, LOOK_BYTES_MAX).await.map_err(|_| {
        Problem::of(Code::BodyTooLarge)
            .detail("At most 64 MiB are looked into; file larger ones as they are.")
    })?;
    let look = move || hospes_import::inspect(&bytes, query.file_name.as_deref()).map(Proposal::of);
    hospes_protocol::fail_point!(ImportUnread, return Err(Code::Stopping.into()));
    let looked = tokio::task::spawn_blocking(look).await.map_err(|_| Code::Stopping)?;
    let damaged = |e: hospes_import::ImportError| {
        let status = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
        let next = "Look at the file, or file it as it is under a category of your choice.";
        Problem::foreign(status, Family::Failed, "unreadable-file", &e.to_string(), next)
    };
    looked.map(Json).map_err(damaged)
}
