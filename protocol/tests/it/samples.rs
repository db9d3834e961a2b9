//! One sample of every type, made from constants, so that its bytes never change unless the format does.

use hospes_protocol::accumulator::{LockTree, Range};
use hospes_protocol::block::{
    Block, CommitCertificate, CommitSignature, Cut, Fork, SignedVote, Validator, ValidatorSet, Vote, VoteKind,
};
use hospes_protocol::control::*;
use hospes_protocol::emergency::*;
use hospes_protocol::entry::{Content, FORMAT, Header, HeaderFields};
use hospes_protocol::genesis::{Genesis, default_policy, organization_id};
use hospes_protocol::ids::*;
use hospes_protocol::keys::{
    AgreementKey, KeyAgreement, Signer, SoftwareAgreement, SoftwareSigner, VerifyingKey,
};
use hospes_protocol::personal::*;
use hospes_protocol::recovery::RecoveryEntry;
use hospes_protocol::search::{SealedTerms, SearchEntry};
use hospes_protocol::state::{Checkpoint, FormerCardEntry, Handover, LedgerState, StandingCommittee};
use hospes_protocol::tap::{Body, sign_tap};
use hospes_protocol::wire::{Bytes, Wire};

/// A sample: name, encoding, and whether the encoding reads back as its type and writes the same.
pub(crate) type Sample = (&'static str, Vec<u8>, fn(&[u8]) -> bool);

fn sample<T: Wire>(name: &'static str, value: &T) -> Sample {
    (name, value.encode(), |bytes| T::decode(bytes).is_ok_and(|v| v.encode() == bytes))
}

const NET: NetworkId = NetworkId([0xa0; 32]);
const T0: u64 = 1_790_000_000_000;

fn signer(seed: u8) -> SoftwareSigner {
    SoftwareSigner::from_seed(&[seed; 32])
}

fn key(seed: u8) -> VerifyingKey {
    signer(seed).verifying_key()
}

fn agreement(seed: u8) -> AgreementKey {
    SoftwareAgreement::from_secret(&[seed; 32]).agreement_key()
}

fn organization() -> OrganizationEntry {
    OrganizationEntry {
        organization: organization_id(key(1).as_bytes()),
        name: "City Hospital".into(),
        cards: vec![key(1)],
        agreement: vec![agreement(2)],
        accreditation: [3; 32],
        standing: Standing::Active,
    }
}

fn node() -> NodeEntry {
    NodeEntry {
        key: key(4),
        agreement: agreement(5),
        organization: organization().organization,
        emergency: true,
        addresses: vec!["/ip4/127.0.0.1/tcp/4001".into()],
        expires: T0 + 1,
        standing: Standing::Active,
    }
}

fn validator() -> Validator {
    Validator { node: NodeId(key(4).id().0), organization: organization().organization, key: key(4) }
}

fn genesis() -> Genesis {
    Genesis {
        format: FORMAT,
        name: "vectors".into(),
        time: T0,
        organizations: vec![organization()],
        nodes: vec![node()],
        validators: vec![validator().node],
        policy: default_policy(),
    }
}

fn content() -> Content {
    Content {
        format: FORMAT,
        network: NET,
        kind: 21,
        organization: organization().organization,
        salt: [7; 32],
        lock: Some(Lock([8; 32])),
        stands_on: vec![ContentId([9; 32])],
        payload: Bytes(grant().encode()),
    }
}

fn grant() -> GrantEntry {
    GrantEntry {
        patient: PatientId([10; 32]),
        by_proxy: None,
        grantee: Grantee::Role(OrganizationId([11; 32]), "doctor".into()),
        scope: Scope {
            categories: vec![Category::Laboratory, Category::Letters],
            label: Label::Normal,
            records: vec![],
        },
        rights: 5,
        from: T0,
        until: T0 + 1000,
        purpose: Purpose::Treatment,
        study: Some(StudyId([12; 32])),
        anonymity: Anonymity::Pseudonymised,
        one_time: false,
        two_signatures: true,
        after: After { height: 3, block: BlockHash([13; 32]), revocations: vec![ContentId([14; 32])] },
    }
}

fn header() -> Header {
    let fields = HeaderFields {
        format: FORMAT,
        network: NET,
        organization: organization().organization,
        node: validator().node,
        sequence: 2,
        previous: Some(HeaderId([15; 32])),
        kind: 21,
        subject: Some(Subject([16; 32])),
        content: content().id(),
        lock: content().lock,
        reveal: vec![Reveal([17; 32])],
        signed_at: T0,
    };
    Header::sign(fields, &mut signer(4)).unwrap()
}

fn body() -> Body {
    let content = content();
    let ids = [ContentId([18; 32]), content.id(), ContentId([19; 32])];
    let signatures = sign_tap(&mut signer(20), &NET, ("City Hospital may read.", "en"), &ids).unwrap();
    Body { content: Bytes(content.encode()), signatures: vec![signatures[1].clone()] }
}

fn vote(kind: VoteKind, block: Option<BlockHash>) -> SignedVote {
    let vote =
        Vote { format: FORMAT, network: NET, kind, height: 7, round: 1, block, validator: validator().node };
    SignedVote::sign(vote, &mut signer(4)).unwrap()
}

fn certificate() -> CommitCertificate {
    let set = ValidatorSet::new(vec![validator()]).unwrap();
    let block = BlockHash([21; 32]);
    let signature = vote(VoteKind::Precommit, Some(block)).signature;
    CommitCertificate {
        height: 7,
        round: 1,
        block,
        validators: set.hash(),
        signatures: vec![CommitSignature { validator: validator().node, signature }],
    }
}

fn block() -> Block {
    Block {
        format: FORMAT,
        network: NET,
        height: 8,
        previous: BlockHash([21; 32]),
        time: T0,
        proposer: validator().node,
        cuts: vec![Cut { node: validator().node, from: 1, to: 2, last: header().id() }],
        control: vec![Bytes(body().encode())],
        state_root: StateRoot([22; 32]),
        validators: ValidatorsHash([23; 32]),
        next_validators: ValidatorsHash([24; 32]),
        last_commit: Some(certificate()),
        forks: vec![Fork { one: Bytes(vec![1]), other: Bytes(vec![2]) }],
        equivocations: vec![(
            vote(VoteKind::Prevote, None),
            vote(VoteKind::Prevote, Some(BlockHash([25; 32]))),
        )],
    }
}

fn blocks() -> Vec<Sample> {
    vec![
        sample("genesis", &genesis()),
        sample("content", &content()),
        sample("body", &body()),
        ("header", header().as_bytes().to_vec(), |b| Header::read(b, &NET).is_ok_and(|h| h.as_bytes() == b)),
        sample("signed vote", &vote(VoteKind::Prevote, None)),
        sample("commit certificate", &certificate()),
        sample("block", &block()),
        sample("validator set", &ValidatorSet::new(vec![validator()]).unwrap()),
        sample(
            "handover",
            &Handover {
                block: Bytes(block().encode()),
                certificate: certificate(),
                next: ValidatorSet::new(vec![validator()]).unwrap(),
            },
        ),
        sample(
            "checkpoint",
            &Checkpoint {
                organization: organization().organization,
                height: 9,
                block: BlockHash([21; 32]),
                text_hash: [1; 32],
                language: "en".into(),
            },
        ),
        sample(
            "former card",
            &FormerCardEntry {
                holder: [26; 32],
                signature: key(28),
                authentication: Some(key(27)),
                until: 9,
            },
        ),
        sample("state after genesis", &LedgerState::genesis(&genesis()).unwrap().snapshot()),
    ]
}

fn control() -> Vec<Sample> {
    let organization = organization().organization;
    let practitioner = PractitionerEntry {
        person: Some(PersonId([26; 32])),
        organization,
        register_number: "1001".into(),
        roles: vec!["doctor".into()],
        authentication: key(27),
        signature: key(28),
        agreement: agreement(29),
        attestation: [30; 32],
        standing: Standing::Suspended,
    };
    let role = RoleEntry {
        organization,
        name: "doctor".into(),
        categories: vec![1, 2],
        rights: 3,
        administrator: false,
        attested: true,
    };
    let policy = PolicyEntry {
        organization: None,
        fields: Some(default_policy()),
        backup_partners: vec![organization],
        tier_zero: true,
    };
    let committee = CommitteeEntry {
        name: "summary".into(),
        roster: Roster::Guardians(vec![PersonId([31; 32]), PersonId([35; 32])]),
        shares_needed: 2,
        provers_needed: 2,
        previous: Some(ContentId([36; 32])),
        blocks: CeremonyBlocks { deal: 10, complain: 20, answer: 30, prove: 40 },
        local: None,
    };
    let local = LocalCommittee { organization, witness: key(71), agreement: agreement(72) };
    let own =
        CommitteeEntry { name: local_committee(&organization), local: Some(local), ..committee.clone() };
    let dkg = DkgEntry {
        committee: ContentId([37; 32]),
        sender: CommitteeMember::Guardian(PersonId([31; 32])),
        said: Bytes(vec![1, 2, 3]),
    };
    let ledger = CommitteeEntry {
        name: "ledger".into(),
        roster: Roster::Validators(vec![validator().node]),
        shares_needed: 1,
        provers_needed: 1,
        previous: None,
        ..committee.clone()
    };
    let standing = StandingCommittee { id: ContentId([37; 32]), height: 9, entry: ledger };
    let checkpoint = CheckpointEntry { height: 9, block: BlockHash([32; 32]), validators: vec![validator()] };
    let packet = OrganizationPacket { reader: KeyId([33; 32]), packet: ObjectId::of_structured(b"packet") };
    let keys = OrganizationKeyEntry { organization, epoch: 1, key: agreement(34), packets: vec![packet] };
    vec![
        sample("1 organization", &self::organization()),
        sample("2 node", &node()),
        sample("3 validator set", &ValidatorSetEntry { nodes: vec![validator().node] }),
        sample("4 practitioner", &practitioner),
        sample("5 role", &role),
        sample("6 policy", &policy),
        sample("7 committee", &committee),
        sample("7 committee of a hospital", &own),
        sample("standing committee", &standing),
        sample("8 checkpoint", &checkpoint),
        sample("9 dkg", &dkg),
        sample("10 organization key", &keys),
    ]
}

fn people() -> Vec<Sample> {
    let (patient, organization) = (PatientId([10; 32]), organization().organization);
    let subject_keys = vec![SubjectKey { node: validator().node, sealed: Bytes(vec![1, 2]) }];
    let entry = PatientEntry {
        patient,
        home: organization,
        language: "fr".into(),
        sealed_identity: Bytes(vec![3]),
        subject_keys: subject_keys.clone(),
    };
    let card = card(patient);
    let packet = PacketRef {
        reader: KeyId([40; 32]),
        packet: ObjectId::of_structured(b"packet"),
        organization: Some(organization),
    };
    let locker = LockerEntry {
        patient,
        epoch: 2,
        lockers: vec![LockerPublic {
            category: Category::Imaging,
            label: Label::Restricted,
            key: agreement(41),
        }],
        rests_on: vec![ContentId([42; 32])],
        packets: vec![packet],
        subject_keys,
        staged: false,
        escrows: vec![escrow()],
    };
    let proxy = ProxyEntry {
        patient,
        signature: key(43),
        agreement: agreement(44),
        basis: "parent".into(),
        from: T0,
        until: T0 + 5,
    };
    vec![
        sample("16 patient", &entry),
        sample("17 card", &card),
        sample("18 locker", &locker),
        sample("23 proxy", &proxy),
    ]
}

fn records() -> Vec<Sample> {
    let (patient, organization) = (PatientId([10; 32]), organization().organization);
    let record = RecordEntry {
        patient,
        author: Author::Practitioner(PersonId([26; 32])),
        organization,
        category: Category::Laboratory,
        label: Label::Normal,
        record: RecordId([45; 32]),
        manifest: ObjectId::of_structured(b"manifest"),
        size: 1234,
        digest: [46; 32],
        media_type: "application/pdf".into(),
        title: "Letter".into(),
        source: "import".into(),
        created: T0,
        keys: vec![Bytes(vec![4])],
        amends: None,
        derived_from: Some(ContentId([47; 32])),
    };
    let amendment =
        RecordEntry { author: Author::Patient, amends: Some(ContentId([48; 32])), ..record.clone() };
    let revoked = |revoked| RevocationEntry { patient, by_proxy: Some(ContentId([49; 32])), revoked };
    let access = AccessEntry {
        patient,
        reader: Some(PersonId([26; 32])),
        organization: Some(organization),
        record: ContentId([47; 32]),
        category: Category::Laboratory,
        right: Right::Read,
        purpose: Purpose::EmergencyTreatment,
        study: None,
        why: vec![ContentId([50; 32])],
        at: T0,
    };
    let grantee = Grantee::Code([51; 32]);
    vec![
        sample("19 record", &record),
        sample("20 amendment", &amendment),
        sample("21 grant", &grant()),
        sample("22 revocation of entries", &revoked(Revoked::Entries(vec![content().id()]))),
        sample("22 revocation of a grantee", &revoked(Revoked::Grantee(grantee))),
        sample("22 revocation of everything", &revoked(Revoked::Everything)),
        sample("24 access", &access),
        sample("25 erasure", &ErasureEntry { patient, records: vec![], not_before: T0 }),
        sample("26 receipt", &ErasureReceipt { erasure: content().id(), objects: 3, at: T0 }),
    ]
}

fn card(patient: PatientId) -> CardEntry {
    CardEntry {
        patient,
        signature: key(35),
        authentication: key(36),
        agreement: agreement(37),
        presence: key(38),
        recovery: agreement(39),
        attested: false,
        generation: 1,
    }
}

fn search() -> SearchEntry {
    SearchEntry {
        search: PatientId([74; 32]),
        requester: PersonId([26; 32]),
        organization: organization().organization,
        at: T0,
        terms: vec![SealedTerms { node: NodeId([62; 32]), sealed: Bytes(vec![6]) }],
    }
}

fn escrow() -> EscrowRef {
    EscrowRef {
        public: EscrowPublic { tier: Tier::Full, key: agreement(52), staged: false },
        guardians: ContentId([53; 32]),
        ledger: ContentId([54; 32]),
        keys: KeyId([55; 32]),
        salt: [56; 32],
        sealed: ObjectId::of_structured(b"sealed"),
    }
}

fn link(request: ContentId, organization: OrganizationId) -> WitnessLink {
    WitnessLink {
        network: NET,
        organization,
        node: NodeId([62; 32]),
        witness: KeyId([68; 32]),
        counter: 3,
        previous: [70; 32],
        request,
        requester: PersonId([26; 32]),
        label: [71; 32],
        at: T0,
        after: (7, BlockHash([60; 32])),
    }
}

fn recovery(patient: PatientId, home: OrganizationId) -> RecoveryEntry {
    RecoveryEntry {
        patient,
        home,
        witness: Some(OrganizationId([73; 32])),
        lost: ContentId([58; 32]),
        card: card(patient),
        delay_ms: 86_400_000,
        contest: Bytes(vec![9]),
    }
}

fn emergencies() -> Vec<Sample> {
    let (patient, organization) = (PatientId([10; 32]), organization().organization);
    let request = RequestEntry {
        patient,
        requester: PersonId([26; 32]),
        organization,
        tier: Tier::Full,
        enrolment: ContentId([57; 32]),
        card: ContentId([58; 32]),
        locker: ContentId([59; 32]),
        guardians: ContentId([53; 32]),
        ledger: ContentId([54; 32]),
        label: escrow().label(NET, &agreement(37), &organization),
        reason: Reason::Other,
        text: "found in the street".into(),
        until: T0 + 5,
        after: (7, BlockHash([60; 32])),
        opener: agreement(61),
        sealed_opener: Bytes(vec![5]),
        subject_keys: vec![SubjectKey { node: NodeId([62; 32]), sealed: Bytes(vec![6]) }],
        patient_key: Some(Bytes(vec![7])),
    };
    let id = ContentId([63; 32]);
    let approval = Approval { person: PersonId([64; 32]), index: 2, signed: Bytes(vec![8]), share: [65; 96] };
    let approvals = vec![approval.clone()];
    let release = ReleaseEntry {
        patient,
        request: id,
        approvals,
        signature: Some([66; 96]),
        presence: None,
        link: Some(Bytes(vec![10])),
    };
    let present = ReleaseEntry {
        approvals: vec![],
        signature: None,
        presence: Some(Bytes(vec![9])),
        link: None,
        ..release.clone()
    };
    let close =
        CloseEntry { patient, release: id, person: PersonId([26; 32]), organization, wrong_patient: true };
    let review = ReviewEntry {
        patient,
        release: id,
        reviewer: PersonId([67; 32]),
        organization,
        outcome: Outcome::Unclear,
        text: "asked".into(),
    };
    let statement = ApprovalStatement { request: id, text: [69; 32], language: "en".into() };
    vec![
        sample("32 request", &request),
        sample("33 release", &release),
        sample("33 release by the patient's card", &present),
        sample("34 close", &close),
        sample("35 review", &review),
        sample("36 search", &search()),
        sample("37 recovery", &recovery(patient, organization)),
        sample("approval", &approval),
        sample("approval statement", &statement),
        sample("release statement", &request.release(NET, id)),
        sample("escrow label", &request.label),
        sample("witness link", &link(id, organization)),
    ]
}

fn proofs() -> Vec<Sample> {
    let locks: LockTree = (0..9).map(|n| Reveal([n; 32]).lock()).collect();
    let (mut range, mut nodes) = (Range::default(), Vec::new());
    (0..9).for_each(|n| nodes.extend(range.append(&HeaderId([n; 32]))));
    let read = |level, index| nodes.iter().find(|n| (n.level, n.index) == (level, index)).map(|n| n.hash);
    vec![
        sample("lock part", &locks.part(1, 1)),
        sample("lock proof", &locks.prove(&Reveal([3; 32]).lock())),
        sample("range", &range),
        sample("range proof", &range.prove(4, read).unwrap()),
        sample("root of nine locks", &locks.root()),
        sample("root of nine headers", &range.root()),
    ]
}

/// Every sample, by group.
pub(crate) fn all() -> Vec<Sample> {
    [blocks(), control(), people(), records(), emergencies(), proofs()].concat()
}
