//! What must come out of a run, written into its scenario.

use serde::{Deserialize, Serialize};

use super::{Micros, Permille};

/// An assertion on the outcome. Both ends of a range are inside.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Expectation {
    /// Every leecher that came is complete, except those that gave up, left or crashed before; and there
    /// is one that is complete.
    AllComplete,
    /// A completion time, as a multiple of something.
    Ratio {
        /// Which time.
        of: Completion,
        /// Of which class; all when not set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<String>,
        /// The unit.
        to: Yardstick,
        /// At least.
        min: Permille,
        /// At most.
        max: Permille,
    },
    /// Bytes uploaded as a share of the upload capacity that was there, from 5 % to 90 % of the
    /// time of the last completion.
    Utilisation {
        /// At least.
        min: Permille,
        /// At most.
        max: Permille,
    },
    /// Bytes uploaded by bytes downloaded, over all nodes of a class.
    ShareRatio {
        /// Which.
        class: String,
        /// At least.
        min: Permille,
        /// At most.
        max: Permille,
    },
    /// Downloaded bytes that were of no use, as a share of all downloaded bytes.
    Waste {
        /// At most.
        max: Permille,
    },
    /// Copies of the whole content that those sent who came with it, until the first leecher was
    /// complete, to the precision of the time series.
    SeedCopies {
        /// At least.
        min: Permille,
        /// At most.
        max: Permille,
    },
    /// Of the time for which nodes of a class had leechers unchoked, the share that leechers of one
    /// class had.
    UnchokeShare {
        /// Who unchokes.
        by: String,
        /// Who is unchoked.
        of: String,
        /// At least.
        min: Permille,
        /// At most.
        max: Permille,
    },
    /// How often playback stopped, in the mean of the nodes of a class that streams.
    Stalls {
        /// Which.
        class: String,
        /// At least.
        min: Permille,
        /// At most.
        max: Permille,
    },
    /// What leechers send grows exponentially, from 2 % to 50 % of the capacity of all lines, row by
    /// row of the time series.
    Growth {
        /// How much of its course an exponential explains at least (coefficient of determination).
        fit: Permille,
        /// It doubles in no less than this.
        min: Micros,
        /// And in no more than this.
        max: Micros,
    },
    /// Bytes sent that are no payload, as a share of the payload.
    Control {
        /// At most.
        max: Permille,
    },
    /// Time average of the complete nodes present, from `from` to the end.
    Seeds {
        /// When the warm-up is over.
        from: Micros,
        /// At least.
        min: u32,
        /// At most.
        max: u32,
    },
    /// Mean time from arrival to completion of the leechers that become complete from `from` on: of an
    /// open swarm that has settled.
    DownloadTime {
        /// When the warm-up is over.
        from: Micros,
        /// At least.
        min: Micros,
        /// At most.
        max: Micros,
    },
    /// Share that became complete of a class's leechers that did or were gone before, from `from` on, over
    /// the share that their download times leave of leechers that give up at a constant rate `a`:
    /// `1 / mean(exp(a t))` over the times `t` of those that became complete.
    Finished {
        /// Which class; an error unless its `abort` is exponential.
        class: String,
        /// When the warm-up is over.
        from: Micros,
        /// At least.
        min: Permille,
        /// At most.
        max: Permille,
    },
    /// Time average of the leechers present, from `from` to the end.
    Leechers {
        /// When the warm-up is over.
        from: Micros,
        /// At least.
        min: u32,
        /// At most.
        max: u32,
    },
}

/// Completion times of leechers, each from its own arrival except `Last`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Completion {
    /// Mean.
    Mean,
    /// Median.
    Median,
    /// 95th percentile.
    P95,
    /// 99th percentile.
    P99,
    /// The last completion, from the first arrival of any node.
    Last,
}

/// What a time is compared with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Yardstick {
    /// The minimum distribution time of Kumar and Ross: see [`crate::bound`].
    KumarRoss,
    /// A time.
    Time(Micros),
}
