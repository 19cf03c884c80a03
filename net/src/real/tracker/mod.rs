//! Asks trackers, on one thread of its own: HTTP and HTTPS (BEP 3, 7, 23, 31, 48), UDP (BEP 15, 41).
//!
//! A tracker's URL comes from a torrent, so it is hostile: what may be asked is decided on the
//! address that is then connected to, redirects are followed by hand under the same rules, and
//! answers are bounded in size and time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use dunlin_base::TorrentKey;
use dunlin_port::tracker::{TrackerCommand, TrackerError, TrackerEvent};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};

use super::mailbox::{Mailbox, Wake};
use clients::Clients;
use outlet::Outlet;

mod clients;
pub(crate) mod errands;
mod exchange;
mod http;
mod outlet;
#[cfg(test)]
mod tests;
mod tls;
mod udp;

/// Requests under way at a time.
const RUNNING_MAX: usize = 64;
/// Requests under way to one tracker: a dead one must not take every place for its time-out.
const RUNNING_PER_TRACKER_MAX: usize = 16;
/// Requests that wait, enough for every torrent of a large seedbox to say goodbye at once.
const WAITING_MAX: usize = 32 * 1024;
/// Threads that resolve names.
const RESOLVERS_MAX: usize = 8;

/// The tracker port. Dropping it gives up what is under way.
pub struct TrackerPort {
    commands: Option<mpsc::Sender<TrackerCommand>>,
    events: Arc<Mailbox<TrackerEvent>>,
    thread: Option<JoinHandle<()>>,
}

impl TrackerPort {
    /// Starts the thread. Sockets leave from `bind` and through `interface` when given, or not at
    /// all; `wake` is called when answers are ready.
    ///
    /// # Errors
    /// When the system gives no thread or no event queue.
    pub fn new(wake: Wake, bind: Option<IpAddr>, interface: Option<String>) -> io::Result<Self> {
        Self::with_clients(wake, Clients::new(Outlet::new(bind, interface)))
    }

    fn with_clients(wake: Wake, clients: Clients) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(RESOLVERS_MAX)
            .thread_name("dunlin-resolve")
            .build()?;
        let (commands, arriving) = mpsc::channel(WAITING_MAX);
        let events = Arc::new(Mailbox::new(wake));
        let desk = Desk::new(clients, Arc::clone(&events));
        let thread = thread::Builder::new()
            .name("dunlin-tracker".to_owned())
            .spawn(move || {
                runtime.block_on(desk.run(arriving));
                // A resolver may hang for longer than anybody wants to wait for the end.
                runtime.shutdown_background();
            })?;
        Ok(Self {
            commands: Some(commands),
            events,
            thread: Some(thread),
        })
    }

    /// Takes all commands. Each is answered by one event.
    pub fn submit(&self, commands: &mut Vec<TrackerCommand>) {
        for command in commands.drain(..) {
            let Some(sender) = &self.commands else { return };
            let rejected = match sender.try_send(command) {
                Ok(()) => continue,
                Err(mpsc::error::TrySendError::Full(command)) => {
                    (command, "too many announces wait already")
                }
                Err(mpsc::error::TrySendError::Closed(command)) => {
                    (command, "the tracker thread ended")
                }
            };
            let (command, why) = rejected;
            let errand = Errand::of(&command);
            self.events
                .put([errand.failed(TrackerError::Unreachable(why.to_owned()))]);
        }
    }

    /// Moves all events that are ready to the end of `events`.
    pub fn drain(&self, events: &mut VecDeque<TrackerEvent>) {
        self.events.take(events);
    }
}

impl Drop for TrackerPort {
    fn drop(&mut self) {
        self.commands.take();
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the tracker thread had panicked");
        }
    }
}

/// Whom an answer is for.
#[derive(Clone, Copy)]
struct Errand {
    torrent: TorrentKey,
    tracker: u32,
    announces: bool,
}

impl Errand {
    fn of(command: &TrackerCommand) -> Self {
        match *command {
            TrackerCommand::Announce {
                torrent, tracker, ..
            } => Self {
                torrent,
                tracker,
                announces: true,
            },
            TrackerCommand::Scrape {
                torrent, tracker, ..
            } => Self {
                torrent,
                tracker,
                announces: false,
            },
        }
    }

    fn failed(self, error: TrackerError) -> TrackerEvent {
        let Self {
            torrent,
            tracker,
            announces,
        } = self;
        if announces {
            TrackerEvent::Announced {
                torrent,
                tracker,
                result: Err(error),
            }
        } else {
            TrackerEvent::Scraped {
                torrent,
                tracker,
                result: Err(error),
            }
        }
    }
}

/// Decides which request goes next.
struct Desk {
    clients: Arc<Clients>,
    events: Arc<Mailbox<TrackerEvent>>,
    /// By the tracker's scheme, host and port, in order of arrival.
    waiting: BTreeMap<Box<str>, VecDeque<TrackerCommand>>,
    waiting_count: usize,
    running: HashMap<Id, (Box<str>, Errand)>,
    running_at: HashMap<Box<str>, usize>,
    tasks: JoinSet<TrackerEvent>,
}

impl Desk {
    fn new(clients: Clients, events: Arc<Mailbox<TrackerEvent>>) -> Self {
        Self {
            clients: Arc::new(clients),
            events,
            waiting: BTreeMap::new(),
            waiting_count: 0,
            running: HashMap::new(),
            running_at: HashMap::new(),
            tasks: JoinSet::new(),
        }
    }

    async fn run(mut self, mut arriving: mpsc::Receiver<TrackerCommand>) {
        loop {
            while self.tasks.len() < RUNNING_MAX
                && let Some((tracker, command)) = self.next()
            {
                self.start(tracker, command);
            }
            tokio::select! {
                command = arriving.recv(), if self.waiting_count < WAITING_MAX => match command {
                    Some(command) => self.line_up(command),
                    None => return,
                },
                Some(ended) = self.tasks.join_next_with_id() => self.end(ended),
            }
        }
    }

    fn line_up(&mut self, command: TrackerCommand) {
        let (TrackerCommand::Announce { url, .. } | TrackerCommand::Scrape { url, .. }) = &command;
        let tracker = tracker_of(url);
        self.waiting.entry(tracker).or_default().push_back(command);
        self.waiting_count += 1;
    }

    /// The next command of the tracker with the fewest requests under way.
    fn next(&mut self) -> Option<(Box<str>, TrackerCommand)> {
        let running = |tracker: &str| self.running_at.get(tracker).copied().unwrap_or(0);
        let (count, tracker) = self
            .waiting
            .keys()
            .map(|tracker| (running(tracker), tracker))
            .min()?;
        if count >= RUNNING_PER_TRACKER_MAX {
            return None;
        }
        let tracker = tracker.clone();
        let line = self.waiting.get_mut(&tracker)?;
        let command = line.pop_front();
        if line.is_empty() {
            self.waiting.remove(&tracker);
        }
        self.waiting_count -= usize::from(command.is_some());
        command.map(|command| (tracker, command))
    }

    fn start(&mut self, tracker: Box<str>, command: TrackerCommand) {
        let errand = Errand::of(&command);
        let clients = Arc::clone(&self.clients);
        *self.running_at.entry(tracker.clone()).or_default() += 1;
        let task = self
            .tasks
            .spawn(async move { carry_out(&clients, command).await });
        self.running.insert(task.id(), (tracker, errand));
    }

    fn end(&mut self, ended: Result<(Id, TrackerEvent), tokio::task::JoinError>) {
        let (id, event) = match ended {
            Ok((id, event)) => (id, Some(event)),
            Err(error) => (error.id(), None),
        };
        let Some((tracker, errand)) = self.running.remove(&id) else {
            return;
        };
        if let Some(count) = self.running_at.get_mut(&tracker) {
            *count -= 1;
            if *count == 0 {
                self.running_at.remove(&tracker);
            }
        }
        // The engine waits for an answer even when our own code failed.
        let broken = || {
            errand.failed(TrackerError::Unreachable(
                "the tracker client failed".to_owned(),
            ))
        };
        self.events.put([event.unwrap_or_else(broken)]);
    }
}

async fn carry_out(clients: &Clients, command: TrackerCommand) -> TrackerEvent {
    match command {
        TrackerCommand::Announce {
            torrent,
            tracker,
            url,
            request,
            ..
        } => {
            let result = clients.announce(&url, request).await;
            TrackerEvent::Announced {
                torrent,
                tracker,
                result,
            }
        }
        TrackerCommand::Scrape {
            torrent,
            tracker,
            url,
            info_hash,
        } => {
            let result = clients.scrape(&url, info_hash).await;
            TrackerEvent::Scraped {
                torrent,
                tracker,
                result,
            }
        }
    }
}

/// Scheme, host and port of a URL: what one tracker is to [`Desk`].
fn tracker_of(url: &str) -> Box<str> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    format!("{scheme}://{host}").to_ascii_lowercase().into()
}
