//! A node whose disk fills at any of its writes becomes read-only; nothing that was acknowledged is lost, nothing
//! is voted twice, and with space it catches up by itself.
//!
//! Method: node 1 stands on a medium with so many free pages, from none to more than the story needs, so that
//! most writes that take a page are once the one that fails. The medium hides what is free, so the store is found
//! full in the middle of a write. Replay: `story(PAGES)`.

use hospes_protocol::check::Check;
use hospes_protocol::ids::ContentId;
use hospes_protocol::personal::{Category, Grantee};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::effects::{Effect, Event, Timer};
use hospes_service::filing::{FileError, Filed};
use hospes_service::holding::order::FetchRequest;
use hospes_service::messages::{Answer, Position, Request};
use hospes_service::records::Finality;
use hospes_storage::fault::FaultyMedium;
use hospes_storage::{Ledger, Objects};

use crate::people::{Doctor, Patient, Record};
use crate::world::World;

const LAB: Category = Category::Laboratory;

/// A doctor at the node whose disk fills, and a record elsewhere that she may read.
struct Cast {
    author: Doctor,
    reader: Doctor,
    ada: Patient,
    record: Record,
}

fn cast(w: &mut World) -> Cast {
    w.run(50);
    let author = w.doctor(0, 100);
    let reader = w.doctor(1, 110);
    let mut ada = w.patient(0, 140);
    let record = w.record(&author, &mut ada, LAB, 5_000);
    w.run(1_000);
    Cast { author, reader, ada, record }
}

/// Files what is filed and keeps what was acknowledged; anything else than a full disk fails.
fn try_role(w: &mut World, i: usize, name: &str, filed: &mut Vec<Filed>) -> bool {
    let role = w.role(i, name);
    match w.try_file(i, role) {
        Ok(one) => filed.push(one),
        Err(FileError::DiskFull) => return false,
        Err(other) => panic!("{name}: {other}"),
    }
    true
}

/// Gives whether the disk was found full.
fn story(pages: u64) -> bool {
    let (mut w, faults) = World::with_faults(pages, 4, 1, 1);
    let Cast { author, reader, mut ada, record } = cast(&mut w);
    let mut filed = Vec::new();
    faults.set_free_pages(Some(pages), true);
    let grant = w.grant(0, &mut ada, Grantee::Person(reader.id), LAB);
    w.tap(0, &ada, vec![grant]);
    let mut was_full = false;
    let mut enrolled = Vec::new();
    for n in 0..4 {
        enrolled.extend(w.try_patient(1, 180 + 4 * n).ok().map(|patient| patient.id));
        let refused = !try_role(&mut w, 1, &format!("here {n}"), &mut filed);
        assert!(!refused || w.is_full(1), "{pages} pages: a refusal says that the node is read-only");
        try_role(&mut w, 0, &format!("there {n}"), &mut filed);
        w.run(400 + pages % 90);
        was_full |= w.is_full(1);
    }
    let second = w.record(&author, &mut ada, LAB, 40_000);
    if pages.is_multiple_of(3) {
        w.kill(1);
        w.start(1);
    }
    w.run(2_000);
    was_full |= w.is_full(1);
    let there = |w: &World, f: &Filed| w.is_final(0, f);
    assert!(filed.iter().filter(|f| there(&w, f)).count() >= 4, "{pages} pages: three of four commit");

    faults.set_free_pages(None, true);
    let everywhere = |w: &World| filed.iter().all(|f| (0..5).all(|i| w.is_final(i, f)));
    assert!(w.run_until(90_000, everywhere), "{pages} pages: what was acknowledged is final everywhere");
    assert!(w.run_until(70_000, |w| !w.is_full(1)), "{pages} pages: it writes again");
    let reads = |w: &World| {
        [&record, &second].iter().all(|r| {
            w.may_read(1, &reader, &ada, r).is_permitted()
                && w.nodes[1].store.as_ref().unwrap().object(&r.root).unwrap().is_some()
        })
    };
    assert!(w.run_until(90_000, reads), "{pages} pages: it has what it missed");
    let bodies = w.nodes[1].store.as_ref().unwrap().bodies(Some(&ada.id), None, 0, 100).unwrap();
    let finality = |w: &World, i: usize, id: &ContentId| {
        w.nodes[i].service.as_ref().unwrap().entry_state(id).unwrap().map(|s| s.finality)
    };
    for patient in &enrolled {
        let own = w.nodes[1].store.as_ref().unwrap().bodies(Some(patient), None, 0, 100).unwrap();
        let is_final = |id| matches!(finality(&w, 1, id), Some(Finality::Final(_)));
        assert!(
            own.len() == 2 && own.iter().all(is_final),
            "{pages} pages: own entries too, each where it was"
        );
    }
    let same = |w: &World| {
        let settled =
            |id| finality(w, 0, id) != Some(Finality::Signed) && finality(w, 0, id) == finality(w, 1, id);
        bodies.len() >= 3 && bodies.iter().all(settled)
    };
    assert!(w.run_until(10_000, same), "{pages} pages: entries are final here as they are there");
    assert!(try_role(&mut w, 1, "after", &mut filed), "{pages} pages: and files again");
    let last = filed[filed.len() - 1];
    assert!(w.run_until(5_000, |w| (0..5).all(|i| w.is_final(i, &last))), "{pages} pages: for everyone");
    w.check();
    assert_eq!(w.nodes[1].store.as_ref().unwrap().scrub().unwrap(), [], "{pages} pages: nothing is damaged");
    was_full
}

#[test]
fn a_disk_that_fills_at_any_write_loses_nothing_and_the_node_comes_back() {
    assert!(story(0), "without a free page the disk is found full");
    let through = (1..24).chain((24..120).step_by(3)).find(|pages| !story(*pages));
    assert!(through.is_some(), "in the end the story runs through, so writes of every part of it were tried");
}

#[test]
fn a_validator_that_signs_twice_would_be_seen() {
    let mut w = World::new(1, 4, 0);
    w.run(50);
    let role = w.role(0, "doctor");
    let filed = w.file(0, role);
    assert!(w.run_until(2_000, |w| w.is_final(0, &filed)), "they decide");
    assert!(w.votes.len() > 8 && w.votes.violations.is_empty(), "watched, and nobody signs twice");
    let vote = hospes_protocol::block::Vote {
        format: hospes_protocol::entry::FORMAT,
        network: w.genesis.network(),
        kind: hospes_protocol::block::VoteKind::Precommit,
        height: 1,
        round: 0,
        block: None,
        validator: w.id(0),
    };
    let signed = hospes_protocol::block::SignedVote { vote, signature: [0; 64] };
    let message = hospes_service::consensus::ConsensusMessage::Vote(signed);
    w.votes.says(&hospes_service::messages::Channel::Engine(Bytes(message.encode())).encode());
    assert_eq!(w.votes.violations.len(), 1, "another precommit for that height and round");
}

fn fill(w: &mut World, faults: &FaultyMedium) {
    faults.set_free_pages(Some(0), true);
    w.nodes[1].service.as_mut().unwrap().look_for_room().unwrap();
    assert!(w.is_full(1), "the disk is full");
    w.effects(1);
}

fn empty(w: &mut World, faults: &FaultyMedium) {
    faults.set_free_pages(None, true);
    assert!(w.run_until(70_000, |w| !w.is_full(1)), "with space it comes back by itself");
}

fn asked(w: &mut World, request: &Request) -> Answer {
    let (from, now) = (w.id(0), w.now);
    let service = w.nodes[1].service.as_mut().unwrap();
    service.tick(now);
    service.on_request(from, 1, &request.encode()).unwrap();
    let answer = |e: Effect| match e {
        Effect::Respond { token: 1, bytes } => Some(Answer::decode(&bytes).unwrap()),
        _ => None,
    };
    service.take_effects().into_iter().find_map(answer).unwrap()
}

#[test]
fn a_full_node_answers_what_needs_no_write_and_refuses_the_rest_by_number() {
    let (mut w, faults) = World::with_faults(1, 4, 0, 1);
    let Cast { mut ada, reader, record, .. } = cast(&mut w);
    let grant = w.grant(0, &mut ada, Grantee::Person(reader.id), LAB);
    let revocation = w.revocation(0, &mut ada, &grant);
    w.tap(0, &ada, vec![grant]);
    let reads = |w: &World| w.may_read(1, &reader, &ada, &record).is_permitted();
    assert!(w.run_until(5_000, reads), "the reader's node has grant and record");
    w.run(4_000);
    fill(&mut w, &faults);

    let refused = Answer::Refused(u64::from(Check::DiskFull.code()));
    let position = Position {
        height: 0,
        block: w.nodes[1].service.as_ref().unwrap().state().block,
        frontiers: Vec::new(),
    };
    let writes = [
        Request::Offer(Vec::new()),
        Request::Deliver(Vec::new()),
        Request::Orders(Vec::new()),
        Request::Receipts(Vec::new()),
    ];
    for write in &writes {
        assert_eq!(asked(&mut w, write), refused, "refused with 808: {write:?}");
    }
    assert!(
        matches!(asked(&mut w, &Request::Position(position)), Answer::Position(p) if p.height > 0),
        "where"
    );
    assert!(matches!(asked(&mut w, &Request::Blocks(1)), Answer::Blocks(b) if !b.is_empty()), "its blocks");
    assert!(reads(&w), "what is known here can be looked up");
    let order = w.nodes[1].store.as_ref().unwrap().orders(&record.root).unwrap().remove(0).bytes;
    let request = FetchRequest { root: record.root, order: Bytes(order), have: 0 };
    let from = w.id(1);
    let service = w.nodes[1].service.as_mut().unwrap();
    service.on_object_request(from, 9, &request.encode()).unwrap();
    let served = |e: &Effect| matches!(e, Effect::Serve { token: 9, .. });
    assert!(service.take_effects().iter().any(served), "objects are served to those who are entitled");
    let role = w.role(1, "nobody");
    assert!(matches!(w.try_file(1, role), Err(FileError::DiskFull)), "it files nothing");

    w.tap(0, &ada, vec![revocation]);
    assert!(w.run_until(1_000, |w| !reads(w)), "a reveal acts on sight here too");
    let height = w.height(1);
    w.run(3_000);
    assert_eq!(w.height(1), height, "it takes no block");
    assert!(w.height(0) > height, "the others go on");

    empty(&mut w, &faults);
    assert!(w.run_until(10_000, |w| w.height(1) == w.height(0)), "it catches up");
    w.kill(1);
    w.start(1);
    assert!(!reads(&w), "and what was withdrawn meanwhile stays so");
    for write in &writes {
        assert_ne!(asked(&mut w, write), refused, "with space it takes it: {write:?}");
    }
    let told: Vec<_> = w.nodes[1].events.iter().filter(|e| matches!(e, Event::DiskFull(_))).collect();
    assert_eq!(told, [&Event::DiskFull(true), &Event::DiskFull(false)], "said once each");
    w.check();
}

#[test]
fn a_batch_that_finds_no_room_leaves_nothing_of_itself() {
    for pages in 0..25 {
        let (mut w, faults) = World::with_faults(pages, 4, 0, 1);
        w.run(50);
        faults.set_free_pages(Some(pages), true);
        let before = w.nodes[1].store.as_ref().unwrap().own_sequence(&w.id(1)).unwrap();
        let tap = w.try_patient(1, 140);
        let sequence = w.nodes[1].store.as_ref().unwrap().own_sequence(&w.id(1)).unwrap();
        let refused = match tap {
            Ok(_) => false,
            Err(FileError::DiskFull) => true,
            Err(other) => panic!("{other}"),
        };
        assert_eq!(sequence - before, if refused { 0 } else { 2 }, "{pages} pages: none or all is numbered");
        if w.is_full(1) {
            empty(&mut w, &faults);
        }
        faults.set_free_pages(None, true);
        let patients = |w: &World| w.nodes[1].service.as_ref().unwrap().patients().unwrap().len();
        assert_eq!(patients(&w), usize::from(!refused), "{pages} pages: none or all is listed");
        if refused {
            let again = w.patient(1, 140);
            assert_eq!(patients(&w), 1, "{pages} pages: the same act again succeeds");
            assert_eq!(again.id.0, [140; 32], "for the same patient");
        }
        let last = w.nodes[1].store.as_ref().unwrap().headers(&w.id(1), 1, 2).unwrap();
        assert_eq!(last.len(), 2, "{pages} pages: both headers stand");
        w.run(5_000);
        assert!(
            w.nodes[1].store.as_ref().unwrap().outbox().unwrap().is_empty(),
            "{pages} pages: and are final"
        );
        w.check();
    }
}

#[test]
fn a_pause_grows_while_there_is_no_room() {
    let (mut w, faults) = World::with_faults(1, 1, 0, 0);
    w.run(50);
    faults.set_free_pages(Some(0), true);
    let now = w.now;
    let service = w.nodes[0].service.as_mut().unwrap();
    service.tick(now);
    service.look_for_room().unwrap();
    let mut at = now;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let next = |e: &Effect| match e {
            Effect::SetTimer { timer: Timer::Room, at } => Some(*at),
            _ => None,
        };
        let next = service.take_effects().iter().rev().find_map(next).unwrap();
        pauses.push(next - at);
        at = next;
        service.tick(at);
        service.on_timer(Timer::Room).unwrap();
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60].map(|s| s * 1_000), "doubled up to a minute");
    faults.set_free_pages(None, true);
    let service = w.nodes[0].service.as_mut().unwrap();
    service.on_timer(Timer::Room).unwrap();
    assert_eq!(service.full_since(), None, "and ends with the first attempt that finds room");
}
