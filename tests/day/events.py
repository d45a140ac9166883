"""events.py owns what may happen to a volume in a day, and what each of these must come to.

An event takes the day and the volume, makes something happen, waits until it is over and the volume is
active again, and returns what there is to tell of it.  While it runs the client may see only what the
event has excused; judge.py holds it to that.
"""
import contextlib
import json
import os
import signal
import time

from volumes import Broken

NOBODY = '{"Version":"2012-10-17","Statement":[]}'
NO_DECRYPT = ('{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"},'
              '{"Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}]}')
OUTAGES = ["outage", "throttle", "reset", "truncate", "garbage", "expired", "delay 20s", "skew 2h"]


def now_ms():
    return int(time.time() * 1000)


def since(ms):
    return f"{(now_ms() - ms) / 1000:.2f} s"


@contextlib.contextmanager
def excused(day, volume, *what):
    """In this time the client may be refused, or lose its connection; and a little after it."""
    start = now_ms() - 50
    yield
    volume.excused.append((start, now_ms() + 300 * day.setting.patience, what))


def wiped(day, status):
    if status["last_wipe_us"] is None or status["last_wipe_us"] >= 10000:
        raise Broken(f"the wipe took {status['last_wipe_us']} us")
    return status["last_wipe_us"]


def fault(volume, kind, seconds):
    operation = "Decrypt" if volume.key.startswith("arn:") else "UnwrapKey"
    volume.cloud.ctl("fault", *kind.split(), "--op", operation, "--key", volume.key.rsplit("/", 1)[1],
                     "--for", f"{seconds}s")


def revoke(volume, denial):
    for words in denial["revoke"]:
        volume.cloud.ctl(*words)
    if denial.get("new_agent"):  # what the old one holds is good for an hour
        os.kill(volume.status()["agent_pid"], signal.SIGKILL)


def restore(volume, denial):
    for words in denial["restore"]:
        volume.cloud.ctl(*words)


# ---- denials -------------------------------------------------------------------------------------------

def denied(day, volume):
    denial = day.random(volume).choice(volume.denials)
    with excused(day, volume, "refused"):
        start = now_ms()
        revoke(volume, denial)
        status = volume.await_state("fenced", denial["reason"])
        fenced = since(start)
        day.rest(volume, 0.3, 1.5)
        start = now_ms()
        restore(volume, denial)
        volume.await_state("active")
    return f"{denial['reason']}: fenced after {fenced}, wiped in {wiped(day, status)} us, back after {since(start)}"


def denied_in_an_outage(day, volume):
    denial = volume.denials[0]
    with excused(day, volume, "refused"):
        before = volume.status()
        fault(volume, "throttle", 4)
        outage_seen(volume, before)
        revoke(volume, denial)
        volume.await_state("fenced", denial["reason"])
        restore(volume, denial)
        volume.await_state("active")
    return f"{denial['reason']} behind throttling: fenced when it was said"


def denied_at_the_start(day, volume):
    denial = day.random(volume).choice([d for d in volume.denials if not d.get("new_agent")])
    with excused(day, volume, "refused", "lost"):
        volume.end(signal.SIGTERM)
        revoke(volume, denial)
        volume.start()
        volume.await_state("fenced", denial["reason"])
        day.rest(volume, 0.2, 1)
        start = now_ms()
        restore(volume, denial)
        volume.await_state("active")
    return f"{denial['reason']}: served fenced, active {since(start)} after the key came back"


def killed_while_fenced(day, volume):
    denial = volume.denials[0]
    with excused(day, volume, "refused", "lost"):
        revoke(volume, denial)
        volume.await_state("fenced", denial["reason"])
        volume.end(signal.SIGKILL)
        volume.start()
        volume.await_state("fenced", denial["reason"])
        restore(volume, denial)
        volume.await_state("active")
    return "killed, and no less fenced after it"


def blinked(day, volume):
    """Disabled, denied once, enabled before the confirmation: nobody is to notice."""
    before = volume.status()
    start = now_ms()
    volume.cloud.ctl("disable", volume.key)
    seen = volume.await_("a denial", lambda s: s["checks"]["denied"] > before["checks"]["denied"])
    volume.cloud.ctl("enable", volume.key)
    in_time = now_ms() - start
    after = volume.await_("a good check", lambda s: s["checks"]["ok"] > seen["checks"]["ok"] and s["state"] == "active")
    if after["fences"] == before["fences"]:
        return "denied once, and the confirmation was good: nobody has noticed"
    if day.confirm_ms > 400 * day.setting.patience and in_time < day.confirm_ms / 2:
        raise Broken("fenced, though the confirmation must have been good")
    volume.excused.append((start, now_ms() + 300 * day.setting.patience, ("refused",)))
    return "enabled too late for the confirmation: fenced, and back"


def drilled(day, volume):
    with excused(day, volume, "refused"):
        path = os.path.dirname(volume.cloud.program) + ":" + os.environ["PATH"]
        text = volume.keyfence(
            "drill", "--json", "--preset", "sim", "--uri", volume.uri, "--hold", "1s", "--scratch",
            f"{volume.size - (1 << 20)}:256k", "--max-fence", f"{20 * day.setting.patience}s", volume.control, code=None,
            variables={"KEYFENCE_KMS_SIM_DIR": volume.cloud.folder, "PATH": path})
        report = json.loads(text)
        if report["result"] != "passed":
            raise Broken(f"{report['result']}: " + "; ".join(
                f"{c['check']}: {c['text']}" for c in report["checks"] if c["verdict"] == "failed"))
        figures = report["figures"]
        volume.await_state("active")
    return (f"passed; last served {figures['denial_to_last_served_ms']} ms after the first denial, "
            f"back {figures['restore_to_first_served_ms']} ms after the restore")


def fenced_by_hand(day, volume):
    with excused(day, volume, "refused"):
        volume.keyfence("fence", "--reason", "a day's exercise", volume.control)
        volume.await_state("fenced", "operator")
        day.rest(volume, 0.1, 0.5)
        volume.keyfence("unfence", volume.control)
        volume.await_state("active")
    return "fenced, and opened again"


# ---- outages -------------------------------------------------------------------------------------------

def unanswered(status):
    return sum(n for name, n in status["checks_by_class"].items() if name not in ("ok", "denied"))


def outage_seen(volume, before):
    """Since `before`, a status: by a check without an answer, the secondary, or grace."""
    return volume.await_("the outage", lambda s: s["state"] == "grace" or s["held_by"] == "secondary"
                         or unanswered(s) > unanswered(before))


def outage_over(volume):
    volume.await_("the primary", lambda s: s["state"] == "active" and s["held_by"] == "primary")


def outage(day, volume):
    kind = day.random(volume).choice(OUTAGES)
    before = volume.status()
    fault(volume, kind, 4)  # longer than a check with all its attempts
    status = outage_seen(volume, before)
    outage_over(volume)
    return f"{kind}: {'held by the secondary' if status['held_by'] == 'secondary' else status['state']}, and over"


def outage_beyond_the_lease(day, volume):
    if volume.secondary:
        before = volume.status()
        fault(volume, "status 500", volume.grace_s + 2)
        outage_seen(volume, before)
        time.sleep(volume.grace_s + 1)
        outage_over(volume)
        return "the secondary held it beyond the primary's lease"
    with excused(day, volume, "refused"):
        start = now_ms()
        fault(volume, "status 500", volume.grace_s + 6 * day.setting.patience)
        volume.await_state("fenced")
        fenced = since(start)
        outage_over(volume)
    return f"fenced when the lease had ended, after {fenced}"


# ---- the processes ---------------------------------------------------------------------------------------

def replaced(day, volume, number, kind):
    start = now_ms() - 50
    with excused(day, volume, "refused", "lost"):
        volume.end(number)
        volume.start()
        volume.await_state("active")
    volume.pauses.append((kind, start, volume.excused[-1][1]))


def restarted(day, volume):
    replaced(day, volume, signal.SIGTERM, "restart")
    return "ended by SIGTERM, started, active"


def killed(day, volume):
    replaced(day, volume, signal.SIGKILL, "kill -9")
    return "killed, started, active"


def asked_well(volume, command):
    """The server's order succeeds; on a busy machine an answer of the key service may come too late."""
    for _ in range(3):
        result = json.loads(volume.keyfence(command, "--json", volume.control, code=None))["result"]
        if result["class"] == "ok":
            return
        if result["class"] != "outage":
            break
    raise Broken(f"{command}: {json.dumps(result)}")


def upgraded(day, volume):
    """The files of another build take the places of those that run; then the agent, then the server
    are those of that build."""
    with day.upgrade:
        build = day.next_build()
        old = volume.status()["agent_pid"]
        day.setting.install(build)
        os.kill(old, signal.SIGKILL)
        volume.await_("an agent of the other build", lambda s: s["agent_pid"] not in (None, old))
        asked_well(volume, "check")
        replaced(day, volume, signal.SIGTERM, "upgrade")
    return f"by {os.path.basename(build)}: first the agent under the old server, then the server"


def agent_killed(day, volume):
    before = volume.status()
    os.kill(before["agent_pid"], signal.SIGKILL)
    volume.await_("a good check by a new agent", lambda s: s["agent_pid"] not in (None, before["agent_pid"])
                  and s["checks"]["ok"] > before["checks"]["ok"] and s["state"] == "active")
    return "killed, and another one checks"


def agent_stopped(day, volume):
    before = volume.status()
    os.kill(before["agent_pid"], signal.SIGSTOP)
    volume.await_("a check without an answer", lambda s: s["checks"]["outage"] > before["checks"]["outage"])
    volume.await_state("active")
    return "stopped, and replaced"


def reloaded(day, volume):
    asked_well(volume, "reload")
    return "the header was read and proved again"


def backed_up(day, volume):
    copy = os.path.join(day.setting.folder, volume.name + ".header")
    volume.keyfence("header-backup", volume.file, copy)
    one, two = (json.loads(volume.keyfence("inspect", "--json", path)) for path in (volume.file, copy))
    os.unlink(copy)
    if one["wraps"] != two["wraps"] or one["volume"] != two["volume"]:
        raise Broken("the header backup is not that of the volume")
    return "the header was saved"


EVENTS = {
    "denied": denied, "denied in an outage": denied_in_an_outage, "denied at the start": denied_at_the_start,
    "killed while fenced": killed_while_fenced, "blinked": blinked, "drill": drilled,
    "fenced by hand": fenced_by_hand, "outage": outage, "outage beyond the lease": outage_beyond_the_lease,
    "restart": restarted, "kill -9": killed, "upgrade": upgraded, "agent killed": agent_killed,
    "agent stopped": agent_stopped, "reload": reloaded, "header backup": backed_up,
}
# What comes more than once before everything has been.
OFTEN = {"denied": 4, "outage": 3, "kill -9": 2}


def deck(volume):
    """All events that this volume can have."""
    cards = [name for name in EVENTS for _ in range(OFTEN.get(name, 1))]
    if volume.grace_s > 60 and not volume.secondary:
        cards.remove("outage beyond the lease")
    return cards


# ---- the weather of a cloud -------------------------------------------------------------------------------

def cloud_restarts(day, cloud, seconds):
    cloud.stop()
    time.sleep(seconds)
    cloud.start()
    return f"nobody there for {seconds:.1f} s"


def cloud_hangs(day, cloud, seconds):
    cloud.signal(signal.SIGSTOP)
    time.sleep(seconds)
    cloud.signal(signal.SIGCONT)
    return f"no answers for {seconds:.1f} s"


WEATHER = {"cloud restarts": cloud_restarts, "cloud hangs": cloud_hangs}
