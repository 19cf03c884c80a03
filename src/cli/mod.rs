//! The command line: a verb a file, each a struct of arguments with a `run` that ends in an [`Exit`].

mod allocator;
mod bars;
mod config;
mod config_layers;
mod config_watch;
mod create;
mod demo;
mod exit;
mod get;
mod log;
mod output;
mod seed;
mod selection;
mod session_args;
mod show;
mod signals;
mod sim;
mod text;
mod torrent_file;
mod tracker;
mod transfer;
mod v2_hashes;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub(crate) use exit::{Exit, Failure, Outcome};

/// Downloads, seeds, makes and checks torrents.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, after_help = exit::HELP)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Global {
    /// What to log to stderr: `debug` for what happens to each peer and torrent,
    /// `warn,dunlin_systems=trace` for each message and block besides; also `DUNLIN_LOG`
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        help_heading = "Global options"
    )]
    pub(crate) log: Option<String>,
    /// Configuration file to read instead of the user's own
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Get(get::GetArgs),
    Seed(seed::SeedArgs),
    Create(create::CreateArgs),
    Show(show::ShowArgs),
    Verify(verify::VerifyArgs),
    Tracker(tracker::TrackerArgs),
    Config(config::ConfigArgs),
    Demo(demo::DemoArgs),
    Sim(sim::SimArgs),
}

/// Reads the command line, does what it says, and says how that ended.
pub(crate) fn main() -> ExitCode {
    allocator::hold_together();
    // Bad usage ends in here, with 2.
    let Cli { global, verb } = Cli::parse();
    if let Verb::Sim(args) = &verb
        && args.is_large()
    {
        allocator::ask_for_huge_pages();
    }
    // Programs that simulations start would inherit it.
    if !matches!(verb, Verb::Sim(_)) {
        dunlin_storage::raise_open_files_limit();
    }
    let default = match &verb {
        Verb::Sim(args) => args.default_log(),
        _ => log::DEFAULT,
    };
    if let Err(failure) = log::start(global.log.as_deref(), default) {
        return exit::end(Err(failure));
    }
    exit::end(match verb {
        Verb::Get(args) => args.run(&global),
        Verb::Seed(args) => args.run(&global),
        Verb::Create(args) => args.run(&global),
        Verb::Show(args) => args.run(&global),
        Verb::Verify(args) => args.run(&global),
        Verb::Tracker(args) => args.run(&global),
        Verb::Config(args) => args.run(&global),
        Verb::Demo(args) => args.run(&global),
        Verb::Sim(args) => args.run(&global),
    })
}
