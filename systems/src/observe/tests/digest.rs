//! Goal: digests are equal for equal tables, and name the row that differs.
//! Method: the same swarm twice, then one row of one of them changed by hand.

use core::time::Duration;

use dunlin_base::TorrentKey;
use dunlin_components::torrent::Traffic;
use dunlin_components::world::TorrentIndex;
use dunlin_port::config::EngineConfig;

use crate::swarm::{Sample, Swarm};

fn swarm() -> Swarm {
    let sample = Sample::new(600_000, 65_536);
    let mut swarm = Swarm::new(3, &EngineConfig::default());
    swarm.add(0, &sample, true, &[]);
    swarm.add(1, &sample, false, &[0]);
    swarm.add(2, &sample, false, &[0, 1]);
    swarm.run_for(Duration::from_millis(55));
    swarm
}

#[test]
fn equal_tables_have_equal_digests_and_a_row_that_differs_is_named() {
    let (mut one, mut other) = (swarm(), swarm());
    assert_eq!(one.engine.digest(), other.engine.digest());
    let rows = one.engine.row_digests();
    assert_eq!(rows, other.engine.row_digests());
    for table in ["Luck", "Have", "Requests", "Blocks", "MemoryBudget"] {
        assert!(rows.iter().any(|row| row.table == table), "{table}");
    }

    let world = other.engine.world();
    let torrent = world.resource::<TorrentIndex>().get(TorrentKey(2));
    let mut traffic = world
        .get_mut::<Traffic>(torrent.expect("it was added"))
        .expect("every torrent has it");
    traffic.wasted_bytes += 1;
    assert_ne!(one.engine.digest(), other.engine.digest());
    let after = other.engine.row_digests();
    let differing: Vec<_> = rows
        .iter()
        .zip(&after)
        .filter(|(before, after)| before != after)
        .map(|(_, after)| (after.table, &*after.row))
        .collect();
    assert_eq!(differing, [("Traffic", "torrent 2")]);
}
