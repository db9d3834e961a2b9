//! What a peer may send and no honest one does: each refused by its number, and the honest thing taken after it.
//!
//! Method: an observer, a service over a store of its own, hears from one peer by gossip and requests; what is
//! wrong is what is right with one defect.

use hospes_protocol::check::Check;
use hospes_protocol::entry::{Header, HeaderFields};
use hospes_protocol::ids::{ContentId, NetworkId, NodeId, Reveal};
use hospes_protocol::personal::{Category, Grantee};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::effects::Effect;
use hospes_service::filing::Filing;
use hospes_service::messages::{Answer, Gossip, HeaderItem, Position, Request};
use hospes_service::pool::Pool;
use hospes_service::records::OFFER_MAX;
use hospes_service::service::Service;
use hospes_storage::Ledger;

use crate::people::key;
use crate::world::World;

/// A network of four in which node 0 has filed two roles, and the two headers with their bodies.
fn two_headers() -> (World, Vec<HeaderItem>) {
    let mut w = World::new(3, 4, 1);
    w.run(50);
    for name in ["doctor", "nurse"] {
        let role = w.role(0, name);
        let filed = w.file(0, role);
        assert!(w.run_until(5_000, |w| w.is_final(0, &filed)), "{name} is final");
    }
    let store = w.nodes[0].store.as_ref().unwrap();
    let item = |header: Vec<u8>| {
        let content = Header::read(&header, &w.genesis.network()).unwrap().fields().content;
        HeaderItem { header: Bytes(header), control: store.control_body(&content).unwrap().map(Bytes) }
    };
    let items = store.headers(&w.id(0), 1, 2).unwrap().into_iter().map(item).collect();
    (w, items)
}

fn read(w: &World, item: &HeaderItem) -> Header {
    Header::read(&item.header, &w.genesis.network()).unwrap()
}

/// The header of an item with other fields, signed by node 0 all the same.
fn resigned(w: &World, item: &HeaderItem, change: impl Fn(&mut HeaderFields)) -> HeaderItem {
    let mut fields = read(w, item).fields().clone();
    change(&mut fields);
    let header = Header::sign(fields, &mut key(50)).unwrap();
    HeaderItem { header: Bytes(header.as_bytes().to_vec()), control: item.control.clone() }
}

/// What the sender of a gossip is blamed for, where it is.
fn blamed(observer: &mut Service, from: NodeId, bytes: &[u8]) -> Option<Check> {
    observer.take_effects();
    let relayed = observer.on_gossip(from, bytes).unwrap();
    let blame = |e: Effect| match e {
        Effect::Blame { node, check } if node == from => Some(check),
        _ => None,
    };
    let check = observer.take_effects().into_iter().find_map(blame);
    assert!(check.is_none() || !relayed, "what is blamed is not passed on");
    check
}

/// The last header of a node that the observer knows.
fn known(observer: &mut Service, node: NodeId) -> Option<u64> {
    let state = observer.state();
    let asked = Position { height: state.height, block: state.block, frontiers: Vec::new() };
    observer.on_request(node, 2, &Request::Position(asked).encode()).unwrap();
    let answer = |e: Effect| match e {
        Effect::Respond { token: 2, bytes } => Some(Answer::decode(&bytes).unwrap()),
        _ => None,
    };
    let Some(Answer::Position(position)) = observer.take_effects().into_iter().find_map(answer) else {
        panic!("a position")
    };
    position.frontiers.iter().find(|f| f.node == node).map(|f| f.sequence)
}

fn headers(items: &[&HeaderItem]) -> Vec<u8> {
    Gossip::Headers(items.iter().map(|i| (*i).clone()).collect()).encode()
}

#[test]
fn a_header_with_one_defect_is_refused_by_number_and_the_right_one_taken() {
    let (w, items) = two_headers();
    let (from, first) = (w.id(0), &items[0]);
    let mut observer = w.observer(4);
    let good = headers(&[first]);

    let mut long_form = good.clone();
    assert_eq!(long_form[0], 0x82, "a list of two, in its shortest form");
    long_form.splice(0..1, [0x98, 0x02]);
    assert_eq!(blamed(&mut observer, from, &long_form), Some(Check::NonCanonical), "not deterministic CBOR");
    let elsewhere = resigned(&w, first, |f| f.network = NetworkId([9; 32]));
    assert_eq!(
        blamed(&mut observer, from, &headers(&[&elsewhere])),
        Some(Check::WrongNetwork),
        "another network"
    );
    let mut forged = first.clone();
    *forged.header.0.last_mut().unwrap() ^= 1;
    assert_eq!(blamed(&mut observer, from, &headers(&[&forged])), Some(Check::BadSignature), "forged");
    let other_body = HeaderItem { control: items[1].control.clone(), ..first.clone() };
    assert_eq!(
        blamed(&mut observer, from, &headers(&[&other_body])),
        Some(Check::ContentMismatch),
        "the body of another header"
    );
    for reveal in [vec![Reveal([2; 32]), Reveal([1; 32])], vec![Reveal([1; 32]); 2]] {
        let wrong = resigned(&w, first, |f| f.reveal.clone_from(&reveal));
        assert_eq!(
            blamed(&mut observer, from, &headers(&[&wrong])),
            Some(Check::WrongReveal),
            "a reveal's form"
        );
    }
    assert_eq!(known(&mut observer, from), None, "none of them was taken");
    assert_eq!(blamed(&mut observer, from, &good), None, "as it was filed");
    assert_eq!(known(&mut observer, from), Some(1), "it is taken");
}

#[test]
fn a_replay_a_gap_and_a_fork_have_their_numbers_and_the_next_header_is_taken() {
    let (w, items) = two_headers();
    let [one, two] = [0, 1].map(|n| read(&w, &items[n]));
    let state = w.observer(4);
    let mut pool = Pool::over(state.state(), Vec::new(), std::collections::BTreeMap::new());
    let judge = |pool: &Pool, header: &Header| pool.judge(header).err().map(|r| r.check);
    assert_eq!(judge(&pool, &two), Some(Check::SequenceGap), "the second without the first");
    assert_eq!(judge(&pool, &one), None, "the first");
    pool.keep(one.clone());
    assert_eq!(judge(&pool, &one), Some(Check::Replay), "the first again");
    let fork = read(&w, &resigned(&w, &items[0], |f| f.content = ContentId([7; 32])));
    assert_eq!(judge(&pool, &fork), Some(Check::Fork), "another first");
    let astray = read(&w, &resigned(&w, &items[1], |f| f.previous = Some(fork.id())));
    assert_eq!(judge(&pool, &astray), Some(Check::PrevMismatch), "the second on another first");
    assert_eq!(judge(&pool, &two), None, "the second");
}

#[test]
fn a_certificate_of_other_validators_is_refused_and_that_of_this_height_taken() {
    let (w, items) = two_headers();
    let from = w.id(0);
    let mut observer = w.observer(4);
    assert_eq!(blamed(&mut observer, from, &headers(&items.iter().collect::<Vec<_>>())), None, "its headers");
    let (block, certificate) = w.nodes[0].store.as_ref().unwrap().block(1).unwrap().unwrap();
    let mut foreign = certificate.clone();
    foreign.signatures[0].validator = w.id(4);
    foreign.signatures.sort_by_key(|s| s.validator);
    let decided = |c| Gossip::Decided((c, Some(Bytes(block.clone())))).encode();
    let check = blamed(&mut observer, from, &decided(foreign));
    assert_eq!(check, Some(Check::ForeignValidators), "a replica is no validator");
    assert_eq!(observer.state().height, 0, "nothing is final by it");
    assert_eq!(blamed(&mut observer, from, &decided(certificate)), None, "the validators' own");
    assert_eq!(observer.state().height, 1, "makes it final");
}

#[test]
fn a_request_for_too_much_is_refused_and_one_at_the_limit_answered() {
    let (w, _) = two_headers();
    let mut observer = w.observer(4);
    let mut offer = |count: usize| {
        let contents = vec![ContentId([1; 32]); count];
        observer.on_request(w.id(0), 1, &Request::Offer(contents).encode()).unwrap();
        let answer = |e: Effect| match e {
            Effect::Respond { token: 1, bytes } => Some(Answer::decode(&bytes).unwrap()),
            _ => None,
        };
        observer.take_effects().into_iter().find_map(answer).unwrap()
    };
    assert_eq!(offer(OFFER_MAX + 1), Answer::Refused(u64::from(Check::TooLarge.code())), "one too many");
    assert!(matches!(offer(OFFER_MAX), Answer::Lacking(lacking) if lacking.len() == OFFER_MAX), "the limit");
}

#[test]
fn a_reveal_closes_the_lock_that_it_opens_and_no_other() {
    let mut w = World::new(5, 4, 0);
    w.run(50);
    let author = w.doctor(0, 100);
    let reader = w.doctor(1, 110);
    let mut ada = w.patient(0, 140);
    let record = w.record(&author, &mut ada, Category::Laboratory, 100);
    let grant = w.grant(0, &mut ada, Grantee::Person(reader.id), Category::Laboratory);
    let right = ada.secret.lock_key().reveal(&grant.content.salt);
    w.tap(0, &ada, vec![grant]);
    let reads = |w: &World| w.may_read(1, &reader, &ada, &record).is_permitted();
    assert!(w.run_until(10_000, reads), "the grant permits");
    let mut wrong = right;
    wrong.0[0] ^= 1;
    for (name, reveal, permits) in [("wrong", wrong, true), ("right", right, false)] {
        let role = w.role(2, name);
        let filed = w.file(2, Filing { reveal: vec![reveal], ..role });
        assert!(w.run_until(5_000, |w| w.is_final(1, &filed)), "whoever carries it");
        assert_eq!(reads(&w), permits, "{name}");
    }
}
