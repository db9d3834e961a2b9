//! Cards that ended: of people whose card was suspended or replaced, of organizations that changed theirs or left.
//!
//! ```text
//! space          group                      order    item              value
//! former-cards   person, or organization    height   signature key     Former
//! ```
//!
//! The ledger's state has only the cards that stand. What one that ended signed counts if it was final at a lower
//! height, also where its body arrives later; so the height at which each ended is noted here, before the block that
//! ends it is. A node that begins with a later state doesn't know of them, and counts nothing that they signed.

use hospes_protocol::block::Block;
use hospes_protocol::control::{OrganizationEntry, PractitionerEntry, Standing};
use hospes_protocol::entry::{Content, Kind};
use hospes_protocol::ids::{OrganizationId, PersonId};
use hospes_protocol::keys::VerifyingKey;
use hospes_protocol::policy::view::FormerCard;
use hospes_protocol::state::Membership;
use hospes_protocol::tap::Body;
use hospes_protocol::wire::Wire;
use hospes_protocol::wire_struct;
use hospes_storage::{SealedKey, SealedRow, Write};

use super::index;
use crate::service::{Fatal, Service};

const FORMER: &str = "former-cards";

wire_struct! {
    /// The keys of a card that ended.
    pub struct Former {
        /// Slot 9C.
        pub signature: VerifyingKey,
        /// Slot 9A of a person's; null for an organization's.
        pub authentication: Option<VerifyingKey>,
    }
}

fn ended(of: &[u8; 32], height: u64, card: &Former) -> Write {
    let key = SealedKey::new(FORMER, of, height, &card.signature.id().0);
    Write::Sealed(SealedRow { key, patient: None, value: card.encode() })
}

/// The card of a person that took part before and doesn't any more.
fn ended_of_person(content: &Content, height: u64, before: &Membership, after: &Membership) -> Option<Write> {
    let entry = PractitionerEntry::decode(&content.payload).ok()?;
    let id = entry.person.unwrap_or(PersonId(content.id().0));
    let old = before.people.get(&id).filter(|p| p.standing == Standing::Active)?;
    let stands = after.people.get(&id).is_some_and(|p| {
        p.standing == Standing::Active
            && (&p.signature, &p.authentication) == (&old.signature, &old.authentication)
    });
    let former =
        Former { signature: old.signature.clone(), authentication: Some(old.authentication.clone()) };
    (!stands).then(|| ended(&id.0, height, &former))
}

fn ended_of_organization(
    content: &Content,
    height: u64,
    before: &Membership,
    after: &Membership,
) -> Vec<Write> {
    let entry = OrganizationEntry::decode(&content.payload).ok();
    let Some(old) = entry.and_then(|e| before.organization(&e.organization)) else { return Vec::new() };
    let now = after.organization(&old.organization);
    let over = old.cards.iter().filter(|card| now.is_none_or(|o| !o.cards.contains(card)));
    let former = |card: &VerifyingKey| Former { signature: card.clone(), authentication: None };
    over.map(|card| ended(&old.organization.0, height, &former(card))).collect()
}

impl Service {
    /// Notes which cards end with a block that is about to be committed.
    pub(crate) fn note_former_cards(&self, block: &Block, after: &Membership) -> Result<(), Fatal> {
        let (before, mut writes) = (&self.state.membership, Vec::new());
        for body in &block.control {
            let (_, content) = Body::read(body, &self.network).map_err(Fatal::Contradiction)?;
            match Kind::from_code(content.kind) {
                Some(Kind::Practitioner) => {
                    writes.extend(ended_of_person(&content, block.height, before, after));
                }
                Some(Kind::Organization) => {
                    writes.extend(ended_of_organization(&content, block.height, before, after));
                }
                _ => {}
            }
        }
        self.write(&writes)
    }

    fn former(&self, of: &[u8; 32]) -> Result<Vec<(Former, u64)>, Fatal> {
        let mut cards = Vec::new();
        index::each(&*self.objects, FORMER, Some(of), |row| {
            cards.push((index::value(row)?, row.key.order));
            Ok(true)
        })?;
        Ok(cards)
    }

    /// Cards that a person had.
    pub(super) fn former_cards_of(&self, person: &PersonId) -> Result<Vec<FormerCard>, Fatal> {
        let card = |(former, until): (Former, u64)| {
            let authentication = former.authentication?;
            Some(FormerCard { signature: former.signature, authentication, until })
        };
        Ok(self.former(&person.0)?.into_iter().filter_map(card).collect())
    }

    /// Cards that an organization had, each with the height at which it ended.
    pub(super) fn former_cards_of_organization(
        &self,
        organization: &OrganizationId,
    ) -> Result<Vec<(VerifyingKey, u64)>, Fatal> {
        Ok(self
            .former(&organization.0)?
            .into_iter()
            .map(|(former, until)| (former.signature, until))
            .collect())
    }
}
