//! Filing: this node's own entries, from a signed body to a header that is on its way.
//!
//! The bodies of a tap are judged and kept first, in one durable commit, then the headers that name them, in
//! one with the sequence number; only then are they published.

use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::entry::{Content, FORMAT, Header, HeaderFields, Kind, is_control};
use hospes_protocol::ids::{ContentId, HeaderId, Reveal};
use hospes_protocol::limits::CLOCK_SKEW_MS_MAX;
use hospes_protocol::patient::PatientKey;
use hospes_protocol::policy::{Batch, HeaderFacts, Verified, judge_body};
use hospes_protocol::tap::Body;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_protocol::{fail_point, mutant};
use hospes_storage::HeaderRow;

use crate::messages::HeaderItem;
use crate::service::{Fatal, Service};

/// One entry to file.
pub struct Filing {
    /// The encoding of a body whose content names this node's organization.
    pub body: Vec<u8>,
    /// K of this organization for the patient; null for control kinds.
    pub key: Option<PatientKey>,
    /// Values that close locks.
    pub reveal: Vec<Reveal>,
    /// Sealed packets that the body names.
    pub packets: Vec<Vec<u8>>,
}

/// What was filed. It is durable here and on its way; final when an event says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filed {
    /// Its header.
    pub header: HeaderId,
    /// Its content.
    pub content: ContentId,
}

/// Why an entry was not filed. Nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is unlawful.
    #[error("{0}")]
    Rejected(#[from] Rejected),
    /// The node's clock is behind the ledger's, so it does not sign.
    #[error("this node's clock is {behind_ms} ms behind the ledger: set it, then try again")]
    Clock {
        /// By how much.
        behind_ms: u64,
    },
    /// The disk is full.
    #[error("the node's disk is full, so it files nothing")]
    DiskFull,
    /// The store is older than what this node signed.
    #[error("this node's disk is older than what it signed, so it signs nothing more")]
    Outdated,
    /// The service stops.
    #[error(transparent)]
    Fatal(#[from] Fatal),
}

impl From<hospes_storage::StoreError> for FileError {
    fn from(e: hospes_storage::StoreError) -> Self {
        Self::Fatal(Fatal::Store(e))
    }
}

impl Service {
    /// Files entries in order, as one batch: all are judged before the first is kept.
    ///
    /// # Errors
    /// [`FileError`]; but for [`FileError::Fatal`] none was filed.
    pub fn file(&mut self, filings: Vec<Filing>) -> Result<Vec<Filed>, FileError> {
        if self.is_read_only() {
            return Err(FileError::DiskFull);
        }
        if self.is_outdated() {
            return Err(FileError::Outdated);
        }
        let (wanted, mut filed) = (filings.len(), Vec::new());
        let file = |service: &mut Self| {
            service.file_in_room(filings, &mut filed)?;
            Ok(service.settle()?)
        };
        match self.gathered(file) {
            Ok(()) => {
                self.stir();
                Ok(filed)
            }
            Err(FileError::Fatal(fatal)) if fatal.is_full() => {
                self.enter_read_only()?;
                self.after_no_room(wanted, filed)
            }
            Err(refused) => Err(refused),
        }
    }

    /// A disk that filled while entries were filed: they are filed if their headers are durable, and then all
    /// that follows is done when there is room; otherwise nothing of them is to stay.
    fn after_no_room(&mut self, wanted: usize, filed: Vec<Filed>) -> Result<Vec<Filed>, FileError> {
        let mut durable = filed.len() == wanted;
        for entry in &filed {
            durable &= self.ledger.header(&entry.header)?.is_some();
        }
        if durable {
            return Ok(filed);
        }
        match self.settle_unfiled() {
            // What can't be dropped now is when there is room.
            Err(fatal) if fatal.is_full() => {}
            done => done?,
        }
        Err(FileError::DiskFull)
    }

    pub(crate) fn file_in_room(
        &mut self,
        filings: Vec<Filing>,
        filed: &mut Vec<Filed>,
    ) -> Result<(), FileError> {
        let behind_ms = self.state.time.saturating_sub(self.now);
        if behind_ms > CLOCK_SKEW_MS_MAX {
            return Err(FileError::Clock { behind_ms });
        }
        let member = self.state.membership.nodes.contains_key(&self.me.node);
        ensure(member, Check::UnknownNode)?;
        ensure(self.state.membership.node(&self.me.node).is_some(), Check::RetiredNode)?;
        let (contents, verified) = self.judge_filings(&filings)?;
        self.judge_certificate(&contents)?;
        let personal = filings.iter().zip(&contents).filter(|(_, content)| !is_control(content.kind));
        self.keep_own_bodies(personal.map(|(filing, _)| filing).zip(&verified).collect())?;
        fail_point!(BodyUnheaded, return Err(hospes_storage::StoreError::wanted().into()));
        let headers = self.sign_headers(&filings, &contents)?;
        let (mut items, mut rows) = (Vec::new(), Vec::new());
        for (filing, header) in filings.into_iter().zip(&headers) {
            let control = is_control(header.fields().kind).then_some(Bytes(filing.body));
            filed.push(Filed { header: header.id(), content: header.fields().content });
            rows.push(HeaderRow::of(header, control.as_ref().map(|b| b.0.clone())));
            items.push(HeaderItem { header: Bytes(header.as_bytes().to_vec()), control: control.clone() });
            self.pool_header(header.clone(), control);
        }
        let rows = if mutant!(HeaderUnkept) { Vec::new() } else { rows };
        self.stirred.set(true);
        self.ledger.put_own(&rows)?;
        fail_point!(HeaderUnsent, return Err(hospes_storage::StoreError::wanted().into()));
        self.see_reveals(&headers)?;
        self.publish_headers(items);
        self.after_filing(&headers)?;
        Ok(())
    }

    /// Once its certificate has ended, a node files nothing but what may renew it.
    fn judge_certificate(&self, contents: &[Content]) -> Result<(), FileError> {
        let holds = self.state.membership.nodes.get(&self.me.node).is_some_and(|n| n.expires > self.now);
        let renewals = contents.iter().all(|content| content.kind == Kind::Node.code());
        Ok(ensure(holds || renewals, Check::NodeExpired)?)
    }

    /// Judges every entry before the first is kept; entries of one tap may stand on each other. Gives what
    /// they say, and of the personal ones what was verified, both in order.
    fn judge_filings(&self, filings: &[Filing]) -> Result<(Vec<Content>, Vec<Verified>), FileError> {
        let view = self.view();
        let (mut batch, mut contents) = (Batch::over(&view), Vec::new());
        for filing in filings {
            let (body, content) = self.read_filing(filing)?;
            if is_control(content.kind) {
                self.state.judge_control(&content, &body, &self.me.node)?;
            } else {
                let facts = HeaderFacts::about_to_sign(&content, self.me.node, self.now);
                let verified = judge_body(&batch, &body, &content, &facts)?;
                self.judge_gone(&verified.known.id, &verified.known.entry)??;
                self.judge_packets(&verified, &filing.packets)?;
                batch.put(verified);
            }
            contents.push(content);
        }
        Ok((contents, batch.into_entries()))
    }

    fn read_filing(&self, filing: &Filing) -> Result<(Body, Content), FileError> {
        let (body, content) = Body::read(&filing.body, &self.network)?;
        ensure(content.organization == self.me.organization, Check::WrongOrganization)?;
        ensure(is_control(content.kind) == filing.key.is_none(), Check::SubjectForm)?;
        let closed = content.lock.is_some_and(|l| self.seen.contains(&l) || self.state.locks.is_closed(&l));
        ensure(!closed, Check::LockClosed)?;
        ensure(!self.stands_or_waits(&content.id())?, Check::ContentFiled)?;
        Ok((body, content))
    }

    fn sign_headers(&mut self, filings: &[Filing], contents: &[Content]) -> Result<Vec<Header>, FileError> {
        let (mut sequence, mut previous) = self.pool.head(&self.me.node);
        let mut chain = Vec::new();
        for (filing, content) in filings.iter().zip(contents) {
            sequence += 1;
            let mut reveal = filing.reveal.clone();
            reveal.sort_unstable();
            let fields = HeaderFields {
                format: FORMAT,
                network: self.network,
                organization: self.me.organization,
                node: self.me.node,
                sequence,
                previous,
                kind: content.kind,
                subject: filing.key.as_ref().map(|k| k.subject(&self.me.node, sequence)),
                content: content.id(),
                lock: content.lock,
                reveal,
                signed_at: self.now,
            };
            previous = Some(fields.id());
            chain.push(fields);
        }
        Header::sign_all(chain, &mut self.me.signer)
            .map_err(|e| FileError::Fatal(Fatal::Engine(format!("the node key: {e}"))))
    }
}

/// The encoding of a body over a content and its signatures.
#[must_use]
pub fn body_bytes(content: &Content, signatures: Vec<hospes_protocol::tap::CardSignature>) -> Vec<u8> {
    Body { content: Bytes(content.encode()), signatures }.encode()
}
