//! Catch-up: a node without a ledger follows one that has a long one, over loopback, until it stands where that
//! one stands; against what two cores could do if each part of it were all that there is.
//!
//! The chain is made directly with the validators' keys, ten headers a block. The parts are measured over its first
//! blocks: headers read and verified in batches, blocks read and their certificates verified, states executed, both
//! stored and synced once for each page.

use std::time::{Duration, Instant};

use hospes_protocol::block::{Block, CommitCertificate, CommitSignature, Cut, SignedVote};
use hospes_protocol::entry::{FORMAT, Header, HeaderFields, Kind};
use hospes_protocol::genesis::Genesis;
use hospes_protocol::ids::{BlockHash, ContentId, NodeId, Subject, sha256};
use hospes_protocol::keys::{Signer, SoftwareSigner, VerifyingKey};
use hospes_protocol::state::{Draft, Executed, LedgerState};
use hospes_protocol::wire::Wire;
use hospes_storage::{Commit, HeaderRow, Ledger, Medium, Options, Store};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroizing;

use super::Size;
use super::row::{Failed, Goal, Row, failed};
use super::world::{World, signer};

const VALIDATORS: u8 = 4;
/// Headers of one block.
const HEADERS: u64 = 10;
/// Blocks over which the parts are measured.
const SAMPLE: usize = 1_000;
/// Blocks that are synced together, as they come from a peer.
const PAGE: usize = 64;
/// How long no block may come.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(size: Size) -> Result<Vec<Row>, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let mut ideal = 0.0;
        let fill = |genesis: &Genesis, store: &Store| {
            let sample = write_chain(genesis, store, size.blocks)?;
            ideal = parts(genesis, &sample)? / sample.len() as f64 * size.blocks as f64 / 2.0;
            Ok(())
        };
        let mut world = World::start_over(VALIDATORS, fill).await?;
        let since = Instant::now();
        world.join().await?;
        follow(&world, size.blocks).await?;
        let took = since.elapsed().as_secs_f64();
        world.stop().await;
        Ok(vec![Row::new("catch-up-replay", took, ideal, "s", &Goal::AtMost(2.3))])
    })
}

/// Waits until the second node stands at a height.
async fn follow(world: &World, height: u64) -> Result<(), Failed> {
    let (mut last, mut seen) = (0, Instant::now());
    loop {
        let at = world.nodes[1].service.call(|s| s.state().height).await.map_err(failed)?;
        if at >= height {
            return Ok(());
        }
        if at > last {
            (last, seen) = (at, Instant::now());
        } else if seen.elapsed() > PATIENCE {
            return Err(failed(format!("no block came after height {at}")));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A block with what it orders.
struct Link {
    headers: Vec<Header>,
    block: Block,
    certificate: CommitCertificate,
    commit: Commit,
}

/// Makes one block after another.
struct Chain {
    state: LedgerState,
    /// In the order of their node ids.
    signers: Vec<(NodeId, SoftwareSigner)>,
    last: Option<CommitCertificate>,
}

impl Chain {
    fn new(genesis: &Genesis) -> Result<Self, Failed> {
        let mut signers: Vec<_> =
            (0..VALIDATORS).map(signer).map(|s| (NodeId(s.verifying_key().id().0), s)).collect();
        signers.sort_by_key(|(node, _)| *node);
        Ok(Self { state: LedgerState::genesis(genesis).map_err(failed)?, signers, last: None })
    }

    fn headers(&mut self) -> Result<Vec<Header>, Failed> {
        let turn = usize::try_from(self.state.height).map_err(failed)? % self.signers.len();
        let (node, signer) = &mut self.signers[turn];
        let entry = self.state.membership.node(node).ok_or_else(|| failed("a validator is no node"))?;
        let (first, mut previous) =
            self.state.frontiers.get(node).map_or((1, None), |(sequence, id)| (sequence + 1, Some(*id)));
        let mut fields = Vec::new();
        for sequence in first..first + HEADERS {
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
        Header::sign_all(fields, signer).map_err(failed)
    }

    fn certify(&mut self, height: u64, block: BlockHash) -> Result<CommitCertificate, Failed> {
        let validators = self.state.validators.hash();
        let mut certificate =
            CommitCertificate { height, round: 0, block, validators, signatures: Vec::new() };
        let quorum = self.state.validators.quorum();
        for (validator, signer) in self.signers.iter_mut().take(quorum) {
            let vote = certificate.precommit(&self.state.network, *validator);
            let signed = SignedVote::sign(vote, signer).map_err(failed)?;
            certificate
                .signatures
                .push(CommitSignature { validator: *validator, signature: signed.signature });
        }
        Ok(certificate)
    }

    fn next(&mut self) -> Result<Link, Failed> {
        let headers = self.headers()?;
        let (cuts, time) = (cuts_of(&headers), self.state.time + 1);
        let draft = Draft { time, cuts: &cuts, headers: &headers, control: &[], forks: &[] };
        let mut executed = self.state.execute(&draft).map_err(failed)?;
        let mut block = Block::over(&self.state, &draft, &executed, self.signers[0].0);
        block.last_commit = self.last.take();
        let hash = block.hash();
        executed.state.seal(hash);
        let certificate = self.certify(block.height, hash)?;
        let commit = commit_of(&block, &certificate, &executed);
        self.last = Some(certificate.clone());
        self.state = executed.state;
        Ok(Link { headers, block, certificate, commit })
    }
}

fn cuts_of(headers: &[Header]) -> Vec<Cut> {
    let ends = headers.first().zip(headers.last());
    let cut = |(first, last): (&Header, &Header)| Cut {
        node: first.fields().node,
        from: first.fields().sequence,
        to: last.fields().sequence,
        last: last.id(),
    };
    ends.map(cut).into_iter().collect()
}

fn commit_of(block: &Block, certificate: &CommitCertificate, executed: &Executed) -> Commit {
    Commit {
        height: block.height,
        hash: certificate.block,
        block: block.encode(),
        certificate: certificate.clone(),
        headers: executed.outcomes.iter().map(|o| (o.header, o.void)).collect(),
        closed: executed.closed.clone(),
        range: executed.range.clone(),
        state: executed.state.snapshot().encode(),
    }
}

fn store_link(store: &Store, link: &Link) -> Result<(), Failed> {
    let rows: Vec<_> = link.headers.iter().map(|header| HeaderRow::of(header, None)).collect();
    store.put_headers(&rows).map_err(failed)?;
    store.commit(&link.commit).map_err(failed)
}

/// Writes a chain into a store; gives its first blocks.
fn write_chain(genesis: &Genesis, store: &Store, blocks: u64) -> Result<Vec<Link>, Failed> {
    let (mut chain, mut sample) = (Chain::new(genesis)?, Vec::new());
    store.gather(true);
    for _ in 0..blocks {
        let link = chain.next()?;
        store_link(store, &link)?;
        if sample.len() < SAMPLE {
            sample.push(link);
        }
    }
    store.gather(false);
    store.settle().map_err(failed)?;
    Ok(sample)
}

/// Seconds that the parts take over a sample, one after another on one core.
fn parts(genesis: &Genesis, sample: &[Link]) -> Result<f64, Failed> {
    let since = Instant::now();
    read_headers(genesis, sample)?;
    read_blocks(genesis, sample)?;
    execute(genesis, sample)?;
    store_all(sample)?;
    Ok(since.elapsed().as_secs_f64())
}

fn read_headers(genesis: &Genesis, sample: &[Link]) -> Result<(), Failed> {
    let state = LedgerState::genesis(genesis).map_err(failed)?;
    let key = |header: &Header| state.membership.node(&header.fields().node).map(|node| node.key.clone());
    for page in sample.chunks(PAGE) {
        let bytes = page.iter().flat_map(|link| &link.headers).map(Header::as_bytes);
        let read = bytes.map(|bytes| Header::read(bytes, &state.network)).collect::<Result<Vec<_>, _>>();
        let read = read.map_err(failed)?;
        let keys: Vec<VerifyingKey> = read.iter().filter_map(key).collect();
        if keys.len() < read.len() || !Header::all_verify(&read.iter().zip(&keys).collect::<Vec<_>>()) {
            return Err(failed("a signature of ours did not verify"));
        }
    }
    Ok(())
}

fn read_blocks(genesis: &Genesis, sample: &[Link]) -> Result<(), Failed> {
    let state = LedgerState::genesis(genesis).map_err(failed)?;
    for link in sample {
        let block = Block::read(&link.commit.block, &state.network).map_err(failed)?;
        if block.hash() != link.certificate.block {
            return Err(failed("a block is not what its certificate names"));
        }
        link.certificate.verify(&state.network, &state.validators).map_err(failed)?;
    }
    Ok(())
}

fn execute(genesis: &Genesis, sample: &[Link]) -> Result<(), Failed> {
    let mut state = LedgerState::genesis(genesis).map_err(failed)?;
    for Link { headers, block, .. } in sample {
        let draft = Draft { time: block.time, cuts: &block.cuts, headers, control: &[], forks: &[] };
        let mut executed = state.execute(&draft).map_err(failed)?;
        if executed.state.root() != block.state_root {
            return Err(failed("a state's root is another"));
        }
        executed.state.seal(block.hash());
        state = executed.state;
    }
    Ok(())
}

fn store_all(sample: &[Link]) -> Result<(), Failed> {
    let folder = tempfile::tempdir().map_err(failed)?;
    let medium = Medium::Folder(folder.path().to_owned());
    let rng = Box::new(ChaCha20Rng::seed_from_u64(3));
    let store = Store::create(&medium, &Options::default(), &Zeroizing::new([1; 32]), rng).map_err(failed)?;
    store.gather(true);
    for page in sample.chunks(PAGE) {
        page.iter().try_for_each(|link| store_link(&store, link))?;
        store.settle().map_err(failed)?;
    }
    Ok(())
}
