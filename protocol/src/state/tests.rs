//! Blocks over a small network: what changes the state, what is refused, and that order has no effect.

use super::*;
use crate::block::{Block, CommitCertificate, CommitSignature, Cut, Fork, SignedVote};
use crate::check::Check;
use crate::control::{
    NodeEntry, OrganizationEntry, PractitionerEntry, RoleEntry, Standing, ValidatorSetEntry,
};
use crate::entry::{Content, FORMAT, Header, HeaderFields, Kind, is_control};
use crate::genesis::{default_policy, organization_id};
use crate::ids::{OrganizationId, Reveal, Subject};
use crate::keys::{AgreementKey, KeyAgreement, Signer, SoftwareAgreement, SoftwareSigner};
use crate::tap::{Body, sign_tap};
use crate::wire::Bytes;

struct World {
    state: LedgerState,
    cards: Vec<SoftwareSigner>,
    nodes: Vec<SoftwareSigner>,
    salt: u8,
    heads: BTreeMap<NodeId, (u64, HeaderId)>,
}

fn key(seed: u8) -> SoftwareSigner {
    SoftwareSigner::from_seed(&[seed; 32])
}

fn agreement(seed: u8) -> AgreementKey {
    SoftwareAgreement::from_secret(&[seed; 32]).agreement_key()
}

fn node_id(signer: &SoftwareSigner) -> NodeId {
    NodeId(signer.verifying_key().id().0)
}

impl World {
    /// `n` organizations with a card and a validator each.
    fn of(n: u8) -> Self {
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

    fn organization(&self, i: usize) -> OrganizationId {
        organization(&self.cards[i]).organization
    }

    fn content(&mut self, by: usize, kind: Kind, payload: &impl Wire) -> Content {
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

    fn body(&mut self, content: &Content, cards: &[usize]) -> Bytes {
        let mut signatures = Vec::new();
        for i in cards {
            let signed = sign_tap(&mut self.cards[*i], &self.state.network, ("t", "en"), &[content.id()]);
            signatures.extend(signed.expect("software signs"));
        }
        Bytes(Body { content: Bytes(content.encode()), signatures }.encode())
    }

    fn header(&mut self, by: usize, content: &Content, reveal: Vec<Reveal>) -> Header {
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

    fn block(
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

    fn certify(&self) -> CommitCertificate {
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
    fn control(&mut self, by: usize, kind: Kind, payload: &impl Wire, cards: &[usize]) -> Option<Check> {
        let content = self.content(by, kind, payload);
        let body = self.body(&content, cards);
        let header = self.header(by, &content, Vec::new());
        let (_, executed) = self.block(&[header], &[body], &[]).expect("a lawful block");
        self.state = executed.state;
        executed.outcomes[0].void
    }
}

fn cuts(sorted: &[Header]) -> Vec<Cut> {
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

fn organization(card: &SoftwareSigner) -> OrganizationEntry {
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

fn node_entry(node: &SoftwareSigner, organization: OrganizationId) -> NodeEntry {
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

#[test]
fn two_thirds_of_the_organizations_remove_a_node_and_fewer_do_not() {
    let mut w = World::of(4);
    let (owner, node) = (w.organization(3), w.nodes[3].verifying_key());
    let gone = NodeEntry { standing: Standing::Removed, ..node_entry(&w.nodes[3], owner) };
    assert_eq!(w.control(0, Kind::Node, &gone, &[0, 1]), Some(Check::TwoThirdsMissing), "two of four");
    assert_eq!(w.state.validators.len(), 4, "nothing changed");
    assert_eq!(w.control(0, Kind::Node, &gone, &[0, 1, 2]), None, "three of four");
    assert!(w.state.membership.node(&NodeId(node.id().0)).is_none(), "it takes part no more");
    assert_eq!(w.state.validators.len(), 3, "and left the validator set");
    let content = w.content(3, Kind::Record, &7_u64);
    let late = w.header(3, &content, Vec::new());
    let refused = w.block(&[late], &[], &[]).map(|_| ());
    assert_eq!(refused, Err(Check::RetiredNode.into()), "its later headers are refused");
}

#[test]
fn what_an_expired_node_files_is_ordered_only_with_its_renewal() {
    let mut w = World::of(4);
    let ends = |at: u64, w: &World| NodeEntry { expires: at, ..node_entry(&w.nodes[3], w.organization(3)) };
    let (past, later) = (ends(2_000, &w), ends(2_001, &w));
    assert_eq!(
        w.control(0, Kind::Node, &past, &[3]),
        None,
        "its card sets when it ends: at the block's time"
    );
    let content = w.content(3, Kind::Record, &7_u64);
    let late = w.header(3, &content, Vec::new());
    let refused = w.block(std::slice::from_ref(&late), &[], &[]).map(|_| ());
    assert_eq!(refused, Err(Check::NodeExpired.into()), "a header of a node that has ended");
    let renewal = w.content(3, Kind::Node, &later);
    let (header, body) = (w.header(3, &renewal, Vec::new()), w.body(&renewal, &[3]));
    let (_, executed) = w.block(&[late, header], &[body], &[]).expect("its run renews it");
    assert!(executed.outcomes.iter().all(|o| o.void.is_none()), "and what waited counts");
}

#[test]
fn each_organization_enrols_its_own_people_only_and_each_register_number_once() {
    let mut w = World::of(4);
    let person = |organization, n: u8, number: &str| PractitionerEntry {
        person: None,
        organization,
        register_number: number.into(),
        roles: Vec::new(),
        authentication: key(90 + n).verifying_key(),
        signature: key(100 + n).verifying_key(),
        agreement: agreement(110 + n),
        attestation: [1; 32],
        standing: Standing::Active,
    };
    let enrol = |w: &mut World, by: usize, p: &PractitionerEntry, n: u8, card: usize| {
        let content = w.content(by, Kind::Practitioner, p);
        let mut own = key(100 + n);
        let bytes = w.body(&content, &[card]);
        let mut body = Body::decode(&bytes).expect("just made");
        let net = w.state.network;
        body.signatures.extend(sign_tap(&mut own, &net, ("t", "en"), &[content.id()]).expect("signs"));
        let header = w.header(by, &content, Vec::new());
        let (_, executed) = w.block(&[header], &[Bytes(body.encode())], &[]).expect("a lawful block");
        w.state = executed.state;
        executed.outcomes[0].void
    };
    let (a, b) = (w.organization(0), w.organization(1));
    assert_eq!(enrol(&mut w, 0, &person(a, 1, "1001"), 1, 0), None, "its own person");
    assert_eq!(enrol(&mut w, 0, &person(b, 2, "1002"), 2, 0), Some(Check::NotAuthorized), "another's person");
    assert_eq!(enrol(&mut w, 1, &person(b, 2, "1002"), 2, 1), None, "enrolled by its own organization");
    let twice = enrol(&mut w, 1, &person(b, 3, "1001"), 3, 1);
    assert_eq!(twice, Some(Check::RegisterNumberTaken), "one register number, one person");
}

#[test]
fn a_role_that_demands_attestation_is_not_given_without() {
    let mut w = World::of(1);
    let role = RoleEntry {
        organization: w.organization(0),
        name: "doctor".into(),
        categories: Vec::new(),
        rights: 7,
        administrator: false,
        attested: true,
    };
    assert_eq!(w.control(0, Kind::Role, &role, &[0]), None, "its own card defines a role");
    let person = PractitionerEntry {
        person: None,
        organization: w.organization(0),
        register_number: "1".into(),
        roles: vec!["doctor".into()],
        authentication: key(90).verifying_key(),
        signature: w.cards[0].verifying_key(),
        agreement: agreement(91),
        attestation: [0; 32],
        standing: Standing::Active,
    };
    let refused = w.control(0, Kind::Practitioner, &person, &[0]);
    assert_eq!(refused, Some(Check::AttestationMissing), "no attestation");
    let attested = PractitionerEntry { attestation: [5; 32], ..person };
    assert_eq!(w.control(0, Kind::Practitioner, &attested, &[0]), None, "with one");
}

#[test]
fn a_withdrawn_content_filed_again_has_no_effect() {
    let mut w = World::of(4);
    let reveal = Reveal([8; 32]);
    let mut content = w.content(0, Kind::Grant, &1_u64);
    content.lock = Some(reveal.lock());
    let (granted, revocation) = (w.header(0, &content, Vec::new()), w.content(1, Kind::Revocation, &2_u64));
    let (_, executed) = w.block(&[granted], &[], &[]).expect("a lawful block");
    assert_eq!(executed.outcomes[0].void, None, "before the withdrawal");
    w.state = executed.state;
    let revoked = w.header(1, &revocation, vec![reveal]);
    let (_, executed) = w.block(&[revoked], &[], &[]).expect("a lawful block");
    assert_eq!(executed.closed, [reveal.lock()], "the reveal closes the lock");
    w.state = executed.state;
    let again = w.header(0, &content, Vec::new());
    let (_, executed) = w.block(&[again], &[], &[]).expect("a lawful block");
    assert_eq!(executed.outcomes[0].void, Some(Check::LockClosed), "filed again after it");
}

#[test]
fn headers_that_arrive_in_any_order_lead_to_one_root() {
    let mut w = World::of(4);
    let mut headers = Vec::new();
    for i in 0..40_u8 {
        let by = usize::from(i % 4);
        let content = w.content(by, Kind::Record, &u64::from(i));
        headers.push(w.header(by, &content, vec![Reveal([i; 32])]));
    }
    let (_, forward) = w.block(&headers, &[], &[]).expect("a lawful block");
    headers.reverse();
    let (_, backward) = w.block(&headers, &[], &[]).expect("a lawful block");
    assert_eq!(forward.state.root(), backward.state.root(), "network order has no effect");
    headers.pop();
    let fewer = w.block(&headers[1..], &[], &[]).map(|(_, e)| e.state.root());
    assert_ne!(fewer, Ok(forward.state.root()), "one header less shows in the root");
}

#[test]
fn gaps_forks_and_foreign_headers_are_refused() {
    let mut w = World::of(4);
    let (c1, c2) = (w.content(0, Kind::Record, &1_u64), w.content(0, Kind::Record, &2_u64));
    let (one, two) = (w.header(0, &c1, Vec::new()), w.header(0, &c2, Vec::new()));
    let gap = w.block(std::slice::from_ref(&two), &[], &[]).map(|_| ());
    assert_eq!(gap, Err(Check::CutForm.into()), "the second without the first");
    w.heads.clear();
    let other = w.header(0, &c2, Vec::new());
    let evidence = |a: &Header, b: &Header| Fork {
        one: Bytes(a.as_bytes().to_vec()),
        other: Bytes(b.as_bytes().to_vec()),
    };
    let same = w.block(&[], &[], &[evidence(&one, &one)]).map(|_| ());
    assert_eq!(same, Err(Check::Evidence.into()), "one header twice is no fork");
    let (_, executed) = w.block(std::slice::from_ref(&one), &[], &[evidence(&one, &other)]).expect("lawful");
    assert!(executed.state.membership.node(&one.fields().node).is_none(), "the node is retired");
    assert_eq!(executed.state.frontiers[&one.fields().node].1, one.id(), "what was final first stands");
}

#[test]
fn a_block_is_judged_by_every_field() {
    let mut w = World::of(4);
    let content = w.content(0, Kind::Record, &1_u64);
    let header = w.header(0, &content, Vec::new());
    let (good, _) = w.block(std::slice::from_ref(&header), &[], &[]).expect("a lawful block");
    let headers = [header];
    assert!(w.state.judge(&good, &headers, Some(2_000)).is_ok(), "as built");
    let verdict = |change: &dyn Fn(&mut Block)| {
        let mut block = good.clone();
        change(&mut block);
        w.state.judge(&block, &headers, Some(2_000)).map(|_| ()).expect_err("one field is wrong").check
    };
    assert_eq!(verdict(&|b| b.height = 2), Check::BlockHeight, "height");
    assert_eq!(verdict(&|b| b.previous = BlockHash([1; 32])), Check::BlockPrev, "previous");
    assert_eq!(verdict(&|b| b.time = 999), Check::TimeBackwards, "time runs backwards");
    assert_eq!(verdict(&|b| b.time = 7_001), Check::TimeAhead, "time beyond the skew");
    assert_eq!(verdict(&|b| b.proposer = NodeId([1; 32])), Check::Proposer, "a stranger proposes");
    assert_eq!(verdict(&|b| b.state_root = StateRoot([1; 32])), Check::StateRoot, "state root");
    assert_eq!(verdict(&|b| b.validators.0[0] ^= 1), Check::ValidatorsHash, "validators");
    assert_eq!(verdict(&|b| b.next_validators.0[0] ^= 1), Check::NextValidatorsHash, "next validators");
    assert_eq!(verdict(&|b| b.network.0[0] ^= 1), Check::WrongNetwork, "network");
    assert_eq!(verdict(&|b| b.cuts[0].last.0[0] ^= 1), Check::CutForm, "cut");
    assert_eq!(verdict(&|b| b.control.push(Bytes(vec![]))), Check::CutForm, "a control body too many");
}

#[test]
fn validators_change_with_two_thirds_and_no_organization_outweighs_the_faults() {
    let mut w = World::of(4);
    let more: Vec<_> = (70..73).map(key).collect();
    let owner = w.organization(0);
    for node in &more {
        assert_eq!(w.control(0, Kind::Node, &node_entry(node, owner), &[0]), None, "its own node");
    }
    let standing: Vec<_> = w.nodes.iter().map(node_id).collect();
    let all = |extra: &[SoftwareSigner]| {
        let mut nodes: Vec<_> = standing.iter().copied().chain(extra.iter().map(node_id)).collect();
        nodes.sort_unstable();
        ValidatorSetEntry { nodes }
    };
    let (seven, five) = (all(&more), all(&more[..1]));
    let refused = w.control(0, Kind::ValidatorSet, &seven, &[0, 1, 2]);
    assert_eq!(refused, Some(Check::OrganizationPower), "four of seven from one organization");
    let refused = w.control(0, Kind::ValidatorSet, &five, &[0, 1]);
    assert_eq!(refused, Some(Check::TwoThirdsMissing), "two of four organizations");
    let three = ValidatorSetEntry { nodes: all(&[]).nodes[..3].to_vec() };
    assert_eq!(w.control(0, Kind::ValidatorSet, &three, &[0, 1, 2]), None, "three of four organizations");
    assert_eq!(w.state.validators.len(), 3, "from the next height on");
}

#[test]
fn a_state_comes_back_from_its_snapshot_and_proves_what_stands() {
    let mut w = World::of(4);
    let (grant, reveal) = (w.content(0, Kind::Grant, &1_u64), Reveal([8; 32]));
    let grant = Content { lock: Some(reveal.lock()), ..grant };
    let header = w.header(0, &grant, Vec::new());
    let (_, executed) = w.block(std::slice::from_ref(&header), &[], &[]).expect("a lawful block");
    let nodes: BTreeMap<_, _> = executed.range.iter().map(|n| ((n.level, n.index), n.hash)).collect();
    let read = |level, index| nodes.get(&(level, index)).copied();
    let state = executed.state;
    let back = StateSnapshot::decode(&state.snapshot().encode()).expect("its own encoding");
    let restored = LedgerState::restore(back, state.locks.clone()).expect("lawful");
    assert_eq!(restored.root(), state.root(), "nothing is lost");
    let proof = StandingProof::of(&state, &header, 0, read).expect("it is final");
    assert_eq!(proof.verify(&header, &state.root()), Ok(true), "final and not withdrawn");
    assert!(proof.encode().len() < 1024, "about a kilobyte");
    let mut withdrawn = state;
    withdrawn.locks.close(&reveal.lock());
    let proof = StandingProof::of(&withdrawn, &header, 0, read).expect("it is final");
    assert_eq!(proof.verify(&header, &withdrawn.root()), Ok(false), "withdrawn");
    let moved = proof.verify(&header, &restored.root());
    assert_eq!(moved, Err(Check::StateRoot.into()), "a proof for another root");
}

#[test]
fn unknown_kinds_are_ordered_and_never_applied() {
    let mut w = World::of(1);
    let mut content = w.content(0, Kind::Record, &1_u64);
    content.kind = 999;
    let header = w.header(0, &content, Vec::new());
    let before = w.state.membership.root();
    let (_, executed) = w.block(&[header], &[], &[]).expect("a lawful block");
    assert_eq!(executed.outcomes[0].void, None, "final like any other");
    assert_eq!(executed.state.membership.root(), before, "without effect");
}

/// A block that hands over to three of four validators, with its certificate.
fn handed_over() -> (World, LedgerState, Block, CommitCertificate) {
    let mut w = World::of(4);
    let mut nodes: Vec<_> = w.nodes.iter().map(node_id).take(3).collect();
    nodes.sort_unstable();
    let content = w.content(0, Kind::ValidatorSet, &ValidatorSetEntry { nodes });
    let body = w.body(&content, &[0, 1, 2]);
    let header = w.header(0, &content, vec![Reveal([8; 32])]);
    let (block, executed) = w.block(&[header], &[body], &[]).expect("a lawful block");
    let before = std::mem::replace(&mut w.state, executed.state);
    let certificate = w.certify();
    (w, before, block, certificate)
}

#[test]
fn a_state_counts_only_on_the_block_that_names_it() {
    let (w, before, block, _) = handed_over();
    let (set, locks) = (&*before.validators, w.state.locks.root());
    let back = w.state.snapshot().stands_on(&block, set, &locks).expect("its own block");
    assert_eq!(back.roots()[0], w.state.roots()[0], "the membership is the same");
    let refused =
        |lie: StateSnapshot, locks| lie.stands_on(&block, set, locks).map(|_| ()).unwrap_err().check;
    let mut lie = w.state.snapshot();
    lie.membership.organizations.pop();
    assert_eq!(refused(lie, &locks), Check::StateRoot, "a member left out");
    let mut lie = w.state.snapshot();
    lie.time += 1;
    assert_eq!(refused(lie, &locks), Check::StateRoot, "another time");
    let mut lie = w.state.snapshot();
    lie.range.peaks.clear();
    assert_eq!(refused(lie, &locks), Check::StateRoot, "fewer final headers");
    let mut lie = w.state.snapshot();
    lie.validators.validators.pop();
    assert_eq!(refused(lie, &locks), Check::NextValidatorsHash, "another set");
    assert_eq!(refused(w.state.snapshot(), &[7; 32]), Check::StateRoot, "other locks");
    let other = w.state.snapshot().stands_on(&block, &w.state.validators, &locks).map(|_| ());
    assert_eq!(other, Err(Check::ValidatorsHash.into()), "decided by another set");
}

#[test]
fn a_handover_counts_by_the_set_before_it() {
    let (w, before, block, certificate) = handed_over();
    let next = (*w.state.validators).clone();
    let handover = Handover { block: Bytes(block.encode()), certificate, next: next.clone() };
    assert_eq!(handover.verify(&block.network, &before.validators), Ok(1), "its own set");
    let refused = handover.verify(&block.network, &next);
    assert_eq!(refused, Err(Check::ValidatorsHash.into()), "another set");
    let other = Handover { next: (*before.validators).clone(), ..handover.clone() };
    let refused = other.verify(&block.network, &before.validators);
    assert_eq!(refused, Err(Check::NextValidatorsHash.into()), "another set follows");
    let mut unsigned = handover;
    unsigned.certificate.signatures.truncate(2);
    let refused = unsigned.verify(&block.network, &before.validators);
    assert_eq!(refused, Err(Check::QuorumMissing.into()), "two of four signed");
}
