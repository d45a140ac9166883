"""bench.py owns the measurements of scripts/bench: who gets a turn and when, and what is kept of it.

Every server of a store runs all the time; in each round each gets its turn at a workload, one after
the other, so that what disturbs the machine disturbs all.  A figure is bytes by seconds, the final
flush included; on a disk every turn, of writes too, starts with an empty page cache.  What is printed are
medians over the rounds.  Where keyfence's ratio to plaintext is less certain than it should be, these
two get more rounds, the least certain workload first, until it is or the time for that is spent.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import bench_profile
import bench_report
import bench_scaling
from bench_compare import BASE, ROUNDS_MIN, print_slower, ratios, uncertainty
from bench_options import WORKLOADS, fail, folders_of, parse_options
from bench_servers import MIB, start_servers, take_turn


# ---- measuring --------------------------------------------------------------------------------------

def measure(server, workload, connections, seconds, size_bytes, on_disk):
    """One turn: (MiB/s, server's CPU seconds a GiB, fio's CPU seconds a GiB)."""
    done = take_turn(server, workload, connections, seconds, size_bytes, on_disk)
    if not done:
        return None
    count, took, server_cpu_s, client_cpu_s = done
    gib = count / (1 << 30)
    return count / MIB / took, server_cpu_s / gib, client_cpu_s / gib


def progress(words):
    if sys.stderr.isatty():
        print("\r" + words.ljust(60), end="\r", file=sys.stderr, flush=True)


class Cell:
    """A workload on a store: what each server came to, round by round.  A server whose turn failed is out
    of it, so that the rounds of all others stay in step."""

    def __init__(self, servers, workload, connections):
        self.workload, self.connections, self.rounds = workload, connections, 0
        self.figures = {server.name: [] for server in servers}

    def take_round(self, servers, options, on_disk):
        first = self.rounds % len(servers)  # another order in each round
        self.rounds += 1
        for server in servers[first:] + servers[:first]:
            if server.name not in self.figures:
                continue
            turn = measure(server, WORKLOADS[self.workload], self.connections, options.seconds,
                           options.size, on_disk)
            if turn:
                self.figures[server.name].append(turn)
            else:
                del self.figures[server.name]
                print(f"{self.workload}, {self.connections} conn.: a turn of {server.name} failed: left out",
                      file=sys.stderr)

    def result(self, store, name):
        mib_s, server_cpu, client_cpu = zip(*self.figures[name])
        return {"store": store, "workload": self.workload, "connections": self.connections, "server": name,
                "mib_s": mib_s, "server_cpu_s_per_gib": server_cpu, "client_cpu_s_per_gib": client_cpu}

    def results(self, store):
        return [self.result(store, name) for name, figures in self.figures.items() if figures]

    def doubt(self):
        """(too few rounds to compare, how uncertain keyfence's ratios to plaintext are)"""
        by_name = {r["server"]: r for r in self.results("")}
        found = [uncertainty(ratios(r, by_name[BASE])) for name, r in by_name.items()
                 if name.startswith("keyfence") and BASE in by_name]
        return self.rounds < ROUNDS_MIN, max(found, default=0)


def settle(cells, servers, options, on_disk):
    """More rounds for those that are compared, where they are needed most."""
    compared = [s for s in servers if s.name == BASE or s.name.startswith("keyfence")]
    end = time.monotonic() + options.budget / len(options.stores)
    while time.monotonic() < end:
        cell = max(cells, key=Cell.doubt)
        too_few, doubt = cell.doubt()
        if not too_few and doubt <= options.noise / 100:
            return
        cell.take_round(compared, options, on_disk)
        progress(f"{cell.connections} conn., {cell.workload}: {cell.rounds} rounds, {doubt:.0%} uncertain")


def measure_store(store, folder, options, results, servers_said):
    on_disk = store == "disk"
    folder = tempfile.mkdtemp(prefix="keyfence-bench.", dir=folder)
    servers, cells = [], []
    try:
        start_servers(servers, options, folder, on_disk)
        servers_said.update({f"{s.name} ({store})": s.says for s in servers})
        cells += [Cell(servers, name, connections) for connections in options.connections
                  for name in options.workloads]
        for cell in cells:
            for _ in range(options.rounds):
                cell.take_round(servers, options, on_disk)
            progress(f"{store}, {cell.connections} conn., {cell.workload}")
        settle(cells, servers, options, on_disk)
    finally:
        for cell in cells:
            results += cell.results(store)
        for server in servers:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
        progress("")


def version(*command):
    try:
        text = subprocess.run(command, capture_output=True, text=True).stdout
        return re.sub(r"\s+", " ", text.splitlines()[0]) if text else "?"
    except (OSError, IndexError):
        return "not installed"


def describe_machine(folders):
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    return {
        "cpu": model.group(1) if model else "?", "cpus": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // MIB,
        "kernel": os.uname().release, "nbdkit": version("nbdkit", "--version"),
        "fio": version("fio", "--version"), "qemu-nbd": version("qemu-nbd", "--version"),
        "openssl": version("openssl", "version"),
        "libgcrypt": version("dpkg-query", "-W", "-f", "${Version}", "libgcrypt20"),
        "liburing": version("dpkg-query", "-W", "-f", "${Version}", "liburing2"),
        "keyfence": version("git", "describe", "--always", "--dirty"),
        "stores": {store: version("stat", "-f", "-c", "%T", folder) for store, folder in folders.items()},
        "load_before": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def measure_all(options, run_data):
    """Fills `run_data`, which holds what was measured even where this does not come to its end."""
    if os.getloadavg()[0] > os.cpu_count() / 2:
        print(f"warning: the machine is busy (load {os.getloadavg()[0]:.1f}): figures of a quiet one say more",
              file=sys.stderr)
    folders = folders_of(options)
    run_data.update({"machine": describe_machine(folders), "servers": {}, "results": [], "seconds": options.seconds,
                     "rounds": options.rounds, "size_mib": options.size // MIB})
    if options.scaling:
        run_data.update(scaling=[], memory=[])
    elif options.profile:
        run_data.update(profile=[])
    else:
        run_data["asked"] = {"stores": list(options.stores), "connections": list(options.connections),
                             "workloads": options.workloads, "servers": options.servers}
    for store in options.stores:
        if options.scaling:
            bench_scaling.measure_store(store, folders[store], options, run_data)
        elif options.profile:
            bench_profile.measure_store(store, folders[store], options, run_data)
        else:
            measure_store(store, folders[store], options, run_data["results"], run_data["servers"])
    run_data["machine"]["load_after"] = os.getloadavg()[0]


# ---- what becomes of it -----------------------------------------------------------------------------

def write(path, words):
    try:
        with open(path, "w", encoding="utf-8") as f:
            f.write(words)
    except OSError as error:
        fail(f"{path}: {error.strerror}")


def measure_and_keep(options):
    """Also where it is interrupted, what was measured until then is in the file of --json."""
    run_data = {}
    try:
        measure_all(options, run_data)
    finally:
        if options.json and any(run_data.get(what) for what in ("results", "scaling", "memory", "profile")):
            write(options.json, json.dumps(run_data, indent=1))
    return run_data


def print_tables(run_data):
    if "scaling" in run_data:
        bench_scaling.print_tables(run_data)
    elif "profile" in run_data:
        bench_profile.print_tables(run_data)
    else:
        bench_report.print_tables(run_data)


def take_down(number, _frame):
    """What is half done is taken down, once."""
    for other in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, take_down)
    options = parse_options()
    run_data = options.report or measure_and_keep(options)
    if options.report and options.json:
        write(options.json, json.dumps(run_data, indent=1))
    if options.svg:
        write(options.svg, bench_report.draw(run_data))
    print_tables(run_data)
    sys.exit(1 if options.compare and print_slower(options.compare, run_data) else 0)


if __name__ == "__main__":
    main()
