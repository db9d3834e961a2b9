//! Sets, votes, certificates and the form of blocks: each rule at its boundary.

use super::*;
use crate::keys::SoftwareSigner;

const NET: NetworkId = NetworkId([3; 32]);

fn validator(signer: &SoftwareSigner) -> Validator {
    Validator {
        node: NodeId(signer.verifying_key().id().0),
        organization: OrganizationId([1; 32]),
        key: signer.verifying_key(),
    }
}

/// In order, however many.
fn validators(seeds: std::ops::Range<u8>) -> Vec<Validator> {
    let mut all: Vec<_> = seeds.map(|s| validator(&SoftwareSigner::from_seed(&[s; 32]))).collect();
    all.sort_by_key(|v| v.node);
    all
}

fn set(seeds: std::ops::Range<u8>) -> (ValidatorSet, Vec<SoftwareSigner>) {
    let signers: Vec<_> = seeds.map(|s| SoftwareSigner::from_seed(&[s; 32])).collect();
    (ValidatorSet::new(signers.iter().map(validator).collect()).expect("distinct nodes"), signers)
}

fn certify(set: &ValidatorSet, signers: &mut [SoftwareSigner]) -> CommitCertificate {
    let mut cert = CommitCertificate {
        height: 7,
        round: 0,
        block: BlockHash([9; 32]),
        validators: set.hash(),
        signatures: Vec::new(),
    };
    for signer in signers {
        let vote = cert.precommit(&NET, NodeId(signer.verifying_key().id().0));
        let signed = SignedVote::sign(vote, signer).expect("software signs");
        let one = CommitSignature { validator: signed.vote.validator, signature: signed.signature };
        cert.signatures.push(one);
    }
    cert.signatures.sort_by_key(|s| s.validator);
    cert
}

#[test]
fn a_certificate_holds_for_its_own_set_and_block_only() {
    let (four, mut signers) = set(1..5);
    let cert = certify(&four, &mut signers[..3]);
    assert_eq!(cert.verify(&NET, &four), Ok(()), "three of four");
    let (other, _) = set(1..6);
    assert_eq!(cert.verify(&NET, &other), Err(Check::ForeignValidators.into()), "a set that shares signers");
    let few = certify(&four, &mut signers[..2]);
    assert_eq!(few.verify(&NET, &four), Err(Check::QuorumMissing.into()), "two of four");
    let moved = CommitCertificate { block: BlockHash([8; 32]), ..cert.clone() };
    assert_eq!(moved.verify(&NET, &four), Err(Check::BadSignature.into()), "another block");
    let mut twice = few;
    twice.signatures.push(twice.signatures[1].clone());
    assert_eq!(twice.verify(&NET, &four), Err(Check::DuplicateSigner.into()), "one validator twice");
    assert_eq!(cert.absent(&four).len(), 1, "the fourth is seen to be absent");
}

#[test]
fn quorum_is_more_than_two_thirds() {
    let sizes: Vec<_> = [1, 2, 3, 4, 6, 7, 10].map(|n| set(1..n + 1).0.quorum()).to_vec();
    assert_eq!(sizes, [1, 2, 3, 3, 5, 5, 7], "smallest integer above 2n/3");
}

fn check<T>(verdict: Result<T, Rejected>) -> Option<Check> {
    verdict.err().map(|r| r.check)
}

fn p256() -> (p256::ecdsa::SigningKey, VerifyingKey) {
    let secret = p256::ecdsa::SigningKey::from_slice(&[7; 32]).expect("a scalar below the order");
    let point = secret.verifying_key().to_sec1_point(false);
    (secret, VerifyingKey::new(Algorithm::Esp256, point.as_bytes()).expect("a point"))
}

#[test]
fn a_set_is_of_one_to_64_nodes_each_once_in_order_with_its_own_key() {
    let judged = |validators: &[Validator]| check(ValidatorSet { validators: validators.to_vec() }.judge());
    let all = validators(1..66);
    assert_eq!(judged(&[]), Some(Check::ScopeForm), "nobody");
    assert_eq!(judged(&all[..1]), None, "one");
    assert_eq!(judged(&all[..VALIDATORS_MAX]), None, "as many as there may be");
    assert_eq!(judged(&all), Some(Check::ScopeForm), "one more");
    assert_eq!(judged(&[all[1].clone(), all[0].clone()]), Some(Check::ScopeForm), "out of order");
    assert_eq!(judged(&[all[0].clone(), all[0].clone()]), Some(Check::ScopeForm), "one node twice");
    let swapped = Validator { key: all[1].key.clone(), ..all[0].clone() };
    assert_eq!(judged(&[swapped]), Some(Check::WeakKey), "another node's key");
    let key = p256().1;
    let of_another_kind = Validator { node: NodeId(key.id().0), key, ..all[0].clone() };
    assert_eq!(judged(&[of_another_kind]), Some(Check::WeakKey), "its own key, but none that votes");
    let backwards: Vec<_> = all[..4].iter().rev().cloned().collect();
    let sorted = ValidatorSet::new(backwards).expect("a set has one order");
    assert_eq!(sorted.validators, all[..4], "whatever order it was given in");
    assert_eq!(check(ValidatorSet::new(Vec::new())), Some(Check::ScopeForm), "none is no set");
}

#[test]
fn a_set_knows_its_members_and_how_many_may_fail() {
    let (four, _) = set(1..5);
    for validator in &four.validators {
        assert_eq!(four.get(&validator.node), Some(validator), "a member");
    }
    assert_eq!(four.get(&NodeId([0; 32])), None, "a stranger");
    assert_eq!((four.len(), four.is_empty()), (4, false), "four of them");
    let none = ValidatorSet { validators: Vec::new() };
    assert_eq!((none.len(), none.is_empty()), (0, true), "none");
    let tolerated: Vec<_> = [1, 3, 4, 6, 7, 10, 13].map(|n| set(1..n + 1).0.faults_tolerated()).to_vec();
    assert_eq!(tolerated, [0, 0, 1, 1, 2, 3, 4], "f of 3f + 1");
    assert_eq!(none.faults_tolerated(), 0, "of nobody, nobody");
    assert_ne!(four.hash(), set(1..6).0.hash(), "another set, another hash");
}

fn a_block() -> Block {
    let four = set(1..5).0;
    let cut = |n: usize, from, to| Cut { node: four.validators[n].node, from, to, last: HeaderId([4; 32]) };
    Block {
        format: FORMAT,
        network: NET,
        height: 1,
        previous: BlockHash(NET.0),
        time: 1_000,
        proposer: four.validators[0].node,
        cuts: vec![cut(0, 1, 1), cut(1, 3, 9)],
        control: Vec::new(),
        state_root: StateRoot([5; 32]),
        validators: four.hash(),
        next_validators: four.hash(),
        last_commit: None,
        forks: Vec::new(),
        equivocations: Vec::new(),
    }
}

#[test]
fn a_block_is_read_by_its_form_and_each_part_of_it() {
    let read = |change: &dyn Fn(&mut Block)| {
        let mut block = a_block();
        change(&mut block);
        check(Block::read(&block.encode(), &NET))
    };
    assert_eq!(read(&|_| {}), None, "as it was made");
    assert_eq!(read(&|b| b.format = 2), Some(Check::UnknownFormat), "a format to come");
    assert_eq!(read(&|b| b.network = NetworkId([4; 32])), Some(Check::WrongNetwork), "another network's");
    assert_eq!(read(&|b| b.height = 0), Some(Check::BlockHeight), "the height of genesis");
    assert_eq!(read(&|b| b.height = 2), None, "a later one");
    assert_eq!(read(&|b| b.cuts.reverse()), Some(Check::CutForm), "cuts out of order");
    assert_eq!(read(&|b| b.cuts[1] = b.cuts[0].clone()), Some(Check::CutForm), "two cuts of one node");
    assert_eq!(read(&|b| b.cuts[0].from = 0), Some(Check::CutForm), "sequences begin with 1");
    assert_eq!(read(&|b| b.cuts[1].to = 3), None, "a cut of one header");
    assert_eq!(read(&|b| b.cuts[1].to = 2), Some(Check::CutForm), "a cut that ends before it begins");
    let bytes = a_block().encode();
    assert_eq!(Block::read(&bytes, &NET).map(|b| b.hash()), Ok(BlockHash(sha256(&[&bytes]))), "its hash");
}

#[test]
fn a_block_is_of_a_mebibyte_at_most() {
    let of = |bytes: usize| {
        let mut block = a_block();
        let without =
            Block { control: vec![Bytes(vec![0; 70_000])], ..block.clone() }.encode().len() - 70_000;
        block.control = vec![Bytes(vec![0; bytes - without])];
        let bytes = block.encode();
        (bytes.len(), check(Block::read(&bytes, &NET)))
    };
    assert_eq!(of(BLOCK_BYTES_MAX), (BLOCK_BYTES_MAX, None), "to the byte");
    assert_eq!(of(BLOCK_BYTES_MAX + 1), (BLOCK_BYTES_MAX + 1, Some(Check::TooLarge)), "one more");
}

#[test]
fn a_vote_is_its_validators_and_by_ed25519_only() {
    let (four, mut signers) = set(1..5);
    let cert = certify(&four, &mut signers[..3]);
    let vote = cert.precommit(&NET, NodeId(signers[0].verifying_key().id().0));
    let signed = SignedVote::sign(vote.clone(), &mut signers[0]).expect("software signs");
    assert_eq!(signed.verify(&signers[0].verifying_key()), Ok(()), "by its validator's key");
    let other = signed.verify(&signers[1].verifying_key());
    assert_eq!(other, Err(Check::UnknownSigner.into()), "by another's");
    let mut changed = signed.clone();
    changed.vote.round = 1;
    let changed = changed.verify(&signers[0].verifying_key());
    assert_eq!(changed, Err(Check::BadSignature.into()), "of another round");
    let expected = (FORMAT, NET, VoteKind::Precommit, 7, 0, Some(BlockHash([9; 32])));
    let said = (vote.format, vote.network, vote.kind, vote.height, vote.round, vote.block);
    assert_eq!(said, expected, "the precommit that a certificate's fields give");
}

#[test]
fn a_certificate_of_everyone_misses_nobody() {
    let (four, mut signers) = set(1..5);
    let missing = NodeId(signers[3].verifying_key().id().0);
    let three = certify(&four, &mut signers[..3]);
    assert_eq!(three.absent(&four), [missing].into(), "who did not sign");
    let all = certify(&four, &mut signers);
    assert_eq!(all.absent(&four), BTreeSet::new(), "nobody");
    assert_eq!(all.verify(&NET, &four), Ok(()), "and it holds");
    let mut turned = all.clone();
    turned.signatures.reverse();
    assert_eq!(turned.verify(&NET, &four), Err(Check::DuplicateSigner.into()), "in one order only");
    let (_, mut strangers) = set(40..41);
    let mut foreign = three;
    let vote = foreign.precommit(&NET, NodeId(strangers[0].verifying_key().id().0));
    let vote = SignedVote::sign(vote, &mut strangers[0]).expect("software signs");
    foreign.signatures.push(CommitSignature { validator: vote.vote.validator, signature: vote.signature });
    foreign.signatures.sort_by_key(|s| s.validator);
    assert_eq!(foreign.verify(&NET, &four), Err(Check::ForeignValidators.into()), "a stranger among them");
}
