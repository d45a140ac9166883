"""bench_report.py owns what is made of the figures of bench.py for people: tables and the picture."""
import html
import statistics

from bench_compare import BASE, against, index, uncertainty_words

COLOURS = {"null": "#c8c8c8", "bare disk": "#c8c8c8", "file": "#8a8f98", "keyfence auto": "#0b7a5c",
           "keyfence sync": "#3fa88a", "keyfence uring": "#9ad1be", "luks filter": "#d98e32", "qemu luks": "#b5503c"}
DRAWN = (BASE, "keyfence auto", "luks filter", "qemu luks")  # the other engines are for the tables
NAMES = {"file": "nbdkit file, plaintext", "keyfence auto": "keyfence", "luks filter": "nbdkit luks filter",
         "qemu luks": "qemu-nbd LUKS"}
MARKS = ("null", "bare disk")  # drawn as a line, for comparison: a server with a page cache may be faster


def ordered(values):
    return list(dict.fromkeys(values))


def spread(values):
    return (max(values) - min(values)) / statistics.median(values) if len(values) > 1 else 0.0


# ---- tables -----------------------------------------------------------------------------------------

def groups(run_data):
    """(store, connections, workloads) of each table."""
    results = run_data["results"]
    for store, connections in ordered((r["store"], r["connections"]) for r in results):
        yield store, connections, ordered(r["workload"] for r in results
                                          if (r["store"], r["connections"]) == (store, connections))


def print_table(title, servers, rows):
    print(f"\n{title}")
    print(" " * 14 + "".join(name.rjust(16) for name in servers))
    for label, cells in rows:
        print(label.ljust(14) + "".join(cell.rjust(16) for cell in cells))


def show_speed(cells, key):
    return "%.0f (%2.0f%%)" % (statistics.median(cells[key]["mib_s"]), 100 * spread(cells[key]["mib_s"]))


def show_ratio(base):
    def show(cells, key):
        found = against(cells, key, base)
        return "%.2f %s" % (statistics.median(found), uncertainty_words(found)) if found else "-"
    return show


def show_cpu(cells, key):
    return "%.2f + %.2f" % (statistics.median(cells[key]["server_cpu_s_per_gib"]),
                            statistics.median(cells[key]["client_cpu_s_per_gib"]))


def print_tables(run_data):
    machine, cells = run_data["machine"], index(run_data)
    servers = ordered(r["server"] for r in run_data["results"])
    shown = [("MiB/s, median (spread)", show_speed)]
    shown += [(f"against {base}, median of the rounds (uncertainty)", show_ratio(base))
              for base in (BASE, "keyfence before", "luks filter", "qemu luks") if base in servers]
    shown.append(("CPU seconds a GiB, server + client", show_cpu))
    print("; ".join(f"{name} {value}" for name, value in machine.items()))
    for name, says in run_data["servers"].items():
        print(f"  {name}: {says}")
    for store, connections, workloads in groups(run_data):
        where = f"{store}, {connections} connection{'s' if connections > 1 else ''}"
        for title, show in shown:
            print_table(f"{where}: {title}", servers, [
                (w, [show(cells, (store, connections, w, s)) if (store, connections, w, s) in cells else "-"
                     for s in servers]) for w in workloads])


# ---- the picture ------------------------------------------------------------------------------------

PANEL_W, PANEL_H, TOP, LEFT, GAP = 920, 190, 70, 60, 64


def text(x, y, words, size=11, anchor="middle", extra=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" {extra}>'
            f'{html.escape(str(words))}</text>')


def draw_mark(cells, store, connections, workload, left, right, bottom, scale, highest):
    for server in MARKS:
        found = against(cells, (store, connections, workload, server))
        if found:
            y = bottom - min(statistics.median(found), highest) * scale
            return [f'<line x1="{left - 3:.1f}" x2="{right + 3:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="#222" '
                    'stroke-width="1.6"/>']
    return []


def draw_panel(cells, store, connections, workloads, servers, top):
    """Bars of one store: throughput against plaintext, the figure above each bar."""
    ratios = {}
    for workload in workloads:
        for server in servers:
            key = (store, connections, workload, server)
            found = against(cells, key)
            if found:
                ratios[workload, server] = statistics.median(found), statistics.median(cells[key]["mib_s"])
    marks = [statistics.median(found) for workload in workloads for server in MARKS
             if (found := against(cells, (store, connections, workload, server)))]
    highest = min(max([r for r, _ in ratios.values()] + marks + [1.0]), 4.0)
    scale, bottom = PANEL_H / highest, top + PANEL_H
    out = [text(LEFT, top - 14, f"{store}: throughput against unencrypted nbdkit file = 1; MiB/s above the bars",
                13, "start", 'font-weight="bold"')]
    figures = []  # drawn last, with a white rim: lines and other bars cross them
    group_w = PANEL_W / len(workloads)
    bar_w = min(26.0, group_w * 0.85 / len(servers))
    for i, workload in enumerate(workloads):
        start = LEFT + i * group_w + (group_w - bar_w * len(servers)) / 2
        for j, server in enumerate(servers):
            if (workload, server) not in ratios:
                continue
            ratio, value = ratios[workload, server]
            height = min(ratio, highest) * scale
            x = start + j * bar_w
            out.append(f'<rect x="{x:.1f}" y="{bottom - height:.1f}" width="{bar_w - 1.5:.1f}" '
                       f'height="{height:.1f}" fill="{COLOURS.get(server, "#666")}"/>')
            label_y = bottom - height - 3
            figures.append(text(x + bar_w / 2 + 3, label_y, f"{value:.0f}", 8, "start",
                                f'transform="rotate(-90 {x + bar_w / 2 + 3:.1f} {label_y:.1f})" '
                                'stroke="#fff" stroke-width="2.5" paint-order="stroke"'))
        out += draw_mark(cells, store, connections, workload, start, start + bar_w * len(servers), bottom, scale,
                         highest)
        out.append(text(LEFT + (i + 0.5) * group_w, bottom + 15, workload))
    out.append(f'<line x1="{LEFT}" x2="{LEFT + PANEL_W}" y1="{bottom}" y2="{bottom}" stroke="#333"/>')
    one = bottom - scale
    out.append(f'<line x1="{LEFT}" x2="{LEFT + PANEL_W}" y1="{one:.1f}" y2="{one:.1f}" stroke="#333" '
               'stroke-dasharray="4 3"/>')
    out.append(text(LEFT - 6, one + 4, "1", 11, "end"))
    return out + figures


def draw(run_data):
    """Of the least number of connections that was measured."""
    cells = index(run_data)
    connections = min((r["connections"] for r in run_data["results"]), default=1)
    results = [r for r in run_data["results"] if r["connections"] == connections]
    present = ordered(r["server"] for r in results)
    servers = [s for s in DRAWN if s in present]
    stores = ordered(r["store"] for r in results)
    workloads = ordered(r["workload"] for r in results)
    height = TOP + len(stores) * (PANEL_H + GAP) + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + PANEL_W + 20} {height}" '
           'font-family="sans-serif" fill="#222">', '<rect width="100%" height="100%" fill="#fff"/>']
    for i, server in enumerate(servers):
        x = LEFT + i * 165
        out.append(f'<rect x="{x}" y="14" width="12" height="12" fill="{COLOURS.get(server, "#666")}"/>')
        out.append(text(x + 17, 24, NAMES.get(server, server), 12, "start"))
    out.append(f'<line x1="{LEFT}" x2="{LEFT + 12}" y1="38" y2="38" stroke="#222" stroke-width="1.6"/>')
    out.append(text(LEFT + 17, 42, "for comparison: nbdkit's null plugin (tmpfs), the bare disk (disk)", 12, "start"))
    for i, store in enumerate(stores):
        out += draw_panel(cells, store, connections, workloads, servers, TOP + 10 + i * (PANEL_H + GAP))
    machine, plural = run_data["machine"], "s" if connections > 1 else ""
    out.append(text(LEFT, height - 12, f'{machine["cpus"]} x {machine["cpu"]}, Linux {machine["kernel"]}, '
                    f'{machine["nbdkit"]}, {machine["fio"]}, {connections} connection{plural}, '
                    f'medians of at least {run_data["rounds"]} rounds, {machine["date"][:10]}', 10, "start"))
    return "\n".join(out + ["</svg>", ""])
