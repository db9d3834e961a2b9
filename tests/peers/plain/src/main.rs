//! The least that storing a sealed file can cost: ChaCha20-Poly1305 (RFC 8439), BLAKE3 and a plain write of so many
//! bytes, synced at the end, on one core. It keeps nothing: no manifest, no index, no order of what is durable.
//!
//! `plain BYTES FOLDER` prints how many megabytes a second it sealed, hashed and wrote. `hospes bench --peers` runs it.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};

/// What is sealed at a time: the plain bytes of a stored segment.
const SEGMENT_PLAIN_BYTES: usize = 1_048_064 - 16;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: plain BYTES FOLDER";
    let bytes: usize = arguments.next().ok_or(usage)?.parse()?;
    let folder = arguments.next().ok_or(usage)?;
    println!("{:.3}", measured(bytes, Path::new(&folder))?);
    Ok(())
}

/// Megabytes a second.
fn measured(bytes: usize, folder: &Path) -> Result<f64, Box<dyn Error>> {
    let path = folder.join("plain");
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let since = Instant::now();
    let cipher = ChaCha20Poly1305::new(&[7; 32].into());
    let (mut left, mut counter, mut buffer) = (bytes, 0u64, Vec::with_capacity(SEGMENT_PLAIN_BYTES + 16));
    while left > 0 {
        buffer.clear();
        buffer.resize(left.min(SEGMENT_PLAIN_BYTES), 0x5a);
        left -= buffer.len();
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&counter.to_be_bytes());
        cipher.encrypt_in_place(&nonce.into(), &[], &mut buffer).map_err(|_| "the cipher refused a segment")?;
        std::hint::black_box(blake3::hash(&buffer));
        file.write_all(&buffer)?;
        counter += 1;
    }
    file.sync_all()?;
    let took = since.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(bytes as f64 / 1e6 / took)
}
