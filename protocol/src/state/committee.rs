//! Committees on the ledger: which may be set, and who may speak in their ceremonies.
//!
//! What a ceremony leads to is not judged here: its messages are in blocks, and the crate `breakglass` says what each is
//! worth by the height at which it is final. So consensus verifies a card or a node, and no threshold key.

use super::Membership;
use crate::check::{Check, Rejected, ensure};
use crate::control::{
    CeremonyBlocks, CommitteeEntry, CommitteeMember, DkgEntry, FULL_COMMITTEE, LEDGER_COMMITTEE,
    LOCAL_COMMITTEE, Roster, Standing, local_committee,
};
use crate::ids::{ContentId, NetworkId, NodeId};
use crate::limits::{CEREMONY_BLOCKS_MAX, CEREMONY_BYTES_MAX, COMMITTEE_MEMBERS_MAX};
use crate::tap::Body;
use crate::wire_struct;

wire_struct! {
    /// A committee, and since when it is one.
    pub struct StandingCommittee {
        /// Its entry.
        pub id: ContentId,
        /// The height of the block that made it final.
        pub height: u64,
        /// What it says.
        pub entry: CommitteeEntry,
    }
}

impl Membership {
    /// The newest committee of a name.
    #[must_use]
    pub fn committee(&self, name: &str) -> Option<&StandingCommittee> {
        self.committees.values().filter(|c| c.entry.name == name).max_by_key(|c| c.height)
    }

    /// Judges a committee that is about to be set at `height`.
    pub(super) fn judge_committee(&self, entry: &CommitteeEntry, height: u64) -> Result<(), Rejected> {
        judge_numbers(entry)?;
        for member in entry.roster.members() {
            self.ensure_takes_part(&member)?;
            self.ensure_local(entry, &member)?;
        }
        if let Some(previous) = &entry.previous {
            let previous = self.committees.get(previous).ok_or(Check::StandsOnMissing)?;
            let same_kind = matches!(
                (&previous.entry.roster, &entry.roster),
                (Roster::Guardians(_), Roster::Guardians(_)) | (Roster::Validators(_), Roster::Validators(_))
            );
            ensure(same_kind && previous.entry.name == entry.name, Check::StandsOnWrong)?;
        }
        // The newest of a name is one: two in a block would be equally new.
        ensure(self.committee(&entry.name).is_none_or(|c| c.height < height), Check::AlreadyExists)
    }

    // A hospital's own committee opens without the others: it is of its people alone, and under its own name.
    fn ensure_local(&self, entry: &CommitteeEntry, member: &CommitteeMember) -> Result<(), Rejected> {
        let Some(local) = &entry.local else {
            return ensure(!entry.name.starts_with(LOCAL_COMMITTEE), Check::ScopeForm);
        };
        ensure(entry.name == local_committee(&local.organization), Check::ScopeForm)?;
        let CommitteeMember::Guardian(person) = member else { return Err(Check::ScopeForm.into()) };
        let own = self.people.get(person).is_some_and(|p| p.organization == local.organization);
        ensure(own, Check::WrongOrganization)?;
        // Whoever has the witness card would otherwise be counted a second time.
        let taken = [local.witness.id(), local.agreement.id()].iter().any(|key| self.key_taken(key, None));
        ensure(!taken, Check::AlreadyExists)
    }

    fn ensure_takes_part(&self, member: &CommitteeMember) -> Result<(), Rejected> {
        match member {
            CommitteeMember::Guardian(person) => {
                let known = self.people.get(person).ok_or(Check::StandsOnMissing)?;
                let organization = self.organization(&known.organization);
                ensure(known.standing == Standing::Active && organization.is_some(), Check::CardSuspended)
            }
            CommitteeMember::Validator(node) => self.node(node).map(drop).ok_or(Check::UnknownNode.into()),
        }
    }

    /// Judges who says something in a ceremony; `by` is the node whose header it is.
    pub(super) fn judge_dkg(
        &self,
        entry: &DkgEntry,
        body: &Body,
        (by, network): (&NodeId, &NetworkId),
    ) -> Result<(), Rejected> {
        ensure(entry.said.0.len() <= CEREMONY_BYTES_MAX, Check::TooLarge)?;
        let committee = self.committees.get(&entry.committee).ok_or(Check::StandsOnMissing)?;
        let previous = committee.entry.previous.as_ref().and_then(|id| self.committees.get(id));
        let mut rosters = previous.into_iter().chain([committee]).map(|c| &c.entry.roster);
        ensure(rosters.any(|r| r.index_of(&entry.sender).is_some()), Check::NotAuthorized)?;
        self.ensure_takes_part(&entry.sender)?;
        match &entry.sender {
            CommitteeMember::Validator(node) => ensure(node == by, Check::NotAuthorized),
            CommitteeMember::Guardian(person) => {
                let card = &self.people.get(person).ok_or(Check::StandsOnMissing)?.signature;
                body.signed_by(card, network).map(drop)
            }
        }
    }
}

fn judge_numbers(entry: &CommitteeEntry) -> Result<(), Rejected> {
    let members = entry.roster.len();
    let mut distinct = entry.roster.members();
    distinct.sort_by_key(|m| match m {
        CommitteeMember::Guardian(id) => id.0,
        CommitteeMember::Validator(id) => id.0,
    });
    distinct.dedup();
    ensure(distinct.len() == members && members <= usize::from(COMMITTEE_MEMBERS_MAX), Check::ScopeForm)?;
    let (needed, provers, all) = (entry.shares_needed, entry.provers_needed, members as u64);
    ensure(needed <= provers && provers <= all, Check::ScopeForm)?;
    let enough = match (&entry.roster, entry.name.as_str()) {
        (Roster::Validators(_), LEDGER_COMMITTEE) => needed * 3 > all * 2,
        (Roster::Validators(_), _) | (_, LEDGER_COMMITTEE) => false,
        (Roster::Guardians(_), FULL_COMMITTEE) => needed >= 3,
        // One person alone opens nothing.
        (Roster::Guardians(_), _) => needed >= 2,
    };
    ensure(enough, Check::ScopeForm)?;
    let CeremonyBlocks { deal, complain, answer, prove } = entry.blocks;
    let steps = [0, deal, complain, answer, prove];
    ensure(steps.is_sorted_by(|a, b| a < b) && prove <= CEREMONY_BLOCKS_MAX, Check::PeriodForm)
}
