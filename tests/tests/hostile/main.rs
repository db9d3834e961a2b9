//! What anyone may send us: spoilt bytes to every reader, limits to the byte, floods.
//!
//! A binary of its own, because its allocator counts (`heap`). Its tests run one at a time, whatever the number of
//! threads. `decoders`, which says what is tried, is shared with the fuzzer in `tests/fuzz`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod changes;
mod decoders;
mod heap;
mod limits;
mod messages;
mod mutations;
mod seeds;
mod stream;
mod victim;
