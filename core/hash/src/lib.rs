//! Batch SHA-1 and SHA-256, and BitTorrent v2 merkle trees.
