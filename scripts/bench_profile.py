"""bench_profile.py owns where a request spends its time: the server's processor time by what it is spent
on, sampled by perf, and at depth 1 what is left of a request's time when nobody computes.

The samples are taken on the clock, so that virtual machines without hardware counters do as well; what a
system call does in the kernel counts for the call.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from bench_compare import BASE
from bench_servers import MIB, Server, fill, start_keyfence, take_turn

REQUEST_BYTES = {"4k": 4096, "1M": MIB}
WORKLOADS = {"4k read": ("randread", "4k"), "4k write": ("randwrite", "4k"), "1M read": ("read", "1M"),
             "1M write": ("write", "1M")}
DEPTHS = {"4k": 32, "1M": 8}

# In this order, the first that fits: a pattern for the kernel's entry, or for "object symbol" in user space.
KERNEL = (("socket: receive", r"sys_(read|recv\w*)$|^__(libc_)?(read|recv)$"),
          ("socket: send", r"sys_(send\w*|write)$|^__(libc_)?(send|write)$"),
          ("store: read and write",
           r"sys_(p(read|write)\w*|io_uring_enter|fdatasync)$|^__libc_p(read|write)|^io_(wq|worker)"),
          ("wake-ups and locks", r"sys_futex$|lll_lock|futex"))
USER = (("AES", r"keyfence-plugin\S* .*(crypt_(encrypt|decrypt|sectors)|(en|de)crypt_\d+|vaes)|lib(gcrypt|crypto)"),
        ("keyfence, the rest of it", r"keyfence-plugin|vdso"), ("nbdkit and libc", r""))
ROWS = ("socket: receive", "socket: send", "wake-ups and locks", "nbdkit and libc", "keyfence, the rest of it", "AES",
        "store: read and write", "kernel, the rest of it")


def category(frames):
    """Of one sample: its frames as "symbol (object)", the innermost first."""
    if "kernel" in frames[0][1] or frames[0][1] == "[unknown]" and len(frames) > 1:
        for name, pattern in KERNEL:
            if any(re.search(pattern, symbol) for symbol, _ in frames):
                return name
        return ROWS[-1]
    symbol, place = frames[0]
    return next(name for name, pattern in USER if re.search(pattern, f"{place} {symbol}"))


def samples(path):
    """The frames of each."""
    said = subprocess.run(["perf", "script", "-i", path, "-F", "tid,ip,sym,dso"], capture_output=True, text=True)
    for block in said.stdout.split("\n\n"):
        frames = re.findall(r"^\s+[0-9a-f]+ (.*) \((.*)\)$", block, re.M)
        if frames:
            yield [(symbol.split("+")[0], os.path.basename(place)) for symbol, place in frames]


def shares(path):
    counts, total = dict.fromkeys(ROWS, 0), 0
    for frames in samples(path):
        counts[category(frames)] += 1
        total += 1
    return {name: count / total for name, count in counts.items()} if total else None


def wait_for_data(path):
    """Until perf has begun to write, and so has its counters."""
    end = time.monotonic() + 10
    while time.monotonic() < end and not (os.path.exists(path) and os.path.getsize(path)):
        time.sleep(0.05)
    time.sleep(0.3)


def profile(server, workload, folder, options, on_disk):
    """Microseconds of the server's processor time a request, by row; or None."""
    rw, block = WORKLOADS[workload]
    path = os.path.join(folder, f"{server.name}-{workload}.perf".replace(" ", "-"))
    perf = subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-F", "2999", "-g", "-o", path, "-p",
                             str(server.process.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_data(path)
    done = take_turn(server, (rw, block, DEPTHS[block]), 1, options.seconds, options.size, on_disk)
    perf.terminate()
    perf.wait()
    found = shares(path)
    if not done or not found:
        return None
    each = 1e6 * done[2] / (done[0] / REQUEST_BYTES[block])
    return {name: share * each for name, share in found.items()}


def alone(server, workload, options, on_disk):
    """At depth 1: microseconds from one request to the next, and of them the server's and the client's."""
    rw, block = WORKLOADS[workload]
    done = take_turn(server, (rw, block, 1), 1, options.seconds, options.size, on_disk)
    if not done:
        return None
    each = 1e6 / (done[0] / REQUEST_BYTES[block])
    return dict(zip(("elapsed", "server", "client"), (each * value for value in done[1:])))


def measure_store(store, folder, options, run_data):
    if not shutil.which("perf"):
        sys.exit("perf is not installed: package linux-perf")
    folder = tempfile.mkdtemp(prefix="keyfence-bench.", dir=folder)
    rows, servers = run_data["profile"], []
    try:
        plain = os.path.join(folder, "plain")
        fill(plain, options.size)
        servers.append(Server(BASE, folder, ["nbdkit", "-f", "-U", "@SOCKET@", "file", plain], plain))
        servers.append(start_keyfence("keyfence auto", os.path.abspath(options.build), folder, options.size))
        for workload in WORKLOADS:
            if re.search(options.only, workload):
                rows += [{"store": store, "workload": workload, "server": s.name,
                          "us": profile(s, workload, folder, options, store == "disk"),
                          "alone_us": alone(s, workload, options, store == "disk")}
                         for s in servers]
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


# ---- tables -----------------------------------------------------------------------------------------

def print_store(store, rows):
    def line(name, values):
        print(name.ljust(28) + "".join(f"{v:.1f}".rjust(19) if v is not None else "-".rjust(19) for v in values))

    print(f"\n{store}: microseconds of the server's processor time a request, at depth 32 (4k) and 8 (1M)")
    print(" " * 28 + "".join(f"{r['workload']}, {r['server'].split()[0]}".rjust(19) for r in rows))
    for name in ROWS:
        line(name, [r["us"][name] if r["us"] else None for r in rows])
    line("all", [sum(r["us"].values()) if r["us"] else None for r in rows])
    print("one at a time (depth 1):")
    for name in ("elapsed", "server", "client"):
        line({"elapsed": "from one to the next"}.get(name, f"of them computed by {name}"),
             [r["alone_us"][name] if r["alone_us"] else None for r in rows])


def print_tables(run_data):
    print("; ".join(f"{name} {value}" for name, value in run_data["machine"].items()))
    for store in dict.fromkeys(r["store"] for r in run_data["profile"]):
        print_store(store, [r for r in run_data["profile"] if r["store"] == store])
