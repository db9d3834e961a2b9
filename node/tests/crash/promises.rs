//! What the API answered as done, and whether it is there.
//!
//! A promise begins with the answer, not with the request: what was never answered may be there or not, but
//! never by half.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use crate::api::text;
use crate::federation::Hospital;
use crate::people::{People, Seat, until};

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// A record with these bytes; derived ones are the node's own.
    Record(Option<Vec<u8>>),
    /// A grant.
    Grant,
    /// A grant that was withdrawn afterwards.
    Withdrawn,
    /// An access entry.
    Access,
}

/// The promises of one hospital, by content id.
#[derive(Debug, Default)]
pub(crate) struct Promises(Mutex<BTreeMap<String, Promise>>);

impl Promises {
    pub(crate) fn keep(&self, content: &str, promise: Promise) {
        assert_eq!(content.len(), 64, "a content id: {content}");
        self.0.lock().unwrap().insert(content.to_owned(), promise);
    }

    /// Something is asked that changes it; until the answer it may be either way.
    pub(crate) fn doubt(&self, content: &str) {
        self.0.lock().unwrap().remove(content);
    }

    pub(crate) fn all(&self) -> BTreeMap<String, Promise> {
        self.0.lock().unwrap().clone()
    }

    /// Records with their bytes.
    pub(crate) fn records(&self) -> Vec<(String, Vec<u8>)> {
        let bytes = |(id, promise)| match promise {
            Promise::Record(Some(bytes)) => Some((id, bytes)),
            _ => None,
        };
        self.all().into_iter().filter_map(bytes).collect()
    }

    /// Grants that stand.
    pub(crate) fn grants(&self) -> Vec<String> {
        self.all().into_iter().filter(|(_, p)| *p == Promise::Grant).map(|(id, _)| id).collect()
    }

    /// What is missing or is not as it was answered, as its own hospital shows it.
    pub(crate) fn lost(&self, hospital: &Hospital, people: &People) -> Vec<String> {
        let mut patient = Seat::new(hospital, &people.patient);
        let mut practitioner = Seat::new(hospital, &people.practitioner);
        let of = &people.pseudonym;
        let mut list = |path: String| until("a list", || patient.act(|api| api.all(&path)).ok());
        let records = list(format!("/records?patient={of}"));
        let (grants, accesses) = (list(format!("/grants?patient={of}")), list("/accesses".into()));
        let ids = |items: &[serde_json::Value]| -> BTreeSet<String> {
            let is_final = |i: &&serde_json::Value| text(&i["finality"], "state") == "final";
            items.iter().filter(is_final).map(|i| text(i, "content").to_owned()).collect()
        };
        let (shown, told) = (ids(&records), ids(&accesses));
        let withdrawn = |id: &str| {
            grants.iter().find(|g| text(g, "content") == id).and_then(|g| g["withdrawn"].as_bool())
        };
        let promised = self.all();
        let mut lost = Vec::new();
        for (id, promise) in &promised {
            let there = match promise {
                Promise::Record(_) => shown.contains(id),
                Promise::Grant => withdrawn(id) == Some(false),
                Promise::Withdrawn => withdrawn(id) == Some(true),
                Promise::Access => told.contains(id),
            };
            if !there {
                lost.push(format!("{}: {id}: {promise:?}", hospital.name));
            }
        }
        // Whatever is listed opens whole, answered or not: a file that is there by half would show here.
        for id in &shown {
            let wanted = match promised.get(id) {
                Some(Promise::Record(Some(bytes))) => Some(bytes),
                _ => None,
            };
            match practitioner.act(|api| api.read(id)) {
                Ok((bytes, _)) if wanted.is_none_or(|w| *w == bytes) => {}
                Ok(_) => lost.push(format!("{}: {id} came back changed", hospital.name)),
                Err(refused) => lost.push(format!("{}: {id} does not open: {refused}", hospital.name)),
            }
        }
        lost
    }
}
