//! A kiosk: consents a minute of a patient whose card takes 100 ms for each command, against what the card's own time
//! would allow.
//!
//! The node and its command line are processes of this program, as a kiosk runs them; the readers, their cards and
//! `pcscd` those of `cards`. Each consent signs in, opens the lockers in 9D, signs in 9C, is filed and becomes final.

use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Size;
use super::cards::Tray;
use super::row::{Failed, Goal, Row, failed};
use crate::demo::node::Node;
use crate::demo::readers::{Desk, Hand};
use crate::demo::tap::{needed, until};

/// Readers: the organization's card, the practitioner's, the patient's.
const READERS: usize = 3;
const PATIENT: usize = 2;
const PIN: &str = "273941";
/// How long cards may take to be noticed.
const NOTICED: Duration = Duration::from_secs(20);

/// The node at the kiosk and who is at it.
struct Kiosk {
    node: Node,
    pins: String,
}

pub(super) fn run(peers: &Path, size: Size) -> Result<Vec<Row>, Failed> {
    let id = "kiosk-consents";
    let tray = match Tray::serve(peers, READERS)? {
        Ok(tray) => tray,
        Err(why) => return Ok(vec![Row::absent(id, why)]),
    };
    let scratch = tempfile::tempdir().map_err(failed)?;
    let (kiosk, doctor) = opened(&tray, scratch.path())?;
    tray.ask(PATIENT, "faults delay=100")?;
    let since = Instant::now();
    for _ in 0..size.consents {
        let options = ["--person", &doctor, "--category", "letters", "--right", "read", "--until", "30d"];
        kiosk.does("patient", &[&["consent", "grant"], &options[..]].concat())?;
    }
    let (took, own) = (since.elapsed(), tray.spent(PATIENT)?);
    let in_a_minute = |all: Duration| 60.0 * f64::from(size.consents) / all.as_secs_f64();
    let goal = Goal::AtLeast(0.8);
    Ok(vec![Row::new(id, in_a_minute(took), in_a_minute(own), "a minute", &goal)])
}

/// A node with its organization, a practitioner and a patient, all by cards; and the practitioner's id.
fn opened(tray: &Tray, folder: &Path) -> Result<(Kiosk, String), Failed> {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).map(|()| path.display().to_string()).map_err(failed)
    };
    let (pins, attestation, record) =
        (file("pins", PIN)?, file("register", "in the register")?, file("letter", "what was found")?);
    let names: Vec<String> = tray.readers.iter().map(|place| place.name.clone()).collect();
    let puk = |whose: &str| folder.join(format!("{whose}.puk")).display().to_string();
    // Cards stay where they are: nobody is asked to move one.
    let hand = Rc::new(Hand::new(folder.join("nobody"), tray.socket.clone()));
    let desk = Desk::Pcsc { readers: names.clone(), hand };
    let node = Node::new(folder, "kiosk", "Kiosk", Some(desk)).map_err(failed)?;
    let mut kiosk = Kiosk { node, pins };
    let (card, address) = (format!("pcsc:{}", names[0]), kiosk.node.multiaddr());
    let new = ["--new-card", "--puk-file", &puk("house"), "--pin-file", &kiosk.pins, "--p2p", &address];
    let found = [&["init", "--organization", "house", "--org-card", &card], &new[..]].concat();
    until(NOTICED, "the organization's card", || Ok(kiosk.node.command(&found).ok())).map_err(failed)?;
    kiosk.node.start().map_err(failed)?;
    for (at, kind) in [(1, "practitioner"), (PATIENT, "patient")] {
        let new = ["--kind", kind, "--label", kind, "--pin-file", &kiosk.pins, "--puk-file", &puk(kind)];
        let enrol = [&["card", "enrol", "--reader", &names[at]], &new[..]].concat();
        until(NOTICED, "a card from the factory", || Ok(kiosk.node.command(&enrol).ok())).map_err(failed)?;
    }
    kiosk.does("house", &["person", "role", "physician", "--right", "read", "--right", "write"])?;
    let register = ["--register-number", "R-1", "--attestation", &attestation];
    let enrol = ["person", "enrol", "--person-card", "practitioner", "--role", "physician"];
    let doctor =
        needed(&kiosk.does("house", &[&enrol, &register[..]].concat())?, "person").map_err(failed)?;
    let name = ["--family", "Byron", "--given", "Ada", "--birth-date", "1815-12-10"];
    let create = ["patient", "create", "--patient-card", "patient"];
    let patient = needed(&kiosk.does("house", &[&create, &name[..]].concat())?, "patient").map_err(failed)?;
    let letter = ["record", "add", &patient, &record, "--category", "letters", "--title", "Letter"];
    kiosk.does("practitioner", &letter)?;
    Ok((kiosk, doctor))
}

impl Kiosk {
    /// A command that somebody's card answers for.
    fn does(&self, who: &str, command: &[&str]) -> Result<Value, Failed> {
        let all = [command, &["--card", who, "--pin-file", &self.pins]].concat();
        self.node.command(&all).map_err(failed)
    }
}
