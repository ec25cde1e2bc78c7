#!/usr/bin/python3
"""Format arrow_ipc beside pyarrow: what the program writes pyarrow reads, and the other way round, for all types. pyarrow comes by pip into
build/python; where it cannot be had the test says so and is left out. arrow_ipc.py BUILD [PATTERN]: cases whose names contain PATTERN.
SPDX-License-Identifier: Apache-2.0"""
import datetime as dt
import decimal
import io
import json
import os
import subprocess
import sys
import tempfile
import uuid

BUILD = os.path.abspath(sys.argv[1])
PATTERN = sys.argv[2] if len(sys.argv) > 2 else ""
PACKAGE = "pyarrow==26.0.1"
DEADLINE_S = 60


def get_pyarrow():
    """Goes on under a Python that has it, or ends."""
    home = os.path.join(os.path.dirname(BUILD), "python")
    python = os.path.join(home, "bin", "python")
    if sys.executable != python:
        for command in ([sys.executable, "-m", "venv", home], [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE]):
            made = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            if made.returncode:
                break
        else:
            os.execv(python, [python, *sys.argv])
        print(f"arrow_ipc.py: SKIPPED, there is no {PACKAGE}: {made.stderr.strip().splitlines()[-1:]}")
        sys.exit(0)


try:
    import pyarrow as pa
except ImportError:
    get_pyarrow()
    raise

cases = []


def case(f):
    cases.append(f)
    return f


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}\n   got {str(got)[:3000]}\n  want {str(want)[:3000]}")


def holds(text, *parts):
    for p in parts:
        if p not in text:
            raise AssertionError(f"{p!r} is not in\n{text}")


folder = tempfile.TemporaryDirectory(prefix="laminar-arrow-test.")


def path(name):
    return os.path.join(folder.name, name)


def run(script, *arguments, stdin=None, status=0):
    with open(path("s.sql"), "w") as f:
        f.write(script)
    done = subprocess.run([BUILD + "/laminar", "run", path("s.sql"), *arguments], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=DEADLINE_S)
    equal(done.returncode, status, done.stderr.decode())
    return done.stdout, done.stderr.decode()


# ---- ours, read by pyarrow

COLUMNS = ("b BOOLEAN, i1 TINYINT, i2 SMALLINT, i4 INTEGER, i8 BIGINT, f REAL, d DOUBLE, m DECIMAL(20,2), s VARCHAR, x BLOB, day DATE, t TIME, "
           "ts TIMESTAMP, tz TIMESTAMPTZ, iv INTERVAL, u UUID, j JSON")
UTC = dt.timezone.utc
ROW = {
    "b": (True, "true"), "i1": (-128, "-128"), "i2": (32767, "32767"), "i4": (-2**31, str(-2**31)), "i8": (2**63 - 1, str(2**63 - 1)),
    "f": (0.5, "0.5"), "d": (-0.1, "-0.1"), "m": (decimal.Decimal("-12345678901234567.25"), "-12345678901234567.25"),
    "s": ("more than twelve bytes \u6771", '"more than twelve bytes \u6771"'), "x": (b"\x00\xff", "\\x00ff"),
    "day": (dt.date(2024, 2, 29), "2024-02-29"), "t": (dt.time(23, 59, 59, 999999), "23:59:59.999999"),
    "ts": (dt.datetime(1969, 12, 31, 23, 59, 59, 999999), "1969-12-31 23:59:59.999999"),
    "tz": (dt.datetime(2262, 4, 12, tzinfo=UTC), "2262-04-12 00:00:00+00"),
    "iv": ("MonthDayNano(months=14, days=-3, nanoseconds=4005006000)", "1 year 2 months -3 days 00:00:04.005006"),
    "u": (uuid.UUID(int=2**127 + 5).bytes, str(uuid.UUID(int=2**127 + 5))), "j": ('{"a": 1}', '"{""a"": 1}"'),
}
EMPTY = {**{k: (None, "") for k in ROW}, "s": ("", '""')}
NULLS = {k: (None, "") for k in ROW}


def write_csv(rows):
    with open(path("in.csv"), "w", encoding="utf-8") as f:
        f.write(",".join(ROW) + "\n")
        f.writelines(",".join(r[k][1] for k in ROW) + "\n" for r in rows)


def python_rows(rows):
    return [{k: r[k][0] for k in ROW} for r in rows]


def listed(table):
    """Rows of a table as values of Python; intervals as text, for they do not compare."""
    rows = table.to_pylist()
    for r in rows:
        if r.get("iv") is not None:
            r["iv"] = str(r["iv"])
    return rows


def read_stream(data):
    table = pa.ipc.open_stream(io.BytesIO(data)).read_all()
    table.validate(full=True)
    return table


CSV_SOURCE = "CREATE SOURCE s (" + COLUMNS + ") FROM FILE (path = '{0}', format = 'csv');\n"


@case
def pyarrow_reads_all_types():
    for rows in [[], [ROW], [NULLS], [ROW, NULLS, EMPTY, ROW], [ROW, EMPTY, NULLS] * 4000]:
        write_csv(rows)
        run(CSV_SOURCE.format(path("in.csv")) + f"CREATE SINK k FROM s INTO FILE (path = '{path('out.arrows')}');")
        with open(path("out.arrows"), "rb") as f:
            table = read_stream(f.read())
        equal(listed(table), python_rows(rows))
        equal([str(t) for t in table.schema.types],
              ["bool", "int8", "int16", "int32", "int64", "float", "double", "decimal128(38, 2)", "string", "binary", "date32[day]",
               "time64[us]", "timestamp[us]", "timestamp[us, tz=UTC]", "month_day_nano_interval", "fixed_size_binary[16]", "string"])


@case
def pyarrow_reads_stdout_and_wide_texts():
    write_csv([{**NULLS, "i8": (i, str(i)), "s": ("y" * 700000, "y" * 700000)} for i in range(5)])
    out, _ = run(CSV_SOURCE.format(path("in.csv")) + "CREATE SINK k FROM (SELECT i8, s FROM s) INTO STDOUT (format = 'arrow');")
    equal(listed(read_stream(out)), [{"i8": i, "s": "y" * 700000} for i in range(5)])


@case
def nothing_under_a_null_or_between_buffers_leaves():
    write_csv([{**ROW, "s": ("SECRETSECRET", "SECRETSECRET")}])
    out, _ = run(CSV_SOURCE.format(path("in.csv")) + "CREATE SINK k FROM (SELECT CASE WHEN i1 > 0 THEN s END AS a, CASE WHEN i1 > 0 THEN i4 END AS b, "
                 "CASE WHEN i1 > 0 THEN b END AS c FROM s) INTO STDOUT (format = 'arrow');")
    batch = pa.ipc.open_stream(io.BytesIO(out)).read_next_batch()
    for column in batch.columns:
        for buffer in column.buffers():
            equal(buffer.to_pybytes().strip(b"\0") if buffer else b"", b"", str(column.type))
    equal(b"SECRET" in out, False)


@case
def a_stream_is_not_appended_to():
    write_csv([ROW])
    target = path("append.arrows")
    script = CSV_SOURCE.format(path("in.csv")) + f"CREATE SINK k FROM s INTO FILE (path = '{target}', format = 'arrow_ipc', mode = 'append');"
    run(script)
    with open(target, "rb") as f:
        before = f.read()
    _, error = run(script, status=1)
    holds(error, "what is written in format arrow_ipc ends, so it cannot be appended to", "mode = 'replace'")
    with open(target, "rb") as f:
        equal(f.read(), before)
    equal(listed(read_stream(before)), python_rows([ROW]))


# ---- pyarrow's, read by us

def write_stream(schema, batches, name="in.arrows", make=pa.ipc.new_stream, **options):
    with make(path(name), schema, options=pa.ipc.IpcWriteOptions(**options)) as w:
        for b in batches:
            w.write_batch(b)
    return path(name)


def batch_of(**columns):
    return pa.record_batch(list(columns.values()), names=list(columns))


def read_ours(columns, name, *arguments, options=""):
    out, error = run(f"CREATE SOURCE s ({columns}) FROM FILE (path = '{name}', format = 'arrow_ipc'{options});\n"
                     "CREATE SINK k FROM s INTO STDOUT (format = 'json');", *arguments)
    return [json.loads(line) for line in out.decode().splitlines()], error


# column of pyarrow, type of ours, values as our JSON has them
VALUES = [
    (pa.array([True, None, False]), "BOOLEAN", [True, None, False]),
    (pa.array([-128, None, 127], pa.int8()), "TINYINT", [-128, None, 127]),
    (pa.array([255, None, 0], pa.uint8()), "SMALLINT", [255, None, 0]),
    (pa.array([2**32 - 1, None, 0], pa.uint32()), "BIGINT", [2**32 - 1, None, 0]),
    (pa.array([5, None, 2**63 - 1], pa.uint64()), "BIGINT", [5, None, 2**63 - 1]),
    (pa.array([1, None, -1], pa.int64()), "INTEGER", [1, None, -1]),
    (pa.array([1, None, -1], pa.int32()), "DOUBLE", [1, None, -1]),
    (pa.array([0.5, None, float("nan")], pa.float32()), "DOUBLE", [0.5, None, "NaN"]),
    (pa.array([0.5, None, float("-inf")], pa.float64()), "REAL", [0.5, None, "-Infinity"]),
    (pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("-99999999999999999999999999999999.99")], pa.decimal128(34, 2)), "DECIMAL(36,4)",
     [1.25, None, float("-99999999999999999999999999999999.99")]),
    (pa.array([7, None, -7], pa.int16()), "DECIMAL(10,1)", [7.0, None, -7.0]),
    (pa.array(["", None, "more than twelve bytes \u6771"]), "VARCHAR", ["", None, "more than twelve bytes \u6771"]),
    (pa.array(["", None, "z" * 300], pa.large_string()), "VARCHAR", ["", None, "z" * 300]),
    (pa.array(["twelve bytes", None, "more than twelve bytes"], pa.string_view()), "VARCHAR", ["twelve bytes", None, "more than twelve bytes"]),
    (pa.array([b"", None, b"\x00\xff"]), "BLOB", ["\\x", None, "\\x00ff"]),
    (pa.array([b"\xff" * 20, None, b"a"], pa.binary_view()), "BLOB", ["\\x" + "ff" * 20, None, "\\x61"]),
    (pa.array([b"abc", None, b"\0\0\0"], pa.binary(3)), "BLOB", ["\\x616263", None, "\\x000000"]),
    (pa.array([dt.date(1, 1, 1), None, dt.date(9999, 12, 31)]), "DATE", ["0001-01-01", None, "9999-12-31"]),
    (pa.array([dt.date(1969, 12, 31), None, dt.date(2024, 2, 29)], pa.date64()), "DATE", ["1969-12-31", None, "2024-02-29"]),
    (pa.array([dt.time(1, 2, 3), None, dt.time(0)], pa.time32("s")), "TIME", ["01:02:03", None, "00:00:00"]),
    (pa.array([dt.time(1, 2, 3, 4), None, dt.time(23, 59, 59, 999999)], pa.time64("ns")), "TIME", ["01:02:03.000004", None, "23:59:59.999999"]),
    (pa.array([-1, None, 0], pa.timestamp("s")), "TIMESTAMP", ["1969-12-31 23:59:59", None, "1970-01-01 00:00:00"]),
    (pa.array([-1, None, 1], pa.timestamp("ns")), "TIMESTAMP", ["1969-12-31 23:59:59.999999", None, "1970-01-01 00:00:00"]),
    (pa.array([1, None, -1], pa.timestamp("ms", "Europe/Berlin")), "TIMESTAMPTZ", ["1970-01-01 00:00:00.001+00", None, "1969-12-31 23:59:59.999+00"]),
    (pa.array([pa.MonthDayNano([14, -3, 4005006000]), None, pa.MonthDayNano([0, 0, 0])]), "INTERVAL",
     ["1 year 2 mons -3 days +00:00:04.005006", None, "00:00:00"]),
    (pa.array([uuid.UUID(int=5).bytes, None, b"\xff" * 16], pa.binary(16)), "UUID", [str(uuid.UUID(int=5)), None, str(uuid.UUID(int=2**128 - 1))]),
    (pa.array(['{"a":1}', None, "[]"]), "JSON", [{"a": 1}, None, []]),
    (pa.nulls(3), "BIGINT", [None, None, None]),
]


def all_values():
    columns = {f"c{i}": a for i, (a, _, _) in enumerate(VALUES)}
    declared = ", ".join(f"c{i} {t}" for i, (_, t, _) in enumerate(VALUES))
    rows = [{f"c{i}": v[k] for i, (_, _, v) in enumerate(VALUES)} for k in range(3)]
    return batch_of(**columns), declared, rows


@case
def all_types_of_pyarrow_are_read():
    batch, declared, rows = all_values()
    many = pa.Table.from_batches([batch] * 3000).combine_chunks().to_batches()[0]
    for batches, n in [([], 0), ([batch], 1), ([batch.slice(0, 0), batch, batch.slice(0, 0), batch], 2), ([many], many.num_rows // 3)]:
        name = write_stream(batch.schema, batches)
        got, error = read_ours(declared, name)
        equal(error, "")
        equal(got, rows * n)


@case
def sliced_arrays_are_read_whatever_the_batches():
    batch, declared, rows = all_values()
    long = pa.Table.from_batches([batch] * 20)
    name = write_stream(batch.schema, [b.slice(i % 3, 2 - i % 2) for i, b in enumerate(long.to_batches())])
    want = []
    for i in range(20):
        want += (rows * 2)[i % 3:3][:2 - i % 2]
    for arguments in [[], ["--batch", "1"], ["--batch", "2", "--workers", "4"]]:
        got, _ = read_ours(declared, name, *arguments)
        equal(got, want)


@case
def files_and_streams_behind_one_another_are_read():
    batch, declared, rows = all_values()
    name = write_stream(batch.schema, [batch, batch], make=pa.ipc.new_file)
    equal(read_ours(declared, name)[0], rows * 2)
    name = write_stream(batch.schema, [batch])
    with open(name, "rb") as f:
        once = f.read()
    with open(name, "ab") as f:
        f.write(once)
    equal(read_ours(declared, name)[0], rows * 2)
    out, _ = run(f"CREATE SOURCE s ({declared}) FROM STDIN (format = 'arrow');\nCREATE SINK k FROM (SELECT c1 FROM s) INTO STDOUT (format = 'csv');", stdin=once)
    equal(out.decode(), "c1\n-128\n\n127\n")


@case
def columns_that_are_not_wanted_may_be_anything():
    b = batch_of(nested=pa.array([[1], None, [2, 3]]), st=pa.array([{"a": 1, "b": "x"}] * 3), mp=pa.array([[("k", 1)]] * 3, pa.map_(pa.string(), pa.int64())),
                 dc=pa.array(["p", "q", "p"]).dictionary_encode(), views=pa.array(["a" * 20] * 3, pa.string_view()), half=pa.nulls(3, pa.float16()),
                 big=pa.array([decimal.Decimal(1)] * 3, pa.decimal256(50, 2)), dur=pa.array([1] * 3, pa.duration("ns")),
                 lv=pa.array([[1]] * 3, pa.list_view(pa.int8())), fs=pa.array([[1, 2]] * 3, pa.list_(pa.int8(), 2)),
                 un=pa.UnionArray.from_dense(pa.array([0, 1, 0], pa.int8()), pa.array([0, 0, 1], pa.int32()), [pa.array([1, 2]), pa.array(["x"])]),
                 ree=pa.RunEndEncodedArray.from_arrays(pa.array([3], pa.int32()), pa.array([7])), last=pa.array([4, 5, 6]))
    name = write_stream(b.schema, [b, b])
    equal(read_ours("last BIGINT, views VARCHAR", name)[0], [{"last": i, "views": "a" * 20} for i in (4, 5, 6)] * 2)
    for column, why in [("nested", "nested"), ("st", "nested"), ("mp", "nested"), ("dc", "dictionary-encoded"), ("un", "nested"), ("ree", "nested")]:
        _, error = run(f"CREATE SOURCE s ({column} VARCHAR) FROM FILE (path = '{name}', format = 'arrow_ipc');\nCREATE SINK k FROM s INTO STDOUT (format = 'json');",
                       status=1)
        holds(error, f"the stream's column \"{column}\" is {why}")
    _, error = run(f"CREATE SOURCE s (lost VARCHAR) FROM FILE (path = '{name}', format = 'arrow_ipc');\nCREATE SINK k FROM s INTO STDOUT (format = 'json');", status=1)
    holds(error, "the stream has no column \"lost\"", "its column \"last\" may be meant")


@case
def what_is_compressed_or_too_long_is_refused_by_name():
    b = batch_of(a=pa.array([1, 2, 3]))
    for codec in ("lz4", "zstd"):
        name = write_stream(b.schema, [b], compression=codec)
        _, error = run(f"CREATE SOURCE s (a BIGINT) FROM FILE (path = '{name}');\nCREATE SINK k FROM s INTO STDOUT (format = 'json');", status=1)
        holds(error, f"the batch is compressed with {codec.upper()}, which is not read", "write it without compression")
    b = batch_of(a=pa.array(range(20000)))
    name = write_stream(b.schema, [b])
    _, error = run(f"CREATE SOURCE s (a BIGINT) FROM FILE (path = '{name}', record_max = 100000);\nCREATE SINK k FROM s INTO STDOUT (format = 'json');", status=1)
    holds(error, "more than the 100000 of record.max", "smaller batches")


@case
def bad_values_cost_their_rows_and_become_letters():
    b = batch_of(a=pa.array([1, 300, None, 4, 500, 6]), j=pa.array(["1", "2", "[", "[4]", "{", "6"]))
    name = write_stream(b.schema, [b, b])
    good = [{"a": 1, "j": 1}, {"a": 4, "j": [4]}, {"a": 6, "j": 6}]
    rows, error = read_ours("a TINYINT, j JSON", name)
    equal(rows, good * 2)
    holds(error, "records skipped because they cannot be read: 6", "row 4, column \"a\": the value does not fit in TINYINT")
    rows, error = read_ours("a TINYINT, j JSON", name, options=", on_error = 'null'")
    equal(rows, [{"a": 1, "j": 1}, {"a": None, "j": 2}, {"a": None, "j": None}, {"a": 4, "j": [4]}, {"a": None, "j": None}, {"a": 6, "j": 6}] * 2)
    out, error = run(f"CREATE STREAM bad (error VARCHAR, position BIGINT, raw VARCHAR);\n"
                     f"CREATE SOURCE s (a TINYINT, j JSON) FROM FILE (path = '{name}', dead_letter = 'bad');\n"
                     "CREATE SINK k FROM s INTO BLACKHOLE;\nCREATE SINK l FROM bad INTO STDOUT (format = 'json');")
    letters = [json.loads(line) for line in out.decode().splitlines()]
    equal(len(letters), 6)
    first = letters[0]["position"]
    equal([r["error"] for r in letters[:3]],
          [f"record at byte {first}: row {i}, column \"{c}\": {w}" for i, c, w in
           [(1, "a", "the value does not fit in TINYINT"), (2, "j", "the text is not JSON"), (4, "a", "the value does not fit in TINYINT")]])
    equal(letters[3]["position"] > first, True)


# ---- there and back

@case
def what_pyarrow_wrote_comes_back_to_it():
    write_csv([ROW, NULLS, EMPTY] * 50)
    run(CSV_SOURCE.format(path("in.csv")) + f"CREATE SINK k FROM s INTO FILE (path = '{path('a.arrows')}');")
    run(f"CREATE SOURCE s ({COLUMNS}) FROM FILE (path = '{path('a.arrows')}');\nCREATE SINK k FROM s INTO FILE (path = '{path('b.arrows')}');")
    with open(path("a.arrows"), "rb") as f, open(path("b.arrows"), "rb") as g:
        a, b = read_stream(f.read()), read_stream(g.read())
    equal(listed(b), listed(a))
    equal(b.schema, a.schema)


@case
def the_page_works_as_printed():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "formats.md"), encoding="utf-8") as f:
        page = f.read().split("\n## Arrow IPC\n")[1].split("\n## ")[0]
    shell, code, printed = [page.split(f"```{kind}\n")[1].split("```")[0] for kind in ("sh", "python", "text")]
    env = {**os.environ, "PATH": BUILD + ":" + os.environ["PATH"]}
    for command in (["sh", "-eu", "-c", shell], [sys.executable, "-c", code]):
        done = subprocess.run(command, cwd=folder.name, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEADLINE_S)
        equal(done.returncode, 0, done.stdout)
    equal(done.stdout, printed)


def main():
    failed = 0
    for f in cases:
        if PATTERN not in f.__name__:
            continue
        try:
            f()
            print(f"arrow_ipc {f.__name__} ok", flush=True)
        except (AssertionError, subprocess.TimeoutExpired, OSError, ValueError, pa.ArrowException) as e:
            failed += 1
            print(f"FAILED arrow_ipc {f.__name__}: {type(e).__name__} {e}", flush=True)
    sys.exit(failed > 0)


main()
