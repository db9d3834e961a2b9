//! A node that is removed takes its orders back no more: what it ordered stays while a consent, a backup or another
//! node of its organization explains it, and goes when nothing does, however often the holder restarts meanwhile.
//!
//! Method: services over memory and virtual time; a clinic without a vote orders, and is removed by two thirds of the
//! organizations. Replay: the seed in `World::new`.

use hospes_protocol::control::{NodeEntry, OrganizationEntry, PolicyEntry, Standing};
use hospes_protocol::entry::Kind;
use hospes_protocol::personal::{Category, Grantee};
use hospes_storage::Objects;

use crate::people::{Doctor, Draft, Patient, Record};
use crate::world::World;

const LAB: Category = Category::Laboratory;
/// The place of the clinic.
const CLINIC: usize = 4;
/// The place of its second node, where it has one.
const WARD: usize = 5;
/// The place of the reader.
const READER: usize = 1;
const HOUR_MS: u64 = 3_600_000;

fn holds(w: &World, i: usize, record: &Record) -> bool {
    w.nodes[i].store.as_ref().unwrap().object(&record.root).unwrap().is_some()
}

fn removes(w: &mut World, i: usize) {
    removes_as_seen_by(w, i, &[0, 1, 2, 3]);
}

fn removes_as_seen_by(w: &mut World, i: usize, all: &[usize]) {
    let member = w.nodes[0].service.as_ref().unwrap().state().membership.nodes[&w.id(i)].clone();
    let gone = NodeEntry { standing: Standing::Removed, ..member };
    let removal = w.control(0, Kind::Node, &gone, &[0, 1, 2, 3]);
    let removal = w.file(0, removal);
    assert!(w.run_until(20_000, |w| all.iter().all(|j| w.is_final(*j, &removal))), "node {i} is removed");
}

/// The clinic's patient, a record of hers, and the reader's consent for an hour.
struct Story {
    w: World,
    ada: Patient,
    record: Record,
    reader: Doctor,
    /// What takes the consent back, signed and not filed.
    revocation: Draft,
}

impl Story {
    fn new(seed: u64, second: bool) -> Self {
        let mut w = World::new(seed, 4, 1);
        w.run(50);
        if second {
            assert_eq!(w.second_node(CLINIC), WARD, "the clinic has a second node");
            w.run(3_000);
        }
        let author = w.doctor(CLINIC, 100);
        let reader = w.doctor(READER, 110);
        let mut ada = w.patient(CLINIC, 140);
        let record = w.record(&author, &mut ada, LAB, 5_000);
        let grant = w.grant(CLINIC, &mut ada, Grantee::Person(reader.id), LAB);
        let revocation = w.revocation(CLINIC, &mut ada, &grant);
        w.tap(CLINIC, &ada, vec![grant]);
        assert!(w.run_until(20_000, |w| holds(w, READER, &record)), "the reader holds the blob");
        // What was not final when its node was removed would count no more.
        w.run(3_000);
        Self { w, ada, record, reader, revocation }
    }

    fn reads(&self) -> bool {
        let permitted = self.w.may_read(READER, &self.reader, &self.ada, &self.record).is_permitted();
        permitted && holds(&self.w, READER, &self.record)
    }
}

#[test]
fn what_a_removed_node_ordered_stays_under_a_consent_and_goes_with_it() {
    let mut story = Story::new(41, false);
    removes(&mut story.w, CLINIC);
    story.w.kill(CLINIC);
    story.w.run(HOUR_MS / 2);
    assert!(story.reads(), "the consent is in force: nothing is dropped");
    story.w.kill(READER);
    story.w.run(HOUR_MS);
    story.w.start(READER);
    assert!(
        story.w.run_until(60_000, |w| !holds(w, READER, &story.record)),
        "the consent ended while the holder was off: it lets go by itself"
    );
    story.w.kill(READER);
    story.w.start(READER);
    story.w.run(60_000);
    assert!(!holds(&story.w, READER, &story.record), "for good");
    story.w.check();
}

fn names_partners(w: &mut World, of: usize, partners: &[usize]) {
    let mut backup_partners: Vec<_> = partners.iter().map(|p| w.organization(*p)).collect();
    backup_partners.sort_unstable();
    let policy = PolicyEntry {
        organization: Some(w.organization(of)),
        fields: None,
        backup_partners,
        tier_zero: true,
    };
    let policy = w.control(of, Kind::Policy, &policy, &[of]);
    let named = w.file(of, policy);
    assert!(w.run_until(20_000, |w| w.is_final(2, &named)), "{of} names its backup partners");
}

#[test]
fn a_backup_partner_of_a_removed_node_keeps_what_it_holds() {
    let mut w = World::new(42, 4, 1);
    w.run(50);
    let author = w.doctor(CLINIC, 100);
    let mut ada = w.patient(CLINIC, 140);
    names_partners(&mut w, CLINIC, &[2]);
    let record = w.record(&author, &mut ada, LAB, 5_000);
    assert!(w.run_until(20_000, |w| holds(w, 2, &record)), "which holds a copy");
    removes(&mut w, CLINIC);
    w.kill(CLINIC);
    w.run(2 * HOUR_MS);
    assert!(holds(&w, 2, &record), "the last copy stays");
}

#[test]
fn who_is_no_backup_partner_any_more_lets_go_of_what_it_held_and_what_it_ordered() {
    let Story { mut w, ada, record, revocation, .. } = Story::new(45, false);
    names_partners(&mut w, CLINIC, &[2, 3]);
    assert!(
        w.run_until(60_000, |w| holds(w, 2, &record) && holds(w, 3, &record)),
        "two partners hold copies"
    );
    names_partners(&mut w, CLINIC, &[3]);
    assert!(w.run_until(60_000, |w| !holds(w, 2, &record)), "one is a partner no more: its copy goes");
    assert!(holds(&w, 3, &record) && holds(&w, READER, &record), "the other's stays, and the reader's");
    w.tap(CLINIC, &ada, vec![revocation]);
    assert!(
        w.run_until(60_000, |w| !holds(w, READER, &record)),
        "the reader's goes with the consent, though the former partner had ordered it too"
    );
    assert!(holds(&w, 3, &record), "and the partner's stays");
    w.check();
}

#[test]
fn what_people_of_a_removed_organization_filed_counts_where_it_arrives_late() {
    let mut w = World::new(46, 4, 1);
    w.run(50);
    let author = w.doctor(CLINIC, 100);
    let reader = w.doctor(READER, 110);
    let mut ada = w.patient(CLINIC, 140);
    names_partners(&mut w, CLINIC, &[2]);
    w.run(3_000);
    w.cut(READER);
    let record = w.record(&author, &mut ada, LAB, 5_000);
    let grant = w.grant(CLINIC, &mut ada, Grantee::Person(reader.id), LAB);
    w.tap(CLINIC, &ada, vec![grant]);
    w.run(20_000);
    let clinic = w.organization(CLINIC);
    let member = w.nodes[0].service.as_ref().unwrap().state().membership.organizations[&clinic].clone();
    let gone = OrganizationEntry { standing: Standing::Removed, ..member };
    let removal = w.control(0, Kind::Organization, &gone, &[0, 1, 2, 3]);
    let removal = w.file(0, removal);
    assert!(w.run_until(20_000, |w| w.is_final(2, &removal)), "the clinic leaves the network");
    w.kill(CLINIC);
    w.heal(READER);
    let may = |w: &World| w.may_read(READER, &reader, &ada, &record).is_permitted();
    assert!(
        w.run_until(120_000, |w| may(w) && holds(w, READER, &record)),
        "its backup partner hands on what was final before: {:?}",
        w.may_read(READER, &reader, &ada, &record)
    );
    w.check();
}

#[test]
fn another_node_of_the_organization_takes_over_what_a_removed_one_ordered() {
    let mut story = Story::new(43, true);
    assert!(
        story.w.run_until(20_000, |w| holds(w, WARD, &story.record)),
        "the clinic's second node holds it too"
    );
    removes(&mut story.w, CLINIC);
    story.w.kill(CLINIC);
    story.w.run(120_000);
    assert!(story.reads(), "the consent is in force");
    let Story { mut w, mut ada, record, reader, revocation } = story;
    w.tap(WARD, &ada, vec![revocation]);
    assert!(
        w.run_until(20_000, |w| !holds(w, READER, &record)),
        "the patient takes it back at the other node: the reader's copy goes"
    );
    assert!(holds(&w, WARD, &record), "her clinic's stays");
    let again = w.grant(WARD, &mut ada, Grantee::Person(reader.id), LAB);
    w.tap(WARD, &ada, vec![again]);
    let may = |w: &World| w.may_read(READER, &reader, &ada, &record).is_permitted();
    assert!(
        w.run_until(120_000, |w| holds(w, READER, &record) && may(w)),
        "a fresh consent brings it back, by the node that is left"
    );

    w.check();
}

#[test]
fn what_a_removed_node_filed_counts_if_it_was_final_before_and_not_otherwise() {
    let Story { mut w, mut ada, record, reader, .. } = Story::new(44, false);
    let author = w.doctor(CLINIC, 120);
    w.run(2_000);
    // Only the reader hears of the second record: nobody can order its header.
    let hears = [READER, CLINIC];
    (0..4).filter(|i| !hears.contains(i)).for_each(|i| w.cut(i));
    let late = w.record(&author, &mut ada, LAB, 5_000);
    w.run(5_000);
    let may = |w: &World, record: &Record| w.may_read(READER, &reader, &ada, record).is_permitted();
    assert!(may(&w, &late), "until it is known what becomes of it, it counts");
    w.kill(CLINIC);
    (0..4).filter(|i| !hears.contains(i)).for_each(|i| w.heal(i));
    w.cut(READER);
    removes_as_seen_by(&mut w, CLINIC, &[0, 2, 3]);
    w.heal(READER);
    assert!(
        w.run_until(60_000, |w| !may(w, &late)),
        "its node was removed before it was final: it counts no more"
    );
    assert!(may(&w, &record), "what was final before does");
    assert!(!holds(&w, READER, &late), "and the reader lets go of the blob");
    w.check();
}
