//! Goal: a recording plays to the same digests; whatever happened to its bytes, reading it ends in
//! an answer or in an error that names the place; two recordings part where they part.
//! Method: a small swarm is recorded into memory, then cut, damaged and compared.

use core::ops::ControlFlow;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use dunlin_base::{Bitfield, NodeKey, PeerId, PeerKey, TorrentKey};
use dunlin_port::Inbox;
use dunlin_port::config::EngineConfig;
use dunlin_port::disk::{DiskError, DiskErrorKind, DiskEvent, Totals};
use dunlin_port::net::{CloseReason, NetEvent};
use dunlin_port::tracker::{AnnounceReply, Retry, TrackerError, TrackerEvent};
use dunlin_port::user::{TorrentLimits, UserCommand};
use dunlin_protocol::wire::{BlockRequest, Message};
use dunlin_systems::Engine;
use proptest::prelude::*;

use super::border::{Taken, get_given, put_given};
use super::reader::Reader;
use super::*;
use crate::run::run_recorded;
use crate::schema::{Override, Scenario};

/// A file that the test keeps.
#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<u8>>>);

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics with it").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Tape {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("nobody panics with it").clone()
    }
}

/// A swarm of a few nodes, its final digest, and its recording.
fn swarm(overrides: &[&str]) -> (u64, Vec<u8>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("minimal.ron");
    let mut all: Vec<Override> = vec!["content.size=1MiB".parse().expect("an override")];
    all.extend(
        overrides
            .iter()
            .map(|text| text.parse::<Override>().expect("an override")),
    );
    let scenario = Scenario::load(&path, &all).expect("it is shipped");
    let tape = Tape::default();
    let go_on = &mut |_: &_| ControlFlow::Continue(());
    let record = run_recorded(&scenario, Box::new(tape.clone()), go_on).expect("it runs");
    (record.digest, tape.bytes())
}

fn play(bytes: &[u8]) -> Result<Replayed, RecordingError> {
    replay(bytes, &mut |_| ControlFlow::Continue(()))
}

fn compare(left: &[u8], right: &[u8]) -> Difference {
    diff(left, right, &mut |_| ControlFlow::Continue(())).expect("whole recordings")
}

#[test]
fn a_recording_plays_to_the_same_digests() {
    let (digest, bytes) = swarm(&[]);
    let replayed = play(&bytes).expect("a whole recording");
    assert_eq!(replayed.digest, digest);
    assert_eq!((replayed.cut_at, replayed.mismatch), (None, None));
    assert!(replayed.ticks > 100, "{}", replayed.ticks);
}

#[test]
fn a_cut_recording_plays_up_to_the_cut() {
    let (_, bytes) = swarm(&[]);
    let mut ticks = 0;
    for cut in (0..bytes.len()).step_by(bytes.len() / 40) {
        match play(&bytes[..cut]) {
            Ok(replayed) => {
                assert_eq!(replayed.mismatch, None, "cut at {cut}");
                assert!(replayed.cut_at.is_some_and(|at| at <= cut as u64));
                assert!(replayed.ticks >= ticks.max(1));
                ticks = replayed.ticks;
            }
            // Only before the end of the first tick.
            Err(error) => assert!(ticks == 0 && cut < 20_000, "{error}, cut at {cut}"),
        }
    }
    assert!(ticks > 100, "{ticks}");
}

#[test]
fn a_recording_without_a_tick_is_an_error() {
    let (_, bytes) = swarm(&[]);
    // Cut ever later, up to the first that leaves a tick.
    let errors = (0..bytes.len())
        .step_by(37)
        .map_while(|cut| play(&bytes[..cut]).err());
    let kinds: Vec<RecordingErrorKind> = errors.map(|error| error.kind).collect();
    let without = kinds
        .iter()
        .skip_while(|kind| matches!(kind, RecordingErrorKind::NotARecording));
    let without: Vec<&RecordingErrorKind> = without.collect();
    assert!(without.len() > 8, "{kinds:?}");
    let all = without
        .iter()
        .all(|kind| matches!(kind, RecordingErrorKind::NoTick));
    assert!(all, "{without:?}");
}

#[test]
fn damage_is_found_before_it_is_played() {
    let (_, bytes) = swarm(&[]);
    for at in (0..bytes.len()).step_by(bytes.len() / 40) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        match play(&damaged) {
            // A length that is too long looks like a cut.
            Ok(replayed) => assert!(replayed.cut_at.is_some(), "damage at {at}"),
            Err(error) => assert!(error.at <= at as u64 + 8, "{error}, damage at {at}"),
        }
    }
    assert!(matches!(
        play(b"a text, and a long one at that").unwrap_err().kind,
        RecordingErrorKind::NotARecording
    ));
    let mut newer = bytes;
    newer[8] = 9;
    assert!(matches!(
        play(&newer).unwrap_err().kind,
        RecordingErrorKind::Version(9)
    ));
}

#[test]
fn recordings_part_where_they_part() {
    let (_, bytes) = swarm(&[]);
    let same = compare(&bytes, &bytes);
    assert!(same.parting.is_none() && same.same_ticks > 100);

    let (_, lucky) = swarm(&["rng_seed=2"]);
    let parting = compare(&bytes, &lucky).parting.expect("other luck");
    assert_eq!(parting.tick, 1);
    assert!(
        parting
            .rows
            .iter()
            .any(|row| (row.table, &*row.row) == ("Luck", "node 0"))
    );

    let (_, cut_off) =
        swarm(&["faults=[(at: \"3s\", what: CutConnections(class: \"leech\", share: 1.0))]"]);
    let difference = compare(&bytes, &cut_off);
    let parting = difference.parting.expect("connections were cut");
    assert!(difference.same_ticks > 20, "{}", difference.same_ticks);
    let [before, after] = parting.given.expect("other events");
    assert!(before != after && after.contains("cut"), "{before} {after}");
    assert!(
        parting.rows.iter().any(|row| row.row.starts_with("peer ")),
        "{:?}",
        parting.rows
    );

    let shorter = compare(&bytes, &bytes[..bytes.len() / 2]);
    let parting = shorter.parting.expect("one ends sooner");
    assert!(matches!(parting.at, [Some(_), None]));
}

#[test]
fn runs_by_other_rules_part_in_the_table_of_rules() {
    let (_, bytes) = swarm(&[]);
    let nodes = (0..5).map(|node| ("Rules", format!("node {node}")));
    // A torrent may be told how to choose its pieces, so it keeps that for itself.
    let torrents = (0..5).map(|torrent| ("Selection", format!("torrent {torrent}")));
    let rules: Vec<_> = nodes.collect();
    let rules_and_selections = [rules.clone(), torrents.collect()].concat();
    for (change, rule, expected) in [
        ("strategy.slots=Fixed(3)", "choke.slots", &rules),
        (
            "strategy.choke_interval=\"7s\"",
            "choke.interval-secs",
            &rules,
        ),
        (
            "strategy.pick=Sequential",
            "pick.strategy",
            &rules_and_selections,
        ),
    ] {
        let (_, other) = swarm(&[change]);
        let parting = compare(&bytes, &other).parting.expect("other rules");
        assert_eq!(parting.tick, 1, "{change}");
        let rows = parting.rows.iter().map(|row| (row.table, row.row.clone()));
        assert_eq!(rows.collect::<Vec<_>>(), *expected, "{change}");
        let [before, after] = parting.given.expect("the rules are given");
        let names = |words: &str| words.starts_with(&format!("node 0: {rule}"));
        assert!(names(&before) && names(&after), "{before} {after}");
        assert_ne!(before, after);
    }
}

const PEER: PeerKey = PeerKey::incoming(7);
const TORRENT: TorrentKey = TorrentKey(1);
const BLOCK: BlockRequest = BlockRequest {
    piece: 1,
    begin: 2,
    len: 3,
};

fn addr() -> SocketAddr {
    "[fe80::1%3]:9".parse().expect("an address")
}

fn net_events() -> Vec<NetEvent> {
    let (peer, node) = (PEER, NodeKey(2));
    let say = |message| NetEvent::Message { peer, message };
    vec![
        NetEvent::Accepted {
            peer,
            node,
            addr: addr(),
        },
        say(Message::Bitfield(vec![1, 2].into())),
        say(Message::Request(BLOCK)),
        say(Message::Extended {
            id: 3,
            payload: vec![0; 9].into(),
        }),
        NetEvent::Block {
            peer,
            piece: 1,
            begin: 2,
            payload: dunlin_port::BlockBuffer::declared(16_384, 5),
        },
        NetEvent::Closed {
            peer,
            reason: CloseReason::Broken("why".to_owned()),
        },
    ]
}

fn tracker_events() -> Vec<TrackerEvent> {
    let reply = AnnounceReply {
        peers: vec![addr()],
        external_ip: Some(addr().ip()),
        ..AnnounceReply::default()
    };
    let refused = TrackerError::Refused {
        reason: "no".to_owned(),
        retry: Retry::AfterMinutes(3),
    };
    vec![
        TrackerEvent::Announced {
            torrent: TORRENT,
            tracker: 1,
            result: Ok(reply),
        },
        TrackerEvent::Scraped {
            torrent: TORRENT,
            tracker: 1,
            result: Err(refused),
        },
    ]
}

/// One of each kind of event that has something of its own to be read.
fn events() -> Inbox {
    let error = DiskError {
        kind: DiskErrorKind::Full,
        message: "no space".to_owned(),
    };
    let torrent = TORRENT;
    let opened = DiskEvent::Opened {
        torrent,
        have: Bitfield::full(11),
        checked: 1,
        totals: Totals::default(),
    };
    let read = DiskEvent::Read {
        torrent,
        peer: PEER,
        block: BLOCK,
        result: Err(error),
    };
    let configure = UserCommand::Configure {
        node: NodeKey(2),
        config: Box::new(EngineConfig::default()),
    };
    let limits = TorrentLimits {
        connections: Some(3),
        ..TorrentLimits::default()
    };
    Inbox {
        net: net_events().into(),
        disk: [opened, read].into(),
        hash: [].into(),
        tracker: tracker_events().into(),
        user: [
            configure,
            UserCommand::SetLimits { torrent, limits },
            UserCommand::Stop,
        ]
        .into(),
    }
}

#[test]
fn events_are_read_as_they_were_written() {
    let inbox = events();
    let mut bytes = Vec::new();
    put_given(
        dunlin_base::EngineTime::from_secs(3),
        &inbox,
        Taken::default(),
        &mut bytes,
    );
    let given = get_given(&mut Input::new(&bytes)).expect("what was written");
    let words = |inbox: &Inbox| {
        format!(
            "{:?} {:?} {:?} {:?}",
            inbox.net, inbox.disk, inbox.tracker, inbox.user
        )
    };
    assert_eq!(words(&given.inbox), words(&inbox));
    for cut in 0..bytes.len() {
        assert!(
            get_given(&mut Input::new(&bytes[..cut])).is_err(),
            "cut at {cut}"
        );
    }
}

#[test]
fn an_error_of_the_file_ends_the_recording_and_not_the_engine() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self
                .0
                .checked_sub(bytes.len())
                .ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut engine = Engine::new(1, 1 << 20);
    let mut recorder = Recorder::new(Box::new(Full(2000)), 1, 1 << 20).expect("it begins");
    let settings = dunlin_systems::NodeSettings {
        node: NodeKey(0),
        peer_id: PeerId([1; 20]),
        config: EngineConfig::default(),
    };
    recorder.add_node(&mut engine, settings);
    (0..20).for_each(|at| recorder.tick(&mut engine, dunlin_base::EngineTime::from_secs(at)));
    assert_eq!(
        recorder.finish().map_err(|error| error.kind()),
        Err(io::ErrorKind::StorageFull)
    );
}

/// Entries whose check sums fit, whatever they say.
fn forged(bodies: &[Vec<u8>]) -> Vec<u8> {
    let tape = Tape::default();
    drop(Recorder::new(Box::new(tape.clone()), 1, 1).expect("memory"));
    let mut bytes = tape.bytes();
    for body in bodies {
        let len = body.len() as u32;
        bytes.extend(len.to_le_bytes());
        bytes.extend(check_sum(len, body).to_le_bytes());
        bytes.extend(body);
    }
    bytes
}

proptest! {
    /// Reading ends in entries, an end or an error, whatever is in it.
    #[test]
    fn reading_is_total(
        bodies in prop::collection::vec((0..6_u8, prop::collection::vec(any::<u8>(), 0..200)), 0..6),
    ) {
        let bodies: Vec<Vec<u8>> = bodies
            .into_iter()
            .map(|(kind, rest)| [&[kind], &*rest].concat())
            .collect();
        let bytes = forged(&bodies);
        let (mut reader, _) = Reader::open(&*bytes).expect("a good beginning");
        while let Ok(Some(_)) = reader.next() {}
    }

    /// As above, for entries that are nearly right.
    #[test]
    fn reading_what_is_nearly_right_is_total(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = Vec::new();
        put_given(dunlin_base::EngineTime::START, &events(), Taken::default(), &mut bytes);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        drop(get_given(&mut Input::new(&bytes)));
    }
}
