#!/usr/bin/python3
"""The PostgreSQL sink against a real server: types, rows, epochs, poison. postgres.py BUILD [PATTERN]: cases whose names contain PATTERN.
SPDX-License-Identifier: Apache-2.0"""
import csv
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from postgres_server import free_port
from postgres_world import BUILD, Drive, as_rows, case, commit_unanswered, equal, holds, run_cases, sink, wait_until

# ---- types

TYPES = {  # declared in the stream: made in the table, values
    "a SMALLINT": ("smallint", ["-32768", "32767", "0"]),
    "b INTEGER": ("integer", ["-2147483648", "2147483647", "7"]),
    "c BIGINT": ("bigint", ["-9223372036854775808", "9223372036854775807", "-1"]),
    "d REAL": ("real", ["1.5", "-3.4028235e+38", "Infinity"]),
    "e DOUBLE": ("double precision", ["0.1", "-1.7976931348623157e+308", "NaN"]),
    "f BOOLEAN": ("boolean", ["true", "false", "true"]),
    "t TINYINT": ("smallint", ["-128", "127", "0"]),
    "u JSON": ("json", ['{"a": [1, 2,  3], "a": null}', "[]", '"ä"']),
    "g VARCHAR": ("text", ["", "a \"quoted\", text\nof two lines", "äöü 漢字 🙂"]),
    "h BLOB": ("bytea", ["\\x", "\\x00ff41", "\\xdeadbeef"]),
    "i DATE": ("date", ["1970-01-01", "2000-02-29", "9999-12-31"]),
    "j TIME": ("time without time zone", ["00:00:00", "23:59:59.999999", "12:30:00"]),
    "k TIMESTAMP": ("timestamp without time zone", ["1999-12-31 23:59:59.999999", "2024-01-02 03:04:05", "0001-01-01 00:00:00"]),
    "l TIMESTAMPTZ": ("timestamp with time zone", ["1970-01-01 00:00:00+00", "2024-01-02 03:04:05.5+00", "2262-04-11 00:00:00+00"]),
    "m INTERVAL": ("interval", ["1 year 2 mons 3 days 04:05:06.789", "-00:00:00.000001", "-1 mons +2 days"]),
    "n UUID": ("uuid", ["00000000-0000-0000-0000-000000000000", "12345678-9abc-def0-1234-56789abcdef0", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    "o DECIMAL(38,0)": ("numeric(38,0)", ["99999999999999999999999999999999999999", "-12345678901234567890", "10000"]),
    "p DECIMAL(10,2)": ("numeric(38,2)", ["0.01", "-99999999.99", "NaN"]),
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
def values_that_do_not_fit(w):
    """What the column cannot hold is refused, row by row; what is no number is none there either."""
    w.server.psql("""CREATE TABLE far (k integer, n numeric(4,1), s varchar(3), m jsonb, e text CHECK (e <> 'x'), i numeric)""")
    bad = {1: ("n", "CAST(1000 AS DECIMAL(10,1))", "22003"), 2: ("n", "CAST('Infinity' AS DECIMAL(38,1))", "22003"), 3: ("s", "'four'", "22001"), 4: ("m", "'{'", "22P02"),
           5: ("e", "'x'", "23514"), 6: ("n", "CAST('NaN' AS DECIMAL(4,1))", ""), 7: ("i", "CAST('-Infinity' AS DECIMAL)", ""), 8: ("i", "CAST('Infinity' AS DECIMAL)", ""),
           9: ("i", "CAST('NaN' AS DECIMAL)", "")}
    w.file("k.csv", "k\n0\n1\n")
    script = "CREATE SOURCE t (k INTEGER) FROM FILE (path = 'k.csv', format = 'csv'); CREATE STREAM bad (k INTEGER, error VARCHAR);"
    for k, (column, value, _) in bad.items():
        script += f"CREATE SINK s{k} FROM (SELECT {k} AS k, CASE WHEN k = 1 THEN {value} END AS {column} FROM t) INTO POSTGRES ({w.options('far', dead_letter='bad')});"
    said = as_rows(w.run(script, ["--print", "bad", "--format", "csv"]))
    equal(sorted(int(r[0]) for r in said[1:]), [k for k in bad if bad[k][2]], "dead letters")
    for k, error in said[1:]:
        holds(error, f"(SQLSTATE {bad[int(k)][2]})")
    equal(w.server.psql("SELECT k, n, i FROM far WHERE num_nonnulls(n, s, m, e, i) > 0 ORDER BY k"), "6|NaN|\n7||-Infinity\n8||Infinity\n9||NaN")
    equal(w.server.psql("SELECT count(*) FROM far"), str(2 * len(bad) - 5))


@case
def a_table_that_changes(w):
    """Its columns get other types during an outage and while the sink is connected: rows are made again for the new ones, and none is poison."""
    w.server.psql("CREATE TABLE changes (k integer, v smallint)")
    p = w.start("CREATE SOURCE t (k INTEGER, v SMALLINT) FROM STDIN (format = 'csv', header = 'false');" + sink(w, "changes", flush__interval="10 ms", retry__first="10 ms"), stdin=subprocess.PIPE)

    def give(k):
        p.stdin.write(f"{k},{k}\n")
        p.stdin.flush()

    def arrives(n):
        wait_until(f"{n} rows", lambda: w.server.psql("SELECT count(*) FROM changes", ok=False) == str(n))

    give(1)
    arrives(1)
    w.server.psql("ALTER TABLE changes ALTER k TYPE bigint")
    give(2)
    arrives(2)
    s = w.server.session()
    s.ask("BEGIN; ALTER TABLE changes ALTER v TYPE integer; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'laminar'")
    give(3)
    s.ask("COMMIT")
    s.done()
    arrives(3)
    rc, out, err = w.finish(p)
    equal(rc, 0, out + err)
    equal(w.server.psql("SELECT k, v FROM changes ORDER BY k"), "1|1\n2|2\n3|3")


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


# ---- rows

@case
def appends(w):
    w.run("CREATE SOURCE t (k BIGINT, v DOUBLE, n VARCHAR) FROM GENERATOR (rows = 100000, fields = 'k: sequence(1, 1), n: text(0, 40) null(0.1)');"
          + sink(w, "app", auto__create__table="true"))
    equal(w.server.psql("SELECT count(*), sum(k), count(DISTINCT k) FROM app"), "100000|5000050000|100000")


@case
def long_transactions(w):
    """More rows than go into one COPY, some of them poison, seen by nobody before all are there."""
    w.server.psql("CREATE TABLE long (k bigint CHECK (k % 70001 <> 70000), n text); CREATE TABLE at (n bigint);"
                  "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.at SELECT txid_current(); RETURN NULL; END';"
                  "CREATE TRIGGER note AFTER INSERT ON long FOR EACH STATEMENT EXECUTE FUNCTION note()")
    n = 150000
    w.run(f"CREATE SOURCE t (k BIGINT, n VARCHAR) FROM GENERATOR (rows = {n}, fields = 'k: sequence(1, 1), n: text(0, 40) null(0.1)');"
          + sink(w, "long", batch__rows="1000000", batch__bytes="1 GiB", flush__interval="1 h"))
    equal(w.server.psql("SELECT count(*), sum(k), count(DISTINCT k) FROM long"), f"{n - 2}|{n * (n + 1) // 2 - 70000 - 140001}|{n - 2}")
    equal(w.server.psql("SELECT count(DISTINCT n) FROM at"), "1", "transactions")


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
def keys_by_other_indexes(w):
    w.server.psql("CREATE TABLE two (id bigserial PRIMARY KEY, \"A\" text, b integer, v integer, UNIQUE (b, \"A\")); CREATE TABLE just (k integer PRIMARY KEY)")
    w.file("k.csv", "a,b,v\nx,1,1\nx,2,2\nx,1,3\ny,1,4\n")
    source = "CREATE SOURCE t (a VARCHAR, b INTEGER, v INTEGER) FROM FILE (path = 'k.csv', format = 'csv');"
    w.run(source + 'CREATE STREAM u AS SELECT a AS "A", b, v FROM t;' + sink(w, "two", "u", write__mode="upsert", primary__key='"A", b'))
    equal(w.server.psql('SELECT "A", b, v FROM two ORDER BY 1, 2'), "x|1|3\nx|2|2\ny|1|4")
    w.run(source + "CREATE STREAM u AS SELECT v % 3 AS k FROM t;" + sink(w, "just", "u", write__mode="upsert"))
    equal(w.server.psql("SELECT k FROM just ORDER BY 1"), "0\n1\n2")


@case
def keys_that_are_null(w):
    """They are no keys to a unique index, which would take them again and again."""
    w.server.psql("CREATE TABLE nulls (a text, b integer NOT NULL, v integer, UNIQUE (a, b))")
    w.file("n.csv", "a,b,v\nx,1,1\n,1,2\nx,1,3\n,1,4\ny,1,\n")
    for _ in range(2):
        said = w.run("CREATE SOURCE t (a VARCHAR, b INTEGER, v INTEGER) FROM FILE (path = 'n.csv', format = 'csv'); CREATE STREAM bad (v INTEGER, error VARCHAR);"
                     + sink(w, "nulls", write__mode="upsert", primary__key="a, b", dead_letter="bad"), ["--print", "bad", "--format", "csv"])
        equal([r[0] for r in as_rows(said)], ["v", "2", "4"])
        holds(said, "no NULL in column 1, a key")
        equal(w.server.psql("SELECT * FROM nulls ORDER BY a"), "x|1|3\ny|1|")


# ---- epochs

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


# ---- rows that cannot go in

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
def too_long_for_an_index(w):
    w.server.psql("CREATE TABLE indexed (t text PRIMARY KEY)")
    w.file("i.csv", "t\na\n" + os.urandom(20000).hex() + "\nb\n")
    w.run("CREATE SOURCE t (t VARCHAR) FROM FILE (path = 'i.csv', format = 'csv');" + sink(w, "indexed"))
    equal(w.server.psql("SELECT t FROM indexed ORDER BY 1"), "a\nb")


@case
def poison_to_dead_letters(w):
    w.server.psql("CREATE TABLE checked (k integer CHECK (k % 3 <> 0), t varchar(2))")
    w.file("l.csv", "k,t\n" + "".join(f"{k},{'abc' if k == 5 else 'ab'}\n" for k in range(1, 11)))
    said = w.run("CREATE SOURCE t (k INTEGER, t VARCHAR) FROM FILE (path = 'l.csv', format = 'csv'); CREATE STREAM bad (k INTEGER, t VARCHAR, error VARCHAR, sink VARCHAR);"
                 + sink(w, "checked", dead_letter="bad"), ["--print", "bad", "--format", "csv"])
    equal([(r[0], r[1], r[3]) for r in as_rows(said)], [("k", "t", "sink"), ("3", "ab", "s"), ("5", "abc", "s"), ("6", "ab", "s"), ("9", "ab", "s")])
    holds(said, 'violates check constraint ""checked_k_check""', "(SQLSTATE 23514)", "value too long for type character varying(2)", "(SQLSTATE 22001)")
    equal(w.server.psql("SELECT string_agg(k::text, ',' ORDER BY k) FROM checked"), "1,2,4,7,8,10")


# ---- what every sink passes

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


# ---- the page

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


sys.exit(run_cases("postgres"))
