//! Orders, receipts and the request for an object: what is signed, and how it is judged.
//!
//! An order says that one organization wants another to hold a blob, under its manifest's root, until a time;
//! time zero drops it. A holder answers with receipts. Both are COSE_Sign1 of a node, so anyone may carry
//! them. Who is to hold what is `give`'s.

use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::context::Context;
use hospes_protocol::entry::FORMAT;
use hospes_protocol::ids::{ContentId, NetworkId, NodeId, ObjectId, OrganizationId, sha256};
use hospes_protocol::sign1::{Sign1, sign1};
use hospes_protocol::state::LedgerState;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_protocol::{wire_enum, wire_struct};

use crate::service::{Fatal, Service};

/// A signed order or receipt in bytes, at most; both come to about 400.
pub const SIGNED_BYTES_MAX: usize = 1024;

wire_struct! {
    /// What a node orders of another organization, or of its own.
    pub struct Order {
        /// [`FORMAT`].
        pub format: u64,
        /// The network.
        pub network: NetworkId,
        /// The root of the blob's manifest.
        pub root: ObjectId,
        /// The record that it belongs to, so that a holder of its body can judge the order.
        pub record: Option<ContentId>,
        /// Whose nodes are to hold it.
        pub holder: OrganizationId,
        /// Until when, in milliseconds since 1970 UTC; 0 to drop it, `u64::MAX` for no end.
        pub until: u64,
        /// When it was signed, in milliseconds since 1970 UTC; a later one replaces an earlier one.
        pub issued: u64,
        /// The ordering organization, against whose quota it counts.
        pub organization: OrganizationId,
        /// Sealed bytes of the blob, at most.
        pub bytes: u64,
    }
}

wire_enum! {
    /// What became of an order at one node.
    pub enum HoldState {
        /// All of it is here and was checked.
        Held = 1,
        /// It is here no more.
        Dropped = 2,
        /// There was no room for it.
        Refused = 3,
    }
}

wire_struct! {
    /// What a holder says of an order.
    pub struct Receipt {
        /// [`FORMAT`].
        pub format: u64,
        /// The network.
        pub network: NetworkId,
        /// SHA-256 of the signed order.
        pub order: [u8; 32],
        /// The root of the blob's manifest.
        pub root: ObjectId,
        /// The node that says so.
        pub holder: NodeId,
        /// What became of it.
        pub state: HoldState,
        /// When, in milliseconds since 1970 UTC.
        pub at: u64,
    }
}

wire_struct! {
    /// A node asks another for a blob: the answer streams root, pages, and segments from `have` on.
    pub struct FetchRequest {
        /// The root of the blob's manifest.
        pub root: ObjectId,
        /// The signed order that makes the asking node a holder.
        pub order: Bytes,
        /// The first segment that is missing.
        pub have: u64,
    }
}

/// An order whose signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOrder {
    /// What it says.
    pub order: Order,
    /// The node that signed it.
    pub issuer: NodeId,
    /// As received.
    pub bytes: Vec<u8>,
}

impl SignedOrder {
    /// SHA-256 of the signed bytes, by which receipts name the order.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        sha256(&[&self.bytes])
    }
}

/// The payload of a message that an active node signed, with that node and its organization.
fn signed_by_node(
    bytes: &[u8],
    context: Context,
    state: &LedgerState,
) -> Result<(Vec<u8>, NodeId, OrganizationId), Rejected> {
    ensure(bytes.len() <= SIGNED_BYTES_MAX, Check::TooLarge)?;
    let message = Sign1::parse(bytes)?;
    let id = NodeId(message.kid().0);
    let node = state.membership.node(&id).ok_or(Check::UnknownNode)?;
    message.verify(&node.key, context, &state.network)?;
    Ok((message.payload().to_vec(), id, node.organization))
}

/// Reads an order and verifies that a node of the ordering organization signed it.
///
/// # Errors
/// Checks 101 to 106, 201 to 203, 310; [`Check::WrongOrganization`] where the signer is of another one.
pub fn read_order(bytes: &[u8], state: &LedgerState) -> Result<SignedOrder, Rejected> {
    let (payload, issuer, organization) = signed_by_node(bytes, Context::Order, state)?;
    let order = Order::decode(&payload)?;
    ensure(order.format == FORMAT, Check::UnknownFormat)?;
    ensure(order.network == state.network, Check::WrongNetwork)?;
    ensure(order.organization == organization, Check::WrongOrganization)?;
    Ok(SignedOrder { order, issuer, bytes: bytes.to_vec() })
}

/// Reads a receipt and verifies that the holder signed it.
///
/// # Errors
/// Checks 101 to 106, 201 to 203, 310; [`Check::WrongSigner`] where another node signed it.
pub fn read_receipt(bytes: &[u8], state: &LedgerState) -> Result<Receipt, Rejected> {
    let (payload, signer, _) = signed_by_node(bytes, Context::Receipt, state)?;
    let receipt = Receipt::decode(&payload)?;
    ensure(receipt.format == FORMAT, Check::UnknownFormat)?;
    ensure(receipt.network == state.network, Check::WrongNetwork)?;
    ensure(receipt.holder == signer, Check::WrongSigner)?;
    Ok(receipt)
}

impl Service {
    fn sign_as_node(&mut self, context: Context, payload: &[u8]) -> Result<Vec<u8>, Fatal> {
        sign1(&mut self.me.signer, context, &self.network, payload)
            .map_err(|e| Fatal::Engine(format!("the node key: {e}")))
    }

    /// Signs an order of this node.
    pub(crate) fn sign_order(&mut self, order: &Order) -> Result<Vec<u8>, Fatal> {
        self.sign_as_node(Context::Order, &order.encode())
    }

    /// Signs a receipt of this node for an order.
    pub(crate) fn sign_receipt(&mut self, order: &SignedOrder, state: HoldState) -> Result<Vec<u8>, Fatal> {
        let receipt = Receipt {
            format: FORMAT,
            network: self.network,
            order: order.hash(),
            root: order.order.root,
            holder: self.me.node,
            state,
            at: self.now,
        };
        self.sign_as_node(Context::Receipt, &receipt.encode())
    }
}
