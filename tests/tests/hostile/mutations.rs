//! No spoilt input makes a reader panic, takes memory out of proportion, or reads as something that it is not.
//!
//! Method: each decoder gets every kept input (`tests/fuzz/corpus`), and thousands of spoilt forms of each from a fixed
//! seed (`changes`): flipped bits, cuts, lengths that promise too much, nesting without end. A failure names decoder
//! and bytes; put those into the corpus to keep them. Replay: cargo test -p hospes-tests --test hostile mutations::

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::changes;
use crate::decoders::{DECODERS, Decoder, Outcome};
use crate::heap::{alone, peak_of};
use crate::seeds::{corpus, kept, seeds};

/// Memory that a reader may take for each byte that it was given: a list of empty byte strings takes 24 bytes for
/// one, and a buffer that grows counts one and a half times more.
const BYTES_PER_BYTE: usize = 96;
/// Memory that a reader may take whatever it was given, in bytes: tables, a packet's secrets.
const BYTES_ALWAYS: usize = 1536 * 1024;

/// What is wrong with how a decoder took these bytes.
fn fault(decoder: &Decoder, bytes: &[u8]) -> Option<String> {
    let (taken, peak) = peak_of(|| catch_unwind(AssertUnwindSafe(|| (decoder.run)(bytes))));
    let bound = BYTES_ALWAYS + BYTES_PER_BYTE * bytes.len();
    match taken {
        Err(_) => Some("it panics".into()),
        Ok(Outcome::Read(Some(again))) if again != bytes => Some("what was read has other bytes".into()),
        Ok(_) if peak > bound => Some(format!("it takes {peak} bytes of memory, more than {bound}")),
        Ok(_) => None,
    }
}

/// Fails with what is wrong, and with the input to keep.
#[track_caller]
fn assert_sound(decoder: &Decoder, bytes: &[u8]) {
    if let Some(fault) = fault(decoder, bytes) {
        let shown = &bytes[..bytes.len().min(2000)];
        panic!("{}: {fault}; {} bytes: {}", decoder.name, bytes.len(), data_encoding::HEXLOWER.encode(shown));
    }
}

#[test]
fn the_kept_inputs_are_good_and_there_are_some_for_every_decoder() {
    let _alone = alone();
    if std::env::var_os("HOSPES_BLESS").is_some() {
        for (decoder, name, bytes) in seeds() {
            let folder = corpus().join(decoder);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(name.replace(' ', "-")), bytes).unwrap();
        }
    }
    for (decoder, name, bytes) in seeds() {
        let file = kept(decoder).into_iter().find(|(file, _)| *file == name.replace(' ', "-"));
        assert_eq!(
            file.map(|(_, kept)| kept),
            Some(bytes),
            "{decoder}/{name} is kept: run with HOSPES_BLESS=1"
        );
    }
    for decoder in DECODERS {
        let good =
            kept(decoder.name).iter().filter(|(_, bytes)| (decoder.run)(bytes) != Outcome::Refused).count();
        assert!(good > 0, "{} reads something that is kept", decoder.name);
    }
    for folder in std::fs::read_dir(corpus()).unwrap() {
        let name = folder.unwrap().file_name();
        let known = DECODERS.iter().any(|d| d.name == name) || name == "stream";
        assert!(known, "{} belongs to a decoder", name.to_string_lossy());
    }
}

#[test]
fn no_spoilt_input_panics_takes_much_memory_or_reads_as_something_else() {
    let _alone = alone();
    std::panic::set_hook(Box::new(|_| {}));
    let mut tried = 0_u64;
    for decoder in DECODERS {
        let inputs = kept(decoder.name);
        let all: Vec<_> = inputs.iter().map(|(_, bytes)| bytes.clone()).collect();
        for (number, (_, good)) in (0..).zip(&inputs) {
            assert_sound(decoder, good);
            changes::each(good, &all, number, |spoilt| {
                tried += 1;
                assert_sound(decoder, spoilt);
            });
        }
    }
    let _default = std::panic::take_hook();
    eprintln!("{tried} spoilt inputs to {} decoders", DECODERS.len());
    assert!(tried > 100_000, "as many as were meant: {tried}");
}

/// A decoder of a hundred lines of code would do the same to us as these do in one each.
#[test]
fn planted_faults_are_seen() {
    let _alone = alone();
    let good = kept("grant").remove(0).1;
    let faults = |run: fn(&[u8]) -> Outcome| {
        let (decoder, mut seen) = (Decoder { name: "planted", run }, Vec::new());
        std::panic::set_hook(Box::new(|_| {}));
        changes::each(&good, &[], 0, |spoilt| seen.extend(fault(&decoder, spoilt)));
        let _default = std::panic::take_hook();
        seen
    };
    let panics =
        faults(|bytes| if bytes.get(40) == Some(&0x7f) { panic!("planted") } else { Outcome::Refused });
    assert!(panics.iter().any(|f| f.contains("panics")), "one that panics at one value of one byte");
    let greedy = faults(|bytes| {
        let promised = bytes.windows(9).find(|w| w[0] == 0x9b).map_or(0, |w| usize::from(w[8]));
        drop(Vec::<[u8; 65536]>::with_capacity(promised));
        Outcome::Refused
    });
    assert!(greedy.iter().any(|f| f.contains("bytes of memory")), "one that believes a length");
    let lenient = faults(|bytes| Outcome::Read(Some(bytes.iter().map(|b| b & 0x7f).collect())));
    assert!(lenient.iter().any(|f| f.contains("other bytes")), "one that reads two forms as one value");
    let sound = faults(|_| Outcome::Refused);
    assert_eq!(sound, Vec::<String>::new(), "and a sound one isn't accused");
}
