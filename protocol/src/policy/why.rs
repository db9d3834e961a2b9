//! What a decision says: the rule that permits or denies, and the entries that it rests on.
//!
//! Codes are part of the interface: the API, the command line and logs show them, and they are never reused.
//! The sentences here are English; the portal translates by code.

use std::fmt::Write as _;

use crate::ids::ContentId;
use crate::personal::Anonymity;

macro_rules! rules {
    ($($(#[$meta:meta])* $name:ident = $code:literal, $number:literal, $verdict:ident, $text:literal;)+) => {
        /// The rule that decided. Among denials, the later one is the nearer miss.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule { $(#[doc = $text] $name),+ }

        impl Rule {
            /// Every rule, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The code that interfaces show.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }

            /// The number of the rule in the documentation of [`crate::policy`].
            #[must_use]
            pub const fn number(self) -> u8 {
                match self { $(Self::$name => $number),+ }
            }

            /// Whether it permits.
            #[must_use]
            pub const fn permits(self) -> bool {
                match self { $(Self::$name => rules!(@ $verdict)),+ }
            }

            /// What it means, as an English sentence.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
    (@ Permit) => { true };
    (@ Deny) => { false };
}

rules! {
    Patient = "patient", 2, Permit, "The record is the patient's own.";
    AuthorOrganization = "author-organization", 4, Permit, "The reader's organization authored the record.";
    HomeOrganization = "home-organization", 5, Permit, "The patient's home organization files what it does.";
    Grant = "grant", 6, Permit, "The patient consented.";
    Emergency = "emergency", 15, Permit, "Several people released it for an emergency.";

    StateUnreadable = "state-unreadable", 1, Deny, "What the decision needs could not be read on this node.";
    NoRecord = "no-record", 1, Deny, "No such record of this patient is known here.";
    NotEnrolled = "not-enrolled", 3, Deny, "Whoever asks is not enrolled.";
    PrivateNotes = "private-notes", 2, Deny, "Private notes open for the patient alone.";
    Administrator = "administrator", 3, Deny, "Administrators do not read or file records.";
    Suspended = "suspended", 3, Deny, "The person or the organization no longer takes part.";
    RoleLimits = "role-limits", 3, Deny, "None of the person's roles allows this.";
    NoGrant = "no-grant", 1, Deny, "The patient gave no consent to this person.";
    AuthorRestricted = "author-restricted", 4, Deny, "The patient restricts this record even for its author's organization.";
    WrongCategory = "wrong-category", 6, Deny, "The consent is for other categories.";
    WrongRecord = "wrong-record", 6, Deny, "The consent is for other records.";
    WrongLabel = "wrong-label", 6, Deny, "The record is more sensitive than the consent allows.";
    WrongRight = "wrong-right", 6, Deny, "The consent does not include this right.";
    WrongPurpose = "wrong-purpose", 6, Deny, "The consent is for another purpose.";
    WrongStudy = "wrong-study", 6, Deny, "The consent is for another study.";
    ConsentExpired = "consent-expired", 6, Deny, "The consent has ended.";
    ConsentReplaced = "consent-replaced", 7, Deny, "A newer consent on the same matter replaced this one.";
    ConsentWithdrawn = "consent-withdrawn", 9, Deny, "The patient withdrew the consent.";
    CardSuspended = "card-suspended", 10, Deny, "The card that signed was suspended before this was final.";
    ProxyOver = "proxy-over", 11, Deny, "The proxy has ended or was withdrawn.";
    ConsentNotYet = "consent-not-yet", 6, Deny, "The consent has not begun.";
    CodeBound = "code-bound", 12, Deny, "The code was used first by another organization.";
    ConsentUsed = "consent-used", 13, Deny, "The consent was for one use, and that was made.";
    EmergencyScope = "emergency-scope", 15, Deny, "The emergency release does not open this record.";
    EmergencyOver = "emergency-over", 15, Deny, "The emergency release has ended or was closed.";
    EmergencyPending = "emergency-pending", 15, Deny, "The emergency release is not final yet.";
    LeaseOver = "lease-over", 14, Deny, "This node has had no news of the ledger for too long.";
}

impl Rule {
    /// The rule of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|r| r.code() == code)
    }

    /// What the person at the desk can do about a denial; empty for a permit.
    #[must_use]
    pub const fn next(self) -> &'static str {
        match self {
            Self::Patient
            | Self::AuthorOrganization
            | Self::HomeOrganization
            | Self::Grant
            | Self::Emergency => "",
            Self::StateUnreadable => "Run `hospes doctor` on this node.",
            Self::NoRecord => "Check the record, or wait until this node has synchronised.",
            Self::NotEnrolled | Self::Suspended | Self::RoleLimits | Self::Administrator => {
                "Ask the organization's administrator about the person's enrolment and roles."
            }
            Self::PrivateNotes => "Only the patient can open them, with the card.",
            Self::CardSuspended => "Ask the patient to consent again with the new card.",
            Self::ProxyOver => "Ask the patient, or name the proxy anew with both cards.",
            Self::ConsentNotYet => "Wait until it begins, or ask the patient to consent from now on.",
            Self::EmergencyScope => "Request what is needed, with its own reason and guardians.",
            Self::EmergencyOver => "Request again, with a reason, if the emergency goes on.",
            Self::EmergencyPending => "Wait until it is final: a moment, with the other nodes in reach.",
            Self::LeaseOver => "Connect this node to the others, or import a bundle.",
            _ => "Ask the patient to consent by a tap.",
        }
    }
}

/// What comes with a permit. The order has no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Obligations {
    /// How data must leave, under a share right.
    pub anonymity: Option<Anonymity>,
    /// The access ends the grant.
    pub one_time: bool,
    /// The access binds the code to the reader's organization.
    pub binds_code: bool,
    /// A change needs the author's and the patient's signature.
    pub two_signatures: bool,
}

/// Why something is permitted or denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The rule.
    pub rule: Rule,
    /// The entries that it rests on, from the root of trust to the last; for a denial, what came nearest.
    pub entries: Vec<ContentId>,
    /// Whether the grant, card or record that permits is not final.
    pub provisional: bool,
    /// What comes with a permit.
    pub obligations: Obligations,
}

impl Why {
    /// A rule with the entries that it rests on, all final, without obligations.
    #[must_use]
    pub fn of(rule: Rule, entries: impl IntoIterator<Item = ContentId>) -> Self {
        let entries = entries.into_iter().collect();
        Self { rule, entries, provisional: false, obligations: Obligations::default() }
    }

    /// In a few English sentences: what was decided, on what it rests, what comes with it or what to do.
    #[must_use]
    pub fn explain(&self) -> String {
        let verdict = if self.rule.permits() { "Permitted" } else { "Denied" };
        let mut out = format!("{verdict} ({}). {}", self.rule.code(), self.rule.text());
        for said in self.obligations.explain() {
            out.push(' ');
            out.push_str(said);
        }
        if self.provisional {
            out.push_str(" Not all of it is final yet.");
        }
        if !self.entries.is_empty() {
            out.push_str(" It rests on");
            self.entries.iter().enumerate().for_each(|(i, id)| write_entry(&mut out, i, id));
            out.push('.');
        }
        if !self.rule.next().is_empty() {
            out.push(' ');
            out.push_str(self.rule.next());
        }
        out
    }
}

// Eight bytes tell entries apart and fit on a line; the full ids are in `entries`.
fn write_entry(out: &mut String, at: usize, id: &ContentId) {
    out.push_str(if at == 0 { " " } else { ", " });
    for byte in &id.0[..8] {
        write!(out, "{byte:02x}").expect("a String takes every write");
    }
}

impl Obligations {
    fn explain(&self) -> impl Iterator<Item = &'static str> + use<> {
        let anonymity = self.anonymity.map(|a| match a {
            Anonymity::AsIs => "The data leave as they are.",
            Anonymity::Pseudonymised => "The data leave under a study pseudonym.",
            Anonymity::Anonymised => "The data leave de-identified.",
        });
        let others = [
            (self.one_time, "This use ends the consent."),
            (self.binds_code, "This use binds the code to the organization."),
            (self.two_signatures, "A change needs the signatures of author and patient."),
        ];
        anonymity.into_iter().chain(others.into_iter().filter_map(|(is, said)| is.then_some(said)))
    }
}

/// Permit or deny, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may be done.
    Permit(Why),
    /// It may not.
    Deny(Why),
}

impl Decision {
    /// The decision that a rule makes.
    #[must_use]
    pub fn of(why: Why) -> Self {
        if why.rule.permits() { Self::Permit(why) } else { Self::Deny(why) }
    }

    /// Why.
    #[must_use]
    pub fn why(&self) -> &Why {
        match self {
            Self::Permit(why) | Self::Deny(why) => why,
        }
    }

    /// Whether it may be done.
    #[must_use]
    pub fn is_permitted(&self) -> bool {
        matches!(self, Self::Permit(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_permits_come_first() {
        for rule in Rule::ALL {
            assert_eq!(Rule::from_code(rule.code()), Some(*rule), "{} is found by its own code", rule.code());
            assert_eq!(rule.next().is_empty(), rule.permits(), "{}: a denial says what to do", rule.code());
        }
        assert_eq!(Rule::from_code("because"), None, "an unknown code");
    }

    #[test]
    fn an_explanation_says_what_and_on_what_and_what_next() {
        let mut permit = Why::of(Rule::Grant, [ContentId([0xab; 32])]);
        permit.obligations.one_time = true;
        permit.provisional = true;
        assert_eq!(
            permit.explain(),
            "Permitted (grant). The patient consented. This use ends the consent. Not all of it is final yet. \
             It rests on abababababababab.",
            "a permit"
        );
        assert_eq!(
            Why::of(Rule::NoGrant, []).explain(),
            "Denied (no-grant). The patient gave no consent to this person. Ask the patient to consent by a tap.",
            "a denial"
        );
    }
}
