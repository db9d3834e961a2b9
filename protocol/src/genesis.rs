//! The genesis file: the network, its first organizations and its first validators.

use crate::block::{Validator, ValidatorSet};
use crate::check::{Check, Rejected, ensure};
use crate::control::{NodeEntry, OrganizationEntry, PolicyFields};
use crate::entry::FORMAT;
use crate::ids::{NetworkId, NodeId, OrganizationId, sha256};
use crate::limits::{
    COOLING_OFF_MS_DEFAULT, IDLE_BLOCK_MS, LEASE_MS_DEFAULT, RECOVERY_DELAY_MS_DEFAULT, VALIDATORS_MAX,
};
use crate::wire::Wire;
use crate::wire_struct;

wire_struct! {
    /// The first state of a network. Its SHA-256 is the network id.
    pub struct Genesis {
        /// [`FORMAT`].
        pub format: u64,
        /// A name for people.
        pub name: String,
        /// When it was made, in milliseconds since 1970 UTC; no block is older.
        pub time: u64,
        /// The first organizations, ascending by id.
        pub organizations: Vec<OrganizationEntry>,
        /// Their first nodes, ascending by key id.
        pub nodes: Vec<NodeEntry>,
        /// Which of the nodes are validators, ascending.
        pub validators: Vec<NodeId>,
        /// The first policy.
        pub policy: PolicyFields,
    }
}

/// The policy of a new network: blocks at once, an idle block an hour, a lease of 72 hours,
/// erasures that can be taken back for 14 days, emergency summaries open by the patient's card and one practitioner.
#[must_use]
pub const fn default_policy() -> PolicyFields {
    PolicyFields {
        block_headers_max: 4000,
        block_delay_ms: 10,
        idle_block_ms: IDLE_BLOCK_MS,
        lease_ms: LEASE_MS_DEFAULT,
        soft_cards: true,
        quota_bytes: 1 << 40,
        cooling_off_ms: COOLING_OFF_MS_DEFAULT,
        tier_zero: true,
        recovery_delay_ms: RECOVERY_DELAY_MS_DEFAULT,
    }
}

/// A genesis in bytes, at most: 64 organizations with their nodes.
pub const GENESIS_BYTES_MAX: usize = 256 * 1024;

/// The id of an organization from the raw signature key of its first card.
#[must_use]
pub fn organization_id(first_card: &[u8]) -> OrganizationId {
    OrganizationId(sha256(&[first_card]))
}

impl Genesis {
    /// Reads and judges a genesis file.
    ///
    /// # Errors
    /// Checks 101 to 105; [`Check::UnknownOrganization`] for a node of none of them, [`Check::UnknownNode`] for a
    /// validator that is no node, [`Check::ScopeForm`] for a list out of order.
    pub fn read(bytes: &[u8]) -> Result<Self, Rejected> {
        let genesis = Self::decode_within(bytes, GENESIS_BYTES_MAX)?;
        ensure(genesis.format == FORMAT, Check::UnknownFormat)?;
        let ids: Vec<_> = genesis.organizations.iter().map(|o| o.organization).collect();
        ensure(!ids.is_empty() && ids.windows(2).all(|w| w[0] < w[1]), Check::ScopeForm)?;
        let first = |o: &OrganizationEntry| {
            o.cards.first().is_some_and(|c| organization_id(c.as_bytes()) == o.organization)
        };
        ensure(genesis.organizations.iter().all(first), Check::NotAuthorized)?;
        let nodes: Vec<_> = genesis.nodes.iter().map(|n| n.key.id()).collect();
        ensure(nodes.windows(2).all(|w| w[0] < w[1]), Check::ScopeForm)?;
        ensure(genesis.nodes.iter().all(|n| ids.contains(&n.organization)), Check::UnknownOrganization)?;
        ensure(genesis.validators.len() <= VALIDATORS_MAX, Check::ScopeForm)?;
        genesis.validator_set()?;
        Ok(genesis)
    }

    /// SHA-256 of the file.
    #[must_use]
    pub fn network(&self) -> NetworkId {
        NetworkId(sha256(&[&self.encode()]))
    }

    /// The validators of height 1.
    ///
    /// # Errors
    /// [`Check::UnknownNode`] for a validator that is no node; as [`ValidatorSet::new`].
    pub fn validator_set(&self) -> Result<ValidatorSet, Rejected> {
        let one = |id: &NodeId| {
            let node = self.nodes.iter().find(|n| n.key.id().0 == id.0).ok_or(Check::UnknownNode)?;
            Ok(Validator { node: *id, organization: node.organization, key: node.key.clone() })
        };
        ValidatorSet::new(self.validators.iter().map(one).collect::<Result<_, Rejected>>()?)
    }
}

#[cfg(test)]
mod tests;
