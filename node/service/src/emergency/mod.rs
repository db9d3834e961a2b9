//! Break-glass between nodes: from a request to the shares that open an escrow.
//!
//! ```text
//! requester's node            guardians' nodes                 validators' nodes
//! files the request  ------>  body, by its audience  ------>   body, by its audience
//!                   <------   approval; opening share held
//! enough: files the release ---------- body ---------------->  judged by each on its own
//! ...final: a block has it ...
//!                   <------   the held opening share   <----   an opening share
//! the requester's card opens both halves
//! ```
//!
//! | file | what |
//! |---|---|
//! | `alone` | tier 0: what holds back who opens by the patient's card alone |
//! | `approve` | approvals kept, sent, gathered; the release |
//! | `hand` | opening shares, handed over once the release is final |
//! | `share` | their way to the requester's node |
//! | `find` | what a request stands on, asked of those who have it |
//! | `query` | what desk and API ask |
//! | `search` | a patient without card, looked for by name among those enrolled here |
//! | `recover` | notices that lost cards are replaced |
//! | `witness` | a hospital without a line: its witness card's log, and the alarms of it |
//! | `watch` | patients without a working escrow, reviews that are due |
//!
//! Whatever is promised or held is a row before anything leaves: a crash loses a message at most, and it is sent again
//! until it is acknowledged. No share is opened here: the opening shares are sealed to a key of the request whose secret
//! only the requester's card opens.

mod alone;
mod approve;
mod find;
mod hand;
mod query;
mod recover;
mod search;
mod share;
mod watch;
mod witness;

pub use alone::{NotAlone, UNREVIEWED_MAX};
pub use find::Finding;
pub use query::{Approvals, Basis, Emergency, Gathered, REVIEW_MS, Ready, review_due};
pub use recover::Recovery;
pub use search::{
    CANDIDATES_MAX, Candidate, Found, FoundBy, FoundShare, SEARCHES_MAX, SEARCHES_MS, Search, enrolled_key,
    enrolled_row,
};
pub use share::{ApprovalShare, Half, OpeningShare, Share};
pub use watch::{EscrowCount, HeldKeys, ReviewCount, count_escrows};
pub use witness::{Alarm, NotWitnessed, Suspicion, Witnessing};

use hospes_breakglass::threshold::{Index, Purpose, Signature, SignatureShare, ThresholdKey};
use hospes_protocol::emergency::{ReleaseEntry, RequestEntry, Tier};
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, NodeId, PatientId};
use hospes_protocol::mutant;
use hospes_protocol::policy::view::Visit;
use hospes_protocol::policy::{Known, Personal, ReleaseFacts, Signed};
use hospes_storage::SealedKey;

use crate::records::index as rows;
use crate::service::{Fatal, Service};

/// Requests that are looked at in one turn; more wait for the next.
const OPEN_MAX: usize = 256;

impl Service {
    /// Whether shares and sum are of a committee's key; null where that key is not known here.
    pub(crate) fn threshold_signed(
        &self,
        committee: &ContentId,
        signed: Signed<'_>,
    ) -> Result<Option<bool>, Fatal> {
        let Some(key) = self.threshold_key(committee)? else { return Ok(None) };
        let share = |(index, share): &(u64, &[u8; 96])| {
            let index = Index::new(u16::try_from(*index).ok()?).ok()?;
            let share = SignatureShare { index, signature: Signature::from_bytes(share).ok()? };
            key.verify_share(Purpose::Release, signed.statement, &share).ok()
        };
        let sum = Signature::from_bytes(signed.signature).ok();
        let whole = sum.is_some_and(|s| key.public().verify(Purpose::Release, signed.statement, &s).is_ok());
        Ok(Some(whole && signed.shares.iter().all(|s| share(s).is_some())))
    }

    /// Passes the releases of a patient's escrows.
    pub(crate) fn each_release(
        &self,
        patient: &PatientId,
        visit: Visit<'_, ReleaseFacts>,
    ) -> Result<(), Fatal> {
        for id in self.contents_of(patient, Kind::Release.code())? {
            let Some((known, release)) = self.release(&id)? else { continue };
            let Some((_, request)) = self.request(&release.request)? else { continue };
            let closed = !self.follow_ups(rows::CLOSES, &id)?.is_empty() && !mutant!(CloseUnread);
            if visit(&known.map(|_| release.facts(&request, closed))).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// A request that has effect.
    pub(crate) fn request(&self, id: &ContentId) -> Result<Option<(Known<Personal>, RequestEntry)>, Fatal> {
        let Some(known) = self.known_entry(id)? else { return Ok(None) };
        let Personal::Request(request) = &known.entry else { return Ok(None) };
        let request = (**request).clone();
        Ok(Some((known, request)))
    }

    /// A release that has effect.
    pub(crate) fn release(&self, id: &ContentId) -> Result<Option<(Known<Personal>, ReleaseEntry)>, Fatal> {
        let Some(known) = self.known_entry(id)? else { return Ok(None) };
        let Personal::Release(release) = &known.entry else { return Ok(None) };
        let release = release.clone();
        Ok(Some((known, release)))
    }

    /// What follows an entry and has effect: releases of a request, closes and reviews of a release.
    pub(crate) fn follow_ups(&self, space: &str, of: &ContentId) -> Result<Vec<ContentId>, Fatal> {
        let mut found = Vec::new();
        rows::each(&*self.objects, space, Some(&of.0), |row| {
            let id = rows::content_of(row)?;
            if self.known_entry(&id)?.is_some() {
                found.push(id);
            }
            Ok(true)
        })?;
        Ok(found)
    }

    /// A release of this request that is final, in force and not closed. Without a line it stands by its link alone.
    pub(crate) fn in_force(
        &self,
        request: &ContentId,
        asked: &RequestEntry,
    ) -> Result<Option<ContentId>, Fatal> {
        let over = self.now >= asked.until && !mutant!(ReleaseEndless);
        if over || self.is_contested(request)? {
            return Ok(None);
        }
        for id in self.follow_ups(rows::RELEASES, request)? {
            let last = asked.tier == Tier::Offline
                || self.known_entry(&id)?.is_some_and(|known| known.height.is_some());
            let open = self.follow_ups(rows::CLOSES, &id)?.is_empty() || mutant!(CloseUnread);
            if (last || mutant!(ReleasePending)) && open {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Requests that have not ended.
    pub(crate) fn open_requests(&self) -> Result<Vec<(ContentId, RequestEntry)>, Fatal> {
        let ended = SealedKey::new(rows::EMERGENCIES, &[], self.now, &[0xff; 33]);
        let mut open = Vec::new();
        for row in self.objects.sealed_rows(rows::EMERGENCIES, None, Some(&ended), OPEN_MAX)? {
            let id = rows::content_of(&row)?;
            open.extend(self.request(&id)?.map(|(_, request)| (id, request)));
        }
        Ok(open)
    }

    /// The node that filed a request, to which its shares go.
    pub(crate) fn requester_node(&self, request: &ContentId) -> Result<Option<NodeId>, Fatal> {
        let Some((content, _)) = self.entry(request)? else { return Ok(None) };
        Ok(self.standing(&content)?.ok().map(|facts| facts.node))
    }

    /// Does what break-glass waits to do: assembles releases, hands over what is held, answers searches. What is due then is sent to each
    /// peer with all else that it is owed.
    pub(crate) fn emergency_turn(&mut self) -> Result<(), Fatal> {
        for (id, request) in self.open_requests()? {
            self.assemble_release(&id, &request)?;
            self.hand_over(&id, &request)?;
        }
        self.answer_searches()
    }

    /// Wakes this part: something that it waits for has come.
    pub(crate) fn wake_emergency(&mut self) {
        self.set_timer(crate::effects::Timer::SendOut, self.now);
    }

    /// The key of a committee, by its entry.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn threshold_key(&self, committee: &ContentId) -> Result<Option<ThresholdKey>, Fatal> {
        match self.state.membership.committees.get(committee) {
            Some(committee) => self.key_of(committee),
            None => Ok(None),
        }
    }
}
