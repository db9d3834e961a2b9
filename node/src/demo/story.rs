//! What the story has come to: people, records, grants, and every read, against which the node's own list of
//! accesses is held.

use std::collections::BTreeMap;

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

/// Someone of the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// The author, at the first hospital.
    Author,
    /// A clinician at the second hospital, whom the patient lets read.
    Ana,
    /// A clinician beside her.
    Ben,
    /// A clinician at the clinic.
    Cleo,
    /// A clinician of a third hospital, whom nobody lets in.
    Dora,
    /// An auditor of the patient's home.
    Vera,
    /// A guardian of the clinic's own committee.
    Gus,
    /// Another.
    Ina,
    /// A patient, in the order of the samples; 0 is the patient of the story.
    Patient(usize),
}

/// Fills while the demo plays.
#[derive(Default)]
pub(crate) struct Story {
    /// Who is enrolled.
    pub(crate) people: BTreeMap<Who, Person>,
    /// What was filed.
    pub(crate) filed: Vec<Filed>,
    /// Every read of the story's patient that was permitted.
    pub(crate) seen: Vec<Seen>,
    /// Grants that stand, by whom they are for.
    pub(crate) grants: Vec<(Who, String)>,
    /// The request of the emergency.
    pub(crate) emergency: Option<String>,
}

impl Story {
    /// Somebody who must be enrolled.
    pub(crate) fn someone(&mut self, who: Who) -> Result<&mut Person, Failed> {
        self.people.get_mut(&who).ok_or_else(|| Failed::NotReached("the person is not enrolled".into()))
    }

    /// The id of somebody who must be enrolled.
    pub(crate) fn id(&self, who: Who) -> Result<String, Failed> {
        let person = self.people.get(&who);
        person.map(|p| p.id.clone()).ok_or_else(|| Failed::NotReached("the person is not enrolled".into()))
    }

    /// The first record of the story's patient for which `which` holds.
    pub(crate) fn record(&self, which: impl Fn(&Filed) -> bool) -> Result<Filed, Failed> {
        let mut own = self.filed.iter().filter(|f| f.patient == 0);
        own.find(|f| which(f)).cloned().ok_or_else(|| Failed::NotReached("no such record is filed".into()))
    }

    /// Notes a permitted read of the story's patient.
    pub(crate) fn saw(&mut self, who: Who, content: &str) -> Result<(), Failed> {
        self.seen.push(Seen { person: self.id(who)?, content: content.to_owned() });
        Ok(())
    }
}
