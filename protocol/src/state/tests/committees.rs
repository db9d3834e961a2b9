//! Which committees consensus lets stand, and whom it lets speak in their ceremonies.

use super::world::*;
use crate::check::Check;
use crate::control::{
    CeremonyBlocks, CommitteeEntry, CommitteeMember, DkgEntry, LocalCommittee, NodeEntry, PractitionerEntry,
    Roster, Standing, local_committee,
};
use crate::entry::Kind;
use crate::ids::{ContentId, NodeId, PersonId};
use crate::keys::Signer as _;
use crate::limits::{CEREMONY_BLOCKS_MAX, CEREMONY_BYTES_MAX};
use crate::wire::Bytes;

const ALL: [usize; 3] = [0, 1, 2];

/// Three organizations and four people, the last of the second organization.
fn world() -> (World, Vec<PersonId>) {
    let mut w = World::of(3);
    for n in 1..=4_u8 {
        let by = usize::from(n == 4);
        let entry = person(w.organization(by), n, &n.to_string());
        let void = w.control_with(by, Kind::Practitioner, &entry, &[by], &[100 + n]);
        assert_eq!(void, None, "person {n} is enrolled");
    }
    let by_number = |n: u8| {
        let found = w.state.membership.people.iter().find(|(_, p)| p.register_number == n.to_string());
        *found.expect("enrolled").0
    };
    let people = (1..=4).map(by_number).collect();
    (w, people)
}

fn committee(name: &str, roster: Roster, shares_needed: u64) -> CommitteeEntry {
    let blocks = CeremonyBlocks { deal: 1, complain: 2, answer: 3, prove: 4 };
    let provers_needed = shares_needed;
    CommitteeEntry {
        name: name.into(),
        roster,
        shares_needed,
        provers_needed,
        previous: None,
        blocks,
        local: None,
    }
}

fn guardians(people: &[PersonId], needed: u64) -> CommitteeEntry {
    committee("summary", Roster::Guardians(people.to_vec()), needed)
}

fn set(w: &mut World, entry: &CommitteeEntry) -> Option<Check> {
    w.control(0, Kind::Committee, entry, &ALL)
}

fn newest(w: &World, name: &str) -> ContentId {
    w.state.membership.committee(name).expect("it was set").id
}

#[test]
fn a_committee_can_reach_the_shares_that_it_needs() {
    let (mut w, people) = world();
    let three = guardians(&people[..3], 2);
    let two_organizations = w.control(0, Kind::Committee, &three, &ALL[..2]);
    assert_eq!(two_organizations, Some(Check::TwoThirdsMissing), "two of three organizations");
    let twice = guardians(&[people[0], people[1], people[0]], 2);
    assert_eq!(set(&mut w, &twice), Some(Check::ScopeForm), "a person twice");
    for needed in [0, 1, 4] {
        let entry = guardians(&people[..3], needed);
        assert_eq!(set(&mut w, &entry), Some(Check::ScopeForm), "{needed} of three");
    }
    let few_proofs = CommitteeEntry { provers_needed: 1, ..three.clone() };
    assert_eq!(set(&mut w, &few_proofs), Some(Check::ScopeForm), "fewer proofs than shares");
    let many_proofs = CommitteeEntry { provers_needed: 4, ..three.clone() };
    assert_eq!(set(&mut w, &many_proofs), Some(Check::ScopeForm), "more proofs than members");
    let stranger = guardians(&[people[0], PersonId([9; 32])], 2);
    assert_eq!(set(&mut w, &stranger), Some(Check::StandsOnMissing), "a person that nobody enrolled");
    assert_eq!(w.state.membership.committee("summary"), None, "nothing of it stands");
    assert_eq!(set(&mut w, &three), None, "two of three");
    assert_eq!(w.state.membership.committee("summary").map(|c| &c.entry), Some(&three), "it stands");
    let height = w.state.height;
    assert_eq!(set(&mut w, &guardians(&people, 4)), None, "four of four");
    let now = w.state.membership.committee("summary").expect("it stands");
    assert_eq!((now.height, now.entry.roster.len()), (height + 1, 4), "the newest counts");
    assert_eq!(w.state.membership.committees.len(), 2, "the one before is remembered");
}

#[test]
fn a_name_says_who_is_in_a_committee_and_how_many_it_takes() {
    let (mut w, people) = world();
    let full = |needed| committee("full", Roster::Guardians(people.clone()), needed);
    assert_eq!(set(&mut w, &full(2)), Some(Check::ScopeForm), "two people open no whole record");
    assert_eq!(set(&mut w, &full(3)), None, "three do");
    let nodes: Vec<NodeId> = w.nodes.iter().map(node_id).collect();
    let ledger = |needed| committee("ledger", Roster::Validators(nodes.clone()), needed);
    assert_eq!(set(&mut w, &ledger(2)), Some(Check::ScopeForm), "two thirds are not more than two thirds");
    assert_eq!(set(&mut w, &ledger(3)), None, "three of three");
    let people_there = committee("ledger", Roster::Guardians(people), 3);
    assert_eq!(set(&mut w, &people_there), Some(Check::ScopeForm), "people are no ledger");
    let nodes_there = committee("summary", Roster::Validators(nodes), 3);
    assert_eq!(set(&mut w, &nodes_there), Some(Check::ScopeForm), "nodes are no guardians");
    let unknown = committee("ledger", Roster::Validators(vec![NodeId([9; 32])]), 1);
    assert_eq!(set(&mut w, &unknown), Some(Check::UnknownNode), "a node that nobody admitted");
}

#[test]
fn who_left_is_in_no_new_committee() {
    let (mut w, people) = world();
    let a = w.organization(0);
    let suspended =
        PractitionerEntry { person: Some(people[0]), standing: Standing::Suspended, ..person(a, 1, "1") };
    assert_eq!(w.control(0, Kind::Practitioner, &suspended, &[0]), None, "a card is lost");
    assert_eq!(set(&mut w, &guardians(&people, 2)), Some(Check::CardSuspended), "its holder guards nothing");
    assert_eq!(set(&mut w, &guardians(&people[1..], 2)), None, "the others do");
    let gone = NodeEntry { standing: Standing::Removed, ..node_entry(&w.nodes[1], w.organization(1)) };
    assert_eq!(w.control(1, Kind::Node, &gone, &[1]), None, "a node leaves");
    let nodes = w.nodes.iter().map(node_id).collect();
    let ledger = committee("ledger", Roster::Validators(nodes), 3);
    assert_eq!(set(&mut w, &ledger), Some(Check::UnknownNode), "it keeps no share");
}

#[test]
fn phases_follow_each_other_and_end() {
    let (mut w, people) = world();
    let with = |blocks: [u64; 4]| {
        let [deal, complain, answer, prove] = blocks;
        let blocks = CeremonyBlocks { deal, complain, answer, prove };
        CommitteeEntry { blocks, ..guardians(&people, 2) }
    };
    let refused = Some(Check::PeriodForm);
    for blocks in [[0, 1, 2, 3], [1, 1, 2, 3], [1, 3, 2, 4], [1, 2, 3, 3], [1, 2, 3, CEREMONY_BLOCKS_MAX + 1]]
    {
        assert_eq!(set(&mut w, &with(blocks)), refused, "{blocks:?}");
    }
    assert_eq!(set(&mut w, &with([1, 2, 3, CEREMONY_BLOCKS_MAX])), None, "each later than the one before");
}

#[test]
fn a_key_is_taken_over_from_a_committee_of_the_same_name() {
    let (mut w, people) = world();
    assert_eq!(set(&mut w, &guardians(&people[..3], 2)), None, "the first");
    let first = newest(&w, "summary");
    let after = |previous, name: &str| CommitteeEntry {
        previous: Some(previous),
        name: name.into(),
        ..guardians(&people, 3)
    };
    let unknown = after(ContentId([9; 32]), "summary");
    assert_eq!(set(&mut w, &unknown), Some(Check::StandsOnMissing), "of nobody");
    assert_eq!(set(&mut w, &after(first, "full")), Some(Check::StandsOnWrong), "of another name");
    assert_eq!(set(&mut w, &after(first, "summary")), None, "of its own");
    let second = newest(&w, "summary");
    assert_ne!(second, first, "it is the newest");
    assert_eq!(set(&mut w, &after(first, "summary")), None, "again, where the second came to nothing");
}

#[test]
fn two_committees_of_a_name_in_one_block_would_be_equally_new() {
    let (mut w, people) = world();
    let contents = [&people[..3], &people[1..]].map(|p| w.content(0, Kind::Committee, &guardians(p, 2)));
    let bodies = contents.clone().map(|c| w.body(&c, &ALL));
    let headers = contents.clone().map(|c| w.header(0, &c, Vec::new()));
    let (_, executed) = w.block(&headers, &bodies, &[]).expect("a lawful block");
    let voids: Vec<_> = executed.outcomes.iter().map(|o| o.void).collect();
    assert_eq!(voids, [None, Some(Check::AlreadyExists)], "so the first counts");
    let newest = executed.state.membership.committee("summary").map(|c| c.id);
    assert_eq!(newest, Some(contents[0].id()), "everywhere");
}

fn said(committee: ContentId, sender: CommitteeMember) -> DkgEntry {
    DkgEntry { committee, sender, said: Bytes(vec![1]) }
}

#[test]
fn a_guardian_speaks_by_its_card() {
    let (mut w, people) = world();
    assert_eq!(set(&mut w, &guardians(&people[..2], 2)), None, "two guardians");
    let (committee, root) = (newest(&w, "summary"), w.state.membership.root());
    let entry = |n: usize| said(committee, CommitteeMember::Guardian(people[n]));
    let mut speak = |entry: &DkgEntry, cards: &[u8]| w.control_with(2, Kind::Dkg, entry, &[], cards);
    assert_eq!(speak(&entry(0), &[102]), Some(Check::MissingSignature), "by another's card");
    assert_eq!(speak(&entry(0), &[101]), None, "by its own, at any node");
    assert_eq!(speak(&entry(2), &[103]), Some(Check::NotAuthorized), "of no member");
    let nowhere = said(ContentId([9; 32]), CommitteeMember::Guardian(people[0]));
    assert_eq!(speak(&nowhere, &[101]), Some(Check::StandsOnMissing), "of no committee");
    let long = DkgEntry { said: Bytes(vec![0; CEREMONY_BYTES_MAX + 1]), ..entry(0) };
    assert_eq!(speak(&long, &[101]), Some(Check::TooLarge), "more than any ceremony says");
    let most = DkgEntry { said: Bytes(vec![0; CEREMONY_BYTES_MAX]), ..entry(0) };
    assert_eq!(speak(&most, &[101]), None, "as much as it may");
    assert_eq!(w.state.membership.root(), root, "what is said is no state");
    let renewed = CommitteeEntry { previous: Some(committee), ..guardians(&people[2..], 2) };
    assert_eq!(set(&mut w, &renewed), None, "two others take the key over");
    let taken = newest(&w, "summary");
    let mut speak = |n: usize| {
        let sender = CommitteeMember::Guardian(people[n]);
        let card = [101, 102, 103, 104][n];
        w.control_with(2, Kind::Dkg, &said(taken, sender), &[], &[card])
    };
    assert_eq!((speak(0), speak(2)), (None, None), "then old and new speak");
    let a = w.organization(0);
    let lost =
        PractitionerEntry { person: Some(people[0]), standing: Standing::Suspended, ..person(a, 1, "1") };
    assert_eq!(w.control(0, Kind::Practitioner, &lost, &[0]), None, "a card is lost");
    let sender = CommitteeMember::Guardian(people[0]);
    let silent = w.control_with(2, Kind::Dkg, &said(taken, sender), &[], &[101]);
    assert_eq!(silent, Some(Check::CardSuspended), "it says nothing more");
}

#[test]
fn a_validator_speaks_by_its_node() {
    let (mut w, people) = world();
    let nodes: Vec<NodeId> = w.nodes.iter().map(node_id).collect();
    assert_eq!(set(&mut w, &committee("ledger", Roster::Validators(nodes.clone()), 3)), None, "three nodes");
    let entry = said(newest(&w, "ledger"), CommitteeMember::Validator(nodes[1]));
    assert_eq!(w.control(0, Kind::Dkg, &entry, &[]), Some(Check::NotAuthorized), "by another node");
    assert_eq!(w.control(1, Kind::Dkg, &entry, &[]), None, "by its own, without a card");
    let person = said(newest(&w, "ledger"), CommitteeMember::Guardian(people[0]));
    let void = w.control_with(1, Kind::Dkg, &person, &[], &[101]);
    assert_eq!(void, Some(Check::NotAuthorized), "a person is no node");
    let content = w.content(0, Kind::Dkg, &entry);
    let body =
        crate::tap::Body { content: Bytes(crate::wire::Wire::encode(&content)), signatures: Vec::new() };
    assert_eq!(
        w.state.judge_control(&content, &body, &nodes[1]),
        Ok(()),
        "the author hears that it would stand"
    );
    let other = w.state.judge_control(&content, &body, &nodes[0]);
    assert_eq!(other, Err(Check::NotAuthorized.into()), "and another that it would not");
}

#[test]
fn a_hospitals_own_committee_is_of_its_people_and_set_by_its_card_and_a_witness_card() {
    let (mut w, people) = world();
    let organization = w.organization(0);
    let local = |people: &[PersonId], witness: u8| CommitteeEntry {
        local: Some(LocalCommittee {
            organization,
            witness: key(witness).verifying_key(),
            agreement: agreement(witness),
        }),
        ..committee(&local_committee(&organization), Roster::Guardians(people.to_vec()), 2)
    };
    let own = local(&people[..2], 80);
    let mut set = |entry: &CommitteeEntry, cards: &[usize], others: &[u8]| {
        w.control_with(0, Kind::Committee, entry, cards, others)
    };
    assert_eq!(set(&own, &[0], &[]), Some(Check::MissingSignature), "without the witness card");
    assert_eq!(set(&own, &[1, 2], &[80]), Some(Check::NotAuthorized), "by the cards of others");
    let mixed = local(&[people[0], people[3]], 80);
    assert_eq!(set(&mixed, &[0], &[80]), Some(Check::WrongOrganization), "with a person of another hospital");
    let double = local(&people[..2], 101);
    assert_eq!(
        set(&double, &[0], &[101]),
        Some(Check::AlreadyExists),
        "a guardian's card as the witness card"
    );
    let alone = CommitteeEntry { shares_needed: 1, provers_needed: 1, ..own.clone() };
    assert_eq!(set(&alone, &[0], &[80]), Some(Check::ScopeForm), "one person alone");
    let other_name = CommitteeEntry { name: "summary".into(), ..own.clone() };
    assert_eq!(set(&other_name, &[0], &[80]), Some(Check::ScopeForm), "under the federation's name");
    let no_witness = CommitteeEntry { local: None, ..own.clone() };
    assert_eq!(
        set(&no_witness, &ALL, &[]),
        Some(Check::ScopeForm),
        "a hospital's name without a witness card"
    );
    assert_eq!(set(&own, &[0], &[80]), None, "its people, by its card and the witness card");
}
