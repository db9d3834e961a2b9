//! The seven rules of the design, one by one, on a single driver that is fed by hand. Each refusal stands
//! beside the same act succeeding.

use std::collections::BTreeSet;

use hospes_protocol::block::{CommitSignature, SignedVote, Vote, VoteKind};
use hospes_protocol::check::Check;
use hospes_protocol::entry::FORMAT;
use hospes_protocol::ids::{BlockHash, NetworkId, NodeId};
use hospes_protocol::keys::{KeyError, Signer, SoftwareSigner, VerifyingKey};
use hospes_protocol::wire::Wire;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::keys::{self, NET};
use super::world::{Faults, Net, World};
use crate::consensus::{
    Consensus, ConsensusConfig, ConsensusMessage, Driver, Effect, Halted, Input, NewHeight, Phase,
    PolkaCertificate, Proposal, RoundCertificate, RoundCertificateKind, RoundVote, SignedProposal, WalEntry,
};

const A: BlockHash = BlockHash([0xaa; 32]);
const B: BlockHash = BlockHash([0xbb; 32]);

/// A driver among three others whose keys the test holds.
struct Stage {
    driver: Driver,
    now: u64,
    /// Keys of all four, in the order of the set; the driver's is `me`.
    keys: Vec<u8>,
    me: usize,
}

impl Stage {
    /// The driver is `me` of four, and idle at `height`.
    fn idle(me: usize, height: u64) -> Self {
        Self::resumed(me, height, Vec::new()).0
    }

    /// The same, restarted with a WAL.
    fn resumed(me: usize, height: u64, wal: Vec<WalEntry>) -> (Self, Result<Vec<Effect>, Halted>) {
        let (set, keys) = keys::validators(4);
        let driver = Driver::new(NET, Box::new(keys::signer(keys[me])), ConsensusConfig::default());
        let mut stage = Self { driver, now: 10_000, keys, me };
        let new = NewHeight { height, validators: set, absent: BTreeSet::new(), wal };
        let effects = stage.driver.handle(stage.now, Input::NewHeight(new));
        (stage, effects)
    }

    fn node(&self, index: usize) -> NodeId {
        keys::validators(4).0.validators[index].node
    }

    fn signer(&self, index: usize) -> SoftwareSigner {
        keys::signer(self.keys[index])
    }

    fn feed(&mut self, input: Input) -> Vec<Effect> {
        self.driver.handle(self.now, input).expect("not halted")
    }

    fn hear(&mut self, from: usize, message: &ConsensusMessage) -> Vec<Effect> {
        let from = self.node(from);
        self.feed(Input::Message { from, bytes: message.encode() })
    }

    fn vote(&self, by: usize, kind: VoteKind, place: (u64, u64), block: Option<BlockHash>) -> SignedVote {
        let (height, round) = place;
        let validator = self.node(by);
        let vote = Vote { format: FORMAT, network: NET, kind, height, round, block, validator };
        SignedVote::sign(vote, &mut self.signer(by)).expect("software signs")
    }

    fn prevote(&self, by: usize, place: (u64, u64), block: Option<BlockHash>) -> ConsensusMessage {
        ConsensusMessage::Vote(self.vote(by, VoteKind::Prevote, place, block))
    }

    fn precommit(&self, by: usize, place: (u64, u64), block: Option<BlockHash>) -> ConsensusMessage {
        ConsensusMessage::Vote(self.vote(by, VoteKind::Precommit, place, block))
    }

    /// Whose turn it is, with nobody absent.
    fn turn(place: (u64, u64)) -> usize {
        super::super::proposer::turn(&keys::validators(4).0, &BTreeSet::new(), place.0, place.1)
    }

    fn proposal(&self, by: usize, place: (u64, u64), block: BlockHash) -> ConsensusMessage {
        let (height, round) = place;
        let proposer = self.node(by);
        let proposal =
            Proposal { format: FORMAT, network: NET, height, round, block, valid_round: None, proposer };
        ConsensusMessage::Proposal(SignedProposal::sign(proposal, &mut self.signer(by)).expect("signs"))
    }

    fn polka(&self, place: (u64, u64), block: BlockHash, by: &[usize]) -> PolkaCertificate {
        let one = |i: &usize| {
            let signed = self.vote(*i, VoteKind::Prevote, place, Some(block));
            CommitSignature { validator: signed.vote.validator, signature: signed.signature }
        };
        PolkaCertificate { height: place.0, round: place.1, block, signatures: by.iter().map(one).collect() }
    }

    fn skip(&self, place: (u64, u64), kind: VoteKind, by: &[usize]) -> RoundCertificate {
        let one = |i: &usize| {
            let signed = self.vote(*i, kind, place, None);
            RoundVote { kind, block: None, validator: signed.vote.validator, signature: signed.signature }
        };
        let votes = by.iter().map(one).collect();
        RoundCertificate { height: place.0, round: place.1, kind: RoundCertificateKind::Skip, votes }
    }
}

/// Our votes among these effects.
fn said(effects: &[Effect]) -> Vec<(VoteKind, Option<BlockHash>)> {
    let vote = |e: &Effect| match e {
        Effect::Publish(bytes) => match ConsensusMessage::decode(bytes) {
            Ok(ConsensusMessage::Vote(v)) => Some((v.vote.kind, v.vote.block)),
            _ => None,
        },
        _ => None,
    };
    effects.iter().filter_map(vote).collect()
}

fn refused(effects: &[Effect]) -> Option<Check> {
    effects.iter().find_map(|e| match e {
        Effect::Refused { check, .. } => Some(*check),
        _ => None,
    })
}

/// A driver that is not the proposer of (5, 0), and the one that is.
fn listener() -> (Stage, usize) {
    let proposer = Stage::turn((5, 0));
    (Stage::idle((proposer + 1) % 4, 5), proposer)
}

// ---- 1: our verdict is the value's validity ----

#[test]
fn rule_1_an_invalid_block_gets_a_nil_prevote_and_a_valid_one_its_own() {
    for (valid, expected) in [(false, None), (true, Some(A))] {
        let (mut stage, proposer) = listener();
        let proposal = stage.proposal(proposer, (5, 0), A);
        let asked = stage.hear(proposer, &proposal);
        let asks = |e: &Effect| matches!(e, Effect::NeedVerdict { height: 5, round: 0, block: A, .. });
        assert!(asked.iter().any(asks), "it asks for a verdict");
        assert!(said(&asked).is_empty(), "and says nothing before it has one");
        let judged = stage.feed(Input::Verdict { height: 5, block: A, valid });
        assert_eq!(said(&judged), [(VoteKind::Prevote, expected)], "valid: {valid}");
    }
}

#[test]
fn rule_1_a_verdict_may_come_before_the_proposal() {
    let (mut stage, proposer) = listener();
    stage.feed(Input::Order);
    assert!(said(&stage.feed(Input::Verdict { height: 5, block: A, valid: true })).is_empty(), "unasked");
    let proposal = stage.proposal(proposer, (5, 0), A);
    let heard = stage.hear(proposer, &proposal);
    assert_eq!(said(&heard), [(VoteKind::Prevote, Some(A))], "one is known already");
}

#[test]
fn rule_1_a_proposer_of_invalid_blocks_gets_none_decided() {
    let mut world = World::new(3, 4);
    world.hosts[1].faults = Faults { builds_invalid: true, ..Faults::default() };
    world.order_until(12);
    assert!(world.run_until(120_000, |w| w.all_reached(12)), "the others' blocks are decided");
    world.check(3);
    let rounds: u64 = world.hosts[0].chain.iter().map(|c| c.round).sum();
    assert!(rounds > 0, "its turns ended without a block");
}

// ---- 2: silence while there is nothing to order ----

#[test]
fn rule_2_an_idle_driver_sets_no_timer_and_says_nothing_until_there_is_something_to_order() {
    let (stage, told) = Stage::resumed(0, 5, Vec::new());
    assert_eq!(told, Ok(Vec::new()), "a new height alone does nothing");
    assert_eq!(stage.driver.status().phase, Phase::Idle, "it waits");
    let (mut stage, _) = listener();
    let ordered = stage.feed(Input::Order);
    assert!(ordered.iter().any(|e| matches!(e, Effect::SetTimer { .. })), "now it waits with a bound");
    assert_eq!(stage.driver.status().phase, Phase::Running, "and decides");
    assert!(stage.feed(Input::Order).is_empty(), "ordering twice begins nothing twice");
}

#[test]
fn rule_2_only_an_authentic_message_of_the_height_wakes_an_idle_driver() {
    let (mut stage, _) = listener();
    let other = (stage.me + 1) % 4;
    let mut forged = stage.vote(other, VoteKind::Prevote, (5, 0), None);
    forged.signature[7] ^= 1;
    let heard = stage.hear(other, &ConsensusMessage::Vote(forged));
    assert_eq!(refused(&heard), Some(Check::BadSignature), "a forged vote");
    let stale = stage.prevote(other, (4, 0), None);
    stage.hear(other, &stale);
    let later = stage.prevote(other, (6, 0), None);
    stage.hear(other, &later);
    assert_eq!(stage.driver.status().phase, Phase::Idle, "none of them wakes it");
    let vote = stage.prevote(other, (5, 0), None);
    stage.hear(other, &vote);
    assert_eq!(stage.driver.status().phase, Phase::Running, "a vote of this height does");
}

#[test]
fn rule_2_a_network_that_has_nothing_to_order_is_silent() {
    let mut world = World::new(9, 4);
    world.order_until(3);
    assert!(world.run_until(10_000, |w| w.all_reached(3)), "three heights");
    world.run(1_000);
    let before = world.packets;
    world.run(3_600_000);
    assert_eq!(world.packets, before, "not one message in an hour");
    assert_eq!(world.hosts.iter().map(|h| h.timers_fired).sum::<u64>(), 0, "and no timer");
    world.target = 4;
    world.order(2);
    assert!(world.run_until(10_000, |w| w.all_reached(4)), "one that has something wakes all");
    world.check(9);
}

// ---- 3: a stale vote is answered ----

#[test]
fn rule_3_a_stale_vote_is_answered_with_what_was_decided_but_not_without_end() {
    let (mut stage, _) = listener();
    let other = (stage.me + 1) % 4;
    let late = stage.prevote(other, (4, 0), Some(A));
    assert!(stage.hear(other, &late).is_empty(), "merely late");
    stage.now += 301;
    let answer = Effect::SendDecided { to: stage.node(other), height: 4 };
    assert_eq!(stage.hear(other, &late), std::slice::from_ref(&answer), "it still votes: it is told");
    assert!(stage.hear(other, &late).is_empty(), "once");
    stage.now += 400;
    assert_eq!(stage.hear(other, &late), [answer], "and again when it asks again later");
    let older = stage.prevote(other, (2, 0), None);
    stage.now += 400;
    let answer = Effect::SendDecided { to: stage.node(other), height: 2 };
    assert_eq!(stage.hear(other, &older), [answer], "of any height");
}

#[test]
fn rule_3_without_answers_loss_leaves_someone_behind() {
    let run = |seed: u64, never_helps: bool| {
        let mut world = World::new(seed, 4);
        world.net = Net { delay_ms: (1, 30), loss_percent: 10, repeat_percent: 0 };
        world.hosts.iter_mut().for_each(|h| h.faults.never_helps = never_helps);
        world.order_until(5);
        let all = world.run_until(600_000, |w| w.all_reached(5));
        world.check(seed);
        (all, world.hosts.iter().map(|h| h.helped).sum::<u64>())
    };
    let helped: Vec<_> = (0..12).map(|seed| run(seed, false)).collect();
    assert!(helped.iter().all(|(all, _)| *all), "with answers all reach the last height");
    assert!(helped.iter().any(|(_, helped)| *helped > 0), "some by an answer");
    assert!((0..12).any(|seed| !run(seed, true).0), "without, someone waits for ever");
}

// ---- 4: nothing unverified reaches the library ----

#[test]
fn rule_4_a_garbage_certificate_is_refused_by_number_and_a_good_one_taken() {
    let (mut stage, _) = listener();
    let other = (stage.me + 1) % 4;
    let [a, b, c] = [0, 1, 2];
    let good = stage.polka((5, 3), A, &[a, b, c]);
    let mut wrong_signature = good.clone();
    wrong_signature.signatures[1].signature = [7; 64];
    let mut stranger = good.clone();
    stranger.signatures[2].validator = NodeId([0xff; 32]);
    let mut twice = good.clone();
    twice.signatures[1] = twice.signatures[0].clone();
    let other_block = PolkaCertificate { block: B, ..good.clone() };
    let far = PolkaCertificate { round: u64::MAX, ..good.clone() };
    for (certificate, check) in [
        (stage.polka((5, 3), A, &[a, b]), Check::QuorumMissing),
        (wrong_signature, Check::BadSignature),
        (stranger, Check::ForeignValidators),
        (twice, Check::DuplicateSigner),
        (other_block, Check::BadSignature),
        (far, Check::Malformed),
    ] {
        let heard = stage.hear(other, &ConsensusMessage::Polka(certificate));
        assert_eq!(refused(&heard), Some(check), "a polka");
        assert_eq!(stage.driver.status().phase, Phase::Idle, "it does not even wake the driver");
    }
    let mut prevotes = stage.skip((5, 2), VoteKind::Prevote, &[a, b, c]);
    prevotes.kind = RoundCertificateKind::Precommit;
    for (certificate, check) in
        [(stage.skip((5, 2), VoteKind::Prevote, &[a]), Check::QuorumMissing), (prevotes, Check::Malformed)]
    {
        let heard = stage.hear(other, &ConsensusMessage::Round(certificate));
        assert_eq!(refused(&heard), Some(check), "a round certificate");
    }
    let skip = stage.skip((5, 2), VoteKind::Prevote, &[a, b]);
    assert_eq!(refused(&stage.hear(other, &ConsensusMessage::Round(skip))), None, "f + 1 votes of round 2");
    assert_eq!(stage.driver.status().round, 2, "it enters round 2");
    assert_eq!(refused(&stage.hear(other, &ConsensusMessage::Polka(good))), None, "the good polka");
    assert_eq!(stage.driver.status().round, 3, "and round 3");
}

#[test]
fn rule_4_messages_of_strangers_networks_and_others_turns_are_refused() {
    let (mut stage, proposer) = listener();
    let proposal = stage.proposal(proposer, (5, 0), A);
    let stranger = Input::Message { from: NodeId([9; 32]), bytes: proposal.encode() };
    assert_eq!(refused(&stage.feed(stranger)), Some(Check::UnknownSigner), "not a validator");
    let wrong = (proposer + 2) % 4;
    let usurper = stage.proposal(wrong, (5, 0), A);
    assert_eq!(refused(&stage.hear(wrong, &usurper)), Some(Check::Proposer), "not its turn");
    let mut foreign = stage.vote(proposer, VoteKind::Prevote, (5, 0), None);
    foreign.vote.network = NetworkId([4; 32]);
    let heard = stage.hear(proposer, &ConsensusMessage::Vote(foreign));
    assert_eq!(refused(&heard), Some(Check::WrongNetwork), "another network");
    let from = stage.node(proposer);
    let long = Input::Message { from, bytes: vec![0; 20_000] };
    assert_eq!(refused(&stage.feed(long)), Some(Check::TooLarge), "too long");
    assert_eq!(stage.driver.status().phase, Phase::Idle, "none of it woke the driver");
    assert_eq!(refused(&stage.hear(proposer, &proposal)), None, "the proposer's own");
}

#[test]
fn rule_4_no_bytes_of_a_peer_halt_or_panic() {
    let mut rng = ChaCha8Rng::seed_from_u64(0x5eed);
    let (mut stage, proposer) = listener();
    let seeds = [
        stage.proposal(proposer, (5, 0), A),
        stage.prevote(proposer, (5, 1), Some(A)),
        stage.precommit(proposer, (5, 0), None),
        ConsensusMessage::Polka(stage.polka((5, 1), A, &[0, 1, 2])),
        ConsensusMessage::Round(stage.skip((5, 1), VoteKind::Precommit, &[0, 1, 3])),
    ];
    for _ in 0..4_000 {
        let pick = usize::try_from(rng.next_u64() % 5).expect("below five");
        let mut bytes = seeds[pick].encode();
        for _ in 0..=rng.next_u64() % 3 {
            let at = usize::try_from(rng.next_u64() % bytes.len() as u64).expect("an index");
            bytes[at] = u8::try_from(rng.next_u64() % 256).expect("a byte");
        }
        if rng.next_u64().is_multiple_of(4) {
            bytes.truncate(usize::try_from(rng.next_u64() % 100).expect("short"));
        }
        let from = stage.node(proposer);
        stage.feed(Input::Message { from, bytes });
    }
    assert_ne!(stage.driver.status().phase, Phase::Halted, "it goes on");
}

#[test]
fn rule_4_messages_of_the_next_height_are_authenticated_kept_within_bounds_and_used() {
    let (mut stage, _) = listener();
    let other = (stage.me + 1) % 4;
    let mut forged = stage.vote(other, VoteKind::Prevote, (6, 0), None);
    forged.signature[0] ^= 1;
    let heard = stage.hear(other, &ConsensusMessage::Vote(forged));
    assert_eq!(refused(&heard), Some(Check::BadSignature), "a forged vote of the next height");
    assert_eq!(stage.driver.waiting(), 0, "is not kept");
    let mut behind = 0;
    for round in 0..100 {
        let vote = stage.prevote(other, (6, round), Some(A));
        behind += stage.hear(other, &vote).iter().filter(|e| matches!(e, Effect::Behind { .. })).count();
    }
    assert_eq!(behind, 1, "being behind is said once");
    assert_eq!(stage.driver.waiting(), 16, "one peer fills its share and no more");
    let far = stage.prevote(other, (900, 0), Some(A));
    stage.hear(other, &far);
    assert_eq!(stage.driver.waiting(), 16, "of a far height nothing is kept");
    let validators = keys::validators(4).0;
    let new = NewHeight { height: 6, validators, absent: BTreeSet::new(), wal: Vec::new() };
    stage.feed(Input::NewHeight(new));
    assert_eq!(stage.driver.status().phase, Phase::Running, "what waited wakes the height");
    assert_eq!(stage.driver.waiting(), 0, "and waits no more");
}

// ---- 5: an error halts ----

/// A key that stops working.
struct Broken(SoftwareSigner);

impl Signer for Broken {
    fn verifying_key(&self) -> VerifyingKey {
        self.0.verifying_key()
    }
    fn sign(&mut self, _: &[u8]) -> Result<Vec<u8>, KeyError> {
        Err(KeyError::Failed("no power".into()))
    }
}

#[test]
fn rule_5_a_failing_signer_halts_for_ever() {
    let (mut stage, proposer) = listener();
    let config = ConsensusConfig::default();
    stage.driver = Driver::new(NET, Box::new(Broken(stage.signer(stage.me))), config);
    let validators = keys::validators(4).0;
    stage.feed(Input::NewHeight(NewHeight { height: 5, validators, absent: BTreeSet::new(), wal: vec![] }));
    let proposal = stage.proposal(proposer, (5, 0), A);
    stage.hear(proposer, &proposal);
    let halted = stage.driver.handle(stage.now, Input::Verdict { height: 5, block: A, valid: true });
    assert_eq!(halted, Err(Halted("the node key: the card failed: no power".into())), "with its reason");
    assert_eq!(stage.driver.status().phase, Phase::Halted, "it says so");
    assert_eq!(stage.driver.handle(stage.now, Input::Order), halted, "and stays so");
}

#[test]
fn rule_5_a_vote_that_contradicts_the_log_halts_instead_of_being_signed() {
    let (stage, proposer) = listener();
    let logged = stage.vote(stage.me, VoteKind::Prevote, (5, 0), Some(B));
    let (mut stage, resumed) = Stage::resumed(stage.me, 5, vec![WalEntry::Vote(logged)]);
    assert!(resumed.is_ok(), "the log alone is no contradiction");
    let proposal = stage.proposal(proposer, (5, 0), A);
    stage.hear(proposer, &proposal);
    let halted = stage.driver.handle(stage.now, Input::Verdict { height: 5, block: A, valid: true });
    let reason = halted.expect_err("A, where the log says B").0;
    assert!(reason.contains("second Prevote"), "{reason}");
}

#[test]
fn rule_5_a_driver_stops_when_its_key_is_used_elsewhere() {
    let (mut stage, proposer) = listener();
    let proposal = stage.proposal(proposer, (5, 0), A);
    stage.hear(proposer, &proposal);
    let other = (stage.me + 1) % 4;
    // The other process prevoted nil; a peer passes that on, as it would after our log was lost.
    let elsewhere = stage.prevote(stage.me, (5, 0), None);
    stage.hear(other, &elsewhere);
    let halted = stage.driver.handle(stage.now, Input::Verdict { height: 5, block: A, valid: true });
    let reason = halted.expect_err("it would contradict itself").0;
    assert!(reason.contains("second Prevote"), "{reason}");
    // The same vote as ours is no contradiction.
    let (mut stage, _) = listener();
    stage.hear(proposer, &proposal);
    let elsewhere = stage.prevote(stage.me, (5, 0), Some(A));
    stage.hear(other, &elsewhere);
    let voted = stage.feed(Input::Verdict { height: 5, block: A, valid: true });
    assert_eq!(said(&voted), [(VoteKind::Prevote, Some(A))], "it says it itself");
}

// ---- 6: durable before it is said ----

#[test]
fn rule_6_a_batch_that_says_something_begins_with_all_that_it_rests_on() {
    let (mut stage, proposer) = listener();
    let proposal = stage.proposal(proposer, (5, 0), A);
    let heard = stage.hear(proposer, &proposal);
    assert!(!heard.iter().any(|e| matches!(e, Effect::Persist { .. })), "nothing said, nothing to sync");
    let effects = stage.feed(Input::Verdict { height: 5, block: A, valid: true });
    let Some(Effect::Persist { height: 5, entries }) = effects.first() else { panic!("the log is first") };
    let kinds: Vec<_> = entries
        .iter()
        .map(|e| match e {
            WalEntry::Proposal(p) => ("proposal", Some(p.proposal.block)),
            WalEntry::Judged(j) => ("judged", e.needs_block().filter(|_| j.valid)),
            WalEntry::Vote(v) => ("vote", v.vote.block),
            _ => ("other", None),
        })
        .collect();
    let expected = [("proposal", Some(A)), ("judged", Some(A)), ("vote", Some(A))];
    assert_eq!(kinds, expected, "proposal, verdict with its block, and our vote, in one commit");
    let persists = effects.iter().filter(|e| matches!(e, Effect::Persist { .. })).count();
    assert_eq!(persists, 1, "one commit a batch");
}

#[test]
fn rule_6_a_restarted_validator_says_the_same_again() {
    let (mut stage, proposer) = listener();
    let proposal = stage.proposal(proposer, (5, 0), A);
    stage.hear(proposer, &proposal);
    let first = stage.feed(Input::Verdict { height: 5, block: A, valid: true });
    let Some(Effect::Persist { entries, .. }) = first.first() else { panic!("the log is first") };
    let (mut stage, resumed) = Stage::resumed(stage.me, 5, entries.clone());
    let resumed = resumed.expect("not halted");
    assert_eq!(said(&resumed), [(VoteKind::Prevote, Some(A))], "the vote of before");
    assert!(!resumed.iter().any(|e| matches!(e, Effect::Persist { .. })), "which is in the log already");
    // The rest of the height goes on from there.
    let others: Vec<_> = (0..4).filter(|i| *i != stage.me).collect();
    let mut votes = Vec::new();
    for by in &others {
        let vote = stage.prevote(*by, (5, 0), Some(A));
        votes.extend(said(&stage.hear(*by, &vote)));
    }
    assert_eq!(votes, [(VoteKind::Precommit, Some(A))], "a quorum of prevotes");
    let mut decided = Vec::new();
    for by in &others {
        let vote = stage.precommit(*by, (5, 0), Some(A));
        let heard = stage.hear(*by, &vote);
        if heard.iter().any(|e| matches!(e, Effect::Decided(_))) {
            let cleared = heard.iter().filter(|e| matches!(e, Effect::ClearTimer(_))).count();
            assert!(cleared > 0, "no timer outlives the decision");
            assert!(matches!(heard.last(), Some(Effect::Decided(_))), "which comes last");
        }
        decided.extend(heard.into_iter().filter_map(|e| match e {
            Effect::Decided(decision) => Some(decision),
            _ => None,
        }));
    }
    assert_eq!(decided.len(), 1, "decided once");
    let certificate = &decided[0].certificate;
    assert_eq!(certificate.verify(&NET, &keys::validators(4).0), Ok(()), "with a certificate that holds");
    assert_eq!(stage.driver.status().phase, Phase::Decided, "and then silence");
}

#[test]
fn rule_6_a_proposer_is_asked_for_one_block_and_proposes_once() {
    let mut stage = Stage::idle(Stage::turn((5, 0)), 5);
    let asked = stage.feed(Input::Order);
    assert!(asked.contains(&Effect::NeedBlock { height: 5, round: 0 }), "it is its turn");
    let first = stage.feed(Input::Propose { height: 5, round: 0, block: A });
    assert_eq!(said(&first), [(VoteKind::Prevote, Some(A))], "it prevotes its own");
    assert!(stage.feed(Input::Propose { height: 5, round: 0, block: B }).is_empty(), "no second proposal");
    let Some(Effect::Persist { entries, .. }) = first.first() else { panic!("the log is first") };
    let (_, resumed) = Stage::resumed(stage.me, 5, entries.clone());
    let resumed = resumed.expect("not halted");
    assert!(!resumed.iter().any(|e| matches!(e, Effect::NeedBlock { .. })), "nor after a restart");
    assert_eq!(said(&resumed), [(VoteKind::Prevote, Some(A))], "it says what it said");
}

#[test]
fn rule_6_a_round_far_ahead_is_found_again_after_a_restart() {
    let (mut stage, _) = listener();
    let [a, b] = [1, 2].map(|n| (stage.me + n) % 4);
    let skip = stage.skip((5, 40), VoteKind::Prevote, &[a.min(b), a.max(b)]);
    let entered = stage.hear(a, &ConsensusMessage::Round(skip));
    assert_eq!(stage.driver.status().round, 40, "a certificate leads there");
    let next = if Stage::turn((5, 40)) == stage.me {
        stage.feed(Input::Propose { height: 5, round: 40, block: A })
    } else {
        let propose = timers_of(&entered).into_iter().max_by_key(|t| t.1).expect("a propose timeout");
        stage.feed(Input::Timer(propose.0))
    };
    assert!(!said(&next).is_empty(), "and it votes there");
    let log = [logged(&entered), logged(&next)].concat();
    let (resumed, effects) = Stage::resumed(stage.me, 5, log);
    assert_eq!(resumed.driver.status().round, 40, "the log leads there too");
    assert_eq!(said(&effects.expect("not halted")), said(&next), "where it says again what it said");
}

fn logged(effects: &[Effect]) -> Vec<WalEntry> {
    match effects.first() {
        Some(Effect::Persist { entries, .. }) => entries.clone(),
        _ => Vec::new(),
    }
}

#[test]
fn rule_6_what_was_open_at_the_crash_is_asked_again() {
    let (stage, proposer) = listener();
    let ConsensusMessage::Proposal(proposal) = stage.proposal(proposer, (5, 0), A) else {
        panic!("a proposal")
    };
    let proposer = proposal.proposal.proposer;
    let (_, resumed) = Stage::resumed(stage.me, 5, vec![WalEntry::Proposal(proposal)]);
    let asks = Effect::NeedVerdict { height: 5, round: 0, block: A, proposer };
    assert!(resumed.expect("not halted").contains(&asks), "a proposal without a verdict");
}

#[test]
fn rule_6_a_node_that_is_no_validator_logs_says_and_sets_nothing() {
    let (set, keys) = keys::validators(4);
    let mut replica = Driver::new(NET, Box::new(keys::signer(77)), ConsensusConfig::default());
    let new = NewHeight { height: 5, validators: set, absent: BTreeSet::new(), wal: Vec::new() };
    assert_eq!(replica.handle(0, Input::NewHeight(new)), Ok(Vec::new()), "it follows");
    let (stage, proposer) = listener();
    assert_eq!(stage.keys, keys, "the same validators");
    let from = stage.node(proposer);
    for message in [stage.proposal(proposer, (5, 0), A), stage.precommit(proposer, (5, 0), Some(A))] {
        let heard = replica.handle(1, Input::Message { from, bytes: message.encode() });
        assert_eq!(heard, Ok(Vec::new()), "by certificates only");
    }
    assert_eq!(replica.handle(2, Input::Order), Ok(Vec::new()), "it orders nothing");
    assert_eq!(replica.status().phase, Phase::Following, "and says so");
}

// ---- 7: patience, and proposers that are absent ----

#[test]
fn rule_7_repetitions_become_rarer_until_something_happens() {
    let (mut stage, _) = listener();
    let ordered = timers_of(&stage.feed(Input::Order));
    let propose = ordered.iter().find(|t| t.1 == 1_000).expect("the wait for a proposal is bounded");
    let voted = stage.feed(Input::Timer(propose.0));
    assert_eq!(said(&voted), [(VoteKind::Prevote, None)], "nobody proposed");
    let (mut timer, mut waits) = (timers_of(&voted)[0], Vec::new());
    for _ in 0..6 {
        waits.push(timer.1);
        let repeated = stage.feed(Input::Timer(timer.0));
        assert_eq!(said(&repeated), [(VoteKind::Prevote, None)], "the vote again");
        timer = timers_of(&repeated)[0];
    }
    assert_eq!(waits, [500, 1_000, 2_000, 4_000, 5_000, 5_000], "twice as long each time, up to the cap");
    assert_eq!(stage.driver.status().repeats, 6, "it is seen from outside");
    let [a, b] = [1, 2].map(|n| (stage.me + n) % 4);
    let skip = stage.skip((5, 1), VoteKind::Prevote, &[a.min(b), a.max(b)]);
    let entered = timers_of(&stage.hear(a, &ConsensusMessage::Round(skip)));
    assert!(entered.iter().any(|t| t.1 == 500), "in a new round it is impatient again");
}

fn timers_of(effects: &[Effect]) -> Vec<(crate::consensus::TimerId, u64)> {
    let set = |e: &Effect| match e {
        Effect::SetTimer { timer, after_ms } => Some((*timer, *after_ms)),
        _ => None,
    };
    effects.iter().filter_map(set).collect()
}

#[test]
fn rule_7_a_proposer_repeats_its_proposal_to_those_who_did_not_follow_it() {
    let mut stage = Stage::idle(Stage::turn((5, 0)), 5);
    stage.feed(Input::Order);
    let proposed = stage.feed(Input::Propose { height: 5, round: 0, block: A });
    let [followed, nil, silent] = [1, 2, 3].map(|n| (stage.me + n) % 4);
    let vote = stage.prevote(followed, (5, 0), Some(A));
    stage.hear(followed, &vote);
    let timer = timers_of(&proposed).last().copied().expect("a repetition is set");
    let repeated = stage.feed(Input::Timer(timer.0));
    let again = |e: &Effect| match e {
        Effect::Publish(bytes) => {
            matches!(ConsensusMessage::decode(bytes), Ok(ConsensusMessage::Proposal(_)))
        }
        _ => false,
    };
    assert!(repeated.iter().any(again), "the proposal again");
    let resent = repeated.iter().find_map(|e| match e {
        Effect::ResendBlock { to, block: A } => Some(to.iter().copied().collect::<BTreeSet<_>>()),
        _ => None,
    });
    let expected = BTreeSet::from([stage.node(nil), stage.node(silent)]);
    assert_eq!(resent, Some(expected), "and the block, but not to who has it");
}

#[test]
fn rule_7_a_peer_that_connects_gets_what_was_said_last() {
    let mut stage = Stage::idle(Stage::turn((5, 0)), 5);
    let peer = stage.node((stage.me + 1) % 4);
    assert!(stage.feed(Input::PeerConnected(peer)).is_empty(), "an idle node has nothing to say");
    stage.feed(Input::Order);
    stage.feed(Input::Propose { height: 5, round: 0, block: A });
    let greeted = stage.feed(Input::PeerConnected(peer));
    let sent = greeted.iter().filter(|e| matches!(e, Effect::Send { to, .. } if *to == peer)).count();
    assert_eq!(sent, 2, "the proposal and the prevote");
    assert!(greeted.contains(&Effect::ResendBlock { to: vec![peer], block: A }), "and the block");
    assert!(stage.feed(Input::PeerConnected(NodeId([9; 32]))).is_empty(), "a stranger gets nothing");
}
