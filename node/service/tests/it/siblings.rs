//! What is sealed to an organization can be opened at each of its nodes, one that came later or was away
//! included, and a node of another organization gets nothing of it.
//!
//! Method: services over memory and virtual time; packets are sealed and opened with the cards' keys.

use hospes_protocol::check::Check;
use hospes_protocol::context::Context;
use hospes_protocol::ids::{KeyId, ObjectId};
use hospes_protocol::personal::Category;
use hospes_protocol::seal::envelope::Envelope;
use hospes_protocol::wire::Wire;
use hospes_service::effects::Effect;
use hospes_service::messages::{Answer, Request};
use hospes_service::records::organization_packet;
use hospes_storage::Objects;

use crate::people::{Doctor, Patient};
use crate::world::World;

/// The epoch secret that a doctor's card opens at a node.
fn opens(w: &World, i: usize, key: &KeyId, doctor: &Doctor) -> Option<Vec<u8>> {
    let store = w.nodes[i].store.as_ref().unwrap();
    let mut card = doctor.agreement();
    let sealed =
        organization_packet(&**store, key, &hospes_protocol::keys::KeyAgreement::agreement_key(&card).id());
    let envelope = Envelope::parse(&sealed.unwrap()?).unwrap();
    Some(envelope.open(&mut card, Context::OrganizationKey, &w.genesis.network()).unwrap().to_vec())
}

fn has_k(w: &World, i: usize, patient: &Patient) -> bool {
    let k = w.nodes[i].service.as_ref().unwrap().subject_key(&patient.id).unwrap();
    k.is_some_and(|k| k.as_bytes() == patient.secret.k(&w.organization(i)).as_bytes())
}

fn asks(w: &mut World, to: usize, from: usize, request: &Request) -> Answer {
    let (from, now) = (w.id(from), w.now);
    let service = w.nodes[to].service.as_mut().unwrap();
    service.tick(now);
    service.on_request(from, 1, &request.encode()).unwrap();
    let answer = |e: Effect| match e {
        Effect::Respond { token: 1, bytes } => Some(Answer::decode(&bytes).unwrap()),
        _ => None,
    };
    service.take_effects().into_iter().find_map(answer).unwrap()
}

#[test]
fn a_second_node_opens_what_was_sealed_to_its_organization_before_it_came() {
    let mut w = World::new(21, 4, 0);
    w.run(50);
    let doctor = w.doctor(0, 100);
    let (first, sealed, _) = w.organization_key(0, &doctor, 1);
    w.run(2_000);
    let (second, _, _) = w.organization_key(0, &doctor, 2);
    let mut ada = w.patient(0, 140);
    w.run(2_000);

    let ward = w.second_node(0);
    assert!(
        w.run_until(20_000, |w| opens(w, ward, &first, &doctor).is_some() && has_k(w, ward, &ada)),
        "packets and K come over"
    );
    assert_eq!(opens(&w, ward, &first, &doctor), Some(vec![1; 32]), "the secret of an epoch long past");
    assert_eq!(opens(&w, ward, &second, &doctor), Some(vec![2; 32]), "and of the newest");
    let record = w.record(&doctor.at_node(ward), &mut ada, Category::Laboratory, 100);
    w.run(10_000);
    let has = |i: usize| w.nodes[i].store.as_ref().unwrap().body(&record.content).unwrap().is_some();
    assert!(has(0), "what is filed there reaches the first node");

    let others: Vec<_> =
        (1..4).filter(|i| opens(&w, *i, &first, &doctor).is_some() || has_k(&w, *i, &ada)).collect();
    assert_eq!(others, Vec::<usize>::new(), "no other organization has either");
    let packet = Request::Packets(vec![ObjectId::of_structured(&sealed)]);
    let k = Request::SubjectKeys(vec![ada.id]);
    let refused = Answer::Refused(u64::from(Check::NotEntitled.code()));
    assert_eq!(asks(&mut w, 0, 1, &packet), refused, "nor is it given one");
    assert_eq!(asks(&mut w, 0, 1, &k), refused, "nor K");
    let given = asks(&mut w, 0, ward, &packet);
    assert!(matches!(&given, Answer::Packets(list) if list.len() == 1), "its own node is: {given:?}");
    assert!(
        matches!(asks(&mut w, 0, ward, &k), Answer::SubjectKeys(list) if list.len() == 1),
        "with K as well"
    );
    w.check();
}

#[test]
fn a_node_that_was_away_gets_what_was_sealed_meanwhile() {
    let mut w = World::new(22, 4, 0);
    w.run(50);
    let doctor = w.doctor(0, 100);
    let ward = w.second_node(0);
    w.run(3_000);
    w.cut(ward);
    let (key, ..) = w.organization_key(0, &doctor, 1);
    let ada = w.patient(0, 140);
    w.run(10_000);
    assert!(opens(&w, 0, &key, &doctor).is_some() && has_k(&w, 0, &ada), "the first node has both");
    assert!(opens(&w, ward, &key, &doctor).is_none() && !has_k(&w, ward, &ada), "the other knows nothing");
    w.heal(ward);
    assert!(
        w.run_until(20_000, |w| opens(w, ward, &key, &doctor).is_some() && has_k(w, ward, &ada)),
        "once it is back it asks for them"
    );
}

#[test]
fn only_packets_that_an_entry_names_are_given_and_taken() {
    let mut w = World::new(23, 4, 0);
    w.run(50);
    let doctor = w.doctor(0, 100);
    let ward = w.second_node(0);
    w.run(3_000);
    let other = b"a packet of a patient's".to_vec();
    let id = ObjectId::of_structured(&other);
    let kept = hospes_storage::Write::Object { id, patient: None, bytes: other };
    w.nodes[0].store.as_ref().unwrap().apply(&[kept]).unwrap();
    assert_eq!(
        asks(&mut w, 0, ward, &Request::Packets(vec![id])),
        Answer::Packets(Vec::new()),
        "an object that is no packet of the organization's key is not given"
    );
    let many = Request::Packets(vec![id; 513]);
    assert_eq!(
        asks(&mut w, 0, ward, &many),
        Answer::Refused(u64::from(Check::TooLarge.code())),
        "nor are more than a page"
    );
    let (key, sealed, _) = w.organization_key(0, &doctor, 1);
    w.run(5_000);
    let given = asks(&mut w, 0, ward, &Request::Packets(vec![ObjectId::of_structured(&sealed)]));
    assert_eq!(given, Answer::Packets(vec![hospes_protocol::wire::Bytes(sealed)]), "one of the key's is");
    assert!(opens(&w, ward, &key, &doctor).is_some(), "and it opens there");
}
