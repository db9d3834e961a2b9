//! Mutants of our own code, for the simulator: faults that it must catch. Each is one line at its place, behind
//! [`crate::mutant!`], and chosen at run time, on its own thread.
//!
//! Only builds with the feature `mutants` have them, and a build without debug assertions refuses that feature.

#[cfg(all(feature = "mutants", not(debug_assertions)))]
compile_error!("a release holds no mutants: build without the feature `mutants`");

macro_rules! mutants {
    ($($(#[$meta:meta])* $name:ident,)+) => {
        /// A fault of our own making.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutant {
            $($(#[$meta])* $name,)+
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
        }
    };
}

mutants! {
    /// Validators forget in each round what they are locked on.
    LockUnheld,
    /// That an access became final is not noted.
    FinalityUnnoted,
    /// Stores leave out their syncs.
    UnsyncedStore,
    /// One signature makes a certificate.
    QuorumOfOne,
    /// A certificate is taken for whatever block comes with it.
    BlockUnbound,
    /// The engine's log is not written.
    WalUnwritten,
    /// After a start, locks whose reveal was only seen are closed in the state.
    SeenIsClosed,
    /// Reveals close nothing on sight.
    RevealsUnseen,
    /// Revocations take nothing back.
    RevocationsUnread,
    /// Grants don't end.
    PeriodUnread,
    /// The lease is not looked at.
    LeaseUnread,
    /// Every organization is to hold every blob.
    PlacedEverywhere,
    /// What no order holds any more stays.
    NeverDropped,
    /// What a retired node ordered stays.
    OrphansStay,
    /// Access entries don't go home.
    AccessUnsent,
    /// What an input says leaves before what it wrote is durable.
    SaidUnsettled,
    /// Own headers are published without being kept.
    HeaderUnkept,
    /// What a retired node filed and was not final goes on counting.
    StrandedCounts,
    /// A node whose disk was full never looks for room again.
    RoomUnsought,
    /// Peers are asked once where they are, and never again.
    UpkeepEnds,
    /// What a forked node had filed in vain is not filed by another of its organization.
    BranchForgotten,
    /// A release permits and opens before it is final.
    ReleasePending,
    /// A release by one person fewer is lawful.
    ReleaseByFewer,
    /// What a release permits is not held against its tier.
    ScopeUnread,
    /// A close ends nothing.
    CloseUnread,
    /// Releases don't end.
    ReleaseEndless,
    /// The patient's home is not told of a request.
    NoticeUnsent,
    /// Any card releases in place of the patient's.
    PresenceUnread,
    /// What a recovery opens is sealed to whatever key the request names.
    OpenerUnbound,
    /// An erasure leaves blobs where they are.
    BlobsOutlive,
    /// An erasure leaves the patient's erasable key, and K under it.
    KeyOutlives,
}

#[cfg(feature = "mutants")]
thread_local! {
    static CHOSEN: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Lets a mutant live on this thread, or none.
#[cfg(feature = "mutants")]
pub fn choose(mutant: Option<Mutant>) {
    CHOSEN.set(mutant);
}

/// Whether a mutant lives on this thread.
#[cfg(feature = "mutants")]
#[must_use]
pub fn is_chosen(mutant: Mutant) -> bool {
    CHOSEN.get() == Some(mutant)
}

/// Whether a mutant lives here: always false without the feature `mutants`.
#[cfg(feature = "mutants")]
#[macro_export]
macro_rules! mutant {
    ($name:ident) => {
        $crate::mutants::is_chosen($crate::mutants::Mutant::$name)
    };
}

/// Whether a mutant lives here: always false without the feature `mutants`.
#[cfg(not(feature = "mutants"))]
#[macro_export]
macro_rules! mutant {
    ($name:ident) => {
        false
    };
}
