#!/usr/bin/python3
"""The PostgreSQL sink beside libpq alone: postgres.py BUILD [ROUNDS]. SPDX-License-Identifier: Apache-2.0"""
import json
import os
import statistics
import subprocess
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "../../tests/connectors"))
from postgres_server import Server, bindir

if not bindir():
    sys.exit("postgres: skipped: PostgreSQL is not installed (Debian: postgresql-15)")
build = os.path.abspath(sys.argv[1])
rounds = sys.argv[2] if len(sys.argv) > 2 else "5"
server = Server()
try:
    run = lambda n: subprocess.run([build + "/bench/postgres", build + "/modules/postgres.so", server.folder, str(server.port), n], check=True, capture_output=True, text=True, timeout=600).stdout
    run("1")  # what came, before anything is timed
    all_rows = lambda t: server.psql(f"SELECT count(*), md5(string_agg({t}::text, '|' ORDER BY id)) FROM {t}")
    want = all_rows("raw")
    for table in ["parts", "sink", "through"]:
        if all_rows(table) != want:
            sys.exit(f"postgres: {table} does not hold the same rows: {all_rows(table)}, not {want}")
    lines = [json.loads(line) for line in run(rounds).split("\n") if line]
finally:
    server.done()
for line in lines:
    print(json.dumps(line))
median = {w: statistics.median(x["rows_per_cpu_s"] for x in lines if x["way"] == w) for w in ["libpq", "libpq.8192", "sink", "database"]}
wall = {w: statistics.median(x["wall_s"] for x in lines if x["way"] == w) for w in median}
print(json.dumps({"bench": "postgres", "median_rows_per_cpu_s": median, "median_wall_s": wall, 
                  **{f"{a}_by_{b}": round(median[a] / median[b], 2) for a in ["sink", "database"] for b in ["libpq", "libpq.8192"]}}))
