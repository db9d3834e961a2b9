//! A small network for the tests: organizations with a card and a validator each, and blocks over them.

use std::collections::BTreeMap;

use crate::block::{Block, CommitCertificate, CommitSignature, Cut, Fork, SignedVote};
use crate::check::{Check, Rejected};
use crate::control::{NodeEntry, OrganizationEntry, PractitionerEntry, Standing};
use crate::entry::{Content, FORMAT, Header, HeaderFields, Kind, is_control};
use crate::genesis::{Genesis, default_policy, organization_id};
use crate::ids::{HeaderId, NodeId, OrganizationId, Reveal, Subject};
use crate::keys::{AgreementKey, KeyAgreement, Signer, SoftwareAgreement, SoftwareSigner};
use crate::state::{Draft, Executed, LedgerState};
use crate::tap::{Body, sign_tap};
use crate::wire::{Bytes, Wire};

pub(super) struct World {
    pub(super) state: LedgerState,
    pub(super) cards: Vec<SoftwareSigner>,
    pub(super) nodes: Vec<SoftwareSigner>,
    pub(super) salt: u8,
    pub(super) heads: BTreeMap<NodeId, (u64, HeaderId)>,
}

pub(super) fn key(seed: u8) -> SoftwareSigner {
    SoftwareSigner::from_seed(&[seed; 32])
}

pub(super) fn agreement(seed: u8) -> AgreementKey {
    SoftwareAgreement::from_secret(&[seed; 32]).agreement_key()
}

pub(super) fn node_id(signer: &SoftwareSigner) -> NodeId {
    NodeId(signer.verifying_key().id().0)
}

impl World {
    /// `n` organizations with a card and a validator each.
    pub(super) fn of(n: u8) -> Self {
        let mut pairs: Vec<_> = (0..n).map(|i| (key(10 + i), key(50 + i))).collect();
        pairs.sort_by_key(|(card, _)| organization_id(card.verifying_key().as_bytes()));
        let (cards, nodes): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let organizations = cards.iter().map(organization).collect();
        let mut entries: Vec<_> =
            cards.iter().zip(&nodes).map(|(c, n)| node_entry(n, organization(c).organization)).collect();
        entries.sort_by_key(|n| n.key.id());
        let mut validators: Vec<_> = nodes.iter().map(node_id).collect();
        validators.sort_unstable();
        let genesis = Genesis {
            format: FORMAT,
            name: "test".into(),
            time: 1_000,
            organizations,
            nodes: entries,
            validators,
            policy: default_policy(),
        };
        let genesis = Genesis::read(&genesis.encode()).expect("a lawful genesis");
        let state = LedgerState::genesis(&genesis).expect("a lawful genesis");
        Self { state, cards, nodes, salt: 0, heads: BTreeMap::new() }
    }

    pub(super) fn organization(&self, i: usize) -> OrganizationId {
        organization(&self.cards[i]).organization
    }

    pub(super) fn content(&mut self, by: usize, kind: Kind, payload: &impl Wire) -> Content {
        self.salt += 1;
        Content {
            format: FORMAT,
            network: self.state.network,
            kind: kind.code(),
            organization: self.organization(by),
            salt: [self.salt; 32],
            lock: None,
            stands_on: Vec::new(),
            payload: Bytes(payload.encode()),
        }
    }

    pub(super) fn body(&mut self, content: &Content, cards: &[usize]) -> Bytes {
        self.body_with(content, cards, &[])
    }

    /// As [`World::body`], signed by the keys of these seeds too.
    pub(super) fn body_with(&mut self, content: &Content, cards: &[usize], others: &[u8]) -> Bytes {
        let (net, id) = (self.state.network, [content.id()]);
        let sign = |signer: &mut SoftwareSigner| sign_tap(signer, &net, ("t", "en"), &id).expect("signs");
        let mut signatures: Vec<_> = cards.iter().flat_map(|i| sign(&mut self.cards[*i])).collect();
        signatures.extend(others.iter().flat_map(|seed| sign(&mut key(*seed))));
        Bytes(Body { content: Bytes(content.encode()), signatures }.encode())
    }

    pub(super) fn header(&mut self, by: usize, content: &Content, reveal: Vec<Reveal>) -> Header {
        let node = node_id(&self.nodes[by]);
        let head = self.heads.get(&node).copied();
        let fields = HeaderFields {
            format: FORMAT,
            network: self.state.network,
            organization: content.organization,
            node,
            sequence: head.map_or(1, |h| h.0 + 1),
            previous: head.map(|h| h.1),
            kind: content.kind,
            subject: (!is_control(content.kind)).then_some(Subject([9; 32])),
            content: content.id(),
            lock: content.lock,
            reveal,
            signed_at: 1_000,
        };
        let header = Header::sign(fields, &mut self.nodes[by]).expect("software signs");
        self.heads.insert(node, (header.fields().sequence, header.id()));
        header
    }

    pub(super) fn block(
        &self,
        headers: &[Header],
        control: &[Bytes],
        forks: &[Fork],
    ) -> Result<(Block, Executed), Rejected> {
        let mut sorted = headers.to_vec();
        sorted.sort_by_key(|h| (h.fields().node, h.fields().sequence));
        let cuts = cuts(&sorted);
        let draft = Draft { time: 2_000, cuts: &cuts, headers: &sorted, control, forks };
        let executed = self.state.execute(&draft)?;
        let mut block = Block::over(&self.state, &draft, &executed, self.state.validators.validators[0].node);
        block.last_commit = self.state.decided_by.as_ref().map(|_| self.certify());
        let judged = self.state.judge(&block, &sorted, Some(2_000))?;
        assert_eq!(judged.state.root(), executed.state.root(), "voters reach the proposer's state");
        Ok((block, judged))
    }

    pub(super) fn certify(&self) -> CommitCertificate {
        let set = self.state.decided_by.as_deref().expect("a block was decided");
        let mut cert = CommitCertificate {
            height: self.state.height,
            round: 0,
            block: self.state.block,
            validators: set.hash(),
            signatures: Vec::new(),
        };
        for validator in &set.validators {
            let mut signer = (50..80).map(key).find(|k| node_id(k) == validator.node).expect("a test key");
            let vote = cert.precommit(&self.state.network, validator.node);
            let signed = SignedVote::sign(vote, &mut signer).expect("software signs");
            cert.signatures.push(CommitSignature { validator: validator.node, signature: signed.signature });
        }
        cert
    }

    /// Files one control entry by `by`, signed by `cards`; gives why it has no effect, if so.
    pub(super) fn control(
        &mut self,
        by: usize,
        kind: Kind,
        payload: &impl Wire,
        cards: &[usize],
    ) -> Option<Check> {
        self.control_with(by, kind, payload, cards, &[])
    }

    /// As [`World::control`], signed by the keys of these seeds too.
    pub(super) fn control_with(
        &mut self,
        by: usize,
        kind: Kind,
        payload: &impl Wire,
        cards: &[usize],
        others: &[u8],
    ) -> Option<Check> {
        let content = self.content(by, kind, payload);
        let body = self.body_with(&content, cards, others);
        self.files(by, &content, body)
    }

    /// Files a control entry as it is; gives why it has no effect, if so.
    pub(super) fn files(&mut self, by: usize, content: &Content, body: Bytes) -> Option<Check> {
        let header = self.header(by, content, Vec::new());
        let (_, executed) = self.block(&[header], &[body], &[]).expect("a lawful block");
        self.state = executed.state;
        executed.outcomes[0].void
    }
}

/// A person, as an organization enrols them first; their card's slot 9C is the key of seed 100 + `n`.
pub(super) fn person(organization: OrganizationId, n: u8, number: &str) -> PractitionerEntry {
    PractitionerEntry {
        person: None,
        organization,
        register_number: number.into(),
        roles: Vec::new(),
        authentication: key(90 + n).verifying_key(),
        signature: key(100 + n).verifying_key(),
        agreement: agreement(110 + n),
        attestation: [1; 32],
        standing: Standing::Active,
    }
}

pub(super) fn cuts(sorted: &[Header]) -> Vec<Cut> {
    let mut cuts: Vec<Cut> = Vec::new();
    for header in sorted {
        let f = header.fields();
        match cuts.last_mut().filter(|c| c.node == f.node) {
            Some(cut) => (cut.to, cut.last) = (f.sequence, header.id()),
            None => cuts.push(Cut { node: f.node, from: f.sequence, to: f.sequence, last: header.id() }),
        }
    }
    cuts
}

pub(super) fn organization(card: &SoftwareSigner) -> OrganizationEntry {
    let card = card.verifying_key();
    OrganizationEntry {
        organization: organization_id(card.as_bytes()),
        name: "Hospital".into(),
        cards: vec![card],
        agreement: vec![agreement(1)],
        accreditation: [1; 32],
        standing: Standing::Active,
    }
}

pub(super) fn node_entry(node: &SoftwareSigner, organization: OrganizationId) -> NodeEntry {
    NodeEntry {
        key: node.verifying_key(),
        agreement: agreement(2),
        organization,
        emergency: false,
        addresses: Vec::new(),
        expires: u64::MAX,
        standing: Standing::Active,
    }
}
