//! What the nodes of one organization give each other beside bodies: the packets of the organization's key, and K
//! of the patients whom it treats.
//!
//! ```text
//! space                     group    order  item      value
//! organization-packets      key id   epoch  reader    the sealed secret
//! organization-packet-ids   -        -      packet    -
//! organization-lacking      -        -      packet    PacketPlace
//! subject-keys-lacking      -        -      patient   -
//! ```
//!
//! A final organization key entry names its packets by address, so a node knows what it lacks and believes nobody:
//! it asks the other nodes of its organization on every connection and at every upkeep, until it has them. K is
//! taken on trust, from nodes that the same card certified and that file under it themselves. Another organization's
//! node gets neither. Who may open a packet is the card's business.

use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::context::Context;
use hospes_protocol::control::OrganizationKeyEntry;
use hospes_protocol::ids::{ContentId, KeyId, NodeId, ObjectId, PatientId};
use hospes_protocol::seal::envelope::{Envelope, seal_to};
use hospes_protocol::tap::Body;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_protocol::wire_struct;
use hospes_storage::{Objects, SealedKey, SealedRow, StoreError, Write};

use super::index;
use super::keep::SUBJECT_KEYS;
use crate::follow::Asked;
use crate::messages::{Request, SealedSubjectKey, page};
use crate::service::{Fatal, Service};

/// Packets of organizations' epoch secrets.
const PACKETS: &str = "organization-packets";
/// Their addresses.
const PACKET_IDS: &str = "organization-packet-ids";
/// Packets that an entry of this organization names and that are not here.
const PACKETS_LACKING: &str = "organization-lacking";
/// Patients of this organization whose K is not here.
const KEYS_LACKING: &str = "subject-keys-lacking";
/// Packets, or patients, in one request, at most.
const ASK_MAX: usize = 512;

wire_struct! {
    /// Where a packet belongs.
    pub struct PacketPlace {
        /// The organization's public key whose secret it holds.
        pub key: KeyId,
        /// Its epoch.
        pub epoch: u64,
        /// The card that opens it.
        pub reader: KeyId,
    }
}

fn bare(space: &str, item: &[u8]) -> SealedKey {
    SealedKey::new(space, &[], 0, item)
}

fn row(key: SealedKey, value: Vec<u8>) -> Write {
    Write::Sealed(SealedRow { key, patient: None, value })
}

/// What keeps a packet of an organization's key.
#[must_use]
pub fn organization_packet_writes(place: &PacketPlace, sealed: &[u8]) -> Vec<Write> {
    let id = ObjectId::of_structured(sealed);
    let key = SealedKey::new(PACKETS, &place.key.0, place.epoch, &place.reader.0);
    vec![
        Write::Object { id, patient: None, bytes: sealed.to_vec() },
        row(key, sealed.to_vec()),
        row(bare(PACKET_IDS, &id.0), Vec::new()),
        Write::DropSealed(bare(PACKETS_LACKING, &id.0)),
    ]
}

/// The packet of an organization's key for one card, if it is here.
///
/// # Errors
/// As the store.
pub fn organization_packet(
    objects: &dyn Objects,
    public: &KeyId,
    reader: &KeyId,
) -> Result<Option<Vec<u8>>, StoreError> {
    let mut after = None;
    loop {
        let page = objects.sealed_rows(PACKETS, Some(&public.0), after.as_ref(), 256)?;
        let Some(last) = page.last().map(|row| row.key.clone()) else { return Ok(None) };
        if let Some(row) = page.into_iter().find(|row| row.key.item == reader.0) {
            return Ok(Some(row.value));
        }
        after = Some(last);
    }
}

/// Every packet of organizations' keys for one card that is here: the key's id and the packet, newest epoch first.
///
/// # Errors
/// As the store.
pub fn organization_packets(
    objects: &dyn Objects,
    reader: &KeyId,
) -> Result<Vec<(KeyId, Vec<u8>)>, StoreError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = objects.sealed_rows(PACKETS, None, after.as_ref(), 256)?;
        let Some(last) = page.last().map(|row| row.key.clone()) else { break };
        for row in page.into_iter().filter(|row| row.key.item == reader.0) {
            let key = row.key.group.as_slice().try_into().ok().map(KeyId);
            found.extend(key.map(|key| (row.key.order, key, row.value)));
        }
        after = Some(last);
    }
    found.sort_by_key(|(epoch, ..)| std::cmp::Reverse(*epoch));
    Ok(found.into_iter().map(|(_, key, sealed)| (key, sealed)).collect())
}

impl Service {
    fn is_sibling(&self, node: &NodeId) -> bool {
        *node != self.me.node
            && self.state.membership.node(node).is_some_and(|n| n.organization == self.me.organization)
    }

    /// Notes the packets of this organization's newest key, which a state without its blocks names too.
    pub(super) fn open_siblings(&mut self) -> Result<(), Fatal> {
        let entry = self.state.membership.keys.get(&self.me.organization).cloned();
        entry.map_or(Ok(()), |entry| self.note_organization_key(&entry))
    }

    /// An organization key entry became final with effect.
    pub(super) fn on_organization_key_final(&mut self, content: &ContentId) -> Result<(), Fatal> {
        let Some(bytes) = self.ledger.control_body(content)? else { return Ok(()) };
        let read = || {
            let (_, content) = Body::read(&bytes, &self.network)?;
            OrganizationKeyEntry::decode(&content.payload)
        };
        let entry = read().map_err(Fatal::Contradiction)?;
        if entry.organization == self.me.organization {
            self.note_organization_key(&entry)?;
        }
        Ok(())
    }

    fn note_organization_key(&mut self, entry: &OrganizationKeyEntry) -> Result<(), Fatal> {
        let mut writes = Vec::new();
        for named in &entry.packets {
            let place = PacketPlace { key: entry.key.id(), epoch: entry.epoch, reader: named.reader };
            match self.objects.object(&named.packet)? {
                Some(sealed) => writes.extend(organization_packet_writes(&place, &sealed)),
                None => writes.push(row(bare(PACKETS_LACKING, &named.packet.0), place.encode())),
            }
        }
        self.write(&writes)?;
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.ask_packets(peer, None)?;
        }
        Ok(())
    }

    /// What notes that this organization has K of a patient, and whether it is lacking here.
    pub(super) fn note_subject_key(&self, patient: &PatientId, given: bool) -> Result<Write, Fatal> {
        let key = bare(KEYS_LACKING, &patient.0);
        if given || self.subject_key(patient)?.is_some() {
            return Ok(Write::DropSealed(key));
        }
        Ok(Write::Sealed(SealedRow { key, patient: Some(*patient), value: Vec::new() }))
    }

    /// Asks a node of this organization for what is lacking here.
    pub(super) fn ask_sibling(&mut self, peer: NodeId) -> Result<(), Fatal> {
        self.ask_packets(peer, None)?;
        self.ask_subject_keys(peer, None)
    }

    fn ask_packets(&mut self, peer: NodeId, after: Option<&SealedKey>) -> Result<(), Fatal> {
        let busy = self.asked.values().any(|a| matches!(a, Asked::Packets { peer: p, .. } if *p == peer));
        if busy || !self.is_sibling(&peer) {
            return Ok(());
        }
        let rows = self.objects.sealed_rows(PACKETS_LACKING, None, after, ASK_MAX)?;
        let Some(last) = rows.last().map(|row| row.key.clone()) else { return Ok(()) };
        let ids = rows.iter().filter_map(|row| row.key.item.as_slice().try_into().ok().map(ObjectId));
        self.ask(peer, &Request::Packets(ids.collect()), Asked::Packets { peer, last });
        Ok(())
    }

    fn ask_subject_keys(&mut self, peer: NodeId, after: Option<&SealedKey>) -> Result<(), Fatal> {
        let busy = self.asked.values().any(|a| matches!(a, Asked::SubjectKeys { peer: p, .. } if *p == peer));
        if busy || !self.is_sibling(&peer) {
            return Ok(());
        }
        let rows = self.objects.sealed_rows(KEYS_LACKING, None, after, ASK_MAX)?;
        let Some(last) = rows.last().map(|row| row.key.clone()) else { return Ok(()) };
        let patients = rows.iter().map(|row| index::id32(&row.key.item).map(PatientId));
        let patients = patients.collect::<Result<Vec<_>, _>>()?;
        self.ask(peer, &Request::SubjectKeys(patients), Asked::SubjectKeys { peer, last });
        Ok(())
    }

    /// A peer is gone: what was asked of it is asked again when it is back.
    pub(crate) fn forget_asked(&mut self, gone: &NodeId) {
        let of = |a: &Asked| match a {
            Asked::Packets { peer, .. } | Asked::SubjectKeys { peer, .. } => peer == gone,
            Asked::Away { peer } | Asked::History { peer } => peer == gone,
            _ => false,
        };
        self.asked.retain(|_, asked| !of(asked));
    }

    fn judge_asking(&self, from: &NodeId, count: usize) -> Result<(), Rejected> {
        ensure(count <= ASK_MAX, Check::TooLarge)?;
        ensure(self.is_sibling(from), Check::NotEntitled)
    }

    /// Gives packets of the organization's key to another node of it, and nothing else that is stored.
    pub(crate) fn on_packets_asked(
        &self,
        from: &NodeId,
        ids: &[ObjectId],
    ) -> Result<Result<Vec<Bytes>, Rejected>, Fatal> {
        if let Err(rejected) = self.judge_asking(from, ids.len()) {
            return Ok(Err(rejected));
        }
        let packet = |id: &ObjectId| match self.objects.sealed(&bare(PACKET_IDS, &id.0)) {
            Ok(Some(_)) => self.objects.object(id).map(|packet| packet.map(Bytes)).transpose(),
            Ok(None) => None,
            Err(failed) => Some(Err(failed)),
        };
        Ok(Ok(page(ids.iter().filter_map(packet), ASK_MAX)?))
    }

    /// Gives K of patients to another node of this organization, sealed to it.
    pub(crate) fn on_subject_keys_asked(
        &self,
        from: &NodeId,
        patients: &[PatientId],
    ) -> Result<Result<Vec<SealedSubjectKey>, Rejected>, Fatal> {
        let node = match self.judge_asking(from, patients.len()) {
            Ok(()) => self.state.membership.node(from),
            Err(rejected) => return Ok(Err(rejected)),
        };
        let Some(reader) = node.map(|n| &n.agreement) else { return Ok(Err(Check::UnknownNode.into())) };
        let mut found = Vec::new();
        for patient in patients {
            let Some(k) = self.subject_key(patient)? else { continue };
            let mut rng = self.me.sealing_rng(&[&reader.id().0, &patient.0, k.as_bytes()]);
            match seal_to(reader, Context::PatientKey, &self.network, k.as_bytes(), &mut rng) {
                Ok(sealed) => found.push(SealedSubjectKey { patient: *patient, sealed: Bytes(sealed) }),
                Err(rejected) => return Ok(Err(rejected)),
            }
        }
        page(found.into_iter().map(Ok), ASK_MAX).map(Ok)
    }

    /// Takes packets, each only where an entry names it.
    pub(super) fn on_packets(
        &mut self,
        from: NodeId,
        packets: &[Bytes],
        last: &SealedKey,
    ) -> Result<(), Fatal> {
        let mut writes = Vec::new();
        for sealed in packets.iter().take(ASK_MAX) {
            let id = ObjectId::of_structured(sealed);
            if let Some(place) = index::read(&*self.objects, &bare(PACKETS_LACKING, &id.0))? {
                writes.extend(organization_packet_writes(&place, sealed));
            }
        }
        self.write(&writes)?;
        self.ask_packets(from, Some(last))
    }

    /// Takes K of patients for whom it is lacking.
    pub(super) fn on_subject_keys(
        &mut self,
        from: NodeId,
        keys: &[SealedSubjectKey],
        last: &SealedKey,
    ) -> Result<(), Fatal> {
        let mut writes = Vec::new();
        for key in keys.iter().take(ASK_MAX) {
            let lacking = bare(KEYS_LACKING, &key.patient.0);
            if self.objects.sealed(&lacking)?.is_none() {
                continue;
            }
            let opened = Envelope::parse(&key.sealed).ok().and_then(|sealed| {
                sealed.open(&mut self.me.agreement, Context::PatientKey, &self.network).ok()
            });
            // One that does not open is as good as none: it is asked for again.
            if let Some(k) = opened.filter(|k| k.len() == 32) {
                let at = bare(SUBJECT_KEYS, &key.patient.0);
                let patient = Some(key.patient);
                writes.push(Write::Sealed(SealedRow { key: at, patient, value: k.to_vec() }));
                writes.push(Write::DropSealed(lacking));
            }
        }
        self.write(&writes)?;
        self.ask_subject_keys(from, Some(last))
    }
}
