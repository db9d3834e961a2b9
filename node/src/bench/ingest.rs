//! Ingest: seal, hash and store a file, against one core's AEAD, BLAKE3 and a plain write of the same bytes.

use std::io::Write as _;
use std::time::Instant;

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};
use hospes_protocol::ids::RecordId;
use hospes_protocol::limits::SEGMENT_BYTES;
use hospes_protocol::seal::blob::{DataKey, Sealer};
use hospes_protocol::seal::layout::{Layout, SEGMENT_PLAIN_BYTES};
use hospes_protocol::seal::manifest::ManifestBuilder;
use hospes_storage::{BlobWriter, Medium, Options, Store};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroizing;

use super::Size;
use super::row::{Failed, Goal, Row, failed, quantile};

/// Both sides run so often, in turns; the median counts.
const ROUNDS: usize = 3;

pub(super) fn run(size: Size) -> Result<Vec<Row>, Failed> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(plain(size.ingest_bytes)?);
        ours.push(ingest(size.ingest_bytes)?);
    }
    let (ours, theirs) = (quantile(&mut ours, 0.5), quantile(&mut theirs, 0.5));
    Ok(vec![Row::new("ingest", ours, theirs, "MB/s", &Goal::AtLeast(0.45))])
}

#[allow(clippy::cast_precision_loss, reason = "a speed to three digits")]
fn speed(bytes: u64, since: Instant) -> f64 {
    bytes as f64 / 1e6 / since.elapsed().as_secs_f64()
}

fn fill(buffer: &mut Vec<u8>, layout: Layout, index: u64) {
    buffer.clear();
    buffer.resize(layout.plain_bytes(index), 0x5a);
}

/// Our way: sealed segments with their manifest, in the object store, synced.
pub(super) fn ingest(bytes: u64) -> Result<f64, Failed> {
    let folder = tempfile::tempdir().map_err(failed)?;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let medium = Medium::Folder(folder.path().to_owned());
    let store_rng = Box::new(ChaCha20Rng::seed_from_u64(2));
    let store =
        Store::create(&medium, &Options::default(), &Zeroizing::new([1; 32]), store_rng).map_err(failed)?;
    let layout = Layout::of_size(bytes).map_err(failed)?;
    let since = Instant::now();
    let record = RecordId([7; 32]);
    let key = DataKey::random(&mut rng);
    let (mut sealer, mut manifest) = (Sealer::new(&key, record), ManifestBuilder::new(record));
    let mut writer = BlobWriter::new(&store);
    for index in 0..layout.segments() {
        let mut buffer = Vec::with_capacity(SEGMENT_BYTES);
        fill(&mut buffer, layout, index);
        sealer.seal_segment(&mut buffer, layout.is_last(index)).map_err(failed)?;
        let sealed = buffer.len();
        let id = writer.push(buffer).map_err(failed)?;
        if let Some(page) = manifest.push(id, sealed, layout.is_last(index)).map_err(failed)? {
            writer.push_structured(None, page.bytes).map_err(failed)?;
        }
    }
    let end = manifest.finish().map_err(failed)?;
    for object in end.page.into_iter().chain([end.root]) {
        writer.push_structured(None, object.bytes).map_err(failed)?;
    }
    writer.finish().map_err(failed)?;
    Ok(speed(bytes, since))
}

/// The same bytes through the cipher and the hash into a plain file, synced.
fn plain(bytes: u64) -> Result<f64, Failed> {
    let mut file = tempfile::tempfile().map_err(failed)?;
    let layout = Layout::of_size(bytes).map_err(failed)?;
    let since = Instant::now();
    let cipher = ChaCha20Poly1305::new(&[7; 32].into());
    let mut buffer = Vec::with_capacity(SEGMENT_PLAIN_BYTES + 16);
    for index in 0..layout.segments() {
        fill(&mut buffer, layout, index);
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&index.to_be_bytes());
        cipher.encrypt_in_place(&nonce.into(), &[], &mut buffer).map_err(failed)?;
        std::hint::black_box(blake3::hash(&buffer));
        file.write_all(&buffer).map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    Ok(speed(bytes, since))
}
