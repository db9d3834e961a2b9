//! Break-glass between hospitals: enough guardians and the validators' key open an escrow for one practitioner of a hospital
//! that never saw the patient, and nothing less does.
//!
//! Method: four validators and a replica over memory and virtual time, with real keys from real ceremonies. Cards are keys
//! in memory. Replay: the seed is printed.

use hospes_breakglass::escrow::{CardSealedEscrow, EscrowKeys, Openings, SealedEscrow};
use hospes_breakglass::threshold::{KeyShare, Purpose, Signature, SignatureShare, ThresholdKey};
use hospes_protocol::check::Check;
use hospes_protocol::context::Context;
use hospes_protocol::control::{
    CeremonyBlocks, CommitteeEntry, CommitteeMember, DkgEntry, LEDGER_COMMITTEE, PolicyFields, Roster,
};
use hospes_protocol::emergency::{
    Approval, ApprovalStatement, CloseEntry, EscrowLabel, EscrowPublic, EscrowRef, Reason, ReleaseEntry,
    RequestEntry, Tier,
};
use hospes_protocol::entry::Kind;
use hospes_protocol::genesis::default_policy;
use hospes_protocol::ids::{ContentId, ObjectId, PatientId, PersonId};
use hospes_protocol::keys::{KeyAgreement as _, Signer as _, SoftwareAgreement};
use hospes_protocol::patient::PatientKey;
use hospes_protocol::personal::{Category, Label, LockerEntry, PacketRef, Purpose as For, SubjectKey};
use hospes_protocol::policy::{Act, Actor, Request, Rule};
use hospes_protocol::seal::envelope::{Envelope, seal_to};
use hospes_protocol::seal::locker::fresh_epoch;
use hospes_protocol::seal::packet::{Packet, open_packet, seal_packet};
use hospes_protocol::sign1::sign1;
use hospes_protocol::tap::{Body, sign_tap};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::emergency::{Basis, EscrowCount, Gathered, HeldKeys, NotAlone, count_escrows};
use hospes_service::filing::{FileError, Filed, Filing};
use hospes_service::service::Service;
use hospes_storage::Objects as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroizing;

use crate::people::{Doctor, Patient, Record, key};
use crate::world::World;

pub(crate) const BLOCKS: CeremonyBlocks = CeremonyBlocks { deal: 5, complain: 6, answer: 7, prove: 12 };
/// The hospital that asks: a replica that never saw the patient.
pub(crate) const AWAY: usize = 4;
/// How long a recovery can be contested here.
pub(crate) const RECOVERY_DELAY_MS: u64 = 20_000;
const OPENER: [u8; 32] = [42; 32];
/// The patient's card's half of tier 0.
const ON_CARD: [u8; 32] = [43; 32];

fn agreement(seed: u8) -> SoftwareAgreement {
    SoftwareAgreement::from_secret(&[seed; 32])
}

/// The stage: three guardians of three hospitals, a doctor who asks, and who may be a guardian too; a patient at home in
/// hospital 0 with a summary and a laboratory record.
pub(crate) struct Stage {
    pub(crate) w: World,
    pub(crate) guardians: Vec<Doctor>,
    pub(crate) asker: Doctor,
    pub(crate) patient: Patient,
    summary: Record,
    laboratory: Record,
}

pub(crate) fn service(w: &World, i: usize) -> &Service {
    w.nodes[i].service.as_ref().expect("the node is on")
}

/// Acts on a node that is on, and carries out what it wants done.
pub(crate) fn at<R>(w: &mut World, i: usize, act: impl FnOnce(&mut Service) -> R) -> R {
    let now = w.now;
    let service = w.nodes[i].service.as_mut().expect("the node is on");
    service.tick(now);
    let done = act(service);
    w.effects(i);
    done
}

pub(crate) fn committee(w: &mut World, name: &str, roster: Roster, needed: u64) -> ContentId {
    let entry = CommitteeEntry {
        name: name.into(),
        roster,
        shares_needed: needed,
        provers_needed: needed,
        previous: None,
        blocks: BLOCKS,
        local: None,
    };
    let filing = w.control(0, Kind::Committee, &entry, &[0, 1, 2, 3]);
    let filed = w.file(0, filing);
    assert!(w.run_until(5_000, |w| w.is_final(0, &filed)), "{name} is set");
    filed.content
}

/// Does what the guardians owe to a ceremony now, with their cards.
pub(crate) fn perform(w: &mut World, committee: &ContentId, guardians: &[(&Doctor, usize)]) {
    for (n, (doctor, i)) in guardians.iter().enumerate() {
        let member = CommitteeMember::Guardian(doctor.id);
        let part = service(w, *i).ceremony_part(committee, &member).expect("the store holds");
        let Some(part) = part else { continue };
        for duty in part.duties() {
            use hospes_service::committees::Duty;
            let said = match duty {
                Duty::Deal => {
                    let mut seed = committee.0;
                    seed[0] ^= u8::try_from(n).expect("few");
                    vec![part.deal(&Zeroizing::new(seed), None).expect("it can deal")]
                }
                Duty::Look => part.complaints(&mut agreement(doctor.seed)).expect("the card opens"),
                Duty::Answer => Vec::new(),
                Duty::Prove => {
                    let share = part.share(&mut agreement(doctor.seed)).expect("its share came");
                    vec![part.proof(&share)]
                }
            };
            for said in &said {
                say(w, *i, doctor, &part.entry(said));
            }
        }
    }
}

fn say(w: &mut World, i: usize, doctor: &Doctor, entry: &DkgEntry) {
    let content = w.draft(i, Kind::Dkg, hospes_protocol::ids::sha256(&[&entry.encode()]), &[], entry);
    let ids = [content.id()];
    let signatures = sign_tap(&mut key(doctor.seed), &w.genesis.network(), ("t", "en"), &ids).unwrap();
    let body = Body { content: Bytes(content.encode()), signatures }.encode();
    w.file(i, Filing { body, key: None, reveal: Vec::new(), packets: Vec::new() });
}

impl Stage {
    pub(crate) fn set(seed: u64) -> Self {
        let policy =
            PolicyFields { idle_block_ms: 1_000, recovery_delay_ms: RECOVERY_DELAY_MS, ..default_policy() };
        let mut w = World::under(seed, 4, 1, policy);
        w.run(50);
        let guardians: Vec<_> = (0_u8..3).map(|i| w.doctor(usize::from(i), 120 + 5 * i)).collect();
        let asker = w.doctor(AWAY, 140);
        let people: Vec<_> = guardians.iter().chain([&asker]).map(|d| d.id).collect();
        let nodes = (0..4).map(|i| w.id(i)).collect();
        committee(&mut w, LEDGER_COMMITTEE, Roster::Validators(nodes), 3);
        let summary = committee(&mut w, "summary", Roster::Guardians(people.clone()), 2);
        let full = committee(&mut w, "full", Roster::Guardians(people), 3);
        let cast: Vec<_> = guardians.iter().chain([&asker]).map(|d| (d, d.at)).collect();
        let stands = |w: &World, name: &str| {
            (0..5).all(|i| service(w, i).committee_key(name).expect("the store holds").is_some())
        };
        for _ in 0..30 {
            perform(&mut w, &summary, &cast);
            perform(&mut w, &full, &cast);
            w.run(1_000);
            if ["summary", "full", LEDGER_COMMITTEE].iter().all(|name| stands(&w, name)) {
                break;
            }
        }
        assert!(["summary", "full", LEDGER_COMMITTEE].iter().all(|n| stands(&w, n)), "all keys stand");
        let mut patient = w.patient(0, 200);
        let summary = w.record(&guardians[0], &mut patient, Category::EmergencySummary, 1_000);
        let laboratory = w.record(&guardians[0], &mut patient, Category::Laboratory, 1_000);
        let epoch = escrowed(&w, &mut patient);
        let filed = w.tap(0, &patient, vec![epoch]);
        assert!(w.run_until(5_000, |w| filed.iter().all(|f| w.is_final(AWAY, f))), "the patient has escrows");
        Self { w, guardians, asker, patient, summary, laboratory }
    }

    /// What a request stands on, asked of the others by the card in the reader.
    fn find(&mut self, tier: Tier) -> Option<Basis> {
        let (network, asking) = (self.w.genesis.network(), self.w.id(AWAY));
        let said = (asking, self.w.now).encode();
        let authorization =
            sign1(&mut key(self.asker.seed + 1), Context::Session, &network, &said).expect("software signs");
        let card = key(202).verifying_key().id();
        at(&mut self.w, AWAY, |s| s.find_by_card(card, &authorization));
        let patient = self.patient.id;
        let found = |w: &World| service(w, AWAY).escrow_of(&patient, tier).expect("the store holds");
        self.w.run_until(5_000, |w| found(w).is_some());
        found(&self.w)
    }

    fn request(&mut self, tier: Tier, lasts_ms: u64) -> RequestEntry {
        let basis = self.find(tier).expect("the others have it");
        let (s, w) = (service(&self.w, AWAY), &self.w);
        let network = w.genesis.network();
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let node = s.state().membership.nodes[&w.id(AWAY)].clone();
        let k = seal_to(&node.agreement, Context::PatientKey, &network, &[9; 32], &mut rng).unwrap();
        let card = agreement(self.asker.seed).agreement_key();
        let standing = |name: &str| s.committee_key(name).expect("the store holds").expect("it stands");
        let (name, _) = tier.committee().expect("a tier that is asked for");
        RequestEntry {
            patient: basis.patient,
            requester: self.asker.id,
            organization: w.organization(AWAY),
            tier,
            enrolment: basis.enrolment,
            card: basis.card,
            locker: basis.locker,
            guardians: standing(name).committee,
            ledger: standing(LEDGER_COMMITTEE).committee,
            label: basis.escrow.label(network, &basis.card_key, &basis.home),
            reason: Reason::Unconscious,
            text: String::new(),
            until: w.now + lasts_ms,
            after: (s.state().height, s.state().block),
            opener: SoftwareAgreement::from_secret(&OPENER).agreement_key(),
            sealed_opener: Bytes(seal_to(&card, Context::Opener, &network, &OPENER, &mut rng).unwrap()),
            subject_keys: vec![SubjectKey { node: w.id(AWAY), sealed: Bytes(k) }],
            patient_key: None,
        }
    }

    fn file(&mut self, kind: Kind, on: &[ContentId], payload: &impl Wire) -> Result<Filed, FileError> {
        let salt = self.patient.salt();
        let content = self.w.draft(AWAY, kind, salt, on, payload);
        let ids = [content.id()];
        let network = self.w.genesis.network();
        let signatures = sign_tap(&mut key(self.asker.seed), &network, ("t", "en"), &ids).unwrap();
        let body = Body { content: Bytes(content.encode()), signatures }.encode();
        let k = PatientKey::from_bytes(Zeroizing::new([9; 32]));
        self.w.try_file(AWAY, Filing { body, key: Some(k), reveal: Vec::new(), packets: Vec::new() })
    }

    /// The release of a request by the patient's card in the reader, whose 9E has the seed 202.
    fn present(&mut self, id: ContentId, request: &RequestEntry) -> Result<Filed, FileError> {
        let network = self.w.genesis.network();
        let said = request.release(network, id).encode();
        let signed = sign1(&mut key(202), Context::Presence, &network, &said).expect("software signs");
        let release = ReleaseEntry {
            patient: request.patient,
            request: id,
            approvals: Vec::new(),
            signature: None,
            presence: Some(Bytes(signed)),
            link: None,
        };
        self.file(Kind::Release, &[id, request.card], &release)
    }

    /// Asks by the patient's card alone.
    fn alone(&mut self) -> ContentId {
        let request = self.request(Tier::Card, 3_600_000);
        let id = self.ask(&request);
        self.present(id, &request).expect("it is lawful");
        id
    }

    fn ask(&mut self, entry: &RequestEntry) -> ContentId {
        let on = [entry.enrolment, entry.card, entry.locker];
        self.file(Kind::BreakGlassRequest, &on, entry).expect("it is lawful").content
    }

    /// A guardian's share of a committee's key, out of the card.
    fn share(&self, doctor: &Doctor, committee: &ContentId) -> KeyShare {
        let member = CommitteeMember::Guardian(doctor.id);
        let part = service(&self.w, doctor.at).ceremony_part(committee, &member).expect("the store holds");
        part.expect("a guardian").share(&mut agreement(doctor.seed)).expect("the card opens it")
    }

    pub(crate) fn approval(
        &self,
        doctor: &Doctor,
        id: ContentId,
        request: &RequestEntry,
    ) -> (Approval, Vec<u8>) {
        let network = self.w.genesis.network();
        let share = self.share(doctor, &request.guardians);
        let said = ApprovalStatement { request: id, text: [1; 32], language: "en".into() };
        let signed = sign1(&mut key(doctor.seed), Context::Approval, &network, &said.encode())
            .expect("software signs");
        let release = share.sign(Purpose::Release, &request.release(network, id).encode());
        let opening = share.sign(Purpose::Opening, &request.label.opening()).encode();
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(doctor.seed));
        let opening = seal_to(&request.opener, Context::OpeningShare, &network, &opening, &mut rng).unwrap();
        let index = u64::from(share.index().get());
        let share = release.signature.to_bytes();
        (Approval { person: doctor.id, index, signed: Bytes(signed), share }, opening)
    }

    /// The guardian approves at the own hospital, once the request is there.
    pub(crate) fn approve(
        &mut self,
        n: usize,
        id: ContentId,
        request: &RequestEntry,
    ) -> Result<(), FileError> {
        let i = self.guardians[n].at;
        assert!(self.w.run_until(20_000, |w| service(w, i).emergency(&id).unwrap().is_some()), "it came");
        let (approval, opening) = self.approval(&self.guardians[n], id, request);
        at(&mut self.w, i, |s| s.approve(id, &approval, opening))
    }

    /// The shares that are at the asking node: of guardians, of validators.
    fn shares(&self, id: &ContentId) -> (usize, usize) {
        let ready = service(&self.w, AWAY).opening_shares(id).expect("the store holds");
        ready.map_or((0, 0), |r| (r.guardians.len(), r.ledger.len()))
    }

    fn opens(&mut self, id: &ContentId) -> bool {
        self.w.run_until(20_000, |w| {
            let ready = service(w, AWAY).opening_shares(id).expect("the store holds");
            ready.is_some_and(|r| r.guardians.len() >= 2 && r.ledger.len() >= 3)
        });
        self.open(id).is_some()
    }

    /// What the requester's card opens: categories of the lockers in the escrow's packet.
    fn open(&self, id: &ContentId) -> Option<Vec<Category>> {
        self.open_with(id, &ON_CARD)
    }

    /// As [`Self::open`], with what some card has in its free object.
    fn open_with(&self, id: &ContentId, on_card: &[u8; 32]) -> Option<Vec<Category>> {
        let (s, network) = (service(&self.w, AWAY), self.w.genesis.network());
        let request = s.opening_shares(id).expect("the store holds")?.request;
        let opened = Envelope::parse(&request.sealed_opener).unwrap();
        let opened = opened.open(&mut agreement(self.asker.seed), Context::Opener, &network).ok()?;
        let mut opener = SoftwareAgreement::from_secret(opened.as_slice().try_into().expect("32 bytes"));
        let mut reader =
            SoftwareAgreement::from_secret(&*self.escrow_secret(AWAY, id, (&mut opener, on_card))?);
        let packets = s.packets_for(&request.label.escrow, &request.patient).expect("the store holds");
        self.lockers(&packets, &mut reader)
    }

    /// Categories of the lockers that a key opens.
    pub(crate) fn lockers(
        &self,
        packets: &[Vec<u8>],
        reader: &mut SoftwareAgreement,
    ) -> Option<Vec<Category>> {
        let network = self.w.genesis.network();
        let open = |packet: &Vec<u8>| open_packet(packet, &self.patient.id, reader, &network).ok();
        let packet = packets.iter().find_map(open)?;
        Some(packet.secrets.iter().map(|s| s.name.category).collect())
    }

    /// The secret of an escrow, by the shares that came for its release to a node and the key that they are sealed to.
    pub(crate) fn escrow_secret(
        &self,
        i: usize,
        id: &ContentId,
        (opener, on_card): (&mut SoftwareAgreement, &[u8; 32]),
    ) -> Option<Zeroizing<[u8; 32]>> {
        let (s, network) = (service(&self.w, i), self.w.genesis.network());
        let ready = s.opening_shares(id).expect("the store holds")?;
        let request = &ready.request;
        let mut half = |committee: &ContentId, shares: &Gathered| -> Option<(ThresholdKey, Signature)> {
            let key = s.threshold_key(committee).expect("the store holds")?;
            let open = |(_, sealed): &(u64, Vec<u8>)| {
                let plain = Envelope::parse(sealed).ok()?.open(opener, Context::OpeningShare, &network);
                SignatureShare::decode(&plain.ok()?).ok()
            };
            let shares: Vec<_> = shares.iter().filter_map(open).collect();
            let signature = key.combine(Purpose::Opening, &request.label.opening(), &shares).ok()?;
            Some((key, signature))
        };
        let ledger = half(&request.ledger, &ready.ledger)?;
        let guardians = half(&request.guardians, &ready.guardians);
        let escrow = s.escrow_in(&request.locker, &request.label.escrow).unwrap().expect("it is there");
        let store = self.w.nodes[i].store.clone().expect("it is on");
        let sealed = store.object(&escrow.sealed).unwrap().expect("it came with the locker entry");
        if request.tier == Tier::Card {
            let keys = (on_card, &ledger.0.public());
            return CardSealedEscrow::decode(&sealed).unwrap().open(&request.label, keys, &ledger.1).ok();
        }
        let guardians = guardians?;
        let keys = EscrowKeys { guardians: guardians.0.public(), ledger: ledger.0.public() };
        let openings = Openings { guardians: guardians.1, ledger: ledger.1 };
        SealedEscrow::decode(&sealed).unwrap().open(&request.label, &keys, &openings).ok()
    }

    fn rule(&self, i: usize, record: &Record) -> Rule {
        rule_at(&self.w, i, (self.patient.id, self.asker.id), record)
    }

    /// The rule comes to decide, once what it rests on is there.
    fn reads(&mut self, i: usize, record: ContentId, rule: Rule, what: &str) {
        let (patient, asker) = (self.patient.id, self.asker.id);
        let record = Record { content: record, root: self.summary.root };
        let decided = |w: &World| rule_at(w, i, (patient, asker), &record);
        self.w.run_until(20_000, |w| decided(w) == rule);
        assert_eq!(decided(&self.w), rule, "{what}");
    }

    fn holds(&self, record: &Record) -> bool {
        let store = self.w.nodes[AWAY].store.clone().expect("it is on");
        store.object(&record.root).unwrap().is_some()
    }
}

pub(crate) fn rule_at(w: &World, i: usize, (patient, asker): (PatientId, PersonId), record: &Record) -> Rule {
    let request = Request {
        patient,
        actor: Actor::Person(asker),
        act: Act::Read(record.content),
        purpose: For::EmergencyTreatment,
        code: None,
        access: None,
    };
    service(w, i).decide(&request).why().rule
}

/// An epoch whose readers are escrows: of the summary by card or guardians, of the full record, of the way back.
fn escrowed(w: &World, patient: &mut Patient) -> crate::people::Draft {
    let network = w.genesis.network();
    let mut rng = ChaCha20Rng::seed_from_u64(77);
    let all = [(Category::Laboratory, Label::Normal), (Category::EmergencySummary, Label::Normal)];
    let (lockers, secrets) = fresh_epoch(all, 1, &mut rng);
    let (mut packets, mut refs, mut escrows, mut sealed_escrows) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let standing = |name: &str| service(w, 0).committee_key(name).unwrap().expect("it stands");
    let ledger = standing(LEDGER_COMMITTEE);
    let tiers = [(0_u8, Tier::Card), (1, Tier::Summary), (2, Tier::Full), (3, Tier::Recovery)];
    for (n, tier) in tiers {
        let guardians = standing(tier.committee().expect("asked for").0);
        let keys = EscrowKeys { guardians: guardians.key.public(), ledger: ledger.key.public() };
        let secret = [60 + n; 32];
        let public = EscrowPublic {
            tier,
            key: SoftwareAgreement::from_secret(&secret).agreement_key(),
            staged: false,
        };
        let holder = (&patient.agreement().agreement_key(), &w.organization(0));
        let by_card = tier == Tier::Card;
        let id = if by_card { CardSealedEscrow::keys(&keys.ledger) } else { keys.id() };
        let label = EscrowLabel::new(network, id, &public, &[n; 32], holder);
        let sealed = if by_card {
            CardSealedEscrow::seal(&secret, &label, (&ON_CARD, &keys.ledger), &mut rng).encode()
        } else {
            SealedEscrow::seal(&secret, &label, &keys, &mut rng).encode()
        };
        let within = secrets.iter().filter(|s| tier.holds(s.name.category)).cloned().collect();
        let packet = Packet { patient: patient.id, epoch: 1, secrets: within };
        let packet = seal_packet(&public.key, &packet, &network, &mut rng).unwrap();
        refs.push(PacketRef {
            reader: public.key.id(),
            packet: ObjectId::of_structured(&packet),
            organization: None,
        });
        packets.push(packet);
        if tier == Tier::Recovery {
            let plain = patient.secret.encode();
            let sealed = seal_to(&public.key, Context::PatientSecret, &network, &plain, &mut rng).unwrap();
            let packet = ObjectId::of_structured(&sealed);
            refs.push(PacketRef { reader: public.key.id(), packet, organization: None });
            packets.push(sealed);
        }
        escrows.push(EscrowRef {
            public,
            guardians: guardians.committee,
            ledger: ledger.committee,
            keys: id,
            salt: [n; 32],
            sealed: ObjectId::of_structured(&sealed),
        });
        sealed_escrows.push(sealed);
    }
    packets.extend(sealed_escrows);
    let entry = LockerEntry {
        patient: patient.id,
        epoch: 1,
        lockers,
        rests_on: Vec::new(),
        packets: refs,
        subject_keys: Vec::new(),
        staged: false,
        escrows,
    };
    let content = w.draft(0, Kind::Locker, patient.salt(), &[patient.card], &entry);
    crate::people::Draft { packets, ..patient.signs(content) }
}

#[test]
fn two_guardians_and_the_ledger_open_the_summary_for_a_hospital_that_never_saw_the_patient() {
    let mut stage = Stage::set(1);
    assert!(
        stage.w.nodes[AWAY]
            .store
            .as_ref()
            .unwrap()
            .bodies(Some(&stage.patient.id), None, 0, 9)
            .unwrap()
            .is_empty()
    );
    let request = stage.request(Tier::Summary, 3_600_000);
    let id = stage.ask(&request);
    stage.approve(0, id, &request).expect("a guardian approves");
    stage.w.run(10_000);
    assert_eq!(stage.shares(&id), (0, 0), "one guardian releases nothing, and no validator gives a share");
    assert_ne!(stage.rule(AWAY, &stage.summary), Rule::Emergency, "nor is anything permitted");
    let began = stage.w.now;
    stage.approve(1, id, &request).expect("another does");
    assert!(stage.opens(&id), "both halves of the escrow open");
    println!("from the last approval to the open escrow: {} virtual ms", stage.w.now - began);
    assert_eq!(stage.open(&id), Some(vec![Category::EmergencySummary]), "the summary's locker, and no other");
    let summary = Record { content: stage.summary.content, root: stage.summary.root };
    let at = |w: &World| w.nodes[AWAY].store.clone().unwrap().object(&summary.root).unwrap().is_some();
    assert!(stage.w.run_until(20_000, at), "its blob comes to the hospital that asked");
    assert_eq!(stage.rule(AWAY, &stage.summary), Rule::Emergency, "there it is permitted");
    assert_eq!(stage.rule(0, &stage.summary), Rule::Emergency, "and its holder decides the same");
    assert_ne!(stage.rule(AWAY, &stage.laboratory), Rule::Emergency, "and nothing beyond the tier");
    assert!(!stage.holds(&stage.laboratory), "nor is anything else sent");
    for i in 0..4 {
        let seen = service(&stage.w, i).emergency(&id).unwrap().expect("it came");
        assert_eq!(seen.approved.len(), 2, "node {i} sees who approved");
        assert!(seen.release.is_some(), "and that it was released");
    }
    let listed = service(&stage.w, 0).emergencies(Some(&stage.patient.id)).unwrap();
    assert_eq!(listed.len(), 1, "the patient's own list has it");
    let all = service(&stage.w, 1).emergencies(None).unwrap();
    assert_eq!(
        all,
        service(&stage.w, 1).emergencies(Some(&stage.patient.id)).unwrap(),
        "as a guardian's has"
    );
    stage.w.check();
}

#[test]
fn three_guardians_open_the_whole_record_and_the_requester_is_none_of_them() {
    let mut stage = Stage::set(2);
    let request = stage.request(Tier::Full, 3_600_000);
    let id = stage.ask(&request);
    stage.approve(0, id, &request).expect("one");
    stage.approve(1, id, &request).expect("two");
    let (own, opening) = stage.approval(&stage.asker, id, &request);
    let refused = at(&mut stage.w, AWAY, |s| s.approve(id, &own, opening));
    assert!(
        matches!(refused, Err(FileError::Rejected(r)) if r.check == Check::NotAuthorized),
        "who asks for the whole record does not approve it: {refused:?}"
    );
    stage.w.run(10_000);
    assert_eq!(stage.shares(&id), (0, 0), "two guardians release nothing");
    stage.approve(2, id, &request).expect("three");
    assert!(stage.opens(&id), "it opens");
    let mut opened = stage.open(&id).expect("it opens");
    opened.sort_unstable();
    assert_eq!(opened, [Category::Laboratory, Category::EmergencySummary], "every locker of the epoch");
    stage.reads(AWAY, stage.laboratory.content, Rule::Emergency, "the whole record is permitted");
}

#[test]
fn for_the_summary_the_requester_may_be_one_of_the_two() {
    let mut stage = Stage::set(3);
    let request = stage.request(Tier::Summary, 3_600_000);
    let id = stage.ask(&request);
    let (own, opening) = stage.approval(&stage.asker, id, &request);
    at(&mut stage.w, AWAY, |s| s.approve(id, &own, opening.clone())).expect("the requester is a guardian");
    // The same person again, as with another card: counted once.
    at(&mut stage.w, AWAY, |s| s.approve(id, &own, opening)).expect("it changes nothing");
    stage.w.run(10_000);
    assert_eq!(stage.shares(&id), (0, 0), "one person is one person");
    stage.approve(2, id, &request).expect("another guardian");
    assert!(stage.opens(&id), "two are two");
}

#[test]
fn an_altered_or_borrowed_approval_counts_for_nothing() {
    let mut stage = Stage::set(4);
    let request = stage.request(Tier::Summary, 3_600_000);
    let (first, second) = (stage.ask(&request), stage.ask(&request));
    stage.approve(0, first, &request).expect("the first is approved");
    let (approval, opening) = stage.approval(&stage.guardians[1], first, &request);
    assert!(stage.w.run_until(20_000, |w| service(w, 1).emergency(&second).unwrap().is_some()), "both came");
    let (other, _) = stage.approval(&stage.guardians[1], second, &request);
    let signed = stage.approval(&stage.guardians[0], first, &request).0.signed;
    let mut refuse = |approval: &Approval, id: ContentId, why: Check, what: &str| {
        let refused = at(&mut stage.w, 1, |s| s.approve(id, approval, opening.clone()));
        assert!(matches!(refused, Err(FileError::Rejected(r)) if r.check == why), "{what}: {refused:?}");
        println!("| shares | {what} | refused by check {} |", why.code());
    };
    refuse(&approval, second, Check::ContentMismatch, "an approval of another request");
    let index = approval.index + 1;
    refuse(&Approval { index, ..approval.clone() }, first, Check::NotAuthorized, "another's place");
    refuse(
        &Approval { index: 0, ..approval.clone() },
        first,
        Check::NotAuthorized,
        "the place before the first",
    );
    refuse(&Approval { index: 99, ..approval.clone() }, first, Check::NotAuthorized, "beyond the roster");
    let mut share = approval.share;
    share[..48].copy_from_slice(&[0; 48]);
    refuse(&Approval { share, ..approval.clone() }, first, Check::WeakKey, "no point of the subgroup");
    let mixed = Approval { share: other.share, ..approval.clone() };
    refuse(&mixed, first, Check::BadSignature, "a share for another request");
    refuse(&Approval { signed, ..approval.clone() }, first, Check::WrongSigner, "signed by another's card");
    stage.w.run(10_000);
    assert_eq!(stage.shares(&first), (0, 0), "nothing was released");
    stage.approve(1, first, &request).expect("as it should be");
    assert!(stage.opens(&first), "and then it opens");
    assert_eq!(stage.shares(&second), (0, 0), "the other request stays closed");
}

#[test]
fn guardians_without_the_ledger_and_the_ledger_without_guardians_open_nothing() {
    let mut stage = Stage::set(5);
    let request = stage.request(Tier::Summary, 3_600_000);
    let id = stage.ask(&request);
    stage.w.run(10_000);
    assert_eq!(stage.shares(&id), (0, 0), "validators give nothing for a request that nobody approved");
    // Two validators are gone: nothing becomes final any more.
    stage.approve(0, id, &request).expect("one");
    stage.w.run(3_000);
    stage.w.cut(2);
    stage.w.cut(3);
    stage.approve(1, id, &request).expect("two");
    stage.w.run(20_000);
    let seen = service(&stage.w, AWAY).emergency(&id).unwrap().expect("it is there");
    assert!(seen.release.is_some(), "the release is filed");
    assert_eq!(stage.shares(&id), (0, 0), "but not final: guardians' shares are held, validators give none");
    assert_eq!(stage.rule(0, &stage.summary), Rule::EmergencyPending, "and nothing is permitted");
    stage.w.heal(2);
    assert!(
        stage.w.run_until(60_000, |w| service(w, AWAY).opening_shares(&id).unwrap().is_some()),
        "it is final"
    );
    assert!(stage.opens(&id), "three validators are enough");
    assert!(stage.shares(&id).1 >= 3, "the one that is cut off gave none");
}

#[test]
fn what_has_ended_or_was_closed_opens_nothing_new() {
    let mut stage = Stage::set(6);
    let request = stage.request(Tier::Summary, 30_000);
    let id = stage.ask(&request);
    stage.approve(0, id, &request).expect("one");
    stage.w.run(31_000);
    let (late, opening) = stage.approval(&stage.guardians[1], id, &request);
    let refused = at(&mut stage.w, 1, |s| s.approve(id, &late, opening));
    assert!(
        matches!(refused, Err(FileError::Rejected(r)) if r.check == Check::PeriodForm),
        "an approval after the end: {refused:?}"
    );
    assert_eq!(stage.shares(&id), (0, 0), "nothing was released");
    let request = stage.request(Tier::Summary, 600_000);
    let id = stage.ask(&request);
    stage.approve(0, id, &request).expect("one");
    stage.approve(1, id, &request).expect("two");
    assert!(stage.opens(&id), "in time it opens");
    assert!(stage.w.run_until(20_000, |w| {
        service(w, 0).emergency(&id).unwrap().is_some_and(|e| e.release.is_some())
    }));
    let release = service(&stage.w, AWAY).opening_shares(&id).unwrap().expect("in force").release;
    let close = CloseEntry {
        patient: stage.patient.id,
        release,
        person: stage.asker.id,
        organization: stage.w.organization(AWAY),
        wrong_patient: false,
    };
    stage.reads(AWAY, stage.summary.content, Rule::Emergency, "the record comes, and is permitted");
    stage.file(Kind::Close, &[release], &close).expect("it is lawful");
    assert_eq!(stage.rule(AWAY, &stage.summary), Rule::EmergencyOver, "closed, it permits nothing");
    assert!(stage.open(&id).is_none(), "and opens nothing new");
    let there = |w: &World| service(w, 0).emergency(&id).unwrap().is_some_and(|e| !e.closes.is_empty());
    assert!(stage.w.run_until(20_000, there), "home learns of it");
    assert_eq!(stage.rule(0, &stage.summary), Rule::EmergencyOver, "and permits nothing");
}

#[test]
fn the_patients_card_and_the_validators_open_the_summary_for_one_doctor_alone() {
    let mut stage = Stage::set(10);
    let request = stage.request(Tier::Card, 3_600_000);
    let id = stage.ask(&request);
    stage.w.run(10_000);
    assert_eq!(stage.shares(&id), (0, 0), "a request that no card released");
    stage.present(id, &request).expect("the patient's card is there");
    let given = |w: &World| {
        service(w, AWAY).opening_shares(&id).unwrap().is_some_and(|ready| ready.ledger.len() >= 3)
    };
    assert!(stage.w.run_until(20_000, given), "validators give their shares");
    assert_eq!(stage.shares(&id).0, 0, "and no guardian was asked");
    assert_eq!(stage.open_with(&id, &[44; 32]), None, "what another card has in it opens nothing");
    assert_eq!(stage.open(&id), Some(vec![Category::EmergencySummary]), "the summary's locker, and no other");
    stage.reads(AWAY, stage.summary.content, Rule::Emergency, "it is permitted");
    assert_ne!(stage.rule(AWAY, &stage.laboratory), Rule::Emergency, "and nothing beyond the tier");
    let seen = |w: &World| service(w, 0).emergency(&id).unwrap().is_some_and(|e| e.release.is_some());
    assert!(stage.w.run_until(20_000, seen), "the patient's home sees it");

    let (asker, away) = (stage.asker.id, stage.w.organization(AWAY));
    let held_back = |stage: &Stage| service(&stage.w, AWAY).not_alone(&asker, &away, None).unwrap();
    let more = [stage.alone(), stage.alone()];
    stage.w.run(20_000);
    assert!(more.iter().all(|id| stage.shares(id).1 >= 3), "a second and a third");
    assert_eq!(held_back(&stage), Some(NotAlone::Unreviewed), "three wait for their review");
    let fourth = stage.alone();
    stage.w.run(20_000);
    assert_eq!(stage.shares(&fourth), (0, 0), "a desk that asks all the same gets nothing");
    stage.w.check();
}

#[test]
fn each_party_may_lose_power_at_each_step_and_nothing_is_lost_or_given_early() {
    for (seed, victim, whose) in
        [(7_u64, AWAY, "requester's node"), (8, 0, "guardian's node"), (9, 3, "validator")]
    {
        let mut stage = Stage::set(seed);
        let crash = |stage: &mut Stage| {
            stage.w.kill(victim);
            stage.w.run(300);
            stage.w.start(victim);
            stage.w.run(700);
        };
        // A row of the table of attacks (`tests/attacks`), once what it says was seen.
        let row = |when: &str, seen: &str| println!("| any step | a {whose} loses power {when} | {seen} |");
        let request = stage.request(Tier::Summary, 3_600_000);
        crash(&mut stage);
        let id = stage.ask(&request);
        crash(&mut stage);
        stage.approve(0, id, &request).expect("one");
        row("after the request", "the request stands, and is approved");
        crash(&mut stage);
        assert_eq!(stage.shares(&id), (0, 0), "victim {victim}: nothing early");
        row("after one approval", "no share is given");
        stage.approve(1, id, &request).expect("two");
        crash(&mut stage);
        let ready = |w: &World| {
            let ready = service(w, AWAY).opening_shares(&id).unwrap();
            ready.is_some_and(|r| r.guardians.len() >= 2 && r.ledger.len() >= 3)
        };
        assert!(stage.w.run_until(120_000, ready), "victim {victim}: every share comes");
        row("while it is released and handed over", "every share comes, once it is final");
        crash(&mut stage);
        assert!(stage.open(&id).is_some(), "victim {victim}: it opens");
        row("before it is opened", "it opens");
        stage.w.check();
    }
}

#[test]
fn patients_without_a_working_escrow_and_reviews_due_are_counted() {
    let mut stage = Stage::set(10);
    let count = |w: &World, held: &HeldKeys| {
        let store = w.nodes[0].store.clone().expect("it is on");
        count_escrows(&*store, (&w.genesis.network(), &w.organization(0)), held).expect("the store holds")
    };
    let held = service(&stage.w, 0).held_keys().expect("the store holds");
    assert_eq!(held.len(), 3, "all three committees hold keys");
    assert_eq!(count(&stage.w, &held), EscrowCount { patients: 1, without: 0 }, "the patient has both");
    assert_eq!(
        count(&stage.w, &HeldKeys::new()),
        EscrowCount { patients: 1, without: 1 },
        "under keys that nobody holds they are none"
    );
    stage.w.patient(0, 210);
    stage.w.run(3_000);
    assert_eq!(count(&stage.w, &held), EscrowCount { patients: 2, without: 1 }, "another has none yet");

    let due = |w: &World, i: usize| {
        let found = service(w, i).reviews_due(&w.organization(i)).expect("the store holds");
        (found.due, found.overdue)
    };
    let request = stage.request(Tier::Summary, 3_600_000);
    let id = stage.ask(&request);
    stage.approve(0, id, &request).expect("one");
    assert_eq!(due(&stage.w, AWAY), (0, 0), "what is not released is not reviewed");
    stage.approve(1, id, &request).expect("two");
    assert!(stage.opens(&id), "it opens");
    stage.w.run(3_000);
    let counted = [0, 1, AWAY].map(|i| due(&stage.w, i));
    assert_eq!(
        counted,
        [(1, 0), (0, 0), (1, 0)],
        "it waits at home and where it was asked, and nowhere else"
    );
    let anew = |w: &World| service(w, 0).sealed_anew(&request.patient, &request.locker).unwrap();
    assert_eq!(anew(&stage.w), Some(false), "what was opened still opens what is written");
}
