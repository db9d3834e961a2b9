//! What a node that was away goes by: a state on its certified block, a handover by the set before it.

use super::world::*;
use crate::block::{Block, CommitCertificate};
use crate::check::Check;
use crate::control::{OrganizationEntry, PractitionerEntry, Standing, ValidatorSetEntry};
use crate::entry::Kind;
use crate::ids::{BlockHash, NetworkId, Reveal};
use crate::keys::Signer;
use crate::state::{Handover, LedgerState, StateSnapshot, certified};
use crate::wire::{Bytes, Wire};

/// A block that hands over to three of four validators, with its certificate.
fn handed_over() -> (World, LedgerState, Block, CommitCertificate) {
    let mut w = World::of(4);
    let mut nodes: Vec<_> = w.nodes.iter().map(node_id).take(3).collect();
    nodes.sort_unstable();
    let content = w.content(0, Kind::ValidatorSet, &ValidatorSetEntry { nodes });
    let body = w.body(&content, &[0, 1, 2]);
    let header = w.header(0, &content, vec![Reveal([8; 32])]);
    let (block, executed) = w.block(&[header], &[body], &[]).expect("a lawful block");
    let before = std::mem::replace(&mut w.state, executed.state);
    let certificate = w.certify();
    (w, before, block, certificate)
}

#[test]
fn a_state_counts_only_on_the_block_that_names_it() {
    let (w, before, block, _) = handed_over();
    let (set, locks) = (&*before.validators, w.state.locks.root());
    let back = w.state.snapshot().stands_on(&block, set, &locks).expect("its own block");
    assert_eq!(back.roots()[0], w.state.roots()[0], "the membership is the same");
    let refused =
        |lie: StateSnapshot, locks| lie.stands_on(&block, set, locks).map(|_| ()).unwrap_err().check;
    let mut lie = w.state.snapshot();
    lie.membership.organizations.pop();
    assert_eq!(refused(lie, &locks), Check::StateRoot, "a member left out");
    let mut lie = w.state.snapshot();
    lie.time += 1;
    assert_eq!(refused(lie, &locks), Check::StateRoot, "another time");
    let mut lie = w.state.snapshot();
    lie.range.peaks.clear();
    assert_eq!(refused(lie, &locks), Check::StateRoot, "fewer final headers");
    let mut lie = w.state.snapshot();
    lie.validators.validators.pop();
    assert_eq!(refused(lie, &locks), Check::NextValidatorsHash, "another set");
    assert_eq!(refused(w.state.snapshot(), &[7; 32]), Check::StateRoot, "other locks");
    let other = w.state.snapshot().stands_on(&block, &w.state.validators, &locks).map(|_| ());
    assert_eq!(other, Err(Check::ValidatorsHash.into()), "decided by another set");
}

#[test]
fn a_handover_counts_by_the_set_before_it() {
    let (w, before, block, certificate) = handed_over();
    let next = (*w.state.validators).clone();
    let handover = Handover { block: Bytes(block.encode()), certificate, next: next.clone() };
    assert_eq!(handover.verify(&block.network, &before.validators), Ok(1), "its own set");
    let refused = handover.verify(&block.network, &next);
    assert_eq!(refused, Err(Check::ValidatorsHash.into()), "another set");
    let other = Handover { next: (*before.validators).clone(), ..handover.clone() };
    let refused = other.verify(&block.network, &before.validators);
    assert_eq!(refused, Err(Check::NextValidatorsHash.into()), "another set follows");
    let mut unsigned = handover;
    unsigned.certificate.signatures.truncate(2);
    let refused = unsigned.verify(&block.network, &before.validators);
    assert_eq!(refused, Err(Check::QuorumMissing.into()), "two of four signed");
}

#[test]
fn a_certificate_is_of_the_block_that_it_comes_with() {
    let (w, before, block, good) = handed_over();
    let (bytes, network, set) = (block.encode(), block.network, &*before.validators);
    let read = |certificate: &CommitCertificate| certified(&bytes, certificate, &network, set);
    assert_eq!(read(&good), Ok(block.clone()), "its own");
    let refused = |change: &dyn Fn(&mut CommitCertificate)| {
        let mut changed = good.clone();
        change(&mut changed);
        read(&changed).expect_err("one thing is wrong").check
    };
    assert_eq!(refused(&|c| c.height = 2), Check::CertificateHeight, "of another height");
    assert_eq!(refused(&|c| c.block = BlockHash([9; 32])), Check::BlockHash, "of another block");
    assert_eq!(refused(&|c| c.signatures.truncate(2)), Check::QuorumMissing, "of two of four");
    let foreign = certified(&bytes, &good, &NetworkId([9; 32]), set).expect_err("another network's");
    assert_eq!(foreign.check, Check::WrongNetwork, "in its own network only");
    assert_eq!(read(&good).map(|b| b.height), Ok(w.state.height), "the height that it led to");
}

#[test]
fn a_snapshot_stands_on_its_block_in_every_field() {
    let (w, before, block, _) = handed_over();
    let (set, locks) = (&*before.validators, w.state.locks.root());
    let judge = |change: &dyn Fn(&mut StateSnapshot)| {
        let mut snapshot = w.state.snapshot();
        change(&mut snapshot);
        snapshot.stands_on(&block, set, &locks).map(|state| state.decided_by).map_err(|r| r.check)
    };
    let decided_by = judge(&|_| {}).expect("as it was taken").expect("after a block");
    assert_eq!(&*decided_by, set, "decided by the set that the reader knows");
    let lies: [&dyn Fn(&mut StateSnapshot); 5] = [
        &|s| s.network = NetworkId([9; 32]),
        &|s| s.height += 1,
        &|s| s.block = BlockHash([9; 32]),
        &|s| s.time += 1,
        &|s| s.frontiers.clear(),
    ];
    for (n, lie) in lies.into_iter().enumerate() {
        assert_eq!(judge(lie), Err(Check::StateRoot), "field {n}");
    }
}

#[test]
fn a_persons_card_ends_when_it_is_replaced_or_suspended_and_only_then() {
    let mut w = World::of(1);
    let first = person(w.organization(0), 1, "1");
    let content = w.content(0, Kind::Practitioner, &first);
    let body = w.body_with(&content, &[0], &[101]);
    assert_eq!(w.files(0, &content, body), None, "enrolled");
    let id = crate::ids::PersonId(content.id().0);
    let later = |entry: PractitionerEntry| PractitionerEntry { person: Some(id), ..entry };
    let ended = |w: &World| {
        let cards = w.state.membership.former_cards(&id.0);
        cards.map(|c| (c.signature.clone(), c.authentication.clone(), c.until)).collect::<Vec<_>>()
    };
    assert_eq!(ended(&w), [], "the card stands");
    let file = |w: &mut World, entry: &PractitionerEntry, own: u8| {
        w.control_with(0, Kind::Practitioner, entry, &[0], &[100 + own])
    };
    assert_eq!(file(&mut w, &later(first.clone()), 1), None, "filed again as it was");
    assert_eq!(ended(&w), [], "the card still stands");
    let second = later(person(first.organization, 2, "1"));
    assert_eq!(file(&mut w, &second, 2), None, "a new card");
    let one = (first.signature.clone(), Some(first.authentication.clone()), 3);
    assert_eq!(ended(&w), std::slice::from_ref(&one), "the first ended with that block");
    let session = PractitionerEntry { authentication: key(95).verifying_key(), ..second.clone() };
    assert_eq!(file(&mut w, &session, 2), None, "another key for sessions");
    let two = (second.signature.clone(), Some(second.authentication.clone()), 4);
    let has = |w: &World, card: &_| ended(w).contains(card);
    assert!(has(&w, &one) && has(&w, &two), "that card ended too");
    let suspended = PractitionerEntry { standing: Standing::Suspended, ..session.clone() };
    assert_eq!(file(&mut w, &suspended, 2), None, "suspended");
    let third = (session.signature.clone(), Some(session.authentication.clone()), 5);
    assert!(has(&w, &third), "its last height is the newest");
    assert_eq!(file(&mut w, &suspended, 2), None, "suspended once more");
    assert!(has(&w, &third), "what ended does not end again");
    assert_eq!(w.state.membership.former_cards(&[7; 32]).count(), 0, "of nobody else");
    let leaves = w.state.membership.leaves().len();
    assert_eq!(
        leaves,
        4 + 2,
        "and they stand in the membership beside organization, node, person and policy"
    );
}

#[test]
fn an_organizations_cards_end_when_it_gives_them_up_or_leaves() {
    let mut w = World::of(4);
    let old = organization(&w.cards[0]);
    let both =
        OrganizationEntry { cards: vec![old.cards[0].clone(), key(30).verifying_key()], ..old.clone() };
    let ended = |w: &World| {
        let cards = w.state.membership.former_cards(&old.organization.0);
        cards.map(|c| (c.signature.clone(), c.authentication.clone(), c.until)).collect::<Vec<_>>()
    };
    let file = |w: &mut World, entry: &OrganizationEntry| w.control(1, Kind::Organization, entry, &[1, 2, 3]);
    assert_eq!(file(&mut w, &both), None, "a card more");
    assert_eq!(ended(&w), [], "the first one stands");
    assert_eq!(file(&mut w, &old), None, "given up again");
    assert_eq!(ended(&w), [(key(30).verifying_key(), None, 2)], "the second ended");
    let gone = OrganizationEntry { standing: Standing::Removed, ..old.clone() };
    assert_eq!(file(&mut w, &gone), None, "removed");
    assert!(ended(&w).contains(&(old.cards[0].clone(), None, 3)), "with it the first ended");
    assert_eq!(ended(&w).len(), 2, "and no other");
}

#[test]
fn with_an_organization_the_cards_of_its_people_end() {
    let mut w = World::of(4);
    let mut enrol = |o: usize, card: u8, number: &str| {
        let entry = person(w.organization(o), card, number);
        let content = w.content(o, Kind::Practitioner, &entry);
        let body = w.body_with(&content, &[o], &[100 + card]);
        assert_eq!(w.files(o, &content, body), None, "enrolled at {o}");
        (crate::ids::PersonId(content.id().0), entry)
    };
    let (first, other) = (enrol(0, 1, "1"), enrol(1, 2, "2"));
    let suspended = enrol(0, 3, "3");
    let standing = Standing::Suspended;
    let lost = PractitionerEntry { person: Some(suspended.0), standing, ..suspended.1.clone() };
    assert_eq!(w.control_with(0, Kind::Practitioner, &lost, &[0], &[103]), None, "one is suspended before");
    let ended = |w: &World, of: &(crate::ids::PersonId, PractitionerEntry)| {
        let cards = w.state.membership.former_cards(&of.0.0);
        cards.map(|c| (c.signature == of.1.signature, c.until)).collect::<Vec<_>>()
    };
    assert_eq!(ended(&w, &first), [], "the card stands");
    let height = w.state.height + 1;
    let gone = OrganizationEntry { standing: Standing::Removed, ..organization(&w.cards[0]) };
    assert_eq!(w.control(1, Kind::Organization, &gone, &[1, 2, 3]), None, "removed");
    assert_eq!(ended(&w, &first), [(true, height)], "its people's cards ended with it");
    assert_eq!(ended(&w, &suspended), [(true, height - 1)], "one that had ended did so before");
    assert_eq!(ended(&w, &other), [], "another organization's stand");
}
