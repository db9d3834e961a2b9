//! Who proposes. Pure functions of what stands in blocks, so that every validator names the same proposer.
//!
//! Present validators take turns, one step per height and round; those whom the last commits show absent
//! come after them, so a dead validator costs nothing at round 0 and is still asked before a height starves.

use std::collections::BTreeSet;

use hospes_protocol::block::{CommitCertificate, ValidatorSet};
use hospes_protocol::ids::NodeId;

/// Recorded commits without a validator's signature after which it counts as absent. A certificate may leave
/// out up to f validators that were merely slower, so one commit says little.
pub const ABSENT_COMMITS: usize = 4;

/// Validators of `set` whose signature is in none of the newest [`ABSENT_COMMITS`] commits that `set` made.
///
/// `commits` are those recorded as `last_commit` in blocks that are final, in any order; those of another
/// validator set are passed over. Never more than f validators are absent, whoever proposed those blocks,
/// because each commit bears a quorum.
#[must_use]
pub fn absentees(set: &ValidatorSet, commits: &[CommitCertificate]) -> BTreeSet<NodeId> {
    let hash = set.hash();
    let mut own: Vec<_> = commits.iter().filter(|c| c.validators == hash).collect();
    own.sort_by_key(|c| std::cmp::Reverse(c.height));
    own.truncate(ABSENT_COMMITS);
    if own.len() < ABSENT_COMMITS {
        return BTreeSet::new();
    }
    let signed: BTreeSet<_> = own.iter().flat_map(|c| c.signatures.iter().map(|s| s.validator)).collect();
    set.validators.iter().map(|v| v.node).filter(|n| !signed.contains(n)).collect()
}

/// The proposer of a height and round, as an index into the set, which must not be empty.
#[must_use]
pub(super) fn turn(set: &ValidatorSet, absent: &BTreeSet<NodeId>, height: u64, round: u64) -> usize {
    let (present, away): (Vec<_>, Vec<_>) =
        (0..set.len()).partition(|i| !absent.contains(&set.validators[*i].node));
    let mut order = rotated(&present, height);
    order.extend(rotated(&away, height));
    order[index(round, order.len())]
}

fn rotated(turns: &[usize], height: u64) -> Vec<usize> {
    let start = if turns.is_empty() { 0 } else { index(height, turns.len()) };
    turns[start..].iter().chain(&turns[..start]).copied().collect()
}

fn index(n: u64, len: usize) -> usize {
    usize::try_from(n % len as u64).expect("a remainder by a usize is a usize")
}

#[cfg(test)]
mod tests {
    use hospes_protocol::block::CommitSignature;
    use hospes_protocol::ids::BlockHash;

    use super::*;
    use crate::consensus::tests::keys;

    fn commit(set: &ValidatorSet, height: u64, signers: &[usize]) -> CommitCertificate {
        let one = |i: &usize| CommitSignature { validator: set.validators[*i].node, signature: [0; 64] };
        let signatures = signers.iter().map(one).collect();
        CommitCertificate { height, round: 0, block: BlockHash([1; 32]), validators: set.hash(), signatures }
    }

    #[test]
    fn every_present_validator_has_its_turn_before_an_absent_one() {
        let (set, _) = keys::validators(4);
        let absent = BTreeSet::from([set.validators[2].node]);
        for height in 0..9 {
            let turns: Vec<_> = (0..4).map(|r| turn(&set, &absent, height, r)).collect();
            assert_eq!(turns[3], 2, "the absent one comes last at height {height}");
            assert_eq!(turns.iter().collect::<BTreeSet<_>>().len(), 4, "everyone once in n rounds");
        }
        let first: BTreeSet<_> = (0..4).map(|h| turn(&set, &BTreeSet::new(), h, 0)).collect();
        assert_eq!(first.len(), 4, "round 0 moves on with the height");
        let all: BTreeSet<_> = set.validators.iter().map(|v| v.node).collect();
        assert!(turn(&set, &all, u64::MAX, u64::MAX) < 4, "even if everyone is absent someone proposes");
    }

    #[test]
    fn absent_is_who_signed_none_of_the_last_commits() {
        let (set, _) = keys::validators(4);
        let mut commits: Vec<_> = (1..=4).map(|h| commit(&set, h, &[0, 1, 2])).collect();
        assert_eq!(absentees(&set, &commits), BTreeSet::from([set.validators[3].node]), "four without it");
        assert!(absentees(&set, &commits[..3]).is_empty(), "three are too few to say");
        commits.insert(0, commit(&set, 5, &[0, 1, 3]));
        assert!(absentees(&set, &commits).is_empty(), "it signed the newest, and 2 signed the others");
        let (other, _) = keys::validators(5);
        assert!(absentees(&other, &commits).is_empty(), "commits of another set say nothing");
    }
}
