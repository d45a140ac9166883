"""bench_compare.py owns how figures are compared: with the plaintext server of the same round, and with
those of another run.

The turns of a round follow one another within seconds, so what disturbs the machine disturbs both of a
pair: what is compared is the ratio of each pair, and all that is said of ratios rests on ranks, so that
a turn that went wrong altogether counts as one and no more.
"""
import math
import statistics

BASE = "file"  # plaintext: what all others are measured against
DROP_MIN = 0.05  # less than this is never called slower
# In standard deviations: of a thousand figures that did not change, one is called slower.
SURENESS = 3.0
ROUNDS_MIN = 8  # with fewer on both sides SURENESS can't be had, whatever they say
ASKED = ("stores", "connections", "workloads", "servers")  # of a run's "asked", in the order of a key


def index(run_data):
    return {(r["store"], r["connections"], r["workload"], r["server"]): r for r in run_data["results"]}


def ratios(figures, base):
    """Round by round; a server that had fewer rounds had the first ones."""
    return [a / b for a, b in zip(figures["mib_s"], base["mib_s"])]


def against(cells, key, base=BASE):
    """The ratios of a cell to another server's; empty where that was not measured."""
    other = cells.get((*key[:3], base))
    return ratios(cells[key], other) if other and key in cells else []


def deviation(values):
    """The standard deviation relative to the median, by the median of the distances from it."""
    middle = statistics.median(values)
    return 1.4826 * statistics.median(abs(v - middle) for v in values) / middle


def uncertainty(values):
    """By what part the median may be off: two of its standard errors."""
    if len(values) < 3:
        return math.inf
    return 2 * 1.2533 * deviation(values) / math.sqrt(len(values))


def uncertainty_words(values):
    found = uncertainty(values)
    return "(?)" if math.isinf(found) else "(%2.0f%%)" % min(99, 100 * found)


def shift(old, new):
    """By what factor the new figures differ from the old: the estimate of Hodges and Lehmann, and the
    most that it may be with SURENESS (None: there are too few to say)."""
    quotients = sorted(math.log(n / o) for n in new for o in old)
    count = len(quotients)
    rank = math.floor(count / 2 - SURENESS * math.sqrt(count * (len(old) + len(new) + 1) / 12))
    most = math.exp(quotients[-rank]) if rank >= 1 else None
    return math.exp(statistics.median(quotients)), most


def compare(old_run, new_run):
    """What became of each figure of keyfence: (key, old, new, factor, visible), where `visible` is the
    smallest drop that could have been told from noise, None where none could."""
    old_cells, new_cells = index(old_run), index(new_run)
    for key in new_cells:
        old, new = against(old_cells, key), against(new_cells, key)
        if not key[3].startswith("keyfence") or not old or not new:
            continue
        factor, most = shift(old, new)
        visible = max(DROP_MIN, 1 - factor / most) if most else None
        yield key, statistics.median(old), statistics.median(new), factor, visible


def missing(old_run, new_run):
    """The figures of keyfence that the new run should have and has not.  What it was asked for it says; where
    it does not, it is the servers of the old run in all workloads that it measured."""
    old_cells, new_cells, asked = index(old_run), index(new_run), new_run.get("asked")
    measured = {key[:3] for key in new_cells}
    for key in old_cells:
        wanted = (all(part in asked[what] for part, what in zip(key, ASKED)) if asked else key[:3] in measured)
        lost = key not in new_cells or against(old_cells, key) and not against(new_cells, key)
        if key[3].startswith("keyfence") and wanted and lost:
            yield key


def count_of(number, singular, plural):
    return f"{number} {singular if number == 1 else plural}"


def print_compared(seen, unknown, slower):
    if unknown:
        print(count_of(unknown, "figure has", "figures have") + " too few rounds to tell a change from noise: "
              f"{ROUNDS_MIN} in each run are needed (--rounds, --budget)")
    if seen:
        print("%s compared, %d slower; a drop of %.0f%% would have been seen in half of them, of %.0f%% in all" % (
            count_of(len(seen), "figure", "figures"), slower, 100 * statistics.median(seen), 100 * max(seen)))
    elif unknown:
        print("nothing could be compared")
    else:
        print("nothing could be compared: no figure of keyfence is in both files")


def print_slower(old_run, new_run):
    """Prints what got slower by more than the noise, and what is missing; returns how many, and 1 where
    nothing could be compared."""
    slower, seen, unknown, lost = 0, [], 0, 0
    for key in missing(old_run, new_run):
        lost += 1
        print("MISSING: %s, %d conn., %s, %s: the old run has a figure to compare, this one has none" % key)
    for key, old, new, factor, visible in compare(old_run, new_run):
        if visible is None:
            unknown += 1
            continue
        seen.append(visible)
        if 1 - factor > visible:
            slower += 1
            print("SLOWER: %s, %d conn., %s, %s: %.2f of plaintext, was %.2f (-%.0f%%; a drop of %.0f%% shows)" % (
                *key, new, old, 100 * (1 - factor), 100 * visible))
    print_compared(seen, unknown, slower)
    return slower + lost if seen else max(1, lost)
