//! Blocks over a small network: what changes the state, what is refused, and that order has no effect.

use std::collections::BTreeMap;

use super::world::*;
use crate::block::{Block, Fork};
use crate::check::Check;
use crate::entry::{Content, Header, Kind};
use crate::ids::{BlockHash, NodeId, Reveal, StateRoot};
use crate::state::{LedgerState, StandingProof, StateSnapshot};
use crate::wire::{Bytes, Wire};

#[test]
fn a_withdrawn_content_filed_again_has_no_effect() {
    let mut w = World::of(4);
    let reveal = Reveal([8; 32]);
    let mut content = w.content(0, Kind::Grant, &1_u64);
    content.lock = Some(reveal.lock());
    let (granted, revocation) = (w.header(0, &content, Vec::new()), w.content(1, Kind::Revocation, &2_u64));
    let (_, executed) = w.block(&[granted], &[], &[]).expect("a lawful block");
    assert_eq!(executed.outcomes[0].void, None, "before the withdrawal");
    w.state = executed.state;
    let revoked = w.header(1, &revocation, vec![reveal]);
    let (_, executed) = w.block(&[revoked], &[], &[]).expect("a lawful block");
    assert_eq!(executed.closed, [reveal.lock()], "the reveal closes the lock");
    w.state = executed.state;
    let again = w.header(0, &content, Vec::new());
    let (_, executed) = w.block(&[again], &[], &[]).expect("a lawful block");
    assert_eq!(executed.outcomes[0].void, Some(Check::LockClosed), "filed again after it");
}

#[test]
fn headers_that_arrive_in_any_order_lead_to_one_root() {
    let mut w = World::of(4);
    let mut headers = Vec::new();
    for i in 0..40_u8 {
        let by = usize::from(i % 4);
        let content = w.content(by, Kind::Record, &u64::from(i));
        headers.push(w.header(by, &content, vec![Reveal([i; 32])]));
    }
    let (_, forward) = w.block(&headers, &[], &[]).expect("a lawful block");
    headers.reverse();
    let (_, backward) = w.block(&headers, &[], &[]).expect("a lawful block");
    assert_eq!(forward.state.root(), backward.state.root(), "network order has no effect");
    headers.pop();
    let fewer = w.block(&headers[1..], &[], &[]).map(|(_, e)| e.state.root());
    assert_ne!(fewer, Ok(forward.state.root()), "one header less shows in the root");
}

#[test]
fn gaps_forks_and_foreign_headers_are_refused() {
    let mut w = World::of(4);
    let (c1, c2) = (w.content(0, Kind::Record, &1_u64), w.content(0, Kind::Record, &2_u64));
    let (one, two) = (w.header(0, &c1, Vec::new()), w.header(0, &c2, Vec::new()));
    let gap = w.block(std::slice::from_ref(&two), &[], &[]).map(|_| ());
    assert_eq!(gap, Err(Check::CutForm.into()), "the second without the first");
    w.heads.clear();
    let other = w.header(0, &c2, Vec::new());
    let evidence = |a: &Header, b: &Header| Fork {
        one: Bytes(a.as_bytes().to_vec()),
        other: Bytes(b.as_bytes().to_vec()),
    };
    let same = w.block(&[], &[], &[evidence(&one, &one)]).map(|_| ());
    assert_eq!(same, Err(Check::Evidence.into()), "one header twice is no fork");
    let (_, executed) = w.block(std::slice::from_ref(&one), &[], &[evidence(&one, &other)]).expect("lawful");
    assert!(executed.state.membership.node(&one.fields().node).is_none(), "the node is retired");
    assert_eq!(executed.state.frontiers[&one.fields().node].1, one.id(), "what was final first stands");
}

#[test]
fn a_block_is_judged_by_every_field() {
    let mut w = World::of(4);
    let content = w.content(0, Kind::Record, &1_u64);
    let header = w.header(0, &content, Vec::new());
    let (good, _) = w.block(std::slice::from_ref(&header), &[], &[]).expect("a lawful block");
    let headers = [header];
    assert!(w.state.judge(&good, &headers, Some(2_000)).is_ok(), "as built");
    let verdict = |change: &dyn Fn(&mut Block)| {
        let mut block = good.clone();
        change(&mut block);
        w.state.judge(&block, &headers, Some(2_000)).map(|_| ()).expect_err("one field is wrong").check
    };
    assert_eq!(verdict(&|b| b.height = 2), Check::BlockHeight, "height");
    assert_eq!(verdict(&|b| b.previous = BlockHash([1; 32])), Check::BlockPrev, "previous");
    assert_eq!(verdict(&|b| b.time = 999), Check::TimeBackwards, "time runs backwards");
    assert_eq!(verdict(&|b| b.time = 7_001), Check::TimeAhead, "time beyond the skew");
    assert_eq!(verdict(&|b| b.proposer = NodeId([1; 32])), Check::Proposer, "a stranger proposes");
    assert_eq!(verdict(&|b| b.state_root = StateRoot([1; 32])), Check::StateRoot, "state root");
    assert_eq!(verdict(&|b| b.validators.0[0] ^= 1), Check::ValidatorsHash, "validators");
    assert_eq!(verdict(&|b| b.next_validators.0[0] ^= 1), Check::NextValidatorsHash, "next validators");
    assert_eq!(verdict(&|b| b.network.0[0] ^= 1), Check::WrongNetwork, "network");
    assert_eq!(verdict(&|b| b.cuts[0].last.0[0] ^= 1), Check::CutForm, "cut");
    assert_eq!(verdict(&|b| b.control.push(Bytes(vec![]))), Check::CutForm, "a control body too many");
}

#[test]
fn a_state_comes_back_from_its_snapshot_and_proves_what_stands() {
    let mut w = World::of(4);
    let (grant, reveal) = (w.content(0, Kind::Grant, &1_u64), Reveal([8; 32]));
    let grant = Content { lock: Some(reveal.lock()), ..grant };
    let header = w.header(0, &grant, Vec::new());
    let (_, executed) = w.block(std::slice::from_ref(&header), &[], &[]).expect("a lawful block");
    let nodes: BTreeMap<_, _> = executed.range.iter().map(|n| ((n.level, n.index), n.hash)).collect();
    let read = |level, index| nodes.get(&(level, index)).copied();
    let state = executed.state;
    let bytes = state.snapshot().encode();
    assert_eq!(
        state.encode_snapshot(),
        bytes,
        "a validator set that decided, frontiers and a range among it"
    );
    let back = StateSnapshot::decode(&bytes).expect("its own encoding");
    let restored = LedgerState::restore(back, state.locks.clone()).expect("lawful");
    assert_eq!(restored.root(), state.root(), "nothing is lost");
    let proof = StandingProof::of(&state, &header, 0, read).expect("it is final");
    assert_eq!(proof.verify(&header, &state.root()), Ok(true), "final and not withdrawn");
    assert!(proof.encode().len() < 1024, "about a kilobyte");
    let mut withdrawn = state;
    withdrawn.locks.close(&reveal.lock());
    let proof = StandingProof::of(&withdrawn, &header, 0, read).expect("it is final");
    assert_eq!(proof.verify(&header, &withdrawn.root()), Ok(false), "withdrawn");
    let moved = proof.verify(&header, &restored.root());
    assert_eq!(moved, Err(Check::StateRoot.into()), "a proof for another root");
}

#[test]
fn unknown_kinds_are_ordered_and_never_applied() {
    let mut w = World::of(1);
    let mut content = w.content(0, Kind::Record, &1_u64);
    content.kind = 999;
    let header = w.header(0, &content, Vec::new());
    let before = w.state.membership.root();
    let (_, executed) = w.block(&[header], &[], &[]).expect("a lawful block");
    assert_eq!(executed.outcomes[0].void, None, "final like any other");
    assert_eq!(executed.state.membership.root(), before, "without effect");
}
