//! Consensus in a world of its own: drivers joined by a network that delays, loses, repeats, reorders and
//! cuts, under virtual time, in one thread, from one seed. Nothing sleeps; a failing run names its seed.
//!
//! `world` is that world, `checker` what must hold in it, `rules` the seven rules of the design one by one,
//! `networks` whole runs, `crashes` a crash at every single step,
//! `storms` all of it at once. Each property of the checker is seen to
//! fail in a run that is built to break it.

mod checker;
mod crashes;
pub(super) mod keys;
mod networks;
mod rules;
mod storms;
mod world;
