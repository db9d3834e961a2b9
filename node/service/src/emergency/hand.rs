//! Handing over: what opens an escrow leaves a node only once the release is final there, judged by the node itself.
//!
//! Without a line a guardian's node keeps the link of the witness card's log first, and gives nothing on one that a copy here
//! contradicts.
//!
//! A guardian's node gives the opening share that it held, a validator's makes its own. Each is given once; the row that
//! says so and the one that sends it are one write.

use hospes_breakglass::threshold::{Index, KeyShare, Purpose};
use hospes_protocol::context::Context;
use hospes_protocol::control::{CommitteeMember, Roster};
use hospes_protocol::emergency::{RequestEntry, Tier};
use hospes_protocol::ids::{ContentId, NodeId};
use hospes_protocol::policy::PatientView as _;
use hospes_protocol::seal::envelope::seal_to;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_storage::{SealedKey, SealedRow, Write};

use super::approve::HELD;
use super::share::{Half, OpeningShare, Share, opening_key};
use crate::records::index as rows;
use crate::service::{Fatal, Service};

/// What was handed over, by release.
const HANDED: &str = "handed-over";

fn handed_key(release: &ContentId, half: Half, index: u64) -> SealedKey {
    let item = [half.code().to_be_bytes(), index.to_be_bytes()].concat();
    SealedKey::new(HANDED, &release.0, 0, &item)
}

impl Service {
    /// Hands over for a request whose release is final and in force.
    pub(super) fn hand_over(&mut self, id: &ContentId, request: &RequestEntry) -> Result<(), Fatal> {
        let Some(release) = self.in_force(id, request)? else { return Ok(()) };
        let Some(to) = self.requester_node(id)? else { return Ok(()) };
        if request.tier == Tier::Offline && !self.takes_link(&release)? {
            return Ok(());
        }
        let mut shares = Vec::new();
        rows::each(&*self.objects, HELD, Some(&id.0), |row| {
            if let Ok(index) = <[u8; 8]>::try_from(row.key.item.as_slice()) {
                shares.push((Half::Guardians, u64::from_be_bytes(index), row.value.clone()));
            }
            Ok(true)
        })?;
        if let Some((index, share)) = self.ledger_share_for(request)? {
            let handed = handed_key(&release, Half::Ledger, u64::from(index.get()));
            if self.objects.sealed(&handed)?.is_none() && self.gives_for(id, request)? {
                shares.push((Half::Ledger, u64::from(index.get()), self.opening(request, &release, &share)?));
            }
        }
        for (half, index, sealed) in shares {
            let share = OpeningShare { release, half, index, sealed: Bytes(sealed) };
            self.hand(&to, request, share)?;
        }
        Ok(())
    }

    fn hand(&mut self, to: &NodeId, request: &RequestEntry, share: OpeningShare) -> Result<(), Fatal> {
        let handed = handed_key(&share.release, share.half, share.index);
        if self.objects.sealed(&handed)?.is_some() {
            return Ok(());
        }
        let patient = Some(request.patient);
        let row = SealedRow { key: handed, patient, value: self.now.encode() };
        let mut writes = vec![Write::Sealed(row)];
        if *to == self.me.node {
            let key = opening_key(&share.release, share.half, share.index);
            writes.push(Write::Sealed(SealedRow { key, patient, value: share.sealed.0.clone() }));
            self.event(crate::effects::Event::ShareCame(share.release));
        } else {
            writes.extend(self.owe_share(to, &Share::Opening(share))?);
        }
        self.write(&writes)
    }

    /// This node's share of the validators' key, where the request names a committee that it is of.
    fn ledger_share_for(&self, request: &RequestEntry) -> Result<Option<(Index, KeyShare)>, Fatal> {
        let committee = self.view().committee(&request.ledger).map_err(|e| Fatal::Contradiction(e.into()))?;
        let Some(Roster::Validators(_)) = committee.as_ref().map(|c| &c.roster) else { return Ok(None) };
        let me = CommitteeMember::Validator(self.me.node);
        let place = committee.and_then(|c| c.roster.index_of(&me));
        let share = self.kept_share(&request.ledger)?.map(|share| (share.index(), share));
        Ok(share.filter(|(index, _)| Some(index.get()) == place))
    }

    fn opening(
        &self,
        request: &RequestEntry,
        release: &ContentId,
        share: &KeyShare,
    ) -> Result<Vec<u8>, Fatal> {
        let share = share.sign(Purpose::Opening, &request.label.opening()).encode();
        let mut rng = self.me.sealing_rng(&[b"opening", &release.0, request.opener.as_bytes()]);
        seal_to(&request.opener, Context::OpeningShare, &self.network, &share, &mut rng)
            .map_err(Fatal::Contradiction)
    }
}
