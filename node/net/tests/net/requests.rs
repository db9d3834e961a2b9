//! Requests get one answer each, and consensus frames arrive in order; both within their bounds.

use std::sync::atomic::Ordering;
use std::time::Duration;

use hospes_net::limits::{ANSWER_BYTES_MAX, CONSENSUS_FRAME_BYTES_MAX, REQUEST_BYTES_MAX};
use hospes_net::{CallError, Command, DisconnectReason, Event, Limits, Offence};

use crate::world::{Node, connected_pair, peer, start};

async fn sees_request(node: &mut Node) -> (u64, Vec<u8>) {
    node.sees("the request", |event| match event {
        Event::Request { token, bytes, .. } => Some((token, bytes)),
        _ => None,
    })
    .await
}

async fn sees_response(node: &mut Node, wanted: u64) -> Result<Vec<u8>, CallError> {
    node.sees("the response", |event| match event {
        Event::Response { id, result } if id == wanted => Some(result),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn the_longest_request_gets_the_longest_answer() {
    let (mut a, mut b) = connected_pair(Limits::default(), Limits::default()).await;
    a.does(Command::Request { peer: peer(2), id: 1, bytes: vec![3; REQUEST_BYTES_MAX] }).await;
    let (token, bytes) = sees_request(&mut b).await;
    assert_eq!(bytes, vec![3; REQUEST_BYTES_MAX], "the request arrives whole");
    b.does(Command::Respond { token, bytes: vec![4; ANSWER_BYTES_MAX] }).await;
    assert_eq!(sees_response(&mut a, 1).await, Ok(vec![4; ANSWER_BYTES_MAX]), "so does the answer");
}

#[tokio::test]
async fn what_is_too_long_is_refused_where_it_is_made() {
    let (mut a, mut b) = connected_pair(Limits::default(), Limits::default()).await;
    a.does(Command::Request { peer: peer(2), id: 1, bytes: vec![0; REQUEST_BYTES_MAX + 1] }).await;
    assert_eq!(sees_response(&mut a, 1).await, Err(CallError::TooLong), "our request");
    a.does(Command::Request { peer: peer(2), id: 2, bytes: vec![] }).await;
    let (token, _) = sees_request(&mut b).await;
    b.does(Command::Respond { token, bytes: vec![0; ANSWER_BYTES_MAX + 1] }).await;
    assert_eq!(sees_response(&mut a, 2).await, Err(CallError::Interrupted), "an answer of ours is not sent");
    a.does(Command::Request { peer: peer(2), id: 3, bytes: vec![] }).await;
    let (token, _) = sees_request(&mut b).await;
    b.does(Command::Decline { token }).await;
    assert_eq!(sees_response(&mut a, 3).await, Err(CallError::Interrupted), "nor one that was declined");
}

#[tokio::test]
async fn a_peer_that_answers_at_too_great_length_is_cut() {
    let careless = Limits { answer_bytes_max: ANSWER_BYTES_MAX + 1, ..Limits::default() };
    let (mut a, mut b) = connected_pair(Limits::default(), careless).await;
    a.does(Command::Request { peer: peer(2), id: 1, bytes: vec![] }).await;
    let (token, _) = sees_request(&mut b).await;
    b.does(Command::Respond { token, bytes: vec![0; ANSWER_BYTES_MAX + 1] }).await;
    let offence = Offence::Oversized { announced: ANSWER_BYTES_MAX + 1, max: ANSWER_BYTES_MAX };
    assert_eq!(sees_response(&mut a, 1).await, Err(CallError::Offence(offence.clone())), "refused unread");
    assert_eq!(a.sees_disconnected(2).await, DisconnectReason::Offence(offence), "and its sender is out");
}

#[tokio::test]
async fn requests_in_flight_are_bounded_and_ids_are_unique() {
    let limits = Limits { requests_per_peer: 2, ..Limits::default() };
    let (mut a, mut b) = connected_pair(limits, Limits::default()).await;
    for id in [1, 2, 2, 3] {
        a.does(Command::Request { peer: peer(2), id, bytes: vec![u8::try_from(id).unwrap()] }).await;
    }
    assert_eq!(sees_response(&mut a, 2).await, Err(CallError::IdInUse), "an id that is open");
    assert_eq!(sees_response(&mut a, 3).await, Err(CallError::Busy), "a third in flight");
    a.does(Command::Request { peer: peer(9), id: 4, bytes: vec![] }).await;
    assert_eq!(sees_response(&mut a, 4).await, Err(CallError::NotConnected), "nobody there");
    for _ in 0..2 {
        let (token, bytes) = sees_request(&mut b).await;
        b.does(Command::Respond { token, bytes }).await;
    }
    let mut answers = [sees_any_response(&mut a).await, sees_any_response(&mut a).await];
    answers.sort_by_key(|(id, _)| *id);
    assert_eq!(answers, [(1, Ok(vec![1])), (2, Ok(vec![2]))], "the two that fit are answered, once each");
    a.does(Command::Request { peer: peer(2), id: 3, bytes: vec![3] }).await;
    let (token, bytes) = sees_request(&mut b).await;
    b.does(Command::Respond { token, bytes }).await;
    assert_eq!(sees_response(&mut a, 3).await, Ok(vec![3]), "then there is room again");
}

async fn sees_any_response(node: &mut Node) -> (u64, Result<Vec<u8>, CallError>) {
    node.sees("a response", |event| match event {
        Event::Response { id, result } => Some((id, result)),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_keeps_to_its_share_is_never_turned_away() {
    let (mut a, mut b) = connected_pair(Limits::default(), Limits::default()).await;
    let answering = tokio::spawn(async move {
        for _ in 0..500 {
            let (token, bytes) = sees_request(&mut b).await;
            b.does(Command::Respond { token, bytes }).await;
        }
        b
    });
    let mut asked = 0u64;
    let mut answered = 0;
    while answered < 500 {
        while asked < 500 && asked - answered < 32 {
            a.does(Command::Request { peer: peer(2), id: asked, bytes: asked.to_be_bytes().to_vec() }).await;
            asked += 1;
        }
        let (id, result) = sees_any_response(&mut a).await;
        assert_eq!(result, Ok(id.to_be_bytes().to_vec()), "as many in flight as allowed, each answered");
        answered += 1;
    }
    let b = answering.await.unwrap();
    assert_eq!(b.net.counters.streams_refused.load(Ordering::Relaxed), 0, "no stream was refused");
}

#[tokio::test]
async fn an_answer_that_never_comes_is_given_up() {
    let impatient = Limits { answer_wait_max: Duration::from_millis(300), ..Limits::default() };
    let (mut a, mut b) = connected_pair(impatient, Limits::default()).await;
    a.does(Command::Request { peer: peer(2), id: 1, bytes: vec![] }).await;
    sees_request(&mut b).await;
    assert_eq!(sees_response(&mut a, 1).await, Err(CallError::Stalled), "no progress, no answer");
}

async fn sees_message(node: &mut Node) -> Vec<u8> {
    node.sees("a consensus frame", |event| match event {
        Event::Message { bytes, .. } => Some(bytes),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn consensus_frames_arrive_in_order_and_whole() {
    let (a, mut b) = connected_pair(Limits::default(), Limits::default()).await;
    a.does(Command::Send { peer: peer(2), bytes: vec![9; CONSENSUS_FRAME_BYTES_MAX] }).await;
    for n in 0..200u8 {
        a.does(Command::Send { peer: peer(2), bytes: vec![n; usize::from(n)] }).await;
    }
    assert_eq!(sees_message(&mut b).await.len(), CONSENSUS_FRAME_BYTES_MAX, "the longest there is");
    for n in 0..200u8 {
        assert_eq!(sees_message(&mut b).await, vec![n; usize::from(n)], "frame {n} in its place");
    }
    assert_eq!(a.net.counters.consensus_dropped.load(Ordering::Relaxed), 0, "none was dropped");
    let nobody = start(3, &[]).await;
    nobody.does(Command::Send { peer: peer(1), bytes: vec![1] }).await;
    nobody.does(Command::Request { peer: peer(1), id: 1, bytes: vec![] }).await;
    let mut nobody = nobody;
    assert_eq!(sees_response(&mut nobody, 1).await, Err(CallError::NotConnected), "after the frame");
    let undelivered = nobody.net.counters.consensus_undelivered.load(Ordering::Relaxed);
    assert_eq!(undelivered, 1, "a frame to a peer that is not connected is counted");
}

#[tokio::test]
async fn a_frame_that_is_too_long_costs_the_sender_its_connection_for_a_while() {
    let short = Limits { penalty_first: Duration::from_millis(500), ..Limits::default() };
    let careless = Limits { consensus_frame_bytes_max: CONSENSUS_FRAME_BYTES_MAX + 1, ..Limits::default() };
    let (mut a, mut b) = connected_pair(short, careless).await;
    b.does(Command::Send { peer: peer(1), bytes: vec![0; CONSENSUS_FRAME_BYTES_MAX + 1] }).await;
    let max = CONSENSUS_FRAME_BYTES_MAX;
    let offence = Offence::Oversized { announced: max + 1, max };
    assert_eq!(a.sees_disconnected(2).await, DisconnectReason::Offence(offence), "cut for its length");
    assert_eq!(b.sees_refused(1).await, hospes_net::Refusal::PenalisedThere, "kept out for the time being");
    b.sees_connected(1).await;
    b.does(Command::Send { peer: peer(1), bytes: vec![1] }).await;
    assert_eq!(sees_message(&mut a).await, [1], "and back when the penalty is over");
}

#[tokio::test]
async fn a_peer_that_exceeds_its_rate_is_cut() {
    let strict = Limits { messages_per_second: 1, messages_burst: 10, ..Limits::default() };
    let (mut a, b) = connected_pair(strict, Limits::default()).await;
    for n in 0..50 {
        b.does(Command::Send { peer: peer(1), bytes: vec![n] }).await;
    }
    let mut heard = 0;
    let reason = a
        .sees("the cut", |event| match event {
            Event::Message { .. } => {
                heard += 1;
                None
            }
            Event::Disconnected { reason, .. } => Some(reason),
            _ => None,
        })
        .await;
    assert_eq!(reason, DisconnectReason::Offence(Offence::RateExceeded), "cut for its rate");
    assert!((10..50).contains(&heard), "after its burst was heard, not before: {heard}");
}
