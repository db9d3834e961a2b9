//! A new node follows a ledger block by block: one in which a node filed more than the pool holds of it, and a long one,
//! of which the next blocks are on their way while those before them are taken.
//!
//! Method: the ledger is made directly with the keys of its nodes and put under the one validator. In the first each block
//! orders a full run of one node and one header of another, which comes behind the first in every list.

use hospes_protocol::block::{Block, CommitCertificate, CommitSignature, Cut, SignedVote};
use hospes_protocol::entry::{FORMAT, Header, HeaderFields, Kind};
use hospes_protocol::ids::{ContentId, NodeId, OrganizationId, Subject, sha256};
use hospes_protocol::keys::SoftwareSigner;
use hospes_protocol::limits::HEADERS_PER_ORGANIZATION_MAX;
use hospes_protocol::state::{Draft, LedgerState};
use hospes_protocol::wire::Wire as _;
use hospes_service::pool::PENDING_PER_NODE_MAX;
use hospes_storage::{Commit, HeaderRow, Ledger as _, Store};

use crate::world::World;

/// Who signs headers of which organization.
struct Author {
    node: NodeId,
    organization: OrganizationId,
    signer: SoftwareSigner,
}

fn run(state: &LedgerState, author: &mut Author, count: usize) -> (Cut, Vec<Header>) {
    let (last, mut previous) =
        state.frontiers.get(&author.node).map_or((0, None), |(sequence, id)| (*sequence, Some(*id)));
    let mut fields = Vec::new();
    for sequence in last + 1..=last + count as u64 {
        let next = HeaderFields {
            format: FORMAT,
            network: state.network,
            organization: author.organization,
            node: author.node,
            sequence,
            previous,
            kind: Kind::Record.code(),
            subject: Some(Subject([4; 32])),
            content: ContentId(sha256(&[&author.node.0, &sequence.to_be_bytes()])),
            lock: None,
            reveal: Vec::new(),
            signed_at: state.time,
        };
        previous = Some(next.id());
        fields.push(next);
    }
    let cut = Cut { node: author.node, from: last + 1, to: last + count as u64, last: previous.unwrap() };
    (cut, Header::sign_all(fields, &mut author.signer).unwrap())
}

/// Writes a block that orders so many headers of each, certified by the one validator; gives the state after it.
fn block(
    store: &Store,
    state: &LedgerState,
    validator: &mut Author,
    of: &mut [(Author, usize)],
) -> LedgerState {
    let (mut cuts, mut headers) = (Vec::new(), Vec::new());
    for (author, count) in of {
        let (cut, run) = run(state, author, *count);
        cuts.push(cut);
        headers.extend(run);
    }
    let draft = Draft { time: state.time + 1, cuts: &cuts, headers: &headers, control: &[], forks: &[] };
    let mut executed = state.execute(&draft).unwrap();
    let mut block = Block::over(state, &draft, &executed, validator.node);
    block.last_commit = store.certificate(state.height).unwrap();
    let (height, hash, validators) = (block.height, block.hash(), state.validators.hash());
    let mut certificate =
        CommitCertificate { height, round: 0, block: hash, validators, signatures: Vec::new() };
    let vote = certificate.precommit(&state.network, validator.node);
    let signature = SignedVote::sign(vote, &mut validator.signer).unwrap().signature;
    certificate.signatures.push(CommitSignature { validator: validator.node, signature });
    executed.state.seal(hash);
    store.put_headers(&headers.iter().map(|h| HeaderRow::of(h, None)).collect::<Vec<_>>()).unwrap();
    let headers = executed.outcomes.iter().map(|o| (o.header, o.void)).collect();
    let (closed, range) = (executed.closed, executed.range);
    let (block, state) = (block.encode(), executed.state.encode_snapshot());
    store.commit(&Commit { height, hash, block, certificate, headers, closed, range, state }).unwrap();
    executed.state
}

fn author(w: &World, i: usize) -> Author {
    Author { node: w.id(i), organization: w.nodes[i].organization, signer: w.signer(i) }
}

#[test]
fn a_new_node_follows_a_ledger_in_which_one_node_filed_more_than_the_pool_holds_of_it() {
    let mut w = World::new(1, 1, 3);
    (0..4).for_each(|i| w.kill(i));
    let mut authors = [author(&w, 1), author(&w, 2)];
    authors.sort_by_key(|author| author.node);
    let [busy, other] = authors;
    let (mut validator, mut of) = (author(&w, 0), [(busy, HEADERS_PER_ORGANIZATION_MAX), (other, 1)]);
    let blocks = PENDING_PER_NODE_MAX / HEADERS_PER_ORGANIZATION_MAX + 2;
    let mut state = LedgerState::genesis(&w.genesis).unwrap();
    w.write(0, |store| {
        (0..blocks).for_each(|_| state = block(store, &state, &mut validator, &mut of));
    });
    w.start(0);
    w.start(3);
    let caught_up = |w: &World| w.height(3) == blocks as u64;
    assert!(w.run_until(5_000, caught_up), "every block follows: at {} of {blocks}", w.height(3));
    assert_eq!(w.nodes[3].blamed, [], "and nobody is blamed");
    w.check();
    let role = w.role(3, "goes on");
    let filed = w.file(3, role);
    assert!(w.run_until(5_000, |w| w.is_final(0, &filed)), "then it takes part");
}

/// Blocks of the long ledger, one header each: too few for a new node to begin with a state.
const LONG: u64 = 960;
/// Blocks in an answer.
const PAGE: u64 = 64;
/// A request and its answer take so long on average, in milliseconds.
const ROUND_TRIP_MS: u64 = 5;

#[test]
fn the_next_blocks_are_on_their_way_while_those_before_them_are_taken() {
    let mut w = World::new(1, 1, 3);
    (0..4).for_each(|i| w.kill(i));
    let (mut validator, mut of) = (author(&w, 0), [(author(&w, 1), 1)]);
    let mut state = LedgerState::genesis(&w.genesis).unwrap();
    w.write(0, |store| (0..LONG).for_each(|_| state = block(store, &state, &mut validator, &mut of)));
    w.start(0);
    w.start(3);
    assert!(w.run_until(1_000, |w| w.height(3) >= PAGE), "the first page is taken");
    let in_turn = (LONG / PAGE - 1) * 2 * ROUND_TRIP_MS;
    let took = in_turn * 3 / 4;
    assert!(
        w.run_until(took, |w| w.height(3) == LONG),
        "asking for blocks and then for their headers takes {in_turn} ms: at {} of {LONG} after {took}",
        w.height(3)
    );
    assert_eq!(w.nodes[3].blamed, [], "and nobody is blamed");
    w.check();
}
