//! The recovery of a lost card: two organizations give notice, its delay passes, nobody contests it, and then guardians
//! release the way back to the card that the notice names, and to no other.
//!
//! Method: as for break-glass, in the same small federation. Every refusal stands beside the act that is permitted.

use super::emergency::{HAL, LOCKER, REQUEST, RON};
use super::emergency::{approval, ask, committee_id, content, escrow, locker, sorted, verify, world};
use super::world::*;
use crate::check::Check;
use crate::control::Standing;
use crate::emergency::{Reason, ReleaseEntry, RequestEntry, Tier};
use crate::entry::{Content, Kind};
use crate::ids::{BlockHash, ContentId, OrganizationId};
use crate::personal::{CardEntry, LockerEntry, Revoked};
use crate::policy::audience::{Audience, audience};
use crate::policy::{HeaderFacts, Personal, judge_body};
use crate::recovery::RecoveryEntry;
use crate::tap::{Body, sign_tap};
use crate::wire::{Bytes, Wire};

const NOTICE: ContentId = id(205);
/// Seeds of the cards of organizations.
const HOMES: u8 = 1;
const CITYS: u8 = 2;

fn notice() -> RecoveryEntry {
    RecoveryEntry {
        patient: ADA,
        home: HOME,
        witness: Some(CITY),
        lost: CARD,
        card: card_entry(235),
        delay_ms: DAY,
        contest: Bytes::default(),
    }
}

/// What a body comes to that these cards sign, in a header signed now.
fn check(world: &World, content: &Content, signers: &[u8]) -> Option<Check> {
    check_at(world, content, signers, None)
}

/// The same, final at a height.
fn check_at(world: &World, content: &Content, signers: &[u8], height: Option<u64>) -> Option<Check> {
    let mut signatures = Vec::new();
    for seed in signers {
        let signed = sign_tap(&mut signer(*seed), &NET, ("text", "en"), &[content.id()]);
        signatures.extend(signed.expect("software signs"));
    }
    let body = Body { content: Bytes(content.encode()), signatures };
    let facts = HeaderFacts::about_to_sign(content, node_id(content.organization), NOW);
    let facts = HeaderFacts { height, ..facts };
    judge_body(&world.view, &body, content, &facts).err().map(|r| r.check)
}

fn gives_notice(world: &World, entry: &RecoveryEntry, signers: &[u8]) -> Option<Check> {
    gave_notice(world, entry, signers, None)
}

/// A notice that is final at a height.
fn gave_notice(world: &World, entry: &RecoveryEntry, signers: &[u8], height: Option<u64>) -> Option<Check> {
    let mut content = content(Kind::Recovery, entry, HOME, &[PATIENT, CARD]);
    content.lock = Some(lock(NOTICE));
    check_at(world, &content, signers, height)
}

/// With an escrow for the way back, and the notice final at a height; blocks come every hour.
fn noticed(height: Option<u64>) -> World {
    let mut world = world();
    let escrows = vec![escrow(Tier::Summary), escrow(Tier::Full), escrow(Tier::Recovery)];
    world.put(LOCKER, Personal::Locker(LockerEntry { escrows, ..locker() }), Some(3), Some(CARD));
    world.put(NOTICE, Personal::Recovery(Box::new(notice())), height, None);
    world
}

fn way_back() -> RequestEntry {
    RequestEntry {
        requester: HAL,
        organization: HOME,
        guardians: committee_id(2),
        reason: Reason::CardUnusable,
        after: (TIP, BlockHash([u8::try_from(TIP).expect("small"); 32])),
        opener: notice().card.agreement,
        ..ask(Tier::Recovery)
    }
}

fn asks_on(world: &World, entry: &RequestEntry, on: &[ContentId]) -> Option<Check> {
    let content = content(Kind::BreakGlassRequest, entry, entry.organization, on);
    check(world, &content, &[slots(entry.requester).1])
}

fn asks(world: &World, entry: &RequestEntry) -> Option<Check> {
    asks_on(world, entry, &[PATIENT, CARD, LOCKER, NOTICE])
}

fn row(attack: &str, found: Option<Check>, wanted: Check) {
    assert_eq!(found, Some(wanted), "{attack}");
    println!("| recovery | {attack} | refused by check {} |", wanted.code());
}

#[test]
fn a_notice_is_signed_by_two_organizations_and_waits_as_long_as_the_federation_says() {
    let mut world = world();
    let good = notice();
    row("a notice by home alone", gives_notice(&world, &good, &[HOMES]), Check::MissingSignature);
    row("a notice by the other alone", gives_notice(&world, &good, &[CITYS]), Check::MissingSignature);
    let alone = RecoveryEntry { witness: None, ..good.clone() };
    let found = gives_notice(&world, &alone, &[HOMES]);
    row("a notice that names no other organization", found, Check::MissingSignature);
    let own = RecoveryEntry { witness: Some(HOME), ..good.clone() };
    row("home as its own witness", gives_notice(&world, &own, &[HOMES]), Check::ScopeForm);
    let hasty = RecoveryEntry { delay_ms: DAY - 1, ..good.clone() };
    row("a delay that is too short", gives_notice(&world, &hasty, &[HOMES, CITYS]), Check::PeriodForm);
    let other = RecoveryEntry { lost: OLD_CARD, ..good.clone() };
    row(
        "a card that it doesn't stand on",
        gives_notice(&world, &other, &[HOMES, CITYS]),
        Check::StandsOnWrong,
    );
    let moved = RecoveryEntry { home: RURAL, ..good.clone() };
    row("a home that it is not", gives_notice(&world, &moved, &[3, CITYS]), Check::StandsOnWrong);
    assert_eq!(gives_notice(&world, &good, &[HOMES, CITYS]), None, "both of them, in time");
    world.change(|members| members.policy.recovery_delay_ms = 1_000);
    assert_eq!(gives_notice(&world, &hasty, &[HOMES, CITYS]), None, "a federation may set less");
}

#[test]
fn what_a_notice_needs_when_it_is_given_it_needs_no_more_once_it_is_final() {
    let mut world = world();
    let both = [HOMES, CITYS];
    let (hard, alone) = (notice(), RecoveryEntry { witness: None, ..notice() });
    let soft = RecoveryEntry { card: CardEntry { attested: false, ..card_entry(235) }, ..notice() };
    let hasty = RecoveryEntry { delay_ms: DAY - 1, ..notice() };
    world.change(|members| members.policy.soft_cards = false);
    let found = gives_notice(&world, &soft, &both);
    row("a card of software where policy allows none", found, Check::NotAuthorized);
    assert_eq!(gives_notice(&world, &hard, &both), None, "a card that is attested");
    assert_eq!(gave_notice(&world, &soft, &both, Some(70)), None, "a policy of later takes nothing back");
    assert_eq!(gave_notice(&world, &hasty, &both, Some(70)), None, "nor does a longer delay");
    assert_eq!(gave_notice(&world, &alone, &[HOMES], Some(70)), None, "nor an organization that came later");
    world.change(|members| {
        members.policy.soft_cards = true;
        let others = members.organizations.iter_mut().filter(|o| o.organization != HOME);
        others.for_each(|o| o.standing = Standing::Removed);
    });
    assert_eq!(gives_notice(&world, &alone, &[HOMES]), None, "where home is the only one it signs alone");
}

#[test]
fn the_way_back_opens_to_the_card_of_a_notice_after_its_delay_and_never_once_contested() {
    let good = way_back();
    let found = asks_on(&noticed(Some(70)), &good, &[PATIENT, CARD, LOCKER]);
    row("without notice", found, Check::StandsOnMissing);
    row("on a notice that is not final", asks(&noticed(None), &good), Check::PeriodForm);
    row("before the delay", asks(&noticed(Some(80)), &good), Check::PeriodForm);
    let early = RequestEntry { after: (71, BlockHash([71; 32])), ..good.clone() };
    row("on a block within the delay", asks(&noticed(Some(70)), &early), Check::PeriodForm);
    let before = RequestEntry { after: (69, BlockHash([69; 32])), ..good.clone() };
    row("on a block before the notice", asks(&noticed(Some(70)), &before), Check::PeriodForm);
    for at in [None, Some(90)] {
        let mut contested = noticed(Some(70));
        contested.view.close(lock(NOTICE), at);
        row("contested", asks(&contested, &good), Check::LockClosed);
    }
    let world = noticed(Some(70));
    let other = RequestEntry { opener: agreement(160), ..good.clone() };
    row("to another card than the one named", asks(&world, &other), Check::StandsOnWrong);
    let lost = RequestEntry { opener: agreement(220), ..good.clone() };
    row("to the lost card", asks(&world, &lost), Check::StandsOnWrong);
    let elsewhere = RequestEntry { requester: RON, organization: RURAL, ..good.clone() };
    row("asked by another hospital", asks(&world, &elsewhere), Check::StandsOnWrong);
    let reason = RequestEntry { reason: Reason::Unconscious, ..good.clone() };
    row("for another reason", asks(&world, &reason), Check::StandsOnWrong);
    let label = escrow(Tier::Full).label(NET, &agreement(220), &HOME);
    row("the label of another tier", asks(&world, &RequestEntry { label, ..good.clone() }), Check::ScopeForm);
    assert_eq!(asks(&world, &good), None, "noticed, waited for, uncontested, to the card that was named");
}

#[test]
fn a_contest_stops_what_is_asked_for_already_and_three_others_release_it() {
    let mut world = noticed(Some(70));
    let asked = way_back();
    world.put(REQUEST, Personal::Request(Box::new(asked.clone())), Some(TIP), None);
    let releases = |world: &mut World, people: Vec<_>, on: &[ContentId]| {
        let approvals = sorted(people);
        let signature = Some([9; 96]);
        let entry =
            ReleaseEntry { patient: ADA, request: REQUEST, approvals, signature, presence: None, link: None };
        verify(world, &asked, &entry);
        check(world, &content(Kind::Release, &entry, HOME, on), &[])
    };
    let eve = person(CITY, 4);
    let three =
        || vec![approval(person(CITY, 1), 4, REQUEST), approval(RON, 2, REQUEST), approval(eve, 3, REQUEST)];
    let on = [REQUEST, NOTICE];
    let two = three().split_off(1);
    row("released by two guardians", releases(&mut world, two, &on), Check::MissingSignature);
    let own = vec![approval(HAL, 1, REQUEST), approval(RON, 2, REQUEST), approval(eve, 3, REQUEST)];
    row("the registrar among those who approve", releases(&mut world, own, &on), Check::NotAuthorized);
    row("a release without the notice", releases(&mut world, three(), &[REQUEST]), Check::StandsOnMissing);
    assert_eq!(releases(&mut world, three(), &on), None, "three others, on the notice");
    world.view.close(lock(NOTICE), None);
    row("contested after it was asked for", releases(&mut world, three(), &on), Check::LockClosed);
}

#[test]
fn home_contests_a_notice_by_its_card_alone_and_takes_nothing_else_back_so() {
    let world = noticed(Some(70));
    let revoke = |ids: &[ContentId], organization: OrganizationId, by: u8| {
        let Personal::Revocation(entry) = revocation(Revoked::Entries(ids.to_vec())) else {
            unreachable!("it is one")
        };
        check(&world, &content(Kind::Revocation, &entry, organization, &[]), &[by])
    };
    assert_eq!(revoke(&[NOTICE], HOME, HOMES), None, "home's card takes its notice back");
    assert_eq!(revoke(&[NOTICE], CITY, CITYS), Some(Check::WrongOrganization), "another's doesn't");
    assert_eq!(revoke(&[NOTICE], HOME, CITYS), Some(Check::WrongSigner), "nor at home");
    assert_eq!(revoke(&[CARD], HOME, HOMES), Some(Check::StandsOnWrong), "and nothing else of the patient's");
}

#[test]
fn a_notice_goes_to_who_signed_it_and_who_judges_the_request() {
    let mut world = noticed(Some(70));
    let reach = |world: &World| {
        let found = audience(&world.view, &NOTICE, &Personal::Recovery(Box::new(notice())), NOW);
        match found.expect("readable") {
            Audience::Organizations(set) => set,
            Audience::Everyone => unreachable!("a personal kind"),
        }
    };
    assert!(!reach(&world).contains(&RURAL), "not to a hospital that has nothing to do with it");
    assert!(reach(&world).is_superset(&[HOME, CITY].into()), "to both that signed");
    world.put(REQUEST, Personal::Request(Box::new(way_back())), Some(TIP), None);
    assert!(reach(&world).contains(&RURAL), "and to a guardian's, once it is asked for");
}
