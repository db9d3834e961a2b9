//! What the story has come to: people, records, grants, and every read, against which the node's own list of
//! accesses is held.

use super::failed::Failed;
use super::people::Person;

/// A record that was filed.
#[derive(Clone, Debug)]
pub(crate) struct Filed {
    /// Content id, hexadecimal.
    pub(crate) content: String,
    /// Place of its file among the samples.
    pub(crate) sample: usize,
    /// Place of its patient.
    pub(crate) patient: usize,
}

/// A read that a node permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Who read; hexadecimal.
    pub(crate) person: String,
    /// Which record.
    pub(crate) content: String,
}

/// Fills while the demo plays.
#[derive(Default)]
pub(crate) struct Story {
    /// The author, at the first hospital.
    pub(crate) author: Option<Person>,
    /// A clinician at the second hospital, whom the patient lets read.
    pub(crate) ana: Option<Person>,
    /// A clinician beside her.
    pub(crate) ben: Option<Person>,
    /// A clinician at the clinic.
    pub(crate) cleo: Option<Person>,
    /// Patients, in the order of the samples.
    pub(crate) patients: Vec<Person>,
    /// What was filed.
    pub(crate) filed: Vec<Filed>,
    /// Every read that was permitted.
    pub(crate) seen: Vec<Seen>,
}

impl Story {
    /// The patient of the story.
    pub(crate) fn patient(&self) -> Result<Person, Failed> {
        self.patients.first().cloned().ok_or_else(|| Failed::NotReached("no patient is enrolled".into()))
    }

    /// Somebody who must be enrolled.
    pub(crate) fn someone(person: Option<&Person>) -> Result<Person, Failed> {
        person.cloned().ok_or_else(|| Failed::NotReached("the person is not enrolled".into()))
    }

    /// The first record of the story's patient for which `which` holds.
    pub(crate) fn record(&self, which: impl Fn(&Filed) -> bool) -> Result<Filed, Failed> {
        let mut own = self.filed.iter().filter(|f| f.patient == 0);
        own.find(|f| which(f)).cloned().ok_or_else(|| Failed::NotReached("no such record is filed".into()))
    }

    /// Notes a permitted read.
    pub(crate) fn saw(&mut self, person: &str, content: &str) {
        self.seen.push(Seen { person: person.to_owned(), content: content.to_owned() });
    }
}
