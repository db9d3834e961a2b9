//! `decide()` among many grants, from memory and over a node's own store: the median against its limit, and
//! against itself among few.

use std::time::Instant;

use hospes_protocol::block::Validator;
use hospes_protocol::control::{NodeEntry, OrganizationEntry, PractitionerEntry, Standing};
use hospes_protocol::entry::FORMAT;
use hospes_protocol::genesis::{Genesis, default_policy, organization_id};
use hospes_protocol::ids::{
    BlockHash, ContentId, Lock, NodeId, ObjectId, OrganizationId, PatientId, PersonId, RecordId, sha256,
};
use hospes_protocol::keys::{KeyAgreement, Signer, SoftwareAgreement, SoftwareSigner};
use hospes_protocol::personal::{
    After, Anonymity, Author, Category, GrantEntry, Grantee, Label, Purpose, RecordEntry, Right, Scope,
};
use hospes_protocol::policy::{
    Act, Actor, Decision, Known, MemoryView, Newest, Personal, Request, Verified, decide,
};
use hospes_protocol::state::LedgerState;

use super::row::{Failed, Goal, Row, failed, quantile};
use super::{Size, decide_disk};

const NOW: u64 = 1_790_000_000_000;
/// Decisions that are timed, in groups, because one is shorter than reading the clock is exact.
const GROUPS: u32 = 500;
const GROUP: u32 = 20;

pub(super) fn run(size: Size) -> Result<Vec<Row>, Failed> {
    let (few, many) = (median(1_000)?, median(size.grants)?);
    let mut rows = vec![
        Row::new("decide-memory", many, 1.0, "us", &Goal::AtMost(1.0)),
        Row::new("decide-growth", many, few, "us", &Goal::AtMost(3.0)),
    ];
    rows.extend(decide_disk::run(size)?);
    Ok(rows)
}

pub(super) fn id(kind: u8, n: u32) -> [u8; 32] {
    sha256(&[&[kind], &n.to_be_bytes()])
}

fn state() -> Result<LedgerState, Failed> {
    let card = SoftwareSigner::from_seed(&[1; 32]).verifying_key();
    let organization = organization_id(card.as_bytes());
    let agreement = SoftwareAgreement::from_secret(&[2; 32]).agreement_key();
    let node = SoftwareSigner::from_seed(&[3; 32]).verifying_key();
    let validator = Validator { node: NodeId(node.id().0), organization, key: node.clone() };
    let genesis = Genesis {
        format: FORMAT,
        name: "bench".into(),
        time: NOW,
        organizations: vec![OrganizationEntry {
            organization,
            name: "Bench".into(),
            cards: vec![card],
            agreement: vec![agreement.clone()],
            accreditation: [1; 32],
            standing: Standing::Active,
        }],
        nodes: vec![NodeEntry {
            key: node,
            agreement: agreement.clone(),
            organization,
            emergency: false,
            addresses: Vec::new(),
            expires: u64::MAX,
            standing: Standing::Active,
        }],
        validators: vec![validator.node],
        policy: default_policy(),
    };
    let mut snapshot = LedgerState::genesis(&genesis).map_err(failed)?.snapshot();
    snapshot.membership.people = vec![(
        reader(),
        PractitionerEntry {
            person: None,
            organization,
            register_number: "1".into(),
            roles: Vec::new(),
            authentication: SoftwareSigner::from_seed(&[4; 32]).verifying_key(),
            signature: SoftwareSigner::from_seed(&[5; 32]).verifying_key(),
            agreement,
            attestation: [1; 32],
            standing: Standing::Active,
        },
    )];
    LedgerState::restore(snapshot, hospes_protocol::accumulator::LockTree::default()).map_err(failed)
}

fn reader() -> PersonId {
    PersonId([9; 32])
}

/// A grant of patient `n`.
pub(super) fn grant(n: u32, reader: PersonId, now: u64) -> GrantEntry {
    GrantEntry {
        patient: PatientId(id(1, n)),
        by_proxy: None,
        grantee: Grantee::Person(reader),
        scope: Scope { categories: vec![Category::Laboratory], label: Label::Normal, records: Vec::new() },
        rights: Right::Read.code(),
        from: now - 1,
        until: now + 86_400_000,
        purpose: Purpose::Treatment,
        study: None,
        anonymity: Anonymity::AsIs,
        one_time: false,
        two_signatures: false,
        after: After { height: 0, block: BlockHash([0; 32]), revocations: Vec::new() },
    }
}

/// A record of patient `n`, by an organization that the reader is not of.
pub(super) fn record(n: u32) -> RecordEntry {
    RecordEntry {
        patient: PatientId(id(1, n)),
        author: Author::Practitioner(PersonId([8; 32])),
        organization: OrganizationId([7; 32]),
        category: Category::Laboratory,
        label: Label::Normal,
        record: RecordId(id(2, n)),
        manifest: ObjectId::of_structured(b"manifest"),
        size: 1,
        digest: [0; 32],
        media_type: "application/pdf".into(),
        title: "Letter".into(),
        source: "bench".into(),
        created: NOW,
        keys: Vec::new(),
        amends: None,
        derived_from: None,
    }
}

/// An entry as a view takes it in.
pub(super) fn verified(id: [u8; 32], entry: Personal, lock: Option<Lock>, patient: PatientId) -> Verified {
    let known = Known { id: ContentId(id), entry, lock, height: Some(1), under: None };
    Verified { known, stands_on: Vec::new(), patient, shown: Vec::new() }
}

/// The reader asks to read patient `n`'s record.
pub(super) fn request(n: u32, reader: PersonId) -> Request {
    Request {
        patient: PatientId(id(1, n)),
        actor: Actor::Person(reader),
        act: Act::Read(ContentId(id(4, n))),
        purpose: Purpose::Treatment,
        code: None,
        access: None,
    }
}

/// Median microseconds of one decision among `grants` grants of as many patients.
fn median(grants: u32) -> Result<f64, Failed> {
    let state = state()?;
    let mut view = MemoryView::new(state.membership.clone(), Newest { height: 1, time: NOW });
    let step = (grants / (GROUPS * GROUP)).max(1);
    let asked: Vec<u32> = (0..GROUPS * GROUP).map(|n| n * step % grants).collect();
    for n in 0..grants {
        let patient = PatientId(id(1, n));
        view.put(verified(id(3, n), Personal::Grant(grant(n, reader(), NOW)), Some(Lock(id(5, n))), patient));
    }
    for n in &asked {
        let patient = PatientId(id(1, *n));
        view.put(verified(id(4, *n), Personal::Record(Box::new(record(*n))), None, patient));
    }
    let mut times = Vec::new();
    for group in asked.chunks(GROUP as usize) {
        let requests: Vec<_> = group.iter().map(|n| request(*n, reader())).collect();
        let since = Instant::now();
        for request in &requests {
            let decision = std::hint::black_box(decide(&view, request, NOW));
            if !matches!(decision, Decision::Permit(..)) {
                return Err(failed(format!("a live grant was denied: {decision:?}")));
            }
        }
        times.push(since.elapsed().as_secs_f64() * 1e6 / f64::from(GROUP));
    }
    Ok(quantile(&mut times, 0.5))
}
