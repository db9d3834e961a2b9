//! A body reaches its audience and nobody else; a blob is held where placement says, and dropped when it
//! says so no longer; a revocation stops decisions at once.
//!
//! Method: services over memory and virtual time; blobs are real, sealed and of two segments. Replay: the
//! stories have no seed of their own beside the one in `World::new`.

use hospes_protocol::check::Check;
use hospes_protocol::context::Context;
use hospes_protocol::entry::FORMAT;
use hospes_protocol::ids::{NodeId, ObjectId, OrganizationId};
use hospes_protocol::keys::KeyAgreement;
use hospes_protocol::personal::{Category, Grantee};
use hospes_protocol::seal::packet::open_packet;
use hospes_protocol::sign1::sign1;
use hospes_protocol::tap::Body;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::effects::{Effect, Event, Timer};
use hospes_service::holding::order::{FetchRequest, Order};
use hospes_service::messages::{Answer, Collection, Delivery, Request};
use hospes_service::records::Finality;
use hospes_storage::{Ledger, Objects};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;

use crate::people::{Draft, Patient, Record, key};
use crate::world::{World, for_seeds};

const LAB: Category = Category::Laboratory;
/// Plain bytes of a blob of two segments.
const TWO_SEGMENTS: usize = 1_200_000;

fn has_body(w: &World, i: usize, record: &Record) -> bool {
    w.nodes[i].store.as_ref().unwrap().body(&record.content).unwrap().is_some()
}

fn has_blob(w: &World, i: usize, record: &Record) -> bool {
    let held = |e: &&Event| matches!(e, Event::Object { root, .. } if *root == record.root);
    let last = w.nodes[i].events.iter().rfind(held);
    let here = w.nodes[i].store.as_ref().unwrap().object(&record.root).unwrap().is_some();
    here && (matches!(last, Some(Event::Object { held: true, .. })) || last.is_none())
}

#[test]
fn a_record_reaches_its_reader_by_a_grant_and_leaves_by_a_revocation() {
    let mut w = World::new(1, 4, 0);
    w.run(50);
    let author = w.doctor(0, 100);
    let reader = w.doctor(1, 110);
    let colleague = w.doctor(1, 120);
    let mut ada = w.patient(0, 140);
    let record = w.record(&author, &mut ada, LAB, TWO_SEGMENTS);
    w.run(5_000);
    assert!(has_blob(&w, 0, &record), "the author's organization holds its own");
    assert!((1..4).all(|i| !has_body(&w, i, &record)), "nobody else has the body");
    assert!(!w.may_read(1, &reader, &ada, &record).is_permitted(), "deny by default");
    assert!(w.may_read(0, &author, &ada, &record).is_permitted(), "the author's organization reads");

    let grant = w.grant(0, &mut ada, Grantee::Person(reader.id), LAB);
    let (lock, id) = (ada.lock_of(&grant), grant.content.id());
    let epoch = w.epoch(0, &mut ada, 1, &[&grant]);
    let revocation = w.revocation(0, &mut ada, &grant);
    w.tap(0, &ada, vec![grant, epoch]);
    let reads = |w: &World| w.may_read(1, &reader, &ada, &record).is_permitted();
    assert!(
        w.run_until(5_000, reads),
        "the clinician reads there: {:?}",
        w.may_read(1, &reader, &ada, &record)
    );
    let other = w.may_read(1, &colleague, &ada, &record);
    assert_eq!(other.why().rule.code(), "no-grant", "another of the same hospital doesn't");
    w.run(3_000);
    assert!((2..4).all(|i| !has_body(&w, i, &record) && !has_blob(&w, i, &record)), "strangers have nothing");
    let state = w.nodes[0].service.as_ref().unwrap().entry_state(&record.content).unwrap().unwrap();
    assert!(matches!(state.finality, Finality::Final(_)), "the record is final: {:?}", state.finality);
    assert_eq!(state.holders, 2, "author and reader gave receipts");
    let live = w.nodes[1].service.as_ref().unwrap().locker_epoch(&ada.id).unwrap();
    assert_eq!(live.map(|(_, l)| l.rests_on), Some(vec![id]), "the epoch is live there");

    w.tap(0, &ada, vec![revocation]);
    assert!(!w.may_read(0, &reader, &ada, &record).is_permitted(), "denied at once where it was revoked");
    let seen = |w: &World| w.nodes[1].store.as_ref().unwrap().lock(&lock).unwrap().is_some();
    assert!(w.run_until(500, seen), "the reveal is everywhere within half a second");
    assert!(!w.may_read(1, &reader, &ada, &record).is_permitted(), "and denies on sight");
    let live = w.nodes[1].service.as_ref().unwrap().locker_epoch(&ada.id).unwrap();
    assert!(live.is_none(), "the epoch that rested on it is dead");
    assert!(w.run_until(8_000, |w| !has_blob(w, 1, &record)), "the reader's hospital drops the blob");
    w.run(3_000);
    assert!(has_blob(&w, 0, &record), "the author keeps it");
    assert_eq!(
        w.nodes[0].service.as_ref().unwrap().holders(&record.content).unwrap(),
        1,
        "one holder is left"
    );
}

#[test]
fn a_node_that_was_away_learns_the_same_whatever_came_first() {
    let mut w = World::new(2, 4, 0);
    w.run(50);
    let author = w.doctor(0, 100);
    let reader = w.doctor(3, 110);
    w.cut(3);
    let mut ada = w.patient(0, 140);
    let record = w.record(&author, &mut ada, LAB, 5_000);
    let grant = w.grant(0, &mut ada, Grantee::Organization(w.organization(3)), LAB);
    w.tap(0, &ada, vec![grant]);
    w.run(5_000);
    assert!(!has_body(&w, 3, &record), "it was away");
    w.heal(3);
    let reads = |w: &World| w.may_read(3, &reader, &ada, &record).is_permitted() && has_blob(w, 3, &record);
    assert!(w.run_until(10_000, reads), "back on line it has all that it needs");

    w.cut(3);
    let again = w.grant(0, &mut ada, Grantee::Person(reader.id), LAB);
    let revocation = w.revocation(0, &mut ada, &again);
    w.tap(0, &ada, vec![again]);
    w.run(1_000);
    w.tap(0, &ada, vec![revocation]);
    w.run(1_000);
    w.kill(3);
    w.start(3);
    w.heal(3);
    w.run(10_000);
    assert!(w.may_read(3, &reader, &ada, &record).is_permitted(), "the organization's grant stands");
}

#[test]
fn what_was_filed_before_a_crash_goes_out_after_it() {
    let mut w = World::new(9, 4, 0);
    w.run(50);
    let author = w.doctor(0, 100);
    let reader = w.doctor(1, 110);
    let mut ada = w.patient(0, 140);
    let record = w.record(&author, &mut ada, LAB, TWO_SEGMENTS);
    w.run(2_000);
    let grant = w.grant(0, &mut ada, Grantee::Person(reader.id), LAB);
    w.tap(0, &ada, vec![grant]);
    w.kill(0);
    w.run(3_000);
    assert!(!w.may_read(1, &reader, &ada, &record).is_permitted(), "it never left the author's node");
    w.start(0);
    let reads = |w: &World| w.may_read(1, &reader, &ada, &record).is_permitted() && has_blob(w, 1, &record);
    assert!(w.run_until(20_000, reads), "grant, record and blob arrive after the restart");
}

#[test]
fn a_patient_signs_in_where_nothing_of_hers_is_held() {
    let mut w = World::new(3, 4, 0);
    w.run(50);
    let author = w.doctor(0, 100);
    let mut ada = w.patient(0, 140);
    let record = w.record(&author, &mut ada, LAB, 5_000);
    let epoch = w.epoch(0, &mut ada, 1, &[]);
    w.tap(0, &ada, vec![epoch]);
    let mut bob = w.patient(0, 180);
    let his = w.record(&author, &mut bob, LAB, 5_000);
    w.run(3_000);

    let keys: Vec<_> = (0..4).map(|i| (w.organization(i), ada.secret.k(&w.organization(i)))).collect();
    let found = w.nodes[2].service.as_ref().unwrap().find_by_subjects(&keys).unwrap();
    assert_eq!(found.len(), 4, "patient, card, record, locker: hers alone are found by K");
    let contents: Vec<_> = found.iter().map(|(_, content)| *content).chain([his.content]).collect();

    let asked = |w: &mut World, authorization: Vec<u8>| {
        let collection = Collection { contents: contents.clone(), authorization: Bytes(authorization) };
        let (from, now) = (w.id(2), w.now);
        let service = w.nodes[0].service.as_mut().unwrap();
        service.tick(now);
        service.on_request(from, 1, &Request::Collect(collection).encode()).unwrap();
        let answer = |e: Effect| match e {
            Effect::Respond { token: 1, bytes } => Some(Answer::decode(&bytes).unwrap()),
            _ => None,
        };
        service.take_effects().into_iter().find_map(answer).unwrap()
    };
    let refused = Answer::Refused(u64::from(Check::NotEntitled.code()));
    let network = w.genesis.network();
    let sign = |by: &Patient, node: NodeId, at: u64| {
        sign1(&mut by.authentication(), Context::Session, &network, &(node, at).encode()).unwrap()
    };
    let (here, elsewhere, now) = (w.id(2), w.id(3), w.now);
    assert_eq!(asked(&mut w, vec![1, 2, 3]), refused, "no authorization");
    assert_eq!(asked(&mut w, sign(&ada, elsewhere, now)), refused, "made for another node");
    assert_eq!(asked(&mut w, sign(&ada, here, now - 301_000)), refused, "older than five minutes");
    let Answer::Bodies(bodies) = asked(&mut w, sign(&ada, here, now)) else { panic!("entitled") };
    assert_eq!(bodies.len(), 4, "hers, and not Bob's");

    let authorization = sign(&ada, here, now);
    let service = w.nodes[2].service.as_mut().unwrap();
    service.collect(&authorization, &contents);
    w.effects(2);
    assert!(w.run_until(1_000, |w| has_body(w, 2, &record)), "her record's body is here");
    assert!(!has_body(&w, 2, &his), "his isn't");
    w.run(400_000);
    let visit = |w: &mut World, authorization: &[u8]| {
        let now = w.now;
        let service = w.nodes[2].service.as_mut().unwrap();
        service.tick(now);
        service.fetch_for_patient(&record.content, authorization).unwrap();
        w.effects(2);
        w.run(3_000);
    };
    visit(&mut w, &authorization);
    assert!(!has_blob(&w, 2, &record), "an authorization that is over opens no blob");
    let fresh = sign(&ada, here, w.now);
    visit(&mut w, &fresh);
    assert!(has_blob(&w, 2, &record), "a fresh one brings it");
    let service = w.nodes[2].service.as_ref().unwrap();
    let packets = service.packets_for(&ada.agreement().agreement_key().id(), &ada.id).unwrap();
    let opened = open_packet(&packets[0], &ada.id, &mut ada.agreement(), &network).unwrap();
    assert_eq!(opened.epoch, 1, "and her packet opens");
    let card =
        service.patient_by_card(&hospes_protocol::keys::Signer::verifying_key(&ada.authentication()).id());
    assert_eq!(card.unwrap(), Some(ada.id), "her card is known here now");
}

#[test]
fn the_order_in_which_bodies_arrive_has_no_effect() {
    for_seeds(0..8, |seed| {
        let mut w = World::new(7, 4, 0);
        w.run(50);
        let author = w.doctor(0, 100);
        let reader = w.doctor(2, 110);
        let mut ada = w.patient(0, 140);
        let record = w.record(&author, &mut ada, LAB, 5_000);
        let grant = w.grant(0, &mut ada, Grantee::Person(reader.id), LAB);
        let revocation = w.revocation(0, &mut ada, &grant);
        let epoch = w.epoch(0, &mut ada, 1, &[&grant]);
        w.tap(0, &ada, vec![grant, epoch]);
        w.tap(0, &ada, vec![Draft { reveal: Vec::new(), ..revocation }]);
        let again = w.grant(0, &mut ada, Grantee::Organization(w.organization(2)), LAB);
        w.run(2_000);
        w.tap(0, &ada, vec![again]);
        w.run(2_000);
        let store = w.nodes[0].store.clone().unwrap();
        let mut bodies: Vec<_> = store
            .bodies(Some(&ada.id), None, 0, 100)
            .unwrap()
            .iter()
            .map(|id| Delivery { body: Bytes(store.body(id).unwrap().unwrap().bytes), packets: Vec::new() })
            .collect();
        assert_eq!(bodies.len(), 7, "patient, card, record, two grants, epoch, revocation");
        // Node 3 knows the ledger, and learns the bodies by hand: one at a time, in an order of the seed's.
        bodies.shuffle(&mut ChaCha20Rng::seed_from_u64(seed));
        let mut rounds = 0;
        while !bodies.is_empty() {
            rounds += 1;
            assert!(rounds < 20, "each round keeps something");
            bodies.retain(|body| deliver(&mut w, 3, vec![body.clone()]) != [0]);
        }
        let why = w.may_read(3, &reader, &ada, &record);
        assert_eq!(
            why.why().rule.code(),
            "grant",
            "seed {seed}: the second grant permits, the first is gone"
        );
        let live = w.nodes[3].service.as_ref().unwrap().locker_epoch(&ada.id).unwrap();
        assert!(live.is_none(), "seed {seed}: its epoch is dead");
    });
}

pub(crate) fn deliver(w: &mut World, to: usize, bodies: Vec<Delivery>) -> Vec<u64> {
    let (from, now) = (w.id(0), w.now);
    let service = w.nodes[to].service.as_mut().unwrap();
    service.tick(now);
    service.on_request(from, 1, &Request::Deliver(bodies).encode()).unwrap();
    let verdicts = |e: Effect| match e {
        Effect::Respond { token: 1, bytes } => Some(Answer::decode(&bytes).unwrap()),
        _ => None,
    };
    match service.take_effects().into_iter().find_map(verdicts) {
        Some(Answer::Verdicts(verdicts)) => verdicts,
        other => panic!("verdicts, not {other:?}"),
    }
}

#[test]
fn one_unlawful_body_hurts_only_itself() {
    let mut w = World::new(8, 4, 0);
    w.run(50);
    let author = w.doctor(0, 100);
    let mut ada = w.patient(0, 140);
    let record = w.record(&author, &mut ada, LAB, 5_000);
    w.run(2_000);
    let store = w.nodes[0].store.clone().unwrap();
    let ids = store.bodies(Some(&ada.id), None, 0, 100).unwrap();
    let body = |id| Delivery { body: Bytes(store.body(id).unwrap().unwrap().bytes), packets: Vec::new() };
    let good: Vec<_> = ids.iter().map(body).collect();
    let (mut unsigned, _) = Body::read(&good[1].body, &w.genesis.network()).unwrap();
    unsigned.signatures.clear();
    let unsigned = Delivery { body: Bytes(unsigned.encode()), packets: Vec::new() };
    let stray = Delivery { packets: vec![Bytes(vec![1, 2, 3])], ..good[0].clone() };
    let sent = vec![unsigned, stray, good[2].clone(), good[1].clone(), good[0].clone()];
    let (missing, hash) = (u64::from(Check::MissingSignature.code()), u64::from(Check::ObjectHash.code()));
    assert_eq!(
        deliver(&mut w, 3, sent),
        [missing, hash, 0, 0, 0],
        "a card entry without signature, a packet that nobody names; then three good ones, the last first"
    );
    assert!(has_body(&w, 3, &record), "the record is kept");
}

fn order(w: &World, by: usize, root: ObjectId, holder: OrganizationId, bytes: u64) -> Vec<u8> {
    let order = Order {
        format: FORMAT,
        network: w.genesis.network(),
        root,
        record: None,
        holder,
        until: u64::MAX,
        issued: w.now,
        organization: w.organization(by),
        bytes,
    };
    let mut node = key(50 + u8::try_from(by).unwrap());
    sign1(&mut node, Context::Order, &w.genesis.network(), &order.encode()).unwrap()
}

#[test]
fn a_blob_is_served_to_whom_an_order_entitles() {
    let mut w = World::new(4, 4, 0);
    w.run(50);
    let author = w.doctor(0, 100);
    let mut ada = w.patient(0, 140);
    let record = w.record(&author, &mut ada, LAB, TWO_SEGMENTS);
    w.run(3_000);
    let ask = |w: &mut World, order: Vec<u8>| {
        let request = FetchRequest { root: record.root, order: Bytes(order), have: 0 };
        let from = w.id(1);
        let service = w.nodes[0].service.as_mut().unwrap();
        service.on_object_request(from, 7, &request.encode()).unwrap();
        let answer = |e: Effect| match e {
            Effect::Refuse { token: 7, check } => Some(Err(check)),
            Effect::Serve { token: 7, objects } => Some(Ok(objects.len())),
            _ => None,
        };
        service.take_effects().into_iter().find_map(answer).unwrap()
    };
    let (mine, third) = (w.organization(1), w.organization(2));
    let (good, other) = (order(&w, 0, record.root, mine, 1 << 30), order(&w, 0, record.root, third, 1 << 30));
    let own = order(&w, 1, record.root, mine, 1 << 30);
    assert_eq!(ask(&mut w, other), Err(Check::NotEntitled), "an order for somebody else");
    assert_eq!(ask(&mut w, own), Err(Check::NotEntitled), "an order that it wrote itself");
    assert!(ask(&mut w, vec![0; 10]).is_err(), "no order at all");
    assert_eq!(ask(&mut w, good), Ok(4), "the author's order: root, page and two segments");
}

#[test]
fn an_order_that_comes_after_it_was_taken_back_is_taken_back_again() {
    let mut w = World::new(7, 4, 0);
    w.run(50);
    let author = w.doctor(0, 100);
    let reader = w.doctor(1, 110);
    let mut ada = w.patient(0, 140);
    let record = w.record(&author, &mut ada, LAB, TWO_SEGMENTS);
    let grant = w.grant(0, &mut ada, Grantee::Person(reader.id), LAB);
    let revocation = w.revocation(0, &mut ada, &grant);
    w.tap(0, &ada, vec![grant]);
    assert!(w.run_until(20_000, |w| has_blob(w, 1, &record)), "the reader's hospital holds the blob");
    let orders = |w: &World| w.nodes[1].store.as_ref().unwrap().orders(&record.root).unwrap();
    let old = orders(&w).remove(0).bytes;
    w.tap(0, &ada, vec![revocation]);
    assert!(w.run_until(20_000, |w| orders(w).is_empty()), "and drops it with the consent");
    w.run(20_000);
    let carrier = w.id(2);
    let service = w.nodes[1].service.as_mut().unwrap();
    service.on_request(carrier, 1, &Request::Orders(vec![Bytes(old)]).encode()).unwrap();
    w.effects(1);
    assert_eq!(orders(&w).len(), 1, "anyone may carry an order, and it doesn't say that it is over");
    assert!(w.run_until(20_000, |w| has_blob(w, 1, &record)), "so the blob is there again");
    let gone = |w: &World| orders(w).is_empty() && !has_blob(w, 1, &record);
    assert!(w.run_until(120_000, gone), "until who gave the order hears of it, and takes it back again");
    w.run(120_000);
    assert!(gone(&w), "for good");
}

#[test]
fn a_wrong_byte_ends_a_transfer_and_the_next_goes_on_behind_the_last_good_segment() {
    let mut w = World::new(5, 4, 0);
    w.run(50);
    let author = w.doctor(0, 100);
    let mut ada = w.patient(0, 140);
    let record = w.record(&author, &mut ada, LAB, TWO_SEGMENTS);
    w.run(3_000);
    let store = w.nodes[0].store.clone().unwrap();
    let bytes = |id: &ObjectId| store.object(id).unwrap().unwrap();
    let root = hospes_protocol::seal::manifest::RootPage::read(&bytes(&record.root)).unwrap();
    let page = root.page(0, &bytes(&root.pages[0])).unwrap();
    let frames: Vec<_> = [record.root, root.pages[0]]
        .into_iter()
        .chain(page.segments().map(|s| s.id))
        .map(|id| bytes(&id))
        .collect();

    let (signed, from) = (order(&w, 0, record.root, w.organization(1), 1 << 30), w.id(0));
    let mut now = w.now;
    let service = w.nodes[1].service.as_mut().unwrap();
    let fetch = |effects: &[Effect]| {
        let fetch = |e: &Effect| match e {
            Effect::Fetch { id, bytes, .. } => Some((*id, FetchRequest::decode(bytes).unwrap().have)),
            _ => None,
        };
        effects.iter().find_map(fetch)
    };
    service.on_request(from, 1, &Request::Orders(vec![Bytes(signed)]).encode()).unwrap();
    let (id, have) = fetch(&service.take_effects()).expect("the order leads to a fetch");
    assert_eq!(have, 0, "from the beginning");
    for frame in &frames[..3] {
        service.on_object_frame(id, frame).unwrap();
    }
    let mut wrong = frames[3].clone();
    wrong[1000] ^= 1;
    service.on_object_frame(id, &wrong).unwrap();
    let effects = service.take_effects();
    assert!(effects.contains(&Effect::CancelFetch(id)), "the transfer ends");
    let blame = Effect::Blame { node: from, check: Check::ObjectHash };
    assert!(effects.contains(&blame), "and its sender is blamed, with check 801");

    now += 2_000;
    service.tick(now);
    service.on_timer(Timer::Upkeep).unwrap();
    let (id, have) = fetch(&service.take_effects()).expect("it is tried again");
    assert_eq!(have, 1, "behind the segment that was good");
    for frame in [&frames[0], &frames[1], &frames[3]] {
        service.on_object_frame(id, frame).unwrap();
    }
    service.on_object_end(id, true).unwrap();
    let held = Effect::Event(Event::Object { root: record.root, held: true });
    assert!(service.take_effects().contains(&held), "all of it is here");
}

#[test]
fn an_order_beyond_the_quota_is_refused_and_one_within_it_is_taken() {
    let mut w = World::new(6, 4, 0);
    w.run(50);
    let quota = w.genesis.policy.quota_bytes;
    let ask = |w: &mut World, bytes: u64, root: ObjectId| {
        let (signed, from) = (order(w, 0, root, w.organization(1), bytes), w.id(0));
        let service = w.nodes[1].service.as_mut().unwrap();
        service.on_request(from, 1, &Request::Orders(vec![Bytes(signed)]).encode()).unwrap();
        let verdict = |e: Effect| match e {
            Effect::Respond { token: 1, bytes } => Some(Answer::decode(&bytes).unwrap()),
            _ => None,
        };
        service.take_effects().into_iter().find_map(verdict).unwrap()
    };
    let (one, two) = (ObjectId::of_structured(b"one"), ObjectId::of_structured(b"two"));
    assert_eq!(ask(&mut w, quota, one), Answer::Verdicts(vec![0]), "all of the quota");
    let full = u64::from(Check::QuotaExceeded.code());
    assert_eq!(ask(&mut w, 1, two), Answer::Verdicts(vec![full]), "one byte more, refused with 804");
    let foreign = order(&w, 0, two, w.organization(2), 1);
    let from = w.id(0);
    let service = w.nodes[1].service.as_mut().unwrap();
    service.on_request(from, 2, &Request::Orders(vec![Bytes(foreign)]).encode()).unwrap();
    let refused = Answer::Verdicts(vec![u64::from(Check::NotEntitled.code())]).encode();
    let answer = Effect::Respond { token: 2, bytes: refused };
    assert!(service.take_effects().contains(&answer), "an order for another organization");
}
