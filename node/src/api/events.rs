//! `GET /events`: server-sent events (WHATWG HTML, 9.2) with ids, from a bounded ring.
//!
//! Kinds are `sync`, `access`, `breakglass`, `membership` and `tap`. No event carries health data or a
//! patient. Events of taps go to those who name the tap: its id is what lets them see it. A client that
//! comes back with `Last-Event-ID` gets what it missed; where the ring no longer has it, an event `missed`
//! says that the client should read anew.

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use hospes_protocol::entry::Kind;
use hospes_service::effects::Event;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use utoipa::IntoParams;

use super::caller::Caller;
use super::codes::Code;
use super::input::Params;
use super::problem::{Answer, Problem};
use super::state::Api;
use super::taps::Tap;

/// Events that a client may have missed and still gets.
const RING_MAX: usize = 1024;
/// Taps that one stream may watch.
const TAPS_MAX: usize = 16;
/// A comment at this interval shows that the stream stands.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One event.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// From 1, without gaps.
    pub(crate) id: u64,
    /// Its kind.
    pub(crate) kind: &'static str,
    /// What it says.
    pub(crate) data: Value,
    /// The tap that it is about.
    pub(crate) tap: Option<String>,
}

struct Book {
    next: u64,
    told: VecDeque<Told>,
}

/// The last events, and whoever waits for the next.
pub(crate) struct Ring {
    book: Mutex<Book>,
    live: broadcast::Sender<()>,
}

impl Default for Ring {
    fn default() -> Self {
        let book = Mutex::new(Book { next: 1, told: VecDeque::new() });
        Self { book, live: broadcast::channel(1).0 }
    }
}

impl Ring {
    /// Tells an event.
    pub(crate) fn tell(&self, kind: &'static str, tap: Option<String>, data: Value) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let id = book.next;
        book.next += 1;
        if book.told.len() == RING_MAX {
            book.told.pop_front();
        }
        book.told.push_back(Told { id, kind, data, tap });
        drop(book);
        // Nobody may be listening.
        let _unheard = self.live.send(());
    }

    /// The number of the last event.
    pub(crate) fn last(&self) -> u64 {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).next - 1
    }

    /// What was told after `id`; and whether something of it is gone.
    pub(crate) fn after(&self, id: u64) -> (Vec<Told>, bool) {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = book.told.front().map_or(book.next, |t| t.id);
        // An id from before a restart may lie ahead of ours.
        let missed = id.saturating_add(1) < oldest || id >= book.next;
        let from = if id >= book.next { 0 } else { id };
        (book.told.iter().filter(|t| t.id > from).cloned().collect(), missed)
    }
}

/// What a client wants to hear.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// Taps to watch, by id, separated by commas. Without a session only these are told.
    tap: Option<String>,
}

/// What happens, as it happens.
///
/// Each event has `id`, `event` (its kind) and `data` (JSON). Without a session only the named taps are told.
#[utoipa::path(get, path = "/events", params(EventsQuery), tag = "events",
    responses((status = 200, description = "A stream of events.", content_type = "text/event-stream", body = String),
        (status = 401, description = "Nobody is signed in and no tap is named.", body = Problem)))]
pub(crate) async fn events(
    State(api): State<Api>,
    caller: Result<Caller, Problem>,
    Params(query): Params<EventsQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let named = query.tap.iter().flat_map(|t| t.split(',')).map(str::to_owned);
    let taps: BTreeSet<String> = named.take(TAPS_MAX).collect();
    let session = match caller {
        Ok(caller) => Some(caller.token),
        Err(problem) if taps.is_empty() => return Err(problem),
        Err(_) => None,
    };
    let last = headers.get("last-event-id").map(|v| v.to_str().ok().and_then(|v| v.parse().ok()));
    let from = match last {
        None => api.ring.last(),
        Some(id) => {
            id.ok_or_else(|| Problem::of(Code::BadRequest).detail("Last-Event-ID must be a number."))?
        }
    };
    let listener =
        Listener { live: api.ring.live.subscribe(), api, session, taps, from, ready: VecDeque::new() };
    let sse = axum::response::Sse::new(listener.stream());
    Ok(sse.keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

struct Listener {
    api: Api,
    live: broadcast::Receiver<()>,
    session: Option<String>,
    taps: BTreeSet<String>,
    from: u64,
    ready: VecDeque<Told>,
}

impl Listener {
    fn stream(self) -> impl Stream<Item = Result<Sse, Infallible>> {
        futures::stream::unfold(self, |mut listener| async move {
            let told = listener.next().await?;
            let event = Sse::default().id(told.id.to_string()).event(told.kind).data(told.data.to_string());
            Some((Ok(event), listener))
        })
    }

    fn hears(&self, told: &Told) -> bool {
        told.tap.as_ref().map_or(self.session.is_some(), |tap| self.taps.contains(tap))
    }

    fn stands(&self) -> bool {
        self.session.as_ref().is_none_or(|token| self.api.parts.desk.session(token).is_some())
    }

    // Ends with the session: what comes after a card has left is not told.
    async fn next(&mut self) -> Option<Told> {
        loop {
            if !self.stands() {
                return None;
            }
            if let Some(told) = self.ready.pop_front() {
                return Some(told);
            }
            let (told, missed) = self.api.ring.after(self.from);
            let last = told.last().map_or(self.from, |t| t.id);
            if missed {
                let id = self.api.ring.last().max(last);
                self.ready.push_back(Told { id, kind: "missed", data: json!({}), tap: None });
            }
            self.from = if missed { self.api.ring.last() } else { last };
            let heard: Vec<_> = told.into_iter().filter(|t| self.hears(t)).collect();
            self.ready.extend(heard);
            if self.ready.is_empty() {
                // Lagging is no loss here: the ring has everything, and a closed channel ends the node.
                let waited = tokio::time::timeout(KEEP_ALIVE, self.live.recv()).await;
                if matches!(waited, Ok(Err(broadcast::error::RecvError::Closed))) {
                    return None;
                }
            }
        }
    }
}

/// An event of the service as it is told; null for what is nobody's news.
fn told(event: &Event) -> Option<(&'static str, Value)> {
    Some(match event {
        Event::BlockCommitted { height, headers } => {
            ("sync", json!({ "what": "block", "height": height, "headers": headers }))
        }
        Event::Finalised { height, headers } => {
            let void = headers.iter().filter(|(_, check)| check.is_some()).count();
            ("sync", json!({ "what": "final", "height": height, "headers": headers.len(), "void": void }))
        }
        Event::LockClosed(_) => ("sync", json!({ "what": "withdrawn" })),
        Event::Peer { node, connected } => {
            ("sync", json!({ "what": "peer", "node": node.to_string(), "connected": connected }))
        }
        Event::Object { root, held } => {
            ("sync", json!({ "what": "object", "root": root.to_string(), "held": held }))
        }
        Event::Outdated => ("sync", json!({ "what": "outdated" })),
        Event::DiskFull(full) => ("sync", json!({ "what": "storage", "full": full })),
        Event::BodyKept { content, kind } => {
            let name = match Kind::from_code(*kind) {
                Some(Kind::Access) => "access",
                Some(Kind::BreakGlassRequest | Kind::Release | Kind::Close | Kind::Review | Kind::Search) => {
                    "breakglass"
                }
                _ => "sync",
            };
            (name, json!({ "what": "entry", "content": content.to_string(), "kind": kind }))
        }
        Event::ShareCame(content) => {
            ("breakglass", json!({ "what": "share", "content": content.to_string() }))
        }
        Event::MembershipChanged { left } => {
            let left: Vec<_> = left.iter().map(ToString::to_string).collect();
            ("membership", json!({ "left": left }))
        }
        Event::Ceremony { committee, refused, .. } => {
            let refused = refused.map(|why| why.to_string());
            let said = json!({ "what": "ceremony", "committee": committee.to_string(), "refused": refused });
            ("breakglass", said)
        }
        #[allow(unreachable_patterns, reason = "kinds of events that are news to nobody here")]
        _ => return None,
    })
}

/// Carries the service's events and the desk's taps into the ring until the node ends.
pub(crate) async fn carry(api: Api, mut events: broadcast::Receiver<Event>) {
    let mut taps = api.parts.desk.watch_taps();
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) => {
                    if let Some((kind, data)) = told(&event) {
                        api.ring.tell(kind, None, data);
                    }
                }
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    api.ring.tell("sync", None, json!({ "what": "skipped", "events": missed }));
                }
                Err(broadcast::error::RecvError::Closed) => return,
            },
            tap = taps.recv() => match tap {
                Ok(view) => {
                    let tap = Tap::told(view);
                    let (id, data) = (tap.id.clone(), serde_json::to_value(&tap).unwrap_or_default());
                    api.ring.tell("tap", Some(id), data);
                }
                // The state that follows says what was missed.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_comes_back_gets_what_it_missed() {
        let ring = Ring::default();
        (0..5).for_each(|n| ring.tell("sync", None, json!(n)));
        let (told, missed) = ring.after(3);
        let ids: Vec<_> = told.iter().map(|t| t.id).collect();
        assert_eq!((ids, missed), (vec![4, 5], false), "the two that followed, and nothing is gone");
    }

    #[test]
    fn a_client_that_was_away_too_long_is_told_so() {
        let ring = Ring::default();
        (0..=RING_MAX + 5).for_each(|n| ring.tell("sync", None, json!(n)));
        let (told, missed) = ring.after(1);
        assert!(missed, "what came right after it is gone");
        assert_eq!(told.len(), RING_MAX, "the ring is bounded");
        assert!(ring.after(9_000_000).1, "an id of an earlier run is not taken for the future");
    }

    #[test]
    fn no_event_names_a_patient() {
        let event = Event::BodyKept { content: hospes_protocol::ids::ContentId([7; 32]), kind: 24 };
        let (kind, data) = told(&event).expect("news");
        assert_eq!(kind, "access", "an access is told as one");
        assert!(data.get("patient").is_none(), "without the patient");
    }
}
