//! Messages between nodes, beside those of the consensus engine. All are deterministic CBOR.
//!
//! Gossip carries news to everyone; the validators' channel carries votes and blocks; requests carry what
//! one node asks of another. Every answer is bounded by [`ANSWER_BYTES_MAX`] and comes in pages.

use hospes_protocol::accumulator::LockPart;
use hospes_protocol::block::CommitCertificate;
use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::ids::{BlockHash, ContentId, NodeId, ObjectId, PatientId};
use hospes_protocol::limits::ANSWER_BYTES_MAX;
use hospes_protocol::state::{Frontier, Handover};
use hospes_protocol::wire::{Bytes, Wire, items_within};
use hospes_protocol::{wire_struct, wire_union};

use crate::emergency::Finding;

wire_struct! {
    /// A header, with its body where that belongs into the block.
    pub struct HeaderItem {
        /// The COSE_Sign1.
        pub header: Bytes,
        /// The body of a control kind.
        pub control: Option<Bytes>,
    }
}

wire_struct! {
    /// A block and what made it final.
    pub struct BlockItem {
        /// The block.
        pub block: Bytes,
        /// Its certificate.
        pub certificate: CommitCertificate,
    }
}

wire_union! {
    /// On the network's gossip topic.
    pub enum Gossip {
        /// New headers of one node, in order.
        Headers(Vec<HeaderItem>) = 1,
        /// A block became final; null in place of a block that is too large for gossip.
        Decided((CommitCertificate, Option<Bytes>)) = 2,
    }
}

wire_union! {
    /// On the validators' channel.
    pub enum Channel {
        /// A message of the consensus engine.
        Engine(Bytes) = 1,
        /// A proposed block.
        Block(Bytes) = 2,
        /// A decided height, for a validator that still votes on it.
        Decided(BlockItem) = 3,
    }
}

wire_struct! {
    /// How far a node is.
    pub struct Position {
        /// Its newest certified block.
        pub height: u64,
        /// Its hash.
        pub block: BlockHash,
        /// Its last known header of each node, final or not.
        pub frontiers: Vec<Frontier>,
    }
}

wire_struct! {
    /// A run of one node's headers.
    pub struct HeaderRun {
        /// The node.
        pub node: NodeId,
        /// The first sequence number.
        pub from: u64,
        /// The last.
        pub to: u64,
    }
}

wire_struct! {
    /// A state that a node offers to one that was away.
    pub struct SnapshotOffer {
        /// The block that the state follows.
        pub item: BlockItem,
        /// The blocks below it, newest first, as many as name the turns of proposers.
        pub recent: Vec<Bytes>,
        /// Root of the closed locks.
        pub locks: [u8; 32],
        /// The locks come in 2 to the power of so many parts.
        pub lock_bits: u64,
        /// The state without its locks, in bytes.
        pub state_bytes: u64,
    }
}

wire_struct! {
    /// A part of an offered state: first those of the state, then those of its locks.
    pub struct PartOf {
        /// The height of the state.
        pub height: u64,
        /// The number of the part, from 0.
        pub part: u64,
    }
}

wire_union! {
    /// A part of an offered state.
    pub enum Part {
        /// Bytes of the state, in order.
        State(Bytes) = 1,
        /// Closed locks, with the path to the root of all.
        Locks(LockPart) = 2,
    }
}

wire_union! {
    /// What one node asks of another.
    pub enum Request {
        /// Say how far you are; here is how far I am.
        Position(Position) = 1,
        /// Headers of these runs, as many as fit.
        Headers(Vec<HeaderRun>) = 2,
        /// Blocks from this height on, as many as fit.
        Blocks(u64) = 3,
        /// Which of these bodies do you lack? They are offered because their audience includes you.
        Offer(Vec<ContentId>) = 4,
        /// Bodies that were lacking, with the sealed packets that they name.
        Deliver(Vec<Delivery>) = 5,
        /// Bodies of a patient, against an authorization signed by the patient's card.
        Collect(Collection) = 6,
        /// Orders to hold or drop objects, each a COSE_Sign1.
        Orders(Vec<Bytes>) = 7,
        /// Receipts for what was ordered, each a COSE_Sign1.
        Receipts(Vec<Bytes>) = 8,
        /// Packets of the key of the organization that both are nodes of.
        Packets(Vec<ObjectId>) = 9,
        /// K of patients, for a node of the same organization.
        SubjectKeys(Vec<PatientId>) = 10,
        /// Handovers to other validators, by blocks from this height on.
        Handovers(u64) = 11,
        /// A state above this height.
        Snapshot(u64) = 12,
        /// A part of an offered state.
        SnapshotPart(PartOf) = 13,
        /// What a break-glass request stands on, of the patient whose card has a key.
        Find(Finding) = 14,
        /// Approvals and opening shares of break-glass, each a [`Share`](crate::emergency::Share).
        Shares(Vec<Bytes>) = 15,
    }
}

wire_struct! {
    /// A body on its way to its audience.
    pub struct Delivery {
        /// The body.
        pub body: Bytes,
        /// Packets that it names and that the receiver is to hold.
        pub packets: Vec<Bytes>,
    }
}

wire_struct! {
    /// What a patient signed in at one node asks of the others.
    pub struct Collection {
        /// The contents, found by their subjects.
        pub contents: Vec<ContentId>,
        /// COSE_Sign1 of the patient's card over [node, time], context `session`.
        pub authorization: Bytes,
    }
}

wire_struct! {
    /// K of a patient on its way between nodes of one organization.
    pub struct SealedSubjectKey {
        /// Whose.
        pub patient: PatientId,
        /// Sealed to the node that asked.
        pub sealed: Bytes,
    }
}

wire_union! {
    /// What the other answers.
    pub enum Answer {
        /// To `Position`.
        Position(Position) = 1,
        /// To `Headers`.
        Headers(Vec<HeaderItem>) = 2,
        /// To `Blocks`.
        Blocks(Vec<BlockItem>) = 3,
        /// To `Offer`: those that are lacking.
        Lacking(Vec<ContentId>) = 4,
        /// To `Deliver`, `Orders`, `Receipts` and `Shares`: one number for each item, 0 for accepted, else the check.
        Verdicts(Vec<u64>) = 5,
        /// To `Collect` and `Find`.
        Bodies(Vec<Delivery>) = 6,
        /// Refused as a whole, with the check.
        Refused(u64) = 7,
        /// To `Packets`: those that are here.
        Packets(Vec<Bytes>) = 8,
        /// To `SubjectKeys`: those that are here.
        SubjectKeys(Vec<SealedSubjectKey>) = 9,
        /// To `Handovers`, in order, as many as fit.
        Handovers(Vec<Handover>) = 10,
        /// To `Snapshot`.
        Snapshot(SnapshotOffer) = 11,
        /// To `SnapshotPart`.
        SnapshotPart(Part) = 12,
    }
}

/// Data items in one message, at most: 64 blocks with certificates of 64 validators come to 13,000, and bodies with
/// their packets to 40,000. So a message takes a few times its bytes in memory, and not a hundred times.
pub const MESSAGE_ITEMS_MAX: usize = 65_536;

/// Reads a message of a peer.
///
/// # Errors
/// [`Check::TooLarge`] for more than [`MESSAGE_ITEMS_MAX`] items, otherwise as [`Wire::decode`].
pub fn read<T: Wire>(bytes: &[u8]) -> Result<T, Rejected> {
    ensure(items_within(bytes, MESSAGE_ITEMS_MAX), Check::TooLarge)?;
    T::decode(bytes)
}

/// Takes items as long as an answer stays within its limit; items are made one by one, so none is in memory that is
/// not sent, but for the one that no longer fits.
///
/// # Errors
/// The first of `items`.
pub fn page<T: Wire, E>(items: impl Iterator<Item = Result<T, E>>, items_max: usize) -> Result<Vec<T>, E> {
    let (mut out, mut bytes) = (Vec::new(), 64);
    for item in items.take(items_max) {
        let item = item?;
        bytes += item.encode().len();
        if bytes > ANSWER_BYTES_MAX {
            break;
        }
        out.push(item);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_stops_below_the_limit() {
        let mut made = 0;
        let items = (0..100).map(|_| {
            made += 1;
            Ok::<_, ()>(Bytes(vec![0; 100_000]))
        });
        let taken = page(items, 1000).map(|items| items.len());
        assert_eq!(taken, Ok(ANSWER_BYTES_MAX / 100_005), "as many as fit");
        assert_eq!(made, ANSWER_BYTES_MAX / 100_005 + 1, "and no more are made than needed to know");
    }

    #[test]
    fn an_unknown_message_is_refused() {
        assert!(Request::decode(&[0x82, 0x18, 99, 0xf6]).is_err(), "number 99");
        let asked = Request::Blocks(7);
        assert_eq!(Request::decode(&asked.encode()), Ok(asked), "a known one");
    }
}
