//! Whether an entry is in force: locks, cards, proxies, revocations and newer grants (rules 7 to 11).
//!
//! Used by `decide` and by what lists current readers; it knows nothing of requests.

use std::ops::ControlFlow;

use crate::ids::{ContentId, OrganizationId, PatientId};
use crate::personal::{GrantEntry, Grantee, ProxyEntry, RevocationEntry, Revoked};
use crate::policy::view::{Known, LockState, Unreadable, View};

/// Rule 10: what a closed card (or a withdrawn proxy) signed counts only if it was final at a lower height.
pub(super) fn counts<T>(view: &(impl View + ?Sized), known: &Known<T>) -> Result<bool, Unreadable> {
    let Some(under) = &known.under else { return Ok(true) };
    Ok(match view.lock(&under.lock)? {
        LockState::Open => true,
        LockState::Seen => known.height.is_some(),
        LockState::Closed(at) => known.height.is_some_and(|h| h < at),
    })
}

/// Rule 8.
pub(super) fn is_open<T>(view: &(impl View + ?Sized), known: &Known<T>) -> Result<bool, Unreadable> {
    known.lock.as_ref().map_or(Ok(true), |lock| Ok(view.lock(lock)? == LockState::Open))
}

/// Whether any revocation that counts matches.
fn any_revocation(
    view: &(impl View + ?Sized),
    patient: &PatientId,
    mut matches: impl FnMut(&Known<RevocationEntry>) -> bool,
) -> Result<bool, Unreadable> {
    let mut found = Ok(false);
    view.revocations(patient, &mut |revocation| {
        if matches(revocation) {
            found = counts(view, revocation);
        }
        if found == Ok(false) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    found
}

/// Rule 9, first half: what a revocation takes back. `under` is the organization of whoever acts under the
/// grant.
fn covers(revoked: &Revoked, grant: &Known<GrantEntry>, under: Option<&OrganizationId>) -> bool {
    match revoked {
        Revoked::Entries(ids) => ids.contains(&grant.id),
        Revoked::Grantee(grantee) => {
            *grantee == grant.entry.grantee || matches!(grantee, Grantee::Organization(o) if Some(o) == under)
        }
        Revoked::Everything => true,
    }
}

/// Rule 9, second half: whether the desk that made the grant knew the revocation. A height that nobody
/// here has reached proves nothing.
fn knew(view: &(impl View + ?Sized), grant: &GrantEntry, revocation: &Known<RevocationEntry>) -> bool {
    let after = &grant.after;
    let real = after.height <= view.newest().height;
    after.revocations.contains(&revocation.id) || real && revocation.height.is_some_and(|h| h <= after.height)
}

/// Rules 8 and 9: whether a grant was taken back. `under` is the organization of whoever acts under it.
pub(super) fn is_withdrawn(
    view: &(impl View + ?Sized),
    grant: &Known<GrantEntry>,
    under: Option<&OrganizationId>,
) -> Result<bool, Unreadable> {
    if !is_open(view, grant)? {
        return Ok(true);
    }
    if crate::mutant!(RevocationsUnread) {
        return Ok(false);
    }
    any_revocation(view, &grant.entry.patient, |revocation| {
        let by_name = matches!(revocation.entry.revoked, Revoked::Entries(_));
        covers(&revocation.entry.revoked, grant, under) && (by_name || !knew(view, &grant.entry, revocation))
    })
}

/// What two grants must share for the newer to replace the older: everything but label, rights, period,
/// anonymity and two signatures.
fn same_matter(a: &GrantEntry, b: &GrantEntry) -> bool {
    a.grantee == b.grantee
        && a.scope.categories == b.scope.categories
        && a.scope.records == b.scope.records
        && (a.purpose, a.study, a.one_time) == (b.purpose, b.study, b.one_time)
}

fn age(grant: &Known<GrantEntry>) -> (u64, u64, ContentId) {
    (grant.entry.after.height, grant.height.unwrap_or(u64::MAX), grant.id)
}

/// Rule 7: whether a newer grant on the same matter counts, be it in force or not.
pub(super) fn is_replaced(
    view: &(impl View + ?Sized),
    grant: &Known<GrantEntry>,
) -> Result<bool, Unreadable> {
    let mut found = Ok(false);
    view.grants(&grant.entry.patient, &grant.entry.grantee, &mut |other| {
        if age(other) > age(grant) && same_matter(&other.entry, &grant.entry) {
            found = counts(view, other);
        }
        if found == Ok(false) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    found
}

/// Rule 11: the proxy entry, if it is in force.
pub(super) fn proxy_in_force(
    view: &(impl View + ?Sized),
    id: &ContentId,
    patient: &PatientId,
    now_ms: u64,
) -> Result<Option<Known<ProxyEntry>>, Unreadable> {
    let Some(proxy) = view.proxy(id)? else { return Ok(None) };
    let within = proxy.entry.from <= now_ms && now_ms < proxy.entry.until;
    if proxy.entry.patient != *patient || !within || !is_open(view, &proxy)? || !counts(view, &proxy)? {
        return Ok(None);
    }
    let revoked = any_revocation(view, patient, |revocation| match &revocation.entry.revoked {
        Revoked::Entries(ids) => ids.contains(id),
        Revoked::Grantee(grantee) => *grantee == Grantee::Proxy(*id),
        // A proxy entry has no `after`: one made final later is anew.
        Revoked::Everything => !matches!((proxy.height, revocation.height), (Some(p), Some(r)) if p > r),
    })?;
    Ok((!revoked).then_some(proxy))
}

/// Whether a grant gives someone of `under` anything now, whatever they ask for.
pub(super) fn is_live(
    view: &(impl View + ?Sized),
    grant: &Known<GrantEntry>,
    under: Option<&OrganizationId>,
    now_ms: u64,
) -> Result<bool, Unreadable> {
    let entry = &grant.entry;
    if now_ms < entry.from || now_ms >= entry.until || !counts(view, grant)? {
        return Ok(false);
    }
    if let Some(id) = &entry.by_proxy
        && proxy_in_force(view, id, &entry.patient, now_ms)?.is_none()
    {
        return Ok(false);
    }
    Ok(!is_withdrawn(view, grant, under)? && !is_replaced(view, grant)?)
}
