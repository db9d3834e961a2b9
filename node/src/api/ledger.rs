//! `/ledger/export`: the ledger as a file that `hospes verify` judges without a node. It holds commitments,
//! nothing about patients; yet it takes a session.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;

use super::caller::Caller;
use super::codes::{Code, Family};
use super::problem::{Answer, Problem};
use super::state::Api;
use crate::export::{ExportError, Exporter};

/// Items that are read ahead of the client.
const AHEAD: usize = 8;

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Missing(_) => {
                let (status, next) = (StatusCode::CONFLICT, "Export from a node that has all blocks.");
                Self::foreign(status, Family::Unavailable, "ledger-incomplete", &error.to_string(), next)
            }
            error => {
                tracing::error!(%error, "the ledger could not be exported");
                Self::of(Code::Unreadable)
            }
        }
    }
}

/// The ledger as a file.
///
/// An answer that breaks off before its closing item is refused by `hospes verify`.
#[utoipa::path(get, path = "/ledger/export", tag = "node",
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 401, body = Problem), (status = 409, description = "Blocks are missing here.", body = Problem)))]
pub(crate) async fn export(State(api): State<Api>, _caller: Caller) -> Answer<Response> {
    let (ledger, from) = (api.parts.ledger.clone(), api.clone());
    let made = tokio::task::spawn_blocking(move || Exporter::new(ledger, &from.parts.genesis));
    let exporter = made.await.map_err(|_| Code::Stopping)??;
    let (items, received) = mpsc::channel::<std::io::Result<Bytes>>(AHEAD);
    tokio::task::spawn_blocking(move || {
        for item in exporter {
            let item = item.map(Bytes::from).map_err(|error| {
                tracing::error!(%error, "the export broke off");
                std::io::Error::other("the export broke off")
            });
            let failed = item.is_err();
            if items.blocking_send(item).is_err() || failed {
                return;
            }
        }
    });
    let next = |mut received: mpsc::Receiver<_>| async move { received.recv().await.map(|i| (i, received)) };
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"ledger.hospes\""),
    ];
    Ok((headers, Body::from_stream(futures::stream::unfold(received, next))).into_response())
}
