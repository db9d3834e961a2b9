//! A lost card is replaced without its printed code: after notice and delay, uncontested, three guardians and the validators'
//! key open the way back to the new card and to nobody else's.
//!
//! Method: as the stories of break-glass, at the patient's home. The federation's delay is twenty seconds.

use hospes_protocol::check::Check;
use hospes_protocol::context::Context;
use hospes_protocol::control::LEDGER_COMMITTEE;
use hospes_protocol::emergency::{Reason, RequestEntry, Tier};
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, Reveal};
use hospes_protocol::keys::{KeyAgreement as _, Signer as _, SoftwareAgreement};
use hospes_protocol::personal::{CardEntry, Category, RevocationEntry, Revoked};
use hospes_protocol::recovery::RecoveryEntry;
use hospes_protocol::seal::envelope::Envelope;
use hospes_protocol::tap::{Body, sign_tap};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::filing::{FileError, Filed, Filing};

use crate::emergency::{AWAY, RECOVERY_DELAY_MS, Stage, at, service};
use crate::people::{Draft, agreement, key};

/// Seed of the new card's keys.
const NEW: u8 = 240;
const REVEAL: Reveal = Reveal([77; 32]);

fn new_card(stage: &Stage) -> CardEntry {
    CardEntry {
        patient: stage.patient.id,
        signature: key(NEW).verifying_key(),
        authentication: key(NEW + 1).verifying_key(),
        agreement: agreement(NEW).agreement_key(),
        presence: key(NEW + 2).verifying_key(),
        recovery: agreement(NEW + 1).agreement_key(),
        attested: false,
        generation: 1,
    }
}

/// Home and another hospital give notice; gives the entry once it is final at home.
fn gives_notice(stage: &mut Stage) -> ContentId {
    let basis =
        service(&stage.w, 0).escrow_of(&stage.patient.id, Tier::Recovery).unwrap().expect("it has one");
    let entry = RecoveryEntry {
        patient: stage.patient.id,
        home: stage.w.organization(0),
        witness: Some(stage.w.organization(1)),
        lost: stage.patient.card,
        card: new_card(stage),
        delay_ms: RECOVERY_DELAY_MS,
        contest: Bytes::default(),
    };
    let on = [basis.enrolment, basis.card];
    let mut content = stage.w.draft(0, Kind::Recovery, stage.patient.salt(), &on, &entry);
    content.lock = Some(REVEAL.lock());
    let draft = Draft { content, signers: vec![key(10), key(11)], reveal: Vec::new(), packets: Vec::new() };
    let filed = stage.w.tap(0, &stage.patient, vec![draft])[0];
    let all = |w: &crate::world::World| (0..5).all(|i| w.is_final(i, &filed));
    assert!(stage.w.run_until(10_000, all), "the notice is final");
    filed.content
}

/// Home takes the notice back, in public.
fn contests(stage: &mut Stage, notice: ContentId) {
    let revoked = Revoked::Entries(vec![notice]);
    let entry = RevocationEntry { patient: stage.patient.id, by_proxy: None, revoked };
    let content = stage.w.draft(0, Kind::Revocation, stage.patient.salt(), &[], &entry);
    let draft = Draft { content, signers: vec![key(10)], reveal: vec![REVEAL], packets: Vec::new() };
    stage.w.tap(0, &stage.patient, vec![draft]);
}

fn way_back(stage: &Stage) -> RequestEntry {
    let (s, w) = (service(&stage.w, 0), &stage.w);
    let basis = s.escrow_of(&stage.patient.id, Tier::Recovery).unwrap().expect("it has one");
    let standing = |name: &str| s.committee_key(name).unwrap().expect("it stands").committee;
    RequestEntry {
        patient: basis.patient,
        requester: stage.guardians[0].id,
        organization: w.organization(0),
        tier: Tier::Recovery,
        enrolment: basis.enrolment,
        card: basis.card,
        locker: basis.locker,
        guardians: standing("full"),
        ledger: standing(LEDGER_COMMITTEE),
        label: basis.escrow.label(w.genesis.network(), &basis.card_key, &basis.home),
        reason: Reason::CardUnusable,
        text: String::new(),
        until: w.now + 3_600_000,
        after: (s.state().height, s.state().block),
        opener: agreement(NEW).agreement_key(),
        sealed_opener: Bytes::default(),
        subject_keys: Vec::new(),
        patient_key: None,
    }
}

fn asks(stage: &mut Stage, request: &RequestEntry, notice: &[ContentId]) -> Result<Filed, FileError> {
    let on = [&[request.enrolment, request.card, request.locker], notice].concat();
    let content = stage.w.draft(0, Kind::BreakGlassRequest, stage.patient.salt(), &on, request);
    let (network, ids) = (stage.w.genesis.network(), [content.id()]);
    let signatures = sign_tap(&mut key(stage.guardians[0].seed), &network, ("t", "en"), &ids).unwrap();
    let body = Body { content: Bytes(content.encode()), signatures }.encode();
    let k = stage.patient.secret.k(&stage.w.organization(0));
    stage.w.try_file(0, Filing { body, key: Some(k), reveal: Vec::new(), packets: Vec::new() })
}

#[expect(clippy::print_stdout, reason = "a row of the table of attacks")]
fn row(attack: &str, refused: &Result<Filed, FileError>, wanted: Check) {
    let found = matches!(refused, Err(FileError::Rejected(r)) if r.check == wanted);
    assert!(found, "{attack}: {refused:?}");
    println!("| recovery | {attack} | refused by check {} |", wanted.code());
}

/// The other two guardians approve, and the one who asks elsewhere.
fn three_approve(stage: &mut Stage, id: ContentId, request: &RequestEntry) {
    stage.approve(1, id, request).expect("one");
    stage.approve(2, id, request).expect("two");
    assert!(stage.w.run_until(20_000, |w| service(w, AWAY).emergency(&id).unwrap().is_some()), "it came");
    let (approval, opening) = stage.approval(&stage.asker, id, request);
    at(&mut stage.w, AWAY, |s| s.approve(id, &approval, opening)).expect("three");
}

/// What a card opens of a request's escrow: categories of lockers, and the patient's secret.
fn opens(stage: &Stage, id: &ContentId, card: u8) -> Option<(Vec<Category>, Vec<u8>)> {
    let mut escrow =
        SoftwareAgreement::from_secret(&*stage.escrow_secret(0, id, (&mut agreement(card), &[0; 32]))?);
    let (s, network) = (service(&stage.w, 0), stage.w.genesis.network());
    let packets = s.packets_for(&escrow.agreement_key().id(), &stage.patient.id).unwrap();
    let lockers = stage.lockers(&packets, &mut escrow);
    let mut secret = |sealed: &Vec<u8>| {
        let opened = Envelope::parse(sealed).ok()?.open(&mut escrow, Context::PatientSecret, &network);
        Some(opened.ok()?.to_vec())
    };
    Some((lockers?, packets.iter().find_map(&mut secret)?))
}

#[test]
fn a_lost_card_comes_back_to_the_new_card_after_notice_and_delay_and_three_guardians() {
    let mut stage = Stage::set(11);
    let request = way_back(&stage);
    row("without notice", &asks(&mut stage, &request, &[]), Check::StandsOnMissing);
    let notice = gives_notice(&mut stage);
    let request = way_back(&stage);
    row("before the delay", &asks(&mut stage, &request, &[notice]), Check::PeriodForm);
    let waits = service(&stage.w, 0).recovery(&notice).unwrap().expect("it has effect");
    assert!(waits.due.is_some() && !waits.waited && !waits.contested, "it says how long: {waits:?}");
    let waited = |w: &crate::world::World| service(w, 0).recovery(&notice).unwrap().unwrap().waited;
    assert!(stage.w.run_until(2 * RECOVERY_DELAY_MS, waited), "the delay passes");
    let good = way_back(&stage);
    let other = RequestEntry { opener: agreement(stage.guardians[0].seed).agreement_key(), ..good.clone() };
    let refused = asks(&mut stage, &other, &[notice]);
    row("to another card than the one named", &refused, Check::StandsOnWrong);
    let id = asks(&mut stage, &good, &[notice]).expect("now it is lawful").content;

    stage.approve(1, id, &good).expect("one");
    stage.approve(2, id, &good).expect("two");
    let (own, opening) = stage.approval(&stage.guardians[0], id, &good);
    let refused = at(&mut stage.w, 0, |s| s.approve(id, &own, opening));
    assert!(
        matches!(refused, Err(FileError::Rejected(r)) if r.check == Check::NotAuthorized),
        "who asks approves not: {refused:?}"
    );
    stage.w.run(10_000);
    assert!(service(&stage.w, 0).opening_shares(&id).unwrap().is_none(), "two release nothing");
    three_approve(&mut stage, id, &good);
    let came = |w: &crate::world::World| {
        let ready = service(w, 0).opening_shares(&id).unwrap();
        ready.is_some_and(|r| r.guardians.len() >= 3 && r.ledger.len() >= 3)
    };
    assert!(stage.w.run_until(30_000, came), "the shares come");
    assert_eq!(opens(&stage, &id, stage.guardians[0].seed), None, "no other card opens one of them");
    let (mut lockers, secret) = opens(&stage, &id, NEW).expect("the new card does");
    lockers.sort_unstable();
    assert_eq!(lockers, [Category::Laboratory, Category::EmergencySummary], "every locker of the epoch");
    assert_eq!(secret, stage.patient.secret.encode(), "and the patient's secret");
    let listed = service(&stage.w, 0).emergencies(Some(&stage.patient.id)).unwrap();
    assert_eq!(listed.len(), 1, "the patient's own list has it");
    stage.w.check();
}

#[test]
fn a_contested_recovery_opens_nothing_before_it_is_asked_for_nor_after() {
    let mut stage = Stage::set(12);
    let notice = gives_notice(&mut stage);
    stage.w.run(RECOVERY_DELAY_MS + 5_000);
    let request = way_back(&stage);
    let id = asks(&mut stage, &request, &[notice]).expect("nobody contested it yet").content;
    let last = stage.w.now;
    stage.approve(1, id, &request).expect("one");
    stage.approve(2, id, &request).expect("two");
    contests(&mut stage, notice);
    three_approve(&mut stage, id, &request);
    stage.w.run(20_000);
    assert!(stage.w.now > last, "time passed");
    assert!(service(&stage.w, 0).opening_shares(&id).unwrap().is_none(), "nothing is handed over");
    assert_eq!(opens(&stage, &id, NEW), None, "and the new card opens nothing");
    let request = way_back(&stage);
    row("contested", &asks(&mut stage, &request, &[notice]), Check::LockClosed);
    let seen = service(&stage.w, 0).recoveries(&stage.patient.id).unwrap();
    assert!(seen.len() == 1 && seen[0].contested, "it says so: {seen:?}");
    stage.w.check();
}
