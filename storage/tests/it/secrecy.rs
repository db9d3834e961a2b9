//! A stolen disk shows ciphertext, commitments, sizes and counts: no identifier and no plaintext.
//!
//! Method: everything personal that was stored is looked for in all three files, as bytes; the control looks
//! for what stands there on purpose, and finds it.

use hospes_protocol::ids::{ObjectId, OrganizationId};
use hospes_storage::fault::FaultFile;
use hospes_storage::{Fetch, Objects, Order, Write};

use crate::world::{body, faulty, filler, patient, sealed, segment, structured};

#[test]
fn the_files_show_no_identifier_and_no_plaintext() {
    let (faults, _, store) = faulty();
    let (ada, city) = (patient("ada"), OrganizationId([0xc1; 32]));
    let (object, put) = segment("scan", 3000);
    let row = sealed("grants", "group of ada", 4, "grantee of ada", Some(ada));
    let plain = sealed("peers", "group of peers", 4, "item of peers", None);
    let order = Order { object, organization: city, until: 9, size: 1, bytes: b"order in plain".to_vec() };
    let fetch = Fetch { object, due: 5, attempts: 0, note: b"note in plain".to_vec() };
    let writes = [
        put,
        structured("packet", Some(ada)).1,
        structured("manifest", None).1,
        Write::Body(body("grant", 21, Some(ada))),
        Write::Body(body("study", 48, None)),
        Write::Sealed(row.clone()),
        Write::Sealed(plain.clone()),
        Write::Order(order.clone()),
        Write::Fetch(fetch.clone()),
    ];
    store.apply(&writes).unwrap();
    drop(store);
    let secrets: Vec<Vec<u8>> = vec![
        ada.0.to_vec(),
        city.0.to_vec(),
        filler("body grant", 32),
        filler("body study", 32),
        filler("structured packet", 32),
        filler("structured manifest", 32),
        row.key.group,
        row.key.item,
        row.value,
        plain.key.group,
        plain.value,
        order.bytes,
        fetch.note,
    ];
    let found = |needle: &[u8]| {
        [FaultFile::Ledger, FaultFile::Objects, FaultFile::Keys]
            .iter()
            .any(|f| !faults.find(*f, needle).is_empty())
    };
    for secret in &secrets {
        assert!(!found(secret), "{:?} is on disk", String::from_utf8_lossy(secret));
    }
    assert!(found(&filler("segment scan", 32)), "a segment, which is ciphertext, stands as it is");
    assert!(found(&ObjectId::of_segment(&filler("segment scan", 3000)).0), "and so does its address");
    assert!(found(b"grants"), "and the name of a space");
}
