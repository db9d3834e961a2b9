//! Stories that seeds from a number on have besides: copied disks, emergencies, recoveries, erasures. Each is drawn from dice of its
//! own, so that the rest of a plan is what it was.

use hospes_protocol::emergency::Tier;

use crate::dice::Dice;
use crate::plan::{Act, CATEGORIES, Fault, GUARDIANS, Item, Lie, Plan, SETTLED_MS, Shape, To, What, a_fault};

/// Seeds from here on have stories besides.
pub(crate) const STORIES_FROM: u64 = 1_000_000;
/// In so many of a thousand of these the glass is broken.
const GLASS_PERMILLE: u64 = 160;
/// Numbers of emergencies besides those of guardians: by the patient's card, for a lost card too early or stolen, for one
/// in time.
const BY_CARD: usize = 10;
const TOO_EARLY: usize = 11;
const IN_TIME: usize = 12;
/// The category of emergency summaries, by its place.
const SUMMARY: usize = CATEGORIES;

/// Adds to a plan what its seed has of them.
pub(crate) fn add_stories(plan: &mut Plan) {
    let seed = plan.seed;
    let mut dice = Dice::of(&[seed, 42]);
    if plan.shape.spares > 0 && plan.culprits().is_empty() && dice.permille(500) {
        plan.items.extend(copied(&plan.shape, &mut dice));
    }
    let mut dice = Dice::of(&[seed, 43]);
    if plan.shape.validators <= 5 && dice.permille(GLASS_PERMILLE) {
        let items = emergencies(&mut plan.shape, &mut dice);
        plan.items.extend(items);
        let mut dice = Dice::of(&[seed, 45]);
        if dice.permille(400) {
            plan.items.extend(by_card(&plan.shape, &mut dice));
        }
        let mut dice = Dice::of(&[seed, 46]);
        if dice.permille(400) {
            let items = recovery(&mut plan.shape, &mut dice);
            plan.items.extend(items);
        }
        let mut dice = Dice::of(&[seed, 47]);
        if dice.permille(500) {
            plan.items.extend(lies(&mut dice));
        }
    }
    let mut dice = Dice::of(&[seed, 44]);
    let copies = plan.items.iter().any(|i| matches!(i.what, What::Fault(Fault::Copy { .. })));
    if !plan.shape.glass && !copies && dice.permille(160) {
        let items = erased(&mut plan.shape, &mut dice);
        plan.items.extend(items);
    }
}

// A patient is treated, shows others what there is, and then has everything erased; the cooling-off is short.
fn erased(shape: &mut Shape, dice: &mut Dice) -> Vec<Item> {
    (shape.cooling_off_ms, shape.idle_block_ms) = (1_500, shape.idle_block_ms.min(2_000));
    let (patient, orgs) = (shape.patients - 1, shape.organizations());
    let act = |at, act| Item { at: SETTLED_MS + at, what: What::Act(act) };
    let enrol = What::Act(Act::Enrol { patient, at: dice.place(orgs) });
    let mut items = vec![Item { at: SETTLED_MS - 50, what: enrol }];
    for _ in 0..dice.range(1, 4) {
        let (at, category) = (dice.range(300, 3_000), dice.place(CATEGORIES));
        let to = To::Organization(dice.place(orgs));
        items.push(act(at, Act::Record { patient, category, size: dice.pick(&[100, 2_000]) }));
        items.push(act(at + 100, Act::Grant { patient, to, category, for_ms: 3_600_000 }));
        items.push(act(at + 900, Act::Consult { by: to.organization(), patient, nth: dice.place(3) }));
    }
    items.push(act(dice.range(2_500, 5_500), Act::Erase { patient }));
    items
}

// Committees make their keys while things fail, a patient has escrows, practitioners elsewhere break the glass; some with
// one guardian too few, some for a moment only.
fn emergencies(shape: &mut Shape, dice: &mut Dice) -> Vec<Item> {
    (shape.glass, shape.idle_block_ms) = (true, 400);
    shape.active_ms = shape.active_ms.max(14_000);
    let (patient, orgs) = (shape.patients - 1, shape.organizations());
    let home = dice.place(orgs);
    let act = |at, act| Item { at: SETTLED_MS + at, what: What::Act(act) };
    let enrol = What::Act(Act::Enrol { patient, at: home });
    let mut items = vec![
        Item { at: SETTLED_MS - 50, what: enrol },
        act(600, Act::Record { patient, category: SUMMARY, size: 700 }),
        act(650, Act::Record { patient, category: 0, size: 2_000 }),
    ];
    items.extend([100, 4_500, 9_000].map(|at| act(at, Act::Committees)));
    items.extend((1..shape.active_ms / 300).map(|n| act(300 * n, Act::Ceremonies)));
    items.extend((0..10).map(|n| act(4_000 + 900 * n, Act::Escrows { patient })));
    for nth in 0..1 + dice.place(2) {
        let by = (home + 1 + dice.place(orgs - 1)) % orgs;
        items.extend(an_emergency(nth, (by, patient), dice).into_iter().map(|(at, what)| act(at, what)));
    }
    if dice.permille(300) {
        let (full, without) = (dice.permille(500), dice.place(GUARDIANS));
        items.push(act(dice.range(6_000, 9_000), Act::HandOn { full, without }));
    }
    for _ in 0..dice.range(1, 4) {
        let at = SETTLED_MS + dice.range(200, 13_000);
        items.push(Item { at, what: What::Fault(a_fault(shape, dice)) });
    }
    items
}

fn an_emergency(nth: usize, (by, patient): (usize, usize), dice: &mut Dice) -> Vec<(u64, Act)> {
    let (full, for_ms) = (dice.permille(400), dice.pick(&[2_500, 3_600_000, 3_600_000]));
    let at = dice.range(5_500, 10_000);
    let tier = if full { Tier::Full } else { Tier::Summary };
    let ask = Act::Ask { nth, by, patient, tier, for_ms };
    let mut acts: Vec<_> = [0, 150, 400, 900, 1_800, 2_700].map(|after| (at + after, ask)).into();
    let needed = if full { 3 } else { 2 };
    let many = dice.pick(&[needed - 1, needed, needed, GUARDIANS]);
    let first = dice.place(GUARDIANS);
    for n in 0..many {
        let guardian = (first + n) % GUARDIANS;
        let tap = at + dice.range(200, 1_500);
        acts.extend([0, 500, 1_200, 2_400].map(|after| (tap + after, Act::Approve { nth, guardian })));
    }
    acts.extend([500, 800, 1_200, 1_700, 2_300, 3_200, 4_500].map(|after| (at + after, Act::Open { nth })));
    if dice.permille(400) {
        acts.push((at + dice.range(1_500, 4_000), Act::Close { nth }));
    }
    acts
}

// A practitioner elsewhere opens the summary by the patient's card in the reader; some try it by a card of their own first.
fn by_card(shape: &Shape, dice: &mut Dice) -> Vec<Item> {
    let (nth, patient) = (BY_CARD, shape.patients - 1);
    let (by, for_ms) = (dice.place(shape.organizations()), dice.pick(&[2_500, 3_600_000]));
    let at = SETTLED_MS + dice.range(6_000, 10_000);
    let act = |after, act| Item { at: at + after, what: What::Act(act) };
    let ask = Act::Ask { nth, by, patient, tier: Tier::Card, for_ms };
    let mut items: Vec<_> = [0, 150, 400, 900, 1_800].map(|after| act(after, ask)).into();
    let present = |forged| Act::Present { nth, forged };
    if dice.permille(500) {
        items.extend([500, 1_000].map(|after| act(after, present(true))));
    }
    if dice.permille(700) {
        items.extend([1_100, 1_400, 2_000].map(|after| act(after, present(false))));
    }
    items.extend([900, 1_700, 2_300, 3_000].map(|after| act(after, Act::Open { nth })));
    if dice.permille(300) {
        items.push(act(dice.range(1_500, 4_000), Act::Close { nth }));
    }
    items
}

// The patient's card is lost. Home asks for the way back too early, some for a card of their own, and then when the delay
// is over; some notices are contested.
fn recovery(shape: &mut Shape, dice: &mut Dice) -> Vec<Item> {
    shape.recovery_delay_ms = dice.pick(&[1_500, 2_500]);
    shape.active_ms = shape.active_ms.max(17_000);
    let (patient, delay) = (shape.patients - 1, shape.recovery_delay_ms);
    let at = SETTLED_MS + dice.range(7_000, 9_000);
    let act = |after, act| Item { at: at + after, what: What::Act(act) };
    let notice = Act::Notice { patient, witness: dice.place(shape.organizations()) };
    let mut items: Vec<_> = [0, 500, 1_200].map(|after| act(after, notice)).into();
    let thief = dice.permille(400);
    let early = if thief { delay } else { 0 };
    for (nth, thief, from) in [(TOO_EARLY, thief, early + 250), (IN_TIME, false, delay + 900)] {
        let ask = Act::Recover { nth, patient, thief };
        items.extend([0, 300, 800, 1_500, 2_500].map(|after| act(from + after, ask)));
        let first = dice.place(GUARDIANS);
        for n in 0..GUARDIANS {
            let approve = Act::Approve { nth, guardian: (first + n) % GUARDIANS };
            let tap = from + dice.range(200, 1_200);
            items.extend([0, 500, 1_200, 2_400].map(|after| act(tap + after, approve)));
        }
        items.extend([1_200, 2_000, 3_000, 4_200].map(|after| act(from + after, Act::Open { nth })));
    }
    shape.contested = dice.permille(400);
    if shape.contested {
        items.push(act(dice.range(200, delay + 4_000), Act::Contest { patient }));
    }
    items
}

// A guardian lies while keys are made; sometimes the roster changes meanwhile.
fn lies(dice: &mut Dice) -> Vec<Item> {
    let act = |at, act| Item { at: SETTLED_MS + at, what: What::Act(act) };
    let lie = Act::Lie { guardian: dice.place(GUARDIANS), how: dice.pick(&Lie::ALL) };
    let mut items = vec![act(80, lie)];
    if dice.permille(300) {
        let recast = Act::Recast { full: dice.permille(500), without: dice.place(GUARDIANS) };
        items.push(act(dice.range(300, 3_000), recast));
    }
    items
}

// The first organization has a second node. Then the disk of its first is copied, and people work at both machines: what
// they sign at one of them forks what they sign at the other, and one branch loses.
fn copied(shape: &Shape, dice: &mut Dice) -> Vec<Item> {
    let patient = shape.patients - 1;
    let to = To::Organization(1 + dice.place(shape.organizations() - 1));
    let act = |at, act| Item { at, what: What::Act(act) };
    let fault = |at, fault| Item { at, what: What::Fault(fault) };
    let mut at = SETTLED_MS + dice.range(2_000, 3_500);
    let mut items = vec![
        act(SETTLED_MS + 50, Act::Admit { spare: 0 }),
        act(SETTLED_MS - 50, Act::Enrol { patient, at: 0 }),
        fault(at, Fault::Copy { node: 0 }),
    ];
    for _ in 0..dice.range(4, 8) {
        let (category, size) = (dice.place(CATEGORIES), dice.pick(&[100, 2_000]));
        items.push(fault(at + 20, Fault::GoOver { node: 0 }));
        items.push(act(at + 40, Act::Record { patient, category, size }));
        items.push(act(at + 60, Act::Grant { patient, to, category, for_ms: 3_600_000 }));
        at += dice.range(80, 400);
    }
    items
}
