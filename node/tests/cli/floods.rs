//! A node process under floods of connections that say nothing, half of something, or garbage.
//!
//! Method: hundreds of sockets are opened against both ports of a real node and left. What it holds of them is counted
//! in /proc; meanwhile its API is asked as before. The times are printed; their bound is far off, because a busy
//! machine is no finding.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::program::{Desk, Node, wait_until};

/// Connections of each flood: fewer than the API takes at once, more than unfinished handshakes have places for.
const FLOOD: usize = 300;
/// Unfinished handshakes that one address may have, as `hospes_net::limits` says.
const PENDING_PER_ADDRESS: usize = 32;
/// Questions that are timed.
const ROUNDS: usize = 40;
/// How much longer an answer may take during the floods: far more than was ever seen.
const SLOWER_MAX: u32 = 100;

/// Sockets that the process has open.
fn sockets(node: &Node) -> usize {
    let open = std::fs::read_dir(format!("/proc/{}/fd", node.child.id())).unwrap();
    let is_socket = |link: std::path::PathBuf| link.to_string_lossy().starts_with("socket:");
    open.filter_map(Result::ok)
        .filter_map(|fd| std::fs::read_link(fd.path()).ok())
        .filter(|l| is_socket(l.clone()))
        .count()
}

fn api(node: &Node) -> SocketAddr {
    node.ready["api"].as_str().unwrap().trim_start_matches("http://").parse().unwrap()
}

fn p2p(node: &Node) -> SocketAddr {
    let address = node.ready["p2p"][0].as_str().unwrap();
    let parts: Vec<_> = address.split('/').collect();
    format!("{}:{}", parts[2], parts[4]).parse().unwrap()
}

/// One question to the API on a connection of its own; how long it took.
fn ask(api: SocketAddr) -> Duration {
    let begun = Instant::now();
    let mut line = TcpStream::connect(api).unwrap();
    line.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    line.write_all(b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    line.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "an honest client is served: {answer:.80}");
    begun.elapsed()
}

/// The slowest but two of forty.
fn p95(api: SocketAddr) -> Duration {
    let mut took: Vec<_> = (0..ROUNDS).map(|_| ask(api)).collect();
    took.sort_unstable();
    took[ROUNDS * 95 / 100]
}

/// Connections on which so much was said, and then nothing.
fn flood(to: SocketAddr, said: &[u8]) -> Vec<TcpStream> {
    let open = |_| {
        let mut line = TcpStream::connect(to).unwrap();
        // A node that has closed it already is right to.
        let _said = line.write_all(said);
        line
    };
    (0..FLOOD).map(open).collect()
}

#[test]
fn a_flooded_node_answers_and_holds_no_more_connections_than_its_limits() {
    let desk = Desk::new();
    desk.found("north", &[]).data();
    let node = desk.start("north");
    let (api, p2p) = (api(&node), p2p(&node));
    let before = p95(api);
    wait_until("the questions' connections are closed", || sockets(&node) < 40);
    let quiet = sockets(&node);

    let silent = flood(p2p, b"");
    let half = flood(p2p, b"\x13/multistream/1.0.0\n\x10/hospes/noi");
    let garbage = flood(p2p, &[0xff; 300]);
    let slow = flood(api, b"GET /api/v1/status HTTP/1.1\r\nX-Slow: ");
    let during = p95(api);
    let ratio = during.as_secs_f64() / before.as_secs_f64();
    eprintln!("answers, p95: {before:?} before, {during:?} under four floods: {ratio:.1} times");
    assert!(during < before * SLOWER_MAX + Duration::from_secs(1), "{ratio:.1} times as long");
    let held = quiet + FLOOD + PENDING_PER_ADDRESS;
    wait_until("what is beyond the limits is closed", || sockets(&node) <= held);
    assert_eq!(desk.json(&["--data-dir", "north", "status"]).code, 0, "and the command line goes on");

    drop((silent, half, garbage, slow));
    wait_until("what is left is closed", || sockets(&node) <= quiet);
    assert_eq!(node.end("TERM"), 0, "an orderly end");
}
