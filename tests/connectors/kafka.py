#!/usr/bin/python3
"""Kafka's source and sink against a real broker. kafka.py BUILD [PATTERN]: cases whose names contain PATTERN.
SPDX-License-Identifier: Apache-2.0"""
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kafka_broker import Broker, free_ports, missing

BUILD = os.path.abspath(sys.argv[1])
PATTERN = sys.argv[2] if len(sys.argv) > 2 else ""
cases = []


def case(f):
    cases.append(f)
    return f


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}\n   got {got!r}\n  want {want!r}")


def holds(text, *parts):
    for p in parts:
        if p not in text:
            raise AssertionError(f"{p!r} is not in\n{text}")


def wait_until(what, f, seconds=60):
    end = time.monotonic() + seconds
    while not f():
        if time.monotonic() > end:
            raise AssertionError("never: " + what)


class World:
    """A folder, a broker and the program."""

    def __init__(self):
        self.broker = Broker(BUILD)
        self.folder = tempfile.mkdtemp(prefix="laminar-kafka-test.")
        self.said = []  # all that the program ever printed
        self.started = []

    def options(self, topic, **more):
        o = {"bootstrap.servers": self.broker.address, "topic": topic, **{k.replace("__", "."): v for k, v in more.items()}}
        return ", ".join(f"{k} = '" + str(v).replace("'", "''") + "'" for k, v in o.items() if v is not None)

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def start(self, sql, args=(), env=None):
        script = self.file(f"script{len(self.started)}.sql", sql)
        environment = {**os.environ, "LAMINAR_MODULES": BUILD + "/modules", **(env or {})}
        p = subprocess.Popen([BUILD + "/laminar", "run", script, *args], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, env=environment)
        self.started.append(p)
        return p

    def finish(self, p, timeout=90):
        try:
            out, err = p.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            out, err = p.communicate()
            raise AssertionError(f"not finished after {timeout} s\n{out}{err}")
        self.said += [out, err]
        return p.returncode, out, err

    def run(self, sql, args=(), env=None, ok=True, timeout=90):
        rc, out, err = self.finish(self.start(sql, args, env), timeout)
        if ok and rc:
            raise AssertionError(f"status {rc}\n{out}{err}")
        return out if ok else (rc, out + err)

    def done(self):
        for p in self.started:
            if p.poll() is None:
                p.kill()
        self.broker.done()
        shutil.rmtree(self.folder)


def sink(w, topic, source="t", **options):
    return f"CREATE SINK s FROM {source} INTO KAFKA ({w.options(topic, **options)});"


def lines(w, name, rows):
    w.file(name, "".join(json.dumps(r) + "\n" for r in rows))
    return f"FROM FILE (path = '{name}', format = 'json');"


# ---- the sink --------------------------------------------------------------------------------------------------------


@case
def sink_keys_as_java(w):
    """The partitions that Java's clients choose, which librdkafka's consumers of them know by the same hash: fixed examples of murmur2."""

    def murmur2(data):
        m, n = 0x5BD1E995, len(data)
        h = 0x9747B28C ^ n
        for i in range(0, n - n % 4, 4):
            k = int.from_bytes(data[i:i + 4], "little") * m & 0xFFFFFFFF
            k = (k ^ k >> 24) * m & 0xFFFFFFFF
            h = h * m & 0xFFFFFFFF ^ k
        rest = data[n - n % 4:]
        if rest:
            h = (h ^ int.from_bytes(rest, "little")) * m & 0xFFFFFFFF
        h = (h ^ h >> 13) * m & 0xFFFFFFFF
        return (h ^ h >> 15) & 0x7FFFFFFF

    equal(murmur2(b"21") & 0xFFFFFFFF, -973932308 & 0x7FFFFFFF, "this test's own hash")
    w.broker.topic("keys", 7)
    rows = [{"k": k, "i": i} for i, k in enumerate((["21", "foobar", "a-little-bit-long-string", "äöü", ""] + [f"key{i}" for i in range(200)]) * 3)]
    w.run("CREATE SOURCE t (k VARCHAR, i BIGINT) " + lines(w, "keys.jsonl", rows) + sink(w, "keys", key__column="k"))
    order = collections.defaultdict(list)
    got = [m.split("\t") for m in w.broker.read("keys", "%p\\t%k\\t%s\\n").splitlines()]
    equal(len(got), len(rows), "messages")
    for partition, key, value in got:
        equal(int(partition), murmur2(key.encode()) % 7, "partition of " + key)
        equal(json.loads(value)["k"], key, "key")
        order[key].append(json.loads(value)["i"])
    for key, numbers in order.items():
        equal(numbers, sorted(numbers), "order of " + key)


@case
def sink_partitioners(w):
    w.broker.topic("robin", 4)
    w.broker.topic("sticky", 4)
    source = "CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = 4000);"
    w.run(source + sink(w, "robin", key__column="k", partitioner="round-robin"))
    count = collections.Counter(w.broker.read("robin", "%p\\n").split())
    equal(sorted(count), ["0", "1", "2", "3"])
    if max(count.values()) - min(count.values()) > 40:
        raise AssertionError(f"round robin is not even: {count}")
    w.run(source + sink(w, "sticky", key__column="k", partitioner="sticky"))
    got = sorted((int(m.split()[1]), m.split()[0]) for m in w.broker.read("sticky", "%p %k\\n").splitlines())
    equal(len(got), 4000, "messages")
    changes = sum(a[1] != b[1] for a, b in zip(got, got[1:]))
    if changes > 40:
        raise AssertionError(f"sticky changes {changes} times")


@case
def sink_own_columns(w):
    rows = [{"_key": "a", "_headers": '{"h": "x\\"\\u00e4", "n": 7, "none": null}', "_timestamp": "2024-01-02 03:04:05.678", "_partition": 1, "v": 1},
            {"_key": None, "_headers": None, "_timestamp": None, "_partition": 0, "v": 2}]
    w.broker.topic("own", 2)
    w.run("CREATE SOURCE t (_key VARCHAR, _headers VARCHAR, _timestamp TIMESTAMP, _partition INTEGER, v BIGINT) " + lines(w, "own.jsonl", rows) +
          "CREATE STREAM u AS SELECT _key::BLOB AS _key, _headers::JSON AS _headers, _timestamp::TIMESTAMPTZ AS _timestamp, _partition, v FROM t;" +
          sink(w, "own", "u"))
    got = sorted(w.broker.read("own", "%p|%k|%h|%T|%s\\n").splitlines())
    equal(got[1], '1|a|h=x"ä,n=7,none=NULL|1704164645678|{"v":1}')
    holds(got[0], "0||", '|{"v":2}')


@case
def sink_poison(w):
    """What can never be taken is found before it is sent: by the options, by the topic's limit, by the topic being compacted."""
    rows = [{"k": "a", "t": "x"}, {"k": "b", "t": "y" * 5000}, {"k": None, "t": "z"}, {"k": "c", "t": "x"}]
    source = "CREATE SOURCE t (k VARCHAR, t VARCHAR) " + lines(w, "poison.jsonl", rows)
    w.broker.topic("small", max__message__bytes=3000)
    w.broker.topic("compacted", cleanup__policy="compact")
    w.broker.topic("large")
    for topic, options, want in (("small", {}, "a-c"), ("compacted", {}, "abc"), ("large", {"message.max.bytes": 3000}, "a-c")):
        rc, said = w.run(source + sink(w, topic, key__column="k", **options), ok=False)
        keys = "".join(k or "-" for k in w.broker.read(topic, "%k\\n").split("\n")[:-1])
        equal(keys, want, topic + "\n" + said)


@case
def sink_tombstones(w):
    """Rows of a changelog: the last message of a key is its row, or none."""
    w.broker.topic("upsert", 2)
    rows = [{"k": i % 5, "v": i} for i in range(1000)]
    w.run("CREATE SOURCE t (k BIGINT, v BIGINT) " + lines(w, "up.jsonl", rows) +
          "CREATE STREAM u AS SELECT k, sum(v) AS v, count(*) AS n FROM t GROUP BY k;" + sink(w, "upsert", "u", key__column="k"))
    last, dead = {}, 0
    for m in w.broker.read("upsert", "%k|%S|%s\\n").splitlines():
        key, size, value = m.split("|")
        dead += size == "-1"
        last[int(key)] = None if size == "-1" else json.loads(value)
    equal(last, {k: {"k": k, "v": sum(range(k, 1000, 5)), "n": 200} for k in range(5)}, "last message of each key")


@case
def sink_compressions(w):
    source = "CREATE SOURCE t (k BIGINT, t VARCHAR) FROM GENERATOR (rows = 3000);"
    for c in ("gzip", "snappy", "lz4", "zstd"):
        w.broker.topic(c)
        w.run(source + sink(w, c, compression__type=c))
        equal([json.loads(m)["k"] for m in w.broker.read(c).splitlines()], list(range(3000)), c)


@case
def sink_broker_killed(w):
    """Killed and started again in the middle of a run: nothing is lost, and each key's rows end with the last."""
    n = 30000
    w.broker.topic("outage", 3)
    p = w.start(f"CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = {n}, rows.per.second = 5000);" + sink(w, "outage", key__column="k"))
    wait_until("some rows", lambda: w.broker.read("outage", "%o\\n").count("\n") > 2000)
    w.broker.kill()
    w.broker.start()
    rc, out, err = w.finish(p)
    equal(rc, 0, err)
    got = collections.Counter(json.loads(m)["k"] for m in w.broker.read("outage").splitlines())
    equal(sorted(got), list(range(n)), "rows")


@case
def sink_delivery_timeout(w):
    """The broker is away for longer than delivery.timeout.ms: the rows are kept and sent by the next connection."""
    n = 15000
    w.broker.topic("away", 3)
    p = w.start(f"CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = {n}, rows.per.second = 5000);" + sink(w, "away", key__column="k", delivery__timeout__ms=1000))
    wait_until("some rows", lambda: w.broker.read("away", "%o\\n").count("\n") > 2000)
    w.broker.kill()
    time.sleep(3)  # the length of the outage
    w.broker.start()
    rc, out, err = w.finish(p)
    equal(rc, 0, err)
    got = collections.Counter(json.loads(m)["k"] for m in w.broker.read("away").splitlines())
    equal(sorted(got), list(range(n)), "rows")


@case
def refusals(w):
    source = "CREATE SOURCE t (k BIGINT, d DOUBLE) FROM GENERATOR (rows = 1);"
    for options, want in ((dict(ssl__ca__location="/x"), "options of ssl without TLS"),
                          (dict(sasl__username="u"), "options of sasl without SASL"),
                          (dict(security__protocol="sasl_ssl", sasl__username="u"), "SASL without mechanism, user or password"),
                          (dict(security__protocol="none"), "security.protocol"),
                          (dict(key__column="x"), "there is no column 'x' to be the key"),
                          (dict(key__column="d"), "the column 'd' cannot be a key"),
                          (dict(enable__idempotence="false"), "has no option 'enable.idempotence'"),
                          (dict(ssl__ca__location="/nowhere", security__protocol="ssl"), "/nowhere")):
        rc, said = w.run(source + sink(w, "no", **options), ok=False)
        if not rc:
            raise AssertionError(f"taken: {options}")
        holds(said, want)


@case
def secrets(w):
    """Planted where they belong; nothing that is said or written has them."""
    hush = {"sasl__password": "hush-4711", "ssl__key__password": "hush-4712"}
    source = "CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = 1);"
    w.run(source + sink(w, "no", security__protocol="sasl_ssl", sasl__mechanism="PLAIN", sasl__username="u", ssl__key__location="/nowhere", **hush), ok=False)
    w.run(source + sink(w, "no", sasl__password="hush-4713"), ok=False)
    out = w.run(source + sink(w, "no", security__protocol="sasl_plaintext", sasl__mechanism="PLAIN", sasl__username="u", sasl__password="hush-4714") +
                "SHOW CREATE SINK s; SHOW SINKS; DROP SINK s;", ok=False)[1]
    holds(out, "'***'")
    for said in w.said + [open(w.broker.folder + "/log").read()]:
        if "hush-47" in said:
            raise AssertionError("a secret in\n" + said)


def main():
    lacks = missing(BUILD)
    if lacks:
        print(f"kafka: SKIPPED, there is no {lacks}")
        return 0
    failed = []
    w = World()
    try:
        for f in cases:
            if PATTERN not in f.__name__:
                continue
            began = time.monotonic()
            try:
                f(w)
                if os.environ.get("VERBOSE"):
                    print(f"  {f.__name__} {time.monotonic() - began:.1f} s")
            except Exception as e:
                failed.append(f.__name__)
                print(f"FAILED kafka {f.__name__}: {e}")
    finally:
        w.done()
    print(f"kafka: {len([f for f in cases if PATTERN in f.__name__]) - len(failed)} passed, {len(failed)} failed")
    return bool(failed)


sys.exit(main())
