//! Packed peer addresses: 6 bytes each over IPv4 (BEP 23), 18 over IPv6 (BEP 7).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Which kind of address a packed list holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AddressFamily {
    /// 4 bytes and a port.
    V4,
    /// 16 bytes and a port.
    V6,
}

impl AddressFamily {
    /// The family of an address; IPv4 written as IPv6 (`::ffff:`) is IPv4.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// Appends addresses of a packed list, until there are `peers_max` in all.
///
/// Bytes after the last whole entry are ignored: real trackers have sent such.
pub fn unpack_peers(
    packed: &[u8],
    family: AddressFamily,
    peers: &mut Vec<SocketAddr>,
    peers_max: usize,
) {
    let room = peers_max.saturating_sub(peers.len());
    match family {
        AddressFamily::V4 => {
            let entries = packed.as_chunks::<6>().0.iter().take(room);
            peers.extend(entries.map(|&[a, b, c, d, high, low]| {
                let port = u16::from_be_bytes([high, low]);
                SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), port)
            }));
        }
        AddressFamily::V6 => {
            let entries = packed.as_chunks::<18>().0.iter().take(room);
            peers.extend(entries.filter_map(|entry| {
                let (address, port) = entry.split_first_chunk::<16>()?;
                let address = IpAddr::V6(Ipv6Addr::from(*address)).to_canonical();
                let port = u16::from_be_bytes(*port.first_chunk()?);
                Some(SocketAddr::new(address, port))
            }));
        }
    }
}

/// Packs the addresses of one family and leaves out the others.
#[must_use]
pub fn pack_peers(peers: &[SocketAddr], family: AddressFamily) -> Vec<u8> {
    let mut packed = Vec::new();
    for peer in peers {
        match (family, peer.ip().to_canonical()) {
            (AddressFamily::V4, IpAddr::V4(address)) => packed.extend(address.octets()),
            (AddressFamily::V6, IpAddr::V6(address)) => packed.extend(address.octets()),
            _ => continue,
        }
        packed.extend(peer.port().to_be_bytes());
    }
    packed
}
