"""bench_scaling.py owns how costs grow with the work: with connections, with the size of the volume, and
in memory.

keyfence and plaintext take turns, round by round, as in bench.py.  Each connection works on a part of its
own, as far from the others as the volume allows, so that a huge volume is used all over; the parts are
written first, so that no sparse place is read.  On a disk every turn starts with an empty page cache and
ends with a flush, as in bench.py.
"""
import os
import re
import shutil
import statistics
import sys
import tempfile

from bench_compare import BASE, uncertainty_words
from bench_servers import MIB, Server, make_volume, run_fio, serve_keyfence, take_turn

GIB = 1 << 30
CONNECTIONS = (1, 2, 4, 8)
VOLUMES = {"1 GiB": GIB, "16 TiB": 1 << 44}
WORKLOADS = {"4k read d32": ("randread", "4k", 32), "4k write d32": ("randwrite", "4k", 32),
             "1M read d8": ("read", "1M", 8), "1M write d8": ("write", "1M", 8)}
BUSY = {"4k d32": ("randrw", "4k", 32), "1M d8": ("randrw", "1M", 8)}  # for memory
USED_BYTES = 512 * MIB  # of a volume, by all connections
REQUEST_BYTES = {"4k": 4096, "1M": MIB}


def start_pair(servers, build, folder, size_bytes, label):
    """Appends plaintext and keyfence, on sparse images; False where the file system has no such files."""
    plain, image = os.path.join(folder, f"plain-{label}"), os.path.join(folder, f"volume-{label}.kf")
    try:
        with open(plain, "wb") as f:
            f.truncate(size_bytes + 16 * MIB)  # a volume's header takes some
            f.truncate(size_bytes)
    except OSError:
        return False
    make_volume(image, build, folder, size_bytes)
    servers.append(Server(f"{BASE} {label}", folder, ["nbdkit", "-f", "-U", "@SOCKET@", "file", plain], plain))
    servers.append(serve_keyfence(f"keyfence {label}", build, folder, image))
    return True


def stop_pair(servers):
    for server in servers:
        server.stop()
    for server in servers:
        os.unlink(server.image)


def apart(size_bytes, connections):
    return size_bytes // connections // MIB * MIB


def write_parts(server, connections, size_bytes):
    """Whether all of them could be written."""
    done = run_fio(server, ("write", "1M", 8), connections, 600, USED_BYTES, 1, apart(size_bytes, connections), True)
    whole = done and done[0] >= apart(USED_BYTES, connections) * connections
    if not whole:
        print(f"{server.name}, {connections} conn.: its parts could not be written: left out", file=sys.stderr)
    return whole


def turn(server, workload, connections, seconds, size_bytes, on_disk):
    """(MiB/s, the server's CPU microseconds a request), or None."""
    done = take_turn(server, workload, connections, seconds, USED_BYTES, on_disk, apart(size_bytes, connections))
    if not done:
        return None
    count, took, server_cpu_s, _ = done
    return count / MIB / took, 1e6 * server_cpu_s / (count / REQUEST_BYTES[workload[1]])


def measure_cell(servers, name, connections, size_bytes, options, on_disk):
    """Each server's turns, round by round; [] when one failed."""
    rounds = []
    for number in range(options.rounds):
        order = servers if number % 2 == 0 else servers[::-1]
        turns = {s.name.split()[0]: turn(s, WORKLOADS[name], connections, options.seconds, size_bytes, on_disk)
                 for s in order}
        if None in turns.values():
            return []
        rounds.append(turns)
    return rounds


def measure_volume(volume, servers, store, options, rows):
    size_bytes = VOLUMES[volume]
    for connections in options.connections:
        if not all([write_parts(server, connections, size_bytes) for server in servers]):
            continue
        for name in WORKLOADS:
            if not re.search(options.only, name):
                continue
            rounds = measure_cell(servers, name, connections, size_bytes, options, store == "disk")
            rows += [{"store": store, "volume": volume, "connections": connections, "workload": name,
                      "server": server, "mib_s": [r[server][0] for r in rounds],
                      "server_cpu_us_per_request": [r[server][1] for r in rounds]}
                     for server in (BASE, "keyfence") if rounds]


def measure_memory(start, store, rows):
    """The peak of a server that has just been started, with 8 connections busy."""
    for name, workload in BUSY.items():
        servers = []
        try:
            start(servers)
            for server in servers:
                for connections in (8, 8):  # what comes with connections must go with them
                    run_fio(server, workload, connections, 3, USED_BYTES, 100, apart(GIB, connections))
                kb, agent_kb = server.peak_memory_kb()
                rows.append({"store": store, "workload": name, "connections": 8, "server": server.name.split()[0],
                             "server_mib": kb / 1024, "agent_mib": agent_kb / 1024})
        finally:
            stop_pair(servers)


def measure_volumes(store, folder, options, rows):
    for volume, size_bytes in VOLUMES.items():
        servers = []
        try:
            label = volume.replace(" ", "")
            if start_pair(servers, os.path.abspath(options.build), folder, size_bytes, label):
                measure_volume(volume, servers, store, options, rows)
            else:
                print(f"{store}: its file system has no files of {volume}: left out", file=sys.stderr)
        finally:
            stop_pair(servers)


def measure_store(store, folder, options, run_data):
    folder = tempfile.mkdtemp(prefix="keyfence-bench.", dir=folder)
    numbers = iter(range(100))
    try:
        measure_volumes(store, folder, options, run_data["scaling"])
        measure_memory(lambda servers: start_pair(servers, os.path.abspath(options.build), folder, GIB,
                                                  f"memory{next(numbers)}"), store, run_data["memory"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ---- tables -----------------------------------------------------------------------------------------

def show(rows, what):
    """One cell of the table: keyfence, plaintext, and the ratio of pairs."""
    ours, base = rows["keyfence"][what], rows[BASE][what]
    found = [a / b for a, b in zip(ours, base)]
    return "%.5g | %.5g | %.2f %s" % (statistics.median(ours), statistics.median(base), statistics.median(found),
                                       uncertainty_words(found))


def print_tables(run_data):
    print("; ".join(f"{name} {value}" for name, value in run_data["machine"].items()))
    cells = {}
    for row in run_data["scaling"]:
        cells.setdefault((row["store"], row["workload"], row["volume"]), {}).setdefault(
            row["connections"], {})[row["server"]] = row
    columns = sorted({row["connections"] for row in run_data["scaling"]})
    for what, words in (("mib_s", "MiB/s"),
                        ("server_cpu_us_per_request", "the server's CPU time a request, microseconds")):
        print(f"\n{words}: keyfence | plaintext | ratio (uncertainty)")
        print(" " * 32 + "".join(f"{n} connection{'s' if n > 1 else ''}".rjust(30) for n in columns))
        for key, by_connections in cells.items():
            print(", ".join(key).ljust(32) + "".join(
                (show(by_connections[n], what) if n in by_connections else "-").rjust(30) for n in columns))
    print("\nResident memory at its peak, MiB, 8 connections busy: server, and agent")
    for row in run_data["memory"]:
        print(f"{row['store']}, {row['workload']}, {row['server']}".ljust(32)
              + f"{row['server_mib']:.1f} + {row['agent_mib']:.1f}".rjust(16))
