//! The federation grows and shrinks under load: organizations join and leave by votes, the set of validators grows
//! from one to four to seven and shrinks to four; nothing is lost, one block stands at each height, and certificates
//! count by their own set.
//!
//! Method: services over memory and virtual time; every node files an entry at each step. Replay: the printed seed.

use std::collections::BTreeMap;

use hospes_protocol::block::{Block, ValidatorSet};
use hospes_protocol::check::{Check, Rejected};
use hospes_protocol::control::{NodeEntry, OrganizationEntry, Standing, ValidatorSetEntry};
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::ValidatorsHash;
use hospes_service::filing::{FileError, Filed, Filing};
use hospes_storage::Ledger as _;

use crate::world::{World, for_seeds};

fn try_filing(w: &mut World, i: usize, filing: Filing) -> Result<Filed, Check> {
    w.try_file(i, filing).map_err(|e| match e {
        FileError::Rejected(Rejected { check }) => check,
        other => panic!("{other}"),
    })
}

fn set_of(w: &World, nodes: &[usize]) -> ValidatorSetEntry {
    let mut nodes: Vec<_> = nodes.iter().map(|i| w.id(*i)).collect();
    nodes.sort_unstable();
    ValidatorSetEntry { nodes }
}

fn entry(w: &World, i: usize) -> NodeEntry {
    w.nodes[0].service.as_ref().unwrap().state().membership.nodes[&w.id(i)].clone()
}

/// Entries of all nodes that are not waited for.
fn load(w: &mut World, step: usize, filed: &mut Vec<Filed>) {
    for i in 0..w.nodes.len() {
        let role = w.role(i, &format!("role {step} of {i}"));
        filed.extend(w.try_file(i, role));
    }
}

/// Notes the sets that a node has seen.
fn note(w: &World, sets: &mut BTreeMap<ValidatorsHash, ValidatorSet>) {
    for place in &w.nodes {
        let Some(service) = &place.service else { continue };
        let set = (*service.state().validators).clone();
        sets.insert(set.hash(), set);
    }
}

/// Every certificate of every node counts by the set that the block before named.
fn certified_by_their_sets(w: &World, sets: &BTreeMap<ValidatorsHash, ValidatorSet>) {
    let network = w.genesis.network();
    let mut expected = w.genesis.validator_set().unwrap().hash();
    for height in 1..=w.height(0) {
        let (bytes, certificate) = w.nodes[0].store.as_ref().unwrap().block(height).unwrap().unwrap();
        let block = Block::read(&bytes, &network).unwrap();
        assert_eq!(block.validators, expected, "height {height} is decided by the set that was named");
        assert_eq!(certificate.verify(&network, &sets[&expected]), Ok(()), "and certified by it");
        for (hash, other) in sets.iter().filter(|(hash, _)| **hash != expected) {
            assert!(certificate.verify(&network, other).is_err(), "and by no other: {hash:?}");
        }
        expected = block.next_validators;
    }
}

#[test]
fn the_set_grows_from_one_to_seven_and_shrinks_to_four_under_load() {
    for_seeds(0..4, |seed| {
        let mut w = World::new(seed, 1, 6);
        w.loss = 0.03;
        w.run(50);
        let (mut filed, mut sets) = (Vec::new(), BTreeMap::new());
        note(&w, &mut sets);
        let steps: [&[usize]; 5] =
            [&[0, 1, 2, 3], &[0, 1, 2, 3, 4, 5, 6], &[1, 2, 3, 4, 5, 6], &[3, 4, 5, 6], &[0, 3, 5, 6]];
        for (step, nodes) in steps.into_iter().enumerate() {
            load(&mut w, 2 * step, &mut filed);
            let change = set_of(&w, nodes);
            let filing = w.control(step % 2, Kind::ValidatorSet, &change, &[0, 1, 2, 3, 4]);
            let changed = w.file(step % 2, filing);
            w.run(seed * 7 + 3);
            load(&mut w, 2 * step + 1, &mut filed);
            let everywhere = |w: &World| (0..7).all(|i| w.is_final(i, &changed));
            assert!(w.run_until(120_000, everywhere), "step {step}: the set changes, seed {seed}");
            note(&w, &mut sets);
            let now = w.nodes[0].service.as_ref().unwrap().state().validators.len();
            assert_eq!(now, nodes.len(), "step {step}: to so many");
        }
        let all = |w: &World| filed.iter().all(|f| (0..7).all(|i| w.is_final(i, f)));
        assert!(w.run_until(120_000, all), "nothing that was filed is lost");
        assert_eq!(filed.len(), 70, "each node filed at each step");
        w.check();
        certified_by_their_sets(&w, &sets);
    });
}

#[test]
fn a_validator_may_be_removed_while_it_proposes() {
    for_seeds(0..6, |seed| {
        let mut w = World::new(seed, 4, 0);
        w.run(50);
        let offset = usize::try_from(seed % 3).unwrap();
        (0..offset).for_each(|n| {
            let role = w.role(0, &format!("before {n}"));
            let filed = w.file(0, role);
            assert!(w.run_until(10_000, |w| (0..4).all(|i| w.is_final(i, &filed))), "a height");
        });
        let state = w.nodes[0].service.as_ref().unwrap().state();
        let turn = usize::try_from((state.height + 1) % 4).unwrap();
        let proposer = state.validators.validators[turn].node;
        let victim = (0..4).find(|i| w.id(*i) == proposer).unwrap();
        let by = (victim + 1) % 4;
        let mut filed = Vec::new();
        load(&mut w, 0, &mut filed);
        filed.retain(|f| !w.is_final(victim, f));
        let gone = NodeEntry { standing: Standing::Removed, ..entry(&w, victim) };
        let removal = w.control(by, Kind::Node, &gone, &[0, 1, 2, 3]);
        let removal = w.file(by, removal);
        let others: Vec<_> = (0..4).filter(|i| *i != victim).collect();
        let done = |w: &World| others.iter().all(|i| w.is_final(*i, &removal));
        assert!(w.run_until(30_000, done), "it is removed, perhaps by its own block");
        let role = w.role(by, "after");
        let after = w.file(by, role);
        assert!(w.run_until(30_000, |w| others.iter().all(|i| w.is_final(*i, &after))), "the others go on");
        let set = w.nodes[by].service.as_ref().unwrap().state().validators.clone();
        assert_eq!(set.len(), 3, "three are left");
        let left = |w: &World| others.iter().all(|i| !w.nodes[*i].admitted.contains(&w.id(victim)));
        assert!(left(&w), "and nobody lets it in");
        w.check();
    });
}

#[test]
fn an_organization_joins_and_leaves_by_votes_and_its_node_decides_meanwhile() {
    let mut w = World::new(5, 4, 0);
    w.run(50);
    let (card, joining) = w.organization_to_join();
    let few = w.control(0, Kind::Organization, &joining, &[0, 1, card]);
    assert_eq!(try_filing(&mut w, 0, few), Err(Check::TwoThirdsMissing), "half of four are too few");
    let unsigned = w.control(0, Kind::Organization, &joining, &[0, 1, 2]);
    assert!(try_filing(&mut w, 0, unsigned).is_err(), "nor does it join without its own card");
    let joins = w.control(0, Kind::Organization, &joining, &[0, 1, 2, card]);
    let filed = w.file(0, joins);
    assert!(w.run_until(10_000, |w| (0..4).all(|i| w.is_final(i, &filed))), "three of four admit it");

    let new = w.node_of(card, joining.organization);
    let foreign = w.certificate(new, &[0]);
    assert_eq!(try_filing(&mut w, 0, foreign), Err(Check::NotAuthorized), "nobody else certifies its node");
    let certified = w.certificate(new, &[card]);
    let filed = w.file(0, certified);
    assert!(w.run_until(10_000, |w| (0..4).all(|i| w.is_final(i, &filed))), "its own card does");
    w.start(new);
    assert!(w.run_until(30_000, |w| w.height(new) == w.height(0)), "the node catches up");
    let five = set_of(&w, &[0, 1, 2, 3, new]);
    let grows = w.control(1, Kind::ValidatorSet, &five, &[0, 1, 2, card]);
    let filed = w.file(1, grows);
    assert!(w.run_until(30_000, |w| (0..5).all(|i| w.is_final(i, &filed))), "and becomes a validator");
    let role = w.role(0, "with five");
    let filed = w.file(0, role);
    assert!(w.run_until(30_000, |w| (0..5).all(|i| w.is_final(i, &filed))), "five decide");

    let leaving = OrganizationEntry { standing: Standing::Removed, ..joining };
    let leaves = w.control(0, Kind::Organization, &leaving, &[0, 1, 2, 3]);
    let filed = w.file(0, leaves);
    assert!(w.run_until(30_000, |w| (0..4).all(|i| w.is_final(i, &filed))), "four of five remove it");
    let set = w.nodes[0].service.as_ref().unwrap().state().validators.clone();
    assert_eq!(set.len(), 4, "its node decides no more");
    assert!((0..4).all(|i| !w.nodes[i].admitted.contains(&w.id(new))), "and is let in by nobody");
    let role = w.role(2, "with four");
    let filed = w.file(2, role);
    assert!(w.run_until(30_000, |w| (0..4).all(|i| w.is_final(i, &filed))), "four go on");
    w.check();
}

#[test]
fn the_last_validator_cannot_go() {
    let mut w = World::new(6, 1, 1);
    w.run(50);
    let gone = NodeEntry { standing: Standing::Removed, ..entry(&w, 0) };
    let removal = w.control(0, Kind::Node, &gone, &[0, 1]);
    assert_eq!(try_filing(&mut w, 0, removal), Err(Check::LastValidator), "nobody would decide");
    let organization = w.genesis.organizations.iter().find(|o| o.organization == w.nodes[0].organization);
    let leaving = OrganizationEntry { standing: Standing::Removed, ..organization.unwrap().clone() };
    let leaves = w.control(0, Kind::Organization, &leaving, &[0, 1]);
    assert_eq!(try_filing(&mut w, 0, leaves), Err(Check::LastValidator), "nor with its organization");
    let none = w.control(0, Kind::ValidatorSet, &ValidatorSetEntry { nodes: Vec::new() }, &[0, 1]);
    assert_eq!(try_filing(&mut w, 0, none), Err(Check::ScopeForm), "nor by a set of nobody");
    let other = set_of(&w, &[1]);
    let alone = w.control(0, Kind::ValidatorSet, &other, &[0]);
    assert_eq!(try_filing(&mut w, 0, alone), Err(Check::TwoThirdsMissing), "one of two changes nothing");
    let hands_over = w.control(0, Kind::ValidatorSet, &other, &[0, 1]);
    let filed = w.file(0, hands_over);
    assert!(w.run_until(10_000, |w| w.is_final(1, &filed)), "once another decides");
    let removal = w.control(1, Kind::Node, &gone, &[0]);
    let filed = w.file(1, removal);
    assert!(w.run_until(10_000, |w| w.is_final(1, &filed)), "it may go");
    w.check();
}
