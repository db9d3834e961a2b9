//! A node's certificate: it warns before the end, files nothing after it, and goes on once it is renewed.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::roles::Clinic;
use super::world::World;
use crate::runtime::actor::clock_ms;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn day(ms: u64) -> Value {
    crate::words::rfc3339(ms).into()
}

/// What `status` says of the certificate.
async fn said(world: &World) -> String {
    let status = world.get("/api/v1/status", None).await.json();
    let warnings: Vec<_> =
        status["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    warnings.into_iter().filter(|w| w.contains("certificate")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_warns_before_its_certificate_ends_and_is_renewed_by_its_organizations_card() {
    let ends = clock_ms() + 30 * DAY_MS;
    let world = World::start_until(ends).await;
    assert!(said(&world).await.contains("hospes node renew"), "a month before the end it says what to do");
    let organization = world.sign_in(&world.organization.clone()).await;
    let nodes = world.get("/api/v1/nodes", Some(&organization)).await.json();
    let (node, before) = (nodes["items"][0]["node"].as_str().expect("an id"), &nodes["items"][0]["expires"]);
    let path = format!("/api/v1/nodes/{node}/renew");
    let earlier = world.post(&path, Some(&organization), &json!({ "expires": before })).await;
    assert_eq!(earlier.code(), "invalid", "a renewal that ends no later renews nothing");
    let later = day(ends + 365 * DAY_MS);
    world.act(&path, &organization, &json!({ "expires": later })).await;
    world.wait_for("/api/v1/nodes", &organization, |n| n["expires"] == later).await;
    assert_eq!(said(&world).await, "", "nothing to warn of");
    world.act(&path, &organization, &json!({})).await;
    world.wait_for("/api/v1/nodes", &organization, |n| n["expires"] != later).await;
    let unknown = format!("/api/v1/nodes/{}/renew", "00".repeat(32));
    let refused = world.post(&unknown, Some(&organization), &json!({})).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND, "a node that nobody knows");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_certificate_has_ended_files_nothing_until_it_is_renewed() {
    let world = World::start_until(clock_ms() - 1).await;
    assert!(said(&world).await.contains("ended"), "it says so");
    let organization = world.sign_in(&world.organization.clone()).await;
    let role = json!({ "name": "physician", "rights": ["read", "write"] });
    let begun = world.post("/api/v1/roles", Some(&organization), &role).await;
    let tap = world.tap(&begun).await;
    assert_eq!((&tap["state"], &tap["error"]["code"]), (&"failed".into(), &"rejected-314".into()), "{tap}");
    let next = tap["error"]["next"].as_str().unwrap_or_default();
    assert!(next.contains("hospes node renew"), "and what to do: {next}");
    let nodes = world.get("/api/v1/nodes", Some(&organization)).await.json();
    let path = format!("/api/v1/nodes/{}/renew", nodes["items"][0]["node"].as_str().expect("an id"));
    world.act(&path, &organization, &json!({})).await;
    world.wait_for("/api/v1/nodes", &organization, |n| n["expires"] != nodes["items"][0]["expires"]).await;
    world.act("/api/v1/roles", &organization, &role).await;
    world.wait_for("/api/v1/roles", &organization, |r| r["name"] == "physician").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_administers_renews_a_node() {
    let clinic = Clinic::open().await;
    let nodes = clinic.world.get("/api/v1/nodes", Some(&clinic.organization)).await.json();
    let path = format!("/api/v1/nodes/{}/renew", nodes["items"][0]["node"].as_str().expect("an id"));
    for token in [&clinic.physician, &clinic.patient] {
        let refused = clinic.world.post(&path, Some(token), &json!({})).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "neither physician nor patient");
    }
    clinic.world.stop().await;
}
