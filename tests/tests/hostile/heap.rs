//! Counts what this test binary allocates, so that a bound on memory is a number and not a hope.
//!
//! The allocator counts for all threads, so whoever measures is alone: [`alone`] is held by every test here.

use std::sync::{Mutex, MutexGuard, PoisonError};

use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

static ALONE: Mutex<()> = Mutex::new(());

/// The right to measure. A test that failed before has not spoilt it.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What `act` gives, and how many bytes were in use at its most beyond what was in use before.
///
/// A buffer that grows counts twice while it is copied: the count is never too low.
pub(crate) fn peak_of<T>(act: impl FnOnce() -> T) -> (T, usize) {
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    let value = act();
    (value, HEAP.peak_usage().saturating_sub(before))
}
