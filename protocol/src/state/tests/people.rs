//! People: each organization enrols, changes and removes its own, each card and register number once.

use super::world::*;
use crate::check::Check;
use crate::control::{PractitionerEntry, RoleEntry, Standing};
use crate::entry::Kind;
use crate::ids::PersonId;
use crate::keys::Signer;

/// Files an entry of a person, signed by the organization's card and the key of seed 100 + `own`.
fn enrol(w: &mut World, by: usize, entry: &PractitionerEntry, own: u8) -> Option<Check> {
    w.control_with(by, Kind::Practitioner, entry, &[by], &[100 + own])
}

/// The person who holds a register number.
fn holder(w: &World, number: &str) -> PersonId {
    let mut people = w.state.membership.people.iter();
    *people.find(|(_, p)| p.register_number == number).expect("enrolled").0
}

#[test]
fn each_organization_enrols_its_own_people_only_and_each_register_number_once() {
    let mut w = World::of(4);
    let (a, b) = (w.organization(0), w.organization(1));
    assert_eq!(enrol(&mut w, 0, &person(a, 1, "1001"), 1), None, "its own person");
    assert_eq!(enrol(&mut w, 0, &person(b, 2, "1002"), 2), Some(Check::NotAuthorized), "another's person");
    assert_eq!(enrol(&mut w, 1, &person(b, 2, "1002"), 2), None, "enrolled by its own organization");
    let twice = enrol(&mut w, 1, &person(b, 3, "1001"), 3);
    assert_eq!(twice, Some(Check::RegisterNumberTaken), "one register number, one person");
}

#[test]
fn a_role_that_demands_attestation_is_not_given_without() {
    let mut w = World::of(1);
    let role = RoleEntry {
        organization: w.organization(0),
        name: "doctor".into(),
        categories: Vec::new(),
        rights: 7,
        administrator: false,
        attested: true,
    };
    assert_eq!(w.control(0, Kind::Role, &role, &[0]), None, "its own card defines a role");
    let person = PractitionerEntry {
        person: None,
        organization: w.organization(0),
        register_number: "1".into(),
        roles: vec!["doctor".into()],
        authentication: key(90).verifying_key(),
        signature: w.cards[0].verifying_key(),
        agreement: agreement(91),
        attestation: [0; 32],
        standing: Standing::Active,
    };
    let refused = w.control(0, Kind::Practitioner, &person, &[0]);
    assert_eq!(refused, Some(Check::AttestationMissing), "no attestation");
    let attested = PractitionerEntry { attestation: [5; 32], ..person };
    assert_eq!(w.control(0, Kind::Practitioner, &attested, &[0]), None, "with one");
}

#[test]
fn an_attested_role_needs_a_register_number_and_every_role_a_definition() {
    let mut w = World::of(1);
    let a = w.organization(0);
    let role = |name: &str, attested| RoleEntry {
        organization: a,
        name: name.into(),
        categories: Vec::new(),
        rights: 7,
        administrator: false,
        attested,
    };
    for (name, attested) in [("clerk", false), ("doctor", true)] {
        assert_eq!(w.control(0, Kind::Role, &role(name, attested), &[0]), None, "{name} is defined");
    }
    let mut enrol = |n, number: &str, roles: &[&str], attestation| {
        let roles = roles.iter().map(|r| (*r).to_owned()).collect();
        enrol(&mut w, 0, &PractitionerEntry { roles, attestation, ..person(a, n, number) }, n)
    };
    assert_eq!(enrol(1, "", &["doctor"], [1; 32]), Some(Check::AttestationMissing), "no number");
    assert_eq!(enrol(1, "1", &["doctor"], [0; 32]), Some(Check::AttestationMissing), "no attestation");
    assert_eq!(enrol(1, "1", &["clerk", "nurse"], [1; 32]), Some(Check::UnknownRole), "no such role");
    assert_eq!(enrol(1, "1", &["doctor", "clerk"], [1; 32]), Some(Check::ScopeForm), "roles out of order");
    assert_eq!(enrol(1, "1", &["clerk", "clerk"], [1; 32]), Some(Check::ScopeForm), "one twice");
    assert_eq!(enrol(1, "1", &["clerk", "doctor"], [1; 32]), None, "both, in order");
    assert_eq!(enrol(2, "", &["clerk"], [0; 32]), None, "a clerk needs neither");
}

#[test]
fn a_person_is_changed_by_the_organization_that_enrolled_them_until_removed() {
    let mut w = World::of(2);
    let (a, b) = (w.organization(0), w.organization(1));
    let first = person(a, 1, "1");
    assert_eq!(enrol(&mut w, 0, &first, 1), None, "enrolled");
    let id = holder(&w, "1");
    let later = |entry: PractitionerEntry| PractitionerEntry { person: Some(id), ..entry };
    let stranger = PractitionerEntry { person: Some(PersonId([9; 32])), ..person(a, 2, "2") };
    assert_eq!(enrol(&mut w, 0, &stranger, 2), Some(Check::StandsOnMissing), "nobody of that name");
    let moved = later(person(b, 2, "1"));
    assert_eq!(enrol(&mut w, 1, &moved, 2), Some(Check::WrongOrganization), "nobody takes them over");
    assert_eq!(enrol(&mut w, 0, &later(first.clone()), 1), None, "the same card and number again");
    assert_eq!(enrol(&mut w, 0, &later(person(a, 2, "1")), 2), None, "a new card");
    let by_key =
        |w: &World, n: u8| w.state.membership.person_by_key(&key(n).verifying_key().id()).map(|p| *p.0);
    assert_eq!((by_key(&w, 91), by_key(&w, 101)), (None, None), "the old card is nobody's");
    assert_eq!((by_key(&w, 92), by_key(&w, 102)), (Some(id), Some(id)), "the new one is theirs");
    let agrees = w.state.membership.person_by_key(&agreement(112).id()).map(|p| *p.0);
    assert_eq!(agrees, Some(id), "by each of its keys");
    let suspended = later(PractitionerEntry { standing: Standing::Suspended, ..person(a, 2, "1") });
    assert_eq!(w.control(0, Kind::Practitioner, &suspended, &[0]), None, "suspended without their card");
    let unsigned = w.control(0, Kind::Practitioner, &later(person(a, 2, "1")), &[0]);
    assert_eq!(unsigned, Some(Check::MissingSignature), "to act again, their card signs");
    assert_eq!(enrol(&mut w, 0, &later(person(a, 2, "1")), 2), None, "and it does");
    let removed = later(PractitionerEntry { standing: Standing::Removed, ..person(a, 2, "1") });
    assert_eq!(w.control(0, Kind::Practitioner, &removed, &[0]), None, "removed");
    let back = enrol(&mut w, 0, &later(person(a, 2, "1")), 2);
    assert_eq!(back, Some(Check::AlreadyExists), "for good");
    let again = enrol(&mut w, 1, &person(b, 3, "1"), 3);
    assert_eq!(again, Some(Check::RegisterNumberTaken), "their number stays theirs");
}

#[test]
fn an_entry_that_is_filed_twice_enrols_nobody_twice() {
    let mut w = World::of(1);
    let entry = person(w.organization(0), 1, "1");
    let content = w.content(0, Kind::Practitioner, &entry);
    let body = w.body_with(&content, &[0], &[101]);
    assert_eq!(w.files(0, &content, body.clone()), None, "once");
    assert_eq!(holder(&w, "1"), PersonId(content.id().0), "the first entry's content names the person");
    assert_eq!(w.files(0, &content, body), Some(Check::AlreadyExists), "twice");
}

#[test]
fn each_key_of_a_card_is_one_persons() {
    let mut w = World::of(1);
    let a = w.organization(0);
    let first = person(a, 1, "1");
    assert_eq!(enrol(&mut w, 0, &first, 1), None, "enrolled");
    let other = || person(a, 2, "2");
    let taken = [
        PractitionerEntry { authentication: first.authentication.clone(), ..other() },
        PractitionerEntry { agreement: first.agreement.clone(), ..other() },
        PractitionerEntry { authentication: first.signature.clone(), ..other() },
    ];
    for (n, entry) in taken.iter().enumerate() {
        assert_eq!(enrol(&mut w, 0, entry, 2), Some(Check::AlreadyExists), "key {n}");
    }
    let signature = PractitionerEntry { signature: first.signature.clone(), ..other() };
    assert_eq!(enrol(&mut w, 0, &signature, 1), Some(Check::AlreadyExists), "the signature key");
    assert_eq!(enrol(&mut w, 0, &other(), 2), None, "keys of their own");
    let (members, taken) = (&w.state.membership, first.signature.id());
    let (one, two) = (holder(&w, "1"), holder(&w, "2"));
    let by = [None, Some(&one), Some(&two)].map(|by| members.key_taken(&taken, by));
    assert_eq!(by, [true, false, true], "taken for everyone but its holder");
    assert!(!members.key_taken(&key(105).verifying_key().id(), None), "a key of nobody is free");
}
