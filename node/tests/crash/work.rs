//! A hospital at work: files, imports, consents, withdraws and reads, until it is told to stop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::api::{Api, Refused, text};
use crate::dice::Dice;
use crate::federation::Hospital;
use crate::people::{People, Seat};
use crate::promises::{Promise, Promises};

/// A bundle from which a summary is derived.
const BUNDLE: &[u8] = include_bytes!("../../assets/samples/ips/IPS_IG_bundle-minimal.json");

/// One hospital's desk.
pub(crate) struct Work<'a> {
    pub(crate) hospital: &'a Hospital,
    pub(crate) people: &'a People,
    /// Practitioners elsewhere, who are consented to.
    pub(crate) others: Vec<String>,
    pub(crate) promises: &'a Promises,
    /// Requests that the node refused although it ran: none is expected.
    pub(crate) refused: AtomicU64,
}

impl Work<'_> {
    /// Works until `stop`.
    pub(crate) fn run(&self, mut dice: Dice, pause: Duration, stop: &AtomicBool) {
        let mut practitioner = Seat::new(self.hospital, &self.people.practitioner);
        let mut patient = Seat::new(self.hospital, &self.people.patient);
        while !stop.load(Ordering::SeqCst) {
            let done = match dice.below(20) {
                0..=8 => practitioner.act(|api| self.files(api, &mut dice)),
                9 | 10 => practitioner.act(|api| self.imports(api)),
                11..=13 => patient.act(|api| self.consents(api, &mut dice)),
                14 => patient.act(|api| self.withdraws(api, &mut dice)),
                _ => practitioner.act(|api| self.reads(api, &mut dice)),
            };
            if let Err(refused) = done {
                if matches!(&refused, Refused::Problem(status, ..) if *status < 500 && *status != 401) {
                    self.refused.fetch_add(1, Ordering::SeqCst);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            std::thread::sleep(pause);
        }
    }

    fn path(&self, title: &str, media_type: &str, summary: bool) -> String {
        let patient = &self.people.pseudonym;
        format!(
            "/records?patient={patient}&category=letters&label=normal&title={title}&media_type={media_type}\
             &derive_summary={summary}"
        )
    }

    /// A letter; now and then one of several segments.
    pub(crate) fn files(&self, api: &Api, dice: &mut Dice) -> Result<(), Refused> {
        let length = if dice.below(8) == 0 { 2_200_000 } else { 100 + dice.place(6_000) };
        let bytes =
            if length < 10_000 { dice.bytes(length) } else { dice.bytes(1_000).repeat(length / 1_000) };
        let result = api.follow(api.upload(&self.path("letter", "text/plain", false), &bytes)?)?;
        self.promises.keep(text(&result["records"][0], "content"), Promise::Record(Some(bytes)));
        Ok(())
    }

    /// A bundle, and the summary that is derived from it, in one tap.
    pub(crate) fn imports(&self, api: &Api) -> Result<(), Refused> {
        api.upload("/imports", BUNDLE)?;
        let path = self.path("bundle", "application/fhir%2Bjson", true);
        let result = api.follow(api.upload(&path, BUNDLE)?)?;
        for (n, record) in result["records"].as_array().into_iter().flatten().enumerate() {
            let bytes = (n == 0).then(|| BUNDLE.to_vec());
            self.promises.keep(text(record, "content"), Promise::Record(bytes));
        }
        Ok(())
    }

    /// A consent to somebody elsewhere.
    pub(crate) fn consents(&self, api: &Api, dice: &mut Dice) -> Result<(), Refused> {
        let body = json!({
            "grantee": { "person": self.others[dice.place(self.others.len())] },
            "categories": ["letters"],
            "label": "normal",
            "rights": ["read"],
            "from": "2020-01-01T00:00:00Z",
            "until": "2099-01-01T00:00:00Z",
            "purpose": "treatment",
        });
        let result = api.tap("/grants", &body)?;
        let content = ["content", "grant"].into_iter().map(|key| text(&result, key)).find(|t| !t.is_empty());
        self.promises.keep(content.unwrap_or_default(), Promise::Grant);
        Ok(())
    }

    /// The end of one. Unanswered it may have ended or not, so it is no promise meanwhile.
    pub(crate) fn withdraws(&self, api: &Api, dice: &mut Dice) -> Result<(), Refused> {
        let grants = self.promises.grants();
        if grants.is_empty() {
            return Ok(());
        }
        let grant = &grants[dice.place(grants.len())];
        self.promises.doubt(grant);
        api.tap("/grants/revoke", &json!({ "grants": [grant] }))?;
        self.promises.keep(grant, Promise::Withdrawn);
        Ok(())
    }

    /// A reading, which is to be in the patient's list.
    pub(crate) fn reads(&self, api: &Api, dice: &mut Dice) -> Result<(), Refused> {
        let records = self.promises.records();
        if records.is_empty() {
            return Ok(());
        }
        let (id, bytes) = &records[dice.place(records.len())];
        let (read, access) = api.read(id)?;
        assert!(read == *bytes, "{id} came back changed at {}", self.hospital.name);
        self.promises.keep(&access.expect("a reading names its access entry"), Promise::Access);
        Ok(())
    }
}
