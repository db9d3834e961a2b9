//! Listens on loopback and serves connections, each with a time limit for its headers.
//!
//! Anything but loopback would need TLS, which isn't built, and is refused before anything listens. Uploads and
//! downloads have no total time: what may not stand still is bounded where it is read.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hospes_service::effects::Event;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, oneshot};
use tokio::task::JoinHandle;

use super::state::{Api, Parts};
use super::{events, router};

/// How long a client may take for its headers, and a connection may idle between requests.
const HEADERS_WAIT: Duration = Duration::from_secs(30);
/// Connections at once.
const CONNECTIONS_MAX: usize = 512;
/// Bytes of headers.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// How long requests under way may take once the node stops.
const STOP_WAIT: Duration = Duration::from_secs(2);
/// After an error of the listener, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the API doesn't listen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// Not a loopback address.
    #[error("the API listens on loopback only, because it speaks no TLS: {0} is refused; use 127.0.0.1:7171")]
    NotLoopback(SocketAddr),
    /// The system refused.
    #[error("the API cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
}

/// The API, while it listens.
pub(crate) struct Serving {
    /// Where it listens; the port is real also where 0 was asked for.
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    accepting: JoinHandle<()>,
    carrying: JoinHandle<()>,
}

impl Serving {
    /// Ends it: nothing new is taken, what is under way gets two seconds.
    pub(crate) async fn stop(self) {
        let _ended = self.stop.send(());
        let _joined = self.accepting.await;
        self.carrying.abort();
    }
}

/// Listens on `address` and serves until stopped. Needs a running Tokio.
///
/// # Errors
/// [`ServeError`]; nothing listens then.
pub(crate) async fn serve(
    address: SocketAddr,
    parts: Parts,
    watched: broadcast::Receiver<Event>,
) -> Result<Serving, ServeError> {
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    let refused = |e| ServeError::Listen(address, e);
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let api = Api::new(parts);
    let carrying = tokio::spawn(events::carry(api.clone(), watched));
    let (stop, stopped) = oneshot::channel();
    let accepting = tokio::spawn(accept(listener, router(api), stopped));
    Ok(Serving { address, stop, accepting, carrying })
}

async fn accept(listener: TcpListener, router: Router, mut stopped: oneshot::Receiver<()>) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = match places.clone().acquire_owned().await {
            Ok(place) => place,
            Err(_) => break,
        };
        tokio::select! {
            _ = &mut stopped => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => connection(stream, router.clone(), &graceful, place),
                Err(error) => {
                    tracing::warn!(%error, "the API could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    let _cut = tokio::time::timeout(STOP_WAIT, graceful.shutdown()).await;
}

fn connection(stream: TcpStream, router: Router, graceful: &GracefulShutdown, place: OwnedSemaphorePermit) {
    let _best_effort = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WAIT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let watched = graceful.watch(served);
    tokio::spawn(async move {
        // A client that goes away is no event.
        let _ended: Result<(), hyper::Error> = watched.await;
        drop(place);
    });
}
