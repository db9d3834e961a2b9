//! `/status` and `/healthz`: how the node is, for anyone on this machine; nothing about patients.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use hospes_protocol::block::Validator;
use hospes_protocol::control::NodeEntry;
use hospes_protocol::ids::NodeId;
use hospes_service::service::Service;
use hospes_storage::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use super::codes::Code;
use super::committees::{CommitteeStatus, committee_status};
use super::offline::{LogAlarm, log_alarms};
use super::oversight::{EmergencyStatus, emergency_status};
use super::problem::{Answer, Problem};
use super::state::Api;
use super::taps::Reader;
use super::times::rfc3339;

/// How long the service may take to answer before the node counts as ill.
const HEALTH_WAIT: Duration = Duration::from_secs(5);
/// An idle network commits a block in every interval; this many missed ones mean that this node is behind.
const IDLE_INTERVALS_MAX: u64 = 2;
/// What a block may be late beyond that, in milliseconds.
const LATE_MS_MAX: u64 = 60_000;

/// How long before its certificate ends a node says so, in milliseconds: 60 days.
const CERTIFICATE_WARNING_MS: u64 = 60 * 24 * 60 * 60 * 1000;

/// How the node is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    /// The release.
    pub(crate) version: &'static str,
    /// What it was built from.
    pub(crate) build: &'static str,
    /// The network.
    pub(crate) network: String,
    /// This node.
    pub(crate) node: String,
    /// Its libp2p name.
    pub(crate) peer_id: String,
    /// Where peers reach it.
    pub(crate) p2p: Vec<String>,
    /// Its organization.
    pub(crate) organization: String,
    /// The organization's name.
    pub(crate) organization_name: Option<String>,
    /// The newest certified block here.
    pub(crate) height: u64,
    /// Its hash, in hexadecimal.
    pub(crate) block: String,
    /// Heights of the past that are not here yet, after this node began with a state; null where none is missing.
    pub(crate) missing_history: Option<MissingHistory>,
    /// Its time.
    pub(crate) block_time: Option<String>,
    /// What is signed here and not yet final.
    pub(crate) finality: Pending,
    /// Nodes of the network, this one left out.
    pub(crate) peers: Vec<PeerStatus>,
    /// Who decides.
    pub(crate) validators: Validators,
    /// What is held.
    pub(crate) objects: Held,
    /// The newest committee of each name.
    pub(crate) committees: Vec<CommitteeStatus>,
    /// Patients without escrow, reviews that are due.
    pub(crate) emergencies: EmergencyStatus,
    /// What was found damaged on disk while reading and serving, since the node started.
    pub(crate) damage: DamageCount,
    /// Readers of this machine.
    pub(crate) readers: Vec<Reader>,
    /// Clocks.
    pub(crate) clock: Clock,
    /// When this node's certificate ends; null where it never does.
    pub(crate) certificate_ends: Option<String>,
    /// `ok`, `storage-full`, `outdated`, `checkpoint-needed`, `lease-over`, `no-quorum` or `behind`.
    pub(crate) state: &'static str,
    /// What an administrator should know.
    pub(crate) warnings: Vec<String>,
}

/// Heights of the past that are not here yet.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct MissingHistory {
    /// The first.
    pub(crate) from: u64,
    /// The last.
    pub(crate) until: u64,
}

/// What is signed here and not yet final.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Pending {
    /// Headers of this node that no block has yet.
    pub(crate) pending_own: usize,
}

/// A node of the network.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PeerStatus {
    /// Its id.
    pub(crate) node: String,
    /// Its organization.
    pub(crate) organization: String,
    /// Whether it is connected now.
    pub(crate) connected: bool,
}

/// Who decides.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Validators {
    /// How many.
    pub(crate) count: usize,
    /// How many must agree.
    pub(crate) quorum: usize,
    /// How many may fail or lie.
    pub(crate) faults_tolerated: usize,
    /// How many are connected, this node included where it is one.
    pub(crate) connected: usize,
}

/// What is held.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Held {
    /// Objects: segments, packets, manifests and bodies.
    pub(crate) count: u64,
    /// Their stored size, in bytes.
    pub(crate) bytes: u64,
}

/// Damage on disk.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct DamageCount {
    /// Parts of files that were found damaged.
    pub(crate) found: u64,
    /// Files that another holder's copy made whole again.
    pub(crate) repaired: u64,
}

/// Clocks.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Clock {
    /// By how much the newest block is ahead of this machine, in milliseconds.
    pub(crate) skew_ms: u64,
    /// This machine's time.
    pub(crate) now: Option<String>,
}

impl MissingHistory {
    fn of(missing: hospes_service::away::Missing) -> Self {
        Self { from: missing.from, until: missing.until }
    }
}

impl Status {
    fn of(api: &Api, service: &Service) -> Self {
        let (state, now) = (service.state(), service.now());
        let facts = &api.parts.node;
        let mut status = Self {
            version: env!("CARGO_PKG_VERSION"),
            build: option_env!("HOSPES_BUILD").unwrap_or("unknown"),
            network: facts.network.to_string(),
            node: facts.node.to_string(),
            peer_id: facts.peer_id.clone(),
            p2p: facts.p2p.clone(),
            organization: facts.organization.to_string(),
            organization_name: state.membership.organization(&facts.organization).map(|o| o.name.clone()),
            height: state.height,
            block: state.block.to_string(),
            missing_history: None,
            block_time: rfc3339(state.time),
            finality: Pending { pending_own: 0 },
            peers: peers(api, service),
            validators: validators(api, service),
            objects: Held { count: 0, bytes: 0 },
            committees: Vec::new(),
            emergencies: EmergencyStatus::default(),
            damage: DamageCount { found: service.damage().found, repaired: service.damage().repaired },
            readers: Vec::new(),
            clock: Clock { skew_ms: state.time.saturating_sub(now), now: rfc3339(now) },
            certificate_ends: None,
            state: "ok",
            warnings: facts.warnings.clone(),
        };
        let damaged = facts.damages.names().into_iter().map(|what| format!("Damaged on disk: {what}."));
        status.warnings.extend(damaged);
        let open = |root| {
            format!("Damaged on disk: the file {root}; it is repaired once another holder is in reach.")
        };
        status.warnings.extend(service.damage().open.iter().map(open));
        status.judge(service);
        // As for the past: a store that can't be read shows elsewhere.
        let (committees, warnings) = committee_status(service).unwrap_or_default();
        (status.committees, status.warnings) = (committees, [status.warnings, warnings].concat());
        status.warnings.extend(log_alarms(service).unwrap_or_default().iter().map(LogAlarm::warning));
        if let Some(own) = state.membership.node(&facts.node) {
            status.certificate(own.expires, now);
        }
        status
    }

    fn certificate(&mut self, ends: u64, now: u64) {
        self.certificate_ends = rfc3339(ends);
        let day = self.certificate_ends.as_deref().and_then(|t| t.get(..10)).unwrap_or("a day far off");
        if ends <= now {
            self.warnings.push(format!(
                "This node's certificate ended on {day}: it files nothing and others let it in no more. Renew it: \
                 hospes node renew."
            ));
        } else if ends - now < CERTIFICATE_WARNING_MS {
            self.warnings
                .push(format!("This node's certificate ends on {day}. Renew it before: hospes node renew."));
        }
    }

    fn judge(&mut self, service: &Service) {
        let (state, policy) = (service.state(), &service.state().membership.policy);
        let age = service.now().saturating_sub(state.time);
        let late = policy.idle_block_ms.saturating_mul(IDLE_INTERVALS_MAX).saturating_add(LATE_MS_MAX);
        // A store that can't be read shows elsewhere; nothing is hidden by taking it for the better here.
        let needs_checkpoint = service.needs_checkpoint().unwrap_or(false);
        self.missing_history = service.missing_history().ok().flatten().map(MissingHistory::of);
        self.state = match () {
            () if service.full_since().is_some() => "storage-full",
            () if service.is_outdated() => "outdated",
            () if needs_checkpoint => "checkpoint-needed",
            () if state.height > 0 && age > policy.lease_ms => "lease-over",
            () if service.is_validator() && self.validators.connected < self.validators.quorum => "no-quorum",
            () if state.height > 0 && age > late => "behind",
            () => "ok",
        };
        if let Some(since) = service.full_since() {
            let since = rfc3339(since).unwrap_or_default();
            self.warnings.push(format!("The disk is full since {since}: this node is read-only."));
        }
        if needs_checkpoint {
            self.warnings.push(
                "No news for longer than the trust period: this node believes no chain by itself. Read height and \
                 block at a node that you trust, then: hospes org checkpoint HEIGHT BLOCK."
                    .into(),
            );
        }
        if let Some(refuted) = service.refuted_checkpoint().ok().flatten() {
            self.warnings.push(format!(
                "The checkpoint that was signed names block {} at height {}, and another node has a different one there: \
                 compare it again.",
                refuted.block, refuted.height
            ));
        }
        if let Some(missing) = &self.missing_history {
            self.warnings.push(format!(
                "The ledger's past from block {} to {} is not here yet: it is being fetched; until then exports, and \
                 reasons that rest on it, are incomplete.",
                missing.from, missing.until
            ));
        }
        if service.is_outdated() {
            self.warnings.push(
                "This node's disk was put back from a copy, and its key signed more since: it signs nothing. Stop it \
                 and give it a new key: hospes init --new-key."
                    .into(),
            );
        }
        if self.validators.faults_tolerated == 0 {
            self.warnings.push("Every validator is needed: with fewer than four, none may fail.".into());
        }
        if state.membership.active_organizations().count() < 4 {
            self.warnings.push("Fewer than four organizations: the fault tolerance is nominal.".into());
        }
        if self.clock.skew_ms > hospes_protocol::limits::CLOCK_SKEW_MS_MAX {
            self.warnings.push("This machine's clock is behind the ledger; the node signs nothing.".into());
        }
    }
}

fn peers(api: &Api, service: &Service) -> Vec<PeerStatus> {
    let membership = &service.state().membership;
    let others = membership.active_nodes().filter(|(id, _)| **id != api.parts.node.node);
    let peer = |(id, node): (&NodeId, &NodeEntry)| PeerStatus {
        node: id.to_string(),
        organization: node.organization.to_string(),
        connected: service.is_connected(id),
    };
    others.map(peer).collect()
}

fn validators(api: &Api, service: &Service) -> Validators {
    let set = &service.state().validators;
    let me = api.parts.node.node;
    let here = |v: &&Validator| v.node == me || service.is_connected(&v.node);
    Validators {
        count: set.len(),
        quorum: set.quorum(),
        faults_tolerated: set.faults_tolerated(),
        connected: set.validators.iter().filter(here).count(),
    }
}

/// Reads the status; also for `/metrics`.
pub(crate) async fn read(api: &Api) -> Answer<Status> {
    let asked = api.clone();
    let mut status = api.ask(move |service| Ok(Status::of(&asked, service))).await?;
    let (objects, ledger) = (api.parts.objects.clone(), api.parts.ledger.clone());
    let stores =
        tokio::task::spawn_blocking(move || Ok::<_, StoreError>((objects.totals()?, ledger.outbox()?.len())));
    let (totals, pending) = stores.await.map_err(|_| Problem::of(Code::Stopping))??;
    let all = [totals.segments, totals.structured, totals.bodies];
    status.objects =
        Held { count: all.iter().map(|t| t.count).sum(), bytes: all.iter().map(|t| t.bytes).sum() };
    status.finality.pending_own = pending;
    status.emergencies = emergency_status(api).await?;
    status.warnings.extend(status.emergencies.warnings());
    status.readers = api.parts.desk.readers().into_iter().map(Reader::of).collect();
    Ok(status)
}

/// How the node is.
#[utoipa::path(get, path = "/status", tag = "node", responses((status = 200, body = Status)))]
pub(crate) async fn status(State(api): State<Api>) -> Answer<Json<Status>> {
    read(&api).await.map(Json)
}

/// Whether the node answers, and writes.
#[utoipa::path(get, path = "/healthz", tag = "node",
    responses((status = 200, description = "It does."), (status = 503, description = "It does not."),
        (status = 507, description = "It is read-only: its disk is full.", body = Problem)))]
pub(crate) async fn healthz(State(api): State<Api>) -> Answer<StatusCode> {
    let full = |service: &mut Service| service.full_since().is_some();
    match tokio::time::timeout(HEALTH_WAIT, api.parts.service.call(full)).await {
        Ok(Ok(false)) => Ok(StatusCode::OK),
        Ok(Ok(true)) => Err(Code::StorageFull.into()),
        _ => Ok(StatusCode::SERVICE_UNAVAILABLE),
    }
}
