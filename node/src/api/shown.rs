//! Entries as lists show them: finality, and what records, grants and accesses say.

use hospes_protocol::ids::{ContentId, OrganizationId};
use hospes_protocol::personal::{AccessEntry, Author, GrantEntry, Grantee, RecordEntry};
use hospes_protocol::policy::{Known, LockState, View};
use hospes_protocol::state::Membership;
use hospes_service::records::{EntryState, Finality as How, Listed};
use hospes_service::service::Service;
use serde::Serialize;
use utoipa::ToSchema;

use super::times::rfc3339;
use crate::words::{ANONYMITY, CATEGORIES, LABELS, PURPOSES, RIGHTS, name, rights};

/// How far an entry is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Finality {
    /// `signed` (durable here), `final` (in a certified block) or `void` (without effect).
    pub(crate) state: &'static str,
    /// The height that made it final.
    pub(crate) height: Option<u64>,
    /// The number of the check for which it has no effect.
    pub(crate) check: Option<u64>,
    /// Nodes known to hold it, this one included.
    pub(crate) holders: usize,
}

impl Finality {
    /// As the service says.
    pub(crate) fn of(entry: &EntryState) -> Self {
        let (state, height, check) = match entry.finality {
            How::Signed => ("signed", None, None),
            How::Final(height) => ("final", Some(height), None),
            How::Void(check) => ("void", None, Some(check)),
        };
        Self { state, height, check, holders: entry.holders }
    }
}

/// Someone, by id and, where it is public, name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Party {
    /// `person`, `organization`, `role`, `patient`, `proxy` or `code`.
    pub(crate) kind: &'static str,
    /// The id; null for the patient and for a code.
    pub(crate) id: Option<String>,
    /// The organization.
    pub(crate) organization: Option<String>,
    /// The organization's public name.
    pub(crate) organization_name: Option<String>,
    /// The role.
    pub(crate) role: Option<String>,
    /// A person's number in the public register.
    pub(crate) register_number: Option<String>,
}

impl Party {
    fn new(kind: &'static str) -> Self {
        Self {
            kind,
            id: None,
            organization: None,
            organization_name: None,
            role: None,
            register_number: None,
        }
    }

    fn of_organization(mut self, id: OrganizationId, membership: &Membership) -> Self {
        self.organization = Some(id.to_string());
        self.organization_name = membership.organizations.get(&id).map(|o| o.name.clone());
        self
    }

    /// A grantee.
    pub(crate) fn grantee(grantee: &Grantee, membership: &Membership) -> Self {
        match grantee {
            Grantee::Person(id) => Self::person(id, membership),
            Grantee::Organization(id) => Self { id: Some(id.to_string()), ..Self::new("organization") }
                .of_organization(*id, membership),
            Grantee::Role(id, role) => {
                Self { role: Some(role.clone()), ..Self::new("role") }.of_organization(*id, membership)
            }
            Grantee::Code(_) => Self::new("code"),
            Grantee::Proxy(id) => Self { id: Some(id.to_string()), ..Self::new("proxy") },
        }
    }

    /// A person.
    pub(crate) fn person(id: &hospes_protocol::ids::PersonId, membership: &Membership) -> Self {
        let entry = membership.people.get(id);
        let register_number = entry.map(|p| p.register_number.clone());
        let party = Self { id: Some(id.to_string()), register_number, ..Self::new("person") };
        entry.map(|p| p.organization).map_or(party.clone(), |o| party.of_organization(o, membership))
    }

    fn author(author: &Author, membership: &Membership) -> Self {
        match author {
            Author::Practitioner(id) => Self::person(id, membership),
            Author::Patient => Self::new("patient"),
        }
    }
}

/// A record, without its content.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Record {
    /// Its content id, by which it is addressed.
    pub(crate) content: String,
    /// The patient's pseudonym.
    pub(crate) patient: String,
    /// Who wrote it.
    pub(crate) author: Party,
    /// The organization that answers for it.
    pub(crate) organization: String,
    /// Its category, as it stands.
    pub(crate) category: &'static str,
    /// Its label, as it stands.
    pub(crate) label: &'static str,
    /// Its title, as it stands.
    pub(crate) title: String,
    /// The media type (RFC 6838).
    pub(crate) media_type: String,
    /// The system that it came from.
    pub(crate) source: String,
    /// Bytes of the plain file.
    pub(crate) size: u64,
    /// SHA-256 of record id and plain file, in hexadecimal.
    pub(crate) digest: String,
    /// When the author filed it.
    pub(crate) created: Option<String>,
    /// The record that it amends.
    pub(crate) amends: Option<String>,
    /// The record from which it was derived.
    pub(crate) derived_from: Option<String>,
    /// Changes of title, category and label since it was filed, in the order in which they were signed.
    pub(crate) changes: Vec<RecordChange>,
    /// How far it is.
    pub(crate) finality: Finality,
}

/// A change of what is said of a record.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RecordChange {
    /// Its content id.
    pub(crate) content: String,
    /// Who changed it: a practitioner together with the patient, or the patient alone.
    pub(crate) author: Party,
    /// The title that it gives.
    pub(crate) title: String,
    /// The category that it gives.
    pub(crate) category: &'static str,
    /// The label that it gives.
    pub(crate) label: &'static str,
    /// When it was made.
    pub(crate) created: Option<String>,
    /// How far it is.
    pub(crate) finality: Finality,
}

impl RecordChange {
    fn of(listed: &Listed<RecordEntry>, membership: &Membership) -> Self {
        let entry = &listed.entry;
        Self {
            content: listed.content.to_string(),
            author: Party::author(&entry.author, membership),
            title: entry.title.clone(),
            category: name(&CATEGORIES, &entry.category),
            label: name(&LABELS, &entry.label),
            created: rfc3339(entry.created),
            finality: Finality::of(&listed.state),
        }
    }
}

impl Record {
    /// As a list shows it.
    pub(crate) fn of(listed: &Listed<RecordEntry>, service: &Service) -> Self {
        let (entry, membership) = (&listed.entry, &service.state().membership);
        // A change that cannot be read is not shown; what stands was read with the record.
        let changes = service.changes_of(&listed.content).unwrap_or_default();
        Self {
            content: listed.content.to_string(),
            patient: entry.patient.to_string(),
            author: Party::author(&entry.author, membership),
            organization: entry.organization.to_string(),
            category: name(&CATEGORIES, &entry.category),
            label: name(&LABELS, &entry.label),
            title: entry.title.clone(),
            media_type: entry.media_type.clone(),
            source: entry.source.clone(),
            size: entry.size,
            digest: data_encoding::HEXLOWER.encode(&entry.digest),
            created: rfc3339(entry.created),
            amends: entry.amends.map(|id| id.to_string()),
            derived_from: entry.derived_from.map(|id| id.to_string()),
            changes: changes.iter().map(|change| RecordChange::of(change, membership)).collect(),
            finality: Finality::of(&listed.state),
        }
    }
}

/// A grant.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Grant {
    /// Its content id, by which it is addressed.
    pub(crate) content: String,
    /// The patient's pseudonym.
    pub(crate) patient: String,
    /// Who may.
    pub(crate) grantee: Party,
    /// Categories; empty where records are named.
    pub(crate) categories: Vec<&'static str>,
    /// The highest label included.
    pub(crate) label: &'static str,
    /// Single records.
    pub(crate) records: Vec<String>,
    /// `read`, `write`, `share`.
    pub(crate) rights: Vec<&'static str>,
    /// From, inclusive.
    pub(crate) from: Option<String>,
    /// Until, exclusive.
    pub(crate) until: Option<String>,
    /// For what.
    pub(crate) purpose: &'static str,
    /// The study of a share right.
    pub(crate) study: Option<String>,
    /// How data leave under a share right.
    pub(crate) anonymity: &'static str,
    /// Whether it ends with its first use.
    pub(crate) one_time: bool,
    /// Whether its lock is closed: withdrawn, final or not.
    pub(crate) withdrawn: bool,
    /// How far it is.
    pub(crate) finality: Finality,
}

impl Grant {
    /// As a list shows it.
    pub(crate) fn of(listed: &Listed<GrantEntry>, service: &Service) -> Self {
        let entry = &listed.entry;
        Self {
            content: listed.content.to_string(),
            patient: entry.patient.to_string(),
            grantee: Party::grantee(&entry.grantee, &service.state().membership),
            categories: entry.scope.categories.iter().map(|c| name(&CATEGORIES, c)).collect(),
            label: name(&LABELS, &entry.scope.label),
            records: entry.scope.records.iter().map(ContentId::to_string).collect(),
            rights: rights(entry.rights),
            from: rfc3339(entry.from),
            until: rfc3339(entry.until),
            purpose: name(&PURPOSES, &entry.purpose),
            study: entry.study.map(|s| s.to_string()),
            anonymity: name(&ANONYMITY, &entry.anonymity),
            one_time: entry.one_time,
            withdrawn: withdrawn(&listed.content, service),
            finality: Finality::of(&listed.state),
        }
    }
}

// What can't be read counts as withdrawn: the list never promises more than a decision would.
fn withdrawn(id: &ContentId, service: &Service) -> bool {
    use hospes_protocol::policy::PatientView as _;
    let view = service.view();
    let closed = |known: Known<_>| known.lock.is_none_or(|lock| view.lock(&lock) != Ok(LockState::Open));
    view.entry(id).ok().flatten().is_none_or(closed)
}

/// An access to a record.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Access {
    /// Its content id.
    pub(crate) content: String,
    /// Who read; `patient` for the patient.
    pub(crate) reader: Party,
    /// The record.
    pub(crate) record: String,
    /// The record's category.
    pub(crate) category: &'static str,
    /// `read` or `share`.
    pub(crate) right: &'static str,
    /// For what.
    pub(crate) purpose: &'static str,
    /// The study of a share.
    pub(crate) study: Option<String>,
    /// The entries that permitted it.
    pub(crate) why: Vec<String>,
    /// When.
    pub(crate) at: Option<String>,
    /// How far it is.
    pub(crate) finality: Finality,
}

impl Access {
    /// As a list shows it.
    pub(crate) fn of(listed: &Listed<AccessEntry>, service: &Service) -> Self {
        let (entry, membership) = (&listed.entry, &service.state().membership);
        let reader = entry.reader.map_or(Party::new("patient"), |id| Party::person(&id, membership));
        Self {
            content: listed.content.to_string(),
            reader,
            record: entry.record.to_string(),
            category: name(&CATEGORIES, &entry.category),
            right: name(&RIGHTS, &entry.right),
            purpose: name(&PURPOSES, &entry.purpose),
            study: entry.study.map(|s| s.to_string()),
            why: entry.why.iter().map(ContentId::to_string).collect(),
            at: rfc3339(entry.at),
            finality: Finality::of(&listed.state),
        }
    }
}
