//! Plans: everything that a run does to a federation, drawn from its seed before it begins.
//!
//! A plan is a shape and a list of what happens when. Each item can be left out and the rest still makes
//! sense, so a failing plan shrinks by leaving out. What messages meet on their way is not in the list: it
//! follows from the seed, the link and the message's number.

use std::collections::BTreeSet;

use hospes_protocol::emergency::Tier;
use hospes_protocol::limits::{COOLING_OFF_MS_DEFAULT, RECOVERY_DELAY_MS_DEFAULT};

use crate::dice::Dice;
pub use crate::lies::Lie;
use crate::stories::{STORIES_FROM, add_stories};

/// How large the federation is and how long it runs.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Organizations with a validator each.
    pub validators: usize,
    /// Organizations with a replica each.
    pub replicas: usize,
    /// Further nodes, of the first organizations, that the genesis does not name: to be admitted.
    pub spares: usize,
    /// Of the organizations, so many last ones are not in the genesis: they are to be admitted with their nodes.
    pub late: usize,
    /// Patients, at most.
    pub patients: usize,
    /// How long people act and faults happen, in virtual milliseconds.
    pub active_ms: u64,
    /// The policy's lease, in milliseconds.
    pub lease_ms: u64,
    /// The policy's interval of empty blocks, in milliseconds.
    pub idle_block_ms: u64,
    /// The policy's cooling-off before an erasure, in milliseconds.
    pub cooling_off_ms: u64,
    /// The policy's delay before a lost card is replaced, in milliseconds.
    pub recovery_delay_ms: u64,
    /// Whether the notice of a new card is contested.
    pub contested: bool,
    /// Whether committees are set, and the glass is broken.
    pub glass: bool,
}

impl Shape {
    /// Organizations, one for each node but the spares.
    #[must_use]
    pub const fn organizations(&self) -> usize {
        self.validators + self.replicas
    }

    /// Organizations that the genesis names, and their nodes.
    #[must_use]
    pub const fn founders(&self) -> usize {
        self.organizations() - self.late
    }

    /// Nodes, spares included.
    #[must_use]
    pub const fn nodes(&self) -> usize {
        self.organizations() + self.spares
    }

    /// How many validators may fail.
    #[must_use]
    pub const fn faults_tolerated(&self) -> usize {
        self.validators.saturating_sub(1) / 3
    }
}

/// To whom a grant goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The practitioner of an organization.
    Person(usize),
    /// All of an organization.
    Organization(usize),
}

/// How a revocation is worded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The grant by its name, with its reveal.
    Named,
    /// The grant by its name, the body without reveal.
    NamedWithoutReveal,
    /// Everything that the grant's grantee holds.
    Grantee,
    /// Everything.
    Everything,
}

/// What people do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A patient is enrolled at an organization.
    Enrol {
        /// Which patient.
        patient: usize,
        /// Where.
        at: usize,
    },
    /// The practitioner of the patient's home files a record.
    Record {
        /// Of whom.
        patient: usize,
        /// Category, by its place in the list of the run.
        category: usize,
        /// Plain bytes.
        size: usize,
    },
    /// The patient grants reading at home.
    Grant {
        /// Who.
        patient: usize,
        /// To whom.
        to: To,
        /// Category, by its place.
        category: usize,
        /// For how long, in milliseconds.
        for_ms: u64,
    },
    /// The patient takes a grant back.
    Revoke {
        /// Who.
        patient: usize,
        /// Which of the patient's grants, modulo their number.
        nth: usize,
        /// How.
        how: Taken,
    },
    /// The home suspends the patient's card.
    Suspend {
        /// Whose.
        patient: usize,
    },
    /// A practitioner asks for a record at the own organization.
    Read {
        /// The practitioner's organization.
        by: usize,
        /// Which record, modulo their number.
        nth: usize,
    },
    /// An organization certifies its spare node.
    Admit {
        /// Which spare.
        spare: usize,
    },
    /// A node is removed by the cards of the organizations.
    Remove {
        /// Which node.
        node: usize,
    },
    /// An organization is removed by the cards of the others.
    Expel {
        /// Which.
        organization: usize,
    },
    /// The cards of the organizations set the validators: all but the nodes of this mask that there are.
    Validators {
        /// Bit i: node i is left out. Spares that are no members are left out anyhow.
        without: u64,
    },
    /// An organization names its backup partners.
    Backup {
        /// Which.
        of: usize,
        /// Bit i: organization i is a partner.
        partners: u64,
    },
    /// The practitioner of the patient's home amends a record of the patient's.
    Amend {
        /// Of whom.
        patient: usize,
        /// Which of the patient's records, modulo their number.
        nth: usize,
    },
    /// The home gives the patient a new card.
    Replace {
        /// To whom.
        patient: usize,
    },
    /// A practitioner asks for a record of a patient at the own organization.
    Consult {
        /// The practitioner's organization.
        by: usize,
        /// Whose record.
        patient: usize,
        /// Which of the patient's, modulo their number.
        nth: usize,
    },
    /// An organization renews the certificate of its node.
    Renew {
        /// Which.
        node: usize,
    },
    /// The organizations admit one that the genesis does not name, and it certifies its node.
    Found {
        /// Which.
        at: usize,
    },
    /// An organization enrols its practitioner.
    Practitioner {
        /// Which.
        at: usize,
    },
    /// The organizations set the committees of break-glass that neither stand nor are being made.
    Committees,
    /// Guardians do what they owe to ceremonies.
    Ceremonies,
    /// A guardians' key goes over to a roster without one of them.
    HandOn {
        /// The key of whole records, or that of summaries.
        full: bool,
        /// The organization of the one who leaves.
        without: usize,
    },
    /// The patient's home seals lockers to escrows.
    Escrows {
        /// Whose.
        patient: usize,
    },
    /// A practitioner asks to break the glass.
    Ask {
        /// Its number in the run.
        nth: usize,
        /// The practitioner's organization.
        by: usize,
        /// Whose record.
        patient: usize,
        /// What is to be opened; a way back is asked for by [`Act::Recover`].
        tier: Tier,
        /// For how long, in milliseconds.
        for_ms: u64,
    },
    /// The requester has the patient's card in the reader, and releases by it.
    Present {
        /// What.
        nth: usize,
        /// It is the requester's own card.
        forged: bool,
    },
    /// The patient's home and another organization give notice that a lost card is to be replaced.
    Notice {
        /// Whose.
        patient: usize,
        /// The other organization.
        witness: usize,
    },
    /// The home contests the notice.
    Contest {
        /// Whose card it is about.
        patient: usize,
    },
    /// The home asks for the way back to the new card.
    Recover {
        /// Its number in the run.
        nth: usize,
        /// Whose.
        patient: usize,
        /// To the requester's own card.
        thief: bool,
    },
    /// From here on a guardian lies in ceremonies.
    Lie {
        /// The guardian's organization.
        guardian: usize,
        /// How.
        how: Lie,
    },
    /// A committee of guardians is set once more without one of them, whether its key stands or is being made.
    Recast {
        /// That of whole records, or that of summaries.
        full: bool,
        /// The organization of the one who is left out.
        without: usize,
    },
    /// A guardian approves.
    Approve {
        /// What.
        nth: usize,
        /// The guardian's organization.
        guardian: usize,
    },
    /// The requester opens, and reads.
    Open {
        /// What.
        nth: usize,
    },
    /// The requester closes.
    Close {
        /// What.
        nth: usize,
    },
    /// The patient and the home order that everything be erased.
    Erase {
        /// Whose.
        patient: usize,
    },
    /// An organization renames a role: a control entry that changes nothing else.
    Role {
        /// Which.
        at: usize,
    },
}

/// What a power cut leaves of writes that no sync covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// All.
    All,
    /// Some, torn.
    Torn,
}

/// What a dishonest member does with the messages of an honest one; it holds a real node key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trick {
    /// Says nothing.
    Silent,
    /// Two processes under one key, each seen by a part of the others: votes, proposals and headers fork.
    Twin,
    /// Proposes blocks with a wrong state root, rightly signed.
    InvalidProposal,
    /// Says that it is far ahead, or behind, and has headers that nobody has.
    LyingPosition,
    /// Answers no request and sends no block.
    Withholding,
    /// Sends certificates that are old, too small, or signed by itself alone.
    ForeignCertificates,
    /// Sends everything many times, and garbage.
    Flood,
    /// Says nothing but votes for every proposal, in round 0 so that one validator alone can decide.
    YesMan,
}

impl Trick {
    /// All that need nothing beside them.
    pub const ALL: [Self; 7] = [
        Self::Silent,
        Self::Twin,
        Self::InvalidProposal,
        Self::LyingPosition,
        Self::Withholding,
        Self::ForeignCertificates,
        Self::Flood,
    ];

    /// Its name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silent => "hostile: silent",
            Self::Twin => "hostile: two under one key",
            Self::InvalidProposal => "hostile: invalid proposals",
            Self::LyingPosition => "hostile: lying position",
            Self::Withholding => "hostile: withholding",
            Self::ForeignCertificates => "hostile: stale and foreign certificates",
            Self::Flood => "hostile: flood",
            Self::YesMan => "hostile: votes for everything",
        }
    }

    /// The validator that a yes-man lets decide alone.
    #[must_use]
    pub const fn favourite(of: usize, validators: usize) -> usize {
        (of + 1) % validators
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The power fails after so many further operations on the medium; 0 is at once.
    Crash {
        /// Whose.
        node: usize,
        /// Operations from now.
        after: u64,
        /// What is left.
        left: Left,
        /// Until power is back, in milliseconds.
        down_ms: u64,
    },
    /// A link is cut, in one direction or both.
    Cut {
        /// From.
        from: usize,
        /// To.
        to: usize,
        /// Both ways.
        both: bool,
        /// How long, in milliseconds.
        for_ms: u64,
    },
    /// The network falls into two parts.
    Split {
        /// Bit i: node i is on the other side.
        side: u64,
        /// How long, in milliseconds.
        for_ms: u64,
    },
    /// All links lose, double and shuffle.
    Weather {
        /// Lost, of a thousand.
        lost: u64,
        /// Doubled, of a thousand.
        doubled: u64,
        /// A message takes up to so long, in milliseconds.
        spread_ms: u64,
        /// How long, in milliseconds.
        for_ms: u64,
    },
    /// A node's line carries little.
    Slow {
        /// Which.
        node: usize,
        /// Bytes in a millisecond.
        bytes_per_ms: u64,
        /// How long, in milliseconds.
        for_ms: u64,
    },
    /// A node's clock jumps so that it differs from true time by this, in milliseconds.
    Clock {
        /// Which.
        node: usize,
        /// The difference.
        skew_ms: i64,
    },
    /// One bit of a stored block or segment flips.
    Flip {
        /// On which node.
        node: usize,
    },
    /// One bit flips anywhere in a database: in the pages of its own book-keeping too.
    Rot {
        /// On which node.
        node: usize,
    },
    /// The disk says that it synced and didn't, until the power fails.
    LyingDisk {
        /// Whose.
        node: usize,
        /// Until the power fails, in milliseconds.
        for_ms: u64,
    },
    /// The disk fills up.
    Full {
        /// Whose.
        node: usize,
        /// Pages of 4 KiB that are left.
        pages: u64,
        /// It is found full only by failing.
        hidden: bool,
        /// Until there is room again, in milliseconds.
        for_ms: u64,
    },
    /// A disk is copied and both machines run: two processes under one key, and people at each, who know of nothing.
    Copy {
        /// Whose.
        node: usize,
    },
    /// The people of a node's organization go over to the other of two processes under its key.
    GoOver {
        /// Which.
        node: usize,
    },
    /// A member turns hostile.
    Turn {
        /// Which.
        node: usize,
        /// How.
        trick: Trick,
    },
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// People.
    Act(Act),
    /// Machines, lines and liars.
    Fault(Fault),
}

/// Something and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Virtual milliseconds from the beginning.
    pub at: u64,
    /// What.
    pub what: What,
}

/// A run before it begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// From which all follows.
    pub seed: u64,
    /// The federation.
    pub shape: Shape,
    /// Ascending by time.
    pub items: Vec<Item>,
}

/// Patients in a run, at most.
pub const PATIENTS: usize = 3;
/// Categories that records and grants of a run are of.
pub const CATEGORIES: usize = 2;
/// Guardians of a run: the practitioners of the first organizations.
pub const GUARDIANS: usize = 4;
/// Practitioners are enrolled and lines are good until then, in virtual milliseconds.
pub const SETTLED_MS: u64 = 1_500;

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::of(&[seed, 1]);
        let shape = shape(&mut dice);
        let mut items = acts(&shape, &mut dice);
        items.extend(faults(&shape, &mut dice));
        let mut plan = Self { seed, shape, items };
        let mut dice = Dice::of(&[seed, 40]);
        if plan.culprits().is_empty() && dice.permille(100) {
            plan.items.extend(alone(&plan.shape, &mut dice));
        }
        let mut dice = Dice::of(&[seed, 41]);
        if plan.shape.replicas > 0 && dice.permille(120) {
            plan.items.extend(expelled(&plan.shape, &mut dice));
        }
        if seed >= STORIES_FROM {
            add_stories(&mut plan);
        }
        plan.items.sort_by_key(|item| item.at);
        plan
    }

    /// Nodes of which nothing is promised at some time of the run.
    #[must_use]
    pub fn culprits(&self) -> BTreeSet<usize> {
        let culprit = |item: &Item| match item.what {
            What::Fault(
                Fault::Turn { node, .. }
                | Fault::Flip { node }
                | Fault::Rot { node }
                | Fault::LyingDisk { node, .. }
                | Fault::Copy { node },
            ) => Some(node),
            _ => None,
        };
        self.items.iter().filter_map(culprit).collect()
    }
}

fn shape(dice: &mut Dice) -> Shape {
    let validators = match dice.below(100) {
        0..=79 => 4,
        80..=88 => 5,
        89..=97 => 7,
        _ => 10,
    };
    let short_lease = dice.permille(250);
    Shape {
        validators,
        replicas: if validators == 4 { dice.place(3) } else { 1 },
        spares: usize::from(dice.permille(400)),
        late: 0,
        patients: PATIENTS,
        active_ms: if short_lease { 13_000 } else { dice.range(6_000, 14_000) },
        lease_ms: if short_lease { 8_000 } else { 72 * 3_600_000 },
        idle_block_ms: if short_lease { 3_000 } else { 3_600_000 },
        cooling_off_ms: COOLING_OFF_MS_DEFAULT,
        recovery_delay_ms: RECOVERY_DELAY_MS_DEFAULT,
        contested: false,
        glass: false,
    }
}

fn acts(shape: &Shape, dice: &mut Dice) -> Vec<Item> {
    let mut items = Vec::new();
    let end = SETTLED_MS + shape.active_ms;
    let act = |at, act| Item { at, what: What::Act(act) };
    let patients = 1 + dice.place(PATIENTS);
    let orgs = shape.organizations();
    for patient in 0..patients {
        let at = SETTLED_MS + dice.below(300);
        items.push(act(at, Act::Enrol { patient, at: dice.place(orgs) }));
        let (category, size) = (dice.place(CATEGORIES), dice.pick(&[100, 2_000, 5_000]));
        items.push(act(at + 50, Act::Record { patient, category, size }));
        let to = To::Organization(dice.place(orgs));
        items.push(act(at + 100, Act::Grant { patient, to, category, for_ms: 3_600_000 }));
        items.push(act(at + 1_000, Act::Read { by: to.organization(), nth: patient }));
    }
    for _ in 0..dice.range(10, 26) {
        let at = dice.range(SETTLED_MS + 400, end);
        items.push(act(at, an_act(shape, patients, dice)));
    }
    // What is asked after the faults began must have something to be refused by.
    items.push(act(end, Act::Revoke { patient: 0, nth: 0, how: Taken::Named }));
    items.extend((0..orgs).map(|by| act(end + 1, Act::Read { by, nth: dice.place(8) })));
    items
}

fn an_act(shape: &Shape, patients: usize, dice: &mut Dice) -> Act {
    let (patient, category) = (dice.place(patients), dice.place(CATEGORIES));
    let orgs = shape.organizations();
    match dice.below(100) {
        0..=16 => Act::Record { patient, category, size: dice.pick(&[0, 100, 2_000, 20_000]) },
        17..=39 => {
            let to = if dice.permille(500) {
                To::Person(dice.place(orgs))
            } else {
                To::Organization(dice.place(orgs))
            };
            Act::Grant { patient, to, category, for_ms: dice.pick(&[1_500, 5_000, 3_600_000, 3_600_000]) }
        }
        40..=53 => {
            let how = dice.pick(&[
                Taken::Named,
                Taken::Named,
                Taken::NamedWithoutReveal,
                Taken::Grantee,
                Taken::Everything,
            ]);
            Act::Revoke { patient, nth: dice.place(8), how }
        }
        54..=82 => Act::Read { by: dice.place(orgs), nth: dice.place(16) },
        83 => Act::Suspend { patient },
        84..=86 if shape.spares > 0 => Act::Admit { spare: 0 },
        87..=88 => Act::Validators { without: 1 << dice.place(shape.nodes()) },
        89 => Act::Validators { without: 0 },
        90 if shape.replicas > 0 => Act::Remove { node: shape.validators },
        91..=93 => Act::Backup { of: dice.place(orgs), partners: dice.below(1 << orgs) & dice.draw() },
        _ => Act::Role { at: dice.place(orgs) },
    }
}

impl To {
    /// The organization.
    #[must_use]
    pub const fn organization(self) -> usize {
        match self {
            Self::Person(at) | Self::Organization(at) => at,
        }
    }
}

fn faults(shape: &Shape, dice: &mut Dice) -> Vec<Item> {
    let mut items = Vec::new();
    let end = SETTLED_MS + shape.active_ms;
    let fault = |at, fault| Item { at, what: What::Fault(fault) };
    for _ in 0..dice.range(2, 9) {
        let at = dice.range(SETTLED_MS, end);
        items.push(fault(at, a_fault(shape, dice)));
    }
    // Somebody is off line for longer than a short lease.
    if shape.lease_ms < shape.active_ms {
        let alone = dice.place(shape.organizations());
        items.push(fault(SETTLED_MS + 1_200, Fault::Split { side: 1 << alone, for_ms: shape.active_ms }));
        for nth in 0..3 {
            let read = What::Act(Act::Read { by: alone, nth });
            items.push(Item { at: end - 10, what: read });
        }
    }
    // Up to f validators do worse than fail, and perhaps a replica.
    let mut culprits: Vec<usize> = Vec::new();
    if dice.permille(600) {
        let many = 1 + dice.place(shape.faults_tolerated());
        culprits.extend((0..many).map(|n| (n * 2 + 1) % shape.validators));
    } else if shape.replicas > 0 && dice.permille(200) {
        culprits.push(shape.validators);
    }
    culprits.dedup();
    for node in culprits {
        let at = dice.range(SETTLED_MS, end - 1_000);
        let wrong = match dice.below(10) {
            0 => Fault::LyingDisk { node, for_ms: dice.range(1, 800) },
            1 => Fault::Flip { node },
            2 => Fault::Rot { node },
            _ => Fault::Turn { node, trick: dice.pick(&Trick::ALL) },
        };
        items.push(fault(at, wrong));
    }
    items
}

// A validator that hears and isn't heard decides alone, by the votes of one who votes for everything: the others are to
// come to the same block, in a later round and without either of the two.
fn alone(shape: &Shape, dice: &mut Dice) -> Vec<Item> {
    let liar = dice.place(shape.validators);
    let favourite = Trick::favourite(liar, shape.validators);
    let turn = What::Fault(Fault::Turn { node: liar, trick: Trick::YesMan });
    let mut items = vec![Item { at: SETTLED_MS, what: turn }];
    let others: Vec<usize> = (0..shape.validators).filter(|i| ![liar, favourite].contains(i)).collect();
    let mut at = SETTLED_MS + 300;
    while at < SETTLED_MS + shape.active_ms {
        for to in &others {
            let cut = Fault::Cut { from: favourite, to: *to, both: false, for_ms: 3_000 };
            items.push(Item { at, what: What::Fault(cut) });
        }
        for after in [20, 700, 1_400] {
            let role = Act::Role { at: others[dice.place(others.len())] };
            items.push(Item { at: at + after, what: What::Act(role) });
        }
        at += dice.range(3_500, 4_500);
    }
    items
}

// An organization is removed while a reader is off line, so that what it filed comes there afterwards, by a partner.
fn expelled(shape: &Shape, dice: &mut Dice) -> Vec<Item> {
    let organization = shape.organizations() - 1;
    let (reader, patient) = (dice.place(shape.validators), shape.patients - 1);
    let partner = (reader + 1) % shape.validators;
    let (category, size) = (dice.place(CATEGORIES), 2_000);
    let to = To::Organization(reader);
    let act = |after, act| Item { at: SETTLED_MS + 200 + after, what: What::Act(act) };
    let split = Fault::Split { side: 1 << reader, for_ms: 5_500 };
    vec![
        act(0, Act::Backup { of: organization, partners: 1 << partner }),
        act(0, Act::Enrol { patient, at: organization }),
        Item { at: SETTLED_MS + 250, what: What::Fault(split) },
        act(100, Act::Record { patient, category, size }),
        act(150, Act::Grant { patient, to, category, for_ms: 3_600_000 }),
        act(dice.range(3_000, 5_000), Act::Expel { organization }),
    ]
}

pub(crate) fn a_fault(shape: &Shape, dice: &mut Dice) -> Fault {
    let nodes = shape.nodes();
    let node = dice.place(nodes);
    let for_ms = dice.range(200, 6_000);
    match dice.below(100) {
        0..=34 => Fault::Crash {
            node,
            after: dice.below(400),
            left: dice.pick(&[Left::Nothing, Left::All, Left::Torn, Left::Torn]),
            down_ms: dice.range(10, 4_000),
        },
        35..=54 => {
            let to = dice.place(nodes);
            Fault::Cut { from: node, to, both: dice.permille(400), for_ms }
        }
        55..=64 => Fault::Split { side: dice.below(1 << nodes), for_ms },
        65..=79 => {
            let (lost, doubled) = (dice.below(300), dice.below(200));
            Fault::Weather { lost, doubled, spread_ms: dice.pick(&[10, 60, 400]), for_ms }
        }
        80..=84 => Fault::Slow { node, bytes_per_ms: dice.range(1, 40), for_ms },
        85..=89 => {
            Fault::Full { node, pages: dice.pick(&[0, 10, 60, 200]), hidden: dice.permille(300), for_ms }
        }
        _ => {
            let size = dice.pick(&[200, 4_000, 20_000]);
            let skew = i64::try_from(dice.below(2 * size)).unwrap_or(0) - i64::try_from(size).unwrap_or(0);
            Fault::Clock { node, skew_ms: skew }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_plan_and_seeds_differ() {
        assert_eq!(Plan::of(5).items, Plan::of(5).items, "the same seed");
        assert_ne!(Plan::of(5).items, Plan::of(6).items, "another");
    }
}
