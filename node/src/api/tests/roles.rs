//! One story through all roles: the organization enrols, the physician files and reads, the patient sees,
//! permits and withdraws. Beside each act stands who may not do it.

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use hospes_card::HolderKind;
use serde_json::{Value, json};

use super::world::{World, request};

/// Three roles, signed in.
pub(super) struct Clinic {
    pub(super) world: World,
    pub(super) organization: String,
    pub(super) physician: String,
    pub(super) patient: String,
    /// The patient's pseudonym.
    pub(super) ada: String,
    /// The physician's id.
    pub(super) person: String,
}

impl Clinic {
    pub(super) async fn open() -> Self {
        let mut world = World::start().await;
        let organization = world.sign_in(&world.organization.clone()).await;
        let role = json!({ "name": "physician", "rights": ["read", "write"] });
        world.act("/api/v1/roles", &organization, &role).await;
        world.wait_for("/api/v1/roles", &organization, |r| r["name"] == "physician").await;
        let card = world.new_card("physician", HolderKind::Practitioner).await;
        let person = json!({
            "card": card.serial.to_string(), "roles": ["physician"], "register_number": "R-1",
            "attestation": "YXR0ZXN0ZWQ=",
        });
        let made = world.act("/api/v1/persons", &organization, &person).await;
        let person = made["person"].as_str().expect("an id").to_owned();
        world.wait_for("/api/v1/persons", &organization, |p| p["person"] == person.as_str()).await;
        let physician = world.sign_in(&card).await;
        let card = world.new_card("ada", HolderKind::Patient).await;
        let ada = json!({
            "card": card.serial.to_string(), "language": "en",
            "identity": { "family": "Lovelace", "given": ["Ada"], "birth_date": "1815-12-10" },
        });
        let made = world.act("/api/v1/patients", &organization, &ada).await;
        let ada = made["patient"].as_str().expect("a pseudonym").to_owned();
        let patient = world.sign_in(&card).await;
        Self { world, organization, physician, patient, ada, person }
    }

    /// Where a laboratory result of Ada's is filed.
    pub(super) fn upload_path(&self) -> String {
        let ada = &self.ada;
        format!("/api/v1/records?patient={ada}&category=laboratory&title=Blood&media_type=text/plain")
    }

    /// Files a record; gives its content id.
    pub(super) async fn file(&self, bytes: &[u8]) -> String {
        let begun = self.world.upload(&self.upload_path(), &self.physician, bytes, None).await;
        let tap = self.world.tap(&begun).await;
        assert_eq!(tap["state"], "done", "the record is filed: {tap}");
        tap["result"]["records"][0]["content"].as_str().expect("a content id").to_owned()
    }
}

fn file() -> Vec<u8> {
    (0..3_000_000_u32).map(|n| (n % 251).to_le_bytes()[0]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_filed_read_and_the_access_seen_by_the_patient() {
    let clinic = Clinic::open().await;
    let (world, plain) = (&clinic.world, file());
    let content = clinic.file(&plain).await;
    let path = format!("/api/v1/records/{content}/content");
    let read = world.get(&path, Some(&clinic.physician)).await;
    assert_eq!(read.status, StatusCode::OK, "the author's organization reads: {:?}", read.body.get(..200));
    assert!(read.body == plain, "the very bytes");
    assert_eq!(read.headers[header::CACHE_CONTROL], "no-store", "and nobody keeps them");
    let mut part = request(Method::GET, &path, Some(&clinic.physician), Body::empty(), None);
    part.headers_mut().insert(header::RANGE, HeaderValue::from_static("bytes=1000000-1000009"));
    let part = world.send(part).await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "a range");
    assert!(part.body == plain[1_000_000..1_000_010], "is that part of the file");
    assert_eq!(part.headers[header::CONTENT_RANGE], "bytes 1000000-1000009/3000000", "and says which");

    let accesses = world.get("/api/v1/accesses", Some(&clinic.patient)).await.json();
    let seen = accesses["items"].as_array().expect("a list");
    assert_eq!(seen.len(), 2, "the patient sees both: {accesses}");
    assert_eq!(seen[0]["reader"]["id"], clinic.person.as_str(), "and who it was");
    let others = world.get("/api/v1/accesses", Some(&clinic.physician)).await;
    assert_eq!(others.code(), "not-permitted", "the list is the patient's own");
    clinic.world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_read_learns_nothing_not_even_that_there_is_something() {
    let clinic = Clinic::open().await;
    let (world, content) = (&clinic.world, clinic.file(b"Hb 140 g/l").await);
    let absent = "77".repeat(32);
    let show = |content: &str| format!("/api/v1/records/{content}");
    let denied = world.get(&show(&content), Some(&clinic.organization)).await;
    let nothing = world.get(&show(&absent), Some(&clinic.organization)).await;
    assert_eq!(denied.code(), "not-permitted", "an organization's card reads no record");
    assert_eq!((denied.status, &denied.body), (nothing.status, &nothing.body), "both answers are one");
    let list = format!("/api/v1/records?patient={}", clinic.ada);
    let count = |reply: Value| reply["items"].as_array().map(Vec::len);
    let empty = world.get(&list, Some(&clinic.organization)).await.json();
    assert_eq!(count(empty), Some(0), "nor does its list show any");
    for token in [&clinic.physician, &clinic.patient] {
        let list = world.get(&list, Some(token)).await.json();
        assert_eq!(count(list), Some(1), "who may read sees it");
        assert_eq!(world.get(&show(&content), Some(token)).await.status, StatusCode::OK, "and what it is");
    }
    let why = format!("/api/v1/why?record={content}&person={}", clinic.person);
    let why = world.get(&why, Some(&clinic.patient)).await.json();
    assert_eq!((&why["permitted"], &why["rule"]), (&json!(true), &json!("author-organization")), "{why}");
    clinic.world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_patient_grants_and_withdraws() {
    let clinic = Clinic::open().await;
    let world = &clinic.world;
    let grant = json!({
        "grantee": { "person": clinic.person }, "categories": ["laboratory", "medication"],
        "rights": ["read"], "until": "2100-01-01T00:00:00Z",
    });
    let refused = world.post("/api/v1/grants", Some(&clinic.physician), &grant).await;
    assert_eq!(refused.code(), "not-permitted", "nobody grants for the patient");
    let made = world.act("/api/v1/grants", &clinic.patient, &grant).await;
    let id = made["grant"].as_str().expect("a content id").to_owned();
    let of = |list: &Value| list["items"][0].clone();
    let held = of(&world.get("/api/v1/grants", Some(&clinic.physician)).await.json());
    assert_eq!((&held["content"], &held["withdrawn"]), (&json!(id), &json!(false)), "the physician holds it");
    assert_eq!(held["rights"], json!(["read"]), "with its right: {held}");
    let revoke = format!("/api/v1/grants/{id}/revoke");
    let refused = world.post(&revoke, Some(&clinic.physician), &json!({})).await;
    assert_eq!(refused.code(), "not-permitted", "nobody withdraws for the patient");
    world.act(&revoke, &clinic.patient, &json!({})).await;
    let gone = of(&world.get("/api/v1/grants", Some(&clinic.patient)).await.json());
    assert_eq!(gone["withdrawn"], true, "and it is withdrawn at once: {gone}");
    clinic.world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_administers_enrols() {
    let clinic = Clinic::open().await;
    let world = &clinic.world;
    let role = json!({ "name": "nurse", "rights": ["read"] });
    for token in [&clinic.physician, &clinic.patient] {
        let refused = world.post("/api/v1/roles", Some(token), &role).await;
        assert_eq!(refused.code(), "not-permitted", "neither physician nor patient defines roles");
        let patient = json!({
            "card": "ab".repeat(16), "identity": { "family": "X", "given": [], "birth_date": "2000-01-01" },
        });
        let refused = world.post("/api/v1/patients", Some(token), &patient).await;
        assert_eq!(refused.code(), "not-permitted", "nor enrols patients");
    }
    world.act("/api/v1/roles", &clinic.organization, &role).await;
    world.wait_for("/api/v1/roles", &clinic.organization, |r| r["name"] == "nurse").await;
    let find = "/api/v1/patients?family=LOVELACE";
    let found = world.get(find, Some(&clinic.physician)).await.json();
    assert_eq!(
        found["items"][0]["patient"],
        clinic.ada.as_str(),
        "its people find the patient by name: {found}"
    );
    let refused = world.get(find, Some(&clinic.patient)).await;
    assert_eq!(refused.code(), "not-permitted", "patients search for nobody");
    clinic.world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_sent_twice_is_one_record() {
    let clinic = Clinic::open().await;
    let (world, path) = (&clinic.world, clinic.upload_path());
    let first = world.upload(&path, &clinic.physician, b"Hb 140 g/l", Some("u-1")).await;
    let again = world.upload(&path, &clinic.physician, b"Hb 140 g/l", Some("u-1")).await;
    assert_eq!(first.status, StatusCode::CREATED, "a tap begins: {:?}", first.body);
    assert_eq!(first.json()["id"], again.json()["id"], "and is the same tap the second time");
    let other = world.upload(&path, &clinic.physician, b"Hb 150 g/l", Some("u-1")).await;
    assert_eq!(other.code(), "idempotency-key-reused", "another file under the key is refused");
    world.tap(&first).await;
    let list =
        world.get(&format!("/api/v1/records?patient={}", clinic.ada), Some(&clinic.patient)).await.json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "one record is filed: {list}");
    clinic.world.stop().await;
}
