//! A node of one with a desk: its effects are carried out as far as a network of one needs it, which is timers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hospes_card::soft::{PinCost, SoftCardSpec};
use hospes_card::{CardSerial, HolderKind, HolderLabel, Pin, Puk};
use hospes_protocol::control::{NodeEntry, OrganizationEntry, Standing};
use hospes_protocol::entry::FORMAT;
use hospes_protocol::genesis::{Genesis, default_policy, organization_id};
use hospes_protocol::ids::{ContentId, NetworkId, OrganizationId, PatientId, PersonId};
use hospes_protocol::keys::Signer as _;
use hospes_protocol::patient::Identity as Who;
use hospes_service::effects::{Effect, Timer};
use hospes_service::service::{Identity, Service};
use hospes_storage::{Medium, Objects, Options, Store};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use zeroize::Zeroizing;

use super::super::taps::TapState;
use super::super::{
    AddRecord, CreatePatient, Desk, DeskParts, EnrolPerson, Readers, RoleRequest, Session, TapView,
};
use crate::runtime::actor::{self, Handle, Input, clock_ms};

/// Of every card.
pub(super) const PIN: &str = "271828";
/// How long a state is waited for.
const DEADLINE: Duration = Duration::from_secs(60);

/// The node, its desk and its cards.
pub(super) struct World {
    pub(super) desk: Desk,
    pub(super) objects: Arc<dyn Objects>,
    pub(super) organization: OrganizationId,
    pub(super) organization_card: CardSerial,
    pub(super) network: NetworkId,
    service: Handle,
    readers: Readers,
    folder: tempfile::TempDir,
    rng: ChaCha20Rng,
}

/// Who is signed in.
pub(super) struct Cast {
    pub(super) organization: Arc<Session>,
    pub(super) doctor: Arc<Session>,
    pub(super) doctor_token: String,
    pub(super) person: PersonId,
    pub(super) ada: Arc<Session>,
    pub(super) patient: PatientId,
}

fn make_card(folder: &std::path::Path, name: &str, kind: HolderKind, rng: &mut ChaCha20Rng) -> CardSerial {
    let spec = SoftCardSpec {
        cost: PinCost::cheap_for_tests(),
        holder_label: HolderLabel::new(name),
        ..SoftCardSpec::new(kind)
    };
    let (pin, puk) = (Pin::new(PIN).unwrap(), Puk::new("31415926").unwrap());
    spec.create(&folder.join(format!("{name}.card")), &pin, &puk, rng).unwrap().serial()
}

fn genesis(card: &hospes_card::CardInfo, me: &Identity) -> Genesis {
    let key = card.signature.clone().unwrap();
    let organization = organization_id(key.as_bytes());
    Genesis {
        format: FORMAT,
        name: "one".into(),
        time: clock_ms() - 1000,
        organizations: vec![OrganizationEntry {
            organization,
            name: "City Hospital".into(),
            cards: vec![key],
            agreement: vec![card.key_management.clone().unwrap()],
            accreditation: [1; 32],
            standing: Standing::Active,
        }],
        nodes: vec![NodeEntry {
            key: me.signer.verifying_key(),
            agreement: me.agreement_key(),
            organization,
            emergency: false,
            addresses: Vec::new(),
            expires: u64::MAX,
            standing: Standing::Active,
        }],
        validators: vec![me.node],
        policy: default_policy(),
    }
}

/// Carries out timers; a network of one sends nothing.
async fn pump(service: Handle, mut effects: mpsc::UnboundedReceiver<Effect>) {
    let mut timers: BTreeMap<Timer, u64> = BTreeMap::new();
    loop {
        let next = timers.iter().min_by_key(|(_, at)| **at).map(|(timer, at)| (*timer, *at));
        let wait = next.map_or(3_600_000, |(_, at)| at.saturating_sub(clock_ms()));
        tokio::select! {
            effect = effects.recv() => match effect {
                Some(Effect::SetTimer { timer, at }) => {
                    timers.insert(timer, at);
                }
                Some(Effect::ClearTimer(timer)) => {
                    timers.remove(&timer);
                }
                Some(_) => {}
                None => return,
            },
            () = sleep_until(Instant::now() + Duration::from_millis(wait)) => {
                if let Some((timer, _)) = next {
                    timers.remove(&timer);
                    if service.send(Input::Timer(timer)).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

impl World {
    pub(super) async fn new() -> Self {
        let (folder, mut rng) = (tempfile::tempdir().unwrap(), ChaCha20Rng::seed_from_u64(7));
        let organization_card = make_card(folder.path(), "organization", HolderKind::Organization, &mut rng);
        let readers = Readers::of_folders(&[folder.path()]).unwrap();
        let (_, info) = readers.card(&organization_card).unwrap();
        let organization = organization_id(info.signature.as_ref().unwrap().as_bytes());
        let me = Identity::new(&[50; 32], &[150; 32], organization);
        let (node, genesis) = (me.node, genesis(&info, &me));
        let random = |seed: u64| Box::new(ChaCha20Rng::seed_from_u64(seed));
        let key = Zeroizing::new([9; 32]);
        let store = Arc::new(Store::create(&Medium::memory(), &Options::default(), &key, random(1)).unwrap());
        let objects: Arc<dyn Objects> = store.clone();
        let service = Service::open(clock_ms(), me, &genesis, store, objects.clone()).unwrap();
        let (out, effects) = mpsc::unbounded_channel();
        let (service, _ended) = actor::start(service, out).unwrap();
        tokio::spawn(pump(service.clone(), effects));
        let desk = Desk::new(DeskParts {
            service: service.clone(),
            objects: objects.clone(),
            readers: readers.clone(),
            makers: hospes_card::piv::Roots::default(),
            network: genesis.network(),
            node,
            organization,
        });
        let network = genesis.network();
        Self { desk, objects, organization, organization_card, network, service, readers, folder, rng }
    }

    /// A new card, in the reader.
    pub(super) fn card(&mut self, name: &str, kind: HolderKind) -> CardSerial {
        let serial = make_card(self.folder.path(), name, kind, &mut self.rng);
        self.readers.poll();
        serial
    }

    /// Takes a card out of the reader.
    pub(super) fn pull(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join(format!("{name}.card"))).unwrap();
    }

    /// Takes a card out of the reader and keeps it; its sessions end.
    pub(super) async fn put_away(&self, name: &str) {
        let card = format!("{name}.card");
        std::fs::create_dir_all(self.folder.path().join("drawer")).unwrap();
        std::fs::rename(self.folder.path().join(&card), self.folder.path().join("drawer").join(&card))
            .unwrap();
        self.readers.poll();
    }

    /// Puts a card back into the reader.
    pub(super) async fn put_back(&self, name: &str) {
        let card = format!("{name}.card");
        std::fs::rename(self.folder.path().join("drawer").join(&card), self.folder.path().join(&card))
            .unwrap();
        self.readers.poll();
    }

    /// Takes a card out and puts it back, with one look at the reader in between.
    pub(super) async fn swap_out_and_in(&self, name: &str) {
        let (place, pocket) =
            (self.folder.path().join(format!("{name}.card")), self.folder.path().join("pocket"));
        std::fs::rename(&place, &pocket).unwrap();
        self.readers.poll();
        std::fs::rename(&pocket, &place).unwrap();
        self.readers.poll();
    }

    pub(super) fn now(&self) -> u64 {
        clock_ms()
    }

    pub(super) async fn ask<R: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Service) -> R + Send + 'static,
    ) -> R {
        self.service.call(act).await.unwrap()
    }

    pub(super) async fn wait_until(&self, what: &str, done: impl Fn() -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !done() {
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) async fn wait_for(
        &self,
        what: &str,
        done: impl Fn(&Service) -> bool + Clone + Send + 'static,
    ) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let done = done.clone();
            if self.ask(move |service| done(service)).await {
                return;
            }
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// A tap once nothing more happens to it.
    pub(super) async fn wait_over(&self, id: &str) -> TapView {
        self.wait_until("a tap ends", || self.desk.tap(id).unwrap().state.is_over()).await;
        self.desk.tap(id).unwrap()
    }

    /// Types PINs until the tap is done; gives its result.
    pub(super) async fn finish(&self, tap: TapView) -> serde_json::Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let view = self.desk.tap(&tap.id).unwrap();
            match view.state {
                TapState::Done => return view.result.unwrap(),
                TapState::WaitingPin => {
                    // Between two steps the tap may take none; the next look says where it stands.
                    let _next = self.desk.give_pin(&tap.id, Pin::new(PIN).unwrap()).await;
                }
                state if state.is_over() => panic!("{} ended as {:?}: {:?}", view.kind, state, view.error),
                _ => {}
            }
            assert!(Instant::now() < deadline, "{} did not end", tap.kind);
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Types PINs until the tap is over, however it ends.
    pub(super) async fn pins_until_over(&self, tap: TapView) -> TapView {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let view = self.desk.tap(&tap.id).unwrap();
            match view.state {
                state if state.is_over() => return view,
                TapState::WaitingPin => {
                    // Between two steps the tap may take none; the next look says where it stands.
                    let _next = self.desk.give_pin(&tap.id, Pin::new(PIN).unwrap()).await;
                }
                _ => {}
            }
            assert!(Instant::now() < deadline, "{} did not end", tap.kind);
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Slot 9C of a card that is in.
    pub(super) fn signature_key(&self, serial: CardSerial) -> hospes_protocol::keys::VerifyingKey {
        self.readers.card(&serial).unwrap().1.signature.unwrap()
    }

    /// Slot 9A of a card that is in.
    pub(super) fn card_key(&self, serial: CardSerial) -> hospes_protocol::keys::VerifyingKey {
        self.readers.card(&serial).unwrap().1.authentication.unwrap()
    }

    pub(super) async fn sign_in(&self, serial: CardSerial) -> (String, Arc<Session>) {
        let tap = self.desk.sign_in(serial, None).await.unwrap();
        let token = self.finish(tap).await["token"].as_str().unwrap().to_owned();
        let session = self.desk.session(&token).unwrap();
        (token, session)
    }

    pub(super) fn new_patient(&self, card: CardSerial, family: &str) -> CreatePatient {
        let identity = Who {
            family: family.into(),
            given: vec!["Ada".into()],
            birth_date: "1985-12-10".into(),
            postal_code: "10115".into(),
            national_id: None,
        };
        CreatePatient { card, identity, language: "en".into() }
    }

    /// Organization, practitioner and patient, enrolled and signed in.
    pub(super) async fn cast(&mut self) -> Cast {
        let (_, organization) = self.sign_in(self.organization_card).await;
        let role = RoleRequest {
            name: "physician".into(),
            categories: Vec::new(),
            rights: 7,
            administrator: false,
            attested: true,
        };
        let tap = self.desk.define_role(&organization, role).await.unwrap();
        self.finish(tap).await;
        self.wait_for("the role is final", |s| !s.state().membership.roles.is_empty()).await;
        let card = self.card("doctor", HolderKind::Practitioner);
        let request = EnrolPerson {
            card,
            roles: vec!["physician".into()],
            register_number: "R-1".into(),
            attestation: b"the registry says so".to_vec(),
        };
        let tap = self.desk.enrol_person(&organization, request).await.unwrap();
        let made = self.finish(tap).await;
        let person: PersonId = made["person"].as_str().unwrap().parse().unwrap();
        self.wait_for("the person is final", move |s| {
            let members = &s.state().membership;
            members.people.contains_key(&person) && !members.keys.is_empty()
        })
        .await;
        let (doctor_token, doctor) = self.sign_in(card).await;
        let card = self.card("ada", HolderKind::Patient);
        let tap = self.desk.create_patient(&organization, self.new_patient(card, "Lovelace")).await.unwrap();
        let made = self.finish(tap).await;
        let patient = made["patient"].as_str().unwrap().parse().unwrap();
        let (_, ada) = self.sign_in(card).await;
        Cast { organization, doctor, doctor_token, person, ada, patient }
    }

    /// Files a record.
    pub(super) async fn add(&self, session: &Arc<Session>, request: AddRecord, bytes: &[u8]) -> ContentId {
        let mut upload = self.desk.begin_record(session, request).await.unwrap();
        for part in bytes.chunks(300_000) {
            upload.push(part.to_vec()).await.unwrap();
        }
        let tap = self.desk.finish_record(session, upload).await.unwrap();
        let filed = self.finish(tap).await;
        filed["records"][0]["content"].as_str().unwrap().parse().unwrap()
    }
}
