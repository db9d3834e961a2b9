//! Who files in the benches: a hospital's practitioner, who writes records of a patient of that hospital.
//!
//! Everything of a tap is signed once, as at a desk. Where nothing else is said all records name one stored blob: sealing
//! blobs is the bench of ingest.

use hospes_protocol::control::{PolicyEntry, PractitionerEntry, Standing};
use hospes_protocol::entry::{Content, FORMAT, Kind};
use hospes_protocol::ids::{NetworkId, ObjectId, OrganizationId, PatientId, PersonId, RecordId};
use hospes_protocol::keys::{
    AgreementKey, KeyAgreement, Signer, SoftwareAgreement, SoftwareSigner, VerifyingKey,
};
use hospes_protocol::limits::SEGMENT_BYTES;
use hospes_protocol::patient::{PatientKey, PatientSecret};
use hospes_protocol::personal::{Author, Category, Label, PatientEntry, RecordEntry};
use hospes_protocol::seal::blob::{DataKey, Sealer};
use hospes_protocol::seal::layout::Layout;
use hospes_protocol::seal::manifest::ManifestBuilder;
use hospes_protocol::tap::{Body, sign_tap};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::effects::Event;
use hospes_service::filing::Filing;
use hospes_storage::{BlobWriter, Objects};
use tokio::sync::broadcast;
use zeroize::Zeroizing;

use super::commit::wait_final;
use super::row::{Failed, failed};
use super::world::{World, card};
use crate::runtime::Running;

/// The practitioner and the patient of one hospital.
pub(super) struct Ward {
    network: NetworkId,
    organization: OrganizationId,
    seed: u8,
    author: PersonId,
    patient: PatientId,
    key: PatientKey,
    blob: Blob,
    filed: u64,
}

/// What a record is about.
#[derive(Clone, Copy)]
pub(super) struct Blob {
    record: RecordId,
    manifest: ObjectId,
    size: u64,
}

/// What the keys of node `i`'s people are made from.
fn seed(i: u8) -> u8 {
    130 + 2 * i
}

/// Files what stands in the block itself.
async fn file_control(node: &Running, filings: Vec<Filing>) -> Result<(), Failed> {
    for filing in filings {
        file(node, Filing { key: None, ..filing }).await?;
    }
    Ok(())
}

/// Files at a node and waits until it is final there.
async fn file(node: &Running, filing: Filing) -> Result<(), Failed> {
    let mut events: broadcast::Receiver<Event> = node.events.subscribe();
    node.service.call(move |s| s.file(vec![filing])).await.map_err(failed)?.map_err(failed)?;
    wait_final(&mut events, 1).await
}

impl Blob {
    /// Seals so many bytes and stores them.
    pub(super) fn store(objects: &dyn Objects, record: RecordId, size: u64) -> Result<Self, Failed> {
        let (mut writer, mut manifest) = (BlobWriter::new(objects), ManifestBuilder::new(record));
        let key = DataKey::from_bytes(Zeroizing::new([7; 32]));
        let (mut sealer, layout) = (Sealer::new(&key, record), Layout::of_size(size).map_err(failed)?);
        for index in 0..layout.segments() {
            let mut bytes = Vec::with_capacity(SEGMENT_BYTES);
            bytes.resize(layout.plain_bytes(index), 0x5a);
            sealer.seal_segment(&mut bytes, layout.is_last(index)).map_err(failed)?;
            let sealed = bytes.len();
            let id = writer.push(bytes).map_err(failed)?;
            if let Some(page) = manifest.push(id, sealed, layout.is_last(index)).map_err(failed)? {
                writer.push_structured(None, page.bytes).map_err(failed)?;
            }
        }
        let end = manifest.finish().map_err(failed)?;
        let manifest = end.root.id;
        for object in end.page.into_iter().chain([end.root]) {
            writer.push_structured(None, object.bytes).map_err(failed)?;
        }
        writer.finish().map_err(failed)?;
        Ok(Self { record, manifest, size })
    }
}

/// The keys of a practitioner's card.
pub(super) struct CardKeys {
    pub(super) authentication: VerifyingKey,
    pub(super) signature: VerifyingKey,
    pub(super) agreement: AgreementKey,
}

impl CardKeys {
    fn of_seed(seed: u8) -> Self {
        Self {
            authentication: SoftwareSigner::from_seed(&[seed + 1; 32]).verifying_key(),
            signature: SoftwareSigner::from_seed(&[seed; 32]).verifying_key(),
            agreement: SoftwareAgreement::from_secret(&[seed; 32]).agreement_key(),
        }
    }
}

fn practitioner(organization: OrganizationId, seed: u8, keys: CardKeys) -> PractitionerEntry {
    PractitionerEntry {
        person: None,
        organization,
        register_number: format!("R{seed}"),
        roles: Vec::new(),
        authentication: keys.authentication,
        signature: keys.signature,
        agreement: keys.agreement,
        attestation: [1; 32],
        standing: Standing::Active,
    }
}

impl Ward {
    /// Enrols both at the hospital of node `i`.
    pub(super) async fn open(world: &World, i: u8) -> Result<Self, Failed> {
        let seed = seed(i);
        Self::enrol(world, i, CardKeys::of_seed(seed), &mut SoftwareSigner::from_seed(&[seed; 32])).await
    }

    /// The same with a practitioner whose card has these keys and signs by `signer`.
    pub(super) async fn enrol(
        world: &World,
        i: u8,
        keys: CardKeys,
        signer: &mut (dyn Signer + Send),
    ) -> Result<Self, Failed> {
        let node = &world.nodes[usize::from(i)];
        let (organization, seed) = (node.organization, seed(i));
        let secret = PatientSecret::from_bytes(Zeroizing::new([seed; 32]));
        let mut ward = Self {
            network: world.genesis.network(),
            organization,
            seed,
            author: PersonId([0; 32]),
            patient: PatientId([seed; 32]),
            key: secret.k(&organization),
            blob: Blob::store(&*node.objects, RecordId([7; 32]), 14)?,
            filed: 0,
        };
        let content = ward.content(Kind::Practitioner, &practitioner(organization, seed, keys));
        ward.author = PersonId(content.id().0);
        let enrolment = ward.signed(&mut [&mut card(i), signer], vec![content])?;
        file_control(node, enrolment).await?;
        let home = PatientEntry {
            patient: ward.patient,
            home: organization,
            language: "en".into(),
            sealed_identity: Bytes(vec![1]),
            subject_keys: Vec::new(),
        };
        let content = ward.content(Kind::Patient, &home);
        for enrolment in ward.signed(&mut [&mut card(i)], vec![content])? {
            file(node, enrolment).await?;
        }
        Ok(ward)
    }

    /// The hospital of node `i` names another as its backup partner.
    pub(super) async fn back_up_to(
        &mut self,
        world: &World,
        i: u8,
        partner: OrganizationId,
    ) -> Result<(), Failed> {
        let organization = Some(self.organization);
        let backup_partners = vec![partner];
        let policy = PolicyEntry { organization, fields: None, backup_partners, tier_zero: true };
        let content = self.content(Kind::Policy, &policy);
        let filings = self.signed(&mut [&mut card(i)], vec![content])?;
        file_control(&world.nodes[usize::from(i)], filings).await
    }

    /// The practitioner.
    pub(super) fn author(&self) -> PersonId {
        self.author
    }

    fn content(&mut self, kind: Kind, payload: &impl Wire) -> Content {
        self.filed += 1;
        let mut salt = [0; 32];
        salt[..8].copy_from_slice(&self.filed.to_be_bytes());
        Content {
            format: FORMAT,
            network: self.network,
            kind: kind.code(),
            organization: self.organization,
            salt,
            lock: None,
            stands_on: Vec::new(),
            payload: Bytes(payload.encode()),
        }
    }

    /// One tap of each signer over all contents.
    fn signed(
        &self,
        signers: &mut [&mut (dyn Signer + Send)],
        contents: Vec<Content>,
    ) -> Result<Vec<Filing>, Failed> {
        let ids: Vec<_> = contents.iter().map(Content::id).collect();
        let mut signatures = vec![Vec::new(); ids.len()];
        for signer in signers {
            let taps = sign_tap(&mut **signer, &self.network, ("bench", "en"), &ids).map_err(failed)?;
            signatures.iter_mut().zip(taps).for_each(|(of, tap)| of.push(tap));
        }
        let filing = |(content, signatures): (Content, _)| Filing {
            body: Body { content: Bytes(content.encode()), signatures }.encode(),
            key: Some(self.key.clone()),
            reveal: Vec::new(),
            packets: Vec::new(),
        };
        Ok(contents.into_iter().zip(signatures).map(filing).collect())
    }

    /// One tap over `n` records.
    pub(super) fn records(&mut self, n: u32) -> Result<Vec<Filing>, Failed> {
        let blobs = vec![self.blob; n as usize];
        self.records_of(&blobs)
    }

    /// One tap over a record of each of these blobs.
    pub(super) fn records_of(&mut self, blobs: &[Blob]) -> Result<Vec<Filing>, Failed> {
        let contents = blobs.iter().map(|blob| self.record(blob)).collect();
        self.signed(&mut [&mut SoftwareSigner::from_seed(&[self.seed; 32])], contents)
    }

    /// A tap of the practitioner's card over one record.
    pub(super) fn record_by(&mut self, signer: &mut (dyn Signer + Send)) -> Result<Vec<Filing>, Failed> {
        let blob = self.blob;
        let content = self.record(&blob);
        self.signed(&mut [signer], vec![content])
    }

    fn record(&mut self, blob: &Blob) -> Content {
        let entry = RecordEntry {
            patient: self.patient,
            author: Author::Practitioner(self.author),
            organization: self.organization,
            category: Category::Laboratory,
            label: Label::Normal,
            record: blob.record,
            manifest: blob.manifest,
            size: blob.size,
            digest: [0; 32],
            media_type: "application/pdf".into(),
            title: "Laboratory report".into(),
            source: "bench".into(),
            created: self.filed,
            keys: Vec::new(),
            amends: None,
            derived_from: None,
        };
        self.content(Kind::Record, &entry)
    }
}
