//! `hospes doctor`: looks at this machine and at the node on it, and says what to do.
//!
//! It repairs only what cannot do harm: permissions of secret files, what a process that died has left, and
//! folders of readers that are not there.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::Global;
use super::answer::{Done, Exit, Outcome};
use super::place::address_file;
use super::show::text;
use crate::config::Config;
use crate::config::place::ReaderPlace;
use crate::init::{network, node_key};

/// Less free space than this is soon none: some hours of uploads.
const FREE_BYTES_MIN: u64 = 2 << 30;
/// How far the clock may be from the newest block's.
const SKEW_MS_MAX: u64 = hospes_protocol::limits::CLOCK_SKEW_MS_MAX;

/// Options of `doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Repair what can be repaired without harm.
    #[arg(long)]
    repair: bool,
}

/// One thing that was looked at.
struct Check {
    name: &'static str,
    finding: Finding,
    said: String,
    next: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Finding {
    Good,
    Warning,
    Bad,
}

impl Finding {
    const fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

fn good(name: &'static str, said: impl Into<String>) -> Check {
    Check { name, finding: Finding::Good, said: said.into(), next: String::new() }
}

fn bad(name: &'static str, said: impl Into<String>, next: impl Into<String>) -> Check {
    Check { name, finding: Finding::Bad, said: said.into(), next: next.into() }
}

fn warning(name: &'static str, said: impl Into<String>, next: impl Into<String>) -> Check {
    Check { finding: Finding::Warning, ..bad(name, said, next) }
}

/// `hospes doctor`.
pub(crate) fn run(global: &Global, args: &DoctorArgs) -> Outcome<Done> {
    let data_dir = global.folder()?;
    let mut checks = Vec::new();
    let config = global.config(Vec::new());
    checks.push(match &config {
        Ok(_) => good("configuration", "valid"),
        Err(failure) => bad("configuration", failure.message.clone(), failure.next.clone()),
    });
    checks.extend(folder(&data_dir, args.repair));
    checks.extend(data_dir.is_dir().then(|| space(&data_dir)));
    if let Ok(config) = &config {
        checks.extend(readers(config, args.repair));
    }
    checks.extend(node(global, &data_dir, args.repair));
    Ok(report(&checks))
}

fn report(checks: &[Check]) -> Done {
    use std::io::IsTerminal as _;
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut lines = Vec::new();
    for check in checks {
        let word = match (colours, check.finding) {
            (false, finding) => format!("{:<7}", finding.name()),
            (true, Finding::Good) => "\u{1b}[32mok     \u{1b}[0m".to_owned(),
            (true, Finding::Warning) => "\u{1b}[33mwarning\u{1b}[0m".to_owned(),
            (true, Finding::Bad) => "\u{1b}[31mbad    \u{1b}[0m".to_owned(),
        };
        lines.push(format!("{word}  {:<14} {}", check.name, check.said));
        if !check.next.is_empty() {
            lines.push(format!("         next: {}", check.next));
        }
    }
    let one =
        |c: &Check| json!({"name": c.name, "finding": c.finding.name(), "said": c.said, "next": c.next});
    let ill = checks.iter().any(|c| c.finding == Finding::Bad);
    let data = json!({"healthy": !ill, "checks": checks.iter().map(one).collect::<Vec<_>>()});
    Done { data, text: lines.join("\n"), exit: ill.then_some(Exit::Failed) }
}

fn folder(data_dir: &Path, repair: bool) -> Vec<Check> {
    if !data_dir.is_dir() {
        let said = format!("{} is not there", data_dir.display());
        return vec![bad("data folder", said, "Make a node: hospes init --help")];
    }
    let mut checks = vec![good("data folder", data_dir.display().to_string())];
    let key = node_key::path(data_dir);
    checks.push(match std::fs::metadata(&key) {
        Err(e) => bad("node key", format!("{}: {e}", key.display()), "Make a node: hospes init --help"),
        Ok(meta) if meta.permissions().mode() & 0o077 == 0 => good("node key", "readable by its owner only"),
        Ok(_) if repair && close(&key) => good("node key", "was readable by others; repaired"),
        Ok(_) => bad("node key", "others can read it", "hospes doctor --repair, then renew the node"),
    });
    let genesis = network::path(data_dir);
    checks.push(match network::read_genesis(&genesis) {
        Ok(genesis) => good("genesis", format!("network {} ({})", genesis.network(), genesis.name)),
        Err(_) if !genesis.exists() => {
            bad("genesis", "this node is in no network yet", "hospes init --join GENESIS")
        }
        Err(error) => bad("genesis", error.to_string(), "Put the network's genesis file back: it is public."),
    });
    checks
}

fn close(path: &Path) -> bool {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).is_ok()
}

fn space(data_dir: &Path) -> Check {
    let Ok(stat) = rustix::fs::statvfs(data_dir) else {
        return warning("disk space", "cannot be asked for", "Look at it with df.");
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let said = format!("{} MiB free", free >> 20);
    if free < FREE_BYTES_MIN {
        return bad("disk space", said, "Free some space: a node on a full disk takes no more entries.");
    }
    good("disk space", said)
}

fn readers(config: &Config, repair: bool) -> Vec<Check> {
    if config.readers.is_empty() {
        return vec![warning("readers", "none is configured", "Set card.readers in hospes.toml.")];
    }
    let one = |place: &ReaderPlace| {
        let path = match place {
            ReaderPlace::Folder(path) => path,
            ReaderPlace::Pcsc(name) => return pcsc_reader(&config.pcscd, name),
        };
        if path.is_dir() {
            return good("reader", path.display().to_string());
        }
        if repair && std::fs::create_dir_all(path).is_ok() {
            return good("reader", format!("{} was not there; made", path.display()));
        }
        bad("reader", format!("{} is not there", path.display()), "Make the folder, or correct card.readers.")
    };
    config.readers.iter().map(one).collect()
}

/// Whether the smart card service has a reader of this name.
fn pcsc_reader(socket: &Path, name: &str) -> Check {
    match hospes_card::pcsc::reader_names(socket) {
        Ok(names) if names.iter().any(|one| one == name) => good("reader", name),
        Ok(names) if names.is_empty() => {
            bad("reader", format!("{name} is not there, nor any other"), "Plug it in.")
        }
        Ok(names) => {
            let said = format!("{name} is not there; these are: {}", names.join(", "));
            bad("reader", said, "Plug it in, or correct card.readers.")
        }
        Err(error) => bad("reader", error.to_string(), "Install pcscd and start it, or correct card.pcscd."),
    }
}

fn node(global: &Global, data_dir: &Path, repair: bool) -> Vec<Check> {
    let status = match global.client().and_then(|c| c.get("/status")) {
        Ok(status) => status,
        Err(failure) => return stopped(data_dir, &failure.message, repair),
    };
    let mut checks = vec![good("node", format!("runs version {}", text(&status, "version")))];
    checks.push(match text(&status, "state") {
        "ok" => good("ledger", format!("height {}", status["height"])),
        "storage-full" => bad(
            "ledger",
            "read-only: the disk is full",
            "Free some space on the node's disk; it goes on by itself within a minute.",
        ),
        "checkpoint-needed" => bad(
            "ledger",
            "no news for longer than the trust period",
            "Read height and block at a node that you trust, then: hospes org checkpoint HEIGHT BLOCK.",
        ),
        "no-quorum" => {
            bad("ledger", "too few validators answer", "Look at the other validators and the line.")
        }
        "lease-over" => {
            bad("ledger", "nothing new for too long: grants rest", "Restore the line to the others.")
        }
        other => warning("ledger", format!("state {other}"), "Wait; then look at the line to the others."),
    });
    let peers = status.get("peers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let here = peers.iter().filter(|p| p.get("connected") == Some(&Value::Bool(true))).count();
    checks.push(if here == 0 && !peers.is_empty() {
        bad(
            "peers",
            format!("none of {} is connected", peers.len()),
            "Check the line, the firewall and p2p.listen.",
        )
    } else {
        good("peers", format!("{here} of {} connected", peers.len()))
    });
    let skew = status.get("clock").and_then(|c| c.get("skew_ms")).and_then(Value::as_u64).unwrap_or(0);
    checks.push(if skew > SKEW_MS_MAX {
        bad("clock", format!("{skew} ms behind the ledger"), "Let NTP set the clock.")
    } else {
        good("clock", "in step with the ledger")
    });
    checks.extend(emergencies(&status));
    let warnings = status.get("warnings").and_then(Value::as_array).cloned().unwrap_or_default();
    checks.extend(warnings.iter().filter_map(Value::as_str).map(|w| warning("node", w, "")));
    checks
}

/// Whether break-glass could help the patients at home here.
fn emergencies(status: &Value) -> Option<Check> {
    let found = status.get("emergencies")?;
    let number = |key: &str| found.get(key).and_then(Value::as_u64).unwrap_or(0);
    let (patients, without) = (number("patients"), number("without_escrow"));
    let said = format!("{without} of {patients} patients have no working escrow");
    let keys = found.get("keys") == Some(&Value::Bool(true));
    Some(match (without, number("reviews_overdue")) {
        (0, 0) if patients == 0 => return None,
        (0, 0) => good("break-glass", format!("every one of {patients} patients has a working escrow")),
        (0, overdue) => warning(
            "break-glass",
            format!("{overdue} reviews are overdue"),
            "hospes breakglass list, then hospes breakglass review, by an auditor's card.",
        ),
        _ if keys => warning(
            "break-glass",
            said,
            "The next consent that each gives or withdraws makes one: call them in, the frail first.",
        ),
        _ => warning(
            "break-glass",
            said,
            "No committees hold the keys: hospes breakglass committee propose, for summary, full and ledger.",
        ),
    })
}

fn stopped(data_dir: &Path, message: &str, repair: bool) -> Vec<Check> {
    let mut checks = vec![warning("node", message, "Start it: hospes run")];
    let left = address_file(data_dir);
    if left.exists() && repair && std::fs::remove_file(&left).is_ok() {
        checks.push(good("leftovers", "what a node that died had left is removed"));
    }
    checks
}
