//! Keeping bodies: judged first, then stored with their index rows, their packets and what follows from them
//! in one transaction.
//!
//! A body is judged provisionally when it arrives and for good at the height that makes its header final; a
//! body without a header, or without the entries that it stands on, is not kept.

use std::collections::BTreeSet;

use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::context::Context;
use hospes_protocol::emergency::RequestEntry;
use hospes_protocol::entry::{Content, Header, is_control};
use hospes_protocol::fail_point;
use hospes_protocol::ids::{ContentId, NodeId, ObjectId, PatientId};
use hospes_protocol::patient::PatientKey;
use hospes_protocol::personal::{LockerEntry, SubjectKey};
use hospes_protocol::policy::{HeaderFacts, Personal, Verified, judge_body};
use hospes_protocol::seal::envelope::Envelope;
use hospes_protocol::tap::Body;
use hospes_protocol::wire::Wire;
use hospes_storage::{HeldBody, SealedKey, SealedRow, Write};

use super::index;
use crate::effects::Event;
use crate::filing::{FileError, Filing};
use crate::messages::Delivery;
use crate::service::{Fatal, Service};

/// K of this node's organization, by patient.
pub(super) const SUBJECT_KEYS: &str = "subject-keys";
/// Bodies that have not gone out: this node's own before its header, a peer's until its batch is through.
const UNFILED: &str = "unfiled";

/// How often bodies of one batch are judged; a batch that came in order needs one round.
const ROUNDS_MAX: usize = 4;

/// What was said of a body, by its content.
pub(super) type Verdict = (ContentId, Result<(), Rejected>);

fn unfiled_key(content: &ContentId) -> SealedKey {
    SealedKey::new(UNFILED, &[], 0, &content.0)
}

impl Service {
    /// Whether the packets given with a body of this node's, and those already here, are all that it names.
    pub(crate) fn judge_packets(&self, verified: &Verified, packets: &[Vec<u8>]) -> Result<(), FileError> {
        let named = named_packets(&verified.known.entry);
        let given = judge_packets(&named, packets.iter().map(Vec::as_slice))?;
        let ids: Vec<_> = named.iter().filter(|id| given.iter().all(|(g, _)| g != *id)).copied().collect();
        let here = self.objects.has_objects(&ids)?;
        Ok(ensure(here.iter().all(|h| *h), Check::ObjectMissing)?)
    }

    /// Keeps bodies of this node's, with the packets that they name, before their headers are signed.
    pub(crate) fn keep_own_bodies(&mut self, own: Vec<(&Filing, &Verified)>) -> Result<(), FileError> {
        let mut writes = Vec::new();
        for (filing, verified) in &own {
            let named = named_packets(&verified.known.entry);
            let packets = judge_packets(&named, filing.packets.iter().map(Vec::as_slice))?;
            writes.extend(self.rows_to_keep(&filing.body, verified, (self.me.node, packets))?);
        }
        self.write(&writes)?;
        Ok(self.after_keeping(own.into_iter().map(|(_, verified)| verified))?)
    }

    /// Headers of these contents are known now: bodies of this node's that waited for theirs go out.
    pub(crate) fn on_headers_known(&mut self, contents: &[ContentId]) -> Result<(), Fatal> {
        self.send_out(contents)
    }

    /// Owes kept bodies to their audience and notes what they change for others, all in one transaction.
    fn send_out(&mut self, contents: &[ContentId]) -> Result<(), Fatal> {
        let (mut writes, mut kept) = (Vec::new(), Vec::new());
        // Of headers from elsewhere there are many, and hardly ever does a body here wait for one.
        if self.objects.sealed_rows(UNFILED, None, None, 1)?.is_empty() {
            return Ok(());
        }
        for content in contents {
            let key = unfiled_key(content);
            if self.objects.sealed(&key)?.is_none() {
                continue;
            }
            writes.push(Write::DropSealed(key));
            if let Some((read, payload)) = self.entry(content)? {
                writes.extend(self.owe_audience(content, &payload)?);
                writes.extend(Self::mark(content, &payload));
                kept.push(Event::BodyKept { content: *content, kind: read.kind });
            }
        }
        self.write(&writes)?;
        kept.into_iter().for_each(|event| self.event(event));
        Ok(())
    }

    /// After a crash between a body and its header: it goes out if its header is there, and is dropped
    /// otherwise: nobody was told that it was filed.
    pub(crate) fn settle_unfiled(&mut self) -> Result<(), Fatal> {
        loop {
            let page = self.objects.sealed_rows(UNFILED, None, None, index::PAGE)?;
            for row in &page {
                self.settle_one_unfiled(&row.key, &index::content_of(row)?)?;
            }
            if page.is_empty() {
                return Ok(());
            }
        }
    }

    fn settle_one_unfiled(&mut self, key: &SealedKey, content: &ContentId) -> Result<(), Fatal> {
        let patient = match self.entry(content)? {
            Some((_, Personal::Patient(entry))) => Some(entry.patient),
            _ => None,
        };
        if self.ledger.is_filed(content)? {
            self.send_out(&[*content])?;
        } else if self.is_to_be_filed(content)? {
            // It was here before: its first header was taken aside, and the second is still to come.
            self.write(&[Write::DropSealed(key.clone())])?;
        } else {
            self.forget_unfiled(key, content)?;
        }
        patient.map_or(Ok(()), |patient| self.settle_home(&patient))
    }

    /// Drops a body that has no header, with what its index says of it alone.
    fn forget_unfiled(&self, unfiled: &SealedKey, content: &ContentId) -> Result<(), Fatal> {
        let mut drops = Vec::new();
        let facts = index::facts(&*self.objects, content)?;
        if let (Some(facts), Some((_, payload))) = (facts, self.entry(content)?) {
            drops = index::own_keys(*content, &facts, &payload).into_iter().map(Write::DropSealed).collect();
            if let Personal::Patient(entry) = &payload
                && self.home(&entry.patient)?.is_some_and(|home| home.entry == *content)
            {
                drops.push(Write::DropSealed(super::finality::home_key(&entry.patient)));
            }
        }
        drops.extend([Write::DropBody(*content), Write::DropSealed(unfiled.clone())]);
        self.write(&drops)
    }

    /// Takes bodies, each judged on its own; gives a verdict for each, in order.
    ///
    /// What one stands on may come after it, so those that lack something are judged again, a few times.
    pub(super) fn take_deliveries(&mut self, deliveries: &[Delivery]) -> Result<Vec<Verdict>, Fatal> {
        let missing = Err(Check::StandsOnMissing.into());
        let id =
            |d: &Delivery| Body::read(&d.body, &self.network).map_or(ContentId([0; 32]), |(b, _)| b.id());
        let mut judged: Vec<_> = deliveries.iter().map(|d| (id(d), missing)).collect();
        for _ in 0..ROUNDS_MAX {
            let mut progressed = false;
            for (delivery, (_, verdict)) in deliveries.iter().zip(&mut judged) {
                if *verdict == missing {
                    *verdict = self.take_delivery(delivery)?;
                    progressed |= verdict.is_ok();
                }
            }
            if !progressed {
                break;
            }
        }
        let kept: Vec<_> = judged.iter().filter(|(_, v)| v.is_ok()).map(|(id, _)| *id).collect();
        self.send_out(&kept)?;
        Ok(judged)
    }

    /// Takes a body from a peer; the inner result is the verdict on it.
    fn take_delivery(&mut self, delivery: &Delivery) -> Result<Result<(), Rejected>, Fatal> {
        let (body, content, payload) = match self.read_delivery(delivery) {
            Ok(read) => read,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let id = body.id();
        let named = named_packets(&payload);
        let packets = match judge_packets(&named, delivery.packets.iter().map(|p| p.0.as_slice())) {
            Ok(packets) => packets,
            Err(rejected) => return Ok(Err(rejected)),
        };
        if let Err(rejected) = self.judge_gone(&id, &payload)? {
            return Ok(Err(rejected));
        }
        if index::facts(&*self.objects, &id)?.is_some() {
            self.write(&packet_writes(payload.patient().copied(), packets))?;
            return Ok(Ok(()));
        }
        if self.is_of_a_stranger(&payload)? {
            return Ok(Err(Check::StandsOnMissing.into()));
        }
        let judged = match self.standing(&content)? {
            Ok(facts) => judge_body(&self.view(), &body, &content, &facts).map(|v| (v, facts.node)),
            Err(rejected) => Err(rejected),
        };
        let (verified, node) = match judged {
            Ok(verified) => verified,
            Err(rejected) => return Ok(Err(rejected)),
        };
        fail_point!(DeliveryUnkept, return Err(hospes_storage::StoreError::wanted().into()));
        self.keep(&delivery.body, &verified, (node, packets)).map(Ok)
    }

    fn read_delivery(&self, delivery: &Delivery) -> Result<(Body, Content, Personal), Rejected> {
        let (body, content) = Body::read(&delivery.body, &self.network)?;
        ensure(!is_control(content.kind), Check::ContentMismatch)?;
        let payload = Personal::read(&content)?;
        Ok((body, content, payload))
    }

    /// What the ledger says of a content: the first of its headers by finality, leaving out those that differ
    /// from it. A body whose header is still on its way is offered again.
    pub(crate) fn standing(&self, content: &Content) -> Result<Result<HeaderFacts, Rejected>, Fatal> {
        let mut best: Option<HeaderFacts> = None;
        let mut why = Check::StandsOnMissing.into();
        for id in self.ledger.headers_of(&content.id())? {
            let Some(stored) = self.ledger.header(&id)? else { continue };
            let header = Header::read(&stored.bytes, &self.network).map_err(Fatal::Contradiction)?;
            if let Err(rejected) = header.matches(content) {
                why = rejected;
                continue;
            }
            let finality = self.ledger.finality(&id)?;
            let facts = HeaderFacts::of(&header, finality.map(|f| f.height), finality.and_then(|f| f.void));
            // A retired node's header that is not final never will be.
            let takes_part = |f: &HeaderFacts| self.state.membership.node(&f.node).is_some();
            let age = |f: &HeaderFacts| (f.height.unwrap_or(u64::MAX), !takes_part(f), f.node);
            if best.as_ref().is_none_or(|b| age(&facts) < age(b)) {
                best = Some(facts);
            }
        }
        Ok(best.ok_or(why))
    }

    fn keep(
        &mut self,
        bytes: &[u8],
        verified: &Verified,
        packets: (NodeId, Vec<(ObjectId, &[u8])>),
    ) -> Result<(), Fatal> {
        let writes = self.rows_to_keep(bytes, verified, packets)?;
        self.write(&writes)?;
        self.after_keeping([verified])
    }

    /// A body with its packets, its index rows and the mark that it has not gone out.
    fn rows_to_keep(
        &mut self,
        bytes: &[u8],
        verified: &Verified,
        (node, packets): (NodeId, Vec<(ObjectId, &[u8])>),
    ) -> Result<Vec<Write>, Fatal> {
        let (known, kind) = (&verified.known, verified.known.entry.kind().code());
        let patient = self.kept_under(&known.entry, verified.patient)?;
        let held = HeldBody { content: known.id, kind, patient, bytes: bytes.to_vec() };
        let mut writes = packet_writes(patient, packets);
        writes.push(Write::Body(held));
        writes.extend(index::verified_rows(verified, patient));
        writes.extend(self.subject_key_rows(&known.entry)?);
        writes.extend(super::again::dependent_rows(&known.id, patient, &verified.stands_on));
        let unfiled = SealedRow { key: unfiled_key(&known.id), patient: None, value: Vec::new() };
        writes.push(Write::Sealed(unfiled));
        writes.extend(self.erasing_rows(&known.id, &known.entry, &node)?);
        Ok(writes)
    }

    /// What was just kept may bear on what is here.
    fn after_keeping<'v>(&mut self, kept: impl IntoIterator<Item = &'v Verified>) -> Result<(), Fatal> {
        for verified in kept {
            if matches!(verified.known.entry, Personal::Patient(_)) {
                self.settle_home(&verified.patient)?;
            }
            self.judge_again_after(verified.known.id)?;
            if matches!(
                verified.known.entry,
                Personal::Request(_) | Personal::Release(_) | Personal::Search(_)
            ) {
                self.wake_emergency();
            }
        }
        Ok(())
    }

    /// Who holds K, and K itself where it is sealed to this node.
    fn subject_key_rows(&mut self, payload: &Personal) -> Result<Vec<Write>, Fatal> {
        let (patient, keys): (PatientId, &[SubjectKey]) = match payload {
            Personal::Patient(p) => (p.patient, &p.subject_keys),
            Personal::Locker(p) => (p.patient, &p.subject_keys),
            Personal::Request(p) => return self.request_key_rows(p),
            _ => return Ok(Vec::new()),
        };
        let holders = keys.iter().filter_map(|k| self.state.membership.nodes.get(&k.node));
        let holders: BTreeSet<_> = holders.map(|n| n.organization).collect();
        let mut writes: Vec<_> = holders.iter().map(|o| index::key_holder_row(&patient, o)).collect();
        let own = self.own_subject_key(&patient, keys);
        let given = own.is_some();
        writes.extend(own);
        if holders.contains(&self.me.organization) {
            writes.push(self.note_subject_key(&patient, given)?);
        }
        Ok(writes)
    }

    /// K where it is sealed to this node. A key that does not open leaves this node without, and the entry as lawful as it was.
    fn own_subject_key(&mut self, patient: &PatientId, keys: &[SubjectKey]) -> Option<Write> {
        let key = keys.iter().rfind(|k| k.node == self.me.node)?;
        let sealed = Envelope::parse(&key.sealed).ok()?;
        let k = sealed.open(&mut self.me.agreement, Context::PatientKey, &self.network).ok()?;
        let row = |value| SealedRow {
            key: SealedKey::new(SUBJECT_KEYS, &[], 0, &patient.0),
            patient: Some(*patient),
            value,
        };
        (k.len() == 32).then(|| Write::Sealed(row(k.to_vec())))
    }

    /// K of a request, at the requester's organization, where that has none; it makes nobody one who treats the patient.
    fn request_key_rows(&mut self, request: &RequestEntry) -> Result<Vec<Write>, Fatal> {
        let own = request.organization == self.me.organization;
        if !own || self.subject_key(&request.patient)?.is_some() {
            return Ok(Vec::new());
        }
        Ok(self.own_subject_key(&request.patient, &request.subject_keys).into_iter().collect())
    }

    /// K of this node's organization for a patient, where an entry gave it to this node.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn subject_key(&self, patient: &PatientId) -> Result<Option<PatientKey>, Fatal> {
        let row = self.objects.sealed(&SealedKey::new(SUBJECT_KEYS, &[], 0, &patient.0))?;
        let Some(row) = row else { return Ok(None) };
        let mut raw = zeroize::Zeroizing::new([0; 32]);
        if row.len() != raw.len() {
            return Err(Fatal::Contradiction(Check::Malformed.into()));
        }
        raw.copy_from_slice(&row);
        Ok(Some(PatientKey::from_bytes(raw)))
    }

    /// A body that is here, with its payload.
    pub(crate) fn entry(&self, content: &ContentId) -> Result<Option<(Content, Personal)>, Fatal> {
        let Some(held) = self.objects.body(content)? else { return Ok(None) };
        let read = || {
            let (_, content) = Body::read(&held.bytes, &self.network)?;
            let payload = Personal::read(&content)?;
            Ok((content, payload))
        };
        read().map(Some).map_err(Fatal::Contradiction)
    }
}

fn packet_writes(patient: Option<PatientId>, packets: Vec<(ObjectId, &[u8])>) -> Vec<Write> {
    let write = |(id, bytes): (ObjectId, &[u8])| Write::Object { id, patient, bytes: bytes.to_vec() };
    packets.into_iter().map(write).collect()
}

/// The packets that a payload names.
pub(super) fn named_packets(payload: &Personal) -> Vec<ObjectId> {
    match payload {
        Personal::Locker(LockerEntry { packets, escrows, .. }) => {
            packets.iter().map(|p| p.packet).chain(escrows.iter().map(|e| e.sealed)).collect()
        }
        _ => Vec::new(),
    }
}

/// Finds each packet's address among those that its entry names.
fn judge_packets<'a>(
    named: &[ObjectId],
    packets: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<(ObjectId, &'a [u8])>, Rejected> {
    let one = |bytes: &'a [u8]| {
        let id = ObjectId::of_structured(bytes);
        ensure(named.contains(&id), Check::ObjectHash)?;
        Ok((id, bytes))
    };
    packets.map(one).collect()
}

impl Delivery {
    /// Bytes on the wire, about.
    pub(super) fn size(&self) -> usize {
        self.encode().len()
    }
}
