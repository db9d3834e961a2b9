//! Places where a running node can be made to fail, for tests that start it as a process: each is one line at its
//! place, behind [`crate::fail_point!`], and at most one of them lives in a process.
//!
//! Only builds with the feature `failpoints` have them, and a build without debug assertions refuses that feature.
//! Nothing here reads the environment: the program hands the text over.

#[cfg(all(feature = "failpoints", not(debug_assertions)))]
compile_error!("a release holds no fail points: build without the feature `failpoints`");

macro_rules! fail_points {
    ($($(#[$meta:meta])* $name:ident = $text:literal,)+) => {
        /// A place that can fail.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum FailPoint {
            $($(#[$meta])* $name,)+
        }

        impl FailPoint {
            /// All of them, with their names.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $text)),+];
        }
    };
}

fail_points! {
    /// A vote, a proposal or a verdict is about to be logged.
    VoteUnlogged = "vote-unlogged",
    /// It is logged and not sent.
    VoteUnsent = "vote-unsent",
    /// A decided block is about to be written.
    BlockUnwritten = "block-unwritten",
    /// It is written, and the indexes of what it makes final are not.
    BlockUnindexed = "block-unindexed",
    /// They are, and nobody was told.
    BlockUnsaid = "block-unsaid",
    /// Bodies are kept, and the headers that name them are not signed.
    BodyUnheaded = "body-unheaded",
    /// Own headers are durable and not published.
    HeaderUnsent = "header-unsent",
    /// Headers of others are about to be stored.
    HeaderUnkept = "header-unkept",
    /// Locks are about to be closed on sight.
    LockUnseen = "lock-unseen",
    /// Bodies from a peer are judged and about to be stored.
    DeliveryUnkept = "delivery-unkept",
    /// A sealed segment of an upload is about to be stored.
    SegmentUnwritten = "segment-unwritten",
    /// A file is sealed and stored whole, and what names it is not filed.
    BlobUnfiled = "blob-unfiled",
    /// It is filed, and whoever asked was not told.
    FiledUnsaid = "filed-unsaid",
    /// A file is being looked into before it is filed.
    ImportUnread = "import-unread",
    /// An access entry is durable, and nothing was shown yet.
    AccessUnshown = "access-unshown",
    /// A peer has greeted, and is not let in yet.
    HelloUnanswered = "hello-unanswered",
    /// An answer of the API is about to be sent.
    AnswerUnsent = "answer-unsent",
}

#[cfg(feature = "failpoints")]
pub use set::{Unreadable, hit, set};

#[cfg(feature = "failpoints")]
mod set {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::FailPoint;

    /// How long a place waits that is slow.
    const DELAY: Duration = Duration::from_millis(250);
    /// How often it does; a slow disk is not slow for ever.
    const DELAYS: u64 = 8;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Action {
        Panic,
        Error,
        Delay,
        Kill,
    }

    struct Chosen {
        point: FailPoint,
        name: String,
        action: Action,
        at: u64,
        hits: AtomicU64,
        kill: fn() -> !,
    }

    static CHOSEN: OnceLock<Chosen> = OnceLock::new();

    /// A text that names no fail point.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Unreadable;

    fn read(text: &str, kill: fn() -> !) -> Option<Chosen> {
        let (name, rest) = text.split_once('=')?;
        let (action, at) = rest.split_once('@')?;
        let point = FailPoint::ALL.iter().find(|(_, known)| *known == name)?.0;
        let action = match action {
            "panic" => Action::Panic,
            "error" => Action::Error,
            "delay" => Action::Delay,
            "kill" => Action::Kill,
            _ => return None,
        };
        let at = at.parse().ok().filter(|at| *at > 0)?;
        Some(Chosen { point, name: name.to_owned(), action, at, hits: AtomicU64::new(0), kill })
    }

    /// Chooses what fails, for the life of the process: `vote-unsent=panic@3` panics when the place is reached the
    /// third time; `error` gives an error there once, `delay` waits there a few times, `kill` calls `kill`.
    ///
    /// # Errors
    /// [`Unreadable`], also where something was chosen before.
    pub fn set(text: &str, kill: fn() -> !) -> Result<(), Unreadable> {
        CHOSEN.set(read(text, kill).ok_or(Unreadable)?).map_err(|_| Unreadable)
    }

    /// The place was reached; gives whether it is to give an error.
    ///
    /// # Panics
    /// Where that was chosen.
    #[must_use]
    pub fn hit(point: FailPoint) -> bool {
        let Some(chosen) = CHOSEN.get().filter(|chosen| chosen.point == point) else { return false };
        let hits = chosen.hits.fetch_add(1, Ordering::SeqCst) + 1;
        let last = if chosen.action == Action::Delay { chosen.at + DELAYS } else { chosen.at };
        if !(chosen.at..=last).contains(&hits) {
            return false;
        }
        eprintln!("fail point {}", chosen.name);
        match chosen.action {
            Action::Panic => panic!("the fail point {}", chosen.name),
            Action::Kill => (chosen.kill)(),
            Action::Delay => std::thread::sleep(DELAY),
            Action::Error => {}
        }
        chosen.action == Action::Error
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_fail_point_strikes_at_its_place_and_its_time_only() {
            let kill: fn() -> ! = || panic!("killed");
            for wrong in ["", "vote-unsent", "vote-unsent=panic", "vote-unsent=panic@0", "nothing=panic@1"] {
                assert!(read(wrong, kill).is_none(), "{wrong:?} names none");
            }
            assert_eq!(set("vote-unsent=error@2", kill), Ok(()), "one is chosen");
            assert_eq!(set("vote-unsent=error@1", kill), Err(Unreadable), "and no second one");
            assert!(!hit(FailPoint::VoteUnlogged), "another place goes on");
            let struck: Vec<_> = (0..4).map(|_| hit(FailPoint::VoteUnsent)).collect();
            assert_eq!(struck, [false, true, false, false], "the second time, once");
        }
    }
}

/// A place that can fail: `$otherwise` is run where it is to give an error. Nothing without the feature
/// `failpoints`.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! fail_point {
    ($name:ident, $otherwise:expr) => {
        if $crate::failpoints::hit($crate::failpoints::FailPoint::$name) {
            $otherwise
        }
    };
}

/// A place that can fail: nothing without the feature `failpoints`.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! fail_point {
    ($name:ident, $otherwise:expr) => {};
}
