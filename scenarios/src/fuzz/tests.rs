//! Goal: swarms survive, and a seed is one swarm, bit for bit.

use super::{Survived, fuzz};

#[test]
fn swarms_survive_hard_times() {
    let mut all = Survived::default();
    for seed in 0..12 {
        let survived = fuzz(seed).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        all.add(&survived);
    }
    // Times that are not hard show nothing.
    let seen = [
        all.troubles,
        all.hash_failures,
        all.bans,
        all.stops,
        all.spills,
        all.datagrams,
    ];
    for count in seen {
        assert!(count > 0, "{all:?}");
    }
}

#[test]
fn a_seed_is_one_swarm() {
    assert_eq!(fuzz(3), fuzz(3));
    assert_ne!(fuzz(3), fuzz(4));
}
