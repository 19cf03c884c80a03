//! Timers that are due become work.

use core::time::Duration;

use bevy_ecs::prelude::*;
use dunlin_components::world::{Now, PeerIndex, TimerKind, Timers, Wake, Work};

use super::Sweep;

pub(super) fn pop_timers(
    now: Res<'_, Now>,
    mut timers: ResMut<'_, Timers>,
    mut work: ResMut<'_, Work>,
) {
    while let Some((torrent, kind)) = timers.pop(now.0) {
        match kind {
            TimerKind::Connect => work.connect.insert(torrent),
            TimerKind::Announce => work.announce.insert(torrent),
            TimerKind::Commit => work.commit.insert(torrent),
            TimerKind::Retry => work.retry.insert(torrent),
            TimerKind::Metadata => work.metadata.insert(torrent),
            TimerKind::Show => work.show.insert(torrent),
            TimerKind::LookAround => work.look_around.insert(torrent),
        };
    }
}

/// Peers that waited for rate try again when there is some.
pub(super) fn release_limited(
    now: Res<'_, Now>,
    mut work: ResMut<'_, Work>,
    mut wake: ResMut<'_, Wake>,
) {
    while let Some(&(until, peer)) = work.limited.first().filter(|(until, _)| *until <= now.0) {
        work.limited.remove(&(until, peer));
        work.pick.insert(peer);
    }
    while let Some(&(until, peer)) = work.throttled.first().filter(|(until, _)| *until <= now.0) {
        work.throttled.remove(&(until, peer));
        work.serve.insert(peer);
    }
    for until in [work.limited.first(), work.throttled.first()]
        .into_iter()
        .flatten()
    {
        wake.by(until.0);
    }
}

/// Pipelines and memory are looked at once a second, and only while there are peers.
pub(super) fn arm_sweep(
    now: Res<'_, Now>,
    peers: Res<'_, PeerIndex>,
    mut sweep: ResMut<'_, Sweep>,
    mut wake: ResMut<'_, Wake>,
) {
    sweep.due = !peers.is_empty() && sweep.next_at <= now.0;
    if sweep.due {
        sweep.next_at = now.0 + Duration::from_secs(1);
    }
    if !peers.is_empty() {
        wake.by(sweep.next_at);
    }
}
