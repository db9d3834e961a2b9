//! `hospes completions` and `hospes man`: made from the definition of the command line. Off line.

use std::path::PathBuf;

use clap::CommandFactory as _;
use serde_json::json;

use super::Cli;
use super::answer::{Done, Failure, Outcome};
use crate::durable::{Readers, write};

/// Which shell.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Where to.
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// The folder; it is made if it isn't there.
    dir: PathBuf,
}

/// `hospes completions`.
pub(crate) fn completions(args: &CompletionsArgs) -> Outcome<Done> {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "hospes", &mut out);
    let text = String::from_utf8_lossy(&out).trim_end().to_owned();
    Ok(Done::new(json!({"shell": args.shell.to_string(), "script": text}), text))
}

/// `hospes man`.
pub(crate) fn man(args: &ManArgs) -> Outcome<Done> {
    std::fs::create_dir_all(&args.dir).map_err(|e| Failure::file(&args.dir, &e))?;
    let mut command = Cli::command();
    command.build();
    let mut pages = Vec::new();
    page(args, &command, "hospes", &mut pages)?;
    let text = format!("{} pages in {}", pages.len(), args.dir.display());
    Ok(Done::new(json!({"pages": pages}), text))
}

fn page(args: &ManArgs, command: &clap::Command, name: &str, pages: &mut Vec<String>) -> Outcome<()> {
    let path = args.dir.join(format!("{name}.1"));
    let mut out = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut out).map_err(|e| Failure::file(&path, &e))?;
    write(&path, &out, Readers::Anyone).map_err(|e| Failure::file(&path, &e))?;
    pages.push(format!("{name}.1"));
    let inner = command.get_subcommands().filter(|c| c.get_name() != "help" && !c.is_hide_set());
    inner.into_iter().try_for_each(|c| page(args, c, &format!("{name}-{}", c.get_name()), pages))
}
