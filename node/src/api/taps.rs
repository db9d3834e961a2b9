//! `/taps`: what waits for a card, its PIN, its end. `/cards` and `/readers`: what is in the readers.
//!
//! A tap's id is unguessable, and whoever has it may see, answer and cancel the tap: signing in has no session
//! yet. The PIN goes to the desk and is wiped here.

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hospes_card::{HolderKind, Pin};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::codes::Code;
use super::problem::{Answer, Problem};
use super::state::Api;
use super::times::rfc3339;
use crate::desk::{CardView, PinFrom, ReaderInfo, TapView};

/// A PIN's request in bytes, at most.
const PIN_BYTES_MAX: usize = 1024;

/// A tap (INTERFACES.md 3): something waits for a card.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Tap {
    /// Its id.
    pub(crate) id: String,
    /// What it is for.
    pub(crate) kind: &'static str,
    /// `waiting-card`, `waiting-pin`, `working`, `done`, `failed`, `expired` or `cancelled`.
    pub(crate) state: &'static str,
    /// What is signed, in the person's language; to be shown before the PIN is asked.
    pub(crate) text: String,
    /// The language of the text (BCP 47).
    pub(crate) language: String,
    /// SHA-256 of the text, which is signed, in hexadecimal.
    pub(crate) text_hash: String,
    /// The card that is asked.
    pub(crate) card: Option<TapCard>,
    /// Wrong PINs that the card still takes.
    pub(crate) tries_left: Option<u8>,
    /// Whether the reader has a keypad, on which the PIN is better typed.
    pub(crate) keypad: bool,
    /// When it ends by itself.
    pub(crate) expires_at: Option<String>,
    /// What it brought, once done.
    #[schema(value_type = Option<Object>)]
    pub(crate) result: Option<serde_json::Value>,
    /// Why it failed, or why the last PIN was refused.
    pub(crate) error: Option<TapError>,
}

/// The card that a tap asks for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TapCard {
    /// Its serial.
    pub(crate) serial: String,
    /// The reader that it is in.
    pub(crate) reader: Option<String>,
    /// `soft`, `piv` or `openpgp`.
    pub(crate) kind: &'static str,
    /// As the card says.
    pub(crate) holder: Option<String>,
}

/// Why a tap failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TapError {
    /// The stable code.
    pub(crate) code: String,
    /// What happened.
    pub(crate) message: String,
    /// What to do.
    pub(crate) next: String,
    /// For the screen: what happened and what to do, in the language of the tap.
    pub(crate) said: String,
}

impl Tap {
    /// As an answer.
    pub(crate) fn of(view: TapView) -> Self {
        let card = |c: crate::desk::TapCard| TapCard {
            serial: c.serial.to_string(),
            reader: c.reader,
            kind: c.kind,
            holder: c.holder,
        };
        let error = |e: crate::desk::TapError| TapError {
            code: e.code,
            message: e.message,
            next: e.next,
            said: e.said,
        };
        Self {
            id: view.id,
            kind: view.kind,
            state: view.state.name(),
            text: view.text,
            language: view.language.tag().to_owned(),
            text_hash: data_encoding::HEXLOWER.encode(&view.text_hash),
            card: view.card.map(card),
            tries_left: view.tries_left,
            keypad: view.keypad,
            expires_at: rfc3339(view.expires_at),
            result: view.result,
            error: view.error.map(error),
        }
    }

    /// As an event: without its result, which may hold a token or a recovery code.
    pub(crate) fn told(view: TapView) -> Self {
        Self { result: None, ..Self::of(view) }
    }
}

/// The answer of an act that waits for a card: the tap, created.
pub(crate) fn begun(view: TapView) -> Response {
    let tap = Tap::of(view);
    let location = format!("/api/v1/taps/{}", tap.id);
    (StatusCode::CREATED, [(header::LOCATION, location)], Json(tap)).into_response()
}

/// A tap.
#[utoipa::path(get, path = "/taps/{id}", params(("id" = String, Path, description = "The tap.")), tag = "taps",
    responses((status = 200, body = Tap), (status = 404, body = Problem)))]
pub(crate) async fn tap(State(api): State<Api>, Path(id): Path<String>) -> Answer<Json<Tap>> {
    let view = api.parts.desk.tap(&id).ok_or(Code::NoSuchTap)?;
    Ok(Json(Tap::of(view)))
}

/// A PIN for a tap.
#[derive(Deserialize, ToSchema)]
pub(crate) struct PinGiven {
    /// The PIN, as it is typed.
    #[schema(value_type = Option<String>, format = Password)]
    #[serde(default)]
    pin: Option<String>,
    /// Instead: somebody types it on the reader's keypad now.
    #[serde(default)]
    keypad: bool,
}

/// Gives the PIN.
///
/// A wrong one leaves the tap waiting, with fewer tries; the detail of the problem is in the language of the tap. On a keypad,
/// cancelling cancels the tap.
#[utoipa::path(post, path = "/taps/{id}/pin", params(("id" = String, Path, description = "The tap.")), tag = "taps",
    request_body = PinGiven,
    responses((status = 200, body = Tap), (status = 403, description = "A wrong PIN.", body = Problem),
        (status = 404, body = Problem)))]
pub(crate) async fn pin(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Json<Tap>> {
    let json =
        headers.get(header::CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"application/json"));
    if !json {
        return Err(Code::WrongMediaType.into());
    }
    let body = to_bytes(body, PIN_BYTES_MAX).await.map_err(|_| Code::BodyTooLarge)?;
    let wrong = || {
        Problem::of(Code::BadRequest).detail(
            "The body must be {\"pin\":\"…\"} with 6 to 8 printable characters, or {\"keypad\":true}.",
        )
    };
    let pin = read_pin(&Zeroizing::new(body.to_vec())).ok_or_else(wrong)?;
    drop(body);
    let desk = &api.parts.desk;
    match desk.give_pin(&id, pin).await {
        Ok(view) => Ok(Json(Tap::of(view))),
        // Whoever typed the PIN reads it.
        Err(error) => {
            let said = desk.says(&id, &error);
            let problem = Problem::from(error);
            Err(match said {
                Some(said) => problem.detail(said),
                None => problem,
            })
        }
    }
}

// What serde says of a wrong body quotes it, so it goes nowhere.
fn read_pin(body: &[u8]) -> Option<PinFrom> {
    let given: PinGiven = serde_json::from_slice(body).ok()?;
    match (given.pin.map(Zeroizing::new), given.keypad) {
        (Some(pin), false) => Pin::new(&pin).ok().map(PinFrom::Here),
        (None, true) => Some(PinFrom::Keypad),
        _ => None,
    }
}

/// Cancels a tap that waits, or forgets one that is over, with its result.
#[utoipa::path(delete, path = "/taps/{id}", params(("id" = String, Path, description = "The tap.")), tag = "taps",
    responses((status = 204, description = "Nothing of it is left."), (status = 404, body = Problem),
        (status = 409, description = "It works.", body = Problem)))]
pub(crate) async fn cancel(State(api): State<Api>, Path(id): Path<String>) -> Answer<StatusCode> {
    api.parts.desk.cancel(&id)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A card in a reader.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Card {
    /// Its serial.
    pub(crate) serial: String,
    /// The reader.
    pub(crate) reader: String,
    /// `soft`, `piv` or `openpgp`.
    pub(crate) kind: &'static str,
    /// Whose card it is: `patient`, `practitioner`, `organization`, …, as the card says.
    pub(crate) holder_kind: Option<&'static str>,
    /// As the card says; anyone at the reader can see it.
    pub(crate) holder: Option<String>,
    /// Wrong PINs that it still takes.
    pub(crate) tries_left: u8,
    /// Roles of an enrolled person.
    pub(crate) roles: Vec<String>,
}

impl Card {
    fn of(card: CardView) -> Self {
        Self {
            serial: card.serial.to_string(),
            reader: card.reader,
            kind: card.kind,
            holder_kind: card.holder_kind.map(holder_kind),
            holder: card.holder,
            tries_left: card.tries_left,
            roles: card.roles,
        }
    }
}

const fn holder_kind(kind: HolderKind) -> &'static str {
    match kind {
        HolderKind::Patient => "patient",
        HolderKind::Practitioner => "practitioner",
        HolderKind::Proxy => "proxy",
        HolderKind::Guardian => "guardian",
        HolderKind::Auditor => "auditor",
        HolderKind::Administrator => "administrator",
        HolderKind::Researcher => "researcher",
        HolderKind::Organization => "organization",
        HolderKind::Witness => "witness",
    }
}

/// A reader.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Reader {
    /// Its name.
    pub(crate) name: String,
    /// Cards in it.
    pub(crate) cards: usize,
    /// Whether a PIN can be typed on it, as far as a card that was in has told.
    pub(crate) keypad: bool,
    /// What is wrong with it, or with something in it.
    pub(crate) trouble: Option<String>,
}

impl Reader {
    /// As an answer.
    pub(crate) fn of(reader: ReaderInfo) -> Self {
        Self { name: reader.name, cards: reader.cards, keypad: reader.keypad, trouble: reader.trouble }
    }
}

/// The cards in the readers.
#[utoipa::path(get, path = "/cards", tag = "taps", responses((status = 200, body = Vec<Card>)))]
pub(crate) async fn cards(State(api): State<Api>) -> Answer<Json<Vec<Card>>> {
    Ok(Json(api.parts.desk.cards().await?.into_iter().map(Card::of).collect()))
}

/// Reads the cards in the readers anew.
///
/// For programs that enrolled a card, or changed its PIN, while it was in.
#[utoipa::path(post, path = "/cards/look", tag = "taps", responses((status = 200, body = Vec<Card>)))]
pub(crate) async fn look(State(api): State<Api>) -> Answer<Json<Vec<Card>>> {
    Ok(Json(api.parts.desk.cards_anew().await?.into_iter().map(Card::of).collect()))
}

/// The readers.
#[utoipa::path(get, path = "/readers", tag = "taps", responses((status = 200, body = Vec<Reader>)))]
pub(crate) async fn readers(State(api): State<Api>) -> Json<Vec<Reader>> {
    Json(api.parts.desk.readers().into_iter().map(Reader::of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_read_from_its_body_and_nothing_else() {
        assert!(read_pin(br#"{"pin":"123456"}"#).is_some(), "a PIN");
        assert!(read_pin(br#"{"pin":123456}"#).is_none(), "a number is no PIN");
        assert!(read_pin(b"123456").is_none(), "not the form");
        assert!(
            matches!(read_pin(br#"{"keypad":true}"#), Some(PinFrom::Keypad)),
            "one that is typed elsewhere"
        );
        for neither in [&b"{}"[..], br#"{"pin":"123456","keypad":true}"#, br#"{"keypad":false}"#] {
            assert!(read_pin(neither).is_none(), "one way, and only one");
        }
    }
}
