"""Gives all torrents of a folder to a client that is driven by RPC, and waits until it has them all complete there.

    give_idle.py rqbit|transmission FOLDER
"""

import base64
import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

LIMIT_SECS = 1500
CLIENT, FOLDER = sys.argv[1], sys.argv[2]
FILES = sorted(Path(FOLDER).glob("*.torrent"))
session = {}


def post(url, data, headers):
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as reply:
        return json.loads(reply.read())


def transmission(method, arguments):
    body = json.dumps({"method": method, "arguments": arguments}).encode()
    try:
        return post("http://127.0.0.1:9091/transmission/rpc", body, session)["arguments"]
    except urllib.error.HTTPError as error:
        # It answers the first call with the word that it wants to hear from then on.
        session["X-Transmission-Session-Id"] = error.headers["X-Transmission-Session-Id"]
        return transmission(method, arguments)


def add(file):
    torrent = file.read_bytes()
    if CLIENT == "rqbit":
        post(f"http://127.0.0.1:3030/torrents?overwrite=true&output_folder={FOLDER}", torrent, {})
    else:
        transmission("torrent-add", {"metainfo": base64.b64encode(torrent).decode(), "download-dir": FOLDER})


def complete():
    if CLIENT == "rqbit":
        torrents = post("http://127.0.0.1:3030/torrents?with_stats=true", None, {})["torrents"]
        return sum(torrent["stats"]["finished"] for torrent in torrents)
    torrents = transmission("torrent-get", {"fields": ["percentDone", "status"]})["torrents"]
    # Six is seeding.
    return sum(torrent["percentDone"] == 1 and torrent["status"] == 6 for torrent in torrents)


def wait(holds, pause):
    deadline = time.monotonic() + LIMIT_SECS
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"{CLIENT} takes too long")
        time.sleep(pause)


def answers():
    try:
        complete()
    except (urllib.error.URLError, OSError):
        return False
    return True


wait(answers, 0.02)
for file in FILES:
    add(file)
wait(lambda: complete() >= len(FILES), 0.2)
