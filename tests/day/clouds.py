"""clouds.py owns the simulated clouds of a day: one process of keyfence-kms-sim each, and what they saw."""
import datetime
import json
import os
import re
import signal
import subprocess
import threading
import time


def unix_ms(text):
    """The moment that an RFC 3339 text with milliseconds names."""
    parsed = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    return int(parsed.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000)


def exports(text):
    """The variables that lines of a shell set."""
    return dict(re.findall(r"^export (\w+)='([^']*)'$", text, re.M))


class Cloud:
    """A simulator with a state folder of its own, always at the same port."""

    def __init__(self, name, folder, program):
        self.name = name
        self.folder = folder
        self.program = program
        self.port = 0
        self.variables = {}
        self.up_since = 0

    def start(self):
        words = [self.program, "--dir", self.folder, "--port", str(self.port), "--background", "--print-env"]
        with open(self.folder + ".log", "ab") as log:
            out = subprocess.run(words, stdout=subprocess.PIPE, stderr=log, check=True, timeout=60)
        self.variables = exports(out.stdout.decode())
        self.port = int(self.variables["AZURE_AUTHORITY_HOST"].rsplit(":", 1)[1])

    def pid(self):
        with open(os.path.join(self.folder, "pid")) as f:
            return int(f.read())

    def signal(self, number):
        os.kill(self.pid(), number)

    def stop(self):
        pid = self.pid()
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + 20
        while os.path.exists(f"/proc/{pid}/stat") and time.monotonic() < end:
            with open(f"/proc/{pid}/stat") as f:
                if f.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return
            time.sleep(0.02)

    def ctl(self, *words):
        """What the simulator answers to an order."""
        done = subprocess.run([self.program, "ctl", "--dir", self.folder, *words],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
        if done.returncode != 0:
            raise RuntimeError(f"ctl {' '.join(words)}: {done.stderr.decode().strip()}")
        return done.stdout.decode().strip()

    def requests(self):
        """All that it was asked for, in order: dicts, with "ms" for the time of the answer."""
        found = []
        with open(os.path.join(self.folder, "requests.jsonl")) as f:
            for line in f:
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue  # the last one, which is being written
                entry["ms"] = unix_ms(entry["time"])
                found.append(entry)
        return found


class Locks:
    """Who does something to a volume holds it; who does something to a cloud holds all its volumes."""

    def __init__(self, names):
        self.order = sorted(names)
        self.locks = {name: threading.Lock() for name in names}

    def hold(self, *names):
        return _Held([self.locks[name] for name in self.order if name in names])


class _Held:
    def __init__(self, locks):
        self.locks = locks

    def __enter__(self):
        for lock in self.locks:
            lock.acquire()

    def __exit__(self, *_):
        for lock in reversed(self.locks):
            lock.release()
