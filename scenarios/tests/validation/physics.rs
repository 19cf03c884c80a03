//! What the physics say of flows of µTP beside those of TCP, and of flows beside packets.

use dunlin_scenarios::outcome::RunRecord;
use dunlin_scenarios::schema::Scenario;
use dunlin_scenarios::summary::Summary;

use super::{meets, simulate};

/// The same small swarms in flows and in packets: Eger et al. (2007) found at most 30 % between the two.
#[test]
fn flows_and_packets_agree_on_small_swarms() {
    let swarms: [(&str, &[&str]); 2] = [
        ("minimal.ron", &[]),
        (
            "kr-upload-bound.ron",
            &["classes.leech.count=15", "content.size=10MiB"],
        ),
    ];
    for (file, overrides) in swarms {
        let mean = |model: &str| {
            let buffers = ["seed", "leech"].map(|class| format!("classes.{class}.buffer=300ms"));
            let mut all: Vec<&str> = overrides.to_vec();
            all.extend(buffers.iter().map(String::as_str));
            all.push(model);
            let (scenario, record) = simulate(file, &all);
            let times = Summary::new(&record, &scenario).times;
            times.mean.expect("all are complete")
        };
        let flows = mean("model=Flow(tick: \"50ms\")");
        let packets = mean("model=Packet(tick: \"50ms\")");
        let ratio = packets / flows;
        assert!(
            (0.85..=1.3).contains(&ratio),
            "{file}: {flows} s in flows, {packets} s in packets"
        );
    }
}

/// What nodes of a class received, bytes.
fn received(scenario: &Scenario, record: &RunRecord, class: &str) -> u64 {
    let nodes = record.nodes.iter();
    let of_class = nodes.filter(|node| scenario.classes[usize::from(node.class)].name == class);
    of_class.map(|node| node.down_bytes).sum()
}

#[test]
fn utp_gives_way_and_takes_over_when_tcp_is_done() {
    meets("utp-beside-tcp.ron");
}

/// RFC 6817: LEDBAT keeps its least window beside TCP where the queue is longer than its target, and
/// competes as TCP does where it is shorter.
#[test]
fn utp_beside_tcp_has_a_twentieth_behind_a_long_queue_and_half_behind_a_short_one() {
    for (buffer, least, most) in [("500ms", 0.01, 0.05), ("50ms", 0.3, 0.6)] {
        let buffers =
            ["seed", "tcp", "utp"].map(|class| format!("classes.{class}.buffer={buffer}"));
        // From 20 s on: at first there is no queue to give way to.
        let until = |stop: &str| {
            let mut overrides: Vec<&str> = buffers.iter().map(String::as_str).collect();
            overrides.push(stop);
            let (scenario, record) = simulate("utp-beside-tcp.ron", &overrides);
            ["tcp", "utp"].map(|class| received(&scenario, &record, class))
        };
        let (early, late) = (until("stop=At(\"20s\")"), until("stop=At(\"60s\")"));
        let [tcp, utp] = [late[0] - early[0], late[1] - early[1]].map(|bytes| bytes as f64);
        let share = utp / (tcp + utp);
        assert!(
            (least..=most).contains(&share),
            "{share} of {} bytes behind {buffer}",
            tcp + utp
        );
    }
}

/// Testa, Rossi, Rao and Legout (2012): a swarm of µTP is no slower than one of TCP, since what it
/// says is not late behind full queues.
#[test]
fn a_swarm_of_utp_is_no_slower_than_one_of_tcp() {
    let mean = |transport: &str| {
        let mut overrides = vec![
            "classes.leech.count=40".to_owned(),
            "content.size=25MiB".to_owned(),
        ];
        for class in ["seed", "leech"] {
            overrides.push(format!("classes.{class}.buffer=1s"));
            overrides.push(format!("classes.{class}.transport={transport}"));
        }
        let overrides: Vec<&str> = overrides.iter().map(String::as_str).collect();
        let (scenario, record) = simulate("kr-upload-bound.ron", &overrides);
        let times = Summary::new(&record, &scenario).times;
        times.mean.expect("all are complete")
    };
    let (tcp, utp) = (mean("Tcp"), mean("Utp"));
    assert!(utp <= tcp, "{utp} s by µTP, {tcp} s by TCP");
}
