//! Tier 4: what a hospital without a line must show for a release, and that it permits before it is final.
//!
//! Method: as the tests of the other tiers, with a committee of the City hospital's own and its witness card.

use super::emergency::*;
use super::world::*;
use crate::check::Check;
use crate::context::Context;
use crate::control::{CeremonyBlocks, CommitteeEntry, LocalCommittee, Roster, local_committee};
use crate::emergency::{EscrowRef, ReleaseEntry, RequestEntry, Tier, WitnessLink};
use crate::entry::Kind;
use crate::ids::{BlockHash, ContentId, NetworkId, OrganizationId};
use crate::limits::{EMERGENCY_BLOCKS_MAX, OFFLINE_MS_MAX};
use crate::personal::LockerEntry;
use crate::policy::{Personal, Rule};
use crate::sign1::sign1;
use crate::state::StandingCommittee;
use crate::wire::{Bytes, Wire};

const LOCAL: ContentId = id(214);
/// Rural's own.
const OTHERS: ContentId = id(215);
const WITNESS: u8 = 230;

fn local(id: ContentId, of: OrganizationId, people: &[u8], witness: u8) -> StandingCommittee {
    let entry = CommitteeEntry {
        name: local_committee(&of),
        roster: Roster::Guardians(people.iter().map(|n| person(of, *n)).collect()),
        shares_needed: 2,
        provers_needed: 2,
        previous: None,
        blocks: CeremonyBlocks { deal: 1, complain: 2, answer: 3, prove: 4 },
        local: Some(LocalCommittee {
            organization: of,
            witness: verifying(witness),
            agreement: agreement(witness),
        }),
    };
    StandingCommittee { id, height: 5, entry }
}

fn verifying(seed: u8) -> crate::keys::VerifyingKey {
    use crate::keys::Signer as _;
    signer(seed).verifying_key()
}

/// The patient named City and nobody else.
fn named() -> EscrowRef {
    EscrowRef { guardians: LOCAL, ledger: LOCAL, ..escrow(Tier::Offline) }
}

fn request() -> RequestEntry {
    RequestEntry {
        guardians: LOCAL,
        ledger: LOCAL,
        label: named().label(NET, &agreement(220), &HOME),
        ..ask(Tier::Offline)
    }
}

fn stage() -> World {
    let mut world = world();
    world.change(|members| {
        members.committees.push(local(LOCAL, CITY, &[1, 3, 4], WITNESS));
        members.committees.push(local(OTHERS, RURAL, &[1, 3], WITNESS + 1));
    });
    let mut escrows = locker().escrows;
    escrows.push(named());
    world.put(LOCKER, Personal::Locker(LockerEntry { escrows, ..locker() }), Some(3), Some(CARD));
    world.put(REQUEST, Personal::Request(Box::new(request())), Some(20), None);
    world
}

fn link(request: &RequestEntry) -> WitnessLink {
    WitnessLink {
        network: NET,
        organization: CITY,
        node: node_id(CITY),
        witness: verifying(WITNESS).id(),
        counter: 1,
        previous: [0; 32],
        request: REQUEST,
        requester: request.requester,
        label: crate::ids::sha256(&[&request.label.encode()]),
        at: NOW,
        after: request.after,
    }
}

fn signed(link: &WitnessLink, by: u8, context: Context) -> Option<Bytes> {
    Some(Bytes(sign1(&mut signer(by), context, &NET, &link.encode()).expect("software signs")))
}

fn release(world: &mut World, people: &[(u8, u64)], link: Option<Bytes>) -> ReleaseEntry {
    let approvals = people.iter().map(|(n, index)| approval(person(CITY, *n), *index, REQUEST)).collect();
    let release = ReleaseEntry {
        patient: ADA,
        request: REQUEST,
        approvals: sorted(approvals),
        signature: Some([9; 96]),
        presence: None,
        link,
    };
    verify(world, &request(), &release);
    release
}

#[test]
fn a_hospital_asks_for_its_own_escrow_by_its_own_committee() {
    let mut world = stage();
    assert_eq!(asks(&world, &request()), None, "the hospital that the patient named");
    let theirs =
        RequestEntry { requester: RON, organization: RURAL, guardians: OTHERS, ledger: OTHERS, ..request() };
    assert_eq!(
        asks(&world, &theirs),
        Some(Check::StandsOnWrong),
        "another asks for an escrow that isn't its own"
    );
    println!(
        "| offline | the escrow of the named hospital, asked for by another with its own committee | the request: the escrow's hospital is the requester's |"
    );
    let by_others = RequestEntry { guardians: OTHERS, ledger: OTHERS, ..request() };
    assert_eq!(asks(&world, &by_others), Some(Check::StandsOnWrong), "nor by the committee of another");
    let split = RequestEntry { ledger: committee_id(9), ..request() };
    assert_eq!(asks(&world, &split), Some(Check::ScopeForm), "the witness card stands for the validators");
    world.put(LOCKER, Personal::Locker(locker()), Some(3), Some(CARD));
    assert_eq!(asks(&world, &request()), Some(Check::StandsOnWrong), "nobody was named");
    println!("| offline | a hospital that the patient didn't name | the request: no such escrow |");
}

#[test]
fn it_releases_by_its_people_and_a_link_of_its_witness_card_over_this_request() {
    let mut world = stage();
    let good = signed(&link(&request()), WITNESS, Context::WitnessLink);
    let both = [(1, 1), (3, 2)];
    let whole = release(&mut world, &both, good.clone());
    assert_eq!(releases(&world, &whole), None, "two people, the requester among them, and the witness card");
    let one = release(&mut world, &both[..1], good.clone());
    assert_eq!(releases(&world, &one), Some(Check::MissingSignature), "one person is too few");
    println!(
        "| offline | t-1 guardians of the hospital with its witness card | people of the roster, counted |"
    );
    let none = release(&mut world, &both, None);
    assert_eq!(releases(&world, &none), Some(Check::ScopeForm), "without the witness card");
    println!("| offline | a release without its witness card | the release: it has no link |");
    let same = link(&request());
    let wrong: [(WitnessLink, u8, Check, &str); 7] = [
        (same.clone(), WITNESS + 1, Check::WrongSigner, "another hospital's witness card"),
        (WitnessLink { request: id(9), ..same.clone() }, WITNESS, Check::ContentMismatch, "another request"),
        (
            WitnessLink { requester: HAL, ..same.clone() },
            WITNESS,
            Check::ContentMismatch,
            "another requester",
        ),
        (WitnessLink { label: [0; 32], ..same.clone() }, WITNESS, Check::ContentMismatch, "another patient"),
        (WitnessLink { counter: 0, ..same.clone() }, WITNESS, Check::ContentMismatch, "no place in the log"),
        (
            WitnessLink { after: (9, BlockHash([9; 32])), ..same.clone() },
            WITNESS,
            Check::ContentMismatch,
            "another block",
        ),
        (WitnessLink { at: NOW + 1, ..same.clone() }, WITNESS, Check::PeriodForm, "a time to come"),
    ];
    for (link, by, check, what) in wrong {
        let link = WitnessLink { witness: verifying(by).id(), ..link };
        let release = release(&mut world, &both, signed(&link, by, Context::WitnessLink));
        assert_eq!(releases(&world, &release), Some(check), "{what}");
    }
    let presence = release(&mut world, &both, signed(&same, WITNESS, Context::Presence));
    assert_eq!(releases(&world, &presence), Some(Check::BadSignature), "a signature for another use");
    println!(
        "| offline | a link of another card, request, requester, patient or block | the release: the link names it whole |"
    );
    let online = ReleaseEntry { link: good, ..summary_release(&mut world) };
    assert_eq!(releases(&world, &online), Some(Check::ScopeForm), "a link on a release of another tier");
}

#[test]
fn a_hospital_opens_within_thirty_days_of_its_newest_block_and_no_later() {
    let mut world = stage();
    let signed = signed(&link(&request()), WITNESS, Context::WitnessLink);
    let whole = release(&mut world, &[(1, 1), (3, 2)], signed);
    world.view.block_times.insert(10, NOW - OFFLINE_MS_MAX);
    assert_eq!(releases(&world, &whole), None, "thirty days");
    world.view.block_times.insert(10, NOW - OFFLINE_MS_MAX - 1);
    assert_eq!(releases(&world, &whole), Some(Check::PeriodForm), "a moment more");
    println!(
        "| offline | a node that was cut off for more than 30 days | the release: the certified time of its newest block |"
    );
}

#[test]
fn it_permits_before_it_is_final_and_becomes_final_whenever_the_line_is_back() {
    let mut world = stage();
    let signed = signed(&link(&request()), WITNESS, Context::WitnessLink);
    let whole = release(&mut world, &[(1, 1), (3, 2)], signed);
    let content = content(Kind::Release, &whole, CITY, &[REQUEST]);
    let late = Judged { height: Some(11 + EMERGENCY_BLOCKS_MAX), ..judged(&world) };
    assert_eq!(late.check(&content, &[]), None, "many blocks later");
    assert_eq!(reads(&world, SUMMARY), Rule::NoGrant, "nothing is released yet");
    world.put(RELEASE, Personal::Release(whole), None, None);
    assert_eq!(reads(&world, SUMMARY), Rule::Emergency, "it opens the summary, pending as it is");
    assert_eq!(reads(&world, LAB), Rule::EmergencyScope, "and nothing else");
}

#[test]
fn another_network_reads_no_link() {
    let link = WitnessLink { network: NetworkId([8; 32]), ..link(&request()) };
    let mut world = stage();
    let release = release(&mut world, &[(1, 1), (3, 2)], signed(&link, WITNESS, Context::WitnessLink));
    assert_eq!(releases(&world, &release), Some(Check::ContentMismatch), "it names another network");
}
