"""bench_servers.py owns the servers that are measured, their images, and the client, fio."""
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time

MIB = 1 << 20


def children(pid):
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):  # it has ended
            with open(f"/proc/{pid}/task/{thread}/children") as f:
                found += [int(child) for child in f.read().split()]
    return found


def peak_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM:"))


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

    def peak_memory_kb(self):
        """The most that it ever had resident: (server, its agent)."""
        return tuple(sum(peak_kb(pid) for pid in pids)
                     for pids in ([self.process.pid], children(self.process.pid)))

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


def run_fio(server, workload, connections, seconds, size_bytes, loops=1, apart_bytes=None):
    """(bytes, seconds, CPU seconds of fio), or None when it failed.  `size_bytes` of all connections,
    each on its own part of the disk, one after the other or `apart_bytes` apart."""
    rw, block, depth = workload
    share = size_bytes // connections // MIB * MIB
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        ["fio", "--name=job", *server.fio_target(), f"--rw={rw}", "--rwmixread=70", f"--bs={block}",
         f"--iodepth={depth}", f"--numjobs={connections}", "--thread", "--group_reporting", f"--size={share}",
         f"--offset_increment={apart_bytes or share}", f"--loops={loops}", f"--runtime={round(seconds * 1000)}ms",
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


def make_volume(image, build, folder, size_bytes):
    kek = os.path.join(folder, "kek")
    if not os.path.exists(kek):
        with open(os.open(kek, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as f:
            f.write(os.urandom(32))
    run(f"{build}/tools/keyfence", "create", "--size", str(size_bytes), "--key", f"file://{kek}", image)


def serve_keyfence(name, build, folder, image, *options, engine="auto"):
    return Server(name, folder, ["nbdkit", "-f", "-U", "@SOCKET@", *options,
                                 f"{build}/nbd-plugin/nbdkit-keyfence-plugin.so", image, f"engine={engine}"],
                  image, f"engine={engine}, other parameters at their defaults" +
                  (f"; nbdkit {' '.join(options)}" if options else ""))


def start_keyfence(name, build, folder, size_bytes, *options, engine="auto"):
    image = os.path.join(folder, name.replace(" ", "-") + ".kf")
    make_volume(image, build, folder, size_bytes)
    fill(image, size_bytes)
    return serve_keyfence(name, build, folder, image, *options, engine=engine)


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


def start_server(name, options, folder, on_disk):
    build = os.path.abspath(options.build)
    if name == "null":
        return Server(name, folder, ["nbdkit", "-f", "-U", "@SOCKET@", "null", str(options.size)], None,
                      "nbdkit's null plugin: the limit of nbdkit and client")
    if name == "file":
        image = os.path.join(folder, "plain")
        fill(image, options.size)
        return Server(name, folder, ["nbdkit", "-f", "-U", "@SOCKET@", "file", image], image,
                      "nbdkit's file plugin, plaintext (page cache: it has no direct I/O)")
    if name == "keyfence before":
        return start_keyfence(name, os.path.abspath(options.before), folder, options.size)
    if name in options.variants:
        return start_keyfence(name, build, folder, options.size, *options.variants[name])
    if name.startswith("keyfence"):
        return start_keyfence(name, build, folder, options.size, engine=name.split()[1])
    return start_luks(name, folder, options.size, on_disk)


def start_servers(options, folder, on_disk):
    servers = []
    for name in options.servers:
        if name == "null" and on_disk:
            continue  # it has no store
        servers.append(start_server(name, options, folder, on_disk))
        if name == "file" and on_disk:
            servers.insert(len(servers) - 1, BareDisk(servers[-1].image))
    return servers
