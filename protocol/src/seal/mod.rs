//! How data is sealed: blobs in segments, their manifests, envelopes to one key, lockers and packets.
//!
//! A file is sealed once under a random data key ([`blob`]); its segments are listed in a manifest
//! ([`manifest`]) whose numbers all follow from the size of the file ([`layout`]). The data key is sealed to
//! the public keys of lockers ([`envelope`]), and the secrets of those to readers, in packets ([`locker`]).
//!
//! Nothing here stores, fetches or decides who may read; generators of random numbers are arguments.
//! `storage` and `node` call this, and `card` holds the keys behind [`crate::keys::KeyAgreement`].

pub mod blob;
pub mod envelope;
pub mod layout;
pub mod locker;
pub mod manifest;
pub mod packet;

#[cfg(test)]
mod fixtures;
