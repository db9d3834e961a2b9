//! Who may hold bodies, and where objects are placed: everyone who needs them and nobody else.

use std::collections::BTreeSet;

use super::world::*;
use crate::control::Standing;
use crate::ids::{ContentId, OrganizationId};
use crate::personal::{
    Author, Category, ErasureEntry, ErasureReceipt, GrantEntry, Grantee, Label, LockerEntry, Revoked, Scope,
    SubjectKey,
};
use crate::policy::{Audience, Personal, Placed, Priority, audience, placement};
use crate::wire::Bytes;

fn set(organizations: &[OrganizationId]) -> BTreeSet<OrganizationId> {
    organizations.iter().copied().collect()
}

fn of(world: &World, entry: &Personal) -> BTreeSet<OrganizationId> {
    of_entry(world, id(150), entry)
}

fn of_entry(world: &World, id: ContentId, entry: &Personal) -> BTreeSet<OrganizationId> {
    match audience(&world.view, &id, entry, NOW).expect("maps are readable") {
        Audience::Organizations(set) => set,
        Audience::Everyone => panic!("no personal entry is for everyone"),
    }
}

fn blob(world: &World, record: ContentId) -> BTreeSet<OrganizationId> {
    placement(&world.view, &Placed::Blob(record), NOW).expect("maps are readable").organizations
}

fn lab() -> Personal {
    Personal::Record(Box::new(record(Category::Laboratory, Label::Normal)))
}

#[test]
fn a_record_goes_to_its_current_readers() {
    let mut world = World::new();
    assert_eq!(of(&world, &lab()), set(&[HOME]), "author and home");
    world.grants(id(1), grant());
    assert_eq!(of(&world, &lab()), set(&[HOME, CITY]), "and who may read it");
    let letter = Personal::Record(Box::new(record(Category::Letters, Label::Normal)));
    assert_eq!(of(&world, &letter), set(&[HOME]), "not what they may not: not even that it exists");
    let restricted = Personal::Record(Box::new(record(Category::Laboratory, Label::Restricted)));
    assert_eq!(of(&world, &restricted), set(&[HOME]), "nor what is more sensitive");
    world.grants(id(2), GrantEntry { rights: 2, grantee: Grantee::Organization(RURAL), ..grant() });
    assert_eq!(of(&world, &lab()), set(&[HOME, CITY]), "writing is not reading");
    world.view.close(lock(id(1)), None);
    assert_eq!(of(&world, &lab()), set(&[HOME]), "withdrawn, it goes to them no more");
    world.grants(id(3), GrantEntry { until: NOW, ..grant() });
    assert_eq!(of(&world, &lab()), set(&[HOME]), "nor under an expired grant");
    world.grants(id(4), GrantEntry { from: NOW + 1, ..grant() });
    assert_eq!(of(&world, &lab()), set(&[HOME]), "nor under one that has not begun");
    world.grants(id(4), GrantEntry { from: NOW, ..grant() });
    assert_eq!(of(&world, &lab()), set(&[HOME, CITY]), "from its first millisecond");
}

#[test]
fn a_single_record_and_a_raised_label_count() {
    let mut world = World::new();
    let scope = Scope { categories: vec![], records: vec![LAB], label: Label::Normal };
    world.grants(id(1), GrantEntry { scope, ..grant() });
    assert_eq!(of_entry(&world, LAB, &lab()), set(&[HOME, CITY]), "the record that is named");
    assert_eq!(of_entry(&world, id(8), &lab()), set(&[HOME]), "and no other");
    let mut raised = record(Category::Laboratory, Label::Restricted);
    (raised.author, raised.amends) = (Author::Patient, Some(LAB));
    world.put(id(9), Personal::Amendment(Box::new(raised)), None, Some(CARD));
    assert_eq!(
        of_entry(&world, LAB, &lab()),
        set(&[HOME]),
        "narrower at once, when the patient raises its label"
    );
}

#[test]
fn a_change_reaches_those_who_could_read_before_and_those_who_may_now() {
    let mut world = World::new();
    world.grants(id(1), grant());
    let rural = GrantEntry { grantee: Grantee::Organization(RURAL), ..grant() };
    let scope = Scope { categories: vec![Category::Letters], ..rural.scope.clone() };
    world.grants(id(2), GrantEntry { scope, ..rural });
    let mut change = record(Category::Laboratory, Label::Normal);
    (change.category, change.amends) = (Category::Letters, Some(LAB));
    let change = Personal::Amendment(Box::new(change));
    world.put(id(9), change.clone(), None, Some(CARD));
    assert_eq!(of_entry(&world, id(9), &change), set(&[HOME, CITY, RURAL]), "before and after");
    assert_eq!(of_entry(&world, LAB, &lab()), set(&[HOME, RURAL]), "the record itself: those of now");
}

#[test]
fn grants_and_revocations_reach_grantees_and_authors() {
    let mut world = World::new();
    let given = Personal::Grant(GrantEntry { grantee: Grantee::Organization(RURAL), ..grant() });
    assert_eq!(of(&world, &given), set(&[HOME, RURAL]), "home (also the author) and grantee");
    let mut by_city = record(Category::Laboratory, Label::Normal);
    by_city.organization = CITY;
    world.put(id(8), Personal::Record(Box::new(by_city)), Some(3), None);
    assert_eq!(of(&world, &given), set(&[HOME, CITY, RURAL]), "an author in scope");
    let letters = GrantEntry { grantee: Grantee::Organization(RURAL), ..grant() };
    let letters = GrantEntry {
        scope: Scope { categories: vec![Category::Letters], ..letters.scope.clone() },
        ..letters
    };
    assert_eq!(of(&world, &Personal::Grant(letters)), set(&[HOME, RURAL]), "not one out of scope");
    let code = Personal::Grant(GrantEntry { grantee: Grantee::Code([7; 32]), ..grant() });
    assert_eq!(of(&World::new(), &code), set(&[HOME]), "a code that nobody showed");
    let mut world = World::new();
    world.grants(id(1), GrantEntry { grantee: Grantee::Organization(RURAL), until: NOW, ..grant() });
    let named = revocation(Revoked::Entries(vec![id(1)]));
    assert_eq!(of(&world, &named), set(&[HOME, RURAL]), "who held what is taken back");
    assert_eq!(of(&world, &revocation(Revoked::Everything)), set(&[HOME, RURAL]), "live or not");
    let city = revocation(Revoked::Grantee(Grantee::Person(person(CITY, 1))));
    assert_eq!(of(&world, &city), set(&[HOME, CITY]), "the grantee's organization");
}

#[test]
fn what_grants_stand_on_goes_where_grants_go() {
    let mut world = World::new();
    let card = Personal::Card(Box::new(card_entry(220)));
    assert_eq!(of(&world, &card), set(&[HOME]), "home alone");
    world.grants(id(1), grant());
    assert_eq!(of(&world, &card), set(&[HOME, CITY]), "a grantee must verify the card");
    let locker = LockerEntry {
        patient: ADA,
        epoch: 1,
        lockers: Vec::new(),
        rests_on: Vec::new(),
        packets: Vec::new(),
        subject_keys: vec![SubjectKey { node: node_id(RURAL), sealed: Bytes::default() }],
        staged: false,
        escrows: Vec::new(),
    };
    world.put(id(9), Personal::Locker(locker.clone()), Some(3), Some(CARD));
    for entry in [card, Personal::Locker(locker), Personal::Proxy(proxy())] {
        assert_eq!(of(&world, &entry), set(&[HOME, CITY, RURAL]), "and those that hold K");
    }
}

#[test]
fn an_access_goes_home_and_a_single_use_to_all_who_serve() {
    let mut world = World::new();
    let mut by_rural = record(Category::Laboratory, Label::Normal);
    by_rural.organization = RURAL;
    world.put(id(8), Personal::Record(Box::new(by_rural)), Some(3), None);
    world.grants(id(1), grant());
    world.grants(id(2), GrantEntry { one_time: true, ..grant() });
    let entry = |grant| access(person(CITY, 1), CITY, grant);
    assert_eq!(of(&world, &entry(id(1))), set(&[HOME, CITY]), "home and reader");
    assert_eq!(of(&world, &entry(id(2))), set(&[HOME, CITY, RURAL]), "a holder must know that it was used");
}

#[test]
fn an_erasure_reaches_every_holder() {
    let mut world = World::new();
    world.grants(id(1), GrantEntry { until: NOW, ..grant() });
    let erasure = Personal::Erasure(ErasureEntry { patient: ADA, records: vec![], not_before: NOW });
    assert_eq!(of(&world, &erasure), set(&[HOME, CITY, RURAL]), "former readers, backups, emergency nodes");
    let receipt = Personal::Receipt(ErasureReceipt { erasure: id(80), objects: 1, at: NOW });
    assert_eq!(of(&world, &receipt), set(&[]), "of an erasure that isn't here");
    world.put(id(80), erasure, Some(9), Some(CARD));
    assert_eq!(of(&world, &receipt), set(&[HOME]), "home and authors");
}

#[test]
fn control_bodies_are_for_everyone() {
    let control = Audience::of_kind(1).expect("kind 1 is control");
    assert!(control.includes(&RURAL), "everyone");
    assert_eq!(Audience::of_kind(19), None, "a record isn't");
}

#[test]
fn blobs_are_where_policy_puts_them() {
    let mut world = World::new();
    assert_eq!(blob(&world, LAB), set(&[HOME, RURAL]), "author, home and the author's backup partner");
    assert_eq!(blob(&world, NOTES), set(&[HOME, RURAL]), "notes: home and its backup");
    world.grants(
        id(1),
        GrantEntry { scope: Scope { categories: Category::ALL.to_vec(), ..grant().scope }, ..grant() },
    );
    assert_eq!(blob(&world, LAB), set(&[HOME, CITY, RURAL]), "and current readers");
    assert_eq!(blob(&world, NOTES), set(&[HOME, RURAL]), "never private notes");
    assert_eq!(blob(&world, id(99)), set(&[]), "an unknown record nowhere");
    let summary = placement(&world.view, &Placed::Blob(SUMMARY), NOW).expect("readable");
    assert!(summary.includes(&node_id(RURAL), &OrganizationId([9; 32])), "summaries: emergency nodes");
    let lab = placement(&world.view, &Placed::Blob(LAB), NOW).expect("readable");
    assert!(lab.nodes.is_empty(), "and nothing else there");
    world.change(|m| m.organizations[2].standing = Standing::Removed);
    assert_eq!(blob(&world, LAB), set(&[HOME, CITY]), "a removed partner holds nothing");
}

#[test]
fn packets_are_with_their_readers_organization() {
    let world = World::new();
    let packet = |organization| {
        let placed = Placed::Packet { patient: ADA, organization };
        placement(&world.view, &placed, NOW).expect("readable").organizations
    };
    assert_eq!(packet(Some(CITY)), set(&[CITY]), "a reader's");
    assert_eq!(packet(None), set(&[HOME]), "the patient's own");
    let body = placement(&world.view, &Placed::Body(LAB, &lab()), NOW).expect("readable");
    assert_eq!(body.organizations, set(&[HOME]), "a body is with its audience");
}

#[test]
fn what_protects_goes_first_and_images_last() {
    let image = Personal::Record(Box::new(record(Category::Imaging, Label::Normal)));
    let summary = Personal::Record(Box::new(record(Category::EmergencySummary, Label::Normal)));
    let order = [revocation(Revoked::Everything), Personal::Grant(grant()), summary, lab(), image];
    let priorities = order.iter().map(Priority::of).collect::<Vec<_>>();
    assert!(priorities.windows(2).all(|w| w[0] < w[1]), "revocation, keys, summary, results, images");
    assert!(
        Category::ALL.iter().all(|c| Priority::of_category(*c) <= Priority::Imaging),
        "nothing after images"
    );
}
