//! Who may do what with a patient's records, and who may hold what: pure functions over a [`View`].
//!
//! The rules, by the numbers that `protocol/README.md` quotes. [`decide`] applies them; none depends on the
//! order in which entries arrived.
//!
//! 1. *Deny by default.* A permit names the entries that it rests on.
//! 2. *The patient's card* permits everything on the patient's own records, unless its lock is closed.
//!    Nothing but it opens private notes.
//! 3. *People* act while they and their organization take part. Administrators read and file nothing; others
//!    stay within what one of their roles allows, whatever a grant says; who
//!    has no role is limited by none.
//! 4. *The author's organization* reads what it authored and files corrections of it, without grant or
//!    lease, unless the patient restricts the record (raises it to very restricted).
//! 5. *The home organization* files records without a grant; it reads what others authored under grants only.
//! 6. *A grant* permits what lies in its scope (categories or single records, up to its label), for its rights
//!    one by one, its purpose, its study, from its first millisecond up to, not including, its last.
//! 7. *Newest rules.* Of two grants on one matter (grantee, scope but for the label, purpose, study, one-time
//!    or not) the newer replaces the older, for good: by the height of `after`, then by the height that made
//!    it final (one that isn't counts as newest), then by id. What the desk knew is signed, so nobody makes
//!    a grant newer by holding it back.
//! 8. *A closed lock permits nothing*, from the moment its reveal was seen.
//! 9. *A revocation* beats every grant in its scope, unless the revocation was final at the grant's `after` or
//!    is listed there. A revocation that names the grant beats it always. One that names an organization
//!    beats every grant under which its people act; one that takes back everything ends proxies too,
//!    except those made final later.
//! 10. *Cards.* What a card signed whose lock is closed counts only if it was final before: at a lower height.
//! 11. *Proxies* read what a grant to the proxy says; what a proxy granted holds while the proxy entry does.
//! 12. *Codes* permit whoever presents them until an access under one binds it, the first by finality, to
//!     that reader's organization.
//! 13. *One-time* grants end with their first access, the first by finality; serving that access goes on.
//! 14. *Lease.* Under grants nothing is permitted while the newest certified block is older than policy allows.
//! 15. *Break-glass.* A release that is final permits its requester, for the purpose of an emergency, to read what its
//!     tier opens until it ends or is closed, lease or not. Grants come first; roles and rule 3 hold.
//!
//! A grant acts once it is verified, final or not; a permit says whether all that it rests on is final.
//! [`lawful`] judges bodies before they enter a view, [`audience()`] and [`placement()`] say who holds what. Nothing
//! here does IO; time is an argument.

pub mod audience;
pub mod batch;
mod decide;
pub mod described;
mod force;
pub mod lawful;
pub mod memory;
pub mod payload;
pub mod placement;
mod shards;
pub mod view;
pub mod why;

pub use audience::{Audience, audience};
pub use batch::Batch;
pub use decide::{Act, Actor, Request, decide};
pub use lawful::{HeaderFacts, Verified, judge_body};
pub use memory::MemoryView;
pub use payload::Personal;
pub use placement::{Placed, Placement, Priority, placement};
pub use view::{
    Known, LockState, Newest, PatientView, RecordFacts, ReleaseFacts, Signed, Under, Unreadable, View,
};
pub use why::{Decision, Obligations, Rule, Why};

#[cfg(test)]
mod tests;
