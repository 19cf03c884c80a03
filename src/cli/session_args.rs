//! What every verb that runs a session takes, and the session that comes of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::ArgAction;
use dunlin::{Session, SessionSettings, StartError};
use dunlin_net::real::DiskPortError;
use dunlin_port::config::{ByteSize, Config, SeedChoke};
use dunlin_storage::ResumeError;

use super::config_layers::Profile;
use super::{Failure, Global, config_layers};

/// State folders that programs which run side by side can have.
const STATE_FOLDERS_MAX: u32 = 32;

/// What every verb that runs a session takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct SessionArgs {
    /// Address to accept connections on; may be repeated [default: as configured, or port 6881]
    #[arg(long, value_name = "IP:PORT", action = ArgAction::Append, help_heading = "Network options")]
    pub(crate) listen: Vec<SocketAddr>,
    /// Most bytes per second to peers, such as 500K or 2M
    #[arg(long, value_name = "RATE", help_heading = "Network options")]
    pub(crate) up_limit: Option<ByteSize>,
    /// Most bytes per second from peers, such as 500K or 2M
    #[arg(long, value_name = "RATE", help_heading = "Network options")]
    pub(crate) down_limit: Option<ByteSize>,
    /// Most connections at a time
    #[arg(long, value_name = "N", help_heading = "Network options")]
    pub(crate) connections: Option<u32>,
    /// Memory that it may take, such as 24M, 16M at least; pieces that are too long for it go to disk
    /// in parts [default: as configured, or 64M]
    #[arg(long, value_name = "SIZE", help_heading = "Network options")]
    pub(crate) memory: Option<ByteSize>,
    /// Peer to connect to, besides those that trackers name; may be repeated
    #[arg(long, value_name = "IP:PORT", action = ArgAction::Append, help_heading = "Network options")]
    pub(crate) peer: Vec<SocketAddr>,
    /// Ask no trackers
    #[arg(long, help_heading = "Network options")]
    pub(crate) no_trackers: bool,
    /// Settings for this session, over configured ones and below flags, such as `dunlin sim tune`
    /// writes
    #[arg(long, value_name = "FILE", value_parser = Profile::read)]
    pub(crate) profile: Option<Profile>,
    /// Where resume data is kept [default: as configured, or the user's state folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Write all that happens into FILE, for `dunlin sim replay`; costs time and space
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Whom to serve, for the verb that asks for it. Here, so that it outlives a reload.
    #[arg(skip)]
    pub(crate) seed_choke: Option<SeedChoke>,
    /// Whether a whole torrent shows itself piece by piece, likewise.
    #[arg(skip)]
    pub(crate) super_seed: bool,
    /// Whether the ends of files come first, likewise.
    #[arg(skip)]
    pub(crate) first_last_first: bool,
}

impl SessionArgs {
    /// The configuration of all layers, these flags on top.
    ///
    /// # Errors
    /// When a layer is refused.
    pub(crate) fn config(&self, global: &Global) -> Result<Config, Failure> {
        let loaded = config_layers::load(global.config.as_deref()).map_err(Failure::usage)?;
        let mut config = loaded.config;
        self.apply(&mut config);
        config.check().map_err(Failure::usage)?;
        Ok(config)
    }

    /// Sets what these flags say, and below them the profile.
    pub(crate) fn apply(&self, config: &mut Config) {
        if let Some(profile) = &self.profile {
            *config = profile.over(config);
        }
        if !self.listen.is_empty() {
            config.network.listen.clone_from(&self.listen);
        }
        if let Some(seed_choke) = self.seed_choke {
            config.engine.choke.seed = seed_choke;
        }
        config.engine.choke.super_seed |= self.super_seed;
        config.engine.pick.first_last_first |= self.first_last_first;
        config.network.memory = self.memory.unwrap_or(config.network.memory);
        let limits = &mut config.engine.limits;
        limits.up = self.up_limit.or(limits.up);
        limits.down = self.down_limit.or(limits.down);
        if let Some(connections) = self.connections {
            limits.connections = connections;
            limits.connections_per_torrent = connections;
        }
    }

    /// Starts the session. When another program uses the user's state folder, this one gets its
    /// own beside it.
    ///
    /// # Errors
    /// When it cannot start.
    pub(crate) fn start(&self, config: &Config) -> Result<Session, Failure> {
        let named = self
            .state_dir
            .clone()
            .or_else(|| config.paths.state_dir.clone());
        let start = |state_dir: Option<PathBuf>| {
            Session::start(SessionSettings {
                config: config.clone(),
                state_dir,
                record: self.record.clone(),
            })
        };
        if named.is_some() {
            return start(named).map_err(|error| explain(&error));
        }
        let Some(folder) = state_folder() else {
            tracing::warn!("there is no home folder: nothing will be remembered; see --state-dir");
            return start(None).map_err(|error| explain(&error));
        };
        let mut result = start(Some(folder.clone()));
        for n in 2..=STATE_FOLDERS_MAX {
            if !result.as_ref().is_err_and(is_in_use) {
                break;
            }
            result = start(Some(folder.join(format!("beside-{n}"))));
        }
        result.map_err(|error| explain(&error))
    }
}

fn is_in_use(error: &StartError) -> bool {
    matches!(
        error,
        StartError::Disk(DiskPortError::Resume(ResumeError::InUse(_)))
    )
}

fn explain(error: &StartError) -> Failure {
    match error {
        StartError::Config(_) => Failure::usage(error),
        error if is_in_use(error) => Failure::failed(format_args!(
            "{error}; end that program or name another --state-dir"
        )),
        error => Failure::failed(error),
    }
}

/// Where a user's programs keep state (XDG base directories); `None` without a home.
fn state_folder() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let absolute = |path: &PathBuf| path.is_absolute();
    let xdg = variable("XDG_STATE_HOME").filter(absolute);
    let home = || {
        variable("HOME")
            .filter(absolute)
            .map(|home| home.join(".local").join("state"))
    };
    xdg.or_else(home).map(|folder| folder.join("dunlin"))
}

/// A folder as an absolute path, made when it is missing: what is remembered of a torrent must
/// mean the same folder wherever the program is started next.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn folder(path: &Path) -> Result<PathBuf, Failure> {
    std::fs::create_dir_all(path)
        .and_then(|()| path.canonicalize())
        .map_err(|error| {
            Failure::failed(format_args!(
                "cannot use the folder {}: {error}",
                path.display()
            ))
        })
}
