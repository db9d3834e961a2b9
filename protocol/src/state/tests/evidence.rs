//! Cuts, headers, last commits and evidence: each part of a block that may be wrong, wrong by itself.

use super::world::*;
use crate::block::{Block, CommitCertificate, Cut, Fork, SignedVote, VoteKind};
use crate::check::{Check, Rejected};
use crate::control::{NodeEntry, RoleEntry, Standing, ValidatorSetEntry};
use crate::entry::{Header, HeaderFields, Kind};
use crate::ids::{BlockHash, HeaderId, NetworkId, Reveal};
use crate::keys::SoftwareSigner;
use crate::limits::{HEADERS_PER_ORGANIZATION_MAX, SIGNED_AHEAD_MS_MAX};
use crate::state::{Draft, Executed, LedgerState};
use crate::wire::{Bytes, Wire};

fn check<T>(verdict: Result<T, Rejected>) -> Option<Check> {
    verdict.err().map(|r| r.check)
}

fn execute(state: &LedgerState, cuts: &[Cut], headers: &[Header]) -> Result<Executed, Rejected> {
    state.execute(&Draft { time: 2_000, cuts, headers, control: &[], forks: &[] })
}

fn records(w: &mut World, by: usize, n: u64) -> Vec<Header> {
    let mut file = |i| {
        let content = w.content(by, Kind::Record, &i);
        w.header(by, &content, Vec::new())
    };
    (0..n).map(&mut file).collect()
}

fn sorted(mut headers: Vec<Header>) -> Vec<Header> {
    headers.sort_by_key(|h| (h.fields().node, h.fields().sequence));
    headers
}

#[test]
fn cuts_continue_what_is_final_and_name_their_headers() {
    let mut w = World::of(2);
    let (two, one) = (records(&mut w, 0, 2), records(&mut w, 1, 1));
    let all = sorted([&two[..], &one[..]].concat());
    let cut = cuts(&all);
    let run = |w: &World, cuts: &[Cut], headers: &[Header]| check(execute(&w.state, cuts, headers));
    assert_eq!(run(&w, &cut, &all), None, "as it is");
    let backwards: Vec<_> = cut.iter().rev().cloned().collect();
    let turned: Vec<_> =
        cut.iter().rev().flat_map(|c| all.iter().filter(|h| h.fields().node == c.node)).cloned().collect();
    assert_eq!(run(&w, &backwards, &turned), Some(Check::CutForm), "cuts out of order");
    let halves =
        [Cut { to: 1, last: two[0].id(), ..cuts(&two)[0].clone() }, Cut { from: 2, ..cuts(&two)[0].clone() }];
    assert_eq!(run(&w, &halves, &two), Some(Check::CutForm), "two cuts of one node");
    assert_eq!(run(&w, &cut, &all[..2]), Some(Check::HeadersMissing), "a header too few");
    assert_eq!(run(&w, &cuts(&two[..1]), &two), Some(Check::CutForm), "a header too many");
    assert_eq!(run(&w, &cuts(&one), &two[..1]), Some(Check::CutForm), "another node's header");
    let swapped = [two[1].clone(), two[0].clone()];
    assert_eq!(run(&w, &cuts(&two), &swapped), Some(Check::CutForm), "headers out of order");
    w.state = execute(&w.state, &cut, &all).expect("lawful").state;
    let last = two[1].id();
    let empty = Cut { node: two[0].fields().node, from: 3, to: 2, last };
    assert_eq!(run(&w, &[empty], &[]), Some(Check::CutForm), "a cut of nothing");
    assert_eq!(run(&w, &cuts(&two), &two), Some(Check::CutForm), "what is final already");
    let next = records(&mut w, 0, 1);
    assert_eq!(run(&w, &cuts(&next), &next), None, "what follows");
    let elsewhere = Cut { last: HeaderId([9; 32]), ..cuts(&next)[0].clone() };
    assert_eq!(run(&w, &[elsewhere], &next), Some(Check::CutForm), "another last header");
}

#[test]
fn a_header_takes_effect_for_its_own_node_in_its_own_time() {
    let mut w = World::of(2);
    let other = w.organization(1);
    let content = w.content(0, Kind::Record, &1_u64);
    let good = w.header(0, &content, Vec::new()).fields().clone();
    let run = |w: &World, change: &dyn Fn(&mut HeaderFields), seed: Option<u8>| {
        let mut fields = good.clone();
        change(&mut fields);
        let mut by =
            seed.map_or_else(|| (50..80).map(key).find(|k| node_id(k) == good.node).expect("ours"), key);
        let header = Header::sign(fields, &mut by).expect("software signs");
        check(execute(&w.state, &cuts(std::slice::from_ref(&header)), &[header]))
    };
    assert_eq!(run(&w, &|_| {}, None), None, "as it is");
    let stranger = |f: &mut HeaderFields| f.node = node_id(&key(79));
    assert_eq!(run(&w, &stranger, Some(79)), Some(Check::UnknownNode), "of no member");
    assert_eq!(run(&w, &|f| f.organization = other, None), Some(Check::WrongOrganization), "for another's");
    let ahead = 2_000 + SIGNED_AHEAD_MS_MAX;
    assert_eq!(run(&w, &|f| f.signed_at = ahead, None), None, "as far ahead as may be");
    assert_eq!(run(&w, &|f| f.signed_at = ahead + 1, None), Some(Check::AheadOfTime), "a millisecond more");
    assert_eq!(run(&w, &|f| f.signed_at = 0, None), None, "long before is welcome");
    let first = Header::sign(good.clone(), &mut w.nodes[0]).expect("software signs");
    w.state = execute(&w.state, &cuts(std::slice::from_ref(&first)), std::slice::from_ref(&first))
        .expect("lawful")
        .state;
    let second =
        |previous: HeaderId| move |f: &mut HeaderFields| (f.sequence, f.previous) = (2, Some(previous));
    assert_eq!(run(&w, &second(HeaderId([9; 32])), None), Some(Check::PrevMismatch), "on another one");
    assert_eq!(run(&w, &second(first.id()), None), None, "on the one before it");
}

#[test]
fn no_organization_fills_a_block_and_each_has_its_own_share() {
    let mut w = World::of(2);
    let most = HEADERS_PER_ORGANIZATION_MAX as u64;
    let content = w.content(0, Kind::Record, &1_u64);
    let first = w.header(0, &content, Vec::new()).fields().clone();
    let mut chain = vec![first];
    for sequence in 2..=most + 1 {
        let last = chain.last().expect("not empty");
        chain.push(HeaderFields { sequence, previous: Some(last.id()), ..last.clone() });
    }
    let all = Header::sign_all(chain, &mut w.nodes[0]).expect("software signs");
    let most = &all[..HEADERS_PER_ORGANIZATION_MAX];
    assert_eq!(check(execute(&w.state, &cuts(&all), &all)), Some(Check::CapExceeded), "one too many");
    let both = sorted([most, &records(&mut w, 1, 1)].concat());
    let executed = execute(&w.state, &cuts(&both), &both).expect("lawful");
    assert_eq!(executed.outcomes.len(), both.len(), "as many as may be, and another organization's");
}

#[test]
fn a_lock_closes_once_and_before_its_own_header_counts() {
    let mut w = World::of(2);
    let reveal = Reveal([8; 32]);
    let mut own = w.content(0, Kind::Grant, &1_u64);
    own.lock = Some(reveal.lock());
    let header = w.header(0, &own, vec![reveal]);
    let (_, executed) = w.block(&[header], &[], &[]).expect("a lawful block");
    assert_eq!(executed.outcomes[0].void, Some(Check::LockClosed), "what it withdraws itself");
    assert_eq!(executed.closed, [reveal.lock()], "closed by it");
    w.state = executed.state;
    let content = w.content(1, Kind::Revocation, &1_u64);
    let again = w.header(1, &content, vec![reveal]);
    let (_, executed) = w.block(&[again], &[], &[]).expect("a lawful block");
    assert_eq!((executed.closed, executed.outcomes[0].void), (vec![], None), "shown again it closes nothing");
}

#[test]
fn control_bodies_are_those_of_the_headers_and_a_withdrawn_one_changes_nothing() {
    let mut w = World::of(1);
    let role = RoleEntry {
        organization: w.organization(0),
        name: "doctor".into(),
        categories: Vec::new(),
        rights: 7,
        administrator: false,
        attested: false,
    };
    let reveal = Reveal([8; 32]);
    let mut content = w.content(0, Kind::Role, &role);
    content.lock = Some(reveal.lock());
    let body = w.body(&content, &[0]);
    let heads = w.heads.clone();
    let header = w.header(0, &content, Vec::new());
    let run = |w: &World, header: &Header, bodies: &[Bytes]| {
        w.block(std::slice::from_ref(header), bodies, &[])
            .map(|(_, e)| e.outcomes[0].void)
            .map_err(|r| r.check)
    };
    assert_eq!(run(&w, &header, std::slice::from_ref(&body)), Ok(None), "its own");
    assert_eq!(run(&w, &header, &[]), Err(Check::ControlBodies), "none");
    assert_eq!(run(&w, &header, &[Bytes(vec![1])]), Err(Check::ControlBodies), "what is no body");
    let other = w.content(0, Kind::Role, &role);
    let other = w.body(&other, &[0]);
    assert_eq!(run(&w, &header, &[other]), Err(Check::ControlBodies), "another entry's");
    assert_eq!(run(&w, &header, &[body.clone(), body.clone()]), Err(Check::CutForm), "one too many");
    w.heads.clone_from(&heads);
    let mut differing = content.clone();
    differing.lock = None;
    let mut fields = w.header(0, &differing, Vec::new()).fields().clone();
    fields.content = content.id();
    let differing = Header::sign(fields, &mut w.nodes[0]).expect("software signs");
    let verdict = run(&w, &differing, std::slice::from_ref(&body));
    assert_eq!(verdict, Ok(Some(Check::ContentMismatch)), "a header that says something else");
    w.heads = heads;
    let withdrawn = w.header(0, &content, vec![reveal]);
    let (_, executed) = w.block(&[withdrawn], &[body], &[]).expect("a lawful block");
    assert_eq!(executed.outcomes[0].void, Some(Check::LockClosed), "withdrawn");
    assert!(executed.state.membership.roles.is_empty(), "it changed nothing");
}

#[test]
fn a_set_stays_set_by_what_follows_in_its_block_and_loses_who_leaves_in_it() {
    let mut w = World::of(4);
    let three = |w: &World| {
        let mut nodes: Vec<_> = w.nodes[..3].iter().map(node_id).collect();
        nodes.sort_unstable();
        ValidatorSetEntry { nodes }
    };
    let gone = NodeEntry { standing: Standing::Removed, ..node_entry(&w.nodes[1], w.organization(1)) };
    let (set, leaves) = (w.content(0, Kind::ValidatorSet, &three(&w)), w.content(0, Kind::Node, &gone));
    let bodies = [w.body(&set, &[0, 1, 2]), w.body(&leaves, &[1])];
    let headers = [w.header(0, &set, Vec::new()), w.header(0, &leaves, Vec::new())];
    let (_, executed) = w.block(&headers, &bodies, &[]).expect("a lawful block");
    let left: Vec<_> = executed.state.validators.validators.iter().map(|v| v.node).collect();
    let mut expected = [node_id(&w.nodes[0]), node_id(&w.nodes[2])];
    expected.sort_unstable();
    assert_eq!(left, expected, "the three that were set, but for the one that left");
}

#[test]
fn the_last_validator_stays_though_its_node_is_gone() {
    let mut w = World::of(1);
    let gone = NodeEntry { standing: Standing::Removed, ..node_entry(&w.nodes[0], w.organization(0)) };
    assert_eq!(w.control(0, Kind::Node, &gone, &[0]), Some(Check::LastValidator), "nobody would decide");
    assert_eq!(w.state.membership.active_nodes().count(), 1, "it had no effect");
    let one = records(&mut w, 0, 1).remove(0);
    let mut fields = one.fields().clone();
    fields.signed_at = 1;
    let other = Header::sign(fields, &mut w.nodes[0]).expect("software signs");
    let (_, executed) = w.block(&[], &[], &[evidence(&one, &other)]).expect("a lawful block");
    assert_eq!(executed.state.membership.active_nodes().count(), 0, "a fork retires whoever it shows");
    assert_eq!(executed.state.validators.len(), 1, "but a set of nobody could decide nothing");
    w.state = executed.state;
    let role = RoleEntry {
        organization: w.organization(0),
        name: "doctor".into(),
        categories: Vec::new(),
        rights: 7,
        administrator: false,
        attested: false,
    };
    let content = w.content(0, Kind::Role, &role);
    let body = crate::tap::Body::decode(&w.body(&content, &[0])).expect("just made");
    assert_eq!(
        w.state.judge_control(&content, &body, &node_id(&w.nodes[0])),
        Ok(()),
        "what was lost before voids nothing after"
    );
}

fn evidence(one: &Header, other: &Header) -> Fork {
    Fork { one: Bytes(one.as_bytes().to_vec()), other: Bytes(other.as_bytes().to_vec()) }
}

#[test]
fn evidence_of_a_fork_is_two_sound_headers_of_one_number() {
    let mut w = World::of(2);
    let base = records(&mut w, 0, 1)[0].fields().clone();
    let stranger = node_id(&key(79));
    let make = |change: &dyn Fn(&mut HeaderFields), by: &mut SoftwareSigner| {
        let mut fields = base.clone();
        change(&mut fields);
        Header::sign(fields, by).expect("software signs")
    };
    let own = &mut w.nodes[0];
    let (one, other) = (make(&|_| {}, own), make(&|f| f.signed_at = 1, own));
    let second = make(&|f| (f.sequence, f.previous) = (2, Some(HeaderId([1; 32]))), own);
    let abroad = make(&|f| f.network = NetworkId([9; 32]), own);
    let forged = {
        let mut bytes = other.as_bytes().to_vec();
        *bytes.last_mut().expect("not empty") ^= 1;
        bytes
    };
    let elsewhere = node_id(&w.nodes[1]);
    let of_another = make(&|f| f.node = elsewhere, &mut w.nodes[1]);
    let theirs = [1, 2].map(|at| make(&|f| (f.node, f.signed_at) = (stranger, at), &mut key(79)));
    let judge = |fork: Fork| {
        let draft = Draft { time: 2_000, cuts: &[], headers: &[], control: &[], forks: &[fork] };
        check(w.state.execute(&draft))
    };
    let shows_nothing = Some(Check::Evidence);
    assert_eq!(judge(evidence(&one, &other)), None, "two of one number");
    assert_eq!(judge(evidence(&one, &one)), shows_nothing, "one header twice");
    assert_eq!(judge(evidence(&one, &second)), shows_nothing, "two of two numbers");
    assert_eq!(judge(evidence(&one, &of_another)), shows_nothing, "of two nodes");
    assert_eq!(judge(evidence(&one, &abroad)), shows_nothing, "of two networks");
    assert_eq!(judge(evidence(&theirs[0], &theirs[1])), shows_nothing, "of no member");
    let (good, bad) = (Bytes(one.as_bytes().to_vec()), Bytes(forged));
    assert_eq!(judge(Fork { one: good.clone(), other: bad.clone() }), shows_nothing, "a forged second");
    assert_eq!(judge(Fork { one: bad, other: good.clone() }), shows_nothing, "a forged first");
    assert_eq!(judge(Fork { one: good, other: Bytes(vec![1]) }), shows_nothing, "no header");
}

#[test]
fn a_forked_node_is_retired_and_no_other() {
    let mut w = World::of(2);
    let one = records(&mut w, 0, 1).remove(0);
    let mut fields = one.fields().clone();
    fields.signed_at = 1;
    let other = Header::sign(fields, &mut w.nodes[0]).expect("software signs");
    let (_, executed) = w.block(&[], &[], &[evidence(&one, &other)]).expect("a lawful block");
    let members = &executed.state.membership;
    assert_eq!(members.nodes[&one.fields().node].standing, Standing::Removed, "retired");
    let standing: Vec<_> = members.active_nodes().map(|(id, _)| *id).collect();
    assert_eq!(standing, [node_id(&w.nodes[1])], "the other goes on");
    assert_eq!(executed.state.validators.len(), 1, "alone in the set");
}

#[test]
fn a_block_carries_the_certificate_of_the_one_before_and_no_other() {
    let mut w = World::of(4);
    let (first, executed) = w.block(&[], &[], &[]).expect("a lawful block");
    let judge = |w: &World, block: &Block| check(w.state.judge(block, &[], Some(2_000)));
    assert_eq!(judge(&w, &first), None, "the first has none before it");
    w.state = executed.state;
    let (second, _) = w.block(&[], &[], &[]).expect("a lawful block");
    let good = second.last_commit.clone().expect("the second has");
    let with = |last_commit| Block { last_commit, ..second.clone() };
    assert_eq!(judge(&w, &second), None, "its own");
    assert_eq!(judge(&w, &with(None)), Some(Check::LastCommit), "none");
    let height = CommitCertificate { height: 2, ..good.clone() };
    assert_eq!(judge(&w, &with(Some(height))), Some(Check::LastCommit), "of another height");
    let block = CommitCertificate { block: BlockHash([9; 32]), ..good.clone() };
    assert_eq!(judge(&w, &with(Some(block))), Some(Check::LastCommit), "of another block");
    let mut few = good.clone();
    few.signatures.truncate(2);
    assert_eq!(judge(&w, &with(Some(few))), Some(Check::QuorumMissing), "of two of four");
    let round = CommitCertificate { round: 1, ..good.clone() };
    assert_eq!(judge(&w, &with(Some(round))), Some(Check::BadSignature), "of a round that nobody signed");
    let mut forged = good.clone();
    forged.signatures[0].signature[0] ^= 1;
    let after = |known: &CommitCertificate| {
        check(w.state.judge_after(&with(Some(forged.clone())), &[], Some(2_000), Some(known)))
    };
    assert_eq!(after(&forged), None, "the very one that was verified before is not verified again");
    assert_eq!(after(&good), Some(Check::BadSignature), "any other is");
    let fresh = World::of(4);
    let early = Block { last_commit: Some(good), ..first };
    assert_eq!(judge(&fresh, &early), Some(Check::LastCommit), "one before the first");
}

#[test]
fn an_equivocation_is_two_votes_of_one_place_that_differ() {
    let mut w = World::of(4);
    let (good, _) = w.block(&[], &[], &[]).expect("a lawful block");
    let network = w.state.network;
    let mut vote = |change: &dyn Fn(&mut crate::block::Vote), by: usize| {
        let mut vote = crate::block::Vote {
            format: 1,
            network,
            kind: VoteKind::Prevote,
            height: 1,
            round: 0,
            block: Some(BlockHash([1; 32])),
            validator: node_id(&w.nodes[by]),
        };
        change(&mut vote);
        SignedVote::sign(vote, &mut w.nodes[by]).expect("software signs")
    };
    let (one, nil) = (vote(&|_| {}, 0), vote(&|v| v.block = None, 0));
    let differing: [(&str, SignedVote); 6] = [
        ("height", vote(&|v| (v.block, v.height) = (None, 2), 0)),
        ("round", vote(&|v| (v.block, v.round) = (None, 1), 0)),
        ("kind", vote(&|v| (v.block, v.kind) = (None, VoteKind::Precommit), 0)),
        ("network", vote(&|v| (v.block, v.network) = (None, NetworkId([9; 32])), 0)),
        ("validator", vote(&|v| v.block = None, 1)),
        ("nothing", one.clone()),
    ];
    let strangers = [Some(BlockHash([1; 32])), None].map(|block| {
        let mut signer = key(79);
        let vote = crate::block::Vote { block, validator: node_id(&signer), ..one.vote.clone() };
        SignedVote::sign(vote, &mut signer).expect("software signs")
    });
    let mut forged = nil.clone();
    forged.signature[0] ^= 1;
    let judge = |one: &SignedVote, other: &SignedVote| {
        let block = Block { equivocations: vec![(one.clone(), other.clone())], ..good.clone() };
        check(w.state.judge(&block, &[], Some(2_000)))
    };
    assert_eq!(judge(&one, &nil), None, "a block and nil, in one place");
    for (what, other) in &differing {
        assert_eq!(judge(&one, other), Some(Check::Evidence), "{what} differs");
        assert_eq!(judge(other, &one), Some(Check::Evidence), "{what} differs, the other way round");
    }
    assert_eq!(judge(&strangers[0], &strangers[1]), Some(Check::Evidence), "of no member");
    assert_eq!(judge(&one, &forged), Some(Check::BadSignature), "a forged second");
    assert_eq!(judge(&forged, &one), Some(Check::BadSignature), "a forged first");
}

#[test]
fn a_block_is_of_its_time_to_the_millisecond() {
    let w = World::of(4);
    let (good, _) = w.block(&[], &[], &[]).expect("a lawful block");
    let judge = |time, now| check(w.state.judge(&Block { time, ..good.clone() }, &[], now));
    assert_eq!(judge(1_000, Some(2_000)), None, "as old as the one before");
    assert_eq!(judge(7_000, Some(2_000)), None, "as far ahead as the skew allows");
    assert_eq!(judge(7_001, Some(2_000)), Some(Check::TimeAhead), "a millisecond more");
    assert_eq!(judge(7_001, None), None, "which a certified one may be");
    let format = Block { format: 2, ..good.clone() };
    assert_eq!(check(w.state.judge(&format, &[], None)), Some(Check::UnknownFormat), "a format to come");
    let judged = w.state.judge(&good, &[], None).expect("lawful");
    assert_eq!(judged.state.block, good.hash(), "the state after it names it");
    let mut executed = execute(&w.state, &[], &[]).expect("lawful");
    assert_eq!((executed.state.height, executed.state.time), (1, 2_000), "the next height, the draft's time");
    executed.state.seal(good.hash());
    assert_eq!(executed.state.block, good.hash(), "as does the proposer's, once it is sealed");
}
