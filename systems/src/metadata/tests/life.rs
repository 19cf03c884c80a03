//! Goal: a torrent that was added by its info hash becomes one like others, whatever is done to it
//! meanwhile. Method: nodes of one swarm.

use core::time::Duration;

use dunlin_base::{NodeKey, TorrentKey};
use dunlin_components::torrent::{Lifecycle, Selection};
use dunlin_components::world::TorrentIndex;
use dunlin_port::config::EngineConfig;
use dunlin_port::snapshot::{Reason, SessionEvent, TorrentState};
use dunlin_port::tracker::{AnnounceReply, TrackerCommand, TrackerEvent};
use dunlin_port::user::{FilePriority, MagnetFiles, UserCommand};
use dunlin_protocol::magnet::FileSelection;

use super::{dials, knows, node, sample, size, state};
use crate::swarm::puppet::{Puppet, able, puppet_addr};
use crate::swarm::{Sample, Swarm, addr_of};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_node_gets_metadata_and_content_over_one_connection() {
    let sample = sample();
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    swarm.add(0, &sample, true, &[]);
    swarm.add_magnet(1, &sample, &[0]);
    assert!(swarm.run_until(MINUTE, |swarm| swarm.is_complete(1)));
    assert!(knows(&swarm, 1, &sample));
    assert_eq!(dials(&swarm, 1), 1, "the peer that told it stays");
    assert_eq!(state(&mut swarm, 1), Some(Lifecycle::Seeding));
}

/// As most links are: a tracker, and nobody's address.
#[test]
fn a_tracker_alone_leads_to_the_metadata() {
    let sample = sample();
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    swarm.add(0, &sample, true, &[]);
    swarm.add_magnet_with(1, &sample, &[], |add| {
        add.trackers = vec![vec!["http://tracker.example/announce".to_owned()]];
    });
    swarm.tell(UserCommand::Listening {
        node: NodeKey(1),
        port: 6881,
    });
    let asked = |swarm: &mut Swarm| !swarm.announces.is_empty();
    assert!(swarm.run_until(MINUTE, asked));
    let reply = AnnounceReply {
        peers: vec![addr_of(0)],
        ..AnnounceReply::default()
    };
    let inbox = &mut swarm.engine.inbox().tracker;
    inbox.push_back(TrackerEvent::Announced {
        torrent: TorrentKey(1),
        tracker: 0,
        result: Ok(reply),
    });
    assert!(swarm.run_until(MINUTE, |swarm| swarm.is_complete(1)));
}

#[test]
fn metadata_of_one_part_comes_too() {
    let sample = Sample::new(100_000, 16_384);
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    swarm.add(0, &sample, true, &[]);
    swarm.add_magnet(1, &sample, &[0]);
    assert!(swarm.run_until(MINUTE, |swarm| swarm.is_complete(1)));
}

/// Node 2 knows only node 1, which has no metadata either when they meet.
#[test]
fn metadata_is_passed_on_to_who_was_there_before_it() {
    let sample = sample();
    let mut swarm = Swarm::new(3, &EngineConfig::default());
    swarm.add_magnet(1, &sample, &[]);
    swarm.add_magnet(2, &sample, &[1]);
    swarm.run_for(Duration::from_secs(5));
    assert_eq!(state(&mut swarm, 2), Some(Lifecycle::Metadata));
    swarm.add(0, &sample, true, &[1]);
    assert!(swarm.run_until(MINUTE, |swarm| swarm.is_complete(2)));
    assert_eq!(dials(&swarm, 2), 1);
}

#[test]
fn many_peers_at_once_repeat_to_the_message() {
    let run = || {
        let sample = sample();
        let mut swarm = Swarm::new(6, &EngineConfig::default());
        (0..3).for_each(|node| swarm.add(node, &sample, true, &[]));
        (3..6).for_each(|node| swarm.add_magnet(node, &sample, &[0, 1, 2, 3, 4, 5]));
        let all = |swarm: &mut Swarm| (3..6).all(|node| swarm.is_complete(node));
        assert!(swarm.run_until(MINUTE, all));
        (swarm.now, format!("{:?}{:?}", swarm.wire, swarm.events))
    };
    assert!(run() == run());
}

#[test]
fn what_peers_said_of_their_pieces_before_is_heard() {
    let (mut swarm, sample) = node();
    let peers = [1, 2, 3].map(|n| swarm.join(0, &sample, n, able()));
    let pieces = sample.info.geometry().piece_count();
    let [some, liar, seed] = peers;
    let have = |piece| dunlin_protocol::wire::Message::Have(piece);
    swarm.say(some, dunlin_protocol::wire::Message::HaveNone);
    swarm.say(some, have(3));
    swarm.say(liar, have(pieces));
    swarm.say(seed, dunlin_protocol::wire::Message::HaveAll);
    swarm.offer_metadata(some, Some(size(&sample)));
    for part in 0..3 {
        swarm.give_part(some, sample.info.raw(), part);
    }
    swarm.step();
    let view = swarm.engine.snapshot().torrents.remove(0);
    let have: Vec<_> = view.peers.iter().map(|peer| peer.have_pieces).collect();
    assert_eq!(have, [1, pieces]);
    assert!(swarm.closed.contains(&liar), "no such piece");
    assert_eq!(view.copies, 1);
}

#[test]
fn who_was_just_called_when_the_metadata_came_is_called_again_at_once() {
    let sample = sample();
    let mut swarm = Swarm::new(2, &EngineConfig::default());
    let silent = puppet_addr(1);
    swarm.place_puppet(silent, Puppet::Silent);
    swarm.add(0, &sample, true, &[]);
    swarm.add_magnet_with(1, &sample, &[0], |add| add.peers.push(silent));
    assert!(swarm.run_until(MINUTE, |swarm| knows(swarm, 1, &sample)));
    let came_at = swarm.now;
    swarm.run_for(Duration::from_millis(50));
    let calls = swarm.dials.iter().filter(|(_, _, addr)| *addr == silent);
    let calls: Vec<_> = calls.map(|(at, ..)| *at).collect();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(calls[1] - came_at < Duration::from_millis(20));
}

#[test]
fn data_that_is_on_disk_already_is_found_and_offered() {
    let sample = sample();
    let mut swarm = Swarm::new(3, &EngineConfig::default());
    swarm.add(0, &sample, false, &[]);
    swarm.add(2, &sample, false, &[]);
    swarm.add_magnet(1, &sample, &[0, 2]);
    swarm.place_data(1, &sample);
    let both = |swarm: &mut Swarm| swarm.is_complete(0) && swarm.is_complete(2);
    assert!(swarm.run_until(Duration::from_secs(20), both));
}

#[test]
fn it_can_be_paused_and_resumed_and_removed_without_metadata() {
    let (mut swarm, sample) = node();
    let torrent = TorrentKey(0);
    let peer = swarm.join(0, &sample, 1, able());
    swarm.tell(UserCommand::Pause { torrent });
    swarm.tell(UserCommand::Recheck { torrent });
    swarm.step();
    assert!(swarm.closed.contains(&peer));
    assert_eq!(state(&mut swarm, 0), Some(Lifecycle::Paused));
    swarm.tell(UserCommand::Move {
        torrent,
        root: "/elsewhere".into(),
    });
    swarm.tell(UserCommand::Resume { torrent });
    swarm.step();
    assert_eq!(state(&mut swarm, 0), Some(Lifecycle::Metadata));
    let view = swarm.engine.snapshot().torrents.remove(0);
    assert_eq!(view.root.to_str(), Some("/elsewhere"));
    swarm.tell(UserCommand::Remove {
        torrent,
        delete_files: true,
    });
    swarm.run_for(Duration::from_secs(1));
    assert!(swarm.events.contains(&SessionEvent::Removed { torrent }));
    // The same info hash again, under a new key.
    swarm.add_magnet(0, &sample, &[]);
    swarm.tell(UserCommand::Stop);
    swarm.run_for(Duration::from_secs(1));
    assert!(swarm.events.contains(&SessionEvent::Stopped));
}

#[test]
fn only_the_files_of_the_link_are_wanted() {
    let sample = Sample::folder(&[100_000, 100_000, 100_000], 16_384);
    let wish = |files: MagnetFiles| {
        let mut swarm = Swarm::new(2, &EngineConfig::default());
        swarm.add(0, &sample, true, &[]);
        swarm.add_magnet_with(1, &sample, &[0], |add| add.files = files);
        swarm.run_for(MINUTE);
        let world = swarm.engine.world();
        let entity = world.resource::<TorrentIndex>().get(TorrentKey(1));
        let selection = entity.and_then(|entity| world.get::<Selection>(entity));
        let files = selection.expect("a torrent").files.clone();
        (swarm, files)
    };
    let (skip, normal) = (FilePriority::Skip, FilePriority::Normal);
    let (swarm, files) = wish(MagnetFiles::Only(FileSelection::new([1..=1])));
    assert_eq!(files, [skip, normal, skip]);
    assert_eq!(swarm.on_disk(1), 7, "pieces 6 to 12 hold the second file");
    let (_, files) = wish(MagnetFiles::Only(FileSelection::new([7..=9])));
    assert_eq!(files, [normal; 3], "of no file that there is");

    let (mut swarm, files) = wish(MagnetFiles::Undecided);
    assert_eq!(files, [skip; 3]);
    assert_eq!(state(&mut swarm, 1), Some(Lifecycle::Paused));
    let torrent = TorrentKey(1);
    assert!(!swarm.events.contains(&SessionEvent::Completed { torrent }));
    swarm.tell(UserCommand::SetFilePriorities {
        torrent,
        priorities: vec![skip, skip, normal],
    });
    swarm.tell(UserCommand::Resume { torrent });
    swarm.run_for(Duration::from_secs(5));
    assert!(swarm.events.contains(&SessionEvent::Completed { torrent }));
    assert_eq!(swarm.on_disk(1), 7);
}

#[test]
fn trackers_are_asked_for_peers_and_not_told_that_nothing_is_missing() {
    let sample = sample();
    let mut swarm = Swarm::new(1, &EngineConfig::default());
    swarm.add_magnet_with(0, &sample, &[], |add| {
        add.trackers = vec![vec!["http://tracker.example/announce".to_owned()]];
    });
    swarm.tell(UserCommand::Listening {
        node: NodeKey(0),
        port: 6881,
    });
    swarm.step();
    let [TrackerCommand::Announce { request, .. }] = &swarm.announces[..] else {
        panic!("one announce, not {:?}", swarm.announces);
    };
    assert_eq!(request.info_hash, sample.info.info_hash());
    assert_eq!(request.numwant, Some(200));
    assert!(request.left > 0);
}

#[test]
fn viewers_see_why_it_takes_its_time() {
    let (mut swarm, sample) = node();
    let look = |swarm: &mut Swarm| {
        let view = swarm.engine.snapshot().torrents.remove(0);
        (view.name.clone(), view.state.clone(), view.why[0].clone())
    };
    let none = TorrentState::Metadata {
        done_bytes: 0,
        of_bytes: 0,
    };
    let name = "a link's name".to_owned();
    assert_eq!(
        look(&mut swarm),
        (name.clone(), none.clone(), Reason::NoPeersKnown)
    );
    let peer = swarm.join(0, &sample, 1, able());
    let reason = Reason::MetadataNotOffered { peers: 1 };
    assert_eq!(look(&mut swarm), (name.clone(), none, reason));
    swarm.offer_metadata(peer, Some(size(&sample)));
    swarm.give_part(peer, sample.info.raw(), 1);
    let some = TorrentState::Metadata {
        done_bytes: 16_384,
        of_bytes: size(&sample),
    };
    let reason = Reason::MetadataAsked { peers: 1 };
    assert_eq!(look(&mut swarm), (name, some, reason));
}
