//! Committees as people propose and see them: who guards emergency access, how far the making of a key is, who is missing.
//!
//! Decides nothing: two thirds of the organizations set a committee, and the ledger says what became of its ceremony.

use std::sync::Arc;

use hospes_breakglass::ceremony::Phase;
use hospes_protocol::control::{
    CeremonyBlocks, CommitteeEntry, CommitteeMember, FULL_COMMITTEE, LEDGER_COMMITTEE, Roster,
    SUMMARY_COMMITTEE,
};
use hospes_protocol::ids::{ContentId, PersonId};
use hospes_service::committees::{CommitteeView, Stage};
use hospes_service::service::Service;

use super::Desk;
use super::error::DeskError;
use super::guardians::{duty_name, owed_by};
use super::sessions::{Session, Who};
use super::sign_in::name_of;

/// A committee to propose.
#[derive(Clone, Debug)]
pub(crate) struct CommitteeRequest {
    /// Its name.
    pub(crate) name: String,
    /// Guardians, in the order of their shares; none for the validators of today.
    pub(crate) guardians: Vec<PersonId>,
    /// Shares needed; where absent, as few as the name allows.
    pub(crate) shares_needed: Option<u64>,
    /// Members that must prove their shares; where absent, all guardians, or as many validators as are needed.
    pub(crate) provers_needed: Option<u64>,
    /// Blocks that each phase takes.
    pub(crate) phase_blocks: u64,
    /// Whether a key of its own is made although one of this name stands: what is sealed to that one is not opened by it.
    pub(crate) fresh: bool,
}

fn fewest(name: &str, members: u64) -> u64 {
    match name {
        LEDGER_COMMITTEE => members * 2 / 3 + 1,
        FULL_COMMITTEE => 3,
        _ => 2,
    }
}

impl CommitteeRequest {
    /// The entry, with the key that it takes over, and the validators where it is theirs.
    pub(super) fn entry(&self, service: &Service) -> Result<CommitteeEntry, DeskError> {
        let roster = match (self.guardians.as_slice(), self.name.as_str()) {
            ([], LEDGER_COMMITTEE) => {
                let set = &service.state().validators.validators;
                Roster::Validators(set.iter().map(|v| v.node).collect())
            }
            ([], _) => return Err(DeskError::Invalid("a committee of people names its guardians")),
            (_, LEDGER_COMMITTEE) => {
                return Err(DeskError::Invalid("the validators are the ledger's committee"));
            }
            (people, _) => Roster::Guardians(people.to_vec()),
        };
        let members = roster.len() as u64;
        let shares_needed = self.shares_needed.unwrap_or_else(|| fewest(&self.name, members));
        let provers = if self.guardians.is_empty() { shares_needed } else { members };
        let standing = if self.fresh { None } else { service.committee_key(&self.name)? };
        let after = |phases: u64| self.phase_blocks.saturating_mul(phases);
        Ok(CommitteeEntry {
            name: self.name.clone(),
            roster,
            shares_needed,
            provers_needed: self.provers_needed.unwrap_or(provers),
            previous: standing.map(|standing| standing.committee),
            blocks: CeremonyBlocks { deal: after(1), complain: after(2), answer: after(3), prove: after(4) },
            local: None,
        })
    }
}

fn opens(name: &str) -> &str {
    match name {
        SUMMARY_COMMITTEE => "open emergency summaries",
        FULL_COMMITTEE => "open whole records in an emergency",
        LEDGER_COMMITTEE => "release what guardians opened, each time on the record",
        _ => "open emergency summaries of this hospital",
    }
}

/// What a committee's entry says, for people who vote on it.
pub(super) fn said(service: &Service, entry: &CommitteeEntry) -> String {
    let members: Vec<_> = entry.roster.members().iter().map(|m| shown(service, m).text()).collect();
    let key = match &entry.previous {
        Some(_) => "takes over the key of the committee before it, whose shares then end",
        None => "makes a key of its own",
    };
    format!(
        "the committee {} is: {}. {} of them together {}. It {key}, once {} have proved their shares, each phase by its \
         block: {}, {}, {}, {} after this is final",
        entry.name,
        members.join("; "),
        entry.shares_needed,
        opens(&entry.name),
        entry.provers_needed,
        entry.blocks.deal,
        entry.blocks.complain,
        entry.blocks.answer,
        entry.blocks.prove,
    )
}

/// A member of a committee, for people.
#[derive(Clone, Debug)]
pub(crate) struct MemberShown {
    /// The person or node.
    pub(crate) id: String,
    /// Whether it is a person.
    pub(crate) person: bool,
    /// The name of the organization.
    pub(crate) organization: String,
    /// A person's number in the register.
    pub(crate) register_number: Option<String>,
}

impl MemberShown {
    fn text(&self) -> String {
        match &self.register_number {
            Some(number) => format!("register number {number} of {}", self.organization),
            None => format!("node {} of {}", self.id, self.organization),
        }
    }
}

fn shown(service: &Service, member: &CommitteeMember) -> MemberShown {
    let members = &service.state().membership;
    let (id, person, organization, register_number) = match member {
        CommitteeMember::Guardian(id) => {
            let person = members.people.get(id);
            let number = person.map(|p| p.register_number.clone());
            (id.to_string(), true, person.map(|p| p.organization), number)
        }
        CommitteeMember::Validator(id) => {
            (id.to_string(), false, members.nodes.get(id).map(|n| n.organization), None)
        }
    };
    let organization =
        organization.map_or_else(|| "an unknown organization".to_owned(), |o| name_of(service, &o));
    MemberShown { id, person, organization, register_number }
}

/// A committee, for people.
#[derive(Clone, Debug)]
pub(crate) struct CommitteeShown {
    /// Its entry.
    pub(crate) committee: ContentId,
    /// What the ledger says.
    pub(crate) view: CommitteeView,
    /// Its members, in the order of their shares.
    pub(crate) members: Vec<MemberShown>,
    /// Those who are waited for, or, once the key stands, have no proved share.
    pub(crate) missing: Vec<MemberShown>,
    /// Whether this is the newest of its name whose key stands.
    pub(crate) counts: bool,
    /// What whoever is signed in owes.
    pub(crate) owed: Vec<&'static str>,
    /// The newest height.
    pub(crate) height: u64,
    /// Until when the phase that runs lasts at the most, in milliseconds since 1970 UTC.
    pub(crate) until: Option<u64>,
}

/// The word for a stage in the API.
pub(crate) const fn stage_name(stage: &Stage) -> &'static str {
    match stage {
        Stage::Unknown => "unknown",
        Stage::NothingToTakeOver => "nothing-to-take-over",
        Stage::Held(Phase::Dealing(_)) => "dealing",
        Stage::Held(Phase::Complaining) => "complaining",
        Stage::Held(Phase::Answering(_)) => "answering",
        Stage::Held(Phase::Proving(_)) => "proving",
        Stage::Held(Phase::Ready(_)) => "ready",
        Stage::Held(Phase::TooFewDealers) => "too-few-dealers",
        Stage::Held(Phase::TooFewProofs) => "too-few-proofs",
    }
}

/// The last height of the phase that runs.
fn deadline(view: &CommitteeView) -> Option<u64> {
    match view.stage {
        Stage::Held(Phase::Dealing(_)) => Some(view.deadlines.deal),
        Stage::Held(Phase::Complaining) => Some(view.deadlines.complain),
        Stage::Held(Phase::Answering(_)) => Some(view.deadlines.answer),
        Stage::Held(Phase::Proving(_)) => Some(view.deadlines.prove),
        _ => None,
    }
}

impl Desk {
    /// Committees, newest first, with what whoever is signed in owes to each.
    ///
    /// # Errors
    /// As the store.
    pub(crate) async fn committees(&self, session: &Arc<Session>) -> Result<Vec<CommitteeShown>, DeskError> {
        let person = match &session.who {
            Who::Person { id, .. } => Some(*id),
            _ => None,
        };
        let objects = self.0.parts.objects.clone();
        self.ask(move |service| {
            let owed = person.map(|p| owed_by(service, &*objects, &p)).transpose()?.unwrap_or_default();
            let state = service.state();
            let mut all = Vec::new();
            for view in service.committees()? {
                let committee = view.committee.id;
                let standing = service.committee_key(&view.committee.entry.name)?;
                let duties = owed.iter().filter(|o| o.part.committee == committee).flat_map(|o| &o.duties);
                let blocks = deadline(&view).map(|height| height.saturating_sub(state.height));
                let pace = state.membership.policy.idle_block_ms;
                let until = blocks.map(|blocks| state.time.saturating_add(blocks.saturating_mul(pace)));
                all.push(CommitteeShown {
                    committee,
                    members: view
                        .committee
                        .entry
                        .roster
                        .members()
                        .iter()
                        .map(|m| shown(service, m))
                        .collect(),
                    missing: view.missing.iter().map(|m| shown(service, m)).collect(),
                    counts: standing.is_some_and(|s| s.committee == committee),
                    owed: duties.map(|duty| duty_name(*duty)).collect(),
                    height: state.height,
                    until,
                    view,
                });
            }
            Ok(all)
        })
        .await
    }
}
