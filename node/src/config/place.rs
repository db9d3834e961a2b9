//! Where a card reader is: a folder of soft cards, or a PC/SC reader by its name.

use std::path::{Path, PathBuf};

/// What stands before the name of a PC/SC reader in `card.readers`.
const PCSC: &str = "pcsc:";

/// A place for cards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReaderPlace {
    /// A folder of soft cards.
    Folder(PathBuf),
    /// A PC/SC reader, as `pcscd` names it.
    Pcsc(String),
}

/// Neither a folder nor a reader's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a folder of soft cards, or pcsc: and the name of a reader")]
pub(crate) struct NoPlace;

/// From the configuration or the command line: `pcsc:NAME`, or a folder.
impl std::str::FromStr for ReaderPlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        match text.strip_prefix(PCSC).map(str::trim) {
            Some("") => Err(NoPlace),
            Some(name) => Ok(Self::Pcsc(name.to_owned())),
            None => std::path::absolute(text).map(Self::Folder).map_err(|_| NoPlace),
        }
    }
}

impl ReaderPlace {
    /// What the reader is called.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Folder(path) => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
            Self::Pcsc(name) => name.clone(),
        }
    }

    /// The folder of soft cards.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(path) => Some(path),
            Self::Pcsc(_) => None,
        }
    }
}

/// As the configuration has it.
impl std::fmt::Display for ReaderPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Pcsc(name) => write!(f, "{PCSC}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_is_a_folder_or_has_a_name_in_the_smart_card_service() {
        let read = str::parse::<ReaderPlace>;
        let named = read("pcsc:Yubico YubiKey CCID 00 00");
        assert_eq!(named, Ok(ReaderPlace::Pcsc("Yubico YubiKey CCID 00 00".into())), "by its name");
        let folder = read("/var/cards").unwrap();
        assert_eq!(
            (folder.name().as_str(), folder.folder()),
            ("cards", Some(Path::new("/var/cards"))),
            "a folder"
        );
        for place in [named.unwrap(), folder] {
            assert_eq!(read(&place.to_string()), Ok(place), "it is written as it is read");
        }
        assert_eq!(read("pcsc: "), Err(NoPlace), "no name");
        assert_eq!(read(""), Err(NoPlace), "nothing");
    }
}
