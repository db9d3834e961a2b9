//! Rule 15 and the bodies of break-glass: what is opened by enough people of the roster for this very request, and by
//! nobody else.
//!
//! Method: bodies signed by real cards are judged against a small federation whose committees have three guardians of
//! three hospitals. The view knows which threshold signatures were verified; keys are tested in `breakglass`.

use super::world::*;
use crate::check::Check;
use crate::context::Context;
use crate::control::{CeremonyBlocks, CommitteeEntry, LEDGER_COMMITTEE, PolicyEntry, Roster, Standing};
use crate::emergency::{
    Approval, ApprovalStatement, CloseEntry, EscrowPublic, EscrowRef, Outcome, Reason, ReleaseEntry,
    RequestEntry, ReviewEntry, Tier,
};
use crate::entry::{Content, FORMAT, Kind};
use crate::ids::{BlockHash, ContentId, KeyId, NodeId, ObjectId, OrganizationId, PersonId};
use crate::limits::{EMERGENCY_BLOCKS_MAX, EMERGENCY_MS_MAX};
use crate::personal::{Category, Label, LockerEntry, LockerPublic, Purpose};
use crate::policy::audience::{Audience, audience};
use crate::policy::{Act, HeaderFacts, Personal, Request, Rule, Signed, judge_body};
use crate::sign1::sign1;
use crate::state::StandingCommittee;
use crate::tap::{Body, sign_tap};
use crate::wire::{Bytes, Wire};

pub(super) const LOCKER: ContentId = id(200);
pub(super) const REQUEST: ContentId = id(201);
pub(super) const RELEASE: ContentId = id(202);
const HOUR: u64 = 3_600_000;

/// Committees are named by their tier; the ledger's, which stands in for guardians at tier 0, by 9.
pub(super) const fn committee_id(n: u8) -> ContentId {
    id(210 + if n == 0 { 9 } else { n })
}

/// Ann of City, who asks; guardians at the places 1 to 3 of every roster: Ann, Hal of Home, Ron of Rural.
pub(super) const ANN: PersonId = person(CITY, 1);
pub(super) const HAL: PersonId = person(HOME, 1);
pub(super) const RON: PersonId = person(RURAL, 1);
pub(super) const EVE: PersonId = person(CITY, 4);

fn committee(n: u8, name: &str, roster: Roster, shares_needed: u64) -> StandingCommittee {
    let blocks = CeremonyBlocks { deal: 1, complain: 2, answer: 3, prove: 4 };
    let provers_needed = shares_needed;
    let entry = CommitteeEntry {
        name: name.into(),
        roster,
        shares_needed,
        provers_needed,
        previous: None,
        blocks,
        local: None,
    };
    StandingCommittee { id: committee_id(n), height: u64::from(n) + 1, entry }
}

pub(super) fn escrow(tier: Tier) -> EscrowRef {
    EscrowRef {
        public: EscrowPublic { tier, key: agreement(150 + tier as u8), staged: false },
        guardians: committee_id(tier as u8),
        ledger: committee_id(9),
        keys: KeyId([4; 32]),
        salt: [5; 32],
        sealed: ObjectId([1; 33]),
    }
}

pub(super) fn locker() -> LockerEntry {
    LockerEntry {
        patient: ADA,
        epoch: 1,
        lockers: vec![LockerPublic { category: Category::Letters, label: Label::Normal, key: agreement(5) }],
        rests_on: Vec::new(),
        packets: Vec::new(),
        subject_keys: Vec::new(),
        staged: false,
        escrows: vec![escrow(Tier::Card), escrow(Tier::Summary), escrow(Tier::Full)],
    }
}

pub(super) fn world() -> World {
    let mut world = World::new();
    world.change(|members| {
        let guardians = Roster::Guardians(vec![ANN, HAL, RON]);
        let nodes = Roster::Validators([HOME, CITY].map(node_id).to_vec());
        members.committees = vec![
            committee(1, "summary", guardians.clone(), 2),
            committee(2, "full", Roster::Guardians(vec![HAL, RON, EVE, ANN]), 3),
            committee(9, LEDGER_COMMITTEE, nodes, 2),
        ];
        let auditor = |(id, p): &mut (PersonId, crate::control::PractitionerEntry)| {
            if [person(HOME, 3), person(RURAL, 3), person(CITY, 3)].contains(id) {
                p.roles.push("auditor".into());
            }
        };
        members.people.iter_mut().for_each(auditor);
    });
    world.put(LOCKER, Personal::Locker(locker()), Some(3), Some(CARD));
    world
}

pub(super) fn ask(tier: Tier) -> RequestEntry {
    RequestEntry {
        patient: ADA,
        requester: ANN,
        organization: CITY,
        tier,
        enrolment: PATIENT,
        card: CARD,
        locker: LOCKER,
        guardians: committee_id(tier as u8),
        ledger: committee_id(9),
        label: escrow(tier).label(NET, &agreement(220), &HOME),
        reason: Reason::Unconscious,
        text: String::new(),
        until: NOW + HOUR,
        after: (10, BlockHash([10; 32])),
        opener: agreement(160),
        sealed_opener: Bytes::default(),
        subject_keys: Vec::new(),
        patient_key: None,
    }
}

pub(super) fn content(
    kind: Kind,
    payload: &impl Wire,
    organization: OrganizationId,
    on: &[ContentId],
) -> Content {
    let mut stands_on = on.to_vec();
    stands_on.sort_unstable();
    Content {
        format: FORMAT,
        network: NET,
        kind: kind.code(),
        organization,
        salt: [7; 32],
        lock: None,
        stands_on,
        payload: Bytes(payload.encode()),
    }
}

pub(super) struct Judged<'w> {
    pub(super) world: &'w World,
    pub(super) signed_at: u64,
    pub(super) height: Option<u64>,
}

impl Judged<'_> {
    pub(super) fn check(&self, content: &Content, by: &[PersonId]) -> Option<Check> {
        let mut signatures = Vec::new();
        for person in by {
            let signed = sign_tap(&mut signer(slots(*person).1), &NET, ("text", "en"), &[content.id()]);
            signatures.extend(signed.expect("software signs"));
        }
        let body = Body { content: Bytes(content.encode()), signatures };
        let facts = HeaderFacts::about_to_sign(content, node_id(content.organization), self.signed_at);
        let facts = HeaderFacts { height: self.height, ..facts };
        judge_body(&self.world.view, &body, content, &facts).err().map(|r| r.check)
    }
}

pub(super) fn judged(world: &World) -> Judged<'_> {
    Judged { world, signed_at: NOW, height: None }
}

pub(super) fn asks(world: &World, entry: &RequestEntry) -> Option<Check> {
    let content = content(Kind::BreakGlassRequest, entry, entry.organization, &[PATIENT, CARD, LOCKER]);
    judged(world).check(&content, &[entry.requester])
}

pub(super) fn approval(person: PersonId, index: u64, request: ContentId) -> Approval {
    let share = [u8::try_from(index).expect("small"); 96];
    let statement = ApprovalStatement { request, text: [1; 32], language: "en".into() };
    let signed = sign1(&mut signer(slots(person).1), Context::Approval, &NET, &statement.encode());
    Approval { person, index, signed: Bytes(signed.expect("software signs")), share }
}

/// A request of a tier in the view, with a release of it that these approve.
fn released(world: &mut World, request: &RequestEntry, approvals: Vec<Approval>) -> ReleaseEntry {
    world.put(REQUEST, Personal::Request(Box::new(request.clone())), Some(20), None);
    let release = ReleaseEntry {
        patient: ADA,
        request: REQUEST,
        approvals: sorted(approvals),
        signature: Some([9; 96]),
        presence: None,
        link: None,
    };
    verify(world, request, &release);
    release
}

pub(super) fn sorted(mut approvals: Vec<Approval>) -> Vec<Approval> {
    approvals.sort_by_key(|a| a.person);
    approvals
}

/// The view has verified the signature of a release and its shares.
pub(super) fn verify(world: &mut World, request: &RequestEntry, release: &ReleaseEntry) {
    let statement = request.release(NET, REQUEST).encode();
    let shares: Vec<_> = release.approvals.iter().map(|a| (a.index, &a.share)).collect();
    let signed = Signed {
        statement: &statement,
        shares: &shares,
        signature: release.signature.as_ref().expect("by guardians"),
    };
    world.view.threshold_signatures.insert(signed.id(&request.guardians));
}

pub(super) fn releases(world: &World, entry: &ReleaseEntry) -> Option<Check> {
    judged(world).check(&content(Kind::Release, entry, CITY, &[REQUEST]), &[])
}

pub(super) fn summary_release(world: &mut World) -> ReleaseEntry {
    released(world, &ask(Tier::Summary), vec![approval(ANN, 1, REQUEST), approval(HAL, 2, REQUEST)])
}

fn full_release(world: &mut World) -> ReleaseEntry {
    let approvals = vec![approval(HAL, 1, REQUEST), approval(RON, 2, REQUEST), approval(EVE, 3, REQUEST)];
    released(world, &ask(Tier::Full), approvals)
}

#[test]
fn a_request_is_for_an_escrow_of_that_patient_and_that_tier() {
    let world = world();
    for tier in [Tier::Card, Tier::Summary, Tier::Full] {
        assert_eq!(asks(&world, &ask(tier)), None, "{tier:?} as it should be");
    }
    let refused = Some(Check::StandsOnWrong);
    let label = |label| asks(&world, &RequestEntry { label, ..ask(Tier::Summary) });
    let other = escrow(Tier::Summary).label(NET, &agreement(225), &HOME);
    assert_eq!(label(other), refused, "the label of another patient's card");
    assert_eq!(label(escrow(Tier::Summary).label(NET, &agreement(220), &RURAL)), refused, "of another home");
    let foreign = EscrowRef { salt: [6; 32], ..escrow(Tier::Summary) };
    assert_eq!(label(foreign.label(NET, &agreement(220), &HOME)), refused, "of an escrow nobody sealed");
    let staged = EscrowPublic { key: agreement(170), staged: true, ..escrow(Tier::Summary).public };
    let staged = EscrowRef { public: staged, ..escrow(Tier::Summary) };
    let mut prepared = world.clone();
    let escrows = vec![escrow(Tier::Summary), staged.clone()];
    prepared.put(LOCKER, Personal::Locker(LockerEntry { escrows, ..locker() }), Some(3), Some(CARD));
    let successor = RequestEntry { label: staged.label(NET, &agreement(220), &HOME), ..ask(Tier::Summary) };
    assert_eq!(asks(&prepared, &successor), refused, "of an escrow that is staged");
    assert_eq!(asks(&prepared, &ask(Tier::Summary)), None, "and of the one in force beside it");
    let form = Some(Check::ScopeForm);
    assert_eq!(label(escrow(Tier::Full).label(NET, &agreement(220), &HOME)), form, "of another tier");
    let with = |entry: RequestEntry| asks(&world, &entry);
    let full = committee_id(2);
    assert_eq!(
        with(RequestEntry { guardians: full, ..ask(Tier::Summary) }),
        refused,
        "another tier's guardians"
    );
    let guarded = RequestEntry { guardians: committee_id(1), ..ask(Tier::Card) };
    assert_eq!(with(guarded), form, "guardians where the patient's card stands in for them");
    let unknown = Some(Check::StandsOnMissing);
    assert_eq!(with(RequestEntry { guardians: id(99), ..ask(Tier::Summary) }), unknown, "nobody's guardians");
    let tier = Tier::Offline;
    let entry =
        RequestEntry { tier, label: escrow(tier).label(NET, &agreement(220), &HOME), ..ask(Tier::Full) };
    assert_eq!(with(entry), form, "{tier:?} is not asked for this way");
}

#[test]
fn a_request_is_of_its_requester_its_time_and_its_chain() {
    let world = world();
    let good = ask(Tier::Full);
    let on = [PATIENT, CARD, LOCKER];
    let made = content(Kind::BreakGlassRequest, &good, CITY, &on);
    assert_eq!(judged(&world).check(&made, &[ANN]), None, "by its requester");
    assert_eq!(judged(&world).check(&made, &[EVE]), Some(Check::WrongSigner), "by a colleague");
    assert_eq!(judged(&world).check(&made, &[]), Some(Check::MissingSignature), "by nobody");
    let late = Judged { signed_at: good.until, ..judged(&world) };
    assert_eq!(late.check(&made, &[ANN]), Some(Check::PeriodForm), "signed when it has ended");
    let long = RequestEntry { until: NOW + EMERGENCY_MS_MAX + 1, ..good.clone() };
    assert_eq!(asks(&world, &long), Some(Check::PeriodForm), "longer than a release lasts");
    let longest = RequestEntry { until: NOW + EMERGENCY_MS_MAX, ..good.clone() };
    assert_eq!(asks(&world, &longest), None, "as long as one lasts");
    let fork = RequestEntry { after: (10, BlockHash([11; 32])), ..good.clone() };
    assert_eq!(asks(&world, &fork), Some(Check::StandsOnWrong), "after a block of another chain");
    let elsewhere = content(Kind::BreakGlassRequest, &good, RURAL, &on);
    assert_eq!(
        judged(&world).check(&elsewhere, &[ANN]),
        Some(Check::NotAuthorized),
        "filed by another hospital"
    );
    let without = content(Kind::BreakGlassRequest, &good, CITY, &[PATIENT, CARD]);
    assert_eq!(
        judged(&world).check(&without, &[ANN]),
        Some(Check::StandsOnMissing),
        "without the locker entry"
    );
    let other = RequestEntry { reason: Reason::Other, ..good.clone() };
    assert_eq!(asks(&world, &other), Some(Check::ScopeForm), "another reason without a word");
    let said = RequestEntry { text: "found in the street".into(), ..other };
    assert_eq!(asks(&world, &said), None, "and with one");
    let mut suspended = world.clone();
    suspended.change(|members| {
        let ann = members.people.iter_mut().find(|(id, _)| *id == ANN).expect("enrolled");
        ann.1.standing = Standing::Suspended;
    });
    assert_eq!(asks(&suspended, &good), Some(Check::CardSuspended), "by a card that was suspended");
}

/// An attack on a release that must be refused so; printed as a row of the table of attacks (`tests/attacks`).
fn row(attack: &str, found: Option<Check>, wanted: Check) {
    assert_eq!(found, Some(wanted), "{attack}");
    println!("| releases | {attack} | refused by check {} |", wanted.code());
}

#[test]
fn enough_people_of_the_roster_release_counted_once_each() {
    let mut world = world();
    let good = summary_release(&mut world);
    assert_eq!(releases(&world, &good), None, "two guardians, the requester one of them");
    let with = |approvals: Vec<Approval>| releases(&world, &ReleaseEntry { approvals, ..good.clone() });
    let by = |people: &[(PersonId, u64)]| {
        with(sorted(people.iter().map(|(p, n)| approval(*p, *n, REQUEST)).collect()))
    };
    row("one guardian", by(&[(HAL, 2)]), Check::MissingSignature);
    row("the validators' key and no guardian", with(Vec::new()), Check::MissingSignature);
    row("one person at two places", by(&[(HAL, 2), (HAL, 3)]), Check::ScopeForm);
    row("two people with one share", by(&[(HAL, 2), (RON, 2)]), Check::ScopeForm);
    row("a place that is another's", by(&[(HAL, 2), (RON, 1)]), Check::NotAuthorized);
    row("beyond the roster", by(&[(HAL, 2), (EVE, 4)]), Check::NotAuthorized);
    row("the place before the first", by(&[(HAL, 2), (EVE, 0)]), Check::NotAuthorized);
    let replayed = sorted(vec![approval(ANN, 1, REQUEST), approval(HAL, 2, id(99))]);
    row("an approval of another request", with(replayed), Check::ContentMismatch);
    let mut swapped = good.approvals.clone();
    swapped[0].share = [77; 96];
    row("a share that nobody's key made", with(swapped), Check::BadSignature);
    let mut forged = good.approvals.clone();
    forged[0].signed = forged[1].signed.clone();
    row("signed by the other's card", with(forged), Check::WrongSigner);
}

#[test]
fn the_full_record_takes_three_one_from_elsewhere_and_not_the_requester() {
    let mut world = world();
    let good = full_release(&mut world);
    assert_eq!(releases(&world, &good), None, "three of three hospitals, none the requester");
    let by = |world: &World, people: &[(PersonId, u64)]| {
        let approvals = sorted(people.iter().map(|(p, n)| approval(*p, *n, REQUEST)).collect());
        let (mut world, release) = (world.clone(), ReleaseEntry { approvals, ..good.clone() });
        verify(&mut world, &ask(Tier::Full), &release);
        releases(&world, &release)
    };
    row("two are not three", by(&world, &[(HAL, 1), (RON, 2)]), Check::MissingSignature);
    let own = [(HAL, 1), (RON, 2), (ANN, 4)];
    row("the requester among them", by(&world, &own), Check::NotAuthorized);
    world.change(|members| {
        let colleagues = vec![EVE, person(CITY, 2), person(CITY, 3), HAL];
        members.committees[1].entry.roster = Roster::Guardians(colleagues);
    });
    let colleagues = [(EVE, 1), (person(CITY, 2), 2), (person(CITY, 3), 3)];
    row("all of the requester's hospital", by(&world, &colleagues), Check::NotAuthorized);
    let mixed = [(EVE, 1), (person(CITY, 2), 2), (HAL, 4)];
    assert_eq!(by(&world, &mixed), None, "one of another");
}

#[test]
fn a_release_is_of_its_request_as_it_was_signed_and_in_time() {
    let mut world = world();
    let good = summary_release(&mut world);
    let asked = ask(Tier::Summary);
    let altered: [(&str, RequestEntry); 4] = [
        ("requester", RequestEntry { requester: EVE, ..asked.clone() }),
        (
            "label",
            RequestEntry { label: escrow(Tier::Summary).label(NET, &agreement(9), &HOME), ..asked.clone() },
        ),
        ("end", RequestEntry { until: asked.until + 1, ..asked.clone() }),
        ("tier", RequestEntry { tier: Tier::Full, guardians: committee_id(2), ..asked.clone() }),
    ];
    for (what, entry) in altered {
        let mut other = world.clone();
        other.put(REQUEST, Personal::Request(Box::new(entry)), Some(20), None);
        let refused = releases(&other, &good);
        assert!(refused.is_some(), "signed for another {what}");
        let number = refused.map_or(0, Check::code);
        println!("| releases | {what} altered after guardians signed | refused by check {number} |");
    }
    let unsigned = ReleaseEntry { signature: Some([8; 96]), ..good.clone() };
    row("not the committee's signature", releases(&world, &unsigned), Check::BadSignature);
    let made = content(Kind::Release, &good, CITY, &[REQUEST]);
    let at = |signed_at| Judged { signed_at, ..judged(&world) }.check(&made, &[]);
    assert_eq!(at(asked.until - 1), None, "in time by the clock");
    row("expired by the clock", at(asked.until), Check::PeriodForm);
    let by_height = |height| Judged { height: Some(height), ..judged(&world) }.check(&made, &[]);
    let last = asked.after.0 + EMERGENCY_BLOCKS_MAX;
    assert_eq!(by_height(last), None, "and by height");
    row("expired by height", by_height(last + 1), Check::PeriodForm);
    let elsewhere = content(Kind::Release, &good, RURAL, &[REQUEST]);
    row("filed by another hospital", judged(&world).check(&elsewhere, &[]), Check::WrongOrganization);
}

/// The release of a request by a card of the patient: 9E of the card entry `CARD` has the seed 222.
fn presence(request: &RequestEntry, id: ContentId, seed: u8, context: Context) -> ReleaseEntry {
    let said = request.release(NET, id).encode();
    let signed = sign1(&mut signer(seed), context, &NET, &said).expect("software signs");
    ReleaseEntry {
        patient: ADA,
        request: REQUEST,
        approvals: Vec::new(),
        signature: None,
        presence: Some(Bytes(signed)),
        link: None,
    }
}

fn asked_by_card() -> (World, RequestEntry, ReleaseEntry) {
    let (mut world, request) = (world(), ask(Tier::Card));
    world.put(REQUEST, Personal::Request(Box::new(request.clone())), Some(20), None);
    let release = presence(&request, REQUEST, 222, Context::Presence);
    (world, request, release)
}

fn released_by_card(entry: &ReleaseEntry) -> Content {
    content(Kind::Release, entry, CITY, &[REQUEST, CARD])
}

#[test]
fn the_patients_card_in_the_reader_releases_this_request_alone() {
    let (world, request, good) = asked_by_card();
    let refused = |what: &str, entry: &ReleaseEntry, check: Check| {
        assert_eq!(judged(&world).check(&released_by_card(entry), &[]), Some(check), "{what}");
        println!("| tier 0 | {what} | refused by check {} |", check.code());
    };
    assert_eq!(judged(&world).check(&released_by_card(&good), &[]), None, "as it should be");
    let none = ReleaseEntry { presence: None, ..good.clone() };
    refused("no presence signature", &none, Check::MissingSignature);
    let replayed = presence(&request, id(99), 222, Context::Presence);
    refused("a presence signature of another request", &replayed, Check::ContentMismatch);
    let longer = RequestEntry { until: request.until + 1, ..request.clone() };
    refused("of a longer one", &presence(&longer, REQUEST, 222, Context::Presence), Check::ContentMismatch);
    let another = presence(&request, REQUEST, 227, Context::Presence);
    refused("another card", &another, Check::WrongSigner);
    let behind_pin = presence(&request, REQUEST, 221, Context::Presence);
    refused("another key of the same card", &behind_pin, Check::WrongSigner);
    let session = presence(&request, REQUEST, 222, Context::Session);
    refused("a signature made for something else", &session, Check::BadSignature);
    let both = ReleaseEntry { approvals: vec![approval(HAL, 2, REQUEST)], ..good.clone() };
    refused("card and guardian in one", &both, Check::ScopeForm);
    let old = content(Kind::Release, &good, CITY, &[REQUEST, OLD_CARD]);
    assert_eq!(judged(&world).check(&old, &[]), Some(Check::StandsOnWrong), "by a card entry not asked for");
    assert_eq!(releases(&world, &good), Some(Check::StandsOnMissing), "without the card entry");
    let made = released_by_card(&good);
    let late = Judged { signed_at: request.until, ..judged(&world) };
    assert_eq!(late.check(&made, &[]), Some(Check::PeriodForm), "expired by the clock");
    let last = request.after.0 + EMERGENCY_BLOCKS_MAX;
    let by_height = |height| Judged { height: Some(height), ..judged(&world) }.check(&made, &[]);
    assert_eq!((by_height(last), by_height(last + 1)), (None, Some(Check::PeriodForm)), "and by height");
}

#[test]
fn a_card_releases_no_tier_of_guardians_and_guardians_none_of_the_card() {
    let mut world = world();
    let by_two = summary_release(&mut world);
    let summary = ask(Tier::Summary);
    let presence = presence(&summary, REQUEST, 222, Context::Presence);
    let refused = Some(Check::MissingSignature);
    assert_eq!(
        judged(&world).check(&released_by_card(&presence), &[]),
        refused,
        "the card for two guardians"
    );
    assert_eq!(releases(&world, &by_two), None, "two guardians do");
    let (world, ..) = asked_by_card();
    assert_eq!(judged(&world).check(&released_by_card(&by_two), &[]), refused, "guardians for the card");
}

#[test]
fn a_suspended_card_releases_nothing_nor_does_one_where_policy_is_against_it() {
    let (world, _, good) = asked_by_card();
    let made = released_by_card(&good);
    let check = |world: &World, height| Judged { height, ..judged(world) }.check(&made, &[]);
    let mut suspended = world.clone();
    suspended.view.close(lock(CARD), Some(25));
    assert_eq!(check(&suspended, None), Some(Check::CardSuspended), "suspended before it is final");
    assert_eq!(check(&suspended, Some(30)), Some(Check::CardSuspended), "or final before the release");
    assert_eq!(check(&suspended, Some(21)), None, "what was final before stays");
    let mut federation = world.clone();
    federation.change(|members| members.policy.tier_zero = false);
    assert_eq!(check(&federation, None), Some(Check::NotAuthorized), "switched off by the federation");
    let own = |organization, tier_zero| PolicyEntry {
        organization: Some(organization),
        fields: None,
        backup_partners: Vec::new(),
        tier_zero,
    };
    let mut hospital = world.clone();
    hospital.change(|members| members.organization_policies.push((CITY, own(CITY, false))));
    assert_eq!(check(&hospital, None), Some(Check::NotAuthorized), "by the requester's hospital");
    assert_eq!(check(&hospital, Some(21)), None, "what was final before stays");
    let mut other = world.clone();
    other.change(|members| members.organization_policies.push((RURAL, own(RURAL, false))));
    assert_eq!(check(&other, None), None, "another hospital's switch is its own");
    assert_eq!(check(&world, None), None, "and with none it is released");
}

pub(super) fn reads(world: &World, record: ContentId) -> Rule {
    world.rule(&Request { act: Act::Read(record), purpose: Purpose::EmergencyTreatment, ..request() })
}

#[test]
fn a_final_release_permits_what_its_tier_opens_until_it_ends() {
    let mut world = world();
    assert_eq!(reads(&world, SUMMARY), Rule::NoGrant, "nothing was released");
    let release = summary_release(&mut world);
    world.put(RELEASE, Personal::Release(release), None, None);
    assert_eq!(reads(&world, SUMMARY), Rule::EmergencyPending, "released, and not final");
    world.view.finalise(&RELEASE, 21);
    assert_eq!(reads(&world, SUMMARY), Rule::Emergency, "final");
    assert_eq!(reads(&world, LAB), Rule::EmergencyScope, "but for the summary alone");
    let plain = Request { act: Act::Read(SUMMARY), ..request() };
    assert_eq!(world.rule(&plain), Rule::NoGrant, "for the purpose of an emergency alone");
    let colleague =
        Request { actor: crate::policy::Actor::Person(EVE), purpose: Purpose::EmergencyTreatment, ..plain };
    assert_eq!(world.rule(&colleague), Rule::NoGrant, "for the requester alone");
    let why = world.decide(&Request { purpose: Purpose::EmergencyTreatment, ..plain });
    assert_eq!(why.why().entries, [id(ANN.0[0]), REQUEST, RELEASE], "it rests on request and release");
    let later = |now| {
        crate::policy::decide(&world.view, &Request { purpose: Purpose::EmergencyTreatment, ..plain }, now)
    };
    let until = ask(Tier::Summary).until;
    assert!(later(until - 1).is_permitted(), "up to its last millisecond");
    assert_eq!(later(until).why().rule, Rule::EmergencyOver, "and not beyond");
    let close =
        CloseEntry { patient: ADA, release: RELEASE, person: ANN, organization: CITY, wrong_patient: false };
    world.put(id(203), Personal::Close(close), None, None);
    assert_eq!(reads(&world, SUMMARY), Rule::EmergencyOver, "nor once it is closed");
}

#[test]
fn the_full_tier_opens_everything_but_private_notes() {
    let mut world = world();
    let release = full_release(&mut world);
    world.put(RELEASE, Personal::Release(release), Some(21), None);
    for record in [SUMMARY, LAB, LETTER] {
        assert_eq!(reads(&world, record), Rule::Emergency, "the whole record");
    }
    assert_eq!(reads(&world, NOTES), Rule::PrivateNotes, "private notes never");
    let held = |world: &World, entry: ContentId, record| {
        let entry_of = Personal::Record(Box::new(record));
        let Ok(Audience::Organizations(set)) = audience(&world.view, &entry, &entry_of, NOW) else {
            return false;
        };
        set.contains(&CITY)
    };
    let lab = record(Category::Laboratory, Label::Normal);
    assert!(held(&world, LAB, lab.clone()), "the requester's hospital is sent what is opened");
    let before = self::world();
    assert!(!held(&before, LAB, lab), "and nothing without a release");
}

#[test]
fn who_judges_a_request_gets_what_it_stands_on() {
    let mut world = world();
    world.put(REQUEST, Personal::Request(Box::new(ask(Tier::Full))), None, None);
    let of = |id: ContentId, entry: Personal| match audience(&world.view, &id, &entry, NOW) {
        Ok(Audience::Organizations(set)) => set.into_iter().collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let all = [HOME, CITY, RURAL];
    assert_eq!(
        of(REQUEST, Personal::Request(Box::new(ask(Tier::Full)))),
        all,
        "home, requester, guardians, validators"
    );
    assert_eq!(of(LOCKER, Personal::Locker(locker())), all, "with the escrow's label");
    assert_eq!(of(id(204), Personal::Locker(locker())), [HOME], "and no other epoch");
}

#[test]
fn a_close_and_a_review_are_by_those_who_may() {
    let mut world = world();
    let release = summary_release(&mut world);
    world.put(RELEASE, Personal::Release(release), Some(21), None);
    let close = |person: PersonId, organization| {
        let entry = CloseEntry { patient: ADA, release: RELEASE, person, organization, wrong_patient: true };
        judged(&world).check(&content(Kind::Close, &entry, organization, &[RELEASE]), &[person])
    };
    assert_eq!(close(ANN, CITY), None, "the requester closes");
    assert_eq!(close(HAL, HOME), None, "one of the patient's home closes");
    assert_eq!(close(RON, RURAL), Some(Check::NotAuthorized), "and nobody else");
    let review = |reviewer: PersonId, organization| {
        let (outcome, text) = (Outcome::Justified, String::new());
        let entry = ReviewEntry { patient: ADA, release: RELEASE, reviewer, organization, outcome, text };
        judged(&world).check(&content(Kind::Review, &entry, organization, &[RELEASE]), &[reviewer])
    };
    assert_eq!(review(person(HOME, 3), HOME), None, "an auditor of the home organization");
    assert_eq!(review(person(CITY, 3), CITY), None, "one of the requester's");
    assert_eq!(review(person(RURAL, 3), RURAL), Some(Check::NotAuthorized), "and of no other");
    assert_eq!(review(EVE, CITY), Some(Check::NotAuthorized), "nobody without the role");
    assert_eq!(review(ANN, CITY), Some(Check::NotAuthorized), "not who asked");
}

#[test]
fn an_auditor_reviews_nothing_that_the_same_person_asked_for_or_approved() {
    let mut world = world();
    world.change(|members| {
        let of = |id: &PersonId| [ANN, HAL, EVE].contains(id);
        members.people.iter_mut().filter(|(id, _)| of(id)).for_each(|(_, p)| p.roles.push("auditor".into()));
    });
    let release = full_release(&mut world);
    world.put(RELEASE, Personal::Release(release), Some(21), None);
    let review = |reviewer: PersonId, organization| {
        let (outcome, text) = (Outcome::Justified, String::new());
        let entry = ReviewEntry { patient: ADA, release: RELEASE, reviewer, organization, outcome, text };
        judged(&world).check(&content(Kind::Review, &entry, organization, &[RELEASE]), &[reviewer])
    };
    assert_eq!(review(ANN, CITY), Some(Check::NotAuthorized), "who asked and did not approve");
    assert_eq!(review(HAL, HOME), Some(Check::NotAuthorized), "who approved and did not ask, at home");
    assert_eq!(review(EVE, CITY), Some(Check::NotAuthorized), "nor at the requester's");
    assert_eq!(review(person(HOME, 3), HOME), None, "one who had no part in it does");
}

#[test]
fn a_node_id_is_no_persons_place() {
    let mut world = world();
    let good = summary_release(&mut world);
    world.change(|members| {
        members.committees[0].entry.roster = Roster::Validators(vec![NodeId(ANN.0), NodeId(HAL.0)]);
    });
    assert_eq!(releases(&world, &good), Some(Check::StandsOnWrong), "nodes release nothing");
}
