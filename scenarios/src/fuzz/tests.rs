//! Goal: swarms survive, and a seed is one swarm, bit for bit.

use super::fuzz;

#[test]
fn swarms_survive_hard_times() {
    for seed in 0..12 {
        let survived = fuzz(seed);
        assert!(survived.is_ok(), "seed {seed}: {survived:?}");
    }
}

#[test]
fn a_seed_is_one_swarm() {
    assert_eq!(fuzz(3), fuzz(3));
    assert_ne!(fuzz(3), fuzz(4));
}
