//! A scenario as a real swarm: a process in a host of its own for each node.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dunlin_scenarios::arrivals::{NodePlan, population};
use dunlin_scenarios::schema::{Behaviour, Class, Rtt, Scenario, Slots, Stay};

use super::compare::Times;
use crate::doubles::tracker::Tracker;
use crate::peers::dunlin::Dunlin;
use crate::peers::{Client, Job};
use crate::support::lab::{Host, Lab};
use crate::support::payload::Payload;
use crate::support::process::Process;
use crate::support::wait::{CHECK, wait_until};

/// Who keeps a node to the rates of its class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shaping {
    /// The client itself, by its settings. There is nothing between the nodes.
    OwnLimits,
    /// Token buckets (tbf) at both ends of the node's line, as a modem has them.
    TokenBucket,
}

/// What of a line's bytes is payload where TCP segments are full: 1448 of 1514 bytes are not headers of TCP, IP and
/// Ethernet, and 16 KiB of 13 more are not those of a message. The simulation counts all of them against a line, and so
/// does libtorrent against its limits; Dunlin's limits count payload.
const PAYLOAD_SHARE: f64 = 1448.0 / 1514.0 * 16_384.0 / 16_397.0;

/// Longest real run, far above all that are asked for.
const RUN_MAX: Duration = Duration::from_secs(900);
const POLL: Duration = Duration::from_millis(20);
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
pub(crate) fn run_for_real(lab: &Lab, scenario: &Scenario, shaping: Shaping) -> Option<Times> {
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
    if shaping == Shaping::TokenBucket {
        for (node, host) in hosts.iter().enumerate() {
            let class = class_of(node);
            host.shape(class.up.0, class.down.0);
        }
    }
    let begin = |node: usize| {
        let class = class_of(node);
        Node::start(
            &hosts[node],
            scenario,
            class,
            plans[node].seed,
            shaping,
            &payload,
        )
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
        for (at, plan) in plans.iter().enumerate() {
            match &mut nodes[at] {
                Some(node) => node.look(),
                None if start.elapsed() >= Duration::from_micros(plan.arrives_us) => {
                    nodes[at] = Some(begin(at));
                }
                None => {}
            }
        }
        std::thread::sleep(POLL);
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
        let plain = !class.nat && class.loss_ppm == 0 && class.access_delay.0 == 0;
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
        shaping: Shaping,
        payload: &Payload,
    ) -> Self {
        let is_libtorrent = class.name.starts_with("libtorrent");
        let rates = (shaping == Shaping::OwnLimits).then_some((class.up.0, class.down.0));
        let strategy = scenario.strategy_of(class);
        let (process, words) = if is_libtorrent {
            let folder = host.fresh_folder("content");
            if is_seed {
                payload.place(&folder);
            }
            let payloads = [payload];
            let mut job = Job::of(&payloads, &folder);
            if let Some((up, down)) = rates {
                job = job.up_limit(up).down_limit(down);
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
            if let Some((up, down)) = rates {
                let payload = |line: u64| (line as f64 * PAYLOAD_SHARE) as u64;
                dunlin = dunlin
                    .option("--up-limit", payload(up))
                    .option("--down-limit", payload(down));
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
        let said = |word: &str| !self.process.events(word).is_empty();
        if self.began.is_none() && said(self.words[0]) {
            self.began = Some(Instant::now());
        }
        if said(self.words[1]) {
            self.completed = Some(Instant::now());
        }
    }
}

fn profile(host: &Host, text: &str) -> PathBuf {
    let file = host.folder().join("profile.toml");
    fs::write(&file, text).expect("a file");
    file
}
