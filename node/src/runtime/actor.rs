//! The thread that owns the service: one input at a time, effects out in order.
//!
//! It decides nothing. Everyone else reaches the service by a message or by a closure that runs here; so
//! there are no locks around it. A fatal error ends the thread and is handed to whoever waits for it.

use std::time::{SystemTime, UNIX_EPOCH};

use hospes_protocol::ids::NodeId;
use hospes_service::effects::{Effect, Timer};
use hospes_service::service::{Fatal, Service};
use tokio::sync::{mpsc, oneshot};

/// Inputs that may wait; senders wait beyond it.
const INPUTS_MAX: usize = 1024;

type Act = Box<dyn FnOnce(&mut Service) -> Result<(), Fatal> + Send>;

/// Something for the service.
pub(crate) enum Input {
    /// A peer is connected.
    Connected(NodeId),
    /// A peer is gone.
    Disconnected(NodeId),
    /// Gossip; the verdict says whether it may be relayed.
    Gossip { from: NodeId, bytes: Vec<u8>, verdict: oneshot::Sender<bool> },
    /// On the validators' channel.
    Channel { from: NodeId, bytes: Vec<u8> },
    /// A peer's request.
    Request { from: NodeId, token: u64, bytes: Vec<u8> },
    /// The end of our request.
    Response { from: NodeId, id: u64, bytes: Option<Vec<u8>> },
    /// A peer asks for objects.
    ObjectRequest { from: NodeId, token: u64, bytes: Vec<u8> },
    /// A frame of a transfer; what is held until it is dropped counts against the transfer's window.
    ObjectFrame { id: u64, bytes: Vec<u8>, window: Box<dyn Send> },
    /// The end of a transfer.
    ObjectEnd { id: u64, complete: bool },
    /// A timer fired.
    Timer(Timer),
    /// Runs on the service's thread.
    Act(Act),
}

/// Reaches the service from any task.
#[derive(Clone)]
pub(crate) struct Handle {
    inputs: mpsc::Sender<Input>,
}

/// The service has stopped.
#[derive(Debug, thiserror::Error)]
#[error("the node is stopping")]
pub(crate) struct Stopped;

impl Handle {
    /// Hands over an input; waits while too many wait.
    pub(crate) async fn send(&self, input: Input) -> Result<(), Stopped> {
        self.inputs.send(input).await.map_err(|_| Stopped)
    }

    /// Runs `act` on the service's thread and gives what it returns.
    pub(crate) async fn call<R: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Service) -> R + Send + 'static,
    ) -> Result<R, Stopped> {
        let (done, result) = oneshot::channel();
        let act: Act = Box::new(move |service| {
            // Whoever asked may have gone; the act stands all the same.
            let _gone = done.send(act(service));
            Ok(())
        });
        self.send(Input::Act(act)).await?;
        result.await.map_err(|_| Stopped)
    }
}

/// Milliseconds since 1970 UTC by the machine's clock.
pub(crate) fn clock_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Starts the thread. `ended` hears why it ended: null for an orderly end.
pub(crate) fn start(
    service: Service,
    effects: mpsc::UnboundedSender<Effect>,
) -> std::io::Result<(Handle, oneshot::Receiver<Option<Fatal>>)> {
    let (inputs, mut queue) = mpsc::channel(INPUTS_MAX);
    let (end, ended) = oneshot::channel();
    let mut service = service;
    let run = move || {
        let mut why = None;
        forward(&mut service, &effects);
        while let Some(input) = queue.blocking_recv() {
            service.tick(clock_ms());
            if let Err(fatal) = handle(&mut service, input) {
                why = Some(fatal);
                break;
            }
            forward(&mut service, &effects);
        }
        let _gone = end.send(why);
    };
    std::thread::Builder::new().name("service".into()).spawn(run)?;
    Ok((Handle { inputs }, ended))
}

fn forward(service: &mut Service, effects: &mpsc::UnboundedSender<Effect>) {
    for effect in service.take_effects() {
        // The receiver ends only when the node does.
        let _gone = effects.send(effect);
    }
}

fn handle(service: &mut Service, input: Input) -> Result<(), Fatal> {
    match input {
        Input::Connected(peer) => service.on_connected(peer),
        Input::Disconnected(peer) => {
            service.on_disconnected(peer);
            Ok(())
        }
        Input::Gossip { from, bytes, verdict } => {
            let relay = service.on_gossip(from, &bytes)?;
            let _gone = verdict.send(relay);
            Ok(())
        }
        Input::Channel { from, bytes } => service.on_channel(from, &bytes),
        Input::Request { from, token, bytes } => service.on_request(from, token, &bytes),
        Input::Response { from, id, bytes } => service.on_response(from, id, bytes.as_deref()),
        Input::ObjectRequest { from, token, bytes } => service.on_object_request(from, token, &bytes),
        Input::ObjectFrame { id, bytes, window } => {
            let done = service.on_object_frame(id, &bytes);
            drop(window);
            done
        }
        Input::ObjectEnd { id, complete } => service.on_object_end(id, complete),
        Input::Timer(timer) => service.on_timer(timer),
        Input::Act(act) => act(service),
    }
}
