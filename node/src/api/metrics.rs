//! `/metrics`: counts for Prometheus (text format 0.0.4), without labels that name anyone.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::problem::Answer;
use super::state::Api;
use super::status::{self, Status};

/// The media type of the text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers by class of status.
#[derive(Default)]
pub(crate) struct Counters {
    answers: [AtomicU64; 5],
}

impl Counters {
    /// Counts an answer.
    pub(crate) fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1).min(self.answers.len() - 1);
        self.answers[class].fetch_add(1, Ordering::Relaxed);
    }
}

struct Text(String);

impl Text {
    fn put(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        // Writing to a string does not fail.
        let _written = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    }
}

fn text(status: &Status, counters: &Counters) -> String {
    let mut out = Text(String::new());
    let connected = status.peers.iter().filter(|p| p.connected).count();
    out.put("hospes_block_height", "gauge", "Height of the newest certified block here.", status.height);
    out.put(
        "hospes_headers_pending",
        "gauge",
        "Own headers that are not final.",
        status.finality.pending_own,
    );
    out.put("hospes_peers_connected", "gauge", "Connected nodes.", connected);
    out.put("hospes_peers", "gauge", "Other nodes that take part.", status.peers.len());
    out.put("hospes_validators", "gauge", "Validators.", status.validators.count);
    out.put("hospes_validators_connected", "gauge", "Validators in reach.", status.validators.connected);
    out.put("hospes_objects", "gauge", "Objects held.", status.objects.count);
    out.put("hospes_objects_bytes", "gauge", "Their stored size.", status.objects.bytes);
    out.put("hospes_clock_skew_ms", "gauge", "By how much the ledger is ahead.", status.clock.skew_ms);
    let damage = &status.damage;
    out.put("hospes_damage_found_total", "counter", "Parts of files found damaged on disk.", damage.found);
    let repaired = "Files made whole again by another holder's copy.";
    out.put("hospes_damage_repaired_total", "counter", repaired, damage.repaired);
    let emergencies = &status.emergencies;
    let without = "Patients at home here whom break-glass can't help.";
    out.put("hospes_patients_without_escrow", "gauge", without, emergencies.without_escrow);
    out.put("hospes_reviews_due", "gauge", "Releases that are not reviewed.", emergencies.reviews_due);
    let overdue = "Releases that were not reviewed in time.";
    out.put("hospes_reviews_overdue", "gauge", overdue, emergencies.reviews_overdue);
    let full = u8::from(status.state == "storage-full");
    out.put("hospes_storage_full", "gauge", "1 while the disk is full and the node read-only.", full);
    out.put("hospes_ok", "gauge", "1 where the state is ok.", u8::from(status.state == "ok"));
    let name = "hospes_http_answers_total";
    let _written = writeln!(out.0, "# HELP {name} Answers by class of status.\n# TYPE {name} counter");
    for (class, count) in counters.answers.iter().enumerate() {
        let _written =
            writeln!(out.0, "{name}{{class=\"{}xx\"}} {}", class + 1, count.load(Ordering::Relaxed));
    }
    out.0
}

/// Counts for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "node",
    responses((status = 200, content_type = "text/plain", body = String)))]
pub(crate) async fn metrics(State(api): State<Api>) -> Answer<impl IntoResponse> {
    let status = status::read(&api).await?;
    Ok(([(header::CONTENT_TYPE, TEXT)], text(&status, &api.counters)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_class() {
        let counters = Counters::default();
        counters.answered(StatusCode::OK);
        counters.answered(StatusCode::NOT_FOUND);
        counters.answered(StatusCode::FORBIDDEN);
        let count = |class: usize| counters.answers[class - 1].load(Ordering::Relaxed);
        assert_eq!((count(2), count(4), count(5)), (1, 2, 0), "each in its class");
    }
}
