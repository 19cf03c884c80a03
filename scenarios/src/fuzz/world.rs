//! Runs a plan: a process for each engine, the byte-exact outside between them.

use core::time::Duration;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use dunlin_base::limits::INGEST_EVENTS_PER_TICK_MAX;
use dunlin_base::{BLOCK_BYTES, Bitfield, EngineTime, NodeKey, PeerId};
use dunlin_net::sim::addr_of;
use dunlin_net::sim::bytes::{BytePorts, DatagramFaults};
use dunlin_port::Outbox;
use dunlin_port::config::{ByteSize, Preallocation};
use dunlin_port::disk::{Check, DiskCommand};
use dunlin_port::net::NetCommand;
use dunlin_port::snapshot::SessionEvent;
use dunlin_port::user::{
    AddMagnet, AddTorrent, FilePriority, MagnetFiles, TorrentLimits, UserCommand,
};
use dunlin_storage::Faults;
use dunlin_systems::{Engine, NodeSettings};

use super::Survived;
use super::plan::{Plan, Trouble};

/// Least time between two steps: what happens within it happens together.
const QUANTUM: Duration = Duration::from_millis(5);

/// Within so much time an engine that is told to stop must have stopped.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// Ticks at one instant after which an engine is not at work but stuck.
const ROUNDS_MAX: u32 = 200;

/// What one tick may tell its network: far more than it has peers and pieces.
const COMMANDS_MAX: usize = 20_000;

/// Every file is wanted like the others.
const ALL_NORMAL: u64 = 0xaaaa_aaaa_aaaa_aaaa;

/// How much somebody wants soon.
const HURRY_BYTES: u64 = 100_000;

/// A swarm under way.
pub(super) struct World {
    seed: u64,
    plan: Plan,
    ports: BytePorts,
    now: EngineTime,
    processes: Vec<Process>,
    troubles_done: usize,
    calm: bool,
    survived: Survived,
}

/// One engine, while it runs.
struct Process {
    engine: Option<Engine>,
    /// When it began, in the time of the swarm.
    began_at: EngineTime,
    /// How far its clock is ahead.
    ahead: Duration,
    /// When it begins next.
    begins_at: Option<EngineTime>,
    begun: u32,
    /// Pieces that it said it had and that were looked at.
    seen: Bitfield,
    stopped: bool,
    /// Whether it knows what the torrent contains.
    knows: bool,
    /// Payload that it handed to the network, bytes.
    given: u64,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let plan = Plan::draw(seed);
        let mut ports = BytePorts::new(plan.content.clone(), seed);
        let pieces = plan.content.info.geometry().piece_count();
        let mut processes = Vec::new();
        for node in &plan.nodes {
            ports.add_node(node.line, node.complete);
            processes.push(Process {
                engine: None,
                began_at: EngineTime::START,
                ahead: Duration::ZERO,
                begins_at: Some(node.starts_at),
                begun: 0,
                seen: Bitfield::empty(pieces),
                stopped: false,
                knows: !node.by_link,
                given: 0,
            });
        }
        for &(line, manner) in &plan.hostiles {
            ports.add_hostile(line, manner);
        }
        Self {
            seed,
            plan,
            ports,
            now: EngineTime::START,
            processes,
            troubles_done: 0,
            calm: false,
            survived: Survived::default(),
        }
    }

    /// Runs to the end.
    ///
    /// # Panics
    /// When anything does not hold that must.
    pub(super) fn run(mut self) -> Survived {
        let end = self.plan.calm_at + self.plan.patience();
        while !self.is_done() {
            assert!(self.now < end, "not complete in time: {}", self.state());
            self.step();
        }
        self.survived.virtual_us = self.now.as_nanos() / 1000;
        let calm = self.now.as_nanos() - self.plan.calm_at.as_nanos();
        self.survived.calm_us_max = calm / 1000;
        self.stop();
        self.survived.datagrams = self.ports.datagrams_struck();
        self.survived
    }

    /// Whether all is calm and everybody has everything.
    fn is_done(&self) -> bool {
        let complete = |process: &Process| process.engine.is_some() && process.seen.is_full();
        self.calm && self.processes.iter().all(complete)
    }

    /// Where everybody is, for whoever reads of a failure.
    fn state(&mut self) -> String {
        let mut words = Vec::new();
        for (number, process) in self.processes.iter_mut().enumerate() {
            let seen = &process.seen;
            let why = process.engine.as_mut().map(|engine| {
                let views = engine.snapshot().torrents;
                let views = views.into_iter();
                views
                    .map(|view| {
                        (
                            view.state,
                            view.have_pieces,
                            view.wanted_bytes,
                            view.peers.len(),
                            view.why,
                        )
                    })
                    .collect::<Vec<_>>()
            });
            words.push(format!(
                "node {number} has {} of {}: {why:?}",
                seen.count(),
                seen.len()
            ));
        }
        words.join("; ")
    }

    fn step(&mut self) {
        self.now = self.next_at();
        self.ports.advance(self.now);
        self.make_trouble();
        for number in 0..self.processes.len() as u32 {
            let node = NodeKey(number);
            let process = &mut self.processes[number as usize];
            if process.begins_at.is_some_and(|at| at <= self.now) {
                process.begins_at = None;
                self.begin(node);
            }
            self.tick(node);
        }
    }

    /// When something happens next.
    fn next_at(&self) -> EngineTime {
        let troubles = self
            .plan
            .troubles
            .get(self.troubles_done)
            .map(|(at, ..)| *at);
        let calm = (!self.calm).then_some(self.plan.calm_at);
        let begins = self
            .processes
            .iter()
            .filter_map(|process| process.begins_at);
        let wakes = self.processes.iter().filter_map(Process::wakes_at);
        let next = [Some(self.ports.next_at()), troubles, calm];
        let next = next.into_iter().flatten().chain(begins).chain(wakes).min();
        let next = next.unwrap_or(EngineTime::NEVER);
        assert!(
            next != EngineTime::NEVER,
            "everybody sleeps for ever: {}",
            self.seed
        );
        next.max(self.now + QUANTUM)
    }

    fn make_trouble(&mut self) {
        while let Some(&(at, node, trouble)) = self.plan.troubles.get(self.troubles_done)
            && at <= self.now
        {
            self.troubles_done += 1;
            self.survived.troubles += 1;
            self.strike(node, trouble);
        }
        if !self.calm && self.plan.calm_at <= self.now {
            self.calm = true;
            self.ports.set_datagram_faults(DatagramFaults::default());
            for number in 0..self.processes.len() as u32 {
                let node = NodeKey(number);
                self.ports.set_faults(node, Faults::default());
                self.ports.stall(node, self.now);
                self.strike(node, Trouble::Select(ALL_NORMAL));
                self.strike(node, Trouble::Limit(TorrentLimits::default()));
                self.strike(node, Trouble::Resume);
                if !self.plan.strangers {
                    self.strike(node, Trouble::Introduce);
                }
            }
        }
    }

    fn strike(&mut self, node: NodeKey, trouble: Trouble) {
        let torrent = BytePorts::torrent_of(node);
        let command = match trouble {
            Trouble::Reset => return self.ports.reset(node),
            Trouble::Stall(span) => return self.ports.stall(node, self.now + span),
            Trouble::Disk(faults) => return self.ports.set_faults(node, faults),
            Trouble::Lie(lies, span) => return self.ports.lie(self.now + span, lies),
            Trouble::Datagrams(faults) => return self.ports.set_datagram_faults(faults),
            Trouble::TrackerRestarts => return self.ports.restart_tracker(),
            Trouble::Crash(span) => return self.crash(node, span),
            Trouble::Jump(span) => {
                self.processes[node.0 as usize].ahead += span;
                return;
            }
            Trouble::Pause => UserCommand::Pause { torrent },
            Trouble::Resume => UserCommand::Resume { torrent },
            Trouble::Recheck => UserCommand::Recheck { torrent },
            Trouble::Introduce => UserCommand::AddPeers {
                torrent,
                addresses: self.others(node),
            },
            // Nobody can choose files that nobody knows yet.
            Trouble::Select(_) if !self.processes[node.0 as usize].knows => return,
            Trouble::Select(bits) => UserCommand::SetFilePriorities {
                torrent,
                priorities: self.priorities(bits),
            },
            Trouble::Limit(limits) => UserCommand::SetLimits { torrent, limits },
            Trouble::Hurry(start) => UserCommand::SetDeadlines {
                torrent,
                start,
                len: HURRY_BYTES,
            },
        };
        if let Some(engine) = &mut self.processes[node.0 as usize].engine {
            engine.inbox().user.push_back(command);
        }
    }

    /// How much each file is wanted: two bits for each.
    fn priorities(&self, bits: u64) -> Vec<FilePriority> {
        let files = self.plan.content.info.files().len();
        let of_file = |file: usize| match bits >> (2 * file) & 3 {
            0 => FilePriority::Skip,
            1 => FilePriority::Low,
            2 => FilePriority::Normal,
            _ => FilePriority::High,
        };
        (0..files).map(of_file).collect()
    }

    fn others(&self, node: NodeKey) -> Vec<SocketAddr> {
        let all = (0..self.plan.nodes.len() as u32).map(NodeKey);
        all.filter(|other| *other != node).map(addr_of).collect()
    }

    fn crash(&mut self, node: NodeKey, span: Duration) {
        let process = &mut self.processes[node.0 as usize];
        if process.engine.take().is_some() {
            process.begins_at = Some(self.now + span);
            process.ahead = Duration::ZERO;
            self.ports.crash(node);
        }
    }

    /// A process begins; what it knows of an earlier life is on its disk.
    fn begin(&mut self, node: NodeKey) {
        let plan = &self.plan.nodes[node.0 as usize];
        let pieces = self.plan.content.info.geometry().piece_count();
        let process = &mut self.processes[node.0 as usize];
        process.begun += 1;
        process.began_at = self.now;
        process.given = 0;
        process.seen = Bitfield::empty(pieces);
        let luck = self.seed ^ u64::from(process.begun) << 32;
        let mut engine = Engine::new(luck, plan.memory_bytes);
        let mut peer_id = *b"-DN0100-000000000000";
        peer_id[8..12].copy_from_slice(&node.0.to_be_bytes());
        peer_id[12..16].copy_from_slice(&process.begun.to_be_bytes());
        engine.add_node(NodeSettings {
            node,
            peer_id: PeerId(peer_id),
            config: plan.config.clone(),
        });
        let knows = process.knows;
        let port = addr_of(node).port();
        let user = &mut engine.inbox().user;
        user.push_back(UserCommand::Listening { node, port });
        user.push_back(self.add(node, knows));
        self.processes[node.0 as usize].engine = Some(engine);
        self.ports.start(node);
    }

    /// How a process is given the torrent: whole, or by its hash while it does not know more.
    fn add(&self, node: NodeKey, knows: bool) -> UserCommand {
        let plan = &self.plan.nodes[node.0 as usize];
        let info = &self.plan.content.info;
        let torrent = BytePorts::torrent_of(node);
        let url = match self.plan.udp_tracker {
            true => "udp://tracker.example:6969/announce",
            false => "http://tracker.example/announce",
        };
        let trackers = vec![vec![url.to_owned()]];
        let (strategy, preallocation) = (plan.config.pick.strategy, Preallocation::None);
        let (check, limits) = (Check::Quick, TorrentLimits::default());
        let peers = match self.plan.strangers {
            true => Vec::new(),
            false => self.others(node),
        };
        if !knows {
            return UserCommand::AddMagnet(Box::new(AddMagnet {
                torrent,
                node,
                info_hash: info.info_hash(),
                name: None,
                trackers,
                root: Path::new("/").into(),
                files: MagnetFiles::All,
                strategy,
                preallocation,
                check,
                paused: false,
                limits,
                peers,
            }));
        }
        UserCommand::Add(Box::new(AddTorrent {
            torrent,
            node,
            info: Arc::clone(info),
            trackers,
            root: Path::new("/").into(),
            file_priorities: Vec::new(),
            strategy,
            preallocation,
            check,
            as_is: false,
            paused: false,
            limits,
            peers,
        }))
    }

    /// Lets a process work until it sleeps.
    fn tick(&mut self, node: NodeKey) {
        let process = &mut self.processes[node.0 as usize];
        let local = process.local(self.now);
        let rate = self.plan.nodes[node.0 as usize].config.limits.up;
        let Some(engine) = &mut process.engine else {
            return;
        };
        self.ports.deliver(node, engine.inbox());
        if engine.inbox().is_empty() && engine.wake_at() > local {
            return;
        }
        for _ in 0..ROUNDS_MAX {
            engine.tick(local);
            engine.audit();
            self.survived.ticks += 1;
            self.survived.mix(engine.digest());
            let mut outbox = core::mem::take(engine.outbox());
            check_outbox(node, &outbox);
            process.given += payload_in(&outbox);
            check_rate(node, rate, process.given, local);
            for event in outbox.session.drain(..) {
                process.knows |= matches!(event, SessionEvent::MetadataCame { .. });
                process.stopped |= event == SessionEvent::Stopped;
                self.survived.hear(&event);
            }
            let spills = |command: &&DiskCommand| matches!(command, DiskCommand::Spill { .. });
            self.survived.spills += outbox.disk.iter().filter(spills).count() as u64;
            self.ports.carry_out(node, &mut outbox);
            *engine.outbox() = outbox;
            let unsent = engine.unsent();
            let is_read = engine.inbox().is_empty();
            if is_read {
                assert_eq!(
                    unsent,
                    self.ports.owed(node),
                    "payload on its way from {node:?}"
                );
            }
            look_at(&mut self.ports, node, engine, &mut process.seen);
            if is_read && engine.wake_at() > local {
                return;
            }
        }
        panic!("{node:?} works at {local} without end");
    }

    /// Everybody stops; nobody keeps anything.
    fn stop(&mut self) {
        for process in &mut self.processes {
            if let Some(engine) = &mut process.engine {
                engine.inbox().user.push_back(UserCommand::Stop);
            }
        }
        for number in 0..self.processes.len() as u32 {
            self.tick(NodeKey(number));
        }
        let end = self.now + STOP_PATIENCE;
        while !self.processes.iter().all(|process| process.stopped) {
            assert!(self.now < end, "not stopped in time: {}", self.state());
            self.step();
        }
        for number in 0..self.processes.len() as u32 {
            let node = NodeKey(number);
            let engine = self.processes[number as usize].engine.take();
            let memory = engine.map_or(0, |engine| engine.memory_bytes());
            assert_eq!(memory, 0, "memory that {node:?} keeps");
            self.ports.crash(node);
            let buffers = self.ports.buffers_out(node);
            assert_eq!(buffers, 0, "buffers that {node:?} keeps");
        }
    }
}

impl Process {
    /// The instant of its own clock.
    fn local(&self, now: EngineTime) -> EngineTime {
        EngineTime::START + now.since(self.began_at) + self.ahead
    }

    /// When its engine wants to run next, in the time of the swarm.
    fn wakes_at(&self) -> Option<EngineTime> {
        let wake = self.engine.as_ref()?.wake_at();
        let passed = wake.since(EngineTime::START + self.ahead);
        (wake != EngineTime::NEVER).then(|| self.began_at + passed)
    }
}

/// A tick tells its ports no more than there is to tell.
fn check_outbox(node: NodeKey, outbox: &Outbox) {
    let commands = [
        outbox.net.len(),
        outbox.disk.len(),
        outbox.hash.len(),
        outbox.tracker.len(),
        outbox.session.len(),
    ];
    for len in commands {
        assert!(
            len <= COMMANDS_MAX,
            "{node:?} told its ports {commands:?} at once"
        );
    }
}

/// Payload that a tick hands to the network, bytes.
fn payload_in(outbox: &Outbox) -> u64 {
    let blocks = outbox.net.iter().map(|command| match command {
        NetCommand::SendBlock { payload, .. } => payload.len() as u64,
        _ => 0,
    });
    blocks.sum()
}

/// Nobody gives more than its limit and the burst that goes with it: a second's worth, or a block.
fn check_rate(node: NodeKey, rate: Option<ByteSize>, given: u64, passed: EngineTime) {
    let Some(ByteSize(rate)) = rate else { return };
    let passed_ms = u64::try_from(passed.since(EngineTime::START).as_millis());
    let earned = rate.saturating_mul(passed_ms.unwrap_or(u64::MAX) + 1) / 1000;
    let may = earned + rate.max(BLOCK_BYTES.into());
    assert!(
        given <= may,
        "{node:?} gave {given} bytes in {passed} at {rate} bytes/s"
    );
}

/// No bit without data: each piece that is said to be there is looked at on the disk.
fn look_at(ports: &mut BytePorts, node: NodeKey, engine: &mut Engine, seen: &mut Bitfield) {
    let waiting = engine.inbox().net.len();
    assert!(
        waiting <= 2 * INGEST_EVENTS_PER_TICK_MAX,
        "{waiting} events wait at {node:?}"
    );
    let Some(have) = engine.have(BytePorts::torrent_of(node)) else {
        return;
    };
    if have == seen {
        return;
    }
    let mut new = have.clone();
    seen.iter().for_each(|piece| _ = new.clear(piece));
    let missing = ports.missing(node, &new);
    assert_eq!(missing, None, "{node:?} claims what is not on its disk");
    seen.clone_from(have);
}
