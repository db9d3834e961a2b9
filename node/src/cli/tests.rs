//! The command line's own form.

use clap::CommandFactory as _;

use super::Cli;

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

fn walk(command: &clap::Command, see: &mut impl FnMut(&clap::Command)) {
    see(command);
    command.get_subcommands().for_each(|c| walk(c, see));
}

#[test]
fn no_option_and_no_variable_takes_a_pin_or_a_passphrase() {
    let mut count = 0;
    walk(&Cli::command(), &mut |command| {
        for arg in command.get_arguments() {
            let name = arg.get_long().unwrap_or_default().to_owned();
            let secret = ["pin", "puk", "passphrase", "password"].iter().any(|s| name.contains(s));
            let by_file = name.ends_with("-file") || name.ends_with("-fd");
            assert!(!secret || by_file, "{} --{name}", command.get_name());
            let variable = arg.get_env().map(|v| v.to_string_lossy().into_owned()).unwrap_or_default();
            assert!(!variable.to_lowercase().contains("pin"), "{variable}");
            count += usize::from(secret);
        }
    });
    assert!(count > 0, "the walk sees such options at all");
}

#[test]
fn every_command_and_option_says_what_it_does() {
    walk(&Cli::command(), &mut |command| {
        assert!(command.get_about().is_some(), "{} has no help", command.get_name());
        for arg in command.get_arguments() {
            assert!(arg.get_help().is_some(), "{} {} has no help", command.get_name(), arg.get_id());
        }
    });
}
