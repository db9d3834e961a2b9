//! The command line: parses, calls, shows. A client of the node's API, except for what works off line.
//!
//! It decides nothing about records. `main` calls [`run()`]; `node/README.md` lists commands and exit codes.

mod acts;
mod answer;
mod cards;
mod client;
mod committees;
mod doctor;
mod emergencies;
mod erasures;
mod factory;
mod found;
mod interrupt;
mod ledger;
mod manuals;
mod members;
mod networks;
mod new_key;
mod patients;
mod people;
mod pins;
mod place;
mod plays;
mod reached;
mod records;
mod recoveries;
mod rights;
mod run;
mod searches;
mod settings;
mod show;
mod status;
mod tap;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use answer::{Done, Outcome, conclude};

/// Health records under the patient's consent: node and command line.
#[derive(Debug, Parser)]
#[command(name = "hospes", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Global {
    /// Folder of the node's files [default: $XDG_DATA_HOME/hospes].
    #[arg(long, global = true, value_name = "DIR", env = "HOSPES_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Address of the node's API, where commands go and `run` listens [default: 127.0.0.1:7171].
    #[arg(long, global = true, value_name = "ADDR")]
    pub(crate) api: Option<String>,
    /// One JSON object on stdout.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a node: its key, its organization's card, a founding file, a network.
    Init(found::InitArgs),
    /// Run the node until SIGTERM or Ctrl-C.
    Run(run::RunArgs),
    /// How the node is.
    Status,
    /// Look for what is wrong on this machine and say what to do.
    Doctor(doctor::DoctorArgs),
    /// Show or check the configuration.
    #[command(subcommand)]
    Config(settings::ConfigCommand),
    /// Organizations of the federation.
    #[command(subcommand)]
    Org(members::OrgCommand),
    /// Nodes of the federation.
    #[command(subcommand)]
    Node(members::NodeCommand),
    /// People of this organization, and their roles.
    #[command(subcommand)]
    Person(people::PersonCommand),
    /// Cards in the readers, and new soft cards.
    #[command(subcommand)]
    Card(cards::CardCommand),
    /// Patients of this organization.
    #[command(subcommand)]
    Patient(patients::PatientCommand),
    /// Records of a patient.
    #[command(subcommand)]
    Record(records::RecordCommand),
    /// Consents of a patient.
    #[command(subcommand)]
    Consent(rights::ConsentCommand),
    /// Erasures of records and patients.
    #[command(subcommand)]
    Erasure(erasures::ErasureCommand),
    /// Who has read a patient's records.
    #[command(subcommand)]
    Access(rights::AccessCommand),
    /// Emergencies: several people open the record of someone who can't consent.
    #[command(subcommand)]
    Breakglass(emergencies::EmergencyCommand),
    /// Which rule lets a person read a record, or denies it.
    Why(rights::WhyArgs),
    /// The ledger.
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// Recompute an exported ledger from its genesis, without node and key.
    Verify(ledger::VerifyArgs),
    /// Measure each part against a peer or a limit.
    Bench(plays::BenchArgs),
    /// Play four hospitals and a clinic on this machine.
    Demo(crate::demo::DemoArgs),
    /// Write completions of a shell to stdout.
    Completions(manuals::CompletionsArgs),
    /// Write manual pages into a folder.
    Man(manuals::ManArgs),
    /// Version of the program, and of the node if one runs.
    Version,
}

/// Parses the command line and does what it says.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    let global = &cli.global;
    match &cli.command {
        // Its one line on stdout is of a form of its own.
        Command::Run(args) => run::run(global, args),
        _ => conclude(global.json, dispatch(global, cli.command)),
    }
}

/// Help and version go to stdout; a wrong command line ends with 2, in JSON where that was asked for.
fn misused(error: &clap::Error) -> ExitCode {
    if error.exit_code() == 0 || !std::env::args_os().any(|a| a == "--json") {
        // Nobody reads it if this fails.
        let _unread = error.print();
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    }
    let text = error.to_string();
    let message = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "a subcommand is missing",
        _ => text.lines().next().unwrap_or_default().trim_start_matches("error: "),
    };
    conclude(true, Err(answer::Failure::usage(message, "`hospes --help` lists commands and options.")))
}

fn dispatch(global: &Global, command: Command) -> Outcome<Done> {
    match command {
        Command::Init(args) => found::run(global, &args),
        Command::Run(_) => Ok(Done::new(serde_json::Value::Null, "")),
        Command::Status => status::status(global),
        Command::Doctor(args) => doctor::run(global, &args),
        Command::Config(command) => settings::run(global, &command),
        Command::Org(command) => members::organizations(global, &command),
        Command::Node(command) => members::nodes(global, &command),
        Command::Person(command) => people::persons(global, &command),
        Command::Card(command) => cards::run(global, &command),
        Command::Patient(command) => patients::run(global, &command),
        Command::Record(command) => records::run(global, &command),
        Command::Consent(command) => rights::consents(global, &command),
        Command::Erasure(command) => erasures::run(global, &command),
        Command::Access(command) => rights::accesses(global, &command),
        Command::Breakglass(command) => emergencies::run(global, &command),
        Command::Why(args) => rights::why(global, &args),
        Command::Ledger(command) => ledger::run(global, &command),
        Command::Verify(args) => ledger::verify(&args),
        Command::Bench(args) => plays::bench(global, &args),
        Command::Demo(args) => plays::demo(global, &args),
        Command::Completions(args) => manuals::completions(&args),
        Command::Man(args) => manuals::man(&args),
        Command::Version => status::version(global),
    }
}

#[cfg(test)]
mod tests;
