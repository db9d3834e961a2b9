//! A hospital without a line: its own guardians and its witness card open the summary of a patient who named it, the log of
//! that card says so afterwards, and where copies of the log don't agree every validator is alarmed.
//!
//! Method: four hospitals over memory and virtual time, the first with a second node; real keys from a real ceremony. The
//! other hospitals' cables are pulled. Cards are keys in memory. Replay: the seed is printed.

use std::collections::BTreeSet;

use hospes_breakglass::escrow::{WitnessKeys, WitnessSealedEscrow};
use hospes_breakglass::threshold::{Purpose, SignatureShare};
use hospes_protocol::context::Context;
use hospes_protocol::control::{
    CommitteeEntry, CommitteeMember, LEDGER_COMMITTEE, LocalCommittee, PolicyFields, Roster, local_committee,
};
use hospes_protocol::emergency::{
    Approval, ApprovalStatement, EscrowLabel, EscrowPublic, EscrowRef, Reason, ReleaseEntry, RequestEntry,
    Tier, WitnessLink,
};
use hospes_protocol::entry::Kind;
use hospes_protocol::genesis::default_policy;
use hospes_protocol::ids::{ContentId, NodeId, ObjectId};
use hospes_protocol::keys::{KeyAgreement as _, Signer as _, SoftwareAgreement};
use hospes_protocol::limits::OFFLINE_MS_MAX;
use hospes_protocol::personal::{Category, Label, LockerEntry, PacketRef, SubjectKey};
use hospes_protocol::policy::Rule;
use hospes_protocol::seal::envelope::{Envelope, seal_to};
use hospes_protocol::seal::locker::fresh_epoch;
use hospes_protocol::seal::packet::{Packet, open_packet, seal_packet};
use hospes_protocol::sign1::sign1;
use hospes_protocol::tap::{Body, sign_tap};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::emergency::{Alarm, NotWitnessed, Suspicion};
use hospes_service::filing::{FileError, Filed, Filing};
use hospes_storage::{Objects as _, SealedKey, Write};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use crate::emergency::{BLOCKS, at, committee, perform, rule_at, service};
use crate::people::{Doctor, Draft, Patient, Record, agreement, key};
use crate::world::World;

/// The hospital that is cut off, where the requester's node and the witness card's reader are.
const CITY: usize = 0;
/// Where the patient is at home.
const HOME: usize = 1;
/// A hospital with a committee of its own that the patient didn't name.
const RURAL: usize = 2;
const WITNESS: u8 = 230;
const OPENER: [u8; 32] = [42; 32];
const ESCROW: [u8; 32] = [64; 32];
const HOUR: u64 = 3_600_000;

struct Stage {
    w: World,
    /// The second node of the city's hospital, at which the second guardian taps.
    ward: usize,
    guardians: [Doctor; 2],
    asker: Doctor,
    patient: Patient,
    summary: Record,
    requests: u8,
}

fn local(w: &mut World, i: usize, guardians: &[&Doctor; 2], witness: u8) -> ContentId {
    let organization = w.organization(i);
    let (signs, agrees) = (key(witness).verifying_key(), agreement(witness).agreement_key());
    let entry = CommitteeEntry {
        name: local_committee(&organization),
        roster: Roster::Guardians(guardians.iter().map(|d| d.id).collect()),
        shares_needed: 2,
        provers_needed: 2,
        previous: None,
        blocks: BLOCKS,
        local: Some(LocalCommittee { organization, witness: signs, agreement: agrees }),
    };
    let alone = w.control(i, Kind::Committee, &entry, &[i]);
    let with = |body| Filing { body, key: None, reveal: Vec::new(), packets: Vec::new() };
    assert!(w.try_file(i, with(alone.body.clone())).is_err(), "not without the witness card");
    let mut body = Body::decode(&alone.body).expect("a body");
    let ids = [hospes_protocol::entry::Content::decode(&body.content).expect("a content").id()];
    body.signatures.extend(sign_tap(&mut key(witness), &w.genesis.network(), ("t", "en"), &ids).unwrap());
    let filed = w.file(i, with(body.encode()));
    assert!(w.run_until(5_000, |w| w.is_final(i, &filed)), "the hospital's card and the witness card set it");
    filed.content
}

impl Stage {
    fn set(seed: u64) -> Self {
        let policy = PolicyFields { idle_block_ms: 1_000, ..default_policy() };
        let mut w = World::under(seed, 4, 0, policy);
        w.run(50);
        let ward = w.second_node(CITY);
        let mut guardians = [w.doctor(CITY, 120), w.doctor(CITY, 125)];
        let asker = w.doctor(CITY, 130);
        let theirs = [w.doctor(RURAL, 135), w.doctor(RURAL, 140)];
        let ann = w.doctor(HOME, 145);
        guardians[1].at = ward;
        let nodes = (0..4).map(|i| w.id(i)).collect();
        committee(&mut w, LEDGER_COMMITTEE, Roster::Validators(nodes), 3);
        let ours = local(&mut w, CITY, &[&guardians[0], &guardians[1]], WITNESS);
        let others = local(&mut w, RURAL, &[&theirs[0], &theirs[1]], WITNESS + 1);
        let stands = |w: &World, i: usize| {
            let name = local_committee(&w.organization(i));
            (0..5).all(|j| service(w, j).committee_key(&name).expect("the store holds").is_some())
        };
        for _ in 0..30 {
            perform(&mut w, &ours, &[(&guardians[0], CITY), (&guardians[1], ward)]);
            perform(&mut w, &others, &[(&theirs[0], RURAL), (&theirs[1], RURAL)]);
            w.run(1_000);
            if stands(&w, CITY) && stands(&w, RURAL) {
                break;
            }
        }
        assert!(stands(&w, CITY) && stands(&w, RURAL), "both hospitals have their keys");
        let mut patient = w.patient(HOME, 200);
        let summary = w.record(&ann, &mut patient, Category::EmergencySummary, 1_000);
        let mut stage = Self { w, ward, guardians, asker, patient, summary, requests: 0 };
        let epoch = stage.named();
        let filed = stage.w.tap(HOME, &stage.patient, vec![epoch]);
        let final_there = |w: &World| filed.iter().all(|f| w.is_final(CITY, f) && w.is_final(ward, f));
        assert!(stage.w.run_until(5_000, final_there), "the patient has named the city's hospital");
        let (id, root) = (stage.patient.id, stage.summary.root);
        let whole = |w: &World, i: usize| {
            let blob = w.nodes[i].store.clone().expect("it is on").object(&root).unwrap().is_some();
            blob && service(w, i).escrow_of(&id, Tier::Offline).unwrap().is_some()
        };
        assert!(
            stage.w.run_until(30_000, |w| whole(w, CITY)),
            "it has the summary and the escrow beforehand"
        );
        stage
    }

    /// An epoch with an escrow for the city's hospital, to whose nodes K goes.
    fn named(&mut self) -> Draft {
        let (w, patient) = (&self.w, &mut self.patient);
        let network = w.genesis.network();
        let mut rng = ChaCha20Rng::seed_from_u64(77);
        let (lockers, secrets) = fresh_epoch([(Category::EmergencySummary, Label::Normal)], 1, &mut rng);
        let organization = w.organization(CITY);
        let own =
            service(w, HOME).committee_key(&local_committee(&organization)).unwrap().expect("it stands");
        let witness = own.entry.local.expect("a hospital's").agreement;
        let keys = WitnessKeys { organization, guardians: own.key.public(), witness };
        let key = SoftwareAgreement::from_secret(&ESCROW).agreement_key();
        let public = EscrowPublic { tier: Tier::Offline, key, staged: false };
        let holder = (&patient.agreement().agreement_key(), &w.organization(HOME));
        let label = EscrowLabel::new(network, keys.id(), &public, &[4; 32], holder);
        let sealed = WitnessSealedEscrow::seal(&ESCROW, &label, &keys, &mut rng).unwrap().encode();
        let packet = Packet { patient: patient.id, epoch: 1, secrets };
        let packet = seal_packet(&public.key, &packet, &network, &mut rng).unwrap();
        let to = |i: &usize| {
            let node = service(w, HOME).state().membership.nodes[&w.id(*i)].agreement.clone();
            let k = patient.secret.k(&organization);
            let mut rng = ChaCha20Rng::seed_from_u64(78);
            let sealed = seal_to(&node, Context::PatientKey, &network, k.as_bytes(), &mut rng).unwrap();
            SubjectKey { node: w.id(*i), sealed: Bytes(sealed) }
        };
        let entry = LockerEntry {
            patient: patient.id,
            epoch: 1,
            lockers,
            rests_on: Vec::new(),
            packets: vec![PacketRef {
                reader: public.key.id(),
                packet: ObjectId::of_structured(&packet),
                organization: None,
            }],
            subject_keys: [CITY, self.ward].iter().map(to).collect(),
            staged: false,
            escrows: vec![EscrowRef {
                public,
                guardians: own.committee,
                ledger: own.committee,
                keys: keys.id(),
                salt: [4; 32],
                sealed: ObjectId::of_structured(&sealed),
            }],
        };
        let content = w.draft(HOME, Kind::Locker, patient.salt(), &[patient.card], &entry);
        Draft { packets: vec![packet, sealed], ..patient.signs(content) }
    }

    /// The other hospitals' cables are pulled: the city's two nodes have each other alone.
    fn alone(&mut self) {
        (1..4).for_each(|i| self.w.cut(i));
    }

    fn back(&mut self) {
        (1..4).for_each(|i| self.w.heal(i));
    }

    fn file(&mut self, kind: Kind, on: &[ContentId], payload: &impl Wire) -> Result<Filed, FileError> {
        self.requests += 1;
        let content = self.w.draft(CITY, kind, [self.requests; 32], on, payload);
        let (ids, network) = ([content.id()], self.w.genesis.network());
        let signatures = match kind {
            Kind::Release => Vec::new(),
            _ => sign_tap(&mut key(self.asker.seed), &network, ("t", "en"), &ids).unwrap(),
        };
        let body = Body { content: Bytes(content.encode()), signatures }.encode();
        let k = Some(self.patient.secret.k(&self.w.organization(CITY)));
        self.w.try_file(CITY, Filing { body, key: k, reveal: Vec::new(), packets: Vec::new() })
    }

    /// The asker's request at the city's hospital.
    fn ask(&mut self) -> (ContentId, RequestEntry) {
        let (s, network) = (service(&self.w, CITY), self.w.genesis.network());
        let basis = s.escrow_of(&self.patient.id, Tier::Offline).unwrap().expect("it was named");
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let card = agreement(self.asker.seed).agreement_key();
        let request = RequestEntry {
            patient: basis.patient,
            requester: self.asker.id,
            organization: self.w.organization(CITY),
            tier: Tier::Offline,
            enrolment: basis.enrolment,
            card: basis.card,
            locker: basis.locker,
            guardians: basis.escrow.guardians,
            ledger: basis.escrow.guardians,
            label: basis.escrow.label(network, &basis.card_key, &basis.home),
            reason: Reason::Unconscious,
            text: String::new(),
            until: self.w.now + HOUR,
            after: (s.state().height, s.state().block),
            opener: SoftwareAgreement::from_secret(&OPENER).agreement_key(),
            sealed_opener: Bytes(seal_to(&card, Context::Opener, &network, &OPENER, &mut rng).unwrap()),
            subject_keys: Vec::new(),
            patient_key: None,
        };
        let on = [request.enrolment, request.card, request.locker];
        let filed = self.file(Kind::BreakGlassRequest, &on, &request).expect("it is lawful");
        (filed.content, request)
    }

    fn approval(&self, n: usize, id: ContentId, request: &RequestEntry) -> (Approval, Vec<u8>) {
        let (doctor, network) = (&self.guardians[n], self.w.genesis.network());
        let member = CommitteeMember::Guardian(doctor.id);
        let part = service(&self.w, CITY).ceremony_part(&request.guardians, &member).unwrap();
        let share = part.expect("a guardian").share(&mut agreement(doctor.seed)).expect("the card opens it");
        let said = ApprovalStatement { request: id, text: [1; 32], language: "en".into() };
        let signed = sign1(&mut key(doctor.seed), Context::Approval, &network, &said.encode()).unwrap();
        let release = share.sign(Purpose::Release, &request.release(network, id).encode());
        let opening = share.sign(Purpose::Opening, &request.label.opening()).encode();
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(doctor.seed));
        let opening = seal_to(&request.opener, Context::OpeningShare, &network, &opening, &mut rng).unwrap();
        let index = u64::from(share.index().get());
        let share = release.signature.to_bytes();
        (Approval { person: doctor.id, index, signed: Bytes(signed), share }, opening)
    }

    fn approve(&mut self, n: usize, id: ContentId, request: &RequestEntry) {
        let i = self.guardians[n].at;
        assert!(self.w.run_until(20_000, |w| service(w, i).emergency(&id).unwrap().is_some()), "it came");
        let (approval, opening) = self.approval(n, id, request);
        at(&mut self.w, i, |s| s.approve(id, &approval, opening)).expect("a guardian approves");
        let here = |w: &World| service(w, CITY).emergency(&id).unwrap().is_some_and(|e| e.approved.len() > n);
        assert!(self.w.run_until(20_000, here), "the approval is at the requester's node");
    }

    /// Both guardians approve a fresh request.
    fn approved(&mut self) -> (ContentId, RequestEntry) {
        let (id, request) = self.ask();
        (0..2).for_each(|n| self.approve(n, id, &request));
        (id, request)
    }

    fn signed(&self, link: &WitnessLink) -> Vec<u8> {
        let network = self.w.genesis.network();
        sign1(&mut key(WITNESS), Context::WitnessLink, &network, &link.encode()).expect("software signs")
    }

    /// The witness card signs the link that the city's node makes for a request.
    fn witness(&mut self, id: ContentId) -> WitnessLink {
        let asked = at(&mut self.w, CITY, |s| s.to_witness(&id)).unwrap().expect("enough approved");
        let link = asked.link.expect("not signed before");
        let signed = self.signed(&link);
        at(&mut self.w, CITY, |s| s.release_by_witness(&id, &signed)).expect("it is filed");
        link
    }

    /// A release whose link the city's node wouldn't have made, as a changed program files it.
    fn forge(&mut self, id: ContentId, request: &RequestEntry, link: &WitnessLink) {
        let mut approvals: Vec<_> = (0..2).map(|n| self.approval(n, id, request).0).collect();
        approvals.sort_by_key(|a| a.person);
        let key = service(&self.w, CITY).threshold_key(&request.guardians).unwrap().expect("it stands");
        let share = |a: &Approval| SignatureShare {
            index: hospes_breakglass::threshold::Index::new(u16::try_from(a.index).unwrap()).unwrap(),
            signature: hospes_breakglass::threshold::Signature::from_bytes(&a.share).unwrap(),
        };
        let shares: Vec<_> = approvals.iter().map(share).collect();
        let statement = request.release(self.w.genesis.network(), id).encode();
        let signature = key.combine(Purpose::Release, &statement, &shares).unwrap().to_bytes();
        let release = ReleaseEntry {
            patient: request.patient,
            request: id,
            approvals,
            signature: Some(signature),
            presence: None,
            link: Some(Bytes(self.signed(link))),
        };
        self.file(Kind::Release, &[id], &release).expect("each release for itself is lawful");
    }

    fn shares(&self, id: &ContentId) -> usize {
        service(&self.w, CITY).opening_shares(id).unwrap().map_or(0, |ready| ready.guardians.len())
    }

    /// What the shares and the witness card's half open: categories of lockers.
    fn opens(&self, id: &ContentId) -> Option<Vec<Category>> {
        let (s, network) = (service(&self.w, CITY), self.w.genesis.network());
        let ready = s.opening_shares(id).unwrap()?;
        let (request, mut opener) = (&ready.request, SoftwareAgreement::from_secret(&OPENER));
        let key = s.threshold_key(&request.guardians).unwrap()?;
        let mut open = |(_, sealed): &(u64, Vec<u8>)| {
            let plain = Envelope::parse(sealed).ok()?.open(&mut opener, Context::OpeningShare, &network);
            SignatureShare::decode(&plain.ok()?).ok()
        };
        let shares: Vec<_> = ready.guardians.iter().filter_map(&mut open).collect();
        let signature = key.combine(Purpose::Opening, &request.label.opening(), &shares).ok()?;
        let escrow = s.escrow_in(&request.locker, &request.label.escrow).unwrap()?;
        let sealed = self.w.nodes[CITY].store.clone()?.object(&escrow.sealed).unwrap()?;
        let escrow = WitnessSealedEscrow::decode(&sealed).ok()?;
        let half = Envelope::parse(&escrow.witness).ok()?;
        let half = half.open(&mut agreement(WITNESS), Context::WitnessHalf, &network).ok()?;
        let half: [u8; 32] = half.as_slice().try_into().ok()?;
        let secret = escrow.open(&request.label, (&key.public(), &signature), &half).ok()?;
        let mut reader = SoftwareAgreement::from_secret(&secret);
        let packets = s.packets_for(&request.label.escrow, &request.patient).unwrap();
        let packet = open_packet(packets.first()?, &request.patient, &mut reader, &network).ok()?;
        Some(packet.secrets.iter().map(|s| s.name.category).collect())
    }

    fn rule(&self, i: usize) -> Rule {
        rule_at(&self.w, i, (self.patient.id, self.asker.id), &self.summary)
    }

    fn alarms(&self, i: usize) -> Vec<Alarm> {
        service(&self.w, i).witness_alarms().unwrap()
    }

    /// Waits until a node raises these alarms of the city's log, and no other.
    fn alarmed(&mut self, i: usize, wanted: &[(u64, Suspicion)]) {
        let said = |w: &World| -> Vec<(u64, Suspicion)> {
            service(w, i).witness_alarms().unwrap().iter().map(|a| (a.counter, a.what)).collect()
        };
        self.w.run_until(30_000, |w| said(w) == wanted);
        assert_eq!(said(&self.w), wanted, "what node {i} says of the log");
    }

    fn link_rows(&self, i: usize) -> Vec<SealedKey> {
        let store = self.w.nodes[i].store.clone().expect("it is on");
        let rows = store.sealed_rows("witness-links", None, None, 100).unwrap();
        rows.into_iter().map(|row| row.key).collect()
    }
}

#[test]
fn a_hospital_that_is_cut_off_opens_the_summary_and_all_of_it_is_final_and_seen_once_the_line_is_back() {
    let mut stage = Stage::set(1);
    stage.alone();
    let (id, request) = stage.ask();
    stage.approve(0, id, &request);
    let asked = at(&mut stage.w, CITY, |s| s.to_witness(&id)).unwrap();
    assert_eq!(
        asked.err(),
        Some(NotWitnessed::TooFew),
        "one guardian's approval is put before no witness card"
    );
    stage.approve(1, id, &request);
    stage.w.run(5_000);
    assert_eq!(
        (stage.shares(&id), stage.rule(CITY)),
        (0, Rule::NoGrant),
        "without the witness card nothing opens"
    );
    println!(
        "| offline | the guardians without a link of the witness card | guardians' nodes: they hold their shares |"
    );
    let link = stage.witness(id);
    assert_eq!((link.counter, link.previous), (1, [0; 32]), "the first link of the log");
    let both = |w: &World| {
        service(w, CITY).opening_shares(&id).unwrap().is_some_and(|ready| ready.guardians.len() == 2)
    };
    assert!(stage.w.run_until(10_000, both), "each guardian's node hands over, though nothing is final");
    assert_eq!(stage.opens(&id), Some(vec![Category::EmergencySummary]), "the summary's locker opens");
    assert_eq!(stage.rule(CITY), Rule::Emergency, "and reading is permitted");
    assert_eq!(
        stage.link_rows(stage.ward).len(),
        1,
        "the node at which the other guardian tapped has a copy of the log"
    );

    stage.back();
    let last = |w: &World, i: usize| {
        service(w, i).emergency(&id).unwrap().is_some_and(|e| {
            e.release.is_some_and(|(_, r, s)| {
                r.link.is_some() && matches!(s.finality, hospes_service::records::Finality::Final(_))
            })
        })
    };
    for i in [HOME, RURAL, 3] {
        assert!(stage.w.run_until(30_000, |w| last(w, i)), "node {i} has it, final");
    }
    let own = service(&stage.w, HOME).emergencies(Some(&stage.patient.id)).unwrap();
    assert_eq!((own.len(), own[0].approved.len()), (1, 2), "the patient's list has it, and who approved");
    let (second, _) = stage.approved();
    let next = stage.witness(second);
    assert_eq!((next.counter, next.previous), (2, link.hash()), "the next link names this one");
    for i in [CITY, HOME, RURAL, stage.ward] {
        stage.alarmed(i, &[]);
    }
    stage.w.check();
}

#[test]
fn a_hospital_that_the_patient_did_not_name_has_no_escrow() {
    let mut stage = Stage::set(2);
    let at_rural = service(&stage.w, RURAL).escrow_of(&stage.patient.id, Tier::Offline).unwrap();
    assert_eq!(at_rural, None, "it has a committee of its own, and nothing to open");
    println!(
        "| offline | a hospital with a committee of its own that the patient didn't name | it has no escrow |"
    );
    let named = service(&stage.w, HOME).offline_at(&stage.patient.id).unwrap();
    assert_eq!(named, BTreeSet::from([stage.w.organization(CITY)]), "the named one");
    let (id, _) = stage.approved();
    stage.witness(id);
    assert_eq!(stage.rule(CITY), Rule::Emergency, "which opens it, on the line too");
}

#[test]
fn a_node_that_was_cut_off_for_more_than_thirty_days_opens_nothing() {
    let mut stage = Stage::set(3);
    stage.alone();
    stage.w.now += OFFLINE_MS_MAX + HOUR;
    let (id, _) = stage.ask();
    let asked = at(&mut stage.w, CITY, |s| s.to_witness(&id)).unwrap();
    assert_eq!(asked.err(), Some(NotWitnessed::TooOld), "its newest certified block is too old");
    println!(
        "| offline | a witness card at a node that was cut off for more than 30 days | the node, then everyone who judges |"
    );
    stage.back();
    let fresh = |w: &World| !service(w, CITY).is_cut_off_too_long();
    assert!(stage.w.run_until(60_000, fresh), "the line is back");
    let (id, _) = stage.approved();
    stage.witness(id);
    assert_eq!(stage.rule(CITY), Rule::Emergency, "and with it the way without one");
}

/// A first opening as it should be; then the line is back.
fn opened_once(seed: u64) -> (Stage, WitnessLink) {
    let mut stage = Stage::set(seed);
    let (id, _) = stage.approved();
    let link = stage.witness(id);
    let both = |w: &World| {
        service(w, CITY).opening_shares(&id).unwrap().is_some_and(|ready| ready.guardians.len() == 2)
    };
    assert!(stage.w.run_until(10_000, both), "it opens");
    for i in [HOME, RURAL, stage.ward] {
        stage.alarmed(i, &[]);
        let here = |w: &World| service(w, i).emergency(&id).unwrap().is_some_and(|e| e.release.is_some());
        assert!(stage.w.run_until(20_000, here), "node {i} has the link");
    }
    (stage, link)
}

#[test]
fn a_log_that_was_rolled_back_or_cloned_is_refused_by_who_has_a_copy_and_alarms_everyone() {
    let (mut stage, first) = opened_once(4);
    let (id, request) = stage.approved();
    let elsewhere = NodeId([7; 32]);
    let label = hospes_protocol::ids::sha256(&[&request.label.encode()]);
    let again = WitnessLink { request: id, after: request.after, label, at: stage.w.now, ..first.clone() };
    let cloned = WitnessLink { node: elsewhere, ..again };
    stage.forge(id, &request, &cloned);
    stage.w.run(5_000);
    assert_eq!(stage.shares(&id), 0, "no guardian's node hands over on a second link of one counter");
    for i in [CITY, stage.ward, HOME, RURAL] {
        stage.alarmed(i, &[(1, Suspicion::Twice)]);
    }
    let alarm = stage.alarms(HOME).remove(0);
    assert_eq!(alarm.organization, stage.w.organization(CITY), "it names the hospital");
    assert_eq!(alarm.nodes, BTreeSet::from([first.node, elsewhere]), "and the machines");
    println!(
        "| offline | the log rolled back, the next opening under a counter that was used | guardians' nodes by their copies; an alarm everywhere |"
    );
    println!("| offline | the log cloned to another machine | the same; the alarm names both machines |");
    let (next, _) = stage.approved();
    let link = stage.witness(next);
    assert_eq!(link.counter, 2, "the log goes on");
    let both = |w: &World| {
        service(w, CITY).opening_shares(&next).unwrap().is_some_and(|ready| ready.guardians.len() == 2)
    };
    assert!(stage.w.run_until(10_000, both), "care goes on too");
    stage.alarmed(HOME, &[(1, Suspicion::Twice)]);
}

#[test]
fn an_erased_copy_of_the_log_is_no_loss_while_another_is_left_and_a_missing_link_alarms() {
    let (mut stage, first) = opened_once(5);
    let erased: Vec<_> = stage.link_rows(CITY).into_iter().map(Write::DropSealed).collect();
    assert_eq!(erased.len(), 1, "the copy at the witness card's own node");
    stage.w.write(CITY, |store| store.apply(&erased).unwrap());
    let (id, _) = stage.approved();
    let second = stage.witness(id);
    assert_eq!((second.counter, second.previous), (2, first.hash()), "the releases have it still");
    stage.alarmed(HOME, &[]);
    println!("| offline | one copy of the log erased | the next link follows the copies that are left |");

    let (id, request) = stage.approved();
    let label = hospes_protocol::ids::sha256(&[&request.label.encode()]);
    let skipped = WitnessLink {
        counter: 4,
        previous: [5; 32],
        request: id,
        after: request.after,
        label,
        at: stage.w.now,
        ..second
    };
    stage.forge(id, &request, &skipped);
    stage.alarmed(HOME, &[(3, Suspicion::Missing)]);
    stage.alarmed(RURAL, &[(3, Suspicion::Missing)]);
    let both = |w: &World| {
        service(w, CITY).opening_shares(&id).unwrap().is_some_and(|ready| ready.guardians.len() == 2)
    };
    assert!(stage.w.run_until(10_000, both), "a gap holds no care back: the link may be on its way");
    println!(
        "| offline | a link of the log that was never filed | an alarm with its counter at the hospital and every validator |"
    );
}
