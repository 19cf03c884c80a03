#!/usr/bin/env python3
"""Dunlin beside other clients: a table, and with `--out` the runs as JSON and a chart.

    benches/versus/run.py [--cases one-seeder,upload,...] [--clients dunlin,libtorrent,...] [--rounds 3] [--mib 2048]
                          [--storage memory|disk] [--out FOLDER]

Two network namespaces hold what serves and what is measured. Rounds go through all clients in turn, after one that does not
count, with a fixed hashing loop before each run, because shared machines drift: compare within one report. Needs root and
`.ci/install-peers`; builds Dunlin with `cargo build --release` unless `DUNLIN_BIN` names a binary.
"""

import argparse
import contextlib
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import chart
import clients
import content
import lab

LIMIT_SECS = 120
ANNOUNCE = f"http://{lab.SEED_IP}:{clients.TRACKER_PORT}/announce"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--clients", default=",".join(clients.ALL))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mib", type=int, default=2048, help="of the one big file")
    parser.add_argument("--storage", choices=["memory", "disk"], default="memory", help="/dev/shm, or target/versus")
    parser.add_argument("--out", type=Path, help="folder for runs.json and chart.svg")
    return parser.parse_args()


def calibrate():
    """Seconds for a fixed amount of hashing: what the machine gives at this moment."""
    block, began = bytes(1 << 20), time.perf_counter()
    state = hashlib.sha256()
    for _ in range(256):
        state.update(block)
    return time.perf_counter() - began


def tracker(side, folder, peers):
    program = [sys.executable, Path(__file__).with_name("tracker.py"), lab.SEED_IP, str(clients.TRACKER_PORT), *peers]
    return lab.Program(side, program, folder / "tracker.log")


@contextlib.contextmanager
def seeders(side, payload, folder, count):
    """Checked libtorrent seeds, and a tracker that names them."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(tracker(side, folder, lab.SEED_IPS[:count]))
        programs = []
        for address in lab.SEED_IPS[:count]:
            command, word = clients.seed("libtorrent", payload, payload.path.parent, folder, address)
            program = stack.enter_context(lab.Program(side, command, folder / f"seed-{address}.log"))
            program.wait_for("its check", LIMIT_SECS, lambda word=word, program=program: word in program.output())
            programs.append(program)
        yield programs


def failed(program):
    return lab.Failed(f"{program.log.stem} ended with {program.status}: {program.output()[-1500:]}")


def figures(program, seconds, size):
    cpu = program.usage.ru_utime + program.usage.ru_stime
    return {
        "seconds": seconds, "mb_per_sec": size / seconds / 1e6, "cpu_secs_per_gb": cpu / (size / 1e9),
        "peak_mib": program.peak_bytes / 2**20, "anonymous_mib": program.peak_anonymous_bytes / 2**20,
    }


class Download:
    """One leech from `count` libtorrent seeds. `seed busy` is the share of its time that the busiest seed thread worked.
    `sink` is a loop that throws away what it gets: the most that the seeds can give."""

    def __init__(self, count, many=False):
        self.count, self.many = count, many
        self.clients = [*clients.ALL, "sink"]

    @contextlib.contextmanager
    def prepared(self, sides, folder, mib):
        payload = content.many_files(folder, 2000, 512, ANNOUNCE) if self.many else content.one_file(folder, mib, ANNOUNCE)
        with seeders(sides[0], payload, folder, self.count) as seeds:
            yield lambda client: self.run(client, sides[1], payload, folder, seeds)

    def run(self, client, side, payload, folder, seeds):
        peers = [f"{address}:6881" for address in lab.SEED_IPS[: self.count]]
        with lab.scratch(folder) as out:
            (out / "got").mkdir()
            command = clients.get(client, payload, out / "got", peers)
            worked, first, sent = sum(seed.cpu_secs() for seed in seeds), None, seeds[0].sent_bytes()
            before = [seed.thread_secs() for seed in seeds]
            began = time.perf_counter()

            def watch():
                nonlocal first
                if first is None and seeds[0].sent_bytes() - sent > 100_000:
                    first = time.perf_counter() - began

            with lab.Program(side, command, folder / f"{client}.log") as leech:
                leech.wait_end(LIMIT_SECS, watch)
                seconds = time.perf_counter() - began
            worked = sum(seed.cpu_secs() for seed in seeds) - worked
            busiest = max(
                secs - idle.get(thread, 0) for seed, idle in zip(seeds, before) for thread, secs in seed.thread_secs().items()
            )
            if leech.status != 0 if client == "sink" else not payload.is_copied_to(out / "got"):
                raise failed(leech)
        flowing = seconds - (first or 0)
        return figures(leech, seconds, payload.size) | {
            "first_byte_secs": first, "seed_cpu_secs_per_gb": worked / (payload.size / 1e9), "seed_busy": busiest / flowing,
        }


class Upload:
    """The client seeds, one libtorrent leech downloads: the seed's cost."""

    clients = clients.ALL

    @contextlib.contextmanager
    def prepared(self, sides, folder, mib):
        payload = content.one_file(folder, mib, ANNOUNCE)
        with tracker(sides[0], folder, [lab.SEED_IP]):
            yield lambda client: self.run(client, sides, payload, folder)

    leech = "libtorrent"

    def run(self, client, sides, payload, folder):
        with lab.scratch(folder) as out:
            (out / "got").mkdir()
            command, word = clients.seed(client, payload, payload.path.parent, out)
            with lab.Program(sides[0], command, folder / f"{client}.log") as seed:
                seed.wait_for("its check", LIMIT_SECS, lambda: word in seed.output())
                time.sleep(1)
                before = seed.cpu_secs()
                began = time.perf_counter()
                get = clients.get(self.leech, payload, out / "got", [f"{lab.SEED_IP}:6881"])
                with lab.Program(sides[1], get, folder / "leech.log") as leech:
                    leech.wait_end(LIMIT_SECS, seed.sample)
                seconds, cpu = time.perf_counter() - began, seed.cpu_secs() - before
            if not payload.is_copied_to(out / "got"):
                raise failed(leech)
        return {
            "seconds": seconds, "mb_per_sec": payload.size / seconds / 1e6, "cpu_secs_per_gb": cpu / (payload.size / 1e9),
            "peak_mib": seed.peak_bytes / 2**20, "anonymous_mib": seed.peak_anonymous_bytes / 2**20,
        }


class Pair(Upload):
    """Dunlin on both ends."""

    clients, leech = ["dunlin"], "dunlin"


class Crowd(Upload):
    """Dunlin seeds to so many connections at once, which ask for random blocks: what a peer more costs. Other clients take
    fewer peers, or serve random blocks so slowly that there is nothing to compare."""

    clients = ["dunlin"]

    def __init__(self, connections):
        self.connections = connections

    def run(self, client, sides, payload, folder):
        with lab.scratch(folder) as out:
            command, word = clients.seed(client, payload, payload.path.parent, out, crowd=True)
            # Enough for everyone to get several megabytes.
            mib = max(payload.size >> 20, 4 * self.connections)
            crowd = [sys.executable, clients.CROWD, lab.SEED_IP, "6881", payload.torrent,
                     str(self.connections), str(mib)]
            with lab.Program(sides[0], command, folder / f"{client}.log") as seed:
                seed.wait_for("its check", LIMIT_SECS, lambda: word in seed.output())
                before, began = seed.cpu_secs(), time.perf_counter()
                with lab.Program(sides[1], crowd, folder / "crowd.log") as leeches:
                    leeches.wait_end(LIMIT_SECS, seed.sample)
                seconds, cpu = time.perf_counter() - began, seed.cpu_secs() - before
            if leeches.status != 0:
                raise failed(leeches)
        return {
            "seconds": seconds, "mb_per_sec": mib * 2**20 / seconds / 1e6, "cpu_secs_per_gb": cpu / (mib * 2**20 / 1e9),
            "peak_mib": seed.peak_bytes / 2**20, "anonymous_mib": seed.peak_anonymous_bytes / 2**20,
        }


class Alone:
    """A command of its own on the big file, without a network."""

    def __init__(self, able, command):
        self.clients, self.command = able, command

    @contextlib.contextmanager
    def prepared(self, sides, folder, mib):
        payload = content.one_file(folder, mib, ANNOUNCE)
        yield lambda client: self.run(client, sides[1], payload, folder)

    def run(self, client, side, payload, folder):
        with lab.scratch(folder) as out:
            command, began = self.command(client, payload, out), time.perf_counter()
            with lab.Program(side, command, folder / f"{client}.log") as program:
                program.wait_end(LIMIT_SECS)
                seconds = time.perf_counter() - began
            if program.status != 0 and client != "transmission":
                raise failed(program)
        return figures(program, seconds, payload.size)


def recheck(client, payload, out):
    return clients.check(client, payload, payload.path.parent, out)


CASES = {
    "one-seeder": Download(1),
    "four-seeders": Download(4),
    "small-files": Download(1, many=True),
    "upload": Upload(),
    "pair": Pair(),
    "one-peer": Crowd(1),
    "crowd": Crowd(500),
    "recheck": Alone(clients.ALL, recheck),
    "create": Alone(["dunlin", "libtorrent", "mktorrent", "transmission"], clients.create),
}


def measure(name, chosen, options, folder):
    case, runs = CASES[name], []
    able = [client for client in case.clients if client in [*chosen, "mktorrent", "sink"]]
    with lab.namespaces() as sides, case.prepared(sides, folder, options.mib) as run:
        for number in range(options.rounds + 1):
            # Each is first in turn.
            turn = number % len(able)
            for client in able[turn:] + able[:turn]:
                os.sync()
                facts = {"case": name, "client": client, "calibration_secs": calibrate()}
                try:
                    facts |= run(client)
                except lab.Failed as failure:
                    if client == "dunlin":
                        raise
                    # What others cannot do is told, and no reason to end.
                    print(f"{name}: {failure}", file=sys.stderr)
                    able.remove(client)
                    continue
                # The first round warms the memory that files are kept in, and the seed's measure of us.
                if number:
                    runs.append(facts)
    return runs


COLUMNS = {"mb_per_sec": ("MB/s", 1), "cpu_secs_per_gb": ("CPU s/GB", 3), "peak_mib": ("peak MiB", 1), "anonymous_mib": ("anon MiB", 1),
           "first_byte_secs": ("first byte s", 2), "seed_cpu_secs_per_gb": ("seed s/GB", 2), "seed_busy": ("seed busy", 2),
           "calibration_secs": ("calib s", 3)}


def medians(runs):
    """One row a case and client, in the order in which they came."""
    keys = dict.fromkeys((run["case"], run["client"]) for run in runs)
    rows = []
    for case, client in keys:
        own = [run for run in runs if (run["case"], run["client"]) == (case, client)]
        row = {"case": case, "client": client, "runs": len(own)}
        for column in COLUMNS:
            values = [run[column] for run in own if run.get(column) is not None]
            row[column] = statistics.median(values) if values else None
        rows.append(row)
    return rows


HEAD = ["| case | client | " + " | ".join(title for title, _ in COLUMNS.values()) + " | runs |",
        "|---|---|" + "---|" * (len(COLUMNS) + 1)]


def line(row):
    cells = ("" if row[key] is None else f"{row[key]:.{digits}f}" for key, (_, digits) in COLUMNS.items())
    return f"| {row['case']} | {row['client']} | " + " | ".join(cells) + f" | {row['runs']} |"


def main():
    options = arguments()
    folder = Path("/dev/shm/versus") if options.storage == "memory" else lab.ROOT / "target/versus"
    folder.mkdir(parents=True, exist_ok=True)
    clients.dunlin()
    runs = []
    print("\n".join(HEAD))
    for name in options.cases.split(","):
        new = measure(name, options.clients.split(","), options, folder)
        print("\n".join(map(line, medians(new))), flush=True)
        runs += new
    rows = medians(runs)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "runs.json").write_text(json.dumps(runs, indent=1))
        (options.out / "chart.svg").write_text(chart.svg(rows))


if __name__ == "__main__":
    main()
