//! The shares of one tick.

use super::settle::Settling;

/// Something that wants to be sent in this tick. Lines are numbered by the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::sim) struct Flow {
    /// The line that it leaves by.
    pub(in crate::sim) from: u32,
    /// The line that it comes by.
    pub(in crate::sim) to: u32,
    /// Bytes that it could use.
    pub(in crate::sim) want: u64,
    /// Bytes that it may send.
    pub(in crate::sim) share: u64,
}

/// Computes shares; keeps its scratch memory from tick to tick.
#[derive(Default)]
pub(in crate::sim) struct Shares {
    /// What is offered to each line.
    offered: Vec<u64>,
    crowded: Vec<u32>,
    order: Vec<(u64, u32)>,
    settling: Settling,
}

impl Shares {
    /// Sets the share of every flow, max-min fair but for bytes that do not divide. Flows of one sender
    /// stand side by side. `up` and `down` are the bytes that each line can carry in this tick.
    ///
    /// No line carries more than it can, no flow gets more than it wants, and the result depends
    /// on nothing but the arguments.
    pub(in crate::sim) fn compute(&mut self, flows: &mut [Flow], up: &[u64], down: &[u64]) {
        self.offered.clear();
        self.offered.resize(down.len(), 0);
        for sender in flows.chunk_by_mut(|a, b| a.from == b.from) {
            let budget = up[sender[0].from as usize];
            fill(&mut self.order, sender, budget);
            for flow in sender {
                self.offered[flow.to as usize] += flow.share;
            }
        }
        self.crowded.clear();
        let lines = (0..).zip(self.offered.iter().zip(down));
        let crowded = lines.filter(|(_, (offered, down))| offered > down);
        self.crowded.extend(crowded.map(|(line, _)| line));
        // If receivers take all that senders can give, it is the senders' lines alone that decide.
        if !self.crowded.is_empty() {
            self.settling.settle(flows, &self.crowded, up, down);
        }
    }
}

fn fill(order: &mut Vec<(u64, u32)>, flows: &mut [Flow], budget: u64) {
    // Most senders are in the midst of blocks to all their receivers: then nothing has to be sorted.
    let part = budget / flows.len().max(1) as u64;
    if flows.iter().all(|flow| flow.want > part) {
        flows.iter_mut().for_each(|flow| flow.share = part);
        return;
    }
    order.clear();
    order.extend(flows.iter().map(|flow| flow.want).zip(0..));
    water_fill(order, budget, |at, share| flows[at as usize].share = share);
}

/// Splits `budget` over wants, each with its number: whoever wants no more than an equal part
/// gets it all, the others get equal parts of the rest. Bytes that do not divide are not given.
/// The list is in no particular order afterwards.
fn water_fill(wants: &mut [(u64, u32)], budget: u64, mut give: impl FnMut(u32, u64)) {
    let mut left = budget;
    let mut rest = wants;
    rest.sort_unstable();
    while let Some(&(want, number)) = rest.first() {
        let part = left / rest.len() as u64;
        if want > part {
            rest.iter().for_each(|&(_, number)| give(number, part));
            return;
        }
        give(number, want);
        left -= want;
        rest = &mut rest[1..];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::exact::exact_shares;
    use super::*;

    fn compute(flows: &[(u32, u32, u64)], up: &[u64], down: &[u64]) -> Vec<Flow> {
        let mut flows: Vec<Flow> = flows
            .iter()
            .map(|&(from, to, want)| Flow {
                from,
                to,
                want,
                share: 0,
            })
            .collect();
        flows.sort_by_key(|flow| flow.from);
        Shares::default().compute(&mut flows, up, down);
        flows
    }

    fn shares(flows: &[Flow]) -> Vec<u64> {
        flows.iter().map(|flow| flow.share).collect()
    }

    #[test]
    fn who_wants_little_gets_it_and_the_rest_is_equal() {
        let flows = compute(
            &[(0, 1, 10), (0, 2, 100), (0, 3, 100)],
            &[110, 0, 0, 0],
            &[999; 4],
        );
        assert_eq!(shares(&flows), [10, 50, 50]);
    }

    #[test]
    fn what_a_receiver_cannot_take_goes_to_others() {
        let flows = compute(&[(0, 1, 100), (0, 2, 100)], &[100, 0, 0], &[0, 20, 999]);
        assert_eq!(shares(&flows), [20, 80]);
    }

    /// Graphs of lines of unlike widths, as access lines are, and as many flows as slots allow.
    fn graphs() -> impl Strategy<Value = (Vec<(u32, u32, u64)>, Vec<u64>, Vec<u64>)> {
        (2..9_u32).prop_flat_map(|lines| {
            let flow = (0..lines, 0..lines, prop_oneof![1..2000_u64, Just(1 << 40)]);
            let count = lines as usize;
            (
                prop::collection::vec(flow, 1..24),
                prop::collection::vec(100..2000_u64, count),
                prop::collection::vec(400..8000_u64, count),
            )
        })
    }

    proptest! {
        #[test]
        fn no_line_carries_more_than_it_can((flows, up, down) in graphs()) {
            let flows = compute(&flows, &up, &down);
            for line in 0..up.len() {
                let sum = |pick: fn(&Flow) -> u32| -> u64 {
                    flows.iter().filter(|flow| pick(flow) as usize == line).map(|flow| flow.share).sum()
                };
                prop_assert!(sum(|flow| flow.from) <= up[line]);
                prop_assert!(sum(|flow| flow.to) <= down[line]);
            }
            prop_assert!(flows.iter().all(|flow| flow.share <= flow.want));
        }
    }

    /// Every share is the true max-min one, whatever lines bind, but for bytes that do not divide.
    #[test]
    fn shares_are_the_exact_ones() {
        let mut rng = dunlin_base::RngStream::new(
            1,
            dunlin_base::NodeKey(0),
            dunlin_base::StreamName::Connect,
        );
        let mut crowded = 0;
        for round in 0..2000 {
            let lines = 3 + rng.below(12) as usize;
            let up: Vec<u64> = (0..lines).map(|_| 1000 + rng.below(20_000)).collect();
            // Down as up, twice as wide, or much wider.
            let wide = [1, 2, 8][round % 3];
            let down: Vec<u64> = up.iter().map(|up| up * (1 + rng.below(wide))).collect();
            let mut list = Vec::new();
            for from in 0..lines as u32 {
                for _ in 0..rng.below(6) {
                    let to = rng.below(lines as u64) as u32;
                    let want = if rng.below(3) == 0 {
                        rng.below(4000)
                    } else {
                        1 << 40
                    };
                    list.push((from, to, want));
                }
            }
            let ours = compute(&list, &up, &down);
            let exact = exact_shares(&ours, &up, &down);
            // Each line may have one byte less than it has flows left over, which another then has more.
            let slack = 2 * list.len() as u64;
            for (ours, exact) in ours.iter().zip(exact) {
                assert!(
                    ours.share.abs_diff(exact) <= slack,
                    "{exact} bytes for {ours:?} of {list:?}, {up:?} up, {down:?} down"
                );
            }
            let full = |line: &usize| {
                let to = ours.iter().filter(|flow| flow.to as usize == *line);
                to.map(|flow| flow.share).sum::<u64>() + slack > down[*line]
            };
            crowded += (0..lines).filter(full).count();
        }
        assert!(crowded > 3000, "only {crowded} receivers were full");
    }
}
