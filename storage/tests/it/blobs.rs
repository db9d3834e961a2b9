//! Blobs go in and out as streams: every segment comes back, and a cut leaves whole commits.

use hospes_protocol::ids::ObjectId;
use hospes_storage::{BlobWriter, Medium, Objects, Segments};

use crate::world::{create, filler, reopen};

#[test]
fn a_blob_comes_back_segment_by_segment() {
    let medium = Medium::memory();
    let store = create(&medium);
    let segments: Vec<_> = (0..11).map(|n| filler(&format!("part {n}"), 600_000)).collect();
    let mut writer = BlobWriter::new(&store);
    let ids: Vec<ObjectId> = segments.iter().map(|s| writer.push(s.clone()).unwrap()).collect();
    let page = writer.push_structured(None, b"manifest page".to_vec()).unwrap();
    writer.finish().unwrap();
    drop(store);
    let store = reopen(&medium).unwrap();
    let back: Vec<_> = Segments::new(&store, ids).map(|s| s.unwrap().1.expect("held")).collect();
    assert!(back == segments, "in order, as they went in");
    assert_eq!(store.object(&page).unwrap(), Some(b"manifest page".to_vec()), "with its manifest");
}

#[test]
fn what_was_not_finished_is_missing_and_said_to_be() {
    let store = create(&Medium::memory());
    let mut writer = BlobWriter::new(&store);
    let ids: Vec<ObjectId> =
        (0..8).map(|n| writer.push(filler(&format!("part {n}"), 1_000_000)).unwrap()).collect();
    drop(writer);
    let here: Vec<bool> = Segments::new(&store, ids).map(|s| s.unwrap().1.is_some()).collect();
    assert_eq!(here, [true, true, true, true, true, false, false, false], "whole commits, then nothing");
}
