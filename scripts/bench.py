"""bench.py owns the measurements of scripts/bench: which servers, which workloads, and how.

Every server of a store runs all the time; in each round each gets its turn at a workload, one after
the other, so that what disturbs the machine disturbs all.  A figure is bytes by seconds, the final
flush included; on a disk the plaintext server reads with a cold page cache.  What is printed are
medians over the rounds.
"""
import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import bench_report

MIB = 1 << 20
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


class Server:
    """A server that runs, and its image.  `direct`: it bypasses the page cache."""

    def __init__(self, name, folder, command, image=None, says=""):
        self.name, self.image, self.says = name, image, says
        self.socket = os.path.join(folder, name.replace(" ", "-") + ".nbd")
        self.log = open(self.socket + ".log", "w")
        command = [word.replace("@SOCKET@", self.socket) for word in command]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log,
                                        env=dict(os.environ, KEYFENCE_RUNDIR=folder))
        self.wait_until_up()

    def wait_until_up(self):
        for _ in range(500):
            if self.process.poll() is not None:
                break
            if os.path.exists(self.socket) and run_fio(self, ("read", "4k", 1), 1, 0.01, MIB):
                return
            time.sleep(0.02)
        sys.exit(f"{self.name} did not come up: {open(self.log.name).read()}")

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def fio_target(self):
        return ["--ioengine=nbd", f"--uri=nbd+unix:///?socket={self.socket}"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class BareDisk:
    """No server: fio itself on an image, past the page cache.  What is there to be had from the disk."""

    name, says = "bare disk", "fio's io_uring with O_DIRECT on an image, no NBD: the limit of the disk"

    def __init__(self, image):
        self.image = image

    def fio_target(self):
        return ["--ioengine=io_uring", "--direct=1", f"--filename={self.image}"]

    def cpu_s(self):
        return 0.0

    def stop(self):
        pass


def run_fio(server, workload, connections, seconds, size_bytes, loops=1):
    """(bytes, seconds, CPU seconds of fio), or None when it failed."""
    rw, block, depth = workload
    share = size_bytes // connections // MIB * MIB
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        ["fio", "--name=job", *server.fio_target(), f"--rw={rw}", "--rwmixread=70", f"--bs={block}",
         f"--iodepth={depth}", f"--numjobs={connections}", "--thread", "--group_reporting", f"--size={share}",
         f"--offset_increment={share}", f"--loops={loops}", f"--runtime={round(seconds * 1000)}ms",
         "--randrepeat=0", "--output-format=json"], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0 or "{" not in done.stdout:
        return None
    job = json.loads(done.stdout[done.stdout.index("{"):])["jobs"][0]
    count = sum(job[way]["io_bytes"] for way in ("read", "write"))
    took = max(job[way]["runtime"] for way in ("read", "write")) / 1000
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (count, took, cpu) if count and took else None


# ---- servers ----------------------------------------------------------------------------------------

def run(*command, **kwargs):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **kwargs)


def fill(path, size_bytes):
    """Random bytes, so that nothing is sparse or compresses."""
    block = os.urandom(8 * MIB)
    with open(path, "r+b" if os.path.exists(path) else "wb") as f:
        start = os.path.getsize(path) - size_bytes if os.path.getsize(path) > size_bytes else 0
        f.seek(start)
        for _ in range(size_bytes // len(block)):
            f.write(block)
        os.fdatasync(f.fileno())


def start_keyfence(engine, build, folder, size_bytes):
    image, kek = os.path.join(folder, engine + ".kf"), os.path.join(folder, "kek")
    if not os.path.exists(kek):
        with open(os.open(kek, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as f:
            f.write(os.urandom(32))
    run(f"{build}/tools/keyfence", "create", "--size", str(size_bytes), "--key", f"file://{kek}", image)
    fill(image, size_bytes)
    return Server("keyfence " + engine, folder,
                  ["nbdkit", "-f", "-U", "@SOCKET@", f"{build}/nbd-plugin/nbdkit-keyfence-plugin.so",
                   image, f"engine={engine}"], image, f"engine={engine}, other parameters at their defaults")


def start_luks(name, folder, size_bytes, on_disk):
    """LUKS1 made by qemu-img: both other servers know it."""
    image, secret = os.path.join(folder, name.replace(" ", "-") + ".img"), os.path.join(folder, "passphrase")
    with open(secret, "w") as f:
        f.write("benchmark")
    create = ("qemu-img", "create", "-q", "-f", "luks", "--object", f"secret,id=s,file={secret}", "-o",
              "key-secret=s,cipher-alg=aes-256,cipher-mode=xts,ivgen-alg=plain64,iter-time=100", image)
    for _ in range(10):  # on a busy machine it can't always time its key derivation
        if subprocess.run([*create, str(size_bytes)], capture_output=True).returncode == 0:
            break
    else:
        sys.exit("qemu-img could not create a LUKS image")
    fill(image, size_bytes)
    if name == "luks filter":
        return Server(name, folder, ["nbdkit", "-f", "-U", "@SOCKET@", "--filter=luks", "file", image,
                                     f"passphrase=+{secret}"], image,
                      "nbdkit's luks filter on its file plugin (page cache)")
    cache = "cache.direct=on,file.aio=native" if on_disk else "cache.direct=off"
    return Server(name, folder,
                  ["qemu-nbd", "--object", f"secret,id=s,file={secret}", "--persistent", "--shared=0",
                   "-k", "@SOCKET@", "--image-opts",
                   f"driver=luks,key-secret=s,file.driver=file,file.filename={image},file.{cache}"],
                  image, "qemu-nbd, LUKS, " + ("O_DIRECT, Linux AIO" if on_disk else "page cache, threads"))


def start_servers(names, build, folder, size_bytes, on_disk):
    servers = []
    for name in names:
        if name == "null":
            servers.append(Server(name, folder, ["nbdkit", "-f", "-U", "@SOCKET@", "null", str(size_bytes)],
                                  None, "nbdkit's null plugin: the limit of nbdkit and client"))
        elif name == "file":
            image = os.path.join(folder, "plain")
            fill(image, size_bytes)
            if on_disk:
                servers.append(BareDisk(image))
            servers.append(Server(name, folder, ["nbdkit", "-f", "-U", "@SOCKET@", "file", image], image,
                                  "nbdkit's file plugin, plaintext (page cache: it has no direct I/O)"))
        elif name.startswith("keyfence"):
            servers.append(start_keyfence(name.split()[1], build, folder, size_bytes))
        else:
            servers.append(start_luks(name, folder, size_bytes, on_disk))
    return servers


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


def measure_store(store, folder, options, results, servers_said):
    on_disk = store == "disk"
    folder = tempfile.mkdtemp(prefix="keyfence-bench.", dir=folder)
    servers = []
    try:
        names = [name for name in options.servers if not (on_disk and name == "null")]  # it has no store
        servers = start_servers(names, os.path.abspath(options.build), folder, options.size, on_disk)
        servers_said.update({f"{s.name} ({store})": s.says for s in servers})
        for connections in options.connections:
            for name in options.workloads:
                cells = {s.name: [] for s in servers}
                for number in range(options.rounds):
                    # Another order in each round.
                    turn = servers[number % len(servers):] + servers[:number % len(servers)]
                    for server in turn:
                        figures = measure(server, WORKLOADS[name], connections, options.seconds,
                                          options.size, on_disk)
                        if figures:
                            cells[server.name].append(figures)
                for server, figures in cells.items():
                    if figures:
                        results.append({"store": store, "workload": name, "connections": connections,
                                        "server": server, "mib_s": [f[0] for f in figures],
                                        "server_cpu_s_per_gib": [f[1] for f in figures],
                                        "client_cpu_s_per_gib": [f[2] for f in figures]})
                progress(f"{store}, {connections} conn., {name}")
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
                        "by more than the noise, measured against plaintext in the same run; status 1 if any did")
    parser.add_argument("--report", metavar="FILE", help="measure nothing: use the figures in FILE")
    parser.add_argument("--disk", metavar="FOLDER", default=os.environ.get("TMPDIR", "/var/tmp"),
                        help="a folder on a disk (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, help="of one turn")
    parser.add_argument("--size", type=int, metavar="MIB", help="of each disk")
    parser.add_argument("--only", metavar="REGEX", default="", help="only workloads that match")
    parser.add_argument("--servers", metavar="REGEX", default="", help="only servers that match, and plaintext")
    parser.add_argument("--stores", metavar="NAME", nargs="+", choices=STORES, default=STORES,
                        help="tmpfs, disk; both without it")
    parser.add_argument("--build", default="build-release", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.seconds = options.seconds or (0.4 if options.quick else 3)
    options.size = (options.size or (256 if options.quick else 1536)) * MIB
    options.connections = (1,) if options.quick else (1, 4)
    servers = QUICK_SERVERS if options.quick else (
        "null", "file", *("keyfence " + engine for engine in KEYFENCE), "luks filter", "qemu luks")
    options.servers = [name for name in servers
                       if name == bench_report.BASE or re.search(options.servers, name)]
    options.workloads = [name for name in (QUICK_WORKLOADS if options.quick else WORKLOADS)
                         if re.search(options.only, name)]
    return options


def main():
    options = parse_options()
    old = json.load(open(options.compare)) if options.compare else None
    if options.report:
        run_data = json.load(open(options.report))
    else:
        folders = {"tmpfs": "/dev/shm", "disk": options.disk}
        run_data = {"machine": describe_machine(folders), "servers": {}, "results": [],
                    "seconds": options.seconds, "rounds": options.rounds, "size_mib": options.size // MIB}
        for store in options.stores:
            measure_store(store, folders[store], options, run_data["results"], run_data["servers"])
        run_data["machine"]["load_after"] = os.getloadavg()[0]
    bench_report.print_tables(run_data)
    if options.json:
        with open(options.json, "w") as f:
            json.dump(run_data, f, indent=1)
    if options.svg:
        with open(options.svg, "w") as f:
            f.write(bench_report.draw(run_data))
    sys.exit(1 if old and bench_report.print_slower(old, run_data) else 0)


if __name__ == "__main__":
    main()
