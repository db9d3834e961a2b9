//! Where an object is held, and what is sent first.
//!
//! | object | where |
//! |---|---|
//! | segments and manifest of a record | author, home, organizations of its current readers, the author's backup partners |
//! | the same of an emergency summary | also the federation's emergency nodes, and hospitals that the patient named to open without a line |
//! | a packet | the organization whose reader it is for; the patient's own: home and those that hold K |
//! | a body | its audience |
//!
//! Private notes stay with home and its backup partners. Computed by nodes that hold the bodies; the node's
//! service turns it into orders, fetches and drops.

use std::collections::BTreeSet;

use crate::control::NodeEntry;
use crate::ids::{ContentId, NodeId, OrganizationId, PatientId};
use crate::personal::Category;
use crate::policy::Personal;
use crate::policy::audience::{Audience, Organizations, Reach, audience, home, readers};
use crate::policy::view::{PatientView, Unreadable};
use crate::state::Membership;

/// An object, by what it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed<'a> {
    /// A segment or manifest of a record or amendment.
    Blob(ContentId),
    /// A packet of a locker entry.
    Packet {
        /// Whose lockers.
        patient: PatientId,
        /// The organization whose nodes hold it for the reader; null for the patient's own.
        organization: Option<OrganizationId>,
    },
    /// A body, by its content id.
    Body(ContentId, &'a Personal),
}

/// Who is to hold an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// These organizations, on nodes of their choice.
    pub organizations: Organizations,
    /// These nodes.
    pub nodes: BTreeSet<NodeId>,
}

impl Placement {
    /// Whether a node of an organization is to hold it.
    #[must_use]
    pub fn includes(&self, node: &NodeId, organization: &OrganizationId) -> bool {
        self.organizations.contains(organization) || self.nodes.contains(node)
    }
}

/// Where an object is to be held at `now_ms`, by the table above; nowhere, where its record is not known.
///
/// # Errors
/// As the view; then nothing is to be dropped or ordered.
pub fn placement(
    view: &(impl PatientView + ?Sized),
    object: &Placed<'_>,
    now_ms: u64,
) -> Result<Placement, Unreadable> {
    match object {
        Placed::Blob(record) => blob(view, record, now_ms),
        Placed::Packet { patient, organization } => {
            let organizations = match organization {
                Some(organization) => BTreeSet::from([*organization]),
                None => view.key_holders(patient)?.into_iter().chain(home(view, patient)?).collect(),
            };
            Ok(Placement { organizations, nodes: BTreeSet::new() })
        }
        Placed::Body(id, entry) => match audience(view, id, entry, now_ms)? {
            Audience::Organizations(organizations) => Ok(Placement { organizations, nodes: BTreeSet::new() }),
            Audience::Everyone => Ok(Placement {
                nodes: active(view.membership()).map(|(id, _)| *id).collect(),
                ..Placement::default()
            }),
        },
    }
}

fn blob(
    view: &(impl PatientView + ?Sized),
    record: &ContentId,
    now_ms: u64,
) -> Result<Placement, Unreadable> {
    let Some(facts) = view.record(record)? else { return Ok(Placement::default()) };
    let members = view.membership();
    let mut placement = Placement::default();
    placement.organizations.extend(home(view, &facts.patient)?);
    placement.organizations.extend(backup_partners(members, &facts.organization));
    if facts.category == Category::PrivateNotes {
        return Ok(placement);
    }
    placement.organizations.insert(facts.organization);
    if crate::mutant!(PlacedEverywhere) {
        placement.organizations.extend(members.active_organizations().map(|o| o.organization));
    }
    let reach = Reach::of_facts(*record, &facts);
    placement.organizations.extend(readers(view, &facts.patient, &reach, now_ms)?);
    if facts.category == Category::EmergencySummary {
        placement.nodes.extend(emergency_nodes(members).map(|(node, _)| node));
    }
    Ok(placement)
}

/// Backup partners that an organization names, as far as they take part.
pub(super) fn backup_partners<'m>(
    members: &'m Membership,
    organization: &OrganizationId,
) -> impl Iterator<Item = OrganizationId> + use<'m> {
    let policy = members.organization_policies.get(organization);
    let partners = policy.into_iter().flat_map(|p| &p.backup_partners).copied();
    partners.filter(|partner| members.organization(partner).is_some())
}

fn active(members: &Membership) -> impl Iterator<Item = (&NodeId, &NodeEntry)> {
    members.active_nodes()
}

/// Nodes that hold emergency summaries for the whole federation, with their organizations.
pub(super) fn emergency_nodes(members: &Membership) -> impl Iterator<Item = (NodeId, OrganizationId)> {
    active(members).filter(|(_, node)| node.emergency).map(|(id, node)| (*id, node.organization))
}

/// What is sent first when a line is thin: what protects, what opens, what saves, then by need in care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Revocations and erasures.
    Revocation,
    /// Patients, cards, proxies, grants, lockers and packets.
    Keys,
    /// Emergency summaries.
    EmergencySummary,
    /// Letters, with histories and examinations.
    Letters,
    /// Medication and laboratory results.
    Results,
    /// Private notes, accesses, receipts.
    Others,
    /// Radiation doses, plans and structure sets.
    RadiationDose,
    /// Images, the largest.
    Imaging,
}

impl Priority {
    /// The priority of an entry's body.
    #[must_use]
    pub fn of(entry: &Personal) -> Self {
        match entry {
            Personal::Revocation(_) | Personal::Erasure(_) => Self::Revocation,
            Personal::Patient(_)
            | Personal::Card(_)
            | Personal::Locker(_)
            | Personal::Grant(_)
            | Personal::Proxy(_)
            | Personal::Request(_)
            | Personal::Release(_)
            | Personal::Recovery(_)
            | Personal::Search(_)
            | Personal::Close(_) => Self::Keys,
            Personal::Record(e) | Personal::Amendment(e) => Self::of_category(e.category),
            Personal::Access(_) | Personal::Receipt(_) | Personal::Review(_) => Self::Others,
        }
    }

    /// The priority of the segments and manifest of a record.
    #[must_use]
    pub const fn of_category(category: Category) -> Self {
        match category {
            Category::EmergencySummary => Self::EmergencySummary,
            Category::Letters | Category::HistoryAndPhysical => Self::Letters,
            Category::Medication | Category::Laboratory => Self::Results,
            Category::PrivateNotes => Self::Others,
            Category::RadiationDose => Self::RadiationDose,
            Category::Imaging => Self::Imaging,
        }
    }
}
