//! A world of one node and one torrent, a tracker double that records what it is asked, and a
//! clock that jumps to whatever is next.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use bevy_ecs::prelude::*;
use dunlin_base::{Bitfield, EngineTime, InfoHash, NodeKey, PeerId, TorrentKey};
use dunlin_components::node::{Identity, Luck, Node, Rules};
use dunlin_components::torrent::{
    Candidates, Content, Have, Lifecycle, NodeOf, SwarmHash, Torrent, Trackers, Traffic,
};
use dunlin_components::world::{
    NodeIndex, Now, PortInbox, PortOutbox, TimerKind, Timers, TorrentIndex, Wake, Work,
};
use dunlin_port::config::EngineConfig;
use dunlin_port::snapshot::SessionEvent;
use dunlin_port::tracker::{Retry, SwarmCounts, TrackerCommand, TrackerError, TrackerEvent};
use dunlin_protocol::metainfo::MetainfoBuilder;
use dunlin_protocol::tracker::{AnnounceEvent, AnnounceReply, AnnounceRequest};

pub(super) const NODE: NodeKey = NodeKey(0);
pub(super) const TORRENT: TorrentKey = TorrentKey(1);

/// What the double was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) at: EngineTime,
    pub(super) url: String,
    pub(super) request: AnnounceRequest,
}

/// How the double answers at a URL.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Reply(AnnounceReply),
    Refuse(Retry),
    Silence,
}

/// The double answers everything one second after it was asked.
pub(super) struct Bench {
    pub(super) world: World,
    pub(super) schedule: Schedule,
    pub(super) torrent: Entity,
    pub(super) asked: Vec<Asked>,
    pub(super) events: Vec<SessionEvent>,
    pub(super) answers: BTreeMap<String, Answer>,
    /// Where the double was asked for counts, and when.
    pub(super) scraped: Vec<(EngineTime, String)>,
    /// What it says; nothing when it knows of no scrapes.
    pub(super) counts: Option<SwarmCounts>,
    under_way: Vec<(EngineTime, TrackerEvent)>,
}

pub(super) fn reply(interval_secs: u32, min_interval_secs: Option<u32>) -> Answer {
    Answer::Reply(AnnounceReply {
        interval_secs,
        min_interval_secs,
        ..AnnounceReply::default()
    })
}

impl Bench {
    pub(super) fn new(tiers: &[&[&str]]) -> Self {
        let mut world = World::new();
        world.init_resource::<Now>();
        world.init_resource::<Wake>();
        world.init_resource::<Work>();
        world.init_resource::<Timers>();
        world.init_resource::<PortInbox>();
        world.init_resource::<PortOutbox>();
        let identity = Identity {
            peer_id: PeerId(*b"-DN0001-abcdefghijkl"),
            tracker_key: 77,
            listen_port: Some(6881),
        };
        let node = (
            Node(NODE),
            identity,
            Rules(EngineConfig::default()),
            Luck::new(1, NODE),
        );
        let node = world.spawn(node).id();
        world.insert_resource(NodeIndex([(NODE, node)].into()));
        // Three pieces, the last one short.
        let info = MetainfoBuilder::single_file("x", 40_000, 16384)
            .private(true)
            .build(&[[0; 20]; 3])
            .unwrap()
            .info;
        let tiers: Vec<Vec<String>> = tiers
            .iter()
            .map(|tier| tier.iter().map(|url| String::from(*url)).collect())
            .collect();
        let torrent = world
            .spawn((
                Torrent(TORRENT),
                NodeOf(node),
                SwarmHash(info.info_hash()),
                Content(info),
                Have(Bitfield::empty(3)),
                Lifecycle::Downloading,
                super::super::trackers(&tiers),
            ))
            .id();
        let mut index = TorrentIndex::default();
        index.by_key.insert(TORRENT, torrent);
        world.insert_resource(index);
        let mut schedule = Schedule::default();
        super::super::plugin(&mut schedule);
        Self {
            world,
            schedule,
            torrent,
            asked: Vec::new(),
            events: Vec::new(),
            answers: BTreeMap::new(),
            scraped: Vec::new(),
            counts: None,
            under_way: Vec::new(),
        }
    }

    pub(super) fn now(&self) -> EngineTime {
        self.world.resource::<Now>().0
    }

    pub(super) fn trackers(&self) -> &Trackers {
        self.world.get(self.torrent).unwrap()
    }

    pub(super) fn candidates(&self) -> Vec<SocketAddr> {
        let candidates: &Candidates = self.world.get(self.torrent).unwrap();
        candidates.0.keys().copied().collect()
    }

    pub(super) fn traffic(&mut self, down: u64, up: u64) {
        let now = self.now();
        let mut traffic = self.world.get_mut::<Traffic>(self.torrent).unwrap();
        traffic.down.add(now, down);
        traffic.up.add(now, up);
    }

    pub(super) fn act(&mut self, act: impl FnOnce(&mut World, Entity)) {
        act(&mut self.world, self.torrent);
        self.tick();
    }

    pub(super) fn complete(&mut self) {
        let torrent = self.torrent;
        self.world
            .entity_mut(torrent)
            .insert((Have(Bitfield::full(3)), Lifecycle::Seeding));
        self.act(super::super::completed);
    }

    /// Runs one tick, as the engine would: what is due comes in, what goes out is recorded.
    pub(super) fn tick(&mut self) {
        let now = self.now();
        self.world.insert_resource(Wake::default());
        while let Some((torrent, kind)) = self.world.resource_mut::<Timers>().pop(now) {
            assert_eq!(kind, TimerKind::Announce);
            self.world.resource_mut::<Work>().announce.insert(torrent);
        }
        let due = self.under_way.extract_if(.., |(at, _)| *at <= now);
        let due: Vec<_> = due.map(|(_, event)| event).collect();
        self.world.resource_mut::<PortInbox>().0.tracker.extend(due);
        self.schedule.run(&mut self.world);
        let mut outbox = self.world.resource_mut::<PortOutbox>();
        let commands = core::mem::take(&mut outbox.0.tracker);
        self.events.append(&mut outbox.0.session);
        for command in commands {
            self.record(command);
        }
    }

    fn record(&mut self, command: TrackerCommand) {
        let at = self.now();
        let (torrent, tracker, url, request) = match command {
            TrackerCommand::Announce {
                torrent,
                tracker,
                url,
                request,
                ..
            } => (torrent, tracker, url, request),
            TrackerCommand::Scrape {
                torrent,
                tracker,
                url,
                info_hash,
            } => {
                assert_eq!(info_hash, self.info_hash());
                self.scraped.push((at, url));
                let no = || TrackerError::Forbidden("no scrapes here".into());
                let event = TrackerEvent::Scraped {
                    torrent,
                    tracker,
                    result: self.counts.ok_or_else(no),
                };
                return self.under_way.push((at + Duration::from_secs(1), event));
            }
        };
        let error = |retry| TrackerError::Refused {
            reason: "no".into(),
            retry,
        };
        let result = match self.answers.get(&url) {
            Some(Answer::Reply(reply)) => Ok(reply.clone()),
            Some(Answer::Refuse(retry)) => Err(error(*retry)),
            Some(Answer::Silence) => Err(TrackerError::Unreachable("timed out".into())),
            None => Ok(AnnounceReply::default()),
        };
        let event = TrackerEvent::Announced {
            torrent,
            tracker,
            result,
        };
        self.under_way.push((at + Duration::from_secs(1), event));
        self.asked.push(Asked { at, url, request });
    }

    /// Lives for so many seconds.
    pub(super) fn live(&mut self, secs: u64) {
        let end = self.now() + Duration::from_secs(secs);
        loop {
            self.tick();
            let answers = self.under_way.iter().map(|(at, _)| *at);
            let next = answers.fold(self.world.resource::<Timers>().next(), Ord::min);
            let next = next.min(self.world.resource::<Wake>().at());
            if next > end {
                break;
            }
            self.world.resource_mut::<Now>().0 = next.max(self.now());
        }
        self.world.resource_mut::<Now>().0 = end;
        self.tick();
    }

    pub(super) fn told(&self, event: AnnounceEvent) -> Vec<&Asked> {
        let of = |asked: &&Asked| asked.request.event == event;
        self.asked.iter().filter(of).collect()
    }

    pub(super) fn urls(&self) -> Vec<&str> {
        self.asked.iter().map(|asked| asked.url.as_str()).collect()
    }

    pub(super) fn info_hash(&self) -> InfoHash {
        self.world
            .get::<Content>(self.torrent)
            .unwrap()
            .0
            .info_hash()
    }
}
