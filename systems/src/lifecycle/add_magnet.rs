//! A torrent begins by its info hash alone, and becomes one like others when its metadata is there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bevy_ecs::prelude::*;
use dunlin_base::{Bitfield, EngineTime};
use dunlin_components::peer::{EarlyHaves, Hello, MetadataRequests, RemoteHave};
use dunlin_components::torrent::{
    Content, Have, Lifecycle, MetadataFetch, Peers, Place, Selection, Torrent, Wanted,
};
use dunlin_components::world::{PortOutbox, RoutedEvents};
use dunlin_port::disk::DiskCommand;
use dunlin_port::net::NetCommand;
use dunlin_port::snapshot::SessionEvent;
use dunlin_port::user::{AddMagnet, FilePriority, MagnetFiles};
use dunlin_protocol::metainfo::Info;

use super::add::{Newcomer, enter};
use super::{rest, select};

/// Adds a torrent without content. As with other torrents, its caller looks info hashes up first.
pub(super) fn add(world: &mut World, add: AddMagnet) {
    let entity = enter(
        world,
        Newcomer {
            torrent: add.torrent,
            node: add.node,
            info_hash: add.info_hash,
            peers: &add.peers,
            trackers: &add.trackers,
            selection: Selection {
                files: Vec::new(),
                pieces: BTreeMap::new(),
                strategy: add.strategy,
            },
            place: Place {
                root: add.root,
                preallocation: add.preallocation,
                as_is: false,
            },
            limits: add.limits,
            lifecycle: Lifecycle::Paused,
        },
    );
    let Some(entity) = entity else { return };
    world.entity_mut(entity).insert(MetadataFetch {
        name: add.name,
        files: add.files,
        check: add.check,
        one_sender: false,
        copies: BTreeMap::new(),
    });
    if !add.paused {
        rest::start(world, entity);
    }
}

/// Moves a torrent that has no files yet.
pub(super) fn relocate(world: &mut World, entity: Entity, root: PathBuf) {
    let (Some(torrent), Some(mut place)) = (
        world.get::<Torrent>(entity).map(|row| row.0),
        world.get_mut::<Place>(entity),
    ) else {
        return;
    };
    place.root = root.as_path().into();
    let moved = SessionEvent::Moved {
        torrent,
        root,
        error: None,
    };
    world.resource_mut::<PortOutbox>().0.session.push(moved);
}

/// The metadata is there and is what the info hash says: the torrent goes on like any other. Its
/// peers stay, and what they said of their pieces is heard now.
pub(crate) fn adopt(world: &mut World, entity: Entity, info: &Arc<Info>) {
    let Some(fetch) = world.entity_mut(entity).take::<MetadataFetch>() else {
        return;
    };
    let (Some(torrent), Some(place), Some(strategy)) = (
        world.get::<Torrent>(entity).map(|row| row.0),
        world.get::<Place>(entity).cloned(),
        world.get::<Selection>(entity).map(|row| row.strategy),
    ) else {
        return;
    };
    let pieces = info.geometry().piece_count();
    let files = priorities(&fetch.files, info.files().len());
    let open = DiskCommand::Open {
        torrent,
        info: Arc::clone(info),
        root: place.root,
        preallocation: place.preallocation,
        wanted: files
            .iter()
            .map(|priority| *priority != FilePriority::Skip)
            .collect(),
        check: fetch.check,
        as_is: place.as_is,
    };
    let paused = fetch.files == MagnetFiles::Undecided;
    let lifecycle = Lifecycle::Opening {
        done: 0,
        of: 0,
        paused,
    };
    world.entity_mut(entity).insert((
        Content(Arc::clone(info)),
        Have(Bitfield::empty(pieces)),
        Wanted(Bitfield::empty(pieces)),
        Selection {
            files,
            pieces: BTreeMap::new(),
            strategy,
        },
        lifecycle,
    ));
    let came = SessionEvent::MetadataCame {
        torrent,
        info: Arc::clone(info),
    };
    let outbox = &mut world.resource_mut::<PortOutbox>().into_inner().0;
    outbox.session.push(came);
    outbox.disk.push(open);
    // A handshake that comes while the files are opened would find the torrent at rest.
    rest::hang_up_half_open(world, entity);
    if paused {
        rest::leave(world, entity);
    }
    introduce_again(world, entity, pieces);
}

/// Peers that are there already: their bits get a length, and they learn that we have the metadata.
fn introduce_again(world: &mut World, entity: Entity, pieces: u32) {
    let peers: Vec<_> = world.get::<Peers>(entity).map_or_else(Vec::new, |peers| {
        peers.0.iter().map(|(&peer, &row)| (peer, row)).collect()
    });
    let mut heard = Vec::new();
    for &(peer, row) in &peers {
        let mut row = world.entity_mut(row);
        let early = row.take::<EarlyHaves>().unwrap_or_default();
        row.remove::<MetadataRequests>();
        row.insert(RemoteHave {
            bits: Bitfield::empty(pieces),
            counted_as_seed: false,
            told: false,
        });
        let messages = early.into_messages().into_iter();
        heard.extend(messages.map(|message| (peer, message)));
    }
    // What is wanted has to be known before anybody is told whether anything is.
    select::apply_selection(world, entity);
    for (peer, row) in peers {
        let speaks = world
            .get::<Hello>(row)
            .is_some_and(|hello| hello.reserved.extension_protocol());
        if speaks && let Some(message) = crate::connect::extension_handshake(world, row, entity) {
            let send = NetCommand::Send { peer, message };
            world.resource_mut::<PortOutbox>().0.net.push(send);
        }
    }
    // Before what has come since.
    let haves = &mut world.resource_mut::<RoutedEvents>().into_inner().haves;
    haves.splice(0..0, heard);
}

/// How much each file is wanted, now that there are files.
fn priorities(wish: &MagnetFiles, files: usize) -> Vec<FilePriority> {
    let wanted = |file: u32| match wish {
        MagnetFiles::All => true,
        MagnetFiles::Only(selection) => selection.contains(file),
        MagnetFiles::Undecided => false,
    };
    let mut priorities: Vec<_> = (0..)
        .take(files)
        .map(|file| match wanted(file) {
            true => FilePriority::Normal,
            false => FilePriority::Skip,
        })
        .collect();
    let nothing = priorities
        .iter()
        .all(|priority| *priority == FilePriority::Skip);
    if nothing && *wish != MagnetFiles::Undecided {
        priorities.fill(FilePriority::Normal);
    }
    priorities
}

/// The metadata is what the info hash says, but no torrent that can be downloaded: nothing that
/// peers could send would change that.
pub(crate) fn condemn(world: &mut World, entity: Entity, reason: String) {
    let Some(torrent) = world.get::<Torrent>(entity).map(|row| row.0) else {
        return;
    };
    rest::leave(world, entity);
    let event = SessionEvent::TorrentStopped {
        torrent,
        reason: reason.clone(),
        retry_secs: None,
    };
    world.resource_mut::<PortOutbox>().0.session.push(event);
    if let Some(mut lifecycle) = world.get_mut::<Lifecycle>(entity) {
        *lifecycle = Lifecycle::Stopped {
            reason,
            retry_at: EngineTime::NEVER,
        };
    }
}
