//! Bodies of a patient who is signed in at a node that holds nothing of his: asked of all peers, against an
//! authorization that the patient's card signed for that node.
//!
//! A holder gives bodies of that patient only, and leaves out what is another's without saying so.

use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::context::Context;
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, HeaderId, KeyId, NodeId, OrganizationId, PatientId};
use hospes_protocol::patient::PatientKey;
use hospes_protocol::policy::{Personal, View as _};
use hospes_protocol::sign1::Sign1;
use hospes_protocol::wire::{Bytes, Wire};

use super::index;
use crate::follow::Asked;
use crate::messages::{Collection, Delivery, Request, page};
use crate::service::{Fatal, Service};

/// Contents in one collection, at most.
pub const COLLECT_MAX: usize = 1000;
/// Contents asked for at a time, so that their bodies fit an answer.
const COLLECT_PAGE: usize = 200;
/// How old an authorization may be, in milliseconds; as far ahead a signer's clock may be.
pub const AUTHORIZATION_MS: u64 = 5 * 60 * 1000;
/// Headers that are read from storage at a time.
const HEADERS_PAGE: u64 = 4096;

/// What the card signs under [`Context::Session`]: the node that asks, and when, in milliseconds since 1970.
pub type Authorization = (NodeId, u64);

impl Service {
    /// Gives bodies to a node at which their patient is signed in.
    pub(crate) fn on_collect(
        &self,
        from: NodeId,
        collection: &Collection,
    ) -> Result<Result<Vec<Delivery>, Rejected>, Fatal> {
        if collection.contents.len() > COLLECT_MAX {
            return Ok(Err(Check::TooLarge.into()));
        }
        let patient = match self.authorized(&from, &collection.authorization)? {
            Ok(patient) => patient,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let mut wanted = collection.contents.clone();
        // No patient finds these by subject alone: a hospital that was let in by guardians files under a K of its own.
        let also = [Kind::BreakGlassRequest, Kind::Release, Kind::Close, Kind::Review, Kind::Recovery];
        for kind in also {
            wanted.extend(self.contents_of(&patient, kind.code())?);
        }
        let found = wanted.iter().filter_map(|id| self.body_for(id, &patient).transpose());
        let given = page(found, COLLECT_MAX)?;
        // What is erased must be erased there too.
        let mut writes = Vec::new();
        for delivery in &given {
            if let Ok((body, _)) = hospes_protocol::tap::Body::read(&delivery.body, &self.network) {
                writes.extend(self.acked(&body.id(), &from)?);
            }
        }
        self.write(&writes)?;
        Ok(Ok(given))
    }

    /// A body of that patient with the patient's packets, if it is here.
    fn body_for(&self, content: &ContentId, patient: &PatientId) -> Result<Option<Delivery>, Fatal> {
        let held = self.objects.body(content)?.filter(|held| held.patient == Some(*patient));
        let Some(held) = held else { return Ok(None) };
        Ok(Some(Delivery { body: Bytes(held.bytes), packets: self.patients_packets(content)? }))
    }

    /// The patient whose card authorizes `node`; every failure is one refusal, so that asking tells nothing.
    pub(crate) fn authorized(
        &self,
        node: &NodeId,
        authorization: &[u8],
    ) -> Result<Result<PatientId, Rejected>, Fatal> {
        let refused: Rejected = Check::NotEntitled.into();
        let Ok(message) = Sign1::parse(authorization) else { return Ok(Err(refused)) };
        let Some((patient, entry)) = self.card_of(&message.kid())? else { return Ok(Err(refused)) };
        let Some(known) = self.known_entry(&entry)? else { return Ok(Err(refused)) };
        let Personal::Card(card) = &known.entry else { return Ok(Err(refused)) };
        let judge = || {
            message.verify(&card.authentication, Context::Session, &self.network)?;
            let (asking, at) = Authorization::decode(message.payload())?;
            ensure(asking == *node, Check::NotEntitled)?;
            ensure(at.abs_diff(self.now) <= AUTHORIZATION_MS, Check::NotEntitled)?;
            let closed = known.lock.is_some_and(|lock| self.view().lock(&lock) != Ok(super::OPEN));
            ensure(!closed, Check::NotEntitled)
        };
        Ok(judge().map(|()| patient).map_err(|_| refused))
    }

    fn patients_packets(&self, content: &ContentId) -> Result<Vec<Bytes>, Fatal> {
        let Some((_, Personal::Locker(locker))) = self.entry(content)? else { return Ok(Vec::new()) };
        let mut packets = Vec::new();
        for packet in locker.packets.iter().filter(|p| p.organization.is_none()) {
            packets.extend(self.objects.object(&packet.packet)?.map(Bytes));
        }
        Ok(packets)
    }

    /// The card entry that has a key: of several, the first by finality.
    pub(super) fn card_of(&self, key: &KeyId) -> Result<Option<(PatientId, ContentId)>, Fatal> {
        let mut first: Option<(u64, ContentId, PatientId)> = None;
        index::each(&*self.objects, index::CARD_KEYS, Some(&key.0), |row| {
            let id = index::content_of(row)?;
            let patient: PatientId = index::value(row)?;
            let facts = index::facts(&*self.objects, &id)?.filter(|f| f.void.is_none());
            let found = facts.map(|f| (f.height.unwrap_or(u64::MAX), id, patient));
            first = first.into_iter().chain(found).min();
            Ok(true)
        })?;
        Ok(first.map(|(_, id, patient)| (patient, id)))
    }

    /// Asks every connected peer for bodies of a patient who is signed in here. Events say what arrived.
    pub fn collect(&mut self, authorization: &[u8], contents: &[ContentId]) {
        if self.is_read_only() {
            return;
        }
        let peers: Vec<_> = self.peers.keys().copied().collect();
        for peer in peers {
            for some in contents.chunks(COLLECT_PAGE) {
                let collection =
                    Collection { contents: some.to_vec(), authorization: Bytes(authorization.to_vec()) };
                self.ask(peer, &Request::Collect(collection), Asked::Collect);
            }
        }
    }

    /// Judges what was collected, those first on which others stand.
    pub(super) fn on_collected(&mut self, from: NodeId, mut found: Vec<Delivery>) -> Result<(), Fatal> {
        found.truncate(COLLECT_MAX);
        found.sort_by_cached_key(|delivery| {
            let read = hospes_protocol::tap::Body::read(&delivery.body, &self.network);
            read.map_or(u64::MAX, |(_, content)| dependency_rank(content.kind))
        });
        for (_, verdict) in self.take_deliveries(&found)? {
            self.judge_peer(from, verdict.err());
        }
        Ok(())
    }

    /// Every header here whose subject comes from one of these keys.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn find_by_subjects(
        &self,
        keys: &[(OrganizationId, PatientKey)],
    ) -> Result<Vec<(HeaderId, ContentId)>, Fatal> {
        let mut found = Vec::new();
        for head in self.ledger.heads()? {
            let mut from = 1;
            while from <= head.sequence {
                let to = (from + HEADERS_PAGE - 1).min(head.sequence);
                let page = self.ledger.headers(&head.node, from, to)?;
                for bytes in &page {
                    let header = hospes_protocol::entry::Header::read(bytes, &self.network)
                        .map_err(Fatal::Contradiction)?;
                    let fields = header.fields();
                    let of = |(o, k): &(OrganizationId, PatientKey)| {
                        *o == fields.organization && k.belongs(fields)
                    };
                    if keys.iter().any(of) {
                        found.push((header.id(), fields.content));
                    }
                }
                if (page.len() as u64) < to - from + 1 {
                    break;
                }
                from = to + 1;
            }
        }
        Ok(found)
    }
}

/// Kinds in the order in which they stand on each other: what others stand on comes first.
pub(super) fn dependency_rank(kind: u64) -> u64 {
    match Kind::from_code(kind) {
        Some(Kind::Patient) => 0,
        Some(Kind::Card) => 1,
        Some(Kind::Proxy) => 2,
        Some(Kind::Grant) => 3,
        Some(Kind::Locker) => 4,
        Some(Kind::Record) => 5,
        Some(Kind::Amendment) => 6,
        _ => 7 + kind,
    }
}
