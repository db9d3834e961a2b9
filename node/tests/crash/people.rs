//! Who works at a hospital: its organization, a practitioner and a patient, each by a card in its reader.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::{Api, Refused, text};
use crate::federation::Hospital;

/// The cards of a hospital, by their serials, and the ids behind them.
#[derive(Clone, Debug)]
pub(crate) struct People {
    pub(crate) organization: String,
    pub(crate) practitioner: String,
    pub(crate) patient: String,
    /// The practitioner.
    pub(crate) person: String,
    /// The patient's pseudonym.
    pub(crate) pseudonym: String,
}

/// Tries until it works.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Enrols a practitioner and a patient.
pub(crate) fn enrol(hospital: &Hospital, number: usize) -> People {
    let card = |kind: &str| {
        let file = format!("{}/reader/{kind}.card", hospital.name);
        let made = hospital.command(&[
            "card",
            "create",
            &file,
            "--kind",
            kind,
            "--label",
            kind,
            "--pin-file",
            "pin",
        ]);
        text(&made, "serial").to_owned()
    };
    let (practitioner, patient) = (card("practitioner"), card("patient"));
    let api = hospital.api().unwrap();
    let organization = until("the cards being noticed", || {
        let cards = api.get("/cards").ok()?;
        let here = |serial: &str| cards.as_array()?.iter().find(|c| text(c, "serial") == serial).map(|_| ());
        here(&practitioner)?;
        here(&patient)?;
        let own = cards.as_array()?.iter().find(|c| text(c, "holder") == hospital.name)?;
        Some(text(own, "serial").to_owned())
    });
    let desk = api.sign_in(&organization).unwrap();
    let role = json!({ "name": "physician", "rights": ["read", "write", "share"], "attested": true });
    desk.tap("/roles", &role).unwrap();
    until("the role", || desk.all("/roles").ok().filter(|roles| !roles.is_empty()));
    let person = json!({ "card": practitioner, "register_number": format!("CRASH-{number}"),
        "roles": ["physician"], "attestation": "ZGVtbw==" });
    let person = desk.tap("/persons", &person).unwrap();
    let enrolled =
        desk.tap("/patients", &json!({ "card": patient, "identity": identity(number), "language": "en" }));
    let pseudonym = text(&enrolled.unwrap(), "patient").to_owned();
    let person = text(&person, "person").to_owned();
    until("the practitioner being final", || {
        desk.all("/persons").ok()?.iter().find(|p| p.to_string().contains(&person)).map(|_| ())
    });
    People { organization, practitioner, patient, person, pseudonym }
}

fn identity(number: usize) -> Value {
    json!({ "family": format!("Tester{number}"), "given": ["Crash"], "birth_date": "1980-02-29",
        "gender": "other", "postal_code": "0000", "identifiers": [] })
}

/// Signs in again whenever the session is gone.
pub(crate) struct Seat<'a> {
    hospital: &'a Hospital,
    serial: String,
    session: Option<Api>,
}

impl<'a> Seat<'a> {
    pub(crate) fn new(hospital: &'a Hospital, serial: &str) -> Self {
        Self { hospital, serial: serial.to_owned(), session: None }
    }

    /// Does something signed in; a session that ended with its node is begun anew the next time.
    pub(crate) fn act<T>(&mut self, act: impl FnOnce(&Api) -> Result<T, Refused>) -> Result<T, Refused> {
        if self.session.is_none() {
            let api = self.hospital.api().ok_or_else(|| Refused::Unreachable("it is down".into()))?;
            self.session = Some(api.sign_in(&self.serial)?);
        }
        let done = self.session.as_ref().map_or(Err(Refused::Unreachable(String::new())), act);
        if let Err(refused) = &done
            && (refused.is_signed_out() || matches!(refused, Refused::Unreachable(_)))
        {
            self.session = None;
        }
        done
    }
}
