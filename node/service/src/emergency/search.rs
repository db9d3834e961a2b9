//! Finding a patient who has no card with him: a search is filed and final before anybody answers it.
//!
//! ```text
//! requester's node            every member's nodes
//! files the search  ------>   body, by its audience
//! ...final: a block has it ...
//!                   <------   whom it found among the patients enrolled there; noted for each of them
//! ```
//!
//! A node answers a body that it judged itself, once it is final there, and each search once: what it found, the note that a
//! patient reads, and that it answered are one write. Who looks too often gets no answer, whatever that person's own node lets
//! pass. What is looked for is opened here and kept nowhere.

use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::context::Context;
use hospes_protocol::emergency::Tier;
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, KeyId, NodeId, OrganizationId, PatientId, PersonId, sha256};
use hospes_protocol::patient::Identity;
use hospes_protocol::policy::Personal;
use hospes_protocol::seal::envelope::{Envelope, seal_to};
use hospes_protocol::search::{SearchEntry, SearchTerms};
use hospes_protocol::wire::{Bytes, Dec, Enc, Wire};
use hospes_protocol::{wire_struct, wire_union};
use hospes_storage::{SealedKey, SealedRow, Write};
use zeroize::Zeroizing;

use super::share::Share;
use crate::effects::Event;
use crate::records::{EntryState, index as rows};
use crate::service::{Fatal, Service};

/// People that a search finds, at most; of more, nobody is shown.
pub const CANDIDATES_MAX: usize = 5;
/// Searches of one person in an hour, at most.
pub const SEARCHES_MAX: usize = 10;
/// The hour.
pub const SEARCHES_MS: u64 = 60 * 60 * 1000;

/// Who was enrolled here: group is the date of birth, item the pseudonym, value an [`Identity`].
const ENROLLED: &str = "enrolled";
/// Searches that this node has answered.
const ANSWERED: &str = "searches-answered";
/// What nodes answered a search of this node, in the order in which it came; group is the search, item the node.
const ANSWERS: &str = "search-answers";
/// Who found a patient, by patient and time; item is the search.
const FOUND_BY_NAME: &str = "found-by-name";

/// Somebody who was found, as little of him as tells him from others.
#[derive(Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Given and family name.
    pub name: String,
    /// Of birth.
    pub year: String,
    /// The home organization.
    pub home: OrganizationId,
    /// A key of the card, by which others are asked for what a request stands on, and SHA-256 of the escrow's label; null
    /// for somebody without an escrow.
    pub escrow: Option<(KeyId, [u8; 32])>,
}

impl std::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Candidate(..)")
    }
}

impl Wire for Candidate {
    fn put(&self, e: &mut Enc) {
        e.array(4).text(&self.name).text(&self.year);
        self.home.put(e);
        self.escrow.put(e);
    }

    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        d.array_of(4)?;
        Ok(Self { name: Wire::get(d)?, year: Wire::get(d)?, home: Wire::get(d)?, escrow: Wire::get(d)? })
    }
}

wire_union! {
    /// What one node found.
    pub enum Found {
        /// These people, [`CANDIDATES_MAX`] at most.
        People(Vec<Candidate>) = 1,
        /// More of them: how many were counted.
        TooMany(u64) = 2,
    }
}

wire_struct! {
    /// An answer on its way to the node at which somebody looks.
    pub struct FoundShare {
        /// The search.
        pub search: ContentId,
        /// COSE_Encrypt of a [`Found`], sealed to that node.
        pub sealed: Bytes,
    }
}

/// A search, and what it came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// What it says.
    pub entry: SearchEntry,
    /// How far it is.
    pub state: EntryState,
    /// Nodes that answered.
    pub answered: usize,
    /// Who was found, in the order of the answers; nobody where there are too many.
    pub people: Vec<Candidate>,
    /// Whether there are more than [`CANDIDATES_MAX`].
    pub too_many: bool,
}

/// That somebody found a patient, or asked for his entries by a key of his card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundBy {
    /// When, in milliseconds since 1970 UTC.
    pub at: u64,
    /// Who.
    pub person: PersonId,
    /// The search; null for who had the card.
    pub search: Option<ContentId>,
}

/// The row by which somebody enrolled here is found.
#[must_use]
pub fn enrolled_row(patient: &PatientId, identity: &Identity) -> SealedRow {
    SealedRow { key: enrolled_key(patient, identity), patient: Some(*patient), value: identity.encode() }
}

/// Its key.
#[must_use]
pub fn enrolled_key(patient: &PatientId, identity: &Identity) -> SealedKey {
    SealedKey::new(ENROLLED, identity.birth_date.as_bytes(), 0, &patient.0)
}

impl Service {
    /// When a person may search again, in milliseconds since 1970 UTC; null for at once.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn next_search(&self, person: &PersonId) -> Result<Option<u64>, Fatal> {
        let made = self.searches_of(person, self.now.saturating_sub(SEARCHES_MS))?;
        let eldest = made.len().checked_sub(SEARCHES_MAX).and_then(|first| made.get(first));
        Ok(eldest.map(|(at, _)| at.saturating_add(SEARCHES_MS)))
    }

    /// A person's searches after a time, the eldest first.
    fn searches_of(&self, person: &PersonId, after: u64) -> Result<Vec<(u64, ContentId)>, Fatal> {
        let mut made = Vec::new();
        for (at, id, by) in self.searches_since(after)? {
            if by == *person {
                made.push((at, id));
            }
        }
        Ok(made)
    }

    fn searches_since(&self, after: u64) -> Result<Vec<(u64, ContentId, PersonId)>, Fatal> {
        let mut made = Vec::new();
        let mut last = SealedKey::new(rows::SEARCHES, &[], after, &[0xff; 33]);
        loop {
            let page = self.objects.sealed_rows(rows::SEARCHES, None, Some(&last), rows::PAGE)?;
            for row in &page {
                made.push((row.key.order, rows::content_of(row)?, rows::value(row)?));
            }
            match page.last() {
                Some(row) if page.len() == rows::PAGE => last = row.key.clone(),
                _ => return Ok(made),
            }
        }
    }

    /// Answers the searches that are final and have none from here.
    pub(super) fn answer_searches(&mut self) -> Result<(), Fatal> {
        for (_, id, _) in self.searches_since(self.now.saturating_sub(SEARCHES_MS))? {
            let answered = SealedKey::new(ANSWERED, &[], 0, &id.0);
            if self.objects.sealed(&answered)?.is_some() {
                continue;
            }
            let Some(known) = self.known_entry(&id)?.filter(|known| known.height.is_some()) else { continue };
            let Personal::Search(search) = known.entry else { continue };
            self.answer_search(&id, &search, answered)?;
        }
        Ok(())
    }

    fn answer_search(
        &mut self,
        id: &ContentId,
        search: &SearchEntry,
        answered: SealedKey,
    ) -> Result<(), Fatal> {
        let done = SealedRow { key: answered, patient: None, value: Vec::new() };
        let mut writes = vec![Write::Sealed(done)];
        let (to, terms) = (self.requester_node(id)?, self.terms_of(search));
        if let (Some(to), Some(terms), false) = (to, terms, self.is_beyond(id, search)?) {
            let found = self.found_among(&terms)?;
            for (patient, _) in found.iter().filter(|_| found.len() <= CANDIDATES_MAX) {
                let key = SealedKey::new(FOUND_BY_NAME, &patient.0, self.now, &id.0);
                let value = search.requester.encode();
                writes.push(Write::Sealed(SealedRow { key, patient: Some(*patient), value }));
            }
            writes.extend(self.send_found(&to, id, found)?);
        }
        self.write(&writes)
    }

    /// Whether so many searches of that person's came in the hour before this one that it gets no answer.
    fn is_beyond(&self, id: &ContentId, search: &SearchEntry) -> Result<bool, Fatal> {
        let made = self.searches_of(&search.requester, search.at.saturating_sub(SEARCHES_MS))?;
        Ok(made.iter().filter(|other| **other < (search.at, *id)).count() >= SEARCHES_MAX)
    }

    fn terms_of(&mut self, search: &SearchEntry) -> Option<SearchTerms> {
        let sealed = &search.terms.iter().find(|terms| terms.node == self.me.node)?.sealed;
        let opened = Envelope::parse(sealed).ok()?;
        let plain = opened.open(&mut self.me.agreement, Context::Search, &self.network).ok()?;
        SearchTerms::decode(&plain).ok().filter(|terms| terms.judge().is_ok())
    }

    /// Those who are at home here and are meant, one more than are shown at the most.
    fn found_among(&self, terms: &SearchTerms) -> Result<Vec<(PatientId, Identity)>, Fatal> {
        let mut found = Vec::new();
        rows::each(&*self.objects, ENROLLED, Some(terms.birth_date.as_bytes()), |row| {
            let identity = Identity::decode(&row.value).map_err(Fatal::Contradiction)?;
            let patient = PatientId(rows::id32(&row.key.item)?);
            if terms.are_of(&identity) && self.is_home(&patient, &self.me.organization)? {
                found.push((patient, identity));
            }
            Ok(found.len() <= CANDIDATES_MAX)
        })?;
        Ok(found)
    }

    fn send_found(
        &mut self,
        to: &NodeId,
        id: &ContentId,
        found: Vec<(PatientId, Identity)>,
    ) -> Result<Vec<Write>, Fatal> {
        let Some(reader) = self.state.membership.node(to).map(|node| node.agreement.clone()) else {
            return Ok(Vec::new());
        };
        let answer = if found.len() > CANDIDATES_MAX {
            Found::TooMany(u64::try_from(found.len()).unwrap_or(u64::MAX))
        } else {
            let people = found.iter().map(|(patient, who)| self.candidate(patient, who));
            Found::People(people.collect::<Result<_, _>>()?)
        };
        let mut rng = self.me.sealing_rng(&[b"found", &id.0]);
        let plain = Zeroizing::new(answer.encode());
        let sealed = seal_to(&reader, Context::Found, &self.network, &plain, &mut rng);
        let share = FoundShare { search: *id, sealed: Bytes(sealed.map_err(Fatal::Contradiction)?) };
        if *to == self.me.node {
            self.event(Event::ShareCame(*id));
            return Ok(vec![self.answer_row(to, &share)]);
        }
        self.owe_share(to, &Share::Found(share))
    }

    fn candidate(&self, patient: &PatientId, who: &Identity) -> Result<Candidate, Fatal> {
        let mut basis = None;
        for tier in [Tier::Summary, Tier::Full] {
            if basis.is_none() {
                basis = self.escrow_of(patient, tier)?;
            }
        }
        let escrow = basis.map(|basis| {
            let label = basis.escrow.label(self.network, &basis.card_key, &basis.home);
            (basis.card_key.id(), sha256(&[&label.encode()]))
        });
        let given = who.given.join(" ");
        let name = [given.as_str(), who.family.as_str()].join(" ").trim().chars().take(80).collect();
        let year = who.birth_date.chars().take(4).collect();
        Ok(Candidate { name, year, home: self.me.organization, escrow })
    }

    fn answer_row(&self, from: &NodeId, share: &FoundShare) -> Write {
        let key = SealedKey::new(ANSWERS, &share.search.0, self.now, &from.0);
        Write::Sealed(SealedRow { key, patient: None, value: share.sealed.0.clone() })
    }

    /// What a node answers to a search of this node's; its first answer counts.
    pub(super) fn take_found(
        &mut self,
        from: &NodeId,
        share: &FoundShare,
    ) -> Result<Result<(), Rejected>, Fatal> {
        let Some((_, Personal::Search(search))) = self.entry(&share.search)? else {
            return Ok(Err(Check::StandsOnMissing.into()));
        };
        let asked = search.terms.iter().any(|terms| terms.node == *from);
        let mine = self.requester_node(&share.search)? == Some(self.me.node);
        if let Err(rejected) = ensure(asked && mine, Check::NotEntitled) {
            return Ok(Err(rejected));
        }
        let mut again = false;
        rows::each(&*self.objects, ANSWERS, Some(&share.search.0), |row| {
            again |= row.key.item == from.0;
            Ok(!again)
        })?;
        if !again {
            self.write(&[self.answer_row(from, share)])?;
            self.event(Event::ShareCame(share.search));
        }
        Ok(Ok(()))
    }

    /// A search of this node's and what it came to.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn search(&mut self, id: &ContentId) -> Result<Option<Search>, Fatal> {
        let Some(known) = self.known_entry(id)? else { return Ok(None) };
        let (Personal::Search(entry), Some(state)) = (known.entry, self.entry_state(id)?) else {
            return Ok(None);
        };
        let mut sealed = Vec::new();
        rows::each(&*self.objects, ANSWERS, Some(&id.0), |row| {
            sealed.push(row.value.clone());
            Ok(true)
        })?;
        let mut search = Search { entry, state, answered: sealed.len(), people: Vec::new(), too_many: false };
        for answer in &sealed {
            match self.opened_answer(answer) {
                Some(Found::People(people)) => search.people.extend(people),
                Some(Found::TooMany(_)) => search.too_many = true,
                // An answer that says nothing finds nobody.
                None => {}
            }
        }
        search.too_many |= search.people.len() > CANDIDATES_MAX;
        if search.too_many {
            search.people.clear();
        }
        Ok(Some(search))
    }

    /// The search that a request stands on.
    pub(super) fn search_of(&self, request: &ContentId) -> Result<Option<ContentId>, Fatal> {
        Ok(self.stood_on(request, Kind::Search)?.map(|(id, _)| id))
    }

    fn opened_answer(&mut self, sealed: &[u8]) -> Option<Found> {
        let opened = Envelope::parse(sealed).ok()?;
        let plain = opened.open(&mut self.me.agreement, Context::Found, &self.network).ok()?;
        Found::decode(&plain).ok()
    }

    /// Who found a patient here, by name or by the card, the newest first.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn found_of(&self, patient: &PatientId) -> Result<Vec<FoundBy>, Fatal> {
        let mut list = Vec::new();
        rows::each(&*self.objects, FOUND_BY_NAME, Some(&patient.0), |row| {
            let search = Some(rows::content_of(row)?);
            list.push(FoundBy { at: row.key.order, person: rows::value(row)?, search });
            Ok(true)
        })?;
        rows::each(&*self.objects, super::find::FOUND, Some(&patient.0), |row| {
            let person = row.key.item.get(..32).unwrap_or_default();
            list.push(FoundBy { at: row.key.order, person: PersonId(rows::id32(person)?), search: None });
            Ok(true)
        })?;
        list.sort_by_key(|found| std::cmp::Reverse(found.at));
        Ok(list)
    }
}
