//! Who may change the membership: judges one control body on the state that its predecessor left.
//!
//! An unlawful body has no effect; its header is final all the same, because a node's sequence has no holes.

use std::collections::BTreeSet;

use super::Membership;
use super::committee::StandingCommittee;
use crate::block::{Validator, ValidatorSet};
use crate::check::{Check, Rejected, ensure};
use crate::control::{
    CheckpointEntry, CommitteeEntry, NodeEntry, OrganizationEntry, OrganizationKeyEntry, PolicyEntry,
    PractitionerEntry, RoleEntry, Standing, ValidatorSetEntry,
};
use crate::entry::{Content, Kind};
use crate::genesis::organization_id;
use crate::ids::{NetworkId, NodeId, OrganizationId, PersonId};
use crate::tap::Body;
use crate::wire::Wire;

/// Active organizations one of whose cards signed `body`.
#[must_use]
pub fn organizations_that_signed(
    membership: &Membership,
    body: &Body,
    network: &NetworkId,
) -> BTreeSet<OrganizationId> {
    let signed = |o: &&OrganizationEntry| o.cards.iter().any(|c| body.signed_by(c, network).is_ok());
    membership.active_organizations().filter(signed).map(|o| o.organization).collect()
}

/// Whether the cards of more than two thirds of the organizations signed.
///
/// # Errors
/// [`Check::TwoThirdsMissing`].
pub fn two_thirds(membership: &Membership, body: &Body, network: &NetworkId) -> Result<(), Rejected> {
    let all = membership.active_organizations().count();
    let signed = organizations_that_signed(membership, body, network).len();
    ensure(signed * 3 > all * 2, Check::TwoThirdsMissing)
}

/// Whether a card of `organization` signed.
fn own_card(
    m: &Membership,
    body: &Body,
    net: &NetworkId,
    organization: &OrganizationId,
) -> Result<(), Rejected> {
    let organization = m.organization(organization).ok_or(Check::UnknownOrganization)?;
    let signed = organization.cards.iter().any(|c| body.signed_by(c, net).is_ok());
    ensure(signed, Check::NotAuthorized)
}

/// What a lawful control body did beside changing the membership.
pub(super) struct Changed {
    /// Validators that it sets.
    pub(super) validators: Option<ValidatorSet>,
}

/// Where a control entry stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The network.
    pub(super) network: &'a NetworkId,
    /// The node whose header it is.
    pub(super) node: &'a NodeId,
    /// The height of the block that makes it final.
    pub(super) height: u64,
}

/// Applies one control body; on an error nothing has changed.
pub(super) fn apply(
    membership: &mut Membership,
    content: &Content,
    body: &Body,
    place: Place<'_>,
) -> Result<Changed, Rejected> {
    let Place { network, height, .. } = place;
    let mut judge = Judge { m: membership, body, network };
    let payload = &content.payload;
    let mut validators = None;
    match Kind::from_code(content.kind).ok_or(Check::UnknownKind)? {
        Kind::Organization => judge.organization(OrganizationEntry::decode(payload)?)?,
        Kind::Node => judge.node(NodeEntry::decode(payload)?)?,
        Kind::ValidatorSet => validators = Some(judge.validator_set(&ValidatorSetEntry::decode(payload)?)?),
        Kind::Practitioner => {
            judge.practitioner(PractitionerEntry::decode(payload)?, PersonId(content.id().0))?;
        }
        Kind::Role => judge.role(RoleEntry::decode(payload)?)?,
        Kind::Policy => judge.policy(PolicyEntry::decode(payload)?)?,
        Kind::Committee => {
            let entry = CommitteeEntry::decode(payload)?;
            judge.committee(StandingCommittee { id: content.id(), height, entry })?;
        }
        Kind::Checkpoint => judge.checkpoint(CheckpointEntry::decode(payload)?)?,
        Kind::OrganizationKey => judge.organization_key(OrganizationKeyEntry::decode(payload)?)?,
        _ => return Err(Check::UnknownKind.into()),
    }
    Ok(Changed { validators })
}

struct Judge<'a> {
    m: &'a mut Membership,
    body: &'a Body,
    network: &'a NetworkId,
}

impl Judge<'_> {
    fn two_thirds(&self) -> Result<(), Rejected> {
        two_thirds(self.m, self.body, self.network)
    }

    fn own_card(&self, organization: &OrganizationId) -> Result<(), Rejected> {
        own_card(self.m, self.body, self.network, organization)
    }

    // A new organization signs with its own card too, which proves that it holds it.
    fn organization(&mut self, entry: OrganizationEntry) -> Result<(), Rejected> {
        self.two_thirds()?;
        let first = entry.cards.first().ok_or(Check::ScopeForm)?;
        match self.m.organizations.get(&entry.organization) {
            None => {
                ensure(organization_id(first.as_bytes()) == entry.organization, Check::NotAuthorized)?;
                self.body.signed_by(first, self.network)?;
            }
            Some(old) => ensure(old.standing != Standing::Removed, Check::AlreadyExists)?,
        }
        let others = self.m.organizations.values().filter(|o| o.organization != entry.organization);
        let taken: Vec<_> = others.flat_map(|o| &o.cards).collect();
        ensure(!entry.cards.iter().any(|c| taken.contains(&c)), Check::AlreadyExists)?;
        self.m.organizations.insert(entry.organization, entry);
        Ok(())
    }

    // Its organization certifies, renews and retires a node; two thirds of the organizations may cut it off.
    fn node(&mut self, entry: NodeEntry) -> Result<(), Rejected> {
        let own = self.own_card(&entry.organization);
        let removed = entry.standing == Standing::Removed;
        if own.is_err() {
            ensure(removed, Check::NotAuthorized)?;
            self.two_thirds()?;
        }
        let id = NodeId(entry.key.id().0);
        if let Some(old) = self.m.nodes.get(&id) {
            ensure(old.organization == entry.organization, Check::WrongOrganization)?;
            ensure(old.standing != Standing::Removed, Check::RetiredNode)?;
        }
        self.m.nodes.insert(id, entry);
        Ok(())
    }

    fn validator_set(&mut self, entry: &ValidatorSetEntry) -> Result<ValidatorSet, Rejected> {
        self.two_thirds()?;
        let one = |id: &NodeId| {
            let node = self.m.node(id).ok_or(Check::UnknownNode)?;
            Ok(Validator { node: *id, organization: node.organization, key: node.key.clone() })
        };
        let set = ValidatorSet::new(entry.nodes.iter().map(one).collect::<Result<_, Rejected>>()?)?;
        spread(&set)?;
        Ok(set)
    }

    // The person's own card signs too, which proves that the keys are on it.
    fn practitioner(&mut self, entry: PractitionerEntry, content: PersonId) -> Result<(), Rejected> {
        self.own_card(&entry.organization)?;
        ensure(entry.roles.windows(2).all(|w| w[0] < w[1]), Check::ScopeForm)?;
        let id = entry.person.unwrap_or(content);
        match (entry.person, self.m.people.get(&id)) {
            (None, None) => {}
            (Some(_), Some(old)) => {
                ensure(old.organization == entry.organization, Check::WrongOrganization)?;
                ensure(old.standing != Standing::Removed, Check::AlreadyExists)?;
            }
            (None, Some(_)) => return Err(Check::AlreadyExists.into()),
            (Some(_), None) => return Err(Check::StandsOnMissing.into()),
        }
        let holder = self.m.registered.get(&entry.register_number);
        ensure(holder.is_none_or(|h| *h == id), Check::RegisterNumberTaken)?;
        let keys = [entry.authentication.id(), entry.signature.id(), entry.agreement.id()];
        ensure(!keys.iter().any(|k| self.m.key_taken(k, Some(&id))), Check::AlreadyExists)?;
        if entry.standing == Standing::Active {
            self.body.signed_by(&entry.signature, self.network)?;
            self.attested(&entry)?;
        }
        self.m.put_person(id, entry);
        Ok(())
    }

    fn attested(&self, entry: &PractitionerEntry) -> Result<(), Rejected> {
        for role in &entry.roles {
            let key = (entry.organization, role.clone());
            let role = self.m.roles.get(&key).ok_or(Check::UnknownRole)?;
            ensure(!role.attested || entry.attestation != [0; 32], Check::AttestationMissing)?;
            ensure(!role.attested || !entry.register_number.is_empty(), Check::AttestationMissing)?;
        }
        Ok(())
    }

    fn role(&mut self, entry: RoleEntry) -> Result<(), Rejected> {
        self.own_card(&entry.organization)?;
        ensure(entry.categories.windows(2).all(|w| w[0] < w[1]) && entry.rights <= 7, Check::ScopeForm)?;
        self.m.roles.insert((entry.organization, entry.name.clone()), entry);
        Ok(())
    }

    fn policy(&mut self, entry: PolicyEntry) -> Result<(), Rejected> {
        match (entry.organization, &entry.fields) {
            (None, Some(fields)) => {
                self.two_thirds()?;
                let sane = fields.block_headers_max > 0 && fields.block_delay_ms <= 60_000;
                ensure(sane && fields.idle_block_ms >= 1000 && fields.lease_ms > 0, Check::ScopeForm)?;
                self.m.policy = fields.clone();
            }
            (Some(organization), None) => {
                self.own_card(&organization)?;
                self.m.organization_policies.insert(organization, entry);
            }
            _ => return Err(Check::ScopeForm.into()),
        }
        Ok(())
    }

    fn committee(&mut self, committee: StandingCommittee) -> Result<(), Rejected> {
        match &committee.entry.local {
            None => self.two_thirds()?,
            // The witness card signs too, which proves that the hospital holds it.
            Some(local) => {
                self.own_card(&local.organization)?;
                self.body.signed_by(&local.witness, self.network)?;
            }
        }
        self.m.judge_committee(&committee.entry, committee.height)?;
        self.m.committees.insert(committee.id, committee);
        Ok(())
    }

    fn checkpoint(&mut self, entry: CheckpointEntry) -> Result<(), Rejected> {
        self.two_thirds()?;
        ValidatorSet { validators: entry.validators.clone() }.judge()?;
        self.m.checkpoint = Some(entry);
        Ok(())
    }

    fn organization_key(&mut self, entry: OrganizationKeyEntry) -> Result<(), Rejected> {
        self.own_card(&entry.organization)?;
        let last = self.m.keys.get(&entry.organization).map_or(0, |k| k.epoch);
        // The same epoch again lists further packets for the same key; a new epoch brings a new key.
        let same = self.m.keys.get(&entry.organization).is_some_and(|k| k.key == entry.key);
        let follows = entry.epoch == last + 1 && !same || entry.epoch == last && same;
        ensure(follows, Check::AlreadyExists)?;
        self.m.keys.insert(entry.organization, entry);
        Ok(())
    }
}

// With four organizations and more, no organization holds more validators than the set tolerates faults.
fn spread(set: &ValidatorSet) -> Result<(), Rejected> {
    let organizations: BTreeSet<_> = set.validators.iter().map(|v| v.organization).collect();
    if organizations.len() < 4 {
        return Ok(());
    }
    let held = |o: &OrganizationId| set.validators.iter().filter(|v| v.organization == *o).count();
    ensure(organizations.iter().all(|o| held(o) <= set.faults_tolerated()), Check::OrganizationPower)
}
