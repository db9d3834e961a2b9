//! The state under test: its rules of membership, its blocks, what it proves and what it takes to the disk.

mod away;
mod blocks;
mod committees;
mod evidence;
mod members;
mod people;
mod snapshots;
mod world;
