//! A scenario as a real swarm: a process in a host of its own for each node.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dunlin_scenarios::arrivals::{NodePlan, population};
use dunlin_scenarios::schema::{Behaviour, Class, Rate, Rtt, Scenario, Slots, Stay};

use super::compare::Times;
use crate::doubles::tracker::Tracker;
use crate::peers::dunlin::Dunlin;
use crate::peers::{Client, Job};
use crate::support::lab::{Host, Lab};
use crate::support::payload::Payload;
use crate::support::process::Process;
use crate::support::wait::{CHECK, wait_until};

/// A line that is no limit: there is nothing between the nodes. Others have a `buffer`, and are token buckets (tbf) at
/// both ends with queues so long, as a modem has them.
pub(crate) const LINE_MAX: Rate = Rate(125_000_000);

/// Longest real run, far above all that are asked for.
const RUN_MAX: Duration = Duration::from_secs(900);
const POLL: Duration = Duration::from_millis(50);
/// A longer gap between two looks means that the machine stood still, and the swarm with it.
const GAP_MAX: Duration = Duration::from_millis(1500);

/// A process of the swarm, and its story.
struct Node {
    process: Process,
    /// What it prints when it begins and when it has everything.
    words: [&'static str; 2],
    began: Option<Instant>,
    completed: Option<Instant>,
}

/// Runs a scenario in real time and gives the time of each node, from when it says that it has begun; `None` when the
/// machine stood still meanwhile, so that nothing was measured.
///
/// # Panics
/// When the scenario says what no real swarm of this harness does.
pub(crate) fn run_for_real(lab: &Lab, scenario: &Scenario) -> Option<Times> {
    refuse_what_is_not_done(scenario);
    let content = &scenario.content;
    let payload = Payload::single(
        lab.folder(),
        "content.bin",
        77,
        content.size.0,
        content.piece.0,
    );
    let _tracker = Tracker::start(lab);
    let plans = population(scenario);
    let hosts: Vec<Host> = plans
        .iter()
        .map(|plan| lab.host(&format!("n{}", plan.node)))
        .collect();
    let class_of = |node: usize| &scenario.classes[usize::from(plans[node].class)];
    lab.introduce(&hosts);
    for (node, host) in hosts.iter().enumerate() {
        let class = class_of(node);
        if let Some(buffer) = class.buffer {
            host.shape(class.up.0, class.down.0, Duration::from_micros(buffer.0));
        }
    }
    let begin = |node: usize| {
        let class = class_of(node);
        Node::start(&hosts[node], scenario, class, plans[node].seed, &payload)
    };
    let mut nodes: Vec<Option<Node>> = plans.iter().map(|_| None).collect();
    // Seeds are there before anybody else, and have checked what they have.
    for plan in plans.iter().filter(|plan| plan.seed) {
        let mut node = begin(plan.node as usize);
        wait_until("a seed", CHECK, || {
            node.look();
            node.completed.is_some()
        });
        nodes[plan.node as usize] = Some(node);
    }
    run_until_complete(&mut nodes, &plans, begin)?;
    let time = |node: &Node| Some(node.completed?.duration_since(node.began?).as_secs_f64());
    let times = nodes.iter().zip(&plans).map(|(node, plan)| {
        let leecher = node.as_ref().filter(|_| !plan.seed);
        leecher.and_then(time)
    });
    Some(times.collect())
}

/// Begins each leecher when it comes, until all are complete; `None` when the machine stood still.
fn run_until_complete(
    nodes: &mut [Option<Node>],
    plans: &[NodePlan],
    begin: impl Fn(usize) -> Node,
) -> Option<()> {
    let is_done = |node: &Option<Node>| node.as_ref().is_some_and(|node| node.completed.is_some());
    let start = Instant::now();
    let mut looked = start;
    while !nodes.iter().all(is_done) {
        assert!(start.elapsed() < RUN_MAX, "the swarm does not complete");
        nodes.iter_mut().flatten().for_each(Node::look);
        // One at a time: a busy machine takes long to start a process, and that is not a gap.
        let is_due = |plan: &&NodePlan| {
            let is_time = start.elapsed() >= Duration::from_micros(plan.arrives_us);
            is_time && nodes[plan.node as usize].is_none()
        };
        let due = plans.iter().filter(is_due);
        match due.min_by_key(|plan| plan.arrives_us) {
            Some(plan) => nodes[plan.node as usize] = Some(begin(plan.node as usize)),
            None => std::thread::sleep(POLL),
        }
        if looked.elapsed() > GAP_MAX {
            return None;
        }
        looked = Instant::now();
    }
    Some(())
}

/// What is not done here must not be compared.
fn refuse_what_is_not_done(scenario: &Scenario) {
    let nodes: u32 = scenario.classes.iter().map(|class| class.count).sum();
    assert!(
        scenario.faults.is_empty(),
        "faults are not caused in real swarms"
    );
    assert!(
        scenario.overlay.tracker_want >= nodes,
        "the tracker names all"
    );
    assert!(
        matches!(&scenario.rtt, Rtt::Uniform(rtt) if rtt.0 <= 1000),
        "nothing delays packets"
    );
    for class in &scenario.classes {
        let is_line = class.buffer.is_some() || class.up == LINE_MAX && class.down == LINE_MAX;
        let plain = is_line && !class.nat && class.loss_ppm == 0 && class.access_delay.0 == 0;
        let stays = class.stay == Stay::Forever && class.abort.is_none() && class.crash.is_none();
        let honest = class.behaviour == Behaviour::Honest && class.streaming.is_none();
        assert!(
            plain && stays && honest,
            "class {} is not run for real",
            class.name
        );
    }
}

impl Node {
    /// Starts a node of a class: libtorrent in those that are called so, else Dunlin.
    fn start(
        host: &Host,
        scenario: &Scenario,
        class: &Class,
        is_seed: bool,
        payload: &Payload,
    ) -> Self {
        let is_libtorrent = class.name.starts_with("libtorrent");
        let strategy = scenario.strategy_of(class);
        let (process, words) = if is_libtorrent {
            let folder = host.fresh_folder("content");
            if is_seed {
                payload.place(&folder);
            }
            let payloads = [payload];
            let mut job = Job::of(&payloads, &folder);
            if let Some(limit) = class.up_limit {
                job = job.up_limit(limit.0);
            }
            if let Some(limit) = class.down_limit {
                job = job.down_limit(limit.0);
            }
            if let Some(Slots::Fixed(slots)) = strategy.slots {
                job = job.slots(slots);
            }
            let node = Client::Libtorrent.start(host, &job);
            (node.process, ["checked", "complete"])
        } else {
            let profile = profile(host, &strategy.to_profile());
            let mut dunlin = if is_seed {
                Dunlin::seed(host, payload, 7001)
            } else {
                Dunlin::get(host, &[payload], &host.fresh_folder("content"))
                    .option("--listen", host.at(7001))
                    .option("--seed-time", 3600)
            };
            let limits = [
                ("--up-limit", class.up_limit),
                ("--down-limit", class.down_limit),
            ];
            for (name, limit) in limits {
                if let Some(limit) = limit {
                    dunlin = dunlin.option(name, limit.0);
                }
            }
            let process = dunlin.option("--profile", profile.display()).start();
            let last = if is_seed { "seeding" } else { "completed" };
            (process, ["listening", last])
        };
        Self {
            process,
            words,
            began: None,
            completed: None,
        }
    }

    /// Notes what it has said since the last look.
    fn look(&mut self) {
        if self.completed.is_some() {
            return;
        }
        self.process.assert_running();
        let [begins, completes] = self.words;
        for line in self.process.news() {
            if line["type"] == begins {
                self.began.get_or_insert_with(Instant::now);
            }
            if line["type"] == completes {
                self.completed = Some(Instant::now());
            }
        }
    }
}

fn profile(host: &Host, text: &str) -> PathBuf {
    let file = host.folder().join("profile.toml");
    fs::write(&file, text).expect("a file");
    file
}
