//! Bodies on their way to their audience: offered, delivered, judged one by one, acknowledged.
//!
//! Whoever holds a body owes it to the nodes of its audience until each has it. An offer names contents, so
//! a node that has them from another peer costs no more than the names. One unlawful body hurts only itself.

use std::collections::BTreeSet;

use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::ids::{ContentId, NodeId, OrganizationId};
use hospes_protocol::policy::Personal;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_protocol::wire_struct;
use hospes_storage::{SealedKey, SealedRow, Write};

use super::collect::dependency_rank;
use super::index;
use super::queue::{Owed, Queue};
use crate::follow::Asked;
use crate::messages::{Answer, Delivery, Request};
use crate::service::{Fatal, Service};

/// Contents in one offer, at most.
pub const OFFER_MAX: usize = 1000;
/// Contents offered at a time: their ids stay well within a request.
const OFFER_PAGE: usize = 512;
/// Bytes of one request, at most: the transport takes 64 KiB.
const REQUEST_BYTES: usize = 60 * 1024;
/// Deliveries in one request, at most.
const DELIVERIES_MAX: usize = 1000;
/// Offers of an erasure, carried out here, to a peer that lacks what it stands on; about three minutes.
const ERASURE_TRIES: u64 = 8;
/// Bodies on their way.
const OWED: Queue = Queue::new("owed", "owed-at");
/// Who has a body.
const ACKED: &str = "acked";
/// The offer that each peer has not answered.
const OFFERED: &str = "offered";

wire_struct! {
    /// An offer under way.
    pub struct Offered {
        /// The contents, in order.
        pub contents: Vec<ContentId>,
    }
}

/// What becomes of a body that is owed.
#[derive(PartialEq, Eq)]
enum Onward {
    Goes,
    Waits,
    Ends,
}

fn offered_key(peer: &NodeId) -> SealedKey {
    SealedKey::new(OFFERED, &[], 0, &peer.0)
}

fn acked_key(content: &ContentId, node: &NodeId) -> SealedKey {
    SealedKey::new(ACKED, &content.0, 0, &node.0)
}

impl Service {
    /// Nodes of these organizations, without this one.
    pub(crate) fn nodes_of(&self, organizations: &BTreeSet<OrganizationId>) -> Vec<NodeId> {
        let others = self.state.membership.active_nodes().filter(|(id, _)| **id != self.me.node);
        others.filter(|(_, n)| organizations.contains(&n.organization)).map(|(id, _)| *id).collect()
    }

    /// What owes a body to every node of its audience that does not have it.
    pub(super) fn owe_audience(
        &mut self,
        content: &ContentId,
        payload: &Personal,
    ) -> Result<Vec<Write>, Fatal> {
        let audience = self.audience_of(content, payload)?;
        let mut nodes: BTreeSet<_> = self.nodes_of(&audience).into_iter().collect();
        // Also to those at which the patient was signed in, which no policy names.
        if let Personal::Erasure(erasure) = payload {
            let holders = self.holders_before(erasure)?.into_keys();
            nodes.extend(holders.filter(|node| *node != self.me.node));
        }
        let mut writes = Vec::new();
        for node in nodes {
            writes.extend(self.owe(content, &node)?);
        }
        Ok(writes)
    }

    pub(super) fn owe(&mut self, content: &ContentId, node: &NodeId) -> Result<Vec<Write>, Fatal> {
        let known = self.objects.sealed(&acked_key(content, node))?.is_some()
            || OWED.waits(&*self.objects, node, &content.0)?;
        if known {
            return Ok(Vec::new());
        }
        let owed = Owed { item: Bytes(content.0.to_vec()), attempts: 0, payload: Bytes::default() };
        let at = (self.now, self.fresh_id());
        OWED.put(&*self.objects, node, &owed, at)
    }

    pub(super) fn acked(&self, content: &ContentId, node: &NodeId) -> Result<Vec<Write>, Fatal> {
        let mut writes = OWED.take(&*self.objects, node, &content.0)?;
        let row = SealedRow { key: acked_key(content, node), patient: None, value: Vec::new() };
        writes.push(Write::Sealed(row));
        Ok(writes)
    }

    /// Nodes that are known to have a body.
    pub(super) fn acknowledging(&self, content: &ContentId) -> Result<Vec<NodeId>, Fatal> {
        let rows = self.objects.sealed_rows(ACKED, Some(&content.0), None, 1024)?;
        rows.iter().map(|row| index::id32(&row.key.item).map(NodeId)).collect()
    }

    /// What forgets who has a body.
    pub(super) fn forget_acknowledgements(&self, content: &ContentId) -> Result<Vec<Write>, Fatal> {
        let rows = self.objects.sealed_rows(ACKED, Some(&content.0), None, 1024)?;
        Ok(rows.into_iter().map(|row| Write::DropSealed(row.key)).collect())
    }

    /// How many other nodes are known to have a body.
    pub(super) fn acknowledged(&self, content: &ContentId) -> Result<usize, Fatal> {
        Ok(self.objects.sealed_rows(ACKED, Some(&content.0), None, 1024)?.len())
    }

    /// Sends a peer what is owed to it: bodies, orders, receipts.
    pub(crate) fn owe_peer(&mut self, peer: NodeId) -> Result<(), Fatal> {
        if !self.peers.contains_key(&peer) || self.state.membership.node(&peer).is_none() {
            return Ok(());
        }
        self.take_turns()?;
        self.offer(peer)?;
        self.owe_orders(peer)?;
        self.owe_receipts(peer)?;
        self.owe_shares(peer)?;
        self.ask_sibling(peer)
    }

    fn offer(&mut self, peer: NodeId) -> Result<(), Fatal> {
        if self.objects.sealed(&offered_key(&peer))?.is_some() {
            return Ok(());
        }
        let due = OWED.due(&*self.objects, &peer, self.now, OFFER_PAGE)?;
        let (mut contents, mut writes) = (Vec::new(), Vec::new());
        for item in &due {
            let Ok(content) = item.owed.item.0.as_slice().try_into().map(ContentId) else { continue };
            match self.onward(&content, &peer)? {
                Onward::Goes => contents.push(content),
                Onward::Waits => {}
                Onward::Ends => {
                    writes.extend(OWED.take(&*self.objects, &peer, &content.0)?);
                    continue;
                }
            }
            writes.extend(OWED.sent(&peer, item, self.now));
        }
        if contents.is_empty() {
            return self.write(&writes);
        }
        let offered = Offered { contents: contents.clone() };
        let row = SealedRow { key: offered_key(&peer), patient: None, value: offered.encode() };
        writes.push(Write::Sealed(row));
        self.write(&writes)?;
        self.ask(peer, &Request::Offer(contents), Asked::Offer);
        Ok(())
    }

    fn take_offered(&mut self, peer: &NodeId) -> Result<Vec<ContentId>, Fatal> {
        let key = offered_key(peer);
        let offered: Option<Offered> = index::read(&*self.objects, &key)?;
        self.write(&[Write::DropSealed(key)])?;
        Ok(offered.map_or_else(Vec::new, |o| o.contents))
    }

    /// Which of these bodies are not here. A damaged row reads as lacking, so the body comes again.
    #[must_use]
    pub fn lacking(&self, contents: &[ContentId]) -> Vec<ContentId> {
        let lacking = |id: &&ContentId| !matches!(index::facts(&*self.objects, id), Ok(Some(_)));
        contents.iter().filter(lacking).copied().collect()
    }

    /// Which of the offered bodies are lacking here.
    pub(crate) fn on_offer(&self, contents: &[ContentId]) -> Result<Vec<ContentId>, Rejected> {
        ensure(contents.len() <= OFFER_MAX, Check::TooLarge)?;
        Ok(self.lacking(contents))
    }

    fn on_lacking(&mut self, peer: NodeId, lacking: &[ContentId]) -> Result<(), Fatal> {
        let offered = self.take_offered(&peer)?;
        let lacking: BTreeSet<_> = lacking.iter().copied().collect();
        let mut writes = Vec::new();
        for has in offered.iter().filter(|id| !lacking.contains(*id)) {
            writes.extend(self.acked(has, &peer)?);
        }
        self.write(&writes)?;
        let mut wanted = Vec::new();
        for content in offered.into_iter().filter(|id| lacking.contains(id)) {
            // It may have been erased since it was offered.
            if self.onward(&content, &peer)? != Onward::Goes {
                continue;
            }
            let kind = index::facts(&*self.objects, &content)?.map_or(0, |f| f.kind);
            wanted.push((dependency_rank(kind), content));
        }
        if wanted.is_empty() {
            return self.offer(peer);
        }
        // What others stand on goes first; within a kind the order of arrival stays.
        wanted.sort_by_key(|(rank, _)| *rank);
        let (mut page, mut ids, mut bytes) = (Vec::new(), Vec::new(), 64);
        for (_, content) in wanted {
            for delivery in self.deliveries(&content, &peer)? {
                let size = delivery.size();
                if !page.is_empty() && bytes + size > REQUEST_BYTES {
                    self.deliver(peer, &mut page, &mut ids);
                    bytes = 64;
                }
                bytes += size;
                page.push(delivery);
                ids.push(content);
            }
        }
        self.deliver(peer, &mut page, &mut ids);
        Ok(())
    }

    fn deliver(&mut self, peer: NodeId, page: &mut Vec<Delivery>, ids: &mut Vec<ContentId>) {
        if !page.is_empty() {
            let request = Request::Deliver(std::mem::take(page));
            self.ask(peer, &request, Asked::Deliver(std::mem::take(ids)));
        }
    }

    /// A body with the packets that `peer` is to hold, in as many pieces as its packets need.
    pub(crate) fn deliveries(&self, content: &ContentId, peer: &NodeId) -> Result<Vec<Delivery>, Fatal> {
        let Some(held) = self.objects.body(content)? else { return Ok(Vec::new()) };
        let body = Bytes(held.bytes);
        let mut pieces = vec![Delivery { body: body.clone(), packets: Vec::new() }];
        let mut room = REQUEST_BYTES.saturating_sub(body.len());
        for packet in self.packets_to_deliver(content, peer)? {
            if packet.len() + 16 > room {
                pieces.push(Delivery { body: body.clone(), packets: Vec::new() });
                room = REQUEST_BYTES.saturating_sub(body.len());
            }
            room = room.saturating_sub(packet.len() + 16);
            if let Some(last) = pieces.last_mut() {
                last.packets.push(Bytes(packet));
            }
        }
        Ok(pieces)
    }

    /// Packets of a locker entry for a peer: the patient's own, its organization's, and all of them where it
    /// keeps the patient's whole record.
    fn packets_to_deliver(&self, content: &ContentId, peer: &NodeId) -> Result<Vec<Vec<u8>>, Fatal> {
        let Some((_, Personal::Locker(locker))) = self.entry(content)? else { return Ok(Vec::new()) };
        let Some(theirs) = self.state.membership.node(peer).map(|n| n.organization) else {
            return Ok(Vec::new());
        };
        let home = self.home(&locker.patient)?.map(|h| h.organization);
        let all = home == Some(theirs)
            || theirs == self.me.organization
            || home.is_some_and(|h| self.backups_of(&h).contains(&theirs));
        let mut packets = Vec::new();
        for escrow in &locker.escrows {
            packets.extend(self.objects.object(&escrow.sealed)?);
        }
        for packet in &locker.packets {
            if all || packet.organization.is_none_or(|o| o == theirs) {
                packets.extend(self.objects.object(&packet.packet)?);
            }
        }
        Ok(packets)
    }

    /// Takes bodies from a peer; one number for each, 0 for kept, else the check.
    pub(crate) fn on_deliver(&mut self, from: NodeId, deliveries: Vec<Delivery>) -> Result<Vec<u64>, Fatal> {
        let deliveries = &deliveries[..deliveries.len().min(DELIVERIES_MAX)];
        let judged = self.take_deliveries(deliveries)?;
        let mut writes = Vec::new();
        let mut verdicts = Vec::new();
        for (content, verdict) in judged {
            match verdict {
                Ok(()) => writes.extend(self.acked(&content, &from)?),
                Err(rejected) => {
                    self.judge_peer(from, Some(rejected));
                }
            }
            verdicts.push(verdict.map_or_else(|r| u64::from(r.check.code()), |()| 0));
        }
        self.write(&writes)?;
        Ok(verdicts)
    }

    fn on_verdicts(&mut self, peer: NodeId, ids: &[ContentId], verdicts: &[u64]) -> Result<(), Fatal> {
        let refused: BTreeSet<_> =
            ids.iter().zip(verdicts).filter(|(_, v)| **v != 0).map(|(id, _)| *id).collect();
        let mut writes = Vec::new();
        for (content, verdict) in ids.iter().zip(verdicts) {
            if self.is_in_vain(content, &peer, *verdict)? {
                writes.extend(OWED.take(&*self.objects, &peer, &content.0)?);
            }
        }
        let judged: BTreeSet<_> = ids.iter().take(verdicts.len()).copied().collect();
        for content in judged.difference(&refused) {
            writes.extend(self.acked(content, &peer)?);
        }
        self.write(&writes)?;
        self.offer(peer)
    }

    // A peer that has erased it takes it never again. One that can't judge an erasure whose ground is destroyed here has
    // none of what it names, unless that is on its way: a few more attempts tell.
    fn is_in_vain(&self, content: &ContentId, peer: &NodeId, verdict: u64) -> Result<bool, Fatal> {
        let is = |check: Check| verdict == u64::from(check.code());
        if !is(Check::StandsOnMissing) || self.carried_out(content)?.is_none() {
            return Ok(is(Check::Erased));
        }
        let owed = OWED.owed(&*self.objects, peer, &content.0)?;
        Ok(owed.is_some_and(|owed| owed.attempts >= ERASURE_TRIES))
    }

    /// Whether a body that is owed is offered to a peer now. What was destroyed since is owed to nobody; and what outlives
    /// an erasure goes to those alone who know of the erasure: with others its time would never end.
    fn onward(&self, content: &ContentId, peer: &NodeId) -> Result<Onward, Fatal> {
        let Some(facts) = index::facts(&*self.objects, content)? else { return Ok(Onward::Ends) };
        let Some(erasure) = self.outlived(content, &facts)? else { return Ok(Onward::Goes) };
        if self.objects.sealed(&acked_key(&erasure, peer))?.is_some() {
            return Ok(Onward::Goes);
        }
        let owed = OWED.waits(&*self.objects, peer, &erasure.0)?;
        Ok(if owed { Onward::Waits } else { Onward::Ends })
    }

    /// An answer to one of this part's requests.
    pub(crate) fn on_record_answer(
        &mut self,
        from: NodeId,
        asked: Asked,
        answer: Answer,
    ) -> Result<(), Fatal> {
        match (asked, answer) {
            (Asked::Offer, Answer::Lacking(lacking)) => self.on_lacking(from, &lacking),
            (Asked::Deliver(ids), Answer::Verdicts(verdicts)) => self.on_verdicts(from, &ids, &verdicts),
            (Asked::Shares(items), Answer::Verdicts(verdicts)) => {
                self.on_share_verdicts(from, &items, &verdicts)
            }
            (Asked::Collect, Answer::Bodies(deliveries)) => self.on_collected(from, deliveries),
            (Asked::Packets { last, .. }, Answer::Packets(packets)) => self.on_packets(from, &packets, &last),
            (Asked::SubjectKeys { last, .. }, Answer::SubjectKeys(keys)) => {
                self.on_subject_keys(from, &keys, &last)
            }
            (Asked::Orders(sent), Answer::Verdicts(_)) => self.on_orders_taken(from, sent),
            (Asked::Receipts(roots), Answer::Verdicts(_)) => self.on_receipts_taken(from, &roots),
            (asked, _) => self.on_unanswered(from, asked),
        }
    }

    /// A request of this part failed. What it carried is due again at its time.
    pub(crate) fn on_unanswered(&mut self, from: NodeId, asked: Asked) -> Result<(), Fatal> {
        if matches!(asked, Asked::Offer) {
            self.take_offered(&from)?;
        }
        Ok(())
    }

    /// What is owed to a peer that comes back is due at once.
    pub(super) fn hasten(&mut self, peer: &NodeId) -> Result<(), Fatal> {
        self.take_offered(peer)?;
        let writes = OWED.hasten(&*self.objects, peer, self.now)?;
        self.write(&writes)?;
        self.hasten_shares(peer)
    }

    /// Offers do not outlive the process.
    pub(super) fn forget_offers(&mut self) -> Result<(), Fatal> {
        let rows = self.objects.sealed_rows(OFFERED, None, None, 4096)?;
        let drops: Vec<_> = rows.into_iter().map(|row| Write::DropSealed(row.key)).collect();
        self.write(&drops)?;
        Ok(())
    }
}
