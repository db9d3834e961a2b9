//! People for the stories: patients with cards, practitioners, records with sealed blobs.
//!
//! Cards are keys in memory; what they sign is what real cards sign.

use hospes_protocol::context::Context;
use hospes_protocol::control::{OrganizationKeyEntry, OrganizationPacket, PractitionerEntry, Standing};
use hospes_protocol::entry::{Content, FORMAT, Kind};
use hospes_protocol::ids::{ContentId, KeyId, Lock, ObjectId, OrganizationId, PatientId, PersonId, RecordId};
use hospes_protocol::keys::{KeyAgreement, Signer, SoftwareAgreement, SoftwareSigner};
use hospes_protocol::patient::PatientSecret;
use hospes_protocol::personal::{
    AccessEntry, After, Anonymity, Author, CardEntry, Category, ErasureEntry, GrantEntry, Grantee, Label,
    LockerEntry, PacketRef, PatientEntry, Purpose, RecordEntry, RevocationEntry, Revoked, Right, Scope,
    SubjectKey,
};
use hospes_protocol::policy::{Act, Actor, Decision, Request};
use hospes_protocol::seal::blob::{DataKey, Sealer};
use hospes_protocol::seal::envelope::seal_to;
use hospes_protocol::seal::locker::fresh_epoch;
use hospes_protocol::seal::manifest::ManifestBuilder;
use hospes_protocol::seal::packet::{Packet, seal_packet};
use hospes_protocol::tap::{Body, sign_tap};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::filing::{FileError, Filed, Filing};
use hospes_service::records::{PacketPlace, organization_packet_writes};
use hospes_storage::{BlobWriter, Objects as _};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use crate::world::World;

pub(crate) fn key(seed: u8) -> SoftwareSigner {
    SoftwareSigner::from_seed(&[seed; 32])
}

pub(crate) fn agreement(seed: u8) -> SoftwareAgreement {
    SoftwareAgreement::from_secret(&[seed; 32])
}

/// A patient with the keys of the card.
pub(crate) struct Patient {
    pub(crate) secret: PatientSecret,
    pub(crate) id: PatientId,
    pub(crate) card: ContentId,
    seed: u8,
    salt: u8,
}

/// A practitioner.
pub(crate) struct Doctor {
    pub(crate) id: PersonId,
    pub(crate) at: usize,
    pub(crate) seed: u8,
}

/// A record and its blob.
pub(crate) struct Record {
    pub(crate) content: ContentId,
    pub(crate) root: ObjectId,
}

/// One entry of a tap.
pub(crate) struct Draft {
    pub(crate) content: Content,
    pub(crate) signers: Vec<SoftwareSigner>,
    pub(crate) reveal: Vec<hospes_protocol::ids::Reveal>,
    pub(crate) packets: Vec<Vec<u8>>,
}

impl World {
    pub(crate) fn organization(&self, i: usize) -> OrganizationId {
        self.nodes[i].organization
    }

    /// Enrols a practitioner of node `i`'s organization.
    pub(crate) fn doctor(&mut self, i: usize, seed: u8) -> Doctor {
        let role = self.role(i, "doctor");
        let role = self.file(i, role);
        assert!(self.run_until(5_000, |w| w.is_final(i, &role)), "the role stands");
        let filed = self.put_doctor(i, None, seed, &format!("R{seed}"));
        let n = self.nodes.len();
        assert!(
            self.run_until(5_000, |w| (0..n).all(|j| w.is_final(j, &filed))),
            "the practitioner is enrolled everywhere"
        );
        Doctor { id: PersonId(filed.content.0), at: i, seed }
    }

    /// Gives a doctor another card, by the organization's; it counts once it is final.
    pub(crate) fn replace_card(&mut self, doctor: &Doctor, seed: u8) -> (Doctor, Filed) {
        let filed = self.put_doctor(doctor.at, Some(doctor.id), seed, &format!("R{}", doctor.seed));
        (Doctor { id: doctor.id, at: doctor.at, seed }, filed)
    }

    fn put_doctor(&mut self, i: usize, person: Option<PersonId>, seed: u8, number: &str) -> Filed {
        let entry = PractitionerEntry {
            person,
            organization: self.organization(i),
            register_number: number.into(),
            roles: vec!["doctor".into()],
            authentication: key(seed + 1).verifying_key(),
            signature: key(seed).verifying_key(),
            agreement: agreement(seed).agreement_key(),
            attestation: [1; 32],
            standing: Standing::Active,
        };
        let content = self.draft(i, Kind::Practitioner, [seed; 32], &[], &entry);
        let (network, ids) = (self.genesis.network(), [content.id()]);
        let mut signers = [key(10 + u8::try_from(i).unwrap()), key(seed)];
        let sign = |s: &mut SoftwareSigner| sign_tap(s, &network, ("t", "en"), &ids).unwrap();
        let signatures = signers.iter_mut().flat_map(sign).collect();
        let body = Body { content: Bytes(content.encode()), signatures }.encode();
        self.file(i, Filing { body, key: None, reveal: Vec::new(), packets: Vec::new() })
    }

    /// The entry of a further epoch of the key of node `i`'s organization with a packet for the doctor, which
    /// only that node keeps; gives the key's id and the packet.
    pub(crate) fn organization_key(
        &mut self,
        i: usize,
        doctor: &Doctor,
        epoch: u64,
    ) -> (KeyId, Vec<u8>, Filed) {
        let mut rng = ChaCha20Rng::seed_from_u64(epoch);
        let secret = [u8::try_from(epoch).unwrap(); 32];
        let (key, reader) = (SoftwareAgreement::from_secret(&secret).agreement_key(), agreement(doctor.seed));
        let network = self.genesis.network();
        let sealed =
            seal_to(&reader.agreement_key(), Context::OrganizationKey, &network, &secret, &mut rng).unwrap();
        let place = PacketPlace { key: key.id(), epoch, reader: reader.agreement_key().id() };
        let store = self.nodes[i].store.clone().unwrap();
        store.apply(&organization_packet_writes(&place, &sealed)).unwrap();
        let packet = OrganizationPacket { reader: place.reader, packet: ObjectId::of_structured(&sealed) };
        let organization = self.organization(i);
        let id = key.id();
        let entry = OrganizationKeyEntry { organization, epoch, key, packets: vec![packet] };
        let filing = self.control(i, Kind::OrganizationKey, &entry, &[i]);
        (id, sealed, self.file(i, filing))
    }

    pub(crate) fn draft(
        &self,
        i: usize,
        kind: Kind,
        salt: [u8; 32],
        stands_on: &[ContentId],
        payload: &impl Wire,
    ) -> Content {
        let mut stands_on = stands_on.to_vec();
        stands_on.sort_unstable();
        Content {
            format: FORMAT,
            network: self.genesis.network(),
            kind: kind.code(),
            organization: self.organization(i),
            salt,
            lock: None,
            stands_on,
            payload: Bytes(payload.encode()),
        }
    }

    /// Files what one tap signed, as a batch, at node `i`.
    pub(crate) fn tap(&mut self, i: usize, patient: &Patient, drafts: Vec<Draft>) -> Vec<Filed> {
        self.try_tap(i, patient, drafts).unwrap()
    }

    fn try_tap(&mut self, i: usize, patient: &Patient, drafts: Vec<Draft>) -> Result<Vec<Filed>, FileError> {
        let network = self.genesis.network();
        let k = patient.secret.k(&self.organization(i));
        let filings = drafts.into_iter().map(|mut draft| {
            let ids = [draft.content.id()];
            let sign = |s: &mut SoftwareSigner| sign_tap(s, &network, ("t", "en"), &ids).unwrap();
            let signatures = draft.signers.iter_mut().flat_map(sign).collect();
            let body = Body { content: Bytes(draft.content.encode()), signatures }.encode();
            Filing { body, key: Some(k.clone()), reveal: draft.reveal, packets: draft.packets }
        });
        let filings: Vec<_> = filings.collect();
        let now = self.now;
        let service = self.nodes[i].service.as_mut().unwrap();
        service.tick(now);
        let filed = service.file(filings);
        self.effects(i);
        filed
    }

    /// Enrols a patient at node `i`.
    pub(crate) fn patient(&mut self, i: usize, seed: u8) -> Patient {
        self.try_patient(i, seed).unwrap()
    }

    /// Enrols a patient at node `i`, or is refused.
    pub(crate) fn try_patient(&mut self, i: usize, seed: u8) -> Result<Patient, FileError> {
        let secret = PatientSecret::from_bytes(zeroize::Zeroizing::new([seed; 32]));
        let id = PatientId([seed; 32]);
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(seed));
        let node = self.nodes[i].service.as_ref().unwrap().state().membership.nodes[&self.id(i)].clone();
        let k = secret.k(&self.organization(i));
        let sealed =
            seal_to(&node.agreement, Context::PatientKey, &self.genesis.network(), k.as_bytes(), &mut rng);
        let entry = PatientEntry {
            patient: id,
            home: self.organization(i),
            language: "en".into(),
            sealed_identity: Bytes(vec![1]),
            subject_keys: vec![SubjectKey { node: self.id(i), sealed: Bytes(sealed.unwrap()) }],
        };
        let enrolled = self.draft(i, Kind::Patient, [seed; 32], &[], &entry);
        let card = CardEntry {
            patient: id,
            signature: key(seed).verifying_key(),
            authentication: key(seed + 1).verifying_key(),
            agreement: agreement(seed).agreement_key(),
            presence: key(seed + 2).verifying_key(),
            recovery: agreement(seed + 1).agreement_key(),
            attested: false,
            generation: 1,
        };
        let mut content = self.draft(i, Kind::Card, [seed + 1; 32], &[enrolled.id()], &card);
        content.lock = Some(secret.lock_key().reveal(&[seed + 1; 32]).lock());
        let patient = Patient { secret, id, card: content.id(), seed, salt: seed };
        let by_home = |content| Draft {
            content,
            signers: vec![key(10 + u8::try_from(i).unwrap())],
            reveal: Vec::new(),
            packets: Vec::new(),
        };
        self.try_tap(i, &patient, vec![by_home(enrolled), by_home(content)])?;
        Ok(patient)
    }

    /// The doctor files a record of `size` plain bytes.
    pub(crate) fn record(
        &mut self,
        doctor: &Doctor,
        patient: &mut Patient,
        category: Category,
        size: usize,
    ) -> Record {
        self.try_record(doctor, patient, category, size).unwrap()
    }

    /// The same, where it may be refused.
    pub(crate) fn try_record(
        &mut self,
        doctor: &Doctor,
        patient: &mut Patient,
        category: Category,
        size: usize,
    ) -> Result<Record, FileError> {
        let i = doctor.at;
        let salt = patient.salt();
        let record = RecordId(salt);
        let store = self.nodes[i].store.clone().unwrap();
        let mut writer = BlobWriter::new(&*store);
        let mut sealer = Sealer::new(&DataKey::from_bytes(zeroize::Zeroizing::new([salt[0]; 32])), record);
        let mut manifest = ManifestBuilder::new(record);
        let plain = vec![salt[0]; size];
        let mut chunks = plain.chunks(hospes_protocol::seal::layout::SEGMENT_PLAIN_BYTES).peekable();
        while let Some(chunk) = chunks.next() {
            let (mut bytes, last) = (chunk.to_vec(), chunks.peek().is_none());
            sealer.seal_segment(&mut bytes, last).unwrap();
            let (id, length) = (ObjectId::of_segment(&bytes), bytes.len());
            writer.push(bytes).unwrap();
            assert!(manifest.push(id, length, last).unwrap().is_none(), "one page is enough");
        }
        let end = manifest.finish().unwrap();
        for object in end.page.into_iter().chain([end.root.clone()]) {
            writer.push_structured(None, object.bytes).unwrap();
        }
        writer.finish().unwrap();
        let entry = RecordEntry {
            patient: patient.id,
            author: Author::Practitioner(doctor.id),
            organization: self.organization(i),
            category,
            label: Label::Normal,
            record,
            manifest: end.root.id,
            size: size as u64,
            digest: [0; 32],
            media_type: "application/pdf".into(),
            title: "t".into(),
            source: "s".into(),
            created: self.now,
            keys: Vec::new(),
            amends: None,
            derived_from: None,
        };
        let content = self.draft(i, Kind::Record, salt, &[], &entry);
        let id = content.id();
        let signers = vec![key(doctor.seed)];
        let draft = Draft { content, signers, reveal: Vec::new(), packets: Vec::new() };
        self.try_tap(i, patient, vec![draft]).map(|_| Record { content: id, root: end.root.id })
    }

    fn after(&self, i: usize) -> After {
        let state = self.nodes[i].service.as_ref().unwrap().state();
        After { height: state.height, block: state.block, revocations: Vec::new() }
    }

    /// A grant to read one category for an hour, for the next tap at node `i`.
    pub(crate) fn grant(
        &self,
        i: usize,
        patient: &mut Patient,
        grantee: Grantee,
        category: Category,
    ) -> Draft {
        self.grant_for(i, patient, (grantee, category), 3_600_000)
    }

    /// The same for so many milliseconds.
    pub(crate) fn grant_for(
        &self,
        i: usize,
        patient: &mut Patient,
        (grantee, category): (Grantee, Category),
        ms: u64,
    ) -> Draft {
        let grant = GrantEntry {
            patient: patient.id,
            by_proxy: None,
            grantee,
            scope: Scope { categories: vec![category], label: Label::Normal, records: Vec::new() },
            rights: Right::Read.code(),
            from: self.now,
            until: self.now + ms,
            purpose: Purpose::Treatment,
            study: None,
            anonymity: Anonymity::AsIs,
            one_time: false,
            two_signatures: false,
            after: self.after(i),
        };
        let salt = patient.salt();
        let mut content = self.draft(i, Kind::Grant, salt, &[patient.card], &grant);
        content.lock = Some(patient.secret.lock_key().reveal(&salt).lock());
        patient.signs(content)
    }

    /// An erasure of these records, or of everything where there are none, by the patient and node `i`'s organization,
    /// under the policy's cooling-off.
    pub(crate) fn erasure(&self, i: usize, patient: &mut Patient, records: &[&Record]) -> Draft {
        let mut records: Vec<_> = records.iter().map(|record| record.content).collect();
        records.sort_unstable();
        let not_before = self.now + self.genesis.policy.cooling_off_ms;
        let erasure = ErasureEntry { patient: patient.id, records, not_before };
        let salt = patient.salt();
        let mut content = self.draft(i, Kind::Erasure, salt, &[patient.card], &erasure);
        content.lock = Some(patient.secret.lock_key().reveal(&salt).lock());
        let mut draft = patient.signs(content);
        draft.signers.push(key(10 + u8::try_from(i).unwrap()));
        draft
    }

    /// The doctor's entry of a reading.
    pub(crate) fn access(&self, doctor: &Doctor, patient: &mut Patient, record: &Record) -> Draft {
        let access = AccessEntry {
            patient: patient.id,
            reader: Some(doctor.id),
            organization: Some(self.organization(doctor.at)),
            record: record.content,
            category: Category::Laboratory,
            right: Right::Read,
            purpose: Purpose::Treatment,
            study: None,
            why: Vec::new(),
            at: self.now,
        };
        let content = self.draft(doctor.at, Kind::Access, patient.salt(), &[], &access);
        Draft { content, signers: vec![key(doctor.seed + 1)], reveal: Vec::new(), packets: Vec::new() }
    }

    /// A revocation of `grant`, with its reveal.
    pub(crate) fn revocation(&self, i: usize, patient: &mut Patient, grant: &Draft) -> Draft {
        let revocation = RevocationEntry {
            patient: patient.id,
            by_proxy: None,
            revoked: Revoked::Entries(vec![grant.content.id()]),
        };
        let content = self.draft(i, Kind::Revocation, patient.salt(), &[patient.card], &revocation);
        let reveal = vec![patient.secret.lock_key().reveal(&grant.content.salt)];
        Draft { reveal, ..patient.signs(content) }
    }

    /// A locker epoch that rests on `grants`, with a packet for the patient and one for each organization.
    pub(crate) fn epoch(&self, i: usize, patient: &mut Patient, epoch: u64, grants: &[&Draft]) -> Draft {
        let mut rng = ChaCha20Rng::seed_from_u64(epoch);
        let (lockers, secrets) = fresh_epoch([(Category::Laboratory, Label::Normal)], epoch, &mut rng);
        let reader = agreement(patient.seed).agreement_key();
        let packet = Packet { patient: patient.id, epoch, secrets };
        let sealed = seal_packet(&reader, &packet, &self.genesis.network(), &mut rng).unwrap();
        let mut rests_on: Vec<_> = grants.iter().map(|g| g.content.id()).collect();
        rests_on.sort_unstable();
        let locker = LockerEntry {
            patient: patient.id,
            epoch,
            lockers,
            rests_on,
            packets: vec![PacketRef {
                reader: reader.id(),
                packet: ObjectId::of_structured(&sealed),
                organization: None,
            }],
            subject_keys: Vec::new(),
            staged: false,
            escrows: Vec::new(),
        };
        let content = self.draft(i, Kind::Locker, patient.salt(), &[patient.card], &locker);
        Draft { packets: vec![sealed], ..patient.signs(content) }
    }

    /// What node `i` decides when the doctor asks to read.
    pub(crate) fn may_read(&self, i: usize, doctor: &Doctor, patient: &Patient, record: &Record) -> Decision {
        self.nodes[i].service.as_ref().unwrap().decide(&Request {
            patient: patient.id,
            actor: Actor::Person(doctor.id),
            act: Act::Read(record.content),
            purpose: Purpose::Treatment,
            code: None,
            access: None,
        })
    }
}

impl Doctor {
    /// The same at another node of the organization.
    pub(crate) fn at_node(&self, i: usize) -> Self {
        Self { id: self.id, at: i, seed: self.seed }
    }

    /// Slot 9D.
    pub(crate) fn agreement(&self) -> SoftwareAgreement {
        agreement(self.seed)
    }
}

impl Patient {
    pub(crate) fn salt(&mut self) -> [u8; 32] {
        self.salt += 3;
        [self.salt; 32]
    }

    pub(crate) fn signs(&self, content: Content) -> Draft {
        Draft { content, signers: vec![key(self.seed)], reveal: Vec::new(), packets: Vec::new() }
    }

    /// Slot 9A.
    pub(crate) fn authentication(&self) -> SoftwareSigner {
        key(self.seed + 1)
    }

    /// Slot 9D.
    pub(crate) fn agreement(&self) -> SoftwareAgreement {
        agreement(self.seed)
    }

    /// The lock of a grant of the patient's.
    pub(crate) fn lock_of(&self, grant: &Draft) -> Lock {
        self.secret.lock_key().reveal(&grant.content.salt).lock()
    }
}
