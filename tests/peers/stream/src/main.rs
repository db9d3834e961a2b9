//! So many bytes over one libp2p stream (TCP, Noise, yamux) on loopback, acknowledged by one byte at the end.
//!
//! `stream BYTES FOLDER` prints how many megabytes a second went over; nothing is read from or written to the folder.
//! There is no swarm and no protocol: a transport, one connection, one stream. `hospes bench --peers` runs it.

use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt as _, SubstreamBox};
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, PortUse, TransportEvent};
use libp2p::core::upgrade::Version;
use libp2p::core::{Endpoint, Transport as _};
use libp2p::{PeerId, identity, noise, tcp, yamux};

/// Bytes that are written at a time, about what a stored segment has.
const PIECE: usize = 1 << 20;

type Fault = Box<dyn Error + Send + Sync>;
type Transport = Boxed<(PeerId, StreamMuxerBox)>;

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let usage = "usage: stream BYTES FOLDER";
    let bytes: usize = std::env::args().nth(1).ok_or(usage)?.parse()?;
    let (here, there) = connected().await?;
    let taken = tokio::spawn(take(there, bytes));
    let since = Instant::now();
    give(here, bytes).await?;
    let took = since.elapsed();
    taken.await??;
    println!("{:.3}", bytes as f64 / 1e6 / took.as_secs_f64());
    Ok(())
}

fn transport() -> Result<Transport, Fault> {
    let key = identity::Keypair::generate_ed25519();
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    let secured = tcp.upgrade(Version::V1).authenticate(noise::Config::new(&key)?);
    Ok(secured.multiplex(yamux::Config::default()).boxed())
}

/// Both ends of one connection.
async fn connected() -> Result<(StreamMuxerBox, StreamMuxerBox), Fault> {
    let (mut dialer, mut listener) = (transport()?, transport()?);
    listener.listen_on(ListenerId::next(), "/ip4/127.0.0.1/tcp/0".parse()?)?;
    let address = loop {
        if let TransportEvent::NewAddress { listen_addr, .. } = listener.select_next_some().await {
            break listen_addr;
        }
    };
    let incoming = async {
        loop {
            if let TransportEvent::Incoming { upgrade, .. } = listener.select_next_some().await {
                return upgrade.await;
            }
        }
    };
    let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
    let dialled = dialer.dial(address, options)?;
    let ((_, here), (_, there)) = futures::try_join!(dialled, incoming)?;
    Ok((here, there))
}

/// Sends all and waits for the byte that says it came.
async fn give(mut muxer: StreamMuxerBox, bytes: usize) -> Result<(), Fault> {
    let mut stream = poll_fn(|cx| muxer.poll_outbound_unpin(cx)).await?;
    let work = async move {
        let (piece, mut left) = (vec![0x5a; PIECE], bytes);
        while left > 0 {
            let n = left.min(PIECE);
            stream.write_all(&piece[..n]).await?;
            left -= n;
        }
        stream.flush().await?;
        stream.read_exact(&mut [0]).await
    };
    driven(muxer, work).await
}

/// Takes all and says that it came.
async fn take(mut muxer: StreamMuxerBox, bytes: usize) -> Result<(), Fault> {
    let mut stream: SubstreamBox = poll_fn(|cx| loop {
        if let Poll::Ready(stream) = muxer.poll_inbound_unpin(cx) {
            return Poll::Ready(stream);
        }
        match muxer.poll_unpin(cx) {
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
            Poll::Pending => return Poll::Pending,
        }
    })
    .await?;
    let work = async move {
        let (mut buffer, mut left) = (vec![0; PIECE], bytes);
        while left > 0 {
            match stream.read(&mut buffer).await? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                n => left -= n,
            }
        }
        stream.write_all(&[6]).await?;
        stream.flush().await?;
        // The connection is driven until the other side, which has the byte by then, lets go of it.
        let _gone = stream.read(&mut buffer).await;
        Ok(())
    };
    driven(muxer, work).await
}

/// Does `work` on a stream while its connection is driven.
async fn driven(
    mut muxer: StreamMuxerBox,
    work: impl Future<Output = std::io::Result<()>>,
) -> Result<(), Fault> {
    let mut work = Box::pin(work);
    poll_fn(|cx| {
        // What the connection itself meets shows in its stream.
        while let Poll::Ready(Ok(_)) = muxer.poll_unpin(cx) {}
        Pin::new(&mut work).poll(cx)
    })
    .await?;
    Ok(())
}
