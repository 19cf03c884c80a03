//! The loop of a run.

mod end;

use core::ops::ControlFlow;
use core::time::Duration;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use dunlin_base::{NodeKey, PeerId, PieceIndex, TorrentKey};
use dunlin_net::sim::{SimPorts, SimSettings, addr_of};
use dunlin_port::config::{EngineConfig, Preallocation};
use dunlin_port::disk::Check;
use dunlin_port::snapshot::SessionEvent;
use dunlin_port::user::{AddTorrent, TorrentLimits, UserCommand};
use dunlin_protocol::metainfo::Info;
use dunlin_systems::{Engine, NodeSettings};

use super::actions::{Action, Agenda, LOOK_EVERY, LookedAt, agenda};
use super::capacity::Capacity;
use super::invariants::{Invariants, Violation};
use super::members::{Copies, Member, Presence};
use super::observer::Observer;
use super::playback::Playback;
use super::setup::{config, line, regions, torrent, tracker};
use super::{Progress, RunError};
use crate::arrivals::{OnComplete, population, struck};
use crate::outcome::{RunRecord, SeriesRow};
use crate::recording::Recorder;
use crate::schema::{Behaviour, Class, FaultKind, Model, Scenario, Stop};

/// Memory for pieces in motion that each node may take.
const MEMORY_BYTES_PER_NODE: u64 = 64 << 20;

/// Rounds of answers within one step; what is left comes with the next.
const ROUNDS_MAX: u32 = 1000;

/// Runs a checked scenario with its seed. `watch` is called every second of virtual time and may
/// end the run.
///
/// # Errors
/// When the content cannot be a torrent, or `watch` breaks.
pub fn run(
    scenario: &Scenario,
    watch: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<RunRecord, RunError> {
    Run::new(scenario)?.drive(watch)
}

/// As [`run`], and writes what the engine is given and becomes to `out`: see [`crate::recording`].
/// A run that `watch` ends has its recording up to there.
///
/// # Errors
/// As [`run`], and when `out` takes no more.
pub fn run_recorded(
    scenario: &Scenario,
    out: Box<dyn Write + Send>,
    watch: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<RunRecord, RunError> {
    let mut run = Run::new(scenario)?;
    let recorder = Recorder::new(out, scenario.rng_seed, memory(run.members.len()));
    run.recorder = Some(recorder.map_err(unwritten)?);
    run.drive(watch)
}

/// As [`run`], before the eyes of an observer.
///
/// # Errors
/// As [`run`].
pub fn run_observed(
    scenario: &Scenario,
    observer: &mut dyn Observer,
) -> Result<RunRecord, RunError> {
    let mut run = Run::new(scenario)?;
    run.observer = Some(observer);
    run.drive(&mut |_| ControlFlow::Continue(()))
}

fn unwritten(error: io::Error) -> RunError {
    RunError::Recording(error.to_string())
}

/// What the pieces in motion of so many nodes may take, bytes.
fn memory(nodes: usize) -> u64 {
    MEMORY_BYTES_PER_NODE * (nodes as u64).max(1)
}

struct Run<'a> {
    scenario: &'a Scenario,
    info: Arc<Info>,
    engine: Engine,
    ports: SimPorts,
    tick_us: u64,
    members: Vec<Member>,
    configs: Vec<EngineConfig>,
    seeds: Vec<NodeKey>,
    copies: Copies,
    capacity: Capacity,
    agenda: Agenda,
    series: Vec<SeriesRow>,
    /// Payload of all nodes, sent and received, and sent by seeds, at the last row.
    at_last_row: (u64, u64, u64),
    progress: Progress,
    looked_at: LookedAt,
    /// Leechers that have not come or are neither complete nor gone.
    unfinished: u32,
    ticks: u64,
    invariants: Invariants,
    /// The first rule of every run that did not hold.
    violation: Option<Violation>,
    recorder: Option<Recorder>,
    observer: Option<&'a mut dyn Observer>,
}

impl<'a> Run<'a> {
    fn new(scenario: &'a Scenario) -> Result<Self, RunError> {
        let tick = scenario.model.tick();
        let info = torrent(scenario)?;
        let pieces = info.geometry().piece_count();
        let groups = scenario.classes.len() as u16;
        let mut ports = SimPorts::new(SimSettings {
            tick: Duration::from_micros(tick.0),
            regions: regions(&scenario.rtt),
            tracker: tracker(scenario),
            seed: scenario.rng_seed,
            groups,
            packets: matches!(scenario.model, Model::Packet { .. }),
        });
        let plans = population(scenario);
        let memory = memory(plans.len());
        let mut members = Vec::with_capacity(plans.len());
        for plan in plans {
            let class = &scenario.classes[usize::from(plan.class)];
            let node = ports.add_host(line(scenario, class), plan.class);
            if let Behaviour::Poisoner { one_in } = class.behaviour {
                ports.spoil(node, one_in);
            }
            let playback = class.streaming.map(Playback::new);
            members.push(Member::new(plan, pieces, playback));
        }
        let leechers = members.iter().filter(|member| !member.plan.seed).count() as u32;
        let seeds = members.iter().filter(|member| member.plan.seed);
        let seeds = seeds.map(|member| NodeKey(member.plan.node)).collect();
        Ok(Self {
            scenario,
            engine: Engine::new(scenario.rng_seed, memory),
            ports,
            tick_us: tick.0,
            configs: scenario
                .classes
                .iter()
                .map(|class| config(scenario, class))
                .collect(),
            seeds,
            copies: Copies::new(pieces),
            capacity: Capacity::new(members.len()),
            agenda: agenda(scenario, &members, tick.0),
            series: Vec::new(),
            at_last_row: (0, 0, 0),
            progress: Progress {
                leechers,
                ..Progress::default()
            },
            looked_at: LookedAt::default(),
            unfinished: leechers,
            ticks: 0,
            invariants: Invariants::new(scenario, &members),
            violation: None,
            recorder: None,
            observer: None,
            info,
            members,
        })
    }

    fn drive(
        mut self,
        watch: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<RunRecord, RunError> {
        let mut stopped = false;
        while !stopped && self.violation.is_none() && !self.is_over() {
            self.step();
            if let Some(breach) = self.ports.overrun() {
                self.note(Err(breach.into()));
            }
            if self.looked_at.elapsed_to(self.ports.now()) {
                let turn = self.invariants.turn(self.members.len() as u32);
                turn.for_each(|node| self.count_copies(node));
                stopped = watch(&self.progress).is_break();
            }
        }
        if let Some(recorder) = self.recorder.take() {
            recorder.finish().map_err(unwritten)?;
        }
        if stopped {
            return Err(RunError::Stopped);
        }
        self.close();
        match self.violation.take() {
            Some(violation) => Err(violation.into()),
            None => Ok(self.finish()),
        }
    }

    fn now_us(&self) -> u64 {
        self.ports.tick() * self.tick_us
    }

    fn is_over(&self) -> bool {
        let now = self.now_us();
        now >= self.scenario.at_most.0
            || match self.scenario.stop {
                Stop::AllComplete => self.unfinished == 0,
                Stop::At(at) => now >= at.0,
            }
    }

    /// One step of virtual time.
    fn step(&mut self) {
        self.skip();
        self.ports.advance(self.engine.inbox());
        while let Some(action) = self.agenda.take(self.ports.tick()) {
            self.act(action);
        }
        let now = self.ports.now();
        for _ in 0..ROUNDS_MAX {
            match &mut self.recorder {
                Some(recorder) => recorder.tick(&mut self.engine, now),
                None => self.engine.tick(now),
            }
            self.ticks += 1;
            let mut outbox = core::mem::take(self.engine.outbox());
            for event in outbox.session.drain(..) {
                self.hear(&event);
            }
            self.ports.carry_out(&mut outbox, self.engine.inbox());
            *self.engine.outbox() = outbox;
            if self.engine.inbox().is_empty() && self.engine.wake_at() > now {
                break;
            }
        }
        self.progress.virtual_us = self.now_us();
    }

    /// Goes to the step before the next one in which anything can happen.
    fn skip(&mut self) {
        if self.ports.is_moving() || !self.engine.inbox().is_empty() {
            return;
        }
        let tick_nanos = self.tick_us * 1000;
        let by_time = [self.engine.wake_at(), self.ports.next_arrival()];
        let by_time = by_time
            .into_iter()
            .map(|at| at.as_nanos().div_ceil(tick_nanos));
        let end = match self.scenario.stop {
            Stop::AllComplete => self.scenario.at_most,
            Stop::At(at) => at.min(self.scenario.at_most),
        };
        let next = by_time
            .chain(self.agenda.next_tick())
            .chain([end.0.div_ceil(self.tick_us)])
            .min()
            .unwrap_or(0);
        if next > self.ports.tick() + 1 {
            self.ports.skip_to(next - 1);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Arrive(node) => self.arrive(node),
            Action::Leave(node) => self.leave(node),
            Action::GiveUp(node) => {
                if self.members[node as usize].outcome.completed_us.is_none() {
                    self.leave(node);
                }
            }
            Action::Crash(node) => self.crash(node),
            Action::Fault(at) => self.strike(at),
            Action::Recover(at) => self.recover(at),
            Action::Sample => {
                self.sample();
                let every = self.scenario.record.series_every.0.div_ceil(self.tick_us);
                self.agenda
                    .plan(self.ports.tick() + every.max(1), Action::Sample);
            }
            Action::Look => self.look(),
        }
    }

    fn arrive(&mut self, node: u32) {
        let member = &mut self.members[node as usize];
        member.presence = Presence::Present;
        self.copies.enter(&member.have);
        self.progress.present += 1;
        let (key, torrent) = (NodeKey(node), TorrentKey(node));
        self.ports.join(key);
        self.ports.place(torrent, member.have.clone());
        let config = self.configs[usize::from(member.plan.class)].clone();
        let strategy = config.pick.strategy;
        let mut peer_id = *b"-DNsim1-000000000000";
        let digits = format!("{node:012}");
        peer_id[8..].copy_from_slice(digits.as_bytes());
        let settings = NodeSettings {
            node: key,
            peer_id: PeerId(peer_id),
            config,
        };
        match &mut self.recorder {
            Some(recorder) => recorder.add_node(&mut self.engine, settings),
            None => self.engine.add_node(settings),
        }
        let peers = if self.scenario.overlay.seeds_known_to_all && !member.plan.seed {
            self.seeds.iter().map(|&seed| addr_of(seed)).collect()
        } else {
            Vec::new()
        };
        let user = &mut self.engine.inbox().user;
        user.push_back(UserCommand::Listening {
            node: key,
            port: addr_of(key).port(),
        });
        user.push_back(UserCommand::Add(Box::new(AddTorrent {
            torrent,
            node: key,
            info: Arc::clone(&self.info),
            trackers: vec![vec!["http://tracker.example/announce".to_owned()]],
            root: Path::new("/").into(),
            file_priorities: Vec::new(),
            strategy,
            preallocation: Preallocation::None,
            check: Check::Quick,
            as_is: false,
            paused: false,
            limits: TorrentLimits::default(),
            peers,
        })));
        self.count_uplink(node);
    }

    fn leave(&mut self, node: u32) {
        if self.part(node) {
            self.ports.depart(NodeKey(node));
            self.engine.inbox().user.push_back(UserCommand::Remove {
                torrent: TorrentKey(node),
                delete_files: true,
            });
        }
    }

    fn crash(&mut self, node: u32) {
        if self.part(node) {
            self.members[node as usize].outcome.crashed = true;
            let inbox = self.engine.inbox();
            self.ports.crash(NodeKey(node), inbox);
            inbox.user.push_back(UserCommand::Remove {
                torrent: TorrentKey(node),
                delete_files: true,
            });
        }
    }

    /// Books a node out; says whether it was there.
    fn part(&mut self, node: u32) -> bool {
        let now_us = self.now_us();
        let waste = self.waste_of(node);
        let member = &mut self.members[node as usize];
        if !member.is_present() {
            return false;
        }
        member.presence = Presence::Gone;
        member.outcome.left_us = Some(now_us);
        member.outcome.wasted_bytes = waste;
        self.copies.leave(&member.have);
        self.progress.present -= 1;
        if !member.plan.seed && !member.have.is_full() {
            self.unfinished -= 1;
        }
        self.count_uplink(node);
        true
    }

    /// Notes what a node can send from now on.
    fn count_uplink(&mut self, node: u32) {
        let member = &self.members[node as usize];
        let class = &self.scenario.classes[usize::from(member.plan.class)];
        let line = self.ports.line(NodeKey(node)).up_bytes_per_sec;
        let rate = line.min(class.up_bytes_per_sec()) * u64::from(member.is_present());
        self.capacity.set(self.now_us(), node, rate);
    }

    fn waste_of(&mut self, node: u32) -> u64 {
        self.engine.waste_bytes(TorrentKey(node)).unwrap_or(0)
    }

    fn hear(&mut self, event: &SessionEvent) {
        let SessionEvent::PieceDone { torrent, piece } = event else {
            return;
        };
        let now_us = self.now_us();
        let node = torrent.0;
        let member = &mut self.members[node as usize];
        if !member.is_present() || member.have.has(PieceIndex(*piece)) {
            return;
        }
        self.copies.add(PieceIndex(*piece));
        if let Some(observer) = &mut self.observer {
            observer.piece_done(now_us, node);
        }
        if !member.verified(PieceIndex(*piece), now_us) {
            return;
        }
        let tick = self.ports.tick();
        let in_time = self.invariants.completed(tick, &member.outcome);
        self.copies.complete();
        self.progress.completed += 1;
        self.unfinished -= 1;
        let on_complete = member.plan.on_complete;
        self.note(in_time);
        match on_complete {
            OnComplete::Stay | OnComplete::LeaveAtRatio(_) => {}
            OnComplete::Leave => self.agenda.plan(self.ports.tick() + 1, Action::Leave(node)),
            OnComplete::LeaveAfter(us) => {
                let at = (now_us + us).div_ceil(self.tick_us);
                self.agenda.plan(at, Action::Leave(node));
            }
        }
    }

    fn strike(&mut self, at: usize) {
        let scenario = self.scenario;
        let fault = &scenario.faults[at];
        match &fault.what {
            FaultKind::TrackerDown { lasts } => {
                let until = self.ports.now() + Duration::from_micros(lasts.0);
                self.ports.fail_tracker(until);
            }
            FaultKind::SlowDown { class, up, lasts } => {
                self.set_uplinks(class, |_| up.0);
                let until = (self.now_us() + lasts.0).div_ceil(self.tick_us);
                self.agenda.plan(until, Action::Recover(at));
            }
            FaultKind::CutConnections { class, share }
            | FaultKind::Leave { class, share }
            | FaultKind::Crash { class, share } => {
                let members = self.members_of(class);
                for node in struck(scenario.rng_seed, at as u32, *share, &members) {
                    match fault.what {
                        FaultKind::Leave { .. } => self.leave(node),
                        FaultKind::Crash { .. } => self.crash(node),
                        _ => self.ports.cut(NodeKey(node), self.engine.inbox()),
                    }
                }
            }
        }
    }

    fn recover(&mut self, at: usize) {
        if let FaultKind::SlowDown { class, .. } = &self.scenario.faults[at].what {
            self.set_uplinks(class, |class| class.up.0);
        }
    }

    /// Present nodes of a class.
    fn members_of(&self, class: &str) -> Vec<u32> {
        let is_of =
            |member: &&Member| self.scenario.classes[usize::from(member.plan.class)].name == class;
        let members = self.members.iter().filter(|member| member.is_present());
        members
            .filter(is_of)
            .map(|member| member.plan.node)
            .collect()
    }

    fn set_uplinks(&mut self, class: &str, up: impl Fn(&Class) -> u64) {
        for node in 0..self.members.len() as u32 {
            let of = usize::from(self.members[node as usize].plan.class);
            let of = &self.scenario.classes[of];
            if of.name == class {
                let mut line = self.ports.line(NodeKey(node));
                line.up_bytes_per_sec = up(of);
                self.ports.set_line(NodeKey(node), line);
                self.count_uplink(node);
            }
        }
    }

    fn sample(&mut self) {
        let now_us = self.now_us();
        let mut row = SeriesRow {
            at_us: now_us,
            up_capacity_bytes: self.capacity.take(now_us),
            ..SeriesRow::default()
        };
        let (mut up, mut down, mut seed_up) = (0, 0, 0);
        for member in &self.members {
            let key = NodeKey(member.plan.node);
            let books = self.ports.books();
            up += books.sent(key);
            seed_up += u64::from(member.plan.seed) * books.sent(key);
            down += books.received(key).iter().sum::<u64>();
            if !member.is_present() {
                continue;
            }
            if member.have.is_full() {
                row.seeds += 1;
            } else {
                row.leechers += 1;
            }
        }
        row.connections = (self.engine.connections() / 2) as u32;
        row.up_bytes = up - self.at_last_row.0;
        row.down_bytes = down - self.at_last_row.1;
        row.seed_up_bytes = seed_up - self.at_last_row.2;
        self.at_last_row = (up, down, seed_up);
        (row.rarest_copies, row.mean_copies_milli, row.most_copies) = self.copies.spread();
        if let Some(observer) = &mut self.observer {
            observer.sample(row.at_us, &self.engine.relations());
        }
        self.series.push(row);
    }

    /// Players play, and who has given enough leaves.
    fn look(&mut self) {
        let passed_us = (LOOK_EVERY.as_micros() as u64).div_ceil(self.tick_us) * self.tick_us;
        let geometry = *self.info.geometry();
        let mut leaving = Vec::new();
        for member in &mut self.members {
            if !member.is_present() {
                continue;
            }
            let node = member.plan.node;
            if let Some(playback) = &mut member.playback
                && !playback.is_over(&geometry)
            {
                playback.play(passed_us, &member.have, &geometry, &mut member.outcome);
                if let Some((start, len)) = playback.next_wish(&geometry) {
                    self.engine
                        .inbox()
                        .user
                        .push_back(UserCommand::SetDeadlines {
                            torrent: TorrentKey(node),
                            start,
                            len,
                        });
                }
            }
            if let OnComplete::LeaveAtRatio(ratio) = member.plan.on_complete {
                let sent = u128::from(self.ports.books().sent(NodeKey(node))) * 1000;
                let enough = u128::from(ratio.0) * u128::from(geometry.total_bytes());
                if member.have.is_full() && sent >= enough {
                    leaving.push(node);
                }
            }
        }
        leaving.into_iter().for_each(|node| self.leave(node));
        self.agenda
            .plan(self.ports.tick() + passed_us / self.tick_us, Action::Look);
    }
}
