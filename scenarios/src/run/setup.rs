//! What a scenario says, in the terms of the engine and of its surroundings.

use core::time::Duration;
use std::sync::Arc;

use dunlin_net::sim::{Line, Region, Regions, Transport};
use dunlin_net::tracker_server::TrackerServerOptions;
use dunlin_port::config::{ByteSize, EngineConfig, SlotCount};
use dunlin_protocol::metainfo::{Info, MetainfoBuilder};

use super::RunError;
use crate::schema::{self, Behaviour, Class, Micros, Rtt, Scenario};

/// The torrent that a scenario shares. Its hashes are of nothing: payload is declared.
pub(super) fn torrent(scenario: &Scenario) -> Result<Arc<Info>, RunError> {
    let content = &scenario.content;
    let piece = u32::try_from(content.piece.0).map_err(|error| {
        RunError::Content(format!("a piece of {} bytes: {error}", content.piece.0))
    })?;
    let pieces = content.size.0.div_ceil(content.piece.0.max(1));
    let hashes = vec![[0; 20]; usize::try_from(pieces).unwrap_or(usize::MAX)];
    MetainfoBuilder::single_file(&scenario.name, content.size.0, piece)
        .build(&hashes)
        .map(|metainfo| metainfo.info)
        .map_err(|error| RunError::Content(error.to_string()))
}

pub(super) fn regions(rtt: &Rtt) -> Regions {
    let time = |micros: &Micros| Duration::from_micros(micros.0);
    match rtt {
        Rtt::Uniform(rtt) => Regions::uniform(time(rtt)),
        Rtt::Regions { matrix, .. } => {
            let rows: Vec<Vec<Duration>> = matrix
                .iter()
                .map(|row| row.iter().map(time).collect())
                .collect();
            Regions::matrix(&rows).expect("a checked scenario has a square matrix")
        }
    }
}

pub(super) fn tracker(scenario: &Scenario) -> TrackerServerOptions {
    let overlay = &scenario.overlay;
    TrackerServerOptions {
        interval: Duration::from_micros(overlay.announce_interval.0),
        peers_per_reply: overlay.tracker_want,
        peers_per_reply_max: overlay.tracker_want,
        ..TrackerServerOptions::default()
    }
}

pub(super) fn line(scenario: &Scenario, class: &Class) -> Line {
    let region = match (&scenario.rtt, &class.region) {
        (Rtt::Regions { names, .. }, Some(region)) => {
            names.iter().position(|name| name == region).unwrap_or(0)
        }
        _ => 0,
    };
    Line {
        up_bytes_per_sec: class.up.0,
        down_bytes_per_sec: class.down.0,
        // The schema's delay is of a round trip.
        access_delay: Duration::from_micros(class.access_delay.0 / 2),
        region: Region(region as u16),
        reachable: !class.nat,
        transport: match class.transport {
            schema::Transport::Tcp => Transport::Tcp,
            schema::Transport::Utp => Transport::Utp,
        },
        buffer: class.buffer.map(|time| Duration::from_micros(time.0)),
        loss_ppm: class.loss_ppm,
    }
}

pub(super) fn config(scenario: &Scenario, class: &Class) -> EngineConfig {
    let mut config = EngineConfig::from(scenario.strategy_of(class));
    if class.behaviour == Behaviour::FreeRider {
        config.choke.slots = SlotCount::Fixed(0);
    }
    config.limits.up = class.up_limit.map(|limit| ByteSize(limit.0));
    config.limits.down = class.down_limit.map(|limit| ByteSize(limit.0));
    config
}
