//! Goal: the fault campaign finds bugs. Method: one is planted in each of picking, choking,
//! verification and spilling; a few seeds must be enough to see it, and the same seeds survive without it.

use dunlin_scenarios::fuzz::fuzz;
use dunlin_systems::planted::{Bug, plant};

/// Seeds within which a bug has to be found.
const SEEDS: u64 = 20;

#[test]
fn a_planted_bug_is_found() {
    let signs = [
        (Bug::Picking, "not complete in time"),
        (Bug::Choking, "was told of our choking"),
        (Bug::Verification, "claims what is not on its disk"),
        (Bug::Spilling, "claims what is not on its disk"),
    ];
    for (bug, sign) in signs {
        plant(Some(bug));
        let found = (0..SEEDS).find_map(|seed| Some((seed, fuzz(seed).err()?)));
        let (seed, why) = found.unwrap_or_else(|| panic!("{bug:?} is not found"));
        assert!(why.contains(sign), "{bug:?}, seed {seed}: {why}");
        println!("{bug:?} is found by seed {seed}");
        plant(None);
        let survived = fuzz(seed);
        assert!(
            survived.is_ok(),
            "seed {seed} without {bug:?}: {survived:?}"
        );
    }
}
