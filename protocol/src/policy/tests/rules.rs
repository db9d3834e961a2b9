//! Each rule once: the act permitted, and the same act refused once one thing is different.

use super::world::*;
use crate::control::Standing;
use crate::ids::{ContentId, StudyId};
use crate::personal::{
    Anonymity, Author, Category, GrantEntry, Grantee, Label, Purpose, RecordEntry, Revoked, Right, Scope,
};
use crate::policy::view::PatientView as _;
use crate::policy::{Act, Actor, LockState, Newest, Obligations, Personal, Request, Rule, View, decide};

const GRANT: ContentId = id(1);

fn with(grant: GrantEntry) -> World {
    let mut world = World::new();
    world.grants(GRANT, grant);
    world
}

fn changed(change: impl FnOnce(&mut GrantEntry)) -> GrantEntry {
    let mut grant = grant();
    change(&mut grant);
    grant
}

fn asks(change: impl FnOnce(&mut Request)) -> Request {
    let mut request = request();
    change(&mut request);
    request
}

fn write(category: Category) -> Act {
    Act::Write { category, label: Label::Normal, amends: None }
}

#[test]
fn without_a_grant_nothing_is_permitted() {
    assert_eq!(World::new().rule(&request()), Rule::NoGrant, "deny by default");
    let world = with(grant());
    assert_eq!(world.rule(&request()), Rule::Grant, "the same under a grant");
    assert_eq!(world.decide(&request()).why().entries, [id(33), CARD, GRANT], "person, card, grant");
}

#[test]
fn a_grant_permits_its_own_scope_only() {
    type Case = (Rule, fn(&mut GrantEntry), fn(&mut Request));
    let cases: [Case; 12] = [
        (Rule::WrongCategory, |g| g.scope.categories = vec![Category::Letters], |_| {}),
        (
            Rule::WrongRecord,
            |g| g.scope = Scope { categories: vec![], records: vec![LETTER], label: Label::Normal },
            |_| {},
        ),
        (Rule::WrongRight, |g| g.rights = Right::Write.code(), |_| {}),
        (Rule::WrongRight, |_| {}, |r| r.act = write(Category::Laboratory)),
        (Rule::WrongRight, |_| {}, |r| r.act = Act::Share { record: LAB, study: StudyId([1; 32]) }),
        (Rule::WrongPurpose, |_| {}, |r| r.purpose = Purpose::Research),
        (Rule::WrongPurpose, |g| g.purpose = Purpose::EmergencyTreatment, |_| {}),
        (Rule::ConsentNotYet, |g| g.from = NOW + 1, |_| {}),
        (Rule::ConsentExpired, |g| g.until = NOW, |_| {}),
        (Rule::NoGrant, |g| g.grantee = Grantee::Person(person(CITY, 4)), |_| {}),
        (Rule::NoGrant, |g| g.grantee = Grantee::Organization(RURAL), |_| {}),
        (Rule::NoGrant, |g| g.grantee = Grantee::Role(CITY, "pharmacist".into()), |_| {}),
    ];
    assert_eq!(with(grant()).rule(&request()), Rule::Grant, "unchanged it is permitted");
    for (n, (rule, grant, request)) in cases.into_iter().enumerate() {
        assert_eq!(with(changed(grant)).rule(&asks(request)), rule, "case {n}");
    }
}

#[test]
fn a_grant_permits_all_that_it_says() {
    type Case = (fn(&mut GrantEntry), fn(&mut Request));
    let cases: [Case; 9] = [
        (|g| g.scope = Scope { categories: vec![], records: vec![LAB], label: Label::Normal }, |_| {}),
        (|g| g.rights = 3, |r| r.act = write(Category::Laboratory)),
        (|g| g.rights = Right::Write.code(), |r| r.act = write(Category::Laboratory)),
        (|_| {}, |r| r.purpose = Purpose::EmergencyTreatment),
        (|g| g.from = NOW, |_| {}),
        (|g| g.until = NOW + 1, |_| {}),
        (|g| g.grantee = Grantee::Organization(CITY), |_| {}),
        (|g| g.grantee = Grantee::Role(CITY, "doctor".into()), |_| {}),
        (|g| g.scope.label = Label::VeryRestricted, |_| {}),
    ];
    for (n, (grant, request)) in cases.into_iter().enumerate() {
        assert_eq!(with(changed(grant)).rule(&asks(request)), Rule::Grant, "case {n}");
    }
}

#[test]
fn a_label_above_the_grant_is_refused_even_when_raised_later() {
    let mut world = with(grant());
    let raised = RecordEntry {
        author: Author::Patient,
        amends: Some(LAB),
        label: Label::Restricted,
        ..record(Category::Laboratory, Label::Normal)
    };
    assert_eq!(world.rule(&request()), Rule::Grant, "normal");
    world.put(id(9), Personal::Amendment(Box::new(raised.clone())), None, Some(OLD_CARD));
    assert_eq!(world.rule(&request()), Rule::WrongLabel, "the patient raised it");
    world.grants(GRANT, changed(|g| g.scope.label = Label::Restricted));
    assert_eq!(world.rule(&request()), Rule::Grant, "a grant up to the new label");
    world.view.close(lock(OLD_CARD), None);
    world.grants(GRANT, grant());
    assert_eq!(world.rule(&request()), Rule::Grant, "what a lost card raised, not final, doesn't count");
    let other = RecordEntry { manifest: crate::ids::ObjectId([2; 33]), ..raised };
    world.put(id(9), Personal::Amendment(Box::new(other)), Some(3), Some(CARD));
    assert_eq!(world.rule(&request()), Rule::Grant, "another file is no relabeling");
}

#[test]
fn a_change_by_both_moves_a_record_out_of_a_grant_and_the_order_of_arrival_has_no_effect() {
    let change = |author, created, label, category| {
        let lab = record(Category::Laboratory, label);
        let e = RecordEntry { author, created, category, amends: Some(LAB), ..lab };
        Personal::Amendment(Box::new(e))
    };
    let both = || Author::Practitioner(person(HOME, 4));
    let lab = Category::Laboratory;
    let steps = [
        (id(61), change(both(), 5, Label::Normal, Category::Letters), Rule::WrongCategory),
        (id(62), change(both(), 6, Label::Normal, lab), Rule::Grant),
        (id(63), change(Author::Patient, 7, Label::Restricted, lab), Rule::WrongLabel),
        (id(64), change(both(), 8, Label::Normal, lab), Rule::Grant),
    ];
    let (mut world, mut backwards) = (with(grant()), with(grant()));
    assert_eq!(world.rule(&request()), Rule::Grant, "as filed");
    for (n, (id, entry, rule)) in steps.iter().enumerate() {
        world.put(*id, entry.clone(), Some(3), Some(CARD));
        assert_eq!(world.rule(&request()), *rule, "step {n}");
    }
    for (id, entry, _) in steps.iter().rev() {
        backwards.put(*id, entry.clone(), Some(3), Some(CARD));
        assert_eq!(backwards.rule(&request()), Rule::Grant, "the newest stands, whatever came first");
    }
    let facts = world.view.record(&id(61)).expect("read").expect("here");
    assert_eq!(facts.described_by, Some(id(64)), "asked for by a change, it is the record");
    assert!(facts.has_had(Category::Letters), "what was done while it was a letter stays on record");
    assert!(!facts.has_had(Category::Imaging), "it never was an image");
}

#[test]
fn a_share_is_for_its_study_and_carries_its_anonymity() {
    let study = StudyId([1; 32]);
    let world = with(changed(|g| {
        g.rights = Right::Share.code();
        g.study = Some(study);
        g.anonymity = Anonymity::Anonymised;
    }));
    let share = asks(|r| r.act = Act::Share { record: LAB, study });
    let why = world.decide(&share).why().clone();
    assert_eq!(why.rule, Rule::Grant, "its own study");
    assert_eq!(why.obligations.anonymity, Some(Anonymity::Anonymised), "and how the data must leave");
    let other = asks(|r| r.act = Act::Share { record: LAB, study: StudyId([2; 32]) });
    assert_eq!(world.rule(&other), Rule::WrongStudy, "another study");
    assert_eq!(world.rule(&request()), Rule::WrongRight, "share is not read");
}

#[test]
fn the_patient_reads_all_and_nobody_else_reads_private_notes() {
    let mut world = with(changed(|g| g.scope.categories = Category::ALL.to_vec()));
    let own = |act| asks(|r| (r.actor, r.act) = (Actor::Patient(CARD), act));
    for record in [LAB, LETTER, NOTES] {
        assert_eq!(world.rule(&own(Act::Read(record))), Rule::Patient, "her own");
    }
    assert_eq!(world.rule(&own(write(Category::PrivateNotes))), Rule::Patient, "she writes them too");
    for actor in [Actor::Person(person(CITY, 1)), Actor::Person(person(HOME, 1))] {
        let notes = asks(|r| (r.actor, r.act) = (actor, Act::Read(NOTES)));
        assert_eq!(world.rule(&notes), Rule::PrivateNotes, "whatever a grant says");
    }
    let other = asks(|r| (r.actor, r.patient) = (Actor::Patient(CARD), crate::ids::PatientId([9; 32])));
    assert_eq!(world.rule(&other), Rule::NoRecord, "another patient's record isn't this patient's");
    assert_eq!(world.rule(&asks(|r| r.actor = Actor::Patient(LAB))), Rule::NotEnrolled, "no card");
    world.view.close(lock(CARD), None);
    assert_eq!(
        world.rule(&own(Act::Read(LAB))),
        Rule::CardSuspended,
        "the lost card, on sight of its reveal"
    );
}

#[test]
fn the_author_reads_without_grant_or_lease_unless_restricted() {
    let mut world = World::new();
    let author = asks(|r| r.actor = Actor::Person(person(HOME, 4)));
    let mut late = world.clone();
    late.view.newest.time = 0;
    assert_eq!(late.rule(&author), Rule::AuthorOrganization, "a colleague of the author, offline for years");
    assert_eq!(world.rule(&request()), Rule::NoGrant, "another hospital doesn't");
    let share = Act::Share { record: LAB, study: StudyId([1; 32]) };
    assert_eq!(world.rule(&Request { act: share, ..author }), Rule::NoGrant, "sharing always needs a grant");
    let amend = Act::Write { category: Category::Laboratory, label: Label::Normal, amends: Some(LAB) };
    assert_eq!(
        world.rule(&Request { act: amend, ..author }),
        Rule::AuthorOrganization,
        "it corrects its own"
    );
    let restricted = RecordEntry {
        author: Author::Patient,
        amends: Some(LAB),
        label: Label::VeryRestricted,
        ..record(Category::Laboratory, Label::Normal)
    };
    world.put(id(9), Personal::Amendment(Box::new(restricted)), Some(3), Some(CARD));
    assert_eq!(world.rule(&author), Rule::AuthorRestricted, "the patient restricts it");
    let mut own = record(Category::Laboratory, Label::Normal);
    own.author = Author::Patient;
    world.put(id(8), Personal::Record(Box::new(own)), Some(3), Some(CARD));
    let reported = Request { act: Act::Read(id(8)), ..author };
    assert_eq!(
        world.rule(&reported),
        Rule::NoGrant,
        "what the patient reported has no author's organization"
    );
}

#[test]
fn home_files_without_a_grant_and_others_do_not() {
    let world = World::new();
    let by = |organization| {
        asks(|r| (r.actor, r.act) = (Actor::Person(person(organization, 1)), write(Category::Letters)))
    };
    assert_eq!(world.rule(&by(HOME)), Rule::HomeOrganization, "results come after the patient has left");
    assert_eq!(world.rule(&by(CITY)), Rule::NoGrant, "another hospital");
}

#[test]
fn people_act_within_their_roles_while_they_take_part() {
    let all = changed(|g| {
        g.grantee = Grantee::Organization(CITY);
        g.scope.categories = Category::ALL.to_vec();
        g.rights = 3;
    });
    let mut world = with(all);
    world.put(id(8), Personal::Record(Box::new(record(Category::Medication, Label::Normal))), Some(3), None);
    let by = |n, act| asks(|r| (r.actor, r.act) = (Actor::Person(person(CITY, n)), act));
    assert_eq!(world.rule(&by(1, Act::Read(LAB))), Rule::Grant, "a doctor");
    assert_eq!(world.rule(&by(0, Act::Read(LAB))), Rule::Administrator, "administrators read nothing");
    assert_eq!(world.rule(&by(2, Act::Read(id(8)))), Rule::Grant, "a pharmacist reads medication");
    assert_eq!(world.rule(&by(2, Act::Read(LAB))), Rule::RoleLimits, "and nothing else");
    assert_eq!(world.rule(&by(2, write(Category::Medication))), Rule::RoleLimits, "and files nothing");
    assert_eq!(world.rule(&by(3, Act::Read(LAB))), Rule::Grant, "no role, no limit but the grant's");
    let mut undefined = world.clone();
    undefined.change(|m| m.roles.clear());
    assert_eq!(undefined.rule(&by(2, Act::Read(id(8)))), Rule::RoleLimits, "a role that isn't defined");
    assert_eq!(world.rule(&by(9, Act::Read(LAB))), Rule::NotEnrolled, "a stranger");
    let mut suspended = world.clone();
    let of_city = |m: &mut crate::state::MembershipSnapshot| {
        m.people
            .iter_mut()
            .filter(|p| p.0 == person(CITY, 1))
            .for_each(|p| p.1.standing = Standing::Suspended);
    };
    suspended.change(of_city);
    assert_eq!(suspended.rule(&by(1, Act::Read(LAB))), Rule::Suspended, "suspended");
    assert_eq!(suspended.rule(&by(4, Act::Read(LAB))), Rule::Grant, "the colleague goes on");
    world.change(|m| m.organizations[1].standing = Standing::Removed);
    assert_eq!(world.rule(&by(4, Act::Read(LAB))), Rule::Suspended, "with the organization removed, nobody");
}

#[test]
fn a_closed_lock_permits_nothing_final_or_not() {
    let mut world = with(grant());
    world.view.close(lock(GRANT), None);
    assert_eq!(world.view.lock(&lock(GRANT)), Ok(LockState::Seen), "seen, not final");
    assert_eq!(world.rule(&request()), Rule::ConsentWithdrawn, "on sight");
    world.view.close(lock(GRANT), Some(20));
    assert_eq!(world.rule(&request()), Rule::ConsentWithdrawn, "and for good");
}

#[test]
fn a_revocation_beats_what_does_not_know_it_and_nothing_else() {
    let by = |revoked: Revoked, height, change: fn(&mut GrantEntry)| {
        let mut world = with(changed(change));
        world.put(id(5), revocation(revoked), height, Some(CARD));
        world.rule(&request())
    };
    let person = || Revoked::Grantee(Grantee::Person(person(CITY, 1)));
    assert_eq!(by(person(), Some(11), |_| {}), Rule::ConsentWithdrawn, "final after what the desk knew");
    assert_eq!(by(person(), None, |_| {}), Rule::ConsentWithdrawn, "not final yet");
    assert_eq!(by(person(), Some(10), |_| {}), Rule::Grant, "the grant was made in its knowledge");
    assert_eq!(by(person(), None, |g| g.after.revocations = vec![id(5)]), Rule::Grant, "listed");
    assert_eq!(
        by(person(), Some(50), |g| g.after.height = TIP + 1),
        Rule::ConsentWithdrawn,
        "a height not reached"
    );
    assert_eq!(by(Revoked::Everything, Some(11), |_| {}), Rule::ConsentWithdrawn, "everything");
    let organization = Revoked::Grantee(Grantee::Organization(CITY));
    assert_eq!(by(organization, Some(11), |_| {}), Rule::ConsentWithdrawn, "all its people");
    let other = Revoked::Grantee(Grantee::Organization(RURAL));
    assert_eq!(by(other, Some(11), |_| {}), Rule::Grant, "another organization's");
    assert_eq!(by(Revoked::Entries(vec![id(2)]), Some(11), |_| {}), Rule::Grant, "another grant");
    assert_eq!(by(Revoked::Entries(vec![GRANT]), Some(9), |_| {}), Rule::ConsentWithdrawn, "by name, always");
}

#[test]
fn the_newest_of_two_grants_on_one_matter_rules() {
    let newer = |change: fn(&mut GrantEntry)| {
        let mut world = with(changed(|g| g.rights = 3));
        let mut second = grant();
        second.after.height = 20;
        change(&mut second);
        world.put(id(2), Personal::Grant(second), None, Some(OLD_CARD));
        world
    };
    let write = asks(|r| r.act = write(Category::Laboratory));
    let world = newer(|_| {});
    assert_eq!(world.rule(&request()), Rule::Grant, "the newer one reads");
    assert_eq!(world.rule(&write), Rule::ConsentReplaced, "and no longer files");
    let shorter = newer(|g| g.until = NOW);
    assert_eq!(shorter.rule(&request()), Rule::ConsentReplaced, "a newer time frame ends the older one");
    let mut withdrawn = newer(|_| {});
    withdrawn.view.close(lock(id(2)), None);
    assert_eq!(withdrawn.rule(&write), Rule::ConsentReplaced, "the older one doesn't come back");
    assert_eq!(
        newer(|g| g.scope.categories = vec![Category::Letters]).rule(&write),
        Rule::Grant,
        "another matter"
    );
    assert_eq!(newer(|g| g.after.height = 9).rule(&write), Rule::Grant, "older, though it came later");
    let mut stolen = newer(|_| {});
    stolen.view.close(lock(OLD_CARD), None);
    assert_eq!(stolen.rule(&write), Rule::Grant, "a lost card replaces nothing");
}

#[test]
fn what_a_lost_card_signed_counts_only_if_it_was_final_before() {
    let decide = |height, closed| {
        let mut world = World::new();
        world.put(GRANT, Personal::Grant(grant()), height, Some(OLD_CARD));
        world.view.close(lock(OLD_CARD), closed);
        world.rule(&request())
    };
    assert_eq!(decide(Some(11), Some(12)), Rule::Grant, "final before");
    assert_eq!(decide(Some(11), None), Rule::Grant, "final before a reveal that isn't");
    assert_eq!(decide(Some(12), Some(12)), Rule::CardSuspended, "in the same block");
    assert_eq!(decide(None, None), Rule::CardSuspended, "not final");
    let mut world = with(grant());
    world.put(id(5), revocation(Revoked::Everything), None, Some(OLD_CARD));
    assert_eq!(world.rule(&request()), Rule::ConsentWithdrawn, "a good card's revocation");
    world.view.close(lock(OLD_CARD), None);
    assert_eq!(world.rule(&request()), Rule::Grant, "a lost card's doesn't count");
}

#[test]
fn a_proxy_reads_and_grants_while_it_is_in_force() {
    const PROXY: ContentId = id(7);
    let mut base = with(changed(|g| g.grantee = Grantee::Proxy(PROXY)));
    base.put(PROXY, Personal::Proxy(proxy()), Some(5), Some(CARD));
    let given = changed(|g| g.by_proxy = Some(PROXY));
    base.put(id(2), Personal::Grant(given), Some(11), Some(PROXY));
    let own = asks(|r| r.actor = Actor::Proxy(PROXY));
    assert_eq!(base.rule(&own), Rule::Grant, "what the patient lets the proxy read");
    assert_eq!(base.decide(&own).why().entries, [PROXY, CARD, GRANT], "proxy, card, grant");
    let letter = asks(|r| (r.actor, r.act) = (Actor::Proxy(PROXY), Act::Read(LETTER)));
    assert_eq!(base.rule(&letter), Rule::WrongCategory, "and nothing else");
    assert_eq!(base.rule(&request()), Rule::Grant, "what the proxy lets a doctor read");
    assert_eq!(base.decide(&request()).why().entries, [id(33), PROXY, id(2)], "the proxy in place of a card");
    let ends: [fn(&mut World); 5] = [
        |w| w.view.close(lock(PROXY), None),
        |w| w.put(id(5), revocation(Revoked::Entries(vec![PROXY])), Some(1), Some(CARD)),
        |w| w.put(id(5), revocation(Revoked::Grantee(Grantee::Proxy(PROXY))), Some(1), Some(CARD)),
        |w| {
            w.put(
                PROXY,
                Personal::Proxy(crate::personal::ProxyEntry { until: NOW, ..proxy() }),
                Some(5),
                Some(CARD),
            )
        },
        |w| {
            w.put(
                PROXY,
                Personal::Proxy(crate::personal::ProxyEntry { from: NOW + 1, ..proxy() }),
                Some(5),
                Some(CARD),
            )
        },
    ];
    for (n, end) in ends.into_iter().enumerate() {
        let mut world = base.clone();
        end(&mut world);
        assert_eq!(world.rule(&own), Rule::ProxyOver, "end {n}: the proxy's own reading");
        assert_eq!(world.rule(&request()), Rule::ProxyOver, "end {n}: what the proxy granted");
    }
    let mut anew = base.clone();
    anew.put(id(5), revocation(Revoked::Everything), Some(4), Some(CARD));
    assert_eq!(anew.rule(&request()), Rule::Grant, "named anew after everything was taken back");
    anew.view.finalise(&id(5), 5);
    assert_eq!(anew.rule(&request()), Rule::ProxyOver, "everything taken back ends the proxy");
}

#[test]
fn a_code_is_bound_at_first_use() {
    const CODE: [u8; 32] = [77; 32];
    let mut world = with(changed(|g| g.grantee = Grantee::Code(CODE)));
    let shows =
        |organization, code| asks(|r| (r.actor, r.code) = (Actor::Person(person(organization, 1)), code));
    assert_eq!(world.rule(&request()), Rule::NoGrant, "without the code");
    assert_eq!(world.rule(&shows(CITY, Some([78; 32]))), Rule::NoGrant, "with another");
    let first = world.decide(&shows(CITY, Some(CODE))).why().clone();
    assert_eq!((first.rule, first.obligations.binds_code), (Rule::Grant, true), "whoever presents it first");
    world.put(id(6), access(person(RURAL, 1), RURAL, GRANT), None, None);
    assert_eq!(world.rule(&shows(CITY, Some(CODE))), Rule::CodeBound, "used first elsewhere");
    let later = world.decide(&shows(RURAL, None)).why().clone();
    assert_eq!((later.rule, later.obligations.binds_code), (Rule::Grant, false), "bound, it needs no code");
    let colleague = asks(|r| r.actor = Actor::Person(person(RURAL, 4)));
    assert_eq!(world.rule(&colleague), Rule::Grant, "to the organization");
    world.put(id(9), access(person(CITY, 1), CITY, GRANT), Some(20), None);
    assert_eq!(world.rule(&shows(CITY, None)), Rule::Grant, "the first by finality counts");
    assert_eq!(world.rule(&colleague), Rule::NoGrant, "and no other");
}

#[test]
fn a_one_time_grant_ends_with_its_first_access() {
    let mut world = with(changed(|g| g.one_time = true));
    assert!(world.decide(&request()).why().obligations.one_time, "the access will end it");
    world.put(id(6), access(person(CITY, 1), CITY, GRANT), None, None);
    assert_eq!(world.rule(&request()), Rule::ConsentUsed, "a second access");
    assert_eq!(world.rule(&asks(|r| r.access = Some(id(6)))), Rule::Grant, "serving the first goes on");
    world.put(id(2), access(person(CITY, 1), CITY, GRANT), Some(20), None);
    assert_eq!(world.rule(&asks(|r| r.access = Some(id(6)))), Rule::ConsentUsed, "it was not the first");
    world.grants(id(3), changed(|g| g.until = NOW + 1));
    assert_eq!(
        world.decide(&request()).why().obligations,
        Obligations::default(),
        "a standing grant serves first"
    );
}

#[test]
fn beyond_the_lease_grants_permit_nothing() {
    let mut world = with(grant());
    let lease = world.members.policy.lease_ms;
    world.view.newest = Newest { height: TIP, time: NOW - lease };
    assert_eq!(world.rule(&request()), Rule::Grant, "at its last millisecond");
    world.view.newest.time -= 1;
    assert_eq!(world.rule(&request()), Rule::LeaseOver, "one later");
    world.view.newest.time = NOW + DAY;
    assert_eq!(world.rule(&request()), Rule::Grant, "a block ahead of this clock is no news missed");
    assert_eq!(world.rule(&asks(|r| r.actor = Actor::Patient(CARD))), Rule::Patient, "her own card, ever");
}

#[test]
fn a_permit_says_whether_it_is_final_and_what_it_obliges_to() {
    let mut world = World::new();
    world.put(
        GRANT,
        Personal::Grant(changed(|g| (g.rights, g.two_signatures) = (3, true))),
        None,
        Some(CARD),
    );
    assert!(world.decide(&request()).why().provisional, "verified, not final");
    assert!(!world.decide(&request()).why().obligations.two_signatures, "reading changes nothing");
    world.view.finalise(&GRANT, 12);
    assert!(!world.decide(&request()).why().provisional, "final");
    let change = asks(|r| r.act = write(Category::Laboratory));
    assert!(world.decide(&change).why().obligations.two_signatures, "a change needs both");
}

#[test]
fn a_permit_without_a_grant_is_provisional_until_what_it_rests_on_is_final() {
    let entry = |world: &World, id| world.view.entry(&id).expect("read").expect("here").entry;
    let author = asks(|r| r.actor = Actor::Person(person(HOME, 4)));
    let home = Request { act: write(Category::Letters), ..author };
    let own = asks(|r| r.actor = Actor::Patient(CARD));
    for (n, (request, rests_on)) in [(own, CARD), (author, LAB), (home, PATIENT)].into_iter().enumerate() {
        let mut world = World::new();
        assert!(!world.decide(&request).why().provisional, "case {n}: final");
        let same = entry(&world, rests_on);
        world.put(rests_on, same, None, None);
        assert!(world.decide(&request).why().provisional, "case {n}: not final yet");
    }
}

#[test]
fn of_two_grants_the_one_that_lasts_serves_before_the_one_that_ends_with_its_use() {
    let mut world = with(changed(|g| (g.one_time, g.until) = (true, NOW + 9 * DAY)));
    assert!(world.decide(&request()).why().obligations.one_time, "the only one there is");
    world.grants(id(3), grant());
    let why = world.decide(&request()).why().clone();
    assert_eq!(why.entries.last(), Some(&id(3)), "the standing one, though the other lasts longer");
    assert!(!why.obligations.one_time, "and nothing is used up");
}

#[test]
fn a_denial_names_the_nearest_miss() {
    let mut world = with(changed(|g| g.scope.categories = vec![Category::Letters]));
    assert_eq!(world.rule(&request()), Rule::WrongCategory, "the only one");
    world.grants(id(2), changed(|g| (g.until, g.after.height) = (NOW, 11)));
    assert_eq!(world.rule(&request()), Rule::ConsentExpired, "one that covered it came nearer");
    world.grants(
        id(3),
        changed(|g| (g.until, g.purpose, g.after.height) = (NOW - 1, Purpose::Operations, 12)),
    );
    let why = world.decide(&request()).why().clone();
    assert_eq!(
        (why.rule, why.entries),
        (Rule::ConsentExpired, vec![id(2)]),
        "and not one for another purpose"
    );
}

#[test]
fn what_cannot_be_read_permits_nothing() {
    use std::ops::ControlFlow;
    let world = with(grant());
    let blind = super::model::Lying::new(&world.view, super::model::Lie::Unreadable);
    assert_eq!(decide(&blind, &request(), NOW).why().rule, Rule::StateUnreadable, "fail closed");
    let mut seen = 0;
    let counted = world.view.grants(&ADA, &grant().grantee, &mut |_| {
        seen += 1;
        ControlFlow::Break(())
    });
    assert_eq!((counted, seen), (Ok(()), 1), "the same view, readable");
}
