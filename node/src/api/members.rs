//! `/organizations`, `/nodes`, `/persons`, `/roles`: who takes part. What the ledger says of members is
//! public among them and holds nothing about patients, yet it takes a session.

use std::collections::BTreeMap;

use axum::Json as Reply;
use axum::extract::{Path, State};
use axum::response::Response;
use hospes_protocol::control::{NodeEntry, OrganizationEntry, PractitionerEntry, RoleEntry};
use hospes_protocol::ids::{NodeId, OrganizationId, PersonId};
use hospes_protocol::personal::Category;
use hospes_service::service::Service;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::input::{Json, Params, base64, id, serial, word};
use super::page::{Page, Paging};
use super::problem::{Answer, Problem};
use super::state::Api;
use super::taps::{Tap, begun};
use super::times::{milliseconds, rfc3339};
use crate::desk::{EnrolPerson, RoleRequest};
use crate::words::{CATEGORIES, RIGHTS, STANDING, name, rights};

/// An organization.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Organization {
    /// Its id.
    organization: String,
    /// Its public name.
    name: String,
    /// `active`, `suspended` or `removed`.
    standing: &'static str,
    /// How many cards it has.
    cards: usize,
    /// Its nodes that take part.
    nodes: usize,
    /// Its people that take part.
    persons: usize,
    /// SHA-256 of its accreditation, in hexadecimal.
    accreditation: String,
    /// The epoch of its agreement key; null before the first person is enrolled.
    key_epoch: Option<u64>,
}

impl Organization {
    fn of(entry: &OrganizationEntry, service: &Service) -> Self {
        let membership = &service.state().membership;
        let id = entry.organization;
        let active = |p: &&PractitionerEntry| {
            p.organization == id && p.standing == hospes_protocol::control::Standing::Active
        };
        Self {
            organization: id.to_string(),
            name: entry.name.clone(),
            standing: name(&STANDING, &entry.standing),
            cards: entry.cards.len(),
            nodes: membership.active_nodes().filter(|(_, n)| n.organization == id).count(),
            persons: membership.people.values().filter(active).count(),
            accreditation: data_encoding::HEXLOWER.encode(&entry.accreditation),
            key_epoch: membership.keys.get(&id).map(|k| k.epoch),
        }
    }
}

/// Organizations.
#[utoipa::path(get, path = "/organizations", params(Paging), tag = "membership",
    responses((status = 200, body = Page<Organization>), (status = 401, body = Problem)))]
pub(crate) async fn organizations(
    State(api): State<Api>,
    _caller: Caller,
    Params(paging): Params<Paging>,
) -> Answer<Reply<Page<Organization>>> {
    let list = move |service: &Service| {
        let all = service.state().membership.organizations.values();
        paging.of(all.map(|o| Organization::of(o, service)).collect())
    };
    api.ask(list).await.map(Reply)
}

/// A node.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Node {
    /// Its id.
    node: String,
    /// Its organization.
    organization: String,
    /// Whether it decides.
    validator: bool,
    /// Whether it may hold emergency summaries for the whole federation.
    emergency: bool,
    /// Multiaddresses under which peers may dial it.
    addresses: Vec<String>,
    /// When its certificate ends.
    expires: Option<String>,
    /// `active`, `suspended` or `removed`.
    standing: &'static str,
}

impl Node {
    fn of(id: &NodeId, entry: &NodeEntry, service: &Service) -> Self {
        Self {
            node: id.to_string(),
            organization: entry.organization.to_string(),
            validator: service.state().validators.get(id).is_some(),
            emergency: entry.emergency,
            addresses: entry.addresses.clone(),
            expires: rfc3339(entry.expires),
            standing: name(&STANDING, &entry.standing),
        }
    }
}

/// Nodes.
#[utoipa::path(get, path = "/nodes", params(Paging), tag = "membership",
    responses((status = 200, body = Page<Node>), (status = 401, body = Problem)))]
pub(crate) async fn nodes(
    State(api): State<Api>,
    _caller: Caller,
    Params(paging): Params<Paging>,
) -> Answer<Reply<Page<Node>>> {
    let list = move |service: &Service| {
        let all = service.state().membership.nodes.iter();
        paging.of(all.map(|(id, n)| Node::of(id, n, service)).collect())
    };
    api.ask(list).await.map(Reply)
}

/// Until when.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Renewal {
    /// When its certificate is to end; two years from now where absent.
    expires: Option<String>,
}

/// Renews a node of this node's organization, by its card: the same key, certified until a later time.
#[utoipa::path(post, path = "/nodes/{id}/renew", request_body = Renewal, tag = "membership",
    params(("id" = String, Path, description = "The node.")),
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn renew_node(
    State(api): State<Api>,
    caller: Caller,
    Path(node): Path<String>,
    Json(asked): Json<Renewal>,
) -> Answer<Response> {
    caller.must_administer()?;
    let node: NodeId = id("node", &node)?;
    let expires = asked.expires.as_deref().map(milliseconds).transpose()?;
    Ok(begun(api.parts.desk.renew_node(&caller.session, node, expires).await?))
}

/// Whose people, and which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PersonsQuery {
    /// Only of this organization.
    organization: Option<String>,
    /// Only who has this number in the public register.
    register_number: Option<String>,
    /// Entries, at most; 1 to 1000, 100 where absent.
    limit: Option<usize>,
    /// Where the page before ended; opaque.
    cursor: Option<String>,
}

/// A person who is not a patient.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Person {
    /// The person's id.
    person: String,
    /// The organization.
    organization: String,
    /// The number in the public register.
    register_number: String,
    /// Roles.
    roles: Vec<String>,
    /// `active`, `suspended` or `removed`.
    standing: &'static str,
}

impl Person {
    fn of(id: &PersonId, entry: &PractitionerEntry) -> Self {
        Self {
            person: id.to_string(),
            organization: entry.organization.to_string(),
            register_number: entry.register_number.clone(),
            roles: entry.roles.clone(),
            standing: name(&STANDING, &entry.standing),
        }
    }
}

/// People who are not patients.
#[utoipa::path(get, path = "/persons", params(PersonsQuery), tag = "membership",
    responses((status = 200, body = Page<Person>), (status = 401, body = Problem)))]
pub(crate) async fn persons(
    State(api): State<Api>,
    _caller: Caller,
    Params(query): Params<PersonsQuery>,
) -> Answer<Reply<Page<Person>>> {
    let only = query.organization.as_deref().map(|o| id::<OrganizationId>("organization", o)).transpose()?;
    let paging = Paging { limit: query.limit, cursor: query.cursor };
    let list = move |service: &Service| {
        let people: &BTreeMap<_, _> = &service.state().membership.people;
        let wanted = |p: &PractitionerEntry| {
            only.is_none_or(|o| o == p.organization)
                && query.register_number.as_ref().is_none_or(|n| *n == p.register_number)
        };
        let found = people.iter().filter(|(_, p)| wanted(p)).map(|(id, p)| Person::of(id, p));
        paging.of(found.collect())
    };
    api.ask(list).await.map(Reply)
}

/// A person to enrol.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewPerson {
    /// The serial of the person's card.
    card: String,
    /// Roles of this node's organization.
    roles: Vec<String>,
    /// The number in the public register.
    register_number: String,
    /// The registry's attestation, base64.
    attestation: String,
}

/// Enrols a person. First the organization's card taps, then the person's. The result holds `{person, …}`.
#[utoipa::path(post, path = "/persons", request_body = NewPerson, tag = "membership",
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn enrol(
    State(api): State<Api>,
    caller: Caller,
    Json(asked): Json<NewPerson>,
) -> Answer<Response> {
    caller.must_administer()?;
    let asked = EnrolPerson {
        card: serial(&asked.card)?,
        roles: asked.roles,
        register_number: asked.register_number,
        attestation: base64("attestation", &asked.attestation)?.to_vec(),
    };
    Ok(begun(api.parts.desk.enrol_person(&caller.session, asked).await?))
}

/// Suspends a person's card, by the organization's.
#[utoipa::path(post, path = "/persons/{id}/suspend", tag = "membership",
    params(("id" = String, Path, description = "The person.")),
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub(crate) async fn suspend(
    State(api): State<Api>,
    caller: Caller,
    Path(person): Path<String>,
) -> Answer<Response> {
    caller.must_administer()?;
    let person: PersonId = id("person", &person)?;
    Ok(begun(api.parts.desk.suspend_person(&caller.session, person).await?))
}

/// Which card.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct OtherCard {
    /// The serial of the person's new card.
    card: String,
}

/// Gives a person another card; the one before is dead once this is final. First the organization's card taps, then
/// the person's new one. The result holds `{person, entry}`.
#[utoipa::path(post, path = "/persons/{id}/replace", request_body = OtherCard, tag = "membership",
    params(("id" = String, Path, description = "The person.")),
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn replace_card(
    State(api): State<Api>,
    caller: Caller,
    Path(person): Path<String>,
    Json(asked): Json<OtherCard>,
) -> Answer<Response> {
    caller.must_administer()?;
    let person: PersonId = id("person", &person)?;
    let card = serial(&asked.card)?;
    Ok(begun(api.parts.desk.replace_card(&caller.session, person, card).await?))
}

/// A role of an organization.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Role {
    /// The organization; in a request this node's where absent.
    organization: Option<String>,
    /// The name.
    name: String,
    /// Categories that its holders may read at all; empty for all.
    #[serde(default)]
    categories: Vec<String>,
    /// `read`, `write`, `share`: what its holders may hold.
    #[serde(default)]
    rights: Vec<String>,
    /// Whether its holders enrol people and run nodes; such a role reads no record.
    #[serde(default)]
    administrator: bool,
    /// Whether registry attestation is demanded of its holders.
    #[serde(default)]
    attested: bool,
}

impl Role {
    fn of(entry: &RoleEntry) -> Self {
        let category = |c: &u64| Category::from_code(*c).map_or("unknown", |c| name(&CATEGORIES, &c));
        Self {
            organization: Some(entry.organization.to_string()),
            name: entry.name.clone(),
            categories: entry.categories.iter().map(|c| category(c).to_owned()).collect(),
            rights: rights(entry.rights).into_iter().map(str::to_owned).collect(),
            administrator: entry.administrator,
            attested: entry.attested,
        }
    }

    fn read(self) -> Answer<RoleRequest> {
        let categories = self.categories.iter().map(|c| word("category", &CATEGORIES, c).map(Category::code));
        let rights = self.rights.iter().map(|r| word("right", &RIGHTS, r)).collect::<Answer<Vec<_>>>()?;
        Ok(RoleRequest {
            name: self.name,
            categories: categories.collect::<Answer<Vec<_>>>()?,
            rights: rights.iter().fold(0, |sum, r| sum | r.code()),
            administrator: self.administrator,
            attested: self.attested,
        })
    }
}

/// Roles of all organizations.
#[utoipa::path(get, path = "/roles", params(Paging), tag = "membership",
    responses((status = 200, body = Page<Role>), (status = 401, body = Problem)))]
pub(crate) async fn roles(
    State(api): State<Api>,
    _caller: Caller,
    Params(paging): Params<Paging>,
) -> Answer<Reply<Page<Role>>> {
    let list =
        move |service: &Service| paging.of(service.state().membership.roles.values().map(Role::of).collect());
    api.ask(list).await.map(Reply)
}

/// Defines a role of this node's organization, by its card.
#[utoipa::path(post, path = "/roles", request_body = Role, tag = "membership",
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn define_role(
    State(api): State<Api>,
    caller: Caller,
    Json(asked): Json<Role>,
) -> Answer<Response> {
    caller.must_administer()?;
    Ok(begun(api.parts.desk.define_role(&caller.session, asked.read()?).await?))
}

/// Begins a new epoch of the organization's agreement key, by its card; every member's card opens it.
#[utoipa::path(post, path = "/organizations/key", tag = "membership",
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn renew_key(State(api): State<Api>, caller: Caller) -> Answer<Response> {
    caller.must_administer()?;
    Ok(begun(api.parts.desk.organization_key(&caller.session).await?))
}
