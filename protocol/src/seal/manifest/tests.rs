//! A manifest lists exactly the segments of its file; one whose numbers, addresses or pages don't fit is refused.
//!
//! Method: manifests are built for sizes around the borders of segments and pages, without any bytes sealed,
//! and each field of a good root is then changed by itself.

use super::*;
use crate::ids::sha256;
use crate::limits::RECORD_BYTES_MAX;
use crate::seal::layout::SEGMENT_PLAIN_BYTES;

const RECORD: RecordId = RecordId([7; 32]);
const PAGE_PLAIN: u64 = (MANIFEST_PAGE_IDS * SEGMENT_PLAIN_BYTES) as u64;

fn segment_id(index: u64) -> ObjectId {
    let mut id = [OBJECT_BLAKE3; 33];
    id[1..].copy_from_slice(&sha256(&[&index.to_be_bytes()]));
    ObjectId(id)
}

fn build(size: u64) -> (Vec<ManifestObject>, ManifestObject) {
    let layout = Layout::of_size(size).expect("within the limit");
    let mut builder = ManifestBuilder::new(RECORD);
    let mut pages = Vec::new();
    for i in 0..layout.segments() {
        let full = builder.push(segment_id(i), layout.sealed_bytes(i), layout.is_last(i));
        pages.extend(full.expect("as the layout says"));
    }
    let end = builder.finish().expect("the last segment was there");
    pages.extend(end.page);
    (pages, end.root)
}

fn read_all(pages: &[ManifestObject], root: &RootPage) -> Vec<Segment> {
    let read = |(n, p): (usize, &ManifestObject)| root.page(n as u64, &p.bytes).expect("a good page");
    pages.iter().enumerate().map(read).flat_map(|p| p.segments().collect::<Vec<_>>()).collect()
}

#[test]
fn every_segment_is_listed_once_in_order() {
    for size in [0, 1, PAGE_PLAIN - 1, PAGE_PLAIN, PAGE_PLAIN + 1, 2 * PAGE_PLAIN + 17] {
        let (pages, object) = build(size);
        let root = RootPage::read(&object.bytes).expect("a good root");
        assert_eq!(root.belongs_to(&RECORD, size), Ok(()), "{size}: its record and size");
        assert!(pages.iter().map(|p| p.id).eq(root.pages.iter().copied()), "{size}: the pages it names");
        let listed = read_all(&pages, &root);
        assert_eq!(listed.len() as u64, root.segments, "{size}: as many as it says");
        for (i, segment) in (0..).zip(&listed) {
            assert_eq!((segment.index, segment.id), (i, segment_id(i)), "{size}: in order");
            assert_eq!(segment.last, i + 1 == root.segments, "{size}: one last");
        }
        let sealed: u64 = listed.iter().map(|s| s.sealed_bytes as u64).sum();
        assert_eq!(sealed, root.sealed_size, "{size}: the sealed bytes add up");
    }
}

#[test]
fn the_largest_record_has_65_pages_under_a_small_root() {
    let (pages, object) = build(RECORD_BYTES_MAX);
    let root = RootPage::read(&object.bytes).expect("a good root");
    assert_eq!((pages.len(), root.segments), (65, 65_570), "64 GiB");
    assert!(pages.iter().all(|p| p.bytes.len() <= PAGE_BYTES_MAX), "pages within their limit");
    assert!(object.bytes.len() <= ROOT_BYTES_MAX, "root within its limit");
}

#[test]
fn a_segment_is_found_by_its_index() {
    let (pages, object) = build(PAGE_PLAIN + 1);
    let root = RootPage::read(&object.bytes).expect("a good root");
    let index = MANIFEST_PAGE_IDS as u64;
    let number = root.layout().expect("a good root").page_of(index);
    let page = root.page(number, &pages[1].bytes).expect("a good page");
    let found = Segment { index, id: segment_id(index), last: true, sealed_bytes: 1 + TAG_BYTES };
    assert_eq!(page.segment(index), Some(found), "the last");
    assert_eq!(page.segment(0), None, "on another page");
    assert_eq!(page.segment(index + 1), None, "beyond the end");
}

#[test]
fn a_root_whose_fields_do_not_fit_is_refused() {
    let (_, object) = build(PAGE_PLAIN + 5);
    let good = RootPage::read(&object.bytes).expect("a good root");
    let form = Err(Check::ManifestForm.into());
    let changed = |change: &dyn Fn(&mut RootPage)| {
        let mut root = good.clone();
        change(&mut root);
        RootPage::read(&root.encode())
    };
    assert_eq!(changed(&|_| {}), Ok(good.clone()), "unchanged");
    assert_eq!(changed(&|r| r.size += SEGMENT_PLAIN_BYTES as u64), form, "another size");
    assert_eq!(changed(&|r| r.size = RECORD_BYTES_MAX + 1), form, "too large");
    assert_eq!(changed(&|r| r.size = u64::MAX), form, "far too large");
    assert_eq!(changed(&|r| r.sealed_size += 1), form, "another sealed size");
    assert_eq!(changed(&|r| r.segments += 1), form, "another count");
    assert_eq!(changed(&|r| r.pages.truncate(1)), form, "a page less");
    assert_eq!(changed(&|r| r.pages.push(r.pages[0])), form, "a page more");
    assert_eq!(changed(&|r| r.pages[1] = r.pages[0]), form, "a page twice");
    assert_eq!(changed(&|r| r.pages[1] = segment_id(0)), form, "a segment as a page");
    assert_eq!(changed(&|r| r.format = 2), Err(Check::UnknownFormat.into()), "another format");
    let long = vec![0; ROOT_BYTES_MAX + 1];
    assert_eq!(RootPage::read(&long), Err(Check::TooLarge.into()), "over the limit");
}

#[test]
fn a_manifest_of_another_record_or_size_is_refused() {
    let (_, object) = build(10);
    let root = RootPage::read(&object.bytes).expect("a good root");
    let form = Err(Check::ManifestForm.into());
    assert_eq!(root.belongs_to(&RECORD, 10), Ok(()), "its own");
    assert_eq!(root.belongs_to(&RecordId([8; 32]), 10), form, "another record");
    assert_eq!(root.belongs_to(&RECORD, 11), form, "another size");
}

#[test]
fn a_page_is_read_only_where_the_root_names_it() {
    let (pages, object) = build(PAGE_PLAIN + 5);
    let root = RootPage::read(&object.bytes).expect("a good root");
    assert!(root.page(0, &pages[0].bytes).is_ok(), "in its place");
    assert_eq!(root.page(1, &pages[0].bytes), Err(Check::ObjectHash.into()), "in another place");
    assert_eq!(root.page(2, &pages[1].bytes), Err(Check::RangeForm.into()), "beyond the last");
    let mut flipped = pages[0].bytes.clone();
    flipped[100] ^= 1;
    assert_eq!(root.page(0, &flipped), Err(Check::ObjectHash.into()), "one byte off");
}

#[test]
fn a_page_that_a_hostile_root_names_is_still_judged() {
    let (_, object) = build(3 * SEGMENT_PLAIN_BYTES as u64);
    let good = RootPage::read(&object.bytes).expect("a good root");
    let judged = |format: u64, segments: Vec<ObjectId>| {
        let page = PageFields { format, segments }.encode();
        let root = RootPage { pages: vec![ObjectId::of_structured(&page)], ..good.clone() };
        root.page(0, &page).map(|p| p.segments().count())
    };
    let ids: Vec<_> = (0..3).map(segment_id).collect();
    let form = Err(Check::ManifestForm.into());
    assert_eq!(judged(1, ids.clone()), Ok(3), "as many as the root says");
    assert_eq!(judged(1, ids[..2].to_vec()), form, "fewer");
    assert_eq!(judged(1, (0..4).map(segment_id).collect()), form, "more");
    assert_eq!(judged(1, vec![ids[0], ids[1], ids[0]]), form, "one twice");
    let page_id = ObjectId::of_structured(b"a page");
    assert_eq!(judged(1, vec![ids[0], ids[1], page_id]), form, "not a segment's address");
    assert_eq!(judged(2, ids), Err(Check::UnknownFormat.into()), "another format");
}

#[test]
fn fetched_bytes_are_judged_by_length_and_hash() {
    let segment = |bytes: &[u8], sealed_bytes| Segment {
        index: 0,
        id: ObjectId::of_segment(bytes),
        last: true,
        sealed_bytes,
    };
    assert_eq!(segment(b"sealed", 6).judge(b"sealed"), Ok(()), "what it names");
    assert_eq!(segment(b"sealed", 6).judge(b"sealeD"), Err(Check::ObjectHash.into()), "one byte off");
    let short = segment(b"sealed", 7).judge(b"sealed");
    assert_eq!(short, Err(Check::ManifestForm.into()), "an author whose segment is shorter than its place");
}

#[test]
fn a_manifest_without_its_end_is_not_finished() {
    let mut builder = ManifestBuilder::new(RECORD);
    assert_eq!(builder.push(segment_id(0), 15, true), Err(SealError::NotFull), "no room for a tag");
    builder.push(segment_id(0), SEGMENT_PLAIN_BYTES + TAG_BYTES, false).expect("a full segment");
    assert_eq!(builder.finish(), Err(SealError::NotFull), "the last is missing");
}
