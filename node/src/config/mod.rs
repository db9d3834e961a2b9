//! Configuration: `hospes.toml`, the environment and the command line, and which of them won.
//!
//! Precedence: command line, environment, file, default. Unknown keys are errors that name the nearest
//! known one. Nothing here opens a socket or a store.

pub(crate) mod keys;
pub(crate) mod place;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hospes_net::{Multiaddr, PeerId};
use thiserror::Error;

use keys::{Form, KEYS, Key, find, nearest, variable};
use place::{NoPlace, ReaderPlace};

/// The file's name in the data folder.
pub(crate) const FILE: &str = "hospes.toml";
/// A configuration in bytes, at most.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// The page cache in MiB, at most: what a 64-bit machine of today can have.
const CACHE_MIB_MAX: u64 = 1 << 20;

/// What is wrong with a configuration.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    /// The file is there and can't be read.
    #[error("{path}: {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// No key of that name.
    #[error("{origin}: unknown key `{key}`; the nearest is `{nearest}`")]
    UnknownKey {
        /// Where it stands.
        origin: Origin,
        /// As written.
        key: String,
        /// What may have been meant.
        nearest: &'static str,
    },
    /// Another kind of value.
    #[error("{origin}: `{key}` must be {wanted}")]
    WrongForm {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: &'static str,
        /// What it should be.
        wanted: String,
    },
}

/// Who set a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody.
    Default,
    /// The file.
    File(PathBuf),
    /// A variable.
    Environment(String),
    /// An option.
    CommandLine,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => path.display().fmt(f),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// Of [`Form::Text`].
    Text(String),
    /// Of [`Form::Texts`].
    Texts(Vec<String>),
    /// Of [`Form::Number`].
    Number(u64),
    /// Of [`Form::Switch`].
    Switch(bool),
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = match self {
            Self::Text(text) => toml::Value::from(text.as_str()),
            Self::Texts(list) => toml::Value::from(list.clone()),
            Self::Number(n) => return n.fmt(f),
            Self::Switch(on) => return on.fmt(f),
        };
        value.fmt(f)
    }
}

/// Every key with its value and who set it.
#[derive(Clone, Debug)]
pub(crate) struct Layers(pub(crate) BTreeMap<&'static str, (Setting, Origin)>);

/// Values of the command line, by key.
pub(crate) type Overrides = Vec<(&'static str, Setting)>;

/// Reads one TOML value as the key wants it.
pub(crate) fn read(key: &'static Key, value: &toml::Value) -> Result<Setting, String> {
    let wanted = || key.form.name().to_owned();
    let text = |v: &toml::Value| v.as_str().map(str::to_owned).ok_or_else(wanted);
    match key.form {
        Form::Text => text(value).map(Setting::Text),
        Form::Texts => {
            let list = value.as_array().ok_or_else(wanted)?;
            list.iter().map(text).collect::<Result<_, _>>().map(Setting::Texts)
        }
        Form::Number => {
            let number = value.as_integer().and_then(|n| u64::try_from(n).ok());
            number.map(Setting::Number).ok_or_else(wanted)
        }
        Form::Switch => value.as_bool().map(Setting::Switch).ok_or_else(wanted),
    }
}

fn read_variable(key: &'static Key, text: &str) -> Option<Setting> {
    let list = || text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect();
    match key.form {
        Form::Text => Some(Setting::Text(text.to_owned())),
        Form::Texts => Some(Setting::Texts(list())),
        Form::Number => text.parse().ok().map(Setting::Number),
        Form::Switch => text.parse().ok().map(Setting::Switch),
    }
}

impl Layers {
    /// All layers over one another. A missing file is an empty one.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing that is wrong.
    pub(crate) fn load(
        data_dir: &Path,
        environment: impl Fn(&str) -> Option<String>,
        overrides: Overrides,
    ) -> Result<Self, ConfigError> {
        let mut layers = Self::defaults();
        layers.file(&data_dir.join(FILE))?;
        layers.environment(environment)?;
        for (name, setting) in overrides {
            layers.0.insert(name, (setting, Origin::CommandLine));
        }
        Ok(layers)
    }

    fn defaults() -> Self {
        let one = |key: &'static Key| {
            let table: toml::Table = format!("x = {}", key.default)
                .parse()
                .expect("the table of keys holds TOML; a test reads it");
            let setting = read(key, &table["x"]).expect("of the key's form; a test reads it");
            (key.name, (setting, Origin::Default))
        };
        Self(KEYS.iter().map(one).collect())
    }

    fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let unreadable = |cause: String| ConfigError::Unreadable { path: path.to_owned(), cause };
        let size = match std::fs::metadata(path) {
            Ok(meta) => meta.len(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(unreadable(e.to_string())),
        };
        if size > FILE_BYTES_MAX {
            return Err(unreadable(format!("longer than {FILE_BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| unreadable(e.to_string()))?;
        self.table("", &table, &Origin::File(path.to_owned()))
    }

    fn table(&mut self, section: &str, table: &toml::Table, origin: &Origin) -> Result<(), ConfigError> {
        for (name, value) in table {
            let full = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
            match (find(&full), value) {
                (Some(key), value) => {
                    let wrong =
                        |wanted| ConfigError::WrongForm { origin: origin.clone(), key: key.name, wanted };
                    let setting = read(key, value).map_err(wrong)?;
                    self.0.insert(key.name, (setting, origin.clone()));
                }
                (None, toml::Value::Table(inner)) if section.is_empty() => self.table(name, inner, origin)?,
                (None, _) => {
                    let nearest = nearest(&full);
                    return Err(ConfigError::UnknownKey { origin: origin.clone(), key: full, nearest });
                }
            }
        }
        Ok(())
    }

    fn environment(&mut self, get: impl Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
        for key in KEYS {
            let name = variable(key.name);
            let Some(text) = get(&name) else { continue };
            let origin = Origin::Environment(name);
            let wanted = key.form.name().to_owned();
            let wrong = || ConfigError::WrongForm { origin: origin.clone(), key: key.name, wanted };
            let setting = read_variable(key, &text).ok_or_else(wrong)?;
            self.0.insert(key.name, (setting, origin));
        }
        Ok(())
    }

    fn text(&self, name: &str) -> &str {
        match self.0.get(name) {
            Some((Setting::Text(text), _)) => text,
            _ => "",
        }
    }

    fn texts(&self, name: &str) -> &[String] {
        match self.0.get(name) {
            Some((Setting::Texts(list), _)) => list,
            _ => &[],
        }
    }

    fn wrong(&self, key: &'static str, wanted: impl Into<String>) -> ConfigError {
        let origin = self.0.get(key).map_or(Origin::Default, |(_, origin)| origin.clone());
        ConfigError::WrongForm { origin, key, wanted: wanted.into() }
    }

    fn number(&self, name: &str) -> u64 {
        match self.0.get(name) {
            Some((Setting::Number(n), _)) => *n,
            _ => 0,
        }
    }

    fn multiaddrs(&self, key: &'static str) -> Result<Vec<Multiaddr>, ConfigError> {
        let one = |text: &String| {
            text.parse()
                .map_err(|_| self.wrong(key, format!("multiaddresses such as {EXAMPLE}, not `{text}`")))
        };
        self.texts(key).iter().map(one).collect()
    }

    fn readers(&self) -> Result<Vec<ReaderPlace>, ConfigError> {
        let wrong = |text: &str, no| self.wrong("card.readers", format!("{no}, not `{text}`"));
        let read = |text: &String| text.parse().map_err(|no: NoPlace| wrong(text, no));
        self.texts("card.readers").iter().map(read).collect()
    }

    fn bootstrap(&self) -> Result<BTreeMap<PeerId, Vec<Multiaddr>>, ConfigError> {
        let mut peers: BTreeMap<PeerId, Vec<Multiaddr>> = BTreeMap::new();
        for text in self.texts("p2p.bootstrap") {
            let wrong = || self.wrong("p2p.bootstrap", format!("{EXAMPLE}/p2p/PEER, not `{text}`"));
            let (address, peer) = text.rsplit_once("/p2p/").ok_or_else(wrong)?;
            let address = address.parse().map_err(|_| wrong())?;
            peers.entry(peer.parse().map_err(|_| wrong())?).or_default().push(address);
        }
        Ok(peers)
    }

    /// The values, judged.
    ///
    /// # Errors
    /// [`ConfigError::WrongForm`].
    pub(crate) fn judge(&self) -> Result<Config, ConfigError> {
        let api: SocketAddr = self
            .text("api.listen")
            .parse()
            .map_err(|_| self.wrong("api.listen", "an address and port such as 127.0.0.1:7171"))?;
        if !api.ip().is_loopback() {
            return Err(self.wrong("api.listen", "a loopback address: anything else needs TLS"));
        }
        let json = match self.text("log.format") {
            "text" => false,
            "json" => true,
            _ => return Err(self.wrong("log.format", "`text` or `json`")),
        };
        let cache = self.number("store.cache_mib");
        if !(4..=CACHE_MIB_MAX).contains(&cache) {
            return Err(self.wrong("store.cache_mib", format!("from 4 to {CACHE_MIB_MAX}")));
        }
        let level = self.text("log.level");
        if level.parse::<tracing_subscriber::EnvFilter>().is_err() {
            return Err(self.wrong("log.level", "a level or a filter such as hospes=debug"));
        }
        Ok(Config {
            api,
            p2p: self.multiaddrs("p2p.listen")?,
            bootstrap: self.bootstrap()?,
            readers: self.readers()?,
            pcscd: PathBuf::from(self.text("card.pcscd")),
            makers: self.texts("card.makers").iter().map(PathBuf::from).collect(),
            passphrase_file: Some(self.text("node.passphrase_file"))
                .filter(|t| !t.is_empty())
                .map(PathBuf::from),
            emergency: matches!(self.0.get("node.emergency"), Some((Setting::Switch(true), _))),
            cache_mib: usize::try_from(cache).unwrap_or(usize::MAX),
            log_json: json,
            log_level: level.to_owned(),
        })
    }
}

/// An address as it should be.
const EXAMPLE: &str = "/ip4/192.0.2.1/tcp/7172";

/// A node's configuration.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Where the API listens.
    pub(crate) api: SocketAddr,
    /// Where peers reach the node.
    pub(crate) p2p: Vec<Multiaddr>,
    /// Peers that are dialled and admitted whatever the ledger says.
    pub(crate) bootstrap: BTreeMap<PeerId, Vec<Multiaddr>>,
    /// Where cards come in.
    pub(crate) readers: Vec<ReaderPlace>,
    /// The socket of the smart card service.
    pub(crate) pcscd: PathBuf,
    /// Certificates of makers whose word for a card counts, beside those that are built in.
    pub(crate) makers: Vec<PathBuf>,
    /// Opens the node key.
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Whether a new node entry asks for emergency summaries.
    pub(crate) emergency: bool,
    /// Page cache, in MiB.
    pub(crate) cache_mib: usize,
    /// Whether logs are JSON.
    pub(crate) log_json: bool,
    /// Which logs.
    pub(crate) log_level: String,
}

#[cfg(test)]
mod tests;
