//! Four hospitals, each a process with a folder of its own: founded, started, killed.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::api::{Api, PIN, text};

/// How many hospitals: one of them may fail.
pub(crate) const HOSPITALS: usize = 4;
/// A node that isn't ready by then won't be.
const READY_MAX: Duration = Duration::from_secs(30);
/// What comes by itself has come by then.
const PATIENCE: Duration = Duration::from_secs(90);

/// A hospital's node.
pub(crate) struct Hospital {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    p2p: String,
    api: Mutex<Option<String>>,
    child: Mutex<Option<Child>>,
}

/// All of them, and where they live.
pub(crate) struct Federation {
    pub(crate) hospitals: Vec<Hospital>,
    folder: TempDir,
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port())
}

impl Federation {
    /// Founds a network and starts every node.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("pin"), format!("{PIN}\n")).unwrap();
        let hospitals = (0..HOSPITALS).map(|i| Hospital::new(folder.path(), i)).collect();
        let federation = Self { hospitals, folder };
        federation.found();
        for hospital in &federation.hospitals {
            hospital.start(&[]).expect("a new node starts");
        }
        federation.settle();
        federation
    }

    fn found(&self) {
        for hospital in &self.hospitals {
            let card = format!("{}/reader/{}.card", hospital.name, hospital.name);
            let mut found = vec!["init", "--organization", &hospital.name, "--org-card", &card, "--new-card"];
            found.extend(["--pin-file", "pin", "--found-only", "--p2p", &hospital.p2p]);
            hospital.command(&found);
        }
        let foundings: Vec<_> = self.hospitals.iter().map(|h| format!("{}/founding.cbor", h.name)).collect();
        let mut combine = vec!["init", "--found"];
        combine.extend(foundings.iter().map(String::as_str));
        combine.extend(["--network", "crash", "--out", "genesis.cbor"]);
        self.hospitals[0].command(&combine);
        for hospital in &self.hospitals {
            hospital.command(&["init", "--join", "genesis.cbor"]);
        }
    }

    /// A file of the run.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits until all see each other, stand at one height, and nothing of theirs waits; gives how long that took.
    ///
    /// # Panics
    /// With what they say of themselves, if one stays behind.
    pub(crate) fn settle(&self) -> Duration {
        let begun = Instant::now();
        loop {
            let all: Vec<_> = self.hospitals.iter().map(Hospital::status).collect();
            let height = all[0].as_ref().map(|s| s["height"].clone());
            let level = all.iter().flatten().all(|s| {
                let peers = s["peers"].as_array().unwrap();
                let met = peers.iter().all(|p| p["connected"] == true);
                met && s["finality"]["pending_own"] == 0 && Some(&s["height"]) == height.as_ref()
            });
            if level && all.iter().all(Option::is_some) {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < PATIENCE, "a node stays behind: {}", told(&all));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn told(all: &[Option<Value>]) -> String {
    let of = |s: &Option<Value>| match s {
        Some(s) => format!(
            "height {} pending {} {} {}",
            s["height"], s["finality"]["pending_own"], s["state"], s["warnings"]
        ),
        None => "no answer".into(),
    };
    all.iter().map(of).collect::<Vec<_>>().join("; ")
}

impl Hospital {
    fn new(folder: &Path, i: usize) -> Self {
        let name = ["ash", "beech", "cedar", "dogwood"][i].to_owned();
        let dir = folder.join(&name);
        fs::create_dir_all(dir.join("reader")).unwrap();
        Self { name, dir, p2p: free_address(), api: Mutex::default(), child: Mutex::default() }
    }

    /// Starts it and waits until it answers; how long that took, or how the process ended.
    pub(crate) fn start(&self, variables: &[(&str, &str)]) -> Result<Duration, String> {
        let log = File::options().create(true).append(true).open(self.dir.join("log")).unwrap();
        let mut command = self.program(&["--data-dir"]);
        command.arg(&self.dir).args(["--api", "127.0.0.1:0", "run", "--p2p", &self.p2p]);
        command.env("HOSPES_CARD_READERS", self.dir.join("reader")).envs(variables.iter().copied());
        let begun = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let line = first_line(&mut child);
        *self.child.lock().unwrap() = Some(child);
        let ready: Option<Value> = line.and_then(|line| serde_json::from_str(&line).ok());
        let Some(ready) = ready.filter(|r| r["ready"] == true) else {
            return Err(self.end_of_log());
        };
        let api = text(&ready, "api").to_owned();
        while let Err(refused) = Api::new(&api).get("/healthz") {
            if begun.elapsed() > READY_MAX {
                return Err(format!("{refused}: {}", self.end_of_log()));
            }
        }
        let took = begun.elapsed();
        *self.api.lock().unwrap() = Some(api);
        Ok(took)
    }

    /// Starts it without waiting.
    pub(crate) fn spawn(&self) {
        let mut command = self.program(&["--data-dir"]);
        command.arg(&self.dir).args(["--api", "127.0.0.1:0", "run", "--p2p", &self.p2p]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        *self.child.lock().unwrap() = Some(child);
    }

    /// SIGKILL, as power does it.
    pub(crate) fn kill(&self) {
        *self.api.lock().unwrap() = None;
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ended_before = child.kill();
            child.wait().unwrap();
        }
    }

    /// Its API, while it runs.
    pub(crate) fn api(&self) -> Option<Api> {
        self.api.lock().unwrap().as_deref().map(Api::new)
    }

    /// What it says of itself.
    pub(crate) fn status(&self) -> Option<Value> {
        self.api()?.get("/status").ok()
    }

    pub(crate) fn height(&self) -> u64 {
        self.status().and_then(|s| s["height"].as_u64()).unwrap_or_default()
    }

    /// A command in the folder of the run; its data.
    pub(crate) fn command(&self, arguments: &[&str]) -> Value {
        let mut command = self.program(&["--json", "--data-dir"]);
        let output = command.arg(&self.dir).args(arguments).output().unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        assert_eq!(said["ok"], true, "{}: {arguments:?}: {output:?}", self.name);
        said["data"].clone()
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hospes"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HOSPES_")) {
            command.env_remove(name);
        }
        let folder = self.dir.parent().unwrap();
        command.current_dir(folder).env("HOME", folder).args(arguments).stdin(Stdio::null());
        command
    }

    /// How the process ended, once it has.
    #[cfg(feature = "failpoints")]
    pub(crate) fn ended(&self) -> Option<std::process::ExitStatus> {
        self.child.lock().unwrap().as_mut().and_then(|child| child.try_wait().unwrap())
    }

    /// What it logged from this byte on.
    pub(crate) fn log_since(&self, from: usize) -> String {
        let log = fs::read(self.dir.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log[from..]).into_owned()
    }

    fn end_of_log(&self) -> String {
        let log = self.log_since(0);
        log.lines().rev().take(8).collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for Hospital {
    fn drop(&mut self) {
        self.kill();
    }
}

// The node prints one line; whatever comes after is read too, so that it never blocks.
fn first_line(child: &mut Child) -> Option<String> {
    let stdout = child.stdout.take()?;
    let (said, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stdout);
        let mut line = String::new();
        if reader.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            let _gone = said.send(line);
        }
        drop(said);
        let _end = reader.read_to_end(&mut Vec::new());
    });
    heard.recv_timeout(READY_MAX).ok()
}
