//! A soft card behaves as a smart card: PIN, PUK, counters, slots, objects, removal, and one file that
//! several processes share.
//!
//! Method: cards at the cheapest cost in a temporary folder, from seeded generators. Nothing waits for time.
//! Replay: cargo test -p hospes-card --test card

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod damage;
mod keys;
mod objects;
mod pins;
mod processes;
mod reader;

use std::path::PathBuf;

use hospes_card::soft::{PinCost, Profile, SoftCard, SoftCardSpec};
use hospes_card::{HolderKind, Pin, Puk};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

/// A folder with one card in it, its PIN 271828 and its PUK 31415926.
struct Desk {
    folder: tempfile::TempDir,
    rng: ChaCha20Rng,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), rng: ChaCha20Rng::seed_from_u64(1) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn card(&mut self, name: &str, profile: Profile) -> SoftCard {
        let spec = SoftCardSpec {
            profile,
            cost: PinCost::cheap_for_tests(),
            ..SoftCardSpec::new(HolderKind::Patient)
        };
        spec.create(&self.path(name), &pin("271828"), &puk("31415926"), &mut self.rng).unwrap()
    }

    fn ada(&mut self) -> SoftCard {
        self.card("ada.card", Profile::P256)
    }
}

fn pin(text: &str) -> Pin {
    Pin::new(text).unwrap()
}

fn puk(text: &str) -> Puk {
    Puk::new(text).unwrap()
}
