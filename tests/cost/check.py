#!/usr/bin/env python3
"""Counts what a 4 KiB request costs outside of the cipher, and compares it with recorded.txt.

  check.py PROGRAM             compare; fails when a request got more expensive
  check.py PROGRAM --waste     the same with something added to each request: must fail
  check.py PROGRAM --record    write recorded.txt anew

PROGRAM is request-cost.  The figures are instructions in user space by callgrind, which depend on the
compiler and libc and not on how busy the machine is; calls are counted exactly.
"""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

REQUESTS = 1000
MARGIN = 0.10
RECORDED = os.path.join(os.path.dirname(os.path.realpath(__file__)), "recorded.txt")
# What a request is counted to call: clocks, locks, allocations.  The recorded numbers are exact.
CALLS = re.compile(r"clock_gettime|pthread_(mutex|rwlock|spin)_\w*lock|pthread_cond_\w+|malloc|calloc|realloc|free"
                   r"|posix_memalign|aligned_alloc|mmap|munmap|p(read|write)(64)?(v2)?")


def plain(name):
    """A function's name without its version, and without callgrind's mark of a recursion."""
    name = re.sub(r"@.*|'\d+$", "", name)
    name = re.sub(r"^(?:__GI_)?_*(?=(?:clock_gettime|pthread_|libc_p(?:read|write)))", "", name)
    return re.sub(r"^libc_", "", name)


class Case:
    """One dump: instructions of each function itself, and the calls that are counted, per request."""

    def __init__(self, lines):
        self.name, self.own, self.calls = None, {}, {}
        where, called, is_call = None, None, False
        for line in lines:
            if line.startswith("desc: Trigger:"):
                self.name = line.split("Client Request:")[-1].strip()
            elif line.startswith("fn="):
                where = plain(line[3:].strip())
            elif line.startswith("cfn="):
                called = plain(line[4:].strip())
            elif line.startswith("calls="):
                is_call = True
                if CALLS.fullmatch(called):
                    self._add(self.calls, called, int(line[6:].split()[0]))
            elif re.match(r"[0-9+*-]", line):
                if not is_call:
                    self._add(self.own, where, int(line.split()[1]))
                is_call = False

    @staticmethod
    def _add(counts, name, count):
        counts[name] = counts.get(name, 0) + count / REQUESTS

    @property
    def total(self):
        return sum(self.own.values())

    def figures(self):
        """As in recorded.txt: {(kind, name): count}; what happens less than once a request is noise."""
        figures = {("total", "instructions"): round(self.total)}
        figures.update({("call", name): round(n, 2) for name, n in self.calls.items() if n >= 0.01})
        figures.update({("own", name): round(n) for name, n in self.own.items() if n >= 0.5})
        return figures


def measure(command):
    with tempfile.TemporaryDirectory(prefix="keyfence-cost.") as folder:
        run = subprocess.run(["valgrind", "--tool=callgrind", "--compress-strings=no", "--compress-pos=no",
                              f"--callgrind-out-file={folder}/out", *command],
                             capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"callgrind of {command[0]} failed:\n{run.stderr}")
        found = {}
        for path in glob.glob(f"{folder}/out.*"):
            with open(path, encoding="utf-8") as dump:
                case = Case(dump)
            if case.name and case.name != "other":
                found[case.name] = case.figures()
        return found


def write(found):
    with open(RECORDED, "w", encoding="utf-8") as file:
        file.write("# What a 4 KiB request costs outside of the cipher: check.py writes and reads this.\n")
        for name in sorted(found):
            for (kind, what), count in sorted(found[name].items(), key=lambda f: (f[0][0], -f[1], f[0][1])):
                file.write(f"{name}\t{kind}\t{what}\t{count:g}\n")


def read():
    recorded = {}
    with open(RECORDED, encoding="utf-8") as file:
        for line in file:
            if not line.startswith("#"):
                name, kind, what, count = line.rstrip("\n").split("\t")
                recorded.setdefault(name, {})[kind, what] = float(count)
    return recorded


def grown(now, before):
    """The functions that cost more, the worst first."""
    more = [(now.get(key, 0) - before.get(key, 0), key[1], before.get(key, 0), now.get(key, 0))
            for key in {*now, *before} if key[0] == "own"]
    return [f"    {what}: {old:g} -> {new:g} instructions" for more, what, old, new in sorted(more, reverse=True)
            if more >= 2]


def compare(name, now, before):
    """What is wrong with this case, as lines."""
    wrong = []
    total, old = now["total", "instructions"], before["total", "instructions"]
    if total > old * (1 + MARGIN):
        wrong.append(f"{name}: {total} instructions a request; {old:g} are recorded, {MARGIN:.0%} more are allowed:")
        wrong += grown(now, before)
    for key in sorted({key for key in (*now, *before) if key[0] == "call"}):
        if now.get(key, 0) > before.get(key, 0) + 0.005:
            wrong.append(f"{name}: calls {key[1]} {now.get(key, 0):g} times a request; "
                         f"{before.get(key, 0):g} times are recorded")
    return wrong


def main():
    parser = argparse.ArgumentParser(description="Counts what a request costs outside of the cipher.")
    parser.add_argument("program")
    parser.add_argument("--waste", action="store_true", help="add something to each request")
    parser.add_argument("--record", action="store_true", help="write recorded.txt anew")
    args = parser.parse_args()
    if not shutil.which("valgrind"):
        print("SKIP: valgrind is not installed")
        sys.exit(77)
    found = measure([args.program, str(REQUESTS)] + (["waste"] if args.waste else []))
    if args.record:
        write(found)
        return
    recorded, wrong = read(), []
    if found.keys() != recorded.keys():
        sys.exit(f"counted {sorted(found)}, recorded are {sorted(recorded)}")
    for name in sorted(found):
        now, before = found[name]["total", "instructions"], recorded[name]["total", "instructions"]
        print(f"{name}: {now} instructions a request ({now / before - 1:+.1%})")
        wrong += compare(name, found[name], recorded[name])
    if wrong:
        sys.exit("\n".join(wrong) + "\nIf it must be so: tests/cost/check.py PROGRAM --record, and say why in the commit.")


main()
