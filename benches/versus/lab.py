"""Two network namespaces joined by a veth pair, programs inside them, and what those programs cost."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dunlin-peers"
PYTHON = CACHE / "venv/bin/python"
RQBIT = CACHE / "rqbit/bin/rqbit"
LIBTORRENT_PEER = ROOT / "tests/live/peers/libtorrent_peer.py"
LEECH_IP = "10.78.0.2"
# Several, because clients take one connection from an address.
SEED_IPS = ["10.78.0.1", "10.78.0.3", "10.78.0.4", "10.78.0.5"]
SEED_IP = SEED_IPS[0]
# All of these are the leech's too: clients take one connection from an address.
CROWD_NETWORK = "10.79.0.0/16"


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


@contextlib.contextmanager
def namespaces():
    """Names of the seed's and the leech's namespace."""
    seed, leech = (f"dv{os.getpid()}{side}" for side in "sl")
    try:
        ip("netns", "add", seed)
        ip("netns", "add", leech)
        ip("-n", seed, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", leech)
        for name, addresses in ((seed, SEED_IPS), (leech, [LEECH_IP])):
            for address in addresses:
                ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
            # The same for everyone: some machines default to bbr.
            write = "echo cubic > /proc/sys/net/ipv4/tcp_congestion_control || true"
            subprocess.run(["ip", "netns", "exec", name, "sh", "-c", write], stderr=subprocess.DEVNULL, check=False)
        ip("-n", leech, "route", "add", "local", CROWD_NETWORK, "dev", "lo")
        ip("-n", seed, "route", "add", CROWD_NETWORK, "via", LEECH_IP)
        yield seed, leech
    finally:
        for name in (seed, leech):
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)


class Failed(Exception):
    """A program did not do what it was told, or not in time."""


class Program:
    """A program in a namespace, killed by its own id at the latest when the `with` ends."""

    def __init__(self, namespace, command, log):
        home = Path(log).with_suffix(".home")
        home.mkdir(parents=True, exist_ok=True)
        entry = ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net=/run/netns/{namespace}"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}
        self.log = Path(log)
        with open(log, "wb") as out:
            self.child = subprocess.Popen(
                [*entry, *map(str, command)], stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env=environment, cwd=home,
            )
        self.usage, self.status = None, None
        self.peak_bytes = self.peak_anonymous_bytes = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.usage is None:
            self.child.send_signal(signal.SIGKILL)
            self.reap(block=True)

    def reap(self, block=False):
        """Whether it has ended; then `status` and `usage` are its own."""
        if self.usage is None:
            pid, status, usage = os.wait4(self.child.pid, 0 if block else os.WNOHANG)
            if pid:
                self.status, self.usage = os.waitstatus_to_exitcode(status), usage
                self.child.returncode = self.status
        return self.usage is not None

    def sample(self):
        """Notes its memory: `ru_maxrss` would count the parent that forked it."""
        with contextlib.suppress(OSError, ValueError):
            for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
                name, _, value = line.partition(":")
                if name == "VmHWM":
                    self.peak_bytes = max(self.peak_bytes, int(value.split()[0]) * 1024)
                if name == "RssAnon":
                    self.peak_anonymous_bytes = max(self.peak_anonymous_bytes, int(value.split()[0]) * 1024)

    def cpu_secs(self):
        """User and system time of the living process."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def thread_secs(self):
        """User and system time of each thread, by its number."""
        secs = {}
        for task in Path(f"/proc/{self.child.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                fields = (task / "stat").read_text().rpartition(")")[2].split()
                secs[task.name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return secs

    def sent_bytes(self):
        """What its namespace has sent."""
        lines = Path(f"/proc/{self.child.pid}/net/dev").read_text().splitlines()
        counted = (line.split(":") for line in lines if ":" in line)
        return sum(int(rest.split()[8]) for name, rest in counted if name.strip() != "lo")

    def output(self):
        return self.log.read_text(errors="replace")

    def wait_for(self, what, limit_secs, holds):
        deadline = time.monotonic() + limit_secs
        while not holds():
            self.sample()
            if self.reap():
                raise Failed(f"{self.log.name} ended ({self.status}) before: {what}\n{self.output()[-3000:]}")
            if time.monotonic() > deadline:
                raise Failed(f"{self.log.name}: after {limit_secs} s still no: {what}\n{self.output()[-3000:]}")
            time.sleep(0.05)

    def wait_end(self, limit_secs, meanwhile=lambda: None):
        deadline = time.monotonic() + limit_secs
        while not self.reap():
            self.sample()
            meanwhile()
            if time.monotonic() > deadline:
                raise Failed(f"{self.log.name} did not end in {limit_secs} s\n{self.output()[-3000:]}")
            time.sleep(0.02)


def bencode(value):
    match value:
        case int():
            return b"i%de" % value
        case bytes():
            return b"%d:%s" % (len(value), value)
        case str():
            return bencode(value.encode())
        case list():
            return b"l" + b"".join(map(bencode, value)) + b"e"
        case dict():
            return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"
        case _:
            raise TypeError(value)


def same(a, b):
    """Whether two files, or two folders, have the same contents."""
    return subprocess.run(["diff", "-rq", a, b], stdout=subprocess.DEVNULL, check=False).returncode == 0


@contextlib.contextmanager
def scratch(folder):
    path = Path(tempfile.mkdtemp(prefix="versus-", dir=folder))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
