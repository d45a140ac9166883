#!/usr/bin/env python3
"""activator.py stream|seqpacket SOCKET PIDFILE COMMAND...: what systemd does for a socket unit.

Listens at SOCKET (mode 0600) and runs COMMAND with that socket on descriptor 3 whenever somebody waits
there; when it has ended, again for the next one.  PIDFILE has the process id of the running COMMAND, and
is empty while there is none.  SIGTERM ends both.
"""
import os
import select
import signal
import socket
import sys
import time

KINDS = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET}


def note(path, text):
    with open(path + ".new", "w", encoding="ascii") as f:
        f.write(text)
    os.rename(path + ".new", path)


def run(listener, command):
    pid = os.fork()
    if pid:
        return pid
    if listener.fileno() == 3:
        os.set_inheritable(3, True)
    else:
        os.dup2(listener.fileno(), 3, inheritable=True)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ["LISTEN_FDS"] = "1"
    os.environ["LISTEN_FDNAMES"] = "activator"
    os.environ["LISTEN_PID"] = str(os.getpid())
    try:
        os.execvp(command[0], command)
    except OSError as e:
        sys.stderr.write(f"activator: {command[0]}: {e}\n")
        os._exit(127)


def main():
    kind, path, pidfile, *command = sys.argv[1:]
    child = 0

    def end(_signum, _frame):
        if child:
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)
        sys.exit(0)

    listener = socket.socket(socket.AF_UNIX, KINDS[kind])
    os.umask(0o177)
    listener.bind(path)
    os.umask(0o077)
    listener.listen(128)
    note(pidfile, "")
    signal.signal(signal.SIGTERM, end)
    while True:
        select.select([listener], [], [])
        child = run(listener, command)
        note(pidfile, f"{child}\n")
        _pid, status = os.waitpid(child, 0)
        child = 0
        note(pidfile, "")
        sys.stderr.write(f"activator: the command ended with {status}\n")
        time.sleep(0.2 if status else 0)


main()
