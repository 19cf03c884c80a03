//! Digests of what there is once in a world.

use core::fmt::{self, Write as _};
use core::hash::{Hash, Hasher};

use bevy_ecs::prelude::*;
use dunlin_components::piece::Piece;
use dunlin_components::world::{MemoryBudget, Now, PeerIndex, PortInbox, Timers, Wake, Work};
use dunlin_port::Inbox;

use super::{Key as _, Mixer, Visit};
use crate::ingest::Sweep;
use crate::lifecycle::Stopping;

macro_rules! resources {
    ($($resource:ident $(by $walk:ident)?),*) => {
        /// Tables of resources, in the order in which they are visited.
        pub(super) const RESOURCES: &[&str] = &[$(stringify!($resource)),*];

        /// Visits all of them.
        pub(super) fn walk(world: &World, visit: &mut Visit<'_>) {
            $(resources!(@walk world visit $resource $($walk)?);)*
        }

        #[cfg(test)]
        pub(super) fn types() -> Vec<core::any::TypeId> {
            vec![$(core::any::TypeId::of::<$resource>()),*]
        }
    };
    (@walk $world:ident $visit:ident $resource:ident) => {
        if let Some(resource) = $world.get_resource::<$resource>() {
            one(stringify!($resource), resource, $visit);
        }
    };
    (@walk $world:ident $visit:ident $resource:ident $walk:ident) => {
        $walk($world, stringify!($resource), $visit)
    };
}

resources! {
    Now, Wake, Timers, Sweep, Stopping, MemoryBudget, PeerIndex by peer_index, PortInbox by port_inbox,
    Work by work
}

/// The only row of a table.
fn one(table: &'static str, row: &impl Hash, visit: &mut Visit<'_>) {
    let mut mixer = Mixer(0);
    row.hash(&mut mixer);
    visit(table, 0, mixer.finish(), &|| "world".to_owned());
}

/// Its rows are those of the peers themselves; what it alone knows is the number of the next one.
fn peer_index(world: &World, table: &'static str, visit: &mut Visit<'_>) {
    one(table, &world.resource::<PeerIndex>().opened(), visit);
}

/// What a tick could not take in yet. Mostly nothing, so that words are cheap enough.
fn port_inbox(world: &World, table: &'static str, visit: &mut Visit<'_>) {
    let Inbox {
        net,
        disk,
        hash,
        tracker,
        user,
    } = &world.resource::<PortInbox>().0;
    let mut words = Words(Mixer(0));
    let said = write!(words, "{net:?}{disk:?}{hash:?}{tracker:?}{user:?}");
    said.expect("a digest takes everything");
    one(table, &words.0.finish(), visit);
}

/// Mixes text in.
struct Words(Mixer);

impl fmt::Write for Words {
    fn write_str(&mut self, words: &str) -> fmt::Result {
        self.0.write(words.as_bytes());
        Ok(())
    }
}

/// What is left to do, list by list.
fn work(world: &World, table: &'static str, visit: &mut Visit<'_>) {
    // Without `..`, so that none is forgotten.
    let Work {
        pick,
        starved,
        memory_freed,
        limited,
        endgame,
        pipelines,
        overdue,
        silence,
        flags,
        choke,
        rounds,
        throttled,
        serve,
        interest,
        whole,
        crowded,
        paroles,
        have,
        show,
        connect,
        look_around,
        announce,
        commit,
        retry,
        metadata,
        completion,
        reap,
        unreadable,
        drop,
    } = world.resource::<Work>();
    let mut number = 0;
    let mut list = |name: &'static str, list: &dyn Fn(&mut Mixer)| {
        let mut mixer = Mixer(number);
        list(&mut mixer);
        visit(table, number, mixer.finish(), &|| name.to_owned());
        number += 1;
    };
    macro_rules! lists {
        ($($name:ident),*) => { $(list(stringify!($name), &|mixer| $name.hash(mixer));)* };
    }
    lists!(
        pick,
        starved,
        memory_freed,
        limited,
        endgame,
        pipelines,
        overdue,
        silence,
        flags
    );
    lists!(
        choke, rounds, throttled, serve, interest, whole, crowded, have, show, connect
    );
    lists!(
        look_around,
        announce,
        commit,
        retry,
        metadata,
        completion,
        reap,
        unreadable,
        drop
    );
    // By key; those that are done with are gone.
    let key = |&row: &Entity| Some(world.get::<Piece>(row)?.raw(world, row));
    let mut pieces: Vec<_> = paroles.iter().filter_map(key).collect();
    pieces.sort_unstable();
    list("paroles", &|mixer| pieces.hash(mixer));
}
