//! What was said in each ceremony, in the order of the ledger.
//!
//! ```text
//! space        group       order                        item      value
//! ceremonies   committee   height * 2^20 + place        -         content
//! ```
//!
//! A row is written when a block makes a message final; the message itself stays where control bodies are. The ceremony is
//! made of the rows when it is asked for, and then kept in memory: a message that comes next is heard, one that comes
//! before others (the past is being filled in) makes all be made anew.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use hospes_breakglass::ceremony::{Ceremony, Plan, Refused, Said};
use hospes_breakglass::threshold::{Index, ThresholdKey};
use hospes_protocol::check::Rejected;
use hospes_protocol::control::DkgEntry;
use hospes_protocol::ids::ContentId;
use hospes_protocol::state::StandingCommittee;
use hospes_protocol::tap::Body;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_storage::{SealedKey, SealedRow, Write};

use super::{deadlines, place, threshold};
use crate::effects::Event;
use crate::service::{Fatal, Service};

/// Where the messages of a ceremony stand.
const CEREMONIES: &str = "ceremonies";
/// Headers of one block are fewer.
const PLACE_BITS: u32 = 20;
/// Rows that are read at a time.
const PAGE: usize = 256;

/// Ceremonies that were made.
#[derive(Default)]
pub(crate) struct Ceremonies(RefCell<BTreeMap<ContentId, Arc<Heard>>>);

impl Ceremonies {
    /// Forgets what can be made anew.
    pub(crate) fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}

/// One ceremony, as far as it was heard.
#[derive(Clone)]
pub(super) struct Heard {
    /// Null where there was no key to take over.
    pub(super) ceremony: Option<Ceremony>,
    /// The entry in which each dealer that counts dealt.
    deals: BTreeMap<Index, ContentId>,
    /// The order of the last message.
    last: u64,
}

impl Heard {
    /// The key, if it stands at `height`.
    pub(super) fn key(&self, height: u64) -> Option<ThresholdKey> {
        let ceremony = self.ceremony.as_ref()?;
        ceremony.stands_from().filter(|from| *from <= height)?;
        ceremony.key(height)
    }
}

/// A message, with where it stands.
struct Message {
    order: u64,
    content: ContentId,
    entry: DkgEntry,
}

impl Message {
    fn height(&self) -> u64 {
        self.order >> PLACE_BITS
    }

    fn key(&self) -> SealedKey {
        SealedKey::new(CEREMONIES, &self.entry.committee.0, self.order, &[])
    }
}

impl Service {
    /// A message of a ceremony became final with effect, as header `place` of its block.
    pub(crate) fn on_dkg_final(
        &mut self,
        height: u64,
        place: usize,
        content: &ContentId,
    ) -> Result<(), Fatal> {
        let Some(entry) = self.dkg_entry(content)? else { return Ok(()) };
        let order = (height << PLACE_BITS).saturating_add(place as u64);
        let message = Message { order, content: *content, entry };
        // A crash may have come after it was noted.
        if self.objects.sealed(&message.key())?.is_some() {
            return Ok(());
        }
        let committee = self.state.membership.committees.get(&message.entry.committee).cloned();
        // Made of what came before, so that it hears this, and what it refuses is told.
        if let Some(committee) = &committee {
            self.heard(committee)?;
        }
        let row = SealedRow { key: message.key(), patient: None, value: content.encode() };
        self.write(&[Write::Sealed(row)])?;
        self.hear_next(committee.as_ref(), &message);
        Ok(())
    }

    fn hear_next(&mut self, committee: Option<&StandingCommittee>, message: &Message) {
        let Some(committee) = committee else {
            // The past is being filled in.
            self.ceremonies.clear();
            return;
        };
        let id = committee.id;
        let kept = self.ceremonies.0.borrow_mut().remove(&id);
        match kept.filter(|heard| heard.last < message.order) {
            Some(mut heard) => {
                let refused = self.hear(Arc::make_mut(&mut heard), committee, message).err();
                self.ceremonies.0.borrow_mut().insert(id, heard);
                let sender = message.entry.sender.clone();
                self.event(Event::Ceremony { committee: id, sender, refused });
            }
            // Those that take its key over rest on it.
            None => self.ceremonies.clear(),
        }
    }

    /// Makes the ceremony hear a message.
    fn hear(
        &self,
        heard: &mut Heard,
        committee: &StandingCommittee,
        message: &Message,
    ) -> Result<(), Refused> {
        heard.last = message.order;
        let Some(ceremony) = heard.ceremony.as_mut() else { return Err(Refused::Untimely) };
        let said = Said::decode(&message.entry.said).map_err(|_| Refused::Unreadable)?;
        let roster = match said {
            Said::Deal(_) | Said::Answer(_) => self.dealing_roster(committee),
            Said::Complain(_) | Said::Prove(_) => &committee.entry.roster,
        };
        let from = place(roster, &message.entry.sender).ok_or(Refused::NoPlace)?;
        ceremony.hear(message.height(), from, &said)?;
        if matches!(said, Said::Deal(_)) {
            heard.deals.insert(from, message.content);
        }
        Ok(())
    }

    fn dkg_entry(&self, content: &ContentId) -> Result<Option<DkgEntry>, Fatal> {
        let Some(bytes) = self.ledger.control_body(content)? else { return Ok(None) };
        let read = || -> Result<DkgEntry, Rejected> {
            let (_, content) = Body::read(&bytes, &self.network)?;
            DkgEntry::decode(&content.payload)
        };
        read().map(Some).map_err(Fatal::Contradiction)
    }

    /// A committee's ceremony; null while the past in which it was held is not here.
    pub(super) fn heard(&self, committee: &StandingCommittee) -> Result<Option<Arc<Heard>>, Fatal> {
        if let Some(heard) = self.ceremonies.0.borrow().get(&committee.id) {
            return Ok(Some(heard.clone()));
        }
        if self.missing_history()?.is_some_and(|missing| missing.until >= committee.height) {
            return Ok(None);
        }
        let Some(plan) = self.plan(committee)? else { return Ok(None) };
        let ceremony = plan.and_then(|plan| Ceremony::begin(plan).ok());
        let mut heard = Heard { ceremony, deals: BTreeMap::new(), last: 0 };
        let mut after = None;
        loop {
            let rows = self.objects.sealed_rows(CEREMONIES, Some(&committee.id.0), after.as_ref(), PAGE)?;
            for row in &rows {
                let content = ContentId::decode(&row.value).map_err(Fatal::Contradiction)?;
                let Some(entry) = self.dkg_entry(&content)? else { continue };
                let message = Message { order: row.key.order, content, entry };
                // What was refused then is refused again.
                let _known = self.hear(&mut heard, committee, &message);
            }
            match rows.last() {
                Some(last) if rows.len() == PAGE => after = Some(last.key.clone()),
                _ => break,
            }
        }
        let heard = Arc::new(heard);
        self.ceremonies.0.borrow_mut().insert(committee.id, heard.clone());
        Ok(Some(heard))
    }

    /// What the ceremony is about: inner null where there is no key to take over, outer null where that isn't known here.
    #[allow(clippy::option_option, reason = "the two are different answers")]
    fn plan(&self, committee: &StandingCommittee) -> Result<Option<Option<Plan>>, Fatal> {
        let old = match committee.entry.previous.and_then(|id| self.state.membership.committees.get(&id)) {
            None => None,
            Some(previous) => {
                let Some(heard) = self.heard(previous)? else { return Ok(None) };
                // It stood before, and not by a message of the same block.
                match heard.key(committee.height.saturating_sub(1)) {
                    Some(key) => Some(key),
                    None => return Ok(Some(None)),
                }
            }
        };
        let provers = u16::try_from(committee.entry.provers_needed).ok();
        Ok(Some(threshold(&committee.entry).zip(provers).map(|(threshold, provers_needed)| Plan {
            network: self.network,
            entry: committee.id,
            threshold,
            provers_needed,
            deadlines: deadlines(committee),
            old,
        })))
    }

    /// What each dealer that counts sealed to the member at `receiver`.
    pub(super) fn sealed_to(&self, heard: &Heard, receiver: Index) -> Result<BTreeMap<Index, Bytes>, Fatal> {
        let mut sealed = BTreeMap::new();
        for (dealer, content) in &heard.deals {
            let Some(entry) = self.dkg_entry(content)? else { continue };
            let Ok(Said::Deal(deal)) = Said::decode(&entry.said) else { continue };
            let mine = deal.sealed.into_iter().nth(usize::from(receiver.get()) - 1);
            sealed.extend(mine.map(|bytes| (*dealer, bytes)));
        }
        Ok(sealed)
    }
}
