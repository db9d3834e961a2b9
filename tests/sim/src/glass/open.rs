//! Opening: the shares that came for a release, both halves of the escrow, its secret, the lockers in its packet; and then
//! reading what the release permits, each access filed first.

use hospes_breakglass::escrow::{CardSealedEscrow, EscrowKeys, Openings, SealedEscrow};
use hospes_breakglass::threshold::{Purpose, Signature, SignatureShare, ThresholdKey};
use hospes_protocol::context::Context;
use hospes_protocol::emergency::{RequestEntry, Tier};
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, PersonId};
use hospes_protocol::keys::{KeyAgreement, SoftwareAgreement};
use hospes_protocol::personal::{AccessEntry, Category, Purpose as For, Right};
use hospes_protocol::policy::{Act as Asked, Actor, Decision, Request};
use hospes_protocol::seal::envelope::Envelope;
use hospes_protocol::seal::packet::open_packet;
use hospes_protocol::wire::Wire;
use hospes_service::emergency::Gathered;
use hospes_storage::Objects;

use super::Emergency;
use crate::acts::Draft;
use crate::people::{CATEGORIES, Opened};
use crate::world::World;

impl World {
    /// The requester's card tries to open; then what the release permits is read.
    pub(crate) fn open_glass(&mut self, nth: usize) {
        let Some(emergency) = self.glass.emergencies.get(&nth) else { return };
        let by = emergency.by;
        if !self.is_open(by) {
            return;
        }
        let opened = self.opened_lockers(emergency);
        match opened {
            None => {
                self.coverage.glass_refusals += 1;
                self.tell(format!("emergency {nth} does not open"));
            }
            Some(categories) => {
                self.coverage.openings += 1;
                self.tell(format!("emergency {nth} opens {categories:?}"));
                self.watch_opening(nth, &categories);
                let Some(emergency) = self.glass.emergencies.get_mut(&nth) else { return };
                emergency.opened = true;
                match (emergency.tier, emergency.patient) {
                    (Tier::Recovery, p) => self.finish_recovery(p),
                    _ => self.read_released(nth),
                }
            }
        }
    }

    /// Categories of the lockers in the escrow's packet, if the shares that came open it.
    fn opened_lockers(&self, emergency: &Emergency) -> Option<Vec<Category>> {
        let (by, network) = (emergency.by, self.genesis.network());
        let service = self.service(by)?;
        let ready = service.opening_shares(&emergency.id).ok()??;
        let request = &ready.request;
        let mut opener = self.opener_of(emergency, request)?;
        let mut half = |committee: &ContentId, shares: &Gathered| -> Option<(ThresholdKey, Signature)> {
            let key = service.threshold_key(committee).ok()??;
            let open = |(_, sealed): &(u64, Vec<u8>)| {
                let plain = Envelope::parse(sealed).ok()?.open(&mut opener, Context::OpeningShare, &network);
                SignatureShare::decode(&plain.ok()?).ok()
            };
            let shares: Vec<_> = shares.iter().filter_map(open).collect();
            let signature = key.combine(Purpose::Opening, &request.label.opening(), &shares).ok()?;
            Some((key, signature))
        };
        let ledger = half(&request.ledger, &ready.ledger)?;
        let escrow = service.escrow_in(&request.locker, &request.label.escrow).ok()??;
        let sealed = self.nodes[by].store.as_ref()?.object(&escrow.sealed).ok()??;
        let secret = if emergency.tier == Tier::Card {
            let halves = (&self.on_card(emergency.patient), &ledger.0.public());
            CardSealedEscrow::decode(&sealed).ok()?.open(&request.label, halves, &ledger.1).ok()?
        } else {
            let guardians = half(&request.guardians, &ready.guardians)?;
            let keys = EscrowKeys { guardians: guardians.0.public(), ledger: ledger.0.public() };
            let openings = Openings { guardians: guardians.1, ledger: ledger.1 };
            SealedEscrow::decode(&sealed).ok()?.open(&request.label, &keys, &openings).ok()?
        };
        let mut reader = SoftwareAgreement::from_secret(&secret);
        let packets = service.packets_for(&request.label.escrow, &request.patient).ok()?;
        let open = |packet: &Vec<u8>| open_packet(packet, &request.patient, &mut reader, &network).ok();
        let packet = packets.iter().find_map(open)?;
        Some(packet.secrets.iter().map(|s| s.name.category).collect())
    }

    /// The key to which a request's shares are sealed, out of the card that has it: for the way back the card that takes it.
    fn opener_of(&self, emergency: &Emergency, request: &RequestEntry) -> Option<SoftwareAgreement> {
        let mut card = self.people.organizations[emergency.by].practitioner.agreement();
        if emergency.tier == Tier::Recovery {
            let new = self.new_card(emergency.patient).agreement();
            return [card, new].into_iter().find(|card| card.agreement_key() == request.opener);
        }
        let sealed = Envelope::parse(&request.sealed_opener).ok()?;
        let opened = sealed.open(&mut card, Context::Opener, &self.genesis.network()).ok()?;
        Some(SoftwareAgreement::from_secret(opened.as_slice().try_into().ok()?))
    }

    /// What a requester asks when a record is to be read under a release.
    pub(super) fn emergency_request(&self, p: usize, person: PersonId, record: ContentId) -> Request {
        Request {
            patient: self.people.patients[p].id,
            actor: Actor::Person(person),
            act: Asked::Read(record),
            purpose: For::EmergencyTreatment,
            code: None,
            access: None,
        }
    }

    fn read_released(&mut self, nth: usize) {
        let Some(emergency) = self.glass.emergencies.get(&nth) else { return };
        let p = emergency.patient;
        let of = |n: &usize| self.people.records[*n].patient == p;
        let records: Vec<usize> = (0..self.people.records.len()).filter(of).collect();
        for number in records {
            self.read_one_released(nth, number);
        }
    }

    fn read_one_released(&mut self, nth: usize, number: usize) {
        let Some(emergency) = self.glass.emergencies.get(&nth) else { return };
        let (by, p) = (emergency.by, emergency.patient);
        let Some(person) = self.people.organizations[by].person.filter(|_| self.is_open(by)) else { return };
        let record = self.people.records[number].content;
        let request = self.emergency_request(p, person, record);
        let now = self.local(by);
        let Some(service) = self.nodes[by].service.as_mut() else { return };
        service.tick(now);
        let Decision::Permit(why) = service.decide(&request) else {
            self.coverage.glass_refusals += 1;
            return;
        };
        let entry = AccessEntry {
            patient: self.people.patients[p].id,
            reader: Some(person),
            organization: Some(self.people.organizations[by].id),
            record,
            category: CATEGORIES[self.people.records[number].category],
            right: Right::Read,
            purpose: For::EmergencyTreatment,
            study: None,
            why: why.entries.clone(),
            at: now,
        };
        let access = self.draft(by, Kind::Access, &[], &entry);
        let id = access.id();
        let signer = self.people.organizations[by].practitioner.authentication();
        if self.tap(by, Some(p), vec![Draft::by(access, vec![signer])]).is_none() {
            return;
        }
        let root = self.people.records[number].root;
        let here = self.nodes[by].store.as_ref().and_then(|s| s.object(&root).ok().flatten());
        if here.is_some() {
            self.coverage.reads += 1;
            self.people.opened.push(Opened { access: id, patient: p, by, node: by });
            self.tell(format!("{by} reads record {number} under emergency {nth}"));
        }
    }
}
