//! A blob in the store: how far it is here, and how it is destroyed.
//!
//! Everything follows from the manifest: the root names the pages, a page its segments. One page is in
//! memory at a time.

use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::ids::{ContentId, ObjectId};
use hospes_protocol::seal::manifest::{Page, RootPage};
use hospes_protocol::wire::Wire;
use hospes_protocol::wire_struct;
use hospes_storage::{Item, Objects, SealedKey, SealedRow, StoreError, Write};

use crate::service::Fatal;

/// Blobs that are whole here, by root.
const HELD: &str = "held";
/// Writes in one transaction while a blob is destroyed.
const DROPS: usize = 1024;

wire_struct! {
    /// A blob that is whole here.
    pub struct HeldBlob {
        /// The record that it belongs to, where that is known.
        pub record: Option<ContentId>,
        /// Sealed bytes.
        pub bytes: u64,
    }
}

/// How far a blob is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Not even its root.
    Nothing,
    /// Root and pages, and the segments before this one; 0 where a page is missing.
    Until(RootPage, u64),
    /// All of it.
    Whole(RootPage),
}

fn held_key(root: &ObjectId) -> SealedKey {
    SealedKey::new(HELD, &[], 0, &root.0)
}

/// Whether a blob is known to be whole here: one read.
pub(crate) fn held(objects: &dyn Objects, root: &ObjectId) -> Result<Option<HeldBlob>, Fatal> {
    let row = objects.sealed(&held_key(root))?;
    row.map(|bytes| HeldBlob::decode(&bytes)).transpose().map_err(Fatal::Contradiction)
}

/// Notes that a blob is whole here.
pub(crate) fn note_held(root: &ObjectId, blob: &HeldBlob) -> Write {
    Write::Sealed(SealedRow { key: held_key(root), patient: None, value: blob.encode() })
}

/// Notes that a blob is not whole here.
pub(crate) fn not_held(root: &ObjectId) -> Write {
    Write::DropSealed(held_key(root))
}

/// An object that is here and undamaged: a damaged one is as good as none, and storing it again heals it.
fn sound(objects: &dyn Objects, id: &ObjectId) -> Result<Option<Vec<u8>>, Fatal> {
    match objects.object(id) {
        Err(StoreError::Corrupt(Item::Object(_))) => Ok(None),
        read => Ok(read?),
    }
}

/// The root of a blob, if it is here.
pub(crate) fn root_page(objects: &dyn Objects, root: &ObjectId) -> Result<Option<RootPage>, Fatal> {
    let bytes = sound(objects, root)?;
    bytes.map(|b| RootPage::read(&b)).transpose().map_err(Fatal::Contradiction)
}

/// A page of a blob, if it is here.
pub(crate) fn page(objects: &dyn Objects, root: &RootPage, number: u64) -> Result<Option<Page>, Fatal> {
    let place = usize::try_from(number).unwrap_or(usize::MAX);
    let Some(id) = root.pages.get(place) else { return Ok(None) };
    let Some(bytes) = sound(objects, id)? else { return Ok(None) };
    root.page(number, &bytes).map(Some).map_err(Fatal::Contradiction)
}

/// How far a blob is here, by walking its manifest.
pub(crate) fn extent(objects: &dyn Objects, root: &ObjectId) -> Result<Extent, Fatal> {
    let Some(root) = root_page(objects, root)? else { return Ok(Extent::Nothing) };
    let mut have = 0;
    for number in 0..root.pages.len() as u64 {
        let Some(page) = page(objects, &root, number)? else { return Ok(Extent::Until(root, have)) };
        let ids: Vec<_> = page.segments().map(|s| s.id).collect();
        let here = objects.has_objects(&ids)?;
        let run = here.iter().take_while(|h| **h).count();
        have += run as u64;
        if run < ids.len() {
            return Ok(Extent::Until(root, have));
        }
    }
    Ok(Extent::Whole(root))
}

/// Destroys what is here of a blob: segments first, so that a destruction cut short can be gone on with.
pub(crate) fn destroy(objects: &dyn Objects, root: &ObjectId) -> Result<(), Fatal> {
    objects.apply(&[not_held(root), Write::DropFetch(*root)])?;
    // A root that does not read names nothing that could be found.
    let Some(manifest) = sound(objects, root)?.and_then(|b| RootPage::read(&b).ok()) else { return Ok(()) };
    for number in 0..manifest.pages.len() as u64 {
        let Some(page) = page(objects, &manifest, number)? else { continue };
        let drops: Vec<_> = page.segments().map(|s| Write::DropObject(s.id)).collect();
        for some in drops.chunks(DROPS) {
            objects.apply(some)?;
        }
    }
    let mut last: Vec<_> = manifest.pages.iter().map(|id| Write::DropObject(*id)).collect();
    last.push(Write::DropObject(*root));
    objects.apply(&last)?;
    Ok(())
}

/// The objects to stream for a request: root, pages, and segments from `have` on, as far as they are here.
pub(crate) fn to_serve(
    objects: &dyn Objects,
    root: &ObjectId,
    have: u64,
) -> Result<Option<Vec<ObjectId>>, Fatal> {
    let Some(manifest) = root_page(objects, root)? else { return Ok(None) };
    let mut ids = vec![*root];
    ids.extend(&manifest.pages);
    for number in 0..manifest.pages.len() as u64 {
        let Some(page) = page(objects, &manifest, number)? else { return Ok(Some(ids)) };
        let wanted: Vec<_> = page.segments().filter(|s| s.index >= have).map(|s| s.id).collect();
        let here = objects.has_objects(&wanted)?;
        let run = here.iter().take_while(|h| **h).count();
        ids.extend(wanted.iter().take(run));
        if run < wanted.len() {
            break;
        }
    }
    Ok(Some(ids))
}

/// Reads the bytes that a peer sends for a root.
///
/// # Errors
/// [`Check::ObjectHash`] for other bytes; as [`RootPage::read`].
pub(crate) fn judge_root(root: &ObjectId, bytes: &[u8]) -> Result<RootPage, Rejected> {
    ensure(root.names(bytes), Check::ObjectHash)?;
    RootPage::read(bytes)
}
