//! `/committees`: who guards emergency access, how far the making of each key is, and a guardian's part in it.

use std::collections::BTreeSet;

use axum::Json as Reply;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use hospes_breakglass::ceremony::Phase;
use hospes_protocol::control::Roster;
use hospes_service::committees::{CommitteeView, Stage, StandingKey};
use hospes_service::service::{Fatal, Service};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::input::Params;
use super::page::{Page, Paging};
use super::problem::{Answer, Problem};
use super::state::Api;
use super::taps::{Tap, begun};
use super::times::rfc3339;
use crate::desk::{CommitteeShown, MemberShown};

/// A member of a committee.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Member {
    /// The person, or the node.
    id: String,
    /// `guardian` or `validator`.
    kind: &'static str,
    /// The name of the organization.
    organization: String,
    /// A guardian's number in the register.
    register_number: Option<String>,
}

impl Member {
    fn of(member: MemberShown) -> Self {
        Self {
            kind: if member.person { "guardian" } else { "validator" },
            id: member.id,
            organization: member.organization,
            register_number: member.register_number,
        }
    }
}

/// The last height of each phase.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deadlines {
    /// Dealings.
    deal: u64,
    /// Complaints.
    complain: u64,
    /// Answers to complaints.
    answer: u64,
    /// Proofs of shares.
    prove: u64,
}

/// A committee.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Committee {
    /// Its entry.
    committee: String,
    /// Its name.
    name: String,
    /// `unknown` while the past is fetched, `nothing-to-take-over`, `dealing`, `complaining`, `answering`, `proving`,
    /// `ready`, `too-few-dealers` or `too-few-proofs`.
    stage: &'static str,
    /// Whether this is the newest of its name whose key stands.
    counts: bool,
    /// Its members, in the order of their shares.
    members: Vec<Member>,
    /// Shares needed.
    shares_needed: u64,
    /// Members that must prove their shares.
    provers_needed: u64,
    /// Those who are waited for, or, once the key stands, have no proved share.
    missing: Vec<Member>,
    /// What whoever is signed in owes: `deal`, `look`, `answer`, `prove`.
    owed: Vec<&'static str>,
    /// The newest height.
    height: u64,
    /// The last height of each phase.
    deadlines: Deadlines,
    /// Until when the phase that runs lasts at the most; heights come sooner where there is something to order.
    until: Option<String>,
    /// The committee whose key it takes over.
    previous: Option<String>,
    /// The public key, where it stands, in hexadecimal.
    key: Option<String>,
}

impl Committee {
    fn of(shown: CommitteeShown) -> Self {
        let (view, entry) = (&shown.view, &shown.view.committee.entry);
        let deadlines = &view.deadlines;
        Self {
            committee: shown.committee.to_string(),
            name: entry.name.clone(),
            stage: crate::desk::stage_name(&view.stage),
            counts: shown.counts,
            shares_needed: entry.shares_needed,
            provers_needed: entry.provers_needed,
            height: shown.height,
            deadlines: Deadlines {
                deal: deadlines.deal,
                complain: deadlines.complain,
                answer: deadlines.answer,
                prove: deadlines.prove,
            },
            until: shown.until.and_then(rfc3339),
            previous: entry.previous.map(|id| id.to_string()),
            key: view.key.as_ref().map(|key| data_encoding::HEXLOWER.encode(&key.public().to_bytes())),
            members: shown.members.into_iter().map(Member::of).collect(),
            missing: shown.missing.into_iter().map(Member::of).collect(),
            owed: shown.owed,
        }
    }
}

/// The newest committee of a name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CommitteeStatus {
    /// Its name.
    pub(crate) name: String,
    /// As in the list of committees.
    pub(crate) stage: &'static str,
    /// Whether a key of this name stands, of this committee or of one before it.
    pub(crate) key: bool,
    /// How many are waited for, or have no proved share.
    pub(crate) missing: usize,
}

/// The newest committee of each name, and what an administrator should know of them.
///
/// # Errors
/// [`Fatal`] of the store.
pub(super) fn committee_status(service: &Service) -> Result<(Vec<CommitteeStatus>, Vec<String>), Fatal> {
    let (mut newest, mut warnings): (Vec<CommitteeStatus>, Vec<String>) = (Vec::new(), Vec::new());
    for view in service.committees()? {
        let name = &view.committee.entry.name;
        if newest.iter().any(|c| c.name == *name) {
            continue;
        }
        let standing = service.committee_key(name)?;
        warnings.extend(warning(service, &view, standing.as_ref()));
        let (stage, missing) = (crate::desk::stage_name(&view.stage), view.missing.len());
        newest.push(CommitteeStatus { name: name.clone(), stage, key: standing.is_some(), missing });
    }
    Ok((newest, warnings))
}

fn warning(service: &Service, view: &CommitteeView, standing: Option<&StandingKey>) -> Option<String> {
    let (name, missing) = (&view.committee.entry.name, view.missing.len());
    let validators = service.state().validators.validators.iter().map(|v| v.node).collect::<BTreeSet<_>>();
    let others = |roster: &Roster| match roster {
        Roster::Validators(nodes) => nodes.iter().copied().collect::<BTreeSet<_>>() != validators,
        Roster::Guardians(_) => false,
    };
    match &view.stage {
        Stage::Unknown => None,
        Stage::NothingToTakeOver | Stage::Held(Phase::TooFewDealers | Phase::TooFewProofs) => Some(format!(
            "The newest committee {name} came to no key: propose it again. hospes breakglass committee show {name}."
        )),
        Stage::Held(Phase::Ready(_)) if others(&view.committee.entry.roster) => Some(format!(
            "The key {name} is held by other nodes than those that decide: hospes breakglass committee propose {name} \
             --validators."
        )),
        Stage::Held(Phase::Ready(_)) if missing > 0 => Some(format!(
            "{missing} members of the committee {name} have no proved share: propose it again with who can take part."
        )),
        Stage::Held(Phase::Ready(_)) => None,
        Stage::Held(_) if standing.is_none() => Some(format!(
            "The committee {name} has no key yet, and is making it ({missing} are waited for): hospes breakglass \
             committee show {name}."
        )),
        Stage::Held(_) => None,
    }
}

/// Committees, newest first.
#[utoipa::path(get, path = "/committees", params(Paging), tag = "breakglass",
    responses((status = 200, body = Page<Committee>), (status = 401, body = Problem)))]
pub(crate) async fn committees(
    State(api): State<Api>,
    caller: Caller,
    Params(paging): Params<Paging>,
) -> Answer<Reply<Page<Committee>>> {
    let all = api.parts.desk.committees(&caller.session).await?;
    paging.of(all.into_iter().map(Committee::of).collect()).map(Reply)
}

/// Does what the guardian who is signed in owes to all ceremonies that run. The result is `{did, entries}`; where there
/// is nothing to sign, `{did}` comes at once.
#[utoipa::path(post, path = "/committees/tap", tag = "breakglass",
    responses((status = 200, body = serde_json::Value), (status = 201, body = Tap), (status = 401, body = Problem),
        (status = 403, body = Problem)))]
pub(crate) async fn tap(State(api): State<Api>, caller: Caller) -> Answer<Response> {
    Ok(match api.parts.desk.committee_tap(&caller.session).await? {
        Ok(tap) => begun(tap),
        Err(done) => Reply(done).into_response(),
    })
}
