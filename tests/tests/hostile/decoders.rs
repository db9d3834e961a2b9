//! Everything that takes bytes from outside, by name: the table that the mutation tests and the fuzzer share.
//!
//! An entry reads bytes as the program does and then does with the value what the program does before it knows more
//! (judging its form, verifying a proof), so that what reads is also safe to use. It neither mutates nor judges;
//! `mutations` and `tests/fuzz` do. Entries that need a node are in `stream`.

use std::io::Write as _;

use hospes_breakglass::ceremony::Said;
use hospes_breakglass::escrow::{
    CardSealedEscrow, EscrowLabel, EscrowPublic, SealedEscrow, WitnessSealedEscrow,
};
use hospes_breakglass::threshold::{Index, Threshold};
use hospes_protocol::accumulator::{LockPart, LockProof, Range, RangeProof};
use hospes_protocol::block::{Block, CommitCertificate, SignedVote, ValidatorSet};
use hospes_protocol::context::Context;
use hospes_protocol::control::{
    CheckpointEntry, CommitteeEntry, DkgEntry, NodeEntry, OrganizationEntry, OrganizationKeyEntry,
    PolicyEntry, PractitionerEntry, RoleEntry, ValidatorSetEntry,
};
use hospes_protocol::emergency::{
    ApprovalStatement, CloseEntry, ReleaseEntry, ReleaseStatement, RequestEntry, ReviewEntry, WitnessLink,
};
use hospes_protocol::entry::{Content, Header};
use hospes_protocol::genesis::Genesis;
use hospes_protocol::ids::{HeaderId, Lock, NetworkId, ObjectId, PatientId};
use hospes_protocol::keys::{AgreementKey, KeyAgreement as _, SoftwareAgreement, VerifyingKey};
use hospes_protocol::patient::Identity;
use hospes_protocol::personal::{
    AccessEntry, CardEntry, ErasureEntry, ErasureReceipt, GrantEntry, LockerEntry, PatientEntry, ProxyEntry,
    RecordEntry, RevocationEntry,
};
use hospes_protocol::policy::Personal;
use hospes_protocol::seal::envelope::{Envelope, seal_to};
use hospes_protocol::seal::manifest::{RootPage, Segment};
use hospes_protocol::seal::packet::open_packet;
use hospes_protocol::sign1::Sign1;
use hospes_protocol::state::{
    Checkpoint, FormerCardEntry, Handover, LedgerState, StandingProof, StateSnapshot,
};
use hospes_protocol::tap::{Body, TapPayload};
use hospes_protocol::wire::Wire;
use hospes_service::consensus::{ConsensusMessage, WalEntry};
use hospes_service::emergency::Share;
use hospes_service::holding::order::{FetchRequest, Order, Receipt};
use hospes_service::messages::{Answer, Channel, Gossip, Request};

/// The network of the golden vectors.
pub(crate) const NET: NetworkId = NetworkId([0xa0; 32]);

/// What became of bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// They were refused.
    Refused,
    /// They were read. What their value encodes to, where the form has one encoding.
    Read(Option<Vec<u8>>),
}

/// One way in.
#[derive(Clone, Copy)]
pub(crate) struct Decoder {
    /// Names its folder of kept inputs.
    pub(crate) name: &'static str,
    /// Reads.
    pub(crate) run: fn(&[u8]) -> Outcome,
}

const fn decoder(name: &'static str, run: fn(&[u8]) -> Outcome) -> Decoder {
    Decoder { name, run }
}

fn wire<T: Wire>(bytes: &[u8]) -> Outcome {
    T::decode(bytes).map_or(Outcome::Refused, |value| Outcome::Read(Some(value.encode())))
}

fn read(result: Result<Vec<u8>, impl Sized>) -> Outcome {
    result.map_or(Outcome::Refused, |bytes| Outcome::Read(Some(bytes)))
}

fn seen(understood: bool) -> Outcome {
    if understood { Outcome::Read(None) } else { Outcome::Refused }
}

/// Every way in.
pub(crate) const DECODERS: &[Decoder] = &[
    decoder("genesis", genesis),
    decoder("content", content),
    decoder("body", body),
    decoder("header", |b| read(Header::read(b, &NET).map(|h| h.as_bytes().to_vec()))),
    decoder("block", |b| read(Block::read(b, &NET).map(|block| block.encode()))),
    decoder("signed-vote", wire::<SignedVote>),
    decoder("certificate", certificate),
    decoder("validator-set", wire::<ValidatorSet>),
    decoder("state-snapshot", snapshot),
    decoder("organization", wire::<OrganizationEntry>),
    decoder("node", wire::<NodeEntry>),
    decoder("validator-set-entry", wire::<ValidatorSetEntry>),
    decoder("practitioner", wire::<PractitionerEntry>),
    decoder("role", wire::<RoleEntry>),
    decoder("policy", wire::<PolicyEntry>),
    decoder("committee", wire::<CommitteeEntry>),
    decoder("dkg", wire::<DkgEntry>),
    decoder("checkpoint", wire::<CheckpointEntry>),
    decoder("organization-key", wire::<OrganizationKeyEntry>),
    decoder("patient", wire::<PatientEntry>),
    decoder("card", wire::<CardEntry>),
    decoder("locker", wire::<LockerEntry>),
    decoder("proxy", wire::<ProxyEntry>),
    decoder("break-glass-request", wire::<RequestEntry>),
    decoder("release", wire::<ReleaseEntry>),
    decoder("close", wire::<CloseEntry>),
    decoder("review", wire::<ReviewEntry>),
    decoder("approval-statement", wire::<ApprovalStatement>),
    decoder("release-statement", wire::<ReleaseStatement>),
    decoder("share", wire::<Share>),
    decoder("record", wire::<RecordEntry>),
    decoder("grant", wire::<GrantEntry>),
    decoder("revocation", wire::<RevocationEntry>),
    decoder("access", wire::<AccessEntry>),
    decoder("erasure", wire::<ErasureEntry>),
    decoder("erasure-receipt", wire::<ErasureReceipt>),
    decoder("identity", identity),
    decoder("verifying-key", wire::<VerifyingKey>),
    decoder("agreement-key", wire::<AgreementKey>),
    decoder("tap-payload", wire::<TapPayload>),
    decoder("handover", handover),
    decoder("trusted-block", wire::<Checkpoint>),
    decoder("former-card", wire::<FormerCardEntry>),
    decoder("lock-part", lock_part),
    decoder("lock-proof", lock_proof),
    decoder("range", wire::<Range>),
    decoder("range-proof", range_proof),
    decoder("standing-proof", wire::<StandingProof>),
    decoder("sign1", |b| seen(Sign1::parse(b).is_ok())),
    decoder("envelope", |b| seen(Envelope::parse(b).is_ok())),
    decoder("packet", packet),
    decoder("manifest-root", |b| read(RootPage::read(b).map(|root| root.encode()))),
    decoder("manifest-page", manifest_page),
    decoder("escrow-public", wire::<EscrowPublic>),
    decoder("escrow-label", wire::<EscrowLabel>),
    decoder("sealed-escrow", wire::<SealedEscrow>),
    decoder("card-sealed-escrow", wire::<CardSealedEscrow>),
    decoder("witness-sealed-escrow", wire::<WitnessSealedEscrow>),
    decoder("witness-link", wire::<WitnessLink>),
    decoder("ceremony", ceremony),
    decoder("engine-message", |b| read(ConsensusMessage::read(b, &NET).map(|m| m.encode()))),
    decoder("wal-entry", wire::<WalEntry>),
    decoder("gossip", wire::<Gossip>),
    decoder("channel", wire::<Channel>),
    decoder("request", wire::<Request>),
    decoder("answer", wire::<Answer>),
    decoder("order", wire::<Order>),
    decoder("receipt", wire::<Receipt>),
    decoder("fetch-request", wire::<FetchRequest>),
    decoder("greeting", |b| seen(hospes_net::parsing::greeting(b).is_some())),
    decoder("plain-frames", |b| seen(hospes_net::parsing::plain_frames(b) > 0)),
    decoder("tagged-frames", |b| seen(hospes_net::parsing::tagged_frames(b) > 0)),
    decoder("fhir", import),
    decoder("ccda", import),
    decoder("dicom", import),
    decoder("pdf", import),
    decoder("soft-card", soft_card),
];

fn genesis(bytes: &[u8]) -> Outcome {
    let Ok(genesis) = Genesis::read(bytes) else { return Outcome::Refused };
    read(LedgerState::genesis(&genesis).map(|_| genesis.encode()))
}

/// A content with its payload, as whoever holds the body judges it.
fn content(bytes: &[u8]) -> Outcome {
    let Ok(content) = Content::read(bytes, &NET) else { return Outcome::Refused };
    let _judged = Personal::read(&content);
    Outcome::Read(Some(content.encode()))
}

fn body(bytes: &[u8]) -> Outcome {
    let Ok((body, content)) = Body::read(bytes, &NET) else { return Outcome::Refused };
    let key = SoftwareAgreement::from_secret(&[1; 32]).agreement_key();
    let signer = VerifyingKey::new(hospes_protocol::keys::Algorithm::Ed25519, key.as_bytes());
    for signature in &body.signatures {
        let _kid = signature.kid();
        if let Ok(signer) = &signer {
            let _verified = signature.verify(&content.id(), signer, &NET);
        }
    }
    Outcome::Read(Some(body.encode()))
}

fn certificate(bytes: &[u8]) -> Outcome {
    let Ok(certificate) = CommitCertificate::decode(bytes) else { return Outcome::Refused };
    let _verified = certificate.verify(&NET, &ValidatorSet { validators: Vec::new() });
    Outcome::Read(Some(certificate.encode()))
}

/// The state that a snapshot claims, up to the root that is compared with a certified block.
fn snapshot(bytes: &[u8]) -> Outcome {
    let Ok(snapshot) = StateSnapshot::decode(bytes) else { return Outcome::Refused };
    let encoded = snapshot.encode();
    if let Ok(state) = LedgerState::restore(snapshot, std::iter::empty().collect()) {
        let _root = state.root();
    }
    Outcome::Read(Some(encoded))
}

fn identity(bytes: &[u8]) -> Outcome {
    let Ok(identity) = Identity::decode(bytes) else { return Outcome::Refused };
    if identity.judge().is_ok() {
        let _folded = identity.normalise();
    }
    Outcome::Read(Some(identity.encode()))
}

fn handover(bytes: &[u8]) -> Outcome {
    let Ok(handover) = Handover::decode(bytes) else { return Outcome::Refused };
    let _followed = handover.verify(&NET, &ValidatorSet { validators: Vec::new() });
    Outcome::Read(Some(handover.encode()))
}

fn lock_part(bytes: &[u8]) -> Outcome {
    let Ok(part) = LockPart::decode(bytes) else { return Outcome::Refused };
    let _closed = part.verify(1, 4, &[0; 32]);
    let _alone = part.verify(0, 0, &[0; 32]);
    Outcome::Read(Some(part.encode()))
}

fn lock_proof(bytes: &[u8]) -> Outcome {
    let Ok(proof) = LockProof::decode(bytes) else { return Outcome::Refused };
    let _closed = proof.verify(&Lock([0xff; 32]), &[0; 32]);
    Outcome::Read(Some(proof.encode()))
}

fn range_proof(bytes: &[u8]) -> Outcome {
    let Ok(proof) = RangeProof::decode(bytes) else { return Outcome::Refused };
    let _root = proof.root(&HeaderId([1; 32]));
    Outcome::Read(Some(proof.encode()))
}

/// What a reader finds inside an envelope that anyone could have sealed to it.
fn packet(bytes: &[u8]) -> Outcome {
    let mut reader = SoftwareAgreement::from_secret(&[9; 32]);
    let mut rng = <rand_chacha::ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::seed_from_u64(1);
    let Ok(sealed) = seal_to(&reader.agreement_key(), Context::Packet, &NET, bytes, &mut rng) else {
        return Outcome::Refused;
    };
    seen(open_packet(&sealed, &PatientId([10; 32]), &mut reader, &NET).is_ok())
}

/// The first page of a record of three segments.
// A dealing that reads is judged, and its shares are.
fn ceremony(bytes: &[u8]) -> Outcome {
    read(Said::decode(bytes).map(|said| {
        if let Said::Deal(deal) = &said {
            let (one, threshold) =
                (Index::new(1).expect("the first"), Threshold::new(2, 3).expect("a threshold"));
            let _judged = deal.dealing.check(b"vectors", one, threshold, None);
        }
        said.encode()
    }))
}

fn manifest_page(bytes: &[u8]) -> Outcome {
    let size = 3 * hospes_protocol::limits::SEGMENT_BYTES as u64 - 1000;
    let Ok(layout) = hospes_protocol::seal::layout::Layout::of_size(size) else { return Outcome::Refused };
    let root = RootPage {
        format: 1,
        record: hospes_protocol::ids::RecordId([1; 32]),
        size,
        sealed_size: layout.sealed_size(),
        segments: layout.segments(),
        pages: vec![ObjectId::of_structured(bytes)],
    };
    let Ok(page) = root.page(0, bytes) else { return Outcome::Refused };
    for index in [0, 1, 2, 3, u64::MAX] {
        let _judged = page.segment(index).map(|s: Segment| s.judge(b"other bytes"));
    }
    Outcome::Read(None)
}

fn import(bytes: &[u8]) -> Outcome {
    let understood = hospes_import::inspect(bytes, None).is_ok();
    let _summary = hospes_import::emergency_summary(bytes);
    let _embedded = hospes_import::embedded_documents(bytes);
    seen(understood)
}

fn soft_card(bytes: &[u8]) -> Outcome {
    let mut file = tempfile::NamedTempFile::new().expect("a folder for temporary files");
    file.write_all(bytes).expect("room for a card file");
    seen(hospes_card::soft::SoftCard::open(file.path()).is_ok())
}
