#!/usr/bin/python3
"""The audit's findings about sinks, shown by PostgreSQL, Kafka and WebSocket side by side, each real; tests/README.md says what else shows
them. audit.py BUILD [PATTERN]: cases whose names contain PATTERN. SPDX-License-Identifier: Apache-2.0"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kafka_broker
import postgres_server
from websocket_client import CLOSE, TEXT, Client

BUILD = os.path.abspath(sys.argv[1])
PATTERN = sys.argv[2] if len(sys.argv) > 2 else ""
DEADLINE_S = 60
SOURCE = "CREATE SOURCE s (k BIGINT) FROM STDIN (format = 'csv', header = 'false');\n"
cases = []


def case(f):
    cases.append(f)
    return f


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}\n   got {str(got)[:600]!r}\n  want {str(want)[:600]!r}")


def until(what, true):
    end = time.monotonic() + DEADLINE_S
    while not true():
        if time.monotonic() > end:
            raise AssertionError("it did not come to pass: " + what)
        time.sleep(0.01)


class World:
    """A PostgreSQL server and a broker, for all cases; each case has names of its own."""

    def __init__(self):
        self.postgres = postgres_server.Server()
        self.broker = kafka_broker.Broker(BUILD)
        self.n = 0
        self.next()

    def next(self):
        self.n += 1
        self.name = f"t{self.n}"
        self.postgres.psql(f"CREATE TABLE {self.name} (k bigint CHECK (k <> 13), t text)")
        self.broker.topic(self.name)

    def pg(self, what="s", more=""):
        return (f"CREATE SINK pg FROM {what} INTO POSTGRES (hostname = '127.0.0.1', port = {self.postgres.port}, database = 'postgres', username = 'lam', "
                f"table.name = '{self.name}'{more});\n")

    def kafka(self, what="s", more=""):
        return f"CREATE SINK kafka FROM {what} INTO KAFKA (bootstrap.servers = '{self.broker.address}', topic = '{self.name}'{more});\n"

    def ws(self, what="s", more=""):
        return f"CREATE SINK ws FROM {what} INTO WEBSOCKET (bind.address = '0', replay.buffer.size = '4 MiB', per.client.buffer = '16 MiB'{more});\n"

    def in_postgres(self):
        return [int(k) for k in self.postgres.psql(f"SELECT k FROM {self.name} ORDER BY k").split()]

    def in_kafka(self):
        return sorted(json.loads(line)["k"] for line in self.broker.read(self.name).splitlines())

    def done(self):
        self.postgres.done()
        self.broker.done()


class Listener:
    """A client of a sink WEBSOCKET, and what it got."""

    def __init__(self, port):
        self.client, self.got, self.code = Client(port, "/?last_sequence=0"), [], None
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        self.client.socket.settimeout(DEADLINE_S)
        while self.code is None:
            try:
                opcode, data = self.client.frame()
            except EOFError:  # the program was killed, by a case that failed
                return
            if opcode == TEXT:
                self.got.append(json.loads(data)["data"]["k"])
            if opcode == CLOSE:
                self.code = int.from_bytes(data[:2], "big")


class Run:
    """The program with a script; rows are what the test writes to it."""

    def __init__(self, script, *arguments):
        self.folder = tempfile.TemporaryDirectory(prefix="laminar-audit-test.")
        path = os.path.join(self.folder.name, "s.sql")
        with open(path, "w") as f:
            f.write(script)
        self.process = subprocess.Popen([BUILD + "/laminar", "run", path, *arguments], stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder.name,
                                        env={**os.environ, "LAMINAR_MODULES": BUILD + "/modules"})
        self.said, self.listener = [], None
        self.reading = threading.Thread(target=self.read, daemon=True)
        self.reading.start()
        if "WEBSOCKET" in script:
            until("it listens", lambda: re.search(r"listening on ws://[^ ]*:(\d+)/", self.text()) or self.process.poll() is not None)
            self.listener = Listener(int(re.search(r"listening on ws://[^ ]*:(\d+)/", self.text())[1]))

    def read(self):
        for line in self.process.stderr:
            self.said.append(line.decode(errors="replace"))

    def text(self):
        return "".join(self.said)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def rows(self, ks):
        self.process.stdin.write("".join(f"{k}\n" for k in ks).encode())
        self.process.stdin.flush()

    def end(self, status=0):
        self.process.stdin.close()
        self.process.wait(DEADLINE_S)
        self.reading.join(DEADLINE_S)
        equal(self.process.returncode, status, self.text())
        return self.text()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def tell(script, milliseconds):
    """What the library says of a script that ran so long at most: lists and metrics."""
    with tempfile.TemporaryDirectory(prefix="laminar-audit-test.") as folder:
        run = subprocess.run([BUILD + "/tell", folder], input=f"{script}-- wait {milliseconds}\n", text=True, capture_output=True, timeout=DEADLINE_S,
                             env={**os.environ, "LAMINAR_MODULES": BUILD + "/modules"})
    equal(run.returncode, 0, run.stderr)
    return run.stdout


def metric(told, name, sink):
    m = re.search(rf'^\w*{name}{{[^}}]*sink="{sink}"[^}}]*}} (\S+)$', told, re.M)
    if not m:
        raise AssertionError(f"no {name} of {sink}")
    return float(m[1])


@case
def r03_one_that_hangs_stops_no_other(w):
    """A locked table, a broker that is stopped, a client that does not read: the two others get every row meanwhile, and it does afterwards."""
    for hung in ("postgres", "kafka", "websocket"):
        w.next()
        with Run(SOURCE + w.pg() + w.kafka(more=", batch.rows = 100") + w.ws()) as r:
            r.rows(range(100, 110))
            until("ten rows everywhere", lambda: len(w.in_postgres()) == len(w.in_kafka()) == len(r.listener.got) == 10)
            if hung == "postgres":
                session = w.postgres.session()
                session.ask(f"BEGIN; LOCK TABLE {w.name} IN ACCESS EXCLUSIVE MODE")
            elif hung == "kafka":
                w.broker.process.send_signal(signal.SIGSTOP)
            else:
                stalled = Client(r.listener.client.socket.getpeername()[1], receive_buffer=4096)
            all_rows = list(range(100, 5110))
            try:
                r.rows(all_rows[10:])
                if hung != "postgres":
                    until(f"all in PostgreSQL beside {hung}", lambda: w.in_postgres() == all_rows)
                if hung != "kafka":
                    until(f"all in Kafka beside {hung}", lambda: w.in_kafka() == all_rows)
                until(f"all at the client beside {hung}", lambda: len(r.listener.got) == len(all_rows))
            finally:
                if hung == "postgres":
                    session.ask("COMMIT")
                    session.done()
                elif hung == "kafka":
                    w.broker.process.send_signal(signal.SIGCONT)
                else:
                    stalled.close()
            r.end()
            equal(w.in_postgres(), all_rows)
            equal(sorted(set(w.in_kafka())), all_rows)
            equal(r.listener.got, all_rows)


@case
def r04_flushed_though_nothing_follows(w):
    """One row, and then silence: its own deadline makes it visible, again and again."""
    with Run(SOURCE + w.pg(more=", flush.interval = '100 ms'") + w.kafka(more=", flush.interval = '100 ms'") + w.ws(more=", flush.interval = '100 ms'")) as r:
        for n in (1, 2, 3):
            r.rows([n])
            until(f"row {n} everywhere", lambda: len(w.in_postgres()) == len(w.in_kafka()) == len(r.listener.got) == n)
        r.end()


@case
def r06_each_gets_its_own(w):
    """FROM a query, a source with WHERE, a stream."""
    script = SOURCE + "CREATE STREAM big AS SELECT k, k * 10 AS t FROM s WHERE k >= 6;\n"
    with Run(script + w.pg("(SELECT k * 2 AS k FROM s)", "") + w.kafka("s WHERE k < 5") + w.ws("big WHERE k <> 8")) as r:
        r.rows(range(10))
        until("three at the client", lambda: len(r.listener.got) == 3)
        r.end()
        equal(w.in_postgres(), [2 * k for k in range(10)])
        equal(w.in_kafka(), [0, 1, 2, 3, 4])
        equal(r.listener.got, [6, 7, 9])


@case
def r15_failures_are_retried_and_poison_put_aside(w):
    """Both servers go away and come back; a row that one of them never takes becomes a dead letter there, and nowhere else."""
    letters = "CREATE STREAM d (k BIGINT, error VARCHAR, sink VARCHAR);\nCREATE SINK f FROM d INTO FILE (path = 'letters.csv');\n"
    quick = ", retry.first = '20 ms', retry.max = '200 ms'"
    with Run(SOURCE + letters + w.pg(more=f", dead_letter = 'd'{quick}") + w.kafka(more=quick) + w.ws()) as r:
        r.rows(range(5))
        until("five everywhere", lambda: len(w.in_postgres()) == len(w.in_kafka()) == len(r.listener.got) == 5)
        w.postgres.stop()
        w.broker.kill()
        r.rows(range(5, 30))
        until("the client does not wait for them", lambda: len(r.listener.got) == 30)
        w.postgres.start()
        w.broker.start()
        r.rows(range(30, 40))
        r.end()
        equal(w.in_postgres(), [k for k in range(40) if k != 13])
        equal(sorted(set(w.in_kafka())), list(range(40)))
        equal(r.listener.got, list(range(40)))
        with open(r.path("letters.csv")) as f:
            letter = f.read().splitlines()
        equal([x.split(",")[0] for x in letter], ["k", "13"])
        assert "violates check constraint" in letter[1] and letter[1].endswith(",pg"), letter


@case
def r18_rows_bytes_or_time(w):
    """Whichever is first, of each sink: with the other two out of reach, rows become visible by the one."""
    far = {"batch.rows": "1000000", "batch.bytes": "1 GiB", "flush.interval": "1 hour"}
    for near in ({"batch.rows": "10"}, {"batch.bytes": "80"}, {"flush.interval": "50 ms"}):
        w.next()
        more = "".join(f", {k} = '{v}'" for k, v in {**far, **near}.items())
        with Run(SOURCE + w.pg(more=more) + w.kafka(more=more) + w.ws(more=more)) as r:
            r.rows(range(100, 110))
            until(f"ten rows by {near}", lambda: len(w.in_postgres()) == len(w.in_kafka()) == len(r.listener.got) == 10)
            if "batch.rows" in near:
                r.rows([110])
                until("one more at the client", lambda: len(r.listener.got) == 11)
                equal(len(w.in_postgres()), 10, "the rest waits")
            r.end()
            equal(w.in_postgres(), list(range(100, 111 if "batch.rows" in near else 110)))


@case
def r19_metrics_of_each_sink(w):
    """By SHOW SINKS and as Prometheus reads them, with the numbers that are true."""
    source = "CREATE SOURCE s (k BIGINT) FROM GENERATOR (rows = 100, fields = 'k: sequence(100, 1)');\n"
    told = tell(source + w.pg() + w.kafka() + w.ws(), 10000)
    equal(w.in_postgres(), list(range(100, 200)))
    for sink in ("pg", "kafka", "ws"):
        for name, want in (("sink_rows_total", 100), ("sink_accepted_rows_total", 100), ("sink_write_errors_total", 0), ("sink_dropped_rows_total", 0),
                           ("sink_dead_lettered_rows_total", 0), ("sink_lag_rows", 0)):
            equal(metric(told, name, sink), want, f"{name} of {sink}")
        for name in ("sink_committed_epoch", "sink_backpressure_events"):
            assert metric(told, name, sink) >= 0, f"{name} of {sink}"
        for name in ("sink_writes_total", "sink_flushes_total", "sink_bytes_total", "sink_write_latency_us_count"):
            assert metric(told, name, sink) > 0, f"{name} of {sink}"
        row = next(line for line in told.splitlines() if line.startswith(f"{sink},s,"))
        assert ",100,100," in row, row
    w.next()
    w.postgres.psql(f"ALTER TABLE {w.name} ADD CHECK (k < 150)")
    told = tell(source + w.pg(), 10000)
    equal((metric(told, "sink_rows_total", "pg"), metric(told, "sink_dropped_rows_total", "pg")), (50, 50))
    assert "violates check constraint" in next(line for line in told.splitlines() if line.startswith("pg,s,")), "the last error"


@case
def r13_r21_when_a_sink_falls_behind(w):
    """Beside a table that is locked while sixty megabytes come: by spilling all arrive, by dropping the newest do and the others are counted,
    by an error the sink is BLOCKED; the neighbour has every row before the lock goes. By waiting, nothing is lost either."""
    n = 500000
    source = f"CREATE SOURCE s (k BIGINT, t VARCHAR) FROM GENERATOR (rows = {n}, fields = 'k: sequence(100, 1), t: text(100, 100)');\n"
    neighbour = "CREATE SINK n FROM s INTO FILE (path = 'n.csv');\n"
    for policy in ("spill", "drop_oldest", "error", "block"):
        w.next()
        session = w.postgres.session()
        session.ask(f"BEGIN; LOCK TABLE {w.name} IN ACCESS EXCLUSIVE MODE")
        with tempfile.TemporaryDirectory(prefix="laminar-audit-test.") as spill, \
                Run(source + w.pg(more=f", overflow = '{policy}'") + neighbour, "--spill", spill) as r:
            if policy != "block":
                until(f"the neighbour has all, {policy}", lambda: os.path.exists(r.path("n.csv")))
            else:
                until("rows wait", lambda: any(os.path.getsize(r.path(f)) > 1 << 20 for f in os.listdir(r.folder.name)))
            session.ask("COMMIT")
            session.done()
            said = r.end(1 if policy == "error" else 0)
            arrived = w.in_postgres()
            if policy in ("spill", "block"):
                equal(arrived, list(range(100, n + 100)), policy)
            elif policy == "drop_oldest":
                assert 0 < len(arrived) < n and arrived[-1] == n + 99, (len(arrived), arrived[-1:])
                equal(said, f'warning: sink "pg": rows dropped: {n - len(arrived)}\n')
            else:
                assert 'sink "pg"' in said and len(arrived) < n, said
            equal(sum(1 for _ in open(r.path("n.csv"))), n + 1, policy)


def main():
    missing = next((f"the module {m}, not built" for m in ("postgres", "kafka", "websocket") if not os.path.exists(f"{BUILD}/modules/{m}.so")), None)
    missing = missing or (None if postgres_server.bindir() else "postgresql-15") or kafka_broker.missing(BUILD)
    if missing:
        print(f"audit: skipped: missing {missing}")
        return 0
    failed = 0
    signal.alarm(600)  # a test that hangs ends
    chosen = [c for c in cases if PATTERN in c.__name__]
    world = World()
    try:
        for c in chosen:
            at = time.monotonic()
            world.next()
            try:
                c(world)
                print(f"audit {c.__name__} ok ({time.monotonic() - at:.1f} s)", flush=True)
            except Exception as e:
                failed += 1
                print(f"audit {c.__name__} FAILED: {type(e).__name__}: {e} (line {e.__traceback__.tb_next.tb_lineno})", flush=True)
    finally:
        world.done()
    print(f"audit: {len(chosen) - failed} of {len(chosen)} passed")
    return failed > 0


sys.exit(main())
