"""How each client is told to do a thing.

`get` and `check` are commands that end by themselves when it is done; `seed` says when it serves.
"""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import lab

ALL = ["dunlin", "libtorrent", "qbittorrent", "rqbit", "aria2", "transmission"]
TRACKER_PORT = 6969
CROWD = Path(__file__).with_name("crowd.py")


@functools.cache
def dunlin():
    named = os.environ.get("DUNLIN_BIN")
    if named:
        return Path(named)
    subprocess.run(["cargo", "build", "--release", "--quiet", "--bin", "dunlin"], cwd=lab.ROOT, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR") or lab.ROOT / "target") / "release/dunlin"


RQBIT = [lab.RQBIT, "--disable-dht", "--disable-lsd", "--disable-upnp-port-forward"]
ARIA2 = ["aria2c", "--no-conf", "--enable-dht=false", "--bt-enable-lpd=false", "--file-allocation=none", "--summary-interval=0",
         "--disable-ipv6=true", "--bt-max-peers=0", "--seed-ratio=0"]


def get(client, content, out, peers):
    """Downloads into `out`."""
    match client:
        case "dunlin":
            named = [word for peer in peers for word in ("--peer", peer)]
            return [dunlin(), "get", content.torrent, "-o", out, "--no-trackers", *named, "--state-dir", out / "state", "--json"]
        case "libtorrent":
            named = [word for peer in peers for word in ("--peer", peer)]
            return [lab.PYTHON, lab.LIBTORRENT_PEER, "--listen", f"{lab.LEECH_IP}:6881", "--save", out, *named, "--once",
                    content.torrent]
        case "rqbit":
            return [*RQBIT, "--disable-trackers", "download", "--disable-http-api", "-e", "-o", out,
                    "--initial-peers", ",".join(peers), content.torrent]
        case "aria2":
            return [*ARIA2, "--seed-time=0", "-d", out, content.torrent]
        case "qbittorrent":
            return qbittorrent(out, out, content, peers)
        case "transmission":
            return transmission(out, ["-w", out, content.torrent])
        case "sink":
            hosts, port = ",".join(peer.split(":")[0] for peer in peers), peers[0].split(":")[1]
            return [sys.executable, CROWD, hosts, port, content.torrent, str(len(peers)), str(content.size >> 20), "in-order"]


def check(client, content, folder, out):
    """Hashes what lies in `folder`, with `out` for what it wants to remember."""
    match client:
        case "dunlin":
            return [dunlin(), "verify", content.torrent, "-d", folder]
        case "libtorrent":
            return [lab.PYTHON, lab.LIBTORRENT_PEER, "--listen", f"{lab.LEECH_IP}:6881", "--save", folder, "--once", content.torrent]
        case "rqbit":
            return [*RQBIT, "--disable-trackers", "download", "--disable-http-api", "-e", "--overwrite", "-o",
                    folder, content.torrent]
        case "aria2":
            return [*ARIA2, "--check-integrity=true", "--hash-check-only=true", "-d", folder, content.torrent]
        case "qbittorrent":
            return qbittorrent(out, folder, content)
        case "transmission":
            return transmission(out, ["-w", folder, "--verify", content.torrent])


def create(client, content, out):
    """Makes a torrent with pieces of 1 MiB, by as many threads as the client likes."""
    made = out / "made.torrent"
    match client:
        case "dunlin":
            return [dunlin(), "create", content.path, "-o", made, "--piece-size", "1M"]
        case "libtorrent":
            program = ("import sys, libtorrent as lt; s = lt.file_storage(); lt.add_files(s, sys.argv[1]);"
                       "t = lt.create_torrent(s, 1 << 20, lt.create_torrent.v1_only);"
                       "lt.set_piece_hashes(t, sys.argv[2]); open(sys.argv[3], 'wb').write(lt.bencode(t.generate()))")
            return [lab.PYTHON, "-c", program, content.path, content.path.parent, made]
        case "mktorrent":
            return ["mktorrent", "-l", "20", "-t", str(os.cpu_count()), "-o", made, content.path]
        case "transmission":
            return ["transmission-create", "-s", "1024", "-o", made, content.path]


# What a client has to be told to take and to serve five hundred peers of one torrent.
DUNLIN_CROWD = "[engine.limits]\nconnections = 1000\nconnections-per-torrent = 1000\n[engine.choke]\nslots = { fixed = 1000 }\n"


def seed(client, content, folder, out, ip=lab.SEED_IP, crowd=False):
    """Serves what lies in `folder` on port 6881 of `ip`: a command, and the word that it prints when it is ready. With its
    defaults, but for libtorrent's limit of connections and for a crowd, which Dunlin alone is asked to serve."""
    match client:
        case "dunlin":
            (out / "dunlin.toml").write_text(DUNLIN_CROWD if crowd else "")
            return [dunlin(), "--config", out / "dunlin.toml", "seed", content.path, "--torrent", content.torrent, "--listen", f"{ip}:6881", "--no-trackers",
                    "--state-dir", out / "state", "--json"], '"seeding"'
        case "libtorrent":
            return [lab.PYTHON, lab.LIBTORRENT_PEER, "--listen", f"{ip}:6881", "--save", folder, content.torrent], '"type": "complete"'
        case "rqbit":
            return [*RQBIT, "--disable-trackers", "--listen-port", "6881", "--listen-ip", ip, "download", "--disable-http-api",
                    "--overwrite", "-o", folder, content.torrent], "100.00%"
        case "aria2":
            return [*ARIA2, "--check-integrity=true", "--listen-port=6881", "--seed-time=600", "-d", folder,
                    content.torrent], "Verification finished successfully"
        case "qbittorrent":
            return qbittorrent(out, folder, content, then="echo all complete"), "all complete"
        case "transmission":
            return transmission(out, ["-p", "6881", "-w", folder, content.torrent], ends=False), "Seeding"


def qbittorrent(out, folder, content, peers=(), then="kill $(cat pid)"):
    """Without a window; it runs a command when a torrent is complete, which here ends it."""
    profile = out / "qbittorrent"
    config = profile / "qBittorrent/config/qBittorrent.conf"
    config.parent.mkdir(parents=True, exist_ok=True)
    script = out / "done.sh"
    script.write_text(f"#!/bin/sh\ncd {out} && {then}\n")
    script.chmod(0o755)
    config.write_text(
        f"[LegalNotice]\nAccepted=true\n\n[AutoRun]\nenabled=true\nprogram={script}\n\n"
        "[Preferences]\nWebUI\\LocalHostAuth=false\nWebUI\\Port=8080\nWebUI\\CSRFProtection=false\n"
        "WebUI\\HostHeaderValidation=false\nWebUI\\UseUPnP=false\n\n"
        "[BitTorrent]\nSession\\DHTEnabled=false\nSession\\LSDEnabled=false\nSession\\PeXEnabled=false\n"
        "Session\\Port=6881\nSession\\QueueingSystemEnabled=false\nSession\\BTProtocol=TCP\nSession\\Encryption=2\n"
        "Session\\SSRFMitigation=false\n\n[Network]\nPortForwardingEnabled=false\n"
    )
    giver = " ".join(map(str, [sys.executable, Path(__file__).with_name("qbittorrent.py"), content.torrent, folder, *peers]))
    return ["sh", "-c", f"echo $$ > {out}/pid; {giver} & exec qbittorrent-nox --profile={profile}"]


TRANSMISSION_SETTINGS = {
    "dht-enabled": False, "lpd-enabled": False, "utp-enabled": False, "encryption": 0, "port-forwarding-enabled": False,
    "rename-partial-files": False, "preallocation": 0, "speed-limit-up-enabled": False,
}


def transmission(out, arguments, ends=True):
    """Its command-line client; it runs a script when it is complete, which here ends it."""
    home = out / "transmission"
    home.mkdir(parents=True, exist_ok=True)
    (home / "settings.json").write_text(json.dumps(TRANSMISSION_SETTINGS))
    command = ["transmission-cli", "-g", home, "-M", "-et", "-U", "-D"]
    if ends:
        script = out / "done.sh"
        script.write_text("#!/bin/sh\nkill -TERM $PPID\n")
        script.chmod(0o755)
        command += ["-f", script]
    return [*command, *arguments]
