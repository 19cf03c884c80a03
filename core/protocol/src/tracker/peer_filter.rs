//! Which addresses that others name are worth a connection: trackers and peers can lie to point a
//! swarm at a victim or at ourselves.

use std::net::{IpAddr, SocketAddr};

/// The rule for candidate addresses, whoever named them.
#[derive(Clone, Copy, Debug)]
pub struct PeerFilter<'a> {
    /// Our own listening addresses, as others see them.
    pub own: &'a [SocketAddr],
    /// Lowest port that we connect to. 1 refuses only port 0; 1024 keeps us from being aimed at
    /// the services of a third party.
    pub port_min: u16,
}

/// Why a candidate address is not used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PeerAddressRefusal {
    /// Port 0 or one below the lowest allowed.
    #[error("port {port} is below {port_min}")]
    Port {
        /// The port that was named.
        port: u16,
        /// Lowest that is allowed.
        port_min: u16,
    },
    /// `0.0.0.0/8` or `::`: connecting there reaches ourselves.
    #[error("address is unspecified")]
    Unspecified,
    /// A group address: no peer has it.
    #[error("address is multicast")]
    Multicast,
    /// `255.255.255.255`.
    #[error("address is broadcast")]
    Broadcast,
    /// It is us.
    #[error("address is our own")]
    Own,
}

impl PeerFilter<'_> {
    /// Judges one candidate.
    ///
    /// Private and loopback addresses pass: swarms in one household and our tests live there.
    ///
    /// # Errors
    /// When no connection may be tried.
    pub fn check(&self, candidate: SocketAddr) -> Result<(), PeerAddressRefusal> {
        let (port, port_min) = (candidate.port(), self.port_min.max(1));
        if port < port_min {
            return Err(PeerAddressRefusal::Port { port, port_min });
        }
        let address = candidate.ip().to_canonical();
        match address {
            // All of 0.0.0.0/8 means "this host".
            IpAddr::V4(v4) if v4.octets().first() == Some(&0) => {
                return Err(PeerAddressRefusal::Unspecified);
            }
            IpAddr::V4(v4) if v4.is_broadcast() => return Err(PeerAddressRefusal::Broadcast),
            IpAddr::V6(v6) if v6.is_unspecified() => return Err(PeerAddressRefusal::Unspecified),
            _ if address.is_multicast() => return Err(PeerAddressRefusal::Multicast),
            _ => {}
        }
        let is_own = |own: &SocketAddr| own.port() == port && own.ip().to_canonical() == address;
        if self.own.iter().any(is_own) {
            return Err(PeerAddressRefusal::Own);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_that_lead_nowhere_are_refused() {
        let own = ["203.0.113.7:6881".parse().unwrap()];
        let check = |address: &str, port_min| {
            let filter = PeerFilter {
                own: &own,
                port_min,
            };
            filter.check(address.parse().unwrap())
        };
        let port = |port, port_min| Err(PeerAddressRefusal::Port { port, port_min });
        for (address, expected) in [
            ("203.0.113.8:6881", Ok(())),
            ("203.0.113.7:6882", Ok(())),
            ("192.168.1.2:6881", Ok(())),
            ("[2001:db8::1]:6881", Ok(())),
            ("203.0.113.8:0", port(0, 1)),
            ("0.0.0.0:6881", Err(PeerAddressRefusal::Unspecified)),
            ("0.1.2.3:6881", Err(PeerAddressRefusal::Unspecified)),
            ("[::]:6881", Err(PeerAddressRefusal::Unspecified)),
            (
                "[::ffff:0.0.0.0]:6881",
                Err(PeerAddressRefusal::Unspecified),
            ),
            ("224.0.0.1:6881", Err(PeerAddressRefusal::Multicast)),
            ("[ff02::1]:6881", Err(PeerAddressRefusal::Multicast)),
            (
                "[::ffff:224.0.0.1]:6881",
                Err(PeerAddressRefusal::Multicast),
            ),
            ("255.255.255.255:6881", Err(PeerAddressRefusal::Broadcast)),
            ("203.0.113.7:6881", Err(PeerAddressRefusal::Own)),
            ("[::ffff:203.0.113.7]:6881", Err(PeerAddressRefusal::Own)),
        ] {
            assert_eq!(check(address, 0), expected, "{address}");
        }
        assert_eq!(check("203.0.113.8:25", 1024), port(25, 1024));
        assert_eq!(check("203.0.113.8:1024", 1024), Ok(()));
    }
}
