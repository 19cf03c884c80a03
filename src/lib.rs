//! Dunlin: a BitTorrent engine organised as an ECS simulation.
