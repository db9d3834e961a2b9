//! What a request stands on, asked of all peers by a key of the patient's card: a hospital that never saw the patient has
//! none of it.
//!
//! The key is on the card and nowhere public, and a practitioner's card signs that it asks. Whoever has the card entry
//! answers with it, the patient entry and the locker entry that has escrows, and notes who asked, before answering.

use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::context::Context;
use hospes_protocol::control::{LocalCommittee, Standing};
use hospes_protocol::emergency::{EscrowRef, Tier};
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, KeyId, NodeId, OrganizationId, PatientId, PersonId};
use hospes_protocol::policy::Personal;
use hospes_protocol::sign1::Sign1;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_protocol::wire_struct;
use hospes_storage::{SealedKey, SealedRow, Write};

use super::query::Basis;
use crate::follow::Asked;
use crate::messages::{Delivery, Request};
use crate::records::index::{self as rows, Epoch};
use crate::records::{AUTHORIZATION_MS, Authorization};
use crate::service::{Fatal, Service};

/// Who asked for a patient's entries, by patient and time.
pub(super) const FOUND: &str = "found-by-card";

wire_struct! {
    /// A practitioner asks for the entries of the patient whose card has a key.
    pub struct Finding {
        /// A key of the card.
        pub key: KeyId,
        /// COSE_Sign1 of the practitioner's card over [node, time], context `session`.
        pub authorization: Bytes,
    }
}

impl Service {
    /// The newest escrow of a tier among a patient's locker epochs, with what a request for it stands on; of those that
    /// are here whole.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn escrow_of(&self, patient: &PatientId, tier: Tier) -> Result<Option<Basis>, Fatal> {
        let mut found = None;
        rows::each(&*self.objects, rows::EPOCHS, Some(&patient.0), |row| {
            let epoch: Epoch = rows::value(row)?;
            if !epoch.staged {
                found = self.basis(&rows::content_of(row)?, tier)?;
            }
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    fn basis(&self, locker: &ContentId, tier: Tier) -> Result<Option<Basis>, Fatal> {
        let Some(known) = self.known_entry(locker)? else { return Ok(None) };
        let Personal::Locker(entry) = &known.entry else { return Ok(None) };
        // Of the hospitals that a patient named, this one has its own escrow.
        let ours = |e: &&EscrowRef| {
            let of = |local: &LocalCommittee| local.organization == self.me.organization;
            tier != Tier::Offline || self.local_to(&e.guardians).is_some_and(of)
        };
        let mut escrows = entry.escrows.iter().filter(|e| e.public.tier == tier && !e.public.staged);
        let escrow = escrows.find(ours);
        let Some(escrow) = escrow.cloned() else { return Ok(None) };
        // Where the patient was signed in, the entry may lie without what escrows need of it.
        let reader = escrow.public.key.id();
        let mut needed = vec![escrow.sealed];
        needed.extend(entry.packets.iter().filter(|p| p.reader == reader).map(|p| p.packet));
        if self.objects.has_objects(&needed)?.iter().any(|here| !here) {
            return Ok(None);
        }
        let Some((card, Personal::Card(holder))) = self.stood_on(locker, Kind::Card)? else {
            return Ok(None);
        };
        let Some((enrolment, Personal::Patient(enrolled))) = self.stood_on(&card, Kind::Patient)? else {
            return Ok(None);
        };
        Ok(Some(Basis {
            patient: entry.patient,
            enrolment,
            home: enrolled.home,
            card,
            card_key: holder.agreement.clone(),
            locker: *locker,
            escrow,
        }))
    }

    /// The organization at home in the patient entry that a card entry stands on.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn issued_by(&self, card: &ContentId) -> Result<Option<OrganizationId>, Fatal> {
        Ok(match self.stood_on(card, Kind::Patient)? {
            Some((_, Personal::Patient(enrolled))) => Some(enrolled.home),
            _ => None,
        })
    }

    /// The one entry of a kind on which an entry stands.
    pub(super) fn stood_on(
        &self,
        id: &ContentId,
        kind: Kind,
    ) -> Result<Option<(ContentId, Personal)>, Fatal> {
        let Some((content, _)) = self.entry(id)? else { return Ok(None) };
        for on in content.stands_on {
            if let Some(known) = self.known_entry(&on)?.filter(|known| known.entry.kind() == kind) {
                return Ok(Some((on, known.entry)));
            }
        }
        Ok(None)
    }

    /// Asks every connected peer for what a request stands on. Events say what arrived.
    pub fn find_by_card(&mut self, key: KeyId, authorization: &[u8]) {
        if self.is_read_only() {
            return;
        }
        let finding = Finding { key, authorization: Bytes(authorization.to_vec()) };
        let peers: Vec<_> = self.peers.keys().copied().collect();
        for peer in peers {
            self.ask(peer, &Request::Find(finding.clone()), Asked::Collect);
        }
    }

    /// Gives what a request stands on to a node at which a practitioner asks.
    pub(crate) fn on_find(
        &mut self,
        from: NodeId,
        finding: &Finding,
    ) -> Result<Result<Vec<Delivery>, Rejected>, Fatal> {
        let person = match self.asking(&from, &finding.authorization) {
            Ok(person) => person,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let Some(patient) = self.patient_by_card(&finding.key)? else { return Ok(Ok(Vec::new())) };
        let mut wanted = Vec::new();
        for tier in [Tier::Card, Tier::Summary, Tier::Full] {
            let basis = self.escrow_of(&patient, tier)?;
            wanted.extend(basis.into_iter().flat_map(|b| [b.enrolment, b.card, b.locker]));
        }
        wanted.sort_unstable();
        wanted.dedup();
        let item = [person.0, from.0].concat();
        let key = SealedKey::new(FOUND, &patient.0, self.now, &item);
        self.write(&[Write::Sealed(SealedRow { key, patient: Some(patient), value: Vec::new() })])?;
        let mut given = Vec::new();
        for id in wanted {
            given.extend(self.deliveries(&id, &from)?);
        }
        Ok(Ok(given))
    }

    /// The practitioner of the asking node's organization whose card signed that it asks.
    fn asking(&self, node: &NodeId, authorization: &[u8]) -> Result<PersonId, Rejected> {
        let message = Sign1::parse(authorization)?;
        let members = &self.state.membership;
        let (id, person) = members.person_by_key(&message.kid()).ok_or(Check::UnknownSigner)?;
        ensure(person.standing == Standing::Active, Check::CardSuspended)?;
        message.verify(&person.authentication, Context::Session, &self.network)?;
        let (asking, at) = Authorization::decode(message.payload())?;
        let theirs = members.node(node).ok_or(Check::UnknownNode)?.organization;
        let fits = asking == *node && at.abs_diff(self.now) <= AUTHORIZATION_MS;
        ensure(fits && person.organization == theirs, Check::NotEntitled)?;
        Ok(*id)
    }
}
