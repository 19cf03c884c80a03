//! Runs a session until its torrents have done what they were started for.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use dunlin::{
    AddError, InfoHash, Mark, NewTorrent, Session, SessionEvent, Subscription, TorrentKey,
};
use dunlin_port::config::Config;
use dunlin_port::snapshot::{TorrentState, TorrentView};
use dunlin_protocol::metainfo::Info;

use super::config_layers::LoadError;
use super::config_watch::{self, ConfigWatch};
use super::output::Output;
use super::selection::{self, Selector};
use super::session_args::SessionArgs;
use super::signals::Interrupts;
use super::{Exit, Failure, Global, Outcome};

/// How often progress is told.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long an event is waited for before signals are looked at.
const WAIT: Duration = Duration::from_millis(100);
/// Events that are taken in a row before signals are looked at.
const EVENTS_IN_A_ROW: usize = 4096;
/// More than ever wait: while they are taken at the end, others come.
const EVENTS_AT_END_MAX: usize = 1 << 20;
/// How long trackers may take to hear that we stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Torrents whose views are all kept; of more, those at rest are forgotten until something changes.
const VIEWS_KEPT_MAX: usize = 100;
/// Below this rate a download counts as slow.
const SLOW_BYTES_PER_SEC: u64 = 16 << 10;

/// When a torrent has done enough after it is complete; whichever comes first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Goal {
    pub(super) seed_time: Option<Duration>,
    /// Bytes sent, as a part of those wanted.
    pub(super) ratio: Option<f64>,
    /// Never enough: until somebody interrupts.
    pub(super) seeds_on: bool,
}

/// A torrent of this run.
pub(super) struct Item {
    pub(super) key: TorrentKey,
    pub(super) info_hash: InfoHash,
    /// What a link calls it, as long as its own name is not known.
    link_name: Option<String>,
    /// What it contains, once that is known.
    pub(super) info: Option<Arc<Info>>,
    /// Files to choose when they are known; empty for all.
    select: Vec<Selector>,
    /// What was last seen of it, unless it is one of many that rest.
    pub(super) view: Option<Box<TorrentView>>,
    /// Bytes sent and wanted, for the ratio.
    sent_of: (u64, u64),
    /// Since when it is slow.
    pub(super) slow_since: Option<Instant>,
    /// Since when everything that is wanted is verified and committed.
    pub(super) complete_since: Option<Instant>,
    /// Why it will not be complete.
    pub(super) failed: Option<String>,
    /// Whether the view differs from the one that was told of last.
    pub(super) news: bool,
    opened: bool,
    fetched: bool,
}

impl Item {
    /// What it is called; its info hash when nobody says.
    pub(super) fn name(&self) -> String {
        let own = self.info.as_ref().map(|info| info.name().to_owned());
        own.or_else(|| self.link_name.clone())
            .unwrap_or_else(|| self.info_hash.to_string())
    }

    /// How many pieces it has; none before that is known.
    pub(super) fn pieces(&self) -> u32 {
        let info = self.info.as_ref();
        info.map_or(0, |info| info.geometry().piece_count())
    }

    /// Forgets what was seen of it if nothing moves; the next change shows it again.
    fn forget_if_at_rest(&mut self) {
        let rests = |view: &TorrentView| {
            view.state == TorrentState::Seeding
                && view.peers.is_empty()
                && view.up_bytes_per_sec == 0
        };
        if self.complete_since.is_some() && !self.news && self.view.as_deref().is_some_and(rests) {
            self.view = None;
        }
    }

    fn is_done(&self, goal: Goal) -> bool {
        let Some(since) = self.complete_since else {
            return self.failed.is_some();
        };
        let time = goal.seed_time.map(|time| since.elapsed() >= time);
        let (sent, wanted) = self.sent_of;
        let ratio = goal
            .ratio
            .map(|ratio| wanted > 0 && sent as f64 >= ratio * wanted as f64);
        match (time, ratio) {
            _ if goal.seeds_on => false,
            (None, None) => true,
            (time, ratio) => time == Some(true) || ratio == Some(true),
        }
    }
}

/// A torrent that a session is given, and how it is followed.
pub(super) struct Addition {
    new: NewTorrent,
    item: Item,
}

impl Addition {
    /// One of which everything is known.
    pub(super) fn known(info: Arc<Info>, new: NewTorrent) -> Self {
        let mut addition = Self::link(None, Vec::new(), new);
        addition.item.info = Some(info);
        addition
    }

    /// One by its link, with the files to choose when they are known.
    pub(super) fn link(name: Option<String>, select: Vec<Selector>, new: NewTorrent) -> Self {
        let item = Item {
            // Until the session gives it one.
            key: TorrentKey(u32::MAX),
            info_hash: new.info_hash(),
            link_name: name,
            info: None,
            select,
            view: None,
            sent_of: (0, 0),
            slow_since: None,
            complete_since: None,
            failed: None,
            news: false,
            opened: false,
            fetched: false,
        };
        Self { new, item }
    }
}

/// New configurations, while the file is watched.
struct Reloads {
    arriving: Receiver<Result<Config, LoadError>>,
    _watch: ConfigWatch,
}

/// A session and what is to come of it.
pub(super) struct Transfer {
    session: Session,
    events: Subscription,
    output: Output,
    interrupts: Interrupts,
    started: Instant,
    items: Vec<Item>,
    /// When the tables were last looked at.
    mark: Option<Mark>,
    flags: SessionArgs,
    reloads: Option<Reloads>,
}

impl Transfer {
    /// Starts a session without torrents and says where it listens.
    ///
    /// # Errors
    /// When it cannot start.
    pub(super) fn start(
        flags: SessionArgs,
        config: &Config,
        global: &Global,
    ) -> Result<Self, Failure> {
        let interrupts = Interrupts::catch()?;
        let session = flags.start(config)?;
        let output = match flags.json {
            true => Output::json(),
            false => Output::for_people(),
        };
        output.listening(session.listen_addrs())?;
        let reloads = watch(global.config.as_deref(), config.clone());
        let events = session.subscribe();
        let items = Vec::new();
        Ok(Self {
            session,
            events,
            output,
            interrupts,
            started: Instant::now(),
            items,
            mark: None,
            flags,
            reloads,
        })
    }

    /// Tells of each file as well.
    pub(super) fn with_files(mut self) -> Self {
        self.output = self.output.with_files();
        self
    }

    /// Adds torrents.
    ///
    /// # Errors
    /// When the session refuses one.
    pub(super) fn add_all(&mut self, additions: Vec<Addition>) -> Result<(), Failure> {
        let (torrents, items): (Vec<_>, Vec<_>) = additions
            .into_iter()
            .map(|addition| (addition.new, addition.item))
            .unzip();
        let keys = self.session.add_all(torrents);
        self.items.reserve_exact(keys.len());
        for (mut item, key) in items.into_iter().zip(keys) {
            match key {
                Ok(key) => item.key = key,
                // Named twice, as a file and by its link perhaps: it is got once.
                Err(AddError::Duplicate(_)) => {
                    tracing::warn!("{} was named more than once", item.name());
                    continue;
                }
                Err(error) => return Err(Failure::failed(error)),
            }
            self.items.push(item);
        }
        Ok(())
    }

    /// Runs until every torrent has reached its goal or failed, or somebody interrupts.
    ///
    /// # Errors
    /// When the engine fails or nothing can be printed.
    pub(super) fn run(mut self, goal: Goal) -> Outcome {
        let mut next_look = Instant::now();
        let mut interrupted = false;
        loop {
            let mut due = false;
            // Thousands of torrents open at once, and one look serves all of them.
            let mut wait = WAIT;
            for _ in 0..EVENTS_IN_A_ROW {
                let Some(event) = self.events.next(wait) else {
                    break;
                };
                due |= self.take(&event, goal)?;
                wait = Duration::ZERO;
            }
            if self.events.is_over() {
                return Err(Failure::failed(dunlin::Ended));
            }
            match self.events.take_missed() {
                0 => {}
                missed => self.output.missed(missed)?,
            }
            self.reload();
            if due || Instant::now() >= next_look {
                next_look = Instant::now() + LOOK_EVERY;
                self.look()?;
            }
            if self.items.iter().all(|item| item.is_done(goal)) {
                break;
            }
            if self.interrupts.came() {
                interrupted = true;
                break;
            }
        }
        self.end(interrupted, goal)
    }

    /// Notes an event and tells of it; says whether it is time to look at the tables.
    fn take(&mut self, event: &SessionEvent, goal: Goal) -> Result<bool, Failure> {
        let Some(key) = torrent_of(event) else {
            return Ok(false);
        };
        let Some(item) = find(&mut self.items, key) else {
            return Ok(false);
        };
        match event {
            SessionEvent::MetadataCame { info, .. } => {
                item.info = Some(Arc::clone(info));
                choose(&self.session, item, info)?;
            }
            SessionEvent::Opened { have_pieces, .. } => {
                item.opened = true;
                let pieces = item.pieces();
                if goal.seeds_on && *have_pieces < pieces {
                    let missing = pieces - have_pieces;
                    item.failed = Some(format!(
                        "{missing} of {pieces} pieces are missing or not as the torrent says; \
                         `dunlin get` fetches them"
                    ));
                }
            }
            SessionEvent::PieceDone { .. } => item.fetched = true,
            // Told already when it was complete from the start.
            SessionEvent::Completed { .. } if item.complete_since.is_some() => return Ok(true),
            SessionEvent::Completed { .. } => item.complete_since = Some(Instant::now()),
            // What cannot even be opened needs a person; later trouble may pass.
            SessionEvent::TorrentStopped { reason, .. } if !item.opened => {
                item.failed = Some(reason.clone());
            }
            _ => {}
        }
        self.output.event(item, event)?;
        Ok(matches!(
            event,
            SessionEvent::MetadataCame { .. }
                | SessionEvent::Opened { .. }
                | SessionEvent::Completed { .. }
        ))
    }

    /// Takes a copy of the tables and tells how far everything is.
    fn look(&mut self) -> Result<(), Failure> {
        self.look_once()?;
        self.output.progress(&mut self.items)?;
        if self.items.len() > VIEWS_KEPT_MAX {
            self.items.iter_mut().for_each(Item::forget_if_at_rest);
        }
        Ok(())
    }

    /// Takes a copy of the tables.
    fn look_once(&mut self) -> Result<(), Failure> {
        let (snapshot, mark) = self.session.changes(self.mark).map_err(Failure::failed)?;
        self.mark = Some(mark);
        for view in snapshot.torrents {
            let Some(item) = find(&mut self.items, view.torrent) else {
                continue;
            };
            let fetching = matches!(
                view.state,
                TorrentState::Metadata { .. } | TorrentState::Downloading
            );
            let slow = fetching && view.down_bytes_per_sec < SLOW_BYTES_PER_SEC;
            item.slow_since = slow.then(|| item.slow_since.unwrap_or_else(Instant::now));
            let seeds = view.state == TorrentState::Seeding;
            // Also what stands still while it should move is told again and again.
            let moves = view.state == TorrentState::Downloading;
            item.news |= moves || item.view.as_deref() != Some(&view);
            item.sent_of = (view.totals.uploaded_bytes, view.wanted_bytes);
            item.view = Some(Box::new(view));
            // Nothing was fetched, so there is nothing to be committed before it is complete.
            if item.complete_since.is_none() && item.opened && !item.fetched && seeds {
                item.complete_since = Some(Instant::now());
                self.output.complete(item)?;
            }
        }
        Ok(())
    }

    /// Takes a configuration that was changed while running, with our flags on top.
    fn reload(&self) {
        let Some(reloads) = &self.reloads else { return };
        for reload in reloads.arriving.try_iter() {
            let applied = reload
                .map_err(|error| error.to_string())
                .and_then(|mut config| {
                    self.flags.apply(&mut config);
                    self.session
                        .configure(&config)
                        .map_err(|error| error.to_string())
                });
            match applied {
                Ok(()) => tracing::info!("the configuration was read again"),
                Err(error) => tracing::warn!("the configuration stays as it was: {error}"),
            }
        }
    }

    fn end(mut self, interrupted: bool, goal: Goal) -> Outcome {
        if self.items.iter().any(|item| item.view.is_none()) {
            // Those that rested were forgotten, and the summary is of all.
            self.mark = None;
        }
        self.look_once()?;
        // What the tables show has happened, and what became of each torrent is said by its events.
        for _ in 0..EVENTS_AT_END_MAX {
            let Some(event) = self.events.next(Duration::ZERO) else {
                break;
            };
            self.take(&event, goal)?;
        }
        self.output.progress(&mut self.items)?;
        self.output.clear();
        let failed = self.items.iter().any(|item| item.failed.is_some());
        // To be interrupted is how seeding ends; a download is asked for more than that.
        let reached = |item: &Item| match goal.seeds_on {
            true => item.complete_since.is_some() || item.failed.is_some(),
            false => item.is_done(goal),
        };
        let interrupted = interrupted && !self.items.iter().all(reached);
        let seconds = self.started.elapsed().as_secs_f64();
        if let Err(error) = self.session.stop(STOP_TIMEOUT) {
            tracing::warn!("{error}");
        }
        for item in &self.items {
            self.output.summary(item, seconds)?;
        }
        if interrupted {
            self.output.interrupted()?;
            return Ok(Exit::Interrupted);
        }
        Ok(if failed { Exit::Failed } else { Exit::Done })
    }
}

/// A torrent of this run. Keys ascend in the order in which torrents are added.
fn find(items: &mut [Item], key: TorrentKey) -> Option<&mut Item> {
    let at = items.binary_search_by_key(&key, |item| item.key).ok()?;
    items.get_mut(at)
}

fn watch(named: Option<&Path>, in_force: Config) -> Option<Reloads> {
    let (sender, arriving) = mpsc::channel();
    let changed = move |config| drop(sender.send(config));
    match config_watch::watch(named, in_force, changed) {
        Ok(watch) => Some(Reloads {
            arriving,
            _watch: watch,
        }),
        Err(error) => {
            tracing::debug!("changes of the configuration will not be seen: {error}");
            None
        }
    }
}

/// Chooses the files of a link that were asked for, now that they are known.
fn choose(session: &Session, item: &mut Item, info: &Info) -> Result<(), Failure> {
    if item.select.is_empty() {
        return Ok(());
    }
    match selection::priorities(&item.select, info) {
        Ok(priorities) => {
            session
                .set_file_priorities(item.key, priorities)
                .and_then(|()| session.resume(item.key))
                .map_err(Failure::failed)?;
        }
        Err(nothing) => item.failed = Some(nothing),
    }
    Ok(())
}

fn torrent_of(event: &SessionEvent) -> Option<TorrentKey> {
    Some(match *event {
        SessionEvent::MetadataCame { torrent, .. }
        | SessionEvent::Opened { torrent, .. }
        | SessionEvent::PieceDone { torrent, .. }
        | SessionEvent::Completed { torrent }
        | SessionEvent::HashFailed { torrent, .. }
        | SessionEvent::PeerBanned { torrent, .. }
        | SessionEvent::TrackerReplied { torrent, .. }
        | SessionEvent::TrackerFailed { torrent, .. }
        | SessionEvent::TorrentStopped { torrent, .. }
        | SessionEvent::TorrentRecovered { torrent }
        | SessionEvent::Moved { torrent, .. }
        | SessionEvent::Removed { torrent } => torrent,
        SessionEvent::Stopped => return None,
    })
}
