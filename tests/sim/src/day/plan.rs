//! The plan of a day: who comes when, what is done for them, and what fails meanwhile.
//!
//! Hours are fixed, so that days of different seeds can be compared; who, what, where and the minute come from
//! the seed.

use crate::dice::Dice;
use crate::plan::{Act, CATEGORIES, Fault, Item, Left, Plan, Shape, Taken, To, Trick, What};
use hospes_protocol::limits::{COOLING_OFF_MS_DEFAULT, RECOVERY_DELAY_MS_DEFAULT};

/// A minute, in virtual milliseconds.
pub(crate) const MINUTE: u64 = 60_000;
/// An hour, in virtual milliseconds.
pub(crate) const HOUR: u64 = 60 * MINUTE;

/// Hospitals, with a validator each.
const HOSPITALS: usize = 7;
/// Clinics, with a replica each; the last is admitted at midday.
const CLINICS: usize = 5;
/// Hospitals with a second node.
const SECOND_NODES: usize = 3;
/// The hospital whose validator is hostile.
pub(crate) const HOSTILE: usize = 3;
/// The hospital that is cut off for hours.
const CUT_OFF: usize = 5;
/// The clinic whose line comes and goes.
const FLAPPING: usize = 8;
/// The clinic on a slow line.
const SLOW: usize = 10;
/// The clinic that is admitted at midday.
const LATE: usize = HOSPITALS + CLINICS - 1;
/// Patients of the day.
const PATIENTS: usize = 60;
/// Visits.
const VISITS: usize = 170;
/// How many of them begin in each hour, relatively.
const ARRIVALS: [u64; 24] =
    [1, 1, 1, 1, 1, 2, 4, 10, 14, 16, 16, 14, 10, 12, 14, 13, 10, 7, 5, 4, 3, 2, 2, 1];

/// The plan of a seed.
pub(crate) fn day_of(seed: u64) -> Plan {
    let mut dice = Dice::of(&[seed, 30]);
    let shape = Shape {
        validators: HOSPITALS,
        replicas: CLINICS,
        spares: SECOND_NODES,
        late: 1,
        patients: PATIENTS,
        active_ms: 24 * HOUR,
        lease_ms: 72 * HOUR,
        idle_block_ms: HOUR,
        cooling_off_ms: COOLING_OFF_MS_DEFAULT,
        recovery_delay_ms: RECOVERY_DELAY_MS_DEFAULT,
        contested: false,
        glass: false,
    };
    let mut day = Day { items: Vec::new(), dice: &mut dice };
    day.members();
    for _ in 0..VISITS {
        day.visit();
    }
    day.lost_cards();
    day.night();
    day.lines();
    day.machines();
    day.hostile();
    let mut items = day.items;
    items.sort_by_key(|item| item.at);
    Plan { seed, shape, items }
}

struct Day<'a> {
    items: Vec<Item>,
    dice: &'a mut Dice,
}

impl Day<'_> {
    fn act(&mut self, at: u64, act: Act) {
        if at < 24 * HOUR {
            self.items.push(Item { at, what: What::Act(act) });
        }
    }

    fn fault(&mut self, at: u64, fault: Fault) {
        self.items.push(Item { at, what: What::Fault(fault) });
    }

    fn minutes(&mut self, from: u64, to: u64) -> u64 {
        self.dice.range(from * MINUTE, to * MINUTE)
    }

    /// An organization that works all day.
    fn open(&mut self) -> usize {
        loop {
            let place = self.dice.place(LATE);
            if place != HOSTILE {
                return place;
            }
        }
    }

    // ---- people ----

    fn arrival(&mut self) -> u64 {
        let mut left = self.dice.below(ARRIVALS.iter().sum());
        for (hour, many) in ARRIVALS.iter().enumerate() {
            if left < *many {
                return hour as u64 * HOUR + self.dice.below(HOUR);
            }
            left -= many;
        }
        0
    }

    /// A patient comes, is enrolled the first time, is treated, and lets somebody else read, who does.
    fn visit(&mut self) {
        let at = self.arrival().max(2 * MINUTE);
        let patient = self.dice.place(PATIENTS);
        let home = self.home(patient, at);
        let category = self.dice.place(CATEGORIES);
        let size = self.dice.pick(&[200, 800, 2_000, 8_000, 30_000]);
        self.act(at, Act::Enrol { patient, at: home });
        self.act(at + MINUTE, Act::Record { patient, category, size });
        if self.dice.permille(400) {
            let other = self.dice.place(CATEGORIES);
            self.act(at + 3 * MINUTE, Act::Record { patient, category: other, size: 500 });
        }
        if self.dice.permille(600) {
            let later = self.minutes(2, 9);
            self.act(at + later, Act::Consult { by: home, patient, nth: 0 });
        }
        if self.dice.permille(700) {
            self.consents(at + 4 * MINUTE, patient, category);
        }
        if self.dice.permille(120) {
            let later = self.minutes(20, 200);
            self.act(at + later, Act::Amend { patient, nth: 0 });
        }
        if self.dice.permille(80) {
            let (by, later) = (self.open(), self.minutes(5, 60));
            self.act(at + later, Act::Consult { by, patient, nth: 1 });
        }
    }

    // The clinic that comes at midday has patients of its own from then on.
    fn home(&mut self, patient: usize, at: u64) -> usize {
        if patient.is_multiple_of(13) && at > 14 * HOUR {
            return LATE;
        }
        self.open()
    }

    fn consents(&mut self, at: u64, patient: usize, category: usize) {
        let reader = self.open();
        let to = if self.dice.permille(500) { To::Person(reader) } else { To::Organization(reader) };
        let for_ms = self.dice.pick(&[HOUR, 4 * HOUR, 30 * 24 * HOUR, 30 * 24 * HOUR]);
        self.act(at, Act::Grant { patient, to, category, for_ms });
        for nth in 0..2 {
            let later = self.minutes(1, 25);
            self.act(at + later, Act::Consult { by: reader, patient, nth });
        }
        if self.dice.permille(250) {
            let how = self.dice.pick(&[
                Taken::Named,
                Taken::Named,
                Taken::NamedWithoutReveal,
                Taken::Grantee,
                Taken::Everything,
            ]);
            let (later, nth) = (self.minutes(30, 180), self.dice.place(8));
            self.act(at + later, Act::Revoke { patient, nth, how });
            self.act(at + later + 2 * MINUTE, Act::Consult { by: reader, patient, nth: 0 });
        }
    }

    fn lost_cards(&mut self) {
        for _ in 0..4 {
            let patient = self.dice.place(PATIENTS);
            let at = 11 * HOUR + self.dice.below(8 * HOUR);
            self.act(at, Act::Suspend { patient });
            let (category, reader) = (self.dice.place(CATEGORIES), self.open());
            self.act(at + 40 * MINUTE, Act::Replace { patient });
            self.consents(at + 50 * MINUTE, patient, category);
            self.act(at + 90 * MINUTE, Act::Consult { by: reader, patient, nth: 0 });
        }
    }

    fn members(&mut self) {
        let first = HOSPITALS + CLINICS;
        for spare in 0..SECOND_NODES {
            self.act((3 + spare as u64) * MINUTE, Act::Admit { spare });
        }
        self.act(7 * HOUR, Act::Backup { of: 7, partners: 1 << 0 });
        self.act(8 * HOUR, Act::Backup { of: FLAPPING, partners: 1 << 1 });
        self.act(10 * HOUR, Act::Renew { node: 2 });
        self.act(16 * HOUR, Act::Renew { node: 9 });
        for minute in [40, 50] {
            self.act(12 * HOUR + minute * MINUTE, Act::Found { at: LATE });
        }
        self.act(13 * HOUR, Act::Practitioner { at: LATE });
        self.act(15 * HOUR, Act::Remove { node: first + 2 });
        for at in [6, 9, 17] {
            self.act(at * HOUR, Act::Role { at: 1 });
        }
    }

    // ---- what fails ----

    /// Maintenance, one machine after the other; then the power of three sites.
    fn night(&mut self) {
        for node in (0..HOSPITALS + CLINICS - 1).filter(|node| *node != HOSTILE) {
            let at = 30 * MINUTE + node as u64 * 12 * MINUTE + self.dice.below(4 * MINUTE);
            let down_ms = self.minutes(1, 4);
            self.fault(at, Fault::Crash { node, after: 0, left: Left::All, down_ms });
        }
        let at = 4 * HOUR + self.dice.below(HOUR);
        for node in [0, 1, 2, 7] {
            let (left, down_ms) = (self.dice.pick(&[Left::Nothing, Left::Torn]), self.minutes(3, 8));
            self.fault(at, Fault::Crash { node, after: 0, left, down_ms });
        }
    }

    fn lines(&mut self) {
        let mut at = 7 * HOUR;
        while at < 19 * HOUR {
            let for_ms = self.minutes(1, 10);
            self.fault(at, Fault::Split { side: 1 << FLAPPING, for_ms });
            at += for_ms + self.minutes(4, 30);
        }
        let for_ms = 4 * HOUR;
        self.fault(9 * HOUR + 30 * MINUTE, Fault::Split { side: 1 << CUT_OFF, for_ms });
        let noon: u64 = [0, 1, 6, 7, 9].iter().map(|node| 1 << node).sum();
        self.fault(12 * HOUR, Fault::Split { side: noon, for_ms: 18 * MINUTE });
        self.fault(14 * HOUR, Fault::Slow { node: SLOW, bytes_per_ms: 4, for_ms: 3 * HOUR });
        let weather = Fault::Weather { lost: 50, doubled: 20, spread_ms: 200, for_ms: HOUR };
        self.fault(19 * HOUR, weather);
        for _ in 0..12 {
            let (from, to) = (self.dice.place(LATE), self.dice.place(LATE));
            let (at, for_ms) = (6 * HOUR + self.dice.below(15 * HOUR), self.minutes(1, 20));
            let both = self.dice.permille(500);
            self.fault(at, Fault::Cut { from, to, both, for_ms });
        }
    }

    /// Power cuts in the middle of writing, and a clock that was set wrongly.
    fn machines(&mut self) {
        for _ in 0..8 {
            let (node, after) = (self.dice.place(LATE), self.dice.below(400));
            let (at, down_ms) = (7 * HOUR + self.dice.below(16 * HOUR), self.minutes(1, 6));
            let left = self.dice.pick(&[Left::Nothing, Left::All, Left::Torn, Left::Torn]);
            if node != HOSTILE {
                self.fault(at, Fault::Crash { node, after, left, down_ms });
            }
        }
        self.fault(7 * HOUR, Fault::Clock { node: 6, skew_ms: 2_500 });
        self.fault(11 * HOUR, Fault::Clock { node: 6, skew_ms: -1_000 });
        self.fault(20 * HOUR, Fault::Clock { node: 6, skew_ms: 0 });
    }

    /// One validator lies all day, each time otherwise; two under one key at last, which retires it.
    fn hostile(&mut self) {
        let tricks = [
            Trick::Silent,
            Trick::InvalidProposal,
            Trick::LyingPosition,
            Trick::ForeignCertificates,
            Trick::Withholding,
            Trick::Flood,
        ];
        let mut at = 10 * MINUTE;
        let mut turn = self.dice.place(tricks.len());
        while at < 21 * HOUR {
            self.fault(at, Fault::Turn { node: HOSTILE, trick: tricks[turn % tricks.len()] });
            turn += 1;
            at += self.minutes(50, 100);
        }
        self.fault(22 * HOUR, Fault::Turn { node: HOSTILE, trick: Trick::Twin });
    }
}
