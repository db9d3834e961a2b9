//! Verdicts that are remembered, for the simulator: there every node of a federation verifies the same signatures, on
//! one thread. What is remembered is a pure function of what it is found by, so a run is the same with and without.
//!
//! Only builds with the feature `memo` remember anything, each thread for itself, and a build without debug assertions
//! refuses that feature: a release looks at every signature every time. `ed25519` and `keys` call this.

#[cfg(all(feature = "memo", not(debug_assertions)))]
compile_error!("a release verifies what it is given: build without the feature `memo`");

#[cfg(feature = "memo")]
pub(crate) use kept::{known, point, remember, verdict};

#[cfg(feature = "memo")]
mod kept {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use curve25519_dalek::edwards::EdwardsPoint;

    /// Entries of one kind on one thread; beyond it all are forgotten.
    const KEPT_MAX: usize = 1 << 16;

    type Kept<T> = RefCell<BTreeMap<[u8; 32], T>>;

    thread_local! {
        static VERDICTS: Kept<bool> = const { RefCell::new(BTreeMap::new()) };
        static POINTS: Kept<Option<EdwardsPoint>> = const { RefCell::new(BTreeMap::new()) };
    }

    fn put<T>(kept: &mut BTreeMap<[u8; 32], T>, id: [u8; 32], value: T) {
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(id, value);
    }

    /// The verdict that is remembered under an id.
    pub(crate) fn known(id: &[u8; 32]) -> Option<bool> {
        VERDICTS.with_borrow(|kept| kept.get(id).copied())
    }

    /// Remembers a verdict.
    pub(crate) fn remember(id: [u8; 32], verdict: bool) {
        VERDICTS.with_borrow_mut(|kept| put(kept, id, verdict));
    }

    /// The verdict under an id, found out once.
    pub(crate) fn verdict(id: impl FnOnce() -> [u8; 32], find: impl FnOnce() -> bool) -> bool {
        let id = id();
        known(&id).unwrap_or_else(|| {
            let found = find();
            remember(id, found);
            found
        })
    }

    /// The point of a key, found out once.
    pub(crate) fn point(
        key: &[u8; 32],
        find: impl FnOnce(&[u8; 32]) -> Option<EdwardsPoint>,
    ) -> Option<EdwardsPoint> {
        if let Some(known) = POINTS.with_borrow(|kept| kept.get(key).copied()) {
            return known;
        }
        let found = find(key);
        POINTS.with_borrow_mut(|kept| put(kept, *key, found));
        found
    }
}

/// The verdict, found out.
#[cfg(not(feature = "memo"))]
pub(crate) fn verdict(_id: impl FnOnce() -> [u8; 32], find: impl FnOnce() -> bool) -> bool {
    find()
}

/// The point of a key, found out.
#[cfg(not(feature = "memo"))]
pub(crate) fn point<T>(key: &[u8; 32], find: impl FnOnce(&[u8; 32]) -> T) -> T {
    find(key)
}
