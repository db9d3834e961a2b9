//! Answers that do not end, or are long: events, the ledger as a file.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode};
use futures::StreamExt as _;
use serde_json::json;

use super::world::{World, request};

/// How long an event may take.
const WAIT: Duration = Duration::from_secs(20);

async fn text_until(response: axum::response::Response, wanted: &str) -> String {
    let mut stream = response.into_body().into_data_stream();
    let mut text = String::new();
    while !text.contains(wanted) {
        let next = tokio::time::timeout(WAIT, stream.next()).await.expect("an event in time");
        let part = next.expect("the stream stands").expect("a part of it");
        text.push_str(&String::from_utf8_lossy(&part));
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_is_told_to_who_knows_it_and_its_result_to_nobody() {
    let world = World::start().await;
    let asked = json!({ "card": world.organization.serial.to_string() });
    let begun = world.post("/api/v1/sessions", None, &asked).await;
    let id = begun.json()["id"].as_str().expect("an id").to_owned();
    let mut listen = request(Method::GET, &format!("/api/v1/events?tap={id}"), None, Body::empty(), None);
    listen.headers_mut().insert("last-event-id", HeaderValue::from_static("0"));
    let stream = world.open(listen).await;
    assert_eq!(stream.status(), StatusCode::OK, "the tap's id is enough");
    let done = world.tap(&begun).await;
    let token = done["result"]["token"].as_str().expect("a token").to_owned();
    let told = text_until(stream, "\"state\":\"done\"").await;
    assert!(told.contains("event: tap"), "as an event of its kind: {told}");
    assert!(!told.contains(&token), "the token stays with who asks for the tap");
    let other = request(Method::GET, "/api/v1/events?tap=ffff", None, Body::empty(), None);
    let mut silent = world.open(other).await.into_body().into_data_stream();
    world.sign_in(&world.organization.clone()).await;
    let heard = tokio::time::timeout(Duration::from_millis(300), silent.next()).await;
    assert!(heard.is_err(), "another tap's listener hears nothing");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_hears_what_was_missed() {
    let world = World::start().await;
    let token = world.sign_in(&world.organization.clone()).await;
    let role = json!({ "name": "nurse", "rights": ["read"] });
    world.act("/api/v1/roles", &token, &role).await;
    world.wait_for("/api/v1/roles", &token, |r| r["name"] == "nurse").await;
    let mut listen = request(Method::GET, "/api/v1/events", Some(&token), Body::empty(), None);
    listen.headers_mut().insert("last-event-id", HeaderValue::from_static("0"));
    let told = text_until(world.open(listen).await, "\"what\":\"block\"").await;
    assert!(told.contains("event: sync"), "the block that came before: {told}");
    assert!(!told.contains("event: tap"), "without the taps, which were not named");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_leaves_as_a_file_that_verifies() {
    let world = World::start().await;
    let token = world.sign_in(&world.organization.clone()).await;
    world.act("/api/v1/roles", &token, &json!({ "name": "nurse", "rights": ["read"] })).await;
    world.wait_for("/api/v1/roles", &token, |r| r["name"] == "nurse").await;
    let file = world.get("/api/v1/ledger/export", Some(&token)).await;
    assert_eq!(file.status, StatusCode::OK, "the file comes");
    let verified = crate::export::verify(&file.body[..], |_| {}).expect("it verifies without the node");
    assert!(verified.height >= 1, "with the block that made the role final");
    world.stop().await;
}
