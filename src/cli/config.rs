//! `dunlin config`: what is in force and why, and whether a file can be used.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::config_layers::{self, Loaded};
use super::text::{plain, print};
use super::{Exit, Failure, Global, Outcome};

const EXAMPLES: &str = "\
Layers, each over the one before: built-in defaults, the file, DUNLIN_* variables, flags.
A variable names a setting with `__` between sections and `_` for `-`:
DUNLIN_ENGINE__LIMITS__UP=2M is `up` in [engine.limits].

Examples:
  dunlin config show > config.toml     every setting with its present value
  dunlin config check new.toml         file, line and reason when it cannot be used
  DUNLIN_ENGINE__LIMITS__UP=2M dunlin config show";

/// Shows and checks the configuration
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    verb: ConfigVerb,
}

#[derive(Debug, Subcommand)]
enum ConfigVerb {
    /// Prints the configuration in force, flags aside, as TOML that can be used as a file
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Checks a file; without one, the file and the variables in force
    Check {
        /// The file to check
        file: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Prints where the file is looked for
    Path {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl ConfigArgs {
    pub(crate) fn run(self, global: &Global) -> Outcome {
        match self.verb {
            ConfigVerb::Show { json } => show(global, json),
            ConfigVerb::Check { file, json } => check(global, file, json),
            ConfigVerb::Path { json } => path(global, json),
        }
    }
}

fn show(global: &Global, as_json: bool) -> Outcome {
    let loaded = config_layers::load(global.config.as_deref()).map_err(Failure::failed)?;
    let Loaded {
        config,
        file,
        variables,
    } = &loaded;
    if as_json {
        print(json!({ "config": config, "file": file, "variables": variables }))?;
        return Ok(Exit::Done);
    }
    let mut layers = "# Built-in defaults".to_owned();
    if let Some(file) = file {
        layers.push_str(&format!(
            "\n# under the file {}",
            plain(&file.display().to_string())
        ));
    }
    for name in variables {
        layers.push_str(&format!("\n# under the variable {}", plain(name)));
    }
    print(format_args!("{layers}\n\n{}", config.to_toml().trim_end()))?;
    Ok(Exit::Done)
}

fn check(global: &Global, file: Option<PathBuf>, as_json: bool) -> Outcome {
    let (checked, what) = match file {
        Some(file) => (config_layers::check_file(&file), file.display().to_string()),
        None => {
            let loaded = config_layers::load(global.config.as_deref());
            let what = match &loaded {
                Ok(Loaded {
                    file: Some(file), ..
                }) => file.display().to_string(),
                _ => "the built-in configuration".to_owned(),
            };
            (loaded.map(|loaded| loaded.config), what)
        }
    };
    match checked {
        Ok(_) if as_json => print(json!({ "ok": true }))?,
        Ok(_) => print(format_args!("{what} can be used"))?,
        Err(error) if as_json => {
            print(json!({ "ok": false, "error": error.to_string() }))?;
            return Ok(Exit::Failed);
        }
        Err(error) => return Err(Failure::failed(error)),
    }
    Ok(Exit::Done)
}

fn path(global: &Global, as_json: bool) -> Outcome {
    let path = global
        .config
        .clone()
        .or_else(config_layers::default_path)
        .ok_or_else(|| {
            Failure::failed(
                "there is no folder for configuration: neither XDG_CONFIG_HOME nor HOME is set",
            )
        })?;
    if as_json {
        print(json!({ "path": path, "exists": path.exists() }))?;
    } else {
        print(path.display())?;
    }
    Ok(Exit::Done)
}
