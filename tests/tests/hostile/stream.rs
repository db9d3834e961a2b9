//! A stream of messages into a running node: the entry that the fuzzer drives, and its form.
//!
//! ```text
//! step      operation (1 byte)   peer (1 byte)   length (2 bytes, little-endian)   bytes
//! ```
//!
//! Operations deliver bytes as each kind of message, answer what the node asked, fire timers, connect and leave; some
//! sign what they are given with the peer's key first, so that the stream gets past signatures. A cut step ends the
//! stream. It panics where the node does, and gives what is wrong otherwise.

use hospes_protocol::block::{Block, SignedVote, Vote};
use hospes_protocol::context::Context;
use hospes_protocol::entry::HeaderFields;
use hospes_protocol::limits::ANSWER_BYTES_MAX;
use hospes_protocol::sign1::sign1;
use hospes_protocol::wire::{Bytes, Wire as _};
use hospes_service::consensus::{ConsensusMessage, Proposal, SignedProposal};
use hospes_service::holding::order::Order;
use hospes_service::messages::{Channel, Gossip, HeaderItem, Request};
use hospes_service::service::Fatal;

use crate::victim::{T0, VALIDATORS, Victim, node, signer};

/// Steps of one stream, at most.
const STEPS_MAX: usize = 256;

/// What a step does with its bytes.
pub(crate) const GOSSIP: u8 = 0;
/// See [`GOSSIP`].
pub(crate) const CHANNEL: u8 = 1;
/// See [`GOSSIP`].
pub(crate) const REQUEST: u8 = 2;
/// The oldest request of the node is answered with the bytes.
pub(crate) const ANSWER: u8 = 3;
const SILENCE: u8 = 4;
/// See [`GOSSIP`].
pub(crate) const OBJECT_REQUEST: u8 = 5;
const FRAME: u8 = 6;
const END: u8 = 7;
const CONNECT: u8 = 8;
const LEAVE: u8 = 9;
/// Time passes, by as many milliseconds as the bytes say (little-endian), and what is due is done.
pub(crate) const WAIT: u8 = 10;
/// The bytes are the fields of a header; the peer signs it.
pub(crate) const HEADER: u8 = 11;
const VOTE: u8 = 12;
/// The bytes are a proposal; the peer signs it.
pub(crate) const PROPOSAL: u8 = 13;
const ORDER: u8 = 14;
/// The bytes are a block; all peers certify it.
pub(crate) const CERTIFY: u8 = 15;
const OPERATIONS: u8 = 16;

/// One step in bytes.
pub(crate) fn step(operation: u8, peer: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_le_bytes();
    [&[operation, peer], &length[..], bytes].concat()
}

/// Drives a fresh node with a stream; gives what is wrong.
pub(crate) fn run(stream: &[u8]) -> Result<(), String> {
    let mut victim = Victim::new();
    let mut rest = stream;
    for _ in 0..STEPS_MAX {
        let Some((&[operation, peer, low, high], after)) = rest.split_first_chunk() else { break };
        let Some((bytes, after)) = after.split_at_checked(usize::from(u16::from_le_bytes([low, high])))
        else {
            break;
        };
        rest = after;
        take(&mut victim, operation % OPERATIONS, 1 + peer % (VALIDATORS - 1), bytes)
            .map_err(|fatal| format!("the node stops: {fatal}"))?;
        if victim.longest > ANSWER_BYTES_MAX || victim.answers.values().any(|a| a.len() > ANSWER_BYTES_MAX) {
            return Err("a message is longer than may be sent".into());
        }
        victim.answers.clear();
    }
    if victim.is_well() { Ok(()) } else { Err("the node answers no more".into()) }
}

fn take(victim: &mut Victim, operation: u8, peer: u8, bytes: &[u8]) -> Result<(), Fatal> {
    let from = node(peer);
    match operation {
        GOSSIP => victim.does(|s| s.on_gossip(from, bytes).map(drop)),
        CHANNEL => victim.does(|s| s.on_channel(from, bytes)),
        REQUEST => victim.answer(peer, bytes).map(drop),
        ANSWER | SILENCE => answered(victim, (operation == ANSWER).then_some(bytes)),
        OBJECT_REQUEST => victim.does(|s| s.on_object_request(from, u64::MAX, bytes)),
        FRAME => victim.does(|s| s.on_object_frame(u64::from(peer), bytes)),
        END => victim.does(|s| s.on_object_end(u64::from(peer), bytes.is_empty())),
        CONNECT => victim.does(|s| s.on_connected(from)),
        LEAVE => victim.does(|s| {
            s.on_disconnected(from);
            Ok(())
        }),
        WAIT => {
            let ms = bytes.iter().take(4).rev().fold(0, |ms, byte| ms << 8 | u64::from(*byte));
            victim.wakes(victim.service.now().max(T0) + ms)
        }
        _ => signed(victim, operation, peer, bytes),
    }
}

/// The oldest request of the node is answered, by the peer that it went to.
fn answered(victim: &mut Victim, bytes: Option<&[u8]>) -> Result<(), Fatal> {
    if victim.asked.is_empty() {
        return Ok(());
    }
    let (id, to, _) = victim.asked.remove(0);
    victim.does(|s| s.on_response(to, id, bytes))
}

/// What the peer signs before it sends it. Bytes that are nothing to sign do nothing.
fn signed(victim: &mut Victim, operation: u8, peer: u8, bytes: &[u8]) -> Result<(), Fatal> {
    let (from, mut key, network) = (node(peer), signer(peer), victim.genesis.network());
    let engine = |message: ConsensusMessage| Channel::Engine(Bytes(message.encode())).encode();
    match operation {
        HEADER => {
            let Ok(fields) = HeaderFields::decode(bytes) else { return Ok(()) };
            let Ok(header) = sign1(&mut key, Context::Header, &network, &fields.encode()) else {
                return Ok(());
            };
            let item = HeaderItem { header: Bytes(header), control: None };
            let gossip = Gossip::Headers(vec![item]).encode();
            victim.does(|s| s.on_gossip(from, &gossip).map(drop))
        }
        VOTE => {
            let Ok(vote) = Vote::decode(bytes) else { return Ok(()) };
            let Ok(vote) = SignedVote::sign(vote, &mut key) else { return Ok(()) };
            let message = engine(ConsensusMessage::Vote(vote));
            victim.does(|s| s.on_channel(from, &message))
        }
        PROPOSAL => {
            let Ok(proposal) = Proposal::decode(bytes) else { return Ok(()) };
            let Ok(proposal) = SignedProposal::sign(proposal, &mut key) else { return Ok(()) };
            let message = engine(ConsensusMessage::Proposal(proposal));
            victim.does(|s| s.on_channel(from, &message))
        }
        ORDER => {
            let Ok(order) = Order::decode(bytes) else { return Ok(()) };
            let Ok(order) = sign1(&mut key, Context::Order, &network, &order.encode()) else { return Ok(()) };
            victim.answer(peer, &Request::Orders(vec![Bytes(order)]).encode()).map(drop)
        }
        _ => {
            let Ok(block) = Block::read(bytes, &network) else { return Ok(()) };
            let certificate = victim.certify(&block);
            let gossip = Gossip::Decided((certificate, Some(Bytes(bytes.to_vec())))).encode();
            victim.does(|s| s.on_gossip(from, &gossip).map(drop))
        }
    }
}
