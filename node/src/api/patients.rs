//! `/patients`: enrolling, finding by the home organization's own index, and what is known of one.
//!
//! The index of names is local to the home organization and asked by its people alone. Whether a patient
//! exists is told to the patient, to home, and to whoever may read one of the patient's records.

use axum::Json as Reply;
use axum::extract::{Path, State};
use axum::response::Response;
use hospes_protocol::ids::PatientId;
use hospes_protocol::patient::Identity;
use hospes_protocol::policy::Known;
use hospes_service::service::Service;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::codes::Code;
use super::input::{Json, Params, id, serial};
use super::page::{Page, Paging};
use super::problem::{Answer, Problem};
use super::state::Api;
use super::taps::{Tap, begun};
use crate::desk::{CreatePatient, FoundPatient};

/// Who someone is.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub(crate) struct Demographics {
    /// Family name.
    family: String,
    /// Given names.
    given: Vec<String>,
    /// Date of birth, `YYYY-MM-DD`.
    birth_date: String,
    /// Postal code; empty where absent.
    #[serde(default)]
    postal_code: String,
    /// A national number.
    national_id: Option<String>,
}

impl Demographics {
    fn of(identity: &Identity) -> Self {
        Self {
            family: identity.family.clone(),
            given: identity.given.clone(),
            birth_date: identity.birth_date.clone(),
            postal_code: identity.postal_code.clone(),
            national_id: identity.national_id.clone(),
        }
    }

    fn read(self) -> Identity {
        let Self { family, given, birth_date, postal_code, national_id } = self;
        Identity { family, given, birth_date, postal_code, national_id }
    }
}

/// A patient to enrol.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewPatient {
    /// The serial of the patient's new card.
    card: String,
    /// Identifying data, which leave this organization only sealed.
    identity: Demographics,
    /// The patient's language (BCP 47); English where absent.
    language: Option<String>,
}

/// Enrols a patient.
///
/// First the organization's card taps, then the patient's. The result holds the pseudonym and, once, the
/// recovery code to print.
#[utoipa::path(post, path = "/patients", request_body = NewPatient, tag = "patients",
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Json(asked): Json<NewPatient>,
) -> Answer<Response> {
    caller.must_administer()?;
    let asked = CreatePatient {
        card: serial(&asked.card)?,
        identity: asked.identity.read(),
        language: asked.language.unwrap_or_else(|| "en".into()),
    };
    Ok(begun(api.parts.desk.create_patient(&caller.session, asked).await?))
}

/// Whom to find: an exact match of what is given.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FindQuery {
    /// The family name, in any case.
    family: Option<String>,
    /// The date of birth, `YYYY-MM-DD`.
    birth_date: Option<String>,
    /// Entries, at most; 1 to 1000, 100 where absent.
    limit: Option<usize>,
    /// Where the page before ended; opaque.
    cursor: Option<String>,
}

/// A patient of this organization, by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct Found {
    /// The pseudonym.
    patient: String,
    /// Identifying data, as they were given at enrolment.
    identity: Demographics,
}

/// Finds patients in the index of this node's organization.
#[utoipa::path(get, path = "/patients", params(FindQuery), tag = "patients",
    responses((status = 200, body = Page<Found>), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn find(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<FindQuery>,
) -> Answer<Reply<Page<Found>>> {
    if caller.organization() != Some(api.parts.node.organization) {
        return Err(Code::NotPermitted.into());
    }
    let paging = Paging { limit: query.limit, cursor: query.cursor };
    let desk = api.parts.desk.clone();
    let look =
        move || desk.find_patients(&caller.session, query.family.as_deref(), query.birth_date.as_deref());
    let matches = tokio::task::spawn_blocking(look).await.map_err(|_| Code::Stopping)??;
    let found =
        |p: FoundPatient| Found { patient: p.patient.to_string(), identity: Demographics::of(&p.identity) };
    paging.of(matches.into_iter().map(found).collect()).map(Reply)
}

/// What is known of a patient.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Patient {
    /// The pseudonym.
    patient: String,
    /// The home organization.
    home: String,
    /// Its public name.
    home_name: Option<String>,
    /// The patient's language (BCP 47).
    language: String,
    /// The height that made the enrolment, or the last move of home, final.
    final_at: Option<u64>,
}

/// What is known of a patient.
#[utoipa::path(get, path = "/patients/{id}", tag = "patients",
    params(("id" = String, Path, description = "The pseudonym.")),
    responses((status = 200, body = Patient), (status = 401, body = Problem),
        (status = 403, description = "Not permitted, or no such patient.", body = Problem)))]
pub(crate) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path(text): Path<String>,
) -> Answer<Reply<Patient>> {
    let patient: PatientId = id("patient", &text)?;
    api.ask(move |service| one(service, &caller, patient)).await.map(Reply)
}

fn one(service: &Service, caller: &Caller, patient: PatientId) -> Answer<Patient> {
    use hospes_protocol::policy::View as _;
    let Known { entry, height, .. } = service.view().patient(&patient)?.ok_or(Code::NotPermitted)?;
    let home = caller.organization() == Some(entry.home);
    if !home && !caller.is_patient(&patient) && !treats(service, caller, &patient)? {
        return Err(Code::NotPermitted.into());
    }
    let name = service.state().membership.organizations.get(&entry.home).map(|o| o.name.clone());
    Ok(Patient {
        patient: patient.to_string(),
        home: entry.home.to_string(),
        home_name: name,
        language: entry.language,
        final_at: height,
    })
}

/// Whether the caller holds something from the patient.
fn treats(service: &Service, caller: &Caller, patient: &PatientId) -> Answer<bool> {
    let Some(person) = caller.person() else { return Ok(false) };
    let grants = service.grants_to_person(&person)?;
    Ok(grants.iter().any(|g| g.entry.patient == *patient))
}
