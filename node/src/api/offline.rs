//! Break-glass without a line: a hospital's own committee, the hospitals that a patient names, a witness card's part.

use axum::extract::{Path, State};
use axum::response::Response;
use hospes_protocol::ids::{ContentId, OrganizationId, PersonId};
use hospes_service::emergency::{Alarm, Suspicion};
use hospes_service::service::{Fatal, Service};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::input::{Json, id, serial};
use super::problem::{Answer, Problem};
use super::state::Api;
use super::taps::{Tap, begun};
use crate::desk::{CommitteeRequest, LocalRequest};

/// A hospital's own committee.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct LocalCommitteeAsked {
    /// Its guardians, people of this organization, in the order of their shares.
    guardians: Vec<String>,
    /// The serial of the witness card, which is in a reader.
    witness_card: String,
    /// Shares needed; 2 where absent.
    shares_needed: Option<u64>,
    /// Members that must prove their shares; all where absent.
    provers_needed: Option<u64>,
    /// Blocks that each phase of its ceremony takes.
    phase_blocks: u64,
    /// Whether it makes a key of its own although one stands.
    #[serde(default)]
    fresh: bool,
}

/// Sets this hospital's own committee, by the organization's card and the witness card. The result holds `{entry}`.
#[utoipa::path(post, path = "/committees", request_body = LocalCommitteeAsked, tag = "breakglass",
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn set_committee(
    State(api): State<Api>,
    caller: Caller,
    Json(asked): Json<LocalCommitteeAsked>,
) -> Answer<Response> {
    caller.must_administer()?;
    let guardians = asked.guardians.iter().map(|text| id::<PersonId>("guardians", text));
    let request = LocalRequest {
        witness: serial(&asked.witness_card)?,
        committee: CommitteeRequest {
            name: String::new(),
            guardians: guardians.collect::<Answer<_>>()?,
            shares_needed: asked.shares_needed,
            provers_needed: asked.provers_needed,
            phase_blocks: asked.phase_blocks,
            fresh: asked.fresh,
        },
    };
    Ok(begun(api.parts.desk.set_local_committee(&caller.session, request).await?))
}

/// Hospitals.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct HospitalsNamed {
    /// Their ids, at most four; none to take back what was named before.
    organizations: Vec<String>,
}

/// Names the hospitals at which the summary of the patient who is signed in may be opened without a line. The result holds
/// `{locker}`.
#[utoipa::path(post, path = "/emergency-hospitals", request_body = HospitalsNamed, tag = "patients",
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn name_hospitals(
    State(api): State<Api>,
    caller: Caller,
    Json(named): Json<HospitalsNamed>,
) -> Answer<Response> {
    let ids = named.organizations.iter().map(|text| id::<OrganizationId>("organizations", text));
    Ok(begun(api.parts.desk.name_hospitals(&caller.session, ids.collect::<Answer<_>>()?).await?))
}

/// Puts a request without a line before this hospital's witness card, once enough guardians have approved: it signs the log and
/// gives its half. The result holds `{request, release}`.
#[utoipa::path(post, path = "/breakglass/{id}/witness", tag = "breakglass",
    params(("id" = String, Path, description = "The request's content id.")),
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn witness(
    State(api): State<Api>,
    caller: Caller,
    Path(request): Path<String>,
) -> Answer<Response> {
    let request = id::<ContentId>("request", &request)?;
    Ok(begun(api.parts.desk.witness_emergency(&caller.session, request).await?))
}

/// A link of a hospital's log of what was opened without a line with which something is wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct LogAlarm {
    /// The hospital.
    pub(crate) organization: String,
    /// Its name.
    pub(crate) organization_name: Option<String>,
    /// Which link.
    pub(crate) counter: u64,
    /// `missing`, `twice` (the log was rolled back or copied), `unchained` or `unreleased`.
    pub(crate) what: &'static str,
    /// Nodes at which the links in question, or the one after, were signed.
    pub(crate) nodes: Vec<String>,
}

impl LogAlarm {
    fn of(alarm: &Alarm, service: &Service) -> Self {
        let organization = service.state().membership.organizations.get(&alarm.organization);
        Self {
            organization: alarm.organization.to_string(),
            organization_name: organization.map(|o| o.name.clone()),
            counter: alarm.counter,
            what: match alarm.what {
                Suspicion::Missing => "missing",
                Suspicion::Twice => "twice",
                Suspicion::Unchained => "unchained",
                Suspicion::Unreleased => "unreleased",
            },
            nodes: alarm.nodes.iter().map(ToString::to_string).collect(),
        }
    }

    /// For an administrator.
    pub(super) fn warning(&self) -> String {
        let hospital = self.organization_name.as_deref().unwrap_or(&self.organization);
        let (counter, nodes) = (self.counter, self.nodes.join(", "));
        let what = match self.what {
            "missing" => "is missing",
            "twice" => "is there twice: the log was rolled back or copied",
            "unchained" => "doesn't follow the one before it",
            _ => "let something be opened that was never filed",
        };
        format!(
            "Emergency openings without a line at {hospital}: link {counter} of its log {what} (nodes: {nodes})."
        )
    }
}

/// What copies of hospitals' logs say that they shouldn't.
///
/// # Errors
/// [`Fatal`] of the store.
pub(super) fn log_alarms(service: &Service) -> Result<Vec<LogAlarm>, Fatal> {
    Ok(service.witness_alarms()?.iter().map(|alarm| LogAlarm::of(alarm, service)).collect())
}
