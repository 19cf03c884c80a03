//! Decides when to ask which tracker.

use bevy_ecs::prelude::*;

pub(crate) fn plugin(_schedule: &mut Schedule) {}
