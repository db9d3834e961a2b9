//! Kind 36: a patient who has no card with him is looked for by name, date of birth and number.
//!
//! What is looked for lies sealed in the entry, to each node apart, so that no ledger and no carrier knows whom it is about.
//! The entry is about nobody until somebody answers: in place of a patient's it carries a pseudonym of its own, drawn at
//! random. Who answers, and when, is the node's affair; whether a body is lawful is judged by [`crate::policy`].

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::check::{Check, Rejected, ensure};
use crate::ids::{NodeId, OrganizationId, PatientId, PersonId};
use crate::limits::SEARCH_NODES_MAX;
use crate::patient::{IDENTITY_TEXT_BYTES_MAX, Identity, fold, is_date};
use crate::wire::{Bytes, Dec, Enc, Wire};
use crate::wire_struct;

wire_struct! {
    /// What is looked for, sealed to the X25519 key of one node.
    pub struct SealedTerms {
        /// The node.
        pub node: NodeId,
        /// COSE_Encrypt of [`SearchTerms`], context `search`.
        pub sealed: Bytes,
    }
}

wire_struct! {
    /// Kind 36, by the card of the person who looks; stands on nothing.
    pub struct SearchEntry {
        /// A pseudonym of this search alone.
        pub search: PatientId,
        /// Who looks.
        pub requester: PersonId,
        /// That person's organization.
        pub organization: OrganizationId,
        /// When, in milliseconds since 1970 UTC.
        pub at: u64,
        /// What is looked for, ascending by node.
        pub terms: Vec<SealedTerms>,
    }
}

impl SearchEntry {
    /// Judges the form: each node once, and some node at all.
    ///
    /// # Errors
    /// [`Check::TooLarge`], [`Check::ScopeForm`].
    pub fn judge(&self) -> Result<(), Rejected> {
        ensure(self.terms.len() <= SEARCH_NODES_MAX, Check::TooLarge)?;
        let ascending = self.terms.windows(2).all(|w| w[0].node < w[1].node);
        ensure(ascending && !self.terms.is_empty(), Check::ScopeForm)
    }
}

/// What is looked for. It leaves the desk only sealed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SearchTerms {
    /// Given and family name, in either order.
    pub name: String,
    /// "YYYY-MM-DD".
    pub birth_date: String,
    /// A national number, where it is known.
    pub national_id: Option<String>,
}

impl std::fmt::Debug for SearchTerms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SearchTerms(..)")
    }
}

impl Wire for SearchTerms {
    fn put(&self, e: &mut Enc) {
        e.array(3).text(&self.name).text(&self.birth_date);
        self.national_id.put(e);
    }

    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        d.array_of(3)?;
        Ok(Self { name: Wire::get(d)?, birth_date: Wire::get(d)?, national_id: Wire::get(d)? })
    }
}

impl SearchTerms {
    /// Judges the form: a name, a date, and nothing longer than a name.
    ///
    /// # Errors
    /// [`Check::TooLarge`], [`Check::Malformed`].
    pub fn judge(&self) -> Result<(), Rejected> {
        let mut all = [&self.name, &self.birth_date].into_iter().chain(&self.national_id);
        ensure(all.all(|text| text.len() <= IDENTITY_TEXT_BYTES_MAX), Check::TooLarge)?;
        ensure(!fold(&self.name).is_empty() && is_date(&self.birth_date), Check::Malformed)
    }

    /// Whether somebody is exactly who is looked for, each word folded as for the pseudonym: all given names or the first,
    /// before or after the family name; the date; the number, where one is given.
    #[must_use]
    pub fn are_of(&self, who: &Identity) -> bool {
        let (name, family) = (fold(&self.name), fold(&who.family));
        let first = who.given.first().map(|given| fold(given)).unwrap_or_default();
        let named = [fold(&who.given.concat()), first].iter().any(|given| {
            [given.as_str(), &family].concat() == name || [&family, given.as_str()].concat() == name
        });
        let numbered = |id: &String| who.national_id.as_ref().is_some_and(|own| fold(own) == fold(id));
        named && self.birth_date == who.birth_date && self.national_id.as_ref().is_none_or(numbered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jose() -> Identity {
        Identity {
            family: "García".into(),
            given: vec!["José".into(), "María".into()],
            birth_date: "1970-05-03".into(),
            postal_code: "28001".into(),
            national_id: Some("X-12 345".into()),
        }
    }

    fn terms(name: &str, birth_date: &str, national_id: Option<&str>) -> SearchTerms {
        SearchTerms {
            name: name.into(),
            birth_date: birth_date.into(),
            national_id: national_id.map(str::to_owned),
        }
    }

    #[test]
    fn somebody_is_found_however_the_name_is_typed_and_nobody_who_is_like_him() {
        let (who, born) = (jose(), "1970-05-03");
        for name in ["José María García", "garcia, jose maria", "JOSE GARCIA", "García José"] {
            assert!(terms(name, born, None).are_of(&who), "{name} is his name");
        }
        for name in ["Maria Garcia", "José", "García", "Jose Maria Garcias", ""] {
            assert!(!terms(name, born, None).are_of(&who), "{name} is somebody else's");
        }
        assert!(!terms("Jose Garcia", "1970-05-04", None).are_of(&who), "another day");
        assert!(terms("Jose Garcia", born, Some("x12345")).are_of(&who), "his number");
        assert!(!terms("Jose Garcia", born, Some("x12346")).are_of(&who), "another number");
        let mut unnumbered = jose();
        unnumbered.national_id = None;
        assert!(!terms("Jose Garcia", born, Some("x12345")).are_of(&unnumbered), "his number is not known");
    }

    #[test]
    fn a_search_names_each_node_once_and_somebody_with_a_birthday() {
        let term = |n| SealedTerms { node: NodeId([n; 32]), sealed: Bytes(vec![n]) };
        let with = |terms| SearchEntry {
            search: PatientId([1; 32]),
            requester: PersonId([2; 32]),
            organization: OrganizationId([3; 32]),
            at: 4,
            terms,
        };
        assert_eq!(with(vec![term(1), term(2)]).judge(), Ok(()), "two nodes");
        assert_eq!(with(vec![term(1), term(1)]).judge(), Err(Check::ScopeForm.into()), "one node twice");
        assert_eq!(with(vec![]).judge(), Err(Check::ScopeForm.into()), "nobody is asked");
        assert_eq!(terms("Ada", "1815-12-10", None).judge(), Ok(()), "a name and a day");
        assert_eq!(terms("--", "1815-12-10", None).judge(), Err(Check::Malformed.into()), "no name");
        assert_eq!(terms("Ada", "10.12.1815", None).judge(), Err(Check::Malformed.into()), "no date");
    }
}
