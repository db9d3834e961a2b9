//! A tap from the PIN to final: a soft card takes the PIN (Argon2id), signs in its signature slot, and the entry is
//! filed and ordered by four validators, while people at three other desks file one entry after another.

use std::time::Instant;

use hospes_card::soft::{SoftCard, SoftCardSpec};
use hospes_card::{Card as _, HolderKind, Pin, Puk, Slot};
use hospes_protocol::keys::{KeyError, Signer, VerifyingKey};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::Size;
use super::blocks::work;
use super::commit::wait_final;
use super::people::{CardKeys, Ward};
use super::row::{Failed, Goal, Row, failed, quantile};
use super::world::World;

const VALIDATORS: u8 = 4;

/// A soft card that takes its PIN before each signature, as a desk does.
struct Typed {
    card: SoftCard,
    pin: Pin,
    key: VerifyingKey,
}

impl Signer for Typed {
    fn verifying_key(&self) -> VerifyingKey {
        self.key.clone()
    }

    fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.card.verify_pin(&self.pin)?;
        let signature = self.card.sign(Slot::Signature, message);
        self.card.logout();
        signature
    }
}

pub(super) fn run(size: Size) -> Result<Vec<Row>, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    let folder = tempfile::tempdir().map_err(failed)?;
    runtime.block_on(async {
        let world = World::start(VALIDATORS).await?;
        let (keys, mut card) = card(folder.path())?;
        let mut ward = Ward::enrol(&world, 0, keys, &mut card).await?;
        let mut desks = tokio::task::JoinSet::new();
        for (i, node) in (0..VALIDATORS).zip(&world.nodes).skip(1) {
            desks.spawn(work(node.service.clone(), node.events.clone(), Ward::open(&world, i).await?));
        }
        let mut took = Vec::new();
        for _ in 0..size.taps {
            let mut events = world.nodes[0].events.subscribe();
            let since = Instant::now();
            let filing = ward.record_by(&mut card)?;
            world.nodes[0].service.call(move |s| s.file(filing)).await.map_err(failed)?.map_err(failed)?;
            wait_final(&mut events, 1).await?;
            took.push(since.elapsed().as_secs_f64() * 1000.0);
        }
        desks.shutdown().await;
        world.stop().await;
        let p99 = quantile(&mut took, 0.99);
        Ok(vec![Row::new("tap-to-final-p99", p99, 2_000.0, "ms", &Goal::AtMost(1.0))])
    })
}

fn card(folder: &std::path::Path) -> Result<(CardKeys, Typed), Failed> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (pin, puk) = (Pin::new("273941").map_err(failed)?, Puk::generate(&mut rng));
    let spec = SoftCardSpec::new(HolderKind::Practitioner);
    let mut card = spec.create(&folder.join("bench.card"), &pin, &puk, &mut rng).map_err(failed)?;
    let info = card.info().map_err(failed)?;
    let signing = |slot| info.verifying_key(slot).cloned().ok_or_else(|| failed("a slot without a key"));
    let key = signing(Slot::Signature)?;
    let agreement = info.key_management.clone().ok_or_else(|| failed("a card that agrees no keys"))?;
    let authentication = signing(Slot::Authentication)?;
    Ok((CardKeys { authentication, signature: key.clone(), agreement }, Typed { card, pin, key }))
}
