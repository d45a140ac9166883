"""judge.py owns what must be so in a day, whatever happened in it.

Each rule reads what others wrote (the client, the servers' audit logs, the simulators' logs of requests)
and returns its findings as texts; figures go into a dict.
"""
import re

from clouds import unix_ms

LONG_TICK_MS = 100  # on a busy machine
STALL_MS = 5000


class Evidence:
    """What is known of a volume when the day is over."""

    def __init__(self, volume, clouds, samples):
        self.volume = volume
        self.patience = volume.setting.patience
        self.outcomes = volume.outcomes()
        self.requests = sorted((r for c in clouds for r in c.requests()), key=lambda r: r["ms"])
        self.records = volume.audit_records()
        for record in self.records:
            record["ms"] = unix_ms(record["time"])
        self.samples = samples
        self.slack_ms = 250 * self.patience
        self.figures = {}

    def served_between(self, from_ms, to_ms):
        """A moment of that time in which a request was served for sure, or None."""
        for start, end, seen, tick in self.outcomes:
            if "served" in seen and from_ms < start and start + tick < to_ms:
                return start
            if "served" in seen and min(end, to_ms) - max(start + tick, from_ms) > LONG_TICK_MS:
                return max(start, from_ms)
        return None

    def last_served_before(self, ms):
        return max((min(end, ms) for start, end, seen, _ in self.outcomes if "served" in seen and start < ms),
                   default=None)

    def of_our_key(self, request):
        """Whether the request says something on the access to the primary key."""
        if request["operation"] == "AssumeRole":
            return bool(self.volume.role) and request["outcome"] != "ok"
        return (request["operation"] in ("Decrypt", "UnwrapKey")
                and self.volume.key.rsplit("/", 1)[1] in (request["key"] or ""))

    def denials(self):
        """(first denial, the next yes) of each time in which the service said no."""
        found, first = [], None
        for request in self.requests:
            if not self.of_our_key(request) or request.get("fault"):
                continue
            if request["outcome"] == "ok":
                if first is not None:
                    found.append((first, request["ms"]))
                first = None
            elif first is None and request["status"] in (400, 401, 403, 404):
                first = request["ms"]
        return found + ([(first, 1 << 62)] if first is not None else [])


# ---- the client --------------------------------------------------------------------------------------------

def availability(e):
    """Refused or lost only where an event has excused it; and no request hangs."""
    longest = 0
    for start, end, seen, tick in e.outcomes:
        bad = seen & {"refused", "lost"}
        windows = [(a, b, what) for a, b, what in e.volume.excused if a <= start + tick and end - tick <= b]
        for kind in bad:
            if not any(kind in what for _, _, what in windows):
                yield f"{kind} at {start} for {end - start} ms, and no event had excused it"
        if not seen and not any(a <= end and start <= b for a, b, _ in e.volume.excused):
            longest = max(longest, end - start)
    e.figures["stall_ms"] = longest
    if longest > STALL_MS * e.patience:
        yield f"no request was answered for {longest} ms"


def bound(e):
    """Nothing is served later than the bound after the service's first denial."""
    worst = None
    for denied, allowed in e.denials():
        late = e.served_between(denied + e.volume.bound_ms + e.slack_ms, allowed)
        if late is not None:
            yield (f"served {late - denied} ms after the service's denial at {denied}, and the bound is "
                   f"{e.volume.bound_ms} ms")
        if any(r["event"] == "state" and r["state"] == "fenced" and denied <= r["ms"] <= allowed
               for r in e.records):
            last = e.last_served_before(allowed)
            if last is not None:
                worst = max(worst or 0, last - denied)
    e.figures["denial_to_last_served_ms"] = worst


def gate(e):
    """Nothing is served from a fence to the next opening, as the server tells them."""
    fenced = None
    for record in e.records:
        if record["event"] != "state":
            continue
        if fenced is not None and record["state"] != "fenced":
            at = e.served_between(fenced + e.slack_ms, record["ms"])
            if at is not None:
                yield f"served at {at}, though fenced from {fenced} to {record['ms']}"
        fenced = (fenced or record["ms"]) if record["state"] == "fenced" else None


def pauses(e):
    """How long the client was not served while its server was replaced; a figure, no finding."""
    longest = {}
    for kind, start, end in e.volume.pauses:
        runs = [(b - a) for a, b, seen, _ in e.outcomes if "served" not in seen and a < end and b > start]
        longest[kind] = max(longest.get(kind, 0), sum(runs))
    e.figures["pauses_ms"] = longest
    return ()


# ---- the audit log -------------------------------------------------------------------------------------------

def chain(e):
    """Each state change begins where the one before has ended."""
    state = None
    for record in e.records:
        if record["event"] != "state":
            continue
        if record["from"] not in (state, "starting"):
            yield f"{record['time']}: a change from {record['from']}, and the state was {state}"
        state = record["state"]


def causes(e):
    """Each state change has the operation that caused it, with its reason; or somebody's order."""
    window = e.volume.bound_ms + 3000 * e.patience
    for record in e.records:
        if record["event"] != "state":
            continue
        near = [r for r in e.records if record["ms"] - window <= r["ms"] <= record["ms"] + 500]
        if record["reason"] == "operator":
            fine = any(r["event"] == "command" for r in near)
        elif record["reason"] == "no_answer":  # what did not answer in time may do so later
            fine = any(r["event"] == "operation" and r["class"] == "outage"
                       and abs(r["ms"] - record["ms"]) < window for r in e.records)
        else:
            fine = any(r["event"] == "operation" and r["reason"] == record["reason"] for r in near)
        if not fine:
            yield f"{record['time']}: {record['state']} for {record['reason']}, and nothing before has caused it"


def agreement(e):
    """What the audit log calls ok or denied is so in the key service's own log, by the request's id."""
    by_id = {r["request_id"]: r for r in e.requests if r["request_id"]}
    known = 0
    for record in e.records:
        if record["event"] != "operation" or record["class"] not in ("ok", "denied") or not record["request_id"]:
            continue
        request = by_id.get(record["request_id"])
        if request is None:
            yield f"{record['time']}: the key service knows no request {record['request_id']}"
            continue
        known += 1
        if (request["outcome"] == "ok") != (record["class"] == "ok") and not request.get("fault"):
            yield (f"{record['time']}: {record['operation']} was {record['class']}, and for the key service "
                   f"{request['outcome']}")
    e.figures["operations"] = known
    if known < 5:
        yield f"only {known} operations of the audit log are in the key service's log"


def fences(e):
    e.figures["fences"] = sum(r["event"] == "state" and r["state"] == "fenced" for r in e.records)
    return ()


# ---- the processes --------------------------------------------------------------------------------------------

def flat(e):
    """In each life of a server: threads, descriptors and memory at its end are those of its beginning."""
    lives = {}
    for sample in e.samples:
        lives.setdefault(sample["pid"], []).append(sample)
    worst = 0
    for pid, samples in lives.items():
        early = [s for s in samples if 2 <= s["age_s"] <= 8]
        late = samples[-15:]  # longer than a drill, which is a client, too
        if not early or late[0]["age_s"] < 12:
            continue
        for what, slack in (("threads", 2), ("descriptors", 4), ("children", 1)):
            if min(s[what] for s in late) > max(s[what] for s in early) + slack:
                yield (f"process {pid}: {max(s[what] for s in early)} {what}, and after {late[-1]['age_s']:.0f} s "
                       f"{min(s[what] for s in late)}")
        grown = min(s["rss_kb"] for s in late) - max(s["rss_kb"] for s in early)
        worst = max(worst, grown)
        if grown > 4096 and e.patience == 1:
            yield f"process {pid}: memory has grown by {grown} kB in {late[-1]['age_s']:.0f} s"
    e.figures["grown_kb"] = worst


RULES = [availability, bound, gate, pauses, chain, causes, agreement, fences, flat]


def judge(volume, clouds, samples):
    """All findings on a volume, and its figures."""
    e = Evidence(volume, clouds, samples)
    findings = [f"{rule.__name__}: {text}" for rule in RULES for text in rule(e)]
    with open(volume.timeline) as f:
        done = re.search(r"(\d+) requests done, (\d+) refused", f.read())
    e.figures["done"], e.figures["refused"] = (int(n) for n in done.groups())
    if e.figures["done"] < 500:
        findings.append(f"the client has made only {e.figures['done']} requests")
    return findings, e.figures
