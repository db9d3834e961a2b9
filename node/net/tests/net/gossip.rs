//! Announcements reach everyone, and only what each node on the way accepts.

use hospes_net::{Command, Event, Verdict};

use crate::world::{Node, peer, start};

async fn hears(node: &mut Node) -> (hospes_net::GossipId, Vec<u8>) {
    node.sees("an announcement", |event| match event {
        Event::Gossip { message, bytes, .. } => Some((message, bytes)),
        _ => None,
    })
    .await
}

async fn sees_subscribed(node: &mut Node, number: u8) {
    node.sees("the subscription", |e| matches!(e, Event::Subscribed(p) if p == peer(number)).then_some(()))
        .await;
}

#[tokio::test]
async fn an_announcement_passes_a_node_only_with_its_verdict() {
    let mut first = start(1, &[2]).await;
    let mut middle = start(2, &[1, 3]).await;
    let mut last = start(3, &[2]).await;
    first.dial(&middle).await;
    last.dial(&middle).await;
    sees_subscribed(&mut first, 2).await;
    sees_subscribed(&mut last, 2).await;

    first.does(Command::Publish(b"unlawful".to_vec())).await;
    let (message, bytes) = hears(&mut middle).await;
    assert_eq!(bytes, b"unlawful", "it reaches the neighbour");
    middle.does(Command::Validate { message, verdict: Verdict::Ignore }).await;

    first.does(Command::Publish(b"lawful".to_vec())).await;
    let (message, bytes) = hears(&mut middle).await;
    assert_eq!(bytes, b"lawful", "so does the next");
    middle.does(Command::Validate { message, verdict: Verdict::Accept }).await;

    let (_, bytes) = hears(&mut last).await;
    assert_eq!(bytes, b"lawful", "only what was accepted came through");
}

#[tokio::test]
async fn the_longest_announcement_passes_and_a_longer_one_is_counted() {
    let (mut a, mut b) = crate::world::connected_pair(Default::default(), Default::default()).await;
    sees_subscribed(&mut a, 2).await;
    let longest = hospes_net::limits::GOSSIP_BYTES_MAX;
    a.does(Command::Publish(vec![1; longest + 1])).await;
    a.does(Command::Publish(vec![2; longest])).await;
    let (_, bytes) = hears(&mut b).await;
    assert_eq!((bytes.len(), bytes[0]), (longest, 2), "the longest that is allowed, and not the one before");
    let unpublished = a.net.counters.gossip_unpublished.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(unpublished, 1, "the other was counted");
}
