//! A network of a test's own: every host is a network namespace, all joined by a bridge in one more.
//!
//! Each host has its own loopback and one address, so that clients can keep their usual ports, nothing leaves the lab, and
//! clients that refuse loopback peers or a second connection from one address are content.

use std::cell::Cell;
use std::fs;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

/// Where the bridge itself is: test doubles that serve everyone listen here.
pub(crate) const HUB_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

const NAMESPACES: &str = "/run/netns";
/// Scratch folders begin with this and the test process's id.
const FOLDERS: &str = "dunlin-live-";

/// One lab. Hosts keep it alive; the last one gone removes the namespaces.
#[derive(Clone)]
pub(crate) struct Lab(Arc<Inner>);

struct Inner {
    name: String,
    folder: TempDir,
    hosts: AtomicU32,
}

/// One machine of the lab.
#[derive(Clone)]
pub(crate) struct Host {
    lab: Arc<Inner>,
    namespace: String,
    number: u8,
    folder: PathBuf,
    serial: Arc<AtomicU32>,
}

thread_local! {
    static SKIPPED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a missing peer is a failure (in CI) or a reason to skip (at a desk).
pub(crate) fn peers_required() -> bool {
    std::env::var_os("DUNLIN_REQUIRE_PEERS").is_some_and(|value| value == "1")
}

/// Says once a test, past the test runner's capture, what was not tested and why.
pub(crate) fn skip(reason: &str) {
    assert!(!peers_required(), "required but missing: {reason}");
    if !SKIPPED.replace(true) {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("?");
        writeln!(io::stderr(), "SKIPPED: {test}: {reason}").ok();
    }
}

impl Lab {
    /// A new lab, or `None` with a message where there can be none.
    pub(crate) fn open() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            skip("network namespaces need root");
            return None;
        }
        for program in ["ip", "nsenter", "setpriv"] {
            if find_program(program).is_none() {
                skip(&format!("{program} not found"));
                return None;
            }
        }
        remove_left_behind();
        let name = format!(
            "dl{}n{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = tempfile::Builder::new()
            .prefix(&format!("{FOLDERS}{}-", std::process::id()))
            .tempdir()
            .expect("a scratch folder");
        let inner = Inner {
            name,
            folder,
            hosts: AtomicU32::new(0),
        };
        if let Err(error) = inner.build() {
            skip(&format!("no network namespaces here: {error}"));
            return None;
        }
        Some(Self(Arc::new(inner)))
    }

    /// Adds a machine, named for the logs.
    pub(crate) fn host(&self, name: &str) -> Host {
        let number = u8::try_from(self.0.hosts.fetch_add(1, Ordering::Relaxed) + 2)
            .expect("at most 253 hosts");
        let bridge = &self.0.name;
        let namespace = format!("{bridge}h{number}");
        let address = address_of(number);
        let address_v6 = address_v6_of(number);
        let mac = mac_of(number);
        let bridge_side = format!(
            "link add port{number} type veth peer name eth0 address {mac} netns {namespace}\n\
             link set port{number} master hub\n\
             link set port{number} up\n"
        );
        let host_side = format!(
            "addr add {address}/16 dev eth0\n\
             addr add {address_v6}/64 dev eth0 nodad\n\
             link set eth0 up\n\
             link set lo up\n\
             route add default via {HUB_ADDRESS}\n"
        );
        add_namespace(&namespace)
            .and_then(|()| ip(&["-n", bridge, "-batch", "-"], &bridge_side))
            .and_then(|()| ip(&["-n", &namespace, "-batch", "-"], &host_side))
            .unwrap_or_else(|error| panic!("cannot make host {name}: {error}"));
        let folder = self.0.folder.path().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        Host {
            lab: self.0.clone(),
            namespace,
            number,
            folder,
            serial: Arc::default(),
        }
    }

    /// Tells these machines each other's hardware addresses for good. All namespaces of a computer share one table of
    /// those that were asked for, which a thousand fill.
    pub(crate) fn introduce(&self, hosts: &[Host]) {
        for host in hosts {
            let others = hosts.iter().filter(|other| other.number != host.number);
            let script: String = others
                .map(|other| {
                    let (ip, mac) = (other.ip(), mac_of(other.number));
                    format!("neigh add {ip} lladdr {mac} nud permanent dev eth0\n")
                })
                .collect();
            ip(&["-n", &host.namespace, "-batch", "-"], &script)
                .unwrap_or_else(|error| panic!("cannot introduce {}: {error}", host.namespace));
        }
    }

    /// Gives the hub one more address: every host reaches it, as it would the internet.
    pub(crate) fn add_hub_address(&self, address: Ipv4Addr) {
        let script = format!("addr add {address}/32 dev hub\n");
        ip(&["-n", &self.0.name, "-batch", "-"], &script)
            .unwrap_or_else(|error| panic!("cannot add {address} to the hub: {error}"));
    }

    /// Runs `task` on a thread inside the hub: sockets made there live there.
    pub(crate) fn inside_hub<T: Send>(&self, task: impl FnOnce() -> T + Send) -> T {
        inside(&self.0.name, task)
    }

    /// The folder of the whole lab.
    pub(crate) fn folder(&self) -> &Path {
        self.0.folder.path()
    }
}

impl Inner {
    fn build(&self) -> Result<(), String> {
        let script = format!(
            "link add hub type bridge\n\
             addr add {HUB_ADDRESS}/16 dev hub\n\
             link set hub up\n\
             link set lo up\n"
        );
        add_namespace(&self.name)?;
        ip(&["-n", &self.name, "-batch", "-"], &script)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let hosts = *self.hosts.get_mut();
        let names = (2..hosts + 2)
            .map(|number| format!("{}h{number}", self.name))
            .chain([self.name.clone()]);
        for name in names {
            delete_namespace(&name);
        }
    }
}

impl Host {
    pub(crate) fn ip(&self) -> Ipv4Addr {
        address_of(self.number)
    }

    pub(crate) fn ip_v6(&self) -> Ipv6Addr {
        address_v6_of(self.number)
    }

    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.ip()), port)
    }

    /// A folder for this host's files.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// An empty folder of this name, made anew.
    pub(crate) fn fresh_folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("our own folder");
        }
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    pub(crate) fn next_serial(&self) -> u32 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn namespace_argument(&self) -> String {
        format!("--net={NAMESPACES}/{}", self.namespace)
    }

    /// Keeps what the host sends and receives to these bytes per second, headers and all, by token buckets at both
    /// ends of its cable. A bucket holds ten full packets, a queue what takes so long to empty.
    pub(crate) fn shape(&self, up_bytes_per_sec: u64, down_bytes_per_sec: u64, queue: Duration) {
        let ends = [
            (self.namespace.clone(), "eth0".to_owned(), up_bytes_per_sec),
            (
                self.lab.name.clone(),
                format!("port{}", self.number),
                down_bytes_per_sec,
            ),
        ];
        for (namespace, device, rate) in ends {
            let output = Command::new("tc")
                .args([
                    "-n", &namespace, "qdisc", "add", "dev", &device, "root", "tbf",
                ])
                .args([
                    "rate",
                    &format!("{rate}bps"),
                    "burst",
                    "15140",
                    "limit",
                    &format!("{}", u128::from(rate) * queue.as_millis() / 1000),
                ])
                .output()
                .expect("tc runs");
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }

    pub(crate) fn inside<T: Send>(&self, task: impl FnOnce() -> T + Send) -> T {
        inside(&self.namespace, task)
    }

    pub(crate) fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        self.inside(|| TcpStream::connect_timeout(&address, Duration::from_secs(10)))
    }

    pub(crate) fn listen(&self, address: SocketAddr) -> TcpListener {
        self.inside(|| TcpListener::bind(address))
            .unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"))
    }
}

/// Each host is in a /24 network of its own, as the peers of real swarms are: the pieces that a choked peer may ask for
/// (BEP 6) go by that network, and would be the same for all.
fn address_of(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, number, number)
}

fn mac_of(number: u8) -> String {
    format!("02:00:00:00:00:{number:02x}")
}

fn address_v6_of(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, u16::from(number))
}

fn inside<T: Send>(namespace: &str, task: impl FnOnce() -> T + Send) -> T {
    let path = format!("{NAMESPACES}/{namespace}");
    let run = move || {
        let file = fs::File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("we are root");
        task()
    };
    std::thread::scope(|scope| scope.spawn(run).join()).expect("the task inside a namespace")
}

fn add_namespace(name: &str) -> Result<(), String> {
    ip(&["netns", "add", name], "")
}

fn delete_namespace(name: &str) {
    ip(&["netns", "del", name], "").ok();
}

/// Runs `ip`, with a script for its standard input.
fn ip(arguments: &[&str], script: &str) -> Result<(), String> {
    let mut child = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut input = child.stdin.take().expect("piped");
    input
        .write_all(script.as_bytes())
        .map_err(|error| error.to_string())?;
    drop(input);
    let output = child
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// Removes namespaces and folders of test processes that were killed before they could do it.
fn remove_left_behind() {
    for name in names_in(Path::new(NAMESPACES)) {
        let rest = name
            .strip_prefix("dl")
            .and_then(|rest| rest.split_once('n'));
        if rest.is_some_and(|(owner, _)| is_gone(owner)) {
            delete_namespace(&name);
        }
    }
    let scratch = std::env::temp_dir();
    for name in names_in(&scratch) {
        let rest = name
            .strip_prefix(FOLDERS)
            .and_then(|rest| rest.split_once('-'));
        if rest.is_some_and(|(owner, _)| is_gone(owner)) {
            fs::remove_dir_all(scratch.join(name)).ok();
        }
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// Whether there is such a process id and nothing runs under it.
fn is_gone(owner: &str) -> bool {
    owner.parse::<u32>().is_ok() && !Path::new("/proc").join(owner).exists()
}

/// Where a program is, by the search path.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
