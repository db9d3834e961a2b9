//! A small federation for the tests: three organizations with their people, one patient with two cards.
//!
//! Entries are put into the view as if they had been verified; what verifies them is tested beside it.

use std::sync::Arc;

use crate::accumulator::{LockTree, Range};
use crate::block::{Validator, ValidatorSet};
use crate::control::{NodeEntry, OrganizationEntry, PolicyEntry, PractitionerEntry, RoleEntry, Standing};
use crate::genesis::default_policy;
use crate::ids::{
    BlockHash, ContentId, Lock, NetworkId, NodeId, ObjectId, OrganizationId, PatientId, PersonId, RecordId,
    Reveal,
};
use crate::keys::{AgreementKey, KeyAgreement, Signer, SoftwareAgreement, SoftwareSigner};
use crate::personal::{
    AccessEntry, After, Anonymity, Author, CardEntry, Category, GrantEntry, Grantee, Label, PatientEntry,
    ProxyEntry, Purpose, RecordEntry, RevocationEntry, Revoked, Right, Scope, SubjectKey,
};
use crate::policy::{
    Act, Actor, Decision, Known, MemoryView, Newest, Personal, Request, Rule, Under, Verified, decide,
};
use crate::state::{LedgerState, Membership, MembershipSnapshot, StateSnapshot};
use crate::wire::Bytes;

pub(crate) const NET: NetworkId = NetworkId([3; 32]);
pub(crate) const ADA: PatientId = PatientId([0xad; 32]);
pub(crate) const DAY: u64 = 86_400_000;
/// The time of the newest block, and of the tests.
pub(crate) const NOW: u64 = 1_000 * DAY;
/// The newest height.
pub(crate) const TIP: u64 = 100;

/// Ada's home, where her doctor wrote the records; another hospital; a third.
pub(crate) const HOME: OrganizationId = OrganizationId([1; 32]);
pub(crate) const CITY: OrganizationId = OrganizationId([2; 32]);
pub(crate) const RURAL: OrganizationId = OrganizationId([3; 32]);

/// Roles of every organization, in the order of its people.
pub(crate) const ROLES: [&str; 4] = ["clerk", "doctor", "pharmacist", "nobody"];

/// A person of an organization: 0 clerk (administrator), 1 and 4 doctor, 2 pharmacist, 3 without role.
pub(crate) const fn person(organization: OrganizationId, n: u8) -> PersonId {
    PersonId([organization.0[0] * 16 + n; 32])
}

pub(crate) const fn id(n: u8) -> ContentId {
    ContentId([n; 32])
}

pub(crate) const PATIENT: ContentId = id(240);
pub(crate) const CARD: ContentId = id(241);
pub(crate) const OLD_CARD: ContentId = id(242);
pub(crate) const LAB: ContentId = id(243);
pub(crate) const LETTER: ContentId = id(244);
pub(crate) const NOTES: ContentId = id(245);
pub(crate) const SUMMARY: ContentId = id(246);

pub(crate) fn signer(n: u8) -> SoftwareSigner {
    SoftwareSigner::from_seed(&[n; 32])
}

pub(crate) fn agreement(n: u8) -> AgreementKey {
    SoftwareAgreement::from_secret(&[n; 32]).agreement_key()
}

/// The lock of the entry with id `n`.
pub(crate) fn lock(n: ContentId) -> Lock {
    Reveal(n.0).lock()
}

pub(crate) fn under(card: ContentId) -> Under {
    Under { entry: card, lock: lock(card) }
}

fn organization(organization: OrganizationId) -> OrganizationEntry {
    OrganizationEntry {
        organization,
        name: "Hospital".into(),
        cards: vec![signer(organization.0[0]).verifying_key()],
        agreement: vec![agreement(organization.0[0])],
        accreditation: [0; 32],
        standing: Standing::Active,
    }
}

/// Seeds of a person's slots 9A and 9C.
pub(crate) const fn slots(person: PersonId) -> (u8, u8) {
    (person.0[0] + 64, person.0[0] + 128)
}

fn practitioner(organization: OrganizationId, n: u8) -> (PersonId, PractitionerEntry) {
    let id = person(organization, n);
    let (authentication, signature) = slots(id);
    let role = ROLES[usize::from(if n == 4 { 1 } else { n })];
    let entry = PractitionerEntry {
        person: None,
        organization,
        register_number: format!("{n}"),
        roles: if n == 3 { Vec::new() } else { vec![role.into()] },
        authentication: signer(authentication).verifying_key(),
        signature: signer(signature).verifying_key(),
        agreement: agreement(authentication),
        attestation: [1; 32],
        standing: Standing::Active,
    };
    (id, entry)
}

fn roles(organization: OrganizationId) -> [RoleEntry; 3] {
    let role = |name: &str, categories: Vec<u64>, rights, administrator| RoleEntry {
        organization,
        name: name.into(),
        categories,
        rights,
        administrator,
        attested: false,
    };
    [
        role(ROLES[0], Vec::new(), 7, true),
        role(ROLES[1], Vec::new(), 7, false),
        role(ROLES[2], vec![Category::Medication.code()], Right::Read.code(), false),
    ]
}

/// The node of an organization; Rural's may hold emergency summaries.
pub(crate) fn node(organization: OrganizationId) -> NodeEntry {
    NodeEntry {
        key: signer(organization.0[0] + 240).verifying_key(),
        agreement: agreement(organization.0[0] + 240),
        organization,
        emergency: organization == RURAL,
        addresses: Vec::new(),
        expires: u64::MAX,
        standing: Standing::Active,
    }
}

pub(crate) fn node_id(organization: OrganizationId) -> NodeId {
    NodeId(node(organization).key.id().0)
}

fn membership() -> MembershipSnapshot {
    let all = [HOME, CITY, RURAL];
    let backups =
        PolicyEntry { organization: Some(HOME), fields: None, backup_partners: vec![RURAL], tier_zero: true };
    MembershipSnapshot {
        organizations: all.map(organization).to_vec(),
        nodes: all.map(node).to_vec(),
        people: all.iter().flat_map(|o| (0..5).map(|n| practitioner(*o, n))).collect(),
        roles: all.iter().flat_map(|o| roles(*o)).collect(),
        policy: default_policy(),
        organization_policies: vec![(HOME, backups)],
        keys: Vec::new(),
        committees: Vec::new(),
        checkpoint: None,
        former: Vec::new(),
    }
}

/// A membership from its lists, by way of a state.
pub(crate) fn members(membership: MembershipSnapshot) -> Arc<Membership> {
    let key = node(HOME).key;
    let validator = Validator { node: NodeId(key.id().0), organization: HOME, key };
    let snapshot = StateSnapshot {
        network: NET,
        height: 0,
        block: BlockHash(NET.0),
        time: 0,
        membership,
        validators: ValidatorSet::new(vec![validator]).expect("one node"),
        decided_by: None,
        frontiers: Vec::new(),
        range: Range::default(),
    };
    LedgerState::restore(snapshot, LockTree::default()).expect("a lawful state").membership
}

/// A record by a doctor of Home.
pub(crate) fn record(category: Category, label: Label) -> RecordEntry {
    RecordEntry {
        patient: ADA,
        author: Author::Practitioner(person(HOME, 1)),
        organization: HOME,
        category,
        label,
        record: RecordId([category as u8; 32]),
        manifest: ObjectId([1; 33]),
        size: 1,
        digest: [0; 32],
        media_type: "application/pdf".into(),
        title: String::new(),
        source: String::new(),
        created: NOW,
        keys: Vec::new(),
        amends: None,
        derived_from: None,
    }
}

/// A grant of reading laboratory results to a doctor of City, from yesterday until tomorrow.
pub(crate) fn grant() -> GrantEntry {
    GrantEntry {
        patient: ADA,
        by_proxy: None,
        grantee: Grantee::Person(person(CITY, 1)),
        scope: Scope { categories: vec![Category::Laboratory], label: Label::Normal, records: Vec::new() },
        rights: Right::Read.code(),
        from: NOW - DAY,
        until: NOW + DAY,
        purpose: Purpose::Treatment,
        study: None,
        anonymity: Anonymity::AsIs,
        one_time: false,
        two_signatures: false,
        after: After { height: 10, block: BlockHash([10; 32]), revocations: Vec::new() },
    }
}

pub(crate) fn revocation(revoked: Revoked) -> Personal {
    Personal::Revocation(RevocationEntry { patient: ADA, by_proxy: None, revoked })
}

/// Ada's daughter, from ten days ago for twenty.
pub(crate) fn proxy() -> ProxyEntry {
    ProxyEntry {
        patient: ADA,
        signature: signer(230).verifying_key(),
        agreement: agreement(230),
        basis: "daughter".into(),
        from: NOW - 10 * DAY,
        until: NOW + 10 * DAY,
    }
}

/// An access by a doctor under a grant.
pub(crate) fn access(reader: PersonId, organization: OrganizationId, grant: ContentId) -> Personal {
    Personal::Access(AccessEntry {
        patient: ADA,
        reader: Some(reader),
        organization: Some(organization),
        record: LAB,
        category: Category::Laboratory,
        right: Right::Read,
        purpose: Purpose::Treatment,
        study: None,
        why: vec![grant],
        at: NOW,
    })
}

pub(crate) fn card_entry(n: u8) -> CardEntry {
    CardEntry {
        patient: ADA,
        signature: signer(n).verifying_key(),
        authentication: signer(n + 1).verifying_key(),
        agreement: agreement(n),
        presence: signer(n + 2).verifying_key(),
        recovery: agreement(n + 1),
        attested: true,
        generation: 1,
    }
}

/// An entry as it is put into a view.
pub(crate) fn verified(
    id: ContentId,
    entry: Personal,
    height: Option<u64>,
    card: Option<ContentId>,
) -> Verified {
    let locked =
        matches!(entry, Personal::Card(_) | Personal::Grant(_) | Personal::Proxy(_) | Personal::Recovery(_));
    let known = Known { id, entry, lock: locked.then(|| lock(id)), height, under: card.map(under) };
    Verified { known, stands_on: Vec::new(), patient: ADA, shown: Vec::new() }
}

/// A reading of the laboratory record by the doctor of City.
pub(crate) fn request() -> Request {
    Request {
        patient: ADA,
        actor: Actor::Person(person(CITY, 1)),
        act: Act::Read(LAB),
        purpose: Purpose::Treatment,
        code: None,
        access: None,
    }
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) view: MemoryView,
    pub(crate) members: MembershipSnapshot,
}

impl World {
    /// With Ada, her two cards and her records, and no grant.
    pub(crate) fn new() -> Self {
        let members_now = membership();
        let newest = Newest { height: TIP, time: NOW };
        let mut world =
            Self { view: MemoryView::new(members(members_now.clone()), newest), members: members_now };
        world.view.blocks.extend((0..=TIP).map(|h| (h, BlockHash([u8::try_from(h).expect("small"); 32]))));
        // A block an hour, the newest now.
        let hours = |h| (h, NOW - (TIP - h) * 3_600_000);
        world.view.block_times.extend((0..=TIP).map(hours));
        let patient = PatientEntry {
            patient: ADA,
            home: HOME,
            language: "en".into(),
            sealed_identity: Bytes::default(),
            subject_keys: vec![SubjectKey { node: node_id(HOME), sealed: Bytes::default() }],
        };
        world.put(PATIENT, Personal::Patient(patient), Some(1), None);
        world.put(CARD, Personal::Card(Box::new(card_entry(220))), Some(1), None);
        world.put(OLD_CARD, Personal::Card(Box::new(card_entry(225))), Some(1), None);
        let labelled = |category| Personal::Record(Box::new(record(category, Label::Normal)));
        world.put(LAB, labelled(Category::Laboratory), Some(2), None);
        world.put(LETTER, labelled(Category::Letters), Some(2), None);
        world.put(SUMMARY, labelled(Category::EmergencySummary), Some(2), None);
        let notes = RecordEntry { author: Author::Patient, ..record(Category::PrivateNotes, Label::Normal) };
        world.put(NOTES, Personal::Record(Box::new(notes)), Some(2), Some(CARD));
        world
    }

    pub(crate) fn put(
        &mut self,
        id: ContentId,
        entry: Personal,
        height: Option<u64>,
        card: Option<ContentId>,
    ) {
        self.view.put(verified(id, entry, height, card));
    }

    /// Puts a final grant by Ada's card.
    pub(crate) fn grants(&mut self, id: ContentId, grant: GrantEntry) {
        self.put(id, Personal::Grant(grant), Some(11), Some(CARD));
    }

    /// Changes the membership.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut MembershipSnapshot)) {
        change(&mut self.members);
        self.view.membership = members(self.members.clone());
    }

    pub(crate) fn decide(&self, request: &Request) -> Decision {
        decide(&self.view, request, NOW)
    }

    pub(crate) fn rule(&self, request: &Request) -> Rule {
        self.decide(request).why().rule
    }
}
