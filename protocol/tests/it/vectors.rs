//! The bytes of every type are those that were frozen; an old file stays readable.
//!
//! Method: samples made from constants are compared with `protocol/vectors/format-1.json`. To approve a
//! change of the format: HOSPES_BLESS=1 cargo test -p hospes-protocol --test it, then review the diff.

use super::samples::{Sample, all};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/format-1.json");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn document(samples: &[Sample]) -> String {
    let one = |(name, bytes, _): &Sample| {
        format!("    {{\"name\": \"{name}\", \"kind\": \"cbor\", \"bytes\": \"{}\"}}", hex(bytes))
    };
    let rows: Vec<_> = samples.iter().map(one).collect();
    format!("{{\n  \"vectors\": [\n{}\n  ]\n}}\n", rows.join(",\n"))
}

#[test]
fn every_type_has_the_bytes_that_were_frozen() {
    let now = document(&all());
    if std::env::var_os("HOSPES_BLESS").is_some() {
        std::fs::write(FILE, &now).unwrap();
    }
    let frozen = std::fs::read_to_string(FILE).unwrap();
    for (now, frozen) in now.lines().zip(frozen.lines()) {
        assert_eq!(now, frozen, "the format changed: review, then run with HOSPES_BLESS=1");
    }
    assert_eq!(now, frozen, "a type was added or removed");
}

#[test]
fn every_vector_reads_back_and_no_cut_or_longer_one_does() {
    for (name, bytes, reads) in all() {
        assert!(reads(&bytes), "{name} reads back");
        assert!(!reads(&bytes[..bytes.len() - 1]), "{name} cut by a byte");
        assert!(!reads(&[bytes.clone(), vec![0]].concat()), "{name} with a byte behind it");
    }
}
