//! Approvals and opening shares on their way to the requester's node: due until acknowledged, each on its own.

use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::control::{CommitteeMember, Roster};
use hospes_protocol::emergency::Approval;
use hospes_protocol::ids::{ContentId, NodeId};
use hospes_protocol::policy::PatientView as _;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_protocol::{wire_enum, wire_struct, wire_union};
use hospes_storage::{SealedKey, SealedRow, Write};

use super::search::FoundShare;
use crate::effects::Event;
use crate::follow::Asked;
use crate::messages::Request;
use crate::records::queue::{Owed, Queue};
use crate::service::{Fatal, Service};

/// What is on its way.
const SHARES: Queue = Queue::new("shares-owed", "shares-owed-at");
/// Shares in one request, at most; each is a few hundred bytes.
const SHARES_PAGE: usize = 64;
/// A share in bytes, at most: five people who were found, with names of 80 characters.
const SHARE_BYTES_MAX: usize = 4096;
/// Opening shares that came, by release.
pub(super) const OPENINGS: &str = "openings";

wire_enum! {
    /// Which of an escrow's two keys a share is of.
    pub enum Half {
        /// The guardians'.
        Guardians = 1,
        /// The validators'.
        Ledger = 2,
    }
}

wire_struct! {
    /// An approval of a request.
    pub struct ApprovalShare {
        /// The request.
        pub request: ContentId,
        /// The approval.
        pub approval: Approval,
    }
}

wire_struct! {
    /// A share that opens an escrow, sealed to the key of the request.
    pub struct OpeningShare {
        /// The release for which it is given.
        pub release: ContentId,
        /// Of which key.
        pub half: Half,
        /// Whose: the place on the roster.
        pub index: u64,
        /// COSE_Encrypt of a [`SignatureShare`](hospes_breakglass::threshold::SignatureShare).
        pub sealed: Bytes,
    }
}

wire_union! {
    /// What guardians and validators give, and nodes that are asked for a patient.
    pub enum Share {
        /// An approval, before the release.
        Approval(ApprovalShare) = 1,
        /// An opening share, after it.
        Opening(OpeningShare) = 2,
        /// Whom a search found.
        Found(FoundShare) = 3,
    }
}

impl Share {
    /// Names it in its queue.
    fn item(&self) -> Vec<u8> {
        match self {
            Self::Approval(s) => [&[1], &s.request.0[..], &s.approval.person.0[..]].concat(),
            Self::Opening(s) => {
                [&[2], &s.release.0[..], &s.half.code().to_be_bytes(), &s.index.to_be_bytes()].concat()
            }
            Self::Found(s) => [&[3], &s.search.0[..]].concat(),
        }
    }
}

impl Service {
    /// What puts a share on its way to a node; kept at once where that is this one.
    pub(super) fn owe_share(&mut self, to: &NodeId, share: &Share) -> Result<Vec<Write>, Fatal> {
        let owed = Owed { item: Bytes(share.item()), attempts: 0, payload: Bytes(share.encode()) };
        let at = (self.now, self.fresh_id());
        SHARES.put(&*self.objects, to, &owed, at)
    }

    /// Sends a peer the shares that are due.
    pub(crate) fn owe_shares(&mut self, peer: NodeId) -> Result<(), Fatal> {
        let (mut shares, mut items, mut writes) = (Vec::new(), Vec::new(), Vec::new());
        for due in SHARES.due(&*self.objects, &peer, self.now, SHARES_PAGE)? {
            shares.push(due.owed.payload.clone());
            items.push(due.owed.item.clone());
            writes.extend(SHARES.sent(&peer, &due, self.now));
        }
        if shares.is_empty() {
            return Ok(());
        }
        self.write(&writes)?;
        self.ask(peer, &Request::Shares(shares), Asked::Shares(items));
        Ok(())
    }

    /// What is owed to a peer that comes back is due at once.
    pub(crate) fn hasten_shares(&self, peer: &NodeId) -> Result<(), Fatal> {
        self.write(&SHARES.hasten(&*self.objects, peer, self.now)?)
    }

    /// Takes shares from a peer; one number for each, 0 for kept, else the check.
    pub(crate) fn on_shares(&mut self, from: NodeId, shares: &[Bytes]) -> Result<Vec<u64>, Fatal> {
        let mut verdicts = Vec::new();
        for bytes in shares.iter().take(SHARES_PAGE) {
            let verdict = match Share::decode_within(bytes, SHARE_BYTES_MAX) {
                Ok(share) => self.take_share(&from, &share)?,
                Err(rejected) => Err(rejected),
            };
            if let Err(rejected) = verdict {
                self.judge_peer(from, Some(rejected));
            }
            verdicts.push(verdict.map_or_else(|r| u64::from(r.check.code()), |()| 0));
        }
        Ok(verdicts)
    }

    pub(super) fn take_share(&mut self, from: &NodeId, share: &Share) -> Result<Result<(), Rejected>, Fatal> {
        match share {
            Share::Approval(share) => self.take_approval(from, share),
            Share::Opening(share) => self.take_opening(from, share),
            Share::Found(share) => self.take_found(from, share),
        }
    }

    /// The verdicts of the peer: what it kept, and what it will never keep, is owed no more.
    pub(crate) fn on_share_verdicts(
        &mut self,
        peer: NodeId,
        items: &[Bytes],
        verdicts: &[u64],
    ) -> Result<(), Fatal> {
        // It lacks the request or the release; that is owed to it too.
        let lacks = u64::from(Check::StandsOnMissing.code());
        let mut writes = Vec::new();
        for (item, _) in items.iter().zip(verdicts).filter(|(_, v)| **v != lacks) {
            writes.extend(SHARES.take(&*self.objects, &peer, item)?);
        }
        self.write(&writes)
    }

    /// An opening share, of the member at its place, for a release of this node's request.
    fn take_opening(&mut self, from: &NodeId, share: &OpeningShare) -> Result<Result<(), Rejected>, Fatal> {
        let Some((_, release)) = self.release(&share.release)? else {
            return Ok(Err(Check::StandsOnMissing.into()));
        };
        let Some((known, request)) = self.request(&release.request)? else {
            return Ok(Err(Check::StandsOnMissing.into()));
        };
        if self.requester_node(&known.id)? != Some(self.me.node) {
            return Ok(Err(Check::NotEntitled.into()));
        }
        let committee = match share.half {
            Half::Guardians => request.guardians,
            Half::Ledger => request.ledger,
        };
        if let Err(rejected) = self.judge_giver(from, &committee, share.index) {
            return Ok(Err(rejected));
        }
        let key = opening_key(&share.release, share.half, share.index);
        let row = SealedRow { key, patient: Some(request.patient), value: share.sealed.0.clone() };
        self.write(&[Write::Sealed(row)])?;
        self.event(Event::ShareCame(share.release));
        Ok(Ok(()))
    }

    /// Whether a node is the member at a place on a roster, or one of that person's organization.
    pub(super) fn judge_giver(
        &self,
        from: &NodeId,
        committee: &ContentId,
        index: u64,
    ) -> Result<(), Rejected> {
        let committee = self.view().committee(committee)?.ok_or(Check::StandsOnMissing)?;
        let place = usize::try_from(index).ok().and_then(|n| n.checked_sub(1)).ok_or(Check::NotEntitled)?;
        let members = &self.state.membership;
        let theirs = members.node(from).ok_or(Check::UnknownNode)?.organization;
        let member = committee.roster.members().get(place).cloned();
        let gives = match (member, &committee.roster) {
            (Some(CommitteeMember::Validator(node)), Roster::Validators(_)) => node == *from,
            (Some(CommitteeMember::Guardian(person)), Roster::Guardians(_)) => {
                members.people.get(&person).is_some_and(|p| p.organization == theirs)
            }
            _ => false,
        };
        ensure(gives, Check::NotEntitled)
    }
}

pub(super) fn opening_key(release: &ContentId, half: Half, index: u64) -> SealedKey {
    let item = [half.code().to_be_bytes(), index.to_be_bytes()].concat();
    SealedKey::new(OPENINGS, &release.0, 0, &item)
}
