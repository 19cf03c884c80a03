//! The engine's thread: exchange with the ports, tick, tell who listens.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

use dunlin_base::EngineTime;
use dunlin_net::real::RealPorts;
use dunlin_port::Outbox;
use dunlin_port::config::EngineConfig;
use dunlin_port::snapshot::{SessionEvent, Snapshot};
use dunlin_port::user::UserCommand;
use dunlin_scenarios::recording::Recorder;
use dunlin_systems::{Engine, Mark};

use super::magnet::Archive;
use super::{NODE, Shared};

/// What the session's owner tells the engine's thread.
pub(super) enum Message {
    /// For the engine.
    User(UserCommand),
    /// New rules, of which some are the network's.
    Configure(Box<EngineConfig>),
    /// A copy of the tables is wanted.
    Snapshot(Sender<Snapshot>),
    /// A copy of what changed since the mark is wanted.
    Changes(Option<Mark>, Sender<(Snapshot, Mark)>),
    /// End in order, but no later than this.
    Stop(Instant),
}

/// A look at the tables that is answered after the tick.
enum Look {
    All(Sender<Snapshot>),
    Changes(Option<Mark>, Sender<(Snapshot, Mark)>),
}

impl Look {
    fn answer(self, engine: &mut Engine) {
        // Who asked may have gone; then nobody misses the answer.
        match self {
            Self::All(reply) => _ = reply.send(engine.snapshot()),
            Self::Changes(since, reply) => _ = reply.send(engine.changes(since)),
        }
    }
}

/// Everything that lives on the engine's thread.
pub(super) struct Driver {
    pub(super) engine: Engine,
    pub(super) recorder: Option<Recorder>,
    pub(super) ports: RealPorts,
    pub(super) messages: Receiver<Message>,
    pub(super) shared: Arc<Shared>,
    pub(super) outbox: Outbox,
    pub(super) stop_by: Option<Instant>,
    pub(super) archive: Archive,
}

impl Driver {
    /// Runs until the engine has stopped, or was to stop and did not in time.
    pub(super) fn run(mut self) -> bool {
        loop {
            let looks = self.take_messages();
            let now = self.ports.clock();
            match &mut self.recorder {
                Some(recorder) => recorder.tick(&mut self.engine, now),
                None => self.engine.tick(now),
            }
            std::mem::swap(&mut self.outbox, self.engine.outbox());
            let stopped = self.publish();
            // Behind the events: who sees in the tables that something has happened has heard of it.
            for look in looks {
                look.answer(&mut self.engine);
            }
            let late = self
                .stop_by
                .is_some_and(|deadline| deadline <= Instant::now());
            let timeout = if stopped || late {
                Some(Duration::ZERO)
            } else {
                self.timeout()
            };
            // Once more at the end, so that the ports have every command before they go.
            self.ports
                .exchange(&mut self.outbox, self.engine.inbox(), timeout);
            if stopped || late {
                self.end_recording();
                return stopped;
            }
        }
    }

    fn end_recording(&mut self) {
        if let Some(recorder) = self.recorder.take()
            && let Err(error) = recorder.finish()
        {
            tracing::warn!("the recording is not whole: {error}");
        }
    }

    /// Puts what the owner said into the inbox; who wants a snapshot gets it after the tick.
    fn take_messages(&mut self) -> Vec<Look> {
        let mut looks = Vec::new();
        loop {
            let command = match self.messages.try_recv() {
                Ok(Message::User(command)) => command,
                Ok(Message::Configure(config)) => {
                    self.ports.reactor().set_limits(&config.limits);
                    UserCommand::Configure { node: NODE, config }
                }
                Ok(Message::Snapshot(reply)) => {
                    looks.push(Look::All(reply));
                    continue;
                }
                Ok(Message::Changes(since, reply)) => {
                    looks.push(Look::Changes(since, reply));
                    continue;
                }
                Ok(Message::Stop(deadline)) => {
                    self.stop_by = Some(deadline);
                    UserCommand::Stop
                }
                Err(TryRecvError::Empty) => return looks,
                Err(TryRecvError::Disconnected) => {
                    // The owner is gone without a word, so nobody waits for trackers.
                    if self.stop_by.is_none() {
                        self.stop_by = Some(Instant::now());
                        self.engine.inbox().user.push_back(UserCommand::Stop);
                    }
                    return looks;
                }
            };
            self.engine.inbox().user.push_back(command);
        }
    }

    /// Tells subscribers what happened; says whether the engine has stopped.
    fn publish(&mut self) -> bool {
        if self.outbox.session.is_empty() {
            return false;
        }
        let events = std::mem::take(&mut self.outbox.session);
        let mut gone = BTreeSet::new();
        for event in &events {
            match event {
                SessionEvent::Removed { torrent } => _ = gone.insert(*torrent),
                SessionEvent::MetadataCame { torrent, info } => {
                    let tiers = self.shared.registry().magnets.remove(torrent);
                    self.archive.keep(info, tiers.unwrap_or_default());
                }
                _ => {}
            }
        }
        if !gone.is_empty() {
            self.shared.forget(&gone);
        }
        let stopped = events.contains(&SessionEvent::Stopped);
        self.shared.subscribers.tell(events);
        stopped
    }

    /// How long the ports may wait: until the next tick is due, or the stop.
    fn timeout(&self) -> Option<Duration> {
        let wake_at = self.engine.wake_at();
        let tick = (wake_at != EngineTime::NEVER).then(|| wake_at.since(self.ports.clock()));
        let stop = self
            .stop_by
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        [tick, stop].into_iter().flatten().min()
    }
}
