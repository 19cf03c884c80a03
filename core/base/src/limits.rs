//! Every limit of the engine, with its unit in its name. Reaching one is a tested branch.

use crate::BLOCK_BYTES;

// Torrent files and magnet links (the numbers that libtorrent accepts).

/// Largest .torrent file.
pub const TORRENT_FILE_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Deepest nesting of bencoded lists and dictionaries.
pub const BENCODE_DEPTH_MAX: usize = 100;
/// Most bencoded values in one document.
pub const BENCODE_TOKENS_MAX: usize = 3_000_000;
/// Most pieces of a torrent.
pub const PIECES_MAX: u32 = 1 << 21;
/// Longest piece.
pub const PIECE_BYTES_MAX: u32 = 512 * 1024 * 1024;
/// Deepest folder in a torrent.
pub const DIRECTORY_DEPTH_MAX: usize = 100;
/// Most files that a torrent may have after the same safe name.
pub const DUPLICATE_NAMES_MAX: usize = 500;
/// Most files of a torrent.
pub const FILES_MAX: usize = 1 << 20;
/// Largest info dictionary, in a file or from peers.
pub const METADATA_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most bytes that the paths of all files of a torrent may need in memory.
pub const PATHS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest URL of a tracker or web seed.
pub const URL_BYTES_MAX: usize = 4096;
/// Most trackers looked at in one torrent or magnet link.
pub const TRACKERS_MAX: usize = 1024;
/// Most web seeds of each kind looked at in one torrent or magnet link.
pub const WEB_SEEDS_MAX: usize = 256;
/// Most DHT nodes taken from one torrent.
pub const DHT_NODES_IN_TORRENT_MAX: usize = 64;
/// Longest magnet link.
pub const MAGNET_BYTES_MAX: usize = 64 * 1024;
/// Most peers taken from one magnet link.
pub const MAGNET_PEERS_MAX: usize = 200;

// Wire.

/// Largest block that we request or serve on request.
pub const REQUEST_BYTES_MAX: u32 = 128 * 1024;
/// Largest message that we accept: a bitfield of [`PIECES_MAX`] bits, or metadata with its header.
pub const MESSAGE_BYTES_MAX: u32 = PIECES_MAX / 8 + 1024;
/// Requests of one peer that we keep queued (libtorrent's default; advertised as `reqq`).
pub const PEER_REQUESTS_IN_MAX: usize = 2000;
/// Requests that we keep outstanding at one peer, whatever it advertises.
pub const PEER_REQUESTS_OUT_MAX: usize = 2000;
/// Rejected requests after which we drop a peer that goes on asking while choked.
pub const PEER_REJECTS_MAX: u32 = 50;
/// Largest extended message but metadata.
pub const EXTENDED_BYTES_MAX: usize = 128 * 1024;

// Metadata exchange (BEP 9).

/// Bytes that copies of one torrent's info dictionary may come to while they are fetched.
pub const METADATA_COPIES_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Parts of it that we ask of one peer at a time.
pub const METADATA_REQUESTS_OUT_MAX: usize = 8;
/// Requests for parts that we keep queued for one peer: the largest info dictionary once.
pub const METADATA_REQUESTS_IN_MAX: usize = TORRENT_FILE_BYTES_MAX / (16 * 1024);
/// Requests for parts that we reject before we drop a peer.
pub const METADATA_REJECTS_MAX: u32 = 2000;
/// Bytes of messages on what a peer has that we keep until the number of pieces is known.
pub const EARLY_HAVES_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX as usize;

// Trackers.

/// Largest tracker reply after inflation.
pub const TRACKER_REPLY_BYTES_MAX: usize = 816 * 1024;
/// Most redirects that an announce follows.
pub const TRACKER_REDIRECTS_MAX: usize = 5;
/// Most peers taken from one reply.
pub const TRACKER_PEERS_MAX: usize = 2000;
/// Lowest port of an address that a tracker names. Below it are the services of third parties, at
/// which a lying tracker could aim a whole swarm; peers that need such a port can still call us.
pub const TRACKER_PEER_PORT_MIN: u16 = 1024;

// Engine.

/// Candidate addresses that a torrent remembers.
pub const CANDIDATES_MAX: usize = 1000;
/// Events that one tick takes from the ports.
pub const INGEST_EVENTS_PER_TICK_MAX: usize = 4096;

const _: () = assert!(BLOCK_BYTES <= REQUEST_BYTES_MAX);
const _: () = assert!(PIECES_MAX / 8 < MESSAGE_BYTES_MAX);
const _: () = assert!(TORRENT_FILE_BYTES_MAX as u64 <= METADATA_COPIES_BYTES_MAX);
