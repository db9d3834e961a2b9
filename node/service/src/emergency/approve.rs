//! Approvals: kept at the guardian's node with the opening share that is held, gathered at the requester's, and enough of
//! them made into a release.

use hospes_breakglass::threshold::{Index, Purpose, Signature, SignatureShare};
use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::context::Context;
use hospes_protocol::control::{CommitteeMember, Standing};
use hospes_protocol::emergency::{Approval, ApprovalStatement, ReleaseEntry, RequestEntry, Tier};
use hospes_protocol::entry::{Content, FORMAT, Kind};
use hospes_protocol::ids::{ContentId, NodeId};
use hospes_protocol::mutant;
use hospes_protocol::policy::PatientView as _;
use hospes_protocol::sign1::Sign1;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_storage::{SealedKey, SealedRow, Write};

use super::share::{ApprovalShare, Share};
use crate::effects::Event;
use crate::filing::{FileError, Filing, body_bytes};
use crate::records::index as rows;
use crate::service::{Fatal, Service};

/// Approvals that came, by request.
pub(super) const APPROVALS: &str = "approvals";
/// Opening shares that are held until the release is final, by request.
pub(super) const HELD: &str = "openings-held";

pub(super) fn held_key(request: &ContentId, index: u64) -> SealedKey {
    SealedKey::new(HELD, &request.0, 0, &index.to_be_bytes())
}

fn approval_key(request: &ContentId, approval: &Approval) -> SealedKey {
    SealedKey::new(APPROVALS, &request.0, 0, &approval.person.0)
}

impl Service {
    /// Takes a guardian's approval at the guardian's own node: it goes to the requester's, and the opening share, sealed
    /// to the key of the request, is held here until the release is final.
    ///
    /// # Errors
    /// [`FileError`]; nothing is kept then.
    pub fn approve(
        &mut self,
        request: ContentId,
        approval: &Approval,
        opening: Vec<u8>,
    ) -> Result<(), FileError> {
        let taken = self.writing(|service| {
            let kept = service.keep_approval(request, approval, opening)?;
            // Whoever hears that it is approved is told what is durable.
            service.settle()?;
            Ok(kept)
        })?;
        Ok(taken.ok_or(FileError::DiskFull)??)
    }

    fn keep_approval(
        &mut self,
        id: ContentId,
        approval: &Approval,
        opening: Vec<u8>,
    ) -> Result<Result<(), Rejected>, Fatal> {
        let Some((_, request)) = self.request(&id)? else { return Ok(Err(Check::StandsOnMissing.into())) };
        if let Err(rejected) = self.judge_approval(&id, &request, approval)? {
            return Ok(Err(rejected));
        }
        let Some(to) = self.requester_node(&id)? else { return Ok(Err(Check::StandsOnMissing.into())) };
        let held =
            SealedRow { key: held_key(&id, approval.index), patient: Some(request.patient), value: opening };
        let share = Share::Approval(ApprovalShare { request: id, approval: approval.clone() });
        let mut writes = vec![Write::Sealed(held)];
        if to == self.me.node {
            writes.push(approval_row(&id, &request, approval));
        } else {
            writes.extend(self.owe_share(&to, &share)?);
        }
        // The share that is held and the approval that is given are durable together, before either leaves.
        self.write(&writes)?;
        self.wake_emergency();
        Ok(Ok(()))
    }

    /// An approval that came from a guardian's node.
    pub(super) fn take_approval(
        &mut self,
        from: &NodeId,
        share: &ApprovalShare,
    ) -> Result<Result<(), Rejected>, Fatal> {
        let (id, approval) = (share.request, &share.approval);
        let Some((_, request)) = self.request(&id)? else { return Ok(Err(Check::StandsOnMissing.into())) };
        if self.requester_node(&id)? != Some(self.me.node) {
            return Ok(Err(Check::NotEntitled.into()));
        }
        if let Err(rejected) = self.judge_giver(from, &request.guardians, approval.index) {
            return Ok(Err(rejected));
        }
        if let Err(rejected) = self.judge_approval(&id, &request, approval)? {
            return Ok(Err(rejected));
        }
        self.write(&[approval_row(&id, &request, approval)])?;
        self.event(Event::ShareCame(id));
        self.wake_emergency();
        Ok(Ok(()))
    }

    /// As a release is judged, one approval alone.
    fn judge_approval(
        &self,
        id: &ContentId,
        request: &RequestEntry,
        approval: &Approval,
    ) -> Result<Result<(), Rejected>, Fatal> {
        let Some(key) = self.threshold_key(&request.guardians)? else {
            return Ok(Err(Check::StandsOnMissing.into()));
        };
        let judge = || -> Result<(), Rejected> {
            ensure(self.now < request.until, Check::PeriodForm)?;
            let committee = self.view().committee(&request.guardians)?.ok_or(Check::StandsOnMissing)?;
            let place = committee.roster.index_of(&CommitteeMember::Guardian(approval.person));
            ensure(place.map(u64::from) == Some(approval.index), Check::NotAuthorized)?;
            let own = request.tier.wants_others() && approval.person == request.requester;
            ensure(!own, Check::NotAuthorized)?;
            let person = self.state.membership.people.get(&approval.person).ok_or(Check::UnknownSigner)?;
            ensure(person.standing == Standing::Active, Check::CardSuspended)?;
            let signed = Sign1::parse(&approval.signed)?;
            ensure(signed.kid() == person.signature.id(), Check::WrongSigner)?;
            signed.verify(&person.signature, Context::Approval, &self.network)?;
            let said = ApprovalStatement::decode(signed.payload())?;
            ensure(said.request == *id, Check::ContentMismatch)?;
            let statement = request.release(self.network, *id).encode();
            let share = signature_share(approval)?;
            key.verify_share(Purpose::Release, &statement, &share).map_err(|_| Check::BadSignature.into())
        };
        Ok(judge())
    }

    pub(super) fn approvals(&self, request: &ContentId) -> Result<Vec<Approval>, Fatal> {
        let mut found = Vec::new();
        rows::each(&*self.objects, APPROVALS, Some(&request.0), |row| {
            found.push(rows::value::<Approval>(row)?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// Files the release of this node's request, once enough have approved.
    pub(super) fn assemble_release(&mut self, id: &ContentId, request: &RequestEntry) -> Result<(), Fatal> {
        let mine = self.requester_node(id)? == Some(self.me.node);
        // Without a line nothing is released before the witness card has signed.
        let waits = request.tier == Tier::Offline;
        if waits || !mine || self.now >= request.until || !self.follow_ups(rows::RELEASES, id)?.is_empty() {
            return Ok(());
        }
        let Some(entry) = self.release_of(id, request)? else { return Ok(()) };
        let Some((_, filing)) = self.release_filing(id, &entry)? else { return Ok(()) };
        match self.file_in_room(vec![filing], &mut Vec::new()) {
            Err(FileError::Fatal(fatal)) => Err(fatal),
            // What is refused now, as while the clock is behind, is tried again with the next turn.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// A release, ready to be filed; null where this node has no K for its patient.
    pub(super) fn release_filing(
        &self,
        id: &ContentId,
        entry: &ReleaseEntry,
    ) -> Result<Option<(ContentId, Filing)>, Fatal> {
        let Some(k) = self.subject_key(&entry.patient)? else { return Ok(None) };
        let content = Content {
            format: FORMAT,
            network: self.network,
            kind: Kind::Release.code(),
            organization: self.me.organization,
            salt: self.me.once("release", &id.0),
            lock: None,
            stands_on: self.release_stands_on(id)?,
            payload: Bytes(entry.encode()),
        };
        let body = body_bytes(&content, Vec::new());
        let filing = Filing { body, key: Some(k), reveal: Vec::new(), packets: Vec::new() };
        Ok(Some((content.id(), filing)))
    }

    /// The release that the approvals here make, if they are enough by the rules of its tier.
    pub(super) fn release_of(
        &self,
        id: &ContentId,
        request: &RequestEntry,
    ) -> Result<Option<ReleaseEntry>, Fatal> {
        let Some(key) = self.threshold_key(&request.guardians)? else { return Ok(None) };
        let mut approvals = Vec::new();
        // One whose card was suspended since counts no more.
        for approval in self.approvals(id)? {
            if self.judge_approval(id, request, &approval)?.is_ok() {
                approvals.push(approval);
            }
        }
        approvals.sort_by_key(|a| a.person);
        let needed = request.tier.people().max(usize::from(key.threshold().shares_needed()));
        let fewer = mutant!(ReleaseByFewer) && approvals.len() + 1 == needed;
        if approvals.len() < needed && !fewer {
            return Ok(None);
        }
        let statement = request.release(self.network, *id).encode();
        let shares: Vec<_> = approvals.iter().filter_map(|a| signature_share(a).ok()).collect();
        let combined = key.combine(Purpose::Release, &statement, &shares);
        let alone = shares.first().filter(|_| fewer).map(|share| share.signature);
        let Some(signature) = combined.ok().or(alone) else { return Ok(None) };
        let signature = Some(signature.to_bytes());
        Ok(Some(ReleaseEntry {
            patient: request.patient,
            request: *id,
            approvals,
            signature,
            presence: None,
            link: None,
        }))
    }
}

fn approval_row(id: &ContentId, request: &RequestEntry, approval: &Approval) -> Write {
    let key = approval_key(id, approval);
    Write::Sealed(SealedRow { key, patient: Some(request.patient), value: approval.encode() })
}

fn signature_share(approval: &Approval) -> Result<SignatureShare, Rejected> {
    let index = u16::try_from(approval.index).ok().and_then(|n| Index::new(n).ok());
    Ok(SignatureShare {
        index: index.ok_or(Check::NotAuthorized)?,
        signature: Signature::from_bytes(&approval.share)?,
    })
}
