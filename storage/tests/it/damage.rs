//! A flipped byte anywhere in a file is never served: reading and the scrub name the block or object.
//!
//! Method: a filled store; bits are flipped in a copy of its files, which is then opened and read whole.
//! First inside chosen rows, where the name must be exact; then at places all over both files, structure
//! included, where what comes back must be right, refused or missing, and the scrub must say that something
//! is wrong.

use hospes_protocol::ids::ObjectId;
use hospes_storage::fault::{Cut, FaultFile, FaultyMedium};
use hospes_storage::{Damage, Item, Ledger, Medium, Objects, Store, StoreError, Write};

use crate::world::{
    Chain, ME, OTHER, body, certificate, content, faulty, filler, header, header_id, headers, lock, patient,
    reopen, sealed, segment, structured,
};

const HEIGHTS: u64 = 6;
const SEGMENTS: usize = 5;

fn filled() -> FaultyMedium {
    let (faults, _, store) = faulty();
    let mut chain = Chain::default();
    for height in 1..=HEIGHTS {
        store.put_headers(&headers(&OTHER, "a", 2 * height - 1..=2 * height)).unwrap();
        store.put_own(&[header(&ME, "a", height)]).unwrap();
        store.commit(&chain.next(&headers(&OTHER, "a", 2 * height - 1..=2 * height))).unwrap();
    }
    store.wal_append(HEIGHTS + 1, &[filler("vote", 200)]).unwrap();
    for n in 0..SEGMENTS {
        let of = (n % 2 == 0).then(|| patient("ada"));
        let writes = [
            segment(&format!("s{n}"), 9000).1,
            structured(&format!("p{n}"), of).1,
            Write::Body(body(&format!("b{n}"), 21, of)),
            Write::Sealed(sealed("grants", "ada", n as u64, "i", of)),
        ];
        store.apply(&writes).unwrap();
    }
    store.close();
    faults
}

/// Flips one byte at the same place of every copy of `row` that the file has, old pages included.
fn flip_in(faults: &FaultyMedium, file: FaultFile, row: &[u8], at: usize) -> Store {
    let copy = faults.after(Cut::KeepAll);
    let places = copy.find(file, row);
    assert!(!places.is_empty(), "the row stands in the file");
    places.iter().for_each(|place| copy.flip(file, place + at, 0x04));
    reopen(&Medium::Faulty(copy)).expect("a damaged row keeps nobody from opening")
}

fn names(damaged: &[Damage]) -> Vec<Item> {
    damaged.iter().map(|d| d.what.clone()).collect()
}

#[test]
fn a_flipped_byte_of_a_block_is_named_by_height_and_repaired_from_a_peer() {
    let faults = filled();
    for (height, at) in [(1, 0), (3, 350), (HEIGHTS, 699)] {
        let store = flip_in(&faults, FaultFile::Ledger, &Chain::block(height), at);
        let read = store.block(height);
        let named = Item::Block(height);
        assert!(matches!(&read, Err(StoreError::Corrupt(i)) if *i == named), "{height} is refused: {read:?}");
        assert_eq!(names(&store.scrub().unwrap()), [Item::Block(height)], "the scrub names it alone");
        for other in (1..=HEIGHTS).filter(|h| *h != height) {
            let (block, _) = store.block(other).unwrap().expect("it is here");
            assert_eq!(block, Chain::block(other), "height {other} is served as before");
        }
        let cert = certificate(height, Chain::hash(height));
        let other = store.repair_block(height, &Chain::block(height + 50), &cert);
        assert!(matches!(other, Err(StoreError::Contradiction(_))), "another block is no repair");
        store.repair_block(height, &Chain::block(height), &cert).unwrap();
        assert_eq!(store.block(height).unwrap(), Some((Chain::block(height), cert)), "the same block is");
        assert_eq!(store.scrub().unwrap(), [], "nothing is left to repair");
    }
}

#[test]
fn a_flipped_byte_of_a_header_is_named_and_repaired_by_storing_it_again() {
    let faults = filled();
    let row = header(&OTHER, "a", 5);
    for at in [0, 301, 599] {
        let store = flip_in(&faults, FaultFile::Ledger, &row.bytes, at);
        let read = store.header(&row.id);
        assert!(matches!(&read, Err(StoreError::Corrupt(Item::Header(n, 5))) if *n == OTHER), "{read:?}");
        assert!(store.headers(&OTHER, 1, 9).is_err(), "nor is it served in a run");
        assert_eq!(names(&store.scrub().unwrap()), [Item::Header(OTHER, 5)], "the scrub names it alone");
        store.put_headers(std::slice::from_ref(&row)).unwrap();
        assert!(store.headers(&OTHER, 5, 5).unwrap() == std::slice::from_ref(&row.bytes), "repaired");
        assert_eq!(store.scrub().unwrap(), [], "nothing is left to repair");
    }
}

#[test]
fn a_flipped_byte_of_a_segment_is_named_and_repaired_by_storing_it_again() {
    let faults = filled();
    let (id, put) = segment("s2", 9000);
    for at in [0, 4444, 8999] {
        let store = flip_in(&faults, FaultFile::Objects, &filler("segment s2", 9000), at);
        let read = store.object(&id);
        assert!(matches!(&read, Err(StoreError::Corrupt(Item::Object(i))) if *i == id), "{read:?}");
        assert_eq!(names(&store.scrub().unwrap()), [Item::Object(id)], "the scrub names it alone");
        store.apply(std::slice::from_ref(&put)).unwrap();
        assert_eq!(store.object(&id).unwrap(), Some(filler("segment s2", 9000)), "repaired");
        assert_eq!(store.totals().unwrap().segments.count, SEGMENTS as u64, "and counted once");
        assert_eq!(store.scrub().unwrap(), [], "nothing is left to repair");
    }
}

/// Reads everything. `Err` says what was served wrongly; `Ok` whether all of it was served.
fn read_all(store: &Store) -> Result<bool, String> {
    let mut whole = true;
    let mut judge = |what: String, got: Result<Option<bool>, StoreError>| match got {
        Ok(Some(true)) => Ok(()),
        Ok(Some(false)) => Err(format!("{what} was served wrongly")),
        Ok(None) | Err(StoreError::Corrupt(_)) => {
            whole = false;
            Ok(())
        }
        Err(other) => Err(format!("{what}: {other}")),
    };
    for h in 1..=HEIGHTS {
        judge(format!("block {h}"), store.block(h).map(|b| b.map(|b| b.0 == Chain::block(h))))?;
        judge(format!("lock {h}"), store.lock(&lock(h)).map(|l| l.map(|l| l.height == Some(h))))?;
        let by_hash = store.height_of(&Chain::hash(h));
        judge(format!("hash {h}"), by_hash.map(|found| found.map(|found| found == h)))?;
    }
    for n in 1..=2 * HEIGHTS {
        let id = header_id(&OTHER, "a", n);
        let right = |s: hospes_storage::StoredHeader| s.bytes == header(&OTHER, "a", n).bytes;
        judge(format!("header {n}"), store.header(&id).map(|s| s.map(right)))?;
        let final_at = store.finality(&id).map(|f| f.map(|f| f.leaf == n - 1 && f.height == n.div_ceil(2)));
        judge(format!("finality {n}"), final_at)?;
    }
    judge("state".into(), store.state().map(|s| s.map(|s| s == Chain::state(HEIGHTS))))?;
    judge("tip".into(), store.tip().map(|t| t.map(|t| t.hash == Chain::hash(HEIGHTS))))?;
    judge("wal".into(), store.wal(HEIGHTS + 1).map(|w| Some(w == [filler("vote", 200)])))?;
    judge("outbox".into(), store.outbox().map(|o| (o.len() == 6).then_some(true)))?;
    for n in 0..SEGMENTS {
        let id = segment(&format!("s{n}"), 9000).0;
        let right = |b: Vec<u8>| b == filler(&format!("segment s{n}"), 9000);
        judge(format!("segment {n}"), store.object(&id).map(|b| b.map(right)))?;
        let id: ObjectId = structured(&format!("p{n}"), None).0;
        let right = |b: Vec<u8>| b == filler(&format!("structured p{n}"), 300);
        judge(format!("packet {n}"), store.object(&id).map(|b| b.map(right)))?;
        let right = |b: hospes_storage::HeldBody| b.bytes == body(&format!("b{n}"), 21, None).bytes;
        judge(format!("body {n}"), store.body(&content(&format!("b{n}"))).map(|b| b.map(right)))?;
        let row = sealed("grants", "ada", n as u64, "i", None);
        judge(format!("row {n}"), store.sealed(&row.key).map(|v| v.map(|v| v == row.value)))?;
    }
    Ok(whole)
}

/// Flips bytes at a stride through a file; gives how many were refused at opening, read incompletely, and
/// harmless.
fn flip_through(faults: &FaultyMedium, file: FaultFile, stride: usize) -> [usize; 3] {
    let mut seen = [0; 3];
    for at in (0..faults.length(file)).step_by(stride) {
        let copy = faults.after(Cut::KeepAll);
        copy.flip(file, at, 1 << (at % 8));
        let medium = Medium::Faulty(copy);
        let Ok(store) = reopen(&medium) else {
            seen[0] += 1;
            continue;
        };
        let whole = read_all(&store).unwrap_or_else(|e| panic!("{file:?} byte {at}: {e}"));
        if whole {
            seen[2] += 1;
            continue;
        }
        seen[1] += 1;
        let damaged = store.scrub().unwrap_or_else(|e| panic!("{file:?} byte {at}: scrub: {e}"));
        assert!(!damaged.is_empty(), "{file:?} byte {at}: something is missing and the scrub is silent");
    }
    seen
}

#[test]
fn a_flipped_bit_anywhere_in_the_ledger_serves_nothing_wrong() {
    let [_, incomplete, harmless] = flip_through(&filled(), FaultFile::Ledger, 1511);
    assert!(incomplete > 5, "some flips hit what is stored: {incomplete}");
    assert!(harmless > 5, "others hit free pages: {harmless}");
}

#[test]
fn a_flipped_bit_anywhere_in_the_objects_serves_nothing_wrong() {
    let [_, incomplete, harmless] = flip_through(&filled(), FaultFile::Objects, 2003);
    assert!(incomplete > 5, "some flips hit what is stored: {incomplete}");
    assert!(harmless > 5, "others hit free pages: {harmless}");
}

#[test]
fn the_scrub_goes_in_small_steps_and_sees_every_row() {
    use hospes_storage::{Budget, Cursor};
    let faults = filled();
    let store = flip_in(&faults, FaultFile::Objects, &filler("segment s3", 9000), 17);
    let (mut cursor, mut steps, mut checked, mut damaged) = (Cursor::default(), 0, 0, Vec::new());
    loop {
        let report = store.scrub_step(&cursor, &Budget { rows: 3, bytes: u64::MAX }).unwrap();
        assert!(report.checked <= 3, "within its budget");
        steps += 1;
        checked += report.checked;
        damaged.extend(names(&report.damaged));
        if report.pass_done {
            break;
        }
        cursor = report.next;
    }
    assert!(steps > 40 && checked > 100, "{steps} steps, {checked} rows");
    assert_eq!(damaged, [Item::Object(segment("s3", 9000).0)], "the same damage, once");
}
