//! What we sign and seal is read by COSE and CBOR libraries of another language, and what they sign and seal by us.
//!
//! Method: this writes our messages to a folder, `tests/python/interop.py` reads them there and leaves its own, which
//! are read here; both refuse them with a changed bit. The folder is named by `HOSPES_INTEROP`; `tests/run` sets it. A
//! file holds `{"vectors": […]}` in the form that interop.py describes. Replay: `tests/run --only python`.

mod keys;
mod ours;

use std::path::PathBuf;

use hospes_breakglass::threshold::{PublicKey, Purpose, Signature};
use hospes_protocol::block::{Block, CommitCertificate, ValidatorSet};
use hospes_protocol::context::Context;
use hospes_protocol::entry::Header;
use hospes_protocol::ids::{NetworkId, sha256};
use hospes_protocol::keys::{Algorithm, VerifyingKey};
use hospes_protocol::sign1::Sign1;
use hospes_protocol::tap::Body;
use hospes_protocol::wire::Wire;
use serde_json::Value;

type Verdict = Result<(), String>;

fn folder() -> Option<PathBuf> {
    std::env::var_os("HOSPES_INTEROP").map(PathBuf::from)
}

fn bytes(vector: &Value, field: &str) -> Vec<u8> {
    let text = vector[field].as_str().unwrap_or_else(|| panic!("{field} of {}", vector["name"]));
    data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).unwrap()
}

fn network(vector: &Value) -> NetworkId {
    NetworkId(bytes(vector, "network").try_into().unwrap())
}

fn context(vector: &Value) -> Context {
    let named = |context: &&Context| vector["context"].as_str() == Some(context.text());
    *Context::ALL.iter().find(named).unwrap()
}

fn key(vector: &Value) -> VerifyingKey {
    let code = vector["algorithm"].as_i64().unwrap().unsigned_abs();
    VerifyingKey::new(Algorithm::from_code(code).unwrap(), &bytes(vector, "public_key")).unwrap()
}

fn demand(holds: bool, what: &str) -> Verdict {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// What our code makes of `data` in the place of the vector's own bytes.
fn judge(vector: &Value, data: &[u8]) -> Verdict {
    let refused = |rejected| format!("{rejected:?}");
    match vector["kind"].as_str().unwrap() {
        "sign1" => {
            let message = Sign1::parse(data).map_err(refused)?;
            message.verify(&key(vector), context(vector), &network(vector)).map_err(refused)?;
            demand(message.payload() == bytes(vector, "payload"), "the payload")
        }
        "header" => {
            let header = Header::read(data, &network(vector)).map_err(refused)?;
            header.verify(&key(vector)).map_err(refused)?;
            demand(header.id().0.as_slice() == bytes(vector, "id"), "the id")
        }
        "body" => {
            let (body, _) = Body::read(data, &network(vector)).map_err(refused)?;
            let tap = body.signed_by(&key(vector), &network(vector)).map_err(refused)?;
            let text = vector["text"].as_str().unwrap();
            demand(tap.text_hash == sha256(&[text.as_bytes()]), "the text that was shown")?;
            demand(body.id().0.as_slice() == bytes(vector, "id"), "the id")
        }
        "envelope" => keys::open(vector, data),
        "bls" => {
            let raw = bytes(vector, "public_key").try_into().map_err(|_| "the length of the key")?;
            let key = PublicKey::from_bytes(&raw).map_err(refused)?;
            let raw = data.try_into().map_err(|_| "the length of the signature")?;
            let signature = Signature::from_bytes(raw).map_err(refused)?;
            key.verify(Purpose::Release, &bytes(vector, "message"), &signature).map_err(|e| e.to_string())
        }
        "certificate" => {
            let certificate = CommitCertificate::decode(data).map_err(refused)?;
            let set = ValidatorSet::decode(&bytes(vector, "validators")).map_err(refused)?;
            certificate.verify(&network(vector), &set).map_err(refused)?;
            let block = Block::read(&bytes(vector, "block"), &network(vector)).map_err(refused)?;
            demand(certificate.block == block.hash() && certificate.height == block.height, "the block")
        }
        other => Err(format!("no reader for {other}")),
    }
}

fn verifies_and_changed_bits_do_not(vector: &Value) {
    let (name, data) = (&vector["name"], bytes(vector, "bytes"));
    assert_eq!(judge(vector, &data), Ok(()), "{name} is read");
    for at in 0..data.len() {
        let mut spoilt = data.clone();
        spoilt[at] ^= 1;
        assert!(judge(vector, &spoilt).is_err(), "{name} with byte {at} changed is refused");
    }
}

#[test]
fn our_messages_are_written_for_another_library() {
    let vectors = ours::vectors();
    vectors.iter().for_each(verifies_and_changed_bits_do_not);
    let Some(folder) = folder() else {
        eprintln!("SKIPPED writing: HOSPES_INTEROP names no folder");
        return;
    };
    let text = serde_json::to_string_pretty(&serde_json::json!({"vectors": vectors})).unwrap();
    std::fs::write(folder.join("ours.json"), text).unwrap();
    eprintln!("{} messages written for another library", vectors.len());
}

#[test]
fn python_made_messages_verify() {
    let Some(folder) = folder() else {
        eprintln!("SKIPPED reading: HOSPES_INTEROP names no folder");
        return;
    };
    let Ok(text) = std::fs::read_to_string(folder.join("python.json")) else {
        eprintln!("SKIPPED reading: there is no python.json in HOSPES_INTEROP");
        return;
    };
    let file: Value = serde_json::from_str(&text).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    vectors.iter().for_each(verifies_and_changed_bits_do_not);
    assert!(
        vectors.len() >= 9,
        "signatures of four algorithms, a header, a body, a certificate, envelopes on two curves"
    );
    eprintln!("{} messages made by another library verified", vectors.len());
}
