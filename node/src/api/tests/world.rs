//! One node that is its own network, with its organization's soft card in the reader.

use std::path::PathBuf;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use hospes_card::soft::{PinCost, SoftCardSpec};
use hospes_card::{Card as _, CardInfo, HolderKind, Pin, Puk};
use hospes_protocol::control::{NodeEntry, OrganizationEntry, Standing};
use hospes_protocol::entry::FORMAT;
use hospes_protocol::genesis::{Genesis, default_policy, organization_id};
use hospes_protocol::ids::NodeId;
use hospes_protocol::keys::{KeyAgreement as _, Signer as _, SoftwareAgreement, SoftwareSigner};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;
use zeroize::Zeroizing;

use crate::api::events;
use crate::api::state::{Api, NodeFacts, Parts};
use crate::desk::{Desk, DeskParts, Readers};
use crate::runtime::actor::clock_ms;
use crate::runtime::{Running, Settings, start};

/// The PIN of every card here.
pub(super) const PIN: &str = "123456";
const SIGNING: [u8; 32] = [50; 32];
const AGREEMENT: [u8; 32] = [90; 32];
/// How often a tap is looked at, and how often at most.
const LOOK_MS: u64 = 10;
const LOOKS_MAX: u32 = 6000;

/// A node with a desk and the API over it.
pub(super) struct World {
    router: Router,
    parts: Parts,
    running: Running,
    cards: PathBuf,
    rng: ChaCha20Rng,
    /// The organization's card.
    pub(super) organization: CardInfo,
    _folder: TempDir,
}

/// An answer.
pub(super) struct Reply {
    /// Its status.
    pub(super) status: StatusCode,
    /// Its headers.
    pub(super) headers: HeaderMap,
    /// Its body.
    pub(super) body: Bytes,
}

impl Reply {
    /// The body as JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("an answer in JSON")
    }

    /// The stable code of a refusal.
    pub(super) fn code(&self) -> String {
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        assert_eq!(kind, Some("application/problem+json"), "a refusal is a problem: {:?}", self.body);
        let json = self.json();
        assert!(json["next"].as_str().is_some_and(|n| !n.is_empty()), "a refusal says what to do: {json}");
        json["code"].as_str().expect("a refusal has a code").to_owned()
    }
}

fn genesis(card: &CardInfo, expires: u64) -> Genesis {
    let first = card.signature.clone().expect("a new card has a signature key");
    let organization = organization_id(first.as_bytes());
    let key = SoftwareSigner::from_seed(&SIGNING).verifying_key();
    let node = NodeId(key.id().0);
    let entry = OrganizationEntry {
        organization,
        name: "City Hospital".into(),
        cards: vec![first],
        agreement: card.key_management.iter().cloned().collect(),
        accreditation: [1; 32],
        standing: Standing::Active,
    };
    let node_entry = NodeEntry {
        key,
        agreement: SoftwareAgreement::from_secret(&AGREEMENT).agreement_key(),
        organization,
        emergency: false,
        addresses: Vec::new(),
        expires,
        standing: Standing::Active,
    };
    Genesis {
        format: FORMAT,
        name: "test".into(),
        time: clock_ms(),
        organizations: vec![entry],
        nodes: vec![node_entry],
        validators: vec![node],
        policy: default_policy(),
    }
}

impl World {
    /// A node of one organization, "City Hospital".
    pub(super) async fn start() -> Self {
        Self::start_until(u64::MAX).await
    }

    /// The same with a node whose certificate ends at a time, in milliseconds since 1970.
    pub(super) async fn start_until(expires: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (cards, data) = (folder.path().join("cards"), folder.path().join("data"));
        std::fs::create_dir_all(&cards).expect("a folder for cards");
        std::fs::create_dir_all(&data).expect("a folder for data");
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let organization = make_card(&cards, "organization", HolderKind::Organization, &mut rng);
        let genesis = genesis(&organization, expires);
        let settings = Settings {
            data_dir: data,
            genesis: genesis.clone(),
            organization: genesis.organizations[0].organization,
            signing: Zeroizing::new(SIGNING),
            agreement: Zeroizing::new(AGREEMENT),
            at_rest: Zeroizing::new([3; 32]),
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
            bootstrap: std::collections::BTreeMap::new(),
            cache_mib: 16,
        };
        let running = start(settings).await.expect("the node starts");
        let readers = Readers::of_folders(&[&cards]).expect("the reader opens");
        let parts = parts(&running, readers, genesis);
        let api = Api::new(parts.clone());
        tokio::spawn(events::carry(api.clone(), running.events.subscribe()));
        let router = crate::api::router(api);
        Self { router, parts, running, cards, rng, organization, _folder: folder }
    }

    /// What an API stands on.
    pub(super) fn parts(&self) -> Parts {
        self.parts.clone()
    }

    /// Ends the node.
    pub(super) async fn stop(self) {
        let Self { router, parts, running, _folder, .. } = self;
        drop((router, parts));
        running.stop().await;
    }

    /// Puts a new card into the reader.
    pub(super) async fn new_card(&mut self, name: &str, kind: HolderKind) -> CardInfo {
        let card = make_card(&self.cards, name, kind, &mut self.rng);
        let serial = card.serial.to_string();
        for _ in 0..LOOKS_MAX {
            let cards = self.get("/api/v1/cards", None).await.json();
            if cards.as_array().is_some_and(|all| all.iter().any(|c| c["serial"] == serial.as_str())) {
                return card;
            }
            tokio::time::sleep(std::time::Duration::from_millis(LOOK_MS)).await;
        }
        panic!("the reader saw the new card");
    }

    /// A request without a body.
    pub(super) async fn get(&self, path: &str, token: Option<&str>) -> Reply {
        self.send(request(Method::GET, path, token, Body::empty(), None)).await
    }

    /// A request with JSON.
    pub(super) async fn post(&self, path: &str, token: Option<&str>, json: &Value) -> Reply {
        let body = Body::from(json.to_string());
        self.send(request(Method::POST, path, token, body, Some("application/json"))).await
    }

    /// Any request.
    pub(super) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.expect("the router answers");
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 64 * 1024 * 1024).await.expect("the whole answer");
        Reply { status: parts.status, headers: parts.headers, body }
    }

    /// Gives the PIN at every step of a tap and waits for its end.
    pub(super) async fn tap(&self, begun: &Reply) -> Value {
        assert_eq!(begun.status, StatusCode::CREATED, "a tap begins: {:?}", begun.body);
        let id = begun.json()["id"].as_str().expect("a tap has an id").to_owned();
        for _ in 0..LOOKS_MAX {
            let tap = self.get(&format!("/api/v1/taps/{id}"), None).await.json();
            match tap["state"].as_str() {
                Some("waiting-pin") => {
                    let pin = serde_json::json!({ "pin": PIN });
                    self.post(&format!("/api/v1/taps/{id}/pin"), None, &pin).await;
                }
                Some("waiting-card" | "working") => {
                    tokio::time::sleep(std::time::Duration::from_millis(LOOK_MS)).await;
                }
                _ => return tap,
            }
        }
        panic!("the tap ended");
    }

    /// Begins an act and sees it done; gives its result.
    pub(super) async fn act(&self, path: &str, token: &str, json: &Value) -> Value {
        let begun = self.post(path, Some(token), json).await;
        let tap = self.tap(&begun).await;
        assert_eq!(tap["state"], "done", "{path} is done: {tap}");
        tap["result"].clone()
    }

    /// Looks at a list until it has an entry for which `is_it` holds; gives that entry.
    pub(super) async fn wait_for(&self, path: &str, token: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..LOOKS_MAX {
            let list = self.get(path, Some(token)).await.json();
            if let Some(found) = list["items"].as_array().and_then(|all| all.iter().find(|v| is_it(v))) {
                return found.clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(LOOK_MS)).await;
        }
        panic!("{path} shows what was done");
    }

    /// Sends a file.
    pub(super) async fn upload(&self, path: &str, token: &str, file: &[u8], key: Option<&str>) -> Reply {
        let body = Body::from(file.to_vec());
        let mut request = request(Method::POST, path, Some(token), body, Some("application/octet-stream"));
        if let Some(key) = key {
            let value = axum::http::HeaderValue::from_str(key).expect("a key");
            request.headers_mut().insert("idempotency-key", value);
        }
        self.send(request).await
    }

    /// The answer itself, for one that does not end.
    pub(super) async fn open(&self, request: Request<Body>) -> axum::response::Response {
        self.router.clone().oneshot(request).await.expect("the router answers")
    }

    /// Signs a card in; gives the token.
    pub(super) async fn sign_in(&self, card: &CardInfo) -> String {
        let asked = serde_json::json!({ "card": card.serial.to_string() });
        let begun = self.post("/api/v1/sessions", None, &asked).await;
        let tap = self.tap(&begun).await;
        assert_eq!(tap["state"], "done", "the card signs in: {tap}");
        tap["result"]["token"].as_str().expect("a token").to_owned()
    }
}

/// A request as a program on this machine sends it.
pub(super) fn request(
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Body,
    kind: Option<&str>,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1:7171");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if let Some(kind) = kind {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    request.body(body).expect("a lawful request")
}

fn make_card(folder: &std::path::Path, name: &str, kind: HolderKind, rng: &mut ChaCha20Rng) -> CardInfo {
    let spec = SoftCardSpec { cost: PinCost::cheap_for_tests(), ..SoftCardSpec::new(kind) };
    let (pin, puk) = (Pin::new(PIN).expect("a PIN"), Puk::new("12345678").expect("a PUK"));
    let made = spec.create(&folder.join(format!("{name}.card")), &pin, &puk, rng);
    made.expect("a new card").info().expect("what it says of itself")
}

fn parts(running: &Running, readers: Readers, genesis: Genesis) -> Parts {
    let desk = Desk::new(DeskParts {
        service: running.service.clone(),
        objects: running.objects.clone(),
        readers,
        makers: hospes_card::piv::Roots::default(),
        network: running.network,
        node: running.node,
        organization: running.organization,
    });
    let node = NodeFacts {
        network: running.network,
        node: running.node,
        organization: running.organization,
        peer_id: running.peer_id.to_string(),
        p2p: running.listening.iter().map(ToString::to_string).collect(),
        warnings: Vec::new(),
        damages: crate::runtime::Damages::default(),
    };
    Parts {
        desk,
        service: running.service.clone(),
        objects: running.objects.clone(),
        ledger: running.ledger.clone(),
        genesis,
        node,
    }
}
