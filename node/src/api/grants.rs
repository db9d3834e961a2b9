//! `/grants`: consents: what there is, the text before the tap, giving and withdrawing.
//!
//! The patient sees all of the own grants, others those that they may act under.

use axum::Json as Reply;
use axum::extract::{Path, State};
use axum::response::Response;
use hospes_protocol::ids::{ContentId, OrganizationId, PatientId, StudyId};
use hospes_protocol::personal::Grantee;
use hospes_service::service::Service;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::codes::Code;
use super::input::{Json, Params, id, word};
use super::page::{Page, Paging};
use super::problem::{Answer, Problem};
use super::shown::Grant;
use super::state::Api;
use super::taps::{Tap, begun};
use super::times::milliseconds;
use crate::desk::{GrantRequest, Revoke};
use crate::words::{ANONYMITY, CATEGORIES, LABELS, PURPOSES, RIGHTS};

/// Whose grants.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct GrantsQuery {
    /// The patient's pseudonym; where absent, the caller's own, or those that the caller holds.
    patient: Option<String>,
    /// Entries, at most; 1 to 1000, 100 where absent.
    limit: Option<usize>,
    /// Where the page before ended; opaque.
    cursor: Option<String>,
}

/// Grants: for a patient all of the own, for others those that they may act under.
#[utoipa::path(get, path = "/grants", params(GrantsQuery), tag = "grants",
    responses((status = 200, body = Page<Grant>), (status = 401, body = Problem)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<GrantsQuery>,
) -> Answer<Reply<Page<Grant>>> {
    let patient = query.patient.as_deref().map(|p| id("patient", p)).transpose()?;
    let paging = Paging { limit: query.limit, cursor: query.cursor };
    api.ask(move |service| page_of(service, &caller, patient, &paging)).await.map(Reply)
}

fn page_of(
    service: &Service,
    caller: &Caller,
    patient: Option<PatientId>,
    paging: &Paging,
) -> Answer<Page<Grant>> {
    let mut all = match (caller.patient(), caller.person()) {
        (Some(own), _) => service.grants_of(&own)?,
        (_, Some(person)) => service.grants_to_person(&person)?,
        _ => Vec::new(),
    };
    all.retain(|g| patient.is_none_or(|p| p == g.entry.patient));
    let page = paging.of(all)?;
    let items = page.items.iter().map(|g| Grant::of(g, service)).collect();
    Ok(Page { items, next_cursor: page.next_cursor })
}

/// Who is to hold a grant.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum GranteeAsked {
    /// One person, by id.
    Person(String),
    /// Every practitioner of an organization, by its id.
    Organization(String),
    /// Every practitioner of an organization in a role.
    Role {
        /// The organization.
        organization: String,
        /// The role.
        role: String,
    },
}

impl GranteeAsked {
    fn read(&self) -> Answer<Grantee> {
        Ok(match self {
            Self::Person(person) => Grantee::Person(id("person", person)?),
            Self::Organization(o) => Grantee::Organization(id("organization", o)?),
            Self::Role { organization, role } => {
                Grantee::Role(id::<OrganizationId>("organization", organization)?, role.clone())
            }
        })
    }
}

/// A grant to give.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct GrantAsked {
    /// Who is to hold it.
    grantee: GranteeAsked,
    /// Categories; empty where records are named.
    #[serde(default)]
    categories: Vec<String>,
    /// The highest label included; `normal` where absent.
    label: Option<String>,
    /// Single records by content id; empty where categories are named.
    #[serde(default)]
    records: Vec<String>,
    /// `read`, `write`, `share`.
    rights: Vec<String>,
    /// From, inclusive; now where absent.
    from: Option<String>,
    /// Until, exclusive.
    until: String,
    /// For what; `treatment` where absent.
    purpose: Option<String>,
    /// The study, for `share`.
    study: Option<String>,
    /// How data leave under `share`; `as-is` where absent.
    anonymity: Option<String>,
    /// Ends with its first use.
    #[serde(default)]
    one_time: bool,
    /// Changes need the author's and the patient's signature.
    #[serde(default)]
    two_signatures: bool,
}

fn ids(what: &str, texts: &[String]) -> Answer<Vec<ContentId>> {
    let mut list = texts.iter().map(|t| id(what, t)).collect::<Answer<Vec<_>>>()?;
    list.sort_unstable();
    list.dedup();
    Ok(list)
}

impl GrantAsked {
    /// As the desk takes it.
    fn read(&self, now: u64) -> Answer<GrantRequest> {
        let mut categories =
            self.categories.iter().map(|c| word("category", &CATEGORIES, c)).collect::<Answer<Vec<_>>>()?;
        categories.sort_unstable();
        categories.dedup();
        let rights = self.rights.iter().map(|r| word("right", &RIGHTS, r)).collect::<Answer<Vec<_>>>()?;
        Ok(GrantRequest {
            grantee: self.grantee.read()?,
            categories,
            label: word("label", &LABELS, self.label.as_deref().unwrap_or("normal"))?,
            records: ids("record", &self.records)?,
            rights: rights.iter().fold(0, |sum, r| sum | r.code()),
            from: self.from.as_deref().map_or(Ok(now), milliseconds)?,
            until: milliseconds(&self.until)?,
            purpose: word("purpose", &PURPOSES, self.purpose.as_deref().unwrap_or("treatment"))?,
            study: self.study.as_deref().map(|s| id::<StudyId>("study", s)).transpose()?,
            anonymity: word("anonymity", &ANONYMITY, self.anonymity.as_deref().unwrap_or("as-is"))?,
            one_time: self.one_time,
            two_signatures: self.two_signatures,
        })
    }
}

/// Gives a grant, by the patient's card. The result holds `{grant, …}`.
#[utoipa::path(post, path = "/grants", request_body = GrantAsked, tag = "grants",
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn give(
    State(api): State<Api>,
    caller: Caller,
    Json(asked): Json<GrantAsked>,
) -> Answer<Response> {
    caller.patient().ok_or(Code::NotPermitted)?;
    let now = api.ask(|service| Ok(service.now())).await?;
    Ok(begun(api.parts.desk.grant(&caller.session, asked.read(now)?).await?))
}

/// What a patient reads before the tap.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConsentText {
    /// The text.
    text: String,
    /// Its language (BCP 47).
    language: String,
    /// Its SHA-256, in hexadecimal.
    text_hash: String,
}

/// A grant, in words.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TextQuery {
    /// The grant as JSON, as in `POST /grants`.
    grant: String,
}

/// The text that a grant would be signed with.
#[utoipa::path(get, path = "/grants/text", params(TextQuery), tag = "grants",
    responses((status = 200, body = ConsentText), (status = 401, body = Problem)))]
pub(crate) async fn text(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<TextQuery>,
) -> Answer<Reply<ConsentText>> {
    let wrong = |e: serde_json::Error| Problem::of(Code::BadRequest).detail(format!("grant: {e}"));
    let asked: GrantAsked = serde_json::from_str(&query.grant).map_err(wrong)?;
    let now = api.ask(|service| Ok(service.now())).await?;
    let shown = api.parts.desk.consent_text(&caller.session, asked.read(now)?).await?;
    let text_hash = data_encoding::HEXLOWER.encode(&hospes_protocol::ids::sha256(&[shown.text.as_bytes()]));
    Ok(Reply(ConsentText { text: shown.text, language: shown.language.tag().to_owned(), text_hash }))
}

/// What is taken back; exactly one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RevokeAsked {
    /// These grants, by content id.
    Grants(Vec<String>),
    /// Everything that one grantee holds.
    Grantee(GranteeAsked),
    /// Everything. The value is `true`.
    Everything(bool),
}

impl RevokeAsked {
    fn read(&self) -> Answer<Revoke> {
        match self {
            Self::Grants(list) => Ok(Revoke::Grants(ids("grant", list)?)),
            Self::Grantee(grantee) => grantee.read().map(Revoke::Grantee),
            Self::Everything(true) => Ok(Revoke::Everything),
            Self::Everything(false) => Err(Problem::of(Code::BadRequest).detail("Name what is taken back.")),
        }
    }
}

/// Withdraws grants, by the patient's card, with fresh keys in the same tap.
#[utoipa::path(post, path = "/grants/revoke", request_body = RevokeAsked, tag = "grants",
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn revoke(
    State(api): State<Api>,
    caller: Caller,
    Json(asked): Json<RevokeAsked>,
) -> Answer<Response> {
    caller.patient().ok_or(Code::NotPermitted)?;
    Ok(begun(api.parts.desk.revoke(&caller.session, asked.read()?).await?))
}

/// Withdraws one grant.
#[utoipa::path(post, path = "/grants/{id}/revoke", tag = "grants",
    params(("id" = String, Path, description = "The grant's content id.")),
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn revoke_one(
    State(api): State<Api>,
    caller: Caller,
    Path(grant): Path<String>,
) -> Answer<Response> {
    caller.patient().ok_or(Code::NotPermitted)?;
    let revoke = Revoke::Grants(vec![id("grant", &grant)?]);
    Ok(begun(api.parts.desk.revoke(&caller.session, revoke).await?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked(json: serde_json::Value) -> Answer<GrantRequest> {
        serde_json::from_value::<GrantAsked>(json).expect("the form of a grant").read(1_000)
    }

    #[test]
    fn a_grant_is_read_with_its_defaults() {
        let organization = "11".repeat(32);
        let grant = asked(json!({
            "grantee": { "organization": organization }, "categories": ["medication", "laboratory"],
            "rights": ["read", "write"], "until": "2030-01-01T00:00:00Z"
        }))
        .expect("a lawful grant");
        assert_eq!(grant.rights, 3, "read and write");
        assert_eq!(grant.from, 1_000, "from now");
        assert!(grant.categories.is_sorted(), "categories ascend, whatever order they came in");
    }

    #[test]
    fn unknown_words_are_refused_by_name() {
        let refused = asked(json!({
            "grantee": { "person": "22".repeat(32) }, "categories": ["xray"],
            "rights": ["read"], "until": "2030-01-01T00:00:00Z"
        }));
        assert!(refused.is_err(), "no such category");
        assert!(RevokeAsked::Everything(false).read().is_err(), "nothing is no withdrawal");
        assert_eq!(RevokeAsked::Everything(true).read().ok(), Some(Revoke::Everything), "everything is one");
    }
}
