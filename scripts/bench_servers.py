"""bench_servers.py owns the servers that are measured, their images, and the client, fio."""
import contextlib
import json
import os
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
        try:
            self.wait_until_up()
        except BaseException:  # nobody else knows it yet
            self.stop()
            raise

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

    environment = {}  # of fio

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

    name, says = "bare disk", "fio's io_uring with O_DIRECT on an image, no NBD: the disk alone, for comparison"

    def __init__(self, image):
        self.image = image

    def fio_target(self):
        return ["--ioengine=io_uring", "--direct=1", f"--filename={self.image}"]

    # Huge pages, as the server's are: into ordinary ones a virtual disk reads at half the speed.
    environment = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}

    def cpu_s(self):
        return 0.0

    def stop(self):
        pass


def run_fio(server, workload, connections, seconds, size_bytes, loops=1, apart_bytes=None, to_end=False):
    """(bytes, seconds, CPU seconds of fio's jobs), or None when it failed.  `size_bytes` of all connections,
    each on its own part of the disk, one after the other or `apart_bytes` apart.  They begin one after the
    other, but all stop with the first (unless `to_end`): the longest run is the time in which all was done."""
    rw, block, depth = workload
    share = size_bytes // connections // MIB * MIB
    done = subprocess.run(
        ["fio", "--name=job", *server.fio_target(), f"--rw={rw}", "--rwmixread=70", f"--bs={block}",
         f"--iodepth={depth}", f"--numjobs={connections}", "--thread", f"--size={share}",
         f"--offset_increment={apart_bytes or share}", f"--loops={loops}", f"--runtime={round(seconds * 1000)}ms",
         "--randrepeat=0", "--output-format=json", *([] if to_end else ["--exitall"])],
        capture_output=True, text=True, env={**os.environ, **server.environment})
    if done.returncode != 0 or "{" not in done.stdout:
        return None
    jobs = json.loads(done.stdout[done.stdout.index("{"):])["jobs"]
    count = sum(job[way]["io_bytes"] for job in jobs for way in ("read", "write"))
    took = max(job["job_runtime"] for job in jobs) / 1000
    cpu = sum((job["usr_cpu"] + job["sys_cpu"]) / 100 * job["job_runtime"] / 1000 for job in jobs)
    return (count, took, cpu) if count and took else None


def make_cold(image):
    """Nothing dirty, nothing cached: what is read comes from the disk."""
    fd = os.open(image, os.O_RDONLY)
    os.fdatasync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def flush(image):
    """How many seconds it took."""
    started = time.monotonic()
    fd = os.open(image, os.O_RDONLY)
    os.fdatasync(fd)
    os.close(fd)
    return time.monotonic() - started


def take_turn(server, workload, connections, seconds, size_bytes, on_disk, apart_bytes=None):
    """(bytes, seconds with the flush, the server's CPU seconds, fio's), or None when it failed."""
    cpu_before, on_disk = server.cpu_s(), on_disk and server.image
    if on_disk:
        make_cold(server.image)
    # Around again only where nothing is cached by the first time.
    done = run_fio(server, workload, connections, seconds, size_bytes, 1 if on_disk else 100, apart_bytes)
    if not done:
        return None
    flush_s = flush(server.image) if on_disk else 0.0
    count, took, client_cpu_s = done
    return count, took + flush_s, server.cpu_s() - cpu_before, client_cpu_s


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
    """`options` are nbdkit's, and those like name=value the plugin's parameters."""
    parameters = [word for word in options if "=" in word and not word.startswith("-")]
    options = [word for word in options if word not in parameters]
    if not any(word.startswith("engine=") for word in parameters):
        parameters.insert(0, f"engine={engine}")
    return Server(name, folder, ["nbdkit", "-f", "-U", "@SOCKET@", *options,
                                 f"{build}/nbd-plugin/nbdkit-keyfence-plugin.so", image, *parameters],
                  image, f"{' '.join(parameters)}, other parameters at their defaults" +
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
                      "nbdkit's null plugin: nbdkit and client alone, for comparison")
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


def start_servers(servers, options, folder, on_disk):
    """Appends to `servers` as they come up, so that the caller can stop them whatever happens."""
    for name in options.servers:
        if name == "null" and on_disk:
            continue  # it has no store
        servers.append(start_server(name, options, folder, on_disk))
        if name == "file" and on_disk:
            servers.insert(len(servers) - 1, BareDisk(servers[-1].image))


def images(options):
    """How many of them start_servers makes."""
    return sum(name != "null" for name in options.servers)
