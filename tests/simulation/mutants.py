#!/usr/bin/env python3
"""Breaks the fence on purpose, one way after the other, and sees that it is noticed.

    mutants.py BUILD [NAME...]

Each mutant replaces a piece of the source that must be there exactly once; it is compiled as the
shared object that the simulation and the unit tests run on, and takes its place.  Prints a line for
each, "NAME<tab>OK|FAIL<tab>WHY", and exits with 1 when one was not caught or could not be made.
"""
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FENCE = "nbd-plugin/fence/fence.c"
TIMES = "nbd-plugin/fence/fence-times.c"
SOURCES = [FENCE, TIMES, "kms/outcome.c", "common/text.c"]
SEEDS = 20000

# name, file, what is there, what is there instead
MUTANTS = [
    # the lease and the bound
    ("lease-from-the-answer", FENCE,
     "set_lease (fence, later_ms (fence->asked_at_ms,",
     "set_lease (fence, later_ms (now_ms,"),
    ("lease-not-cut-by-a-denial", FENCE,
     "MIN (fence->lease_until_ms, later_ms (confirm_at_ms, fence_ask_ms (config)))",
     "fence->lease_until_ms"),
    ("lease-cut-without-the-delay", FENCE,
     "later_ms (confirm_at_ms, fence_ask_ms (config))",
     "later_ms (now_ms, fence_ask_ms (config))"),
    ("lease-lengthened-by-a-denial", FENCE,
     "MIN (fence->lease_until_ms, later_ms (",
     "(later_ms ("),
    ("lease-outlived-by-a-millisecond", FENCE,
     "if (now_ms >= lease_end_ms (fence))",
     "if (now_ms > lease_end_ms (fence))"),
    ("lease-not-told-to-the-gate", FENCE,
     "actions->lease = actions->lease || fence->lease_until_ms != until_ms;",
     ""),
    ("lease-end-not-waited-for", FENCE,
     "MIN (lease_end_ms (fence), window_end_ms (fence))",
     "window_end_ms (fence)"),
    ("lease-too-short-for-many-wraps", TIMES,
     "MAX (round_ms (config), denial_ms (config))",
     "denial_ms (config)"),
    ("lease-too-short-for-a-confirmation", TIMES,
     "MAX (round_ms (config), denial_ms (config))",
     "round_ms (config)"),
    ("lease-forgets-long-rounds", TIMES,
     "MAX (config->check_interval_ms, round_ms (config))",
     "config->check_interval_ms"),
    ("lease-forgets-grace", TIMES, "MAX (config->grace_ms, later_ms (", "MAX (0, later_ms ("),
    ("bound-told-too-short", TIMES,
     "return later_ms (between_rounds_ms (config), denial_ms (config));",
     "return between_rounds_ms (config);"),
    ("jitter-lengthens", TIMES, "check_interval_ms - config", "check_interval_ms + config"),
    # denials
    ("denial-fences-unconfirmed", FENCE,
     "asked->kind == FENCE_ASK_UNLOCK || fence->confirming)",
     "1)"),
    ("denial-never-confirmed", FENCE, "fence->confirming = true;", ""),
    ("denial-confirmed-without-delay", FENCE,
     "fence->next_ask_ms = confirm_at_ms;",
     "fence->next_ask_ms = now_ms;"),
    ("denial-confirmed-at-the-next-check", FENCE, "fence->next_ask_ms = confirm_at_ms;", ""),
    ("denial-confirmed-with-stale-credentials", FENCE,
     ".fresh = fence->confirming",
     ".fresh = false"),
    ("denial-cancelled-by-an-outage", FENCE,
     "fence->config.grace_ms == 0 || fence->confirming",
     "fence->config.grace_ms == 0"),
    ("denial-not-cancelled", FENCE,
     "  fence->confirming = false;\n  fence->held_by",
     "  fence->held_by"),
    ("denial-postponed-by-an-operators-check", FENCE,
     "!fence->confirming && !answer_comes",
     "!answer_comes"),
    ("denial-ignored-when-late", FENCE,
     "(fence->asked_late && !(asked.wrap == 0 && bad))",
     "fence->asked_late"),
    # outages
    ("outage-fences", FENCE,
     "enter (fence, FENCE_GRACE, now_ms);",
     "close_gate (fence, now_ms, actions);"),
    ("outage-is-not-grace", FENCE, "enter (fence, FENCE_GRACE, now_ms);", ";"),
    ("outage-tolerated-without-grace", FENCE,
     "fence->config.grace_ms == 0 || fence->confirming",
     "fence->confirming"),
    ("no-answer-waited-for-for-ever", FENCE, "if (now_ms >= ask_end_ms (fence))\n", "if (0)\n"),
    ("no-answer-not-counted-but-late", FENCE, "fence->asked_late = true;", ""),
    ("late-good-answer-counts", FENCE, "(fence->asked_late && !(asked.wrap == 0 && bad))", "0"),
    ("asks-while-the-asker-is-busy", FENCE,
     "if (is_asking (fence) || now_ms < fence->next_ask_ms)",
     "if (now_ms < fence->next_ask_ms)"),
    ("any-ticket-will-do", FENCE, "|| answer->ticket != asked.ticket)", ")"),
    # secondaries
    ("fails-over-after-a-denial", FENCE,
     "answer->may_fail_over && !fence->denied",
     "answer->may_fail_over"),
    ("fails-over-without-a-name", FENCE,
     "answer->may_fail_over && !fence->denied",
     "!fence->denied"),
    ("fails-over-for-credentials", FENCE,
     "answer->class == KMS_OUTAGE && answer->may_fail_over",
     "(answer->may_fail_over || answer->class == KMS_CREDENTIALS)"),
    ("forgets-a-denial-while-fenced", FENCE,
     "  if (asked.wrap == 0 && answer->class == KMS_DENIED)\n    fence->denied = true;\n",
     ""),
    ("remembers-a-denial-for-ever", FENCE,
     "  if (asked->wrap == 0)\n    fence->denied = false;\n",
     ""),
    ("secondary-skipped", FENCE,
     "asked->kind, asked->wrap + 1, now_ms",
     "asked->kind, asked->wrap + 2, now_ms"),
    ("secondary-beyond-the-last", FENCE,
     "if (asked->wrap + 1 < fence->config.wrap_count)",
     "if (asked->wrap < fence->config.wrap_count)"),
    ("secondary-decides", FENCE,
     "  if (asked->wrap == 0)\n    return primary_takes",
     "  if (1)\n    return primary_takes"),
    ("only-the-first-secondary", FENCE,
     "if (asked->wrap + 1 < fence->config.wrap_count)",
     "if (asked->wrap == 0 && fence->config.wrap_count > 1)"),
    # fenced
    ("corrupt-is-an-outage", FENCE, "[KMS_CORRUPT] = take_corrupt", "[KMS_CORRUPT] = take_failure"),
    ("corrupt-recovers", FENCE, "  latch (fence, FENCE_LATCH_CORRUPT);\n", ""),
    ("corrupt-overridden-by-hand", FENCE,
     "  if (fence->latch == FENCE_LATCH_CORRUPT)\n    return;\n",
     ""),
    ("operators-fence-recovers", FENCE, "  latch (fence, FENCE_LATCH_OPERATOR);\n", ""),
    ("manual-recovers", FENCE,
     "  if (fence->config.recover_manual)\n    latch (fence, FENCE_LATCH_MANUAL);\n}",
     "}"),
    ("manual-recovers-at-the-start", FENCE,
     "if (fence->config.recover_manual && !fence->permitted)",
     "if (0)"),
    ("manual-forgets-the-permission", FENCE,
     "fence->config.recover_manual && !fence->permitted",
     "fence->config.recover_manual"),
    ("window-never-ends", FENCE, "if (now_ms >= window_end_ms (fence))", "if (0)"),
    ("window-strikes-in-spite-of-the-permission", FENCE,
     "is_latched (fence) || fence->permitted\n",
     "is_latched (fence)\n"),
    ("permission-for-ever", FENCE,
     "actions->open = actions->lease = true;\n    fence->permitted = false;",
     "actions->open = actions->lease = true;"),
    ("latched-goes-on-asking", FENCE,
     "fence->state == FENCE_FENCED && !is_latched (fence);",
     "fence->state == FENCE_FENCED;"),
    ("latched-keeps-its-plan", FENCE, "  fence->next_ask_ms = NEVER;\n", ""),
    ("probe-unlocks", FENCE, "  if (is_latched (fence))\n    return take_probe;\n", ""),
    ("never-asks-for-the-key-again", FENCE,
     "later_ms (now_ms, fence_jittered_ms (&fence->config, &fence->random))",
     "(unlock ? NEVER : later_ms (now_ms, fence_jittered_ms (&fence->config, &fence->random)))"),
    ("lease-end-does-not-ask", FENCE,
     "  fence->next_ask_ms = now_ms; /* perhaps access is just back */\n",
     ""),
    ("starts-without-asking", FENCE, ".next_ask_ms = now_ms,", ".next_ask_ms = now_ms + 1000,"),
    ("active-is-unfenced", FENCE,
     "  if (fence->state != FENCE_FENCED)\n    return;\n  if (is_latched",
     "  if (is_latched"),
    # keys and the gate
    ("closing-keeps-the-gate-open", FENCE,
     "  actions->close = true;\n  fence->state",
     "  fence->state"),
    ("closing-keeps-an-ask-valid", FENCE,
     "fence->confirming = false;\n  fence->asked_void = is_asking (fence);",
     "fence->confirming = false;"),
    ("unwanted-key-opens", FENCE, "if (fence->asked_void || (", "if (("),
    ("unwanted-key-let-in", FENCE, "\n         && !fence->asked_void && !fence->asked_late;", ";"),
    ("unwanted-key-kept", FENCE,
     "    actions->close |= asked.kind == FENCE_ASK_UNLOCK && answer->class == KMS_OK;",
     "    ;"),
    ("old-key-opens", FENCE, "asked->kind == FENCE_ASK_UNLOCK && !in_time", "0"),
    ("state-misnamed", FENCE, '[FENCE_GRACE] = "grace"', '[FENCE_GRACE] = "mercy"'),
    ("change-not-told", FENCE,
     "ret_actions->changed = fence->state != before;",
     "ret_actions->changed = ret_actions->close;"),
]


def make(mutant, folder):
    """The mutant's shared object; raises ValueError when it can't be made."""
    name, path, there, instead = mutant
    files = []
    for source in SOURCES:
        with open(os.path.join(ROOT, source)) as f:
            text = f.read()
        if source == path:
            if text.count(there) != 1:
                raise ValueError(f"does not apply: {text.count(there)} places in {path} have {there!r}")
            text = text.replace(there, instead)
        files.append(os.path.join(folder, os.path.basename(source)))
        with open(files[-1], "w") as f:
            f.write(text)
    shared = os.path.join(folder, name + ".so")
    run = subprocess.run(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-w", "-fPIC", "-shared", "-I", ROOT,
                          "-o", shared] + files, capture_output=True, text=True)
    if run.returncode != 0:
        raise ValueError("does not compile: " + run.stderr.strip().replace("\n", " "))
    return shared


def run_on(shared, command):
    """Exit status and output of a program on the mutant; a hang is status None."""
    env = dict(os.environ, LD_PRELOAD=shared)
    try:
        run = subprocess.run(command, env=env, capture_output=True, text=True, errors="replace", timeout=60)
    except subprocess.TimeoutExpired:
        return None, ""
    return run.returncode, run.stdout + run.stderr


def catch(shared, build):
    """By whom the mutant is caught, or None."""
    status, out = run_on(shared, [f"{build}/tests/simulation/fence-simulation", "--seeds", str(SEEDS), "--jobs", "1"])
    broken = re.search(r"^seed (\d+) breaks: (.*)$", out, re.M)
    if broken:
        return f"simulation, seed {broken[1]}: {broken[2]}"
    if status != 0:
        return "simulation: " + ("hangs" if status is None else f"ends with {status}")
    status, out = run_on(shared, [f"{build}/tests/unit/test-fence"])
    failed = re.search(r"^\[  FAILED  \] (\w+)$", out, re.M)
    return f"unit test: {failed[1]}" if status != 0 and failed else None


def judge(mutant, build):
    with tempfile.TemporaryDirectory(prefix="keyfence-mutant-") as folder:
        try:
            by = catch(make(mutant, folder), build)
        except ValueError as error:
            return mutant[0], "FAIL", str(error)
    return mutant[0], "OK" if by else "FAIL", by or "nothing noticed it"


def main():
    build, names = os.path.abspath(sys.argv[1]), sys.argv[2:]
    mutants = [m for m in MUTANTS if not names or m[0] in names]
    failed = not mutants
    # That it is the mutants that fail, and not everything.
    sound = judge_sound(build)
    print("\t".join(sound), flush=True)
    failed |= sound[1] != "OK"
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for result in pool.map(lambda m: judge(m, build), mutants):
            print("\t".join(result), flush=True)
            failed |= result[1] != "OK"
    return 1 if failed else 0


def judge_sound(build):
    name = "unchanged-is-not-caught"
    with tempfile.TemporaryDirectory(prefix="keyfence-mutant-") as folder:
        by = catch(make((name, None, "", ""), folder), build)
    return name, "FAIL" if by else "OK", by or "nothing to notice"


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main())
