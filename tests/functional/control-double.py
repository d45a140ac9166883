#!/usr/bin/env python3
"""control-double.py SOCKET FOLDER: plays a server's control socket.

A command line's first word names what is done: FOLDER/WORD.json is sent as it is by then, after
FOLDER/WORD.wait seconds where that exists; without a file it is an unknown command.  The lines that
came are in FOLDER/commands.
"""
import os
import socket
import sys
import threading
import time


def read(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except FileNotFoundError:
        return None


def answer(folder, line):
    with open(os.path.join(folder, "commands"), "a", encoding="utf-8") as f:
        f.write(line + "\n")
    word = os.path.join(folder, line.split(" ")[0] or "none")
    time.sleep(float(read(word + ".wait") or 0))
    text = read(word + ".json")
    if text is None:
        return '{"error":"there is no such command"}'
    return " ".join(text.split("\n"))


def serve(folder, connection):
    with connection, connection.makefile("r", encoding="utf-8") as lines:
        try:
            for line in lines:
                connection.sendall((answer(folder, line.rstrip("\n")) + "\n").encode())
        except (BrokenPipeError, ConnectionResetError):
            pass


def main():
    path, folder = sys.argv[1:]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(folder, connection), daemon=True).start()


main()
