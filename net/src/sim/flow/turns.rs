//! Who takes first: TCP, and µTP what that leaves.
//!
//! LEDBAT (RFC 6817), the congestion control of µTP (BEP 29), gives way as soon as others fill a
//! queue, but never below its least window of two segments. So in a tick there are three turns, each
//! max-min fair over what the one before left: what every µTP flow has in any case, then all of TCP,
//! then the rest of µTP.

use super::{Flow, Shares};

/// Computes shares where some flows yield to others; keeps its scratch memory from tick to tick.
#[derive(Default)]
pub(in crate::sim) struct Turns {
    up: Vec<u64>,
    down: Vec<u64>,
    part: Vec<Flow>,
    at: Vec<usize>,
}

impl Turns {
    /// Sets the share of every flow, as [`Shares::compute`] does for equals. A flow with a floor
    /// yields to those without one, down to so many bytes.
    pub(in crate::sim) fn compute(
        &mut self,
        shares: &mut Shares,
        flows: &mut [Flow],
        floors: &[Option<u64>],
        up: &[u64],
        down: &[u64],
    ) {
        self.up.clear();
        self.up.extend_from_slice(up);
        self.down.clear();
        self.down.extend_from_slice(down);
        flows.iter_mut().for_each(|flow| flow.share = 0);
        for want in TURNS {
            self.part.clear();
            self.at.clear();
            for (at, (flow, floor)) in flows.iter().zip(floors).enumerate() {
                let want = want(flow, *floor);
                if want > 0 {
                    self.part.push(Flow {
                        want,
                        share: 0,
                        ..*flow
                    });
                    self.at.push(at);
                }
            }
            shares.compute(&mut self.part, &self.up, &self.down);
            for (flow, &at) in self.part.iter().zip(&self.at) {
                flows[at].share += flow.share;
                self.up[flow.from as usize] -= flow.share;
                self.down[flow.to as usize] -= flow.share;
            }
        }
    }
}

/// What a flow wants in each turn, given its floor.
const TURNS: [fn(&Flow, Option<u64>) -> u64; 3] = [
    |flow, floor| floor.map_or(0, |floor| flow.want.min(floor)),
    |flow, floor| if floor.is_none() { flow.want } else { 0 },
    |flow, floor| floor.map_or(0, |_| flow.want - flow.share),
];

#[cfg(test)]
mod tests {
    use dunlin_base::{NodeKey, RngStream, StreamName};

    use super::super::exact::exact_shares;
    use super::*;

    const LOTS: u64 = 1 << 40;

    fn flow(from: u32, to: u32, want: u64) -> Flow {
        Flow {
            from,
            to,
            want,
            share: 0,
        }
    }

    fn compute(flows: &[Flow], floors: &[Option<u64>], up: &[u64], down: &[u64]) -> Vec<u64> {
        let mut flows = flows.to_vec();
        Turns::default().compute(&mut Shares::default(), &mut flows, floors, up, down);
        flows.iter().map(|flow| flow.share).collect()
    }

    /// The three turns with exact shares in each.
    fn exact(flows: &[Flow], floors: &[Option<u64>], up: &[u64], down: &[u64]) -> Vec<u64> {
        let (mut flows, mut up, mut down) = (flows.to_vec(), up.to_vec(), down.to_vec());
        for want in TURNS {
            let part: Vec<Flow> = flows
                .iter()
                .zip(floors)
                .map(|(row, floor)| flow(row.from, row.to, want(row, *floor)))
                .collect();
            for (flow, share) in flows.iter_mut().zip(exact_shares(&part, &up, &down)) {
                flow.share += share;
                up[flow.from as usize] -= share;
                down[flow.to as usize] -= share;
            }
        }
        flows.iter().map(|flow| flow.share).collect()
    }

    #[test]
    fn tcp_takes_all_but_the_floor_and_utp_what_nobody_else_wants() {
        let up = [1000, 0, 0];
        let down = [LOTS; 3];
        let both = [flow(0, 1, LOTS), flow(0, 2, LOTS)];
        assert_eq!(compute(&both, &[None, Some(50)], &up, &down), [950, 50]);
        // Alone, or among its like, it is as good as TCP.
        assert_eq!(compute(&both[1..], &[Some(50)], &up, &down), [1000]);
        assert_eq!(
            compute(&both, &[Some(50), Some(50)], &up, &down),
            [500, 500]
        );
        // What TCP cannot use is not lost.
        let slow = [flow(0, 1, 200), flow(0, 2, LOTS)];
        assert_eq!(compute(&slow, &[None, Some(50)], &up, &down), [200, 800]);
        let full = [LOTS, 300, LOTS];
        assert_eq!(compute(&both, &[None, Some(50)], &up, &full), [300, 700]);
    }

    /// On random small graphs: no line carries more than it can, and the bytes that all move are
    /// those of exact turns, for each kind of flow, but for what does not divide.
    #[test]
    fn turns_are_the_exact_ones() {
        let mut rng = RngStream::new(2, NodeKey(0), StreamName::Connect);
        let (mut error, mut total) = ([0_u64; 2], [0_u64; 2]);
        for _ in 0..500 {
            let lines = 3 + rng.below(8) as usize;
            let up: Vec<u64> = (0..lines).map(|_| 1000 + rng.below(20_000)).collect();
            let down: Vec<u64> = up.iter().map(|up| up * (1 + rng.below(8))).collect();
            let (mut flows, mut floors) = (Vec::new(), Vec::new());
            for from in 0..lines as u32 {
                for _ in 0..rng.below(6) {
                    let want = [LOTS, rng.below(4000)][usize::from(rng.below(3) == 0)];
                    flows.push(flow(from, rng.below(lines as u64) as u32, want));
                    floors.push((rng.below(2) == 0).then(|| rng.below(100)));
                }
            }
            let ours = compute(&flows, &floors, &up, &down);
            for line in 0..lines {
                let carried = |end: fn(&Flow) -> u32| -> u64 {
                    let here = flows.iter().zip(&ours);
                    let here = here.filter(|(flow, _)| end(flow) as usize == line);
                    here.map(|(_, share)| share).sum()
                };
                assert!(carried(|flow| flow.from) <= up[line]);
                assert!(carried(|flow| flow.to) <= down[line]);
            }
            let exact = exact(&flows, &floors, &up, &down);
            for ((ours, exact), floor) in ours.iter().zip(exact).zip(&floors) {
                error[usize::from(floor.is_some())] += ours.abs_diff(exact);
                total[usize::from(floor.is_some())] += exact;
            }
        }
        for kind in 0..2 {
            assert!(
                error[kind] * 1000 < total[kind],
                "off by {error:?} of {total:?} bytes"
            );
        }
    }
}
