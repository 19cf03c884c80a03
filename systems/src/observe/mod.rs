//! What viewers see.

use bevy_ecs::prelude::*;

pub(crate) fn plugin(_schedule: &mut Schedule) {}
