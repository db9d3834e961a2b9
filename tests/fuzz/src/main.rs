//! libFuzzer over the readers of `tests/tests/hostile/decoders.rs`, or over streams of messages into a node.
//!
//! The environment variable HOSPES_FUZZ names one: a decoder, or `stream`. `run` builds and calls this; it decides
//! nothing itself.
#![no_main]
#![allow(clippy::unwrap_used, reason = "a fuzzer that cannot go on has found something")]

#[path = "../../tests/hostile/decoders.rs"]
mod decoders;
#[path = "../../tests/hostile/stream.rs"]
mod stream;
#[path = "../../tests/hostile/victim.rs"]
mod victim;

use std::sync::LazyLock;

use decoders::{DECODERS, Decoder, Outcome};
use libfuzzer_sys::fuzz_target;

const STREAM: &str = "stream";

/// The decoder that is fuzzed; none for streams.
static TARGET: LazyLock<Option<Decoder>> = LazyLock::new(|| {
    let name = std::env::var("HOSPES_FUZZ").unwrap_or_default();
    let found = DECODERS.iter().find(|decoder| decoder.name == name).copied();
    assert!(found.is_some() || name == STREAM, "HOSPES_FUZZ names no target: {name:?}");
    found
});

fuzz_target!(|bytes: &[u8]| {
    match &*TARGET {
        Some(decoder) => {
            if let Outcome::Read(Some(again)) = (decoder.run)(bytes) {
                assert_eq!(again, bytes, "what was read has other bytes");
            }
        }
        None => assert_eq!(stream::run(bytes), Ok(()), "the node goes on"),
    }
});
