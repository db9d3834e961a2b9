//! `hospes record`: filing, listing, changing and getting records.

use std::fs::File;
use std::io::{IsTerminal as _, Read, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Global;
use super::acts::{CardArgs, Seat, list};
use super::answer::{Done, Failure, Outcome};
use super::client::{Client, Download, query, quoted};
use super::erasures::order;
use super::interrupt;
use super::show::{Progress, fields, text};
use crate::durable::{Draft, Readers};

/// Files up to this size are looked into for category and title.
const LOOK_BYTES_MAX: u64 = 64 << 20;

/// What of records.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum RecordCommand {
    /// File a record. What isn't said is proposed from the file.
    Add(AddArgs),
    /// A patient's records, as far as whoever signs in may read them.
    List {
        /// The patient's pseudonym.
        patient: String,
        /// Only this category.
        #[arg(long)]
        category: Option<String>,
        #[command(flatten)]
        card: CardArgs,
    },
    /// What a record says of itself.
    Show {
        /// The record.
        record: String,
        #[command(flatten)]
        card: CardArgs,
    },
    /// Change title, category or label of a record, by the cards of patient and practitioner in the readers.
    Amend(AmendArgs),
    /// Order that records are destroyed everywhere, by the cards of the patient and of who answers for them.
    Erase {
        /// The records.
        #[arg(required = true)]
        records: Vec<String>,
        #[command(flatten)]
        card: CardArgs,
    },
    /// The record's file, byte for byte. The patient sees that it was read.
    Get(GetArgs),
}

/// Options of `record add`.
#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// The patient's pseudonym.
    patient: String,
    /// The file.
    file: PathBuf,
    /// history-and-physical, laboratory, radiation-dose, imaging, medication, letters, emergency-summary or
    /// private-notes.
    #[arg(long)]
    category: Option<String>,
    /// normal, restricted or very-restricted.
    #[arg(long)]
    label: Option<String>,
    /// A short title.
    #[arg(long)]
    title: Option<String>,
    /// Media type (RFC 6838).
    #[arg(long, value_name = "TYPE")]
    media_type: Option<String>,
    /// The system that it comes from.
    #[arg(long)]
    source: Option<String>,
    /// Derive an emergency summary from it, in the same tap.
    #[arg(long)]
    summary: bool,
    #[command(flatten)]
    card: CardArgs,
}

/// Options of `record amend`.
#[derive(Debug, clap::Args)]
pub(crate) struct AmendArgs {
    /// The record.
    record: String,
    /// Another title.
    #[arg(long)]
    title: Option<String>,
    /// Another category.
    #[arg(long)]
    category: Option<String>,
    /// Another label. The patient raises it alone.
    #[arg(long, required_unless_present_any = ["title", "category"])]
    label: Option<String>,
    #[command(flatten)]
    card: CardArgs,
}

/// Options of `record get`.
#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    /// The record.
    record: String,
    /// Where to; stdout where absent. What is written there lies in plain.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// treatment, emergency-treatment, research, operations or patient-request.
    #[arg(long, conflicts_with = "study")]
    purpose: Option<String>,
    /// The study that it leaves for: takes a consent to share for that study.
    #[arg(long, value_name = "ID")]
    study: Option<String>,
    #[command(flatten)]
    card: CardArgs,
}

const RECORDS: &[(&str, &str)] = &[
    ("RECORD", "content"),
    ("CREATED", "created"),
    ("CATEGORY", "category"),
    ("LABEL", "label"),
    ("TITLE", "title"),
    ("BYTES", "size"),
    ("STATE", "finality.state"),
    ("HOLDERS", "finality.holders"),
];

/// `hospes record`.
pub(crate) fn run(global: &Global, command: &RecordCommand) -> Outcome<Done> {
    match command {
        RecordCommand::Add(args) => add(global, args),
        RecordCommand::List { patient, category, card } => {
            let query = query(&[("patient", Some(patient.clone())), ("category", category.clone())]);
            list(global, card, &format!("/records{query}"), "records", RECORDS)
        }
        RecordCommand::Show { record, card } => {
            let found = Seat::take(global, card)?.client().get(&format!("/records/{}", quoted(record)))?;
            let shown = fields(&found);
            Ok(Done::new(found, shown))
        }
        RecordCommand::Amend(args) => {
            let path = format!("/records/{}/amendments", quoted(&args.record));
            let body = json!({"title": args.title, "category": args.category, "label": args.label});
            Seat::take(global, &args.card)?.act(&path, &body)
        }
        RecordCommand::Erase { records, card } => order(global, card, records),
        RecordCommand::Get(args) => get(global, args),
    }
}

/// Hears how far a file was read.
struct Metered<'a> {
    file: &'a File,
    read: u64,
    progress: Progress,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.read += n as u64;
        self.progress.at(self.read);
        Ok(n)
    }
}

fn upload(client: &Client, path: &str, file: &Path) -> Outcome<Value> {
    let opened = File::open(file).map_err(|e| Failure::file(file, &e))?;
    let length = opened.metadata().ok().filter(std::fs::Metadata::is_file).map(|m| m.len());
    let mut body = Metered { file: &opened, read: 0, progress: Progress::bytes(length) };
    client.upload(path, "application/octet-stream", length, &mut body)
}

/// What the node proposes for the file; nothing where it is too large or of no known form.
fn proposed(seat: &Seat, args: &AddArgs) -> Outcome<Value> {
    let size = std::fs::metadata(&args.file).map_err(|e| Failure::file(&args.file, &e))?.len();
    let said =
        args.category.is_some() && args.label.is_some() && args.title.is_some() && args.media_type.is_some();
    if said || size > LOOK_BYTES_MAX {
        return Ok(Value::Null);
    }
    let name = args.file.file_name().map(|n| n.to_string_lossy().into_owned());
    let query = query(&[("file_name", name)]);
    match upload(seat.client(), &format!("/imports{query}"), &args.file) {
        Err(failure) if failure.code == "unreadable-file" => Ok(Value::Null),
        looked => looked,
    }
}

fn add(global: &Global, args: &AddArgs) -> Outcome<Done> {
    let seat = Seat::take(global, &args.card)?;
    let proposed = proposed(&seat, args)?;
    let or = |said: &Option<String>, key: &str| {
        said.clone().or_else(|| Some(text(&proposed, key).to_owned()).filter(|t| !t.is_empty()))
    };
    let missing = |option: &str| {
        let message = format!("the file does not say what {option} it is of");
        Failure::usage(message, format!("Give --{option}."))
    };
    let name = args.file.file_stem().map(|n| n.to_string_lossy().into_owned());
    let query = query(&[
        ("patient", Some(args.patient.clone())),
        ("category", Some(or(&args.category, "category").ok_or_else(|| missing("category"))?)),
        ("label", or(&args.label, "label")),
        ("title", or(&args.title, "title").or(name)),
        (
            "media_type",
            or(&args.media_type, "media_type").or_else(|| Some("application/octet-stream".into())),
        ),
        ("source", or(&args.source, "source")),
        ("derive_summary", args.summary.then(|| "true".to_owned())),
    ]);
    let tap = upload(seat.client(), &format!("/records{query}"), &args.file)?;
    seat.finish(&tap)
}

fn get(global: &Global, args: &GetArgs) -> Outcome<Done> {
    if args.out.is_none() && global.json {
        return Err(Failure::usage("with --json the file needs a place", "Give --out FILE."));
    }
    if args.out.is_none() && std::io::stdout().is_terminal() {
        return Err(Failure::usage(
            "a record is not written to a terminal",
            "Give --out FILE, or use a pipe.",
        ));
    }
    let seat = Seat::take(global, &args.card)?;
    let query = query(&[("purpose", args.purpose.clone()), ("study", args.study.clone())]);
    let download = seat.client().download(&format!("/records/{}/content{query}", quoted(&args.record)))?;
    let media_type = download.media_type.clone();
    let bytes = match &args.out {
        Some(path) => to_file(download, path)?,
        None => {
            let mut out = std::io::stdout().lock();
            let bytes = download.copy(&mut out, |_| ())?;
            out.flush().map_err(|e| Failure::file(Path::new("stdout"), &e))?;
            bytes
        }
    };
    let Some(path) = &args.out else { return Ok(Done::new(Value::Null, "")) };
    let data = json!({"record": args.record, "file": path, "bytes": bytes, "media_type": media_type});
    Ok(Done::new(data, format!("{}: {bytes} bytes, {media_type}; it lies there in plain", path.display())))
}

fn to_file(download: Download, path: &Path) -> Outcome<u64> {
    let failed = |e: std::io::Error| Failure::file(path, &e);
    let mut draft = Draft::begin(path, Readers::Owner).map_err(failed)?;
    let temporary = draft.temporary().to_owned();
    // Nothing more can be done about a file that does not go.
    let guard = interrupt::on_interrupt(move || drop(std::fs::remove_file(temporary)));
    let mut progress = Progress::bytes(download.bytes);
    let bytes = download.copy(&mut draft, |n| progress.at(n))?;
    draft.keep().map_err(failed)?;
    drop(guard);
    Ok(bytes)
}
