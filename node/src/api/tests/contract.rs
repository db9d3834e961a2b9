//! What holds for every caller: without a session nothing of a patient answers, refusals are problems, and
//! only programs of this machine are heard.

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use serde_json::json;

use super::world::{World, request};
use crate::api::server::{ServeError, serve};

/// Paths that take a session.
const CLOSED: [&str; 15] = [
    "/patients?family=Adams",
    "/patients/0000000000000000000000000000000000000000000000000000000000000000",
    "/records?patient=0000000000000000000000000000000000000000000000000000000000000000",
    "/records/0000000000000000000000000000000000000000000000000000000000000000",
    "/records/0000000000000000000000000000000000000000000000000000000000000000/content",
    "/grants",
    "/grants/text?grant=%7B%7D",
    "/accesses",
    "/erasures",
    "/why?record=0000000000000000000000000000000000000000000000000000000000000000",
    "/organizations",
    "/persons",
    "/policies",
    "/events",
    "/ledger/export",
];

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_nothing_of_a_patient_answers() {
    let world = World::start().await;
    for path in CLOSED {
        let reply = world.get(&format!("/api/v1{path}"), None).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path} takes a session");
        assert_eq!(reply.code(), "no-session", "{path} says why");
        let forged = world.get(&format!("/api/v1{path}"), Some("0123456789abcdef")).await;
        assert_eq!(forged.status, StatusCode::UNAUTHORIZED, "{path} knows no such token");
    }
    let token = world.sign_in(&world.organization.clone()).await;
    for path in ["/organizations", "/persons", "/policies", "/patients?family=Adams"] {
        let reply = world.get(&format!("/api/v1{path}"), Some(&token)).await;
        assert_eq!(reply.status, StatusCode::OK, "{path} answers whoever is signed in: {:?}", reply.body);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_is_for_anyone_here_and_holds_nothing_of_patients() {
    let world = World::start().await;
    let reply = world.get("/api/v1/status", None).await;
    assert_eq!(reply.status, StatusCode::OK, "no session is needed");
    let mut status = reply.json();
    assert_eq!(status["state"], "ok", "a network of one has its quorum: {status}");
    assert_eq!(status["validators"]["quorum"], 1, "of one");
    assert_eq!(status["organization_name"], "City Hospital", "the public name");
    let counted = status["emergencies"].take();
    assert!(counted["patients"].is_u64(), "how many there are: {counted}");
    assert!(!status.to_string().to_lowercase().contains("patient"), "and nothing else of patients");
    assert_eq!(world.get("/healthz", None).await.status, StatusCode::OK, "it is well");
    let metrics = world.get("/metrics", None).await;
    assert!(String::from_utf8_lossy(&metrics.body).contains("hospes_block_height"), "counts for Prometheus");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_programs_of_this_machine_are_heard() {
    let world = World::start().await;
    let mut rebound = request(Method::GET, "/api/v1/status", None, Body::empty(), None);
    rebound.headers_mut().insert(header::HOST, HeaderValue::from_static("evil.example"));
    let reply = world.send(rebound).await;
    assert_eq!(reply.code(), "bad-host", "a name that resolves to loopback is not enough");
    let mut foreign = request(Method::GET, "/api/v1/status", None, Body::empty(), None);
    foreign.headers_mut().insert(header::ORIGIN, HeaderValue::from_static("https://evil.example"));
    assert_eq!(world.send(foreign).await.code(), "foreign-origin", "a page of another site is refused");
    let good = world.get("/api/v1/status", None).await;
    assert_eq!(good.status, StatusCode::OK, "and the same request from here is answered");
    assert!(good.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).is_none(), "there is no CORS");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_of_the_form_is_a_problem() {
    let world = World::start().await;
    assert_eq!(world.get("/api/v1/nothing", None).await.code(), "not-found", "an unknown path");
    let token = world.sign_in(&world.organization.clone()).await;
    let list = "/api/v1/organizations";
    assert_eq!(world.get(&format!("{list}?cursor=zz"), Some(&token)).await.code(), "bad-cursor", "a cursor");
    let put = request(Method::PUT, list, Some(&token), Body::empty(), None);
    assert_eq!(world.send(put).await.code(), "wrong-method", "an unknown method");
    let form = request(Method::POST, "/api/v1/sessions", None, Body::from("card=1"), None);
    assert_eq!(world.send(form).await.code(), "wrong-media-type", "a page's form is not JSON");
    let card = json!({ "card": "not-a-serial" });
    assert_eq!(world.post("/api/v1/sessions", None, &card).await.code(), "bad-request", "no serial");
    let large = json!({ "card": "x".repeat(300 * 1024) });
    assert_eq!(
        world.post("/api/v1/sessions", None, &large).await.code(),
        "body-too-large",
        "beyond the limit"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_sent_twice_happens_once() {
    let world = World::start().await;
    let asked = json!({ "card": world.organization.serial.to_string() });
    let keyed = |body: String| {
        let body = Body::from(body);
        let mut request = request(Method::POST, "/api/v1/sessions", None, body, Some("application/json"));
        request.headers_mut().insert("idempotency-key", HeaderValue::from_static("k-1"));
        request
    };
    let first = world.send(keyed(asked.to_string())).await;
    let again = world.send(keyed(asked.to_string())).await;
    assert_eq!(first.status, StatusCode::CREATED, "a tap begins");
    assert_eq!(first.body, again.body, "the same key and request give the same tap");
    let other = world.send(keyed(json!({ "card": "00" }).to_string())).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY, "another request under the key");
    assert_eq!(other.code(), "idempotency-key-reused", "is refused");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_but_loopback_is_refused_before_it_listens() {
    let world = World::start().await;
    let parts = world.parts();
    let (_events, watched) = tokio::sync::broadcast::channel(1);
    let wide = serve("0.0.0.0:0".parse().expect("an address"), parts, watched).await;
    assert!(matches!(wide, Err(ServeError::NotLoopback(_))), "without TLS nobody else is served");
    let (_events, watched) = tokio::sync::broadcast::channel(1);
    let serving = serve("127.0.0.1:0".parse().expect("an address"), world.parts(), watched).await;
    let serving = serving.expect("loopback is served");
    assert_ne!(serving.address.port(), 0, "on a real port");
    serving.stop().await;
    world.stop().await;
}
