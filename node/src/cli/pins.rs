//! Where PINs come from: a prompt, `--pin-file` or `--pin-fd`. Never an argument or a variable.
//!
//! A file holds one line, the PIN of every card that is asked, or several lines `HOLDER-OR-SERIAL: PIN`.
//! What was read is wiped when it is dropped.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use hospes_card::Pin;
use zeroize::Zeroizing;

use super::answer::{Exit, Failure, Outcome};

/// A file of PINs in bytes, at most.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The options of every command that may ask for a PIN.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct PinArgs {
    /// File with the PIN, or with lines `HOLDER-OR-SERIAL: PIN`.
    #[arg(long, value_name = "FILE", conflicts_with = "pin_fd")]
    pub(crate) pin_file: Option<PathBuf>,
    /// Open file descriptor from which the same is read.
    #[arg(long, value_name = "N")]
    pub(crate) pin_fd: Option<u32>,
}

type Secret = Zeroizing<String>;

/// Where PINs come from.
pub(crate) enum Pins {
    /// The person at the terminal.
    Prompt,
    /// One for every card.
    One(Secret),
    /// By holder or serial.
    Named(BTreeMap<String, Secret>),
}

impl std::fmt::Debug for Pins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pins(redacted)")
    }
}

impl PinArgs {
    /// Reads what the options name.
    ///
    /// # Errors
    /// A file that can't be read, or has no PIN.
    pub(crate) fn open(&self) -> Outcome<Pins> {
        let path = match (&self.pin_file, self.pin_fd) {
            (Some(path), _) => path.clone(),
            // The kernel's name for what is open already; so no raw descriptor is taken over.
            (None, Some(fd)) => PathBuf::from(format!("/proc/self/fd/{fd}")),
            (None, None) => return Ok(Pins::Prompt),
        };
        let mut text = Secret::default();
        let file = std::fs::File::open(&path).map_err(|e| Failure::file(&path, &e))?;
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|e| Failure::file(&path, &e))?;
        Pins::parse(&text).ok_or_else(|| {
            let next = "Write the PIN on its only line, or lines `HOLDER-OR-SERIAL: PIN`.";
            Failure::usage(format!("{}: there is no PIN in it", path.display()), next)
        })
    }
}

impl Pins {
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        // A PIN has no space, so only a named line has a colon before one.
        if let [only] = lines[..]
            && !only.contains(": ")
        {
            return Some(Self::One(Zeroizing::new(only.to_owned())));
        }
        let one = |line: &&str| {
            let (name, pin) = line.rsplit_once(": ")?;
            Some((name.trim().to_owned(), Zeroizing::new(pin.trim().to_owned())))
        };
        let named: BTreeMap<_, _> = lines.iter().map(one).collect::<Option<_>>()?;
        (!named.is_empty()).then_some(Self::Named(named))
    }

    /// Whether a wrong PIN may be asked for again.
    pub(crate) fn can_ask_again(&self) -> bool {
        matches!(self, Self::Prompt)
    }

    /// The PIN of a card that goes by any of these names, the first of which is shown.
    ///
    /// # Errors
    /// No terminal, no line for the card, or no PIN by its form.
    pub(crate) fn of(&self, names: &[&str]) -> Outcome<Zeroizing<String>> {
        let shown = names.first().copied().unwrap_or("the card");
        let pin = match self {
            Self::One(pin) => pin.clone(),
            Self::Named(all) => names.iter().find_map(|n| all.get(*n)).cloned().ok_or_else(|| {
                let next = format!("Add a line `{shown}: PIN` to the file.");
                Failure::usage(format!("the PIN file has no PIN for {shown}"), next)
            })?,
            Self::Prompt => ask(&format!("PIN of {shown}: "))?,
        };
        match Pin::new(&pin) {
            Ok(_) => Ok(pin),
            Err(form) => Err(Failure::new(Exit::Failed, "pin-form", form.to_string(), "Type it again.")),
        }
    }
}

/// Asks for a secret on the terminal.
///
/// # Errors
/// Without a terminal.
pub(crate) fn ask(question: &str) -> Outcome<Zeroizing<String>> {
    if !std::io::stderr().is_terminal() {
        let next = "Give --pin-file FILE or --pin-fd N.";
        return Err(Failure::usage("a PIN is needed and there is no terminal to ask on", next));
    }
    let typed = rpassword::prompt_password(question);
    typed.map(Zeroizing::new).map_err(|e| match e.kind() {
        std::io::ErrorKind::Interrupted => Failure::new(
            Exit::Failed,
            "interrupted",
            "it was interrupted; nothing was done",
            "Begin it again.",
        ),
        _ => Failure::usage(format!("the terminal gave no PIN: {e}"), "Give --pin-file FILE or --pin-fd N."),
    })
}

/// The first line of a file, as a passphrase.
///
/// # Errors
/// A file that can't be read, or is empty.
pub(crate) fn passphrase(path: &Path) -> Outcome<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    let file = std::fs::File::open(path).map_err(|e| Failure::file(path, &e))?;
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(|e| Failure::file(path, &e))?;
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default().trim_ascii();
    if line.is_empty() {
        let message = format!("{}: the passphrase is empty", path.display());
        return Err(Failure::usage(message, "Write the passphrase on its first line."));
    }
    Ok(Zeroizing::new(line.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_serves_every_card_and_named_lines_theirs() {
        let one = Pins::parse("271828\n").unwrap();
        assert_eq!(&*one.of(&["Ada"]).unwrap(), "271828", "any card");
        let named = Pins::parse("Dr. B: C: 123456\n00ff: 654321\n").unwrap();
        assert_eq!(&*named.of(&["Dr. B: C"]).unwrap(), "123456", "by holder, whatever is in the name");
        assert_eq!(&*named.of(&["Ada", "00ff"]).unwrap(), "654321", "by serial");
        assert_eq!(named.of(&["Eve"]).unwrap_err().exit, Exit::Usage, "nobody else");
        assert!(!named.can_ask_again(), "a file gives a wrong PIN only once");
    }

    #[test]
    fn what_is_no_file_of_pins_is_refused() {
        for text in ["", "\n\n", "123456\n654321\n"] {
            assert!(Pins::parse(text).is_none(), "{text:?}");
        }
        assert!(Pins::parse("12").unwrap().of(&["Ada"]).is_err(), "too short for a PIN");
        assert_eq!(format!("{:?}", Pins::parse("271828")), "Some(Pins(redacted))", "never shown");
    }

    #[test]
    fn a_passphrase_is_a_files_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        std::fs::write(&path, "correct horse \nmore\n").unwrap();
        assert_eq!(&**passphrase(&path).unwrap(), b"correct horse", "without spaces around it");
        std::fs::write(&path, "\n").unwrap();
        assert!(passphrase(&path).is_err(), "an empty one");
    }
}
