//! Whether a card's maker vouches for its keys: asked where somebody is enrolled, shown before the tap, and held against
//! the federation's policy. What makers are believed is the configuration's.

use hospes_card::CardSerial;
use hospes_card::piv::{AttestationError, Attested};

use super::Desk;
use super::error::DeskError;
use super::readers::hold;
use super::taps::blocking;

/// What a maker says of a card, or why it counts as unattested.
pub(crate) type Vouched = Result<Attested, AttestationError>;

impl Desk {
    /// Asks a card that is in what its maker says of it, and refuses one that the federation doesn't take.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`] for an unattested card where policy demands attested ones; as the card says.
    pub(super) async fn vouched(&self, serial: CardSerial) -> Result<Vouched, DeskError> {
        let (readers, makers) = (self.0.parts.readers.clone(), self.0.parts.makers.clone());
        let vouched = blocking(move || {
            let bus = readers.bus(&serial)?;
            let _working = hold(&bus);
            Ok(makers.judge(readers.connect(&serial)?.as_mut())?)
        })
        .await?;
        let unattested_taken = self.ask(|s| Ok(s.state().membership.policy.soft_cards)).await?;
        if vouched.is_err() && !unattested_taken {
            return Err(DeskError::NotAllowed(
                "the federation takes only cards whose maker vouches for their keys",
            ));
        }
        Ok(vouched)
    }
}
