//! The ledger keeps chains, blocks, finality, locks, WAL and outbox, and refuses what contradicts them.
//!
//! Method: a store in memory; each refusal stands beside the same act once it is lawful.

use hospes_protocol::check::Check;
use hospes_protocol::ids::HeaderId;
use hospes_storage::{
    ClosedLock, Contradiction, Finality, Head, History, Installation, Ledger, Medium, Placed, RecentBlock,
    StoreError, Tip,
};

use crate::world::{
    Chain, ME, OTHER, certificate, content, create, header, header_id, headers, lock, reopen,
};

fn contradiction<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Contradiction {
    match result {
        Err(StoreError::Contradiction(c)) => c,
        other => panic!("a contradiction was expected, not {other:?}"),
    }
}

#[test]
fn headers_stand_in_order_and_others_are_named_for_what_they_are() {
    let store = create(&Medium::memory());
    let gap = store.put_headers(&[header(&OTHER, "a", 2)]).unwrap();
    assert_eq!(gap, [Placed::Gap], "its predecessor is missing");
    let both = store.put_headers(&headers(&OTHER, "a", 1..=2)).unwrap();
    assert_eq!(both, [Placed::Stored, Placed::Stored], "in order both stand");
    let again = store.put_headers(&[header(&OTHER, "a", 2), header(&OTHER, "b", 2)]).unwrap();
    assert_eq!(again, [Placed::Known, Placed::Forked], "a repetition and a fork");
    let mut stranger = header(&OTHER, "b", 3);
    stranger.previous = Some(header_id(&OTHER, "b", 2));
    assert_eq!(store.put_headers(&[stranger]).unwrap(), [Placed::Forked], "it stands on another branch");

    assert_eq!(store.headers(&OTHER, 1, 9).unwrap().len(), 2, "only what stands is a run");
    assert_eq!(store.headers(&OTHER, 2, 2).unwrap(), [header(&OTHER, "a", 2).bytes], "as received");
    let head = Head { node: OTHER, sequence: 2, id: header_id(&OTHER, "a", 2) };
    assert_eq!(store.heads().unwrap(), [head], "the head is the last that stands");
    let aside: Vec<HeaderId> = store.forks(&OTHER).unwrap().into_iter().map(|f| f.id).collect();
    assert_eq!(aside, [header_id(&OTHER, "b", 2), header_id(&OTHER, "b", 3)], "evidence is kept");
    let stored = store.header(&header_id(&OTHER, "a", 1)).unwrap().expect("it stands");
    assert_eq!((stored.node, stored.sequence), (OTHER, 1), "found by id");
    assert!(store.header(&header_id(&OTHER, "b", 2)).unwrap().is_none(), "a fork does not stand");
    assert!(store.is_filed(&content("a/1")).unwrap(), "its content is filed");
    assert!(!store.is_filed(&content("b/2")).unwrap(), "a fork files nothing");
}

#[test]
fn the_branch_that_is_final_elsewhere_replaces_what_stands_but_never_what_is_final() {
    let store = create(&Medium::memory());
    let mut chain = Chain::default();
    store.put_headers(&headers(&OTHER, "a", 1..=4)).unwrap();
    store.commit(&chain.next(&headers(&OTHER, "a", 1..=2))).unwrap();

    let mut third = header(&OTHER, "b", 3);
    third.previous = Some(header_id(&OTHER, "a", 2));
    let branch = [third.clone(), header(&OTHER, "b", 4), header(&OTHER, "b", 5)];
    let second = [header(&OTHER, "b", 2)];
    let refused = contradiction(store.adopt_branch(&second));
    assert_eq!(refused, Contradiction::HeaderNotHere(header_id(&OTHER, "b", 1)), "it stands on nothing here");
    let mut displacing = header(&OTHER, "b", 2);
    displacing.previous = Some(header_id(&OTHER, "a", 1));
    let refused = contradiction(store.adopt_branch(&[displacing]));
    assert_eq!(refused, Contradiction::Final(OTHER, 2), "number 2 is final");

    store.adopt_branch(&branch).unwrap();
    assert_eq!(store.heads().unwrap()[0].id, header_id(&OTHER, "b", 5), "the other branch stands");
    assert_eq!(store.headers(&OTHER, 1, 9).unwrap().len(), 5, "on top of what was final");
    assert!(store.header(&header_id(&OTHER, "a", 3)).unwrap().is_none(), "the old branch doesn't");
    assert!(!store.is_filed(&content("a/3")).unwrap(), "nor does it file its contents");
    assert_eq!(store.forks(&OTHER).unwrap().len(), 2, "but it is kept aside");
    store.commit(&chain.next(&branch)).unwrap();
    let found = store.finality(&third.id).unwrap();
    assert_eq!(found, Some(Finality { height: 2, leaf: 2, void: None }), "and becomes final");
}

#[test]
fn own_numbers_are_given_out_once_and_wait_in_the_outbox_until_final() {
    let medium = Medium::memory();
    let store = create(&medium);
    store.put_own(&headers(&ME, "a", 1..=3)).unwrap();
    for row in [header(&ME, "b", 3), header(&ME, "a", 5)] {
        let got = row.sequence;
        let refused = contradiction(store.put_own(&[row]));
        assert_eq!(refused, Contradiction::OwnSequence { last: 3, got }, "only number 4 follows");
    }
    let half = contradiction(store.put_own(&[header(&ME, "a", 4), header(&ME, "a", 6)]));
    assert_eq!(half, Contradiction::OwnSequence { last: 4, got: 6 }, "one bad header refuses the batch");
    assert_eq!(store.own_sequence(&ME).unwrap(), 3, "and gives out no number");
    drop(store);

    let store = reopen(&medium).unwrap();
    assert_eq!(store.own_sequence(&ME).unwrap(), 3, "the number outlives the process");
    let waiting: Vec<u64> = store.outbox().unwrap().iter().map(|h| h.sequence).collect();
    assert_eq!(waiting, [1, 2, 3], "all wait");
    let mut chain = Chain::default();
    store.commit(&chain.next(&headers(&ME, "a", 1..=2))).unwrap();
    let waiting: Vec<u64> = store.outbox().unwrap().iter().map(|h| h.sequence).collect();
    assert_eq!(waiting, [3], "what is final waits no longer");
    store.put_own(&[header(&ME, "a", 4)]).unwrap();
    assert_eq!(store.own_sequence(&ME).unwrap(), 4, "the sequence goes on");
}

#[test]
fn one_height_makes_everything_true_at_once() {
    let store = create(&Medium::memory());
    let mut chain = Chain::default();
    assert_eq!(store.tip().unwrap(), None, "nothing is final yet");
    store.put_headers(&headers(&OTHER, "a", 1..=3)).unwrap();
    store.see_locks(&[lock(1), lock(77)]).unwrap();
    let mut commit = chain.next(&headers(&OTHER, "a", 1..=3));
    commit.headers[1].1 = Some(Check::ContentFiled);
    store.commit(&commit).unwrap();

    assert_eq!(store.tip().unwrap(), Some(Tip { height: 1, hash: Chain::hash(1) }), "the tip");
    let (block, cert) = store.block(1).unwrap().expect("the block is here");
    assert_eq!((block, cert), (Chain::block(1), commit.certificate.clone()), "with its certificate");
    assert_eq!(store.certificate(1).unwrap(), Some(commit.certificate.clone()), "alone too");
    assert_eq!(store.height_of(&Chain::hash(1)).unwrap(), Some(1), "found by hash");
    assert_eq!(store.state().unwrap(), Some(Chain::state(1)), "the state");
    let second = store.finality(&header_id(&OTHER, "a", 2)).unwrap();
    let void = Some(Check::ContentFiled);
    assert_eq!(second, Some(Finality { height: 1, leaf: 1, void }), "final, without effect");
    let closed = |n, height| Some(ClosedLock { lock: lock(n), height });
    assert_eq!(store.lock(&lock(1)).unwrap(), closed(1, Some(1)), "seen before, final now");
    assert_eq!(store.lock(&lock(77)).unwrap(), closed(77, None), "only seen");
    assert_eq!(store.lock(&lock(5)).unwrap(), None, "open");
    let proof = chain.range.prove(2, |level, index| store.range_node(level, index).unwrap());
    let root = proof.expect("the range is stored").root(&header_id(&OTHER, "a", 3));
    assert_eq!(root, Ok(chain.range.root()), "a proof comes from what was stored");
}

#[test]
fn a_height_that_does_not_follow_is_refused() {
    let store = create(&Medium::memory());
    let mut chain = Chain::default();
    let (first, second) = (chain.next(&[]), chain.next(&[]));
    let refused = contradiction(store.commit(&second));
    assert_eq!(refused, Contradiction::Height { tip: 0, got: 2 }, "2 does not follow nothing");
    store.commit(&first).unwrap();
    let refused = contradiction(store.commit(&first));
    assert_eq!(refused, Contradiction::Height { tip: 1, got: 1 }, "1 twice");
    let unknown = Chain { height: 1, ..Chain::default() }.next(&[header(&OTHER, "a", 1)]);
    let refused = contradiction(store.commit(&unknown));
    assert_eq!(refused, Contradiction::HeaderNotHere(header_id(&OTHER, "a", 1)), "an unknown header");
    let mut short = second.clone();
    short.headers = vec![(header_id(&OTHER, "a", 1), None)];
    let refused = contradiction(store.commit(&short));
    assert_eq!(refused, Contradiction::Leaves { headers: 1, leaves: 0 }, "a header without a leaf");
    assert_eq!(store.state().unwrap(), Some(Chain::state(1)), "a refused height leaves nothing");
    store.commit(&second).unwrap();
    assert_eq!(store.tip().unwrap().map(|t| t.height), Some(2), "the right one follows");
}

#[test]
fn the_wal_of_a_height_is_read_back_in_order_and_gone_when_it_is_final() {
    let medium = Medium::memory();
    let store = create(&medium);
    store.wal_append(1, &[b"one".to_vec(), b"two".to_vec()]).unwrap();
    store.wal_append(1, &[b"three".to_vec()]).unwrap();
    drop(store);
    let store = reopen(&medium).unwrap();
    assert_eq!(store.wal(1).unwrap(), [&b"one"[..], b"two", b"three"], "after a restart");
    assert_eq!(store.wal(2).unwrap(), [[0_u8; 0]; 0], "of this height only");
    store.commit(&Chain::default().next(&[])).unwrap();
    assert_eq!(store.wal(1).unwrap(), [[0_u8; 0]; 0], "final");
    let refused = contradiction(store.wal_append(1, &[b"late".to_vec()]));
    assert_eq!(refused, Contradiction::Height { tip: 1, got: 1 }, "a final height takes no vote");
    store.wal_append(2, &[b"next".to_vec()]).unwrap();
    assert_eq!(store.wal(2).unwrap(), [b"next"], "the next height begins anew");
}

#[test]
fn an_installed_state_is_where_the_ledger_goes_on() {
    let store = create(&Medium::memory());
    let mut chain = Chain::default();
    store.put_headers(&headers(&OTHER, "a", 1..=2)).unwrap();
    store.put_own(&headers(&ME, "a", 1..=3)).unwrap();
    store.commit(&chain.next(&headers(&OTHER, "a", 1..=2))).unwrap();
    let installation = |height| Installation {
        height,
        hash: Chain::hash(height),
        block: Chain::block(height),
        certificate: certificate(height, Chain::hash(height)),
        state: Chain::state(height),
        locks: vec![lock(500), lock(501)],
        range: Vec::new(),
        heads: vec![
            Head { node: OTHER, sequence: 40, id: header_id(&OTHER, "a", 40) },
            Head { node: ME, sequence: 2, id: header_id(&ME, "a", 2) },
        ],
        recent: Vec::new(),
    };
    let refused = contradiction(store.install(&installation(1)));
    assert_eq!(refused, Contradiction::Height { tip: 1, got: 1 }, "not above the newest block");
    store.install(&installation(90)).unwrap();
    assert_eq!(store.tip().unwrap().map(|t| t.height), Some(90), "a jump");
    assert!(store.lock(&lock(501)).unwrap().is_some(), "with its closed locks");
    assert_eq!(store.put_headers(&[header(&OTHER, "a", 41)]).unwrap(), [Placed::Stored], "chains go on");
    assert_eq!(store.put_headers(&[header(&OTHER, "a", 7)]).unwrap(), [Placed::Gap], "what lies between not");
    let waiting: Vec<u64> = store.outbox().unwrap().iter().map(|h| h.sequence).collect();
    assert_eq!(waiting, [3], "own headers that it made final wait no longer");
    chain.height = 90;
    store.commit(&chain.next(&[])).unwrap();
    assert_eq!(store.scrub().unwrap(), [], "the gap is no damage");
}

#[test]
fn what_an_installation_left_out_is_filled_in_beside_the_newest() {
    let (full, late) = (create(&Medium::memory()), create(&Medium::memory()));
    let mut chain = Chain::default();
    let mut commits = Vec::new();
    for n in 1..=9 {
        let row = header(&OTHER, "a", n);
        full.put_headers(std::slice::from_ref(&row)).unwrap();
        let mut commit = chain.next(std::slice::from_ref(&row));
        commit.closed = vec![lock(n)];
        full.commit(&commit).unwrap();
        commits.push(commit);
    }
    late.put_headers(&[header(&OTHER, "a", 1), header(&OTHER, "a", 2), header(&OTHER, "b", 3)]).unwrap();
    late.commit(&commits[0]).unwrap();
    assert_eq!(late.history().unwrap(), None, "nothing is missing");
    let last = &commits[6];
    late.install(&Installation {
        height: 7,
        hash: last.hash,
        block: last.block.clone(),
        certificate: last.certificate.clone(),
        state: last.state.clone(),
        locks: (1..=7).map(lock).collect(),
        range: Vec::new(),
        heads: vec![Head { node: OTHER, sequence: 7, id: header_id(&OTHER, "a", 7) }],
        recent: vec![RecentBlock {
            height: 6,
            hash: commits[5].hash,
            block: commits[5].block.clone(),
            certificate: commits[5].certificate.clone(),
        }],
    })
    .unwrap();
    let gap = History { until: 7, state: hospes_protocol::wire::Bytes(Chain::state(1)) };
    assert_eq!(late.history().unwrap(), Some(gap), "from where and to where it is missing");
    assert!(late.block(6).unwrap().is_some() && late.block(5).unwrap().is_none(), "but for the newest");
    late.put_headers(&[header(&OTHER, "a", 8)]).unwrap();
    late.commit(&commits[7]).unwrap();

    late.fill(&headers(&OTHER, "a", 2..=4), &commits[1..4]).unwrap();
    assert_eq!(late.history().unwrap().unwrap().state.0, commits[3].state, "filling goes on from there");
    assert_eq!(late.tip().unwrap().unwrap().height, 8, "the newest block stays");
    late.fill(&headers(&OTHER, "a", 5..=7), &commits[4..7]).unwrap();
    assert_eq!(late.history().unwrap(), None, "nothing is missing any more");
    let refused = contradiction(late.fill(&[], &commits[7..8]));
    assert_eq!(refused, Contradiction::Height { tip: 8, got: 8 }, "nothing else is filled in");
    for n in 1..=8 {
        let id = header_id(&OTHER, "a", n);
        assert_eq!(late.block(n).unwrap(), full.block(n).unwrap(), "block {n}");
        assert_eq!(late.finality(&id).unwrap(), full.finality(&id).unwrap(), "header {n}");
        assert_eq!(late.lock(&lock(n)).unwrap(), full.lock(&lock(n)).unwrap(), "lock {n}, by its own height");
    }
    assert_eq!(late.headers(&OTHER, 1, 8).unwrap(), full.headers(&OTHER, 1, 8).unwrap(), "the whole chain");
    assert_eq!(late.forks(&OTHER).unwrap().len(), 1, "what was on another branch is kept aside");
    assert_eq!(late.scrub().unwrap(), [], "and all is whole");
}

#[test]
fn pruned_blocks_are_gone_and_their_headers_stay() {
    let store = create(&Medium::memory());
    let mut chain = Chain::default();
    for n in 1..=9 {
        store.put_headers(&[header(&OTHER, "a", n)]).unwrap();
        store.commit(&chain.next(&[header(&OTHER, "a", n)])).unwrap();
    }
    assert_eq!(store.prune_blocks(6).unwrap(), 5, "those below height 6");
    assert_eq!(store.oldest_block().unwrap(), Some(6), "6 is the first");
    assert!(store.block(5).unwrap().is_none(), "gone");
    assert_eq!(store.height_of(&Chain::hash(5)).unwrap(), None, "by hash too");
    assert_eq!(store.headers(&OTHER, 1, 9).unwrap().len(), 9, "headers stay");
    assert_eq!(store.prune_blocks(100).unwrap(), 3, "the newest is never pruned");
    assert_eq!(store.tip().unwrap().map(|t| t.height), Some(9), "the tip stands");
    assert_eq!(store.scrub().unwrap(), [], "nothing is damaged");
}

#[test]
fn closed_locks_are_listed_in_pages() {
    let store = create(&Medium::memory());
    let all: Vec<_> = (0..25).map(lock).collect();
    store.see_locks(&all).unwrap();
    store.see_lock(&all[3]).unwrap();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.locks(after.as_ref(), 10).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.lock);
        found.extend(page.iter().map(|l| l.lock));
    }
    let mut wanted = all;
    wanted.sort_unstable();
    assert_eq!(found, wanted, "each once, ascending");
}

#[test]
fn control_bodies_and_properties_are_kept_by_name() {
    let store = create(&Medium::memory());
    let mut row = header(&OTHER, "a", 1);
    row.control = Some(b"organization".to_vec());
    store.put_headers(&[row]).unwrap();
    assert_eq!(
        store.control_body(&content("a/1")).unwrap(),
        Some(b"organization".to_vec()),
        "with its header"
    );
    assert_eq!(store.control_body(&content("a/2")).unwrap(), None, "not here");
    store.put_control_body(&content("a/2"), b"late").unwrap();
    assert_eq!(store.control_body(&content("a/2")).unwrap(), Some(b"late".to_vec()), "alone");
    store.put_property("genesis", b"file").unwrap();
    assert_eq!(store.property("genesis").unwrap(), Some(b"file".to_vec()), "by name");
    assert_eq!(store.property("other").unwrap(), None, "no such name");
}
