//! What is under way, by the tick at which it arrives.

use std::collections::{BTreeMap, VecDeque};

/// Ticks ahead that have a list of their own; what takes longer waits in a map.
const NEAR_TICKS: u64 = 64;

/// Things that arrive at ticks. Things of one tick arrive in the order in which they were put in.
pub(super) struct Delivery<T> {
    /// Lists of the ticks from `next` on.
    near: VecDeque<Vec<T>>,
    next: u64,
    far: BTreeMap<u64, Vec<T>>,
    spare: Vec<Vec<T>>,
}

impl<T> Delivery<T> {
    pub(super) fn new() -> Self {
        Self {
            near: (0..NEAR_TICKS).map(|_| Vec::new()).collect(),
            next: 0,
            far: BTreeMap::new(),
            spare: Vec::new(),
        }
    }

    /// Puts something in that arrives at `tick`, or at the next one to come if that is past.
    pub(super) fn put(&mut self, tick: u64, thing: T) {
        let ahead = tick.saturating_sub(self.next);
        match usize::try_from(ahead)
            .ok()
            .and_then(|ahead| self.near.get_mut(ahead))
        {
            Some(list) => {
                if list.capacity() == 0
                    && let Some(spare) = self.spare.pop()
                {
                    *list = spare;
                }
                list.push(thing);
            }
            None => self.far.entry(tick).or_default().push(thing),
        }
    }

    /// Takes out what arrives at the next tick if that is not after `tick`. The list comes back by
    /// [`Delivery::recycle`].
    pub(super) fn take(&mut self, tick: u64) -> Option<Vec<T>> {
        if self.next > tick {
            return None;
        }
        let list = self.near.pop_front().unwrap_or_default();
        self.next += 1;
        let entering = self.next + NEAR_TICKS - 1;
        self.near
            .push_back(self.far.remove(&entering).unwrap_or_default());
        Some(list)
    }

    /// Gives an emptied list back, so that its memory is used again: soon, while it is in a cache.
    pub(super) fn recycle(&mut self, list: Vec<T>) {
        if list.is_empty() && list.capacity() > 0 && self.spare.len() < NEAR_TICKS as usize {
            self.spare.push(list);
        }
    }

    /// All that is under way.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.near.iter().chain(self.far.values()).flatten()
    }

    /// The next tick at which something arrives.
    pub(super) fn next_tick(&self) -> Option<u64> {
        let near = (self.next..)
            .zip(&self.near)
            .find(|(_, list)| !list.is_empty());
        near.map(|(tick, _)| tick)
            .or_else(|| self.far.first_key_value().map(|(&tick, _)| tick))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Everything arrives at its tick, in the order in which it was put in.
        #[test]
        fn agrees_with_a_sorted_list(ticks in prop::collection::vec(0..300_u64, 0..200)) {
            let mut delivery = Delivery::new();
            let mut model: Vec<(u64, usize)> = Vec::new();
            for (at, &tick) in ticks.iter().enumerate() {
                delivery.put(tick, at);
                model.push((tick, at));
            }
            model.sort_unstable();
            prop_assert_eq!(delivery.next_tick(), model.first().map(|first| first.0));
            prop_assert!(delivery.iter().eq(model.iter().map(|(_, at)| at)));
            let mut came = Vec::new();
            for tick in 0..300 {
                let mut list = delivery.take(tick).unwrap();
                came.extend(list.drain(..).map(|at| (tick, at)));
                delivery.recycle(list);
                prop_assert!(delivery.take(tick).is_none());
            }
            prop_assert_eq!(came, model);
        }
    }

    #[test]
    fn what_is_late_arrives_next() {
        let mut delivery = Delivery::new();
        (0..5).for_each(|tick| assert_eq!(delivery.take(tick), Some(Vec::new())));
        delivery.put(2, 'x');
        assert_eq!(delivery.next_tick(), Some(5));
        assert_eq!(delivery.take(5), Some(vec!['x']));
    }
}
