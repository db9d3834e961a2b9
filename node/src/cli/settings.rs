//! `hospes config`: what holds, and who set it. Off line.

use serde_json::{Map, Value, json};

use super::Global;
use super::answer::{Done, Outcome};
use crate::config::Setting;
use crate::config::keys::KEYS;

/// What of the configuration.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ConfigCommand {
    /// Every key with the value that holds.
    Show {
        /// Who set each: command line, environment, file or default.
        #[arg(long)]
        origin: bool,
    },
    /// Say whether a node could start with it.
    Check,
}

fn json_of(setting: &Setting) -> Value {
    match setting {
        Setting::Text(text) => json!(text),
        Setting::Texts(list) => json!(list),
        Setting::Number(n) => json!(n),
        Setting::Switch(on) => json!(on),
    }
}

/// `hospes config`.
pub(crate) fn run(global: &Global, command: &ConfigCommand) -> Outcome<Done> {
    let layers = global.layers(Vec::new())?;
    match command {
        ConfigCommand::Check => {
            layers.judge()?;
            Ok(Done::new(json!({"valid": true}), "The configuration is valid."))
        }
        ConfigCommand::Show { origin } => {
            let (mut data, mut lines) = (Map::new(), Vec::new());
            for key in KEYS {
                let Some((setting, from)) = layers.0.get(key.name) else { continue };
                let line = format!("{} = {setting}", key.name);
                if *origin {
                    data.insert(
                        key.name.into(),
                        json!({"value": json_of(setting), "origin": from.to_string()}),
                    );
                    lines.push(format!("{line:<48} # {from}"));
                } else {
                    data.insert(key.name.into(), json_of(setting));
                    lines.push(format!("{line:<48} # {}", key.help));
                }
            }
            Ok(Done::new(Value::Object(data), lines.join("\n")))
        }
    }
}
