//! The shares of one tick.

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

/// What is left of a line in this tick.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Inbound {
    left: u64,
    offered: u64,
}

/// Computes shares; keeps its scratch memory from tick to tick.
#[derive(Default)]
pub(in crate::sim) struct Shares {
    inbound: Vec<Inbound>,
    crowded: Vec<u32>,
    order: Vec<(u64, u32)>,
}

impl Shares {
    /// Sets the share of every flow. Flows of one sender stand side by side. `up` and `down` are the
    /// bytes that each line can carry in this tick.
    ///
    /// No line carries more than it can, no flow gets more than it wants, and the result depends
    /// on nothing but the arguments.
    pub(in crate::sim) fn compute(&mut self, flows: &mut [Flow], up: &[u64], down: &[u64]) {
        self.inbound.clear();
        self.inbound
            .extend(down.iter().map(|&left| Inbound { left, offered: 0 }));
        for sender in flows.chunk_by_mut(|a, b| a.from == b.from) {
            let budget = up[sender[0].from as usize];
            fill(&mut self.order, sender, budget);
            for flow in sender {
                self.inbound[flow.to as usize].offered += flow.share;
            }
        }
        self.crowded.clear();
        let crowded = (0..)
            .zip(&self.inbound)
            .filter(|(_, line)| line.offered > line.left);
        self.crowded.extend(crowded.map(|(line, _)| line));
        if self.crowded.is_empty() {
            // Nothing was clipped, so nothing is left to hand on.
            return;
        }
        self.clip(flows);
        self.hand_on(flows, up);
    }

    /// Receivers that are offered too much take equal parts of what their lines carry.
    fn clip(&mut self, flows: &mut [Flow]) {
        let mut offers: Vec<(u32, u32)> = (0..)
            .zip(&*flows)
            .filter(|(_, flow)| self.crowded.binary_search(&flow.to).is_ok())
            .map(|(at, flow)| (flow.to, at))
            .collect();
        offers.sort_unstable();
        for receiver in offers.chunk_by(|a, b| a.0 == b.0) {
            let line = self.inbound[receiver[0].0 as usize];
            let wants = receiver.iter().map(|&(_, at)| flows[at as usize].share);
            self.order.clear();
            self.order.extend(wants.zip(0..));
            water_fill(&mut self.order, line.left, |at, share| {
                flows[receiver[at as usize].1 as usize].share = share;
            });
        }
        for line in &mut self.inbound {
            line.left = line.left.saturating_sub(line.offered);
        }
        for &line in &self.crowded {
            self.inbound[line as usize].left = 0;
        }
    }

    /// What receivers did not take goes to the sender's other flows, as far as their lines carry it.
    fn hand_on(&mut self, flows: &mut [Flow], up: &[u64]) {
        for sender in flows.chunk_by_mut(|a, b| a.from == b.from) {
            let used: u64 = sender.iter().map(|flow| flow.share).sum();
            let mut spare = up[sender[0].from as usize] - used;
            let hungry = |flow: &Flow, inbound: &[Inbound]| {
                flow.share < flow.want && inbound[flow.to as usize].left > 0
            };
            let mut count = sender
                .iter()
                .filter(|flow| hungry(flow, &self.inbound))
                .count() as u64;
            for flow in sender {
                if spare == 0 || count == 0 {
                    break;
                }
                if !hungry(flow, &self.inbound) {
                    continue;
                }
                let left = &mut self.inbound[flow.to as usize].left;
                let more = (flow.want - flow.share)
                    .min(*left)
                    .min(spare.div_ceil(count));
                flow.share += more;
                *left -= more;
                spare -= more;
                count -= 1;
            }
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

    /// The bytes that all move are within two percent of the true max-min shares on average.
    #[test]
    fn shares_are_near_the_exact_ones() {
        let mut rng = dunlin_base::RngStream::new(
            1,
            dunlin_base::NodeKey(0),
            dunlin_base::StreamName::Connect,
        );
        let (mut error, mut total) = (0_u64, 0_u64);
        for _ in 0..500 {
            let lines = 3 + rng.below(8) as usize;
            let up: Vec<u64> = (0..lines).map(|_| 1000 + rng.below(20_000)).collect();
            let down: Vec<u64> = up.iter().map(|up| up * (1 + rng.below(8))).collect();
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
            for (ours, exact) in ours.iter().zip(exact) {
                error += ours.share.abs_diff(exact);
                total += exact;
            }
        }
        assert!(error * 50 < total, "off by {error} of {total} bytes");
    }
}
