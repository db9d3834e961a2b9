//! What several organizations must sign: a proposal is a body that gathers signatures from desk to desk.
//!
//! It travels as bytes, by mail or on a stick; each organization's card votes at its own desk over the text that is
//! made from the content. The node of the organization that proposed files it once enough have signed. Nothing here
//! counts for the ledger: consensus judges the signatures again.

use std::sync::Arc;

use hospes_card::{CardSerial, Slot};
use hospes_protocol::control::{
    CommitteeEntry, NodeEntry, OrganizationEntry, PolicyEntry, PolicyFields, Standing, ValidatorSetEntry,
};
use hospes_protocol::entry::{Content, Kind, is_control};
use hospes_protocol::ids::{NodeId, OrganizationId};
use hospes_protocol::state::organizations_that_signed;
use hospes_protocol::tap::{Body, sign_tap};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::filing::Filing;
use hospes_service::service::Service;
use serde_json::json;

use super::committees::CommitteeRequest;
use super::compose::{Entry, file_filings};
use super::error::DeskError;
use super::sessions::Session;
use super::sign_in::name_of;
use super::taps::{Tap, TapView};
use super::{Desk, committees, random, text};
use crate::init::NODE_VALID_MS;

/// What is proposed.
#[derive(Clone, Debug)]
pub(crate) enum Proposal {
    /// An organization joins, or changes its cards or name.
    AdmitOrganization(OrganizationEntry),
    /// An organization leaves.
    RemoveOrganization(OrganizationId),
    /// A node of this organization joins or is renewed.
    AdmitNode(NodeEntry),
    /// A node is retired, by its organization or by the others.
    RemoveNode(NodeId),
    /// The validators from the next height on.
    ValidatorSet(Vec<NodeId>),
    /// The federation's policy.
    Policy(PolicyFields),
    /// A committee makes a threshold key, or takes one over.
    Committee(CommitteeRequest),
}

/// A proposal with what it still needs.
#[derive(Clone, Debug)]
pub(crate) struct ProposalState {
    /// The bytes that travel: a body with its signatures so far.
    pub(crate) bytes: Vec<u8>,
    /// What it says, for people.
    pub(crate) text: String,
    /// The organization whose node files it.
    pub(crate) organization: OrganizationId,
    /// Organizations whose cards have signed.
    pub(crate) signed: Vec<OrganizationId>,
    /// Whether consensus would accept it as it is.
    pub(crate) sufficient: bool,
}

fn entry_of(desk: &Desk, service: &Service, proposal: Proposal) -> Result<Entry, DeskError> {
    let (place, rng) = (desk.0.place, &mut random::generator()?);
    let members = &service.state().membership;
    Ok(match proposal {
        Proposal::AdmitOrganization(payload) => place.entry(Kind::Organization, &[], &payload, None, rng),
        Proposal::RemoveOrganization(id) => {
            let known = members.organization(&id).ok_or(DeskError::Unknown("this organization"))?;
            let payload = OrganizationEntry { standing: Standing::Removed, ..known.clone() };
            place.entry(Kind::Organization, &[], &payload, None, rng)
        }
        Proposal::AdmitNode(payload) => place.entry(Kind::Node, &[], &payload, None, rng),
        Proposal::RemoveNode(id) => {
            let known = members.node(&id).ok_or(DeskError::Unknown("this node"))?;
            let payload = NodeEntry { standing: Standing::Removed, ..known.clone() };
            place.entry(Kind::Node, &[], &payload, None, rng)
        }
        Proposal::ValidatorSet(mut nodes) => {
            nodes.sort_unstable();
            nodes.dedup();
            place.entry(Kind::ValidatorSet, &[], &ValidatorSetEntry { nodes }, None, rng)
        }
        Proposal::Policy(fields) => {
            let payload = PolicyEntry {
                organization: None,
                fields: Some(fields),
                backup_partners: Vec::new(),
                tier_zero: true,
            };
            place.entry(Kind::Policy, &[], &payload, None, rng)
        }
        Proposal::Committee(request) => {
            place.entry(Kind::Committee, &[], &request.entry(service)?, None, rng)
        }
    })
}

/// What a control content says, for people; only of the kinds that are proposed.
fn what(service: &Service, content: &Content) -> Result<String, DeskError> {
    let payload = &content.payload;
    let foreign = DeskError::Invalid("this is no proposal that can be voted on here");
    Ok(match Kind::from_code(content.kind).filter(|_| is_control(content.kind)) {
        Some(Kind::Organization) => {
            let entry = OrganizationEntry::decode(payload)?;
            let verb = if entry.standing == Standing::Active { "joins or stays" } else { "leaves" };
            format!(
                "the organization {} ({}) {verb}, with {} cards",
                entry.name,
                entry.organization,
                entry.cards.len()
            )
        }
        Some(Kind::Node) => {
            let entry = NodeEntry::decode(payload)?;
            let verb = if entry.standing == Standing::Active { "joins or stays" } else { "leaves" };
            format!("the node {} of {} {verb}", entry.key.id(), name_of(service, &entry.organization))
        }
        Some(Kind::ValidatorSet) => {
            let entry = ValidatorSetEntry::decode(payload)?;
            let names: Vec<_> = entry.nodes.iter().map(NodeId::to_string).collect();
            format!("the validators are {}", names.join(", "))
        }
        Some(Kind::Policy) => {
            let entry = PolicyEntry::decode(payload)?;
            let fields = entry.fields.ok_or(foreign)?;
            format!(
                "the policy is: grants rest for {} hours without news, soft cards are {}, an organization may have \
                 others hold {} bytes, an erasure can be taken back for {} hours, replacing a lost card can be contested for {} \
                 hours, one practitioner alone opens {} by the patient's card, blocks wait {} ms and hold {} headers, idle \
                 blocks come every {} ms",
                fields.lease_ms / 3_600_000,
                if fields.soft_cards { "accepted" } else { "refused" },
                fields.quota_bytes,
                fields.cooling_off_ms / 3_600_000,
                fields.recovery_delay_ms / 3_600_000,
                if fields.tier_zero { "emergency summaries" } else { "nothing" },
                fields.block_delay_ms,
                fields.block_headers_max,
                fields.idle_block_ms,
            )
        }
        Some(Kind::Committee) => committees::said(service, &CommitteeEntry::decode(payload)?),
        _ => return Err(foreign),
    })
}

fn state_of(service: &Service, bytes: &[u8]) -> Result<ProposalState, DeskError> {
    let state = service.state();
    let (body, content) = Body::read(bytes, &state.network)?;
    let signed = organizations_that_signed(&state.membership, &body, &state.network);
    Ok(ProposalState {
        bytes: bytes.to_vec(),
        text: what(service, &content)?,
        organization: content.organization,
        signed: signed.into_iter().collect(),
        sufficient: state.judge_control(&content, &body, &service.node()).is_ok(),
    })
}

impl Desk {
    /// Makes a proposal of this node's organization, signed by nobody yet.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`], [`DeskError::Unknown`].
    pub(crate) async fn propose(
        &self,
        session: &Arc<Session>,
        proposal: Proposal,
    ) -> Result<ProposalState, DeskError> {
        self.administers(session).await?;
        let desk = self.clone();
        self.ask(move |service| {
            let entry = entry_of(&desk, service, proposal)?;
            let body = Body { content: Bytes(entry.content.encode()), signatures: Vec::new() };
            state_of(service, &body.encode())
        })
        .await
    }

    /// Renews a node of this node's organization: the same key, certified until a later time. `{entry, header}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`], [`DeskError::Unknown`], [`DeskError::Invalid`] for a time that is not later; the tap
    /// says what else went wrong.
    pub(crate) async fn renew_node(
        &self,
        session: &Arc<Session>,
        node: NodeId,
        expires: Option<u64>,
    ) -> Result<TapView, DeskError> {
        self.administers(session).await?;
        let (known, now) =
            self.ask(move |s| Ok((s.state().membership.node(&node).cloned(), s.now()))).await?;
        let known = known.ok_or(DeskError::Unknown("this node"))?;
        if known.organization != self.0.parts.organization {
            return Err(DeskError::NotAllowed("only the node's organization can renew it"));
        }
        let expires = expires.unwrap_or(now.saturating_add(NODE_VALID_MS));
        if expires <= known.expires.max(now) {
            return Err(DeskError::Invalid(
                "a renewal must end later than what it renews, and later than now",
            ));
        }
        let what = format!("its node {node} goes on until {}", text::day_of(expires));
        let renewed = NodeEntry { expires, ..known };
        self.organization_act(session, "renew-node", &what, Kind::Node, &renewed).await
    }

    /// Reads a proposal.
    ///
    /// # Errors
    /// [`DeskError::Rejected`] for bytes that are none, [`DeskError::Invalid`] for another kind of entry.
    pub(crate) async fn proposal(&self, bytes: Vec<u8>) -> Result<ProposalState, DeskError> {
        self.ask(move |service| state_of(service, &bytes)).await
    }

    /// Votes for a proposal with an organization's card: this node's own, or `card`, as a new organization does that
    /// has no node yet. `{proposal, signed, sufficient, filed}`, the proposal in base64.
    ///
    /// # Errors
    /// As [`Desk::proposal`]; [`DeskError::NotAllowed`]; [`DeskError::SignerAbsent`] without the card.
    pub(crate) async fn vote(
        &self,
        session: &Arc<Session>,
        bytes: Vec<u8>,
        card: Option<CardSerial>,
    ) -> Result<TapView, DeskError> {
        self.administers(session).await?;
        let state = self.proposal(bytes).await?;
        let serial = match card {
            Some(serial) => serial,
            None => self.organization_card().await?.0,
        };
        let shown = text::vote(&self.organization_name().await?, &state.text);
        let (desk, signed) = (self.clone(), shown.clone());
        self.0.taps.begin("vote", shown, serial, move |tap| desk.run_vote(tap, serial, signed, state))
    }

    async fn run_vote(
        self,
        mut tap: Tap,
        serial: CardSerial,
        shown: super::taps::Shown,
        state: ProposalState,
    ) -> Result<serde_json::Value, DeskError> {
        let network = self.0.parts.network;
        let (mut body, content) = Body::read(&state.bytes, &network)?;
        let id = content.id();
        let signature = tap
            .card(serial, move |mut card| {
                Ok(sign_tap(&mut card.signer(Slot::Signature)?, &network, shown.pair(), &[id])?)
            })
            .await?;
        body.signatures.extend(signature);
        let now = self.proposal(body.encode()).await?;
        let own = now.organization == self.0.parts.organization;
        let filed = if own && now.sufficient {
            let filing =
                Filing { body: now.bytes.clone(), key: None, reveal: Vec::new(), packets: Vec::new() };
            file_filings(&self.0.parts.service, vec![filing]).await?.first().map(|f| f.content.to_string())
        } else {
            None
        };
        let signed: Vec<_> = now.signed.iter().map(OrganizationId::to_string).collect();
        Ok(json!({
            "proposal": data_encoding::BASE64.encode(&now.bytes),
            "signed": signed,
            "sufficient": now.sufficient,
            "filed": filed,
        }))
    }

    /// Files a proposal of this node's organization that enough have signed: its content id.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`]; [`DeskError::Rejected`] while signatures are missing.
    pub(crate) async fn file_proposal(
        &self,
        session: &Arc<Session>,
        bytes: Vec<u8>,
    ) -> Result<String, DeskError> {
        self.administers(session).await?;
        let filing = Filing { body: bytes, key: None, reveal: Vec::new(), packets: Vec::new() };
        let filed = file_filings(&self.0.parts.service, vec![filing]).await?;
        filed.first().map(|f| f.content.to_string()).ok_or(DeskError::Stopping)
    }
}
