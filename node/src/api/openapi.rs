//! The OpenAPI 3.1 document: made from the code, checked in as `node/openapi.json`, compared by a test.
//!
//! After a change of the API, `HOSPES_BLESS=1 cargo test -p hospes the_document` writes it anew; the difference
//! is what gets reviewed.

use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, Info, OpenApi, OpenApiBuilder, SecurityRequirement};

use super::caller::COOKIE_NAME;

const ABOUT: &str = "What a Hospes node offers to programs on its own machine. Errors are problem details (RFC 9457) \
with a stable `code`, a `next` that says what to do and a `family`. Writes take an `Idempotency-Key` of 1 to 128 \
characters. Lists page by an opaque cursor. Times are RFC 3339 in UTC. What needs a card answers with a tap: \
read it at `/taps/{id}` or as events, and post the PIN to `/taps/{id}/pin`.";

/// What is not made from the routes.
pub(crate) fn frame() -> OpenApi {
    let mut info = Info::new("Hospes", env!("CARGO_PKG_VERSION"));
    info.description = Some(ABOUT.into());
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(COOKIE_NAME)));
    let components =
        ComponentsBuilder::new().security_scheme("bearer", bearer).security_scheme("cookie", cookie).build();
    let none: [&str; 0] = [];
    let security = [SecurityRequirement::new("bearer", none), SecurityRequirement::new("cookie", none)];
    OpenApiBuilder::new().info(info).components(Some(components)).security(Some(security)).build()
}

/// The whole document, as the router also serves it.
#[cfg(test)]
fn document() -> OpenApi {
    let all = super::keyed().merge(super::plain()).merge(super::files());
    utoipa_axum::router::OpenApiRouter::<super::state::Api>::with_openapi(frame())
        .nest(super::PREFIX, all)
        .to_openapi()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_document_that_is_checked_in_is_that_of_the_code() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
        let made = document().to_pretty_json().expect("a document in JSON") + "\n";
        if std::env::var_os("HOSPES_BLESS").is_some() {
            std::fs::write(&path, &made).expect("the document can be written");
        }
        let kept = std::fs::read_to_string(&path).expect("node/openapi.json is checked in");
        assert!(
            kept == made,
            "run: HOSPES_BLESS=1 cargo test -p hospes the_document; then review the difference"
        );
    }

    #[test]
    fn every_operation_says_how_it_refuses_and_names_itself_once() {
        let document = serde_json::to_value(document()).expect("a document in JSON");
        let paths = document["paths"].as_object().expect("paths");
        assert!(paths.len() > 25, "all paths are in");
        for (path, item) in paths {
            for (method, operation) in item.as_object().expect("operations") {
                assert!(operation["operationId"].is_string(), "{method} {path} has a name");
                assert!(operation["responses"].is_object(), "{method} {path} says what it answers");
            }
        }
        assert!(document["openapi"].as_str().is_some_and(|v| v.starts_with("3.1")), "OpenAPI 3.1");
    }
}
