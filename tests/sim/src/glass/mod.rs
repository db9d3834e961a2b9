//! Break-glass in the simulator: committees and their ceremonies, escrows, requests, approvals, openings, the way back to a
//! new card, each at a desk of its own and over the same lines as all else.
//!
//! An act that can't be done yet is left out and comes again in the plan; what was signed is kept here as the truth that
//! `watch` judges by. Guardians are the practitioners of the first organizations.

mod alone;
mod committees;
mod escrows;
mod liars;
mod open;
mod recover;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use hospes_breakglass::threshold::Purpose;
use hospes_protocol::context::Context;
use hospes_protocol::control::{FULL_COMMITTEE, LEDGER_COMMITTEE, SUMMARY_COMMITTEE};
use hospes_protocol::emergency::{Approval, ApprovalStatement, CloseEntry, Reason, RequestEntry, Tier};
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::ContentId;
use hospes_protocol::keys::{AgreementKey, KeyAgreement, Signer, SoftwareAgreement};
use hospes_protocol::personal::SubjectKey;
use hospes_protocol::seal::envelope::seal_to;
use hospes_protocol::sign1::sign1;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::emergency::Basis;
use hospes_service::filing::FileError;
use hospes_service::service::Service;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use self::recover::Notice;
use crate::acts::Draft;
use crate::dice::Dice;
use crate::plan::Lie;
use crate::world::World;

/// The place of emergency summaries in the list of categories.
pub(crate) const SUMMARY: usize = 2;
/// The committees of a federation, with how many guardians each needs; none for the validators'.
const COMMITTEES: [(&str, Option<u64>); 3] =
    [(LEDGER_COMMITTEE, None), (SUMMARY_COMMITTEE, Some(2)), (FULL_COMMITTEE, Some(3))];

/// A request and what people did with it.
pub(crate) struct Emergency {
    pub(crate) id: ContentId,
    /// The requester's organization.
    pub(crate) by: usize,
    pub(crate) patient: usize,
    pub(crate) tier: Tier,
    /// Exclusive, in milliseconds since 1970 UTC.
    pub(crate) until: u64,
    pub(crate) request: RequestEntry,
    /// Guardians whose cards approved, whatever their nodes said.
    pub(crate) tapped: BTreeSet<usize>,
    /// Those of them whose nodes took it.
    pub(crate) taken: BTreeSet<usize>,
    /// Whether the patient's card, in the reader, released it, and whether the node took that.
    presented: Option<bool>,
    /// What closed it, if anything.
    pub(crate) closed: Option<ContentId>,
    /// Releases of it that some node has shown.
    pub(crate) releases: BTreeSet<ContentId>,
    pub(crate) opened: bool,
}

/// What people have made of break-glass so far.
#[derive(Default)]
pub(crate) struct Glass {
    /// By their number in the plan.
    pub(crate) emergencies: BTreeMap<usize, Emergency>,
    /// Committees that were set, newest last.
    set: Vec<ContentId>,
    /// What was said in their ceremonies.
    said: BTreeSet<ContentId>,
    /// Patients whose lockers have escrows.
    escrowed: BTreeSet<usize>,
    /// Notices that lost cards are to be replaced, by patient.
    notices: BTreeMap<usize, Notice>,
    /// Guardians who lie in ceremonies.
    liars: BTreeMap<usize, Lie>,
}

/// How a practitioner asks.
#[derive(Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) by: usize,
    pub(crate) patient: usize,
    pub(crate) tier: Tier,
    pub(crate) for_ms: u64,
}

impl World {
    pub(crate) fn rng(&self, about: &[u64]) -> ChaCha20Rng {
        let mut parts = vec![self.plan.seed, 60, self.now];
        parts.extend(about);
        ChaCha20Rng::from_seed(Dice::of(&parts).bytes())
    }

    fn service(&self, i: usize) -> Option<&Service> {
        self.nodes[i].service.as_ref()
    }

    /// A practitioner asks for an escrow; first for what the request stands on, where that is not here.
    pub(crate) fn ask_glass(&mut self, nth: usize, ask: Ask) {
        let Ask { by, patient, tier, .. } = ask;
        if self.glass.emergencies.contains_key(&nth) || !self.is_open(by) {
            return;
        }
        let id = self.people.patients[patient].id;
        let basis = self.service(by).and_then(|s| s.escrow_of(&id, tier).ok().flatten());
        match basis {
            Some(basis) => self.file_request(nth, ask, &basis, None),
            None => self.find_patient(by, patient),
        }
    }

    fn find_patient(&mut self, by: usize, p: usize) {
        let network = self.genesis.network();
        let said = (self.nodes[by].id, self.local(by)).encode();
        let mut card = self.people.organizations[by].practitioner.authentication();
        let Ok(authorization) = sign1(&mut card, Context::Session, &network, &said) else { return };
        let key = self.people.patients[p].card.authentication().verifying_key().id();
        self.input(by, |s| {
            s.find_by_card(key, &authorization);
            Ok(())
        });
    }

    /// Files a request; one for the way back stands on its notice, and is sealed to a key that it brings.
    fn file_request(&mut self, nth: usize, ask: Ask, basis: &Basis, back: Option<(ContentId, AgreementKey)>) {
        let Ask { by, patient, tier, for_ms } = ask;
        let Some(mut request) = self.request_entry(ask, basis) else { return };
        let mut on = vec![request.enrolment, request.card, request.locker];
        if let Some((notice, opener)) = back {
            on.push(notice);
            (request.opener, request.sealed_opener) = (opener, Bytes::default());
            request.reason = Reason::CardUnusable;
        }
        let content = self.draft(by, Kind::BreakGlassRequest, &on, &request);
        let (id, until) = (content.id(), request.until);
        let signer = self.people.organizations[by].practitioner.signer();
        // It may be there although the node never said so.
        let emergency = Emergency {
            id,
            by,
            patient,
            tier,
            until,
            request,
            tapped: BTreeSet::new(),
            taken: BTreeSet::new(),
            presented: None,
            closed: None,
            releases: BTreeSet::new(),
            opened: false,
        };
        self.glass.emergencies.insert(nth, emergency);
        if self.tap(by, Some(patient), vec![Draft::by(content, vec![signer])]).is_some() {
            self.coverage.requests += 1;
            self.tell(format!("emergency {nth}: {by} asks for {tier:?} of patient {patient}, {for_ms} ms"));
        }
    }

    fn request_entry(&self, ask: Ask, basis: &Basis) -> Option<RequestEntry> {
        let (by, network) = (ask.by, self.genesis.network());
        let (service, organization) = (self.service(by)?, &self.people.organizations[by]);
        let mut rng = self.rng(&[2, by as u64]);
        let secret = self.opener(ask.patient, by);
        let k = self.people.patients[ask.patient].secret.k(&organization.id);
        let node = self.nodes[by].secrets.agreement_key();
        let subject_keys = match service.subject_key(&basis.patient).ok()? {
            Some(_) => Vec::new(),
            None => {
                let sealed = seal_to(&node, Context::PatientKey, &network, k.as_bytes(), &mut rng).ok()?;
                vec![SubjectKey { node: self.nodes[by].id, sealed: Bytes(sealed) }]
            }
        };
        let card = organization.practitioner.agreement().agreement_key();
        let holder = |of: &ContentId| service.key_since(of).ok().flatten();
        Some(RequestEntry {
            patient: basis.patient,
            requester: organization.person?,
            organization: organization.id,
            tier: ask.tier,
            enrolment: basis.enrolment,
            card: basis.card,
            locker: basis.locker,
            guardians: holder(&basis.escrow.guardians)?.committee,
            ledger: holder(&basis.escrow.ledger)?.committee,
            label: basis.escrow.label(network, &basis.card_key, &basis.home),
            reason: Reason::Unconscious,
            text: String::new(),
            until: self.local(by).max(service.now()) + ask.for_ms,
            after: (service.state().height, service.state().block),
            opener: SoftwareAgreement::from_secret(&secret).agreement_key(),
            sealed_opener: Bytes(seal_to(&card, Context::Opener, &network, &secret, &mut rng).ok()?),
            subject_keys,
            patient_key: None,
        })
    }

    fn opener(&self, p: usize, by: usize) -> [u8; 32] {
        Dice::of(&[self.plan.seed, 62, p as u64, by as u64, self.now]).bytes()
    }

    /// A guardian approves at the own desk, once the request is there.
    pub(crate) fn approve_glass(&mut self, nth: usize, guardian: usize) {
        let Some(emergency) = self.glass.emergencies.get(&nth) else { return };
        let id = emergency.id;
        if emergency.taken.contains(&guardian) || !self.is_open(guardian) {
            return;
        }
        let Some((approval, opening)) = self.approval(guardian, nth) else { return };
        let now = self.local(guardian);
        let Some(service) = self.nodes[guardian].service.as_mut() else { return };
        service.tick(now);
        let done = service.approve(id, &approval, opening);
        // The card has signed, and the node may have kept it, whatever it said.
        let Some(emergency) = self.glass.emergencies.get_mut(&nth) else { return };
        emergency.tapped.insert(guardian);
        match done {
            Ok(()) => {
                emergency.taken.insert(guardian);
                self.tell(format!("guardian {guardian} approves emergency {nth}"));
            }
            Err(FileError::Fatal(fatal)) => return self.fatal(guardian, &fatal),
            Err(why) => {
                self.coverage.glass_refusals += 1;
                self.tell(format!("guardian {guardian} can't approve emergency {nth}: {why}"));
            }
        }
        self.effects(guardian);
        self.watch_step(guardian);
    }

    fn approval(&self, guardian: usize, nth: usize) -> Option<(Approval, Vec<u8>)> {
        let (network, emergency) = (self.genesis.network(), self.glass.emergencies.get(&nth)?);
        let (request, id) = (&emergency.request, emergency.id);
        self.service(guardian)?.emergency(&id).ok()??;
        let share = self.guardian_share(guardian, &request.guardians)?;
        let organization = &self.people.organizations[guardian];
        let said = ApprovalStatement { request: id, text: [1; 32], language: "en".into() };
        let mut card = organization.practitioner.signer();
        let signed = sign1(&mut card, Context::Approval, &network, &said.encode()).ok()?;
        let release = share.sign(Purpose::Release, &request.release(network, id).encode());
        let opening = share.sign(Purpose::Opening, &request.label.opening()).encode();
        let mut rng = self.rng(&[3, guardian as u64]);
        let opening = seal_to(&request.opener, Context::OpeningShare, &network, &opening, &mut rng).ok()?;
        let (person, index) = (organization.person?, u64::from(share.index().get()));
        let share = release.signature.to_bytes();
        Some((Approval { person, index, signed: Bytes(signed), share }, opening))
    }

    /// The requester closes what was released.
    pub(crate) fn close_glass(&mut self, nth: usize) {
        let Some(emergency) = self.glass.emergencies.get(&nth) else { return };
        let (id, by, p) = (emergency.id, emergency.by, emergency.patient);
        let Some(person) = self.people.organizations[by].person else { return };
        if emergency.closed.is_some() || !self.is_open(by) {
            return;
        }
        let known = self.service(by).and_then(|s| s.emergency(&id).ok().flatten());
        let Some((release, ..)) = known.and_then(|known| known.release) else { return };
        let entry = CloseEntry {
            patient: self.people.patients[p].id,
            release,
            person,
            organization: self.people.organizations[by].id,
            wrong_patient: false,
        };
        let content = self.draft(by, Kind::Close, &[release], &entry);
        let close = content.id();
        let signer = self.people.organizations[by].practitioner.signer();
        if self.tap(by, Some(p), vec![Draft::by(content, vec![signer])]).is_some() {
            if let Some(emergency) = self.glass.emergencies.get_mut(&nth) {
                emergency.closed = Some(close);
            }
            self.tell(format!("{by} closes emergency {nth}"));
        }
    }
}
