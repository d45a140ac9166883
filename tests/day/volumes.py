"""volumes.py owns a volume of a day: its file, its server, its client, and what they say."""
import concurrent.futures
import json
import os
import shutil
import signal
import socket
import subprocess
import time


class Broken(Exception):
    """Something that may never be has been seen."""


class Setting:
    """What all volumes have in common: programs, folders, patience."""

    def __init__(self, build, other_build, folder, patience):
        self.build = build
        self.other_build = other_build
        self.folder = folder
        self.patience = patience
        self.keyfence = os.path.join(build, "tools/keyfence")
        self.helpers = os.path.join(build, "tests/functional")
        self.runtime = os.path.join(folder, "run")
        self.installed = os.path.join(folder, "installed")
        os.makedirs(self.runtime, 0o700)
        # nbdkit -f ends with the thread that has started it: this one stays.
        self.starter = concurrent.futures.ThreadPoolExecutor(1)

    def install(self, build):
        """The plugin and the agent of a build take the places of those that run, as a package does."""
        for part, folder in (("nbdkit-keyfence-plugin.so", "nbd-plugin"), ("keyfence-agent", "kms")):
            os.makedirs(self.installed, exist_ok=True)
            target = os.path.join(self.installed, part)
            shutil.copy(os.path.join(build, folder, part), target + ".new")
            os.rename(target + ".new", target)


class Volume:
    """One volume, with a server that comes and goes and a client that stays."""

    def __init__(self, setting, name, shape):
        self.setting = setting
        self.name = name
        self.cloud = shape["cloud"]
        self.key = shape["key"]
        self.secondary = shape.get("secondary")
        self.variables = shape["variables"]
        self.parameters = shape["parameters"]
        self.grace_s = shape["grace_s"]
        self.size = shape["size"]
        self.block = shape["block"]
        self.engine = shape.get("engine", "auto")
        self.file = os.path.join(setting.folder, name + ".kf")
        self.socket = os.path.join(setting.folder, name + ".nbd")
        self.uri = "nbd+unix:///?socket=" + self.socket
        self.audit = os.path.join(setting.folder, name + ".audit.jsonl")
        self.control = os.path.join(setting.folder, name + ".control")
        self.journal = os.path.join(setting.folder, name + ".journal")
        self.timeline = os.path.join(setting.folder, name + ".timeline.log")
        self.server = self.client = None
        self.lives = 0
        self.bound_ms = 0
        self.excused = []  # (from_ms, to_ms, what may be seen in it: "refused", "lost")
        self.pauses = []   # of the client, while its server was replaced

    def environment(self):
        left = {k: v for k, v in os.environ.items()
                if not k.startswith(("AWS_", "AZURE_", "SSL_CERT", "IDENTITY_", "IMDS_", "MSI_"))}
        left.update(self.variables, KEYFENCE_RUNDIR=self.setting.runtime)
        return left

    def keyfence(self, *words, code=0, timeout=120, variables=None):
        """The program keyfence; what it says.  (code None: whatever its status.)"""
        done = subprocess.run([self.setting.keyfence, *words], env={**self.environment(), **(variables or {})},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=timeout * self.setting.patience)
        if code is not None and done.returncode != code:
            raise Broken(f"keyfence {' '.join(words)}: status {done.returncode} instead of {code}: "
                         + done.stderr.decode()[-600:])
        return done.stdout.decode()

    def nbd_io(self, *commands):
        done = subprocess.run([os.path.join(self.setting.helpers, "nbd-io"), self.uri, *commands],
                              stderr=subprocess.PIPE, stdout=subprocess.PIPE,
                              timeout=60 * self.setting.patience)
        if done.returncode != 0:
            raise Broken(f"nbd-io {' '.join(commands)}: {done.stderr.decode().strip()}")

    def create(self):
        more = ["--secondary", self.secondary] if self.secondary else []
        self.keyfence("create", "--size", str(self.size), "--label", self.name, "--key", self.key, *more,
                      self.file)

    # ---- the server ----

    def start(self):
        """Waits until it has answered, whatever its state."""
        if os.path.exists(self.socket):
            os.unlink(self.socket)  # of one that was killed
        words = ["nbdkit", "-f", "-U", self.socket,
                 os.path.join(self.setting.installed, "nbdkit-keyfence-plugin.so"), self.file,
                 "agent=" + os.path.join(self.setting.installed, "keyfence-agent"),
                 "control=" + self.control, "audit-log=" + self.audit, "engine=" + self.engine,
                 *self.parameters]
        with open(os.path.join(self.setting.folder, self.name + ".server.log"), "ab") as log:
            self.server = self.setting.starter.submit(
                subprocess.Popen, words, env=self.environment(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log).result()
        self.lives += 1
        self.await_("an answer", lambda s: s["pid"] == self.server.pid, 60)
        self.bound_ms = int(self.status()["fence_bound_s"] * 1000)

    def end(self, number):
        """Its end by that signal; SIGTERM has to end it well."""
        self.server.send_signal(number)
        try:
            status = self.server.wait(60 * self.setting.patience)
        except subprocess.TimeoutExpired:
            raise Broken(f"the server did not end by {signal.Signals(number).name}")
        self.server = None
        if number == signal.SIGTERM and status != 0:
            raise Broken(f"told to end, the server ended with status {status}")

    def ask(self, command, timeout=30):
        """The answer at the control socket, or None when nobody is there."""
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(timeout * self.setting.patience)
                s.connect(self.control)
                s.sendall(command.encode() + b"\n")
                s.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda: s.recv(65536), b""))
            return json.loads(answer) if answer else None
        except (FileNotFoundError, ConnectionError):
            return None

    def status(self):
        return self.ask("status")

    def await_(self, what, condition, seconds=40):
        """Until the status is as it must be; the status then."""
        end = time.monotonic() + seconds * self.setting.patience
        while True:
            if self.server.poll() is not None:
                raise Broken(f"the server has died, with status {self.server.returncode}")
            status = self.status()
            if status and condition(status):
                return status
            if time.monotonic() > end:
                raise Broken(f"{what} did not come within {seconds} s: {json.dumps(status)}")
            time.sleep(0.05)

    def await_state(self, state, reason=None, seconds=40):
        return self.await_(f"{state} {reason or ''}".strip(),
                           lambda s: s["state"] == state and reason in (None, s["reason"]), seconds)

    # ---- the client ----

    def load_blocks(self):
        """The client has the first three quarters of the disk; the rest is nobody's, and a drill's."""
        return self.size * 3 // 4 // self.block

    def start_client(self, seed):
        words = [os.path.join(self.setting.helpers, "nbd-journal"), "day", self.uri, self.journal,
                 str(seed), str(self.block), "4", str(self.load_blocks())]
        with open(self.timeline, "wb") as out:
            self.client = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        end = time.monotonic() + 60 * self.setting.patience
        while not open(self.timeline).read(5) == "ready":
            self.check_client()
            if time.monotonic() > end:
                raise Broken("the client never got ready")
            time.sleep(0.05)

    def check_client(self):
        if self.client.poll() is not None:
            raise Broken(f"the client has ended: {self.client_said()}")

    def client_said(self):
        with open(self.timeline) as f:
            return [line for line in f.read().splitlines() if not line[:1].isdigit()][-1:]

    def stop_client(self):
        self.check_client()
        self.client.send_signal(signal.SIGTERM)
        if self.client.wait(60 * self.setting.patience) != 0:
            raise Broken(f"the client: {self.client_said()}")
        self.client = None

    def outcomes(self):
        """What the client saw, in order: (from_ms, to_ms, {"served", "refused", "lost"}, tick_ms), where the
        first of it was in the first tick_ms."""
        runs = []
        with open(self.timeline) as f:
            for line in f:
                words = line.split()
                if len(words) == 5 and len(words[0]) > 12 and words[0].isdigit():
                    seen = {kind for kind, bit in zip(("served", "refused", "lost"), words[2:]) if bit == "1"}
                    runs.append((int(words[0]), seen, int(words[1])))
        return [(a[0], b[0], a[1], a[2]) for a, b in zip(runs, runs[1:])]

    def verify(self):
        done = subprocess.run([os.path.join(self.setting.helpers, "nbd-journal"), "verify", self.uri,
                               self.journal], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=120 * self.setting.patience)
        if done.returncode != 0:
            raise Broken(f"the data: {done.stdout.decode().strip()}")

    def audit_records(self):
        with open(self.audit) as f:
            return [json.loads(line) for line in f]
