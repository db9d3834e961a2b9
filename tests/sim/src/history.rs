//! History: what one block costs a node after a thousand blocks, and after many more.
//!
//! One service over storage in memory follows a chain that three of four validators' keys certify directly, a header
//! in each block. Only what the service does with header, block and certificate is measured. The CPU of a block is the
//! median of a window, as a busy machine makes a mean worthless. `hospes-sim --history N` calls it.

use std::io::{self, Write};
use std::sync::Arc;

use hospes_protocol::block::{Block, CommitCertificate, CommitSignature, Cut, SignedVote};
use hospes_protocol::entry::{FORMAT, Header, HeaderFields, Kind};
use hospes_protocol::genesis::Genesis;
use hospes_protocol::ids::{ContentId, NodeId, Subject};
use hospes_protocol::keys::SoftwareSigner;
use hospes_protocol::state::{Draft, LedgerState};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::messages::{Gossip, HeaderItem};
use hospes_service::service::{Identity, Service};
use hospes_storage::{Ledger, Medium, Objects, Options, Store};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zeroize::Zeroizing;

use crate::book::cpu_ns;
use crate::dice::Dice;
use crate::growth::federation_of;
use crate::people::People;
use crate::world::T0;
use crate::world::node::Secrets;

/// Validators of the chain; the first follows, the others certify.
const VALIDATORS: usize = 4;
/// Blocks of which the median is taken.
const WINDOW: u64 = 500;
/// The first window ends at this height.
const EARLY: u64 = 1_000;
/// Of the last window against the first (DESIGN 12).
const GOAL: f64 = 1.2;
/// Virtual milliseconds between blocks.
const BLOCK_MS: u64 = 1_000;

/// The chain and those who make it.
struct Chain {
    state: LedgerState,
    last: Option<CommitCertificate>,
    author: (NodeId, SoftwareSigner),
    sequence: u64,
    previous: Option<Header>,
    voters: Vec<(NodeId, SoftwareSigner)>,
    dice: Dice,
}

/// What a node hears of one height.
struct News {
    headers: Vec<u8>,
    decided: Vec<u8>,
    at: u64,
}

impl Chain {
    fn of(seed: u64, genesis: &Genesis) -> Option<Self> {
        let key = |place: usize| (Secrets::of(seed, place).id(), Secrets::of(seed, place).signer());
        let mut voters: Vec<_> = (1..VALIDATORS).map(key).collect();
        voters.sort_by_key(|(id, _)| *id);
        Some(Self {
            state: LedgerState::genesis(genesis).ok()?,
            last: None,
            author: key(1),
            sequence: 0,
            previous: None,
            voters,
            dice: Dice::of(&[seed, 40]),
        })
    }

    fn header(&mut self, at: u64) -> Option<Header> {
        self.sequence += 1;
        let node = self.author.0;
        let fields = HeaderFields {
            format: FORMAT,
            network: self.state.network,
            organization: self.state.membership.node(&node)?.organization,
            node,
            sequence: self.sequence,
            previous: self.previous.as_ref().map(Header::id),
            kind: Kind::Record.code(),
            subject: Some(Subject(self.dice.bytes())),
            content: ContentId(self.dice.bytes()),
            lock: None,
            reveal: Vec::new(),
            signed_at: at,
        };
        let header = Header::sign(fields, &mut self.author.1).ok()?;
        self.previous = Some(header.clone());
        Some(header)
    }

    fn certify(&mut self, block: &Block) -> Option<CommitCertificate> {
        let (height, validators) = (block.height, block.validators);
        let mut certificate =
            CommitCertificate { height, round: 0, block: block.hash(), validators, signatures: Vec::new() };
        for (validator, signer) in &mut self.voters {
            let vote = certificate.precommit(&block.network, *validator);
            let signature = SignedVote::sign(vote, signer).ok()?.signature;
            certificate.signatures.push(CommitSignature { validator: *validator, signature });
        }
        Some(certificate)
    }

    /// The next height; null would be a fault of this file.
    fn next(&mut self) -> Option<News> {
        let at = T0 + (self.state.height + 1) * BLOCK_MS;
        let header = self.header(at)?;
        let cuts = [Cut { node: self.author.0, from: self.sequence, to: self.sequence, last: header.id() }];
        let headers = [header];
        let draft = Draft { time: at, cuts: &cuts, headers: &headers, control: &[], forks: &[] };
        let mut executed = self.state.execute(&draft).ok()?;
        let mut block = Block::over(&self.state, &draft, &executed, self.author.0);
        block.last_commit = self.last.take();
        let certificate = self.certify(&block)?;
        executed.state.seal(block.hash());
        self.state = executed.state;
        self.last = Some(certificate.clone());
        let item = HeaderItem { header: Bytes(headers[0].as_bytes().to_vec()), control: None };
        Some(News {
            headers: Gossip::Headers(vec![item]).encode(),
            decided: Gossip::Decided((certificate, Some(Bytes(block.encode())))).encode(),
            at,
        })
    }
}

fn follower(seed: u64, genesis: &Genesis) -> Option<Service> {
    let secrets = Secrets::of(seed, 0);
    let key = Zeroizing::new(secrets.signing);
    let rng = Box::new(ChaCha20Rng::seed_from_u64(seed));
    let medium = Medium::memory();
    let store = Arc::new(Store::create(&medium, &Options::default(), &key, rng).ok()?);
    let organization = genesis.nodes.iter().find(|n| n.key.id().0 == secrets.id().0)?.organization;
    let me = Identity::new(&secrets.signing, &secrets.agreement, organization);
    let (ledger, objects): (Arc<dyn Ledger>, Arc<dyn Objects>) = (store.clone(), store);
    Service::open(T0, me, genesis, ledger, objects).ok()
}

/// The median, in microseconds.
fn median_us(mut window: Vec<u64>) -> f64 {
    window.sort_unstable();
    window.get(window.len() / 2).map_or(0.0, |ns| *ns as f64 / 1000.0)
}

/// Medians at height 1,000 and at the end, in microseconds.
fn measure(blocks: u64) -> Option<(f64, f64)> {
    let plan = federation_of(VALIDATORS);
    let genesis = People::of(&plan).genesis(&plan);
    let mut chain = Chain::of(plan.seed, &genesis)?;
    let mut service = follower(plan.seed, &genesis)?;
    let from = chain.author.0;
    let (mut early, mut late) = (Vec::new(), Vec::new());
    for height in 1..=blocks {
        let news = chain.next()?;
        let begun = cpu_ns();
        service.tick(news.at);
        service.on_gossip(from, &news.headers).ok()?;
        service.on_gossip(from, &news.decided).ok()?;
        drop(service.take_effects());
        let took = cpu_ns() - begun;
        if height > EARLY - WINDOW && height <= EARLY {
            early.push(took);
        }
        if height > blocks - WINDOW {
            late.push(took);
        }
    }
    let same = service.state().height == blocks && service.state().root() == chain.state.root();
    same.then(|| (median_us(early), median_us(late)))
}

/// Measures and prints; gives whether the goal is met.
///
/// # Errors
/// Of the output only.
pub fn tell(blocks: u64, json: bool, out: &mut impl Write) -> io::Result<bool> {
    let Some((early, late)) = measure(blocks.max(2 * EARLY)) else {
        writeln!(io::stderr(), "the node does not follow the chain")?;
        return Ok(false);
    };
    let ratio = late / early;
    let met = ratio <= GOAL;
    if json {
        writeln!(
            out,
            "{{\"blocks\":{blocks},\"cpu_us_at_1000\":{early:.1},\"cpu_us_at_end\":{late:.1},\"ratio\":{ratio:.2},\
             \"goal\":{GOAL},\"met\":{met}}}"
        )?;
    } else {
        writeln!(
            out,
            "CPU of a block: {early:.0} us after {EARLY} blocks, {late:.0} us after {blocks}: {ratio:.2} times, goal {GOAL} at most"
        )?;
    }
    Ok(met)
}
