//! Cards over PC/SC: what signing and opening take beyond the card's own time, from the PIN to the reset that ends the
//! session: our code, `pcscd` and its socket.
//!
//! The card and the daemon are those of the tests (`virtual-card` beside the folder of peers), built and run as a child
//! process: nothing of them is in this program. The card says how long it took itself.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hospes_card::pcsc::PcscReader;
use hospes_card::smart::{SmartCard, SmartCardSpec};
use hospes_card::soft::Profile;
use hospes_card::{Card as _, CardEvent, HolderKind, Pin, Puk, Reader as _, Slot};
use hospes_protocol::keys::{AgreementKey, KeyError};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::Size;
use super::row::{Failed, Goal, Row, failed, quantile};

/// How often each is done; the median counts.
const ROUNDS: usize = 101;
/// What we may add to the card's own time, in milliseconds.
const ADDED_MS: f64 = 0.3;
/// How long a card may take to be noticed.
const NOTICED: Duration = Duration::from_secs(20);

/// Readers with virtual cards behind a `pcscd` of their own, until this is dropped.
pub(super) struct Tray {
    child: Child,
    program: PathBuf,
    folder: tempfile::TempDir,
    pub(super) socket: PathBuf,
    pub(super) readers: Vec<Place>,
}

/// One reader: where it takes orders, and its name.
pub(super) struct Place {
    control: PathBuf,
    pub(super) name: String,
}

impl Tray {
    /// Starts so many readers, each with a card from the factory; or says why there are none.
    pub(super) fn serve(peers: &Path, readers: usize) -> Result<Result<Self, String>, Failed> {
        let program = peers.join("../virtual-card/Cargo.toml");
        if !program.exists() {
            return Ok(Err(format!("{} is not there", program.display())));
        }
        let mut command = built(&program);
        command.args(["serve", &readers.to_string(), "Hospes Bench Reader"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(failed)?;
        let (socket, folder) = (PathBuf::new(), tempfile::tempdir().map_err(failed)?);
        let mut tray = Self { child, program, folder, socket, readers: Vec::new() };
        if !tray.hear()? {
            let mut why = String::new();
            tray.child.stderr.take().map(|mut s| s.read_to_string(&mut why)).transpose().map_err(failed)?;
            return Ok(Err(why.lines().last().unwrap_or("it ended").to_owned()));
        }
        (0..readers).try_for_each(|reader| tray.insert(reader))?;
        Ok(Ok(tray))
    }

    /// Takes what the program says of socket and readers; whether it came up.
    fn hear(&mut self) -> Result<bool, Failed> {
        let stdout = self.child.stdout.take().ok_or_else(|| failed("no standard output"))?;
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(failed)?;
            let mut words = line.splitn(3, ' ');
            match (words.next(), words.next(), words.next()) {
                (Some("socket"), Some(socket), None) => self.socket = socket.into(),
                (Some("reader"), Some(control), Some(name)) => {
                    self.readers
                        .push(Place { control: Path::new(control).join("control"), name: name.into() });
                }
                (Some("ready"), ..) => return Ok(true),
                _ => {}
            }
        }
        Ok(false)
    }

    fn insert(&self, reader: usize) -> Result<(), Failed> {
        let card = self.folder.path().join(format!("{reader}.json"));
        let card = card.display().to_string();
        let made = built(&self.program).args(["new", &card, "5.7.1", &reader.to_string()]).output();
        let made = made.map_err(failed)?;
        if !made.status.success() {
            return Err(failed(String::from_utf8_lossy(&made.stderr).trim()));
        }
        self.ask(reader, &format!("insert {card}")).map(drop)
    }

    /// Says one line to a reader and hears one.
    pub(super) fn ask(&self, reader: usize, line: &str) -> Result<String, Failed> {
        let mut stream = UnixStream::connect(&self.readers[reader].control).map_err(failed)?;
        stream.write_all(format!("{line}\n").as_bytes()).map_err(failed)?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).map_err(failed)?;
        let said = answer.trim().strip_prefix("ok").ok_or_else(|| failed(format!("{line}: {answer}")))?;
        Ok(said.trim().to_owned())
    }

    /// How long the card in a reader took itself, since its delay was set.
    pub(super) fn spent(&self, reader: usize) -> Result<Duration, Failed> {
        Ok(Duration::from_micros(self.ask(reader, "spent")?.parse().map_err(failed)?))
    }
}

impl Drop for Tray {
    fn drop(&mut self) {
        // It ends with its standard input.
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
    }
}

fn built(manifest: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.args(["run", "--locked", "--quiet", "--manifest-path"]).arg(manifest).arg("--");
    command
}

pub(super) fn run(peers: &Path, _: Size) -> Result<Vec<Row>, Failed> {
    let tray = match Tray::serve(peers, 1)? {
        Ok(tray) => tray,
        Err(why) => return Ok(["card-sign", "card-open"].map(|id| Row::absent(id, why.clone())).into()),
    };
    let (mut card, pin, own) = enrolled(&tray)?;
    // Long enough to be a card's, short enough for a hundred rounds.
    tray.ask(0, "faults delay=5")?;
    let signed = added(&tray, || {
        card.verify_pin(&pin)?;
        card.sign(Slot::Signature, b"what was shown")?;
        card.logout();
        Ok(())
    })?;
    let opened = added(&tray, || {
        card.verify_pin(&pin)?;
        card.agree(&own)?;
        card.logout();
        Ok(())
    })?;
    let row = |id, added| Row::new(id, added, ADDED_MS, "ms", &Goal::AtMost(1.0));
    Ok(vec![row("card-sign", signed), row("card-open", opened)])
}

/// The card in the first reader, made a practitioner's, its PIN, and a key with which it can agree: its own.
fn enrolled(tray: &Tray) -> Result<(SmartCard, Pin, AgreementKey), Failed> {
    let mut reader = PcscReader::new(&tray.socket, &tray.readers[0].name);
    let (end, noticed) =
        (Instant::now() + NOTICED, |event: &CardEvent| !matches!(event, CardEvent::Removed(_)));
    while !reader.poll().unwrap_or_default().iter().any(noticed) {
        if Instant::now() > end {
            return Err(failed("pcscd did not notice the card"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (pin, puk) = (Pin::new("273941").map_err(failed)?, Puk::generate(&mut rng));
    let spec = SmartCardSpec {
        profile: Profile::P256,
        holder_kind: HolderKind::Practitioner,
        holder_label: None,
        network: None,
        home_organization: None,
    };
    let mut card = reader.handle();
    let info = card.enrol(&spec, &pin, &puk, &mut rng).map_err(failed)?;
    Ok((card, pin, info.key_management.ok_or_else(|| failed("a card that agrees no keys"))?))
}

/// Median milliseconds that an act takes beyond what the card took.
fn added(tray: &Tray, mut act: impl FnMut() -> Result<(), KeyError>) -> Result<f64, Failed> {
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        let (before, since) = (tray.spent(0)?, Instant::now());
        act().map_err(failed)?;
        let took = since.elapsed();
        let own = tray.spent(0)?.saturating_sub(before);
        all.push(took.saturating_sub(own).as_secs_f64() * 1000.0);
    }
    Ok(quantile(&mut all, 0.5))
}
