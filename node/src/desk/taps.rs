//! Taps: what waits for a card and its PIN, step by step, and what became of it.
//!
//! ```text
//! waiting-card --card in--> waiting-pin --right PIN--> working --more cards--> waiting-card
//!                           waiting-pin --wrong PIN--> waiting-pin, one try fewer
//!                                                      working --> done | failed
//! waiting-card, waiting-pin --> expired (three minutes a step) | cancelled
//! waiting-pin --card pulled, PIN blocked--> failed
//! ```
//!
//! A tap is a task that runs one act; the act asks for cards through [`Tap::card`]. While it works it can be
//! neither cancelled nor timed out, so nothing is left half done. Nothing here knows what an act is.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hospes_card::{Card, CardSerial, PadError, Pin};
use hospes_protocol::ids::sha256;
use hospes_protocol::keys::KeyError;
use tokio::sync::{Notify, broadcast, mpsc, oneshot};
use tokio::time::Instant;

use super::error::DeskError;
use super::language::Language;
use super::readers::{CardChange, Readers, hold};
use super::{patient_text, random};
use crate::runtime::actor::clock_ms;

/// How long a step waits for a person.
const STEP_MS: u64 = 3 * 60 * 1000;
/// How long the result of a tap can be read, in milliseconds, if nobody forgets it sooner: it may hold a token or a
/// printed code.
const KEPT_MS: u64 = 2 * 60 * 1000;
/// Taps that wait or can still be read.
const TAPS_MAX: usize = 1000;
/// Views that a slow watcher may be behind before it misses some.
const WATCHED_MAX: usize = 256;

/// Where a tap stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TapState {
    /// Its card is not in.
    WaitingCard,
    /// Its card is in.
    WaitingPin,
    /// The card and the node work.
    Working,
    /// All of it is done.
    Done,
    /// None of it is.
    Failed,
    /// Nobody came; none of it is done.
    Expired,
    /// Somebody cancelled; none of it is done.
    Cancelled,
}

impl TapState {
    /// The name in the API.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::WaitingCard => "waiting-card",
            Self::WaitingPin => "waiting-pin",
            Self::Working => "working",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens to it.
    pub(crate) const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Expired | Self::Cancelled)
    }
}

/// The card that a tap waits for or works with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TapCard {
    /// Its serial.
    pub(crate) serial: CardSerial,
    /// The reader that it is in.
    pub(crate) reader: Option<String>,
    /// What it is made of.
    pub(crate) kind: &'static str,
    /// What the screen calls its holder.
    pub(crate) holder: Option<String>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TapError {
    /// The code.
    pub(crate) code: String,
    /// What happened.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) next: String,
    /// What the screen says, in the language of the tap.
    pub(crate) said: String,
}

impl TapError {
    fn of(error: &DeskError, language: Language) -> Self {
        let said = patient_text::not_done(language, error);
        Self { code: error.code(), message: error.message(), next: error.next(), said }
    }
}

/// A tap as it is shown. Its id is random and known to whoever began it; a result is shown to nobody else.
#[derive(Clone, PartialEq)]
pub(crate) struct TapView {
    /// 32 hexadecimal digits.
    pub(crate) id: String,
    /// What it is for, such as `sign-in` or `grant`.
    pub(crate) kind: &'static str,
    /// Where it stands.
    pub(crate) state: TapState,
    /// What is signed, as the person reads it.
    pub(crate) text: String,
    /// Its language.
    pub(crate) language: Language,
    /// SHA-256 of the text, in the signature.
    pub(crate) text_hash: [u8; 32],
    /// Which card.
    pub(crate) card: Option<TapCard>,
    /// PIN tries left on it.
    pub(crate) tries_left: Option<u8>,
    /// Whether the PIN can be typed on the reader's keypad.
    pub(crate) keypad: bool,
    /// When it stops waiting, in milliseconds since 1970 UTC.
    pub(crate) expires_at: u64,
    /// What came of it; absent from views that are broadcast.
    pub(crate) result: Option<serde_json::Value>,
    /// Why it failed, or what was wrong with the last PIN.
    pub(crate) error: Option<TapError>,
}

impl std::fmt::Debug for TapView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TapView({}, {})", self.kind, self.state.name())
    }
}

/// Where a PIN comes from.
#[derive(Debug)]
pub(crate) enum PinFrom {
    /// It was typed here.
    Here(Pin),
    /// It is typed on the reader's keypad, and never comes here.
    Keypad,
}

impl From<Pin> for PinFrom {
    fn from(pin: Pin) -> Self {
        Self::Here(pin)
    }
}

struct GivenPin {
    /// The card that was shown when it was typed; it goes to no other.
    serial: Option<CardSerial>,
    pin: PinFrom,
    verdict: oneshot::Sender<Result<(), DeskError>>,
}

struct Shared {
    view: Mutex<TapView>,
    pins: mpsc::Sender<GivenPin>,
    cancelled: Notify,
    changes: broadcast::Sender<TapView>,
}

impl Shared {
    fn view(&self) -> TapView {
        hold(&self.view).clone()
    }

    fn change(&self, change: impl FnOnce(&mut TapView)) {
        let mut view = hold(&self.view);
        change(&mut view);
        let shown = TapView { result: None, ..view.clone() };
        drop(view);
        // Nobody may be watching.
        let _unwatched = self.changes.send(shown);
    }
}

/// All taps of the desk.
#[derive(Clone)]
pub(crate) struct Taps {
    readers: Readers,
    open: Arc<Mutex<BTreeMap<String, Arc<Shared>>>>,
    changes: broadcast::Sender<TapView>,
}

/// What an act holds of its tap.
pub(crate) struct Tap {
    readers: Readers,
    shared: Arc<Shared>,
    pins: mpsc::Receiver<GivenPin>,
}

/// What is shown before a tap: the text and its language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The text.
    pub(crate) text: String,
    /// The language that it is in.
    pub(crate) language: Language,
}

impl Shown {
    /// A text in English.
    pub(crate) fn english(text: String) -> Self {
        Self { text, language: Language::English }
    }

    /// As `sign_tap` takes it.
    pub(crate) fn pair(&self) -> (&str, &str) {
        (&self.text, self.language.tag())
    }
}

impl Taps {
    /// No taps, over these readers.
    pub(crate) fn new(readers: Readers) -> Self {
        Self { readers, open: Arc::default(), changes: broadcast::channel(WATCHED_MAX).0 }
    }

    /// Every change of every tap from now on, without results.
    pub(crate) fn watch(&self) -> broadcast::Receiver<TapView> {
        self.changes.subscribe()
    }

    /// A tap, for some time after its end too.
    pub(crate) fn get(&self, id: &str) -> Option<TapView> {
        hold(&self.open).get(id).map(|shared| shared.view())
    }

    /// Begins a tap whose first card is `serial`, and runs `act` with it.
    pub(crate) fn begin<A, F>(
        &self,
        kind: &'static str,
        shown: Shown,
        serial: CardSerial,
        act: A,
    ) -> Result<TapView, DeskError>
    where
        A: FnOnce(Tap) -> F,
        F: Future<Output = Result<serde_json::Value, DeskError>> + Send + 'static,
    {
        let id = data_encoding::HEXLOWER.encode(&random::bytes::<16>()?);
        let (pins, given) = mpsc::channel(1);
        let text_hash = sha256(&[shown.text.as_bytes()]);
        let view = TapView {
            id: id.clone(),
            kind,
            state: TapState::WaitingCard,
            text: shown.text,
            language: shown.language,
            text_hash,
            card: None,
            tries_left: None,
            keypad: false,
            expires_at: clock_ms() + STEP_MS,
            result: None,
            error: None,
        };
        let shared = Arc::new(Shared {
            view: Mutex::new(view),
            pins,
            cancelled: Notify::new(),
            changes: self.changes.clone(),
        });
        let tap = Tap { readers: self.readers.clone(), shared: shared.clone(), pins: given };
        tap.expect(&serial);
        {
            let mut open = hold(&self.open);
            if open.len() >= TAPS_MAX {
                return Err(DeskError::TooManyTaps);
            }
            open.insert(id.clone(), shared.clone());
        }
        let act = act(tap);
        let (ended, open) = (shared.clone(), self.open.clone());
        tokio::spawn(async move {
            // An act that panicked ends its tap too; the panic is in the log.
            let result = tokio::spawn(act).await.unwrap_or(Err(DeskError::Stopping));
            ended.change(|view| view.end(result));
            // Whoever forgets the tap sooner frees what came of it.
            drop(ended);
            tokio::time::sleep(Duration::from_millis(KEPT_MS)).await;
            hold(&open).remove(&id);
        });
        Ok(shared.view())
    }

    /// Hands the PIN to the card, or has it typed on the keypad; gives the tap once the card has judged it.
    ///
    /// # Errors
    /// [`KeyError::WrongPin`] and [`KeyError::PinBlocked`] of the card; [`DeskError::TapState`] where none is awaited.
    pub(crate) async fn give_pin(&self, id: &str, pin: PinFrom) -> Result<TapView, DeskError> {
        let shared = hold(&self.open).get(id).cloned().ok_or(DeskError::NoTap)?;
        let view = shared.view();
        if view.state != TapState::WaitingPin {
            return Err(DeskError::TapState);
        }
        let serial = view.card.map(|card| card.serial);
        let (verdict, judged) = oneshot::channel();
        shared.pins.try_send(GivenPin { serial, pin, verdict }).map_err(|_| DeskError::TapState)?;
        match judged.await {
            Ok(verdict) => verdict.map(|()| shared.view()),
            // The step ended in between: expired, cancelled or its card pulled.
            Err(_) => Err(DeskError::TapState),
        }
    }

    /// Cancels a tap that waits, and forgets one that is over, with its result.
    ///
    /// # Errors
    /// [`DeskError::NoTap`]; [`DeskError::TapState`] while it works.
    pub(crate) fn cancel(&self, id: &str) -> Result<(), DeskError> {
        let mut open = hold(&self.open);
        let shared = open.get(id).cloned().ok_or(DeskError::NoTap)?;
        let state = hold(&shared.view).state;
        match state {
            TapState::WaitingCard | TapState::WaitingPin => shared.cancelled.notify_one(),
            over if over.is_over() => drop(open.remove(id)),
            _ => return Err(DeskError::TapState),
        }
        Ok(())
    }
}

impl TapView {
    fn end(&mut self, result: Result<serde_json::Value, DeskError>) {
        self.expires_at = clock_ms() + KEPT_MS;
        match result {
            Ok(value) => {
                self.state = TapState::Done;
                self.error = None;
                self.result = Some(value);
            }
            Err(error) => {
                self.state = match error {
                    DeskError::TapExpired => TapState::Expired,
                    DeskError::TapCancelled => TapState::Cancelled,
                    _ => TapState::Failed,
                };
                self.error = Some(TapError::of(&error, self.language));
            }
        }
    }
}

impl Tap {
    /// Waits for a card and its PIN, then runs `work` with the card on a blocking thread.
    ///
    /// # Errors
    /// Those of the wait, of the card and of `work`.
    pub(crate) async fn card<R: Send + 'static>(
        &mut self,
        serial: CardSerial,
        work: impl FnOnce(Box<dyn Card>) -> Result<R, DeskError> + Send + 'static,
    ) -> Result<R, DeskError> {
        self.expect(&serial);
        let until = Instant::now() + Duration::from_millis(STEP_MS);
        let mut changes = self.readers.watch();
        self.wait_for_card(&serial, until, &mut changes).await?;
        let card = self.wait_for_pin(&serial, until, &mut changes).await?;
        let bus = self.readers.bus(&serial)?;
        blocking(move || {
            let _working = hold(&bus);
            work(card)
        })
        .await
    }

    /// Shows the next card that is awaited.
    fn expect(&self, serial: &CardSerial) {
        let found = self.readers.card(serial);
        self.shared.change(|view| {
            view.state = TapState::WaitingCard;
            view.expires_at = clock_ms() + STEP_MS;
            view.tries_left = found.as_ref().map(|(_, info)| info.pin_tries_left);
            view.keypad = self.readers.has_keypad(serial);
            let holder = found.as_ref().and_then(|(_, i)| i.holder_label.as_ref());
            view.card = Some(TapCard {
                serial: *serial,
                reader: found.as_ref().map(|(reader, _)| reader.clone()),
                kind: found.as_ref().map_or("soft", |(_, info)| super::kind_of(info)),
                holder: holder.map(|label| label.as_str().to_owned()),
            });
            if found.is_some() {
                view.state = TapState::WaitingPin;
            }
        });
    }

    async fn wait_for_card(
        &self,
        serial: &CardSerial,
        until: Instant,
        changes: &mut broadcast::Receiver<CardChange>,
    ) -> Result<(), DeskError> {
        while self.readers.card(serial).is_none() {
            tokio::select! {
                // Whatever happened, and also where some of it was missed, what is in is looked at.
                _change = changes.recv() => {}
                () = self.shared.cancelled.notified() => return Err(DeskError::TapCancelled),
                () = tokio::time::sleep_until(until) => return Err(DeskError::TapExpired),
            }
        }
        self.expect(serial);
        Ok(())
    }

    async fn wait_for_pin(
        &mut self,
        serial: &CardSerial,
        until: Instant,
        changes: &mut broadcast::Receiver<CardChange>,
    ) -> Result<Box<dyn Card>, DeskError> {
        loop {
            let given = tokio::select! {
                given = self.pins.recv() => given.ok_or(DeskError::TapCancelled)?,
                change = changes.recv() => {
                    if change == Ok(CardChange::Removed(*serial)) || self.readers.card(serial).is_none() {
                        return Err(KeyError::Removed.into());
                    }
                    continue;
                }
                () = self.shared.cancelled.notified() => return Err(DeskError::TapCancelled),
                () = tokio::time::sleep_until(until) => return Err(DeskError::TapExpired),
            };
            // Typed for the card of the step before: whoever typed it is told that it was not awaited.
            if given.serial != Some(*serial) {
                continue;
            }
            if let Some(card) = self.judge_pin(*serial, given).await? {
                return Ok(card);
            }
        }
    }

    /// A card with its session begun; null after a wrong PIN, when more tries are left.
    async fn judge_pin(
        &self,
        serial: CardSerial,
        given: GivenPin,
    ) -> Result<Option<Box<dyn Card>>, DeskError> {
        self.shared.change(|view| view.state = TapState::Working);
        let (readers, pin) = (self.readers.clone(), given.pin);
        let verified = blocking(move || {
            let bus = readers.bus(&serial)?;
            let working = hold(&bus);
            let mut card = readers.connect(&serial)?;
            let verified = match &pin {
                PinFrom::Here(pin) => card.verify_pin(pin).map_err(DeskError::from),
                PinFrom::Keypad => card.verify_on_pad().map_err(of_keypad),
            };
            drop(pin);
            if verified.is_err() {
                readers.look_again(&serial);
            }
            drop(working);
            verified.map(|()| card)
        })
        .await;
        let (verdict, result) = match verified {
            Ok(card) => {
                self.shared.change(|view| view.error = None);
                (Ok(()), Ok(Some(card)))
            }
            Err(DeskError::Key(wrong @ KeyError::WrongPin { tries_left })) => {
                self.shared.change(|view| {
                    view.state = TapState::WaitingPin;
                    view.tries_left = Some(tries_left);
                    view.error = Some(TapError::of(&DeskError::Key(wrong.clone()), view.language));
                });
                (Err(DeskError::Key(wrong)), Ok(None))
            }
            Err(DeskError::Key(error)) => (Err(DeskError::Key(error.clone())), Err(DeskError::Key(error))),
            // At the keypad: the tap itself tells.
            Err(ended @ (DeskError::TapCancelled | DeskError::TapExpired)) => (Ok(()), Err(ended)),
            Err(error) => (Err(DeskError::TapState), Err(error)),
        };
        // Who gave the PIN may have gone.
        let _gone = given.verdict.send(verdict);
        result
    }
}

/// What became of a PIN at the keypad: who cancels there cancels the tap.
pub(super) fn of_keypad(error: PadError) -> DeskError {
    match error {
        PadError::Cancelled => DeskError::TapCancelled,
        PadError::TimedOut => DeskError::TapExpired,
        PadError::Key(error) => error.into(),
    }
}

/// Runs what blocks on a thread for that.
pub(super) async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, DeskError> + Send + 'static,
) -> Result<R, DeskError> {
    // A task that panicked has done nothing that was reported; the panic is in the log.
    tokio::task::spawn_blocking(work).await.map_err(|_| DeskError::Stopping)?
}
