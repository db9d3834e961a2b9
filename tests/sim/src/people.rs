//! People and their organizations: who holds which card, and what they have signed so far.
//!
//! Cards are keys in memory; what they sign is what real cards sign. What is kept here is the truth that the
//! model judges by: it comes from the acts themselves, never from a node.

use hospes_protocol::control::{NodeEntry, OrganizationEntry, PolicyFields, Standing};
use hospes_protocol::entry::FORMAT;
use hospes_protocol::genesis::{Genesis, default_policy, organization_id};
use hospes_protocol::ids::{
    ContentId, HeaderId, Lock, NodeId, ObjectId, OrganizationId, PatientId, PersonId,
};
use hospes_protocol::keys::{KeyAgreement, Signer, SoftwareAgreement, SoftwareSigner};
use hospes_protocol::patient::PatientSecret;
use hospes_protocol::personal::{CardEntry, Category, Grantee};
use zeroize::Zeroizing;

use crate::dice::Dice;
use crate::plan::{Plan, To};
use crate::world::T0;
use crate::world::node::Secrets;

/// Categories of a run, in the order in which a plan counts them; the last is the summaries' that break-glass opens.
pub(crate) const CATEGORIES: [Category; 3] =
    [Category::Laboratory, Category::Letters, Category::EmergencySummary];

/// Keys of a card.
pub(crate) struct Card {
    signature: [u8; 32],
    authentication: [u8; 32],
    agreement: [u8; 32],
}

impl Card {
    pub(crate) fn of(parts: &[u64]) -> Self {
        let mut dice = Dice::of(parts);
        Self { signature: dice.bytes(), authentication: dice.bytes(), agreement: dice.bytes() }
    }

    /// Slot 9C.
    pub(crate) fn signer(&self) -> SoftwareSigner {
        SoftwareSigner::from_seed(&self.signature)
    }

    /// Slot 9A.
    pub(crate) fn authentication(&self) -> SoftwareSigner {
        SoftwareSigner::from_seed(&self.authentication)
    }

    /// Slot 9D.
    pub(crate) fn agreement(&self) -> SoftwareAgreement {
        SoftwareAgreement::from_secret(&self.agreement)
    }

    /// What an entry says of a patient's card.
    pub(crate) fn entry(&self, patient: PatientId) -> CardEntry {
        CardEntry {
            patient,
            signature: self.signer().verifying_key(),
            authentication: self.authentication().verifying_key(),
            agreement: self.agreement().agreement_key(),
            presence: self.authentication().verifying_key(),
            recovery: self.agreement().agreement_key(),
            attested: false,
            generation: 1,
        }
    }
}

/// An organization: its card, its practitioner.
pub(crate) struct Organization {
    pub(crate) id: OrganizationId,
    pub(crate) card: Card,
    pub(crate) practitioner: Card,
    /// Once enrolled.
    pub(crate) person: Option<PersonId>,
    /// Backup partners that it ever named.
    pub(crate) partners: Vec<usize>,
    /// Whether the others removed it.
    pub(crate) expelled: bool,
    /// The node at which its people work, where that is not its first: the copy of it.
    pub(crate) desk: Option<usize>,
}

/// A patient.
pub(crate) struct Patient {
    pub(crate) id: PatientId,
    pub(crate) secret: PatientSecret,
    pub(crate) card: Card,
    /// The place of the home organization, once enrolled.
    pub(crate) home: Option<usize>,
    pub(crate) enrolment: Option<ContentId>,
    pub(crate) card_entry: Option<ContentId>,
    pub(crate) card_lock: Option<Lock>,
    pub(crate) card_salt: [u8; 32],
    /// What orders that everything of the patient be erased.
    pub(crate) erasure: Option<ContentId>,
    /// Packets of the patient's that were ever filed.
    pub(crate) packets: Vec<ObjectId>,
    /// Whether the home ever tried to suspend the card.
    pub(crate) suspended: bool,
    pub(crate) epochs: u64,
}

/// A record.
pub(crate) struct Record {
    pub(crate) content: ContentId,
    pub(crate) patient: usize,
    /// The author's organization.
    pub(crate) organization: usize,
    pub(crate) category: usize,
    pub(crate) root: ObjectId,
    /// All objects of its blob, the root included.
    pub(crate) objects: Vec<ObjectId>,
    /// One of its sealed segments.
    pub(crate) segment: Vec<u8>,
}

/// A grant.
pub(crate) struct Grant {
    pub(crate) content: ContentId,
    /// The node that filed it.
    pub(crate) at: usize,
    pub(crate) patient: usize,
    pub(crate) to: To,
    pub(crate) grantee: Grantee,
    pub(crate) category: usize,
    pub(crate) from: u64,
    pub(crate) until: u64,
    /// Height of the newest block at the desk.
    pub(crate) after: u64,
    /// Revocations that the desk knew and that were not final.
    pub(crate) knew: Vec<ContentId>,
    pub(crate) lock: Lock,
    pub(crate) salt: [u8; 32],
    /// Lock of the card that signed it.
    pub(crate) card: Option<Lock>,
}

/// What a revocation takes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    Entry(ContentId),
    Grantee(Grantee),
    Everything,
}

/// A revocation.
pub(crate) struct Revocation {
    pub(crate) content: ContentId,
    pub(crate) patient: usize,
    pub(crate) revoked: Revoked,
    /// Lock of the card that signed it.
    pub(crate) card: Option<Lock>,
}

/// An opened record.
pub(crate) struct Opened {
    pub(crate) access: ContentId,
    pub(crate) patient: usize,
    /// The reader's organization.
    pub(crate) by: usize,
    /// At which node.
    pub(crate) node: usize,
}

/// An entry that a node reported durable.
#[derive(Clone, Copy)]
pub(crate) struct Reported {
    pub(crate) node: usize,
    pub(crate) header: HeaderId,
    pub(crate) content: ContentId,
    /// Whether its body is an object of the node's, and none of the block.
    pub(crate) personal: bool,
    pub(crate) patient: Option<usize>,
    /// When, in virtual milliseconds.
    pub(crate) at: u64,
}

/// All of them.
pub(crate) struct People {
    pub(crate) organizations: Vec<Organization>,
    pub(crate) patients: Vec<Patient>,
    pub(crate) records: Vec<Record>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) revocations: Vec<Revocation>,
    pub(crate) opened: Vec<Opened>,
    pub(crate) reported: Vec<Reported>,
    salts: Dice,
}

impl People {
    pub(crate) fn of(plan: &Plan) -> Self {
        let seed = plan.seed;
        let organization = |place: usize| {
            let card = Card::of(&[seed, 10, place as u64]);
            let id = organization_id(card.signer().verifying_key().as_bytes());
            let practitioner = Card::of(&[seed, 11, place as u64]);
            Organization {
                id,
                card,
                practitioner,
                person: None,
                partners: Vec::new(),
                expelled: false,
                desk: None,
            }
        };
        let patient = |place: usize| {
            let mut dice = Dice::of(&[seed, 12, place as u64]);
            Patient {
                id: PatientId(dice.bytes()),
                secret: PatientSecret::from_bytes(Zeroizing::new(dice.bytes())),
                card: Card::of(&[seed, 13, place as u64]),
                home: None,
                enrolment: None,
                card_entry: None,
                card_lock: None,
                card_salt: dice.bytes(),
                erasure: None,
                packets: Vec::new(),
                suspended: false,
                epochs: 0,
            }
        };
        Self {
            organizations: (0..plan.shape.organizations()).map(organization).collect(),
            patients: (0..=plan.shape.patients).map(patient).collect(),
            records: Vec::new(),
            grants: Vec::new(),
            revocations: Vec::new(),
            opened: Vec::new(),
            reported: Vec::new(),
            salts: Dice::of(&[seed, 14]),
        }
    }

    /// A salt that no other content has.
    pub(crate) fn salt(&mut self) -> [u8; 32] {
        self.salts.bytes()
    }

    /// What was ever signed to grant or to take back.
    pub(crate) fn consents(&self) -> impl Iterator<Item = ContentId> + '_ {
        let grants = self.grants.iter().map(|g| g.content);
        grants.chain(self.revocations.iter().map(|v| v.content))
    }

    /// A segment that some nodes hold.
    pub(crate) fn a_segment(&self) -> Option<Vec<u8>> {
        self.records.first().map(|r| r.segment.clone())
    }

    /// The first state of the network.
    pub(crate) fn genesis(&self, plan: &Plan) -> Genesis {
        let shape = &plan.shape;
        let founders = self.organizations.iter().take(shape.founders()).enumerate();
        let mut organizations: Vec<_> = founders.map(|(i, o)| organization_entry(i, o)).collect();
        organizations.sort_by_key(|o| o.organization);
        let mut nodes: Vec<_> = (0..shape.founders())
            .map(|place| node_entry(plan.seed, place, self.organizations[place].id, Standing::Active))
            .collect();
        nodes.sort_by_key(|n| n.key.id());
        let mut validators: Vec<NodeId> =
            (0..shape.validators).map(|place| Secrets::of(plan.seed, place).id()).collect();
        validators.sort_unstable();
        let policy = PolicyFields {
            lease_ms: shape.lease_ms,
            idle_block_ms: shape.idle_block_ms,
            cooling_off_ms: shape.cooling_off_ms,
            recovery_delay_ms: shape.recovery_delay_ms,
            ..default_policy()
        };
        Genesis {
            format: FORMAT,
            name: "simulated".into(),
            time: T0,
            organizations,
            nodes,
            validators,
            policy,
        }
    }
}

/// The entry of the organization at a place.
pub(crate) fn organization_entry(place: usize, organization: &Organization) -> OrganizationEntry {
    OrganizationEntry {
        organization: organization.id,
        name: format!("Hospital {place}"),
        cards: vec![organization.card.signer().verifying_key()],
        agreement: vec![organization.card.agreement().agreement_key()],
        accreditation: [1; 32],
        standing: Standing::Active,
    }
}

/// The entry of the node at a place.
pub(crate) fn node_entry(
    seed: u64,
    place: usize,
    organization: OrganizationId,
    standing: Standing,
) -> NodeEntry {
    let secrets = Secrets::of(seed, place);
    NodeEntry {
        key: secrets.signer().verifying_key(),
        agreement: secrets.agreement_key(),
        organization,
        emergency: false,
        addresses: Vec::new(),
        expires: u64::MAX,
        standing,
    }
}
