//! Decides how many strangers may stand in the door: accepted, but without a complete handshake.

use std::collections::HashMap;
use std::net::IpAddr;

use dunlin_port::config::LimitsConfig;

/// Strangers in the door in total. Beyond it the one that has waited longest is turned out, since
/// an honest handshake is there within a round trip. Of few connections it is the half, so that a
/// crowd of silent ones never holds all.
pub(super) const PENDING_HANDSHAKES_MAX: usize = 512;

/// Counts the accepted connections without a complete handshake.
pub(super) struct Admission {
    pub(super) per_address_max: u32,
    pub(super) total_max: usize,
    pending: HashMap<IpAddr, u32>,
    total: usize,
}

/// What happens to somebody who has connected.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Comes in.
    Admit,
    /// Comes in when the one that has waited longest is turned out.
    AdmitForOldest,
    /// Too many of the same address wait already.
    Refuse,
}

impl Admission {
    pub(super) fn new(limits: &LimitsConfig) -> Self {
        let half = limits.connections as usize / 2;
        Self {
            per_address_max: limits.pending_handshakes_per_address,
            total_max: half.clamp(1, PENDING_HANDSHAKES_MAX),
            pending: HashMap::new(),
            total: 0,
        }
    }

    pub(super) fn judge(&self, from: IpAddr) -> Verdict {
        let waiting = self.pending.get(&origin(from)).copied().unwrap_or(0);
        // Programs on the same computer may start together; they need no sockets to do harm.
        if waiting >= self.per_address_max && !from.is_loopback() {
            Verdict::Refuse
        } else if self.total >= self.total_max {
            Verdict::AdmitForOldest
        } else {
            Verdict::Admit
        }
    }

    /// Counts an accepted connection.
    pub(super) fn enter(&mut self, from: IpAddr) {
        *self.pending.entry(origin(from)).or_default() += 1;
        self.total += 1;
    }

    /// Forgets a connection that entered: its handshake is complete, or it is gone.
    pub(super) fn leave(&mut self, from: IpAddr) {
        let origin = origin(from);
        let waiting = self.pending.get_mut(&origin);
        let waiting = waiting.expect("who leaves has entered");
        *waiting -= 1;
        if *waiting == 0 {
            self.pending.remove(&origin);
        }
        self.total -= 1;
    }
}

/// Who counts as one address: of IPv6 the first half, because a customer gets a whole /64.
fn origin(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(per_address: u32, connections: u32) -> Admission {
        Admission::new(&LimitsConfig {
            pending_handshakes_per_address: per_address,
            connections,
            ..LimitsConfig::default()
        })
    }

    #[test]
    fn a_crowd_in_the_door_leaves_half_of_the_connections() {
        for (connections, crowd) in [(1, 1), (2, 1), (500, 250), (65_535, 512)] {
            assert_eq!(door(8, connections).total_max, crowd);
        }
    }

    #[test]
    fn each_address_and_all_together_are_capped() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut door = door(2, 500);
        door.total_max = 4;
        for from in [
            "192.0.2.1",
            "::ffff:192.0.2.1",
            "2001:db8::1",
            "2001:db8::2",
        ] {
            assert_eq!(door.judge(ip(from)), Verdict::Admit);
            door.enter(ip(from));
        }
        assert_eq!(door.judge(ip("192.0.2.1")), Verdict::Refuse);
        assert_eq!(door.judge(ip("2001:db8::3")), Verdict::Refuse);
        assert_eq!(door.judge(ip("2001:db8:0:1::3")), Verdict::AdmitForOldest);
        door.leave(ip("192.0.2.1"));
        assert_eq!(door.judge(ip("192.0.2.1")), Verdict::Admit);
        for from in ["192.0.2.1", "2001:db8::1", "2001:db8::1"] {
            door.leave(ip(from));
        }
        assert!(door.pending.is_empty());
        assert_eq!(door.total, 0);
    }

    #[test]
    fn loopback_is_only_capped_in_total() {
        let mut door = door(1, 500);
        let from = IpAddr::from([127, 0, 0, 1]);
        door.total_max = 3;
        for _ in 0..3 {
            assert_eq!(door.judge(from), Verdict::Admit);
            door.enter(from);
        }
        assert_eq!(door.judge(from), Verdict::AdmitForOldest);
    }
}
