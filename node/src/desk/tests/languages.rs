//! What patients read is what they sign, in each language that is spoken.

use std::collections::BTreeSet;

use hospes_card::{HolderKind, Pin};
use hospes_protocol::ids::{ContentId, sha256};
use hospes_protocol::personal::{Anonymity, Category, Grantee, Label, Purpose};
use hospes_protocol::tap::Body;

use super::super::taps::TapState;
use super::super::{CreatePatient, GrantRequest, Language};
use super::world::{PIN, World};

fn consent(world: &World) -> GrantRequest {
    GrantRequest {
        grantee: Grantee::Organization(world.organization),
        categories: vec![Category::Letters],
        label: Label::Normal,
        records: Vec::new(),
        rights: 1,
        from: world.now(),
        until: world.now() + 86_400_000,
        purpose: Purpose::Treatment,
        study: None,
        anonymity: Anonymity::AsIs,
        one_time: false,
        two_signatures: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_in_each_language_is_shown_and_its_text_and_language_are_signed() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    let mut texts = BTreeSet::new();
    for language in Language::ALL {
        let card = world.card(language.tag(), HolderKind::Patient);
        let someone = world.new_patient(card, &format!("Lovelace {}", language.tag()));
        let request = CreatePatient { language: language.tag().into(), ..someone };
        let tap = world.desk.create_patient(&cast.organization, request).await.unwrap();
        assert_eq!(tap.language, language, "the enrolment is read in it");
        world.finish(tap).await;
        let (_, patient) = world.sign_in(card).await;
        let tap = world.desk.grant(&patient, consent(&world)).await.unwrap();
        assert_eq!(tap.language, language, "and so is a consent: {}", tap.text);
        assert!(texts.insert(tap.text.clone()), "no two languages say the same: {}", tap.text);
        let text = tap.text.clone();
        let grant: ContentId = world.finish(tap).await["grant"].as_str().unwrap().parse().unwrap();
        let held = world.objects.body(&grant).unwrap().unwrap();
        let (body, _) = Body::read(&held.bytes, &world.network).unwrap();
        let signed = body.signed_by(&world.signature_key(card), &world.network).unwrap();
        assert_eq!(signed.text_hash, sha256(&[text.as_bytes()]), "the hash of what was shown is signed");
        assert_eq!(signed.language, language.tag(), "and its language");
        let tap = world.desk.sign_in(card, Some(Language::English)).await.unwrap();
        assert_eq!(tap.language, Language::English, "a screen may have been switched to another");
        world.desk.cancel(&tap.id).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patient_whose_language_is_not_spoken_signs_english_as_english() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    let card = world.card("ida", HolderKind::Patient);
    let request = CreatePatient { language: "pl".into(), ..world.new_patient(card, "Skłodowska") };
    let tap = world.desk.create_patient(&cast.organization, request).await.unwrap();
    world.finish(tap).await;
    let (_, patient) = world.sign_in(card).await;
    let tap = world.desk.grant(&patient, consent(&world)).await.unwrap();
    assert!(tap.text.starts_with("City Hospital may read your letters."), "shown: {}", tap.text);
    assert_eq!(tap.language.tag(), "en", "what is recorded is what was shown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_at_a_tap_is_said_in_the_patients_language() {
    let mut world = World::new().await;
    let cast = world.cast().await;
    let card = world.card("greta", HolderKind::Patient);
    let request = CreatePatient { language: "de-AT".into(), ..world.new_patient(card, "Hopper") };
    let tap = world.desk.create_patient(&cast.organization, request).await.unwrap();
    world.finish(tap).await;
    let said = |id: &str| world.desk.tap(id).unwrap().error.map(|e| e.said).unwrap_or_default();
    let pulled = world.desk.sign_in(card, None).await.unwrap();
    assert!(pulled.text.starts_with("Anmelden bei City Hospital."), "before the PIN: {}", pulled.text);
    let refused = world.desk.give_pin(&pulled.id, Pin::new("000000").unwrap()).await.unwrap_err();
    let answered = world.desk.says(&pulled.id, &refused);
    assert_eq!(
        answered.as_deref(),
        Some("Die PIN war falsch. Sie haben noch 2 Versuche."),
        "to who typed it"
    );
    assert_eq!(said(&pulled.id), "Die PIN war falsch. Sie haben noch 2 Versuche.", "two are left");
    world.put_away("greta").await;
    world.wait_over(&pulled.id).await;
    assert!(said(&pulled.id).starts_with("Die Karte wurde herausgezogen."), "{}", said(&pulled.id));

    world.put_back("greta").await;
    let cancelled = world.desk.sign_in(card, None).await.unwrap();
    world.desk.cancel(&cancelled.id).unwrap();
    world.wait_over(&cancelled.id).await;
    assert_eq!(said(&cancelled.id), "Das wurde abgebrochen. Es hat sich nichts geändert.", "cancelled");
    let tap = world.desk.sign_in(card, None).await.unwrap();
    for expected in ["Das ist Ihr letzter Versuch", "Die PIN ist gesperrt"] {
        assert!(!said(&tap.id).contains(expected), "not said yet: {expected}");
        let refused = world.desk.give_pin(&tap.id, Pin::new("000000").unwrap()).await;
        assert!(refused.is_err(), "the card refuses");
        let says = || said(&tap.id).contains(expected);
        world.wait_until(expected, says).await;
    }
    let over = world.wait_over(&tap.id).await;
    assert_eq!(over.error.map(|e| e.code).as_deref(), Some("pin-blocked"), "the code is no language's");

    let staff = world.desk.sign_in(cast.doctor.card, None).await.unwrap();
    let refused = world.desk.give_pin(&staff.id, Pin::new("000000").unwrap()).await.unwrap_err();
    assert_eq!(
        world.desk.says(&staff.id, &refused),
        None,
        "the doctor's card refuses, in the error's own words"
    );
    let said = world.desk.tap(&staff.id).unwrap().error.map(|e| e.said).unwrap_or_default();
    assert_eq!(said, "The PIN was wrong. You have 2 tries left.", "staff reads English");
    let _right = world.desk.give_pin(&staff.id, Pin::new(PIN).unwrap()).await;
    assert_eq!(world.wait_over(&staff.id).await.state, TapState::Done, "and the right PIN is taken");
}
