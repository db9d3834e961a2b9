//! Searches for a patient without a card: by the card of the person who looks, now, and heard by everyone; a request rests on one's
//! own, soon after.
//!
//! Method: as for break-glass, in the same small federation. Every refusal stands beside the act that is permitted.

use super::emergency::{ANN, EVE, Judged, LOCKER, RON, ask, content, judged, world};
use super::world::*;
use crate::check::Check;
use crate::emergency::Tier;
use crate::entry::Kind;
use crate::ids::{ContentId, NodeId, PatientId};
use crate::limits::{SEARCH_MS_MAX, SIGNED_AHEAD_MS_MAX};
use crate::policy::Personal;
use crate::policy::audience::{Audience, audience};
use crate::search::{SealedTerms, SearchEntry};
use crate::wire::Bytes;

const SEARCH: ContentId = id(206);

fn search() -> SearchEntry {
    SearchEntry {
        search: PatientId([9; 32]),
        requester: ANN,
        organization: CITY,
        at: NOW,
        terms: vec![SealedTerms { node: NodeId([1; 32]), sealed: Bytes(vec![1]) }],
    }
}

/// An attack on a search that must be refused so; printed as a row of the table of attacks (`tests/attacks`).
fn row(attack: &str, found: Option<Check>, wanted: Check) {
    assert_eq!(found, Some(wanted), "{attack}");
    println!("| searches | {attack} | refused by check {} |", wanted.code());
}

#[test]
fn a_search_is_by_the_card_of_who_looks_and_of_now_and_everyone_hears_of_it() {
    let world = world();
    let by = |entry: &SearchEntry, who| {
        judged(&world).check(&content(Kind::Search, entry, entry.organization, &[]), who)
    };
    let good = search();
    assert_eq!(by(&good, &[ANN]), None, "by her who looks");
    row("a search by nobody's card", by(&good, &[]), Check::MissingSignature);
    row("a search by a colleague's card", by(&good, &[EVE]), Check::WrongSigner);
    let other = SearchEntry { organization: RURAL, ..search() };
    let elsewhere = judged(&world).check(&content(Kind::Search, &good, RURAL, &[]), &[ANN]);
    row("a search filed by another hospital", elsewhere, Check::NotAuthorized);
    assert!(by(&other, &[ANN]).is_some(), "nor in the name of one");
    let old = SearchEntry { at: NOW - SIGNED_AHEAD_MS_MAX - 1, ..search() };
    row("a search of another hour, filed now", by(&old, &[ANN]), Check::PeriodForm);
    let Audience::Organizations(told) =
        audience(&world.view, &SEARCH, &Personal::Search(good), NOW).expect("readable")
    else {
        panic!("a search is no block's")
    };
    assert!([HOME, CITY, RURAL].iter().all(|hospital| told.contains(hospital)), "every hospital: {told:?}");
}

#[test]
fn a_request_rests_on_its_requesters_own_search_of_that_night() {
    let mut world = world();
    world.put(SEARCH, Personal::Search(search()), Some(20), None);
    let on = [PATIENT, CARD, LOCKER, SEARCH];
    let asks = |world: &World, signed_at, who| {
        let entry = crate::emergency::RequestEntry {
            requester: who,
            organization: if who == RON { RURAL } else { CITY },
            until: signed_at + 1,
            ..ask(Tier::Summary)
        };
        let made = content(Kind::BreakGlassRequest, &entry, entry.organization, &on);
        Judged { signed_at, ..judged(world) }.check(&made, &[who])
    };
    assert_eq!(asks(&world, NOW, ANN), None, "on her own search");
    row("a request on a colleague's search", asks(&world, NOW, EVE), Check::StandsOnWrong);
    row("a request on another hospital's search", asks(&world, NOW, RON), Check::StandsOnWrong);
    assert_eq!(asks(&world, NOW + SEARCH_MS_MAX, ANN), None, "as long as a release lasts");
    let late = asks(&world, NOW + SEARCH_MS_MAX + 1, ANN);
    row("a request on a search of the night before", late, Check::PeriodForm);
    let bare = super::emergency::world();
    assert_eq!(asks(&bare, NOW, ANN), Some(Check::StandsOnMissing), "a search that nobody here has seen");
}
