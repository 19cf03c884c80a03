//! Arbitrary text as a magnet link: what was read is written as the same link.

#![no_main]

use dunlin_protocol::magnet::Magnet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(magnet) = text.parse::<Magnet>() {
        assert!(magnet.swarm_hash().is_some());
        assert_eq!(magnet.to_string().parse(), Ok(magnet));
    }
});
