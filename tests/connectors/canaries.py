#!/usr/bin/python3
"""SE2: secrets are planted in every option that is one (SHOW CONNECTORS says which), everything that can go wrong is made to, and
neither output nor messages, logs, metrics, lists, dead letters or files have a piece of one.
canaries.py BUILD [PATTERN]: cases whose names contain PATTERN. SPDX-License-Identifier: Apache-2.0"""
import glob
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kafka_broker
import postgres_server

BUILD = os.path.abspath(sys.argv[1])
PATTERN = sys.argv[2] if len(sys.argv) > 2 else ""
MODULES = [os.path.basename(p)[:-3] for p in sorted(glob.glob(BUILD + "/modules/*.so"))]
DEADLINE_S = 120
PIECE = 8  # bytes of a secret that are too many
cases = []


def case(f):
    cases.append(f)
    return f


class Skip(Exception):
    pass


def fresh():
    return "c" + os.urandom(16).hex()  # a word, so that it can also stand without quotes


def environment(folder, **more):
    # LeakSanitizer of gcc 12 itself crashes in a process that has loaded libpq and another module; each module's own test looks for leaks.
    more = {"ASAN_OPTIONS": "detect_leaks=0", **more}
    return {**os.environ, "LAMINAR_MODULES": BUILD + "/modules", "HOME": folder, **more}


def secret_options():
    """(sink or source, connector, option) of all that there is."""
    load = "; ".join(f"LOAD '{m}'" for m in MODULES)
    run = subprocess.run([BUILD + "/laminar", "-c", f"{load}; SHOW CONNECTORS", "--format", "jsonlines"], env=environment("/"),
                         capture_output=True, text=True, timeout=DEADLINE_S)
    if run.returncode:
        raise AssertionError(run.stderr)
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    return [(r["kind"], r["connector_name"], option) for r in rows for option in (r["secrets"] or "").split(", ") if option]


def tell(folder, scripts, **env):
    """Everything that is said of them."""
    spill = os.path.join(folder, "spill")
    os.makedirs(spill, exist_ok=True)
    load = "".join(f"LOAD '{m}';\n" for m in MODULES)
    run = subprocess.run([BUILD + "/tell", spill], input="\n----\n".join(load + s for s in scripts).encode(), env=environment(folder, **env),
                         cwd=folder, capture_output=True, timeout=DEADLINE_S)
    if run.returncode:
        raise AssertionError(f"it ended with {run.returncode}: {run.stderr.decode(errors='replace')[-2000:]}")
    return run.stdout + run.stderr


def pieces(secret):
    return {secret[i:i + PIECE].encode() for i in range(len(secret) - PIECE + 1)}


def leaks(said, secrets):
    found = [p for s in secrets for p in pieces(s) if p in said]
    if not found:
        return ""
    at = said.index(found[0])
    return said[max(0, at - 300):at + 200].decode(errors="replace")


def none_in(said, folder, secrets):
    if where := leaks(said, secrets):
        raise AssertionError("a secret is told:\n" + where)
    for parent, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(parent, name), "rb") as f:
                if where := leaks(f.read() + name.encode(), secrets):
                    raise AssertionError(f"a secret is in the file {name}:\n" + where)


def create(kind, connector, options, name="s", connector_name=None):
    inside = ", ".join(options)
    word = f'"{connector_name or connector}"'
    return f"CREATE SINK {name} FROM g INTO {word} ({inside})" if kind == "sink" else f"CREATE SOURCE {name} (k BIGINT) FROM {word} ({inside})"


GIVEN = "CREATE SOURCE g (k BIGINT) FROM GENERATOR (rows = 3);\n"
CLOSED = socket.socket()  # a port that nobody answers at: bound, and not listening
CLOSED.bind(("127.0.0.1", 0))
PORT = CLOSED.getsockname()[1]
VALUES = {"hostname": "127.0.0.1", "port": PORT, "bootstrap.servers": f"127.0.0.1:{PORT}", "url": f"ws://127.0.0.1:{PORT}/"}


def value_for(option):
    return f"{option} = '{VALUES.get(option, 'x')}'"


def required_beside(folder, kind, connector, secret):
    """What must be given for the statement to be taken, found by what it says is missing; not all that a connector wants can be."""
    options = [f"{secret} = 'x'"]
    for _ in range(12):
        said = tell(folder, [GIVEN + f"BEGIN; {create(kind, connector, options)}; ROLLBACK;"]).decode()
        missing = re.search(r"needs the option '([^']*)'", said)
        if not missing:
            break
        options.append(value_for(missing[1]))
    return options[1:]


def scripts_of(kind, connector, secret, beside, literal):
    """Statements that are wrong in every way, around one secret. `literal` is how it is written."""
    given = f"{secret} = {literal}"
    make = lambda *options, **more: create(kind, connector, list(options), **more)
    timed = "flush.interval" if kind == "sink" else "idle.timeout"
    whole = make(given, *beside)
    slip = secret[:-3] + secret[-2:]
    statements = [
        make(given), whole, make(*beside, given, "nonsense = 1"), make("nonsense = 1", given), make(given, *beside, f"{timed} = 'abc'"), make(f"{timed} = 'abc'", given),
        make(given, given, *beside), make(f"{slip} = {literal}", *beside), make(f"x.{secret} = {literal}", *beside), make(f"{secret} {literal}", *beside),
        make(f"{secret} = = {literal}", *beside), make(f"'{secret}' = {literal}", *beside), make(f'"{secret}" = {literal}', "nonsense = 1"),
        make(f"{secret.upper().replace('.', '_')} = {literal}", "nonsense = 1"), make(f"{secret} => {literal}", "nonsense = 1"),
        make(given, *beside, connector_name=connector + "x"), make(given, *beside, connector_name="nobody"), make(given, *beside, "format = 'nonsense'"),
        make(given, *beside)[:-1], make(given, *beside) + " SELECT", "SELECT FROM WHERE " + whole, whole.replace("CREATE", "CREAT"),
        f"SELECT colum FROM g /* {given} */", f"SELECT colum FROM g -- {given}\n", f"ALTER SINK s SET {given}", f"ALTER SINK s SET ({given})", f"EXPLAIN {whole}", f"BEGIN; {whole}; SHOW CREATE {kind} s; SHOW SINKS; SHOW SOURCES; {whole}; ROLLBACK",
        f"SET {given}", f"{given}",
    ]
    if not secret.endswith("key"):  # that could be a column's name, so it must stand where options do
        statements += [f"SHOW CREATE SINK {given}", f"SELECT * FROM g WHERE {given} AND colum = 1", f"CREATE STREAM {given} AS SELECT 1", f"LOAD 'nobody' {given} x"]
    bare = literal[1:-1]
    if "$" not in literal:
        statements += [make(f"{secret} = '{bare}", *beside), make(f"{secret} = {bare}'", *beside), make(f"{secret} = '{bare}' 'more'", *beside),
                       make(f"{secret} = 'it's{bare}'", *beside), make(f"{secret} = 'it' {bare}'", *beside), make(f"{secret} = '\n{bare}\n'", *beside, "nonsense = 1"),
                       make(f"{secret} = E'\\'{bare}'", "nonsense = 1"), make(f"{secret} = $a${bare}$a$", "nonsense = 1"), make(f"{secret} = x{bare}", "nonsense = 1"),
                       make(f"{secret} = x{bare} y", *beside), make(f"path = 'x?{secret}={bare}'", "nonsense = 1"), make(f"url = 'ws://me:{bare}@127.0.0.1/'", "nonsense = 1")]
    else:  # by a variable, wherever it is put
        statements += [make(f"{timed} = {literal}", given), make(f"{timed} {literal}"), make(f"{timed} = {bare}"), f"SELECT {bare} FROM g", make(f"{secret} = {bare} x"),
                       f"SELECT colum, {literal} FROM g", f"SHOW {bare}", make(given, f"format = {literal}"), f"SELECT CAST({literal} AS BIGINT)", f"SELECT {bare}()"]
    return [GIVEN + s for s in statements]


@case
def every_option():
    """Of every connector: whoever adds one adds it here."""
    options = secret_options()
    assert {c for _, c, _ in options} >= {m for m in ("kafka", "postgres") if m in MODULES}, options
    with tempfile.TemporaryDirectory(prefix="laminar-secrets-test.") as folder:
        for kind, connector, secret in options:
            beside = required_beside(folder, kind, connector, secret)
            for literal in (True, False):
                canary = fresh()
                scripts = scripts_of(kind, connector, secret, beside, f"'{canary}'" if literal else "'${HUSH}'")
                said = tell(folder, scripts, HUSH=canary)
                # The test is one only if the statements got so far.
                for part in (b"has no option 'nonsense'", b"syntax error at", b"there is no connector", b"'***'", b"there is no column"):
                    assert part in said, (kind, connector, secret, part)
                try:
                    none_in(said, folder, [canary])
                except AssertionError as e:
                    raise AssertionError(f"{kind} {connector} {secret} {'as a literal' if literal else 'by a variable'}: {e}") from None
    print(f"   {', '.join(f'{c} {k} {o}' for k, c, o in options)}")


@case
def nobody_answers():
    """With all that is required, at a port where nobody is: the sink or source runs, and fails."""
    with tempfile.TemporaryDirectory(prefix="laminar-secrets-test.") as folder:
        scripts, canaries = [], []
        for kind, connector, secret in secret_options():
            canary = fresh()
            options = [f"{secret} = '{canary}'", *required_beside(folder, kind, connector, secret), *(["retry.limit = 1", "retry.first = '1 ms'"] if kind == "sink" else [])]
            scripts.append(f"{GIVEN}{create(kind, connector, options)};\nCREATE STREAM d AS SELECT k FROM {'g' if kind == 'sink' else 's'};\n"
                           f"CREATE SINK out FROM d INTO BLACKHOLE; -- wait 1000\n")
            canaries.append(canary)
        said = tell(folder, scripts)
        assert len(re.findall(rb"^close 0$", said, re.M)) == len(scripts), said.decode(errors="replace")[-2000:]
        assert b"[LAM-5001]" in said and b"LAM--" not in said, "a failure that was tried again has a code of its own"
        none_in(said, folder, canaries)


def program(folder, script, env, seconds=20):
    """The program itself with the script on its standard input, stopped when it does not end: what it said."""
    p = subprocess.Popen([BUILD + "/laminar", "run", "-", "--spill", folder], env=environment(folder, **env), cwd=folder, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        return p.communicate(script.encode(), timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        p.send_signal(signal.SIGINT)
        return p.communicate(timeout=DEADLINE_S)[0]


LETTERS = "CREATE STREAM d (k BIGINT, error VARCHAR, sink VARCHAR, at TIMESTAMP);\nCREATE SINK letters FROM d INTO FILE (path = 'letters.csv');\n"


@case
def postgres_refuses():
    """A server that wants a password: the right one, a wrong one, and rows that it does not take."""
    if "postgres" not in MODULES or not postgres_server.bindir():
        raise Skip("Debian: postgresql-15, libpq-dev")
    right, wrong = fresh(), fresh()
    server = postgres_server.Server()
    try:
        server.psql(f"CREATE ROLE alice LOGIN PASSWORD '{right}'; CREATE TABLE t (k bigint CHECK (k > 1)); GRANT INSERT ON t TO alice")
        server.stop("fast")
        server.write("pg_hba.conf", "local all lam trust\nhost all alice 127.0.0.1/32 scram-sha-256\n")
        server.start()
        with tempfile.TemporaryDirectory(prefix="laminar-secrets-test.") as folder:
            source = "CREATE SOURCE g (k BIGINT) FROM GENERATOR (rows = 5, fields = 'k: sequence(1, 1)');\n"
            options = [f"hostname = '127.0.0.1', port = {server.port}, database = 'postgres', username = 'alice', table.name = 't', dead_letter = 'd'",
                       "retry.limit = 1, retry.first = '1 ms'"]
            said = b""
            for password, env in ((f"'{right}'", {}), (f"'{wrong}'", {}), ("'${PW}'", {"PW": right}), ("'${PW}'", {"PW": wrong})):
                script = source + LETTERS + create("sink", "postgres", [*options, f"password = {password}"]) + ";\n"
                said += program(folder, script, env) + tell(folder, [script + "-- wait 5000\n"], **env)
            assert b"password authentication failed" in said, said.decode()
            with open(folder + "/letters.csv") as f:
                assert "violates check constraint" in f.read() or b"violates check constraint" in said
            none_in(said, folder, [right, wrong])
        assert int(server.psql("SELECT count(*) FROM t")) >= 4
    finally:
        server.done()


@case
def kafka_refuses():
    """A broker that wants TLS and a password."""
    missing = "librdkafka-dev" if "kafka" not in MODULES else kafka_broker.missing(BUILD)
    if missing:
        raise Skip(f"missing {missing}")
    right, wrong = fresh(), fresh()
    broker = kafka_broker.Broker(BUILD, secure={"user": "lam", "password": right})
    try:
        with tempfile.TemporaryDirectory(prefix="laminar-secrets-test.") as folder:
            server = f"bootstrap.servers = 'localhost:{broker.secure_port}', security.protocol = 'sasl_ssl', sasl.mechanism = 'PLAIN', sasl.username = 'lam', topic = 't'"
            retries, authority = "retry.limit = 1, retry.first = '1 ms'", f"ssl.ca.location = '{broker.certificate}'"
            source = "CREATE SOURCE g (k BIGINT) FROM GENERATOR (rows = 5);\n"
            said = b""
            for password, more in ((right, [authority]), (wrong, [authority]), (right, [])):
                for given, env in ((f"'{password}'", {}), ("'${PW}'", {"PW": password})):
                    options = [server, *more, f"sasl.password = {given}"]
                    said += program(folder, source + create("sink", "kafka", [*options, retries]) + ";", env)
                    said += tell(folder, [source + create("sink", "kafka", [*options, retries]) + ";\n-- wait 2000\n", source + create("source", "kafka", options) +
                                          ";\nCREATE SINK d FROM s INTO BLACKHOLE; -- wait 1000\n"], **env)
            assert b"uthentication failed" in said and b"certificate verify failed" in said, said.decode(errors="replace")[-3000:]
            none_in(said, folder, [right, wrong])
    finally:
        broker.done()


def main():
    if not os.path.exists(BUILD + "/tell"):
        print(f"secrets: skipped: {BUILD}/tell is not built")
        return 0
    failed = 0
    signal.alarm(500)  # a test that hangs ends
    chosen = [c for c in cases if PATTERN in c.__name__]
    for c in chosen:
        at = time.monotonic()
        try:
            c()
            print(f"secrets {c.__name__} ok ({time.monotonic() - at:.1f} s)", flush=True)
        except Skip as e:
            print(f"secrets {c.__name__} skipped: {e}", flush=True)
        except Exception as e:
            failed += 1
            print(f"secrets {c.__name__} FAILED: {type(e).__name__}: {e} (line {e.__traceback__.tb_next.tb_lineno})", flush=True)
    print(f"secrets: {len(chosen) - failed} of {len(chosen)} passed")
    return failed > 0


sys.exit(main())
