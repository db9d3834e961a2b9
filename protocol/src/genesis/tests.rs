//! A genesis file as it must be, and with one thing wrong.

use super::*;
use crate::control::Standing;
use crate::keys::{KeyAgreement, Signer, SoftwareAgreement, SoftwareSigner};

fn organization(seed: u8) -> OrganizationEntry {
    let card = SoftwareSigner::from_seed(&[seed; 32]).verifying_key();
    OrganizationEntry {
        organization: organization_id(card.as_bytes()),
        name: "Hospital".into(),
        cards: vec![card],
        agreement: Vec::new(),
        accreditation: [1; 32],
        standing: Standing::Active,
    }
}

fn node(seed: u8, organization: OrganizationId) -> NodeEntry {
    NodeEntry {
        key: SoftwareSigner::from_seed(&[seed; 32]).verifying_key(),
        agreement: SoftwareAgreement::from_secret(&[seed; 32]).agreement_key(),
        organization,
        emergency: false,
        addresses: Vec::new(),
        expires: u64::MAX,
        standing: Standing::Active,
    }
}

/// Two organizations with two nodes, of which the first in order is the validator.
fn genesis() -> Genesis {
    let mut organizations = [1, 2].map(organization).to_vec();
    organizations.sort_by_key(|o| o.organization);
    let mut nodes: Vec<_> =
        organizations.iter().zip([11, 12]).map(|(o, seed)| node(seed, o.organization)).collect();
    nodes.sort_by_key(|n| n.key.id());
    let validators = vec![NodeId(nodes[0].key.id().0)];
    let policy = default_policy();
    Genesis { format: FORMAT, name: "test".into(), time: 1_000, organizations, nodes, validators, policy }
}

fn read(change: impl Fn(&mut Genesis)) -> Option<Check> {
    let mut changed = genesis();
    change(&mut changed);
    Genesis::read(&changed.encode()).err().map(|r| r.check)
}

#[test]
fn a_genesis_is_read_by_each_of_its_parts() {
    assert_eq!(Genesis::read(&genesis().encode()), Ok(genesis()), "as it was made");
    assert_eq!(read(|g| g.format = 2), Some(Check::UnknownFormat), "a format to come");
    let nobody = |g: &mut Genesis| {
        g.organizations.clear();
        g.nodes.clear();
    };
    assert_eq!(read(nobody), Some(Check::ScopeForm), "no organization");
    assert_eq!(read(|g| g.organizations.reverse()), Some(Check::ScopeForm), "organizations out of order");
    let twice = |g: &mut Genesis| g.organizations.insert(0, g.organizations[0].clone());
    assert_eq!(read(twice), Some(Check::ScopeForm), "an organization twice");
    let card = organization(3).cards;
    let foreign = |g: &mut Genesis| g.organizations[0].cards = card.clone();
    assert_eq!(read(foreign), Some(Check::NotAuthorized), "a first card that isn't its own");
    assert_eq!(read(|g| g.organizations[1].cards.clear()), Some(Check::NotAuthorized), "no card at all");
    assert_eq!(read(|g| g.nodes.reverse()), Some(Check::ScopeForm), "nodes out of order");
    assert_eq!(read(|g| g.nodes[1] = g.nodes[0].clone()), Some(Check::ScopeForm), "a node twice");
    let stray = |g: &mut Genesis| g.nodes[1].organization = OrganizationId([9; 32]);
    assert_eq!(read(stray), Some(Check::UnknownOrganization), "a node of nobody");
    assert_eq!(read(|g| g.validators.clear()), Some(Check::ScopeForm), "no validator");
    assert_eq!(read(|g| g.validators[0].0[0] ^= 1), Some(Check::UnknownNode), "a validator that is no node");
    let many = |n: usize| read(move |g| g.validators = vec![NodeId([0; 32]); n]);
    assert_eq!(many(VALIDATORS_MAX), Some(Check::UnknownNode), "as many as there may be: looked up");
    assert_eq!(many(VALIDATORS_MAX + 1), Some(Check::ScopeForm), "more: refused by their number");
}

#[test]
fn a_genesis_is_of_256_kib_at_most() {
    let of = |bytes: usize| {
        let without = Genesis { name: "x".repeat(70_000), ..genesis() }.encode().len() - 70_000;
        let bytes = Genesis { name: "x".repeat(bytes - without), ..genesis() }.encode();
        (bytes.len(), Genesis::read(&bytes).err().map(|r| r.check))
    };
    assert_eq!(of(256 * 1024), (256 * 1024, None), "to the byte");
    assert_eq!(of(256 * 1024 + 1), (256 * 1024 + 1, Some(Check::TooLarge)), "one more");
}

#[test]
fn the_network_is_the_hash_of_the_file_and_the_first_validators_are_its_nodes() {
    let genesis = genesis();
    assert_eq!(genesis.network(), NetworkId(sha256(&[&genesis.encode()])), "its id");
    let set = genesis.validator_set().expect("a node of it");
    let (validator, node) = (&set.validators[0], &genesis.nodes[0]);
    assert_eq!((set.len(), &validator.key), (1, &node.key), "the node that is named");
    assert_eq!(validator.organization, node.organization, "for its organization");
}

#[test]
fn a_new_network_starts_under_the_policy_that_is_documented() {
    let hour = 60 * 60 * 1000;
    let expected = PolicyFields {
        block_headers_max: 4000,
        block_delay_ms: 10,
        idle_block_ms: hour,
        lease_ms: 72 * hour,
        soft_cards: true,
        quota_bytes: 1_099_511_627_776,
        cooling_off_ms: 14 * 24 * hour,
        tier_zero: true,
        recovery_delay_ms: 24 * hour,
    };
    assert_eq!(default_policy(), expected, "a block an hour, three days' lease, a TiB, two weeks");
}
