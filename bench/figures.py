#!/usr/bin/env python3
"""The numbers of the whole program, each beside its goal, and beside a peer where there is one.

Rows are compared with the peer's before anything is timed. What is compared is measured by turns, so that both meet the
same machine, and a figure is the median of the rounds (of the rounds' ratios where it is a ratio). Rows per second are
per CPU second of the whole process, pinned to one core. Prints a line of JSON per figure, then a table; status 1 when
rows differ, 0 also when a goal is missed.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

FLIGHTS = {"ts": "TIMESTAMP", "delay": "BIGINT", "distance": "BIGINT", "origin": "VARCHAR", "destination": "VARCHAR"}
DAILY = {"window_start": "TIMESTAMP", "origin": "VARCHAR", "flights": "BIGINT", "delay_sum": "BIGINT", "delay_min": "BIGINT",
         "delay_max": "BIGINT", "distance_avg": "DOUBLE"}
FILTERED = {"ts": "TIMESTAMP", "origin": "VARCHAR", "delay": "BIGINT", "both_ways": "BIGINT"}
BIDS = {"auction": "BIGINT", "bidder": "BIGINT", "price": "BIGINT", "channel": "VARCHAR", "url": "VARCHAR", '"dateTime"': "TIMESTAMP",
        "extra": "VARCHAR"}
TIME_BYTES = len("2023-11-14 00:00:00.000")

DAILY_STREAM = """CREATE STREAM daily AS
    SELECT window_start, origin, COUNT(*) AS flights, SUM(delay) AS delay_sum, MIN(delay) AS delay_min,
           MAX(delay) AS delay_max, AVG(distance) AS distance_avg
    FROM flights GROUP BY origin, TUMBLE(ts, INTERVAL '1' DAY) EMIT ON WINDOW CLOSE;"""
DAILY_PEER = """SELECT date_trunc('day', ts) AS window_start, origin, COUNT(*) AS flights, SUM(delay) AS delay_sum,
    MIN(delay) AS delay_min, MAX(delay) AS delay_max, AVG(distance) AS distance_avg FROM {} GROUP BY ALL"""
FILTER_PEER = "SELECT ts, origin, delay, distance * 2 AS both_ways FROM {} WHERE delay > 15"


def die(*lines):
    sys.exit("bench: " + "\n".join(str(x) for x in lines))


# ---- running ------------------------------------------------------------------------------------------------------------


class Rounds:
    """A program that runs one round for each line it is sent and answers with a line of JSON."""

    def __init__(self, *command, pin=True):
        command = [str(c) for c in command]
        self.command = (["taskset", "-c", str(core)] if pin else []) + command
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            die("failed:", " ".join(self.command))
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def run(*command, pin=False):
    """Runs a program to its end: seconds by the wall clock and of the processor, most bytes of memory, what it wrote.

    The kernel counts the memory of this interpreter, of which the program begins as a copy: some 18 MB are the least it says.
    """
    command = (["taskset", "-c", str(core)] if pin else []) + [str(c) for c in command]
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as err:
        p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, text=True)
        out = p.stdout.read()
        _, status, usage = os.wait4(p.pid, 0)
        wall = time.perf_counter() - start
        p.returncode = os.waitstatus_to_exitcode(status)
        if p.returncode:
            err.seek(0)
            die(f"status {p.returncode} of: {' '.join(command)}", err.read())
    return {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "rss_bytes": usage.ru_maxrss * 1024, "out": out}


def by_turns(*parts):
    """A warm-up, then rounds of A B B A ...; a list of results for each part."""
    results = [[] for _ in parts]
    for i in range(args.rounds + 1):
        for k in range(len(parts))[::-1 if i % 2 else 1]:
            result = parts[k]()
            if i:
                results[k].append(result)
    return results


def median(results, key):
    return statistics.median(r[key] for r in results)


def ratio(ours, theirs, key):
    return statistics.median(a[key] / b[key] for a, b in zip(ours, theirs))


# ---- telling ------------------------------------------------------------------------------------------------------------

figures = []


def figure(name, value, unit, goal=None, least=False, **more):
    """goal: the most that value may be, or with least the least that it may be; value None: not measured, more says why."""
    met = None if goal is None or value is None else value >= goal if least else value <= goal
    figures.append({"figure": name, "value": value, "unit": unit, "goal": goal, "goal_is": "least" if least else "most", "met": met, **more})
    print(json.dumps(figures[-1]), flush=True)


def rounded(x):
    return "-" if x is None else f"{x:.3g}" if abs(x) < 1000 else f"{x:,.0f}"


def table():
    rows = [("figure", "value", "goal", "", "beside")]
    for f in figures:
        goal = "" if f["goal"] is None else (">= " if f["goal_is"] == "least" else "<= ") + rounded(f["goal"])
        met = {True: "met", False: "MISSED", None: "skipped" if f["value"] is None else ""}[f["met"]]
        beside = ", ".join(f"{k} {rounded(v) if isinstance(v, (int, float)) else v}" for k, v in f.items()
                           if k not in ("figure", "value", "unit", "goal", "goal_is", "met"))
        rows.append((f["figure"], f"{rounded(f['value'])} {f['unit']}", goal, met, beside))
    widths = [max(len(r[i]) for r in rows) for i in range(4)]
    print()
    for r in rows:
        print("  ".join([r[0].ljust(widths[0]), r[1].rjust(widths[1]), r[2].rjust(widths[2]), r[3].ljust(widths[3]), r[4]]).rstrip())


# ---- the peer -----------------------------------------------------------------------------------------------------------


def peer(query, setup="", pin=True):
    return Rounds(args.bin / "peer_duckdb", args.peer, setup, query, pin=pin)


def peer_value(query):
    with peer(query) as p:
        return p()["value"]


def read_csv(path, columns):
    types = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
    return f"read_csv('{path}', header = true, auto_detect = false, columns = {{{types}}})"


def same_rows(what, path, oracle, columns):
    """Ends everything when the rows of two CSV files differ, as bags of typed rows."""
    a, b = (f"(SELECT * FROM {read_csv(p, columns)})" for p in (path, oracle))
    differing = int(peer_value(f"SELECT COUNT(*) FROM (({a} EXCEPT ALL {b}) UNION ALL ({b} EXCEPT ALL {a}))"))
    rows = int(peer_value(f"SELECT COUNT(*) FROM {b}"))
    if differing or not rows:
        die(f"{what}: WRONG ROWS: {differing} rows are in one of {path} and {oracle} only ({rows} expected)")
    print(f"{what}: {rows} rows, equal to the peer's", flush=True)


# ---- scripts ------------------------------------------------------------------------------------------------------------


def source(name, columns, path, kind, watermark=""):
    declared = ", ".join(f"{column} {t}" for column, t in columns.items())
    return f"CREATE SOURCE {name} ({declared}{watermark}) FROM FILE (path = '{path}', format = '{kind}');\n"


def script(name, text):
    path = args.out / f"{name}.sql"
    path.write_text(text)
    return path


def flights_source():
    return source("flights", FLIGHTS, args.flights, "csv", ", WATERMARK FOR ts AS ts - INTERVAL '1' MINUTE")


def count_lines(path):
    with open(path, "rb") as f:
        return sum(block.count(b"\n") for block in iter(lambda: f.read(1 << 20), b""))


# ---- the figures ----------------------------------------------------------------------------------------------------------


def csv_to_blackhole():
    sums = "COUNT(*), SUM(delay), SUM(distance), SUM(LENGTH(origin)), SUM(LENGTH(destination)), MIN(ts), MAX(ts)"
    got = run(args.laminar, "--format", "csv", "-c", flights_source() + f"SELECT {sums} FROM flights")["out"].splitlines()[-1]
    if args.peer:
        want = peer_value(f"SELECT concat_ws(',', {sums}) FROM {read_csv(args.flights, FLIGHTS)}")
        if got != want:
            die(f"csv_to_blackhole: WRONG SUMS {got}, the peer has {want}")
    rows = count_lines(args.flights) - 1
    if int(got.split(",")[0]) != rows:
        die(f"csv_to_blackhole: WRONG COUNT {got} of {rows} rows")
    sql = script("csv", flights_source() + "CREATE SINK out FROM flights INTO BLACKHOLE;\n")
    ours, = by_turns(lambda: run(args.laminar, "run", sql, pin=True))
    figure("csv_to_blackhole", rows / median(ours, "cpu_s"), "rows/cpu-s", 10e6, least=True, mb_per_cpu_s=
           os.path.getsize(args.flights) / 1e6 / median(ours, "cpu_s"))


def json_to_blackhole():
    bids = source("bids", BIDS, args.bids, "json")
    sums = "COUNT(*), SUM(auction + bidder + price + LENGTH(channel) + LENGTH(url) + LENGTH(extra))"
    got = run(args.laminar, "--format", "csv", "-c", bids + f"SELECT {sums} FROM bids")["out"].splitlines()[-1].split(",")
    sql = script("json", bids + "CREATE SINK out FROM bids INTO BLACKHOLE;\n")
    with Rounds(args.bin / "bare_bids", args.bids) as bare:
        floor = bare()
        rows = floor["rows"]
        if [int(x) for x in got] != [rows, int(floor["value"]) - TIME_BYTES * rows]:
            die(f"json_to_blackhole: WRONG SUMS {got}, the bare loop has {rows} rows and {floor['value']}")
        ours, theirs = by_turns(lambda: run(args.laminar, "run", sql, pin=True), bare)
    figure("json_to_blackhole", 1 / ratio(ours, theirs, "cpu_s"), "of bare simdjson", 0.7, least=True,
           rows_per_cpu_s=rows / median(ours, "cpu_s"), bare_rows_per_cpu_s=rows / median(theirs, "cpu_s"))


def pushed(load, query, columns):
    if args.peer:
        ours, theirs = args.out / f"push-{load}.csv", args.out / f"push-{load}-peer.csv"
        run(args.bin / "push", load, args.flights, ours)
        peer_value(f"COPY ({query.format(read_csv(args.flights, FLIGHTS))}) TO '{theirs}' (HEADER)")
        same_rows(f"push {load}", ours, theirs, columns)
    return Rounds(args.bin / "push", load, args.flights)


def push_filter():
    with pushed("filter", FILTER_PEER, FILTERED) as push:
        ours, = by_turns(push)
    figure("push_filter_project", ours[0]["rows"] / median(ours, "cpu_s"), "rows/cpu-s", 40e6, least=True,
           wall_rows_per_s=ours[0]["rows"] / median(ours, "wall_s"))


def push_daily():
    with pushed("daily", DAILY_PEER, DAILY) as push:
        if not args.peer:
            ours, = by_turns(push)
            figure("push_daily", None, "of DuckDB's speed", 1, least=True, rows_per_cpu_s=ours[0]["rows"] / median(ours, "cpu_s"), why="no DuckDB")
            return
        with peer(DAILY_PEER.format("flights"), f"CREATE TABLE flights AS SELECT * FROM {read_csv(args.flights, FLIGHTS)}") as duckdb:
            ours, theirs = by_turns(push, duckdb)
    rows = ours[0]["rows"]
    figure("push_daily", 1 / ratio(ours, theirs, "cpu_s"), "of DuckDB's speed", 1, least=True, rows_per_cpu_s=rows / median(ours, "cpu_s"),
           duckdb_rows_per_cpu_s=rows / median(theirs, "cpu_s"))


def flights_query():
    out, oracle = args.out / "daily.csv", args.out / "daily-peer.csv"
    sql = script("flights", flights_source() + DAILY_STREAM + f"\nCREATE SINK out FROM daily INTO FILE (path = '{out}', format = 'csv');\n")
    ours_once = lambda: run(args.laminar, "run", sql)
    if args.peer:
        copy = f"COPY ({DAILY_PEER.format(read_csv(args.flights, FLIGHTS))}) TO '{oracle}' (HEADER)"
        with peer(copy, pin=False) as duckdb:
            ours_once(), duckdb()
            same_rows("flights query", out, oracle, DAILY)
            ours, theirs = by_turns(ours_once, duckdb)
        figure("flights_query", ratio(ours, theirs, "wall_s"), "of DuckDB's time", 0.7, wall_s=median(ours, "wall_s"),
               duckdb_wall_s=median(theirs, "wall_s"), cpu_s=median(ours, "cpu_s"), duckdb_cpu_s=median(theirs, "cpu_s"))
    else:
        ours, = by_turns(ours_once)
        figure("flights_query", None, "of DuckDB's time", 0.7, wall_s=median(ours, "wall_s"), why="no DuckDB")
    figure("flights_query_rss", median(ours, "rss_bytes") / 1e6, "MB", 100)


def embedding():
    ours, = by_turns(lambda: run(args.laminar, "-c", "SELECT 1"))
    figure("cli_select_1", median(ours, "wall_s") * 1e3, "ms", 20, cpu_ms=median(ours, "cpu_s") * 1e3)
    with Rounds(args.bin / "push", "open") as opened:
        first = opened()
        ours, = by_turns(opened)
    figure("open_to_first_result", median(ours, "wall_s") * 1e3, "ms", 5, first_ms=first["wall_s"] * 1e3)
    stripped = args.out / "liblaminar.so"
    run("strip", "--strip-unneeded", "-o", stripped, args.library)
    figure("library_size", os.path.getsize(stripped) / 1e6, "MB", 5, with_debug_mb=os.path.getsize(args.library) / 1e6)


def latency():
    r = json.loads(subprocess.run([args.bin / "latency"], check=True, capture_output=True, text=True).stdout)
    figure("latency_p50", r["p50_us"], "us", 100, bare_us=r["bare_p50_us"], ratio=r["p50_ratio"])
    for share, goal in ("p50", 2), ("p90", 2), ("p99", 1.5):
        figure(f"latency_{share}_ratio", r[f"{share}_ratio"], "of two futex hops", goal, us=r[f"{share}_us"], bare_us=r[f"bare_{share}_us"])


def change():
    r = json.loads(subprocess.run([args.bin / "change"], check=True, capture_output=True, text=True).stdout)
    figure("change_gap_over_probe", r["over_ms"], "ms", 1, gap_ms=r["gap_ms"], probe_ms=r["probe_ms"], changes_per_s=r["changes_per_s"])


def wake():
    r = json.loads(subprocess.run([args.bin / "wake"], check=True, capture_output=True, text=True).stdout)
    figure("wake_p50_ratio", r["p50_ratio"], "of a bare futex wake", 2, us=r["p50_us"], bare_us=r["bare_p50_us"])


def fanout():
    r = json.loads(subprocess.run([args.bin / "fanout"], check=True, capture_output=True, text=True).stdout)
    figure("fanout", r["per_core_s"], "deliveries/s/core", 5e6, least=True, with_graph_per_cpu_s=r["per_cpu_s"],
           rows_per_core_s=r["rows_per_core_s"], bare_per_core_s=r["bare_per_core_s"])


def idle():
    r = json.loads(subprocess.run([args.bin / "idle"], check=True, capture_output=True, text=True).stdout)
    figure("idle_cpu", r["cpu_s_per_min"], "CPU s/min", 0.05, queries=r["queries"])
    figure("idle_switches", r["switches_per_s"], "/s", 10, queries=r["queries"])


def half_load():
    r = json.loads(subprocess.run([args.bin / "half_load"], check=True, capture_output=True, text=True).stdout)
    figure("half_load_p99", r["p99_us"], "us", 200, p50_us=r["p50_us"], rows_per_s=r["capacity_rows_per_s"] / 2,
           probe_longest_us=r["probe_longest_us"], probe_gaps_per_s=r["probe_gaps_per_s"])


def sinks_parallel():
    r = json.loads(subprocess.run([args.bin / "sinks", "parallel"], check=True, capture_output=True, text=True).stdout)
    figure("sinks_parallel", r["all_ms"], "ms", 1.2 * r["each_ms"], sinks=r["sinks"], one_ms=r["one_ms"])


def slow_sink():
    for policy in [[], ["spill"], ["drop_oldest"], ["error"]]:
        r = json.loads(subprocess.run([args.bin / "sinks", "slow", "9", *policy], check=True, capture_output=True, text=True).stdout)
        figure("_".join(["slow_sink_p99_ratio", *policy]), r["p99_ratio"], "beside one that hangs", 1.2, alone_us=r["alone_p99_us"],
               beside_us=r["beside_p99_us"])


parts = [csv_to_blackhole, json_to_blackhole, push_filter, push_daily, flights_query, embedding, latency, change, wake, fanout, idle,
         half_load, sinks_parallel, slow_sink]
parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
for name in ("bin", "laminar", "library", "flights", "bids", "peer", "out"):
    parser.add_argument("--" + name, type=pathlib.Path, required=True)
parser.add_argument("--rounds", type=int, default=7)
parser.add_argument("only", nargs="*", metavar="PART", help=" ".join(f.__name__ for f in parts))
args = parser.parse_args()
core = max(os.sched_getaffinity(0))
if not args.peer.exists():
    print("bench: DuckDB is not here: rows are not compared and figures beside it are skipped", file=sys.stderr)
    args.peer = None
for part in parts:
    if not args.only or part.__name__ in args.only:
        part()
table()
with open(args.out / "figures.jsonl", "w") as f:
    f.writelines(json.dumps(x) + "\n" for x in figures)
