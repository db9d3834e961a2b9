//! A node signs two headers with one number and shows each to a half of the others: one of them becomes final, on
//! every node the same; the node is retired by the evidence; the network goes on.
//!
//! Method: four validators, and a replica whose key signs by hand. Replay: the printed seed, in
//! `for_seeds(SEED..SEED + 1, …)`.

use hospes_protocol::entry::{Content, FORMAT, Header, HeaderFields};
use hospes_protocol::ids::HeaderId;
use hospes_protocol::tap::Body;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::filing::Filing;
use hospes_service::messages::{Gossip, HeaderItem};
use hospes_storage::Ledger;

use crate::people::key;
use crate::world::{World, for_seeds};

/// The place of the node that forks its sequence.
const LIAR: usize = 4;

/// A header of the liar's over a control body, signed by hand.
fn header(w: &World, filing: &Filing, place: (u64, Option<HeaderId>)) -> (HeaderId, HeaderItem) {
    let (_, content): (Body, Content) = Body::read(&filing.body, &w.genesis.network()).unwrap();
    let fields = HeaderFields {
        format: FORMAT,
        network: w.genesis.network(),
        organization: content.organization,
        node: w.id(LIAR),
        sequence: place.0,
        previous: place.1,
        kind: content.kind,
        subject: None,
        content: content.id(),
        lock: None,
        reveal: Vec::new(),
        signed_at: w.now,
    };
    let signed = Header::sign(fields, &mut key(50 + u8::try_from(LIAR).unwrap())).unwrap();
    let control = Some(Bytes(filing.body.clone()));
    (signed.id(), HeaderItem { header: Bytes(signed.as_bytes().to_vec()), control })
}

fn show(w: &mut World, to: &[usize], items: &[HeaderItem]) {
    let (from, now) = (w.id(LIAR), w.now);
    let bytes = Gossip::Headers(items.to_vec()).encode();
    for i in to {
        let service = w.nodes[*i].service.as_mut().unwrap();
        service.tick(now);
        service.on_gossip(from, &bytes).unwrap();
        w.effects(*i);
    }
}

#[test]
fn of_a_forked_sequence_one_branch_stands_everywhere_and_its_node_is_retired() {
    for_seeds(0..12, |seed| {
        let mut w = World::new(seed, 4, 1);
        w.run(50);
        w.kill(LIAR);
        let roles: Vec<_> = (0..4).map(|n| w.role(LIAR, &format!("role {n}"))).collect();
        let one = header(&w, &roles[0], (1, None));
        let one_more = header(&w, &roles[1], (2, Some(one.0)));
        let other = header(&w, &roles[2], (1, None));
        let other_more = header(&w, &roles[3], (2, Some(other.0)));
        let halves = [[0, 1], [2, 3], [1, 2]];
        let half = halves[usize::try_from(seed).unwrap() % 3];
        let rest: Vec<usize> = (0..4).filter(|i| !half.contains(i)).collect();
        show(&mut w, &half, &[one.1, one_more.1]);
        show(&mut w, &rest, &[other.1, other_more.1]);
        let id = w.id(LIAR);
        let retired = |w: &World| {
            (0..4).all(|i| w.nodes[i].service.as_ref().unwrap().state().membership.node(&id).is_none())
        };
        assert!(w.run_until(20_000, retired), "the evidence is in a block, on every node");
        w.run(5_000);
        let stands = |w: &World, i: usize, id: &HeaderId| {
            w.nodes[i].store.as_ref().unwrap().finality(id).unwrap().is_some()
        };
        let first: Vec<bool> = (0..4).map(|i| stands(&w, i, &one.0)).collect();
        let second: Vec<bool> = (0..4).map(|i| stands(&w, i, &other.0)).collect();
        assert!(first.iter().all(|f| *f == first[0]), "one branch is final on all or on none: {first:?}");
        assert!(second.iter().all(|f| *f == second[0]), "and so is the other: {second:?}");
        assert!(!(first[0] && second[0]), "never both");
        let role = w.role(0, "goes on");
        let filed = w.file(0, role);
        assert!(w.run_until(5_000, |w| (0..4).all(|i| w.is_final(i, &filed))), "the others go on");
        w.check();
    });
}
