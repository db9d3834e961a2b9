//! Lines that break, peers that stall, callers that lag: nobody else waits.

use std::time::Duration;

use hospes_net::{CallError, Command, DisconnectReason, Event, Limits, NetConfig, NetError, spawn};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::proxy::{Line, socket_address};
use crate::world::{config, connected_pair, peer, start, start_with};

#[tokio::test]
async fn connections_that_say_nothing_are_dropped_and_hold_up_nobody() {
    let limits = Limits { handshake_time_max: Duration::from_secs(2), ..Limits::default() };
    let mut city = start_with(NetConfig { limits, ..config(1, &[2]) }).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(socket_address(&city.address)).await.unwrap());
    }
    // More than all places for unfinished handshakes are asked for; a wanted peer gets through nevertheless.
    let clinic = start(2, &[1]).await;
    clinic.dial(&city).await;
    city.sees_connected(2).await;
    for mut line in silent {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(30), line.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "a silent connection is closed by the node");
        assert!(!rest.windows(5).any(|w| w == b"hello"), "and heard nothing of the node's");
    }
}

#[tokio::test]
async fn a_line_that_falls_silent_is_noticed_and_taken_up_again() {
    let limits = Limits {
        ping_interval: Duration::from_millis(500),
        handshake_time_max: Duration::from_secs(1),
        ..Limits::default()
    };
    let mut city = start_with(NetConfig { limits: limits.clone(), ..config(1, &[2]) }).await;
    let mut clinic = start_with(NetConfig { limits, ..config(2, &[1]) }).await;
    let line = Line::to(&city.address).await;
    clinic.does(Command::Dial { peer: peer(1), addrs: vec![line.address.clone()] }).await;
    clinic.sees_connected(1).await;
    city.sees_connected(2).await;

    line.falls_silent();
    clinic.does(Command::Request { peer: peer(1), id: 1, bytes: vec![] }).await;
    let result = clinic
        .sees("the end of the request", |event| match event {
            Event::Response { result, .. } => Some(result),
            _ => None,
        })
        .await;
    let ended = matches!(result, Err(CallError::Disconnected | CallError::Interrupted));
    assert!(ended, "what was open ends: {result:?}");
    assert_eq!(clinic.sees_disconnected(1).await, DisconnectReason::Lost, "the clinic notices");
    assert_eq!(city.sees_disconnected(2).await, DisconnectReason::Lost, "so does the city");

    clinic.dial(&city).await;
    clinic.sees_connected(1).await;
    city.sees_connected(2).await;
}

#[tokio::test]
async fn a_node_that_restarts_is_found_again_by_those_that_want_it() {
    let mut city = start(1, &[2]).await;
    let mut clinic = start(2, &[1]).await;
    clinic.dial(&city).await;
    clinic.sees_connected(1).await;
    city.does(Command::Shutdown).await;
    assert_eq!(clinic.sees_disconnected(1).await, DisconnectReason::Lost, "the city is gone");
    while city.net.events.recv().await.is_some() {}
    let listen = vec![city.address.clone()];
    let _restarted = start_with(NetConfig { listen, hello: b"newer".to_vec(), ..config(1, &[2]) }).await;
    assert_eq!(clinic.sees_connected(1).await, b"newer", "and found again, with its new hello");

    clinic.does(Command::Forget(peer(1))).await;
    clinic.does(Command::Disconnect { peer: peer(1), reason: "enough".into() }).await;
    let reason = clinic.sees_disconnected(1).await;
    assert_eq!(reason, DisconnectReason::Asked("enough".into()), "and left alone when nobody wants it");
}

#[tokio::test]
async fn a_peer_that_comes_back_before_its_death_was_noticed_begins_anew() {
    let limits = Limits { simultaneous_dials_max: Duration::ZERO, ..Limits::default() };
    let mut city = start_with(NetConfig { limits, ..config(1, &[2]) }).await;
    let mut clinic = start(2, &[1]).await;
    let line = Line::to(&city.address).await;
    clinic.does(Command::Dial { peer: peer(1), addrs: vec![line.address.clone()] }).await;
    clinic.sees_connected(1).await;
    city.sees_connected(2).await;
    city.does(Command::Request { peer: peer(2), id: 1, bytes: vec![] }).await;
    clinic.sees("the request", |e| matches!(e, Event::Request { .. }).then_some(())).await;

    // Power fails at the clinic: the city hears nothing, not even an end.
    line.falls_silent();
    drop(clinic);
    let restarted =
        start_with(NetConfig { hello: b"after the power failure".to_vec(), ..config(2, &[1]) }).await;
    restarted.dial(&city).await;
    let result = city
        .sees("the end of the request", |event| match event {
            Event::Response { result, .. } => Some(result),
            _ => None,
        })
        .await;
    assert_eq!(result, Err(CallError::Disconnected), "what was asked of the dead one ends");
    assert_eq!(city.sees_disconnected(2).await, DisconnectReason::Lost, "then its session");
    assert_eq!(city.sees_connected(2).await, b"after the power failure", "and the new one has its own hello");
}

#[tokio::test]
async fn a_caller_that_takes_no_events_can_still_command() {
    let (mut a, b) = connected_pair(Limits::default(), Limits::default()).await;
    // A's caller takes nothing, while more arrives than all queues hold.
    for n in 0..2000u64 {
        b.does(Command::Send { peer: peer(1), bytes: n.to_be_bytes().to_vec() }).await;
    }
    // More commands than the queue holds: they pass only if the loop takes them.
    for _ in 0..1000 {
        a.does(Command::Decline { token: u64::MAX }).await;
    }
    a.admits(&[]).await;
    assert_eq!(a.sees_disconnected(2).await, DisconnectReason::Removed, "the command was carried out");
}

#[tokio::test]
async fn a_peer_that_the_caller_judges_is_kept_out() {
    let (mut a, mut b) = connected_pair(Limits::default(), Limits::default()).await;
    a.does(Command::Penalise { peer: peer(2), reason: "forged header".into() }).await;
    let judged = hospes_net::Offence::Judged("forged header".into());
    assert_eq!(a.sees_disconnected(2).await, DisconnectReason::Offence(judged), "cut with the reason");
    assert_eq!(b.sees_refused(1).await, hospes_net::Refusal::PenalisedThere, "and told when it comes back");
}

#[tokio::test]
async fn a_start_that_cannot_work_is_refused_with_a_reason() {
    let taken = start(1, &[]).await;
    let error = spawn(NetConfig { listen: vec![taken.address.clone()], ..config(2, &[]) }).unwrap_err();
    assert!(matches!(error, NetError::Listen { .. }), "a port in use: {error}");
    let hello = vec![0; hospes_net::limits::HELLO_BYTES_MAX + 1];
    let error = spawn(NetConfig { hello, ..config(2, &[]) }).unwrap_err();
    assert!(matches!(error, NetError::HelloTooLong(4097)), "a hello too long: {error}");
    let hello = vec![0; hospes_net::limits::HELLO_BYTES_MAX];
    let fits = spawn(NetConfig { hello, ..config(2, &[]) });
    assert!(fits.is_ok(), "the longest hello starts");
}
