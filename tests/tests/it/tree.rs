//! The repository as the tests see it: its tracked files and what Cargo says of its packages.
//!
//! Deliberately reads what git tracks, not the folder: build output and tools are not the project. Called by `tidy` and
//! `trace`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

/// A tracked file. The text is empty where it is not UTF-8.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn ends_with(&self, extension: &str) -> bool {
        self.path.ends_with(extension)
    }
}

/// The folder above this package.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All tracked files that exist.
pub(crate) static TRACKED: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let listed = output("git", &["ls-files", "-z"]);
    let paths = listed.split('\0').filter(|path| !path.is_empty());
    paths
        .filter_map(|path| {
            let bytes = std::fs::read(root().join(path)).ok()?;
            Some(Source { path: path.to_owned(), text: String::from_utf8(bytes).unwrap_or_default() })
        })
        .collect()
});

/// What `cargo metadata` prints, for all platforms.
pub(crate) static METADATA: LazyLock<Value> = LazyLock::new(|| {
    let text = output(env!("CARGO"), &["metadata", "--locked", "--format-version", "1"]);
    serde_json::from_str(&text).unwrap()
});

/// What is built on any platform, tests apart: one `name version` in each line, some more than once.
pub(crate) static BUILT: LazyLock<String> = LazyLock::new(|| {
    let of =
        ["tree", "--locked", "--workspace", "--target", "all", "--edges", "normal,build", "--prefix", "none"];
    output(env!("CARGO"), &of)
});

/// One file of the repository.
pub(crate) fn file(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let done = Command::new(program).args(arguments).current_dir(root()).output().unwrap();
    assert!(done.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}
