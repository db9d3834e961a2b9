//! Each limit of INTERFACES 4 that bytes can reach: at it accepted, one over it refused by its number, within memory.
//!
//! Those that only sockets and disks have are tested beside them: gossip, requests, answers, frames and connections in
//! `node/net/tests/net`, the stored segment in `storage/tests/it/holding.rs`, the record of 64 GiB in
//! `protocol/src/seal`. Replay: cargo test -p hospes-tests --test hostile limits:: -- --nocapture

use hospes_protocol::block::{Block, Cut, Validator, ValidatorSet};
use hospes_protocol::check::{Check, Rejected};
use hospes_protocol::entry::{Content, Header};
use hospes_protocol::ids::{ContentId, HeaderId, Lock, ObjectId, Reveal, StateRoot, ValidatorsHash};
use hospes_protocol::limits::{
    ANSWER_BYTES_MAX, BLOCK_BYTES_MAX, BODY_BYTES_MAX, CLOCK_SKEW_MS_MAX, CONTENT_BYTES_MAX,
    GOSSIP_BYTES_MAX, HEADER_BYTES_MAX, HEADERS_PER_ORGANIZATION_MAX, MANIFEST_PAGE_IDS, NESTING_MAX,
    REVEALS_MAX, SIGNED_AHEAD_MS_MAX, STANDS_ON_MAX, TAP_CONTENTS_MAX, VALIDATORS_MAX,
};
use hospes_protocol::seal::layout::Layout;
use hospes_protocol::seal::manifest::{PageFields, RootPage};
use hospes_protocol::state::{Draft, LedgerState};
use hospes_protocol::tap::{Body, merkle_climb};
use hospes_protocol::wire::{Bytes, Enc, Wire as _};
use hospes_service::messages::{Answer, Channel, Gossip, MESSAGE_ITEMS_MAX, Request};

use crate::decoders::{DECODERS, NET, Outcome};
use crate::heap::{alone, peak_of};
use crate::seeds::{kept, vector};
use crate::victim::{T0, Victim, node, organization, signer};

fn refused<T>(check: Check) -> Result<T, Rejected> {
    Err(check.into())
}

/// Reads within so many bytes of memory for each byte of the input.
fn within<T>(bytes: &[u8], per_byte: usize, read: impl FnOnce(&[u8]) -> T) -> T {
    let (value, peak) = peak_of(|| read(bytes));
    assert!(peak < per_byte * bytes.len() + 64 * 1024, "{peak} bytes of memory for {}", bytes.len());
    value
}

/// The vector's content with a payload that makes it `size` bytes.
fn content_of(size: usize) -> Vec<u8> {
    let mut content = Content::decode(&vector("content")).unwrap();
    content.payload = Bytes(vec![0; size - 512]);
    let more = size - content.encode().len();
    content.payload.0.resize(size - 512 + more, 0);
    content.encode()
}

#[test]
fn a_header_has_at_most_a_kilobyte() {
    let _alone = alone();
    let victim = Victim::new();
    let network = victim.genesis.network();
    let widest = |reveals: u8| {
        victim.header(1, |fields| {
            fields.sequence = u64::MAX;
            fields.previous = Some(HeaderId([0xff; 32]));
            fields.lock = Some(Lock([0xff; 32]));
            fields.reveal = (0..reveals).map(|n| Reveal([n; 32])).collect();
            fields.signed_at = u64::MAX;
        })
    };
    let most = widest(u8::try_from(REVEALS_MAX).unwrap()).header;
    assert!(most.len() <= HEADER_BYTES_MAX, "every field at its widest fits: {} bytes", most.len());
    assert!(within(&most, 64, |b| Header::read(b, &network)).is_ok(), "and reads");
    let more = widest(u8::try_from(REVEALS_MAX).unwrap() + 1).header;
    assert_eq!(Header::read(&more, &network).err(), Some(Check::WrongReveal.into()), "a ninth reveal");
    let at = vec![0x9f; HEADER_BYTES_MAX];
    assert_eq!(Header::read(&at, &network).err(), Some(Check::Malformed.into()), "a kilobyte is looked at");
    let over = vec![0x9f; HEADER_BYTES_MAX + 1];
    assert_eq!(Header::read(&over, &network).err(), Some(Check::TooLarge.into()), "one byte more isn't");
}

#[test]
fn a_content_has_at_most_64_kib_and_stands_on_at_most_64() {
    let _alone = alone();
    let at = content_of(CONTENT_BYTES_MAX);
    assert_eq!(at.len(), CONTENT_BYTES_MAX, "as large as it may be");
    assert!(within(&at, 8, |b| Content::read(b, &NET)).is_ok(), "and accepted");
    let over = content_of(CONTENT_BYTES_MAX + 1);
    assert_eq!(within(&over, 1, |b| Content::read(b, &NET)), refused(Check::TooLarge), "one byte more");
    let standing = |count: u8| {
        let mut content = Content::decode(&vector("content")).unwrap();
        content.stands_on = (0..count).map(|n| ContentId([n; 32])).collect();
        Content::read(&content.encode(), &NET).map(drop)
    };
    assert_eq!(standing(u8::try_from(STANDS_ON_MAX).unwrap()), Ok(()), "on 64 others");
    assert_eq!(standing(u8::try_from(STANDS_ON_MAX).unwrap() + 1), refused(Check::ScopeForm), "on 65");
}

#[test]
fn a_body_has_at_most_64_signatures_and_128_kib() {
    let _alone = alone();
    let mut body = Body::decode(&vector("body")).unwrap();
    let one = body.signatures[0].clone();
    body.signatures = vec![one.clone(); 64];
    assert!(within(&body.encode(), 8, |b| Body::read(b, &NET)).is_ok(), "64 signatures");
    body.signatures.push(one);
    assert_eq!(Body::read(&body.encode(), &NET).err(), Some(Check::TooLarge.into()), "65");
    let over = vec![0x80; BODY_BYTES_MAX + 1];
    assert_eq!(within(&over, 1, |b| Body::read(b, &NET)).err(), Some(Check::TooLarge.into()), "too long");
}

#[test]
fn a_block_has_at_most_a_mebibyte() {
    let _alone = alone();
    let of = |size: usize| {
        let mut block = Block::decode(&vector("block")).unwrap();
        block.control = vec![Bytes(vec![0; size - 2048])];
        let more = size - block.encode().len();
        block.control = vec![Bytes(vec![0; size - 2048 + more])];
        block.encode()
    };
    let at = of(BLOCK_BYTES_MAX);
    assert_eq!(at.len(), BLOCK_BYTES_MAX, "as large as it may be");
    assert!(within(&at, 8, |b| Block::read(b, &NET)).is_ok(), "and accepted");
    let over = of(BLOCK_BYTES_MAX + 1);
    assert_eq!(within(&over, 1, |b| Block::read(b, &NET)), refused(Check::TooLarge), "one byte more");
    let mut crowded = Block::decode(&vector("block")).unwrap();
    crowded.control = vec![Bytes::default(); BLOCK_BYTES_MAX - 4096];
    let crowded = crowded.encode();
    assert!(
        within(&crowded, 96, |b| Block::read(b, &NET)).is_ok(),
        "a million empty bodies take 96 MiB at most"
    );
}

#[test]
fn a_validator_set_has_at_most_64() {
    let _alone = alone();
    let set = |count: u8| {
        let one = |n: u8| Validator {
            node: node(n),
            organization: organization(n),
            key: signer(n).verifying_key(),
        };
        let mut all: Vec<_> = (0..count).map(one).collect();
        all.sort_by_key(|v| v.node);
        ValidatorSet::new(all).map(drop)
    };
    use hospes_protocol::keys::Signer as _;
    assert_eq!(set(u8::try_from(VALIDATORS_MAX).unwrap()), Ok(()), "64");
    assert_eq!(set(u8::try_from(VALIDATORS_MAX).unwrap() + 1), refused(Check::ScopeForm), "65");
}

#[test]
fn a_tap_has_at_most_4096_contents() {
    let _alone = alone();
    let path = |leaves: usize| vec![[7; 32]; leaves.next_power_of_two().trailing_zeros() as usize];
    let climb = |leaves: usize| merkle_climb(&ContentId([1; 32]), 0, leaves as u64, &path(leaves)).map(drop);
    assert_eq!(climb(TAP_CONTENTS_MAX), Ok(()), "4,096");
    assert_eq!(climb(TAP_CONTENTS_MAX + 1), refused(Check::TapPath), "4,097");
}

#[test]
fn a_manifest_page_lists_at_most_1024_segments() {
    let _alone = alone();
    let read = |ids: u64, segments: u64| {
        let segments: Vec<_> = (0..segments).map(|n| ObjectId::of_segment(&n.to_be_bytes())).collect();
        let page = PageFields { format: 1, segments }.encode();
        let size = ids * hospes_protocol::seal::layout::SEGMENT_PLAIN_BYTES as u64;
        let layout = Layout::of_size(size).unwrap();
        let (sealed_size, count) = (layout.sealed_size(), layout.segments());
        let record = hospes_protocol::ids::RecordId([1; 32]);
        let pages = vec![ObjectId::of_structured(&page)];
        let root = RootPage { format: 1, record, size, sealed_size, segments: count, pages };
        within(&page, 8, |page| root.page(0, page).map(drop))
    };
    let most = MANIFEST_PAGE_IDS as u64;
    assert_eq!(read(most, most), Ok(()), "1,024");
    assert!(read(most + 1, most + 1).is_err(), "1,025, though the root speaks of as many");
}

/// How deep a value nests, heads read as they come.
fn depth(bytes: &[u8]) -> usize {
    let (mut deepest, mut open, mut at) = (0, Vec::<u64>::new(), 0);
    while at < bytes.len() {
        let (major, low) = (bytes[at] >> 5, bytes[at] & 0x1f);
        let more = match low {
            0..=23 => 0,
            24 => 1,
            25 => 2,
            26 => 4,
            _ => 8,
        };
        let argument = bytes[at + 1..=at + more].iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        let argument = if more == 0 { u64::from(low) } else { argument };
        at += 1 + more;
        match major {
            2 | 3 => at += usize::try_from(argument).unwrap(),
            4 => open.push(argument + 1),
            5 => open.push(2 * argument + 1),
            _ => {}
        }
        deepest = deepest.max(open.len());
        while let Some(left) = open.last_mut() {
            *left -= 1;
            if *left > 0 {
                break;
            }
            open.pop();
        }
    }
    deepest
}

#[test]
fn nothing_nests_deeper_than_16() {
    let _alone = alone();
    assert_eq!((depth(&[0x01]), depth(&[0x81, 0x81, 0x01])), (0, 2), "the measure");
    let cbor = |d: &&crate::decoders::Decoder| {
        !["fhir", "ccda", "dicom", "pdf", "greeting", "plain-frames", "tagged-frames"].contains(&d.name)
    };
    let mut deepest = 0;
    for decoder in DECODERS.iter().filter(cbor) {
        let good = kept(decoder.name).into_iter().filter(|(_, b)| (decoder.run)(b) != Outcome::Refused);
        deepest = good.map(|(_, bytes)| depth(&bytes)).max().unwrap_or_default().max(deepest);
        for levels in [NESTING_MAX + 1, 10_000, 1_000_000] {
            let nested = [vec![0x81; levels], vec![0x80]].concat();
            let outcome = within(&nested, 96, |b| (decoder.run)(b));
            assert_eq!(outcome, Outcome::Refused, "{} at {levels} levels", decoder.name);
        }
    }
    eprintln!("the deepest kept input that reads nests {deepest} levels");
    assert!((4..=NESTING_MAX).contains(&deepest), "what is lawful nests within the limit: {deepest}");
}

/// So many headers of one organization in one block.
fn ordered(victim: &Victim, count: usize, change: impl Fn(&mut u64), time: u64) -> Result<(), Rejected> {
    let state = LedgerState::genesis(&victim.genesis).unwrap();
    let (mut headers, mut previous) = (Vec::new(), None);
    for sequence in 1..=count as u64 {
        let item = victim.header(1, |fields| {
            (fields.sequence, fields.previous) = (sequence, previous);
            change(&mut fields.signed_at);
        });
        let header = Header::read(&item.header, &victim.genesis.network()).unwrap();
        previous = Some(header.id());
        headers.push(header);
    }
    let last = previous.unwrap();
    let cuts = [Cut { node: node(1), from: 1, to: count as u64, last }];
    let draft = Draft { time, cuts: &cuts, headers: &headers, control: &[], forks: &[] };
    state.execute(&draft).map(drop)
}

#[test]
fn an_organization_has_at_most_2000_headers_in_a_block() {
    let _alone = alone();
    let victim = Victim::new();
    assert_eq!(ordered(&victim, HEADERS_PER_ORGANIZATION_MAX, |_| (), T0), Ok(()), "2,000");
    let more = ordered(&victim, HEADERS_PER_ORGANIZATION_MAX + 1, |_| (), T0);
    assert_eq!(more, refused(Check::CapExceeded), "2,001");
}

#[test]
fn an_entry_is_signed_at_most_five_minutes_ahead_of_its_block() {
    let _alone = alone();
    let victim = Victim::new();
    let signed = |ahead: u64| ordered(&victim, 1, |at| *at = T0 + ahead, T0);
    assert_eq!(signed(SIGNED_AHEAD_MS_MAX), Ok(()), "five minutes");
    assert_eq!(signed(SIGNED_AHEAD_MS_MAX + 1), refused(Check::AheadOfTime), "a millisecond more");
    assert_eq!(
        ordered(&victim, 1, |at| *at = u64::MAX - 1, u64::MAX - 1),
        Ok(()),
        "the end of time overflows nothing"
    );
}

#[test]
fn a_proposer_is_at_most_five_seconds_ahead_of_its_voters() {
    let _alone = alone();
    let victim = Victim::new();
    let state = LedgerState::genesis(&victim.genesis).unwrap();
    let judged = |time: u64, now: u64| {
        let draft = Draft { time, cuts: &[], headers: &[], control: &[], forks: &[] };
        let executed = state.execute(&draft).unwrap();
        let block = Block::over(&state, &draft, &executed, node(1));
        state.judge(&block, &[], Some(now)).map(drop)
    };
    assert_eq!(judged(T0 + CLOCK_SKEW_MS_MAX, T0), Ok(()), "five seconds");
    assert_eq!(judged(T0 + CLOCK_SKEW_MS_MAX + 1, T0), refused(Check::TimeAhead), "a millisecond more");
    assert_eq!(judged(T0, T0 + 3_600_000), Ok(()), "behind by an hour is no fault");
}

/// The encoding of a list of `count` empty byte strings, as the value of a message with this number.
fn crowd(number: u64, count: usize) -> Vec<u8> {
    let mut message = Enc::default();
    message.array(2).u64(number).array(count);
    [message.into_bytes(), vec![0x40; count]].concat()
}

#[test]
fn messages_take_memory_in_proportion_at_the_largest_that_the_transport_lets_in() {
    let _alone = alone();
    let packets = 8;
    let read = |bytes: &[u8]| hospes_service::messages::read::<Answer>(bytes).map(drop);
    // Two items are the message and its number, one the list.
    let most = crowd(packets, MESSAGE_ITEMS_MAX - 3);
    assert_eq!(within(&most, 96, read), Ok(()), "as many items as there may be");
    assert_eq!(within(&crowd(packets, MESSAGE_ITEMS_MAX - 2), 1, read), refused(Check::TooLarge), "one more");
    let largest = crowd(packets, ANSWER_BYTES_MAX - 16);
    assert_eq!(within(&largest, 1, read), refused(Check::TooLarge), "an answer that is nothing but items");
    let large = Answer::Packets(vec![Bytes(vec![0; ANSWER_BYTES_MAX / 2 - 16]); 2]).encode();
    assert!(within(&large, 4, hospes_service::messages::read::<Answer>).is_ok(), "an honest large one reads");
    for (what, bytes) in [
        ("request", crowd(7, 64 * 1024 - 16)),
        ("gossip", crowd(1, GOSSIP_BYTES_MAX - 16)),
        ("channel", [&[0x82, 2, 0x5a, 0, 0x10, 0, 0][..], &vec![0; 0x0010_0000]].concat()),
    ] {
        let (_, peak) = peak_of(|| {
            let _request = hospes_service::messages::read::<Request>(&bytes).is_ok();
            let _gossip = hospes_service::messages::read::<Gossip>(&bytes).is_ok();
            hospes_service::messages::read::<Channel>(&bytes).is_ok()
        });
        assert!(peak < 8 * 1024 * 1024, "a full {what} takes {peak} bytes");
    }
}

#[test]
fn a_node_under_a_flood_of_the_largest_messages_keeps_its_memory() {
    let _alone = alone();
    let mut victim = Victim::new();
    let messages = [
        Channel::Block(Bytes(crowd(1, BLOCK_BYTES_MAX - 16))).encode(),
        crowd(3, BLOCK_BYTES_MAX),
        Gossip::Headers(Vec::new()).encode(),
        crowd(1, GOSSIP_BYTES_MAX - 16),
    ];
    let mut take = |rounds: u64| {
        for n in 0..rounds {
            let peer = node(1 + u8::try_from(n % 3).unwrap());
            for message in &messages {
                victim.does(|s| s.on_channel(peer, message)).unwrap();
                victim.does(|s| s.on_gossip(peer, message).map(drop)).unwrap();
            }
            let junk = hash_block(&victim, n);
            victim.does(|s| s.on_channel(peer, &junk)).unwrap();
        }
        victim.blamed.clear();
    };
    take(60);
    let ((), peak) = peak_of(|| take(300));
    eprintln!("a flood of 300 rounds of the largest messages takes {peak} bytes more than one of 60");
    assert!(peak < 16 * 1024 * 1024, "what was full stays as full: {peak} bytes");
    assert!(victim.is_well(), "and the node answers");
}

/// A block for the next height that nobody needs, different for each `n`.
fn hash_block(victim: &Victim, n: u64) -> Vec<u8> {
    let block = Block {
        network: victim.genesis.network(),
        height: 1,
        time: T0 + n,
        proposer: node(1),
        cuts: Vec::new(),
        control: Vec::new(),
        state_root: StateRoot([1; 32]),
        next_validators: ValidatorsHash([1; 32]),
        last_commit: None,
        forks: Vec::new(),
        equivocations: Vec::new(),
        ..Block::decode(&vector("block")).unwrap()
    };
    Channel::Block(Bytes(block.encode())).encode()
}
