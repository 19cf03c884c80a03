#!/usr/bin/env python3
"""One big download, Dunlin beside other clients: MB/s, CPU seconds per GB, peak memory.

    benches/versus/download.py [--mib 2048] [--rounds 3] [--clients dunlin,libtorrent,rqbit,aria2]

One checked libtorrent seed and one leech at a time, in two network namespaces. Rounds go through all clients in turn, with a
fixed hashing loop before each run, because shared machines drift: compare ratios within one report. Needs root and
`.ci/install-peers`; builds Dunlin with `cargo build --release` unless `DUNLIN_BIN` names a binary.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import lab

SEED_PORT, TRACKER_PORT, LIMIT_SECS = 6881, 6969, 1800


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--piece-kib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", default="dunlin,libtorrent,rqbit,aria2")
    parser.add_argument("--folder", default=str(lab.ROOT / "target/versus"), help="for payload and downloads")
    parser.add_argument("--json", action="store_true", help="one JSON object a run")
    return parser.parse_args()


def payload(folder, mib, piece_kib):
    """A file of random bytes and its torrent, kept between runs."""
    content, torrent = folder / f"{mib}.bin", folder / f"{mib}-{piece_kib}.torrent"
    if not torrent.exists():
        pieces, piece = [], piece_kib * 1024
        with open(content, "wb") as out:
            for _ in range(mib * 1024 // piece_kib):
                data = os.urandom(piece)
                out.write(data)
                pieces.append(hashlib.sha1(data).digest())
        info = {"length": content.stat().st_size, "name": content.name, "piece length": piece, "pieces": b"".join(pieces)}
        announce = f"http://{lab.SEED_IP}:{TRACKER_PORT}/announce"
        torrent.write_bytes(lab.bencode({"announce": announce, "info": info}))
    return content, torrent


def dunlin():
    named = os.environ.get("DUNLIN_BIN")
    if named:
        return Path(named)
    subprocess.run(["cargo", "build", "--release", "--quiet", "--bin", "dunlin"], cwd=lab.ROOT, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR") or lab.ROOT / "target") / "release/dunlin"


def command(client, torrent, out):
    """A command that ends by itself when the download is complete."""
    peer = f"{lab.SEED_IP}:{SEED_PORT}"
    match client:
        case "dunlin":
            return [dunlin(), "get", torrent, "-o", out, "--no-trackers", "--peer", peer, "--state-dir", out / "state", "--json"]
        case "libtorrent":
            listen = f"{lab.LEECH_IP}:{SEED_PORT}"
            return [lab.PYTHON, lab.LIBTORRENT_PEER, "--listen", listen, "--save", out, "--peer", peer, "--once", torrent]
        case "rqbit":
            flags = ["--disable-dht", "--disable-lsd", "--disable-trackers", "--disable-upnp-port-forward"]
            return [lab.RQBIT, *flags, "download", "--disable-http-api", "-e", "-o", out, "--initial-peers", peer, torrent]
        case "aria2":
            flags = ["--no-conf", "--seed-time=0", "--enable-dht=false", "--bt-enable-lpd=false", "--file-allocation=none"]
            return ["aria2c", *flags, "--summary-interval=0", "-d", out, torrent]
    raise SystemExit(f"unknown client {client}")


def calibrate():
    """Seconds for a fixed amount of hashing: what the machine gives at this moment."""
    block, began = bytes(1 << 20), time.perf_counter()
    state = hashlib.sha256()
    for _ in range(256):
        state.update(block)
    return time.perf_counter() - began


def run(client, namespace, content, torrent, folder):
    with lab.scratch(folder) as out:
        os.sync()
        calibration = calibrate()
        began = time.perf_counter()
        with lab.Program(namespace, command(client, torrent, out), folder / f"{client}.log") as leech:
            leech.wait_end(LIMIT_SECS)
            seconds = time.perf_counter() - began
        got = out / content.name
        if leech.status != 0 or not got.exists() or got.stat().st_size != content.stat().st_size:
            raise SystemExit(f"{client} failed ({leech.status})\n{leech.output()[-3000:]}")
        same = subprocess.run(["cmp", "-s", content, got], check=False).returncode == 0
    size = content.stat().st_size
    cpu = leech.usage.ru_utime + leech.usage.ru_stime
    return {
        "client": client,
        "identical": same,
        "seconds": round(seconds, 3),
        "mb_per_sec": round(size / seconds / 1e6, 1),
        "cpu_secs_per_gb": round(cpu / (size / 1e9), 3),
        "peak_mib": round(leech.peak_bytes / 2**20, 1),
        "peak_anonymous_mib": round(leech.peak_anonymous_bytes / 2**20, 1),
        "calibration_secs": round(calibration, 3),
    }


def main():
    options = arguments()
    folder = Path(options.folder)
    folder.mkdir(parents=True, exist_ok=True)
    clients = options.clients.split(",")
    content, torrent = payload(folder, options.mib, options.piece_kib)
    if "dunlin" in clients:
        dunlin()
    runs = []
    with lab.namespaces() as (seed_side, leech_side):
        tracker = [sys.executable, Path(__file__).with_name("tracker.py"), lab.SEED_IP, str(TRACKER_PORT), str(SEED_PORT)]
        listen = f"{lab.SEED_IP}:{SEED_PORT}"
        seed = [lab.PYTHON, lab.LIBTORRENT_PEER, "--listen", listen, "--save", folder, torrent]
        with lab.Program(seed_side, tracker, folder / "tracker.log"), \
                lab.Program(seed_side, seed, folder / "seed.log") as seeding:
            seeding.wait_for("its check", 300, lambda: '"complete"' in seeding.output())
            for _ in range(options.rounds):
                for client in clients:
                    runs.append(run(client, leech_side, content, torrent, folder))
                    if options.json:
                        print(json.dumps(runs[-1]), flush=True)
    report(runs, clients)


def report(runs, clients):
    print(f"{'client':<12}{'MB/s':>9}{'CPU s/GB':>10}{'peak MiB':>10}{'anon MiB':>10}{'calib s':>9}  median of runs")
    for client in clients:
        own = [run for run in runs if run["client"] == client]
        middle = {key: statistics.median(run[key] for run in own) for key in own[0] if key not in ("client", "identical")}
        print(
            f"{client:<12}{middle['mb_per_sec']:>9.1f}{middle['cpu_secs_per_gb']:>10.3f}{middle['peak_mib']:>10.1f}"
            f"{middle['peak_anonymous_mib']:>10.1f}{middle['calibration_secs']:>9.3f}  {len(own)}"
            + ("" if all(run["identical"] for run in own) else "  CONTENT DIFFERS")
        )


if __name__ == "__main__":
    main()
