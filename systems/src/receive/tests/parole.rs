//! Pieces on parole: one peer alone fills them, as long as it does.

use core::time::Duration;

use dunlin_base::PeerKey;
use dunlin_port::config::EngineConfig;
use dunlin_port::net::NetEvent;
use dunlin_port::snapshot::SessionEvent;
use dunlin_protocol::wire::extension::DontHave;
use dunlin_protocol::wire::{BlockRequest, Message};

use crate::swarm::puppet::able;
use crate::swarm::{Sample, Swarm};

const BLOCKS: u32 = 32;
const PIECE: u32 = BLOCKS * 16_384;

/// A piece that failed its hash, of two peers that have it.
struct OnParole {
    swarm: Swarm,
    sample: Sample,
    /// Who is to fill it, and what of it that was asked for.
    owner: PeerKey,
    asked: Vec<BlockRequest>,
    other: PeerKey,
}

impl OnParole {
    fn new() -> Self {
        let sample = Sample::new(PIECE as usize, PIECE);
        let mut bad = Sample::new(PIECE as usize, PIECE);
        bad.data.fill(0);
        let mut rules = EngineConfig::default();
        rules.pick.endgame_requests = 0;
        let mut swarm = Swarm::new(1, &rules);
        swarm.add(0, &sample, false, &[]);
        swarm.step();
        let peers = [1, 2].map(|number| {
            let peer = swarm.join(0, &sample, number, able());
            swarm.say(peer, Message::HaveAll);
            // Fewer than the piece has.
            swarm.say_reqq(peer, BLOCKS / 2);
            swarm.say(peer, Message::Unchoke);
            peer
        });
        let spoiled = swarm.asked_of(peers[0]);
        spoiled
            .iter()
            .for_each(|block| swarm.give(peers[0], &bad, *block));
        let failed = |swarm: &Swarm| {
            let failed = |event: &SessionEvent| matches!(event, SessionEvent::HashFailed { .. });
            swarm.events.iter().any(failed)
        };
        for peer in peers.repeat(BLOCKS as usize) {
            if failed(&swarm) {
                break;
            }
            for block in swarm.asked_of(peer) {
                swarm.give(peer, &sample, block);
            }
            swarm.run_for(Duration::from_millis(10));
        }
        assert!(failed(&swarm));
        swarm.run_for(Duration::from_millis(100));
        let asked = peers.map(|peer| swarm.asked_of(peer));
        let [(owner, asked), (other, nothing)] = match asked {
            [of_first, of_second] if of_second.is_empty() => {
                [(peers[0], of_first), (peers[1], of_second)]
            }
            [of_first, of_second] => [(peers[1], of_second), (peers[0], of_first)],
        };
        assert!(!asked.is_empty() && asked.len() < BLOCKS as usize);
        assert_eq!(nothing, [], "only one is asked");
        Self {
            swarm,
            sample,
            owner,
            asked,
            other,
        }
    }

    /// The owner sends what it was asked for, and a message in the same tick: nothing more was asked for in
    /// between.
    fn owner_ends_with(&mut self, message: Message) {
        let peer = self.owner;
        for block in self.asked.drain(..) {
            self.swarm.put_block(peer, &self.sample, block);
        }
        let net = &mut self.swarm.engine.inbox().net;
        net.push_back(NetEvent::Message { peer, message });
        self.swarm.step();
    }

    /// Lets the other one fill the piece, while the owner rejects what it is asked for.
    fn completes_with_the_other(mut self) -> bool {
        let swarm = &mut self.swarm;
        for _ in 0..30 {
            for block in swarm.asked_of(self.owner) {
                swarm.say(self.owner, Message::Reject(block));
            }
            for block in swarm.asked_of(self.other) {
                swarm.give(self.other, &self.sample, block);
            }
            swarm.run_for(Duration::from_secs(1));
        }
        swarm.is_complete(0)
    }
}

#[test]
fn who_rejects_all_of_a_piece_does_not_keep_it_for_ever() {
    let mut parole = OnParole::new();
    for block in core::mem::take(&mut parole.asked) {
        parole.swarm.say(parole.owner, Message::Reject(block));
    }
    assert!(parole.completes_with_the_other());
}

#[test]
fn who_chokes_behind_its_last_block_does_not_keep_the_rest() {
    let mut parole = OnParole::new();
    parole.owner_ends_with(Message::Choke);
    assert!(parole.completes_with_the_other());
}

/// An owner that says that it lost the piece behind its last block is asked for nothing any more, and no
/// timeout is due.
#[test]
fn who_loses_a_piece_behind_its_last_block_does_not_keep_the_rest() {
    let mut parole = OnParole::new();
    parole.owner_ends_with(Message::Extended {
        id: crate::connect::DONT_HAVE_ID,
        payload: DontHave { piece: 0 }.encode().into(),
    });
    assert!(parole.completes_with_the_other());
}

/// An owner that chokes us and then takes back that it may be asked for the piece sends what it was asked for
/// before, and is asked for nothing more.
#[test]
fn who_takes_back_an_allowed_piece_does_not_keep_the_rest() {
    let mut parole = OnParole::new();
    let (swarm, peer) = (&mut parole.swarm, parole.owner);
    swarm.say(peer, Message::AllowedFast(0));
    swarm.say(peer, Message::Choke);
    let mut asked = core::mem::take(&mut parole.asked);
    let rejected = asked.pop().expect("it was asked for several");
    swarm.say(peer, Message::Reject(rejected));
    for block in asked {
        swarm.give(peer, &parole.sample, block);
    }
    assert!(parole.completes_with_the_other());
}

impl OnParole {
    /// Twenty minutes in which the owner acts on what it is asked for now and then, and the other one gives all
    /// that it is asked for.
    fn beside(
        mut self,
        every: Duration,
        mut act: impl FnMut(&mut Swarm, &Sample, PeerKey, Vec<BlockRequest>),
    ) -> Swarm {
        let swarm = &mut self.swarm;
        let mut asked = core::mem::take(&mut self.asked);
        for _ in 0..1200 / every.as_secs() {
            act(swarm, &self.sample, self.owner, asked);
            for _ in 0..every.as_secs() {
                for block in swarm.asked_of(self.other) {
                    swarm.give(self.other, &self.sample, block);
                }
                swarm.run_for(Duration::from_secs(1));
            }
            asked = swarm.asked_of(self.owner);
        }
        self.swarm
    }
}

/// Messages of one tick.
fn say_at_once(swarm: &mut Swarm, peer: PeerKey, messages: impl IntoIterator<Item = Message>) {
    for message in messages {
        let net = &mut swarm.engine.inbox().net;
        net.push_back(NetEvent::Message { peer, message });
    }
    swarm.step();
}

/// It is asked again in the tick in which it chokes, so the piece is never idle and nothing times out.
#[test]
fn who_chokes_and_unchokes_again_and_again_does_not_keep_a_piece() {
    let parole = OnParole::new();
    let swarm = parole.beside(Duration::from_secs(20), |swarm, _, owner, _| {
        say_at_once(swarm, owner, [Message::Choke, Message::Unchoke]);
    });
    assert!(swarm.is_complete(0));
}

#[test]
fn who_rejects_all_and_unchokes_again_and_again_does_not_keep_a_piece() {
    let parole = OnParole::new();
    let swarm = parole.beside(Duration::from_secs(20), |swarm, _, owner, asked| {
        let rejects = asked.into_iter().map(Message::Reject);
        say_at_once(swarm, owner, rejects.chain([Message::Unchoke]));
    });
    assert!(swarm.is_complete(0));
}

/// A block before every timeout: 32 of them would take 27 minutes.
#[test]
fn who_sends_a_block_now_and_then_does_not_keep_a_piece() {
    let parole = OnParole::new();
    let mut owed = std::collections::VecDeque::new();
    let swarm = parole.beside(Duration::from_secs(50), |swarm, sample, owner, asked| {
        owed.extend(asked);
        if let Some(block) = owed.pop_front() {
            swarm.give(owner, sample, block);
        }
    });
    assert!(swarm.is_complete(0));
}

/// From one that is slow nothing is taken as long as nobody else has it.
#[test]
fn a_slow_peer_that_is_alone_fills_a_piece_on_parole() {
    let mut parole = OnParole::new();
    let (other, owner) = (parole.other, parole.owner);
    parole.swarm.say(other, Message::Choke);
    let mut owed = std::collections::VecDeque::from(core::mem::take(&mut parole.asked));
    for _ in 0..200 {
        owed.extend(parole.swarm.asked_of(owner));
        if let Some(block) = owed.pop_front() {
            parole.swarm.give(owner, &parole.sample, block);
        }
        parole.swarm.run_for(Duration::from_secs(25));
    }
    assert!(parole.swarm.is_complete(0));
}

/// It was asked longest ago whenever the piece has failed, so it would come first each time: spoil a block, leave
/// the rest to the other one, and neither alone would ever send a whole copy.
#[test]
fn who_spoils_a_block_and_leaves_the_rest_does_not_spoil_the_piece_for_ever() {
    let parole = OnParole::new();
    let mut bad = Sample::new(PIECE as usize, PIECE);
    bad.data.fill(0);
    let swarm = parole.beside(Duration::from_secs(20), |swarm, _, owner, asked| {
        if let Some(&block) = asked.first() {
            swarm.give(owner, &bad, block);
        }
    });
    assert!(swarm.is_complete(0));
    let failed = |event: &&SessionEvent| matches!(event, SessionEvent::HashFailed { .. });
    assert_eq!(swarm.events.iter().filter(failed).count(), 2);
}
