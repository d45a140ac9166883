#!/usr/bin/env python3
"""nbd-waiting.py SOCKET FOLDER: a client with one request, read of the first 4096 bytes, which it sends
when the file FOLDER/ask is there; then it makes FOLDER/asked, and prints how the server answers.
"""
import os
import socket
import struct
import sys
import time


def receive(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            sys.exit("the server hung up")
        data += more
    return data


def negotiate(connection):
    if receive(connection, 16) != b"NBDMAGICIHAVEOPT":
        sys.exit("that is no NBD server")
    receive(connection, 2)
    connection.sendall(struct.pack(">L", 3))  # fixed newstyle, no zeroes
    connection.sendall(b"IHAVEOPT" + struct.pack(">LL", 1, 0))  # the default export
    receive(connection, 8 + 2)


def main():
    path, folder = sys.argv[1:]
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    negotiate(connection)
    print("connected", flush=True)
    while not os.path.exists(os.path.join(folder, "ask")):
        time.sleep(0.01)
    connection.sendall(struct.pack(">LHHQQL", 0x25609513, 0, 0, 1, 0, 4096))
    with open(os.path.join(folder, "asked"), "w", encoding="utf-8"):
        pass
    error = struct.unpack(">LLQ", receive(connection, 16))[1]
    size = len(receive(connection, 4096)) if error == 0 else 0
    print(f"error {error}, {size} bytes", flush=True)


main()
