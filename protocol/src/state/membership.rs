//! Organizations, nodes, people, roles and policies, as the control entries in block order left them.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::former::FormerCardEntry;
use crate::context::Context;
use crate::control::{
    CheckpointEntry, NodeEntry, OrganizationEntry, OrganizationKeyEntry, PolicyEntry, PolicyFields,
    PractitionerEntry, RoleEntry, Standing,
};
use crate::genesis::Genesis;
use crate::ids::{ContentId, KeyId, NodeId, OrganizationId, PersonId, sha256};
use crate::wire::{Bytes, Wire};
use crate::wire_struct;

use super::committee::StandingCommittee;

wire_struct! {
    /// A membership in bytes; every list ascends by its key.
    pub struct MembershipSnapshot {
        /// Organizations.
        pub organizations: Vec<OrganizationEntry>,
        /// Nodes.
        pub nodes: Vec<NodeEntry>,
        /// People that are not patients.
        pub people: Vec<(PersonId, PractitionerEntry)>,
        /// Roles.
        pub roles: Vec<RoleEntry>,
        /// The federation's policy.
        pub policy: PolicyFields,
        /// Policies of organizations.
        pub organization_policies: Vec<(OrganizationId, PolicyEntry)>,
        /// The newest agreement key of each organization.
        pub keys: Vec<OrganizationKeyEntry>,
        /// Committees, those that were followed by another included.
        pub committees: Vec<StandingCommittee>,
        /// The newest checkpoint.
        pub checkpoint: Option<CheckpointEntry>,
        /// Cards that ended.
        pub former: Vec<FormerCardEntry>,
    }
}

/// Who takes part.
#[derive(Debug)]
pub struct Membership {
    /// Organizations.
    pub organizations: BTreeMap<OrganizationId, OrganizationEntry>,
    /// Nodes.
    pub nodes: BTreeMap<NodeId, NodeEntry>,
    /// People that are not patients.
    pub people: BTreeMap<PersonId, PractitionerEntry>,
    /// Roles by organization and name.
    pub roles: BTreeMap<(OrganizationId, String), RoleEntry>,
    /// The federation's policy.
    pub policy: PolicyFields,
    /// Policies of organizations.
    pub organization_policies: BTreeMap<OrganizationId, PolicyEntry>,
    /// The newest agreement key of each organization.
    pub keys: BTreeMap<OrganizationId, OrganizationKeyEntry>,
    /// Committees by their entry, those that were followed by another included.
    pub committees: BTreeMap<ContentId, StandingCommittee>,
    /// The newest checkpoint.
    pub checkpoint: Option<CheckpointEntry>,
    /// Cards that ended, by their holder and signature key.
    pub(super) former: BTreeMap<([u8; 32], KeyId), FormerCardEntry>,
    /// Who holds which register number, people that were removed included.
    pub(super) registered: BTreeMap<String, PersonId>,
    /// Who holds which card key.
    by_key: BTreeMap<KeyId, PersonId>,
    root: OnceLock<[u8; 32]>,
    encoded: OnceLock<Vec<u8>>,
}

impl Clone for Membership {
    // The copy is about to change, so root and encoding aren't taken over.
    fn clone(&self) -> Self {
        Self::restore(self.snapshot())
    }
}

impl Membership {
    pub(super) fn genesis(genesis: &Genesis) -> Self {
        Self::restore(MembershipSnapshot {
            organizations: genesis.organizations.clone(),
            nodes: genesis.nodes.clone(),
            people: Vec::new(),
            roles: Vec::new(),
            policy: genesis.policy.clone(),
            organization_policies: Vec::new(),
            keys: Vec::new(),
            committees: Vec::new(),
            checkpoint: None,
            former: Vec::new(),
        })
    }

    pub(super) fn restore(s: MembershipSnapshot) -> Self {
        let mut membership = Self {
            organizations: s.organizations.into_iter().map(|o| (o.organization, o)).collect(),
            nodes: s.nodes.into_iter().map(|n| (NodeId(n.key.id().0), n)).collect(),
            people: BTreeMap::new(),
            roles: s.roles.into_iter().map(|r| ((r.organization, r.name.clone()), r)).collect(),
            policy: s.policy,
            organization_policies: s.organization_policies.into_iter().collect(),
            keys: s.keys.into_iter().map(|k| (k.organization, k)).collect(),
            committees: s.committees.into_iter().map(|c| (c.id, c)).collect(),
            checkpoint: s.checkpoint,
            former: s.former.into_iter().map(|card| (card.key(), card)).collect(),
            registered: BTreeMap::new(),
            by_key: BTreeMap::new(),
            root: OnceLock::new(),
            encoded: OnceLock::new(),
        };
        s.people.into_iter().for_each(|(id, p)| membership.put_person(id, p));
        membership
    }

    pub(super) fn put_person(&mut self, id: PersonId, person: PractitionerEntry) {
        if let Some(old) = self.people.get(&id) {
            for key in [old.authentication.id(), old.signature.id(), old.agreement.id()] {
                self.by_key.remove(&key);
            }
        }
        self.registered.insert(person.register_number.clone(), id);
        for key in [person.authentication.id(), person.signature.id(), person.agreement.id()] {
            self.by_key.insert(key, id);
        }
        self.people.insert(id, person);
    }

    /// In bytes.
    #[must_use]
    pub fn snapshot(&self) -> MembershipSnapshot {
        MembershipSnapshot {
            organizations: self.organizations.values().cloned().collect(),
            nodes: self.nodes.values().cloned().collect(),
            people: self.people.iter().map(|(k, v)| (*k, v.clone())).collect(),
            roles: self.roles.values().cloned().collect(),
            policy: self.policy.clone(),
            organization_policies: self.organization_policies.iter().map(|(k, v)| (*k, v.clone())).collect(),
            keys: self.keys.values().cloned().collect(),
            committees: self.committees.values().cloned().collect(),
            checkpoint: self.checkpoint.clone(),
            former: self.former.values().cloned().collect(),
        }
    }

    /// The snapshot in bytes, encoded once a change.
    pub(super) fn encoded(&self) -> &[u8] {
        self.encoded.get_or_init(|| self.snapshot().encode())
    }

    /// The Merkle root over all members, computed once a change.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        *self.root.get_or_init(|| members_root(&self.leaves()))
    }

    /// One encoding for each member, in the order of the tree.
    #[must_use]
    pub fn leaves(&self) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        let mut put = |tag: u64, bytes: Vec<u8>| out.push((tag, Bytes(bytes)).encode());
        self.organizations.values().for_each(|v| put(1, v.encode()));
        self.nodes.values().for_each(|v| put(2, v.encode()));
        self.people.iter().for_each(|(k, v)| put(4, (*k, v.clone()).encode()));
        self.roles.values().for_each(|v| put(5, v.encode()));
        put(6, self.policy.encode());
        self.organization_policies.iter().for_each(|(k, v)| put(6, (*k, v.clone()).encode()));
        self.committees.values().for_each(|v| put(7, v.encode()));
        self.checkpoint.iter().for_each(|v| put(8, v.encode()));
        self.keys.values().for_each(|v| put(10, v.encode()));
        self.former.values().for_each(|v| put(17, v.encode()));
        out
    }

    /// Whether people of an organization open emergency summaries by the patient's card and their own alone.
    #[must_use]
    pub fn allows_tier_zero(&self, organization: &OrganizationId) -> bool {
        let own = self.organization_policies.get(organization);
        self.policy.tier_zero && own.is_none_or(|policy| policy.tier_zero)
    }

    /// An organization that takes part.
    #[must_use]
    pub fn organization(&self, id: &OrganizationId) -> Option<&OrganizationEntry> {
        self.organizations.get(id).filter(|o| o.standing == Standing::Active)
    }

    /// Organizations that take part.
    pub fn active_organizations(&self) -> impl Iterator<Item = &OrganizationEntry> {
        self.organizations.values().filter(|o| o.standing == Standing::Active)
    }

    /// A node that takes part, of an organization that does.
    #[must_use]
    pub fn node(&self, id: &NodeId) -> Option<&NodeEntry> {
        let active =
            |n: &&NodeEntry| n.standing == Standing::Active && self.organization(&n.organization).is_some();
        self.nodes.get(id).filter(active)
    }

    /// Nodes that take part.
    pub fn active_nodes(&self) -> impl Iterator<Item = (&NodeId, &NodeEntry)> {
        self.nodes.iter().filter(|(id, _)| self.node(id).is_some())
    }

    /// Nodes that take part and whose certificates hold at `time`, in milliseconds since 1970 UTC.
    pub fn certified_nodes(&self, time: u64) -> impl Iterator<Item = (&NodeId, &NodeEntry)> {
        self.active_nodes().filter(move |(_, node)| node.expires > time)
    }

    /// A person by any key of the card.
    #[must_use]
    pub fn person_by_key(&self, key: &KeyId) -> Option<(&PersonId, &PractitionerEntry)> {
        self.people.get_key_value(self.by_key.get(key)?)
    }

    /// Whether a card key is taken by a person other than `by`.
    #[must_use]
    pub fn key_taken(&self, key: &KeyId, by: Option<&PersonId>) -> bool {
        self.by_key.get(key).is_some_and(|holder| Some(holder) != by)
    }
}

fn members_root(leaves: &[Vec<u8>]) -> [u8; 32] {
    fn over(hashes: &[[u8; 32]]) -> [u8; 32] {
        match hashes {
            [] => [0; 32],
            [one] => *one,
            _ => {
                let (left, right) = hashes.split_at(hashes.len().next_power_of_two() / 2);
                sha256(&[&[1], &over(left), &over(right)])
            }
        }
    }
    let hashes: Vec<_> = leaves.iter().map(|l| sha256(&[&[0], l])).collect();
    sha256(&[Context::StateMembership.text().as_bytes(), &over(&hashes)])
}
