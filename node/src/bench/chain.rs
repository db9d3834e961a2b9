//! A long ledger, made directly with the keys of its validators: ten headers a block, each block certified by a quorum.
//!
//! Blocks, states and rows are those that nodes would have come to; nobody votes, and nothing waits for a network.
//! Used by `catch_up`.

use hospes_protocol::block::{Block, CommitCertificate, CommitSignature, Cut, SignedVote};
use hospes_protocol::entry::{FORMAT, Header, HeaderFields, Kind};
use hospes_protocol::genesis::Genesis;
use hospes_protocol::ids::{BlockHash, ContentId, NodeId, Subject, sha256};
use hospes_protocol::keys::SoftwareSigner;
use hospes_protocol::state::{Draft, Executed, LedgerState};
use hospes_protocol::wire::Wire;
use hospes_storage::{Commit, HeaderRow, Ledger, Store};

use super::row::{Failed, failed};

/// Headers of one block, all of one node.
const HEADERS: u64 = 10;
/// Blocks that are synced together.
pub(super) const PAGE: usize = 64;

/// A block with what it orders.
pub(super) struct Link {
    pub(super) headers: Vec<Header>,
    pub(super) block: Block,
    pub(super) commit: Commit,
}

impl Link {
    /// Writes it as a node that follows would.
    pub(super) fn store(&self, store: &Store) -> Result<(), Failed> {
        let rows: Vec<_> = self.headers.iter().map(|header| HeaderRow::of(header, None)).collect();
        store.put_headers(&rows).map_err(failed)?;
        store.commit(&self.commit).map_err(failed)
    }
}

/// Makes one block after another.
struct Chain {
    state: LedgerState,
    /// The validators, in the order of their node ids.
    signers: Vec<(NodeId, SoftwareSigner)>,
    last: Option<CommitCertificate>,
}

/// Writes a ledger of so many blocks into an empty store; gives the first of them.
pub(super) fn write(
    genesis: &Genesis,
    signers: Vec<(NodeId, SoftwareSigner)>,
    (store, blocks): (&Store, u64),
    sample: usize,
) -> Result<Vec<Link>, Failed> {
    let state = LedgerState::genesis(genesis).map_err(failed)?;
    let (mut chain, mut links) = (Chain { state, signers, last: None }, Vec::new());
    chain.signers.sort_by_key(|(node, _)| *node);
    store.gather(true);
    for height in 1..=blocks {
        let link = chain.next()?;
        link.store(store)?;
        if height % PAGE as u64 == 0 {
            store.settle().map_err(failed)?;
        }
        if links.len() < sample {
            links.push(link);
        }
    }
    store.gather(false);
    store.settle().map_err(failed)?;
    Ok(links)
}

impl Chain {
    fn next(&mut self) -> Result<Link, Failed> {
        let (cut, headers) = self.run()?;
        let (cuts, time) = ([cut], self.state.time + 1);
        let draft = Draft { time, cuts: &cuts, headers: &headers, control: &[], forks: &[] };
        let mut executed = self.state.execute(&draft).map_err(failed)?;
        let mut block = Block::over(&self.state, &draft, &executed, self.signers[0].0);
        block.last_commit = self.last.take();
        let hash = block.hash();
        executed.state.seal(hash);
        let certificate = self.certify(block.height, hash)?;
        self.last = Some(certificate.clone());
        let (commit, state) = commit_of(&block, certificate, executed);
        self.state = state;
        Ok(Link { headers, block, commit })
    }

    /// The next run of the validator whose turn it is.
    fn run(&mut self) -> Result<(Cut, Vec<Header>), Failed> {
        let turn = usize::try_from(self.state.height).map_err(failed)? % self.signers.len();
        let (node, signer) = &mut self.signers[turn];
        let entry = self.state.membership.node(node).ok_or_else(|| failed("a validator is no node"))?;
        let (from, mut previous) =
            self.state.frontiers.get(node).map_or((1, None), |(sequence, id)| (sequence + 1, Some(*id)));
        let (to, mut fields) = (from + HEADERS - 1, Vec::new());
        for sequence in from..=to {
            let next = HeaderFields {
                format: FORMAT,
                network: self.state.network,
                organization: entry.organization,
                node: *node,
                sequence,
                previous,
                kind: Kind::Record.code(),
                subject: Some(Subject([4; 32])),
                content: ContentId(sha256(&[&node.0, &sequence.to_be_bytes()])),
                lock: None,
                reveal: Vec::new(),
                signed_at: self.state.time,
            };
            previous = Some(next.id());
            fields.push(next);
        }
        let headers = Header::sign_all(fields, signer).map_err(failed)?;
        let last = headers.last().ok_or_else(|| failed("a run is empty"))?.id();
        Ok((Cut { node: *node, from, to, last }, headers))
    }

    fn certify(&mut self, height: u64, block: BlockHash) -> Result<CommitCertificate, Failed> {
        let validators = self.state.validators.hash();
        let mut certificate =
            CommitCertificate { height, round: 0, block, validators, signatures: Vec::new() };
        for (validator, signer) in self.signers.iter_mut().take(self.state.validators.quorum()) {
            let vote = certificate.precommit(&self.state.network, *validator);
            let signature = SignedVote::sign(vote, signer).map_err(failed)?.signature;
            certificate.signatures.push(CommitSignature { validator: *validator, signature });
        }
        Ok(certificate)
    }
}

fn commit_of(block: &Block, certificate: CommitCertificate, executed: Executed) -> (Commit, LedgerState) {
    let commit = Commit {
        height: block.height,
        hash: certificate.block,
        block: block.encode(),
        certificate,
        headers: executed.outcomes.iter().map(|o| (o.header, o.void)).collect(),
        closed: executed.closed,
        range: executed.range,
        state: executed.state.encode_snapshot(),
    };
    (commit, executed.state)
}
