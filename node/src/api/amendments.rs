//! `/records/{content}/amendments`: changing what is said of a record, by the cards of those who must agree.
//!
//! Whether the caller may, and whose card signs beside, the desk says; who may read the record afterwards follows from
//! its new category and label.

use axum::extract::{Path, State};
use axum::response::Response;
use hospes_protocol::ids::ContentId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::input::{Json, id, word};
use super::problem::{Answer, Problem};
use super::records::one;
use super::state::Api;
use super::taps::{Tap, begun};
use crate::desk::AmendRecord;
use crate::words::{CATEGORIES, LABELS};

/// What is to change; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct AmendmentAsked {
    /// A short title.
    title: Option<String>,
    /// The category.
    category: Option<String>,
    /// The label.
    label: Option<String>,
}

impl AmendmentAsked {
    fn read(self) -> Answer<AmendRecord> {
        Ok(AmendRecord {
            title: self.title,
            category: self.category.map(|c| word("category", &CATEGORIES, &c)).transpose()?,
            label: self.label.map(|l| word("label", &LABELS, &l)).transpose()?,
        })
    }
}

/// Changes title, category or label of a record.
///
/// The patient and a practitioner of the organization that answers for the record sign together, each with the own
/// card in a reader of this desk; either may be the caller. The patient alone raises the label, and changes what the
/// patient wrote. The tap's result is `{record, amendment}`.
#[utoipa::path(post, path = "/records/{content}/amendments", request_body = AmendmentAsked, tag = "records",
    params(("content" = String, Path, description = "The record's content id.")),
    responses((status = 201, body = Tap), (status = 401, body = Problem),
        (status = 403, description = "Not permitted, or no such record.", body = Problem)))]
pub(crate) async fn amend(
    State(api): State<Api>,
    caller: Caller,
    Path(content): Path<String>,
    Json(asked): Json<AmendmentAsked>,
) -> Answer<Response> {
    let (content, asked) = (id::<ContentId>("content", &content)?, asked.read()?);
    let reader = caller.clone();
    // Absent and denied are one answer.
    api.ask(move |service| one(service, &reader, content)).await?;
    Ok(begun(api.parts.desk.amend_record(&caller.session, content, asked).await?))
}
