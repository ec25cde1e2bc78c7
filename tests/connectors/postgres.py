#!/usr/bin/python3
"""The PostgreSQL sink against a real server. postgres.py BUILD [PATTERN]: cases whose names contain PATTERN.
SPDX-License-Identifier: Apache-2.0"""
import csv
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from postgres_server import Server, bindir, free_port

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


class World:
    """A folder, a server and the program."""

    def __init__(self):
        self.server = Server()
        self.folder = tempfile.mkdtemp(prefix="laminar-pg-test.")
        self.said = []  # all that the program ever printed

    def options(self, table, **more):
        o = {"hostname": self.server.folder, "port": self.server.port, "database": "postgres", "username": "lam", "table.name": table, **more}
        return ", ".join(f"{k.replace('__', '.')} = '" + str(v).replace("'", "''") + "'" for k, v in o.items())

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def start(self, sql, args=(), env=None, **more):
        script = self.file("script.sql", sql)
        return subprocess.Popen([BUILD + "/laminar", "run", script, *args], cwd=self.folder, stdin=more.pop("stdin", subprocess.DEVNULL),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}, **more)

    def finish(self, p, timeout=60):
        try:
            out, err = p.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            out, err = p.communicate()
            raise AssertionError(f"not finished after {timeout} s\n{out}{err}")
        self.said += [out, err]
        return p.returncode, out, err

    def run(self, sql, args=(), env=None, ok=True):
        rc, out, err = self.finish(self.start(sql, args, env))
        if ok and rc:
            raise AssertionError(f"status {rc}\n{out}{err}")
        return out if ok else (rc, out + err)

    def done(self):
        self.server.done()
        shutil.rmtree(self.folder)


def sink(w, table, source="t", **options):
    return f"CREATE SINK s FROM {source} INTO POSTGRES ({w.options(table, **options)});"


def wait_until(what, f, seconds=30):
    end = time.monotonic() + seconds
    while not f():
        if time.monotonic() > end:
            raise AssertionError("never: " + what)


# ---- types --------------------------------------------------------------------------------------------------------

TYPES = {  # declared in the stream: made in the table, values
    "a SMALLINT": ("smallint", ["-32768", "32767", "0"]),
    "b INTEGER": ("integer", ["-2147483648", "2147483647", "7"]),
    "c BIGINT": ("bigint", ["-9223372036854775808", "9223372036854775807", "-1"]),
    "d REAL": ("real", ["1.5", "-3.4028235e+38", "Infinity"]),
    "e DOUBLE": ("double precision", ["0.1", "-1.7976931348623157e+308", "NaN"]),
    "f BOOLEAN": ("boolean", ["true", "false", "true"]),
    "g VARCHAR": ("text", ["", "a \"quoted\", text\nof two lines", "äöü 漢字 🙂"]),
    "h BLOB": ("bytea", ["\\x", "\\x00ff41", "\\xdeadbeef"]),
    "i DATE": ("date", ["1970-01-01", "2000-02-29", "9999-12-31"]),
    "j TIME": ("time without time zone", ["00:00:00", "23:59:59.999999", "12:30:00"]),
    "k TIMESTAMP": ("timestamp without time zone", ["1999-12-31 23:59:59.999999", "2024-01-02 03:04:05", "0001-01-01 00:00:00"]),
    "l TIMESTAMPTZ": ("timestamp with time zone", ["1970-01-01 00:00:00+00", "2024-01-02 03:04:05.5+00", "2262-04-11 00:00:00+00"]),
    "m INTERVAL": ("interval", ["1 year 2 mons 3 days 04:05:06.789", "-00:00:00.000001", "-1 mons +2 days"]),
    "n UUID": ("uuid", ["00000000-0000-0000-0000-000000000000", "12345678-9abc-def0-1234-56789abcdef0", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    "o DECIMAL(38,0)": ("numeric(38,0)", ["99999999999999999999999999999999999999", "-12345678901234567890", "10000"]),
    "p DECIMAL(10,2)": ("numeric(38,2)", ["0.01", "-99999999.99", "10000.00"]),
    "q DECIMAL(38,10)": ("numeric(38,10)", ["1234567890123456789012345678.0123456789", "-0.0000000001", "0.0000000000"]),
    "r DECIMAL(5,5)": ("numeric(38,5)", ["0.00001", "0.99999", "-0.10000"]),
    "s DECIMAL(38,37)": ("numeric(38,37)", ["9.9999999999999999999999999999999999999", "0.0000000000000000000000000000000000001", "-1.2000000000000000000000000000000000000"]),
}


def typed_csv(w):
    names = [t.split()[0] for t in TYPES]
    out = io.StringIO()
    rows = csv.writer(out, quoting=csv.QUOTE_MINIMAL, lineterminator="\n")
    rows.writerow(["id"] + names)
    for i in range(3):
        line = io.StringIO()
        csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow([i] + [v[1][i] for v in TYPES.values()])
        out.write(line.getvalue())
    for i, name in enumerate(names):  # one NULL a row, and all of them
        out.write(",".join([str(10 + i)] + ["" if n == name else '"' + TYPES[t][1][1].replace('"', '""') + '"' for n, t in zip(names, TYPES)]) + "\n")
    out.write("99" + "," * len(names) + "\n")
    w.file("types.csv", out.getvalue())
    return names, f"CREATE SOURCE t (id INTEGER, {', '.join(TYPES)}) FROM FILE (path = 'types.csv', format = 'csv');"


def as_rows(text):
    return list(csv.reader(io.StringIO(text)))


@case
def every_type(w):
    names, source = typed_csv(w)
    ours = as_rows(w.run(source + "CREATE STREAM u AS SELECT * FROM t;" + sink(w, "types", auto__create__table="true"), ["--print", "u", "--format", "csv"]))
    columns = ", ".join(f"{n}::text" for n in ["id"] + names)
    theirs = as_rows(w.server.psql(f"SET timezone = 'UTC'; COPY (SELECT {columns} FROM types ORDER BY types.id) TO STDOUT CSV HEADER NULL '' "))
    equal(len(theirs), 5 + len(names), "rows")
    for got, want in zip(theirs, ours):
        equal(got, want, f"row {want[0]}")
    nulls = w.server.psql("SELECT " + " || ',' || ".join(f"count(*) - count({n})" for n in names) + " FROM types")
    equal(nulls, ",".join(["2"] * len(names)), "NULLs")
    made = w.server.psql("SELECT pg_catalog.format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'types'::regclass AND attnum > 1 ORDER BY attnum")
    equal(made.split("\n"), [v[0] for v in TYPES.values()], "types of the table that was made")


@case
def wider_types(w):
    w.server.psql("""CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
        CREATE DOMAIN most_positive AS positive;
        CREATE TABLE wide (t8 smallint, t8d double precision, t8n numeric, s4 integer, s8 bigint, sf real, i8 bigint, id double precision,
            ln numeric(30,5), f8 double precision, dn numeric, dt timestamp, tstz timestamptz, vc varchar(10), ch char(5), j json, jb jsonb,
            m mood, p most_positive, x xml, dflt text DEFAULT 'here')""")
    w.file("w.csv", 't,s,i,l,f,d,day,ts,v,j,m\n-8,-16,5,123456789012345678,1.5,-12.50,2024-02-29,2024-01-01 00:00:00.25,abc,"{""a"": [1, 2]}",glad\n')
    w.run("""CREATE SOURCE t (t TINYINT, s SMALLINT, i INTEGER, l BIGINT, f REAL, d DECIMAL(10,2), day DATE, ts TIMESTAMP, v VARCHAR, j VARCHAR, m VARCHAR)
            FROM FILE (path = 'w.csv', format = 'csv');
        CREATE STREAM u AS SELECT t AS t8, t AS t8d, t AS t8n, s AS s4, s AS s8, s AS sf, i AS i8, i AS id, l AS ln, f AS f8, d AS dn, day AS dt,
            ts AS tstz, v AS vc, v AS ch, j AS j, j AS jb, m AS m, i AS p, '<a/>' AS x FROM t;""" + sink(w, "wide", "u"))
    equal(w.server.psql("SET timezone = 'UTC'; SELECT * FROM wide"),
          '-8|-8|-8|-16|-16|-16|5|5|123456789012345678.00000|1.5|-12.50|2024-02-29 00:00:00|2024-01-01 00:00:00.25+00|abc|abc  |{"a": [1, 2]}|{"a": [1, 2]}|glad|5|<a/>|here')


@case
def types_that_do_not_fit(w):
    bad = [("BIGINT", "integer"), ("BIGINT", "double precision"), ("INTEGER", "real"), ("DOUBLE", "real"), ("DOUBLE", "numeric"), ("VARCHAR", "integer"),
           ("VARCHAR", "uuid"), ("VARCHAR", "bytea"), ("BLOB", "text"), ("DECIMAL(10,2)", "numeric(10,1)"), ("DECIMAL(10,2)", "double precision"),
           ("TIMESTAMPTZ", "timestamp"), ("TIMESTAMP", "date"), ("TIMESTAMP", "timestamp(3)"), ("TIME", "time(0)"), ("INTERVAL", "interval(2)"),
           ("INTERVAL", "interval day"), ("BOOLEAN", "integer"), ("DATE", "timestamptz"), ("UUID", "text"), ("VARCHAR", "text[]")]
    w.file("empty.csv", "x\n")
    for n, (ours, theirs) in enumerate(bad):
        w.server.psql(f"DROP TABLE IF EXISTS narrow; CREATE TABLE narrow (x {theirs})")
        rc, said = w.run(f"CREATE SOURCE t (x {ours}) FROM FILE (path = 'empty.csv', format = 'csv');" + sink(w, "narrow"), ok=False)
        equal(rc, 1, said)
        base = ours.split("(")[0]
        holds(said, 'column "x"', base, "does not go into", "CAST")
        holds(said, w.server.psql("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'narrow'::regclass AND attnum = 1"))


@case
def tables_that_do_not_fit(w):
    w.file("empty.csv", "x,y\n")
    w.server.psql("CREATE TABLE needs (x integer, \"Must\" text NOT NULL); CREATE TABLE gen (x integer, y integer GENERATED ALWAYS AS (x + 1) STORED);"
                  "CREATE TABLE nokey (x integer, y integer); CREATE TABLE ser (id integer GENERATED ALWAYS AS IDENTITY, x integer, y integer NOT NULL DEFAULT 7)")
    source = "CREATE SOURCE t (x INTEGER, y INTEGER) FROM FILE (path = 'empty.csv', format = 'csv');"

    def refused(table, *parts, **options):
        rc, said = w.run(source + sink(w, table, **options), ok=False)
        equal(rc, 1, said)
        holds(said, *parts)

    refused("nowhere", "there is no table public.nowhere in database postgres", "auto.create.table")
    refused("public.needs", "schema.name = 'public', table.name = 'needs'")
    refused("needs", 'no column "y"', "x, Must")
    refused("gen", 'column "y" is generated', "leave it out")
    refused("nokey", "has no primary key", "primary.key", write__mode="upsert")
    refused("nokey", "no unique index", write__mode="upsert", primary__key="x")
    refused("nokey", 'primary.key names "z"', write__mode="upsert", primary__key="z")
    refused("nokey", "primary.key says nothing", primary__key="x")
    refused("made", "nothing says what its key is", write__mode="upsert", auto__create__table="true")
    refused("nokey", "there is no table elsewhere.nokey", schema__name="elsewhere")
    refused("nokey", "SQLSTATE 3F000", schema__name="elsewhere", auto__create__table="true")
    source = "CREATE SOURCE t (x INTEGER) FROM FILE (path = 'empty.csv', format = 'csv');"
    refused("needs", '"Must"', "NOT NULL without a default")
    w.file("one.csv", "x\n5\n")
    w.run("CREATE SOURCE t (x INTEGER) FROM FILE (path = 'one.csv', format = 'csv');" + sink(w, "ser"))
    equal(w.server.psql("SELECT * FROM ser"), "1|5|7")


# ---- rows -----------------------------------------------------------------------------------------------------------

@case
def appends(w):
    w.run("CREATE SOURCE t (k BIGINT, v DOUBLE, n VARCHAR) FROM GENERATOR (rows = 100000, fields = 'k: sequence(1, 1), n: text(0, 40) null(0.1)');"
          + sink(w, "app", auto__create__table="true"))
    equal(w.server.psql("SELECT count(*), sum(k), count(DISTINCT k) FROM app"), "100000|5000050000|100000")


class Drive:
    """The sink's calls by hand (drive.c)."""

    def __init__(self, w, who="a", **options):
        self.p = subprocess.Popen([BUILD + "/drive", BUILD + "/modules/postgres.so", "postgres"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.more(w, who, **options)

    def more(self, w, who, **options):
        o = {"hostname": w.server.folder, "port": w.server.port, "database": "postgres", "username": "lam", **options}
        equal(self.ask(f"{who} options " + "|".join(f"{k.replace('__', '.')}={v}" for k, v in o.items())), "OK 0")

    def say(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()

    def answer(self):
        return self.p.stdout.readline().rstrip("\n")

    def ask(self, line):
        self.say(line)
        return self.answer()

    def does(self, *lines):
        """Pairs of a call and the beginning of its answer."""
        for line, want in zip(lines[::2], lines[1::2]):
            got = self.ask(line)
            if not got.startswith(want):
                raise AssertionError(f"{line}: {got!r}, not {want!r}")

    def done(self):
        self.p.stdin.close()
        equal(self.p.wait(10), 0, "drive")


@case
def upserts_and_deletes(w):
    w.server.psql("CREATE TABLE ups (touched text DEFAULT 'new', t text, k bigint PRIMARY KEY); INSERT INTO ups VALUES ('old', 'x', 1), ('old', 'x', 2), ('old', 'x', 9)")
    d = Drive(w, table__name="ups", write__mode="upsert")
    d.does("a open 1 plain", "OK", "a write 1:a 3:b 4:c 3:d 4:c:-1 2:x:-1 5:e:-1 5:f", "OK 8", "a flush", "OK")
    equal(w.server.psql("SELECT * FROM ups ORDER BY k"), "old|a|1\nnew|d|3\nnew|f|5\nold|x|9")
    d.does("a write 1:a:-1 1:b 6:g", "OK 3", "a write 6:g:-1 3:d:-1", "OK 2", "a write 6:h 9:y:-1", "OK 2", "a write 5::-1", "OK 1", "a flush", "OK", "a flush", "OK")
    equal(w.server.psql("SELECT k, t FROM ups ORDER BY k"), "1|b\n6|h")
    d.does("a close", "OK")
    d.done()


@case
def upserts_many(w):
    """Random changes, against a model; long transactions, in which the temporary table is emptied."""
    random = __import__("random").Random(7)
    d = Drive(w, table__name="many", mode="upsert", keys="k", auto__create__table="true")
    d.does("a open 1 plain", "OK")
    model = {}
    for i in range(120):
        changes = [(random.randrange(40), f"v{random.randrange(1000)}", random.choice([1, 1, -1])) for _ in range(50)]
        for k, t, n in changes:
            model.pop(k, None)
            if n > 0:
                model[k] = t
        d.does("a write " + " ".join(f"{k}:{t}:{n}" for k, t, n in changes), "OK 50")
        if i % 40 < 10:
            for first in range(1000, 1000 + 8192 * 2, 8192):
                d.does(f"a range {first} 8192", "OK 8192")
        if i % 20 == 19:
            d.does("a flush", "OK")
            got = w.server.psql("SELECT k, t FROM many WHERE k < 1000 ORDER BY k")
            equal(got, "\n".join(f"{k}|{model[k]}" for k in sorted(model)), f"after {i}")
    equal(w.server.psql("SELECT count(*), count(*) FILTER (WHERE t = 'row ' || k) FROM many WHERE k >= 1000"), "16384|16384")
    d.does("a close", "OK")
    d.done()


@case
def appending_takes_nothing_back(w):
    d = Drive(w, table__name="back", auto__create__table="true")
    d.does("a open 1 plain", "OK", "a write 1:a 1:a:-1", "OPTION 0 the stream takes rows back, and write.mode = 'append' can only add them", "a close", "OK")
    d.done()


@case
def poison_by_hand(w):
    w.server.psql("CREATE TABLE byhand (k bigint PRIMARY KEY CHECK (k <> 13), t text UNIQUE)")
    for mode, again in [("append", ["POISON 0 PostgreSQL: duplicate key"]), ("upsert", [])]:
        w.server.psql("TRUNCATE byhand")
        d = Drive(w, table__name="byhand", write__mode=mode)
        d.does("a open 1 plain", "OK", "a write 1:a 2:b 13:c 4:b 5:e", "OK 5",
               "a flush", 'POISON 2 PostgreSQL: new row for relation "byhand" violates check constraint',
               "a write 6:f", "OK 1",
               "a flush", 'POISON 2 PostgreSQL: duplicate key value violates unique constraint "byhand_t_key": Key (t)=(b) already exists. (SQLSTATE 23505)',
               "a flush", "OK", "a write 5:e 13:x 7:g 13:y", "OK 4")
        for want in again + [f"POISON {1 - len(again)} PostgreSQL: new row", f"POISON {2 - len(again)} PostgreSQL: new row"]:
            d.does("a flush", want)
        d.does("a flush", "OK", "a flush", "OK", "a write 13:x", "OK 1", "a flush", "POISON 0", "a flush", "OK", "a close", "OK")
        equal(w.server.psql("SELECT * FROM byhand ORDER BY k"), "1|a\n2|b\n5|e\n6|f\n7|g", mode)
        d.done()


# ---- commits without an answer, epochs ----------------------------------------------------------------------------------

def commit_unanswered(w, d, call):
    """The server commits, and dies before it says so: it waits for a standby that does not exist."""
    w.server.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'; SELECT pg_reload_conf()")
    wait_until("it is read", lambda: w.server.psql("SHOW synchronous_standby_names") == "nobody")
    d.say(call)
    wait_until("the commit waits", lambda: w.server.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == "1")
    w.server.stop("immediate")
    w.server.write("postgresql.auto.conf", "")
    w.server.start()
    return d.answer()


@case
def commit_in_doubt(w):
    w.server.psql("CREATE TABLE doubt (k bigint PRIMARY KEY, t text); CREATE TABLE doubt2 (k bigint, t text)")
    for table, want in [("doubt", 1000), ("doubt2", 2000)]:  # without a key nobody can know, and at least once it is
        d = Drive(w, table__name=table)
        d.does("a open 1 plain", "OK", "a range 0 1000", "OK 1000")
        holds(commit_unanswered(w, d, "a flush"), "RETRY")
        d.does("a flush", "OK", "a range 1000 10", "OK 10", "a flush", "OK", "a close", "OK")
        equal(w.server.psql(f"SELECT count(*), count(DISTINCT k) FROM {table}"), f"{want + 10}|1010", table)
        d.done()


@case
def epochs(w):
    seen = lambda: w.server.psql("SELECT count(*), coalesce(sum(k), 0) FROM ep")
    w.server.psql("CREATE TABLE ep (k bigint PRIMARY KEY, t text)")
    d = Drive(w, table__name="ep", sink__id="it's \"one\"", epoch__table='odd "name"')
    d.does("a open 1 epochs", "OK 0", "a range 0 100", "OK 100", "a flush", "OK")
    equal(seen(), "0|0", "nothing before the commit")
    d.does("a commit 3", "OK", "a commit 3", "OK")
    equal(seen(), "100|4950", "the commit")
    d.does("a range 100 5", "OK 5", "a commit 3", "OK")
    equal(seen(), "100|4950", "an epoch that is there changes nothing")
    d.does("a range 200 5", "OK 5", "a abort", "OK", "a commit 4", "OK", "a range 300 1", "OK 1", "a flush", "OK", "a write 300:x 301:y 300:z", "OK 3",
           "a flush", "POISON 0", "a commit 5", "POISON 1", "a commit 5", "OK")
    equal(seen(), "102|5551", "what was aborted is gone")
    d.does("a range 400 5", "OK 5", "a close", "OK", "a open 1 epochs", "OK 5")
    equal(seen(), "102|5551", "what was not committed is gone")
    equal(w.server.psql('SELECT sink, epoch, incarnation FROM "odd ""name"""'), "it's \"one\"|5|1")
    d.does("a range 500 5", "OK 5", "a flush", "OK")
    w.server.stop("immediate")
    w.server.start()
    d.does("a range 505 5", "OK 5", "a flush", "RETRY", "a flush", "CONNECT 0 the connection was lost with 5 rows", "a commit 6", "CONNECT", "a commit 6", "CONNECT", "a close", "OK", "a open 1 epochs", "OK 5")
    equal(seen(), "102|5551", "an epoch that was lost is not committed")
    d.does("a range 500 10", "OK 10")
    holds(commit_unanswered(w, d, "a commit 6"), "RETRY")
    d.does("a commit 6", "OK", "a commit 7", "OK", "a close", "OK", "a open 1 epochs", "OK 7", "a close", "OK")
    equal(seen(), "112|10596")
    d.done()


@case
def an_older_start_is_shut_out(w):
    w.server.psql("CREATE TABLE fence (k bigint, t text)")
    d = Drive(w, table__name="fence")
    d.more(w, "b", table__name="fence", statement__timeout="300 ms")
    d.does("a open 1 epochs", "OK 0", "b open 2 epochs", "OK 0", "a range 0 10", "OK 10", "a flush", "WRITE 0 a later start of sink", "a commit 1", "WRITE", "a close", "OK",
           "a open 1 epochs", "WRITE 0 a later start of sink", "a close", "OK", "a open 2 epochs", "OK 0", "b close", "OK")
    d.does("a range 0 10", "OK 10", "a flush", "OK", "b open 3 epochs", "RETRY 0", "a commit 1", "OK", "b open 3 epochs", "OK 1", "a range 10 5", "OK", "a flush", "WRITE", "b range 20 5", "OK 5", "b commit 2", "OK",
           "a commit 2", "WRITE", "a close", "OK", "b close", "OK")
    equal(w.server.psql("SELECT count(*), max(k) FROM fence"), "15|24")
    d.done()


@case
def keys_by_other_indexes(w):
    w.server.psql("CREATE TABLE two (id bigserial PRIMARY KEY, \"A\" text, b integer, v integer, UNIQUE (b, \"A\")); CREATE TABLE just (k integer PRIMARY KEY)")
    w.file("k.csv", "a,b,v\nx,1,1\nx,2,2\nx,1,3\ny,1,4\n")
    source = "CREATE SOURCE t (a VARCHAR, b INTEGER, v INTEGER) FROM FILE (path = 'k.csv', format = 'csv');"
    w.run(source + 'CREATE STREAM u AS SELECT a AS "A", b, v FROM t;' + sink(w, "two", "u", write__mode="upsert", primary__key='"A", b'))
    equal(w.server.psql('SELECT "A", b, v FROM two ORDER BY 1, 2'), "x|1|3\nx|2|2\ny|1|4")
    w.run(source + "CREATE STREAM u AS SELECT v % 3 AS k FROM t;" + sink(w, "just", "u", write__mode="upsert"))
    equal(w.server.psql("SELECT k FROM just ORDER BY 1"), "0\n1\n2")


# ---- rows that cannot go in ---------------------------------------------------------------------------------------------

@case
def poison_in_the_middle(w):
    w.server.psql("CREATE TABLE poison (k bigint PRIMARY KEY, v bigint CHECK (v <> 13), t varchar(3), parent bigint REFERENCES poison DEFERRABLE INITIALLY DEFERRED);"
                  "INSERT INTO poison (k) VALUES (500), (-1)")
    bad = {0: "NULL key", 77: "check", 500: "twice", 501: "long", 1023: "no parent", 1024: "check", 1999: "check", 4000: "check", 4999: "check"}
    rows = ["k,v,t,parent"]
    for k in range(5000):
        row = [str(k), "1", "abc", "-1"]
        what = bad.get(k)
        if what == "NULL key": row[0] = ""
        if what == "check": row[1] = "13"
        if what == "long": row[2] = "abcd"
        if what == "no parent": row[3] = "777777"
        rows.append(",".join(row))
    w.file("p.csv", "\n".join(rows) + "\n")
    source = "CREATE SOURCE t (k BIGINT, v BIGINT, t VARCHAR, parent BIGINT) FROM FILE (path = 'p.csv', format = 'csv');"
    w.run(source + sink(w, "poison"))
    equal(w.server.psql("SELECT count(*), sum(k) FROM poison WHERE k BETWEEN 0 AND 4999"), f"{5000 - len(bad) + 1}|{sum(range(5000)) - sum(bad) + 500}")
    w.server.psql("TRUNCATE poison; INSERT INTO poison (k) VALUES (-1)")
    del bad[500]  # is replaced
    w.run(source + sink(w, "poison", write__mode="upsert"))
    equal(w.server.psql("SELECT count(*), sum(k) FROM poison WHERE k >= 0"), f"{5000 - len(bad)}|{sum(range(5000)) - sum(bad)}", "upsert")


@case
def all_poison(w):
    w.server.psql("CREATE TABLE none (k bigint CHECK (k < 0))")
    w.run("CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = 3000, fields = 'k: sequence(1, 1)');" + sink(w, "none"))
    equal(w.server.psql("SELECT count(*) FROM none"), "0")


@case
def poison_to_dead_letters(w):
    w.server.psql("CREATE TABLE checked (k integer CHECK (k % 3 <> 0), t varchar(2))")
    w.file("l.csv", "k,t\n" + "".join(f"{k},{'abc' if k == 5 else 'ab'}\n" for k in range(1, 11)))
    said = w.run("CREATE SOURCE t (k INTEGER, t VARCHAR) FROM FILE (path = 'l.csv', format = 'csv'); CREATE STREAM bad (k INTEGER, t VARCHAR, error VARCHAR, sink VARCHAR);"
                 + sink(w, "checked", dead_letter="bad"), ["--print", "bad", "--format", "csv"])
    equal([(r[0], r[1], r[3]) for r in as_rows(said)], [("k", "t", "sink"), ("3", "ab", "s"), ("5", "abc", "s"), ("6", "ab", "s"), ("9", "ab", "s")])
    holds(said, 'violates check constraint ""checked_k_check""', "(SQLSTATE 23514)", "value too long for type character varying(2)", "(SQLSTATE 22001)")
    equal(w.server.psql("SELECT string_agg(k::text, ',' ORDER BY k) FROM checked"), "1,2,4,7,8,10")


# ---- outages ------------------------------------------------------------------------------------------------------------------

def survives(w, table, how, prepare, options, exact):
    if prepare:
        w.server.psql(prepare)
    n = 120000
    p = w.start(f"CREATE SOURCE t (k BIGINT, v DOUBLE) FROM GENERATOR (rows = {n}, rows.per.second = 60000, fields = 'k: sequence(1, 1)');" + sink(w, table, **options))
    count = lambda: int(w.server.psql(f"SELECT count(*) FROM {table}", ok=False) or 0)
    for at in [1, 40000, 80000]:
        wait_until(f"{at} rows", lambda: count() >= at)
        w.server.stop(how)
        w.server.start()
    rc, out, err = w.finish(p)
    equal(rc, 0, out + err)
    got = w.server.psql(f"SELECT count(DISTINCT k), sum(DISTINCT k) FROM {table}")
    equal(got, f"{n}|{n * (n + 1) // 2}", "rows after the outages")
    if exact:
        equal(count(), n, "no row twice")


@case
def killed_while_appending(w):
    survives(w, "killed", "immediate", "CREATE TABLE killed (k bigint, v double precision)", {}, False)


@case
def restarted_while_appending(w):
    survives(w, "restarted", "fast", "CREATE TABLE restarted (k bigint, v double precision)", {}, False)


@case
def killed_with_a_key(w):
    survives(w, "keyed", "immediate", "CREATE TABLE keyed (k bigint PRIMARY KEY, v double precision)", {}, True)


@case
def killed_while_upserting(w):
    survives(w, "ukilled", "immediate", "CREATE TABLE ukilled (k bigint PRIMARY KEY, v double precision)", {"write__mode": "upsert"}, True)


@case
def sessions_terminated(w):
    w.server.psql("CREATE TABLE terminated (k bigint PRIMARY KEY)")
    n = 60000
    p = w.start(f"CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = {n}, rows.per.second = 30000, fields = 'k: sequence(1, 1)');"
                + sink(w, "terminated", application__name="victim"))
    s = w.server.session()
    while p.poll() is None:
        s.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim' AND state <> 'idle' AND random() < 0.02")
    s.done()
    rc, out, err = w.finish(p)
    equal(rc, 0, out + err)
    equal(w.server.psql("SELECT count(*), sum(k) FROM terminated"), f"{n}|{n * (n + 1) // 2}")


@case
def server_comes_later(w):
    w.server.psql("CREATE TABLE later (k bigint)")
    w.server.stop("fast")
    p = w.start("CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = 10, fields = 'k: sequence(1, 1)');" + sink(w, "later"))
    try:
        p.wait(0.5)
        raise AssertionError("ended without a server: " + p.stderr.read())
    except subprocess.TimeoutExpired:
        w.server.start()
    rc, out, err = w.finish(p)
    equal(rc, 0, out + err)
    equal(w.server.psql("SELECT count(*) FROM later"), "10")


@case
def locked_table(w):
    w.server.psql("CREATE TABLE locked (k bigint)")
    s = w.server.session()
    s.ask("BEGIN; LOCK TABLE locked")
    p = w.start("CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = 10, fields = 'k: sequence(1, 1)');" + sink(w, "locked", statement__timeout="200 ms"))
    log = w.server.folder + "/log"
    wait_until("a statement is stopped by its timeout twice", lambda: open(log).read().count("canceling statement due to statement timeout") >= 2)
    s.ask("COMMIT")
    s.done()
    rc, out, err = w.finish(p)
    equal(rc, 0, out + err)
    equal(w.server.psql("SELECT count(*) FROM locked"), "10")


@case
def canceled_while_it_waits(w):
    w.server.psql("CREATE TABLE held (k bigint)")
    s = w.server.session()
    s.ask("BEGIN; LOCK TABLE held")
    p = w.start("CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = 10, fields = 'k: sequence(1, 1)');" + sink(w, "held", statement__timeout="0 s"))
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    wait_until("it waits for the lock", lambda: s.ask(waiting) == "1")
    p.terminate()
    w.finish(p, 10)
    wait_until("the server's session ends too", lambda: s.ask(waiting) == "0", 10)
    s.done()


@case
def visible_within_250_ms(w):
    w.server.psql("CREATE TABLE seen (k bigint)")
    p = w.start("CREATE SOURCE t (k BIGINT) FROM STDIN (format = 'json');" + sink(w, "seen"), stdin=subprocess.PIPE)
    s = w.server.session()
    took = []
    for k in range(1, 9):
        p.stdin.write('{"k": %d}\n' % k)
        p.stdin.flush()
        at = time.monotonic()
        wait_until(f"row {k}", lambda: s.ask("SELECT count(*) FROM seen") == str(k), 10)
        took.append((time.monotonic() - at) * 1000)
    s.done()
    rc, out, err = w.finish(p)
    equal(rc, 0, out + err)
    took = sorted(took[1:])  # the first has to connect
    print(f"  visible after {took[0]:.0f} to {took[-1]:.0f} ms")
    if took[-1] > 250:
        raise AssertionError(f"visible after {took} ms")


# ---- names ----------------------------------------------------------------------------------------------------------------------

@case
def hostile_names(w):
    schema, table = 'a "schema"; DROP TABLE witness; --', "t'\"; DROP TABLE witness; --"
    q = lambda n: '"' + n.replace('"', '""') + '"'
    columns = ['k"', "select", "A b", "x'; DROP TABLE witness; --", "%s%n", "c1", "seq", "w"]
    w.server.psql(f"CREATE TABLE witness (); CREATE SCHEMA {q(schema)}")
    w.file("h.csv", "k,v\n1,1\n2,2\n1,3\n")
    names = ", ".join(f"v AS {q(c)}" for c in columns[1:])
    script = f"CREATE SOURCE t (k INTEGER, v INTEGER) FROM FILE (path = 'h.csv', format = 'csv'); CREATE STREAM u AS SELECT k AS {q(columns[0])}, {names} FROM t;"
    for options in [{"auto__create__table": "true"}, {}]:
        w.run(script + sink(w, table, "u", schema__name=schema, application__name="x' y\"", **options))
    equal(w.server.psql(f"SELECT count(*) FROM {q(schema)}.{q(table)}"), "6")
    w.server.psql(f"DROP TABLE {q(schema)}.{q(table)}; CREATE TABLE {q(schema)}.{q(table)} ({q(columns[0])} integer PRIMARY KEY, {', '.join(q(c) + ' integer' for c in columns[1:])})")
    w.run(script + sink(w, table, "u", schema__name=schema, write__mode="upsert"))
    equal(w.server.psql(f"SELECT * FROM {q(schema)}.{q(table)} ORDER BY 1"), "1|" + "|".join("3" * 7) + "\n2|" + "|".join("2" * 7))
    equal(w.server.psql("SELECT count(*) FROM pg_class WHERE relname = 'witness'"), "1")


@case
def names_that_shadow(w):
    """What the target's schema holds does not change what our statements mean."""
    w.server.psql("""CREATE SCHEMA evil; CREATE TABLE evil.t (k bigint PRIMARY KEY, t text); CREATE TABLE evil.pg_class (oid integer);
        CREATE TABLE evil.pg_attribute (a integer); CREATE FUNCTION evil.format_type(oid, integer) RETURNS text LANGUAGE sql AS 'SELECT 1/0::text';
        CREATE FUNCTION evil.never(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT false';
        CREATE OPERATOR evil.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.never);
        CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz'""".replace("1/0::text", "NULL::text"))
    w.server.psql("ALTER ROLE lam SET search_path = evil, pg_catalog")
    try:
        d = Drive(w, table__name="t", schema="evil", write__mode="upsert")
        d.does("a open 1 epochs", "OK 0", "a write 1:a 2:b 1:a:-1", "OK 3", "a commit 1", "OK", "a close", "OK")
    finally:
        w.server.psql("ALTER ROLE lam RESET search_path")
    equal(w.server.psql("SELECT * FROM evil.t"), "2|b")
    d.done()


@case
def options_are_checked(w):
    w.file("empty.csv", "x\n")
    source = "CREATE SOURCE t (x INTEGER) FROM FILE (path = 'empty.csv', format = 'csv');"
    for option, value, parts in [("service", "x", ["has no option 'service'"]), ("options", "-c log_statement=all", ["has no option 'options'"]),
                                 ("passfile", "/etc/passwd", ["has no option"]), ("hostaddr", "1.2.3.4", ["has no option"]),
                                 ("sslmode", "maybe", ["cannot be 'maybe'", "verify-full"]), ("port", "0", ["between 1 and 65535"]),
                                 ("write.mode", "replace", ["append, copy, upsert, insert"])]:
        rc, said = w.run(source + sink(w, "t", **{option: value}), ok=False)
        equal(rc, 1, said)
        holds(said, *parts)
    for option, value, parts in [("pool.size", "4", ["does not take the option 'pool.size'", "one connection"]),
                                 ("changelog.mode", "true", ["does not take the option", "write.mode"]),
                                 ("delivery.guarantee", "exactly_once", ["cannot give guarantee = 'exactly_once'", "checkpoints"])]:
        rc, said = w.run(source + sink(w, "t", **{option: value}), ok=False)
        equal(rc, 1, said)
        holds(said, *parts)
    elsewhere = {"batch.size": 10, "flush.interval.ms": 10, "connect.timeout.ms": 5000, "statement.timeout.ms": 5000, "write.mode": "insert", "primary.key": "x",
                 "sink.id": "a", "delivery.guarantee": "at-least-once", "ssl.mode": "prefer", "auto.create.table": "true", "schema.name": "public"}
    w.run(source + sink(w, "names", **elsewhere))
    for host in ["127.0.0.1,evil.example.org", "127.0.0.1.example.org", ""]:
        rc, said = w.run(source + sink(w, "t", hostname=host), ok=False)
        equal(rc, 1, said)
        holds(said, "is not one host")
    w.server.psql("CREATE DATABASE \"host=/nowhere dbname=x\"")  # a database name that is a connection string is a name
    w.run(source + sink(w, "t", database="host=/nowhere dbname=x", auto__create__table="true"))
    w.server.psql("DROP DATABASE \"host=/nowhere dbname=x\"")


# ---- what every sink passes ----------------------------------------------------------------------------------------------------

@case
def conformance(w):
    s = w.server
    psql = f"{s.bin}/psql -XAtq -h {s.folder} -p {s.port} -U lam postgres"
    pg_ctl = " ".join(s.before) + f" {s.bin}/pg_ctl -D {s.data} -w"
    options = " ".join(f"-c {k}={v}" for k, v in s.settings.items())
    world = w.file("world", f"""#!/bin/sh
        cd {s.folder} || exit 1
        case $1 in
        up) ln -s {s.folder}/.s.PGSQL.{s.port} $2/.s.PGSQL.5432 && {psql} -c 'SET client_min_messages = error; DROP TABLE IF EXISTS o, laminar_epochs; CREATE TABLE o (id bigserial, k bigint NOT NULL, t text)' ;;
        rows) {psql} -c "COPY (SELECT k, t FROM o ORDER BY id) TO STDOUT (DELIMITER '|')" ;;
        stop) {pg_ctl} -m immediate stop ;;
        start) {pg_ctl} -l {s.folder}/log -o "{options}" start ;;
        hold) {psql} -c 'BEGIN; LOCK TABLE o IN EXCLUSIVE MODE; SELECT pg_sleep(100)' & until {psql} -c "SELECT 'held' FROM pg_locks WHERE mode = 'ExclusiveLock' AND relation = 'o'::regclass AND granted" | grep -q held; do :; done ;;
        release) {psql} -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(100)%' AND pid <> pg_backend_pid()" ;;
        esac >$2/said.$1 2>&1
        status=$?
        [ $1 != rows ] || cat $2/said.rows >&3
        exit $status
        """.replace("cd ", "exec 3>&1\n        cd ", 1))
    os.chmod(world, 0o755)
    run = subprocess.run([BUILD + "/conformance", "postgres"], env={**os.environ, "LAMINAR_POSTGRES": world}, capture_output=True, text=True, timeout=200)
    if run.returncode:
        raise AssertionError(run.stderr)
    for name in ["refuse", "rows", "wide", "deadline", "slow", "outage", "cancel", "stop", "poison", "epochs"]:
        holds(run.stderr, f"{name:10}ok")


# ---- logging in ------------------------------------------------------------------------------------------------------------------

SECRET = "c4n4ry-" + os.urandom(8).hex()
WRONG = "wr0ng-" + os.urandom(8).hex()


@case
def secrets(w):
    w.server.psql(f"CREATE ROLE alice LOGIN PASSWORD '{SECRET}'; CREATE TABLE secret (k bigint); GRANT INSERT ON secret TO alice")
    w.server.stop("fast")
    w.server.write("pg_hba.conf", "local all lam trust\nhost all alice 127.0.0.1/32 scram-sha-256\n")
    w.server.start()
    source = "CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = 10, fields = 'k: sequence(1, 1)');"
    env = {"ALICE": SECRET, "NOT_ALICE": WRONG}
    log_in = dict(hostname="127.0.0.1", username="alice")
    w.run(source + sink(w, "secret", password="${ALICE}", **log_in), env=env)
    equal(w.server.psql("SELECT count(*) FROM secret"), "10")
    show = "SHOW SINKS; SHOW CREATE SINK s; SHOW METRICS; SHOW CONNECTORS;"
    for more, options in [("", {"password": "${NOT_ALICE}"}), ("", {"password": "${ALICE}", "database": "nowhere"}), ("", {"password": "${ALICE}", "table": "x"}),
                          ("", {"password": "${ALICE}", "sslmode": "require"}), (show, {"password": "${ALICE}"}), ("SELECT nonsense FROM", {"password": "${ALICE}"})]:
        table = "nowhere" if options.pop("table", None) else "secret"
        w.run(source + sink(w, table, **options, **log_in) + more, env=env, ok=False)
    rc, said = w.run(source + sink(w, "secret", password="${NOT_ALICE}", **log_in), env=env, ok=False)
    equal(rc, 1, said)
    holds(said, "password authentication failed", "SQLSTATE 28P01")
    rc, said = w.run(source + sink(w, "secret", password="${ALICE}", database="nowhere", **log_in), env=env, ok=False)
    holds(said, 'database "nowhere" does not exist', "SQLSTATE 3D000")
    places = w.said + [open(os.path.join(d, f), errors="replace").read() for d, _, fs in os.walk(w.folder) for f in fs if f != "script.sql"]
    for text in places:
        for s in (SECRET, WRONG):
            if s in text:
                raise AssertionError("a secret shows in: " + text.replace(s, "<HERE>"))


def certificate(folder, name, subject, alt, ca=None):
    run = lambda *a: subprocess.run(["openssl", *a], cwd=folder, check=True, capture_output=True)
    if not ca:
        run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=" + subject, "-keyout", name + ".key", "-out", name + ".crt")
        return
    run("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + subject, "-keyout", name + ".key", "-out", name + ".csr")
    with open(os.path.join(folder, "ext"), "w") as f:
        f.write("subjectAltName=" + alt)
    run("x509", "-req", "-in", name + ".csr", "-CA", ca + ".crt", "-CAkey", ca + ".key", "-CAcreateserial", "-days", "2", "-extfile", "ext", "-out", name + ".crt")


@case
def tls(w):
    w.server.psql("CREATE TABLE tls (k bigint)")
    source = "CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = 1, fields = 'k: sequence(1, 1)');"

    def refused(*parts, **options):
        rc, said = w.run(source + sink(w, "tls", **options), ok=False)
        equal(rc, 1, said)
        holds(said, *parts)

    def ssl_used(**options):
        w.server.psql("TRUNCATE tls")
        w.run(source + sink(w, "tls", **options))
        equal(w.server.psql("SELECT count(*) FROM tls"), "1", str(options))
        used = [line for line in open(w.server.folder + "/log") if "connection authorized" in line and "application_name=laminar" in line]
        return "SSL enabled" in used[-1]

    far = "2130706433"  # 127.0.0.1 by a name that is not known to be here
    w.server.write("pg_hba.conf", "local all lam trust\nhost all lam 127.0.0.1/32 trust\n")
    w.server.psql("ALTER SYSTEM SET log_connections = on; SELECT pg_reload_conf()")
    wait_until("connections are logged", lambda: w.server.psql("SHOW log_connections") == "on")
    refused("server does not support SSL", "ssl.mode = 'disable'", hostname=far, ssl__ca__cert__path=w.file("none.crt", ""))
    equal(ssl_used(hostname=far, sslmode="disable"), False)
    certificate(w.folder, "ca", "test ca", None)
    certificate(w.folder, "other", "other ca", None)
    certificate(w.folder, "server", "localhost", "DNS:localhost", "ca")
    for f in ["server.crt", "server.key"]:
        w.server.write(f, open(os.path.join(w.folder, f)).read())
    w.server.psql("ALTER SYSTEM SET ssl = on; SELECT pg_reload_conf()")
    wait_until("ssl is on", lambda: w.server.psql("SHOW ssl") == "on")
    ca, other = w.folder + "/ca.crt", w.folder + "/other.crt"
    equal(ssl_used(hostname="localhost", sslmode="verify-full", sslrootcert=ca), True, "verify-full with the root")
    equal(ssl_used(hostname="127.0.0.1", sslmode="verify-ca", sslrootcert=ca), True, "verify-ca")
    equal(ssl_used(hostname="127.0.0.1", sslmode="require"), True, "require")
    equal(ssl_used(hostname="127.0.0.1", sslmode="prefer"), True, "prefer, said in words")
    equal(ssl_used(hostname="127.0.0.1"), False, "loopback may go without")
    refused("certificate verify failed", hostname="localhost", sslmode="verify-full", sslrootcert=other)
    refused("certificate verify failed", hostname="localhost", sslmode="verify-ca", sslrootcert=other)
    refused("root certificate file", "ssl.ca.cert.path", hostname="localhost", sslmode="verify-full")
    refused('"127.0.0.1"', hostname="127.0.0.1", sslmode="verify-full", sslrootcert=ca)
    refused("2130706433", hostname=far, sslrootcert=ca)
    certificate(w.folder, "client", "lam", "DNS:lam", "ca")
    os.chmod(w.folder + "/client.key", 0o600)
    w.server.write("ca.crt", open(ca).read())
    w.server.write("pg_hba.conf", "local all lam trust\nhostssl all lam 127.0.0.1/32 cert\n")
    w.server.psql("ALTER SYSTEM SET ssl_ca_file = 'ca.crt'; SELECT pg_reload_conf()")
    wait_until("the ca is known", lambda: w.server.psql("SHOW ssl_ca_file") == "ca.crt")
    by_cert = dict(hostname="localhost", sslmode="verify-full", sslrootcert=ca)
    refused("SQLSTATE 28000", **by_cert)
    refused("SQLSTATE 28000", "ssl.mode = 'verify-full'", hostname="127.0.0.1")
    equal(ssl_used(**by_cert, sslcert=w.folder + "/client.crt", sslkey=w.folder + "/client.key"), True, "a client's certificate")


# ---- the page ------------------------------------------------------------------------------------------------------------------

@case
def tutorial(w):
    """docs/postgres.md as it is printed, but for the port."""
    page = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/postgres.md")).read()
    port = str(free_port())
    folder = tempfile.mkdtemp(prefix="laminar-pg-page.")
    run, wanted = "", ""
    for info, text in re.findall(r"^```(\S*(?: \S+)?)\n(.*?)^```$", page, re.S | re.M):
        text = text.replace("5433", port)
        if info == "sh":
            run += text
        elif info == "text":
            wanted += text
        elif info.startswith("file "):
            with open(os.path.join(folder, info[5:]), "w") as f:
                f.write(text)
    os.mkdir(folder + "/bin")
    shutil.copy(BUILD + "/laminar", folder + "/bin/laminar")
    os.mkdir(folder + "/bin/modules")
    shutil.copy(BUILD + "/modules/postgres.so", folder + "/bin/modules/")
    with open(folder + "/run.sh", "w") as f:
        f.write(run)
    if w.server.before:
        subprocess.run(["chown", "-R", "postgres", folder], check=True)
    try:
        got = subprocess.run(w.server.before + ["sh", "-eu", "run.sh"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                             env={**os.environ, "PATH": folder + "/bin:" + os.environ["PATH"]})
        equal(got.stdout, wanted)
    finally:
        subprocess.run(w.server.before + [os.path.join(w.server.bin, "pg_ctl"), "-D", folder + "/data", "-m", "immediate", "stop"], cwd=folder, capture_output=True)
        shutil.rmtree(folder)
    table = subprocess.run([BUILD + "/options_doc", BUILD + "/modules/postgres.so"], capture_output=True, text=True, check=True).stdout
    equal([line for line in page.split("## Options")[1].split("\n") if line], [line for line in table.split("\n") if line.startswith("|")], "the options: make docs")


def main():
    if not bindir():
        print("postgres: skipped: PostgreSQL is not installed (Debian: postgresql-15)")
        return 0
    if not os.path.exists(BUILD + "/modules/postgres.so"):
        print("postgres: skipped: the module was not built (Debian: libpq-dev)")
        return 0
    failed = 0
    w = World()
    watch = threading.Timer(540, lambda: (print("postgres: not finished after 540 s"), w.done(), os._exit(1)))
    watch.daemon = True
    watch.start()
    try:
        chosen = [c for c in cases if PATTERN in c.__name__]
        for c in chosen:
            at = time.monotonic()
            try:
                c(w)
                print(f"postgres {c.__name__} ok ({time.monotonic() - at:.1f} s)", flush=True)
            except Exception as e:
                failed += 1
                print(f"postgres {c.__name__} FAILED: {type(e).__name__}: {e}", flush=True)
        print(f"postgres: {len(chosen) - failed} of {len(chosen)} passed")
    finally:
        w.done()
    return failed > 0


sys.exit(main())
