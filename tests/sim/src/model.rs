//! The model: who may read what, said once more in a few lines, from what people signed and what a node has
//! seen. It shares no code with the policy that it judges.

use std::collections::{BTreeMap, BTreeSet};

use hospes_protocol::ids::{ContentId, Lock, OrganizationId};
use hospes_protocol::personal::Grantee;

use crate::people::{Grant, People, Record, Revocation, Revoked};

/// What a node knows at a moment.
pub(crate) struct Knowledge<'a> {
    pub(crate) people: &'a People,
    /// At which height each content became final in the one chain.
    pub(crate) finals: &'a BTreeMap<ContentId, u64>,
    /// At which height each lock closed in the one chain.
    pub(crate) closed: &'a BTreeMap<Lock, u64>,
    /// At which height each organization left, in the one chain.
    pub(crate) left: &'a BTreeMap<OrganizationId, u64>,
    /// Locks whose reveal the node has seen in a header.
    pub(crate) seen: &'a BTreeSet<Lock>,
    /// Contents whose body and header the node has.
    pub(crate) has: BTreeSet<ContentId>,
    /// Nodes that take part no more, as far as it knows.
    pub(crate) removed: BTreeSet<usize>,
    /// Contents that a node which takes part filed, as far as it knows; not always the first that did.
    pub(crate) vouched: BTreeSet<ContentId>,
    pub(crate) height: u64,
    /// Time of its newest block.
    pub(crate) tip_time: u64,
    pub(crate) now: u64,
    pub(crate) lease_ms: u64,
}

impl Knowledge<'_> {
    /// Whether the practitioner of an organization may read a record here and now.
    pub(crate) fn permits(&self, by: usize, record: &Record) -> bool {
        if record.organization == by {
            return true;
        }
        let fresh = self.now.saturating_sub(self.tip_time) <= self.lease_ms;
        fresh && self.people.grants.iter().any(|g| covers(g, by, record) && self.lives(g))
    }

    /// Whether a record counts, once a node has judged it for good: what people of an organization signed that left does
    /// if it was final at a lower height.
    pub(crate) fn has_author(&self, record: &Record) -> bool {
        let organization = &self.people.organizations[record.organization].id;
        let left = self.left.get(organization).filter(|at| **at <= self.height);
        left.is_none_or(|at| self.height_of(&record.content).is_some_and(|h| h < *at))
    }

    /// Whether a grant is in force.
    pub(crate) fn lives(&self, grant: &Grant) -> bool {
        let in_time = grant.from <= self.now && self.now < grant.until;
        let open = !self.seen.contains(&grant.lock);
        in_time && open && self.stands(grant) && !self.is_replaced(grant) && !self.is_revoked(grant)
    }

    fn height_of(&self, content: &ContentId) -> Option<u64> {
        self.finals.get(content).copied().filter(|h| *h <= self.height)
    }

    // It is here, and the card that signed it was good, or it was final before the card was closed.
    fn counts(&self, card: Option<Lock>, content: &ContentId) -> bool {
        let Some(card) = card else { return false };
        let final_at = self.height_of(content);
        let good = match self.closed.get(&card).filter(|at| **at <= self.height) {
            Some(at) => final_at.is_some_and(|h| h < *at),
            None => !self.seen.contains(&card) || final_at.is_some(),
        };
        self.has.contains(content) && good
    }

    // What a removed node filed counts if it was final before, or once another node has filed it again; what takes back
    // counts all the same.
    fn stands(&self, grant: &Grant) -> bool {
        let settled = self.height_of(&grant.content).is_some() || !self.removed.contains(&grant.at);
        (settled || self.vouched.contains(&grant.content)) && self.counts(grant.card, &grant.content)
    }

    // Newer by what the desk knew, then by finality, then by id.
    fn is_replaced(&self, old: &Grant) -> bool {
        let age = |g: &Grant| (g.after, self.height_of(&g.content).unwrap_or(u64::MAX), g.content);
        let same =
            |g: &Grant| (g.patient, &g.grantee, g.category) == (old.patient, &old.grantee, old.category);
        self.people.grants.iter().any(|g| same(g) && age(g) > age(old) && self.stands(g))
    }

    fn is_revoked(&self, grant: &Grant) -> bool {
        let organization = self.people.organizations[grant.to.organization()].id;
        let counts = |v: &Revocation| v.patient == grant.patient && self.counts(v.card, &v.content);
        self.people.revocations.iter().any(|v| {
            counts(v)
                && takes(&v.revoked, grant, &organization)
                && (v.is_by_name() || !self.was_known(v, grant))
        })
    }

    // A revocation that the desk of the grant knew of doesn't touch it.
    fn was_known(&self, v: &Revocation, grant: &Grant) -> bool {
        let before = self.height_of(&v.content).is_some_and(|h| h <= grant.after);
        grant.knew.contains(&v.content) || before && grant.after <= self.height
    }
}

fn covers(grant: &Grant, by: usize, record: &Record) -> bool {
    (grant.patient, grant.category, grant.to.organization()) == (record.patient, record.category, by)
}

fn takes(revoked: &Revoked, grant: &Grant, organization: &OrganizationId) -> bool {
    match revoked {
        Revoked::Entry(id) => *id == grant.content,
        Revoked::Grantee(Grantee::Organization(o)) => o == organization,
        Revoked::Grantee(grantee) => *grantee == grant.grantee,
        Revoked::Everything => true,
    }
}

impl Revocation {
    fn is_by_name(&self) -> bool {
        matches!(self.revoked, Revoked::Entry(_))
    }
}
