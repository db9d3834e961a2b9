//! The table of steps: every claim of the demo, its deadline, and what it stands on.
//!
//! Numbers in brackets are lines of the requirements. A step that plays a refusal plays the same act once it
//! is allowed as well.

mod absent;
mod clinic;
pub(crate) mod committees;
mod consent;
mod emergency;
pub(crate) mod enrol;
mod formats;
mod ledger;
mod lists;
mod offline;
mod peers;
mod quorum;
mod recovery;

use std::time::Duration;

use super::failed::Outcome;
use super::play::Step;
use super::world::World;

const fn step(
    id: &'static str,
    claim: &'static str,
    deadline_ms: u64,
    needs: &'static [&'static str],
    act: fn(&mut World) -> Outcome,
) -> Step {
    Step { id, claim, deadline: Duration::from_millis(deadline_ms), needs, act }
}

/// Every step, in order.
pub(super) const TABLE: &[Step] = &[
    step("1a", "four hospitals and a clinic found one network", 30_000, &[], enrol::network),
    step(
        "1b",
        "practitioners are enrolled by their organization, once [35]",
        30_000,
        &["1a"],
        enrol::practitioners,
    ),
    step(
        "1d",
        "guardians and validators make keys that nobody holds whole",
        120_000,
        &["1b"],
        committees::keys,
    ),
    step("1c", "patients are enrolled, each with a recovery code", 60_000, &["1a"], enrol::patients),
    step("2a", "FHIR, IPS, C-CDA, DICOM, RT dose and PDF are filed", 60_000, &["1b", "1c"], formats::upload),
    step("2b", "each comes back byte for byte", 60_000, &["2a"], formats::byte_for_byte),
    step("2c", "an emergency summary is derived from each chart", 30_000, &["2a"], formats::summaries),
    step(
        "3a",
        "a clinician of another hospital is refused without consent",
        10_000,
        &["2a"],
        consent::refused,
    ),
    step("3b", "and told why", 10_000, &["2a"], consent::told_why),
    step(
        "4a",
        "a tap lets that clinician read, and nobody beside her [47]",
        15_000,
        &["3a"],
        consent::by_tap,
    ),
    step("4b", "a category is a limit on every node [48]", 20_000, &["4a"], consent::category),
    step("4c", "a period is a limit on every node [51]", 30_000, &["4b"], consent::period),
    step("4d", "a right to write is none to read [53]", 20_000, &["4a"], consent::write_only),
    step(
        "4e",
        "a share right is for its study and carries how data may leave [54-56]",
        10_000,
        &["4a"],
        consent::share,
    ),
    step("5a", "the patient lists who may see [65]", 5_000, &["4a"], lists::who_may),
    step("5b", "and who has seen; every read is there [66]", 20_000, &["4a"], lists::who_has),
    step("6", "withdrawn by tap: refused everywhere [58]", 5_000, &["4a"], consent::revoked),
    step(
        "7a",
        "the author's hospital is off: the record opens elsewhere [22]",
        1_000,
        &["6"],
        absent::opens_elsewhere,
    ),
    step("7b", "the patient signs in at another node [21]", 10_000, &["7a"], absent::signs_in_elsewhere),
    step("7c", "switched on again, the hospital catches up", 20_000, &["7a"], absent::back),
    step(
        "8a",
        "cut off, the clinic files, takes a consent and reads on",
        30_000,
        &["4d", "7c"],
        clinic::works_alone,
    ),
    step("8b", "back on line, all becomes final by itself", 20_000, &["8a"], clinic::becomes_final),
    step("9a", "one validator killed: commits go on", 10_000, &["2a"], quorum::one_down),
    step("9b", "two killed: writes wait and say so", 15_000, &["9a"], quorum::two_down),
    step("9c", "healed: they commit, none lost [4]", 20_000, &["9b"], quorum::healed),
    step("10a", "an unknown peer is refused, and let in once admitted [20]", 20_000, &["1b"], peers::unknown),
    step("10b", "a removed node is cut off [1]", 5_000, &["10a"], peers::removed),
    step(
        "12a",
        "of someone who can't consent, one guardian opens nothing",
        40_000,
        &["1d", "2c"],
        emergency::one_guardian,
    ),
    step(
        "12b",
        "two guardians open the emergency summary for a hospital that nobody let in [119]",
        3_000,
        &["12a"],
        emergency::two_guardians,
    ),
    step(
        "12c",
        "the patient sees who asked, why, who approved and what was read; it is reviewed [120]",
        20_000,
        &["12b"],
        emergency::seen_and_reviewed,
    ),
    step(
        "12d",
        "at night, the patient's card in the reader and one clinician open the summary; without it, nobody [119]",
        10_000,
        &["12c"],
        emergency::alone,
    ),
    step(
        "12e",
        "the same with the clinic's uplink cut: its own people and its witness card; the patient sees it later [39]",
        10_000,
        &["12d", "8b"],
        offline::cut_off,
    ),
    step(
        "13",
        "a new card takes a lost one's place after notice, delay and three guardians; the lost one is dead [96][97]",
        60_000,
        &["12a"],
        recovery::new_card,
    ),
    step("11", "every node's ledger verifies off line, to one state [7]", 20_000, &["1b"], ledger::verified),
];
