//! `/policies` and `/proposals`: what the federation, or an organization for itself, has set, and what needs the
//! cards of several organizations.
//!
//! A proposal travels as a file among the organizations; each adds its card's signature by a vote, and the one
//! that completes it is filed.

use axum::Json as Reply;
use axum::extract::State;
use axum::response::Response;
use hospes_protocol::control::{NodeEntry, OrganizationEntry, PolicyEntry, PolicyFields};
use hospes_protocol::ids::OrganizationId;
use hospes_protocol::wire::Wire as _;
use hospes_service::service::Service;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::input::{Json, base64, id, serial};
use super::problem::{Answer, Problem};
use super::state::Api;
use super::taps::{Tap, begun};
use crate::desk::{CommitteeRequest, PolicyChoice, Proposal, ProposalState};

/// What the federation has set.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
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
    /// How long an erasure can be taken back, in milliseconds; 14 days where absent.
    #[serde(default = "cooling_off_ms")]
    cooling_off_ms: u64,
    /// Whether the patient's card and one practitioner open an emergency summary; yes where absent.
    #[serde(default = "tier_zero")]
    tier_zero: bool,
    /// How long the replacing of a lost card can be contested, in milliseconds; 24 hours where absent.
    #[serde(default = "recovery_delay_ms")]
    recovery_delay_ms: u64,
}

const fn tier_zero() -> bool {
    true
}

const fn recovery_delay_ms() -> u64 {
    hospes_protocol::limits::RECOVERY_DELAY_MS_DEFAULT
}

const fn cooling_off_ms() -> u64 {
    hospes_protocol::limits::COOLING_OFF_MS_DEFAULT
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
            cooling_off_ms: fields.cooling_off_ms,
            tier_zero: fields.tier_zero,
            recovery_delay_ms: fields.recovery_delay_ms,
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
    /// Whether its people open emergency summaries by the patient's card and their own alone.
    tier_zero: bool,
}

impl OrganizationPolicy {
    fn of((organization, entry): (&OrganizationId, &PolicyEntry)) -> Self {
        let backup_partners = entry.backup_partners.iter().map(ToString::to_string).collect();
        Self { organization: organization.to_string(), backup_partners, tier_zero: entry.tier_zero }
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

/// What this node's organization sets for itself; what is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct PolicyAsked {
    /// Organizations whose nodes are to hold copies of what it authored.
    backup_partners: Option<Vec<String>>,
    /// Whether its people open emergency summaries by the patient's card and their own alone.
    tier_zero: Option<bool>,
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
    let read = |all: Vec<String>| all.iter().map(|o| id("backup_partners", o)).collect::<Answer<Vec<_>>>();
    let backup_partners = asked.backup_partners.map(read).transpose()?;
    let choice = PolicyChoice { backup_partners, tier_zero: asked.tier_zero };
    Ok(begun(api.parts.desk.set_policy(&caller.session, choice).await?))
}

/// What is proposed; exactly one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum ProposalAsked {
    /// An organization joins, or changes its cards or name.
    AdmitOrganization {
        /// Its entry, deterministic CBOR in base64.
        entry: String,
    },
    /// An organization leaves.
    RemoveOrganization {
        /// Which.
        organization: String,
    },
    /// A node of this organization joins or is renewed.
    AdmitNode {
        /// Its entry, deterministic CBOR in base64.
        entry: String,
    },
    /// A node is retired.
    RemoveNode {
        /// Which.
        node: String,
    },
    /// The validators from the next height on.
    ValidatorSet {
        /// Their nodes.
        nodes: Vec<String>,
    },
    /// The federation's policy.
    Policy {
        /// All of it.
        fields: FederationPolicy,
    },
    /// A committee makes a threshold key, or takes over the one of its name.
    Committee {
        /// `summary`, `full`, `ledger`, or a hospital's own.
        name: String,
        /// Guardians, in the order of their shares; none for `ledger`, which is the validators of today.
        guardians: Vec<String>,
        /// Shares needed; where absent, 2, 3 for `full`, more than two thirds for `ledger`.
        shares_needed: Option<u64>,
        /// Members that must prove their shares; where absent, all guardians, or as many validators as are needed.
        provers_needed: Option<u64>,
        /// Blocks that each of the four phases takes.
        phase_blocks: u64,
        /// Whether a new key is made although one of this name stands.
        #[serde(default)]
        fresh: bool,
    },
}

impl ProposalAsked {
    fn read(self) -> Answer<Proposal> {
        Ok(match self {
            Self::AdmitOrganization { entry } => {
                Proposal::AdmitOrganization(OrganizationEntry::decode(&base64("entry", &entry)?)?)
            }
            Self::RemoveOrganization { organization } => {
                Proposal::RemoveOrganization(id("organization", &organization)?)
            }
            Self::AdmitNode { entry } => Proposal::AdmitNode(NodeEntry::decode(&base64("entry", &entry)?)?),
            Self::RemoveNode { node } => Proposal::RemoveNode(id("node", &node)?),
            Self::ValidatorSet { nodes } => {
                let mut nodes = nodes.iter().map(|n| id("nodes", n)).collect::<Answer<Vec<_>>>()?;
                nodes.sort_unstable();
                nodes.dedup();
                Proposal::ValidatorSet(nodes)
            }
            Self::Policy { fields } => Proposal::Policy(fields.read()),
            Self::Committee { name, guardians, shares_needed, provers_needed, phase_blocks, fresh } => {
                let guardians = guardians.iter().map(|g| id("guardians", g)).collect::<Answer<Vec<_>>>()?;
                Proposal::Committee(CommitteeRequest {
                    name,
                    guardians,
                    shares_needed,
                    provers_needed,
                    phase_blocks,
                    fresh,
                })
            }
        })
    }
}

impl FederationPolicy {
    fn read(self) -> PolicyFields {
        PolicyFields {
            block_headers_max: self.block_headers_max,
            block_delay_ms: self.block_delay_ms,
            idle_block_ms: self.idle_block_ms,
            lease_ms: self.lease_ms,
            soft_cards: self.soft_cards,
            quota_bytes: self.quota_bytes,
            cooling_off_ms: self.cooling_off_ms,
            tier_zero: self.tier_zero,
            recovery_delay_ms: self.recovery_delay_ms,
        }
    }
}

/// A proposal with what it still needs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProposalView {
    /// What travels among the organizations, base64.
    proposal: String,
    /// What it says, for people.
    text: String,
    /// The organization whose node files it.
    organization: String,
    /// Organizations whose cards have signed.
    signed: Vec<String>,
    /// Whether consensus would accept it as it is.
    sufficient: bool,
}

impl ProposalView {
    fn of(state: &ProposalState) -> Self {
        Self {
            proposal: data_encoding::BASE64.encode(&state.bytes),
            text: state.text.clone(),
            organization: state.organization.to_string(),
            signed: state.signed.iter().map(ToString::to_string).collect(),
            sufficient: state.sufficient,
        }
    }
}

/// Makes a proposal, signed by nobody yet.
#[utoipa::path(post, path = "/proposals", request_body = ProposalAsked, tag = "membership",
    responses((status = 200, body = ProposalView), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn propose(
    State(api): State<Api>,
    caller: Caller,
    Json(asked): Json<ProposalAsked>,
) -> Answer<Reply<ProposalView>> {
    caller.must_administer()?;
    let state = api.parts.desk.propose(&caller.session, asked.read()?).await?;
    Ok(Reply(ProposalView::of(&state)))
}

/// A proposal as it travels.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ProposalGiven {
    /// The proposal, base64.
    proposal: String,
    /// For a vote: the serial of the card, where it isn't this organization's, as of one that has no node yet.
    card: Option<String>,
}

/// Reads a proposal: what it says and who has signed.
#[utoipa::path(post, path = "/proposals/show", request_body = ProposalGiven, tag = "membership",
    responses((status = 200, body = ProposalView), (status = 401, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn show(
    State(api): State<Api>,
    _caller: Caller,
    Json(given): Json<ProposalGiven>,
) -> Answer<Reply<ProposalView>> {
    let bytes = base64("proposal", &given.proposal)?.to_vec();
    Ok(Reply(ProposalView::of(&api.parts.desk.proposal(bytes).await?)))
}

/// Adds an organization card's signature. The result is `{proposal, signed, sufficient, filed}`.
#[utoipa::path(post, path = "/proposals/vote", request_body = ProposalGiven, tag = "membership",
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn vote(
    State(api): State<Api>,
    caller: Caller,
    Json(given): Json<ProposalGiven>,
) -> Answer<Response> {
    caller.must_administer()?;
    let bytes = base64("proposal", &given.proposal)?.to_vec();
    let card = given.card.as_deref().map(serial).transpose()?;
    Ok(begun(api.parts.desk.vote(&caller.session, bytes, card).await?))
}

/// What was filed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Filed {
    /// The entry's content id.
    content: String,
}

/// Files a proposal of this node's organization that enough organizations have signed.
#[utoipa::path(post, path = "/proposals/file", request_body = ProposalGiven, tag = "membership",
    responses((status = 200, body = Filed), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 422, description = "Signatures are missing.", body = Problem)))]
pub(crate) async fn file(
    State(api): State<Api>,
    caller: Caller,
    Json(given): Json<ProposalGiven>,
) -> Answer<Reply<Filed>> {
    caller.must_administer()?;
    let bytes = base64("proposal", &given.proposal)?.to_vec();
    let content = api.parts.desk.file_proposal(&caller.session, bytes).await?;
    Ok(Reply(Filed { content }))
}

/// A block, as a node that is trusted shows it in its status.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CheckpointAsked {
    /// Its height.
    height: u64,
    /// Its hash, in hexadecimal.
    block: String,
}

/// Lets this node go on from a block, by its organization's card. The result is `{height, block}`.
#[utoipa::path(post, path = "/checkpoint", request_body = CheckpointAsked, tag = "membership",
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn checkpoint(
    State(api): State<Api>,
    caller: Caller,
    Json(asked): Json<CheckpointAsked>,
) -> Answer<Response> {
    caller.must_administer()?;
    let block = id("block", &asked.block)?;
    Ok(begun(api.parts.desk.trust_checkpoint(&caller.session, asked.height, block).await?))
}
