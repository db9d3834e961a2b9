//! The C interface that `pcscd` calls: an IFD handler 3.0 (`ifdhandler.h` of pcsc-lite). The only unsafe code of the
//! project. Decides nothing: every function finds its reader and hands on.
//!
//! `DWORD` is `unsigned long`, as pcsc-lite has it on Linux. `pcscd` holds a lock per reader around these calls.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_long, c_ulong};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::slot::{Exchange, Slot};

type Dword = c_ulong;
type Code = c_long;

const SUCCESS: Code = 0;
const ERROR_TAG: Code = 600;
const COMMUNICATION_ERROR: Code = 612;
const NOT_SUPPORTED: Code = 614;
const ICC_PRESENT: Code = 615;
const ICC_NOT_PRESENT: Code = 616;
const NO_SUCH_DEVICE: Code = 617;
const INSUFFICIENT_BUFFER: Code = 618;

const POWER_UP: Dword = 500;
const POWER_DOWN: Dword = 501;
const RESET: Dword = 502;

const TAG_ATR: Dword = 0x0303;
const TAG_SLOTS: Dword = 0x0FAE;
const TAG_SIMULTANEOUS: Dword = 0x0FAF;
const TAG_THREAD_SAFE: Dword = 0x0FAD;

/// Readers that one process of `pcscd` takes (PCSCLITE_MAX_READERS_CONTEXTS).
const READERS_MAX: u8 = 16;

/// SCARD_CTL_CODE(3400): which features the reader has (PC/SC part 10, 2.2).
const GET_FEATURES: Dword = 0x4200_0000 + 3400;
const FEATURE_VERIFY_PIN_DIRECT: u8 = 6;
/// Our number for that feature.
const VERIFY_PIN: u32 = 0x4200_0000 + 3500;
/// Where the command begins in a PIN_VERIFY_STRUCTURE (PC/SC part 10, 2.5.2).
const VERIFY_COMMAND_AT: usize = 19;

/// SCARD_IO_HEADER.
#[repr(C)]
pub(crate) struct IoHeader {
    protocol: Dword,
    length: Dword,
}

static READERS: Mutex<BTreeMap<Dword, Slot>> = Mutex::new(BTreeMap::new());

fn readers() -> MutexGuard<'static, BTreeMap<Dword, Slot>> {
    READERS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reader(lun: Dword) -> Option<Slot> {
    readers().get(&lun).cloned()
}

/// Copies an answer to where C wants it.
///
/// # Safety
/// `into` points to `room` bytes that may be written, and `count` to a number.
unsafe fn give(answer: &[u8], into: *mut u8, room: usize, count: *mut Dword) -> Code {
    if into.is_null() || count.is_null() || answer.len() > room {
        return INSUFFICIENT_BUFFER;
    }
    // SAFETY: checked against null and room above; the caller vouches for the rest, and the two don't overlap, since
    // `answer` is memory of ours.
    unsafe {
        std::ptr::copy_nonoverlapping(answer.as_ptr(), into, answer.len());
        *count = answer.len() as Dword;
    }
    SUCCESS
}

/// The bytes that C gives.
///
/// # Safety
/// `from` points to `count` bytes that stay as they are during the call.
unsafe fn taken<'a>(from: *const u8, count: Dword) -> &'a [u8] {
    match usize::try_from(count) {
        // SAFETY: the caller vouches for it.
        Ok(count) if !from.is_null() => unsafe { std::slice::from_raw_parts(from, count) },
        _ => &[],
    }
}

/// Opens the reader whose folder is its device name.
///
/// # Safety
/// `name` is a C string.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn IFDHCreateChannelByName(lun: Dword, name: *const c_char) -> Code {
    if name.is_null() {
        return COMMUNICATION_ERROR;
    }
    // SAFETY: not null; `pcscd` gives a C string.
    let name = unsafe { CStr::from_ptr(name) };
    let opened = name.to_str().ok().and_then(|folder| Slot::open(Path::new(folder)).ok());
    let Some(slot) = opened else { return COMMUNICATION_ERROR };
    readers().insert(lun, slot);
    SUCCESS
}

/// Opens no reader: this one is found by its folder only.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn IFDHCreateChannel(_lun: Dword, _channel: Dword) -> Code {
    NO_SUCH_DEVICE
}

/// Closes a reader.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn IFDHCloseChannel(lun: Dword) -> Code {
    readers().remove(&lun);
    SUCCESS
}

/// Says what the reader is like.
///
/// # Safety
/// `value` points to `*length` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn IFDHGetCapabilities(
    lun: Dword,
    tag: Dword,
    length: *mut Dword,
    value: *mut u8,
) -> Code {
    let Some(slot) = reader(lun) else { return COMMUNICATION_ERROR };
    let answer = match tag {
        TAG_ATR => slot.atr(),
        TAG_SLOTS => vec![1],
        TAG_SIMULTANEOUS => vec![READERS_MAX],
        TAG_THREAD_SAFE => vec![1],
        _ => return ERROR_TAG,
    };
    if length.is_null() {
        return ERROR_TAG;
    }
    // SAFETY: not null; `pcscd` says there how much room `value` has.
    let room = usize::try_from(unsafe { *length }).unwrap_or_default();
    // SAFETY: `value` has that room.
    unsafe { give(&answer, value, room, length) }
}

/// Nothing can be set.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn IFDHSetCapabilities(
    _lun: Dword,
    _tag: Dword,
    _length: Dword,
    _value: *const u8,
) -> Code {
    NOT_SUPPORTED
}

/// Every protocol will do: nothing is on a wire.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn IFDHSetProtocolParameters(_: Dword, _: Dword, _: u8, _: u8, _: u8, _: u8) -> Code {
    SUCCESS
}

/// Power on, off, or a reset.
///
/// # Safety
/// `atr` has room for 33 bytes (MAX_ATR_SIZE), and `length` is a number.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn IFDHPowerICC(
    lun: Dword,
    action: Dword,
    atr: *mut u8,
    length: *mut Dword,
) -> Code {
    let Some(slot) = reader(lun) else { return COMMUNICATION_ERROR };
    let powered = slot.power(action != POWER_DOWN);
    match action {
        POWER_DOWN => SUCCESS,
        // SAFETY: as the caller promises.
        POWER_UP | RESET if powered => unsafe { give(&slot.atr(), atr, 33, length) },
        POWER_UP | RESET => COMMUNICATION_ERROR,
        _ => NOT_SUPPORTED,
    }
}

/// One command to the card.
///
/// # Safety
/// `tx` points to `tx_length` bytes, `rx` to `*rx_length` bytes that may be written.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn IFDHTransmitToICC(
    lun: Dword,
    _send: IoHeader,
    tx: *const u8,
    tx_length: Dword,
    rx: *mut u8,
    rx_length: *mut Dword,
    _receive: *mut IoHeader,
) -> Code {
    let Some(slot) = reader(lun) else { return COMMUNICATION_ERROR };
    if rx_length.is_null() {
        return INSUFFICIENT_BUFFER;
    }
    // SAFETY: not null, as the caller promises.
    let room = usize::try_from(unsafe { *rx_length }).unwrap_or_default();
    // SAFETY: as the caller promises.
    match slot.transmit(unsafe { taken(tx, tx_length) }) {
        // SAFETY: `rx` has that room.
        Exchange::Answered(answer) => unsafe { give(&answer, rx, room, rx_length) },
        Exchange::NoCard => {
            // SAFETY: not null.
            unsafe { *rx_length = 0 };
            if slot.is_unplugged() { NO_SUCH_DEVICE } else { COMMUNICATION_ERROR }
        }
    }
}

/// What is asked of the reader itself: its features, and a PIN by its keypad.
///
/// # Safety
/// `tx` points to `tx_length` bytes, `rx` to `rx_length` bytes that may be written, `returned` to a number.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn IFDHControl(
    lun: Dword,
    code: Dword,
    tx: *const u8,
    tx_length: Dword,
    rx: *mut u8,
    rx_length: Dword,
    returned: *mut Dword,
) -> Code {
    let Some(slot) = reader(lun) else { return COMMUNICATION_ERROR };
    let room = usize::try_from(rx_length).unwrap_or_default();
    let features = [&[FEATURE_VERIFY_PIN_DIRECT, 4], &VERIFY_PIN.to_be_bytes()[..]].concat();
    let answer = match code {
        GET_FEATURES if slot.has_pad() => features,
        GET_FEATURES => Vec::new(),
        code if code == Dword::from(VERIFY_PIN) && slot.has_pad() => {
            // SAFETY: as the caller promises.
            let asked = unsafe { taken(tx, tx_length) };
            match slot.verify_by_pad(asked.get(VERIFY_COMMAND_AT..).unwrap_or_default()) {
                Exchange::Answered(answer) => answer,
                Exchange::NoCard => return COMMUNICATION_ERROR,
            }
        }
        _ => return NOT_SUPPORTED,
    };
    // SAFETY: `rx` has that room.
    unsafe { give(&answer, rx, room, returned) }
}

/// Whether a card is in.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn IFDHICCPresence(lun: Dword) -> Code {
    match reader(lun) {
        Some(slot) if slot.is_unplugged() => NO_SUCH_DEVICE,
        Some(slot) if slot.presence() => ICC_PRESENT,
        Some(_) => ICC_NOT_PRESENT,
        None => COMMUNICATION_ERROR,
    }
}
