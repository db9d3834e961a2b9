//! The form of each payload: lawful at its bound, refused beyond it.

use super::*;
use crate::entry::FORMAT;
use crate::ids::{ContentId, OrganizationId, Reveal, StudyId};
use crate::personal::{Label, LockerPublic};
use crate::policy::tests::world::*;
use crate::wire::Bytes;

fn content(kind: Kind, payload: &impl Wire, locked: bool) -> Content {
    Content {
        format: FORMAT,
        network: NET,
        kind: kind.code(),
        organization: HOME,
        salt: [7; 32],
        lock: locked.then(|| Reveal([7; 32]).lock()),
        stands_on: Vec::new(),
        payload: Bytes(payload.encode()),
    }
}

fn read(kind: Kind, payload: &impl Wire, locked: bool) -> Option<Check> {
    Personal::read(&content(kind, payload, locked)).err().map(|r| r.check)
}

fn locker() -> LockerEntry {
    let locker = |category, label| LockerPublic { category, label, key: agreement(5) };
    LockerEntry {
        patient: ADA,
        epoch: 1,
        lockers: vec![locker(Category::Letters, Label::Normal), locker(Category::Letters, Label::Restricted)],
        rests_on: vec![id(1), id(2)],
        packets: Vec::new(),
        subject_keys: Vec::new(),
        staged: false,
        escrows: Vec::new(),
    }
}

#[test]
fn a_lock_is_where_the_kind_has_one() {
    let record = record(Category::Letters, Label::Normal);
    let erasure = ErasureEntry { patient: ADA, records: vec![id(1), id(2)], not_before: NOW };
    let refused = Some(Check::ScopeForm);
    assert_eq!(read(Kind::Card, &card_entry(210), true), None, "a card with one");
    assert_eq!(read(Kind::Card, &card_entry(210), false), refused, "and without");
    assert_eq!(read(Kind::Proxy, &proxy(), false), refused, "a proxy without");
    assert_eq!(read(Kind::Record, &record, false), None, "a record without one");
    assert_eq!(read(Kind::Record, &record, true), refused, "and with");
    for locked in [true, false] {
        assert_eq!(read(Kind::Locker, &locker(), locked), None, "a locker as it likes: {locked}");
        assert_eq!(read(Kind::Erasure, &erasure, locked), None, "an erasure too: {locked}");
    }
}

#[test]
fn lists_ascend_and_counters_begin_with_one() {
    let refused = Some(Check::ScopeForm);
    let card = |generation| read(Kind::Card, &CardEntry { generation, ..card_entry(210) }, true);
    assert_eq!((card(1), card(0)), (None, refused), "a card's generation");
    let locker_with = |change: fn(&mut LockerEntry)| {
        let mut entry = locker();
        change(&mut entry);
        read(Kind::Locker, &entry, false)
    };
    assert_eq!(locker_with(|_| {}), None, "two labels of one category");
    assert_eq!(locker_with(|e| e.epoch = 0), refused, "an epoch before the first");
    assert_eq!(locker_with(|e| e.lockers.clear()), refused, "no locker");
    assert_eq!(locker_with(|e| e.lockers.reverse()), refused, "lockers out of order");
    assert_eq!(locker_with(|e| e.lockers[1] = e.lockers[0].clone()), refused, "one locker twice");
    assert_eq!(locker_with(|e| e.rests_on.reverse()), refused, "grants out of order");
    assert_eq!(locker_with(|e| e.rests_on[1] = e.rests_on[0]), refused, "one grant twice");
    let erasure = |records: &[ContentId]| {
        let entry = ErasureEntry { patient: ADA, records: records.to_vec(), not_before: NOW };
        read(Kind::Erasure, &entry, false)
    };
    assert_eq!(erasure(&[id(1), id(2)]), None, "two records");
    assert_eq!(erasure(&[id(2), id(1)]), refused, "out of order");
    assert_eq!(erasure(&[id(1), id(1)]), refused, "one twice");
    let revoke = |ids: &[ContentId]| {
        let revoked = Revoked::Entries(ids.to_vec());
        read(Kind::Revocation, &RevocationEntry { patient: ADA, by_proxy: None, revoked }, false)
    };
    assert_eq!(revoke(&[id(1), id(2)]), None, "two grants");
    assert_eq!(revoke(&[]), refused, "none");
    assert_eq!(revoke(&[id(2), id(1)]), refused, "out of order");
    let everything = RevocationEntry { patient: ADA, by_proxy: None, revoked: Revoked::Everything };
    assert_eq!(read(Kind::Revocation, &everything, false), None, "everything needs no list");
}

#[test]
fn texts_and_sizes_have_bounds() {
    let refused = Some(Check::TooLarge);
    let patient = |bytes: usize| {
        let entry = PatientEntry {
            patient: ADA,
            home: HOME,
            language: "e".repeat(bytes),
            sealed_identity: Bytes::default(),
            subject_keys: Vec::new(),
        };
        read(Kind::Patient, &entry, false)
    };
    assert_eq!((patient(35), patient(36)), (None, refused), "a language tag");
    let record_with = |change: &dyn Fn(&mut RecordEntry)| {
        let mut entry = record(Category::Letters, Label::Normal);
        change(&mut entry);
        read(Kind::Record, &entry, false)
    };
    let long = |bytes: usize| "x".repeat(bytes);
    let texts: [fn(&mut RecordEntry) -> &mut String; 3] =
        [|e| &mut e.media_type, |e| &mut e.title, |e| &mut e.source];
    for (n, text) in texts.into_iter().enumerate() {
        assert_eq!(record_with(&|e| *text(e) = long(512)), None, "text {n} at its bound");
        assert_eq!(record_with(&|e| *text(e) = long(513)), refused, "text {n} beyond it");
    }
    assert_eq!(record_with(&|e| e.size = RECORD_BYTES_MAX), None, "the largest record");
    assert_eq!(record_with(&|e| e.size = RECORD_BYTES_MAX + 1), refused, "one byte more");
    let proxy_of = |bytes| read(Kind::Proxy, &ProxyEntry { basis: long(bytes), ..proxy() }, true);
    assert_eq!((proxy_of(512), proxy_of(513)), (None, refused), "a proxy's basis");
    let moment = ProxyEntry { until: proxy().from + 1, ..proxy() };
    assert_eq!(read(Kind::Proxy, &moment, true), None, "a proxy for a millisecond");
}

#[test]
fn who_amends_names_what_and_notes_are_the_patients() {
    let refused = Some(Check::ScopeForm);
    let plain = record(Category::Letters, Label::Normal);
    let amends = RecordEntry { amends: Some(LETTER), ..plain.clone() };
    assert_eq!(read(Kind::Record, &amends, false), refused, "a record that amends");
    assert_eq!(read(Kind::Amendment, &amends, false), None, "is an amendment");
    assert_eq!(read(Kind::Amendment, &plain, false), refused, "which amends something");
    let notes = RecordEntry { category: Category::PrivateNotes, ..plain };
    assert_eq!(read(Kind::Record, &notes, false), refused, "notes by a practitioner");
    let own = RecordEntry { author: Author::Patient, ..notes };
    assert_eq!(read(Kind::Record, &own, false), None, "by the patient");
}

#[test]
fn an_access_names_its_reader_its_grants_and_its_study() {
    let access_with = |change: fn(&mut AccessEntry)| {
        let Personal::Access(mut entry) = access(person(CITY, 1), CITY, id(1)) else { return None };
        change(&mut entry);
        Some(read(Kind::Access, &entry, false))
    };
    let (lawful, refused) = (Some(None), Some(Some(Check::ScopeForm)));
    let many = |n: u8| (0..n).map(id).collect::<Vec<_>>();
    assert_eq!(access_with(|_| {}), lawful, "a reader of an organization");
    assert_eq!(access_with(|e| e.organization = None), refused, "a reader of none");
    assert_eq!(access_with(|e| e.reader = None), refused, "an organization without reader");
    assert_eq!(access_with(|e| (e.reader, e.organization) = (None, None)), lawful, "the patient");
    assert_eq!(access_with(|e| e.right = Right::Write), refused, "filing is no access");
    assert_eq!(access_with(|e| e.right = Right::Share), refused, "a share for no study");
    assert_eq!(
        access_with(|e| (e.right, e.study) = (Right::Share, Some(StudyId([1; 32])))),
        lawful,
        "for one"
    );
    assert_eq!(access_with(|e| e.study = Some(StudyId([1; 32]))), refused, "a reading for a study");
    let Personal::Access(entry) = access(person(CITY, 1), CITY, id(1)) else { return };
    let why = |n| read(Kind::Access, &AccessEntry { why: many(n), ..entry.clone() }, false);
    assert_eq!((why(64), why(65)), (None, Some(Check::TooLarge)), "as many grants as may be named");
}

#[test]
fn every_personal_kind_is_read_as_itself_and_no_other() {
    let kinds = [Kind::Grant, Kind::Revocation, Kind::Proxy, Kind::Access];
    let entries = [
        Personal::Grant(grant()),
        revocation(Revoked::Everything),
        Personal::Proxy(proxy()),
        access(person(CITY, 1), CITY, id(1)),
    ];
    for (kind, entry) in kinds.into_iter().zip(&entries) {
        assert_eq!((entry.kind(), entry.patient()), (kind, Some(&ADA)), "its kind, and whose it is");
    }
    let receipt = Personal::Receipt(ErasureReceipt { erasure: id(80), objects: 3, at: NOW });
    assert_eq!((receipt.kind(), receipt.patient()), (Kind::Receipt, None), "a receipt is its erasure's");
    assert_eq!(read(Kind::Role, &1_u64, false), Some(Check::UnknownKind), "a control kind");
    let stranger =
        Content { kind: 999, organization: OrganizationId([9; 32]), ..content(Kind::Grant, &1_u64, true) };
    assert_eq!(Personal::read(&stranger).err().map(|r| r.check), Some(Check::UnknownKind), "a kind to come");
}
