//! An erasure is carried out by every holder once its time is certified, not before and not when it was taken back;
//! afterwards nothing of it is kept or served again, and the chain is what it was.
//!
//! Method: services over memory and virtual time, under a policy of a minute's cooling-off. Power goes after each
//! write in turn. Replay: the stories have no seed of their own beside the one in `World::under`.

use hospes_protocol::check::Check;
use hospes_protocol::context::Context;
use hospes_protocol::control::PolicyFields;
use hospes_protocol::entry::Kind;
use hospes_protocol::genesis::default_policy;
use hospes_protocol::ids::{ContentId, NodeId};
use hospes_protocol::personal::{Category, Grantee};
use hospes_protocol::sign1::sign1;
use hospes_protocol::tap::Body;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::effects::Effect;
use hospes_service::messages::{Answer, Delivery, Request};
use hospes_service::records::{Erasure, ErasurePhase};
use hospes_storage::Objects;

use crate::people::{Patient, Record};
use crate::records::deliver;
use crate::world::World;

const LAB: Category = Category::Laboratory;
const COOLING_OFF_MS: u64 = 60_000;

fn world(seed: u64, nodes: u8) -> World {
    let policy = PolicyFields { cooling_off_ms: COOLING_OFF_MS, idle_block_ms: 5_000, ..default_policy() };
    let mut w = World::under(seed, nodes, 0, policy);
    w.run(50);
    w
}

fn has_body(w: &World, i: usize, content: &ContentId) -> bool {
    w.nodes[i].store.as_ref().unwrap().body(content).unwrap().is_some()
}

fn has_blob(w: &World, i: usize, record: &Record) -> bool {
    w.nodes[i].store.as_ref().unwrap().object(&record.root).unwrap().is_some()
}

fn erasure(w: &World, i: usize) -> Erasure {
    let mut all = w.nodes[i].service.as_ref().unwrap().erasures().unwrap();
    assert_eq!(all.len(), 1, "one erasure is known to node {i}");
    all.remove(0)
}

fn bodies_of(w: &World, i: usize, patient: Option<&Patient>, kind: Kind) -> usize {
    let store = w.nodes[i].store.as_ref().unwrap();
    store.bodies(patient.map(|p| &p.id), Some(kind.code()), 0, 100).unwrap().len()
}

#[test]
fn an_erasure_is_carried_out_by_every_holder_after_its_time_and_not_before() {
    let mut w = world(1, 4);
    let (author, reader) = (w.doctor(0, 100), w.doctor(1, 110));
    let mut ada = w.patient(0, 140);
    let record = w.record(&author, &mut ada, LAB, 1_200_000);
    let other = w.record(&author, &mut ada, LAB, 5_000);
    let grant = w.grant(0, &mut ada, Grantee::Person(reader.id), LAB);
    w.tap(0, &ada, vec![grant]);
    assert!(
        w.run_until(8_000, |w| has_blob(w, 1, &record) && has_blob(w, 1, &other)),
        "the reader's holds both"
    );
    let order = w.erasure(0, &mut ada, &[&record]);
    w.tap(0, &ada, vec![order]);
    w.run(COOLING_OFF_MS - 5_000);
    for i in [0, 1] {
        assert_eq!(erasure(&w, i).phase, ErasurePhase::Ordered, "it can still be taken back, node {i}");
    }
    assert_eq!((erasure(&w, 0).holders, erasure(&w, 0).done.len()), (2, 0), "two hold it, none is done");
    assert!(w.may_read(1, &reader, &ada, &record).is_permitted(), "until then it is read");
    let body = w.nodes[0].store.as_ref().unwrap().body(&record.content).unwrap().unwrap().bytes;

    let done = |w: &World| erasure(w, 0).done.len() == 2;
    assert!(w.run_until(30_000, done), "both sign receipts: {:?}", erasure(&w, 0));
    w.run(5_000);
    for i in [0, 1] {
        assert_eq!(erasure(&w, i).phase, ErasurePhase::Erased, "carried out by node {i}");
        assert!(!has_body(&w, i, &record.content) && !has_blob(&w, i, &record), "node {i} has nothing of it");
        assert!(has_body(&w, i, &other.content) && has_blob(&w, i, &other), "and all of the other record");
    }
    assert_eq!(
        w.may_read(0, &author, &ada, &record).why().rule.code(),
        "no-record",
        "nor does anyone read it"
    );
    assert!(w.may_read(1, &reader, &ada, &other).is_permitted(), "the other is read as before");
    let again = Request::Deliver(vec![Delivery { body: Bytes(body), packets: Vec::new() }]).encode();
    let (from, service) = (w.id(0), w.nodes[1].service.as_mut().unwrap());
    service.on_request(from, 7, &again).unwrap();
    let refused = Answer::Verdicts(vec![u64::from(Check::Erased.code())]).encode();
    let answered = |e: &Effect| matches!(e, Effect::Respond { token: 7, bytes } if *bytes == refused);
    assert!(service.take_effects().iter().any(answered), "whoever still has it doesn't bring it back");
    w.check();
}

#[test]
fn an_erasure_that_was_taken_back_destroys_nothing() {
    for taken_back in [true, false] {
        let mut w = world(2, 4);
        let author = w.doctor(0, 100);
        let mut ada = w.patient(0, 140);
        let record = w.record(&author, &mut ada, LAB, 5_000);
        w.run(2_000);
        let order = w.erasure(0, &mut ada, &[&record]);
        let back = w.revocation(0, &mut ada, &order);
        w.tap(0, &ada, vec![order]);
        w.run(COOLING_OFF_MS / 2);
        if taken_back {
            w.tap(0, &ada, vec![back]);
            assert_eq!(erasure(&w, 0).phase, ErasurePhase::Withdrawn, "at once");
        }
        w.run(COOLING_OFF_MS);
        let expected = if taken_back { ErasurePhase::Withdrawn } else { ErasurePhase::Erased };
        assert_eq!(erasure(&w, 0).phase, expected, "taken back: {taken_back}");
        assert_eq!(has_blob(&w, 0, &record), taken_back, "the blob, taken back: {taken_back}");
    }
}

#[test]
fn of_a_patient_who_is_forgotten_only_the_accesses_and_the_erasure_are_left() {
    let mut w = world(3, 4);
    let (author, reader) = (w.doctor(0, 100), w.doctor(1, 110));
    let (mut ada, mut bob) = (w.patient(0, 140), w.patient(0, 170));
    let record = w.record(&author, &mut ada, LAB, 5_000);
    let his = w.record(&author, &mut bob, LAB, 5_000);
    let grant = w.grant(0, &mut ada, Grantee::Person(reader.id), LAB);
    let epoch = w.epoch(0, &mut ada, 1, &[&grant]);
    w.tap(0, &ada, vec![grant, epoch]);
    assert!(w.run_until(8_000, |w| has_blob(w, 1, &record)), "the reader's organization holds it");
    let access = w.access(&author, &mut ada, &record);
    w.tap(0, &ada, vec![access]);
    w.run(2_000);
    let order = w.erasure(0, &mut ada, &[]);
    w.tap(0, &ada, vec![order]);
    w.run(COOLING_OFF_MS - 10_000);
    assert!(
        w.nodes[0].service.as_ref().unwrap().subject_key(&ada.id).unwrap().is_some(),
        "K is there before"
    );
    assert!(w.run_until(40_000, |w| erasure(w, 0).done.len() == 2), "both are done: {:?}", erasure(&w, 0));
    for i in [0, 1] {
        let (store, service) = (w.nodes[i].store.as_ref().unwrap(), w.nodes[i].service.as_ref().unwrap());
        assert!(store.bodies(Some(&ada.id), None, 0, 10).unwrap().is_empty(), "no body is hers at node {i}");
        assert!(!has_blob(&w, i, &record), "no blob at node {i}");
        assert!(service.subject_key(&ada.id).unwrap().is_none(), "K is gone at node {i}");
        assert!(!service.patients().unwrap().contains(&ada.id), "and so is the patient");
    }
    assert_eq!(bodies_of(&w, 0, None, Kind::Access), 1, "who had seen what is kept for its time");
    assert!(w.may_read(0, &author, &bob, &his).is_permitted(), "others are untouched");
    w.run(10_000);
    w.check();
}

#[test]
fn an_erasure_reaches_a_node_at_which_the_patient_was_signed_in() {
    let mut w = world(5, 4);
    let author = w.doctor(0, 100);
    let mut ada = w.patient(0, 140);
    let record = w.record(&author, &mut ada, LAB, 5_000);
    w.run(3_000);
    let keys: Vec<_> = (0..4).map(|i| (w.organization(i), ada.secret.k(&w.organization(i)))).collect();
    let found = w.nodes[2].service.as_ref().unwrap().find_by_subjects(&keys).unwrap();
    let contents: Vec<_> = found.into_iter().map(|(_, content)| content).collect();
    let (network, here, now) = (w.genesis.network(), w.id(2), w.now);
    let signed = sign1(&mut ada.authentication(), Context::Session, &network, &(here, now).encode()).unwrap();
    w.nodes[2].service.as_mut().unwrap().collect(&signed, &contents);
    w.effects(2);
    assert!(w.run_until(2_000, |w| has_body(w, 2, &record.content)), "the visit left a body");
    let order = w.erasure(0, &mut ada, &[&record]);
    w.tap(0, &ada, vec![order]);
    assert!(w.run_until(COOLING_OFF_MS * 2, |w| erasure(w, 0).done.len() == 2), "both: {:?}", erasure(&w, 0));
    assert!(!has_body(&w, 2, &record.content), "nothing is left of the visit");
}

/// What node 1 asks of a peer that has just connected, and which is no more than named to it.
fn asked(w: &mut World, peer: NodeId) -> Vec<(u64, Request)> {
    let request = |e: Effect| match e {
        Effect::Request { id, to, bytes } if to == peer => Some((id, Request::decode(&bytes).unwrap())),
        _ => None,
    };
    w.nodes[1].service.as_mut().unwrap().take_effects().into_iter().filter_map(request).collect()
}

// Who can't judge the erasure any more, as the card that signed it is gone everywhere, would keep accesses for good.
#[test]
fn accesses_of_a_forgotten_patient_go_only_to_those_who_know_that_she_is() {
    for forgotten in [false, true] {
        let mut w = world(6, 4);
        let (author, reader) = (w.doctor(0, 100), w.doctor(1, 110));
        let mut ada = w.patient(0, 140);
        let record = w.record(&author, &mut ada, LAB, 5_000);
        let grant = w.grant(0, &mut ada, Grantee::Person(reader.id), LAB);
        let epoch = w.epoch(0, &mut ada, 1, &[&grant]);
        w.tap(0, &ada, vec![grant, epoch]);
        assert!(w.run_until(8_000, |w| has_blob(w, 1, &record)), "the reader's organization holds it");
        let access = w.access(&reader, &mut ada, &record);
        let access = w.tap(1, &ada, vec![access])[0].content;
        let ward = w.second_node(1);
        w.cut(ward);
        w.run(5_000);
        let order = w.erasure(0, &mut ada, &[]);
        w.tap(0, &ada, vec![order]);
        w.run(5_000);
        let ward = w.id(ward);
        w.nodes[1].service.as_mut().unwrap().on_connected(ward).unwrap();
        let offer = |(id, request)| match request {
            Request::Offer(contents) => Some((id, contents)),
            _ => None,
        };
        let (id, contents) = asked(&mut w, ward).into_iter().find_map(offer).expect("it is owed much");
        assert!(contents.contains(&access) && contents.contains(&record.content), "all is offered");
        if forgotten {
            let gone = |w: &World| erasure(w, 1).phase == ErasurePhase::Erased;
            assert!(w.run_until(2 * COOLING_OFF_MS, gone), "then she is forgotten");
        }
        let lacking = Answer::Lacking(contents).encode();
        w.nodes[1].service.as_mut().unwrap().on_response(ward, id, Some(&lacking)).unwrap();
        let kinds = |(_, request): (u64, Request)| match request {
            Request::Deliver(bodies) => bodies,
            _ => Vec::new(),
        };
        let given = asked(&mut w, ward).into_iter().flat_map(kinds);
        let given = given.map(|d| Body::read(&d.body, &w.genesis.network()).unwrap().0.id());
        let given = given.collect::<Vec<_>>();
        assert_eq!(given.contains(&record.content), !forgotten, "the record, forgotten: {forgotten}");
        assert_eq!(given.contains(&access), !forgotten, "and who had read it, forgotten: {forgotten}");
    }
}

// Were the patient forgotten before the rest comes, the erasure could not be judged here, and it would stay for good.
#[test]
fn who_read_what_of_a_patient_who_is_unknown_here_is_kept_once_the_patient_is_known() {
    let mut w = world(7, 4);
    let (author, reader) = (w.doctor(0, 100), w.doctor(1, 110));
    let mut ada = w.patient(0, 140);
    let record = w.record(&author, &mut ada, LAB, 5_000);
    let grant = w.grant(0, &mut ada, Grantee::Person(reader.id), LAB);
    let epoch = w.epoch(0, &mut ada, 1, &[&grant]);
    w.tap(0, &ada, vec![grant, epoch]);
    assert!(w.run_until(8_000, |w| has_blob(w, 1, &record)), "the reader's organization holds it");
    let access = w.access(&reader, &mut ada, &record);
    let access = w.tap(1, &ada, vec![access])[0].content;
    w.run(5_000);
    let store = w.nodes[1].store.clone().unwrap();
    let body = |id: &ContentId| Delivery {
        body: Bytes(store.body(id).unwrap().unwrap().bytes),
        packets: Vec::new(),
    };
    let enrolment = store.bodies(Some(&ada.id), Some(Kind::Patient.code()), 0, 2).unwrap();
    let missing = u64::from(Check::StandsOnMissing.code());
    assert_eq!(deliver(&mut w, 3, vec![body(&access)]), [missing], "nobody is known here of whom it says so");
    assert_eq!(deliver(&mut w, 3, enrolment.iter().map(body).collect()), [0], "then she is");
    assert_eq!(deliver(&mut w, 3, vec![body(&access)]), [0], "and it is kept");
}

#[test]
fn power_that_goes_after_any_write_of_an_erasure_leaves_it_to_be_finished() {
    let (mut cuts, mut n) = (0, 0);
    loop {
        let mut w = world(4, 1);
        let author = w.doctor(0, 100);
        let mut ada = w.patient(0, 140);
        let record = w.record(&author, &mut ada, LAB, 5_000);
        let whole = n % 2 == 1;
        let named = [&record];
        let order = w.erasure(0, &mut ada, if whole { &[] } else { &named });
        w.tap(0, &ada, vec![order]);
        let due =
            |w: &World| w.nodes[0].service.as_ref().unwrap().state().time >= erasure(w, 0).entry.not_before;
        assert!(w.run_until(COOLING_OFF_MS * 2, due), "its time is certified");
        w.fuse(0, n / 2);
        w.run(20_000);
        assert_eq!(erasure(&w, 0).phase, ErasurePhase::Erased, "finished, whatever write {n} was");
        assert!(!has_body(&w, 0, &record.content) && !has_blob(&w, 0, &record), "nothing is left, write {n}");
        assert_eq!(bodies_of(&w, 0, None, Kind::Receipt), 1, "one receipt, write {n}");
        cuts += w.nodes[0].power_cuts;
        n += 1;
        if n >= 60 {
            break;
        }
    }
    assert!(cuts > 20, "power went at many of the writes: {cuts}");
}
