//! Who files in the benches: a hospital's practitioner, who writes records of a patient of that hospital.
//!
//! Everything of a tap is signed once, as at a desk. All records name one stored blob: sealing blobs is the
//! bench of ingest.

use hospes_protocol::control::{PractitionerEntry, Standing};
use hospes_protocol::entry::{Content, FORMAT, Kind};
use hospes_protocol::ids::{NetworkId, ObjectId, OrganizationId, PatientId, PersonId, RecordId};
use hospes_protocol::keys::{KeyAgreement, Signer, SoftwareAgreement, SoftwareSigner};
use hospes_protocol::patient::{PatientKey, PatientSecret};
use hospes_protocol::personal::{Author, Category, Label, PatientEntry, RecordEntry};
use hospes_protocol::seal::blob::{DataKey, Sealer};
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
    blob: (RecordId, ObjectId),
    filed: u64,
}

/// Files at a node and waits until it is final there.
async fn file(node: &Running, filing: Filing) -> Result<(), Failed> {
    let mut events: broadcast::Receiver<Event> = node.events.subscribe();
    node.service.call(move |s| s.file(vec![filing])).await.map_err(failed)?.map_err(failed)?;
    wait_final(&mut events, 1).await
}

fn blob(objects: &dyn Objects) -> Result<(RecordId, ObjectId), Failed> {
    let record = RecordId([7; 32]);
    let (mut writer, mut manifest) = (BlobWriter::new(objects), ManifestBuilder::new(record));
    let mut bytes = b"what was found".to_vec();
    let key = DataKey::from_bytes(Zeroizing::new([7; 32]));
    Sealer::new(&key, record).seal_segment(&mut bytes, true).map_err(failed)?;
    let size = bytes.len();
    let id = writer.push(bytes).map_err(failed)?;
    manifest.push(id, size, true).map_err(failed)?;
    let end = manifest.finish().map_err(failed)?;
    let root = end.root.id;
    for object in end.page.into_iter().chain([end.root]) {
        writer.push_structured(None, object.bytes).map_err(failed)?;
    }
    writer.finish().map_err(failed)?;
    Ok((record, root))
}

fn practitioner(organization: OrganizationId, seed: u8) -> PractitionerEntry {
    PractitionerEntry {
        person: None,
        organization,
        register_number: format!("R{seed}"),
        roles: Vec::new(),
        authentication: SoftwareSigner::from_seed(&[seed + 1; 32]).verifying_key(),
        signature: SoftwareSigner::from_seed(&[seed; 32]).verifying_key(),
        agreement: SoftwareAgreement::from_secret(&[seed; 32]).agreement_key(),
        attestation: [1; 32],
        standing: Standing::Active,
    }
}

impl Ward {
    /// Enrols both at the hospital of node `i`.
    pub(super) async fn open(world: &World, i: u8) -> Result<Self, Failed> {
        let node = &world.nodes[usize::from(i)];
        let (organization, seed) = (node.organization, 130 + 2 * i);
        let secret = PatientSecret::from_bytes(Zeroizing::new([seed; 32]));
        let mut ward = Self {
            network: world.genesis.network(),
            organization,
            seed,
            author: PersonId([0; 32]),
            patient: PatientId([seed; 32]),
            key: secret.k(&organization),
            blob: blob(&*node.objects)?,
            filed: 0,
        };
        let content = ward.content(Kind::Practitioner, &practitioner(organization, seed));
        ward.author = PersonId(content.id().0);
        let mut signers = [card(i), SoftwareSigner::from_seed(&[seed; 32])];
        for enrolment in ward.signed(&mut signers, vec![content])? {
            file(node, Filing { key: None, ..enrolment }).await?;
        }
        let home = PatientEntry {
            patient: ward.patient,
            home: organization,
            language: "en".into(),
            sealed_identity: Bytes(vec![1]),
            subject_keys: Vec::new(),
        };
        let content = ward.content(Kind::Patient, &home);
        for enrolment in ward.signed(&mut [card(i)], vec![content])? {
            file(node, enrolment).await?;
        }
        Ok(ward)
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
    fn signed(&self, signers: &mut [SoftwareSigner], contents: Vec<Content>) -> Result<Vec<Filing>, Failed> {
        let ids: Vec<_> = contents.iter().map(Content::id).collect();
        let mut signatures = vec![Vec::new(); ids.len()];
        for signer in signers {
            let taps = sign_tap(signer, &self.network, ("bench", "en"), &ids).map_err(failed)?;
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
        let entry = RecordEntry {
            patient: self.patient,
            author: Author::Practitioner(self.author),
            organization: self.organization,
            category: Category::Laboratory,
            label: Label::Normal,
            record: self.blob.0,
            manifest: self.blob.1,
            size: 14,
            digest: [0; 32],
            media_type: "application/pdf".into(),
            title: "Laboratory report".into(),
            source: "bench".into(),
            created: self.filed,
            keys: Vec::new(),
            amends: None,
            derived_from: None,
        };
        let contents = (0..n).map(|_| self.content(Kind::Record, &entry)).collect();
        self.signed(&mut [SoftwareSigner::from_seed(&[self.seed; 32])], contents)
    }
}
