//! Committees: which threshold keys stand, who owes what to the ceremony of one, and a validator's part in its own.
//!
//! | file | what |
//! |---|---|
//! | `heard` | what was said in each ceremony, in the order of the ledger, and the ceremony made of it |
//! | `part` | what one member owes, and how it is made with a key that opens |
//! | `ledger` | the validators' ceremonies, which need no people |
//! | `kept` | shares that a node keeps, and when they go |
//!
//! A ceremony is what the ledger's blocks say, so nothing of it is state: it is made anew from the rows that say where its
//! messages stand. A node that has not yet filled in the past says of no key that it stands. Which share a guardian
//! holds is the desk's business; requests and releases are not judged here.

mod heard;
mod kept;
mod ledger;
mod part;

pub(crate) use heard::Ceremonies;
pub use kept::GuardianRow;
pub use part::{DealerSeed, Duty, Part, PartError};

use std::collections::BTreeSet;

use hospes_breakglass::ceremony::{Deadlines, Phase};
use hospes_breakglass::threshold::{Index, KeyShare, Threshold, ThresholdKey};
use hospes_protocol::control::{CommitteeEntry, CommitteeMember, LEDGER_COMMITTEE, Roster};
use hospes_protocol::ids::ContentId;
use hospes_protocol::keys::AgreementKey;
use hospes_protocol::state::StandingCommittee;

use crate::service::{Fatal, Service};

/// A committee whose key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingKey {
    /// Its entry.
    pub committee: ContentId,
    /// The key.
    pub key: ThresholdKey,
    /// What the entry says: who holds the shares.
    pub entry: CommitteeEntry,
}

/// How far a committee's ceremony is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The past in which it was held is not here yet.
    Unknown,
    /// The key that it was to take over did not stand when it was set.
    NothingToTakeOver,
    /// It runs, has ended in a key, or has failed.
    Held(Phase),
}

/// A committee as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitteeView {
    /// The committee.
    pub committee: StandingCommittee,
    /// How far it is.
    pub stage: Stage,
    /// The last height of each phase.
    pub deadlines: Deadlines,
    /// Those who are waited for, or, once the key stands, have no proved share.
    pub missing: Vec<CommitteeMember>,
    /// The key, where it stands.
    pub key: Option<ThresholdKey>,
}

/// Heights out of the blocks that a committee gives each phase.
fn deadlines(committee: &StandingCommittee) -> Deadlines {
    let (from, blocks) = (committee.height, &committee.entry.blocks);
    Deadlines {
        deal: from.saturating_add(blocks.deal),
        complain: from.saturating_add(blocks.complain),
        answer: from.saturating_add(blocks.answer),
        prove: from.saturating_add(blocks.prove),
    }
}

fn threshold(entry: &CommitteeEntry) -> Option<Threshold> {
    let needed = u16::try_from(entry.shares_needed).ok()?;
    Threshold::new(needed, u16::try_from(entry.roster.len()).ok()?).ok()
}

fn place(roster: &Roster, member: &CommitteeMember) -> Option<Index> {
    roster.index_of(member).and_then(|n| Index::new(n).ok())
}

impl Service {
    /// The newest committee of a name whose key stands. While a resharing runs, and where it fails, the one before.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn committee_key(&self, name: &str) -> Result<Option<StandingKey>, Fatal> {
        self.newest_key(|committee| committee.entry.name == name)
    }

    /// The newest committee that holds the shares of the key that `committee` made or took over.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn key_since(&self, committee: &ContentId) -> Result<Option<StandingKey>, Fatal> {
        self.newest_key(|later| self.lineage(&later.id).contains(committee))
    }

    fn newest_key(&self, of: impl Fn(&StandingCommittee) -> bool) -> Result<Option<StandingKey>, Fatal> {
        let mut committees: Vec<_> = self.state.membership.committees.values().filter(|c| of(c)).collect();
        committees.sort_by_key(|c| std::cmp::Reverse(c.height));
        for committee in committees {
            if let Some(key) = self.key_of(committee)? {
                let entry = committee.entry.clone();
                return Ok(Some(StandingKey { committee: committee.id, key, entry }));
            }
        }
        Ok(None)
    }

    /// A committee, and those before it whose key it takes over.
    fn lineage(&self, committee: &ContentId) -> BTreeSet<ContentId> {
        let (mut found, mut next) = (BTreeSet::new(), Some(*committee));
        while let Some(id) = next.filter(|id| found.insert(*id)) {
            next = self.state.membership.committees.get(&id).and_then(|c| c.entry.previous);
        }
        found
    }

    pub(crate) fn key_of(&self, committee: &StandingCommittee) -> Result<Option<ThresholdKey>, Fatal> {
        Ok(self.heard(committee)?.and_then(|heard| heard.key(self.state.height)))
    }

    /// Every committee, newest first.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn committees(&self) -> Result<Vec<CommitteeView>, Fatal> {
        let mut committees: Vec<_> = self.state.membership.committees.values().cloned().collect();
        committees.sort_by_key(|c| std::cmp::Reverse(c.height));
        committees.into_iter().map(|committee| self.committee_view(committee)).collect()
    }

    fn committee_view(&self, committee: StandingCommittee) -> Result<CommitteeView, Fatal> {
        let heard = self.heard(&committee)?;
        let phase = heard.as_ref().map(|h| h.ceremony.as_ref().map(|c| c.phase(self.state.height)));
        let stage = match phase {
            None => Stage::Unknown,
            Some(None) => Stage::NothingToTakeOver,
            Some(Some(phase)) => Stage::Held(phase),
        };
        let key = heard.and_then(|h| h.key(self.state.height));
        let missing = self.missing(&committee, &stage);
        Ok(CommitteeView { deadlines: deadlines(&committee), stage, missing, key, committee })
    }

    fn missing(&self, committee: &StandingCommittee, stage: &Stage) -> Vec<CommitteeMember> {
        let (roster, indexes) = match stage {
            Stage::Held(Phase::Dealing(who) | Phase::Answering(who)) => (self.dealing_roster(committee), who),
            Stage::Held(Phase::Proving(who) | Phase::Ready(who)) => (&committee.entry.roster, who),
            _ => return Vec::new(),
        };
        let members = roster.members();
        indexes.iter().filter_map(|i| members.get(usize::from(i.get()) - 1).cloned()).collect()
    }

    /// Those who deal: the members, or those whose key is taken over.
    fn dealing_roster<'a>(&'a self, committee: &'a StandingCommittee) -> &'a Roster {
        let previous = committee.entry.previous.and_then(|id| self.state.membership.committees.get(&id));
        previous.map_or(&committee.entry.roster, |p| &p.entry.roster)
    }

    /// A member's part in the ceremony of a committee; null where it has none, or where the ceremony is not known here.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn ceremony_part(
        &self,
        committee: &ContentId,
        member: &CommitteeMember,
    ) -> Result<Option<Part>, Fatal> {
        let Some(committee) = self.state.membership.committees.get(committee) else { return Ok(None) };
        let Some(heard) = self.heard(committee)? else { return Ok(None) };
        let (Some(ceremony), Some(threshold)) = (heard.ceremony.clone(), threshold(&committee.entry)) else {
            return Ok(None);
        };
        let dealer = place(self.dealing_roster(committee), member);
        let receiver = place(&committee.entry.roster, member);
        if dealer.is_none() && receiver.is_none() {
            return Ok(None);
        }
        let readers = committee.entry.roster.members().iter().filter_map(|m| self.reader(m)).collect();
        let sealed = match receiver {
            Some(receiver) => self.sealed_to(&heard, receiver)?,
            None => Default::default(),
        };
        Ok(Some(Part {
            network: self.network,
            committee: committee.id,
            member: member.clone(),
            previous: committee.entry.previous,
            dealer,
            receiver,
            threshold,
            readers,
            ceremony,
            next: self.state.height + 1,
            sealed,
        }))
    }

    /// The key to which a member's shares are sealed.
    fn reader(&self, member: &CommitteeMember) -> Option<AgreementKey> {
        let members = &self.state.membership;
        match member {
            CommitteeMember::Guardian(person) => members.people.get(person).map(|p| p.agreement.clone()),
            CommitteeMember::Validator(node) => members.nodes.get(node).map(|n| n.agreement.clone()),
        }
    }

    /// This validator's share of the ledger's key, where it has one.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn ledger_share(&self) -> Result<Option<(Index, KeyShare)>, Fatal> {
        let Some(standing) = self.committee_key(LEDGER_COMMITTEE)? else {
            return Ok(None);
        };
        Ok(self.kept_share(&standing.committee)?.map(|share| (share.index(), share)))
    }
}
