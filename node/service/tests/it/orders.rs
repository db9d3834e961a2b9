//! Whatever the order in which headers become final and bodies arrive, a node comes to the same verdicts.
//!
//! Method: a patient is enrolled at two hospitals that do not know of each other; which of the two comes first
//! is the ledger's to say. An observer, a service over a store of its own, is given blocks in their order and
//! bodies in any, each body again as long as it is refused, as its holders would. Replay: the seed that is printed.

use std::collections::BTreeMap;

use hospes_protocol::check::Check;
use hospes_protocol::ids::{ContentId, PatientId};
use hospes_protocol::personal::{Category, Grantee};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::effects::Effect;
use hospes_service::messages::{Answer, Delivery, Gossip, HeaderItem, Request};
use hospes_service::records::Finality;
use hospes_service::service::Service;
use hospes_storage::{Ledger, Objects};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;

use crate::world::{World, for_seeds};

/// One thing that reaches the observer.
#[derive(Clone)]
enum Arrival {
    Block(u64),
    Body(Delivery),
}

/// Two enrolments of one patient, each with a card, a grant and a record; the ledger has one before the other.
fn two_enrolments(first: usize) -> (World, PatientId) {
    let mut w = World::new(11, 4, 1);
    w.run(50);
    let doctors = [w.doctor(0, 100), w.doctor(1, 110)];
    let mut id = PatientId([0; 32]);
    for i in [first, 1 - first] {
        let mut patient = w.patient(i, 140);
        w.run(1_000);
        let grant = w.grant(i, &mut patient, Grantee::Organization(w.organization(2)), Category::Letters);
        w.tap(i, &patient, vec![grant]);
        w.record(&doctors[i], &mut patient, Category::Laboratory, 100);
        w.run(1_000);
        id = patient.id;
    }
    (w, id)
}

fn bodies(w: &World, patient: &PatientId) -> Vec<Delivery> {
    let mut found = Vec::new();
    for i in 0..2 {
        let store = w.nodes[i].store.as_ref().unwrap();
        for id in store.bodies(Some(patient), None, 0, 100).unwrap() {
            let body = Bytes(store.body(&id).unwrap().unwrap().bytes);
            found.push(Delivery { body, packets: Vec::new() });
        }
    }
    found
}

/// Every header and control body, known to the observer before anything is final.
fn tell_headers(w: &World, observer: &mut Service) {
    let store = w.nodes[0].store.as_ref().unwrap();
    for head in store.heads().unwrap() {
        for header in store.headers(&head.node, 1, head.sequence).unwrap() {
            let read = hospes_protocol::entry::Header::read(&header, &w.genesis.network()).unwrap();
            let control = store.control_body(&read.fields().content).unwrap().map(Bytes);
            let item = HeaderItem { header: Bytes(header), control };
            observer.on_gossip(w.id(0), &Gossip::Headers(vec![item]).encode()).unwrap();
        }
    }
}

fn tell_block(w: &World, observer: &mut Service, height: u64) {
    let (block, certificate) = w.nodes[0].store.as_ref().unwrap().block(height).unwrap().unwrap();
    let gossip = Gossip::Decided((certificate, Some(Bytes(block))));
    observer.on_gossip(w.id(0), &gossip.encode()).unwrap();
    assert_eq!(observer.state().height, height, "the observer follows");
}

/// Whether the body was kept.
fn tell_body(w: &World, observer: &mut Service, body: &Delivery) -> bool {
    observer.take_effects();
    observer.on_request(w.id(0), 1, &Request::Deliver(vec![body.clone()]).encode()).unwrap();
    let kept = Effect::Respond { token: 1, bytes: Answer::Verdicts(vec![0]).encode() };
    observer.take_effects().contains(&kept)
}

/// What each entry comes to: its height, or that it has no effect.
fn verdicts(observer: &Service, all: &[ContentId]) -> BTreeMap<ContentId, Option<u64>> {
    let one = |id: &ContentId| match observer.entry_state(id).unwrap().map(|s| s.finality) {
        Some(Finality::Final(height)) => (*id, Some(height)),
        Some(Finality::Void(_)) | None => (*id, None),
        Some(Finality::Signed) => panic!("{id} is final on the ledger"),
    };
    all.iter().map(one).collect()
}

fn observe(w: &World, arrivals: &[Arrival]) -> Service {
    let mut observer = w.observer(4);
    tell_headers(w, &mut observer);
    let mut waiting: Vec<&Delivery> = Vec::new();
    for arrival in arrivals {
        match arrival {
            Arrival::Block(height) => tell_block(w, &mut observer, *height),
            Arrival::Body(body) => waiting.push(body),
        }
        waiting.retain(|body| !tell_body(w, &mut observer, body));
    }
    // Whoever owes what was refused offers it again.
    for _ in 0..3 {
        waiting.retain(|body| !tell_body(w, &mut observer, body));
    }
    observer
}

#[test]
fn every_order_of_blocks_and_bodies_leads_to_the_same_verdicts() {
    for first in [0, 1] {
        let (w, patient) = two_enrolments(first);
        let bodies = bodies(&w, &patient);
        let network = w.genesis.network();
        let read = |d: &Delivery| hospes_protocol::tap::Body::read(&d.body, &network).unwrap().0.id();
        let all: Vec<_> = bodies.iter().map(read).collect();
        assert_eq!(all.len(), 8, "twice patient, card, grant, record");
        let heights = 1..=w.height(0);
        let known: Vec<_> = heights.clone().map(Arrival::Block).collect();
        let late = [known, bodies.iter().cloned().map(Arrival::Body).collect()].concat();
        let expected = verdicts(&observe(&w, &late), &all);
        let (mine, theirs) = all.split_at(4);
        let stand = |ids: &[ContentId]| ids.iter().filter(|id| expected[*id].is_some()).count();
        let of_first = if first == 0 { mine } else { theirs };
        assert_eq!(
            stand(of_first),
            4,
            "what stands on the enrolment that was first has effect: {expected:?}"
        );
        assert_eq!(stand(&all), 4, "and nothing else of hers: {expected:?}");
        for_seeds(0..60, |seed| {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let mut shuffled = bodies.clone();
            shuffled.shuffle(&mut rng);
            let mut arrivals: Vec<_> = shuffled.into_iter().map(Arrival::Body).collect();
            let mut places: Vec<_> = (0..=arrivals.len()).collect();
            places.shuffle(&mut rng);
            let mut at = 0;
            for height in heights.clone() {
                // Blocks keep their order; how many bodies come between them is the seed's to say.
                at = at
                    .max(places[usize::try_from(height).unwrap() % places.len()] + at / 2)
                    .min(arrivals.len());
                arrivals.insert(at, Arrival::Block(height));
                at += 1;
            }
            let found = verdicts(&observe(&w, &arrivals), &all);
            assert_eq!(found, expected, "seed {seed}, enrolled first at {first}");
        });
    }
}

#[test]
fn an_enrolment_that_came_first_is_known_late_and_takes_all_effect_from_the_other() {
    let (w, patient) = two_enrolments(0);
    let bodies = bodies(&w, &patient);
    let network = w.genesis.network();
    let read = |d: &Delivery| hospes_protocol::tap::Body::read(&d.body, &network).unwrap().0.id();
    let mut observer = w.observer(4);
    tell_headers(&w, &mut observer);
    (1..=w.height(0)).for_each(|height| tell_block(&w, &mut observer, height));
    let state = |observer: &Service, body| observer.entry_state(&read(body)).unwrap().unwrap().finality;
    for body in &bodies[4..] {
        assert!(tell_body(&w, &mut observer, body), "alone, the second enrolment is lawful");
        assert!(matches!(state(&observer, body), Finality::Final(_)), "and has effect");
    }
    assert!(tell_body(&w, &mut observer, &bodies[0]), "then the first arrives");
    let void = |check: Check| Finality::Void(u64::from(check.code()));
    assert_eq!(state(&observer, &bodies[4]), void(Check::AlreadyExists), "the second exists already");
    let card = void(Check::StandsOnMissing);
    assert_eq!(state(&observer, &bodies[5]), card, "and what stood on it has nothing to stand on");
}
