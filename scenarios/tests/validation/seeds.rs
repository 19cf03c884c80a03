//! What a seed sends.

use super::{meets, meets_with};

/// The first seed of a new torrent without BEP 16.
const PLAIN: &str = "classes.seed.strategy=(slots: Fixed(5))";

#[test]
fn a_super_seed_sends_hardly_anything_twice() {
    meets("super-seeding.ron");
}

/// BEP 16: 150 to 200 %; the range is that of its setting, seeds of one to two leechers.
#[test]
fn a_plain_seed_sends_more() {
    let copies = "expect=[AllComplete, SeedCopies(min: 1.3, max: 2.5)]";
    meets_with(
        "super-seeding.ron",
        &[PLAIN, copies, "classes.seed.up=1500kbit"],
    );
}
