//! Goal: the order of candidates and the number of slots, case by case.
//! Method: tables over the pure functions.

use dunlin_base::{EngineTime, NodeKey, PeerKey, RngStream, StreamName};
use dunlin_port::config::{SeedChoke, SlotCount};

use crate::choke::policy::{Candidate, SLOTS_MIN, anti_leech_score, assign, rank, slots};

pub(super) fn candidate(n: u64) -> Candidate {
    Candidate {
        peer: PeerKey::outgoing(n),
        merit: 0,
        price_bytes_per_sec: 0,
        up_in_round: 0,
        unchoked: false,
        settling: false,
        by_luck: false,
        unchoked_at: EngineTime::START,
        quota_met: false,
        score: 0,
        snubbed: false,
        newcomer: false,
    }
}

fn unchoked(n: u64, up_in_round: u64) -> Candidate {
    Candidate {
        unchoked: true,
        up_in_round,
        unchoked_at: EngineTime::from_secs(5),
        ..candidate(n)
    }
}

fn luck() -> RngStream {
    RngStream::new(7, NodeKey(0), StreamName::Choke)
}

fn order(mut candidates: Vec<Candidate>, seed: SeedChoke) -> Vec<u64> {
    rank(&mut candidates, seed);
    candidates
        .iter()
        .map(|candidate| candidate.peer.raw() / 2)
        .collect()
}

#[test]
fn who_gives_most_comes_first() {
    let gives = |n, merit| Candidate {
        merit,
        ..candidate(n)
    };
    for seed in [
        SeedChoke::RoundRobin,
        SeedChoke::FastestUpload,
        SeedChoke::AntiLeech,
    ] {
        let candidates = vec![gives(1, 10), gives(2, 30), candidate(3), gives(4, 20)];
        assert_eq!(order(candidates, seed), [2, 4, 1, 3], "{seed:?}");
    }
}

#[test]
fn equals_are_ordered_by_who_waited_longest_then_by_key() {
    let waited = |n, secs| Candidate {
        unchoked_at: EngineTime::from_secs(secs),
        ..candidate(n)
    };
    let candidates = vec![waited(1, 9), waited(3, 4), waited(2, 4), waited(4, 0)];
    assert_eq!(order(candidates, SeedChoke::RoundRobin), [4, 2, 3, 1]);
}

#[test]
fn round_robin_keeps_a_used_slot_until_the_quota_is_met() {
    let met = Candidate {
        quota_met: true,
        ..unchoked(1, 900)
    };
    let idle = unchoked(4, 0);
    let candidates = vec![met, unchoked(2, 5), candidate(3), idle];
    assert_eq!(order(candidates, SeedChoke::RoundRobin), [2, 3, 4, 1]);
}

#[test]
fn the_fastest_comes_first_and_a_choked_one_counts_as_idle() {
    let leftover = Candidate {
        up_in_round: 5000,
        unchoked_at: EngineTime::from_secs(1),
        ..candidate(1)
    };
    let candidates = vec![leftover, unchoked(2, 10), unchoked(3, 20)];
    assert_eq!(order(candidates, SeedChoke::FastestUpload), [3, 2, 1]);
}

#[test]
fn a_slot_that_was_just_given_outlives_the_next_round() {
    let settling = Candidate {
        settling: true,
        ..unchoked(9, 0)
    };
    for (seed, expected) in [
        (SeedChoke::RoundRobin, [9, 2, 1]),
        (SeedChoke::FastestUpload, [2, 9, 1]),
    ] {
        let candidates = vec![candidate(1), settling, unchoked(2, 100)];
        assert_eq!(order(candidates, seed), expected, "{seed:?}");
    }
}

#[test]
fn who_is_unchoked_by_luck_takes_no_slot_that_is_used_half_as_much() {
    let lucky = |up_in_round| Candidate {
        by_luck: true,
        ..unchoked(3, up_in_round)
    };
    for (up_in_round, expected) in [(199, [1, 2, 3]), (200, [1, 2, 3]), (201, [1, 3, 2])] {
        let candidates = vec![unchoked(1, 110), unchoked(2, 100), lucky(up_in_round)];
        assert_eq!(order(candidates, SeedChoke::RoundRobin), expected);
    }
}

#[test]
fn anti_leech_prefers_both_ends() {
    for (given, had, score) in [
        (0, 0, 1000),
        (0, 100, 1000),
        (0, 50, 0),
        (0, 25, 500),
        // Denying what we gave does not help,
        (50, 0, 0),
        // and more than all is all.
        (900, 0, 1000),
    ] {
        assert_eq!(anti_leech_score(given, had, 100), score, "{given} {had}");
    }
    assert_eq!(anti_leech_score(0, 0, 0), 0);
    let scored = |n, score| Candidate {
        score,
        ..candidate(n)
    };
    let candidates = vec![scored(1, 10), scored(2, 900), scored(3, 500)];
    assert_eq!(order(candidates, SeedChoke::AntiLeech), [2, 3, 1]);
}

#[test]
fn slots_follow_the_rate_that_each_is_fed() {
    let fed = |rates: &[u64]| {
        let candidates: Vec<_> = rates
            .iter()
            .map(|rate| unchoked(1, rate * 10 * 1024))
            .collect();
        slots(SlotCount::RateBased, &candidates, 10)
    };
    assert_eq!(fed(&[]), SLOTS_MIN);
    assert_eq!(fed(&[1, 0, 0]), SLOTS_MIN);
    // 1, 3, 5, 7, 9 KiB/s are asked of the first five.
    assert_eq!(fed(&[100, 100, 100, 100, 100]), 6);
    assert_eq!(fed(&[9, 9, 9, 9, 9, 9]), 6);
    assert_eq!(fed(&[8, 8, 8, 8, 8, 8]), 5);
    assert_eq!(slots(SlotCount::Fixed(3), &[], 10), 3);
}

#[test]
fn everybody_gets_a_slot_when_there_are_enough() {
    let ranked = [candidate(1), candidate(2), candidate(3)];
    let given = assign(&ranked, 3, None, &mut luck());
    assert_eq!(given.regular.len(), 3);
    assert_eq!(given.optimistic, None);
}

#[test]
fn one_slot_of_several_is_given_by_luck() {
    let ranked: Vec<_> = (1..=10).map(candidate).collect();
    let mut seen = std::collections::BTreeSet::new();
    let mut luck = luck();
    for _ in 0..200 {
        let given = assign(&ranked, 4, None, &mut luck);
        assert_eq!(given.regular.len(), 3, "the first three by rank");
        assert!(
            ranked[..3]
                .iter()
                .all(|peer| given.regular.contains(&peer.peer))
        );
        let optimistic = given.optimistic.unwrap();
        assert!(!given.regular.contains(&optimistic));
        seen.insert(optimistic);
    }
    assert_eq!(seen.len(), 7, "everybody else has a chance");
    let alone = assign(&ranked, 1, None, &mut luck);
    assert_eq!((alone.regular.len(), alone.optimistic), (1, None));
    assert_eq!(
        assign(&ranked, 0, None, &mut luck),
        super::super::policy::Assignment::default()
    );
}

#[test]
fn the_holder_keeps_the_optimistic_slot_and_is_not_drawn_twice() {
    let mut ranked: Vec<_> = (1..=6).map(candidate).collect();
    ranked[5].unchoked = true;
    let holder = ranked[5].peer;
    let mut luck = luck();
    assert_eq!(
        assign(&ranked, 3, Some(holder), &mut luck).optimistic,
        Some(holder)
    );
    for _ in 0..50 {
        assert_ne!(assign(&ranked, 3, None, &mut luck).optimistic, Some(holder));
    }
    // Who earned a regular slot leaves the optimistic one to another.
    ranked.rotate_right(1);
    let given = assign(&ranked, 3, Some(holder), &mut luck);
    assert!(given.regular.contains(&holder));
    assert!(given.optimistic.is_some_and(|peer| peer != holder));
}

#[test]
fn newcomers_are_drawn_three_times_as_often() {
    let mut ranked: Vec<_> = (1..=4).map(candidate).collect();
    ranked[3].newcomer = true;
    let mut luck = luck();
    let draws = (0..4000)
        .filter(|_| assign(&ranked, 2, None, &mut luck).optimistic == Some(ranked[3].peer))
        .count();
    // One regular; of the three others one weighs 3 of 5.
    assert!((2200..2600).contains(&draws), "{draws} of 4000");
}

#[test]
fn snubbing_peers_get_a_slot_by_luck_only() {
    let mut ranked: Vec<_> = (1..=3).map(candidate).collect();
    ranked[0].snubbed = true;
    ranked[0].merit = 9;
    let given = assign(&ranked, 8, None, &mut luck());
    assert_eq!(given.regular.len(), 2);
    assert_eq!(given.optimistic, Some(ranked[0].peer));
    ranked
        .iter_mut()
        .for_each(|candidate| candidate.snubbed = true);
    let given = assign(&ranked, 8, None, &mut luck());
    assert!(given.regular.is_empty() && given.optimistic.is_some());
}
