//! Between the service and the network: node ids become peer ids, effects become commands, events become
//! inputs. It decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hospes_net::{Command, Event as NetEvent, GossipId, Multiaddr, Net, ObjectSink, PeerId, Verdict};
use hospes_protocol::check::Blame;
use hospes_protocol::ids::{NodeId, ObjectId, sha256};
use hospes_protocol::wire::Wire;
use hospes_service::effects::{Effect, Event, Member, Timer};
use hospes_storage::{Item, Objects, StoreError};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::actor::{Handle, Input, clock_ms};

/// Penalties after which a peer is cut; hostile acts count ten, faults one.
const SCORE_MAX: u32 = 30;

/// Carries effects and events until the node ends.
pub(crate) struct Bridge {
    pub(crate) net: Net,
    pub(crate) service: Handle,
    pub(crate) objects: Arc<dyn Objects>,
    pub(crate) effects: mpsc::UnboundedReceiver<Effect>,
    pub(crate) watchers: broadcast::Sender<Event>,
    /// Peers from the configuration, admitted whatever the ledger says.
    pub(crate) bootstrap: BTreeMap<PeerId, Vec<Multiaddr>>,
    pub(crate) me: PeerId,
    pub(crate) listening: mpsc::UnboundedSender<Multiaddr>,
}

#[derive(Default)]
struct Book {
    timers: BTreeMap<Timer, u64>,
    sinks: BTreeMap<u64, ObjectSink>,
    next_token: u64,
    /// Whom an open request went to.
    asked: BTreeMap<u64, NodeId>,
    score: BTreeMap<PeerId, u32>,
}

/// The node id behind a peer id.
pub(crate) fn node_of(peer: &PeerId) -> Option<NodeId> {
    hospes_net::public_key_of(peer).map(|key| NodeId(sha256(&[&key])))
}

impl Bridge {
    /// Runs until the service or the network ends.
    pub(crate) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut book = Book::default();
        let mut peers: BTreeMap<NodeId, PeerId> = BTreeMap::new();
        let (verdicts, mut given) = mpsc::unbounded_channel::<(GossipId, bool)>();
        loop {
            let wake = book.timers.values().min().copied();
            tokio::select! {
                _ = &mut stop => break,
                effect = self.effects.recv() => match effect {
                    Some(effect) => self.effect(effect, &mut book, &mut peers).await,
                    None => break,
                },
                Some((message, good)) = given.recv() => {
                    let verdict = if good { Verdict::Accept } else { Verdict::Ignore };
                    self.command(Command::Validate { message, verdict }).await;
                }
                event = self.net.events.recv() => match event {
                    Some(event) => self.event(event, &mut book, &verdicts).await,
                    None => break,
                },
                () = sleep_until(wake) => self.fire(&mut book).await,
            }
        }
        self.command(Command::Shutdown).await;
    }

    async fn command(&self, command: Command) {
        // The network side ends only when this loop has told it to.
        let _ended = self.net.commands.send(command).await;
    }

    async fn fire(&self, book: &mut Book) {
        let now = clock_ms();
        let due: Vec<_> = book.timers.iter().filter(|(_, at)| **at <= now).map(|(t, _)| *t).collect();
        for timer in due {
            book.timers.remove(&timer);
            self.input(Input::Timer(timer)).await;
        }
    }

    async fn input(&self, input: Input) {
        // A service that has stopped ends this loop through its effects.
        let _stopped = self.service.send(input).await;
    }

    async fn effect(&mut self, effect: Effect, book: &mut Book, peers: &mut BTreeMap<NodeId, PeerId>) {
        match effect {
            Effect::Gossip(bytes) => self.command(Command::Publish(bytes)).await,
            Effect::Send { to, bytes } => {
                if let Some(peer) = peers.get(&to).copied() {
                    self.command(Command::Send { peer, bytes }).await;
                }
            }
            Effect::Request { id, to, bytes } => match peers.get(&to).copied() {
                Some(peer) => {
                    book.asked.insert(id, to);
                    self.command(Command::Request { peer, id, bytes }).await;
                }
                None => self.input(Input::Response { from: to, id, bytes: None }).await,
            },
            Effect::Respond { token, bytes } => self.command(Command::Respond { token, bytes }).await,
            Effect::Fetch { id, from, bytes } => match peers.get(&from).copied() {
                Some(peer) => self.command(Command::GetObjects { peer, id, request: bytes }).await,
                None => self.input(Input::ObjectEnd { id, complete: false }).await,
            },
            Effect::CancelFetch(id) => self.command(Command::CancelObjects { id }).await,
            Effect::Serve { token, objects } => {
                if let Some(sink) = book.sinks.remove(&token) {
                    serve(self.objects.clone(), self.service.clone(), sink, objects);
                }
            }
            Effect::Refuse { token, check } => {
                if let Some(sink) = book.sinks.remove(&token) {
                    let _gone = sink.refuse(u64::from(check.code()).encode()).await;
                }
            }
            Effect::SetTimer { timer, at } => {
                book.timers.insert(timer, at);
            }
            Effect::ClearTimer(timer) => {
                book.timers.remove(&timer);
            }
            Effect::Admit(members) => self.admit(members, peers).await,
            Effect::Blame { node, check } => {
                if let Some(peer) = peers.get(&node).copied() {
                    self.blame(peer, check, book).await;
                }
            }
            Effect::Event(event) => {
                match &event {
                    Event::DiskFull(full) => tell_disk(*full),
                    Event::Outdated => tracing::error!(
                        "the disk is older than what this node signed: it signs nothing more until it has a new key"
                    ),
                    Event::Ceremony { committee, sender, refused: Some(why) } => {
                        tracing::warn!(%committee, ?sender, "refused in a committee's ceremony: {why}");
                    }
                    _ => {}
                }
                // Nobody may be watching.
                let _unwatched = self.watchers.send(event);
            }
        }
    }

    async fn blame(&self, peer: PeerId, check: hospes_protocol::check::Check, book: &mut Book) {
        let score = book.score.entry(peer).or_default();
        *score += if check.blame() == Blame::Hostile { 10 } else { 1 };
        tracing::warn!(%peer, code = check.code(), score, "peer sent something unlawful: {}", check.text());
        if *score >= SCORE_MAX {
            book.score.remove(&peer);
            let reason = format!("{}: {}", check.code(), check.text());
            self.command(Command::Penalise { peer, reason }).await;
        }
    }

    async fn admit(&self, members: Vec<Member>, peers: &mut BTreeMap<NodeId, PeerId>) {
        let before: BTreeSet<PeerId> = peers.values().copied().collect();
        peers.clear();
        let mut admitted: BTreeSet<PeerId> = self.bootstrap.keys().copied().collect();
        let mut dial: BTreeMap<PeerId, Vec<Multiaddr>> = self.bootstrap.clone();
        for member in members {
            let key: Option<&[u8; 32]> = member.key.as_bytes().try_into().ok();
            let Some(peer) = key.and_then(hospes_net::peer_id_of) else { continue };
            peers.insert(member.node, peer);
            admitted.insert(peer);
            let addresses: Vec<Multiaddr> = member.addresses.iter().filter_map(|a| a.parse().ok()).collect();
            if !addresses.is_empty() {
                dial.entry(peer).or_insert(addresses);
            }
        }
        for peer in self.bootstrap.keys() {
            if let Some(node) = node_of(peer) {
                peers.entry(node).or_insert(*peer);
            }
        }
        admitted.remove(&self.me);
        for gone in before.difference(&admitted) {
            self.command(Command::Forget(*gone)).await;
        }
        self.command(Command::Admit(admitted)).await;
        for (peer, addrs) in dial {
            if peer != self.me && !before.contains(&peer) {
                self.command(Command::Dial { peer, addrs }).await;
            }
        }
    }

    async fn event(
        &self,
        event: NetEvent,
        book: &mut Book,
        verdicts: &mpsc::UnboundedSender<(GossipId, bool)>,
    ) {
        match event {
            NetEvent::Listening(address) => {
                let _unheard = self.listening.send(address);
            }
            NetEvent::Connected { peer, .. } => self.with(&peer, Input::Connected).await,
            NetEvent::Disconnected { peer, reason } => {
                tracing::info!(%peer, %reason, "disconnected");
                self.with(&peer, Input::Disconnected).await;
            }
            NetEvent::Refused { peer, reason } => tracing::warn!(%peer, %reason, "refused in the handshake"),
            NetEvent::DialFailed { peer, error } => tracing::debug!(%peer, %error, "dial failed"),
            NetEvent::Subscribed(_) => {}
            NetEvent::Gossip { from, message, bytes } => self.gossip(&from, message, bytes, verdicts).await,
            NetEvent::Message { from, bytes } => {
                self.with(&from, |from| Input::Channel { from, bytes }).await;
            }
            NetEvent::Request { from, token, bytes } => {
                self.with(&from, |from| Input::Request { from, token, bytes }).await;
            }
            NetEvent::Response { id, result } => {
                if let Some(from) = book.asked.remove(&id) {
                    self.input(Input::Response { from, id, bytes: result.ok() }).await;
                }
            }
            NetEvent::ObjectRequested { from, request, sink } => {
                book.next_token += 1;
                let token = book.next_token;
                book.sinks.insert(token, sink);
                self.with(&from, |from| Input::ObjectRequest { from, token, bytes: request }).await;
            }
            NetEvent::ObjectData { id, frame } => {
                let bytes = frame.to_vec();
                self.input(Input::ObjectFrame { id, bytes, window: Box::new(frame) }).await;
            }
            NetEvent::ObjectEnd { id, result } => {
                self.input(Input::ObjectEnd { id, complete: result.is_ok() }).await;
            }
        }
    }

    async fn with(&self, peer: &PeerId, input: impl FnOnce(NodeId) -> Input) {
        if let Some(node) = node_of(peer) {
            self.input(input(node)).await;
        }
    }

    // The verdict comes from the service's thread; waiting for it here would hold up every other peer.
    async fn gossip(
        &self,
        from: &PeerId,
        message: GossipId,
        bytes: Vec<u8>,
        verdicts: &mpsc::UnboundedSender<(GossipId, bool)>,
    ) {
        let Some(from) = node_of(from) else { return };
        let (verdict, given) = oneshot::channel();
        self.input(Input::Gossip { from, bytes, verdict }).await;
        let verdicts = verdicts.clone();
        tokio::spawn(async move {
            let good = given.await.unwrap_or(false);
            let _ended = verdicts.send((message, good));
        });
    }
}

fn tell_disk(full: bool) {
    if full {
        tracing::error!("the disk is full: the node is read-only until there is space");
    } else {
        tracing::info!("the disk has space again: the node writes");
    }
}

async fn sleep_until(at: Option<u64>) {
    match at {
        Some(at) => {
            tokio::time::sleep(std::time::Duration::from_millis(at.saturating_sub(clock_ms()))).await;
        }
        None => std::future::pending().await,
    }
}

/// Streams a blob from the store, its root first; a damaged part ends the stream early and is fetched from
/// another holder.
fn serve(objects: Arc<dyn Objects>, service: Handle, sink: ObjectSink, ids: Vec<ObjectId>) {
    let root = ids.first().copied();
    tokio::task::spawn_blocking(move || {
        for id in ids {
            match objects.object(&id) {
                Ok(Some(bytes)) => {
                    if sink.send_blocking(bytes).is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(object = %id, %error, "an object could not be read");
                    if let (Some(root), StoreError::Corrupt(Item::Object(part))) = (root, error) {
                        let heal = Input::Act(Box::new(move |s| s.heal(&root, None, Some(part)).map(drop)));
                        let _ended = tokio::runtime::Handle::current().block_on(service.send(heal));
                    }
                    return;
                }
            }
        }
        let _gone = tokio::runtime::Handle::current().block_on(sink.finish());
    });
}
