//! Shows a piece to whom passed on the last one.

use core::time::Duration;

use bevy_ecs::prelude::*;
use dunlin_base::{EngineTime, PeerKey};
use dunlin_components::peer::{Hello, PeerTraffic, RemoteHave};
use dunlin_components::torrent::{Availability, Content, Peers, SuperSeeding, Traffic};
use dunlin_components::world::{Now, PortOutbox, TimerKind, Timers, TorrentIndex, Work};
use dunlin_port::net::NetCommand;
use dunlin_protocol::wire::Message;

use super::policy::{choose, has_spread};

/// Time without payload after which the rule costs more than it saves.
const IDLE: Duration = Duration::from_secs(1);

/// Peers that are shown a piece out of turn when nothing leaves: as many as there are slots at least.
const OUT_OF_TURN_MAX: usize = 4;

type TorrentRow<'a> = (
    &'a Content,
    &'a Peers,
    &'a Availability,
    &'a Traffic,
    &'a mut SuperSeeding,
);

type PeerRow<'a> = (&'a Hello, &'a RemoteHave, &'a PeerTraffic);

pub(super) fn show_pieces(
    now: Res<'_, Now>,
    index: Res<'_, TorrentIndex>,
    mut work: ResMut<'_, Work>,
    mut timers: ResMut<'_, Timers>,
    mut outbox: ResMut<'_, PortOutbox>,
    mut torrents: Query<'_, '_, TorrentRow<'_>>,
    remotes: Query<'_, '_, PeerRow<'_>>,
) {
    for key in core::mem::take(&mut work.show) {
        let Some(row) = index
            .get(key)
            .and_then(|entity| torrents.get_mut(entity).ok())
        else {
            continue;
        };
        let (content, peers, availability, traffic, mut seeding) = row;
        let seeding = &mut *seeding;
        seeding.retain(|peer| peers.0.contains_key(&peer));
        if peers.0.is_empty() {
            seeding.look_at = EngineTime::START;
            continue;
        }
        let up = traffic.up.total_bytes();
        let looks = now.0 >= seeding.look_at;
        let idle = looks && seeding.look_at != EngineTime::START && up == seeding.up_at_look;
        if looks {
            seeding.look_at = now.0 + IDLE;
            seeding.up_at_look = up;
            timers.set(seeding.look_at, key, TimerKind::Show);
        }
        let row = |peer: &PeerKey| remotes.get(*peers.0.get(peer)?).ok();
        let due = due(seeding, content, peers, availability, row, idle);
        let mut new_from = 0;
        for peer in due {
            let Some((_, remote, traffic)) = row(&peer) else {
                continue;
            };
            let under_way = seeding.shown(peer).map(|shown| &shown.under_way);
            let piece = choose(
                availability,
                seeding,
                &remote.bits,
                under_way,
                idle,
                &mut new_from,
            );
            let Some(piece) = piece else { continue };
            seeding.show(peer, piece, traffic.up.total_bytes());
            let message = Message::Have(piece.0);
            outbox.0.net.push(NetCommand::Send { peer, message });
        }
    }
}

/// Who may be shown another piece: whoever was shown none, or passed the last one on. When nothing
/// leaves, also some of those who have it for themselves: maybe they know nobody to pass it to.
fn due<'a>(
    seeding: &SuperSeeding,
    content: &Content,
    peers: &Peers,
    availability: &Availability,
    row: impl Fn(&PeerKey) -> Option<(&'a Hello, &'a RemoteHave, &'a PeerTraffic)>,
    idle: bool,
) -> Vec<PeerKey> {
    let mut out_of_turn = if idle { OUT_OF_TURN_MAX } else { 0 };
    let count = peers.0.len() as u32;
    let mut is_due = |peer: &PeerKey| {
        let Some((hello, remote, traffic)) = row(peer) else {
            return false;
        };
        // Without BEP 6, who has nothing may leave that unsaid.
        let is_known = remote.told || !hello.reserved.fast();
        if !is_known || remote.bits.is_full() {
            return false;
        }
        let Some(shown) = seeding.shown(*peer) else {
            return true;
        };
        let said = remote.bits.has(shown.last);
        let sent = traffic.up.total_bytes() - shown.up_at_last;
        let got = said || sent >= content.0.geometry().piece_len(shown.last).into();
        let others = availability.copies(shown.last) - u32::from(said);
        if has_spread(others, got, count) {
            return true;
        }
        let early = got && out_of_turn > 0;
        out_of_turn -= usize::from(early);
        early
    };
    peers
        .0
        .keys()
        .copied()
        .filter(|peer| is_due(peer))
        .collect()
}
