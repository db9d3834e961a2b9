//! Whatever a client sends, each operation answers, and with a problem that has a code where it refuses.
//!
//! Method: every operation of the OpenAPI document, with and without a session, gets path parameters, queries, headers
//! and bodies of many wrong forms. A panic ends the test; an answer of 500 or more fails it.

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use serde_json::Value;

use super::world::{World, request};

const DOCUMENT: &str = include_str!("../../../openapi.json");

/// Stands for a value of any parameter, percent-encoded where HTTP wants it.
fn values() -> Vec<String> {
    let some = [
        "0",
        "-1",
        "18446744073709551616",
        "%00",
        "%ff%fe",
        "..%2f..%2fetc",
        "%C3%A9%C3%A9",
        "null",
        "%7B%7D",
    ];
    let long = ["0".repeat(64), "f".repeat(64), "%C3%A9".repeat(32), "a".repeat(5000), "AQAAAAAAAAAA".into()];
    some.iter().map(|value| (*value).to_owned()).chain(long).chain(["Af__________".into()]).collect()
}

/// Bodies that are JSON or nearly so.
fn bodies() -> Vec<String> {
    let deep = "[".repeat(100_000);
    let nested = format!("{}1{}", "{\"a\":".repeat(500), "}".repeat(500));
    let some = [
        "",
        "{}",
        "[]",
        "null",
        "1e999999",
        "{\"card\":null}",
        "{\"card\":\"\\ud800\"}",
        "\u{feff}{}",
        "{\"a\":1,\"a\":2}",
    ];
    some.iter().map(|body| (*body).to_owned()).chain([deep, nested, "9".repeat(100_000)]).collect()
}

/// Values of headers that are read by hand.
const HEADERS: [(&str, &str); 8] = [
    ("range", "bytes=18446744073709551615-18446744073709551616"),
    ("range", "bytes=9-1,,-"),
    ("range", "bytes=-18446744073709551616"),
    ("last-event-id", "18446744073709551616"),
    ("last-event-id", "-"),
    ("idempotency-key", "\"\\"),
    ("content-length", "18446744073709551615"),
    ("authorization", "Bearer  "),
];

/// Path and method of each operation, but for signing out, which would end the session that all others need.
fn operations() -> Vec<(String, Method)> {
    let document: Value = serde_json::from_str(DOCUMENT).expect("the checked-in document");
    let paths = document["paths"].as_object().expect("paths");
    let of = |(path, methods): (&String, &Value)| {
        let names: Vec<_> = methods.as_object().expect("operations").keys().cloned().collect();
        let methods = names.into_iter().filter_map(|name| name.to_uppercase().parse().ok());
        methods.map(|method| (path.clone(), method)).collect::<Vec<_>>()
    };
    let signs_out =
        |(path, method): &(String, Method)| path.ends_with("/sessions/current") && *method == Method::DELETE;
    paths.iter().flat_map(of).filter(|operation| !signs_out(operation)).collect()
}

/// The path with a value for each of its parameters, and in every query that any list takes.
fn filled(path: &str, value: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { value.to_owned() } else { part.to_owned() };
    let path: Vec<_> = path.split('/').map(part).collect();
    let names =
        ["limit", "cursor", "patient", "record", "grant", "language", "name", "family", "study", "purpose"];
    let query: Vec<_> = names.iter().map(|name| format!("{name}={value}")).collect();
    format!("{}?{}", path.join("/"), query.join("&"))
}

/// What is wrong with the answer. What is streamed without an end is asked for, and not read.
async fn fault(world: &World, asked: axum::http::Request<Body>) -> Option<String> {
    let shown = format!("{} {:.200} {:?}", asked.method(), asked.uri(), asked.headers());
    let reply = world.open(asked).await;
    let status = reply.status();
    let kind = reply.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    match status.as_u16() {
        500.. => Some(format!("{shown} is {status}")),
        400.. if kind != Some("application/problem+json") => {
            Some(format!("{shown} is {status} without a code"))
        }
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_of_any_form_brings_an_operation_down() {
    let world = World::start().await;
    let token = world.sign_in(&world.organization.clone()).await;
    let operations = operations();
    assert!(operations.len() > 40, "the document was read: {}", operations.len());
    let (values, bodies) = (values(), bodies());
    let (mut asked, mut faults) = (0, Vec::new());
    for (path, method) in &operations {
        for value in &values {
            for token in [None, Some(token.as_str())] {
                let path = filled(path, value);
                faults
                    .extend(fault(&world, request(method.clone(), &path, token, Body::empty(), None)).await);
                asked += 1;
            }
        }
        for body in &bodies {
            let path = filled(path, "0");
            let body = Body::from(body.clone());
            let sent = request(method.clone(), &path, Some(&token), body, Some("application/json"));
            faults.extend(fault(&world, sent).await);
            asked += 1;
        }
        for (name, value) in HEADERS {
            let mut sent = request(method.clone(), &filled(path, "0"), Some(&token), Body::empty(), None);
            sent.headers_mut().insert(name, HeaderValue::from_static(value));
            faults.extend(fault(&world, sent).await);
            asked += 1;
        }
    }
    assert!(faults.is_empty(), "{} of {asked}:\n{}", faults.len(), faults[..faults.len().min(40)].join("\n"));
    eprintln!("{asked} requests to {} operations", operations.len());
    let good = world.get("/api/v1/organizations", Some(&token)).await;
    assert_eq!(good.status, StatusCode::OK, "and an honest request of the same session is answered");
    world.stop().await;
}
