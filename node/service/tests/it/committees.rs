//! Validators come to one ledger key by themselves: under loss, through restarts, with one of them silent or lying; and
//! another set takes the key over. Every node sees the same, also one that was away.
//!
//! Method: services over memory and virtual time, with a block a second. Replay: the seed is printed.

use hospes_breakglass::ceremony::{Deal, Phase, Refused, Said};
use hospes_breakglass::threshold::{
    Dealing, Index, Purpose, SignatureShare, Threshold, ThresholdError, ThresholdKey,
};
use hospes_protocol::control::{
    CeremonyBlocks, CommitteeEntry, CommitteeMember, DkgEntry, LEDGER_COMMITTEE, PolicyFields, Roster,
    ValidatorSetEntry,
};
use hospes_protocol::entry::Kind;
use hospes_protocol::genesis::default_policy;
use hospes_protocol::ids::{ContentId, PersonId};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::committees::{CommitteeView, GuardianRow, Stage};
use hospes_service::effects::Event;
use hospes_service::service::Service;
use hospes_storage::{Objects as _, SealedRow, Write};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::world::{World, for_seeds};

const BLOCKS: CeremonyBlocks = CeremonyBlocks { deal: 6, complain: 12, answer: 18, prove: 26 };

fn world(seed: u64, validators: u8, replicas: u8) -> World {
    let policy = PolicyFields { idle_block_ms: 1_000, ..default_policy() };
    let mut w = World::under(seed, validators, replicas, policy);
    w.run(50);
    w
}

fn service(w: &World, i: usize) -> &Service {
    w.nodes[i].service.as_ref().expect("the node is on")
}

fn entry(w: &World, nodes: &[usize], needed: u64, previous: Option<ContentId>) -> CommitteeEntry {
    CommitteeEntry {
        name: LEDGER_COMMITTEE.into(),
        roster: Roster::Validators(nodes.iter().map(|i| w.id(*i)).collect()),
        shares_needed: needed,
        provers_needed: needed,
        previous,
        blocks: BLOCKS,
        local: None,
    }
}

/// Sets a committee, by these cards; gives its entry's id.
fn set(w: &mut World, entry: &CommitteeEntry, cards: &[usize]) -> ContentId {
    let filing = w.control(0, Kind::Committee, entry, cards);
    w.file(0, filing).content
}

fn view(w: &World, i: usize, committee: &ContentId) -> Option<CommitteeView> {
    let views = service(w, i).committees().expect("the store holds");
    views.into_iter().find(|v| v.committee.id == *committee)
}

fn key(w: &World, i: usize) -> Option<(ContentId, ThresholdKey)> {
    let standing = service(w, i).committee_key(LEDGER_COMMITTEE).expect("the store holds");
    standing.map(|s| (s.committee, s.key))
}

fn stands(w: &World, i: usize, committee: &ContentId) -> bool {
    w.nodes[i].service.is_some() && key(w, i).is_some_and(|(id, _)| id == *committee)
}

/// Whether the shares of these nodes make a signature of the key.
fn sign(w: &World, key: &ThresholdKey, nodes: &[usize]) -> bool {
    let share = |i: &usize| -> SignatureShare {
        let (_, share) = service(w, *i).ledger_share().expect("the store holds").expect("it keeps a share");
        share.sign(Purpose::Release, b"m")
    };
    let shares: Vec<_> = nodes.iter().map(share).collect();
    let signature = key.combine(Purpose::Release, b"m", &shares);
    signature.is_ok_and(|s| key.public().verify(Purpose::Release, b"m", &s).is_ok())
}

const GUARDIAN: PersonId = PersonId([1; 32]);

/// What a desk keeps for a guardian: the share, and what the dealing was made from.
fn keep_for_a_guardian(w: &World, i: usize, committee: &ContentId) {
    let row = |row: GuardianRow| {
        let key = row.key(committee, &GUARDIAN);
        Write::Sealed(SealedRow { key, patient: None, value: vec![1] })
    };
    let rows = [row(GuardianRow::Share), row(GuardianRow::Seed)];
    w.nodes[i].store.as_ref().unwrap().apply(&rows).unwrap();
}

fn kept_for_a_guardian(w: &World, i: usize, committee: &ContentId) -> [bool; 2] {
    let store = w.nodes[i].store.as_ref().unwrap();
    [GuardianRow::Share, GuardianRow::Seed]
        .map(|row| store.sealed(&row.key(committee, &GUARDIAN)).unwrap().is_some())
}

fn refusals(w: &World, i: usize) -> Vec<Refused> {
    let refused = |event: &Event| match event {
        Event::Ceremony { refused, .. } => *refused,
        _ => None,
    };
    w.nodes[i].events.iter().filter_map(refused).collect()
}

#[test]
fn four_validators_come_to_one_key_under_loss_and_through_restarts() {
    for_seeds(0..3, |seed| {
        let mut w = world(seed, 4, 0);
        w.loss = 0.1;
        let entry = entry(&w, &[0, 1, 2, 3], 3, None);
        let committee = set(&mut w, &entry, &[0, 1, 2]);
        // One after another loses power, in each phase of the ceremony.
        for round in 0..8 {
            w.run(3_000);
            w.kill(round % 4);
            w.run(700);
            w.start(round % 4);
        }
        let all = |w: &World| (0..4).all(|i| stands(w, i, &committee));
        assert!(w.run_until(120_000, all), "every node comes to a key");
        w.run(20_000);
        let keys: Vec<_> = (0..4).map(|i| key(&w, i).expect("it stands").1).collect();
        assert!(keys.windows(2).all(|k| k[0] == k[1]), "all to the same");
        assert_eq!(keys[0].threshold(), Threshold::new(3, 4).unwrap(), "three of four");
        assert!(sign(&w, &keys[0], &[0, 2, 3]), "three sign with it");
        assert!(sign(&w, &keys[0], &[3, 1, 0]), "any three");
        assert!(!sign(&w, &keys[0], &[1, 2]), "two don't");
        for i in 0..4 {
            assert_eq!(refusals(&w, i), [], "nobody said anything wrong, or twice");
            w.kill(i);
            w.start(i);
            assert_eq!(key(&w, i).expect("it stands").1, keys[0], "it is there after another start");
        }
        assert!(sign(&w, &keys[0], &[0, 1, 2]), "and so are the shares");
        w.check();
    });
}

#[test]
fn a_silent_validator_keeps_nobody_from_the_key() {
    let mut w = world(7, 4, 0);
    w.cut(3);
    let entry = entry(&w, &[0, 1, 2, 3], 3, None);
    let committee = set(&mut w, &entry, &[0, 1, 2]);
    assert!(w.run_until(10_000, |w| view(w, 0, &committee).is_some()), "it is set");
    let waits = view(&w, 0, &committee).expect("it is set");
    assert_eq!(waits.missing.len(), 4, "everyone is to deal");
    w.run(4_000);
    let absent = [CommitteeMember::Validator(w.id(3))];
    assert_eq!(view(&w, 0, &committee).expect("it is set").missing, absent, "one has not");
    assert!(key(&w, 0).is_none(), "there is no key yet");
    assert!(w.run_until(60_000, |w| (0..3).all(|i| stands(w, i, &committee))), "the others go on");
    let (_, ours) = key(&w, 0).expect("it stands");
    assert_eq!(view(&w, 1, &committee).expect("it is set").missing, absent, "one has no proved share");
    assert!(sign(&w, &ours, &[0, 1, 2]), "three sign");
    w.heal(3);
    assert!(w.run_until(60_000, |w| stands(w, 3, &committee)), "it comes back");
    w.run(5_000);
    assert_eq!(key(&w, 3).expect("it stands").1, ours, "it sees the same key");
    assert!(sign(&w, &ours, &[3, 1, 2]), "and takes its share of what the others dealt");
    w.check();
}

/// What a validator says that its node would not.
fn says(w: &mut World, i: usize, committee: ContentId, said: &Said) {
    let sender = CommitteeMember::Validator(w.id(i));
    let entry = DkgEntry { committee, sender, said: Bytes(said.encode()) };
    let filing = w.control(i, Kind::Dkg, &entry, &[]);
    w.file(i, filing);
}

#[test]
fn a_validator_that_deals_wrongly_is_out_everywhere_alike() {
    let mut w = world(8, 4, 0);
    let entry = entry(&w, &[0, 1, 2, 3], 3, None);
    let committee = set(&mut w, &entry, &[0, 1, 2]);
    assert!(w.run_until(10_000, |w| view(w, 3, &committee).is_some()), "it is set");
    // Before its node comes to deal: a polynomial of a lower degree, of which two shares would be enough.
    let low = Threshold::new(2, 4).unwrap();
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let (dealing, _) = Dealing::deal(b"another", Index::new(4).unwrap(), low, None, rng);
    let sealed = vec![Bytes(vec![0; 4]); 4];
    says(&mut w, 3, committee, &Said::Deal(Deal { dealing, sealed }));
    assert!(w.run_until(60_000, |w| (0..4).all(|i| stands(w, i, &committee))), "the others make a key");
    w.run(10_000);
    let (_, ours) = key(&w, 0).expect("it stands");
    for i in 0..4 {
        assert_eq!(key(&w, i).expect("it stands").1, ours, "all see the same key");
        let refused = refusals(&w, i);
        let bad = Refused::False(ThresholdError::BadDealing(4));
        assert_eq!(refused, [bad, Refused::Contradiction(4)], "node {i} refuses it, and its second try");
    }
    assert!(sign(&w, &ours, &[1, 2, 3]), "it is a member all the same, of a key to which it added nothing");
    w.check();
}

#[test]
fn another_set_takes_the_key_over_and_the_old_shares_go() {
    let mut w = world(9, 4, 1);
    let first = entry(&w, &[0, 1, 2, 3], 3, None);
    let first = set(&mut w, &first, &[0, 1, 2, 3]);
    assert!(w.run_until(60_000, |w| (0..5).all(|i| stands(w, i, &first))), "the first key stands");
    let (_, before) = key(&w, 4).expect("a replica knows it too");
    let mut nodes: Vec<_> = [1, 2, 3, 4].map(|i| w.id(i)).to_vec();
    nodes.sort_unstable();
    let change = w.control(0, Kind::ValidatorSet, &ValidatorSetEntry { nodes }, &[0, 1, 2, 3]);
    let changed = w.file(0, change);
    assert!(w.run_until(10_000, |w| (0..5).all(|i| w.is_final(i, &changed))), "another takes part");
    let second = entry(&w, &[1, 2, 3, 4], 3, Some(first));
    let second = set(&mut w, &second, &[0, 1, 2, 3]);
    w.run(10_000);
    assert!(stands(&w, 0, &first), "while it runs the older key stands");
    for committee in [first, second] {
        keep_for_a_guardian(&w, 2, &committee);
    }
    assert!(sign(&w, &before, &[0, 1, 2]), "with its shares");
    assert!(w.run_until(60_000, |w| (0..5).all(|i| stands(w, i, &second))), "it is taken over");
    w.run(10_000);
    let (_, after) = key(&w, 4).expect("it stands");
    assert_eq!(after.public(), before.public(), "it is the same key");
    assert!(sign(&w, &after, &[4, 1, 2]) && sign(&w, &after, &[4, 3, 2]), "in other hands");
    assert!(service(&w, 0).ledger_share().expect("the store holds").is_none(), "who left has no share");
    let since = service(&w, 2).key_since(&first).expect("the store holds").expect("somebody holds it");
    assert_eq!(since.committee, second, "what was sealed for the first is opened by the second");
    assert!(!sign(&w, &before, &[1, 2, 3]), "the new shares are none of the old ones");
    assert_eq!(kept_for_a_guardian(&w, 2, &first), [false, false], "nothing is kept of the first");
    assert_eq!(kept_for_a_guardian(&w, 2, &second), [true, false], "and of the second what opens");
    w.check();
}

#[test]
fn a_key_that_never_stood_is_not_taken_over() {
    let mut w = world(10, 4, 0);
    let first = entry(&w, &[0, 1, 2, 3], 3, None);
    let first = set(&mut w, &first, &[0, 1, 2]);
    w.run(8_000);
    let second = entry(&w, &[0, 1, 2, 3], 4, Some(first));
    let second = set(&mut w, &second, &[0, 1, 2]);
    assert!(w.run_until(60_000, |w| (0..4).all(|i| stands(w, i, &first))), "the first goes on");
    for i in 0..4 {
        let stage = view(&w, i, &second).expect("it is set").stage;
        assert_eq!(stage, Stage::NothingToTakeOver, "node {i} sees that there was no key");
    }
    let third = entry(&w, &[0, 1, 2, 3], 4, Some(first));
    let third = set(&mut w, &third, &[0, 1, 2]);
    assert!(w.run_until(60_000, |w| (0..4).all(|i| stands(w, i, &third))), "now there is one");
}

#[test]
fn a_node_that_begins_with_a_state_knows_the_key_once_it_has_the_past() {
    let mut w = world(11, 4, 1);
    w.gap = 10;
    w.kill(4);
    let entry = entry(&w, &[0, 1, 2, 3], 3, None);
    let committee = set(&mut w, &entry, &[0, 1, 2, 3]);
    assert!(w.run_until(60_000, |w| (0..4).all(|i| stands(w, i, &committee))), "a key stands");
    let (_, ours) = key(&w, 0).expect("it stands");
    w.run(5_000);
    w.start(4);
    let arrived = |w: &World| w.height(4) + 3 > w.height(0);
    assert!(w.run_until(60_000, arrived), "it begins with a state");
    if service(&w, 4).missing_history().expect("the store holds").is_some() {
        let stage = view(&w, 4, &committee).expect("the state names it").stage;
        assert_eq!(stage, Stage::Unknown, "of what was said in the past it knows nothing yet");
    }
    assert!(w.run_until(120_000, |w| stands(w, 4, &committee)), "the past comes");
    assert_eq!(key(&w, 4).expect("it stands").1, ours, "and the key is the same");
    let held = view(&w, 4, &committee).expect("the state names it").stage;
    assert_eq!(held, Stage::Held(Phase::Ready(Vec::new())), "everyone proved");
    w.check();
}
