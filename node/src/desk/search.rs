//! Looking for a patient who has no card with him: one tap of the practitioner's card, and what the nodes answered.
//!
//! Whom the search is for is sealed to each node before anything leaves. The text of the tap doesn't say it: the hash of a
//! text that holds a name would tell it to whoever guesses.

use std::sync::Arc;

use hospes_protocol::context::Context;
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, NetworkId, NodeId, PatientId, PersonId};
use hospes_protocol::keys::AgreementKey;
use hospes_protocol::limits::SEARCH_NODES_MAX;
use hospes_protocol::patient::PatientKey;
use hospes_protocol::seal::envelope::seal_to;
use hospes_protocol::search::{SealedTerms, SearchEntry, SearchTerms};
use hospes_protocol::wire::{Bytes, Wire as _};
use hospes_service::emergency::{Candidate, Search};
use hospes_service::service::Service;
use zeroize::Zeroizing;

use super::break_glass::person;
use super::error::DeskError;
use super::sessions::Session;
use super::sign_in::name_of;
use super::taps::TapView;
use super::{Desk, random, text};
use crate::runtime::actor::clock_ms;

/// Somebody whom a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The search.
    pub(crate) search: ContentId,
    /// The place in its list, from 1.
    pub(crate) place: usize,
}

impl Desk {
    /// Looks for a patient: `{search}`. Answers come once it is final.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`]; [`DeskError::TooOften`] with when the next may be made; the tap says what else went wrong.
    pub(crate) async fn find_patient(
        &self,
        session: &Arc<Session>,
        terms: SearchTerms,
    ) -> Result<TapView, DeskError> {
        let (requester, organization) = person(session)?;
        terms.judge()?;
        let (nodes, named) = self
            .ask(move |service| {
                if let Some(next) = service.next_search(&requester)? {
                    return Err(DeskError::TooOften { next });
                }
                let nodes = service.state().membership.active_nodes().take(SEARCH_NODES_MAX);
                let nodes: Vec<_> = nodes.map(|(id, node)| (*id, node.agreement.clone())).collect();
                Ok((nodes, name_of(service, &organization)))
            })
            .await?;
        let (mut rng, network) = (random::generator()?, self.0.parts.network);
        let search = PatientId(random::bytes()?);
        let terms = sealed_to(nodes, &network, &terms)?;
        let payload = SearchEntry { search, requester, organization, at: clock_ms(), terms };
        payload.judge()?;
        let key = PatientKey::from_bytes(Zeroizing::new(random::bytes()?));
        let entry = self.0.place.entry(Kind::Search, &[], &payload, Some(key), &mut rng);
        self.sign_one(session, "patient-search", text::find_patient(&named), entry, "search")
    }

    /// A search of whoever is signed in, and what it came to.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`] for somebody else's; [`DeskError::Unknown`].
    pub(crate) async fn searched(
        &self,
        session: &Arc<Session>,
        search: ContentId,
    ) -> Result<Search, DeskError> {
        let (requester, _) = person(session)?;
        self.ask(move |service| search_of(service, &requester, &search)).await
    }
}

fn search_of(service: &mut Service, person: &PersonId, search: &ContentId) -> Result<Search, DeskError> {
    let found = service.search(search)?.ok_or(DeskError::Unknown("this search"))?;
    if found.entry.requester != *person {
        return Err(DeskError::NotAllowed("only who searched sees whom the search found"));
    }
    Ok(found)
}

/// Whom somebody chose of a search of his own.
pub(super) fn chosen(
    service: &mut Service,
    person: &PersonId,
    choice: &Choice,
) -> Result<Candidate, DeskError> {
    let people = search_of(service, person, &choice.search)?.people;
    let place = choice.place.checked_sub(1);
    place.and_then(|place| people.get(place)).cloned().ok_or(DeskError::Unknown("this place in the list"))
}

fn sealed_to(
    mut nodes: Vec<(NodeId, AgreementKey)>,
    network: &NetworkId,
    terms: &SearchTerms,
) -> Result<Vec<SealedTerms>, DeskError> {
    nodes.sort_by_key(|(node, _)| *node);
    let (plain, mut rng) = (Zeroizing::new(terms.encode()), random::generator()?);
    let mut one = |(node, key): (NodeId, AgreementKey)| {
        let sealed = Bytes(seal_to(&key, Context::Search, network, &plain, &mut rng)?);
        Ok(SealedTerms { node, sealed })
    };
    nodes.into_iter().map(&mut one).collect()
}
