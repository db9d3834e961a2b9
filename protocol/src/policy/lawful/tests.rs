//! Bodies of every kind, signed by real keys: lawful as they should be, refused with one thing wrong.

use crate::check::{Check, Rejected};
use crate::control::Standing;
use crate::entry::{Content, FORMAT, Kind};
use crate::ids::{BlockHash, ContentId, Lock, OrganizationId, PatientId, PersonId, Reveal};
use crate::keys::Signer as _;
use crate::limits::{COOLING_OFF_MS_DEFAULT, SIGNED_AHEAD_MS_MAX};
use crate::personal::{
    AccessEntry, Author, Category, ErasureEntry, ErasureReceipt, GrantEntry, Grantee, Label, LockerEntry,
    LockerPublic, PatientEntry, ProxyEntry, Purpose, RecordEntry, RevocationEntry, Revoked, Right,
    SubjectKey,
};
use crate::policy::lawful::{HeaderFacts, Verified, judge_body};
use crate::policy::tests::world::*;
use crate::policy::view::{FormerCard, PatientView, View};
use crate::policy::{Batch, Personal};
use crate::tap::{Body, sign_tap};
use crate::wire::{Bytes, Wire};

/// Seeds of keys that sign.
const ADA_9C: u8 = 220;
const ADA_9A: u8 = 221;
const OLD_9C: u8 = 225;
const PROXY_9C: u8 = 230;
const HOME_CARD: u8 = 1;
const CITY_CARD: u8 = 2;
const STRANGER: u8 = 250;

const fn slot_9c(organization: OrganizationId, n: u8) -> u8 {
    slots(person(organization, n)).1
}

const fn slot_9a(organization: OrganizationId, n: u8) -> u8 {
    slots(person(organization, n)).0
}

/// A body in the making.
#[derive(Clone)]
struct Draft {
    content: Content,
    by: Vec<u8>,
    height: Option<u64>,
    signed_at: u64,
}

fn draft(kind: Kind, payload: &impl Wire, stands_on: &[ContentId], by: &[u8]) -> Draft {
    let locked = matches!(kind, Kind::Card | Kind::Grant | Kind::Proxy);
    let mut stands_on = stands_on.to_vec();
    stands_on.sort_unstable();
    let content = Content {
        format: FORMAT,
        network: NET,
        kind: kind.code(),
        organization: HOME,
        salt: [7; 32],
        lock: locked.then(|| Reveal([7; 32]).lock()),
        stands_on,
        payload: Bytes(payload.encode()),
    };
    Draft { content, by: by.to_vec(), height: None, signed_at: NOW }
}

impl Draft {
    fn by(&self, by: &[u8]) -> Self {
        Self { by: by.to_vec(), ..self.clone() }
    }

    fn on(&self, stands_on: &[ContentId]) -> Self {
        let mut draft = self.clone();
        draft.content.stands_on = stands_on.to_vec();
        draft.content.stands_on.sort_unstable();
        draft
    }

    fn locked(&self, lock: Option<Lock>) -> Self {
        let mut draft = self.clone();
        draft.content.lock = lock;
        draft
    }

    fn at(&self, height: u64) -> Self {
        Self { height: Some(height), ..self.clone() }
    }

    fn signed_at(&self, signed_at: u64) -> Self {
        Self { signed_at, ..self.clone() }
    }

    fn body(&self) -> Body {
        let mut signatures = Vec::new();
        for seed in &self.by {
            let signed = sign_tap(&mut signer(*seed), &NET, ("text", "en"), &[self.content.id()]);
            signatures.extend(signed.expect("software signs"));
        }
        Body { content: Bytes(self.content.encode()), signatures }
    }

    fn facts(&self) -> HeaderFacts {
        let facts = HeaderFacts::about_to_sign(&self.content, node_id(HOME), self.signed_at);
        HeaderFacts { height: self.height, ..facts }
    }

    fn judge(&self, view: &impl PatientView) -> Result<Verified, Rejected> {
        judge_body(view, &self.body(), &self.content, &self.facts())
    }

    fn check(&self, world: &World) -> Option<Check> {
        self.judge(&world.view).err().map(|r| r.check)
    }
}

fn patient_entry(patient: PatientId, home: OrganizationId) -> PatientEntry {
    PatientEntry {
        patient,
        home,
        language: "en".into(),
        sealed_identity: Bytes::default(),
        subject_keys: Vec::<SubjectKey>::new(),
    }
}

fn a_grant() -> Draft {
    draft(Kind::Grant, &grant(), &[CARD], &[ADA_9C])
}

const PROXY: ContentId = id(100);

fn with_proxy() -> World {
    let mut world = World::new();
    world.put(PROXY, Personal::Proxy(proxy()), Some(5), Some(CARD));
    world
}

#[test]
fn a_grant_is_signed_by_the_patients_card_and_no_other() {
    let world = World::new();
    let good = a_grant().judge(&world.view).expect("by her card");
    assert_eq!(good.known.under, Some(under(CARD)), "it stands or falls with that card");
    assert_eq!((good.patient, good.shown.len()), (ADA, 1), "whose, and what was shown");
    assert_eq!(a_grant().by(&[]).check(&world), Some(Check::MissingSignature), "by nobody");
    assert_eq!(
        a_grant().by(&[OLD_9C]).check(&world),
        Some(Check::WrongSigner),
        "by a card it doesn't stand on"
    );
    assert_eq!(a_grant().by(&[slot_9c(CITY, 1)]).check(&world), Some(Check::WrongSigner), "by the grantee's");
    assert_eq!(a_grant().by(&[ADA_9A]).check(&world), Some(Check::WrongSigner), "by the wrong slot");
    assert_eq!(
        a_grant().by(&[STRANGER, ADA_9C]).check(&world),
        None,
        "another signature beside does no harm"
    );
    let mut torn = a_grant().body();
    torn.signatures[0].path.push([0; 32]);
    let verdict = judge_body(&world.view, &torn, &a_grant().content, &a_grant().facts());
    assert_eq!(verdict.err(), Some(Check::TapPath.into()), "under another root");
}

#[test]
fn what_an_entry_stands_on_is_here_of_its_kind_and_of_its_patient() {
    let mut world = World::new();
    let other = PatientEntry { ..patient_entry(PatientId([1; 32]), HOME) };
    world.put(id(90), Personal::Patient(other), Some(1), None);
    assert_eq!(a_grant().check(&world), None, "its card");
    assert_eq!(a_grant().on(&[CARD, LAB]).check(&world), None, "and a record");
    assert_eq!(a_grant().on(&[]).check(&world), Some(Check::StandsOnMissing), "no card");
    assert_eq!(
        a_grant().on(&[CARD, id(99)]).check(&world),
        Some(Check::StandsOnMissing),
        "something unknown"
    );
    assert_eq!(a_grant().on(&[CARD, OLD_CARD]).check(&world), Some(Check::StandsOnWrong), "two cards");
    assert_eq!(a_grant().on(&[CARD, id(90)]).check(&world), Some(Check::StandsOnWrong), "another patient's");
    let locker = Personal::Locker(locker());
    world.put(id(91), locker, Some(3), Some(CARD));
    assert_eq!(a_grant().on(&[CARD, id(91)]).check(&world), Some(Check::StandsOnWrong), "a locker");
}

#[test]
fn a_lock_is_there_where_it_must_be_and_open_until_final() {
    let mut world = World::new();
    let lock = a_grant().content.lock.expect("grants carry one");
    assert_eq!(a_grant().locked(None).check(&world), Some(Check::ScopeForm), "a grant without lock");
    let record = a_record().locked(Some(lock));
    assert_eq!(record.check(&world), Some(Check::ScopeForm), "a record with one");
    assert_eq!(a_record().check(&world), None, "and without");
    world.view.close(lock, None);
    assert_eq!(a_grant().check(&world), Some(Check::LockClosed), "withdrawn, and filed again");
    assert_eq!(a_grant().at(20).check(&world), None, "final before the reveal is: history");
    world.view.close(lock, Some(20));
    assert_eq!(a_grant().at(20).check(&world), None, "withdrawn in the same block, after it");
    assert_eq!(a_grant().at(21).check(&world), Some(Check::LockClosed), "withdrawn before it was final");
}

#[test]
fn what_a_lost_card_signed_is_lawful_only_if_final_before() {
    let mut world = World::new();
    world.view.close(lock(CARD), Some(30));
    assert_eq!(a_grant().at(29).check(&world), None, "final before");
    assert_eq!(a_grant().at(30).check(&world), Some(Check::CardSuspended), "not before");
    assert_eq!(a_grant().check(&world), Some(Check::CardSuspended), "not final");
}

#[test]
fn a_header_that_differs_or_was_voided_has_no_effect() {
    let world = World::new();
    let (draft, body) = (a_grant(), a_grant().body());
    let judge =
        |facts: HeaderFacts| judge_body(&world.view, &body, &draft.content, &facts).err().map(|r| r.check);
    assert_eq!(judge(draft.facts()), None, "as it is");
    let facts = draft.facts();
    let differing = [
        HeaderFacts { kind: Kind::Proxy.code(), ..facts },
        HeaderFacts { organization: CITY, ..facts },
        HeaderFacts { lock: None, ..facts },
        HeaderFacts { content: id(1), ..facts },
    ];
    for (n, facts) in differing.into_iter().enumerate() {
        assert_eq!(judge(facts), Some(Check::ContentMismatch), "field {n}");
    }
    let void = HeaderFacts { void: Some(Check::LockClosed), height: Some(20), ..facts };
    assert_eq!(judge(void), Some(Check::LockClosed), "voided by consensus");
    let unknown = Content { kind: 40, ..draft.content.clone() };
    let facts = HeaderFacts::about_to_sign(&unknown, node_id(HOME), NOW);
    let body = Body { content: Bytes(unknown.encode()), signatures: Vec::new() };
    let verdict = judge_body(&world.view, &body, &unknown, &facts);
    assert_eq!(verdict.err(), Some(Check::UnknownKind.into()), "a kind to come is kept, not applied");
}

#[test]
fn a_grants_after_is_a_block_of_this_chain() {
    let world = World::new();
    let after = |height, block: u8| {
        let mut g = grant();
        (g.after.height, g.after.block) = (height, BlockHash([block; 32]));
        draft(Kind::Grant, &g, &[CARD], &[ADA_9C]).check(&world)
    };
    assert_eq!(after(50, 50), None, "a block here");
    assert_eq!(after(0, NET.0[0]), None, "before the first block, the network");
    assert_eq!(after(50, 51), Some(Check::StandsOnWrong), "another block of that height");
    assert_eq!(after(TIP + 1, 101), Some(Check::StandsOnMissing), "a height not reached here");
}

#[test]
fn the_form_of_a_payload_is_judged() {
    let world = World::new();
    let grant_with = |change: fn(&mut GrantEntry)| {
        let mut g = grant();
        change(&mut g);
        draft(Kind::Grant, &g, &[CARD], &[ADA_9C]).check(&world)
    };
    assert_eq!(grant_with(|g| g.until = g.from), Some(Check::PeriodForm), "an empty period");
    assert_eq!(grant_with(|g| g.rights = 8), Some(Check::ScopeForm), "a right that isn't");
    assert_eq!(grant_with(|g| g.scope.records = vec![LAB]), Some(Check::ScopeForm), "categories and records");
    assert_eq!(grant_with(|g| g.rights = 4), Some(Check::ScopeForm), "a share without study");
    let notes = RecordEntry { category: Category::PrivateNotes, ..record(Category::Letters, Label::Normal) };
    let notes = draft(Kind::Record, &notes, &[], &[slot_9c(HOME, 1)]);
    assert_eq!(notes.check(&world), Some(Check::ScopeForm), "private notes by someone else");
    let mut bytes = a_grant();
    bytes.content.payload.0.push(0);
    assert_eq!(bytes.check(&world), Some(Check::TrailingBytes), "more than the payload");
    let plain = record(Category::Letters, Label::Normal);
    let amendment = draft(Kind::Amendment, &plain, &[LETTER], &[slot_9c(HOME, 1)]);
    assert_eq!(amendment.check(&world), Some(Check::ScopeForm), "an amendment of nothing");
}

#[test]
fn a_patient_is_enrolled_once_and_moves_with_both() {
    let mut world = World::new();
    let new = PatientId([0xbb; 32]);
    let enrol = |patient, by| draft(Kind::Patient, &patient_entry(patient, HOME), &[], &[by]);
    assert_eq!(enrol(new, HOME_CARD).check(&world), None, "by the home's card");
    assert_eq!(enrol(new, CITY_CARD).check(&world), Some(Check::WrongSigner), "by another organization's");
    assert_eq!(enrol(ADA, HOME_CARD).check(&world), Some(Check::AlreadyExists), "a second time");
    assert_eq!(enrol(ADA, HOME_CARD).at(50).check(&world), Some(Check::AlreadyExists), "final or not");
    let to_city = draft(Kind::Patient, &patient_entry(ADA, CITY), &[PATIENT, CARD], &[ADA_9C, CITY_CARD]);
    assert_eq!(to_city.check(&world), None, "she moves to City");
    assert_eq!(to_city.by(&[CITY_CARD]).check(&world), Some(Check::MissingSignature), "City can't take her");
    assert_eq!(to_city.by(&[ADA_9C]).check(&world), Some(Check::MissingSignature), "nor she herself impose");
    let card = draft(Kind::Card, &card_entry(210), &[PATIENT], &[HOME_CARD]);
    assert_eq!(card.check(&world), None, "Home issues a card");
    let moved = to_city.at(40).judge(&world.view).expect("lawful");
    world.view.put(moved.clone());
    assert_eq!(world.view.patient(&ADA).ok().flatten().map(|p| p.entry.home), Some(CITY), "moved");
    assert_eq!(card.check(&world), Some(Check::StandsOnWrong), "Home issues no more cards");
    assert_eq!(card.at(39).check(&world), None, "but for those before she moved");
    assert_eq!(a_record().check(&world), Some(Check::NotAuthorized), "what Home files now needs a grant");
    assert_eq!(a_record().on(&[PATIENT]).check(&world), None, "but for what it did as her home");
    let anew = draft(Kind::Card, &card_entry(210), &[moved.known.id], &[CITY_CARD]);
    assert_eq!(anew.check(&world), None, "City does");
}

#[test]
fn a_card_is_the_homes_to_issue() {
    let mut world = World::new();
    let card = draft(Kind::Card, &card_entry(210), &[PATIENT], &[HOME_CARD]);
    assert_eq!(card.check(&world), None, "by the home's card");
    assert_eq!(card.by(&[CITY_CARD]).check(&world), Some(Check::WrongSigner), "by another's");
    let soft = crate::personal::CardEntry { attested: false, ..card_entry(210) };
    let soft = draft(Kind::Card, &soft, &[PATIENT], &[HOME_CARD]);
    assert_eq!(soft.check(&world), None, "a soft card, where the federation has them");
    world.change(|m| m.policy.soft_cards = false);
    assert_eq!(soft.check(&world), Some(Check::NotAuthorized), "and where it doesn't");
    assert_eq!(soft.at(20).check(&world), None, "one from before");
    world.change(|m| m.organizations[0].standing = Standing::Removed);
    assert_eq!(card.check(&world), Some(Check::CardSuspended), "by a removed organization");
    world.view.former_organization_cards.insert(HOME, vec![(signer(HOME_CARD).verifying_key(), 30)]);
    assert_eq!(card.at(29).check(&world), None, "final before it was removed");
    assert_eq!(card.at(30).check(&world), Some(Check::CardSuspended), "not before");
}

fn a_record() -> Draft {
    draft(Kind::Record, &record(Category::Letters, Label::Normal), &[], &[slot_9c(HOME, 1)])
}

fn citys(category: Category) -> RecordEntry {
    let author = Author::Practitioner(person(CITY, 1));
    RecordEntry { author, organization: CITY, ..record(category, Label::Normal) }
}

#[test]
fn a_record_is_its_authors_and_away_from_home_under_a_grant() {
    let mut world = World::new();
    assert_eq!(a_record().check(&world), None, "at home, by its author");
    assert_eq!(a_record().by(&[slot_9c(HOME, 4)]).check(&world), Some(Check::WrongSigner), "by a colleague");
    let foreign = RecordEntry { organization: CITY, ..record(Category::Letters, Label::Normal) };
    let foreign = draft(Kind::Record, &foreign, &[], &[slot_9c(HOME, 1)]);
    assert_eq!(foreign.check(&world), Some(Check::NotAuthorized), "in another organization's name");
    let city = |stands_on: &[ContentId]| {
        draft(Kind::Record, &citys(Category::Laboratory), stands_on, &[slot_9c(CITY, 1)])
    };
    world.grants(id(1), grant());
    world.grants(id(2), GrantEntry { rights: 2, ..grant() });
    world.grants(id(3), GrantEntry { rights: 2, grantee: Grantee::Organization(RURAL), ..grant() });
    assert_eq!(city(&[]).check(&world), Some(Check::NotAuthorized), "away from home without a grant");
    assert_eq!(city(&[id(1)]).check(&world), Some(Check::NotAuthorized), "under one to read");
    assert_eq!(city(&[id(3)]).check(&world), Some(Check::NotAuthorized), "under another's");
    assert_eq!(city(&[id(2)]).check(&world), None, "under one to write");
    world.view.close(lock(id(2)), Some(20));
    assert_eq!(city(&[id(2)]).check(&world), None, "withdrawn since: what was done stays on record");
    let letter = draft(Kind::Record, &citys(Category::Letters), &[id(2)], &[slot_9c(CITY, 1)]);
    assert_eq!(letter.check(&world), Some(Check::NotAuthorized), "of another category");
    let reported = RecordEntry { author: Author::Patient, ..record(Category::Letters, Label::Normal) };
    let reported = draft(Kind::Record, &reported, &[CARD], &[ADA_9C]);
    assert_eq!(reported.check(&world), None, "the patient's own report");
    assert_eq!(reported.by(&[slot_9c(HOME, 1)]).check(&world), Some(Check::WrongSigner), "not by a doctor");
}

#[test]
fn a_suspended_authors_records_count_while_they_stood() {
    let mut world = World::new();
    let suspend = |m: &mut crate::state::MembershipSnapshot| {
        m.people
            .iter_mut()
            .filter(|p| p.0 == person(HOME, 1))
            .for_each(|p| p.1.standing = Standing::Suspended);
    };
    assert_eq!(a_record().check(&world), None, "active");
    world.change(suspend);
    assert_eq!(a_record().check(&world), Some(Check::CardSuspended), "suspended");
    assert_eq!(a_record().at(20).check(&world), Some(Check::CardSuspended), "since when, nobody here knows");
    let (authentication, signature) = slots(person(HOME, 1));
    let [signature, authentication] = [signature, authentication].map(|s| signer(s).verifying_key());
    let former = FormerCard { signature, authentication, until: 30 };
    world.view.former_cards.insert(person(HOME, 1), vec![former]);
    assert_eq!(a_record().at(29).check(&world), None, "final before the card ended");
    assert_eq!(a_record().at(30).check(&world), Some(Check::CardSuspended), "not before");
    assert_eq!(a_record().check(&world), Some(Check::CardSuspended), "not final");
    let stranger = draft(
        Kind::Record,
        &RecordEntry {
            author: Author::Practitioner(PersonId([9; 32])),
            ..record(Category::Letters, Label::Normal)
        },
        &[],
        &[STRANGER],
    );
    assert_eq!(stranger.check(&world), Some(Check::UnknownSigner), "not enrolled");
}

#[test]
fn what_people_of_a_removed_organization_signed_counts_if_it_was_final_before() {
    let mut world = World::new();
    assert_eq!(a_record().at(29).check(&world), None, "while it takes part");
    world.change(|m| m.organizations[0].standing = Standing::Removed);
    assert_eq!(a_record().at(29).check(&world), Some(Check::CardSuspended), "since when, nobody here knows");
    let (authentication, signature) = slots(person(HOME, 1));
    let [signature, authentication] = [signature, authentication].map(|s| signer(s).verifying_key());
    let former = FormerCard { signature, authentication, until: 30 };
    world.view.former_cards.insert(person(HOME, 1), vec![former]);
    assert_eq!(a_record().at(29).check(&world), None, "final before the removal, whenever its body comes");
    assert_eq!(a_record().at(30).check(&world), Some(Check::CardSuspended), "not before");
    assert_eq!(a_record().check(&world), Some(Check::CardSuspended), "not final");
    let mut change = record(Category::Laboratory, Label::Normal);
    (change.author, change.organization, change.amends) = (Author::Patient, HOME, Some(LAB));
    change.manifest.0[9] = 9;
    let both = draft(Kind::Amendment, &change, &[LAB, CARD], &[ADA_9C, slot_9c(HOME, 1)]);
    assert_eq!(both.at(29).check(&world), None, "and so does what the patient and one of them changed");
    assert_eq!(both.at(30).check(&world), Some(Check::CardSuspended), "not before");
}

#[test]
fn a_change_needs_who_answers_for_the_record() {
    let mut world = World::new();
    let change = |author, organization, change: fn(&mut RecordEntry)| {
        let mut e = record(Category::Laboratory, Label::Normal);
        (e.author, e.organization, e.amends) = (author, organization, Some(LAB));
        e.manifest.0[9] = 9;
        change(&mut e);
        e
    };
    let doctor = |o| Author::Practitioner(person(o, 1));
    let amend = |e: &RecordEntry, on: &[ContentId], by: &[u8]| draft(Kind::Amendment, e, on, by);
    let own = change(doctor(HOME), HOME, |_| {});
    assert_eq!(amend(&own, &[LAB], &[slot_9c(HOME, 1)]).check(&world), None, "its own organization corrects");
    assert_eq!(
        amend(&own, &[], &[slot_9c(HOME, 1)]).check(&world),
        Some(Check::StandsOnMissing),
        "without naming it"
    );
    let city = change(doctor(CITY), CITY, |_| {});
    let by_city = amend(&city, &[LAB], &[slot_9c(CITY, 1)]);
    assert_eq!(by_city.check(&world), Some(Check::NotAuthorized), "another organization can't");
    let both = GrantEntry { rights: 2, two_signatures: true, ..grant() };
    world.grants(id(2), both);
    let by_city = by_city.on(&[LAB, id(2), CARD]);
    assert_eq!(by_city.check(&world), Some(Check::MissingSignature), "where two must agree, one is too few");
    assert_eq!(by_city.by(&[ADA_9C]).check(&world), Some(Check::MissingSignature), "nor the other alone");
    assert_eq!(by_city.by(&[slot_9c(CITY, 1), ADA_9C]).check(&world), None, "both");
    let hers = amend(&change(Author::Patient, HOME, |_| {}), &[LAB, CARD], &[ADA_9C]);
    assert_eq!(
        hers.check(&world),
        Some(Check::MissingSignature),
        "the patient alone changes no doctor's record"
    );
    assert_eq!(
        hers.by(&[ADA_9C, slot_9c(CITY, 1)]).check(&world),
        Some(Check::MissingSignature),
        "nor with a stranger"
    );
    assert_eq!(hers.by(&[ADA_9C, slot_9c(HOME, 4)]).check(&world), None, "but with its organization");
    let label = change(Author::Patient, HOME, |e| {
        e.manifest.0[9] = 1;
        e.label = Label::VeryRestricted;
    });
    assert_eq!(amend(&label, &[LAB, CARD], &[ADA_9C]).check(&world), None, "its label is hers alone");
}

#[test]
fn what_is_said_of_a_record_is_changed_by_both_or_not_at_all() {
    let mut world = World::new();
    let doctor = Author::Practitioner(person(HOME, 4));
    let change = |author, change: fn(&mut RecordEntry)| {
        let mut e = record(Category::Laboratory, Label::Normal);
        (e.author, e.amends) = (author, Some(LAB));
        change(&mut e);
        e
    };
    let amend = |e: &RecordEntry, by: &[u8]| draft(Kind::Amendment, e, &[LAB, CARD], by);
    let both = [ADA_9C, slot_9c(HOME, 4)];
    let changes: [fn(&mut RecordEntry); 3] = [
        |e| e.category = Category::Letters,
        |e| e.title = "Another".into(),
        |e| e.label = Label::VeryRestricted,
    ];
    for (n, what) in changes.into_iter().enumerate() {
        let his = change(doctor.clone(), what);
        assert_eq!(amend(&his, &both).check(&world), None, "both, case {n}");
        for one in both {
            assert_eq!(
                amend(&his, &[one]).check(&world),
                Some(Check::MissingSignature),
                "one alone, case {n}"
            );
        }
        let hers = change(Author::Patient, what);
        assert_eq!(amend(&hers, &both).check(&world), None, "whoever of them begins, case {n}");
        let alone = amend(&hers, &[ADA_9C]).check(&world);
        let expected = (n < 2).then_some(Check::MissingSignature);
        assert_eq!(alone, expected, "the patient alone changes the label and nothing else, case {n}");
    }
    let city = change(Author::Practitioner(person(CITY, 1)), |e| e.title = "Another".into());
    let city = RecordEntry { organization: CITY, ..city };
    let by_city = amend(&city, &[ADA_9C, slot_9c(CITY, 1)]).check(&world);
    assert_eq!(by_city, Some(Check::NotAuthorized), "an organization that doesn't answer for it");
    world.put(id(60), Personal::Amendment(Box::new(change(doctor, |_| {}))), Some(3), Some(CARD));
    let mut again = change(Author::Patient, |e| e.label = Label::Restricted);
    again.amends = Some(id(60));
    let of_a_change = draft(Kind::Amendment, &again, &[id(60), CARD], &both).check(&world);
    assert_eq!(of_a_change, Some(Check::StandsOnWrong), "a change is of the record, not of a change");
    let mut notes = record(Category::PrivateNotes, Label::Normal);
    (notes.author, notes.amends, notes.title) = (Author::Patient, Some(NOTES), "Mine".into());
    (notes.record, notes.manifest) = match world.view.entry(&NOTES).expect("read").expect("here").entry {
        Personal::Record(e) => (e.record, e.manifest),
        _ => unreachable!("it is a record"),
    };
    let own = draft(Kind::Amendment, &notes, &[NOTES, CARD], &[ADA_9C]);
    assert_eq!(own.check(&world), None, "what she wrote she changes alone");
}

#[test]
fn a_proxy_signs_within_its_period_and_names_no_proxy() {
    let mut world = with_proxy();
    let by_proxy = |change: fn(&mut GrantEntry)| {
        let mut g = GrantEntry { by_proxy: Some(PROXY), ..grant() };
        change(&mut g);
        draft(Kind::Grant, &g, &[PROXY], &[PROXY_9C])
    };
    let good = by_proxy(|_| {}).judge(&world.view).expect("by the proxy's card");
    assert_eq!(good.known.under, Some(under(PROXY)), "it stands or falls with the proxy");
    assert_eq!(
        by_proxy(|_| {}).by(&[ADA_9C]).check(&world),
        Some(Check::WrongSigner),
        "by the patient's, unsaid"
    );
    assert_eq!(by_proxy(|_| {}).on(&[CARD]).check(&world), Some(Check::StandsOnMissing), "without naming it");
    let late = by_proxy(|_| {}).signed_at(proxy().until);
    assert_eq!(late.check(&world), Some(Check::NotAuthorized), "after its period");
    let itself = by_proxy(|g| g.grantee = Grantee::Proxy(PROXY));
    assert_eq!(itself.check(&world), Some(Check::NotAuthorized), "a proxy grants nothing to proxies");
    let hers =
        |p| draft(Kind::Grant, &GrantEntry { grantee: Grantee::Proxy(p), ..grant() }, &[CARD], &[ADA_9C]);
    assert_eq!(hers(PROXY).check(&world), None, "the patient does");
    assert_eq!(hers(id(99)).check(&world), Some(Check::StandsOnMissing), "to one that is known");
    assert_eq!(hers(LAB).check(&world), Some(Check::StandsOnWrong), "and is one");
    world.view.close(lock(PROXY), None);
    assert_eq!(by_proxy(|_| {}).check(&world), Some(Check::CardSuspended), "withdrawn");
    let entry = draft(Kind::Proxy, &proxy(), &[CARD], &[ADA_9C, PROXY_9C]);
    assert_eq!(entry.check(&world), None, "a proxy is named by both cards");
    assert_eq!(entry.by(&[ADA_9C]).check(&world), Some(Check::MissingSignature), "not without the proxy");
    assert_eq!(entry.by(&[PROXY_9C]).check(&world), Some(Check::MissingSignature), "not without the patient");
    let backwards = ProxyEntry { until: proxy().from, ..proxy() };
    let backwards = draft(Kind::Proxy, &backwards, &[CARD], &[ADA_9C, PROXY_9C]);
    assert_eq!(backwards.check(&world), Some(Check::PeriodForm), "a period that ends first");
}

#[test]
fn a_revocation_is_the_patients_or_the_proxys() {
    let mut world = with_proxy();
    world.grants(id(1), grant());
    let revoke = |by_proxy, revoked, on: ContentId, by| {
        draft(Kind::Revocation, &RevocationEntry { patient: ADA, by_proxy, revoked }, &[on], &[by])
    };
    let everything = || Revoked::Everything;
    assert_eq!(revoke(None, everything(), CARD, ADA_9C).check(&world), None, "the patient");
    assert_eq!(revoke(Some(PROXY), everything(), PROXY, PROXY_9C).check(&world), None, "the proxy");
    assert_eq!(
        revoke(None, everything(), PROXY, PROXY_9C).check(&world),
        Some(Check::StandsOnMissing),
        "unsaid"
    );
    assert_eq!(
        revoke(None, everything(), CARD, HOME_CARD).check(&world),
        Some(Check::WrongSigner),
        "not the home"
    );
    let named = |id| revoke(None, Revoked::Entries(vec![id]), CARD, ADA_9C).check(&world);
    assert_eq!(named(id(1)), None, "a grant");
    assert_eq!(named(id(99)), None, "one that isn't here yet");
    assert_eq!(named(LAB), Some(Check::StandsOnWrong), "a record isn't revoked");
}

fn locker() -> LockerEntry {
    LockerEntry {
        patient: ADA,
        epoch: 1,
        lockers: vec![LockerPublic { category: Category::Letters, label: Label::Normal, key: agreement(5) }],
        rests_on: vec![id(1)],
        packets: Vec::new(),
        subject_keys: Vec::new(),
        staged: false,
        escrows: Vec::new(),
    }
}

#[test]
fn a_locker_is_the_patients() {
    let world = World::new();
    let good = draft(Kind::Locker, &locker(), &[CARD], &[ADA_9C]);
    assert_eq!(good.check(&world), None, "by her card");
    assert_eq!(good.by(&[HOME_CARD]).check(&world), Some(Check::WrongSigner), "not by the home's");
    let empty = LockerEntry { lockers: Vec::new(), ..locker() };
    let empty = draft(Kind::Locker, &empty, &[CARD], &[ADA_9C]);
    assert_eq!(empty.check(&world), Some(Check::ScopeForm), "an epoch of no lockers");
}

#[test]
fn an_access_is_signed_in_the_readers_session_and_names_fitting_grants() {
    let mut world = with_proxy();
    world.grants(id(1), grant());
    world.grants(id(2), GrantEntry { grantee: Grantee::Organization(RURAL), ..grant() });
    let entry = |reader: Option<PersonId>, organization, why: Vec<ContentId>| AccessEntry {
        patient: ADA,
        reader,
        organization,
        record: LAB,
        category: Category::Laboratory,
        right: Right::Read,
        purpose: Purpose::Treatment,
        study: None,
        why,
        at: NOW,
    };
    let by_doctor = |why| {
        let entry = entry(Some(person(CITY, 1)), Some(CITY), why);
        draft(Kind::Access, &entry, &[], &[slot_9a(CITY, 1)])
    };
    assert_eq!(by_doctor(vec![id(1)]).check(&world), None, "under the reader's grant");
    assert_eq!(by_doctor(vec![id(2)]).check(&world), Some(Check::StandsOnWrong), "under another's");
    let unsigned = by_doctor(vec![id(1)]).by(&[slot_9a(CITY, 4)]);
    assert_eq!(unsigned.check(&world), Some(Check::WrongSigner), "in a colleague's session");
    let elsewhere = entry(Some(person(CITY, 1)), Some(RURAL), Vec::new());
    let elsewhere = draft(Kind::Access, &elsewhere, &[], &[slot_9a(CITY, 1)]);
    assert_eq!(elsewhere.check(&world), Some(Check::NotAuthorized), "for another organization");
    let own = entry(None, None, Vec::new());
    assert_eq!(draft(Kind::Access, &own, &[CARD], &[ADA_9A]).check(&world), None, "the patient herself");
    assert_eq!(draft(Kind::Access, &own, &[PROXY], &[PROXY_9C]).check(&world), None, "her proxy");
    assert_eq!(
        draft(Kind::Access, &own, &[], &[ADA_9A]).check(&world),
        Some(Check::StandsOnMissing),
        "no card named"
    );
    let wrong = AccessEntry { category: Category::Letters, ..own.clone() };
    let wrong = draft(Kind::Access, &wrong, &[CARD], &[ADA_9A]);
    assert_eq!(wrong.check(&world), Some(Check::StandsOnWrong), "the record is of another category");
    let writing = AccessEntry { right: Right::Write, ..own };
    let writing = draft(Kind::Access, &writing, &[CARD], &[ADA_9A]);
    assert_eq!(writing.check(&world), Some(Check::ScopeForm), "filing is no access");
}

#[test]
fn an_erasure_needs_who_answers_and_waits() {
    let mut world = World::new();
    let not_before = NOW - SIGNED_AHEAD_MS_MAX + COOLING_OFF_MS_DEFAULT;
    let erase = |records: Vec<ContentId>, not_before, by: &[u8]| {
        draft(Kind::Erasure, &ErasureEntry { patient: ADA, records, not_before }, &[CARD], by)
    };
    let both = [ADA_9C, HOME_CARD];
    assert_eq!(erase(vec![LAB], not_before, &both).check(&world), None, "patient and author's organization");
    assert_eq!(
        erase(vec![LAB], not_before, &[ADA_9C]).check(&world),
        Some(Check::MissingSignature),
        "not alone"
    );
    assert_eq!(erase(vec![LAB], not_before - 1, &both).check(&world), Some(Check::PeriodForm), "too soon");
    assert_eq!(erase(vec![NOTES], not_before, &[ADA_9C]).check(&world), None, "her own notes, alone");
    assert_eq!(erase(vec![], not_before, &both).check(&world), None, "everything, with the home");
    assert_eq!(erase(vec![id(99)], not_before, &both).check(&world), Some(Check::StandsOnMissing), "unknown");
    let erasure = ErasureEntry { patient: ADA, records: vec![LAB], not_before };
    world.put(id(80), Personal::Erasure(erasure), Some(20), Some(CARD));
    let back = RevocationEntry { patient: ADA, by_proxy: None, revoked: Revoked::Entries(vec![id(80)]) };
    let back = draft(Kind::Revocation, &back, &[CARD], &[ADA_9C]);
    assert_eq!(back.check(&world), None, "she takes it back");
    assert_eq!(back.by(&[HOME_CARD]).check(&world), Some(Check::WrongSigner), "nobody else does");
    let receipt = |of: ContentId, on: &[ContentId]| {
        draft(Kind::Receipt, &ErasureReceipt { erasure: of, objects: 3, at: NOW }, on, &[])
    };
    let good = receipt(id(80), &[id(80)]).judge(&world.view).expect("the header's node says it");
    assert_eq!(good.patient, ADA, "whose follows from the erasure");
    assert_eq!(receipt(id(81), &[id(80)]).check(&world), Some(Check::StandsOnMissing), "of another erasure");
    assert_eq!(receipt(LAB, &[LAB]).check(&world), Some(Check::StandsOnWrong), "of no erasure");
}

#[test]
fn entries_of_one_tap_stand_on_each_other() {
    let world = World::new();
    let new = PatientId([0xbb; 32]);
    let patient = draft(Kind::Patient, &patient_entry(new, HOME), &[], &[HOME_CARD]);
    let card = crate::personal::CardEntry { patient: new, ..card_entry(210) };
    let card = draft(Kind::Card, &card, &[patient.content.id()], &[HOME_CARD]);
    let grant = GrantEntry { patient: new, ..grant() };
    let grant = draft(Kind::Grant, &grant, &[card.content.id()], &[210]);
    assert_eq!(card.check(&world), Some(Check::StandsOnMissing), "alone it stands on nothing here");
    let mut batch = Batch::over(&world.view);
    for (n, draft) in [&patient, &card, &grant].into_iter().enumerate() {
        let verified = draft.judge(&batch).unwrap_or_else(|e| panic!("entry {n}: {e}"));
        batch.put(verified);
    }
    assert_eq!(batch.into_entries().len(), 3, "all lawful together");
}

#[test]
fn a_record_under_a_role_or_a_code_is_by_who_has_it() {
    let mut world = World::new();
    let to = |grantee| GrantEntry { rights: 2, grantee, ..grant() };
    world.grants(id(1), to(Grantee::Role(CITY, "doctor".into())));
    world.grants(id(2), to(Grantee::Role(RURAL, "doctor".into())));
    world.grants(id(3), to(Grantee::Role(CITY, "pharmacist".into())));
    world.grants(id(4), to(Grantee::Code([7; 32])));
    let under = |grant| draft(Kind::Record, &citys(Category::Laboratory), &[grant], &[slot_9c(CITY, 1)]);
    let refused = Some(Check::NotAuthorized);
    assert_eq!(under(id(1)).check(&world), None, "a doctor of City");
    assert_eq!(under(id(2)).check(&world), refused, "a doctor elsewhere");
    assert_eq!(under(id(3)).check(&world), refused, "another role of City's");
    assert_eq!(under(id(4)).check(&world), None, "a code that nobody used yet");
    world.put(id(6), access(person(CITY, 4), CITY, id(4)), Some(20), None);
    assert_eq!(under(id(4)).check(&world), None, "bound to City by a colleague");
    world.put(id(5), access(person(RURAL, 1), RURAL, id(4)), Some(19), None);
    assert_eq!(under(id(4)).check(&world), refused, "bound to another, who was first");
}

#[test]
fn a_proxys_access_is_within_its_period() {
    let world = with_proxy();
    let Personal::Access(entry) = access(person(CITY, 1), CITY, id(1)) else { return };
    let own = AccessEntry { reader: None, organization: None, why: Vec::new(), ..entry };
    let at = |signed_at| draft(Kind::Access, &own, &[PROXY], &[PROXY_9C]).signed_at(signed_at).check(&world);
    let refused = Some(Check::NotAuthorized);
    assert_eq!((at(proxy().from - 1), at(proxy().from)), (refused, None), "from its first millisecond");
    assert_eq!((at(proxy().until - 1), at(proxy().until)), (None, refused), "up to, not including, its last");
}
