//! Object streams: whole, in order, with bounded memory, and with one clear end each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hospes_net::limits::{OBJECT_FRAME_BYTES_MAX, OBJECT_FRAMES_IN_FLIGHT, RECEIVE_WINDOW_BYTES};
use hospes_net::{
    CallError, Command, DisconnectReason, Event, Frame, Limits, ObjectSink, Offence, SinkError,
};

use crate::world::{Node, connected_pair, peer};

const FRAMES: u64 = 64;
const FRAME_BYTES: usize = 1 << 20;

async fn sees_wish(node: &mut Node) -> (Vec<u8>, ObjectSink) {
    node.sees("the wish", |event| match event {
        Event::ObjectRequested { request, sink, .. } => Some((request, sink)),
        _ => None,
    })
    .await
}

async fn sees_frame(node: &mut Node) -> Frame {
    node.sees("a frame", |event| match event {
        Event::ObjectData { frame, .. } => Some(frame),
        Event::ObjectEnd { result, .. } => panic!("no end before the frame: {result:?}"),
        _ => None,
    })
    .await
}

async fn sees_end(node: &mut Node) -> Result<(), CallError> {
    node.sees("the end", |event| match event {
        Event::ObjectEnd { result, .. } => Some(result),
        _ => None,
    })
    .await
}

async fn begin(a: &Node, b: &mut Node) -> ObjectSink {
    a.does(Command::GetObjects { peer: peer(2), id: 7, request: b"ids".to_vec() }).await;
    let (request, sink) = sees_wish(b).await;
    assert_eq!(request, b"ids", "the request arrives as it was made");
    sink
}

/// Frame `n`: recognisable at both ends.
fn frame(n: u64) -> Vec<u8> {
    let mut bytes = vec![0; FRAME_BYTES];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    bytes[FRAME_BYTES - 8..].copy_from_slice(&n.to_be_bytes());
    bytes
}

/// A round trip beside the transfer, which tells that everything before it had its chance.
async fn round_trip(a: &mut Node, b: &mut Node, frames_seen: &mut u64) {
    a.does(Command::Request { peer: peer(2), id: 1, bytes: vec![] }).await;
    let token = b
        .sees("the request", |event| match event {
            Event::Request { token, .. } => Some(token),
            _ => None,
        })
        .await;
    b.does(Command::Respond { token, bytes: vec![] }).await;
    a.sees("the answer", |event| match event {
        Event::ObjectData { .. } => {
            *frames_seen += 1;
            None
        }
        Event::Response { .. } => Some(()),
        _ => None,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_transfer_arrives_whole_and_its_memory_is_bounded() {
    let (mut a, mut b) = connected_pair(Limits::default(), Limits::default()).await;
    let sink = begin(&a, &mut b).await;
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let holder = tokio::spawn(async move {
        for n in 0..FRAMES {
            sink.send(frame(n)).await?;
            counter.fetch_add(1, Ordering::Relaxed);
        }
        sink.finish().await
    });

    // A receiver that writes slowly: it holds as many frames as may be in flight.
    let mut held = Vec::new();
    for _ in 0..OBJECT_FRAMES_IN_FLIGHT {
        held.push(sees_frame(&mut a).await);
    }
    let mut more = 0;
    for _ in 0..20 {
        round_trip(&mut a, &mut b, &mut more).await;
    }
    assert_eq!(more, 0, "no further frame comes while four are held, though other things do");
    let in_window = u64::try_from(RECEIVE_WINDOW_BYTES / FRAME_BYTES).unwrap();
    let bound = 2 * u64::try_from(OBJECT_FRAMES_IN_FLIGHT).unwrap() + 2 + in_window;
    assert!(bound < FRAMES, "the bound means something");
    let sent_so_far = sent.load(Ordering::Relaxed);
    assert!(sent_so_far <= bound, "the holder was stopped: {sent_so_far} frames, at most {bound}");

    for (n, early) in (0..).zip(held.drain(..)) {
        assert_eq!(*early, frame(n), "frame {n} of those held");
    }
    for n in u64::try_from(OBJECT_FRAMES_IN_FLIGHT).unwrap()..FRAMES {
        assert_eq!(*sees_frame(&mut a).await, frame(n), "frame {n} of the rest");
    }
    assert_eq!(sees_end(&mut a).await, Ok(()), "the requester knows that this was all");
    assert_eq!(holder.await.unwrap(), Ok(()), "and the holder knows that it arrived");
}

#[tokio::test]
async fn a_line_that_breaks_midway_ends_the_transfer_on_both_sides() {
    let (mut a, mut b) = connected_pair(Limits::default(), Limits::default()).await;
    let sink = begin(&a, &mut b).await;
    sink.send(vec![1]).await.unwrap();
    assert_eq!(*sees_frame(&mut a).await, [1], "the transfer runs");
    b.does(Command::Disconnect { peer: peer(1), reason: "unplugged".into() }).await;
    let reason = b.sees_disconnected(1).await;
    assert_eq!(reason, DisconnectReason::Asked("unplugged".into()), "the reason comes back");
    let result = sees_end(&mut a).await;
    assert!(matches!(result, Err(CallError::Disconnected | CallError::Interrupted)), "an end: {result:?}");
    assert_eq!(sink.finish().await, Err(SinkError::Gone), "the holder cannot believe that it arrived");
}

#[tokio::test]
async fn a_requester_that_cancels_stops_the_holder() {
    let (mut a, mut b) = connected_pair(Limits::default(), Limits::default()).await;
    let sink = begin(&a, &mut b).await;
    sink.send(vec![1]).await.unwrap();
    sees_frame(&mut a).await;
    a.does(Command::CancelObjects { id: 7 }).await;
    assert_eq!(sees_end(&mut a).await, Err(CallError::Cancelled), "it ends as cancelled");
    let stopped = async { while sink.send(vec![0; 1000]).await.is_ok() {} };
    tokio::time::timeout(std::time::Duration::from_secs(30), stopped).await.expect("the holder is told");
    // The peers are still friends, and the id is free again.
    let sink = begin(&a, &mut b).await;
    let holder = tokio::spawn(sink.finish());
    assert_eq!(sees_end(&mut a).await, Ok(()), "the next transfer works");
    assert_eq!(holder.await.unwrap(), Ok(()), "with its acknowledgement");
}

#[tokio::test]
async fn a_holder_refuses_in_its_own_words_or_leaves() {
    let (mut a, mut b) = connected_pair(Limits::default(), Limits::default()).await;
    let sink = begin(&a, &mut b).await;
    assert_eq!(sink.refuse(b"not entitled".to_vec()).await, Ok(()), "the refusal is on its way");
    assert_eq!(sees_end(&mut a).await, Err(CallError::Refused(b"not entitled".to_vec())), "its words");
    drop(begin(&a, &mut b).await);
    assert_eq!(sees_end(&mut a).await, Err(CallError::Interrupted), "a holder that gives up is no end");
}

#[tokio::test]
async fn a_frame_that_is_too_long_is_not_sent_and_not_accepted() {
    let careless = Limits { object_frame_bytes_max: OBJECT_FRAME_BYTES_MAX + 1, ..Limits::default() };
    let (mut a, mut b) = connected_pair(Limits::default(), careless).await;
    let sink = begin(&a, &mut b).await;
    assert_eq!(
        sink.send(vec![0; OBJECT_FRAME_BYTES_MAX + 2]).await,
        Err(SinkError::TooLong),
        "by the holder"
    );
    sink.send(vec![5; OBJECT_FRAME_BYTES_MAX]).await.unwrap();
    assert_eq!(sees_frame(&mut a).await.len(), OBJECT_FRAME_BYTES_MAX, "the longest frame passes");
    sink.send(vec![0; OBJECT_FRAME_BYTES_MAX + 1]).await.unwrap();
    let max = OBJECT_FRAME_BYTES_MAX;
    let offence = Offence::Oversized { announced: max + 1, max };
    assert_eq!(sees_end(&mut a).await, Err(CallError::Offence(offence.clone())), "one byte more does not");
    assert_eq!(a.sees_disconnected(2).await, DisconnectReason::Offence(offence), "and its sender is out");
}
