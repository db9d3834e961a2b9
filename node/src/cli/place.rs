//! Where things are: the data folder, its configuration, and the API of the node that runs there.

use std::path::{Path, PathBuf};

use super::Global;
use super::answer::{Exit, Failure, Outcome};
use super::client::Client;
use crate::config::{Config, ConfigError, Layers, Overrides, Setting};

/// The file in which a running node says where its API listens.
const ADDRESS_FILE: &str = "api.address";

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let next = match &error {
            ConfigError::UnknownKey { nearest, .. } => format!("Write `{nearest}`, or take the line out."),
            _ => "Correct it, then run `hospes config check`.".to_owned(),
        };
        Self::new(Exit::Failed, "config", error.to_string(), next)
    }
}

/// Where a running node says where its API listens.
pub(crate) fn address_file(data_dir: &Path) -> PathBuf {
    data_dir.join(ADDRESS_FILE)
}

/// The path from the root on: a card's folder is opened and then worked in by name.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl Global {
    /// The data folder.
    ///
    /// # Errors
    /// Without option, variable and home.
    pub(crate) fn folder(&self) -> Outcome<PathBuf> {
        let of = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let home = || of("HOME").map(|home| home.join(".local").join("share"));
        let default = || of("XDG_DATA_HOME").or_else(home).map(|base| base.join("hospes"));
        self.data_dir.clone().or_else(default).ok_or_else(|| {
            Failure::usage("there is no home folder for the node's files", "Name one with --data-dir.")
        })
    }

    /// All layers of the configuration, with this command line on top.
    ///
    /// # Errors
    /// A configuration that can't be read.
    pub(crate) fn layers(&self, more: Overrides) -> Outcome<Layers> {
        let mut overrides = more;
        overrides.extend(self.api.clone().map(|a| ("api.listen", Setting::Text(a))));
        let variable = |name: &str| std::env::var(name).ok();
        Ok(Layers::load(&self.folder()?, variable, overrides)?)
    }

    /// The configuration.
    ///
    /// # Errors
    /// A configuration that can't be read or is wrong.
    pub(crate) fn config(&self, more: Overrides) -> Outcome<Config> {
        Ok(self.layers(more)?.judge()?)
    }

    /// A client of the node: at `--api`, else where the node of the data folder says that it listens, else where
    /// it is configured to.
    ///
    /// # Errors
    /// A configuration that can't be read or is wrong.
    pub(crate) fn client(&self) -> Outcome<Client> {
        if let Some(api) = &self.api {
            return Ok(Client::new(api));
        }
        let said = self.folder().ok().and_then(|f| std::fs::read_to_string(address_file(&f)).ok());
        if let Some(address) = said.filter(|a| a.trim().parse::<std::net::SocketAddr>().is_ok()) {
            return Ok(Client::new(address.trim()));
        }
        Ok(Client::new(&self.config(Vec::new())?.api.to_string()))
    }
}
