//! A node that was away for months follows the handovers from one validator set to the next, each certified by the
//! set before; beyond the trust period it goes on from nothing but a block that its own organization's card names.
//!
//! Method: services over memory and virtual time that sleeps for weeks; seven organizations, a set of four that
//! changes three times. Each refusal stands beside what helps.

use hospes_protocol::block::ValidatorSet;
use hospes_protocol::check::{Check, Rejected};
use hospes_protocol::context::Context;
use hospes_protocol::control::ValidatorSetEntry;
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::BlockHash;
use hospes_protocol::sign1::sign1;
use hospes_protocol::state::Checkpoint;
use hospes_protocol::wire::Wire as _;
use hospes_service::filing::FileError;
use hospes_service::messages::Answer;
use hospes_storage::Ledger as _;

use crate::world::World;

const DAY: u64 = 24 * 60 * 60 * 1000;
/// Who was away.
const RURAL: usize = 6;

fn hand_over(w: &mut World, to: &[usize]) {
    let mut nodes: Vec<_> = to.iter().map(|i| w.id(*i)).collect();
    nodes.sort_unstable();
    let filing = w.control(0, Kind::ValidatorSet, &ValidatorSetEntry { nodes }, &[0, 1, 2, 3, 4]);
    let filed = w.file(0, filing);
    let on: Vec<_> = (0..7).filter(|i| w.nodes[*i].service.is_some()).collect();
    assert!(w.run_until(60_000, |w| on.iter().all(|i| w.is_final(*i, &filed))), "the set changes");
    let set = w.nodes[0].service.as_ref().unwrap().state().validators.clone();
    assert_eq!(set.len(), to.len(), "to another");
}

/// Three handovers, `days` apart, while one node is off.
fn months(seed: u64, days: u64) -> World {
    let mut w = World::new(seed, 4, 3);
    w.gap = 2;
    w.run(50);
    hand_over(&mut w, &[0, 1, 2, 3]);
    w.kill(RURAL);
    for to in [[0, 1, 2, 4], [1, 2, 4, 5], [2, 3, 4, 5]] {
        w.sleep(days * DAY);
        hand_over(&mut w, &to);
    }
    w
}

fn caught_up(w: &World) -> bool {
    w.height(RURAL) == w.height(0)
        && w.nodes[RURAL].service.as_ref().unwrap().missing_history().unwrap().is_none()
}

fn signed(w: &mut World, card: usize, (organization, height, block): (usize, u64, BlockHash)) -> Vec<u8> {
    let organization = w.nodes[organization].organization;
    let checkpoint = Checkpoint { organization, height, block, text_hash: [1; 32], language: "en".into() };
    let network = w.genesis.network();
    sign1(&mut w.cards[card], Context::Checkpoint, &network, &checkpoint.encode()).unwrap()
}

fn trust(w: &mut World, checkpoint: &[u8]) -> Result<u64, Check> {
    let taken = w.nodes[RURAL].service.as_mut().unwrap().trust_checkpoint(checkpoint);
    w.effects(RURAL);
    taken.map(|c| c.height).map_err(|e| match e {
        FileError::Rejected(Rejected { check }) => check,
        other => panic!("{other}"),
    })
}

#[test]
fn handovers_lead_a_node_that_was_away_for_two_months_to_the_set_of_today() {
    let mut w = months(1, 20);
    w.start(RURAL);
    assert!(w.run_until(60_000, caught_up), "sixty days are within the trust period");
    let set = |i: usize| w.nodes[i].service.as_ref().unwrap().state().validators.clone();
    assert_eq!(*set(RURAL), *set(0), "it knows who decides");
    w.check();
    let role = w.role(RURAL, "nurse");
    let filed = w.file(RURAL, role);
    assert!(w.run_until(20_000, |w| w.is_final(0, &filed)), "and takes part");
}

#[test]
fn a_handover_that_its_set_did_not_sign_leads_nowhere() {
    let mut w = months(2, 20);
    for i in 0..6 {
        w.nodes[i].lie = Some(|answer| match answer {
            Answer::Handovers(mut handovers) => {
                handovers.drain(..handovers.len().min(1));
                Answer::Handovers(handovers)
            }
            // No peer's blocks either: what is asked is whether handovers alone would do.
            Answer::Blocks(_) => Answer::Blocks(Vec::new()),
            other => other,
        });
    }
    w.start(RURAL);
    let height = w.height(RURAL);
    assert!(!w.run_until(3_000, |w| w.height(RURAL) > height), "one is left out");
    let named = w.nodes[RURAL].blamed.iter().any(|(_, check)| *check == Check::ValidatorsHash);
    assert!(named, "and that is named by its number");
    (0..6).for_each(|i| w.nodes[i].lie = None);
    assert!(w.run_until(60_000, caught_up), "whole, they do");
}

#[test]
fn beyond_the_trust_period_only_a_checkpoint_of_its_own_organization_helps() {
    let mut w = months(3, 35);
    w.start(RURAL);
    let height = w.height(RURAL);
    w.run(60_000);
    assert_eq!(w.height(RURAL), height, "after a hundred days it believes nobody");
    assert!(w.nodes[RURAL].service.as_ref().unwrap().needs_checkpoint().unwrap(), "and says what it needs");

    let state = w.nodes[0].service.as_ref().unwrap().state();
    let (tip, block) = (state.height, state.block);
    let by_another = signed(&mut w, 0, (RURAL, tip, block));
    assert_eq!(trust(&mut w, &by_another), Err(Check::UnknownSigner), "another organization's card");
    let for_another = signed(&mut w, RURAL, (0, tip, block));
    assert_eq!(trust(&mut w, &for_another), Err(Check::WrongOrganization), "for another organization");
    let old = signed(&mut w, RURAL, (RURAL, height, block));
    assert_eq!(trust(&mut w, &old), Err(Check::BlockHeight), "nothing newer than what is here");
    let wrong = signed(&mut w, RURAL, (RURAL, tip, BlockHash([7; 32])));
    assert_eq!(trust(&mut w, &wrong), Ok(tip), "well signed");
    w.run(60_000);
    assert_eq!(w.height(RURAL), height, "but there is no such block");
    let refuted = w.nodes[RURAL].service.as_ref().unwrap().refuted_checkpoint().unwrap();
    assert_eq!(refuted.map(|c| c.height), Some(tip), "and that is said");
    assert!(w.nodes[RURAL].service.as_ref().unwrap().needs_checkpoint().unwrap(), "another is needed");

    // The block before the newest handover: the set that decided it is no longer the one of today.
    let earlier = tip - 1;
    let named = w.nodes[0].store.as_ref().unwrap().certificate(earlier).unwrap().unwrap().block;
    let right = signed(&mut w, RURAL, (RURAL, earlier, named));
    assert_eq!(trust(&mut w, &right), Ok(earlier), "the right one");
    assert!(w.run_until(120_000, caught_up), "it goes on from there, and fetches the past");
    let root = |i: usize| w.nodes[i].service.as_ref().unwrap().state().root();
    assert_eq!(root(RURAL), root(0), "to the same state");
    assert!(!w.nodes[RURAL].service.as_ref().unwrap().needs_checkpoint().unwrap(), "and needs no more");
    w.check();
}

#[test]
fn a_new_node_follows_the_handovers_from_the_genesis_file_whatever_its_age() {
    let mut w = World::new(5, 4, 0);
    w.gap = 2;
    w.run(50);
    for n in 0..4 {
        w.sleep(60 * DAY);
        let role = w.role(0, &format!("role {n}"));
        let filed = w.file(0, role);
        assert!(w.run_until(60_000, |w| (0..4).all(|i| w.is_final(i, &filed))), "a block after two months");
    }
    let ward = w.second_node(0);
    assert!(w.run_until(60_000, |w| w.height(ward) == w.height(0)), "it joins a network of eight months");
    w.check();
}

#[test]
fn the_sets_that_a_node_learned_are_given_on() {
    let mut w = months(4, 20);
    w.start(RURAL);
    assert!(w.run_until(60_000, caught_up), "it catches up");
    let mut known = w.genesis.validator_set().unwrap();
    let store = w.nodes[RURAL].store.clone().unwrap();
    for height in 1..=w.height(RURAL) {
        let (bytes, certificate) = store.block(height).unwrap().unwrap();
        let block = hospes_protocol::block::Block::read(&bytes, &w.genesis.network()).unwrap();
        assert_eq!(
            certificate.verify(&w.genesis.network(), &known),
            Ok(()),
            "height {height} by its own set"
        );
        if block.next_validators != block.validators {
            let state = w.nodes[RURAL].service.as_ref().unwrap().state();
            let all = state.membership.nodes.iter().map(|(id, n)| hospes_protocol::block::Validator {
                node: *id,
                organization: n.organization,
                key: n.key.clone(),
            });
            let all: Vec<_> = all.collect();
            let sets = (0..1_u32 << all.len()).filter(|m| m.count_ones() == 4).map(|m| {
                let picked = all.iter().enumerate().filter(|(i, _)| m >> i & 1 == 1).map(|(_, v)| v.clone());
                ValidatorSet::new(picked.collect()).unwrap()
            });
            known = sets.into_iter().find(|s| s.hash() == block.next_validators).unwrap();
        }
    }
}
