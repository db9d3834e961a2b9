//! The keys of `hospes.toml`: name, type, default and meaning, in one table.
//!
//! Whoever adds a key adds it here, to [`super::Config`] and to `node/README.md`.

/// What a key's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A string.
    Text,
    /// A list of strings; in the environment separated by commas.
    Texts,
    /// A whole number, not negative.
    Number,
    /// Yes or no.
    Switch,
}

impl Form {
    /// For people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Texts => "a list of texts",
            Self::Number => "a number of 0 or more",
            Self::Switch => "true or false",
        }
    }
}

/// A key.
pub(crate) struct Key {
    /// Its name with its section: `p2p.listen`.
    pub(crate) name: &'static str,
    /// What its value is.
    pub(crate) form: Form,
    /// The default in TOML.
    pub(crate) default: &'static str,
    /// What it does.
    pub(crate) help: &'static str,
}

const fn key(name: &'static str, form: Form, default: &'static str, help: &'static str) -> Key {
    Key { name, form, default, help }
}

/// Every key.
pub(crate) const KEYS: &[Key] = &[
    key(
        "api.listen",
        Form::Text,
        "\"127.0.0.1:7171\"",
        "loopback address of the HTTP API; port 0 for a free one",
    ),
    key(
        "p2p.listen",
        Form::Texts,
        "[\"/ip4/0.0.0.0/tcp/7172\"]",
        "multiaddresses where peers reach this node",
    ),
    key(
        "p2p.bootstrap",
        Form::Texts,
        "[]",
        "multiaddresses of peers with /p2p/PEER, dialled and admitted always",
    ),
    key(
        "card.readers",
        Form::Texts,
        "[]",
        "folders that serve as readers of soft cards, and pcsc:NAME for readers of the smart card service",
    ),
    key("card.pcscd", Form::Text, "\"/run/pcscd/pcscd.comm\"", "socket of the smart card service, pcscd"),
    key(
        "card.makers",
        Form::Texts,
        "[]",
        "certificates (X.509, DER) of makers beside Yubico whose attestation of a card counts",
    ),
    key("node.passphrase_file", Form::Text, "\"\"", "file whose first line opens the sealed node key"),
    key("node.emergency", Form::Switch, "false", "asks to hold emergency summaries for the whole federation"),
    key("store.cache_mib", Form::Number, "64", "memory for the page cache of the stores, in MiB"),
    key("log.format", Form::Text, "\"text\"", "text or json, on stderr"),
    key(
        "log.level",
        Form::Text,
        "\"info,arc_malachitebft=warn\"",
        "error, warn, info, debug, trace, or a filter such as hospes=debug",
    ),
];

/// The key of this name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|k| k.name == name)
}

/// The key whose name is nearest to `name`.
pub(crate) fn nearest(name: &str) -> &'static str {
    KEYS.iter().map(|k| k.name).min_by_key(|k| distance(k, name)).unwrap_or("api.listen")
}

/// Insertions, deletions and changes of a letter that lead from one to the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// The variable of a key: `HOSPES_P2P_LISTEN`.
pub(crate) fn variable(name: &str) -> String {
    format!("HOSPES_{}", name.replace('.', "_").to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_key_finds_the_one_that_was_meant() {
        assert_eq!(nearest("p2p.listne"), "p2p.listen", "two letters swapped");
        assert_eq!(nearest("store.cache"), "store.cache_mib", "an end left out");
        assert_eq!(nearest("logs.level"), "log.level", "a section that is nearly right");
    }

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("kitten", "sitting"), 3, "the textbook's example");
        assert_eq!(distance("", "abc"), 3, "from nothing");
    }

    #[test]
    fn every_default_is_toml_of_its_form() {
        for key in KEYS {
            let table: toml::Table = format!("x = {}", key.default).parse().unwrap();
            assert!(super::super::read(key, &table["x"]).is_ok(), "{} has a default of its form", key.name);
        }
    }
}
