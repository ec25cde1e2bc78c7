#!/usr/bin/python3
"""Names, options, secrets and TLS of the PostgreSQL sink. postgres_names.py BUILD [PATTERN]. SPDX-License-Identifier: Apache-2.0"""
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from postgres_world import Drive, Proxy, case, equal, holds, run_cases, sink, wait_until

# ---- names

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


PIECES = ['"', '""', "'", "\\", ";", "--", "/*", "*/", "$$", "$1", "%s", "E'", "\n", "\t", " ", ".", ",", "(", ")", "A", "z", "0", "_", "é", "漢", "🙂", "DROP TABLE witness", "select", "NULL", "\x7f"]


def identifier(draw):
    """What fits into a name: one to 63 bytes."""
    while True:
        text = "".join(draw.choice(PIECES) for _ in range(draw.randrange(1, 14)))
        if len(text.encode()) <= 63:
            return text


@case
def sq1_fuzz24_names_come_back(w):
    """Random names of schemas, tables, columns and keys, read back from the server's own catalog."""
    draw = random.Random(int(os.environ.get("SEED", "24")))
    quoted = lambda n: '"' + n.replace('"', '""') + '"'
    w.server.psql("CREATE TABLE IF NOT EXISTS witness ()")
    script, want = "CREATE SOURCE t (v INTEGER) FROM FILE (path = 'v.csv', format = 'csv');", []
    w.file("v.csv", "v\n1\n")
    for i in range(60):
        schema, table, columns = identifier(draw), identifier(draw), []
        while len(columns) < 3:
            c = identifier(draw)
            if c not in columns and c != "?column?":
                columns.append(c)
        w.server.psql(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
        upsert = draw.random() < 0.5
        options = {"schema.name": schema, "auto.create.table": "true", **({"write.mode": "upsert", "primary.key": ", ".join(quoted(c) for c in columns[:2])} if upsert else {})}
        select = ", ".join(f"v AS {quoted(c)}" for c in columns)
        script += f"CREATE SINK s{i} FROM (SELECT {select} FROM t) INTO POSTGRES ({w.options(table, **options)});"
        want += [f"{x.encode().hex()}" for x in [f"{schema}|{table}|{c}|{upsert and n < 2}" for n, c in enumerate(columns)]]
    w.run(script)
    got = w.server.psql("""SELECT encode(convert_to(n.nspname || '|' || c.relname || '|' || a.attname || '|'
        || CASE WHEN EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)) THEN 'True' ELSE 'False' END, 'UTF8'), 'hex')
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE a.attnum > 0 AND c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema|public$)'""")
    missing = set(want) - set(got.split("\n"))
    equal([bytes.fromhex(m).decode() for m in missing], [], "names that did not arrive")
    equal(w.server.psql("SELECT count(*) FROM pg_class WHERE relname = 'witness'"), "1")


@case
def sq1_every_name_is_quoted(w):
    """The same text in every option that names something: an error that says so, or a thing of that name."""
    bad = "\"; DROP TABLE witness; --'"
    w.server.psql("CREATE TABLE IF NOT EXISTS witness (); CREATE TABLE quoted (k bigint PRIMARY KEY, t text)")
    names = ["database", "username", "schema.name", "table.name", "primary.key", "application.name", "epoch.table", "sink.id", "ssl.ca.cert.path", "ssl.client.cert.path", "ssl.client.key.path"]
    answers = {}
    for name in names:
        more = {"hostname": "localhost", "ssl.client.cert.path": bad, "ssl.client.key.path": bad} if name.startswith("ssl.") else {}
        d = Drive(w, **{"table.name": "quoted", "write.mode": "upsert", **more, name: bad})
        answers[name] = d.ask("a open 1 epochs").split()[0]
        if answers[name] == "OK":
            d.does("a write 1:a", "OK 1", "a flush", "OK", "a commit 1", "OK")
        d.ask("a close")
        d.done()
        equal(w.server.psql("SELECT count(*) FROM pg_class WHERE relname = 'witness'"), "1", name)
    refused = ["database", "username", "schema.name", "table.name", "primary.key"] + [n for n in names if n.startswith("ssl.")]
    equal(answers, {n: "OPTION" if n in refused else "OK" for n in names})
    w.server.psql(f'SELECT * FROM "{bad.replace(chr(34), chr(34) * 2)}"')
    equal(w.server.psql("SELECT count(*) FROM laminar_epochs WHERE sink = '" + bad.replace("'", "''") + "'"), "1")


@case
def names_that_are_too_long(w):
    """The server would cut them and have another table."""
    w.file("one.csv", "x\n5\n")
    source = "CREATE SOURCE t (x INTEGER) FROM FILE (path = 'one.csv', format = 'csv');"
    for options, select in [({"table": "t" * 64}, "x"), ({"table": "long", "schema.name": "s" * 64}, "x"), ({"table": "long"}, "x AS " + "ü" * 32)]:
        table = options.pop("table")
        rc, said = w.run(source + sink(w, table, f"(SELECT {select} FROM t)", auto__create__table="true", **options), ok=False)
        equal(rc, 1, said)
        holds(said, "has 64 bytes, and PostgreSQL keeps 63")
    w.run(source + sink(w, "t" * 63, auto__create__table="true"))
    equal(w.server.psql("SELECT count(*) FROM " + "t" * 63), "1")
    equal(w.server.psql("SELECT count(*) FROM pg_class WHERE relname = 'long'"), "0")


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


# ---- logging in

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
    w.file("pgpass", f"*:*:*:alice:{SECRET}\n")
    os.chmod(w.folder + "/pgpass", 0o600)
    rc, said = w.run(source + sink(w, "secret", **log_in), env={"PGPASSFILE": w.folder + "/pgpass"}, ok=False)
    equal(rc, 1, said)
    holds(said, "no password supplied")  # of whoever runs the process
    os.unlink(w.folder + "/pgpass")
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


def tls_outage(w, ca):
    """A handshake that breaks off is no refusal."""
    calls = []

    def spoil(c):
        calls.append(c)
        if len(calls) > 6:
            return False
        c.recv(8)
        if len(calls) % 2:
            c.sendall(b"S")  # go on with TLS; then nobody is there
            c.recv(600)
        return True

    proxy = Proxy(w.server.port, spoil)
    w.server.psql("TRUNCATE tls")
    w.run("CREATE SOURCE t (k BIGINT) FROM GENERATOR (rows = 1, fields = 'k: sequence(1, 1)');"
          + sink(w, "tls", hostname="localhost", port=proxy.port, sslmode="verify-full", sslrootcert=ca, retry__first="1 ms", retry__max="10 ms"))
    equal(w.server.psql("SELECT count(*) FROM tls"), "1")
    proxy.done()
    if len(calls) < 7:
        raise AssertionError(f"only {len(calls)} connections")


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
    equal(ssl_used(hostname="localhost", sslrootcert=ca), True, "but not when a certificate is named")
    refused("certificates are named", "ssl.mode = 'disable'", hostname="localhost", sslmode="disable", sslrootcert=ca)
    refused("certificates are named", "a socket has no TLS", sslmode="verify-full", sslrootcert=ca)
    refused("without its key", "both", hostname="localhost", sslrootcert=ca, sslcert=w.folder + "/server.crt")
    tls_outage(w, ca)
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


sys.exit(run_cases("postgres_names"))
