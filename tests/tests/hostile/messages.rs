//! Whatever streams of messages a peer sends, signed or not, the node goes on answering the others.
//!
//! Method: streams (`stream`) of lawful steps by three peers, spoilt from a fixed seed; some steps are signed by the
//! peer after they were spoilt. Then single attacks, each beside the honest act that must still work. Replay:
//! cargo test -p hospes-tests --test hostile messages::

use std::panic::{AssertUnwindSafe, catch_unwind};

use hospes_protocol::block::{Block, Cut, Vote, VoteKind};
use hospes_protocol::check::Check;
use hospes_protocol::entry::Header;
use hospes_protocol::ids::{BlockHash, ContentId, ObjectId};
use hospes_protocol::state::{Draft, LedgerState};
use hospes_protocol::wire::{Bytes, Wire as _};
use hospes_service::consensus::Proposal;
use hospes_service::holding::order::{FetchRequest, Order};
use hospes_service::messages::{Answer, Channel, Delivery, Gossip, HeaderRun, Position, Request};

use crate::changes;
use crate::heap::{alone, peak_of};
use crate::seeds::{corpus, kept};
use crate::stream::{self, ANSWER, CERTIFY, CHANNEL, HEADER, OBJECT_REQUEST, PROPOSAL, REQUEST, WAIT, step};
use crate::victim::{T0, Victim, node, organization};

/// Memory that a stream of some kilobytes may cost a node, its own store included, in bytes.
const STREAM_BYTES_MAX: usize = 48 * 1024 * 1024;

/// The first block of a network whose peer 1 has filed one entry.
fn first_block(victim: &Victim, header: &Header) -> Block {
    let state = LedgerState::genesis(&victim.genesis).unwrap();
    let cuts = [Cut { node: node(1), from: 1, to: 1, last: header.id() }];
    let headers = std::slice::from_ref(header);
    let draft = Draft { time: T0 + 10, cuts: &cuts, headers, control: &[], forks: &[] };
    let executed = state.execute(&draft).unwrap();
    Block::over(&state, &draft, &executed, node(1))
}

/// A header of peer 1 and the block that makes it final.
fn filed(victim: &Victim) -> (Header, Block) {
    let item = victim.header(1, |_| ());
    let header = Header::read(&item.header, &victim.genesis.network()).unwrap();
    let block = first_block(victim, &header);
    (header, block)
}

/// Peer 1 files, all but the node certify, peer 2 asks for everything.
fn lawful() -> Vec<u8> {
    let victim = Victim::new();
    let (header, block) = filed(&victim);
    let position = Position { height: 0, block: BlockHash([0; 32]), frontiers: Vec::new() };
    let run = HeaderRun { node: node(1), from: 1, to: 9 };
    [
        step(WAIT, 0, &20_u32.to_le_bytes()),
        step(HEADER, 0, &header.fields().encode()),
        step(CERTIFY, 1, &block.encode()),
        step(REQUEST, 1, &Request::Position(position.clone()).encode()),
        step(REQUEST, 1, &Request::Headers(vec![run]).encode()),
        step(REQUEST, 1, &Request::Blocks(1).encode()),
        step(ANSWER, 0, &Answer::Position(position).encode()),
        step(WAIT, 0, &5_000_u32.to_le_bytes()),
    ]
    .concat()
}

/// Peer 1 proposes the block instead, and votes for it.
fn proposed() -> Vec<u8> {
    let victim = Victim::new();
    let (header, block) = filed(&victim);
    let network = victim.genesis.network();
    let (format, height, round, hash) = (1, 1, 0, block.hash());
    let proposal =
        Proposal { format, network, height, round, block: hash, valid_round: None, proposer: node(1) };
    let vote = |kind, n: u8| {
        let vote = Vote { format, network, kind, height, round, block: Some(hash), validator: node(n) };
        step(12, n - 1, &vote.encode())
    };
    let votes = [VoteKind::Prevote, VoteKind::Precommit]
        .map(|kind| [vote(kind, 1), vote(kind, 2), vote(kind, 3)].concat());
    [
        step(WAIT, 0, &20_u32.to_le_bytes()),
        step(HEADER, 0, &header.fields().encode()),
        step(CHANNEL, 0, &Channel::Block(Bytes(block.encode())).encode()),
        step(PROPOSAL, 0, &proposal.encode()),
        votes.concat(),
        step(WAIT, 0, &10_000_u32.to_le_bytes()),
    ]
    .concat()
}

/// Peer 1 orders, asks for objects, offers and delivers.
fn held() -> Vec<u8> {
    let victim = Victim::new();
    let root = ObjectId::of_structured(b"manifest");
    let order = Order {
        format: 1,
        network: victim.genesis.network(),
        root,
        record: None,
        holder: organization(0),
        until: u64::MAX,
        issued: T0,
        organization: organization(1),
        bytes: 1000,
    };
    let fetch = FetchRequest { root, order: Bytes(vec![1; 64]), have: 0 };
    let delivery = Delivery { body: Bytes(vec![2; 64]), packets: vec![Bytes(vec![3; 16])] };
    [
        step(14, 0, &order.encode()),
        step(WAIT, 0, &3_000_u32.to_le_bytes()),
        step(OBJECT_REQUEST, 0, &fetch.encode()),
        step(6, 0, b"no manifest"),
        step(7, 0, b""),
        step(REQUEST, 0, &Request::Offer(vec![ContentId([1; 32])]).encode()),
        step(REQUEST, 0, &Request::Deliver(vec![delivery.clone()]).encode()),
        step(ANSWER, 0, &Answer::Bodies(vec![delivery]).encode()),
        step(9, 0, b""),
        step(8, 0, b""),
    ]
    .concat()
}

#[test]
fn the_kept_streams_are_taken_and_lead_somewhere() {
    let _alone = alone();
    let folder = corpus().join("stream");
    for (name, bytes) in [("lawful", lawful()), ("proposed", proposed()), ("held", held())] {
        if std::env::var_os("HOSPES_BLESS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(name), &bytes).unwrap();
        }
        let file = kept("stream").into_iter().find(|(file, _)| file == name);
        assert_eq!(file.map(|(_, kept)| kept), Some(bytes), "{name} is kept: run with HOSPES_BLESS=1");
    }
    for (name, bytes) in kept("stream") {
        assert_eq!(stream::run(&bytes), Ok(()), "{name}");
    }
    let mut victim = Victim::new();
    let (header, block) = filed(&victim);
    let item =
        hospes_service::messages::HeaderItem { header: Bytes(header.as_bytes().to_vec()), control: None };
    victim.does(|s| s.on_gossip(node(1), &Gossip::Headers(vec![item]).encode()).map(drop)).unwrap();
    let decided = Gossip::Decided((victim.certify(&block), Some(Bytes(block.encode())))).encode();
    victim.does(|s| s.on_gossip(node(2), &decided).map(drop)).unwrap();
    assert_eq!(victim.service.state().height, 1, "what the lawful stream says makes a block final");
}

#[test]
fn no_stream_of_spoilt_messages_stops_the_node() {
    let _alone = alone();
    let inputs = kept("stream");
    let all: Vec<_> = inputs.iter().map(|(_, bytes)| bytes.clone()).collect();
    let mut tried = 0_u32;
    for (number, (name, good)) in (0..).zip(&inputs) {
        changes::each(good, &all, number, |spoilt| {
            tried += 1;
            // A node costs milliseconds, so every twenty-seventh of the changes is tried; the fuzzer tries the rest.
            if !tried.is_multiple_of(27) {
                return;
            }
            let (run, peak) = peak_of(|| catch_unwind(AssertUnwindSafe(|| stream::run(spoilt))));
            let shown = || data_encoding::HEXLOWER.encode(&spoilt[..spoilt.len().min(4000)]);
            match run {
                Ok(Ok(())) => assert!(peak < STREAM_BYTES_MAX, "{name}: {peak} bytes of memory: {}", shown()),
                Ok(Err(fault)) => panic!("{name}: {fault}: {}", shown()),
                Err(_) => panic!("{name}: the node panics: {}", shown()),
            }
        });
    }
    eprintln!("{} spoilt streams", tried / 27);
    assert!(tried > 5_000, "as many as were meant: {tried}");
}

#[test]
fn a_validator_that_floods_blocks_does_not_keep_out_those_of_others() {
    let _alone = alone();
    let mut victim = Victim::new();
    let (header, block) = filed(&victim);
    let item =
        hospes_service::messages::HeaderItem { header: Bytes(header.as_bytes().to_vec()), control: None };
    victim.does(|s| s.on_gossip(node(1), &Gossip::Headers(vec![item]).encode()).map(drop)).unwrap();
    for n in 0..200 {
        let junk = Block { time: T0 + 20 + n, proposer: node(2), ..block.clone() };
        let junk = Channel::Block(Bytes(junk.encode())).encode();
        victim.does(|s| s.on_channel(node(2), &junk)).unwrap();
    }
    let sent = Channel::Block(Bytes(block.encode())).encode();
    victim.does(|s| s.on_channel(node(1), &sent)).unwrap();
    assert_eq!(victim.service.verdict(&block.hash()), Some(true), "the honest block is judged all the same");
}

#[test]
fn a_peer_that_is_ahead_and_silent_does_not_keep_a_node_behind() {
    let _alone = alone();
    let mut victim = Victim::new();
    let far = Position { height: u64::MAX, block: BlockHash([1; 32]), frontiers: Vec::new() };
    victim.answer(1, &Request::Position(far).encode()).unwrap();
    let is_asked = |victim: &Victim, n: u8, what: &Request| {
        victim.asked.iter().any(|(_, to, bytes)| *to == node(n) && *bytes == what.encode())
    };
    victim.wakes(T0 + 3_000).unwrap();
    assert!(is_asked(&victim, 1, &Request::Handovers(1)), "the liar is asked for what leads to its state");
    let honest = Request::Position(Position { height: 1, block: BlockHash([2; 32]), frontiers: Vec::new() });
    victim.answer(2, &honest.encode()).unwrap();
    assert!(!is_asked(&victim, 2, &Request::Blocks(1)), "who is ahead by a block waits while it is");
    victim.wakes(T0 + 6_000).unwrap();
    victim.answer(2, &honest.encode()).unwrap();
    assert!(
        is_asked(&victim, 2, &Request::Blocks(1)),
        "for two seconds, as the silent one keeps up nobody for longer"
    );
}

#[test]
fn every_peer_is_asked_where_it_is_though_one_is_silent() {
    let _alone = alone();
    let mut victim = Victim::new();
    let connected = victim.asked.len();
    for n in 1..=4 {
        victim.wakes(T0 + n * 4_000).unwrap();
        let (silent, others): (Vec<_>, Vec<_>) =
            victim.asked.drain(..).partition(|(_, to, _)| *to == node(1));
        assert!(silent.len() <= connected, "who has not answered isn't asked again");
        for (id, to, bytes) in others {
            assert!(matches!(Request::decode(&bytes), Ok(Request::Position(_))), "asked where it is");
            let position = Position { height: 0, block: BlockHash([0; 32]), frontiers: Vec::new() };
            let answer = Answer::Position(position).encode();
            victim.does(|s| s.on_response(to, id, Some(&answer))).unwrap();
        }
    }
    victim.wakes(T0 + 40_000).unwrap();
    for n in 2..4 {
        assert!(victim.asked.iter().any(|(_, to, _)| *to == node(n)), "peer {n} is asked again");
    }
}

#[test]
fn what_a_peer_spoils_is_blamed_on_it_and_not_on_others() {
    let _alone = alone();
    let mut victim = Victim::new();
    let forged = victim.header(1, |fields| fields.node = node(2));
    let gossip = Gossip::Headers(vec![forged]).encode();
    victim.does(|s| s.on_gossip(node(3), &gossip).map(drop)).unwrap();
    victim.does(|s| s.on_gossip(node(1), &[0x9f]).map(drop)).unwrap();
    let hostile: Vec<_> = victim.blamed.iter().filter(|(_, check)| *check == Check::Malformed).collect();
    assert_eq!(hostile, [&(node(1), Check::Malformed)], "who sent no message at all is named");
    let good = Gossip::Headers(vec![victim.header(2, |_| ())]).encode();
    let relayed = victim.service.on_gossip(node(1), &good).unwrap();
    assert!(relayed, "and what it sends next is judged on its own");
}
