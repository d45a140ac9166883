"""bench.py owns the measurements of scripts/bench: which servers, which workloads, and how.

Every server of a store runs all the time; in each round each gets its turn at a workload, one after
the other, so that what disturbs the machine disturbs all.  A figure is bytes by seconds, the final
flush included; on a disk the plaintext server reads with a cold page cache.  What is printed are
medians over the rounds.  Where keyfence's ratio to plaintext is less certain than it should be, these
two get more rounds, the least certain workload first, until it is or the time for that is spent.
"""
import argparse
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
from bench_servers import MIB, run_fio, start_servers

KEYFENCE = ("auto", "sync", "uring")
STORES = ("tmpfs", "disk")

# name: (fio's rw, block size, depth)
WORKLOADS = {
    "4k read d1": ("randread", "4k", 1),
    "4k read d32": ("randread", "4k", 32),
    "4k write d1": ("randwrite", "4k", 1),
    "4k write d32": ("randwrite", "4k", 32),
    "4k 70/30 d1": ("randrw", "4k", 1),
    "4k 70/30 d32": ("randrw", "4k", 32),
    "64k read d16": ("randread", "64k", 16),
    "64k write d16": ("randwrite", "64k", 16),
    "1M read d8": ("read", "1M", 8),
    "1M write d8": ("write", "1M", 8),
}
QUICK_WORKLOADS = ("4k read d32", "4k write d32", "1M read d8", "1M write d8")
QUICK_SERVERS = ("null", "file", "keyfence auto", "luks filter", "qemu luks")


# ---- measuring --------------------------------------------------------------------------------------

def make_cold(image):
    """Nothing dirty, nothing cached: what is read comes from the disk."""
    fd = os.open(image, os.O_RDONLY)
    os.fdatasync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def measure(server, workload, connections, seconds, size_bytes, on_disk):
    """One turn: (MiB/s, server's CPU seconds a GiB, fio's CPU seconds a GiB)."""
    flush_s, cpu_before = 0.0, server.cpu_s()
    if server.image and on_disk:
        make_cold(server.image)
    # Around again only where nothing is cached by the first time.
    done = run_fio(server, workload, connections, seconds, size_bytes,
                   1 if server.image and on_disk else 100)
    if not done:
        return None
    if server.image and on_disk:
        started = time.monotonic()
        fd = os.open(server.image, os.O_RDONLY)
        os.fdatasync(fd)
        os.close(fd)
        flush_s = time.monotonic() - started
    count, took, client_cpu_s = done
    gib = count / (1 << 30)
    return count / MIB / (took + flush_s), (server.cpu_s() - cpu_before) / gib, client_cpu_s / gib


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
    servers = []
    try:
        servers = start_servers(options, folder, on_disk)
        servers_said.update({f"{s.name} ({store})": s.says for s in servers})
        cells = [Cell(servers, name, connections) for connections in options.connections
                 for name in options.workloads]
        for cell in cells:
            for _ in range(options.rounds):
                cell.take_round(servers, options, on_disk)
            progress(f"{store}, {cell.connections} conn., {cell.workload}")
        settle(cells, servers, options, on_disk)
        for cell in cells:
            results += cell.results(store)
    finally:
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


def parse_options():
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures keyfence against what "
                                     "people would use instead: throughput, and CPU time of server and client.")
    parser.add_argument("--quick", action="store_true", help="fewer servers and workloads; under two minutes")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--svg", metavar="FILE", help="draw the comparison there (docs/bench.svg)")
    parser.add_argument("--compare", metavar="FILE", help="print what got slower than in FILE (of --json) "
                        "by more than the noise, measured against plaintext in the same round; status 1 if any did")
    parser.add_argument("--report", metavar="FILE", help="measure nothing: use the figures in FILE")
    parser.add_argument("--scaling", action="store_true", help="measure something else: 1 to 8 connections, "
                        "small and huge volumes, and the server's memory")
    parser.add_argument("--profile", action="store_true", help="measure something else: what the server's "
                        "processor time goes to, by perf")
    parser.add_argument("--disk", metavar="FOLDER", default=os.environ.get("TMPDIR", "/var/tmp"),
                        help="a folder on a disk (%(default)s)")
    parser.add_argument("--rounds", type=int, help="of all servers")
    parser.add_argument("--noise", type=float, metavar="PERCENT", default=5,
                        help="how uncertain the ratios of keyfence to plaintext may be (%(default)s)")
    parser.add_argument("--budget", type=float, metavar="SECONDS",
                        help="for more rounds where they are less certain than that (50 with --quick, 100 with "
                        "--quick --compare, which measures keyfence and plaintext only; else 600)")
    parser.add_argument("--seconds", type=float, help="of one turn")
    parser.add_argument("--size", type=int, metavar="MIB", help="of each disk")
    parser.add_argument("--connections", type=int, metavar="N", nargs="+", help="how many at once (1 4; with --quick 1, with --scaling 1 2 4 8)")
    parser.add_argument("--only", metavar="REGEX", default="", help="only workloads that match")
    parser.add_argument("--servers", metavar="REGEX", default="", help="only servers that match, and plaintext")
    parser.add_argument("--stores", metavar="NAME", nargs="+", choices=STORES, default=STORES,
                        help="tmpfs, disk; both without it")
    parser.add_argument("--before", metavar="FOLDER", help="a build folder of another state of the source: its "
                        "keyfence takes part as \"keyfence before\"")
    parser.add_argument("--variant", metavar="OPTIONS", action="append", default=[], help="keyfence takes part "
                        "with these options of nbdkit (as --variant=-t4), too; may be repeated")
    parser.add_argument("--build", default="build-release", help=argparse.SUPPRESS)
    return complete(parser.parse_args())


def complete(options):
    """What depends on other options."""
    options.seconds = options.seconds or (0.3 if options.quick else 3)
    options.size = (options.size or (256 if options.quick else 1536)) * MIB
    options.connections = options.connections or (
        bench_scaling.CONNECTIONS if options.scaling else (1,) if options.quick else (1, 4))
    options.rounds = options.rounds or (2 if options.quick else 3)
    if options.budget is None:
        options.budget = (100 if options.compare else 50) if options.quick else 600
    options.variants = {f"keyfence {words}": words.split() for words in options.variant}
    servers = QUICK_SERVERS if options.quick else (
        "null", "file", *("keyfence " + engine for engine in KEYFENCE), "luks filter", "qemu luks")
    if options.quick and options.compare:
        servers = [name for name in servers if name.startswith("keyfence") or name == BASE]
    options.servers = [name for name in servers if name == BASE or re.search(options.servers, name)]
    options.servers += (["keyfence before"] if options.before else []) + list(options.variants)
    options.workloads = [name for name in (QUICK_WORKLOADS if options.quick else WORKLOADS)
                         if re.search(options.only, name)]
    return options


def measure_all(options):
    folders = {"tmpfs": "/dev/shm", "disk": options.disk}
    run_data = {"machine": describe_machine(folders), "servers": {}, "results": [],
                "seconds": options.seconds, "rounds": options.rounds, "size_mib": options.size // MIB}
    for store in options.stores:
        if options.scaling:
            bench_scaling.measure_store(store, folders[store], options, run_data)
        elif options.profile:
            bench_profile.measure_store(store, folders[store], options, run_data)
        else:
            measure_store(store, folders[store], options, run_data["results"], run_data["servers"])
    run_data["machine"]["load_after"] = os.getloadavg()[0]
    return run_data


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what is half done is taken down
    old = json.load(open(options.compare)) if options.compare else None
    run_data = json.load(open(options.report)) if options.report else measure_all(options)
    if "scaling" in run_data:
        bench_scaling.print_tables(run_data)
    elif "profile" in run_data:
        bench_profile.print_tables(run_data)
    else:
        bench_report.print_tables(run_data)
    if options.json:
        with open(options.json, "w") as f:
            json.dump(run_data, f, indent=1)
    if options.svg:
        with open(options.svg, "w") as f:
            f.write(bench_report.draw(run_data))
    sys.exit(1 if old and print_slower(old, run_data) else 0)


if __name__ == "__main__":
    main()
