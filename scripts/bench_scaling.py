"""bench_scaling.py owns how costs grow with the work: with connections, with the size of the volume, and
in memory.

keyfence and plaintext take turns, round by round, as in bench.py.  Each connection works on a part of its
own, as far from the others as the volume allows, so that a huge volume is used all over; the parts are
written first, so that no sparse place is read.
"""
import os
import re
import shutil
import statistics
import sys
import tempfile

from bench_compare import BASE, uncertainty
from bench_servers import MIB, Server, make_volume, run_fio, serve_keyfence

GIB = 1 << 30
CONNECTIONS = (1, 2, 4, 8)
VOLUMES = {"1 GiB": GIB, "16 TiB": 1 << 44}
WORKLOADS = {"4k read d32": ("randread", "4k", 32), "4k write d32": ("randwrite", "4k", 32),
             "1M read d8": ("read", "1M", 8), "1M write d8": ("write", "1M", 8)}
BUSY = {"4k d32": ("randrw", "4k", 32), "1M d8": ("randrw", "1M", 8)}  # for memory
USED_BYTES = 512 * MIB  # of a volume, by all connections
REQUEST_BYTES = {"4k": 4096, "1M": MIB}


def start_pair(build, folder, size_bytes, label):
    """Plaintext and keyfence, on sparse images, and where the folder's file system has no such files None."""
    plain, image = os.path.join(folder, f"plain-{label}"), os.path.join(folder, f"volume-{label}.kf")
    try:
        with open(plain, "wb") as f:
            f.truncate(size_bytes + 16 * MIB)  # a volume's header takes some
            f.truncate(size_bytes)
    except OSError:
        return None
    make_volume(image, build, folder, size_bytes)
    return [Server(f"{BASE} {label}", folder, ["nbdkit", "-f", "-U", "@SOCKET@", "file", plain], plain),
            serve_keyfence(f"keyfence {label}", build, folder, image)]


def run_on_parts(server, workload, connections, seconds, size_bytes, loops=100):
    return run_fio(server, workload, connections, seconds, USED_BYTES, loops, size_bytes // connections // MIB * MIB)


def turn(server, workload, connections, seconds, size_bytes):
    """(MiB/s, the server's CPU microseconds a request), or None."""
    before = server.cpu_s()
    done = run_on_parts(server, workload, connections, seconds, size_bytes)
    if not done:
        return None
    requests = done[0] / REQUEST_BYTES[workload[1]]
    return done[0] / MIB / done[1], 1e6 * (server.cpu_s() - before) / requests


def measure_cell(servers, name, connections, size_bytes, options):
    """Each server's turns, round by round; [] when one failed."""
    rounds = []
    for number in range(options.rounds):
        order = servers if number % 2 == 0 else servers[::-1]
        turns = {s.name.split()[0]: turn(s, WORKLOADS[name], connections, options.seconds, size_bytes) for s in order}
        if None in turns.values():
            return []
        rounds.append(turns)
    return rounds


def measure_volume(volume, servers, store, options, rows):
    size_bytes = VOLUMES[volume]
    for connections in options.connections:
        for server in servers:
            run_on_parts(server, ("write", "1M", 8), connections, 600, size_bytes, 1)
        for name in WORKLOADS:
            if not re.search(options.only, name):
                continue
            rounds = measure_cell(servers, name, connections, size_bytes, options)
            rows += [{"store": store, "volume": volume, "connections": connections, "workload": name,
                      "server": server, "mib_s": [r[server][0] for r in rounds],
                      "server_cpu_us_per_request": [r[server][1] for r in rounds]}
                     for server in (BASE, "keyfence") if rounds]


def measure_memory(start, store, options, rows):
    """The peak of a server that has just been started, with 8 connections busy."""
    for name, workload in BUSY.items():
        for server in start():
            try:
                for connections in (8, 8):  # what comes with connections must go with them
                    run_on_parts(server, workload, connections, 3, GIB)
                kb, agent_kb = server.peak_memory_kb()
                rows.append({"store": store, "workload": name, "connections": 8, "server": server.name.split()[0],
                             "server_mib": kb / 1024, "agent_mib": agent_kb / 1024})
            finally:
                server.stop()


def measure_store(store, folder, options, run_data):
    folder = tempfile.mkdtemp(prefix="keyfence-bench.", dir=folder)
    build = os.path.abspath(options.build)
    scaling, memory = run_data.setdefault("scaling", []), run_data.setdefault("memory", [])
    try:
        for volume, size_bytes in VOLUMES.items():
            servers = start_pair(build, folder, size_bytes, volume.replace(" ", ""))
            if not servers:
                print(f"{store}: its file system has no files of {volume}: left out", file=sys.stderr)
                continue
            try:
                measure_volume(volume, servers, store, options, scaling)
            finally:
                for server in servers:
                    server.stop()
                    os.unlink(server.image)
        numbers = iter(range(100))
        measure_memory(lambda: start_pair(build, folder, GIB, f"memory{next(numbers)}"), store, options, memory)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ---- tables -----------------------------------------------------------------------------------------

def show(rows, what):
    """One cell of the table: keyfence, plaintext, and the ratio of pairs."""
    ours, base = rows["keyfence"][what], rows[BASE][what]
    found = [a / b for a, b in zip(ours, base)]
    return "%.5g | %.5g | %.2f (%.0f%%)" % (statistics.median(ours), statistics.median(base),
                                            statistics.median(found), min(99, 100 * uncertainty(found)))


def print_tables(run_data):
    print("; ".join(f"{name} {value}" for name, value in run_data["machine"].items()))
    cells = {}
    for row in run_data["scaling"]:
        cells.setdefault((row["store"], row["workload"], row["volume"]), {}).setdefault(
            row["connections"], {})[row["server"]] = row
    columns = sorted({row["connections"] for row in run_data["scaling"]})
    for what, words in (("mib_s", "MiB/s"), ("server_cpu_us_per_request", "the server's CPU time a request, microseconds")):
        print(f"\n{words}: keyfence | plaintext | ratio (uncertainty)")
        print(" " * 32 + "".join(f"{n} connection{'s' if n > 1 else ''}".rjust(30) for n in columns))
        for key, by_connections in cells.items():
            print(", ".join(key).ljust(32) + "".join(
                (show(by_connections[n], what) if n in by_connections else "-").rjust(30) for n in columns))
    print("\nResident memory at its peak, MiB, 8 connections busy: server, and agent")
    for row in run_data["memory"]:
        print(f"{row['store']}, {row['workload']}, {row['server']}".ljust(32)
              + f"{row['server_mib']:.1f} + {row['agent_mib']:.1f}".rjust(16))
