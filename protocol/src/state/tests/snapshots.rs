//! What a state says of itself: its root over every part, its snapshot, its proofs.

use super::world::*;
use crate::accumulator::LockTree;
use crate::check::Check;
use crate::context::Context;
use crate::control::{
    CeremonyBlocks, CheckpointEntry, CommitteeEntry, OrganizationKeyEntry, PolicyEntry, PractitionerEntry,
    RoleEntry, Roster,
};
use crate::entry::{Content, Kind};
use crate::ids::{BlockHash, Reveal, sha256};
use crate::state::{LedgerState, StandingProof, StateSnapshot};
use crate::wire::Wire;

/// With one entry of every kind, and the root after each.
fn full() -> (World, Vec<[u8; 32]>) {
    let mut w = World::of(1);
    let (a, validators) = (w.organization(0), w.state.validators.validators.clone());
    let role = RoleEntry {
        organization: a,
        name: "doctor".into(),
        categories: Vec::new(),
        rights: 7,
        administrator: false,
        attested: false,
    };
    let partners =
        PolicyEntry { organization: Some(a), fields: None, backup_partners: Vec::new(), tier_zero: true };
    let committee = CommitteeEntry {
        name: "ledger".into(),
        roster: Roster::Validators(vec![validators[0].node]),
        shares_needed: 1,
        provers_needed: 1,
        previous: None,
        blocks: CeremonyBlocks { deal: 1, complain: 2, answer: 3, prove: 4 },
        local: None,
    };
    let point = CheckpointEntry { height: 1, block: BlockHash([1; 32]), validators };
    let epoch = OrganizationKeyEntry { organization: a, epoch: 1, key: agreement(7), packets: Vec::new() };
    let mut roots = vec![w.state.membership.root()];
    let mut see = |w: &World, void: Option<Check>| {
        assert_eq!(void, None, "lawful");
        roots.push(w.state.membership.root());
    };
    let void = w.control(0, Kind::Role, &role, &[0]);
    see(&w, void);
    let doctor = PractitionerEntry { roles: vec!["doctor".into()], ..person(a, 1, "1") };
    let void = w.control_with(0, Kind::Practitioner, &doctor, &[0], &[101]);
    see(&w, void);
    let void = w.control(0, Kind::Policy, &partners, &[0]);
    see(&w, void);
    let void = w.control(0, Kind::Committee, &committee, &[0]);
    see(&w, void);
    let void = w.control(0, Kind::Checkpoint, &point, &[0]);
    see(&w, void);
    let void = w.control(0, Kind::OrganizationKey, &epoch, &[0]);
    see(&w, void);
    (w, roots)
}

#[test]
fn every_member_shows_in_the_root_and_comes_back_from_the_snapshot() {
    let (w, roots) = full();
    let distinct: std::collections::BTreeSet<_> = roots.iter().collect();
    assert_eq!(distinct.len(), 7, "each entry changed the root");
    assert_eq!(w.state.membership.leaves().len(), 9, "organization, node, policy, and the six");
    let bytes = w.state.snapshot().encode();
    let back = StateSnapshot::decode(&bytes).expect("its own encoding");
    let restored = LedgerState::restore(back, w.state.locks.clone()).expect("lawful");
    assert_eq!(restored.roots(), w.state.roots(), "every part of the state");
    assert_eq!(restored.snapshot().encode(), bytes, "to the byte");
    assert_eq!(w.state.encode_snapshot(), bytes, "also where the members were encoded before");
    assert_eq!(restored.membership.leaves(), w.state.membership.leaves(), "member by member");
    let key = key(101);
    let person = restored.membership.person_by_key(&crate::keys::Signer::verifying_key(&key).id());
    assert_eq!(person.map(|p| p.1.register_number.as_str()), Some("1"), "people are found by their keys");
    let copy = (*w.state.membership).clone();
    assert_eq!(copy.root(), w.state.membership.root(), "a copy says the same");
}

#[test]
fn a_snapshot_of_no_validators_is_refused() {
    let w = World::of(1);
    let mut snapshot = w.state.snapshot();
    assert!(LedgerState::restore(snapshot.clone(), LockTree::default()).is_ok(), "as it was taken");
    snapshot.validators.validators.clear();
    let refused = LedgerState::restore(snapshot, LockTree::default()).map(|_| ());
    assert_eq!(refused, Err(Check::ScopeForm.into()), "without validators");
}

#[test]
fn the_members_are_under_the_root_of_the_rfcs_tree() {
    let leaf = |bytes: &Vec<u8>| sha256(&[&[0], bytes]);
    let pair = |a: &[u8; 32], b: &[u8; 32]| sha256(&[&[1], a, b]);
    let seal = |root: &[u8; 32]| sha256(&[Context::StateMembership.text().as_bytes(), root]);
    let three = World::of(1).state.membership;
    let l: Vec<_> = three.leaves().iter().map(leaf).collect();
    assert_eq!(three.root(), seal(&pair(&pair(&l[0], &l[1]), &l[2])), "organization and node; policy");
    let five = World::of(2).state.membership;
    let l: Vec<_> = five.leaves().iter().map(leaf).collect();
    let four = pair(&pair(&l[0], &l[1]), &pair(&l[2], &l[3]));
    assert_eq!(five.root(), seal(&pair(&four, &l[4])), "two of each; policy");
}

#[test]
fn the_root_is_over_membership_frontiers_locks_and_range() {
    let mut w = World::of(1);
    let content = w.content(0, Kind::Record, &1_u64);
    let header = w.header(0, &content, vec![Reveal([1; 32])]);
    let (_, executed) = w.block(&[header], &[], &[]).expect("a lawful block");
    let (before, after) = (w.state.roots(), executed.state.roots());
    let changed: Vec<_> = before.iter().zip(&after).map(|(a, b)| a != b).collect();
    assert_eq!(changed, [false, true, true, true], "all but the membership");
    let parts: Vec<_> = after.iter().map(|root| &root[..]).collect();
    let text = Context::StateRoot.text().as_bytes();
    let expected = sha256(&[text, parts[0], parts[1], parts[2], parts[3]]);
    assert_eq!(executed.state.root().0, expected, "in this order");
    let frontiers = executed.state.snapshot().frontiers;
    assert_eq!((frontiers.len(), frontiers[0].sequence), (1, 1), "the node's first header");
    assert_eq!(after[1], sha256(&[&frontiers.encode()]), "as they are listed");
}

#[test]
fn a_proof_speaks_of_a_lock_where_the_header_has_one_and_only_there() {
    let mut w = World::of(1);
    let locked = Content { lock: Some(Reveal([8; 32]).lock()), ..w.content(0, Kind::Grant, &1_u64) };
    let plain = w.content(0, Kind::Record, &2_u64);
    let headers = [w.header(0, &locked, Vec::new()), w.header(0, &plain, Vec::new())];
    let (_, executed) = w.block(&headers, &[], &[]).expect("a lawful block");
    let read =
        |level, index| executed.range.iter().find(|n| (n.level, n.index) == (level, index)).map(|n| n.hash);
    let (state, root) = (&executed.state, executed.state.root());
    let proofs = [0, 1].map(|leaf| {
        StandingProof::of(state, &headers[usize::from(leaf == 1)], leaf, read).expect("it is final")
    });
    for (proof, header) in proofs.iter().zip(&headers) {
        assert_eq!(proof.verify(header, &root), Ok(true), "final and not withdrawn");
        assert_eq!(proof.lock.is_some(), header.fields().lock.is_some(), "its lock, if it has one");
    }
    let refused = Err(Check::StateRoot.into());
    let without = StandingProof { lock: None, ..proofs[0].clone() };
    assert_eq!(without.verify(&headers[0], &root), refused, "a lock that is left out");
    let with = StandingProof { lock: proofs[0].lock.clone(), ..proofs[1].clone() };
    assert_eq!(with.verify(&headers[1], &root), refused, "a lock that isn't there");
    assert!(StandingProof::of(state, &headers[1], 2, read).is_none(), "of no final header there is none");
}
