//! How a session begins: ports, engine, thread.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use dunlin_base::PeerId;
use dunlin_net::real::{DiskPort, HashPort, Reactor, RealPorts, TrackerPort, wake_of};
use dunlin_port::config::Config;
use dunlin_port::user::UserCommand;
use dunlin_port::{BlockPool, Outbox};
use dunlin_scenarios::recording::Recorder;
use dunlin_systems::{Engine, NodeSettings};

use super::driver::Driver;
use super::magnet::Archive;
use super::{NODE, Session, SessionSettings, Shared, StartError};

/// What the client calls itself in peer ids (BEP 20), before the random part.
const PEER_ID_PREFIX: &[u8; 8] = b"-DN0100-";
/// Threads that read, write and check; more than that and a spinning disk only seeks.
const DISK_THREADS: usize = 4;
/// Threads that hash: one keeps up with 10 Gbit/s, the others are for machines without fast lanes.
const HASH_THREADS_MAX: usize = 4;

/// How `network.memory` is shared out.
struct Memory {
    /// What pieces in motion may take.
    pieces_bytes: usize,
    /// What comes on top: blocks on their way into pieces, duplicates of the endgame.
    slack_bytes: usize,
    /// Blocks on their way to peers; their own, so that uploads cannot starve downloads.
    upload_bytes: usize,
}

impl Memory {
    fn share(config: &Config) -> Self {
        let all = usize::try_from(config.network.blocks_bytes()).unwrap_or(usize::MAX);
        Self {
            pieces_bytes: all / 8 * 5,
            slack_bytes: all / 8,
            upload_bytes: all / 4,
        }
    }
}

impl Session {
    /// Starts an engine that listens as configured and has no torrents.
    ///
    /// # Errors
    /// When the configuration cannot be used, no address to listen on is free, the resume database
    /// is in use by another process, or the system gives no threads.
    pub fn start(settings: SessionSettings) -> Result<Self, StartError> {
        let SessionSettings {
            config,
            state_dir,
            record,
        } = settings;
        config.check()?;
        let memory = Memory::share(&config);
        let pool = BlockPool::new(memory.pieces_bytes + memory.slack_bytes);
        let mut reactor = Reactor::new(&config.network, &config.engine.limits, pool.clone())?;
        let wake = wake_of(&reactor);
        let uploads = BlockPool::new(memory.upload_bytes);
        let disk = DiskPort::new(
            Arc::clone(&wake),
            state_dir.as_deref(),
            DISK_THREADS,
            uploads,
        )?;
        let resume = disk.resume().cloned();
        if let Some(aside) = resume.as_ref().and_then(|resume| resume.set_aside()) {
            tracing::warn!(
                "the resume database was damaged; it is now {}",
                aside.display()
            );
        }
        let hash = HashPort::new(Arc::clone(&wake), hash_threads(), memory.pieces_bytes / 4)?;
        let network = &config.network;
        let tracker = TrackerPort::new(
            Arc::clone(&wake),
            network.bind_address,
            network.bind_interface.clone(),
        )?;
        let listen_addrs = reactor.listen(NODE)?;

        let (messages, arriving) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let (mut engine, recorder) = engine(&config, memory.pieces_bytes as u64, record)?;
        if let Some(address) = listen_addrs.first() {
            engine.inbox().user.push_back(UserCommand::Listening {
                node: NODE,
                port: address.port(),
            });
        }
        let driver = Driver {
            engine,
            recorder,
            ports: RealPorts::new(reactor, disk, hash, tracker),
            messages: arriving,
            shared: Arc::clone(&shared),
            outbox: Outbox::default(),
            stop_by: None,
            archive: Archive::new(resume.clone()),
        };
        let subscribers = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("dunlin-engine".to_owned())
            .spawn(move || {
                // Also when the engine panics, nobody may wait for events for ever.
                let _closing = CloseOnDrop(subscribers);
                driver.run()
            })?;
        Ok(Self {
            messages: Some(messages),
            wake,
            thread: Some(thread),
            shared,
            listen_addrs,
            pool,
            resume,
            config: Mutex::new(config.engine),
        })
    }
}

struct CloseOnDrop(Arc<Shared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.subscribers.close();
    }
}

fn engine(
    config: &Config,
    memory_bytes: u64,
    record: Option<PathBuf>,
) -> Result<(Engine, Option<Recorder>), StartError> {
    let seed = getrandom::u64().map_err(io::Error::other)?;
    let mut peer_id = [0; PeerId::LEN];
    getrandom::fill(&mut peer_id).map_err(io::Error::other)?;
    peer_id[..PEER_ID_PREFIX.len()].copy_from_slice(PEER_ID_PREFIX);
    let mut engine = Engine::new(seed, memory_bytes);
    let settings = NodeSettings {
        node: NODE,
        peer_id: PeerId(peer_id),
        config: config.engine.clone(),
    };
    let Some(path) = record else {
        engine.add_node(settings);
        return Ok((engine, None));
    };
    let mut recorder = Recorder::create(&path, seed, memory_bytes)
        .map_err(|source| StartError::Recording { path, source })?;
    recorder.add_node(&mut engine, settings);
    Ok((engine, Some(recorder)))
}

fn hash_threads() -> usize {
    thread::available_parallelism().map_or(1, |threads| threads.get().min(HASH_THREADS_MAX))
}
