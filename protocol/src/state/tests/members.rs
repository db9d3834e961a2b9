//! Who may change the membership, and how: each rule met, and broken by one thing.

use super::world::*;
use crate::check::Check;
use crate::control::{
    CheckpointEntry, NodeEntry, OrganizationEntry, OrganizationKeyEntry, PolicyEntry, PolicyFields,
    RoleEntry, Standing, ValidatorSetEntry,
};
use crate::entry::Kind;
use crate::genesis::default_policy;
use crate::ids::{BlockHash, NodeId, OrganizationId};
use crate::keys::{Signer, SoftwareSigner};
use crate::state::organizations_that_signed;
use crate::tap::Body;
use crate::wire::Wire;

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
fn two_thirds_are_more_than_two_of_three() {
    let mut w = World::of(3);
    let fields = PolicyFields { lease_ms: 1, ..default_policy() };
    let policy = PolicyEntry {
        organization: None,
        fields: Some(fields.clone()),
        backup_partners: Vec::new(),
        tier_zero: true,
    };
    assert_eq!(w.control(0, Kind::Policy, &policy, &[0, 1]), Some(Check::TwoThirdsMissing), "two of three");
    assert_eq!(
        w.control(0, Kind::Policy, &policy, &[0, 0, 1]),
        Some(Check::TwoThirdsMissing),
        "one of them twice"
    );
    assert_eq!(w.state.membership.policy, default_policy(), "nothing changed");
    assert_eq!(w.control(0, Kind::Policy, &policy, &[0, 1, 2]), None, "three of three");
    assert_eq!(w.state.membership.policy, fields, "it is the policy now");
    let content = w.content(0, Kind::Policy, &policy);
    let body = Body::decode(&w.body(&content, &[0, 2])).expect("just made");
    let signed = organizations_that_signed(&w.state.membership, &body, &w.state.network);
    assert_eq!(signed, [w.organization(0), w.organization(2)].into(), "whose cards signed");
}

/// An organization whose card is the key of a seed.
fn newcomer(seed: u8) -> OrganizationEntry {
    OrganizationEntry { agreement: vec![agreement(seed)], ..organization(&key(seed)) }
}

#[test]
fn an_organization_joins_by_two_thirds_and_its_own_card_and_leaves_for_good() {
    let mut w = World::of(4);
    let (new, all) = (newcomer(30), [0, 1, 2]);
    let id = new.organization;
    let join = |w: &mut World, entry: &OrganizationEntry, cards: &[usize], own: &[u8]| {
        w.control_with(0, Kind::Organization, entry, cards, own)
    };
    assert_eq!(join(&mut w, &new, &[0, 1], &[30]), Some(Check::TwoThirdsMissing), "two of four");
    assert_eq!(join(&mut w, &new, &all, &[]), Some(Check::MissingSignature), "not its own card");
    let cardless = OrganizationEntry { cards: Vec::new(), ..new.clone() };
    assert_eq!(join(&mut w, &cardless, &all, &[30]), Some(Check::ScopeForm), "no card");
    let renamed = OrganizationEntry { organization: OrganizationId([7; 32]), ..new.clone() };
    assert_eq!(
        join(&mut w, &renamed, &all, &[30]),
        Some(Check::NotAuthorized),
        "an id that isn't its card's"
    );
    let taken = w.cards[3].verifying_key();
    let greedy = OrganizationEntry { cards: vec![key(30).verifying_key(), taken], ..new.clone() };
    assert_eq!(join(&mut w, &greedy, &all, &[30]), Some(Check::AlreadyExists), "with another's card");
    assert_eq!(join(&mut w, &new, &all, &[30]), None, "three of four and its own");
    assert_eq!(w.state.membership.organization(&id), Some(&new), "it takes part");
    assert_eq!(w.state.membership.active_organizations().count(), 5, "as the fifth");
    let second = vec![key(30).verifying_key(), key(31).verifying_key()];
    let changed = OrganizationEntry { cards: second, ..new.clone() };
    assert_eq!(join(&mut w, &changed, &[0, 1, 2, 3], &[]), None, "a card more, its own first one kept");
    let gone = OrganizationEntry { standing: Standing::Removed, ..changed.clone() };
    assert_eq!(join(&mut w, &gone, &[0, 1, 2, 3], &[]), None, "removed by four of five");
    assert!(w.state.membership.organization(&id).is_none(), "it takes part no more");
    assert_eq!(w.state.membership.active_organizations().count(), 4, "and is not counted");
    assert_eq!(join(&mut w, &changed, &all, &[30]), Some(Check::AlreadyExists), "it doesn't come back");
}

#[test]
fn a_node_is_its_organizations_for_life() {
    let mut w = World::of(4);
    let (a, b) = (w.organization(0), w.organization(1));
    let entry = |organization| NodeEntry { expires: 9_000, ..node_entry(&key(70), organization) };
    let id = node_id(&key(70));
    assert_eq!(w.control(1, Kind::Node, &entry(a), &[1]), Some(Check::NotAuthorized), "by another's card");
    let three = w.control(1, Kind::Node, &entry(a), &[1, 2, 3]);
    assert_eq!(three, Some(Check::NotAuthorized), "by everyone else's");
    let nobodys = entry(OrganizationId([9; 32]));
    assert_eq!(w.control(0, Kind::Node, &nobodys, &[0]), Some(Check::NotAuthorized), "of no organization");
    assert_eq!(w.control(0, Kind::Node, &entry(a), &[0]), None, "by its own");
    assert_eq!(w.state.membership.node(&id), Some(&entry(a)), "it takes part");
    let holds = |w: &World, time| w.state.membership.certified_nodes(time).any(|(n, _)| *n == id);
    assert!(holds(&w, 8_999) && !holds(&w, 9_000), "to the millisecond at which it ends");
    assert_eq!(w.state.membership.active_nodes().count(), 5, "as the fifth");
    assert_eq!(
        w.control(1, Kind::Node, &entry(b), &[1]),
        Some(Check::WrongOrganization),
        "nobody takes it over"
    );
    let renewed = NodeEntry { expires: 9_999, ..entry(a) };
    assert_eq!(w.control(0, Kind::Node, &renewed, &[0]), None, "renewed");
    assert!(holds(&w, 9_000), "and goes on");
    let removed = NodeEntry { standing: Standing::Removed, ..renewed.clone() };
    assert_eq!(w.control(0, Kind::Node, &removed, &[0]), None, "removed by its own card");
    assert_eq!(w.state.membership.active_nodes().count(), 4, "it takes part no more");
    assert!(!holds(&w, 1), "whatever its certificate says");
    assert_eq!(w.control(0, Kind::Node, &renewed, &[0]), Some(Check::RetiredNode), "for good");
}

#[test]
fn a_set_of_nodes_that_take_part_spread_over_organizations_is_lawful() {
    let mut w = World::of(4);
    let extra: Vec<_> = (70..73).map(key).collect();
    for (i, node) in extra.iter().enumerate() {
        let entry = node_entry(node, w.organization(i));
        assert_eq!(w.control(i, Kind::Node, &entry, &[i]), None, "one more for each of three");
    }
    let seven = |w: &World| {
        let mut nodes: Vec<_> = w.nodes.iter().chain(&extra).map(node_id).collect();
        nodes.sort_unstable();
        ValidatorSetEntry { nodes }
    };
    let set = |w: &mut World, nodes: Vec<NodeId>| {
        w.control(0, Kind::ValidatorSet, &ValidatorSetEntry { nodes }, &[0, 1, 2])
    };
    let all = seven(&w).nodes;
    let strange = [&all[..], &[NodeId([0xff; 32])]].concat();
    assert_eq!(set(&mut w, strange), Some(Check::UnknownNode), "a node of nobody");
    let twice = [&all[..], &all[6..]].concat();
    assert_eq!(set(&mut w, twice), Some(Check::ScopeForm), "a node twice");
    assert_eq!(set(&mut w, Vec::new()), Some(Check::ScopeForm), "nobody");
    assert_eq!(set(&mut w, all), None, "two of seven each for three organizations, as many as may fail");
    assert_eq!(w.state.validators.len(), 7, "from the next height on");
    let names: Vec<_> = w.state.validators.validators.iter().map(|v| v.organization).collect();
    assert_eq!(names.iter().filter(|o| **o == w.organization(3)).count(), 1, "each for its organization");
}

#[test]
fn a_role_is_its_organizations_to_define() {
    let mut w = World::of(4);
    let role = |categories: &[u64], rights| RoleEntry {
        organization: w.organization(0),
        name: "doctor".into(),
        categories: categories.to_vec(),
        rights,
        administrator: false,
        attested: false,
    };
    let cases = [
        (role(&[1, 2], 7), None, "every right in two categories"),
        (role(&[2, 1], 7), Some(Check::ScopeForm), "categories out of order"),
        (role(&[1, 1], 7), Some(Check::ScopeForm), "one twice"),
        (role(&[], 8), Some(Check::ScopeForm), "a right that isn't"),
    ];
    let (last, nowhere) = (role(&[], 0), RoleEntry { organization: OrganizationId([9; 32]), ..role(&[], 0) });
    for (role, expected, what) in cases {
        assert_eq!(w.control(0, Kind::Role, &role, &[0]), expected, "{what}");
    }
    assert_eq!(w.control(1, Kind::Role, &last, &[1]), Some(Check::NotAuthorized), "another's role");
    assert_eq!(w.control(1, Kind::Role, &nowhere, &[1]), Some(Check::UnknownOrganization), "nobody's");
    assert_eq!(
        w.state.membership.roles.values().map(|r| r.rights).collect::<Vec<_>>(),
        [7],
        "as first defined"
    );
    assert_eq!(w.control(0, Kind::Role, &last, &[0]), None, "without any right");
    assert_eq!(w.state.membership.roles.values().map(|r| r.rights).collect::<Vec<_>>(), [0], "in its place");
}

#[test]
fn a_policy_stays_within_its_bounds() {
    let mut w = World::of(1);
    let a = w.organization(0);
    let mut set = |change: fn(&mut PolicyFields)| {
        let mut fields = default_policy();
        change(&mut fields);
        let policy = PolicyEntry {
            organization: None,
            fields: Some(fields),
            backup_partners: Vec::new(),
            tier_zero: true,
        };
        w.control(0, Kind::Policy, &policy, &[0])
    };
    assert_eq!(set(|f| f.block_headers_max = 0), Some(Check::ScopeForm), "blocks of no headers");
    assert_eq!(set(|f| f.block_headers_max = 1), None, "of one");
    assert_eq!(set(|f| f.block_delay_ms = 60_001), Some(Check::ScopeForm), "over a minute for a block");
    assert_eq!(set(|f| f.block_delay_ms = 60_000), None, "a minute");
    assert_eq!(set(|f| f.idle_block_ms = 999), Some(Check::ScopeForm), "idle blocks within a second");
    assert_eq!(set(|f| f.idle_block_ms = 1000), None, "every second");
    assert_eq!(set(|f| f.lease_ms = 0), Some(Check::ScopeForm), "no lease");
    assert_eq!(set(|f| f.lease_ms = 1), None, "a millisecond's");
    let own = |organization, fields| PolicyEntry {
        organization,
        fields,
        backup_partners: vec![a],
        tier_zero: true,
    };
    let partners = own(Some(a), None);
    assert_eq!(w.control(0, Kind::Policy, &partners, &[]), Some(Check::NotAuthorized), "by nobody's card");
    assert_eq!(w.control(0, Kind::Policy, &partners, &[0]), None, "an organization's choice, by its card");
    assert_eq!(w.state.membership.organization_policies.get(&a), Some(&partners), "kept");
    let both = own(Some(a), Some(default_policy()));
    assert_eq!(w.control(0, Kind::Policy, &both, &[0]), Some(Check::ScopeForm), "one entry, two policies");
    assert_eq!(w.control(0, Kind::Policy, &own(None, None), &[0]), Some(Check::ScopeForm), "or none");
}

#[test]
fn a_checkpoint_names_a_set_that_is_one() {
    let mut w = World::of(3);
    let validators = w.state.validators.validators.clone();
    let point = CheckpointEntry { height: 5, block: BlockHash([5; 32]), validators };
    let empty = CheckpointEntry { validators: Vec::new(), ..point.clone() };
    assert_eq!(
        w.control(0, Kind::Checkpoint, &point, &[0, 1]),
        Some(Check::TwoThirdsMissing),
        "two of three"
    );
    assert_eq!(w.control(0, Kind::Checkpoint, &empty, &[0, 1, 2]), Some(Check::ScopeForm), "of nobody");
    assert_eq!(w.state.membership.checkpoint, None, "nothing changed");
    assert_eq!(w.control(0, Kind::Checkpoint, &point, &[0, 1, 2]), None, "three of three");
    assert_eq!(w.state.membership.checkpoint, Some(point), "the newest stands");
}

#[test]
fn an_organizations_key_changes_with_its_epoch_and_only_then() {
    let mut w = World::of(2);
    let (a, stranger) = (w.organization(0), OrganizationId([9; 32]));
    let entry = |organization, epoch, seed| OrganizationKeyEntry {
        organization,
        epoch,
        key: agreement(seed),
        packets: Vec::new(),
    };
    let mut set = |epoch, seed| w.control(0, Kind::OrganizationKey, &entry(a, epoch, seed), &[0]);
    let refused = Some(Check::AlreadyExists);
    assert_eq!(set(0, 1), refused, "epochs begin with 1");
    assert_eq!(set(2, 1), refused, "and miss none");
    assert_eq!(set(1, 1), None, "the first");
    assert_eq!(set(1, 1), None, "again, with further packets");
    assert_eq!(set(1, 2), refused, "another key in the same epoch");
    assert_eq!(set(2, 1), refused, "the same key in the next");
    assert_eq!(set(3, 2), refused, "an epoch left out");
    assert_eq!(set(2, 2), None, "the next, with a new key");
    assert_eq!(set(1, 1), refused, "and not back");
    let foreign = w.control(1, Kind::OrganizationKey, &entry(a, 3, 3), &[1]);
    assert_eq!(foreign, Some(Check::NotAuthorized), "by another's card");
    let nobodys = w.control(0, Kind::OrganizationKey, &entry(stranger, 1, 1), &[0]);
    assert_eq!(nobodys, Some(Check::UnknownOrganization), "of nobody");
    assert_eq!(w.state.membership.keys.get(&a), Some(&entry(a, 2, 2)), "the newest stands");
}

#[test]
fn control_kinds_that_this_build_does_not_apply_have_no_effect() {
    let mut w = World::of(1);
    let before = w.state.membership.root();
    let mut unknown = w.content(0, Kind::Role, &1_u64);
    unknown.kind = 15;
    let body = w.body(&unknown, &[0]);
    assert_eq!(w.files(0, &unknown, body), Some(Check::UnknownKind), "a kind to come");
    assert_eq!(w.state.membership.root(), before, "the membership is as it was");
}

#[test]
fn an_author_hears_what_would_void_an_entry_and_nothing_changes() {
    let mut w = World::of(3);
    let (entry, before) = (newcomer(30), w.state.membership.root());
    let content = w.content(0, Kind::Organization, &entry);
    let mut judge = |cards: &[usize]| {
        let body = Body::decode(&w.body_with(&content, cards, &[30])).expect("just made");
        w.state.judge_control(&content, &body, &node_id(&w.nodes[0]))
    };
    assert_eq!(judge(&[0]), Err(Check::TwoThirdsMissing.into()), "what would void it");
    assert_eq!(judge(&[0, 1, 2]), Ok(()), "nothing would");
    assert_eq!(w.state.membership.root(), before, "it was not applied");
}
