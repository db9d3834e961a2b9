//! What is said of a record: title, category and label, as filed and as changed since, whatever the order in
//! which the changes came.
//!
//! A change is an amendment of the same sealed file. It is by both, the patient and a practitioner of the
//! organization that answers for the record, and says all three anew; or by the patient alone, and raises the
//! label. What the patient wrote, the patient changes alone. Who must have signed is [`super::lawful`]'s.

use crate::ids::ContentId;
use crate::personal::{Author, Category, Label, RecordEntry};
use crate::policy::force::counts;
use crate::policy::view::{Known, RecordFacts, Unreadable, View};
use crate::wire::Bytes;

/// What a change may do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Raise the label, by the patient's card alone.
    Label,
    /// Say everything anew.
    Description,
}

/// Whether an amendment is of the same sealed file as `record`: then it changes what is said of it.
#[must_use]
pub fn is_of_same_file(amendment: &RecordEntry, record: &RecordEntry) -> bool {
    amendment.patient == record.patient
        && amendment.record == record.record
        && amendment.manifest == record.manifest
}

/// Whether a change of the patient's leaves all but the label as it was filed.
pub(super) fn is_label_alone(amendment: &RecordEntry, record: &RecordEntry) -> bool {
    amendment.author == Author::Patient
        && amendment.category == record.category
        && amendment.title == record.title
}

fn change_of(amendment: &Known<RecordEntry>, record: &Known<RecordEntry>) -> Option<Change> {
    let of = amendment.entry.amends == Some(record.id) && is_of_same_file(&amendment.entry, &record.entry);
    let alone = record.entry.author != Author::Patient && is_label_alone(&amendment.entry, &record.entry);
    of.then_some(if alone { Change::Label } else { Change::Description })
}

type Changes<'a> = Vec<(Change, &'a Known<RecordEntry>)>;

// By the time that was signed, so that nobody makes a change newer by holding it back.
fn changes<'a>(
    view: &(impl View + ?Sized),
    record: &Known<RecordEntry>,
    amendments: impl IntoIterator<Item = &'a Known<RecordEntry>>,
) -> Result<Changes<'a>, Unreadable> {
    let mut found = Vec::new();
    for amendment in amendments {
        if let Some(change) = change_of(amendment, record)
            && counts(view, amendment)?
        {
            found.push((change, amendment));
        }
    }
    found.sort_unstable_by_key(|(_, amendment)| (amendment.entry.created, amendment.id));
    Ok(found)
}

fn as_filed(record: &Known<RecordEntry>) -> RecordFacts {
    let entry = &record.entry;
    RecordFacts {
        patient: entry.patient,
        author: entry.author.clone(),
        organization: entry.organization,
        category: entry.category,
        label: entry.label,
        restricted_by: None,
        described_by: None,
        past: Vec::new(),
        height: record.height,
    }
}

fn facts_of(record: &Known<RecordEntry>, changes: &Changes<'_>) -> RecordFacts {
    let mut facts = as_filed(record);
    let newest = changes.iter().rposition(|(change, _)| *change == Change::Description);
    if let Some((_, stands)) = newest.and_then(|at| changes.get(at)) {
        facts.category = stands.entry.category;
        facts.label = stands.entry.label;
        facts.described_by = Some(stands.id);
    }
    let since = newest.map_or(0, |at| at + 1);
    for (_, raised) in changes.iter().skip(since) {
        facts.label = facts.label.max(raised.entry.label);
    }
    if facts.label == Label::VeryRestricted {
        facts.restricted_by = restricted_by(record, changes);
    }
    if !changes.is_empty() {
        facts.past.push((record.entry.category, record.entry.label));
        facts.past.extend(changes.iter().map(|(_, c)| (c.entry.category, c.entry.label)));
    }
    facts
}

// What its author filed as very restricted is not restricted against the author.
fn restricted_by(record: &Known<RecordEntry>, changes: &Changes<'_>) -> Option<ContentId> {
    let filed_lower = record.entry.label != Label::VeryRestricted;
    let restricts = |(change, amendment): &&(Change, &Known<RecordEntry>)| {
        amendment.entry.label == Label::VeryRestricted && (filed_lower || *change == Change::Label)
    };
    changes.iter().filter(restricts).map(|(_, amendment)| amendment.id).min()
}

/// The facts of a record from its entry and the amendments that name it, in any order. The newest change by
/// both stands; what the patient alone raised since raises the label above it; one that made it very restricted
/// restricts it (rule 4).
///
/// # Errors
/// As the view.
pub fn record_facts<'a>(
    view: &(impl View + ?Sized),
    record: &Known<RecordEntry>,
    amendments: impl IntoIterator<Item = &'a Known<RecordEntry>>,
) -> Result<RecordFacts, Unreadable> {
    Ok(facts_of(record, &changes(view, record, amendments)?))
}

/// A record's entry as it stands now: title, category and label of [`record_facts`], and the data key as it was
/// sealed at first and by every change.
///
/// # Errors
/// As the view.
pub fn as_it_stands<'a>(
    view: &(impl View + ?Sized),
    record: &Known<RecordEntry>,
    amendments: impl IntoIterator<Item = &'a Known<RecordEntry>>,
) -> Result<RecordEntry, Unreadable> {
    let changes = changes(view, record, amendments)?;
    let facts = facts_of(record, &changes);
    let mut entry = record.entry.clone();
    (entry.category, entry.label) = (facts.category, facts.label);
    for (_, change) in &changes {
        if facts.described_by == Some(change.id) {
            entry.title.clone_from(&change.entry.title);
        }
        entry.keys.extend(change.entry.keys.iter().map(|key| Bytes(key.0.clone())));
    }
    Ok(entry)
}

impl RecordFacts {
    /// Whether the record has, or had, a category: what was done under the old one stays on record.
    #[must_use]
    pub fn has_had(&self, category: Category) -> bool {
        self.category == category || self.past.iter().any(|(had, _)| *had == category)
    }
}
