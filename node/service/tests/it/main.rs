//! Services of a whole network in one thread, over memory and virtual time, from one seed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod anew;
mod attacks;
mod away;
mod behind;
mod cards;
mod chain;
mod committees;
mod emergency;
mod erasing;
mod forks;
mod full;
mod fuse;
mod growth;
mod heal;
mod leases;
mod offline;
mod orders;
mod orphans;
mod outdated;
mod people;
mod policy;
mod power;
mod records;
mod recovery;
mod refusals;
mod renewal;
mod siblings;
mod trust;
mod votes;
mod world;
