//! From the sealed parts of a blob to plain bytes; and what is done where a part is missing or damaged: it is
//! fetched from another holder, for as long as more of it comes.
//!
//! Nothing that fails its hash is opened. `reading` has decided before; which holder is asked is the service's.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use hospes_card::Slot;
use hospes_protocol::check::{Check, Rejected};
use hospes_protocol::context::Context;
use hospes_protocol::ids::{ContentId, ObjectId};
use hospes_protocol::personal::RecordEntry;
use hospes_protocol::seal::blob::{DataKey, SealError, open_segment};
use hospes_protocol::seal::manifest::RootPage;
use hospes_protocol::sign1::sign1;
use hospes_protocol::wire::Wire;
use hospes_service::holding::Healing;
use hospes_service::records::Authorization;
use hospes_storage::{Item, Objects, StoreError};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::Desk;
use super::error::DeskError;
use super::sessions::{Session, Who};
use super::taps::blocking;
use crate::runtime::actor::clock_ms;

/// How often one range is healed: other parts may be damaged behind the first.
pub(super) const HEALINGS_MAX: usize = 4;
/// How long a reader waits for the next part.
const STALL: Duration = Duration::from_secs(10);
/// How often it is looked whether parts have come.
const LOOK: Duration = Duration::from_millis(50);

/// What is refused while parts are missing.
pub(super) const MISSING: DeskError = DeskError::NotHere("parts of this record's file are not here yet");

/// Why a range was not opened.
pub(super) enum Unread {
    /// A part is missing, or, where it is named, damaged.
    Part(Option<ObjectId>),
    /// Anything else.
    Failed(DeskError),
}

impl From<Rejected> for Unread {
    fn from(rejected: Rejected) -> Self {
        Self::Failed(rejected.into())
    }
}

impl From<Check> for Unread {
    fn from(check: Check) -> Self {
        Self::Failed(check.into())
    }
}

impl From<SealError> for Unread {
    fn from(error: SealError) -> Self {
        Self::Failed(error.into())
    }
}

fn part(objects: &dyn Objects, id: &ObjectId) -> Result<Vec<u8>, Unread> {
    match objects.object(id) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(Unread::Part(None)),
        Err(StoreError::Corrupt(Item::Object(damaged))) => Err(Unread::Part(Some(damaged))),
        Err(error) => Err(Unread::Failed(error.into())),
    }
}

/// Opens the bytes of a range from the parts that are here. Blocks.
pub(super) fn open_range(
    objects: &dyn Objects,
    entry: &RecordEntry,
    key: &DataKey,
    range: Range<u64>,
) -> Result<Zeroizing<Vec<u8>>, Unread> {
    let root = RootPage::read(&part(objects, &entry.manifest)?)?;
    root.belongs_to(&entry.record, entry.size)?;
    let layout = root.layout()?;
    let segments = layout.segments_of(range.clone())?;
    let first = layout.locate(range.start)?;
    let wanted = usize::try_from(range.end - range.start).map_err(|_| Check::RangeForm)?;
    let mut plain = Zeroizing::new(Vec::with_capacity(wanted));
    let (mut page, mut skip) = (None, first.offset);
    for index in segments {
        let number = layout.page_of(index);
        let current = match page.take().filter(|(at, _)| *at == number) {
            Some(current) => current,
            None => {
                let place = usize::try_from(number).map_err(|_| Check::RangeForm)?;
                let id = root.pages.get(place).ok_or(Check::ManifestForm)?;
                (number, root.page(number, &part(objects, id)?)?)
            }
        };
        let segment = current.1.segment(index).ok_or(Check::ManifestForm)?;
        let mut buffer = Zeroizing::new(part(objects, &segment.id)?);
        segment.judge(&buffer)?;
        open_segment(key, entry.record, index, segment.last, &mut buffer)?;
        let upto = buffer.len().min(skip + wanted - plain.len());
        plain.extend_from_slice(buffer.get(skip..upto).ok_or(Check::ManifestForm)?);
        skip = 0;
        page = Some(current);
    }
    Ok(plain)
}

impl Desk {
    /// Has the blob of a record made whole by other holders, and waits for it.
    ///
    /// # Errors
    /// [`DeskError::Damaged`] for a part that nobody in reach makes good, [`DeskError::NotHere`] for one that
    /// nobody brings.
    pub(super) async fn heal(
        &self,
        session: &Arc<Session>,
        content: ContentId,
        entry: &RecordEntry,
        damaged: Option<ObjectId>,
    ) -> Result<(), DeskError> {
        if let Some(part) = damaged {
            tracing::error!(object = %part, "a part of a record is damaged here: another holder is asked");
        }
        let root = entry.manifest;
        let mut state = self.ask(move |s| Ok(s.heal(&root, Some(content), damaged)?)).await?;
        if let (Healing::Nobody, Who::Patient { .. }) = (state, &session.who) {
            let visit = self.authorize(session).await?;
            state = self
                .ask(move |s| {
                    s.fetch_for_patient(&content, &visit)?;
                    Ok(s.healing(&root)?)
                })
                .await?;
        }
        let (mut come, mut last) = (0, Instant::now());
        loop {
            match state {
                Healing::Whole => return Ok(()),
                Healing::Coming(parts) if parts > come => (come, last) = (parts, Instant::now()),
                Healing::Coming(_) if last.elapsed() < STALL => {}
                _ => return Err(damaged.map_or(MISSING, DeskError::Damaged)),
            }
            tokio::time::sleep(LOOK).await;
            state = self.ask(move |s| Ok(s.healing(&root)?)).await?;
        }
    }

    /// What the patient's card signs so that other holders serve this node.
    pub(super) async fn authorize(&self, session: &Arc<Session>) -> Result<Vec<u8>, DeskError> {
        let (session, node, network) = (session.clone(), self.0.parts.node, self.0.parts.network);
        blocking(move || {
            let authorization: Authorization = (node, clock_ms());
            session.with(|unlocked| {
                let mut signer = unlocked.card.signer(Slot::Authentication)?;
                Ok(sign1(&mut signer, Context::Session, &network, &authorization.encode())?)
            })
        })
        .await
    }
}
