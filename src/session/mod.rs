//! A session: one engine on a thread of its own, with real sockets and files.

mod add;
mod driver;
mod error;
mod magnet;
mod restore;
mod start;
mod subscribers;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dunlin_base::{BLOCK_BYTES, InfoHash, NodeKey, TorrentKey};
use dunlin_net::real::Wake;
use dunlin_port::BlockPool;
use dunlin_port::config::{Config, ConfigError, EngineConfig, PickStrategy};
use dunlin_port::snapshot::{SessionEvent, Snapshot};
use dunlin_port::user::{AddTorrent, FilePriority, TorrentLimits, UserCommand};
use dunlin_protocol::metainfo::Metainfo;
use dunlin_storage::ResumeDb;
use dunlin_systems::Mark;

use add::Source;
use driver::Message;
use subscribers::Subscribers;

pub use add::{NewTorrent, TorrentFileError, read_torrent};
pub use error::{AddError, Ended, RestoreError, StartError, StopError};
pub use restore::NotRestored;
pub use subscribers::Subscription;

/// The only node of a session's world.
const NODE: NodeKey = NodeKey(0);
/// How long a dropped session waits for trackers.
const DROP_TIMEOUT: Duration = Duration::from_secs(1);
/// Torrents that become durable together: enough for the disk, and their bytes fit into memory.
const ADDED_TOGETHER_MAX: usize = 256;

/// How a session runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SessionSettings {
    /// The configuration; its paths are the business of the caller.
    pub config: Config,
    /// Where resume data is kept. Without one nothing is remembered: a torrent whose files are
    /// there already is checked in full.
    pub state_dir: Option<PathBuf>,
    /// Where to write what happens, tick by tick, for `dunlin sim replay`.
    pub record: Option<PathBuf>,
}

/// What blocks on their way from peers to the disk take: a part of `network.memory`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlocksMemory {
    /// Now.
    pub bytes: u64,
    /// At most at any time so far.
    pub bytes_peak: u64,
    /// What they may take.
    pub bytes_max: u64,
}

/// A running engine. It stops when it is dropped; [`Session::stop`] does so with a word to the
/// trackers and says how it went.
///
/// ```no_run
/// use std::path::Path;
/// use std::time::Duration;
///
/// use dunlin::{NewTorrent, Session, SessionEvent, SessionSettings};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let session = Session::start(SessionSettings::default())?;
/// let events = session.subscribe();
/// let torrent = session.add(NewTorrent::from_file(Path::new("x.torrent"), "downloads")?)?;
/// while !events.is_over() {
///     match events.next(Duration::from_secs(1)) {
///         Some(SessionEvent::Completed { torrent: done }) if done == torrent => break,
///         Some(event) => println!("{event:?}"),
///         None => println!("{} B/s", session.snapshot()?.torrents[0].down_bytes_per_sec),
///     }
/// }
/// session.stop(Duration::from_secs(5))?;
/// # Ok(())
/// # }
/// ```
pub struct Session {
    messages: Option<Sender<Message>>,
    wake: Wake,
    thread: Option<JoinHandle<bool>>,
    shared: Arc<Shared>,
    listen_addrs: Vec<SocketAddr>,
    pool: BlockPool,
    resume: Option<Arc<ResumeDb>>,
    config: Mutex<EngineConfig>,
}

/// What the owner and the engine's thread both know.
#[derive(Default)]
struct Shared {
    subscribers: Subscribers,
    registry: Mutex<Registry>,
}

/// Which torrents there are.
#[derive(Default)]
struct Registry {
    next: u32,
    by_hash: BTreeMap<InfoHash, TorrentKey>,
    /// Trackers of torrents whose metadata has not come, to be stored with it.
    magnets: BTreeMap<TorrentKey, Vec<Vec<String>>>,
    /// The folder of the torrent that was added last; the next one is often in the same.
    root: Option<Arc<Path>>,
}

impl Registry {
    /// A folder as torrents share it.
    fn share(&mut self, root: &Path) -> Arc<Path> {
        match &self.root {
            Some(last) if **last == *root => Arc::clone(last),
            _ => Arc::clone(self.root.insert(root.into())),
        }
    }
}

impl Shared {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets torrents that are gone. It looks at the hashes of all that there are, so those that go
    /// together come together.
    fn forget(&self, gone: &BTreeSet<TorrentKey>) {
        let mut registry = self.registry();
        registry.by_hash.retain(|_, key| !gone.contains(key));
        for torrent in gone {
            registry.magnets.remove(torrent);
        }
    }
}

impl Session {
    /// Where it accepts connections.
    #[must_use]
    pub fn listen_addrs(&self) -> &[SocketAddr] {
        &self.listen_addrs
    }

    /// Adds a torrent and says by which key it is known in this session.
    ///
    /// # Errors
    /// When it is there already, cannot be downloaded, or cannot be remembered. A magnet link is
    /// remembered from when its metadata has come.
    pub fn add(&self, new: NewTorrent) -> Result<TorrentKey, AddError> {
        let key = self.add_all(vec![new]).into_iter().next();
        key.unwrap_or(Err(AddError::Ended(Ended)))
    }

    /// Adds torrents in this order, and says for each by which key it is known in this session, or
    /// why it is not: it is there already, cannot be downloaded, or cannot be remembered. With many
    /// it is much faster than one call for each, because they become durable together.
    pub fn add_all(&self, torrents: Vec<NewTorrent>) -> Vec<Result<TorrentKey, AddError>> {
        let mut keys = Vec::with_capacity(torrents.len());
        let mut together = Vec::new();
        for new in torrents {
            match &new.source {
                Source::Metainfo(metainfo) => {
                    let metainfo = metainfo.clone();
                    together.push((metainfo, new));
                    if together.len() == ADDED_TOGETHER_MAX {
                        keys.extend(self.add_some(std::mem::take(&mut together)));
                    }
                }
                Source::Magnet { .. } => {
                    keys.extend(self.add_some(std::mem::take(&mut together)));
                    keys.push(self.add_magnet(new));
                }
            }
        }
        keys.extend(self.add_some(together));
        keys
    }

    fn add_some(&self, torrents: Vec<(Metainfo, NewTorrent)>) -> Vec<Result<TorrentKey, AddError>> {
        let mut registry = self.shared.registry();
        let mut fresh = BTreeMap::new();
        let mut admit = |(metainfo, new): (Metainfo, NewTorrent)| {
            let hash = new.check_addable(&metainfo.info)?;
            if registry.by_hash.contains_key(&hash) || fresh.contains_key(&hash) {
                return Err(AddError::Duplicate(hash));
            }
            let around = self.resume.as_ref().map(|_| metainfo.write_around());
            fresh.insert(
                hash,
                around.map(|around| (around, Arc::clone(&metainfo.info))),
            );
            Ok((metainfo, new))
        };
        let admitted: Vec<_> = torrents.into_iter().map(&mut admit).collect();
        let mut unstored = BTreeMap::new();
        if let Some(resume) = &self.resume {
            let metainfo = fresh.iter().filter_map(|(hash, parts)| {
                let ((before, behind), info) = parts.as_ref()?;
                Some((*hash, [&before[..], info.raw(), &behind[..]]))
            });
            if let Err(failed) = resume.put_all_metainfo(&metainfo.collect::<Vec<_>>()) {
                unstored.extend(failed);
            }
        }
        let mut register = |(metainfo, new): (Metainfo, NewTorrent)| {
            let hash = metainfo.info.info_hash();
            if let Some(error) = unstored.remove(&hash) {
                return Err(error.into());
            }
            let torrent = TorrentKey(registry.next);
            registry.next += 1;
            registry.by_hash.insert(hash, torrent);
            Ok((torrent, metainfo, new))
        };
        let registered: Vec<_> = admitted
            .into_iter()
            .map(|new| new.and_then(&mut register))
            .collect();
        drop(registry);
        let tell =
            |(torrent, metainfo, new)| self.tell_of(torrent, &metainfo, new).map(|()| torrent);
        registered
            .into_iter()
            .map(|new| new.and_then(|new| tell(new).map_err(AddError::from)))
            .collect()
    }

    fn tell_of(
        &self,
        torrent: TorrentKey,
        metainfo: &Metainfo,
        new: NewTorrent,
    ) -> Result<(), Ended> {
        let (info, by_link) = (Arc::clone(&metainfo.info), new.by_link);
        let root = self.shared.registry().share(&new.root);
        let config = self.config();
        let add = AddTorrent {
            torrent,
            node: NODE,
            info: Arc::clone(&info),
            trackers: new.tiers.unwrap_or_else(|| metainfo.tiers.clone()),
            root,
            file_priorities: new.file_priorities,
            strategy: new.strategy.unwrap_or(config.pick.strategy),
            preallocation: new.preallocation.unwrap_or(config.storage.preallocation),
            check: new.check,
            as_is: new.as_is,
            paused: new.paused,
            limits: new.limits,
            peers: new.peers,
        };
        drop(config);
        if by_link {
            let came = SessionEvent::MetadataCame { torrent, info };
            self.shared.subscribers.tell(vec![came]);
        }
        self.tell(UserCommand::Add(Box::new(add)))
    }

    /// What blocks on their way from peers to the disk take, and may take.
    #[must_use]
    pub fn blocks_memory(&self) -> BlocksMemory {
        let bytes = |blocks: usize| blocks as u64 * u64::from(BLOCK_BYTES);
        BlocksMemory {
            bytes: bytes(self.pool.in_use()),
            bytes_peak: bytes(self.pool.in_use_max()),
            bytes_max: bytes(self.pool.capacity()),
        }
    }

    /// The key of a torrent of this session.
    #[must_use]
    pub fn find(&self, info_hash: InfoHash) -> Option<TorrentKey> {
        self.shared.registry().by_hash.get(&info_hash).copied()
    }

    /// Stops a torrent and forgets it, on request with its files.
    /// [`dunlin_port::snapshot::SessionEvent::Removed`] follows.
    ///
    /// # Errors
    /// When the session is over.
    pub fn remove(&self, torrent: TorrentKey, delete_files: bool) -> Result<(), Ended> {
        self.tell(UserCommand::Remove {
            torrent,
            delete_files,
        })
    }

    /// Lets a torrent rest: no connections, no announces.
    ///
    /// # Errors
    /// When the session is over.
    pub fn pause(&self, torrent: TorrentKey) -> Result<(), Ended> {
        self.tell(UserCommand::Pause { torrent })
    }

    /// Wakes a paused torrent, or one that stopped with an error.
    ///
    /// # Errors
    /// When the session is over.
    pub fn resume(&self, torrent: TorrentKey) -> Result<(), Ended> {
        self.tell(UserCommand::Resume { torrent })
    }

    /// Hashes all data of a torrent again.
    ///
    /// # Errors
    /// When the session is over.
    pub fn recheck(&self, torrent: TorrentKey) -> Result<(), Ended> {
        self.tell(UserCommand::Recheck { torrent })
    }

    /// Changes a torrent's own limits.
    ///
    /// # Errors
    /// When the session is over.
    pub fn set_limits(&self, torrent: TorrentKey, limits: TorrentLimits) -> Result<(), Ended> {
        self.tell(UserCommand::SetLimits { torrent, limits })
    }

    /// Changes how much each file is wanted, in the torrent's order.
    ///
    /// # Errors
    /// When the session is over.
    pub fn set_file_priorities(
        &self,
        torrent: TorrentKey,
        priorities: Vec<FilePriority>,
    ) -> Result<(), Ended> {
        self.tell(UserCommand::SetFilePriorities {
            torrent,
            priorities,
        })
    }

    /// Changes how much some pieces are wanted, whatever their files are; [`FilePriority::Skip`]
    /// gives them back the priority of their files. Pieces of skipped files stay skipped.
    ///
    /// # Errors
    /// When the session is over.
    pub fn set_piece_priorities(
        &self,
        torrent: TorrentKey,
        pieces: Range<u32>,
        priority: FilePriority,
    ) -> Result<(), Ended> {
        self.tell(UserCommand::SetPiecePriorities {
            torrent,
            pieces,
            priority,
        })
    }

    /// Wants a range of a torrent's bytes before everything else, in order, as a player that is
    /// about to read it; it replaces the range of an earlier call, and no bytes take the wish back.
    ///
    /// # Errors
    /// When the session is over.
    pub fn set_deadlines(&self, torrent: TorrentKey, bytes: Range<u64>) -> Result<(), Ended> {
        self.tell(UserCommand::SetDeadlines {
            torrent,
            start: bytes.start,
            len: bytes.end.saturating_sub(bytes.start),
        })
    }

    /// Changes how a torrent's pieces are chosen.
    ///
    /// # Errors
    /// When the session is over.
    pub fn set_strategy(&self, torrent: TorrentKey, strategy: PickStrategy) -> Result<(), Ended> {
        self.tell(UserCommand::SetStrategy { torrent, strategy })
    }

    /// Tries these addresses for a torrent.
    ///
    /// # Errors
    /// When the session is over.
    pub fn add_peers(&self, torrent: TorrentKey, addresses: Vec<SocketAddr>) -> Result<(), Ended> {
        self.tell(UserCommand::AddPeers { torrent, addresses })
    }

    /// Announces as soon as the trackers' minimum intervals allow.
    ///
    /// # Errors
    /// When the session is over.
    pub fn reannounce(&self, torrent: TorrentKey) -> Result<(), Ended> {
        self.tell(UserCommand::Reannounce { torrent })
    }

    /// Moves a torrent's files to another folder.
    /// [`dunlin_port::snapshot::SessionEvent::Moved`] follows.
    ///
    /// # Errors
    /// When the session is over.
    pub fn move_to(&self, torrent: TorrentKey, root: impl Into<PathBuf>) -> Result<(), Ended> {
        self.tell(UserCommand::Move {
            torrent,
            root: root.into(),
        })
    }

    /// Takes new rules at once. What is in [`Config::network`] and [`Config::paths`] counts from
    /// the next start.
    ///
    /// # Errors
    /// When a value is out of its range; then the old rules stay. When the session is over, that
    /// comes out with the next call.
    pub fn configure(&self, config: &Config) -> Result<(), ConfigError> {
        config.check()?;
        self.config().clone_from(&config.engine);
        // The only failure is the end of the engine, which every other call reports as well.
        self.send(Message::Configure(Box::new(config.engine.clone())))
            .ok();
        Ok(())
    }

    /// Events from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        self.shared.subscribers.subscribe()
    }

    /// A copy of the tables, as of the tick that follows.
    ///
    /// # Errors
    /// When the session is over.
    pub fn snapshot(&self) -> Result<Snapshot, Ended> {
        let (reply, answer) = mpsc::channel();
        self.send(Message::Snapshot(reply))?;
        answer.recv().map_err(|mpsc::RecvError| Ended)
    }

    /// A copy of the torrents that move, and of those that changed since `since`; all of them
    /// without a mark, or with one that is older than a minute. And the mark for the next look. With
    /// thousands of torrents at rest this costs a hundredth of [`Session::snapshot`]. Torrents that
    /// are gone are told by [`dunlin_port::snapshot::SessionEvent::Removed`] alone.
    ///
    /// # Errors
    /// When the session is over.
    pub fn changes(&self, since: Option<Mark>) -> Result<(Snapshot, Mark), Ended> {
        let (reply, answer) = mpsc::channel();
        self.send(Message::Changes(since, reply))?;
        answer.recv().map_err(|mpsc::RecvError| Ended)
    }

    /// Stops in order: trackers hear `stopped`, everything is committed, files are closed.
    ///
    /// # Errors
    /// When trackers or the disk need longer than `timeout`, or the engine had failed.
    pub fn stop(mut self, timeout: Duration) -> Result<(), StopError> {
        self.end(timeout)
    }

    fn end(&mut self, timeout: Duration) -> Result<(), StopError> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        let told = self.send(Message::Stop(Instant::now() + timeout));
        self.messages = None;
        match thread.join() {
            Ok(true) => Ok(()),
            Ok(false) => Err(told.err().map_or(StopError::Timeout, StopError::Ended)),
            Err(_panic) => Err(Ended.into()),
        }
    }

    fn config(&self) -> MutexGuard<'_, EngineConfig> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, command: UserCommand) -> Result<(), Ended> {
        self.send(Message::User(command))
    }

    fn send(&self, message: Message) -> Result<(), Ended> {
        let messages = self.messages.as_ref().ok_or(Ended)?;
        messages.send(message).map_err(|_message| Ended)?;
        (self.wake)();
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Err(error) = self.end(DROP_TIMEOUT) {
            tracing::warn!("session: {error}");
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("listen_addrs", &self.listen_addrs)
            .finish_non_exhaustive()
    }
}
