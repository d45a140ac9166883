#!/usr/bin/env python3
"""What scripts/bench calls slower, and what it does not: on figures made with known noise, and on recorded ones.

recorded-1.json and recorded-2.json are of two runs, one after the other, of one build on a very busy machine
(a load of 10 to 30 on two processors: single turns differ by a factor of three).
"""
import contextlib
import copy
import io
import json
import os
import random
import sys
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "scripts"))

import bench_compare  # noqa: E402

WORKLOADS = [f"workload {n}" for n in range(8)]


def noisy(value, noise, chance):
    return value * (1 + noise * chance.gauss(0, 1))


def make_run(seed, rounds=20, noise=0.10, factors=None, machine_noise=0.0, hiccups=0.0):
    """A run whose ratios have this noise (a standard deviation), keyfence at 0.9 of plaintext by the
    factor of its workload; `machine_noise` hits both servers of a round alike, a hiccup one turn alone."""
    chance, results = random.Random(seed), []
    for workload in WORKLOADS:
        turns = {"file": [], "keyfence auto": []}
        for _ in range(rounds):
            machine = 2000 * max(0.1, 1 + machine_noise * chance.uniform(-1, 1))
            factor = 0.9 * (factors or {}).get(workload, 1.0)
            turns["file"].append(machine)
            turns["keyfence auto"].append(machine * noisy(factor, noise, chance)
                                          * (0.2 if chance.random() < hiccups else 1))
        results += [{"store": "tmpfs", "connections": 1, "workload": workload, "server": server, "mib_s": mib_s}
                    for server, mib_s in turns.items()]
    return {"results": results}


def slower(old, new):
    """(how many were called slower, what was printed)"""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        return bench_compare.print_slower(old, new), said.getvalue()


def slowed(run, factor):
    run = copy.deepcopy(run)
    for row in run["results"]:
        if row["server"].startswith("keyfence"):
            row["mib_s"] = [factor * v for v in row["mib_s"]]
    return run


def recorded(number):
    with open(os.path.join(HERE, f"recorded-{number}.json"), encoding="utf-8") as f:
        return json.load(f)


class Made(unittest.TestCase):
    def test_a_regression_of_15_percent_is_seen_in_10_percent_noise(self):
        seen = sum(slower(make_run(seed), make_run(1000 + seed, factors={WORKLOADS[seed % 8]: 0.85}))[0]
                   for seed in range(100))
        self.assertGreaterEqual(seen, 90)

    def test_it_is_named_with_its_figures(self):
        count, said = slower(make_run(1), make_run(1001, factors={"workload 3": 0.7}))
        self.assertEqual(count, 1)
        self.assertRegex(said, r"SLOWER: tmpfs, 1 conn\., workload 3, keyfence auto: 0\.6\d of plaintext, was 0\.[89]\d \(-")
        self.assertRegex(said, r"8 figures compared, 1 slower")

    def test_equal_runs_are_not_called_slower(self):
        called = sum(slower(make_run(seed), make_run(1000 + seed))[0] for seed in range(100))
        self.assertLessEqual(called, 3)  # of 800 figures

    def test_a_machine_that_is_slower_or_busier_as_a_whole_does_not_count(self):
        called = sum(slower(make_run(seed, noise=0.02), make_run(1000 + seed, noise=0.02, machine_noise=0.7))[0]
                     for seed in range(20))
        self.assertEqual(called, 0)

    def test_a_regression_shows_through_what_hits_both_of_a_pair(self):
        seen = sum(slower(make_run(seed, noise=0.03, machine_noise=0.7),
                          make_run(1000 + seed, noise=0.03, machine_noise=0.7, factors={"workload 3": 0.85}))[0]
                   for seed in range(20))
        self.assertEqual(seen, 20)

    def test_turns_that_went_wrong_altogether_neither_hide_nor_make_a_regression(self):
        same = sum(slower(make_run(seed, noise=0.03, hiccups=0.15), make_run(1000 + seed, noise=0.03, hiccups=0.15))[0]
                   for seed in range(30))
        worse = sum(slower(make_run(seed, noise=0.03, hiccups=0.15),
                           make_run(1000 + seed, noise=0.03, hiccups=0.15, factors={"workload 3": 0.8}))[0]
                    for seed in range(30))
        self.assertLessEqual(same, 1)
        self.assertGreaterEqual(worse, 28)

    def test_less_than_5_percent_is_never_called_slower(self):
        count, _ = slower(make_run(1, noise=0.001), make_run(2, noise=0.001, factors=dict.fromkeys(WORKLOADS, 0.96)))
        self.assertEqual(count, 0)

    def test_a_regression_of_6_percent_is_seen_where_it_is_quiet(self):
        count, _ = slower(make_run(1, noise=0.005), make_run(2, noise=0.005, factors=dict.fromkeys(WORKLOADS, 0.93)))
        self.assertEqual(count, 8)

    def test_faster_is_not_slower(self):
        count, _ = slower(make_run(1, noise=0.01), make_run(2, noise=0.01, factors=dict.fromkeys(WORKLOADS, 1.3)))
        self.assertEqual(count, 0)

    def test_with_too_few_rounds_it_says_that_it_can_not_tell(self):
        count, said = slower(make_run(1, rounds=3), make_run(2, rounds=3, factors=dict.fromkeys(WORKLOADS, 0.5)))
        self.assertEqual(count, 1, "status 1: nothing was found out")
        self.assertIn("8 figures have too few rounds to tell a change from noise", said)
        self.assertIn("nothing could be compared", said)
        self.assertNotIn("figures compared", said)

    def test_the_least_number_of_rounds_can_tell(self):
        least = bench_compare.ROUNDS_MIN
        count, said = slower(make_run(1, rounds=least, noise=0.02),
                             make_run(2, rounds=least, noise=0.02, factors=dict.fromkeys(WORKLOADS, 0.8)))
        self.assertEqual(count, 8, said)

    def test_more_rounds_make_a_ratio_more_certain(self):
        few, many = (bench_compare.against(bench_compare.index(make_run(1, rounds=rounds)),
                                           ("tmpfs", 1, "workload 0", "keyfence auto")) for rounds in (6, 60))
        self.assertLess(bench_compare.uncertainty(many), 0.05)
        self.assertGreater(bench_compare.uncertainty(few), bench_compare.uncertainty(many))
        self.assertEqual(bench_compare.uncertainty(few[:2]), float("inf"))


def without(run, **what):
    """The run without the rows of which all of `what` is true."""
    return {**run, "results": [row for row in run["results"]
                               if any(row[name] != value for name, value in what.items())]}


class Missing(unittest.TestCase):
    lost = {"workload": "workload 3", "server": "keyfence auto"}

    def asking(self, run, **asked):
        return {**run, "asked": {"stores": ["tmpfs"], "connections": [1], "workloads": WORKLOADS,
                                 "servers": ["file", "keyfence auto"], **asked}}

    def test_a_figure_of_a_workload_that_was_measured_and_is_lost_counts(self):
        count, said = slower(make_run(1), without(make_run(2), **self.lost))
        self.assertEqual(count, 1)
        self.assertIn("MISSING: tmpfs, 1 conn., workload 3, keyfence auto: ", said)
        self.assertIn("7 figures compared, 0 slower", said)

    def test_so_does_one_whose_plaintext_is_lost(self):
        count, said = slower(make_run(1), without(make_run(2), workload="workload 3", server="file"))
        self.assertEqual(count, 1)
        self.assertIn("MISSING: tmpfs, 1 conn., workload 3, keyfence auto: ", said)

    def test_a_workload_that_was_asked_for_and_has_no_figure_at_all_counts(self):
        run = without(make_run(2), workload="workload 3")
        self.assertEqual(slower(make_run(1), self.asking(run))[0], 1)

    def test_what_was_not_asked_for_is_not_missed(self):
        run = without(make_run(2), workload="workload 3")
        self.assertEqual(slower(make_run(1), run)[0], 0)
        others = [workload for workload in WORKLOADS if workload != "workload 3"]
        self.assertEqual(slower(make_run(1), self.asking(run, workloads=others))[0], 0)
        old = make_run(1)
        old["results"] += [{**row, "server": "keyfence sync"} for row in old["results"] if row["server"] != "file"]
        self.assertEqual(slower(old, self.asking(make_run(2)))[0], 0)
        self.assertEqual(slower(old, make_run(2))[0], 8)

    def test_no_figure_in_both_files_is_said_and_counts(self):
        for new in ({"results": []}, {"results": [{**row, "store": "disk"} for row in make_run(2)["results"]]}):
            count, said = slower(make_run(1), new)
            self.assertEqual(count, 1)
            self.assertIn("no figure of keyfence is in both files", said)

    def test_one_figure_is_no_figures(self):
        one = {"results": [row for row in make_run(1)["results"] if row["workload"] == "workload 1"]}
        self.assertRegex(slower(one, one)[1], r"^1 figure compared, 0 slower")
        few = {"results": [{**row, "mib_s": row["mib_s"][:3]} for row in one["results"]]}
        self.assertRegex(slower(few, few)[1], r"^1 figure has too few rounds")


class Recorded(unittest.TestCase):
    def test_equal_runs_are_not_called_slower(self):
        for old, new in ((1, 2), (2, 1)):
            count, said = slower(recorded(old), recorded(new))
            self.assertEqual(count, 0, said)
            self.assertRegex(said, r"[78] figures compared, 0 slower; a drop of \d+% would have been seen in half")

    def test_what_stops_nearly_is_seen_even_so(self):
        count, said = slower(recorded(1), slowed(recorded(2), 0.1))
        self.assertGreaterEqual(count, 6, said)


if __name__ == "__main__":
    unittest.main()
