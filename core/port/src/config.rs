//! The configuration: built-in defaults under a TOML file under `DUNLIN_*` variables under flags.
//!
//! Parsing is total: an unknown key or a value out of range is an error that names the place.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use dunlin_base::limits::PEER_REQUESTS_OUT_MAX;
use serde::{Deserialize, Serialize};

mod size;

pub use size::{ByteSize, ParseSizeError};

/// Everything that can be configured.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where things are.
    pub paths: PathsConfig,
    /// Sockets. Read once, at start.
    pub network: NetworkConfig,
    /// The rules. Changed while running.
    pub engine: EngineConfig,
}

/// Where things are.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PathsConfig {
    /// Where downloads go; the current folder when not set.
    pub download_dir: Option<PathBuf>,
    /// Where resume data is kept; the user's state folder when not set.
    pub state_dir: Option<PathBuf>,
}

/// Sockets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct NetworkConfig {
    /// Addresses to accept connections on, each as it is named. Default port 6881 of every address,
    /// or one of the ten after it when that is taken: see [`Self::listen_moves`].
    pub listen: Vec<SocketAddr>,
    /// Local address that outgoing connections and announces leave from.
    pub bind_address: Option<IpAddr>,
    /// Interface that all sockets are bound to (Linux `SO_BINDTODEVICE`).
    pub bind_interface: Option<String>,
    /// Seconds after which a connection attempt is given up. Default 10, range 1 to 120.
    pub connect_timeout_secs: u64,
    /// Memory that the program may take while it transfers: blocks in motion get what the program
    /// itself ([`Self::PROGRAM_BYTES`]) leaves. Default 64 MiB, at least 16 MiB. Of
    /// pieces that are too long for it, and of those that nobody goes on with, parts are written to
    /// their files before they are verified. Thousands of torrents or connections come on top.
    pub memory: ByteSize,
}

impl NetworkConfig {
    /// What the program takes without a block in motion: its code, its tables, its stacks.
    pub const PROGRAM_BYTES: u64 = 12 << 20;

    /// What is left of the memory for blocks in motion.
    #[must_use]
    pub const fn blocks_bytes(&self) -> u64 {
        self.memory.0.saturating_sub(Self::PROGRAM_BYTES)
    }
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            listen: vec![
                SocketAddr::from(([0, 0, 0, 0], 6881)),
                SocketAddr::from(([0_u16; 8], 6881)),
            ],
            bind_address: None,
            bind_interface: None,
            connect_timeout_secs: 10,
            memory: ByteSize(64 * 1024 * 1024),
        }
    }
}

impl NetworkConfig {
    /// Whether the port may be another one when it is taken: nobody chose it. A port that somebody
    /// did choose is open in a firewall or forwarded by a router, and no other one would do.
    #[must_use]
    pub fn listen_moves(&self) -> bool {
        self.listen == Self::default().listen
    }
}

/// The rules of a node.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct EngineConfig {
    /// Rates and counts.
    pub limits: LimitsConfig,
    /// Whom to upload to.
    pub choke: ChokeConfig,
    /// What to request.
    pub pick: PickConfig,
    /// How to keep files.
    pub storage: StorageConfig,
}

/// Rates and counts of a node.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LimitsConfig {
    /// Payload bytes per second from all peers; no limit when not set.
    pub down: Option<ByteSize>,
    /// Payload bytes per second to all peers; no limit when not set.
    pub up: Option<ByteSize>,
    /// Connections of all torrents. Default 500.
    pub connections: u32,
    /// Connections of one torrent. Default 100.
    pub connections_per_torrent: u32,
    /// Connection attempts under way. Default 50.
    pub half_open: u32,
    /// Connections accepted from one address without a complete handshake. Default 8.
    pub pending_handshakes_per_address: u32,
    /// Whether more than one connection may come from one IP address. Default false, as in
    /// other clients; loopback is always allowed several.
    pub several_connections_per_address: bool,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            down: None,
            up: None,
            connections: 500,
            connections_per_torrent: 100,
            half_open: 50,
            pending_handshakes_per_address: 8,
            several_connections_per_address: false,
        }
    }
}

/// Whom to upload to (BEP 3, "choking").
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ChokeConfig {
    /// How many peers are unchoked at a time, the optimistic one included.
    pub slots: SlotCount,
    /// Seconds between rounds. Default 10.
    pub interval_secs: u64,
    /// Seconds between changes of the optimistic slot. Default 30.
    pub optimistic_interval_secs: u64,
    /// Seconds without a block from an unchoked peer after which it counts as snubbing. Default 60.
    pub snub_secs: u64,
    /// Who is served for what we still need.
    pub leech: LeechChoke,
    /// Who is served while seeding.
    pub seed: SeedChoke,
    /// Pieces that a peer gets before its slot may rotate to another (round-robin). Default 20.
    pub seed_quota_pieces: u32,
    /// Whether a torrent that is whole when it starts shows itself piece by piece, so that little is
    /// sent twice before others have everything (BEP 16). For the first seed of a new torrent on a
    /// slow line; slower than a plain seed where others have the pieces. Default false.
    pub super_seed: bool,
}

impl Default for ChokeConfig {
    fn default() -> Self {
        Self {
            slots: SlotCount::RateBased,
            interval_secs: 10,
            optimistic_interval_secs: 30,
            snub_secs: 60,
            leech: LeechChoke::TitForTat,
            seed: SeedChoke::RoundRobin,
            seed_quota_pieces: 20,
            super_seed: false,
        }
    }
}

/// How many peers are unchoked at a time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotCount {
    /// Always so many; 0 uploads nothing to anybody.
    Fixed(u32),
    /// As many as the upload rate feeds (after libtorrent's rate-based choker): a slot is added
    /// while the slowest unchoked peer still gets more than the threshold.
    RateBased,
}

/// Who is served for what we still need.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeechChoke {
    /// Those who gave most in the last round, and one by luck (BEP 3).
    TitForTat,
    /// Those who give most for what has to be given to them, and to each just that (BitTyrant, Piatek et
    /// al., 2007), as far as the upload limit goes or, without one, what the line was seen to carry. Good for
    /// whoever does it, bad for all if all do. A fixed number of slots is the most then; nobody is
    /// unchoked by luck.
    BitTyrant,
}

/// Who is served while seeding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeedChoke {
    /// Everybody in turn, each for a quota of pieces and at least a minute.
    RoundRobin,
    /// Those who take the fastest.
    FastestUpload,
    /// Those who have just begun or are nearly done (after libtorrent's anti-leech).
    AntiLeech,
}

/// What to request.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PickConfig {
    /// How pieces are chosen unless a torrent says otherwise.
    pub strategy: PickStrategy,
    /// Pieces that are chosen at random before rarest-first begins (BEP 3 custom). Default 4.
    pub random_first_pieces: u32,
    /// Seconds of data to keep requested from a peer at its present rate. Default 3.
    pub request_queue_secs: u64,
    /// Most requests to keep out at one peer. Default 2000, range 1 to 2000. Few make a long round trip
    /// the limit: with so many requests of 16 KiB no peer sends more than that in one.
    pub requests_max: u32,
    /// Endgame: once every missing block is asked for, blocks that one peer may be asked for though others
    /// are. Default 8, range 0 (none) to 100: enough to finish, too few to waste a link.
    pub endgame_requests: u32,
    /// Whether the first and last piece of each file come first. Default false.
    pub first_last_first: bool,
    /// Seconds without an answer after which a request is given up. Default 60.
    pub request_timeout_secs: u64,
}

impl Default for PickConfig {
    fn default() -> Self {
        Self {
            strategy: PickStrategy::RarestFirst,
            random_first_pieces: 4,
            request_queue_secs: 3,
            requests_max: PEER_REQUESTS_OUT_MAX as u32,
            endgame_requests: 8,
            first_last_first: false,
            request_timeout_secs: 60,
        }
    }
}

/// How pieces are chosen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PickStrategy {
    /// The piece that fewest connected peers have, at random among equals.
    #[default]
    RarestFirst,
    /// From the first to the last.
    Sequential,
    /// The piece after the last one begun, round and round.
    RoundRobin,
}

/// How to keep files.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StorageConfig {
    /// How to reserve space.
    pub preallocation: Preallocation,
    /// Seconds between commits of what was written. Default 5.
    pub commit_interval_secs: u64,
    /// Seconds between tries to go on after a full disk or another disk error. Default 15.
    pub retry_secs: u64,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            preallocation: Preallocation::Sparse,
            commit_interval_secs: 5,
            retry_secs: 15,
        }
    }
}

/// How to reserve space for files.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preallocation {
    /// Not at all: files grow as pieces come.
    None,
    /// A file has its full length from its first piece on, but takes no space before pieces come.
    #[default]
    Sparse,
    /// All space is taken at the start.
    Full,
}

/// A configuration that cannot be used: the line, and what is wrong there.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// The key whose value is out of range, as `engine.choke.interval-secs`; `None` when the text
    /// could not be understood.
    pub key: Option<&'static str>,
    /// What is wrong, with line and column where the text is known.
    pub message: String,
}

impl Config {
    /// Reads a TOML text over the built-in defaults.
    ///
    /// # Errors
    /// When the text is not TOML, a key is unknown, or a value is out of its range.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| ConfigError {
            key: None,
            message: error.to_string(),
        })?;
        config.check()?;
        Ok(config)
    }

    /// The configuration as TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_default()
    }

    /// Checks every range.
    ///
    /// # Errors
    /// Names the first key whose value is out of range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let network = &self.network;
        range(
            "network.connect-timeout-secs",
            network.connect_timeout_secs,
            1,
            120,
        )?;
        range("network.memory", network.memory.0, 16 << 20, 1 << 40)?;
        self.engine.limits.check()?;
        self.engine.choke.check()?;
        let EngineConfig { pick, storage, .. } = &self.engine;
        range(
            "engine.pick.request-queue-secs",
            pick.request_queue_secs,
            1,
            60,
        )?;
        range(
            "engine.pick.requests-max",
            pick.requests_max.into(),
            1,
            PEER_REQUESTS_OUT_MAX as u64,
        )?;
        range(
            "engine.pick.endgame-requests",
            pick.endgame_requests.into(),
            0,
            100,
        )?;
        range(
            "engine.pick.request-timeout-secs",
            pick.request_timeout_secs,
            5,
            600,
        )?;
        range(
            "engine.storage.commit-interval-secs",
            storage.commit_interval_secs,
            1,
            600,
        )?;
        range("engine.storage.retry-secs", storage.retry_secs, 1, 3600)
    }
}

impl LimitsConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let per_torrent = self.connections_per_torrent.into();
        let pending = self.pending_handshakes_per_address.into();
        range(
            "engine.limits.connections",
            self.connections.into(),
            1,
            65_535,
        )?;
        range(
            "engine.limits.connections-per-torrent",
            per_torrent,
            1,
            65_535,
        )?;
        range("engine.limits.half-open", self.half_open.into(), 1, 10_000)?;
        range(
            "engine.limits.pending-handshakes-per-address",
            pending,
            1,
            1000,
        )
    }
}

impl ChokeConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let optimistic = self.optimistic_interval_secs;
        range("engine.choke.interval-secs", self.interval_secs, 1, 3600)?;
        range("engine.choke.optimistic-interval-secs", optimistic, 1, 3600)?;
        range("engine.choke.snub-secs", self.snub_secs, 5, 3600)?;
        range(
            "engine.choke.seed-quota-pieces",
            self.seed_quota_pieces.into(),
            1,
            100_000,
        )?;
        match self.slots {
            SlotCount::Fixed(slots) => range("engine.choke.slots.fixed", slots.into(), 0, 65_535),
            SlotCount::RateBased => Ok(()),
        }
    }
}

fn range(key: &'static str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(ConfigError {
        key: Some(key),
        message: format!("{key} is {value}, expected {min} to {max}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_round_trip() {
        let text = Config::default().to_toml();
        assert_eq!(Config::from_toml(&text), Ok(Config::default()), "{text}");
        assert_eq!(Config::from_toml(""), Ok(Config::default()));
    }

    #[test]
    fn bad_files_name_the_place() {
        let error = |text| Config::from_toml(text).unwrap_err().message;
        assert!(error("[engine.choke]\nslotz = 3\n").contains("line 2"));
        assert!(
            error("[engine.choke]\ninterval-secs = 0\n")
                .contains("engine.choke.interval-secs is 0")
        );
        assert!(error("[engine.limits]\nup = \"fast\"\n").contains("line 2"));
    }

    #[test]
    fn blocks_get_what_the_program_leaves() {
        let network = |memory| NetworkConfig {
            memory: ByteSize(memory),
            ..NetworkConfig::default()
        };
        assert_eq!(network(24 << 20).blocks_bytes(), 12 << 20);
        assert_eq!(network(0).blocks_bytes(), 0);
        let error = Config::from_toml("[network]\nmemory = \"15M\"\n").unwrap_err();
        assert_eq!(error.key, Some("network.memory"));
    }

    #[test]
    fn a_file_sets_what_it_names() {
        let config = Config::from_toml(
            "[engine.limits]\nup = \"2M\"\n[engine.choke]\nslots = { fixed = 7 }\nseed = \"anti-leech\"\n",
        )
        .unwrap();
        assert_eq!(config.engine.limits.up, Some(ByteSize(2 << 20)));
        assert_eq!(config.engine.choke.slots, SlotCount::Fixed(7));
        assert_eq!(config.engine.choke.seed, SeedChoke::AntiLeech);
    }
}
