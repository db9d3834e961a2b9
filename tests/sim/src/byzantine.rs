//! Hostile members: what they do to the messages of the node whose key they hold, and what they send of
//! their own. All that they sign is signed rightly; nothing else could get past the first check.

use hospes_protocol::block::{Block, CommitCertificate, CommitSignature, SignedVote, Vote, VoteKind};
use hospes_protocol::entry::FORMAT;
use hospes_protocol::ids::{BlockHash, HeaderId, StateRoot};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::consensus::{ConsensusMessage, Proposal, SignedProposal};
use hospes_service::messages::{Answer, Channel, Gossip, Position, Request};
use hospes_storage::Ledger;

use crate::dice::Dice;
use crate::plan::Trick;
use crate::world::{Due, Packet, World};

/// Copies of each message of a flood.
const COPIES: usize = 6;

impl World {
    /// What a node really sends in place of a message.
    pub(crate) fn twist(&mut self, from: usize, packet: Packet) -> Vec<Packet> {
        let Some(trick) = self.nodes[from].trick else { return vec![packet] };
        match (trick, packet) {
            (Trick::Silent | Trick::YesMan, _) | (Trick::Withholding, Packet::Answer { .. }) => Vec::new(),
            (Trick::Withholding, Packet::Channel(bytes)) => {
                let block = matches!(Channel::decode(&bytes), Ok(Channel::Block(_)));
                if block { Vec::new() } else { vec![Packet::Channel(bytes)] }
            }
            (Trick::InvalidProposal, Packet::Channel(bytes)) => {
                vec![Packet::Channel(self.spoil(from, bytes))]
            }
            (Trick::LyingPosition, Packet::Request { id, bytes }) => {
                vec![Packet::Request { id, bytes: self.lie_in_request(from, bytes) }]
            }
            (Trick::LyingPosition, Packet::Answer { id, bytes }) => {
                vec![Packet::Answer { id, bytes: self.lie_in_answer(from, bytes) }]
            }
            (Trick::ForeignCertificates, Packet::Channel(bytes)) => {
                let forged = self.forge(from, &bytes).map(Packet::Gossip);
                forged.into_iter().chain([Packet::Channel(bytes)]).collect()
            }
            (Trick::ForeignCertificates, Packet::Gossip(bytes)) => {
                let swapped = self.swap(&bytes).map(Packet::Gossip);
                swapped.into_iter().chain([Packet::Gossip(bytes)]).collect()
            }
            (Trick::Flood, Packet::Channel(bytes)) => {
                (0..COPIES).map(|_| Packet::Channel(bytes.clone())).collect()
            }
            (Trick::Flood, Packet::Gossip(bytes)) => {
                (0..COPIES).map(|_| Packet::Gossip(bytes.clone())).collect()
            }
            (_, packet) => vec![packet],
        }
    }

    /// A yes-man hears a proposal: it votes for it, whatever it voted for before. What it precommits in round 0 one
    /// validator alone is told; the others hear that it doesn't.
    pub(crate) fn agree(&mut self, i: usize, bytes: &[u8]) {
        if self.nodes[i].trick != Some(Trick::YesMan) {
            return;
        }
        let network = self.genesis.network();
        let Ok(Channel::Engine(message)) = Channel::decode(bytes) else { return };
        let Ok(ConsensusMessage::Proposal(signed)) = ConsensusMessage::read(&message, &network) else {
            return;
        };
        let Proposal { height, round, block, .. } = signed.proposal;
        let mut signer = self.nodes[i].secrets.signer();
        for j in self.links.of(i) {
            let told = round > 0 || j == Trick::favourite(i, self.plan.shape.validators);
            for (kind, block) in
                [(VoteKind::Prevote, Some(block)), (VoteKind::Precommit, told.then_some(block))]
            {
                let vote =
                    Vote { format: FORMAT, network, kind, height, round, block, validator: self.nodes[i].id };
                let Ok(vote) = SignedVote::sign(vote, &mut signer) else { return };
                let vote = Channel::Engine(Bytes(ConsensusMessage::Vote(vote).encode())).encode();
                self.put_on_line(i, j, Packet::Channel(vote));
            }
        }
    }

    // A block with another state root, and the proposal that names it.
    fn spoil(&mut self, from: usize, bytes: Vec<u8>) -> Vec<u8> {
        match Channel::decode(&bytes) {
            Ok(Channel::Block(block)) => {
                let Ok(mut block) = Block::read(&block, &self.genesis.network()) else { return bytes };
                if block.proposer != self.nodes[from].id {
                    return bytes;
                }
                let honest = block.hash();
                block.state_root = StateRoot([0xab; 32]);
                self.nodes[from].spoilt.insert(honest, block.hash());
                Channel::Block(Bytes(block.encode())).encode()
            }
            Ok(Channel::Engine(message)) => {
                let read = ConsensusMessage::read(&message, &self.genesis.network());
                let Ok(ConsensusMessage::Proposal(signed)) = read else { return bytes };
                let Some(block) = self.nodes[from].spoilt.get(&signed.proposal.block).copied() else {
                    return bytes;
                };
                let proposal = Proposal { block, ..signed.proposal };
                let mut signer = self.nodes[from].secrets.signer();
                let Ok(signed) = SignedProposal::sign(proposal, &mut signer) else { return bytes };
                Channel::Engine(Bytes(ConsensusMessage::Proposal(signed).encode())).encode()
            }
            _ => bytes,
        }
    }

    fn lie_in_request(&self, from: usize, bytes: Vec<u8>) -> Vec<u8> {
        match Request::decode(&bytes) {
            Ok(Request::Position(position)) => Request::Position(self.lie(from, position)).encode(),
            _ => bytes,
        }
    }

    fn lie_in_answer(&self, from: usize, bytes: Vec<u8>) -> Vec<u8> {
        match Answer::decode(&bytes) {
            Ok(Answer::Position(position)) => Answer::Position(self.lie(from, position)).encode(),
            _ => bytes,
        }
    }

    // Far ahead with headers that nobody has, or at the very beginning.
    fn lie(&self, from: usize, mut position: Position) -> Position {
        let mut dice = Dice::of(&[self.plan.seed, 20, self.now, from as u64]);
        if dice.permille(300) {
            return Position { height: 0, frontiers: Vec::new(), ..position };
        }
        position.height += 1 + dice.below(1_000);
        position.block = BlockHash(dice.bytes());
        for frontier in &mut position.frontiers {
            frontier.sequence += dice.below(50);
            frontier.last = HeaderId(dice.bytes());
        }
        position
    }

    // The proposed block, a little changed, "certified" by this node alone; or what is long decided.
    fn forge(&self, from: usize, bytes: &[u8]) -> Option<Vec<u8>> {
        let Ok(Channel::Block(block)) = Channel::decode(bytes) else { return None };
        let mut block = Block::read(&block, &self.genesis.network()).ok()?;
        block.time += 1;
        let certificate = self.certify_alone(from, &block)?;
        Some(Gossip::Decided((certificate, Some(Bytes(block.encode())))).encode())
    }

    // A true certificate with another block.
    fn swap(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let Ok(Gossip::Decided((certificate, Some(block)))) = Gossip::decode(bytes) else { return None };
        let mut block = Block::read(&block, &self.genesis.network()).ok()?;
        block.time += 1;
        Some(Gossip::Decided((certificate, Some(Bytes(block.encode())))).encode())
    }

    fn certify_alone(&self, from: usize, block: &Block) -> Option<CommitCertificate> {
        let node = &self.nodes[from];
        let mut certificate = CommitCertificate {
            height: block.height,
            round: 0,
            block: block.hash(),
            validators: block.validators,
            signatures: Vec::new(),
        };
        let vote = certificate.precommit(&block.network, node.id);
        let signed = SignedVote::sign(vote, &mut node.secrets.signer()).ok()?;
        certificate.signatures.push(CommitSignature { validator: node.id, signature: signed.signature });
        Some(certificate)
    }

    /// A hostile node does something of its own accord.
    pub(crate) fn mischief(&mut self, i: usize) {
        let packets = match self.nodes[i].trick {
            Some(Trick::Twin) => return self.hostile_role(i, &format!("told by {i}")),
            Some(Trick::Flood) => self.garbage(i),
            Some(Trick::ForeignCertificates) => self.stale(i),
            _ => return,
        };
        for j in self.links.of(i) {
            for packet in &packets {
                if let Some(packet) = packet.again() {
                    self.put_on_line(i, j, packet);
                }
            }
        }
        self.due(self.now + self.pace.mischief_ms, Due::Mischief { node: i });
    }

    fn garbage(&self, i: usize) -> Vec<Packet> {
        let mut dice = Dice::of(&[self.plan.seed, 21, self.now, i as u64]);
        let noise = dice.bytes().to_vec();
        let far = Request::Blocks(dice.draw()).encode();
        let offer = Request::Offer(vec![hospes_protocol::ids::ContentId(dice.bytes()); 900]).encode();
        let id = u64::MAX - dice.below(1 << 40);
        vec![
            Packet::Gossip(noise.clone()),
            Packet::Channel(noise.clone()),
            Packet::Request { id, bytes: noise },
            Packet::Request { id: id - 1, bytes: far },
            Packet::Request { id: id - 2, bytes: offer },
        ]
    }

    // A certificate of long ago, and one of today for the block before.
    fn stale(&self, i: usize) -> Vec<Packet> {
        let Some(store) = self.nodes[i].store.as_ref() else { return Vec::new() };
        let height = self.nodes[i].height().unwrap_or(0);
        let read = |h: u64| store.block(h).ok().flatten();
        let (Some((old, _)), Some((_, new))) = (read(height / 2), read(height)) else { return Vec::new() };
        let foreign = CommitCertificate { height: height + 1, ..new.clone() };
        let decided =
            |c: CommitCertificate| Packet::Gossip(Gossip::Decided((c, Some(Bytes(old.clone())))).encode());
        vec![decided(new), decided(foreign)]
    }
}
