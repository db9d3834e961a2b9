//! Cards that ended: of people whose card was suspended or replaced or whose organization left, of organizations that
//! changed theirs or left.
//!
//! What such a card signed counts if it was final at a lower height, also where its body arrives later. So the
//! height at which each ended stands in the membership: a node that begins with a later state judges alike.

use super::Membership;
use crate::control::{OrganizationEntry, PractitionerEntry, Standing};
use crate::entry::{Content, Kind};
use crate::ids::{KeyId, OrganizationId, PersonId};
use crate::keys::VerifyingKey;
use crate::wire::Wire;
use crate::wire_struct;

wire_struct! {
    /// The keys of a card that ended.
    pub struct FormerCardEntry {
        /// The person or organization whose it was.
        pub holder: [u8; 32],
        /// Slot 9C.
        pub signature: VerifyingKey,
        /// Slot 9A of a person's; null for an organization's.
        pub authentication: Option<VerifyingKey>,
        /// The height at which it ended, last.
        pub until: u64,
    }
}

impl FormerCardEntry {
    fn of_person(id: &PersonId, person: &PractitionerEntry, until: u64) -> Self {
        let (signature, authentication) = (person.signature.clone(), Some(person.authentication.clone()));
        Self { holder: id.0, signature, authentication, until }
    }

    pub(super) fn key(&self) -> ([u8; 32], KeyId) {
        (self.holder, self.signature.id())
    }
}

impl Membership {
    /// Cards that a person or an organization had, by its id.
    pub fn former_cards(&self, holder: &[u8; 32]) -> impl Iterator<Item = &FormerCardEntry> {
        let all = (*holder, KeyId([0; 32]))..=(*holder, KeyId([0xff; 32]));
        self.former.range(all).map(|(_, card)| card)
    }

    /// Notes which cards ended with a control entry, which led from `before` to this membership at `height`.
    pub(super) fn note_former(&mut self, before: &Self, content: &Content, height: u64) {
        let ended = match Kind::from_code(content.kind) {
            Some(Kind::Practitioner) => self.ended_of_person(before, content, height).into_iter().collect(),
            Some(Kind::Organization) => self.ended_of_organization(before, content, height),
            _ => Vec::new(),
        };
        self.former.extend(ended.into_iter().map(|card| (card.key(), card)));
    }

    fn ended_of_person(&self, before: &Self, content: &Content, until: u64) -> Option<FormerCardEntry> {
        let entry = PractitionerEntry::decode(&content.payload).ok()?;
        let id = entry.person.unwrap_or(PersonId(content.id().0));
        let old = before.people.get(&id).filter(|p| p.standing == Standing::Active)?;
        let stands = self.people.get(&id).is_some_and(|p| {
            p.standing == Standing::Active
                && (&p.signature, &p.authentication) == (&old.signature, &old.authentication)
        });
        (!stands).then(|| FormerCardEntry::of_person(&id, old, until))
    }

    fn ended_of_organization(&self, before: &Self, content: &Content, until: u64) -> Vec<FormerCardEntry> {
        let entry = OrganizationEntry::decode(&content.payload).ok();
        let Some(old) = entry.and_then(|e| before.organization(&e.organization)) else { return Vec::new() };
        let holder: OrganizationId = old.organization;
        let now = self.organization(&holder);
        let over = old.cards.iter().filter(|card| now.is_none_or(|o| !o.cards.contains(card)));
        let ended = |card: &VerifyingKey| FormerCardEntry {
            holder: holder.0,
            signature: card.clone(),
            authentication: None,
            until,
        };
        let active = |p: &PractitionerEntry| p.organization == holder && p.standing == Standing::Active;
        let people = before.people.iter().filter(|(_, p)| now.is_none() && active(p));
        let theirs = people.map(|(id, person)| FormerCardEntry::of_person(id, person, until));
        over.map(ended).chain(theirs).collect()
    }
}
