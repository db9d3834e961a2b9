//! Runs the program and reads what it says.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with a PIN file, and the program in it.
pub(crate) struct Desk {
    pub(crate) folder: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            code: output.status.code().unwrap(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// The one JSON object on stdout.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "one line: {self:?}");
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The data of a success.
    pub(crate) fn data(&self) -> Value {
        let said = self.json();
        assert_eq!((said["version"].as_u64(), said["ok"].as_bool()), (Some(1), Some(true)), "{self:?}");
        said["data"].clone()
    }

    /// The code of a failure, which says what to do.
    pub(crate) fn error(&self) -> String {
        let said = self.json();
        assert_eq!((said["version"].as_u64(), said["ok"].as_bool()), (Some(1), Some(false)), "{self:?}");
        assert!(
            said["error"]["next"].as_str().is_some_and(|n| !n.is_empty()),
            "it says what to do: {self:?}"
        );
        said["error"]["code"].as_str().unwrap().to_owned()
    }
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pin"), "271828\n").unwrap();
        std::fs::create_dir(folder.path().join("reader")).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hospes"));
        command.current_dir(self.folder.path()).args(arguments).stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HOSPES_")) {
            command.env_remove(name);
        }
        command.env("HOME", self.folder.path()).env_remove("XDG_DATA_HOME");
        command
    }

    /// Runs a command as it is.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(&self.command(arguments).output().unwrap())
    }

    /// Runs a command with `--json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Ended {
        self.run(&[&["--json"], arguments].concat())
    }

    /// Makes a soft card in a reader's folder.
    pub(crate) fn card(&self, file: &str, kind: &str, label: &str) {
        self.json(&["card", "create", file, "--kind", kind, "--label", label, "--pin-file", "pin"]).data();
    }

    /// A command at the node in the folder `name`, signed in by the card of `who`.
    pub(crate) fn at(&self, name: &str, who: &str, arguments: &[&str]) -> Ended {
        self.json(&[&["--data-dir", name], arguments, &["--card", who, "--pin-file", "pin"]].concat())
    }

    /// Waits until so many cards are in the readers of the node in the folder `name`.
    pub(crate) fn wait_for_cards(&self, name: &str, count: usize) {
        let here = || {
            let cards = self.json(&["--data-dir", name, "card", "list"]).data();
            cards["cards"].as_array().unwrap().len() == count
        };
        wait_until("the reader notices its cards", here);
    }

    /// Moves a card from one reader's folder to another's.
    pub(crate) fn carry(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// Founds a node in the folder `name`.
    pub(crate) fn found(&self, name: &str, more: &[&str]) -> Ended {
        let card = format!("reader/{name}.card");
        let listen = "/ip4/127.0.0.1/tcp/0";
        let base = ["--data-dir", name, "init", "--organization", name, "--org-card", &card, "--new-card"];
        self.json(&[&base, &["--pin-file", "pin", "--reader", "reader", "--p2p", listen][..], more].concat())
    }

    /// Starts the node in the folder `name`.
    pub(crate) fn start(&self, name: &str) -> Node {
        self.start_with(name, &[])
    }

    /// Starts the node in the folder `name` with these variables.
    pub(crate) fn start_with(&self, name: &str, variables: &[(&str, &str)]) -> Node {
        let mut command = self.command(&["--data-dir", name, "--api", "127.0.0.1:0", "run"]);
        command.envs(variables.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        Node { child, ready }
    }
}

/// Sends a signal to a process, by the shell: not every machine has kill as a program.
pub(crate) fn send(process: u32, signal: &str) {
    let line = format!("kill -s {signal} {process}");
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success(), "signal sent");
}

/// A node that runs.
pub(crate) struct Node {
    pub(crate) child: Child,
    pub(crate) ready: Value,
}

impl Node {
    /// Sends a signal and waits for the end; its code.
    pub(crate) fn end(mut self, signal: &str) -> i32 {
        send(self.child.id(), signal);
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(begun.elapsed() < Duration::from_secs(5), "it ends in under 5 s");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It has ended where the test went well.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// Waits for what comes by itself.
pub(crate) fn wait_until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
