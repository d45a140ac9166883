#!/usr/bin/env python3
"""commit-journal.py owns the question what a database has acknowledged.

    commit-journal.py JOURNAL REPORT ROUND CLIENTS COMMAND...

runs COMMAND (psql, mariadb: something that reads SQL from its stdin and ends at the first error)
CLIENTS times at once.  Each of them commits rows (ROUND, client, number, payload) to the table
journal, one after the other; a row that the database has acknowledged is appended to JOURNAL as
"ROUND client number", and made durable there, before the next is sent.  It goes on until SIGTERM,
or until every client has failed; then REPORT has, as JSON: how many commits, when the last was
acknowledged (milliseconds since 1970), the longest that one took, and what the clients said.

JOURNAL must not be on the disk in question.
"""
import json
import os
import signal
import subprocess
import sys
import threading
import time


def now_ms():
    return int(time.time() * 1000)


class Client(threading.Thread):
    """One connection, which commits one row after the other."""

    def __init__(self, round_number, number, command, journal):
        super().__init__()
        self.name = f"{round_number} {number}"
        self.values = f"{round_number}, {number}"
        self.command = command
        self.journal = journal
        self.stop = threading.Event()
        self.commits = self.last_ms = self.longest_ms = 0
        self.error = None

    def commit(self, process, n):
        key = f"{self.values}, {n}"
        process.stdin.write(f"INSERT INTO journal VALUES ({key}, repeat(md5('{key}'), 8));\nSELECT {n};\n")
        process.stdin.flush()
        return process.stdout.readline().strip() == str(n)

    def run(self):
        process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        n = 1
        try:
            while not self.stop.is_set():
                sent = time.monotonic()
                if not self.commit(process, n):
                    break
                self.longest_ms = max(self.longest_ms, int((time.monotonic() - sent) * 1000))
                self.last_ms = now_ms()
                self.commits += 1
                os.write(self.journal, f"{self.name} {n}\n".encode())
                n += 1
        except BrokenPipeError:
            pass
        stopped = self.stop.is_set()
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass
        said = process.stderr.read().strip()
        if process.wait() != 0 or not stopped:
            self.error = said or f"ended with status {process.returncode}"


def main():
    journal_path, report_path, round_number, count = sys.argv[1:5]
    journal = os.open(journal_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_DSYNC, 0o600)
    clients = [Client(int(round_number), i, sys.argv[5:], journal) for i in range(int(count))]

    def stop_all(_signal, _frame):
        for client in clients:
            client.stop.set()

    signal.signal(signal.SIGTERM, stop_all)
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    report = {
        "commits": sum(c.commits for c in clients),
        "last_ms": max(c.last_ms for c in clients),
        "longest_ms": max(c.longest_ms for c in clients),
        "ended_ms": now_ms(),
        "errors": [c.error for c in clients if c.error is not None],
    }
    with open(report_path + ".new", "w", encoding="utf-8") as f:
        json.dump(report, f)
    os.rename(report_path + ".new", report_path)


if __name__ == "__main__":
    main()
