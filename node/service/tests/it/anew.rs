//! Two processes ran under one key, as after a copied disk: one branch of what they filed becomes final, and what people
//! signed on the other is filed once more by another node of their organization. What a node filed that the organizations
//! removed is left to people.
//!
//! Method: four validators, and a clinic with two nodes; the disk of the first is put back from a copy, so that it signs
//! the same numbers again. Replay: the seed in `World::with_faults`.

use hospes_protocol::control::{NodeEntry, Standing};
use hospes_protocol::entry::Kind;
use hospes_protocol::personal::{Category, Grantee};
use hospes_service::filing::Filed;
use hospes_storage::{Ledger, Objects};

use crate::people::{Doctor, Patient, Record};
use crate::world::World;

const LAB: Category = Category::Laboratory;
/// The place of the node that forks.
const CLINIC: usize = 4;
/// The place of its organization's second node.
const WARD: usize = 5;
/// The place of the reader.
const READER: usize = 1;

/// What was signed on the branch that only the ward heard of.
struct Story {
    w: World,
    ada: Patient,
    reader: Doctor,
    record: Record,
    role: Filed,
}

impl Story {
    /// The clinic files where only the ward hears it. With a copy of its disk, its node starts again from before that, and
    /// files something else under the same numbers, which becomes final.
    fn new(seed: u64, forks: bool) -> Self {
        let (mut w, medium) = World::with_faults(seed, 4, 1, 4);
        w.run(50);
        assert_eq!(w.second_node(CLINIC), WARD, "the clinic has a second node");
        w.run(3_000);
        let author = w.doctor(CLINIC, 100);
        let reader = w.doctor(READER, 110);
        let mut ada = w.patient(CLINIC, 140);
        w.run(10_000);
        let copy = medium.after(hospes_storage::fault::Cut::KeepAll);
        (0..4).for_each(|i| w.cut(i));
        let record = w.record(&author, &mut ada, LAB, 5_000);
        let grant = w.grant(CLINIC, &mut ada, Grantee::Person(reader.id), LAB);
        w.tap(CLINIC, &ada, vec![grant]);
        let role = w.role(CLINIC, "porter");
        let role = w.file(CLINIC, role);
        w.run(10_000);
        w.kill(CLINIC);
        w.cut(WARD);
        (0..4).for_each(|i| w.heal(i));
        if forks {
            w.put_back(CLINIC, &copy);
            w.start(CLINIC);
            let other = w.record(&author, &mut ada, LAB, 300);
            w.run(10_000);
            let stands = w.nodes[0].store.as_ref().unwrap().is_filed(&other.content).unwrap();
            assert!(stands, "the other branch is what the validators have");
            w.kill(CLINIC);
        }
        Self { w, ada, reader, record, role }
    }

    fn reads(w: &World, reader: &Doctor, ada: &Patient, record: &Record) -> bool {
        let here = w.nodes[READER].store.as_ref().unwrap().object(&record.root).unwrap().is_some();
        here && w.may_read(READER, reader, ada, record).is_permitted()
    }

    /// How many headers of the record stand at a node, and how many of them are the ward's and final.
    fn headers(&self, i: usize) -> (usize, usize) {
        let store = self.w.nodes[i].store.as_ref().unwrap();
        let headers = store.headers_of(&self.record.content).unwrap();
        let wards = headers.iter().filter(|id| {
            let by = store.header(id).unwrap().map(|h| h.node);
            by == Some(self.w.id(WARD)) && store.finality(id).unwrap().is_some()
        });
        (headers.len(), wards.count())
    }
}

#[test]
fn what_people_signed_on_the_branch_that_lost_is_filed_once_more_by_another_node() {
    for (seed, restarts) in [(81, false), (82, true)] {
        let Story { mut w, ada, reader, record, role } = Story::new(seed, true);
        w.run(5_000);
        assert!(!Story::reads(&w, &reader, &ada, &record), "nobody but the ward knows of it");
        w.heal(WARD);
        let clinic = w.id(CLINIC);
        let retired = |w: &World| {
            let all = (0..4).chain([WARD]);
            all.filter_map(|i| w.nodes[i].service.as_ref())
                .all(|s| s.state().membership.node(&clinic).is_none())
        };
        assert!(w.run_until(60_000, retired), "the evidence retires the node that forked");
        if restarts {
            w.kill(WARD);
            w.start(WARD);
        }
        assert!(
            w.run_until(120_000, |w| Story::reads(w, &reader, &ada, &record)),
            "record and consent are filed by the ward: {:?}",
            w.may_read(READER, &reader, &ada, &record)
        );
        w.run(120_000);
        let story = Story { w, ada, reader, record, role };
        for i in [0, 1, 2, 3, WARD] {
            assert_eq!(story.headers(i), (1, 1), "node {i}: once, and by the ward");
            let named = story.w.nodes[i].store.as_ref().unwrap().headers_of(&story.role.content).unwrap();
            assert_eq!(named.len(), 1, "node {i}: so is the role");
        }
        story.w.check();
    }
}

#[test]
fn what_a_node_filed_that_people_removed_is_left_to_people() {
    let Story { mut w, ada, reader, record, role: _ } = Story::new(83, false);
    let member = w.nodes[0].service.as_ref().unwrap().state().membership.nodes[&w.id(CLINIC)].clone();
    let gone = NodeEntry { standing: Standing::Removed, ..member };
    let removal = w.control(0, Kind::Node, &gone, &[0, 1, 2, 3]);
    let removal = w.file(0, removal);
    assert!(w.run_until(20_000, |w| (0..4).all(|i| w.is_final(i, &removal))), "the node is removed");
    w.heal(WARD);
    w.run(180_000);
    assert!(!Story::reads(&w, &reader, &ada, &record), "the ward files nothing by itself");
    w.check();
}
