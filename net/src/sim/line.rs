//! Access lines and the distances between them.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use dunlin_base::NodeKey;

/// TCP port of every simulated node.
const PORT: u16 = 6881;

/// Payload of a full segment on Ethernet, bytes.
pub(super) const MSS_BYTES: u64 = 1448;

/// What a full segment costs beside its payload: TCP with timestamps, IPv4, Ethernet.
const HEADERS_BYTES: u64 = 66;

/// Where a node is, by number in [`Regions`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Region(pub u16);

/// How a node's connections share lines with others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Transport {
    /// TCP: equal parts, and queues are filled to the brim.
    #[default]
    Tcp,
    /// µTP (BEP 29) with LEDBAT (RFC 6817): yields to TCP, and fills queues up to a target delay.
    Utp,
}

/// A node's access line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// Bytes per second that leave, headers included.
    pub up_bytes_per_sec: u64,
    /// Bytes per second that come, headers included.
    pub down_bytes_per_sec: u64,
    /// One-way delay of the line itself.
    pub access_delay: Duration,
    /// Where it is.
    pub region: Region,
    /// Whether others can connect to it; behind most NATs they cannot.
    pub reachable: bool,
    /// How the connections that it opens are carried; those that it accepts as the other end says.
    pub transport: Transport,
    /// How long what comes last waits when the queue before the line is full, each way. `None` for no
    /// queue: then nothing ever waits.
    pub buffer: Option<Duration>,
    /// Segments lost of a million, which bounds the rate of each of its connections.
    pub loss_ppm: u32,
}

/// Round-trip times between regions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Regions {
    count: usize,
    rtt: Vec<Duration>,
}

impl Regions {
    /// One region in which every round trip takes so long.
    #[must_use]
    pub fn uniform(rtt: Duration) -> Self {
        Self {
            count: 1,
            rtt: vec![rtt],
        }
    }

    /// Regions with these round-trip times, row by row. `None` unless the matrix is square and not
    /// empty.
    #[must_use]
    pub fn matrix(rows: &[Vec<Duration>]) -> Option<Self> {
        let count = rows.len();
        let square = count > 0 && rows.iter().all(|row| row.len() == count);
        square.then(|| Self {
            count,
            rtt: rows.concat(),
        })
    }

    /// Number of regions.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// One-way delay between two lines.
    ///
    /// # Panics
    /// When a line's region is not of these.
    #[must_use]
    pub fn one_way(&self, from: &Line, to: &Line) -> Duration {
        let at = usize::from(from.region.0) * self.count + usize::from(to.region.0);
        self.rtt[at] / 2 + from.access_delay + to.access_delay
    }
}

/// Where a node can be reached: an address of its own in 10.0.0.0/8. The first 65,536 are each in a
/// network (/24) of their own, as the peers of real swarms are: allowed-fast sets (BEP 6) are drawn
/// by network.
///
/// # Panics
/// When the key is 2^24 - 2^16 or more: the block has no more addresses.
#[must_use]
pub fn addr_of(node: NodeKey) -> SocketAddr {
    let [_, within, a, b] = node.0.to_be_bytes();
    assert!(node.0 >> 16 < 255, "{node:?} has no address");
    SocketAddr::from(([10, a, b, within + 1], PORT))
}

/// The node that can be reached at an address, if it is one of [`addr_of`].
#[must_use]
pub fn node_of(ip: IpAddr) -> Option<NodeKey> {
    let IpAddr::V4(ip) = ip else { return None };
    let [10, a, b, c] = ip.octets() else {
        return None;
    };
    let within = c.checked_sub(1)?;
    Some(NodeKey(u32::from_be_bytes([0, within, a, b])))
}

/// Bytes on the line for so many bytes of a stream.
pub(super) const fn on_the_line(stream_bytes: u64) -> u64 {
    stream_bytes + (stream_bytes * HEADERS_BYTES).div_ceil(MSS_BYTES)
}

/// The rate that loss allows a connection, stream bytes per second: the square-root law of
/// Mathis et al. (1997), `MSS / (RTT * sqrt(2p/3))`, in integers.
pub(super) fn loss_cap(rtt: Duration, loss_ppm: u32) -> u64 {
    let micros = u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX);
    if loss_ppm == 0 || micros == 0 {
        return u64::MAX;
    }
    // sqrt(2p/3) with p in millionths, scaled by a million: sqrt(2/3 * ppm * 10^6).
    let root = (u64::from(loss_ppm) * 2_000_000 / 3).isqrt().max(1);
    let per_sec = u128::from(MSS_BYTES) * 1_000_000 * 1_000_000;
    u64::try_from(per_sec / (u128::from(micros) * u128::from(root))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_one_to_one() {
        for node in [0, 1, 254, 255, 256, 65_535, 65_536, 1_000_000].map(NodeKey) {
            assert_eq!(node_of(addr_of(node).ip()), Some(node));
        }
        assert_eq!(node_of(IpAddr::from([10, 0, 0, 0])), None);
        assert_eq!(node_of(IpAddr::from([11, 0, 0, 1])), None);
    }

    #[test]
    fn loss_bounds_a_connection() {
        let rtt = Duration::from_millis(100);
        assert_eq!(loss_cap(rtt, 0), u64::MAX);
        // 1448 B / (0.1 s * sqrt(0.00667)) = 177 kB/s at one percent.
        let cap = loss_cap(rtt, 10_000);
        assert!((176_000..179_000).contains(&cap), "{cap}");
    }

    #[test]
    fn headers_cost_four_and_a_half_percent() {
        assert_eq!(on_the_line(1448), 1514);
        assert_eq!(on_the_line(0), 0);
    }
}
