//! The desk over a real node of one: soft cards in a folder, a store in memory, blocks that commit.
//!
//! Method: stories, each beginning with an empty network. Waiting is for a state, with a deadline, never for time.
//! Replay: cargo test -p hospes desk

mod languages;
mod world;

use hospes_card::{HolderKind, Pin};
use hospes_protocol::ids::StudyId;
use hospes_protocol::personal::{Anonymity, Category, Grantee, Label, Purpose};
use hospes_protocol::policy::Rule;

use super::taps::TapState;
use super::{AddRecord, AmendRecord, DeskError, EnrolPerson, Erase, GrantRequest, Proposal, Revoke};
use world::{Cast, PIN, World};

fn code<T>(result: Result<T, DeskError>) -> String {
    result.err().map(|e| e.code()).unwrap_or_default()
}

fn letter(cast: &Cast, title: &str) -> AddRecord {
    AddRecord {
        patient: cast.patient,
        category: Category::Letters,
        label: Label::Normal,
        title: title.into(),
        media_type: "text/plain".into(),
        source: "desk".into(),
        derive_summary: false,
    }
}

fn consent(cast: &Cast, grantee: Grantee, categories: &[Category], now: u64) -> GrantRequest {
    let _of = cast.patient;
    GrantRequest {
        grantee,
        categories: categories.to_vec(),
        label: Label::Normal,
        records: Vec::new(),
        rights: 1,
        from: now,
        until: now + 86_400_000,
        purpose: Purpose::Treatment,
        study: None,
        anonymity: Anonymity::AsIs,
        one_time: false,
        two_signatures: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_practitioner_files_a_letter_and_both_read_it() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    let content = world.add(&cast.doctor, letter(&cast, "Discharge letter"), &bytes).await;
    for session in [&cast.doctor, &cast.ada] {
        let reader = world.desk.read_record(session, content, Purpose::Treatment).await.unwrap();
        assert_eq!(reader.size, 3_000_000, "the whole file is there");
        let all = reader.read_range(0..3_000_000).await.unwrap();
        assert!(*all == bytes, "every byte comes back");
        let across = reader.read_range(1_048_000..1_048_100).await.unwrap();
        assert!(across[..] == bytes[1_048_000..1_048_100], "a range across a border of segments");
        assert!(reader.read_range(0..3_000_001).await.is_err(), "nothing beyond the end");
    }
    let patient = cast.patient;
    let accesses = world.ask(move |s| s.accesses_of(&patient).unwrap()).await;
    assert_eq!(accesses.len(), 2, "each reading left an access entry");
    let denied = world.desk.read_record(&cast.organization, content, Purpose::Treatment).await;
    assert_eq!(code(denied), "not-allowed", "the organization's card reads nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consent_opens_what_the_patient_wrote_and_its_withdrawal_closes_it() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    let content = world.add(&cast.ada, letter(&cast, "My diary"), b"I slept badly.").await;
    let before = world.desk.read_record(&cast.doctor, content, Purpose::Treatment).await;
    assert_eq!(code(before), Rule::NoGrant.code(), "without consent nobody but the patient reads it");
    for grantee in [Grantee::Person(cast.person), Grantee::Organization(world.organization)] {
        let request = consent(&cast, grantee, &[Category::Letters], world.now());
        let text = world.desk.consent_text(&cast.ada, request.clone()).await.unwrap().text;
        let tap = world.desk.grant(&cast.ada, request).await.unwrap();
        assert_eq!(tap.text, text, "what is previewed is what is signed");
        let done = world.finish(tap).await;
        let reader = world.desk.read_record(&cast.doctor, content, Purpose::Treatment).await.unwrap();
        assert_eq!(&reader.read_range(0..14).await.unwrap()[..], b"I slept badly.", "with consent it opens");
        let later = world.add(&cast.ada, letter(&cast, "Second day"), b"Better.").await;
        assert!(
            world.desk.read_record(&cast.doctor, later, Purpose::Treatment).await.is_ok(),
            "and so does what is written into the live epoch"
        );
        let grant = done["grant"].as_str().unwrap().parse().unwrap();
        let tap = world.desk.revoke(&cast.ada, Revoke::Grants(vec![grant])).await.unwrap();
        world.finish(tap).await;
        let after = reader.read_range(0..14).await;
        assert_eq!(code(after), Rule::ConsentWithdrawn.code(), "a reading that has begun stops");
        let again = world.desk.read_record(&cast.doctor, content, Purpose::Treatment).await;
        assert_eq!(code(again), Rule::ConsentWithdrawn.code(), "and none begins");
    }
    let own = world.desk.read_record(&cast.ada, content, Purpose::PatientRequest).await;
    assert!(own.is_ok(), "the patient still reads it, through every epoch");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_to_one_record_opens_that_record_only() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    let one = world.add(&cast.ada, letter(&cast, "One"), b"one").await;
    let other = world.add(&cast.ada, letter(&cast, "Other"), b"other").await;
    let request =
        GrantRequest { records: vec![one], ..consent(&cast, Grantee::Person(cast.person), &[], world.now()) };
    let tap = world.desk.grant(&cast.ada, request).await.unwrap();
    assert!(tap.text.contains("these papers: One"), "the text names the paper: {}", tap.text);
    world.finish(tap).await;
    let reader = world.desk.read_record(&cast.doctor, one, Purpose::Treatment).await.unwrap();
    assert_eq!(&reader.read_range(0..3).await.unwrap()[..], b"one", "the one that was named");
    let denied = world.desk.read_record(&cast.doctor, other, Purpose::Treatment).await;
    assert_eq!(code(denied), Rule::WrongRecord.code(), "and no other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_leaves_for_its_study_only_and_as_the_consent_says() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    let content = world.add(&cast.ada, letter(&cast, "My diary"), b"I slept badly.").await;
    let (open, veiled) = (StudyId([1; 32]), StudyId([2; 32]));
    let before = world.desk.read_record(&cast.doctor, content, open).await;
    assert_eq!(code(before), Rule::NoGrant.code(), "without a right to share nothing leaves");
    for (study, anonymity) in [(open, Anonymity::AsIs), (veiled, Anonymity::Anonymised)] {
        let request = consent(&cast, Grantee::Person(cast.person), &[Category::Letters], world.now());
        let request = GrantRequest { rights: 4, study: Some(study), anonymity, ..request };
        let tap = world.desk.grant(&cast.ada, request).await.unwrap();
        world.finish(tap).await;
    }
    let reader = world.desk.read_record(&cast.doctor, content, open).await.unwrap();
    assert_eq!(
        &reader.read_range(0..14).await.unwrap()[..],
        b"I slept badly.",
        "for its study, as it was filed"
    );
    let named = world.desk.read_record(&cast.doctor, content, veiled).await;
    assert_eq!(code(named), "must-not-leave-as-is", "not with names where the consent says without");
    let other = world.desk.read_record(&cast.doctor, content, StudyId([3; 32])).await;
    assert_eq!(code(other), Rule::WrongStudy.code(), "and for no other study");
    let read = world.desk.read_record(&cast.doctor, content, Purpose::Treatment).await;
    assert_eq!(code(read), Rule::WrongRight.code(), "a right to share is none to read");
    let patient = cast.patient;
    let accesses = world.ask(move |s| s.accesses_of(&patient).unwrap()).await;
    assert_eq!(accesses.len(), 1, "what left is among the accesses, what was refused is not");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_a_record_takes_both_cards_and_moves_who_may_read_it() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    // What the doctor's organization filed, its people read anyway; so a stranger's grant is looked at.
    let filed = world.add(&cast.doctor, letter(&cast, "A letter"), b"Dear Ada").await;
    let request = consent(&cast, Grantee::Person(cast.person), &[Category::Letters], world.now());
    world.finish(world.desk.grant(&cast.ada, request).await.unwrap()).await;
    let change =
        || AmendRecord { title: Some("Blood".into()), category: Some(Category::Laboratory), label: None };
    world.put_away("ada").await;
    let refused = world.desk.amend_record(&cast.doctor, filed, change()).await;
    assert_eq!(code(refused), "signer-absent", "the practitioner alone changes nothing");
    world.put_back("ada").await;
    let (_, ada) = world.sign_in(cast.ada.card).await;
    world.put_away("doctor").await;
    let refused = world.desk.amend_record(&ada, filed, change()).await;
    assert_eq!(code(refused), "signer-absent", "nor does the patient");
    world.put_back("doctor").await;
    let (_, doctor) = world.sign_in(cast.doctor.card).await;
    for session in [&doctor, &ada] {
        let nothing = world.desk.amend_record(session, filed, AmendRecord::default()).await;
        assert_eq!(code(nothing), "invalid", "nothing is no change");
    }
    let tap = world.desk.amend_record(&doctor, filed, change()).await.unwrap();
    assert!(tap.text.contains("A letter") && tap.text.contains("Blood"), "old and new title: {}", tap.text);
    world.finish(tap).await;
    let patient = cast.patient;
    let records = world.ask(move |s| s.records_of(&patient).unwrap()).await;
    let shown: Vec<_> = records.iter().map(|r| (r.entry.title.as_str(), r.entry.category)).collect();
    assert_eq!(shown, [("Blood", Category::Laboratory)], "one record, as it stands");
    for session in [&doctor, &ada] {
        let reader = world.desk.read_record(session, filed, Purpose::Treatment).await.unwrap();
        assert_eq!(&reader.read_range(0..8).await.unwrap()[..], b"Dear Ada", "the file is what it was");
    }
    let restrict = AmendRecord { label: Some(Label::VeryRestricted), ..AmendRecord::default() };
    world.finish(world.desk.amend_record(&ada, filed, restrict).await.unwrap()).await;
    let denied = world.desk.read_record(&doctor, filed, Purpose::Treatment).await;
    assert_eq!(code(denied), Rule::WrongCategory.code(), "the patient alone restricts it");
    let lower = AmendRecord { label: Some(Label::Normal), ..AmendRecord::default() };
    world.finish(world.desk.amend_record(&ada, filed, lower).await.unwrap()).await;
    let reader = world.desk.read_record(&doctor, filed, Purpose::Treatment).await;
    assert!(reader.is_ok(), "and both together lift it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_diary_is_its_patients_to_change_and_its_new_category_opens_to_whom_she_lets_in() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    let diary = world.add(&cast.ada, letter(&cast, "Diary"), b"I slept badly.").await;
    let request = consent(&cast, Grantee::Person(cast.person), &[Category::Medication], world.now());
    world.finish(world.desk.grant(&cast.ada, request).await.unwrap()).await;
    let read = |content| world.desk.read_record(&cast.doctor, content, Purpose::Treatment);
    assert_eq!(code(read(diary).await), Rule::WrongCategory.code(), "a letter is no medicine");
    let change = || AmendRecord { category: Some(Category::Medication), ..AmendRecord::default() };
    let refused = world.desk.amend_record(&cast.doctor, diary, change()).await;
    assert_eq!(code(refused), "not-allowed", "who may not write it doesn't change it");
    world.finish(world.desk.amend_record(&cast.ada, diary, change()).await.unwrap()).await;
    let reader = read(diary).await.unwrap();
    assert_eq!(&reader.read_range(0..14).await.unwrap()[..], b"I slept badly.", "the new locker opens it");
    let back = AmendRecord { category: Some(Category::Letters), ..AmendRecord::default() };
    world.finish(world.desk.amend_record(&cast.ada, diary, back).await.unwrap()).await;
    assert_eq!(
        code(reader.read_range(0..14).await),
        Rule::WrongCategory.code(),
        "a reading that began stops"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_pin_leaves_the_tap_waiting_and_the_right_one_ends_it() {
    let world = World::new().await;
    let serial = world.organization_card;
    let tap = world.desk.sign_in(serial, None).await.unwrap();
    let wrong = world.desk.give_pin(&tap.id, Pin::new("000000").unwrap()).await;
    assert_eq!(code(wrong), "wrong-pin", "the card says so");
    let waiting = world.desk.tap(&tap.id).unwrap();
    assert_eq!(waiting.state, TapState::WaitingPin, "the tap waits on");
    assert_eq!(waiting.tries_left, Some(2), "with one try fewer");
    let done = world.finish(waiting).await;
    assert!(done["token"].is_string(), "the right PIN signs in");
    let over = world.desk.give_pin(&tap.id, Pin::new(PIN).unwrap()).await;
    assert_eq!(code(over), "tap-state", "a tap that is over takes no PIN");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_upload_leaves_no_segment_behind() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    let before = world.objects.totals().unwrap().segments.count;
    let mut upload = world.desk.begin_record(&cast.doctor, letter(&cast, "Never")).await.unwrap();
    upload.push(vec![7; 2_500_000]).await.unwrap();
    let tap = world.desk.finish_record(&cast.doctor, upload).await.unwrap();
    assert!(world.objects.totals().unwrap().segments.count > before, "it was sealed while it arrived");
    world.desk.cancel(&tap.id).unwrap();
    let over = world.wait_over(&tap.id).await;
    assert_eq!(over.state, TapState::Cancelled, "the tap says so");
    assert_eq!(world.objects.totals().unwrap().segments.count, before, "nothing of it is left");
    let filed = world.add(&cast.doctor, letter(&cast, "Kept"), b"kept").await;
    let kept = world.desk.read_record(&cast.doctor, filed, Purpose::Treatment).await;
    assert!(kept.is_ok(), "the same act goes through when nobody cancels");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pulled_card_ends_its_session_and_fails_its_tap() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    let content = world.add(&cast.doctor, letter(&cast, "Note"), b"note").await;
    let reader = world.desk.read_record(&cast.doctor, content, Purpose::Treatment).await.unwrap();
    assert!(reader.read_range(0..4).await.is_ok(), "while the card is in");
    let upload = world.desk.begin_record(&cast.doctor, letter(&cast, "Late")).await.unwrap();
    let tap = world.desk.finish_record(&cast.doctor, upload).await.unwrap();
    world.pull("doctor");
    let over = world.wait_over(&tap.id).await;
    assert_eq!(over.error.map(|e| e.code).as_deref(), Some("card-removed"), "the tap says why");
    world.wait_until("the session ends", || !cast.doctor.is_live()).await;
    assert!(world.desk.session(&cast.doctor_token).is_none(), "its token is worth nothing");
    assert_eq!(code(reader.read_range(0..4).await), "session-over", "an open record closes");
    assert!(cast.ada.is_live(), "others stay signed in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_that_left_and_came_back_at_once_must_sign_in_again() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    world.swap_out_and_in("ada").await;
    world.wait_until("the session ends", || !cast.ada.is_live()).await;
    let (_, again) = world.sign_in(cast.ada.card).await;
    assert!(again.is_live(), "the same card signs in anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_an_administrator_enrols_and_a_card_is_enrolled_once() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    let card = world.card("bob", HolderKind::Patient);
    let request = world.new_patient(card, "Ross");
    let denied = world.desk.create_patient(&cast.doctor, request.clone()).await;
    assert_eq!(code(denied), "not-allowed", "a practitioner enrols nobody");
    let tap = world.desk.create_patient(&cast.organization, request.clone()).await.unwrap();
    let made = world.finish(tap).await;
    assert_eq!(made["recovery_code"].as_str().map(str::len), Some(34), "the code is printed once");
    let twice = world.desk.create_patient(&cast.organization, request).await;
    assert_eq!(code(twice), "card-in-use", "the same card serves nobody else");
    let found = world.desk.find_patients(&cast.doctor, Some("ross"), None).unwrap();
    assert_eq!(found.len(), 1, "staff find the patient by name, whatever its case");
    let foreign = world.desk.find_patients(&cast.ada, None, None);
    assert_eq!(code(foreign), "not-allowed", "a patient looks up nobody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_one_time_consent_serves_one_reading_to_its_end() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    let content = world.add(&cast.ada, letter(&cast, "Once"), b"once").await;
    let request = GrantRequest {
        one_time: true,
        ..consent(&cast, Grantee::Person(cast.person), &[Category::Letters], world.now())
    };
    let tap = world.desk.grant(&cast.ada, request).await.unwrap();
    world.finish(tap).await;
    let reader = world.desk.read_record(&cast.doctor, content, Purpose::Treatment).await.unwrap();
    assert!(reader.read_range(0..2).await.is_ok(), "the first reading");
    assert!(reader.read_range(2..4).await.is_ok(), "goes on to its end");
    let again = world.desk.read_record(&cast.doctor, content, Purpose::Treatment).await;
    assert_eq!(code(again), Rule::ConsentUsed.code(), "and is the only one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chart_brings_its_emergency_summary_in_the_same_tap() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    let chart = br#"{"resourceType":"Bundle","type":"collection","entry":[
        {"fullUrl":"urn:uuid:11111111-1111-4111-8111-111111111111","resource":{"resourceType":"Patient",
         "id":"1","name":[{"family":"Lovelace","given":["Ada"]}],"birthDate":"1985-12-10"}},
        {"fullUrl":"urn:uuid:22222222-2222-4222-8222-222222222222","resource":{"resourceType":"AllergyIntolerance",
         "id":"2","patient":{"reference":"urn:uuid:11111111-1111-4111-8111-111111111111"},
         "recordedDate":"2024-05-01","code":{"text":"Penicillin"}}}]}"#;
    let request = AddRecord {
        category: Category::HistoryAndPhysical,
        media_type: "application/fhir+json".into(),
        derive_summary: true,
        ..letter(&cast, "Chart")
    };
    let mut upload = world.desk.begin_record(&cast.doctor, request.clone()).await.unwrap();
    upload.push(chart.to_vec()).await.unwrap();
    let tap = world.desk.finish_record(&cast.doctor, upload).await.unwrap();
    let filed = world.finish(tap).await;
    let records = filed["records"].as_array().unwrap();
    assert_eq!(records.len(), 2, "the chart and its summary: {filed}");
    let summary = records[1]["content"].as_str().unwrap().parse().unwrap();
    let reader = world.desk.read_record(&cast.doctor, summary, Purpose::Treatment).await.unwrap();
    let read = reader.read_range(0..reader.size).await.unwrap();
    assert!(read.windows(10).any(|w| w == b"Penicillin"), "the allergy is in the summary");
    let mut upload = world.desk.begin_record(&cast.doctor, request).await.unwrap();
    upload.push(b"no chart".to_vec()).await.unwrap();
    let tap = world.desk.finish_record(&cast.doctor, upload).await.unwrap();
    let filed = world.finish(tap).await;
    assert!(filed["records"][0]["note"].is_string(), "a file without chart is filed alone, and says why");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposal_is_filed_once_the_cards_of_two_thirds_have_voted() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    let mut fields = hospes_protocol::genesis::default_policy();
    fields.lease_ms = 1_000_000;
    let proposed = world.desk.propose(&cast.organization, Proposal::Policy(fields)).await.unwrap();
    assert!(!proposed.sufficient, "nobody has signed yet");
    let early = world.desk.file_proposal(&cast.organization, proposed.bytes.clone()).await;
    assert_eq!(code(early), "rejected-602", "so it cannot be filed");
    let denied = world.desk.vote(&cast.doctor, proposed.bytes.clone(), None).await;
    assert_eq!(code(denied), "not-allowed", "a practitioner has no vote");
    let tap = world.desk.vote(&cast.organization, proposed.bytes, None).await.unwrap();
    let voted = world.finish(tap).await;
    assert!(voted["filed"].is_string(), "the only organization is more than two thirds: {voted}");
    world.wait_for("the policy is final", |s| s.state().membership.policy.lease_ms == 1_000_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_is_signed_by_the_organizations_card() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    let block = hospes_protocol::ids::BlockHash([7; 32]);
    let denied = world.desk.trust_checkpoint(&cast.doctor, 9_000, block).await;
    assert_eq!(code(denied), "not-allowed", "a practitioner names none");
    let tap = world.desk.trust_checkpoint(&cast.organization, 1, block).await.unwrap();
    assert!(
        tap.text.contains("block 1,") && tap.text.contains(&block.to_string()),
        "what is signed: {}",
        tap.text
    );
    let late = world.pins_until_over(tap).await;
    assert_eq!(late.error.map(|e| e.code), Some("rejected-401".into()), "nothing newer than what is here");
    let tap = world.desk.trust_checkpoint(&cast.organization, 9_000, block).await.unwrap();
    let taken = world.finish(tap).await;
    assert_eq!(taken["height"], 9_000, "the node goes on from there once it finds it: {taken}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_practitioner_reads_and_signs_in_no_more() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    let content = world.add(&cast.doctor, letter(&cast, "Before"), b"before").await;
    assert!(world.desk.read_record(&cast.doctor, content, Purpose::Treatment).await.is_ok(), "while active");
    // What a card signed that was suspended counts only if it was final before.
    world
        .wait_for("the record is final", move |s| {
            let state = s.entry_state(&content).unwrap().unwrap();
            matches!(state.finality, hospes_service::records::Finality::Final(_))
        })
        .await;
    let tap = world.desk.suspend_person(&cast.organization, cast.person).await.unwrap();
    world.finish(tap).await;
    let person = cast.person;
    world
        .wait_for("the suspension is final", move |s| {
            s.state().membership.people[&person].standing == hospes_protocol::control::Standing::Suspended
        })
        .await;
    let denied = world.desk.read_record(&cast.doctor, content, Purpose::Treatment).await;
    assert_eq!(code(denied), Rule::Suspended.code(), "the session is worth nothing");
    let tap = world.desk.sign_in(cast.doctor.card, None).await.unwrap();
    let _judged = world.desk.give_pin(&tap.id, Pin::new(PIN).unwrap()).await;
    let over = world.wait_over(&tap.id).await;
    assert_eq!(over.error.map(|e| e.code).as_deref(), Some("card-suspended"), "nor does the card sign in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_organization_key_opens_for_every_member_and_the_old_one_still_does() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    let old = world.add(&cast.doctor, letter(&cast, "Old key"), b"old").await;
    let tap = world.desk.organization_key(&cast.organization).await.unwrap();
    world.finish(tap).await;
    world.wait_for("the key is final", |s| s.state().membership.keys.values().all(|k| k.epoch == 2)).await;
    let new = world.add(&cast.doctor, letter(&cast, "New key"), b"new").await;
    // A fresh session has opened nothing yet.
    let (_, doctor) = world.sign_in(cast.doctor.card).await;
    for (content, text) in [(old, b"old"), (new, b"new")] {
        let reader = world.desk.read_record(&doctor, content, Purpose::Treatment).await.unwrap();
        assert_eq!(&reader.read_range(0..3).await.unwrap()[..], text, "its own epoch opens it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_card_is_replaced_and_dead_from_then_on() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    let first = world.add(&cast.doctor, letter(&cast, "Before"), b"before").await;
    let tap = world.desk.organization_key(&cast.organization).await.unwrap();
    world.finish(tap).await;
    world
        .wait_for("a second epoch is final", |s| s.state().membership.keys.values().all(|k| k.epoch == 2))
        .await;
    let second = world.add(&cast.doctor, letter(&cast, "Under the second key"), b"second").await;
    let open = world.desk.read_record(&cast.doctor, first, Purpose::Treatment).await.unwrap();

    let card = world.card("doctor-again", HolderKind::Practitioner);
    let denied = world.desk.replace_card(&cast.doctor, cast.person, card).await;
    assert_eq!(code(denied), "not-allowed", "only who administers replaces cards");
    let same = world.desk.replace_card(&cast.organization, cast.person, cast.doctor.card).await;
    assert_eq!(code(same), "card-in-use", "a card doesn't take its own place");
    let begun = world.desk.begin_record(&cast.doctor, letter(&cast, "Under way")).await.unwrap();
    let pending = world.desk.finish_record(&cast.doctor, begun).await.unwrap();
    let tap = world.desk.replace_card(&cast.organization, cast.person, card).await.unwrap();
    let made = world.finish(tap).await;
    assert_eq!(made["person"], cast.person.to_string(), "it is the same person");
    let person = cast.person;
    let key = world.card_key(card);
    world
        .wait_for("the new card stands", move |s| s.state().membership.people[&person].authentication == key)
        .await;

    assert_eq!(
        code(open.read_range(0..3).await),
        "card-suspended",
        "what lies open with the old card closes"
    );
    let reading = world.desk.read_record(&cast.doctor, first, Purpose::Treatment).await;
    assert_eq!(code(reading), "card-suspended", "its session opens nothing more");
    let _pin = world.desk.give_pin(&pending.id, Pin::new(PIN).unwrap()).await;
    let over = world.wait_over(&pending.id).await;
    assert_eq!(over.error.map(|e| e.code).as_deref(), Some("rejected-705"), "its tap files nothing");
    let tap = world.desk.sign_in(cast.doctor.card, None).await.unwrap();
    let _pin = world.desk.give_pin(&tap.id, Pin::new(PIN).unwrap()).await;
    let over = world.wait_over(&tap.id).await;
    assert_eq!(over.state, TapState::Failed, "it signs in no more");

    let (_, again) = world.sign_in(card).await;
    for (record, text) in [(first, &b"before"[..]), (second, b"second")] {
        let reader = world.desk.read_record(&again, record, Purpose::Treatment).await.unwrap();
        let read = reader.read_range(0..reader.size).await.unwrap();
        assert_eq!(&read[..], text, "the new card opens what every epoch of the key sealed");
    }
    world.add(&again, letter(&cast, "After"), b"after").await;
    let third = world.card("somebody", HolderKind::Practitioner);
    let twice = EnrolPerson {
        card: third,
        roles: vec!["physician".into()],
        register_number: "R-1".into(),
        attestation: b"x".to_vec(),
    };
    let tap = world.desk.enrol_person(&cast.organization, twice).await.unwrap();
    let over = world.pins_until_over(tap).await;
    assert_eq!(
        over.error.map(|e| e.code).as_deref(),
        Some("rejected-603"),
        "the register number stays taken"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_takes_both_cards_can_be_taken_back_and_destroys_after_its_time() {
    use hospes_service::records::ErasurePhase;
    let mut world = World::new().await;
    let cast = world.cast().await;
    let filed = world.add(&cast.doctor, letter(&cast, "Old story"), b"told").await;
    let other = world.add(&cast.doctor, letter(&cast, "New story"), b"news").await;
    let what = Erase::Records(vec![filed]);
    let denied = world.desk.erase(&cast.doctor, what.clone()).await;
    assert_eq!(code(denied), "not-allowed", "only the patient orders it");
    world.put_away("organization").await;
    let refused = world.desk.erase(&cast.ada, what.clone()).await;
    assert_eq!(code(refused), "signer-absent", "and not without who answers for the record");
    world.put_back("organization").await;
    let tap = world.desk.erase(&cast.ada, what.clone()).await.unwrap();
    assert!(tap.text.contains("Old story") && !tap.text.contains("New story"), "what goes: {}", tap.text);
    let done = world.finish(tap).await;
    let first = done["erasure"].as_str().unwrap().parse().unwrap();
    let phase = |id| world.ask(move |s| s.erasure(&id).unwrap().unwrap().phase);
    assert_eq!(phase(first).await, ErasurePhase::Ordered, "it waits for 14 days");
    world.finish(world.desk.take_back(&cast.ada, first).await.unwrap()).await;
    assert_eq!(phase(first).await, ErasurePhase::Withdrawn, "it was taken back");
    let again = world.desk.take_back(&cast.ada, first).await;
    assert_eq!(code(again), "invalid", "once");
    let read = world.desk.read_record(&cast.doctor, filed, Purpose::Treatment).await;
    assert!(read.is_ok(), "and everything is still there");

    let mut fields = hospes_protocol::genesis::default_policy();
    fields.cooling_off_ms = 1;
    let (_, organization) = world.sign_in(world.organization_card).await;
    let proposed = world.desk.propose(&organization, Proposal::Policy(fields)).await.unwrap();
    world.finish(world.desk.vote(&organization, proposed.bytes, None).await.unwrap()).await;
    world.wait_for("the policy is final", |s| s.state().membership.policy.cooling_off_ms == 1).await;
    let done = world.finish(world.desk.erase(&cast.ada, what).await.unwrap()).await;
    let second = done["erasure"].as_str().unwrap().parse().unwrap();
    let erased = move |s: &hospes_service::service::Service| {
        s.erasure(&second).unwrap().unwrap().phase == ErasurePhase::Erased
    };
    world.wait_for("the second is carried out", erased).await;
    let gone = world.desk.read_record(&cast.doctor, filed, Purpose::Treatment).await;
    assert_eq!(code(gone), "unknown", "it is gone");
    assert!(
        world.desk.read_record(&cast.doctor, other, Purpose::Treatment).await.is_ok(),
        "and nothing else is"
    );
    let late = world.desk.take_back(&cast.ada, second).await;
    assert_eq!(code(late), "invalid", "too late to take it back");
}
