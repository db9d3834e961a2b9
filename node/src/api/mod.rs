//! The HTTP API under `/api/v1`: routes over the desk and the service, problem details, events, OpenAPI.
//!
//! | file | what |
//! |---|---|
//! | `server` | listens on loopback, with limits |
//! | `guard` | Host, Origin and the headers of every answer |
//! | `codes`, `problem` | how it refuses |
//! | `caller` | whose session it is |
//! | `input`, `page`, `times`, `shown` | forms of what comes in and goes out |
//! | `idempotency` | writes that are sent twice |
//! | `status`, `metrics` | how the node is |
//! | `sessions`, `taps` | signing in, cards, PINs |
//! | `members`, `proposals` | who takes part |
//! | `committees` | who guards emergency access |
//! | `patients`, `records`, `content`, `amendments`, `erasures`, `imports`, `grants`, `accesses` | the record |
//! | `searches` | patients who have no card with them |
//! | `breakglass` | requests, approvals, opening, reviews |
//! | `offline` | the same without a line: hospitals' own committees, witness cards, whom a patient names |
//! | `recoveries` | lost cards without their printed code |
//! | `oversight` | who broke the glass how often, what an auditor asks, counts in status |
//! | `events` | what happens, as it happens |
//! | `ledger` | the ledger as a file |
//! | `openapi` | the document that is checked in |
//!
//! Architecture invariant: it decides nothing. Who may do what is asked of `policy::decide` or refused by the
//! desk; here is only which of both is asked. There is no CORS and no TLS, so it listens on loopback alone.

mod accesses;
mod amendments;
mod breakglass;
mod caller;
mod codes;
mod committees;
mod content;
mod erasures;
mod events;
mod grants;
mod guard;
mod idempotency;
mod imports;
mod input;
mod ledger;
mod members;
mod metrics;
mod offline;
mod openapi;
mod oversight;
mod page;
mod patients;
mod problem;
mod proposals;
mod records;
mod recoveries;
mod searches;
mod server;
mod sessions;
mod shown;
mod state;
mod status;
mod taps;
#[cfg(test)]
mod tests;
mod times;

pub(crate) use server::{Serving, serve};
pub(crate) use state::{NodeFacts, Parts};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use codes::Code;
use problem::Problem;
use state::Api;

/// Where everything lies.
const PREFIX: &str = "/api/v1";

/// Paths whose writes carry JSON and may carry an `Idempotency-Key`.
fn keyed() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(sessions::sign_in))
        .routes(routes!(members::organizations))
        .routes(routes!(members::nodes))
        .routes(routes!(members::persons, members::enrol))
        .routes(routes!(members::suspend))
        .routes(routes!(members::replace_card))
        .routes(routes!(members::renew_node))
        .routes(routes!(members::roles, members::define_role))
        .routes(routes!(members::renew_key))
        .routes(routes!(proposals::policies, proposals::set_policy))
        .routes(routes!(proposals::propose))
        .routes(routes!(proposals::show))
        .routes(routes!(proposals::vote))
        .routes(routes!(proposals::file))
        .routes(routes!(proposals::checkpoint))
        .routes(routes!(committees::committees, offline::set_committee))
        .routes(routes!(committees::tap))
        .routes(routes!(patients::find, patients::create))
        .routes(routes!(patients::show))
        .routes(routes!(amendments::amend))
        .routes(routes!(erasures::list, erasures::erase))
        .routes(routes!(erasures::withdraw))
        .routes(routes!(grants::list, grants::give))
        .routes(routes!(grants::revoke))
        .routes(routes!(grants::revoke_one))
        .routes(routes!(recoveries::list, recoveries::give))
        .routes(routes!(recoveries::contest))
        .routes(routes!(recoveries::ask))
        .routes(routes!(recoveries::finish))
        .routes(routes!(breakglass::list, breakglass::ask))
        .routes(routes!(searches::found, searches::find))
        .routes(routes!(searches::show))
        .routes(routes!(breakglass::show))
        .routes(routes!(breakglass::approve))
        .routes(routes!(breakglass::open))
        .routes(routes!(breakglass::close))
        .routes(routes!(breakglass::review))
        .routes(routes!(offline::witness))
        .routes(routes!(offline::name_hospitals))
        .routes(routes!(oversight::report))
        .routes(routes!(oversight::audit))
}

/// Paths that read, stream, take a file, or take a PIN, which is never kept under a key.
fn plain() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(status::status))
        .routes(routes!(status::healthz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(sessions::current, sessions::sign_out))
        .routes(routes!(sessions::cookie))
        .routes(routes!(sessions::end))
        .routes(routes!(taps::tap, taps::cancel))
        .routes(routes!(taps::pin))
        .routes(routes!(taps::cards))
        .routes(routes!(taps::look))
        .routes(routes!(taps::readers))
        .routes(routes!(grants::text))
        .routes(routes!(accesses::list))
        .routes(routes!(accesses::why))
        .routes(routes!(records::show))
        .routes(routes!(content::content))
        .routes(routes!(events::events))
        .routes(routes!(ledger::export))
}

/// Paths whose body is a file of any size, bounded where it is read.
fn files() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(records::list, records::add))
        .routes(routes!(imports::inspect))
        .layer(DefaultBodyLimit::disable())
}

/// All routes, and their document.
fn routes(api: &Api) -> (Router<Api>, OpenApi) {
    let keyed = keyed().layer(from_fn_with_state(api.clone(), idempotency::pass));
    let all = keyed.merge(plain()).layer(DefaultBodyLimit::max(idempotency::JSON_BYTES_MAX)).merge(files());
    OpenApiRouter::with_openapi(openapi::frame()).nest(PREFIX, all).split_for_parts()
}

/// The router, ready to be served.
fn router(api: Api) -> Router {
    let (routes, document) = routes(&api);
    let document = axum::Json(document);
    routes
        .route(&format!("{PREFIX}/openapi.json"), axum::routing::get(move || async move { document.clone() }))
        .route("/healthz", axum::routing::get(status::healthz))
        .route("/metrics", axum::routing::get(metrics::metrics))
        .fallback(|| async { Problem::of(Code::NotFound) })
        .method_not_allowed_fallback(|| async { Problem::of(Code::WrongMethod) })
        .layer(from_fn_with_state(api.clone(), guard::pass))
        .with_state(api)
}
