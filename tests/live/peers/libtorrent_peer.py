"""A libtorrent node for the live tests: prints one JSON object a line, runs until it is told to stop."""

import argparse
import json
import signal
import sys
import time

import libtorrent as lt


def say(kind, **facts):
    print(json.dumps({"type": kind, **facts}), flush=True)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", required=True)
    parser.add_argument("--save", required=True)
    parser.add_argument("--peer", action="append", default=[], help="IP:PORT; tried for every torrent")
    parser.add_argument("--up-limit", type=int, default=0, help="bytes a second")
    parser.add_argument("--down-limit", type=int, default=0, help="bytes a second")
    parser.add_argument("--slots", type=int, help="peers to serve at a time")
    parser.add_argument("--once", action="store_true", help="end when all are complete")
    parser.add_argument("torrents", nargs="+")
    return parser.parse_args()


def open_session(options):
    settings = {
        "listen_interfaces": options.listen,
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_utp": False,
        "enable_outgoing_utp": False,
        "out_enc_policy": int(lt.enc_policy.pe_disabled),
        "in_enc_policy": int(lt.enc_policy.pe_enabled),
        "upload_rate_limit": options.up_limit,
        "download_rate_limit": options.down_limit,
        # As Dunlin's limits: what the network adds does not count.
        "rate_limit_ip_overhead": False,
        # Hosts of a lab are in private address ranges: count them like any other.
        "ignore_limits_on_local_network": False,
        "ssrf_mitigation": False,
        "active_downloads": -1,
        "active_seeds": -1,
        "active_limit": 1000,
        "active_checking": 4,
        "connections_limit": 1000,
        "alert_mask": lt.alert.category_t.error_notification | lt.alert.category_t.peer_notification,
        "min_reconnect_time": 1,
        "max_failcount": 100,
    }
    if options.slots is not None:
        settings["unchoke_slots_limit"] = options.slots
    return lt.session(settings)


def add(session, path, save):
    if path.startswith("magnet:"):
        parameters = lt.parse_magnet_uri(path)
    else:
        parameters = lt.add_torrent_params()
        parameters.ti = lt.torrent_info(path)
    parameters.save_path = save
    parameters.flags &= ~lt.torrent_flags.auto_managed
    parameters.flags &= ~lt.torrent_flags.paused
    return session.add_torrent(parameters)


def main():
    options = arguments()
    stopping = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.append(True))
    session = open_session(options)
    handles = [add(session, path, options.save) for path in options.torrents]
    peers = [(ip.strip("[]"), int(port)) for ip, _, port in (peer.rpartition(":") for peer in options.peer)]
    last, said, dialled = None, set(), 0.0
    while not stopping:
        states = [handle.status() for handle in handles]
        for index, status in enumerate(states):
            checked = status.state not in (
                lt.torrent_status.states.checking_files,
                lt.torrent_status.states.checking_resume_data,
            )
            if checked and ("checked", index) not in said:
                said.add(("checked", index))
                say("checked", torrent=status.name, progress=status.progress)
            if checked and status.is_seeding and ("complete", index) not in said:
                said.add(("complete", index))
                say("complete", torrent=status.name)
            if status.errc.value():
                say("error", torrent=status.name, reason=status.errc.message())
        if time.monotonic() - dialled > 1:
            dialled = time.monotonic()
            for handle, status in zip(handles, states):
                if not status.is_seeding and status.num_peers < max(1, len(peers)):
                    for peer in peers:
                        handle.connect_peer(peer)
        totals = {
            "uploaded": sum(status.all_time_upload for status in states),
            "downloaded": sum(status.all_time_download for status in states),
            "wasted": sum(status.total_failed_bytes + status.total_redundant_bytes for status in states),
            "complete": sum(bool(status.is_seeding) for status in states),
        }
        if totals != last:
            last = totals
            say("totals", **totals)
        if options.once and totals["complete"] == len(handles):
            break
        for alert in session.pop_alerts():
            print(alert, file=sys.stderr, flush=True)
        time.sleep(0.1)
    # Dropping the session waits for the disk threads.
    del handles, session
    say("stopped")


if __name__ == "__main__":
    main()
