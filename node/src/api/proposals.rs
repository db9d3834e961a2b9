//! `/policies` and `/proposals`: what the federation, or an organization for itself, has set, and what needs the
//! cards of several organizations.
//!
//! A proposal travels as a file among the organizations; each adds its card's signature by a vote, and the one
//! that completes it is filed.

use axum::Json as Reply;
use axum::extract::State;
use axum::response::Response;
use hospes_protocol::control::{PolicyEntry, PolicyFields};
use hospes_protocol::ids::OrganizationId;
use hospes_service::service::Service;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::input::{Json, id};
use super::problem::{Answer, Problem};
use super::state::Api;
use super::taps::{Tap, begun};
use crate::desk::PolicyChoice;

/// What the federation has set.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FederationPolicy {
    /// Headers in one block, at most.
    block_headers_max: u64,
    /// How long a proposer waits for more headers, in milliseconds.
    block_delay_ms: u64,
    /// An idle network commits an empty block at this interval, in milliseconds.
    idle_block_ms: u64,
    /// Grants are not acted upon when the newest certified block is older, in milliseconds.
    lease_ms: u64,
    /// Whether cards without attested hardware are accepted for people.
    soft_cards: bool,
    /// Bytes that an organization may have others hold for it.
    quota_bytes: u64,
}

impl FederationPolicy {
    fn of(fields: &PolicyFields) -> Self {
        Self {
            block_headers_max: fields.block_headers_max,
            block_delay_ms: fields.block_delay_ms,
            idle_block_ms: fields.idle_block_ms,
            lease_ms: fields.lease_ms,
            soft_cards: fields.soft_cards,
            quota_bytes: fields.quota_bytes,
        }
    }
}

/// What an organization has set for itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrganizationPolicy {
    /// The organization.
    organization: String,
    /// Organizations whose nodes hold copies of what it authored.
    backup_partners: Vec<String>,
}

impl OrganizationPolicy {
    fn of((organization, entry): (&OrganizationId, &PolicyEntry)) -> Self {
        let backup_partners = entry.backup_partners.iter().map(ToString::to_string).collect();
        Self { organization: organization.to_string(), backup_partners }
    }
}

/// Policies.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Policies {
    /// The federation's.
    federation: FederationPolicy,
    /// Those of organizations.
    organizations: Vec<OrganizationPolicy>,
}

/// What the federation and its organizations have set.
#[utoipa::path(get, path = "/policies", tag = "membership",
    responses((status = 200, body = Policies), (status = 401, body = Problem)))]
pub(crate) async fn policies(State(api): State<Api>, _caller: Caller) -> Answer<Reply<Policies>> {
    let read = |service: &Service| {
        let membership = &service.state().membership;
        let organizations = membership.organization_policies.iter().map(OrganizationPolicy::of).collect();
        Ok(Policies { federation: FederationPolicy::of(&membership.policy), organizations })
    };
    api.ask(read).await.map(Reply)
}

/// What this node's organization sets for itself.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct PolicyAsked {
    /// Organizations whose nodes are to hold copies of what it authored.
    backup_partners: Vec<String>,
}

/// Sets the policy of this node's organization, by its card.
#[utoipa::path(post, path = "/policies", request_body = PolicyAsked, tag = "membership",
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn set_policy(
    State(api): State<Api>,
    caller: Caller,
    Json(asked): Json<PolicyAsked>,
) -> Answer<Response> {
    caller.must_administer()?;
    let partners = asked.backup_partners.iter().map(|o| id("backup_partners", o));
    let choice = PolicyChoice { backup_partners: partners.collect::<Answer<Vec<_>>>()? };
    Ok(begun(api.parts.desk.set_policy(&caller.session, choice).await?))
}
