//! Goal: prices and worths follow what peers do, and the uplink goes to who gives most for it.
//! Method: tables over the pure functions.

use dunlin_base::EngineTime;
use dunlin_components::peer::Bargain;

use super::policy::candidate;
use crate::choke::bargain::{Deal, affordable, capacity, guess, settle, yields};
use crate::choke::policy::Candidate;

const ROUND_SECS: u64 = 10;

fn deal([paid, gives]: [bool; 2], got_bytes_per_sec: u64) -> Deal {
    Deal {
        paid,
        gives,
        got_bytes_per_sec,
    }
}

fn after(deals: &[Deal]) -> Bargain {
    let settle = |bargain, deal: &Deal| settle(bargain, *deal, ROUND_SECS);
    deals.iter().fold(Bargain::default(), settle)
}

#[test]
fn a_price_rises_until_it_is_enough_and_falls_when_it_was_for_three_rounds() {
    let price = |deals: &[Deal]| after(deals).price_bytes_per_sec;
    let (in_vain, gave) = (deal([true, false], 0), deal([true, true], 9_000));
    assert_eq!(price(&[]), 16_000);
    assert_eq!(price(&[in_vain]), 19_200);
    assert_eq!(price(&[in_vain, in_vain]), 23_040);
    assert_eq!(price(&[gave, gave]), 16_000);
    assert_eq!(price(&[gave, gave, gave]), 14_400);
    assert_eq!(price(&[gave, gave, gave, gave]), 12_960);
    assert_eq!(price(&[gave, gave, in_vain, gave, gave]), 19_200);
    // What was not paid says nothing of the price.
    assert_eq!(
        price(&[deal([false, false], 0), deal([false, true], 5)]),
        16_000
    );
    // A block in ten seconds is the least that shows.
    assert_eq!(price(&[gave; 100]), 1_638);
}

#[test]
fn a_worth_is_what_came_in_a_whole_round() {
    let worth = |deals: &[Deal]| after(deals).worth_bytes_per_sec;
    assert_eq!(
        worth(&[deal([true, true], 3_000)]),
        16_000,
        "a part of a round"
    );
    assert_eq!(
        worth(&[deal([true, true], 30_000)]),
        30_000,
        "at least that"
    );
    let whole = [deal([true, true], 3_000), deal([true, true], 9_000)];
    assert_eq!(worth(&whole), 9_000);
    let idle = [deal([true, true], 9_000), deal([true, true], 0)];
    assert_eq!(worth(&idle), 16_000, "it had nothing that we asked for");
    let ended = [whole[0], whole[1], deal([true, false], 100)];
    assert_eq!(worth(&ended), 9_000);
}

#[test]
fn who_never_gave_is_judged_by_how_fast_its_pieces_come() {
    let at = EngineTime::from_secs;
    let first = guess(Bargain::default(), at(10), 5, 100_000);
    assert_eq!(first.worth_bytes_per_sec, 16_000, "nothing to compare with");
    // 100 kB/s, on seven slots.
    let second = guess(first, at(20), 15, 100_000);
    assert_eq!(second.worth_bytes_per_sec, 100_000 / 7);
    // A quarter of what is new: 75 kB/s, on six; and of 6 kB/s on two.
    let third = guess(second, at(30), 15, 100_000);
    assert_eq!(third.worth_bytes_per_sec, 75_000 / 6);
    let slow = guess(first, at(110), 11, 100_000);
    assert_eq!(slow.worth_bytes_per_sec, 6_000 / 2);
    let known = Bargain {
        gave: true,
        ..first
    };
    assert_eq!(guess(known, at(20), 15, 1).worth_bytes_per_sec, 16_000);
    // Pieces that are given up (BEP 54) come at no pace.
    assert_eq!(guess(first, at(20), 0, 1).worth_bytes_per_sec, 0);
}

fn priced(n: u64, price_bytes_per_sec: u64) -> Candidate {
    Candidate {
        price_bytes_per_sec,
        ..candidate(n)
    }
}

#[test]
fn an_uplink_is_spent_in_order_and_the_first_is_bought_whatever_it_costs() {
    let ranked = [priced(1, 50), priced(2, 40), priced(3, 10), priced(4, 5)];
    for (capacity, bought) in [(0, 1), (89, 1), (90, 2), (100, 3), (104, 3), (105, 4)] {
        assert_eq!(affordable(&ranked, capacity), bought, "{capacity}");
    }
    // What is left buys strangers as they come.
    assert_eq!(affordable(&ranked, 105 + 2 * 16_000), 6);
    assert_eq!(affordable(&[], 16_000), 1);
}

#[test]
fn without_a_limit_an_uplink_is_what_it_was_seen_to_carry_and_some_more() {
    assert_eq!(capacity(Some(5), &[], ROUND_SECS), 5);
    assert_eq!(capacity(None, &[], ROUND_SECS), 64_000);
    let busy = Candidate {
        up_in_round: 1_000_000,
        ..candidate(1)
    };
    assert_eq!(capacity(None, &[busy], ROUND_SECS), 125_000);
}

#[test]
fn a_yield_is_what_comes_for_what_it_costs() {
    let bargain = |worth_bytes_per_sec, price_bytes_per_sec| Bargain {
        price_bytes_per_sec,
        worth_bytes_per_sec,
        ..Bargain::default()
    };
    assert_eq!(yields(&Bargain::default()), 1_000_000);
    assert_eq!(yields(&bargain(30_000, 10_000)), 3_000_000);
    assert_eq!(yields(&bargain(u64::MAX, 0)), u64::MAX);
}
