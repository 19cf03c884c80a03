//! From stable keys to this world's entities. Ordered maps: a walk is the same in every run.

use std::collections::BTreeMap;

use bevy_ecs::prelude::{Entity, Resource};
use dunlin_base::{EngineTime, InfoHash, NodeKey, PeerKey, TorrentKey, prefetch};

/// Entities of nodes.
#[derive(Resource, Default, Debug)]
pub struct NodeIndex(pub BTreeMap<NodeKey, Entity>);

/// Entities of torrents, by key and by info hash.
#[derive(Resource, Default, Debug)]
pub struct TorrentIndex {
    /// By key.
    pub by_key: BTreeMap<TorrentKey, Entity>,
    /// By node and info hash, for handshakes.
    pub by_hash: BTreeMap<(NodeKey, InfoHash), TorrentKey>,
}

impl TorrentIndex {
    /// The torrent's entity, while it exists.
    #[must_use]
    pub fn get(&self, torrent: TorrentKey) -> Option<Entity> {
        self.by_key.get(&torrent).copied()
    }
}

/// Entities of peers, and when each was last heard. Looked up for every message: keys are numbers that
/// grow, so the rows are in pages by number, and a page goes when its last peer has gone. That a peer
/// was heard is noted beside its entity, since the one is asked for and the other told by every message.
#[derive(Resource, Default, Debug)]
pub struct PeerIndex {
    /// Pages of outgoing and of incoming connections.
    pages: [Vec<Option<Box<Page>>>; 2],
    len: usize,
    /// Number of the last outgoing connection.
    next_outgoing: u64,
}

const PAGE: usize = 64;

#[derive(Debug)]
struct Page {
    rows: [Row; PAGE],
    count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    entity: Option<Entity>,
    heard_at: EngineTime,
}

const NOBODY: Row = Row {
    entity: None,
    heard_at: EngineTime::START,
};

impl PeerIndex {
    fn place(peer: PeerKey) -> (usize, usize, usize) {
        let number = (peer.raw() >> 1) as usize;
        let direction = usize::from(peer.is_incoming());
        (direction, number / PAGE, number % PAGE)
    }

    /// Asks for the row of a peer, which will be needed soon.
    pub fn prefetch(&self, peer: PeerKey) {
        let (direction, page, place) = Self::place(peer);
        let page = self.pages[direction].get(page).and_then(Option::as_ref);
        page.into_iter()
            .for_each(|page| prefetch(&page.rows[place]));
    }

    /// The peer's entity, while it exists.
    #[must_use]
    pub fn get(&self, peer: PeerKey) -> Option<Entity> {
        let (direction, page, place) = Self::place(peer);
        self.pages[direction].get(page)?.as_ref()?.rows[place].entity
    }

    fn row_mut(&mut self, peer: PeerKey) -> Option<&mut Row> {
        let (direction, page, place) = Self::place(peer);
        let page = self.pages[direction].get_mut(page)?.as_mut()?;
        Some(&mut page.rows[place])
    }

    /// Notes that a peer was heard, if it is there; its entity.
    pub fn hear(&mut self, peer: PeerKey, now: EngineTime) -> Option<Entity> {
        let row = self.row_mut(peer)?;
        row.heard_at = now;
        row.entity
    }

    /// When a peer was last heard: when it was inserted, if not since.
    #[must_use]
    pub fn heard_at(&self, peer: PeerKey) -> EngineTime {
        let (direction, page, place) = Self::place(peer);
        let page = self.pages[direction].get(page).and_then(Option::as_ref);
        page.map_or(EngineTime::START, |page| page.rows[place].heard_at)
    }

    /// Notes the entity of a peer that comes now.
    ///
    /// # Panics
    /// When the peer is there already.
    pub fn insert(&mut self, peer: PeerKey, entity: Entity, now: EngineTime) {
        let (direction, page, place) = Self::place(peer);
        let pages = &mut self.pages[direction];
        if pages.len() <= page {
            pages.resize_with(page + 1, || None);
        }
        let page = pages[page].get_or_insert_with(|| {
            Box::new(Page {
                rows: [NOBODY; PAGE],
                count: 0,
            })
        });
        let row = &mut page.rows[place];
        assert!(row.entity.is_none(), "{peer} is there already");
        *row = Row {
            entity: Some(entity),
            heard_at: now,
        };
        page.count += 1;
        self.len += 1;
    }

    /// Forgets a peer; its entity, if it was there.
    pub fn remove(&mut self, peer: PeerKey) -> Option<Entity> {
        let (direction, at, place) = Self::place(peer);
        let slot = self.pages[direction].get_mut(at)?;
        let page = slot.as_mut()?;
        let row = page.rows[place].entity.take()?;
        page.count -= 1;
        self.len -= 1;
        if page.count == 0 {
            *slot = None;
        }
        Some(row)
    }

    /// Number of peers.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no peers.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All peers: outgoing connections first, each kind in the order in which it began.
    pub fn iter(&self) -> impl Iterator<Item = (PeerKey, Entity)> + '_ {
        let keys: [fn(u64) -> PeerKey; 2] = [PeerKey::outgoing, PeerKey::incoming];
        self.pages.iter().zip(keys).flat_map(|(pages, key)| {
            let pages = pages.iter().enumerate();
            let pages = pages.filter_map(|(at, page)| Some((at, page.as_ref()?)));
            pages.flat_map(move |(at, page)| {
                let rows = page.rows.iter().enumerate();
                rows.filter_map(move |(place, row)| {
                    Some((key((at * PAGE + place) as u64), row.entity?))
                })
            })
        })
    }

    /// How many connections we have opened so far: the number of the last one.
    #[must_use]
    pub const fn opened(&self) -> u64 {
        self.next_outgoing
    }

    /// A key for a connection that we open.
    pub const fn next_key(&mut self) -> PeerKey {
        self.next_outgoing += 1;
        PeerKey::outgoing(self.next_outgoing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_found_until_they_go() {
        let mut index = PeerIndex::default();
        let row = |n: u32| Entity::from_raw_u32(n).expect("a small number");
        let [a, b, c] = [
            PeerKey::outgoing(1),
            PeerKey::incoming(1),
            PeerKey::outgoing(1000),
        ];
        for (peer, n) in [(a, 1), (b, 2), (c, 3)] {
            index.insert(peer, row(n), EngineTime::from_secs(u64::from(n)));
        }
        assert_eq!((index.len(), index.get(b)), (3, Some(row(2))));
        assert_eq!(index.heard_at(b), EngineTime::from_secs(2));
        assert_eq!(index.hear(b, EngineTime::from_secs(9)), Some(row(2)));
        let nobody = PeerKey::incoming(9999);
        assert_eq!(index.hear(nobody, EngineTime::from_secs(9)), None);
        assert_eq!(index.heard_at(b), EngineTime::from_secs(9));
        assert_eq!(index.heard_at(a), EngineTime::from_secs(1));
        assert!(index.iter().map(|(peer, _)| peer).eq([a, c, b]));
        assert_eq!(index.remove(c), Some(row(3)));
        assert_eq!(
            (
                index.remove(c),
                index.get(c),
                index.get(PeerKey::incoming(9999))
            ),
            (None, None, None)
        );
        assert!(index.iter().eq([(a, row(1)), (b, row(2))]));
    }
}
