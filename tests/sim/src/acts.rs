//! What people do, carried out at their desks: entries signed by cards and filed, records read.
//!
//! An act that makes no sense now (nobody enrolled, no grant to take back, the desk without power) is left
//! out; a refusal by a node is counted, and is not an error.

use hospes_protocol::context::Context;
use hospes_protocol::control::{
    OrganizationEntry, PolicyEntry, PractitionerEntry, RoleEntry, Standing, ValidatorSetEntry,
};
use hospes_protocol::entry::{Content, FORMAT, Kind, is_control};
use hospes_protocol::ids::{ContentId, ObjectId, PersonId, RecordId, Reveal};
use hospes_protocol::keys::{KeyAgreement, Signer, SoftwareSigner};
use hospes_protocol::personal::{
    AccessEntry, After, Anonymity, Author, GrantEntry, Grantee, Label, LockerEntry, PacketRef, PatientEntry,
    Purpose, RecordEntry, RevocationEntry, Right, Scope, SubjectKey,
};
use hospes_protocol::policy::{Act as Asked, Actor, Decision, Request};
use hospes_protocol::seal::blob::{DataKey, Sealer};
use hospes_protocol::seal::envelope::seal_to;
use hospes_protocol::seal::locker::fresh_epoch;
use hospes_protocol::seal::manifest::ManifestBuilder;
use hospes_protocol::seal::packet::{Packet, seal_packet};
use hospes_protocol::tap::{Body, sign_tap};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::filing::{FileError, Filed, Filing};
use hospes_service::service::Service;
use hospes_storage::{BlobWriter, Objects, StoreError};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zeroize::Zeroizing;

use crate::book::Book;
use crate::glass::Ask;
use crate::people::{
    CATEGORIES, Grant, Opened, Record, Reported, Revocation, Revoked, node_entry, organization_entry,
};
use crate::plan::{Act, Taken, To};
use crate::world::World;
use crate::world::node::Off;

/// An entry on its way to a tap.
pub(crate) struct Draft {
    content: Content,
    signers: Vec<SoftwareSigner>,
    reveal: Vec<Reveal>,
    packets: Vec<Vec<u8>>,
}

impl Draft {
    pub(crate) fn by(content: Content, signers: Vec<SoftwareSigner>) -> Self {
        Self { content, signers, reveal: Vec::new(), packets: Vec::new() }
    }

    /// With values that its header shows.
    pub(crate) fn revealing(self, reveal: Vec<Reveal>) -> Self {
        Self { reveal, ..self }
    }

    /// With the sealed packets that its body names.
    pub(crate) fn with(self, packets: Vec<Vec<u8>>) -> Self {
        Self { packets, ..self }
    }
}

impl World {
    /// Carries out an act of the plan.
    pub(crate) fn act(&mut self, number: usize, act: Act) {
        match act {
            Act::Enrol { patient, at } => self.enrol(patient, at),
            Act::Record { patient, category, size } => self.file_record(patient, category, size),
            Act::Grant { patient, to, category, for_ms } => self.grant(patient, to, category, for_ms),
            Act::Revoke { patient, nth, how } => self.revoke(patient, nth, how),
            Act::Suspend { patient } => self.suspend(patient),
            Act::Read { by, nth } => self.read(by, nth),
            Act::Admit { spare } => self.admit_spare(spare),
            Act::Remove { node } => self.remove(node),
            Act::Expel { organization } => self.expel(organization),
            Act::Validators { without } => self.set_validators(without),
            Act::Backup { of, partners } => self.backup(of, partners),
            Act::Role { at } => self.role(at, number),
            Act::Erase { patient } => self.erase(patient),
            Act::Committees => self.set_committees(),
            Act::Ceremonies => self.hold_ceremonies(),
            Act::HandOn { full, without } => self.hand_on_key(full, without),
            Act::Escrows { patient } => self.make_escrows(patient, true),
            Act::Ask { nth, by, patient, tier, for_ms } => {
                self.ask_glass(nth, Ask { by, patient, tier, for_ms });
            }
            Act::Present { nth, forged } => self.present_card(nth, forged),
            Act::Notice { patient, witness } => self.give_notice(patient, witness),
            Act::Contest { patient } => self.contest_notice(patient),
            Act::Recover { nth, patient, thief } => self.ask_way_back(nth, patient, thief),
            Act::Lie { guardian, how } => self.turn_liar(guardian, how),
            Act::Recast { full, without } => self.recast(full, without),
            Act::Approve { nth, guardian } => self.approve_glass(nth, guardian),
            Act::Open { nth } => self.open_glass(nth),
            Act::Close { nth } => self.close_glass(nth),
            Act::Amend { patient, nth } => self.amend(patient, nth),
            Act::Replace { patient } => self.replace_card(patient),
            Act::Consult { by, patient, nth } => self.consult(by, patient, nth),
            Act::Renew { node } => self.renew(node),
            Act::Found { at } => self.found(at),
            Act::Practitioner { at } => self.enrol_practitioner(at),
        }
    }

    /// Whether people can work at a node.
    pub(crate) fn is_open(&self, i: usize) -> bool {
        self.nodes[i].is_running() && self.nodes[i].is_honest()
    }

    /// The node at which an organization's people work now: its first, or a copy of that under the same key, of which
    /// they know nothing.
    fn desk(&self, organization: usize) -> Option<usize> {
        let desk = self.people.organizations[organization].desk.unwrap_or(organization);
        let node = &self.nodes[desk];
        (self.is_open(desk) || node.copied && node.is_running()).then_some(desk)
    }

    pub(crate) fn draft(
        &mut self,
        i: usize,
        kind: Kind,
        stands_on: &[ContentId],
        payload: &impl Wire,
    ) -> Content {
        let mut stands_on = stands_on.to_vec();
        stands_on.sort_unstable();
        Content {
            format: FORMAT,
            network: self.genesis.network(),
            kind: kind.code(),
            organization: self.nodes[i].organization_id,
            salt: self.people.salt(),
            lock: None,
            stands_on,
            payload: Bytes(payload.encode()),
        }
    }

    /// Files what one tap signed, as a batch, at node `i`; null where it was not reported durable.
    pub(crate) fn tap(&mut self, i: usize, patient: Option<usize>, drafts: Vec<Draft>) -> Option<Vec<Filed>> {
        let network = self.genesis.network();
        let k = patient.map(|p| self.people.patients[p].secret.k(&self.nodes[i].organization_id));
        let mut personal = Vec::new();
        if let Some(p) = patient {
            let packets = drafts.iter().flat_map(|draft| &draft.packets);
            let packets: Vec<_> = packets.map(|sealed| ObjectId::of_structured(sealed)).collect();
            self.people.patients[p].packets.extend(packets);
        }
        let filings: Vec<_> = drafts
            .into_iter()
            .map(|mut draft| {
                personal.push(!is_control(draft.content.kind));
                let ids = [draft.content.id()];
                let mut signatures = Vec::new();
                for signer in &mut draft.signers {
                    signatures.extend(sign_tap(signer, &network, ("t", "en"), &ids).unwrap_or_default());
                }
                let body = Body { content: Bytes(draft.content.encode()), signatures }.encode();
                Filing { body, key: k.clone(), reveal: draft.reveal, packets: draft.packets }
            })
            .collect();
        let filed = self.file(i, filings)?;
        for (one, personal) in filed.iter().zip(personal) {
            let (header, content, at) = (one.header, one.content, self.now);
            self.people.reported.push(Reported { node: i, header, content, personal, patient, at });
            self.note_filed(i, header);
            self.coverage.reported += 1;
        }
        Some(filed)
    }

    fn file(&mut self, i: usize, filings: Vec<Filing>) -> Option<Vec<Filed>> {
        let now = self.local(i);
        let begun = self.book.as_ref().map(Book::begin);
        let service = self.nodes[i].service.as_mut()?;
        service.tick(now);
        let filed = service.file(filings);
        self.charge(i, begun);
        match filed {
            Ok(filed) => {
                self.effects(i);
                self.watch_step(i);
                Some(filed)
            }
            Err(FileError::Fatal(fatal)) => {
                self.fatal(i, &fatal);
                None
            }
            Err(why) => {
                self.coverage.refusals += 1;
                self.tell(format!("node {i} refuses: {why}"));
                self.effects(i);
                None
            }
        }
    }

    // ---- practitioners, patients, records ----

    /// Practitioners are enrolled, one at each organization.
    pub(crate) fn enrol_practitioner(&mut self, at: usize) {
        let organization = &self.people.organizations[at];
        let card = &organization.practitioner;
        let entry = PractitionerEntry {
            person: None,
            organization: organization.id,
            register_number: format!("R{at}"),
            roles: Vec::new(),
            authentication: card.authentication().verifying_key(),
            signature: card.signer().verifying_key(),
            agreement: card.agreement().agreement_key(),
            attestation: [1; 32],
            standing: Standing::Active,
        };
        let signers = vec![organization.card.signer(), card.signer()];
        let content = self.draft(at, Kind::Practitioner, &[], &entry);
        let id = content.id();
        if self.tap(at, None, vec![Draft::by(content, signers)]).is_some() {
            self.people.organizations[at].person = Some(PersonId(id.0));
        }
    }

    pub(crate) fn enrol(&mut self, p: usize, at: usize) {
        if self.people.patients[p].home.is_some() || !self.is_open(at) {
            return;
        }
        let mut rng = ChaCha20Rng::seed_from_u64(self.plan.seed ^ p as u64);
        let keys = self.subject_keys(p, &[at], &mut rng);
        let entry = PatientEntry {
            patient: self.people.patients[p].id,
            home: self.people.organizations[at].id,
            language: "en".into(),
            sealed_identity: Bytes(vec![1]),
            subject_keys: keys,
        };
        let enrolled = self.draft(at, Kind::Patient, &[], &entry);
        let patient = &self.people.patients[p];
        let card = patient.card.entry(patient.id);
        let salt = patient.card_salt;
        let lock = patient.secret.lock_key().reveal(&salt).lock();
        let mut content = self.draft(at, Kind::Card, &[enrolled.id()], &card);
        content.salt = salt;
        content.lock = Some(lock);
        let (enrolment, card_entry) = (enrolled.id(), content.id());
        let home = || self.people.organizations[at].card.signer();
        let drafts = vec![Draft::by(enrolled, vec![home()]), Draft::by(content, vec![home()])];
        let done = self.tap(at, Some(p), drafts);
        if done.is_some() {
            self.tell(format!("patient {p} is enrolled at {at}"));
            let patient = &mut self.people.patients[p];
            patient.home = Some(at);
            patient.enrolment = Some(enrolment);
            patient.card_entry = Some(card_entry);
            patient.card_lock = Some(lock);
        }
    }

    fn subject_keys(&self, p: usize, organizations: &[usize], rng: &mut ChaCha20Rng) -> Vec<SubjectKey> {
        let network = self.genesis.network();
        let mut keys = Vec::new();
        for node in self.nodes.iter().filter(|n| n.twin_of.is_none()) {
            if organizations.contains(&node.organization) {
                let k = self.people.patients[p].secret.k(&node.organization_id);
                let reader = node.secrets.agreement_key();
                if let Ok(sealed) = seal_to(&reader, Context::PatientKey, &network, k.as_bytes(), rng) {
                    keys.push(SubjectKey { node: node.id, sealed: Bytes(sealed) });
                }
            }
        }
        keys.sort_by_key(|k| k.node);
        keys
    }

    pub(crate) fn file_record(&mut self, p: usize, category: usize, size: usize) {
        self.write_record(p, category, size, None);
    }

    /// Files a record, or an amendment of one.
    pub(crate) fn write_record(&mut self, p: usize, category: usize, size: usize, amends: Option<ContentId>) {
        let Some(at) = self.people.patients[p].home.filter(|_| !self.is_erasing(Some(p))) else { return };
        let Some((desk, person)) = self.desk(at).zip(self.people.organizations[at].person) else { return };
        let salt = self.people.salt();
        let Some((root, objects, segment)) = self.seal_blob(desk, salt, size.max(1)) else { return };
        let entry = RecordEntry {
            patient: self.people.patients[p].id,
            author: Author::Practitioner(person),
            organization: self.people.organizations[at].id,
            category: CATEGORIES[category],
            label: Label::Normal,
            record: RecordId(salt),
            manifest: root,
            size: size.max(1) as u64,
            digest: [0; 32],
            media_type: "application/pdf".into(),
            title: "t".into(),
            source: "s".into(),
            created: self.local(desk),
            keys: Vec::new(),
            amends,
            derived_from: None,
        };
        let kind = if amends.is_some() { Kind::Amendment } else { Kind::Record };
        let content = self.draft(desk, kind, amends.as_slice(), &entry);
        let id = content.id();
        let signers = vec![self.people.organizations[at].practitioner.signer()];
        let number = self.people.records.len();
        // It may be there although the node never said so.
        let (patient, organization) = (p, at);
        self.people.records.push(Record {
            content: id,
            patient,
            organization,
            category,
            root,
            objects,
            segment,
        });
        if self.tap(desk, Some(p), vec![Draft::by(content, signers)]).is_some() {
            self.tell(format!("record {number} of patient {p}, category {category}, is filed at {desk}"));
        }
    }

    /// Seals a file into segments at a node, as an upload does.
    fn seal_blob(
        &mut self,
        i: usize,
        salt: [u8; 32],
        size: usize,
    ) -> Option<(ObjectId, Vec<ObjectId>, Vec<u8>)> {
        let record = RecordId(salt);
        let store = self.nodes[i].store.clone()?;
        let mut writer = BlobWriter::new(&*store);
        let mut sealer = Sealer::new(&DataKey::from_bytes(Zeroizing::new(salt)), record);
        let mut manifest = ManifestBuilder::new(record);
        let (mut ids, mut first) = (Vec::new(), Vec::new());
        let plain = vec![salt[0]; size];
        let mut chunks = plain.chunks(hospes_protocol::seal::layout::SEGMENT_PLAIN_BYTES).peekable();
        let mut written = Ok(());
        while let Some(chunk) = chunks.next() {
            let (mut bytes, last) = (chunk.to_vec(), chunks.peek().is_none());
            sealer.seal_segment(&mut bytes, last).ok()?;
            let (id, length) = (ObjectId::of_segment(&bytes), bytes.len());
            if first.is_empty() {
                first.clone_from(&bytes);
            }
            ids.push(id);
            written = written.and_then(|()| writer.push(bytes).map(drop));
            manifest.push(id, length, last).ok()?;
        }
        let end = manifest.finish().ok()?;
        for object in end.page.into_iter().chain([end.root.clone()]) {
            ids.push(object.id);
            written = written.and_then(|()| writer.push_structured(None, object.bytes).map(drop));
        }
        let written = written.and_then(|()| writer.finish());
        if let Err(error) = written {
            // As the desk: whether the disk is full is the service's to find out.
            match error {
                StoreError::Full => drop(self.input(i, Service::look_for_room)),
                error => self.fatal(i, &error.into()),
            }
            return None;
        }
        Some((end.root.id, ids, first))
    }

    // ---- grants ----

    pub(crate) fn grant(&mut self, p: usize, to: To, category: usize, for_ms: u64) {
        let home = self.people.patients[p].home.filter(|_| !self.is_erasing(Some(p)));
        let Some(at) = home.and_then(|home| self.desk(home)) else { return };
        let Some(card) = self.people.patients[p].card_entry else { return };
        let grantee = match to {
            To::Person(o) => match self.people.organizations[o].person {
                Some(person) => Grantee::Person(person),
                None => return,
            },
            To::Organization(o) => Grantee::Organization(self.people.organizations[o].id),
        };
        let Some(service) = self.nodes[at].service.as_ref() else { return };
        let knew = service.pending_revocations(&self.people.patients[p].id).unwrap_or_default();
        let (height, block) = (service.state().height, service.state().block);
        let from = service.now().max(self.local(at));
        let after = After { height, block, revocations: knew.clone() };
        let entry = GrantEntry {
            patient: self.people.patients[p].id,
            by_proxy: None,
            grantee: grantee.clone(),
            scope: Scope {
                categories: vec![CATEGORIES[category]],
                label: Label::Normal,
                records: Vec::new(),
            },
            rights: Right::Read.code(),
            from,
            until: from + for_ms,
            purpose: Purpose::Treatment,
            study: None,
            anonymity: Anonymity::AsIs,
            one_time: false,
            two_signatures: false,
            after,
        };
        let mut content = self.draft(at, Kind::Grant, &[card], &entry);
        let (salt, patient) = (content.salt, &self.people.patients[p]);
        let lock = patient.secret.lock_key().reveal(&salt).lock();
        content.lock = Some(lock);
        let id = content.id();
        let signer = patient.card.signer();
        let number = self.people.grants.len();
        self.people.grants.push(Grant {
            content: id,
            at,
            patient: p,
            to,
            grantee,
            category,
            from,
            until: from + for_ms,
            after: height,
            knew,
            lock,
            salt,
            card: self.people.patients[p].card_lock,
        });
        let epoch = self.epoch(at, p, card, id, to.organization());
        let drafts = std::iter::once(Draft::by(content, vec![signer])).chain(epoch).collect();
        if self.tap(at, Some(p), drafts).is_some() {
            self.coverage.grants += 1;
            self.tell(format!(
                "grant {number}: patient {p} lets {to:?} read category {category} for {for_ms} ms"
            ));
        }
    }

    /// The epoch of lockers that comes with a grant, with K for the grantee's nodes.
    fn epoch(&mut self, at: usize, p: usize, card: ContentId, grant: ContentId, to: usize) -> Option<Draft> {
        let mut rng = ChaCha20Rng::seed_from_u64(self.plan.seed ^ self.now ^ p as u64);
        self.people.patients[p].epochs += 1;
        let patient = &self.people.patients[p];
        let (lockers, secrets) = fresh_epoch([(CATEGORIES[0], Label::Normal)], patient.epochs, &mut rng);
        let reader = patient.card.agreement().agreement_key();
        let packet = Packet { patient: patient.id, epoch: patient.epochs, secrets };
        let sealed = seal_packet(&reader, &packet, &self.genesis.network(), &mut rng).ok()?;
        let packets = vec![PacketRef {
            reader: reader.id(),
            packet: ObjectId::of_structured(&sealed),
            organization: None,
        }];
        let locker = LockerEntry {
            patient: patient.id,
            epoch: patient.epochs,
            lockers,
            rests_on: vec![grant],
            packets,
            subject_keys: self.subject_keys(p, &[to], &mut rng),
            staged: false,
            escrows: Vec::new(),
        };
        let signer = patient.card.signer();
        let content = self.draft(at, Kind::Locker, &[card], &locker);
        Some(Draft::by(content, vec![signer]).with(vec![sealed]))
    }

    pub(crate) fn revoke(&mut self, p: usize, nth: usize, how: Taken) {
        let Some(at) = self.people.patients[p].home.filter(|at| self.is_open(*at)) else { return };
        let Some(card) = self.people.patients[p].card_entry else { return };
        let own: Vec<usize> =
            (0..self.people.grants.len()).filter(|g| self.people.grants[*g].patient == p).collect();
        let Some(number) = own.get(nth % own.len().max(1)).copied() else { return };
        let grant = &self.people.grants[number];
        let revoked = match how {
            Taken::Named | Taken::NamedWithoutReveal => Revoked::Entry(grant.content),
            Taken::Grantee => Revoked::Grantee(grant.grantee.clone()),
            Taken::Everything => Revoked::Everything,
        };
        let reveal = (how == Taken::Named)
            .then(|| self.people.patients[p].secret.lock_key().reveal(&grant.salt))
            .into_iter()
            .collect();
        let entry = RevocationEntry {
            patient: self.people.patients[p].id,
            by_proxy: None,
            revoked: revoked.to_entry(),
        };
        let content = self.draft(at, Kind::Revocation, &[card], &entry);
        let id = content.id();
        let signer = self.people.patients[p].card.signer();
        let card = self.people.patients[p].card_lock;
        self.people.revocations.push(Revocation { content: id, patient: p, revoked, card });
        let draft = Draft { reveal, ..Draft::by(content, vec![signer]) };
        if self.tap(at, Some(p), vec![draft]).is_some() {
            self.coverage.revocations += 1;
            self.tell(format!("patient {p} takes grant {number} back: {how:?}"));
        }
    }

    // The home knows the reveal of the card: it shows it with an entry that changes nothing.
    pub(crate) fn suspend(&mut self, p: usize) {
        let Some(at) = self.people.patients[p].home.filter(|at| self.is_open(*at)) else { return };
        let reveal = self.people.patients[p].secret.lock_key().reveal(&self.people.patients[p].card_salt);
        self.people.patients[p].suspended = true;
        let draft = self.role_draft(at, "suspends");
        if self.tap(at, None, vec![draft.revealing(vec![reveal])]).is_some() {
            self.coverage.revocations += 1;
            self.tell(format!("the card of patient {p} is suspended at {at}"));
        }
    }

    // ---- reading ----

    pub(crate) fn read(&mut self, by: usize, nth: usize) {
        let number = nth % self.people.records.len().max(1);
        let Some(record) = self.people.records.get(number) else { return };
        let (content, p, root, category) = (record.content, record.patient, record.root, record.category);
        let Some(person) = self.people.organizations[by].person else { return };
        if !self.is_open(by) {
            return;
        }
        let request = self.request(p, person, content);
        let now = self.local(by);
        let Some(service) = self.nodes[by].service.as_mut() else { return };
        service.tick(now);
        let decision = service.decide(&request);
        self.watch_decision(by, number, &decision);
        let Decision::Permit(why) = decision else {
            self.coverage.refusals += 1;
            return self.tell(format!("{by} may not read record {number}: {}", decision.why().rule.code()));
        };
        let Some(Ok(Some(k))) =
            self.nodes[by].service.as_ref().map(|s| s.subject_key(&self.people.patients[p].id))
        else {
            return self.tell(format!("{by} has no key yet for entries of patient {p}"));
        };
        let entry = AccessEntry {
            patient: self.people.patients[p].id,
            reader: Some(person),
            organization: Some(self.people.organizations[by].id),
            record: content,
            category: CATEGORIES[category],
            right: Right::Read,
            purpose: Purpose::Treatment,
            study: None,
            why: why.entries.clone(),
            at: now,
        };
        drop(k);
        let access = self.draft(by, Kind::Access, &[], &entry);
        let id = access.id();
        let signer = self.people.organizations[by].practitioner.authentication();
        if self.tap(by, Some(p), vec![Draft::by(access, vec![signer])]).is_none() {
            return;
        }
        // Decided again before anything is shown, as the desk does.
        let Some(service) = self.nodes[by].service.as_ref() else { return };
        let again = service.decide(&Request { access: Some(id), ..request });
        self.watch_decision(by, number, &again);
        let here = self.nodes[by].store.as_ref().and_then(|s| s.object(&root).ok().flatten());
        if again.is_permitted() && here.is_some() {
            self.coverage.reads += 1;
            self.people.opened.push(Opened { access: id, patient: p, by, node: by });
            self.tell(format!("{by} reads record {number}"));
        }
    }

    /// What a practitioner asks when a record is to be read.
    pub(crate) fn request(&self, p: usize, person: PersonId, record: ContentId) -> Request {
        Request {
            patient: self.people.patients[p].id,
            actor: Actor::Person(person),
            act: Asked::Read(record),
            purpose: Purpose::Treatment,
            code: None,
            access: None,
        }
    }

    // ---- members ----

    fn role_draft(&mut self, at: usize, name: &str) -> Draft {
        let role = RoleEntry {
            organization: self.people.organizations[at].id,
            name: name.into(),
            categories: Vec::new(),
            rights: 7,
            administrator: false,
            attested: false,
        };
        let signer = self.people.organizations[at].card.signer();
        Draft::by(self.draft(at, Kind::Role, &[], &role), vec![signer])
    }

    fn role(&mut self, at: usize, number: usize) {
        if self.is_open(at) {
            let draft = self.role_draft(at, &format!("role {number}"));
            self.tap(at, None, vec![draft]);
        }
    }

    /// A role entry by a hostile node, in its own words.
    pub(crate) fn hostile_role(&mut self, i: usize, name: &str) {
        let at = self.nodes[i].organization;
        let mut draft = self.role_draft(at, name);
        let network = self.genesis.network();
        let ids = [draft.content.id()];
        let signatures = sign_tap(&mut draft.signers[0], &network, ("t", "en"), &ids).unwrap_or_default();
        let body = Body { content: Bytes(draft.content.encode()), signatures }.encode();
        let now = self.local(i);
        let Some(service) = self.nodes[i].service.as_mut() else { return };
        service.tick(now);
        // A hostile node's own refusals are its own affair.
        let _its_own =
            service.file(vec![Filing { body, key: None, reveal: Vec::new(), packets: Vec::new() }]);
        self.effects(i);
    }

    fn admit_spare(&mut self, spare: usize) {
        let place = self.plan.shape.organizations() + spare;
        let at = self.nodes[place].organization;
        if self.nodes[place].off != Off::Unborn || !self.is_open(at) {
            return;
        }
        let id = self.people.organizations[at].id;
        let entry = node_entry(self.plan.seed, place, id, Standing::Active);
        let signer = self.people.organizations[at].card.signer();
        let content = self.draft(at, Kind::Node, &[], &entry);
        if self.tap(at, None, vec![Draft::by(content, vec![signer])]).is_some() {
            self.coverage.changes += 1;
            self.tell(format!("organization {at} admits node {place}"));
            self.start(place);
        }
    }

    fn remove(&mut self, place: usize) {
        let Some(at) = (0..self.plan.shape.validators).find(|at| self.is_open(*at)) else { return };
        let organization = self.nodes[place].organization_id;
        let entry = node_entry(self.plan.seed, place, organization, Standing::Removed);
        let content = self.draft(at, Kind::Node, &[], &entry);
        if self.tap(at, None, vec![Draft::by(content, self.all_cards())]).is_some() {
            self.coverage.changes += 1;
            self.nodes[place].removed_at = Some(self.now);
            self.tell(format!("the organizations remove node {place}"));
        }
    }

    pub(crate) fn all_cards(&self) -> Vec<SoftwareSigner> {
        let founders = self.people.organizations.iter().take(self.plan.shape.founders());
        founders.filter(|o| !o.expelled).map(|o| o.card.signer()).collect()
    }

    fn expel(&mut self, place: usize) {
        let Some(at) = (0..self.plan.shape.validators).find(|at| self.is_open(*at)) else { return };
        let organization = &self.people.organizations[place];
        let entry =
            OrganizationEntry { standing: Standing::Removed, ..organization_entry(place, organization) };
        let content = self.draft(at, Kind::Organization, &[], &entry);
        if self.tap(at, None, vec![Draft::by(content, self.all_cards())]).is_some() {
            self.coverage.changes += 1;
            self.people.organizations[place].expelled = true;
            let now = self.now;
            let theirs = self.nodes.iter_mut().filter(|n| n.organization == place);
            theirs.for_each(|n| n.removed_at = n.removed_at.or(Some(now)));
            self.tell(format!("the organizations remove organization {place}"));
        }
    }

    fn set_validators(&mut self, without: u64) {
        let Some(at) = (0..self.plan.shape.validators).find(|at| self.is_open(*at)) else { return };
        let Some(service) = self.nodes[at].service.as_ref() else { return };
        let members = &service.state().membership;
        let chosen = |i: &usize| {
            let candidate = *i < self.plan.shape.validators || *i >= self.plan.shape.organizations();
            let stays = (without >> i) & 1 == 0 && self.nodes[*i].removed_at.is_none();
            candidate && stays && members.node(&self.nodes[*i].id).is_some()
        };
        let places: Vec<usize> = (0..self.plan.shape.nodes()).filter(chosen).collect();
        // Nobody sets validators of whom too many fail.
        let culprits = self.plan.culprits();
        if places.iter().filter(|i| culprits.contains(i)).count() * 3 >= places.len() {
            return;
        }
        let mut nodes: Vec<_> = places.iter().map(|i| self.nodes[*i].id).collect();
        nodes.sort_unstable();
        let content = self.draft(at, Kind::ValidatorSet, &[], &ValidatorSetEntry { nodes: nodes.clone() });
        if self.tap(at, None, vec![Draft::by(content, self.all_cards())]).is_some() {
            self.coverage.changes += 1;
            self.tell(format!("the organizations set {} validators", nodes.len()));
        }
    }

    fn backup(&mut self, of: usize, mask: u64) {
        let orgs = self.people.organizations.len();
        let partners: Vec<usize> = (0..orgs).filter(|o| (mask >> o) & 1 == 1 && *o != of).collect();
        if !self.is_open(of) {
            return;
        }
        let mut ids: Vec<_> = partners.iter().map(|o| self.people.organizations[*o].id).collect();
        ids.sort_unstable();
        let entry = PolicyEntry {
            organization: Some(self.people.organizations[of].id),
            fields: None,
            backup_partners: ids,
            tier_zero: true,
        };
        let signer = self.people.organizations[of].card.signer();
        let content = self.draft(of, Kind::Policy, &[], &entry);
        // It may be there although the node never said so.
        self.people.organizations[of].partners.extend(&partners);
        if self.tap(of, None, vec![Draft::by(content, vec![signer])]).is_some() {
            self.coverage.changes += 1;
            self.tell(format!("organization {of} names its backup partners: {partners:?}"));
        }
    }
}

impl Revoked {
    fn to_entry(&self) -> hospes_protocol::personal::Revoked {
        use hospes_protocol::personal::Revoked as Entry;
        match self {
            Self::Entry(id) => Entry::Entries(vec![*id]),
            Self::Grantee(grantee) => Entry::Grantee(grantee.clone()),
            Self::Everything => Entry::Everything,
        }
    }
}
