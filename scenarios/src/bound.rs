//! What theory says about a swarm: the least time any client could need, and the steady state of
//! an open one.

use crate::schema::{Arrival, Behaviour, Class, FaultKind, Role, Scenario, Stay};

/// Leechers that are alike, as the bound sees them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Group {
    /// How many.
    pub count: u64,
    /// Bytes per second that each can send.
    pub up: u64,
    /// Bytes per second that each can receive.
    pub down: u64,
}

/// The minimum distribution time in microseconds (Kumar and Ross, HotWeb 2006):
/// `max { F / u_s, F / d_min, N F / (u_s + sum u_i) }`, cut off to whole microseconds. `None`
/// without leechers or where a rate is zero, that is, when it can never end.
#[must_use]
pub fn kumar_ross_us(content_bytes: u64, seeds_up: u64, leechers: &[Group]) -> Option<u64> {
    let present = || leechers.iter().filter(|group| group.count > 0);
    let slowest_down = present().map(|group| group.down).min()?;
    let all = present().map(|group| u128::from(group.count)).sum::<u128>();
    let all_up = present()
        .map(|group| u128::from(group.count) * u128::from(group.up))
        .sum::<u128>()
        + u128::from(seeds_up);
    let content = u128::from(content_bytes) * 1_000_000;
    let at_least = (content.checked_div(seeds_up.into())?)
        .max(content.checked_div(slowest_down.into())?)
        .max((content * all).checked_div(all_up)?);
    u64::try_from(at_least).ok()
}

/// The bound of a closed swarm, from its first arrival to its last completion. `None` where it
/// would be no bound: nodes come late or without end, give up, crash or are made to.
#[must_use]
pub fn of_scenario(scenario: &Scenario) -> Option<u64> {
    closed(scenario, Class::up_bytes_per_sec, Class::down_bytes_per_sec)
}

/// As [`of_scenario`], of the lines alone: what not even a client without limits of its own could do, and
/// none does in a burst.
#[must_use]
pub fn of_lines(scenario: &Scenario) -> Option<u64> {
    closed(scenario, |class| class.up.0, |class| class.down.0)
}

/// The bound of a closed swarm of nodes that can send and receive so many bytes per second.
fn closed(scenario: &Scenario, up: fn(&Class) -> u64, down: fn(&Class) -> u64) -> Option<u64> {
    let leaves =
        |fault: &FaultKind| matches!(fault, FaultKind::Leave { .. } | FaultKind::Crash { .. });
    if scenario.faults.iter().any(|fault| leaves(&fault.what)) {
        return None;
    }
    let (seeds, leechers): (Vec<&Class>, Vec<&Class>) = scenario
        .classes
        .iter()
        .partition(|class| class.role == Role::Seed);
    if !leechers.iter().all(|class| is_closed(class)) {
        return None;
    }
    let seeds_up = seeds
        .iter()
        .map(|class| u64::from(class.count) * upload(class, up))
        .sum();
    let groups: Vec<Group> = leechers
        .iter()
        .map(|class| Group {
            count: class.count.into(),
            up: upload(class, up),
            down: down(class),
        })
        .collect();
    kumar_ross_us(scenario.content.size.0, seeds_up, &groups)
}

/// What a node of a class is willing to send.
fn upload(class: &Class, up: fn(&Class) -> u64) -> u64 {
    match class.behaviour {
        Behaviour::FreeRider => 0,
        Behaviour::Honest | Behaviour::Poisoner { .. } => up(class),
    }
}

fn is_closed(class: &Class) -> bool {
    let comes_at_once = matches!(class.arrival, Arrival::AtStart | Arrival::Flash { .. });
    let sees_it_through =
        class.abort.is_none() && class.crash.is_none() && !matches!(class.stay, Stay::AfterTime(_));
    comes_at_once && sees_it_through
}

/// The fluid model of an open swarm (Qiu and Srikant, SIGCOMM 2004). Rates are per second, `up`
/// and `down` in copies of the content.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Fluid {
    /// Arrivals.
    pub arrivals: f64,
    /// Upload of a node: the inverse of the time to send the content once.
    pub up: f64,
    /// Download of a node: the inverse of the time to receive the content once.
    pub down: f64,
    /// Rate at which a leecher gives up.
    pub aborts: f64,
    /// Rate at which a seed leaves: the inverse of the mean seeding time.
    pub departures: f64,
    /// Share of a leecher's upload that finds takers, close to 1.
    pub effectiveness: f64,
}

/// Where [`Fluid`] comes to rest.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Steady {
    /// Leechers present.
    pub leechers: f64,
    /// Seeds present.
    pub seeds: f64,
    /// Mean time in seconds that a leecher is there.
    pub download_secs: f64,
    /// Share of the leechers that become complete.
    pub completed: f64,
}

impl Fluid {
    /// The steady state. Where seeds stay so long that downloads bound, `1 / beta` is `1 / down`.
    #[must_use]
    pub fn steady(&self) -> Steady {
        let by_upload = (1.0 / self.up - 1.0 / self.departures) / self.effectiveness;
        let beta = 1.0 / (1.0 / self.down).max(by_upload);
        let leechers = self.arrivals / (beta + self.aborts);
        let completed = beta / (beta + self.aborts);
        Steady {
            leechers,
            seeds: self.arrivals * completed / self.departures,
            download_secs: 1.0 / (beta + self.aborts),
            completed,
        }
    }
}

/// The effectiveness of sharing `pieces` pieces over `connections` at a time:
/// `1 - (ln K / K)^k` (Qiu and Srikant).
#[must_use]
pub fn effectiveness(pieces: u64, connections: u32) -> f64 {
    let pieces = pieces as f64;
    1.0 - (pieces.ln() / pieces).powi(connections.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::tests::{class, scenario};
    use crate::schema::{Micros, Rate};
    use dunlin_port::config::ByteSize;

    const fn group(count: u64, up: u64, down: u64) -> Group {
        Group { count, up, down }
    }

    #[test]
    fn the_table_of_kumar_and_ross() {
        // F = 15 Gb, seed 30 Mb/s, d = 2 Mb/s; rows N, columns u = 0.5, 1, 2 Mb/s; in seconds, some
        // rounded up, some down.
        let content = 15_000_000_000 / 8;
        let table = [
            (10, [7500, 7500, 7500]),
            (100, [18750, 11539, 7500]),
            (1000, [28302, 14563, 7500]),
        ];
        for (count, row) in table {
            for (up, expected) in [62_500, 125_000, 250_000].into_iter().zip(row) {
                let bound = kumar_ross_us(content, 3_750_000, &[group(count, up, 250_000)]);
                let secs = bound.unwrap() / 1_000_000;
                assert!(
                    secs.abs_diff(expected) <= 1,
                    "N = {count}, u = {up}: {secs}"
                );
            }
        }
    }

    #[test]
    fn classes_and_seeds_add_up() {
        // 1 GB to 10 fast and 10 slow: all upload is 2 + 10 + 1 = 13 MB/s for 20 GB.
        let groups = [
            group(10, 1_000_000, 8_000_000),
            group(10, 100_000, 4_000_000),
        ];
        let two_seeds = kumar_ross_us(1_000_000_000, 2_000_000, &groups);
        assert_eq!(two_seeds, Some(1_538_461_538));
        // With 100 MB/s of seed upload the slow lines bound: 1 GB at 4 MB/s.
        assert_eq!(
            kumar_ross_us(1_000_000_000, 100_000_000, &groups),
            Some(250_000_000)
        );
        // Classes without nodes do not bound.
        let empty = [groups[0], group(0, 0, 1)];
        assert_eq!(kumar_ross_us(8_000_000, 8_000_000, &empty[1..]), None);
        assert_eq!(
            kumar_ross_us(8_000_000, 80_000_000, &empty),
            Some(1_000_000)
        );
        assert_eq!(kumar_ross_us(1, 0, &groups), None);
    }

    #[test]
    fn only_closed_swarms_are_bounded() {
        let mut kr = scenario();
        kr.content.size = ByteSize(100 << 20);
        kr.classes = vec![
            class("seed", Role::Seed, 1),
            class("leech", Role::Leech, 1000),
        ];
        kr.classes[0].up = Rate(750_000);
        kr.classes[1].up = Rate(50_000);
        kr.classes[1].down = Rate(187_500);
        kr.classes[1].arrival = Arrival::Flash {
            within: Micros(10_000_000),
        };
        assert_eq!(of_scenario(&kr).map(|us| us / 1_000_000), Some(2066));
        kr.classes[1].up_limit = Some(Rate(25_000));
        assert_eq!(of_scenario(&kr).map(|us| us / 1_000_000), Some(4072));
        assert_eq!(of_lines(&kr).map(|us| us / 1_000_000), Some(2066));
        kr.classes[1].behaviour = Behaviour::FreeRider;
        assert_eq!(of_scenario(&kr).map(|us| us / 1_000_000), Some(139_810));
        kr.classes[1].arrival = Arrival::Poisson {
            every: Micros(1),
            until: None,
        };
        assert_eq!(of_scenario(&kr), None);
    }

    #[test]
    fn steady_states_of_qiu_and_srikant() {
        let mut fluid = Fluid {
            arrivals: 0.2,
            up: 1.0 / 537.0,
            down: 1.0 / 134.0,
            aborts: 0.0,
            departures: 1.0 / 268.0,
            effectiveness: 1.0,
        };
        let near = |got: f64, expected: f64| {
            assert!(
                (got / expected - 1.0).abs() < 0.01,
                "{got}, expected {expected}"
            );
        };
        near(fluid.steady().download_secs, 269.0);
        near(fluid.steady().leechers, 53.8);
        near(fluid.steady().seeds, 53.6);
        fluid.departures = 1.0 / 1074.0;
        near(fluid.steady().download_secs, 134.0);
        near(fluid.steady().leechers, 26.8);
        near(fluid.steady().seeds, 214.8);
        fluid.aborts = 1.0 / 500.0;
        near(fluid.steady().completed, 500.0 / 634.0);
        near(effectiveness(200, 1), 0.974);
        assert!(effectiveness(400, 4) > 0.999);
    }
}
