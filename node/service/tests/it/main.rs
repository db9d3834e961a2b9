//! Services of a whole network in one thread, over memory and virtual time, from one seed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cards;
mod chain;
mod erasing;
mod forks;
mod full;
mod fuse;
mod heal;
mod orders;
mod orphans;
mod people;
mod policy;
mod records;
mod refusals;
mod renewal;
mod siblings;
mod votes;
mod world;
