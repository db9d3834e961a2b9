//! What each role may and may not: organization card, person, patient.

use axum::http::StatusCode;
use hospes_card::HolderKind;
use hospes_protocol::ids::sha256;
use serde_json::json;

use super::roles::Clinic;
use super::world::{PIN, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_it_is_signed_out() {
    let world = World::start().await;
    let token = world.sign_in(&world.organization.clone()).await;
    let who = world.get("/api/v1/sessions/current", Some(&token)).await.json();
    assert_eq!(who["kind"], "organization", "the organization's card is known: {who}");
    assert_eq!(who["administrator"], true, "and administers");
    let path = "/api/v1/sessions/current";
    let gone = world
        .send(super::world::request(
            axum::http::Method::DELETE,
            path,
            Some(&token),
            axum::body::Body::empty(),
            None,
        ))
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "it signs out");
    assert_eq!(world.get(path, Some(&token)).await.code(), "no-session", "and the token is worth nothing");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_pin_leaves_the_tap_waiting_with_fewer_tries() {
    let world = World::start().await;
    let asked = json!({ "card": world.organization.serial.to_string() });
    let tap = world.post("/api/v1/sessions", None, &asked).await.json();
    let path = format!("/api/v1/taps/{}", tap["id"].as_str().expect("an id"));
    let wrong = world.post(&format!("{path}/pin"), None, &json!({ "pin": "000000" })).await;
    assert_eq!(wrong.code(), "wrong-pin", "the card refuses");
    let waiting = world.get(&path, None).await.json();
    assert_eq!((&waiting["state"], &waiting["tries_left"]), (&json!("waiting-pin"), &json!(2)), "it waits");
    let right = world.post(&format!("{path}/pin"), None, &json!({ "pin": PIN })).await;
    assert_eq!(right.status, StatusCode::OK, "and the right PIN is taken");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_is_not_in_cannot_be_waited_for_with_a_pin() {
    let world = World::start().await;
    let asked = json!({ "card": "ab".repeat(16) });
    let begun = world.post("/api/v1/sessions", None, &asked).await;
    assert_eq!(begun.json()["state"], "waiting-card", "the tap waits for the card");
    let id = begun.json()["id"].as_str().expect("an id").to_owned();
    let pin = world.post(&format!("/api/v1/taps/{id}/pin"), None, &json!({ "pin": PIN })).await;
    assert_eq!(pin.code(), "tap-state", "a PIN is not awaited yet");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_german_patient_reads_german_at_every_tap() {
    let mut clinic = Clinic::open().await;
    let card = clinic.world.new_card("greta", HolderKind::Patient).await;
    let world = &clinic.world;
    let greta = json!({
        "card": card.serial.to_string(), "language": "de",
        "identity": { "family": "Hopper", "given": ["Greta"], "birth_date": "1906-12-09" },
    });
    world.act("/api/v1/patients", &clinic.organization, &greta).await;
    let patient = world.sign_in(&card).await;
    let who = world.get("/api/v1/sessions/current", Some(&patient)).await.json();
    assert_eq!(who["language"], "de", "the session speaks her language: {who}");
    let grant = json!({
        "grantee": { "person": clinic.person }, "categories": ["laboratory"], "rights": ["read"],
        "until": "2100-01-01T00:00:00Z",
    });
    let tap = world.post("/api/v1/grants", Some(&patient), &grant).await.json();
    let text = tap["text"].as_str().expect("a text");
    assert!(text.contains("darf Ihre Laborwerte lesen."), "the consent is German: {text}");
    let hash = data_encoding::HEXLOWER.encode(&sha256(&[text.as_bytes()]));
    assert_eq!((&tap["language"], &tap["text_hash"]), (&json!("de"), &json!(hash)), "and says so: {tap}");
    let path = format!("/api/v1/taps/{}", tap["id"].as_str().expect("an id"));
    let wrong = world.post(&format!("{path}/pin"), None, &json!({ "pin": "000000" })).await;
    assert_eq!(wrong.code(), "wrong-pin", "the code is for programs");
    let error = world.get(&path, None).await.json()["error"].clone();
    assert_eq!(error["said"], "Die PIN war falsch. Sie haben noch 2 Versuche.", "what the screen says");
    assert_eq!(error["message"], "wrong PIN: 2 tries left", "what a program logs");
    let right = world.post(&format!("{path}/pin"), None, &json!({ "pin": PIN })).await;
    assert_eq!(right.status, StatusCode::OK, "and with the right PIN she consents");
    clinic.world.stop().await;
}
