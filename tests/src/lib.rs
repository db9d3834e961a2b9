//! What the tests over the whole workspace share: the scanner that looks for leaked identifying data.
//!
//! Deliberately without any crate of Hospes: a checker that read with our own decoders would miss what they miss.
//! Called by the `hospes-scan` program and by the integration tests in `tests/it`.

pub mod scan;
