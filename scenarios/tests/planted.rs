//! Goal: the fault campaign finds bugs. Method: one is planted in each of picking, choking, verification, spilling
//! and parole; a few seeds must be enough to see it, and the same seeds survive without it.

use dunlin_scenarios::fuzz::fuzz;
use dunlin_systems::planted::{Bug, plant};

/// Seeds within which a bug has to be found that shows in most swarms.
const SEEDS: u64 = 20;

/// Seeds of the campaign that every change has to pass: within these a bug has to be found that takes a peer of
/// a certain manner, a bad piece, and nobody who ends it by going.
const CAMPAIGN_SEEDS: u64 = 300;

#[test]
fn a_planted_bug_is_found() {
    let signs = [
        (Bug::Picking, SEEDS, "not complete in time"),
        (Bug::Choking, SEEDS, "was told of our choking"),
        (Bug::Verification, SEEDS, "claims what is not on its disk"),
        (Bug::Spilling, SEEDS, "claims what is not on its disk"),
        (Bug::Parole, CAMPAIGN_SEEDS, "not complete in time"),
    ];
    for (bug, seeds, sign) in signs {
        plant(Some(bug));
        let found = (0..seeds).find_map(|seed| Some((seed, fuzz(seed).err()?)));
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
