//! Contents and headers: read as they must be, refused with one thing wrong, each limit on both sides.

use super::*;
use crate::keys::SoftwareSigner;

const NET: NetworkId = NetworkId([3; 32]);

fn signer() -> SoftwareSigner {
    SoftwareSigner::from_seed(&[1; 32])
}

fn content() -> Content {
    Content {
        format: FORMAT,
        network: NET,
        kind: Kind::Grant.code(),
        organization: OrganizationId([2; 32]),
        salt: [4; 32],
        lock: Some(Reveal([5; 32]).lock()),
        stands_on: vec![ContentId([1; 32]), ContentId([2; 32])],
        payload: Bytes(vec![0x01]),
    }
}

fn fields() -> HeaderFields {
    HeaderFields {
        format: FORMAT,
        network: NET,
        organization: OrganizationId([2; 32]),
        node: NodeId(signer().verifying_key().id().0),
        sequence: 1,
        previous: None,
        kind: Kind::Grant.code(),
        subject: Some(Subject([6; 32])),
        content: content().id(),
        lock: content().lock,
        reveal: vec![Reveal([1; 32]), Reveal([2; 32])],
        signed_at: 1_000,
    }
}

fn signed(fields: HeaderFields) -> Header {
    Header::sign(fields, &mut signer()).expect("software signs")
}

fn check<T>(verdict: Result<T, Rejected>) -> Option<Check> {
    verdict.err().map(|r| r.check)
}

#[test]
fn kinds_1_to_15_are_control() {
    let control: Vec<_> = (0..64).filter(|kind| is_control(*kind)).collect();
    assert_eq!(control, (1..16).collect::<Vec<_>>(), "and no other");
}

#[test]
fn a_content_is_read_by_each_of_its_parts() {
    let read = |change: &dyn Fn(&mut Content)| {
        let mut content = content();
        change(&mut content);
        check(Content::read(&content.encode(), &NET))
    };
    assert_eq!(read(&|_| {}), None, "as it was made");
    assert_eq!(read(&|c| c.format = 2), Some(Check::UnknownFormat), "a format to come");
    assert_eq!(read(&|c| c.network = NetworkId([4; 32])), Some(Check::WrongNetwork), "another network's");
    assert_eq!(read(&|c| c.stands_on.reverse()), Some(Check::ScopeForm), "a list out of order");
    assert_eq!(read(&|c| c.stands_on[1] = c.stands_on[0]), Some(Check::ScopeForm), "the same twice");
    let on = |n: u8| (0..n).map(|i| ContentId([i; 32])).collect::<Vec<_>>();
    assert_eq!(read(&|c| c.stands_on = on(64)), None, "as many as there may be");
    assert_eq!(read(&|c| c.stands_on = on(65)), Some(Check::ScopeForm), "one more");
    let of = |bytes: usize| {
        let without = Content { payload: Bytes(vec![0; 1000]), ..content() }.encode().len() - 1000;
        let bytes = Content { payload: Bytes(vec![0; bytes - without]), ..content() }.encode();
        (bytes.len(), check(Content::read(&bytes, &NET)))
    };
    assert_eq!(of(CONTENT_BYTES_MAX), (CONTENT_BYTES_MAX, None), "64 KiB");
    assert_eq!(of(CONTENT_BYTES_MAX + 1), (CONTENT_BYTES_MAX + 1, Some(Check::TooLarge)), "a byte more");
}

#[test]
fn a_header_is_read_by_each_of_its_parts() {
    let read = |change: &dyn Fn(&mut HeaderFields)| {
        let mut fields = fields();
        change(&mut fields);
        check(Header::read(signed(fields).as_bytes(), &NET))
    };
    assert_eq!(read(&|_| {}), None, "as it was made");
    assert_eq!(read(&|f| f.format = 2), Some(Check::UnknownFormat), "a format to come");
    assert_eq!(read(&|f| f.network = NetworkId([4; 32])), Some(Check::WrongNetwork), "another network's");
    assert_eq!(read(&|f| f.node = NodeId([9; 32])), Some(Check::UnknownSigner), "in another node's name");
    assert_eq!(read(&|f| f.subject = None), Some(Check::SubjectForm), "a personal one without subject");
    assert_eq!(read(&|f| f.kind = 1), Some(Check::SubjectForm), "a control one with a subject");
    assert_eq!(read(&|f| (f.kind, f.subject) = (1, None)), None, "and without");
    assert_eq!(read(&|f| f.reveal.reverse()), Some(Check::WrongReveal), "reveals out of order");
    assert_eq!(read(&|f| f.reveal[1] = f.reveal[0]), Some(Check::WrongReveal), "one twice");
    let reveals = |n: u8| (0..n).map(|i| Reveal([i; 32])).collect::<Vec<_>>();
    assert_eq!(read(&|f| f.reveal = reveals(8)), None, "as many as there may be");
    assert_eq!(read(&|f| f.reveal = reveals(9)), Some(Check::WrongReveal), "one more");
    let before = Some(HeaderId([7; 32]));
    assert_eq!(read(&|f| f.previous = before), Some(Check::PrevMismatch), "a first that has one before it");
    assert_eq!(read(&|f| f.sequence = 2), Some(Check::PrevMismatch), "a second that has none");
    assert_eq!(read(&|f| (f.sequence, f.previous) = (2, before)), None, "and with one");
    let none = |f: &mut HeaderFields| (f.sequence, f.previous) = (0, before);
    assert_eq!(read(&none), Some(Check::PrevMismatch), "sequences begin with 1");
}

#[test]
fn a_header_is_of_a_kibibyte_at_most() {
    use crate::sign1::sign1;
    let with = |payload: usize| {
        let bytes = sign1(&mut signer(), Context::Header, &NET, &vec![0; payload]).expect("software signs");
        (bytes.len(), check(Header::read(&bytes, &NET)))
    };
    let (without, _) = with(600);
    let fits = HEADER_BYTES_MAX - (without - 600);
    assert_eq!(with(fits), (HEADER_BYTES_MAX, Some(Check::Malformed)), "looked at: it is no header");
    assert_eq!(with(fits + 1), (HEADER_BYTES_MAX + 1, Some(Check::TooLarge)), "not even looked at");
}

#[test]
fn a_header_comes_back_as_it_was_signed() {
    let header = signed(fields());
    let read = Header::read(header.as_bytes(), &NET).expect("its own bytes");
    assert_eq!(read, header, "in every part");
    assert_eq!((read.fields(), read.id()), (&fields(), fields().id()), "what it says, and its id");
    assert_eq!(read.id(), HeaderId(sha256(&[&fields().encode()])), "the hash of what was signed");
    assert_eq!(read.kid(), signer().verifying_key().id(), "by the node's key");
    assert_eq!(read.verify(&signer().verifying_key()), Ok(()), "which verifies");
    let other = SoftwareSigner::from_seed(&[2; 32]).verifying_key();
    assert_eq!(read.verify(&other), Err(Check::UnknownSigner.into()), "and no other does");
}

#[test]
fn headers_are_verified_together_as_they_are_alone() {
    let second = |f: &HeaderFields| HeaderFields { sequence: 2, previous: Some(f.id()), ..f.clone() };
    let all = Header::sign_all(vec![fields(), second(&fields())], &mut signer()).expect("software signs");
    assert_eq!(all.len(), 2, "each of them");
    let (key, other) = (signer().verifying_key(), SoftwareSigner::from_seed(&[2; 32]).verifying_key());
    assert!(Header::all_verify(&[(&all[0], &key), (&all[1], &key)]), "two of one node");
    assert!(!Header::all_verify(&[(&all[0], &key), (&all[1], &other)]), "one under another's key");
    assert!(Header::all_verify(&[]), "none at all");
    let abroad = signed(HeaderFields { network: NetworkId([4; 32]), ..fields() });
    assert!(!Header::all_verify(&[(&all[0], &key), (&abroad, &key)]), "one of another network");
    assert!(Header::all_verify(&[(&abroad, &key)]), "which alone is sound");
}

/// A key whose card returns another's signatures.
struct Confused;

impl Signer for Confused {
    fn verifying_key(&self) -> VerifyingKey {
        signer().verifying_key()
    }
    fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        SoftwareSigner::from_seed(&[2; 32]).sign(message)
    }
}

#[test]
fn a_signer_that_errs_signs_no_header() {
    let verdict = Header::sign(fields(), &mut Confused);
    assert!(matches!(verdict, Err(KeyError::Failed(_))), "its signature was verified first");
    assert!(Header::sign(fields(), &mut signer()).is_ok(), "a sound one signs");
}

#[test]
fn a_header_speaks_of_the_content_that_it_matches_in_everything() {
    let says = |change: &dyn Fn(&mut HeaderFields)| {
        let mut fields = fields();
        change(&mut fields);
        check(signed(fields).matches(&content()))
    };
    assert_eq!(says(&|_| {}), None, "as it was made");
    let changes: [&dyn Fn(&mut HeaderFields); 5] = [
        &|f| f.content.0[0] ^= 1,
        &|f| f.kind = Kind::Proxy.code(),
        &|f| f.organization.0[0] ^= 1,
        &|f| f.lock = None,
        &|f| f.network.0[0] ^= 1,
    ];
    for (n, change) in changes.into_iter().enumerate() {
        assert_eq!(says(change), Some(Check::ContentMismatch), "field {n}");
    }
}
