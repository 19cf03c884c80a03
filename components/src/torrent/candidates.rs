//! Addresses at which peers of a torrent may be.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bevy_ecs::prelude::Component;
use dunlin_base::EngineTime;
use dunlin_base::limits::CANDIDATES_MAX;

/// What is going on with an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CandidateState {
    /// It can be tried at this time.
    Idle {
        /// From when on.
        not_before: EngineTime,
    },
    /// A connection is attempted or stands.
    InUse,
}

/// An address and what is known of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Candidate {
    /// What is going on.
    pub state: CandidateState,
    /// Attempts that failed in a row.
    pub failures: u32,
}

/// The addresses of a torrent, at most [`CANDIDATES_MAX`].
#[derive(Component, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Candidates(pub BTreeMap<SocketAddr, Candidate>);

impl Candidates {
    /// Adds an address; says whether it is new. When full, an idle address that failed most
    /// makes room; if none ever failed, the new one is not added.
    pub fn add(&mut self, addr: SocketAddr, now: EngineTime) -> bool {
        if self.0.contains_key(&addr) {
            return false;
        }
        if self.0.len() >= CANDIDATES_MAX {
            let worst = self
                .0
                .iter()
                .filter(|(_, candidate)| candidate.state != CandidateState::InUse)
                .max_by_key(|(_, candidate)| candidate.failures);
            match worst {
                Some((&worst, candidate)) if candidate.failures > 0 => {
                    self.0.remove(&worst);
                }
                _ => return false,
            }
        }
        let state = CandidateState::Idle { not_before: now };
        self.0.insert(addr, Candidate { state, failures: 0 });
        true
    }

    /// Lets every address that never failed be tried at `now`: what kept us from it was that we
    /// wanted nothing.
    pub fn want_again(&mut self, now: EngineTime) {
        for candidate in self
            .0
            .values_mut()
            .filter(|candidate| candidate.failures == 0)
        {
            if let CandidateState::Idle { not_before } = &mut candidate.state {
                *not_before = now.min(*not_before);
            }
        }
    }

    /// Addresses that can be tried at `now`.
    pub fn ready(&self, now: EngineTime) -> impl Iterator<Item = SocketAddr> + '_ {
        self.0
            .iter()
            .filter_map(move |(&addr, candidate)| match candidate.state {
                CandidateState::Idle { not_before } if not_before <= now => Some(addr),
                CandidateState::Idle { .. } | CandidateState::InUse => None,
            })
    }

    /// When the next address that cannot be tried yet can be.
    #[must_use]
    pub fn next_ready_at(&self, now: EngineTime) -> EngineTime {
        let waiting = self
            .0
            .values()
            .filter_map(|candidate| match candidate.state {
                CandidateState::Idle { not_before } if not_before > now => Some(not_before),
                CandidateState::Idle { .. } | CandidateState::InUse => None,
            });
        waiting.min().unwrap_or(EngineTime::NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(n: usize) -> SocketAddr {
        SocketAddr::from(([10, 0, (n / 250) as u8, (n % 250) as u8], 1000))
    }

    #[test]
    fn a_full_list_gives_up_what_failed() {
        let mut candidates = Candidates::default();
        for n in 0..CANDIDATES_MAX {
            assert!(candidates.add(addr(n), EngineTime::START));
        }
        assert!(
            !candidates.add(addr(CANDIDATES_MAX), EngineTime::START),
            "full of untried ones"
        );
        candidates.0.get_mut(&addr(5)).unwrap().failures = 2;
        assert!(candidates.add(addr(CANDIDATES_MAX), EngineTime::START));
        assert!(!candidates.0.contains_key(&addr(5)));
        assert_eq!(candidates.0.len(), CANDIDATES_MAX);
    }

    #[test]
    fn an_address_waits_for_its_time() {
        let mut candidates = Candidates::default();
        candidates.add(addr(1), EngineTime::from_secs(5));
        assert_eq!(candidates.ready(EngineTime::from_secs(4)).count(), 0);
        assert_eq!(
            candidates.next_ready_at(EngineTime::from_secs(4)),
            EngineTime::from_secs(5)
        );
        assert_eq!(candidates.ready(EngineTime::from_secs(5)).count(), 1);
        assert_eq!(
            candidates.next_ready_at(EngineTime::from_secs(5)),
            EngineTime::NEVER
        );
    }
}
