//! The pure decisions, by tables.

use std::collections::BTreeSet;

use dunlin_base::{Bitfield, NodeKey, PieceIndex, RngStream, StreamName};
use dunlin_components::torrent::{PickOrder, PieceRank};
use dunlin_port::config::PickStrategy::{self, RarestFirst, RoundRobin, Sequential};
use dunlin_port::user::FilePriority::{self, High, Low, Normal};
use proptest::prelude::*;

use crate::pick::policy::{Offer, Seen, choose, partials_max, pipeline};

#[test]
fn a_pipeline_is_as_long_as_the_rate_fills() {
    let cases = [
        // rate, seconds, what the peer queues, requests
        (0, 3, 250, 2),
        (0, 3, 1, 1),
        (1_000_000, 3, 0, 1),
        (16_384, 3, 250, 3),
        (1_000_000, 3, 250, 183),
        (100_000_000, 3, 250, 250),
        (100_000_000, 3, 2000, 2000),
        (u64::MAX, 60, 500, 500),
    ];
    for (rate, secs, reqq, requests) in cases {
        assert_eq!(pipeline(rate, secs, reqq), requests, "{rate} {secs} {reqq}");
    }
}

#[test]
fn wholeness_counts_with_few_peers_and_towards_the_end() {
    let cases = [
        // peers, pieces that nobody was asked for, pieces in motion
        (1, 1000, 0),
        (4, 1000, 2),
        (40, 1000, 20),
        (40, 20, 5),
        (40, 3, 0),
    ];
    for (peers, unopened, most) in cases {
        assert_eq!(partials_max(peers, unopened), most, "{peers} {unopened}");
    }
}

fn luck() -> RngStream {
    RngStream::new(5, NodeKey(0), StreamName::Pick)
}

/// Pieces of this priority and with so many copies, by index; `None` may not be opened.
fn order(ranks: &[Option<(FilePriority, u16)>]) -> PickOrder {
    let mut order = PickOrder::new(ranks.len() as u32);
    for (piece, rank) in (0..).map(PieceIndex).zip(ranks) {
        if let Some((priority, copies)) = *rank {
            order.insert(piece, PieceRank::new(priority, copies), &mut luck());
        }
    }
    order
}

struct Case {
    what: &'static str,
    ranks: &'static [Option<(FilePriority, u16)>],
    has: &'static [u32],
    only: Option<&'static [u32]>,
    strategy: PickStrategy,
    last_opened: Option<u32>,
    expect: Option<u32>,
}

const PLAIN: Case = Case {
    what: "the rarest",
    ranks: &[Some((Normal, 3)), Some((Normal, 1)), Some((Normal, 2))],
    has: &[0, 1, 2],
    only: None,
    strategy: RarestFirst,
    last_opened: None,
    expect: Some(1),
};

const WITH_LOW: &[Option<(FilePriority, u16)>] = &[
    Some((Low, 0)),
    Some((Normal, 1)),
    Some((High, 9)),
    Some((Normal, 2)),
];
const ALL: &[u32] = &[0, 1, 2, 3];

const CASES: [Case; 16] = [
    PLAIN,
    Case {
        what: "the rarest that it has",
        has: &[0, 2],
        expect: Some(2),
        ..PLAIN
    },
    Case {
        what: "none that it has",
        has: &[],
        expect: None,
        ..PLAIN
    },
    Case {
        what: "priority before rarity",
        ranks: WITH_LOW,
        has: ALL,
        expect: Some(2),
        ..PLAIN
    },
    Case {
        what: "low last",
        ranks: WITH_LOW,
        has: &[0, 3],
        expect: Some(3),
        ..PLAIN
    },
    Case {
        what: "nothing to open",
        ranks: &[None, None],
        has: &[0, 1],
        expect: None,
        ..PLAIN
    },
    Case {
        what: "choked",
        only: Some(&[2, 0]),
        expect: Some(0),
        ..PLAIN
    },
    Case {
        what: "choked, priority",
        ranks: WITH_LOW,
        has: ALL,
        only: Some(&[0, 2]),
        expect: Some(2),
        ..PLAIN
    },
    Case {
        what: "choked, not had",
        only: Some(&[1]),
        has: &[0],
        expect: None,
        ..PLAIN
    },
    Case {
        what: "sequential",
        strategy: Sequential,
        expect: Some(0),
        ..PLAIN
    },
    Case {
        what: "sequential, what it has",
        strategy: Sequential,
        has: &[1, 2],
        expect: Some(1),
        ..PLAIN
    },
    Case {
        what: "sequential in the best priority",
        strategy: Sequential,
        ranks: WITH_LOW,
        has: ALL,
        expect: Some(2),
        ..PLAIN
    },
    Case {
        what: "round robin begins",
        strategy: RoundRobin,
        expect: Some(0),
        ..PLAIN
    },
    Case {
        what: "round robin goes on",
        strategy: RoundRobin,
        last_opened: Some(0),
        expect: Some(1),
        ..PLAIN
    },
    Case {
        what: "and begins anew",
        strategy: RoundRobin,
        last_opened: Some(2),
        expect: Some(0),
        ..PLAIN
    },
    Case {
        what: "and skips",
        strategy: RoundRobin,
        last_opened: Some(0),
        has: &[0, 2],
        expect: Some(2),
        ..PLAIN
    },
];

#[test]
fn the_piece_to_open_follows_strategy_and_priority() {
    for case in CASES {
        let mut order = order(case.ranks);
        order.last_opened = case.last_opened.map(PieceIndex);
        let mut remote = Bitfield::empty(case.ranks.len() as u32);
        for &piece in case.has {
            remote.set(PieceIndex(piece));
        }
        let only: Option<BTreeSet<_>> = case
            .only
            .map(|pieces| pieces.iter().map(|piece| PieceIndex(*piece)).collect());
        let offer = Offer {
            remote: &remote,
            only: only.as_ref(),
            strategy: case.strategy,
            random_first: false,
        };
        let chosen = choose(&order, &offer, &mut Seen::default(), &mut luck()).map(|piece| piece.0);
        assert_eq!(chosen, case.expect, "{}", case.what);
    }
}

#[test]
fn the_first_pieces_are_random_among_those_of_the_best_priority() {
    let ranks: Vec<_> = (0..40)
        .map(|at| Some((if at < 20 { High } else { Normal }, at)))
        .collect();
    let order = order(&ranks);
    let remote = Bitfield::full(40);
    let offer = Offer {
        remote: &remote,
        only: None,
        strategy: RarestFirst,
        random_first: true,
    };
    let mut luck = luck();
    let chosen: BTreeSet<_> = (0..100)
        .filter_map(|_| choose(&order, &offer, &mut Seen::default(), &mut luck))
        .collect();
    assert!(chosen.len() > 10, "{chosen:?}");
    assert!(chosen.iter().all(|piece| piece.0 < 20), "{chosen:?}");
}

#[test]
fn a_peer_with_one_piece_of_many_is_asked_for_it_among_the_first_too() {
    let ranks = vec![Some((Normal, 1)); 2000];
    let mut remote = Bitfield::empty(2000);
    remote.set(PieceIndex(1234));
    let offer = Offer {
        remote: &remote,
        only: None,
        strategy: RarestFirst,
        random_first: true,
    };
    assert_eq!(
        choose(&order(&ranks), &offer, &mut Seen::default(), &mut luck()),
        Some(PieceIndex(1234))
    );
}

/// The rule without any means to be quick.
fn plain(order: &PickOrder, offer: &Offer<'_>) -> Option<PieceIndex> {
    let mut admitted = order.iter().filter(|piece| offer.admits(*piece));
    if offer.strategy == RarestFirst {
        return admitted.next();
    }
    let of_top = admitted.filter(|piece| order.is_of_top_priority(*piece));
    of_top
        .min()
        .or_else(|| order.iter().filter(|piece| offer.admits(*piece)).min())
}

proptest! {
    /// Choice after choice of one filling, with what the earlier ones have seen, against the plain
    /// rule.
    #[test]
    fn what_was_seen_changes_no_choice(
        pieces in prop::collection::vec((0..3_u8, 1..6_u16, 0..4_u8), 1..300),
        share in 1..5_u8,
        rarest in any::<bool>(),
    ) {
        let ranks: Vec<_> = pieces
            .iter()
            .map(|&(priority, copies, _)| Some(([High, Normal, Low][usize::from(priority)], copies)))
            .collect();
        let mut order = order(&ranks);
        let mut remote = Bitfield::empty(pieces.len() as u32);
        for (piece, (.., has)) in (0..).zip(&pieces) {
            if *has < share {
                remote.set(PieceIndex(piece));
            }
        }
        let strategy = if rarest { RarestFirst } else { Sequential };
        let offer = Offer { remote: &remote, only: None, strategy, random_first: false };
        let mut seen = Seen::default();
        loop {
            let chosen = choose(&order, &offer, &mut seen, &mut luck());
            prop_assert_eq!(chosen, plain(&order, &offer));
            let Some(piece) = chosen else { break };
            seen.note_opening(&order, &offer, piece);
            order.remove(piece);
        }
    }
}
