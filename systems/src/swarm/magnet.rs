//! Torrents that a test adds by their info hash, and what puppets say of metadata (BEP 9).

use std::path::Path;

use dunlin_base::{Bitfield, InfoHash, NodeKey, PeerKey, TorrentKey};
use dunlin_port::config::{PickStrategy, Preallocation};
use dunlin_port::disk::{Check, Totals};
use dunlin_port::user::{AddMagnet, MagnetFiles, TorrentLimits, UserCommand};
use dunlin_protocol::wire::Message;
use dunlin_protocol::wire::extension::{ExtensionHandshake, ExtensionIds, MetadataMessage};

use super::disk::Disk;
use super::{Sample, Swarm, addr_of};
use crate::connect::UT_METADATA_ID;

/// The number under which puppets want messages of the exchange.
const PUPPET_ID: u8 = 77;

impl Swarm {
    /// Adds the sample to a node by its info hash alone; nothing of it is on disk.
    pub(crate) fn add_magnet(&mut self, node: u32, sample: &Sample, peers: &[u32]) {
        self.add_magnet_with(node, sample, peers, |_| {});
    }

    pub(crate) fn add_magnet_with(
        &mut self,
        node: u32,
        sample: &Sample,
        peers: &[u32],
        change: impl FnOnce(&mut AddMagnet),
    ) {
        let disk = Disk {
            info: sample.info.clone(),
            data: vec![0; sample.data.len()],
            have: Bitfield::empty(sample.info.geometry().piece_count()),
            totals: Totals::default(),
        };
        self.disks.insert(TorrentKey(node), disk);
        self.tell_magnet(node, sample.info.info_hash(), peers, change);
    }

    /// As above, for metadata that is no torrent's.
    pub(crate) fn tell_magnet(
        &mut self,
        node: u32,
        info_hash: InfoHash,
        peers: &[u32],
        change: impl FnOnce(&mut AddMagnet),
    ) {
        let mut add = AddMagnet {
            torrent: TorrentKey(node),
            node: NodeKey(node),
            info_hash,
            name: Some("a link's name".to_owned()),
            trackers: Vec::new(),
            root: Path::new("/nowhere").into(),
            files: MagnetFiles::All,
            strategy: PickStrategy::RarestFirst,
            preallocation: Preallocation::None,
            check: Check::Quick,
            paused: false,
            limits: TorrentLimits::default(),
            peers: peers.iter().map(|peer| addr_of(*peer)).collect(),
        };
        change(&mut add);
        self.tell(UserCommand::AddMagnet(Box::new(add)));
    }

    /// The sample's data is on the disk of a node that does not know yet what it is.
    pub(crate) fn place_data(&mut self, node: u32, sample: &Sample) {
        let disk = self
            .disks
            .get_mut(&TorrentKey(node))
            .expect("a torrent that was added");
        disk.data.clone_from(&sample.data);
        disk.have = disk.good();
    }

    /// A puppet's extension handshake: it exchanges metadata, and has some of this length.
    pub(crate) fn offer_metadata(&mut self, peer: PeerKey, size: Option<u32>) {
        let said = ExtensionHandshake {
            ids: ExtensionIds {
                ut_metadata: Some(PUPPET_ID),
                ..ExtensionIds::default()
            },
            metadata_size: size,
            ..ExtensionHandshake::default()
        };
        let payload = said.encode().into();
        self.say(peer, Message::Extended { id: 0, payload });
    }

    /// A puppet says something of metadata.
    pub(crate) fn say_metadata(&mut self, peer: PeerKey, message: &MetadataMessage<'_>) {
        let payload = message.encode().into();
        let id = UT_METADATA_ID;
        self.say(peer, Message::Extended { id, payload });
    }

    /// A puppet sends a part of these bytes.
    pub(crate) fn give_part(&mut self, peer: PeerKey, bytes: &[u8], part: u32) {
        let data = bytes
            .chunks(16_384)
            .nth(part as usize)
            .expect("there is such a part");
        let message = MetadataMessage::Data {
            piece: part,
            total_size: bytes.len() as u32,
            data,
        };
        self.say_metadata(peer, &message);
    }

    /// What a puppet heard of metadata since it was last asked what it heard: the parts that it is
    /// asked for, how many parts it got, and how many it was refused.
    pub(crate) fn metadata_heard_by(&mut self, peer: PeerKey) -> (Vec<u32>, usize, usize) {
        let (mut asked, mut got, mut refused) = (Vec::new(), 0, 0);
        for message in self.heard_by(peer) {
            let Message::Extended { id, payload } = message else {
                continue;
            };
            if id != PUPPET_ID {
                continue;
            }
            match MetadataMessage::decode(&payload).expect("our own message") {
                MetadataMessage::Request { piece } => asked.push(piece),
                MetadataMessage::Data { .. } => got += 1,
                MetadataMessage::Reject { .. } => refused += 1,
                MetadataMessage::Unknown => panic!("we say nothing unknown"),
            }
        }
        (asked, got, refused)
    }
}
