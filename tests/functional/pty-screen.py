#!/usr/bin/env python3
"""pty-screen.py ROWS COLUMNS FOLDER COMMAND...: runs a program in a terminal that is played.

FOLDER/do is read as lines while it runs (a FIFO or a growing file), each one a step:
  wait TEXT      until the page shows it (20 seconds at most, else exit status 9)
  gone TEXT      until the page does not show it any more
  show FILE      writes the page's text to FILE
  raw FILE       writes the bytes that came since the last raw to FILE
  keys TEXT      types it (as a Python string literal without quotes)
  size ROWS COLUMNS
  signal NAME    sends it to the program
  stopped        until the program has been stopped
  state FILE     which page, cursor and modes: "alternate|normal cursor|hidden echo|noecho"
  end            until the program ends; its exit status (128 + signal) is ours
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

PATIENCE = float(os.environ.get("KEYFENCE_PATIENCE", "1"))
SEQUENCE = re.compile(rb"\x1b\[([?0-9;]*)([A-Za-z])")


class Page:
    """The text of a terminal's page, as far as the sequences that keyfence uses."""

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.lines = [[" "] * columns for _ in range(rows)]
        self.row = self.column = 0
        self.alternate, self.cursor, self.wrap = False, True, True
        self.unknown = []

    def resize(self, rows, columns):
        lines = [line[:columns] + [" "] * (columns - len(line)) for line in self.lines[:rows]]
        self.lines = lines + [[" "] * columns for _ in range(rows - len(lines))]
        self.rows, self.columns = rows, columns

    def sequence(self, parameters, final):
        if final == b"m":
            return
        if final == b"H" and not parameters:
            self.row = self.column = 0
        elif final == b"K" and not parameters:
            self.blank(self.row, self.column)
        elif final == b"J" and not parameters:
            self.blank(self.row, self.column)
            for row in range(self.row + 1, self.rows):
                self.blank(row, 0)
        elif parameters in (b"?1049", b"?25", b"?7") and final in (b"h", b"l"):
            name = {b"?1049": "alternate", b"?25": "cursor", b"?7": "wrap"}[parameters]
            setattr(self, name, final == b"h")
        else:
            self.unknown.append(parameters + final)

    def blank(self, row, column):
        if row < self.rows:
            self.lines[row][column:] = [" "] * (self.columns - column)

    def feed(self, data):
        """Takes what is whole and gives the rest back."""
        while data:
            if data[0] == 0x1B:
                match = SEQUENCE.match(data)
                if not match:
                    if len(data) < 16:
                        return data
                    self.unknown.append(data[:16])
                    return data[1:]
                self.sequence(match[1], match[2])
                data = data[match.end():]
            elif data[0] == 0x0D:
                self.column, data = 0, data[1:]
            elif data[0] == 0x0A:
                self.row, data = min(self.row + 1, self.rows - 1), data[1:]
            else:
                size = 1 if data[0] < 0x80 else 2 if data[0] < 0xE0 else 3 if data[0] < 0xF0 else 4
                if len(data) < size:
                    return data
                self.put(data[:size].decode(errors="replace"))
                data = data[size:]
        return data

    def put(self, character):
        if self.column < self.columns:
            self.lines[self.row][self.column] = character
            self.column += 1
        else:
            self.unknown.append(b"past the right edge")

    def text(self):
        return "\n".join("".join(line).rstrip() for line in self.lines) + "\n"


class Session:
    def __init__(self, rows, columns, command):
        self.page, self.rest, self.raw, self.status = Page(rows, columns), b"", b"", None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execvp(command[0], command)

    def read(self, seconds):
        """False when the program has ended."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.raw += data
        self.rest = self.page.feed(self.rest + data)
        return bool(data)

    def until(self, test, what):
        end = time.monotonic() + 20 * PATIENCE
        while not test():
            if time.monotonic() > end or not self.read(0.1):
                sys.stderr.write(f"pty-screen: never: {what}; the page:\n{self.page.text()}")
                sys.exit(9)

    def state(self):
        echo = termios.tcgetattr(self.fd)[3] & termios.ECHO
        return (f"{'alternate' if self.page.alternate else 'normal'} "
                f"{'cursor' if self.page.cursor else 'hidden'} {'echo' if echo else 'noecho'}\n")

    def ended(self):
        if self.status is not None:
            return True
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def stopped(self):
        pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
        return bool(pid) and os.WIFSTOPPED(status)

    def step(self, word, rest):
        if word == "wait":
            self.until(lambda: rest in self.page.text(), f"shows {rest}")
        elif word == "gone":
            self.until(lambda: rest not in self.page.text(), f"no longer shows {rest}")
        elif word == "stopped":
            self.until(self.stopped, "stopped")
        elif word == "keys":
            os.write(self.fd, rest.encode().decode("unicode_escape").encode())
        elif word == "size":
            rows, columns = map(int, rest.split())
            self.page.resize(rows, columns)
            fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        elif word == "signal":
            os.kill(self.pid, getattr(signal, rest))
        elif word in ("show", "raw", "state"):
            self.settle()
            with open(rest, "wb") as f:
                f.write({"show": self.page.text().encode(), "raw": self.raw,
                         "state": self.state().encode()}[word])
            if word == "raw":
                self.raw = b""
        elif word == "end":
            self.finish()
        else:
            sys.exit(f"pty-screen: unknown step {word}")

    def settle(self):
        """The rest of a frame that has begun."""
        while self.status is None and select.select([self.fd], [], [], 0.1)[0] and self.read(0):
            pass

    def finish(self):
        end = time.monotonic() + 20 * PATIENCE
        while not self.ended():
            if time.monotonic() > end:
                sys.exit("pty-screen: never ends")
            if not self.read(0.05):
                time.sleep(0.05)
        while select.select([self.fd], [], [], 0)[0] and self.read(0):
            pass


def main():
    rows, columns, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    session = Session(rows, columns, sys.argv[4:])
    with open(os.path.join(folder, "do"), encoding="utf-8") as steps:
        for line in steps:
            word, _, rest = line.rstrip("\n").partition(" ")
            session.step(word, rest)
    if session.page.unknown:
        sys.exit(f"pty-screen: sequences that are not known: {session.page.unknown[:5]}")
    if session.status is None:
        os.kill(session.pid, signal.SIGKILL)
        sys.exit("pty-screen: the program still runs")
    sys.exit(session.status if session.status >= 0 else 128 - session.status)


main()
