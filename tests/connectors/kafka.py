#!/usr/bin/python3
"""Kafka's source and sink against a real broker. kafka.py BUILD [PATTERN]: cases whose names contain PATTERN.
SPDX-License-Identifier: Apache-2.0"""
import collections
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
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
        raise AssertionError(f"{what}\n   got {got!r:.600}\n  want {want!r:.600}")


def holds(text, *parts):
    for p in parts:
        if p not in text:
            raise AssertionError(f"{p!r} is not in\n{text}")


def wait_until(what, f, seconds=60):
    end = time.monotonic() + seconds
    while not f():
        if time.monotonic() > end:
            raise AssertionError("never: " + (what() if callable(what) else what))


class World:
    """A folder, a broker and the program."""

    def __init__(self):
        self.broker = Broker(BUILD, secure={"user": "lam", "password": "hush-4715"})
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
def sink_partitions_that_are_not(w):
    """Rows for them are poison, and the cluster is not asked about each: who asks waits, and with him all that share the thread."""
    w.broker.topic("three", 3)
    said, asked = collections.defaultdict(bytes), collections.Counter()

    def heard(client, data):
        said[client] += data
        while len(said[client]) >= 6 and len(said[client]) >= 4 + int.from_bytes(said[client][:4], "big"):
            asked[int.from_bytes(said[client][4:6], "big")] += 1
            said[client] = said[client][4 + int.from_bytes(said[client][:4], "big"):]

    rows = [{"_partition": 1 if v % 2 else 9, "v": v} for v in range(4000)]
    w.broker.proxy.heard = heard
    _, why = w.run("CREATE SOURCE t (_partition INTEGER, v BIGINT) " + lines(w, "three.jsonl", rows) +
                   sink(w, "three", bootstrap__servers=w.broker.proxy.address), ok=False)
    w.broker.proxy.heard = None
    holds(why, "rows dropped: 2000 ", "the topic 'three' has no partition 9")
    equal(w.broker.count("three", 1), 2000, "the others")
    metadata = asked[3]
    if not 0 < metadata < 500:
        raise AssertionError(f"asked {metadata} times")


@case
def sink_dead_letters(w):
    """Rows that can never be taken go to a topic, with all that they were and why; what that topic cannot take goes to the stream of dead letters."""
    w.broker.topic("picky", 2, cleanup__policy="compact", max__message__bytes=3000)
    w.broker.topic("dead", 1, max__message__bytes=20000)
    rows = [{"_key": "a", "t": "good"}, {"_key": None, "t": "no key"}, {"_key": "b", "t": "y" * 5000}, {"_key": "c", "t": "far", "_partition": 7},
            {"_key": "d", "t": "bad", "_headers": "[1]"}, {"_key": "e", "t": "old", "_timestamp": "1960-01-01 00:00:00"}, {"_key": "f", "t": "z" * 30000},
            {"_key": "g", "t": "good"}]
    sql = ("CREATE SOURCE t (_key VARCHAR, _headers VARCHAR, _timestamp TIMESTAMP, _partition INTEGER, t VARCHAR) " + lines(w, "picky.jsonl", rows) +
           "CREATE STREAM u AS SELECT _key::BLOB AS _key, _headers::JSON AS _headers, _timestamp::TIMESTAMPTZ AS _timestamp, _partition, t FROM t;" +
           "CREATE STREAM letters (t VARCHAR, error VARCHAR, sink VARCHAR); CREATE SINK l FROM letters INTO FILE (path = 'letters.jsonl', format = 'json');")
    w.run(sql + sink(w, "picky", "u", dlq__topic="dead", dead_letter="letters"))
    equal(sorted(w.broker.read("picky", "%k\\n").split()), ["a", "g"])
    got = {m.split("|")[0] or "-": m.split("|")[1:] for m in w.broker.read("dead", "%k|%h|%s\\n").splitlines()}
    equal(sorted(got), ["-", "b", "c", "d", "e"])
    for key, (why, text) in {"-": ("a row without a key for a topic that is compacted", "no key"), "b": ("a message of 5009 bytes, and the topic 'picky' takes 3000", "y" * 5000),
                             "c": ("the topic 'picky' has no partition 7", "far"), "d": ("_headers is no object of texts", "bad"),
                             "e": ("a message's time is after 1970", "old")}.items():
        holds(got[key][0], "laminar.error=" + why, "laminar.topic=picky", "laminar.sink=s")
        equal(json.loads(got[key][1]), {"t": text}, key)
    holds(got["c"][0], "laminar.partition=7")
    holds(got["d"][0], "laminar.headers=[1]")
    holds(got["e"][0], "laminar.timestamp.us=-315619200000000")
    letters = rows_of(w, "letters.jsonl")
    equal([(x["t"], x["sink"]) for x in letters], [("z" * 30000, "s")])
    holds(letters[0]["error"], "and the topic 'picky' takes 3000")


@case
def sink_dead_letters_lost(w):
    """A topic of dead letters that takes nothing stops the sink with the row in it: it is neither lost nor passed over."""
    rows = [{"k": "a", "t": "x"}, {"k": "b", "t": "y" * 5000}, {"k": "c", "t": "x"}]
    sql = "CREATE SOURCE t (k VARCHAR, t VARCHAR) " + lines(w, "lost.jsonl", rows)
    w.broker.topic("short", max__message__bytes=3000)
    rc, said = w.run(sql + sink(w, "short", key__column="k", dlq__topic="no such topic") + "SHOW SINKS;", ok=False)
    equal(rc, 1, said)
    holds(said, "no such topic")
    rc, said = w.run(sql + sink(w, "short", key__column="k", dlq__topic="short"), ok=False)
    equal(rc, 1, said)
    holds(said, "dlq.topic is the topic 'short' itself")
    w.run(sql + sink(w, "short", key__column="k", dlq__topic="made"))  # the broker makes it
    equal(w.broker.read("made", "%k\\n").split(), ["b"])


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
    wait_until("some rows", lambda: w.broker.count("outage") > 700)
    equal(p.poll(), None, "it runs")
    w.broker.kill()
    w.broker.start()
    rc, out, err = w.finish(p)
    equal(rc, 0, err)
    got = collections.Counter(json.loads(m)["k"] for m in w.broker.read("outage").splitlines())
    equal(sorted(got), list(range(n)), "rows")


@case
def sink_refused(w):
    """What a broker refuses in spite of all stops the sink, which says so; nothing is left out in silence."""
    w.broker.topic("refused")
    p = w.start("CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = 50000, rows.per.second = 5000);" + sink(w, "refused", linger__ms=50))
    wait_until("some rows", lambda: w.broker.count("refused") > 1000)
    equal(p.poll(), None, "it runs")
    w.broker.alter("refused", max__message__bytes=200)
    rc, out, err = w.finish(p)
    equal(bool(rc), True, err)
    holds(err, "the topic 'refused' took not all", "nothing is lost")
    got = [json.loads(m)["k"] for m in w.broker.read("refused").splitlines()]
    equal(got, list(range(len(got))), "rows before it")


@case
def sink_delivery_timeout(w):
    """The broker is away for longer than delivery.timeout.ms: the rows are kept and sent by the next connection."""
    n = 15000
    w.broker.topic("away", 3)
    p = w.start(f"CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = {n}, rows.per.second = 5000);" + sink(w, "away", key__column="k", delivery__timeout__ms=1000))
    wait_until("some rows", lambda: w.broker.count("away") > 700)
    equal(p.poll(), None, "it runs")
    w.broker.kill()
    time.sleep(3)  # the length of the outage
    w.broker.start()
    rc, out, err = w.finish(p)
    equal(rc, 0, err)
    got = collections.Counter(json.loads(m)["k"] for m in w.broker.read("away").splitlines())
    equal(sorted(got), list(range(n)), "rows")


# ---- the source ------------------------------------------------------------------------------------------------------

TYPES = {
    "a SMALLINT": [-32768, 32767, None], "b INTEGER": [-2147483648, 2147483647, None], "c BIGINT": [-9223372036854775808, 9223372036854775807, None],
    "d REAL": [1.5, -0.25, None], "e DOUBLE": [0.1, -1.7976931348623157e308, None], "f BOOLEAN": [True, False, None],
    "g VARCHAR": ["", 'a "quoted", text\nof two lines, äöü 漢字 🙂', None], "h BLOB": ["\\x", "\\x00ff41", None], "i DATE": ["1970-01-01", "2000-02-29", None],
    "j TIME": ["00:00:00", "23:59:59.999999", None], "k TIMESTAMP": ["1999-12-31 23:59:59.999999", "2024-01-02 03:04:05", None],
    "l TIMESTAMPTZ": ["1970-01-01 00:00:00+00", "2024-01-02 03:04:05.5+00", None], "m INTERVAL": ["1 year 2 mons 3 days 04:05:06.789", "-00:00:00.000001", None],
    "n UUID": ["00000000-0000-0000-0000-000000000000", "12345678-9abc-def0-1234-56789abcdef0", None], "o DECIMAL(20,2)": ["0.01", "-99999999.99", None],
}


def source(w, columns, topic, name="r", **options):
    return f"CREATE SOURCE {name} ({columns}) FROM KAFKA ({w.options(topic, **{'bounded': 'true', **options})});"


def into(w, name, of="r", mode="replace"):
    return f"CREATE SINK o FROM {of} INTO FILE (path = '{name}', format = 'json', mode = '{mode}', flush.interval = '50 ms');"


def rows_of(w, name):
    with open(os.path.join(w.folder, name)) as f:
        return [json.loads(line) for line in f]


@case
def every_type(w):
    """Rows out and back are equal."""
    columns = ", ".join(TYPES)
    rows = [{t.split()[0]: v[i] for t, v in TYPES.items()} for i in range(3)]
    w.broker.topic("types")
    w.run(f"CREATE SOURCE t ({columns}) " + lines(w, "types.jsonl", rows) + sink(w, "types") +
          "CREATE SINK f FROM t INTO FILE (path = 'want.jsonl', format = 'json');")
    w.run(source(w, columns, "types") + into(w, "got.jsonl"))
    want = rows_of(w, "want.jsonl")
    equal(len(want), 3, "rows")
    equal(rows_of(w, "got.jsonl"), want)
    equal(want[2], dict.fromkeys(rows[0]), "NULLs")


@case
def other_formats(w):
    w.broker.topic("raw")
    w.broker.write("raw", "one\ntwo\nthree")
    w.run(source(w, "t VARCHAR", "raw", format="raw") + into(w, "raw.jsonl"))
    equal(rows_of(w, "raw.jsonl"), [{"t": t} for t in ("one", "two", "three")])
    w.broker.topic("csv")
    w.run("CREATE SOURCE t (k BIGINT, ts TIMESTAMP) FROM GENERATOR (rows = 10);" + sink(w, "csv", format="csv"))
    w.run(source(w, "k BIGINT, ts TIMESTAMP", "csv", format="csv") + into(w, "csv.jsonl"))
    equal([r["k"] for r in rows_of(w, "csv.jsonl")], list(range(10)))


@case
def own_columns(w):
    w.broker.topic("meta", 2)
    w.broker.write("meta", "a:{\"v\":1}", "-p", "1", "-K:", "-H", "h=x\"ä", "-H", "n=7", "-H", "none")
    w.broker.write("meta", ":{\"v\":2}\nb:", "-p", "0", "-K:", "-Z")
    stamps = {tuple(m.split()[:2]): m.split()[2] for m in w.broker.read("meta", "%p %o %T\n").splitlines()}
    w.run(source(w, "_key VARCHAR, _partition INTEGER, _offset BIGINT, _timestamp TIMESTAMPTZ, _headers JSON, _topic VARCHAR, v BIGINT", "meta") +
          "CREATE STREAM u AS SELECT _key, _partition, _offset, _timestamp AS at, _headers AS headers, _topic AS topic, v FROM r;" + into(w, "meta.jsonl", "u"))
    got = sorted(rows_of(w, "meta.jsonl"), key=lambda r: (r["_partition"], r["_offset"]))
    equal([(r["_key"], r["_partition"], r["_offset"], r["topic"], r["v"]) for r in got],
          [(None, 0, 0, "meta", 2), ("b", 0, 1, "meta", None), ("a", 1, 0, "meta", 1)])
    headers = got[2]["headers"]
    equal(json.loads(headers) if isinstance(headers, str) else headers, {"h": 'x"ä', "n": "7", "none": None}, "headers")
    equal(got[0]["headers"], None)
    for r in got:
        ms = int(stamps[str(r["_partition"]), str(r["_offset"])])
        holds(r["at"], time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(ms // 1000)))


@case
def start_modes(w):
    w.broker.topic("modes")
    w.broker.write("modes", "".join(f'{{"v":{i}}}\n' for i in range(10)))
    stamp = int(w.broker.read("modes", "%T\n").split()[-1])
    wait_until("the clock goes on", lambda: time.time() * 1000 > stamp + 1, 5)
    w.broker.write("modes", "".join(f'{{"v":{i}}}\n' for i in range(10, 20)))
    for options, want in (({}, range(20)), (dict(startup__mode="offsets", startup__specific__offsets="0:7"), range(7, 20)),
                          (dict(startup__mode="timestamp", startup__timestamp__ms=stamp + 1), range(10, 20)),
                          (dict(startup__mode="timestamp", startup__timestamp__ms=2 * stamp), []), (dict(startup__mode="latest"), [])):
        w.run(source(w, "v BIGINT", "modes", **options) + into(w, "modes.jsonl"))
        equal([r["v"] for r in rows_of(w, "modes.jsonl")], list(want), str(options))
    for options, want in ((dict(startup__mode="offsets", startup__specific__offsets="0:70"), "choose another startup.mode"),
                          (dict(startup__mode="offsets", startup__specific__offsets="0-7"), "partition:offset"),
                          (dict(startup__mode="offsets", startup__specific__offsets="3:7"), "there is no partition 3"),
                          (dict(startup__mode="timestamp"), "without startup.timestamp.ms")):
        rc, said = w.run(source(w, "v BIGINT", "modes", **options) + into(w, "modes.jsonl"), ok=False)
        equal(bool(rc), True, f"{options} {said}")
        holds(said, want)


@case
def topics(w):
    """Lists and patterns; each partition is a split of its own."""
    for name in ("many-1", "many-2", "few"):
        w.broker.topic(name, 3)
        w.run("CREATE SOURCE t (v BIGINT) " + lines(w, "n.jsonl", [{"v": i} for i in range(300)]) + sink(w, name, key__column="v"))
    for options, want in ((dict(topic="many-1, few"), {"many-1", "few"}), (dict(topic=None, topic__pattern="^many-[0-9]$"), {"many-1", "many-2"})):
        topic = options.pop("topic")
        w.run(source(w, "_topic VARCHAR, v BIGINT", topic, **options) + "CREATE STREAM u AS SELECT _topic AS t, v FROM r;" + into(w, "many.jsonl", "u"))
        got = collections.Counter((r["t"], r["v"]) for r in rows_of(w, "many.jsonl"))
        equal(got, collections.Counter((t, v) for t in want for v in range(300)))
    for options, want in ((dict(topic="none-such"), "there is no topic 'none-such'"), (dict(topic=None), "set one of topic and topic.pattern"),
                          (dict(topic=None, topic__pattern="^no"), "there is no topic '^no'"),
                          (dict(topic="few", fetch__max__wait__ms="30 s"), "fetch.max.wait.ms is not a second less"), (dict(topic=None, topic__pattern="["), "no regular expression")):
        topic = options.pop("topic")
        rc, said = w.run(source(w, "v BIGINT", topic, **options) + into(w, "many.jsonl"), ok=False)
        equal(bool(rc), True, said)
        holds(said, want)


def numbers(first, last):
    return "".join(f'{{"v":{i}}}\n' for i in range(first, last))


def got(w, name):
    return [r["v"] for r in rows_of(w, name)]


@case
def group_goes_on(w):
    """A group keeps the place between two databases: each run takes what is new, and tells the group when its sinks have it."""
    w.broker.topic("grouped", 1)
    options = {"group.id": "readers"}
    for n in (0, 1, 2):
        w.broker.write("grouped", numbers(10 * n, 10 * n + 10))
        w.run(source(w, "v BIGINT", "grouped", **options) + into(w, "grouped.jsonl"))
        equal(got(w, "grouped.jsonl"), list(range(10 * n, 10 * n + 10)), f"run {n}")
        equal(w.broker.group("readers"), {("grouped", 0): 10 * n + 10})
    w.run(source(w, "v BIGINT", "grouped", startup__mode="earliest", **options) + into(w, "grouped.jsonl"))
    equal(got(w, "grouped.jsonl"), list(range(30)), "another startup.mode")
    w.broker.set_group("readers", "grouped", 0, 25)
    w.run(source(w, "v BIGINT", "grouped", broker__commit__on__checkpoint="false", **options) + into(w, "grouped.jsonl"))
    equal(got(w, "grouped.jsonl"), list(range(25, 30)), "from where it was set to")
    equal(w.broker.group("readers"), {("grouped", 0): 25}, "not told")


@case
def group_without_a_place(w):
    w.broker.topic("fresh", 2)
    w.broker.write("fresh", numbers(0, 10), "-p", "0")
    w.broker.write("fresh", numbers(10, 20), "-p", "1")
    for n, (options, want) in enumerate((({}, range(20)), (dict(auto__offset__reset="earliest"), range(20)), (dict(offset_reset="latest"), []))):
        w.run(source(w, "v BIGINT", "fresh", group_id=f"new{n}", **options) + into(w, "fresh.jsonl"))
        equal(sorted(got(w, "fresh.jsonl")), list(want), str(options))
    rc, said = w.run(source(w, "v BIGINT", "fresh", group__id="none", auto__offset__reset="none") + into(w, "fresh.jsonl"), ok=False)
    equal(rc, 1, said)
    holds(said, "the group 'none' has no place in fresh/0", "auto.offset.reset")
    w.broker.set_group("some", "fresh", 1, 7)  # in one partition only
    w.run(source(w, "v BIGINT", "fresh", group__id="some") + into(w, "fresh.jsonl"))
    equal(sorted(got(w, "fresh.jsonl")), list(range(10)) + [17, 18, 19])
    for options, want in ((dict(startup__mode="group-offsets"), "without group.id"), (dict(auto__offset__reset="latest"), "does not go with this startup.mode"),
                          (dict(startup__timestamp__ms="5"), "does not go with this startup.mode"), (dict(startup__specific__offsets="0:5"), "does not go with")):
        rc, said = w.run(source(w, "v BIGINT", "fresh", **options) + into(w, "fresh.jsonl"), ok=False)
        equal(rc, 1, said)
        holds(said, want)


class Shell:
    """The program at a terminal, told statements while it runs."""

    def __init__(self, w):
        self.terminal, theirs = pty.openpty()
        environment = {**os.environ, "LAMINAR_MODULES": BUILD + "/modules", "TERM": "dumb", "HOME": w.folder}
        self.p = subprocess.Popen([BUILD + "/laminar"], cwd=w.folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True,
                                  preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(theirs)
        w.started.append(self.p)
        self.text = ""
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        try:
            while data := os.read(self.terminal, 65536):
                self.text += data.decode(errors="replace")
        except OSError:
            pass  # it has ended

    def tell(self, sql):
        """At the prompt: what is typed before is lost."""
        wait_until(lambda: "a prompt\n" + self.text, lambda: self.text.endswith("laminar> ") and not termios.tcgetattr(self.terminal)[3] & termios.ICANON)
        self.text += "\n"
        os.write(self.terminal, (sql + "\n").encode())

    def done(self):
        self.p.terminate()
        self.p.wait(timeout=30)


@case
def group_is_told(w):
    """While it runs: at a checkpoint, of what the sink has flushed; not of rows that lie in a window."""
    w.broker.topic("told", 1)
    w.broker.write("told", numbers(0, 10))
    s = Shell(w)
    s.tell(source(w, "v BIGINT", "told", bounded="false", group__id="plain") + into(w, "told.jsonl", mode="append"))
    s.tell(source(w, "v BIGINT, _timestamp TIMESTAMPTZ, WATERMARK FOR _timestamp", "told", name="q", bounded="false", group__id="counting") +
           "CREATE STREAM n AS SELECT window_start, count(*) AS n FROM q GROUP BY TUMBLE(_timestamp, INTERVAL '1' DAY);" + into(w, "counts.jsonl", "n", "append").replace("SINK o", "SINK c"))
    wait_until(lambda: "rows\n" + s.text, lambda: os.path.exists(w.folder + "/told.jsonl") and len(got(w, "told.jsonl")) == 10)
    s.tell("CHECKPOINT;")
    wait_until("the group is told", lambda: w.broker.group("plain") == {("told", 0): 10})
    w.broker.write("told", numbers(10, 15))
    wait_until("more rows", lambda: len(got(w, "told.jsonl")) == 15)
    s.tell("CHECKPOINT;")
    wait_until("the group is told again", lambda: w.broker.group("plain") == {("told", 0): 15})
    equal(w.broker.group("counting"), {}, "a count is kept in memory only")
    s.tell("SHOW SOURCES;")
    wait_until("ten rows were counted", lambda: re.search(r"q +│ kafka +│ json +│ _timestamp +│ \w+ +│ +15 ", s.text))
    s.done()


@case
def new_partitions(w):
    """Partitions and topics that are added while it reads are read from their beginning."""
    w.broker.topic("growing-1", 1)
    w.broker.write("growing-1", numbers(0, 10))
    p = w.start(source(w, "v BIGINT", None, topic__pattern="^growing-", bounded="false", metadata__max__age__ms="300") + into(w, "growing.jsonl", mode="append"))
    wait_until("rows", lambda: p.poll() is not None or (os.path.exists(w.folder + "/growing.jsonl") and len(got(w, "growing.jsonl")) == 10))
    w.broker.add_partitions("growing-1", 3)
    w.broker.write("growing-1", numbers(10, 20), "-p", "2")
    w.broker.topic("growing-2", 1)
    w.broker.write("growing-2", numbers(20, 30))
    wait_until("rows of new partitions", lambda: p.poll() is not None or sorted(got(w, "growing.jsonl")) == list(range(30)))
    w.broker.write("growing-1", numbers(30, 40), "-p", "2")
    wait_until("later rows", lambda: p.poll() is not None or sorted(got(w, "growing.jsonl")) == list(range(40)))
    equal(p.poll(), None, "it runs")
    p.terminate()
    w.finish(p)


@case
def silence_of_a_broker(w):
    """A partition without rows stops holding time back once it has nothing more, but not while its broker is away."""
    w.broker.topic("quiet", 2)
    path = w.folder + "/quiet.jsonl"
    windows = lambda: len(rows_of(w, "quiet.jsonl")) if os.path.exists(path) else 0
    stamp = lambda s: f'{{"ts":"2024-01-01 00:00:{s:02}"}}\n'
    w.broker.write("quiet", stamp(0), "-p", "0")
    w.broker.write("quiet", stamp(0), "-p", "1")

    def speak():
        """Partition 0 is awake, whatever the other does: if all were idle time would stand."""
        w.broker.write("quiet", stamp(5), "-p", "0")
        return p.poll() is not None or windows() == 1

    sql = (source(w, "ts TIMESTAMP, WATERMARK FOR ts", "quiet", bounded="false", idle__timeout="5 s") +
           "CREATE STREAM u AS SELECT window_start, count(*) AS n FROM r GROUP BY TUMBLE(ts, INTERVAL '1' SECOND);" + into(w, "quiet.jsonl", "u", "append"))
    p = w.start(sql, ["--workers", "1"])
    wait_until("partition 1 is idle", speak)
    w.broker.write("quiet", stamp(6), "-p", "1")
    w.broker.write("quiet", stamp(7), "-p", "0")
    wait_until("both are awake", lambda: p.poll() is not None or windows() == 2)
    equal(p.poll(), None, "it runs")
    w.broker.kill()
    time.sleep(7)  # longer than idle.timeout
    equal(windows(), 2, "windows while the broker is away")
    w.broker.start()
    w.broker.write("quiet", stamp(9), "-p", "0")
    wait_until("partition 1 is idle again", lambda: p.poll() is not None or windows() == 4)
    equal(p.poll(), None, "it runs")
    p.terminate()
    w.finish(p)


@case
def bad_values(w):
    """A value that cannot be read is that of one message only, which is named by its offset."""
    w.broker.topic("bad")
    w.broker.write("bad", '{"v":0}\n{"v":1}\n{"v":\n{"v":3}\n')
    out = w.run(source(w, "v BIGINT", "bad", on_error="skip") + into(w, "bad.jsonl") + "SHOW SOURCES;")
    equal([r["v"] for r in rows_of(w, "bad.jsonl")], [0, 1, 3], out)
    rc, said = w.run(source(w, "v BIGINT", "bad", on_error="fail") + into(w, "bad.jsonl"), ok=False)
    equal(bool(rc), True, said)
    holds(said, "bad/0", "2")


@case
def source_broker_killed(w):
    """Killed and started again while it is read, behind a reader that is slow: each row once, in order."""
    n = 30000
    w.broker.topic("read", 2)
    w.run(f"CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = {n});" + sink(w, "read", key__column="k"))
    w.broker.topic("copy", 1)
    p = w.start(source(w, "_partition INTEGER, k BIGINT", "read", queued__max__bytes=1024, max__partition__fetch__bytes=2000) +
                "CREATE STREAM u AS SELECT _partition AS p, k FROM r;" + into(w, "read.jsonl", "u", "append"))
    wait_until("some rows", lambda: p.poll() is not None or (os.path.exists(w.folder + "/read.jsonl") and os.path.getsize(w.folder + "/read.jsonl") > 1000))
    equal(p.poll(), None, "it runs when the broker is killed")
    w.broker.kill()
    w.broker.start()
    rc, out, err = w.finish(p)
    equal(rc, 0, err)
    rows = rows_of(w, "read.jsonl")
    equal(sorted(r["k"] for r in rows), list(range(n)), "rows")
    for q in (0, 1):
        keys = [r["k"] for r in rows if r["p"] == q]
        equal(keys, sorted(keys), "order")


@case
def follows(w):
    """Not bounded: what is written later arrives, and a partition without messages does not hold back time."""
    w.broker.topic("live", 2)
    p = w.start(source(w, "ts TIMESTAMP, v BIGINT, WATERMARK FOR ts", "live", bounded="false", idle__timeout="100 ms") +
                "CREATE STREAM u AS SELECT window_start, count(*) AS n FROM r GROUP BY TUMBLE(ts, INTERVAL '1' SECOND);" + into(w, "live.jsonl", "u", "append"))
    path = w.folder + "/live.jsonl"
    try:
        w.broker.write("live", '{"ts":"2024-01-01 00:00:00","v":1}\n{"ts":"2024-01-01 00:00:05","v":1}\n', "-p", "0")
        wait_until("the first window", lambda: p.poll() is not None or (os.path.exists(path) and rows_of(w, "live.jsonl")), 20)
        equal(p.poll(), None, "it runs " + (p.stderr.read() if p.poll() is not None else ""))
    finally:
        p.terminate()
    rc, out, err = w.finish(p)
    equal(rows_of(w, "live.jsonl")[0]["n"], 1, err)


# ---- connections that fail -----------------------------------------------------------------------------------------------------


def disturbed(w, topic, disturb, times):
    """Rows out and back by a proxy that is disturbed: each comes once, in order."""
    n = 40000
    w.broker.topic(topic, 1)
    options = {"bootstrap.servers": w.broker.proxy.address, "socket.timeout.ms": 2000}
    name = topic + ".jsonl"
    p = w.start(f"CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = {n}, rows.per.second = 5000, fields = 'k: sequence(0, 1)');" + sink(w, topic, **options) +
                source(w, "k BIGINT", topic, bounded="false", **options) + into(w, name, mode="append"))
    count = lambda: sum(1 for _ in open(os.path.join(w.folder, name))) if os.path.exists(os.path.join(w.folder, name)) else 0
    for i in range(times):
        seen = count()
        wait_until(f"rows after {i} times", lambda: p.poll() is not None or count() > seen + 500)
        disturb()
    wait_until(lambda: f"all rows, {count()} have come", lambda: p.poll() is not None or count() >= n)
    equal(p.poll(), None, "it runs")
    p.terminate()
    w.finish(p)
    equal([r["k"] for r in rows_of(w, name)], list(range(n)))


@case
def connections_cut(w):
    disturbed(w, "cut", lambda: equal(w.broker.proxy.cut() > 0, True, "connections"), 6)


@case
def connections_frozen(w):
    """They stay, and nothing comes by them any more: they are made anew."""
    disturbed(w, "frozen", lambda: equal(w.broker.proxy.freeze() > 0, True, "connections"), 2)


@case
def broker_stopped(w):
    def stop():
        w.broker.process.send_signal(signal.SIGSTOP)
        time.sleep(4)  # longer than socket.timeout.ms
        w.broker.process.send_signal(signal.SIGCONT)

    disturbed(w, "stopped", stop, 2)


# ---- memory ---------------------------------------------------------------------------------------------------------------------

MIB = 1 << 20


def memory_is_ours():
    """Sanitizers keep what was freed for a while, and more beside: what they hold says nothing of us."""
    ours = os.path.basename(BUILD) not in ("asan", "tsan")
    if not ours:
        print("kafka: the bound on memory is left out under a sanitizer")
    return ours


def resident(p):
    with open(f"/proc/{p.pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1]) * 1024


@case
def outage(w):
    """No broker for OUTAGE seconds (make outage: 120) while rows come: they wait on disk, memory stays, and they are caught up with in order."""
    seconds, rate = int(os.environ.get("OUTAGE", 10)), 20000
    n = (seconds + 10) * rate
    w.broker.topic("long", 1)
    p = w.start(f"CREATE SOURCE t (k BIGINT, t VARCHAR) FROM GENERATOR (rows = {n}, rows.per.second = {rate}, fields = 'k: sequence(0, 1), t: text(100, 100)');" +
                sink(w, "long"), ["--spill", w.folder])
    wait_until("some rows", lambda: w.broker.count("long") > rate)
    w.broker.kill()
    before, most, began = resident(p), 0, time.monotonic()
    while time.monotonic() - began < seconds:
        time.sleep(0.5)
        most = max(most, resident(p))
    w.broker.start()
    back = time.monotonic()
    while p.poll() is None and time.monotonic() - back < 90:
        try:
            most = max(most, resident(p))
        except (FileNotFoundError, TypeError):
            pass  # it has just ended
        time.sleep(0.2)
    rc, out, err = w.finish(p)
    took = time.monotonic() - back
    equal(rc, 0, err)
    messages = following = 0  # each row first comes behind the one before it
    for line in w.broker.lines("long"):
        messages += 1
        key = int(line[5:line.index(",")])
        if key > following:
            raise AssertionError(f"{key} comes before {following}")
        following += key == following
    equal(following, n, "rows")
    said = f"{seconds} s | {n} | {messages - n} | {before // MIB} MiB | {most // MIB} MiB | {took:.0f} s"
    if most > before + 128 * MIB and memory_is_ours():
        raise AssertionError("memory has grown: " + said)
    if "OUTAGE" in os.environ:
        print("| outage | rows | twice | memory before | most | done after |\n| " + said + " |")


@case
def sink_behind(w):
    """Rows that come faster than the brokers take them: no more of them are on their way than is allowed."""
    w.broker.topic("fast", 1)
    p = w.start("CREATE SOURCE t (k BIGINT, t VARCHAR) FROM GENERATOR (rows = 2000000, fields = 'k: sequence(0, 1), t: text(100, 100)');" + sink(w, "fast"))
    most = 0
    while p.poll() is None:
        try:
            most = max(most, resident(p))
        except (FileNotFoundError, TypeError):
            pass  # it has just ended
        time.sleep(0.05)
    rc, out, err = w.finish(p)
    equal(rc, 0, err)
    equal(w.broker.count("fast"), 2000000, "rows")
    if most > 120 * MIB and memory_is_ours():
        raise AssertionError(f"{most // MIB} MiB")


@case
def reader_behind(w):
    """Nobody takes the rows: fetching stops, in bounded memory. Somebody does: it goes on, and none lacks."""
    n = 1500000
    w.broker.topic("flood", 2)
    w.run(f"CREATE SOURCE t (k BIGINT, t VARCHAR) FROM GENERATOR (rows = {n}, fields = 'k: sequence(0, 1), t: text(200, 200)');" + sink(w, "flood", key__column="k"))
    p = w.start(source(w, "_partition INTEGER, k BIGINT, t VARCHAR", "flood", queued__max__bytes="2 MiB") +
                "CREATE STREAM u AS SELECT _partition AS p, k, t FROM r; CREATE SINK o FROM u INTO STDOUT (format = 'csv');")
    sizes = []
    wait_until("it stands still", lambda: sizes.append(resident(p)) or time.sleep(0.5) or (len(sizes) > 6 and max(sizes[-4:]) - min(sizes[-4:]) < MIB))
    equal(p.poll(), None, "it runs")
    if sizes[-1] > 160 * MIB and memory_is_ours():
        raise AssertionError(f"{sizes[-1] // MIB} MiB, and 330 MiB of values lie in the topic")
    last, seen = {}, 0
    for line in p.stdout:
        part, key, _ = line.split(",", 2)
        if not part.isdigit():
            continue
        if int(key) <= last.get(part, -1):
            raise AssertionError(f"{key} comes behind {last[part]}")
        last[part] = int(key)
        seen += 1
    equal(seen, n, "rows")
    equal(p.wait(timeout=30), 0, "status")


# ---- what brokers answer ------------------------------------------------------------------------------------------------------

PRODUCE, FETCH, LIST_OFFSETS, METADATA, OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR, INIT_PRODUCER_ID = 0, 1, 2, 3, 8, 9, 10, 22
OUT_OF_RANGE, NO_TOPIC, NO_LEADER, NOT_LEADER, TIMED_OUT, TOO_LARGE, LOADING, NO_COORDINATOR, NOT_COORDINATOR, FEW_REPLICAS, FEW_REPLICAS_AFTER, UNKNOWN_MEMBER = (
    1, 3, 5, 6, 7, 10, 14, 15, 16, 19, 20, 25)
NOT_YOUR_TOPIC, NOT_YOUR_GROUP, OUT_OF_ORDER, STALE_EPOCH, BAD_DISK, UNKNOWN_PRODUCER = 29, 30, 45, 47, 56, 59


class Mock:
    """Brokers that fail as they are told."""

    def __init__(self):
        self.p = subprocess.Popen([BUILD + "/kafka_mock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = self.p.stdout.readline().strip()

    def tell(self, *words):
        self.p.stdin.write(" ".join(map(str, words)) + "\n")
        self.p.stdin.flush()
        equal(self.p.stdout.readline().strip(), "ok", str(words))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.kill()
        self.p.wait()


ROWS = "CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = 2000, fields = 'k: sequence(0, 1)');"


def read_mock(w, m, topic):
    w.run(source(w, "k BIGINT", topic, **{"bootstrap.servers": m.address}) + into(w, "mock.jsonl"))
    return [r["k"] for r in rows_of(w, "mock.jsonl")]


@case
def errors_that_pass(w):
    """Of brokers that are not ready, and of a producer that is no longer sure of its sequence: all rows arrive, each key's in order."""
    with Mock() as m:
        for n, (api, codes) in enumerate(((PRODUCE, (NOT_LEADER, FEW_REPLICAS, FEW_REPLICAS_AFTER, TIMED_OUT, NO_TOPIC, BAD_DISK)), (PRODUCE, (OUT_OF_ORDER,)),
                                          (PRODUCE, (UNKNOWN_PRODUCER,)), (PRODUCE, (STALE_EPOCH,)), (INIT_PRODUCER_ID, (LOADING, NOT_COORDINATOR)),
                                          (METADATA, (NO_LEADER, NOT_LEADER)))):
            topic = f"passing{n}"
            m.tell("topic", topic, 1)
            m.tell("errors", api, *codes)
            w.run(ROWS + sink(w, topic, **{"bootstrap.servers": m.address}))
            keys = read_mock(w, m, topic)
            equal(sorted(set(keys)), list(range(2000)), f"{api} {codes}")
            if len(codes) > 1:
                equal(keys, list(range(2000)), f"once and in order, {api} {codes}")


@case
def errors_that_stay(w):
    """Of a broker that refuses rows or us: the sink stops and says why; no row is passed over."""
    for code, want in ((TOO_LARGE, "too large"), (NOT_YOUR_TOPIC, "uthorization failed")):
        with Mock() as m:
            m.tell("topic", "staying", 1)
            m.tell("errors", PRODUCE, *[code] * 50)
            rc, said = w.run(ROWS + sink(w, "staying", **{"bootstrap.servers": m.address}), ok=False)
            equal(rc, 1, said)
            holds(said, "the topic 'staying' took not all", want)
            equal(read_mock(w, m, "staying"), [])


@case
def errors_of_reading(w):
    with Mock() as m:
        m.tell("topic", "reading", 1)
        options = {"bootstrap.servers": m.address}
        w.run(ROWS + sink(w, "reading", **options))
        m.tell("errors", FETCH, NOT_LEADER, NO_TOPIC, BAD_DISK, TIMED_OUT)
        equal(read_mock(w, m, "reading"), list(range(2000)))
        for n in (1, 2, 3, 4, 5, 6):  # which of the requests fails decides what the library makes of it
            m.tell("errors", LIST_OFFSETS, *[NOT_LEADER] * n)
            equal(read_mock(w, m, "reading"), list(range(2000)), f"{n} errors")
        for code, want in ((OUT_OF_RANGE, "choose another startup.mode"), (NOT_YOUR_TOPIC, "uthorization failed")):
            m.tell("errors", FETCH, code)
            rc, said = w.run(source(w, "k BIGINT", "reading", **options) + into(w, "mock.jsonl"), ok=False)
            equal(rc, 1, said)
            holds(said, "reading/0", want)


@case
def errors_of_a_group(w):
    """A group that cannot be asked is an error; one that cannot be told is a line in the log."""
    with Mock() as m:
        m.tell("topic", "grouped", 1)
        options = {"bootstrap.servers": m.address, "group.id": "g"}
        w.run(ROWS + sink(w, "grouped", **{"bootstrap.servers": m.address}))
        m.tell("errors", OFFSET_FETCH, LOADING, NOT_COORDINATOR)
        m.tell("errors", FIND_COORDINATOR, NO_COORDINATOR)
        w.run(source(w, "k BIGINT", "grouped", **options) + into(w, "mock.jsonl"))
        equal(len(rows_of(w, "mock.jsonl")), 2000)
        m.tell("errors", OFFSET_FETCH, NOT_YOUR_GROUP)
        rc, said = w.run(source(w, "k BIGINT", "grouped", **options) + into(w, "mock.jsonl"), ok=False)
        equal(rc, 1, said)
        holds(said, "the places of its group", "uthorization failed")
        m.tell("errors", OFFSET_COMMIT, UNKNOWN_MEMBER)
        rc, said = w.run(source(w, "k BIGINT", "grouped", startup__mode="earliest", **options) + into(w, "mock.jsonl"), ok=False)
        equal(rc, 0, said)
        equal(len(rows_of(w, "mock.jsonl")), 2000)
        holds(said, "the group 'g' was not told where the source stands (1 times so far)")


# ---- what every sink and source passes ----------------------------------------------------------------------------------------


@case
def conformance(w):
    """The suite asks by a program, which hands on to us what it cannot do itself."""
    b = w.broker
    for name in ("ask", "answer"):
        os.mkfifo(os.path.join(w.folder, name))
    kcat = f"kcat -b {b.address} -t $topic"
    world = w.file("world", f"""#!/bin/sh
        topic=${{2##*/}}
        case $1 in
        up) until {kcat} -L -m 2 | grep -q "with 1 partitions"; do :; done >$2/said 2>&1 ;;
        rows) timeout 5 {kcat} -C -o beginning -e -q -f '%s\\n' 2>/dev/null || true ;;
        give) {kcat} -P ;;
        *) echo $1 >{w.folder}/ask && read said <{w.folder}/answer && [ $said = ok ] ;;
        esac
        """)
    os.chmod(world, 0o755)
    verbs = {"stop": b.kill, "start": b.start, "hold": lambda: b.process.send_signal(signal.SIGSTOP), "release": lambda: b.process.send_signal(signal.SIGCONT)}

    def serve():
        while True:
            with open(os.path.join(w.folder, "ask")) as f:
                verb = f.read().strip()
            if verb == "end":
                return
            try:
                verbs[verb]()
                said = "ok"
            except Exception as e:
                said = "failed " + repr(e)
            with open(os.path.join(w.folder, "answer"), "w") as f:
                f.write(said + "\n")

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    env = {**os.environ, "LAMINAR_KAFKA": world, "LAMINAR_SERVER": b.address}
    run = subprocess.run([BUILD + "/conformance", "kafka"], env=env, capture_output=True, text=True, timeout=400)
    with open(os.path.join(w.folder, "ask"), "w") as f:
        f.write("end\n")
    server.join()
    for name in ("ask", "answer"):  # other cases look into all files
        os.remove(os.path.join(w.folder, name))
    if run.returncode:
        raise AssertionError(run.stderr)
    for kind, names in (("sink", ("refuse", "rows", "wide", "types", "deadline", "slow", "outage", "cancel", "stop")),
                        ("source", ("refuse", "rows", "wide", "types", "follow", "pause", "outage", "stop", "replay"))):
        for name in names:
            holds(run.stderr, f"{kind:7}{'kafka':15}{name:10}ok")


@case
def refusals(w):
    source = "CREATE SOURCE t (k BIGINT, d DOUBLE) FROM GENERATOR (rows = 1);"
    for options, want in ((dict(ssl__ca__location="/x"), "options of ssl without TLS"),
                          (dict(sasl__username="u"), "options of sasl without SASL"),
                          (dict(security__protocol="sasl_ssl", sasl__username="u"), "SASL without mechanism, user or password"),
                          (dict(security__protocol="none"), "security.protocol"),
                          (dict(key__column="x"), "there is no column 'x' to be the key"),
                          (dict(key__column="d"), "the column 'd' cannot be a key"),
                          (dict(enable__idempotence="false"), "does not take the option 'enable.idempotence'"),
                          (dict(topic=""), "topic '' cannot be the name of a topic"),
                          (dict(topic="not this"), "topic 'not this' cannot be the name of a topic"),
                          (dict(dlq__topic=".."), "dlq.topic '..' cannot be the name of a topic"),
                          (dict(delivery__timeout__ms="1 s", linger__ms="1 s"), "delivery.timeout.ms is not longer than linger.ms"),
                          (dict(ssl__ca__location="/nowhere", security__protocol="ssl"), "/nowhere")):
        rc, said = w.run(source + sink(w, options.pop("topic", "no"), **options), ok=False, timeout=20)
        if not rc:
            raise AssertionError(f"taken: {options}")
        holds(said, want)


def option_names(kind):
    """Those that the module takes, by its own table: canonical, others."""
    page = subprocess.run([BUILD + "/options_doc", BUILD + "/modules/kafka.so"], capture_output=True, text=True, check=True).stdout
    part = page[page.index(f"### {kind}: kafka"):].split("\n### ")[0].split("\n## ")[0]
    rows = [re.findall(r"`([^`]+)`", row.split(" | ")[0]) for row in part.split("| refused |")[0].splitlines() if row.startswith("| `")]
    return {name for row in rows for name in row if not name.startswith("_")}


@case
def only_what_is_listed(w):
    """SQ2: no property of the library is set but those of the tables; some of the others run programs and load code."""
    said = subprocess.run(["kcat", "-X", "list"], capture_output=True, text=True).stdout
    properties = {line.split("|")[0].strip() for line in said.splitlines() if re.match(r"[a-z_.]+ +\| +[CP*]", line)}
    for danger in ("plugin.library.paths", "sasl.kerberos.kinit.cmd", "ssl.engine.location", "sasl.oauthbearer.token.endpoint.url", "ssl.ca.pem", "opaque", "debug"):
        equal(danger in properties, True, danger)
    rows = "CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = 1);"
    env = {**os.environ, "LAMINAR_MODULES": BUILD + "/modules"}
    for kind, statement in (("Source", "CREATE SOURCE r (v BIGINT) FROM KAFKA (bootstrap.servers = 'x', topic = 't', \"{}\" = '1')"),
                            ("Sink", rows + "CREATE SINK s FROM t INTO KAFKA (bootstrap.servers = 'x', topic = 't', \"{}\" = '1')")):
        listed = option_names(kind)
        equal("bootstrap.servers" in listed and len(listed) > 20, True, str(listed))
        for name in sorted(properties - listed):
            run = subprocess.run([BUILD + "/laminar", "-c", statement.format(name)], capture_output=True, text=True, env=env)
            equal(run.returncode, 1, name)
            if not re.search(f"(has no|does not take the) option '{name}'", run.stderr):
                raise AssertionError(f"{kind} {name}: {run.stderr}")


@case
def names_from_elsewhere(w):
    """Names that have no meaning here are refused with what to do instead."""
    rows = "CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = 1);"
    for name, advice in (("session_timeout_ms", "No group is joined"), ("partition.assignment.strategy", "No group is joined"), ("max.poll.records", "batch.rows"),
                         ("enable.auto.commit", "broker.commit.on.checkpoint"), ("include.metadata", "Declare the columns _key"), ("event.time.column", "WATERMARK FOR"),
                         ("backpressure.high.watermark", "queued.max.bytes"), ("queued.max.messages.kbytes", "queued.max.bytes"), ("alignment.mode", "pace"),
                         ("schema.registry.url", "no registry"), ("max.deser.error.rate", "on_error"), ("poll.timeout.ms", "messages wake the source")):
        rc, said = w.run(source(w, "v BIGINT", "t", **{name: "1"}) + into(w, "no.jsonl"), ok=False)
        equal(rc, 1, said)
        holds(said, f"does not take the option '{name}'", advice)
    for name, value, want in (("transactional.id", "x", "no transactions"), ("transaction.timeout.ms", "60000", "no transactions"), ("enable.idempotence", "true", "always idempotent"),
                              ("flush.batch.size", "5", "batch.rows"), ("schema.registry.password", "hush-4719", "no registry"), ("acks", "1", "all, -1"),
                              ("delivery.guarantee", "exactly_once", "guarantee")):
        rc, said = w.run(rows + sink(w, "no", **{name: value}), ok=False)
        equal(rc, 1, said)
        holds(said, want)
    w.broker.topic("aliases")  # and others are names of ours
    w.run(rows + f"CREATE SINK s FROM t INTO KAFKA (brokers = '{w.broker.address}', topic = 'aliases', acks = 'all', max_request_size = 2000);")
    w.run(f"CREATE SOURCE r (k BIGINT) FROM KAFKA (brokers = '{w.broker.address}', topics = 'aliases', group_id = 'a', offset_reset = 'earliest', bounded = true);" +
          into(w, "aliases.jsonl"))
    equal(len(rows_of(w, "aliases.jsonl")), 1)


@case
def safe_connection(w):
    """TLS and a password, both ways; neither is done without."""
    b = w.broker
    b.topic("safe")
    safe = {"bootstrap.servers": f"localhost:{b.secure_port}", "security.protocol": "sasl_ssl", "sasl.mechanism": "PLAIN", "sasl.username": "lam",
            "sasl.password": "hush-4715", "ssl.ca.location": b.certificate}
    rows = "CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = 100);"
    w.run(rows + sink(w, "safe", **safe))
    w.run(source(w, "k BIGINT", "safe", **safe) + into(w, "safe.jsonl"))
    equal([r["k"] for r in rows_of(w, "safe.jsonl")], list(range(100)))
    for change, want in (({"sasl.password": "hush-4716"}, "uthentication failed"), ({"ssl.ca.location": None}, "certificate verify failed"),
                         ({"bootstrap.servers": f"127.0.0.1:{b.secure_port}"}, "certificate verify failed")):
        options = {**safe, **change}
        for sql in (rows + sink(w, "safe", retry__limit=1, **options), source(w, "k BIGINT", "safe", **options) + into(w, "safe.jsonl")):
            rc, said = w.run(sql, ok=False)
            equal(bool(rc), True, said)
            holds(said, want)
    equal(b.read("safe", "%o\\n").count("\n"), 100, "rows")


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
    for said in w.said + [open(p, errors="replace").read() for f in os.listdir(w.folder) if not f.startswith("script") and os.path.isfile(p := os.path.join(w.folder, f))]:
        if "hush-47" in said:
            raise AssertionError("a secret in\n" + said)


@case
def tutorial(w):
    """docs/kafka.md as it is printed, but for the ports."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/kafka.md")) as f:
        page = f.read()
    folder = tempfile.mkdtemp(prefix="laminar-kafka-page.")
    ports = dict(zip(("9092", "9093"), free_ports(2)))
    run, wanted = "", ""
    for info, text in re.findall(r"^```(\S*(?: \S+)?)\n(.*?)^```$", page, re.S | re.M):
        for port, free in ports.items():
            text = text.replace(port, str(free))
        if info == "sh":
            run += text
        elif info == "text":
            wanted += text
        elif info.startswith("file "):
            with open(os.path.join(folder, info[5:]), "w") as f:
                f.write(text)
    os.symlink(BUILD + "/kafka-lib", folder + "/lib")
    os.makedirs(folder + "/bin/modules")
    shutil.copy(BUILD + "/laminar", folder + "/bin/laminar")
    shutil.copy(BUILD + "/modules/kafka.so", folder + "/bin/modules/")
    p = subprocess.Popen(["sh", "-euc", run], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
                         env={**os.environ, "PATH": folder + "/bin:" + os.environ["PATH"], "LAMINAR_MODULES": folder + "/bin/modules"})
    try:
        got = p.communicate(timeout=60)[0]
        equal(got, wanted)
    finally:
        try:
            os.killpg(p.pid, signal.SIGKILL)  # what a failure left behind
        except ProcessLookupError:
            pass
        shutil.rmtree(folder)


@case
def documented(w):
    """The page ends with the tables of options."""
    run = subprocess.run([BUILD + "/options_doc", BUILD + "/modules/kafka.so"], capture_output=True, text=True, check=True)
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/kafka.md")) as f:
        if not f.read().endswith(run.stdout[run.stdout.index("## Sources"):]):
            raise AssertionError("docs/kafka.md does not end with what options_doc says of the module")


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
