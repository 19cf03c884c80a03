//! Decides which peers we upload to.

use bevy_ecs::prelude::*;

pub(crate) fn plugin(_schedule: &mut Schedule) {}
