"""bench_options.py owns the command line of scripts/bench: what there is to measure, what of it is asked for,
and what can be seen to be wrong with that before anything is measured.
"""
import argparse
import json
import os
import re
import shutil
import sys

import bench_profile
import bench_scaling
from bench_compare import BASE
from bench_servers import MIB, images

HEADER_BYTES = 16 * MIB  # of an image, at most
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


def fail(words):
    sys.exit(f"scripts/bench: {words}")


def parse_options():
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures keyfence against what "
                                     "people would use instead: throughput, and CPU time of server and client.")
    parser.add_argument("--quick", action="store_true", help="fewer servers and workloads; under two minutes")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--svg", metavar="FILE", help="draw the comparison there (docs/bench.svg)")
    parser.add_argument("--compare", metavar="FILE", help="print what got slower than in FILE (of --json) "
                        "by more than the noise, measured against plaintext in the same round, and what is missing; "
                        "status 1 if any did or is, or nothing could be compared")
    parser.add_argument("--report", metavar="FILE", help="measure nothing: use the figures in FILE")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--scaling", action="store_true", help="measure something else: 1 to 8 connections, "
                        "small and huge volumes, and the server's memory")
    other.add_argument("--profile", action="store_true", help="measure something else: what the server's "
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
    parser.add_argument("--size", type=int, metavar="MIB",
                        help="of each disk (1536; with --quick 256); up to six at once in /dev/shm and in --disk")
    parser.add_argument("--connections", type=int, metavar="N", nargs="+",
                        help="how many at once (1 4; with --quick 1, with --scaling 1 2 4 8)")
    parser.add_argument("--only", metavar="REGEX", default="", help="only workloads that match")
    parser.add_argument("--servers", metavar="REGEX", default="", help="only servers that match, and plaintext")
    parser.add_argument("--stores", metavar="NAME", nargs="+", choices=STORES, default=STORES,
                        help="tmpfs, disk; both without it")
    parser.add_argument("--before", metavar="FOLDER", help="a build folder of another state of the source: its "
                        "keyfence takes part as \"keyfence before\"")
    parser.add_argument("--variant", metavar="OPTIONS", action="append", default=[], help="keyfence takes part "
                        "with these options of nbdkit (as --variant=-t4) and parameters of the plugin (words such as "
                        "cache=writeback), too; may be repeated")
    parser.add_argument("--build", default="build-release", help=argparse.SUPPRESS)
    options = parser.parse_args()
    check_words(options)
    complete(options)
    check_files(options)
    if not options.report:
        check_measurable(options)
    return options


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
    options.servers = [name for name in servers if re.search(options.servers, name)]
    options.servers += (["keyfence before"] if options.before else []) + list(options.variants)
    if not options.servers:
        fail("--servers: no server matches")
    if BASE not in options.servers:
        options.servers.insert(1 if "null" in options.servers else 0, BASE)
    options.workloads = [name for name in workloads_of(options) if re.search(options.only, name)]
    if not options.workloads:
        fail("--only: no workload matches; there are: " + ", ".join(workloads_of(options)))


def workloads_of(options):
    if options.scaling:
        return bench_scaling.WORKLOADS
    if options.profile:
        return bench_profile.WORKLOADS
    return QUICK_WORKLOADS if options.quick else WORKLOADS


def folders_of(options):
    return {"tmpfs": "/dev/shm", "disk": options.disk}


# ---- what can be seen to be wrong before anything is measured -----------------------------------------

def check_words(options):
    for name in ("only", "servers"):
        try:
            re.compile(getattr(options, name))
        except re.error as error:
            fail(f"--{name}: no regular expression: {error}")
    for name in ("rounds", "seconds", "size"):
        if getattr(options, name) is not None and getattr(options, name) <= 0:
            fail(f"--{name}: must be more than 0")
    if min(options.connections or [1]) < 1:
        fail("--connections: must be at least 1")


def load(path, *parts):
    try:
        with open(path, encoding="utf-8") as f:
            found = json.load(f)
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    except ValueError:
        fail(f"{path}: no JSON")
    if not isinstance(found, dict) or any(part not in found for part in parts):
        fail(f"{path}: not written by --json")
    return found


def check_output(path):
    """Whether it can be written; what is there stays."""
    existed = os.path.lexists(path)
    try:
        with open(path, "a", encoding="utf-8"):
            pass
        if not existed:
            os.unlink(path)
    except OSError as error:
        fail(f"{path}: {error.strerror}")


def check_files(options):
    """Afterwards --report and --compare are what their files hold."""
    options.report = load(options.report, "machine", "servers", "results", "rounds") if options.report else None
    options.compare = load(options.compare, "results") if options.compare else None
    other = options.scaling or options.profile or options.report and {"scaling", "profile"} & set(options.report)
    for name in ("svg", "compare"):
        if other and getattr(options, name):
            fail(f"--{name} is not for the figures of --scaling and --profile")
    for path in (options.json, options.svg):
        if path:
            check_output(path)


def bytes_needed(options):
    """Of the images that a store holds at once, and their headers."""
    if options.scaling:
        return 2 * (bench_scaling.USED_BYTES + HEADER_BYTES)
    return (2 if options.profile else images(options)) * (options.size + HEADER_BYTES)


def check_measurable(options):
    if not options.scaling and options.size // max(options.connections) < MIB:
        fail("--size: less than 1 MiB for each connection")
    for build in filter(None, (options.build, options.before)):
        if not os.path.exists(os.path.join(build, "nbd-plugin/nbdkit-keyfence-plugin.so")):
            fail(f"{build}: no build folder: nbd-plugin/nbdkit-keyfence-plugin.so is not there")
    for store, folder in folders_of(options).items():
        if store not in options.stores:
            continue
        if not os.path.isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
            fail(f"{folder} is no folder to write in (--disk, --stores)")
        free = shutil.disk_usage(folder).free
        if free < bytes_needed(options):
            fail(f"{folder}: {bytes_needed(options) // MIB} MiB are needed, {free // MIB} are free "
                 "(--size, --servers)")
