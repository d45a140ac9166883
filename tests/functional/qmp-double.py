#!/usr/bin/env python3
"""qmp-double.py SOCKET FOLDER: plays a QEMU machine's QMP socket.

FOLDER/machine.json says what it is like: "status" (changed by cont, and written back), "name", "nodes"
(what query-named-block-nodes returns), "again" (a disk pauses it again as soon as it goes on), "behave" (one
of the ways below; default: as QEMU does).  The commands that came are in FOLDER/commands.
"""
import json
import os
import socket
import sys
import threading
import time

GREETING = {"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""},
                    "capabilities": ["oob"]}}
EVENT = {"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RTC_CHANGE",
         "data": {"offset": 1, "text": "a } in \"a ] string\\"}}


class Machine:
    def __init__(self, folder):
        self.folder = folder
        self.path = os.path.join(folder, "machine.json")
        with open(self.path, encoding="utf-8") as f:
            self.state = json.load(f)

    def save(self):
        with open(self.path + ".new", "w", encoding="utf-8") as f:
            json.dump(self.state, f)
        os.rename(self.path + ".new", self.path)

    def told(self, command):
        with open(os.path.join(self.folder, "commands"), "a", encoding="utf-8") as f:
            f.write(command + "\n")

    def answer(self, command):
        self.told(command)
        if command == "cont":
            if self.state.get("refuse"):
                return {"error": {"class": "GenericError", "desc": self.state["refuse"]}}
            self.state["status"] = "io-error" if self.state.get("again") else "running"
            self.save()
            return {"return": {}}
        returns = {
            "qmp_capabilities": {},
            "query-status": {"status": self.state["status"], "singlestep": False,
                             "running": self.state["status"] == "running"},
            "query-name": {"name": self.state["name"]} if "name" in self.state else {},
            "query-named-block-nodes": self.state.get("nodes", []),
        }
        if command in returns:
            return {"return": returns[command]}
        return {"error": {"class": "CommandNotFound", "desc": "The command " + command + " has not been found"}}


def talk(machine, connection):
    """As QEMU does."""
    def say(message, **how):
        connection.sendall(json.dumps(message, **how).encode() + b"\r\n")

    how = {"indent": 4} if machine.state.get("behave") == "pretty" else {}
    say(GREETING, **how)
    with connection.makefile("r", encoding="utf-8") as lines:
        for line in lines:
            request = json.loads(line)
            say(EVENT, **how)
            # A reply to somebody else, and an event that looks like ours.
            say({"return": {"status": "io-error"}, "id": "x"}, **how)
            say(dict(EVENT, id=request["id"]), **how)
            say(dict(machine.answer(request["execute"]), id=request["id"]), **how)


def flood(machine, connection):
    """Events without an end, and never an answer."""
    del machine
    connection.sendall(json.dumps(GREETING).encode() + b"\n")
    while True:
        connection.sendall(json.dumps(EVENT).encode() + b"\n")
        time.sleep(0.001)


def trickle(machine, connection):
    """A greeting that comes byte by byte, and stops short of its end."""
    del machine
    for byte in json.dumps(GREETING).encode()[:-1]:
        connection.sendall(bytes([byte]))
        time.sleep(0.01)
    time.sleep(1000)


def say_only(text):
    def say(machine, connection):
        del machine
        connection.sendall(text)
        time.sleep(1000)
    return say


def after_greeting(text):
    return say_only(json.dumps(GREETING).encode() + b"\r\n" + text)


BEHAVIOURS = {
    "pretty": talk,
    "silent": say_only(b""),
    "mute": after_greeting(b""),
    "hang-up": lambda machine, connection: None,
    "ssh": say_only(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "array": say_only(b"[1, 2, 3]\r\n"),
    "no-greeting": say_only(b'{"return": {}}\r\n'),
    "binary": after_greeting(b"\x00\xff\xfe{]"),
    "unbalanced": after_greeting(b'{"return": {]}}'),
    "not-json": after_greeting(b'{"return": nonsense}'),
    "twice": after_greeting(b'{"id": 1, "id": 1, "return": {}}'),
    "deep": after_greeting(b'{"a":' * 50000),
    "closed-too-often": after_greeting(b"}}}}"),
    "endless": after_greeting(b'{"a": "' + b"x" * 400000),
    "many": after_greeting(b"{" + b",".join(b'"%d":1' % i for i in range(20000)) + b"}"),
    "no-return": after_greeting(b'{"id": 1}'),
    "flood": flood,
    "trickle": trickle,
}


def serve(machine, connection):
    with connection:
        try:
            BEHAVIOURS.get(machine.state.get("behave"), talk)(machine, connection)
        except (BrokenPipeError, ConnectionResetError):
            pass


def main():
    path, folder = sys.argv[1:]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(Machine(folder), connection), daemon=True).start()


main()
