//! Whoever wants to see more of a run than its record keeps.

use dunlin_systems::Relation;

/// Sees what happens in a run. Nothing in the run depends on it.
pub trait Observer {
    /// A node has verified one more piece at this instant in microseconds.
    fn piece_done(&mut self, at_us: u64, node: u32) {
        let _ = (at_us, node);
    }

    /// A row of the time series was taken at this instant in microseconds; all connections as they are
    /// then, those between two nodes from both sides. The numbers of nodes are those of
    /// [`crate::outcome::NodeOutcome::node`].
    fn sample(&mut self, at_us: u64, relations: &[Relation]);
}
