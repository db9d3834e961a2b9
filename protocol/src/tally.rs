//! How many signatures were made and verified on this thread, so that the simulator can say what a block costs in
//! numbers that no other load on the machine changes.
//!
//! Only builds with the feature `mutants` count; in others these functions are empty.

/// Signatures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Verified one by one.
    pub alone: u64,
    /// Verified as members of a batch.
    pub in_batches: u64,
    /// Made with keys in memory.
    pub made: u64,
}

#[cfg(feature = "mutants")]
thread_local! {
    static TALLY: std::cell::Cell<Tally> = const { std::cell::Cell::new(Tally { alone: 0, in_batches: 0, made: 0 }) };
}

/// What was counted on this thread since it began; nothing without the feature `mutants`.
#[must_use]
pub fn tally() -> Tally {
    #[cfg(feature = "mutants")]
    return TALLY.get();
    #[cfg(not(feature = "mutants"))]
    Tally::default()
}

#[cfg(feature = "mutants")]
pub(crate) fn count(add: impl FnOnce(&mut Tally)) {
    let mut tally = TALLY.get();
    add(&mut tally);
    TALLY.set(tally);
}

#[cfg(not(feature = "mutants"))]
pub(crate) fn count(_: impl FnOnce(&mut Tally)) {}
