//! Good inputs for every decoder, from the golden vectors and from constants, as they are kept in `tests/fuzz/corpus`.
//!
//! What the fuzzer finds is put beside them by hand and stays. To write the seeds anew after a format has changed:
//! `HOSPES_BLESS=1 cargo test -p hospes-tests --test hostile the_kept_inputs`.

use std::fs;
use std::path::PathBuf;

use hospes_breakglass::escrow::{EscrowLabel, EscrowPublic, Tier};
use hospes_card::soft::{PinCost, SoftCardSpec};
use hospes_card::{HolderKind, Pin, Puk};
use hospes_protocol::accumulator::{LockPart, LockProof, RangeProof};
use hospes_protocol::block::{CommitCertificate, CommitSignature, SignedVote, VoteKind};
use hospes_protocol::context::Context;
use hospes_protocol::emergency::Approval;
use hospes_protocol::ids::{
    BlockHash, ContentId, HeaderId, KeyId, NodeId, ObjectId, OrganizationId, PatientId, PersonId, RecordId,
    StateRoot,
};
use hospes_protocol::keys::{KeyAgreement as _, Signer as _, SoftwareAgreement, SoftwareSigner};
use hospes_protocol::limits::SEGMENT_BYTES;
use hospes_protocol::patient::Identity;
use hospes_protocol::seal::envelope::seal_to;
use hospes_protocol::seal::layout::Layout;
use hospes_protocol::seal::manifest::{PageFields, RootPage};
use hospes_protocol::state::{Frontier, Handover, StandingProof};
use hospes_protocol::tap::TapPayload;
use hospes_protocol::wire::{Bytes, Enc, Wire};
use hospes_service::consensus::{
    ConsensusMessage, Elapsed, Judged, PolkaCertificate, Proposal, RoundCertificate, RoundCertificateKind,
    RoundVote, SignedProposal, StepTimeout, WalEntry,
};
use hospes_service::emergency::{ApprovalShare, Finding, Half, OpeningShare, Share};
use hospes_service::holding::order::{FetchRequest, HoldState, Order, Receipt};
use hospes_service::messages::{
    Answer, BlockItem, Channel, Collection, Delivery, Gossip, HeaderItem, HeaderRun, Part, PartOf, Position,
    Request, SealedSubjectKey, SnapshotOffer,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::decoders::NET;

const T0: u64 = 1_790_000_000_000;

/// Which golden vectors are inputs of which decoder.
const FROM_VECTORS: [(&str, &str); 45] = [
    ("genesis", "genesis"),
    ("content", "content"),
    ("body", "body"),
    ("header", "header"),
    ("sign1", "header"),
    ("signed-vote", "signed vote"),
    ("certificate", "commit certificate"),
    ("block", "block"),
    ("validator-set", "validator set"),
    ("state-snapshot", "state after genesis"),
    ("organization", "1 organization"),
    ("node", "2 node"),
    ("validator-set-entry", "3 validator set"),
    ("practitioner", "4 practitioner"),
    ("role", "5 role"),
    ("policy", "6 policy"),
    ("committee", "7 committee"),
    ("dkg", "9 dkg"),
    ("checkpoint", "8 checkpoint"),
    ("organization-key", "10 organization key"),
    ("patient", "16 patient"),
    ("card", "17 card"),
    ("locker", "18 locker"),
    ("proxy", "23 proxy"),
    ("break-glass-request", "32 request"),
    ("release", "33 release"),
    ("close", "34 close"),
    ("review", "35 review"),
    ("approval-statement", "approval statement"),
    ("release-statement", "release statement"),
    ("record", "19 record"),
    ("record", "20 amendment"),
    ("grant", "21 grant"),
    ("revocation", "22 revocation of entries"),
    ("revocation", "22 revocation of a grantee"),
    ("revocation", "22 revocation of everything"),
    ("access", "24 access"),
    ("erasure", "25 erasure"),
    ("erasure-receipt", "26 receipt"),
    ("handover", "handover"),
    ("trusted-block", "checkpoint"),
    ("former-card", "former card"),
    ("lock-part", "lock part"),
    ("lock-proof", "lock proof"),
    ("range", "range"),
];

/// Where the inputs are kept, a folder for each decoder.
pub(crate) fn corpus() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus"))
}

/// What is kept for a decoder, by name.
pub(crate) fn kept(decoder: &str) -> Vec<(String, Vec<u8>)> {
    let Ok(folder) = fs::read_dir(corpus().join(decoder)) else { return Vec::new() };
    let mut files: Vec<_> = folder.map(|file| file.unwrap().path()).collect();
    files.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    files.iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}

/// A seed: decoder, name, bytes.
pub(crate) type Seed = (&'static str, &'static str, Vec<u8>);

/// All of them.
pub(crate) fn seeds() -> Vec<Seed> {
    let vectors = FROM_VECTORS.map(|(decoder, name)| (decoder, name, vector(name)));
    let parts = [small(), proofs(), sealed(), consensus(), gossip_and_channel(), requests(), answers()];
    let rest = [holding(), net(), clinical(), vec![("soft-card", "patient", soft_card())]];
    vectors.into_iter().chain(parts.into_iter().flatten()).chain(rest.into_iter().flatten()).collect()
}

/// A golden vector of `protocol`.
pub(crate) fn vector(name: &str) -> Vec<u8> {
    frozen(concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/vectors/format-1.json"), name)
}

fn breakglass_vector(name: &str) -> Vec<u8> {
    frozen(concat!(env!("CARGO_MANIFEST_DIR"), "/../breakglass/vectors/format-1.json"), name)
}

fn frozen(path: &str, name: &str) -> Vec<u8> {
    let document: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let vectors = document["vectors"].as_array().unwrap();
    let found = vectors.iter().find(|v| v["name"] == name).unwrap_or_else(|| panic!("no vector {name}"));
    data_encoding::HEXLOWER.decode(found["bytes"].as_str().unwrap().as_bytes()).unwrap()
}

fn signer() -> SoftwareSigner {
    SoftwareSigner::from_seed(&[4; 32])
}

fn agreement() -> SoftwareAgreement {
    SoftwareAgreement::from_secret(&[5; 32])
}

fn node() -> NodeId {
    NodeId(signer().verifying_key().id().0)
}

fn certificate() -> CommitCertificate {
    CommitCertificate::decode(&vector("commit certificate")).unwrap()
}

fn vote() -> SignedVote {
    SignedVote::decode(&vector("signed vote")).unwrap()
}

fn small() -> Vec<Seed> {
    let identity = Identity {
        family: "Lovelace".into(),
        given: vec!["Ada".into(), "Augusta".into()],
        birth_date: "1815-12-10".into(),
        postal_code: "SW1Y".into(),
        national_id: Some("0001".into()),
    };
    let tap = TapPayload { text_hash: [1; 32], language: "en".into(), root: [2; 32] };
    let (key, escrow) = (KeyId([3; 32]), KeyId([4; 32]));
    let label = EscrowLabel { network: NET, key, tier: Tier::Full, escrow, holder: [5; 32] };
    let (request, signed) = (ContentId([6; 32]), Bytes(vec![7; 8]));
    let approval = Approval { person: PersonId([8; 32]), index: 1, signed, share: [9; 96] };
    let opening = OpeningShare { release: request, half: Half::Ledger, index: 2, sealed: Bytes(vec![10; 8]) };
    let public = EscrowPublic { tier: Tier::Summary, key: agreement().agreement_key(), staged: true };
    vec![
        ("identity", "ada", identity.encode()),
        ("verifying-key", "ed25519", signer().verifying_key().encode()),
        ("agreement-key", "x25519", agreement().agreement_key().encode()),
        ("tap-payload", "tap", tap.encode()),
        ("escrow-public", "summary", public.encode()),
        ("escrow-label", "full", label.encode()),
        ("sealed-escrow", "sealed", breakglass_vector("SealedEscrow")),
        ("card-sealed-escrow", "sealed", breakglass_vector("CardSealedEscrow")),
        ("witness-sealed-escrow", "sealed", breakglass_vector("WitnessSealedEscrow")),
        ("witness-link", "link", vector("witness link")),
        ("share", "approval", Share::Approval(ApprovalShare { request, approval }).encode()),
        ("share", "opening", Share::Opening(opening).encode()),
        ("ceremony", "deal", breakglass_vector("Said::Deal")),
        ("ceremony", "complaint", breakglass_vector("Said::Complain")),
        ("ceremony", "answer", breakglass_vector("Said::Answer")),
        ("ceremony", "proof", breakglass_vector("Said::Prove")),
    ]
}

fn proofs() -> Vec<Seed> {
    let range = RangeProof::decode(&vector("range proof")).unwrap();
    let lock = LockProof::decode(&vector("lock proof")).unwrap();
    let (membership, frontiers, locks) = ([1; 32], [2; 32], [3; 32]);
    let standing = StandingProof { membership, frontiers, locks, range: range.clone(), lock: Some(lock) };
    vec![("range-proof", "range proof", range.encode()), ("standing-proof", "standing", standing.encode())]
}

fn sealed() -> Vec<Seed> {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let to = agreement().agreement_key();
    let envelope = seal_to(&to, Context::Packet, &NET, b"what is inside", &mut rng).unwrap();
    let mut packet = Enc::default();
    packet.array(4).u64(1).bytes(&[10; 32]).u64(3).array(2);
    packet.array(4).u64(2).u64(1).u64(1).bytes(&[1; 32]);
    packet.array(4).u64(2).u64(1).u64(2).bytes(&[2; 32]);
    let size = 3 * SEGMENT_BYTES as u64 - 1000;
    let segments: Vec<_> = (0..3_u8).map(|n| ObjectId::of_segment(&[n])).collect();
    let page = PageFields { format: 1, segments };
    let layout = Layout::of_size(size).unwrap();
    let root = RootPage {
        format: 1,
        record: RecordId([1; 32]),
        size,
        sealed_size: layout.sealed_size(),
        segments: layout.segments(),
        pages: vec![ObjectId::of_structured(&page.encode())],
    };
    vec![
        ("envelope", "x25519", envelope),
        ("packet", "two secrets", packet.into_bytes()),
        ("manifest-root", "three segments", root.encode()),
        ("manifest-page", "three segments", page.encode()),
    ]
}

fn consensus() -> Vec<Seed> {
    let (format, height, round, block) = (1, 7, 3, BlockHash([9; 32]));
    let proposal =
        Proposal { format, network: NET, height, round, block, valid_round: Some(1), proposer: node() };
    let proposal = SignedProposal::sign(proposal, &mut signer()).unwrap();
    let signature = vote().signature;
    let signatures = vec![CommitSignature { validator: node(), signature }];
    let polka = PolkaCertificate { height, round, block, signatures };
    let kind = VoteKind::Precommit;
    let votes = vec![RoundVote { kind, block: None, validator: node(), signature }];
    let rounds = RoundCertificate { height, round, kind: RoundCertificateKind::Skip, votes };
    let elapsed = Elapsed { step: StepTimeout::Prevote, round };
    vec![
        ("engine-message", "vote", ConsensusMessage::Vote(vote()).encode()),
        ("engine-message", "proposal", ConsensusMessage::Proposal(proposal).encode()),
        ("engine-message", "polka", ConsensusMessage::Polka(polka).encode()),
        ("engine-message", "round", ConsensusMessage::Round(rounds).encode()),
        ("wal-entry", "elapsed", WalEntry::Elapsed(elapsed).encode()),
        ("wal-entry", "judged", WalEntry::Judged(Judged { round, block, valid: true }).encode()),
        ("wal-entry", "block", WalEntry::Block(Bytes(vec![1, 2, 3])).encode()),
    ]
}

fn headers() -> Vec<HeaderItem> {
    let header = Bytes(vector("header"));
    let control = Some(Bytes(vector("body")));
    vec![HeaderItem { header: header.clone(), control: None }, HeaderItem { header, control }]
}

fn block_item() -> BlockItem {
    BlockItem { block: Bytes(vector("block")), certificate: certificate() }
}

fn gossip_and_channel() -> Vec<Seed> {
    let engine = ConsensusMessage::Vote(vote()).encode();
    vec![
        ("gossip", "headers", Gossip::Headers(headers()).encode()),
        ("gossip", "decided", Gossip::Decided((certificate(), Some(Bytes(vector("block"))))).encode()),
        ("channel", "engine", Channel::Engine(Bytes(engine)).encode()),
        ("channel", "block", Channel::Block(Bytes(vector("block"))).encode()),
        ("channel", "decided", Channel::Decided(block_item()).encode()),
    ]
}

fn position() -> Position {
    let frontier = Frontier { node: node(), sequence: 5, last: HeaderId([6; 32]) };
    Position { height: 8, block: BlockHash([7; 32]), frontiers: vec![frontier] }
}

fn deliveries() -> Vec<Delivery> {
    vec![Delivery { body: Bytes(vector("body")), packets: vec![Bytes(vec![1, 2, 3])] }]
}

fn requests() -> Vec<Seed> {
    let contents = vec![ContentId([1; 32]), ContentId([2; 32])];
    let authorization = Bytes(vector("header"));
    let runs = vec![HeaderRun { node: node(), from: 1, to: u64::MAX }];
    let signed = || vec![Bytes(vector("header"))];
    let finding = Finding { key: KeyId([3; 32]), authorization: authorization.clone() };
    let collection = Collection { contents: contents.clone(), authorization };
    vec![
        ("request", "position", Request::Position(position()).encode()),
        ("request", "headers", Request::Headers(runs).encode()),
        ("request", "blocks", Request::Blocks(1).encode()),
        ("request", "offer", Request::Offer(contents).encode()),
        ("request", "deliver", Request::Deliver(deliveries()).encode()),
        ("request", "collect", Request::Collect(collection).encode()),
        ("request", "orders", Request::Orders(signed()).encode()),
        ("request", "receipts", Request::Receipts(signed()).encode()),
        ("request", "packets", Request::Packets(vec![ObjectId::of_structured(b"packet")]).encode()),
        ("request", "handovers", Request::Handovers(1).encode()),
        ("request", "snapshot", Request::Snapshot(7).encode()),
        ("request", "snapshot part", Request::SnapshotPart(PartOf { height: 9, part: 1 }).encode()),
        ("request", "find", Request::Find(finding).encode()),
        ("request", "shares", Request::Shares(vec![Bytes(vec![1; 8])]).encode()),
        ("request", "subject keys", Request::SubjectKeys(vec![PatientId([1; 32])]).encode()),
    ]
}

fn answers() -> Vec<Seed> {
    let handover = Handover::decode(&vector("handover")).unwrap();
    let recent = vec![Bytes(vector("block"))];
    let offer =
        SnapshotOffer { item: block_item(), recent, locks: [1; 32], lock_bits: 1, state_bytes: 1_000 };
    let locks = LockPart::decode(&vector("lock part")).unwrap();
    let state = Bytes(vector("state after genesis"));
    let key = SealedSubjectKey { patient: PatientId([1; 32]), sealed: Bytes(vec![1; 100]) };
    vec![
        ("answer", "handovers", Answer::Handovers(vec![handover]).encode()),
        ("answer", "snapshot", Answer::Snapshot(offer).encode()),
        ("answer", "state part", Answer::SnapshotPart(Part::State(state)).encode()),
        ("answer", "locks part", Answer::SnapshotPart(Part::Locks(locks)).encode()),
        ("answer", "packets", Answer::Packets(vec![Bytes(vec![1; 50])]).encode()),
        ("answer", "subject keys", Answer::SubjectKeys(vec![key]).encode()),
        ("answer", "position", Answer::Position(position()).encode()),
        ("answer", "headers", Answer::Headers(headers()).encode()),
        ("answer", "blocks", Answer::Blocks(vec![block_item()]).encode()),
        ("answer", "lacking", Answer::Lacking(vec![ContentId([1; 32])]).encode()),
        ("answer", "verdicts", Answer::Verdicts(vec![0, 306]).encode()),
        ("answer", "bodies", Answer::Bodies(deliveries()).encode()),
        ("answer", "refused", Answer::Refused(101).encode()),
    ]
}

fn holding() -> Vec<Seed> {
    let organization = OrganizationId([2; 32]);
    let root = ObjectId::of_structured(b"manifest");
    let order = Order {
        format: 1,
        network: NET,
        root,
        record: Some(ContentId([3; 32])),
        holder: organization,
        until: u64::MAX,
        issued: T0,
        organization,
        bytes: 1000,
    };
    let receipt = Receipt {
        format: 1,
        network: NET,
        order: StateRoot([4; 32]).0,
        root,
        holder: node(),
        state: HoldState::Held,
        at: T0,
    };
    let fetch = FetchRequest { root, order: Bytes(vector("header")), have: 2 };
    vec![
        ("order", "hold", order.encode()),
        ("receipt", "held", receipt.encode()),
        ("fetch-request", "from two", fetch.encode()),
    ]
}

fn net() -> Vec<Seed> {
    let hello = [&[0, 0, 37][..], &NET.0, b"build"].concat();
    let plain = [&[0, 0, 0, 3][..], b"one", &[0, 0, 0, 0], &[0, 0, 0, 3], b"two"].concat();
    let tagged = [&[0, 0, 0, 0, 3][..], b"one", &[1, 0, 0, 0, 0], &[2, 0, 0, 0, 2], b"no"].concat();
    vec![("greeting", "hello", hello), ("plain-frames", "three", plain), ("tagged-frames", "three", tagged)]
}

fn clinical() -> Vec<Seed> {
    let bundle = br#"{"resourceType":"Bundle","type":"document","entry":[{"fullUrl":"urn:uuid:c","resource":{"resourceType":"Composition","type":{"coding":[{"system":"http://loinc.org","code":"60591-5"}]},"subject":{"reference":"urn:uuid:p"},"title":"Summary","date":"2024-01-02","section":[{"title":"Allergies","code":{"coding":[{"system":"http://loinc.org","code":"48765-2"}]},"entry":[{"reference":"urn:uuid:a"}]}]}},{"fullUrl":"urn:uuid:p","resource":{"resourceType":"Patient","identifier":[{"system":"urn:oid:1","value":"1"}],"name":[{"family":"Lovelace","given":["Ada"]}],"birthDate":"1815-12-10"}},{"fullUrl":"urn:uuid:a","resource":{"resourceType":"AllergyIntolerance","patient":{"reference":"urn:uuid:p"},"code":{"text":"Penicillin"}}}]}"#;
    let document = br#"<ClinicalDocument xmlns="urn:hl7-org:v3"><code code="34133-9" codeSystem="2.16.840.1.113883.6.1"/><title>Chart</title><effectiveTime value="20240102"/><confidentialityCode code="N"/><recordTarget><patientRole><id root="1.2" extension="1"/><patient><name><given>Ada</given><family>Lovelace</family></name><birthTime value="18151210"/></patient></patientRole></recordTarget><component><nonXMLBody><text mediaType="application/pdf" representation="B64">JVBERi0xLjQK</text></nonXMLBody></component></ClinicalDocument>"#;
    vec![
        ("fhir", "summary", bundle.to_vec()),
        ("ccda", "chart", document.to_vec()),
        ("dicom", "report", dicom()),
        ("pdf", "letter", b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n%%EOF\n".to_vec()),
    ]
}

/// A data set with a sequence, explicit VR little endian.
fn dicom() -> Vec<u8> {
    let short = |tag: [u8; 4], vr: &[u8; 2], value: &[u8]| {
        let length = u16::try_from(value.len()).unwrap().to_le_bytes();
        [&tag[..], vr, &length, value].concat()
    };
    let syntax = short([2, 0, 0x10, 0], b"UI", b"1.2.840.10008.1.2.1\0");
    let group = short([2, 0, 0, 0], b"UL", &u32::try_from(syntax.len()).unwrap().to_le_bytes());
    let item = short([0x08, 0, 0x50, 0x11], b"UI", b"1.2.840.10008.1\0");
    let sequence = [&[0x08, 0, 0x40, 0x11, b'S', b'Q', 0, 0, 0xff, 0xff, 0xff, 0xff][..]]
        .into_iter()
        .chain([&[0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff][..], &item])
        .chain([&[0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0, 0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0][..]])
        .flatten()
        .copied()
        .collect::<Vec<u8>>();
    [
        vec![0; 128],
        b"DICM".to_vec(),
        group,
        syntax,
        short([0x08, 0, 0x16, 0], b"UI", b"1.2.840.10008.5.1.4.1.1.88.11\0"),
        short([0x08, 0, 0x60, 0], b"CS", b"SR"),
        sequence,
        short([0x10, 0, 0x10, 0], b"PN", b"Lovelace^Ada"),
        short([0x10, 0, 0x20, 0], b"LO", b"1 "),
        short([0x10, 0, 0x30, 0], b"DA", b"18151210"),
    ]
    .concat()
}

fn soft_card() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ada.card");
    let spec = SoftCardSpec { cost: PinCost::cheap_for_tests(), ..SoftCardSpec::new(HolderKind::Patient) };
    let (pin, puk) = (Pin::new("271828").unwrap(), Puk::new("31415926").unwrap());
    spec.create(&path, &pin, &puk, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
    fs::read(path).unwrap()
}
