//! `decide` and a naive model of the same rules agree on random worlds, whatever the order of arrival; and
//! the comparison finds every mutant of `decide`.
//!
//! Method: worlds are drawn from small domains, so that grants meet their revocations often. The model walks
//! plain lists and shares no code with `decide`. A mutant is `decide` over a view that lies about one thing.
//! Replay: the generator's seed is fixed; a failure prints the world.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngSeed, TestRunner};

use super::world::*;
use crate::ids::{ContentId, Lock, OrganizationId, PatientId, StudyId};
use crate::personal::{
    CardEntry, Category, GrantEntry, Grantee, Label, PatientEntry, ProxyEntry, Purpose, RevocationEntry,
    Revoked, Right, Scope,
};
use crate::policy::view::{FirstUse, Visit};
use crate::policy::{
    Act, Actor, Decision, Known, LockState, MemoryView, Newest, Personal, RecordFacts, ReleaseFacts, Request,
    Unreadable, Verified, View, decide,
};
use crate::state::Membership;

const PROXY: ContentId = id(100);
const CODE: [u8; 32] = [77; 32];
const STUDY: StudyId = StudyId([1; 32]);

/// What a view lies about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// Nothing can be read.
    Unreadable,
    /// Locks are open.
    Locks,
    /// Locks of cards and proxies are open.
    Cards,
    /// There is no revocation.
    Revocations,
    /// Nothing was used.
    Uses,
    /// The newest block is of now.
    Lease,
    /// Only the grant with the lowest id of each grantee is there.
    Newer,
    /// Grants were made in knowledge of everything.
    After,
    /// Grants are final.
    Finality,
}

/// A view that lies.
pub(super) struct Lying<'a> {
    view: &'a MemoryView,
    lie: Lie,
}

impl<'a> Lying<'a> {
    pub(super) fn new(view: &'a MemoryView, lie: Lie) -> Self {
        Self { view, lie }
    }

    fn changed(&self, known: &Known<GrantEntry>) -> Known<GrantEntry> {
        let mut known = known.clone();
        if self.lie == Lie::After {
            known.entry.after.height = TIP;
        }
        if self.lie == Lie::Finality {
            known.height = Some(known.height.unwrap_or(1));
        }
        known
    }
}

impl View for Lying<'_> {
    fn membership(&self) -> &Membership {
        self.view.membership()
    }
    fn newest(&self) -> Newest {
        let newest = self.view.newest();
        if self.lie == Lie::Lease { Newest { time: u64::MAX, ..newest } } else { newest }
    }
    fn lock(&self, lock: &Lock) -> Result<LockState, Unreadable> {
        let card = [CARD, OLD_CARD].iter().any(|c| super::world::lock(*c) == *lock);
        match self.lie {
            Lie::Unreadable => Err(Unreadable),
            Lie::Locks => Ok(LockState::Open),
            Lie::Cards if card => Ok(LockState::Open),
            _ => self.view.lock(lock),
        }
    }
    fn grants(
        &self,
        patient: &PatientId,
        grantee: &Grantee,
        visit: Visit<'_, GrantEntry>,
    ) -> Result<(), Unreadable> {
        self.view.grants(patient, grantee, &mut |known| {
            let flow = visit(&self.changed(known));
            if self.lie == Lie::Newer { ControlFlow::Break(()) } else { flow }
        })
    }
    fn bound_grants(
        &self,
        patient: &PatientId,
        organization: &OrganizationId,
        visit: Visit<'_, GrantEntry>,
    ) -> Result<(), Unreadable> {
        self.view.bound_grants(patient, organization, &mut |known| visit(&self.changed(known)))
    }
    fn releases(&self, patient: &PatientId, visit: Visit<'_, ReleaseFacts>) -> Result<(), Unreadable> {
        self.view.releases(patient, visit)
    }

    fn revocations(&self, patient: &PatientId, visit: Visit<'_, RevocationEntry>) -> Result<(), Unreadable> {
        if self.lie == Lie::Revocations { Ok(()) } else { self.view.revocations(patient, visit) }
    }
    fn card(&self, id: &ContentId) -> Result<Option<Known<CardEntry>>, Unreadable> {
        self.view.card(id)
    }
    fn proxy(&self, id: &ContentId) -> Result<Option<Known<ProxyEntry>>, Unreadable> {
        self.view.proxy(id)
    }
    fn record(&self, id: &ContentId) -> Result<Option<RecordFacts>, Unreadable> {
        self.view.record(id)
    }
    fn patient(&self, patient: &PatientId) -> Result<Option<Known<PatientEntry>>, Unreadable> {
        self.view.patient(patient)
    }
    fn first_use(&self, grant: &ContentId) -> Result<Option<FirstUse>, Unreadable> {
        if self.lie == Lie::Uses { Ok(None) } else { self.view.first_use(grant) }
    }
}

/// Ada without grants; made once, because its keys take time.
static BASE: LazyLock<World> = LazyLock::new(World::new);

/// A world, as lists.
#[derive(Clone, Debug)]
struct Draw {
    entries: Vec<Verified>,
    /// Closed locks, by the entry that carries them, with the height that closed them.
    closed: Vec<(ContentId, Option<u64>)>,
    request: Request,
    now: u64,
    newest: Newest,
}

impl Draw {
    fn view(&self) -> MemoryView {
        let mut view = BASE.view.clone();
        view.newest = self.newest;
        self.entries.iter().cloned().for_each(|v| view.put(v));
        self.closed.iter().for_each(|(id, height)| view.close(lock(*id), *height));
        view
    }

    fn decide(&self) -> Decision {
        decide(&self.view(), &self.request, self.now)
    }

    // The naive model: one list, one pass for each question.

    fn counts(&self, v: &Verified) -> bool {
        let closed = v.known.under.and_then(|u| self.closed.iter().find(|c| c.0 == u.entry));
        match (closed, v.known.height) {
            (None, _) => true,
            (Some((_, Some(at))), Some(height)) => height < *at,
            (Some((_, None)), Some(_)) => true,
            (Some(_), None) => false,
        }
    }

    fn grants(&self) -> impl Iterator<Item = (&Verified, &GrantEntry)> {
        self.entries.iter().filter_map(|v| match &v.known.entry {
            Personal::Grant(g) => Some((v, g)),
            _ => None,
        })
    }

    fn revocations(&self) -> impl Iterator<Item = (&Verified, &Revoked)> {
        let all = self.entries.iter().filter_map(|v| match &v.known.entry {
            Personal::Revocation(r) => Some((v, &r.revoked)),
            _ => None,
        });
        all.filter(|(v, _)| self.counts(v))
    }

    fn is_closed(&self, id: ContentId) -> bool {
        self.closed.iter().any(|c| c.0 == id)
    }

    fn proxy_stands(&self) -> bool {
        let Some(v) = self.entries.iter().find(|v| v.known.id == PROXY) else { return false };
        let taken = self.revocations().any(|(r, what)| match what {
            Revoked::Entries(ids) => ids.contains(&PROXY),
            Revoked::Grantee(g) => *g == Grantee::Proxy(PROXY),
            Revoked::Everything => !(v.known.height > r.known.height && r.known.height.is_some()),
        });
        let p = proxy();
        self.counts(v) && !taken && !self.is_closed(PROXY) && p.from <= self.now && self.now < p.until
    }

    fn uses(&self, grant: ContentId) -> Option<(OrganizationId, ContentId)> {
        let mut uses: Vec<_> = self
            .entries
            .iter()
            .filter_map(|v| match &v.known.entry {
                Personal::Access(a) if a.why.contains(&grant) => {
                    Some((v.known.height.is_none(), v.known.height, v.known.id, a.organization?))
                }
                _ => None,
            })
            .collect();
        uses.sort();
        uses.first().map(|u| (u.3, u.2))
    }

    fn withdrawn(&self, v: &Verified, g: &GrantEntry, organization: Option<OrganizationId>) -> bool {
        self.is_closed(v.known.id)
            || self.revocations().any(|(r, what)| {
                let known = g.after.revocations.contains(&r.known.id)
                    || r.known.height.is_some_and(|h| h <= g.after.height);
                match what {
                    Revoked::Entries(ids) => ids.contains(&v.known.id),
                    Revoked::Everything => !known,
                    Revoked::Grantee(Grantee::Organization(o)) if Some(*o) == organization => !known,
                    Revoked::Grantee(grantee) => *grantee == g.grantee && !known,
                }
            })
    }

    fn replaced(&self, v: &Verified, g: &GrantEntry) -> bool {
        let age =
            |v: &Verified, g: &GrantEntry| (g.after.height, v.known.height.unwrap_or(u64::MAX), v.known.id);
        let matter = |g: &GrantEntry| {
            let scope = (g.scope.categories.clone(), g.scope.records.clone());
            (g.grantee.clone(), scope, g.purpose, g.study, g.one_time)
        };
        self.grants().any(|(w, h)| self.counts(w) && matter(h) == matter(g) && age(w, h) > age(v, g))
    }

    fn is_for_me(&self, v: &Verified, g: &GrantEntry) -> bool {
        match (self.request.actor, &g.grantee) {
            (Actor::Person(p), Grantee::Person(q)) => p == *q,
            (Actor::Person(p), Grantee::Organization(o)) => p.0[0] / 16 == o.0[0],
            (Actor::Person(p), Grantee::Role(o, role)) => {
                p.0[0] / 16 == o.0[0] && *role == ROLES[usize::from(p.0[0] % 16)]
            }
            (Actor::Person(p), Grantee::Code(code)) => match self.uses(v.known.id) {
                Some((o, _)) => p.0[0] / 16 == o.0[0],
                None => self.request.code == Some(*code),
            },
            (Actor::Proxy(p), Grantee::Proxy(q)) => p == *q && self.proxy_stands(),
            _ => false,
        }
    }

    fn grant_permits(
        &self,
        v: &Verified,
        g: &GrantEntry,
        category: Category,
        record: Option<ContentId>,
    ) -> bool {
        let organization = match self.request.actor {
            Actor::Person(p) => Some(OrganizationId([p.0[0] / 16; 32])),
            _ => None,
        };
        let (right, study) = match self.request.act {
            Act::Read(_) => (1, None),
            Act::Write { .. } => (2, None),
            Act::Share { study, .. } => (4, Some(study)),
        };
        let purpose = right == 4
            || g.purpose == self.request.purpose
            || g.purpose == Purpose::Treatment && self.request.purpose == Purpose::EmergencyTreatment;
        let covered =
            g.scope.categories.contains(&category) || record.is_some_and(|r| g.scope.records.contains(&r));
        let used = g.one_time && self.uses(v.known.id).is_some_and(|(_, a)| Some(a) != self.request.access);
        self.is_for_me(v, g)
            && covered
            && g.rights & right != 0
            && purpose
            && (study.is_none() || study == g.study)
            && g.from <= self.now
            && self.now < g.until
            && self.counts(v)
            && (g.by_proxy.is_none() || self.proxy_stands())
            && !self.withdrawn(v, g, organization)
            && !self.replaced(v, g)
            && !used
            && self.now <= self.newest.time + crate::limits::LEASE_MS_DEFAULT
    }

    fn model(&self) -> bool {
        let (category, record) = match self.request.act {
            Act::Read(LAB) | Act::Share { record: LAB, .. } => (Category::Laboratory, Some(LAB)),
            Act::Read(NOTES) => (Category::PrivateNotes, Some(NOTES)),
            Act::Read(_) | Act::Share { .. } => (Category::Letters, Some(LETTER)),
            Act::Write { category, .. } => (category, None),
        };
        if let Actor::Patient(card) = self.request.actor {
            return !self.is_closed(card);
        }
        if category == Category::PrivateNotes {
            return false;
        }
        if let Actor::Person(p) = self.request.actor {
            let pharmacist = p.0[0] % 16 == 2;
            if p.0[0] % 16 == 0 || pharmacist {
                return false;
            }
            // Home wrote all records, and files without a grant.
            if p.0[0] / 16 == 1 && !matches!(self.request.act, Act::Share { .. }) {
                return true;
            }
        }
        self.grants().any(|(v, g)| self.grant_permits(v, g, category, record))
    }
}

fn heights() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![1 => Just(None), 4 => (8_u64..24).prop_map(Some)]
}

fn cards() -> impl Strategy<Value = ContentId> {
    prop_oneof![3 => Just(CARD), 1 => Just(OLD_CARD)]
}

fn grantees() -> impl Strategy<Value = Grantee> {
    prop_oneof![
        4 => Just(Grantee::Person(person(CITY, 1))),
        1 => Just(Grantee::Person(person(RURAL, 1))),
        3 => Just(Grantee::Organization(CITY)),
        2 => Just(Grantee::Role(CITY, "doctor".into())),
        2 => Just(Grantee::Code(CODE)),
        1 => Just(Grantee::Proxy(PROXY)),
    ]
}

fn scopes() -> impl Strategy<Value = Scope> {
    let scope = |categories: Vec<Category>, records: Vec<ContentId>| Scope {
        categories,
        label: Label::Normal,
        records,
    };
    prop_oneof![
        5 => Just(scope(vec![Category::Laboratory], vec![])),
        1 => Just(scope(vec![Category::Letters], vec![])),
        1 => Just(scope(vec![Category::Laboratory, Category::PrivateNotes], vec![])),
        1 => Just(scope(vec![], vec![LAB])),
    ]
}

fn grant_entries() -> impl Strategy<Value = GrantEntry> {
    let rights = prop_oneof![4 => Just(1_u64), 1 => Just(2), 2 => Just(3), 2 => Just(5)];
    let period = (
        prop_oneof![8 => Just(NOW - DAY), 1 => Just(NOW + 1)],
        prop_oneof![8 => Just(NOW + DAY), 1 => Just(NOW)],
    );
    let purpose = prop_oneof![6 => Just(Purpose::Treatment), 1 => Just(Purpose::Research)];
    let after = (5_u64..20, prop::collection::vec(50_u8..54, 0..2));
    let kind = (purpose, prop::bool::weighted(0.2), prop::bool::weighted(0.15));
    (grantees(), scopes(), rights, period, kind, after).prop_map(
        |(grantee, scope, rights, (from, until), (purpose, one_time, by_proxy), (height, known))| {
            let mut g = GrantEntry { grantee, scope, rights, from, until, purpose, one_time, ..grant() };
            g.study = g.allows(Right::Share).then_some(STUDY);
            g.after.height = height;
            g.after.revocations = known.into_iter().map(id).collect();
            g.by_proxy = (by_proxy && !matches!(g.grantee, Grantee::Proxy(_))).then_some(PROXY);
            g
        },
    )
}

fn revoked() -> impl Strategy<Value = Revoked> {
    prop_oneof![
        3 => (1_u8..7).prop_map(|n| Revoked::Entries(vec![id(n)])),
        1 => Just(Revoked::Entries(vec![PROXY])),
        3 => grantees().prop_map(Revoked::Grantee),
        1 => Just(Revoked::Everything),
    ]
}

fn requests() -> impl Strategy<Value = Request> {
    let actor = prop_oneof![
        8 => Just(Actor::Person(person(CITY, 1))),
        1 => Just(Actor::Person(person(HOME, 1))),
        1 => Just(Actor::Person(person(RURAL, 1))),
        1 => Just(Actor::Person(person(CITY, 0))),
        1 => Just(Actor::Person(person(CITY, 2))),
        1 => Just(Actor::Patient(OLD_CARD)),
        2 => Just(Actor::Proxy(PROXY)),
    ];
    let act = prop_oneof![
        6 => Just(Act::Read(LAB)),
        1 => Just(Act::Read(LETTER)),
        1 => Just(Act::Read(NOTES)),
        1 => Just(Act::Write { category: Category::Laboratory, label: Label::Normal, amends: None }),
        1 => Just(Act::Share { record: LAB, study: STUDY }),
    ];
    let purpose = prop_oneof![
        6 => Just(Purpose::Treatment),
        1 => Just(Purpose::EmergencyTreatment),
        1 => Just(Purpose::Research),
    ];
    let code = prop::option::weighted(0.3, Just(CODE));
    let access = prop::option::weighted(0.3, (80_u8..83).prop_map(id));
    (actor, act, purpose, code, access).prop_map(|(actor, act, purpose, code, access)| Request {
        patient: ADA,
        actor,
        act,
        purpose,
        code,
        access,
    })
}

fn draws() -> impl Strategy<Value = Draw> {
    let grants = prop::collection::vec((grant_entries(), heights(), cards()), 0..6);
    let revocations = prop::collection::vec((revoked(), heights(), cards()), 0..4);
    let closed_id = prop_oneof![4 => (1_u8..7).prop_map(id), 1 => Just(OLD_CARD), 1 => Just(PROXY)];
    let closed = prop::collection::vec((closed_id, heights()), 0..3);
    let uses = prop::collection::vec(((1_u8..7).prop_map(id), prop::bool::weighted(0.8), heights()), 0..3);
    let newest = prop_oneof![9 => Just(NOW), 1 => Just(NOW - 4 * DAY)];
    let proxy_height = heights();
    (grants, revocations, closed, uses, requests(), (newest, proxy_height)).prop_map(
        |(grants, revocations, mut closed, uses, request, (time, proxy_height))| {
            let mut entries = vec![verified(PROXY, Personal::Proxy(proxy()), proxy_height, Some(CARD))];
            for (n, (grant, height, card)) in (1..).zip(grants) {
                let card = grant.by_proxy.unwrap_or(card);
                entries.push(verified(id(n), Personal::Grant(grant), height, Some(card)));
            }
            for (n, (revoked, height, card)) in (50..).zip(revocations) {
                entries.push(verified(id(n), revocation(revoked), height, Some(card)));
            }
            for (n, (grant, city, height)) in (80..).zip(uses) {
                let organization = if city { CITY } else { RURAL };
                entries.push(verified(
                    id(n),
                    access(person(organization, 1), organization, grant),
                    height,
                    None,
                ));
            }
            closed.sort();
            closed.dedup_by_key(|c| c.0);
            Draw { entries, closed, request, now: NOW, newest: Newest { height: TIP, time } }
        },
    )
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(71),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(2048))]

    #[test]
    fn decide_agrees_with_the_model(draw in draws()) {
        let decision = draw.decide();
        prop_assert_eq!(decision.is_permitted(), draw.model(), "{:?}", decision);
        prop_assert_eq!(decision.is_permitted(), decision.why().rule.permits(), "the rule says the same");
    }

    #[test]
    fn without_grants_nobody_but_patient_and_home_is_permitted(draw in draws()) {
        let mut bare = draw;
        bare.entries.retain(|v| !matches!(v.known.entry, Personal::Grant(_)));
        let own = matches!(bare.request.actor, Actor::Patient(_))
            || bare.request.actor == Actor::Person(person(HOME, 1));
        prop_assert!(own || !bare.decide().is_permitted(), "deny by default");
    }

    #[test]
    fn the_order_of_arrival_has_no_effect(
        (ordered, shuffled) in draws().prop_flat_map(|d| {
            let entries = Just(d.entries.clone()).prop_shuffle();
            (Just(d), entries)
        }),
    ) {
        let moved = Draw { entries: shuffled, ..ordered.clone() };
        prop_assert_eq!(moved.decide(), ordered.decide(), "the same decision with the same explanation");
        let mut late = BASE.view.clone();
        late.newest = moved.newest;
        moved.closed.iter().for_each(|(id, _)| late.close(lock(*id), None));
        for v in &moved.entries {
            let mut first = v.clone();
            first.known.height = None;
            late.put(first);
        }
        for v in &moved.entries {
            v.known.height.iter().for_each(|h| late.finalise(&v.known.id, *h));
        }
        moved.closed.iter().for_each(|(id, height)| late.close(lock(*id), *height));
        prop_assert_eq!(decide(&late, &moved.request, moved.now), ordered.decide(), "nor when finality came");
    }

    #[test]
    fn a_revocation_beats_what_does_not_know_it(draw in draws()) {
        let mut draw = draw;
        if matches!(draw.request.actor, Actor::Patient(_)) || draw.request.actor == Actor::Person(person(HOME, 1)) {
            draw.request.actor = Actor::Person(person(CITY, 1));
        }
        draw.entries.push(verified(id(60), revocation(Revoked::Everything), Some(30), Some(CARD)));
        prop_assert!(!draw.decide().is_permitted(), "final later than any desk knew");
    }
}

/// The first of many worlds in which a decision differs from the model.
fn caught(decide: impl Fn(&MemoryView, &Draw) -> Decision) -> Option<Draw> {
    let mut runner = TestRunner::new(config(1));
    let strategy = draws();
    (0..4096).find_map(|_| {
        let draw = strategy.new_tree(&mut runner).expect("nothing is filtered").current();
        (decide(&draw.view(), &draw).is_permitted() != draw.model()).then_some(draw)
    })
}

#[test]
fn the_model_catches_every_mutant() {
    let honest = caught(|view, draw| decide(view, &draw.request, draw.now));
    assert!(honest.is_none(), "decide itself agrees: {honest:?}");
    let lies = [
        Lie::Unreadable,
        Lie::Locks,
        Lie::Cards,
        Lie::Revocations,
        Lie::Uses,
        Lie::Lease,
        Lie::Newer,
        Lie::After,
        Lie::Finality,
    ];
    for lie in lies {
        let found = caught(|view, draw| decide(&Lying::new(view, lie), &draw.request, draw.now));
        assert!(found.is_some(), "a decide that is blind to {lie:?} is caught");
    }
    let changes: [fn(Request) -> Request; 4] = [
        |r| Request { code: Some(CODE), ..r },
        |r| Request { purpose: Purpose::Treatment, ..r },
        |r| Request { act: Act::Read(LAB), ..r },
        |r| Request { access: None, ..r },
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let found = caught(|view, draw| decide(view, &change(draw.request), draw.now));
        assert!(found.is_some(), "a decide that takes request {n} for another is caught");
    }
    assert!(
        caught(|view, draw| decide(view, &draw.request, draw.now + DAY)).is_some(),
        "a clock a day ahead"
    );
    assert!(caught(|view, draw| decide(view, &draw.request, draw.now - 2 * DAY)).is_some(), "or behind");
}
