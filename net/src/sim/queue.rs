//! What waits before a line, as far as flows know of it: how long, by who fills the line.

use core::time::Duration;

use super::flow::Flow;
use super::host::Host;
use super::line::{MSS_BYTES, on_the_line};
use super::sending::scaled;

/// Queueing delay that LEDBAT aims at (RFC 6817: at most 100 ms; BEP 29: `CCONTROL_TARGET`).
pub(super) const TARGET: Duration = Duration::from_millis(100);

/// Least window of LEDBAT, segments (RFC 6817: `MIN_CWND`).
const WINDOW_MIN_SEGMENTS: u64 = 2;

/// Line bytes that LEDBAT sends in a tick in any case.
pub(super) fn ledbat_floor(tick_nanos: u64, rtt_nanos: u64) -> u64 {
    let window = WINDOW_MIN_SEGMENTS * on_the_line(MSS_BYTES);
    if rtt_nanos == 0 {
        return u64::MAX;
    }
    scaled(window, tick_nanos, rtt_nanos).max(1)
}

/// What passed one way of a line in a tick.
#[derive(Clone, Copy, Default)]
struct Load {
    used: u64,
    flows: u64,
    /// Whether TCP, and whether LEDBAT, would have sent more.
    hungry: [bool; 2],
}

/// How long things wait before each line.
#[derive(Default)]
pub(super) struct Queues {
    loads: [Vec<Load>; 2],
    /// Nanoseconds, by way and line; empty while no line has a queue.
    waits: [Vec<u64>; 2],
}

impl Queues {
    /// How long something waits that is sent now from one node to another, nanoseconds.
    pub(super) fn waits(&self, from: u32, to: u32) -> u64 {
        let wait = |way: usize, line: u32| self.waits[way].get(line as usize).copied();
        wait(0, from).unwrap_or(0) + wait(1, to).unwrap_or(0)
    }

    /// Nothing moves, so nothing waits.
    pub(super) fn empty(&mut self) {
        self.waits.iter_mut().for_each(Vec::clear);
    }

    /// Sets how long things wait, from now to the next tick, before the lines of all hosts. TCP fills
    /// whatever queue there is, LEDBAT alone stops at its target. Without floors all is TCP.
    pub(super) fn measure(
        &mut self,
        hosts: &[Host],
        flows: &[Flow],
        floors: &[Option<u64>],
        budgets: [&[u64]; 2],
    ) {
        for (loads, waits) in self.loads.iter_mut().zip(&mut self.waits) {
            loads.clear();
            loads.resize(hosts.len(), Load::default());
            waits.resize(hosts.len(), 0);
        }
        for (at, flow) in flows.iter().enumerate() {
            let yields = floors.get(at).is_some_and(Option::is_some);
            for (way, line) in [flow.from, flow.to].into_iter().enumerate() {
                let load = &mut self.loads[way][line as usize];
                load.used += flow.share;
                load.flows += 1;
                load.hungry[usize::from(yields)] |= flow.share < flow.want;
            }
        }
        for (line, host) in hosts.iter().enumerate() {
            let Some(buffer) = host.line.buffer else {
                continue;
            };
            let ways = self.loads.iter().zip(&mut self.waits).zip(budgets);
            for ((loads, waits), budgets) in ways {
                let load = loads[line];
                // Bytes that do not divide are not given: fewer than there are flows.
                let full = load.flows > 0 && load.used + load.flows >= budgets[line];
                let wait = match load.hungry {
                    [true, _] if full => buffer,
                    [false, true] if full => buffer.min(TARGET),
                    _ => Duration::ZERO,
                };
                waits[line] = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::line::{Line, Region, Transport};

    fn host(buffer: Option<Duration>) -> Host {
        Host::new(Line {
            up_bytes_per_sec: 1000,
            down_bytes_per_sec: 1000,
            access_delay: Duration::ZERO,
            region: Region(0),
            reachable: true,
            transport: Transport::Tcp,
            buffer,
            loss_ppm: 0,
        })
    }

    #[test]
    fn tcp_fills_the_queue_and_ledbat_alone_stops_at_its_target() {
        let long = Duration::from_millis(500);
        let waits = |buffer, shares: &[(u64, u64)], floors: &[Option<u64>]| {
            let hosts = [host(Some(buffer)), host(None)];
            let flows: Vec<Flow> = shares
                .iter()
                .map(|&(share, want)| Flow {
                    from: 0,
                    to: 1,
                    want,
                    share,
                })
                .collect();
            let mut queues = Queues::default();
            queues.measure(&hosts, &flows, floors, [&[100, 100], &[1000, 1000]]);
            assert_eq!(queues.waits(1, 1), 0, "it has no queue");
            Duration::from_nanos(queues.waits(0, 1))
        };
        let (tcp, ledbat) = (None, Some(3));
        assert_eq!(waits(long, &[(99, 500)], &[tcp]), long);
        assert_eq!(waits(long, &[(99, 500)], &[ledbat]), TARGET);
        assert_eq!(waits(long, &[(96, 500), (3, 500)], &[tcp, ledbat]), long);
        let short = Duration::from_millis(50);
        assert_eq!(waits(short, &[(99, 500)], &[ledbat]), short);
        // Who got all that it wanted has nothing waiting; nor has anybody before a line with room.
        assert_eq!(waits(long, &[(100, 100)], &[tcp]), Duration::ZERO);
        assert_eq!(waits(long, &[(50, 500)], &[tcp]), Duration::ZERO);
    }

    #[test]
    fn ledbat_never_stops() {
        // Two segments with their headers in a round trip.
        assert_eq!(ledbat_floor(100_000_000, 100_000_000), 2 * 1514);
        assert_eq!(ledbat_floor(10_000_000, 100_000_000), 302);
        assert_eq!(ledbat_floor(1, 1 << 60), 1);
        assert_eq!(ledbat_floor(100_000_000, 0), u64::MAX);
    }
}
