//! A TCP line that can fall silent: it stops carrying bytes without closing, as a pulled cable does.

use std::net::SocketAddr;

use hospes_net::Multiaddr;
use libp2p::multiaddr::Protocol;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A running line.
pub(crate) struct Line {
    pub(crate) address: Multiaddr,
    silent: watch::Sender<bool>,
}

impl Line {
    /// A line to the node that listens on `target`.
    pub(crate) async fn to(target: &Multiaddr) -> Self {
        let target = socket_address(target);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port());
        let (silent, is_silent) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, target, is_silent.clone()));
            }
        });
        Self { address: address.parse().unwrap(), silent }
    }

    /// From now on nothing is carried, and nothing is closed.
    pub(crate) fn falls_silent(&self) {
        self.silent.send_replace(true);
    }
}

async fn carry(mut near: TcpStream, target: SocketAddr, mut silent: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    let silenced = tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => false,
        silenced = silent.wait_for(|s| *s) => silenced.is_ok(),
    };
    if silenced {
        std::future::pending::<()>().await;
    }
}

pub(crate) fn socket_address(address: &Multiaddr) -> SocketAddr {
    let mut parts = address.iter();
    match (parts.next(), parts.next()) {
        (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) => (ip, port).into(),
        _ => panic!("not an IPv4 TCP address: {address}"),
    }
}
