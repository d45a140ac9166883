#!/usr/bin/env python3
"""Plays the servers of volumes for the tests of the exporter.

    exporter-volumes.py FOLDER VOLUME...

For each VOLUME (a name of the table at the end) there is a control socket, FOLDER/UUID.sock, which
answers `metrics` as keyfence's server does, or misbehaves.  The answers lie in FOLDER/UUID.answer and
are read anew each time, so that a test can change them.  Prints "ready" when all are there; ends with
its standard input.
"""
import json
import os
import pathlib
import socket
import sys
import threading
import time

HELD = []  # sockets and connections that must stay open


def moment(seconds_from_now):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds_from_now))


def facts(uuid, label, state="active", reason="ok", **more):
    """The answer of a healthy volume, with what `more` says otherwise."""
    answer = {
        "volume": uuid, "label": label, "path": f"/var/lib/volumes/{label}.kf",
        "size_bytes": 107374182400, "state": state, "reason": reason, "detail": "", "request_id": "",
        "since": moment(-11 * 86400), "latch": "", "held_by": "primary",
        "key": "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "key_created": moment(-93 * 86400), "key_expires": None,
        "last_check": moment(-12), "next_check": moment(17),
        "lease_until": moment(3588), "lease_left_s": 3588.2, "fence_bound_s": 45.75,
        "checks": {"ok": 31712, "denied": 0, "outage": 3, "other": 0},
        "checks_by_class": {"ok": 31712, "denied": 0, "outage": 3, "credentials": 0, "clock": 0,
                            "corrupt": 0, "config": 0},
        "fences": 0, "last_wipe_us": None,
        "io": {"reads": 1048213, "writes": 532418, "bytes_read": 38482944512,
               "bytes_written": 17482944512, "refused": 0},
        "engine": "uring", "crypto": "vaes", "cache": "none", "memory_locked": True,
        "read_only": False, "pid": 4711, "agent_pid": 4712,
        "parameters": {"check_interval_s": 30, "confirm_delay_s": 5, "check_timeout_s": 5,
                       "grace_s": 3600, "recover": "auto", "recover_window_s": 0,
                       "on_fence": "error", "stall_limit_s": 30, "fence_errno": "EIO",
                       "key_expiry": "warn"},
        "check_latency": {"le_s": [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
                          "counts": [0, 0, 22010, 30913, 31499, 31700, 31712, 31712, 31713, 31714,
                                     31715], "count": 31715, "sum_s": 902.31},
        "transitions": [
            {"time": moment(-11 * 86400), "from": "starting", "state": "active", "reason": "ok",
             "detail": "", "request_id": "9f1c2a3e-0001-4b3a-9a66-5a2b1c3d4e5f"}],
        "key_operations": [
            {"time": moment(-12 - 30 * i), "operation": "check", "role": "primary",
             "key": "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
             "class": "ok", "reason": "ok", "request_id": f"7d40a1b2-{i:04}-4f3a-8a1b-2c3d4e5f6071",
             "duration_ms": 23 + i} for i in reversed(range(5))],
    }
    answer.update(more)
    return answer


def active(uuid):
    return facts(uuid, "orders", transitions=[
        {"time": moment(-9 * 3600), "from": "starting", "state": "active", "reason": "ok"},
        {"time": moment(-5 * 3600), "from": "active", "state": "grace", "reason": "throttled",
         "detail": "AWS KMS answered ThrottlingException three times."},
        {"time": moment(-5 * 3600 + 95), "from": "grace", "state": "active", "reason": "ok"}],
        since=moment(-5 * 3600 + 95))


def grace(uuid):
    detail = ("https://payments-prod.vault.azure.net does not answer: connection timed out after 5 s. "
              "I/O goes on until the lease ends; see that this host reaches the key service.")
    return facts(
        uuid, "payments", "grace", "timeout", detail=detail, since=moment(-2790),
        key="https://payments-prod.vault.azure.net/keys/kek-payments/8f0c3a1d5b7e4c2f9a6d1e0b4c3f2a19",
        key_expires=moment(9.3 * 86400), lease_left_s=810.4, lease_until=moment(810),
        checks_by_class={"ok": 9120, "denied": 0, "outage": 88, "credentials": 4, "clock": 0,
                         "corrupt": 0, "config": 0},
        transitions=[
            {"time": moment(-3 * 3600), "from": "starting", "state": "active", "reason": "ok"},
            {"time": moment(-2790), "from": "active", "state": "grace", "reason": "timeout",
             "detail": detail}])


def fenced(uuid):
    detail = ("The key arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-… is disabled. "
              "Enable it again and the volume comes back by itself.")
    return facts(
        uuid, "ledger", "fenced", "key_disabled", detail=detail, since=moment(-754),
        request_id="5c0fbb0e-2f0b-4f6e-9a1f-2b7e8d9c0a11",
        lease_left_s=None, lease_until=None, fences=2, last_wipe_us=412,
        checks_by_class={"ok": 2210, "denied": 31, "outage": 0, "credentials": 0, "clock": 0,
                         "corrupt": 0, "config": 0},
        io={"reads": 88213, "writes": 42418, "bytes_read": 3848294451, "bytes_written": 1748294451,
            "refused": 1873},
        transitions=[
            {"time": moment(-3100), "from": "starting", "state": "active", "reason": "ok"},
            {"time": moment(-2200), "from": "active", "state": "fenced", "reason": "access_denied",
             "detail": "The key policy no longer lets arn:aws:sts::111122223333:assumed-role/db use the "
             "key.", "request_id": "11bb0e0e-2f0b-4f6e-9a1f-2b7e8d9c0a00"},
            {"time": moment(-1900), "from": "fenced", "state": "active", "reason": "ok"},
            {"time": moment(-754), "from": "active", "state": "fenced", "reason": "key_disabled",
             "detail": detail, "request_id": "5c0fbb0e-2f0b-4f6e-9a1f-2b7e8d9c0a11"}],
        key_operations=[
            {"time": moment(-24), "operation": "unwrap", "role": "primary", "key": "arn:aws:kms:…",
             "class": "denied", "reason": "key_disabled", "request_id": "5c0fbb0e", "duration_ms": 31}])


def latched(uuid):
    return facts(uuid, "archive", "fenced", "operator", latch="operator", memory_locked=False,
                 agent_pid=None, read_only=True, since=moment(-40), lease_left_s=None,
                 lease_until=None, fence_bound_s=4.2, fences=1, last_wipe_us=88,
                 key="file:///etc/keyfence/kek", key_expires=moment(-3600), transitions=[
                     {"time": moment(-300), "from": "starting", "state": "active", "reason": "ok"},
                     {"time": moment(-40), "from": "active", "state": "fenced", "reason": "operator"}])


HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">'&\\\n\u202e"


def hostile(uuid):
    answer = facts(uuid, HOSTILE)
    for member, value in answer.items():
        if isinstance(value, str) and member not in ("volume", "state"):
            answer[member] = HOSTILE
    answer["state"] = "grace"
    answer["detail"] = HOSTILE + "x" * 3000
    answer["parameters"] = {HOSTILE: HOSTILE, "nested": {"a": [1, 2, {"b": HOSTILE}]}}
    answer["transitions"] = [{name: HOSTILE for name in
                              ("time", "from", "state", "reason", "detail", "request_id")}] * 3
    answer["transitions"].append({"time": moment(-60), "from": HOSTILE, "state": HOSTILE,
                                  "reason": HOSTILE})
    answer["key_operations"] = [{name: HOSTILE for name in
                                 ("time", "operation", "role", "key", "class", "reason", "request_id")}]
    answer["io"]["reads"] = 1e999
    answer["fences"] = -3
    answer["check_latency"]["counts"][3] = 5  # falls
    text = json.dumps(answer).replace("Infinity", "1e999")
    # Not UTF-8, too, and what UTF-8 has for a surrogate.
    return text.replace('"engine": "', '"engine": "\xff\xed\xa0\x80').encode("latin-1")


def empty(_uuid):
    return b"{}"


def wrong_types(uuid):
    answer = facts(uuid, "types")
    for i, member in enumerate(answer):
        answer[member] = [True, [[]], {"x": {}}, 7, "text", None, -1.5][i % 7]
    return answer


def plain(answer):
    return answer if isinstance(answer, bytes) else json.dumps(answer, ensure_ascii=False).encode()


# ---- how servers answer -----------------------------------------------------------------------------

def serve(listener, talk, *args):
    def one(connection):
        try:
            talk(connection, *args)
        except OSError:
            pass

    while True:
        connection, _ = listener.accept()
        HELD.append(connection)
        threading.Thread(target=one, args=(connection,), daemon=True).start()


def answer_from(connection, path, knows_metrics):
    with connection, connection.makefile("rb") as lines:
        for line in lines:
            if line.strip() == b"status" or (knows_metrics and line.strip() == b"metrics"):
                connection.sendall(path.read_bytes().replace(b"\n", b" ") + b"\n")
            else:
                connection.sendall(b'{"error":"there is no such command"}\n')


def hang(connection):
    connection.recv(100)


def babble(connection):
    while True:
        connection.sendall(b"x" * 65536)


def trickle(connection):
    while True:
        connection.sendall(b"x")
        time.sleep(0.1)


def say(connection, text):
    with connection:
        connection.recv(100)
        connection.sendall(text)


def hang_up(connection):
    connection.close()


OLD = ("request_id", "latch", "held_by", "key_created", "key_expires", "lease_left_s",
       "checks_by_class", "fences", "last_wipe_us", "parameters", "check_latency", "transitions",
       "key_operations")


def old(uuid):
    return {name: value for name, value in facts(uuid, "older").items() if name not in OLD}


# VOLUME: what makes its answer, or how it misbehaves (with arguments).
ANSWERS = {"active": active, "grace": grace, "fenced": fenced, "latched": latched, "hostile": hostile,
           "empty": empty, "types": wrong_types, "old": old}
MISBEHAVIOUR = {
    "hang": (hang,), "babble": (babble,), "trickle": (trickle,), "hangup": (hang_up,),
    "garbage": (say, b"220 mail.example ESMTP\n"), "array": (say, b"[1,2,3]\n"),
    "half": (say, b'{"state":"act'),
    "members": (say, b"{" + b",".join(b'"%x":1' % i for i in range(20000)) + b"}\n"),
    "nested": (say, b"[" * 100000 + b"\n"),
}


def start(folder, number, name):
    uuid = f"{number:08x}-0000-4000-8000-{name.encode().hex():0>12.12}"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / f"{uuid}.sock"))
    if name == "dead":
        listener.close()
        return
    listener.listen(0 if name == "full" else 64)
    HELD.append(listener)
    if name == "full":  # nobody takes connections, and the queue has no room
        for _ in range(2):
            client = socket.socket(socket.AF_UNIX)
            client.setblocking(False)
            client.connect_ex(str(folder / f"{uuid}.sock"))
            HELD.append(client)
        return
    if name in MISBEHAVIOUR:
        args = (listener, *MISBEHAVIOUR[name])
    else:
        path = folder / f"{uuid}.answer"
        path.write_bytes(plain(ANSWERS[name](uuid)))
        args = (listener, answer_from, path, name != "old")
    threading.Thread(target=serve, args=args, daemon=True).start()


def main():
    folder = pathlib.Path(sys.argv[1])
    for number, name in enumerate(sys.argv[2:]):
        start(folder, number, name)
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)


main()
