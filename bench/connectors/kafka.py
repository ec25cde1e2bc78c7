#!/usr/bin/python3
"""Kafka's source and sink beside librdkafka alone: kafka.py BUILD [ROUNDS [ROWS]]. SPDX-License-Identifier: Apache-2.0"""
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "../../tests/connectors"))
from kafka_broker import Broker, missing

build = os.path.abspath(sys.argv[1])
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
rows = int(sys.argv[3]) if len(sys.argv) > 3 else 1000000
if missing(build):
    sys.exit(f"kafka: skipped: there is no {missing(build)}")
broker = Broker(build)


def one(way, topic, n=rows):
    args = [build + "/bench/kafka", build + "/modules/kafka.so", broker.address, topic, way, str(n)]
    return json.loads(subprocess.run(args, check=True, capture_output=True, text=True, timeout=300).stdout)


def database(topic):
    """The whole program: SELECT count(*)."""
    sql = f"CREATE SOURCE r (t BLOB) FROM KAFKA (bootstrap.servers = '{broker.address}', topic = '{topic}', format = 'raw', bounded = 'true'); SELECT count(*) AS n FROM r;"
    env = {**os.environ, "LAMINAR_MODULES": build + "/modules"}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    out = subprocess.run([build + "/laminar", "-c", sql], check=True, capture_output=True, text=True, timeout=300, env=env).stdout
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - began
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    n = int([w for w in out.replace("|", " ").split() if w.isdigit()][0])
    return {"way": "consume.database", "rows": n, "wall_s": round(wall, 3), "cpu_s": round(cpu, 3), "rows_per_cpu_s": round(n / cpu)}


try:
    hashes = {}
    for way in ("produce.raw", "produce.sink"):  # what came, before anything is timed
        broker.topic("check." + way)
        one(way, "check." + way, 20480)
        hashes[way] = hashlib.sha256(broker.read("check." + way, "%k %s\\n").encode()).hexdigest()
    if len(set(hashes.values())) != 1:
        sys.exit(f"kafka: the messages are not the same: {hashes}")
    broker.topic("full")
    full = one("produce.raw", "full")["rows"]
    lines = []
    for i in range(rounds):
        ways = ["produce.raw", "produce.sink", "consume.raw", "consume.source"]
        for way in ways if i % 2 else ways[::-1]:
            topic = "full"
            if way.startswith("produce"):
                topic = f"{way}.{i}"
                broker.topic(topic, retention__bytes=1 << 28)
            lines.append(one(way, topic))
            print(json.dumps(lines[-1]), flush=True)
        lines.append(database("full"))
        if lines[-1]["rows"] != full:
            sys.exit(f"kafka: counted {lines[-1]['rows']} of {full}")
        print(json.dumps(lines[-1]), flush=True)
finally:
    broker.done()
median = {w: statistics.median(x["rows_per_cpu_s"] for x in lines if x["way"] == w) for w in sorted({x["way"] for x in lines})}
wall = {w: statistics.median(x["wall_s"] for x in lines if x["way"] == w) for w in median}
print(json.dumps({"bench": "kafka", "median_rows_per_cpu_s": median, "median_wall_s": wall,
                  "sink_by_raw": round(median["produce.sink"] / median["produce.raw"], 2),
                  "source_by_raw": round(median["consume.source"] / median["consume.raw"], 2),
                  "database_by_raw": round(median["consume.database"] / median["consume.raw"], 2)}))
