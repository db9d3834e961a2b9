//! One node as a process: started, asked by command, stopped or killed, and its readers.
//!
//! What the node logs goes to a file in its folder. Nothing of it is read by the demo.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use super::failed::Failed;
use super::http::Client;
use super::readers::Desk;
use super::tap::{needed, text, until};

/// A node that isn't ready by then won't be.
const READY_MAX: Duration = Duration::from_secs(30);
/// A node that hasn't ended by then is killed.
const END_MAX: Duration = Duration::from_secs(8);

/// A node of the demo.
pub(crate) struct Node {
    /// The organization's name.
    pub(crate) name: &'static str,
    /// Its data folder.
    pub(crate) dir: PathBuf,
    /// Where peers reach it.
    pub(crate) p2p: SocketAddr,
    /// Peers that it is told of beyond the ledger, as multiaddresses.
    pub(crate) bootstrap: Vec<String>,
    /// Its libp2p name, once it has run.
    pub(crate) peer_id: String,
    /// Its card readers.
    pub(crate) desk: Desk,
    api: String,
    child: Option<Child>,
}

impl Node {
    /// A node in a folder of its own below `dir`, with a free port, and with these PC/SC readers or else a folder of soft
    /// cards; not started.
    pub(crate) fn new(
        dir: &Path,
        folder: &str,
        name: &'static str,
        desk: Option<Desk>,
    ) -> Result<Self, Failed> {
        let dir = dir.join(folder);
        let reader = dir.join("reader");
        fs::create_dir_all(&reader).map_err(Failed::wrong)?;
        let (p2p, bootstrap, desk) = (free_port()?, Vec::new(), desk.unwrap_or(Desk::Folder(reader)));
        Ok(Self { name, dir, p2p, bootstrap, peer_id: String::new(), desk, api: String::new(), child: None })
    }

    /// Its address for peers.
    pub(crate) fn multiaddr(&self) -> String {
        multiaddr(self.p2p)
    }

    /// Its API, for whoever isn't signed in.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.api)
    }

    /// Where its API listens.
    pub(crate) fn api(&self) -> &str {
        &self.api
    }

    /// Whether it was started and neither stopped nor killed.
    pub(crate) const fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Starts it and waits until it says that it is ready.
    ///
    /// # Errors
    /// [`Failed`] with the end of its log.
    pub(crate) fn start(&mut self) -> Result<(), Failed> {
        let log = File::options().create(true).append(true).open(self.log()).map_err(Failed::wrong)?;
        let mut command = Command::new(std::env::current_exe().map_err(Failed::wrong)?);
        command.arg("--data-dir").arg(&self.dir).args(["--api", "127.0.0.1:0"]);
        command.args(["run", "--p2p", &self.multiaddr()]);
        self.desk.configure(&mut command);
        if !self.bootstrap.is_empty() {
            command.env("HOSPES_P2P_BOOTSTRAP", self.bootstrap.join(","));
        }
        let streams = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = streams.spawn().map_err(Failed::wrong)?;
        let ready = first_line(&mut child);
        self.child = Some(child);
        let ready = ready.and_then(|line| serde_json::from_str::<Value>(&line).map_err(Failed::wrong));
        match ready {
            Ok(ready) => {
                self.api = needed(&ready, "api")?;
                self.peer_id = needed(&ready, "peer_id")?;
                Ok(())
            }
            Err(_) => {
                self.kill();
                Err(Failed::Wrong(format!("{} did not start: {}", self.name, self.end_of_log())))
            }
        }
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Errors
    /// [`Failed::Wrong`] if it had to be killed.
    pub(crate) fn stop(&mut self) -> Result<Duration, Failed> {
        let Some(mut child) = self.child.take() else { return Ok(Duration::ZERO) };
        terminate(&child);
        let ended =
            until(END_MAX, "a node that was asked to end", || child.try_wait().map_err(Failed::wrong));
        if ended.is_err() {
            end_for_good(&mut child);
        }
        ended.map(|(_, took)| took)
    }

    /// Ends it without asking, as a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            end_for_good(&mut child);
        }
    }

    /// Leaves it running when the demo ends.
    pub(crate) fn release(&mut self) {
        self.child = None;
    }

    /// Its status, as anyone on the machine may see it.
    pub(crate) fn status(&self) -> Result<Value, Failed> {
        Ok(self.client().get("/status")?)
    }

    /// The height of its newest certified block.
    pub(crate) fn height(&self) -> Result<u64, Failed> {
        Ok(self.status()?.get("height").and_then(Value::as_u64).unwrap_or_default())
    }

    /// How many peers are connected to it.
    pub(crate) fn peers(&self) -> Result<usize, Failed> {
        let status = self.status()?;
        let peers = status.get("peers").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(peers.iter().filter(|p| p.get("connected").and_then(Value::as_bool) == Some(true)).count())
    }

    /// A command of a user against this node: what it printed, or the error's code and text.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<Value, Failed> {
        let mut command = Command::new(std::env::current_exe().map_err(Failed::wrong)?);
        command.arg("--json").arg("--data-dir").arg(&self.dir);
        self.desk.configure(&mut command);
        if self.runs() {
            command.args(["--api", self.api.trim_start_matches("http://")]);
        }
        run(command.args(arguments))
    }

    fn log(&self) -> PathBuf {
        self.dir.join("node.log")
    }

    fn end_of_log(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(3).collect();
        last.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a command that answers by one JSON object.
///
/// # Errors
/// [`Failed::NotBuilt`] for a command that the program doesn't know, else [`Failed::Wrong`] with code and text.
fn run(command: &mut Command) -> Result<Value, Failed> {
    let output = command.stdin(Stdio::null()).output().map_err(Failed::wrong)?;
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let Ok(said) = serde_json::from_slice::<Value>(&output.stdout) else {
        let unknown = output.status.code() == Some(2);
        return Err(if unknown { Failed::NotBuilt(stderr) } else { Failed::Wrong(stderr) });
    };
    if said.get("ok").and_then(Value::as_bool) == Some(true) {
        return Ok(said.get("data").cloned().unwrap_or_default());
    }
    let error = said.get("error").cloned().unwrap_or_default();
    Err(Failed::Wrong(format!(
        "{}: {} {}",
        text(&error, "code"),
        text(&error, "message"),
        text(&error, "next")
    )))
}

/// The multiaddress of a TCP address.
pub(crate) fn multiaddr(address: SocketAddr) -> String {
    format!("/ip4/{}/tcp/{}", address.ip(), address.port())
}

fn free_port() -> Result<SocketAddr, Failed> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Failed::wrong)?;
    listener.local_addr().map_err(Failed::wrong)
}

// The node prints one line; whatever comes after is read too, so that it never blocks.
fn first_line(child: &mut Child) -> Result<String, Failed> {
    let stdout = child.stdout.take().ok_or_else(|| Failed::wrong("no standard output"))?;
    let (said, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stdout);
        let mut line = String::new();
        let read = reader.read_line(&mut line);
        if read.is_ok_and(|bytes| bytes > 0) {
            let _gone = said.send(line);
        }
        let mut rest = [0; 1024];
        while reader.read(&mut rest).is_ok_and(|bytes| bytes > 0) {}
    });
    heard.recv_timeout(READY_MAX).map_err(Failed::wrong)
}

fn terminate(child: &Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        // It may have ended by itself.
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

fn end_for_good(child: &mut Child) {
    // Both fail only for a process that is gone.
    let _gone = child.kill();
    let _waited = child.wait();
}
