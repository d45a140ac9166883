#!/usr/bin/env python3
"""A day of three volumes on two simulated clouds, in minutes.

    tests/day/day.py [--seed N] [--minutes M | --seconds S] [--build FOLDER] [--other-build FOLDER]
                     [--folder FOLDER] [--keep]

Under a load that never stops, and whose every byte is known, keys are revoked and given back, services
are out, throttled, slow and restarted, servers and agents are killed, restarted and upgraded (by those
of --other-build, by default the same ones), drills are held: in an order that the seed decides.  Prints
what happens when it happens, and at the end a table and what was not as it must be (judge.py).  The exit
status is 0 when nothing was.
"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import events
import judge
from clouds import Cloud, Locks, exports
from volumes import Broken, Setting, Volume

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
MIB = 1 << 20


class Day:
    """Everything that takes part."""

    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.setting = Setting(arguments.build, arguments.other_build, folder, arguments.patience)
        self.confirm_ms = 1000 * ((arguments.patience + 1) // 2)
        self.start_s = time.time()
        self.end_s = None
        self.trouble = []
        self.counts = {}
        self.samples = {}
        self.over = threading.Event()
        self.printing = threading.Lock()
        self.upgrade = threading.Lock()
        self.builds = 0
        self.randoms = {}
        self.clouds = {}
        self.volumes = []
        self.log_file = open(os.path.join(folder, "day.log"), "w")

    # ---- what events use ----

    def random(self, actor):
        return self.randoms.setdefault(actor.name, random.Random(f"{self.arguments.seed}/{actor.name}"))

    def rest(self, actor, least_s, most_s):
        time.sleep(self.random(actor).uniform(least_s, most_s))

    def next_build(self):
        self.builds += 1
        return [self.setting.build, self.setting.other_build][self.builds % 2]

    def say(self, who, what, text):
        line = (f"{time.strftime('%H:%M:%S')} {time.time() - self.start_s:7.1f} s  {who:<8} {what:<24} {text}")
        with self.printing:
            print(line, flush=True)
            print(line, file=self.log_file, flush=True)

    def broken(self, who, what, error):
        self.trouble.append(f"{who}: {what}: {error}")
        self.say(who, what, f"BROKEN: {error}")
        self.over.set()

    # ---- the clouds and the volumes ----

    def make_clouds(self):
        program = os.path.join(self.arguments.build, "tools/sim/keyfence-kms-sim")
        for name in ("aws", "azure"):
            self.clouds[name] = Cloud(name, os.path.join(self.setting.folder, "sim-" + name), program)
            self.clouds[name].start()

    def cloud_variables(self):
        aws, azure = self.clouds["aws"].variables, self.clouds["azure"].variables
        both = {k: v for k, v in azure.items() if not k.startswith("AWS_")}
        both.update({k: v for k, v in aws.items() if k.startswith("AWS_")})
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            both.pop(name, None)
        home = os.path.join(self.setting.folder, "home")
        os.makedirs(os.path.join(home, ".aws"), exist_ok=True)
        return {**both, "AWS_EC2_METADATA_DISABLED": "true", "HOME": home}

    def aws_user(self, name):
        ctl = self.clouds["aws"].ctl
        ctl("create-user", name)
        ctl("policy", "user/" + name, "everything")
        return exports(ctl("access-key", "user/" + name))

    def parameters(self, grace):
        pace = (self.arguments.patience + 1) // 2
        return [f"check-interval={pace}s", f"confirm-delay={self.confirm_ms}ms", f"check-timeout={2 * pace}s",
                f"grace={grace}"]

    def orders(self):
        """AWS, with a secondary at Azure; never out of reach while one of the two answers."""
        aws, azure = self.clouds["aws"], self.clouds["azure"]
        key = aws.ctl("create-key", "aws", "--region", "eu-central-1")
        volume = Volume(self.setting, "orders", {
            "cloud": aws, "key": key, "secondary": azure.ctl("create-key", "azure", "kek-orders"),
            "variables": {**self.cloud_variables(), **self.aws_user("orders")},
            "parameters": self.parameters("8s"), "grace_s": 8, "size": 16 * MIB, "block": 4096})
        volume.role = None
        volume.denials = aws_denials(key, "user/orders")
        return volume

    def ledger(self):
        """Azure, a vault and an application of its own, and a grace that outlasts every outage."""
        azure = self.clouds["azure"]
        app = exports(azure.ctl("create-app", "ledger"))
        azure.ctl("create-vault", "ledger")
        azure.ctl("grant", "ledger", "ledger", "*")
        key = azure.ctl("create-key", "azure", "kek-ledger", "--vault", "ledger")
        volume = Volume(self.setting, "ledger", {
            "cloud": azure, "key": key, "variables": {**self.cloud_variables(), **app},
            "parameters": self.parameters("1h"), "grace_s": 3600, "size": 24 * MIB, "block": 16384,
            "engine": "uring"})
        volume.role = None
        volume.denials = [
            denial("key_disabled", ["disable", key], ["enable", key]),
            denial("not_found", ["delete", key], ["enable", key]),
            denial("access_denied", ["revoke", "ledger", "ledger"], ["grant", "ledger", "ledger", "*"]),
            denial("firewall", ["firewall", "ledger", "on"], ["firewall", "ledger", "off"])]
        return volume

    def archive(self):
        """AWS in another region, by a role, and a lease that ends in a long outage; blocks that share
        sectors."""
        aws = self.clouds["aws"]
        key = aws.ctl("create-key", "aws", "--region", "us-west-2")
        user = self.aws_user("archive")
        account = key.split(":")[4]
        home = os.path.join(self.setting.folder, "archive-home")
        os.makedirs(os.path.join(home, ".aws"))
        with open(os.path.join(home, ".aws", "config"), "w") as f:
            f.write(f"[default]\nrole_arn = arn:aws:iam::{account}:role/archive\nsource_profile = base\n"
                    f"[profile base]\naws_access_key_id = {user['AWS_ACCESS_KEY_ID']}\n"
                    f"aws_secret_access_key = {user['AWS_SECRET_ACCESS_KEY']}\n")
        trusted = ["create-role", "archive", "--trust", f"arn:aws:iam::{account}:user/archive"]
        aws.ctl(*trusted)
        aws.ctl("policy", "role/archive", "everything")
        volume = Volume(self.setting, "archive", {
            "cloud": aws, "key": key, "variables": {**self.cloud_variables(), "HOME": home},
            "parameters": self.parameters("10s") + ["cache=writeback"], "grace_s": 10, "size": 16 * MIB,
            "block": 6144})
        volume.role = "archive"
        gone = denial("role_denied", ["create-role", "archive", "--trust", f"arn:aws:iam::{account}:user/nobody"],
                      trusted, ["policy", "role/archive", "everything"])
        volume.denials = aws_denials(key, "role/archive") + [{**gone, "new_agent": True}]
        return volume

    def make_volumes(self):
        for make in (self.orders, self.ledger, self.archive):
            volume = make()
            self.volumes.append(volume)
            volume.create()
            volume.start()
            volume.await_state("active")
            volume.nbd_io(f"write {volume.size * 3 // 4} {volume.size // 4 - MIB} 0x5a", "flush")

    # ---- what goes on at the same time ----

    def live(self, volume):
        """One event after another, of a deck that is shuffled anew when it is through."""
        cards = []
        while time.time() < self.end_s and not self.over.is_set():
            if not cards:
                cards = events.deck(volume)
                self.random(volume).shuffle(cards)
            self.rest(volume, 0.1, 0.6)
            self.happen(volume, cards.pop(), (volume.name,), lambda name: events.EVENTS[name](self, volume))

    def weather(self, cloud):
        names = tuple(v.name for v in self.volumes if v.cloud is cloud)
        while time.time() < self.end_s:
            if self.over.wait(self.random(cloud).uniform(10, 30)) or time.time() >= self.end_s:
                return
            kind = self.random(cloud).choice(sorted(events.WEATHER))
            seconds = self.random(cloud).uniform(0.5, 2.5)
            self.happen(cloud, kind, names, lambda name: self.weathered(cloud, name, seconds))

    def weathered(self, cloud, name, seconds):
        text = events.WEATHER[name](self, cloud, seconds)
        for volume in self.volumes:
            if volume.cloud is cloud:
                events.outage_over(volume)
        return text

    def happen(self, actor, name, held, event):
        with self.locks.hold(*held):
            if time.time() >= self.end_s or self.over.is_set():
                return
            try:
                text = event(name)
            except (Broken, RuntimeError, OSError, subprocess.SubprocessError) as error:
                self.broken(actor.name, name, error)
                return
        self.counts[actor.name, name] = self.counts.get((actor.name, name), 0) + 1
        self.say(actor.name, name, text)

    def watch(self):
        """The clients are alive; and what the servers weigh."""
        born = {}
        while not self.over.wait(1):
            for volume in self.volumes:
                if volume.client and volume.client.poll() is not None:
                    self.broken(volume.name, "client", f"has ended: {volume.client_said()}")
                server = volume.server
                if server and server.poll() is None:
                    born.setdefault(server.pid, time.time())
                    sample = weigh(server.pid)
                    if sample:
                        sample["age_s"] = time.time() - born[server.pid]
                        self.samples.setdefault(volume.name, []).append(sample)

    def run(self):
        self.say("-", "begins", f"seed {self.arguments.seed}, {self.arguments.seconds:.0f} s")
        self.setting.install(self.setting.build)
        self.make_clouds()
        self.make_volumes()
        self.locks = Locks([v.name for v in self.volumes])
        for i, volume in enumerate(self.volumes):
            volume.start_client(self.arguments.seed * 10 + i)
            self.say(volume.name, "serves", f"{volume.key}; bound {volume.bound_ms / 1000} s")
        self.end_s = time.time() + self.arguments.seconds
        actors = [threading.Thread(target=self.live, args=(v,)) for v in self.volumes]
        actors += [threading.Thread(target=self.weather, args=(c,)) for c in self.clouds.values()]
        watcher = threading.Thread(target=self.watch)
        for thread in [*actors, watcher]:
            thread.start()
        for thread in actors:
            thread.join()
        self.over.set()
        watcher.join()  # it would take a client that is told to end for one that has died
        if not self.trouble:
            self.finish()

    def finish(self):
        """The clients end; each byte is read from a server that knows nothing of before."""
        for volume in self.volumes:
            try:
                volume.await_state("active")
                volume.stop_client()
                volume.end(signal.SIGTERM)
                volume.start()
                volume.await_state("active")
                volume.verify()
                volume.nbd_io(f"read {volume.size * 3 // 4} {volume.size // 4 - MIB} 0x5a")
                volume.end(signal.SIGTERM)
            except (Broken, OSError, subprocess.SubprocessError) as error:
                self.broken(volume.name, "verified", error)
                return
            self.say(volume.name, "verified", "every byte is as it must be")

    def stop(self):
        for volume in self.volumes:
            for process in (volume.client, volume.server):
                if process and process.poll() is None:
                    process.kill()
                    process.wait()
        for cloud in self.clouds.values():
            try:
                cloud.signal(signal.SIGCONT)
                cloud.stop()
            except (OSError, ValueError):
                pass


def denial(reason, revoke, *restore):
    return {"reason": reason, "revoke": [revoke], "restore": list(restore)}


def aws_denials(key, principal):
    return [denial("key_disabled", ["disable", key], ["enable", key]),
            denial("pending_deletion", ["delete", key], ["enable", key]),
            denial("access_denied", ["policy", principal, events.NO_DECRYPT], ["policy", principal, "everything"]),
            denial("access_denied", ["key-policy", key, events.NOBODY], ["key-policy", key, "default"]),
            denial("pending_import", ["key-state", key, "PendingImport"], ["key-state", key, "Enabled"])]


def weigh(pid):
    """Threads, descriptors, memory and children of a process; None when it has gone."""
    try:
        with open(f"/proc/{pid}/status") as f:
            rss = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            children = len(f.read().split())
        return {"pid": pid, "threads": len(os.listdir(f"/proc/{pid}/task")), "children": children,
                "descriptors": len(os.listdir(f"/proc/{pid}/fd")), "rss_kb": rss}
    except (OSError, StopIteration):
        return None


# ---- the end of the day --------------------------------------------------------------------------------------

def search_secrets(day):
    """No secret is in what was logged or said."""
    folder = day.setting.folder
    names = [os.path.join(folder, n) for n in os.listdir(folder) if n.endswith((".log", ".jsonl"))]
    names += [os.path.join(c.folder, "requests.jsonl") for c in day.clouds.values()] + [day.setting.runtime]
    done = subprocess.run([os.path.join(TOP, "scripts/leaks"), *names], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return [] if done.returncode == 0 else ["secrets: " + done.stdout.decode().strip()]


def judge_all(day):
    findings, rows = [], []
    for volume in day.volumes:
        found, figures = judge.judge(volume, day.clouds.values(), day.samples.get(volume.name, []))
        findings += [f"{volume.name}: {text}" for text in found]
        rows.append((volume, figures))
    return findings + search_secrets(day), rows


def table(day, rows):
    heads = ("volume", "requests", "refused", "fences", "servers", "denial to last served (bound)",
             "longest pause", "stall", "memory")
    lines = [heads]
    for volume, f in rows:
        worst = f["denial_to_last_served_ms"]
        pauses = ", ".join(f"{kind} {ms} ms" for kind, ms in sorted(f["pauses_ms"].items())) or "-"
        lines.append((volume.name, f"{f['done']}", f"{f['refused']}", f"{f['fences']}", f"{volume.lives}",
                      f"{'-' if worst is None else worst} ms ({volume.bound_ms} ms)", pauses,
                      f"{f['stall_ms']} ms", f"{f['grown_kb']:+d} kB"))
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]


def tell(day):
    findings, rows = list(day.trouble), []
    if not day.trouble:
        findings, rows = judge_all(day)
    what = {}
    for (_, name), count in sorted(day.counts.items()):
        what[name] = what.get(name, 0) + count
    lines = ["", *(table(day, rows) if rows else []), "",
             "events: " + ", ".join(f"{name} {count}" for name, count in sorted(what.items())),
             *(f"FAIL: {text}" for text in findings),
             f"seed {day.arguments.seed}: " + ("everything was as it must be" if not findings
                                               else f"{len(findings)} findings")]
    for line in lines:
        print(line, flush=True)
        print(line, file=day.log_file, flush=True)
    return not findings


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100000)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--build", default=os.path.join(TOP, "build"))
    parser.add_argument("--other-build")
    parser.add_argument("--folder", help="where it all lies; must not exist yet, and is kept")
    parser.add_argument("--keep", action="store_true", help="keep the folder also when nothing was wrong")
    arguments = parser.parse_args()
    arguments.build = os.path.realpath(arguments.build)
    arguments.other_build = os.path.realpath(arguments.other_build or arguments.build)
    arguments.seconds = arguments.seconds or arguments.minutes * 60
    arguments.patience = int(os.environ.get("KEYFENCE_PATIENCE", "1"))
    return arguments


def main():
    arguments = parse()
    if arguments.folder:
        os.makedirs(arguments.folder)
    folder = arguments.folder or tempfile.mkdtemp(prefix="keyfence-day.")
    folder = os.path.realpath(folder)
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    day = Day(arguments, folder)
    try:
        day.run()
        well = tell(day)
    finally:
        day.over.set()
        day.stop()
    if arguments.folder or arguments.keep or not well:
        print(f"kept: {folder}")
    else:
        shutil.rmtree(folder)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
