#!/usr/bin/env python3
"""dns-double.py PORT FILE: plays a DNS server on 127.0.0.1.

The word in FILE, read for each question, says how it answers: "address" (127.0.0.1 for every A), or
"nxdomain", "nodata", "servfail", "refused", "silent".  The names that were asked for are in
FILE.asked.
"""
import socket
import struct
import sys

CODES = {"address": 0, "nodata": 0, "servfail": 2, "nxdomain": 3, "refused": 5}


def parse_question(packet):
    """The name, the type, and the question's bytes."""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode("ascii", "replace"))
        at += 1 + packet[at]
    kind = struct.unpack_from(">H", packet, at + 1)[0]
    return ".".join(labels), kind, packet[12 : at + 5]


def answer(packet, word):
    name, kind, question = parse_question(packet)
    has_address = word == "address" and kind == 1
    header = struct.pack(">2sHHHHH", packet[:2], 0x8180 | CODES[word], 1, int(has_address), 0, 0)
    record = struct.pack(">HHHLH4B", 0xC00C, 1, 1, 0, 4, 127, 0, 0, 1) if has_address else b""
    return name, header + question + record


def main():
    port, path = int(sys.argv[1]), sys.argv[2]
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", port))
    while True:
        packet, peer = listener.recvfrom(4096)
        with open(path, encoding="utf-8") as f:
            word = f.read().strip()
        name, reply = answer(packet, "nodata" if word == "silent" else word)
        with open(path + ".asked", "a", encoding="utf-8") as f:
            f.write(f"{word} {name}\n")
        if word != "silent":
            listener.sendto(reply, peer)


main()
