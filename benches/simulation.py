#!/usr/bin/env python3
"""How fast simulated swarms are, and what they take: swarms of the rates of kr-1000 at several sizes.

For each size: times real time, peer-pieces (pieces that a node completed) per CPU second, bytes per
connection, utilisation. A run is one thread. `--virtual-secs` ends each run early; peer-pieces are then
the payload that moved by the length of a piece.
"""
import argparse
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PIECE = 256 * 1024


def measure(binary, scenario, nodes, pieces, connections, virtual_secs):
    command = [binary, "sim", "run", os.path.join(ROOT, "scenarios", scenario), "--json"]
    sets = [f"classes.leech.count={nodes}", f"content.size={pieces * PIECE // 1024}KiB"]
    if connections:
        sets.append(f"strategy.connections={connections}")
    if virtual_secs:
        sets.append(f'stop=At("{virtual_secs}s")')
    for change in sets:
        command += ["--set", change]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)} failed")
    run = json.loads(out)
    cpu = usage.ru_utime + usage.ru_stime
    moved = sum(row["down_bytes"] for row in run["classes"]) / PIECE
    bound = run["bound_s"]
    mean = run["mean"] / bound if run["mean"] and bound else None
    return {
        "nodes": nodes,
        "pieces": pieces,
        "virtual s": round(run["virtual_s"]),
        "CPU s": round(cpu, 1),
        "x real time": round(run["virtual_s"] / cpu, 1),
        "peer-pieces / CPU s": round(moved / cpu),
        "connections": run["connections"],
        "peak MiB": round(usage.ru_maxrss / 1024),
        "bytes / connection": round(usage.ru_maxrss * 1024 / max(run["connections"], 1)),
        "used": round(run["utilisation"] or 0, 2),
        "mean / bound": round(mean, 2) if mean else "-",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default=os.path.join(ROOT, "target/release/dunlin"))
    parser.add_argument("--scenario", default="kr-1000.ron")
    parser.add_argument("--nodes", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--pieces", type=int, default=400)
    parser.add_argument("--connections", type=int, help="most of a node, instead of what the scenario says")
    parser.add_argument("--virtual-secs", type=int)
    options = parser.parse_args()
    header = None
    for nodes in options.nodes:
        row = measure(options.binary, options.scenario, nodes, options.pieces,
                      options.connections, options.virtual_secs)
        if header is None:
            header = list(row)
            print("| " + " | ".join(header) + " |")
            print("|" + "---|" * len(header))
        print("| " + " | ".join(f"{row[name]:,}" if isinstance(row[name], (int, float)) else str(row[name])
                                 for name in header) + " |", flush=True)


if __name__ == "__main__":
    main()
