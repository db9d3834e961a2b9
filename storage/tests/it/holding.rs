//! Objects, bodies, sealed rows, orders, receipts and fetches come back as they went in, in their order.
//!
//! Method: a store in memory, opened again where it matters.

use hospes_protocol::ids::{NodeId, ObjectId, OrganizationId};
use hospes_storage::{
    Contradiction, Fetch, Medium, Objects, Order, Quota, Receipt, SealedKey, StoreError, Total, Write,
};

use crate::world::{body, content, create, patient, reopen, sealed, segment, structured};

const CITY: OrganizationId = OrganizationId([1; 32]);
const RURAL: OrganizationId = OrganizationId([2; 32]);

#[test]
fn objects_come_back_under_their_address_and_no_other_bytes_do() {
    let medium = Medium::memory();
    let store = create(&medium);
    let ((a, put_a), (b, put_b)) = (segment("a", 5000), structured("b", Some(patient("ada"))));
    store.apply(&[put_a.clone(), put_b]).unwrap();
    drop(store);
    let store = reopen(&medium).unwrap();
    let Write::Object { bytes, .. } = put_a else { unreachable!("a segment is an object") };
    assert_eq!(store.object(&a).unwrap(), Some(bytes), "the segment");
    assert_eq!(store.object(&b).unwrap().map(|o| o.len()), Some(300), "the packet");
    let absent = ObjectId::of_segment(b"absent");
    assert_eq!(store.has_objects(&[a, absent, b]).unwrap(), [true, false, true], "which are here");
    assert_eq!(store.list_objects(None, 10).unwrap(), [b, a], "listed, structured first");
    assert_eq!(store.list_objects(Some(&b), 10).unwrap(), [a], "from there on");

    let wrong = Write::Object { id: a, patient: None, bytes: b"wrong".to_vec() };
    let (c, put_c) = segment("c", 10);
    let refused = store.apply(&[put_c.clone(), wrong]);
    let named = Contradiction::NotItsBytes(a);
    assert!(matches!(refused, Err(StoreError::Contradiction(n)) if n == named), "the bytes are not a's");
    assert_eq!(store.object(&c).unwrap(), None, "nothing of that batch is there");
    store.apply(&[put_c, Write::DropObject(a)]).unwrap();
    assert_eq!(store.has_objects(&[a, c]).unwrap(), [false, true], "one dropped, one stored");
}

#[test]
fn a_segment_at_the_limit_is_stored_and_one_above_refused() {
    use hospes_protocol::limits::SEGMENT_BYTES;
    let store = create(&Medium::memory());
    let ((fits, put), (above, too_large)) = (segment("x", SEGMENT_BYTES), segment("y", SEGMENT_BYTES + 1));
    store.apply(&[put]).unwrap();
    assert_eq!(store.object(&fits).unwrap().map(|s| s.len()), Some(SEGMENT_BYTES), "at the limit");
    let refused = store.apply(&[too_large]);
    assert!(matches!(refused, Err(StoreError::Contradiction(_))), "above it");
    assert_eq!(store.object(&above).unwrap(), None, "not stored");
}

#[test]
fn bodies_are_found_by_patient_and_kind_in_the_order_of_arrival() {
    let store = create(&Medium::memory());
    let (ada, ben) = (patient("ada"), patient("ben"));
    for (name, kind, of) in [
        ("g1", 21, Some(ada)),
        ("r1", 19, Some(ada)),
        ("g2", 21, Some(ada)),
        ("b1", 21, Some(ben)),
        ("p", 48, None),
    ] {
        store.apply(&[Write::Body(body(name, kind, of))]).unwrap();
    }
    let grants = store.bodies(Some(&ada), Some(21), 0, 10).unwrap();
    assert_eq!(grants, [content("g1"), content("g2")], "ada's grants, the earlier first");
    assert_eq!(store.bodies(Some(&ada), None, 0, 10).unwrap().len(), 3, "all of ada's");
    assert_eq!(store.bodies(Some(&ada), None, 2, 10).unwrap().len(), 1, "after the first two");
    assert_eq!(store.bodies(None, None, 0, 10).unwrap(), [content("p")], "of no patient");
    let found = store.body(&content("g1")).unwrap().expect("held");
    assert!(found == body("g1", 21, Some(ada)), "as it was given");

    let mut signed_again = body("g1", 21, Some(ada));
    signed_again.bytes.extend_from_slice(b"second signature");
    store.apply(&[Write::Body(signed_again.clone())]).unwrap();
    assert!(store.body(&content("g1")).unwrap() == Some(signed_again), "signatures joined it");
    let grants = store.bodies(Some(&ada), Some(21), 0, 10).unwrap();
    assert_eq!(grants, [content("g1"), content("g2")], "it counts once, in its place");
    store.apply(&[Write::DropBody(content("g1"))]).unwrap();
    assert_eq!(store.bodies(Some(&ada), Some(21), 0, 10).unwrap(), [content("g2")], "dropped");
    assert!(store.body(&content("g1")).unwrap().is_none(), "and gone");
}

#[test]
fn sealed_rows_are_read_by_key_and_listed_by_group_and_order() {
    let store = create(&Medium::memory());
    let ada = Some(patient("ada"));
    let rows = [
        sealed("accesses", "ada", 30, "c", ada),
        sealed("accesses", "ada", 10, "a", ada),
        sealed("accesses", "ada", 20, "b", None),
        sealed("accesses", "ben", 5, "x", None),
        sealed("grants", "ada", 1, "y", None),
    ];
    store.apply(&rows.iter().cloned().map(Write::Sealed).collect::<Vec<_>>()).unwrap();
    assert_eq!(store.sealed(&rows[0].key).unwrap(), Some(rows[0].value.clone()), "one read");
    let absent = SealedKey::new("accesses", b"ada", 31, b"c");
    assert_eq!(store.sealed(&absent).unwrap(), None, "another order is another row");
    let listed = store.sealed_rows("accesses", Some(b"ada"), None, 10).unwrap();
    assert!(listed == [rows[1].clone(), rows[2].clone(), rows[0].clone()], "ascending by order");
    let page = store.sealed_rows("accesses", Some(b"ada"), Some(&rows[1].key), 1).unwrap();
    assert!(page == [rows[2].clone()], "one after the first");
    assert_eq!(store.sealed_rows("accesses", None, None, 10).unwrap().len(), 4, "all groups of the space");
    store.apply(&[Write::DropSealed(rows[2].key.clone())]).unwrap();
    assert_eq!(store.sealed(&rows[2].key).unwrap(), None, "dropped");
    let bad = store.apply(&[Write::Sealed(sealed("No Space", "g", 0, "i", None))]);
    assert!(matches!(bad, Err(StoreError::Contradiction(Contradiction::SpaceName))), "not a name");
}

fn order(object: ObjectId, organization: OrganizationId, until: u64, size: u64) -> Order {
    Order { object, organization, until, size, bytes: format!("order until {until}").into_bytes() }
}

#[test]
fn orders_count_against_their_organization_and_end_in_order() {
    let store = create(&Medium::memory());
    let (a, b) = (ObjectId::of_segment(b"a"), ObjectId::of_segment(b"b"));
    let (first, second, third) =
        (order(a, CITY, 500, 10), order(b, CITY, 200, 7), order(a, RURAL, u64::MAX, 10));
    for one in [&first, &second, &third] {
        store.apply(&[Write::Order(one.clone())]).unwrap();
    }
    assert_eq!(store.quota(&CITY).unwrap(), Quota { orders: 2, bytes: 17 }, "two of the city's");
    assert_eq!(store.orders(&a).unwrap().len(), 2, "a is held for both");
    let ending = store.orders_ending(501, 10).unwrap();
    assert_eq!(ending, [second.clone(), first.clone()], "the earliest first, the endless never");
    assert_eq!(store.orders_ending(501, 1).unwrap(), [second], "as many as asked for");

    store.apply(&[Write::Order(order(a, CITY, 900, 12))]).unwrap();
    assert_eq!(store.quota(&CITY).unwrap(), Quota { orders: 2, bytes: 19 }, "prolonged, not added");
    assert_eq!(store.orders_ending(501, 10).unwrap().len(), 1, "its old end is forgotten");
    store.apply(&[Write::DropOrder(a, CITY), Write::DropOrder(b, CITY), Write::DropOrder(b, RURAL)]).unwrap();
    assert_eq!(store.quota(&CITY).unwrap(), Quota::default(), "nothing is left of it");
    assert_eq!(store.orders(&a).unwrap(), [third], "the other organization's stands");
}

#[test]
fn fetches_come_up_when_they_are_due() {
    let store = create(&Medium::memory());
    let ids: Vec<_> = (0..3_u8).map(|n| ObjectId::of_segment(&[n])).collect();
    let fetch = |n: usize, due, attempts| Fetch { object: ids[n], due, attempts, note: vec![9] };
    store.apply(&[0, 1, 2].map(|n| Write::Fetch(fetch(n, 100 - 10 * n as u64, 0)))).unwrap();
    assert_eq!(store.fetches_due(90, 10).unwrap(), [fetch(2, 80, 0), fetch(1, 90, 0)], "two are due");
    store.apply(&[Write::Fetch(fetch(2, 400, 1))]).unwrap();
    assert_eq!(store.fetches_due(90, 10).unwrap(), [fetch(1, 90, 0)], "backed off");
    assert_eq!(store.fetch(&ids[2]).unwrap(), Some(fetch(2, 400, 1)), "its state is known");
    store.apply(&[Write::DropFetch(ids[1])]).unwrap();
    assert_eq!(store.fetches_due(1000, 10).unwrap().len(), 2, "done");
    assert_eq!(store.fetch(&ids[1]).unwrap(), None, "and forgotten");
}

#[test]
fn receipts_are_one_for_each_holder() {
    let store = create(&Medium::memory());
    let object = ObjectId::of_segment(b"a");
    let receipt = |n: u8, text: &str| Receipt { object, holder: NodeId([n; 32]), bytes: text.into() };
    let all = [receipt(1, "old"), receipt(2, "other"), receipt(1, "new")].map(Write::Receipt);
    store.apply(&all).unwrap();
    let mut found = store.receipts(&object).unwrap();
    found.sort_by_key(|r| r.holder);
    assert_eq!(found, [receipt(1, "new"), receipt(2, "other")], "the newest of each");
    store.apply(&[Write::DropReceipts(object)]).unwrap();
    assert_eq!(store.receipts(&object).unwrap(), [], "dropped together");
}

#[test]
fn totals_follow_what_is_stored_replaced_and_dropped() {
    let medium = Medium::memory();
    let store = create(&medium);
    let (a, put_a) = segment("a", 1000);
    let grant = Write::Body(body("g", 21, Some(patient("ada"))));
    store.apply(&[put_a.clone(), grant.clone(), Write::Sealed(sealed("s", "g", 0, "i", None))]).unwrap();
    let before = store.totals().unwrap();
    assert_eq!(before.segments, Total { count: 1, bytes: 1000 }, "a segment stands as it is");
    assert_eq!((before.bodies.count, before.sealed.count, before.structured.count), (1, 1, 0), "by class");
    store.apply(&[put_a, grant]).unwrap();
    assert_eq!(store.totals().unwrap(), before, "the same again adds nothing");
    store.apply(&[Write::DropObject(a), Write::DropBody(content("g"))]).unwrap();
    drop(store);
    let after = reopen(&medium).unwrap().totals().unwrap();
    assert_eq!((after.segments, after.bodies), (Total::default(), Total::default()), "dropped");
    assert_eq!(after.sealed, before.sealed, "the rest stands");
}
