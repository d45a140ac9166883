#!/usr/bin/env python3
"""qmp-ask.py SOCKET COMMAND [ARGUMENTS]: prints what a QMP command returns, as JSON in one line."""
import json
import socket
import sys


def main():
    path, command, *arguments = sys.argv[1:]
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    connection.connect(path)
    lines = connection.makefile("rw", encoding="utf-8")
    for name, options in (("qmp_capabilities", {}), (command, json.loads(arguments[0]) if arguments else {})):
        lines.write(json.dumps({"execute": name, "arguments": options, "id": name}) + "\n")
        lines.flush()
        reply = {}
        while reply.get("id") != name:
            reply = json.loads(lines.readline())
        if "return" not in reply:
            sys.exit(f"{name}: {reply}")
    print(json.dumps(reply["return"]))


main()
