//! Fetching: what orders say should be here, from whoever has it, segment by segment.
//!
//! A frame is judged before it is stored, by the hash that its manifest gives; a wrong byte ends that
//! transfer and its sender is blamed. What was stored stays, so the next attempt, with another holder, goes
//! on behind the last good segment. Attempts have no end, only longer pauses.

use std::collections::BTreeSet;

use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::ids::{ContentId, NodeId, ObjectId, OrganizationId};
use hospes_protocol::seal::manifest::RootPage;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_protocol::wire_struct;
use hospes_storage::{Fetch, SealedKey, SealedRow, Segment, Write};

use super::blob::{self, Extent, HeldBlob};
use super::order::{FetchRequest, SignedOrder};
use crate::effects::Effect;
use crate::records::queue::pause_ms;
use crate::service::{Fatal, Service};

/// Transfers at once: enough to fill a line, few enough that the urgent ones are soon done.
const RUNNING_MAX: usize = 4;
/// Due fetches that are looked at together, to take the most urgent.
const DUE_PAGE: usize = 256;
/// A transfer without a frame for so long is given up, in milliseconds.
const STALLED_MS: u64 = 60_000;
/// How long a fetch waits that nobody who is connected may have, in milliseconds.
const SOURCE_PAUSE_MS: u64 = 4_000;
/// Transfers under way.
const RUNNING: &str = "running";

wire_struct! {
    /// What a fetch that waits says of its object.
    pub struct FetchNote {
        /// Clinical priority, 0 first.
        pub rank: u64,
        /// The record, where that is known.
        pub record: Option<ContentId>,
    }
}

wire_struct! {
    /// A transfer under way.
    pub struct Running {
        /// Of the effect that began it.
        pub id: u64,
        /// What.
        pub root: ObjectId,
        /// From whom.
        pub peer: NodeId,
        /// The first segment that was asked for.
        pub have: u64,
        /// How many frames came.
        pub frames: u64,
        /// When the last came.
        pub seen: u64,
    }
}

fn running_key(root: &ObjectId) -> SealedKey {
    SealedKey::new(RUNNING, &[], 0, &root.0)
}

fn running_row(running: &Running) -> Write {
    Write::Sealed(SealedRow { key: running_key(&running.root), patient: None, value: running.encode() })
}

/// What a good frame leads to.
struct Step {
    stored: Write,
    /// The blob's root, once the frame was its last.
    whole: Option<RootPage>,
}

impl Step {
    fn structured(id: ObjectId, bytes: &[u8]) -> Self {
        Self { stored: Write::Object { id, patient: None, bytes: bytes.to_vec() }, whole: None }
    }
}

impl Service {
    fn running(&self) -> Result<Vec<Running>, Fatal> {
        let rows = self.objects.sealed_rows(RUNNING, None, None, 2 * RUNNING_MAX)?;
        let read = |row: &SealedRow| Running::decode(&row.value).map_err(Fatal::Contradiction);
        rows.iter().map(read).collect()
    }

    /// The transfer of a blob that is under way.
    pub(super) fn running_of(&self, root: &ObjectId) -> Result<Option<Running>, Fatal> {
        Ok(self.running()?.into_iter().find(|running| running.root == *root))
    }

    /// Stops every transfer, without a word to the store.
    pub(crate) fn cancel_running(&mut self) -> Result<(), Fatal> {
        for running in self.running()? {
            self.emit(Effect::CancelFetch(running.id));
        }
        Ok(())
    }

    /// Transfers do not outlive the process; what they brought does.
    pub(super) fn forget_running(&mut self) -> Result<(), Fatal> {
        for running in self.running()? {
            self.retry(&running, self.now)?;
        }
        Ok(())
    }

    fn retry(&mut self, running: &Running, due: u64) -> Result<(), Fatal> {
        let mut writes = vec![Write::DropSealed(running_key(&running.root))];
        if let Some(fetch) = self.objects.fetch(&running.root)? {
            writes.push(Write::Fetch(Fetch { due, attempts: fetch.attempts + 1, ..fetch }));
        }
        self.write(&writes)?;
        Ok(())
    }

    fn retry_later(&mut self, running: &Running) -> Result<(), Fatal> {
        let attempts = self.objects.fetch(&running.root)?.map_or(0, |f| f.attempts);
        self.retry(running, self.now + pause_ms(attempts))
    }

    /// Begins the most urgent fetches that are due, while there is room.
    pub(super) fn start_fetches(&mut self) -> Result<(), Fatal> {
        let running = self.running()?;
        let mut room = RUNNING_MAX.saturating_sub(running.len());
        if room == 0 {
            return Ok(());
        }
        let busy: BTreeSet<ObjectId> = running.iter().map(|r| r.root).collect();
        let mut due = Vec::new();
        for fetch in self.objects.fetches_due(self.now, DUE_PAGE)? {
            let note = FetchNote::decode(&fetch.note).map_err(Fatal::Contradiction)?;
            due.push((note.rank, fetch, note.record));
        }
        due.sort_by_key(|(rank, fetch, _)| (*rank, fetch.due));
        due.retain(|(_, fetch, _)| !busy.contains(&fetch.object));
        let mut later = Vec::new();
        for (_, fetch, record) in due {
            if room == 0 {
                break;
            }
            match self.source(&fetch.object, record.as_ref(), fetch.attempts)? {
                Some(source) => room -= usize::from(self.start_fetch(fetch.object, record, source)?),
                None => later.push(Write::Fetch(Fetch { due: self.now + SOURCE_PAUSE_MS, ..fetch })),
            }
        }
        self.write(&later)?;
        Ok(())
    }

    fn start_fetch(
        &mut self,
        root: ObjectId,
        record: Option<ContentId>,
        (peer, order): (NodeId, Vec<u8>),
    ) -> Result<bool, Fatal> {
        let have = match blob::extent(&*self.objects, &root)? {
            Extent::Whole(manifest) => return self.finish(&root, record, &manifest).map(|()| false),
            Extent::Until(_, have) => have,
            Extent::Nothing => 0,
        };
        let id = self.fresh_id();
        let running = Running { id, root, peer, have, frames: 0, seen: self.now };
        self.write(&[running_row(&running)])?;
        let request = FetchRequest { root, order: Bytes(order), have };
        self.emit(Effect::Fetch { id, from: peer, bytes: request.encode() });
        Ok(true)
    }

    /// Whom to ask, and the order that entitles us: those who ordered first, then whoever else should hold it.
    pub(super) fn source(
        &self,
        root: &ObjectId,
        record: Option<&ContentId>,
        attempts: u64,
    ) -> Result<Option<(NodeId, Vec<u8>)>, Fatal> {
        let orders = self.orders_for(root)?;
        let guest = self.guest(root)?.map(|g| g.authorization.0);
        let mut sources: Vec<NodeId> = orders.iter().map(|o| o.issuer).collect();
        let mut organizations: BTreeSet<OrganizationId> =
            orders.iter().map(|o| o.order.organization).collect();
        if let Some(record) = record
            && let Some(entry) = self.record_entry(record)?
        {
            organizations.extend(self.orderers(&entry)?);
            organizations.extend(self.placed(record)?);
        }
        sources.extend(self.peers_of(&organizations));
        let mut seen = BTreeSet::new();
        sources.retain(|n| *n != self.me.node && self.peers.contains_key(n) && seen.insert(*n));
        if sources.is_empty() || (orders.is_empty() && guest.is_none()) {
            return Ok(None);
        }
        let turn = usize::try_from(attempts % sources.len() as u64).unwrap_or(0);
        let peer = sources[turn];
        let theirs = self.state.membership.node(&peer).map(|n| n.organization);
        let by_them = |o: &&SignedOrder| Some(o.order.organization) == theirs;
        let order = orders.iter().find(by_them).or(orders.first()).map(|o| o.bytes.clone()).or(guest);
        Ok(order.map(|order| (peer, order)))
    }

    /// Connected nodes of these organizations.
    fn peers_of(&self, organizations: &BTreeSet<OrganizationId>) -> Vec<NodeId> {
        let of = |node: &&NodeId| {
            self.state.membership.node(node).is_some_and(|n| organizations.contains(&n.organization))
        };
        self.peers.keys().filter(of).copied().collect()
    }

    /// A frame of a transfer that this node began.
    ///
    /// # Errors
    /// [`Fatal`] only; a wrong frame ends the transfer and its sender is blamed.
    pub fn on_object_frame(&mut self, id: u64, bytes: &[u8]) -> Result<(), Fatal> {
        self.writing(|service| service.take_frame(id, bytes)).map(drop)
    }

    fn take_frame(&mut self, id: u64, bytes: &[u8]) -> Result<(), Fatal> {
        let Some(mut running) = self.running()?.into_iter().find(|r| r.id == id) else { return Ok(()) };
        match self.judge_frame(&running, bytes)? {
            Ok(Step { stored, whole }) => {
                running.frames += 1;
                running.seen = self.now;
                self.write(&[stored, running_row(&running)])?;
                whole.map_or(Ok(()), |root| self.on_last_frame(&running, &root))
            }
            Err(rejected) => {
                self.emit(Effect::CancelFetch(id));
                // Only other bytes than the manifest names are the sender's doing; the rest is the author's.
                if rejected.check == Check::ObjectHash {
                    self.judge_peer(running.peer, Some(rejected));
                }
                self.retry_later(&running)
            }
        }
    }

    fn judge_frame(&self, running: &Running, bytes: &[u8]) -> Result<Result<Step, Rejected>, Fatal> {
        if running.frames == 0 {
            // Nobody may have more held here than he ordered.
            let orders = self.objects.orders(&running.root)?;
            let guest =
                self.guest(&running.root)?.map(|g| self.record_entry(&g.record)).transpose()?.flatten();
            let fits = |root: &RootPage| {
                let visits = guest.as_ref().is_some_and(|g| root.belongs_to(&g.record, g.size).is_ok());
                visits || orders.iter().any(|o| root.sealed_size <= o.size)
            };
            let judged = blob::judge_root(&running.root, bytes);
            let judged = judged.and_then(|root| ensure(fits(&root), Check::ManifestForm));
            return Ok(judged.map(|()| Step::structured(running.root, bytes)));
        }
        let missing = || Fatal::Contradiction(Check::ObjectMissing.into());
        let root = blob::root_page(&*self.objects, &running.root)?.ok_or_else(missing)?;
        let pages = root.pages.len() as u64;
        if running.frames <= pages {
            let number = running.frames - 1;
            let id = root.pages[usize::try_from(number).unwrap_or(0)];
            return Ok(root.page(number, bytes).map(|_| Step::structured(id, bytes)));
        }
        let index = running.have + (running.frames - 1 - pages);
        let Ok(layout) = root.layout() else { return Ok(Err(Check::ManifestForm.into())) };
        if index >= root.segments {
            return Ok(Err(Check::RangeForm.into()));
        }
        let page = blob::page(&*self.objects, &root, layout.page_of(index))?.ok_or_else(missing)?;
        let Some(segment) = page.segment(index) else { return Ok(Err(Check::ManifestForm.into())) };
        let sealed = Segment::of(bytes.to_vec());
        // As `segment.judge`, with the hash that storage needs anyway.
        let judged = ensure(sealed.id() == segment.id, Check::ObjectHash)
            .and(ensure(bytes.len() == segment.sealed_bytes, Check::ManifestForm));
        let whole = segment.last.then_some(root);
        Ok(judged.map(|()| Step { stored: Write::Segment(sealed), whole }))
    }

    fn on_last_frame(&mut self, running: &Running, root: &RootPage) -> Result<(), Fatal> {
        self.write(&[Write::DropSealed(running_key(&running.root))])?;
        let note = self.objects.fetch(&running.root)?.map(|f| FetchNote::decode(&f.note)).transpose();
        let record = note.map_err(Fatal::Contradiction)?.and_then(|n| n.record);
        self.finish(&running.root, record, root)?;
        self.start_fetches()?;
        // The last of many is durable at once, and those before it with it.
        if self.running()?.is_empty() { self.settle() } else { Ok(()) }
    }

    fn finish(
        &mut self,
        root: &ObjectId,
        record: Option<ContentId>,
        manifest: &RootPage,
    ) -> Result<(), Fatal> {
        let held = HeldBlob { record, bytes: manifest.sealed_size };
        self.write(&[blob::note_held(root, &held), Write::DropFetch(*root)])?;
        self.on_whole(root)
    }

    /// The end of a transfer; one that ended early is tried again, with another holder.
    ///
    /// # Errors
    /// [`Fatal`] only.
    pub fn on_object_end(&mut self, id: u64, _complete: bool) -> Result<(), Fatal> {
        self.writing(|service| service.end_transfer(id)).map(drop)
    }

    fn end_transfer(&mut self, id: u64) -> Result<(), Fatal> {
        if let Some(running) = self.running()?.into_iter().find(|r| r.id == id) {
            self.retry_later(&running)?;
        }
        self.start_fetches()
    }

    /// Ends a transfer of something that is not wanted any more.
    pub(super) fn stop_fetch(&mut self, root: &ObjectId) -> Result<(), Fatal> {
        if let Some(running) = self.running_of(root)? {
            self.emit(Effect::CancelFetch(running.id));
            self.write(&[Write::DropSealed(running_key(root))])?;
        }
        Ok(())
    }

    /// Gives up transfers from a peer that is gone, or that stalled.
    pub(super) fn give_up_stalled(&mut self, gone: Option<&NodeId>) -> Result<(), Fatal> {
        for running in self.running()? {
            let stalled = running.seen + STALLED_MS < self.now;
            if stalled || gone == Some(&running.peer) {
                self.emit(Effect::CancelFetch(running.id));
                self.retry(&running, self.now)?;
            }
        }
        Ok(())
    }
}
