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


def print_slower(old_run, new_run):
    """Prints what got slower by more than the noise; returns how many."""
    slower, seen, unknown = 0, [], 0
    for key, old, new, factor, visible in compare(old_run, new_run):
        if visible is None:
            unknown += 1
            continue
        seen.append(visible)
        if 1 - factor > visible:
            slower += 1
            print("SLOWER: %s, %d conn., %s, %s: %.2f of plaintext, was %.2f (-%.0f%%; a drop of %.0f%% shows)" % (
                *key, new, old, 100 * (1 - factor), 100 * visible))
    if unknown:
        print(f"{unknown} figures have too few rounds to tell a change from noise: {ROUNDS_MIN} in each run are "
              "needed (--rounds, --budget)")
    if seen:
        print("%d figures compared, %d slower; a drop of %.0f%% would have been seen in half of them, of %.0f%% in all" % (
            len(seen), slower, 100 * statistics.median(seen), 100 * max(seen)))
    return slower
