#!/usr/bin/env python3
"""The cost of doing nothing: memory and CPU of a client that holds many finished torrents nobody asks for.

    benches/versus/idle.py [--torrents 1000] [--watch-secs 60] [--rounds 1]
        [--clients dunlin,libtorrent,rqbit,transmission]

Each torrent is one file of 16 KiB without a tracker. Clients take turns; medians of all rounds. Needs root and
`.ci/install-peers`.
"""

import argparse
import hashlib
import json
import statistics
import sys
import time
from pathlib import Path

import clients
import lab

LIMIT_SECS = 1800


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torrents", type=int, default=1000)
    parser.add_argument("--watch-secs", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--clients", default="dunlin,libtorrent,rqbit,transmission")
    parser.add_argument("--folder", default=str(lab.ROOT / "target/versus"))
    return parser.parse_args()


def torrents(folder, count):
    files = []
    for number in range(count):
        content = hashlib.shake_128(b"%d" % number).digest(16384)
        name = f"idle-{number:05}.bin"
        info = {"length": len(content), "name": name, "piece length": 16384, "pieces": hashlib.sha1(content).digest()}
        (folder / name).write_bytes(content)
        files.append(folder / f"{name}.torrent")
        files[-1].write_bytes(lab.bencode({"info": info}))
    return files


def command(client, files, folder):
    match client:
        case "dunlin":
            state = folder / "state"
            return [clients.dunlin(), "get", *files, "-o", folder, "--seed-time", "86400", "--state-dir", state, "--json"]
        case "libtorrent":
            return [lab.PYTHON, lab.LIBTORRENT_PEER, "--listen", f"{lab.LEECH_IP}:6881", "--save", folder, *files]
        case "rqbit":
            return [*clients.RQBIT, "--disable-trackers", "server", "start", "--disable-persistence", folder]
        case "transmission":
            home = folder / "transmission"
            home.mkdir()
            settings = clients.TRANSMISSION_SETTINGS | {"download-queue-enabled": False, "rpc-whitelist-enabled": False}
            (home / "settings.json").write_text(json.dumps(settings))
            return ["transmission-daemon", "-f", "-g", home]
    raise SystemExit(f"unknown client {client}")


def wait_for_all(client, program, side, folder, count):
    """Until all torrents are complete; clients with an RPC are given them first."""
    if client in ("rqbit", "transmission"):
        giver = [sys.executable, Path(__file__).with_name("give_idle.py"), client, folder]
        with lab.Program(side, giver, folder / "giver.log") as giving:
            giving.wait_end(LIMIT_SECS)
        if giving.status != 0:
            raise SystemExit(f"{client} was not given its torrents:\n{giving.output()[-2000:]}")
        return
    word = '"completed"' if client == "dunlin" else '"complete", "torrent"'
    program.wait_for("all complete", LIMIT_SECS, lambda: program.output().count(word) >= count)


def measure(client, options):
    """Seconds to start, CPU milliseconds a second, peak and anonymous bytes of one run."""
    with lab.scratch(options.folder) as folder, lab.namespaces() as (_, side):
        files, began = torrents(folder, options.torrents), time.perf_counter()
        with lab.Program(side, command(client, files, folder), folder / "log") as program:
            wait_for_all(client, program, side, folder, options.torrents)
            started = time.perf_counter() - began
            time.sleep(5)
            before = program.cpu_secs()
            time.sleep(options.watch_secs)
            cpu = (program.cpu_secs() - before) / options.watch_secs
            program.peak_bytes = program.peak_anonymous_bytes = 0
            program.sample()
    return started, cpu * 1e3, program.peak_bytes, program.peak_anonymous_bytes


def main():
    options = arguments()
    Path(options.folder).mkdir(parents=True, exist_ok=True)
    runs = {client: [] for client in options.clients.split(",")}
    for _ in range(options.rounds):
        for client in runs:
            runs[client].append(measure(client, options))
    print(f"{'client':<12}{'torrents':>9}{'start s':>9}{'CPU ms/s':>10}{'peak MiB':>9}{'anon MiB':>10}{'anon KiB each':>15}")
    for client, rows in runs.items():
        started, cpu, peak, anonymous = (statistics.median(column) for column in zip(*rows))
        print(
            f"{client:<12}{options.torrents:>9}{started:>9.1f}{cpu:>10.2f}{peak / 2**20:>9.1f}"
            f"{anonymous / 2**20:>10.1f}{anonymous / 1024 / options.torrents:>15.1f}"
        )


if __name__ == "__main__":
    main()
