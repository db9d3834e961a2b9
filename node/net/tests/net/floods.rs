//! Floods take the flooder's share and nobody else's: connections, half-open streams, requests without end.
//!
//! Method: an honest pair asks and answers while hostile peers do their worst; what a flood may hold is counted to
//! the last connection and stream. How long the honest wait is printed, beside how long they waited before; its
//! bound is far off, because a busy machine is no finding. Replay: cargo test -p hospes-net --test net floods:: --
//! --nocapture

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hospes_net::limits::{CONNECTIONS_PER_PEER, CONNECTIONS_TOTAL, REQUESTS_PER_PEER};
use hospes_net::{AdmittedPeers, Command, Event, NetConfig, PeerId};

use crate::hostile::{self, Connection};
use crate::world::{Node, config, peer, start, start_with};

/// Round trips of the honest pair that are timed.
const ROUNDS: u64 = 100;
/// How much longer honest peers may wait during a flood: far more than was ever seen.
const SLOWER_MAX: u32 = 200;

/// A node that admits node 2 and so many hostile peers; and node 2, connected.
async fn city_and_clinic(hostile: u16) -> (Node, Node) {
    let strangers = (0..hostile).map(|n| hostile::key(n).public().to_peer_id());
    let admitted: BTreeSet<PeerId> = strangers.chain([peer(2)]).collect();
    let mut city = start_with(NetConfig { admitted: AdmittedPeers::new(admitted), ..config(1, &[]) }).await;
    let mut clinic = start(2, &[1]).await;
    clinic.dial(&city).await;
    city.sees_connected(2).await;
    clinic.sees_connected(1).await;
    (city, clinic)
}

/// The clinic asks and the city answers; how long that took.
async fn round_trip(city: &mut Node, clinic: &mut Node, id: u64) -> Duration {
    let begun = Instant::now();
    clinic.does(Command::Request { peer: peer(1), id, bytes: vec![1; 100] }).await;
    let token = city
        .sees("the clinic's request", |event| match event {
            Event::Request { token, from, .. } if from == peer(2) => Some(token),
            Event::Disconnected { peer: who, reason } if who == peer(2) => {
                panic!("lost the clinic: {reason:?}")
            }
            _ => None,
        })
        .await;
    city.does(Command::Respond { token, bytes: vec![2; 100] }).await;
    let answer = clinic
        .sees("the answer", |event| match event {
            Event::Response { id: of, result } if of == id => Some(result),
            _ => None,
        })
        .await;
    assert_eq!(answer, Ok(vec![2; 100]), "the honest peer is served");
    begun.elapsed()
}

/// The slowest but five of a hundred.
async fn p95(city: &mut Node, clinic: &mut Node, first: u64) -> Duration {
    let mut took = Vec::new();
    for id in first..first + ROUNDS {
        took.push(round_trip(city, clinic, id).await);
    }
    took.sort_unstable();
    took[took.len() * 95 / 100]
}

/// Prints both and holds the second against the first.
fn compare(what: &str, before: Duration, during: Duration) {
    let ratio = during.as_secs_f64() / before.as_secs_f64();
    eprintln!("{what}: honest round trips, p95 {before:?} before, {during:?} during: {ratio:.1} times");
    assert!(during < before * SLOWER_MAX + Duration::from_secs(1), "{what}: {ratio:.1} times as long");
}

/// Opens streams and leaves them half open.
async fn half_open(connection: &mut Connection, protocol: &str, count: usize) -> Vec<impl Sized + use<>> {
    let mut open = Vec::new();
    for _ in 0..count {
        open.push(connection.open(protocol).await.unwrap());
    }
    open
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_streams_take_a_peers_own_share_and_no_more() {
    let (mut city, mut clinic) = city_and_clinic(1).await;
    let before = p95(&mut city, &mut clinic, 0).await;
    let mut connection = hostile::dial(0, &city.address).await.unwrap();
    let share = 2 * REQUESTS_PER_PEER;
    let beyond = 30;
    let open = half_open(&mut connection, "/hospes/sync/1", share + beyond).await;
    let driven = tokio::spawn(async move {
        connection.ends().await;
        connection
    });
    let refused = |city: &Node| city.net.counters.streams_refused.load(Ordering::Relaxed);
    let mut id = 1000;
    while refused(&city) < beyond as u64 {
        round_trip(&mut city, &mut clinic, id).await;
        id += 1;
        assert!(id < 100_000, "the streams beyond the share are refused: {}", refused(&city));
    }
    let during = p95(&mut city, &mut clinic, 200_000).await;
    assert_eq!(refused(&city), beyond as u64, "exactly those beyond the share, and not the honest peer's");
    assert_eq!(city.net.counters.offences.load(Ordering::Relaxed), 0, "slowness is no offence");
    compare("half-open streams", before, during);
    drop(open);
    driven.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_stop_at_the_total_and_a_place_that_is_free_is_given_again() {
    let room = u16::try_from(CONNECTIONS_TOTAL).unwrap() - 1;
    let (mut city, mut clinic) = city_and_clinic(room + 20).await;
    let before = p95(&mut city, &mut clinic, 0).await;
    let mut held = Vec::new();
    for number in 0..room {
        held.push(hostile::dial(number, &city.address).await.unwrap());
        let seen = hostile::key(number).public().to_peer_id();
        city.sees("the connection", |e| {
            matches!(e, Event::Connected { peer, .. } if peer == seen).then_some(())
        })
        .await;
    }
    assert_eq!(
        city.established(),
        u64::from(CONNECTIONS_TOTAL),
        "every place is taken, the clinic's included"
    );
    for number in room..room + 20 {
        if let Ok(mut turned_away) = hostile::dial(number, &city.address).await {
            tokio::time::timeout(Duration::from_secs(30), turned_away.ends()).await.expect("it is closed");
        }
    }
    let during = p95(&mut city, &mut clinic, 1000).await;
    assert_eq!(city.established(), u64::from(CONNECTIONS_TOTAL), "and none beyond them");
    compare("all connections taken", before, during);

    drop(held.pop());
    let gone = hostile::key(room - 1).public().to_peer_id();
    city.sees("the end", |e| matches!(e, Event::Disconnected { peer, .. } if peer == gone).then_some(()))
        .await;
    let _late = hostile::dial(room, &city.address).await.unwrap();
    let came = hostile::key(room).public().to_peer_id();
    city.sees("the next", |e| matches!(e, Event::Connected { peer, .. } if peer == came).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_peer_holds_two_connections_however_many_it_opens() {
    let (mut city, mut clinic) = city_and_clinic(1).await;
    let mut opened = Vec::new();
    for _ in 0..12 {
        if let Ok(connection) = hostile::dial(0, &city.address).await {
            opened.push(tokio::spawn(async move {
                let mut connection = connection;
                connection.ends().await;
            }));
        }
        round_trip(&mut city, &mut clinic, opened.len() as u64 + 1000).await;
    }
    let kept = CONNECTIONS_PER_PEER as usize;
    let mut id = 2000;
    while opened.iter().filter(|c| !c.is_finished()).count() > kept {
        round_trip(&mut city, &mut clinic, id).await;
        id += 1;
        assert!(id < 100_000, "all but {kept} of {} were closed", opened.len());
    }
    for id in 200_000..200_000 + ROUNDS {
        round_trip(&mut city, &mut clinic, id).await;
    }
    let open = opened.iter().filter(|c| !c.is_finished()).count();
    assert!((1..=kept).contains(&open), "{open} stay, and the peer isn't shut out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_without_end_cost_the_connection_and_nobody_else() {
    let (mut city, mut clinic) = city_and_clinic(1).await;
    let before = p95(&mut city, &mut clinic, 0).await;
    let mut connection = hostile::dial(0, &city.address).await.unwrap();
    let flood = tokio::spawn(async move {
        let mut count = 0_u32;
        // Each is reset at once, so that no limit on open streams is reached.
        while let Ok(stream) = connection.open("/hospes/objects/1").await {
            drop(stream);
            count += 1;
            if count == 20_000 {
                break;
            }
        }
        count
    });
    let during = p95(&mut city, &mut clinic, 1000).await;
    compare("streams opened and reset", before, during);
    flood.abort();
    round_trip(&mut city, &mut clinic, 9999).await;
}
