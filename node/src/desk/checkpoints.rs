//! A checkpoint: the block from which a node goes on that was away beyond the trust period, named by a person who
//! read it at another node, and signed by the organization's card.

use std::sync::Arc;

use hospes_card::Slot;
use hospes_protocol::context::Context;
use hospes_protocol::ids::{BlockHash, sha256};
use hospes_protocol::sign1::sign1;
use hospes_protocol::state::Checkpoint;
use hospes_protocol::wire::Wire as _;
use hospes_service::filing::FileError;
use serde_json::json;
use tokio::sync::oneshot;

use super::error::DeskError;
use super::sessions::Session;
use super::taps::TapView;
use super::{Desk, text};
use crate::runtime::actor::Input;

impl Desk {
    /// Lets this node go on from a block. `{height, block}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`]; [`DeskError::SignerAbsent`] without the organization's card; the tap says what else
    /// went wrong.
    pub(crate) async fn trust_checkpoint(
        &self,
        session: &Arc<Session>,
        height: u64,
        block: BlockHash,
    ) -> Result<TapView, DeskError> {
        self.administers(session).await?;
        let (serial, organization) = self.organization_card().await?;
        let shown = text::checkpoint(&organization.name, height, &block);
        let checkpoint = Checkpoint {
            organization: organization.organization,
            height,
            block,
            text_hash: sha256(&[shown.text.as_bytes()]),
            language: shown.language.tag().to_owned(),
        };
        let (desk, network) = (self.clone(), self.0.parts.network);
        self.0.taps.begin("checkpoint", shown, serial, move |mut tap| async move {
            let signed = tap
                .card(serial, move |mut card| {
                    let mut signer = card.signer(Slot::Signature)?;
                    Ok(sign1(&mut signer, Context::Checkpoint, &network, &checkpoint.encode())?)
                })
                .await?;
            let taken = desk.take_checkpoint(signed).await?;
            Ok(json!({"height": taken.height, "block": taken.block.to_string()}))
        })
    }

    async fn take_checkpoint(&self, signed: Vec<u8>) -> Result<Checkpoint, DeskError> {
        let (done, result) = oneshot::channel();
        let act = Box::new(move |service: &mut hospes_service::service::Service| {
            let (answer, fatal) = match service.trust_checkpoint(&signed) {
                Ok(taken) => (Ok(taken), Ok(())),
                Err(FileError::Fatal(fatal)) => (Err(DeskError::Stopping), Err(fatal)),
                Err(refused) => (Err(refused.into()), Ok(())),
            };
            // Whoever asked may have gone; what was taken stands all the same.
            let _gone = done.send(answer);
            fatal
        });
        self.0.parts.service.send(Input::Act(act)).await?;
        result.await.map_err(|_| DeskError::Stopping)?
    }
}
